//! Redaction: the names that mark a value as secret, and the forms in which a secret may be shown.
//!
//! ```text
//! a serialized spec     {"__redactedString":true}           secret.rs
//! an echo by a server   [secret]                            echoes, forms, views
//! a quoted document     as many * as the secret has bytes   document
//! quoted broken JSON    * from the first sign of a secret   broken_document
//! ```
//!
//! A diagnostic quotes the line of the error, and a document is often one line: an error in its interval would print the
//! token in its headers, perhaps into a build log. Redacted documents keep their length and lines, so spans stay valid.

mod echoes;
mod forms;
mod views;

use filter::Diagnostic;
use filter::json::{Kind, Node};
use url::Url;

pub use self::echoes::Secrets;

/// Parts of the names of members and headers with secret values, in lower case and without `-` and `_`.
const SENSITIVE_PARTS: [&str; 22] = [
    "accesskey",
    "accountkey",
    "apikey",
    "authentication",
    "authorization",
    "cookie",
    "credential",
    "encryptionkey",
    "functionskey",
    "licensekey",
    "masterkey",
    "passcode",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "secret",
    "session",
    "sharedkey",
    "signature",
    "subscriptionkey",
    "token",
];

/// Whole words of such names, too short to be sought within words: `auth` is in `author`.
const SENSITIVE_WORDS: [&str; 26] = [
    "auth", "bearer", "cred", "creds", "csrf", "cvc", "cvv", "dpop", "hmac", "hotp", "jwe", "jws", "jwt",
    "macaroon", "mfa", "oauth", "otp", "pass", "pin", "psk", "pwd", "saml", "sas", "sig", "totp", "xsrf",
];

/// What makes a name that ends in `key` no secret, and the beginnings of words that end so by chance.
const HARMLESS_KEYS: [&str; 23] = [
    "cache",
    "dedup",
    "deduplication",
    "don",
    "foreign",
    "group",
    "hoc",
    "hot",
    "idempotency",
    "joc",
    "lac",
    "mic",
    "mon",
    "object",
    "partition",
    "primary",
    "public",
    "routing",
    "row",
    "sort",
    "surrogate",
    "tur",
    "whis",
];

/// Whether the value of a member or header of this name is treated as a secret. Case, `-` and `_` do not count.
///
/// Sensitive are names with `token`, `secret`, `password` and the like in them, with a word such as `auth`, `jwt` or `otp`, and
/// those that end in `key`, be it a word or a part of one, except `key` itself and `idempotency-key`, `cacheKey` and their kin. `$secret` is not: its value
/// names a secret and does not contain it.
///
/// ```
/// use poller::redact::is_sensitive_name;
///
/// for name in ["X-Api-Key", "client_secret", "x-session", "Ocp-Apim-Subscription-Key", "x-auth", "userJwt", "otp"] {
///     assert!(is_sensitive_name(name), "{name}");
/// }
/// for name in ["content-type", "$secret", "author", "key", "Idempotency-Key", "keyboard", "compass"] {
///     assert!(!is_sensitive_name(name), "{name}");
/// }
/// ```
#[must_use]
pub fn is_sensitive_name(name: &str) -> bool {
    let plain = |letter: &char| !matches!(letter, '-' | '_');
    let squeezed: String = name.chars().filter(plain).map(|letter| letter.to_ascii_lowercase()).collect();
    if squeezed == "$secret" {
        return false;
    }
    if SENSITIVE_PARTS.iter().any(|part| squeezed.contains(part)) {
        return true;
    }
    let words = words(name);
    // `authkey` is `auth-key`.
    let of = match &words[..] {
        [.., of, last] if last == "key" => Some(of.as_str()),
        [.., last] => last.strip_suffix("key").filter(|of| !of.is_empty()),
        [] => None,
    };
    of.is_some_and(|of| !HARMLESS_KEYS.contains(&of))
        || words.iter().any(|word| SENSITIVE_WORDS.contains(&word.as_str()))
}

