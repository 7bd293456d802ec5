//! Statistics of a poller since it was built, without a metrics recorder.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

use super::Levels;
use crate::clock::micros;
use crate::history::Record;
use crate::outcome::{AttemptResult, NextReason, Outcome, OutcomeKind};

/// Counts and latencies of a poller since it was built; from [`Poller::stats`](crate::Poller::stats).
///
/// A snapshot: the engine continues while the fields are read, so they may be of slightly different moments. Reading takes
/// microseconds and blocks nothing.
///
/// ```
/// use poller::{PollSpec, Poller};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let poller = Poller::builder().build().await?;
/// let poll = poller.submit("export-42", PollSpec::parse(r#"{"url": "https://export.invalid"}"#)?).await?;
/// poll.cancel().await?;
///
/// let stats = poller.stats();
/// assert_eq!((stats.created, stats.open), (1, 0));
/// assert_eq!((stats.outcomes.cancelled, stats.outcomes.total()), (1, 1));
/// println!("{} requests, the latest {:?} late", stats.attempts.total(), stats.lateness.max());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Polls without an outcome at present.
    pub open: usize,
    /// Requests in flight at present.
    pub in_flight: usize,
    /// Origins that a 429 or 503 holds back at present, counted per origin and credentials.
    pub held_back: usize,
    /// New polls accepted; polls loaded from the store do not count.
    pub created: u64,
    /// Requests that ended, by result.
    pub attempts: AttemptCounts,
    /// Requests that ended and that a retry rule repeats.
    pub retries: u64,
    /// Outcomes stored, by their kind.
    pub outcomes: OutcomeCounts,
    /// The number of 429 and 503 responses that began or extended the hold-back of an origin.
    pub hold_backs: u64,
    /// Failed calls to the store; storing an outcome is repeated and counts each time.
    pub store_errors: u64,
    /// The delay from due time to start of each request, without first requests and without time spent waiting for caps
    /// and hints.
    pub lateness: Timings,
    /// The duration of requests, to the last byte or the error.
    pub request_time: Timings,
    /// The time that the store took to make a creation or an outcome durable.
    pub store_time: Timings,
}

impl Stats {
    /// Open polls that have no request in flight.
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.open.saturating_sub(self.in_flight)
    }
}

/// Requests by the class of their status.
///
/// ```
/// # use poller::AttemptCounts;
/// let mut counts = AttemptCounts::default();
/// counts.success = 3;
/// counts.error = 1;
/// assert_eq!(counts.total(), 4);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttemptCounts {
    /// 1xx.
    pub informational: u64,
    /// 2xx.
    pub success: u64,
    /// 3xx that was not followed.
    pub redirection: u64,
    /// 4xx.
    pub client_error: u64,
    /// 5xx.
    pub server_error: u64,
    /// No complete response (refused, timed out, cut off, …), and statuses outside of 1xx to 5xx.
    pub error: u64,
}

impl AttemptCounts {
    /// The sum.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.informational
            + self.success
            + self.redirection
            + self.client_error
            + self.server_error
            + self.error
    }
}

/// Polls by outcome.
///
/// ```
/// # use poller::OutcomeCounts;
/// let mut counts = OutcomeCounts::default();
/// counts.matched = 40;
/// counts.timed_out = 2;
/// assert_eq!(counts.total(), 42);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutcomeCounts {
    /// A response matched.
    pub matched: u64,
    /// The failure filter matched, or no request could succeed.
    pub failed: u64,
    /// The deadline came first.
    pub timed_out: u64,
    /// The poll was cancelled.
    pub cancelled: u64,
}

impl OutcomeCounts {
    /// The sum.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.matched + self.failed + self.timed_out + self.cancelled
    }
}

/// A distribution of durations: exact to the microsecond below 256 µs, to 1 % above.
///
/// ```
/// # use poller::Timings;
/// # use std::time::Duration;
/// let none = Timings::default();
/// assert_eq!((none.count(), none.quantile(0.99), none.max()), (0, Duration::ZERO, Duration::ZERO));
/// ```
#[derive(Clone)]
pub struct Timings(Histogram<u64>);

impl Timings {
    /// The number of durations.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The mean; zero if there are none.
    #[must_use]
    pub fn mean(&self) -> Duration {
        Duration::try_from_secs_f64(self.0.mean() / 1e6).unwrap_or_default()
    }

    /// The quantile `q`: `quantile(0.99)` is the 99th percentile. `q` is clamped to 0..=1; zero if there are no durations.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Duration {
        Duration::from_micros(self.0.value_at_quantile(q))
    }

    /// The longest duration.
    #[must_use]
    pub fn max(&self) -> Duration {
        Duration::from_micros(self.0.max())
    }
}

