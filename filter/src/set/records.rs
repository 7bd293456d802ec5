//! What a set records beside its index, where the caller asks for it: the filters themselves, and how often each has matched.
//!
//! Both are off by default. A filter takes more memory than its part of the index, and a counter is a cache line that
//! threads share.
//!
//! Counters are shared by clones, so that a [`LiveSet`](super::LiveSet) keeps counting when it changes. A filter that replaces
//! another gets a counter of its own: clones that still have the old filter count on in the old one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::store::Arena;
use crate::filter::Filter;

/// By the numbers of rules: they are added and removed together with the set's ids, so all are numbered alike.
#[derive(Clone, Debug, Default)]
pub(super) struct Records {
    filters: Option<Arena<Option<Filter>>>,
    hits: Option<Arena<Option<Arc<AtomicU64>>>>,
}

impl Records {
    /// Keeps the filters that are added from now on.
    pub(super) fn keep_filters<Id: Clone + Default>(&mut self, ids: &Arena<Id>) {
        self.filters.get_or_insert_with(|| ids.map(|_| None));
    }

    /// Counts the hits of all filters from now on.
    pub(super) fn count_hits<Id: Clone>(&mut self, ids: &Arena<Option<Id>>) {
        self.hits.get_or_insert_with(|| ids.map(|id| id.as_ref().map(|_| Arc::default())));
    }

    pub(super) fn insert(&mut self, rule: u32, filter: &Filter) {
        let filter = self.filters.as_mut().map(|filters| filters.add(Some(filter.clone())));
        let counter = self.hits.as_mut().map(|hits| hits.add(Some(Arc::default())));
        let mut numbers = [filter, counter].into_iter().flatten();
        debug_assert!(numbers.all(|number| number == rule), "filters, counters and rules are numbered alike");
    }

    pub(super) fn remove(&mut self, rule: u32) {
        self.filters.as_mut().map(|filters| filters.take(rule));
        self.hits.as_mut().map(|hits| hits.take(rule));
    }

    pub(super) fn filter(&self, rule: u32) -> Option<&Filter> {
        self.filters.as_ref()?.get(rule)?.as_ref()
    }

    /// Counts the rules that match an event.
    #[inline]
    pub(super) fn count(&self, matched: &[u32]) {
        if let Some(hits) = &self.hits {
            for counter in matched.iter().filter_map(|&rule| hits.get(rule)?.as_ref()) {
                // No other memory depends on the order of counts.
                counter.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn hits(&self, rule: u32) -> Option<u64> {
        Some(self.hits.as_ref()?.get(rule)?.as_ref()?.load(Ordering::Relaxed))
    }

    /// The memory of the tables and counters, in bytes. Filters are shared with their owners.
    pub(super) fn bytes(&self) -> usize {
        let filters = self.filters.as_ref().map_or(0, Arena::bytes);
        // A counter on the heap has two counts of references beside it.
        let hits = self.hits.as_ref().map_or(0, |hits| hits.bytes() + hits.live() * 3 * size_of::<u64>());
        filters + hits
    }
}
