//! Who waits for what, and the keys by which that is found.
//!
//! A fact that nobody waits for is not looked for: it is asked when something else has been found that requires it, too.
//! The facts of a slot that are waited for are asked one by one while they are few, which is faster than any lookup.

use super::Index;
use super::direct::Direct;
use super::fact::{Fact, Key, Tag};
use super::member::{Kind, Member, Pattern, Waiter, Wake};
use super::plan::{self, Plan};
use super::ranges::{Bucket, Ends};
use std::hash::{BuildHasher as _, Hasher as _};

/// Up to this many facts of a slot are asked one by one.
const FEW: u32 = 16;

impl Index {
    /// Wakes somebody whenever a member holds.
    pub(super) fn wait(&mut self, member: Member, wake: Wake) {
        match member.kind() {
            Kind::Fact => self.wait_at_fact(member.number(), wake),
            Kind::Pattern => self.patterns.at_mut(member.number()).wakes.push(wake),
            Kind::Junction => {
                for access in self.accesses(member.number()) {
                    self.wait(access, wake);
                }
            }
        }
    }

    /// The same no more.
    pub(super) fn unwait(&mut self, member: Member, wake: Wake) {
        match member.kind() {
            Kind::Fact => self.unwait_at_fact(member.number(), wake),
            Kind::Pattern => self.patterns.at_mut(member.number()).wakes.remove(|other| other.is_of(wake)),
            Kind::Junction => {
                for access in self.accesses(member.number()) {
                    self.unwait(access, wake);
                }
            }
        }
    }

    /// Where to wait for a junction: wherever one of its patterns would.
    fn accesses(&self, junction: u32) -> Vec<Member> {
        let patterns = self.junctions.at(junction).patterns.iter().map(|&pattern| self.patterns.at(pattern));
        patterns.filter_map(|pattern| pattern.access.map(|access| pattern.members.get(access))).collect()
    }

    /// A pattern is a member of something once more.
    pub(super) fn list(&mut self, number: u32) {
        let pattern = self.patterns.at_mut(number);
        pattern.listed += 1;
        if pattern.listed > 1 {
            return;
        }
        let (access, level) = (pattern.access, pattern.level);
        let Pattern { members, .. } = self.patterns.at(number);
        let wake = Wake::new(Waiter::Pattern, number, self.other(members, access));
        match access.map(|access| members.get(access)) {
            Some(access) => self.wait(access, wake),
            None => self.levels.at_mut(level).unindexed.push(wake),
        }
    }

    /// The same once less.
    pub(super) fn unlist(&mut self, number: u32) {
        let pattern = self.patterns.at_mut(number);
        pattern.listed -= 1;
        if pattern.listed > 0 {
            return;
        }
        let wake = Wake::new(Waiter::Pattern, number, None);
        match pattern.access {
            Some(access) => {
                let member = pattern.members.get(access);
                self.unwait(member, wake);
            }
            None => {
                let level = pattern.level;
                self.levels.at_mut(level).unindexed.remove(|other| other.is_of(wake));
            }
        }
    }

    fn wait_at_fact(&mut self, number: u32, wake: Wake) {
        let fact = self.facts.at_mut(number);
        let first = fact.wakes.is_empty();
        fact.wakes.push(wake);
        if first {
            self.activate(number);
        }
    }

    fn unwait_at_fact(&mut self, number: u32, wake: Wake) {
        let fact = self.facts.at_mut(number);
        fact.wakes.remove(|other| other.is_of(wake));
        if fact.wakes.is_empty() {
            self.deactivate(number);
        }
    }

    /// Looks for a fact from now on.
    fn activate(&mut self, number: u32) {
        let fact = self.facts.at(number);
        let (deep, probe) = (u32::from(fact.deep), probe_of(fact));
        let slot = self.slots.at_mut(fact.slot);
        slot.active += 1;
        slot.deep += deep;
        match probe {
            Some(probe) if slot.keyed => slot.add_probe(probe),
            None if slot.keyed => self.add_keys(number),
            _ => {
                slot.direct.push(Direct::new(number, fact));
                if slot.active > FEW {
                    slot.keyed = true;
                    let all = std::mem::take(&mut slot.direct);
                    all.iter().for_each(|direct| self.add_keys(direct.fact));
                }
            }
        }
    }

    fn deactivate(&mut self, number: u32) {
        let fact = self.facts.at(number);
        let (at, deep) = (fact.slot, u32::from(fact.deep));
        let slot = self.slots.at_mut(at);
        slot.active -= 1;
        slot.deep -= deep;
        if slot.keyed {
            self.remove_keys(number);
            let slot = self.slots.at_mut(at);
            slot.keyed = slot.active > 0;
        } else {
            slot.direct.retain(|direct| direct.fact != number);
        }
    }

