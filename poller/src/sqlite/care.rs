//! What operators do with a file: copy it while it is in use, shrink it, check it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;

use futures_util::StreamExt as _;
use rusqlite::{Connection, OpenFlags};

use super::SqliteStore;
use super::errors::{Action, failure};
use super::file;
use super::rows::{ReadError, Rows, Snapshot};
use crate::key::PollKey;
use crate::store::{Selection, StoreAdmin as _, StoreError};

/// How many polls are read in one snapshot: others wait for the reader meanwhile.
const TOGETHER: usize = 256;

/// The most problems that [`SqliteStore::verify`] returns.
const PROBLEMS: usize = 100;

impl SqliteStore {
    /// Copies the store, as it is at one moment, to a new file that needs no log. The store may be in use, by this process
    /// and by others; they are not held up. The copy appears under its name once it is complete and on the disk.
    ///
    /// # Errors
    /// If `copy` exists or cannot be written, or the store cannot be read.
    pub async fn backup(&self, copy: impl AsRef<Path>) -> Result<(), StoreError> {
        let copy = copy.as_ref().to_owned();
        if fs::symlink_metadata(&copy).is_ok() {
            return Err(StoreError::new(format!("{} exists already; name a new file", copy.display())));
        }
        let written = self.inner.reader.run_alone(move |rows| Ok(write_copy(rows.connection(), &copy)));
        written.await?
    }

    /// Rewrites the file without the space that removed polls left. Needs as much free space as the file takes.
    ///
    /// # Errors
    /// If another process uses the file, since it would have to wait, or if it cannot be written.
    pub async fn compact(&self) -> Result<(), StoreError> {
        if let Some(runner) = self.runner().await? {
            return Err(StoreError::new(format!(
                "{runner} runs the polls of {}, and would have to wait; end it first",
                self.inner.runner_lock.path().display()
            )));
        }
        let path = self.inner.runner_lock.path().to_owned();
        let compacted = self.inner.reader.run_alone(move |rows| {
            let vacuum = rows.connection().execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)");
            Ok(vacuum.map_err(|error| failure(Action::Write, &path, error)))
        });
        compacted.await?
    }

    /// Checks the whole file: its pages and indexes, and that every poll can be read with its spec and its outcome. Returns
    /// the problems, at most a hundred; none if all is well. Takes time in proportion to the size of the file.
    ///
    /// # Errors
    /// If the file cannot be read at all.
    pub async fn verify(&self) -> Result<Vec<String>, StoreError> {
        let mut problems = self.inner.reader.run_alone(|rows| Ok(check(rows))).await?;
        match self.check_polls(&mut problems).await {
            // Of a missing table, each poll would say the same.
            Err(error) if error.is_unusable() => problems.push(error.to_string()),
            checked => checked?,
        }
        problems.truncate(PROBLEMS);
        Ok(problems)
    }

    /// Adds what is wrong with each poll.
    async fn check_polls(&self, problems: &mut Vec<String>) -> Result<(), StoreError> {
        let mut pages = pin!(self.walk(Selection::all()));
        while let Some(page) = pages.next().await {
            for polls in page?.chunks(TOGETHER) {
                if problems.len() >= PROBLEMS {
                    return Ok(());
                }
                // What the summary says of itself comes first; the others are read whole.
                let well = polls.iter().filter(|poll| poll.problem.is_none()).map(|poll| poll.key.clone());
                let mut read = self.unreadable(well.collect()).await?.into_iter();
                for poll in polls {
                    let found = poll.problem.clone().or_else(|| read.next().flatten());
                    problems.extend(found.map(|problem| format!("the poll {}: {problem}", poll.key)));
                }
            }
        }
        Ok(())
    }

    /// Why each of these polls cannot be read with its spec and its outcome; `None` for one that can, or that another process
    /// has removed meanwhile. Sealed secrets need the key.
    async fn unreadable(&self, keys: Vec<PollKey>) -> Result<Vec<Option<String>>, StoreError> {
        let read = move |file: &mut Snapshot<'_>| {
            let found = keys.iter().map(|key| match file.get(key) {
                Ok(_) => Ok(None),
                Err(ReadError::Content(message)) => Ok(Some(message)),
                Err(ReadError::Sealed(_, error)) => Ok(Some(error.to_string())),
                Err(error @ ReadError::Database(_)) => Err(error),
            });
            found.collect()
        };
        self.inner.reader.run(read).await
    }
}

