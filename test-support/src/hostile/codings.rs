//! Attacks by content codings: bombs, streams that yield nothing, damage.

use std::time::Duration;

use super::answers::{MIB, ZSTD_HEAD, brotli_bomb, coded, coded_flood, gzip, zipped, zlib, zstd_bomb};
use super::server::Play;
use super::{Attack, attack, large};

/// Bytes as the last block of Zstandard, not compressed.
fn stored(bytes: &[u8]) -> Vec<u8> {
    let [a, b, c, ..] = (bytes.len() << 3 | 1).to_le_bytes();
    [&[a, b, c][..], bytes].concat()
}

pub(super) fn attacks() -> Vec<Attack> {
    vec![
        large("gzip bomb", "100 MiB of zeros in 100 kB", || zipped(vec![b'0'; 100 * MIB])),
        large("stacked bomb", "gzip in gzip in gzip in gzip", || {
            coded("gzip, gzip, gzip, gzip", gzip(&gzip(&gzip(&gzip(&vec![b'0'; 100 * MIB])))))
        }),
        attack("five codings", "five codings on top of each other", || {
            coded("gzip,gzip,gzip,gzip,gzip", gzip(b"{}"))
        }),
        attack("empty members", "empty members of gzip without end", || {
            Play::Flood("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n".into(), gzip(b""))
        }),
        attack("empty blocks", "empty blocks of deflate without end", || {
            let start = b"HTTP/1.1 200 OK\r\ncontent-encoding: deflate\r\n\r\n\x78\x9c";
            Play::Flood(start.to_vec(), vec![0, 0, 0, 0xFF, 0xFF])
        }),
        attack("skippable frames", "skippable frames of zstd without end", || {
            let frame = [0x50, 0x2A, 0x4D, 0x18, 4, 0, 0, 0, 1, 2, 3, 4];
            Play::Flood("HTTP/1.1 200 OK\r\ncontent-encoding: zstd\r\n\r\n".into(), frame.to_vec())
        }),
        attack("huge window", "zstd with a window of 2 GiB", || {
            coded("zstd", vec![0x28, 0xB5, 0x2F, 0xFD, 0x00, 0xA8, 0x01, 0x00, 0x00])
        }),
        attack("gzip name", "a name in the header of gzip without end", || {
            let start = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n\x1f\x8b\x08\x08\0\0\0\0\0\x03";
            Play::Flood(start.to_vec(), b"a".to_vec())
        }),
        attack("cut gzip", "gzip without its end", || {
            let whole = gzip(&vec![b'0'; MIB]);
            coded("gzip", whole[..whole.len() / 2].to_vec())
        }),
        attack("no gzip", "a body that is not what its coding says", || coded("gzip", vec![b'{'; 1000])),
        attack("unknown coding", "a coding that does not exist", || coded("snappy", vec![b'{'; 1000])),
        large("zstd bomb", "100 MiB of zeros in 3 kB", || coded("zstd", zstd_bomb(800))),
        large("brotli bomb", "160 MiB of zeros in 130 bytes", || coded("br", brotli_bomb(10))),
        large("mixed bomb", "brotli in zstd in gzip in deflate", || {
            coded(
                "br, zstd, gzip, deflate",
                zlib(&gzip(&[&ZSTD_HEAD[..], &stored(&brotli_bomb(10))].concat())),
            )
        }),
        large("bombs in a row", "fifty members of gzip of 2 MiB each", || {
            coded("gzip", gzip(&vec![b'0'; 2 * MIB]).repeat(50))
        }),
        attack("empty zstd blocks", "empty blocks of a frame of zstd without end", || {
            coded_flood("zstd", &ZSTD_HEAD, &[0, 0, 0])
        }),
        attack("brotli metadata", "empty metadata of brotli without end", || {
            coded_flood("br", &[0x0C], &[0x06])
        }),
        attack("small members", "members of gzip of one byte without end", || {
            coded_flood("gzip", b"", &gzip(b"a"))
        }),
        attack("after the end", "gzip, and zeros without end behind it", || {
            coded_flood("gzip", &gzip(b"{}"), &[0])
        }),
        attack("after the end of zlib", "deflate, and letters without end behind it", || {
            coded_flood("deflate", &zlib(b"{}"), b"a")
        }),
        large("wrong checksum", "10 MiB in gzip with a wrong checksum", || {
            let mut whole = gzip(&vec![b'0'; 10 * MIB - 1]);
            let at = whole.len() - 8;
            whole[at] ^= 1;
            coded("gzip", whole)
        }),
        attack("dripping gzip", "a byte of gzip every 50 ms", || {
            let start = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n\x1f\x8b\x08\x08\0\0\0\0\0\x03";
            Play::Drip(start.to_vec(), "a".into(), Duration::from_millis(50))
        }),
    ]
}
