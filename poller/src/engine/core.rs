//! Everything the engine decides, without doing any of it.
//!
//! The core owns the schedule and the state of every open poll. Inputs are method calls that carry the time; what
//! must be done about them is left as [`Effect`]s for the driver to carry out. There is no clock, task or socket here,
//! so a test can run a million polls through an hour, stop anywhere, and see every decision.
//!
//! ```text
//!  submit ─► creating ─► waiting ◄──────────► queued ─► in flight
//!               │           │  due, may not      │          │
//!               │ refused   │  send yet          │          │ finding
//!               ▼           └───────► finishing ◄┴──────────┘
//!              gone                       │ outcome stored, then told
//!                                         ▼
//!                                        gone
//! ```
//!
//! What always holds:
//! - the first request waits until the creation is stored, and an outcome is stored before it is told;
//! - a poll has at most one request in flight, and none once it is finishing;
//! - every poll that is waiting, queued or awaiting a store's recovery has exactly one entry in the schedule, a poll
//!   in flight none: its request ends by itself, at the deadline at the latest.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use retry::{RetryOptions, Rng};
use slotmap::SlotMap;

use super::lanes::{LaneKey, Lanes};
use crate::clock::Timestamp;
use crate::error::{Error, Kind};
use crate::event::{Event, HoldSource};
use crate::judge::Finding;
use crate::limits::Limits;
use crate::outcome::{Conclusion, Outcome};
use crate::schedule::Queue;
use crate::spec::{PollSpec, SpecPool};
use crate::state::{PollState, StepLimits, Wake};
use crate::store::{Creation, PollKey, StoreError, StoredPoll};

slotmap::new_key_type! {
    /// An open poll of this engine; never used twice.
    pub(crate) struct PollId;
}

/// One call of `submit` that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ticket(pub(crate) u64);

/// What the driver has to do.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Store a new poll, then call [`Core::created`].
    Create { id: PollId, poll: StoredPoll },
    /// Send a request, cut it at `cut`, then call [`Core::attempted`].
    Send { id: PollId, spec: PollSpec, cut: Timestamp, punctuality: Punctuality },
    /// Abandon the request in flight; nothing is to be heard of it again.
    Abort { id: PollId },
    /// Store an outcome, then call [`Core::finished`].
    Finish { id: PollId, key: PollKey, outcome: Arc<Outcome> },
    /// Tell whoever watches the poll.
    Tell { id: PollId, event: Event },
    /// A lane is held back; tell whoever watches a poll for which [`Core::held_in`] says so.
    Held { lane: LaneKey, until: Timestamp, by: PollId },
    /// Answer a `submit`.
    Answer { ticket: Ticket, answer: Result<Admission, Error> },
}

/// How a request came to begin when it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Punctuality {
    /// From when it was due to when the engine came to it. `None` for a first request, which waits for its poll to be
    /// stored and not for the schedule.
    pub(crate) lateness: Option<Duration>,
    /// From then on: how long a cap or a hint held it.
    pub(crate) held: Duration,
}

/// A hold-back that is in force.
#[derive(Debug)]
struct Hold {
    until: Timestamp,
    /// Whose response asked for it.
    by: PollKey,
}

/// What a `submit` came to.
#[derive(Clone, Debug)]
pub(crate) enum Admission {
    /// The poll runs.
    Open { id: PollId, joined: bool, deadline: Timestamp },
    /// The poll had ended before.
    Finished { outcome: Arc<Outcome>, deadline: Timestamp },
}

#[derive(Debug)]
pub(crate) struct Core {
    limits: Limits,
    step_limits: StepLimits,
    polls: SlotMap<PollId, Entry>,
    by_key: HashMap<PollKey, PollId>,
    specs: SpecPool,
    schedule: Queue<Due>,
    lanes: Lanes<PollId>,
    /// The hold-backs in force; few, and only kept to be told of.
    holds: HashMap<LaneKey, Hold>,
    rng: Rng,
    store_retry: RetryOptions,
    effects: Vec<Effect>,
    /// What was finished while the store is asked for open polls.
    finished_since_look: Option<HashSet<PollKey>>,
    shutting_down: bool,
}

