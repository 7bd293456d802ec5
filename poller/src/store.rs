//! What a poller needs of its store: creations and outcomes, kept before they are acknowledged.
//!
//! A store holds two facts about a poll, that it was created and how it ended. What lies between is computed from
//! them and the clock, so an attempt that did not match writes nothing.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{BoxFuture, Timestamp};
use crate::job::PollSpec;
use crate::key::PollKey;
use crate::outcome::{Attempt, Outcome};

/// A poll as a store keeps it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoredPoll {
    /// Its name.
    pub key: PollKey,
    /// What it asks for.
    pub spec: PollSpec,
    /// When it was accepted: where its grid begins.
    pub created_at: Timestamp,
    /// In how many [runs](Store::begin_run) it was gone on with after the first: how often a process went on with a poll
    /// that an earlier one had run.
    pub restarts: u32,
    /// How it ended; `None` while it is open.
    pub outcome: Option<Arc<Outcome>>,
}

impl StoredPoll {
    /// A poll accepted at `created_at`, open and not yet restarted.
    #[must_use]
    pub fn new(key: PollKey, spec: PollSpec, created_at: Timestamp) -> Self {
        Self { key, spec, created_at, restarts: 0, outcome: None }
    }
}

/// What came of a wish to create a poll.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Creation {
    /// It was new and is now kept.
    Created,
    /// One of that name is there already, open or finished.
    Exists(Box<StoredPoll>),
}

/// Some of the open polls of a store, from [`Store::load_open`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct OpenPolls {
    /// Polls that are to be run; those that run already may be among them.
    pub polls: Vec<StoredPoll>,
    /// Polls that could not be read, and have ended as failed for that.
    pub unreadable: Vec<(PollKey, Arc<Outcome>)>,
    /// Whether this was the last of them.
    pub last: bool,
}

impl OpenPolls {
    /// These and no more.
    #[must_use]
    pub fn all(polls: Vec<StoredPoll>) -> Self {
        Self { polls, unreadable: Vec::new(), last: true }
    }
}

/// What other processes did to a store. Nothing, by default.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Changes {
    /// Polls that were created; the rest is asked for at once where these are not the [last](OpenPolls::last).
    pub open: OpenPolls,
    /// Open polls that are to be cancelled.
    pub cancelling: Vec<PollKey>,
}

impl Default for Changes {
    fn default() -> Self {
        Self { open: OpenPolls::all(Vec::new()), cancelling: Vec::new() }
    }
}

/// Which finished polls are kept: those that ended since a moment, and of them so many as ended last.
///
/// ```
/// use poller::store::Retention;
/// use poller::Timestamp;
///
/// let all = Retention::new(Timestamp::default(), usize::MAX);
/// assert_eq!(all.most, usize::MAX);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retention {
    /// What ended before this is not kept.
    pub since: Timestamp,
    /// How many are kept at most.
    pub most: usize,
}

impl Retention {
    /// Keeps what ended `since` then, at most so many.
    #[must_use]
    pub const fn new(since: Timestamp, most: usize) -> Self {
        Self { since, most }
    }
}

/// What a store knows of a poll without reading its spec and its body; from [`SqliteStore::summaries`](crate::SqliteStore::summaries).
///
/// ```
/// use poller::PollKey;
/// use poller::store::{Store as _, StoredPoll};
/// use poller::{Clock as _, PollSpec, SqliteStore, SystemClock};
/// use std::time::Duration;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// # let folder = std::env::temp_dir().join(format!("poller-summary-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder).unwrap();
/// let store = SqliteStore::open(folder.join("polls.db"))?;
/// let spec = PollSpec::parse(r#"{"url": "https://api.example.com/v1/exports/42", "timeout": 300}"#).unwrap();
/// let now = SystemClock::new().now();
/// store.create(StoredPoll::new(PollKey::new("", "export-42"), spec, now)).await?;
///
/// let summary = &store.summaries().await?[0];
/// assert_eq!(summary.deadline, Some(now + Duration::from_secs(300)));
/// assert!(summary.ended.is_none());
///
/// // Nobody runs the file, so it can be cancelled without asking anybody.
/// assert!(store.runner()?.is_none());
/// store.cancel_unrun(summary.key.clone(), now).await?;
/// let summary = store.summary(summary.key.clone()).await?.unwrap();
/// assert_eq!(summary.ended.unwrap().outcome, "cancelled");
/// # std::fs::remove_dir_all(&folder).unwrap();
/// # Ok::<(), poller::store::StoreError>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Its name.
    pub key: PollKey,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it ends at the latest; `None` if its spec cannot be read.
    pub deadline: Option<Timestamp>,
    /// How often a process went on with it.
    pub restarts: u32,
    /// Somebody wants it cancelled, and whoever runs the file has not done so yet.
    pub cancelling: bool,
    /// How it ended; `None` while it is open.
    pub ended: Option<Ending>,
}

