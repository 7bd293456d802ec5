//! The grid of one poll: the times at which its requests are due.
//!
//! The ticks follow from the start and the [`Interval`] alone, so nothing is stored and nothing shifts them:
//!
//! With many polls of one start, each may have its [offset], so that their ticks do not fall together.
//!
//! ```text
//! fixed      start + k·interval                    growing     gaps from, from·factor, from·factor², … up to `to`
//!
//! start                                 deadline   start                                        deadline
//!   |-------|-------|-------|-------|------|         |--|---|----|------|---------|---------|------|
//!  k=0      1       2       3       4    (none)     k=0 1   2    3      4         5         6    (none)
//! ```

use std::fmt;
use std::time::Duration;

use ring::digest::{Context, SHA256};

use crate::clock::{Timestamp, micros};
use crate::key::PollKey;

/// The gaps between the ticks of a poll: all the same, or growing by a factor up to a longest one.
///
/// ```
/// use poller::Interval;
/// use std::time::Duration;
///
/// let interval = Interval::growing(Duration::from_secs(1), Duration::from_secs(30), 1.5);
/// assert_eq!((interval.first(), interval.longest()), (Duration::from_secs(1), Duration::from_secs(30)));
/// assert_eq!(interval.to_string(), "1s, growing by 1.5 to 30s");
/// assert_eq!(Interval::from(Duration::from_secs(10)).to_string(), "10s");
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Microseconds, at least one.
    from: u64,
    to: u64,
    factor: f64,
}

impl Interval {
    /// The least factor of a growing interval. A smaller one would make a grid of very many different gaps.
    pub const LEAST_FACTOR: f64 = 1.01;
    /// The greatest.
    pub const GREATEST_FACTOR: f64 = 100.0;

    /// Gaps that begin with `from` and grow by `factor` up to `to`. A gap below a microsecond counts as one, `to` below
    /// `from` as `from`; the factor is moved between [`LEAST_FACTOR`](Self::LEAST_FACTOR) and
    /// [`GREATEST_FACTOR`](Self::GREATEST_FACTOR).
    #[must_use]
    pub fn growing(from: Duration, to: Duration, factor: f64) -> Self {
        let from = micros(from).max(1);
        let factor = if factor.is_nan() { Self::LEAST_FACTOR } else { factor };
        Self {
            from,
            to: micros(to).max(from),
            factor: factor.clamp(Self::LEAST_FACTOR, Self::GREATEST_FACTOR),
        }
    }

    /// The first gap, which is the shortest.
    #[must_use]
    pub const fn first(&self) -> Duration {
        Duration::from_micros(self.from)
    }

    /// The longest gap.
    #[must_use]
    pub const fn longest(&self) -> Duration {
        Duration::from_micros(self.to)
    }

    /// The factor from one gap to the next; `None` if all are the same.
    #[must_use]
    pub fn factor(&self) -> Option<f64> {
        (self.from != self.to).then_some(self.factor)
    }

    /// The gap after this one, in whole microseconds. A product of two floats and its rounding are the same on every
    /// machine, so every process computes the same grid; a power would not be. The last digits do not matter, and a float
    /// saturates.
    fn next(&self, gap: u64) -> u64 {
        let grown = (gap as f64 * self.factor).round() as u64;
        grown.max(gap + 1).min(self.to)
    }

    /// The last tick at or before this offset from the start, the gap before it (the first, if it is the start), and the gap
    /// after it. Logarithmic in the ratio of the longest and the first gap.
    fn around(&self, offset: u64) -> (u64, u64, u64) {
        let (mut tick, mut before, mut gap) = (0, self.from, self.from);
        while gap < self.to {
            if offset - tick < gap {
                return (tick, before, gap);
            }
            tick += gap;
            before = gap;
            gap = self.next(gap);
        }
        let passed = (offset - tick) / gap;
        (tick + passed * gap, if passed == 0 { before } else { gap }, gap)
    }
}

impl From<Duration> for Interval {
    /// All gaps the same.
    fn from(gap: Duration) -> Self {
        Self::growing(gap, gap, Self::LEAST_FACTOR)
    }
}

impl PartialEq<Duration> for Interval {
    /// Whether all gaps are this one.
    fn eq(&self, gap: &Duration) -> bool {
        self.first() == *gap && self.longest() == *gap
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.factor() {
            None => write!(f, "{:?}", self.first()),
            Some(factor) => write!(f, "{:?}, growing by {factor} to {:?}", self.first(), self.longest()),
        }
    }
}

/// A time within `span`, by a digest of the name of a poll: evenly spread over many names, and the same for one name.
pub(crate) fn offset(key: &PollKey, span: Duration) -> Duration {
    let mut digest = Context::new(&SHA256);
    digest.update(key.scope().as_bytes());
    // In no scope and no key.
    digest.update(b"\0");
    digest.update(key.key().as_bytes());
    let digest = digest.finish();
    let fraction = digest.as_ref().iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let offset = (u128::from(fraction) * u128::from(micros(span))) >> 64;
    Duration::from_micros(u64::try_from(offset).unwrap_or(0))
}

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
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    start: Timestamp,
    interval: Interval,
    deadline: Timestamp,
}

