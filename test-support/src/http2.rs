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
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
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

    /// Starts a server whose connections answer `requests` requests with `body` each. When the next one arrives on the
    /// connection, it gets a GOAWAY with this code that does not include it, and the connection is closed: what a server does
    /// whose limit of requests or age crosses a request on the wire.
    ///
    /// The frames are written here, as the library cannot be made to ignore a request.
    ///
    /// # Panics
    /// If no loopback port can be had.
    pub async fn start_leaving(requests: u32, code: u32, body: &'static str, identity: &Identity) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a loopback port is free");
        let addr = listener.local_addr().expect("a listener has an address");
        let counts = Arc::new(Counts::default());
        let (tls, counting) = (identity.http2_acceptor(), Arc::clone(&counts));
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (socket, _) = tokio::select! {
                    accepted = listener.accept() => accepted.expect("the listener accepts"),
                    Some(_) = connections.join_next() => continue,
                };
                counting.connections.fetch_add(1, Ordering::SeqCst);
                let (tls, counts) = (tls.clone(), Arc::clone(&counting));
                connections.spawn(async move {
                    // However a connection ends, the test sees it from the client's side.
                    let _ended = leave(socket, &tls, requests, code, body, &counts).await;
                });
            }
        });
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

/// Serves one connection of [`Http2Server::start_leaving`], frame by frame (RFC 9113 section 4.1).
async fn leave(
    socket: TcpStream,
    tls: &TlsAcceptor,
    mut left: u32,
    code: u32,
    body: &str,
    counts: &Counts,
) -> std::io::Result<()> {
    const HEADERS: u8 = 1;
    const SETTINGS: u8 = 4;
    const END_STREAM: u8 = 1;
    const END_HEADERS: u8 = 4;
    let mut stream = tls.accept(socket).await?;
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await?;
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await?;
    let mut last = 0;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload).await?;
        match head[3] {
            SETTINGS if head[4] == 0 => stream.write_all(&frame(SETTINGS, 1, 0, &[])).await?,
            HEADERS => {
                counts.requests.fetch_add(1, Ordering::SeqCst);
                if left == 0 {
                    let mut going = Vec::from(u32::to_be_bytes(last));
                    going.extend(code.to_be_bytes());
                    stream.write_all(&frame(7, 0, 0, &going)).await?;
                    return stream.shutdown().await;
                }
                left -= 1;
                last = id;
                // The index of ":status: 200" in the static table of HPACK.
                stream.write_all(&frame(HEADERS, END_HEADERS, id, &[0x88])).await?;
                stream.write_all(&frame(0, END_STREAM, id, body.as_bytes())).await?;
            }
            _ => {}
        }
        stream.flush().await?;
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("frames of tests are short").to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}
