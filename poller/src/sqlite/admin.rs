//! The store of one file as commands use it, beside its runner or without one.
//!
//! A summary reads no body and opens no secret. This makes a list cheap and complete: it includes polls whose spec this
//! version cannot read, or whose secrets it has no key for, and what can be read of a damaged file.

use std::borrow::Cow;
use std::fs;
use std::sync::Arc;

use futures_core::stream::BoxStream;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter};

use super::SqliteStore;
use super::conditions::Conditions;
use super::identity::beside;
use super::rows::{ReadError, Rows, count, ending, lossy, restarts, timestamp};
use crate::clock::Timestamp;
use crate::job::{PollSpec, SpecError, StoredSpecs};
use crate::key::{PollKey, PollKeys};
use crate::outcome::{Outcome, OutcomeKind};
use crate::store::{
    CallbackKey, Cursor, Ending, FoundOutcome, FoundPoll, Page, PollRecord, Runner, Selection, Store as _,
    StoreAdmin, StoreError, StoreFuture, StoreStatus, StoredPoll, Summary, outcome_without_request,
    random_key,
};

impl StoreAdmin for SqliteStore {
    fn select(&self, selection: Selection) -> StoreFuture<'_, Vec<Summary>> {
        Box::pin(async move {
            let after = selection.after.clone();
            let found = self.inner.reader.run(move |file| select(file.connection, &selection)).await?;
            match (found, after) {
                (None, Some(after)) => Err(StoreError::not_found(&after)),
                (found, _) => Ok(found.unwrap_or_default()),
            }
        })
    }

    fn select_pages(&self, selection: Selection) -> BoxStream<'_, Result<Vec<Summary>, StoreError>> {
        Box::pin(self.walk(selection))
    }

    fn page(&self, selection: Selection, cursor: Option<Cursor>) -> StoreFuture<'_, Page> {
        Box::pin(self.inner.reader.run(move |file| page(file.connection, &selection, cursor.as_ref())))
    }

    fn status(&self, now: Timestamp) -> StoreFuture<'_, StoreStatus> {
        Box::pin(async move {
            let mut status = self.inner.reader.run(move |file| status(file.connection, now)).await?;
            let path = self.inner.runner_lock.path();
            let files = [path.to_owned(), beside(path, "-wal")];
            status.bytes =
                Some(files.iter().filter_map(|file| fs::metadata(file).ok()).map(|file| file.len()).sum());
            Ok(status)
        })
    }

    fn summary(&self, key: PollKey) -> StoreFuture<'_, Option<Summary>> {
        Box::pin(self.inner.reader.run(move |file| summary(file.connection, &key)))
    }

    fn show(&self, key: PollKey) -> StoreFuture<'_, Option<PollRecord>> {
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

    fn outcome(&self, key: PollKey) -> StoreFuture<'_, Option<FoundOutcome>> {
        Box::pin(async move {
            let read = move |rows: &mut Rows| match rows.outcome(&key)? {
                Some(text) => Ok((Some(text), None)),
                None => Ok((None, rows.read(|file| file.get(&key))?)),
            };
            match self.inner.reader.run_statement(read).await? {
                (Some(text), _) => Ok(Some(FoundOutcome::Ended(text))),
                // It may have ended between the two reads.
                (None, poll) => poll.map(FoundOutcome::of).transpose(),
            }
        })
    }

    fn count_open(&self) -> StoreFuture<'_, usize> {
        Box::pin(self.inner.reader.run(|file| Ok(count(file.connection, true)?)))
    }

    fn request_cancel(&self, key: PollKey) -> StoreFuture<'_, bool> {
        Box::pin(self.inner.write(1, move |batch| batch.request_cancel(&key)))
    }

    fn cancel_unrun(&self, key: PollKey, now: Timestamp) -> StoreFuture<'_, Option<Arc<Outcome>>> {
        Box::pin(async move {
            let Some(_until_return) = self.inner.runner_lock.lock_unrun()? else { return Ok(None) };
            let summary = self.summary(key.clone()).await?.ok_or_else(|| StoreError::not_found(&key))?;
            let Summary { created_at, restarts, .. } = summary;
            let outcome = outcome_without_request(OutcomeKind::Cancelled, created_at, now, restarts);
            self.finish(key, Arc::new(outcome)).await.map(Some)
        })
    }

    fn find(&self, keys: Vec<PollKey>) -> StoreFuture<'_, Vec<Option<FoundPoll>>> {
        Box::pin(self.inner.reader.run(move |file| keys.iter().map(|key| file.find(key)).collect()))
    }

    fn get_all(&self, keys: Vec<PollKey>) -> StoreFuture<'_, Vec<Option<StoredPoll>>> {
        Box::pin(self.inner.reader.run(move |file| keys.iter().map(|key| file.get(key)).collect()))
    }

    fn summaries_of(&self, keys: Vec<PollKey>) -> StoreFuture<'_, Vec<Option<Summary>>> {
        Box::pin(self.inner.reader.run(move |file| summaries(file.connection, &keys)))
    }

    fn request_cancel_all(&self, keys: Vec<PollKey>) -> StoreFuture<'_, Vec<bool>> {
        Box::pin(
            self.inner
                .write(keys.len(), move |batch| keys.iter().map(|key| batch.request_cancel(key)).collect()),
        )
    }

    fn cancel_all_unrun(
        &self,
        keys: Vec<PollKey>,
        now: Timestamp,
    ) -> StoreFuture<'_, Option<Vec<Option<Ending>>>> {
        Box::pin(async move {
            let Some(_until_return) = self.inner.runner_lock.lock_unrun()? else { return Ok(None) };
            self.inner.write(keys.len(), move |batch| batch.cancel_named(&keys, now)).await.map(Some)
        })
    }

    fn cancel_selected_unrun(
        &self,
        selection: Selection,
        now: Timestamp,
    ) -> StoreFuture<'_, Option<PollKeys>> {
        Box::pin(async move {
            let Some(_until_return) = self.inner.runner_lock.lock_unrun()? else { return Ok(None) };
            self.inner.write(1, move |batch| batch.cancel_selected(&selection, now)).await.map(Some)
        })
    }

    fn runner(&self) -> StoreFuture<'_, Option<Runner>> {
        Box::pin(std::future::ready(self.inner.runner_lock.runner()))
    }

    fn callback_key(&self) -> StoreFuture<'_, Option<CallbackKey>> {
        Box::pin(async move {
            let new = random_key()?;
            self.inner.write(1, move |batch| batch.callback_key(&new)).await.map(Some)
        })
    }

    fn admits(&self, spec: &PollSpec) -> Result<(), StoreError> {
        Self::admits_with(self.inner.seal_key.as_ref(), spec)
    }
}

