//! The port to HTTP: [`Fetch`] turns a request into a whole response or a classified failure.
//!
//! Adapters do not keep time (the engine drops the future of a request at its timeout) and never retry, because every request
//! counts.

use std::fmt;

use bytes::Bytes;
pub use http::{HeaderMap, HeaderName, HeaderValue, Method};
use url::Url;

use crate::clock::BoxFuture;

/// One HTTP request, with resolved secrets.
///
/// `Debug` shows method, scheme, host, port and path only: header values, query and body may be secret.
#[derive(Clone)]
#[non_exhaustive]
pub struct Request {
    /// The method of the first hop.
    pub method: Method,
    /// The URL; http or https, without credentials.
    pub url: Url,
    /// The user's headers, names lower-cased by their type.
    pub headers: HeaderMap,
    /// The body, sent unchanged.
    pub body: Option<Bytes>,
    /// The largest body of the response, in bytes after decompression.
    pub max_body: u64,
}

impl Request {
    /// A request without headers or body.
    #[must_use]
    pub fn new(method: Method, url: Url, max_body: u64) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: None, max_body }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &format_args!("{}{}", self.url.origin().ascii_serialization(), self.url.path()))
            .field("headers", &self.headers.keys().map(HeaderName::as_str).collect::<Vec<_>>())
            .field("body_len", &self.body.as_ref().map(Bytes::len))
            .finish_non_exhaustive()
    }
}

/// A whole response: the last byte of the body has arrived.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Response {
    /// The status code of the last hop, 100..=999.
    pub status: u16,
    /// The headers of the last hop.
    pub headers: HeaderMap,
    /// The body, decompressed.
    pub body: Bytes,
}

impl Response {
    /// A response of these parts.
    #[must_use]
    pub fn new(status: u16, headers: HeaderMap, body: impl Into<Bytes>) -> Self {
        Self { status, headers, body: body.into() }
    }
}

/// Why there was no whole response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FetchErrorKind {
    /// The address refuses connections, or cannot be reached.
    Connect,
    /// The name has no address (NXDOMAIN).
    NoSuchHost,
    /// The name lookup failed for now.
    Dns,
    /// The server's certificate is not valid for it.
    Certificate,
    /// The TLS handshake failed for another reason.
    Tls,
    /// The connection broke before the last byte.
    Reset,
    /// The request timeout passed before the last byte.
    Timeout,
    /// The body is larger than the cap.
    BodyTooLarge,
    /// The body's compression is broken.
    BadEncoding,
    /// More than the allowed number of redirects, or one that must not be followed.
    Redirect,
    /// The guard forbids the address.
    Blocked,
    /// A secret could not be resolved.
    Secret,
    /// The answer is not HTTP.
    Protocol,
    /// The client, or the judgement of its response, panicked: a bug.
    Panicked,
}

impl FetchErrorKind {
    /// The kind as written in JSON, logs and metrics: `no-such-host`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::NoSuchHost => "no-such-host",
            Self::Dns => "dns",
            Self::Certificate => "certificate",
            Self::Tls => "tls",
            Self::Reset => "reset",
            Self::Timeout => "timeout",
            Self::BodyTooLarge => "body-too-large",
            Self::BadEncoding => "bad-encoding",
            Self::Redirect => "redirect",
            Self::Blocked => "blocked",
            Self::Secret => "secret",
            Self::Protocol => "protocol",
            Self::Panicked => "panicked",
        }
    }

    /// All kinds, each at the index of its [code](Self::code).
    const ALL: [Self; 14] = [
        Self::Connect,
        Self::NoSuchHost,
        Self::Dns,
        Self::Certificate,
        Self::Tls,
        Self::Reset,
        Self::Timeout,
        Self::BodyTooLarge,
        Self::BadEncoding,
        Self::Redirect,
        Self::Blocked,
        Self::Secret,
        Self::Protocol,
        Self::Panicked,
    ];

    /// A number for this kind, valid inside this process only.
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }

    /// The kind of a code; an unknown code counts as the last kind.
    pub(crate) fn from_code(code: u8) -> Self {
        Self::ALL.get(usize::from(code)).copied().unwrap_or(Self::Panicked)
    }

    /// Whether another request cannot help unless a person changes something first. Such attempts count towards `giveUp`.
    #[must_use]
    pub const fn is_hopeless(self) -> bool {
        matches!(self, Self::NoSuchHost | Self::Certificate | Self::Secret | Self::Blocked)
    }
}

impl fmt::Display for FetchErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The failure of a request.
///
/// The message names no header value, no query string and no secret.
///
/// ```
/// use poller::fetch::{FetchError, FetchErrorKind};
///
/// let error = FetchError::new(FetchErrorKind::Connect, "connection refused by 127.0.0.1:9");
/// assert_eq!(error.to_string(), "connection refused by 127.0.0.1:9");
/// assert_eq!(error.kind(), FetchErrorKind::Connect);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FetchError {
    kind: FetchErrorKind,
    message: Box<str>,
}

impl FetchError {
    /// An error with a message for a person.
    #[must_use]
    pub fn new(kind: FetchErrorKind, message: impl Into<Box<str>>) -> Self {
        Self { kind, message: message.into() }
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> FetchErrorKind {
        self.kind
    }

    pub(crate) const fn message(&self) -> &str {
        &self.message
    }
}

/// An HTTP client, as the engine uses it.
pub trait Fetch: Send + Sync + 'static {
    /// Whether requests to `origin` may be sent, as far as the URL shows. The engine asks when a poll is submitted, so that a
    /// poll that can never succeed is refused at once, and not again for the next poll of the same origin. The URL has neither
    /// path nor query. The default admits all.
    ///
    /// # Errors
    /// Why not.
    fn admits(&self, origin: &Url) -> Result<(), FetchError> {
        let _ = origin;
        Ok(())
    }

    /// Sends one request and reads the whole response. Dropping the future aborts the request.
    fn fetch(&self, request: Request) -> BoxFuture<'static, Result<Response, FetchError>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_indices_of_kinds() {
        for (place, kind) in FetchErrorKind::ALL.into_iter().enumerate() {
            assert_eq!((usize::from(kind.code()), FetchErrorKind::from_code(kind.code())), (place, kind));
        }
    }
}
