//! The embedded durable store: one SQLite file.
//!
//! ```text
//!  create, finish, forget ──► writer thread ──► one transaction for all that waits ──► fsync ──► acknowledgements
//!  get, list, load_open   ──► reader thread ──► a snapshot of its own (WAL)
//! ```
//!
//! What always holds: a call that changes something is answered only after the transaction that holds it has been
//! synced (`synchronous=FULL`); what waits while one transaction is synced goes into the next, so the cost of the
//! disk is shared by everyone who is waiting. A poll that did not match writes nothing, so the file sees two writes per
//! poll.
//!
//! One process at a time runs the polls of a file. [`Store::begin_run`] takes a lock for that (the file's name with
//! `-runner`, released by the operating system when the process ends, however it ends); everything else works beside a runner.

mod batch;
mod errors;
mod file;
#[cfg(test)]
mod migration_crashes;
mod rows;
mod runner_lock;
mod seen_ids;
mod summary;
mod threads;

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::batch::{Inserted, SavedOutcome, Target};
use self::rows::{Loaded, Rows};
use self::runner_lock::{RunnerLock, Taken};
use self::seen_ids::{IdRange, SeenIds};
use self::threads::{Change, NewPolls, Reader, Writer};
use crate::clock::{BoxFuture, Clock as _, SystemClock, Timestamp};
use crate::job::PollSpec;
use crate::key::PollKey;
use crate::outcome::{Attempt, Counts, Outcome, OutcomeKind};
use crate::seal::SealKey;
use crate::store::{Changes, Creation, OpenPolls, Retention, Runner, Store, StoreError, StoredPoll, Summary};

/// How often the runner looks for what other processes did: what they submit or cancel is noticed within a second.
const LOOK: Duration = Duration::from_millis(500);

/// How many open polls are read at once: a few milliseconds' worth.
const PAGE: usize = 4096;

/// Whoever asks who runs a file holds its lock for a moment; so often, and after so long, it is tried again.
const TRIES: u32 = 10;
const MOMENT: Duration = Duration::from_millis(10);

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
    /// The file's [version](rows::Rows::version) when it was last found to have nothing more for the runner.
    settled: AtomicI64,
}

impl Inner {
    fn seen_ids(&self) -> MutexGuard<'_, SeenIds> {
        // Nothing in it panics half-way through a change.
        self.seen_ids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// No version of a file.
const UNSETTLED: i64 = -1;

impl SqliteStore {
    /// Opens the file, or makes it. Specs with inline secrets are refused for want of a key to seal them.
    ///
    /// # Errors
    /// If it cannot be opened or written, is no store, is damaged, or was written by a newer version.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_sealed(path, None)
    }

