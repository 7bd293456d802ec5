//! The schedule: a hierarchical timing wheel.
//!
//! A million polls with an interval of thirty seconds cause 33,000 insertions and removals a second. An ordered set would
//! search twenty levels of scattered nodes for each. Here an entry is appended to the list of a slot, moved to a finer
//! slot as its time approaches, and sorted among the few of its millisecond (Varghese and Lauck, "Hashed and Hierarchical
//! Timing Wheels", SOSP 1987).
//!
//! ```text
//!  level 0    64 slots of  1.02 ms ─► present: the current slot, sorted; entries inserted too late for it: ready, a heap
//!  level 1    64 slots of 65.5 ms       ▲ a slot is distributed to finer ones when its time begins
//!  level 2    64 slots of  4.19 s       │
//!  level 3    64 slots of   268 s       │ and so on, up to 2⁶⁴ µs
//! ```
//!
//! Invariants: every entry is returned once, never before its time, in order of time and then of `T`. All entries of level
//! n lie within the current slot of level n+1, so the earliest entry is in the first used slot of the lowest used level.
//!
//! Entries cannot be removed; the caller recognizes a stale entry when it is returned. [`mark_stale`](Wheel::mark_stale)
//! counts them, and when most are stale, [`sweep`](Wheel::sweep) drops them. All operations take amortized constant time
//! except for the sort.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::clock::Timestamp;

/// The width of a slot of level 0, as a power of two of microseconds: 1.024 ms.
const FINEST_BITS: u32 = 10;
/// The slots of a level, as a power of two: one bit each in a word.
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
/// The number of levels that cover 64-bit times.
const LEVELS: usize = ((64 - FINEST_BITS).div_ceil(SLOT_BITS)) as usize;

#[derive(Debug)]
pub(crate) struct Wheel<T> {
    /// The used slots of each level, and the used levels: read for every entry, so stored together.
    used: [u64; LEVELS],
    in_use: u16,
    levels: [[Slot<T>; SLOTS]; LEVELS],
    /// The rest of the current slot, latest first.
    present: Vec<(Timestamp, T)>,
    /// Entries that were inserted for the current slot or an earlier one.
    ready: BinaryHeap<Reverse<(Timestamp, T)>>,
    /// The current slot of level 0, counted from time zero. All earlier ones are empty.
    now: u64,
    len: usize,
    stale: usize,
}

#[derive(Debug)]
struct Slot<T> {
    entries: Vec<(Timestamp, T)>,
    /// A lower bound of the times of the entries.
    first: Timestamp,
}

impl<T> Slot<T> {
    const EMPTY: Self = Self { entries: Vec::new(), first: Timestamp::from_micros(u64::MAX) };
}

impl<T: Ord + Copy> Wheel<T> {
    pub(crate) fn new() -> Self {
        Self {
            used: [0; LEVELS],
            in_use: 0,
            levels: [const { [const { Slot::EMPTY }; SLOTS] }; LEVELS],
            present: Vec::new(),
            ready: BinaryHeap::new(),
            now: 0,
            len: 0,
            stale: 0,
        }
    }

    pub(crate) fn insert(&mut self, at: Timestamp, item: T) {
        self.len += 1;
        self.place(at, item);
    }

    fn place(&mut self, at: Timestamp, item: T) {
        let tick = at.as_micros() >> FINEST_BITS;
        if tick <= self.now {
            self.ready.push(Reverse((at, item)));
            return;
        }
        // The highest group of bits in which both differ is the level.
        let level = (63 - (tick ^ self.now).leading_zeros()) / SLOT_BITS;
        let slot = (tick >> (level * SLOT_BITS)) as usize % SLOTS;
        self.in_use |= 1 << level;
        self.used[level as usize] |= 1 << slot;
        let slot = &mut self.levels[level as usize][slot];
        slot.first = slot.first.min(at);
        slot.entries.push((at, item));
    }

    /// The time of the first entry in `present` and `ready`.
    fn first_present(&self) -> Option<Timestamp> {
        let present = self.present.last().map(|(at, _)| *at);
        let ready = self.ready.peek().map(|Reverse((at, _))| *at);
        [present, ready].into_iter().flatten().min()
    }

