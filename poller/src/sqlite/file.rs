//! Opening a file: how connections are set up, how the format is recognised and migrated.
//!
//! The format is SQLite's `user_version`, counted from 1; `application_id` marks the file as a store of polls. Opening a file
//! of an older format migrates it in one transaction, so a crash in between leaves it unchanged.
//! docs/store-format.md describes the tables.
//!
//! A file and its log belong together. A new file is not created beside a log or a held lock that another file left, and a
//! file that [needs its log](LogState) is not opened without it: SQLite would take it for a complete, older file.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Transaction, TransactionBehavior};

use super::errors::{Action, failure};
use super::identity::{INDEX, OWNER_ONLY, beside};
use super::runner_lock::{LOCK, LockFile};
use crate::store::StoreError;

/// "poll" in ASCII; `file` and other programs recognise the file by it.
pub(super) const APPLICATION_ID: i64 = 0x706f_6c6c;

/// The migration at position n leads from format n to format n + 1.
pub(super) const MIGRATIONS: [&str; 7] = [
    include_str!("../../migrations/sqlite/0001_polls.sql"),
    include_str!("../../migrations/sqlite/0002_specs_and_outcomes.sql"),
    include_str!("../../migrations/sqlite/0003_running.sql"),
    include_str!("../../migrations/sqlite/0004_followed.sql"),
    include_str!("../../migrations/sqlite/0005_seals.sql"),
    include_str!("../../migrations/sqlite/0006_spread.sql"),
    include_str!("../../migrations/sqlite/0007_outbox.sql"),
];

/// How long to wait for the transaction of another process.
const BUSY: Duration = Duration::from_secs(5);

const READ_ONLY: std::ffi::c_int = rusqlite::ffi::SQLITE_READONLY;

/// More than there are statements, so none is prepared twice.
const STATEMENTS: usize = 40;

/// Whether the log of a file was there before the file was opened. SQLite creates a missing log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LogState {
    Present,
    /// Missing or empty.
    Missing,
}

impl LogState {
    pub(super) fn of(path: &Path) -> Self {
        match fs::metadata(beside(path, "-wal")) {
            Ok(log) if log.len() > 0 => Self::Present,
            // A log that cannot be looked at cannot be opened, and SQLite says so.
            Err(error) if error.kind() != io::ErrorKind::NotFound => Self::Present,
            _ => Self::Missing,
        }
    }
}

/// Creates the file if it is missing, unless something beside it shows that it was moved away.
pub(super) fn prepare(path: &Path) -> Result<(), StoreError> {
    match fs::metadata(path) {
        // SQLite would delete the log of an empty file.
        Ok(metadata) if metadata.is_file() && metadata.len() == 0 => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        // Opening it reports what is wrong.
        _ => return Ok(()),
    }
    let (file, log) = (path.display(), beside(path, "-wal"));
    if let Some(runner) = LockFile::find(path, &beside(path, LOCK))? {
        return Err(StoreError::new(format!(
            "{file} was moved or removed while {runner} runs its polls; move it back, or end that process"
        )));
    }
    if LogState::of(path) == LogState::Present {
        return Err(StoreError::new(format!(
            "{file} is missing or empty, but its log, {}, is there with its last changes: the file was moved or removed without \
             it. Move the file back, or the log to the file (NAME-wal); to begin a new store, move the log away",
            log.display()
        )));
    }
    // If it fails, SQLite fails as well, and its error is explained. No connection to the new file can be open yet, so
    // closing it releases no lock of SQLite.
    if create_private(path).is_err() && path.is_symlink() {
        // The link leads to a file that is not there yet, which the system creates only without asking for a new one.
        let _ = create(path, OpenOptions::new().write(true).create(true).truncate(false));
    }
    Ok(())
}

/// Fails if other users may write to the file: they could have its runner ask anything, with its rights and its secrets.
pub(super) fn check_owner(path: &Path) -> Result<(), StoreError> {
    #[cfg(unix)]
    if let Ok(metadata) = fs::metadata(path) {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & 0o022 != 0 {
            return Err(StoreError::new(format!(
                "{file} may be written by other users (mode {mode:04o}), who could have this process ask anything with its rights \
                 and secrets; take that right away: chmod go-w {file}",
                file = path.display()
            )));
        }
    }
    Ok(())
}

