//! `requestInit`: method, headers, body. Any of their texts may be secret.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use filter::decode::{Place, child, field, known_members, members};
use filter::json::Kind;
use http::{HeaderName, HeaderValue, Method};
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};

use super::read::Reader;
use super::schema::{TOKEN, any_case, object};
use crate::redact::is_sensitive_name;
use crate::secret::{ShowSecret, Text};

/// The headers that the client sets itself.
const OWN_HEADERS: [&str; 4] = ["host", "content-length", "connection", "transfer-encoding"];

/// The methods that a poll cannot use.
const REFUSED_METHODS: [&str; 2] = ["CONNECT", "TRACE"];

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
        let mut members = Map::from_iter([("method".to_owned(), self.method.as_str().into())]);
        if !self.headers.is_empty() {
            let headers = self.headers.iter().map(|(name, value)| (name.to_string(), value.to_value(show)));
            members.insert("headers".into(), Value::Object(headers.collect()));
        }
        let body = match &self.body {
            Some(Body::Text(text)) => Some(text.to_value(show)),
            Some(Body::Bytes(bytes)) => Some(json!({"base64": BASE64.encode(bytes)})),
            None => None,
        };
        members.extend(body.map(|body| ("body".to_owned(), body)));
        Value::Object(members)
    }

    /// The JSON pointers, in the spec, of the secrets that it contains rather than refers to.
    pub(crate) fn inline_secrets(&self) -> Vec<String> {
        let headers = self.headers.iter().filter(|(_, value)| matches!(value, Text::Secret(_)));
        let mut pointers: Vec<String> =
            headers.map(|(name, _)| format!("/requestInit/headers/{name}")).collect();
        if matches!(&self.body, Some(Body::Text(Text::Secret(_)))) {
            pointers.push("/requestInit/body".to_owned());
        }
        pointers
    }

    /// Feeds `hash` with the credentials of the request, so that polls with equal credentials are recognised without
    /// another copy of the secrets.
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

impl Reader<'_> {
    pub(super) fn request_init(&mut self, place: Place<'_>) -> Option<RequestInit> {
        let known = ["method", "headers", "body"];
        let fields = known_members(place, "an object of method, headers, body", &known, &mut self.problems)?;
        let mut request = RequestInit::default();
        if let Some(given) = field(&fields, "method") {
            request.method = self.method(given.place()).unwrap_or_default();
        }
        if let Some(given) = field(&fields, "headers") {
            request.headers = self.headers(given.place());
        }
        if let Some(given) = field(&fields, "body") {
            request.body = self.body(given.place());
            if matches!(request.method, Method::GET | Method::HEAD) {
                self.problems.warn(
                    given.place(),
                    "a GET or HEAD request with a body",
                    "many servers ignore or refuse it; did you mean \"method\":\"POST\"?",
                );
            }
        }
        Some(request)
    }

    fn method(&mut self, place: Place<'_>) -> Option<Method> {
        const USUAL: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
        let text = place.text().unwrap_or_default();
        // As in the Fetch standard: the usual methods are case-insensitive, others are not.
        let upper = text.to_ascii_uppercase();
        if REFUSED_METHODS.contains(&upper.as_str()) {
            let message = format!("found {text:?}, expected a method other than CONNECT and TRACE");
            self.problems.error(place, message);
            return None;
        }
        let name = if USUAL.contains(&upper.as_str()) { &upper } else { text };
        let method = Method::from_bytes(name.as_bytes()).ok();
        if method.is_none() {
            self.problems.expected(place, "an HTTP method, such as \"GET\"");
        }
        method
    }

    fn headers(&mut self, place: Place<'_>) -> Vec<(HeaderName, Text)> {
        let mut headers: Vec<(HeaderName, Text)> = Vec::new();
        let fields = members(place, "an object of header names and values", &mut self.problems);
        for given in fields.unwrap_or_default() {
            let place = given.place();
            let Ok(name) = HeaderName::from_bytes(given.name.as_bytes()) else {
                self.problems.error(place, format!("{:?} is no header name", given.name));
                continue;
            };
            if OWN_HEADERS.contains(&name.as_str()) {
                let message = format!("the header {name} cannot be given: the client sets it");
                self.problems.error_with_help(place, message, "leave it out");
                continue;
            }
            if headers.iter().any(|(present, _)| *present == name) {
                let message = format!("the header {name} is given twice, in different case");
                self.problems.error_with_help(place, message, "keep one of them");
                continue;
            }
            let expected = "a string, or a secret such as {\"$secret\":\"env:NAME\"}";
            match self.text(place, expected, is_sensitive_name(name.as_str())) {
                Some(Text::Plain(text)) if HeaderValue::from_bytes(text.as_bytes()).is_err() => {
                    self.problems.error(place, "the value has a line break or another control character");
                }
                value => headers.extend(value.map(|value| (name, value))),
            }
        }
        headers
    }

    fn body(&mut self, place: Place<'_>) -> Option<Body> {
        if let Kind::Object(members) = &place.node.kind
            && let [member] = members.as_slice()
            && member.key == "base64"
        {
            let pointer = child(place.pointer, "base64");
            let inner = Place { node: &member.value, pointer: &pointer };
            match inner.text().map(|text| BASE64.decode(text)) {
                Some(Ok(bytes)) => return Some(Body::Bytes(Bytes::from(bytes))),
                Some(Err(error)) => {
                    self.problems.error(inner, format!("expected standard base64 with padding: {error}"));
                }
                None => self.problems.expected(inner, "a string of base64"),
            }
            return None;
        }
        self.text(place, "a string, {\"base64\":\"…\"}, or a secret", false).map(Body::Text)
    }
}

pub(super) fn schema() -> Value {
    let base64 = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$";
    let text = json!({"$ref": "#/$defs/text"});
    let bytes = object(json!({"base64": {"type": "string", "pattern": base64}}), &["base64"]);
    let members = json!({
        "method": {"type": "string", "pattern": TOKEN, "not": {"pattern": any_case(&REFUSED_METHODS)}},
        "headers": {
            "type": "object",
            "additionalProperties": text,
            "propertyNames": {"pattern": TOKEN, "not": {"pattern": any_case(&OWN_HEADERS)}},
        },
        "body": {"anyOf": [text, bytes]},
    });
    object(members, &[])
}
