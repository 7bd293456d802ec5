//! Building a set.

use std::collections::VecDeque;
use std::hash::Hash;

use super::{FilterSet, Parts};
use crate::filter::Filter;
use crate::limits::Limits;

/// Collects filters for a [`FilterSet`].
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
    /// Filters that are inserted after a few more have been added. In a large set, insertion reads memory that is in no cache;
    /// by then it has been prefetched.
    delayed: VecDeque<(Id, Filter)>,
}

/// Inserting this many filters takes longer than one access to memory.
const DELAY: usize = 4;

impl<Id: Clone + Eq + Hash> FilterSetBuilder<Id> {
    pub(super) fn new() -> Self {
        Self { set: FilterSet::new(), delayed: VecDeque::with_capacity(DELAY + 1) }
    }

    /// Adds a filter. Replaces a filter with the same id and takes its place in the order.
    #[must_use]
    pub fn add(mut self, id: Id, filter: Filter) -> Self {
        self.delay(id, filter);
        self
    }

    fn delay(&mut self, id: Id, filter: Filter) {
        self.set.prefetch_insert(&id, &filter);
        self.delayed.push_back((id, filter));
        if self.delayed.len() > DELAY
            && let Some((id, filter)) = self.delayed.pop_front()
        {
            self.set.insert(id, filter);
        }
    }

    /// Sets how deeply the bytes of an event may be nested. The other limits apply to filters, when they are compiled.
    #[must_use]
    pub fn limits(mut self, limits: &Limits) -> Self {
        self.set.parts_mut().depth = limits.depth();
        self
    }

    /// Keeps the filters, for [`FilterSet::filter`] and [`FilterSet::explain`]: those that are added after this call. Filters
    /// take several hundred bytes each.
    #[must_use]
    pub fn keep_filters(mut self) -> Self {
        self.insert_delayed();
        let Parts { records, ids, .. } = self.set.parts_mut();
        records.keep_filters(ids);
        self
    }

    /// Counts for each filter the events that match it, for [`FilterSet::hits`]. Each match then changes memory that
    /// all threads share.
    ///
    /// ```
    /// use filter::{Filter, FilterSet};
    /// use serde_json::json;
    ///
    /// let paid = Filter::parse(r#"{"type": "paid"}"#)?;
    /// let set = FilterSet::builder().count_hits().add("paid", paid).add("typo", Filter::parse(r#"{"tpye": "paid"}"#)?).build();
    /// set.matches(&json!({"type": "paid"}));
    /// assert_eq!((set.hits(&"paid"), set.hits(&"typo")), (Some(1), Some(0)));
    /// # Ok::<(), filter::FilterError>(())
    /// ```
    #[must_use]
    pub fn count_hits(mut self) -> Self {
        self.insert_delayed();
        let Parts { records, ids, .. } = self.set.parts_mut();
        records.count_hits(ids);
        self
    }

    fn insert_delayed(&mut self) {
        for (id, filter) in self.delayed.drain(..) {
            self.set.insert(id, filter);
        }
    }

    /// Builds the set.
    pub fn build(mut self) -> FilterSet<Id> {
        self.insert_delayed();
        self.set
    }
}

impl<Id: Clone + Eq + Hash> Extend<(Id, Filter)> for FilterSetBuilder<Id> {
    fn extend<I: IntoIterator<Item = (Id, Filter)>>(&mut self, filters: I) {
        for (id, filter) in filters {
            self.delay(id, filter);
        }
    }
}
