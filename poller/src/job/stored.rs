//! The text in which a durable store keeps a spec, and the way back.
//!
//! ```text
//! https://api.example.com/v1/exports/42     {"dialect":"native", …, "timeout":300}
//!  └─ of this poll                           └─ of all polls of its kind
//! ```
//!
//! The settings of all polls of one kind are one text. It is written once, its secrets are sealed once, a store keeps it once
//! under an id, and it is read and unsealed once: a store with a million polls of a few kinds parses a few specs when it is
//! loaded.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::canonical::Written;
use super::identity::LONGEST_URL;
use super::members::Settings;
use super::pool::StoredText;
use super::read::Sealed;
use super::{PollSpec, SpecError, SpecOptions, read};
use crate::limits::Limits;
use crate::seal::{SEAL_KEY_VARIABLE, SealKey};
use crate::secret::{SecretError, ShowSecret, redact};

impl PollSpec {
    /// The settings as a durable store keeps them, inline secrets sealed with `key`. Polls that share their settings get
    /// the same text, sealed secrets included.
    pub(crate) fn to_stored(&self, key: Option<&SealKey>) -> Result<Arc<str>, SecretError> {
        if let Some(StoredText { sealed_with, text }) = self.settings.stored.get()
            && sealed_with.as_deref().is_none_or(|id| key.is_some_and(|key| key.id() == id))
        {
            return Ok(Arc::clone(text));
        }
        let inline = self.settings.request.inline_secrets();
        let (sealed_with, text) = match key {
            _ if inline.is_empty() => (None, rest(self, &redact)),
            Some(key) => (Some(key.id().into()), sealed(self, key)?),
            None => {
                return Err(SecretError::new(format!(
                    "the spec holds a secret in {}, and the store has no key to seal it; set {SEAL_KEY_VARIABLE} (or \
                     give the store a seal key), or refer to the secret as {{\"$secret\":\"env:NAME\"}}",
                    inline.join(", ")
                )));
            }
        };
        let text: Arc<str> = text.into();
        // With two stores of two keys, the text of the first is kept.
        let _ = self.settings.stored.set(StoredText { sealed_with, text: Arc::clone(&text) });
        Ok(text)
    }
}

fn sealed(spec: &PollSpec, key: &SealKey) -> Result<String, SecretError> {
    let failed = RefCell::new(None);
    let text = rest(spec, &|secret| match key.seal(secret) {
        Ok(sealed) => json!({"$sealed": sealed}),
        Err(error) => {
            failed.replace(Some(error));
            Value::Null
        }
    });
    failed.into_inner().map_or(Ok(text), Err)
}

/// Everything but the URL, as an object.
fn rest(spec: &PollSpec, show: &ShowSecret<'_>) -> String {
    serde_json::to_string(&Written { spec, show, url: false })
        .expect("invariant: a spec has string keys and writes to memory")
}

/// Reads the specs of a store. The limits of today do not apply to them: they were accepted once.
#[derive(Debug)]
pub(crate) struct StoredSpecs {
    options: SpecOptions,
    /// The settings read so far, by their id in the store.
    known: HashMap<i64, Arc<Settings>>,
    /// The origin of the last parsed URL: most URLs of a million share it.
    origin: Box<str>,
}

/// The capacity of [`StoredSpecs::known`].
const KINDS: usize = 1024;

impl StoredSpecs {
    /// Opens sealed secrets with `seal_key`.
    pub(crate) fn new(seal_key: Option<SealKey>) -> Self {
        Self::with(Sealed::Opened(seal_key))
    }

    /// Leaves sealed secrets sealed, for a reader that shows specs and sends no requests.
    pub(crate) fn without_key() -> Self {
        Self::with(Sealed::Kept)
    }

    fn with(sealed: Sealed) -> Self {
        let options = SpecOptions { limits: Limits::stored(), dialect: None, sealed };
        Self { options, known: HashMap::new(), origin: Box::default() }
    }

    /// The spec of this URL and the text with this id, if that text was read before. An id must never change its text.
    pub(crate) fn get(&mut self, id: i64, url: &str) -> Option<Result<PollSpec, SpecError>> {
        let settings = Arc::clone(self.known.get(&id)?);
        if is_as_parsed(url, &self.origin) {
            return Some(Ok(PollSpec { url: url.into(), settings }));
        }
        let spec = read::url(url).map(|url| PollSpec { url, settings });
        if let Ok(spec) = &spec
            && *self.origin != *spec.origin()
        {
            self.origin = spec.origin().into();
        }
        Some(spec)
    }

