//! The core in a simulated world: a fake clock, a fetch that misbehaves, a store that fails and crashes, all seeded.
//!
//! The world carries out the core's effects as the driver would, at times and with results drawn from the seed: requests
//! that fail, hang, hint and are shared, a store that fails, is slow or is away for a while. It shuts down, and it crashes
//! between any two effects: the core is gone, writes under way happen or not, and some time later a new core goes on with
//! what the store has. What the engine promises (`promises`) is checked at every step and at the end.
//!
//! `POLLER_SEEDS=10000 cargo test -p poller simulation` runs more seeds; `POLLER_SEED=42` replays one.

mod promises;
mod script;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use retry::Rng;

use self::script::{Reply, pick, random_reply, random_spec};
use super::core::Core;
use super::effect::{Effect, StartRequest, Submitted, Ticket};
use super::entry::PollId;
use crate::clock::Timestamp;
use crate::event::Event;
use crate::job::PollSpec;
use crate::judge::{self, Judgement};
use crate::key::PollKey;
use crate::limits::Limits;
use crate::outcome::{JudgementKind, Next, Outcome};
use crate::redact::Secrets;
use crate::store::{Creation, StoreError, StoredPoll};

const SECOND: u64 = 1_000_000;

/// How late the core may hear of what happened: the driver is one task among others.
const LAG: Duration = Duration::from_millis(100);

/// Something that will happen.
#[derive(Debug)]
enum Happening {
    Submit {
        poll: usize,
    },
    Cancel {
        poll: usize,
    },
    /// The request ended at `ended`; the core hears of it now, a little later.
    Replied {
        life: u32,
        id: PollId,
        request: u64,
        judgement: Box<Judgement>,
        ended: Timestamp,
    },
    Created {
        life: u32,
        id: PollId,
        poll: StoredPoll,
        fails: bool,
    },
    Finished {
        life: u32,
        id: PollId,
        key: PollKey,
        outcome: Arc<Outcome>,
        fails: bool,
    },
    ShutDown,
    Crash,
    Restart,
    StoreGoesAway,
}

/// What the world knows of a poll from outside.
#[derive(Debug, Default)]
struct Known {
    acknowledged: bool,
    told: Option<Arc<Outcome>>,
    /// The request in flight, in this life of the process.
    in_flight: Option<u64>,
    /// What the last attempt of this life said about the next.
    next: Option<Option<Next>>,
    /// When the engine heard that it is stored, each time.
    begun: Vec<Timestamp>,
    /// When it began to be run in this life, if it was not restored: its first request is due then.
    started: Option<Timestamp>,
    /// Its outcome is decided, in this life.
    ending: bool,
    /// What the request in flight will bring.
    reply: Option<Reply>,
    /// No request before this, as told in this life.
    held_until: Timestamp,
}

/// What happened, so that a simulation in which too little does is noticed.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    sent: u32,
    joined: u32,
    hung: u32,
    crashes: u32,
    /// Of those, the ones between two effects of one step.
    torn: u32,
    shutdowns: u32,
    outages: u32,
}

impl Counts {
    fn add(&mut self, more: Self) {
        self.sent += more.sent;
        self.joined += more.joined;
        self.hung += more.hung;
        self.crashes += more.crashes;
        self.torn += more.torn;
        self.shutdowns += more.shutdowns;
        self.outages += more.outages;
    }
}

struct World {
    dice: Rng,
    now: u64,
    /// When the process came up, each time.
    came_up: Vec<Timestamp>,
    life: u32,
    core: Option<Core>,
    limits: Limits,
    agenda: BTreeMap<(u64, u64), Happening>,
    sequence: u64,
    specs: Vec<PollSpec>,
    known: Vec<Known>,
    ids: HashMap<PollId, usize>,
    tickets: HashMap<Ticket, usize>,
    next_ticket: u32,
    store: HashMap<PollKey, StoredPoll>,
    requests: u64,
    counts: Counts,
    shutting_down: bool,
    /// Until then every call to the store fails.
    store_away: u64,
    /// Whether writes may still fail: towards the end the store recovers, so that the run can end.
    storms: bool,
}

fn key(poll: usize) -> PollKey {
    PollKey::new("", format!("poll-{poll}"))
}

