//! The working memory of matching one event, reused for the next.

use std::num::NonZeroU32;

use crate::scan::ValueKind;
use crate::set::index::Requirement;

/// Working memory for any set: stamps tell apart what an earlier event has left in it.
#[derive(Clone, Debug, Default)]
pub(in crate::set) struct Scratch {
    /// The stamp of the object that began last.
    stamp: u64,
    /// For each field node, the value that the object with its stamp has there. Objects at one node never overlap, so one
    /// place for each field node is enough.
    values: Vec<FieldValue>,
    /// The field nodes with a value in the objects being walked, those of the innermost object last.
    pub(super) seen: Vec<u32>,
    /// The patterns that hold for values of the objects being walked; in the end, the rules that match.
    pub(in crate::set) matched: Vec<u32>,
    /// Rules that match and are not in `matched`, while filters on the event itself are looked for.
    pub(in crate::set) others: Vec<u32>,
    /// The predicates that a value may satisfy by its keys; kept for its capacity.
    pub(super) found: Vec<Found>,
    /// The predicates to which keys of a value lead; kept for its capacity.
    pub(super) led: Vec<u32>,
    /// The accesses with a scope that hold for the object being judged.
    pub(super) scopes: Vec<Requirement>,
    /// The state of each junction.
    junctions: Vec<JunctionState>,
    /// Empty; the memory of the list of values of a parsed event.
    pub(super) parsed: Vec<&'static serde_json::Value>,
    /// A text under case folding, and one in lower case.
    pub(super) text: Vec<u8>,
    pub(super) lower: Vec<u8>,
    /// Prefetched keys of text values in the objects being walked.
    pub(super) lookups: Vec<Lookup>,
    /// The number of lookups that have been resolved to a predicate.
    pub(super) resolved_lookups: usize,
    /// Objects that have been walked and are judged later, inner objects first.
    pub(in crate::set) deferred: Vec<DeferredObject>,
}

/// A predicate found by a key, with a flag whether it need not be evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Found(u32);

impl Found {
    pub(super) fn certain(predicate: u32) -> Self {
        Self(predicate << 1 | 1)
    }

    pub(super) fn possible(predicate: u32) -> Self {
        Self(predicate << 1)
    }

    pub(super) fn predicate(self) -> u32 {
        self.0 >> 1
    }

    pub(super) fn is_certain(self) -> bool {
        self.0 & 1 == 1
    }
}

/// An object that has been walked and not judged yet. Its values are still in the scratch memory: no other object at its
/// node has been walked since.
#[derive(Clone, Copy, Debug)]
pub(in crate::set) struct DeferredObject {
    pub(super) object: u32,
    pub(super) stamp: u64,
    /// A range of `seen` with all its fields and perhaps those of other objects.
    pub(super) seen: (usize, usize),
    /// The field node whose value it is, and its offset in the document.
    value_of: Option<(u32, usize)>,
}

impl DeferredObject {
    /// Whether it is still the value of its field: of duplicate keys, the last one counts.
    fn is_current(&self, values: &[FieldValue]) -> bool {
        self.value_of
            .is_none_or(|(field, start)| values.get(field as usize).is_some_and(|v| v.start == start))
    }
}

/// The state of a junction on the object with its stamp.
#[derive(Clone, Copy, Debug, Default)]
struct JunctionState {
    stamp: u64,
    /// Whether some of its patterns holds.
    holds: bool,
    /// Whether its dependents have been checked.
    visited: bool,
}

/// A key for which the lookup has been prefetched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lookup {
    pub(super) hash: u64,
    /// Once resolved: the predicate that most probably has the key; `None` if there is none.
    pub(super) predicate: Option<u32>,
    /// Whether its postings may be on the heap.
    pub(super) many: bool,
}

/// The lengths of the stacks in [`Scratch`] when an object begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) matched: usize,
    pub(super) seen: usize,
    lookups: usize,
}

/// The value of a field.
#[derive(Clone, Copy, Debug)]
pub(super) struct FieldValue {
    pub(super) stamp: u64,
    pub(super) kind: ValueKind,
    /// Whether it is a string without a backslash.
    pub(super) plain: bool,
    /// Its bytes in the document.
    pub(super) start: usize,
    pub(super) end: usize,
    /// The first of its lookups, if they have been prefetched: one for each probe that applies to it.
    pub(super) first_lookup: Option<LookupIndex>,
    /// The range of `matched` with the patterns that hold inside the value.
    pub(super) patterns: (usize, usize),
}

/// An index into the lookups, plus one.
pub(super) type LookupIndex = NonZeroU32;

/// Up to this many predicates in `led`, there are no duplicates.
const FEW_LED: usize = 8;

/// Up to this many patterns of array elements, duplicates are kept.
const MIN_DEDUP: usize = 64;

impl Scratch {
    /// Clears the memory and makes room for the field nodes and junctions of a set.
    #[inline]
    pub(super) fn prepare(&mut self, fields: usize, junctions: usize) {
        if self.values.len() < fields || self.junctions.len() < junctions {
            self.grow(fields, junctions);
        }
        self.seen.clear();
        self.matched.clear();
        self.lookups.clear();
        self.resolved_lookups = 0;
        self.deferred.clear();
    }

