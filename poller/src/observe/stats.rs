//! Figures of a poller since it was built, for whoever has no recorder of metrics.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

use super::Levels;
use crate::clock::micros;
use crate::history::Record;
use crate::outcome::{AttemptResult, NextReason, Outcome, OutcomeKind};

/// What a poller has done since it was built, and has under way; from [`Poller::stats`](crate::Poller::stats).
///
/// A snapshot: the figures are read one after the other while the engine goes on, so they may differ by what happens in
/// between. Reading takes microseconds and holds nobody up.
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
    /// Polls without an outcome, now.
    pub open: usize,
    /// Requests that have been sent and not answered, now.
    pub in_flight: usize,
    /// Origins that a 429 or 503 holds back, now; the same origin with other credentials counts by itself.
    pub held_back: usize,
    /// Polls accepted as new; those taken over from the store are not among them.
    pub created: u64,
    /// Requests that ended, by what they brought.
    pub attempts: AttemptCounts,
    /// Of those, the ones that a retry rule repeats.
    pub retries: u64,
    /// Outcomes stored, by their kind.
    pub outcomes: OutcomeCounts,
    /// How often a 429 or 503 held back an origin, or held it back longer.
    pub hold_backs: u64,
    /// Calls to the store that failed. A failed outcome is stored again later and counts each time.
    pub store_errors: u64,
    /// How long after it was due each request began; first requests and the time that caps and hints took left out.
    pub lateness: Timings,
    /// How long requests took, to the last byte or the error.
    pub request_time: Timings,
    /// How long the store took to make a creation or an outcome durable.
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
    /// No whole response: refused, timed out, cut off, …; and statuses outside of 1xx to 5xx.
    pub error: u64,
}

impl AttemptCounts {
    /// All of them.
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

/// Polls by how they ended.
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
    /// The failure filter matched, or asking could not succeed.
    pub failed: u64,
    /// The deadline came first.
    pub timed_out: u64,
    /// Somebody cancelled it.
    pub cancelled: u64,
}

impl OutcomeCounts {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.matched + self.failed + self.timed_out + self.cancelled
    }
}

/// How durations were distributed: to the microsecond below 256 µs, to 1 % above.
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
    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The mean; zero where there were none.
    #[must_use]
    pub fn mean(&self) -> Duration {
        Duration::try_from_secs_f64(self.0.mean() / 1e6).unwrap_or_default()
    }

    /// The duration that the share `q` of them did not exceed: `quantile(0.99)` is the 99th percentile. `q` is clamped to
    /// 0 to 1; zero where there were none.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Duration {
        Duration::from_micros(self.0.value_at_quantile(q))
    }

    /// The longest.
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

/// The figures as they grow. Written by the engine, read by anybody.
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

/// A distribution that is being recorded. The lock is held for nanoseconds, and nearly always by the engine alone.
#[derive(Debug, Default)]
struct Recording(Mutex<Timings>);

impl Recording {
    fn take(&self, duration: Duration) {
        let mut timings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // It grows as needed, so it takes any value; a statistic would be no reason to stop for.
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
