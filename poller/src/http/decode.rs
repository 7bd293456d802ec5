//! Undoes the `content-encoding` of a body.
//!
//! ```text
//!   socket ──► bytes in, counted ──► last coding ──► counted ──► … ──► first coding ──► body, capped
//! ```
//!
//! - Names of codings are compared without case, `x-gzip` is gzip, and codings may be stacked (`gzip, br`): they are undone
//!   from the last to the first.
//! - `deflate` means zlib, but some servers send it raw. The first two bytes tell them apart: a raw stream that begins like a
//!   zlib header would begin with a stored block whose padding is not zero, which no encoder writes.
//! - What goes into a coding is bounded as well as what comes out of the last: a stream of empty gzip members or skippable
//!   zstd frames yields nothing for ever.
//! - A coding that is unknown here is an error that names it. Passing the bytes on would let a filter judge a text that the
//!   server did not send.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_compression::tokio::bufread::{
    BrotliDecoder, DeflateDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder,
};
use async_compression::zstd::DParameter;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http_body_util::BodyDataStream;
use hyper::body::Incoming;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader, ReadBuf};
use tokio_util::io::StreamReader;
use url::Url;

use super::body::{Capped, most_pieces};
use super::failure::{Phase, TooLong, authority, classify};
use crate::fetch::{FetchError, FetchErrorKind};

/// The codings that requests ask for.
pub(super) const ACCEPTED: &str = "zstd, gzip, deflate, br";

/// The most codings of one body. Servers stack two at most on purpose, and each costs buffers.
const MOST_CODINGS: usize = 4;

/// The largest window of zstd, as a power of two: 8 MiB, which RFC 9659 asks every client to have.
const ZSTD_WINDOW_LOG: u32 = 23;

/// A coding that this client can undo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// The codings of a body in the order in which the server applied them; an error names one that is unknown.
pub(super) fn codings(headers: &HeaderMap, url: &Url) -> Result<Vec<Coding>, FetchError> {
    let mut codings = Vec::new();
    for value in headers.get_all(CONTENT_ENCODING) {
        let text = String::from_utf8_lossy(value.as_bytes());
        for name in text.split(',').map(str::trim) {
            codings.push(match name.to_ascii_lowercase().as_str() {
                // Some servers mean "not compressed" by "none", or give the charset here.
                "" | "identity" | "none" | "utf-8" | "utf8" => continue,
                "gzip" | "x-gzip" => Coding::Gzip,
                "deflate" => Coding::Deflate,
                "br" => Coding::Brotli,
                "zstd" => Coding::Zstd,
                _ => return Err(FetchErrorKind::BadEncoding.error(unknown(name, url))),
            });
        }
    }
    if codings.len() > MOST_CODINGS {
        return Err(FetchErrorKind::BadEncoding.error(format!(
            "the body from {} has {} codings on top of each other; at most {MOST_CODINGS} are undone",
            authority(url),
            codings.len()
        )));
    }
    Ok(codings)
}

fn unknown(name: &str, url: &Url) -> String {
    let shown: String = name.chars().take(40).collect();
    format!(
        "the body from {} has the content-encoding {shown:?}, which is unknown here; known are gzip, deflate, br and zstd. \
         Ask for one of these with an accept-encoding header, or for none: \"accept-encoding: identity\"",
        authority(url)
    )
}

/// Reads the whole body and undoes its codings; removes the headers that describe the coded body.
pub(super) async fn read(
    incoming: &mut Incoming,
    headers: &mut HeaderMap,
    codings: &[Coding],
    url: &Url,
    cap: u64,
) -> Result<Bytes, FetchError> {
    let mut body = Capped::new(url, cap, None)?;
    let broken = |error: io::Error| classify(&error, url, Phase::Body);
    let limit = bytes_in(cap);
    let mut left = most_pieces(cap);
    let pieces = BodyDataStream::new(incoming).map(move |piece| {
        left = left.checked_sub(1).ok_or_else(|| io::Error::other(TooLong))?;
        piece.map_err(io::Error::other)
    });
    let mut raw = BufReader::with_capacity(TURN, Bounded::new(StreamReader::new(pieces), limit));
    // A response to HEAD, a 204 or a 304 has the header of a coded body, and none.
    if !raw.fill_buf().await.map_err(broken)?.is_empty() {
        let mut decoded: Reader<'_> = Box::pin(raw);
        for coding in codings.iter().rev() {
            decoded = undo(decoded, *coding, limit).await.map_err(broken)?;
        }
        let mut piece = vec![0; 16 << 10];
        loop {
            // A bomb must not keep the thread while it expands.
            tokio::task::consume_budget().await;
            let read = decoded.read(&mut piece).await.map_err(broken)?;
            if read == 0 {
                break;
            }
            body.push(&piece[..read])?;
        }
    }
    headers.remove(CONTENT_ENCODING);
    headers.remove(CONTENT_LENGTH);
    Ok(body.finish())
}

