//! The server: accepts, reads requests, plays the script, records what happened.
//!
//! One task accepts and owns the tasks of all connections, so dropping the [`Server`] closes every socket at once. A
//! connection that waits, for a gate or because it stalls, also reads: that is how it learns that the client has left.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::log::{End, Log, Received};
use crate::reply::Ending;
use crate::script::{Play, Script};
use crate::tls::Identity;
use crate::wire;

/// A running server on a loopback port of its own; dropping it stops it.
///
/// ```
/// use test_support::{End, Gate, Reply, Server};
/// use tokio::io::AsyncWriteExt as _;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let gate = Gate::new();
/// let server = Server::start(Reply::text("late").held_by(&gate)).await;
/// let mut client = tokio::net::TcpStream::connect(server.addr()).await?;
/// client.write_all(b"GET /job HTTP/1.1\r\n\r\n").await?;
///
/// assert_eq!(server.arrived(0).await.path, "/job");
/// gate.open();
/// assert_eq!(server.ended(0).await, End::Replied);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Server {
    addr: SocketAddr,
    scheme: &'static str,
    log: Arc<Log>,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Starts a server that plays `script`.
    ///
    /// # Panics
    /// If no loopback port can be had.
    pub async fn start(script: impl Into<Script>) -> Self {
        Self::listen(script.into(), None).await
    }

    /// Starts a server that plays `script` over TLS.
    ///
    /// # Panics
    /// If no loopback port can be had.
    pub async fn start_tls(script: impl Into<Script>, identity: &Identity) -> Self {
        Self::listen(script.into(), Some(identity.acceptor())).await
    }

    /// Starts a server that plays `script` on a unix socket at `path`. It has no address, and its URLs are of no use.
    ///
    /// # Panics
    /// If the socket cannot be made.
    #[cfg(unix)]
    pub fn start_unix(script: impl Into<Script>, path: &std::path::Path) -> Self {
        let listener = tokio::net::UnixListener::bind(path).expect("the socket can be made");
        let log = Arc::new(Log::default());
        let (play, accepted) = (Arc::new(Play::new(script.into())), Arc::clone(&log));
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (socket, _) = listener.accept().await.expect("the listener accepts");
                let (play, log) = (Arc::clone(&play), Arc::clone(&accepted));
                let connection = log.opened();
                connections.spawn(async move {
                    serve(socket, connection, &play, &log).await;
                    log.closed();
                });
            }
        });
        Self { addr: SocketAddr::from(([0, 0, 0, 0], 0)), scheme: "unix", log, accepting }
    }

    async fn listen(script: Script, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a loopback port is free");
        let addr = listener.local_addr().expect("a listener has an address");
        let scheme = if tls.is_some() { "https" } else { "http" };
        let log = Arc::new(Log::default());
        let accepting = tokio::spawn(accept(listener, tls, Arc::new(Play::new(script)), Arc::clone(&log)));
        Self { addr, scheme, log, accepting }
    }

    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// A URL on this server, by its address.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.addr)
    }

    /// A URL on this server under another name for it, such as `localhost`: another origin.
    #[must_use]
    pub fn url_as(&self, host: &str, path: &str) -> String {
        format!("{}://{host}:{}{path}", self.scheme, self.addr.port())
    }

    /// Every request so far, in order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Received> {
        self.log.read(|record| record.requests.clone())
    }

    /// How many connections have been accepted so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.log.read(|record| record.connections)
    }

    /// Whether a request for `path` (without query) arrived while an earlier one for it was still being answered.
    #[must_use]
    pub fn overlapped(&self, path: &str) -> bool {
        self.log.read(|record| {
            let of_path: Vec<_> =
                record.requests.iter().filter(|r| r.path.split('?').next() == Some(path)).collect();
            of_path.windows(2).any(|pair| pair[0].ended.is_none_or(|(ended, _)| pair[1].arrived < ended))
        })
    }

    /// Waits until request `index` (from 0) has arrived.
    pub async fn arrived(&self, index: usize) -> Received {
        self.wait(index, |_| true).await
    }

    /// Waits until the reply to request `index` has stopped half-way and holds the connection.
    pub async fn stalled(&self, index: usize) -> Received {
        self.wait(index, |request| request.stalled).await
    }

    /// Waits until request `index` has ended, and says how.
    ///
    /// # Panics
    /// Never.
    pub async fn ended(&self, index: usize) -> End {
        self.wait(index, |request| request.ended.is_some()).await.ended.expect("just waited for").1
    }

    /// Waits until `count` connections are closed, by either side.
    pub async fn closed(&self, count: usize) {
        self.log.wait_for(|record| record.closed >= count).await;
    }

    async fn wait(&self, index: usize, condition: impl Fn(&Received) -> bool) -> Received {
        self.log.wait_for(|record| record.requests.get(index).is_some_and(&condition)).await;
        self.log.read(|record| record.requests[index].clone())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A stream that knows the TCP socket under it, whose linger time decides between close and reset.
trait Socket: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    fn tcp(&self) -> Option<&TcpStream>;
}

