//! [`RetryError`]: the error of a run, and [`OperationError`]: the errors an operation may return.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::humanize::Humanized;
use crate::members::getters;
use crate::{Failure, FailureKind, GiveUp};

/// An error that an operation may return: any [`std::error::Error`], `anyhow::Error`, `eyre::Report`, boxed errors, text.
///
/// The trait gives a [`RetryError`] its [`source`](Error::source). `anyhow::Error` and `Box<dyn Error>` do not implement
/// `Error`, and one blanket implementation cannot cover them; the marker `M`, which the compiler infers, keeps several apart.
/// Other types need an implementation, with a marker of their own crate.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an error that a run can report",
    note = "implement `std::error::Error` for it, or use `retry::Retryable`, which returns it as it is"
)]
pub trait OperationError<M> {
    /// The error as the source of a [`RetryError`].
    fn source(&self) -> Option<&(dyn Error + 'static)>;
}

/// The markers of [`OperationError`]'s implementations.
pub mod marker {
    /// For types that implement `Error`.
    #[derive(Debug)]
    pub enum Standard {}
    /// For `anyhow::Error`, `Box<dyn Error + Send + Sync>` and the like.
    #[derive(Debug)]
    pub enum Dynamic {}
    /// For `Box<dyn Error>` and `Box<dyn Error + Send>`.
    #[derive(Debug)]
    pub enum Boxed {}
    /// For text and `()`, which have no source.
    #[derive(Debug)]
    pub enum Plain {}
}

impl<E: Error + 'static> OperationError<marker::Standard> for E {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self)
    }
}

impl<E: AsRef<dyn Error + Send + Sync + 'static>> OperationError<marker::Dynamic> for E {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.as_ref())
    }
}

impl OperationError<marker::Boxed> for Box<dyn Error> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&**self)
    }
}

impl OperationError<marker::Boxed> for Box<dyn Error + Send> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&**self)
    }
}

macro_rules! plain {
    ($($plain:ty),+) => {$(
        impl OperationError<marker::Plain> for $plain {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                None
            }
        }
    )+};
}

plain!((), &'static str, String, Failure);

/// The error of a run: the last error of the operation, and the reason to give up.
///
/// It converts with `?` into `anyhow::Error` and `Box<dyn Error>`, whatever the operation's error is, and keeps that as its
/// source:
///
/// ```
/// # #[cfg(feature = "blocking")] {
/// use retry::{GiveUp, Policy};
/// use std::time::Duration;
///
/// fn load() -> anyhow::Result<String> {
///     anyhow::bail!("no such table")
/// }
///
/// fn run(policy: &Policy) -> anyhow::Result<String> {
///     Ok(retry::blocking::retry(policy, load)?)
/// }
///
/// let policy = Policy::fixed(Duration::from_millis(1)).max_attempts(2).build().unwrap();
/// let err = run(&policy).unwrap_err();
/// assert_eq!(err.root_cause().to_string(), "no such table");
///
/// let err = retry::blocking::retry(&policy, load).unwrap_err();
/// assert_eq!((err.reason(), err.tries()), (GiveUp::Attempts { made: 2 }, 2));
/// assert_eq!(err.into_result().unwrap().to_string(), "no such table"); // the operation's own error
/// # }
/// ```
#[derive(Clone)]
pub struct RetryError<E> {
    pub(super) last: Option<E>,
    pub(super) kind: Option<FailureKind>,
    pub(super) rare: Option<Box<Rare>>,
    pub(super) reason: GiveUp,
    pub(super) tries: u32,
    pub(super) elapsed: Duration,
    pub(super) source: fn(&E) -> Option<&(dyn Error + 'static)>,
}

/// What few errors have, boxed to keep the others small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rare {
    pub(super) malformed: Option<&'static str>,
    pub(super) cut_by: Option<GiveUp>,
}

impl Rare {
    pub(super) fn new(malformed: Option<&'static str>, cut_by: Option<GiveUp>) -> Option<Box<Self>> {
        (malformed.is_some() || cut_by.is_some()).then(|| Box::new(Self { malformed, cut_by }))
    }
}

impl<E> RetryError<E> {
    getters! {
        /// Why the run gave up.
        pub const fn reason() -> GiveUp;
        /// The kind of the last failure.
        pub const fn kind() -> Option<FailureKind>;
        /// The number of tries.
        pub const fn tries() -> u32;
        /// The time from the beginning of the first try to the end of the run.
        pub const fn elapsed() -> Duration;
    }

    /// The error of the last try; `None` if a limit or a cancellation ended that try ([`cut_by`](Self::cut_by)), or if no try was
    /// made: the breaker was open, or the run was already cancelled.
    #[must_use]
    pub const fn last(&self) -> Option<&E> {
        self.last.as_ref()
    }

    /// The error of the last try, by value.
    #[must_use]
    pub fn into_last(self) -> Option<E> {
        self.last
    }

    /// The operation's own error, or the reason why there is none: what ended the last try, or why no try was made. Without a
    /// breaker, a cancellation and limits for tries there is always an error.
    ///
    /// # Errors
    /// If the last try was ended, or none was made.
    pub fn into_result(self) -> Result<E, GiveUp> {
        self.last.ok_or(self.rare.and_then(|rare| rare.cut_by).unwrap_or(self.reason))
    }

    /// What ended the last try, if something did: [`GiveUp::TryTimeout`], [`GiveUp::CutAtDeadline`] or
    /// [`GiveUp::Cancelled`]. It is then the [`source`](Error::source).
    #[must_use]
    pub fn cut_by(&self) -> Option<GiveUp> {
        self.rare.as_ref().and_then(|rare| rare.cut_by)
    }

    /// As [`Failure::malformed_hint`], of the last failure.
    #[must_use]
    pub fn malformed_hint(&self) -> Option<&'static str> {
        self.rare.as_ref().and_then(|rare| rare.malformed)
    }
}

