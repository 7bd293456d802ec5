//! The text in which a durable store keeps a spec, and the way back.
//!
//! ```text
//! https://api.example.com/v1/exports/42     {"dialect":"native", …, {"$sealed":0}, …}     v2.<key id>.<…>
//!  └─ of this poll                           └─ of all polls of its kind                   └─ of this poll: its secrets
//! ```
//!
//! The settings of all polls of one kind are one text. It is written once, a store keeps it once under an id, and it is read
//! once: a store with a million polls of a few kinds parses a few specs when it is loaded. The secrets in it are numbers
//! there: each poll has them sealed for itself ([`seal`](crate::seal)), so that a seal is of no use elsewhere.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use filter::Diagnostic;
use filter::json::{Kind, Node};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::canonical::Written;
use super::identity::UrlReader;
use super::members::{Member, Members};
use super::read::Sealed;
use super::settings::{Settings, SpecText};
use super::{OnOutcome, PollSpec, SpecError, SpecOptions, identity};
use crate::key::PollKey;
use crate::limits::Limits;
#[cfg(feature = "postgres")]
use crate::schedule::Interval;
use crate::seal::{self, Binding, SEAL_KEY_VARIABLE, SealKey};
use crate::secret::{SecretError, ShowSecret};

/// A spec as a durable store keeps it, beside its URL.
#[derive(Clone, Debug)]
pub(crate) struct StoredSpec {
    /// The settings. Polls that share their settings get the same text.
    pub(crate) text: Arc<str>,
    /// The inline secrets, sealed for the poll; `None` if there are none.
    pub(crate) sealed: Option<String>,
    /// The origin that receives the webhook of its outcome, if it has one.
    pub(crate) receiver: Option<String>,
}

impl PollSpec {
    /// The spec as a durable store keeps it for this poll, inline secrets sealed with `key`.
    pub(crate) fn to_stored(&self, poll: &PollKey, key: Option<&SealKey>) -> Result<StoredSpec, SecretError> {
        let SpecText { text, secrets } = self.stored_text();
        let sealed = match (secrets, key) {
            (None, _) => None,
            (Some(secrets), Some(key)) => Some(key.seal(secrets, Binding { poll, url: &self.url, text })?),
            (Some(_), None) => {
                return Err(SecretError::new(format!(
                    "the spec holds a secret in {}, and the store has no key to seal it; set {SEAL_KEY_VARIABLE} (or \
                     give the store a seal key), or refer to the secret as {{\"$secret\":\"env:NAME\"}}",
                    self.inline_secrets().join(", ")
                )));
            }
        };
        let receiver = self.on_outcome().map(OnOutcome::receiver);
        Ok(StoredSpec { text: Arc::clone(text), sealed, receiver })
    }

    /// The settings as a durable store keeps them. Written once for all specs that share them.
    fn stored_text(&self) -> &SpecText {
        self.members().stored.get_or_init(|| numbered(|show| written(self.members(), show, |_| true)))
    }
}

/// What differs from the defaults of this version, for as long as this process lives. A durable store has everything: the next
/// version may have other defaults.
pub(super) fn short(members: &Members) -> SpecText {
    static DEFAULTS: LazyLock<Members> = LazyLock::new(|| Members::new(&options(Sealed::Refused)));
    numbered(|show| written(members, show, |member| !(member.same)(members, &DEFAULTS)))
}

/// The settings that a short text stands for.
pub(super) fn unfolded(text: &str, secrets: Option<&Arc<[SecretString]>>) -> Settings {
    let sealed = secrets.map_or(Sealed::Refused, |secrets| Sealed::Opened(Arc::clone(secrets)));
    // The settings do not depend on the URL.
    let spec = options(sealed).parse(&joined("https://localhost/", text));
    let spec = spec.expect("invariant: what a spec was written as can be read");
    Arc::into_inner(spec.settings).expect("invariant: they were read here")
}

