//! Classifies the error of an HTTP client: one kind and one short sentence.
//!
//! The client nests errors five deep, and their texts repeat the URL with its query. None of these texts is passed on: the
//! chain is searched for the most telling cause (name, then certificate, then socket, then protocol), and the sentence is
//! written here, about the host and port of the user's URL.
//!
//! The downcasts to `rustls::Error` and `h2::Error` need the versions that `tokio-rustls` and `hyper` use. If they differ, the
//! downcasts find nothing and the tests of certificates and of HTTP/2 fail.

use std::error::Error;
use std::io;
use std::sync::Arc;

use hyper_util::client::legacy;
use url::Url;

use super::link::{Flood, Link};
use super::proxy::ProxyFailure;
use super::resolve::{Refusal, Unresolved};
use super::tls_failure::broken_tls;
use super::unix;
use crate::fetch::FetchError;
use crate::fetch::FetchErrorKind::{
    self, BadEncoding, Blocked, BodyTooLarge, Connect, Dns, NoSuchHost, Protocol, Proxy, Redirect, Reset,
};

/// The largest head of a response over HTTP/1.1, in bytes, and the buffer of a connection.
pub(super) const HTTP1_HEAD: usize = 128 << 10;

/// The most header lines of a response over HTTP/1.1.
pub(super) const MOST_HEADERS: usize = 256;

/// A unix socket that cannot be connected to.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.words())]
pub(super) struct NoSocket {
    pub(super) path: String,
    #[source]
    pub(super) error: io::Error,
}

impl NoSocket {
    fn words(&self) -> String {
        let path = &self.path;
        match self.error.kind() {
            io::ErrorKind::NotFound => format!("there is no socket {path}; has the server started?"),
            io::ErrorKind::PermissionDenied => format!("no permission to use the socket {path}"),
            io::ErrorKind::ConnectionRefused => {
                format!("no server listens on the socket {path}; it may be left over from one that has ended")
            }
            io::ErrorKind::Unsupported => "this system has no unix sockets".to_owned(),
            kind => format!("cannot connect to the socket {path}: {kind}"),
        }
    }
}

/// A body came in more bytes or pieces than any honest server would take for one within the cap.
#[derive(Debug, thiserror::Error)]
#[error("the coded body is too long")]
pub(super) struct TooLong;

/// The progress of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Before the head of the response.
    Head,
    /// In the body of the response.
    Body,
}