    /// Opens the file, or makes it; inline secrets of specs are sealed with `seal_key`.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_sealed(path: impl AsRef<Path>, seal_key: Option<SealKey>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let mut connection = file::connect(path)?;
        file::migrate(&mut connection, path)?;
        let runner_lock = Arc::new(RunnerLock::new(path.to_owned()));
        let (reads, last) = threads::in_turn();
        Ok(Self {
            inner: Arc::new(Inner {
                writer: Writer::spawn(connection, &runner_lock, last)?,
                reader: Reader::spawn(Rows::new(file::connect(path)?, seal_key.clone()), path, reads)?,
                runner_lock,
                seal_key,
                seen_ids: Mutex::default(),
                settled: AtomicI64::new(UNSETTLED),
            }),
        })
    }

    /// Waits until the file is closed: the last clone of this store has gone, and what was asked of it is done. Unless other
    /// processes have the file open, its log is then written back into it, so that a copy of the file has everything. The
    /// future does not keep the store open.
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

    /// Asks whoever runs the file to cancel a poll, now or when somebody next does. Says whether the poll was open.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub async fn ask_to_cancel(&self, key: PollKey) -> Result<bool, StoreError> {
        Ok(self.inner.writer.change(Change::AskToCancel { key }).await? > 0)
    }

    /// Whether a spec can be kept here: one with inline secrets needs a seal key.
    ///
    /// # Errors
    /// What is missing, and both ways out.
    pub fn admits(&self, spec: &PollSpec) -> Result<(), StoreError> {
        self.stored(spec).map(drop)
    }

    /// The text in which a spec is kept, but for its URL.
    fn stored(&self, spec: &PollSpec) -> Result<Arc<str>, StoreError> {
        spec.to_stored(self.inner.seal_key.as_ref()).map_err(|error| StoreError::new(error.to_string()))
    }

    /// Who runs the polls of the file at this moment; `None` if nobody does.
    ///
    /// # Errors
    /// If the lock beside the file cannot be read.
    pub fn runner(&self) -> Result<Option<Runner>, StoreError> {
        self.inner.runner_lock.runner()
    }

    /// Ends a poll as cancelled where nobody runs the file, keeping others from running it meanwhile. Returns its
    /// outcome, which is another one where that was decided before; `None` if somebody runs the file, who is then the one
    /// to [ask](Self::ask_to_cancel).
    ///
    /// # Errors
    /// If there is no such poll, or the file cannot be read or written.
    pub async fn cancel_unrun(
        &self,
        key: PollKey,
        now: Timestamp,
    ) -> Result<Option<Arc<Outcome>>, StoreError> {
        if self.inner.runner_lock.is_ours() {
            return Ok(None);
        }
        let Taken::Ours(_until_the_end) = self.inner.runner_lock.lock()? else { return Ok(None) };
        let Some(summary) = self.summary(key.clone()).await? else {
            return Err(StoreError::new(format!("the poll {key} is not in the store")));
        };
        let outcome = Outcome {
            kind: OutcomeKind::Cancelled,
            attempts: 0,
            restarts: summary.restarts,
            started_at: summary.created_at,
            ended_at: now,
            counts: Counts::default(),
            history: Vec::new(),
        };
        self.finish(key, Arc::new(outcome)).await.map(Some)
    }

    /// All polls at a glance, the open ones first, oldest first among each kind. Unlike [`list`](Store::list) it needs no
    /// seal key and leaves nothing out.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn summaries(&self) -> Result<Vec<Summary>, StoreError> {
        self.inner.reader.run(|file| summary::all(file.connection)).await
    }

    /// The poll of that name at a glance, if it is there.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn summary(&self, key: PollKey) -> Result<Option<Summary>, StoreError> {
        self.inner.reader.run(move |file| summary::one(file.connection, &key)).await
    }

    /// How many polls are open.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn count_open(&self) -> Result<usize, StoreError> {
        self.inner.reader.run(|file| file.count_open()).await
    }

    /// The next open polls that the runner has not been told of.
    async fn load_unseen(&self) -> Result<OpenPolls, StoreError> {
        let gap = self.inner.seen_ids().next();
        let loaded = self.inner.reader.run(move |file| file.open_in(gap, PAGE)).await?;
        self.tell(gap, loaded).await
    }

    /// What the runner is told of polls that were read. Those that cannot be gone on with are ended as failed first.
    async fn tell(&self, gap: IdRange, loaded: Loaded) -> Result<OpenPolls, StoreError> {
        let inner = &self.inner;
        let mut unreadable = Vec::with_capacity(loaded.unreadable.len());
        for (number, key, outcome) in loaded.unreadable {
            let ended = Box::new(SavedOutcome::new(&outcome)?);
            // Nobody else ends it: this process runs the file.
            inner.writer.change(Change::Finish { which: Target::Numbered(number), ended }).await?;
            unreadable.push((key, Arc::new(outcome)));
        }
        let whole = loaded.rows < PAGE;
        let last = inner.seen_ids().pass(gap, loaded.last, whole);
        Ok(OpenPolls { polls: loaded.open, unreadable, last })
    }

    /// What is there instead of a poll that was not created.
    async fn present(&self, key: PollKey) -> Result<Creation, StoreError> {
        match self.get(key.clone()).await? {
            Some(present) => Ok(Creation::Exists(Box::new(present))),
            None => {
                Err(StoreError::new(format!("the poll {key} was forgotten while it was created; try again")))
            }
        }
    }

    /// Takes the lock that makes this process the runner of the file, unless it is already.
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
            clock.sleep_until(clock.now() + MOMENT).await;
        }
        Ok(())
    }
}