/// The most bytes that a body of `cap` bytes may take before a coding is undone. Codings enlarge what cannot be compressed,
/// and a server that flushes after each line pays for every flush.
const fn bytes_in(cap: u64) -> u64 {
    cap.saturating_mul(2).saturating_add(64 << 10)
}

type Reader<'a> = Pin<Box<dyn AsyncRead + Send + 'a>>;

async fn undo(coded: Reader<'_>, coding: Coding, limit: u64) -> io::Result<Reader<'_>> {
    let mut coded = BufReader::with_capacity(TURN, coded);
    let decoded: Reader<'_> = match coding {
        Coding::Gzip => {
            let mut decoder = GzipDecoder::new(coded);
            // A gzip file may consist of several, one after the other.
            decoder.multiple_members(true);
            Box::pin(decoder)
        }
        Coding::Deflate => {
            let mut start = Vec::with_capacity(2);
            while start.len() < 2 && (&mut coded).take(2 - start.len() as u64).read_buf(&mut start).await? > 0
            {
            }
            let is_zlib = is_zlib(&start);
            let whole = BufReader::with_capacity(TURN, io::Cursor::new(start).chain(coded));
            if is_zlib { Box::pin(ZlibDecoder::new(whole)) } else { Box::pin(DeflateDecoder::new(whole)) }
        }
        Coding::Brotli => Box::pin(BrotliDecoder::new(coded)),
        Coding::Zstd => {
            let mut decoder = ZstdDecoder::with_params(coded, &[DParameter::window_log_max(ZSTD_WINDOW_LOG)]);
            decoder.multiple_members(true);
            Box::pin(decoder)
        }
    };
    Ok(Box::pin(Bounded::new(decoded, limit)))
}

/// Whether these are the first bytes of a zlib stream (RFC 1950): the method deflate, and a checksum.
fn is_zlib(start: &[u8]) -> bool {
    matches!(*start, [method, flags, ..] if method & 0x0f == 8 && u16::from_be_bytes([method, flags]) % 31 == 0)
}

/// The bytes after which a reader gives way to other tasks, and the buffer before a coding, which it goes through without a pause.
/// A coding may take any number of bytes in without one coming out, and each member of gzip, of twenty bytes, costs some microseconds.
const TURN: usize = 1 << 10;

/// A reader that fails past its limit, and gives way to other tasks now and then.
struct Bounded<R> {
    inner: R,
    left: u64,
    turn: usize,
}

impl<R> Bounded<R> {
    const fn new(inner: R, limit: u64) -> Self {
        Self { inner, left: limit, turn: TURN }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Bounded<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.turn == 0 {
            self.turn = TURN;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        let read = buf.filled().len() - before;
        self.turn = self.turn.saturating_sub(read);
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => return Poll::Ready(Err(io::Error::other(TooLong))),
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> Result<Vec<Coding>, String> {
        let headers = values.iter().map(|value| (CONTENT_ENCODING, value.parse().unwrap())).collect();
        codings(&headers, &"https://a.test/x?token=s3cret".parse().unwrap())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn names_are_read_in_any_case_and_order() {
        assert_eq!(of(&[]), Ok(vec![]));
        assert_eq!(of(&["identity"]), Ok(vec![]));
        assert_eq!(of(&["GZIP"]), Ok(vec![Coding::Gzip]));
        assert_eq!(of(&["x-gzip , BR,, Deflate"]), Ok(vec![Coding::Gzip, Coding::Brotli, Coding::Deflate]));
        assert_eq!(of(&["gzip", "zstd"]), Ok(vec![Coding::Gzip, Coding::Zstd]));
    }

    #[test]
    fn an_unknown_coding_is_named() {
        let error = of(&["gzip, snappy"]).unwrap_err();
        assert!(error.starts_with("the body from a.test has the content-encoding \"snappy\","), "{error}");
        assert!(of(&["gzip,gzip,gzip,gzip,gzip"]).unwrap_err().contains("5 codings"));
    }

    #[test]
    fn zlib_has_a_header_and_raw_deflate_has_none() {
        for level in [0x01, 0x5e, 0x9c, 0xda] {
            assert!(is_zlib(&[0x78, level, 0]), "{level:x}");
        }
        // An empty raw stream, a stored block, a block with fixed codes.
        for raw in [&[0x03, 0x00][..], &[0x01, 0x05, 0x00], &[0x4b, 0x4c], &[0x78], &[]] {
            assert!(!is_zlib(raw), "{raw:x?}");
        }
    }
}
