//! What a server has seen, and waiting for it to see more.
//!
//! One watch channel holds the record, so every wait is a condition on it: a test can neither miss an event that has
//! already happened nor needs to look again after a while.
//!
//! A request is recorded as ended *before* the last bytes of its reply are handed to the network. A client that waits
//! for the whole reply can therefore never be seen to overlap with itself, whatever threads do; recording it after the
//! write would make [`overlapped`](crate::Server::overlapped) wrong now and then.

use std::time::Instant;

use tokio::sync::watch;

/// A request as it arrived.
///
/// ```
/// use test_support::{Reply, Server};
/// use tokio::io::AsyncWriteExt as _;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let server = Server::start(Reply::new(204)).await;
/// let mut client = tokio::net::TcpStream::connect(server.addr()).await?;
/// client.write_all(b"POST /a?b HTTP/1.1\r\nX-Key: 1\r\nContent-Length: 2\r\n\r\n{}").await?;
///
/// let request = server.arrived(0).await;
/// assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/a?b"));
/// assert_eq!((request.header("x-key"), request.body.as_slice()), (Some("1"), &b"{}"[..]));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Received {
    /// Its place among all requests of this server, from 0.
    pub index: usize,
    /// The connection it came on, from 0.
    pub connection: usize,
    /// The method, as sent.
    pub method: String,
    /// The path with its query, as sent.
    pub path: String,
    /// The headers in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// When its last byte had been read.
    pub arrived: Instant,
    /// When and how it ended; none while the reply is held, stalled or being sent.
    pub ended: Option<(Instant, End)>,
    /// Whether the reply has stopped half-way and holds the connection.
    pub stalled: bool,
}

impl Received {
    /// The value of the first header of that name, which is given in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// How a request ended, as the server saw it.
///
/// ```
/// use test_support::{End, Reply, Server};
/// use tokio::io::AsyncWriteExt as _;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let server = Server::start(Reply::stall()).await;
/// let mut client = tokio::net::TcpStream::connect(server.addr()).await?;
/// client.write_all(b"GET / HTTP/1.1\r\n\r\n").await?;
/// server.stalled(0).await;
/// drop(client);
/// assert_eq!(server.ended(0).await, End::ClientGone);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// The reply was sent as the script says, faults included.
    Replied,
    /// The client went away first.
    ClientGone,
}

#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) requests: Vec<Received>,
    pub(crate) connections: usize,
    pub(crate) closed: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Log(watch::Sender<Record>);

impl Log {
    pub(crate) fn opened(&self) -> usize {
        let mut connection = 0;
        self.0.send_modify(|record| {
            connection = record.connections;
            record.connections += 1;
        });
        connection
    }

    pub(crate) fn closed(&self) {
        self.0.send_modify(|record| record.closed += 1);
    }

    /// Gives the request its index and records it.
    pub(crate) fn arrived(&self, mut request: Received) -> Received {
        self.0.send_modify(|record| {
            request.index = record.requests.len();
            request.arrived = now();
            record.requests.push(request.clone());
        });
        request
    }

    pub(crate) fn stalled(&self, index: usize) {
        self.0.send_modify(|record| record.requests[index].stalled = true);
    }

    pub(crate) fn ended(&self, index: usize, end: End) {
        self.0.send_modify(|record| record.requests[index].ended = Some((now(), end)));
    }

    pub(crate) fn read<T>(&self, view: impl FnOnce(&Record) -> T) -> T {
        view(&self.0.borrow())
    }

    pub(crate) async fn wait_for(&self, condition: impl FnMut(&Record) -> bool) {
        self.0.subscribe().wait_for(condition).await.expect("the log outlives the waiting task");
    }
}

#[expect(clippy::disallowed_methods, reason = "a test server reports real arrival times")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
