//! The store as commands use it, beside workers or without one.
//!
//! A summary reads no body and opens no secret, so a list includes polls whose spec this version cannot read.

use std::sync::Arc;

use deadpool_postgres::Object;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::database::{Fault, Param, Tx};
use super::lease::until_of;
use super::reads::{read_spec, spec_texts};
use super::shards::shard_of;
use super::{Inner, PostgresStore, micros, timestamp};
use crate::clock::{BoxFuture, Timestamp};
use crate::job::{PollSpec, StoredSpecs};
use crate::key::PollKey;
use crate::outcome::{Attempt, Outcome};
use crate::store::{
    CallbackKey, Ending, FoundPoll, PollRecord, Runner, Selection, StoreAdmin, StoreError, StoreStatus,
    Summary, random_key,
};

/// An open poll of `poll.open o`, with the columns of both kinds; the last four are those of finished ones.
pub(super) const OPEN_SUMMARY: &str = "SELECT o.shard, o.scope, o.key, o.created, o.deadline, o.spec, o.url, \
         greatest(s.run - o.run, 0) AS restarts, \
         EXISTS (SELECT FROM poll.inbox i WHERE i.shard = o.shard AND i.scope = o.scope AND i.key = o.key \
             AND i.incarnation = o.incarnation AND i.what = 'cancel') AS cancelling, \
         false AS finished, NULL::int8 AS ended, NULL::text AS ending, NULL::int4 AS requests \
     FROM poll.open o JOIN poll.shard s ON s.id = o.shard";

/// A finished poll of `poll.done d` that is not removed, with the same columns.
pub(super) const DONE_SUMMARY: &str = "SELECT d.shard, d.scope, d.key, d.created, NULL, d.spec, d.url, d.restarts, false, \
         true, d.ended, d.ending, d.requests \
     FROM poll.done d WHERE d.ended >= (SELECT horizon FROM poll.meta)";

/// The columns that [`Raw`] reads.
pub(super) const SUMMARY: &str =
    "p.scope, p.key, p.created, p.spec, p.url, p.restarts, p.cancelling, p.ended, p.ending, p.requests";

/// Their number.
pub(super) const SUMMARY_COLUMNS: usize = 10;

