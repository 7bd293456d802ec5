//! A process of the fleet: it registers, renews its lease, takes and gives back shards, and looks for changes, each as
//! `lease.rs` and `PostgresStore::changes` do it.

use std::time::Duration;

use retry::Rng;

use super::database::{Holder, Refusal};
use super::{LEASE, LOOK, MILLI, Node, Role, SECOND, World, number_of, pick, signed, trust};
use crate::engine::core::Core;
use crate::key::PollKey;
use crate::limits::Limits;
use crate::postgres::balance::{Balance, Move};
use crate::postgres::clock::{is_decided, is_too_far_ahead, step};
use crate::postgres::shards::{Known, shard_of};
use crate::store::StoredPoll;

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
        self.nodes[node] = Node { life, id, ..Node::new(wall) };
        self.measure_and_register(node);
    }

    /// Registers, again and again until it succeeds.
    pub(super) fn measure_and_register(&mut self, node: usize) {
        let (id, sent) = (self.nodes[node].id, self.now);
        let before = self.own_clock(node);
        self.transact(
            node,
            move |database, now| Ok((database.register(id, now), database.clock(now), database.tables.steps)),
            move |world, result| match result {
                Ok((epoch, clock, steps)) => {
                    world.follow(node, before, clock, steps);
                    world.breaks.push(world.now);
                    let seed = world.dice.next_u64();
                    let it = &mut world.nodes[node];
                    it.shards.clear();
                    it.role = Role::Worker(Holder { id, epoch });
                    it.balance = Balance::default();
                    it.trusted_until = trust(sent);
                    if it.core.is_none() {
                        it.core = Some(Core::new(Limits::unbounded(), Rng::seeded(seed)));
                    }
                    world.looked(node);
                    world.balance(node);
                }
                Err(_) => {
                    let of = world.of(node);
                    let deposed = matches!(world.nodes[node].role, Role::Deposed { .. });
                    // A deposed process tries again with its next look.
                    if deposed {
                        world.looked(node);
                    } else {
                        world.later(SECOND, of, move |world| world.measure_and_register(node));
                    }
                }
            },
        );
    }

    pub(super) fn own_clock(&self, node: usize) -> i64 {
        i64::try_from(self.now).expect("early") + self.nodes[node].wall
    }

    /// By how much the fleet may be ahead of the clock of a process, at least and at most.
    fn bounds(&self, node: usize, before: i64, clock: u64) -> (i64, i64) {
        let (after, clock) = (self.own_clock(node), i64::try_from(clock).expect("early"));
        ((clock - after).min(clock - before), (clock - after).max(clock - before))
    }

    fn follow(&mut self, node: usize, before: i64, clock: u64, steps: i64) {
        let (least, most) = self.bounds(node, before, clock);
        let it = &mut self.nodes[node];
        if it.offset < least || it.offset > most {
            it.offset = least / 2 + most / 2;
        }
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

    pub(super) fn renew(&mut self, node: usize) {
        let Some(holder) = self.holder(node) else { return };
        let (sent, before) = (self.now, self.own_clock(node));
        self.transact(
            node,
            move |database, now| database.read_clock(holder, now),
            move |world, result| {
                if world.holder(node) != Some(holder) {
                    return;
                }
                match result {
                    Ok((clock, steps)) => {
                        let bounds = world.bounds(node, before, clock);
                        let it = &world.nodes[node];
                        let lease = Duration::from_micros(LEASE);
                        match step(it.offset, bounds, lease).filter(|_| !is_decided(steps, it.steps)) {
                            Some(step) => world.take_step(node, holder, step, (before, clock, steps)),
                            None => {
                                world.follow(node, before, clock, steps);
                                world.commit_renewal(node, holder, clock, sent);
                            }
                        }
                    }
                    Err(Refusal::Lost | Refusal::Missing) => world.renewal_failed(node),
                    Err(Refusal::Deposed) => world.depose(node),
                }
            },
        );
    }

    fn take_step(&mut self, node: usize, holder: Holder, step: i64, read: (i64, u64, i64)) {
        let (before, clock, steps) = read;
        self.transact(
            node,
            move |database, _| Ok(database.take_step(holder, step, clock, steps)),
            move |world, result| {
                if world.holder(node) != Some(holder) {
                    return;
                }
                match result {
                    Ok(true) => {
                        world.counts.steps += 1;
                        world.renew_later(node, 0);
                    }
                    Ok(false) => {
                        world.counts.thaws += 1;
                        world.follow(node, before, clock, steps);
                        world.renew_later(node, 0);
                    }
                    Err(_) => world.renewal_failed(node),
                }
            },
        );
    }

    fn commit_renewal(&mut self, node: usize, holder: Holder, read: u64, sent: u64) {
        self.transact(
            node,
            move |database, _| database.renew(holder, read),
            move |world, result| {
                if world.holder(node) != Some(holder) {
                    return;
                }
                match result {
                    Ok(()) => {
                        world.nodes[node].trusted_until = trust(sent);
                        if std::mem::take(&mut world.nodes[node].was_away) {
                            world.nodes[node].shards.read_again();
                        }
                        world.balance(node);
                    }
                    Err(Refusal::Lost | Refusal::Missing) => world.renewal_failed(node),
                    Err(Refusal::Deposed) => world.depose(node),
                }
            },
        );
    }

    fn depose(&mut self, node: usize) {
        self.counts.deposed += 1;
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
        let given = self.nodes[node].shards.given();
        self.transact(
            node,
            move |database, now| {
                let assigned: Vec<i32> = (0..database.shard_count())
                    .filter(|shard| database.owner(*shard) == Some(holder.id))
                    .collect();
                Ok((assigned, database.living(holder.id, now)))
            },
            move |world, result| {
                if world.holder(node) != Some(holder) {
                    return;
                }
                let Ok((assigned, (living, ends))) = result else { return world.renewal_failed(node) };
                let total = world.database.tables.shards.len();
                let it = &mut world.nodes[node];
                it.shards.agree(&assigned, given);
                let next = ends.map_or(LEASE / 3, |ends| (LEASE / 3).min(ends + 100 * MILLI));
                match it.balance.decide(total, living, it.shards.len()) {
                    Move::Stay => world.renew_later(node, next),
                    Move::Leave(number) => {
                        world.counts.given_back += 1;
                        it.shards.leave(number);
                        world.renew_later(node, SECOND);
                    }
                    Move::Take(most) => world.take(node, holder, most, next),
                }
            },
        );
    }

    pub(super) fn take(&mut self, node: usize, holder: Holder, most: usize, next: u64) {
        self.transact(
            node,
            move |database, now| Ok(database.take(holder, most, now)),
            move |world, result| {
                if world.holder(node) != Some(holder) {
                    return;
                }
                match result {
                    Ok(taken) => {
                        world.counts.takeovers += u32::from(!taken.is_empty());
                        let next = if taken.len() < most { next.min(SECOND) } else { next };
                        world.nodes[node].shards.take(taken);
                        world.renew_later(node, next);
                    }
                    Err(_) => world.renewal_failed(node),
                }
            },
        );
    }

    pub(super) fn look(&mut self, node: usize) {
        let said = self.clock(node).as_micros();
        let it = &self.nodes[node];
        let ahead = said.saturating_sub(self.now.saturating_add_signed(it.wall + it.offset));
        if is_too_far_ahead(Duration::from_micros(ahead), Duration::from_micros(LEASE)) {
            self.counts.restarts += 1;
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
        let unread = it.shards.next_unread(16);
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
                        let known = Known { incarnation, has_extras: true };
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
