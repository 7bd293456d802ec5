//! `requestInit`: method, headers, query, body, cookies, tls. Any of their texts may be secret.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use filter::decode::{Field, Place, child, field, known_members, members};
use filter::json::Kind;
use http::{HeaderName, HeaderValue, Method};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::read::Reader;
use super::schema::{TOKEN, any_case, given, object};
use super::tls::{self, TlsInit};
use super::{PollSpec, lookalike};
use crate::redact::{Secrets, is_sensitive_name};
use crate::secret::{ShowSecret, Text};

/// The headers that the client sets itself.
const OWN_HEADERS: [&str; 3] = ["content-length", "connection", "transfer-encoding"];

/// Headers about one connection and not about the request (RFC 9110, section 7.6.1; RFC 9113, section 8.2.2), and the
/// credentials of a proxy. Sent to a server they can make it and a proxy before it disagree on where a request ends.
const HOP_BY_HOP: [&str; 8] = [
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "te",
    "trailer",
    "upgrade",
    "http2-settings",
    "expect",
];

/// The methods that a poll cannot use.
const REFUSED_METHODS: [&str; 2] = ["CONNECT", "TRACE"];

/// The `requestInit` of a spec.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct RequestInit {
    /// GET unless the spec says otherwise.
    pub method: Method,
    /// Headers in the order given; a name appears once. `host` is sent as given, while the guard and TLS go by the URL.
    pub headers: Vec<(HeaderName, Text)>,
    /// Parameters that are appended to the query of the URL at sending, in the order given.
    pub query: Vec<(String, Text)>,
    /// The body, if there is one.
    pub body: Option<Body>,
    /// Whether the poll keeps the cookies that responses set, and sends them with its later requests.
    pub cookies: bool,
    /// The certificates of the request, beside those of the client.
    pub tls: Option<TlsInit>,
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
        let headers = self.headers.iter().map(|(name, value)| (name.to_string(), value.to_value(show)));
        let query = self.query.iter().map(|(name, value)| (name.clone(), value.to_value(show)));
        let body = self.body.as_ref().map(|body| match body {
            Body::Text(text) => text.to_value(show),
            Body::Bytes(bytes) => json!({"base64": BASE64.encode(bytes)}),
        });
        given([
            ("method", Some(self.method.as_str().into())),
            ("headers", (!self.headers.is_empty()).then(|| headers.collect())),
            ("query", (!self.query.is_empty()).then(|| query.collect())),
            ("body", body),
            ("cookies", self.cookies.then(|| true.into())),
            ("tls", self.tls.as_ref().map(TlsInit::to_value)),
        ])
    }

    /// Its texts, each with its member and its name there.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&'static str, &str, &Text)> {
        let headers = self.headers.iter().map(|(name, value)| ("headers", name.as_str(), value));
        let query = self.query.iter().map(|(name, value)| ("query", name.as_str(), value));
        let body = match &self.body {
            Some(Body::Text(text)) => Some(("body", "", text)),
            _ => None,
        };
        let tls = self.tls.iter().flat_map(TlsInit::parts).map(|(name, text)| ("tls", name, text));
        headers.chain(query).chain(body).chain(tls)
    }

    /// The JSON pointers, in the spec, of the secrets that it contains rather than refers to.
    pub(crate) fn inline_secrets(&self) -> Vec<String> {
        let secrets = self.texts().filter(|(_, _, text)| matches!(text, Text::Secret(_)));
        let pointer = |(member, name, _)| match member {
            "body" => "/requestInit/body".to_owned(),
            member => child(&format!("/requestInit/{member}"), name),
        };
        secrets.map(pointer).collect()
    }

    /// Feeds `hash` with the credentials of the request, so that polls with equal credentials are recognised without
    /// another copy of the secrets.
    pub(crate) fn hash_credentials(&self, hash: &mut impl std::hash::Hasher) {
        use std::hash::Hash as _;

        for (member, name, value) in self.texts().filter(|(member, _, _)| *member != "body") {
            match value {
                Text::Secret(secret) => (member, name, 1, secret.expose_secret()).hash(hash),
                Text::Reference(reference) => (member, name, 2, reference).hash(hash),
                Text::Plain(_) => {}
            }
        }
    }
}