impl StoreAdmin for PostgresStore {
    fn select(&self, selection: Selection) -> BoxFuture<'_, Result<Vec<Summary>, StoreError>> {
        self.call("list polls", async move |inner| inner.select(selection).await)
    }

    fn status(&self, now: Timestamp) -> BoxFuture<'_, Result<StoreStatus, StoreError>> {
        self.call("count polls", async move |inner| inner.status(now).await)
    }

    fn summary(&self, key: PollKey) -> BoxFuture<'_, Result<Option<Summary>, StoreError>> {
        self.call("read a poll", async move |inner| Ok(inner.summaries_of(&[key]).await?.pop().flatten()))
    }

    fn show(&self, key: PollKey) -> BoxFuture<'_, Result<Option<PollRecord>, StoreError>> {
        self.call("read a poll", async move |inner| inner.show(&key).await)
    }

    fn count_open(&self) -> BoxFuture<'_, Result<usize, StoreError>> {
        self.call("count polls", async move |inner| {
            let row = inner.database.read().await?.first("SELECT count(*) FROM poll.open", &[]).await?;
            Ok(row.map_or(0, |row| count(row.get(0))))
        })
    }

    fn request_cancel(&self, key: PollKey) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.call("request a cancellation", async move |inner| inner.request_cancel(&key).await)
    }

    fn find(&self, keys: Vec<PollKey>) -> BoxFuture<'_, Result<Vec<Option<FoundPoll>>, StoreError>> {
        self.call("read polls", async move |inner| inner.find_all(&keys).await)
    }

    fn summaries_of(&self, keys: Vec<PollKey>) -> BoxFuture<'_, Result<Vec<Option<Summary>>, StoreError>> {
        self.call("read polls", async move |inner| inner.summaries_of(&keys).await)
    }

    fn request_cancel_all(&self, keys: Vec<PollKey>) -> BoxFuture<'_, Result<Vec<bool>, StoreError>> {
        self.call("request cancellations", async move |inner| inner.request_cancel_all(&keys).await)
    }

    fn cancel_all_unrun(
        &self,
        keys: Vec<PollKey>,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Option<Vec<Option<Ending>>>, StoreError>> {
        self.call("cancel polls", async move |inner| inner.cancel_all_unrun(&keys, now).await)
    }

    fn cancel_unrun(
        &self,
        key: PollKey,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Option<Arc<Outcome>>, StoreError>> {
        self.call("cancel a poll", async move |inner| inner.cancel_unrun(&key, now).await)
    }

    fn runner(&self) -> BoxFuture<'_, Result<Option<Runner>, StoreError>> {
        self.call("read the workers", async move |inner| inner.runner().await)
    }

    fn callback_key(&self) -> BoxFuture<'_, Result<Option<CallbackKey>, StoreError>> {
        self.call("read the key of callbacks", async move |inner| {
            let new = random_key().map_err(Fault::Store)?.to_vec();
            let tx = inner.database.write().await?;
            tx.execute(
                "UPDATE poll.meta SET callback_key = $1 WHERE callback_key IS NULL",
                &[(&new, Type::BYTEA)],
            )
            .await?;
            let row = tx.first("SELECT callback_key FROM poll.meta", &[]).await?;
            tx.commit().await?;
            Ok(row.and_then(|row| row.get::<_, &[u8]>(0).try_into().ok()))
        })
    }

    fn admits(&self, spec: &PollSpec) -> Result<(), StoreError> {
        Inner::stored_text(&PollKey::new("", ""), spec).map(drop)
    }
}

