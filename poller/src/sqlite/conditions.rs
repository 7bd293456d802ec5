//! A selection of polls as the condition of a statement.

use rusqlite::types::Value;

use crate::store::Selection;

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
            this.add(scope.as_str(), |scope| format!("scope = {scope}"));
        }
        // As `covers` does.
        if let Some(under) = under.as_ref().filter(|under| !under.is_empty()) {
            let inside = if under.ends_with('/') { under.clone() } else { format!("{under}/") };
            this.add(under.as_str(), |under| format!("(scope = {under}"));
            let last = this.texts.pop().unwrap_or_default();
            this.add(inside, |inside| format!("{last} OR substr(scope, 1, length({inside})) = {inside})"));
        }
        if let Some(prefix) = prefix {
            this.add(prefix.as_str(), |prefix| format!("substr(key, 1, length({prefix})) = {prefix}"));
        }
        if let Some(origin) = origin {
            // An origin ends where the URL does, or before the first of these.
            this.add(origin.as_str(), |origin| {
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
                        let ending = this.value(ending);
                        format!("(ended_at IS NOT NULL AND ending = {ending})")
                    }
                })
                .collect();
            this.texts.push(format!("({})", states.join(" OR ")));
        }
        this
    }

    /// Adds a value; returns its name in the statement.
    pub(super) fn value(&mut self, value: impl Into<ValueOf>) -> String {
        self.values.push(value.into().0);
        format!("?{}", self.values.len())
    }

    pub(super) fn add(&mut self, value: impl Into<ValueOf>, condition: impl FnOnce(String) -> String) {
        let value = self.value(value);
        self.texts.push(condition(value));
    }

    pub(super) fn text(&self) -> String {
        self.texts.join(" AND ")
    }
}

/// A value of a statement.
pub(super) struct ValueOf(Value);

impl From<&str> for ValueOf {
    fn from(text: &str) -> Self {
        Self(text.to_owned().into())
    }
}

impl From<String> for ValueOf {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<i64> for ValueOf {
    fn from(number: i64) -> Self {
        Self(number.into())
    }
}
