//! A stand-in of the database: what its transactions do to the tables, each at one moment.
//!
//! It has a clock of its own, which may be set. It stalls: while it is away, every transaction fails. It fails over to a standby, which has all
//! that was committed, or only what was committed until two seconds ago.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::super::clock::{BACK, is_decided, unexplained};
use super::super::shards::shard_of;
use super::super::sightings::{Other, is_doubtful};
use crate::key::PollKey;
use crate::outcome::Outcome;
use crate::store::StoredPoll;

/// How far back a standby may be that takes over.
pub(super) const BEHIND: u64 = 2_000_000;

/// An open poll.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) incarnation: i64,
    pub(super) poll: StoredPoll,
    run: u32,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    pub(super) epoch: u64,
    pub(super) expires: u64,
    started: u64,
    renewed: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Shard {
    pub(super) worker: Option<usize>,
    run: u32,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Tables {
    pub(super) open: BTreeMap<PollKey, Open>,
    pub(super) done: BTreeMap<PollKey, (i64, Arc<Outcome>)>,
    inbox: Vec<(i32, PollKey, i64)>,
    pub(super) workers: BTreeMap<usize, Row>,
    pub(super) shards: Vec<Shard>,
    pub(super) shift: i64,
    pub(super) steps: i64,
    latest: u64,
}

#[derive(Debug, Default)]
pub(super) struct Database {
    pub(super) tables: Tables,
    /// The tables as they were after each commit of the last seconds, by true time; kept if a fail-over is planned.
    past: VecDeque<(u64, Tables)>,
    pub(super) keeps_past: bool,
    pub(super) away_until: u64,
    /// The incarnation as which each poll was created last.
    pub(super) created: BTreeMap<PollKey, i64>,
    /// How far its own clock is ahead of true time.
    pub(super) ahead: i64,
    pub(super) lease: u64,
    /// When a worker last took a step out: leases that were renewed by a reading from before count by another time.
    pub(super) stepped: u64,
}

/// The refusal of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It did not happen, or it is not known whether it did.
    Lost,
    Deposed,
    Missing,
}

/// A worker as its transactions name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) id: usize,
    pub(super) epoch: u64,
}

/// A step of the database's clock, as a worker sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct SeenStep {
    pub(super) step: i64,
    /// What was read, and how many steps were taken out by then.
    pub(super) time: u64,
    pub(super) steps: i64,
    /// How many the worker knew of.
    pub(super) known: i64,
}

pub(super) enum Created {
    New,
    Exists(Box<StoredPoll>, i64),
}

impl Database {
    pub(super) fn new(shards: usize, lease: u64, ahead: i64) -> Self {
        let tables = Tables { shards: vec![Shard::default(); shards], ..Tables::default() };
        Self { tables, ahead, lease, ..Self::default() }
    }

    pub(super) fn shard_count(&self) -> i32 {
        i32::try_from(self.tables.shards.len()).expect("few shards")
    }

    fn shard(&self, key: &PollKey) -> i32 {
        shard_of(key, self.shard_count())
    }

    fn place(&self, shard: i32) -> &Shard {
        &self.tables.shards[usize::try_from(shard).expect("not negative")]
    }

    pub(super) fn owner(&self, shard: i32) -> Option<usize> {
        self.place(shard).worker
    }

    /// The time of the fleet.
    pub(super) fn clock(&self, now: u64) -> u64 {
        now.saturating_add_signed(self.ahead + self.tables.shift)
    }

    /// Whether no worker has been here yet.
    pub(super) fn is_new(&self) -> bool {
        self.noted() == 0
    }

    fn noted(&self) -> u64 {
        let renewed = self.tables.workers.values().map(|row| row.renewed);
        renewed.max().unwrap_or_default().max(self.tables.latest)
    }

    /// As `Inner::take_unseen_step` does it.
    fn take_unseen_step(&mut self, id: usize, now: u64) {
        let clock = self.clock(now);
        let is_present =
            |row: &Row| row.renewed <= clock && row.renewed > clock.saturating_sub(self.lease / 2);
        if self.tables.workers.iter().any(|(other, row)| *other != id && is_present(row)) {
            return;
        }
        let back = self.noted().saturating_sub(clock);
        if back > u64::try_from(BACK.as_micros()).expect("short") {
            self.stepped = now;
            self.tables.shift += i64::try_from(back).expect("hours");
            self.tables.steps += 1;
        }
    }

    /// Whether a worker that starts doubts the time, as `Inner::is_uncertain` does.
    pub(super) fn is_doubtful(&self, id: usize, now: u64) -> bool {
        let signed = |time: u64| i64::try_from(time).expect("early");
        self.tables.shards.iter().any(|shard| shard.worker.is_some_and(|worker| worker != id))
            && is_doubtful(signed(self.clock(now)), signed(self.noted()), Duration::from_micros(self.lease))
    }

