//! A background poll that survives errors, rate limits, restarts and crashes.

mod clock;
mod engine;
mod error;
mod event;
pub mod fetch;
mod handle;
mod judge;
mod limits;
mod outcome;
mod poller;
mod schedule;
pub mod secret;
mod spec;
mod state;
pub mod store;

pub use clock::{BoxFuture, Clock, SystemClock, Timestamp};
pub use error::{Error, ErrorKind};
pub use event::Event;
pub use handle::{Accepted, Events, Poll};
pub use limits::Limits;
pub use outcome::{
    Attempt, AttemptResult, Conclusion, Counts, FailureReason, Next, NextReason, Outcome, RecordedResponse,
    TimeoutReason, Verdict,
};
pub use poller::{Matched, Poller, PollerBuilder, Scope, ShutdownReport};
pub use schedule::Grid;
pub use spec::{
    BackoffStrategy, Body, HeadersStrategy, PollSpec, PollSpecBuilder, RequestInit, RequestTimeout,
    ResponseFilter, RetryRule, SpecError, SpecOptions, StatusFilter, Strategy,
};
pub use store::MemoryStore;
