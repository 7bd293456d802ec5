//! Makes connections: directly, through a proxy, or to a unix socket; then TLS.
//!
//! ```text
//!   slot ──► unix? ──────────────────────────────────────────────────────────────────► stream
//!     │      proxy? ──► TCP to the proxy [TLS with it] ──► forwards? ───────────────►    │
//!     │                                              └──► tunnel ──► https? ──► TLS ►    │
//!     └────► direct ──► names through the guard ──► TCP ───────────► https? ──► TLS ►    ▼
//!                                                                                      pool
//! ```

use std::error::Error;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tower_service::Service;

use super::connection::{Stream, Transport};
use super::descriptors::Descriptors;
use super::failure::{NoSocket, describe, is_out_of_descriptors};
use super::guard::Guard;
use super::link::Link;
use super::proxy::{Endpoint, Proxies};
use super::resolve::{GuardedResolver, HopPolicy};
use super::tls::Tls;
use super::unix;

/// TCP keepalive: the first probe, the interval of further probes, and their number.
const TCP_KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(15), Duration::from_secs(15), 3);

/// The longest time that sent data may stay unacknowledged before the system gives a connection up.
#[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(30);

type BoxError = Box<dyn Error + Send + Sync>;

/// The connector of a connection pool; clones share everything.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    inner: Arc<Inner>,
    /// Whether TLS offers HTTP/1.1 only.
    http1_only: bool,
}

#[derive(Debug)]
struct Inner {
    direct: HttpConnector<GuardedResolver>,
    resolver: GuardedResolver,
    to_proxy: HttpConnector<GuardedResolver>,
    proxies: Option<Proxies>,
    tls: Tls,
    descriptors: Descriptors,
}

impl Connector {
    pub(super) fn new(
        resolver: GuardedResolver,
        proxies: Option<Proxies>,
        tls: Tls,
        descriptors: Descriptors,
    ) -> Self {
        let to_proxy = tcp(unguarded(&resolver));
        let direct = tcp(resolver.clone());
        let inner = Inner { direct, resolver, to_proxy, proxies, tls, descriptors };
        Self { inner: Arc::new(inner), http1_only: false }
    }

    /// The same connector for requests that need HTTP/1.1.
    pub(super) fn http1_only(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), http1_only: true }
    }

    /// The proxy that forwards requests of this URI, as opposed to making a tunnel.
    pub(super) fn forwarding_proxy(&self, uri: &Uri) -> Option<&Endpoint> {
        let endpoint = self.inner.proxies.as_ref()?.endpoint(uri)?;
        endpoint.forwards(uri).then_some(&**endpoint)
    }
}

/// A resolver for the name of a proxy, which the guard does not judge.
fn unguarded(resolver: &GuardedResolver) -> GuardedResolver {
    GuardedResolver { policy: HopPolicy::first(Guard::anywhere()), ..resolver.clone() }
}

fn tcp(resolver: GuardedResolver) -> HttpConnector<GuardedResolver> {
    let mut tcp = HttpConnector::new_with_resolver(resolver);
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let (after, interval, retries) = TCP_KEEPALIVE;
    tcp.set_keepalive(Some(after));
    tcp.set_keepalive_interval(Some(interval));
    tcp.set_keepalive_retries(Some(retries));
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    tcp.set_tcp_user_timeout(Some(TCP_USER_TIMEOUT));
    tcp
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (inner, http1_only) = (Arc::clone(&self.inner), self.http1_only);
        Box::pin(async move { inner.connect(uri, http1_only).await })
    }
}

impl Inner {
    async fn connect(&self, uri: Uri, http1_only: bool) -> Result<TokioIo<Stream>, BoxError> {
        let slot = self.descriptors.slot().await;
        let (mut peer, mut is_forwarded) = (None, false);
        let transport = if let Some(path) = unix::socket(&uri) {
            self.unix(&path).await?
        } else if let Some(proxy) = self.proxies.as_ref().and_then(|proxies| proxies.endpoint(&uri)) {
            is_forwarded = proxy.forwards(&uri);
            self.through(proxy, &uri).await?
        } else {
            let tcp = self.tcp(&self.direct, &uri).await?;
            peer = tcp.peer_addr().ok();
            Transport::Tcp(tcp)
        };
        if uri.scheme_str() != Some("https") {
            return Ok(Stream::new(transport, Link::new(peer, is_forwarded, false), slot));
        }
        let connector = if http1_only { &self.tls.http1 } else { &self.tls.any };
        let stream = connector.connect(server_name(uri.host().unwrap_or_default())?, transport).await?;
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Stream::new(Transport::other(stream), Link::new(peer, false, is_http2), slot))
    }

    /// A TCP connection. If the system has no descriptor left, an idle connection is closed for it, or the attempt waits for
    /// one in use.
    async fn tcp(
        &self,
        connector: &HttpConnector<GuardedResolver>,
        uri: &Uri,
    ) -> Result<TcpStream, BoxError> {
        loop {
            let error = match connector.clone().call(uri.clone()).await {
                Ok(stream) => return Ok(stream.into_inner()),
                Err(error) => error,
            };
            if !is_out_of_descriptors(&error) || !self.descriptors.make_room().await {
                return Err(error.into());
            }
        }
    }

    async fn through(&self, proxy: &Endpoint, uri: &Uri) -> Result<Transport, BoxError> {
        let place = proxy.place();
        let failed = |error: &(dyn Error + 'static)| {
            proxy.failure(format_args!("cannot be used: {}", describe(error, &place)))
        };
        let address = proxy.uri().ok_or_else(|| proxy.failure("has a name that cannot be asked"))?;
        let tcp = self.tcp(&self.to_proxy, &address).await.map_err(|error| failed(&*error))?;
        let mut to_proxy = Transport::Tcp(tcp);
        if proxy.has_tls() {
            let stream = self.tls.to_proxy.connect(server_name(&proxy.host)?, to_proxy).await;
            to_proxy = Transport::other(stream.map_err(|error| failed(&error))?);
        }
        if proxy.forwards(uri) {
            return Ok(to_proxy);
        }
        let host = uri.host().unwrap_or_default();
        let default = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        let port = uri.port_u16().unwrap_or(default);
        let addresses = if proxy.wants_addresses() { Some(self.addresses(host, port).await?) } else { None };
        Ok(proxy.tunnel(to_proxy, (host, port), addresses).await?)
    }

    /// The addresses of a host that the guard allows. A literal address was checked with its URL.
    async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, BoxError> {
        if let Ok(address) = host.trim_matches(['[', ']']).parse() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        Ok(self.resolver.clone().sockets(host.to_owned(), port).await?.collect())
    }

    #[cfg(unix)]
    async fn unix(&self, path: &std::path::Path) -> Result<Transport, BoxError> {
        match tokio::net::UnixStream::connect(path).await {
            Ok(stream) => Ok(Transport::other(stream)),
            Err(error) => Err(Box::new(NoSocket { path: path.display().to_string(), error })),
        }
    }

    #[cfg(not(unix))]
    async fn unix(&self, path: &std::path::Path) -> Result<Transport, BoxError> {
        let error = std::io::ErrorKind::Unsupported.into();
        Err(Box::new(NoSocket { path: path.display().to_string(), error }))
    }
}

fn server_name(host: &str) -> Result<ServerName<'static>, BoxError> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    Ok(ServerName::try_from(bare.to_owned())?)
}
