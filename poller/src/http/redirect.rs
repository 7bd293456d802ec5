//! The target of a redirect, and the request that goes there: decisions without I/O.
//!
//! The rules are stricter than those of a browser, because polls carry secrets: all headers of the user are dropped once the
//! origin (scheme, host, port) changes. A key may be in a header of any name, which the list of sensitive headers of an HTTP
//! client cannot know. The guard decides which addresses a hop may go to.
//!
//! A redirect is a 301, 302, 303, 307 or 308 with a `location`. Any other 3xx is a response like any other, and the filters
//! judge it.

use std::borrow::Cow;

use http::header::{CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, Method, StatusCode};
use url::Url;

use super::failure::authority;
use super::unix;
use crate::fetch::{FetchError, FetchErrorKind, Journey, Request};
use crate::redact::Secrets;

/// The most redirects that one request follows.
pub(super) const MAX_REDIRECTS: usize = 10;

/// The URL that a response redirects to; `None` if it is not a redirect.
pub(super) fn target(url: &Url, status: StatusCode, headers: &HeaderMap) -> Result<Option<Url>, FetchError> {
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = headers.get(LOCATION).filter(|location| !location.is_empty()) else {
        return Ok(None);
    };
    let join = |location| match unix::split(url) {
        Some(_) => unix::join(url, location),
        None => url.join(location).ok(),
    };
    let from = authority(url);
    match std::str::from_utf8(location.as_bytes()).ok().and_then(join) {
        Some(target) if matches!(target.scheme(), "http" | "https") || unix::is_same_socket(url, &target) => {
            Ok(Some(target))
        }
        Some(target) => Err(FetchErrorKind::Redirect.error(format!(
            "{from} redirects ({status}) to a URL with scheme {}; only http and https are followed",
            target.scheme()
        ))),
        None => Err(FetchErrorKind::Redirect.error(format!(
            "{from} redirects ({status}) to something that is not a URL; its location header is broken"
        ))),
    }
}

/// Whether a redirect leads to another origin, where nothing of the user's may go.
pub(super) fn crosses_origin(from: &Url, target: &Url) -> bool {
    from.origin() != target.origin() && !unix::is_same_socket(from, target)
}

/// The request to the target of a redirect; `journey` learns what it loses.
pub(super) fn follow(
    mut request: Request,
    status: StatusCode,
    target: Url,
    journey: &mut Journey,
) -> Result<Request, FetchError> {
    let crosses_origin = crosses_origin(&request.url, &target);
    let (from, to, status) = (authority(&request.url), authority(&target), status.as_u16());
    if crosses_origin && names_a_secret(&request, &target) {
        return Err(FetchErrorKind::Redirect.error(format!(
            "{from} redirects ({status}) to a host whose name contains a secret of the request"
        )));
    }
    if request.url.scheme() == "https" && target.scheme() == "http" {
        return Err(FetchErrorKind::Redirect.error(format!(
            "{from} redirects from https to http at {to}; poll the URL it should lead to instead"
        )));
    }
    if matches!(status, 307 | 308) {
        if crosses_origin && request.body.is_some() {
            return Err(FetchErrorKind::Redirect.error(format!(
                "{from} redirects ({status}) a request with a body to another origin, {to}; send it there directly if it \
                 is trusted"
            )));
        }
    } else {
        if !matches!(request.method, Method::HEAD | Method::GET) {
            request.method = Method::GET;
            journey.became_get = true;
        }
        request.body = None;
        for header in [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION] {
            request.headers.remove(header);
        }
    }
    if crosses_origin {
        journey.dropped_headers |= !request.headers.is_empty();
        request.headers.clear();
    }
    journey.redirects += 1;
    journey.landed = Some(landing(&target).into());
    request.url = target;
    Ok(request)
}

/// Where a redirect leads, without the query, which may contain a token.
fn landing(target: &Url) -> String {
    match unix::split(target) {
        Some((socket, request)) => format!("unix:{socket}:{request}"),
        None => format!("{}{}", target.origin().ascii_serialization(), target.path()),
    }
}

/// Whether the host of a target contains a secret header of the request. To look it up would tell the secret to name servers and
/// logs.
fn names_a_secret(request: &Request, target: &Url) -> bool {
    let mut secrets = Secrets::default();
    let sensitive = request.headers.values().filter(|value| value.is_sensitive());
    sensitive.filter_map(|value| value.to_str().ok()).for_each(|value| secrets.add(value));
    target.host_str().is_some_and(|host| matches!(secrets.hide(host), Cow::Owned(_)))
}

