//! Many filters at once: which of them match an event, in a time that grows with those that nearly do, not with all.
//!
//! ```text
//!  filter ─► index: fields, facts about them, patterns of facts that must hold together
//!                       ▲
//!  event  ─► walk ─► values of the fields named ─► judge, object by object ─► rules ─► ids
//! ```
//!
//! Published work on the same problem: Fabret et al., SIGMOD 2001 (a subscription waits at its most selective
//! predicate); Whang et al., VLDB 2009 (conjunctions of disjunctions, inverted); BE-Tree, SIGMOD 2011. What is different
//! here is that events nest: a filter's part about one nested object is a pattern of its own, found for that object,
//! and then is one thing that can hold in the object around it.

mod batch;
mod builder;
mod index;
mod live;
mod matches;
mod stats;
mod store;
mod walk;

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

/// Many filters, each with an id, and which of them match an event.
///
/// The answer is the one that asking each filter would give. What it takes to find it grows with the filters of which
/// the rarest condition holds, however many others there are; filters without a condition that needs something to be
/// there ([`unindexed`](Self::unindexed)) are asked every time. A filter is not kept: what it requires is shared with
/// others that require the same.
///
/// Cloning takes constant time, and the copies share what does not change; see [`LiveSet`] for a set that changes while
/// others match with it.
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
    /// Shared with copies of the set, until one of them changes.
    parts: Arc<Parts<Id>>,
}

/// What a set consists of. Copies share its chunks.
#[derive(Clone, Debug)]
struct Parts<Id> {
    index: Index,
    /// By the number of its rule: a filter's id.
    ids: Arena<Option<Id>>,
    /// Rules by id.
    rules: Table,
    seeds: RandomState,
    /// What the next filter is given to keep the order.
    next: u64,
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

    /// For gathering filters.
    pub fn builder() -> FilterSetBuilder<Id> {
        FilterSetBuilder::new()
    }

    fn set_depth(&mut self, depth: usize) {
        Arc::make_mut(&mut self.parts).depth = depth;
    }

    /// Adds a filter; whether its id is new. A filter that has this id already is replaced, and the new one takes its
    /// place in the order.
    ///
    /// Takes time linear in the size of the filter, on average over many; where others share the set, what has to be
    /// copied first.
    pub fn insert(&mut self, id: Id, filter: Filter) -> bool {
        Arc::make_mut(&mut self.parts).insert(id, &filter)
    }

    /// A filter will be inserted soon: has the processor fetch what that begins with.
    fn foresee(&self, id: &Id, filter: &Filter) {
        self.parts.rules.prefetch(self.parts.seeds.hash_one(id));
        self.parts.index.foresee(filter.program());
    }

    /// Removes a filter; whether it was there.
    ///
    /// Takes time linear in the size of the filter and in how many others wait for the same condition as it does.
    pub fn remove(&mut self, id: &Id) -> bool {
        let hash = self.parts.seeds.hash_one(id);
        let found = self.parts.find(hash, id);
        if let Some(rule) = found {
            Arc::make_mut(&mut self.parts).take(hash, rule);
        }
        found.is_some()
    }

    /// How many filters there are.
    pub fn len(&self) -> usize {
        self.parts.ids.live()
    }

    /// Whether there is none.
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

    /// The filters that are checked against every event, because nothing that they require needs to be there; in order of
    /// insertion.
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

    /// The same, into memory that is kept.
    pub fn matches_into(&self, event: &Value, matches: &mut Matches) {
        walk::walk_tree(&self.parts.index, event, &mut matches.scratch, &self.expect());
        self.sort(matches);
    }

    /// The ids of the filters that match an event given as the bytes of one JSON document, in order of insertion.
    ///
    /// One pass over the bytes, without a tree.
    ///
    /// # Errors
    /// If the bytes are not JSON, or nest deeper than the limit. The whole document is checked, whatever the filters look
    /// at; what is accepted is what `serde_json::from_slice::<Value>` accepts.
    pub fn matches_slice(&self, event: &[u8]) -> Result<Vec<&Id>, JsonError> {
        matches::with_memory(|matches| {
            self.matches_slice_into(event, matches)?;
            Ok(matches.ids(self).collect())
        })
    }

    /// The same, into memory that is kept; without allocation once that has grown.
    ///
    /// # Errors
    /// As [`matches_slice`](Self::matches_slice); there are no matches then.
    pub fn matches_slice_into(&self, event: &[u8], matches: &mut Matches) -> Result<(), JsonError> {
        match walk::walk_bytes::<true, true>(
            &self.parts.index,
            event,
            self.parts.depth,
            &mut matches.scratch,
            &self.expect(),
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

    /// As [`matches_slice`](Self::matches_slice), for a document that is known to be valid and to have no key twice in
    /// one object: it is read only until the answer is known.
    ///
    /// What is answered for any other document is unspecified, though never an error, a panic or more than linear time.
    pub fn matches_valid_slice(&self, event: &[u8]) -> Vec<&Id> {
        matches::with_memory(|matches| {
            self.matches_valid_slice_into(event, matches);
            matches.ids(self).collect()
        })
    }

    /// The same, into memory that is kept; without allocation once that has grown.
    pub fn matches_valid_slice_into(&self, event: &[u8], matches: &mut Matches) {
        match walk::walk_bytes::<false, true>(
            &self.parts.index,
            event,
            self.parts.depth,
            &mut matches.scratch,
            &self.expect(),
        ) {
            Ok(()) => self.sort(matches),
            Err(Invalid) => matches.scratch.matched.clear(),
        }
    }

    /// Fetches the ids of rules that are likely to match.
    fn expect(&self) -> impl Fn(u32) {
        |rule| self.parts.ids.prefetch(rule)
    }

    fn sort(&self, matches: &mut Matches) {
        if matches.scratch.matched.len() > 1 {
            matches.scratch.matched.sort_unstable_by_key(|&rule| self.parts.index.order(rule));
        }
    }

    /// What the set holds and costs; takes time linear in its size.
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

    /// Takes out a rule that is there; gives its place in the order.
    fn take(&mut self, hash: u64, rule: u32) -> u64 {
        let order = self.index.order(rule);
        self.rules.remove(hash, rule);
        self.ids.take(rule);
        self.index.remove(rule);
        order
    }
}

/// One filter, by the same engine.
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

    /// Whether the filter matches a document; see [`walk::walk_bytes`].
    pub(crate) fn matches<const CHECKED: bool>(&self, event: &[u8], depth: usize) -> Scan<bool> {
        matches::with_memory(|matches| {
            walk::walk_bytes::<CHECKED, true>(&self.index, event, depth, &mut matches.scratch, &|_| ())?;
            Ok(!matches.is_empty())
        })
    }
}
