//! The embedded durable store: one SQLite file.
//!
//! ```text
//!  create, finish, forget ──► writer thread ──► one transaction for all waiting calls ──► fsync ──► answers
//!  get, list, load_open   ──► reader thread ──► a snapshot of its own (WAL)
//! ```
//!
//! A call that changes something returns only after its transaction is synced (`synchronous=FULL`). Calls that wait during
//! a sync share the next transaction, so all waiting callers share the cost of the disk. A response that did not match
//! writes nothing, so each poll costs two writes.
//!
//! One process at a time runs the polls of a file. [`Store::begin_run`] takes a lock for it (the file's name with `-runner`;
//! the operating system releases it when the process ends for any reason). Everything else works beside a runner.
//!
//! A file that is moved, removed or replaced while it is open can store nothing more. Calls then fail with an
//! [unusable](StoreError::is_unusable) error, also those whose change was committed to the file under its new name.

mod admin;
mod batch;
mod cancel;
mod care;
mod conditions;
mod errors;
mod file;
mod identity;
#[cfg(test)]
mod migration_crashes;
mod outbox;
mod packed;
mod pages;
mod rows;
mod runner_lock;
mod seals;
mod seen_ids;
mod threads;

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use futures_util::future::OptionFuture;
use rusqlite::Connection;
use tokio::sync::Notify;

use self::batch::{Batch, Finished, Inserted, NewPolls, SavedOutcome, Target};
use self::errors::{Action, failure};
use self::file::LogState;
use self::identity::{FileId, OpenedFiles};
use self::rows::{Loaded, ReadError, Rows, Snapshot, count};
use self::runner_lock::RunnerLock;
use self::seen_ids::{IdRange, SeenIds};
use self::threads::{Reader, Writer};
use crate::clock::{BoxFuture, Clock as _, SystemClock};
use crate::job::{PollSpec, StoredSpec};
use crate::key::PollKey;
use crate::lock::lock;
use crate::outbox::Outbox;
use crate::outcome::{Attempt, Outcome, OutcomeKind};
use crate::seal::SealKey;
use crate::store::{
    Changes, Creation, OpenPolls, Retention, RunsUntil, Store, StoreAdmin as _, StoreError, StoreFuture,
    StoredPoll, Summary, outcome_without_request, to_json,
};

pub use self::seals::Resealed;

/// How often the runner looks for changes by other processes: they are noticed within a second.
const LOOK: Duration = Duration::from_millis(500);

/// The length of a body from which on an outcome is written as JSON on a thread of its own.
const LONG_BODY: usize = 256 << 10;

/// The number of open polls in a page: a few milliseconds of reading.
const PAGE: usize = 4096;

/// A process that looks for the runner holds the lock for a moment, so taking the lock is tried this often, at this
/// interval.
const TRIES: u32 = 10;
const TRY_INTERVAL: Duration = Duration::from_millis(10);

/// Keeps polls in an SQLite file. Clones share the connections.
///
/// ```
/// use poller::{Poller, SqliteStore};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// # let folder = std::env::temp_dir().join(format!("poller-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder).unwrap();
/// let poller = Poller::builder().store(SqliteStore::open(folder.join("polls.db"))?).build().await?;
/// assert!(poller.list().await?.is_empty());
/// poller.shutdown().await;
/// # std::fs::remove_dir_all(&folder).unwrap();
/// # Ok::<(), poller::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct SqliteStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    runner_lock: Arc<RunnerLock>,
    seal_key: Option<SealKey>,
    /// `None` if the file was opened for reading.
    writer: Option<Writer>,
    reader: Reader,
    /// The files that changes go to; `None` if it was opened for reading.
    files: Option<OpenedFiles>,
    seen_ids: Mutex<SeenIds>,
    /// The [version](rows::Rows::version) of the file at the last look that found nothing left for the runner.
    settled: AtomicI64,
    /// The open polls of this run whose secrets are sealed with a key that was not given, with their row ids.
    sealed: Mutex<HashMap<PollKey, i64>>,
    /// Told of new deliveries.
    added: Arc<Notify>,
}

