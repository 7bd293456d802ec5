//! The text in which a durable store keeps a spec, and the way back.
//!
//! ```text
//! {"url":"https://api.example.com/v1/exports/42","dialect":"native", …}
//!  └─ of this poll ────────────────────────────┘└─ of all polls like it ─┘
//! ```
//!
//! The URL comes first, so that what the polls of one kind have in common is one stretch of text: it is written once and
//! copied, and read once and recognised. A store with a million polls of a few kinds parses a few specs when it is
//! loaded. Texts in another order, as earlier versions wrote them, are read too, each in full.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::shared::Shared;
use super::{PollSpec, SpecError, SpecOptions, Written, decode};
use crate::limits::Limits;
use crate::seal::{SEAL_KEY_VARIABLE, SealKey};
use crate::secret::{SecretError, ShowSecret, redact};

impl PollSpec {
    /// The text a durable store keeps, inline secrets sealed with `key`.
    pub(crate) fn to_stored(&self, key: Option<&SealKey>) -> Result<String, SecretError> {
        let inline = self.shared.request.inline_secrets();
        match key {
            _ if inline.is_empty() => {
                let rest = self.shared.stored.get_or_init(|| rest(self, &redact).into());
                Ok(joined(&self.url, rest))
            }
            None => Err(SecretError::new(format!(
                "the spec holds a secret in {}, and the store has no key to seal it; set {SEAL_KEY_VARIABLE} (or give \
                 the store a seal key), or refer to the secret as {{\"$secret\":\"env:NAME\"}}",
                inline.join(", ")
            ))),
            Some(key) => {
                let failed = RefCell::new(None);
                let rest = rest(self, &|secret| match key.seal(secret) {
                    Ok(sealed) => json!({"$sealed": sealed}),
                    Err(error) => {
                        failed.replace(Some(error));
                        Value::Null
                    }
                });
                failed.into_inner().map_or_else(|| Ok(joined(&self.url, &rest)), Err)
            }
        }
    }
}

/// Everything but the URL, as an object.
fn rest(spec: &PollSpec, show: &ShowSecret<'_>) -> String {
    serde_json::to_string(&Written { spec, show, url: false })
        .expect("invariant: a spec has string keys and writes to memory")
}

fn joined(url: &str, rest: &str) -> String {
    let url = serde_json::to_string(url).expect("invariant: a string is written to memory");
    let members = rest.strip_prefix('{').expect("invariant: a spec is an object");
    format!("{{\"url\":{url},{members}")
}

/// The URL and the rest of a text as [`joined`] writes it; `None` if it is another, or the URL has escapes.
fn split(text: &str) -> Option<(&str, &str)> {
    let (url, rest) = text.strip_prefix("{\"url\":\"")?.split_once('"')?;
    (!url.contains('\\') && rest.starts_with(',')).then_some((url, rest))
}

/// Reads specs that a store has kept. Today's limits are not applied to them: they were accepted once.
#[derive(Debug)]
pub(crate) struct StoredSpecs {
    options: SpecOptions,
    /// What was read, by the text that follows the URL.
    known: HashMap<Box<str>, Arc<Shared>>,
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

    /// The spec of a text written by [`PollSpec::to_stored`]. Where only its URL is new, only that is read.
    pub(crate) fn read(&mut self, text: &str) -> Result<PollSpec, SpecError> {
        let parts = split(text);
        if let Some((url, rest)) = parts
            && let Some(shared) = self.known.get(rest)
        {
            return Ok(PollSpec { url: decode::url(url)?, shared: Arc::clone(shared) });
        }
        let spec = self.options.parse(text)?;
        // A sealed secret never has the same text twice.
        if let Some((_, rest)) = parts
            && spec.shared.request.inline_secrets().is_empty()
        {
            if self.known.len() >= KINDS {
                self.known.clear();
            }
            self.known.insert(rest.into(), Arc::clone(&spec.shared));
        }
        Ok(spec)
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
        let read: Vec<PollSpec> = ["https://a.test/1", "https://a.test/2", r"https://a.test/?q=\\"]
            .map(|url| {
                let spec = spec(url);
                let read = specs.read(&spec.to_stored(None).unwrap()).unwrap();
                assert_eq!(read, spec);
                read
            })
            .into();
        assert!(Arc::ptr_eq(&read[0].shared, &read[1].shared));
        assert_eq!(read[2].url_text(), r"https://a.test/?q=\");
    }

    #[test]
    fn texts_of_earlier_versions_are_read() {
        let text = r#"{"dialect":"native","interval":10,"url":"https://a.test/1"}"#;
        let spec = StoredSpecs::new(None).read(text).unwrap();
        assert_eq!((spec.url_text(), spec.interval().as_secs()), ("https://a.test/1", 10));
    }

    #[test]
    fn a_stored_url_that_is_none_is_an_error_also_where_the_rest_is_known() {
        let mut specs = StoredSpecs::new(None);
        let text = spec("https://a.test/1").to_stored(None).unwrap();
        specs.read(&text).unwrap();
        assert!(specs.read(&text.replace("https://a.test/1", "nonsense")).is_err());
    }
}