/// The text that `write` makes with the numbers of secrets instead of secrets, and the secrets.
fn numbered(write: impl FnOnce(&ShowSecret<'_>) -> String) -> SpecText {
    let secrets = RefCell::new(Vec::new());
    let text = write(&|secret| {
        let mut secrets = secrets.borrow_mut();
        secrets.push(secret.clone());
        json!({"$sealed": secrets.len() - 1})
    });
    let secrets = secrets.into_inner();
    SpecText { text: text.into(), secrets: (!secrets.is_empty()).then(|| secrets.into()) }
}

/// The chosen members, as an object.
fn written(members: &Members, show: &ShowSecret<'_>, choose: impl Fn(&Member) -> bool) -> String {
    let chosen = Written { members, show, choose: &choose, url: None };
    serde_json::to_string(&chosen).expect("invariant: a spec has string keys and writes to memory")
}

/// Whether the stored text of a spec has secrets, which are sealed. Inside a string its quotes would be escaped.
pub(crate) fn has_secrets(text: &str) -> bool {
    text.contains(r#""$sealed":"#)
}

/// The spec in a text of the first version, which has its secrets in it.
pub(crate) fn read_unbound(url: &str, text: &str, key: &SealKey) -> Result<PollSpec, SpecError> {
    options(Sealed::Unbound(key.clone())).parse(&joined(url, text))
}

fn options(sealed: Sealed) -> SpecOptions {
    SpecOptions { limits: Limits::stored(), dialect: None, sealed }
}

/// Reads the specs of a store. The limits of today do not apply to them: they were accepted once.
#[derive(Debug)]
pub(crate) struct StoredSpecs {
    options: SpecOptions,
    seal_key: Option<SealKey>,
    /// The settings read so far that have no secrets, by their id in the store.
    known: HashMap<i64, Arc<Settings>>,
    /// The settings read last of each id that has secrets, and those secrets: many polls of one kind have the same.
    opened: HashMap<i64, (Arc<[SecretString]>, Arc<Settings>)>,
    urls: UrlReader,
}

/// The capacity of [`StoredSpecs::known`].
const KINDS: usize = 1024;

impl StoredSpecs {
    /// Opens sealed secrets with `seal_key`.
    pub(crate) fn new(seal_key: Option<SealKey>) -> Self {
        Self::with(options(Sealed::Refused), seal_key)
    }

    /// Leaves sealed secrets sealed, for a reader that shows specs and sends no requests.
    pub(crate) fn without_key() -> Self {
        Self::with(options(Sealed::Kept), None)
    }

    fn with(options: SpecOptions, seal_key: Option<SealKey>) -> Self {
        Self { options, seal_key, known: HashMap::new(), opened: HashMap::new(), urls: UrlReader::default() }
    }

    /// Whether secrets that are sealed with the key of this id can be opened.
    pub(crate) fn has_key(&self, id: &str) -> bool {
        self.seal_key.as_ref().is_some_and(|key| key.has(id))
    }

    /// Why secrets that are sealed with the key of this id cannot be opened.
    pub(crate) fn lacks_key(&self, id: &str) -> SecretError {
        seal::other_key(id, self.seal_key.as_ref())
    }

    /// The spec of this URL and the text with this id, if that text was read before and has no secrets to open. An id must
    /// never change its text.
    pub(crate) fn get(&mut self, id: i64, url: &str) -> Option<Result<PollSpec, SpecError>> {
        let settings = Arc::clone(self.known.get(&id)?);
        Some(self.at(url, settings))
    }

    /// Whether the texts with these ids were read before.
    #[cfg(feature = "postgres")]
    pub(crate) fn has_all(&self, ids: &[i64]) -> bool {
        ids.iter().all(|id| self.known.contains_key(id))
    }

    /// The interval of the polls of the text with this id, if it was read before.
    #[cfg(feature = "postgres")]
    pub(crate) fn interval(&self, id: i64) -> Option<Interval> {
        Some(self.known.get(&id)?.outline.interval)
    }

    /// A spec of this URL and these settings.
    fn at(&mut self, url: &str, settings: Arc<Settings>) -> Result<PollSpec, SpecError> {
        let url = self.urls.read(url, || identity::url(url))?;
        Ok(PollSpec { url, settings })
    }

    /// The spec of this URL and this text, as [`PollSpec::to_stored`] writes it, without secrets, or with them if this reader
    /// leaves them sealed.
    pub(crate) fn read(&mut self, id: i64, url: &str, text: &str) -> Result<PollSpec, SpecError> {
        let spec = self.options.parse_changed(&joined(url, text), without_old_default)?;
        if self.known.len() >= KINDS {
            self.known.clear();
        }
        self.known.insert(id, Arc::clone(&spec.settings));
        Ok(spec)
    }

    /// The spec of a poll whose secrets are sealed.
    pub(crate) fn read_sealed(
        &mut self,
        id: i64,
        sealed: &str,
        to: Binding<'_>,
    ) -> Result<PollSpec, SpecError> {
        let opened = match &self.seal_key {
            Some(key) => key.open(sealed, to),
            None => Err(seal::other_key(seal::key_of(Some(sealed), "").unwrap_or("?"), None)),
        };
        let secrets: Arc<[SecretString]> =
            opened.map_err(|error| SpecError::from(vec![Diagnostic::error(error.to_string())]))?.into();
        if let Some((known, settings)) = self.opened.get(&id)
            && are_same(known, &secrets)
        {
            let settings = Arc::clone(settings);
            return self.at(to.url, settings);
        }
        let spec = options(Sealed::Opened(Arc::clone(&secrets)))
            .parse_changed(&joined(to.url, to.text), without_old_default)?;
        if self.opened.len() >= KINDS {
            self.opened.clear();
        }
        self.opened.insert(id, (secrets, Arc::clone(&spec.settings)));
        Ok(spec)
    }
}

pub(super) fn are_same(one: &[SecretString], other: &[SecretString]) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).all(|(one, other)| one.expose_secret() == other.expose_secret())
}

