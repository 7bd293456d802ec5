//! What happens to a poll, as told to whoever watches it.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::outcome::{Attempt, Outcome};

/// One step in the life of a poll. [`Finished`](Event::Finished) is the last, always.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A request begins.
    Requesting {
        /// Its number, from 1.
        attempt: u32,
        /// When.
        at: Timestamp,
    },
    /// A request ended; says what came, what it lacked and what is next.
    Attempted(Attempt),
    /// The outcome is decided and stored.
    Finished(Arc<Outcome>),
}