/// The host and the explicit port of a URL, or its socket: the part that error messages show.
pub(super) fn authority(url: &Url) -> String {
    if let Some((socket, _)) = unix::split(url) {
        return format!("unix:{socket}");
    }
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Classifies and describes an error of the HTTP client.
pub(super) fn classify(error: &(dyn Error + 'static), url: &Url, phase: Phase) -> FetchError {
    let connecting = find::<legacy::Error>(error).is_some_and(legacy::Error::is_connect);
    classified(error, &authority(url), phase, connecting)
}

/// Describes the error of a connection to `place`.
pub(super) fn describe(error: &(dyn Error + 'static), place: &str) -> String {
    classified(error, place, Phase::Head, true).to_string()
}

fn classified(error: &(dyn Error + 'static), place: &str, phase: Phase, connecting: bool) -> FetchError {
    if let Some(failure) = find::<ProxyFailure>(error) {
        return Proxy.error(failure.to_string());
    }
    if let Some(missing) = find::<NoSocket>(error) {
        return Connect.error(missing.to_string());
    }
    if let Some(unresolved) = find::<Unresolved>(error) {
        return unresolved_name(unresolved);
    }
    if find::<Flood>(error).is_some() {
        return Protocol.error(format!(
            "{place} sends interim responses (100 Continue and the like) without end, and no response"
        ));
    }
    if let Some(tls) = find::<rustls::Error>(error) {
        return broken_tls(tls, place);
    }
    let http = find::<hyper::Error>(error);
    if find::<TooLong>(error).is_some() {
        return BodyTooLarge.error(format!(
            "the body from {place} comes in far more pieces, or bytes before decompression, than a body within the \
             cap needs"
        ));
    }
    // In a body, an error of the client wraps one of the connection; any other comes from the decompressor.
    if phase == Phase::Body && http.is_none() {
        return BadEncoding.error(format!(
            "the body from {place} cannot be decompressed: it is damaged, or not what content-encoding says"
        ));
    }
    if let Some(http) = http
        && let Some(failure) = broken_http(http, link(error).as_deref(), place)
    {
        return failure;
    }
    // The decoder of a body wraps the error of the client in one of I/O.
    let innermost = http.map_or(error, |http| http as &(dyn Error + 'static));
    if let Some(io) = find::<io::Error>(innermost) {
        return broken_socket(io, place, connecting);
    }
    if http.is_some() {
        return Reset.error(format!("{place} broke off the exchange before the last byte"));
    }
    if connecting {
        return Connect.error(format!("no connection to {place} could be made"));
    }
    Protocol.error(format!("the exchange with {place} could not be carried out"))
}

/// The connection of an error, if there was one.
pub(super) fn link(error: &(dyn Error + 'static)) -> Option<Arc<Link>> {
    let connected = find::<legacy::Error>(error)?.connect_info()?;
    let mut extensions = http::Extensions::new();
    connected.get_extras(&mut extensions);
    extensions.remove()
}

/// A URL that no request line can carry.
pub(super) fn unsendable(url: &Url) -> FetchError {
    /// The limit of the crate `http`.
    const LONGEST: usize = 65_534;
    Protocol.error(format!(
        "the URL of {} cannot be sent: it has {} bytes, and no more than {LONGEST} fit a request line; \
         if it is shorter, percent-encode what is unusual in its path and query",
        authority(url),
        url.as_str().len()
    ))
}

/// The error of a hop that the policy refuses before a request.
pub(super) fn refused_hop(refusal: &Refusal) -> FetchError {
    refusal_kind(refusal).error(refusal.to_string())
}

const fn refusal_kind(refusal: &Refusal) -> FetchErrorKind {
    match refusal {
        Refusal::Forbidden(_) => Blocked,
        Refusal::Inward(_) => Redirect,
    }
}

pub(super) fn unresolved_name(unresolved: &Unresolved) -> FetchError {
    let kind = match unresolved {
        Unresolved::NoSuchHost { .. } => NoSuchHost,
        Unresolved::Unavailable { .. } => Dns,
        Unresolved::Refused { refusal, .. } => refusal_kind(refusal),
    };
    kind.error(unresolved.to_string())
}

fn broken_http(error: &hyper::Error, link: Option<&Link>, place: &str) -> Option<FetchError> {
    // The crate has no method that tells this one apart; a test would notice another text.
    if error.is_parse() && error.to_string().contains("too large") {
        return Some(Protocol.error(format!(
            "the head of the response from {place} is too large: more than {MOST_HEADERS} lines, or {} kB",
            HTTP1_HEAD >> 10
        )));
    }
    if error.is_parse() {
        return Some(Protocol.error(format!(
            "what came back from {place} is not HTTP{}",
            instead(link.map(Link::first_bytes).unwrap_or_default())
        )));
    }
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        return Some(
            Reset.error(format!("{place} closed the connection before the whole response was there")),
        );
    }
    error.is_timeout().then(|| Reset.error(format!("the connection to {place} went dead")))
}

/// What speaks instead of HTTP, by its first bytes.
fn instead(first: [u8; 8]) -> &'static str {
    match &first {
        // A record of TLS: an alert, or a handshake.
        [0x15 | 0x16, 0x03, ..] => ", but TLS; the URL must begin with https://",
        [b'S', b'S', b'H', b'-', ..] => ", but SSH; check the port",
        [b'2', b'2', b'0', b' ' | b'-', ..] => ", but FTP or SMTP; check the port",
        // The preface of HTTP/2: an empty SETTINGS frame, or one with few settings.
        [0, 0, _, 4, 0, 0, 0, 0] => ", but HTTP/2 without TLS, which is not spoken here; use its https port",
        _ => "; is it an https port, or another service?",
    }
}

fn broken_socket(error: &io::Error, place: &str, connecting: bool) -> FetchError {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Connect.error(format!("connection refused by {place}")),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
            Connect.error(format!("no route to {place}"))
        }
        io::ErrorKind::TimedOut if connecting => {
            Connect.error(format!("{place} does not answer connections"))
        }
        io::ErrorKind::TimedOut => Reset.error(format!("the connection to {place} went dead")),
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
            Reset.error(format!("connection reset by {place}"))
        }
        io::ErrorKind::UnexpectedEof => {
            Reset.error(format!("{place} closed the connection before the whole response was there"))
        }
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
            Protocol.error(format!("the body from {place} is not framed as HTTP says"))
        }
        _ if connecting && is_out_of_descriptors(error) => Connect.error(format!(
            "no socket is left for {place}: too many files are open; raise the limit (ulimit -n)"
        )),
        // The text of an error number comes from the operating system and contains nothing of the request.
        _ if connecting => Connect.error(match error.raw_os_error() {
            Some(number) => format!("cannot connect to {place}: {}", io::Error::from_raw_os_error(number)),
            None => format!("cannot connect to {place}: {}", error.kind()),
        }),
        kind => Reset.error(format!("the connection to {place} broke: {kind}")),
    }
}

/// Whether the system has no file descriptor left for a connection.
pub(super) fn is_out_of_descriptors(error: &(dyn Error + 'static)) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    let number = find::<io::Error>(error).and_then(io::Error::raw_os_error);
    cfg!(unix) && matches!(number, Some(ENFILE | EMFILE))
}

/// The first error of type `E` in the chain.
///
/// `source()` of an `io::Error` skips the wrapped error, and TLS errors arrive wrapped in one, so these are unwrapped.
pub(super) fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        cause = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapped_causes_are_found() {
        let tls = io::Error::new(io::ErrorKind::InvalidData, rustls::Error::DecryptError);
        let twice = io::Error::other(tls);
        assert_eq!(find::<rustls::Error>(&twice), Some(&rustls::Error::DecryptError));
        assert!(find::<hyper::Error>(&twice).is_none());
    }

    #[test]
    fn socket_errors_are_classified() {
        for (error, connecting, kind, message) in [
            (io::ErrorKind::ConnectionRefused.into(), true, Connect, "connection refused by h:1"),
            (io::ErrorKind::NetworkUnreachable.into(), true, Connect, "no route to h:1"),
            (io::ErrorKind::TimedOut.into(), false, Reset, "the connection to h:1 went dead"),
            (io::ErrorKind::ConnectionReset.into(), true, Reset, "connection reset by h:1"),
        ] {
            let failure = broken_socket(&error, "h:1", connecting);
            assert_eq!((failure.kind(), failure.to_string().as_str()), (kind, message));
        }
    }

    #[test]
    fn what_speaks_instead_of_http_is_recognised() {
        for (bytes, expected) in [
            (b"\x15\x03\x01\0\x02\x02\x46\0", "https://"),
            (b"SSH-2.0-", "SSH"),
            (b"220 mail", "SMTP"),
            (b"\0\0\x06\x04\0\0\0\0", "HTTP/2"),
            (b"<html>\0\0", "another service"),
        ] {
            assert!(instead(*bytes).contains(expected), "{bytes:?}");
        }
    }

    #[test]
    fn messages_show_host_and_written_port_only() {
        let url = Url::parse("https://a.test:8443/path?token=x#f").unwrap();
        assert_eq!(authority(&url), "a.test:8443");
        assert_eq!(authority(&Url::parse("http://[::1]/").unwrap()), "[::1]");
    }
}