fn index(key: &PollKey) -> usize {
    key.key().strip_prefix("poll-").and_then(|number| number.parse().ok()).expect("the key is one of ours")
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Rng::seeded(seed);
        let mut limits = Limits::unbounded();
        limits.in_flight = 1 + pick(&mut dice, 6);
        limits.per_origin = 1 + pick(&mut dice, 3);
        limits.history = pick(&mut dice, 5);
        let polls = 1 + pick(&mut dice, 12);
        let specs = (0..polls).map(|_| random_spec(&mut dice)).collect();
        let mut world = Self {
            now: 1000 * SECOND,
            came_up: Vec::new(),
            life: 0,
            core: Some(Core::new(limits.clone(), Rng::seeded(seed))),
            limits,
            agenda: BTreeMap::new(),
            sequence: 0,
            specs,
            known: (0..polls).map(|_| Known::default()).collect(),
            ids: HashMap::new(),
            tickets: HashMap::new(),
            next_ticket: 0,
            store: HashMap::new(),
            requests: 0,
            counts: Counts::default(),
            shutting_down: false,
            store_away: 0,
            storms: true,
            dice,
        };
        for poll in 0..polls {
            let at = world.up_to(30 * SECOND);
            world.later(at, Happening::Submit { poll });
            // Submitted again, it joins, or gets what is stored.
            for _ in 0..pick(&mut world.dice, 3) {
                let at = world.up_to(200 * SECOND);
                world.later(at, Happening::Submit { poll });
            }
            if pick(&mut world.dice, 4) == 0 {
                let at = world.up_to(120 * SECOND);
                world.later(at, Happening::Cancel { poll });
            }
        }
        for _ in 0..pick(&mut world.dice, 4) {
            let at = world.up_to(150 * SECOND);
            let how = if pick(&mut world.dice, 4) == 0 { Happening::ShutDown } else { Happening::Crash };
            world.later(at, how);
        }
        for _ in 0..pick(&mut world.dice, 3) {
            let at = world.up_to(150 * SECOND);
            world.later(at, Happening::StoreGoesAway);
        }
        world
    }

    fn up_to(&mut self, micros: u64) -> u64 {
        self.dice.up_to(micros)
    }

    fn later(&mut self, delay: u64, what: Happening) {
        self.sequence += 1;
        self.agenda.insert((self.now + delay, self.sequence), what);
    }

    fn time(&self) -> Timestamp {
        Timestamp::from_micros(self.now)
    }

    /// Runs until nothing is left to happen.
    fn run(&mut self) {
        loop {
            let wake = self.core.as_ref().and_then(Core::next_wake).map(Timestamp::as_micros);
            let happening = self.agenda.first_key_value().map(|((at, _), _)| *at);
            let Some(next) = [wake, happening].into_iter().flatten().min() else { break };
            if next > self.now {
                self.check_promptness();
            }
            self.now = self.now.max(next);
            self.storms = self.now < 1300 * SECOND;
            assert!(self.now < 10_000 * SECOND, "the world does not come to rest");
            if happening == Some(next) {
                if let Some((_, what)) = self.agenda.pop_first() {
                    self.happen(what);
                }
            } else {
                let now = self.time();
                if let Some(core) = &mut self.core {
                    core.tick(now);
                }
            }
            self.carry_out();
        }
        self.check_the_end();
    }

    fn happen(&mut self, what: Happening) {
        let now = self.time();
        match what {
            Happening::Submit { poll } => {
                let spec = self.specs[poll].clone();
                let ticket = Ticket(self.next_ticket);
                self.next_ticket += 1;
                if let Some(core) = &mut self.core {
                    self.tickets.insert(ticket, poll);
                    core.submit(ticket, key(poll), spec, now);
                }
            }
            Happening::Cancel { poll } => {
                if let Some(core) = &mut self.core
                    && let Some(id) = core.find(&key(poll))
                {
                    core.cancel(id, now);
                }
            }
            Happening::Replied { life, id, request, judgement, ended } => {
                let Some(poll) = self.ids.get(&id).copied() else { return };
                if life != self.life || self.known[poll].in_flight != Some(request) {
                    return;
                }
                self.known[poll].in_flight = None;
                if let Some(core) = &mut self.core {
                    core.attempted(id, *judgement, ended, now);
                }
            }
            Happening::Created { life, id, poll, fails } => {
                let result = if fails { Err(StoreError::new("out of luck")) } else { Ok(self.create(poll)) };
                if life == self.life
                    && let Some(core) = &mut self.core
                {
                    let known = &mut self.known[self.ids[&id]];
                    if result.is_ok() {
                        known.begun.push(now);
                    }
                    known.started = matches!(result, Ok(Creation::Created)).then_some(now);
                    core.created(id, result, now);
                }
            }
            Happening::Finished { life, id, key, outcome, fails } => {
                let result =
                    if fails { Err(StoreError::new("out of luck")) } else { Ok(self.finish(&key, outcome)) };
                if life == self.life
                    && let Some(core) = &mut self.core
                {
                    core.outcome_saved(id, result, now);
                }
            }
            Happening::StoreGoesAway => {
                self.counts.outages += 1;
                self.store_away = self.now + self.dice.up_to(60 * SECOND);
            }
            Happening::ShutDown => {
                if let Some(core) = &mut self.core {
                    self.counts.shutdowns += 1;
                    self.shutting_down = true;
                    core.shut_down();
                    // As long as requests in flight are waited for.
                    let grace = self.up_to(10 * SECOND);
                    self.later(grace, Happening::Crash);
                }
            }
            Happening::Crash => self.crash(),
            Happening::Restart => {
                self.came_up.push(now);
                let rng = Rng::seeded(self.dice.next_u64());
                let mut core = Core::new(self.limits.clone(), rng);
                let mut open: Vec<StoredPoll> = Vec::new();
                for poll in self.store.values_mut().filter(|poll| poll.outcome.is_none()) {
                    poll.restarts += 1;
                    open.push(poll.clone());
                }
                // A hash map's order is not part of the seed.
                open.sort_by(|a, b| a.key.cmp(&b.key));
                assert!(core.adopt(open.clone(), now).is_empty(), "nothing has ended yet");
                for poll in open {
                    let id = core.find(&poll.key).expect("what is restored is open");
                    self.ids.insert(id, index(&poll.key));
                }
                self.core = Some(core);
            }
        }
    }

    /// The process is gone.
    fn crash(&mut self) {
        if self.core.take().is_none() {
            return;
        }
        self.counts.crashes += 1;
        self.life += 1;
        self.shutting_down = false;
        self.ids.clear();
        self.tickets.clear();
        for known in &mut self.known {
            known.in_flight = None;
            known.next = None;
            known.started = None;
            known.ending = false;
            known.reply = None;
            known.held_until = Timestamp::default();
        }
        // A write under way when the process died may or may not have reached the disk.
        let writes: Vec<_> = self
            .agenda
            .iter()
            .filter(|(_, what)| matches!(what, Happening::Created { .. } | Happening::Finished { .. }))
            .map(|(at, _)| *at)
            .collect();
        for at in writes {
            let lost = pick(&mut self.dice, 2) == 0;
            match self.agenda.remove(&at) {
                Some(Happening::Created { poll, fails: false, .. }) if !lost => {
                    self.create(poll);
                }
                Some(Happening::Finished { key, outcome, fails: false, .. }) if !lost => {
                    self.finish(&key, outcome);
                }
                _ => {}
            }
        }
        let away = self.up_to(60 * SECOND);
        self.later(away, Happening::Restart);
    }

    fn create(&mut self, poll: StoredPoll) -> Creation {
        match self.store.get(&poll.key) {
            Some(present) => Creation::Exists(Box::new(present.clone())),
            None => {
                self.store.insert(poll.key.clone(), poll);
                Creation::Created
            }
        }
    }

    fn finish(&mut self, key: &PollKey, outcome: Arc<Outcome>) -> Arc<Outcome> {
        let poll = self.store.get_mut(key).expect("only what was created is finished");
        Arc::clone(poll.outcome.get_or_insert(outcome))
    }

    fn carry_out(&mut self) {
        let mut effects = Vec::new();
        if let Some(core) = &mut self.core {
            core.take_effects(&mut effects);
        }
        for effect in effects {
            if self.storms && pick(&mut self.dice, 400) == 0 {
                self.counts.torn += 1;
                self.crash();
            }
            if self.core.is_none() {
                return;
            }
            match effect {
                Effect::Create { id, poll } => {
                    self.ids.insert(id, index(&poll.key));
                    let (delay, fails) = self.store_answers(6);
                    self.later(delay, Happening::Created { life: self.life, id, poll, fails });
                }
                Effect::SaveOutcome { id, key, outcome } => {
                    let poll = self.ids[&id];
                    self.known[poll].ending = true;
                    let (delay, fails) = self.store_answers(3);
                    self.later(delay, Happening::Finished { life: self.life, id, key, outcome, fails });
                }
                Effect::StartRequest(request) => self.send(&request),
                Effect::Abort { id } => {
                    let poll = self.ids[&id];
                    assert!(self.known[poll].in_flight.take().is_some(), "only what is in flight is aborted");
                }
                Effect::Attempted { id, number, record } => {
                    self.tell(self.ids[&id], Event::Attempted(record.into_attempt(number)));
                }
                Effect::Tell { id, event } => self.tell(self.ids[&id], event),
                Effect::Held { queue, .. } => {
                    for (id, poll) in self.ids.clone() {
                        if let Some(event) = self.core.as_ref().and_then(|core| core.held_in(queue, id)) {
                            self.tell(poll, event);
                        }
                    }
                }
                Effect::Answer { ticket, answer } => {
                    let poll = self.tickets.remove(&ticket).expect("each ticket is answered once");
                    match answer {
                        Ok(Submitted::Open { .. }) => {
                            assert!(self.store.contains_key(&key(poll)), "acknowledged before it was stored");
                            self.known[poll].acknowledged = true;
                        }
                        Ok(Submitted::Finished { outcome, .. }) => self.told(poll, outcome),
                        Err(_) => {}
                    }
                }
            }
        }
        self.check_caps();
    }

    /// When the store answers, and whether it fails.
    fn store_answers(&mut self, fails_one_in: usize) -> (u64, bool) {
        let slow = self.storms && pick(&mut self.dice, 20) == 0;
        let delay = self.up_to(if slow { 60 * SECOND } else { SECOND });
        let away = self.now + delay < self.store_away;
        (delay, self.storms && (away || pick(&mut self.dice, fails_one_in) == 0))
    }

    fn send(&mut self, request: &StartRequest) {
        let StartRequest { id, ref spec, cut, ref last, .. } = *request;
        let poll = self.ids[&id];
        let now = self.time();
        self.check_request(poll, request);
        self.requests += 1;
        self.known[poll].in_flight = Some(self.requests);
        self.counts.sent += 1;
        let (reply, joined) = match self.under_way(poll) {
            Some(reply) if pick(&mut self.dice, 2) == 0 => (reply, true),
            _ => (random_reply(&mut self.dice, now), false),
        };
        self.counts.joined += u32::from(joined);
        self.counts.hung += u32::from(reply.at >= cut);
        let ends = reply.at.min(cut);
        let judgement = match reply.brings.clone() {
            // The last byte may come at the very moment of the cut.
            _ if reply.at >= cut && pick(&mut self.dice, 4) > 0 => judge::timed_out(cut.since(now)),
            Ok(response) => {
                judge::judge(spec, response, &Secrets::default(), last.as_ref(), ends.to_system_time())
            }
            Err(error) => Judgement::Error(error),
        };
        self.known[poll].reply = Some(reply);
        let lag = if pick(&mut self.dice, 2) == 0 { 0 } else { self.up_to(crate::clock::micros(LAG)) };
        let delay = ends.as_micros() - self.now + lag;
        let (life, request) = (self.life, self.requests);
        let judgement = Box::new(judgement);
        self.later(delay, Happening::Replied { life, id, request, judgement, ended: ends });
    }

    /// The reply to a request in flight that this poll may share: one that asks the same and is not answered.
    fn under_way(&self, poll: usize) -> Option<Reply> {
        let same = |other: &usize| {
            let (mine, theirs) = (&self.specs[poll], &self.specs[*other]);
            *other != poll && mine.url_text() == theirs.url_text() && mine.request() == theirs.request()
        };
        let asked = (0..self.specs.len()).filter(same);
        let mut replies = asked.filter_map(|other| {
            let known = &self.known[other];
            known.reply.clone().filter(|reply| known.in_flight.is_some() && reply.at > self.time())
        });
        replies.next()
    }

    fn tell(&mut self, poll: usize, event: Event) {
        match event {
            Event::Requesting { .. } => {}
            Event::Attempted(attempt) => {
                assert!(attempt.judgement != JudgementKind::Matched || attempt.next.is_none());
                self.known[poll].next = Some(attempt.next);
            }
            Event::HeldBack { until, .. } => self.known[poll].held_until = until,
            Event::Outcome(outcome) => self.told(poll, outcome),
            Event::RetryScheduled { .. } | Event::Lagged { .. } => panic!("the engine does not tell these"),
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn every_poll_keeps_its_promises_whatever_happens() {
    let seeds = match number("POLLER_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("POLLER_SEEDS").unwrap_or(1000),
    };
    let (mut total, mut ended) = (Counts::default(), HashMap::<&str, u32>::new());
    for seed in seeds.clone() {
        let result = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            world.run();
            let names =
                world.store.values().filter_map(|poll| poll.outcome.as_ref()).map(|outcome| outcome.name());
            (world.counts, names.collect::<Vec<_>>())
        });
        match result {
            Ok((counts, names)) => {
                total.add(counts);
                names.into_iter().for_each(|name| *ended.entry(name).or_default() += 1);
            }
            Err(panic) => {
                eprintln!("replay with POLLER_SEED={seed} cargo test -p poller simulation");
                std::panic::resume_unwind(panic);
            }
        }
    }
    // A simulation in which nothing happens would prove nothing.
    if seeds.end - seeds.start >= 1000 {
        let Counts { sent, joined, hung, crashes, torn, shutdowns, outages } = total;
        assert!(sent > 10_000, "{total:?}");
        let least = [joined, hung, crashes, torn, shutdowns, outages].into_iter().min();
        assert!(least > Some(100), "{total:?}");
        for name in ["matched", "failed", "timed out", "cancelled"] {
            assert!(ended.get(name).is_some_and(|count| *count > 100), "{ended:?}");
        }
    }
}
