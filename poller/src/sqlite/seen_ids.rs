//! Row ids the runner has already seen, as ranges.
//!
//! The runner loads polls in the order of their row ids, which only grow. It does not load the polls that it created itself:
//! at a hundred thousand creations a second, each would be read back only to be recognised.
//!
//! ```text
//!  1 ─────────────── 41 │ 42 … 45 │ 46 ───── 50 │ 51 ─►
//!  loaded                 unseen    created       unseen
//! ```

use std::collections::BTreeMap;

/// Row ids that the runner may not have seen, between two ids that are excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IdRange {
    pub(super) after: i64,
    pub(super) before: i64,
}

/// The ids seen in this run.
#[derive(Debug, Default)]
pub(super) struct SeenIds {
    /// All ids up to this one are seen.
    up_to: i64,
    /// Ranges that the runner created above `up_to`, by their first ids, with their last ids.
    created: BTreeMap<i64, i64>,
    run: u64,
}

impl SeenIds {
    /// Forgets all ids.
    pub(super) fn begin_run(&mut self) {
        *self = Self { run: self.run + 1, ..Self::default() };
    }

    /// The number of this run within this process.
    pub(super) const fn run(&self) -> u64 {
        self.run
    }

    /// The first unseen range.
    pub(super) fn next(&self) -> IdRange {
        IdRange {
            after: self.up_to,
            before: self.created.first_key_value().map_or(i64::MAX, |(first, _)| *first),
        }
    }

    /// The runner created polls with these ids, by a call that it started in `run`.
    pub(super) fn created(&mut self, run: u64, first: i64, last: i64) {
        if run != self.run {
            return;
        }
        // Most ranges continue the last one.
        match self.created.last_entry() {
            Some(mut range) if *range.get() + 1 == first => drop(range.insert(last)),
            _ => drop(self.created.insert(first, last)),
        }
        self.join();
    }

    /// The runner loaded `range` up to the id `last`, or all of it if `complete`. Returns whether nothing is left to load.
    pub(super) fn loaded(&mut self, range: IdRange, last: i64, complete: bool) -> bool {
        let is_last = range.before == i64::MAX;
        // A new poll never gets an id below an existing one.
        let last = if complete && !is_last { range.before - 1 } else { last };
        self.up_to = self.up_to.max(last);
        self.join();
        complete && is_last
    }

    fn join(&mut self) {
        while let Some(range) = self.created.first_entry()
            && *range.key() <= self.up_to + 1
        {
            self.up_to = self.up_to.max(range.remove());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: i64 = i64::MAX;

    const fn range(after: i64, before: i64) -> IdRange {
        IdRange { after, before }
    }

    #[test]
    fn polls_that_the_runner_created_are_not_loaded() {
        let mut seen = SeenIds::default();
        seen.created(0, 1, 10);
        assert_eq!(seen.next(), range(10, ALL));
        // Answers may arrive out of order.
        seen.created(0, 16, 20);
        seen.created(0, 11, 15);
        assert_eq!(seen.next(), range(20, ALL));
    }

    #[test]
    fn polls_of_others_between_its_own_are_loaded() {
        let mut seen = SeenIds::default();
        seen.created(0, 6, 10);
        seen.created(0, 11, 20);
        seen.created(0, 31, 40);
        let first = seen.next();
        assert_eq!(first, range(0, 6));
        assert!(!seen.loaded(first, 3, false), "the page was full");
        let rest = seen.next();
        assert_eq!(rest, range(3, 6));
        assert!(!seen.loaded(rest, 3, true), "this range is done, but there is another one");
        let second = seen.next();
        assert_eq!(second, range(20, 31));
        assert!(!seen.loaded(second, 30, true));
        let third = seen.next();
        assert_eq!(third, range(40, ALL));
        // A poll of its own may be loaded before the answer to its creation arrives.
        assert!(seen.loaded(third, 45, true));
        seen.created(0, 44, 46);
        assert_eq!(seen.next(), range(46, ALL));
    }

    #[test]
    fn a_new_run_loads_everything_again() {
        let mut seen = SeenIds::default();
        let before = seen.run();
        seen.created(before, 1, 10);
        seen.begin_run();
        seen.created(before, 11, 20);
        assert_eq!(seen.next(), range(0, ALL));
    }
}
