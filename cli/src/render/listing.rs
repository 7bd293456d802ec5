//! The errors, warnings and notes about the many items of a command: the first hundred of each are printed, the others are counted.
//!
//! A file of generated specs, rules or events tends to have the same flaw in every line. A person mends the first ones first;
//! ten thousand more would only push them off the screen. All commands share the bound: what is printed about one of many items asks
//! [`Listing::lists`] first, and the end of the command tells the rest. The number of errors is never cut, only their list.

use std::sync::{Arc, Mutex, PoisonError};

use filter::Severity;

/// The most that are listed of one kind.
pub(crate) const LISTED: u64 = 100;

/// What is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listed {
    Error,
    Warning,
    /// What a person may want to know, and nothing wrong.
    Note,
}

impl Listed {
    const ALL: [Self; 3] = [Self::Error, Self::Warning, Self::Note];

    pub(crate) const fn noun(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

impl From<Severity> for Listed {
    fn from(severity: Severity) -> Self {
        if severity == Severity::Error { Self::Error } else { Self::Warning }
    }
}

/// How many there were of each kind; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    counts: Arc<Mutex<[u64; Listed::ALL.len()]>>,
}

/// Those of one kind that were not listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rest {
    pub(crate) kind: Listed,
    pub(crate) count: u64,
}

impl Listing {
    /// Whether the next one, which stands for `count` of them if it is not listed, is to be listed.
    pub(crate) fn lists(&self, kind: Listed, count: u32) -> bool {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let so_far = &mut counts[kind as usize];
        let lists = *so_far < LISTED;
        *so_far += if lists { 1 } else { u64::from(count) };
        lists
    }

    /// What was not listed since the last call.
    pub(crate) fn take_rest(&self) -> Vec<Rest> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rest = Vec::new();
        for (kind, so_far) in Listed::ALL.into_iter().zip(&mut *counts) {
            let count = so_far.saturating_sub(LISTED);
            *so_far -= count;
            rest.extend((count > 0).then_some(Rest { kind, count }));
        }
        rest
    }
}

/// `5900 more errors; the first 100 are above`
impl std::fmt::Display for Rest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { kind, count } = *self;
        let plural = if count == 1 { "" } else { "s" };
        write!(f, "{count} more {}{plural}; the first {LISTED} are above", kind.noun())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_hundred_of_each_kind_are_listed() {
        let listing = Listing::default();
        let listed = (0..300).filter(|_| listing.lists(Listed::Error, 1)).count();
        assert_eq!((listed, listing.lists(Listed::Warning, 7)), (100, true));
        // One that stands for many.
        assert!(!listing.lists(Listed::Error, 50));
        let rest = listing.take_rest();
        assert_eq!(rest, [Rest { kind: Listed::Error, count: 250 }]);
        assert_eq!(rest[0].to_string(), "250 more errors; the first 100 are above");
        assert_eq!(listing.take_rest(), []);
        assert!(!listing.lists(Listed::Error, 1));
        assert_eq!(listing.take_rest()[0].to_string(), "1 more error; the first 100 are above");
    }
}
