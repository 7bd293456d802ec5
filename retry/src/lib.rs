//! Retries: policies as data, server hints, budgets and circuit breakers, decided by pure functions.
//!
//! # HTTP with reqwest and anyhow
//!
//! With features `http` and `tokio`; the repository's `examples/reqwest.rs` is the whole program:
//!
//! ```
//! # #[cfg(all(feature = "http", feature = "tokio"))] {
//! use anyhow::Context as _;
//! use retry::{Failure, Policy, Retryable as _};
//! use std::time::{Duration, SystemTime};
//!
//! // A failed status carries its classification as context, since that needs the response's headers.
//! async fn get(client: &reqwest::Client, url: &str, now: SystemTime) -> anyhow::Result<String> {
//!     let response = client.get(url).send().await?;
//!     let failure = Failure::from_parts(&response.status(), response.headers(), now);
//!     Ok(response.error_for_status().context(failure)?.text().await?)
//! }
//!
//! fn classify(error: &anyhow::Error) -> Failure {
//!     match (error.downcast_ref::<Failure>(), error.downcast_ref::<reqwest::Error>()) {
//!         (Some(failure), _) => *failure,
//!         (None, Some(error)) if error.is_timeout() => Failure::timeout(),
//!         (None, Some(error)) => Failure::from(error.is_connect() || error.is_body()),
//!         (None, None) => Failure::permanent(),
//!     }
//! }
//!
//! async fn download(client: &reqwest::Client, url: &str) -> anyhow::Result<String> {
//!     let policy = Policy::exponential(Duration::from_millis(100), 2.0)
//!         .max_attempts(6)
//!         .max_delay(Duration::from_secs(2))
//!         .build()?;
//!     let fetch = || get(client, url, SystemTime::now());
//!     fetch.retry(&policy).when(classify).notify(|r| eprintln!("{r}")).await
//! }
//! # }
//! ```
//!
//! # On a thread, or with the reason to give up
//!
//! ```
//! # use retry::Policy;
//! # let policy = Policy::default();
//! # #[cfg(feature = "blocking")] {
//! # fn flaky() -> Result<u32, &'static str> { Ok(7) }
//! use retry::Retryable as _;
//!
//! let value = flaky.retry(&policy).call();                      // the operation's own error
//! let same = retry::blocking::retry(&policy, flaky);             // a `RetryError`: reason, tries, time, cause
//! # assert_eq!((value, same), (Ok(7), Ok(7)));
//! # }
//! ```
//!
//! # What is here
//!
//! | | |
//! | --- | --- |
//! | [`Policy`] | how the delay grows ([`Backoff`]), is spread ([`Jitter`]) and is limited; data, JSON, readable text |
//! | [`Policy::delays`], [`Policy::preview`] | its delays as an iterator; their bounds and totals |
//! | [`Policy::decide`] | one decision: retry after a delay, or give up for a reason |
//! | [`RetryOptions`] | the five numbers of Trigger.dev's retries |
//! | [`hint`] | `Retry-After`, `retry-after-ms`, `RateLimit` and the like, in one parser |
//! | [`status`], [`strategy`] | `429`, `5xx`, `500-599`; strategies by status |
//! | [`budget`], [`breaker`] | limits for all calls to a service together |
//! | [`Retryable`], [`run`] | running an operation: on a thread, in a future on any runtime |
//! | [`ResponseClassifier`], [`Failure`] | which HTTP responses and errors to retry |
//! | `blocking`, `tokio_time`, `tower_retry` | clocks and tower adapters, each behind its feature |
//!
//! # Which policy
//!
//! | situation | policy |
//! | --- | --- |
//! | a remote call | [`Policy::exponential`] with the default full jitter, a cap, and 3 to 5 tries |
//! | very many clients of one contended resource | [`Policy::decorrelated`] |
//! | a connection pool with dead connections | [`FirstRetry::AtOnce`] |
//! | polling with a known duration | [`Policy::fixed`] with [`Jitter::Around`] |
//! | a user waits | few tries, a [deadline](run::Retry::within) |
//! | a background job | more tries, a longer cap, a [budget](budget::Budget) |
//!
//! With every policy:
//!
//! - Retry only idempotent operations, and only transient failures ([`Failure::from_response`] knows the statuses).
//! - Retry in one layer. Three layers of four tries are 64 calls to the lowest.
//! - Share a [`budget::Budget`] among all calls to a service, so that retries stay a small share of its load.
//! - Wait at least as long as the server says.
//!
//! That is the advice of AWS ("Timeouts, retries, and backoff with jitter", Amazon Builders' Library;
//! "Exponential Backoff And Jitter", Architecture Blog, 2015) and of Google ("Addressing Cascading Failures"
//! and "Handling Overload", chapters 22 and 21 of Site Reliability Engineering, 2016). Google's budgets are 3
//! tries a request and a tenth of a client's requests; AWS's are the numbers of
//! [`Budget::aws_standard`](budget::Budget::aws_standard). The last line is RFC 9110's.
//!
//! # What delays look like
//!
//! [`Policy::preview`] of the policy above; dots end at the shortest delay, blocks at the longest:
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
//! The first delays of each backoff in seconds, without jitter, from one second (the linear one adds one second):
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
//! [`Backoff`] and [`Jitter`] have the formulas with their sources.
//!
//! # Guarantees
//!
//! - No delay exceeds the policy's maximum, jitter included, or, for a hint, the maximum for hints plus a tenth.
//! - No try begins at or past a time limit, and no wait leads there, unless
//!   [`last_try_at_deadline`](run::Retry::last_try_at_deadline) asks for it.
//! - Nothing waits after the last try. Limits count tries, the first included.
//! - No input overflows or panics. Delays saturate at 2^64 nanoseconds, 584 years.
//! - The same seed gives the same delays, on every platform and in every version.
//! - A decision after a failed try allocates nothing.
//!
//! # When not to use it
//!
//! If the client already retries (the AWS SDKs, gRPC, many database drivers), use its settings instead. For periodic work use
//! a scheduler. To wait for a lock in memory, spin or park.
//!
//! # Features
//!
//! | feature | default | adds | dependencies |
//! | --- | --- | --- | --- |
//! | `serde` | yes | policies, options, patterns and strategies as JSON | serde |
//! | `schema` | | their JSON Schema | schemars |
//! | `blocking` | | the standard library's clock, and running on it | |
//! | `tokio` | | tokio's clock, and running on it | tokio |
//! | `http` | | classification of the `http` crate's types | http |
//! | `tower` | | a `tower::retry::Policy`, a breaker layer | tower |
//! | `wasm-js` | | jitter from the JavaScript host on `wasm32-unknown-unknown` | getrandom, there only |
//! | `wasm-host` | | jitter from [`Rng::add_entropy`] there, for other hosts | |
//!
//! `wasm32-unknown-unknown` needs one of the last two, since all instances would draw the same jitter otherwise. There the
//! standard library's clocks panic: `blocking::StdClock`, `tokio_time::TokioTimer`, and a caller's own `SystemTime::now`. Use [`run_async_with`](run::Retry::run_async_with) with a timer of the host there.
//!
//! Without `blocking` and `tokio` nothing here reads a clock: times are arguments, header text and statuses are plain
//! values, randomness comes from a seedable [`Rng`].

#![forbid(unsafe_code)]

mod backoff;
#[cfg(feature = "blocking")]
pub mod blocking;
pub mod breaker;
pub mod budget;
#[cfg(feature = "serde")]
mod choice;
mod decide;
mod error;
mod failure;
pub mod hint;
mod humanize;
mod jitter;
mod lock;
mod members;
mod nanos;
mod options;
mod policy;
mod response;
mod rng;
pub mod run;
#[cfg(feature = "serde")]
mod scalar;
pub mod status;
pub mod strategy;
#[cfg(feature = "tokio")]
pub mod tokio_time;
#[cfg(feature = "tower")]
pub mod tower_retry;
#[cfg(any(feature = "blocking", feature = "tokio"))]
mod zero;

pub use backoff::{Backoff, Delays};
pub use decide::{Decision, GiveUp, Progress};
pub use error::PolicyError;
pub use failure::{Failure, FailureKind};
pub use jitter::Jitter;
pub use options::{OptionBounds, OptionValue, RetryOptions, RetryOptionsBuilder};
pub use policy::{Attempts, FirstRetry, Hints, Policy, PolicyBuilder, Preview, Step};
pub use response::ResponseClassifier;
pub use rng::Rng;
pub use run::Retryable;
