//! [`Backoff`]: how the delay grows from one try to the next.
//!
//! ```text
//!   Backoff (what a person wrote) ──compile──► Shape (nanoseconds) ──► delay k, before or after jitter
//!                                                  └─► Delays: the same as an iterator
//! ```
//!
//! What always holds: delay k is a function of k alone (and, for decorrelated jitter, of the delay before),
//! so that a policy can be asked about any attempt without having lived through those before; and no k
//! overflows.

mod delays;
mod shape;

use std::sync::Arc;
use std::time::Duration;

pub use delays::Delays;
pub(crate) use shape::Shape;

/// How the delay grows. Retries are counted from 1: retry 1 is the second try.
///
/// | kind | delay before retry k, without jitter | use it for |
/// | --- | --- | --- |
/// | `Fixed` | `delay` | polling something that is known to take a while |
/// | `Linear` | `initial + (k−1)·step` | lock conflicts and other short queues |
/// | `Exponential` | `initial · factor^(k−1)` | anything remote; the usual choice |
/// | `Fibonacci` | `unit · F(k)`, with F = 1, 1, 2, 3, 5, … | as exponential with factor 1.618, a gentler start |
/// | `Decorrelated` | random, from `base` to `factor` times the delay before | many clients of one contended thing |
/// | `List` | the k-th, then the last again | delays that someone has decided on |
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
#[non_exhaustive]
pub enum Backoff {
    /// The same delay each time.
    Fixed {
        /// The delay.
        delay: Duration,
    },
    /// Grows by the same amount each time.
    Linear {
        /// The first delay.
        initial: Duration,
        /// What each further one adds.
        step: Duration,
    },
    /// Grows by the same factor each time.
    Exponential {
        /// The first delay.
        initial: Duration,
        /// What each further one is multiplied by: finite, at least 1.
        factor: f64,
    },
    /// Grows as the Fibonacci numbers do.
    Fibonacci {
        /// The first delay, and the second.
        unit: Duration,
    },
    /// Each delay is drawn from an interval that depends on the one before.
    Decorrelated {
        /// The least delay.
        base: Duration,
        /// The interval's upper end is this times the delay before: finite, at least 1. AWS uses 3.
        factor: f64,
    },
    /// Delays as listed; when they run out, the last repeats as long as attempts remain. Shared, so that
    /// cloning does not copy them.
    List {
        /// The delays; at least one.
        delays: Arc<[Duration]>,
    },
}
