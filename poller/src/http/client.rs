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
//! - One call sends one request per hop. The library below adds no redirects (they are followed here, where each hop is
//!   guarded and the user's headers are dropped), proxies, cookies or referers.
//! - A kept-alive connection that the server has closed is detected before use and replaced. If the close crosses the request
//!   on the wire, the attempt fails as [`Reset`](crate::fetch::FetchErrorKind::Reset): the server may have acted on it, and a
//!   second request would be one that no schedule counts. Only a request of which no byte was written moves to another
//!   connection; no server sees it twice.
//! - There are two connection pools. After a public address has redirected, the rest of the chain uses a pool whose resolver
//!   allows no local addresses. Checking the address after the response would be too late: the request would have been sent.
//! - No clock: the caller drops the future to end a request, and its connection closes.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderValue, InvalidHeaderValue, USER_AGENT};
use http_body_util::Full;
use hyper_util::client::legacy::Error;
use hyper_util::client::legacy::connect::HttpInfo;
use rustls::RootCertStore;
use url::Url;

use super::body;
use super::failure::{Phase, classify, refused_hop, unsendable};
use super::guard::Guard;
use super::ranges;
use super::redirect::{self, MAX_REDIRECTS};
use super::resolve::{GuardedResolver, HopPolicy};
use super::route::{self, Idle, ResponseBody, Route};
use super::tls::{self, PemProblem};
use crate::clock::BoxFuture;
use crate::fetch::{Fetch, FetchError, FetchErrorKind, Request, Response};

/// The age at which an unused connection is closed. It spans the shortest ordinary interval (10 s); a longer time would keep
/// a socket for every origin of many polls, and meet more connections that the server has closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// The most unused connections per origin: the default of requests in flight to one origin. With fewer, polls that are due
/// together would open new connections each time.
const IDLE_PER_ORIGIN: usize = 16;

/// A [`Fetch`] over HTTP/1.1 and HTTP/2 with connection reuse, TLS and a [`Guard`]. Clones share everything.
///
/// Redirects, compression (gzip, brotli, deflate, zstd) and caps are handled as POLL.md says. `host`, `content-length`,
/// `connection` and `transfer-encoding` among a request's headers are replaced by the true ones.
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
    /// For URLs that the user chose.
    first: Route,
    /// For URLs that a public server redirected to.
    after_public: Route,
    user_agent: HeaderValue,
    has_roots: bool,
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
        self.inner.first.check(url).map_err(|refusal| refused_hop(&refusal))
    }

    fn fetch(&self, request: Request) -> BoxFuture<'static, Result<Response, FetchError>> {
        Box::pin(Arc::clone(&self.inner).fetch(request, false))
    }
}

impl Inner {
    /// `after_public`: whether a public server has chosen the URL, by a redirect.
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
            for _ in 0..=MAX_REDIRECTS {
                let sent = self.send(&hop, after_public)?;
                let mut response = sent.await.map_err(|error| classify(&error, &hop.url, Phase::Head))?;
                let status = response.status();
                let Some(target) = redirect::target(&hop.url, status, response.headers())? else {
                    let body = body::read(response.body_mut(), &hop.url, hop.max_body).await?;
                    let headers = std::mem::take(response.headers_mut());
                    return Ok(Response::new(status.as_u16(), headers, body));
                };
                let peer = response.extensions().get::<HttpInfo>().map(HttpInfo::remote_addr);
                // An unknown address counts as public: the stricter reading.
                after_public |= peer.is_none_or(|address| ranges::is_public(address.ip()));
                hop = redirect::follow(hop, status, target)?;
            }
            Err(redirect::too_many(&hop.url))
        }
    }

    /// Sends one hop; the future returns at the head of the response.
    fn send(
        &self,
        hop: &Request,
        after_public: bool,
    ) -> Result<impl Future<Output = Result<http::Response<ResponseBody>, Error>> + use<>, FetchError> {
        let route = if after_public { &self.after_public } else { &self.first };
        route.check(&hop.url).map_err(|refusal| refused_hop(&refusal))?;
        if hop.url.scheme() == "https" && !self.has_roots {
            return Err(FetchError::new(
                FetchErrorKind::Certificate,
                "https needs trusted certificates, and none were found; install the system's CA certificates \
                 (often the package ca-certificates) or name a PEM file (--cacert)",
            ));
        }
        let mut request = http::Request::new(Full::new(hop.body.clone().unwrap_or_default()));
        *request.method_mut() = hop.method.clone();
        *request.uri_mut() = route::uri(&hop.url).ok_or_else(|| unsendable(&hop.url))?;
        let headers = request.headers_mut();
        headers.clone_from(&hop.headers);
        route::add_standard_headers(headers, hop);
        headers.entry(USER_AGENT).or_insert_with(|| self.user_agent.clone());
        Ok(route.send(request))
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
    roots: RootCertStore,
    system_roots: bool,
    user_agent: String,
    idle_timeout: Duration,
    idle_per_origin: usize,
    fixed: HashMap<String, Vec<IpAddr>>,
}

