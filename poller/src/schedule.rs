//! The grid of one poll: the times at which its requests are due.
//!
//! The ticks are `start + k·interval` for k = 0, 1, 2 and so on before the deadline. Nothing shifts them.
//!
//! ```text
//! start                                            deadline
//!   |-------|-------|-------|-------|-------|----------|
//!  k=0      1       2       3       4       5      (no tick at or after)
//! ```

use std::time::Duration;

use crate::clock::{Timestamp, micros};

/// The ticks of one poll.
///
/// ```
/// use poller::{Grid, Timestamp};
/// use std::time::Duration;
///
/// let grid = Grid::new(Timestamp::from_micros(0), Duration::from_secs(10), Duration::from_secs(25));
/// let late = Timestamp::from_micros(11_000_000);
/// assert_eq!(grid.first_at_or_after(late), Some(Timestamp::from_micros(20_000_000)));
/// assert_eq!(grid.first_at_or_after(grid.deadline()), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    start: Timestamp,
    interval: u64,
    deadline: Timestamp,
}

impl Grid {
    /// The grid of a poll accepted at `start`. An interval below a microsecond counts as one.
    #[must_use]
    pub fn new(start: Timestamp, interval: Duration, timeout: Duration) -> Self {
        Self { start, interval: micros(interval).max(1), deadline: start + timeout }
    }

    /// The first tick.
    #[must_use]
    pub const fn start(&self) -> Timestamp {
        self.start
    }

    /// The time between two ticks.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        Duration::from_micros(self.interval)
    }

    /// The deadline: no request begins at or after it.
    #[must_use]
    pub const fn deadline(&self) -> Timestamp {
        self.deadline
    }

    /// The first tick that is not before `time`; `None` if the deadline comes first.
    #[must_use]
    pub fn first_at_or_after(&self, time: Timestamp) -> Option<Timestamp> {
        let passed = time.as_micros().saturating_sub(self.start.as_micros()).div_ceil(self.interval);
        let tick = passed.checked_mul(self.interval)?.checked_add(self.start.as_micros())?;
        (tick < self.deadline.as_micros()).then(|| Timestamp::from_micros(tick))
    }

    /// The first tick after `time`; `None` if the deadline comes first.
    #[must_use]
    pub fn first_after(&self, time: Timestamp) -> Option<Timestamp> {
        self.first_at_or_after(Timestamp::from_micros(time.as_micros().checked_add(1)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_micros(seconds * SECOND)
    }

    fn grid(start: u64, interval: u64, timeout: u64) -> Grid {
        Grid::new(at(start), Duration::from_secs(interval), Duration::from_secs(timeout))
    }

    #[test]
    fn ticks_start_at_once_and_end_before_the_deadline() {
        let grid = grid(5, 10, 30);
        let mut ticks = vec![grid.first_at_or_after(grid.start()).unwrap()];
        while let Some(tick) = grid.first_after(*ticks.last().unwrap()) {
            ticks.push(tick);
        }
        assert_eq!(ticks, [at(5), at(15), at(25)], "35 is the deadline, not a tick");
    }

    #[test]
    fn first_after_is_strict_and_first_at_or_after_is_not() {
        let grid = grid(0, 10, 100);
        assert_eq!(grid.first_at_or_after(at(20)), Some(at(20)));
        assert_eq!(grid.first_after(at(20)), Some(at(30)));
    }

    #[test]
    fn the_latest_times_do_not_overflow() {
        let last = Timestamp::from_micros(u64::MAX);
        let grid = Grid::new(Timestamp::from_micros(u64::MAX - 5), Duration::from_secs(1), Duration::MAX);
        assert_eq!(grid.deadline(), last);
        assert_eq!(grid.first_after(last), None);
        assert_eq!(grid.first_at_or_after(last), None);
    }
}
