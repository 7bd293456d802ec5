//! A background poll that survives errors, rate limits, restarts and crashes.

mod clock;
mod event;
pub mod fetch;
mod outcome;

pub use clock::{BoxFuture, Clock, SystemClock, Timestamp};
pub use event::Event;
pub use outcome::{
    Attempt, AttemptResult, Conclusion, Counts, FailureReason, Next, NextReason, Outcome, RecordedResponse,
    TimeoutReason, Verdict,
};
