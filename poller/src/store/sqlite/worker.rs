//! The two threads that talk to SQLite, which blocks: one that writes, one that reads.
//!
//! The writer takes everything that waits into one transaction. A write that changes nothing (its poll is there already,
//! or is not) is an answer, not an error; an error of the database rolls all of the transaction back, and everyone in it
//! gets that error: nobody is told of a success that was not synced.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak, mpsc};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use super::super::{PollKey, StoreError, StoredPoll};
use super::batch::{Batch, Ended, Which};
use super::errors::{Doing, failure};
use super::lock::Seat;
use super::rows::{ReadError, Rows, Snapshot};

/// The most writes in one transaction: enough to share a sync, not so many that the first waits long for the last.
const BATCH: usize = 4096;

type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// A change to the file. Each is answered by how many rows it changed.
pub(super) enum Write {
    /// One, if it was new.
    Create { poll: Box<StoredPoll>, spec: Arc<str> },
    /// One, if it was open.
    Finish { which: Which, ended: Box<Ended> },
    /// One, if it was finished.
    Forget { key: PollKey },
    /// Marks an open poll as to be cancelled: one, if it was open.
    AskToCancel { key: PollKey },
    /// Counts one run.
    BeginRun,
}

impl Write {
    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<usize> {
        Ok(match self {
            Self::Create { poll, spec } => batch.create(poll, spec)?.into(),
            Self::Finish { which, ended } => batch.finish(which, ended)?.into(),
            Self::Forget { key } => batch.forget(key)?.into(),
            Self::AskToCancel { key } => batch.ask_to_cancel(key)?.into(),
            Self::BeginRun => batch.begin_run().map(|()| 1)?,
        })
    }
}

struct Waiting {
    write: Write,
    answer: Answer<usize>,
}

#[derive(Clone, Debug)]
pub(super) struct Writer {
    path: PathBuf,
    queue: mpsc::Sender<Waiting>,
}

impl Writer {
    /// The thread does not keep the seat: it goes with the store, and the file can then be run by others at once.
    pub(super) fn spawn(mut connection: Connection, seat: &Arc<Seat>) -> Result<Self, StoreError> {
        let (queue, waiting) = mpsc::channel::<Waiting>();
        let path = seat.path().to_owned();
        let (shown, seat) = (path.clone(), Arc::downgrade(seat));
        thread("poll-store-writer", move || {
            while let Ok(first) = waiting.recv() {
                let mut batch = vec![first];
                batch.extend(waiting.try_iter().take(BATCH - 1));
                let results = commit(&mut connection, &batch, &seat);
                // Whoever asked may have stopped waiting; the change is made all the same.
                match results {
                    Ok(results) => batch.into_iter().zip(results).for_each(|(waiting, changed)| {
                        let _ = waiting.answer.send(Ok(changed));
                    }),
                    Err(error) => {
                        let error = failure(Doing::Write, &shown, error);
                        batch.into_iter().for_each(|waiting| {
                            let _ = waiting.answer.send(Err(error.clone()));
                        });
                    }
                }
            }
        })?;
        Ok(Self { path, queue })
    }

    /// Returns how many rows were changed, once that is on the disk.
    pub(super) async fn run(&self, write: Write) -> Result<usize, StoreError> {
        let (answer, result) = oneshot::channel();
        self.queue.send(Waiting { write, answer }).map_err(|_| stopped(&self.path))?;
        result.await.map_err(|_| stopped(&self.path))?
    }
}

fn commit(
    connection: &mut Connection,
    waiting: &[Waiting],
    seat: &Weak<Seat>,
) -> rusqlite::Result<Vec<usize>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let creates = waiting.iter().any(|waiting| matches!(waiting.write, Write::Create { .. }));
    let mut batch = Batch::new(&transaction, creates && seat.upgrade().is_some_and(|seat| seat.is_taken()));
    let results = waiting
        .iter()
        .map(|waiting| waiting.write.apply(&mut batch))
        .collect::<rusqlite::Result<Vec<usize>>>()?;
    batch.complete()?;
    transaction.commit()?;
    Ok(results)
}

type Read = Box<dyn FnOnce(&mut Rows) + Send>;

#[derive(Clone, Debug)]
pub(super) struct Reader {
    path: PathBuf,
    queue: mpsc::Sender<Read>,
}

impl Reader {
    pub(super) fn spawn(mut rows: Rows, path: &Path) -> Result<Self, StoreError> {
        let (queue, waiting) = mpsc::channel::<Read>();
        thread("poll-store-reader", move || {
            for read in waiting {
                read(&mut rows);
            }
        })?;
        Ok(Self { path: path.to_owned(), queue })
    }

    pub(super) async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Snapshot<'_>) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, result) = oneshot::channel();
        let read: Read = Box::new(move |rows| {
            let _ = answer.send(rows.read(read));
        });
        self.queue.send(read).map_err(|_| stopped(&self.path))?;
        match result.await.map_err(|_| stopped(&self.path))? {
            Ok(value) => Ok(value),
            Err(ReadError::Database(error)) => Err(failure(Doing::Read, &self.path, error)),
            Err(ReadError::Content(message)) => {
                Err(StoreError::new(format!("cannot use {}: {message}", self.path.display())))
            }
        }
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
