//! A process of the fleet: it registers, renews its lease, takes and gives back shards, and looks for changes, each as
//! `lease.rs` and `PostgresStore::changes` do it.

use std::collections::HashSet;
use std::time::Duration;

use retry::Rng;

use super::database::{Database, Holder, Refusal, SeenStep};
use super::{LEASE, LOOK, MILLI, Node, Role, SECOND, World, number_of, pick, signed, trust};
use crate::clock::Timestamp;
use crate::engine::core::Core;
use crate::key::PollKey;
use crate::limits::Limits;
use crate::postgres::balance::{Balance, Move};
use crate::postgres::clock::is_too_far_ahead;
use crate::postgres::shards::{Known, shard_of};
use crate::postgres::sightings::Other;
use crate::store::StoredPoll;

enum Registered {
    /// With this epoch; the time, and how many steps were taken out of it.
    As(u64, u64, i64),
    /// Since this time by the own clock.
    Uncertain(Option<i64>),
}

/// The clock of a process at a moment.
fn own_at(now: u64, wall: i64) -> i64 {
    i64::try_from(now).expect("early") + wall
}

/// By how much the fleet may be ahead of the clock of a process that asked between two moments, at least and at most.
fn bounds(before: i64, after: i64, clock: u64) -> (i64, i64) {
    let clock = i64::try_from(clock).expect("early");
    ((clock - after).min(clock - before), (clock - after).max(clock - before))
}

impl World {
    pub(super) fn start(&mut self, node: usize) {
        let life = self.nodes[node].life + 1;
        let id = self.next_id;
        self.next_id += 1;
        let wall = if pick(&mut self.dice, 2) == 0 {
            self.nodes[node].wall
        } else {
            signed(&mut self.dice, 3600 * SECOND)
        };
        self.nodes[node] = Node { life, id, wall, ..Node::default() };
        self.measure_and_register(node);
    }

    /// Registers, again and again until it succeeds, as `Inner::register` does it.
    pub(super) fn measure_and_register(&mut self, node: usize) {
        let sent = self.now;
        let it = &self.nodes[node];
        let (id, wall, before) = (it.id, it.wall, self.own_clock(node));
        let (offset, known, uncertain_since) = (it.offset, it.steps, it.uncertain_since);
        let is_known = matches!(it.role, Role::Deposed { .. });
        let lease = Duration::from_micros(LEASE);
        self.transact(
            node,
            move |database, now| {
                let (own, clock) = (own_at(now, wall), database.clock(now));
                let steps = database.tables.steps;
                if is_known {
                    if let Some(step) = offset.step(bounds(before, own, clock), lease)
                        && database.take_step(id, SeenStep { step, time: clock, steps, known }, now)
                    {
                        return Ok(Registered::Uncertain(None));
                    }
                } else if database.is_doubtful(id, now) {
                    let since = uncertain_since.unwrap_or(own);
                    if own - since < i64::try_from(LEASE).expect("short") {
                        return Ok(Registered::Uncertain(Some(since)));
                    }
                }
                let epoch = database.register(id, is_known, now);
                Ok(Registered::As(epoch, database.clock(now), database.tables.steps))
            },
            move |world, result| {
                let of = world.of(node);
                let is_deposed = matches!(world.nodes[node].role, Role::Deposed { .. });
                let again = match result {
                    Ok(Registered::As(epoch, clock, steps)) => {
                        return world.registered(node, Holder { id, epoch }, (before, clock, steps), sent);
                    }
                    Ok(Registered::Uncertain(since)) => {
                        world.nodes[node].uncertain_since = since;
                        100 * MILLI
                    }
                    Err(_) => SECOND,
                };
                // A deposed process tries again with its next look.
                if is_deposed {
                    world.looked(node);
                } else {
                    world.later(again, of, move |world| world.measure_and_register(node));
                }
            },
        );
    }

