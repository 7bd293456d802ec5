//! A hash table that nobody asks while a set is matched, and to which numbers are added late.

use super::table::Table;

/// A [`Table`] that adds numbers some at a time. In a large set hardly any place of a table is in the cache; until a number
/// is added, the processor has fetched its place.
#[derive(Clone, Debug, Default)]
pub(in crate::set) struct Late {
    table: Table,
    /// Numbers that are there and have yet to be added, with their hashes.
    waiting: Vec<(u64, u32)>,
}

/// So many numbers wait.
const MOST: usize = 8;

impl Late {
    /// A number of this hash that is the right one.
    pub(in crate::set) fn find(&mut self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        self.flush();
        self.table.find(hash, is)
    }

    /// Adds a number that is not there.
    pub(in crate::set) fn insert(&mut self, hash: u64, number: u32) {
        if self.waiting.len() == MOST {
            self.flush();
        }
        self.table.prefetch(hash);
        self.waiting.push((hash, number));
    }

    /// Removes a number that is there.
    pub(in crate::set) fn remove(&mut self, hash: u64, number: u32) {
        self.flush();
        self.table.remove(hash, number);
    }

    fn flush(&mut self) {
        for (hash, number) in self.waiting.drain(..) {
            self.table.insert(hash, number);
        }
    }

    /// The memory that it takes, in bytes.
    pub(in crate::set) fn bytes(&self) -> usize {
        self.table.bytes() + self.waiting.capacity() * size_of::<(u64, u32)>()
    }
}

#[cfg(test)]
mod tests {
    use super::Late;

    #[test]
    fn what_waits_is_there() {
        let hash = |number: u32| u64::from(number % 5) << 60 | u64::from(number);
        let mut table = Late::default();
        for number in 0_u32..100 {
            assert_eq!(table.find(hash(number), |other| other == number), None);
            table.insert(hash(number), number);
            if number % 3 == 0 {
                assert_eq!(table.find(hash(number), |other| other == number), Some(number));
            }
            if number % 4 == 0 {
                table.remove(hash(number), number);
                assert_eq!(table.find(hash(number), |other| other == number), None);
            }
        }
        for number in 0..100 {
            let found = table.find(hash(number), |other| other == number);
            assert_eq!(found.is_some(), number % 4 != 0, "{number}");
        }
    }

    #[test]
    fn numbers_wait_until_there_are_many() {
        let mut table = Late::default();
        (0..100).for_each(|number| table.insert(u64::from(number) << 57, number));
        assert!(
            (0..100)
                .all(|number| table.find(u64::from(number) << 57, |other| other == number) == Some(number))
        );
    }
}
