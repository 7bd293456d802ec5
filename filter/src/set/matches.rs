//! What a set answers, and the memory it needs to find the answer: kept between events, so that a warm caller allocates
//! nothing.

use std::cell::RefCell;
use std::hash::Hash;

use super::FilterSet;
use super::index::Scratch;

/// The filters of a [`FilterSet`] that match an event, filled by [`FilterSet::matches_slice_into`] and its relatives.
///
/// It keeps its memory from one event to the next, and can serve any number of sets in turn.
///
/// ```
/// use filter::{Filter, FilterSet, Matches};
///
/// let set = FilterSet::builder().add("big", Filter::parse(r#"{"n": {"$gt": 9}}"#)?).build();
/// let mut matches = Matches::new();
/// for (event, count) in [(r#"{"n":10}"#, 1), (r#"{"n":-1}"#, 0)] {
///     set.matches_slice_into(event.as_bytes(), &mut matches)?;
///     assert_eq!(matches.ids(&set).count(), count);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Matches {
    /// Has the rules that matched, in order of insertion.
    pub(super) scratch: Scratch,
}

impl Matches {
    /// Without any match yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many filters match.
    pub fn len(&self) -> usize {
        self.scratch.matched.len()
    }

    /// Whether no filter matches.
    pub fn is_empty(&self) -> bool {
        self.scratch.matched.is_empty()
    }

    /// The ids of the filters that match, in order of insertion.
    ///
    /// `set` is the one that was asked, unchanged since; of another set, ids that mean nothing come, or none.
    pub fn ids<'s, Id: Clone + Eq + Hash>(&self, set: &'s FilterSet<Id>) -> impl Iterator<Item = &'s Id> {
        self.scratch.matched.iter().filter_map(|&rule| set.id_at(rule))
    }
}

/// Lends memory that this thread keeps, for callers who have none of their own.
pub(super) fn with_memory<R>(use_it: impl FnOnce(&mut Matches) -> R) -> R {
    thread_local! {
        static MEMORY: RefCell<Matches> = RefCell::default();
    }
    MEMORY.with(|memory| match memory.try_borrow_mut() {
        Ok(mut memory) => use_it(&mut memory),
        // Somebody's `Clone` or `Hash` matches events of its own.
        Err(_) => use_it(&mut Matches::new()),
    })
}
