//! The HTTP client: sends one request, follows its redirects, reads its response.
//!
//! ```text
//!   request ──► policy.check_url ──► send ──► head ──► redirect? ── no ──► body, capped ──► response
//!                    ▲                                    │ yes, at most 10
//!                    └───── follow: method, headers ◄─────┘
//! ```
//!
//! What always holds:
//!
//! - One call sends one request per hop, with the one exception of [`resend`], which is counted. The library below adds no
//!   redirects (they are followed here, where each hop is guarded and the user's headers are dropped), cookies or referers.
//! - A kept-alive connection that the server has closed is detected before use and replaced. If the close crosses the request
//!   on the wire, a GET or HEAD is sent once more on a new connection, and any other attempt fails as
//!   [`Reset`](crate::fetch::FetchErrorKind::Reset): the server may have acted on it.
//! - There are two connection pools. After a public address has redirected, the rest of the chain uses a pool whose resolver
//!   allows no local addresses. Checking the address after the response would be too late: the request would have been sent.
//! - No clock: the caller drops the future to end a request, and its connection closes.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
#[cfg(feature = "compression")]
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use http::header::{HeaderValue, InvalidHeaderValue, USER_AGENT};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::ResponseFuture;
use url::Url;

use super::body;
#[cfg(feature = "compression")]
use super::decode;
use super::descriptors::{self, Descriptors};
use super::failure::{Phase, classify, refused_hop, unsendable};
use super::guard::Guard;
use super::link::Link;
use super::proxy::Proxies;
use super::ranges;
use super::redirect::{self, MAX_REDIRECTS};
use super::resend;
use super::route::{self, Idle};
use super::routes::{AllRoutes, Common, Routes};
use super::tls::{PemProblem, TlsOptions};
use crate::clock::BoxFuture;
use crate::fetch::{Fetch, FetchError, FetchErrorKind, Journey, Request, Response};

/// The age at which an unused connection is closed. It spans the shortest ordinary interval (10 s); a longer time would keep
/// a socket for every origin of many polls, and meet more connections that the server has closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// The most unused connections per origin: the default of requests in flight to one origin. With fewer, polls that are due
/// together would open new connections each time.
const IDLE_PER_ORIGIN: usize = 16;

/// A [`Fetch`] over HTTP/1.1 and HTTP/2 with connection reuse, TLS and a [`Guard`]. Clones share everything.
///
/// At most ten redirects are followed, each guarded; the user's headers are dropped once the origin changes. Bodies are
/// decompressed (gzip, deflate, brotli, zstd, also several on top of each other) and capped. A GET or HEAD that was lost
/// because the server closed a kept connection just then is sent once more ([`Journey::resent`]).
///
/// `content-length`, `connection`, `transfer-encoding` and the proxy's headers among a request's headers are replaced by the
/// true ones. `host` is sent as given, over HTTP/1.1; connection, guard and TLS go by the URL.
///
/// ```
/// use poller::fetch::{Fetch as _, FetchErrorKind, Request};
/// use poller::http::HttpClient;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client = HttpClient::new()?;
/// let request = Request::new(http::Method::GET, "http://127.0.0.1:9/job?token=x".parse()?, 1 << 20);
///
/// // The default guard allows public addresses only.
/// let error = client.fetch(request).await.unwrap_err();
/// assert_eq!(error.kind(), FetchErrorKind::Blocked);
/// assert!(error.to_string().starts_with("127.0.0.1 is in loopback 127.0.0.0/8"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct HttpClient {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    routes: AllRoutes,
    descriptors: Descriptors,
    user_agent: HeaderValue,
}

impl HttpClient {
    /// A client that connects to public addresses only and trusts the system's certificates.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn new() -> Result<Self, ClientError> {
        Self::builder().build()
    }

    /// Configures a client.
    pub fn builder() -> HttpClientBuilder {
        HttpClientBuilder::new()
    }
}

