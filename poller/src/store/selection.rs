//! Which polls of a store to list, and what a store says about itself as a whole.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Summary;
use crate::clock::Timestamp;
use crate::key::PollKey;

/// Some of the polls of a store, for [`StoreAdmin::select`](super::StoreAdmin::select). Everything that is given must hold.
///
/// ```
/// use poller::PollKey;
/// use poller::store::Selection;
///
/// // The next hundred failed polls of a scope, after the last one of the page before.
/// let page = Selection::all()
///     .with_scope("run-17")
///     .with_state("failed")
///     .with_after(PollKey::new("run-17", "export-42"))
///     .with_limit(100);
/// assert_eq!(page.limit, 100);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Selection {
    /// Only polls of this scope.
    pub scope: Option<String>,
    /// Only polls of this scope and of those beneath it, which begin with it and a slash; see [`covers`].
    pub under: Option<String>,
    /// Only polls whose key begins with this text.
    pub prefix: Option<String>,
    /// Only polls that ask this origin, such as `https://api.example.com`.
    pub origin: Option<String>,
    /// Only polls that were accepted at or after this time.
    pub since: Option<Timestamp>,
    /// Only polls in one of these states; all if empty. The states are those of [`Summary::state`].
    pub states: Vec<String>,
    /// Only polls after this one, in the order of the list.
    pub after: Option<PollKey>,
    /// The largest number.
    pub limit: usize,
}

impl Selection {
    /// All polls.
    #[must_use]
    pub const fn all() -> Self {
        Self {
            scope: None,
            under: None,
            prefix: None,
            origin: None,
            since: None,
            states: Vec::new(),
            after: None,
            limit: usize::MAX,
        }
    }

    /// Only polls of this scope.
    #[must_use]
    pub fn with_scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// Only polls whose key begins with this text.
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// Only polls of this scope and of those beneath it.
    #[must_use]
    pub fn with_under(mut self, scope: impl Into<String>) -> Self {
        self.under = Some(scope.into());
        self
    }

    /// Only polls that ask this origin.
    #[must_use]
    pub fn with_origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(origin.into());
        self
    }

    /// Only polls that were accepted at or after this time.
    #[must_use]
    pub const fn with_since(mut self, since: Timestamp) -> Self {
        self.since = Some(since);
        self
    }

    /// Adds a state of the polls to select.
    #[must_use]
    pub fn with_state(mut self, state: impl Into<String>) -> Self {
        self.states.push(state.into());
        self
    }

    /// Only polls after this one, in the order of the list.
    #[must_use]
    pub fn with_after(mut self, key: PollKey) -> Self {
        self.after = Some(key);
        self
    }

    /// At most this many.
    #[must_use]
    pub const fn with_limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Whether a poll is selected, but for its place in the list.
    pub(crate) fn admits(&self, poll: &Summary) -> bool {
        self.scope.as_ref().is_none_or(|scope| poll.key.scope() == scope)
            && self.under.as_ref().is_none_or(|under| covers(under, poll.key.scope()))
            && self
                .origin
                .as_ref()
                .is_none_or(|origin| poll.spec.as_ref().is_some_and(|spec| spec.origin() == origin))
            && self.since.is_none_or(|since| poll.created_at >= since)
            && self.prefix.as_ref().is_none_or(|prefix| poll.key.key().starts_with(prefix.as_str()))
            && (self.states.is_empty() || self.states.iter().any(|state| poll.state() == state))
    }
}

impl Default for Selection {
    fn default() -> Self {
        Self::all()
    }
}

