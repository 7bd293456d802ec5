//! JSON Lines, in chunks of whole lines, byte for byte.
//!
//! A chunk holds the whole lines returned by one read: up to [`CHUNK`] bytes of a file, or the single line that was just
//! written into a pipe, so that no line waits for the next one. A longer line extends its chunk. Threads exchange
//! chunks rather than lines, which spreads the cost of synchronization over many lines.
//!
//! Lines keep their bytes, so that selected lines can be written verbatim. A byte order mark before the first line is
//! skipped; it belongs to the file, not to the line.

use std::io::{self, Read};

use memchr::{memchr, memchr_iter, memrchr};

/// The size of a read: large enough to spread the cost of a handover, small enough to keep latency low.
const CHUNK: usize = 256 * 1024;

/// Reads chunks.
pub(crate) struct Chunks<R> {
    reader: R,
    /// The start of a line whose end has not been read yet.
    rest: Vec<u8>,
    /// The number of the next line.
    line: u64,
    ended: bool,
}

/// One or more whole lines.
#[derive(Debug)]
pub(crate) struct Chunk {
    bytes: Vec<u8>,
    /// The number of the first line, from 1.
    first: u64,
    /// The length of the byte order mark before the first line.
    bom_len: usize,
}

/// A line that is not blank.
pub(crate) struct Line<'a> {
    /// The line number in the file, from 1; blank lines count.
    pub(crate) number: u64,
    /// The line without `\n` or `\r\n`.
    pub(crate) content: &'a [u8],
    /// The line with its line end, which the last line may lack.
    pub(crate) verbatim: &'a [u8],
}

impl<R: Read> Chunks<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, rest: Vec::new(), line: 1, ended: false }
    }

    /// The next lines; `None` at the end.
    pub(crate) fn next_chunk(&mut self) -> io::Result<Option<Chunk>> {
        let mut bytes = std::mem::take(&mut self.rest);
        while !self.ended {
            let before = bytes.len();
            // Not `read_to_end`: available lines are returned without waiting for more. The read size grows with the
            // line, so that a line of megabytes is read in linear time.
            bytes.resize(before + CHUNK.max(before), 0);
            let read = loop {
                match self.reader.read(&mut bytes[before..]) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    read => break read?,
                }
            };
            bytes.truncate(before + read);
            self.ended = read == 0;
            if let Some(end) = memrchr(b'\n', &bytes[before..]) {
                self.rest = bytes.split_off(before + end + 1);
                break;
            }
        }
        if bytes.is_empty() {
            return Ok(None);
        }
        let first = self.line;
        self.line += memchr_iter(b'\n', &bytes).count() as u64;
        let bom_len =
            if first == 1 && bytes.starts_with(super::BOM.as_bytes()) { super::BOM.len() } else { 0 };
        Ok(Some(Chunk { bytes, first, bom_len }))
    }
}

impl Chunk {
    /// The lines, without blank ones.
    pub(crate) fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        let mut rest = &self.bytes[self.bom_len..];
        let mut number = self.first;
        std::iter::from_fn(move || {
            while !rest.is_empty() {
                let end = memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
                let (verbatim, after) = rest.split_at(end);
                let line = Line { number, content: without_end(verbatim), verbatim };
                (rest, number) = (after, number + 1);
                if !line.content.iter().all(u8::is_ascii_whitespace) {
                    return Some(line);
                }
            }
            None
        })
    }
}

fn without_end(verbatim: &[u8]) -> &[u8] {
    let content = verbatim.strip_suffix(b"\n").unwrap_or(verbatim);
    content.strip_suffix(b"\r").unwrap_or(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns one piece per read, like a pipe.
    struct Pieces<'a>(Vec<&'a [u8]>);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Ok(0);
            }
            let piece = self.0.remove(0);
            buffer[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        }
    }

    fn read(reader: impl Read) -> Vec<Vec<(u64, String, String)>> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let mut chunks = Chunks::new(reader);
        std::iter::from_fn(|| chunks.next_chunk().unwrap())
            .map(|chunk| {
                chunk.lines().map(|line| (line.number, text(line.content), text(line.verbatim))).collect()
            })
            .collect()
    }

    #[test]
    fn line_ends_blank_lines_and_the_byte_order_mark() {
        let expected = [(1, "1", "1\r\n"), (4, "2", "2\n"), (5, " 3", " 3")];
        let expected = expected.map(|(number, content, verbatim)| (number, content.into(), verbatim.into()));
        assert_eq!(read("\u{feff}1\r\n\n \t\r\n2\n 3".as_bytes()).concat(), expected);
        assert!(read(&b""[..]).is_empty());
        assert!(read(&b"\n\n"[..]).concat().is_empty());
    }

    #[test]
    fn a_byte_order_mark_alone_is_a_blank_line() {
        assert_eq!(read("\u{feff}\n1\n".as_bytes()).concat(), [(2, "1".into(), "1\n".into())]);
    }

    #[test]
    fn available_lines_are_returned_at_once() {
        let chunks = read(Pieces(vec![b"1\n", b"2\n3\n4", b"4", b"4\n", b"5"]));
        let contents = |chunk: &Vec<(u64, String, String)>| -> Vec<(u64, String)> {
            chunk.iter().map(|(number, content, _)| (*number, content.clone())).collect()
        };
        let line = |number, content: &str| (number, content.to_owned());
        assert_eq!(
            chunks.iter().map(contents).collect::<Vec<_>>(),
            [vec![line(1, "1")], vec![line(2, "2"), line(3, "3")], vec![line(4, "444")], vec![line(5, "5")]]
        );
    }

    #[test]
    fn a_line_may_be_longer_than_a_chunk() {
        let long = "x".repeat(3 * CHUNK);
        let text = format!("a\n{long}\nb\n");
        let lines = read(text.as_bytes()).concat();
        assert_eq!(
            lines.iter().map(|(number, content, _)| (*number, content.len())).collect::<Vec<_>>(),
            [(1, 1), (2, long.len()), (3, 1)]
        );
    }
}
