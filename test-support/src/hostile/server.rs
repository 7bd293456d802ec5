//! The hostile server: what it does with each connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::Attack;
use super::answers::frame;
use crate::tls::Authority;

/// What the server does.
pub(super) enum Play {
    /// Accepts the connection and reads nothing.
    Deaf,
    /// Resets the connection as soon as it is there.
    Slam,
    /// Sends this before anything was asked, and nothing after it.
    Early(Vec<u8>),
    /// Answers each request with this and then does that.
    Send(Vec<u8>, Then),
    /// Sends the first part once and the second one for ever.
    Flood(Vec<u8>, Vec<u8>),
    /// Sends the first part once and the second one for ever, each byte in a packet of its own.
    Bytes(Vec<u8>, Vec<u8>),
    /// Sends the first part once and the second one every so often.
    Drip(Vec<u8>, Vec<u8>, Duration),
    /// Where a handshake of TLS is expected: the first part once and the second one, if any, every so often.
    NoTls(Vec<u8>, Vec<u8>, Duration),
    /// Over TLS in an unusual way: that.
    Tls(Tls, Box<Play>),
    /// Over TLS with HTTP/2.
    Http2(Http2),
}

/// What follows an answer.
pub(super) enum Then {
    /// Waits for the next request.
    Next,
    Close,
    Hang,
    Reset,
}

/// What is unusual about TLS.
#[derive(Clone, Copy)]
pub(super) enum Tls {
    /// So many tickets for later connections.
    Tickets(usize),
    /// Records of so many bytes.
    Records(usize),
    /// A new key for each record, and the client is asked for a new one.
    Keys,
    /// A certificate of so many names.
    Names(usize),
}

/// Frames of HTTP/2, whatever the client says.
pub(super) struct Http2 {
    /// The settings, with which every connection begins.
    pub(super) settings: Vec<u8>,
    /// Sent once, after the first request.
    pub(super) first: Vec<u8>,
    /// Sent for ever; nothing if it is empty.
    pub(super) again: Vec<u8>,
    /// The time between two of them.
    pub(super) every: Option<Duration>,
}

/// A running hostile server; dropping it stops it.
#[derive(Debug)]
pub struct HostileServer {
    addr: SocketAddr,
    scheme: &'static str,
    accepting: JoinHandle<()>,
}

impl Drop for HostileServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl HostileServer {
    /// Starts a server for an attack. Those over TLS have a certificate of this authority for `host` and the names under it.
    ///
    /// # Panics
    /// If no loopback port can be had.
    pub async fn start(attack: &Attack, authority: &Authority, host: &str) -> Self {
        let play = Arc::new((attack.play)());
        let is_tls = matches!(*play, Play::Http2(_) | Play::NoTls(..) | Play::Tls(..));
        let tls = is_tls.then(|| acceptor(&play, authority, host));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a loopback port is free");
        let addr = listener.local_addr().expect("a listener has an address");
        let scheme = if is_tls { "https" } else { "http" };
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let socket = tokio::select! {
                    Ok((socket, _)) = listener.accept() => socket,
                    Some(_) = connections.join_next() => continue,
                };
                let (play, tls) = (Arc::clone(&play), tls.clone());
                connections.spawn(async move {
                    // However it ends, the client sees it.
                    let _ended = serve(socket, &play, tls).await;
                });
            }
        });
        Self { addr, scheme, accepting }
    }

    /// A URL of this server under another host name.
    #[must_use]
    pub fn url_as(&self, host: &str, path: &str) -> String {
        format!("{}://{host}:{}{path}", self.scheme, self.addr.port())
    }
}

fn acceptor(play: &Play, authority: &Authority, host: &str) -> TlsAcceptor {
    let mut names = vec![host.to_owned(), format!("*.{host}")];
    if let Play::Tls(Tls::Names(number), _) = play {
        names.extend((0..*number).map(|n| format!("{n}.{host}")));
    }
    let identity = authority.issue_all(names);
    let mut config = ServerConfig::clone(identity.config());
    match play {
        Play::Http2(_) => config.alpn_protocols = vec![b"h2".to_vec()],
        Play::Tls(Tls::Tickets(number), _) => config.send_tls13_tickets = *number,
        Play::Tls(Tls::Records(size), _) => config.max_fragment_size = Some(*size),
        _ => {}
    }
    TlsAcceptor::from(Arc::new(config))
}

