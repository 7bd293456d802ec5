//! JSON Lines, in chunks of whole lines, byte for byte.
//!
//! A chunk holds the whole lines returned by one read: up to [`CHUNK`] bytes of a file, or the single line that was just
//! written into a pipe, so that no line waits for the next one. A longer line extends its chunk. Threads exchange
//! chunks rather than lines, which spreads the cost of synchronization over many lines.
//!
//! A pipe returns at most 64 KiB a read, so a long line takes thousands of reads. Each byte is therefore initialized, searched
//! for a line end and copied a constant number of times, however many reads its line takes; and memory is touched only shortly
//! before it is filled, so that a line costs little more than its length. A line past the limit is not kept: the
//! rest of it is read and dropped.
//!
//! Lines keep their bytes, so that selected lines can be written verbatim. A byte order mark before the first line is
//! skipped; it belongs to the file, not to the line.

use std::io::{self, Read};

use memchr::{memchr, memchr_iter, memrchr};

use super::Text;
use super::pieces::Place;
use crate::render::humanize;

/// The usual size of a read: large enough to spread the cost of a handover, small enough to keep latency low.
pub(crate) const CHUNK: usize = 256 * 1024;

pub(crate) struct Chunks<R> {
    reader: R,
    size: usize,
    /// Bytes that were read and not returned, then bytes that only are initialized.
    buffer: Vec<u8>,
    /// The number of bytes that were read.
    filled: usize,
    /// The number of bytes at the start that have no line end.
    searched: usize,
    line: u64,
    /// The number of bytes that were returned or dropped.
    offset: usize,
    max_line: usize,
    ended: bool,
}

/// One or more whole lines.
#[derive(Debug)]
pub(crate) struct Chunk {
    bytes: Vec<u8>,
    /// The number of the first line, from 1.
    first: u64,
    /// The number of bytes before it.
    offset: usize,
    /// The length of the byte order mark before the first line.
    bom_len: usize,
    max_line: usize,
    /// The chunk stands for one line that was not kept.
    is_dropped: bool,
}

/// A line that is not blank.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    /// The line number in the file, from 1; blank lines count.
    pub(crate) number: u64,
    /// The line without `\n` or `\r\n`; an error if it is longer than the limit.
    pub(crate) content: Result<&'a [u8], TooLong>,
    /// The line with its line end, which the last line may lack; empty if it is too long.
    pub(crate) verbatim: &'a [u8],
}

/// A line is longer than the limit, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLong {
    pub(crate) limit: usize,
}

impl<R: Read> Chunks<R> {
    /// Lines of at most `max_line` bytes, line ends not counted, in reads of `size` bytes: few for lines that take much more
    /// memory than their bytes once a chunk of them is read.
    pub(crate) fn new(reader: R, max_line: usize, size: usize) -> Self {
        Self {
            reader,
            size,
            buffer: Vec::new(),
            filled: 0,
            searched: 0,
            line: 1,
            offset: 0,
            max_line,
            ended: false,
        }
    }

    /// The next lines; `None` at the end.
    pub(crate) fn next_chunk(&mut self) -> io::Result<Option<Chunk>> {
        loop {
            if let Some(end) = memrchr(b'\n', &self.buffer[self.searched..self.filled]) {
                return Ok(Some(self.cut(self.searched + end + 1)));
            }
            self.searched = self.filled;
            // One more byte may be the `\r` of the line end.
            if self.filled > self.max_line.saturating_add(1 + super::BOM.len()) {
                return self.drop_line().map(Some);
            }
            if self.ended {
                return Ok((self.filled > 0).then(|| self.cut(self.filled)));
            }
            let read = self.read()?;
            self.filled += read;
            self.ended = read == 0;
        }
    }

