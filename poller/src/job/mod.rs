//! What a poll asks for: a [`PollSpec`], read from JSON or built in code, checked once, immutable after.
//!
//! ```text
//! text ──filter::json──► spanned nodes ──decode──► PollSpec     every problem at once, each with its place
//! builder ─────────────► nodes ─────────decode──►               the same checks, the same messages
//! ```
//!
//! Two specs are the same when they are equal once parsed: defaults filled in, member order and aliases gone.
//! [`PollSpec::to_value`] is that canonical form; nothing in it is secret.

mod bounds;
mod builder;
mod decode;
mod request;
mod response_filter;
mod retry;
mod schema;
mod shared;
mod stored;

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use filter::{Diagnostic, Dialect, json};
use ring::digest::{SHA256, digest};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};
use url::Url;

pub use self::builder::PollSpecBuilder;
pub use self::request::{Body, RequestInit};
pub use self::response_filter::{ResponseFilter, StatusFilter};
pub use self::retry::{RequestTimeout, RetryRule};
pub use self::schema::spec_schema;

use self::shared::Shared;
pub(crate) use self::shared::SpecPool;
pub(crate) use self::stored::StoredSpecs;
use crate::limits::Limits;
use crate::seal::SealKey;
use crate::secret::{ShowSecret, redact};

/// A poll as its user describes it. Cheap to clone: the parts are shared, and specs made
/// [from one another](Self::with_url) share everything but the URL.
///
/// ```
/// use poller::PollSpec;
/// use std::time::Duration;
///
/// let spec = PollSpec::parse(
///     r#"{"url": "https://api.example.com/v1/exports/42", "interval": 10, "timeout": 300,
///         "responseFilter": {"status": [200], "body": {"status": ["SUCCESS"]}}}"#,
/// )?;
/// assert_eq!(spec.interval(), Duration::from_secs(10));
///
/// let error = PollSpec::parse(r#"{"url": "https://api.example.com", "interval": 1}"#).unwrap_err();
/// assert!(error.to_string().contains("/interval: found 1 s, expected 10 s to 300 s"), "{error}");
/// # Ok::<(), poller::SpecError>(())
/// ```
#[derive(Clone)]
pub struct PollSpec {
    /// As [`Url`] writes it. Kept as text, which is a third of a parsed one; it is parsed when a request is sent.
    url: Arc<str>,
    shared: Arc<Shared>,
}

