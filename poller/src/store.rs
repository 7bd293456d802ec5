//! The ports to a store of polls: [`Store`], which the engine runs on, and [`StoreAdmin`], which commands run on.
//!
//! A store holds two facts about a poll: its creation and its outcome. Everything in between follows from them and the
//! clock, so an attempt that did not match needs no write.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{BoxFuture, Timestamp};
use crate::job::PollSpec;
use crate::key::PollKey;
use crate::outcome::{Attempt, Counts, Outcome, OutcomeKind};

/// A poll as a store keeps it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoredPoll {
    /// Its name.
    pub key: PollKey,
    /// What it asks for.
    pub spec: PollSpec,
    /// When it was accepted: the start of its grid.
    pub created_at: Timestamp,
    /// The number of [runs](Store::begin_run) that continued it after its first.
    pub restarts: u32,
    /// How it ended; `None` while it is open.
    pub outcome: Option<Arc<Outcome>>,
}

impl StoredPoll {
    /// An open poll, accepted at `created_at`, without restarts.
    #[must_use]
    pub fn new(key: PollKey, spec: PollSpec, created_at: Timestamp) -> Self {
        Self { key, spec, created_at, restarts: 0, outcome: None }
    }

    /// When it ends at the latest.
    #[must_use]
    pub fn deadline(&self) -> Timestamp {
        self.created_at + self.spec.timeout()
    }
}

/// The result of creating a poll.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Creation {
    /// The poll was new and is stored.
    Created,
    /// The store has a poll of that name, open or finished.
    Exists(Box<StoredPoll>),
}

/// One page of the open polls of a store, from [`Store::load_open`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct OpenPolls {
    /// Polls to run; the runner may have some of them already.
    pub polls: Vec<StoredPoll>,
    /// Polls that the store could not read and has therefore ended as failed.
    pub unreadable: Vec<(PollKey, Arc<Outcome>)>,
    /// Whether this is the last page.
    pub last: bool,
}

impl OpenPolls {
    /// A single page with all of them.
    #[must_use]
    pub fn all(polls: Vec<StoredPoll>) -> Self {
        Self { polls, unreadable: Vec::new(), last: true }
    }
}

/// What other processes changed in a store; by default, nothing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Changes {
    /// New polls; the engine asks for more at once unless this is the [last](OpenPolls::last) page.
    pub open: OpenPolls,
    /// Open polls to cancel.
    pub cancelling: Vec<PollKey>,
}

impl Default for Changes {
    fn default() -> Self {
        Self { open: OpenPolls::all(Vec::new()), cancelling: Vec::new() }
    }
}

/// Which finished polls to keep: those that ended since a given time, and of these the latest ones up to a number.
///
/// ```
/// use poller::Timestamp;
/// use poller::store::Retention;
///
/// let all = Retention::new(Timestamp::default(), usize::MAX);
/// assert_eq!(all.most, usize::MAX);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retention {
    /// Polls that ended before this time are removed.
    pub since: Timestamp,
    /// The largest number to keep.
    pub most: usize,
}

impl Retention {
    /// Keeps at most `most` polls that ended at or after `since`.
    #[must_use]
    pub const fn new(since: Timestamp, most: usize) -> Self {
        Self { since, most }
    }
}

