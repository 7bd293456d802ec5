//! Ranges of numbers, found by a number that they contain.
//!
//! Numbers are mapped to 64-bit integers that sort as they do. The two bounds of a range have their upper bits in common
//! down to one bit, where they first differ. Ranges with the same common bits form one bucket, and all of them contain the
//! number in the middle, where that bit changes. Hence a number below the middle lies in the ranges of its bucket whose low
//! bound is not above it, and a number above the middle in those whose high bound is not below it: two ordered sets. A
//! number has at most 65 buckets, one for each bit and one for single numbers.
//!
//! This is an interval tree whose shape the bits imply and whose nodes are found by hashing: nothing needs balancing, and
//! adding or removing a range changes one bucket.
//!
//! The mapping uses the nearest f64, so a bound may be slightly off; the predicate is evaluated afterwards.

use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::Index;
use super::predicate::Tag;
use crate::ops::{Moment, Num, Range, TimeBound};
use crate::set::store::Sorted;

/// The ranges of one field whose bounds differ first at `bit` and have the bits `above` it in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::set) struct BucketId {
    field: u32,
    /// The kind of values that are looked up: [`Tag::RANGE`] with its flags.
    tag: Tag,
    bit: u8,
    above: u64,
}

impl BucketId {
    fn of(field: u32, tag: Tag, bounds: Bounds) -> Self {
        Self { field, tag, bit: bounds.bit(), above: above(bounds.bit(), bounds.low) }
    }

    fn hash(self, seeds: &RandomState) -> u64 {
        let mut hasher = seeds.build_hasher();
        hasher.write_u64(u64::from(self.field) << 16 | u64::from(self.tag.0) << 8 | u64::from(self.bit));
        hasher.write_u64(self.above);
        hasher.finish()
    }
}

#[derive(Clone, Debug, Default)]
pub(in crate::set) struct Bucket {
    id: BucketId,
    by_low: Arc<Sorted>,
    by_high: Arc<Sorted>,
}

impl Bucket {
    fn insert(&mut self, bounds: Bounds, predicate: u32) {
        Arc::make_mut(&mut self.by_low).insert((bounds.low, predicate));
        Arc::make_mut(&mut self.by_high).insert((bounds.high, predicate));
    }

    fn remove(&mut self, bounds: Bounds, predicate: u32) {
        Arc::make_mut(&mut self.by_low).remove((bounds.low, predicate));
        Arc::make_mut(&mut self.by_high).remove((bounds.high, predicate));
    }

    /// Estimated heap memory in bytes.
    pub(in crate::set) fn bytes(&self) -> usize {
        self.by_low.bytes() + self.by_high.bytes()
    }

    /// Calls `found` with the predicates whose range may contain the number with this key.
    fn containing(&self, number: u64, mut found: impl FnMut(u32)) {
        let bit = self.id.bit;
        if bit < SAME && number >> bit & 1 == 1 {
            self.by_high.from((number, 0)).for_each(|(_, predicate)| found(predicate));
        } else {
            self.by_low.up_to((number, u32::MAX)).for_each(|(_, predicate)| found(predicate));
        }
    }
}

impl Index {
    /// Calls `found` with the predicates on a field whose range may contain a number and whose bounds differ first at `bit`.
    pub(in crate::set) fn ranges_containing(
        &self,
        field: u32,
        tag: Tag,
        bit: u8,
        number: u64,
        found: impl FnMut(u32),
    ) {
        let id = BucketId { field, tag, bit, above: above(bit, number) };
        if let Some(bucket) = self.bucket(id) {
            self.buckets.at(bucket).containing(number, found);
        }
    }

    #[inline]
    fn bucket(&self, id: BucketId) -> Option<u32> {
        self.bucket_table.find(id.hash(&self.seeds), |number| self.buckets.at(number).id == id)
    }

    pub(in crate::set) fn add_range(&mut self, field: u32, tag: Tag, bounds: Bounds, predicate: u32) {
        let id = BucketId::of(field, tag, bounds);
        let number = self.bucket(id).unwrap_or_else(|| {
            let number = self.buckets.add(Bucket { id, ..Bucket::default() });
            self.bucket_table.insert(id.hash(&self.seeds), number);
            number
        });
        self.buckets.at_mut(number).insert(bounds, predicate);
    }

    pub(in crate::set) fn remove_range(&mut self, field: u32, tag: Tag, bounds: Bounds, predicate: u32) {
        let id = BucketId::of(field, tag, bounds);
        let Some(number) = self.bucket(id) else { return };
        let bucket = self.buckets.at_mut(number);
        bucket.remove(bounds, predicate);
        if bucket.by_low.is_empty() {
            self.bucket_table.remove(id.hash(&self.seeds), number);
            self.buckets.take(number);
        }
    }
}

