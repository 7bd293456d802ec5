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
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
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

    /// Leaves out headers, the longest ones, until the others take at most this many bytes.
    fn shorten(&mut self, most: usize) {
        if self.text.len() <= most {
            return;
        }
        let length = |(name, value): &(&str, &str)| name.len() + value.len() + 2;
        let mut lengths: Vec<usize> = self.iter().map(|header| length(&header)).collect();
        lengths.sort_unstable();
        let mut sum = 0;
        lengths.retain(|length| {
            sum += length;
            sum <= most
        });
        let longest = lengths.last().copied().unwrap_or(0);
        let mut text = String::with_capacity(most);
        for (name, value) in self.iter().filter(|header| length(header) <= longest) {
            if text.len() + name.len() + value.len() + 2 <= most {
                text.extend([name, "\n", value, "\n"]);
            }
        }
        self.text = text.into();
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
/// Serialized, a JSON body is verbatim under `body`, other text is under `text`, and other bytes are under `base64`. JSON that
/// common readers refuse is other text: nested more than a hundred deep, a number beyond a double, half a surrogate pair. Of a
/// body that [was cut](Self::is_cut), the beginning is under `text` or `base64`, and `bodyBytes` is its whole length.
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
    pub(crate) echoes: bool,
    /// Whether a filter matched it that wants several in a row. Only while its poll is open.
    pub(crate) in_row: bool,
    /// The bytes of the body that were left out; the greatest number if there were more.
    left_out: u32,
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
        Self::of(status, headers.into_iter().collect(), body.into())
    }

    const fn of(status: u16, headers: Headers, body: Bytes) -> Self {
        Self { status, echoes: false, in_row: false, left_out: 0, headers, body }
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

    /// The body as received, after decompression. Of a response that did not match, at most the first 64 KiB; see
    /// [`is_cut`](Self::is_cut).
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// Whether [`body`](Self::body) is only the beginning: of long responses that did not match, no more is kept.
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        self.left_out > 0
    }

    /// The length of the whole body, in bytes.
    #[must_use]
    pub fn full_len(&self) -> u64 {
        self.body.len() as u64 + u64::from(self.left_out)
    }

    /// Leaves out the end of a longer body, and headers beyond this many bytes.
    pub(crate) fn shorten(&mut self, body: usize, headers: usize) {
        if self.body.len() > body {
            // Text is cut between characters.
            let mut end = body;
            while end > body.saturating_sub(3) && end > 0 && self.body[end] & 0xC0 == 0x80 {
                end -= 1;
            }
            let left_out = self.full_len() - end as u64;
            self.left_out = u32::try_from(left_out).unwrap_or(u32::MAX);
            // A slice would keep the whole buffer.
            self.body = Bytes::copy_from_slice(&self.body[..end]);
        }
        self.headers.shorten(headers);
    }

    /// The bytes of headers and body.
    pub(crate) fn size(&self) -> usize {
        self.headers.text.len() + self.body.len()
    }

    pub(crate) const fn is_in_row(&self) -> bool {
        self.in_row
    }

    /// The same response without the marks of an open poll.
    pub(crate) fn unmarked(self) -> Self {
        Self { echoes: false, in_row: false, ..self }
    }

    /// The body as the JSON text that was received; `None` if it is not JSON. Linear in the body's length.
    #[must_use]
    pub fn json(&self) -> Option<&str> {
        self.json_value().map(RawValue::get)
    }

    /// The beginning of a longer body is text, even if it happens to be JSON.
    fn json_value(&self) -> Option<&RawValue> {
        if self.is_cut() { None } else { serde_json::from_slice(&self.body).ok() }
    }
}

