//! What the reading of each member has at hand: the options, the dialect, and the problems so far with their places.
//!
//! A problem never stops the reading, so one run shows all of them. Messages name the value found and the value expected,
//! but never repeat a value that may be secret. Members are read by their entries in the [table](super::members), which
//! [`whole`](super::whole) walks.

use std::sync::Arc;

use filter::decode::{Place, Problems, closest, describe};
use filter::{Diagnostic, Dialect};
use secrecy::SecretString;

use crate::limits::Limits;
use crate::seal::SealKey;

/// How specs are read.
///
/// ```
/// use poller::{Limits, SpecOptions};
///
/// let options = SpecOptions::new().limits(Limits::unbounded());
/// assert!(options.parse(r#"{"url": "http://localhost:8080/job", "interval": 0.5, "timeout": 5}"#).is_ok());
/// ```
#[derive(Clone, Debug, Default)]
pub struct SpecOptions {
    pub(super) limits: Limits,
    pub(super) dialect: Option<Dialect>,
    pub(super) sealed: Sealed,
}

/// The treatment of sealed secrets, which only a store may write.
#[derive(Clone, Debug, Default)]
pub(super) enum Sealed {
    /// An error, because a spec of one user could open a secret of another.
    #[default]
    Refused,
    /// These secrets, by their numbers.
    Opened(Arc<[SecretString]>),
    /// Opened with this key, as the first version sealed them; see [`seal`](crate::seal).
    Unbound(SealKey),
    /// Kept sealed: for lists, which show no secret and need no key.
    Kept,
}

impl SpecOptions {
    /// The default limits; filters are native unless the spec says otherwise.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The bounds a spec must keep.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The dialect of a spec that names none.
    #[must_use]
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = Some(dialect);
        self
    }
}

/// Why a spec was refused: every problem that was found in it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("invalid poll spec{}", lines(.diagnostics))]
pub struct SpecError {
    diagnostics: Vec<Diagnostic>,
}

impl SpecError {
    /// Each problem, in the order of the text. Never empty.
    #[must_use]
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }
}

impl From<Vec<Diagnostic>> for SpecError {
    fn from(diagnostics: Vec<Diagnostic>) -> Self {
        Self { diagnostics }
    }
}

fn lines(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(|diagnostic| format!("\n  {diagnostic}")).collect()
}

/// The state of reading one spec.
pub(super) struct Reader<'o> {
    pub(super) options: &'o SpecOptions,
    pub(super) dialect: Dialect,
    pub(super) problems: Problems,
}

impl<'o> Reader<'o> {
    pub(super) fn new(options: &'o SpecOptions) -> Self {
        Self { options, dialect: options.dialect.unwrap_or_default(), problems: Problems::default() }
    }

    pub(super) fn limits(&self) -> &'o Limits {
        &self.options.limits
    }

    /// Reports a problem; there is no value.
    pub(super) fn refuse<T>(&mut self, place: Place<'_>, message: impl Into<String>) -> Option<T> {
        self.problems.error(place, message);
        None
    }

    /// The same with help.
    pub(super) fn refuse_with_help<T>(
        &mut self,
        place: Place<'_>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Option<T> {
        self.problems.error_with_help(place, message, help);
        None
    }

    /// Reports what was expected at a place; there is no value.
    pub(super) fn expected<T>(&mut self, place: Place<'_>, expected: &str) -> Option<T> {
        self.problems.expected(place, expected);
        None
    }

    /// Reports that the object at a place lacks a member; there is no value.
    pub(super) fn missing<T>(&mut self, place: Place<'_>, name: &str, help: &str) -> Option<T> {
        self.refuse_with_help(place, format!("the member {name:?} is missing"), help)
    }

    pub(super) fn dialect(&mut self, place: Place<'_>) -> Option<Dialect> {
        let names = Dialect::ALL.map(Dialect::name);
        if let Some(Ok(dialect)) = place.text().map(str::parse::<Dialect>) {
            self.dialect = dialect;
            return Some(dialect);
        }
        let message = format!("found {}, expected one of {}", describe(place.node), quoted(&names));
        match place.text().and_then(|text| closest(text, &names)) {
            Some(name) => self.refuse_with_help(place, message, format!("did you mean {name:?}?")),
            None => self.refuse(place, message),
        }
    }
}

pub(super) fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}
