//! What the core keeps of an open poll: its name, its spec, its state, and where it is on its way.
//!
//! There are a million of these, so what only a few need at a time (a creation or an outcome on its way to the store) is
//! boxed: a waiting poll does not carry the room for it.

use std::sync::Arc;

use super::admission::QueueId;
use super::effect::Ticket;
use crate::clock::Timestamp;
use crate::job::PollSpec;
use crate::key::PollKey;
use crate::outcome::Outcome;
use crate::state::PollState;

slotmap::new_key_type! {
    /// An open poll of this engine; never used twice.
    pub(crate) struct PollId;
}

/// One open poll.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: PollKey,
    pub(super) spec: PollSpec,
    pub(super) state: PollState,
    pub(super) phase: Phase,
    pub(super) queue: QueueId,
}

impl Entry {
    /// Whether an entry of the schedule is this poll's present one.
    pub(super) fn is_scheduled(&self, at: Timestamp) -> bool {
        match &self.phase {
            Phase::Waiting { until } => *until == at,
            Phase::Queued { .. } => self.state.deadline(&self.spec) == at,
            Phase::Saving(unsaved) => unsaved.retry_at == Some(at),
            Phase::Creating(..) | Phase::InFlight { .. } => false,
        }
    }

    /// Whether a request of this poll has been sent and not answered.
    pub(super) const fn is_in_flight(&self) -> bool {
        matches!(self.phase, Phase::InFlight { .. })
    }
}

/// Where a poll is on its way.
#[derive(Debug)]
pub(super) enum Phase {
    /// Its creation is being stored, for this ticket and perhaps more.
    Creating(Ticket, Option<Box<Joined>>),
    /// In the schedule at `until`.
    Waiting { until: Timestamp },
    /// Due, in its lane since then; in the schedule at its deadline.
    Queued { since: Timestamp },
    /// A request has been sent.
    InFlight { began: Timestamp },
    /// Its outcome is being stored.
    Saving(Box<UnsavedOutcome>),
}

/// What came to a poll while its creation was being stored.
#[derive(Debug, Default)]
pub(super) struct Joined {
    pub(super) tickets: Vec<Ticket>,
    /// It is to end as soon as it is stored.
    pub(super) cancelled: bool,
}

/// An outcome on its way to the store.
#[derive(Debug)]
pub(super) struct UnsavedOutcome {
    pub(super) outcome: Arc<Outcome>,
    /// How often the store failed to keep it.
    pub(super) failures: u32,
    /// After failures: when the store is asked again, and in the schedule then.
    pub(super) retry_at: Option<Timestamp>,
}
