//! The record of one open poll: its key, its spec, its state and its phase.
//!
//! There may be a million of these, so data of rare phases (a creation or an outcome on its way to the store) is boxed.

use std::sync::Arc;

use super::admission::QueueId;
use crate::clock::Timestamp;
use crate::job::{KeptSpec, Outline};
use crate::key::PollKey;
use crate::outcome::{Outcome, OutcomeKind};
use crate::state::PollState;
use crate::store::StoredPoll;

slotmap::new_key_type! {
    /// The id of an open poll; never reused.
    pub(crate) struct PollId;
}

/// A call of `submit` that waits for its answer. Numbers are reused after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ticket(pub(crate) usize);

/// One open poll.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: PollKey,
    pub(super) spec: KeptSpec,
    pub(super) state: PollState,
    pub(super) phase: Phase,
    pub(super) queue: QueueId,
}

impl Entry {
    /// What schedules the poll.
    pub(super) fn outline(&self) -> &Outline {
        self.spec.outline()
    }

    /// The time of its deadline.
    pub(super) fn deadline(&self) -> Timestamp {
        self.state.deadline(self.outline())
    }

    /// The time from which no request of it begins.
    pub(super) fn closes(&self) -> Timestamp {
        self.state.closes(self.outline())
    }

    /// Its outcome, as its time is over.
    pub(super) fn time_is_over(&mut self) -> OutcomeKind {
        self.state.time_is_over(&self.spec.apart())
    }

    /// Whether the schedule's entry at this time is the valid one of this poll.
    pub(super) fn is_scheduled(&self, at: Timestamp) -> bool {
        match &self.phase {
            Phase::Waiting { until } => *until == at,
            Phase::Queued { .. } | Phase::Linking(_) => self.closes() == at,
            Phase::Creating(..) | Phase::InFlight { .. } | Phase::Saving(_) => false,
        }
    }

    /// Whether a request of this poll is in flight.
    pub(super) const fn is_in_flight(&self) -> bool {
        matches!(self.phase, Phase::InFlight { .. })
    }
}

/// The phase of a poll.
#[derive(Debug)]
pub(super) enum Phase {
    /// Its creation is being stored; answers this ticket and those of [`Joined`].
    Creating(Ticket, Option<Box<Joined>>),
    /// In the schedule, at `until`.
    Waiting { until: Timestamp },
    /// Due, and in its queue since then; in the schedule at the time from which no request of it begins.
    Queued { since: Timestamp },
    /// A request is in flight.
    InFlight { began: Timestamp },
    /// The URL that it asks from now on is being stored; in the schedule at the time from which no request of it begins.
    Linking(Box<Unsaved<Arc<str>>>),
    /// Its outcome is being stored.
    Saving(Box<Unsaved<Arc<Outcome>>>),
}

/// The calls that reached a poll while its creation was being stored.
#[derive(Debug, Default)]
pub(super) struct Joined {
    pub(super) tickets: Vec<Ticket>,
    /// The poll ends as cancelled once it is stored.
    pub(super) cancelled: bool,
    /// The poll as another process has stored it meanwhile. It is run also if the creation fails: the store does not report
    /// it again.
    pub(super) found: Option<Box<StoredPoll>>,
}

/// A URL to follow, or an outcome, on its way to the store.
#[derive(Debug)]
pub(super) struct Unsaved<T> {
    pub(super) what: T,
    /// The store failed to save it, and it waits to be saved again.
    pub(super) failed: bool,
}

impl<T> Unsaved<T> {
    pub(super) const fn new(what: T) -> Self {
        Self { what, failed: false }
    }
}