impl HttpClientBuilder {
    fn new() -> Self {
        Self {
            guard: Guard::public_only(),
            roots: RootCertStore::empty(),
            system_roots: true,
            user_agent: concat!("poll/", env!("CARGO_PKG_VERSION")).to_owned(),
            idle_timeout: IDLE_TIMEOUT,
            idle_per_origin: IDLE_PER_ORIGIN,
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
        tls::add_pem(&mut self.roots, pem).map_err(Kind::Pem)?;
        Ok(self)
    }

    /// Whether the certificates of the system are trusted; true by default.
    pub fn system_roots(mut self, trusted: bool) -> Self {
        self.system_roots = trusted;
        self
    }

    /// The `user-agent` of requests without one; `poll/<version>` by default.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// The age at which an unused connection is closed; 15 s by default. Zero keeps none.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// The most unused connections per origin; 16 by default, as [`Limits::per_origin`](crate::Limits::per_origin).
    pub fn idle_per_origin(mut self, connections: usize) -> Self {
        self.idle_per_origin = connections;
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
        let trust = tls::trust(self.roots, self.system_roots).map_err(Kind::Tls)?;
        let fixed = Arc::new(self.fixed);
        let idle = Idle { timeout: self.idle_timeout, per_origin: self.idle_per_origin };
        let route = |policy| {
            let resolver = GuardedResolver { policy, fixed: Arc::clone(&fixed) };
            Route::new(resolver, trust.config.clone(), idle)
        };
        let first = route(HopPolicy::first(self.guard.clone()));
        let after_public = route(HopPolicy::after_public(self.guard));
        let inner = Inner { first, after_public, user_agent, has_roots: trust.has_roots };
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
#[derive(Debug)]
pub struct ClientError {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Pem(PemProblem),
    UserAgent(InvalidHeaderValue),
    Tls(rustls::Error),
}

impl From<Kind> for ClientError {
    fn from(kind: Kind) -> Self {
        Self { kind }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Pem(problem) => problem.fmt(f),
            Kind::UserAgent(_) => f.write_str("the user agent has characters that a header cannot carry"),
            Kind::Tls(_) => f.write_str("TLS could not be set up"),
        }
    }
}

impl std::error::Error for ClientError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            Kind::Pem(problem) => problem.source(),
            Kind::UserAgent(error) => Some(error),
            Kind::Tls(error) => Some(error),
        }
    }
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
            assert!(error.to_string().contains("a public server may not redirect there"), "{host}: {error}");
            assert_eq!(server.requests().len(), 0, "{host}");
        }
        let direct = Request::new(Method::GET, server.url("/").parse().unwrap(), 100);
        assert_eq!(Arc::clone(&client.inner).fetch(direct, false).await.unwrap().status, 200);
    }
}