impl Inner {
    /// Applies a change of `polls` polls.
    async fn write<T: Send + 'static>(
        &self,
        polls: usize,
        change: impl FnMut(&mut Batch<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let Some(writer) = &self.writer else {
            return Err(StoreError::new(format!(
                "{} was opened for reading; nothing can be changed",
                self.runner_lock.path().display()
            )));
        };
        writer.run(polls, change).await
    }

    /// Fails if the file, its log or its lock is no longer the one that was opened.
    fn check_files(&self) -> Result<(), StoreError> {
        self.files.as_ref().map_or(Ok(()), OpenedFiles::check)?;
        self.runner_lock.check(None)
    }
}

/// No version of a file.
const UNSETTLED: i64 = -1;

impl SqliteStore {
    /// Opens or creates the file. Without a seal key, specs with inline secrets are refused.
    ///
    /// # Errors
    /// If the file cannot be opened or written, is not a store, is damaged, or was written by a newer version.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_sealed(path, None)
    }

    /// Opens or creates the file; `seal_key` seals the inline secrets of specs.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_sealed(path: impl AsRef<Path>, seal_key: Option<SealKey>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        file::prepare(path)?;
        file::check_index(path)?;
        let log = LogState::of(path);
        let mut connection = file::connect(path)?;
        file::migrate(&mut connection, path)?;
        file::check_log(&connection, path, log)?;
        if let Some(key) = &seal_key {
            seals::bind(&mut connection, key).map_err(|error| failure(Action::Write, path, error))?;
        }
        let files = OpenedFiles::new(path)?;
        let reading = file::connect(path)?;
        // From here on the writer decides when it closes.
        for connection in [&connection, &reading] {
            file::merge_at_close(connection, false).map_err(|error| failure(Action::Open, path, error))?;
        }
        Self::start(path, seal_key, reading, Some((connection, files)))
    }

    /// Opens a file for reading only, for users without permission to write to it or to its folder. Calls that change
    /// something are errors.
    ///
    /// # Errors
    /// As [`open`](Self::open); also if the file is of an older format, which only a writer converts.
    pub fn open_for_reading(path: impl AsRef<Path>, seal_key: Option<SealKey>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        file::check_index(path)?;
        let log = LogState::of(path);
        let connection = file::connect_for_reading(path, log)?;
        file::check_log(&connection, path, log)?;
        Self::start(path, seal_key, connection, None)
    }

    /// Starts the threads of these connections; the one that writes closes after the other.
    fn start(
        path: &Path,
        seal_key: Option<SealKey>,
        reading: Connection,
        writing: Option<(Connection, OpenedFiles)>,
    ) -> Result<Self, StoreError> {
        let runner_lock = Arc::new(RunnerLock::new(path.to_owned()));
        let (open, close_after) = mpsc::channel();
        let files = writing.as_ref().map(|(_, files)| files.clone());
        let writer = writing
            .map(|(connection, files)| Writer::spawn(connection, files, &runner_lock, close_after))
            .transpose()?;
        Ok(Self {
            inner: Arc::new(Inner {
                writer,
                reader: Reader::spawn(Rows::new(reading, seal_key.clone()), path, open)?,
                files,
                runner_lock,
                seal_key,
                seen_ids: Mutex::default(),
                settled: AtomicI64::new(UNSETTLED),
                sealed: Mutex::default(),
                added: Arc::default(),
            }),
        })
    }

    /// Says when this process ends by itself, for [`StoreAdmin::runner`](crate::store::StoreAdmin::runner) in other processes.
    /// To be called before the store is given to a [`Poller`](crate::Poller).
    pub fn runs_until(&self, until: RunsUntil) {
        self.inner.runner_lock.runs_until(until);
    }

    /// Whether a store with this key can keep a spec, as [`StoreAdmin::admits`](crate::store::StoreAdmin::admits) of an opened
    /// one says.
    ///
    /// # Errors
    /// What is missing, and how to fix it.
    pub fn admits_with(seal_key: Option<&SealKey>, spec: &PollSpec) -> Result<(), StoreError> {
        // Whether it can be sealed does not depend on the poll.
        let stored = spec.to_stored(&PollKey::new("", ""), seal_key);
        stored.map(drop).map_err(|error| StoreError::new(error.to_string()))
    }

    /// Waits until the file is closed: the last clone of this store is dropped and its calls are done. Unless other
    /// processes have the file open, its log is then merged into it, and a copy of the file is complete. The future does not
    /// keep the store open.
    ///
    /// ```
    /// # use poller::{Poller, SqliteStore};
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # let folder = std::env::temp_dir().join(format!("poller-doc-closed-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder).unwrap();
    /// let store = SqliteStore::open(folder.join("polls.db"))?;
    /// let closed = store.closed();
    /// let poller = Poller::builder().store(store).build().await?;
    /// poller.shutdown().await;
    /// drop(poller);
    /// closed.await;
    /// assert!(!folder.join("polls.db-wal").exists());
    /// # std::fs::remove_dir_all(&folder).unwrap();
    /// # Ok::<(), poller::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn closed(&self) -> impl Future<Output = ()> + Send + use<> {
        let closed = OptionFuture::from(self.inner.writer.as_ref().map(Writer::closed));
        async move { _ = closed.await }
    }

    /// The stored form of a poll's spec, without its URL.
    fn stored_spec(&self, key: &PollKey, spec: &PollSpec) -> Result<StoredSpec, StoreError> {
        spec.to_stored(key, self.inner.seal_key.as_ref()).map_err(|error| StoreError::new(error.to_string()))
    }

    /// The runner's view of the open polls that were read from `range`. Polls that cannot be read end as failed first.
    async fn loaded(&self, range: IdRange, loaded: Loaded) -> Result<OpenPolls, StoreError> {
        let inner = &self.inner;
        let mut unreadable = Vec::with_capacity(loaded.unreadable.len());
        for (id, key, outcome) in loaded.unreadable {
            let outcome = Arc::new(outcome);
            // No other process ends it: this one runs the file.
            self.save(Target::Id(id), &outcome).await?;
            unreadable.push((key, outcome));
        }
        let complete = loaded.rows < PAGE;
        let last = lock(&inner.seen_ids).loaded(range, loaded.last, complete);
        let mut sealed = Vec::with_capacity(loaded.sealed.len());
        for (id, key, seal_key) in loaded.sealed {
            lock(&inner.sealed).insert(key.clone(), id);
            sealed.push((key, seal_key.into()));
        }
        Ok(OpenPolls { polls: loaded.open, unreadable, sealed, last })
    }

    /// Cancels the polls among `cancelling` that the engine does not have, because their secrets are sealed. Returns their
    /// outcomes.
    async fn cancel_sealed(
        &self,
        cancelling: &mut Vec<PollKey>,
    ) -> Result<Vec<(PollKey, Arc<Outcome>)>, StoreError> {
        let mut cancelled = Vec::new();
        for key in std::mem::take(cancelling) {
            let Some(id) = lock(&self.inner.sealed).get(&key).copied() else {
                cancelling.push(key);
                continue;
            };
            if let Some(Summary { created_at, restarts, .. }) = self.summary(key.clone()).await? {
                let now = SystemClock::new().now();
                let outcome = outcome_without_request(OutcomeKind::Cancelled, created_at, now, restarts);
                if self.save(Target::Id(id), &outcome).await? {
                    cancelled.push((key.clone(), Arc::new(outcome)));
                }
            }
            lock(&self.inner.sealed).remove(&key);
        }
        Ok(cancelled)
    }

    /// Stores the outcome of an open poll; returns whether the poll was open.
    async fn save(&self, target: Target, outcome: &Outcome) -> Result<bool, StoreError> {
        let outcome = if outcome.response().is_some_and(|response| response.body().len() > LONG_BODY) {
            // To write it and to pack it takes tens of milliseconds.
            let outcome = outcome.clone();
            let saved = tokio::task::spawn_blocking(move || SavedOutcome::new(&outcome)).await;
            saved.map_err(|_| StoreError::new("the runtime is shutting down"))??
        } else {
            SavedOutcome::new(outcome)?
        };
        let finished = self.inner.write(1, move |batch| batch.finish(&target, &outcome)).await?;
        if finished == Finished::WithWebhook {
            self.inner.added.notify_one();
        }
        Ok(finished != Finished::NotOpen)
    }

    async fn insert(&self, new: NewPolls) -> Result<Inserted, StoreError> {
        self.inner.write(new.len(), move |batch| batch.create(&new)).await
    }

    /// The answers for polls that were not created because of existing ones, read together.
    async fn existing(&self, keys: Vec<PollKey>) -> Vec<Result<Creation, StoreError>> {
        let count = keys.len();
        let path = self.inner.runner_lock.path().to_owned();
        let read = move |file: &mut Snapshot<'_>| {
            let found = keys.into_iter().map(|key| match file.get(&key) {
                Ok(Some(present)) => Ok(Ok(Creation::Exists(Box::new(present)))),
                Ok(None) => {
                    let message = format!("the poll {key} was forgotten while it was created; try again");
                    Ok(Err(StoreError::new(message)))
                }
                Err(error @ ReadError::Database(_)) => Err(error),
                // What of one poll cannot be read concerns no other.
                Err(error) => Ok(Err(error.into_error(&path))),
            });
            found.collect::<Result<Vec<_>, _>>()
        };
        self.inner.reader.run(read).await.unwrap_or_else(|error| vec![Err(error); count])
    }

    /// Takes the lock of the runner for this process, unless it has it already.
    async fn become_runner(&self) -> Result<(), StoreError> {
        let mut tries = 1;
        while let Some(runner) = self.inner.runner_lock.take()? {
            if tries == TRIES {
                return Err(StoreError::new(format!(
                    "{} is run by {runner}; one process at a time runs the polls of a file: end that one first",
                    self.inner.runner_lock.path().display()
                )));
            }
            tries += 1;
            let clock = SystemClock::new();
            clock.sleep_until(clock.now() + TRY_INTERVAL).await;
        }
        Ok(())
    }
}

