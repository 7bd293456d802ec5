//! The store as commands use it, beside workers or without one.
//!
//! A summary reads no body and opens no secret, so a list includes polls whose spec this version cannot read.

use std::sync::Arc;

use deadpool_postgres::Object;
use tokio_postgres::Row;

use super::clock::NOW;
use super::database::{Fault, Tx, params};
use super::lease::until_of;
use super::reads::{read_spec, spec_texts};
use super::{Inner, PostgresStore, micros, or_zero, timestamp};
use crate::clock::Timestamp;
use crate::job::{PollSpec, StoredSpecs};
use crate::key::PollKey;
use crate::outcome::Outcome;
use crate::store::{
    CallbackKey, Cursor, Ending, FoundPoll, Page, PollRecord, Runner, Selection, StoreAdmin, StoreError,
    StoreFuture, StoreStatus, Summary, random_key,
};

/// Whether the cancellation of an open poll, a row `p`, was requested.
pub(super) const CANCELLING: &str = "EXISTS (SELECT FROM poll.inbox i WHERE i.shard = p.shard AND i.scope = p.scope \
     AND i.key = p.key AND i.incarnation = p.incarnation AND i.what = 'cancel')";

/// The columns that [`Raw`] reads, of a row `p` of [`OPEN_ROWS`](super::lists::OPEN_ROWS) or
/// [`DONE_ROWS`](super::lists::DONE_ROWS).
pub(super) fn summary() -> String {
    format!(
        "p.scope, p.key, p.created, p.spec, p.url, \
         CASE WHEN p.finished THEN p.number \
             ELSE greatest((SELECT s.run FROM poll.shard s WHERE s.id = p.shard) - p.number, 0) END, \
         NOT p.finished AND {CANCELLING}, p.ended, p.ending, p.requests"
    )
}

/// Whether a row `p` is not removed.
pub(super) const LIVING: &str = "(NOT p.finished OR p.ended >= (SELECT horizon FROM poll.meta))";

/// Their number.
pub(super) const SUMMARY_COLUMNS: usize = 10;

impl StoreAdmin for PostgresStore {
    fn select(&self, selection: Selection) -> StoreFuture<'_, Vec<Summary>> {
        self.call("list polls", async move |inner| inner.select(selection).await)
    }

    fn page(&self, selection: Selection, cursor: Option<Cursor>) -> StoreFuture<'_, Page> {
        self.call("list polls", async move |inner| inner.list_page(selection, cursor).await)
    }

    fn status(&self, now: Timestamp) -> StoreFuture<'_, StoreStatus> {
        self.call("count polls", async move |inner| inner.status(now).await)
    }

    fn summary(&self, key: PollKey) -> StoreFuture<'_, Option<Summary>> {
        self.call("read a poll", async move |inner| Ok(inner.summaries_of(&[key]).await?.pop().flatten()))
    }

    fn show(&self, key: PollKey) -> StoreFuture<'_, Option<PollRecord>> {
        self.call("read a poll", async move |inner| inner.show(&key).await)
    }

    fn count_open(&self) -> StoreFuture<'_, usize> {
        self.call("count polls", async move |inner| {
            let row = inner.database.read().await?.first("SELECT count(*) FROM poll.open", &[]).await?;
            Ok(row.map_or(0, |row| or_zero(row.get::<_, i64>(0))))
        })
    }

    fn request_cancel(&self, key: PollKey) -> StoreFuture<'_, bool> {
        self.call("request a cancellation", async move |inner| {
            Ok(inner.tell_owners(&[key], "cancel").await? == [true])
        })
    }

    fn find(&self, keys: Vec<PollKey>) -> StoreFuture<'_, Vec<Option<FoundPoll>>> {
        self.call("read polls", async move |inner| inner.find_all(&keys).await)
    }

    fn summaries_of(&self, keys: Vec<PollKey>) -> StoreFuture<'_, Vec<Option<Summary>>> {
        self.call("read polls", async move |inner| inner.summaries_of(&keys).await)
    }

    fn request_cancel_all(&self, keys: Vec<PollKey>) -> StoreFuture<'_, Vec<bool>> {
        self.call("request cancellations", async move |inner| inner.tell_owners(&keys, "cancel").await)
    }

    fn cancel_all_unrun(
        &self,
        keys: Vec<PollKey>,
        now: Timestamp,
    ) -> StoreFuture<'_, Option<Vec<Option<Ending>>>> {
        self.call("cancel polls", async move |inner| inner.cancel_all_unrun(&keys, now).await)
    }

    fn cancel_unrun(&self, key: PollKey, now: Timestamp) -> StoreFuture<'_, Option<Arc<Outcome>>> {
        self.call("cancel a poll", async move |inner| inner.cancel_unrun(&key, now).await)
    }

    fn runner(&self) -> StoreFuture<'_, Option<Runner>> {
        self.call("read the workers", async move |inner| inner.runner().await)
    }

    fn callback_key(&self) -> StoreFuture<'_, Option<CallbackKey>> {
        self.call("read the key of callbacks", async move |inner| {
            let new = random_key()?;
            let tx = inner.database.write().await?;
            let sql = "UPDATE poll.meta SET callback_key = $1 WHERE callback_key IS NULL";
            tx.execute(sql, &params![&new[..]]).await?;
            let row = tx.first("SELECT callback_key FROM poll.meta", &[]).await?;
            tx.commit().await?;
            Ok(row.and_then(|row| row.get::<_, &[u8]>(0).try_into().ok()))
        })
    }

    fn admits(&self, spec: &PollSpec) -> Result<(), StoreError> {
        Inner::stored(&PollKey::new("", ""), spec).map(drop)
    }
}

