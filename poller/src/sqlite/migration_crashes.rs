//! Interrupted migrations: a process killed at any moment leaves a file that opens afterwards with all of its content.
//!
//! Three kinds of interruption cover every state of a file:
//! - the process dies between two steps of SQLite's virtual machine, with a cache so small that most changed pages are on
//!   disk already;
//! - only the first n bytes of the log reached the disk, for each n;
//! - the log is complete, and n of its pages were written back into the file, for each n.
//!
//! Afterwards the file is opened as usual, and its tables are compared with those of an undisturbed migration.

#![cfg(unix)]

use std::fmt::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::types::Value;
use rusqlite::{Connection, params};
use tempfile::TempDir;

use super::{SqliteStore, file};

/// The file that a process is to migrate and, after a colon, the step before which it dies.
const VICTIM: &str = "POLLER_TEST_VICTIM";
/// Its name for the test runner.
const THIS: &str = "sqlite::migration_crashes::a_process_that_dies_at_any_step_of_a_migration_loses_nothing";
/// How many moments are tried.
const MOMENTS: u64 = 60;
/// The signal of `abort`.
const SIGABRT: i32 = 6;
/// What a log begins with, and each page in it.
const LOG_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// A file of an older format.
fn old(format: usize) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("polls.db");
    let mut connection = file::connect(&path).unwrap();
    let transaction = connection.transaction().unwrap();
    for (number, migration) in (1..).zip(&file::MIGRATIONS[..format]) {
        transaction.execute_batch(migration).unwrap();
        // Later formats have what they make of it.
        if number == 1 {
            fill_format_1(&transaction);
        }
    }
    if format > 0 {
        transaction.pragma_update(None, "user_version", i64::try_from(format).unwrap()).unwrap();
        transaction.pragma_update(None, "application_id", file::APPLICATION_ID).unwrap();
    }
    transaction.commit().unwrap();
    // The last connection to a file leaves nothing beside it.
    drop(connection);
    std::fs::read(path).unwrap()
}

