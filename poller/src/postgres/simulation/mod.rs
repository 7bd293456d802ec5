//! Several workers on one database, in a simulated world: from one seed.
//!
//! Each worker is a core of the engine with the real rules of shards, balance and trust; the database is a stand-in
//! ([`database`]). Transactions take time, in any order; some fail, and the commit of some is not confirmed. The
//! database stalls, and fails over to a standby that has all commits, or lacks those of the last two seconds, and may have
//! another clock. Processes die and start, machines are suspended, and clocks are off and are set, by up to an hour.
//!
//! What must hold:
//! - an incarnation has one outcome, ever, and what was told stays, unless a fail-over lost the commit;
//! - a request begins only at the worker that has the shard by the database, with a lease that has not ended;
//! - no poll times out early, and the fleet's time does not fall behind, whatever the database's clock says;
//! - every acknowledged poll ends, and none later than its deadline or the last fault + lease + 2 s, whichever is later.
//!
//! `POLLER_SEEDS=10000 cargo test -p poller --features postgres simulation` runs more; `POLLER_SEED=42` replays one.

mod database;
mod engine;
mod faults;
mod process;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use retry::Rng;

use self::database::{Database, Holder, Refusal};
use super::balance::Balance;
use super::clock::Offset;
use super::lease::trusted_until;
use super::shards::Shards;
use super::sightings::Sightings;
use crate::clock::Timestamp;
use crate::engine::core::Core;
use crate::engine::{PollId, Ticket};
use crate::job::{PollSpec, SpecOptions};
use crate::key::PollKey;
use crate::limits::Limits;
use crate::outcome::Outcome;
use crate::store::StoreError;

const MILLI: u64 = 1000;
const SECOND: u64 = 1_000_000;
const LEASE: u64 = 6 * SECOND;
/// The time limit of a transaction, as in `database.rs`.
const LIMIT: u64 = LEASE * 4 / 10;
/// How often a worker looks for changes.
const LOOK: u64 = 500 * MILLI;
/// When faults end.
const CALM: u64 = 40 * SECOND;
/// When the world began.
const BEGIN: u64 = 100_000 * SECOND;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Role {
    #[default]
    Client,
    Worker(Holder),
    Deposed {
        told: bool,
    },
}

/// A process.
#[derive(Default)]
struct Node {
    life: u32,
    id: usize,
    core: Option<Core>,
    shards: Shards,
    role: Role,
    balance: Balance,
    trusted_until: u64,
    /// How far its clock, which stands still while it sleeps, is ahead of true time, and what it adds to be on the database's.
    wall: i64,
    offset: Offset,
    steps: i64,
    latest: u64,
    /// How long its machine stood still, without its clock counting it, since it last measured the fleet's time.
    stood_still: u64,
    sightings: Sightings,
    /// Since when it has not been certain of the fleet's time, by its own clock.
    uncertain_since: Option<i64>,
    asleep_until: u64,
    renewal: u64,
    was_away: bool,
    polls: HashMap<PollId, usize>,
    tickets: HashMap<Ticket, usize>,
    asking: HashMap<PollId, u64>,
}

type Step = Box<dyn FnOnce(&mut World)>;

/// A process in one of its lives.
type Life = (usize, u32);

/// The database's clock is set.
#[derive(Debug)]
struct Jump {
    at: u64,
    by: i64,
    /// Who knew the time before.
    known: Vec<Life>,
}

/// What a poll is outside of the workers.
#[derive(Default)]
struct Seen {
    /// When it was acknowledged, and when its outcome was told.
    acknowledged: Option<u64>,
    told: Option<(u64, Arc<Outcome>)>,
    /// From when on its job is done.
    done_at: u64,
}

/// Counts of events, by their names, which show that the simulation covers them.
type Counts = BTreeMap<&'static str, u32>;

/// The events that the seeds must cover. A "step" is one of the database's clock that a worker took out. Others are too rare to be
/// asked for: a "thaw", and a "restart" of a process whose clock is ahead of the fleet's.
const EVENTS: [&str; 13] = [
    "request",
    "unknown",
    "takeover",
    "deposed",
    "given back",
    "kill",
    "sleep",
    "stall",
    "fail-over",
    "lossy",
    "jump",
    "elsewhere",
    "step",
];

struct World {
    dice: Rng,
    now: u64,
    agenda: BTreeMap<(u64, u64), (Option<Life>, Step)>,
    sequence: u64,
    database: Database,
    nodes: Vec<Node>,
    next_id: usize,
    specs: Vec<PollSpec>,
    seen: Vec<Seen>,
    incarnations: i64,
    /// When each of them was submitted, as the process knew it whose machine had stood still since it last asked for the time.
    births: Vec<u64>,
    requests: u64,
    /// How far the clock of the database is ahead at first.
    ahead: i64,
    /// What a fail-over lost may contradict what processes know until then.
    unsettled_until: u64,
    /// Until then, the clock of the database may have been set without any worker having noticed.
    uneven_until: u64,
    jumps: Vec<Jump>,
    /// How long machines stood still whose clocks did not count it.
    frozen: u64,
    last_fault: u64,
    counts: Counts,
}

