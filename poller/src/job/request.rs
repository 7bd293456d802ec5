//! What a poll sends: method, headers, body. Any of their texts may be secret.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::{HeaderName, Method};
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};

use crate::secret::{ShowSecret, Text};

/// The `requestInit` of a spec.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RequestInit {
    /// GET unless the spec says otherwise.
    pub method: Method,
    /// Headers in the order given; a name appears once.
    pub headers: Vec<(HeaderName, Text)>,
    /// The body, if there is one.
    pub body: Option<Body>,
}

impl Default for RequestInit {
    fn default() -> Self {
        Self { method: Method::GET, headers: Vec::new(), body: None }
    }
}

/// The body of a request.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum Body {
    /// Text, sent as UTF-8.
    Text(Text),
    /// Bytes, `{"base64": "…"}` in a spec.
    Bytes(Bytes),
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(Text::Plain(text)) => write!(f, "[{} bytes of text]", text.len()),
            Self::Text(text) => text.fmt(f),
            Self::Bytes(bytes) => write!(f, "[{} bytes]", bytes.len()),
        }
    }
}

impl RequestInit {
    pub(super) fn to_value(&self, show: &ShowSecret<'_>) -> Value {
        let mut members = Map::new();
        members.insert("method".into(), self.method.as_str().into());
        if !self.headers.is_empty() {
            let headers =
                self.headers.iter().map(|(name, value)| (name.to_string(), value.to_value(show))).collect();
            members.insert("headers".into(), Value::Object(headers));
        }
        let body = self.body.as_ref().map(|body| match body {
            Body::Text(text) => text.to_value(show),
            Body::Bytes(bytes) => json!({"base64": BASE64.encode(bytes)}),
        });
        members.extend(body.map(|body| ("body".to_owned(), body)));
        Value::Object(members)
    }

    /// Where both have secret text and it differs: what [`to_value`](Self::to_value) cannot show.
    pub(super) fn differing_secrets(&self, other: &Self) -> Vec<String> {
        let differ = |a: &Text, b: &Text| matches!((a, b), (Text::Secret(_), Text::Secret(_))) && a != b;
        let mut pointers: Vec<String> = self
            .headers
            .iter()
            .filter(|(name, mine)| other.header(name).is_some_and(|theirs| differ(mine, theirs)))
            .map(|(name, _)| format!("/requestInit/headers/{name}"))
            .collect();
        if let (Some(Body::Text(mine)), Some(Body::Text(theirs))) = (&self.body, &other.body)
            && differ(mine, theirs)
        {
            pointers.push("/requestInit/body".to_owned());
        }
        pointers
    }

    fn header(&self, name: &HeaderName) -> Option<&Text> {
        self.headers.iter().find(|(present, _)| present == name).map(|(_, value)| value)
    }

    /// Where it has secret text of its own, as JSON pointers into the spec.
    pub(crate) fn inline_secrets(&self) -> Vec<String> {
        let headers = self.headers.iter().filter(|(_, value)| matches!(value, Text::Secret(_)));
        let mut pointers: Vec<String> =
            headers.map(|(name, _)| format!("/requestInit/headers/{name}")).collect();
        if matches!(&self.body, Some(Body::Text(Text::Secret(_)))) {
            pointers.push("/requestInit/body".to_owned());
        }
        pointers
    }

    /// Feeds `hash` with what the request authenticates itself by, so that polls with the same credentials can be
    /// recognised without keeping the secrets again.
    pub(crate) fn hash_credentials(&self, hash: &mut impl std::hash::Hasher) {
        use std::hash::Hash as _;

        for (name, value) in &self.headers {
            match value {
                Text::Secret(secret) => (name.as_str(), 1, secret.expose_secret()).hash(hash),
                Text::Reference(reference) => (name.as_str(), 2, reference).hash(hash),
                Text::Plain(_) => {}
            }
        }
    }
}
