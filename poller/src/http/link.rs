//! The record of one connection: what has passed through its stream.
//!
//! [`connection`](super::connection) writes it, as bytes pass; what is read from it is whether a request that failed had an answer
//! begun, and whether the connection is idle, which the pool of `hyper-util` does not tell.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::Context;

use futures_util::task::AtomicWaker;

/// No number of writes.
const NEVER: u64 = u64::MAX;

/// The most bytes that may come before the head of a response is complete: two of the largest heads. Each interim response is parsed, so
/// a flood within a larger limit would cost more than the rest of the request.
const FLOOD: u64 = 256 << 10;

/// More has come than the head of a response can be.
#[derive(Debug, thiserror::Error)]
#[error("a flood of interim responses")]
pub(super) struct Flood;

/// The state of a connection.
#[derive(Debug, Default)]
pub(super) struct Link {
    /// The address of the server; none if a proxy or a socket of this machine is in between.
    pub(super) peer: Option<SocketAddr>,
    /// Whether requests go to a proxy that forwards them.
    pub(super) is_forwarded: bool,
    pub(super) is_http2: bool,
    /// The number of writes so far; over HTTP/2, of requests that have begun: pings and settings are writes too.
    writes: AtomicU64,
    /// Over HTTP/2, the number of requests under way.
    open: AtomicUsize,
    /// Whether nothing has come back since the last write.
    is_silent: AtomicBool,
    /// The bytes that came since the last write or head.
    unanswered: AtomicU64,
    /// Whether a response has come over this connection.
    has_answered: AtomicBool,
    /// The first bytes that came, filled up with zeros.
    first_bytes: AtomicU64,
    /// The number of writes when the last response was complete: while it does not change, the connection is idle.
    idle_since: AtomicU64,
    /// The number of writes at which the connection is to be closed.
    close_at: AtomicU64,
    /// Whether the connection stands in the queue of idle ones.
    pub(super) is_queued: AtomicBool,
    reader: AtomicWaker,
}

impl Link {
    /// The derived default is only the rest of this one; it is no state of a connection.
    pub(super) fn new(peer: Option<SocketAddr>, is_forwarded: bool, is_http2: bool) -> Self {
        Self {
            peer,
            is_forwarded,
            is_http2,
            is_silent: AtomicBool::new(true),
            idle_since: AtomicU64::new(NEVER),
            close_at: AtomicU64::new(NEVER),
            ..Self::default()
        }
    }

    /// Notes that the head of a response has come; returns a mark for [`complete`](Self::complete).
    pub(super) fn answered(&self) -> u64 {
        self.has_answered.store(true, Ordering::Relaxed);
        self.unanswered.store(NEVER, Ordering::Relaxed);
        self.writes.load(Ordering::Acquire)
    }

    /// Whether an earlier request was answered over this connection.
    pub(super) fn is_reused(&self) -> bool {
        self.has_answered.load(Ordering::Relaxed)
    }

    /// Whether not one byte has come since the last write. Over HTTP/1.1 that is: since the last request without a body.
    pub(super) fn is_silent(&self) -> bool {
        self.is_silent.load(Ordering::Acquire)
    }

    /// Notes that the response with this mark is complete, so that the connection is idle until the next write.
    /// Over HTTP/2 the frames tell.
    pub(super) fn complete(&self, mark: u64) {
        if !self.is_http2 {
            self.idle_since.store(mark, Ordering::Release);
        }
    }

    /// The number of writes, if no request is under way.
    pub(super) fn idle(&self) -> Option<u64> {
        let writes = self.writes.load(Ordering::Acquire);
        let is_idle = match self.is_http2 {
            true => writes > 0 && self.open.load(Ordering::Acquire) == 0,
            false => self.idle_since.load(Ordering::Acquire) == writes && !self.is_silent(),
        };
        is_idle.then_some(writes)
    }

    /// Closes the connection, unless a request begins first.
    pub(super) fn close_if_idle(&self) -> bool {
        let Some(writes) = self.idle() else { return false };
        self.close_at.store(writes, Ordering::Release);
        self.reader.wake();
        true
    }

    /// The first eight bytes that came.
    pub(super) fn first_bytes(&self) -> [u8; 8] {
        self.first_bytes.load(Ordering::Relaxed).to_be_bytes()
    }

    /// Has this reader woken when the connection is to be closed.
    pub(super) fn wake_at_close(&self, cx: &Context<'_>) {
        self.reader.register(cx.waker());
    }

    pub(super) fn note_read(&self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if self.first_bytes.load(Ordering::Relaxed) == 0 {
            let mut first = [0; 8];
            let length = bytes.len().min(first.len());
            first[..length].copy_from_slice(&bytes[..length]);
            self.first_bytes.store(u64::from_be_bytes(first), Ordering::Relaxed);
        }
        self.is_silent.store(false, Ordering::Release);
        let unanswered = self.unanswered.load(Ordering::Relaxed);
        if unanswered != NEVER {
            self.unanswered.store(unanswered + bytes.len() as u64, Ordering::Relaxed);
        }
    }

    /// Whether more has come for a request than the head of a response can be: a flood of interim responses. Over HTTP/2 the
    /// frames of many requests come together.
    pub(super) fn is_flooded(&self) -> bool {
        let unanswered = self.unanswered.load(Ordering::Relaxed);
        !self.is_http2 && unanswered != NEVER && unanswered > FLOOD
    }

    /// Notes the number of HTTP/2 requests begun so far, and of open ones.
    pub(super) fn note_requests(&self, (begun, open): (u64, usize)) {
        // The open ones first: a reader that sees the new number of requests must not take the connection for idle.
        self.open.store(open, Ordering::Release);
        self.writes.store(begun, Ordering::Release);
    }

    pub(super) fn note_write(&self) {
        self.unanswered.store(0, Ordering::Relaxed);
        self.is_silent.store(true, Ordering::Release);
        self.writes.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn is_to_close(&self) -> bool {
        let at = self.close_at.load(Ordering::Acquire);
        at != NEVER && at == self.writes.load(Ordering::Acquire)
    }
}