impl PollSpec {
    /// Reads a spec from JSON text, within the default [`Limits`].
    ///
    /// # Errors
    /// All that is wrong with it, each with its place.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        SpecOptions::new().parse(text)
    }

    /// A spec built in code, starting from the URL.
    pub fn builder(url: impl Into<String>) -> PollSpecBuilder {
        PollSpecBuilder::new(url.into())
    }

    /// The key the spec names for itself. The library takes the key as an argument; the command line reads this.
    #[must_use]
    pub fn cache_key(&self) -> Option<&str> {
        self.shared.cache_key.as_deref()
    }

    /// The same spec for another URL; everything else is shared with this one, so that a million polls of one kind cost
    /// little more than their URLs.
    ///
    /// ```
    /// use poller::PollSpec;
    ///
    /// let spec = PollSpec::builder("https://api.example.com/v1/exports/1").build()?;
    /// let other = spec.with_url("https://api.example.com/v1/exports/2")?;
    /// assert_eq!(other.differences(&spec), ["/url"]);
    /// # Ok::<(), poller::SpecError>(())
    /// ```
    ///
    /// # Errors
    /// If it is not a URL that a spec may have.
    pub fn with_url(&self, url: &str) -> Result<Self, SpecError> {
        let url = decode::url(url)?;
        Ok(Self { url, shared: Arc::clone(&self.shared) })
    }

    /// The URL asked. Parses it: linear in its length.
    #[must_use]
    pub fn url(&self) -> Url {
        Url::parse(&self.url).expect("invariant: the text was written by a Url")
    }

    /// The URL asked, as text in the normal form of the WHATWG's URL standard, without a fragment.
    #[must_use]
    pub fn url_text(&self) -> &str {
        &self.url
    }

    /// Scheme, host and port of the URL, the port left out where it is the scheme's own.
    pub(crate) fn origin(&self) -> &str {
        // The first colon is that of "://".
        let host = self.url.find(':').map_or(0, |scheme| scheme + 3);
        let ends = |byte: u8| matches!(byte, b'/' | b'?' | b'#');
        let end = self.url.bytes().skip(host).position(ends).map_or(self.url.len(), |length| host + length);
        &self.url[..end]
    }

    /// Whether the two share everything but the URL, as those that were made from one another do. Equal ones need not.
    pub(crate) fn shares_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Whether the two share everything but the path and query of the URL.
    pub(crate) fn shares_origin_with(&self, other: &Self) -> bool {
        self.shares_with(other) && {
            let origin = self.origin();
            let rest = other.url.strip_prefix(origin);
            rest.is_some_and(|rest| matches!(rest.as_bytes().first(), None | Some(b'/' | b'?' | b'#')))
        }
    }

    /// The time between two ticks.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.shared.interval
    }

    /// The time from acceptance to deadline.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.shared.timeout
    }

    /// What is sent.
    #[must_use]
    pub fn request(&self) -> &RequestInit {
        &self.shared.request
    }

    /// What means *done*.
    #[must_use]
    pub fn response_filter(&self) -> &ResponseFilter {
        &self.shared.response_filter
    }

    /// What means *failed*.
    #[must_use]
    pub fn failure_filter(&self) -> Option<&ResponseFilter> {
        self.shared.failure_filter.as_ref()
    }

    /// How long one request may take, and how it is retried when it takes longer.
    #[must_use]
    pub fn request_timeout(&self) -> &RequestTimeout {
        &self.shared.request_timeout
    }

    /// How responses are retried, by status; the first rule that applies counts.
    #[must_use]
    pub fn retry(&self) -> &[RetryRule] {
        &self.shared.retry
    }

    /// How many attempts in a row that cannot get better fail the poll; `None` never.
    #[must_use]
    pub fn give_up(&self) -> Option<NonZeroU32> {
        self.shared.give_up
    }

    /// The dialect of its filters.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.shared.dialect
    }

    /// What is suspicious about it, though valid.
    #[must_use]
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.shared.warnings
    }

    /// The canonical form: defaults filled in, aliases resolved, the cache key left out; secret text replaced by
    /// `{"__redactedString":true}`.
    #[must_use]
    pub fn to_value(&self) -> Value {
        self.to_value_with(&redact)
    }

    fn to_value_with(&self, show: &ShowSecret<'_>) -> Value {
        let inner = &*self.shared;
        let mut members = Map::new();
        members.insert("url".into(), self.url_text().into());
        members.insert("interval".into(), seconds(inner.interval));
        members.insert("timeout".into(), seconds(inner.timeout));
        members.insert("requestInit".into(), inner.request.to_value(show));
        members.insert("responseFilter".into(), inner.response_filter.to_value());
        if let Some(filter) = &inner.failure_filter {
            members.insert("failureFilter".into(), filter.to_value());
        }
        members.insert("requestTimeout".into(), inner.request_timeout.to_value());
        members.insert("retry".into(), retry::rules_to_value(&inner.retry));
        members.insert("giveUp".into(), inner.give_up.map_or(json!(false), |after| json!({"after": after})));
        members.insert("dialect".into(), inner.dialect.to_string().into());
        Value::Object(members)
    }

    /// SHA-256 of the canonical form, in hex. Secrets do not enter it, so it can be shown and stored; specs that differ
    /// only in a secret share it.
    #[must_use]
    pub fn digest(&self) -> String {
        let text = canonical(&self.to_value()).to_string();
        digest(&SHA256, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The names of the members in which two specs differ, as JSON pointers, never what they hold. Empty when the
    /// specs are the same; the cache key and the order of members do not count.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        if Arc::ptr_eq(&self.shared, &other.shared) {
            let same = self.url == other.url;
            return if same { Vec::new() } else { vec!["/url".to_owned()] };
        }
        let mut pointers = Vec::new();
        differing(&canonical(&self.to_value()), &canonical(&other.to_value()), "", &mut pointers);
        pointers.extend(self.shared.request.differing_secrets(&other.shared.request));
        // The order of retry rules has a meaning that the canonical map does not show.
        if pointers.is_empty() && self.shared.retry != other.shared.retry {
            pointers.push("/retry".to_owned());
        }
        pointers
    }
}