impl Default for Timings {
    fn default() -> Self {
        Self(Histogram::new(2).expect("invariant: two significant digits are allowed"))
    }
}

impl fmt::Debug for Timings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timings")
            .field("count", &self.count())
            .field("mean", &self.mean())
            .field("p99", &self.quantile(0.99))
            .field("max", &self.max())
            .finish()
    }
}

/// The running counters, written by the engine and read from any thread.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    open: AtomicUsize,
    in_flight: AtomicUsize,
    held_back: AtomicUsize,
    created: AtomicU64,
    /// By class of status, then errors.
    attempts: [AtomicU64; 6],
    retries: AtomicU64,
    /// Matched, failed, timed out, cancelled.
    outcomes: [AtomicU64; 4],
    hold_backs: AtomicU64,
    store_errors: AtomicU64,
    lateness: Recording,
    request_time: Recording,
    store_time: Recording,
}

/// A distribution under a lock that is held for nanoseconds, nearly always by the engine alone.
#[derive(Debug, Default)]
struct Recording(Mutex<Timings>);

impl Recording {
    fn take(&self, duration: Duration) {
        let mut timings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The histogram resizes itself, so any value fits; an error would be no reason to stop the engine.
        let _ = timings.0.record(micros(duration));
    }

    fn read(&self) -> Timings {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Statistics order nothing else.
const ORDER: Ordering = Ordering::Relaxed;

fn one_more(count: &AtomicU64) {
    count.fetch_add(1, ORDER);
}

impl Tallies {
    pub(super) fn levels(&self, levels: Levels) {
        self.open.store(levels.open, ORDER);
        self.in_flight.store(levels.in_flight, ORDER);
        self.held_back.store(levels.held_back, ORDER);
    }

    pub(super) fn created(&self) {
        one_more(&self.created);
    }

    pub(super) fn lateness(&self, lateness: Duration) {
        self.lateness.take(lateness);
    }

    pub(super) fn attempted(&self, attempt: &Record) {
        let class = match attempt.result {
            AttemptResult::Status(status @ 100..=599) => usize::from(status / 100 - 1),
            _ => 5,
        };
        one_more(&self.attempts[class]);
        self.request_time.take(attempt.duration);
        if let Some(next) = attempt.next
            && matches!(next.why, NextReason::Retry { .. })
        {
            one_more(&self.retries);
        }
    }

    pub(super) fn hold_back(&self) {
        one_more(&self.hold_backs);
    }

    pub(super) fn finished(&self, outcome: &Outcome) {
        let kind = match outcome.kind {
            OutcomeKind::Matched { .. } => 0,
            OutcomeKind::Failed { .. } => 1,
            OutcomeKind::TimedOut { .. } => 2,
            OutcomeKind::Cancelled => 3,
        };
        one_more(&self.outcomes[kind]);
    }

    pub(super) fn store(&self, took: Duration) {
        self.store_time.take(took);
    }

    pub(super) fn store_error(&self) {
        one_more(&self.store_errors);
    }

    pub(super) fn read(&self) -> Stats {
        let read = |count: &AtomicU64| count.load(ORDER);
        let [informational, success, redirection, client_error, server_error, error] =
            self.attempts.each_ref().map(read);
        let [matched, failed, timed_out, cancelled] = self.outcomes.each_ref().map(read);
        Stats {
            open: self.open.load(ORDER),
            in_flight: self.in_flight.load(ORDER),
            held_back: self.held_back.load(ORDER),
            created: read(&self.created),
            attempts: AttemptCounts {
                informational,
                success,
                redirection,
                client_error,
                server_error,
                error,
            },
            retries: read(&self.retries),
            outcomes: OutcomeCounts { matched, failed, timed_out, cancelled },
            hold_backs: read(&self.hold_backs),
            store_errors: read(&self.store_errors),
            lateness: self.lateness.read(),
            request_time: self.request_time.read(),
            store_time: self.store_time.read(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_takes_any_duration() {
        let recording = Recording::default();
        for millis in 1..=100 {
            recording.take(Duration::from_millis(millis));
        }
        recording.take(Duration::ZERO);
        let timings = recording.read();
        assert_eq!(timings.count(), 101);
        let p99 = timings.quantile(0.99).as_secs_f64();
        assert!((0.098..0.101).contains(&p99), "{timings:?}");
        recording.take(Duration::MAX);
        assert!(recording.read().max() > Duration::from_secs(3600 * 24 * 365), "{:?}", recording.read());
    }
}
