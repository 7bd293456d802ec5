//! From JSON to a spec: each member is read by its entry in the table, and every problem is collected with its place.
//!
//! A problem never stops the reading, so one run shows all of them. Messages name the value found and the value expected,
//! but never repeat a value that may be secret.

use std::fmt;
use std::sync::Arc;

use filter::decode::{Place, Problems, closest, describe, field, known_members};
use filter::{Diagnostic, Dialect, json};

use super::members::{MEMBERS, Settings};
use super::{PollSpec, identity, pool};
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
    /// Opened with this key; without a key, a sealed secret is an error.
    Opened(Option<SealKey>),
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

    /// Reads a spec from JSON text.
    ///
    /// # Errors
    /// Every problem with its place.
    pub fn parse(&self, text: &str) -> Result<PollSpec, SpecError> {
        let node = json::parse(text, &self.limits.filter)
            .map_err(|error| SpecError::from(vec![error.diagnostic().clone()]))?;
        self.decode(&node, "")
    }

    /// Reads a spec from parsed JSON; `pointer` is its place in its document.
    ///
    /// # Errors
    /// Every problem with its place.
    pub fn decode(&self, node: &json::Node, pointer: &str) -> Result<PollSpec, SpecError> {
        let mut reader = Reader::new(self);
        let spec = reader.spec(Place { node, pointer });
        let warnings = reader.problems.finish()?;
        let (url, settings) = spec.expect("invariant: without a spec there is an error");
        Ok(PollSpec { url, settings: Arc::new(Settings { warnings, ..settings }) })
    }
}

/// Why a spec was refused: every problem that was found in it.
#[derive(Clone, Debug, PartialEq)]
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

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid poll spec")?;
        for diagnostic in &self.diagnostics {
            write!(f, "\n  {diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for SpecError {}

/// A URL by itself, in its normal form.
pub(super) fn url(text: &str) -> Result<Arc<str>, SpecError> {
    let options = SpecOptions::new();
    let mut reader = Reader::new(&options);
    let node = json::Node { span: None, kind: json::Kind::String(text.to_owned()) };
    reader.url(Place { node: &node, pointer: "/url" }).ok_or_else(|| reader.problems.errors.into())
}

/// The state of reading one spec.
pub(super) struct Reader<'o> {
    pub(super) options: &'o SpecOptions,
    pub(super) dialect: Dialect,
    pub(super) problems: Problems,
}

impl<'o> Reader<'o> {
    fn new(options: &'o SpecOptions) -> Self {
        Self { options, dialect: options.dialect.unwrap_or_default(), problems: Problems::default() }
    }

    pub(super) fn limits(&self) -> &'o Limits {
        &self.options.limits
    }

    fn spec(&mut self, place: Place<'_>) -> Option<(Arc<str>, Settings)> {
        let known: Vec<&str> =
            identity::NAMES.into_iter().chain(MEMBERS.iter().map(|member| member.name)).collect();
        let fields = known_members(place, "an object with a \"url\"", &known, &mut self.problems)?;
        let mut settings = Settings::new(self.options);
        for member in MEMBERS {
            if let Some(given) = field(&fields, member.name) {
                (member.read)(self, given.place(), &mut settings);
            }
        }
        settings.hash = pool::content_hash(place.node, &identity::NAMES);
        settings.cache_key = field(&fields, "cacheKey").and_then(|given| self.cache_key(given.place()));
        let (interval, timeout) = (settings.interval, settings.timeout);
        if let Some(given) = field(&fields, "interval").filter(|_| interval >= timeout) {
            self.problems.warn(
                given.place(),
                format!("the interval of {interval:?} is not shorter than the timeout of {timeout:?}"),
                "only one request will be made; shorten the interval or lengthen the timeout",
            );
        }
        let url = match field(&fields, "url") {
            Some(given) => self.url(given.place()),
            None => {
                self.problems.error_with_help(place, "the member \"url\" is missing", "say which URL to ask");
                None
            }
        };
        Some((url?, settings))
    }

    pub(super) fn dialect(&mut self, place: Place<'_>) -> Option<Dialect> {
        let names = Dialect::ALL.map(Dialect::name);
        if let Some(Ok(dialect)) = place.text().map(str::parse::<Dialect>) {
            self.dialect = dialect;
            return Some(dialect);
        }
        let message = format!("found {}, expected one of {}", describe(place.node), quoted(&names));
        match place.text().and_then(|text| closest(text, &names)) {
            Some(name) => {
                self.problems.error_with_help(place, message, format!("did you mean {name:?}?"));
            }
            None => self.problems.error(place, message),
        }
        None
    }
}

pub(super) fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}
