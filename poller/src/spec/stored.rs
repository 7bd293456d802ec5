//! The text in which a durable store keeps a spec, and the way back.
//!
//! ```text
//! https://api.example.com/v1/exports/42     {"dialect":"native", …, "timeout":300}
//!  └─ of this poll                           └─ of all polls like it
//! ```
//!
//! What the polls of one kind have in common is one text. It is written once, its secrets are sealed once, a store keeps
//! it once under a number, and it is read and unsealed once: a store with a million polls of a few kinds parses a few
//! specs when it is loaded.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::shared::{Shared, StoredText};
use super::{PollSpec, SpecError, SpecOptions, Written, decode};
use crate::limits::Limits;
use crate::seal::{SEAL_KEY_VARIABLE, SealKey};
use crate::secret::{SecretError, ShowSecret, redact};

impl PollSpec {
    /// Everything but the URL as a durable store keeps it, inline secrets sealed with `key`. The same text for all polls
    /// that share it, sealed secrets included.
    pub(crate) fn to_stored(&self, key: Option<&SealKey>) -> Result<Arc<str>, SecretError> {
        if let Some(StoredText { sealed_with, text }) = self.shared.stored.get()
            && sealed_with.as_deref().is_none_or(|id| key.is_some_and(|key| key.id() == id))
        {
            return Ok(Arc::clone(text));
        }
        let inline = self.shared.request.inline_secrets();
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
        // Where two stores have two keys, the first of them has its text kept.
        let _ = self.shared.stored.set(StoredText { sealed_with, text: Arc::clone(&text) });
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

/// Reads specs that a store has kept. Today's limits are not applied to them: they were accepted once.
#[derive(Debug)]
pub(crate) struct StoredSpecs {
    options: SpecOptions,
    /// What was read, by the number that the store gives it.
    known: HashMap<i64, Arc<Shared>>,
}

/// The most kinds of specs that are kept for the next one of their kind.
const KINDS: usize = 1024;

impl StoredSpecs {
    /// Inline secrets are opened with `seal_key`.
    pub(crate) fn new(seal_key: Option<SealKey>) -> Self {
        let mut options = SpecOptions::new().limits(Limits::stored());
        options.stored = Some(seal_key);
        Self { options, known: HashMap::new() }
    }

    /// The spec of this URL and the text of this number, if that text was read before. A number must always stand for
    /// the same text.
    pub(crate) fn get(&self, number: i64, url: &str) -> Option<Result<PollSpec, SpecError>> {
        let shared = self.known.get(&number)?;
        Some(decode::url(url).map(|url| PollSpec { url, shared: Arc::clone(shared) }))
    }

    /// The spec of this URL and this text, as [`PollSpec::to_stored`] writes it.
    pub(crate) fn read(&mut self, number: i64, url: &str, text: &str) -> Result<PollSpec, SpecError> {
        let spec = self.options.parse(&joined(url, text))?;
        if self.known.len() >= KINDS {
            self.known.clear();
        }
        self.known.insert(number, Arc::clone(&spec.shared));
        Ok(spec)
    }
}

/// The whole spec. What is no object stays what it is, to be complained of where it is read.
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

    fn spec(url: &str) -> PollSpec {
        let text = format!(
            r#"{{"url":"{url}","retry":{{"500":{{"strategy":"backoff"}},"4xx":{{"strategy":"backoff"}}}},"responseFilter":{{"body":{{"n":[1]}}}}}}"#
        );
        text.parse().unwrap()
    }

    #[test]
    fn what_is_written_is_read_back_and_shared() {
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
    fn what_is_no_spec_is_an_error_also_where_the_rest_is_known() {
        let mut specs = StoredSpecs::new(None);
        let text = spec("https://a.test/1").to_stored(None).unwrap();
        specs.read(1, "https://a.test/1", &text).unwrap();
        assert!(specs.get(1, "nonsense").unwrap().is_err());
        for broken in ["", "{", "[]", "null", r#"{"from":"the future"}"#] {
            assert!(specs.read(2, "https://a.test/1", broken).is_err(), "{broken}");
        }
    }
}
