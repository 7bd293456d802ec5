//! Levels and slots: where filters look, as a tree of field names.

use std::hash::{BuildHasher as _, Hasher as _};

use foldhash::fast::RandomState;

use super::Index;
use super::direct::Direct;
use super::fact::Tag;
use super::member::Wakes;
use crate::set::store::Text;

/// Up to this many children of a level are compared one by one; more are hashed.
const FEW: usize = 6;

/// A place where objects can stand.
#[derive(Clone, Debug, Default)]
pub(in crate::set) struct Level {
    /// How many patterns and slots it has; the root has one more.
    pub(super) uses: u32,
    /// The field whose value stands here.
    pub(super) slot: u32,
    /// How many slots it has.
    pub(super) children: u32,
    /// Those slots, while they are few.
    few: Vec<Child>,
    /// A bit for each of their names, and perhaps for names that are gone.
    names: u64,
    /// The patterns or rules that are checked for every object.
    pub(super) unindexed: Wakes,
}

/// A slot, and what tells most other names from its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Child {
    ends: Ends,
    slot: u32,
}

/// A field that filters name.
#[derive(Clone, Debug, Default)]
pub(super) struct Slot {
    pub(super) name: Text,
    pub(super) level: u32,
    /// What stands in the field's value, where it is an object or array, if filters look there; the root never does.
    pub(super) inner: u32,
    /// How many facts there are about it, and one for the level inside.
    uses: u32,
    /// The facts that are waited for, while they are few: they are asked one by one.
    pub(super) direct: Vec<Direct>,
    /// Whether they are found by their keys instead.
    pub(super) keyed: bool,
    /// How many facts are waited for.
    pub(super) active: u32,
    /// Whether any of those looks into arrays.
    pub(super) deep: u32,
    pub(super) probes: Vec<Probe>,
}

/// A kind of key that a value has to be looked up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Probe {
    pub(super) tag: Tag,
    /// The length of the payload, or the number of bits.
    pub(super) length: u32,
    /// How many keys there are.
    pub(super) count: u32,
}

impl Probe {
    /// What of a text is looked up, where that is a part of it and there is one of that length.
    #[inline]
    pub(super) fn part<'t>(&self, text: &'t [u8]) -> Option<&'t [u8]> {
        let length = self.length as usize;
        match self.tag.kind() {
            Tag::TEXT => Some(text),
            Tag::PREFIX => text.get(..length),
            Tag::SUFFIX => text.len().checked_sub(length).and_then(|from| text.get(from..)),
            _ => None,
        }
    }
}

impl Level {
    /// The level of the event, which is never released.
    pub(super) fn root() -> Self {
        Self { uses: 1, ..Self::default() }
    }

    /// How many fields filters name here.
    #[inline]
    pub(in crate::set) fn children(&self) -> u32 {
        self.children
    }

    pub(super) fn bytes(&self) -> usize {
        self.few.capacity() * size_of::<Child>() + self.unindexed.bytes()
    }
}

impl Slot {
    /// What of a text that is the field's value is looked up as it is, in the order of the probes.
    #[inline]
    pub(super) fn parts<'t>(&self, text: &'t [u8]) -> impl Iterator<Item = (&Probe, &'t [u8])> {
        let probes = self.probes.iter().filter(|probe| !probe.tag.is_element());
        probes.filter_map(|probe| Some((probe, probe.part(text)?)))
    }

    /// One more key is looked up by its tag and length.
    pub(super) fn add_probe(&mut self, (tag, length): (Tag, u32)) {
        match self.probes.iter_mut().find(|probe| probe.tag == tag && probe.length == length) {
            Some(probe) => probe.count += 1,
            None => self.probes.push(Probe { tag, length, count: 1 }),
        }
    }

    /// The same once less.
    pub(super) fn remove_probe(&mut self, (tag, length): (Tag, u32)) {
        let alike = |probe: &Probe| probe.tag == tag && probe.length == length;
        if let Some(place) = self.probes.iter().position(alike) {
            self.probes[place].count -= 1;
            if self.probes[place].count == 0 {
                self.probes.swap_remove(place);
            }
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.name.bytes()
            + self.direct.capacity() * size_of::<Direct>()
            + self.probes.capacity() * size_of::<Probe>()
    }
}

impl Index {
    /// The field of an object that stands at a level, if any filter names it.
    #[inline]
    pub(in crate::set) fn child(&self, level: u32, name: &[u8]) -> Option<u32> {
        self.child_at(self.levels.at(level), level, name)
    }

    /// A level by its number.
    #[inline]
    pub(in crate::set) fn level(&self, level: u32) -> &Level {
        self.levels.at(level)
    }

    /// The same as [`child`](Self::child), for who has the level at hand.
    #[inline]
    pub(in crate::set) fn child_at(&self, here: &Level, level: u32, name: &[u8]) -> Option<u32> {
        // Most fields are named by nobody.
        if here.names & name_bit(name) == 0 {
            return None;
        }
        self.named_child(here, level, name)
    }

    fn named_child(&self, here: &Level, level: u32, name: &[u8]) -> Option<u32> {
        if here.few.len() != here.children as usize {
            return self.hashed_child(level, name);
        }
        let ends = Ends::of(name);
        let mut alike = here.few.iter().filter(|child| child.ends == ends);
        if ends.is_all() {
            return alike.next().map(|child| child.slot);
        }
        alike.find(|child| self.slots.at(child.slot).name.as_bytes() == name).map(|child| child.slot)
    }

