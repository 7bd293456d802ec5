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

mod alike;
mod builder;
mod canonical;
mod delta;
mod filters;
mod folded;
mod follow;
mod identity;
mod kept;
mod kinds;
mod lookalike;
mod members;
mod on_outcome;
mod pool;
mod read;
mod request;
mod retry;
mod schema;
mod settings;
mod spec_schema;
mod statuses;
mod stored;
mod text;
mod timing;
mod tls;
mod whole;

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
pub use self::filters::ResponseFilter;
pub(crate) use self::follow::automatic;
pub use self::follow::{Follow, FollowLink};
pub use self::kinds::{SpecRead, SpecReader};
pub use self::on_outcome::{Include, OnOutcome};
pub use self::read::{SpecError, SpecOptions};
pub use self::request::{Body, RequestInit};
pub use self::retry::{RequestTimeout, RetryRule};
pub use self::spec_schema::spec_schema;
pub use self::statuses::StatusFilter;
pub use self::tls::TlsInit;

pub(crate) use self::kept::KeptSpec;
use self::members::{MEMBERS, Members};
pub(crate) use self::pool::SpecPool;
pub(crate) use self::settings::Outline;
use self::settings::Settings;
pub(crate) use self::stored::{StoredSpec, StoredSpecs, has_secrets, read_unbound};
use crate::limits::Limits;
use crate::secret::{SecretRule, Text};

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
        self.members().cache_key.as_deref()
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
        let url = identity::url(url)?;
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

    /// Scheme, host and port of the URL, the port left out where it is the scheme's own; of a unix socket, its path.
    ///
    /// ```
    /// let spec = poller::PollSpec::parse(r#"{"url": "https://api.example.com:443/v1/exports/42?a=b"}"#)?;
    /// assert_eq!(spec.origin(), "https://api.example.com");
    /// # Ok::<(), poller::SpecError>(())
    /// ```
    #[must_use]
    pub fn origin(&self) -> &str {
        identity::origin(&self.url)
    }

    /// All members but the URL. Those of a [folded](Self::folded) spec are read when they are first needed.
    fn members(&self) -> &Members {
        self.settings.members()
    }

    /// What schedules a poll of this spec.
    pub(crate) fn outline(&self) -> &Outline {
        &self.settings.outline
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

    /// The rules by which a runner that [allows secrets one by one](crate::secret::AllowedSecrets) can resolve all references of
    /// this spec: each secret for the origin of the URL, and for those that it [follows](Follow::origins) with its headers.
    ///
    /// ```
    /// use poller::PollSpec;
    ///
    /// let spec = PollSpec::parse(
    ///     r#"{"url": "https://api.example.com/v1/exports/42",
    ///         "requestInit": {"headers": {"authorization": {"$secret": "env:API_TOKEN", "prefix": "Bearer "}}}}"#,
    /// )?;
    /// let rules: Vec<String> = spec.secret_rules().iter().map(ToString::to_string).collect();
    /// assert_eq!(rules, ["env:API_TOKEN@https://api.example.com"]);
    /// # Ok::<(), poller::SpecError>(())
    /// ```
    #[must_use]
    pub fn secret_rules(&self) -> Vec<SecretRule> {
        let mut rules = Vec::new();
        let mut need = |text: &Text, url: &Url| {
            if let Text::Reference(reference) = text {
                let rule = SecretRule::needed(&reference.secret, url);
                if !rules.contains(&rule) {
                    rules.push(rule);
                }
            }
        };
        if let Some(webhook) = self.on_outcome() {
            let receiver = webhook.url();
            webhook.secrets.iter().for_each(|key| need(key, &receiver));
        }
        let request = self.request();
        // Reading the URLs takes longer than looking for a reference, and most specs have none.
        if !request.texts().any(|(_, _, text)| matches!(text, Text::Reference(_))) {
            return rules;
        }
        let url = self.url();
        request.texts().for_each(|(_, _, text)| need(text, &url));
        // Links are asked with the headers, and with nothing else.
        let followed = self.follow().map_or(&[][..], |follow| &follow.origins);
        for origin in followed.iter().filter_map(|origin| Url::parse(origin).ok()) {
            request.headers.iter().for_each(|(_, text)| need(text, &origin));
        }
        rules
    }

    /// The JSON pointers of the secrets that it contains rather than refers to.
    #[must_use]
    pub fn inline_secrets(&self) -> Vec<String> {
        let mut pointers = self.request().inline_secrets();
        pointers.extend(self.on_outcome().map(OnOutcome::inline_secrets).unwrap_or_default());
        pointers
    }

    /// The suspicious parts of a valid spec.
    #[must_use]
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.members().warnings
    }

    /// Checks the bounds of these limits: the spec may have been read under wider ones.
    pub(crate) fn check(&self, limits: &Limits) -> Result<(), SpecError> {
        let mut problems = Problems::default();
        MEMBERS.iter().for_each(|member| (member.check)(self.members(), limits, &mut problems));
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
