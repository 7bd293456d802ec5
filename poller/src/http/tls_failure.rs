//! Errors of TLS in words: what is wrong with the server's certificate, or why the handshake failed, and what to do.
//!
//! Nothing of `rustls` is quoted: its texts are written for programmers (`received fatal alert: HandshakeFailure`).

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

use crate::certificates::is_authority_as_server;
use crate::fetch::{FetchError, FetchErrorKind};

/// The most names of a certificate in a message; certificates of content networks have hundreds.
const MOST_NAMES: usize = 5;

/// The error of a connection to `place` whose TLS failed.
pub(super) fn broken_tls(error: &Error, place: &str) -> FetchError {
    match error {
        Error::InvalidCertificate(problem) => certificate(place, &bad_certificate(problem)),
        Error::NoCertificatesPresented => certificate(place, "is missing: the server shows none"),
        _ => FetchErrorKind::Tls
            .error(format!("the TLS handshake with {place} failed: {}", bad_handshake(error))),
    }
}

fn certificate(place: &str, what: &str) -> FetchError {
    FetchErrorKind::Certificate.error(format!("the certificate of {place} {what}"))
}

fn bad_certificate(problem: &CertificateError) -> String {
    let what = match problem {
        CertificateError::ExpiredContext { not_after, .. } => {
            return format!("has expired{}; its server needs a new one", on(" on ", *not_after));
        }
        CertificateError::Expired => "has expired; its server needs a new one",
        CertificateError::NotValidYetContext { not_before, .. } => {
            return format!("is not valid yet{}; check this machine's clock", on(", but from ", *not_before));
        }
        CertificateError::NotValidYet => "is not valid yet; check this machine's clock",
        CertificateError::Revoked => "has been revoked; its server needs a new one",
        CertificateError::UnknownIssuer => {
            "is signed by an unknown authority, or by itself; if you trust it, add the certificate of the authority, or \
             its own (--cacert)"
        }
        CertificateError::NotValidForNameContext { presented, .. } => return wrong_name(presented),
        CertificateError::NotValidForName => "is for another name",
        CertificateError::BadEncoding => "cannot be read",
        CertificateError::BadSignature => {
            "has a wrong signature; was its authority replaced by another of the same name?"
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "is not meant for servers; its server needs one that is (extended key usage serverAuth)"
        }
        CertificateError::UnhandledCriticalExtension => {
            "has an extension that must be understood, and is not understood here"
        }
        CertificateError::Other(reason) if is_authority_as_server(reason) => {
            "is one of an authority (CA:TRUE) and was not added; if you trust it, add it (--cacert), or make one for \
             servers (CA:FALSE)"
        }
        CertificateError::Other(reason) => match reason.0.downcast_ref() {
            Some(webpki::Error::UnsupportedCertVersion) => {
                "is of X.509 version 1; its server needs one of version 3 (with a subjectAltName)"
            }
            Some(webpki::Error::PathLenConstraintViolated | webpki::Error::NameConstraintViolation) => {
                "is one that its authority was not allowed to sign"
            }
            Some(webpki::Error::EndEntityUsedAsCa) => {
                "is signed by a certificate that is not an authority's; the server's chain may be in disorder"
            }
            _ => "does not follow the rules of X.509",
        },
        _ => "uses an algorithm for keys or signatures that is not supported, or no longer safe",
    };
    what.to_owned()
}

fn wrong_name(presented: &[String]) -> String {
    if presented.is_empty() {
        return "is for no name at all (its common name is not looked at); its server needs one with a subjectAltName, as \
                openssl makes it with -addext subjectAltName=DNS:NAME"
            .to_owned();
    }
    let names = presented.iter().take(MOST_NAMES).map(|name| plain_name(name)).collect::<Vec<_>>().join(", ");
    match presented.len().checked_sub(MOST_NAMES) {
        Some(more @ 1..) => format!("is for other names: {names} and {more} more"),
        _ if presented.len() == 1 => format!("is for another name, {names}"),
        _ => format!("is for other names: {names}"),
    }
}

/// A name as people write it: webpki has `DnsName("a.test")` and `IpAddress(127.0.0.1)`.
fn plain_name(presented: &str) -> String {
    let inner = presented.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(presented);
    // The name is the server's text: only what names consist of is shown.
    inner.chars().filter(|c| c.is_ascii_alphanumeric() || "-._*:".contains(*c)).take(100).collect()
}

/// `prefix` and the day; empty for a time that no calendar has.
fn on(prefix: &str, time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).ok();
    seconds
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map(|at| format!("{prefix}{}", at.strftime("%Y-%m-%d")))
        .unwrap_or_default()
}