/// Polls of all kinds: open, to be cancelled, ended, not to be read, of a spec that many share and of one of their own.
fn fill_format_1(connection: &Connection) {
    let mut insert = connection
        .prepare(
            "INSERT INTO polls (scope, key, spec, created_at, restarts, cancelling, ended_at, outcome) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )
        .unwrap();
    for number in 0..400_i64 {
        let scope = if number % 7 == 0 { "run-17" } else { "" };
        let spec = match number % 50 {
            13 => "not JSON".to_owned(),
            21 => format!(r#"{{"url":"https://example.com/{number}","interval":{number}}}"#),
            _ => format!(r#"{{"url":"https://example.com/{number}","interval":10}}"#),
        };
        let outcome = match number % 3 {
            0 => None,
            1 => Some(format!(
                r#"{{"outcome":"matched","attempts":{number},"response":{{"body":"{}"}}}}"#,
                "x".repeat(200)
            )),
            _ => Some(r#"{"outcome":"timed out","attempts":2}"#.to_owned()),
        };
        let ended = outcome.as_ref().map(|_| 2_000_000 + number);
        let cancelling = number % 11 == 0;
        let key = format!("poll-{number}");
        insert
            .execute(params![scope, key, spec, 1_000_000 + number, number % 4, cancelling, ended, outcome])
            .unwrap();
    }
}

/// All rows of all tables, and what the file says of itself.
fn content(path: &Path) -> String {
    let connection = Connection::open(path).unwrap();
    let check: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    let names = |sql: &str| -> Vec<String> {
        let mut names = connection.prepare(sql).unwrap();
        names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let mut content = names("SELECT coalesce(sql, name) FROM sqlite_schema ORDER BY name").join("\n");
    for pragma in ["user_version", "application_id"] {
        let value: i64 = connection.pragma_query_value(None, pragma, |row| row.get(0)).unwrap();
        let _ = write!(content, "\n{pragma} {value}");
    }
    for table in names("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name") {
        let mut all = connection.prepare(&format!("SELECT * FROM {table} ORDER BY rowid")).unwrap();
        let columns = all.column_count();
        let mut rows = all.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let values: Vec<Value> = (0..columns).map(|column| row.get(column).unwrap()).collect();
            let _ = write!(content, "\n{table} {values:?}");
        }
    }
    content
}

/// Opens the file as always; what is in it then.
fn opened(path: &Path) -> String {
    drop(SqliteStore::open(path).unwrap());
    content(path)
}

/// The content of this file after an undisturbed migration.
fn undisturbed(format: usize, old: &[u8]) -> String {
    let (_folder, path) = laid_down(old, None);
    let content = opened(&path);
    let polls = if format == 0 { 0 } else { 400 };
    assert_eq!(content.matches("\npolls [").count(), polls, "nothing is compared:\n{content}");
    content
}

fn log_of(path: &Path) -> PathBuf {
    path.with_extension("db-wal")
}

/// Migrates a file and dies before a step, if there is that step; returns how many there were.
fn migrate_until(path: &Path, last: u64) -> u64 {
    let mut connection = file::connect(path).unwrap();
    connection.pragma_update(None, "cache_size", 4).unwrap();
    let steps = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&steps);
    let die = move || {
        if counted.fetch_add(1, Ordering::Relaxed) == last {
            std::process::abort();
        }
        false
    };
    connection.progress_handler(1, Some(die)).unwrap();
    file::migrate(&mut connection, path).unwrap();
    steps.load(Ordering::Relaxed)
}

#[test]
fn a_process_that_dies_at_any_step_of_a_migration_loses_nothing() {
    if let Ok(victim) = std::env::var(VICTIM) {
        let (step, path) = victim.split_once(':').unwrap();
        migrate_until(Path::new(path), step.parse().unwrap());
        panic!("there is no step {step}");
    }
    for format in 0..file::MIGRATIONS.len() {
        let old = old(format);
        let expected = undisturbed(format, &old);
        let steps = {
            let (_folder, path) = laid_down(&old, None);
            migrate_until(&path, u64::MAX)
        };
        assert!(steps > MOMENTS, "a migration of {steps} steps");
        let mut torn = 0;
        for moment in 0..MOMENTS {
            // The first step, the last, and as many between.
            let step = moment * (steps - 1) / (MOMENTS - 1);
            let (_folder, path) = laid_down(&old, None);
            let status = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", THIS])
                .env(VICTIM, format!("{step}:{}", path.display()))
                .output()
                .unwrap();
            assert_eq!(
                status.status.signal(),
                Some(SIGABRT),
                "it dies at step {step} of {steps}: {status:?}"
            );
            torn += u64::from(std::fs::metadata(log_of(&path)).is_ok_and(|log| log.len() > 0));
            assert!(
                opened(&path) == expected,
                "something is lost at step {step} of {steps}, format {format}"
            );
        }
        // Other migrations change too few pages to fill a cache.
        assert!(format != 1 || torn > MOMENTS / 2, "only {torn} left something of theirs on the disk");
    }
}

#[test]
fn a_log_that_ends_anywhere_loses_nothing() {
    for format in 0..file::MIGRATIONS.len() {
        let before = old(format);
        let expected = undisturbed(format, &before);
        let (_folder, path) = laid_down(&before, None);
        // An open read transaction prevents the checkpoint of the log into the file.
        let reader = Connection::open(&path).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema").unwrap();
        migrate_until(&path, u64::MAX);
        let log = std::fs::read(log_of(&path)).unwrap();
        assert!(std::fs::read(&path).unwrap() == before, "everything is in the log");
        drop(reader);
        let after = {
            let (folder, path) = laid_down(&before, Some(&log));
            drop(SqliteStore::open(&path).unwrap());
            Connection::open(&path).unwrap().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
            let after = std::fs::read(&path).unwrap();
            drop(folder);
            after
        };
        let page = usize::from(u16::from_be_bytes([after[16], after[17]]));
        let frame = FRAME_HEADER + page;
        let frames = (log.len() - LOG_HEADER) / frame;
        assert!(frames > if format < 2 { 5 } else { 0 }, "{frames} pages are logged");
        // Cut between two pages, in a page, and in what stands before one.
        let ends = (0..frames)
            .flat_map(|n| [0, 10, FRAME_HEADER + page / 2].map(|more| LOG_HEADER + n * frame + more));
        for end in [0, 10].into_iter().chain(ends) {
            let (_folder, path) = laid_down(&before, Some(&log[..end]));
            assert!(opened(&path) == expected, "lost with {end} of {} bytes of the log", log.len());
        }
        for pages in 0..=after.len() / page {
            // The pages written back are of the new format, the others of the old.
            let mut half = after[..pages * page].to_vec();
            half.extend_from_slice(before.get(pages * page..).unwrap_or_default());
            let (_folder, path) = laid_down(&half, Some(&log));
            assert!(opened(&path) == expected, "lost with {pages} pages written back");
        }
    }
}

/// A folder with this file, and this log beside it.
fn laid_down(file: &[u8], log: Option<&[u8]>) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("polls.db");
    std::fs::write(&path, file).unwrap();
    if let Some(log) = log {
        std::fs::write(log_of(&path), log).unwrap();
    }
    (folder, path)
}