/// A row of a list of polls, from [`StoreAdmin::summaries`].
///
/// ```
/// use poller::store::{Store as _, StoreAdmin as _, StoredPoll};
/// use poller::{Clock as _, MemoryStore, PollKey, PollSpec, SystemClock};
/// use std::time::Duration;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let store = MemoryStore::new();
/// let spec = PollSpec::parse(r#"{"url": "https://api.example.com/v1/exports/42", "timeout": 300}"#).unwrap();
/// let now = SystemClock::new().now();
/// store.create(StoredPoll::new(PollKey::new("", "export-42"), spec, now)).await?;
///
/// let summary = &store.summaries().await?[0];
/// assert_eq!(summary.deadline, Some(now + Duration::from_secs(300)));
/// assert!(summary.ended.is_none());
///
/// // No process runs this store, so the poll is cancelled directly in it.
/// assert!(store.runner().await?.is_none());
/// store.cancel_unrun(summary.key.clone(), now).await?;
/// let summary = store.summary(summary.key.clone()).await?.unwrap();
/// assert_eq!(summary.ended.unwrap().outcome, "cancelled");
/// # Ok::<(), poller::store::StoreError>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Summary {
    /// Its name.
    pub key: PollKey,
    /// Its spec; `None` if this version cannot read it. A list needs no key: sealed secrets stay sealed in it.
    pub spec: Option<PollSpec>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it ends at the latest; `None` if its spec cannot be read.
    pub deadline: Option<Timestamp>,
    /// The number of runs that continued it after its first.
    pub restarts: u32,
    /// Its cancellation was requested, and the runner has not handled the request yet.
    pub cancelling: bool,
    /// How it ended; `None` while it is open.
    pub ended: Option<Ending>,
}

/// The outcome of a poll, in a [`Summary`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ending {
    /// When the poll ended.
    pub at: Timestamp,
    /// The [name](crate::Outcome::name) of its outcome.
    pub outcome: String,
    /// Requests made.
    pub attempts: u32,
}

/// Everything that a store knows about one poll at one moment, from [`StoreAdmin::show`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PollRecord {
    /// The poll, with its outcome if it has ended.
    pub poll: StoredPoll,
    /// Its cancellation was requested, and the runner has not handled the request yet.
    pub cancelling: bool,
    /// The last stored attempts of an open poll, oldest first; the outcome holds those of a finished poll.
    pub attempts: Vec<Attempt>,
    /// The process that runs the store.
    pub runner: Option<Runner>,
}

/// The process that runs the polls of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Runner {
    /// Its process id; `None` where the system does not let other processes read it.
    pub process: Option<u32>,
}

impl Runner {
    /// This process.
    pub(crate) fn this_process() -> Self {
        Self { process: Some(std::process::id()) }
    }
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

/// The failure of a store.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    message: String,
    #[source]
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl StoreError {
    /// An error whose message says what was tried, what happened and what to do.
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

    pub(crate) fn not_found(key: &PollKey) -> Self {
        Self::new(format!("the poll {key} is not in the store"))
    }
}

/// A store of polls, as the engine uses it.
///
/// Every method may be called at any time from any task. A future that returned `Ok` has made its change as durable as the
/// store ever makes it; a dropped future may or may not have made its change.
///
/// The engine treats a panic of a future as an error of the store: it refuses to create the poll, or stores the outcome
/// later. A call from outside the engine, such as [`Poller::list`](crate::Poller::list), panics in its caller.
pub trait Store: Send + Sync + 'static {
    /// Stores a new poll, unless the store has one of that name.
    fn create(&self, poll: StoredPoll) -> BoxFuture<'_, Result<Creation, StoreError>>;

