//! Effects: the instructions of the core to the driver.
//!
//! An effect carries all data that it needs, so the core may have moved on, or be dropped, when it is carried out.

use std::sync::Arc;
use std::time::Duration;

use super::admission::QueueId;
use super::entry::{PollId, Ticket};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::Event;
use crate::fetch::CookieJar;
use crate::history::Record;
use crate::job::PollSpec;
use crate::judge::UnmatchedResponse;
use crate::key::PollKey;
use crate::outcome::Outcome;
use crate::state::Reach;
use crate::store::StoredPoll;

/// An instruction to the driver. The links name the method to call with the result.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Store a new poll; [`Core::created`].
    Create { id: PollId, poll: StoredPoll },
    /// Send a request; [`Core::attempted`].
    StartRequest(StartRequest),
    /// Abort the request in flight and discard its result.
    Abort { id: PollId },
    /// Store the URL that a poll follows; [`Core::link_saved`].
    SaveLink { id: PollId, key: PollKey, url: Arc<str> },
    /// Store an outcome; [`Core::outcome_saved`].
    SaveOutcome { id: PollId, key: PollKey, outcome: Arc<Outcome> },
    /// Report the end of a request to watchers.
    Attempted { id: PollId, number: u32, record: Record },
    /// Report an event to the watchers of the poll.
    Notify { id: PollId, event: Event },
    /// Report that a hold on a queue is in force, to the watchers of each poll for which [`Core::held_in`] returns an event.
    Held { queue: QueueId, reach: Reach, until: Timestamp, by: PollId },
    /// Answer a call of `submit`.
    Answer { ticket: Ticket, answer: Result<Submitted, Error> },
}

/// A request to send.
#[derive(Debug)]
pub(crate) struct StartRequest {
    pub(crate) id: PollId,
    pub(crate) spec: PollSpec,
    /// The URL to ask instead of that of the spec.
    pub(crate) followed: Option<Arc<str>>,
    /// The cookies of the poll, if it keeps any.
    pub(crate) cookies: Option<Arc<CookieJar>>,
    pub(crate) number: u32,
    /// How late it is: from the due time until the engine handled it. `None` for a first request, which waits for the store
    /// and not for the schedule.
    pub(crate) lateness: Option<Duration>,
    /// The further delay by caps and holds.
    pub(crate) held: Duration,
    /// The time at which it is cut off.
    pub(crate) cut: Timestamp,
    /// The last response of the poll, for comparison with the next.
    pub(crate) last: Option<Arc<UnmatchedResponse>>,
}

/// The result of a `submit`.
#[derive(Clone, Debug)]
pub(crate) enum Submitted {
    /// The poll is open.
    Open { id: PollId, joined: bool, deadline: Timestamp },
    /// The poll is open, and another process runs it.
    Elsewhere { joined: bool, deadline: Timestamp },
    /// The poll has ended already.
    Finished { outcome: Arc<Outcome>, deadline: Timestamp },
}
