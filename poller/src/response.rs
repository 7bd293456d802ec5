//! A recorded response: status, headers and body in little memory.
//!
//! A poll keeps its last response until its end, and there may be a million polls; so the headers are one shared text and not
//! a map of strings. A JSON body stays byte for byte the same (but for surrounding white space) through `Serialize` and
//! back.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::de::Error as _;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::fetch::Response;

/// Headers with lower-case names, sorted, each name once.
///
/// Line breaks and NUL, which HTTP forbids in values, are stored as spaces (RFC 9110, 5.5).
///
/// ```
/// use poller::Headers;
///
/// let headers: Headers = [("Accept", "a"), ("x-n", "1"), ("accept", "b")].into_iter().collect();
/// assert_eq!(headers.get("accept"), Some("a, b"));
/// assert_eq!(headers.iter().count(), 2);
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Headers {
    /// Alternating names and values, each ended by a line break, which neither can contain.
    text: Arc<str>,
}

impl Headers {
    /// The value of the header with this lower-case name. Linear in the total length.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(present, _)| *present == name).map(|(_, value)| value)
    }

    /// The names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut rest = &*self.text;
        std::iter::from_fn(move || line(&mut rest).zip(line(&mut rest)))
    }
}

/// Takes the first line. By bytes, because a search for a `char` takes several times as long on lines this short, and every
/// response is searched for a handful of headers.
fn line<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let (line, after) = rest.split_at(memchr::memchr(b'\n', rest.as_bytes())?);
    *rest = &after[1..];
    Some(line)
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(headers: I) -> Self {
        let pairs: Vec<(N, V)> = headers.into_iter().collect();
        let lower = |name| match without_breaks(name) {
            name if name.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                Cow::Owned(name.to_ascii_lowercase())
            }
            name => name,
        };
        joined(
            pairs
                .iter()
                .map(|(name, value)| (lower(name.as_ref()), without_breaks(value.as_ref())))
                .collect(),
        )
    }
}

/// Headers from unsorted pairs with lower-case names; the values of a repeated name are joined in their order (RFC 9110,
/// 5.3).
fn joined(mut pairs: Vec<(Cow<'_, str>, Cow<'_, str>)>) -> Headers {
    pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
    let length = pairs.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
    let mut text = String::with_capacity(length);
    for (position, (name, value)) in pairs.iter().enumerate() {
        if position > 0 && pairs[position - 1].0 == *name {
            text.pop();
            text.push_str(", ");
        } else {
            text.push_str(name);
            text.push('\n');
        }
        text.push_str(value);
        text.push('\n');
    }
    Headers { text: text.into() }
}

fn without_breaks(text: &str) -> Cow<'_, str> {
    const BREAKS: [char; 3] = ['\r', '\n', '\0'];
    if text.contains(BREAKS) { Cow::Owned(text.replace(BREAKS, " ")) } else { Cow::Borrowed(text) }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

impl Serialize for Headers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// A recorded response: repeated headers joined, the body byte for byte.
///
/// Serialized, a JSON body is verbatim under `body`, other text is under `text`, and other bytes are under `base64`.
///
/// ```
/// use poller::RecordedResponse;
///
/// let response = RecordedResponse::new(200, [("content-type", "text/plain")], "not yet");
/// assert!(response.json().is_none());
/// let text = serde_json::to_string(&response)?;
/// assert_eq!(text, r#"{"status":200,"headers":{"content-type":"text/plain"},"text":"not yet"}"#);
/// assert_eq!(serde_json::from_str::<RecordedResponse>(&text)?, response);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RecordedResponse {
    status: u16,
    /// Whether it contains a secret of its request and must not be quoted. Only while its poll is open; part of equality,
    /// so that polls with different secrets do not share a response.
    echoes: bool,
    headers: Headers,
    body: Bytes,
}

impl RecordedResponse {
    /// A response of these parts; header names are lower-cased, repeated ones joined with `, ` (RFC 9110, 5.3).
    pub fn new<N: AsRef<str>, V: AsRef<str>>(
        status: u16,
        headers: impl IntoIterator<Item = (N, V)>,
        body: impl Into<Bytes>,
    ) -> Self {
        Self { status, echoes: false, headers: headers.into_iter().collect(), body: body.into() }
    }

    /// The status code.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The headers, names in lower case.
    #[must_use]
    pub const fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The body as received, after decompression.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// Whether quoting it would reveal a secret.
    pub(crate) const fn echoes(&self) -> bool {
        self.echoes
    }

    pub(crate) fn set_echoes(&mut self, echoes: bool) {
        self.echoes = echoes;
    }

