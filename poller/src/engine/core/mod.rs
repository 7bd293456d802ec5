//! The decisions of the engine, without I/O.
//!
//! The core owns the schedule and the state of every open poll. Inputs are method calls that carry the time; outputs are
//! [`Effect`]s, which the driver carries out. There is no clock, task or socket here, so a test can run a million polls
//! through an hour, stop anywhere, and see every decision.
//!
//! ```text
//!  submit ─► creating ─► waiting ◄──────────► queued ─► in flight
//!               │           │  due, but not      │          │
//!               │ refused   │  admitted yet      │          │ judgement
//!               ▼           └─────────► saving ◄─┴──────────┘
//!            removed                      │ outcome stored, then reported
//!                                         ▼
//!                                      removed
//! ```
//!
//! Invariants:
//! - the first request waits until the creation is stored, and an outcome is stored before it is reported;
//! - a poll has at most one request in flight, and none while its outcome is being saved;
//! - a poll that is waiting, queued or due for another attempt to save has exactly one valid entry in the schedule. A poll
//!   in flight has none: its request ends by itself, at the deadline at the latest;
//! - during a shutdown only polls due for another attempt to save have one.
//!
//! Polls of one kind share a spec, so an entry is little more than a key, a URL and two times. A step of an unwatched
//! poll allocates only the data that it keeps.

mod queries;
mod transitions;

use std::collections::HashSet;
use std::iter;
use std::sync::Arc;
use std::time::Duration;

use retry::{RetryOptions, Rng};
use slotmap::SlotMap;

use super::admission::{AdmissionControl, Hold};
use super::effect::{Effect, Submitted};
use super::entry::{Entry, Phase, PollId, Ticket};
use super::interner::Interner;
use super::key_index::KeyIndex;
use super::wheel::Wheel;
use crate::clock::Timestamp;
use crate::error::{Error, Kind};
use crate::event::Event;
use crate::job::{PollSpec, SpecPool};
use crate::judge::Judgement;
use crate::key::PollKey;
use crate::limits::Limits;
use crate::outcome::{Outcome, OutcomeKind};
use crate::state::{PollState, Span, StepLimits};
use crate::store::{Creation, StoreError, StoredPoll};

/// The most polls for which memory is reserved in advance: some 100 bytes each.
const MAX_RESERVED: usize = 1 << 20;

/// The capacity of the list of effects that is kept: more than one batch of messages causes.
const EFFECTS: usize = 8192;

/// The schedule and the state of every open poll.
#[derive(Debug)]
pub(crate) struct Core {
    limits: Limits,
    step_limits: StepLimits,
    polls: SlotMap<PollId, Entry>,
    key_index: KeyIndex,
    specs: SpecPool,
    interner: Interner,
    schedule: Wheel<PollId>,
    admission: AdmissionControl<PollId>,
    rng: Rng,
    store_retry: RetryOptions,
    effects: Vec<Effect>,
    /// The number of outcomes that are decided but not stored yet.
    unsaved: usize,
    /// The polls that ended while the store reads open polls; see [`adopt`](Self::adopt).
    ended_since_read: Option<HashSet<PollKey>>,
    shutting_down: bool,
}

impl Core {
    pub(crate) fn new(limits: Limits, rng: Rng) -> Self {
        let admission = AdmissionControl::new(limits.in_flight, limits.per_origin);
        let step_limits = StepLimits {
            history: limits.history,
            hold_back: limits.hold_back,
            headers_floor: Duration::from_secs(1),
        };
        Self {
            limits,
            step_limits,
            polls: SlotMap::with_key(),
            key_index: KeyIndex::default(),
            specs: SpecPool::new(),
            interner: Interner::new(),
            schedule: Wheel::new(),
            admission,
            rng,
            store_retry: RetryOptions::default(),
            effects: Vec::new(),
            unsaved: 0,
            ended_since_read: None,
            shutting_down: false,
        }
    }

    /// Moves the effects since the last call into `effects`, in order, and reuses the memory of `effects` for the next ones.
    pub(crate) fn take_effects(&mut self, effects: &mut Vec<Effect>) {
        effects.clear();
        // A burst, such as a million deadlines in one second, needs hundreds of megabytes once.
        effects.shrink_to(EFFECTS);
        std::mem::swap(&mut self.effects, effects);
    }