/// Equal in everything but the cache key; warnings follow from the rest.
impl PartialEq for PollSpec {
    fn eq(&self, other: &Self) -> bool {
        self.differences(other).is_empty()
    }
}

impl fmt::Debug for PollSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PollSpec({})", self.to_value())
    }
}

impl FromStr for PollSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        Self::parse(text)
    }
}

impl<'de> Deserialize<'de> for PollSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        SpecOptions::new().decode(&json::Node::from(&value), "").map_err(D::Error::custom)
    }
}

/// The canonical form, secrets left out: see [`PollSpec::to_value`].
impl Serialize for PollSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Written { spec: self, show: &redact, url: true }.serialize(serializer)
    }
}

/// A spec to be written with `show` for its secrets, its retry rules in their order, which a `Value` need not keep.
struct Written<'a> {
    spec: &'a PollSpec,
    show: &'a ShowSecret<'a>,
    /// Whether its URL is written too.
    url: bool,
}

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;

        let Value::Object(members) = self.spec.to_value_with(self.show) else {
            unreachable!("invariant: a spec is an object")
        };
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in &members {
            match name.as_str() {
                "url" if !self.url => {}
                "retry" => map.serialize_entry(name, &retry::InOrder(&self.spec.shared.retry))?,
                _ => map.serialize_entry(name, value)?,
            }
        }
        map.end()
    }
}

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
    limits: Limits,
    dialect: Option<Dialect>,
    /// Set for specs that come from a store, where secrets may be sealed: with the key to open them, if there is one.
    stored: Option<Option<SealKey>>,
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
    /// All that is wrong with it, each with its place.
    pub fn parse(&self, text: &str) -> Result<PollSpec, SpecError> {
        let node = json::parse(text, &self.limits.filter)
            .map_err(|error| SpecError::from(vec![error.diagnostic().clone()]))?;
        self.decode(&node, "")
    }

    /// Reads a spec from JSON already parsed; `pointer` says where in its document it stands.
    ///
    /// # Errors
    /// All that is wrong with it, each with its place.
    pub fn decode(&self, node: &json::Node, pointer: &str) -> Result<PollSpec, SpecError> {
        decode::spec(node, pointer, self).map(|(url, shared)| PollSpec { url, shared: Arc::new(shared) })
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

/// A duration in seconds as JSON: a whole number where it is one.
fn seconds(duration: Duration) -> Value {
    if duration.subsec_nanos() == 0 { json!(duration.as_secs()) } else { json!(duration.as_secs_f64()) }
}

/// A duration in milliseconds as JSON.
fn millis(duration: Duration) -> Value {
    json!(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// The same value whatever map serde_json was built with and however its numbers were written: members in order,
/// numbers without a fraction as integers.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut pairs: Vec<_> = members.iter().collect();
            pairs.sort_by_key(|(name, _)| *name);
            Value::Object(pairs.into_iter().map(|(name, value)| (name.clone(), canonical(value))).collect())
        }
        Value::Array(elements) => Value::Array(elements.iter().map(canonical).collect()),
        Value::Number(number) => match number.as_f64() {
            // Up to 2^53 every integer is a double of its own, so nothing that differs becomes equal.
            Some(float)
                if number.is_f64() && float.fract() == 0.0 && float.abs() <= 9_007_199_254_740_992.0 =>
            {
                json!(float as i64)
            }
            _ => value.clone(),
        },
        scalar => scalar.clone(),
    }
}

/// Collects the pointers at which two values differ, descending through objects only.
fn differing(a: &Value, b: &Value, pointer: &str, pointers: &mut Vec<String>) {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            let names: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for name in names {
                let (a, b) = (a.get(name).unwrap_or(&Value::Null), b.get(name).unwrap_or(&Value::Null));
                differing(a, b, &filter::decode::child(pointer, name), pointers);
            }
        }
        (a, b) if a == b => {}
        _ => pointers.push(pointer.to_owned()),
    }
}
