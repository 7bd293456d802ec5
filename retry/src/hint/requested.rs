//! [`Requested`]: the wait that a server asks for, as sent.
//!
//! The parsers compute in `i128` nanoseconds, which hold the difference of any two times a header can state, and need no
//! overflow checks. The conversion to [`Requested`] saturates.

use std::time::{Duration, SystemTime};

/// The longest delay of a hint: one day. A longer request is probably in the wrong unit; a client that must wait longer can
/// use [`Hint::raw`](super::Hint::raw).
pub const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The wait that the server asks for, as sent.
///
/// ```
/// use retry::hint::{Requested, LONGEST};
/// use std::time::Duration;
///
/// assert_eq!(Requested::Wait(Duration::from_secs(7)).clamped(), Duration::from_secs(7));
/// assert_eq!(Requested::Wait(Duration::MAX).clamped(), LONGEST);
/// assert_eq!(Requested::Past(Duration::from_secs(7)).clamped(), Duration::ZERO);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Requested {
    /// A wait from now; zero means "at once".
    Wait(Duration),
    /// A time this long ago. Never zero.
    Past(Duration),
}

impl Requested {
    /// The delay: zero for the past, at most [`LONGEST`].
    #[must_use]
    pub fn clamped(self) -> Duration {
        self.clamped_to(LONGEST)
    }

    /// The delay: zero for the past, at most `longest`.
    #[must_use]
    pub fn clamped_to(self, longest: Duration) -> Duration {
        match self {
            Self::Wait(wait) => wait.min(longest),
            Self::Past(_) => Duration::ZERO,
        }
    }

    pub(super) fn from_nanos(nanos: i128) -> Self {
        let distance = Duration::from_nanos_u128(nanos.unsigned_abs().min(Duration::MAX.as_nanos()));
        if nanos < 0 { Self::Past(distance) } else { Self::Wait(distance) }
    }
}

pub(super) const NANOS_PER_SEC: i128 = 1_000_000_000;
pub(super) const NANOS_PER_MILLI: i128 = 1_000_000;

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
    fn any_difference_is_a_duration() {
        assert_eq!(Requested::from_nanos(0), Requested::Wait(Duration::ZERO));
        assert_eq!(Requested::from_nanos(-1), Requested::Past(Duration::from_nanos(1)));
        assert_eq!(Requested::from_nanos(i128::MAX), Requested::Wait(Duration::MAX));
        assert_eq!(Requested::from_nanos(i128::MIN), Requested::Past(Duration::MAX));
        assert_eq!(Requested::from_nanos(signed(Duration::MAX)), Requested::Wait(Duration::MAX));
    }

    #[test]
    fn times_before_the_epoch_are_negative() {
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(2);
        assert_eq!(since_epoch(before), -2 * NANOS_PER_SEC);
    }
}