    /// The earliest time at which [`tick`](Self::tick) may have an effect.
    pub(crate) fn next_wake(&self) -> Option<Timestamp> {
        // During a shutdown no request begins, so the end of a hold changes nothing.
        let release = self.admission.next_release().filter(|_| !self.shutting_down);
        [self.schedule.next(), release].into_iter().flatten().min()
    }

    /// Reserves memory for `polls` polls that will be adopted, within bounds: the number comes from the store.
    pub(crate) fn reserve(&mut self, polls: usize) {
        let more = polls.min(MAX_RESERVED);
        self.polls.reserve(more);
        self.key_index.reserve(more, &self.polls);
    }

    /// Handles a call of `submit`.
    pub(crate) fn submit(&mut self, ticket: Ticket, key: PollKey, spec: PollSpec, now: Timestamp) {
        if self.shutting_down {
            return self.answer(ticket, Err(Kind::Shutdown.into()));
        }
        let hash = self.key_index.hash(&key);
        if let Some(id) = self.key_index.find(&key, hash, &self.polls) {
            let Some(entry) = self.polls.get_mut(id) else { return };
            let fields = entry.spec.differences(&spec);
            if !fields.is_empty() {
                return self.answer(ticket, Err(Kind::Conflict { key, fields }.into()));
            }
            let deadline = entry.state.deadline(&entry.spec);
            return match &mut entry.phase {
                Phase::Creating(_, joined) => joined.get_or_insert_default().tickets.push(ticket),
                _ => self.answer(ticket, Ok(Submitted::Open { id, joined: true, deadline })),
            };
        }
        let limit = self.limits.open_polls;
        if self.polls.len() >= limit {
            return self.answer(ticket, Err(Kind::Full { limit }.into()));
        }
        let poll = StoredPoll::new(key, self.specs.share(spec), now);
        let id = self.insert(&poll, hash, PollState::new(now), Phase::Creating(ticket, None));
        self.effects.push(Effect::Create { id, poll });
    }

    /// Handles the reply of the store to [`Effect::Create`].
    pub(crate) fn created(&mut self, id: PollId, result: Result<Creation, StoreError>, now: Timestamp) {
        let Some(entry) = self.polls.get_mut(id) else { return };
        let Phase::Creating(first, joined) = &mut entry.phase else { return };
        let (first, joined) = (*first, joined.take());
        let cancelled = joined.as_ref().is_some_and(|joined| joined.cancelled);
        let tickets = iter::once(first).chain(joined.into_iter().flat_map(|joined| joined.tickets));
        let deadline = entry.state.deadline(&entry.spec);
        let answer = match result {
            Ok(Creation::Created) => {
                for (position, ticket) in tickets.enumerate() {
                    self.answer(ticket, Ok(Submitted::Open { id, joined: position > 0, deadline }));
                }
                return self.start(id, cancelled, now);
            }
            Ok(Creation::Exists(present)) => match (entry.spec.differences(&present.spec), present.outcome) {
                (fields, _) if !fields.is_empty() => Err(Kind::Conflict { key: present.key, fields }.into()),
                (_, Some(outcome)) => {
                    Ok(Submitted::Finished { outcome, deadline: present.created_at + present.spec.timeout() })
                }
                // An earlier process left it open, or another process created it and this one has not read it yet.
                (_, None) => {
                    entry.state = PollState::resumed(&entry.spec, present.created_at, present.restarts, now);
                    let deadline = entry.state.deadline(&entry.spec);
                    for ticket in tickets {
                        self.answer(ticket, Ok(Submitted::Open { id, joined: true, deadline }));
                    }
                    return self.start(id, cancelled, now);
                }
            },
            Err(error) => Err(Error::from(error)),
        };
        self.remove(id, now);
        for ticket in tickets {
            self.answer(ticket, answer.clone());
        }
    }

    /// The store begins to read open polls. Calls of [`adopt`](Self::adopt) follow, then one of
    /// [`end_read`](Self::end_read).
    pub(crate) fn begin_read(&mut self) {
        self.ended_since_read = Some(HashSet::new());
    }