    /// Reads what is available, up to a chunk, behind the bytes that were read. Not `read_to_end`: available lines are
    /// returned without waiting for more.
    fn read(&mut self) -> io::Result<usize> {
        if self.buffer.len() - self.filled < self.size / 4 {
            self.buffer.resize(self.filled + self.size, 0);
        }
        let end = self.buffer.len().min(self.filled + self.size);
        loop {
            match self.reader.read(&mut self.buffer[self.filled..end]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }

    /// Takes the first `end` bytes, which are whole lines.
    fn cut(&mut self, end: usize) -> Chunk {
        let rest = self.filled - end;
        let bytes = if end < self.size / 2 {
            // Short lines, as from a pipe, leave the buffer in place.
            let bytes = self.buffer[..end].to_vec();
            self.buffer.copy_within(end..self.filled, 0);
            bytes
        } else {
            let after = self.buffer[end..self.filled].to_vec();
            let mut bytes = std::mem::replace(&mut self.buffer, after);
            bytes.truncate(end);
            bytes
        };
        (self.filled, self.searched) = (rest, rest);
        let first = self.line;
        self.line += memchr_iter(b'\n', &bytes).count() as u64;
        let bom_len =
            if first == 1 && bytes.starts_with(super::BOM.as_bytes()) { super::BOM.len() } else { 0 };
        let offset = self.offset;
        self.offset += end;
        Chunk { bytes, first, offset, bom_len, max_line: self.max_line, is_dropped: false }
    }

    /// Reads and drops the rest of a line that is too long.
    fn drop_line(&mut self) -> io::Result<Chunk> {
        let offset = self.offset;
        self.offset += self.filled;
        self.buffer = Vec::new();
        (self.filled, self.searched) = (0, 0);
        while !self.ended {
            let read = self.read()?;
            self.ended = read == 0;
            self.offset += read;
            if let Some(end) = memchr(b'\n', &self.buffer[..read]) {
                self.buffer.copy_within(end + 1..read, 0);
                self.filled = read - end - 1;
                self.offset -= self.filled;
                break;
            }
        }
        let first = self.line;
        self.line += 1;
        Ok(Chunk { bytes: Vec::new(), first, offset, bom_len: 0, max_line: self.max_line, is_dropped: true })
    }
}
impl Chunk {
    /// The whole chunk as a text.
    ///
    /// # Errors
    /// If it is not UTF-8.
    pub(crate) fn into_text(self, name: &str) -> anyhow::Result<Text> {
        let place = Place { line: usize::try_from(self.first).unwrap_or(usize::MAX), offset: self.offset };
        Text::from_bytes(name.to_owned(), self.bytes, place)
    }

    /// The first line of the input that is not blank, if it is in this chunk.
    pub(crate) fn first_line(&self) -> Option<Line<'_>> {
        (self.first == 1).then(|| self.lines().next()).flatten()
    }

    /// The lines, without blank ones.
    pub(crate) fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        let limit = self.max_line;
        let too_long = move |number| Line { number, content: Err(TooLong { limit }), verbatim: &[] };
        let mut dropped = self.is_dropped.then(|| too_long(self.first));
        let mut rest = &self.bytes[self.bom_len..];
        let mut number = self.first;
        std::iter::from_fn(move || {
            while !rest.is_empty() {
                let end = memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
                let (verbatim, after) = rest.split_at(end);
                let content = without_end(verbatim);
                let line = Line { number, content: Ok(content), verbatim };
                (rest, number) = (after, number + 1);
                if content.len() > limit {
                    return Some(too_long(line.number));
                }
                if !content.iter().all(u8::is_ascii_whitespace) {
                    return Some(line);
                }
            }
            dropped.take()
        })
    }
}