/// In place of a bit, for two bounds that are the same number.
pub(in crate::set) const SAME: u8 = 64;

/// The bounds of a range as sortable integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::set) struct Bounds {
    pub(super) low: u64,
    pub(super) high: u64,
}

impl Bounds {
    pub(in crate::set) fn of(range: &Range) -> Self {
        let low = range.low.map_or(0, |bound| sort_key(bound.at));
        let high = range.high.map_or(u64::MAX, |bound| sort_key(bound.at));
        // An empty range contains no number, so any bounds will do.
        Self { low: low.min(high), high: high.max(low) }
    }

    pub(in crate::set) fn of_time(bound: &TimeBound) -> Self {
        let at = time_key(bound.at);
        if bound.after { Self { low: at, high: u64::MAX } } else { Self { low: 0, high: at } }
    }

    /// The bounds within both. If there is nothing between them, any will do.
    pub(in crate::set) fn intersection(self, other: Self) -> Self {
        let (low, high) = (self.low.max(other.low), self.high.min(other.high));
        Self { low: low.min(high), high: high.max(low) }
    }

    /// The number of bits of their distance.
    pub(in crate::set) fn width(self) -> u8 {
        (u64::BITS - (self.high - self.low).leading_zeros()) as u8
    }

    /// The highest bit in which the bounds differ.
    pub(in crate::set) fn bit(self) -> u8 {
        (self.low ^ self.high).checked_ilog2().and_then(|bit| u8::try_from(bit).ok()).unwrap_or(SAME)
    }

    pub(in crate::set) fn to_bytes(self) -> [u8; 16] {
        (u128::from(self.low) << 64 | u128::from(self.high)).to_le_bytes()
    }

    pub(in crate::set) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let both = u128::from_le_bytes(bytes.try_into().ok()?);
        Some(Self { low: (both >> 64) as u64, high: both as u64 })
    }
}

/// The bits of a sort key above one bit.
#[inline]
fn above(bit: u8, key: u64) -> u64 {
    match bit {
        SAME => key,
        63 => 0,
        _ => key >> (bit + 1),
    }
}

/// An integer that sorts as the nearest f64 of a number does.
#[inline]
pub(in crate::set) fn sort_key(number: Num) -> u64 {
    let float = number.nearest();
    // The bits of negative floats sort backwards; adding zero turns -0 into 0.
    let bits = (float + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

/// An integer that sorts as moments do, except that moments less than 64 nanoseconds apart may be equal.
#[inline]
pub(in crate::set) fn time_key(moment: Moment) -> u64 {
    (moment.nanoseconds() >> 6) as u64 ^ 1 << 63
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::predicate::Predicate;
    use super::*;

    fn number() -> impl Strategy<Value = Num> {
        prop_oneof![
            (-20..20_i64).prop_map(Num::Int),
            any::<i64>().prop_map(Num::Int),
            any::<f64>().prop_filter_map("finite", Num::from_f64),
            (-40..40_i64).prop_filter_map("fraction", |n| Num::from_f64(n as f64 / 4.0)),
        ]
    }

    fn range() -> impl Strategy<Value = Range> {
        prop_oneof![
            (number(), any::<bool>()).prop_map(|(at, inclusive)| Range::above(at, inclusive)),
            (number(), any::<bool>()).prop_map(|(at, inclusive)| Range::below(at, inclusive)),
            (number(), number()).prop_map(|(low, high)| Range::closed(low, high)),
        ]
    }

    proptest! {
        #[test]
        fn finds_every_range_that_contains_a_number(
            ranges in proptest::collection::vec(range(), 0..40),
            number in number(),
        ) {
            let mut index = Index::new();
            for range in &ranges {
                let bounds = Bounds::of(range);
                prop_assert_eq!(Bounds::from_bytes(&bounds.to_bytes()), Some(bounds));
                let predicate = index.predicates.add(Predicate::default());
                index.add_range(0, Tag::RANGE, bounds, predicate);
            }
            let mut found = Vec::new();
            for bit in 0..=SAME {
                index.ranges_containing(0, Tag::RANGE, bit, sort_key(number), |predicate| found.push(predicate));
            }
            found.retain(|&predicate| ranges[predicate as usize].contains(number));
            found.sort_unstable();
            let expected: Vec<u32> =
                (0..ranges.len() as u32).filter(|&predicate| ranges[predicate as usize].contains(number)).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
