//! Sets of filters: all filters that match an event, in a time that grows with the number of filters that nearly match, not of all filters.
//!
//! ```text
//!  filter ─► index: fields, predicates on them, patterns of predicates that must hold together
//!                       ▲
//!  event  ─► matching: values of these fields ─► predicates ─► patterns ─► rules ─► ids
//! ```
//!
//! Published work on the same problem: Fabret et al., SIGMOD 2001 (a subscription is indexed by its most selective
//! predicate); Whang et al., VLDB 2009 (inverted lists for conjunctions of disjunctions); BE-Tree, SIGMOD 2011. Here, events
//! are nested: the part of a filter about a nested object is a pattern of its own, which is found for that object and
//! then is one requirement of the pattern around it.

mod batch;
mod builder;
mod index;
mod live;
mod matches;
mod matching;
mod stats;
mod store;

use std::hash::{BuildHasher as _, Hash};
use std::sync::Arc;

use foldhash::quality::RandomState;
use serde_json::Value;

pub use builder::FilterSetBuilder;
use index::Index;
pub use live::LiveSet;
pub use matches::Matches;
pub use stats::SetStats;
use store::{Arena, Table};

use crate::filter::Filter;
use crate::json::{self, JsonError};
use crate::limits::Limits;
use crate::program::Program;
use crate::scan::{Invalid, Scan};

/// Many filters, each with an id. Finds those that match an event.
///
/// The result is the same as evaluating each filter by itself. The time grows with the number of filters whose rarest
/// condition holds, however many others there are. Filters without a condition that requires a field
/// ([`unindexed`](Self::unindexed)) are evaluated for every event. A set does not store its filters: filters share equal
/// conditions.
///
/// Cloning takes constant time, and clones share all data that does not change. [`LiveSet`] is a set that changes while
/// other threads match with it.
///
/// ```
/// use filter::{Filter, FilterSet};
/// use serde_json::json;
///
/// let mut set = FilterSet::new();
/// set.insert("orders", Filter::parse(r#"{"type": {"$startsWith": "order."}}"#)?);
/// set.insert("large", Filter::parse(r#"{"items": {"price": {"$gt": 100}}}"#)?);
///
/// let event = json!({"type": "order.paid", "items": [{"price": 20}, {"price": 120}]});
/// assert_eq!(set.matches(&event), [&"orders", &"large"]);
/// assert_eq!(set.matches_slice(br#"{"type": "refund"}"#)?, [] as [&&str; 0]);
///
/// set.remove(&"orders");
/// assert_eq!(set.matches(&event), [&"large"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FilterSet<Id: Clone + Eq + Hash> {
    /// Shared with clones of the set, until one of them changes.
    parts: Arc<Parts<Id>>,
}

/// The data of a set. Clones share its chunks.
#[derive(Clone, Debug)]
struct Parts<Id> {
    index: Index,
    /// The id of each rule, by its number.
    ids: Arena<Option<Id>>,
    /// The rule of each id.
    rules: Table,
    seeds: RandomState,
    /// The position of the last filter in the order of insertion.
    next: u64,
    depth: usize,
}

impl<Id: Clone + Eq + Hash> Default for FilterSet<Id> {
    fn default() -> Self {
        Self::new()
    }
}

impl<Id: Clone + Eq + Hash> FilterSet<Id> {
    /// Creates an empty set.
    pub fn new() -> Self {
        Self {
            parts: Arc::new(Parts {
                index: Index::new(),
                ids: Arena::default(),
                rules: Table::default(),
                seeds: RandomState::default(),
                next: 0,
                depth: Limits::new().depth(),
            }),
        }
    }

    /// Creates a builder for a set.
    pub fn builder() -> FilterSetBuilder<Id> {
        FilterSetBuilder::new()
    }

    fn set_depth(&mut self, depth: usize) {
        Arc::make_mut(&mut self.parts).depth = depth;
    }

    /// Adds a filter and returns whether its id is new. Replaces a filter with the same id and takes its place in the
    /// order.
    ///
    /// Takes amortized time linear in the size of the filter, and copies first the data that clones share and that changes.
    pub fn insert(&mut self, id: Id, filter: Filter) -> bool {
        Arc::make_mut(&mut self.parts).insert(id, &filter)
    }

    /// Prefetches the data that inserting a filter reads first.
    fn prefetch_insert(&self, id: &Id, filter: &Filter) {
        self.parts.rules.prefetch(self.parts.seeds.hash_one(id));
        self.parts.index.prefetch_insert(filter.program());
    }

    /// Removes a filter and returns whether there was one with this id.
    ///
    /// Takes time linear in the size of the filter and in the number of filters indexed by the same condition.
    pub fn remove(&mut self, id: &Id) -> bool {
        let hash = self.parts.seeds.hash_one(id);
        let found = self.parts.find(hash, id);
        if let Some(rule) = found {
            Arc::make_mut(&mut self.parts).take(hash, rule);
        }
        found.is_some()
    }

    /// The number of filters.
    pub fn len(&self) -> usize {
        self.parts.ids.live()
    }

    /// Whether the set has no filter.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is a filter with this id.
    pub fn contains(&self, id: &Id) -> bool {
        self.parts.find(self.parts.seeds.hash_one(id), id).is_some()
    }

    /// The ids, in order of insertion.
    pub fn ids(&self) -> impl Iterator<Item = &Id> {
        let all = self.parts.ids.iter().enumerate().filter(|(_, id)| id.is_some());
        self.in_order(all.filter_map(|(rule, _)| u32::try_from(rule).ok()).collect())
    }

