//! The engine: one driver that owns the schedule and the state of all open polls.
//!
//! ```text
//!  Poller, PollHandle ──messages──► driver ──inputs──► core (pure: schedule, states, caps)
//!                               ▲  │                │
//!                  completions  │  └────effects◄────┘
//!                               │       │
//!                     tasks: one worker per request in flight, one task per store call
//! ```
//!
//! A waiting poll is an entry in the schedule, not a task; only requests in flight and calls to the store are tasks.
//! The engine depends on the outside only through the traits `Store`, `Fetch`, `Clock` and `SecretResolver`.

mod admission;
mod attempt;
mod coalesce;
pub(crate) mod core;
mod deps;
mod driver;
pub(crate) mod effect;
mod entry;
mod interner;
mod judging;
mod key_index;
mod maintenance;
mod message;
#[cfg(test)]
mod simulation;
mod store_reply;
mod timer;
mod wheel;
mod workers;

pub(crate) use self::coalesce::Coalescer;
pub(crate) use self::deps::Deps;
pub(crate) use self::driver::spawn;
pub(crate) use self::effect::Submitted;
pub(crate) use self::entry::PollId;
#[cfg(any(test, feature = "simulate"))]
pub(crate) use self::entry::Ticket;
pub(crate) use self::judging::Judging;
pub(crate) use self::message::{DriverHandle, Message};
