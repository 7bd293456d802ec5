//! Calls for many polls by name: one statement for each batch, whatever the number of polls.
//!
//! The names go as arrays, and a lateral join looks each one up by its index. A join of the tables themselves would leave
//! it to the planner to read all of them, whose statistics may be those of an empty table.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use deadpool_postgres::Object;
use tokio_postgres::Row;

use super::Inner;
use super::admin;
use super::database::{Fault, Tx, params};
use super::lists::{DONE_ROWS, OPEN_ROWS};
use super::reads::{DONE, OPEN, Raw, is_storable};
use super::writes::{Finish, Names};
use crate::clock::Timestamp;
use crate::key::PollKey;
use crate::outcome::OutcomeKind;
use crate::store::{Ending, FoundPoll, StoreError, StoredPoll, Summary, outcome_without_request};

/// A poll with its incarnation, if there is one.
pub(super) type Found = Result<Option<(StoredPoll, i64)>, StoreError>;

/// The names that are looked up, as a table `n` with their positions.
const NAMES: &str = "unnest($1::int4[], $2::text[], $3::text[], $4::int4[]) AS n (shard, scope, key, number)";

/// The condition of one of them on the table of this alias.
fn named(alias: &str) -> String {
    format!("{alias}.shard = n.shard AND {alias}.scope = n.scope AND {alias}.key = n.key")
}

/// Puts the answers of rows at the positions of their names, which are in this column.
fn place<T>(places: &mut [T], rows: &[Row], column: usize, answers: impl IntoIterator<Item = T>) {
    for (row, answer) in rows.iter().zip(answers) {
        let position = usize::try_from(row.get::<_, i32>(column)).unwrap_or(usize::MAX);
        if let Some(place) = places.get_mut(position) {
            *place = answer;
        }
    }
}

impl Inner {
    /// The rows of a statement about these [names](NAMES), without those that the database cannot store.
    async fn ask(&self, tx: &Tx<Object>, keys: &[PollKey], sql: &str) -> Result<Vec<Row>, Fault> {
        let storable = keys.iter().zip(0..).filter(|(key, _)| is_storable(key));
        let (names, numbers): (Vec<_>, Vec<i32>) =
            storable.map(|(key, number)| ((self.shard_of(key), key), number)).unzip();
        if numbers.is_empty() {
            return Ok(Vec::new());
        }
        let names: Names<'_> = names.into_iter().collect();
        tx.query(sql, &params![names.shards, names.scopes, names.keys, numbers]).await
    }

    /// The polls of these names without their outcomes.
    pub(super) async fn find_all(&self, keys: &[PollKey]) -> Result<Vec<Option<FoundPoll>>, Fault> {
        // The eleven columns of a poll, whether it has ended, and its position.
        let sql = format!(
            "SELECT p.*, n.number FROM {NAMES} CROSS JOIN LATERAL \
             (SELECT o.*, false FROM ({OPEN} WHERE {}) AS o UNION ALL SELECT d.*, true FROM ({DONE} AND {}) AS d) AS p",
            named("o"),
            named("d"),
        )
        .replace("d.outcome", "NULL::text");
        let tx = self.database.lookup().await?;
        let rows = self.ask(&tx, keys, &sql).await?;
        let raws: Vec<Raw<'_>> = rows.iter().map(Raw::new).collect();
        let texts = self.texts(&tx, &raws).await?;
        tx.rollback().await?;
        let mut found: Vec<Option<FoundPoll>> = keys.iter().map(|_| None).collect();
        let answers = rows.iter().zip(raws).map(|(row, raw)| {
            let StoredPoll { spec, created_at, .. } = self.poll(raw, &texts)?;
            Ok(Some(FoundPoll { spec, created_at, ended: row.get(11) }))
        });
        place(&mut found, &rows, 12, answers.collect::<Result<Vec<_>, StoreError>>()?);
        Ok(found)
    }

    /// The polls of these names with their outcomes and incarnations, or why one cannot be read.
    pub(super) async fn get_all(&self, keys: &[PollKey]) -> Result<Vec<Found>, Fault> {
        let sql = format!(
            "SELECT p.*, n.number FROM {NAMES} CROSS JOIN LATERAL ({OPEN} WHERE {} UNION ALL {DONE} AND {}) AS p",
            named("o"),
            named("d"),
        );
        let tx = self.database.lookup().await?;
        let rows = self.ask(&tx, keys, &sql).await?;
        let raws: Vec<Raw<'_>> = rows.iter().map(Raw::new).collect();
        let texts = self.texts(&tx, &raws).await?;
        tx.rollback().await?;
        let mut found: Vec<Found> = keys.iter().map(|_| Ok(None)).collect();
        let answers = raws.into_iter().map(|raw| {
            let incarnation = raw.incarnation;
            self.poll(raw, &texts).map(|poll| Some((poll, incarnation)))
        });
        place(&mut found, &rows, 11, answers);
        Ok(found)
    }

