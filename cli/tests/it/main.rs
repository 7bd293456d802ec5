//! The real binary against real sockets: what goes to standard output, to the byte, and how it ends.
//!
//! Every test starts its own process and its own server on a loopback port. None sleeps: a test that has to catch
//! the process in the middle of something waits until the server has seen it there.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod agreement;
mod batch;
mod crash;
mod demo;
mod disk;
mod json;
mod outcomes;
mod process;
mod resume;
mod secrets;
mod signals;
mod store;
mod streams;
mod terminal;
mod wait;