    fn hashed_child(&self, level: u32, name: &[u8]) -> Option<u32> {
        self.slot_table.find(name_hash(&self.seeds, level, name), |number| {
            let slot = self.slots.at(number);
            slot.level == level && slot.name.as_bytes() == name
        })
    }

    /// The slots of a level, while they are few.
    pub(in crate::set) fn few_children(&self, level: u32) -> Option<impl Iterator<Item = u32>> {
        let level = self.levels.at(level);
        let all = level.few.len() == level.children as usize;
        all.then(|| level.few.iter().map(|child| child.slot))
    }

    /// Whether filters look only inside a field's value, and not at the value as a whole.
    pub(in crate::set) fn only_inner(&self, slot: u32) -> bool {
        self.slots.at(slot).uses == 1
    }

    /// The level inside a field's value, if filters look there.
    #[inline]
    pub(in crate::set) fn inner(&self, slot: u32) -> Option<u32> {
        let inner = self.slots.at(slot).inner;
        (inner != super::ROOT).then_some(inner)
    }

    /// The name of a slot.
    pub(in crate::set) fn name(&self, slot: u32) -> &[u8] {
        self.slots.at(slot).name.as_bytes()
    }

    /// The slot of a field, made if it is not there. Held by nothing yet: its first user has to follow.
    pub(super) fn slot(&mut self, level: u32, name: &str) -> u32 {
        if let Some(slot) = self.child(level, name.as_bytes()) {
            return slot;
        }
        let hash = name_hash(&self.seeds, level, name.as_bytes());
        let name = Text::new(name.as_bytes());
        let ends = Ends::of(name.as_bytes());
        let number = self.slots.add(Slot { name, level, ..Slot::default() });
        let parent = self.levels.at_mut(level);
        parent.uses += 1;
        parent.children += 1;
        parent.names |= name_bit(self.slots.at(number).name.as_bytes());
        if parent.children as usize <= FEW && parent.few.len() + 1 == parent.children as usize {
            parent.few.push(Child { ends, slot: number });
        } else {
            // Once hashed, always hashed, until it is empty: levels seldom shrink.
            parent.few.clear();
        }
        self.slot_table.insert(hash, number);
        number
    }

    /// The level inside a slot, made if it is not there. Held by nothing yet.
    pub(super) fn level_under(&mut self, slot: u32) -> u32 {
        if let Some(inner) = self.inner(slot) {
            return inner;
        }
        let level = self.levels.add(Level { slot, ..Level::default() });
        let slot = self.slots.at_mut(slot);
        slot.inner = level;
        slot.uses += 1;
        level
    }

    pub(super) fn hold_slot(&mut self, slot: u32) {
        self.slots.at_mut(slot).uses += 1;
    }

    pub(super) fn release_slot(&mut self, number: u32) {
        let slot = self.slots.at_mut(number);
        slot.uses -= 1;
        if slot.uses > 0 {
            return;
        }
        let hash = name_hash(&self.seeds, slot.level, slot.name.as_bytes());
        self.slot_table.remove(hash, number);
        let level = self.slots.take(number).level;
        let parent = self.levels.at_mut(level);
        parent.children -= 1;
        parent.few.retain(|child| child.slot != number);
        if parent.children == 0 {
            parent.names = 0;
        }
        self.release_level(level);
    }

    pub(super) fn release_level(&mut self, number: u32) {
        let level = self.levels.at_mut(number);
        level.uses -= 1;
        if level.uses == 0 {
            let slot = self.levels.take(number).slot;
            self.slots.at_mut(slot).inner = super::ROOT;
            self.release_slot(slot);
        }
    }
}

/// The length of a name, its first bytes and its last: all of a short one, and enough to tell most others apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ends {
    len: usize,
    first: u64,
    last: u64,
}

impl Ends {
    #[inline]
    fn of(name: &[u8]) -> Self {
        // Loads that overlap, rather than a loop over what is left.
        let (first, last) = if let (Some(first), Some(last)) = (name.first_chunk(), name.last_chunk()) {
            (u64::from_le_bytes(*first), u64::from_le_bytes(*last))
        } else if let (Some(first), Some(last)) = (name.first_chunk(), name.last_chunk()) {
            (u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into())
        } else {
            match *name {
                [a, b, c] => (u64::from_le_bytes([a, b, c, 0, 0, 0, 0, 0]), 0),
                [a, b] => (u64::from_le_bytes([a, b, 0, 0, 0, 0, 0, 0]), 0),
                [a] => (a.into(), 0),
                _ => (0, 0),
            }
        };
        Self { len: name.len(), first, last }
    }

    /// Whether there is nothing more to the name.
    #[inline]
    fn is_all(self) -> bool {
        self.len <= 2 * size_of::<u64>()
    }
}

/// One of 64 bits for a name, by its length and its ends: what few names are told from most others by.
#[inline]
fn name_bit(name: &[u8]) -> u64 {
    let [first, last] = [name.first(), name.last()].map(|byte| u64::from(byte.copied().unwrap_or_default()));
    1 << (((5 * first) ^ last ^ ((name.len() as u64) << 3)) % 64)
}

fn name_hash(seeds: &RandomState, level: u32, name: &[u8]) -> u64 {
    let mut hasher = seeds.build_hasher();
    hasher.write_u32(level);
    hasher.write(name);
    hasher.finish()
}
