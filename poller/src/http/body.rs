//! Reading a response's body to its last byte, and no further than the cap.
//!
//! The cap counts bytes after decompression, as they come: a small body that unpacks to gigabytes is cut off after one
//! small block past the cap. A length announced in advance is believed only where it spares the work, that is when it is
//! already too large; it never sizes a buffer, because a server can announce anything.
//!
//! Pieces are copied into one buffer of the right size. Passing a single piece on as it came would save that copy, but
//! the piece is a view of the connection's read buffer, and a kept outcome of forty bytes would keep all of it alive.

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use url::Url;

use super::failure::{Phase, authority, classify};
use super::route::ResponseBody;
use crate::fetch::{FetchError, FetchErrorKind};

/// Reads the whole of a body that comes from `url`.
pub(super) async fn read(incoming: &mut ResponseBody, url: &Url, cap: u64) -> Result<Bytes, FetchError> {
    // Known only for bodies that are there and not compressed: neither HEAD nor gzip has a length here.
    if incoming.size_hint().exact().is_some_and(|length| length > cap) {
        return Err(too_large(url, cap));
    }
    let mut body = Vec::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| classify(&*error, url, Phase::Body))?;
        // Trailers are none of the body.
        let Ok(piece) = frame.into_data() else { continue };
        if !fits(body.len(), piece.len(), cap) {
            return Err(too_large(url, cap));
        }
        body.extend_from_slice(&piece);
    }
    body.shrink_to_fit();
    Ok(body.into())
}

/// Whether that many more bytes stay under the cap; sizes that cannot be counted do not.
fn fits(so_far: usize, more: usize, cap: u64) -> bool {
    so_far.checked_add(more).and_then(|total| u64::try_from(total).ok()).is_some_and(|total| total <= cap)
}

fn too_large(url: &Url, cap: u64) -> FetchError {
    FetchError::new(
        FetchErrorKind::BodyTooLarge,
        format!(
            "the body from {} is larger than the cap of {cap} bytes (counted after decompression); \
             if such bodies are expected, raise the cap (--max-body, Limits::max_body)",
            authority(url)
        ),
    )
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
