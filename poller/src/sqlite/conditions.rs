//! A selection of polls as the condition of a statement.

use rusqlite::types::Value;

use crate::store::{Selection, beneath};

/// Conditions on rows and their values.
#[derive(Default)]
pub(super) struct Conditions {
    pub(super) texts: Vec<String>,
    pub(super) values: Vec<Value>,
}

impl Conditions {
    /// Those of a selection, except for its place in the list.
    pub(super) fn new(selection: &Selection) -> Self {
        let Selection { scope, under, prefix, origin, since, states, .. } = selection;
        let mut this = Self { texts: vec!["1".to_owned()], values: Vec::new() };
        if let Some(scope) = scope {
            this.add(scope.clone(), |scope| format!("scope = {scope}"));
        }
        // As `covers` does.
        if let Some(under) = under.as_ref().filter(|under| !under.is_empty()) {
            let inside = this.value(beneath(under));
            this.add(under.clone(), |under| {
                format!("(scope = {under} OR substr(scope, 1, length({inside})) = {inside})")
            });
        }
        if let Some(prefix) = prefix {
            this.add(prefix.clone(), |prefix| format!("substr(key, 1, length({prefix})) = {prefix}"));
        }
        if let Some(origin) = origin {
            // An origin ends where the URL does, or before the first of these.
            this.add(origin.clone(), |origin| {
                format!(
                    "(substr(url, 1, length({origin})) = {origin} \
                     AND substr(url, length({origin}) + 1, 1) IN ('', '/', '?', '#'))"
                )
            });
        }
        if let Some(since) = since {
            let since = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
            this.add(since, |since| format!("created_at >= {since}"));
        }
        if !states.is_empty() {
            let states: Vec<_> = states
                .iter()
                .map(|state| match &**state {
                    "open" => "(ended_at IS NULL AND NOT cancelling)".to_owned(),
                    "cancelling" => "(ended_at IS NULL AND cancelling)".to_owned(),
                    ending => {
                        let ending = this.value(ending.to_owned());
                        format!("(ended_at IS NOT NULL AND ending = {ending})")
                    }
                })
                .collect();
            this.texts.push(format!("({})", states.join(" OR ")));
        }
        this
    }

    /// Adds a value; returns its name in the statement.
    pub(super) fn value(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }

    pub(super) fn add(&mut self, value: impl Into<Value>, condition: impl FnOnce(String) -> String) {
        let value = self.value(value);
        self.texts.push(condition(value));
    }

    pub(super) fn text(&self) -> String {
        self.texts.join(" AND ")
    }
}