    fn registered(&mut self, node: usize, holder: Holder, read: (i64, u64, i64), sent: u64) {
        let (before, clock, steps) = read;
        self.follow(node, before, clock, steps);
        let seed = self.dice.next_u64();
        let it = &mut self.nodes[node];
        it.shards.clear();
        it.role = Role::Worker(holder);
        it.balance = Balance::default();
        it.trusted_until = trust(sent);
        if it.core.is_none() {
            it.core = Some(Core::new(Limits::unbounded(), Rng::seeded(seed)));
        }
        self.looked(node);
        self.balance(node);
    }

    pub(super) fn own_clock(&self, node: usize) -> i64 {
        own_at(self.now, self.nodes[node].wall)
    }

    fn follow(&mut self, node: usize, before: i64, clock: u64, steps: i64) {
        let bounds = bounds(before, self.own_clock(node), clock);
        let it = &mut self.nodes[node];
        it.stood_still = 0;
        it.offset = it.offset.follow(bounds);
        it.steps = steps;
    }

    pub(super) fn renew_later(&mut self, node: usize, delay: u64) {
        self.nodes[node].renewal += 1;
        let (renewal, of) = (self.nodes[node].renewal, self.of(node));
        self.later(delay, of, move |world| {
            if world.nodes[node].renewal == renewal {
                world.renew(node);
            }
        });
    }

