//! A hash table from hashes to numbers. What a number stands for, and whether it is the one looked for, its user knows.

use super::chunked::Chunked;

/// Numbers by hash, by linear probing. Copies share what does not change; a change copies little, but for growing, which
/// copies all of it and happens ever more rarely.
///
/// Of a hash its upper half is kept, from which the place follows in a table of any capacity: so growing asks nobody for
/// hashes, and goes through both tables from front to back.
#[derive(Clone, Debug, Default)]
pub(in crate::set) struct Table {
    /// The upper half of the hash, and the number plus one: 0 is free.
    entries: Chunked<(u32, u32)>,
    used: usize,
}

/// The capacity at first.
const SMALLEST: usize = 8;

impl Table {
    /// A number of this hash that is the right one.
    #[inline]
    pub(in crate::set) fn find(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        self.place(tag(hash), is).map(|(_, number)| number)
    }

    #[inline]
    fn place(&self, tag: u32, is: impl Fn(u32) -> bool) -> Option<(usize, u32)> {
        let capacity = self.entries.len();
        let mut place = home(tag, capacity);
        loop {
            let &(other, number) = self.entries.get(place)?;
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
            let capacity = SMALLEST.max(self.entries.len() / 2 * 3);
            let old = std::mem::replace(self, Self { entries: Chunked::filled(capacity), used: 0 });
            for &(tag, number) in old.entries.iter().filter(|(_, number)| *number != 0) {
                self.put((tag, number));
            }
        }
        self.put((tag(hash), number + 1));
    }

    fn put(&mut self, entry: (u32, u32)) {
        let capacity = self.entries.len();
        let mut place = home(entry.0, capacity);
        while self.entries.get(place).is_some_and(|&(_, taken)| taken != 0) {
            place = if place + 1 == capacity { 0 } else { place + 1 };
        }
        self.set(place, entry);
        self.used += 1;
    }

    /// Removes a number that is there; those behind it move up, so that none is cut off from its home.
    pub(in crate::set) fn remove(&mut self, hash: u64, number: u32) {
        let Some((mut hole, _)) = self.place(tag(hash), |other| other == number) else { return };
        let capacity = self.entries.len();
        self.used -= 1;
        let mut place = hole;
        loop {
            place = if place + 1 == capacity { 0 } else { place + 1 };
            let Some(&entry) = self.entries.get(place).filter(|(_, number)| *number != 0) else { break };
            let from_home = (place + capacity - home(entry.0, capacity)) % capacity;
            let from_hole = (place + capacity - hole) % capacity;
            if from_home >= from_hole {
                self.set(hole, entry);
                hole = place;
            }
        }
        self.set(hole, (0, 0));
    }

    fn set(&mut self, place: usize, entry: (u32, u32)) {
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
        let mut table = Table::default();
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
