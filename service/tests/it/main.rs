//! The service through its router: what each call answers, and what it leaves in the poller.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod calls;
mod client;
mod fleet;
mod foreign;
mod hostile;
mod keys;
mod openapi;
mod streams;
mod waiting;
mod webhooks;
