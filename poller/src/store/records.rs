//! What stores keep of polls and tell of them.

use std::sync::Arc;
use std::time::Duration;

use super::{Runner, StoreError, to_json};
use crate::clock::Timestamp;
use crate::job::PollSpec;
use crate::key::PollKey;
use crate::outcome::{Attempt, Outcome};
use crate::schedule;

/// A poll as a store keeps it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoredPoll {
    /// Its name.
    pub key: PollKey,
    /// What it asks for.
    pub spec: PollSpec,
    /// When it was accepted: its deadline counts from here.
    pub created_at: Timestamp,
    /// How long after that its first request is due, and its grid begins; see [`spread`](Self::spread).
    pub first_after: Duration,
    /// The number of [runs](super::Store::begin_run) that continued it after its first.
    pub restarts: u32,
    /// The URL that it asks instead of that of its spec, because a response named it; see [`Store::follow`](super::Store::follow).
    pub followed: Option<Arc<str>>,
    /// How it ended; `None` while it is open.
    pub outcome: Option<Arc<Outcome>>,
}

impl StoredPoll {
    /// An open poll, accepted at `created_at`, without restarts.
    #[must_use]
    pub fn new(key: PollKey, spec: PollSpec, created_at: Timestamp) -> Self {
        Self {
            key,
            spec,
            created_at,
            first_after: Duration::ZERO,
            restarts: 0,
            followed: None,
            outcome: None,
        }
    }

    /// The same poll with its first request, and the grid with it, moved into its first interval by a digest of its name:
    /// many polls that were accepted together are then asked evenly over the interval instead of in bursts. The deadline
    /// stays, and a request is due before it.
    ///
    /// ```
    /// use poller::store::StoredPoll;
    /// use poller::{PollKey, PollSpec, Timestamp};
    ///
    /// let spec = PollSpec::parse(r#"{"url": "https://api.example.com/v1/exports/42", "interval": 10}"#)?;
    /// let poll = StoredPoll::new(PollKey::new("", "export-42"), spec, Timestamp::default());
    /// let spread = poll.clone().spread();
    /// assert!(spread.first_after.as_secs() < 10);
    /// assert_eq!(spread.deadline(), poll.deadline());
    /// # Ok::<(), poller::SpecError>(())
    /// ```
    #[must_use]
    pub fn spread(mut self) -> Self {
        self.first_after = schedule::offset(&self.key, self.spec.interval().first().min(self.spec.timeout()));
        self
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

/// One page of the open polls of a store, from [`Store::load_open`](super::Store::load_open).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct OpenPolls {
    /// Polls to run; the runner may have some of them already.
    pub polls: Vec<StoredPoll>,
    /// Polls that the store has ended by itself: as failed, because it could not read them, or as cancelled, because they were
    /// sealed.
    pub unreadable: Vec<(PollKey, Arc<Outcome>)>,
    /// Polls whose secrets are sealed with a key that the store was not given, with the id of the key. They stay open and
    /// are not run; a runner with the key goes on with them.
    pub sealed: Vec<(PollKey, Box<str>)>,
    /// Whether this is the last page.
    pub last: bool,
}

impl OpenPolls {
    /// A single page with all of them.
    #[must_use]
    pub fn all(polls: Vec<StoredPoll>) -> Self {
        Self { polls, unreadable: Vec::new(), sealed: Vec::new(), last: true }
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
    /// Open polls that are to ask as soon as they may.
    pub hastened: Vec<PollKey>,
    /// Polls that another process runs from now on. The engine drops them before it handles the rest: it sends no further
    /// request and stores nothing for them.
    pub released: Vec<PollKey>,
}

impl Default for Changes {
    fn default() -> Self {
        Self {
            open: OpenPolls::all(Vec::new()),
            cancelling: Vec::new(),
            hastened: Vec::new(),
            released: Vec::new(),
        }
    }
}

/// Which finished polls to keep: polls that ended since a given time, and of these the latest ones up to a number.
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

/// A row of a list of polls, from [`StoreAdmin::summaries`](super::StoreAdmin::summaries).
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
    /// What of it is damaged, or unreadable for this version. The rest is right.
    pub problem: Option<String>,
}

impl Summary {
    /// An open poll of which nothing more is known; for stores, which fill in the rest.
    #[must_use]
    pub const fn new(key: PollKey, created_at: Timestamp) -> Self {
        Self {
            key,
            spec: None,
            created_at,
            deadline: None,
            restarts: 0,
            cancelling: false,
            ended: None,
            problem: None,
        }
    }
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

impl Ending {
    /// The end at this time, with the name of the outcome and the number of requests.
    #[must_use]
    pub fn new(at: Timestamp, outcome: impl Into<String>, attempts: u32) -> Self {
        Self { at, outcome: outcome.into(), attempts }
    }

    pub(crate) fn of(outcome: &Outcome) -> Self {
        Self { at: outcome.ended_at, outcome: outcome.name().to_owned(), attempts: outcome.attempts }
    }
}

/// A poll without its outcome, from [`StoreAdmin::find`](super::StoreAdmin::find).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FoundPoll {
    /// What it asks for, with its secrets.
    pub spec: PollSpec,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// Whether it has ended.
    pub ended: bool,
}

/// How far a poll has come, for a reader of its outcome; from [`StoreAdmin::outcome`](super::StoreAdmin::outcome).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FoundOutcome {
    /// It is open.
    Open(Box<StoredPoll>),
    /// It has ended: the [`Outcome`] as JSON, an object.
    Ended(String),
}

impl FoundOutcome {
    pub(crate) fn ended(outcome: &Outcome) -> Result<Self, StoreError> {
        to_json("the outcome", outcome).map(Self::Ended)
    }

    pub(crate) fn of(poll: StoredPoll) -> Result<Self, StoreError> {
        match &poll.outcome {
            Some(outcome) => Self::ended(outcome),
            None => Ok(Self::Open(Box::new(poll))),
        }
    }
}

/// Everything that a store knows about one poll at one moment, from [`StoreAdmin::show`](super::StoreAdmin::show).
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

impl PollRecord {
    /// A poll of which nothing more is known; for stores, which fill in the rest.
    #[must_use]
    pub const fn new(poll: StoredPoll) -> Self {
        Self { poll, cancelling: false, attempts: Vec::new(), runner: None }
    }
}
