//! What is due when, over everything that waits: a hierarchical timing wheel.
//!
//! A million polls that are asked every thirty seconds come and go 33,000 times a second. An ordered set would search
//! twenty levels of scattered nodes for each; here an entry is appended to the list of a slot, moved to a finer slot as
//! its time comes near, and sorted among the few of its last millisecond (Varghese and Lauck, "Hashed and
//! Hierarchical Timing Wheels", SOSP 1987).
//!
//! ```text
//!  level 0    64 slots of  1.02 ms ─► present: one slot, sorted; what comes too late for its slot: ready, a heap
//!  level 1    64 slots of 65.5 ms       ▲ each slot, when its time begins, goes to finer ones
//!  level 2    64 slots of  4.19 s       │
//!  level 3    64 slots of   268 s       │ … up to the end of time
//! ```
//!
//! What always holds: every entry is given once, never before its time, and in the order of times; entries of one time in
//! the order of `T`. An entry of level n is in the slot of level n+1 that is now; so the earliest is in the first
//! slot in use of the lowest level in use.
//!
//! An entry that no longer holds is not searched for. Whoever gets it sees that it is stale; [`forsake`](Wheel::forsake)
//! counts it, and when more are stale than not, [`sweep`](Wheel::sweep) drops them all. All operations take amortized
//! constant time but for the sort.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::clock::Timestamp;

/// The width of a slot of level 0, as a power of two of microseconds: 1.024 ms.
const FINEST_BITS: u32 = 10;
/// Slots of a level, as a power of two: one bit each in a word.
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
/// As many as 64-bit times need.
const LEVELS: usize = ((64 - FINEST_BITS).div_ceil(SLOT_BITS)) as usize;

#[derive(Debug)]
pub(crate) struct Wheel<T> {
    /// Which slots of each level hold something, and which levels do: asked for every entry, so kept together.
    used: [u64; LEVELS],
    in_use: u16,
    levels: [[Slot<T>; SLOTS]; LEVELS],
    /// The rest of the slot that is now, the last first.
    present: Vec<(Timestamp, T)>,
    /// What came for the slot that is now, or an earlier one, when it was there.
    ready: BinaryHeap<Reverse<(Timestamp, T)>>,
    /// The slot of level 0 that is now, counted from the beginning of time. All before it are empty.
    now: u64,
    len: usize,
    stale: usize,
}

#[derive(Debug)]
struct Slot<T> {
    entries: Vec<(Timestamp, T)>,
    /// Not after the first of them.
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

    pub(crate) fn insert(&mut self, at: Timestamp, what: T) {
        self.len += 1;
        self.place(at, what);
    }

    fn place(&mut self, at: Timestamp, what: T) {
        let tick = at.as_micros() >> FINEST_BITS;
        if tick <= self.now {
            self.ready.push(Reverse((at, what)));
            return;
        }
        // The highest group of bits in which the two differ says how far ahead it is.
        let level = (63 - (tick ^ self.now).leading_zeros()) / SLOT_BITS;
        let slot = (tick >> (level * SLOT_BITS)) as usize % SLOTS;
        self.in_use |= 1 << level;
        self.used[level as usize] |= 1 << slot;
        let slot = &mut self.levels[level as usize][slot];
        slot.first = slot.first.min(at);
        slot.entries.push((at, what));
    }

    /// The first of those whose slot has come.
    fn first_present(&self) -> Option<Timestamp> {
        let present = self.present.last().map(|(at, _)| *at);
        let ready = self.ready.peek().map(|Reverse((at, _))| *at);
        match (present, ready) {
            (Some(present), Some(ready)) => Some(present.min(ready)),
            (present, ready) => present.or(ready),
        }
    }

