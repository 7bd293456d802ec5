//! Pools of connections, and the policy that each of them has passed.
//!
//! `hyper-util` keeps the pools, over HTTP/1.1 and HTTP/2. A client on top of it would add redirects, retries, cookies and
//! another parse of the URL, all to be turned off here and still paid for.

use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT, CONNECTION, CONTENT_LENGTH, HOST, HeaderName, PROXY_AUTHORIZATION, TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderValue, Method, Uri};
use http_body_util::Full;
use hyper_util::client::legacy::{Client, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use url::Url;

use super::connect::Connector;
use super::failure::{HTTP1_HEAD, MOST_HEADERS};
use super::proxy::Endpoint;
use super::resolve::{HopPolicy, Refusal};
use super::unix;
use crate::fetch::Request;

/// The interval of HTTP/2 pings, and the time for an answer. Without pings, one silently broken connection would swallow all
/// polls of its origin until the system gives it up, minutes later.
const HTTP2_PING: Duration = Duration::from_secs(10);

/// The largest head of a response over HTTP/2, in bytes as RFC 9113 counts them. The default of 16 kB is less than what some
/// servers send.
const HTTP2_HEAD: u32 = 256 << 10;

/// The limits of unused connections: their age, and their number per origin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Idle {
    pub(super) timeout: Duration,
    pub(super) per_origin: usize,
}

type Pool = Client<Connector, Full<Bytes>>;

/// The pools of one policy.
#[derive(Clone, Debug)]
pub(super) struct Route {
    policy: HopPolicy,
    connector: Connector,
    any: Pools,
    /// For requests with a `host` of their own: HTTP/2 has no place for a host beside the URL's.
    http1: Pools,
}

#[derive(Clone, Debug)]
struct Pools {
    kept: Pool,
    /// A new connection for each request, which is closed after it.
    fresh: Pool,
}

impl Pools {
    fn new(connector: &Connector, idle: Idle) -> Self {
        let pool = |per_origin| {
            Client::builder(TokioExecutor::new())
                .timer(TokioTimer::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(idle.timeout)
                .pool_max_idle_per_host(per_origin)
                .http1_max_headers(MOST_HEADERS)
                .http1_max_buf_size(HTTP1_HEAD)
                .http2_max_header_list_size(HTTP2_HEAD)
                .http2_keep_alive_interval(HTTP2_PING)
                .http2_keep_alive_timeout(HTTP2_PING)
                .http2_keep_alive_while_idle(true)
                .build(connector.clone())
        };
        let per_origin = if idle.timeout.is_zero() { 0 } else { idle.per_origin };
        Self { kept: pool(per_origin), fresh: pool(0) }
    }
}

impl Route {
    pub(super) fn new(policy: HopPolicy, connector: Connector, idle: Idle) -> Self {
        let (any, http1) = (Pools::new(&connector, idle), Pools::new(&connector.http1_only(), idle));
        Self { policy, connector, any, http1 }
    }

    /// Whether the policy allows a request to this URL. Names are checked when they are resolved.
    pub(super) fn check(&self, url: &Url) -> Result<(), Refusal> {
        self.policy.check_url(url)
    }

    /// The proxy that would forward a request of this URI.
    pub(super) fn forwarding_proxy(&self, uri: &Uri) -> Option<&Endpoint> {
        self.connector.forwarding_proxy(uri)
    }

    /// Sends one request with an absolute URI, if wanted on a connection of its own; returns at the head of the response.
    pub(super) fn send(&self, mut request: http::Request<Full<Bytes>>, on_new: bool) -> ResponseFuture {
        let pools = if request.headers().contains_key(HOST) { &self.http1 } else { &self.any };
        if unix::is_uri(request.uri()) {
            request.headers_mut().entry(HOST).or_insert(HeaderValue::from_static("localhost"));
        } else if let Some(value) = self.forwarding_proxy(request.uri()).and_then(Endpoint::authorization) {
            request.headers_mut().insert(PROXY_AUTHORIZATION, value);
        }
        if on_new { pools.fresh.request(request) } else { pools.kept.request(request) }
    }
}

/// Removes the headers of the connection, which the client sets itself, and those of a proxy, which come from its URL.
pub(super) fn remove_framing(headers: &mut HeaderMap) {
    const OTHERS: [HeaderName; 2] = [HeaderName::from_static("proxy-connection"), PROXY_AUTHORIZATION];
    for name in [CONTENT_LENGTH, CONNECTION, TRANSFER_ENCODING].into_iter().chain(OTHERS) {
        headers.remove(name);
    }
}

/// Completes the user's headers of a hop and marks them as sensitive.
pub(super) fn add_standard_headers(headers: &mut HeaderMap, hop: &Request) {
    // Any header may hold a secret: sensitive ones stay out of debug output and out of HTTP/2's compression tables.
    headers.values_mut().for_each(|value| value.set_sensitive(true));
    headers.entry(ACCEPT).or_insert(HeaderValue::from_static("application/json, */*;q=0.1"));
    // Without a length some servers answer 411; the Fetch standard sends it too.
    if hop.body.is_none() && matches!(hop.method, Method::POST | Method::PUT | Method::PATCH) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
}

/// The URL as a URI; `None` if it is too long for one.
pub(super) fn uri(url: &Url) -> Option<Uri> {
    if url.scheme() == unix::SCHEME { unix::uri(url) } else { Uri::try_from(url.as_str()).ok() }
}
