//! Redaction: the names that mark a value as secret, and the forms in which a secret may be shown.
//!
//! ```text
//! a serialized spec     {"__redactedString":true}           secret.rs
//! an echo by a server   [secret]                            echoes.rs
//! a quoted document     as many * as the secret has bytes   document
//! quoted broken JSON    * from the first sign of a secret   broken_document
//! ```
//!
//! A diagnostic quotes the line of the error, and a document is often one line: an error in its interval would print the
//! token in its headers, perhaps into a build log. Redacted documents keep their length and lines, so spans stay valid.

mod echoes;

use filter::Diagnostic;
use filter::json::{Kind, Node};
use url::Url;

pub(crate) use self::echoes::Secrets;

/// Parts of the names of members and headers with secret values, in lower case and without `-` and `_`.
const SENSITIVE: [&str; 10] = [
    "authorization",
    "cookie",
    "apikey",
    "token",
    "secret",
    "password",
    "passwd",
    "credential",
    "signature",
    "session",
];

/// Whether the value of a member or header of this name is treated as a secret. Case, `-` and `_` do not count.
///
/// `$secret` is not sensitive: its value names a secret and does not contain it.
///
/// ```
/// use poller::redact::is_sensitive_name;
///
/// assert!(is_sensitive_name("X-Api-Key") && is_sensitive_name("client_secret") && is_sensitive_name("x-session"));
/// assert!(!is_sensitive_name("content-type") && !is_sensitive_name("$secret"));
/// ```
#[must_use]
pub fn is_sensitive_name(name: &str) -> bool {
    let plain = |letter: &char| !matches!(letter, '-' | '_');
    let name: String = name.chars().filter(plain).map(|letter| letter.to_ascii_lowercase()).collect();
    name != "$secret" && SENSITIVE.iter().any(|part| name.contains(part))
}

/// The text of a document with its secrets replaced by `*`, byte for byte. `nodes` are the values in the text.
///
/// Secret are the strings under a [sensitive name](is_sensitive_name), every header of a `requestInit`, the
/// `interpolations` of Trigger.dev's redacted strings, and credentials in a URL. Linear in the length of the text.
///
/// ```
/// let text = r#"{"interval": 1, "requestInit": {"headers": {"x-a": "hunter2"}}}"#;
/// let nodes = filter::json::parse_sequence(text, &filter::Limits::default())?;
/// assert_eq!(poller::redact::document(text, &nodes), text.replace("hunter2", "*******"));
/// # Ok::<(), filter::JsonError>(())
/// ```
#[must_use]
pub fn document(text: &str, nodes: &[Node]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for node in nodes {
        redact("", node, false, &mut bytes);
        if let Some(headers) = node.get("requestInit").and_then(|request| request.get("headers")) {
            redact("", headers, true, &mut bytes);
            if let Kind::Object(members) = &headers.kind {
                members.iter().for_each(|member| redact("", &member.value, true, &mut bytes));
            }
        }
    }
    // The spans of another text may cut a character in two; then nothing is quoted.
    String::from_utf8(bytes).unwrap_or_default()
}

/// Overwrites the secrets in the value of the member `name`; `secret` says that its strings are secret. Inside an object the
/// names decide: `{"$secret": "env:API_TOKEN"}` contains no secret.
fn redact(name: &str, node: &Node, secret: bool, bytes: &mut [u8]) {
    match &node.kind {
        Kind::String(text) => {
            let Some(content) = node.span.and_then(|span| bytes.get_mut(span.start + 1..span.end.max(1) - 1))
            else {
                return;
            };
            if secret {
                content.fill(b'*');
            } else if has_credentials(name, text) {
                // From the scheme to the host; to the end, where an escape sequence stands for the `@`.
                let end = content.iter().rposition(|byte| *byte == b'@').unwrap_or(content.len());
                let start = content[..end].iter().position(|byte| *byte == b':').map_or(0, |colon| colon + 1);
                content[start..end].fill(b'*');
            }
        }
        Kind::Array(elements) => elements.iter().for_each(|element| redact(name, element, secret, bytes)),
        Kind::Object(members) => {
            let is_redacted_string = node.get("__redactedString").is_some();
            for member in members {
                let interpolations = is_redacted_string && member.key == "interpolations";
                redact(&member.key, &member.value, interpolations || is_sensitive_name(&member.key), bytes);
            }
        }
        _ => {}
    }
}

