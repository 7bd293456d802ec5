//! The core in a simulated world: a fake clock, a faulty network, a store that fails, and crashes, all from one seed.
//!
//! The world carries out the core's effects as the driver would, at times and with results drawn from the seed: requests
//! that fail, hang, return hints or are shared; a store that fails, is slow or is unavailable for a while. It shuts down,
//! and it crashes between any two effects: the core is dropped, each write under way happens or not, and later a new core
//! continues from the store. The promises of the engine ([`promises`]) are checked at every step and at the end.
//!
//! There is one true time, in which everything happens, and each process has a clock of its own. A process keeps the
//! difference that its clock had at its start, so a new one may go back by a minute; a clock may stand still while the
//! machine sleeps. Other processes store polls with the time of their own clocks ([`others`]).
//!
//! `POLLER_SEEDS=10000 cargo test -p poller simulation` runs more seeds; `POLLER_SEED=42` replays one.

mod effects;
mod incident;
mod observed;
mod others;
mod promises;
mod script;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use retry::Rng;

use self::incident::Incident;
use self::observed::{Counts, Observed};
use self::script::{pick, random_spec};
use super::core::Core;
use super::driver::Clocks;
use super::entry::{PollId, Ticket};
use crate::clock::Timestamp;
use crate::job::PollSpec;
use crate::key::PollKey;
use crate::limits::Limits;
use crate::outcome::Outcome;
use crate::store::{Creation, StoreError, StoredPoll};

const SECOND: u64 = 1_000_000;

/// The longest delay until the core learns of an event: the driver is one task among others.
const LAG: Duration = Duration::from_millis(100);

struct World {
    dice: Rng,
    /// The true time.
    now: u64,
    /// How far the clock of the process is ahead of the true time.
    ahead: i64,
    /// The time of the start of the process, if it is not the first one. All times of a process are by its own clock.
    began: Option<Timestamp>,
    /// The times from and to which the process was stopped.
    stops: Vec<(Timestamp, Timestamp)>,
    life: u32,
    clocks: Clocks,
    /// When the last look whose result the core has, and the one under way, began.
    looked: Option<Timestamp>,
    looking: Option<Timestamp>,
    /// The polls that other processes have not submitted yet.
    beside: usize,
    core: Option<Core>,
    limits: Limits,
    agenda: BTreeMap<(u64, u64), Incident>,
    sequence: u64,
    specs: Vec<PollSpec>,
    observed: Vec<Observed>,
    ids: HashMap<PollId, usize>,
    tickets: HashMap<Ticket, usize>,
    next_ticket: usize,
    store: HashMap<PollKey, StoredPoll>,
    requests: u64,
    counts: Counts,
    shutting_down: bool,
    /// The time until which every call to the store fails.
    store_down_until: u64,
    /// When the store was last asked to save something that is no new poll, and when it last saved anything, in this life.
    asked_to_save: Timestamp,
    has_saved: Option<Timestamp>,
    /// Whether faults still occur: they stop towards the end, so that the run ends.
    faults: bool,
}

fn key(poll: usize) -> PollKey {
    PollKey::new(["", "run-17"][poll % 2], format!("poll-{poll}"))
}

