//! What is remembered while one event is walked; its memory is kept for the next.

use crate::scan::Kind;

/// A walk's memory. It serves any set: what an earlier walk has left is told by its stamps.
#[derive(Clone, Debug, Default)]
pub(in crate::set) struct Scratch {
    /// The last stamp given to an object.
    stamp: u64,
    /// By slot: the value that the object being walked has there, if its stamp is that object's. The objects of a level
    /// never overlap, so that one place for each slot is enough.
    held: Vec<Held>,
    /// The slots that have been met in the objects being walked, those of the innermost last.
    pub(in crate::set) seen: Vec<u32>,
    /// The patterns that hold for values met so far, for objects being walked; then the rules.
    pub(in crate::set) matched: Vec<u32>,
    /// What a value has been found by, while it is being looked at.
    pub(super) found: Vec<u32>,
    pub(super) text: Vec<u8>,
    /// Hashes of keys that will be looked up, and of which nothing has been fetched yet but the entry.
    pub(super) sought: Vec<u64>,
    /// Facts that are being fetched.
    pub(super) facts: Vec<u32>,
}

/// What is known of the value of a field.
#[derive(Clone, Copy, Debug)]
pub(in crate::set) struct Held {
    pub(in crate::set) stamp: u64,
    pub(in crate::set) kind: Kind,
    /// Whether it is a string without a backslash.
    pub(in crate::set) plain: bool,
    /// Where its bytes are.
    pub(in crate::set) start: usize,
    pub(in crate::set) end: usize,
    /// Where the patterns are that hold inside it.
    pub(in crate::set) list: (usize, usize),
}

impl Scratch {
    /// Makes room for the slots of a set.
    pub(in crate::set) fn prepare(&mut self, slots: usize) {
        if self.held.len() < slots {
            let empty = Held { stamp: 0, kind: Kind::Null, plain: false, start: 0, end: 0, list: (0, 0) };
            self.held.resize(slots, empty);
        }
        self.seen.clear();
        self.matched.clear();
        self.sought.clear();
    }

    /// A stamp for another object.
    #[inline]
    pub(in crate::set) fn stamp(&mut self) -> u64 {
        self.stamp += 1;
        self.stamp
    }

    /// Notes a field's value; whether the object has not had that field before.
    #[inline]
    pub(in crate::set) fn hold(&mut self, slot: u32, held: Held) -> bool {
        let Some(place) = self.held.get_mut(slot as usize) else { return false };
        let new = place.stamp != held.stamp;
        *place = held;
        if new {
            self.seen.push(slot);
        }
        new
    }

    /// The value of a field of the object with a stamp.
    #[inline]
    pub(in crate::set) fn held(&self, slot: u32, stamp: u64) -> Option<&Held> {
        self.held.get(slot as usize).filter(|held| held.stamp == stamp)
    }

    /// Leaves each of the patterns from a place on there once, in order.
    #[inline]
    pub(in crate::set) fn sort_matched(&mut self, from: usize) {
        if self.matched.len() > from + 1 {
            self.sort_many(from);
        }
    }

    fn sort_many(&mut self, from: usize) {
        let Some(list) = self.matched.get_mut(from..) else { return };
        list.sort_unstable();
        let mut kept = 1;
        for place in 1..list.len() {
            if list[place] != list[kept - 1] {
                list[kept] = list[place];
                kept += 1;
            }
        }
        self.matched.truncate(from + kept);
    }
}
