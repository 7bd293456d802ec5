//! [`RetryError`]: the error of a run.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::GiveUp;
use crate::humanize::Humanized;

/// The error of a run: the last error of the operation, and the reason to give up.
///
/// There is no last error if no try was made: the breaker was open, or the run was already cancelled.
///
/// ```
/// # #[cfg(feature = "blocking")] {
/// use retry::{GiveUp, Policy, run::Retry};
/// use std::time::Duration;
///
/// let policy = Policy::fixed(Duration::from_millis(1)).max_attempts(2).build().unwrap();
/// let err = Retry::new(&policy).run(|_| Err::<(), _>(std::fmt::Error)).unwrap_err();
/// assert_eq!(err.reason(), GiveUp::Attempts { made: 2 });
/// assert_eq!(err.tries(), 2);
/// assert!(err.to_string().contains("all 2 tries are used up"));
/// assert_eq!(err.into_last(), Some(std::fmt::Error));
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryError<E> {
    last: Option<E>,
    reason: GiveUp,
    tries: u32,
    elapsed: Duration,
}

impl<E> RetryError<E> {
    pub(super) const fn new(last: Option<E>, reason: GiveUp, tries: u32, elapsed: Duration) -> Self {
        Self { last, reason, tries, elapsed }
    }

    /// Why the run gave up.
    #[must_use]
    pub const fn reason(&self) -> GiveUp {
        self.reason
    }

    /// The error of the last try.
    #[must_use]
    pub const fn last(&self) -> Option<&E> {
        self.last.as_ref()
    }

    /// The error of the last try, by value.
    #[must_use]
    pub fn into_last(self) -> Option<E> {
        self.last
    }

    /// The number of tries.
    #[must_use]
    pub const fn tries(&self) -> u32 {
        self.tries
    }

    /// The time from the beginning of the first try to the end of the run.
    #[must_use]
    pub const fn elapsed(&self) -> Duration {
        self.elapsed
    }
}

/// States the reason, the tries and the time; the last error is the [`source`](Error::source).
impl<E> fmt::Display for RetryError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reason, tries, elapsed, .. } = self;
        match tries {
            0 => write!(f, "not tried: {reason}"),
            1 => write!(f, "gave up after 1 try in {}: {reason}", Humanized(*elapsed)),
            _ => write!(f, "gave up after {tries} tries in {}: {reason}", Humanized(*elapsed)),
        }
    }
}

impl<E: Error + 'static> Error for RetryError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.last.as_ref().map(|last| last as &(dyn Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_states_the_reason() {
        let second = Duration::from_secs(1);
        let err = RetryError::new(Some(fmt::Error), GiveUp::Permanent, 1, second);
        assert_eq!(err.to_string(), "gave up after 1 try in 1 s: the failure is permanent");
        assert!(err.source().is_some());
        let err = RetryError::<fmt::Error>::new(None, GiveUp::Cancelled, 0, second);
        assert_eq!(err.to_string(), "not tried: cancelled");
        assert!(err.source().is_none());
    }
}