fn key(poll: usize) -> PollKey {
    PollKey::new("", format!("poll-{poll}"))
}

fn number_of(key: &PollKey) -> usize {
    key.key().strip_prefix("poll-").and_then(|number| number.parse().ok()).expect("every key has a number")
}

fn lost() -> StoreError {
    StoreError::new("a simulated fault")
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Rng::seeded(seed);
        let shards = [1, 4, 16][pick(&mut dice, 3)];
        let ahead = signed(&mut dice, 3600 * SECOND);
        let polls = 1 + pick(&mut dice, 8);
        let specs = (0..polls).map(|_| random_spec(&mut dice)).collect();
        let nodes = (0..2 + pick(&mut dice, 2))
            .map(|_| Node { wall: signed(&mut dice, 3600 * SECOND), ..Node::default() })
            .collect();
        let mut world = Self {
            now: BEGIN,
            agenda: BTreeMap::new(),
            sequence: 0,
            database: Database::new(shards, LEASE, ahead),
            nodes,
            next_id: 0,
            specs,
            seen: (0..polls).map(|_| Seen::default()).collect(),
            incarnations: 0,
            births: Vec::new(),
            requests: 0,
            ahead,
            unsettled_until: 0,
            uneven_until: 0,
            jumps: Vec::new(),
            frozen: 0,
            last_fault: BEGIN,
            counts: Counts::default(),
            dice,
        };
        for node in 0..world.nodes.len() {
            let at = world.up_to(3 * SECOND);
            world.later(at, None, move |world| world.start(node));
        }
        for poll in 0..polls {
            world.seen[poll].done_at = BEGIN + world.up_to(90 * SECOND);
            for _ in 0..1 + world.up_to(2) {
                let at = SECOND + world.up_to(30 * SECOND);
                let node = pick(&mut world.dice, world.nodes.len());
                world.later(at, None, move |world| world.submit(node, poll));
            }
        }
        for _ in 0..world.up_to(5) {
            let at = world.up_to(CALM);
            let node = pick(&mut world.dice, world.nodes.len());
            let fault: fn(&mut World, usize) =
                [World::kill, World::kill, World::suspend, World::jump, World::stall, World::fail_over]
                    [pick(&mut world.dice, 6)];
            if fault as usize == World::fail_over as fn(&mut World, usize) as usize {
                world.database.keeps_past = true;
            }
            world.later(at, None, move |world| fault(world, node));
        }
        world
    }

    fn count(&mut self, event: &'static str) {
        *self.counts.entry(event).or_default() += 1;
    }

    fn up_to(&mut self, micros: u64) -> u64 {
        self.dice.up_to(micros)
    }

    /// Does this after a delay; if it is the step of a process, only if it still lives, and not while it sleeps.
    fn later(&mut self, delay: u64, of: Option<Life>, step: impl FnOnce(&mut Self) + 'static) {
        self.sequence += 1;
        self.agenda.insert((self.now + delay, self.sequence), (of, Box::new(step)));
    }

    fn of(&self, node: usize) -> Option<Life> {
        Some((node, self.nodes[node].life))
    }

    fn faults(&self) -> bool {
        self.now < BEGIN + CALM
    }

    fn run(&mut self) {
        let end = BEGIN + 400 * SECOND;
        while self.now < end && !self.is_over() {
            let wake = (0..self.nodes.len()).filter_map(|node| Some((self.wake(node)?, node))).min();
            let next = self.agenda.first_key_value().map(|((at, _), _)| *at);
            match (wake, next) {
                (Some((at, node)), next) if next.is_none_or(|next| at <= next) => {
                    self.now = self.now.max(at);
                    self.drive(node);
                }
                (_, Some(at)) => {
                    self.now = self.now.max(at);
                    let Some((_, (of, step))) = self.agenda.pop_first() else { break };
                    if let Some((node, life)) = of {
                        if self.nodes[node].life != life {
                            continue;
                        }
                        let asleep_until = self.nodes[node].asleep_until;
                        if self.now < asleep_until {
                            self.sequence += 1;
                            self.agenda.insert((asleep_until, self.sequence), (of, step));
                            continue;
                        }
                    }
                    step(self);
                    if let Some((node, _)) = of {
                        self.drive(node);
                    }
                }
                _ => break,
            }
        }
        self.check_the_end();
    }

    /// The true time at which the core of a process wants to be called.
    fn wake(&self, node: usize) -> Option<u64> {
        let it = &self.nodes[node];
        let wake = it.core.as_ref()?.next_wake()?.as_micros();
        let at = wake.saturating_add_signed(-(it.wall + it.offset.value));
        Some(at.max(it.asleep_until).max(self.now))
    }

    /// The time by the clock of a process, which is the database's as it knows it, and never goes back.
    fn clock(&mut self, node: usize) -> Timestamp {
        let now = self.now;
        let it = &mut self.nodes[node];
        it.latest = it.latest.max(now.saturating_add_signed(it.wall + it.offset.value));
        Timestamp::from_micros(it.latest)
    }

    fn trusts(&self, node: usize) -> bool {
        self.now < self.nodes[node].trusted_until
    }

    fn holder(&self, node: usize) -> Option<Holder> {
        match self.nodes[node].role {
            Role::Worker(holder) => Some(holder),
            Role::Client | Role::Deposed { .. } => None,
        }
    }

    fn is_over(&self) -> bool {
        !self.faults()
            && self.database.tables.open.is_empty()
            && (0..self.seen.len()).all(|poll| {
                self.seen[poll].acknowledged.is_none() || self.database.tables.done.contains_key(&key(poll))
            })
    }

    /// A transaction of a process: what it does to the database, and then what the process does with the result.
    fn transact<T: 'static>(
        &mut self,
        node: usize,
        call: impl FnOnce(&mut Database, u64) -> Result<T, Refusal> + 'static,
        reply: impl FnOnce(&mut Self, Result<T, Refusal>) + 'static,
    ) {
        let of = self.of(node);
        let slow = self.faults() && pick(&mut self.dice, 25) == 0;
        let delay = self.up_to(if slow { LIMIT * 3 / 2 } else { 30 * MILLI });
        let unknown = self.faults() && pick(&mut self.dice, 25) == 0;
        let back = self.up_to(20 * MILLI);
        if delay + back >= LIMIT || unknown {
            // The process learns nothing; the database does it all the same, unless it is away.
            self.count("unknown");
            self.later(delay, None, move |world| {
                let now = world.now;
                if now >= world.database.away_until {
                    let _ = call(&mut world.database, now);
                    world.database.committed(now);
                }
            });
            // The next transaction on the same rows would wait for the end of this one.
            return self.later(delay + back, of, move |world| reply(world, Err(Refusal::Lost)));
        }
        self.later(delay, None, move |world| {
            let now = world.now;
            let result = if now < world.database.away_until {
                Err(Refusal::Lost)
            } else {
                let result = call(&mut world.database, now);
                world.database.committed(now);
                result
            };
            world.later(back, of, move |world| reply(world, result));
        });
    }
}