#[derive(Debug)]
struct Entry {
    key: PollKey,
    spec: PollSpec,
    state: PollState,
    lane: LaneKey,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// Its creation is being stored. `cancelled`: end it as soon as it is.
    Creating { tickets: Vec<Ticket>, cancelled: bool },
    /// In the schedule at `until`.
    Waiting { until: Timestamp },
    /// Due, in its lane since then; in the schedule at its deadline.
    Queued { since: Timestamp },
    /// A request has been sent.
    InFlight { began: Timestamp },
    /// Its outcome is being stored; after failures, in the schedule at `retry_at`.
    Finishing { outcome: Arc<Outcome>, failures: u32, retry_at: Option<Timestamp> },
}

/// What the schedule wakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Poll(PollId),
    Lane(LaneKey),
}

impl Core {
    pub(crate) fn new(limits: Limits, rng: Rng) -> Self {
        let lanes = Lanes::new(limits.in_flight, limits.per_origin);
        let step_limits = StepLimits {
            history: limits.history,
            hold_back: limits.hold_back,
            headers_floor: Duration::from_secs(1),
        };
        Self {
            limits,
            step_limits,
            polls: SlotMap::with_key(),
            by_key: HashMap::new(),
            specs: SpecPool::new(),
            schedule: Queue::new(),
            lanes,
            holds: HashMap::new(),
            rng,
            store_retry: RetryOptions::default(),
            effects: Vec::new(),
            finished_since_look: None,
            shutting_down: false,
        }
    }

    /// What has to be done since this was last asked, in order.
    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// When [`tick`](Self::tick) has something to do.
    pub(crate) fn next_wake(&self) -> Option<Timestamp> {
        self.schedule.next()
    }

    /// Polls that have no outcome yet.
    pub(crate) fn open(&self) -> usize {
        self.polls.len()
    }

    pub(crate) const fn in_flight(&self) -> usize {
        self.lanes.in_flight()
    }

    /// What somebody who watches an open poll from now on has missed: the attempts that are kept, oldest first, the
    /// request in flight, the hold-back in force.
    pub(crate) fn missed(&self, id: PollId) -> Vec<Event> {
        let Some(entry) = self.polls.get(id) else { return Vec::new() };
        let mut events: Vec<Event> = entry.state.history().cloned().map(Event::Attempted).collect();
        if let Phase::InFlight { began } = entry.phase {
            events.push(Event::Requesting { attempt: entry.state.attempt(), at: began });
        }
        events.extend(self.held_in(entry.lane, id));
        events
    }

    /// That a hold-back of this lane keeps the poll from its next request, if it does.
    pub(crate) fn held_in(&self, lane: LaneKey, id: PollId) -> Option<Event> {
        let hold = self.holds.get(&lane)?;
        let entry = self.polls.get(id).filter(|entry| entry.lane == lane)?;
        let waits = matches!(entry.phase, Phase::Waiting { .. } | Phase::Queued { .. });
        entry.state.due().filter(|due| waits && *due < hold.until && *due < entry.state.grid().deadline())?;
        let by = if hold.by == entry.key { HoldSource::Own } else { HoldSource::Neighbour(hold.by.clone()) };
        Some(Event::HeldBack { until: hold.until, by })
    }

    /// The name of an open poll.
    pub(crate) fn key(&self, id: PollId) -> Option<&PollKey> {
        self.polls.get(id).map(|entry| &entry.key)
    }

    /// When an open poll ends at the latest.
    pub(crate) fn deadline(&self, id: PollId) -> Option<Timestamp> {
        self.polls.get(id).map(|entry| entry.state.grid().deadline())
    }

    /// The number of the last request of an open poll.
    pub(crate) fn attempt(&self, id: PollId) -> Option<u32> {
        self.polls.get(id).map(|entry| entry.state.attempt())
    }

    /// Whether the poll is still open.
    pub(crate) fn is_open(&self, id: PollId) -> bool {
        self.polls.contains_key(id)
    }

    /// The open poll of that name.
    pub(crate) fn find(&self, key: &PollKey) -> Option<PollId> {
        self.by_key.get(key).copied()
    }

    /// Somebody wants this poll to be run.
    pub(crate) fn submit(&mut self, ticket: Ticket, key: PollKey, spec: PollSpec, now: Timestamp) {
        if self.shutting_down {
            return self.answer(ticket, Err(Kind::Shutdown.into()));
        }
        if let Some(id) = self.find(&key) {
            let Some(entry) = self.polls.get_mut(id) else { return };
            let fields = entry.spec.differences(&spec);
            if !fields.is_empty() {
                return self.answer(ticket, Err(Kind::Conflict { key, fields }.into()));
            }
            let deadline = entry.state.grid().deadline();
            return match &mut entry.phase {
                Phase::Creating { tickets, .. } => tickets.push(ticket),
                _ => self.answer(ticket, Ok(Admission::Open { id, joined: true, deadline })),
            };
        }
        let limit = self.limits.open_polls;
        if self.polls.len() >= limit {
            return self.answer(ticket, Err(Kind::Full { limit }.into()));
        }
        let poll = StoredPoll::new(key, self.specs.share(spec), now);
        let phase = Phase::Creating { tickets: vec![ticket], cancelled: false };
        let state = PollState::new(&poll.spec, now);
        let id = self.insert(&poll, state, phase);
        self.effects.push(Effect::Create { id, poll });
    }