    /// The ids of the filters that are evaluated for every event, because none of their conditions requires a field; in
    /// order of insertion.
    pub fn unindexed(&self) -> impl Iterator<Item = &Id> {
        self.in_order(self.parts.index.unindexed().collect())
    }

    fn in_order(&self, mut rules: Vec<u32>) -> impl Iterator<Item = &Id> {
        rules.sort_by_key(|&rule| self.parts.index.order(rule));
        rules.into_iter().filter_map(|rule| self.id_at(rule))
    }

    /// The ids of the filters that match, in order of insertion.
    pub fn matches(&self, event: &Value) -> Vec<&Id> {
        matches::with_memory(|matches| {
            self.matches_into(event, matches);
            matches.ids(self).collect()
        })
    }

    /// As [`matches`](Self::matches), into memory that is reused.
    pub fn matches_into(&self, event: &Value, matches: &mut Matches) {
        matching::match_value(&self.parts.index, event, &mut matches.scratch);
        self.sort(matches);
    }

    /// The ids of the filters that match an event given as the bytes of one JSON document, in order of insertion.
    ///
    /// One pass over the bytes, without a tree.
    ///
    /// # Errors
    /// If the bytes are not JSON, or nested deeper than the limit. The whole document is checked, whatever fields the filters
    /// name. Documents are accepted exactly if `serde_json::from_slice::<Value>` accepts them.
    pub fn matches_slice(&self, event: &[u8]) -> Result<Vec<&Id>, JsonError> {
        matches::with_memory(|matches| {
            self.matches_slice_into(event, matches)?;
            Ok(matches.ids(self).collect())
        })
    }

    /// As [`matches_slice`](Self::matches_slice), into memory that is reused; it does not allocate once that has grown.
    ///
    /// # Errors
    /// As [`matches_slice`](Self::matches_slice). Then `matches` is empty.
    pub fn matches_slice_into(&self, event: &[u8], matches: &mut Matches) -> Result<(), JsonError> {
        match matching::match_bytes::<true, true>(
            &self.parts.index,
            event,
            self.parts.depth,
            &mut matches.scratch,
        ) {
            Ok(()) => {
                self.sort(matches);
                Ok(())
            }
            Err(Invalid) => {
                matches.scratch.matched.clear();
                Err(json::event_error(event, self.parts.depth))
            }
        }
    }

    /// As [`matches_slice`](Self::matches_slice), for a document that is known to be valid JSON without duplicate keys: it is
    /// read only until the result is known.
    ///
    /// For any other document the result is unspecified, but there is no error, no panic, and the time stays linear.
    pub fn matches_valid_slice(&self, event: &[u8]) -> Vec<&Id> {
        matches::with_memory(|matches| {
            self.matches_valid_slice_into(event, matches);
            matches.ids(self).collect()
        })
    }

    /// As [`matches_valid_slice`](Self::matches_valid_slice), into memory that is reused; it does not allocate once that has
    /// grown.
    pub fn matches_valid_slice_into(&self, event: &[u8], matches: &mut Matches) {
        match matching::match_bytes::<false, true>(
            &self.parts.index,
            event,
            self.parts.depth,
            &mut matches.scratch,
        ) {
            Ok(()) => self.sort(matches),
            Err(Invalid) => matches.scratch.matched.clear(),
        }
    }

    fn sort(&self, matches: &mut Matches) {
        if matches.scratch.matched.len() > 1 {
            matches.scratch.matched.sort_unstable_by_key(|&rule| self.parts.index.order(rule));
        }
    }

    /// The size and memory use of the set. Takes time linear in its size.
    pub fn stats(&self) -> SetStats {
        let Parts { index, ids, rules, .. } = &*self.parts;
        let mut stats = index.stats();
        stats.filters = self.len();
        stats.bytes += ids.bytes() + rules.bytes() + size_of::<Parts<Id>>();
        stats
    }

    fn id_at(&self, rule: u32) -> Option<&Id> {
        self.parts.id_at(rule)
    }
}

impl<Id: Clone + Eq + Hash> Parts<Id> {
    fn id_at(&self, rule: u32) -> Option<&Id> {
        self.ids.get(rule)?.as_ref()
    }

    fn find(&self, hash: u64, id: &Id) -> Option<u32> {
        self.rules.find(hash, |rule| self.id_at(rule) == Some(id))
    }

    fn insert(&mut self, id: Id, filter: &Filter) -> bool {
        let hash = self.seeds.hash_one(&id);
        let replaced = self.find(hash, &id).map(|rule| self.take(hash, rule));
        let order = replaced.unwrap_or_else(|| {
            self.next += 1;
            self.next
        });
        let rule = self.index.add(filter.program(), order);
        let place = self.ids.add(Some(id));
        debug_assert_eq!(rule, place, "rules and ids are numbered alike");
        self.rules.insert(hash, rule);
        replaced.is_none()
    }

    /// Removes a rule and returns its position in the order.
    fn take(&mut self, hash: u64, rule: u32) -> u64 {
        let order = self.index.order(rule);
        self.rules.remove(hash, rule);
        self.ids.take(rule);
        self.index.remove(rule);
        order
    }
}

/// The index of one filter.
#[derive(Debug)]
pub(crate) struct Single {
    index: Index,
}

impl Single {
    pub(crate) fn new(program: &Program) -> Self {
        let mut index = Index::new();
        index.add(program, 0);
        Self { index }
    }

    /// Whether the filter matches a document; see [`matching::match_bytes`].
    pub(crate) fn matches<const CHECKED: bool>(&self, event: &[u8], depth: usize) -> Scan<bool> {
        matches::with_memory(|matches| {
            matching::match_bytes::<CHECKED, true>(&self.index, event, depth, &mut matches.scratch)?;
            Ok(!matches.is_empty())
        })
    }
}
