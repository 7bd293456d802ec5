//! The bytes of answers: responses, frames, compressed bodies.
//!
//! Bombs of Brotli and Zstandard are written bit by bit: an encoder would need the megabytes that they become, and none makes
//! streams as dense as the formats allow.

use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

use super::server::{Http2, Play, Then};

pub(super) const MIB: usize = 1 << 20;

pub(super) const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("memory can be written to");
    encoder.finish().expect("memory can be written to")
}

pub(super) fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("memory can be written to");
    encoder.finish().expect("memory can be written to")
}

/// The head of a frame of Zstandard (RFC 8878, section 3.1.1.1): a window of 8 MiB, no length, no checksum.
pub(super) const ZSTD_HEAD: [u8; 6] = [0x28, 0xB5, 0x2F, 0xFD, 0x00, 13 << 3];

/// So many blocks of 128 KiB zeros, four bytes each.
pub(super) fn zstd_bomb(blocks: usize) -> Vec<u8> {
    let block = |last: u32| {
        // The length, "one byte again and again", and whether it is the last.
        let head = (128 << 10) << 3 | 1 << 1 | last;
        let [a, b, c, _] = head.to_le_bytes();
        [a, b, c, b'0']
    };
    [&ZSTD_HEAD[..], &block(0).repeat(blocks - 1), &block(1)].concat()
}

/// So many times 16 MiB of zeros in Brotli, thirteen bytes each (RFC 7932, section 9.2).
pub(super) fn brotli_bomb(times: usize) -> Vec<u8> {
    const LENGTH: u64 = 1 << 24;
    // The window: 64 KiB.
    let mut bits = Bits::default();
    bits.push(0, 1);
    for _ in 0..times {
        // Not the last, its length less one in six nibbles, compressed.
        bits.push(0, 1);
        bits.push(2, 2);
        bits.push(LENGTH - 1, 24);
        bits.push(0, 1);
        // One type of blocks of each kind, no direct distances, the first mode of contexts, one tree of each kind.
        bits.push(0, 1 + 1 + 1 + 2 + 4 + 2 + 1 + 1);
        // Prefix codes of one symbol each, which takes no bit then: the literal, "insert one, copy 2118 and more", "one back".
        for (symbol, width) in [(u64::from(b'0'), 8), (384 | 1 << 3 | 7, 10), (16, 6)] {
            bits.push(1, 2);
            bits.push(0, 2);
            bits.push(symbol, width);
        }
        bits.push(LENGTH - 1 - 2118, 24);
        bits.push(0, 1);
    }
    // The last one, and empty.
    bits.push(3, 2);
    bits.bytes
}

/// Bits, the lowest first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: u32,
}

impl Bits {
    fn push(&mut self, value: u64, width: u32) {
        for bit in 0..width {
            if self.used == 0 {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut() {
                *last |= u8::from(value >> bit & 1 == 1) << self.used;
            }
            self.used = (self.used + 1) % 8;
        }
    }
}

/// A whole response with this body.
pub(super) fn response(headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes =
        format!("HTTP/1.1 200 OK\r\n{headers}content-length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend(body);
    bytes
}

/// A whole response that gzip makes short.
pub(super) fn zipped(body: impl AsRef<[u8]>) -> Play {
    Play::Send(
        response("content-encoding: gzip\r\ncontent-type: application/json\r\n", &gzip(body.as_ref())),
        Then::Next,
    )
}

pub(super) fn plain(body: impl AsRef<[u8]>) -> Play {
    Play::Send(response("content-type: application/json\r\n", body.as_ref()), Then::Next)
}

/// A status line, headers and `{}`.
pub(super) fn head(lines: &str) -> Play {
    Play::Send(format!("{lines}\r\ncontent-length: 2\r\n\r\n{{}}").into_bytes(), Then::Next)
}

/// These bytes, and then silence.
pub(super) fn raw(bytes: impl Into<Vec<u8>>) -> Play {
    Play::Send(bytes.into(), Then::Hang)
}

pub(super) fn flood(first: &str, piece: &str) -> Play {
    Play::Flood(first.into(), piece.into())
}

pub(super) fn coded(coding: &str, bytes: Vec<u8>) -> Play {
    Play::Send(response(&format!("content-encoding: {coding}\r\n"), &bytes), Then::Next)
}

/// A body in a coding: the first part once, the second one for ever.
pub(super) fn coded_flood(coding: &str, first: &[u8], piece: &[u8]) -> Play {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: {coding}\r\n\r\n");
    Play::Flood([head.as_bytes(), first].concat(), piece.to_vec())
}

/// One element after the other, about this number of bytes in all.
pub(super) fn array(element: &str, bytes: usize) -> String {
    format!("[{}0]", format!("{element},").repeat(bytes / (element.len() + 1)))
}

/// The members of a spec with a condition for each of a thousand numbers.
pub(super) fn many(condition: impl Fn(usize) -> String) -> String {
    let conditions: Vec<String> = (0..1000).map(condition).collect();
    format!(r#""responseFilter":{{"body":{{"status":[{}]}}}}"#, conditions.join(","))
}

/// A frame of HTTP/2.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(0).to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Frames of HTTP/2 for ever.
pub(super) fn http2(again: Vec<u8>) -> Play {
    http2_after(Vec::new(), again)
}

/// Frames of HTTP/2: the first ones once, the others for ever.
pub(super) fn http2_after(first: Vec<u8>, again: Vec<u8>) -> Play {
    Play::Http2(Http2 { settings: Vec::new(), first, again, every: None })
}

/// Frames of HTTP/2: the first ones once, the others every so often.
pub(super) fn http2_drip(first: Vec<u8>, again: Vec<u8>, every: Duration) -> Play {
    Play::Http2(Http2 { settings: Vec::new(), first, again, every: Some(every) })
}

/// Settings of HTTP/2, and then these frames once.
pub(super) fn http2_set(settings: &[u8], first: Vec<u8>) -> Play {
    Play::Http2(Http2 { settings: settings.to_vec(), first, again: Vec::new(), every: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_fill_bytes_from_the_lowest_on() {
        let mut bits = Bits::default();
        bits.push(1, 1);
        bits.push(0b10, 2);
        bits.push(0b1_1111_0001, 9);
        assert_eq!(bits.bytes, [0b1000_1101, 0b1111]);
    }
}
