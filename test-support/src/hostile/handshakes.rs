//! Attacks by what comes instead of a handshake of TLS, and by what is legal within TLS.

use std::time::Duration;

use super::answers::{flood, head};
use super::server::{Play, Tls};
use super::{Attack, attack};

const TICK: Duration = Duration::from_millis(50);

fn no_tls(first: &[u8], piece: &[u8], every: Duration) -> Play {
    Play::NoTls(first.to_vec(), piece.to_vec(), every)
}

fn tls(how: Tls, play: Play) -> Play {
    Play::Tls(how, Box::new(play))
}

pub(super) fn attacks() -> Vec<Attack> {
    vec![
        attack("TLS silence", "no answer to the first message of TLS", || no_tls(b"", b"", TICK)),
        attack("dripping TLS", "a byte of a message of TLS every 50 ms", || {
            no_tls(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc", b"\x03", TICK)
        }),
        attack("plain answer", "HTTP without TLS", || {
            no_tls(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", b"", TICK)
        }),
        attack("TLS zeros", "zeros without end instead of TLS", || no_tls(b"", b"\0", Duration::ZERO)),
        attack("TLS warnings", "alerts of TLS that end nothing, without end", || {
            no_tls(b"", b"\x15\x03\x03\x00\x02\x01\x5a", Duration::ZERO)
        }),
        attack("TLS spec changes", "ChangeCipherSpec of TLS without end", || {
            no_tls(b"", b"\x14\x03\x03\x00\x01\x01", Duration::ZERO)
        }),
        attack("empty TLS records", "records of a handshake without content, without end", || {
            no_tls(b"", b"\x16\x03\x03\x00\x00", Duration::ZERO)
        }),
        attack("endless TLS message", "a message of 16 MiB in a handshake", || {
            no_tls(
                b"",
                &[b"\x16\x03\x03\x40\x00\x02\xff\xff\xff", &[3; (16 << 10) - 4][..]].concat(),
                Duration::ZERO,
            )
        }),
        attack("TLS hello requests", "HelloRequest of TLS without end", || {
            no_tls(b"", b"\x16\x03\x03\x00\x04\x00\x00\x00\x00", Duration::ZERO)
        }),
        attack("certificate of 3000 names", "a certificate that is as long as may be", || {
            tls(Tls::Names(2500), head("HTTP/1.1 200 OK"))
        }),
        attack("TLS tickets", "a thousand tickets for later connections on each", || {
            tls(Tls::Tickets(1000), head("HTTP/1.1 200 OK"))
        }),
        attack("small TLS records", "a body without end in records of a few bytes", || {
            tls(Tls::Records(33), flood("HTTP/1.1 200 OK\r\n\r\n", "aaaaaaaaaaaaaaaa"))
        }),
        attack("TLS keys", "a new key for each byte of a body, and a new one wanted in return", || {
            tls(Tls::Keys, Play::Deaf)
        }),
    ]
}
