//! The core in a simulated world: a fake clock, a fetch that misbehaves, a store that fails and crashes, all seeded.
//!
//! The world carries out the core's effects as the driver would, at times and with results drawn from the seed, and
//! crashes between any two steps: the core is gone, writes under way happen or not, and some time later a new core goes
//! on with what the store has. After every step the invariants are checked; at the end, that every acknowledged poll
//! has exactly one outcome.
//!
//! `POLLER_SEEDS=10000 cargo test -p poller simulation` runs more seeds; `POLLER_SEED=42` replays one.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use retry::Rng;
use serde_json::json;

use super::core::{Admission, Core, Effect, PollId, Send, Ticket};
use crate::clock::Timestamp;
use crate::event::Event;
use crate::fetch::{FetchError, FetchErrorKind};
use crate::judge::{self, Finding, Miss};
use crate::limits::Limits;
use crate::outcome::{Next, NextReason, Outcome, Verdict};
use crate::response::RecordedResponse;
use crate::spec::{PollSpec, SpecOptions};
use crate::store::{Creation, PollKey, StoreError, StoredPoll};

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
        finding: Box<Finding>,
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
    Crash,
    Restart,
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
    ever_sent: bool,
    /// No request before this, as told in this life.
    held_until: Timestamp,
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
    next_ticket: u64,
    store: HashMap<PollKey, StoredPoll>,
    requests: u64,
    sent: u64,
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
            sent: 0,
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
            world.later(at, Happening::Crash);
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
            Happening::Replied { life, id, request, finding, ended } => {
                let Some(poll) = self.ids.get(&id).copied() else { return };
                if life != self.life || self.known[poll].in_flight != Some(request) {
                    return;
                }
                self.known[poll].in_flight = None;
                if let Some(core) = &mut self.core {
                    core.attempted(id, *finding, ended, now);
                }
            }
            Happening::Created { life, id, poll, fails } => {
                let result = if fails { Err(StoreError::new("out of luck")) } else { Ok(self.create(poll)) };
                if life == self.life
                    && let Some(core) = &mut self.core
                {
                    core.created(id, result, now);
                }
            }
            Happening::Finished { life, id, key, outcome, fails } => {
                let result =
                    if fails { Err(StoreError::new("out of luck")) } else { Ok(self.finish(&key, outcome)) };
                if life == self.life
                    && let Some(core) = &mut self.core
                {
                    core.finished(id, result, now);
                }
            }
            Happening::Crash => {
                if self.core.take().is_none() {
                    return;
                }
                self.life += 1;
                self.ids.clear();
                self.tickets.clear();
                for known in &mut self.known {
                    known.in_flight = None;
                    known.next = None;
                    known.held_until = Timestamp::default();
                }
                // A write under way when the process died may or may not have reached the disk.
                let writes: Vec<_> = self
                    .agenda
                    .iter()
                    .filter(|(_, what)| {
                        matches!(what, Happening::Created { .. } | Happening::Finished { .. })
                    })
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
            match effect {
                Effect::Create { id, poll } => {
                    self.ids.insert(id, index(&poll.key));
                    let (delay, fails) = (self.up_to(SECOND), self.storm(6));
                    self.later(delay, Happening::Created { life: self.life, id, poll, fails });
                }
                Effect::Finish { id, key, outcome } => {
                    let (delay, fails) = (self.up_to(SECOND), self.storm(3));
                    self.later(delay, Happening::Finished { life: self.life, id, key, outcome, fails });
                }
                Effect::Send(request) => self.send(&request),
                Effect::Abort { id } => {
                    let poll = self.ids[&id];
                    assert!(self.known[poll].in_flight.take().is_some(), "only what is in flight is aborted");
                }
                Effect::Attempted { id, number, record } => {
                    self.tell(self.ids[&id], Event::Attempted(record.into_attempt(number)));
                }
                Effect::Tell { id, event } => self.tell(self.ids[&id], event),
                Effect::Held { lane, .. } => {
                    for (id, poll) in self.ids.clone() {
                        if let Some(event) = self.core.as_ref().and_then(|core| core.held_in(lane, id)) {
                            self.tell(poll, event);
                        }
                    }
                }
                Effect::Answer { ticket, answer } => {
                    let poll = self.tickets.remove(&ticket).expect("each ticket is answered once");
                    match answer {
                        Ok(Admission::Open { .. }) => {
                            assert!(self.store.contains_key(&key(poll)), "acknowledged before it was stored");
                            self.known[poll].acknowledged = true;
                        }
                        Ok(Admission::Finished { outcome, .. }) => self.told(poll, outcome),
                        Err(_) => {}
                    }
                }
            }
        }
        let in_flight: Vec<usize> =
            (0..self.specs.len()).filter(|poll| self.known[*poll].in_flight.is_some()).collect();
        assert!(in_flight.len() <= self.limits.in_flight, "the cap on all requests is kept");
        for poll in &in_flight {
            let origin = self.specs[*poll].origin();
            let beside = in_flight.iter().filter(|other| self.specs[**other].origin() == origin).count();
            assert!(beside <= self.limits.per_origin, "the cap of the origin is kept");
        }
    }

    fn storm(&mut self, one_in: usize) -> bool {
        self.storms && pick(&mut self.dice, one_in) == 0
    }

    fn send(&mut self, request: &Send) {
        let Send { id, ref spec, cut, ref last, .. } = *request;
        let poll = self.ids[&id];
        let now = self.time();
        let stored = &self.store[&key(poll)];
        let deadline = stored.created_at + spec.timeout();
        let known = &mut self.known[poll];
        assert!(known.in_flight.is_none(), "two requests of one poll at once");
        assert!(known.told.is_none() && stored.outcome.is_none(), "a request after the outcome");
        assert!(now < deadline && cut <= deadline, "a request at or after the deadline");
        assert!(now >= known.held_until, "a request while a hint holds the poll back");
        match known.next {
            // The first of this life of the process: at the start, or when it came up.
            None => assert!(now >= stored.created_at),
            Some(None) => panic!("a request that was not announced"),
            Some(Some(next)) => {
                assert!(now >= next.at, "a request before its time");
                let off_grid = next.at.since(stored.created_at).as_micros() % spec.interval().as_micros();
                assert!(next.why != NextReason::Grid || off_grid == 0, "off the grid by {off_grid} µs");
            }
        }
        self.requests += 1;
        known.in_flight = Some(self.requests);
        known.ever_sent = true;
        self.sent += 1;
        let (delay, finding) = self.reply(spec, last.as_ref());
        let ends = (now + Duration::from_micros(delay)).min(cut);
        let finding = if now + Duration::from_micros(delay) >= cut {
            judge::timed_out(cut.since(now))
        } else {
            finding
        };
        let lag = if pick(&mut self.dice, 2) == 0 { 0 } else { self.up_to(crate::clock::micros(LAG)) };
        let delay = ends.as_micros() - self.now + lag;
        let (life, request) = (self.life, self.requests);
        let finding = Box::new(finding);
        self.later(delay, Happening::Replied { life, id, request, finding, ended: ends });
    }

    fn reply(&mut self, spec: &PollSpec, last: Option<&Arc<Miss>>) -> (u64, Finding) {
        let delay = match pick(&mut self.dice, 4) {
            0 => 0,
            1 => self.up_to(SECOND),
            2 => self.up_to(40 * SECOND),
            _ => self.up_to(5 * SECOND),
        };
        let wait = self.up_to(30).to_string();
        let reset = format!("{wait}s");
        let (status, headers, body): (u16, Vec<(&str, &str)>, &str) = match pick(&mut self.dice, 40) {
            0 => (200, vec![], r#"{"status":"SUCCESS"}"#),
            1 => (200, vec![], r#"{"status":"FAILED"}"#),
            2..=4 => (429, vec![("retry-after", &wait)], ""),
            5 => (503, vec![("retry-after", "100000")], ""),
            6..=7 => (503, vec![("x-reset", &reset)], ""),
            8..=9 => (500, vec![], "not json"),
            10..=13 => (401, vec![], "{}"),
            14..=16 => {
                return (
                    delay,
                    Finding::Error(FetchError::new(FetchErrorKind::Connect, "connection refused")),
                );
            }
            17 => {
                return (delay, Finding::Error(FetchError::new(FetchErrorKind::NoSuchHost, "no such host")));
            }
            _ => (200, vec![], r#"{"status":"PENDING"}"#),
        };
        let at = (self.time() + Duration::from_micros(delay)).to_system_time();
        (delay, judge::judge(spec, RecordedResponse::new(status, headers, body), last, at))
    }

    fn tell(&mut self, poll: usize, event: Event) {
        match event {
            Event::Requesting { .. } => {}
            Event::Attempted(attempt) => {
                assert!(attempt.verdict != Verdict::Matched || attempt.next.is_none());
                self.known[poll].next = Some(attempt.next);
            }
            Event::HeldBack { until, .. } => self.known[poll].held_until = until,
            Event::Finished(outcome) => self.told(poll, outcome),
            Event::RetryScheduled { .. } | Event::Lagged { .. } => panic!("the engine does not tell these"),
        }
    }

    fn told(&mut self, poll: usize, outcome: Arc<Outcome>) {
        let stored = self.store[&key(poll)].outcome.as_ref();
        assert_eq!(stored, Some(&outcome), "told before it was stored, or another than what was");
        let known = &mut self.known[poll];
        assert!(known.told.is_none() || known.told.as_ref() == Some(&outcome), "an outcome changed");
        assert!(known.in_flight.is_none(), "a request in flight after the outcome");
        let deadline = outcome.started_at + self.specs[poll].timeout();
        let ended = outcome.ended_at;
        // After its deadline a poll ends only where nobody ran it then, and at the first chance.
        assert!(
            ended <= deadline + LAG || self.came_up.contains(&ended),
            "ended at {ended}, after the deadline {deadline}, though somebody ran it"
        );
        assert!(outcome.history.len() <= self.limits.history);
        known.told = Some(outcome);
    }

    fn check_the_end(&self) {
        let open = self.core.as_ref().map(Core::open);
        assert_eq!(open, Some(0), "polls are open though nothing is left to happen");
        for (poll, known) in self.known.iter().enumerate() {
            if known.acknowledged {
                let stored = self.store.get(&key(poll)).expect("an acknowledged poll was lost");
                assert!(stored.outcome.is_some(), "poll {poll} has no outcome");
            }
        }
    }
}

fn pick(dice: &mut Rng, sides: usize) -> usize {
    let sides = u64::try_from(sides).unwrap_or(1).max(1);
    usize::try_from(dice.up_to(sides - 1)).unwrap_or(0)
}

fn random_spec(dice: &mut Rng) -> PollSpec {
    let origin = pick(dice, 3);
    let token = pick(dice, 2);
    let interval = 1.0 + dice.up_to(19_000) as f64 / 1000.0;
    let timeout = 5.0 + dice.up_to(120_000) as f64 / 1000.0;
    let mut spec = json!({
        "url": format!("https://host-{origin}.example.com/job"),
        "interval": interval,
        "timeout": timeout,
        "requestInit": {"headers": {"authorization": format!("token-{token}")}},
        "responseFilter": {"status": [200], "body": {"status": ["SUCCESS"]}},
        "failureFilter": {"body": {"status": ["FAILED"]}},
        "requestTimeout": {"durationInMs": 500 + dice.up_to(20_000)},
    });
    let backoff = |dice: &mut Rng| {
        let (limit, least) = (1 + dice.up_to(4), 100 + dice.up_to(3000));
        json!({"strategy": "backoff", "limit": limit, "minTimeoutInMs": least, "factor": 1.5})
    };
    if pick(dice, 2) == 0 {
        spec["retry"] = json!({"500-599": backoff(dice), "all": backoff(dice)});
    }
    if pick(dice, 3) == 0 {
        spec["retry"] = json!({"503": {"strategy": "headers", "resetHeader": "x-reset",
            "resetFormat": "iso_8601_duration_openai_variant"}});
    }
    if pick(dice, 3) == 0 {
        spec["requestTimeout"]["retry"] = json!({"limit": 3, "minTimeoutInMs": 200});
    }
    if pick(dice, 2) == 0 {
        spec["giveUp"] = json!(false);
    }
    SpecOptions::new()
        .limits(Limits::unbounded())
        .parse(&spec.to_string())
        .expect("the generator writes valid specs")
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
    let (mut sent, mut ended) = (0, HashMap::<&str, u32>::new());
    for seed in seeds.clone() {
        let result = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            world.run();
            let names =
                world.store.values().filter_map(|poll| poll.outcome.as_ref()).map(|outcome| outcome.name());
            (world.sent, names.collect::<Vec<_>>())
        });
        match result {
            Ok((requests, names)) => {
                sent += requests;
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
        assert!(sent > 10_000, "{sent} requests");
        for name in ["matched", "failed", "timed out", "cancelled"] {
            assert!(ended.get(name).is_some_and(|count| *count > 100), "{ended:?}");
        }
    }
}