impl Fetch for HttpClient {
    fn admits(&self, url: &Url) -> Result<(), FetchError> {
        self.inner.routes.own.route(false).check(url).map_err(|refusal| refused_hop(&refusal))
    }

    fn fetch(&self, request: Request) -> BoxFuture<'static, Result<Response, FetchError>> {
        Box::pin(Arc::clone(&self.inner).fetch(request, false))
    }
}

impl Inner {
    /// `after_public`: whether a public server has chosen the URL, by a redirect. One that it has chosen by a link is noticed here.
    ///
    /// Each request allocates this future, so it holds its state once: an `async fn` would hold its arguments beside the
    /// variables that they become, and all borrows before the first wait.
    fn fetch(
        self: Arc<Self>,
        mut hop: Request,
        mut after_public: bool,
    ) -> impl Future<Output = Result<Response, FetchError>> + Send + 'static {
        route::remove_framing(&mut hop.headers);
        async move {
            let mut journey = None;
            let mut routes = self.routes.of(hop.tls.as_deref())?;
            if hop.linked_from.is_some() {
                // Boxed: the future of a request would otherwise always have room for it.
                after_public |= Box::pin(self.routes.is_linked_by_public(&hop)).await;
            }
            for _ in 0..=MAX_REDIRECTS {
                let mut sent = self.send(&routes, &hop, after_public, false)?.await;
                if let Err(error) = &sent
                    && !Journey::is_resent(journey.as_deref())
                    && resend::is_safe(&hop, error)
                {
                    Journey::of(&mut journey).resent = true;
                    sent = self.send(&routes, &hop, after_public, true)?.await;
                }
                let mut response = match sent {
                    Ok(response) => response,
                    Err(error) => return Err(classify(&error, &hop.url, Phase::Head).after(journey)),
                };
                let link = response.extensions_mut().remove::<Arc<Link>>();
                let mark = link.as_ref().map(|link| link.answered());
                let status = response.status();
                if let Some(jar) = &hop.cookies {
                    jar.learn(&hop.url, response.headers());
                }
                if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED
                    && link.as_ref().is_some_and(|link| link.is_forwarded)
                {
                    return Err(refused_by_proxy(&routes, &hop, after_public));
                }
                let Some(target) = redirect::target(&hop.url, status, response.headers())? else {
                    let body =
                        read_body(&mut response, &hop).await.map_err(|error| error.after(journey.clone()))?;
                    if let (Some(link), Some(mark)) = (&link, mark) {
                        self.descriptors.idle(link, mark);
                    }
                    let headers = std::mem::take(response.headers_mut());
                    return Ok(Response::new(status.as_u16(), headers, body).after(journey));
                };
                let peer = link.and_then(|link| link.peer);
                after_public |= is_public(&hop.url, peer);
                if redirect::crosses_origin(&hop.url, &target) {
                    routes = routes.elsewhere();
                }
                hop = redirect::follow(hop, status, target, Journey::of(&mut journey))?;
            }
            Err(redirect::too_many(&hop.url))
        }
    }

    /// Sends one hop, if wanted on a connection of its own; the future returns at the head of the response.
    fn send(
        &self,
        routes: &Routes,
        hop: &Request,
        after_public: bool,
        on_new: bool,
    ) -> Result<ResponseFuture, FetchError> {
        let route = routes.route(after_public);
        route.check(&hop.url).map_err(|refusal| refused_hop(&refusal))?;
        if hop.url.scheme() == "https" && !routes.has_roots {
            return Err(FetchErrorKind::Certificate.error(
                "https needs trusted certificates, and none were found; install the system's CA certificates \
                 (often the package ca-certificates) or name a PEM file (--cacert)",
            ));
        }
        let mut request = http::Request::new(Full::new(hop.body.clone().unwrap_or_default()));
        *request.method_mut() = hop.method.clone();
        *request.uri_mut() = route::uri(&hop.url).ok_or_else(|| unsendable(&hop.url))?;
        let headers = request.headers_mut();
        headers.clone_from(&hop.headers);
        if let Some(jar) = &hop.cookies {
            jar.add_to(&hop.url, headers);
        }
        route::add_standard_headers(headers, hop);
        headers.entry(USER_AGENT).or_insert_with(|| self.user_agent.clone());
        #[cfg(feature = "compression")]
        headers.entry(ACCEPT_ENCODING).or_insert(HeaderValue::from_static(decode::ACCEPTED));
        Ok(route.send(request, on_new))
    }
}

