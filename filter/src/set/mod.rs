//! Many filters at once.

mod builder;
mod live;
mod matches;
mod stats;

use std::collections::HashMap;
use std::hash::Hash;

use serde_json::Value;

pub use builder::FilterSetBuilder;
pub use live::LiveSet;
pub use matches::Matches;
pub use stats::SetStats;

use crate::filter::Filter;
use crate::json::JsonError;
use crate::limits::Limits;

/// Many filters, each with an id, and which of them match an event.
#[derive(Clone, Debug)]
pub struct FilterSet<Id: Clone + Eq + Hash> {
    filters: Vec<Option<(Id, Filter)>>,
    places: HashMap<Id, u32>,
    depth: usize,
}

impl<Id: Clone + Eq + Hash> Default for FilterSet<Id> {
    fn default() -> Self {
        Self::new()
    }
}

impl<Id: Clone + Eq + Hash> FilterSet<Id> {
    /// Without any filter.
    pub fn new() -> Self {
        Self { filters: Vec::new(), places: HashMap::new(), depth: Limits::new().depth() }
    }

    /// For gathering filters.
    pub fn builder() -> FilterSetBuilder<Id> {
        FilterSetBuilder::new()
    }

    pub(crate) fn set_depth(&mut self, depth: usize) {
        self.depth = depth;
    }

    pub(crate) fn id_at(&self, place: u32) -> Option<&Id> {
        self.filters.get(place as usize)?.as_ref().map(|(id, _)| id)
    }

    /// Adds a filter; whether its id is new. A filter that has this id already is replaced, and the new one takes its
    /// place in the order.
    pub fn insert(&mut self, id: Id, filter: Filter) -> bool {
        if let Some(&place) = self.places.get(&id) {
            self.filters[place as usize] = Some((id, filter));
            return false;
        }
        self.places.insert(id.clone(), self.filters.len() as u32);
        self.filters.push(Some((id, filter)));
        true
    }

    /// Removes a filter; whether it was there.
    pub fn remove(&mut self, id: &Id) -> bool {
        let Some(place) = self.places.remove(id) else { return false };
        self.filters[place as usize] = None;
        true
    }

    /// How many filters there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Whether there is a filter with this id.
    pub fn contains(&self, id: &Id) -> bool {
        self.places.contains_key(id)
    }

    /// The ids, in order of insertion.
    pub fn ids(&self) -> impl Iterator<Item = &Id> {
        self.filters.iter().flatten().map(|(id, _)| id)
    }

    /// The ids of the filters that match, in order of insertion.
    pub fn matches(&self, event: &Value) -> Vec<&Id> {
        let mut matches = Matches::new();
        self.matches_into(event, &mut matches);
        matches.ids(self).collect()
    }

    /// The same, into memory that is kept.
    pub fn matches_into(&self, event: &Value, matches: &mut Matches) {
        matches.found.clear();
        for (place, filter) in self.filters.iter().enumerate() {
            if filter.as_ref().is_some_and(|(_, filter)| filter.matches(event)) {
                matches.found.push(place as u32);
            }
        }
    }

    /// The ids of the filters that match an event given as the bytes of one JSON document.
    ///
    /// # Errors
    /// If the bytes are not JSON, or nest deeper than the limit.
    pub fn matches_slice(&self, event: &[u8]) -> Result<Vec<&Id>, JsonError> {
        let mut matches = Matches::new();
        self.matches_slice_into(event, &mut matches)?;
        Ok(matches.ids(self).collect())
    }

    /// The same, into memory that is kept; without allocation once that has grown.
    ///
    /// # Errors
    /// As [`matches_slice`](Self::matches_slice); there are no matches then.
    pub fn matches_slice_into(&self, event: &[u8], matches: &mut Matches) -> Result<(), JsonError> {
        matches.found.clear();
        for (place, filter) in self.filters.iter().enumerate() {
            if let Some((_, filter)) = filter
                && filter.matches_slice(event)?
            {
                matches.found.push(place as u32);
            }
        }
        Ok(())
    }

    /// As [`matches_slice`](Self::matches_slice), for a document that is known to be valid and to have no key twice in
    /// one object: it is read only until the answer is known. What is answered for any other is unspecified.
    pub fn matches_valid_slice(&self, event: &[u8]) -> Vec<&Id> {
        let mut matches = Matches::new();
        self.matches_valid_slice_into(event, &mut matches);
        matches.ids(self).collect()
    }

    /// The same, into memory that is kept; without allocation once that has grown.
    pub fn matches_valid_slice_into(&self, event: &[u8], matches: &mut Matches) {
        if self.matches_slice_into(event, matches).is_err() {
            matches.found.clear();
        }
    }

    /// What the set holds and costs.
    pub fn stats(&self) -> SetStats {
        SetStats { filters: self.len(), unindexed: self.unindexed().count(), ..SetStats::default() }
    }

    /// The filters that are checked against every event, because nothing that they require can be indexed.
    pub fn unindexed(&self) -> impl Iterator<Item = &Id> {
        self.ids()
    }
}