    /// When to look again: not after the first entry, and exactly then unless that one is stale.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.first_present().or_else(|| {
            let (level, slot) = self.first_used()?;
            Some(self.levels[level][slot].first)
        })
    }

    /// The level and slot of the first entry whose slot has not come.
    fn first_used(&self) -> Option<(usize, usize)> {
        let level = (self.in_use != 0).then(|| self.in_use.trailing_zeros() as usize)?;
        Some((level, self.used[level].trailing_zeros() as usize))
    }

    /// Takes the first entry that is due at `now`.
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

    /// Goes on to the next slot in use, if its time has begun at `tick`. All that was present has been taken.
    fn advance(&mut self, tick: u64) -> Option<()> {
        // After a burst; what is due in an ordinary millisecond is small, and its room is used again.
        self.present.shrink_to(ROOM);
        self.ready.shrink_to(ROOM);
        let Some((level, slot)) = self.first_used() else {
            self.now = self.now.max(tick);
            return None;
        };
        let shift = level as u32 * SLOT_BITS;
        // The slots of a level share what lies above it with the present.
        let above = self.now.checked_shr(shift + SLOT_BITS).unwrap_or(0);
        let begins = (above.checked_shl(SLOT_BITS).unwrap_or(0) | slot as u64) << shift;
        if begins > tick {
            return None;
        }
        self.now = begins;
        self.vacate(level, slot);
        let entries = &mut self.levels[level][slot].entries;
        if level == 0 {
            // Used again in 65 ms: each gets the other's room.
            std::mem::swap(entries, &mut self.present);
            self.present.sort_unstable_by(|a, b| b.cmp(a));
        } else {
            // The room of larger ones is given back.
            for (at, what) in std::mem::take(entries) {
                self.place(at, what);
            }
        }
        Some(())
    }

    /// Says that a slot holds nothing, or soon will not.
    fn vacate(&mut self, level: usize, slot: usize) {
        self.used[level] &= !(1 << slot);
        if self.used[level] == 0 {
            self.in_use &= !(1 << level);
        }
        self.levels[level][slot].first = Timestamp::from_micros(u64::MAX);
    }

    /// Says that an entry that is in here no longer holds. Whether it is time to [`sweep`](Self::sweep).
    pub(crate) fn forsake(&mut self) -> bool {
        self.stale += 1;
        self.stale > FEW && self.stale * 2 > self.len
    }

    /// Says that an entry that was given was stale.
    pub(crate) fn met_stale(&mut self) {
        self.stale = self.stale.saturating_sub(1);
    }

    /// Drops the entries that do not hold.
    pub(crate) fn sweep(&mut self, mut holds: impl FnMut(Timestamp, T) -> bool) {
        self.present.retain(|(at, what)| holds(*at, *what));
        self.ready.retain(|Reverse((at, what))| holds(*at, *what));
        self.len = self.present.len() + self.ready.len();
        for level in 0..LEVELS {
            for slot in 0..SLOTS {
                let entries = &mut self.levels[level][slot].entries;
                entries.retain(|(at, what)| holds(*at, *what));
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

/// Fewer stale entries than this are not worth a sweep.
const FEW: usize = 1024;

/// The room that a list of one millisecond keeps when it is empty: for four million entries a second.
const ROOM: usize = 4096;

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
        // Times near and far, on and beside the borders of slots.
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
        fn gives_what_an_ordered_set_gives(steps in proptest::collection::vec(step(), 1..200)) {
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
                        wheel.sweep(|_, what| what % third != 0);
                        set.retain(|(_, what)| what % third != 0);
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
    fn the_next_time_is_exact_unless_that_entry_is_stale() {
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
    fn what_a_burst_took_is_given_back() {
        let burst = 100_000;
        let mut wheel = Wheel::new();
        for start in [1_000_000, 31_000_000, 61_000_500] {
            // Some of one millisecond that is to come, and as many that are due when they are said.
            for number in 0..burst {
                wheel.insert(at(start), number);
            }
            assert!(largest(&wheel) >= Some(burst as usize));
            assert_eq!(wheel.pop_due(at(start)), Some((at(start), 0)));
            for number in 0..burst {
                wheel.insert(at(start), burst + number);
            }
            assert_eq!(std::iter::from_fn(|| wheel.pop_due(at(start))).count() as u32, 2 * burst - 1);
            assert!(largest(&wheel) <= Some(ROOM), "{:?}", largest(&wheel));
        }
    }

    #[test]
    fn what_was_swept_takes_no_room() {
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
            if wheel.forsake() {
                wheel.sweep(|_, _| false);
                sweeps += 1;
            }
            assert!(wheel.len <= FEW + 1, "{}", wheel.len);
        }
        assert!(sweeps > 10);
    }
}