fn index(key: &PollKey) -> usize {
    key.key().strip_prefix("poll-").and_then(|number| number.parse().ok()).expect("every key has a number")
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Rng::seeded(seed);
        let mut limits = Limits::unbounded();
        limits.in_flight = 1 + pick(&mut dice, 6);
        limits.per_origin = 1 + pick(&mut dice, 3);
        limits.per_site = (pick(&mut dice, 2) == 0).then(|| 1 + pick(&mut dice, 4));
        limits.per_scope = (pick(&mut dice, 2) == 0).then(|| 1 + pick(&mut dice, 4));
        limits.history = pick(&mut dice, 5);
        limits.spread = pick(&mut dice, 2) == 0;
        let polls = 1 + pick(&mut dice, 12);
        let specs = (0..polls).map(|_| random_spec(&mut dice)).collect();
        let mut world = Self {
            now: 1000 * SECOND,
            ahead: others::random_ahead(&mut dice),
            began: None,
            stops: Vec::new(),
            life: 0,
            clocks: Clocks::default(),
            looked: None,
            looking: None,
            beside: 0,
            core: None,
            limits,
            agenda: BTreeMap::new(),
            sequence: 0,
            specs,
            observed: (0..polls).map(|_| Observed::default()).collect(),
            ids: HashMap::new(),
            tickets: HashMap::new(),
            next_ticket: 0,
            store: HashMap::new(),
            requests: 0,
            counts: Counts::default(),
            shutting_down: false,
            store_down_until: 0,
            asked_to_save: Timestamp::default(),
            has_saved: None,
            faults: true,
            dice,
        };
        // The file is empty at first, so the first read ends at once.
        world.core = Some(world.new_core(Rng::seeded(seed), seed.is_multiple_of(2)));
        for poll in 0..polls {
            let at = world.up_to(30 * SECOND);
            if pick(&mut world.dice, 3) == 0 {
                world.beside += 1;
                let at = at + world.up_to(120 * SECOND);
                world.later(at, Incident::SubmitBeside(poll));
            } else {
                world.later(at, Incident::Submit(poll));
            }
            // A second submission joins, or returns the stored outcome.
            for _ in 0..pick(&mut world.dice, 3) {
                world.within(200 * SECOND, Incident::Submit(poll));
            }
            if pick(&mut world.dice, 4) == 0 {
                world.within(120 * SECOND, Incident::Cancel(poll));
            }
            if pick(&mut world.dice, 3) == 0 {
                for _ in 0..1 + pick(&mut world.dice, 4) {
                    world.within(200 * SECOND, Incident::Callback(poll));
                }
            }
        }
        for _ in 0..pick(&mut world.dice, 4) {
            let at = world.up_to(150 * SECOND);
            let how = if pick(&mut world.dice, 4) == 0 { Incident::ShutDown } else { Incident::Crash };
            world.later(at, how);
        }
        for _ in 0..pick(&mut world.dice, 3) {
            world.within(150 * SECOND, Incident::StoreOutage);
        }
        if pick(&mut world.dice, 4) == 0 {
            world.within(150 * SECOND, Incident::Stop);
        }
        world.look_later();
        world
    }

    /// The core of a process that begins, and has just read the store.
    fn new_core(&mut self, rng: Rng, folds_specs: bool) -> Core {
        self.clocks = Clocks::default();
        self.begin_look();
        self.end_look(true);
        let mut core = Core::new(self.limits.clone(), rng);
        if folds_specs {
            core.fold_specs();
        }
        core
    }

    fn up_to(&mut self, micros: u64) -> u64 {
        self.dice.up_to(micros)
    }

    fn later(&mut self, delay: u64, what: Incident) {
        self.sequence += 1;
        self.agenda.insert((self.now + delay, self.sequence), what);
    }

    /// Has something happen at some time within so many microseconds.
    fn within(&mut self, micros: u64, what: Incident) {
        let delay = self.up_to(micros);
        self.later(delay, what);
    }

    /// The time by the clock of the process.
    fn time(&self) -> Timestamp {
        Timestamp::from_micros(self.now.saturating_add_signed(self.ahead))
    }

    /// The true time at which the clock of the process shows this.
    fn true_time(&self, shown: Timestamp) -> u64 {
        shown.as_micros().saturating_add_signed(-self.ahead)
    }

    /// Runs until no event is left.
    fn run(&mut self) {
        loop {
            let wake = self.core.as_ref().and_then(Core::next_wake).map(|wake| self.true_time(wake));
            let happening = self.agenda.first_key_value().map(|((at, _), _)| *at);
            let Some(next) = [wake, happening].into_iter().flatten().min() else { break };
            if next > self.now {
                self.check_promptness();
                self.check_saving();
            }
            self.now = self.now.max(next);
            self.faults = self.now < 1300 * SECOND;
            assert!(self.now < 200_000 * SECOND, "the run does not end");
            if happening == Some(next) {
                if let Some((_, what)) = self.agenda.pop_first() {
                    self.handle(what);
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

    fn handle(&mut self, what: Incident) {
        let now = self.time();
        match what {
            Incident::Submit(poll) => {
                let spec = self.specs[poll].clone();
                let ticket = Ticket(self.next_ticket);
                self.next_ticket += 1;
                if let Some(core) = &mut self.core {
                    self.tickets.insert(ticket, poll);
                    core.submit(ticket, key(poll), spec, now);
                }
            }
            Incident::Cancel(poll) => {
                if let Some(core) = &mut self.core
                    && let Some(id) = core.find(&key(poll))
                {
                    core.cancel(id, now);
                }
            }
            Incident::Callback(poll) => {
                if let Some(core) = &mut self.core
                    && let Some(id) = core.find(&key(poll))
                {
                    // Before it is stored, the first request is due at once, or soon.
                    if self.observed[poll].begun.is_some() {
                        self.observed[poll].called = Some(now);
                    }
                    core.hasten(id, now);
                }
            }
            Incident::Replied { id, request, judgement, ended } => {
                let Some(poll) = self.ids.get(&id).copied() else { return };
                if self.observed[poll].in_flight != Some(request) {
                    return;
                }
                self.observed[poll].in_flight = None;
                // A stopped client reads its response when it continues. If its clock stood still, that is earlier.
                let stopped = self.stops.iter().find(|(from, to)| *from <= ended && ended < *to);
                let ended = stopped.map_or(ended, |(_, to)| *to).min(now);
                if let Some(core) = &mut self.core {
                    core.attempted(id, *judgement, ended, now);
                }
            }
            Incident::Created { id, poll, fails } => {
                let mut result = unless(fails, || self.create(poll));
                self.saved(result.is_ok());
                if let Ok(Creation::Exists(present)) = &mut result {
                    self.believe(present);
                }
                let Some(core) = &mut self.core else { return };
                let poll = self.ids[&id];
                let observed = &mut self.observed[poll];
                match &result {
                    Ok(Creation::Created) => observed.create(now, &self.store[&key(poll)]),
                    Ok(Creation::Exists(present)) if present.outcome.is_none() => {
                        observed.adopt(present, now);
                    }
                    _ => {}
                }
                let failed = result.is_err();
                core.created(id, result, false, now);
                if failed && core.is_open(id) {
                    let found = observed.found.take().expect("another process has stored it");
                    observed.adopt(&found, now);
                }
                self.look_later();
            }
            Incident::Linked { id, key, url, fails } => {
                let result = unless(fails, || self.link(&key, url)).flatten();
                self.saved(result.is_ok());
                if let Some(core) = &mut self.core {
                    core.link_saved(id, result, now);
                }
            }
            Incident::Finished { id, key, outcome, fails } => {
                let result = unless(fails, || self.finish(&key, outcome));
                self.saved(result.is_ok());
                if result.is_err()
                    && let Some(poll) = self.ids.get(&id)
                {
                    self.observed[*poll].unsaved = Some(now);
                }
                if let Some(core) = &mut self.core {
                    core.outcome_saved(id, result, now);
                }
            }
            Incident::StoreOutage => {
                self.counts.outages += 1;
                self.store_down_until = self.now + self.dice.up_to(60 * SECOND);
            }
            Incident::ShutDown => {
                if let Some(core) = &mut self.core {
                    self.counts.shutdowns += 1;
                    self.shutting_down = true;
                    core.shut_down();
                    // The process stops at the end of the grace period.
                    self.within(10 * SECOND, Incident::Crash);
                }
            }
            Incident::Stop => {
                let from = self.time();
                let duration = self.dice.up_to(60 * SECOND);
                self.now += duration;
                if pick(&mut self.dice, 2) == 0 {
                    self.counts.stood_still += 1;
                    self.ahead -= i64::try_from(duration).expect("a minute");
                }
                self.stops.push((from, self.time()));
            }
            Incident::SubmitBeside(poll) => self.submit_beside(poll),
            Incident::CommittedBeside(poll) => self.committed_beside(poll),
            Incident::Look => self.look(),
            Incident::Looked { polls, fails } => self.looked(polls, fails),
            Incident::Crash => self.crash(),
            Incident::Restart => {
                // In half of all restarts the clock was not set.
                if pick(&mut self.dice, 2) == 0 {
                    let ahead = others::random_ahead(&mut self.dice);
                    self.counts.set_back += u32::from(ahead < self.ahead);
                    self.ahead = ahead;
                }
                let now = self.time();
                self.began = Some(now);
                let rng = Rng::seeded(self.dice.next_u64());
                let mut core = self.new_core(rng, self.life.is_multiple_of(2));
                let mut open: Vec<StoredPoll> = Vec::new();
                for poll in self.store.values_mut().filter(|poll| poll.outcome.is_none()) {
                    poll.restarts += 1;
                    open.push(poll.clone());
                }
                // The order of a hash map does not depend on the seed.
                open.sort_by(|a, b| a.key.cmp(&b.key));
                assert!(core.adopt(open.clone(), now).is_empty(), "nothing has ended");
                for poll in open {
                    let id = core.find(&poll.key).expect("a restored poll is open");
                    let number = index(&poll.key);
                    self.ids.insert(id, number);
                    self.observed[number].adopt(&poll, now);
                }
                self.core = Some(core);
                self.look_later();
            }
        }
    }

    /// Ends the process without a shutdown.
    fn crash(&mut self) {
        if self.core.take().is_none() {
            return;
        }
        self.counts.crashes += 1;
        self.life += 1;
        self.shutting_down = false;
        self.has_saved = None;
        self.ids.clear();
        self.tickets.clear();
        self.stops.clear();
        self.observed.iter_mut().for_each(Observed::end_life);
        let ended = self.agenda.extract_if(.., |_, what| what.ends_with_the_process());
        for (_, what) in ended.collect::<Vec<_>>() {
            // A write under way may or may not have reached the disk.
            match what {
                Incident::Created { poll, fails, .. } if self.reaches_the_disk(fails) => {
                    self.create(poll);
                }
                Incident::Linked { key, url, fails, .. } if self.reaches_the_disk(fails) => {
                    let _ = self.link(&key, url);
                }
                Incident::Finished { key, outcome, fails, .. } if self.reaches_the_disk(fails) => {
                    self.finish(&key, outcome);
                }
                _ => {}
            }
        }
        self.within(60 * SECOND, Incident::Restart);
    }

    fn saved(&mut self, saved: bool) {
        let now = self.time();
        self.has_saved = Some(now).filter(|_| saved).or(self.has_saved);
    }

    fn reaches_the_disk(&mut self, fails: bool) -> bool {
        pick(&mut self.dice, 2) != 0 && !fails
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

    fn link(&mut self, key: &PollKey, url: Arc<str>) -> Result<(), StoreError> {
        let poll = self.store.get_mut(key).expect("only a created poll follows a link");
        if poll.outcome.is_some() {
            return Err(StoreError::not_found(key));
        }
        poll.followed = Some(url);
        Ok(())
    }

    fn finish(&mut self, key: &PollKey, outcome: Arc<Outcome>) -> Arc<Outcome> {
        let poll = self.store.get_mut(key).expect("only a created poll gets an outcome");
        Arc::clone(poll.outcome.get_or_insert(outcome))
    }
}

/// The result of a call to the store that may fail.
fn unless<T>(fails: bool, call: impl FnOnce() -> T) -> Result<T, StoreError> {
    if fails { Err(StoreError::new("a simulated fault")) } else { Ok(call()) }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn the_engine_keeps_its_promises_under_random_faults() {
    let seeds = match number("POLLER_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("POLLER_SEEDS").unwrap_or(1000),
    };
    let (mut total, mut ended) = (Counts::default(), HashMap::<&str, u32>::new());
    for seed in seeds.clone() {
        let result = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            world.counts = total;
            world.run();
            let names =
                world.store.values().filter_map(|poll| poll.outcome.as_ref()).map(|outcome| outcome.name());
            (world.counts, names.collect::<Vec<_>>())
        });
        match result {
            Ok((counts, names)) => {
                total = counts;
                names.into_iter().for_each(|name| *ended.entry(name).or_default() += 1);
            }
            Err(panic) => {
                eprintln!("replay with POLLER_SEED={seed} cargo test -p poller simulation");
                std::panic::resume_unwind(panic);
            }
        }
    }
    // The seeds must cover every fault and every outcome.
    if seeds.end - seeds.start >= 1000 {
        let Counts { sent, joined, hung, crashes, torn, shutdowns, outages, looks, links, .. } = total;
        let Counts { set_back, stood_still, stale, ahead, hastened, .. } = total;
        assert!(sent > 10_000, "{total:?}");
        let faults = [joined, hung, crashes, torn, shutdowns, outages, looks, links];
        let least = faults.into_iter().chain([set_back, stood_still, stale, ahead, hastened]).min();
        assert!(least > Some(100), "{total:?}");
        for name in ["matched", "failed", "timed out", "cancelled"] {
            assert!(ended.get(name).is_some_and(|count| *count > 100), "{ended:?}");
        }
    }
}
