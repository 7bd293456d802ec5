//! When to try again, decided as data and pure functions.
//!
//! The crate has no runtime, clock or HTTP client of its own in its default features: times come in as arguments, header
//! text and statuses as plain values, randomness from a seedable [`Rng`].

mod backoff;
#[cfg(feature = "blocking")]
pub mod blocking;
pub mod breaker;
pub mod budget;
mod decide;
mod error;
mod failure;
pub mod hint;
mod jitter;
#[cfg(feature = "serde")]
mod millis;
mod nanos;
mod options;
mod policy;
mod rng;
pub mod run;
pub mod status;
pub mod strategy;
#[cfg(feature = "tokio")]
pub mod tokio;
#[cfg(feature = "tower")]
pub mod tower;
mod words;

pub use backoff::{Backoff, Delays};
pub use decide::{Decision, GiveUp, Progress};
pub use error::PolicyError;
pub use failure::{Failure, FailureKind};
pub use jitter::Jitter;
pub use options::{RetryOptions, RetryOptionsBuilder};
pub use policy::{Attempts, FirstRetry, Hints, Policy, PolicyBuilder, Preview, Step};
pub use rng::Rng;
