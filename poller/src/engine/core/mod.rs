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
//!               ▼           └─────────► saving ◄─┴──────────┤ a link to follow
//!            removed                      │                  └──► linking ─► waiting, once it is stored
//!                                         │                      │ outcome stored, then reported
//!                                         ▼
//!                                      removed
//! ```
//!
//! Invariants:
//! - the first request waits until the creation is stored, and an outcome is stored before it is reported;
//! - a poll has at most one request in flight, and none while its outcome is being saved;
//! - a poll that is waiting, queued or linking has exactly one valid entry in the schedule. A poll in flight has none: its
//!   request ends by itself, at the deadline at the latest. What is being saved has none: the store replies, and what it
//!   failed to save has a [queue](saving) of its own;
//! - during a shutdown no poll has one.
//!
//! Polls of one kind share a spec, so an entry is little more than a key, a URL and two times. A step of an unwatched
//! poll allocates only the data that it keeps.

mod queries;
mod replies;
mod saving;
mod transitions;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use retry::Rng;
use slotmap::SlotMap;

use self::saving::FailedSaves;
use super::admission::{AdmissionControl, Hold};
use super::effect::{Effect, Submitted};
use super::entry::{Entry, Phase, PollId, Ticket};
use super::interner::Interner;
use super::key_index::KeyIndex;
use super::wheel::Wheel;
use crate::clock::Timestamp;
use crate::error::{Error, Kind};
use crate::fetch::CookieJar;
use crate::job::{PollSpec, SpecPool};
use crate::judge::{Judged, Judgement};
use crate::key::PollKey;
use crate::limits::Limits;
use crate::outcome::OutcomeKind;
use crate::state::{HoldRequest, PollState, Reach, Span, StepLimits};
use crate::store::StoredPoll;

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
    failed_saves: FailedSaves,
    effects: Vec<Effect>,
    /// The URLs that polls follow. Beside the polls, because few follow one.
    followed: HashMap<PollId, Arc<str>>,
    /// The specs of requests in flight that were [kept folded](crate::job::KeptSpec). Beside the polls, because few are in flight.
    unfolded: HashMap<PollId, PollSpec>,
    /// The cookies of polls that keep them, and have sent a request. Beside the polls for the same reason.
    cookies: HashMap<PollId, Arc<CookieJar>>,
    /// The polls that were to ask at once while a request was in flight, whose response may be older than what was told, or
    /// while a link was stored.
    hastened: HashSet<PollId>,
    /// The number of outcomes that are decided but not stored yet.
    unsaved: usize,
    /// The polls that ended while the store reads open polls; see [`adopt`](Self::adopt).
    ended_since_read: Option<HashSet<PollKey>>,
    shutting_down: bool,
    /// No request begins: see [`pause`](Self::pause).
    paused: bool,
}

