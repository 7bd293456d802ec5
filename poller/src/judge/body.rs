//! Bodies as `fetch().text()` and `fetch().json()` read them, and what a body is that is not JSON.
//!
//! A byte order mark is dropped, and invalid UTF-8 is U+FFFD. JavaScript keeps the halves of surrogate pairs in its strings;
//! here they are U+FFFD too, because text in Rust cannot hold them. Only judging reads bodies so: the outcome has the bytes
//! that were received.

use std::borrow::Cow;
use std::cell::OnceCell;

use filter::JsonError;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A body as text, decoded only if a filter needs it.
pub(crate) struct BodyText<'r> {
    bytes: &'r [u8],
    text: OnceCell<Cow<'r, str>>,
    /// The text with its halves of surrogate pairs replaced, if it has any.
    repaired: OnceCell<Option<String>>,
}

impl<'r> BodyText<'r> {
    pub(crate) const fn new(bytes: &'r [u8]) -> Self {
        Self { bytes, text: OnceCell::new(), repaired: OnceCell::new() }
    }

    /// As `fetch().text()`.
    pub(crate) fn text(&self) -> &str {
        let bytes = self.bytes;
        self.text
            .get_or_init(|| String::from_utf8_lossy(bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes)))
    }

    /// Whether it is an HTML page, by its beginning and the declared type.
    pub(crate) fn is_html(&self, content_type: Option<&str>) -> bool {
        let declared = || content_type.is_some_and(|declared| declared.to_ascii_lowercase().contains("html"));
        let start = self.text().trim_start();
        begins(start, "<!doctype html") || begins(start, "<html") || (begins(start, "<") && declared())
    }

    /// The text to parse as `fetch().json()` does.
    pub(crate) fn json(&self) -> &str {
        let text = self.text();
        self.repaired.get_or_init(|| without_lone_surrogates(text)).as_deref().unwrap_or(text)
    }
}

/// Whether a text begins with these letters, in any case.
fn begins(text: &str, with: &str) -> bool {
    let head = text.as_bytes().get(..with.len());
    head.is_some_and(|head| head.eq_ignore_ascii_case(with.as_bytes()))
}

/// The text with each escape of half a surrogate pair replaced; `None` if it has none.
fn without_lone_surrogates(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut repaired = String::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(found) = memchr::memchr(b'\\', bytes.get(at..)?) {
        let start = at + found;
        let first = escaped_unit(bytes, start);
        // Any other escape has two characters, the second of which may be a backslash.
        at = start + if first.is_some() { 6 } else { 2 };
        match first {
            Some(0xD800..=0xDBFF) if matches!(escaped_unit(bytes, at), Some(0xDC00..=0xDFFF)) => at += 6,
            Some(0xD800..=0xDFFF) => {
                repaired.push_str(&text[copied..start]);
                repaired.push_str("\\ufffd");
                copied = at;
            }
            _ => {}
        }
        if at >= bytes.len() {
            break;
        }
    }
    if repaired.is_empty() {
        return None;
    }
    repaired.push_str(&text[copied..]);
    Some(repaired)
}

/// The code unit of the escape `\uXXXX` at this place.
fn escaped_unit(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |unit, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(unit << 4 | u16::try_from(digit).ok()?)
    })
}

/// What a body is that is not JSON, by its first bytes and the place of the error.
pub(crate) fn describe(body: &BodyText<'_>, content_type: Option<&str>, error: &JsonError) -> String {
    let bytes = body.bytes;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return "the body is empty, expected JSON".to_owned();
    }
    let encoded = [
        (&b"\x1F\x8B"[..], "gzip data without a Content-Encoding that says so"),
        (b"\x28\xB5\x2F\xFD", "Zstandard data without a Content-Encoding that says so"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"\xFF\xFE", "text in UTF-16; JSON must be in UTF-8"),
        (b"\xFE\xFF", "text in UTF-16; JSON must be in UTF-8"),
        (b"%PDF", "a PDF document"),
    ];
    if let Some((_, what)) = encoded.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return format!("the body is {what}");
    }
    let text = body.json();
    let start = text.trim_start();
    let begins = |with: &str| begins(start, with);
    if body.is_html(content_type) {
        let title = title(start).map(|title| format!(" titled {title:?}")).unwrap_or_default();
        return format!("the body is an HTML page{title}, expected JSON");
    }
    if begins("<?xml") || begins("<") {
        return "the body is XML, expected JSON; \"text\" judges a body of any type".to_owned();
    }
    for guard in [")]}'", ")]}", "while(1);", "for(;;);", "{}&&"] {
        if begins(guard) {
            return format!(
                "the body begins with {guard}, which keeps scripts from reading it, and is not JSON"
            );
        }
    }
    let at = text.get(error.offset()..).unwrap_or_default().trim_start_matches('-');
    let foreign = ["NaN", "Infinity", "undefined", "None", "True", "False"];
    if let Some(name) = foreign.iter().find(|name| at.starts_with(**name)) {
        let (line, column) = (error.line(), error.column());
        return format!(
            "the body is not JSON: {name} at line {line}, column {column}; JSON has no such value"
        );
    }
    match content_type {
        Some(kind) => format!("the body is not JSON ({kind}): {error}"),
        None => format!("the body is not JSON: {error}"),
    }
}

/// The most bytes that are searched for the title of a page, and the most characters of it that are shown.
const HEAD: usize = 16 << 10;
const TITLE: usize = 60;

