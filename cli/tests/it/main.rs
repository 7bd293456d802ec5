//! The real binary against real sockets: what goes to standard output, to the byte, and how it ends.
//!
//! Every test starts its own process and its own server on a loopback port. None sleeps: a test that has to catch
//! the process in the middle of something waits until the server has seen it there.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod agreement;
mod batch;
mod bounded;
mod clocks;
mod connect;
mod crash;
mod demo;
mod disk;
#[cfg(unix)]
mod fleet;
mod fleet_faults;
mod generated;
mod growth;
mod json;
mod lookalikes;
mod many;
mod moved;
mod outcomes;
mod problems;
mod process;
mod remote;
mod report;
mod resume;
mod secrets;
mod serve;
#[cfg(unix)]
mod serve_fleet;
mod service;
mod several;
mod signals;
mod store;
mod streams;
mod templates;
mod terminal;
mod wait;
mod waits;
mod webhooks;
