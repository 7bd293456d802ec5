//! What a set answers, and the memory it needs to find the answer: kept between events, so that a warm caller allocates
//! nothing.

use std::hash::Hash;

use super::FilterSet;

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
    /// The filters' places in their set, in order of insertion.
    pub(super) found: Vec<u32>,
}

impl Matches {
    /// Without any match yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many filters match.
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// Whether no filter matches.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The ids of the filters that match, in order of insertion.
    ///
    /// `set` is the one that was asked, unchanged since; of another set, ids that mean nothing come, or none.
    pub fn ids<'s, Id: Clone + Eq + Hash>(&self, set: &'s FilterSet<Id>) -> impl Iterator<Item = &'s Id> {
        self.found.iter().filter_map(|&place| set.id_at(place))
    }
}