fn write_copy(connection: &Connection, copy: &Path) -> Result<(), StoreError> {
    let cannot = |error: io::Error| {
        StoreError::with_source(format!("cannot write {}: {error}", copy.display()), error)
    };
    let mut part = copy.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let _ = fs::remove_file(&part);
    file::create_private(&part).map_err(cannot)?;
    let copied = copy_to(connection, &part)
        .map_err(|error| failure(Action::Write, copy, error))
        // No connection to the copy is open any more, so closing the file releases no lock of SQLite.
        .and_then(|()| File::open(&part).and_then(|file| file.sync_all()).map_err(cannot))
        .and_then(|()| fs::hard_link(&part, copy).map_err(cannot));
    let _ = fs::remove_file(&part);
    copied?;
    // The name is in the folder, which some systems cannot sync.
    let folder = copy.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

fn copy_to(connection: &Connection, part: &Path) -> rusqlite::Result<()> {
    let name = part.to_str().ok_or_else(|| rusqlite::Error::InvalidPath(part.to_owned()))?;
    connection.execute("VACUUM INTO ?1", [name])?;
    // No process runs the copy, and it has no log.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let copy = Connection::open_with_flags(Path::new(".").join(part), flags)?;
    copy.execute("UPDATE runs SET needs_log = 0, lock = NULL", [])?;
    copy.close().map_err(|(_, error)| error)
}

/// The problems that SQLite finds, and those between tables.
fn check(rows: &mut Rows) -> Vec<String> {
    let connection = rows.connection();
    let pages = connection.prepare(&format!("PRAGMA integrity_check({PROBLEMS})")).and_then(|mut pages| {
        pages.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()
    });
    let mut problems = pages.unwrap_or_else(|error| vec![error.to_string()]);
    problems.retain(|line| line != "ok");
    for (sql, problem) in [
        (
            "SELECT count(*) FROM specs LEFT JOIN (SELECT spec, count(*) AS used FROM polls GROUP BY spec) ON spec = id \
             WHERE polls != coalesce(used, 0)",
            "specs whose count of polls is wrong: some are removed too late, or too early",
        ),
        (
            "SELECT count(*) FROM outcomes WHERE poll NOT IN (SELECT id FROM polls WHERE ended_at IS NOT NULL)",
            "outcomes that belong to no finished poll",
        ),
        (
            "SELECT count(*) FROM polls WHERE ended_at IS NOT NULL AND id NOT IN (SELECT poll FROM outcomes)",
            "finished polls without an outcome",
        ),
        (
            "SELECT count(*) FROM seals WHERE poll NOT IN (SELECT id FROM polls)",
            "sealed secrets that belong to no poll",
        ),
        (
            "SELECT count(*) FROM attempts WHERE poll NOT IN (SELECT id FROM polls)",
            "attempts that belong to no poll",
        ),
        (
            "SELECT count(*) FROM followed WHERE poll NOT IN (SELECT id FROM polls)",
            "URLs to follow that belong to no poll",
        ),
        (
            "SELECT count(*) FROM outbox WHERE poll NOT IN (SELECT id FROM polls WHERE ended_at IS NOT NULL)",
            "webhooks that belong to no finished poll",
        ),
        ("SELECT count(*) != 1 FROM runs", "wrong numbers of rows in the table runs"),
    ] {
        match connection.query_row(sql, [], |row| row.get::<_, i64>(0)) {
            Ok(count) if count > 0 => problems.push(format!("{count} {problem}")),
            Ok(_) => {}
            Err(error) => problems.push(error.to_string()),
        }
    }
    problems
}
