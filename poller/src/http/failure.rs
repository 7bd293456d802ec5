//! Classifies the error of an HTTP client: one kind and one short sentence.
//!
//! The client nests errors five deep, and their texts repeat the URL with its query. None of these texts is passed on: the
//! chain is searched for the most telling cause (name, then certificate, then socket, then protocol), and the sentence is
//! written here, about the host and port of the user's URL.
//!
//! The downcasts to `rustls::Error` need the version of `rustls` that `hyper-rustls` uses. If the versions differ, the
//! downcasts find nothing and the tests of certificates fail.

use std::error::Error;
use std::io;

use hyper_util::client::legacy;
use rustls::{AlertDescription, CertificateError};
use url::Url;

use super::resolve::{Refusal, Unresolved};
use crate::fetch::{FetchError, FetchErrorKind};

/// The progress of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Before the head of the response.
    Head,
    /// In the body of the response.
    Body,
}

/// The host and the explicit port of a URL: the part that error messages show.
pub(super) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Classifies and describes an error of the HTTP client.
pub(super) fn classify(error: &(dyn Error + 'static), url: &Url, phase: Phase) -> FetchError {
    let place = authority(url);
    let connecting = find::<legacy::Error>(error).is_some_and(legacy::Error::is_connect);
    if let Some(unresolved) = find::<Unresolved>(error) {
        return unresolved_name(unresolved);
    }
    if let Some(tls) = find::<rustls::Error>(error) {
        return broken_tls(tls, &place);
    }
    let http = find::<hyper::Error>(error);
    // In a body, an error of the client wraps one of the connection; any other comes from the decompressor.
    if phase == Phase::Body && http.is_none() {
        return FetchError::new(
            FetchErrorKind::BadEncoding,
            format!(
                "the body from {place} cannot be decompressed: it is damaged, or not what content-encoding says"
            ),
        );
    }
    if let Some(http) = http
        && let Some(failure) = broken_http(http, &place)
    {
        return failure;
    }
    if let Some(io) = find::<io::Error>(error) {
        return broken_socket(io, &place, connecting);
    }
    if http.is_some() {
        return reset(format!("{place} broke off the exchange before the last byte"));
    }
    if connecting {
        return FetchError::new(FetchErrorKind::Connect, format!("no connection to {place} could be made"));
    }
    FetchError::new(FetchErrorKind::Protocol, format!("the exchange with {place} could not be carried out"))
}

/// A URL that no request line can carry.
pub(super) fn unsendable(url: &Url) -> FetchError {
    /// The limit of the crate `http`.
    const LONGEST: usize = 65_534;
    FetchError::new(
        FetchErrorKind::Protocol,
        format!(
            "the URL of {} cannot be sent: it has {} bytes, and no more than {LONGEST} fit a request line; \
             if it is shorter, percent-encode what is unusual in its path and query",
            authority(url),
            url.as_str().len()
        ),
    )
}

/// The error of a hop that the policy refuses before a request.
pub(super) fn refused_hop(refusal: &Refusal) -> FetchError {
    FetchError::new(refusal_kind(refusal), refusal.to_string())
}

const fn refusal_kind(refusal: &Refusal) -> FetchErrorKind {
    match refusal {
        Refusal::Forbidden(_) => FetchErrorKind::Blocked,
        Refusal::Inward(_) => FetchErrorKind::Redirect,
    }
}

pub(super) fn unresolved_name(unresolved: &Unresolved) -> FetchError {
    let kind = match unresolved {
        Unresolved::NoSuchHost { .. } => FetchErrorKind::NoSuchHost,
        Unresolved::Unavailable { .. } => FetchErrorKind::Dns,
        Unresolved::Refused { refusal, .. } => refusal_kind(refusal),
    };
    FetchError::new(kind, unresolved.to_string())
}

fn broken_tls(error: &rustls::Error, place: &str) -> FetchError {
    let certificate = |what: &str| {
        FetchError::new(FetchErrorKind::Certificate, format!("the certificate of {place} {what}"))
    };
    let tls = |what: &str| {
        FetchError::new(FetchErrorKind::Tls, format!("the TLS handshake with {place} failed: {what}"))
    };
    match error {
        rustls::Error::InvalidCertificate(problem) => match problem {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => certificate("has expired"),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                certificate("is not valid yet; check this machine's clock")
            }
            CertificateError::Revoked => certificate("has been revoked"),
            CertificateError::UnknownIssuer => certificate(
                "is signed by an unknown authority; if you trust that authority, add its certificate (--cacert)",
            ),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                certificate("is for another name")
            }
            CertificateError::BadEncoding => certificate("cannot be read"),
            CertificateError::BadSignature => {
                certificate("has a wrong signature; was its authority replaced by another of the same name?")
            }
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                certificate("is not meant for servers")
            }
            // Rare (a version 1 certificate, a CA as a server, an unsupported algorithm), and described best by rustls.
            other => certificate(&format!("is not acceptable: {other}")),
        },
        rustls::Error::NoCertificatesPresented => certificate("is missing: the server shows none"),
        rustls::Error::InvalidMessage(_) => tls("what came back is not TLS; is it an http port?"),
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            tls("it wants a client certificate, which polls cannot give")
        }
        rustls::Error::AlertReceived(alert) => tls(&format!("the server refused it with {alert:?}")),
        rustls::Error::PeerIncompatible(_) | rustls::Error::NoApplicationProtocol => {
            tls("the server supports no TLS version or cipher that is still safe")
        }
        _ => tls("the server broke the protocol"),
    }
}

