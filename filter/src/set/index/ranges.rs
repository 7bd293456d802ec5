//! Ranges of numbers, found by a number inside.
//!
//! Numbers are ordered as 64-bit integers. The two ends of a range agree in their upper bits down to one, where they
//! part; just between lies a number that all ranges with these upper bits, parting there, contain. So such ranges are
//! one bucket, and of a bucket those contain a number below the middle whose low end is not above it, and a number above
//! it those whose high end is not below: two ordered lists. A number is in ranges of at most 64 buckets, one for each bit.
//! It is an interval tree in which the tree is implied by the bits and the nodes are found by hashing: nothing needs to
//! be balanced, and adding or removing a range changes one bucket.
//!
//! The order is that of the nearest f64, so that both ends of a range may be a little off; what is found is asked again.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::ops::{Num, Range};

/// The ranges of one bucket.
#[derive(Clone, Debug, Default)]
pub(super) struct Bucket {
    pub(super) slot: u32,
    pub(super) deep: bool,
    pub(super) bit: u8,
    pub(super) above: u64,
    by_low: Arc<BTreeSet<(u64, u32)>>,
    by_high: Arc<BTreeSet<(u64, u32)>>,
}

impl Bucket {
    pub(super) fn new(slot: u32, deep: bool, bit: u8, above: u64) -> Self {
        Self { slot, deep, bit, above, ..Self::default() }
    }

    pub(super) fn insert(&mut self, ends: Ends, fact: u32) {
        Arc::make_mut(&mut self.by_low).insert((ends.low, fact));
        Arc::make_mut(&mut self.by_high).insert((ends.high, fact));
    }

    pub(super) fn remove(&mut self, ends: Ends, fact: u32) {
        Arc::make_mut(&mut self.by_low).remove(&(ends.low, fact));
        Arc::make_mut(&mut self.by_high).remove(&(ends.high, fact));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_low.is_empty()
    }

    /// About how much memory it owns, in bytes: the nodes of the trees are two thirds full on average.
    pub(super) fn bytes(&self) -> usize {
        (self.by_low.len() + self.by_high.len()) * size_of::<(u64, u32)>() * 3 / 2
    }

    /// Calls `found` with the facts whose range may contain the number that is at this place in the order.
    pub(super) fn containing(&self, bit: u8, place: u64, mut found: impl FnMut(u32)) {
        if bit < 64 && place >> bit & 1 == 1 {
            self.by_high.range((place, 0)..).for_each(|&(_, fact)| found(fact));
        } else {
            self.by_low.range(..=(place, u32::MAX)).for_each(|&(_, fact)| found(fact));
        }
    }
}

/// The bit at which numbers part that are all equal above it; 64 where they are one number.
pub(super) const SAME: u8 = 64;

/// Both ends of a range, as places in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    low: u64,
    high: u64,
}

impl Ends {
    pub(super) fn of(range: &Range) -> Self {
        let low = range.low.map_or(0, |bound| place(bound.at));
        let high = range.high.map_or(u64::MAX, |bound| place(bound.at));
        // An empty range contains nothing, wherever it is found.
        Self { low: low.min(high), high: high.max(low) }
    }

    /// The bit at which they part.
    pub(super) fn bit(self) -> u8 {
        (self.low ^ self.high).checked_ilog2().and_then(|bit| u8::try_from(bit).ok()).unwrap_or(SAME)
    }

    /// The bits above that.
    pub(super) fn above(self) -> u64 {
        above(self.bit(), self.low)
    }

    pub(super) fn to_bytes(self) -> [u8; 16] {
        (u128::from(self.low) << 64 | u128::from(self.high)).to_le_bytes()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let both = u128::from_le_bytes(bytes.try_into().ok()?);
        Some(Self { low: (both >> 64) as u64, high: both as u64 })
    }
}

/// The bits of a place above one bit.
#[inline]
pub(super) fn above(bit: u8, place: u64) -> u64 {
    match bit {
        SAME => place,
        63 => 0,
        _ => place >> (bit + 1),
    }
}

/// Where a number stands in the order of the nearest f64.
#[inline]
pub(super) fn place(number: Num) -> u64 {
    let float = number.nearest();
    // Negative floats are ordered backwards by their bits; zero has no sign here.
    let bits = (float + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

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
            let mut buckets: HashMap<(u8, u64), Bucket> = HashMap::new();
            for (fact, range) in ranges.iter().enumerate() {
                let ends = Ends::of(range);
                prop_assert_eq!(Ends::from_bytes(&ends.to_bytes()), Some(ends));
                buckets.entry((ends.bit(), ends.above())).or_default().insert(ends, fact as u32);
            }
            let mut found = Vec::new();
            for bit in 0..=SAME {
                if let Some(bucket) = buckets.get(&(bit, above(bit, place(number)))) {
                    bucket.containing(bit, place(number), |fact| found.push(fact));
                }
            }
            found.retain(|&fact| ranges[fact as usize].contains(number));
            found.sort_unstable();
            let expected: Vec<u32> =
                (0..ranges.len() as u32).filter(|&fact| ranges[fact as usize].contains(number)).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
