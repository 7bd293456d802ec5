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
//! One process at a time runs the polls of a file. [`Store::load_open`] takes a lock for that (the file's name with
//! `-runner`, released by the operating system when the process ends, however it ends); everything else works beside a runner.

mod errors;
mod lock;
mod rows;
mod summary;
mod worker;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use self::errors::{Doing, failure};
pub use self::lock::Runner;
use self::lock::{RunnerLock, Taken};
pub use self::summary::{Ending, Summary};
use self::worker::{Reader, Write, Writer};
use super::{Changes, Creation, PollKey, Store, StoreError, StoredPoll};
use crate::clock::{BoxFuture, Clock as _, SystemClock, Timestamp};
use crate::outcome::{Conclusion, Counts, Outcome};
use crate::seal::SealKey;
use crate::spec::PollSpec;

/// "poll", so that `file` and other programs can tell what the file is.
const APPLICATION_ID: i64 = 0x706f_6c6c;

/// Each brings the file from the version of its position to the next; the file's version is SQLite's `user_version`.
const MIGRATIONS: [&str; 1] = [include_str!("../../../migrations/sqlite/0001_polls.sql")];

/// How often the runner looks for what other processes did: what they submit or cancel is noticed within a second.
const LOOK: Duration = Duration::from_millis(500);

/// Whoever asks who runs a file holds its lock for a moment; so often, and after so long, it is tried again.
const TRIES: u32 = 10;
const MOMENT: Duration = Duration::from_millis(10);

