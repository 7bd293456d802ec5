//! How many requests a second: the mean over the last ten seconds, so that it neither flickers nor lags.

use std::collections::VecDeque;
use std::time::Duration;

use poller::Timestamp;

const WINDOW: Duration = Duration::from_secs(10);
const STEP: Duration = Duration::from_secs(1);

/// Remembers how many requests there had been when.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// What the count was at each second of the window, oldest first.
    marks: VecDeque<(Timestamp, u64)>,
}

impl Pace {
    /// Takes note of how many requests there have been so far; more often than once a second changes nothing.
    pub(super) fn mark(&mut self, now: Timestamp, total: u64) {
        if self.marks.back().is_none_or(|(last, _)| now.since(*last) >= STEP) {
            self.marks.push_back((now, total));
        }
        // One mark that is older than the window stays, so that the whole window is covered.
        while self.marks.get(1).is_some_and(|(second, _)| now.since(*second) >= WINDOW) {
            self.marks.pop_front();
        }
    }

    /// `12 requests/s`, `0.4 requests/s`; nothing before there is a second to measure.
    pub(super) fn in_words(&self, now: Timestamp, total: u64) -> Option<String> {
        let (since, before) = self.marks.front()?;
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
    fn the_last_ten_seconds_count() {
        let at = |tenths: u64| Timestamp::from_micros(tenths * 100_000);
        let mut pace = Pace::default();
        pace.mark(at(0), 0);
        assert_eq!(pace.in_words(at(9), 20), None, "too early to say");
        for tenth in 0..=300 {
            let total = 2 * tenth.min(100);
            pace.mark(at(tenth), total);
            match tenth {
                50 => assert_eq!(pace.in_words(at(50), total).as_deref(), Some("20 requests/s")),
                300 => {
                    assert_eq!(pace.in_words(at(300), total).as_deref(), Some("0.0 requests/s"), "long ago");
                }
                _ => {}
            }
        }
        let mut steady = Pace::default();
        for tenth in 0..=300 {
            steady.mark(at(tenth), 3 * tenth);
        }
        assert_eq!(steady.in_words(at(300), 900).as_deref(), Some("30 requests/s"));
        assert!(steady.marks.len() <= 12, "{}", steady.marks.len());
    }
}