impl std::fmt::Display for TooLong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let limit = humanize::bytes(self.limit as u64);
        write!(f, "the line is longer than the limit of {limit}; --max-line raises it")
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
        let mut chunks = Chunks::new(reader, 1 << 30, CHUNK);
        std::iter::from_fn(|| chunks.next_chunk().unwrap())
            .map(|chunk| {
                let lines = chunk.lines();
                lines.map(|line| (line.number, text(line.content.unwrap()), text(line.verbatim))).collect()
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

    /// The numbers of the lines, and their lengths where they are within the limit.
    fn lengths(reader: impl Read, max_line: usize) -> Vec<(u64, Option<usize>)> {
        let mut chunks = Chunks::new(reader, max_line, CHUNK);
        let mut lengths = Vec::new();
        while let Some(chunk) = chunks.next_chunk().unwrap() {
            lengths.extend(chunk.lines().map(|line| (line.number, line.content.map(<[u8]>::len).ok())));
        }
        lengths
    }

    #[test]
    fn chunks_know_where_they_begin() {
        let long = "x".repeat(CHUNK + 7);
        let text = format!("\u{feff}a\n{long}\nb\n{long}\n\nc");
        for limit in [10, 4 * CHUNK] {
            let mut chunks = Chunks::new(text.as_bytes(), limit, CHUNK);
            let mut end = 0;
            while let Some(chunk) = chunks.next_chunk().unwrap() {
                let kept = &text.as_bytes()[chunk.offset..];
                assert!(chunk.offset >= end && kept.starts_with(&chunk.bytes), "{limit} {}", chunk.offset);
                assert_eq!(
                    1 + memchr_iter(b'\n', &text.as_bytes()[..chunk.offset]).count() as u64,
                    chunk.first
                );
                end = chunk.offset + chunk.bytes.len();
            }
            assert_eq!(end, text.len());
        }
    }

    #[test]
    fn a_line_past_the_limit_is_dropped_and_the_next_ones_keep_their_numbers() {
        for length in [10, 11, 12, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK + 3] {
            let long = "x".repeat(length);
            let text = format!("\u{feff}{}\r\n\n{long}\n2\n{long}", "y".repeat(10));
            let is_kept = |limit| (length <= limit).then_some(length);
            for limit in [10, 4096, CHUNK, 2 * CHUNK] {
                let expected = [(1, Some(10)), (3, is_kept(limit)), (4, Some(1)), (5, is_kept(limit))];
                assert_eq!(lengths(text.as_bytes(), limit), expected, "{length} {limit}");
                let pieces = text.as_bytes().chunks(7919).collect();
                assert_eq!(lengths(Pieces(pieces), limit), expected, "{length} {limit}, in pieces");
            }
        }
    }

    #[test]
    fn whole_lines_after_a_dropped_one_do_not_wait_for_a_read() {
        let long = "x".repeat(100);
        let text = format!("{long}\n1\n2\n3");
        let mut chunks = Chunks::new(Pieces(vec![text.as_bytes()]), 10, CHUNK);
        let numbers =
            |chunk: Option<Chunk>| chunk.unwrap().lines().map(|line| line.number).collect::<Vec<_>>();
        assert_eq!(numbers(chunks.next_chunk().unwrap()), [1, 2, 3]);
        assert_eq!(numbers(chunks.next_chunk().unwrap()), [4]);
        assert!(chunks.next_chunk().unwrap().is_none());
    }

    /// Returns a line of a given length in reads of 64 KiB, as a pipe does, and notes how the buffer grows.
    struct Pipe {
        left: usize,
        offered: usize,
    }

    impl Read for Pipe {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.offered += buffer.len();
            let read = buffer.len().min(64 * 1024).min(self.left);
            buffer[..read].fill(b'x');
            self.left -= read;
            Ok(read)
        }
    }

    #[test]
    fn the_buffer_of_a_long_line_grows_with_what_was_read() {
        let length = 64 << 20;
        let mut chunks = Chunks::new(Pipe { left: length, offered: 0 }, usize::MAX, CHUNK);
        let chunk = chunks.next_chunk().unwrap().unwrap();
        assert_eq!(chunk.bytes.len(), length);
        // Initialized memory is memory in use; it was the whole line again with every read.
        assert!(chunks.reader.offered <= 4 * length + 4 * CHUNK, "{}", chunks.reader.offered);
    }
}
