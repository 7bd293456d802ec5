//! The engine: one driver that owns the schedule and the state of all open polls.
//!
//! ```text
//!  Poller, Poll ──messages──► driver ──inputs──► core (pure: schedule, states, caps)
//!                               ▲  │                │
//!                  completions  │  └────effects◄────┘
//!                               │       │
//!                     tasks: a courier per request in flight, one per store call
//! ```
//!
//! A waiting poll is an entry in the schedule, not a task; only requests in flight and calls to the store are tasks.
//! The engine knows its surroundings by three traits, `Store`, `Fetch` and `Clock`.

mod alarm;
mod answered;
mod attempt;
pub(crate) mod core;
mod couriers;
mod driver;
pub(crate) mod effect;
mod entry;
mod lanes;
mod message;
mod names;
mod recent;
mod sharing;
#[cfg(test)]
mod simulation;
mod surroundings;
mod upkeep;
mod wheel;

pub(crate) use self::driver::spawn;
pub(crate) use self::effect::Admission;
pub(crate) use self::entry::PollId;
pub(crate) use self::message::{Inbox, Message};
pub(crate) use self::sharing::Shares;
pub(crate) use self::surroundings::Surroundings;
