//! Tests of the public API: its guarantees over the whole domain, and the known defects of similar crates.
//!
//! No test sleeps: threads wait on a clock that is moved by hand, futures on tokio's paused one.

#![expect(clippy::unwrap_used, reason = "in a test, also outside its function, to panic is to fail")]

mod allocation;
mod conformance;
mod corpus;
mod distribution;
mod domain;
mod everyday;
mod formats;
mod hints;
mod running;
mod running_async;
mod schema;
mod shared;
mod virtual_clock;

use proptest::test_runner::Config;

/// The number of cases per property: 256, or `RETRY_CASES`.
fn cases() -> Config {
    let cases = std::env::var("RETRY_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(256);
    Config { cases, ..Config::default() }
}