/// Whether a text is a URL with a user or a password, or may be one where a URL is expected.
fn has_credentials(name: &str, text: &str) -> bool {
    match Url::parse(text) {
        Ok(url) => !url.username().is_empty() || url.password().is_some(),
        Err(_) => name == "url" && text.contains('@'),
    }
}

/// The text of broken JSON and its diagnostic, without secrets.
///
/// Where a string ends cannot be known in broken JSON: its quote may be the mistake. Everything after the first sign of a
/// secret is therefore replaced by `*`, except line breaks; a sign is a sensitive name, `headers`, `interpolations`,
/// credentials in a URL, or an escape sequence, which may spell such a name. Behind it, the diagnostic does not name the text
/// that it found. Linear in the length of the text.
///
/// ```
/// let text = r#"{"interval": 10, "token": hunter2}"#;
/// let error = filter::json::parse(text, &filter::Limits::default()).unwrap_err();
/// let (shown, diagnostic) = poller::redact::broken_document(text, error.diagnostic());
/// assert_eq!(shown, r#"{"interval": 10, "token***********"#);
/// assert!(!diagnostic.to_string().contains("hunter2"));
/// ```
#[must_use]
pub fn broken_document(text: &str, diagnostic: &Diagnostic) -> (String, Diagnostic) {
    let Some(end) = first_sign(text) else { return (text.to_owned(), diagnostic.clone()) };
    let mut bytes = text.as_bytes().to_vec();
    bytes[end..].iter_mut().filter(|byte| !matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b'*');
    let shown = String::from_utf8(bytes).unwrap_or_default();
    let found =
        diagnostic.span().filter(|span| span.end > end).and_then(|span| text.get(span.start..span.end));
    let (message, mut help) = (diagnostic.message(), diagnostic.help());
    let mut message = message.to_owned();
    if let Some(found) = found.filter(|found| found.chars().count() > 1) {
        message = message.replace(found, "***");
        help = help.filter(|help| !help.contains(found));
    }
    let mut redacted = Diagnostic::error(message)
        .with_code(diagnostic.code())
        .with_pointer(diagnostic.pointer())
        .with_span(diagnostic.span());
    if let Some(help) = help {
        redacted = redacted.with_help(help);
    }
    (shown, redacted)
}

