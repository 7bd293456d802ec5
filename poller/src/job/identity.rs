//! `url` and `cacheKey`, the two members that differ between polls of one kind. They are therefore kept apart from the
//! [table](super::members): equality ignores the key, and a million polls share everything but their URLs.

use std::sync::Arc;

use filter::decode::Place;
use filter::json::{Kind, Node};
use serde_json::{Value, json};
use url::Url;

use super::lookalike;
use super::read::{Reader, SpecError, SpecOptions};
use crate::limits::Limits;

pub(super) const NAMES: [&str; 2] = ["url", "cacheKey"];

/// The longest URL in bytes: longer than servers accept, and short enough for a million of them.
pub(super) const LONGEST_URL: usize = 8 << 10;

/// A URL by itself, in its normal form.
pub(super) fn url(text: &str) -> Result<Arc<str>, SpecError> {
    let options = SpecOptions::new();
    let mut reader = Reader::new(&options);
    let node = Node { span: None, kind: Kind::String(text.to_owned()) };
    reader.url(Place { node: &node, pointer: "/url" }).ok_or_else(|| reader.problems.errors.into())
}

/// Reads many URLs, of which most share an origin.
#[derive(Debug, Default)]
pub(super) struct UrlReader {
    /// The origin of the last URL that was parsed.
    origin: Box<str>,
}

impl UrlReader {
    /// The normal form of a URL, which `parse` makes unless the text is in that form already.
    pub(super) fn read<E>(
        &mut self,
        text: &str,
        parse: impl FnOnce() -> Result<Arc<str>, E>,
    ) -> Result<Arc<str>, E> {
        if is_as_parsed(text, &self.origin) {
            return Ok(text.into());
        }
        let url = parse()?;
        let origin = origin(&url);
        if *self.origin != *origin {
            self.origin = origin.into();
        }
        Ok(url)
    }
}

/// Scheme, host and port of a URL in its normal form; of a unix socket, its path.
pub(super) fn origin(url: &str) -> &str {
    if url.starts_with("unix:") {
        let end = url.bytes().skip(5).position(|byte| byte == b':');
        return &url[..end.map_or(url.len(), |length| 5 + length)];
    }
    // The first colon is that of "://".
    let host = url.find(':').map_or(0, |scheme| scheme + 3);
    let ends = |byte: u8| matches!(byte, b'/' | b'?' | b'#');
    let end = url.bytes().skip(host).position(ends).map_or(url.len(), |length| host + length);
    &url[..end]
}

/// Whether parsing this URL would give the same text. After a parsed origin, the parser leaves letters, digits and a few
/// signs unchanged, except dot segments. This check takes a tenth of the time of parsing a million URLs.
fn is_as_parsed(url: &str, origin: &str) -> bool {
    let is_unchanged = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'-' | b'_' | b'~' | b'?' | b'=' | b'&')
    };
    !origin.is_empty()
        && url.len() <= LONGEST_URL
        && url.strip_prefix(origin).is_some_and(|rest| {
            rest.starts_with('/') && rest.bytes().all(is_unchanged) && !rest.contains("/.")
        })
}

impl Reader<'_> {
    /// Reads a URL into its normal form.
    pub(super) fn url(&mut self, place: Place<'_>) -> Option<Arc<str>> {
        let Some(text) = place.text() else {
            return self.expected(place, "an http or https URL");
        };
        if text.len() > LONGEST_URL {
            let found = text.len();
            let message = format!("found a URL of {found} bytes, expected at most {LONGEST_URL}");
            return self.refuse(place, message);
        }
        let mut url = match Url::parse(text) {
            Ok(url) => url,
            Err(error) => {
                let help = "write it in full, such as https://api.example.com/v1/jobs/42";
                let message = format!("expected an http or https URL: {error}");
                return self.refuse_with_help(place, message, help);
            }
        };
        if url.scheme() == "unix" {
            return self.socket_url(place, url);
        }
        if !matches!(url.scheme(), "http" | "https") {
            let found = url.scheme();
            let message = format!("found a URL of scheme {found:?}, expected http or https");
            return self.refuse(place, message);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return self.refuse_with_help(
                place,
                "found credentials in the URL, expected none",
                "put them into requestInit.headers.authorization, as {\"$secret\":\"env:NAME\",\"prefix\":\"Basic \"}",
            );
        }
        self.warn_of_lookalike(place, lookalike::in_url(text));
        // A fragment is never sent, so it makes no difference between specs.
        url.set_fragment(None);
        Some(String::from(url).into())
    }

    /// The URL of a unix socket: `unix:/PATH/TO.SOCK:/PATH`.
    fn socket_url(&mut self, place: Place<'_>, mut url: Url) -> Option<Arc<str>> {
        let parts = url.path().split_once(':');
        let is_local = url.host_str().is_none_or(str::is_empty);
        if !is_local
            || !parts.is_some_and(|(socket, request)| {
                socket.len() > 1 && socket.starts_with('/') && request.starts_with('/')
            })
        {
            let message = "expected the URL of a socket as unix:/PATH/TO.SOCK:/PATH";
            return self.refuse_with_help(place, message, "such as unix:/run/app.sock:/v1/jobs/42");
        }
        url.set_fragment(None);
        // With and without an empty host it is the same socket.
        let text = String::from(url);
        Some(text.replacen("unix:///", "unix:/", 1).into())
    }

    pub(super) fn cache_key(&mut self, place: Place<'_>) -> Option<String> {
        let longest = self.limits().key_len;
        match place.text() {
            Some(text) if text.len() > longest => {
                let found = text.len();
                self.refuse(place, format!("found a key of {found} bytes, expected at most {longest}"))
            }
            Some(text) if is_key(text, longest) => Some(text.to_owned()),
            _ => self.expected(place, "a string that is not empty and has no control characters"),
        }
    }
}

/// Whether a text may be the key of a poll.
pub(super) fn is_key(text: &str, longest: usize) -> bool {
    !text.is_empty() && text.len() <= longest && !text.contains(char::is_control)
}

/// The schemas of both, with their descriptions.
pub(super) fn schemas(limits: &Limits) -> [(&'static str, Value); 2] {
    let url = "^([hH][tT][tT][pP][sS]?://[^/?#@\\\\]+([/?#].*)?|[uU][nN][iI][xX]:(//)?/[^:?#]+:/.*)$";
    let key = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$";
    [
        ("url", json!({"description": "what to ask", "type": "string", "pattern": url})),
        (
            "cacheKey",
            json!({
                "description": "names the poll; the same key and spec again is the same poll",
                "type": "string", "minLength": 1, "maxLength": limits.key_len, "pattern": key,
            }),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_urls_are_not_parsed_again() {
        let origin = "https://a.test";
        for passed in ["/", "/v1/exports/42", "/v1.2/a-b_c~d?page=2&all=", "//a/b."] {
            assert!(is_as_parsed(&format!("{origin}{passed}"), origin), "{passed}");
        }
        let long = "/".repeat(LONGEST_URL);
        for parsed in [
            "",
            "?a",
            ".evil.test/",
            "@evil.test/",
            ":80/",
            "/a/../b",
            "/.",
            "/a#b",
            "/%41",
            "/a b",
            "/\\",
            &long,
        ] {
            assert!(!is_as_parsed(&format!("{origin}{parsed}"), origin), "{parsed}");
        }
        assert!(!is_as_parsed("nonsense", "") && !is_as_parsed("/a", ""));
    }
}