impl<E: fmt::Debug> fmt::Debug for RetryError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryError")
            .field("last", &self.last)
            .field("kind", &self.kind)
            .field("cut_by", &self.cut_by())
            .field("reason", &self.reason)
            .field("tries", &self.tries)
            .field("elapsed", &self.elapsed)
            .finish()
    }
}

impl<E: PartialEq> PartialEq for RetryError<E> {
    fn eq(&self, other: &Self) -> bool {
        (&self.last, self.kind, &self.rare, self.reason, self.tries, self.elapsed)
            == (&other.last, other.kind, &other.rare, other.reason, other.tries, other.elapsed)
    }
}

/// States the reason, the tries, the time, and a malformed hint; the last error is the [`source`](Error::source).
impl<E> fmt::Display for RetryError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reason, tries, elapsed, .. } = self;
        match tries {
            0 => write!(f, "not tried: {reason}")?,
            1 => write!(f, "gave up after 1 try in {}: {reason}", Humanized(*elapsed))?,
            _ => write!(f, "gave up after {tries} tries in {}: {reason}", Humanized(*elapsed))?,
        }
        match self.malformed_hint() {
            Some(header) => write!(f, "; the response's {header} is malformed"),
            None => Ok(()),
        }
    }
}

impl<E: fmt::Debug> Error for RetryError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.last {
            Some(last) => (self.source)(last),
            // A cancellation is the reason already.
            None => Some(self.rare.as_ref()?.cut_by.as_ref().filter(|cut| **cut != self.reason)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error<E: OperationError<M>, M>(last: Option<E>, reason: GiveUp, tries: u32) -> RetryError<E> {
        let (kind, malformed) = (Some(FailureKind::Permanent), (tries == 2).then_some("Retry-After"));
        RetryError {
            last,
            kind,
            rare: Rare::new(malformed, None),
            reason,
            tries,
            elapsed: Duration::from_secs(1),
            source: E::source,
        }
    }

    #[test]
    fn display_states_the_reason() {
        let err = error(Some(fmt::Error), GiveUp::Permanent, 1);
        assert_eq!(err.to_string(), "gave up after 1 try in 1 s: the failure is permanent");
        let err = error(Some(fmt::Error), GiveUp::Permanent, 2);
        assert!(err.to_string().ends_with("permanent; the response's Retry-After is malformed"), "{err}");
        let err = error(None::<fmt::Error>, GiveUp::Cancelled, 0);
        assert_eq!(err.to_string(), "not tried: cancelled");
        assert!(Error::source(&err).is_none());
        assert_eq!(err.into_result(), Err(GiveUp::Cancelled));
    }

    #[test]
    fn every_kind_of_error_is_the_source() {
        fn check<E: OperationError<M> + fmt::Debug, M>(last: E, text: &str) {
            let err = error(Some(last), GiveUp::Permanent, 1);
            assert_eq!(Error::source(&err).map(ToString::to_string).as_deref(), Some(text));
        }
        check(fmt::Error, &fmt::Error.to_string());
        check(anyhow::anyhow!("a"), "a");
        check(Box::<dyn Error + Send + Sync>::from("b"), "b");
        check(Box::<dyn Error>::from("c"), "c");
        assert!(Error::source(&error(Some("text"), GiveUp::Permanent, 1)).is_none());
    }
}
