//! Reading polls from rows.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, Row, params};
use serde_json::value::RawValue;

use super::errors::{Action, failure};
use super::packed;
use super::seen_ids::IdRange;
use crate::clock::Timestamp;
use crate::job::{PollSpec, SpecError, StoredSpecs, has_secrets};
use crate::key::PollKey;
use crate::outcome::{Attempt, Outcome};
use crate::seal::{Binding, SealKey, key_of};
use crate::secret::SecretError;
use crate::store::{Ending, FoundPoll, StoreError, StoredPoll, unreadable};

/// The failure of a read.
#[derive(Debug)]
pub(super) enum ReadError {
    Database(rusqlite::Error),
    /// A row has content that this version cannot read.
    Content(String),
    /// The secrets of a poll are sealed with a key that was not given: its id, and the error.
    Sealed(String, SecretError),
}

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

/// One page of open polls.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub(super) open: Vec<StoredPoll>,
    /// Polls that cannot be read, by their row ids, with the outcome that says so.
    pub(super) unreadable: Vec<(i64, PollKey, Outcome)>,
    /// Polls whose secrets cannot be opened, by their row ids, with the id of the key.
    pub(super) sealed: Vec<(i64, PollKey, String)>,
    /// The row id of the last poll in the page.
    pub(super) last: i64,
    /// The number of polls in the page.
    pub(super) rows: usize,
}

/// A connection for reading, with a cache of specs.
#[derive(Debug)]
pub(super) struct Rows {
    connection: Connection,
    specs: StoredSpecs,
}

/// The columns of a poll without its outcome.
const COLUMNS: &str = "id, scope, key, url, spec, created_at, run, restarts, ended_at IS NULL, \
     (SELECT max(begun) FROM runs), (SELECT url FROM followed WHERE poll = polls.id), first_after";

/// A row before its spec is read.
struct Raw<'r> {
    id: i64,
    key: PollKey,
    url: &'r str,
    spec: i64,
    created_at: Timestamp,
    first_after: Duration,
    restarts: u32,
    is_open: bool,
    followed: Option<Arc<str>>,
    /// Whether the name is valid UTF-8 and thus the stored one.
    is_named: bool,
}

impl<'r> Raw<'r> {
    fn read(row: &'r Row<'_>) -> rusqlite::Result<Self> {
        let (run, before, is_open): (i64, i64, bool) = (row.get(6)?, row.get(7)?, row.get(8)?);
        // Missing in a damaged file.
        let begun = row.get::<_, Option<i64>>(9)?.unwrap_or(run);
        let (scope, key) = (lossy(row, 1)?, lossy(row, 2)?);
        Ok(Self {
            id: row.get(0)?,
            is_named: matches!((&scope, &key), (Cow::Borrowed(_), Cow::Borrowed(_))),
            key: PollKey::new(scope, key),
            // A text that is not UTF-8 is reported as an invalid URL.
            url: row.get_ref(3)?.as_str().unwrap_or_default(),
            spec: row.get(4)?,
            created_at: timestamp(row.get(5)?),
            first_after: Duration::from_micros(u64::try_from(row.get::<_, i64>(11)?).unwrap_or(0)),
            restarts: restarts(before, run, begun, is_open),
            is_open,
            // A text that is not UTF-8 is in a damaged file; the poll then asks its own URL.
            followed: row.get_ref(10)?.as_str().ok().map(Into::into),
        })
    }
}

/// The restarts of a poll: those stored, and for an open poll the runs begun since its first.
pub(super) fn restarts(before: i64, run: i64, begun: i64, is_open: bool) -> u32 {
    let since = if is_open { begun.saturating_sub(run).max(0) } else { 0 };
    u32::try_from(before.saturating_add(since)).unwrap_or(u32::MAX)
}

