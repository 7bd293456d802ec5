//! When to try again, when to stop, and how to be told by the server: decided as data and pure functions.
//!
//! ```
//! use retry::Policy;
//! use std::time::Duration;
//!
//! let policy = Policy::exponential(Duration::from_millis(100), 2.0)
//!     .max_attempts(6)
//!     .max_delay(Duration::from_secs(2))
//!     .build()?;
//!
//! # #[cfg(feature = "blocking")] {
//! # fn flaky() -> Result<u32, &'static str> { Ok(7) }
//! let value = retry::blocking::retry(&policy, || flaky());      // feature `blocking`
//! # assert_eq!(value, Ok(7));
//! # }
//! # #[cfg(feature = "tokio")] {
//! # async fn flaky() -> Result<u32, &'static str> { Ok(7) }
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! let value = retry::tokio::retry(&policy, || flaky()).await;    // feature `tokio`
//! # assert_eq!(value, Ok(7));
//! # });
//! # }
//! # Ok::<(), retry::PolicyError>(())
//! ```
//!
//! # What is here
//!
//! | | |
//! | --- | --- |
//! | [`Policy`] | how the delay grows ([`Backoff`]), is spread ([`Jitter`]) and is limited; data, read from JSON, said in words |
//! | [`Policy::delays`], [`Policy::preview`] | its delays as an iterator; their bounds and totals |
//! | [`Policy::decide`] | one decision: retry after so long, or give up and why |
//! | [`RetryOptions`] | the five numbers of Trigger.dev's retries |
//! | [`hint`] | `Retry-After`, `retry-after-ms`, `RateLimit` and the like, in one parser |
//! | [`status`], [`strategy`] | `429`, `5xx`, `500-599`; strategies by status |
//! | [`budget`], [`breaker`] | limits for all calls to a service together |
//! | [`run`] | running an operation: on a thread, in a future on any runtime |
//! | `blocking`, `tokio`, `tower` | clocks and an adapter, each behind its feature |
//!
//! # Which policy
//!
//! | situation | policy |
//! | --- | --- |
//! | a remote call, in doubt | [`Policy::exponential`] with the default full jitter, a cap, and 3 to 5 tries |
//! | very many clients of one contended thing | [`Policy::decorrelated`] |
//! | a connection pool that hands out dead connections | [`FirstRetry::AtOnce`] |
//! | waiting for something that takes a known time | [`Policy::fixed`] with [`Jitter::Around`] |
//! | a user waits | few tries, a [deadline](run::Retry::within) |
//! | a background job | more tries, a longer cap; a [budget](budget::Budget) all the more |
//!
//! And, whatever the policy:
//!
//! - Retry only what may be repeated, and only failures that may pass ([`Failure::from_response`] knows the
//!   statuses).
//! - Retry in one layer. Three layers of four tries are 64 calls to the lowest.
//! - Share a [`budget::Budget`] among all calls to a service, so that retries stay a small share of its load.
//! - Wait as long as the server says.
//!
//! That is the advice of AWS ("Timeouts, retries, and backoff with jitter", Amazon Builders' Library;
//! "Exponential Backoff And Jitter", Architecture Blog, 2015) and of Google ("Addressing Cascading Failures"
//! and "Handling Overload", chapters 22 and 21 of Site Reliability Engineering, 2016). Google's budgets are 3
//! tries a request and a tenth of a client's requests; AWS's are the numbers of
//! [`Budget::aws_standard`](budget::Budget::aws_standard). The last line is RFC 9110's.
//!
//! # What delays look like
//!
//! The policy at the top, as [`Policy::preview`] draws it; dots end where the shortest delay does, blocks
//! where the longest does:
//!
//! ```
//! # use retry::{Jitter, Policy};
//! # use std::time::Duration;
//! # let base = Policy::exponential(Duration::from_millis(100), 2.0).max_attempts(6).max_delay(Duration::from_secs(2));
//! assert_eq!(base.clone().build()?.preview().to_string(), "\
//! retry      least       most    by then
//!     1        0 s     100 ms     100 ms  ███
//!     2        0 s     200 ms     300 ms  █████
//!     3        0 s     400 ms     700 ms  ██████████
//!     4        0 s     800 ms      1.5 s  ████████████████████
//!     5        0 s      1.6 s      3.1 s  ████████████████████████████████████████
//! waits at most 3.1 s in total");
//!
//! assert_eq!(base.jitter(Jitter::Equal).build()?.preview().to_string(), "\
//! retry      least       most    by then
//!     1      50 ms     100 ms     100 ms  ··█
//!     2     100 ms     200 ms     300 ms  ···██
//!     3     200 ms     400 ms     700 ms  ·····█████
//!     4     400 ms     800 ms      1.5 s  ··········██████████
//!     5     800 ms      1.6 s      3.1 s  ····················████████████████████
//! waits at most 3.1 s in total");
//! # Ok::<(), retry::PolicyError>(())
//! ```
//!
//! Without jitter, the first delays of each backoff, with one second to start from and, for the linear one,
//! to add:
//!
//! | retry | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | source |
//! | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
//! | fixed | 1 | 1 | 1 | 1 | 1 | 1 | 1 | 1 | |
//! | linear | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | |
//! | fibonacci | 1 | 1 | 2 | 3 | 5 | 8 | 13 | 21 | |
//! | exponential, 1.8 | 1 | 1.8 | 3.2 | 5.8 | 10.5 | 18.9 | 34 | 60 (capped) | Trigger.dev's `calculateRetryAt` |
//! | exponential, 2 | 1 | 2 | 4 | 8 | 16 | 32 | 60 | 60 (capped) | AWS SDKs; gRPC's connections have 1.6 |
//! | decorrelated, at most | 3 | 9 | 27 | 60 | 60 | 60 | 60 | 60 (capped) | Brooker 2015 |
//!
//! The formulas stand with [`Backoff`] and [`Jitter`], each with its source.
//!
//! # What always holds
//!
//! - No delay is past the maximum delay, jitter and hints included.
//! - No try begins at or past a limit of time, and nothing is waited for that would lead there.
//! - Nothing waits after the last try. Limits count tries, the first included.
//! - No input overflows or panics. Delays saturate at 2^64 nanoseconds, 584 years.
//! - The same seed gives the same delays, on every platform and in every version.
//! - What is asked once per failed try allocates nothing.
//!
//! # When not to use it
//!
//! If the client already retries (the AWS SDKs, gRPC, many database drivers), use its settings and not both.
//! To make something happen at certain times, use a scheduler. To wait for a lock in memory, spin or park.
//!
//! # Features
//!
//! | feature | default | adds | dependencies |
//! | --- | --- | --- | --- |
//! | `serde` | yes | policies, options, patterns and strategies as JSON | serde |
//! | `schema` | | their JSON Schema | schemars |
//! | `blocking` | | the standard library's clock, and running on it | |
//! | `tokio` | | tokio's clock, and running on it | tokio |
//! | `tower` | | a `tower::retry::Policy` | tower |
//!
//! Without `blocking` and `tokio` nothing here reads a clock: times come in as arguments, header text and
//! statuses as plain values, randomness from a seedable [`Rng`].

#![forbid(unsafe_code)]

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
