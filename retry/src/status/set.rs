//! [`StatusSet`]: a comma list of patterns, as the keys of a strategy map.

use std::fmt;
use std::str::FromStr;

use super::{StatusError, StatusPattern};

/// Several [`StatusPattern`]s; a status matches if one of them matches. Never empty when parsed.
///
/// ```
/// use retry::status::StatusSet;
///
/// let transient: StatusSet = "408, 429, 5xx".parse()?;
/// assert!(transient.matches(429) && transient.matches(502));
/// assert!(!transient.matches(404));
/// assert_eq!(transient.to_string(), "408,429,5xx");
/// # Ok::<(), retry::status::StatusError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct StatusSet {
    patterns: Vec<StatusPattern>,
}

impl StatusSet {
    /// Whether a pattern matches `status`. Linear in the number of patterns.
    #[must_use]
    pub fn matches(&self, status: u16) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(status))
    }

    /// Whether one of the patterns is `all`.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.patterns.iter().any(StatusPattern::is_all)
    }

    /// The patterns, in their order.
    pub fn patterns(&self) -> &[StatusPattern] {
        &self.patterns
    }
}

impl FromStr for StatusSet {
    type Err = StatusError;

    fn from_str(text: &str) -> Result<Self, StatusError> {
        text.split(',').map(str::parse).collect()
    }
}

impl FromIterator<StatusPattern> for StatusSet {
    fn from_iter<I: IntoIterator<Item = StatusPattern>>(patterns: I) -> Self {
        Self { patterns: patterns.into_iter().collect() }
    }
}

impl From<StatusPattern> for StatusSet {
    fn from(pattern: StatusPattern) -> Self {
        Self { patterns: vec![pattern] }
    }
}

impl fmt::Display for StatusSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, pattern) in self.patterns.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            pattern.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_item_is_an_error() {
        for text in ["", ",", "429,", "429,,500"] {
            assert!(text.parse::<StatusSet>().is_err(), "{text}");
        }
        assert_eq!("429,6oo".parse::<StatusSet>().unwrap_err().found(), "6oo");
    }

    #[test]
    fn an_empty_set_matches_nothing() {
        let none = StatusSet::from_iter([]);
        assert!(!none.matches(200) && !none.is_all());
        assert!("429,all".parse::<StatusSet>().unwrap().is_all());
    }
}