    /// All open polls that the store has read are adopted.
    pub(crate) fn end_read(&mut self) {
        self.ended_since_read = None;
    }

    /// Runs polls that an earlier process left open or another process created, unless they run already.
    ///
    /// The store may have read a poll before its outcome was saved here. Such polls are not run; their keys are returned,
    /// and the caller reads them from the store again.
    pub(crate) fn adopt(&mut self, polls: Vec<StoredPoll>, now: Timestamp) -> Vec<PollKey> {
        let mut doubtful = Vec::new();
        for mut poll in polls.into_iter().filter(|poll| poll.outcome.is_none()) {
            if self.ended_since_read.as_ref().is_some_and(|finished| finished.contains(&poll.key)) {
                doubtful.push(poll.key);
                continue;
            }
            let hash = self.key_index.hash(&poll.key);
            if self.key_index.find(&poll.key, hash, &self.polls).is_none() {
                poll.spec = self.specs.share(poll.spec);
                let state = PollState::resumed(&poll.spec, poll.created_at, poll.restarts, now);
                let id = self.insert(&poll, hash, state, Phase::Queued { since: now });
                self.advance(id, now);
            }
        }
        doubtful
    }

    /// Does all that is due at `now`.
    pub(crate) fn tick(&mut self, now: Timestamp) {
        self.admission.release_due(now);
        // Polls that waited for a hold to end go before polls that become due now.
        self.dispatch(now);
        while let Some((at, id)) = self.schedule.pop_due(now) {
            self.fire(id, at, now);
        }
    }

    /// Handles the end of the request of [`Effect::StartRequest`].
    pub(crate) fn attempted(
        &mut self,
        id: PollId,
        mut judgement: Judgement,
        ended: Timestamp,
        now: Timestamp,
    ) {
        let Some(entry) = self.polls.get_mut(id) else { return };
        let Phase::InFlight { began } = entry.phase else { return };
        if let Judgement::Unmatched(unmatched) = &mut judgement
            && !entry.state.last().is_some_and(|last| Arc::ptr_eq(last, &unmatched.response))
        {
            unmatched.response = self.interner.share(Arc::clone(&unmatched.response));
        }
        let queue = entry.queue;
        let span = Span { began, ended };
        let step = entry.state.settle(&entry.spec, judgement, span, &mut self.rng, &self.step_limits);
        self.admission.end(queue);
        let number = entry.state.attempt();
        self.effects.push(Effect::Attempted { id, number, record: step.record });
        let held = step
            .hold
            .filter(|until| self.admission.hold(queue, Hold { until: *until, by: entry.key.clone() }));
        self.effects.extend(held.map(|until| Effect::Held { queue, until, by: id }));
        match step.outcome {
            Some(kind) => self.end(id, kind, ended),
            None => self.advance(id, now),
        }
        if held.is_none()
            && let Some(event) = self.held_in(queue, id)
        {
            self.effects.push(Effect::Notify { id, event });
        }
        self.dispatch(now);
    }

    /// Ends a poll as cancelled, unless its outcome is decided or its deadline has passed.
    pub(crate) fn cancel(&mut self, id: PollId, now: Timestamp) {
        let Some(entry) = self.polls.get_mut(id) else { return };
        // At the deadline the poll has timed out, even if `tick` has not reached it yet.
        let over = now >= entry.state.deadline(&entry.spec);
        match &mut entry.phase {
            Phase::Creating(_, joined) => joined.get_or_insert_default().cancelled = true,
            Phase::Saving(_) => {}
            _ if over => {}
            Phase::Waiting { .. } | Phase::Queued { .. } => {
                self.end(id, OutcomeKind::Cancelled, now);
                self.mark_stale();
            }
            Phase::InFlight { .. } => {
                self.admission.end(entry.queue);
                self.effects.push(Effect::Abort { id });
                self.end(id, OutcomeKind::Cancelled, now);
                self.dispatch(now);
            }
        }
    }