pub(super) fn too_many(last: &Url) -> FetchError {
    FetchErrorKind::Redirect.error(format!(
        "more than {MAX_REDIRECTS} redirects, the last one to {}; it may be a loop",
        authority(last)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http::HeaderValue;

    const FROM: &str = "https://a.test/x/y?q=1";

    fn location(status: u16, value: &'static [u8]) -> Result<Option<String>, String> {
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, HeaderValue::from_bytes(value).unwrap());
        let status = StatusCode::from_u16(status).unwrap();
        target(&Url::parse(FROM).unwrap(), status, &headers)
            .map(|url| url.map(String::from))
            .map_err(|error| error.to_string())
    }

    fn post() -> Request {
        let mut request = Request::new(Method::POST, Url::parse(FROM).unwrap(), 1);
        request.body = Some(Bytes::from_static(b"{}"));
        request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request.headers.insert("x-key", HeaderValue::from_static("s3cret"));
        request
    }

    fn go(request: Request, status: u16, to: &str) -> Result<Request, String> {
        let (status, target) = (StatusCode::from_u16(status).unwrap(), to.parse().unwrap());
        follow(request, status, target, &mut Journey::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_host_that_names_a_secret_is_not_looked_up() {
        let mut request = Request::new(Method::GET, Url::parse(FROM).unwrap(), 1);
        let mut token = HeaderValue::from_static("Bearer tell-Nobody-42");
        token.set_sensitive(true);
        request.headers.insert("authorization", token);
        request.headers.insert("x-plain", HeaderValue::from_static("plain-value"));
        for host in ["tell-nobody-42.x", "a.tell-nobody-42", "dgvsbc1ob2jvzhktndi.x"] {
            let error = go(request.clone(), 302, &format!("https://{host}/")).unwrap_err();
            assert_eq!(error, "a.test redirects (302) to a host whose name contains a secret of the request");
        }
        for target in
            ["https://plain-value.x/", "https://b.test/tell-Nobody-42", "https://a.test/tell-Nobody-42"]
        {
            assert!(go(request.clone(), 302, target).is_ok(), "{target}");
        }
    }

    #[test]
    fn only_five_statuses_with_a_location_redirect() {
        assert_eq!(location(302, b"../z").unwrap().as_deref(), Some("https://a.test/z"));
        assert_eq!(location(308, b"//b.test").unwrap().as_deref(), Some("https://b.test/"));
        assert_eq!(location(301, "/\u{e9}".as_bytes()).unwrap().as_deref(), Some("https://a.test/%C3%A9"));
        for status in [200, 201, 300, 304, 305, 306] {
            assert_eq!(location(status, b"/z"), Ok(None), "{status}");
        }
        assert_eq!(location(302, b""), Ok(None));
        let none = target(&Url::parse(FROM).unwrap(), StatusCode::FOUND, &HeaderMap::new());
        assert_eq!(none, Ok(None));
    }

    #[test]
    fn broken_locations_fail_without_being_shown() {
        for value in [&b"https://[oops/?secret"[..], b"\xff\xfe secret", b"http://a.test:secret/"] {
            let error = location(302, value).unwrap_err();
            assert!(error.contains("not a URL") && !error.contains("secret"), "{error}");
        }
        assert!(location(302, b"file:///etc/passwd").unwrap_err().contains("scheme file"));
    }

    #[test]
    fn the_older_redirects_become_get_and_lose_the_body() {
        for status in [301, 302, 303] {
            let next = go(post(), status, "https://a.test/z").unwrap();
            assert_eq!(next.method, Method::GET);
            assert_eq!(next.body, None);
            assert!(!next.headers.contains_key(CONTENT_TYPE));
            assert_eq!(next.headers["x-key"], "s3cret");
        }
        let mut head = post();
        head.method = Method::HEAD;
        assert_eq!(go(head, 303, "https://a.test/z").unwrap().method, Method::HEAD);
    }

    #[test]
    fn the_newer_ones_keep_method_and_body_inside_the_origin_only() {
        let next = go(post(), 307, "https://a.test/z").unwrap();
        assert_eq!((next.method, next.body.unwrap().len()), (Method::POST, 2));
        for elsewhere in ["https://b.test/", "https://a.test:444/", "https://sub.a.test/"] {
            assert!(go(post(), 308, elsewhere).unwrap_err().contains("another origin"), "{elsewhere}");
        }
        let mut bare = post();
        bare.body = None;
        let next = go(bare, 307, "https://b.test/").unwrap();
        assert_eq!((next.method, next.headers.len()), (Method::POST, 0));
    }

    #[test]
    fn another_origin_gets_no_header_of_the_user() {
        for elsewhere in ["https://b.test/", "https://a.test:444/", "https://a.test./"] {
            assert!(go(post(), 302, elsewhere).unwrap().headers.is_empty(), "{elsewhere}");
        }
        assert_eq!(go(post(), 302, "https://a.test:443/").unwrap().headers.len(), 1);
    }

    #[test]
    fn https_is_never_left() {
        let error = go(post(), 302, "http://a.test/?token=1").unwrap_err();
        assert_eq!(
            error,
            "a.test redirects from https to http at a.test; poll the URL it should lead to instead"
        );
    }
}
