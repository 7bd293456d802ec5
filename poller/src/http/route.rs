//! A pool of connections, and the policy that each of them has passed.
//!
//! `hyper-util` keeps the pool, over HTTP/1.1 and HTTP/2, and `tower-http` handles compression. A client on top of them would
//! add redirects, retries, proxies, cookies and another parse of the URL, all to be turned off here and still paid for.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
#[cfg(feature = "compression")]
use tower_http::decompression::Decompression;
#[cfg(feature = "compression")]
use tower_service::Service as _;
use url::Url;

use super::resolve::{GuardedResolver, HopPolicy, Refusal};
use crate::fetch::Request;

/// The interval of HTTP/2 pings, and the time for an answer. Without pings, one silently broken connection would swallow all
/// polls of its origin until the system gives it up, minutes later.
const HTTP2_PING: Duration = Duration::from_secs(10);

/// TCP keepalive: the first probe, the interval of further probes, and their number.
const TCP_KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(15), Duration::from_secs(15), 3);

/// The longest time that sent data may stay unacknowledged before the system gives a connection up.
#[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(30);

/// The body of a response as it arrives, decompressed.
#[cfg(feature = "compression")]
pub(super) type ResponseBody = tower_http::decompression::DecompressionBody<Incoming>;
#[cfg(not(feature = "compression"))]
pub(super) type ResponseBody = Incoming;

/// The limits of unused connections: their age, and their number per origin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Idle {
    pub(super) timeout: Duration,
    pub(super) per_origin: usize,
}

/// A connection pool and the policy that each of its connections has passed.
#[derive(Clone, Debug)]
pub(super) struct Route {
    policy: HopPolicy,
    client: Client<HttpsConnector<HttpConnector<GuardedResolver>>, Full<Bytes>>,
}

impl Route {
    pub(super) fn new(resolver: GuardedResolver, tls: ClientConfig, idle: Idle) -> Self {
        let policy = resolver.policy.clone();
        let mut tcp = HttpConnector::new_with_resolver(resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let (after, interval, retries) = TCP_KEEPALIVE;
        tcp.set_keepalive(Some(after));
        tcp.set_keepalive_interval(Some(interval));
        tcp.set_keepalive_retries(Some(retries));
        #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
        tcp.set_tcp_user_timeout(Some(TCP_USER_TIMEOUT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(idle.timeout)
            .pool_max_idle_per_host(if idle.timeout.is_zero() { 0 } else { idle.per_origin })
            .http2_keep_alive_interval(HTTP2_PING)
            .http2_keep_alive_timeout(HTTP2_PING)
            .http2_keep_alive_while_idle(true)
            .build(connector);
        Self { policy, client }
    }

    /// Whether the policy allows a request to this URL. Names are checked when they are resolved.
    pub(super) fn check(&self, url: &Url) -> Result<(), Refusal> {
        self.policy.check_url(url)
    }

    /// Sends one request with an absolute URI; returns at the head of the response.
    pub(super) fn send(
        &self,
        request: http::Request<Full<Bytes>>,
    ) -> impl Future<Output = Result<Response<ResponseBody>, Error>> + Send + use<> {
        #[cfg(feature = "compression")]
        return Decompression::new(&self.client).call(request);
        #[cfg(not(feature = "compression"))]
        return self.client.request(request);
    }
}

/// Removes the headers that the client sets itself.
pub(super) fn remove_framing(headers: &mut HeaderMap) {
    for name in [HOST, CONTENT_LENGTH, CONNECTION, TRANSFER_ENCODING] {
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
    Uri::try_from(url.as_str()).ok()
}