fn bad_handshake(error: &Error) -> &'static str {
    match error {
        Error::InvalidMessage(_) => {
            "what came back is not TLS; is it an http port? Then the URL begins with http://"
        }
        Error::AlertReceived(alert) => bad_alert(*alert),
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled,
        ) => OLD_VERSION,
        Error::PeerIncompatible(PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon) => {
            "the server wants a client certificate with another kind of key (--cert, --key)"
        }
        Error::PeerIncompatible(_) => NO_CIPHER,
        Error::NoApplicationProtocol => "the server speaks neither HTTP/1.1 nor HTTP/2 on this port",
        Error::DecryptError => {
            "the server sent what cannot be decrypted; something on the way may change the bytes"
        }
        Error::PeerSentOversizedRecord => "the server sent a record that is too long; is it another service?",
        Error::FailedToGetCurrentTime => "this machine's clock cannot be read",
        Error::FailedToGetRandomBytes => "this machine gives no random numbers",
        Error::PeerMisbehaved(_)
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. } => {
            "the server broke the protocol; something on the way may intercept TLS"
        }
        _ => "the server broke off",
    }
}

const OLD_VERSION: &str = "the server speaks only versions of TLS before 1.2, which are no longer safe; it needs an update or another setting";

const NO_CIPHER: &str =
    "the server supports no cipher or key exchange that is still safe; it needs an update or another setting";

/// The alerts of RFC 8446 section 6.2 and earlier, as sent by the server.
fn bad_alert(alert: AlertDescription) -> &'static str {
    match alert {
        AlertDescription::CertificateRequired => "the server wants a client certificate (--cert, --key)",
        AlertDescription::NoCertificate => "the server wants a client certificate (--cert, --key)",
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateUnknown => {
            "the server does not accept the client certificate; is it the right one, with its chain?"
        }
        AlertDescription::UnknownCA => {
            "the server does not know the authority of the client certificate; is it the right one, with its chain?"
        }
        AlertDescription::CertificateExpired => {
            "the server says that the client certificate has expired; renew it"
        }
        AlertDescription::CertificateRevoked => {
            "the server says that the client certificate has been revoked; get another"
        }
        AlertDescription::AccessDenied => "the server does not allow this client certificate",
        AlertDescription::HandshakeFailure => {
            "the server refused it: it may want a client certificate (--cert, --key), or supports no cipher that is \
             still safe"
        }
        AlertDescription::InsufficientSecurity => NO_CIPHER,
        AlertDescription::ProtocolVersion => OLD_VERSION,
        AlertDescription::UnrecognisedName => {
            "the server does not know this host name; check the name in the URL, and the server's virtual hosts"
        }
        AlertDescription::NoApplicationProtocol => {
            "the server speaks neither HTTP/1.1 nor HTTP/2 on this port"
        }
        AlertDescription::InternalError => "the server reports an error of its own; its log may say more",
        AlertDescription::UserCanceled | AlertDescription::CloseNotify => "the server broke off",
        AlertDescription::DecryptError | AlertDescription::BadRecordMac => {
            "the server cannot decrypt what it got; something on the way may change the bytes"
        }
        AlertDescription::UnexpectedMessage
        | AlertDescription::RecordOverflow
        | AlertDescription::IllegalParameter
        | AlertDescription::DecodeError
        | AlertDescription::MissingExtension
        | AlertDescription::UnsupportedExtension => {
            "the server does not understand this client; is it an old or unusual one?"
        }
        _ => "the server refused it without a usual reason",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every alert and every other kind: none shows a text of the library.
    #[test]
    fn every_error_is_in_words() {
        let alerts = (0..=255).map(|code| Error::AlertReceived(AlertDescription::from(code)));
        let others = [
            Error::NoCertificatesPresented,
            Error::DecryptError,
            Error::EncryptError,
            Error::HandshakeNotComplete,
            Error::NoApplicationProtocol,
            Error::PeerSentOversizedRecord,
            Error::General("Debug { text }".to_owned()),
            Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType),
            Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13),
            Error::PeerMisbehaved(rustls::PeerMisbehaved::IllegalTlsInnerPlaintext),
        ];
        let certificates = [
            CertificateError::BadEncoding,
            CertificateError::Revoked,
            CertificateError::UnhandledCriticalExtension,
            CertificateError::UnknownRevocationStatus,
            CertificateError::InvalidOcspResponse,
            CertificateError::ApplicationVerificationFailure,
            CertificateError::Other(rustls::OtherError(std::sync::Arc::new(webpki::Error::BadDer))),
        ];
        let certificates = certificates.into_iter().map(Error::InvalidCertificate);
        for error in alerts.chain(others).chain(certificates) {
            let text = broken_tls(&error, "h").to_string();
            let library = format!("{error:?}");
            let name = library.split(['(', ' ']).next().unwrap();
            assert!(
                !text.contains(name) && !text.contains(['{', '(', '"']) || text.contains("(--"),
                "{text}"
            );
        }
    }

    #[test]
    fn wrong_names_say_which_there_are() {
        let names = |names: &[&str]| wrong_name(&names.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(names(&[r#"DnsName("a.test")"#]), "is for another name, a.test");
        assert_eq!(names(&["IpAddress(127.0.0.1)", "x\u{1b}[31m"]), "is for other names: 127.0.0.1, x31m");
        assert!(names(&["a"; 7]).ends_with("a, a, a, a, a and 2 more"));
        assert!(names(&[]).contains("subjectAltName"));
    }
}
