//! What can be seen of the core, for those who watch polls, ask for them or count them. Nothing here changes it.

use super::super::admission::QueueId;
use super::super::entry::{Entry, Phase, PollId};
use super::Core;
use crate::clock::Timestamp;
use crate::event::{Event, HoldSource, PollerEvent};
use crate::key::PollKey;
use crate::outcome::Attempt;
use crate::shutdown::{self, LeftOpen, Stopped};

impl Core {
    /// Polls that have no outcome yet.
    pub(crate) fn open(&self) -> usize {
        self.polls.len()
    }

    pub(crate) const fn in_flight(&self) -> usize {
        self.admission.in_flight()
    }

    /// How many outcomes are decided but not stored yet.
    pub(crate) const fn unsaved(&self) -> usize {
        self.unsaved
    }

    /// How many lanes a hint holds back.
    pub(crate) fn held_back(&self) -> usize {
        self.holds.len()
    }

    /// The name of an open poll and its last attempts, oldest first.
    pub(crate) fn attempts(&self, id: PollId) -> Option<(PollKey, Vec<Attempt>)> {
        let entry = self.polls.get(id)?;
        let attempts = entry.state.history(&entry.spec, entry.is_in_flight());
        Some((entry.key.clone(), attempts.collect()))
    }

    /// What somebody who watches an open poll from now on has missed: the attempts that are kept, oldest first, the
    /// request in flight, the hold-back in force.
    pub(crate) fn missed(&self, id: PollId) -> Vec<Event> {
        let Some(entry) = self.polls.get(id) else { return Vec::new() };
        let attempts = entry.state.history(&entry.spec, entry.is_in_flight());
        let mut events: Vec<Event> = attempts.map(Event::Attempted).collect();
        if let Phase::InFlight { began } = entry.phase {
            events.push(Event::Requesting { attempt: entry.state.attempt(), at: began });
        }
        events.extend(self.held_in(entry.queue, id));
        events
    }

    /// That a hold-back of this lane keeps the poll from its next request, if it does.
    pub(crate) fn held_in(&self, queue: QueueId, id: PollId) -> Option<Event> {
        let hold = self.holds.get(&queue)?;
        let entry = self.polls.get(id).filter(|entry| entry.queue == queue)?;
        let waits = matches!(entry.phase, Phase::Waiting { .. } | Phase::Queued { .. });
        let deadline = entry.state.deadline(&entry.spec);
        entry.state.due().filter(|due| waits && *due < hold.until && *due < deadline)?;
        let by = if hold.by == entry.key { HoldSource::Own } else { HoldSource::Neighbour(hold.by.clone()) };
        Some(Event::HeldBack { until: hold.until, by })
    }

    /// That an open poll has begun, as subscribers receive it.
    pub(crate) fn opened(&self, id: PollId) -> Option<PollerEvent> {
        self.polls.get(id).map(opened)
    }

    /// The same for all polls that the store has.
    pub(crate) fn all_opened(&self) -> impl Iterator<Item = PollerEvent> {
        let stored = |entry: &&Entry| !matches!(entry.phase, Phase::Creating(..));
        self.polls.values().filter(stored).map(opened)
    }

    /// The name of an open poll.
    pub(crate) fn key(&self, id: PollId) -> Option<&PollKey> {
        self.polls.get(id).map(|entry| &entry.key)
    }

    /// When an open poll ends at the latest.
    pub(crate) fn deadline(&self, id: PollId) -> Option<Timestamp> {
        self.polls.get(id).map(|entry| entry.state.deadline(&entry.spec))
    }

    /// Whether the poll is still open.
    pub(crate) fn is_open(&self, id: PollId) -> bool {
        self.polls.contains_key(id)
    }

    /// The open poll of that name.
    pub(crate) fn find(&self, key: &PollKey) -> Option<PollId> {
        self.key_index.find(key, self.key_index.place(key), &self.polls)
    }

    /// The polls that are left without an outcome: those whose time is over first.
    pub(crate) fn left_open(&self) -> Vec<LeftOpen> {
        let deadline = |entry: &Entry| entry.state.deadline(&entry.spec);
        let stopped = |entry: &Entry| match entry.phase {
            Phase::InFlight { .. } => Stopped::InFlight,
            Phase::Saving(_) => Stopped::Saving,
            Phase::Creating(..) | Phase::Waiting { .. } | Phase::Queued { .. } => Stopped::Before,
        };
        shutdown::first(self.polls.values().map(|entry| (deadline(entry), &entry.key, stopped(entry))))
    }
}

fn opened(entry: &Entry) -> PollerEvent {
    PollerEvent::Opened {
        key: entry.key.clone(),
        spec: entry.spec.clone(),
        started_at: entry.state.start(),
        deadline: entry.state.deadline(&entry.spec),
        restarts: entry.state.restarts(),
    }
}
