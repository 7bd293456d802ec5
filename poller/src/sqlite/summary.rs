//! Polls at a glance: what a list shows, taken from the columns without reading specs and bodies back.
//!
//! That makes a list cheap, and whole: a poll whose spec this version cannot read, or whose secrets it has no key for, is
//! in it like any other.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::rows::{ReadError, restarts, timestamp};
use crate::key::PollKey;
use crate::store::{Ending, Summary};

/// A spec's timeout is read once for all polls that share it.
const SELECT: &str = "WITH kinds AS MATERIALIZED (\
       SELECT id AS spec, iif(json_valid(text), json_extract(text, '$.timeout'), NULL) AS timeout FROM specs\
     ) SELECT scope, key, created_at, run, restarts, begun, cancelling, ended_at, timeout, ending, requests \
     FROM polls JOIN runs LEFT JOIN kinds USING (spec)";

/// Open polls first, each kind in the order of their creation.
pub(super) fn all(connection: &Connection) -> Result<Vec<Summary>, ReadError> {
    let mut statement = connection.prepare_cached(&format!("{SELECT} ORDER BY ended_at IS NOT NULL, id"))?;
    let rows = statement.query_map([], read)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn one(connection: &Connection, key: &PollKey) -> Result<Option<Summary>, ReadError> {
    let mut statement = connection.prepare_cached(
        "SELECT scope, key, created_at, run, restarts, begun, cancelling, ended_at, \
         iif(json_valid(text), json_extract(text, '$.timeout'), NULL), ending, requests \
         FROM polls JOIN runs LEFT JOIN specs ON specs.id = spec WHERE scope = ?1 AND key = ?2",
    )?;
    Ok(statement.query_row(params![key.scope(), key.key()], read).optional()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Summary> {
    let created_at = timestamp(row.get(2)?);
    // A spec from the future may have anything there; what is no number of seconds is not known.
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