    /// The store has answered to [`Effect::Create`].
    pub(crate) fn created(&mut self, id: PollId, result: Result<Creation, StoreError>, now: Timestamp) {
        let Some(entry) = self.polls.get_mut(id) else { return };
        let Phase::Creating { tickets, cancelled } = &mut entry.phase else { return };
        let (tickets, cancelled) = (std::mem::take(tickets), *cancelled);
        let deadline = entry.state.grid().deadline();
        let answer = match result {
            Ok(Creation::Created) => {
                for (position, ticket) in tickets.into_iter().enumerate() {
                    self.answer(ticket, Ok(Admission::Open { id, joined: position > 0, deadline }));
                }
                return self.start(id, cancelled, now);
            }
            Ok(Creation::Exists(present)) => match (entry.spec.differences(&present.spec), present.outcome) {
                (fields, _) if !fields.is_empty() => Err(Kind::Conflict { key: present.key, fields }.into()),
                (_, Some(outcome)) => {
                    Ok(Admission::Finished { outcome, deadline: present.created_at + present.spec.timeout() })
                }
                // Another process created it, and nobody has told of it yet: it is ours to run.
                (_, None) => {
                    entry.state = PollState::new(&entry.spec, present.created_at);
                    let deadline = entry.state.grid().deadline();
                    for ticket in tickets {
                        self.answer(ticket, Ok(Admission::Open { id, joined: true, deadline }));
                    }
                    return self.start(id, cancelled, now);
                }
            },
            Err(error) => Err(Error::from(error)),
        };
        self.remove(id);
        for ticket in tickets {
            self.answer(ticket, answer.clone());
        }
    }

    /// Begins a poll that is stored now.
    fn start(&mut self, id: PollId, cancelled: bool, now: Timestamp) {
        if cancelled {
            self.end(id, Conclusion::Cancelled, now);
        } else {
            self.look_at(id, now);
            self.dispatch(now);
        }
    }

    /// Takes over polls that an earlier process left open.
    pub(crate) fn restore(&mut self, polls: Vec<StoredPoll>, now: Timestamp) {
        for mut poll in polls {
            poll.spec = self.specs.share(poll.spec);
            let state = PollState::resumed(&poll.spec, poll.created_at, poll.restarts, now);
            let id = self.insert(&poll, state, Phase::Queued { since: now });
            self.look_at(id, now);
        }
        self.dispatch(now);
    }

    /// The store is being asked for the polls that are open; [`adopt`](Self::adopt) follows.
    pub(crate) fn begin_look(&mut self) {
        self.finished_since_look = Some(HashSet::new());
    }

    /// Runs polls that other processes created, unless they run already.
    ///
    /// What the store said may be older than what has been finished here since it was asked. Names of polls of which that
    /// may be so are returned and not run: the store has to be asked again.
    pub(crate) fn adopt(&mut self, polls: Vec<StoredPoll>, now: Timestamp) -> Vec<PollKey> {
        let finished = self.finished_since_look.take().unwrap_or_default();
        let mut doubtful = Vec::new();
        for mut poll in polls.into_iter().filter(|poll| poll.outcome.is_none()) {
            if finished.contains(&poll.key) {
                doubtful.push(poll.key);
            } else if self.find(&poll.key).is_none() {
                poll.spec = self.specs.share(poll.spec);
                let state = PollState::new(&poll.spec, poll.created_at);
                let id = self.insert(&poll, state, Phase::Queued { since: now });
                self.look_at(id, now);
            }
        }
        self.dispatch(now);
        doubtful
    }

    /// Does everything that is due.
    pub(crate) fn tick(&mut self, now: Timestamp) {
        while let Some(due) = self.schedule.pop_due(now) {
            match due {
                Due::Lane(lane) => {
                    self.lanes.release(lane, now);
                    if self.holds.get(&lane).is_some_and(|hold| hold.until <= now) {
                        self.holds.remove(&lane);
                    }
                }
                Due::Poll(id) => self.woken(id, now),
            }
        }
        self.dispatch(now);
    }

