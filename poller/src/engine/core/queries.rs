//! Read-only queries of the core: for watchers, look-ups by key, statistics and the shutdown report.

use super::super::admission::QueueId;
use super::super::entry::{Entry, Phase, PollId};
use super::Core;
use crate::clock::Timestamp;
use crate::event::{Event, HoldSource, PollerEvent};
use crate::key::PollKey;
use crate::outcome::Attempt;
use crate::shutdown::{self, LeftOpen, Stopped};

impl Core {
    /// The number of polls without a stored outcome.
    pub(crate) fn open(&self) -> usize {
        self.polls.len()
    }

    pub(crate) const fn in_flight(&self) -> usize {
        self.admission.in_flight()
    }

    /// The number of outcomes that are decided but not stored yet.
    pub(crate) const fn unsaved(&self) -> usize {
        self.unsaved
    }

    /// The number of origins, by credentials, that a hold keeps from sending.
    pub(crate) fn held_back(&self) -> usize {
        self.admission.held_back()
    }

    /// The key of an open poll and its last attempts, oldest first.
    pub(crate) fn attempts(&self, id: PollId) -> Option<(PollKey, Vec<Attempt>)> {
        let entry = self.polls.get(id)?;
        let attempts = entry.state.history(&entry.spec, entry.is_in_flight());
        Some((entry.key.clone(), attempts.collect()))
    }

    /// The events with which a new watcher of an open poll begins: the recorded attempts, oldest first, the request in
    /// flight, the hold in force.
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

    /// The event that the hold on this queue delays the next request of the poll, if it does.
    pub(crate) fn held_in(&self, queue: QueueId, id: PollId) -> Option<Event> {
        let hold = self.admission.held(queue)?;
        let entry = self.polls.get(id).filter(|entry| entry.queue == queue)?;
        let waits = matches!(entry.phase, Phase::Waiting { .. } | Phase::Queued { .. });
        let deadline = entry.state.deadline(&entry.spec);
        entry.state.due().filter(|due| waits && *due < hold.until && *due < deadline)?;
        let by = if hold.by == entry.key { HoldSource::Own } else { HoldSource::Neighbour(hold.by.clone()) };
        Some(Event::HeldBack { until: hold.until, by })
    }

    /// The polls whose next request the hold on this queue delays.
    pub(crate) fn all_held_in(&self, queue: QueueId) -> impl Iterator<Item = (&PollKey, Event)> {
        self.polls.iter().filter_map(move |(id, entry)| Some((&entry.key, self.held_in(queue, id)?)))
    }

    /// The event that a poll is open, for subscribers.
    pub(crate) fn opened(&self, id: PollId) -> Option<PollerEvent> {
        self.polls.get(id).map(opened)
    }

    /// The same for all polls whose creation is stored.
    pub(crate) fn all_opened(&self) -> impl Iterator<Item = PollerEvent> {
        let stored = |entry: &&Entry| !matches!(entry.phase, Phase::Creating(..));
        self.polls.values().filter(stored).map(opened)
    }

    /// The key of an open poll.
    pub(crate) fn key(&self, id: PollId) -> Option<&PollKey> {
        self.polls.get(id).map(|entry| &entry.key)
    }

    /// The deadline of an open poll.
    pub(crate) fn deadline(&self, id: PollId) -> Option<Timestamp> {
        self.polls.get(id).map(|entry| entry.state.deadline(&entry.spec))
    }

    /// Whether the poll is open.
    pub(crate) fn is_open(&self, id: PollId) -> bool {
        self.polls.contains_key(id)
    }

    /// The open poll with this key.
    pub(crate) fn find(&self, key: &PollKey) -> Option<PollId> {
        self.key_index.find(key, self.key_index.hash(key), &self.polls)
    }

    /// The open polls with the earliest deadlines, for the shutdown report.
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