/// Fails if the index of the log was removed while another process runs the file: SQLite would make a new one, and the two
/// processes would overwrite each other's changes. To be called before the file is opened.
pub(super) fn check_index(path: &Path) -> Result<(), StoreError> {
    let index = beside(path, INDEX);
    let is_missing = || matches!(fs::metadata(&index), Err(error) if error.kind() == io::ErrorKind::NotFound);
    if !is_missing() {
        return Ok(());
    }
    let Some(runner) = LockFile::find(path, &beside(path, LOCK))? else { return Ok(()) };
    // A runner opens the file before it takes its lock, and closes it after: it may have begun between the two looks.
    if !is_missing() {
        return Ok(());
    }
    Err(StoreError::new(format!(
        "{} was moved or removed while {runner} runs the polls of {}; that process ends when it notices: start it again",
        index.display(),
        path.display()
    )))
}

/// Creates an empty file for its owner only; fails if there is one.
pub(super) fn create_private(path: &Path) -> io::Result<()> {
    create(path, OpenOptions::new().write(true).create_new(true))
}

fn create(path: &Path, options: &mut OpenOptions) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(OWNER_ONLY);
    }
    options.open(path).map(drop)
}

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
    set_up(&connection, path)?;
    connection.pragma_update(None, "journal_mode", "wal").map_err(open)?;
    connection.pragma_update(None, "synchronous", "full").map_err(open)?;
    Ok(connection)
}

/// A connection that changes nothing, for users without permission to write.
pub(super) fn connect_for_reading(path: &Path, log: LogState) -> Result<Connection, StoreError> {
    let open = |error| failure(Action::Open, path, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let read = |connection: Connection| {
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        Ok(connection)
    };
    let connection = Connection::open_with_flags(Path::new(".").join(path), flags)
        .and_then(read)
        .or_else(|error| {
            match (log, std::path::absolute(path).ok().and_then(|path| url::Url::from_file_path(path).ok())) {
                // Without a log no process has the file open, so it is read as it is; the log's index cannot be created in a folder
                // that is write-protected.
                (LogState::Missing, Some(mut uri)) => {
                    uri.set_query(Some("immutable=1"));
                    Connection::open_with_flags(uri.as_str(), flags | OpenFlags::SQLITE_OPEN_URI)
                        .and_then(read)
                }
                _ => Err(error),
            }
        })
        .map_err(open)?;
    set_up(&connection, path)?;
    let transaction = connection.unchecked_transaction().map_err(open)?;
    let format = format(&transaction, path)?;
    if format != MIGRATIONS.len() {
        return Err(StoreError::new(format!(
            "{} has the format {format} of an earlier version, which is converted by the first command that may write to it",
            path.display()
        )));
    }
    drop(transaction);
    Ok(connection)
}

fn set_up(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    connection.busy_timeout(BUSY).map_err(|error| failure(Action::Open, path, error))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(())
}

/// Fails if the file needs a log that was not there. If another process runs the file, that process has the log.
pub(super) fn check_log(connection: &Connection, path: &Path, log: LogState) -> Result<(), StoreError> {
    if log == LogState::Present
        || !needs_log(connection).map_err(|error| failure(Action::Open, path, error))?
    {
        return Ok(());
    }
    if LockFile::find(path, &beside(path, LOCK))?.is_some() {
        return Ok(());
    }
    Err(StoreError::new(format!(
        "{} was copied or moved while it was in use, or its log was removed: its last changes are in a log that is not beside \
         it. Copy {}-wal of the same moment, too. If only another program, such as the shell sqlite3, merged the log into the \
         file after a crash, nothing is missing. To go on with what is in the file: \
         sqlite3 FILE 'UPDATE runs SET needs_log = 0'",
        path.display(),
        path.file_name().unwrap_or(path.as_os_str()).to_string_lossy()
    )))
}

/// Whether the file is incomplete without its log.
pub(super) fn needs_log(connection: &Connection) -> rusqlite::Result<bool> {
    let read = connection.query_row("SELECT needs_log FROM runs", [], |row| row.get(0)).optional();
    match read {
        Ok(needs) => Ok(needs.unwrap_or(false)),
        // A damaged file: what is missing is reported where it is read.
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::Unknown) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether closing this connection, if it is the last one, merges the log into the file and removes it.
pub(super) fn merge_at_close(connection: &Connection, merge: bool) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !merge).map(drop)
}

/// Writes the log into the file as far as no reader needs the present content, so that the file itself says that it needs
/// its log.
pub(super) fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
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
