//! The store of one file as commands use it, beside its runner or without one.
//!
//! A summary reads no body and opens no secret. This makes a list cheap and complete: it includes polls whose spec this
//! version cannot read, or whose secrets it has no key for.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::SqliteStore;
use super::rows::{ReadError, restarts, timestamp};
use super::runner_lock::LockResult;
use crate::clock::{BoxFuture, Timestamp};
use crate::job::{PollSpec, StoredSpecs};
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

const SUMMARIES: &str = "SELECT scope, key, created_at, run, restarts, begun, cancelling, ended_at, ending, requests, \
     url, spec, text FROM polls JOIN runs LEFT JOIN specs ON specs.id = spec";

fn summaries(connection: &Connection) -> Result<Vec<Summary>, ReadError> {
    let mut specs = StoredSpecs::without_key();
    let mut statement =
        connection.prepare_cached(&format!("{SUMMARIES} ORDER BY ended_at IS NOT NULL, polls.id"))?;
    let rows = statement.query_map([], |row| read(row, &mut specs))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn summary(connection: &Connection, key: &PollKey) -> Result<Option<Summary>, ReadError> {
    let mut specs = StoredSpecs::without_key();
    let mut statement = connection.prepare_cached(&format!("{SUMMARIES} WHERE scope = ?1 AND key = ?2"))?;
    Ok(statement.query_row(params![key.scope(), key.key()], |row| read(row, &mut specs)).optional()?)
}

fn read(row: &Row<'_>, specs: &mut StoredSpecs) -> rusqlite::Result<Summary> {
    let created_at = timestamp(row.get(2)?);
    let spec = read_spec(row, specs);
    let ended = match row.get::<_, Option<i64>>(7)? {
        None => None,
        Some(at) => Some(Ending {
            at: timestamp(at),
            outcome: row.get(8)?,
            attempts: row.get::<_, Option<i64>>(9)?.and_then(|count| u32::try_from(count).ok()).unwrap_or(0),
        }),
    };
    Ok(Summary {
        key: PollKey::new(row.get::<_, String>(0)?, row.get::<_, String>(1)?),
        created_at,
        deadline: spec.as_ref().map(|spec| created_at + spec.timeout()),
        spec,
        restarts: restarts(row.get(4)?, row.get(3)?, row.get(5)?, ended.is_none()),
        cancelling: row.get(6)?,
        ended,
    })
}

/// Specs of one kind are parsed once.
fn read_spec(row: &Row<'_>, specs: &mut StoredSpecs) -> Option<PollSpec> {
    let (url, id) = (row.get_ref(10).ok()?.as_str().ok()?, row.get(11).ok()?);
    let text = || row.get_ref(12).ok()?.as_str().ok();
    match specs.get(id, url) {
        Some(spec) => spec.ok(),
        None => specs.read(id, url, text()?).ok(),
    }
}
