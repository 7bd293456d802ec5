//! What a set holds and costs.

use std::fmt;

/// What a [`FilterSet`] holds, what it costs, and how its filters are found.
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
    /// How many filters there are.
    pub filters: usize,
    /// The memory that the set takes, in bytes, ids included but not what ids own elsewhere.
    pub bytes: usize,
    /// How many filters are checked against every event, because nothing that they require can be indexed.
    pub unindexed: usize,
    /// How many fields the filters name, each counted once for each place where it can stand.
    pub fields: usize,
    /// What filters are found by: the kind of index and how many entries it has. Kinds that are not in use are left out.
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
