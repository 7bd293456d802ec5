//! Everything the engine decides, without doing any of it.
//!
//! The core owns the schedule and the state of every open poll. Inputs are method calls that carry the time; what
//! must be done about them is left as [`Effect`]s for the driver to carry out. There is no clock, task or socket here,
//! so a test can run a million polls through an hour, stop anywhere, and see every decision.
//!
//! ```text
//!  submit ─► creating ─► waiting ◄──────────► queued ─► in flight
//!               │           │  due, may not      │          │
//!               │ refused   │  send yet          │          │ judgement
//!               ▼           └───────► finishing ◄┴──────────┘
//!              gone                       │ outcome stored, then told
//!                                         ▼
//!                                        gone
//! ```
//!
//! What always holds:
//! - the first request waits until the creation is stored, and an outcome is stored before it is told;
//! - a poll has at most one request in flight, and none once it is finishing;
//! - every poll that is waiting, queued or awaiting a store's recovery has one entry in the schedule that holds, a poll
//!   in flight none: its request ends by itself, at the deadline at the latest;
//! - in a shutdown only those that await a store's recovery have one: nobody else is looked at any more.
//!
//! A million polls of one kind are one spec, so an entry here is little more than a name, a URL and two times. A step
//! of a poll that nobody watches allocates nothing but what it has to keep.

mod queries;
mod transitions;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::iter;
use std::sync::Arc;
use std::time::Duration;

use retry::{RetryOptions, Rng};
use slotmap::SlotMap;

use super::admission::{AdmissionControl, QueueId};
use super::effect::{Effect, Submitted, Ticket};
use super::entry::{Entry, Phase, PollId};
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

/// A hold-back that is in force.
#[derive(Debug)]
struct Hold {
    until: Timestamp,
    /// Whose response asked for it.
    by: PollKey,
}

/// How many polls room is made for before they are there: some 100 bytes each.
const MOST_EXPECTED: usize = 1 << 20;

