//! Which requests of an HTTP/2 connection are open, as the heads of its frames tell (RFC 9113, sections 4.1 and 5.1).
//!
//! The library that speaks HTTP/2 does not say how many streams it has. Pings and settings are writes too, so that bytes alone do
//! not show whether a connection is idle. The heads do: a request begins with the HEADERS of a new stream, and ends when the
//! server ends the stream or either side resets it. Payloads are skipped, so a frame costs nine bytes of looking.

use std::collections::HashSet;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const END_STREAM: u8 = 1;

/// The length of what a client sends before its first frame.
const PREFACE: usize = 24;

/// The open requests of one connection, on the client's side.
#[derive(Debug, Default)]
pub(super) struct OpenRequests {
    sent: Heads,
    received: Heads,
    open: HashSet<u32>,
    /// The highest stream of the client so far.
    last: u32,
    /// The requests that have begun so far.
    begun: u64,
}

impl OpenRequests {
    /// The derived default is only the rest of this one: it does not skip the preface.
    pub(super) fn new() -> Self {
        Self { sent: Heads { skip: PREFACE, ..Heads::default() }, ..Self::default() }
    }

    /// The requests that have begun so far, and those among them that are open.
    pub(super) fn counts(&self) -> (u64, usize) {
        (self.begun, self.open.len())
    }

    pub(super) fn wrote(&mut self, bytes: &[u8]) {
        let (open, last, begun) = (&mut self.open, &mut self.last, &mut self.begun);
        self.sent.scan(bytes, |kind, _, stream| match kind {
            HEADERS if stream > *last => {
                *last = stream;
                *begun += 1;
                open.insert(stream);
            }
            RST_STREAM => {
                open.remove(&stream);
            }
            _ => {}
        });
    }

    pub(super) fn read(&mut self, bytes: &[u8]) {
        let open = &mut self.open;
        self.received.scan(bytes, |kind, flags, stream| {
            if kind == RST_STREAM || (matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0) {
                open.remove(&stream);
            }
        });
    }
}

/// The heads of the frames in one direction.
#[derive(Debug, Default)]
struct Heads {
    head: [u8; 9],
    /// How many bytes of the head have come.
    have: usize,
    /// How many bytes come before the next head.
    skip: usize,
}

impl Heads {
    /// Calls `frame` with type, flags and stream of each head that ends in `bytes`.
    fn scan(&mut self, mut bytes: &[u8], mut frame: impl FnMut(u8, u8, u32)) {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let skipped = self.skip.min(bytes.len());
                self.skip -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            let taken = (self.head.len() - self.have).min(bytes.len());
            self.head[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
            self.have += taken;
            bytes = &bytes[taken..];
            if self.have == self.head.len() {
                let [a, b, c, kind, flags, stream @ ..] = self.head;
                self.have = 0;
                self.skip = u32::from_be_bytes([0, a, b, c]) as usize;
                // The highest bit is reserved.
                frame(kind, flags, u32::from_be_bytes(stream) & (u32::MAX >> 1));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: usize) -> Vec<u8> {
        let mut frame = u32::try_from(payload).unwrap().to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        // A payload that looks like the head of HEADERS.
        frame.extend((0..payload).map(|index| [0, 0, 0, HEADERS, 1, 0, 0, 0, 99][index % 9]));
        frame
    }

    #[test]
    fn requests_are_open_from_their_headers_to_the_end_of_their_streams() {
        const PING: u8 = 6;
        let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        for part in
            [frame(4, 0, 0, 18), frame(HEADERS, 5, 1, 40), frame(HEADERS, 4, 3, 7), frame(PING, 0, 0, 8)]
        {
            sent.extend(part);
        }
        // Trailers of the second request are no third.
        sent.extend(frame(HEADERS, 5, 3, 3));
        let mut received = frame(4, 0, 0, 6);
        for part in [frame(HEADERS, 4, 1, 20), frame(DATA, 0, 1, 100), frame(DATA, END_STREAM, 1, 0)] {
            received.extend(part);
        }
        for size in [1, 2, 7, 9, 1000] {
            let mut requests = OpenRequests::new();
            sent.chunks(size).for_each(|piece| requests.wrote(piece));
            assert_eq!(requests.counts(), (2, 2), "{size}");
            received.chunks(size).for_each(|piece| requests.read(piece));
            assert_eq!(requests.counts(), (2, 1), "{size}");
            // Reset after its end, and once more by this side: counted once.
            requests.read(&frame(RST_STREAM, 0, 1, 4));
            requests.wrote(&frame(RST_STREAM, 0, 3, 4));
            requests.read(&frame(RST_STREAM, 0, 3, 4));
            assert_eq!(requests.counts(), (2, 0), "{size}");
        }
    }
}