/// How a poll ended, at a glance.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ending {
    /// When.
    pub at: Timestamp,
    /// The [name](crate::Outcome::name) of its outcome.
    pub outcome: String,
    /// Requests made.
    pub attempts: u32,
}

/// The process that runs the polls of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Runner {
    /// Its number; `None` where the system does not let others read it.
    pub process: Option<u32>,
}

impl fmt::Display for Runner {
    /// `process 4711`, or `another process`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.process {
            Some(number) => write!(f, "process {number}"),
            None => f.write_str("another process"),
        }
    }
}

/// A store that could not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    message: String,
    #[source]
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl StoreError {
    /// An error that says what was tried, what happened and what to do.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), source: None }
    }

    /// The same, with its cause.
    #[must_use]
    pub fn with_source(
        message: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { message: message.into(), source: Some(Arc::from(source.into())) }
    }
}

/// Where polls are kept.
///
/// Every method may be called at any time from any task. A future that has returned `Ok` has made its change as
/// durable as the store ever makes it; one that was dropped may or may not have made it.
///
/// Where a future panics, the engine takes that for an error of the store, and does what it does after any: a poll that was to be
/// created is refused, an outcome is stored later. A call that somebody else makes, such as
/// [`Poller::list`](crate::Poller::list), panics in its caller.
pub trait Store: Send + Sync + 'static {
    /// Keeps a new poll, unless one of that name is there.
    fn create(&self, poll: StoredPoll) -> BoxFuture<'_, Result<Creation, StoreError>>;

    /// Keeps new polls for the one who runs them, as [`create`](Self::create) does each; answers in their order. Those that
    /// were created need not be among the [`changes`](Self::changes) of this run. One after the other, unless the store can
    /// do better.
    fn create_all(&self, polls: Vec<StoredPoll>) -> BoxFuture<'_, Vec<Result<Creation, StoreError>>> {
        Box::pin(async move {
            let mut results = Vec::with_capacity(polls.len());
            for poll in polls {
                results.push(self.create(poll).await);
            }
            results
        })
    }

    /// Whether one call of [`create_all`](Self::create_all) waits for the end of another, so that it is better to gather
    /// polls for the next meanwhile. Asked once. No, by default.
    fn creates_in_turn(&self) -> bool {
        false
    }

    /// Keeps the outcome of an open poll. If it has one already, nothing changes and that one is returned: an outcome
    /// never changes.
    fn finish(&self, key: PollKey, outcome: Arc<Outcome>) -> BoxFuture<'_, Result<Arc<Outcome>, StoreError>>;

    /// Makes the caller the one who runs the polls of this store. Each poll that was run in an earlier run has one restart
    /// more from now on. Returns how many polls are open.
    fn begin_run(&self) -> BoxFuture<'_, Result<usize, StoreError>>;

    /// Open polls that this run has not been given yet, some at a time, so that the first of a million are run while the
    /// others are read. Asked one after the other until [`OpenPolls::last`].
    fn load_open(&self) -> BoxFuture<'_, Result<OpenPolls, StoreError>>;

    /// The poll of that name, if it is there.
    fn get(&self, key: PollKey) -> BoxFuture<'_, Result<Option<StoredPoll>, StoreError>>;

    /// All polls, oldest first.
    fn list(&self) -> BoxFuture<'_, Result<Vec<StoredPoll>, StoreError>>;

    /// Removes a finished poll; says whether there was one.
    fn forget(&self, key: PollKey) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// How often to ask for [`changes`](Self::changes); `None`, the default, where no other process can make any.
    fn changes_every(&self) -> Option<Duration> {
        None
    }

    /// What other processes did since this was last asked, or since the last of [`load_open`](Self::load_open).
    fn changes(&self) -> BoxFuture<'_, Result<Changes, StoreError>> {
        Box::pin(std::future::ready(Ok(Changes::default())))
    }

    /// Removes some of the finished polls that need not be kept, those that ended first, and says how many: few enough
    /// that nobody waits long for it. Asked again until there are none. Open polls are never removed.
    fn purge(&self, keep: Retention) -> BoxFuture<'_, Result<usize, StoreError>>;

    /// Whether [`note_attempts`](Self::note_attempts) does anything.
    fn keeps_attempts(&self) -> bool {
        false
    }

    /// Keeps the last attempts of open polls, in place of those that were noted before, for whoever
    /// [looks](Self::attempts). Polls that are not open are passed over.
    fn note_attempts(&self, attempts: Vec<(PollKey, Vec<Attempt>)>) -> BoxFuture<'_, Result<(), StoreError>> {
        let _ = attempts;
        Box::pin(std::future::ready(Ok(())))
    }

    /// The last attempts of an open poll, oldest first, as far as they were [noted](Self::note_attempts).
    fn attempts(&self, key: PollKey) -> BoxFuture<'_, Result<Vec<Attempt>, StoreError>> {
        let _ = key;
        Box::pin(std::future::ready(Ok(Vec::new())))
    }
}
