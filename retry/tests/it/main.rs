//! The crate from outside: what it promises, over the whole domain, and against what its rivals got wrong.
//!
//! No test sleeps: threads wait on a clock that is moved by hand, futures on tokio's paused one.

#![expect(clippy::unwrap_used, reason = "in a test, also outside its function, to panic is to fail")]

mod allocation;
mod conformance;
mod corpus;
mod distribution;
mod domain;
mod hints;
mod running;
mod running_async;
mod schema;
mod shared;
mod virtual_clock;

use proptest::test_runner::Config;

/// How many cases each property is tried on: 256, or what `RETRY_CASES` says.
fn cases() -> Config {
    let cases = std::env::var("RETRY_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(256);
    Config { cases, ..Config::default() }
}