/// The statement that reads summaries, from the tables that the file has: a damaged file is listed as far as it can be read.
fn statement(connection: &Connection) -> rusqlite::Result<String> {
    statement_with(connection, "", "polls")
}

/// The same with more columns, from `polls`, which may say by which index.
pub(super) fn statement_with(
    connection: &Connection,
    columns: &str,
    polls: &str,
) -> rusqlite::Result<String> {
    let has = |table: &str| {
        let mut count = connection
            .prepare_cached("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1")?;
        count.query_row([table], |row| row.get::<_, bool>(0))
    };
    let begun = if has("runs")? { "(SELECT max(begun) FROM runs)" } else { "NULL" };
    let (text, join) = match has("specs")? {
        true => ("text", "LEFT JOIN specs ON specs.id = spec"),
        false => ("NULL", ""),
    };
    Ok(format!(
        "SELECT scope, key, created_at, run, restarts, {begun}, cancelling, ended_at, ending, requests, url, spec, {text}{columns} \
         FROM {polls} {join}"
    ))
}

/// The selected polls; `None` if the poll to begin after is missing.
fn select(connection: &Connection, selection: &Selection) -> Result<Option<Vec<Summary>>, ReadError> {
    let mut conditions = Conditions::new(selection);
    if let Some(after) = &selection.after {
        let Some((ended, id)) = place_of(connection, after)? else { return Ok(None) };
        let (ended, id) = (conditions.value(i64::from(ended)), conditions.value(id));
        conditions.texts.push(format!("(ended_at IS NOT NULL, polls.id) > ({ended}, {id})"));
    }
    let limit = conditions.value(i64::try_from(selection.limit).unwrap_or(i64::MAX));
    let mut specs = StoredSpecs::without_key();
    let mut statement = connection.prepare_cached(&format!(
        "{} WHERE {} ORDER BY ended_at IS NOT NULL, polls.id LIMIT {limit}",
        statement(connection)?,
        conditions.text()
    ))?;
    let rows = statement.query_map(params_from_iter(conditions.values), |row| read(row, &mut specs))?;
    Ok(Some(rows.collect::<rusqlite::Result<_>>()?))
}

/// Where a poll is in the list: whether it has ended, and its row id.
pub(super) fn place_of(connection: &Connection, key: &PollKey) -> rusqlite::Result<Option<(bool, i64)>> {
    let mut find = connection
        .prepare_cached("SELECT ended_at IS NOT NULL, id FROM polls WHERE scope = ?1 AND key = ?2")?;
    find.query_row(params![key.scope(), key.key()], |row| Ok((row.get(0)?, row.get(1)?))).optional()
}

/// The number of rows that are looked at for one page: some ten milliseconds, which other readers wait for.
const PAGE_ROWS: i64 = 20_000;