fn broken_http(error: &hyper::Error, place: &str) -> Option<FetchError> {
    if error.is_parse() {
        return Some(FetchError::new(
            FetchErrorKind::Protocol,
            format!(
                "what came back from {place} is not HTTP, or its head is too large; \
                 is it an https port, or another service?"
            ),
        ));
    }
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        return Some(reset(format!("{place} closed the connection before the whole response was there")));
    }
    error.is_timeout().then(|| reset(format!("the connection to {place} went dead")))
}

fn broken_socket(error: &io::Error, place: &str, connecting: bool) -> FetchError {
    let connect = |message: String| FetchError::new(FetchErrorKind::Connect, message);
    match error.kind() {
        io::ErrorKind::ConnectionRefused => connect(format!("connection refused by {place}")),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
            connect(format!("no route to {place}"))
        }
        io::ErrorKind::TimedOut if connecting => connect(format!("{place} does not answer connections")),
        io::ErrorKind::TimedOut => reset(format!("the connection to {place} went dead")),
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
            reset(format!("connection reset by {place}"))
        }
        io::ErrorKind::UnexpectedEof => {
            reset(format!("{place} closed the connection before the whole response was there"))
        }
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => FetchError::new(
            FetchErrorKind::Protocol,
            format!("the body from {place} is not framed as HTTP says"),
        ),
        _ if connecting && out_of_sockets(error) => connect(format!(
            "no socket is left for {place}: too many files are open; raise the limit (ulimit -n)"
        )),
        // The text of an error number comes from the operating system and contains nothing of the request.
        _ if connecting => connect(match error.raw_os_error() {
            Some(number) => format!("cannot connect to {place}: {}", io::Error::from_raw_os_error(number)),
            None => format!("cannot connect to {place}: {}", error.kind()),
        }),
        kind => reset(format!("the connection to {place} broke: {kind}")),
    }
}

fn out_of_sockets(error: &io::Error) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    cfg!(unix) && matches!(error.raw_os_error(), Some(ENFILE | EMFILE))
}

fn reset(message: String) -> FetchError {
    FetchError::new(FetchErrorKind::Reset, message)
}

/// The first error of type `E` in the chain.
///
/// `source()` of an `io::Error` skips the wrapped error, and TLS errors arrive wrapped in one, so these are unwrapped.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
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
            (
                io::ErrorKind::ConnectionRefused.into(),
                true,
                FetchErrorKind::Connect,
                "connection refused by h:1",
            ),
            (io::ErrorKind::NetworkUnreachable.into(), true, FetchErrorKind::Connect, "no route to h:1"),
            (io::ErrorKind::TimedOut.into(), false, FetchErrorKind::Reset, "the connection to h:1 went dead"),
            (io::ErrorKind::ConnectionReset.into(), true, FetchErrorKind::Reset, "connection reset by h:1"),
        ] {
            let failure = broken_socket(&error, "h:1", connecting);
            assert_eq!((failure.kind(), failure.to_string().as_str()), (kind, message));
        }
    }

    #[test]
    fn messages_show_host_and_written_port_only() {
        let url = Url::parse("https://a.test:8443/path?token=x#f").unwrap();
        assert_eq!(authority(&url), "a.test:8443");
        assert_eq!(authority(&Url::parse("http://[::1]/").unwrap()), "[::1]");
    }
}
