//! Calls for many polls by name: one statement for each batch, whatever the number of polls.
//!
//! The names go as arrays, and a lateral join looks each one up by its index. A join of the tables themselves would leave
//! it to the planner to read all of them, whose statistics may be those of an empty table.

use std::collections::{HashMap, HashSet};

use deadpool_postgres::Object;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::Inner;
use super::admin;
use super::database::{Fault, Tx};
use super::lists::{DONE_ROWS, OPEN_ROWS};
use super::reads::{DONE, OPEN, Raw};
use super::shards::shard_of;
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

/// Names as they are looked up, without those that the database cannot store.
struct Asked<'k> {
    names: Names<'k>,
    numbers: Vec<i32>,
}

impl<'k> Asked<'k> {
    fn new(keys: &'k [PollKey], shards: i32) -> Self {
        let mut asked = Self { names: Names::default(), numbers: Vec::new() };
        for (key, number) in keys.iter().zip(0..) {
            if !key.scope().contains('\0') && !key.key().contains('\0') {
                asked.names.push(shard_of(key, shards), key);
                asked.numbers.push(number);
            }
        }
        asked
    }

    async fn query(&self, tx: &Tx<Object>, sql: &str) -> Result<Vec<Row>, Fault> {
        if self.numbers.is_empty() {
            return Ok(Vec::new());
        }
        tx.query(
            sql,
            &[
                (&self.names.shards, Type::INT4_ARRAY),
                (&self.names.scopes, Type::TEXT_ARRAY),
                (&self.names.keys, Type::TEXT_ARRAY),
                (&self.numbers, Type::INT4_ARRAY),
            ],
        )
        .await
    }
}

/// The position of the name that a row answers.
fn position(row: &Row, column: usize) -> usize {
    usize::try_from(row.get::<_, i32>(column)).unwrap_or(usize::MAX)
}

impl Inner {
    /// The polls of these names without their outcomes.
    pub(super) async fn find_all(&self, keys: &[PollKey]) -> Result<Vec<Option<FoundPoll>>, Fault> {
        let asked = Asked::new(keys, self.shard_count);
        // The eleven columns of a poll, whether it has ended, and its position.
        let sql = format!(
            "SELECT p.*, n.number FROM {NAMES} CROSS JOIN LATERAL \
             (SELECT o.*, false FROM ({OPEN} WHERE {}) AS o UNION ALL SELECT d.*, true FROM ({DONE} AND {}) AS d) AS p",
            named("o"),
            named("d"),
        )
        .replace("d.outcome", "NULL::text");
        let tx = self.database.lookup().await?;
        let rows = asked.query(&tx, &sql).await?;
        let raws: Vec<Raw> = rows.iter().map(Raw::new).collect();
        let texts = self.texts(&tx, &raws).await?;
        tx.rollback().await?;
        let mut found: Vec<Option<FoundPoll>> = keys.iter().map(|_| None).collect();
        for (row, raw) in rows.iter().zip(raws) {
            let poll = self.poll(raw, &texts);
            let poll = poll.map_err(|(_, problem)| Fault::Store(StoreError::new(problem)))?;
            if let Some(place) = found.get_mut(position(row, 12)) {
                *place = Some(FoundPoll { spec: poll.spec, created_at: poll.created_at, ended: row.get(11) });
            }
        }
        Ok(found)
    }