    /// As `Inner::take_step` does it; returns whether it was a step of this clock.
    pub(super) fn take_step(&mut self, id: usize, seen: SeenStep, now: u64) -> bool {
        let SeenStep { step, time, steps, known } = seen;
        let signed = |time: u64| i64::try_from(time).expect("early");
        let expected = time.saturating_add_signed(-step);
        let lease = Duration::from_micros(self.lease);
        let others = || self.tables.workers.iter().filter(|(other, _)| **other != id).map(|(_, row)| row);
        let latest = others().map(|row| signed(row.renewed)).max();
        let before = others().filter(|row| row.started <= expected).map(|row| signed(row.renewed)).max();
        let is_agreed = is_decided(steps, known)
            && latest.is_some_and(|latest| !is_doubtful(signed(time), latest, lease));
        let step = unexplained(step, signed(expected), before, lease).filter(|_| !is_agreed);
        let Some(step) = step else { return false };
        if self.tables.steps == steps {
            self.stepped = now;
            self.tables.shift -= step;
            self.tables.steps += 1;
        }
        true
    }

    /// Notes what a transaction has committed.
    pub(super) fn committed(&mut self, now: u64) {
        if self.keeps_past {
            while self.past.len() > 1 && self.past[1].0 + BEHIND <= now {
                self.past.pop_front();
            }
            self.past.push_back((now, self.tables.clone()));
        }
    }

    /// A standby takes over, which lacks what was committed since `at`.
    pub(super) fn fail_over(&mut self, at: u64) {
        let before = self.past.iter().rev().find(|(committed, _)| *committed <= at);
        if let Some((_, tables)) = before {
            self.tables = tables.clone();
        }
        self.past.clear();
    }

    pub(super) fn holds(&self, holder: Holder, now: u64) -> bool {
        let clock = self.clock(now);
        let row = self.tables.workers.get(&holder.id);
        row.is_some_and(|row| row.epoch == holder.epoch && row.expires > clock)
    }

    fn fence(&self, holder: Holder, now: u64) -> Result<(), Refusal> {
        if self.holds(holder, now) { Ok(()) } else { Err(Refusal::Deposed) }
    }

    pub(super) fn register(&mut self, id: usize, is_known: bool, now: u64) -> u64 {
        if !is_known {
            self.take_unseen_step(id, now);
        }
        let clock = self.clock(now);
        let row = self.tables.workers.entry(id).or_default();
        *row = Row { epoch: row.epoch + 1, expires: clock + self.lease, started: clock, renewed: clock };
        let epoch = row.epoch;
        self.free(id);
        epoch
    }

    fn free(&mut self, id: usize) {
        for shard in self.tables.shards.iter_mut().filter(|shard| shard.worker == Some(id)) {
            shard.worker = None;
        }
    }

    /// The time, as a renewal reads it before it is committed.
    pub(super) fn read_clock(&self, holder: Holder, now: u64) -> Result<(u64, i64), Refusal> {
        match self.tables.workers.get(&holder.id) {
            Some(row) if row.epoch == holder.epoch => Ok((self.clock(now), self.tables.steps)),
            _ => Err(Refusal::Deposed),
        }
    }

    /// The commit of a renewal that read this time.
    pub(super) fn renew(&mut self, holder: Holder, read: u64) -> Result<(), Refusal> {
        let expires = read + self.lease;
        match self.tables.workers.get_mut(&holder.id) {
            Some(row) if row.epoch == holder.epoch => {
                (row.expires, row.renewed) = (expires, read);
                Ok(())
            }
            _ => Err(Refusal::Deposed),
        }
    }

    pub(super) fn resign(&mut self, holder: Holder, now: u64) {
        if self.tables.workers.get(&holder.id).is_some_and(|row| row.epoch == holder.epoch) {
            self.free(holder.id);
            self.tables.latest = self.tables.latest.max(self.clock(now));
            self.tables.workers.remove(&holder.id);
        }
    }

    /// The leases of the other workers, and whether they have shards.
    pub(super) fn others(&self, id: usize, now: u64) -> Vec<(Other, bool)> {
        let clock = self.clock(now);
        let others = self.tables.workers.iter().filter(|(other, _)| **other != id);
        let lease = |(id, row): (&usize, &Row)| {
            let other = Other {
                id: i64::try_from(*id).expect("few"),
                renewed: i64::try_from(row.renewed).expect("early"),
                left: Duration::from_micros(row.expires.saturating_sub(clock)),
            };
            (other, self.tables.shards.iter().any(|shard| shard.worker == Some(*id)))
        };
        others.map(lease).collect()
    }

