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
mod checks;
mod index;
mod live;
mod matches;
mod matching;
mod records;
mod stats;
mod store;
mod whole;

use std::hash::{BuildHasher as _, Hash};
use std::sync::Arc;

use foldhash::quality::RandomState;
use serde_json::Value;

pub use builder::FilterSetBuilder;
use checks::Checks;
use index::Index;
pub use live::LiveSet;
pub use matches::Matches;
use records::Records;
pub use stats::{OneByOne, SetStats};
use store::{Arena, Table, prefetch_event};
use whole::Whole;

use crate::compile::copy::Indexed;
use crate::explain::Explanation;
use crate::filter::Filter;
use crate::json::{self, JsonError};
use crate::limits::Limits;
use crate::matcher::Subject;
use crate::program::Program;
use crate::scan::{Invalid, Raw, Scan};

/// Many filters, each with an id. Finds the filters that match an event.
///
/// The result is the same as evaluating each filter by itself. The time grows with the number of filters whose rarest
/// condition holds, however many others there are. Filters without a condition that requires a field
/// ([`unindexed`](Self::unindexed)) are evaluated for every event. A comparison with another field (`$ref`) is evaluated for the
/// filters whose other conditions hold, if both fields are there. A set does not store other filters,
/// unless it is [asked to](FilterSetBuilder::keep_filters): they share equal conditions.
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
    /// The filters that are conditions on the event itself; none while there is no such filter.
    whole: Option<Box<Whole>>,
    /// The filters that the index finds only roughly.
    checks: Checks,
    /// Whether there are none of either, so that what the index finds is the result.
    only_index: bool,
    records: Records,
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
                whole: None,
                checks: Checks::default(),
                only_index: true,
                records: Records::default(),
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

    /// The parts, copied first if a clone shares them.
    fn parts_mut(&mut self) -> &mut Parts<Id> {
        Arc::make_mut(&mut self.parts)
    }

    /// Adds a filter and returns whether its id is new. Replaces a filter with the same id and takes its place in the
    /// order.
    ///
    /// Takes amortized time linear in the size of the filter, and copies first the data that clones share and that changes.
    pub fn insert(&mut self, id: Id, filter: Filter) -> bool {
        self.parts_mut().insert(id, &filter)
    }

    /// Prefetches the data that inserting a filter reads first.
    fn prefetch_insert(&self, id: &Id, filter: &Filter) {
        self.parts.rules.prefetch(self.parts.seeds.hash_one(id));
        self.parts.index.prefetch_insert(filter.program());
    }

    /// Removes a filter and returns whether there was one with this id.
    ///
    /// Takes time linear in the size of the filter, and for filters nested in it in the number of nested filters that are
    /// indexed by the same condition.
    pub fn remove(&mut self, id: &Id) -> bool {
        let hash = self.parts.seeds.hash_one(id);
        let found = self.parts.find(hash, id);
        if let Some(rule) = found {
            self.parts_mut().take(hash, rule);
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

    /// The filter of an id; `None` if there is none, or if the set does not
    /// [keep filters](FilterSetBuilder::keep_filters). Takes constant time.
    pub fn filter(&self, id: &Id) -> Option<&Filter> {
        self.parts.records.filter(self.parts.find(self.parts.seeds.hash_one(id), id)?)
    }

    /// Why an event matches the filter of an id, or does not; `None` as for [`filter`](Self::filter), whose
    /// [`explain_slice`](Filter::explain_slice) takes bytes.
    ///
    /// ```
    /// use filter::{Filter, FilterSet};
    /// use serde_json::json;
    ///
    /// let large = Filter::parse(r#"{"amount": {"$gte": 1000}}"#)?;
    /// let set = FilterSet::builder().keep_filters().add("large", large).build();
    /// let explanation = set.explain(&"large", &json!({"amount": 20})).expect("the set has this filter");
    /// assert_eq!(explanation.summary().as_deref(), Some("amount is 20, expected >= 1000"));
    /// # Ok::<(), filter::FilterError>(())
    /// ```
    pub fn explain(&self, id: &Id, event: &Value) -> Option<Explanation> {
        Some(self.filter(id)?.explain(event))
    }

    /// How many events have matched the filter of an id since it was inserted; `None` if there is none, or if the set does
    /// not [count hits](FilterSetBuilder::count_hits). Takes constant time.
    ///
    /// Clones of the set count together.
    pub fn hits(&self, id: &Id) -> Option<u64> {
        self.parts.records.hits(self.parts.find(self.parts.seeds.hash_one(id), id)?)
    }

    /// The ids, in order of insertion.
    pub fn ids(&self) -> impl Iterator<Item = &Id> {
        let all = self.parts.ids.iter().enumerate().filter(|(_, id)| id.is_some());
        self.in_order(all.filter_map(|(rule, _)| u32::try_from(rule).ok()).collect())
    }

    /// The ids of the filters that are evaluated for every event, because none of their conditions requires a field; in
    /// order of insertion.
    pub fn unindexed(&self) -> impl Iterator<Item = &Id> {
        let whole = self.parts.whole.iter().flat_map(|whole| whole.unindexed());
        self.in_order(self.parts.index.unindexed().chain(whole).collect())
    }

    fn in_order(&self, mut rules: Vec<u32>) -> impl Iterator<Item = &Id> {
        rules.sort_by_key(|&rule| self.parts.index.order(rule));
        rules.into_iter().filter_map(|rule| self.parts.id_at(rule))
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
        let prefetch_id = self.parts.prefetch_id();
        matching::match_value(&self.parts.index, event, &mut matches.scratch, &prefetch_id);
        if let Some(whole) = &self.parts.whole {
            whole.add_matching(event, &mut matches.scratch);
        }
        self.finish(event, matches);
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
        prefetch_event(event);
        self.match_slice::<true>(event, matches).map_err(|Invalid| json::event_error(event, self.parts.depth))
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
        // An error leaves no matches.
        let _ = self.match_slice::<false>(event, matches);
    }

    #[inline(always)]
    fn match_slice<const CHECKED: bool>(&self, event: &[u8], matches: &mut Matches) -> Scan<()> {
        let Parts { index, depth, .. } = &*self.parts;
        let (scratch, prefetch_id) = (&mut matches.scratch, self.parts.prefetch_id());
        match matching::match_bytes::<CHECKED, true>(index, event, *depth, scratch, &prefetch_id) {
            Ok(()) => self.finish_slice(event, matches),
            Err(Invalid) => {
                matches.scratch.matched.clear();
                return Err(Invalid);
            }
        }
        Ok(())
    }

    #[inline]
    fn finish_slice(&self, event: &[u8], matches: &mut Matches) {
        if !self.parts.only_index {
            return self.finish_elsewhere(event, matches);
        }
        self.sort(matches);
    }

    /// The same for a set with filters that its index does not find, or only roughly.
    #[inline(never)]
    fn finish_elsewhere(&self, event: &[u8], matches: &mut Matches) {
        if let Some(whole) = &self.parts.whole {
            // Not an error: the document may be one that was claimed to be valid.
            let read = whole.add_matching_slice(event, self.parts.depth, &mut matches.scratch);
            if read.is_err() {
                return matches.scratch.matched.clear();
            }
        }
        match Raw::of_document(event) {
            Ok(event) => self.finish(event, matches),
            Err(Invalid) => matches.scratch.matched.clear(),
        }
    }

    /// Removes the rules that do not match after all, and sorts the others.
    fn finish(&self, event: impl Subject, matches: &mut Matches) {
        self.parts.checks.retain_matching(event, &mut matches.scratch.matched);
        self.sort(matches);
    }

    #[inline]
    fn sort(&self, matches: &mut Matches) {
        if matches.scratch.matched.len() > 1 {
            matches.scratch.matched.sort_unstable_by_key(|&rule| self.parts.index.order(rule));
        }
        self.parts.records.count(&matches.scratch.matched);
    }

    /// The size and memory use of the set. Takes time linear in its size.
    pub fn stats(&self) -> SetStats {
        let Parts { index, ids, rules, whole, checks, records, .. } = &*self.parts;
        let rough = |rule| checks.has(rule);
        let mut stats = index.stats(&rough);
        whole.iter().for_each(|whole| whole.add_stats(&mut stats, &rough));
        stats.filters = self.len();
        stats.bytes +=
            ids.bytes() + rules.bytes() + checks.bytes() + records.bytes() + size_of::<Parts<Id>>();
        stats
    }
}

impl<Id: Clone + Eq + Hash> Parts<Id> {
    fn id_at(&self, rule: u32) -> Option<&Id> {
        self.ids.get(rule)?.as_ref()
    }

    /// Prefetches the id of a rule that is likely to match, since callers read it.
    fn prefetch_id(&self) -> impl Fn(u32) {
        |rule| self.ids.prefetch(rule)
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
        let indexed = filter.program().indexed();
        let rule = if indexed.whole {
            let rule = self.index.add_elsewhere(order);
            let whole = self.whole.get_or_insert_with(|| Box::new(Whole::new()));
            self.index.set_elsewhere(rule, whole.insert(&indexed.program, order, rule));
            rule
        } else {
            self.index.add(&indexed.program, order)
        };
        if indexed.rough {
            self.checks.insert(rule, filter.clone());
        }
        let place = self.ids.add(Some(id));
        debug_assert_eq!(rule, place, "rules and ids are numbered alike");
        self.rules.insert(hash, rule);
        self.records.insert(rule, filter);
        self.set_only_index();
        replaced.is_none()
    }

    /// Removes a rule and returns its position in the order.
    fn take(&mut self, hash: u64, rule: u32) -> u64 {
        let order = self.index.order(rule);
        self.rules.remove(hash, rule);
        self.ids.take(rule);
        self.checks.remove(rule);
        self.records.remove(rule);
        if let (Some(number), Some(whole)) = (self.index.elsewhere(rule), &mut self.whole) {
            whole.remove(number);
            if whole.is_empty() {
                self.whole = None;
            }
        }
        self.index.remove(rule);
        self.set_only_index();
        order
    }

    fn set_only_index(&mut self) {
        self.only_index = self.whole.is_none() && self.checks.is_empty();
    }
}

/// The index of one filter.
#[derive(Debug)]
pub(crate) struct Single {
    index: Index,
    /// Whether the filter is a condition on the event itself.
    whole: bool,
    /// Whether the index finds the filter only roughly.
    rough: bool,
}

impl Single {
    pub(crate) fn new(program: &Program) -> Self {
        let mut index = Index::new();
        let Indexed { program, whole, rough } = program.indexed();
        index.add(&program, 0);
        Self { index, whole, rough }
    }

    /// Whether the filter of this program matches a document; see [`matching::match_bytes`].
    pub(crate) fn matches<const CHECKED: bool>(
        &self,
        program: &Program,
        event: &[u8],
        depth: usize,
    ) -> Scan<bool> {
        let found = matches::with_memory(|matches| {
            let scratch = &mut matches.scratch;
            match self.whole {
                true => matching::match_whole_bytes::<CHECKED>(&self.index, event, depth, scratch, &|_| ())?,
                false => matching::match_bytes::<CHECKED, true>(&self.index, event, depth, scratch, &|_| ())?,
            }
            Ok(!matches.is_empty())
        })?;
        Ok(found && (!self.rough || program.matches(Raw::of_document(event)?)))
    }
}