    /// The time of the first entry; possibly earlier if that entry was swept.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.first_present().or_else(|| {
            let (level, slot) = self.first_used()?;
            Some(self.levels[level][slot].first)
        })
    }

    /// The level and slot of the first entry outside of `present` and `ready`.
    fn first_used(&self) -> Option<(usize, usize)> {
        let level = (self.in_use != 0).then(|| self.in_use.trailing_zeros() as usize)?;
        Some((level, self.used[level].trailing_zeros() as usize))
    }

    /// Removes and returns the first entry, if it is due at `now`.
    pub(crate) fn pop_due(&mut self, now: Timestamp) -> Option<(Timestamp, T)> {
        loop {
            let present = match (self.present.last(), self.ready.peek()) {
                (Some(present), Some(Reverse(ready))) => present < ready,
                (present, None) => present.is_some(),
                (None, Some(_)) => false,
            };
            let entry = if present {
                self.present.pop_if(|(at, _)| *at <= now)
            } else if self.ready.peek().is_some_and(|Reverse((at, _))| *at <= now) {
                self.ready.pop().map(|Reverse(entry)| entry)
            } else if self.ready.is_empty() {
                self.advance(now.as_micros() >> FINEST_BITS)?;
                continue;
            } else {
                None
            };
            self.len -= usize::from(entry.is_some());
            return entry;
        }
    }

    /// Moves on to the next used slot, if its time has begun at `tick`. `present` and `ready` are empty.
    fn advance(&mut self, tick: u64) -> Option<()> {
        // Gives back the memory of a burst; the capacity for an ordinary millisecond is kept.
        self.present.shrink_to(KEPT_CAPACITY);
        self.ready.shrink_to(KEPT_CAPACITY);
        let Some((level, slot)) = self.first_used() else {
            self.now = self.now.max(tick);
            return None;
        };
        let shift = level as u32 * SLOT_BITS;
        // All slots of a level lie within the current slot of the level above.
        let above = self.now.checked_shr(shift + SLOT_BITS).unwrap_or(0);
        let begins = (above.checked_shl(SLOT_BITS).unwrap_or(0) | slot as u64) << shift;
        if begins > tick {
            return None;
        }
        self.now = begins;
        self.vacate(level, slot);
        let entries = &mut self.levels[level][slot].entries;
        if level == 0 {
            // The slot is used again in 65 ms, so both vectors are kept.
            std::mem::swap(entries, &mut self.present);
            self.present.sort_unstable_by(|a, b| b.cmp(a));
        } else {
            // Larger slots give their memory back.
            for (at, item) in std::mem::take(entries) {
                self.place(at, item);
            }
        }
        Some(())
    }

    /// Marks a slot as empty.
    fn vacate(&mut self, level: usize, slot: usize) {
        self.used[level] &= !(1 << slot);
        if self.used[level] == 0 {
            self.in_use &= !(1 << level);
        }
        self.levels[level][slot].first = Timestamp::from_micros(u64::MAX);
    }

    /// Counts one entry as stale. Returns whether it is time to [`sweep`](Self::sweep).
    pub(crate) fn mark_stale(&mut self) -> bool {
        self.stale += 1;
        self.stale > MIN_STALE && self.stale * 2 > self.len
    }

    /// Uncounts a stale entry that was returned.
    pub(crate) fn drop_stale(&mut self) {
        self.stale = self.stale.saturating_sub(1);
    }

    /// Drops the entries that are not valid.
    pub(crate) fn sweep(&mut self, mut is_valid: impl FnMut(Timestamp, T) -> bool) {
        self.present.retain(|(at, item)| is_valid(*at, *item));
        self.ready.retain(|Reverse((at, item))| is_valid(*at, *item));
        self.len = self.present.len() + self.ready.len();
        for level in 0..LEVELS {
            for slot in 0..SLOTS {
                let entries = &mut self.levels[level][slot].entries;
                entries.retain(|(at, item)| is_valid(*at, *item));
                entries.shrink_to_fit();
                self.len += entries.len();
                if entries.is_empty() {
                    self.vacate(level, slot);
                }
            }
        }
        self.stale = 0;
    }
}

/// Up to this number, stale entries are not worth a sweep.
const MIN_STALE: usize = 1024;

