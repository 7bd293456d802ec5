//! The port to HTTP: [`Fetch`] turns a request into a whole response or a classified failure.
//!
//! Adapters do not keep time (the engine drops the future of a request at its timeout) and never retry, because every request
//! counts. The one exception, a request that was lost with a kept connection, is recorded in the [`Journey`].

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
pub use http::{HeaderMap, HeaderName, HeaderValue, Method};
use url::Url;

use crate::clock::BoxFuture;
pub use crate::cookies::CookieJar;
use crate::key::PollKey;
use crate::named::named;
pub use crate::request_tls::RequestTls;

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
    /// The poll that asks, for a client that treats polls differently: a scope may be a tenant. Coalesced polls are of one
    /// scope, and the request has the name of the first.
    pub poll: Option<PollKey>,
    /// The cookies of the poll, if it keeps any: to be added to each hop, and learnt from each response.
    pub cookies: Option<Arc<CookieJar>>,
    /// The certificates for this request, beside those of the client. A client that cannot use them must fail, and must not
    /// send the request without them. The client's own certificate is for the origin of `url` only, not for what it redirects to.
    pub tls: Option<Arc<RequestTls>>,
    /// The URL of the poll, if not its author but a server has chosen `url`, by a link, and the author does not trust its origin
    /// (`follow.origins`). A client must treat such a request like one after a redirect from there.
    pub linked_from: Option<Arc<Url>>,
}

impl Request {
    /// A request without headers or body.
    #[must_use]
    pub fn new(method: Method, url: Url, max_body: u64) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: None,
            max_body,
            poll: None,
            cookies: None,
            tls: None,
            linked_from: None,
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field(
                "url",
                &format_args!(
                    "{}{}",
                    &self.url[..url::Position::BeforeUsername],
                    &self.url[url::Position::BeforeHost..url::Position::AfterPath]
                ),
            )
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
    /// What was unusual on the way to this response; mostly nothing.
    pub journey: Option<Box<Journey>>,
}

impl Response {
    /// A response of these parts.
    #[must_use]
    pub fn new(status: u16, headers: HeaderMap, body: impl Into<Bytes>) -> Self {
        Self { status, headers, body: body.into(), journey: None }
    }

    /// The same response after this journey.
    #[must_use]
    pub fn after(self, journey: impl Into<Option<Box<Journey>>>) -> Self {
        Self { journey: journey.into(), ..self }
    }
}

/// What a response does not show of the way to it. `Display` is a clause for people, without query strings:
///
/// ```
/// use poller::fetch::Journey;
///
/// let mut journey = Journey::default();
/// journey.redirects = 2;
/// journey.landed = Some("https://b.test/done".into());
/// journey.dropped_headers = true;
/// assert_eq!(journey.to_string(), "redirected to https://b.test/done, without the headers of the request");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Journey {
    /// Whether a GET or HEAD was sent a second time, on a new connection, because the server had closed the kept one just as
    /// it was used. Such a request counts apart: the attempt is one.
    pub resent: bool,
    /// The number of redirects that were followed.
    pub redirects: u32,
    /// Where they led: the last URL, without its query.
    pub landed: Option<Box<str>>,
    /// Whether a redirect to another origin cost the request its headers.
    pub dropped_headers: bool,
    /// Whether a redirect made the request a GET without a body.
    pub became_get: bool,
}

impl Journey {
    /// The journey in `journey`, begun if need be.
    #[cfg(feature = "http")]
    pub(crate) fn of(journey: &mut Option<Box<Self>>) -> &mut Self {
        journey.get_or_insert_default()
    }

    #[cfg(feature = "http")]
    pub(crate) fn is_resent(journey: Option<&Self>) -> bool {
        journey.is_some_and(|journey| journey.resent)
    }
}

impl fmt::Display for Journey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(landed) = &self.landed {
            write!(f, "redirected to {landed}")?;
            if self.became_get {
                f.write_str(", as a GET without a body")?;
            }
            if self.dropped_headers {
                f.write_str(", without the headers of the request")?;
            }
        }
        if self.resent {
            let separator = if self.landed.is_some() { "; " } else { "" };
            write!(f, "{separator}sent again on a new connection, as the server had closed the kept one")?;
        }
        Ok(())
    }
}

named! {
    /// Why there was no whole response.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "kebab-case")]
    #[non_exhaustive]
    pub enum FetchErrorKind {
        /// The address refuses connections, or cannot be reached.
        Connect = "connect",
        /// The name has no address (NXDOMAIN).
        NoSuchHost = "no-such-host",
        /// The name lookup failed for now.
        Dns = "dns",
        /// The server's certificate is not valid for it.
        Certificate = "certificate",
        /// The TLS handshake failed for another reason.
        Tls = "tls",
        /// The connection broke before the last byte.
        Reset = "reset",
        /// The request timeout passed before the last byte.
        Timeout = "timeout",
        /// The body is larger than the cap.
        BodyTooLarge = "body-too-large",
        /// The body's compression is broken.
        BadEncoding = "bad-encoding",
        /// More than the allowed number of redirects, or one that must not be followed.
        Redirect = "redirect",
        /// The guard forbids the address.
        Blocked = "blocked",
        /// A secret could not be resolved.
        Secret = "secret",
        /// The answer is not HTTP.
        Protocol = "protocol",
        /// The proxy cannot be reached, refuses, or wants credentials.
        Proxy = "proxy",
        /// The client, or the judgement of its response, panicked: a bug.
        Panicked = "panicked",
        /// To judge the response takes too much work, or did not end in time.
        TooCostly = "too-costly",
    }

    /// The kind as written in JSON, logs and metrics: `no-such-host`.
    #[must_use]
    pub const fn as_str;
}

impl FetchErrorKind {
    /// A number for this kind, its index in [`ALL`](Self::ALL), valid inside this process only.
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

    /// An error of this kind with a message for a person.
    pub(crate) fn error(self, message: impl Into<Box<str>>) -> FetchError {
        FetchError::new(self, message)
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
    pub(crate) journey: Option<Box<Journey>>,
}

impl FetchError {
    /// An error with a message for a person.
    #[must_use]
    pub fn new(kind: FetchErrorKind, message: impl Into<Box<str>>) -> Self {
        Self { kind, message: message.into(), journey: None }
    }

    /// The same error after this journey.
    #[must_use]
    pub fn after(self, journey: impl Into<Option<Box<Journey>>>) -> Self {
        Self { journey: journey.into(), ..self }
    }

    /// What was unusual on the way to the failure; mostly nothing.
    #[must_use]
    pub fn journey(&self) -> Option<&Journey> {
        self.journey.as_deref()
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> FetchErrorKind {
        self.kind
    }

    pub(crate) const fn message(&self) -> &str {
        &self.message
    }

    /// Changes the message: it may quote what a server sent.
    pub(crate) fn with_message(mut self, change: impl FnOnce(&str) -> Cow<'_, str>) -> Self {
        if let Cow::Owned(changed) = change(&self.message) {
            self.message = changed.into();
        }
        self
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

    /// The same for a poll of this name, for a client that treats polls differently. By default all are treated alike. The
    /// engine may keep the answer for the scope of the poll.
    ///
    /// # Errors
    /// Why not.
    fn admits_for(&self, poll: &PollKey, origin: &Url) -> Result<(), FetchError> {
        let _ = poll;
        self.admits(origin)
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
