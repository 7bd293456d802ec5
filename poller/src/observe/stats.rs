//! Statistics of a poller since it was built, without a metrics recorder.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::clock::micros;
use crate::outcome::{AttemptResult, OutcomeKind};

/// Counts and latencies of a poller since it was built; from [`Poller::stats`](crate::Poller::stats).
///
/// A consistent snapshot. Reading it takes microseconds.
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
    /// Due polls that wait for a cap or the end of a hold at present.
    pub queued: usize,
    /// What open polls keep of responses that did not match at present, in bytes; small responses do not count.
    pub kept_bytes: usize,
    /// How often all requests in flight were in use while due polls waited, counted at most once a minute.
    pub saturations: u64,
    /// Origins that a 429 or 503 holds back at present, counted per origin and credentials, for a 503 also per
    /// scope.
    pub held_back: usize,
    /// New polls accepted; polls loaded from the store do not count.
    pub created: u64,
    /// Requests that ended, by result.
    pub attempts: AttemptCounts,
    /// Requests that ended and that a retry rule repeats.
    pub retries: u64,
    /// Requests that were sent once more within their attempt; see [`Journey::resent`](crate::fetch::Journey::resent).
    pub resent: u64,
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

    pub(super) const fn of(&mut self, result: AttemptResult) -> &mut u64 {
        match result {
            AttemptResult::Status(100..=199) => &mut self.informational,
            AttemptResult::Status(200..=299) => &mut self.success,
            AttemptResult::Status(300..=399) => &mut self.redirection,
            AttemptResult::Status(400..=499) => &mut self.client_error,
            AttemptResult::Status(500..=599) => &mut self.server_error,
            AttemptResult::Status(_) | AttemptResult::Error(_) => &mut self.error,
        }
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

    pub(super) const fn of(&mut self, kind: &OutcomeKind) -> &mut u64 {
        match kind {
            OutcomeKind::Matched { .. } => &mut self.matched,
            OutcomeKind::Failed { .. } => &mut self.failed,
            OutcomeKind::TimedOut { .. } => &mut self.timed_out,
            OutcomeKind::Cancelled => &mut self.cancelled,
        }
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
    pub(super) fn record(&mut self, duration: Duration) {
        // The histogram resizes itself, so any value fits; an error would be no reason to stop the engine.
        let _ = self.0.record(micros(duration));
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_takes_any_duration() {
        let mut timings = Timings::default();
        for millis in 1..=100 {
            timings.record(Duration::from_millis(millis));
        }
        timings.record(Duration::ZERO);
        assert_eq!(timings.count(), 101);
        let p99 = timings.quantile(0.99).as_secs_f64();
        assert!((0.098..0.101).contains(&p99), "{timings:?}");
        timings.record(Duration::MAX);
        assert!(timings.max() > Duration::from_secs(3600 * 24 * 365), "{timings:?}");
    }
}