    /// Makes a fact that is waited for be found by its keys: it is one itself, or others lead to it, by waking it.
    fn add_keys(&mut self, number: u32) {
        let fact = self.facts.at(number);
        let slot = fact.slot;
        if let Some(probe) = probe_of(fact) {
            return self.slots.at_mut(slot).add_probe(probe);
        }
        for key in self.keys_of(number) {
            if let Some(ends) = ends(&key) {
                self.add_range(slot, ends, number);
                self.slots.at_mut(slot).add_probe((key.tag, u32::from(ends.bit())));
                continue;
            }
            let lead = self.key(slot, key.tag, &key.payload);
            self.wait_at_fact(lead, Wake::new(Waiter::Fact, number, None));
        }
    }

    fn remove_keys(&mut self, number: u32) {
        let fact = self.facts.at(number);
        let slot = fact.slot;
        if let Some(probe) = probe_of(fact) {
            return self.slots.at_mut(slot).remove_probe(probe);
        }
        for key in self.keys_of(number) {
            if let Some(ends) = ends(&key) {
                self.remove_range(slot, ends, number);
                self.slots.at_mut(slot).remove_probe((key.tag, u32::from(ends.bit())));
                continue;
            }
            // Held once more to find it, and no more than that.
            let lead = self.key(slot, key.tag, &key.payload);
            self.release_fact(lead);
            self.unwait_at_fact(lead, Wake::new(Waiter::Fact, number, None));
            self.release_fact(lead);
        }
    }

    fn keys_of(&self, number: u32) -> Vec<Key> {
        plan::plan(self.facts.at(number)).map(|Plan { keys, .. }| keys).unwrap_or_default()
    }

    /// The ranges about a slot that part at a bit, with these bits above it.
    #[inline]
    pub(super) fn bucket(&self, slot: u32, deep: bool, bit: u8, above: u64) -> Option<u32> {
        self.bucket_table.find(self.bucket_hash(slot, deep, bit, above), |number| {
            let bucket = self.buckets.at(number);
            (bucket.slot, bucket.deep, bucket.bit, bucket.above) == (slot, deep, bit, above)
        })
    }

    fn bucket_hash(&self, slot: u32, deep: bool, bit: u8, above: u64) -> u64 {
        bucket_hash(&self.seeds, slot, deep, bit, above)
    }

    fn add_range(&mut self, slot: u32, ends: Ends, fact: u32) {
        let deep = self.facts.at(fact).deep;
        let (bit, above) = (ends.bit(), ends.above());
        let number = match self.bucket(slot, deep, bit, above) {
            Some(number) => number,
            None => {
                let number = self.buckets.add(Bucket::new(slot, deep, bit, above));
                let hash = self.bucket_hash(slot, deep, bit, above);
                self.bucket_table.insert(hash, number);
                number
            }
        };
        self.buckets.at_mut(number).insert(ends, fact);
    }

    fn remove_range(&mut self, slot: u32, ends: Ends, fact: u32) {
        let deep = self.facts.at(fact).deep;
        let (bit, above) = (ends.bit(), ends.above());
        let Some(number) = self.bucket(slot, deep, bit, above) else { return };
        let bucket = self.buckets.at_mut(number);
        bucket.remove(ends, fact);
        if bucket.is_empty() {
            let hash = self.bucket_hash(slot, deep, bit, above);
            self.bucket_table.remove(hash, number);
            self.buckets.take(number);
        }
    }
}

/// The ends of the range that a key stands for, if it stands for one.
fn ends(key: &Key) -> Option<Ends> {
    (key.tag.kind() == Tag::RANGE).then(|| Ends::from_bytes(&key.payload)).flatten()
}

/// By what a fact that is a key is looked up.
fn probe_of(fact: &Fact) -> Option<(Tag, u32)> {
    fact.test.key().map(|(tag, payload)| (tag, probe_length(tag, payload)))
}

/// What tells how much of a value has to be looked up.
fn probe_length(tag: Tag, payload: &[u8]) -> u32 {
    let length = match tag.kind() {
        Tag::CIDR_V4 | Tag::CIDR_V6 => usize::from(payload.first().copied().unwrap_or_default()),
        Tag::PREFIX | Tag::SUFFIX | Tag::GRAM => payload.len(),
        _ => 0,
    };
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn bucket_hash(seeds: &foldhash::fast::RandomState, slot: u32, deep: bool, bit: u8, above: u64) -> u64 {
    let mut hasher = seeds.build_hasher();
    hasher.write_u64(u64::from(slot) << 9 | u64::from(deep) << 8 | u64::from(bit));
    hasher.write_u64(above);
    hasher.finish()
}