impl Grid {
    /// The grid of a poll accepted at `start`.
    #[must_use]
    pub fn new(start: Timestamp, interval: impl Into<Interval>, timeout: Duration) -> Self {
        Self { start, interval: interval.into(), deadline: start + timeout }
    }

    /// The first tick.
    #[must_use]
    pub const fn start(&self) -> Timestamp {
        self.start
    }

    /// The gaps between ticks.
    #[must_use]
    pub const fn interval(&self) -> Interval {
        self.interval
    }

    /// The deadline: no request begins at or after it.
    #[must_use]
    pub const fn deadline(&self) -> Timestamp {
        self.deadline
    }

    fn around(&self, time: Timestamp) -> (u64, u64, u64) {
        self.interval.around(time.as_micros().saturating_sub(self.start.as_micros()))
    }

    /// The first tick that is not before `time`; `None` if the deadline comes first.
    #[must_use]
    pub fn first_at_or_after(&self, time: Timestamp) -> Option<Timestamp> {
        let (tick, _, gap) = self.around(time);
        let last = self.start.as_micros().checked_add(tick)?;
        let tick = if last >= time.as_micros() { last } else { last.checked_add(gap)? };
        (tick < self.deadline.as_micros()).then(|| Timestamp::from_micros(tick))
    }

    /// The first tick after `time`; `None` if the deadline comes first.
    #[must_use]
    pub fn first_after(&self, time: Timestamp) -> Option<Timestamp> {
        self.first_at_or_after(Timestamp::from_micros(time.as_micros().checked_add(1)?))
    }

    /// The last tick that is not after `time`, the deadline aside, and the gap before it. The first tick, and the first gap,
    /// if `time` is not after it.
    #[must_use]
    pub fn last_at_or_before(&self, time: Timestamp) -> (Timestamp, Duration) {
        let (tick, before, _) = self.around(time);
        (self.start + Duration::from_micros(tick), Duration::from_micros(before))
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
    fn offsets_are_even_and_within_the_span() {
        let mut tenths = [0; 10];
        for number in 0..10_000 {
            let offset = offset(&PollKey::new("run", format!("export-{number}")), Duration::from_secs(10));
            tenths[usize::try_from(offset.as_secs()).unwrap()] += 1;
        }
        // Six deviations of a binomial distribution.
        assert!(tenths.iter().all(|tenth| (820..1180).contains(tenth)), "{tenths:?}");
        let one = |scope: &str, key: &str| offset(&PollKey::new(scope, key), Duration::from_secs(10));
        assert_eq!(one("a", "b"), one("a", "b"));
        assert_ne!(one("a", "bc"), one("ab", "c"));
        assert_eq!(offset(&PollKey::new("", "a"), Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn first_after_is_strict_and_first_at_or_after_is_not() {
        let grid = grid(0, 10, 100);
        assert_eq!(grid.first_at_or_after(at(20)), Some(at(20)));
        assert_eq!(grid.first_after(at(20)), Some(at(30)));
    }

    /// The oracle adds up gaps that it computes in whole numbers, a factor of 1.5 being three halves.
    #[test]
    fn growing_gaps_are_those_of_a_simple_sum() {
        let interval = Interval::growing(Duration::from_secs(2), Duration::from_secs(30), 1.5);
        let grid = Grid::new(at(100), interval, Duration::from_secs(1000));
        let (mut gap, mut tick) = (2 * SECOND, 100 * SECOND);
        while tick < 1100 * SECOND {
            let time = Timestamp::from_micros(tick);
            assert_eq!(grid.first_at_or_after(time), Some(time));
            assert_eq!(grid.first_after(Timestamp::from_micros(tick - 1)), Some(time));
            assert_eq!(grid.last_at_or_before(Timestamp::from_micros(tick + gap - 1)).0, time);
            tick += gap;
            assert_eq!(grid.last_at_or_before(Timestamp::from_micros(tick)).1, Duration::from_micros(gap));
            gap = (gap * 3).div_ceil(2).min(30 * SECOND);
        }
        assert_eq!(grid.first_at_or_after(grid.deadline()), None);
    }

    #[test]
    fn growing_gaps_reach_their_end_in_few_steps_whatever_they_are() {
        for (from, to, factor) in
            [(10_000, u64::MAX, 1.0), (1, u64::MAX, f64::NAN), (1, 2, 1e300), (5, 3, 0.0)]
        {
            let interval = Interval::growing(Duration::from_micros(from), Duration::from_micros(to), factor);
            let (mut gap, mut steps) = (from, 0);
            while gap < interval.to {
                gap = interval.next(gap);
                steps += 1;
            }
            assert!(steps < 5000, "{steps}");
            let (tick, before, after) = interval.around(u64::MAX);
            assert!(u64::MAX - tick < after && before <= after);
        }
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