async fn serve(socket: TcpStream, play: &Play, tls: Option<TlsAcceptor>) -> std::io::Result<()> {
    match (play, tls) {
        (Play::Slam, _) => socket.set_zero_linger(),
        (Play::NoTls(first, piece, every), _) => no_tls(socket, first, piece, *every).await,
        (Play::Http2(frames), Some(tls)) => http2(tls.accept(socket).await?, frames).await,
        (Play::Tls(Tls::Keys, _), Some(tls)) => new_keys(tls.accept(socket).await?).await,
        (Play::Tls(_, play), Some(tls)) => http1(&mut tls.accept(socket).await?, play).await.map(drop),
        (play, _) => {
            let mut socket = socket;
            socket.set_nodelay(matches!(play, Play::Bytes(..)))?;
            match http1(&mut socket, play).await? {
                Then::Reset => socket.set_zero_linger(),
                _ => Ok(()),
            }
        }
    }
}

/// Answers the requests of a connection over HTTP/1.1; returns how it ends.
#[expect(clippy::disallowed_methods, reason = "the time of a server that drips is real")]
async fn http1(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), play: &Play) -> std::io::Result<Then> {
    match play {
        Play::Deaf => std::future::pending::<()>().await,
        Play::Early(bytes) => {
            stream.write_all(bytes).await?;
            stream.flush().await?;
            std::future::pending::<()>().await;
        }
        _ => {}
    }
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut head).await? == 0 {
                return Ok(Then::Close);
            }
        }
        match play {
            Play::Send(bytes, then) => {
                stream.write_all(bytes).await?;
                stream.flush().await?;
                match then {
                    Then::Next => {}
                    Then::Close => return Ok(Then::Close),
                    Then::Reset => return Ok(Then::Reset),
                    Then::Hang => std::future::pending().await,
                }
            }
            Play::Flood(first, piece) => {
                stream.write_all(first).await?;
                let many = many(piece, 64 << 10);
                loop {
                    stream.write_all(&many).await?;
                }
            }
            Play::Bytes(first, piece) => {
                for byte in first.iter().chain(piece.iter().cycle()) {
                    stream.write_all(&[*byte]).await?;
                }
            }
            Play::Drip(first, piece, every) => {
                stream.write_all(first).await?;
                loop {
                    stream.flush().await?;
                    tokio::time::sleep(*every).await;
                    stream.write_all(piece).await?;
                }
            }
            _ => return Ok(Then::Close),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the time of a server that drips is real")]
async fn no_tls(mut socket: TcpStream, first: &[u8], piece: &[u8], every: Duration) -> std::io::Result<()> {
    // Until the client has begun its handshake.
    let mut sink = vec![0; 16 << 10];
    if socket.read(&mut sink).await? == 0 {
        return Ok(());
    }
    socket.write_all(first).await?;
    if piece.is_empty() {
        std::future::pending::<()>().await;
    }
    let many = if every.is_zero() { many(piece, 64 << 10) } else { piece.to_vec() };
    loop {
        socket.write_all(&many).await?;
        if !every.is_zero() {
            tokio::time::sleep(every).await;
        }
    }
}

/// Changes its key before each byte of a body, and asks the client to do the same.
async fn new_keys(mut stream: TlsStream<TcpStream>) -> std::io::Result<()> {
    let mut sink = vec![0; 16 << 10];
    if stream.read(&mut sink).await? == 0 {
        return Ok(());
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    loop {
        let tls: &mut ServerConnection = stream.get_mut().1;
        tls.refresh_traffic_keys().map_err(std::io::Error::other)?;
        stream.write_all(b"a").await?;
        stream.flush().await?;
        // What the client answers, as far as it is there.
        tokio::select! {
            biased;
            read = stream.read(&mut sink) => if read? == 0 { return Ok(()) },
            () = tokio::task::yield_now() => {}
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the time of a server that drips is real")]
async fn http2(stream: impl AsyncRead + AsyncWrite, frames: &Http2) -> std::io::Result<()> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    writer.write_all(&frame(4, 0, 0, &frames.settings)).await?;
    writer.flush().await?;
    let mut sink = vec![0; 16 << 10];
    // Until the first request is there.
    let mut read = 0;
    while read < 100 {
        match reader.read(&mut sink).await? {
            0 => return Ok(()),
            some => read += some,
        }
    }
    let answers = async {
        writer.write_all(&frames.first).await?;
        writer.flush().await?;
        if frames.again.is_empty() {
            std::future::pending::<()>().await;
        }
        let again = if frames.every.is_some() { frames.again.clone() } else { many(&frames.again, 16 << 10) };
        loop {
            writer.write_all(&again).await?;
            if let Some(every) = frames.every {
                writer.flush().await?;
                tokio::time::sleep(every).await;
            }
        }
    };
    let reads = async {
        while reader.read(&mut sink).await? > 0 {}
        Ok(())
    };
    tokio::select! {
        ended = answers => ended,
        ended = reads => ended,
    }
}

/// A piece again and again, about this number of bytes in all.
fn many(piece: &[u8], bytes: usize) -> Vec<u8> {
    piece.repeat(bytes / piece.len().max(1) + 1)
}