/// The end of the first sign of a secret in broken JSON.
fn first_sign(text: &str) -> Option<usize> {
    // ASCII only, so that both have the same offsets. The parts of names may be apart by `-` or `_`.
    let lower = text.to_ascii_lowercase();
    let plain: Vec<(usize, u8)> =
        lower.bytes().enumerate().filter(|(_, byte)| !matches!(byte, b'-' | b'_')).collect();
    let squeezed: Vec<u8> = plain.iter().map(|(_, byte)| *byte).collect();
    let names = SENSITIVE.iter().chain(&["headers", "interpolations"]);
    let named = names.filter_map(|name| {
        let start = memchr::memmem::find(&squeezed, name.as_bytes())?;
        plain.get(start + name.len() - 1).map(|(last, _)| last + 1)
    });
    let credentials = text.match_indices("://").map(|(at, scheme)| at + scheme.len()).find(|&start| {
        let authority = text[start..].split(['/', '?', '#', '"', '\'']).next().unwrap_or_default();
        authority.contains('@')
    });
    named.chain(credentials).chain(text.find("\\u")).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(text: &str) -> String {
        document(text, &filter::json::parse_sequence(text, &filter::Limits::default()).unwrap())
    }

    #[test]
    fn header_values_are_redacted_and_nothing_else() {
        let text =
            r#"{"url":"http://a","requestInit":{"headers":{"x-key":"gehé\"m","b":{"$secret":"env:B"}}}}"#;
        assert_eq!(redacted(text), text.replace("gehé\\\"m", "********"));
        assert_eq!(redacted(text).len(), text.len());
    }

    #[test]
    fn strings_under_sensitive_names_are_redacted() {
        let text = r#"[{"headers":{"X-Session":["abc"],"a":"b"}},{"token":"hunter2","cookie":{"a":"b","$secret":"env:C"}}]"#;
        assert_eq!(redacted(text), text.replace("abc", "***").replace("hunter2", "*******"));
        let text = r#"[{"requestInit":{"body":{"__redactedString":true,"strings":["a"],"interpolations":["s3cret"]}}}]"#;
        assert!(!redacted(text).contains("s3cret"));
    }

    #[test]
    fn credentials_in_a_url_are_redacted() {
        for (url, shown) in [
            ("http://ann:s3cret@h/@a", "http:***************@a"),
            ("http://ann:s3cret@h/a", "http:************@h/a"),
            ("http:ann:s3cret@h/a", "http:**********@h/a"),
            ("http:\\/\\/s3cret\\u0040h", "http:*****************"),
            ("http//ann:s3cret@h", "http//ann:******@h"),
            ("http://h/a@b?c=d@e", "http://h/a@b?c=d@e"),
        ] {
            assert_eq!(redacted(&format!("{{\"url\":\"{url}\"}}")), format!("{{\"url\":\"{shown}\"}}"));
        }
        assert_eq!(redacted(r#"{"mail":["ann@h"]}"#), r#"{"mail":["ann@h"]}"#);
    }

    /// Every way in which a file can be broken near a secret.
    #[test]
    fn broken_json_shows_nothing_behind_a_sensitive_name() {
        for text in [
            r#"{"x-session": "hunter2",,}"#,
            r#"{"x-session": 'hunter2'}"#,
            r#"{'X-Session': 'hunter2'}"#,
            r#"{"x-session": hunter2}"#,
            r#"{x-session: hunter2}"#,
            r#"{"x-session" "hunter2"}"#,
            r#"{"x-session": "hunter2" "a": 1}"#,
            r#"{"x-session": "hunter2, "a": 1}"#,
            "{\"x-session\":\n  \"hunter2\",,}",
            "{\"x-session\": // hunter2\n 1}",
            r#"{"x-session": ["a", "hunter2",,]}"#,
            r#"{"x-session": ["a", hunter2]}"#,
            r#"{"headers": {"x-a": "Bearer hunter2",,}}"#,
            r#"{"api_KEY": "hunter2" # comment"#,
            r#"{"tok\u0065n": "hunter2",,}"#,
            r#"{"url": "https://ann:hunter2@h/",,}"#,
            r#"{"url": https://ann:hunter2@h/}"#,
            r#"{"__redactedString": true, "interpolations": ["hunter2",,]}"#,
            r#"{"password": tru hunter2}"#,
            r#"{"password": "\hunter2"}"#,
        ] {
            let error = filter::json::parse(text, &filter::Limits::default()).unwrap_err();
            let (shown, diagnostic) = broken_document(text, error.diagnostic());
            assert!(!shown.contains("hunter2"), "{text}: {shown}");
            assert!(!diagnostic.to_string().contains("hunter2"), "{text}: {diagnostic}");
            assert_eq!((shown.len(), shown.lines().count()), (text.len(), text.lines().count()), "{text}");
            assert_eq!(diagnostic.span(), error.diagnostic().span(), "{text}");
        }
    }

    #[test]
    fn broken_json_without_secrets_is_shown_as_it_is() {
        for text in [r#"{"url":"http://h/a@b",,}"#, "", "\"", "\"é\\", "{\"a\": b}"] {
            let error = filter::json::parse(text, &filter::Limits::default()).unwrap_err();
            let (shown, diagnostic) = broken_document(text, error.diagnostic());
            assert_eq!((shown.as_str(), &diagnostic), (text, error.diagnostic()));
        }
        let text = "{\"a\": 1,, \"token\": \"é\"}";
        let error = filter::json::parse(text, &filter::Limits::default()).unwrap_err();
        assert_eq!(broken_document(text, error.diagnostic()).0, "{\"a\": 1,, \"token********");
    }
}
