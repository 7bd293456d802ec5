//! Hides secrets in the source lines that diagnostics quote.
//!
//! A diagnostic shows the line a mistake is on, and a spec is often one line: an error in its interval would print
//! the token in its headers, into a build log perhaps. So before anything is quoted, the values of `headers` in
//! `requestInit`, the `interpolations` of redacted strings and the credentials in a URL (which must not stand there, so that
//! a diagnostic points at them) are blanked. Every byte of them becomes one `*`, which
//! keeps all offsets as they were; member names stay, and so do references such as `env:API_TOKEN`, which name a
//! secret without telling it. Text that cannot be parsed is blanked [by name](by_name).

use filter::Span;
use filter::json::{Kind, Node};
use url::Url;

use crate::input::Text;

/// The text with the secrets of the spec `nodes` in it blanked.
pub(crate) fn secrets(text: &Text, nodes: &[Node]) -> Text {
    let mut spans = Vec::new();
    for node in nodes {
        if let Some(headers) = node.get("requestInit").and_then(|request| request.get("headers")) {
            collect(headers, &mut spans);
        }
        redacted(node, &mut spans);
    }
    let urls = nodes.iter().filter_map(|node| node.get("url"));
    let mut bytes = text.as_str().as_bytes().to_vec();
    for span in spans {
        // The quotes stay; what is between them goes.
        let inner = span.start.saturating_add(1)..span.end.saturating_sub(1);
        if let Some(secret) = bytes.get_mut(inner) {
            secret.fill(b'*');
        }
    }
    for url in urls.filter(|url| has_credentials(url)) {
        let Some(span) = url.span else { continue };
        let inner = span.start.saturating_add(1)..span.end.saturating_sub(1);
        if let Some(inner) = bytes.get_mut(inner) {
            // All that is before the host; everything, where the sign between them is written in another way.
            let end = inner.iter().rposition(|byte| *byte == b'@').unwrap_or(inner.len());
            let start = inner[..end].iter().position(|byte| *byte == b':').map_or(0, |colon| colon + 1);
            inner[start..end].fill(b'*');
        }
    }
    match String::from_utf8(bytes) {
        Ok(masked) => text.with_text(masked),
        // Spans that cut a character in two are not those of this text; better to quote nothing than the secret.
        Err(_) => text.with_text(String::new()),
    }
}

/// The text with what is probably secret blanked, going by the names of members alone: for text that is not JSON, of
/// which nothing better is known. What is quoted of it is where the mistake is, and that may be a token's missing quote.
pub(crate) fn by_name(text: &Text) -> Text {
    let mut bytes = text.as_str().as_bytes().to_vec();
    // The last string seen outside a secret: a colon makes it the name of what follows.
    let mut name = 0..0;
    let (mut secret, mut arrays) = (false, 0_u32);
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                let inner = at + 1..end_of_string(&bytes, at + 1);
                at = inner.end;
                if secret {
                    bytes[inner].fill(b'*');
                } else {
                    name = inner.clone();
                    blank_credentials(&mut bytes[inner]);
                }
            }
            b':' => (secret, arrays) = (is_secret(&text.as_str()[name.clone()]), 0),
            b'[' => arrays = arrays.saturating_add(1),
            b']' => arrays = arrays.saturating_sub(1),
            // Of an object the names decide: `{"$secret": "env:API_TOKEN"}` tells nothing.
            b'{' | b'}' => secret = false,
            b',' if arrays == 0 => secret = false,
            _ => {}
        }
        at += 1;
    }
    String::from_utf8(bytes).map_or_else(|_| text.with_text(String::new()), |masked| text.with_text(masked))
}

/// Whether a URL names a user or a password, or cannot be told apart from one that does.
fn has_credentials(url: &Node) -> bool {
    let Kind::String(text) = &url.kind else { return false };
    match Url::parse(text) {
        Ok(url) => !url.username().is_empty() || url.password().is_some(),
        Err(_) => text.contains('@'),
    }
}

/// Blanks what stands between `://` and the `@` before a host.
fn blank_credentials(string: &mut [u8]) {
    let Some(scheme) = string.windows(3).position(|bytes| bytes == b"://") else { return };
    let authority = &mut string[scheme + 3..];
    let end = authority.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(authority.len());
    if let Some(at) = authority[..end].iter().rposition(|byte| *byte == b'@') {
        authority[..at].fill(b'*');
    }
}

