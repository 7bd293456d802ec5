//! Finishing polls, in batches, and the fence of all that a worker writes.
//!
//! ```text
//! fence ─► DELETE FROM open … incarnation ─► INSERT INTO done
//! ```
//!
//! Rows are sorted by (shard, scope, key), because two batches in different orders deadlock. [`creates`](super::creates) has the
//! other half.

use std::collections::HashSet;

use deadpool_postgres::Object;
use futures_util::future::try_join;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use super::clock::NOW;
use super::database::{Fault, Param, Tx, params};
use super::lease::Worker;
use super::shards::Known;
use super::{Inner, micros, or_zero, schema};
use crate::key::PollKey;
use crate::lock::lock;
use crate::outcome::Outcome;
use crate::store::{StoreError, to_json};

/// How often a transaction that lost against another is tried.
pub(super) const TRIES: u32 = 10;

/// An outcome to store.
pub(super) struct Finish {
    pub(super) shard: i32,
    pub(super) key: PollKey,
    /// What this process knows of the poll, if it runs it.
    pub(super) known: Option<Known>,
    pub(super) ended: i64,
    pub(super) ending: &'static str,
    pub(super) requests: i32,
    pub(super) restarts: i32,
    pub(super) text: String,
}

impl Finish {
    pub(super) fn new(
        shard: i32,
        key: PollKey,
        known: Option<Known>,
        outcome: &Outcome,
    ) -> Result<Self, StoreError> {
        let text = to_json("the outcome", outcome)?;
        Ok(Self {
            shard,
            key,
            known,
            ended: micros(outcome.ended_at),
            ending: outcome.name(),
            requests: i32::try_from(outcome.attempts).unwrap_or(i32::MAX),
            restarts: i32::try_from(outcome.restarts).unwrap_or(i32::MAX),
            text,
        })
    }
}

/// Columns of names.
#[derive(Default)]
pub(super) struct Names<'k> {
    pub(super) shards: Vec<i32>,
    pub(super) scopes: Vec<&'k str>,
    pub(super) keys: Vec<&'k str>,
}

impl<'k> FromIterator<(i32, &'k PollKey)> for Names<'k> {
    fn from_iter<I: IntoIterator<Item = (i32, &'k PollKey)>>(polls: I) -> Self {
        let (shards, (scopes, keys)) =
            polls.into_iter().map(|(shard, key)| (shard, (key.scope(), key.key()))).unzip();
        Self { shards, scopes, keys }
    }
}

impl Names<'_> {
    /// The parameters `$1` to `$3` of a statement about these polls.
    pub(super) fn params(&self) -> [Param<'_>; 3] {
        params![self.shards, self.scopes, self.keys]
    }

    /// The parameters `$1` to `$3` of a statement about these polls in these incarnations, and `$4`.
    pub(super) fn with_incarnations<'p>(&'p self, incarnations: &'p Vec<i64>) -> [Param<'p>; 4] {
        params![self.shards, self.scopes, self.keys, *incarnations]
    }
}

impl Inner {
    /// Ends open polls; returns for each whether it was open in this incarnation.
    pub(super) async fn finish_all(&self, finishes: &[Finish], fenced: bool) -> Result<Vec<bool>, Fault> {
        let mut order: Vec<usize> = (0..finishes.len()).collect();
        let place = |number: &usize| (finishes[*number].shard, &finishes[*number].key);
        order.sort_by(|a, b| place(a).cmp(&place(b)));
        let mut tries = 1;
        loop {
            for day in finishes.iter().map(|finish| schema::day_of(finish.ended)).collect::<HashSet<_>>() {
                if !lock(&self.days).contains(&day) {
                    schema::ensure_day(&self.database, day).await?;
                    lock(&self.days).insert(day);
                }
            }
            match self.try_finish(finishes, &order, fenced).await {
                Err(fault) if fault.is_conflict() && tries < TRIES => tries += 1,
                // The partition of that day was dropped meanwhile: its polls are all older than the retention.
                Err(fault) if fault.has_code(&[SqlState::CHECK_VIOLATION]) && tries < TRIES => {
                    tries += 1;
                    lock(&self.days).clear();
                }
                Err(Fault::Deposed) => {
                    self.suspect();
                    return Err(Fault::Deposed);
                }
                result => return result,
            }
        }
    }