impl Socket for TcpStream {
    fn tcp(&self) -> Option<&TcpStream> {
        Some(self)
    }
}

impl Socket for TlsStream<TcpStream> {
    fn tcp(&self) -> Option<&TcpStream> {
        Some(self.get_ref().0)
    }
}

#[cfg(unix)]
impl Socket for tokio::net::UnixStream {
    fn tcp(&self) -> Option<&TcpStream> {
        None
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, play: Arc<Play>, log: Arc<Log>) {
    let mut connections = JoinSet::new();
    loop {
        let (socket, _) = tokio::select! {
            accepted = listener.accept() => accepted.expect("the listener accepts"),
            Some(_) = connections.join_next() => continue,
        };
        let (play, log, tls) = (Arc::clone(&play), Arc::clone(&log), tls.clone());
        let connection = log.opened();
        connections.spawn(async move {
            match tls {
                None => serve(socket, connection, &play, &log).await,
                // A client that does not trust the certificate breaks off here: that is its right, not a fault.
                Some(tls) => match tls.accept(socket).await {
                    Ok(stream) => serve(stream, connection, &play, &log).await,
                    Err(_refused_by_client) => {}
                },
            }
            log.closed();
        });
    }
}

/// Serves one connection until either side ends it. Errors of the socket mean that the client has left.
async fn serve<S: Socket>(mut socket: S, connection: usize, play: &Play, log: &Log) {
    let mut buffer = Vec::new();
    loop {
        let Some(request) = wire::take_request(&mut buffer, connection) else {
            match socket.read_buf(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(_) => continue,
            }
        };
        let request = log.arrived(request);
        let reply = play.reply(&request);
        if let Some(gate) = &reply.gate {
            tokio::select! {
                () = gate.opened() => {}
                () = client_gone(&mut socket, &mut buffer) => return log.ended(request.index, End::ClientGone),
            }
        }
        if reply.ending != Ending::Stall {
            log.ended(request.index, End::Replied);
        }
        let bytes = wire::render(&reply, request.method == "HEAD");
        if socket.write_all(&bytes).await.is_err() || socket.flush().await.is_err() {
            return log.ended(request.index, End::ClientGone);
        }
        match reply.ending {
            Ending::KeepAlive => {}
            Ending::Close => {
                // A client that has already disconnected causes an error here, which does not matter.
                let _already_gone = socket.shutdown().await;
                return;
            }
            Ending::Reset => {
                let tcp = socket.tcp().expect("only TCP connections can be reset");
                return tcp.set_zero_linger().expect("a TCP socket can linger");
            }
            Ending::Stall => {
                log.stalled(request.index);
                client_gone(&mut socket, &mut buffer).await;
                return log.ended(request.index, End::ClientGone);
            }
        }
    }
}

/// Completes when the client has closed or reset the connection. What it sends until then is kept for later.
async fn client_gone<S: Socket>(socket: &mut S, buffer: &mut Vec<u8>) {
    while matches!(socket.read_buf(buffer).await, Ok(read) if read > 0) {}
}