impl Reader<'_> {
    pub(super) fn request_init(&mut self, place: Place<'_>) -> Option<RequestInit> {
        let known = ["method", "headers", "query", "body", "cookies", "tls"];
        let expected = "an object of method, headers, query, body, cookies, tls";
        let fields = known_members(place, expected, &known, &mut self.problems)?;
        let given = |name| field(&fields, name).map(Field::place);
        let method = given("method").and_then(|place| self.method(place)).unwrap_or_default();
        let headers = given("headers").map(|place| self.headers(place)).unwrap_or_default();
        let query = given("query").map(|place| self.query(place)).unwrap_or_default();
        let body = given("body").and_then(|place| self.body(place));
        if let Some(place) = given("body").filter(|_| matches!(method, Method::GET | Method::HEAD)) {
            self.problems.warn(
                place,
                "a GET or HEAD request with a body",
                "many servers ignore or refuse it; did you mean \"method\":\"POST\"?",
            );
        }
        let cookies = given("cookies").and_then(|place| match place.node.kind {
            Kind::Bool(kept) => Some(kept),
            _ => self.expected(place, "true, to keep the cookies of responses, or false"),
        });
        let tls = given("tls").and_then(|place| self.tls(place));
        Some(RequestInit { method, headers, query, body, cookies: cookies.unwrap_or_default(), tls })
    }

    fn method(&mut self, place: Place<'_>) -> Option<Method> {
        const USUAL: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
        let text = place.text().unwrap_or_default();
        // As in the Fetch standard: the usual methods are case-insensitive, others are not.
        let upper = text.to_ascii_uppercase();
        if REFUSED_METHODS.contains(&upper.as_str()) {
            let message = format!("found {text:?}, expected a method other than CONNECT and TRACE");
            return self.refuse(place, message);
        }
        let name = if USUAL.contains(&upper.as_str()) { &upper } else { text };
        let method = Method::from_bytes(name.as_bytes()).ok();
        method.or_else(|| self.expected(place, "an HTTP method, such as \"GET\""))
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
            let refusal = match name.as_str() {
                own if OWN_HEADERS.contains(&own) => Some("the client sets it"),
                hop if HOP_BY_HOP.contains(&hop) => {
                    Some("it concerns the connection, which the client makes")
                }
                _ => None,
            };
            if let Some(why) = refusal {
                let message = format!("the header {name} cannot be given: {why}");
                self.problems.error_with_help(place, message, "leave it out");
                continue;
            }
            if headers.iter().any(|(present, _)| *present == name) {
                let message = format!("the header {name} is given twice, in different case");
                self.problems.error_with_help(place, message, "keep one of them");
                continue;
            }
            match self.value(place, name.as_str()) {
                Some(Text::Plain(text)) if HeaderValue::from_bytes(text.as_bytes()).is_err() => {
                    self.problems.error(place, "the value has a line break or another control character");
                }
                value => headers.extend(value.map(|value| (name, value))),
            }
        }
        headers
    }

    fn query(&mut self, place: Place<'_>) -> Vec<(String, Text)> {
        let fields = members(place, "an object of parameter names and values", &mut self.problems);
        let mut query = Vec::new();
        for given in fields.unwrap_or_default() {
            let value = self.value(given.place(), given.name);
            query.extend(value.map(|value| (given.name.to_owned(), value)));
        }
        query
    }

    /// The value of a header or a parameter.
    fn value(&mut self, place: Place<'_>, name: &str) -> Option<Text> {
        self.warn_of_lookalike(place, place.text().and_then(lookalike::in_header));
        let expected = "a string, or a secret such as {\"$secret\":\"env:NAME\"}";
        self.text(place, expected, is_sensitive_name(name))
    }

    fn body(&mut self, place: Place<'_>) -> Option<Body> {
        if let Kind::Object(members) = &place.node.kind
            && let [member] = members.as_slice()
            && member.key == "base64"
        {
            let pointer = child(place.pointer, "base64");
            let inner = Place { node: &member.value, pointer: &pointer };
            return match inner.text().map(|text| BASE64.decode(text)) {
                Some(Ok(bytes)) => Some(Body::Bytes(Bytes::from(bytes))),
                Some(Err(error)) => {
                    self.refuse(inner, format!("expected standard base64 with padding: {error}"))
                }
                None => self.expected(inner, "a string of base64"),
            };
        }
        self.text(place, "a string, {\"base64\":\"…\"}, or a secret", false).map(Body::Text)
    }
}

pub(super) fn schema() -> Value {
    let refused = [&OWN_HEADERS[..], &HOP_BY_HOP[..]].concat();
    let base64 = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$";
    let text = json!({"$ref": "#/$defs/text"});
    let bytes = object(json!({"base64": {"type": "string", "pattern": base64}}), &["base64"]);
    let members = json!({
        "method": {
            "type": "string", "pattern": TOKEN, "not": {"pattern": any_case(&REFUSED_METHODS)},
            "default": Method::GET.as_str(),
        },
        "headers": {
            "type": "object",
            "additionalProperties": text,
            "propertyNames": {"pattern": TOKEN, "not": {"pattern": any_case(&refused)}},
        },
        "query": {
            "description": "parameters that are appended to the URL at sending",
            "type": "object", "additionalProperties": text,
        },
        "body": {"anyOf": [text, bytes]},
        "cookies": {
            "description": "keep the cookies of responses, and send them with later requests of this poll",
            "type": "boolean", "default": false,
        },
        "tls": tls::schema(),
    });
    object(members, &[])
}

impl Secrets {
    /// Adds the secrets that stand in a spec: redacted strings, and headers and parameters with a sensitive name. Secrets that a reference
    /// names are known to the [resolver](crate::secret::SecretResolver) only.
    pub fn add_inline(&mut self, spec: &PollSpec) {
        let keys = spec.on_outcome().into_iter().flat_map(|webhook| &webhook.secrets);
        for text in spec.request().texts().map(|(_, _, text)| text).chain(keys) {
            if let Text::Secret(secret) = text {
                self.add_secret(secret);
            }
        }
    }
}
