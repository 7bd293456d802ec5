//! Serving a router on a listener: connections with timeouts, and a graceful end.
//!
//! What always holds: a connection that sends nothing, or no whole head of a request within [`HEAD`], or takes nothing of a response for
//! [`STALLED`], is closed; at most [`CONNECTIONS`] are open, and further ones wait in the listener's queue; after the signal
//! no new connection is taken, and existing ones end with their requests.

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
use tokio::net::{TcpListener, TcpStream};
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
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD).max_headers(64).max_buf_size(64 << 10);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(HEAD)
        .keep_alive_timeout(STALLED)
        .max_concurrent_streams(256)
        .max_header_list_size(64 << 10);
    let builder = Arc::new(builder);
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

/// The bytes by which a connection shows its version of HTTP at the latest: the preface of HTTP/2. Until then hyper-util reads
/// without a timeout, so a client that sends nothing would keep its place for ever.
const PREFACE: usize = 24;

/// A connection that must show its version in time, and whose writes must get on.
struct Guarded {
    stream: TcpStream,
    clock: SystemClock,
    /// Set until [`PREFACE`] bytes were read.
    silent: Option<BoxFuture<'static, ()>>,
    read: usize,
    /// Set while a write waits.
    stalled: Option<BoxFuture<'static, ()>>,
}

impl Guarded {
    fn new(stream: TcpStream) -> Self {
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

impl AsyncRead for Guarded {
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

impl AsyncWrite for Guarded {
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
