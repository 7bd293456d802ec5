//! `onOutcome`: the webhook that a poll sends when it ends.
//!
//! The keys are secrets as every other: given by reference, or sealed by a durable store. The origin of the URL is checked by
//! the guard when the poll is submitted, and every address when the webhook is sent.

use filter::decode::{Place, child, field, known_members};
use filter::json::Kind;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use std::sync::Arc;
use url::Url;

use super::read::Reader;
use super::schema::object;
use crate::named::named;
use crate::secret::{ShowSecret, Text};
use crate::webhook::SigningKey;

/// The keys of a webhook at most: the present one, and one while keys are changed.
const KEYS: usize = 2;

/// The `onOutcome` of a spec.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct OnOutcome {
    /// The receiver: http or https.
    url: Arc<str>,
    /// The keys that sign the webhook, one or two: Standard Webhooks' `whsec_` and base64.
    pub secrets: Vec<Text>,
    /// What the webhook contains.
    pub include: Include,
}

named! {
    /// What a webhook says of an outcome.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum Include {
        /// All of it, with the response and the last attempts.
        #[default]
        Outcome = "outcome",
        /// Neither the response nor the attempts.
        Summary = "summary",
    }

    const fn name;
}

impl OnOutcome {
    /// The URL of the receiver.
    #[must_use]
    pub fn url(&self) -> Url {
        Url::parse(&self.url).expect("invariant: the URL was parsed when the spec was read")
    }

    /// Scheme, host and port of the receiver.
    #[must_use]
    pub fn receiver(&self) -> String {
        self.url().origin().ascii_serialization()
    }

    /// The JSON pointers, in the spec, of the keys that it contains rather than refers to.
    pub(super) fn inline_secrets(&self) -> Vec<String> {
        let inline = |(number, text): (usize, &Text)| {
            matches!(text, Text::Secret(_)).then(|| match self.secrets.len() {
                1 => "/onOutcome/secret".to_owned(),
                _ => format!("/onOutcome/secret/{number}"),
            })
        };
        self.secrets.iter().enumerate().filter_map(inline).collect()
    }

    pub(super) fn to_value(&self, show: &ShowSecret<'_>) -> Value {
        let secret = match &self.secrets[..] {
            [one] => one.to_value(show),
            several => several.iter().map(|text| text.to_value(show)).collect(),
        };
        json!({"url": *self.url, "secret": secret, "include": self.include.name()})
    }
}

impl Reader<'_> {
    pub(super) fn on_outcome(&mut self, place: Place<'_>) -> Option<Option<OnOutcome>> {
        let known = ["url", "secret", "include"];
        let expected = "an object of url, secret, include";
        let fields = known_members(place, expected, &known, &mut self.problems)?;
        let missing: Vec<&str> =
            ["url", "secret"].into_iter().filter(|name| field(&fields, name).is_none()).collect();
        if !missing.is_empty() {
            let message = format!("found no {}, expected both url and secret", missing.join(" and no "));
            self.problems.error(place, message);
        }
        let url = field(&fields, "url").and_then(|given| self.receiver(given.place()));
        let secrets = field(&fields, "secret").and_then(|given| self.signing_keys(given.place()));
        let include = match field(&fields, "include") {
            None => Some(Include::default()),
            Some(given) => {
                let named = Include::ALL.into_iter().find(|one| given.place().text() == Some(one.name()));
                named.or_else(|| self.expected(given.place(), "\"outcome\" or \"summary\""))
            }
        };
        Some(Some(OnOutcome { url: url?, secrets: secrets?, include: include? }))
    }

    fn receiver(&mut self, place: Place<'_>) -> Option<Arc<str>> {
        let url = self.url(place)?;
        if url.starts_with("unix:") {
            return self.refuse(place, "found the URL of a socket, expected http or https");
        }
        Some(url)
    }

    fn signing_keys(&mut self, place: Place<'_>) -> Option<Vec<Text>> {
        let Kind::Array(nodes) = &place.node.kind else { return Some(vec![self.signing_key(place)?]) };
        if nodes.is_empty() || nodes.len() > KEYS {
            let message = format!("found {} keys, expected one, or two while keys are changed", nodes.len());
            return self.refuse(place, message);
        }
        let keys = nodes.iter().enumerate().map(|(number, node)| {
            let pointer = child(place.pointer, &number.to_string());
            self.signing_key(Place { node, pointer: &pointer })
        });
        // Each is read, so that all problems are told.
        keys.collect::<Vec<_>>().into_iter().collect()
    }

    fn signing_key(&mut self, place: Place<'_>) -> Option<Text> {
        let expected = "a key \"whsec_…\", or a reference such as {\"$secret\":\"env:WEBHOOK_KEY\"}";
        let text = self.text(place, expected, true)?;
        // A sealed one was checked before it was sealed; one that is referred to can be checked only when it is read.
        let is_written =
            matches!(place.node.kind, Kind::String(_)) || place.node.get("__redactedString").is_some();
        if let (true, Text::Secret(secret)) = (is_written, &text)
            && let Err(error) = SigningKey::parse(secret.expose_secret())
        {
            return self.refuse(place, error.to_string());
        }
        Some(text)
    }
}

pub(super) fn schema() -> Value {
    let text = json!({"$ref": "#/$defs/text"});
    let members = json!({
        "url": {"description": "the receiver", "type": "string", "pattern": "^[hH][tT][tT][pP][sS]?://[^/?#@\\\\]+([/?#].*)?$"},
        "secret": {
            "description": "the key that signs, whsec_ and base64 of 24 to 64 bytes; two while keys are changed",
            "anyOf": [text, {"type": "array", "items": text, "minItems": 1, "maxItems": KEYS}],
        },
        "include": {"description": "what the webhook contains", "enum": Include::ALL.map(Include::name), "default": "outcome"},
    });
    object(members, &["url", "secret"])
}
