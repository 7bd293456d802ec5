//! A port that refuses connections while the value lives.
//!
//! The socket is bound and never listens, so connections are refused and no other process can take the port in between.
//! Binding and closing again, the usual trick, would leave that race open.

use std::net::SocketAddr;

use tokio::net::TcpSocket;

/// A loopback port that refuses every connection.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let port = test_support::ClosedPort::new();
/// assert!(tokio::net::TcpStream::connect(port.addr()).await.is_err());
/// # }
/// ```
#[derive(Debug)]
pub struct ClosedPort {
    addr: SocketAddr,
    _socket: TcpSocket,
}

impl ClosedPort {
    /// Reserves a port.
    ///
    /// # Panics
    /// If the loopback interface has no free port.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it takes a port: not a default value of anything")]
    pub fn new() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket can be made");
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a loopback port is free");
        let addr = socket.local_addr().expect("a bound socket has an address");
        Self { addr, _socket: socket }
    }

    /// The address that refuses.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// An `http` URL there.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }
}
