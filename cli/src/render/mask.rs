//! Hides secrets in the source lines that diagnostics quote.
//!
//! A diagnostic shows the line a mistake is on, and a spec is often one line: an error in its interval would print
//! the token in its headers, into a build log perhaps. So before anything is quoted, the values of `headers` in
//! `requestInit` and the `interpolations` of redacted strings are blanked. Every byte of them becomes one `*`, which
//! keeps all offsets as they were; member names stay, and so do references such as `env:API_TOKEN`, which name a
//! secret without telling it.

use filter::Span;
use filter::json::{Kind, Node};

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
    let mut bytes = text.as_str().as_bytes().to_vec();
    for span in spans {
        // The quotes stay; what is between them goes.
        let inner = span.start.saturating_add(1)..span.end.saturating_sub(1);
        if let Some(secret) = bytes.get_mut(inner) {
            secret.fill(b'*');
        }
    }
    match String::from_utf8(bytes) {
        Ok(masked) => text.with_text(masked),
        // Spans that cut a character in two are not those of this text; better to quote nothing than the secret.
        Err(_) => text.with_text(String::new()),
    }
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
    fn redacted_strings_are_blanked_wherever_they_stand() {
        let text = r#"[{"requestInit":{"body":{"__redactedString":true,"strings":["a"],"interpolations":["s3cret"]}}}]"#;
        assert!(!masked(text).contains("s3cret"));
    }
}
