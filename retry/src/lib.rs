//! When to try again, decided as data and pure functions.
//!
//! The crate has no runtime, clock or HTTP client of its own in its default features: times come in as arguments, header
//! text and statuses as plain values, randomness from a seedable [`Rng`].

mod error;
pub mod hint;
#[cfg(feature = "serde")]
mod millis;
mod nanos;
mod options;
mod rng;
pub mod status;

pub use error::PolicyError;
pub use options::{RetryOptions, RetryOptionsBuilder};
pub use rng::Rng;
