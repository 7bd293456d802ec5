//! What a poller accepts and how much it does at once; every bound is an option with a default.
//!
//! Limits guard whoever runs the poller against whoever writes the specs. They are checked when a spec is read and
//! when it is submitted, never when a stored poll is loaded: changed limits must not refuse what was accepted.

use std::ops::RangeInclusive;
use std::time::Duration;

/// The bounds of a poller, all of them public fields; start from [`Limits::default`].
///
/// ```
/// use poller::Limits;
/// use std::time::Duration;
///
/// let mut limits = Limits::default();
/// assert_eq!(limits.interval, Duration::from_secs(10)..=Duration::from_secs(300));
/// limits.in_flight = 32;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The `interval` a spec may ask for. 10 s to 300 s; never below 0.01 s, whatever this says.
    pub interval: RangeInclusive<Duration>,
    /// The `timeout` a spec may ask for. 30 s to 3600 s; never below 0.01 s, whatever this says.
    pub timeout: RangeInclusive<Duration>,
    /// The shortest `minTimeoutInMs` of a retry. 100 ms: a retry may be faster than the interval, but no flood.
    pub retry_delay: Duration,
    /// The most tries a retry sequence may ask for. 100.
    pub retry_tries: u32,
    /// How long a request may take when its spec does not say. 30 s.
    pub request_timeout: Duration,
    /// Requests in flight at once. 256; 0 counts as 1.
    pub in_flight: usize,
    /// Requests in flight at once to one origin (scheme, host and port). 16; 0 counts as 1.
    pub per_origin: usize,
    /// Polls open at once; past it, `submit` is refused. 1,000,000.
    pub open_polls: usize,
    /// Submissions being accepted at once; further calls of `submit` wait for their turn, so that whoever submits goes no
    /// faster than the store. 4096; 0 counts as 1.
    pub submitting: usize,
    /// How many of a poll's last attempts are kept. 20.
    pub history: usize,
    /// How often the last attempts of open polls are written to a store that others read, in one batch; `None` never, then
    /// they are stored with the outcome only, as with more than 10,000 open polls. 3 s.
    pub history_every: Option<Duration>,
    /// How long finished polls are kept; [`Duration::MAX`] keeps them all. 30 days.
    pub keep_finished: Duration,
    /// How many finished polls are kept, those that ended last; `usize::MAX`, which is the default, keeps them all.
    pub finished_polls: usize,
    /// The most bytes a response body may have, after decompression. 10 MiB.
    pub max_body: u64,
    /// How far the hint on one poll's 429 or 503 may hold back the others of its origin and credentials. 60 s.
    pub hold_back: Duration,
    /// How long requests in flight may go on once a shutdown began, and outcomes that the store failed to keep are tried
    /// again. 10 s.
    pub grace: Duration,
    /// The longest cache key and scope name, in bytes each. 512.
    pub key_len: usize,
    /// What filters inside a spec may be.
    pub filter: filter::Limits,
}

/// No schedule is finer than this, whatever the limits say.
pub(crate) const FINEST: Duration = Duration::from_millis(10);

/// "No upper bound": a hundred years, so that every deadline is a date that can be written.
pub(crate) const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

impl Default for Limits {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(10)..=Duration::from_secs(300),
            timeout: Duration::from_secs(30)..=Duration::from_secs(3600),
            retry_delay: Duration::from_millis(100),
            retry_tries: 100,
            request_timeout: Duration::from_secs(30),
            in_flight: 256,
            per_origin: 16,
            open_polls: 1_000_000,
            submitting: 4096,
            history: 20,
            history_every: Some(Duration::from_secs(3)),
            keep_finished: Duration::from_secs(30 * 24 * 3600),
            finished_polls: usize::MAX,
            max_body: 10 << 20,
            hold_back: Duration::from_secs(60),
            grace: Duration::from_secs(10),
            key_len: 512,
            filter: filter::Limits::default(),
        }
    }
}

impl Limits {
    /// For what a store holds: it was accepted once, and changed limits do not refuse it.
    pub(crate) fn stored() -> Self {
        let filter = filter::Limits::new()
            .with_depth(filter::Limits::MAX_DEPTH)
            .with_text_bytes(usize::MAX)
            .with_regex_bytes(usize::MAX);
        Self { key_len: usize::MAX, filter, ..Self::unbounded() }
    }

    /// The defaults, but with the bounds on interval, timeout and retries lifted as far as they go (0.01 s to a
    /// hundred years): for someone who writes the specs himself.
    #[must_use]
    pub fn unbounded() -> Self {
        Self {
            interval: FINEST..=LONGEST,
            timeout: FINEST..=LONGEST,
            retry_delay: FINEST,
            retry_tries: u32::MAX,
            ..Self::default()
        }
    }
}