/// A row before its spec is read.
pub(super) struct Raw {
    summary: Summary,
    spec: i64,
    url: Option<String>,
}

impl Raw {
    pub(super) fn new(row: &Row) -> Self {
        let key = PollKey::new(row.get::<_, &str>(0), row.get::<_, &str>(1));
        let ended = row.get::<_, Option<i64>>(7).map(|at| Ending {
            at: timestamp(at),
            outcome: row.get::<_, Option<String>>(8).unwrap_or_default(),
            attempts: row.get::<_, Option<i32>>(9).map_or(0, or_zero),
        });
        Self {
            summary: Summary {
                restarts: or_zero(row.get::<_, i32>(5)),
                cancelling: row.get(6),
                ended,
                ..Summary::new(key, timestamp(row.get(2)))
            },
            spec: row.get(3),
            url: row.get(4),
        }
    }
}

impl Inner {
    async fn status(&self, now: Timestamp) -> Result<StoreStatus, Fault> {
        let tx = self.database.snapshot().await?;
        let row = tx
            .first(
                "SELECT count(*), count(*) FILTER (WHERE deadline <= $1), min(created), \
                     (SELECT count(*) FROM poll.done d WHERE d.ended >= (SELECT horizon FROM poll.meta)), \
                     (SELECT count(DISTINCT (i.shard, i.scope, i.key)) FROM poll.inbox i JOIN poll.open o USING (shard, scope, key, incarnation) \
                         WHERE i.what = 'cancel'), \
                     (SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::int8 FROM pg_class c \
                         JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'poll' AND c.relkind = 'r') \
                 FROM poll.open",
                &params![micros(now)],
            )
            .await?;
        tx.rollback().await?;
        let number = |row: &Row, column: usize| or_zero(row.get::<_, i64>(column));
        Ok(row.map_or_else(StoreStatus::default, |row| StoreStatus {
            open: number(&row, 0),
            overdue: number(&row, 1),
            oldest: row.get::<_, Option<i64>>(2).map(timestamp),
            finished: number(&row, 3),
            cancelling: number(&row, 4),
            bytes: u64::try_from(row.get::<_, i64>(5)).ok(),
        }))
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
        let (shard, scope, name) = (self.shard_of(key), key.scope(), key.key());
        let sql = "SELECT a.history FROM poll.attempts a JOIN poll.open o USING (shard, scope, key, incarnation) \
             WHERE shard = $1 AND scope = $2 AND key = $3";
        let row = tx.first(sql, &params![shard, scope, name]).await?;
        let attempts = row.map_or_else(|| Ok(Vec::new()), |row| serde_json::from_str(row.get(0)));
        let attempts = attempts.map_err(|error| {
            StoreError::new(format!("the attempts of the poll {key} cannot be read: {error}"))
        })?;
        tx.rollback().await?;
        Ok(Some(PollRecord { poll, cancelling, attempts, runner }))
    }

    async fn cancel_unrun(&self, key: &PollKey, now: Timestamp) -> Result<Option<Arc<Outcome>>, Fault> {
        if self.cancel_all_unrun(std::slice::from_ref(key), now).await?.is_none() {
            return Ok(None);
        }
        self.stored_outcome(key).await.map(Some)
    }

    /// The worker, if there is one; of several, none is named.
    pub(super) async fn runner(&self) -> Result<Option<Runner>, Fault> {
        let sql = format!("SELECT process, runs_until, host = $1 FROM poll.worker WHERE expires > {NOW}");
        let rows = self.database.read().await?.query(&sql, &params![self.host]).await?;
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
    let texts = spec_texts(tx, raws.iter().map(|raw| raw.spec).collect()).await?;
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
