//! The result of matching an event, with the working memory, which is reused so that matching does not allocate.

use std::cell::RefCell;
use std::hash::Hash;

use super::FilterSet;
use super::matching::Scratch;

/// The filters of a [`FilterSet`] that match an event, set by [`FilterSet::matches_slice_into`] and similar methods.
///
/// It keeps its memory from one event to the next and works with any set.
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
    /// Its `matched` are the rules that match, in order of insertion.
    pub(super) scratch: Scratch,
}

impl Matches {
    /// Creates an empty result.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of filters that match.
    pub fn len(&self) -> usize {
        self.scratch.matched.len()
    }

    /// Whether no filter matches.
    pub fn is_empty(&self) -> bool {
        self.scratch.matched.is_empty()
    }

    /// The ids of the filters that match, in order of insertion.
    ///
    /// `set` has to be the set that found them, without changes since. With another set, the ids are meaningless.
    pub fn ids<'s, Id: Clone + Eq + Hash>(&self, set: &'s FilterSet<Id>) -> impl Iterator<Item = &'s Id> {
        self.scratch.matched.iter().filter_map(|&rule| set.parts.id_at(rule))
    }
}

/// Lends the memory of this thread, for callers without a [`Matches`].
pub(super) fn with_memory<R>(use_it: impl FnOnce(&mut Matches) -> R) -> R {
    thread_local! {
        static MEMORY: RefCell<Matches> = RefCell::default();
    }
    MEMORY.with(|memory| match memory.try_borrow_mut() {
        Ok(mut memory) => use_it(&mut memory),
        // `Clone` or `Hash` of an id matches events itself.
        Err(_) => use_it(&mut Matches::new()),
    })
}