/// The error of a 407 by the proxy that forwarded a request.
fn refused_by_proxy(routes: &Routes, hop: &Request, after_public: bool) -> FetchError {
    let uri = route::uri(&hop.url);
    let proxy = uri.as_ref().and_then(|uri| routes.route(after_public).forwarding_proxy(uri));
    let message = proxy.map(|proxy| proxy.wants_credentials().to_string());
    let unnamed = || "the proxy wants credentials (407 Proxy Authentication Required)".to_owned();
    FetchErrorKind::Proxy.error(message.unwrap_or_else(unnamed))
}

/// Reads the body of a response and undoes its codings.
async fn read_body(response: &mut http::Response<Incoming>, hop: &Request) -> Result<Bytes, FetchError> {
    #[cfg(feature = "compression")]
    if response.headers().contains_key(CONTENT_ENCODING) {
        let codings = decode::codings(response.headers(), &hop.url)?;
        if !codings.is_empty() {
            let mut headers = std::mem::take(response.headers_mut());
            // Boxed: the future of a request would otherwise always have room for it.
            let read = decode::read(response.body_mut(), &mut headers, &codings, &hop.url, hop.max_body);
            let body = Box::pin(read).await;
            *response.headers_mut() = headers;
            return body;
        }
    }
    body::read(response.body_mut(), &hop.url, hop.max_body).await
}

/// Whether a server counts as public, after whose redirects local addresses are out of reach. Without the address of a
/// connection, behind a proxy, the literal address of the URL tells; a name counts as public, the stricter reading.
fn is_public(url: &Url, peer: Option<SocketAddr>) -> bool {
    match peer.map(|peer| peer.ip()).or_else(|| ranges::literal(url)) {
        Some(address) => ranges::is_public(address),
        // Without a host, it is a socket of this machine.
        None => url.host().is_some(),
    }
}

/// Configures an [`HttpClient`].
///
/// ```
/// use poller::http::{Guard, HttpClient};
///
/// let client = HttpClient::builder().guard(Guard::local()).user_agent("exports/2.1").build()?;
/// # drop(client);
/// # Ok::<(), poller::http::ClientError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct HttpClientBuilder {
    guard: Guard,
    tls: TlsOptions,
    proxies: Option<Proxies>,
    connections: Option<usize>,
    user_agent: String,
    idle: Idle,
    fixed: HashMap<String, Vec<IpAddr>>,
}

impl HttpClientBuilder {
    fn new() -> Self {
        Self {
            guard: Guard::public_only(),
            tls: TlsOptions::new(),
            proxies: None,
            connections: None,
            user_agent: concat!("poll/", env!("CARGO_PKG_VERSION")).to_owned(),
            idle: Idle { timeout: IDLE_TIMEOUT, per_origin: IDLE_PER_ORIGIN },
            fixed: HashMap::new(),
        }
    }

    /// The addresses that the client may connect to; [`Guard::public_only`] by default.
    pub fn guard(mut self, guard: Guard) -> Self {
        self.guard = guard;
        self
    }

