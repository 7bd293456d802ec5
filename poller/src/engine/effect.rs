//! What the core wants done: the effects that the driver carries out, and the answers that they carry.
//!
//! An effect is complete: the driver needs nothing of the core to carry it out, so the core may be in a later state by
//! then, or gone.

use std::sync::Arc;
use std::time::Duration;

use super::admission::QueueId;
use super::entry::PollId;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::Event;
use crate::history::Record;
use crate::job::PollSpec;
use crate::judge::UnmatchedResponse;
use crate::key::PollKey;
use crate::outcome::Outcome;
use crate::store::StoredPoll;

/// What the driver has to do.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Store a new poll, then call [`Core::created`].
    Create { id: PollId, poll: StoredPoll },
    /// Send a request, then call [`Core::attempted`].
    StartRequest(StartRequest),
    /// Abandon the request in flight; nothing is to be heard of it again.
    Abort { id: PollId },
    /// Store an outcome, then call [`Core::outcome_saved`].
    SaveOutcome { id: PollId, key: PollKey, outcome: Arc<Outcome> },
    /// A request has ended; tell whoever watches the poll.
    Attempted { id: PollId, number: u32, record: Record },
    /// Tell whoever watches the poll.
    Tell { id: PollId, event: Event },
    /// A lane is held back; tell whoever watches a poll for which [`Core::held_in`] says so.
    Held { queue: QueueId, until: Timestamp, by: PollId },
    /// Answer a `submit`.
    Answer { ticket: Ticket, answer: Result<Submitted, Error> },
}

/// A request to be sent.
#[derive(Debug)]
pub(crate) struct StartRequest {
    pub(crate) id: PollId,
    pub(crate) spec: PollSpec,
    pub(crate) number: u32,
    pub(crate) punctuality: Punctuality,
    /// When it is to be cut.
    pub(crate) cut: Timestamp,
    /// What the poll's last response was, to which the next is compared.
    pub(crate) last: Option<Arc<UnmatchedResponse>>,
}

/// How a request came to begin when it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Punctuality {
    /// From when it was due to when the engine came to it. `None` for a first request, which waits for its poll to be
    /// stored and not for the schedule.
    pub(crate) lateness: Option<Duration>,
    /// From then on: how long a cap or a hint held it.
    pub(crate) held: Duration,
}

/// One call of `submit` that waits for its answer. It is answered once, and the number may then be given to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ticket(pub(crate) u32);

/// What a `submit` came to.
#[derive(Clone, Debug)]
pub(crate) enum Submitted {
    /// The poll runs.
    Open { id: PollId, joined: bool, deadline: Timestamp },
    /// The poll had ended before.
    Finished { outcome: Arc<Outcome>, deadline: Timestamp },
}
