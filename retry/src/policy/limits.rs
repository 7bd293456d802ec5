//! The limits of a policy that are a choice and not a number, each an enum with plain names.
//!
//! A `0` or `None` in such places is what makes other crates' policies hard to read: does zero attempts mean
//! none or no limit, does a delay of zero mean at once or not set? Here each meaning has a word, in code and
//! on the wire.

use std::num::NonZeroU32;

/// How many tries a sequence may have, the first included.
///
/// On the wire: a number, or `"unlimited"`.
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
    /// This many tries, the first included.
    AtMost(NonZeroU32),
    /// No limit of their number; the elapsed time, a deadline or the caller ends the sequence.
    Unlimited,
}

impl Attempts {
    /// `AtMost(tries)`, unless that is zero: there is always a first try.
    #[must_use]
    pub fn at_most(tries: u32) -> Option<Self> {
        NonZeroU32::new(tries).map(Self::AtMost)
    }

    /// Whether there may be another try after `made`.
    #[must_use]
    pub const fn allows_another(self, made: u32) -> bool {
        match self {
            Self::AtMost(limit) => made < limit.get(),
            Self::Unlimited => true,
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
    /// Without delay, jitter or not; the backoff starts with the second retry. For failures that are usually
    /// gone at once, such as a pooled connection that the server had closed.
    AtOnce,
    /// After the backoff's first delay.
    #[default]
    AfterDelay,
}

/// What to make of a server's [hint](crate::hint) about when to come back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase"))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schema",
    schemars(description = "What to make of a server's hint about when to come back.")
)]
pub enum Hints {
    /// Never come back sooner; if that is later than the maximum delay, give up. To ask again anyway would be
    /// a request that the server has announced it will refuse.
    #[default]
    Obey,
    /// Never come back sooner, but wait no longer than the maximum delay.
    Cap,
    /// As if there were none.
    Ignore,
}