/// The title of a page, which mostly says what went wrong.
fn title(page: &str) -> Option<String> {
    let head = &page[..page.floor_char_boundary(HEAD)];
    let lower = head.to_ascii_lowercase();
    let open = lower.find("<title")?;
    let start = open + lower[open..].find('>')? + 1;
    let end = start + lower[start..].find('<')?;
    let words: Vec<&str> = head[start..end].split_whitespace().collect();
    let title: String = words.join(" ").chars().take(TITLE).collect();
    (!title.is_empty()).then_some(title)
}

#[cfg(test)]
mod tests {
    use filter::Document;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn json(bytes: &[u8]) -> Value {
        let text = BodyText::new(bytes);
        Document::from_slice(text.json().as_bytes()).unwrap_or_else(|error| panic!("{error}")).into_value()
    }

    #[test]
    fn bodies_are_read_as_fetch_reads_them() {
        for (bytes, value) in [
            (&b"\xEF\xBB\xBF{\"a\":1}"[..], serde_json::json!({"a": 1})),
            (b"\"caf\xE9\"", "caf\u{FFFD}".into()),
            (br#""\ud83d\ude00""#, "\u{1F600}".into()),
            (br#""\ud83d""#, "\u{FFFD}".into()),
            (br#""\ude00\ud83d""#, "\u{FFFD}\u{FFFD}".into()),
            (br#""\ud83d\ud83d\ude00""#, "\u{FFFD}\u{1F600}".into()),
            (br#""\ud83dx""#, "\u{FFFD}x".into()),
            (br#""\\ud83d""#, r"\ud83d".into()),
            (br#""\\\ud83d""#, "\\\u{FFFD}".into()),
            (br#"{"\uDFFF":"a\n"}"#, serde_json::json!({"\u{FFFD}": "a\n"})),
        ] {
            assert_eq!(json(bytes), value, "{}", String::from_utf8_lossy(bytes));
        }
        assert_eq!(
            BodyText::new(b"\xEF\xBB\xBFd\xC3\xA9j\xE0 vu\\ud83d").text(),
            "d\u{E9}j\u{FFFD} vu\\ud83d"
        );
    }

    /// What the WHATWG's decoder makes of truncated and overlong sequences: one U+FFFD for each maximal part.
    #[test]
    fn invalid_utf_8_is_replaced_as_the_encoding_standard_says() {
        for (bytes, text) in [
            (&b"\xE2\x82"[..], "\u{FFFD}"),
            (b"\xE2\x82x", "\u{FFFD}x"),
            (b"\xC0\xAF", "\u{FFFD}\u{FFFD}"),
            (b"\xED\xA0\x80", "\u{FFFD}\u{FFFD}\u{FFFD}"),
            (b"\xF0\x9F\x98", "\u{FFFD}"),
        ] {
            assert_eq!(BodyText::new(bytes).text(), text, "{bytes:?}");
        }
    }

    proptest! {
        /// The oracle reads code units, as JavaScript does, and replaces halves in the string and not in its text.
        #[test]
        fn strings_of_any_code_units_are_read(units in proptest::collection::vec(
            prop_oneof![0xD7FEu16..0xE002, 0x20u16..0x80, Just(0x5C), any::<u16>()], 0..12,
        )) {
            let text: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
            let value = json(format!("\"{text}\"").as_bytes());
            prop_assert_eq!(value, Value::String(String::from_utf16_lossy(&units)));
        }

        #[test]
        fn other_text_stays_unchanged(text in "[\\\\u\"dD8-9a-f{}x]{0,24}") {
            let body = BodyText::new(text.as_bytes());
            let read = body.json();
            if serde_json::from_str::<Value>(&text).is_ok() {
                prop_assert_eq!(read, &text);
            }
        }
    }

    #[test]
    fn the_message_names_what_the_body_is() {
        let describe = |bytes: &[u8], kind: Option<&str>| {
            let body = BodyText::new(bytes);
            let error = Document::from_slice(body.json().as_bytes()).unwrap_err();
            describe(&body, kind, &error)
        };
        for (bytes, kind, message) in [
            (&b""[..], None, "the body is empty, expected JSON"),
            (b" \r\n", Some("application/json"), "the body is empty, expected JSON"),
            (b"\x1F\x8B\x08\0", None, "the body is gzip data without a Content-Encoding that says so"),
            (
                b"\xEF\xBB\xBF<!DOCTYPE html><html><head>\n<TITLE lang=en> 502\nBad Gateway </TITLE>",
                None,
                r#"the body is an HTML page titled "502 Bad Gateway", expected JSON"#,
            ),
            (b"<p>no", Some("Text/HTML; charset=utf-8"), "the body is an HTML page, expected JSON"),
            (b"<?xml version=\"1.0\"?><a/>", None, "the body is XML"),
            (b")]}'\n{}", None, "the body begins with )]}', which keeps scripts from reading it"),
            (b"{\"a\": NaN}", None, "the body is not JSON: NaN at line 1, column 7; JSON has no such value"),
            (b"[-Infinity]", None, "the body is not JSON: Infinity"),
            (b"{'a': None}", None, "the body is not JSON: "),
            (b"not yet", Some("text/plain"), "the body is not JSON (text/plain): "),
            (b"\xFF\xFE{\0}\0", None, "the body is text in UTF-16"),
        ] {
            let described = describe(bytes, kind);
            assert!(described.starts_with(message), "{}: {described}", String::from_utf8_lossy(bytes));
        }
    }
}
