//! The two threads that talk to SQLite, which blocks: one that writes, one that reads.
//!
//! The writer takes everything that waits into one transaction. A write that changes nothing (its poll is there already,
//! or is not) is an answer, not an error; an error of the database rolls all of the transaction back, and everyone in it
//! gets that error: nobody is told of a success that was not synced.
//!
//! The writer's connection is the last of the two to be closed. Whoever is last writes the log back into the file and
//! removes it; two that close at the same moment would each find the other there, and leave it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak, mpsc};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{oneshot, watch};

use super::batch::{Batch, Inserted, SavedOutcome, Target};
use super::errors::{Doing, failure};
use super::rows::{ReadError, Rows, Snapshot};
use super::runner_lock::RunnerLock;
use crate::clock::Timestamp;
use crate::job::PollSpec;
use crate::key::PollKey;
use crate::store::{StoreError, StoredPoll};

/// The most polls in one transaction, or hardly more: enough to share a sync, not so many that the first waits long for the last.
const BATCH: usize = 4096;

type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// A change to the file.
pub(super) enum Change {
    Finish {
        which: Target,
        ended: Box<SavedOutcome>,
    },
    Forget {
        key: PollKey,
    },
    /// Marks an open poll as to be cancelled.
    AskToCancel {
        key: PollKey,
    },
    /// Counts one run.
    BeginRun,
    /// Removes finished polls that ended before a moment, or else some of those that ended first: so many.
    Purge {
        since: Timestamp,
        excess: usize,
    },
    /// Replaces the attempts of open polls, as JSON.
    Note {
        attempts: Vec<(PollKey, String)>,
    },
}

impl Change {
    /// How many polls it changed: none, if the one that was meant is not there, or not in the state for it.
    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<usize> {
        Ok(match self {
            Self::Finish { which, ended } => batch.finish(which, ended)?.into(),
            Self::Forget { key } => batch.forget(key)?.into(),
            Self::AskToCancel { key } => batch.ask_to_cancel(key)?.into(),
            Self::BeginRun => batch.begin_run().map(|()| 1)?,
            Self::Purge { since, excess } => batch.purge(*since, *excess)?,
            Self::Note { attempts } => batch.note(attempts)?,
        })
    }
}

/// NewPolls polls and the texts of their specs.
#[derive(Debug, Default)]
pub(super) struct NewPolls {
    polls: Vec<(StoredPoll, usize)>,
    /// Polls that follow one another mostly share one. They need not all be different.
    texts: Vec<Arc<str>>,
}

impl NewPolls {
    /// One more; `text` says what its spec is as text.
    pub(super) fn push(
        &mut self,
        poll: StoredPoll,
        text: impl FnOnce(&PollSpec) -> Result<Arc<str>, StoreError>,
    ) -> Result<(), StoreError> {
        if !self.polls.last().is_some_and(|(last, _)| last.spec.shares_with(&poll.spec)) {
            self.texts.push(text(&poll.spec)?);
        }
        self.polls.push((poll, self.texts.len() - 1));
        Ok(())
    }

    /// Each poll, and the position of its text.
    pub(super) fn polls(&self) -> &[(StoredPoll, usize)] {
        &self.polls
    }

    pub(super) fn texts(&self) -> &[Arc<str>] {
        &self.texts
    }
}

/// What waits for the next transaction.
enum Waiting {
    Create { new: NewPolls, answer: Answer<Inserted> },
    Change { change: Change, answer: Answer<usize> },
}

/// What came of it.
enum Done {
    Created(Inserted),
    Changed(usize),
}

impl Waiting {
    fn len(&self) -> usize {
        match self {
            Self::Create { new, .. } => new.polls.len(),
            Self::Change { .. } => 1,
        }
    }

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<Done> {
        match self {
            Self::Create { new, .. } => batch.create(new).map(Done::Created),
            Self::Change { change, .. } => change.apply(batch).map(Done::Changed),
        }
    }