    /// The body as the JSON text that was received; `None` if it is not JSON. Linear in the body's length.
    #[must_use]
    pub fn json(&self) -> Option<&str> {
        serde_json::from_slice::<&RawValue>(&self.body).ok().map(RawValue::get)
    }
}

impl From<Response> for RecordedResponse {
    /// Header bytes that are not UTF-8 are read as Latin-1, as HTTP/1.1 originally defined them.
    fn from(response: Response) -> Self {
        // A `HeaderMap` has checked its names and values.
        let headers = response.headers.iter();
        let headers =
            headers.map(|(name, value)| (Cow::Borrowed(name.as_str()), header_text(value.as_bytes())));
        Self {
            status: response.status,
            echoes: false,
            headers: joined(headers.collect()),
            body: response.body,
        }
    }
}

/// A header value as text: UTF-8 if valid, otherwise Latin-1, so that filters see every header.
pub(crate) fn header_text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect()),
    }
}

impl fmt::Debug for RecordedResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordedResponse")
            .field("status", &self.status)
            .field("headers", &self.headers.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("body_len", &self.body.len())
            .finish()
    }
}

impl Serialize for RecordedResponse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("status", &self.status)?;
        map.serialize_entry("headers", &self.headers)?;
        match (serde_json::from_slice::<&RawValue>(&self.body), std::str::from_utf8(&self.body)) {
            (Ok(json), _) => map.serialize_entry("body", json)?,
            (Err(_), Ok(text)) => map.serialize_entry("text", text)?,
            (Err(_), Err(_)) => map.serialize_entry("base64", &BASE64.encode(&self.body))?,
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for RecordedResponse {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Stored {
            status: u16,
            headers: BTreeMap<String, String>,
            #[serde(default, deserialize_with = "present")]
            body: Option<Box<RawValue>>,
            text: Option<String>,
            base64: Option<String>,
        }
        // A body may be the JSON value null, which `Option` would read as absent.
        fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
            Box::<RawValue>::deserialize(deserializer).map(Some)
        }
        let Stored { status, headers, body, text, base64 } = Stored::deserialize(deserializer)?;
        let body = match (body, text, base64) {
            (Some(json), None, None) => Bytes::from(String::from(Box::<str>::from(json))),
            (None, Some(text), None) => Bytes::from(text),
            (None, None, Some(encoded)) => Bytes::from(BASE64.decode(encoded).map_err(D::Error::custom)?),
            _ => return Err(D::Error::custom("expected one of body, text, base64")),
        };
        Ok(Self { status, echoes: false, headers: headers.into_iter().collect(), body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(response: &RecordedResponse) -> String {
        let text = serde_json::to_string(response).unwrap();
        assert_eq!(&serde_json::from_str::<RecordedResponse>(&text).unwrap(), response);
        text
    }

    #[test]
    fn a_json_body_is_kept_to_the_byte() {
        let body = "{ \"n\": 1.50,\n \"n\": 12345678901234567890123 }";
        let response = RecordedResponse::new(200, [("A", "1"), ("a", "2")], body);
        assert!(round_trip(&response).contains(body));
        assert_eq!(response.json(), Some(body));
        assert_eq!(response.headers().get("a"), Some("1, 2"));
    }

    #[test]
    fn text_and_bytes_come_back_as_they_were() {
        for body in [&b"<html>"[..], b"\xff\x00", b"", b"null"] {
            round_trip(&RecordedResponse::new(500, [("x", "y")], Bytes::copy_from_slice(body)));
        }
    }

    #[test]
    fn headers_are_sorted_joined_and_kept_on_one_line() {
        let headers: Headers = [("B", "2\nx: y"), ("a", "1"), ("b", ""), ("A", "\0")].into_iter().collect();
        let pairs: Vec<_> = headers.iter().collect();
        assert_eq!(pairs, [("a", "1,  "), ("b", "2 x: y, ")]);
        assert_eq!((headers.get("x"), headers.get("b")), (None, Some("2 x: y, ")));
    }

    #[test]
    fn headers_that_are_not_utf8_are_latin_1() {
        assert_eq!(header_text(b"caf\xe9"), "café");
        assert_eq!(header_text("café".as_bytes()), "café");
    }

    #[test]
    fn debug_shows_neither_values_nor_body() {
        let shown = format!("{:?}", RecordedResponse::new(200, [("set-cookie", "s3cret")], "s3cret"));
        assert!(!shown.contains("s3cret") && shown.contains("set-cookie"), "{shown}");
    }
}
