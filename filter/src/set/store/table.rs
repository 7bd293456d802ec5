//! A hash table from hashes to numbers. What a number stands for, and whether it is the one looked for, its user knows.

use super::chunked::Chunked;

/// Numbers by hash, by linear probing. Copies share what does not change; a change copies little, but for growing, which
/// copies all of it and happens ever more rarely.
///
/// Of a hash its upper half is kept, from which the place follows in a table of any capacity: so growing asks nobody for
/// hashes, and goes through both tables from front to back.
#[derive(Clone, Debug)]
pub(in crate::set) struct Table<H = ()> {
    /// The upper half of the hash, and the number plus one: 0 is free.
    entries: Chunked<(u32, u32, H)>,
    used: usize,
}

/// So many entries are a quarter of a megabyte.
const LARGE: usize = 1 << 14;

/// The capacity at first.
const SMALLEST: usize = 8;

impl<H> Default for Table<H> {
    fn default() -> Self {
        Self { entries: Chunked::default(), used: 0 }
    }
}

impl<H: Copy + Default> Table<H> {
    /// A number of this hash that is the right one.
    #[inline]
    pub(in crate::set) fn find(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        self.place(tag(hash), is).map(|(_, number)| number)
    }

    /// What is most likely to be found by this hash, with its hint.
    #[inline]
    pub(in crate::set) fn peek(&self, hash: u64) -> Option<(u32, H)> {
        let (place, number) = self.place(tag(hash), |_| true)?;
        self.entries.get(place).map(|&(_, _, hint)| (number, hint))
    }

    /// Whether it is larger than what a core has of caches.
    #[inline]
    pub(in crate::set) fn is_large(&self) -> bool {
        self.entries.len() > LARGE
    }

    /// Has the processor fetch what a search for this hash begins with.
    #[inline]
    pub(in crate::set) fn prefetch(&self, hash: u64) {
        self.entries.prefetch(home(tag(hash), self.entries.len()));
    }

    /// Changes the hint of a number that is there.
    pub(in crate::set) fn hint(&mut self, hash: u64, number: u32, hint: H) {
        if let Some((place, _)) = self.place(tag(hash), |other| other == number)
            && let Some(entry) = self.entries.get_mut(place)
        {
            entry.2 = hint;
        }
    }

    #[inline(always)]
    fn place(&self, tag: u32, is: impl Fn(u32) -> bool) -> Option<(usize, u32)> {
        let capacity = self.entries.len();
        let mut place = home(tag, capacity);
        loop {
            let &(other, number, _) = self.entries.get(place)?;
            let number = number.checked_sub(1)?;
            if other == tag && is(number) {
                return Some((place, number));
            }
            place = if place + 1 == capacity { 0 } else { place + 1 };
        }
    }

    /// Adds a number that is not there.
    pub(in crate::set) fn insert(&mut self, hash: u64, number: u32) {
        // At most two thirds full: a search for what is not there then takes 5 steps on average, at seven eighths it took 32
        // (Knuth, volume 3, 6.4).
        if (self.used + 1) * 3 > self.entries.len() * 2 {
            self.grow();
        }
        let capacity = self.entries.len();
        self.put((tag(hash), number + 1, H::default()), capacity);
        self.used += 1;
    }

    /// Moves everything to a larger table. That goes through both from front to back, and gives the old one's memory to the
    /// new one as it goes.
    fn grow(&mut self) {
        let (small, large) = (self.entries.len(), SMALLEST.max(self.entries.len() / 2 * 3));
        let old = std::mem::take(&mut self.entries);
        // Those that have been pushed over the end, to the front, belong to the end.
        let mut last = Vec::new();
        let mut place = 0;
        old.into_each(|entry| {
            if entry.1 == 0 {
                // Nothing is there.
            } else if home(entry.0, small) > place {
                last.push(entry);
            } else {
                self.put(entry, large);
            }
            place += 1;
        });
        self.entries.fill_to(large, large);
        last.into_iter().for_each(|entry| self.put(entry, large));
    }

    /// Puts an entry where there is room in a table that is to have this capacity.
    fn put(&mut self, entry: (u32, u32, H), capacity: usize) {
        let mut place = home(entry.0, capacity);
        loop {
            self.entries.fill_to(place + 1, capacity);
            if self.entries.get(place).is_none_or(|&(_, taken, _)| taken == 0) {
                break;
            }
            place = if place + 1 == capacity { 0 } else { place + 1 };
        }
        self.set(place, entry);
    }

    /// Removes a number that is there; those behind it move up, so that none is cut off from its home.
    pub(in crate::set) fn remove(&mut self, hash: u64, number: u32) {
        let Some((mut hole, _)) = self.place(tag(hash), |other| other == number) else { return };
        let capacity = self.entries.len();
        self.used -= 1;
        let mut place = hole;
        loop {
            place = if place + 1 == capacity { 0 } else { place + 1 };
            let Some(&entry) = self.entries.get(place).filter(|(_, number, _)| *number != 0) else { break };
            let from_home = (place + capacity - home(entry.0, capacity)) % capacity;
            let from_hole = (place + capacity - hole) % capacity;
            if from_home >= from_hole {
                self.set(hole, entry);
                hole = place;
            }
        }
        self.set(hole, (0, 0, H::default()));
    }

    fn set(&mut self, place: usize, entry: (u32, u32, H)) {
        if let Some(old) = self.entries.get_mut(place) {
            *old = entry;
        }
    }

    /// The memory that it takes, in bytes.
    pub(in crate::set) fn bytes(&self) -> usize {
        self.entries.bytes()
    }
}

#[inline]
fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// Where probing begins: the hash as a fraction of the capacity, which need not be a power of two.
#[inline]
fn home(tag: u32, capacity: usize) -> usize {
    ((u64::from(tag) * capacity as u64) >> 32) as usize
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn what_is_there_is_found_and_nothing_else() {
        // Few distinct homes, so that there are long runs, and they wrap around.
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
