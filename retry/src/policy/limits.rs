//! The settings of a policy that are choices, each an enum.
//!
//! Other crates use `0` or `None` there, which is ambiguous: zero attempts may mean none or no limit, a zero delay may mean
//! at once or not set. Here each meaning has a name, in code and in JSON.

use std::num::NonZeroU32;

/// The limit of tries of a sequence, the first included.
///
/// In JSON: a number, or `"unlimited"`.
///
/// ```
/// use retry::Attempts;
///
/// assert!(Attempts::at_most(3).is_some_and(|three| three.allows_another(2) && !three.allows_another(3)));
/// assert!(Attempts::Unlimited.allows_another(u32::MAX));
/// assert_eq!(Attempts::at_most(0), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Attempts {
    /// At most this many tries, the first included.
    AtMost(NonZeroU32),
    /// No limit; the elapsed time, a deadline or the caller ends the sequence.
    Unlimited,
}

impl Attempts {
    /// `AtMost(tries)`; `None` for zero, since there is always a first try.
    #[must_use]
    pub const fn at_most(tries: u32) -> Option<Self> {
        match NonZeroU32::new(tries) {
            Some(tries) => Some(Self::AtMost(tries)),
            None => None,
        }
    }

    /// Whether there may be another try after `made`.
    #[must_use]
    pub const fn allows_another(self, made: u32) -> bool {
        match self {
            Self::AtMost(limit) => made < limit.get(),
            Self::Unlimited => true,
        }
    }

    /// The limit of retries, if there is one.
    pub(crate) fn retries(self) -> Option<u32> {
        match self {
            Self::AtMost(tries) => Some(tries.get() - 1),
            Self::Unlimited => None,
        }
    }
}

/// When the first retry comes.
///
/// ```
/// use retry::{FirstRetry, Jitter, Policy};
/// use std::time::Duration;
///
/// let policy = Policy::fixed(Duration::from_secs(1)).jitter(Jitter::None).first_retry(FirstRetry::AtOnce).build()?;
/// let delays: Vec<u64> = policy.delays().map(|d| d.as_secs()).collect();
/// assert_eq!(delays, [0, 1, 1, 1]);
/// # Ok::<(), retry::PolicyError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase"))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(description = "When the first retry comes."))]
pub enum FirstRetry {
    /// Without delay; the backoff starts with the second retry. For failures that a second try usually avoids, such as a
    /// pooled connection that the server has closed.
    AtOnce,
    /// After the backoff's first delay.
    #[default]
    AfterDelay,
}

/// How to use a server's [hint](crate::hint) about when to retry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase"))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(description = "How to use a server's hint about when to retry."))]
pub enum Hints {
    /// Never retry sooner; give up if the wait exceeds the maximum. The server has announced to refuse an
    /// earlier request.
    #[default]
    Obey,
    /// Wait as long as the hint says, but no longer than the maximum.
    Cap,
    /// Ignore hints.
    Ignore,
}