/// The words of a name in lower case, without digits at their ends: `xFunctions-Key2` has `x`, `functions` and `key`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_lower = false;
    for letter in name.chars() {
        let begins = letter.is_uppercase() && after_lower;
        if begins || !letter.is_alphanumeric() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| letter.is_alphanumeric()) {
            word.extend(letter.to_lowercase());
        }
        after_lower = letter.is_lowercase() || letter.is_ascii_digit();
    }
    for word in &mut words {
        word.truncate(word.trim_end_matches(|last: char| last.is_ascii_digit()).len());
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The text of a document with its secrets replaced by `*`, byte for byte. `nodes` are the values in the text.
///
/// Secret are the strings under a [sensitive name](is_sensitive_name), every header, parameter and certificate of a `requestInit`, the
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
        let Some(request) = node.get("requestInit") else { continue };
        for texts in ["headers", "query", "tls"].into_iter().filter_map(|name| request.get(name)) {
            redact("", texts, true, &mut bytes);
            if let Kind::Object(members) = &texts.kind {
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
/// secret is therefore replaced by `*`, except line breaks; a sign is a sensitive name, `headers`, `query`, `tls`, `interpolations`,
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
    let names = SENSITIVE_PARTS.iter().chain(&["headers", "query", "\"tls\"", "interpolations"]);
    let named = names.filter_map(|name| {
        let start = memchr::memmem::find(&squeezed, name.as_bytes())?;
        plain.get(start + name.len() - 1).map(|(last, _)| last + 1)
    });
    let named = named.chain(sensitive_name(text));
    let credentials = text.match_indices("://").map(|(at, scheme)| at + scheme.len()).find(|&start| {
        let authority = text[start..].split(['/', '?', '#', '"', '\'']).next().unwrap_or_default();
        authority.contains('@')
    });
    named.chain(credentials).chain(text.find("\\u")).min()
}

/// The end of the first sensitive name in broken JSON. The words of a URL or of a path are no names.
fn sensitive_name(text: &str) -> Option<usize> {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_of_url = |byte: Option<&u8>| matches!(byte, Some(b'/' | b'.' | b'@'));
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(start) = bytes[at..].iter().position(|byte| is_of_name(*byte)).map(|start| at + start) {
        let length = bytes[start..].iter().position(|byte| !is_of_name(*byte));
        let end = length.map_or(bytes.len(), |length| start + length);
        let before = start.checked_sub(1).and_then(|before| bytes.get(before));
        if !is_of_url(before) && !is_of_url(bytes.get(end)) && is_sensitive_name(&text[start..end]) {
            return Some(end);
        }
        at = end;
    }
    None
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
        let text = r#"{"requestInit":{"tls":{"key":"MIIEvQ","cacert":{"$secret":"file:/ca.pem"}}}}"#;
        assert_eq!(redacted(text), text.replace("MIIEvQ", "******"));
        let text = r#"{"requestInit":{"tls":{"key":"MIIEvQ}}"#;
        let error = filter::json::parse(text, &filter::Limits::default()).unwrap_err();
        assert!(!broken_document(text, error.diagnostic()).0.contains("MIIE"));
    }

    #[test]
    fn strings_under_sensitive_names_are_redacted() {
        let text = r#"[{"headers":{"X-Session":["abc"],"a":"b"}},{"token":"hunter2","cookie":{"a":"b","$secret":"env:C"}}]"#;
        assert_eq!(redacted(text), text.replace("abc", "***").replace("hunter2", "*******"));
        let text = r#"[{"requestInit":{"body":{"__redactedString":true,"strings":["a"],"interpolations":["s3cret"]}}}]"#;
        assert!(!redacted(text).contains("s3cret"));
    }

    #[test]
    fn names_are_judged_by_their_words() {
        for name in [
            "x-functions-key",
            "Ocp-Apim-Subscription-Key",
            "subscriptionKey",
            "x_key",
            "X-Signing-KEY",
            "aes-key1",
            "auth",
            "X-Auth",
            "basicAuth",
            "OAuth2",
            "jwt",
            "X-JWT-Assertion",
            "db_pass",
            "userPass",
            "pwd",
            "otp",
            "x-otp-code",
            "hmac-sha256",
            "X-Hub-Signature-256",
            "sas",
            "sig",
            "x-csrf",
            "passphrase",
            "proxy-authentication",
            "authkey",
            "X-AUTHKEY",
            "passkey",
            "appKey",
            "x-pin",
            "totp",
            "PHPSESSION",
            "dpop",
        ] {
            assert!(is_sensitive_name(name), "{name}");
        }
        for name in [
            "key",
            "Key1",
            "keys",
            "monkey",
            "hotkey",
            "idempotencykey",
            "x-primarykey",
            "spin",
            "CallSid",
            "author",
            "authority",
            "passenger",
            "bypass",
            "hotpot",
            "signal",
            "design",
            "idempotency-key",
            "x-idempotency-key",
            "cacheKey",
            "partition_key",
            "publicKey",
            "",
            "-",
            "user-agent",
            "accept",
        ] {
            assert!(!is_sensitive_name(name), "{name}");
        }
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
            r#"{"x-functions-key": "hunter2",,}"#,
            r#"{"auth": "hunter2" "a": 1}"#,
            r#"{jwt: hunter2}"#,
            r#"{"db_pass" "hunter2"}"#,
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
        for text in [
            r#"{"url":"http://h/a@b",,}"#,
            r#"{"url":"http://h/auth/x","u":"https://auth.h/",,}"#,
            "",
            "\"",
            "\"é\\",
            "{\"a\": b}",
        ] {
            let error = filter::json::parse(text, &filter::Limits::default()).unwrap_err();
            let (shown, diagnostic) = broken_document(text, error.diagnostic());
            assert_eq!((shown.as_str(), &diagnostic), (text, error.diagnostic()));
        }
        let text = "{\"a\": 1,, \"token\": \"é\"}";
        let error = filter::json::parse(text, &filter::Limits::default()).unwrap_err();
        assert_eq!(broken_document(text, error.diagnostic()).0, "{\"a\": 1,, \"token********");
    }
}
