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
}

impl fmt::Display for SetStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per_filter = self.bytes.checked_div(self.filters).unwrap_or(0);
        writeln!(f, "filters    {}", self.filters)?;
        writeln!(f, "bytes      {} ({per_filter} for each filter)", self.bytes)?;
        writeln!(f, "fields     {}", self.fields)?;
        for (kind, entries) in &self.indexes {
            writeln!(f, "index      {kind}: {entries}")?;
        }
        write!(f, "unindexed  {} checked against every event", self.unindexed)
    }
}