    pub(super) async fn summaries_of(&self, keys: &[PollKey]) -> Result<Vec<Option<Summary>>, Fault> {
        let tx = self.database.lookup().await?;
        let found = self.summaries_in(&tx, keys).await?;
        tx.rollback().await?;
        Ok(found)
    }

    /// The same in a transaction.
    pub(super) async fn summaries_in(
        &self,
        tx: &Tx<Object>,
        keys: &[PollKey],
    ) -> Result<Vec<Option<Summary>>, Fault> {
        let sql = format!(
            "SELECT {}, n.number FROM {NAMES} CROSS JOIN LATERAL \
             ({OPEN_ROWS} WHERE {} UNION ALL {DONE_ROWS} WHERE {}) AS p WHERE {}",
            admin::summary(),
            named("o"),
            named("d"),
            admin::LIVING,
        );
        let rows = self.ask(tx, keys, &sql).await?;
        let read = admin::with_specs(tx, rows.iter().map(admin::Raw::new).collect()).await?;
        let mut found: Vec<Option<Summary>> = keys.iter().map(|_| None).collect();
        place(&mut found, &rows, admin::SUMMARY_COLUMNS, read.into_iter().map(Some));
        Ok(found)
    }

    /// Puts `cancel` or `hasten` for open polls into the inbox; returns for each whether it was open.
    pub(super) async fn tell_owners(&self, keys: &[PollKey], what: &'static str) -> Result<Vec<bool>, Fault> {
        // What waits there is not noted again.
        let sql = format!(
            "WITH found AS MATERIALIZED (SELECT n.number, o.shard, o.scope, o.key, o.incarnation FROM {NAMES} \
                 JOIN poll.open o ON {}), \
             noted AS (INSERT INTO poll.inbox (shard, scope, key, incarnation, what) \
                 SELECT DISTINCT f.shard, f.scope, f.key, f.incarnation, '{what}' FROM found f WHERE NOT EXISTS \
                 (SELECT FROM poll.inbox i WHERE i.shard = f.shard AND i.scope = f.scope AND i.key = f.key \
                     AND i.incarnation = f.incarnation AND i.what = '{what}')) \
             SELECT number FROM found",
            named("o"),
        );
        let tx = self.database.write().await?;
        let rows = self.ask(&tx, keys, &sql).await?;
        tx.commit().await?;
        self.telling.tell();
        let mut open = vec![false; keys.len()];
        place(&mut open, &rows, 0, std::iter::repeat(true));
        Ok(open)
    }

    /// Ends open polls as cancelled, if there is no worker.
    pub(super) async fn cancel_all_unrun(
        &self,
        keys: &[PollKey],
        now: Timestamp,
    ) -> Result<Option<Vec<Option<Ending>>>, Fault> {
        // One that starts meanwhile reads the polls before or after their ends; the open rows decide.
        if self.runner().await?.is_some() {
            return Ok(None);
        }
        let found = self.summaries_of(keys).await?;
        let mut endings: Vec<Option<Ending>> = Vec::with_capacity(keys.len());
        let mut finishes: HashMap<&PollKey, Finish> = HashMap::new();
        for (key, summary) in keys.iter().zip(found) {
            endings.push(match summary {
                None => None,
                Some(Summary { ended: Some(ended), .. }) => Some(ended),
                Some(Summary { created_at, restarts, .. }) => {
                    let outcome = outcome_without_request(OutcomeKind::Cancelled, created_at, now, restarts);
                    if let Entry::Vacant(place) = finishes.entry(key) {
                        place.insert(Finish::new(self.shard_of(key), key.clone(), None, &outcome)?);
                    }
                    Some(Ending::of(&outcome))
                }
            });
        }
        if finishes.is_empty() {
            return Ok(Some(endings));
        }
        let finishes: Vec<Finish> = finishes.into_values().collect();
        let ended = self.finish_all(&finishes, false).await?;
        // Others have ended or forgotten these meanwhile.
        let lost = finishes.into_iter().zip(ended).filter(|(_, ended)| !ended);
        let lost: Vec<PollKey> = lost.map(|(finish, _)| finish.key).collect();
        let found = self.summaries_of(&lost).await?.into_iter();
        let found = found.map(|summary| summary.and_then(|summary| summary.ended));
        let found: HashMap<&PollKey, Option<Ending>> = lost.iter().zip(found).collect();
        for (key, ending) in keys.iter().zip(&mut endings) {
            if let Some(found) = found.get(key) {
                ending.clone_from(found);
            }
        }
        Ok(Some(endings))
    }
}
