//! Opening a store's file: whose it is, which format it has, how the connections to it behave.
//!
//! The format is SQLite's `user_version`, counted from 1; `application_id` says that the file is one of ours. A file of an
//! older format is brought up to date when it is opened, in one transaction: a crash in the midst leaves it as it was.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::errors::{Doing, failure};
use crate::store::StoreError;

/// "poll", so that `file` and other programs can tell what the file is.
pub(super) const APPLICATION_ID: i64 = 0x706f_6c6c;

/// Each brings the file from the format of its position to the next.
pub(super) const MIGRATIONS: [&str; 2] = [
    include_str!("../../migrations/sqlite/0001_polls.sql"),
    include_str!("../../migrations/sqlite/0002_specs_and_outcomes.sql"),
];

/// How long to wait for another process's transaction.
const BUSY: Duration = Duration::from_secs(5);

const READ_ONLY: std::ffi::c_int = rusqlite::ffi::SQLITE_READONLY;

/// The statements are few, and none is prepared twice.
const STATEMENTS: usize = 32;

/// A connection whose commits are on the disk when they return.
pub(super) fn connect(path: &Path) -> Result<Connection, StoreError> {
    let open = |error| failure(Doing::Open, path, error);
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // SQLite takes `:memory:` and what begins with `file:` for something else than a file of that name, unless a folder
    // stands before it.
    let connection = Connection::open_with_flags(Path::new(".").join(path), flags).map_err(open)?;
    // SQLite opens what it may not write for reading, and fails later, in other words.
    if connection.is_readonly(rusqlite::MAIN_DB).map_err(open)? {
        return Err(open(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(READ_ONLY), None)));
    }
    connection.busy_timeout(BUSY).map_err(open)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "journal_mode", "wal").map_err(open)?;
    connection.pragma_update(None, "synchronous", "full").map_err(open)?;
    Ok(connection)
}

/// Makes the file one of ours, in today's format. One that is that already is only read: whoever wants to look at it does
/// not wait for those who write.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let open = |error| failure(Doing::Open, path, error);
    let known = MIGRATIONS.len();
    let reading = connection.transaction_with_behavior(TransactionBehavior::Deferred).map_err(open)?;
    if format(&reading, path)? == known {
        return Ok(());
    }
    reading.finish().map_err(open)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(open)?;
    // Another process may have been faster.
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

/// Target format the file has; 0 for one that is empty.
fn format(transaction: &Transaction<'_>, path: &Path) -> Result<usize, StoreError> {
    let open = |error| failure(Doing::Open, path, error);
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
