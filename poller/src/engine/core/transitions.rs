//! Transitions of a poll between phases.
//!
//! Every input of the core ends in one of these, so the schedule and the queues always agree with the phase of the poll.

use std::sync::Arc;

use super::super::effect::{Effect, Punctuality, StartRequest};
use super::super::entry::{Entry, Phase, PollId, UnsavedOutcome};
use super::super::key_index::KeyHash;
use super::Core;
use crate::clock::Timestamp;
use crate::event::Event;
use crate::outcome::OutcomeKind;
use crate::state::{PollState, Wake};
use crate::store::StoredPoll;

impl Core {
    pub(super) fn insert(
        &mut self,
        poll: &StoredPoll,
        hash: KeyHash,
        state: PollState,
        phase: Phase,
    ) -> PollId {
        let queue = self.admission.join(&poll.spec);
        let (key, spec) = (poll.key.clone(), poll.spec.clone());
        let id = self.polls.insert(Entry { key, spec, state, phase, queue });
        self.key_index.insert(id, hash, &self.polls);
        id
    }

    pub(super) fn remove(&mut self, id: PollId, now: Timestamp) {
        let Some(entry) = self.polls.remove(id) else { return };
        self.key_index.remove(id, &entry.key);
        if matches!(entry.phase, Phase::Saving(_)) {
            self.unsaved -= 1;
        }
        self.admission.leave(entry.queue, now);
    }

    /// Starts a poll whose creation is stored.
    pub(super) fn start(&mut self, id: PollId, cancelled: bool, now: Timestamp) {
        if cancelled {
            self.end(id, OutcomeKind::Cancelled, now);
        } else {
            self.advance(id, now);
        }
    }

    /// Counts one entry of the schedule as stale.
    pub(super) fn mark_stale(&mut self) {
        // A shutdown has emptied the schedule.
        if !self.shutting_down && self.schedule.mark_stale() {
            let polls = &self.polls;
            self.schedule.sweep(|at, id| polls.get(id).is_some_and(|entry| entry.is_scheduled(at)));
        }
    }

    /// Handles an entry of the schedule that is due.
    pub(super) fn fire(&mut self, id: PollId, at: Timestamp, now: Timestamp) {
        let Some(entry) = self.polls.get_mut(id).filter(|entry| entry.is_scheduled(at)) else {
            return self.schedule.drop_stale();
        };
        if let Phase::Saving(unsaved) = &mut entry.phase {
            unsaved.retry_at = None;
            let (key, outcome) = (entry.key.clone(), Arc::clone(&unsaved.outcome));
            self.effects.push(Effect::SaveOutcome { id, key, outcome });
        } else {
            self.advance(id, now);
        }
    }

    /// Moves a poll that is neither in flight nor in the schedule to its phase: it waits, sends, queues or ends. During a
    /// shutdown it waits; the next process continues it.
    pub(super) fn advance(&mut self, id: PollId, now: Timestamp) {
        let Some(entry) = self.polls.get_mut(id) else { return };
        let until = entry.state.wake_at(&entry.spec);
        if self.shutting_down || until > now {
            entry.phase = Phase::Waiting { until };
            if !self.shutting_down {
                self.schedule.insert(until, id);
            }
            return;
        }
        if self.admission.admits(entry.queue, now) && self.send(id, now, now) {
            return;
        }
        let Some(entry) = self.polls.get_mut(id) else { return };
        let deadline = entry.state.deadline(&entry.spec);
        entry.phase = Phase::Queued { since: now };
        if now < deadline {
            self.schedule.insert(deadline, id);
            self.admission.enqueue(entry.queue, id, now);
            self.dispatch(now);
        } else if let Wake::End(kind) = entry.state.wake(&entry.spec, now) {
            self.end(id, kind, now);
        }
    }

    /// Sends queued requests as far as the caps allow.
    pub(super) fn dispatch(&mut self, now: Timestamp) {
        while !self.shutting_down
            && let Some((queue, id)) = self.admission.next(now)
        {
            // The poll may have been cancelled or have ended while it was queued.
            let queued = self.polls.get(id).and_then(|entry| match entry.phase {
                Phase::Queued { since } => Some(since),
                _ => None,
            });
            if queued.is_some_and(|since| self.send(id, since, now)) {
                self.mark_stale();
            } else {
                self.admission.decline(queue);
            }
        }
    }

    /// Sends the request of a poll that was found due at `since`. Returns false at or after its deadline.
    fn send(&mut self, id: PollId, since: Timestamp, now: Timestamp) -> bool {
        let Some(entry) = self.polls.get_mut(id) else { return false };
        if now >= entry.state.deadline(&entry.spec) {
            return false;
        }
        let Wake::Begin(begin) = entry.state.wake(&entry.spec, now) else { return false };
        entry.phase = Phase::InFlight { began: now };
        self.admission.begin(entry.queue);
        let number = begin.attempt;
        let lateness = (number > 1).then(|| since.since(begin.due));
        let punctuality = Punctuality { lateness, held: now.since(since) };
        self.effects.push(Effect::Notify { id, event: Event::Requesting { attempt: number, at: now } });
        let (spec, last) = (entry.spec.clone(), entry.state.last().cloned());
        self.effects.push(Effect::StartRequest(StartRequest {
            id,
            spec,
            number,
            punctuality,
            cut: begin.cut,
            last,
        }));
        true
    }

    /// Decides the outcome of a poll and has it stored. A request in flight is over or aborted.
    pub(super) fn end(&mut self, id: PollId, kind: OutcomeKind, now: Timestamp) {
        let Some(entry) = self.polls.get_mut(id) else { return };
        let abandoned = entry.is_in_flight() && matches!(kind, OutcomeKind::Cancelled);
        let outcome = Arc::new(entry.state.outcome(&entry.spec, kind, abandoned, now));
        let unsaved = UnsavedOutcome { outcome: Arc::clone(&outcome), failures: 0, retry_at: None };
        entry.phase = Phase::Saving(Box::new(unsaved));
        self.unsaved += 1;
        let key = entry.key.clone();
        self.effects.push(Effect::SaveOutcome { id, key, outcome });
    }
}
