//! Serving a router on a listener: connections with timeouts, and a graceful end.
//!
//! What always holds: a connection that sends nothing, or no whole head of a request within [`HEAD`] (the first one within twice
//! that, as its version has to be known first), or takes nothing of a response for [`STALLED`], is closed; at most [`CONNECTIONS`]
//! are open, and further ones wait in the listener's queue; after the signal no new connection is taken, and existing ones end
//! with their requests. Bodies have times of their own (`body.rs`).

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use poller::{BoxFuture, Clock as _, SystemClock};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// The longest time for the head of a request, and between two requests of a connection.
pub const HEAD: Duration = Duration::from_secs(30);

/// The longest time for which a client may take nothing of a response.
pub const STALLED: Duration = Duration::from_secs(30);

/// The largest number of connections.
pub const CONNECTIONS: usize = 16_384;

/// How long requests in flight may take after the signal to end.
pub const GRACE: Duration = Duration::from_secs(10);

/// The pause after an error of the listener, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves `router` until `ended` resolves, then waits for the requests in flight, for at most [`GRACE`].
///
/// `ended` is the place to end what waits: [`Service::close`](crate::Service::close).
pub async fn serve(listener: TcpListener, router: Router, ended: impl Future<Output = ()>) {
    let clock = SystemClock::new();
    let builder = builder();
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let mut ended = pin!(ended);
    loop {
        let accept = async {
            let permit = Arc::clone(&permits).acquire_owned().await.map_err(io::Error::other)?;
            let (stream, _) = listener.accept().await?;
            Ok::<_, io::Error>((stream, permit))
        };
        let (stream, permit) = tokio::select! {
            accepted = accept => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(target: "service", %error, "a connection was not accepted");
                    clock.sleep_until(clock.now() + PAUSE).await;
                    continue;
                }
            },
            () = &mut ended => break,
        };
        // Responses are small and wanted at once.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        let connection = builder.serve_connection(TokioIo::new(Guarded::new(stream)), service).into_owned();
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // Errors of a connection are the client's doing.
            let _ = connection.await;
            drop(permit);
        });
    }
    drop(listener);
    tokio::select! {
        () = graceful.shutdown() => {}
        () = clock.sleep_until(clock.now() + GRACE) => {}
    }
}

/// What reads requests and writes answers on a connection.
fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD).max_headers(64).max_buf_size(64 << 10);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(HEAD)
        .keep_alive_timeout(STALLED)
        .max_concurrent_streams(256)
        .max_header_list_size(64 << 10);
    builder
}

/// The bytes by which a connection shows its version of HTTP at the latest: the preface of HTTP/2. Until then hyper-util reads
/// without a timeout, so a client that sends nothing would keep its place for ever.
const PREFACE: usize = 24;

/// A connection that must show its version in time, and whose writes must get on.
struct Guarded<S> {
    stream: S,
    clock: SystemClock,
    /// Set until [`PREFACE`] bytes were read.
    silent: Option<BoxFuture<'static, ()>>,
    read: usize,
    /// Set while a write waits.
    stalled: Option<BoxFuture<'static, ()>>,
}

impl<S> Guarded<S> {
    fn new(stream: S) -> Self {
        let clock = SystemClock::new();
        let silent = Box::pin(async move { clock.sleep_until(clock.now() + HEAD).await });
        Self { stream, clock, silent: Some(silent), read: 0, stalled: None }
    }

