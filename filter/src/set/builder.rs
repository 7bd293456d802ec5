//! Filters being gathered for a set.

use std::hash::Hash;

use super::FilterSet;
use crate::filter::Filter;
use crate::limits::Limits;

/// Gathers filters for a [`FilterSet`].
///
/// ```
/// use filter::{Filter, FilterSet};
///
/// let set = FilterSet::builder()
///     .add(1, Filter::parse(r#"{"type": "order.paid"}"#)?)
///     .add(2, Filter::parse(r#"{"type": {"$startsWith": "order."}}"#)?)
///     .build();
/// assert_eq!(set.matches_slice(br#"{"type": "order.paid"}"#)?, [&1, &2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FilterSetBuilder<Id: Clone + Eq + Hash> {
    set: FilterSet<Id>,
}

impl<Id: Clone + Eq + Hash> FilterSetBuilder<Id> {
    pub(super) fn new() -> Self {
        Self { set: FilterSet::new() }
    }

    /// Adds a filter. One that has this id already is replaced, and the new one takes its place in the order.
    #[must_use]
    pub fn add(mut self, id: Id, filter: Filter) -> Self {
        self.set.insert(id, filter);
        self
    }

    /// Sets how deeply events may be nested that are given as bytes; the other limits are about filters, and have been
    /// applied when they were compiled.
    #[must_use]
    pub fn limits(mut self, limits: &Limits) -> Self {
        self.set.set_depth(limits.depth());
        self
    }

    /// The set.
    pub fn build(self) -> FilterSet<Id> {
        self.set
    }
}

impl<Id: Clone + Eq + Hash> Extend<(Id, Filter)> for FilterSetBuilder<Id> {
    fn extend<I: IntoIterator<Item = (Id, Filter)>>(&mut self, filters: I) {
        for (id, filter) in filters {
            self.set.insert(id, filter);
        }
    }
}
