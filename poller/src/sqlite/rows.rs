//! Reading polls from rows.

use std::borrow::Cow;
use std::sync::Arc;

use rusqlite::{Connection, Row, params};

use super::seen_ids::IdRange;
use crate::clock::Timestamp;
use crate::job::{PollSpec, SpecError, StoredSpecs};
use crate::key::PollKey;
use crate::outcome::{Attempt, FailureReason, Outcome, OutcomeKind};
use crate::seal::SealKey;
use crate::store::{StoredPoll, outcome_without_request};

/// The failure of a read.
#[derive(Debug)]
pub(super) enum ReadError {
    Database(rusqlite::Error),
    /// A row has content that this version, or this seal key, cannot read.
    Content(String),
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
const COLUMNS: &str = "id, scope, key, url, spec, created_at, run, restarts, ended_at IS NULL, begun";

/// A row before its spec is read.
struct Raw<'r> {
    id: i64,
    key: PollKey,
    url: &'r str,
    spec: i64,
    created_at: Timestamp,
    restarts: u32,
    is_open: bool,
    /// Whether the name is valid UTF-8 and thus the stored one.
    is_named: bool,
}

impl<'r> Raw<'r> {
    fn read(row: &'r Row<'_>) -> rusqlite::Result<Self> {
        let (run, before, is_open, begun): (i64, i64, bool, i64) =
            (row.get(6)?, row.get(7)?, row.get(8)?, row.get(9)?);
        let (scope, key) = (lossy(row, 1)?, lossy(row, 2)?);
        Ok(Self {
            id: row.get(0)?,
            is_named: matches!((&scope, &key), (Cow::Borrowed(_), Cow::Borrowed(_))),
            key: PollKey::new(scope, key),
            // A text that is not UTF-8 is reported as an invalid URL.
            url: row.get_ref(3)?.as_str().unwrap_or_default(),
            spec: row.get(4)?,
            created_at: timestamp(row.get(5)?),
            restarts: restarts(before, run, begun, is_open),
            is_open,
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

/// A name. In a damaged file it may not be UTF-8, and the poll must be reported all the same.
fn lossy<'r>(row: &'r Row<'_>, column: usize) -> rusqlite::Result<Cow<'r, str>> {
    Ok(String::from_utf8_lossy(row.get_ref(column)?.as_bytes()?))
}

impl Rows {
    pub(super) fn new(connection: Connection, seal_key: Option<SealKey>) -> Self {
        Self { connection, specs: StoredSpecs::new(seal_key) }
    }

    /// A number that changes with every commit of another connection. Reading it touches no page of the file, only the
    /// memory that all connections share.
    pub(super) fn version(&self) -> Result<i64, ReadError> {
        Ok(self.connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?)
    }

    /// Reads from one snapshot of the file.
    pub(super) fn read<T>(
        &mut self,
        read: impl FnOnce(&mut Snapshot<'_>) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let transaction = self.connection.transaction()?;
        read(&mut Snapshot { connection: &transaction, specs: &mut self.specs })
    }
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
            .prepare_cached(&format!("SELECT {COLUMNS} FROM polls, runs WHERE scope = ?1 AND key = ?2"))?;
        let mut rows = statement.query(params![key.scope(), key.key()])?;
        match rows.next()? {
            Some(row) => Ok(Some(self.poll(Raw::read(row)?)?)),
            None => Ok(None),
        }
    }

    pub(super) fn list(&mut self) -> Result<Vec<StoredPoll>, ReadError> {
        let mut statement = self
            .connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM polls, runs ORDER BY created_at, scope, key"))?;
        let mut rows = statement.query([])?;
        let mut polls = Vec::new();
        while let Some(row) = rows.next()? {
            polls.push(self.poll(Raw::read(row)?)?);
        }
        Ok(polls)
    }

    /// The first `most` open polls in a range of row ids. A poll that cannot be read gets an outcome that says so.
    pub(super) fn open_in(&mut self, range: IdRange, most: usize) -> Result<Loaded, ReadError> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM polls, runs WHERE ended_at IS NULL AND id > ?1 AND id < ?2 ORDER BY id LIMIT ?3"
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
                    loaded.unreadable.push((id, key, unreadable(message, created_at, restarts)));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(loaded)
    }

    /// Open polls to cancel.
    pub(super) fn cancelling(&self) -> Result<Vec<PollKey>, ReadError> {
        let mut statement =
            self.connection.prepare_cached("SELECT scope, key FROM polls WHERE cancelling ORDER BY id")?;
        let keys = statement
            .query_map([], |row| Ok(PollKey::new(row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        Ok(keys.collect::<rusqlite::Result<_>>()?)
    }

    /// The number of polls that are open, or that are finished.
    pub(super) fn count(&self, open: bool) -> Result<usize, ReadError> {
        let condition = if open { "IS NULL" } else { "IS NOT NULL" };
        let mut count = self
            .connection
            .prepare_cached(&format!("SELECT count(*) FROM polls WHERE ended_at {condition}"))?;
        Ok(usize::try_from(count.query_row([], |row| row.get::<_, i64>(0))?).unwrap_or(0))
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

    /// Checks that the key can open the secrets of all open polls. With a wrong key it is better to run nothing than to end
    /// polls as failed that the right key could run.
    pub(super) fn check_seals(&self, seal_key: Option<&SealKey>) -> Result<(), ReadError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT text FROM specs WHERE instr(text, '\"$sealed\"') \
             AND id IN (SELECT spec FROM polls WHERE ended_at IS NULL)",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let text = row.get_ref(0)?.as_str().unwrap_or_default();
            SealKey::check(seal_key, text).map_err(|error| {
                ReadError::Content(format!("the secrets of its polls cannot be opened: {error}"))
            })?;
        }
        Ok(())
    }

    fn poll(&mut self, raw: Raw<'_>) -> Result<StoredPoll, ReadError> {
        let Raw { id, key, url, spec, created_at, restarts, is_open, is_named } = raw;
        if !is_named {
            return Err(ReadError::Content("it is not UTF-8".to_owned()).of("name", &key));
        }
        let spec = self.spec(spec, url).map_err(|error| error.of("spec", &key))?;
        let outcome =
            if is_open { None } else { Some(self.outcome(id).map_err(|error| error.of("outcome", &key))?) };
        Ok(StoredPoll { key, spec, created_at, restarts, outcome })
    }

    fn spec(&mut self, number: i64, url: &str) -> Result<PollSpec, ReadError> {
        let content = |error: SpecError| ReadError::Content(error.to_string());
        if let Some(known) = self.specs.get(number, url) {
            return known.map_err(content);
        }
        let mut statement = self.connection.prepare_cached("SELECT text FROM specs WHERE id = ?1")?;
        let mut rows = statement.query([number])?;
        let Some(row) = rows.next()? else {
            return Err(ReadError::Content("it is missing".to_owned()));
        };
        let text = row.get_ref(0)?.as_str().map_err(|_| ReadError::Content("it is not UTF-8".to_owned()))?;
        self.specs.read(number, url, text).map_err(content)
    }

    fn outcome(&self, poll: i64) -> Result<Arc<Outcome>, ReadError> {
        let mut statement = self.connection.prepare_cached("SELECT outcome FROM outcomes WHERE poll = ?1")?;
        let mut rows = statement.query([poll])?;
        let Some(row) = rows.next()? else {
            return Err(ReadError::Content("it is missing".to_owned()));
        };
        let text = row.get_ref(0)?.as_bytes().map_err(rusqlite::Error::from)?;
        serde_json::from_slice(text).map(Arc::new).map_err(|error| ReadError::Content(error.to_string()))
    }
}

impl ReadError {
    /// Adds the name of the poll and of the unreadable part.
    fn of(self, what: &str, key: &PollKey) -> Self {
        match self {
            Self::Content(message) => {
                Self::Content(format!("the {what} of the poll {key} cannot be read: {message}"))
            }
            database => database,
        }
    }
}

fn unreadable(explanation: String, created_at: Timestamp, restarts: u32) -> Outcome {
    let kind = OutcomeKind::Failed { reason: FailureReason::Unreadable, response: None, explanation };
    outcome_without_request(kind, created_at, created_at, restarts)
}
