//! The bounds of a poller: what it accepts and how much it does at once, each with a default.
//!
//! Limits protect the operator of a poller from the authors of specs. They are checked when a spec is read and when it is
//! submitted, never when a stored poll is loaded: changed limits must not refuse an accepted poll.

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
    /// The largest number of tries that a retry sequence may ask for. 100.
    pub retry_tries: u32,
    /// The timeout of a request whose spec names none. 30 s.
    pub request_timeout: Duration,
    /// Requests in flight at once. 256; 0 counts as 1. The last eighth of them, as far as it is more than `per_origin`, is
    /// for sites with nothing in flight, so that silent servers do not stop the others. The last quarter of them, as far as
    /// it is more than `per_origin`, is for sites whose last request ended in time, so that any number of silent ones does not.
    pub in_flight: usize,
    /// Requests in flight at once to one origin (scheme, host and port). 16; 0 counts as 1.
    pub per_origin: usize,
    /// Requests in flight at once to one site: all origins of a registrable domain, or of an address. `None`, the default: a
    /// quarter of `in_flight`, and at least `per_origin`. The last quarter of it, as far as it is more than
    /// `per_origin`, is for origins with nothing in flight.
    pub per_site: Option<usize>,
    /// Requests in flight at once of one scope, while there are several. `None`, the default: half of `in_flight`, and at least
    /// `per_origin`.
    pub per_scope: Option<usize>,
    /// Polls open at once; beyond it `submit` is an error. 1,000,000.
    pub open_polls: usize,
    /// Whether the first requests of the polls that are submitted are spread evenly over their interval by a digest of their
    /// names, and their grids with them, instead of being made at once: for many polls with one start. False.
    pub spread: bool,
    /// Submissions that wait for the store at once; further calls of `submit` wait for a permit, so that callers cannot
    /// outrun the store. 4096; 0 counts as 1.
    pub submitting: usize,
    /// The number of attempts that are kept of a poll. 20.
    pub history: usize,
    /// The interval at which the attempts of open polls are written, in one batch, to a store that other processes read.
    /// With `None`, and with more than 10,000 open polls, they are stored with the outcome only. 3 s.
    pub history_every: Option<Duration>,
    /// The time for which finished polls are kept; [`Duration::MAX`] keeps all. 30 days.
    pub keep_finished: Duration,
    /// The number of finished polls that are kept, the latest first; the default `usize::MAX` keeps all.
    pub finished_polls: usize,
    /// The largest response body in bytes, after decompression. 10 MiB.
    pub max_body: u64,
    /// What all open polls together keep of responses that did not match, in bytes. 256 MiB. Of a body, a poll keeps at most
    /// 64 KiB; beyond this limit a poll keeps 1 KiB of its body and 1 KiB of headers.
    pub kept_bytes: usize,
    /// The longest time for which a hint of one poll holds back other polls with the same origin and credentials: on a 429
    /// those of all scopes, on a 503 those of its scope. 60 s.
    pub hold_back: Duration,
    /// The time that a shutdown gives to requests in flight and to outcomes that the store failed to keep. 10 s.
    pub grace: Duration,
    /// The longest cache key and scope name, in bytes each. 512.
    pub key_len: usize,
    /// The limits of the filters in a spec. The regular expressions of all filters in the process may take 256 MiB; a spec that
    /// needs more is refused when it is read.
    pub filter: filter::Limits,
}

/// The shortest interval and timeout, whatever the limits are.
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
            per_site: None,
            per_scope: None,
            open_polls: 1_000_000,
            spread: false,
            submitting: 4096,
            history: 20,
            history_every: Some(Duration::from_secs(3)),
            keep_finished: Duration::from_secs(30 * 24 * 3600),
            finished_polls: usize::MAX,
            max_body: 10 << 20,
            kept_bytes: 256 << 20,
            hold_back: Duration::from_secs(60),
            grace: Duration::from_secs(10),
            key_len: 512,
            filter: filter::Limits::new().with_regex_bytes_in_all(256 << 20),
        }
    }
}

impl Limits {
    /// The requests in flight of one site, and of one scope.
    pub(crate) fn shares(&self) -> (usize, usize) {
        let (total, origin) = (self.in_flight.max(1), self.per_origin.max(1));
        let share =
            |given: Option<usize>, part: usize| given.unwrap_or((total / part).max(origin)).clamp(1, total);
        (share(self.per_site, 4), share(self.per_scope, 2))
    }

    /// The limits for specs read from a store, which were accepted before and must not be refused.
    pub(crate) fn stored() -> Self {
        let filter = filter::Limits::new()
            .with_depth(filter::Limits::MAX_DEPTH)
            .with_text_bytes(usize::MAX)
            .with_regex_bytes(usize::MAX)
            .with_regex_bytes_in_all(usize::MAX);
        Self { key_len: usize::MAX, filter, ..Self::unbounded() }
    }

    /// The defaults with the widest bounds on interval, timeout and retries (0.01 s to a hundred years), for programs whose
    /// users write their own specs.
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
