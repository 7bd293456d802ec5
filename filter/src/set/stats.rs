//! Statistics of a set.

use std::fmt;

/// Size and memory use of a [`FilterSet`], and the kinds of indexes that find its filters.
///
/// ```
/// use filter::{Filter, FilterSet};
///
/// let set = FilterSet::builder()
///     .add(1, Filter::parse(r#"{"type": "a"}"#)?)
///     .add(2, Filter::parse(r#"{"type": {"$exists": false}}"#)?)
///     .build();
/// assert_eq!(set.stats().filters, 2);
/// # Ok::<(), filter::FilterError>(())
/// ```
///
/// [`FilterSet`]: crate::FilterSet
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SetStats {
    /// The number of filters.
    pub filters: usize,
    /// The memory of the set in bytes, ids included, but without the heap memory of ids.
    pub bytes: usize,
    /// The number of filters that are evaluated for every event, because none of their conditions requires a field.
    pub unindexed: usize,
    /// The number of fields that filters name, counted once for each path.
    pub fields: usize,
    /// The kinds of indexes in use, and the number of entries of each.
    pub indexes: Vec<(&'static str, usize)>,
    /// What is judged one by one, because no index tells it apart, longest lists first; lists of up to 32 are left out.
    pub one_by_one: Vec<OneByOne>,
}

/// Conditions or filters of a [`FilterSet`](crate::FilterSet) that are judged one by one: the time for an event in which the list
/// applies grows with its length.
///
/// ```
/// use filter::{Filter, FilterSet};
///
/// let filters = (0..100).map(|id| (id, format!(r#"{{"a": {{"b": {{"$regex": "^[a-z]{{{id}}}$"}}}}}}"#)));
/// let mut set = FilterSet::new();
/// for (id, text) in filters {
///     set.insert(id, Filter::parse(&text)?);
/// }
/// // No text is part of every text that `[a-z]{50}` matches, so each text there is tried with all of them.
/// let [slow] = &set.stats().one_by_one[..] else { panic!("one list") };
/// assert_eq!((slow.path.as_str(), slow.when, slow.count), ("/a/b", "any text", 100));
/// # Ok::<(), filter::FilterError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OneByOne {
    /// Where in the event, as a JSON pointer; empty for the event itself.
    pub path: String,
    /// For which values there: the kind of index that leads to the list, `any text` or `exact value` for example, or `any object`.
    pub when: &'static str,
    /// The length of the list: the number of conditions, or filters, that are judged for each such value.
    pub count: usize,
}

/// The most lists in the text of statistics.
const SHOWN: usize = 10;

impl fmt::Display for SetStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per_filter = self.bytes.checked_div(self.filters).unwrap_or(0);
        writeln!(f, "filters    {}", self.filters)?;
        writeln!(f, "bytes      {} ({per_filter} for each filter)", self.bytes)?;
        writeln!(f, "fields     {}", self.fields)?;
        for (kind, entries) in &self.indexes {
            writeln!(f, "index      {kind}: {entries}")?;
        }
        for OneByOne { path, when, count } in self.one_by_one.iter().take(SHOWN) {
            let place = if path.is_empty() { "the event" } else { path };
            writeln!(f, "one by one {count} for {when} at {place}")?;
        }
        if let Some(more) = self.one_by_one.len().checked_sub(SHOWN).filter(|&more| more > 0) {
            writeln!(f, "one by one {more} more lists")?;
        }
        write!(f, "unindexed  {} checked against every event", self.unindexed)
    }
}
