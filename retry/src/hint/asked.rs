//! [`Asked`]: how long a server asked to be left alone, before anyone judges whether that is sensible.
//!
//! Inside this module time is an `i128` of nanoseconds, which holds the difference of any two moments that
//! any header can name, so that the parsers need no checks of their own; turning it into an [`Asked`]
//! saturates.

use std::time::{Duration, SystemTime};

/// The longest delay that a hint is taken at its word for: one day. A server that asks for more is more
/// likely to have sent the wrong unit than to mean it, and a client that must wait longer should decide so
/// from [`Hint::raw`](super::Hint::raw).
pub const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the server asked to wait, as sent.
///
/// ```
/// use retry::hint::{Asked, LONGEST};
/// use std::time::Duration;
///
/// assert_eq!(Asked::Wait(Duration::from_secs(7)).clamped(), Duration::from_secs(7));
/// assert_eq!(Asked::Wait(Duration::MAX).clamped(), LONGEST);
/// assert_eq!(Asked::Past(Duration::from_secs(7)).clamped(), Duration::ZERO);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Asked {
    /// This long from now; zero is "at once".
    Wait(Duration),
    /// The moment named was this long ago. Never zero.
    Past(Duration),
}

impl Asked {
    /// The delay to keep: zero for the past, at most [`LONGEST`].
    #[must_use]
    pub fn clamped(self) -> Duration {
        self.clamped_to(LONGEST)
    }

    /// The delay to keep: zero for the past, at most `longest`.
    #[must_use]
    pub fn clamped_to(self, longest: Duration) -> Duration {
        match self {
            Self::Wait(wait) => wait.min(longest),
            Self::Past(_) => Duration::ZERO,
        }
    }

    pub(super) fn from_nanos(nanos: i128) -> Self {
        let distance = saturating_duration(nanos.unsigned_abs());
        if nanos < 0 { Self::Past(distance) } else { Self::Wait(distance) }
    }
}

pub(super) const NANOS_PER_SEC: i128 = 1_000_000_000;
pub(super) const NANOS_PER_MILLI: i128 = 1_000_000;

fn saturating_duration(nanos: u128) -> Duration {
    let per_sec = NANOS_PER_SEC.unsigned_abs();
    match u64::try_from(nanos / per_sec) {
        // The remainder of a division by 10^9 fits a u32.
        Ok(secs) => Duration::new(secs, (nanos % per_sec) as u32),
        Err(_) => Duration::MAX,
    }
}

/// Nanoseconds since the Unix epoch, negative before it.
pub(super) fn since_epoch(time: SystemTime) -> i128 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => signed(after),
        Err(before) => -signed(before.duration()),
    }
}

pub(super) fn signed(duration: Duration) -> i128 {
    // Duration::MAX is below 2^95 nanoseconds.
    duration.as_nanos() as i128
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_distance_is_a_duration() {
        assert_eq!(Asked::from_nanos(0), Asked::Wait(Duration::ZERO));
        assert_eq!(Asked::from_nanos(-1), Asked::Past(Duration::from_nanos(1)));
        assert_eq!(Asked::from_nanos(i128::MAX), Asked::Wait(Duration::MAX));
        assert_eq!(Asked::from_nanos(i128::MIN), Asked::Past(Duration::MAX));
        assert_eq!(Asked::from_nanos(signed(Duration::MAX)), Asked::Wait(Duration::MAX));
    }

    #[test]
    fn moments_before_the_epoch_are_negative() {
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(2);
        assert_eq!(since_epoch(before), -2 * NANOS_PER_SEC);
    }
}
