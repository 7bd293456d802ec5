//! The one error that describing a policy can give.
//!
//! It names the field as the wire format spells it, what was found there and what would have been accepted,
//! so that a program can underline the field and a person can mend it. The kind stays private: new reasons to
//! refuse a policy must not break those who match on it.

use std::fmt;

/// Why a policy or a set of retry options was refused.
///
/// ```
/// use retry::RetryOptions;
///
/// let err = RetryOptions::builder().factor(0.5).build().unwrap_err();
/// assert_eq!(err.field(), "factor");
/// assert_eq!(err.to_string(), "`factor` is 0.5, expected a finite number of at least 1");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PolicyError {
    field: &'static str,
    found: String,
    expected: String,
}

impl PolicyError {
    pub(crate) fn new(field: &'static str, found: impl fmt::Display, expected: impl Into<String>) -> Self {
        Self { field, found: found.to_string(), expected: expected.into() }
    }

    /// The field that was refused, spelt as in the serialised form (`minTimeoutInMs`).
    #[must_use]
    pub fn field(&self) -> &str {
        self.field
    }

    /// What the field held, as text.
    #[must_use]
    pub fn found(&self) -> &str {
        &self.found
    }

    /// What the field may hold, as a fragment that fits after "expected".
    #[must_use]
    pub fn expected(&self) -> &str {
        &self.expected
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is {}, expected {}", self.field, self.found, self.expected)
    }
}

impl fmt::Debug for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PolicyError({self})")
    }
}

impl std::error::Error for PolicyError {}