impl Core {
    pub(crate) fn new(limits: Limits, rng: Rng) -> Self {
        let admission = AdmissionControl::new(&limits);
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
            failed_saves: FailedSaves::default(),
            effects: Vec::new(),
            followed: HashMap::new(),
            unfolded: HashMap::new(),
            cookies: HashMap::new(),
            hastened: HashSet::new(),
            unsaved: 0,
            ended_since_read: None,
            shutting_down: false,
            paused: false,
        }
    }

    /// Has specs kept folded, also where they are few.
    #[cfg(test)]
    pub(crate) fn fold_specs(&mut self) {
        self.specs = SpecPool::folding();
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
        // Without requests, in a shutdown or a pause, the end of a hold changes nothing.
        let release = self.admission.next_release().filter(|_| !self.shutting_down && !self.paused);
        [self.schedule.next(), release, self.failed_saves.next()].into_iter().flatten().min()
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
            let fields = entry.spec.apart().differences(&spec);
            if !fields.is_empty() {
                return self.answer(ticket, Err(Kind::Conflict { key, fields }.into()));
            }
            let deadline = entry.deadline();
            return match &mut entry.phase {
                Phase::Creating(_, joined) => joined.get_or_insert_default().tickets.push(ticket),
                _ => self.answer(ticket, Ok(Submitted::Open { id, joined: true, deadline })),
            };
        }
        let limit = self.limits.open_polls;
        if self.polls.len() >= limit {
            return self.answer(ticket, Err(Kind::Full { limit }.into()));
        }
        let (spec, kept) = self.specs.share(spec);
        let poll = StoredPoll::new(key, spec.clone(), now);
        let poll = if self.limits.spread { poll.spread() } else { poll };
        let id =
            self.insert(&poll, (&spec, kept), hash, PollState::new(&poll), Phase::Creating(ticket, None));
        self.effects.push(Effect::Create { id, poll });
    }

    /// Drops a poll that another process runs from now on, in whatever phase it is; a request in flight is aborted. A poll
    /// whose creation is being stored stays until the store has replied. Returns whether it was dropped.
    pub(crate) fn release(&mut self, id: PollId, now: Timestamp) -> bool {
        let Some(entry) = self.polls.get(id) else { return false };
        let is_scheduled = match &entry.phase {
            Phase::Creating(..) => return false,
            Phase::InFlight { .. } => {
                self.admission.end(entry.queue, None);
                self.effects.push(Effect::Abort { id });
                false
            }
            Phase::Waiting { .. } | Phase::Queued { .. } | Phase::Linking(_) => true,
            Phase::Saving(_) => false,
        };
        self.remove(id, now);
        if is_scheduled {
            self.mark_stale();
        }
        true
    }

    /// Pauses or resumes the sending of requests. While paused, due polls wait in their queues and still end at their
    /// deadlines. A store that lets requests begin again is back, so what it failed to save is saved at once.
    pub(crate) fn pause(&mut self, paused: bool, now: Timestamp) {
        if std::mem::replace(&mut self.paused, paused) && !paused {
            self.retry_all();
            self.dispatch(now);
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
            if let Some(known) = self.key_index.find(&poll.key, hash, &self.polls) {
                if let Some(Entry { phase: Phase::Creating(_, joined), .. }) = self.polls.get_mut(known) {
                    joined.get_or_insert_default().found = Some(Box::new(poll));
                }
                continue;
            }
            let (spec, kept) = self.specs.share(poll.spec);
            poll.spec = spec.clone();
            let state = PollState::resumed(&poll, now);
            let id = self.insert(&poll, (&spec, kept), hash, state, Phase::Queued { since: now });
            self.advance(id, now);
        }
        doubtful
    }

    /// Does all that is due at `now`.
    pub(crate) fn tick(&mut self, now: Timestamp) {
        self.retry_first(now);
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
        judged: impl Into<Judged>,
        ended: Timestamp,
        now: Timestamp,
    ) {
        let Some(entry) = self.polls.get_mut(id) else { return };
        let Phase::InFlight { began } = entry.phase else { return };
        let (mut judged, mut link) = (judged.into(), None);
        if let Judgement::Unmatched(unmatched) = &mut judged.judgement {
            link = unmatched.link.take();
            if !entry.state.last().is_some_and(|last| Arc::ptr_eq(last, &unmatched.response)) {
                unmatched.response = self.interner.share(Arc::clone(&unmatched.response));
            }
        }
        let (queue, answered) = (entry.queue, judged.is_in_time());
        let span = Span { began, ended };
        let unfolded = if self.unfolded.is_empty() { None } else { self.unfolded.remove(&id) };
        let spec = unfolded.unwrap_or_else(|| entry.spec.apart());
        let step = entry.state.settle(&spec, judged, span, &mut self.rng, &self.step_limits);
        self.admission.end(queue, Some(answered));
        let number = entry.state.attempt();
        self.effects.push(Effect::Attempted { id, number, record: step.record });
        let held = step.hold.filter(|HoldRequest { until, reach }| {
            self.admission.hold(queue, *reach, Hold { until: *until, by: entry.key.clone() })
        });
        let report = |HoldRequest { until, reach }| Effect::Held { queue, reach, until, by: id };
        self.effects.extend(held.map(report));
        match step.outcome {
            Some(kind) => self.end(id, kind, ended),
            None => match link.filter(|link| self.followed.get(&id) != Some(link)) {
                Some(link) => self.save_link(id, link),
                None => self.go_on(id, now),
            },
        }
        if held.is_none()
            && let Some(event) = self.held_in(queue, Reach::Scope, id)
        {
            self.effects.push(Effect::Notify { id, event });
        }
        self.dispatch(now);
    }

    /// Has a poll ask as soon as it may, because a caller says that there is something new. The grid of its later requests stays.
    pub(crate) fn hasten(&mut self, id: PollId, now: Timestamp) {
        let Some(entry) = self.polls.get_mut(id) else { return };
        match entry.phase {
            Phase::InFlight { .. } | Phase::Linking(_) => drop(self.hastened.insert(id)),
            Phase::Waiting { .. } if !self.shutting_down && entry.state.hasten(entry.spec.outline(), now) => {
                self.mark_stale();
                self.advance(id, now);
            }
            // It asks soon, or has nothing more to ask.
            _ => {}
        }
    }

    /// Waits for the next request after an attempt, or sends it at once if it was to be hastened meanwhile.
    fn go_on(&mut self, id: PollId, now: Timestamp) {
        if self.hastened.remove(&id)
            && let Some(entry) = self.polls.get_mut(id)
        {
            entry.state.hasten(entry.spec.outline(), now);
        }
        self.advance(id, now);
    }

    /// Ends a poll as cancelled, unless its outcome is decided or its deadline has passed.
    pub(crate) fn cancel(&mut self, id: PollId, now: Timestamp) {
        let Some(entry) = self.polls.get_mut(id) else { return };
        // At the deadline the poll has timed out, even if `tick` has not reached it yet.
        let over = now >= entry.closes();
        match &mut entry.phase {
            Phase::Creating(_, joined) => joined.get_or_insert_default().cancelled = true,
            Phase::Saving(_) => {}
            _ if over => {}
            Phase::Waiting { .. } | Phase::Queued { .. } | Phase::Linking(_) => {
                self.end(id, OutcomeKind::Cancelled, now);
                self.mark_stale();
            }
            Phase::InFlight { .. } => {
                self.admission.end(entry.queue, None);
                self.effects.push(Effect::Abort { id });
                self.end(id, OutcomeKind::Cancelled, now);
                self.dispatch(now);
            }
        }
    }

    /// Begins the shutdown: no request begins and no submission is accepted; requests in flight may still end. Little time is
    /// left for outcomes that the store failed to save, so they are saved again at once.
    pub(crate) fn shut_down(&mut self) {
        if std::mem::replace(&mut self.shutting_down, true) {
            return;
        }
        self.schedule = Wheel::new();
        self.retry_all();
    }

    fn answer(&mut self, ticket: Ticket, answer: Result<Submitted, Error>) {
        self.effects.push(Effect::Answer { ticket, answer });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::Response;
    use crate::store::{Creation, StoreError};

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

    /// A core with a poll that it has asked the store to create.
    fn submitted() -> (Core, PollId, StoredPoll) {
        let mut core = Core::new(Limits::default(), Rng::seeded(1));
        let spec = PollSpec::parse(r#"{"url": "https://example.com"}"#).unwrap();
        core.submit(Ticket(1), PollKey::new("", "a"), spec, NOW);
        match effects(&mut core).pop() {
            Some(Effect::Create { id, poll }) => (core, id, poll),
            other => panic!("a poll is stored first: {other:?}"),
        }
    }

    fn matched() -> Judgement {
        Judgement::Matched { response: Response::new(200, http::HeaderMap::new(), "").into() }
    }

    #[test]
    fn a_poll_of_another_process_runs_although_the_creation_of_the_same_here_fails() {
        let (mut core, id, poll) = submitted();
        core.begin_read();
        assert!(core.adopt(vec![poll], NOW).is_empty());
        core.end_read();
        assert!(effects(&mut core).is_empty(), "the creation is under way");
        core.created(id, Err(StoreError::new("the disk is full")), false, NOW);
        let effects = effects(&mut core);
        let joined = |effect: &Effect| {
            matches!(effect, Effect::Answer { answer: Ok(Submitted::Open { joined: true, .. }), .. })
        };
        assert!(effects.iter().any(joined), "{effects:?}");
        assert!(effects.iter().any(|effect| matches!(effect, Effect::StartRequest(_))), "{effects:?}");
    }

    #[test]
    fn an_outcome_is_saved_again_at_once_when_the_pause_ends() {
        let (mut core, id, _) = submitted();
        core.created(id, Ok(Creation::Created), false, NOW);
        core.attempted(id, matched(), NOW, NOW);
        core.pause(true, NOW);
        core.outcome_saved(id, Err(StoreError::new("the database is away")), NOW);
        effects(&mut core);
        let later = NOW + Duration::from_millis(1);
        core.tick(later);
        assert!(effects(&mut core).is_empty(), "it backs off");
        core.pause(false, later);
        core.tick(later);
        assert!(matches!(effects(&mut core)[..], [Effect::SaveOutcome { .. }]));
    }

    #[test]
    fn a_stale_read_of_the_store_does_not_reopen_an_ended_poll() {
        let (mut core, id, poll) = submitted();
        core.created(id, Ok(Creation::Created), false, NOW);
        core.begin_read();
        core.attempted(id, matched(), NOW, NOW);
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
