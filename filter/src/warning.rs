//! What is suspicious about a filter that compiles.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::diagnostic::Diagnostic;

/// A sign that a filter does not mean what was meant. It compiles all the same.
///
/// ```
/// use filter::{Filter, WarningKind};
///
/// let filter = Filter::parse(r#"{"age": [{"$gt": 20}, {"$lt": 40}]}"#)?;
/// assert_eq!(filter.warnings()[0].kind(), WarningKind::RangeTrap);
/// assert_eq!(filter.warnings()[0].diagnostic().pointer(), "/age");
/// # Ok::<(), filter::FilterError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Warning {
    kind: WarningKind,
    #[serde(flatten)]
    diagnostic: Diagnostic,
}

/// What a [`Warning`] is about.
///
/// ```
/// assert_eq!(filter::WarningKind::NeverHolds.to_string(), "never-holds");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WarningKind {
    /// A condition that no value satisfies: `{"$gt": 2, "$lt": 1}`.
    NeverHolds,
    /// A condition that every value satisfies, a missing one too.
    AlwaysHolds,
    /// Bounds in an array, where any one of them suffices, so that every number does: `[{"$gt":20},{"$lt":40}]`.
    RangeTrap,
    /// The same condition twice.
    DuplicateCondition,
    /// A key twice, in a dialect where the last counts.
    DuplicateKey,
    /// Bits of an address beyond the prefix of its block; they are ignored.
    HostBits,
}

impl WarningKind {
    /// Its name in kebab case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NeverHolds => "never-holds",
            Self::AlwaysHolds => "always-holds",
            Self::RangeTrap => "range-trap",
            Self::DuplicateCondition => "duplicate-condition",
            Self::DuplicateKey => "duplicate-key",
            Self::HostBits => "host-bits",
        }
    }
}

impl fmt::Display for WarningKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for WarningKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl Warning {
    pub(crate) fn new(kind: WarningKind, diagnostic: Diagnostic) -> Self {
        Self { kind, diagnostic }
    }

    /// What it is about.
    pub fn kind(&self) -> WarningKind {
        self.kind
    }

    /// Where, and in words.
    pub fn diagnostic(&self) -> &Diagnostic {
        &self.diagnostic
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.diagnostic.fmt(f)
    }
}