    #[cold]
    fn grow(&mut self, fields: usize, junctions: usize) {
        let none = FieldValue {
            stamp: 0,
            kind: ValueKind::Null,
            plain: false,
            start: 0,
            end: 0,
            first_lookup: None,
            patterns: (0, 0),
        };
        self.values.resize(self.values.len().max(fields), none);
        self.junctions.resize(self.junctions.len().max(junctions), JunctionState::default());
    }

    pub(super) fn defer(&mut self, object: u32, began: Mark, stamp: u64) {
        // Duplicate keys leave objects that are not current. Without them there is at most one for each field.
        if self.deferred.len() > 2 * self.values.len() {
            let values = &self.values;
            self.deferred.retain(|object| object.is_current(values));
        }
        let seen = (began.seen, self.seen.len());
        self.deferred.push(DeferredObject { object, stamp, seen, value_of: None });
    }

    /// Records the field whose value the object deferred last is.
    pub(super) fn defer_value_of(&mut self, field: u32, start: usize) {
        if let Some(last) = self.deferred.last_mut() {
            last.value_of = Some((field, start));
        }
    }

    /// Gives the patterns found since `from` to the field whose value the deferred object is.
    pub(super) fn set_deferred_patterns(&mut self, object: DeferredObject, from: usize) {
        if let Some((field, _)) = object.value_of
            && object.is_current(&self.values)
        {
            self.values[field as usize].patterns = (from, self.matched.len());
        }
    }

    #[inline]
    pub(super) fn mark(&self) -> Mark {
        Mark { matched: self.matched.len(), seen: self.seen.len(), lookups: self.lookups.len() }
    }

    /// Removes the fields and lookups of an object; patterns stay.
    #[inline]
    pub(super) fn forget(&mut self, mark: Mark) {
        self.seen.truncate(mark.seen);
        if self.resolved_lookups > mark.lookups {
            self.lookups.truncate(mark.lookups);
            self.resolved_lookups = mark.lookups;
        }
    }

    /// A stamp for another object.
    #[inline]
    pub(super) fn stamp(&mut self) -> u64 {
        self.stamp += 1;
        self.stamp
    }

    /// Stores a field's value. Returns whether it is the first one of that field in its object.
    #[inline]
    pub(super) fn set_value(&mut self, field: u32, value: FieldValue) -> bool {
        let Some(place) = self.values.get_mut(field as usize) else { return false };
        let first = place.stamp != value.stamp;
        *place = value;
        if first {
            self.seen.push(field);
        }
        first
    }

    /// Whether some pattern of a junction holds for the object with a stamp, if that is known.
    #[inline]
    pub(super) fn junction(&self, number: u32, stamp: u64) -> Option<bool> {
        self.junctions.get(number as usize).filter(|known| known.stamp == stamp).map(|known| known.holds)
    }

    pub(super) fn set_junction(&mut self, number: u32, stamp: u64, holds: bool) {
        if let Some(place) = self.junctions.get_mut(number as usize) {
            *place = JunctionState { stamp, holds, visited: false };
        }
    }

    /// Records that some pattern of a junction holds. Returns whether its dependents are still to be checked.
    pub(super) fn visit_junction(&mut self, number: u32, stamp: u64) -> bool {
        let Some(place) = self.junctions.get_mut(number as usize) else { return false };
        let first = place.stamp != stamp || !place.visited;
        *place = JunctionState { stamp, holds: true, visited: true };
        first
    }

    /// The value of a field in the object with a stamp.
    #[inline]
    pub(super) fn value(&self, field: u32, stamp: u64) -> Option<&FieldValue> {
        self.values.get(field as usize).filter(|value| value.stamp == stamp)
    }

    /// Adds a predicate to `led`. A few are compared at once, which takes less than sorting them later.
    #[inline]
    pub(super) fn add_led(&mut self, predicate: u32) {
        if self.led.len() >= FEW_LED || !self.led.contains(&predicate) {
            self.led.push(predicate);
        }
    }

    /// Removes duplicates from `led`.
    #[inline]
    pub(super) fn dedup_led(&mut self) {
        if self.led.len() > FEW_LED {
            self.led.sort_unstable();
            self.led.dedup();
        }
    }

    /// Sorts the patterns found since `from` and removes duplicates.
    #[inline]
    pub(super) fn sort_matched(&mut self, from: usize) {
        if self.matched.len() > from + 1 {
            self.sort_many(from);
        }
    }

    fn sort_many(&mut self, from: usize) {
        let Some(list) = self.matched.get_mut(from..) else { return };
        list.sort_unstable();
        let mut kept = 1;
        for at in 1..list.len() {
            if list[at] != list[kept - 1] {
                list[kept] = list[at];
                kept += 1;
            }
        }
        self.matched.truncate(from + kept);
    }
}

/// The patterns found for the elements of an array. Removing duplicates now and then keeps them from growing with the array.
pub(super) struct ElementPatterns {
    pub(super) from: usize,
    /// The length of `matched` at which duplicates are removed next.
    limit: usize,
}

impl ElementPatterns {
    pub(super) fn new(scratch: &Scratch) -> Self {
        let from = scratch.matched.len();
        Self { from, limit: from + MIN_DEDUP }
    }

    pub(super) fn dedup(&mut self, scratch: &mut Scratch) {
        if scratch.matched.len() > self.limit {
            scratch.sort_matched(self.from);
            self.limit = self.from + MIN_DEDUP + 2 * (scratch.matched.len() - self.from);
        }
    }
}
