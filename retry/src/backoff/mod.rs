//! [`Backoff`]: how the delay grows from one try to the next.
//!
//! ```text
//!   Backoff (public, validated) ──► formulas ──► delay k in nanoseconds, before or after jitter
//!                └────────────────► Delays: the same as an iterator
//! ```
//!
//! Delay k is a function of k alone (and, for decorrelated jitter, of the delay before), so a policy can compute the delay of
//! any attempt directly. No k overflows.

mod delays;
mod formulas;

use std::sync::Arc;
use std::time::Duration;

pub use delays::Delays;

/// How the delay grows. Retries are counted from 1: retry 1 is the second try.
///
/// | kind | delay before retry k, without jitter | use it for |
/// | --- | --- | --- |
/// | `Fixed` | `delay` | polling something that is known to take a while |
/// | `Linear` | `initial + (k−1)·step` | lock conflicts and other short queues |
/// | `Exponential` | `initial · factor^(k−1)` | anything remote; the usual choice |
/// | `Fibonacci` | `unit · F(k)`, with F = 1, 1, 2, 3, 5, … | as exponential with factor 1.618, a gentler start |
/// | `Decorrelated` | random, from `base` to `factor` times the delay before | many clients of one contended thing |
/// | `List` | the k-th, then the last again | delays set by hand |
///
/// `Decorrelated` is Brooker's `min(cap, random(base, previous·3))`, which starts from `previous = base` (AWS
/// Architecture Blog, 2015). It draws its own delays, so no [`Jitter`](crate::Jitter) goes with it.
///
/// Values are checked when a policy is [built](crate::PolicyBuilder::build).
///
/// ```
/// use retry::{Backoff, Jitter, Policy};
/// use std::time::Duration;
///
/// let seconds = |s| Duration::from_secs(s);
/// let policy = Policy::builder(Backoff::Fibonacci { unit: seconds(1) }).jitter(Jitter::None).max_attempts(6).build()?;
/// assert!(policy.delays().eq([1, 1, 2, 3, 5].map(seconds)));
/// # Ok::<(), retry::PolicyError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(description = "How the delay grows."))]
#[non_exhaustive]
pub enum Backoff {
    /// The same delay each time.
    Fixed {
        /// The delay.
        #[cfg_attr(feature = "serde", serde(rename = "delayInMs", with = "crate::scalar::millis"))]
        #[cfg_attr(feature = "schema", schemars(with = "crate::scalar::Millis"))]
        delay: Duration,
    },
    /// Grows by the same amount each time.
    Linear {
        /// The first delay.
        #[cfg_attr(feature = "serde", serde(rename = "initialInMs", with = "crate::scalar::millis"))]
        #[cfg_attr(feature = "schema", schemars(with = "crate::scalar::Millis"))]
        initial: Duration,
        /// The amount that each further delay adds.
        #[cfg_attr(feature = "serde", serde(rename = "stepInMs", with = "crate::scalar::millis"))]
        #[cfg_attr(feature = "schema", schemars(with = "crate::scalar::Millis"))]
        step: Duration,
    },
    /// Grows by the same factor each time.
    Exponential {
        /// The first delay.
        #[cfg_attr(feature = "serde", serde(rename = "initialInMs", with = "crate::scalar::millis"))]
        #[cfg_attr(feature = "schema", schemars(with = "crate::scalar::Millis"))]
        initial: Duration,
        /// The factor between two delays: finite, at least 1.
        #[cfg_attr(feature = "schema", schemars(range(min = 1.0)))]
        factor: f64,
    },
    /// Grows as the Fibonacci numbers do.
    Fibonacci {
        /// The first delay, and the second.
        #[cfg_attr(feature = "serde", serde(rename = "unitInMs", with = "crate::scalar::millis"))]
        #[cfg_attr(feature = "schema", schemars(with = "crate::scalar::Millis"))]
        unit: Duration,
    },
    /// Each delay is drawn from an interval that depends on the delay before.
    Decorrelated {
        /// The least delay.
        #[cfg_attr(feature = "serde", serde(rename = "baseInMs", with = "crate::scalar::millis"))]
        #[cfg_attr(feature = "schema", schemars(with = "crate::scalar::Millis"))]
        base: Duration,
        /// The interval ends at this factor times the delay before: finite, at least 1. AWS uses 3.
        #[cfg_attr(feature = "schema", schemars(range(min = 1.0)))]
        factor: f64,
    },
    /// Delays as listed; after the last, the last repeats as long as attempts remain. Shared, so that clones do not copy
    /// the list.
    List {
        /// The delays; at least one.
        #[cfg_attr(feature = "serde", serde(rename = "delaysInMs", with = "crate::scalar::millis_list"))]
        #[cfg_attr(feature = "schema", schemars(with = "Vec<crate::scalar::Millis>", length(min = 1)))]
        delays: Arc<[Duration]>,
    },
}

#[cfg(feature = "serde")]
crate::choice::choice!(
    Backoff,
    "an object with one of fixed, linear, exponential, fibonacci, decorrelated, list as its only member",
    []
);
