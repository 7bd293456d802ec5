//! What the routers share: rules from a file of JSON Lines, in the form that `poll route` reads.

use anyhow::{Context as _, bail};
use filter::{Filter, FilterSet};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    id: String,
    filter: Filter,
}

/// Reads `{"id": "…", "filter": {…}}` lines. An id becomes part of an address, so it has only letters, digits, `-` and `_`.
///
/// # Errors
/// Names the line, and every problem of its filter.
pub fn read_rules(path: &str) -> anyhow::Result<FilterSet<String>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let mut rules = FilterSet::builder().keep_filters().count_hits();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let place = || format!("{path}:{}", number + 1);
        let Rule { id, filter } = serde_json::from_str(line).with_context(place)?;
        if id.is_empty() || !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
            bail!("{}: the id {id:?} may have only letters, digits, - and _", place());
        }
        rules = rules.add(id, filter);
    }
    Ok(rules.build())
}
