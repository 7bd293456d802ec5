//! Reading a response's body to its last byte, and no further than the cap.
//!
//! The cap counts bytes after decompression, as they arrive: a small body that unpacks to gigabytes is cut one block past the
//! cap. An announced length only refuses a body early; it never sizes a buffer, because a server can announce any length.
//!
//! Pieces are copied into one buffer of the right size. Passing on a single piece would save the copy, but a piece is a view
//! of the connection's read buffer, and a stored outcome of forty bytes would keep the whole buffer alive.

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use url::Url;

use super::failure::{Phase, TooLong, authority, classify};
use crate::fetch::{FetchError, FetchErrorKind};

/// Reads the whole body of a response from `url`.
pub(super) async fn read(incoming: &mut Incoming, url: &Url, cap: u64) -> Result<Bytes, FetchError> {
    // The exact length is unknown for HEAD.
    let mut body = Capped::new(url, cap, incoming.size_hint().exact())?;
    while let Some(frame) = incoming.frame().await {
        // A server that sends without a pause must not keep the thread.
        tokio::task::consume_budget().await;
        let frame = frame.map_err(|error| classify(&error, url, Phase::Body))?;
        // Trailers are not part of the body.
        if let Ok(piece) = frame.into_data() {
            body.push(&piece)?;
        }
    }
    Ok(body.finish())
}

/// The most pieces (chunks of HTTP/1.1, frames of HTTP/2) of a body. Each costs some hundred nanoseconds, whatever its size; a
/// body in chunks of one byte would cost seconds. A log that is sent line by line stays far below.
pub(super) const fn most_pieces(cap: u64) -> u64 {
    (64 << 10) + cap / 64
}

/// A body in the making, which never grows past its cap.
pub(super) struct Capped<'u> {
    url: &'u Url,
    cap: u64,
    body: Vec<u8>,
    /// The pieces that may still come.
    pieces: u64,
}

impl<'u> Capped<'u> {
    /// An empty body; an error if the announced length is over the cap.
    pub(super) fn new(url: &'u Url, cap: u64, length: Option<u64>) -> Result<Self, FetchError> {
        if length.is_some_and(|length| length > cap) {
            return Err(too_large(url, cap));
        }
        Ok(Self { url, cap, body: Vec::new(), pieces: most_pieces(cap) })
    }

    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), FetchError> {
        self.pieces = self.pieces.checked_sub(1).ok_or_else(|| classify(&TooLong, self.url, Phase::Body))?;
        if !fits(self.body.len(), piece.len(), self.cap) {
            return Err(too_large(self.url, self.cap));
        }
        self.body.extend_from_slice(piece);
        Ok(())
    }

    pub(super) fn finish(mut self) -> Bytes {
        self.body.shrink_to_fit();
        self.body.into()
    }
}

/// Whether `more` bytes stay within the cap; a sum that overflows does not.
fn fits(so_far: usize, more: usize, cap: u64) -> bool {
    so_far.checked_add(more).and_then(|total| u64::try_from(total).ok()).is_some_and(|total| total <= cap)
}

fn too_large(url: &Url, cap: u64) -> FetchError {
    FetchErrorKind::BodyTooLarge.error(format!(
        "the body from {} is larger than the cap of {cap} bytes (counted after decompression); \
             if such bodies are expected, raise the cap (--max-body, Limits::max_body)",
        authority(url)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cap_is_the_last_size_that_fits() {
        assert!(fits(0, 10, 10) && fits(4, 6, 10) && fits(0, 0, 0));
        assert!(!fits(4, 7, 10) && !fits(0, 1, 0) && !fits(usize::MAX, 1, u64::MAX));
    }
}