/// The capacity that the list of one millisecond keeps when it is empty: enough for four million entries a second.
const KEPT_CAPACITY: usize = 4096;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use proptest::prelude::*;

    fn at(micros: u64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u64),
        Pass(u64),
        Sweep(u32),
    }

    fn step() -> impl Strategy<Value = Step> {
        // Times near and far, at and around the borders of slots.
        let span = (0_u32..63).prop_flat_map(|bits| 0..(2_u64 << bits));
        prop_oneof![
            8 => span.clone().prop_map(Step::Insert),
            4 => (0_u64..100_000_000).prop_map(Step::Pass),
            1 => span.prop_map(Step::Pass),
            1 => (1_u32..4).prop_map(Step::Sweep),
        ]
    }

    proptest! {
        /// The same entries, at the same times and in the same order as from an ordered set.
        #[test]
        fn agrees_with_an_ordered_set(steps in proptest::collection::vec(step(), 1..200)) {
            let (mut wheel, mut set) = (Wheel::new(), BTreeSet::new());
            let (mut now, mut number) = (1_u64 << 50, 0_u32);
            for step in steps {
                match step {
                    Step::Insert(after) => {
                        number += 1;
                        let time = at(now.saturating_add(after));
                        wheel.insert(time, number);
                        set.insert((time, number));
                    }
                    Step::Pass(time) => now = now.saturating_add(time),
                    Step::Sweep(third) => {
                        wheel.sweep(|_, item| item % third != 0);
                        set.retain(|(_, item)| item % third != 0);
                    }
                }
                while let Some(due) = wheel.pop_due(at(now)) {
                    prop_assert_eq!(Some(due), set.pop_first());
                }
                let first = set.first().map(|(at, _)| *at);
                prop_assert!(first.is_none_or(|first| first > at(now)), "{:?} is due at {}", first, now);
                prop_assert!(wheel.next() <= first && wheel.next().is_some() == first.is_some());
                prop_assert_eq!(wheel.len, set.len());
            }
            let rest: Vec<_> = std::iter::from_fn(|| wheel.pop_due(at(u64::MAX))).collect();
            prop_assert_eq!(rest, Vec::from_iter(set));
        }
    }

    #[test]
    fn the_next_time_is_exact() {
        let mut wheel = Wheel::new();
        wheel.insert(at(70_000_001), 1);
        wheel.insert(at(70_000_000), 2);
        assert_eq!(wheel.next(), Some(at(70_000_000)));
        assert_eq!(wheel.pop_due(at(69_999_999)), None);
        assert_eq!(wheel.next(), Some(at(70_000_000)));
        assert_eq!(wheel.pop_due(at(70_000_000)), Some((at(70_000_000), 2)));
        assert_eq!(wheel.next(), Some(at(70_000_001)));
    }

    fn largest<T>(wheel: &Wheel<T>) -> Option<usize> {
        let slots = wheel.levels.iter().flatten().map(|slot| slot.entries.capacity());
        slots.chain([wheel.present.capacity(), wheel.ready.capacity()]).max()
    }

    #[test]
    fn a_burst_gives_its_memory_back() {
        let burst = 100_000;
        let mut wheel = Wheel::new();
        for start in [1_000_000, 31_000_000, 61_000_500] {
            // A burst in one millisecond of the future, and another that is due at once.
            for number in 0..burst {
                wheel.insert(at(start), number);
            }
            assert!(largest(&wheel) >= Some(burst as usize));
            assert_eq!(wheel.pop_due(at(start)), Some((at(start), 0)));
            for number in 0..burst {
                wheel.insert(at(start), burst + number);
            }
            assert_eq!(std::iter::from_fn(|| wheel.pop_due(at(start))).count() as u32, 2 * burst - 1);
            assert!(largest(&wheel) <= Some(KEPT_CAPACITY), "{:?}", largest(&wheel));
        }
    }

    #[test]
    fn swept_entries_take_no_memory() {
        let mut wheel = Wheel::new();
        for number in 0..10_000_u64 {
            wheel.insert(at(70_000_000 + number % 2), number);
        }
        wheel.sweep(|_, number| number == 7);
        assert_eq!((wheel.len, largest(&wheel)), (1, Some(1)));
    }

    #[test]
    fn stale_entries_never_outnumber_the_others_for_long() {
        let mut wheel = Wheel::new();
        let mut sweeps = 0;
        for number in 0..100_000_u64 {
            wheel.insert(at(number * 1_000_000), number);
            if wheel.mark_stale() {
                wheel.sweep(|_, _| false);
                sweeps += 1;
            }
            assert!(wheel.len <= MIN_STALE + 1, "{}", wheel.len);
        }
        assert!(sweeps > 10);
    }
}
