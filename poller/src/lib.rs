//! A background poll that survives errors, rate limits, restarts and crashes.

mod clock;
pub mod fetch;

pub use clock::{BoxFuture, Clock, SystemClock, Timestamp};
