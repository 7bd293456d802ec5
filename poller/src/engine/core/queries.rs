//! Read-only queries of the core: for watchers, look-ups by key, statistics and the shutdown report.

use super::super::admission::{Hold, QueueId};
use super::super::entry::{Entry, Phase, PollId};
use super::Core;
use crate::clock::Timestamp;
use crate::event::{Event, HoldSource, PollerEvent};
use crate::key::PollKey;
use crate::open_poll::OpenPoll;
use crate::outcome::Attempt;
use crate::shutdown::{self, LeftOpen};
use crate::state::Reach;

impl Core {
    /// The number of polls without a stored outcome.
    pub(crate) fn open(&self) -> usize {
        self.polls.len()
    }

    pub(crate) const fn in_flight(&self) -> usize {
        self.admission.in_flight()
    }

    /// The number of due polls that wait for a cap or the end of a hold.
    pub(crate) const fn queued(&self) -> usize {
        self.admission.waiting()
    }

    /// Since when the oldest due poll has been waiting; polls that are held back do not count. Takes time linear in the number of
    /// queues, and none if no poll waits.
    pub(crate) fn oldest_due(&self, now: Timestamp) -> Option<Timestamp> {
        let since = |id: &PollId| match self.polls.get(*id)?.phase {
            Phase::Queued { since } => Some(since),
            _ => None,
        };
        self.admission.unheld(now).filter_map(|mut waiting| waiting.find_map(since)).min()
    }

    /// Whether as many requests are in flight as may be while due polls wait.
    pub(crate) fn is_saturated(&self) -> bool {
        self.admission.is_saturated()
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
        let attempts = entry.state.history(entry.outline(), entry.is_in_flight());
        Some((entry.key.clone(), attempts.collect()))
    }

    /// An open poll as it is now.
    pub(crate) fn look(&self, id: PollId) -> Option<OpenPoll> {
        let entry = self.polls.get(id)?;
        let (requesting, waits) = match entry.phase {
            Phase::InFlight { began } => (Some((entry.state.attempt(), began)), false),
            ref phase => (None, !matches!(phase, Phase::Saving(_))),
        };
        let held = self.hold_on(entry).map(|hold| hold.until);
        let due = entry.state.due().filter(|_| waits);
        Some(OpenPoll {
            attempts: entry.state.history(entry.outline(), entry.is_in_flight()).collect(),
            next: due.map(|due| held.map_or(due, |held| held.max(due))),
            requesting,
            held_until: held,
            last: entry.state.last().map(|last| &last.response).filter(|last| !last.echoes).cloned(),
        })
    }

    /// The events with which a new watcher of an open poll begins: the recorded attempts, oldest first, the request in
    /// flight, the hold in force.
    pub(crate) fn missed(&self, id: PollId) -> Vec<Event> {
        let Some(entry) = self.polls.get(id) else { return Vec::new() };
        let attempts = entry.state.history(entry.outline(), entry.is_in_flight());
        let mut events: Vec<Event> = attempts.map(Event::Attempted).collect();
        if let Phase::InFlight { began } = entry.phase {
            events.push(Event::Requesting { attempt: entry.state.attempt(), at: began });
        }
        events.extend(self.held_back_by(entry));
        events
    }

    /// The hold on its queue that delays the next request of the poll, if one does.
    fn hold_on(&self, entry: &Entry) -> Option<&Hold> {
        let hold = self.admission.held(entry.queue)?;
        let waits = matches!(entry.phase, Phase::Waiting { .. } | Phase::Queued { .. });
        let (due, closes) = (entry.state.due()?, entry.closes());
        (waits && due < hold.until && due < closes).then_some(hold)
    }

    /// The event of that hold.
    fn held_back_by(&self, entry: &Entry) -> Option<Event> {
        let hold = self.hold_on(entry)?;
        let by = if hold.by == entry.key { HoldSource::Own } else { HoldSource::Neighbour(hold.by.clone()) };
        Some(Event::HeldBack { until: hold.until, by })
    }

    /// The same for a poll that a hold with this reach on this queue may delay.
    pub(crate) fn held_in(&self, queue: QueueId, reach: Reach, id: PollId) -> Option<Event> {
        let entry = self.polls.get(id).filter(|entry| self.admission.reaches(queue, reach, entry.queue))?;
        self.held_back_by(entry)
    }

    /// The polls whose next request such a hold delays.
    pub(crate) fn all_held_in(
        &self,
        queue: QueueId,
        reach: Reach,
    ) -> impl Iterator<Item = (&PollKey, Event)> {
        self.polls.iter().filter_map(move |(id, entry)| Some((&entry.key, self.held_in(queue, reach, id)?)))
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
        self.polls.get(id).map(Entry::deadline)
    }

    /// Whether the outcome of a poll is decided, and is being saved.
    pub(crate) fn is_decided(&self, id: PollId) -> bool {
        self.polls.get(id).is_some_and(|entry| matches!(entry.phase, Phase::Saving(_)))
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
        shutdown::first(self.polls.values().map(|entry| {
            let is_saving = matches!(entry.phase, Phase::Saving(_));
            (entry.deadline(), &entry.key, entry.is_in_flight(), is_saving)
        }))
    }
}

fn opened(entry: &Entry) -> PollerEvent {
    PollerEvent::Opened {
        key: entry.key.clone(),
        spec: entry.spec.apart(),
        started_at: entry.state.start(),
        deadline: entry.deadline(),
        restarts: entry.state.restarts(),
    }
}