impl Store for SqliteStore {
    fn create(&self, poll: StoredPoll) -> StoreFuture<'_, Creation> {
        Box::pin(async move {
            let mut new = NewPolls::default();
            new.push(poll, |poll| self.stored_spec(&poll.key, &poll.spec))?;
            match self.insert(new).await?.present.pop() {
                Some((_, key)) => self.existing(vec![key]).await.pop().unwrap_or(Ok(Creation::Created)),
                None => Ok(Creation::Created),
            }
        })
    }

    fn create_all(&self, polls: Vec<StoredPoll>) -> BoxFuture<'_, Vec<Result<Creation, StoreError>>> {
        Box::pin(async move {
            let run = lock(&self.inner.seen_ids).run();
            let mut results = vec![Ok(Creation::Created); polls.len()];
            let mut sorted: Vec<_> = polls.into_iter().enumerate().collect();
            // In the order of the index, neighbours fall on one page.
            sorted.sort_by(|(_, one), (_, other)| one.key.cmp(&other.key));
            let (mut new, mut positions) = (NewPolls::default(), Vec::with_capacity(sorted.len()));
            for (position, poll) in sorted {
                match new.push(poll, |poll| self.stored_spec(&poll.key, &poll.spec)) {
                    Ok(()) => positions.push(position),
                    Err(error) => results[position] = Err(error),
                }
            }
            match self.insert(new).await {
                Ok(Inserted { present, ids }) => {
                    if let Some((first, last)) = ids {
                        lock(&self.inner.seen_ids).created(run, first, last);
                    }
                    let (present, keys): (Vec<_>, Vec<_>) = present.into_iter().unzip();
                    let existing = if keys.is_empty() { Vec::new() } else { self.existing(keys).await };
                    for (position, result) in present.into_iter().zip(existing) {
                        results[positions[position]] = result;
                    }
                }
                Err(error) => {
                    for position in positions {
                        results[position] = Err(error.clone());
                    }
                }
            }
            results
        })
    }

    fn finish(&self, key: PollKey, outcome: Arc<Outcome>) -> StoreFuture<'_, Arc<Outcome>> {
        Box::pin(async move {
            if self.save(Target::Key(key.clone()), &outcome).await? {
                return Ok(outcome);
            }
            let present = self.get(key.clone()).await?.and_then(|poll| poll.outcome);
            present.ok_or_else(|| StoreError::not_found(&key))
        })
    }

    fn follow(&self, key: PollKey, url: Arc<str>) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            let named = key.clone();
            match self.inner.write(1, move |batch| batch.follow(&named, &url)).await? {
                true => Ok(()),
                false => Err(StoreError::not_found(&key)),
            }
        })
    }

    fn outbox(&self) -> Option<Arc<dyn Outbox>> {
        Some(Arc::new(self.clone()))
    }

    fn begin_run(&self) -> StoreFuture<'_, usize> {
        Box::pin(async move {
            file::check_owner(self.inner.runner_lock.path())?;
            self.become_runner().await?;
            lock(&self.inner.sealed).clear();
            let id = self.inner.runner_lock.id().map(FileId::text).unwrap_or_default();
            let (run, other) = self.inner.write(1, move |batch| batch.begin_run(&id)).await?;
            self.inner.runner_lock.begun(run);
            if other {
                // The file has another run now, so the other process stops at its next look.
                let clock = SystemClock::new();
                clock.sleep_until(clock.now() + 2 * LOOK).await;
            }
            lock(&self.inner.seen_ids).begin_run();
            self.inner.settled.store(UNSETTLED, Ordering::Relaxed);
            self.count_open().await
        })
    }

    fn load_open(&self) -> StoreFuture<'_, OpenPolls> {
        Box::pin(async move {
            let range = lock(&self.inner.seen_ids).next();
            let loaded = self.inner.reader.run(move |file| file.open_in(range, PAGE)).await?;
            self.loaded(range, loaded).await
        })
    }

    fn changes_every(&self) -> Option<Duration> {
        Some(LOOK)
    }

    fn changes(&self) -> StoreFuture<'_, Changes> {
        Box::pin(async move {
            let inner = &self.inner;
            inner.check_files()?;
            let (range, settled) = (lock(&inner.seen_ids).next(), inner.settled.load(Ordering::Relaxed));
            let look = move |rows: &mut Rows| {
                // Read before the polls: a change in between is read twice instead of never.
                let version = rows.version()?;
                if version == settled {
                    return Ok(None);
                }
                rows.read(|file| Ok(Some((version, file.open_in(range, PAGE)?, file.cancelling()?))))
            };
            let Some((version, loaded, cancelling)) = inner.reader.run_alone(look).await? else {
                return Ok(Changes::default());
            };
            let mut open = self.loaded(range, loaded).await?;
            let mut cancelling = cancelling;
            open.unreadable.extend(self.cancel_sealed(&mut cancelling).await?);
            // A poll to cancel may not have been started by the engine yet; it is reported until it has ended.
            if open.last && cancelling.is_empty() {
                inner.settled.store(version, Ordering::Relaxed);
            }
            Ok(Changes { open, cancelling, ..Changes::default() })
        })
    }

    fn get(&self, key: PollKey) -> StoreFuture<'_, Option<StoredPoll>> {
        Box::pin(self.inner.reader.run(move |file| file.get(&key)))
    }

    fn list(&self) -> StoreFuture<'_, Vec<StoredPoll>> {
        Box::pin(self.inner.reader.run(|file| file.list()))
    }

    fn forget(&self, key: PollKey) -> StoreFuture<'_, bool> {
        Box::pin(self.inner.write(1, move |batch| batch.forget(&key)))
    }

    fn purge(&self, keep: Retention) -> StoreFuture<'_, usize> {
        Box::pin(async move {
            let Retention { since, most } = keep;
            let excess = match most {
                usize::MAX => 0,
                most => {
                    let finished = self.inner.reader.run(|file| Ok(count(file.connection, false)?)).await?;
                    finished.saturating_sub(most)
                }
            };
            self.inner.write(1, move |batch| batch.purge(since, excess)).await
        })
    }

    fn note_attempts(&self, attempts: Vec<(PollKey, Vec<Attempt>)>) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            let attempts =
                attempts.into_iter().map(|(key, attempts)| Ok((key, to_json("attempts", &attempts)?)));
            let attempts = attempts.collect::<Result<Vec<_>, StoreError>>()?;
            self.inner.write(1, move |batch| batch.note(&attempts)).await
        })
    }
}