    /// Takes over these workers, if their leases have ended, and then up to `most` free shards.
    pub(super) fn take(&mut self, holder: Holder, dead: &[i64], most: usize, now: u64) -> Vec<i32> {
        let clock = self.clock(now);
        for id in dead.iter().map(|id| usize::try_from(*id).expect("not negative")) {
            if let Some(row) = self.tables.workers.get_mut(&id).filter(|row| row.expires <= clock) {
                row.epoch += 1;
                self.free(id);
            }
        }
        if !self.holds(holder, now) {
            return Vec::new();
        }
        let mut taken = Vec::new();
        for (shard, number) in self.tables.shards.iter_mut().zip(0..) {
            if shard.worker.is_none() && taken.len() < most {
                shard.worker = Some(holder.id);
                shard.run += 1;
                taken.push(number);
            }
        }
        taken
    }

    pub(super) fn give_back(&mut self, holder: Holder, shards: &[i32], now: u64) -> Result<(), Refusal> {
        self.fence(holder, now)?;
        for shard in shards {
            let shard = &mut self.tables.shards[usize::try_from(*shard).expect("not negative")];
            if shard.worker == Some(holder.id) {
                shard.worker = None;
            }
        }
        Ok(())
    }

    fn loaded(&self, open: &Open) -> (StoredPoll, i64) {
        let mut poll = open.poll.clone();
        poll.restarts = self.place(self.shard(&poll.key)).run.saturating_sub(open.run);
        (poll, open.incarnation)
    }

    pub(super) fn load(&self, shards: &[i32]) -> Vec<(StoredPoll, i64)> {
        let open = self.tables.open.values().filter(|open| shards.contains(&self.shard(&open.poll.key)));
        open.map(|open| self.loaded(open)).collect()
    }

    pub(super) fn empty_inbox(
        &mut self,
        holder: Holder,
        shards: &[i32],
        now: u64,
    ) -> Result<Vec<(StoredPoll, i64)>, Refusal> {
        self.fence(holder, now)?;
        let (ours, others) = std::mem::take(&mut self.tables.inbox)
            .into_iter()
            .partition(|(shard, ..)| shards.contains(shard) && self.owner(*shard) == Some(holder.id));
        self.tables.inbox = others;
        let ours: Vec<(i32, PollKey, i64)> = ours;
        let open = ours.iter().filter_map(|(_, key, incarnation)| {
            self.tables.open.get(key).filter(|open| open.incarnation == *incarnation)
        });
        Ok(open.map(|open| self.loaded(open)).collect())
    }

    /// `own` is the worker that runs the poll itself and tells no other.
    pub(super) fn create(
        &mut self,
        poll: &StoredPoll,
        incarnation: i64,
        own: Option<Holder>,
        now: u64,
    ) -> Result<Created, Refusal> {
        if let Some(holder) = own {
            self.fence(holder, now)?;
        }
        if let Some((incarnation, outcome)) = self.tables.done.get(&poll.key) {
            let ended = StoredPoll { outcome: Some(Arc::clone(outcome)), ..poll.clone() };
            return Ok(Created::Exists(Box::new(ended), *incarnation));
        }
        if let Some(open) = self.tables.open.get(&poll.key) {
            if open.incarnation == incarnation {
                // An earlier try of the same creation.
                return Ok(Created::New);
            }
            let (poll, incarnation) = self.loaded(open);
            return Ok(Created::Exists(Box::new(poll), incarnation));
        }
        let shard = self.shard(&poll.key);
        let place = self.place(shard);
        let clock = self.clock(now);
        let runs =
            place.worker.and_then(|id| self.tables.workers.get(&id)).is_some_and(|row| row.expires > clock);
        let run = place.run + u32::from(!runs);
        self.created.insert(poll.key.clone(), incarnation);
        self.tables.open.insert(poll.key.clone(), Open { incarnation, poll: poll.clone(), run });
        if own.is_none_or(|holder| self.owner(shard) != Some(holder.id)) {
            self.tables.inbox.push((shard, poll.key.clone(), incarnation));
        }
        Ok(Created::New)
    }

    pub(super) fn finish(
        &mut self,
        key: &PollKey,
        incarnation: Option<i64>,
        outcome: Arc<Outcome>,
        holder: Holder,
        now: u64,
    ) -> Result<Arc<Outcome>, Refusal> {
        self.fence(holder, now)?;
        match self.tables.open.get(key).map(|open| open.incarnation) {
            Some(open) if incarnation.is_none_or(|incarnation| incarnation == open) => {
                self.tables.open.remove(key);
                let before = self.tables.done.insert(key.clone(), (open, Arc::clone(&outcome)));
                assert!(before.is_none(), "a second outcome of {key}");
                Ok(outcome)
            }
            _ => self.tables.done.get(key).map(|(_, outcome)| Arc::clone(outcome)).ok_or(Refusal::Missing),
        }
    }
}