impl Store for SqliteStore {
    fn create(&self, poll: StoredPoll) -> BoxFuture<'_, Result<Creation, StoreError>> {
        Box::pin(async move {
            let mut new = NewPolls::default();
            new.push(poll, |spec| self.stored(spec))?;
            match self.inner.writer.create(new).await?.present.pop() {
                Some((_, key)) => self.present(key).await,
                None => Ok(Creation::Created),
            }
        })
    }

    fn create_all(&self, polls: Vec<StoredPoll>) -> BoxFuture<'_, Vec<Result<Creation, StoreError>>> {
        Box::pin(async move {
            let run = self.inner.seen_ids().run();
            let mut results = vec![Ok(Creation::Created); polls.len()];
            let mut sorted: Vec<_> = polls.into_iter().enumerate().collect();
            // The order in which an index takes them best: neighbours stand on one page.
            sorted.sort_by(|(_, one), (_, other)| one.key.cmp(&other.key));
            let (mut new, mut positions) = (NewPolls::default(), Vec::with_capacity(sorted.len()));
            for (position, poll) in sorted {
                match new.push(poll, |spec| self.stored(spec)) {
                    Ok(()) => positions.push(position),
                    Err(error) => results[position] = Err(error),
                }
            }
            match self.inner.writer.create(new).await {
                Ok(Inserted { present, numbers }) => {
                    if let Some((first, last)) = numbers {
                        self.inner.seen_ids().made(run, first, last);
                    }
                    for (position, key) in present {
                        results[positions[position]] = self.present(key).await;
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

    fn creates_in_turn(&self) -> bool {
        true
    }

    fn finish(&self, key: PollKey, outcome: Arc<Outcome>) -> BoxFuture<'_, Result<Arc<Outcome>, StoreError>> {
        Box::pin(async move {
            let ended = Box::new(SavedOutcome::new(&outcome)?);
            let which = Target::Named(key.clone());
            if self.inner.writer.change(Change::Finish { which, ended }).await? > 0 {
                return Ok(outcome);
            }
            match self.get(key.clone()).await? {
                Some(StoredPoll { outcome: Some(present), .. }) => Ok(present),
                _ => Err(StoreError::new(format!("the poll {key} is not in the store"))),
            }
        })
    }

    fn begin_run(&self) -> BoxFuture<'_, Result<usize, StoreError>> {
        Box::pin(async move {
            self.become_runner().await?;
            let seal_key = self.inner.seal_key.clone();
            self.inner.reader.run(move |file| file.check_seals(seal_key.as_ref())).await?;
            self.inner.writer.change(Change::BeginRun).await?;
            self.inner.seen_ids().begin_run();
            self.inner.settled.store(UNSETTLED, Ordering::Relaxed);
            self.count_open().await
        })
    }

    fn load_open(&self) -> BoxFuture<'_, Result<OpenPolls, StoreError>> {
        Box::pin(self.load_unseen())
    }

    fn changes_every(&self) -> Option<Duration> {
        Some(LOOK)
    }

    fn changes(&self) -> BoxFuture<'_, Result<Changes, StoreError>> {
        Box::pin(async move {
            let inner = &self.inner;
            let (gap, settled) = (inner.seen_ids().next(), inner.settled.load(Ordering::Relaxed));
            let look = move |rows: &mut Rows| {
                // Before what is read, so that a change in between is looked at twice and not never.
                let version = rows.version()?;
                if version == settled {
                    return Ok(None);
                }
                rows.read(|file| Ok(Some((version, file.open_in(gap, PAGE)?, file.cancelling()?))))
            };
            let Some((version, loaded, cancelling)) = inner.reader.run_on(look).await? else {
                return Ok(Changes::default());
            };
            let open = self.tell(gap, loaded).await?;
            // A poll that is to be cancelled may not run here yet; it is named until it has ended.
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
        Box::pin(async move { Ok(self.inner.writer.change(Change::Forget { key }).await? > 0) })
    }

    fn purge(&self, keep: Retention) -> BoxFuture<'_, Result<usize, StoreError>> {
        Box::pin(async move {
            let Retention { since, most } = keep;
            let excess = match most {
                usize::MAX => 0,
                most => self.inner.reader.run(|file| file.count_finished()).await?.saturating_sub(most),
            };
            self.inner.writer.change(Change::Purge { since, excess }).await
        })
    }

    fn keeps_attempts(&self) -> bool {
        true
    }

    fn note_attempts(&self, attempts: Vec<(PollKey, Vec<Attempt>)>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let attempts = attempts
                .into_iter()
                .map(|(key, attempts)| serde_json::to_string(&attempts).map(|text| (key, text)))
                .collect::<Result<_, _>>()
                .map_err(|error| StoreError::with_source("attempts cannot be written as JSON", error))?;
            self.inner.writer.change(Change::Note { attempts }).await.map(drop)
        })
    }

    fn attempts(&self, key: PollKey) -> BoxFuture<'_, Result<Vec<Attempt>, StoreError>> {
        Box::pin(self.inner.reader.run(move |file| file.attempts(&key)))
    }
}