/// Leaves out what builds before 202 was excluded wrote for a spec without a `responseFilter`: any 2xx, as a range. Today's write
/// an explicit 2xx as `{}` or as `"2xx"`. A caller that submits the same spec to this build joins that poll, and for both of them an
/// absent filter means what this build says.
fn without_old_default(node: &mut Node) {
    if let Kind::Object(members) = &mut node.kind {
        let old = json!({"status": ["200-299"]});
        members.retain(|member| member.key != "responseFilter" || member.value.to_value() != old);
    }
}

/// The whole spec as one text. A text that is no object stays unchanged, and its reader reports it.
fn joined(url: &str, text: &str) -> String {
    let url = serde_json::to_string(url).expect("invariant: a string is written to memory");
    match text.strip_prefix('{') {
        Some("}") => format!("{{\"url\":{url}}}"),
        Some(members) => format!("{{\"url\":{url},{members}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text_of(spec: &PollSpec) -> Arc<str> {
        spec.to_stored(&PollKey::new("", "a"), None).unwrap().text
    }

    fn spec(url: &str) -> PollSpec {
        let text = format!(
            r#"{{"url":"{url}","retry":{{"500":{{"strategy":"backoff"}},"4xx":{{"strategy":"backoff"}}}},"responseFilter":{{"body":{{"n":[1]}}}}}}"#
        );
        text.parse().unwrap()
    }

    #[test]
    fn stored_specs_are_read_back_and_share_settings() {
        let mut specs = StoredSpecs::new(None);
        let first = spec("https://a.test/1");
        let text = text_of(&first);
        assert!(specs.get(7, "https://a.test/1").is_none());
        assert_eq!(specs.read(7, first.url_text(), &text).unwrap(), first);
        for url in ["https://a.test/2", r"https://a.test/?q=\\"] {
            let spec = spec(url);
            assert_eq!(text_of(&spec), text);
            assert_eq!(specs.get(7, spec.url_text()).unwrap().unwrap(), spec);
        }
    }

    proptest! {
        /// Parsing would not have changed a URL that is not parsed.
        #[test]
        fn unparsed_urls_are_in_normal_form(
            origin in "https?://(a\\.test|10\\.0\\.0\\.1|\\[::1\\])(:8443)?",
            rest in "[/?][a-z./?=&~_#%@: \\\\é-]{0,8}|[/?][a-z./?=&~_-]{0,12}",
        ) {
            let text = format!("{origin}{rest}");
            let mut specs = StoredSpecs::new(None);
            let first = spec(&origin);
            specs.read(7, &origin, &text_of(&first)).unwrap();
            // The first URL is parsed and sets the origin.
            let root = format!("{origin}/");
            let first = specs.get(7, &root).unwrap().unwrap();
            prop_assert_eq!(first.url_text(), root);
            let parsed = identity::url(&text);
            match specs.get(7, &text).unwrap() {
                Ok(read) => prop_assert_eq!(read.url_text(), &*parsed.unwrap()),
                Err(_) => prop_assert!(parsed.is_err()),
            }
        }
    }

    #[test]
    fn secrets_are_sealed_for_each_poll_and_never_without_a_key() {
        let (one, two) = (SealKey::parse(&"1".repeat(64)).unwrap(), SealKey::parse(&"2".repeat(64)).unwrap());
        let spec: PollSpec = r#"{"url":"https://a.test/1","requestInit":{
            "headers":{"authorization":"hunter2","x-plain":"{\"$sealed\":0}"}, "query":{"token":"hunter3"},
            "body":{"__redactedString":true,"strings":["pin=",""],"interpolations":["hunter4"]}}}"#
            .parse()
            .unwrap();
        let other = spec.with_url("https://a.test/2").unwrap();
        let (a, b) = (PollKey::new("", "a"), PollKey::new("", "b"));
        let stored = spec.to_stored(&a, Some(&one)).unwrap();
        let sealed = stored.sealed.unwrap();
        assert!(!stored.text.contains("hunter") && has_secrets(&stored.text));
        let also = other.to_stored(&b, Some(&one)).unwrap();
        assert_eq!(also.text, stored.text, "polls of one kind share it");
        assert_ne!(also.sealed.as_ref(), Some(&sealed));
        assert!(other.to_stored(&b, None).unwrap_err().to_string().contains("POLL_SEAL_KEY"));

        let mut specs = StoredSpecs::new(Some(one));
        let to = Binding { poll: &a, url: spec.url_text(), text: &stored.text };
        let read = specs.read_sealed(1, &sealed, to).unwrap();
        assert_eq!(read, spec);
        assert!(specs.get(1, other.url_text()).is_none(), "its secrets are those of one poll");
        let to_other = Binding { poll: &b, url: other.url_text(), ..to };
        let read_other = specs.read_sealed(1, &also.sealed.unwrap(), to_other).unwrap();
        assert_eq!(read_other, other);
        assert!(read_other.shares_with(&read), "with the same secrets they share the rest");
        assert!(specs.read_sealed(1, &sealed, to_other).is_err(), "the seal of another poll");
        assert!(StoredSpecs::new(Some(two)).read_sealed(1, &sealed, to).is_err());
        assert!(StoredSpecs::without_key().read(1, spec.url_text(), &stored.text).is_ok());
        assert!(StoredSpecs::new(None).read(1, spec.url_text(), &stored.text).is_err());
    }

    #[test]
    fn broken_texts_and_urls_are_errors() {
        let mut specs = StoredSpecs::new(None);
        let text = text_of(&spec("https://a.test/1"));
        specs.read(1, "https://a.test/1", &text).unwrap();
        assert!(specs.get(1, "nonsense").unwrap().is_err());
        for broken in ["", "{", "[]", "null", r#"{"from":"the future"}"#] {
            assert!(specs.read(2, "https://a.test/1", broken).is_err(), "{broken}");
        }
    }
}