    async fn try_finish(
        &self,
        finishes: &[Finish],
        order: &[usize],
        fenced: bool,
    ) -> Result<Vec<bool>, Fault> {
        let sorted: Vec<&Finish> = order.iter().map(|number| &finishes[*number]).collect();
        let names: Names<'_> = sorted.iter().map(|finish| (finish.shard, &finish.key)).collect();
        let incarnations: Vec<Option<i64>> =
            sorted.iter().map(|finish| finish.known.map(|known| known.incarnation)).collect();
        let ended: Vec<i64> = sorted.iter().map(|finish| finish.ended).collect();
        let restarts: Vec<i32> = sorted.iter().map(|finish| finish.restarts).collect();
        let requests: Vec<i32> = sorted.iter().map(|finish| finish.requests).collect();
        let endings: Vec<&str> = sorted.iter().map(|finish| finish.ending).collect();
        let texts: Vec<&str> = sorted.iter().map(|finish| &*finish.text).collect();
        let numbers: Vec<i32> = (0..).take(sorted.len()).collect();
        let tx = self.database.write_later().await?;
        let fence = async { if fenced { self.fence(&tx).await.map(drop) } else { Ok(()) } };
        // Sent together: each waits for those before it in the server.
        try_join(tx.begin(), fence).await?;
        let may =
            |what: fn(&Known) -> bool| finishes.iter().any(|finish| finish.known.as_ref().is_none_or(what));
        let sql = finish_sql(may(|known| known.has_webhook));
        let params = params![
            names.shards,
            names.scopes,
            names.keys,
            incarnations,
            ended,
            restarts,
            requests,
            endings,
            texts,
            numbers
        ];
        let mut results = vec![false; finishes.len()];
        let rows = if may(|known| known.has_extras) {
            let rows = tx.query(&sql, &params).await?;
            let ended = gone(&rows).map(|number| sorted[number]);
            let extras = ended.filter(|finish| finish.known.is_none_or(|known| known.has_extras));
            remove_extras(&tx, &extras.map(|finish| (finish.shard, &finish.key)).collect()).await?;
            tx.commit().await?;
            rows
        } else {
            tx.commit_with(&sql, &params).await?
        };
        for number in gone(&rows) {
            results[order[number]] = true;
        }
        self.telling.tell();
        if rows.iter().any(|row| row.get::<_, bool>(1)) {
            self.added.notify_one();
        }
        let mut shards = self.shards();
        for finish in finishes {
            shards.remove(finish.shard, &finish.key);
        }
        Ok(results)
    }

    /// Fails unless this process has its lease, and keeps it from being taken over until the transaction ends. The lock does
    /// not wait for renewals, nor they for it.
    pub(super) async fn fence(&self, tx: &Tx<Object>) -> Result<Worker, Fault> {
        let Some(worker) = self.worker() else { return Err(Fault::Deposed) };
        let sql = format!(
            "SELECT 1 FROM poll.worker WHERE id = $1 AND epoch = $2 AND expires > {NOW} FOR KEY SHARE"
        );
        let held = tx.first(&sql, &params![worker.id, worker.epoch]).await?;
        if held.is_some() { Ok(worker) } else { Err(Fault::Deposed) }
    }
}

/// Ends open polls. With `hooks`, webhooks are added for the polls whose specs have one. Returns one row: the numbers of the polls that were
/// open, and whether there are new webhooks.
fn finish_sql(hooks: bool) -> String {
    let (with, count) = if hooks {
        (
            ", hooks AS (INSERT INTO poll.outbox (shard, scope, key, incarnation, created, ended, receiver, state, due) \
                 SELECT g.shard, g.scope, g.key, g.incarnation, g.created, g.ended, s.webhook, 'pending', g.ended \
                 FROM gone g JOIN poll.specs s ON s.id = g.spec WHERE s.webhook IS NOT NULL RETURNING 1)",
            "(SELECT count(*) FROM hooks) > 0",
        )
    } else {
        ("", "false")
    };
    format!(
        "WITH n AS (SELECT * FROM unnest($1::int4[], $2::text[], $3::text[], $4::int8[], $5::int8[], $6::int4[], \
             $7::int4[], $8::text[], $9::text[], $10::int4[]) \
             AS n (shard, scope, key, incarnation, ended, restarts, requests, ending, outcome, number)), \
         gone AS (DELETE FROM poll.open o USING n \
             WHERE o.shard = n.shard AND o.scope = n.scope AND o.key = n.key \
             AND o.incarnation = coalesce(n.incarnation, o.incarnation) \
             RETURNING o.shard, o.scope, o.key, o.incarnation, o.created, o.spec, o.url, n.ended, n.restarts, n.requests, \
                 n.ending, n.outcome, n.number), \
         kept AS (INSERT INTO poll.done (shard, scope, key, incarnation, created, ended, restarts, requests, spec, url, \
             ending, outcome) \
             SELECT shard, scope, key, incarnation, created, ended, restarts, requests, spec, url, ending, outcome \
             FROM gone){with} \
         SELECT array_agg(number), {count} FROM gone"
    )
}

/// The numbers of the polls that were open, of the row of [`finish_sql`].
fn gone(rows: &[Row]) -> impl Iterator<Item = usize> {
    let numbers = rows.iter().filter_map(|row| row.get::<_, Option<Vec<i32>>>(0)).flatten();
    numbers.map(or_zero)
}

/// Removes what other tables have of polls that have ended.
async fn remove_extras(tx: &Tx<Object>, names: &Names<'_>) -> Result<(), Fault> {
    if names.shards.is_empty() {
        return Ok(());
    }
    for table in ["followed", "attempts"] {
        tx.execute(
            &format!(
                "DELETE FROM poll.{table} t USING unnest($1::int4[], $2::text[], $3::text[]) AS n (shard, scope, key) \
                 WHERE t.shard = n.shard AND t.scope = n.scope AND t.key = n.key"
            ),
            &names.params(),
        )
        .await?;
    }
    Ok(())
}
