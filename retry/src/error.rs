//! [`PolicyError`]: the error of every builder and reader here.
//!
//! It names the field, the value found and the values accepted, so that a program can mark the field and a person can
//! correct it. A builder's error uses the names of the setters, a reader's the names of the document's members. There is no
//! public kind: a new check must not break code that matches on one.

use std::borrow::Cow;
use std::fmt;

/// A refused policy, set of retry options, budget or breaker.
///
/// ```
/// use retry::{Policy, RetryOptions};
/// use std::time::Duration;
///
/// let err = RetryOptions::builder().factor(0.5).build().unwrap_err();
/// assert_eq!(err.to_string(), "`factor` is 0.5, expected a finite number of at least 1");
///
/// let err = Policy::fixed(Duration::ZERO).build().unwrap_err();
/// assert_eq!(err.field(), "delayInMs");
/// assert_eq!(
///     err.to_string(),
///     "`delay` is 0, expected more than 0; for a first retry without delay use FirstRetry::AtOnce",
/// );
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PolicyError {
    field: Cow<'static, str>,
    /// The member that has the field, if it is not the policy itself.
    within: Option<&'static str>,
    found: String,
    expected: String,
    /// The same for a builder, where it differs.
    in_rust: Option<Box<(String, String)>>,
    is_default: bool,
    in_document: bool,
}

impl PolicyError {
    pub(crate) fn new(
        field: impl Into<Cow<'static, str>>,
        found: impl fmt::Display,
        expected: impl Into<String>,
    ) -> Self {
        let (found, expected) = (found.to_string(), expected.into());
        let field = field.into();
        Self { field, within: None, found, expected, in_rust: None, is_default: false, in_document: false }
    }

    /// Sets the value and the expectation for a builder's message.
    pub(crate) fn in_rust(mut self, found: impl fmt::Display, expected: impl Into<String>) -> Self {
        self.in_rust = Some(Box::new((found.to_string(), expected.into())));
        self
    }

    /// Names the member that has the field.
    pub(crate) const fn within(mut self, member: Option<&'static str>) -> Self {
        self.within = member;
        self
    }

    /// The value is the default, and was not set.
    pub(crate) const fn default_value(mut self, is_default: bool) -> Self {
        self.is_default = is_default;
        self
    }

    /// The error comes from reading a document.
    pub(crate) const fn in_document(mut self) -> Self {
        self.in_document = true;
        self
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
        let default = if self.is_default { " (the default)" } else { "" };
        let name = |member: &str| if self.in_document { member.to_owned() } else { setter(member) };
        let (found, expected) = match &self.in_rust {
            Some(words) if !self.in_document => (&words.0, &words.1),
            _ => (&self.found, &self.expected),
        };
        write!(f, "`{}`", name(&self.field))?;
        if let Some(member) = self.within {
            write!(f, " of `{}`", name(member))?;
        }
        write!(f, " is {found}{default}, expected {expected}")
    }
}

/// The name of a member's setter: `max_delay` for `maxDelayInMs`.
pub(crate) fn setter(member: &str) -> String {
    let mut name = String::new();
    for c in member.strip_suffix("InMs").unwrap_or(member).chars() {
        if c.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(c.to_ascii_lowercase());
    }
    name
}

impl fmt::Debug for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PolicyError({self})")
    }
}

impl std::error::Error for PolicyError {}
