//! The store of one file as commands use it, beside its runner or without one.
//!
//! Summaries come from columns and parse no spec. This makes a list cheap and complete: it includes polls whose spec this
//! version cannot read, or whose secrets it has no key for.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::SqliteStore;
use super::rows::{ReadError, restarts, timestamp};
use super::runner_lock::LockResult;
use crate::clock::{BoxFuture, Timestamp};
use crate::job::PollSpec;
use crate::key::PollKey;
use crate::outcome::{Outcome, OutcomeKind};
use crate::store::{
    Ending, PollRecord, Runner, Store as _, StoreAdmin, StoreError, Summary, outcome_without_request,
};

impl StoreAdmin for SqliteStore {
    fn summaries(&self) -> BoxFuture<'_, Result<Vec<Summary>, StoreError>> {
        Box::pin(self.inner.reader.run(|file| summaries(file.connection)))
    }

    fn summary(&self, key: PollKey) -> BoxFuture<'_, Result<Option<Summary>, StoreError>> {
        Box::pin(self.inner.reader.run(move |file| summary(file.connection, &key)))
    }

    fn show(&self, key: PollKey) -> BoxFuture<'_, Result<Option<PollRecord>, StoreError>> {
        Box::pin(async move {
            let runner = self.inner.runner_lock.runner()?;
            let read = self.inner.reader.run(move |file| {
                let Some(poll) = file.get(&key)? else { return Ok(None) };
                let cancelling = summary(file.connection, &key)?.is_some_and(|summary| summary.cancelling);
                let attempts = file.attempts(&key)?;
                Ok(Some(PollRecord { poll, cancelling, attempts, runner }))
            });
            read.await
        })
    }

    fn count_open(&self) -> BoxFuture<'_, Result<usize, StoreError>> {
        Box::pin(self.inner.reader.run(|file| file.count(true)))
    }

    fn request_cancel(&self, key: PollKey) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(self.inner.writer.run(1, move |batch| batch.request_cancel(&key)))
    }

    fn cancel_unrun(
        &self,
        key: PollKey,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Option<Arc<Outcome>>, StoreError>> {
        Box::pin(async move {
            let lock = &self.inner.runner_lock;
            if lock.is_ours() {
                return Ok(None);
            }
            let LockResult::Acquired(_until_return) = lock.lock()? else { return Ok(None) };
            let summary = self.summary(key.clone()).await?.ok_or_else(|| StoreError::not_found(&key))?;
            let Summary { created_at, restarts, .. } = summary;
            let outcome = outcome_without_request(OutcomeKind::Cancelled, created_at, now, restarts);
            self.finish(key, Arc::new(outcome)).await.map(Some)
        })
    }

    fn runner(&self) -> BoxFuture<'_, Result<Option<Runner>, StoreError>> {
        Box::pin(std::future::ready(self.inner.runner_lock.runner()))
    }

    fn admits(&self, spec: &PollSpec) -> Result<(), StoreError> {
        self.stored_text(spec).map(drop)
    }
}

const COLUMNS: &str =
    "scope, key, created_at, run, restarts, begun, cancelling, ended_at, timeout, ending, requests";

/// The timeouts of specs. Materialized, they are extracted once for all polls that share a spec.
const TIMEOUTS: &str =
    "SELECT id AS spec, iif(json_valid(text), json_extract(text, '$.timeout'), NULL) AS timeout FROM specs";

fn summaries(connection: &Connection) -> Result<Vec<Summary>, ReadError> {
    let mut statement = connection.prepare_cached(&format!(
        "WITH timeouts AS MATERIALIZED ({TIMEOUTS}) SELECT {COLUMNS} \
         FROM polls JOIN runs LEFT JOIN timeouts USING (spec) ORDER BY ended_at IS NOT NULL, id"
    ))?;
    let rows = statement.query_map([], read)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn summary(connection: &Connection, key: &PollKey) -> Result<Option<Summary>, ReadError> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM polls JOIN runs LEFT JOIN ({TIMEOUTS}) USING (spec) WHERE scope = ?1 AND key = ?2"
    ))?;
    Ok(statement.query_row(params![key.scope(), key.key()], read).optional()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Summary> {
    let created_at = timestamp(row.get(2)?);
    // The spec of a newer version may hold a timeout that this version cannot read.
    let timeout = row.get::<_, Option<f64>>(8).unwrap_or(None);
    let deadline = timeout.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let ended = match row.get::<_, Option<i64>>(7)? {
        None => None,
        Some(at) => Some(Ending {
            at: timestamp(at),
            outcome: row.get(9)?,
            attempts: row.get::<_, Option<i64>>(10)?.and_then(|count| u32::try_from(count).ok()).unwrap_or(0),
        }),
    };
    Ok(Summary {
        key: PollKey::new(row.get::<_, String>(0)?, row.get::<_, String>(1)?),
        created_at,
        deadline: deadline.map(|timeout| created_at + timeout),
        restarts: restarts(row.get(4)?, row.get(3)?, row.get(5)?, ended.is_none()),
        cancelling: row.get(6)?,
        ended,
    })
}
