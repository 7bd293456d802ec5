//! The two threads that call SQLite, which blocks: a writer and a reader.
//!
//! The writer takes all waiting changes into one transaction. A change without effect (the poll exists, or does not) is an
//! answer, not an error. An error of the database rolls the whole transaction back, and all its callers get the error: no
//! caller gets a success that was not synced.
//!
//! Before the commit, and again before the answers, the writer checks that the file is still where it was opened: what is
//! written to a file that was moved away is no acknowledgement.
//!
//! The writer's connection closes after the reader's. The last connection to close merges the log into the file and removes
//! it; two connections that close at the same moment would both leave it. A file that says that it [needs its
//! log](super::file::needs_log) is merged only together with that note, and not while another process runs it.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak, mpsc};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{oneshot, watch};

use super::batch::Batch;
use super::errors::{Action, failure};
use super::file;
use super::identity::{OpenedFiles, beside};
use super::rows::{ReadError, Rows, Snapshot};
use super::runner_lock::{LOCK, LockFile, RunnerLock};
use crate::store::StoreError;

/// About the largest number of polls in one transaction: enough to share a sync, and few enough that the first caller does
/// not wait long for the last.
const BATCH: usize = 4096;

/// A change that waits for the next transaction.
trait Change: Send {
    fn apply(&mut self, batch: &mut Batch<'_>) -> rusqlite::Result<()>;

    /// Sends the result of `apply`, or the error of the transaction. The caller may have stopped waiting; the change counts
    /// all the same.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Call<F, T> {
    change: F,
    result: Option<T>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<T: Send, F: FnMut(&mut Batch<'_>) -> rusqlite::Result<T> + Send> Change for Call<F, T> {
    fn apply(&mut self, batch: &mut Batch<'_>) -> rusqlite::Result<()> {
        self.result = Some((self.change)(batch)?);
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let Self { result, answer, .. } = *self;
        if let Some(result) = committed.map(|()| result).transpose() {
            let _ = answer.send(result);
        }
    }
}

/// A change and the number of polls in it.
type Waiting = (usize, Box<dyn Change>);

#[derive(Clone, Debug)]
pub(super) struct Writer {
    path: PathBuf,
    queue: mpsc::Sender<Waiting>,
    /// No value is ever sent: the channel closes when the thread ends.
    closed: watch::Receiver<()>,
}

impl Writer {
    /// The thread holds the lock weakly: the lock ends with the store, and another process can then run the file at once. The
    /// connection closes after that of the reader which holds the other end of `close_after`.
    pub(super) fn spawn(
        mut connection: Connection,
        files: OpenedFiles,
        runner_lock: &Arc<RunnerLock>,
        close_after: mpsc::Receiver<Infallible>,
    ) -> Result<Self, StoreError> {
        let (queue, waiting) = mpsc::channel::<Waiting>();
        let (open, closed) = watch::channel(());
        let path = runner_lock.path().to_owned();
        let (shown, runner_lock) = (path.clone(), Arc::downgrade(runner_lock));
        thread("poll-store-writer", move || {
            // Whether the file itself does not yet say that it needs its log.
            let mut unsaid = false;
            while let Ok((mut polls, first)) = waiting.recv() {
                let mut changes = vec![first];
                while polls < BATCH
                    && let Ok((more, next)) = waiting.try_recv()
                {
                    polls += more;
                    changes.push(next);
                }
                let noted = commit(&mut connection, &mut changes, &files, &runner_lock, &shown);
                let committed = noted.and_then(|noted| {
                    unsaid |= noted;
                    // What is in the log is stored: a file that cannot grow now is no failure of the changes. The next
                    // commit tries again.
                    unsaid = unsaid && file::checkpoint(&connection).is_err();
                    files.check()
                });
                changes.into_iter().for_each(|change| change.answer(committed.clone()));
            }
            // No value is ever sent: this returns when the reader has dropped its end.
            let _ = close_after.recv();
            // A failure leaves the log beside the file, which is complete as well.
            let merge = files.check().is_ok() && prepare_merge(&connection, &shown).unwrap_or(false);
            let _ = file::merge_at_close(&connection, merge);
            drop(connection);
            drop(open);
        })?;
        Ok(Self { path, queue, closed })
    }

    /// Waits until both connections are closed. The future does not keep them open.
    pub(super) fn closed(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut closed = self.closed.clone();
        async move { drop(closed.changed().await) }
    }

    /// Applies a change of `polls` polls in the next transaction, and returns its result once it is on the disk.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        polls: usize,
        change: impl FnMut(&mut Batch<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, result) = oneshot::channel();
        let call = Box::new(Call { change, result: None, answer });
        self.queue.send((polls, call)).map_err(|_| stopped(&self.path))?;
        result.await.map_err(|_| stopped(&self.path))?
    }
}

/// Applies the changes in one transaction. Returns whether it noted that the file needs its log; the note is in the log until
/// a checkpoint. Fails also if another process runs the file, although this one took itself for the runner, or if the file is
/// no longer where it was opened.
fn commit(
    connection: &mut Connection,
    changes: &mut [Box<dyn Change>],
    files: &OpenedFiles,
    runner_lock: &Weak<RunnerLock>,
    path: &Path,
) -> Result<bool, StoreError> {
    let failed = |error| failure(Action::Write, path, error);
    // What is written to a log whose index was removed would overwrite what others wrote.
    files.check()?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let mut batch = Batch::begin(&transaction, runner_lock).map_err(failed)?;
    if let Some(lock) = runner_lock.upgrade() {
        lock.check(Some(batch.begun()))?;
    }
    for change in changes {
        change.apply(&mut batch).map_err(failed)?;
    }
    let noted = batch.complete().map_err(failed)?;
    transaction.commit().map_err(failed)?;
    Ok(noted)
}

/// Removes the note that the file needs its log, unless another process runs the file. Returns whether closing the
/// connection may merge the log.
///
/// A process that begins to run the file meanwhile makes the note again with its next change.
fn prepare_merge(connection: &Connection, path: &Path) -> Result<bool, StoreError> {
    if LockFile::find(path, &beside(path, LOCK))?.is_some() {
        return Ok(false);
    }
    let failed = |error| failure(Action::Write, path, error);
    if file::needs_log(connection).map_err(failed)? {
        connection.execute("UPDATE runs SET needs_log = 0", []).map_err(failed)?;
    }
    Ok(true)
}

/// The largest number of reads in one snapshot. While it is taken, the log cannot be written back beyond it.
const SHARED: usize = 64;

/// A call of the reader, which sends the answer itself.
struct Read {
    /// Whether it may read from a snapshot that others read from.
    shares: bool,
    run: Box<dyn FnOnce(&mut Rows) + Send>,
}

#[derive(Clone, Debug)]
pub(super) struct Reader {
    path: PathBuf,
    queue: mpsc::Sender<Read>,
}

impl Reader {
    /// Holds `open` until its connection is closed.
    pub(super) fn spawn(
        mut rows: Rows,
        path: &Path,
        open: mpsc::Sender<Infallible>,
    ) -> Result<Self, StoreError> {
        let (queue, waiting) = mpsc::channel::<Read>();
        thread("poll-store-reader", move || {
            while let Ok(first) = waiting.recv() {
                let mut shared = Vec::new();
                let mut next = Some(first);
                while let Some(read) = next.take_if(|read| read.shares) {
                    shared.push(read);
                    if shared.len() < SHARED {
                        next = waiting.try_recv().ok();
                    }
                }
                // All of them were asked for before the snapshot is taken, so none of them misses what its caller has seen.
                rows.share(shared.len() > 1, |rows| shared.into_iter().for_each(|read| (read.run)(rows)));
                if let Some(alone) = next {
                    (alone.run)(&mut rows);
                }
            }
            drop(rows);
            drop(open);
        })?;
        Ok(Self { path: path.to_owned(), queue })
    }