    /// The polls of these names with their outcomes and incarnations, or why one cannot be read.
    pub(super) async fn get_all(&self, keys: &[PollKey]) -> Result<Vec<Found>, Fault> {
        let asked = Asked::new(keys, self.shard_count);
        let sql = format!(
            "SELECT p.*, n.number FROM {NAMES} CROSS JOIN LATERAL ({OPEN} WHERE {} UNION ALL {DONE} AND {}) AS p",
            named("o"),
            named("d"),
        );
        let tx = self.database.lookup().await?;
        let rows = asked.query(&tx, &sql).await?;
        let raws: Vec<Raw> = rows.iter().map(Raw::new).collect();
        let texts = self.texts(&tx, &raws).await?;
        tx.rollback().await?;
        let mut found: Vec<Found> = keys.iter().map(|_| Ok(None)).collect();
        for (row, raw) in rows.iter().zip(raws) {
            let incarnation = raw.incarnation;
            if let Some(place) = found.get_mut(position(row, 11)) {
                let poll = self.poll(raw, &texts).map(|poll| Some((poll, incarnation)));
                *place = poll.map_err(|(_, problem)| StoreError::new(problem));
            }
        }
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
        let asked = Asked::new(keys, self.shard_count);
        let sql = format!(
            "SELECT {}, n.number FROM {NAMES} CROSS JOIN LATERAL \
             ({OPEN_ROWS} WHERE {} UNION ALL {DONE_ROWS} WHERE {}) AS p WHERE {}",
            admin::summary(),
            named("o"),
            named("d"),
            admin::LIVING,
        );
        let rows = asked.query(tx, &sql).await?;
        let read = admin::with_specs(tx, rows.iter().map(admin::Raw::new).collect()).await?;
        let mut found: Vec<Option<Summary>> = keys.iter().map(|_| None).collect();
        for (row, summary) in rows.iter().zip(read) {
            if let Some(place) = found.get_mut(position(row, admin::SUMMARY_COLUMNS)) {
                *place = Some(summary);
            }
        }
        Ok(found)
    }

    /// Notes that the owners of open polls are to cancel them; returns for each whether it was open.
    pub(super) async fn request_cancel_all(&self, keys: &[PollKey]) -> Result<Vec<bool>, Fault> {
        self.tell_owners(keys, "cancel").await
    }

    /// Puts `cancel` or `hasten` for open polls into the inbox; returns for each whether it was open.
    pub(super) async fn tell_owners(&self, keys: &[PollKey], what: &'static str) -> Result<Vec<bool>, Fault> {
        let asked = Asked::new(keys, self.shard_count);
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
        let rows = asked.query(&tx, &sql).await?;
        tx.commit().await?;
        self.telling.tell();
        let mut open = vec![false; keys.len()];
        for row in &rows {
            if let Some(place) = open.get_mut(position(row, 0)) {
                *place = true;
            }
        }
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
        let (mut finishes, mut positions) = (Vec::new(), Vec::new());
        let mut named = HashSet::new();
        let mut repeated = Vec::new();
        for (position, (key, summary)) in keys.iter().zip(found).enumerate() {
            let Some(Summary { created_at, restarts, ended, .. }) = summary else {
                endings.push(None);
                continue;
            };
            if ended.is_some() {
                endings.push(ended);
                continue;
            }
            let outcome = outcome_without_request(OutcomeKind::Cancelled, created_at, now, restarts);
            endings.push(Some(Ending::of(&outcome)));
            if named.insert(key) {
                finishes.push(Finish::new(shard_of(key, self.shard_count), key.clone(), None, &outcome)?);
                positions.push(position);
            } else {
                repeated.push(position);
            }
        }
        let mut lost: HashMap<&PollKey, Vec<usize>> = HashMap::new();
        if !finishes.is_empty() {
            for (ended, position) in self.finish_all(&finishes, false).await?.into_iter().zip(positions) {
                if !ended {
                    lost.entry(&keys[position]).or_default().push(position);
                }
            }
        }
        // Others have ended or forgotten these meanwhile.
        for position in repeated {
            if let Some(positions) = lost.get_mut(&keys[position]) {
                positions.push(position);
            }
        }
        let names: Vec<PollKey> = lost.keys().map(|key| (*key).clone()).collect();
        for (key, summary) in names.iter().zip(self.summaries_of(&names).await?) {
            let ended = summary.and_then(|summary| summary.ended);
            for position in &lost[key] {
                endings[*position].clone_from(&ended);
            }
        }
        Ok(Some(endings))
    }
}
