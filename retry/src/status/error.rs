//! [`StatusError`]: a refused status pattern.

use std::fmt;

/// The text is not a status pattern.
///
/// ```
/// let err = "6oo".parse::<retry::status::StatusPattern>().unwrap_err();
/// assert_eq!(err.found(), "6oo");
/// assert!(err.to_string().starts_with("\"6oo\" is not a status pattern"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusError {
    found: String,
    kind: Kind,
}

const EXPECTED: &str = "expected one like 429, 500-599, 5xx, 50x or all";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Empty,
    Form,
    OutOfRange,
    Reversed,
}

impl StatusError {
    pub(super) fn new(found: &str, kind: Kind) -> Self {
        Self { found: found.to_owned(), kind }
    }

    /// The refused pattern; of a comma list, the single item.
    #[must_use]
    pub fn found(&self) -> &str {
        &self.found
    }
}

impl fmt::Display for StatusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = &self.found;
        match self.kind {
            Kind::Empty => write!(f, "a status pattern is empty, {EXPECTED}"),
            Kind::Form => write!(f, "{found:?} is not a status pattern, {EXPECTED}"),
            Kind::OutOfRange => {
                write!(f, "{found:?} can never match, expected status codes from 100 to 999")
            }
            Kind::Reversed => write!(f, "{found:?} runs backwards, expected the lower status first"),
        }
    }
}

impl std::error::Error for StatusError {}
