//! A hash table with deferred insertion, which is never read during matching.

use super::table::Table;

/// A [`Table`] that inserts numbers several at a time. In a large set hardly any entry of the table is in a cache; by the time
/// a number is inserted, its entry has been prefetched.
#[derive(Clone, Debug, Default)]
pub(in crate::set) struct DeferredTable {
    table: Table,
    /// Numbers to insert, with their hashes.
    deferred: Vec<(u64, u32)>,
}

/// The number of insertions to defer.
const MAX_DEFERRED: usize = 8;

impl DeferredTable {
    /// The number with this hash for which `is` holds.
    pub(in crate::set) fn find(&mut self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        self.flush();
        self.table.find(hash, is)
    }

    /// Adds a number that is not in the table.
    pub(in crate::set) fn insert(&mut self, hash: u64, number: u32) {
        if self.deferred.len() == MAX_DEFERRED {
            self.flush();
        }
        self.table.prefetch(hash);
        self.deferred.push((hash, number));
    }

    /// Removes a number that is in the table.
    pub(in crate::set) fn remove(&mut self, hash: u64, number: u32) {
        self.flush();
        self.table.remove(hash, number);
    }

    fn flush(&mut self) {
        for (hash, number) in self.deferred.drain(..) {
            self.table.insert(hash, number);
        }
    }

    /// Memory in bytes.
    pub(in crate::set) fn bytes(&self) -> usize {
        self.table.bytes() + self.deferred.capacity() * size_of::<(u64, u32)>()
    }
}

#[cfg(test)]
mod tests {
    use super::DeferredTable;

    #[test]
    fn deferred_numbers_are_found() {
        let hash = |number: u32| u64::from(number % 5) << 60 | u64::from(number);
        let mut table = DeferredTable::default();
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
    fn all_numbers_are_found_after_many_insertions() {
        let mut table = DeferredTable::default();
        (0..100).for_each(|number| table.insert(u64::from(number) << 57, number));
        assert!(
            (0..100)
                .all(|number| table.find(u64::from(number) << 57, |other| other == number) == Some(number))
        );
    }
}
