//! Counts of attempts: those of one kind in a row, and those of each result.

use crate::outcome::{AttemptResult, Counts};

/// The number of attempts of one kind in a row. The kinds exclude each other, so one number suffices for all: the kind in the
/// two highest bits, the count below.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Streak(u32);

/// The kind of a [`Streak`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Same {
    /// A permanent error.
    Hopeless = 1,
    /// A match of a response filter that wants several.
    Matched = 2,
    /// A match of a failure filter that wants several.
    Failed = 3,
}

impl Streak {
    const COUNT: u32 = u32::MAX >> 2;

    pub(super) fn of(self, kind: Same) -> u32 {
        if self.0 >> 30 == kind as u32 { self.0 & Self::COUNT } else { 0 }
    }

    /// Adds an attempt of this kind and returns their number; an attempt of another kind starts anew.
    pub(super) fn add(&mut self, kind: Same) -> u32 {
        let count = (self.of(kind) + 1).min(Self::COUNT);
        self.0 = (kind as u32) << 30 | count;
        count
    }
}

/// A count per result. Most polls see only one kind of result until they end, so the first needs no list. A `SmallVec` with
/// one place would be shorter here and take 8 bytes more in each of a million polls.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    first: Option<(AttemptResult, u32)>,
    #[expect(
        clippy::box_collection,
        reason = "a pointer instead of three words, in each of a million polls"
    )]
    others: Option<Box<Vec<(AttemptResult, u32)>>>,
}

impl Tally {
    pub(super) fn count(&mut self, result: AttemptResult) {
        match &mut self.first {
            None => self.first = Some((result, 1)),
            Some((first, count)) if *first == result => *count = count.saturating_add(1),
            Some(_) => {
                let others = self.others.get_or_insert_default();
                match others.iter_mut().find(|(counted, _)| *counted == result) {
                    Some((_, count)) => *count = count.saturating_add(1),
                    None => others.push((result, 1)),
                }
            }
        }
    }

    pub(super) fn counts(&self) -> Counts {
        let others = self.others.iter().flat_map(|others| others.iter());
        self.first.iter().chain(others).map(|(result, count)| (result.to_string(), *count)).collect()
    }
}
