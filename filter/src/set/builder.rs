//! Filters being gathered for a set.

use std::collections::VecDeque;
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
    /// Filters that are inserted once a few more have come: what that looks at in a large set is in no cache, and has been
    /// fetched by then.
    coming: VecDeque<(Id, Filter)>,
}

/// So many filters are to come: they take longer than memory does.
const AHEAD: usize = 4;

impl<Id: Clone + Eq + Hash> FilterSetBuilder<Id> {
    pub(super) fn new() -> Self {
        Self { set: FilterSet::new(), coming: VecDeque::with_capacity(AHEAD + 1) }
    }

    /// Adds a filter. One that has this id already is replaced, and the new one takes its place in the order.
    #[must_use]
    pub fn add(mut self, id: Id, filter: Filter) -> Self {
        self.expect(id, filter);
        self
    }

    fn expect(&mut self, id: Id, filter: Filter) {
        self.set.foresee(&id, &filter);
        self.coming.push_back((id, filter));
        if self.coming.len() > AHEAD
            && let Some((id, filter)) = self.coming.pop_front()
        {
            self.set.insert(id, filter);
        }
    }

    /// Sets how deeply events may be nested that are given as bytes; the other limits are about filters, and have been
    /// applied when they were compiled.
    #[must_use]
    pub fn limits(mut self, limits: &Limits) -> Self {
        self.set.set_depth(limits.depth());
        self
    }

    /// The set.
    pub fn build(mut self) -> FilterSet<Id> {
        for (id, filter) in self.coming {
            self.set.insert(id, filter);
        }
        self.set
    }
}

impl<Id: Clone + Eq + Hash> Extend<(Id, Filter)> for FilterSetBuilder<Id> {
    fn extend<I: IntoIterator<Item = (Id, Filter)>>(&mut self, filters: I) {
        for (id, filter) in filters {
            self.expect(id, filter);
        }
    }
}