    /// Whoever asked may have stopped waiting; the change is made all the same.
    fn answer(self, result: Result<Done, StoreError>) {
        match (self, result) {
            (Self::Create { answer, .. }, Ok(Done::Created(kept))) => drop(answer.send(Ok(kept))),
            (Self::Change { answer, .. }, Ok(Done::Changed(polls))) => drop(answer.send(Ok(polls))),
            (Self::Create { answer, .. }, Err(error)) => drop(answer.send(Err(error))),
            (Self::Change { answer, .. }, Err(error)) => drop(answer.send(Err(error))),
            (Self::Create { .. }, Ok(Done::Changed(_))) | (Self::Change { .. }, Ok(Done::Created(_))) => {
                unreachable!("invariant: results are in the order of what was applied")
            }
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Writer {
    path: PathBuf,
    queue: mpsc::Sender<Waiting>,
    /// Nothing is ever sent: it ends with the thread.
    closed: watch::Receiver<()>,
}

impl Writer {
    /// The thread does not keep the runner_lock: it goes with the store, and the file can then be run by others at once.
    pub(super) fn spawn(
        mut connection: Connection,
        runner_lock: &Arc<RunnerLock>,
        others: ClosedAfter,
    ) -> Result<Self, StoreError> {
        let (queue, waiting) = mpsc::channel::<Waiting>();
        let (open, closed) = watch::channel(());
        let path = runner_lock.path().to_owned();
        let (shown, runner_lock) = (path.clone(), Arc::downgrade(runner_lock));
        thread("poll-store-writer", move || {
            while let Ok(first) = waiting.recv() {
                let mut size = first.len();
                let mut batch = vec![first];
                while size < BATCH
                    && let Ok(next) = waiting.try_recv()
                {
                    size += next.len();
                    batch.push(next);
                }
                match commit(&mut connection, &batch, &runner_lock) {
                    Ok(results) => {
                        batch.into_iter().zip(results).for_each(|(waiting, done)| waiting.answer(Ok(done)));
                    }
                    Err(error) => {
                        let error = failure(Doing::Write, &shown, error);
                        batch.into_iter().for_each(|waiting| waiting.answer(Err(error.clone())));
                    }
                }
            }
            others.wait();
            drop(connection);
            drop(open);
        })?;
        Ok(Self { path, queue, closed })
    }

    /// Waits until both connections are closed. Who waits does not keep them open.
    pub(super) fn closed(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut closed = self.closed.clone();
        async move { drop(closed.changed().await) }
    }

    /// Returns, once that is on the disk, what came of it.
    pub(super) async fn create(&self, new: NewPolls) -> Result<Inserted, StoreError> {
        self.run(|answer| Waiting::Create { new, answer }).await
    }

    /// Returns how many polls were changed, once that is on the disk.
    pub(super) async fn change(&self, change: Change) -> Result<usize, StoreError> {
        self.run(|answer| Waiting::Change { change, answer }).await
    }

    async fn run<T>(&self, waiting: impl FnOnce(Answer<T>) -> Waiting) -> Result<T, StoreError> {
        let (answer, result) = oneshot::channel();
        self.queue.send(waiting(answer)).map_err(|_| stopped(&self.path))?;
        result.await.map_err(|_| stopped(&self.path))?
    }
}

fn commit(
    connection: &mut Connection,
    waiting: &[Waiting],
    runner_lock: &Weak<RunnerLock>,
) -> rusqlite::Result<Vec<Done>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut batch = Batch::new(&transaction, runner_lock);
    let results =
        waiting.iter().map(|waiting| waiting.apply(&mut batch)).collect::<rusqlite::Result<Vec<_>>>()?;
    batch.complete()?;
    transaction.commit()?;
    Ok(results)
}

/// Held by who has a connection open.
pub(super) struct Open {
    _held: mpsc::Sender<()>,
}

/// Waits until a connection is closed.
pub(super) struct ClosedAfter {
    held: mpsc::Receiver<()>,
}

impl ClosedAfter {
    fn wait(self) {
        // Nothing is ever sent: it ends with the sender.
        let _ = self.held.recv();
    }
}

/// A connection that is open as long as the first is held, and who closes his own after it.
pub(super) fn in_turn() -> (Open, ClosedAfter) {
    let (_held, held) = mpsc::channel();
    (Open { _held }, ClosedAfter { held })
}

type Read = Box<dyn FnOnce(&mut Rows) + Send>;

#[derive(Clone, Debug)]
pub(super) struct Reader {
    path: PathBuf,
    queue: mpsc::Sender<Read>,
}

impl Reader {
    pub(super) fn spawn(mut rows: Rows, path: &Path, open: Open) -> Result<Self, StoreError> {
        let (queue, waiting) = mpsc::channel::<Read>();
        thread("poll-store-reader", move || {
            for read in waiting {
                read(&mut rows);
            }
            drop(rows);
            drop(open);
        })?;
        Ok(Self { path: path.to_owned(), queue })
    }

    /// Reads as if nothing else went on meanwhile.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Snapshot<'_>) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run_on(move |rows| rows.read(read)).await
    }

    /// The same, for who takes the snapshot only where there is something to read.
    pub(super) async fn run_on<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Rows) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, result) = oneshot::channel();
        let read: Read = Box::new(move |rows| {
            let _ = answer.send(read(rows));
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
