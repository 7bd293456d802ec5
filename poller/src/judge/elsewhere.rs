//! HTML pages elsewhere: what a poll without a filter does not take for its result.
//!
//! A session that has ended turns the answer of a job into a redirect to a login page, with status 200. Without a filter only the
//! status decides, and the poll would end as matched with the page as its result. So a poll without a filter takes no HTML page
//! that a redirect led to, unless it is at the same place: redirects to https, to `www.`, or to the path with a `/` lead to what
//! was asked for. A filter of any kind decides by itself, because its author has said what counts.

use url::Url;

use super::body::BodyText;
use crate::job::PollSpec;
use crate::response::RecordedResponse;

/// The note of such a page. It counts as one that must come several times in a row, and never comes often enough: the next response
/// may equal it in all that the filter reads, and yet be the result.
pub(super) const NOTE: &str = "a redirect led to an HTML page elsewhere, which may be a login; it matches only where a filter says \
                               so, such as {\"status\": [\"2xx\"]}";

/// The bytes in which a page says that it is one.
const BEGINNING: usize = 4096;

/// Whether a response to a request for `asked` is an HTML page elsewhere, and the spec has no filter that takes it.
pub(super) fn is_page(
    spec: &PollSpec,
    asked: &str,
    landed: Option<&str>,
    response: &RecordedResponse,
) -> bool {
    let beginning = || &response.body()[..response.body().len().min(BEGINNING)];
    landed.is_some_and(|landed| {
        spec.response_filter().is_default()
            && !is_same_place(asked, landed)
            && BodyText::new(beginning()).is_html(response.headers().get("content-type"))
    })
}

/// Whether two URLs differ in nothing but the scheme, `www.`, the port, the query or a slash at the end.
fn is_same_place(asked: &str, landed: &str) -> bool {
    let place = |text: &str| {
        let url = Url::parse(text).ok()?;
        let host = url.host_str().unwrap_or_default();
        let host = host.strip_prefix("www.").unwrap_or(host).to_owned();
        Some((host, url.path().trim_end_matches('/').to_owned()))
    };
    place(asked).is_some_and(|asked| Some(asked) == place(landed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_stays_the_same_across_https_www_and_a_slash() {
        for (asked, landed, same) in [
            ("http://a.test/docs", "https://a.test/docs/", true),
            ("http://a.test", "https://www.a.test/", true),
            ("https://a.test:8443/x?y=1", "https://a.test/x", true),
            ("https://a.test/", "https://a.test/login", false),
            ("https://a.test/job", "https://sso.a.test/job", false),
            ("unix:/run/a.sock:/job", "unix:/run/a.sock:/login", false),
        ] {
            assert_eq!(is_same_place(asked, landed), same, "{asked} {landed}");
        }
    }

    #[test]
    fn only_pages_elsewhere_and_without_a_filter_are_refused() {
        let taken = |filter: &str, kind: &'static str, body: &'static str, landed: &str| {
            let spec: PollSpec = format!(r#"{{"url":"https://a.test/job"{filter}}}"#).parse().unwrap();
            let response = RecordedResponse::new(200, [("content-type", kind)], body);
            !is_page(&spec, spec.url_text(), Some(landed), &response)
        };
        let login = "https://a.test/login";
        assert!(!taken("", "text/html; charset=utf-8", "<p>Who are you?", login));
        assert!(!taken("", "text/plain", "  <!DOCTYPE HTML><html>", login));
        assert!(!taken("", "application/xhtml+xml", "<?xml version='1.0'?><html/>", login));
        assert!(taken("", "application/json", "{}", login));
        assert!(taken("", "text/html", "<html>", "https://a.test/job/"));
        assert!(taken(r#","responseFilter":{"status":["2xx"]}"#, "text/html", "<html>", login));
        assert!(taken(r#","responseFilter":{}"#, "text/html", "<html>", login));
    }
}