pub(super) fn timestamp(micros: i64) -> Timestamp {
    Timestamp::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// How a poll has ended, of three columns; `None` if it is open.
pub(super) fn ending(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Ending>> {
    let Some(at) = row.get(column)? else { return Ok(None) };
    let attempts = row.get::<_, Option<i64>>(column + 2)?.and_then(|count| u32::try_from(count).ok());
    Ok(Some(Ending::new(timestamp(at), lossy(row, column + 1)?, attempts.unwrap_or(0))))
}

/// A name. In a damaged file it may not be UTF-8, and the poll must be reported all the same.
pub(super) fn lossy<'r>(row: &'r Row<'_>, column: usize) -> rusqlite::Result<Cow<'r, str>> {
    Ok(String::from_utf8_lossy(row.get_ref(column)?.as_bytes()?))
}

impl Rows {
    pub(super) fn new(connection: Connection, seal_key: Option<SealKey>) -> Self {
        Self { connection, specs: StoredSpecs::new(seal_key) }
    }

    pub(super) const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// A number that changes with every commit of another connection. Reading it touches no page of the file, only the
    /// memory that all connections share.
    pub(super) fn version(&self) -> Result<i64, ReadError> {
        Ok(self.connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?)
    }

    /// Reads from one snapshot of the file: the one that is [shared](Self::share), or a new one.
    pub(super) fn read<T>(
        &mut self,
        read: impl FnOnce(&mut Snapshot<'_>) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let is_new = self.connection.is_autocommit();
        if is_new {
            begin(&self.connection)?;
        }
        let result = read(&mut Snapshot { connection: &self.connection, specs: &mut self.specs });
        if is_new {
            end(&self.connection);
        }
        result
    }

    /// Calls `reads` with one snapshot for all of them, if `shared` says so. SQLite ends it after some errors; then, or if it
    /// cannot be taken, each of them takes its own, or has the error.
    pub(super) fn share(&mut self, shared: bool, reads: impl FnOnce(&mut Self)) {
        if shared {
            let _ = begin(&self.connection);
        }
        reads(self);
        end(&self.connection);
    }

    /// The outcome of a poll as JSON; `None` unless it has ended. One statement, which has a snapshot of its own.
    pub(super) fn outcome(&self, key: &PollKey) -> Result<Option<String>, ReadError> {
        // No join: SQLite compiles a statement that joins tables by parameters anew after each binding.
        let mut statement = self.connection.prepare_cached(
            "SELECT iif(ended_at IS NULL, NULL, (SELECT outcome FROM outcomes WHERE poll = polls.id)) \
             FROM polls WHERE scope = ?1 AND key = ?2",
        )?;
        let mut rows = statement.query(params![key.scope(), key.key()])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let Some(text) = row.get_ref(0)?.as_bytes_or_null().map_err(rusqlite::Error::from)? else {
            return Ok(None);
        };
        outcome_text(text).map(Some).map_err(|message| ReadError::Content(message).of("outcome", key))
    }
}

fn begin(connection: &Connection) -> rusqlite::Result<()> {
    // `Connection::transaction` compiles both statements for every transaction, which takes longer than a short read.
    connection.prepare_cached("BEGIN")?.execute([]).map(drop)
}

fn end(connection: &Connection) {
    // SQLite ends a transaction by itself after some errors. If it cannot be ended, the next one cannot begin, and says so.
    if !connection.is_autocommit() {
        let _ = connection.prepare_cached("ROLLBACK").and_then(|mut end| end.execute([]));
    }
}

/// The number of polls that are open, or that are finished.
pub(super) fn count(connection: &Connection, open: bool) -> rusqlite::Result<usize> {
    let condition = if open { "IS NULL" } else { "IS NOT NULL" };
    let mut count =
        connection.prepare_cached(&format!("SELECT count(*) FROM polls WHERE ended_at {condition}"))?;
    Ok(usize::try_from(count.query_row([], |row| row.get::<_, i64>(0))?).unwrap_or(0))
}

/// A stored outcome as JSON, checked only as far as to be an object: to make an [`Outcome`] of it and JSON of that takes many
/// times as long.
fn outcome_text(stored: &[u8]) -> Result<String, String> {
    let text = packed::unpack(stored)?;
    let text: &RawValue = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    if !text.get().starts_with('{') {
        return Err("it is no object".to_owned());
    }
    Ok(text.get().to_owned())
}

/// The file at one moment.
#[derive(Debug)]
pub(super) struct Snapshot<'c> {
    pub(super) connection: &'c Connection,
    specs: &'c mut StoredSpecs,
}

impl Snapshot<'_> {
    pub(super) fn get(&mut self, key: &PollKey) -> Result<Option<StoredPoll>, ReadError> {
        let mut statement = self
            .connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM polls WHERE scope = ?1 AND key = ?2"))?;
        let found = |row: &Row<'_>| self.poll(Raw::read(row)?);
        statement.query_and_then(params![key.scope(), key.key()], found)?.next().transpose()
    }

    /// The poll without its outcome.
    pub(super) fn find(&mut self, key: &PollKey) -> Result<Option<FoundPoll>, ReadError> {
        // Less than a whole poll: a command looks for a million of them.
        let mut statement = self.connection.prepare_cached(
            "SELECT id, url, spec, created_at, ended_at IS NOT NULL FROM polls WHERE scope = ?1 AND key = ?2",
        )?;
        let mut rows = statement.query(params![key.scope(), key.key()])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        // A text that is not UTF-8 is reported as an invalid URL.
        let url = row.get_ref(1)?.as_str().unwrap_or_default();
        let spec = self.spec(row.get(0)?, key, row.get(2)?, url).map_err(|error| error.of("spec", key))?;
        Ok(Some(FoundPoll { spec, created_at: timestamp(row.get(3)?), ended: row.get(4)? }))
    }

    pub(super) fn list(&mut self) -> Result<Vec<StoredPoll>, ReadError> {
        let mut statement = self
            .connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM polls ORDER BY created_at, scope, key"))?;
        statement.query_and_then([], |row| self.poll(Raw::read(row)?))?.collect()
    }

    /// The first `most` open polls in a range of row ids. A poll that cannot be read gets an outcome that says so.
    pub(super) fn open_in(&mut self, range: IdRange, most: usize) -> Result<Loaded, ReadError> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM polls WHERE ended_at IS NULL AND id > ?1 AND id < ?2 ORDER BY id LIMIT ?3"
        ))?;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![range.after, range.before, most])?;
        let mut loaded = Loaded { last: range.after, ..Loaded::default() };
        while let Some(row) = rows.next()? {
            let raw = Raw::read(row)?;
            let (id, created_at, restarts) = (raw.id, raw.created_at, raw.restarts);
            (loaded.last, loaded.rows) = (id, loaded.rows + 1);
            let key = raw.key.clone();
            match self.poll(raw) {
                Ok(poll) => loaded.open.push(poll),
                Err(ReadError::Content(message)) => {
                    loaded.unreadable.push((id, key, unreadable(created_at, restarts, message)));
                }
                Err(ReadError::Sealed(seal_key, _)) => loaded.sealed.push((id, key, seal_key)),
                Err(error) => return Err(error),
            }
        }
        Ok(loaded)
    }

    /// Open polls to cancel.
    pub(super) fn cancelling(&self) -> Result<Vec<PollKey>, ReadError> {
        let mut statement =
            self.connection.prepare_cached("SELECT scope, key FROM polls WHERE cancelling ORDER BY id")?;
        let keys = statement.query_map([], |row| Ok(PollKey::new(lossy(row, 0)?, lossy(row, 1)?)))?;
        Ok(keys.collect::<rusqlite::Result<_>>()?)
    }

    /// The stored attempts of an open poll.
    pub(super) fn attempts(&self, key: &PollKey) -> Result<Vec<Attempt>, ReadError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT history FROM attempts JOIN polls ON polls.id = poll WHERE scope = ?1 AND key = ?2",
        )?;
        let mut rows = statement.query(params![key.scope(), key.key()])?;
        let Some(row) = rows.next()? else { return Ok(Vec::new()) };
        let text = row.get_ref(0)?.as_bytes().map_err(rusqlite::Error::from)?;
        serde_json::from_slice(text)
            .map_err(|error| ReadError::Content(error.to_string()).of("attempts", key))
    }

    fn poll(&mut self, raw: Raw<'_>) -> Result<StoredPoll, ReadError> {
        let Raw { id, key, url, spec, created_at, first_after, restarts, is_open, followed, is_named } = raw;
        if !is_named {
            return Err(ReadError::Content("it is not UTF-8".to_owned()).of("name", &key));
        }
        let spec = self.spec(id, &key, spec, url).map_err(|error| error.of("spec", &key))?;
        let outcome =
            if is_open { None } else { Some(self.outcome(id).map_err(|error| error.of("outcome", &key))?) };
        Ok(StoredPoll { key, spec, created_at, first_after, restarts, followed, outcome })
    }

    fn spec(&mut self, poll: i64, key: &PollKey, number: i64, url: &str) -> Result<PollSpec, ReadError> {
        let content = |error: SpecError| ReadError::Content(error.to_string());
        if let Some(known) = self.specs.get(number, url) {
            return known.map_err(content);
        }
        let mut statement = self.connection.prepare_cached("SELECT text FROM specs WHERE id = ?1")?;
        let mut rows = statement.query([number])?;
        let Some(row) = rows.next()? else {
            return Err(ReadError::Content("it is missing".to_owned()));
        };
        let not_utf8 = |what: &str| ReadError::Content(format!("{what} not UTF-8"));
        let text = row.get_ref(0)?.as_str().map_err(|_| not_utf8("it is"))?;
        if !has_secrets(text) {
            return self.specs.read(number, url, text).map_err(content);
        }
        let mut statement = self.connection.prepare_cached("SELECT sealed FROM seals WHERE poll = ?1")?;
        let mut rows = statement.query([poll])?;
        let sealed = match rows.next()? {
            Some(row) => Some(row.get_ref(0)?.as_str().map_err(|_| not_utf8("its sealed secrets are"))?),
            None => None,
        };
        match (key_of(sealed, text), sealed) {
            (Some(id), _) if !self.specs.has_key(id) => {
                Err(ReadError::Sealed(id.to_owned(), self.specs.lacks_key(id)))
            }
            (_, Some(sealed)) => {
                self.specs.read_sealed(number, sealed, Binding { poll: key, url, text }).map_err(content)
            }
            (Some(_), None) => Err(ReadError::Content(
                "its secrets were sealed by an earlier version, and are sealed anew when the file is opened for writing"
                    .to_owned(),
            )),
            (None, None) => Err(ReadError::Content("its sealed secrets are missing".to_owned())),
        }
    }

    fn outcome(&self, poll: i64) -> Result<Arc<Outcome>, ReadError> {
        let mut statement = self.connection.prepare_cached("SELECT outcome FROM outcomes WHERE poll = ?1")?;
        let mut rows = statement.query([poll])?;
        let Some(row) = rows.next()? else {
            return Err(ReadError::Content("it is missing".to_owned()));
        };
        let text = row.get_ref(0)?.as_bytes().map_err(rusqlite::Error::from)?;
        let text = packed::unpack(text).map_err(ReadError::Content)?;
        serde_json::from_slice(&text).map(Arc::new).map_err(|error| ReadError::Content(error.to_string()))
    }
}

impl ReadError {
    /// The error of a call that reads this file.
    pub(super) fn into_error(self, path: &Path) -> StoreError {
        let shown = path.display();
        match self {
            Self::Database(error) => failure(Action::Read, path, error),
            Self::Content(message) => StoreError::new(format!("cannot use {shown}: {message}")),
            Self::Sealed(_, error) => StoreError::new(format!("cannot read the poll in {shown}: {error}")),
        }
    }

    /// Adds the name of the poll and of the unreadable part.
    fn of(self, what: &str, key: &PollKey) -> Self {
        match self {
            Self::Content(message) => {
                Self::Content(format!("the {what} of the poll {key} cannot be read: {message}"))
            }
            other => other,
        }
    }
}
