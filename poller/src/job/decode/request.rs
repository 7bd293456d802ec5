//! Reading `requestInit`: method, headers, body, and the forms of a secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use filter::json;
use http::{HeaderName, HeaderValue, Method};
use secrecy::SecretString;

use super::super::request::{Body, RequestInit};
use super::Decoder;
use crate::seal::SEAL_KEY_VARIABLE;
use crate::secret::{SecretRef, Text, is_sensitive_header};
use filter::decode::{Place, child, field, known_members, members};

impl Decoder<'_> {
    pub(super) fn request_init(&mut self, place: Place<'_>) -> Option<RequestInit> {
        let known = ["method", "headers", "body"];
        let fields = known_members(place, "an object of method, headers, body", &known, &mut self.problems)?;
        let method = match field(&fields, "method") {
            Some(given) => self.method(given.place()),
            None => Some(Method::GET),
        };
        let headers = match field(&fields, "headers") {
            Some(given) => self.headers(given.place()),
            None => Some(Vec::new()),
        };
        let body = match field(&fields, "body") {
            Some(given) => Some(self.body(given.place())?),
            None => None,
        };
        if let (Some(given), Some(Method::GET | Method::HEAD)) = (field(&fields, "body"), &method) {
            self.problems.warn(
                given.place(),
                "a GET or HEAD request with a body",
                "many servers ignore or refuse it; did you mean \"method\":\"POST\"?",
            );
        }
        Some(RequestInit { method: method?, headers: headers?, body })
    }

    fn method(&mut self, place: Place<'_>) -> Option<Method> {
        const USUAL: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
        let Some(text) = place.text() else {
            self.problems.expected(place, "an HTTP method, such as \"GET\"");
            return None;
        };
        // As in the Fetch standard: the usual methods may be written in any case, others mean what they say.
        let upper = text.to_ascii_uppercase();
        let name = if USUAL.contains(&upper.as_str()) { upper.as_str() } else { text };
        if matches!(upper.as_str(), "CONNECT" | "TRACE") {
            self.problems
                .error(place, format!("found {text:?}, expected a method other than CONNECT and TRACE"));
            return None;
        }
        if let Ok(method) = Method::from_bytes(name.as_bytes()) {
            return Some(method);
        }
        self.problems.expected(place, "an HTTP method, such as \"GET\"");
        None
    }

    fn headers(&mut self, place: Place<'_>) -> Option<Vec<(HeaderName, Text)>> {
        let fields = members(place, "an object of header names and values", &mut self.problems)?;
        let before = self.problems.errors.len();
        let mut headers: Vec<(HeaderName, Text)> = Vec::with_capacity(fields.len());
        for given in &fields {
            let Ok(name) = HeaderName::from_bytes(given.name.as_bytes()) else {
                self.problems.error(given.place(), format!("{:?} is no header name", given.name));
                continue;
            };
            if matches!(name.as_str(), "host" | "content-length" | "connection" | "transfer-encoding") {
                let message = format!("the header {name} cannot be given: the client sets it");
                self.problems.error_with_help(given.place(), message, "leave it out");
                continue;
            }
            if headers.iter().any(|(present, _)| *present == name) {
                let message = format!("the header {name} is given twice, in different case");
                self.problems.error_with_help(given.place(), message, "keep one of them");
                continue;
            }
            let secret = is_sensitive_header(name.as_str());
            if let Some(value) =
                self.text(given.place(), "a string, or a secret such as {\"$secret\":\"env:NAME\"}", secret)
            {
                if let Text::Plain(text) = &value
                    && HeaderValue::from_bytes(text.as_bytes()).is_err()
                {
                    self.problems
                        .error(given.place(), "the value has a line break or another control character");
                    continue;
                }
                headers.push((name, value));
            }
        }
        (self.problems.errors.len() == before).then_some(headers)
    }

    fn body(&mut self, place: Place<'_>) -> Option<Body> {
        if let json::Kind::Object(members) = &place.node.kind
            && let [member] = members.as_slice()
            && member.key == "base64"
        {
            let pointer = child(place.pointer, "base64");
            let inner = Place { node: &member.value, pointer: &pointer };
            return match inner.text().map(|text| BASE64.decode(text)) {
                Some(Ok(bytes)) => Some(Body::Bytes(Bytes::from(bytes))),
                Some(Err(error)) => {
                    self.problems.error(inner, format!("expected standard base64 with padding: {error}"));
                    None
                }
                None => {
                    self.problems.expected(inner, "a string of base64");
                    None
                }
            };
        }
        self.text(place, "a string, {\"base64\":\"…\"}, or a secret", false).map(Body::Text)
    }

    /// A text or one of the forms of a secret. Never shows a value that might be one.
    fn text(&mut self, place: Place<'_>, expected: &str, secret: bool) -> Option<Text> {
        match &place.node.kind {
            json::Kind::String(text) if secret => Some(Text::Secret(SecretString::from(text.as_str()))),
            json::Kind::String(text) => Some(Text::Plain(text.clone())),
            json::Kind::Object(members) if members.iter().any(|member| member.key == "__redactedString") => {
                self.redacted_string(place)
            }
            json::Kind::Object(members)
                if self.stored.is_some() && members.iter().any(|member| member.key == "$sealed") =>
            {
                self.sealed(place)
            }
            json::Kind::Object(_) => self.secret_reference(place),
            _ => {
                self.problems.error(place, format!("found {}, expected {expected}", place.node.type_name()));
                None
            }
        }
    }

    /// What a durable store makes of inline secrets. A user's spec cannot hold it: it would open other people's.
    fn sealed(&mut self, place: Place<'_>) -> Option<Text> {
        let sealed = place.node.get("$sealed").and_then(|node| Place { node, pointer: place.pointer }.text());
        let opened = match (sealed, self.stored) {
            (Some(sealed), Some(Some(key))) => key.open(sealed).map_err(|error| error.to_string()),
            (Some(_), _) => {
                Err(format!("the secret is sealed, and no key was given; set {SEAL_KEY_VARIABLE}"))
            }
            (None, _) => Err("the sealed secret is not a string".to_owned()),
        };
        match opened {
            Ok(secret) => Some(Text::Secret(secret)),
            Err(message) => {
                self.problems.error(place, message);
                None
            }
        }
    }

    fn secret_reference(&mut self, place: Place<'_>) -> Option<Text> {
        let fields = known_members(place, "a secret", &["$secret"], &mut self.problems)?;
        let expected = "\"env:NAME\" or \"file:PATH\"";
        match field(&fields, "$secret") {
            Some(given) => match given.place().text().map(str::parse::<SecretRef>) {
                Some(Ok(reference)) => Some(Text::Reference(reference)),
                _ => {
                    // Not shown: somebody may have written the secret itself here.
                    let message = format!("found {}, expected {expected}", given.node.type_name());
                    self.problems.error_with_help(
                        given.place(),
                        message,
                        "name where the secret is, not the secret",
                    );
                    None
                }
            },
            None => {
                self.problems.error(
                    place,
                    format!("found an object without \"$secret\", expected {{\"$secret\":{expected}}}"),
                );
                None
            }
        }
    }

    /// Trigger.dev's `redactString`: the texts between which the interpolated values stood.
    fn redacted_string(&mut self, place: Place<'_>) -> Option<Text> {
        let known = ["__redactedString", "strings", "interpolations"];
        let fields = known_members(place, "a redacted string", &known, &mut self.problems)?;
        if !field(&fields, "__redactedString")
            .is_some_and(|given| matches!(given.node.kind, json::Kind::Bool(true)))
        {
            self.problems.error(place, "\"__redactedString\" is not true");
            return None;
        }
        let mut list = |name: &str| -> Option<Vec<String>> {
            let texts = field(&fields, name).and_then(|given| match &given.node.kind {
                json::Kind::Array(elements) => elements
                    .iter()
                    .map(|element| match &element.kind {
                        json::Kind::String(text) => Some(text.clone()),
                        _ => None,
                    })
                    .collect::<Option<Vec<String>>>(),
                _ => None,
            });
            if texts.is_none() {
                self.problems.error(place, format!("expected {name:?} to be an array of strings"));
            }
            texts
        };
        let (strings, interpolations) = (list("strings")?, list("interpolations")?);
        if strings.len() != interpolations.len() + 1 {
            self.problems.error(
                place,
                format!(
                    "found {} strings around {} interpolations, expected one more string than interpolations",
                    strings.len(),
                    interpolations.len()
                ),
            );
            return None;
        }
        let mut whole = String::new();
        for (position, text) in strings.iter().enumerate() {
            whole.push_str(text);
            whole.push_str(interpolations.get(position).map_or("", String::as_str));
        }
        Some(Text::Secret(SecretString::from(whole)))
    }
}