/// Whether `scope` is `prefix` or beneath it. Scopes form a tree by slashes, as paths do; the empty prefix covers all.
///
/// ```
/// use poller::store::covers;
///
/// assert!(covers("jobs", "jobs") && covers("jobs", "jobs/run-17") && covers("jobs/", "jobs/run-17"));
/// assert!(covers("", "jobs") && !covers("jobs", "jobs-of-others") && !covers("jobs", ""));
/// ```
#[must_use]
pub fn covers(prefix: &str, scope: &str) -> bool {
    match scope.strip_prefix(prefix) {
        Some(rest) => prefix.is_empty() || prefix.ends_with('/') || rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

/// What the names of the scopes beneath this one begin with, as [`covers`] says. All names do of the empty one.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) fn beneath(scope: &str) -> String {
    if scope.is_empty() || scope.ends_with('/') { scope.to_owned() } else { format!("{scope}/") }
}

/// A page of polls, newest first, from [`StoreAdmin::page`](super::StoreAdmin::page).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Page {
    /// Some of the polls that were asked for. A page may have fewer than its limit, or none, although others follow: a
    /// store looks at a bounded number of polls for each page.
    pub polls: Vec<Summary>,
    /// Where the next page begins; `None` after the last one.
    pub next: Option<Cursor>,
}

/// A place in the list of polls, newest first: behind a certain poll. It stays valid when that poll is removed.
///
/// Its text is for URLs and has no meaning for others than stores.
///
/// ```
/// use poller::store::Cursor;
///
/// assert!("no cursor".parse::<Cursor>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(crate) created_at: Timestamp,
    pub(crate) key: PollKey,
    /// A number of the store's own.
    pub(crate) place: i64,
}

impl Cursor {
    pub(crate) const fn new(created_at: Timestamp, key: PollKey, place: i64) -> Self {
        Self { created_at, key, place }
    }

    /// Whether a poll follows in the list.
    fn is_before(&self, poll: &Summary) -> bool {
        (poll.created_at, &poll.key) < (self.created_at, &self.key)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = (self.created_at.as_micros(), self.key.scope(), self.key.key(), self.place);
        let text = serde_json::to_string(&parts).map_err(|_| fmt::Error)?;
        f.write_str(&URL_SAFE_NO_PAD.encode(text))
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidCursor)?;
        let parts: (u64, String, String, i64) = serde_json::from_slice(&bytes).map_err(|_| InvalidCursor)?;
        let (created_at, scope, key, place) = parts;
        Ok(Self { created_at: Timestamp::from_micros(created_at), key: PollKey::new(scope, key), place })
    }
}

/// The error of a text that is no [`Cursor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cursor is not one of this list: take it unchanged from the page before")]
pub struct InvalidCursor;

/// A page from all polls that are selected: the way of stores that read all of them anyway.
pub(crate) fn page(mut polls: Vec<Summary>, limit: usize, cursor: Option<&Cursor>) -> Page {
    polls.retain(|poll| cursor.is_none_or(|cursor| cursor.is_before(poll)));
    polls.sort_by(|a, b| (b.created_at, &b.key).cmp(&(a.created_at, &a.key)));
    let more = polls.len() > limit;
    polls.truncate(limit);
    let last = polls.last().filter(|_| more);
    let next = last.map(|last| Cursor::new(last.created_at, last.key.clone(), 0));
    Page { next, polls }
}

impl Summary {
    /// `open`, `cancelling`, or the name of the outcome: `matched`, `failed`, `timed out`, `cancelled`.
    #[must_use]
    pub fn state(&self) -> &str {
        match &self.ended {
            Some(ending) => &ending.outcome,
            None if self.cancelling => "cancelling",
            None => "open",
        }
    }
}

/// What a store says about itself, from [`StoreAdmin::status`](super::StoreAdmin::status).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreStatus {
    /// The number of open polls, those to cancel included.
    pub open: usize,
    /// The number of open polls whose cancellation was requested.
    pub cancelling: usize,
    /// The number of open polls whose deadline has passed: no process runs the store, or its runner does not get on.
    pub overdue: usize,
    /// The number of finished polls.
    pub finished: usize,
    /// When the oldest open poll was accepted.
    pub oldest: Option<Timestamp>,
    /// The size in bytes on the disk, log included; `None` for a store that is not in a file.
    pub bytes: Option<u64>,
}