    /// Trusts every certificate of a PEM text, beside the system's. Other sections of the text are skipped.
    ///
    /// A certificate is trusted as an authority, and as a server's own if the server presents exactly this one, be it marked
    /// as an authority's or not: `openssl req -x509` makes such certificates. Names and dates are always checked.
    ///
    /// # Errors
    /// If the text holds no certificate, or one that is broken.
    ///
    /// ```
    /// use poller::http::HttpClient;
    ///
    /// let error = HttpClient::builder().add_root_pem(b"oops").unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "expected certificates as PEM (-----BEGIN CERTIFICATE-----), found none",
    /// );
    /// ```
    pub fn add_root_pem(mut self, pem: &[u8]) -> Result<Self, ClientError> {
        self.tls.add_roots(pem).map_err(Kind::Pem)?;
        Ok(self)
    }

    /// Whether the certificates of the system are trusted; true by default.
    pub fn system_roots(mut self, trusted: bool) -> Self {
        self.tls.system_roots = trusted;
        self
    }

    /// Shows this certificate to servers that ask for one: a PEM text with the certificate and its chain, and one with its
    /// private key (PKCS #8, PKCS #1 or SEC 1), which may be the same text. A redirect to another origin is followed without it,
    /// and no proxy sees it.
    ///
    /// # Errors
    /// If a text holds no certificate or no key, or one that is broken or encrypted, or the key belongs to another certificate.
    pub fn client_certificate(mut self, certificate: &[u8], key: &[u8]) -> Result<Self, ClientError> {
        self.tls.set_identity(certificate, key).map_err(Kind::Pem)?;
        Ok(self)
    }

    /// Whether certificates of servers are accepted without checking their issuer and names; false by default.
    ///
    /// Anyone between here and the server can then read and change everything, secrets included. To trust one certificate,
    /// [add it](Self::add_root_pem) instead.
    pub fn danger_accept_any_certificate(mut self, accepted: bool) -> Self {
        self.tls.accepts_all = accepted;
        self
    }

    /// Sends requests through proxies; by default there are none, and the environment is not read.
    ///
    /// A proxy resolves names itself, so the guard judges only URLs and literal addresses then; see [`Proxies`].
    pub fn proxies(mut self, proxies: impl Into<Option<Proxies>>) -> Self {
        self.proxies = proxies.into();
        self
    }

    /// The most connections at once, those in use and the unused ones, of which there are at most half as many. By default three quarters of the file
    /// descriptors that this process may open when the client is built.
    ///
    /// If all are taken, the one that has been unused for longest is closed, and requests wait for a place.
    pub fn connections(mut self, most: usize) -> Self {
        self.connections = Some(most);
        self
    }

    /// The `user-agent` of requests without one; `poll/<version>` by default.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// The age at which an unused connection is closed; 15 s by default. Zero keeps none.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle.timeout = timeout;
        self
    }

    /// The most unused connections per origin; 16 by default, as [`Limits::per_origin`](crate::Limits::per_origin).
    pub fn idle_per_origin(mut self, connections: usize) -> Self {
        self.idle.per_origin = connections;
        self
    }

    /// Uses these addresses for a host name instead of DNS. The guard checks them like all others.
    pub fn resolve(mut self, host: impl AsRef<str>, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        // URLs carry host names in lower case.
        self.fixed.insert(host.as_ref().to_ascii_lowercase(), addresses.into_iter().collect());
        self
    }

    /// Builds the client. Reads the certificates of the system from disk. Without certificates, only https requests fail.
    ///
    /// # Errors
    /// If the user agent is not a header value, or TLS cannot be set up.
    pub fn build(self) -> Result<HttpClient, ClientError> {
        let user_agent = HeaderValue::try_from(self.user_agent).map_err(Kind::UserAgent)?;
        let mut tls = self.tls;
        tls.read_system_roots();
        let descriptors = Descriptors::new(self.connections.unwrap_or_else(descriptors::default_limit));
        let common = Common {
            guard: self.guard,
            fixed: Arc::new(self.fixed),
            proxies: self.proxies,
            descriptors: descriptors.clone(),
            idle: self.idle,
            tls,
        };
        let inner = Inner { routes: AllRoutes::new(common).map_err(Kind::Tls)?, descriptors, user_agent };
        Ok(HttpClient { inner: Arc::new(inner) })
    }
}