    /// Reads from one snapshot of the file. Reads that wait at the same time share it: to lock the file for a snapshot takes
    /// as long as to read a row.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Snapshot<'_>) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.ask(true, move |rows| rows.read(read)).await
    }

    /// The same of a read that is one statement, which needs no snapshot but its own.
    pub(super) async fn run_statement<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Rows) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.ask(true, read).await
    }

    /// Calls `read` while no snapshot is taken; `read` itself decides whether to take one.
    pub(super) async fn run_alone<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Rows) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.ask(false, read).await
    }

    async fn ask<T: Send + 'static>(
        &self,
        shares: bool,
        read: impl FnOnce(&mut Rows) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, result) = oneshot::channel();
        let run = Box::new(move |rows: &mut Rows| {
            let _ = answer.send(read(rows));
        });
        self.queue.send(Read { shares, run }).map_err(|_| stopped(&self.path))?;
        let read = result.await.map_err(|_| stopped(&self.path))?;
        read.map_err(|error| error.into_error(&self.path))
    }
}

fn thread(name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map(drop)
        .map_err(|error| StoreError::with_source(format!("cannot start the thread {name}: {error}"), error))
}

fn stopped(path: &Path) -> StoreError {
    StoreError::new(format!("the thread that serves {} has stopped", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(file: &mut Snapshot<'_>) -> Result<i64, ReadError> {
        Ok(file.connection.query_row("SELECT count(*) FROM polls", [], |row| row.get(0))?)
    }

    #[tokio::test]
    async fn reads_that_wait_share_a_snapshot_and_the_next_ones_take_a_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.db");
        let other = Connection::open(&path).unwrap();
        other.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE polls (id INTEGER)").unwrap();
        let (open, _closed) = mpsc::channel();
        let rows = Rows::new(Connection::open(&path).unwrap(), None);
        let reader = Reader::spawn(rows, &path, open).unwrap();
        let insert = move |file: &mut Snapshot<'_>| {
            let before = count(file)?;
            other.execute("INSERT INTO polls VALUES (1)", [])?;
            Ok((before, count(file)?))
        };
        let wrong = |file: &mut Snapshot<'_>| Ok(file.connection.execute("SELECT nothing", [])?);
        let (release, held) = mpsc::channel();
        // Each is in the queue once it was polled.
        let (_, first, wrong, second, alone, third, ()) = tokio::join!(
            reader.run_alone(move |_| Ok(held.recv().is_ok())),
            reader.run(insert),
            reader.run(wrong),
            reader.run(count),
            reader.run_alone(|rows| Ok(rows.connection().is_autocommit())),
            reader.run(count),
            async { release.send(()).unwrap() },
        );
        assert_eq!((first.unwrap(), second.unwrap()), ((0, 0), 0));
        assert!(wrong.is_err());
        assert!(alone.unwrap(), "no snapshot is taken");
        assert_eq!(third.unwrap(), 1);
    }
}
