//! [`PolicyError`]: the error of every builder here.
//!
//! It names the field, the value found and the values accepted, so that a program can mark the field and a person can
//! correct it. There is no public kind: a new check must not break code that matches on one.

use std::borrow::Cow;
use std::fmt;

/// A refused policy, set of retry options, budget or breaker.
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
    field: Cow<'static, str>,
    found: String,
    expected: String,
}

impl PolicyError {
    pub(crate) fn new(
        field: impl Into<Cow<'static, str>>,
        found: impl fmt::Display,
        expected: impl Into<String>,
    ) -> Self {
        Self { field: field.into(), found: found.to_string(), expected: expected.into() }
    }

    /// The refused field, spelt as in the serialised form (`minTimeoutInMs`).
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }

    /// The refused value, as text.
    #[must_use]
    pub fn found(&self) -> &str {
        &self.found
    }

    /// The accepted values, as a fragment that fits after "expected".
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
