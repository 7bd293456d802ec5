//! Polls as rows: the statements, and what stands in the columns.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::super::{PollKey, StoreError, StoredPoll};
use crate::clock::Timestamp;
use crate::outcome::{Conclusion, Counts, FailureReason, Outcome};
use crate::seal::SealKey;
use crate::spec::StoredSpecs;

/// Why rows could not be read.
#[derive(Debug)]
pub(super) enum ReadError {
    Database(rusqlite::Error),
    /// A row holds what this version, or this key, cannot read.
    Content(String),
}

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

/// What was found open.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub(super) open: Vec<StoredPoll>,
    /// Polls that cannot be gone on with, and the outcome that says so.
    pub(super) unreadable: Vec<(PollKey, Outcome)>,
    /// The number of the last of them, or `seen`.
    pub(super) last: i64,
}

const COLUMNS: &str = "scope, key, spec, created_at, restarts, outcome, id";

struct RawPoll {
    key: PollKey,
    spec: String,
    created_at: Timestamp,
    restarts: u32,
    outcome: Option<String>,
    id: i64,
}

impl RawPoll {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            key: PollKey::new(row.get::<_, String>(0)?, row.get::<_, String>(1)?),
            spec: row.get(2)?,
            created_at: Timestamp::from_micros(u64::try_from(row.get::<_, i64>(3)?).unwrap_or(0)),
            restarts: u32::try_from(row.get::<_, i64>(4)?).unwrap_or(u32::MAX),
            outcome: row.get(5)?,
            id: row.get(6)?,
        })
    }

    fn decode(self, specs: &mut StoredSpecs) -> Result<StoredPoll, ReadError> {
        let Self { key: name, spec, created_at, restarts, outcome, .. } = self;
        let unreadable = |what: &str, error: &dyn std::fmt::Display| {
            ReadError::Content(format!("the {what} of the poll {name} cannot be read: {error}"))
        };
        let spec = specs.read(&spec).map_err(|error| unreadable("spec", &error))?;
        let outcome = match outcome {
            Some(text) => {
                let outcome =
                    serde_json::from_str::<Outcome>(&text).map_err(|error| unreadable("outcome", &error))?;
                Some(Arc::new(outcome))
            }
            None => None,
        };
        Ok(StoredPoll { key: name, spec, created_at, restarts, outcome })
    }
}

pub(super) fn outcome_to_text(outcome: &Outcome) -> Result<String, StoreError> {
    serde_json::to_string(outcome)
        .map_err(|error| StoreError::with_source("the outcome cannot be written as JSON", error))
}

pub(super) fn insert(connection: &Connection, poll: &StoredPoll, spec: &str) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO polls (scope, key, spec, created_at, restarts) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT (scope, key) DO NOTHING",
    )?;
    let (scope, key) = (poll.key.scope(), poll.key.key());
    let changed = statement.execute(params![scope, key, spec, micros(poll.created_at), poll.restarts])?;
    Ok(changed > 0)
}

pub(super) fn finish(
    connection: &Connection,
    key: &PollKey,
    ended_at: Timestamp,
    outcome: &str,
) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached(
        "UPDATE polls SET ended_at = ?3, outcome = ?4 WHERE scope = ?1 AND key = ?2 AND outcome IS NULL",
    )?;
    Ok(statement.execute(params![key.scope(), key.key(), micros(ended_at), outcome])? > 0)
}

pub(super) fn forget(connection: &Connection, key: &PollKey) -> rusqlite::Result<bool> {
    let mut statement = connection
        .prepare_cached("DELETE FROM polls WHERE scope = ?1 AND key = ?2 AND outcome IS NOT NULL")?;
    Ok(statement.execute(params![key.scope(), key.key()])? > 0)
}

pub(super) fn ask_to_cancel(connection: &Connection, key: &PollKey) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached(
        "UPDATE polls SET cancelling = 1 WHERE scope = ?1 AND key = ?2 AND outcome IS NULL",
    )?;
    Ok(statement.execute(params![key.scope(), key.key()])? > 0)
}

/// Open polls that are to be cancelled.
pub(super) fn cancelling(connection: &Connection) -> Result<Vec<PollKey>, ReadError> {
    let mut statement = connection
        .prepare_cached("SELECT scope, key FROM polls WHERE cancelling AND outcome IS NULL ORDER BY id")?;
    let keys = statement
        .query_map([], |row| Ok(PollKey::new(row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    Ok(keys.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn count_restarts(connection: &Connection) -> rusqlite::Result<bool> {
    Ok(connection.execute("UPDATE polls SET restarts = restarts + 1 WHERE outcome IS NULL", [])? > 0)
}

pub(super) fn get(
    connection: &Connection,
    key: &PollKey,
    seal_key: Option<&SealKey>,
) -> Result<Option<StoredPoll>, ReadError> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM polls WHERE scope = ?1 AND key = ?2"))?;
    let row = statement.query_row(params![key.scope(), key.key()], RawPoll::read).optional()?;
    row.map(|row| row.decode(&mut StoredSpecs::new(seal_key.cloned()))).transpose()
}

pub(super) fn list(
    connection: &Connection,
    seal_key: Option<&SealKey>,
) -> Result<Vec<StoredPoll>, ReadError> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM polls ORDER BY created_at, scope, key"))?;
    let mut specs = StoredSpecs::new(seal_key.cloned());
    let rows = statement.query_map([], RawPoll::read)?;
    rows.map(|row| row?.decode(&mut specs)).collect()
}

/// The open polls that came after the one numbered `seen`. One whose spec this version cannot read gets an outcome that says so and stops no other; one whose
/// secrets the given key does not open stops everything, since the right key would make it whole.
pub(super) fn load_open(
    connection: &Connection,
    seen: i64,
    seal_key: Option<&SealKey>,
) -> Result<Loaded, ReadError> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM polls WHERE outcome IS NULL AND id > ?1 ORDER BY id"
    ))?;
    let mut specs = StoredSpecs::new(seal_key.cloned());
    let mut loaded = Loaded { last: seen, ..Loaded::default() };
    for row in statement.query_map([seen], RawPoll::read)? {
        let row = row?;
        loaded.last = row.id;
        let (key, created_at, restarts) = (row.key.clone(), row.created_at, row.restarts);
        let sealed = row.spec.contains(r#""$sealed""#);
        match row.decode(&mut specs) {
            Ok(poll) => loaded.open.push(poll),
            Err(ReadError::Content(message)) if !sealed => {
                loaded.unreadable.push((key, unreadable(message, created_at, restarts)));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(loaded)
}

fn unreadable(message: String, created_at: Timestamp, restarts: u32) -> Outcome {
    Outcome {
        conclusion: Conclusion::Failed {
            reason: FailureReason::Unreadable,
            response: None,
            explanation: message,
        },
        attempts: 0,
        restarts,
        started_at: created_at,
        ended_at: created_at,
        counts: Counts::default(),
        history: Vec::new(),
    }
}

fn micros(time: Timestamp) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}