/// Why an [`HttpClient`] could not be made.
///
/// ```
/// use poller::http::HttpClient;
///
/// let error = HttpClient::builder().user_agent("two\nlines").build().unwrap_err();
/// assert_eq!(error.to_string(), "the user agent has characters that a header cannot carry");
/// ```
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ClientError {
    #[from]
    kind: Kind,
}

#[derive(Debug, thiserror::Error)]
enum Kind {
    #[error(transparent)]
    Pem(PemProblem),
    #[error("the user agent has characters that a header cannot carry")]
    UserAgent(#[source] InvalidHeaderValue),
    #[error("TLS could not be set up")]
    Tls(#[source] rustls::Error),
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;
    use test_support::{Reply, Server};

    /// Each request allocates this future, and small allocations are faster.
    #[test]
    fn the_future_of_a_request_is_small() {
        let client = HttpClient::builder().build().unwrap();
        let request = Request::new(Method::GET, "http://127.0.0.1/".parse().unwrap(), 100);
        let size = size_of_val(&Arc::clone(&client.inner).fetch(request, false));
        assert!(size <= 1024, "{size} bytes");
    }

    /// Test machines have no public address to redirect from, so this enters the chain after the redirect.
    #[tokio::test]
    async fn after_a_public_hop_local_addresses_are_out_of_reach() {
        let server = Server::start(Reply::text("internal")).await;
        let client = HttpClient::builder()
            .guard(Guard::local().allow("127.0.0.0/8".parse().unwrap()))
            .resolve("internal.test", [[127, 0, 0, 1].into()])
            .build()
            .unwrap();
        for host in ["127.0.0.1", "internal.test", "localhost"] {
            let url: Url = server.url_as(host, "/").parse().unwrap();
            let request = Request::new(Method::GET, url, 100);
            let error = Arc::clone(&client.inner).fetch(request.clone(), true).await.unwrap_err();
            assert_eq!(error.kind(), FetchErrorKind::Redirect, "{host}: {error}");
            assert!(error.to_string().contains("a public server may not lead there"), "{host}: {error}");
            assert_eq!(server.requests().len(), 0, "{host}");
        }
        let direct = Request::new(Method::GET, server.url("/").parse().unwrap(), 100);
        assert_eq!(Arc::clone(&client.inner).fetch(direct, false).await.unwrap().status, 200);
    }

    #[tokio::test]
    async fn the_link_of_a_public_server_leads_to_no_local_address() {
        let server = Server::start(Reply::text("internal")).await;
        let client = HttpClient::builder()
            .guard(Guard::local())
            .resolve("public.test", [[1, 1, 1, 1].into()])
            .resolve("private.test", [[10, 0, 0, 1].into()])
            .resolve("internal.test", [[127, 0, 0, 1].into()])
            .build()
            .unwrap();
        let linked = |from: &str, host: &str| {
            let mut request = Request::new(Method::GET, server.url_as(host, "/").parse().unwrap(), 100);
            request.linked_from = Some(Arc::new(from.parse().unwrap()));
            client.fetch(request)
        };
        for (from, host) in [
            ("https://public.test/", "127.0.0.1"),
            ("https://public.test/", "internal.test"),
            ("http://1.1.1.1/", "localhost"),
        ] {
            let error = linked(from, host).await.unwrap_err();
            assert_eq!(error.kind(), FetchErrorKind::Redirect, "{from} to {host}: {error}");
            assert!(error.to_string().contains("a public server may not lead there"), "{host}: {error}");
        }
        assert_eq!(server.requests().len(), 0);
        for from in ["https://private.test/", "http://127.0.0.1:9/"] {
            assert_eq!(linked(from, "internal.test").await.unwrap().status, 200, "{from}");
        }
    }
}
