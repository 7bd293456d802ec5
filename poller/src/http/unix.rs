//! URLs of unix sockets: `unix:/run/app.sock:/v1/jobs/7?wide=1`.
//!
//! A socket is a place of this machine, so only a guard that allows local addresses lets it be asked, and no redirect leads
//! to one. The server sees an ordinary HTTP/1.1 request with `host: localhost`, as curl and Docker send it.
//!
//! The pool tells connections apart by scheme and authority. The path of a socket cannot be an authority, so it is written in
//! hexadecimal there.

use std::fmt::Write as _;
use std::path::PathBuf;

use http::Uri;
use percent_encoding::percent_decode_str;
use url::Url;

/// The scheme of these URLs.
pub(super) const SCHEME: &str = "unix";

/// The two parts of the URL of a socket, percent-encoded: the socket's path, and the path of the request.
pub(super) fn split(url: &Url) -> Option<(&str, &str)> {
    let path = (url.scheme() == SCHEME && url.host_str().is_none_or(str::is_empty)).then(|| url.path())?;
    let (socket, request) = path.split_once(':')?;
    (socket.starts_with('/') && socket.len() > 1 && request.starts_with('/')).then_some((socket, request))
}

/// Whether both URLs are of the same socket.
pub(super) fn is_same_socket(a: &Url, b: &Url) -> bool {
    split(a).zip(split(b)).is_some_and(|((a, _), (b, _))| a == b)
}

/// The URI of a request to a socket, as the pool wants it.
pub(super) fn uri(url: &Url) -> Option<Uri> {
    let (socket, request) = split(url)?;
    let mut text = format!("{SCHEME}://");
    for byte in percent_decode_str(socket) {
        // Writing to a string cannot fail.
        let _always = write!(text, "{byte:02x}");
    }
    text.push_str(request);
    if let Some(query) = url.query() {
        text.push('?');
        text.push_str(query);
    }
    Uri::try_from(text).ok()
}

/// Whether a URI was made by [`uri`].
pub(super) fn is_uri(uri: &Uri) -> bool {
    uri.scheme_str() == Some(SCHEME)
}

/// The path of the socket in a URI made by [`uri`].
pub(super) fn socket(uri: &Uri) -> Option<PathBuf> {
    let digits = uri.host().filter(|_| uri.scheme_str() == Some(SCHEME))?;
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(byte).collect();
    #[cfg(unix)]
    return Some(std::os::unix::ffi::OsStringExt::from_vec(bytes?))
        .map(|path: std::ffi::OsString| path.into());
    #[cfg(not(unix))]
    return String::from_utf8(bytes?).ok().map(PathBuf::from);
}

/// The target of a redirect by the server of a socket: another path of it, or an absolute URL elsewhere.
pub(super) fn join(url: &Url, location: &str) -> Option<Url> {
    let (socket, request) = split(url)?;
    let mut base = Url::parse("http://localhost").ok()?;
    base.set_path(request);
    base.set_query(url.query());
    let target = base.join(location).ok()?;
    if target.origin() != base.origin() {
        return Some(target);
    }
    let mut inside = Url::parse(&format!("{SCHEME}:{socket}:{}", target.path())).ok()?;
    inside.set_query(target.query());
    Some(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn the_parts_come_back_from_the_uri() {
        for (text, path, request) in [
            ("unix:/run/app.sock:/v1/jobs?wide=1", "/run/app.sock", "/v1/jobs?wide=1"),
            ("unix:///run/app.sock:/", "/run/app.sock", "/"),
            ("unix:/run/my%20app.sock:/", "/run/my app.sock", "/"),
            ("unix:/run/a.sock:/x:y", "/run/a.sock", "/x:y"),
        ] {
            let uri = uri(&url(text)).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(socket(&uri), Some(PathBuf::from(path)), "{text}");
            assert_eq!(uri.path_and_query().unwrap().as_str(), request, "{text}");
        }
        for text in [
            "unix://host/run/a.sock:/x",
            "unix:run/a.sock",
            "unix:/:/x",
            "http://a.test/",
            "unix:/run/a.sock:x",
        ] {
            assert!(split(&url(text)).is_none(), "{text}");
        }
    }

    #[test]
    fn redirects_stay_on_the_socket_or_leave_the_machine() {
        let from = url("unix:/run/app.sock:/v1/jobs/7?wide=1");
        let to = |location| join(&from, location).map(String::from);
        assert_eq!(to("/done").as_deref(), Some("unix:/run/app.sock:/done"));
        assert_eq!(to("8?x=2").as_deref(), Some("unix:/run/app.sock:/v1/jobs/8?x=2"));
        assert_eq!(to("http://localhost/z").as_deref(), Some("unix:/run/app.sock:/z"));
        assert_eq!(to("https://a.test/z").as_deref(), Some("https://a.test/z"));
        assert!(is_same_socket(&from, &url("unix:///run/app.sock:/other")));
        assert!(!is_same_socket(&from, &url("unix:/run/b.sock:/")));
    }
}
