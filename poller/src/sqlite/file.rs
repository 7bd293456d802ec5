//! Opening a file: how connections are set up, how the format is recognised and migrated.
//!
//! The format is SQLite's `user_version`, counted from 1; `application_id` marks the file as a store of polls. Opening a file
//! of an older format migrates it in one transaction, so a crash in between leaves it unchanged.
//! docs/store-format.md describes the tables.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::errors::{Action, failure};
use crate::store::StoreError;

/// "poll" in ASCII; `file` and other programs recognise the file by it.
pub(super) const APPLICATION_ID: i64 = 0x706f_6c6c;

/// The migration at position n leads from format n to format n + 1.
pub(super) const MIGRATIONS: [&str; 2] = [
    include_str!("../../migrations/sqlite/0001_polls.sql"),
    include_str!("../../migrations/sqlite/0002_specs_and_outcomes.sql"),
];

/// How long to wait for the transaction of another process.
const BUSY: Duration = Duration::from_secs(5);

const READ_ONLY: std::ffi::c_int = rusqlite::ffi::SQLITE_READONLY;

/// More than there are statements, so none is prepared twice.
const STATEMENTS: usize = 32;

/// A connection whose commits are on the disk when they return.
pub(super) fn connect(path: &Path) -> Result<Connection, StoreError> {
    let open = |error| failure(Action::Open, path, error);
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // SQLite gives `:memory:` and names that begin with `file:` a special meaning, unless a folder precedes them.
    let connection = Connection::open_with_flags(Path::new(".").join(path), flags).map_err(open)?;
    // SQLite opens a write-protected file for reading and would fail later with a less clear message.
    if connection.is_readonly(rusqlite::MAIN_DB).map_err(open)? {
        return Err(open(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(READ_ONLY), None)));
    }
    connection.busy_timeout(BUSY).map_err(open)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "journal_mode", "wal").map_err(open)?;
    connection.pragma_update(None, "synchronous", "full").map_err(open)?;
    Ok(connection)
}

/// Brings the file to the current format. A file of the current format is only read, so opening it does not wait for
/// writers.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let open = |error| failure(Action::Open, path, error);
    let known = MIGRATIONS.len();
    let reading = connection.transaction_with_behavior(TransactionBehavior::Deferred).map_err(open)?;
    if format(&reading, path)? == known {
        return Ok(());
    }
    reading.finish().map_err(open)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(open)?;
    // Another process may have migrated it meanwhile.
    let done = format(&transaction, path)?;
    if done < known {
        for migration in &MIGRATIONS[done..] {
            transaction.execute_batch(migration).map_err(open)?;
        }
        transaction
            .pragma_update(None, "user_version", i64::try_from(known).unwrap_or(i64::MAX))
            .map_err(open)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(open)?;
    }
    transaction.commit().map_err(open)
}

/// The format of the file; 0 for an empty file.
fn format(transaction: &Transaction<'_>, path: &Path) -> Result<usize, StoreError> {
    let open = |error| failure(Action::Open, path, error);
    let pragma =
        |name: &str| transaction.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(open);
    let (version, owner) = (pragma("user_version")?, pragma("application_id")?);
    let tables: i64 =
        transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(open)?;
    if owner != APPLICATION_ID && tables > 0 {
        return Err(StoreError::new(format!(
            "{} is an SQLite file of another program; name another file for the polls",
            path.display()
        )));
    }
    let known = MIGRATIONS.len();
    let format = usize::try_from(version).unwrap_or(usize::MAX);
    if format > known {
        return Err(StoreError::new(format!(
            "{} was written by a newer version (format {version}, this version knows {known}); use that version",
            path.display()
        )));
    }
    Ok(format)
}
