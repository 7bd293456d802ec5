//! Transitions of a poll between phases.
//!
//! Every input of the core ends in one of these, so the schedule and the queues always agree with the phase of the poll.

use std::sync::Arc;

use super::super::effect::{Effect, StartRequest};
use super::super::entry::{Entry, Phase, PollId, Unsaved};
use super::super::key_index::KeyHash;
use super::Core;
use crate::clock::Timestamp;
use crate::event::Event;
use crate::job::{KeptSpec, PollSpec};
use crate::outcome::OutcomeKind;
use crate::state::{PollState, Wake};
use crate::store::StoredPoll;

impl Core {
    pub(super) fn insert(
        &mut self,
        poll: &StoredPoll,
        (spec, kept): (&PollSpec, KeptSpec),
        hash: KeyHash,
        state: PollState,
        phase: Phase,
    ) -> PollId {
        let queue = self.admission.join(spec, poll.key.scope());
        let key = poll.key.clone();
        let id = self.polls.insert(Entry { key, spec: kept, state, phase, queue });
        self.followed.extend(poll.followed.clone().map(|url| (id, url)));
        self.key_index.insert(id, hash, &self.polls);
        id
    }

    pub(super) fn remove(&mut self, id: PollId, now: Timestamp) {
        let Some(entry) = self.polls.remove(id) else { return };
        self.key_index.remove(id, &entry.key);
        self.unfolded.remove(&id);
        self.followed.remove(&id);
        self.cookies.remove(&id);
        self.hastened.remove(&id);
        if matches!(entry.phase, Phase::Saving(_)) {
            self.unsaved -= 1;
        }
        self.admission.leave(entry.queue, now);
    }

    /// Has the URL stored that a poll asks from now on; only then is it asked.
    pub(super) fn save_link(&mut self, id: PollId, url: Arc<str>) {
        let Some(entry) = self.polls.get_mut(id) else { return };
        let closes = entry.closes();
        let key = entry.key.clone();
        entry.phase = Phase::Linking(Box::new(Unsaved::new(Arc::clone(&url))));
        if !self.shutting_down {
            self.schedule.insert(closes, id);
        }
        self.effects.push(Effect::SaveLink { id, key, url });
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
        if !matches!(entry.phase, Phase::Linking(_)) {
            return self.advance(id, now);
        }
        entry.state.notice(entry.spec.outline(), now);
        let closes = entry.state.closes(entry.spec.outline());
        if now < closes {
            self.schedule.insert(closes, id);
        } else {
            let kind = entry.time_is_over();
            self.end(id, kind, now);
        }
    }

    /// Moves a poll that is neither in flight nor in the schedule to its phase: it waits, sends, queues or ends. During a
    /// shutdown it waits; the next process continues it.
    pub(super) fn advance(&mut self, id: PollId, now: Timestamp) {
        let Some(entry) = self.polls.get_mut(id) else { return };
        entry.state.notice(entry.spec.outline(), now);
        let until = entry.state.wake_at(entry.outline());
        if self.shutting_down || until > now {
            entry.phase = Phase::Waiting { until };
            if !self.shutting_down {
                self.schedule.insert(until, id);
            }
            return;
        }
        if !self.paused && self.admission.admits(entry.queue, now) && self.send(id, now, now) {
            return;
        }
        let Some(entry) = self.polls.get_mut(id) else { return };
        let closes = entry.closes();
        entry.phase = Phase::Queued { since: now };
        if now < closes {
            self.schedule.insert(closes, id);
            self.admission.enqueue(entry.queue, id, now);
            self.dispatch(now);
        } else {
            let kind = entry.time_is_over();
            self.end(id, kind, now);
        }
    }

    /// Sends queued requests as far as the caps allow.
    pub(super) fn dispatch(&mut self, now: Timestamp) {
        while !self.shutting_down
            && !self.paused
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

    /// Sends the request of a poll that was found due at `since`. Returns false at or after the time from which no request of
    /// it begins.
    fn send(&mut self, id: PollId, since: Timestamp, now: Timestamp) -> bool {
        let Some(entry) = self.polls.get_mut(id) else { return false };
        if now >= entry.closes() {
            return false;
        }
        let Wake::Begin(begin) = entry.state.wake(entry.spec.outline(), now) else { return false };
        entry.phase = Phase::InFlight { began: now };
        self.admission.begin(entry.queue);
        let number = begin.attempt;
        let lateness = (number > 1).then(|| since.since(begin.due));
        self.effects.push(Effect::Notify { id, event: Event::Requesting { attempt: number, at: now } });
        let (spec, last) = (entry.spec.apart(), entry.state.last().cloned());
        if spec.is_folded() {
            // What the worker reads of it is needed again when the attempt has ended.
            self.unfolded.insert(id, spec.clone());
        }
        let cookies = spec.outline().cookies.then(|| Arc::clone(self.cookies.entry(id).or_default()));
        self.effects.push(Effect::StartRequest(StartRequest {
            id,
            spec,
            followed: self.followed.get(&id).cloned(),
            cookies,
            number,
            lateness,
            held: now.since(since),
            cut: begin.cut,
            last,
        }));
        true
    }

    /// Decides the outcome of a poll and has it stored. A request in flight is over or aborted.
    pub(super) fn end(&mut self, id: PollId, kind: OutcomeKind, now: Timestamp) {
        let Some(entry) = self.polls.get_mut(id) else { return };
        let abandoned = entry.is_in_flight() && matches!(kind, OutcomeKind::Cancelled);
        let outcome = Arc::new(entry.state.outcome(entry.outline(), kind, abandoned, now));
        entry.phase = Phase::Saving(Box::new(Unsaved::new(Arc::clone(&outcome))));
        self.unsaved += 1;
        let key = entry.key.clone();
        self.effects.push(Effect::SaveOutcome { id, key, outcome });
    }
}
