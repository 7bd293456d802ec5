//! Requests per second, as the mean over the last ten seconds: short enough to be current, long enough to be steady.

use std::collections::VecDeque;
use std::time::Duration;

use poller::Timestamp;

const WINDOW: Duration = Duration::from_secs(10);
const STEP: Duration = Duration::from_secs(1);

/// Samples of the number of requests over time.
#[derive(Debug, Default)]
pub(super) struct RequestRate {
    /// The total at each second of the window, oldest first.
    samples: VecDeque<(Timestamp, u64)>,
}

impl RequestRate {
    /// Records the total number of requests so far; a second call within the same second is ignored.
    pub(super) fn record(&mut self, now: Timestamp, total: u64) {
        if self.samples.back().is_none_or(|(last, _)| now.since(*last) >= STEP) {
            self.samples.push_back((now, total));
        }
        // One sample older than the window is kept, so that the whole window is covered.
        while self.samples.get(1).is_some_and(|(second, _)| now.since(*second) >= WINDOW) {
            self.samples.pop_front();
        }
    }

    /// `12 requests/s`, `0.4 requests/s`; `None` during the first second.
    pub(super) fn describe(&self, now: Timestamp, total: u64) -> Option<String> {
        let (since, before) = self.samples.front()?;
        let seconds = now.since(*since).as_secs_f64();
        if seconds < STEP.as_secs_f64() {
            return None;
        }
        let rate = total.saturating_sub(*before) as f64 / seconds;
        Some(if rate < 9.95 { format!("{rate:.1} requests/s") } else { format!("{rate:.0} requests/s") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_covers_the_last_ten_seconds() {
        let at = |tenths: u64| Timestamp::from_micros(tenths * 100_000);
        let mut rate = RequestRate::default();
        rate.record(at(0), 0);
        assert_eq!(rate.describe(at(9), 20), None, "no full second yet");
        for tenth in 0..=300 {
            let total = 2 * tenth.min(100);
            rate.record(at(tenth), total);
            match tenth {
                50 => assert_eq!(rate.describe(at(50), total).as_deref(), Some("20 requests/s")),
                300 => {
                    assert_eq!(rate.describe(at(300), total).as_deref(), Some("0.0 requests/s"), "long ago");
                }
                _ => {}
            }
        }
        let mut steady = RequestRate::default();
        for tenth in 0..=300 {
            steady.record(at(tenth), 3 * tenth);
        }
        assert_eq!(steady.describe(at(300), 900).as_deref(), Some("30 requests/s"));
        assert!(steady.samples.len() <= 12, "{}", steady.samples.len());
    }
}
