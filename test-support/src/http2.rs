//! An HTTP/2 server for the faults that HTTP/1.1 does not have.
//!
//! An HTTP/2 server can declare a request unprocessed (REFUSED_STREAM, GOAWAY), and many HTTP libraries then repeat it
//! without the caller's knowledge. A client that counts requests must not. Only these faults are scripted here; all others
//! are tested over HTTP/1.1, with [`Server`](crate::Server).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use h2::Reason;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::tls::Identity;

/// What one request over HTTP/2 gets.
///
/// ```
/// use test_support::Http2Reply;
///
/// let script = [Http2Reply::Refuse, Http2Reply::Text("at last")];
/// # drop(script);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Http2Reply {
    /// 200 with this body.
    Text(&'static str),
    /// The stream is refused: the request was not looked at.
    Refuse,
    /// 200 and half a body, then the stream is reset.
    BreakOff,
    /// The connection is ended without an answer.
    GoAway,
}

/// A running HTTP/2 server over TLS; dropping it stops it.
///
/// ```
/// use test_support::{Authority, Http2Reply, Http2Server};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let identity = Authority::new().issue(["127.0.0.1"]);
/// let server = Http2Server::start([Http2Reply::Text("x")], &identity).await;
/// assert_eq!((server.requests(), server.connections()), (0, 0));
/// # }
/// ```
#[derive(Debug)]
pub struct Http2Server {
    addr: SocketAddr,
    counts: Arc<Counts>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Counts {
    requests: AtomicUsize,
    connections: AtomicUsize,
}

impl Http2Server {
    /// Starts a server that gives these replies in turn, the last one again and again.
    ///
    /// # Panics
    /// Without a reply, or if no loopback port can be had.
    pub async fn start<const N: usize>(replies: [Http2Reply; N], identity: &Identity) -> Self {
        assert!(N > 0, "a script needs at least one reply");
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a loopback port is free");
        let addr = listener.local_addr().expect("a listener has an address");
        let counts = Arc::new(Counts::default());
        let accepting =
            tokio::spawn(accept(listener, identity.http2_acceptor(), replies.to_vec(), Arc::clone(&counts)));
        Self { addr, counts, accepting }
    }

    /// A URL on this server, by its address.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.addr)
    }

    /// How many requests have arrived so far.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.counts.requests.load(Ordering::SeqCst)
    }

    /// How many connections have been accepted so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.counts.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Http2Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, replies: Vec<Http2Reply>, counts: Arc<Counts>) {
    let replies = Arc::new(replies);
    let mut connections = JoinSet::new();
    loop {
        let (socket, _) = tokio::select! {
            accepted = listener.accept() => accepted.expect("the listener accepts"),
            Some(_) = connections.join_next() => continue,
        };
        counts.connections.fetch_add(1, Ordering::SeqCst);
        let (tls, replies, counts) = (tls.clone(), Arc::clone(&replies), Arc::clone(&counts));
        connections.spawn(async move {
            // However a connection ends, the test sees it from the client's side.
            let _ended = serve(socket, &tls, &replies, &counts).await;
        });
    }
}

async fn serve(
    socket: TcpStream,
    tls: &TlsAcceptor,
    replies: &[Http2Reply],
    counts: &Counts,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut connection = h2::server::handshake(tls.accept(socket).await?).await?;
    while let Some(request) = connection.accept().await {
        let (_request, mut respond) = request?;
        let turn = counts.requests.fetch_add(1, Ordering::SeqCst);
        match replies[turn.min(replies.len() - 1)] {
            Http2Reply::Text(body) => {
                let mut stream = respond.send_response(http::Response::new(()), false)?;
                stream.send_data(Bytes::from_static(body.as_bytes()), true)?;
            }
            Http2Reply::Refuse => respond.send_reset(Reason::REFUSED_STREAM),
            Http2Reply::BreakOff => {
                let mut stream = respond.send_response(http::Response::new(()), false)?;
                stream.send_data(Bytes::from_static(b"half"), false)?;
                stream.send_reset(Reason::INTERNAL_ERROR);
            }
            Http2Reply::GoAway => connection.abrupt_shutdown(Reason::NO_ERROR),
        }
    }
    Ok(())
}