    /// The spec of this URL and this text, as [`PollSpec::to_stored`] writes it.
    pub(crate) fn read(&mut self, id: i64, url: &str, text: &str) -> Result<PollSpec, SpecError> {
        let spec = self.options.parse(&joined(url, text))?;
        if self.known.len() >= KINDS {
            self.known.clear();
        }
        self.known.insert(id, Arc::clone(&spec.settings));
        Ok(spec)
    }
}

/// Whether parsing this URL would give the same text. After a parsed origin, the parser leaves letters, digits and a few
/// signs unchanged, except dot segments. This check takes a tenth of the time of parsing a million URLs.
fn is_as_parsed(url: &str, origin: &str) -> bool {
    let is_unchanged = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'-' | b'_' | b'~' | b'?' | b'=' | b'&')
    };
    !origin.is_empty()
        && url.len() <= LONGEST_URL
        && url.strip_prefix(origin).is_some_and(|rest| {
            rest.starts_with('/') && rest.bytes().all(is_unchanged) && !rest.contains("/.")
        })
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
        let text = first.to_stored(None).unwrap();
        assert!(specs.get(7, "https://a.test/1").is_none());
        assert_eq!(specs.read(7, first.url_text(), &text).unwrap(), first);
        for url in ["https://a.test/2", r"https://a.test/?q=\\"] {
            let spec = spec(url);
            assert_eq!(spec.to_stored(None).unwrap(), text);
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
            specs.read(7, &origin, &first.to_stored(None).unwrap()).unwrap();
            // The first URL is parsed and sets the origin.
            let root = format!("{origin}/");
            let first = specs.get(7, &root).unwrap().unwrap();
            prop_assert_eq!(first.url_text(), root);
            let parsed = read::url(&text);
            match specs.get(7, &text).unwrap() {
                Ok(read) => prop_assert_eq!(read.url_text(), &*parsed.unwrap()),
                Err(_) => prop_assert!(parsed.is_err()),
            }
        }
    }

    #[test]
    fn most_urls_are_not_parsed_again() {
        let origin = "https://a.test";
        for passed in ["/", "/v1/exports/42", "/v1.2/a-b_c~d?page=2&all=", "//a/b."] {
            assert!(is_as_parsed(&format!("{origin}{passed}"), origin), "{passed}");
        }
        let long = "/".repeat(LONGEST_URL);
        for parsed in [
            "",
            "?a",
            ".evil.test/",
            "@evil.test/",
            ":80/",
            "/a/../b",
            "/.",
            "/a#b",
            "/%41",
            "/a b",
            "/\\",
            &long,
        ] {
            assert!(!is_as_parsed(&format!("{origin}{parsed}"), origin), "{parsed}");
        }
        assert!(!is_as_parsed("nonsense", "") && !is_as_parsed("/a", ""));
    }

    #[test]
    fn a_secret_is_sealed_once_for_each_key_and_never_without_one() {
        let (one, two) = (SealKey::parse(&"1".repeat(64)).unwrap(), SealKey::parse(&"2".repeat(64)).unwrap());
        let spec: PollSpec =
            r#"{"url":"https://a.test/1","requestInit":{"headers":{"authorization":"hunter2"}}}"#.parse().unwrap();
        let other = spec.with_url("https://a.test/2").unwrap();
        let text = spec.to_stored(Some(&one)).unwrap();
        assert!(!text.contains("hunter2"));
        assert_eq!(other.to_stored(Some(&one)).unwrap(), text);
        assert_ne!(other.to_stored(Some(&two)).unwrap(), text);
        assert!(other.to_stored(None).unwrap_err().to_string().contains("POLL_SEAL_KEY"));
        let mut specs = StoredSpecs::new(Some(one));
        assert_eq!(specs.read(1, spec.url_text(), &text).unwrap(), spec);
        assert_eq!(specs.get(1, other.url_text()).unwrap().unwrap(), other, "opened once");
        assert!(StoredSpecs::new(Some(two)).read(1, spec.url_text(), &text).is_err());
    }

    #[test]
    fn broken_texts_and_urls_are_errors() {
        let mut specs = StoredSpecs::new(None);
        let text = spec("https://a.test/1").to_stored(None).unwrap();
        specs.read(1, "https://a.test/1", &text).unwrap();
        assert!(specs.get(1, "nonsense").unwrap().is_err());
        for broken in ["", "{", "[]", "null", r#"{"from":"the future"}"#] {
            assert!(specs.read(2, "https://a.test/1", broken).is_err(), "{broken}");
        }
    }
}