    /// Handles the reply of the store to [`Effect::SaveOutcome`]. The outcome that the store returns is the one reported: it
    /// may be an earlier one.
    pub(crate) fn outcome_saved(
        &mut self,
        id: PollId,
        result: Result<Arc<Outcome>, StoreError>,
        now: Timestamp,
    ) {
        match result {
            Ok(outcome) => {
                if let (Some(finished), Some(entry)) = (&mut self.ended_since_read, self.polls.get(id)) {
                    finished.insert(entry.key.clone());
                }
                self.remove(id, now);
                self.effects.push(Effect::Notify { id, event: Event::Outcome(outcome) });
            }
            Err(_) => {
                let Some(Entry { phase: Phase::Saving(unsaved), .. }) = self.polls.get_mut(id) else {
                    return;
                };
                unsaved.failures = unsaved.failures.saturating_add(1);
                let at = now + self.store_retry.delay(unsaved.failures, &mut self.rng);
                unsaved.retry_at = Some(at);
                self.schedule.insert(at, id);
            }
        }
    }

    /// Begins the shutdown: no request begins and no submission is accepted; requests in flight may still end. The schedule
    /// holds only outcomes that the store failed to save. Little time is left for them, so they are saved again at once,
    /// with the backoff reset.
    pub(crate) fn shut_down(&mut self) {
        if std::mem::replace(&mut self.shutting_down, true) {
            return;
        }
        self.schedule = Wheel::new();
        if self.unsaved == 0 {
            return;
        }
        for (id, entry) in &mut self.polls {
            if let Phase::Saving(unsaved) = &mut entry.phase
                && unsaved.retry_at.take().is_some()
            {
                unsaved.failures = 0;
                let (key, outcome) = (entry.key.clone(), Arc::clone(&unsaved.outcome));
                self.effects.push(Effect::SaveOutcome { id, key, outcome });
            }
        }
    }

    fn answer(&mut self, ticket: Ticket, answer: Result<Submitted, Error>) {
        self.effects.push(Effect::Answer { ticket, answer });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::Response;
    use crate::response::RecordedResponse;

    fn effects(core: &mut Core) -> Vec<Effect> {
        let mut effects = Vec::new();
        core.take_effects(&mut effects);
        effects
    }

    const NOW: Timestamp = Timestamp::from_micros(1_000_000);

    #[test]
    fn a_burst_of_effects_gives_its_memory_back() {
        let mut core = Core::new(Limits::default(), Rng::seeded(1));
        for number in 0..10 * EFFECTS {
            core.answer(Ticket(number), Err(Kind::Shutdown.into()));
        }
        let mut effects = effects(&mut core);
        assert_eq!(effects.len(), 10 * EFFECTS);
        core.take_effects(&mut effects);
        assert!(core.effects.capacity() <= EFFECTS && effects.is_empty());
    }

    #[test]
    fn a_stale_read_of_the_store_does_not_reopen_an_ended_poll() {
        let mut core = Core::new(Limits::default(), Rng::seeded(1));
        let spec = PollSpec::parse(r#"{"url": "https://example.com"}"#).unwrap();
        core.submit(Ticket(1), PollKey::new("", "a"), spec, NOW);
        let Some(Effect::Create { id, poll }) = effects(&mut core).pop() else {
            panic!("a poll is stored first")
        };
        core.created(id, Ok(Creation::Created), NOW);
        core.begin_read();
        let response = RecordedResponse::from(Response::new(200, http::HeaderMap::new(), ""));
        core.attempted(id, Judgement::Matched { response }, NOW, NOW);
        let Some(Effect::SaveOutcome { outcome, .. }) = effects(&mut core).pop() else {
            panic!("the outcome is stored")
        };
        core.outcome_saved(id, Ok(outcome), NOW);
        effects(&mut core);

        assert_eq!(core.adopt(vec![poll.clone()], NOW), [PollKey::new("", "a")]);
        assert!(effects(&mut core).is_empty() && core.open() == 0, "no request follows an outcome");
        // A second read names the poll only if it was created anew, and then it runs.
        core.end_read();
        core.begin_read();
        assert!(core.adopt(vec![poll], NOW).is_empty());
        assert_eq!(core.open(), 1);
    }
}