    /// The request of [`Effect::Send`] is over.
    pub(crate) fn attempted(&mut self, id: PollId, finding: Finding, ended: Timestamp, now: Timestamp) {
        let Some(entry) = self.polls.get_mut(id) else { return };
        let Phase::InFlight { began } = entry.phase else { return };
        let lane = entry.lane;
        let step = entry.state.settle(&entry.spec, finding, began, ended, &mut self.rng, &self.step_limits);
        self.lanes.end(lane);
        self.effects.push(Effect::Tell { id, event: Event::Attempted(step.attempt) });
        let held = match step.hold {
            Some(until) if self.lanes.hold(lane, until) => {
                self.schedule.insert(until, Due::Lane(lane));
                self.holds.insert(lane, Hold { until, by: entry.key.clone() });
                self.effects.push(Effect::Held { lane, until, by: id });
                true
            }
            _ => false,
        };
        match step.end {
            Some(conclusion) => self.end(id, conclusion, ended),
            None => self.look_at(id, now),
        }
        if !held && let Some(event) = self.held_in(lane, id) {
            self.effects.push(Effect::Tell { id, event });
        }
        self.dispatch(now);
    }

    /// Ends a poll as cancelled, unless its outcome is decided or its deadline has passed.
    pub(crate) fn cancel(&mut self, id: PollId, now: Timestamp) {
        let Some(entry) = self.polls.get_mut(id) else { return };
        // At the deadline the poll has ended, though nobody may have looked at it yet.
        let over = now >= entry.state.grid().deadline();
        match &mut entry.phase {
            Phase::Creating { cancelled, .. } => *cancelled = true,
            Phase::Finishing { .. } => {}
            _ if over => {}
            Phase::Waiting { .. } | Phase::Queued { .. } => self.end(id, Conclusion::Cancelled, now),
            Phase::InFlight { .. } => {
                self.lanes.end(entry.lane);
                self.effects.push(Effect::Abort { id });
                self.end(id, Conclusion::Cancelled, now);
                self.dispatch(now);
            }
        }
    }

    /// The store has answered to [`Effect::Finish`]: with the outcome that it keeps, which is the one that is told.
    pub(crate) fn finished(&mut self, id: PollId, result: Result<Arc<Outcome>, StoreError>, now: Timestamp) {
        match result {
            Ok(outcome) => {
                if let (Some(finished), Some(entry)) = (&mut self.finished_since_look, self.polls.get(id)) {
                    finished.insert(entry.key.clone());
                }
                self.remove(id);
                self.effects.push(Effect::Tell { id, event: Event::Finished(outcome) });
            }
            Err(_) => {
                let Some(Entry { phase: Phase::Finishing { failures, retry_at, .. }, .. }) =
                    self.polls.get_mut(id)
                else {
                    return;
                };
                *failures = failures.saturating_add(1);
                let at = now + self.store_retry.delay(*failures, &mut self.rng);
                *retry_at = Some(at);
                self.schedule.insert(at, Due::Poll(id));
            }
        }
    }

    /// From here on no request begins and nothing is accepted; what is in flight may still end.
    pub(crate) fn shut_down(&mut self) {
        self.shutting_down = true;
    }

    /// How many outcomes are decided but not stored yet.
    pub(crate) fn finishing(&self) -> usize {
        self.polls.values().filter(|entry| matches!(entry.phase, Phase::Finishing { .. })).count()
    }

    fn insert(&mut self, poll: &StoredPoll, state: PollState, phase: Phase) -> PollId {
        let lane = self.lanes.key(&poll.spec);
        let id =
            self.polls.insert(Entry { key: poll.key.clone(), spec: poll.spec.clone(), state, lane, phase });
        self.by_key.insert(poll.key.clone(), id);
        id
    }

    fn remove(&mut self, id: PollId) {
        if let Some(entry) = self.polls.remove(id) {
            self.by_key.remove(&entry.key);
        }
    }

    fn answer(&mut self, ticket: Ticket, answer: Result<Admission, Error>) {
        self.effects.push(Effect::Answer { ticket, answer });
    }

    /// The schedule's entry for this poll has come up.
    fn woken(&mut self, id: PollId, now: Timestamp) {
        let Some(entry) = self.polls.get_mut(id) else { return };
        match &mut entry.phase {
            Phase::Finishing { outcome, retry_at, .. } => {
                *retry_at = None;
                let (key, outcome) = (entry.key.clone(), Arc::clone(outcome));
                self.effects.push(Effect::Finish { id, key, outcome });
            }
            // A queued poll is in the schedule at its deadline, so it ends.
            _ => {
                entry.phase = Phase::Queued { since: now };
                self.look_at(id, now);
            }
        }
    }