    /// Stores new polls for the runner, each as [`create`](Self::create) does, and answers in their order. The polls created
    /// here need not appear in the [`changes`](Self::changes) of this run.
    ///
    /// The default creates one after the other. The engine starts a second call only when many polls are waiting, so a
    /// store does best to store all polls of a call together.
    fn create_all(&self, polls: Vec<StoredPoll>) -> BoxFuture<'_, Vec<Result<Creation, StoreError>>> {
        Box::pin(async move {
            let mut results = Vec::with_capacity(polls.len());
            for poll in polls {
                results.push(self.create(poll).await);
            }
            results
        })
    }

    /// Stores the outcome of an open poll. If the poll has an outcome, nothing changes and that outcome is returned: an
    /// outcome never changes.
    fn finish(&self, key: PollKey, outcome: Arc<Outcome>) -> BoxFuture<'_, Result<Arc<Outcome>, StoreError>>;

    /// Makes the caller the runner of this store. Adds a restart to each open poll of an earlier run. Returns the number of
    /// open polls.
    fn begin_run(&self) -> BoxFuture<'_, Result<usize, StoreError>>;

    /// The next page of open polls that this run has not loaded yet. With pages, the first of a million polls run while the
    /// others are read. Called until [`OpenPolls::last`], never twice at once.
    fn load_open(&self) -> BoxFuture<'_, Result<OpenPolls, StoreError>>;

    /// The poll of that name, if there is one.
    fn get(&self, key: PollKey) -> BoxFuture<'_, Result<Option<StoredPoll>, StoreError>>;

    /// All polls, oldest first.
    fn list(&self) -> BoxFuture<'_, Result<Vec<StoredPoll>, StoreError>>;

    /// Removes a finished poll; returns whether there was one.
    fn forget(&self, key: PollKey) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// How often the engine should ask for [`changes`](Self::changes); `None`, the default, if only the engine changes this
    /// store.
    fn changes_every(&self) -> Option<Duration> {
        None
    }

    /// The changes by other processes since the last call, or since the last page of [`load_open`](Self::load_open).
    fn changes(&self) -> BoxFuture<'_, Result<Changes, StoreError>> {
        Box::pin(std::future::ready(Ok(Changes::default())))
    }

    /// Removes some of the finished polls that need not be kept, the oldest endings first, and returns their number: few
    /// enough that other calls wait only briefly. Called again until it returns 0. Open polls are never removed.
    fn purge(&self, keep: Retention) -> BoxFuture<'_, Result<usize, StoreError>>;

    /// Stores the last attempts of open polls, replacing the earlier ones, for [`StoreAdmin::show`]. Polls that are not open
    /// are skipped. The default stores nothing.
    fn note_attempts(&self, attempts: Vec<(PollKey, Vec<Attempt>)>) -> BoxFuture<'_, Result<(), StoreError>> {
        let _ = attempts;
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A store as commands use it, beside its runner or without one: to list, show and cancel polls.
pub trait StoreAdmin: Store {
    /// All polls, the open ones first, each group in the order of creation. Unlike [`list`](Store::list), this needs no seal
    /// key and includes polls whose spec cannot be read.
    fn summaries(&self) -> BoxFuture<'_, Result<Vec<Summary>, StoreError>>;

    /// The summary of one poll, if it exists.
    fn summary(&self, key: PollKey) -> BoxFuture<'_, Result<Option<Summary>, StoreError>>;

    /// Everything about one poll, read at one moment.
    fn show(&self, key: PollKey) -> BoxFuture<'_, Result<Option<PollRecord>, StoreError>>;

    /// The number of open polls.
    fn count_open(&self) -> BoxFuture<'_, Result<usize, StoreError>>;

    /// Asks the runner of the store, now or in its next run, to cancel a poll. Returns whether the poll was open.
    fn request_cancel(&self, key: PollKey) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Ends a poll as cancelled if no process runs the store, and keeps others from running it meanwhile. Returns the
    /// outcome of the poll, which is another one if it had ended before; `None` if the store has a runner, which then is to
    /// be [asked](Self::request_cancel). It is an error if there is no such poll.
    fn cancel_unrun(
        &self,
        key: PollKey,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Option<Arc<Outcome>>, StoreError>>;

    /// The process that runs the polls of this store, if there is one.
    fn runner(&self) -> BoxFuture<'_, Result<Option<Runner>, StoreError>>;

    /// Whether this store can keep a spec: a durable store needs a seal key for inline secrets.
    ///
    /// # Errors
    /// What is missing, and how to fix it.
    fn admits(&self, spec: &PollSpec) -> Result<(), StoreError> {
        let _ = spec;
        Ok(())
    }
}

/// The outcome of a poll that ended without a request in this run.
pub(crate) fn outcome_without_request(
    kind: OutcomeKind,
    created_at: Timestamp,
    ended_at: Timestamp,
    restarts: u32,
) -> Outcome {
    Outcome {
        kind,
        attempts: 0,
        restarts,
        started_at: created_at,
        ended_at,
        counts: Counts::default(),
        history: Vec::new(),
    }
}
