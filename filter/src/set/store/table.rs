//! A hash table from hashes to numbers. The caller compares the keys that the numbers stand for.

use super::chunked::Chunked;

/// Numbers by hash, with linear probing in the order of the hashes. Clones share all data that does not change. A change copies
/// little, except for growing, which copies everything and has amortized constant cost.
///
/// The table stores the upper half of each hash, which determines the position for any capacity. So growing does not need the
/// keys, and reads and writes both tables sequentially. In an ordered table, an unsuccessful search is as short as a successful
/// one (Amble and Knuth, "Ordered hash tables", 1974): 2 steps on average in a full table, not 5.
#[derive(Clone, Debug)]
pub(in crate::set) struct Table<H = ()> {
    /// As many entries as the capacity, and some more that collisions have moved beyond it.
    entries: Chunked<Entry<H>>,
    capacity: usize,
    used: usize,
}

/// A number, or nothing. Entries are sorted by descending `mark`, so that an empty one ends a run.
#[derive(Clone, Copy, Debug, Default)]
struct Entry<H> {
    /// The complement of the hash's upper half.
    mark: u32,
    /// The number plus one; 0 is nothing.
    number: u32,
    hint: H,
}

/// This many entries take a quarter of a megabyte.
const LARGE: usize = 1 << 14;

/// The initial capacity.
const SMALLEST: usize = 8;

impl<H> Default for Table<H> {
    fn default() -> Self {
        Self { entries: Chunked::default(), capacity: 0, used: 0 }
    }
}

impl<H: Copy + Default> Table<H> {
    /// The number with this hash for which `is` holds.
    #[inline]
    pub(in crate::set) fn find(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        self.place(hash, is).map(|(_, entry)| entry.number - 1)
    }

    /// The first number that a search for this hash finds, with its hint.
    #[inline]
    pub(in crate::set) fn peek(&self, hash: u64) -> Option<(u32, H)> {
        self.place(hash, |_| true).map(|(_, entry)| (entry.number - 1, entry.hint))
    }

    /// Whether it is larger than the caches of one core.
    #[inline]
    pub(in crate::set) fn is_large(&self) -> bool {
        self.capacity > LARGE
    }

    /// Prefetches the entry at which a search for this hash begins.
    #[inline]
    pub(in crate::set) fn prefetch(&self, hash: u64) {
        self.entries.prefetch(home(mark(hash), self.capacity));
    }

    /// Sets the hint of a number that is in the table.
    pub(in crate::set) fn set_hint(&mut self, hash: u64, number: u32, hint: H) {
        if let Some((place, _)) = self.place(hash, |other| other == number)
            && let Some(entry) = self.entries.get_mut(place)
        {
            entry.hint = hint;
        }
    }

    #[inline(always)]
    fn place(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<(usize, &Entry<H>)> {
        let mark = mark(hash);
        let mut place = home(mark, self.capacity);
        loop {
            let entry = self.entries.get(place)?;
            if entry.mark == mark {
                if is(entry.number.checked_sub(1)?) {
                    return Some((place, entry));
                }
            } else if entry.mark < mark {
                return None;
            }
            place += 1;
        }
    }

    /// Adds a number that is not in the table.
    pub(in crate::set) fn insert(&mut self, hash: u64, number: u32) {
        // At most two thirds full: a search then takes 2 steps on average (Knuth, volume 3, 6.4).
        if (self.used + 1) * 3 > self.capacity * 2 {
            self.grow();
        }
        let mark = mark(hash);
        let mut entry = Entry { mark, number: number + 1, hint: H::default() };
        let mut place = home(mark, self.capacity);
        while self.entries.get(place).is_some_and(|other| other.number != 0 && other.mark >= mark) {
            place += 1;
        }
        // Move the following entries up by one.
        while entry.number != 0 {
            std::mem::swap(self.at(place), &mut entry);
            place += 1;
        }
        self.used += 1;
    }

    /// Moves all entries to a larger table, sequentially. The memory of the old table is released along the way.
    fn grow(&mut self) {
        // A small table is moved less often, for little memory.
        let larger = if self.capacity < LARGE { self.capacity * 2 } else { self.capacity / 2 * 3 };
        self.capacity = SMALLEST.max(larger);
        let mut next = 0;
        std::mem::take(&mut self.entries).into_each(|entry| {
            if entry.number != 0 {
                next = next.max(home(entry.mark, self.capacity));
                *self.at(next) = entry;
                next += 1;
            }
        });
        self.entries.fill_to(self.capacity, self.capacity);
    }

    /// An entry to modify. Adds entries at the end up to it.
    #[inline]
    fn at(&mut self, place: usize) -> &mut Entry<H> {
        if place < self.entries.len() {
            return self.entries.get_mut(place).expect("invariant: it is below the length");
        }
        self.entries.fill_to((place + 1).min(self.capacity), self.capacity);
        if self.entries.len() == place {
            self.entries.push(Entry::default());
        }
        self.entries.get_mut(place).expect("invariant: no place is left out")
    }

    /// Removes a number that is in the table. The entries behind it move back, so that searches still find them.
    pub(in crate::set) fn remove(&mut self, hash: u64, number: u32) {
        let Some((mut hole, _)) = self.place(hash, |other| other == number) else { return };
        self.used -= 1;
        while let Some(&next) = self.entries.get(hole + 1)
            && next.number != 0
            && home(next.mark, self.capacity) <= hole
        {
            *self.at(hole) = next;
            hole += 1;
        }
        *self.at(hole) = Entry::default();
    }

    /// Memory in bytes.
    pub(in crate::set) fn bytes(&self) -> usize {
        self.entries.bytes()
    }
}

#[inline]
fn mark(hash: u64) -> u32 {
    !((hash >> 32) as u32)
}

/// The position at which a search begins: the hash as a fraction of the capacity, which need not be a power of two.
#[inline]
fn home(mark: u32, capacity: usize) -> usize {
    ((u64::from(!mark) * capacity as u64) >> 32) as usize
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn finds_exactly_the_numbers_in_the_table() {
        // Few distinct home positions make long runs, the last one beyond the capacity.
        let hash = |number: u32| {
            u64::from(number % 7).wrapping_mul(0x2492_4924_9249_2492)
                | u64::from(number) << 32 & 0xFF_FFFF_FFFF
        };
        let mut table = Table::<()>::default();
        let mut present = std::collections::BTreeSet::new();
        for step in 0_u32..4000 {
            let number = step.wrapping_mul(2_654_435_761) % 97;
            if present.remove(&number) {
                table.remove(hash(number), number);
            } else {
                present.insert(number);
                table.insert(hash(number), number);
            }
            for number in 0..97 {
                let found = table.find(hash(number), |other| other == number);
                assert_eq!(found.is_some(), present.contains(&number), "{number} after step {step}");
            }
        }
    }
}