fn trust(sent: u64) -> u64 {
    let until = trusted_until(Duration::from_micros(sent), Duration::from_micros(LEASE));
    u64::try_from(until.as_micros()).expect("early")
}

fn pick(dice: &mut Rng, sides: usize) -> usize {
    usize::try_from(dice.up_to(u64::try_from(sides).expect("few") - 1)).expect("few")
}

fn signed(dice: &mut Rng, most: u64) -> i64 {
    i64::try_from(dice.up_to(2 * most)).expect("hours") - i64::try_from(most).expect("hours")
}

fn random_spec(dice: &mut Rng) -> PollSpec {
    let spec = serde_json::json!({
        "url": "https://example.com/job",
        "interval": 1.0 + dice.up_to(9000) as f64 / 1000.0,
        "timeout": 10.0 + dice.up_to(50_000) as f64 / 1000.0,
        "responseFilter": {"body": {"status": ["SUCCESS"]}},
    });
    let options = SpecOptions::new().limits(Limits::unbounded());
    options.parse(&spec.to_string()).expect("the generator writes valid specs")
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn a_fleet_keeps_its_promises_under_random_faults() {
    let seeds = match number("POLLER_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("POLLER_SEEDS").unwrap_or(300),
    };
    let mut total = Counts::default();
    for seed in seeds.clone() {
        let result = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            world.run();
            world.counts
        });
        match result {
            Ok(counts) => {
                for (event, count) in counts {
                    *total.entry(event).or_default() += count;
                }
            }
            Err(panic) => {
                eprintln!(
                    "replay with POLLER_SEED={seed} cargo test -p poller --features postgres simulation"
                );
                std::panic::resume_unwind(panic);
            }
        }
    }
    if seeds.end - seeds.start >= 300 {
        let is_covered = |event: &&str| total.get(event).is_some_and(|count| *count > 20);
        assert!(EVENTS.iter().all(is_covered), "{total:?}");
    }
}
