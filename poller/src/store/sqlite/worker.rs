//! The two threads that talk to SQLite, which blocks: one that writes, one that reads.
//!
//! The writer takes everything that waits into one transaction. A write that changes nothing (its poll is there already,
//! or is not) is an answer, not an error; an error of the database rolls all of the transaction back, and everyone in it
//! gets that error: nobody is told of a success that was not synced.

use std::path::{Path, PathBuf};
use std::sync::mpsc;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use super::super::{PollKey, StoreError, StoredPoll};
use super::errors::{Doing, failure};
use super::rows;
use crate::clock::Timestamp;

/// The most writes in one transaction: enough to share a sync, not so many that the first waits long for the last.
const BATCH: usize = 4096;

type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// A change to the file.
pub(super) enum Write {
    /// Answers whether it was new.
    Create { poll: Box<StoredPoll>, spec: String, answer: Answer<bool> },
    /// Answers whether it was open.
    Finish { key: PollKey, ended_at: Timestamp, outcome: String, answer: Answer<bool> },
    /// Answers whether it was finished.
    Forget { key: PollKey, answer: Answer<bool> },
    /// Marks an open poll as to be cancelled; answers whether it was open.
    AskToCancel { key: PollKey, answer: Answer<bool> },
    /// Counts one restart for every open poll; answers whether there is any.
    CountRestarts { answer: Answer<bool> },
}

impl Write {
    fn apply(&self, connection: &Connection) -> rusqlite::Result<bool> {
        match self {
            Self::Create { poll, spec, .. } => rows::insert(connection, poll, spec),
            Self::Finish { key, ended_at, outcome, .. } => rows::finish(connection, key, *ended_at, outcome),
            Self::Forget { key, .. } => rows::forget(connection, key),
            Self::AskToCancel { key, .. } => rows::ask_to_cancel(connection, key),
            Self::CountRestarts { .. } => rows::count_restarts(connection),
        }
    }

    fn answer(self, result: Result<bool, StoreError>) {
        let answer = match self {
            Self::Create { answer, .. }
            | Self::Finish { answer, .. }
            | Self::Forget { answer, .. }
            | Self::AskToCancel { answer, .. }
            | Self::CountRestarts { answer } => answer,
        };
        // Whoever asked may have stopped waiting; the change is made all the same.
        let _ = answer.send(result);
    }
}

#[derive(Clone, Debug)]
pub(super) struct Writer {
    path: PathBuf,
    queue: mpsc::Sender<Write>,
}

impl Writer {
    pub(super) fn spawn(mut connection: Connection, path: &Path) -> Result<Self, StoreError> {
        let (queue, waiting) = mpsc::channel::<Write>();
        let shown = path.to_owned();
        thread("poll-store-writer", move || {
            while let Ok(first) = waiting.recv() {
                let mut batch = vec![first];
                batch.extend(waiting.try_iter().take(BATCH - 1));
                match commit(&mut connection, &batch) {
                    Ok(results) => {
                        batch.into_iter().zip(results).for_each(|(write, result)| write.answer(Ok(result)));
                    }
                    Err(error) => {
                        let error = failure(Doing::Write, &shown, error);
                        batch.into_iter().for_each(|write| write.answer(Err(error.clone())));
                    }
                }
            }
        })?;
        Ok(Self { path: path.to_owned(), queue })
    }

    pub(super) async fn run(&self, write: impl FnOnce(Answer<bool>) -> Write) -> Result<bool, StoreError> {
        let (answer, result) = oneshot::channel();
        self.queue.send(write(answer)).map_err(|_| stopped(&self.path))?;
        result.await.map_err(|_| stopped(&self.path))?
    }
}

fn commit(connection: &mut Connection, batch: &[Write]) -> rusqlite::Result<Vec<bool>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let results =
        batch.iter().map(|write| write.apply(&transaction)).collect::<rusqlite::Result<Vec<bool>>>()?;
    transaction.commit()?;
    Ok(results)
}

type Read = Box<dyn FnOnce(&Connection) + Send>;

#[derive(Clone, Debug)]
pub(super) struct Reader {
    path: PathBuf,
    queue: mpsc::Sender<Read>,
}

impl Reader {
    pub(super) fn spawn(connection: Connection, path: &Path) -> Result<Self, StoreError> {
        let (queue, waiting) = mpsc::channel::<Read>();
        thread("poll-store-reader", move || {
            for read in waiting {
                read(&connection);
            }
        })?;
        Ok(Self { path: path.to_owned(), queue })
    }

    pub(super) async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, rows::ReadError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, result) = oneshot::channel();
        let read: Read = Box::new(move |connection| {
            let _ = answer.send(read(connection));
        });
        self.queue.send(read).map_err(|_| stopped(&self.path))?;
        match result.await.map_err(|_| stopped(&self.path))? {
            Ok(value) => Ok(value),
            Err(rows::ReadError::Database(error)) => Err(failure(Doing::Read, &self.path, error)),
            Err(rows::ReadError::Content(message)) => {
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