/// Where the string ends that begins at `start`: at its quote, or with the line if it has none.
fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' | b'\n' | b'\r' => break,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at.min(bytes.len())
}

fn is_secret(name: &str) -> bool {
    const SIGNS: [&str; 8] =
        ["authorization", "cookie", "token", "secret", "password", "api-key", "apikey", "interpolations"];
    let name = name.to_ascii_lowercase();
    // A reference is named `$secret`; what it holds is the name of a variable.
    name != "$secret" && SIGNS.iter().any(|sign| name.contains(sign))
}

/// The strings that are values of headers; references are objects and stay.
fn collect(headers: &Node, spans: &mut Vec<Span>) {
    match &headers.kind {
        Kind::String(_) => spans.extend(headers.span),
        Kind::Array(elements) => elements.iter().for_each(|element| collect(element, spans)),
        Kind::Object(members) => {
            for member in members {
                match &member.value.kind {
                    Kind::String(_) => spans.extend(member.value.span),
                    Kind::Array(_) => collect(&member.value, spans),
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

/// The texts inside Trigger.dev's redacted strings, wherever they stand.
fn redacted(node: &Node, spans: &mut Vec<Span>) {
    match &node.kind {
        Kind::Array(elements) => elements.iter().for_each(|element| redacted(element, spans)),
        Kind::Object(members) => {
            let is_redacted = node.get("__redactedString").is_some();
            for member in members {
                if is_redacted && member.key == "interpolations" {
                    collect(&member.value, spans);
                } else {
                    redacted(&member.value, spans);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &str) -> String {
        let nodes = filter::json::parse_sequence(text, &filter::Limits::default()).unwrap();
        secrets(&Text::new("spec", text.to_owned()), &nodes).as_str().to_owned()
    }

    #[test]
    fn header_values_are_blanked_and_nothing_else() {
        let text =
            r#"{"url":"http://a","requestInit":{"headers":{"x-api-key":"gehé\"m","b":{"$secret":"env:B"}}}}"#;
        assert_eq!(masked(text), text.replace("gehé\\\"m", "********"));
        assert_eq!(masked(text).len(), text.len());
    }

    #[test]
    fn credentials_in_a_url_are_blanked() {
        for (url, shown) in [
            ("http://ann:s3cret@h/@a", "http:***************@a"),
            ("http://ann:s3cret@h/a", "http:************@h/a"),
            ("http:ann:s3cret@h/a", "http:**********@h/a"),
            ("http:\\/\\/s3cret\\u0040h", "http:*****************"),
            ("http://h/a@b?c=d@e", "http://h/a@b?c=d@e"),
        ] {
            assert_eq!(masked(&format!("{{\"url\":\"{url}\"}}")), format!("{{\"url\":\"{shown}\"}}"));
        }
        let by_name = |text: &str| by_name(&Text::new("spec", text.to_owned())).as_str().to_owned();
        assert_eq!(
            by_name(r#"{"url":"http://ann:s3@h/a@b","a":1,,}"#),
            r#"{"url":"http://******@h/a@b","a":1,,}"#
        );
        assert_eq!(by_name(r#"{"url":"http://h/a@b",,}"#), r#"{"url":"http://h/a@b",,}"#);
    }

    #[test]
    fn broken_text_is_blanked_by_the_names_in_it() {
        let by_name = |text: &str| by_name(&Text::new("spec", text.to_owned())).as_str().to_owned();
        assert_eq!(
            by_name(r#"{"a":"b","Authorization":"geh\"é","x-api-key":["c","d"],"e":"f""#),
            r#"{"a":"b","Authorization":"*******","x-api-key":["*","*"],"e":"f""#
        );
        assert_eq!(by_name("{\"token\": \"s3cret\n, \"a\": 1}"), "{\"token\": \"******\n, \"a\": 1}");
        let reference = r#"{"authorization":{"$secret":"env:API_TOKEN"},,}"#;
        assert_eq!(by_name(reference), reference);
        for odd in ["", "\"", "\"\\", ":\"é", "\"token\":\"\\", "[[[\"token\":[\"é\\"] {
            assert_eq!(by_name(odd).len(), odd.len(), "{odd}");
        }
    }

    #[test]
    fn redacted_strings_are_blanked_wherever_they_stand() {
        let text = r#"[{"requestInit":{"body":{"__redactedString":true,"strings":["a"],"interpolations":["s3cret"]}}}]"#;
        assert!(!masked(text).contains("s3cret"));
    }
}