/// How long to wait for another process's transaction.
const BUSY: Duration = Duration::from_secs(5);

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
    path: PathBuf,
    seal_key: Option<SealKey>,
    writer: Writer,
    reader: Reader,
    lock: Mutex<Option<RunnerLock>>,
    /// The number of the last poll that the runner was told of.
    seen: AtomicI64,
}

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
        let mut connection = connect(path)?;
        migrate(&mut connection, path)?;
        let reader = connect(path)?;
        Ok(Self {
            inner: Arc::new(Inner {
                writer: Writer::spawn(connection, path)?,
                reader: Reader::spawn(reader, path)?,
                path: path.to_owned(),
                seal_key,
                lock: Mutex::new(None),
                seen: AtomicI64::new(0),
            }),
        })
    }

    /// Asks whoever runs the file to cancel a poll, now or when somebody next does. Says whether the poll was open.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub async fn ask_to_cancel(&self, key: PollKey) -> Result<bool, StoreError> {
        self.inner.writer.run(|answer| Write::AskToCancel { key, answer }).await
    }

    /// Whether a spec can be kept here: one with inline secrets needs a seal key.
    ///
    /// # Errors
    /// What is missing, and both ways out.
    pub fn admits(&self, spec: &PollSpec) -> Result<(), StoreError> {
        self.stored(spec).map(drop)
    }

    /// The text in which a spec is kept.
    fn stored(&self, spec: &PollSpec) -> Result<String, StoreError> {
        spec.to_stored(self.inner.seal_key.as_ref()).map_err(|error| StoreError::new(error.to_string()))
    }

    /// Who runs the polls of the file at this moment; `None` if nobody does.
    ///
    /// # Errors
    /// If the lock beside the file cannot be read.
    pub fn runner(&self) -> Result<Option<Runner>, StoreError> {
        let lock = self.inner.lock.lock().unwrap_or_else(PoisonError::into_inner);
        match *lock {
            Some(_) => Ok(Some(Runner { process: Some(std::process::id()) })),
            None => RunnerLock::find(&self.inner.path),
        }
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
        if self.is_runner() {
            return Ok(None);
        }
        let Taken::Ours(_until_the_end) = RunnerLock::take(&self.inner.path)? else { return Ok(None) };
        let Some(summary) = self.summary(key.clone()).await? else {
            return Err(StoreError::new(format!("the poll {key} is not in the store")));
        };
        let outcome = Outcome {
            conclusion: Conclusion::Cancelled,
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
        self.inner.reader.run(summary::all).await
    }

    /// The poll of that name at a glance, if it is there.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn summary(&self, key: PollKey) -> Result<Option<Summary>, StoreError> {
        self.inner.reader.run(move |connection| summary::one(connection, &key)).await
    }

    /// How many polls are open.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn count_open(&self) -> Result<usize, StoreError> {
        self.inner.reader.run(summary::count_open).await
    }

    /// The open polls that the runner has not been told of. Those that cannot be read are ended as failed.
    async fn load_unseen(&self) -> Result<Vec<StoredPoll>, StoreError> {
        let seal_key = self.inner.seal_key.clone();
        let seen = self.inner.seen.load(Ordering::Relaxed);
        let loaded = self
            .inner
            .reader
            .run(move |connection| rows::load_open(connection, seen, seal_key.as_ref()))
            .await?;
        for (key, outcome) in loaded.unreadable {
            self.finish(key, Arc::new(outcome)).await?;
        }
        self.inner.seen.fetch_max(loaded.last, Ordering::Relaxed);
        Ok(loaded.open)
    }

    fn is_runner(&self) -> bool {
        self.inner.lock.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Takes the lock that makes this process the runner of the file, unless it is already.
    async fn become_runner(&self) -> Result<(), StoreError> {
        let path = &self.inner.path;
        for attempt in 1.. {
            if self.is_runner() {
                break;
            }
            match RunnerLock::take(path)? {
                Taken::Ours(lock) => {
                    *self.inner.lock.lock().unwrap_or_else(PoisonError::into_inner) = Some(lock);
                }
                Taken::Theirs(runner) if attempt == TRIES => {
                    return Err(StoreError::new(format!(
                        "{} is run by {runner}; one process at a time runs the polls of a file: end that one first",
                        path.display()
                    )));
                }
                Taken::Theirs(_) => {
                    let clock = SystemClock::new();
                    clock.sleep_until(clock.now() + MOMENT).await;
                }
            }
        }
        Ok(())
    }
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let open = |error| failure(Doing::Open, path, error);
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(open)?;
    connection.busy_timeout(BUSY).map_err(open)?;
    connection.pragma_update(None, "journal_mode", "wal").map_err(open)?;
    connection.pragma_update(None, "synchronous", "full").map_err(open)?;
    Ok(connection)
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let open = |error| failure(Doing::Open, path, error);
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(open)?;
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
    let done = usize::try_from(version).unwrap_or(usize::MAX);
    if done > known {
        return Err(StoreError::new(format!(
            "{} was written by a newer version (format {version}, this version knows {known}); use that version",
            path.display()
        )));
    }
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

impl Store for SqliteStore {
    fn create(&self, poll: StoredPoll) -> BoxFuture<'_, Result<Creation, StoreError>> {
        Box::pin(async move {
            let spec = self.stored(&poll.spec)?;
            let key = poll.key.clone();
            let created =
                self.inner.writer.run(|answer| Write::Create { poll: Box::new(poll), spec, answer }).await?;
            if created {
                return Ok(Creation::Created);
            }
            match self.get(key.clone()).await? {
                Some(present) => Ok(Creation::Exists(Box::new(present))),
                None => Err(StoreError::new(format!(
                    "the poll {key} was forgotten while it was created; try again"
                ))),
            }
        })
    }

    fn finish(&self, key: PollKey, outcome: Arc<Outcome>) -> BoxFuture<'_, Result<Arc<Outcome>, StoreError>> {
        Box::pin(async move {
            let text = rows::outcome_to_text(&outcome)?;
            let ended_at = outcome.ended_at;
            let finished = {
                let key = key.clone();
                self.inner.writer.run(|answer| Write::Finish { key, ended_at, outcome: text, answer }).await?
            };
            if finished {
                return Ok(outcome);
            }
            match self.get(key.clone()).await? {
                Some(StoredPoll { outcome: Some(present), .. }) => Ok(present),
                _ => Err(StoreError::new(format!("the poll {key} is not in the store"))),
            }
        })
    }

    fn load_open(&self) -> BoxFuture<'_, Result<Vec<StoredPoll>, StoreError>> {
        Box::pin(async move {
            self.become_runner().await?;
            self.inner.writer.run(|answer| Write::CountRestarts { answer }).await?;
            self.inner.seen.store(0, Ordering::Relaxed);
            self.load_unseen().await
        })
    }

    fn changes_every(&self) -> Option<Duration> {
        Some(LOOK)
    }

    fn changes(&self) -> BoxFuture<'_, Result<Changes, StoreError>> {
        Box::pin(async move {
            let created = self.load_unseen().await?;
            let cancelling = self.inner.reader.run(rows::cancelling).await?;
            Ok(Changes { created, cancelling })
        })
    }

    fn get(&self, key: PollKey) -> BoxFuture<'_, Result<Option<StoredPoll>, StoreError>> {
        let seal_key = self.inner.seal_key.clone();
        Box::pin(self.inner.reader.run(move |connection| rows::get(connection, &key, seal_key.as_ref())))
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<StoredPoll>, StoreError>> {
        let seal_key = self.inner.seal_key.clone();
        Box::pin(self.inner.reader.run(move |connection| rows::list(connection, seal_key.as_ref())))
    }

    fn forget(&self, key: PollKey) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(self.inner.writer.run(|answer| Write::Forget { key, answer }))
    }
}
