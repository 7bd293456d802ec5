//! One connection: the stream that the pool uses, and its state.
//!
//! The pool of `hyper-util` tells neither whether a request that failed had an answer begun, nor which connections are idle.
//! Both follow from what passes through the stream, so it is watched here: [`Link`] is the record, which also comes with
//! each response and each error of the connection.
//!
//! ```text
//!   pool ── bytes ──► Stream ── bytes ──► TCP, TLS, tunnel, unix socket
//!                       └── counts ──► Link ◄── holders of a response or an error of the connection
//! ```

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::descriptors::Slot;
use super::frames::OpenRequests;
use super::link::{Flood, Link};

/// A stream of any kind.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// What a connection runs over. TCP has a variant of its own because most connections of a large poller are plain ones
/// inside a data centre.
pub(super) enum Transport {
    Tcp(TcpStream),
    Other(Box<dyn Duplex>),
}

impl Transport {
    pub(super) fn other(stream: impl Duplex + 'static) -> Self {
        Self::Other(Box::new(stream))
    }

    fn pin(self: Pin<&mut Self>) -> Pin<&mut dyn Duplex> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream),
            Self::Other(stream) => Pin::new(&mut **stream),
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.pin().poll_read(cx, buf)
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.pin().poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.pin().poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Other(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pin().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pin().poll_shutdown(cx)
    }
}

/// The bytes after which a connection gives way to other tasks. tokio counts reads; what is parsed from one may be thousands
/// of frames or interim responses.
const TURN: usize = 32 << 10;

/// The least that a read counts.
const READ: usize = 512;

/// The most that one read gets. The reader of HTTP/1.1 offers its whole buffer of 128 KiB and goes through what it got without
/// a pause; of a flood of short pieces, such as the digits of a chunk's size, that takes many milliseconds.
const LARGEST_READ: usize = 16 << 10;

/// A connection as the pool uses it.
pub(super) struct Stream {
    inner: Transport,
    link: Arc<Link>,
    /// The bytes that may still be read before other tasks get their turn.
    turn: usize,
    http2: Option<Box<OpenRequests>>,
    /// The place among the connections of this client, free again when the connection is dropped.
    _slot: Slot,
}

impl Stream {
    pub(super) fn new(inner: Transport, link: Link, slot: Slot) -> TokioIo<Self> {
        let http2 = link.is_http2.then(|| Box::new(OpenRequests::new()));
        TokioIo::new(Self { inner, link: Arc::new(link), turn: TURN, http2, _slot: slot })
    }

    /// Notes how much of these parts was written.
    fn note_written(&mut self, written: usize, parts: &[io::IoSlice<'_>]) {
        let Some(requests) = &mut self.http2 else { return self.link.note_write() };
        let mut left = written;
        for part in parts {
            let taken = left.min(part.len());
            requests.wrote(&part[..taken]);
            left -= taken;
        }
        self.link.note_requests(requests.counts());
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        let connected = Connected::new().proxy(self.link.is_forwarded).extra(Arc::clone(&self.link));
        if self.link.is_http2 { connected.negotiated_h2() } else { connected }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let stream = &mut *self;
        if stream.turn == 0 {
            stream.turn = TURN;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let mut read = read_some(Pin::new(&mut stream.inner), cx, buf);
        if read.is_pending() {
            stream.turn = TURN;
            stream.link.wake_at_close(cx);
            if stream.link.is_to_close() {
                // No byte: the end, as if the server had closed it.
                read = Poll::Ready(Ok(()));
            }
        }
        ready!(read)?;
        let read = &buf.filled()[before..];
        stream.turn = stream.turn.saturating_sub(read.len().max(READ));
        stream.link.note_read(read);
        if let Some(requests) = &mut stream.http2 {
            requests.read(read);
            stream.link.note_requests(requests.counts());
        }
        if stream.link.is_flooded() {
            return Poll::Ready(Err(io::Error::other(Flood)));
        }
        Poll::Ready(Ok(()))
    }
}

/// Reads at most [`LARGEST_READ`] bytes.
fn read_some(
    inner: Pin<&mut Transport>,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    if buf.remaining() <= LARGEST_READ {
        return inner.poll_read(cx, buf);
    }
    let mut part = ReadBuf::new(buf.initialize_unfilled_to(LARGEST_READ));
    ready!(inner.poll_read(cx, &mut part))?;
    let read = part.filled().len();
    buf.advance(read);
    Poll::Ready(Ok(()))
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write(cx, buf))?;
        self.note_written(written, &[io::IoSlice::new(buf)]);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write_vectored(cx, bufs))?;
        self.note_written(written, bufs);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_idle_between_a_complete_response_and_the_next_write() {
        let link = Link::new(None, false, false);
        assert!(link.idle().is_none() && !link.is_reused());
        link.note_write();
        assert!(link.is_silent() && link.idle().is_none());
        link.note_read(b"HTTP/1.1 200 OK");
        let mark = link.answered();
        assert!(!link.is_silent() && link.is_reused() && link.idle().is_none());
        link.complete(mark);
        assert_eq!(link.idle(), Some(1));
        assert!(link.close_if_idle() && link.is_to_close());
        link.note_write();
        assert!(link.idle().is_none() && !link.is_to_close(), "a request that came first is not cut off");
        assert_eq!(&link.first_bytes(), b"HTTP/1.1");
    }

    #[test]
    fn a_connection_of_http2_is_idle_without_open_requests() {
        let link = Link::new(None, false, true);
        link.note_read(b"x");
        assert!(!link.close_if_idle(), "nothing was asked yet");
        link.note_requests((2, 1));
        assert!(!link.close_if_idle());
        link.note_requests((2, 0));
        assert!(link.close_if_idle() && link.is_to_close());
        link.note_requests((3, 1));
        assert!(!link.is_to_close(), "a request that came first is not cut off");
    }
}