impl From<Response> for RecordedResponse {
    /// Header bytes that are not UTF-8 are read as Latin-1, as HTTP/1.1 originally defined them.
    fn from(response: Response) -> Self {
        // A `HeaderMap` has checked its names and values.
        let headers = response.headers.iter();
        let headers =
            headers.map(|(name, value)| (Cow::Borrowed(name.as_str()), header_text(value.as_bytes())));
        Self::of(response.status, joined(headers.collect()), response.body)
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

/// How deep a body may nest as JSON in JSON. serde_json reads 128 levels, and other objects are around the body.
const DEEPEST: usize = 100;

/// The text, if it is JSON that a reader of the text around it will accept. Makes no tree; linear in the length.
fn readable_json(body: &[u8]) -> Option<&RawValue> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    Readable { below: DEEPEST }.deserialize(&mut reader).ok()?;
    // Checks that nothing follows.
    serde_json::from_slice(body).ok()
}

/// Reads a value of at most this many levels and forgets it, with all the checks that making it would need.
#[derive(Clone, Copy)]
struct Readable {
    below: usize,
}

impl Readable {
    fn inside<E: serde::de::Error>(self) -> Result<Self, E> {
        let below = self.below.checked_sub(1).ok_or_else(|| E::custom("nested too deep"))?;
        Ok(Self { below })
    }
}

impl<'de> DeserializeSeed<'de> for Readable {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

macro_rules! forget {
    ($($visit:ident: $scalar:ty),*) => {
        $(fn $visit<E>(self, _: $scalar) -> Result<(), E> {
            Ok(())
        })*
    };
}

impl<'de> Visitor<'de> for Readable {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    forget!(visit_bool: bool, visit_u64: u64, visit_i64: i64, visit_f64: f64, visit_str: &str);

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let inside = self.inside()?;
        while elements.next_element_seed(inside)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let inside = self.inside()?;
        while members.next_key_seed(inside)?.is_some() {
            members.next_value_seed(inside)?;
        }
        Ok(())
    }
}

impl Serialize for RecordedResponse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("status", &self.status)?;
        map.serialize_entry("headers", &self.headers)?;
        let json = if self.is_cut() { None } else { readable_json(&self.body) };
        match (json, std::str::from_utf8(&self.body)) {
            (Some(json), _) => map.serialize_entry("body", json)?,
            (None, Ok(text)) => map.serialize_entry("text", text)?,
            (None, Err(_)) => map.serialize_entry("base64", &BASE64.encode(&self.body))?,
        }
        if self.is_cut() {
            map.serialize_entry("bodyBytes", &self.full_len())?;
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
            #[serde(rename = "bodyBytes")]
            body_bytes: Option<u64>,
        }
        // A body may be the JSON value null, which `Option` would read as absent.
        fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
            Box::<RawValue>::deserialize(deserializer).map(Some)
        }
        let Stored { status, headers, body, text, base64, body_bytes } = Stored::deserialize(deserializer)?;
        let body = match (body, text, base64) {
            (Some(json), None, None) => Bytes::from(String::from(Box::<str>::from(json))),
            (None, Some(text), None) => Bytes::from(text),
            (None, None, Some(encoded)) => Bytes::from(BASE64.decode(encoded).map_err(D::Error::custom)?),
            _ => return Err(D::Error::custom("expected one of body, text, base64")),
        };
        let left_out = body_bytes.map_or(0, |bytes| bytes.saturating_sub(body.len() as u64));
        let left_out = u32::try_from(left_out).unwrap_or(u32::MAX);
        Ok(Self { left_out, ..Self::of(status, headers.into_iter().collect(), body) })
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

    /// A line of output must not be refused because of a body in it.
    #[test]
    fn json_that_readers_refuse_is_text() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        for (body, readable) in [
            (nested(DEEPEST), true),
            (nested(DEEPEST + 1), false),
            (nested(100_000), false),
            (r#"{"n":1e308}"#.into(), true),
            (r#"{"n":1e309}"#.into(), false),
            (r#"{"n":-1e400}"#.into(), false),
            (format!(r#"{{"n":{}}}"#, "9".repeat(400)), false),
            (format!(r#"{{"n":{}}}"#, "9".repeat(300)), true),
            (r#"["\ud83d\ude00"]"#.into(), true),
            (r#"["\ud83d"]"#.into(), false),
            (r#"{"\udc00":1}"#.into(), false),
            ("[1] 2".into(), false),
            (" {\"a\": 1, \"a\": 2}\n".into(), true),
        ] {
            let response = RecordedResponse::new(200, [("a", "1")], body.clone());
            let text = serde_json::to_string(&response).unwrap();
            // The objects that commands and stores put around it.
            let whole = format!("{{\"outcome\":{{\"response\":{text}}}}}");
            let value: serde_json::Value = serde_json::from_str(&whole).unwrap();
            let response = &value["outcome"]["response"];
            assert_eq!(response.get("body").is_some(), readable, "{text:.200}");
            if !readable {
                assert_eq!(response["text"], body);
            }
            let back: RecordedResponse = serde_json::from_str(&text).unwrap();
            assert_eq!(back.body(), &Bytes::from(if readable { body.trim().to_owned() } else { body }));
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
