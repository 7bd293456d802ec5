//! What a poll is: a [`PollSpec`], read from JSON or built in code, checked once, immutable after.
//!
//! ```text
//! text ──filter::json──► nodes with spans ──read──► PollSpec     every problem at once, each with its place
//! builder ─────────────► nodes ─────────────read──►              the same checks, the same messages
//! ```
//!
//! One [table](members) has each member's decoding, encoding, schema, default and bounds. Two specs are the same when they
//! are equal once parsed: defaults filled in, member order and aliases ignored. [`PollSpec::to_value`] is that canonical
//! form, and contains no secret.

mod builder;
mod canonical;
mod filters;
mod identity;
mod members;
mod pool;
mod read;
mod request;
mod retry;
mod schema;
mod stored;
mod text;
mod timing;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use filter::decode::Problems;
use filter::{Diagnostic, json};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use url::Url;

pub use self::builder::PollSpecBuilder;
pub use self::filters::{ResponseFilter, StatusFilter};
pub use self::read::{SpecError, SpecOptions};
pub use self::request::{Body, RequestInit};
pub use self::retry::{RequestTimeout, RetryRule};
pub use self::schema::spec_schema;

use self::members::{MEMBERS, Settings};
pub(crate) use self::pool::SpecPool;
pub(crate) use self::stored::StoredSpecs;
use crate::limits::Limits;

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
    /// In the form of [`Url`]. Kept as text, a third of the size of a parsed URL, and parsed when a request is sent.
    url: Arc<str>,
    settings: Arc<Settings>,
}

impl PollSpec {
    /// Reads a spec from JSON text, within the default [`Limits`].
    ///
    /// # Errors
    /// Every problem with its place.
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
        self.settings.cache_key.as_deref()
    }

    /// The same spec for another URL. The rest is shared, so a million polls of one kind cost little more than their URLs.
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
    /// If a spec may not have this URL.
    pub fn with_url(&self, url: &str) -> Result<Self, SpecError> {
        let url = read::url(url)?;
        Ok(Self { url, settings: Arc::clone(&self.settings) })
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

    /// Whether the two share everything but the URL. Equal specs need not share.
    pub(crate) fn shares_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.settings, &other.settings)
    }

    /// Whether the two share everything but the path and query of the URL.
    pub(crate) fn shares_origin_with(&self, other: &Self) -> bool {
        self.shares_with(other) && {
            let origin = self.origin();
            let rest = other.url.strip_prefix(origin);
            rest.is_some_and(|rest| matches!(rest.as_bytes().first(), None | Some(b'/' | b'?' | b'#')))
        }
    }

    /// The suspicious parts of a valid spec.
    #[must_use]
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.settings.warnings
    }

    /// Checks the bounds of these limits: the spec may have been read under wider ones.
    pub(crate) fn check(&self, limits: &Limits) -> Result<(), SpecError> {
        let mut problems = Problems::default();
        MEMBERS.iter().for_each(|member| (member.check)(&self.settings, limits, &mut problems));
        problems.finish().map(|_| ()).map_err(SpecError::from)
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
