//! Attacks by silence, broken ends, floods before the body, and framing, over HTTP/1.1.

use std::time::Duration;

use super::answers::{CHUNKED, flood, head, raw, response};
use super::server::{Play, Then};
use super::{Attack, attack};

pub(super) fn attacks() -> Vec<Attack> {
    vec![
        // Silence.
        attack("deaf", "accepts connections and reads nothing", || Play::Deaf),
        attack("silent", "reads the request and never answers", || raw("")),
        attack("half a head", "stops within the head", || raw("HTTP/1.1 200 OK\r\ncontent-")),
        attack("half a body", "stops within the body", || {
            raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{")
        }),
        attack("half a chunk", "stops within a chunk", || raw(format!("{CHUNKED}5\r\nab"))),
        attack("dripping head", "sends a byte of a header every 50 ms", || {
            Play::Drip("HTTP/1.1 200 OK\r\nx: ".into(), "a".into(), Duration::from_millis(50))
        }),
        attack("dripping body", "sends a byte of the body every 50 ms", || {
            Play::Drip("HTTP/1.1 200 OK\r\n\r\n".into(), "a".into(), Duration::from_millis(50))
        }),
        // Ends.
        attack("closes", "closes without an answer", || Play::Send(Vec::new(), Then::Close)),
        attack("resets", "resets without an answer", || Play::Send(Vec::new(), Then::Reset)),
        attack("resets in the body", "resets within the body", || {
            Play::Send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".into(), Then::Reset)
        }),
        attack("closes in the body", "closes within the body", || {
            Play::Send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".into(), Then::Close)
        }),
        attack("two answers", "sends two responses for one request", || {
            Play::Send([response("", b"{}"), response("", b"{\"status\":\"SUCCESS\"}")].concat(), Then::Next)
        }),
        // Floods before the body.
        attack("100 Continue", "interim responses without end", || {
            flood("", "HTTP/1.1 100 Continue\r\n\r\n")
        }),
        attack("103 Early Hints", "interim responses with headers without end", || {
            flood("", &format!("HTTP/1.1 103 Early Hints\r\nlink: {}\r\n\r\n", "x".repeat(4000)))
        }),
        attack("endless status", "a status line without end", || flood("HTTP/1.1 200 ", "a")),
        attack("endless name", "the name of a header without end", || flood("HTTP/1.1 200 OK\r\n", "a")),
        attack("endless value", "the value of a header without end", || flood("HTTP/1.1 200 OK\r\nx: ", "a")),
        attack("endless headers", "headers without end", || flood("HTTP/1.1 200 OK\r\n", "x: a\r\n")),
        attack("endless blanks", "line breaks without end before the status line", || flood("", "\r\n")),
        attack("garbage", "zeros without end", || flood("", "\0")),
        // Framing.
        attack("endless body", "a body without end", || flood("HTTP/1.1 200 OK\r\n\r\n", "aaaaaaaaaaaaaaaa")),
        attack("endless chunks", "chunks without end", || flood(CHUNKED, "10\r\naaaaaaaaaaaaaaaa\r\n")),
        attack("one-byte chunks", "chunks of a byte without end", || flood(CHUNKED, "1\r\na\r\n")),
        attack("chunk extensions", "extensions of a chunk without end", || {
            flood(&format!("{CHUNKED}1;"), "a=b;")
        }),
        attack("extended chunks", "chunks of a byte, each with an extension", || {
            flood(CHUNKED, "1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\na\r\n")
        }),
        attack("chunk size", "the size of a chunk without end", || flood(CHUNKED, "0")),
        attack("chunk overflow", "a chunk of 2^64 bytes", || raw(format!("{CHUNKED}10000000000000000\r\n"))),
        attack("endless trailers", "trailers without end", || flood(&format!("{CHUNKED}0\r\n"), "x: a\r\n")),
        attack("huge length", "a length of 2^63", || {
            raw("HTTP/1.1 200 OK\r\ncontent-length: 9223372036854775808\r\n\r\n")
        }),
        attack("negative length", "a length of -1", || raw("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n")),
        attack("two lengths", "two lengths that differ", || {
            raw("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}")
        }),
        attack("length and chunks", "a length and chunks", || {
            raw(
                "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
            )
        }),
        attack("unknown framing", "an unknown transfer coding", || {
            raw("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n{}")
        }),
        attack("NUL in a header", "a header with a NUL", || {
            raw("HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 0\r\n\r\n")
        }),
        attack("folded header", "a header over two lines", || {
            raw("HTTP/1.1 200 OK\r\nx: a\r\n b\r\ncontent-length: 0\r\n\r\n")
        }),
        attack("other protocols", "an alert of TLS", || raw([0x15, 3, 3, 0, 2, 2, 40])),
        attack("SSH", "the banner of SSH", || raw("SSH-2.0-x\r\n")),
        attack("switching", "101 Switching Protocols", || {
            head("HTTP/1.1 101 Switching Protocols\r\nupgrade: x")
        }),
        attack("status 000", "the status 000", || head("HTTP/1.1 000 x")),
        attack("status 999", "the status 999", || head("HTTP/1.1 999 x")),
        attack("HTTP/9.9", "a version that does not exist", || head("HTTP/9.9 200 OK")),
        // More of each.
        attack("slams", "resets each connection as soon as it is there", || Play::Slam),
        attack("early", "answers before it was asked", || {
            Play::Early([response("", b"{}"), response("", b"{\"status\":\"SUCCESS\"}")].concat())
        }),
        attack("answers ahead", "a thousand answers for one request", || {
            Play::Send(response("", b"{}").repeat(1000), Then::Next)
        }),
        attack("bytes", "a body without end, each byte in a packet of its own", || {
            Play::Bytes("HTTP/1.1 200 OK\r\n\r\n".into(), "a".into())
        }),
        attack("bytes of chunks", "chunks of a byte, each byte in a packet of its own", || {
            Play::Bytes(CHUNKED.into(), "1\r\na\r\n".into())
        }),
        attack("dripping 100", "100 Continue every 50 ms", || {
            let interim = "HTTP/1.1 100 Continue\r\n\r\n";
            Play::Drip(interim.into(), interim.into(), Duration::from_millis(50))
        }),
        attack("102 with a body", "interim responses with a length and a body, without end", || {
            flood("", "HTTP/1.1 102 Processing\r\ncontent-length: 5\r\n\r\nhello")
        }),
        attack("100 with chunks", "interim responses with chunks, without end", || {
            flood("", "HTTP/1.1 100 Continue\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n")
        }),
        attack("204 with a body", "a status without a body, and a body without end", || {
            flood("HTTP/1.1 204 No Content\r\n\r\n", "aaaaaaaaaaaaaaaa")
        }),
        attack("304 with a body", "a status without a body, and a body in chunks", || {
            flood("HTTP/1.1 304 Not Modified\r\ntransfer-encoding: chunked\r\n\r\n", "1\r\na\r\n")
        }),
        attack("no head", "a body without a head, as of HTTP/0.9", || flood("<html>", "aaaaaaaaaaaaaaaa")),
        attack("bare line breaks", "line breaks of one letter, and of the other one", || {
            raw("HTTP/1.1 200 OK\nx: a\rcontent-length: 2\r\r{}")
        }),
        attack("blank before the colon", "a length that one reader sees and another does not", || {
            raw("HTTP/1.1 200 OK\r\ncontent-length : 2\r\n\r\n{}")
        }),
        attack("lengths in a list", "two lengths in one line", || {
            raw("HTTP/1.1 200 OK\r\ncontent-length: 2, 20\r\n\r\n{}")
        }),
        attack("signed length", "a length with a sign", || {
            raw("HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\n{}")
        }),
        attack("negative chunk", "a chunk of -1 bytes", || raw(format!("{CHUNKED}-1\r\n{{}}\r\n0\r\n\r\n"))),
        attack("chunk of 0x2", "the size of a chunk as C writes it", || {
            raw(format!("{CHUNKED}0x2\r\n{{}}\r\n0\r\n\r\n"))
        }),
        attack("chunks twice", "chunks in chunks", || {
            raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
        }),
        attack("chunks that are not last", "chunks, and then a coding that hides their end", || {
            flood("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, gzip\r\n\r\n", "1\r\na\r\n")
        }),
        attack("long chunk line", "a chunk of which the size is followed by blanks without end", || {
            flood(&format!("{CHUNKED}1"), " ")
        }),
        attack("trailers", "trailers with another length, coding and cookies", || {
            let trailers =
                "content-length: 9\r\ncontent-encoding: gzip\r\nset-cookie: a=b\r\nlocation: /x\r\n";
            Play::Send(format!("{CHUNKED}2\r\n{{}}\r\n0\r\n{trailers}\r\n").into(), Then::Next)
        }),
        attack("many trailers", "100 kB of trailers", || {
            Play::Send(
                format!("{CHUNKED}2\r\n{{}}\r\n0\r\n{}\r\n", "x: aaaa\r\n".repeat(12_000)).into(),
                Then::Next,
            )
        }),
    ]
}
