//! Target polls of a file their runner knows of.
//!
//! The runner is told of polls by their numbers, which only grow. Those that it has created itself it knows without being
//! told: while it creates a hundred thousand a second, each would be read back only to be recognised.
//!
//! ```text
//!  1 ─────────────── 41 │ 42 … 45 │ 46 ─── 50 │ 51 ─►
//!  told                   gap       its own     gap
//! ```

use std::collections::BTreeMap;

/// Numbers that the runner may not know of: those between two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IdRange {
    pub(super) after: i64,
    pub(super) before: i64,
}

/// What is known in this run.
#[derive(Debug, Default)]
pub(super) struct SeenIds {
    /// Everything up to this number.
    up_to: i64,
    /// Its own above that, and not next to it: the first and last numbers of each piece.
    own: BTreeMap<i64, i64>,
    run: u64,
}

impl SeenIds {
    /// Nothing is known any more.
    pub(super) fn begin_run(&mut self) {
        *self = Self { run: self.run + 1, ..Self::default() };
    }

    /// Target run this is, of those of this process.
    pub(super) const fn run(&self) -> u64 {
        self.run
    }

    /// The first numbers that may be news.
    pub(super) fn next(&self) -> IdRange {
        IdRange {
            after: self.up_to,
            before: self.own.first_key_value().map_or(i64::MAX, |(first, _)| *first),
        }
    }

    /// The runner has created polls with these numbers, which it began to do in this `run`.
    pub(super) fn made(&mut self, run: u64, first: i64, last: i64) {
        if run != self.run {
            return;
        }
        // Mostly they follow those before them.
        match self.own.last_entry() {
            Some(mut piece) if *piece.get() + 1 == first => drop(piece.insert(last)),
            _ => drop(self.own.insert(first, last)),
        }
        self.join();
    }

    /// The runner has been told of what is in a gap, up to the number `last` or, in the `whole` of it, of all that there is.
    /// Whether nothing was left to tell.
    pub(super) fn pass(&mut self, gap: IdRange, last: i64, whole: bool) -> bool {
        let is_last = gap.before == i64::MAX;
        // Nobody gets a number below one that is taken.
        let last = if whole && !is_last { gap.before - 1 } else { last };
        self.up_to = self.up_to.max(last);
        self.join();
        whole && is_last
    }

    fn join(&mut self) {
        while let Some(piece) = self.own.first_entry()
            && *piece.key() <= self.up_to + 1
        {
            self.up_to = self.up_to.max(piece.remove());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: i64 = i64::MAX;

    const fn gap(after: i64, before: i64) -> IdRange {
        IdRange { after, before }
    }

    #[test]
    fn what_it_created_itself_is_no_news() {
        let mut told = SeenIds::default();
        told.made(0, 1, 10);
        assert_eq!(told.next(), gap(10, ALL));
        // Answers may cross.
        told.made(0, 16, 20);
        told.made(0, 11, 15);
        assert_eq!(told.next(), gap(20, ALL));
    }

    #[test]
    fn what_others_created_in_between_is_told() {
        let mut told = SeenIds::default();
        told.made(0, 6, 10);
        told.made(0, 11, 20);
        told.made(0, 31, 40);
        let first = told.next();
        assert_eq!(first, gap(0, 6));
        assert!(!told.pass(first, 3, false), "there was more than was asked for");
        let rest = told.next();
        assert_eq!(rest, gap(3, 6));
        assert!(!told.pass(rest, 3, true), "no more in it, but there is another gap");
        let second = told.next();
        assert_eq!(second, gap(20, 31));
        assert!(!told.pass(second, 30, true));
        let third = told.next();
        assert_eq!(third, gap(40, ALL));
        // Its own may be read before it is known that they are: they are told then.
        assert!(told.pass(third, 45, true));
        told.made(0, 44, 46);
        assert_eq!(told.next(), gap(46, ALL));
    }

    #[test]
    fn another_run_is_told_of_everything_again() {
        let mut told = SeenIds::default();
        let before = told.run();
        told.made(before, 1, 10);
        told.begin_run();
        told.made(before, 11, 20);
        assert_eq!(told.next(), gap(0, ALL));
    }
}
