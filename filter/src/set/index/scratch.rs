//! What is remembered while one event is walked; its memory is kept for the next.

use std::num::NonZeroU32;

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
    /// Keys that will be looked up, of texts in the objects being walked.
    pub(super) sought: Vec<Sought>,
    /// Of so many of those it is known where they lead; of the others, nothing has been fetched yet but the entry.
    pub(super) found_of_sought: usize,
    /// Objects that have been walked and are judged later, from the inside out.
    pub(in crate::set) pending: Vec<Pending>,
}

/// An object that has been walked. What it has is still there: no other object of its level has been walked since.
#[derive(Clone, Copy, Debug)]
pub(in crate::set) struct Pending {
    pub(super) level: u32,
    pub(in crate::set) stamp: u64,
    /// Where the slots that it has are among those seen; others may be among them.
    pub(super) seen: (usize, usize),
    /// The slot of which it is the value, and where it begins.
    value_of: Option<(u32, usize)>,
}

/// A key that will be looked up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sought {
    pub(super) hash: u64,
    /// The fact that is most likely to have it; if none, no fact has it.
    pub(super) fact: Option<u32>,
    /// Whether more may wait for that fact than it has in place.
    pub(super) many: bool,
}

impl Pending {
    /// Whether it is still the value of its slot: of duplicate keys the last counts.
    fn is_held(&self, held: &[Held]) -> bool {
        self.value_of
            .is_none_or(|(slot, start)| held.get(slot as usize).is_some_and(|held| held.start == start))
    }
}

/// How much was there when an object began.
#[derive(Clone, Copy, Debug)]
pub(in crate::set) struct Mark {
    pub(in crate::set) matched: usize,
    pub(super) seen: usize,
    pub(super) sought: usize,
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
    /// Where its keys are among those sought, one for each probe that looks up a part of it, if they are there.
    pub(in crate::set) sought: Option<SoughtAt>,
    /// Where the patterns are that hold inside it.
    pub(in crate::set) list: (usize, usize),
}

/// An index into what is sought, and one more.
pub(in crate::set) type SoughtAt = NonZeroU32;

impl Scratch {
    /// Makes room for the slots of a set.
    pub(in crate::set) fn prepare(&mut self, slots: usize) {
        if self.held.len() < slots {
            let empty = Held {
                stamp: 0,
                kind: Kind::Null,
                plain: false,
                start: 0,
                end: 0,
                sought: None,
                list: (0, 0),
            };
            self.held.resize(slots, empty);
        }
        self.seen.clear();
        self.matched.clear();
        self.sought.clear();
        self.found_of_sought = 0;
        self.pending.clear();
    }

    /// Leaves an object that has been walked for later.
    pub(in crate::set) fn put_off(&mut self, level: u32, began: Mark, stamp: u64) {
        // No more than one for each slot, but for those whose keys are there again.
        if self.pending.len() > 2 * self.held.len() {
            let held = &self.held;
            self.pending.retain(|object| object.is_held(held));
        }
        let seen = (began.seen, self.seen.len());
        self.pending.push(Pending { level, stamp, seen, value_of: None });
    }

    /// The object put off last is the value of a slot.
    pub(in crate::set) fn put_off_value_of(&mut self, slot: u32, start: usize) {
        if let Some(last) = self.pending.last_mut() {
            last.value_of = Some((slot, start));
        }
    }

    /// What has matched since a place is what holds inside an object that was put off.
    pub(super) fn settle(&mut self, object: Pending, from: usize) {
        if let Some((slot, _)) = object.value_of
            && object.is_held(&self.held)
        {
            self.held[slot as usize].list = (from, self.matched.len());
        }
    }

    /// Where an object begins.
    #[inline]
    pub(in crate::set) fn mark(&self) -> Mark {
        Mark { matched: self.matched.len(), seen: self.seen.len(), sought: self.sought.len() }
    }

    /// Forgets what has been met since; what matched stays.
    #[inline]
    pub(super) fn forget(&mut self, mark: Mark) {
        self.seen.truncate(mark.seen);
        if self.found_of_sought > mark.sought {
            self.sought.truncate(mark.sought);
            self.found_of_sought = mark.sought;
        }
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