    /// The result of a write: an error if it has waited for too long.
    fn written<T>(&mut self, result: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.stalled = None;
            return result;
        }
        let clock = self.clock;
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(async move { clock.sleep_until(clock.now() + STALLED).await }));
        match stalled.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the client takes nothing of its response",
            ))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        let Some(silent) = &mut self.silent else { return result };
        if result.is_pending() {
            return match silent.as_mut().poll(context) {
                Poll::Ready(()) => Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the client has sent nothing that begins a request",
                ))),
                Poll::Pending => Poll::Pending,
            };
        }
        self.read += buffer.filled().len() - before;
        if self.read >= PREFACE {
            self.silent = None;
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(result, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.written(result, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(context);
        self.written(result, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::{get, put};
    use http::HeaderMap;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;
    use crate::body;
    use crate::problem::Problem;

    /// The most bytes that are under way in each direction.
    const PIPE: usize = 4096;

    /// The client's end of a connection, and when the server has done with it.
    fn connect() -> (DuplexStream, tokio::task::JoinHandle<Duration>) {
        async fn echo(headers: HeaderMap, sent: Body) -> Result<String, Problem> {
            body::text(&headers, sent, 1 << 20).await
        }
        let router = Router::new().route("/", put(echo)).route("/large", get(async || "x".repeat(1 << 20)));
        let (client, stream) = duplex(PIPE);
        let service = TowerToHyperService::new(router);
        let served = tokio::spawn(async move {
            let clock = SystemClock::new();
            let began = clock.now();
            // An error is how it is cut.
            let _ = builder().serve_connection(TokioIo::new(Guarded::new(stream)), service).await;
            clock.now().since(began)
        });
        (client, served)
    }

    /// Sends a byte each period, the last of them again and again, until the server closes; returns what it has answered.
    async fn drip(mut client: DuplexStream, head: &[u8], slow: &[u8], period: Duration) -> String {
        let clock = SystemClock::new();
        client.write_all(head).await.unwrap();
        for byte in slow.iter().chain(std::iter::repeat(&b'x')) {
            if client.write_all(&[*byte]).await.is_err() {
                break;
            }
            clock.sleep_until(clock.now() + period).await;
        }
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        answer
    }

    fn close_to(took: Duration, expected: Duration) -> bool {
        (expected..expected + Duration::from_secs(2)).contains(&took)
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_sends_nothing_is_cut() {
        let (client, served) = connect();
        assert!(close_to(served.await.unwrap(), HEAD));
        // Between two requests too.
        drop(client);
        let (mut client, served) = connect();
        client.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        assert!(close_to(served.await.unwrap(), HEAD));
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_drips_is_cut() {
        for period in [100, 1000, 9000].map(Duration::from_millis) {
            let (client, served) = connect();
            let answer = drip(client, b"", b"GET / HTTP/1.1\r\nhost: localhost\r\nx: ", period).await;
            let took = served.await.unwrap();
            assert!((HEAD..=2 * HEAD + Duration::from_secs(2)).contains(&took), "{period:?}: {took:?}");
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
        }
        // So is the head of a second request.
        let (mut client, served) = connect();
        client.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        let answer = drip(client, b"", b"GET / HTTP/1.1\r\nx: ", Duration::from_secs(1)).await;
        assert!(close_to(served.await.unwrap(), HEAD), "{answer}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_is_answered_and_cut() {
        let head = b"PUT / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n\r\n";
        for (period, cut) in [(1, 60), (9, 60), (11, 10)] {
            let (client, served) = connect();
            let answer = drip(client, head, b"{", Duration::from_secs(period)).await;
            let took = served.await.unwrap();
            assert!(close_to(took, Duration::from_secs(cut)), "{period} s: {took:?}");
            assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("/problems/timeout"), "{answer}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_cut() {
        let (mut client, served) = connect();
        client.write_all(b"GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        assert!(close_to(served.await.unwrap(), STALLED));
        // One that takes a little each time gets all of it, however long it takes.
        let (mut client, served) = connect();
        client
            .write_all(b"GET /large HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .await
            .unwrap();
        let (clock, mut read) = (SystemClock::new(), 0);
        let mut buffer = [0; PIPE];
        loop {
            match client.read(&mut buffer).await.unwrap() {
                0 => break,
                some => read += some,
            }
            clock.sleep_until(clock.now() + (STALLED - Duration::from_secs(1))).await;
        }
        assert!(read > 1 << 20, "{read}");
        assert!(served.await.unwrap() > 100 * STALLED);
    }
}