fn count(number: i64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

/// A row before its spec is read.
pub(super) struct Raw {
    summary: Summary,
    spec: i64,
    url: Option<String>,
}

impl Raw {
    pub(super) fn new(row: &Row) -> Self {
        let ended = row.get::<_, Option<i64>>(7).map(|at| Ending {
            at: timestamp(at),
            outcome: row.get::<_, Option<String>>(8).unwrap_or_default(),
            attempts: row.get::<_, Option<i32>>(9).and_then(|count| u32::try_from(count).ok()).unwrap_or(0),
        });
        Self {
            summary: Summary {
                key: PollKey::new(row.get::<_, &str>(0), row.get::<_, &str>(1)),
                spec: None,
                created_at: timestamp(row.get(2)),
                deadline: None,
                restarts: u32::try_from(row.get::<_, i32>(5)).unwrap_or(0),
                cancelling: row.get(6),
                ended,
                problem: None,
            },
            spec: row.get(3),
            url: row.get(4),
        }
    }
}

impl Inner {
    async fn select(&self, selection: Selection) -> Result<Vec<Summary>, Fault> {
        let Selection { scope, under, prefix, origin, since, states, after, limit } = selection;
        let mut sql =
            format!("SELECT {SUMMARY} FROM ({OPEN_SUMMARY} UNION ALL {DONE_SUMMARY}) AS p WHERE true");
        let mut values: Vec<(Box<dyn ToSql + Sync + Send>, Type)> = Vec::new();
        let mut value = |value: Box<dyn ToSql + Sync + Send>, of: Type| {
            values.push((value, of));
            format!("${}", values.len())
        };
        if let Some(scope) = scope {
            sql += &format!(" AND scope = {}", value(Box::new(scope), Type::TEXT));
        }
        // As `covers` does.
        if let Some(under) = under.filter(|under| !under.is_empty()) {
            let inside = if under.ends_with('/') { under.clone() } else { format!("{under}/") };
            let (under, inside) = (value(Box::new(under), Type::TEXT), value(Box::new(inside), Type::TEXT));
            sql += &format!(" AND (scope = {under} OR starts_with(scope, {inside}))");
        }
        if let Some(origin) = origin {
            // An origin ends where the URL does, or before the first of these.
            let url = "coalesce(url, (SELECT s.url FROM poll.specs s WHERE s.id = spec))";
            let origin = value(Box::new(origin), Type::TEXT);
            sql += &format!(
                " AND starts_with({url}, {origin}) AND substr({url}, length({origin}) + 1, 1) IN ('', '/', '?', '#')"
            );
        }
        if let Some(since) = since {
            sql += &format!(" AND created >= {}", value(Box::new(micros(since)), Type::INT8));
        }
        if let Some(prefix) = prefix {
            sql += &format!(" AND starts_with(key, {})", value(Box::new(prefix), Type::TEXT));
        }
        if !states.is_empty() {
            let states: Vec<String> = states
                .into_iter()
                .map(|state| match &*state {
                    "open" => "(NOT finished AND NOT cancelling)".to_owned(),
                    "cancelling" => "cancelling".to_owned(),
                    _ => format!("(finished AND ending = {})", value(Box::new(state), Type::TEXT)),
                })
                .collect();
            sql += &format!(" AND ({})", states.join(" OR "));
        }
        let tx = self.database.snapshot().await?;
        if let Some(after) = after {
            let (shard, scope, key) = (shard_of(&after, self.shard_count), after.scope(), after.key());
            let row = tx
                .first(
                    "SELECT false, created FROM poll.open WHERE shard = $1 AND scope = $2 AND key = $3 \
                     UNION ALL SELECT true, created FROM poll.done WHERE shard = $1 AND scope = $2 AND key = $3 \
                     AND ended >= (SELECT horizon FROM poll.meta)",
                    &[(&shard, Type::INT4), (&scope, Type::TEXT), (&key, Type::TEXT)],
                )
                .await?;
            let Some(row) = row else { return Err(Fault::Store(StoreError::not_found(&after))) };
            sql += &format!(
                " AND (finished, created, scope, key) > ({}, {}, {}, {})",
                value(Box::new(row.get::<_, bool>(0)), Type::BOOL),
                value(Box::new(row.get::<_, i64>(1)), Type::INT8),
                value(Box::new(scope.to_owned()), Type::TEXT),
                value(Box::new(key.to_owned()), Type::TEXT),
            );
        }
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        sql +=
            &format!(" ORDER BY finished, created, scope, key LIMIT {}", value(Box::new(limit), Type::INT8));
        let params: Vec<Param<'_>> =
            values.iter().map(|(value, of)| (&**value as &(dyn ToSql + Sync), of.clone())).collect();
        let rows = tx.query(&sql, &params).await?;
        let raws: Vec<Raw> = rows.iter().map(Raw::new).collect();
        let summaries = with_specs(&tx, raws).await?;
        tx.rollback().await?;
        Ok(summaries)
    }

    async fn status(&self, now: Timestamp) -> Result<StoreStatus, Fault> {
        let tx = self.database.snapshot().await?;
        let now = micros(now);
        let mut status = StoreStatus::default();
        if let Some(row) = tx
            .first(
                "SELECT count(*), count(*) FILTER (WHERE deadline <= $1), min(created), \
                     (SELECT count(*) FROM poll.done d WHERE d.ended >= (SELECT horizon FROM poll.meta)), \
                     (SELECT count(DISTINCT (i.shard, i.scope, i.key)) FROM poll.inbox i JOIN poll.open o USING (shard, scope, key, incarnation) \
                         WHERE i.what = 'cancel'), \
                     (SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::int8 FROM pg_class c \
                         JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'poll' AND c.relkind = 'r') \
                 FROM poll.open",
                &[(&now, Type::INT8)],
            )
            .await?
        {
            status.open = count(row.get(0));
            status.overdue = count(row.get(1));
            status.oldest = row.get::<_, Option<i64>>(2).map(timestamp);
            status.finished = count(row.get(3));
            status.cancelling = count(row.get(4));
            status.bytes = u64::try_from(row.get::<_, i64>(5)).ok();
        }
        tx.rollback().await?;
        Ok(status)
    }

    async fn show(&self, key: &PollKey) -> Result<Option<PollRecord>, Fault> {
        let runner = self.runner().await?;
        let tx = self.database.lookup().await?;
        let Some(poll) = self.find(&tx, key).await? else {
            tx.rollback().await?;
            return Ok(None);
        };
        let found = self.summaries_in(&tx, std::slice::from_ref(key)).await?.pop().flatten();
        let cancelling = found.is_some_and(|summary| summary.cancelling);
        let (shard, scope, name) = (shard_of(key, self.shard_count), key.scope(), key.key());
        let row = tx
            .first(
                "SELECT a.history FROM poll.attempts a JOIN poll.open o USING (shard, scope, key, incarnation) \
                 WHERE shard = $1 AND scope = $2 AND key = $3",
                &[(&shard, Type::INT4), (&scope, Type::TEXT), (&name, Type::TEXT)],
            )
            .await?;
        let attempts: Vec<Attempt> = match row {
            Some(row) => serde_json::from_str(row.get(0)).map_err(|error| {
                Fault::Store(StoreError::new(format!(
                    "the attempts of the poll {key} cannot be read: {error}"
                )))
            })?,
            None => Vec::new(),
        };
        tx.rollback().await?;
        Ok(Some(PollRecord { poll, cancelling, attempts, runner }))
    }

    /// Notes that the owner of an open poll is to cancel it.
    pub(super) async fn request_cancel(&self, key: &PollKey) -> Result<bool, Fault> {
        Ok(self.request_cancel_all(std::slice::from_ref(key)).await? == [true])
    }

    async fn cancel_unrun(&self, key: &PollKey, now: Timestamp) -> Result<Option<Arc<Outcome>>, Fault> {
        if self.cancel_all_unrun(std::slice::from_ref(key), now).await?.is_none() {
            return Ok(None);
        }
        self.stored_outcome(key).await.map(Some)
    }

    /// The worker, if there is one; of several, none is named.
    pub(super) async fn runner(&self) -> Result<Option<Runner>, Fault> {
        let rows = self
            .database
            .read()
            .await?
            .query(
                "SELECT process, runs_until, host = $1 FROM poll.worker WHERE expires > now()",
                &[(&self.host, Type::TEXT)],
            )
            .await?;
        let until = rows.iter().map(|row| until_of(row.get(1))).max_by_key(|until| *until as u8);
        Ok(until.map(|until| {
            let process = match &rows[..] {
                // The number of a process means something on its own machine only.
                [row] if row.get(2) => u32::try_from(row.get::<_, i32>(0)).ok(),
                _ => None,
            };
            Runner { process, until }
        }))
    }
}

/// Reads the specs of these summaries, each kind once.
pub(super) async fn with_specs(tx: &Tx<Object>, raws: Vec<Raw>) -> Result<Vec<Summary>, Fault> {
    let mut ids: Vec<i64> = raws.iter().map(|raw| raw.spec).collect();
    ids.sort_unstable();
    ids.dedup();
    let texts = spec_texts(tx, &ids).await?;
    let mut specs = StoredSpecs::without_key();
    let summaries = raws.into_iter().map(|Raw { mut summary, spec, url }| {
        match read_spec(&mut specs, spec, url.as_deref(), &texts) {
            Ok(spec) => {
                summary.deadline = Some(summary.created_at + spec.timeout());
                summary.spec = Some(spec);
            }
            Err(problem) => summary.problem = Some(format!("the spec cannot be read: {problem}")),
        }
        summary
    });
    Ok(summaries.collect())
}