    /// Puts a poll that is neither in flight nor in the schedule where it belongs.
    fn look_at(&mut self, id: PollId, now: Timestamp) {
        let Some(entry) = self.polls.get_mut(id) else { return };
        let deadline = entry.state.grid().deadline();
        let until = entry.state.wake_at();
        if until > now {
            entry.phase = Phase::Waiting { until };
            self.schedule.insert(until, Due::Poll(id));
        } else if now < deadline {
            entry.phase = Phase::Queued { since: now };
            self.schedule.insert(deadline, Due::Poll(id));
            self.lanes.enqueue(entry.lane, id, now);
        } else if let Wake::End(conclusion) = entry.state.wake(&entry.spec, now) {
            entry.phase = Phase::Queued { since: now };
            self.end(id, conclusion, now);
        }
    }

    /// Sends as many of the requests that are due as the caps allow.
    fn dispatch(&mut self, now: Timestamp) {
        while !self.shutting_down
            && let Some((lane, id)) = self.lanes.next(now)
        {
            let Some(entry) = self.polls.get_mut(id) else { continue };
            // Whoever was cancelled, or put off, while it stood in the lane is not in it any more.
            let Phase::Queued { since } = entry.phase else { continue };
            let due = entry.state.due();
            if let Wake::Begin(begin) = entry.state.wake(&entry.spec, now) {
                entry.phase = Phase::InFlight { began: now };
                self.schedule.remove(entry.state.grid().deadline(), Due::Poll(id));
                self.lanes.begin(lane);
                let event = Event::Requesting { attempt: begin.attempt, at: now };
                self.effects.push(Effect::Tell { id, event });
                let lateness = due.filter(|_| begin.attempt > 1).map(|due| since.since(due));
                let punctuality = Punctuality { lateness, held: now.since(since) };
                self.effects.push(Effect::Send { id, spec: entry.spec.clone(), cut: begin.cut, punctuality });
            }
        }
    }

    /// Decides the outcome of a poll that has no request in flight any more, and has it stored.
    fn end(&mut self, id: PollId, conclusion: Conclusion, now: Timestamp) {
        let Some(entry) = self.polls.get_mut(id) else { return };
        match entry.phase {
            Phase::Waiting { until } => self.schedule.remove(until, Due::Poll(id)),
            Phase::Queued { .. } => self.schedule.remove(entry.state.grid().deadline(), Due::Poll(id)),
            _ => {}
        }
        let outcome = Arc::new(entry.state.outcome(conclusion, now));
        entry.phase = Phase::Finishing { outcome: Arc::clone(&outcome), failures: 0, retry_at: None };
        let key = entry.key.clone();
        self.effects.push(Effect::Finish { id, key, outcome });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::Response;
    use crate::outcome::RecordedResponse;

    const NOW: Timestamp = Timestamp::from_micros(1_000_000);

    #[test]
    fn a_store_that_was_asked_before_a_poll_ended_does_not_bring_it_back() {
        let mut core = Core::new(Limits::default(), Rng::seeded(1));
        let spec = PollSpec::parse(r#"{"url": "https://example.com"}"#).unwrap();
        core.submit(Ticket(1), PollKey::new("", "a"), spec, NOW);
        let Some(Effect::Create { id, poll }) = core.take_effects().pop() else {
            panic!("it is stored first")
        };
        core.created(id, Ok(Creation::Created), NOW);
        core.begin_look();
        let response = RecordedResponse::from(Response::new(200, http::HeaderMap::new(), ""));
        core.attempted(id, Finding::Matched { response }, NOW, NOW);
        let Some(Effect::Finish { outcome, .. }) = core.take_effects().pop() else {
            panic!("its outcome is stored")
        };
        core.finished(id, Ok(outcome), NOW);
        core.take_effects();

        assert_eq!(core.adopt(vec![poll.clone()], NOW), [PollKey::new("", "a")]);
        assert!(core.take_effects().is_empty() && core.open() == 0, "no request follows an outcome");
        // Asked again, the store would not name it, unless somebody has created it anew: then it runs.
        core.begin_look();
        assert!(core.adopt(vec![poll], NOW).is_empty());
        assert_eq!(core.open(), 1);
    }
}