/// For how many effects room is kept: more than one batch of messages brings.
const EFFECTS: usize = 8192;

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
    /// When lanes that are held back may send again.
    releases: BTreeSet<(Timestamp, QueueId)>,
    /// The hold-backs in force; few, and only kept to be told of.
    holds: HashMap<QueueId, Hold>,
    rng: Rng,
    store_retry: RetryOptions,
    effects: Vec<Effect>,
    /// Outcomes that are decided but not stored yet.
    unsaved: usize,
    /// What was finished while the store is asked for open polls.
    finished_since_look: Option<HashSet<PollKey>>,
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
            releases: BTreeSet::new(),
            holds: HashMap::new(),
            rng,
            store_retry: RetryOptions::default(),
            effects: Vec::new(),
            unsaved: 0,
            finished_since_look: None,
            shutting_down: false,
        }
    }

    /// What has to be done since this was last asked, in order. `effects` is used again for what comes next.
    pub(crate) fn take_effects(&mut self, effects: &mut Vec<Effect>) {
        effects.clear();
        // A burst, such as a million deadlines in one second, needs hundreds of megabytes, and only once.
        effects.shrink_to(EFFECTS);
        std::mem::swap(&mut self.effects, effects);
    }

    /// When [`tick`](Self::tick) may have something to do; it has none before.
    pub(crate) fn next_wake(&self) -> Option<Timestamp> {
        let release = self.releases.first().map(|(at, _)| *at);
        [self.schedule.next(), release].into_iter().flatten().min()
    }

    /// Makes room for polls that will be adopted. So many are said to come: that is believed up to a point.
    pub(crate) fn expect(&mut self, polls: usize) {
        let more = polls.min(MOST_EXPECTED);
        self.polls.reserve(more);
        self.key_index.reserve(more, &self.polls);
    }

    /// Somebody wants this poll to be run.
    pub(crate) fn submit(&mut self, ticket: Ticket, key: PollKey, spec: PollSpec, now: Timestamp) {
        if self.shutting_down {
            return self.answer(ticket, Err(Kind::Shutdown.into()));
        }
        let place = self.key_index.place(&key);
        if let Some(id) = self.key_index.find(&key, place, &self.polls) {
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
        let id = self.insert(&poll, place, PollState::new(now), Phase::Creating(ticket, None));
        self.effects.push(Effect::Create { id, poll });
    }

    /// The store has answered to [`Effect::Create`].
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
                // An earlier process left it, or another created it, and nobody has told of it yet: it is ours to run.
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

    /// The store is being asked for the polls that are open; [`adopt`](Self::adopt) follows, and then
    /// [`end_look`](Self::end_look).
    pub(crate) fn begin_look(&mut self) {
        self.finished_since_look = Some(HashSet::new());
    }

    /// All that the store was asked for has been adopted.
    pub(crate) fn end_look(&mut self) {
        self.finished_since_look = None;
    }

    /// Runs polls that an earlier process left open or another created, unless they run already.
    ///
    /// What the store said may be older than what has been finished here since it was asked. Keys of polls of which that
    /// may be so are returned and not run: the store has to be asked again.
    pub(crate) fn adopt(&mut self, polls: Vec<StoredPoll>, now: Timestamp) -> Vec<PollKey> {
        let mut doubtful = Vec::new();
        for mut poll in polls.into_iter().filter(|poll| poll.outcome.is_none()) {
            if self.finished_since_look.as_ref().is_some_and(|finished| finished.contains(&poll.key)) {
                doubtful.push(poll.key);
                continue;
            }
            let place = self.key_index.place(&poll.key);
            if self.key_index.find(&poll.key, place, &self.polls).is_none() {
                poll.spec = self.specs.share(poll.spec);
                let state = PollState::resumed(&poll.spec, poll.created_at, poll.restarts, now);
                let id = self.insert(&poll, place, state, Phase::Queued { since: now });
                self.look_at(id, now);
            }
        }
        doubtful
    }

    /// Does everything that is due.
    pub(crate) fn tick(&mut self, now: Timestamp) {
        while let Some((at, queue)) = self.releases.first().copied()
            && at <= now
        {
            self.releases.pop_first();
            self.admission.release(queue, now);
            if self.holds.get(&queue).is_some_and(|hold| hold.until <= now) {
                self.holds.remove(&queue);
            }
        }
        // Those that waited for a hold to end come before those that are due only now.
        self.dispatch(now);
        while let Some((at, id)) = self.schedule.pop_due(now) {
            self.woken(id, at, now);
        }
    }

    /// The request of [`Effect::StartRequest`] is over.
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
        let held = match step.hold {
            Some(until) if self.admission.hold(queue, until) => {
                self.releases.insert((until, queue));
                self.holds.insert(queue, Hold { until, by: entry.key.clone() });
                self.effects.push(Effect::Held { queue, until, by: id });
                true
            }
            _ => false,
        };
        match step.end {
            Some(kind) => self.end(id, kind, ended),
            None => self.look_at(id, now),
        }
        if !held && let Some(event) = self.held_in(queue, id) {
            self.effects.push(Effect::Tell { id, event });
        }
        self.dispatch(now);
    }

    /// Ends a poll as cancelled, unless its outcome is decided or its deadline has passed.
    pub(crate) fn cancel(&mut self, id: PollId, now: Timestamp) {
        let Some(entry) = self.polls.get_mut(id) else { return };
        // At the deadline the poll has ended, though nobody may have looked at it yet.
        let over = now >= entry.state.deadline(&entry.spec);
        match &mut entry.phase {
            Phase::Creating(_, joined) => joined.get_or_insert_default().cancelled = true,
            Phase::Saving(_) => {}
            _ if over => {}
            Phase::Waiting { .. } | Phase::Queued { .. } => {
                self.end(id, OutcomeKind::Cancelled, now);
                self.forsake();
            }
            Phase::InFlight { .. } => {
                self.admission.end(entry.queue);
                self.effects.push(Effect::Abort { id });
                self.end(id, OutcomeKind::Cancelled, now);
                self.dispatch(now);
            }
        }
    }

    /// The store has answered to [`Effect::SaveOutcome`]: with the outcome that it keeps, which is the one that is told.
    pub(crate) fn outcome_saved(
        &mut self,
        id: PollId,
        result: Result<Arc<Outcome>, StoreError>,
        now: Timestamp,
    ) {
        match result {
            Ok(outcome) => {
                if let (Some(finished), Some(entry)) = (&mut self.finished_since_look, self.polls.get(id)) {
                    finished.insert(entry.key.clone());
                }
                self.remove(id, now);
                self.effects.push(Effect::Tell { id, event: Event::Outcome(outcome) });
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

    /// From here on no request begins and nothing is accepted; what is in flight may still end. Nothing falls due any
    /// more but outcomes that the store failed to keep. There is little time left for those, so it is asked at once, and
    /// then again as after a first failure.
    pub(crate) fn shut_down(&mut self) {
        if std::mem::replace(&mut self.shutting_down, true) {
            return;
        }
        self.schedule = Wheel::new();
        self.releases.clear();
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
    fn what_a_burst_of_effects_took_is_given_back() {
        let mut core = Core::new(Limits::default(), Rng::seeded(1));
        for number in 0..10 * EFFECTS {
            core.answer(Ticket(number as u32), Err(Kind::Shutdown.into()));
        }
        let mut effects = effects(&mut core);
        assert_eq!(effects.len(), 10 * EFFECTS);
        core.take_effects(&mut effects);
        assert!(core.effects.capacity() <= EFFECTS && effects.is_empty());
    }

    #[test]
    fn a_store_that_was_asked_before_a_poll_ended_does_not_bring_it_back() {
        let mut core = Core::new(Limits::default(), Rng::seeded(1));
        let spec = PollSpec::parse(r#"{"url": "https://example.com"}"#).unwrap();
        core.submit(Ticket(1), PollKey::new("", "a"), spec, NOW);
        let Some(Effect::Create { id, poll }) = effects(&mut core).pop() else {
            panic!("it is stored first")
        };
        core.created(id, Ok(Creation::Created), NOW);
        core.begin_look();
        let response = RecordedResponse::from(Response::new(200, http::HeaderMap::new(), ""));
        core.attempted(id, Judgement::Matched { response }, NOW, NOW);
        let Some(Effect::SaveOutcome { outcome, .. }) = effects(&mut core).pop() else {
            panic!("its outcome is stored")
        };
        core.outcome_saved(id, Ok(outcome), NOW);
        effects(&mut core);

        assert_eq!(core.adopt(vec![poll.clone()], NOW), [PollKey::new("", "a")]);
        assert!(effects(&mut core).is_empty() && core.open() == 0, "no request follows an outcome");
        // Asked again, the store would not name it, unless somebody has created it anew: then it runs.
        core.end_look();
        core.begin_look();
        assert!(core.adopt(vec![poll], NOW).is_empty());
        assert_eq!(core.open(), 1);
    }
}