/// Row ids grow in the order of creation, so the newest polls are the last rows, whatever the clock said.
fn page(connection: &Connection, selection: &Selection, cursor: Option<&Cursor>) -> Result<Page, ReadError> {
    let before = cursor.map_or(i64::MAX, |cursor| cursor.place);
    let mut last_row = connection.prepare_cached(
        "SELECT min(id), count(*) FROM (SELECT id FROM polls WHERE id < ?1 ORDER BY id DESC LIMIT ?2)",
    )?;
    let (last_row, rows): (Option<i64>, i64) =
        last_row.query_row([before, PAGE_ROWS], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let Some(last_row) = last_row else { return Ok(Page::default()) };
    let mut conditions = Conditions::new(selection);
    conditions.add(before, |before| format!("polls.id < {before}"));
    conditions.add(last_row, |last| format!("polls.id >= {last}"));
    let limit = conditions.value(i64::try_from(selection.limit).unwrap_or(i64::MAX));
    let mut specs = StoredSpecs::without_key();
    let mut statement = connection.prepare_cached(&format!(
        "{} WHERE {} ORDER BY polls.id DESC LIMIT {limit}",
        statement_with(connection, ", polls.id", "polls")?,
        conditions.text()
    ))?;
    let found =
        statement.query_map(params_from_iter(conditions.values), |row| read_with_id(row, &mut specs))?;
    let found: Vec<(Summary, i64)> = found.collect::<rusqlite::Result<_>>()?;
    let full = selection.limit > 0 && found.len() == selection.limit;
    let place = match found.last() {
        Some((_, id)) if full => Some(*id),
        _ => (rows == PAGE_ROWS).then_some(last_row),
    };
    let last = found.last().map(|(poll, _)| (poll.created_at, poll.key.clone()));
    let (created_at, key) = last.unwrap_or_else(|| (Timestamp::default(), PollKey::new("", "")));
    Ok(Page {
        next: place.map(|place| Cursor::new(created_at, key, place)),
        polls: found.into_iter().map(|(poll, _)| poll).collect(),
    })
}

fn status(connection: &Connection, now: Timestamp) -> Result<StoreStatus, ReadError> {
    let mut status = StoreStatus { finished: count(connection, false)?, ..StoreStatus::default() };
    let mut specs = StoredSpecs::without_key();
    let mut statement =
        connection.prepare_cached(&format!("{} WHERE ended_at IS NULL", statement(connection)?))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let poll = read(row, &mut specs)?;
        status.open += 1;
        status.cancelling += usize::from(poll.cancelling);
        status.overdue += usize::from(poll.deadline.is_some_and(|deadline| deadline <= now));
        status.oldest = Some(status.oldest.map_or(poll.created_at, |oldest| oldest.min(poll.created_at)));
    }
    Ok(status)
}

fn summary(connection: &Connection, key: &PollKey) -> Result<Option<Summary>, ReadError> {
    Ok(summaries(connection, std::slice::from_ref(key))?.pop().flatten())
}

/// The summaries of these polls.
fn summaries(connection: &Connection, keys: &[PollKey]) -> Result<Vec<Option<Summary>>, ReadError> {
    let mut specs = StoredSpecs::without_key();
    let mut statement =
        connection.prepare_cached(&format!("{} WHERE scope = ?1 AND key = ?2", statement(connection)?))?;
    let found = keys.iter().map(|key| {
        statement.query_row(params![key.scope(), key.key()], |row| read(row, &mut specs)).optional()
    });
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

fn read(row: &Row<'_>, specs: &mut StoredSpecs) -> rusqlite::Result<Summary> {
    let created_at = timestamp(row.get(2)?);
    let (scope, key) = (lossy(row, 0)?, lossy(row, 1)?);
    let named = matches!((&scope, &key), (Cow::Borrowed(_), Cow::Borrowed(_)));
    let spec = read_spec(row, specs);
    let begun: Option<i64> = row.get(5)?;
    let problem = match (named, begun, &spec) {
        (false, ..) => Some("the name is not UTF-8".to_owned()),
        (_, _, Err(error)) => Some(error.clone()),
        (_, None, _) => {
            Some("the number of runs is missing in the table runs, so restarts are not known".to_owned())
        }
        _ => None,
    };
    let spec = spec.ok();
    let ended = ending(row, 7)?;
    let run: i64 = row.get(3)?;
    Ok(Summary {
        key: PollKey::new(scope, key),
        created_at,
        deadline: spec.as_ref().map(|spec| created_at + spec.timeout()),
        spec,
        restarts: restarts(row.get(4)?, run, begun.unwrap_or(run), ended.is_none()),
        cancelling: row.get(6)?,
        ended,
        problem,
    })
}

/// The same, and the row id of the poll behind the columns.
pub(super) fn read_with_id(row: &Row<'_>, specs: &mut StoredSpecs) -> rusqlite::Result<(Summary, i64)> {
    Ok((read(row, specs)?, row.get(13)?))
}

/// Specs of one kind are parsed once.
fn read_spec(row: &Row<'_>, specs: &mut StoredSpecs) -> Result<PollSpec, String> {
    let text = |column: usize, what: &str| match row.get_ref(column) {
        Ok(ValueRef::Null) => Err(format!("the {what} is missing")),
        Ok(value) => value.as_str().map_err(|_| format!("the {what} is not UTF-8")),
        Err(error) => Err(error.to_string()),
    };
    let url = text(10, "URL")?;
    let id = row.get(11).map_err(|error| error.to_string())?;
    let unreadable = |error: SpecError| format!("the spec cannot be read: {error}");
    match specs.get(id, url) {
        Some(spec) => spec.map_err(unreadable),
        None => specs.read(id, url, text(12, "spec")?).map_err(unreadable),
    }
}
