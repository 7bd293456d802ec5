//! A proxy that makes tunnels: HTTP's CONNECT and SOCKS5.
//!
//! It records what it was asked for and connects to one server, whatever the name: tests name hosts that do not exist. For
//! forwarded requests, which carry their whole URL, an ordinary [`Server`](crate::Server) plays the proxy.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// How the proxy treats clients.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyRule {
    /// Everyone gets a tunnel.
    Open,
    /// A tunnel for this user and password; otherwise 407, or the refusal of SOCKS5.
    Password(&'static str, &'static str),
    /// CONNECT is answered with this status line (`403 Forbidden`), SOCKS5 with this reply code.
    Refuse(&'static str, u8),
    /// The connection is closed instead of an answer.
    Close,
}

/// A running proxy on a loopback port of its own; dropping it stops it.
///
/// ```
/// use test_support::{Proxy, ProxyRule, Reply, Server};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let server = Server::start(Reply::text("x")).await;
/// let proxy = Proxy::start(server.addr(), ProxyRule::Open).await;
/// assert!(proxy.targets().is_empty());
/// # }
/// ```
#[derive(Debug)]
pub struct Proxy {
    addr: SocketAddr,
    targets: Arc<Mutex<Vec<String>>>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy whose tunnels lead to `server`.
    ///
    /// # Panics
    /// If no loopback port can be had.
    pub async fn start(server: SocketAddr, rule: ProxyRule) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a loopback port is free");
        let addr = listener.local_addr().expect("a listener has an address");
        let targets = Arc::<Mutex<Vec<String>>>::default();
        let accepting = tokio::spawn(accept(listener, server, rule, Arc::clone(&targets)));
        Self { addr, targets, accepting }
    }

    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What tunnels were asked for, as `host:port`, in order.
    #[must_use]
    pub fn targets(&self) -> Vec<String> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(
    listener: TcpListener,
    server: SocketAddr,
    rule: ProxyRule,
    targets: Arc<Mutex<Vec<String>>>,
) {
    let mut tunnels = JoinSet::new();
    loop {
        let (socket, _) = tokio::select! {
            accepted = listener.accept() => accepted.expect("the listener accepts"),
            Some(_) = tunnels.join_next() => continue,
        };
        let (rule, targets) = (rule.clone(), Arc::clone(&targets));
        // However a tunnel ends, the test sees it from the client's side.
        tunnels.spawn(async move { serve(socket, server, &rule, &targets).await.is_ok() });
    }
}

async fn serve(
    mut client: TcpStream,
    server: SocketAddr,
    rule: &ProxyRule,
    targets: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut first = [0];
    client.peek(&mut first).await?;
    let note = |target: String| targets.lock().unwrap_or_else(PoisonError::into_inner).push(target);
    let is_open = if first[0] == 5 {
        socks(&mut client, rule, note).await?
    } else {
        connect(&mut client, rule, note).await?
    };
    if is_open {
        let mut onward = TcpStream::connect(server).await?;
        copy_bidirectional(&mut client, &mut onward).await?;
    }
    Ok(())
}

/// CONNECT; whether there is a tunnel now.
async fn connect(client: &mut TcpStream, rule: &ProxyRule, note: impl Fn(String)) -> std::io::Result<bool> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    note(head.split(' ').nth(1).unwrap_or_default().to_owned());
    let answer = match rule {
        ProxyRule::Open => "200 Connection established",
        ProxyRule::Password(user, password) if head.contains(&basic(user, password)) => "200 OK",
        ProxyRule::Password(..) => "407 Proxy Authentication Required",
        ProxyRule::Refuse(status, _) => status,
        ProxyRule::Close => return Ok(false),
    };
    client.write_all(format!("HTTP/1.1 {answer}\r\n\r\n").as_bytes()).await?;
    Ok(answer.starts_with('2'))
}

/// The credentials of RFC 7617, in base64 (RFC 4648) computed bit by bit.
fn basic(user: &str, password: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let pair = format!("{user}:{password}");
    let bits: Vec<u8> =
        pair.bytes().flat_map(|byte| (0..8).rev().map(move |bit| (byte >> bit) & 1)).collect();
    let mut text: String = bits
        .chunks(6)
        .map(|six| {
            let number = (0..6).fold(0, |number, bit| (number << 1) | six.get(bit).copied().unwrap_or(0));
            char::from(DIGITS[usize::from(number)])
        })
        .collect();
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    format!("Basic {text}\r\n")
}

/// SOCKS5 (RFC 1928 and 1929); whether there is a tunnel now.
async fn socks(client: &mut TcpStream, rule: &ProxyRule, note: impl Fn(String)) -> std::io::Result<bool> {
    let _version = client.read_u8().await?;
    let methods = bytes(client).await?;
    match rule {
        ProxyRule::Close => return Ok(false),
        ProxyRule::Password(user, password) => {
            if !methods.contains(&2) {
                client.write_all(&[5, 0xff]).await?;
                return Ok(false);
            }
            client.write_all(&[5, 2]).await?;
            let _version = client.read_u8().await?;
            let given = (bytes(client).await?, bytes(client).await?);
            let is_right = given == (user.as_bytes().to_vec(), password.as_bytes().to_vec());
            client.write_all(&[1, u8::from(!is_right)]).await?;
            if !is_right {
                return Ok(false);
            }
        }
        ProxyRule::Open | ProxyRule::Refuse(..) => client.write_all(&[5, 0]).await?,
    }
    let mut head = [0; 4];
    client.read_exact(&mut head).await?;
    let host = match head[3] {
        1 => {
            let mut address = [0; 4];
            client.read_exact(&mut address).await?;
            std::net::Ipv4Addr::from(address).to_string()
        }
        3 => String::from_utf8_lossy(&bytes(client).await?).into_owned(),
        _ => {
            let mut address = [0; 16];
            client.read_exact(&mut address).await?;
            format!("[{}]", std::net::Ipv6Addr::from(address))
        }
    };
    note(format!("{host}:{}", client.read_u16().await?));
    let code = if let ProxyRule::Refuse(_, code) = rule { *code } else { 0 };
    client.write_all(&[5, code, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    Ok(code == 0)
}

/// Bytes with their number before them.
async fn bytes(client: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::from(client.read_u8().await?)];
    client.read_exact(&mut bytes).await?;
    Ok(bytes)
}
