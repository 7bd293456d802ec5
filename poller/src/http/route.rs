//! A pool of connections, and the policy that every one of them has passed.
//!
//! `hyper-util` keeps the pool, over HTTP/1.1 and HTTP/2, and `tower-http` asks for compression and undoes it. What clients
//! above those add (redirects, retries, proxies, cookies, a URL parsed anew for every response) would be turned off here
//! and paid for still.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use tower_http::decompression::{Decompression, DecompressionBody};
use tower_service::Service as _;
use url::Url;

use super::resolve::{GuardedResolver, HopPolicy, Refusal};

/// How often an HTTP/2 connection is asked whether it still lives, and how long it may take to answer. Without this, one
/// connection that died silently would swallow all polls of its origin until the system gives it up, minutes later.
const HTTP2_PING: Duration = Duration::from_secs(10);

/// When the system asks a silent peer whether it is still there, how often again, and how many times.
const TCP_KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(15), Duration::from_secs(15), 3);

/// How long what was sent may stay unacknowledged before the system gives a connection up.
#[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(30);

/// The body of a response as it comes, decompressed.
pub(super) type ResponseBody = DecompressionBody<Incoming>;

/// How long unused connections are kept, and how many per origin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Idle {
    pub(super) timeout: Duration,
    pub(super) per_origin: usize,
}

/// A connection pool and the policy that every connection in it has passed.
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

    /// Whether a request may be sent there, as far as the URL itself tells.
    pub(super) fn check(&self, url: &Url) -> Result<(), Refusal> {
        self.policy.check_url(url)
    }

    /// Sends one request, whose URI is a whole one; waits for the head of its response.
    pub(super) fn send(
        &self,
        request: http::Request<Full<Bytes>>,
    ) -> impl Future<Output = Result<Response<ResponseBody>, Error>> + Send + use<> {
        Decompression::new(&self.client).call(request)
    }
}

/// The URL as a request carries it; none if it cannot, as a very long one.
pub(super) fn uri(url: &Url) -> Option<Uri> {
    Uri::try_from(url.as_str()).ok()
}