    /// A transaction of a worker, whose result is of no use to it unless it is still the same.
    fn transact_as<T: 'static>(
        &mut self,
        (node, holder): (usize, Holder),
        call: impl FnOnce(&mut Database, u64) -> Result<T, Refusal> + 'static,
        reply: impl FnOnce(&mut Self, Result<T, Refusal>) + 'static,
    ) {
        self.transact(node, call, move |world, result| {
            if world.holder(node) == Some(holder) {
                reply(world, result);
            }
        });
    }

    pub(super) fn renew(&mut self, node: usize) {
        let Some(holder) = self.holder(node) else { return };
        let (sent, before) = (self.now, self.own_clock(node));
        self.transact_as(
            (node, holder),
            move |database, now| database.read_clock(holder, now),
            move |world, result| match result {
                Ok((clock, steps)) => {
                    let bounds = bounds(before, world.own_clock(node), clock);
                    let it = &world.nodes[node];
                    let lease = Duration::from_micros(LEASE);
                    match it.offset.step(bounds, lease) {
                        Some(step) => world.take_step(node, holder, step, (before, clock, steps)),
                        None => {
                            world.follow(node, before, clock, steps);
                            world.commit_renewal(node, holder, clock, sent);
                        }
                    }
                }
                Err(refusal) => world.refused(node, refusal),
            },
        );
    }

    fn take_step(&mut self, node: usize, holder: Holder, step: i64, read: (i64, u64, i64)) {
        let (before, clock, steps) = read;
        let known = self.nodes[node].steps;
        self.transact_as(
            (node, holder),
            move |database, now| {
                Ok(database.take_step(holder.id, SeenStep { step, time: clock, steps, known }, now))
            },
            move |world, result| {
                match result {
                    Ok(true) => {
                        world.count("step");
                        world.renew_later(node, 0);
                    }
                    Ok(false) => {
                        // Its own clock had stood still.
                        world.count("thaw");
                        world.follow(node, before, clock, steps);
                        world.renew_later(node, 0);
                    }
                    Err(_) => world.renewal_failed(node),
                }
            },
        );
    }

    fn commit_renewal(&mut self, node: usize, holder: Holder, read: u64, sent: u64) {
        self.transact_as(
            (node, holder),
            move |database, _| database.renew(holder, read),
            move |world, result| match result {
                Ok(()) => {
                    world.nodes[node].trusted_until = trust(sent);
                    if std::mem::take(&mut world.nodes[node].was_away) {
                        world.nodes[node].shards.read_again();
                    }
                    world.balance(node);
                }
                Err(refusal) => world.refused(node, refusal),
            },
        );
    }

    /// A renewal was refused.
    fn refused(&mut self, node: usize, refusal: Refusal) {
        if refusal != Refusal::Deposed {
            return self.renewal_failed(node);
        }
        self.count("deposed");
        let it = &mut self.nodes[node];
        it.trusted_until = 0;
        it.shards.lose_all();
        it.role = Role::Deposed { told: false };
    }

    pub(super) fn renewal_failed(&mut self, node: usize) {
        self.nodes[node].was_away = true;
        let again = 150 * MILLI + self.up_to(150 * MILLI);
        self.renew_later(node, again);
    }

    pub(super) fn balance(&mut self, node: usize) {
        let Some(holder) = self.holder(node) else { return };
        let (given, wall) = (self.nodes[node].shards.given(), self.nodes[node].wall);
        self.transact_as(
            (node, holder),
            move |database, now| {
                let assigned: Vec<i32> = (0..database.shard_count())
                    .filter(|shard| database.owner(*shard) == Some(holder.id))
                    .collect();
                Ok((assigned, database.others(holder.id, now), own_at(now, wall), database.clock(now)))
            },
            move |world, result| {
                let Ok((assigned, others, looked, clock)) = result else { return world.renewal_failed(node) };
                let read = bounds(looked, world.own_clock(node), clock);
                if world.nodes[node].offset.step(read, Duration::from_micros(LEASE)).is_some() {
                    return world.renew_later(node, 0);
                }
                let total = world.database.tables.shards.len();
                let it = &mut world.nodes[node];
                it.shards.agree(&assigned, given);
                let looked = Timestamp::from_micros(u64::try_from(looked).expect("late"));
                let leases: Vec<Other> = others.iter().map(|(other, _)| *other).collect();
                let left = it.sightings.look(&leases, looked, Duration::from_micros(LEASE));
                let (mut living, mut ends, mut dead) = (1, None, Vec::new());
                for ((other, has_shards), left) in others.into_iter().zip(left) {
                    if !left.is_zero() {
                        let left = u64::try_from(left.as_micros()).expect("short");
                        living += 1;
                        ends = Some(ends.map_or(left, |ends: u64| ends.min(left)));
                    } else if has_shards {
                        dead.push(other.id);
                    }
                }
                let next = ends.map_or(LEASE / 3, |ends| (LEASE / 3).min(ends + 100 * MILLI));
                match it.balance.decide(total, living, it.shards.len()) {
                    Move::Stay => world.renew_later(node, next),
                    Move::Leave(number) => {
                        it.shards.leave(number);
                        world.count("given back");
                        world.renew_later(node, SECOND);
                    }
                    Move::Take(most) => world.take(node, holder, dead, most, next),
                }
            },
        );
    }

    fn take(&mut self, node: usize, holder: Holder, dead: Vec<i64>, most: usize, next: u64) {
        self.transact_as(
            (node, holder),
            move |database, now| Ok(database.take(holder, &dead, most, now)),
            move |world, result| match result {
                Ok(taken) => {
                    if !taken.is_empty() {
                        world.count("takeover");
                    }
                    let next = if taken.len() < most { next.min(SECOND) } else { next };
                    world.nodes[node].shards.take(taken);
                    world.renew_later(node, next);
                }
                Err(_) => world.renewal_failed(node),
            },
        );
    }

    pub(super) fn look(&mut self, node: usize) {
        let said = self.clock(node).as_micros();
        let it = &self.nodes[node];
        let ahead = said.saturating_sub(self.now.saturating_add_signed(it.wall + it.offset.value));
        if is_too_far_ahead(Duration::from_micros(ahead), Duration::from_micros(LEASE)) {
            self.count("restart");
            self.end(node);
            return self.start(node);
        }
        let trusts = self.trusts(node);
        let it = &mut self.nodes[node];
        match it.role {
            Role::Client => self.looked(node),
            Role::Deposed { told } => {
                let released = it.shards.released();
                let is_done = told && released.is_empty();
                it.role = Role::Deposed { told: true };
                self.release(node, &released);
                if is_done {
                    // The look ends with it.
                    self.measure_and_register(node);
                } else {
                    self.looked(node);
                }
            }
            Role::Worker(_) if !trusts => self.looked(node),
            Role::Worker(holder) => {
                let vacated = it.shards.vacated();
                if vacated.is_empty() {
                    return self.read(node, holder);
                }
                let shards = vacated.clone();
                self.transact(
                    node,
                    move |database, now| database.give_back(holder, &shards, now),
                    move |world, result| match result {
                        Ok(()) if world.holder(node) == Some(holder) => {
                            world.nodes[node].shards.given_back(&vacated);
                            world.read(node, holder);
                        }
                        _ => world.looked(node),
                    },
                );
            }
        }
    }

    pub(super) fn read(&mut self, node: usize, holder: Holder) {
        let now = Duration::from_micros(self.now);
        let it = &mut self.nodes[node];
        let released = it.shards.released();
        it.shards.read_doubtful(now);
        it.shards.begin_read();
        if let Some(core) = &mut it.core {
            core.begin_read();
        }
        let unread = it.shards.next_unread(16, &HashSet::new());
        let (group, ours, taken) = (unread.clone(), it.shards.ours(), it.shards.taken());
        self.transact(
            node,
            move |database, now| {
                if unread.is_empty() {
                    database.empty_inbox(holder, &ours, now)
                } else {
                    Ok(database.load(&unread))
                }
            },
            move |world, result| {
                world.release(node, &released);
                let shards = world.database.shard_count();
                let it = &mut world.nodes[node];
                if matches!(result, Err(Refusal::Lost)) && group.is_empty() {
                    it.shards.read_again();
                }
                if let (Ok(found), Role::Worker(_)) = (result, it.role) {
                    it.shards.read(&group, taken);
                    let mut polls = Vec::new();
                    for (poll, incarnation) in found {
                        let known = Known { incarnation, has_extras: true, has_webhook: false };
                        let shard = shard_of(&poll.key, shards);
                        if it.shards.add(shard, poll.key.clone(), known) {
                            polls.push(poll);
                        }
                    }
                    world.adopt(node, polls);
                }
                let it = &mut world.nodes[node];
                it.shards.end_read();
                if let Some(core) = &mut it.core {
                    core.end_read();
                }
                world.looked(node);
            },
        );
    }

    pub(super) fn looked(&mut self, node: usize) {
        let of = self.of(node);
        self.later(LOOK, of, move |world| world.look(node));
    }

    pub(super) fn release(&mut self, node: usize, keys: &[PollKey]) {
        let now = self.clock(node);
        let Some(core) = self.core(node) else { return };
        for key in keys {
            if let Some(id) = core.find(key) {
                core.release(id, now);
            }
        }
        self.drive(node);
    }

    pub(super) fn adopt(&mut self, node: usize, polls: Vec<StoredPoll>) {
        let now = self.clock(node);
        let Some(core) = self.core(node) else { return };
        let keys: Vec<PollKey> = polls.iter().map(|poll| poll.key.clone()).collect();
        let doubtful = core.adopt(polls, now);
        let it = &mut self.nodes[node];
        let Some(core) = &it.core else { return };
        for key in keys {
            if let Some(id) = core.find(&key) {
                it.polls.insert(id, number_of(&key));
            }
        }
        for key in doubtful {
            self.reread(node, key);
        }
    }

    pub(super) fn reread(&mut self, node: usize, key: PollKey) {
        let again = key.clone();
        self.transact(
            node,
            move |database, _| Ok(database.tables.open.get(&key).map(|open| open.poll.clone())),
            move |world, result| {
                if result.is_err() {
                    return world.reread(node, again);
                }
                if let Ok(Some(poll)) = result
                    && world.nodes[node].shards.is_ours(shard_of(&poll.key, world.database.shard_count()))
                {
                    world.adopt(node, vec![poll]);
                }
            },
        );
    }
}
