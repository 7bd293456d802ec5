//! Attacks by frames of HTTP/2.

use std::time::Duration;

use super::answers::{frame, http2, http2_after, http2_drip, http2_set};
use super::{Attack, attack};

pub(super) fn attacks() -> Vec<Attack> {
    vec![
        attack("PING", "HTTP/2: pings without end", || http2(frame(6, 0, 0, &[1; 8]))),
        attack("SETTINGS", "HTTP/2: settings without end", || http2(frame(4, 0, 0, &[0, 3, 0, 0, 0, 100]))),
        attack("RST_STREAM", "HTTP/2: resets of the request without end", || {
            http2(frame(3, 0, 1, &[0, 0, 0, 8]))
        }),
        attack("WINDOW_UPDATE", "HTTP/2: windows without end", || http2(frame(8, 0, 0, &[0, 0, 0, 1]))),
        attack("PRIORITY", "HTTP/2: priorities without end", || http2(frame(2, 0, 1, &[0, 0, 0, 0, 1]))),
        attack("CONTINUATION", "HTTP/2: headers without end", || {
            // A literal header, never indexed.
            http2([frame(1, 0, 1, &[0x88]), frame(9, 0, 1, b"\x10\x01a\x01b").repeat(1000)].concat())
        }),
        attack("empty DATA", "HTTP/2: empty frames of a body without end", || {
            http2([frame(1, 4, 1, &[0x88]), frame(0, 0, 1, &[]).repeat(1000)].concat())
        }),
        attack("padded DATA", "HTTP/2: a byte of a body and 255 of padding, without end", || {
            let mut padded = vec![255, b'a'];
            padded.extend([0; 255]);
            http2([frame(1, 4, 1, &[0x88]), frame(0, 8, 1, &padded).repeat(50)].concat())
        }),
        attack("PUSH_PROMISE", "HTTP/2: promises without end", || http2(frame(5, 4, 1, &[0, 0, 0, 2, 0x82]))),
        attack("GOAWAY", "HTTP/2: goodbyes without end", || http2(frame(7, 0, 0, &[0; 8]))),
        attack("unknown frames", "HTTP/2: frames of an unknown kind without end", || {
            http2(frame(0xFA, 0, 0, &[0; 64]))
        }),
        attack("HPACK", "HTTP/2: a header of 4 kB, indexed, referred to again and again", || {
            let mut block = vec![0x88, 0x40, 1, b'a', 0x7F, 0xA1, 0x1E];
            block.extend([b'v'; 4000]);
            block.extend([0xBE; 16_000 - 4007]);
            http2(frame(1, 5, 1, &block))
        }),
        attack("table sizes", "HTTP/2: a table of headers of no size and of the largest, in turn", || {
            let size = |size: u32| frame(4, 0, 0, &[&[0, 1][..], &size.to_be_bytes()].concat());
            http2([size(0), size(u32::MAX)].concat())
        }),
        attack("window overflow", "HTTP/2: windows past 2^31", || {
            http2(frame(8, 0, 0, &[0x7F, 0xFF, 0xFF, 0xFF]))
        }),
        attack("initial windows", "HTTP/2: first windows of no size and of the largest, in turn", || {
            let size = |size: u32| frame(4, 0, 0, &[&[0, 4][..], &size.to_be_bytes()].concat());
            http2([size(0), size(0x7FFF_FFFF)].concat())
        }),
        attack("no window", "HTTP/2: no window for the body of the request", || {
            http2_set(&[0, 4, 0, 0, 0, 0], Vec::new())
        })
        .asked(|| format!(r#""requestInit":{{"method":"POST","body":"{}"}}"#, "x".repeat(100_000))),
        attack("no streams", "HTTP/2: no request is allowed", || http2_set(&[0, 3, 0, 0, 0, 0], Vec::new())),
        attack("small frames only", "HTTP/2: a size of frames that may not be", || {
            http2_set(&[0, 5, 0, 0, 0, 1], Vec::new())
        }),
        attack("frame of 16 MiB", "HTTP/2: a frame longer than was agreed", || {
            http2_after(b"\xff\xff\xff\0\0\0\0\0\x01".to_vec(), vec![b'a'; 16 << 10])
        }),
        attack("acknowledged pings", "HTTP/2: answers to pings that nobody sent", || {
            http2(frame(6, 1, 0, &[1; 8]))
        }),
        attack("acknowledged settings", "HTTP/2: answers to settings that nobody sent", || {
            http2(frame(4, 1, 0, &[]))
        }),
        attack("streams of nobody", "HTTP/2: resets of requests that were never made", || {
            http2((1..50).flat_map(|n| frame(3, 0, 2 * n + 99_999, &[0, 0, 0, 8])).collect())
        }),
        attack("empty CONTINUATION", "HTTP/2: empty parts of headers without end", || {
            http2_after(frame(1, 0, 1, &[0x88]), frame(9, 0, 1, &[]))
        }),
        attack("103 of HTTP/2", "HTTP/2: interim responses without end", || {
            http2(frame(1, 4, 1, b"\x08\x03103"))
        }),
        attack("trailers of HTTP/2", "HTTP/2: trailers that are not the end, without end", || {
            http2_after(frame(1, 4, 1, &[0x88]), frame(1, 4, 1, b"\x10\x01a\x01b"))
        }),
        attack("DATA first", "HTTP/2: a body without a head", || http2(frame(0, 0, 1, &[b'a'; 100]))),
        attack("endless DATA", "HTTP/2: a body without end, whatever the window", || {
            http2_after(frame(1, 4, 1, &[0x88]), frame(0, 0, 1, &[b'a'; 16 << 10]))
        }),
        attack("bytes of DATA", "HTTP/2: a body of one byte a frame", || {
            http2_after(frame(1, 4, 1, &[0x88]), frame(0, 0, 1, b"a"))
        }),
        attack("dripping DATA", "HTTP/2: a byte of the body every 50 ms", || {
            http2_drip(frame(1, 4, 1, &[0x88]), frame(0, 0, 1, b"a"), Duration::from_millis(50))
        }),
        attack("dripping headers", "HTTP/2: a header every 50 ms", || {
            http2_drip(frame(1, 0, 1, &[0x88]), frame(9, 0, 1, b"\x10\x01a\x01b"), Duration::from_millis(50))
        }),
        attack("last GOAWAY", "HTTP/2: a goodbye after this request, and then nothing", || {
            http2_set(&[], frame(7, 0, 0, &[0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0]))
        }),
        attack("refused streams", "HTTP/2: each request is refused", || {
            http2_after((0..200).flat_map(|n| frame(3, 0, 2 * n + 1, &[0, 0, 0, 7])).collect(), Vec::new())
        }),
        attack("two statuses", "HTTP/2: two statuses in one head", || {
            http2_after(frame(1, 5, 1, &[0x88, 0x8D]), Vec::new())
        }),
        attack("no status", "HTTP/2: a head without a status", || {
            http2_after(frame(1, 5, 1, b"\x10\x01a\x01b"), Vec::new())
        }),
        attack("wrong length", "HTTP/2: a body longer than its length", || {
            let head = b"\x88\x0f\x0d\x011";
            http2_after(
                [frame(1, 4, 1, head), frame(0, 1, 1, b"{\"status\":\"SUCCESS\"}")].concat(),
                Vec::new(),
            )
        }),
        attack("endless integer", "HTTP/2: a number in HPACK that does not end", || {
            http2_after(frame(1, 4, 1, &[&[0xFF][..], &[0x80; 1000]].concat()), Vec::new())
        }),
        attack("Huffman", "HTTP/2: headers of 16 kB in a code of five bits a letter, without end", || {
            // Zeros are the letter 0 in the code of HPACK.
            let field = [b"\x10\x01a\xFF\x81\x7D".to_vec(), vec![0; 127 + 1 + (0x7D << 7)]].concat();
            http2([frame(1, 0, 1, &[0x88]), frame(9, 0, 1, &field[..16_000.min(field.len())])].concat())
        }),
    ]
}
