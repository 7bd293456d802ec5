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

mod admin;
mod batch;
mod errors;
mod file;
#[cfg(test)]
mod migration_crashes;
mod rows;
mod runner_lock;
mod seen_ids;
mod threads;

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::batch::{Inserted, NewPolls, SavedOutcome, Target};
use self::rows::{Loaded, Rows};
use self::runner_lock::RunnerLock;
use self::seen_ids::{IdRange, SeenIds};
use self::threads::{Reader, Writer};
use crate::clock::{BoxFuture, Clock as _, SystemClock};
use crate::job::PollSpec;
use crate::key::PollKey;
use crate::outcome::{Attempt, Outcome};
use crate::seal::SealKey;
use crate::store::{Changes, Creation, OpenPolls, Retention, Store, StoreAdmin as _, StoreError, StoredPoll};

/// How often the runner looks for changes by other processes: they are noticed within a second.
const LOOK: Duration = Duration::from_millis(500);

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
    writer: Writer,
    reader: Reader,
    seen_ids: Mutex<SeenIds>,
    /// The [version](rows::Rows::version) of the file at the last look that found nothing left for the runner.
    settled: AtomicI64,
}

impl Inner {
    fn seen_ids(&self) -> MutexGuard<'_, SeenIds> {
        // Its methods do not panic, so no change is half done.
        self.seen_ids.lock().unwrap_or_else(PoisonError::into_inner)
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
        let mut connection = file::connect(path)?;
        file::migrate(&mut connection, path)?;
        let runner_lock = Arc::new(RunnerLock::new(path.to_owned()));
        let (reader_open, writer_closes_after) = threads::closing_order();
        let rows = Rows::new(file::connect(path)?, seal_key.clone());
        Ok(Self {
            inner: Arc::new(Inner {
                writer: Writer::spawn(connection, &runner_lock, writer_closes_after)?,
                reader: Reader::spawn(rows, path, reader_open)?,
                runner_lock,
                seal_key,
                seen_ids: Mutex::default(),
                settled: AtomicI64::new(UNSETTLED),
            }),
        })
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
        self.inner.writer.closed()
    }

    /// The stored text of a spec, without its URL.
    fn stored_text(&self, spec: &PollSpec) -> Result<Arc<str>, StoreError> {
        spec.to_stored(self.inner.seal_key.as_ref()).map_err(|error| StoreError::new(error.to_string()))
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
        let last = inner.seen_ids().loaded(range, loaded.last, complete);
        Ok(OpenPolls { polls: loaded.open, unreadable, last })
    }

    /// Stores the outcome of an open poll; returns whether the poll was open.
    async fn save(&self, target: Target, outcome: &Outcome) -> Result<bool, StoreError> {
        let outcome = SavedOutcome::new(outcome)?;
        self.inner.writer.run(1, move |batch| batch.finish(&target, &outcome)).await
    }

    async fn insert(&self, new: NewPolls) -> Result<Inserted, StoreError> {
        self.inner.writer.run(new.len(), move |batch| batch.create(&new)).await
    }

    /// The answer for a poll that was not created because of an existing one.
    async fn existing(&self, key: PollKey) -> Result<Creation, StoreError> {
        match self.get(key.clone()).await? {
            Some(present) => Ok(Creation::Exists(Box::new(present))),
            None => {
                Err(StoreError::new(format!("the poll {key} was forgotten while it was created; try again")))
            }
        }
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
    fn create(&self, poll: StoredPoll) -> BoxFuture<'_, Result<Creation, StoreError>> {
        Box::pin(async move {
            let mut new = NewPolls::default();
            new.push(poll, |spec| self.stored_text(spec))?;
            match self.insert(new).await?.present.pop() {
                Some((_, key)) => self.existing(key).await,
                None => Ok(Creation::Created),
            }
        })
    }

    fn create_all(&self, polls: Vec<StoredPoll>) -> BoxFuture<'_, Vec<Result<Creation, StoreError>>> {
        Box::pin(async move {
            let run = self.inner.seen_ids().run();
            let mut results = vec![Ok(Creation::Created); polls.len()];
            let mut sorted: Vec<_> = polls.into_iter().enumerate().collect();
            // In the order of the index, neighbours fall on one page.
            sorted.sort_by(|(_, one), (_, other)| one.key.cmp(&other.key));
            let (mut new, mut positions) = (NewPolls::default(), Vec::with_capacity(sorted.len()));
            for (position, poll) in sorted {
                match new.push(poll, |spec| self.stored_text(spec)) {
                    Ok(()) => positions.push(position),
                    Err(error) => results[position] = Err(error),
                }
            }
            match self.insert(new).await {
                Ok(Inserted { present, ids }) => {
                    if let Some((first, last)) = ids {
                        self.inner.seen_ids().created(run, first, last);
                    }
                    for (position, key) in present {
                        results[positions[position]] = self.existing(key).await;
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

    fn finish(&self, key: PollKey, outcome: Arc<Outcome>) -> BoxFuture<'_, Result<Arc<Outcome>, StoreError>> {
        Box::pin(async move {
            if self.save(Target::Key(key.clone()), &outcome).await? {
                return Ok(outcome);
            }
            let present = self.get(key.clone()).await?.and_then(|poll| poll.outcome);
            present.ok_or_else(|| StoreError::not_found(&key))
        })
    }

    fn begin_run(&self) -> BoxFuture<'_, Result<usize, StoreError>> {
        Box::pin(async move {
            self.become_runner().await?;
            let seal_key = self.inner.seal_key.clone();
            self.inner.reader.run(move |file| file.check_seals(seal_key.as_ref())).await?;
            self.inner.writer.run(1, |batch| batch.begin_run()).await?;
            self.inner.seen_ids().begin_run();
            self.inner.settled.store(UNSETTLED, Ordering::Relaxed);
            self.count_open().await
        })
    }

    fn load_open(&self) -> BoxFuture<'_, Result<OpenPolls, StoreError>> {
        Box::pin(async move {
            let range = self.inner.seen_ids().next();
            let loaded = self.inner.reader.run(move |file| file.open_in(range, PAGE)).await?;
            self.loaded(range, loaded).await
        })
    }

    fn changes_every(&self) -> Option<Duration> {
        Some(LOOK)
    }

    fn changes(&self) -> BoxFuture<'_, Result<Changes, StoreError>> {
        Box::pin(async move {
            let inner = &self.inner;
            let (range, settled) = (inner.seen_ids().next(), inner.settled.load(Ordering::Relaxed));
            let look = move |rows: &mut Rows| {
                // Read before the polls: a change in between is read twice instead of never.
                let version = rows.version()?;
                if version == settled {
                    return Ok(None);
                }
                rows.read(|file| Ok(Some((version, file.open_in(range, PAGE)?, file.cancelling()?))))
            };
            let Some((version, loaded, cancelling)) = inner.reader.run_on(look).await? else {
                return Ok(Changes::default());
            };
            let open = self.loaded(range, loaded).await?;
            // A poll to cancel may not have been started by the engine yet; it is reported until it has ended.
            if open.last && cancelling.is_empty() {
                inner.settled.store(version, Ordering::Relaxed);
            }
            Ok(Changes { open, cancelling })
        })
    }

    fn get(&self, key: PollKey) -> BoxFuture<'_, Result<Option<StoredPoll>, StoreError>> {
        Box::pin(self.inner.reader.run(move |file| file.get(&key)))
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<StoredPoll>, StoreError>> {
        Box::pin(self.inner.reader.run(|file| file.list()))
    }

    fn forget(&self, key: PollKey) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(self.inner.writer.run(1, move |batch| batch.forget(&key)))
    }

    fn purge(&self, keep: Retention) -> BoxFuture<'_, Result<usize, StoreError>> {
        Box::pin(async move {
            let Retention { since, most } = keep;
            let excess = match most {
                usize::MAX => 0,
                most => self.inner.reader.run(|file| file.count(false)).await?.saturating_sub(most),
            };
            self.inner.writer.run(1, move |batch| batch.purge(since, excess)).await
        })
    }

    fn note_attempts(&self, attempts: Vec<(PollKey, Vec<Attempt>)>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let attempts = attempts
                .into_iter()
                .map(|(key, attempts)| serde_json::to_string(&attempts).map(|text| (key, text)))
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| StoreError::with_source("attempts cannot be written as JSON", error))?;
            self.inner.writer.run(1, move |batch| batch.note(&attempts)).await
        })
    }
}
