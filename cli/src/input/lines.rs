//! JSON Lines, one at a time and byte for byte.
//!
//! A line is handed out as it stands in the file, so that what is selected can be written verbatim; only its line
//! end is told apart, because the last line may lack it. Lines may be of any length: the buffer grows to the longest.
//! A byte order mark before the first line belongs to the file, not to the line.

use std::io::{self, BufRead};

/// Reads lines, counting from 1.
pub(crate) struct Lines<R> {
    reader: R,
    buffer: Vec<u8>,
    number: u64,
}

/// One line that is not blank.
pub(crate) struct Line<'a> {
    /// Its number in the file, from 1; blank lines count.
    pub(crate) number: u64,
    /// The line without `\n` or `\r\n`.
    pub(crate) content: &'a [u8],
    /// The line as it stands, with its line end if it has one.
    pub(crate) verbatim: &'a [u8],
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, buffer: Vec::new(), number: 0 }
    }

    /// The next line that is not blank; `None` at the end.
    pub(crate) fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        let start = loop {
            self.buffer.clear();
            if self.reader.read_until(b'\n', &mut self.buffer)? == 0 {
                return Ok(None);
            }
            self.number += 1;
            let mark = self.number == 1 && self.buffer.starts_with(super::BOM.as_bytes());
            let start = if mark { super::BOM.len() } else { 0 };
            if !self.buffer[start..].iter().all(u8::is_ascii_whitespace) {
                break start;
            }
        };
        let verbatim = &self.buffer[start..];
        let content = verbatim.strip_suffix(b"\n").unwrap_or(verbatim);
        let content = content.strip_suffix(b"\r").unwrap_or(content);
        Ok(Some(Line { number: self.number, content, verbatim }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Vec<(u64, String, String)> {
        let mut lines = Lines::new(text);
        let mut read = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            read.push((line.number, text(line.content), text(line.verbatim)));
        }
        read
    }

    #[test]
    fn line_ends_blank_lines_and_the_mark() {
        let expected = [(1, "1", "1\r\n"), (4, "2", "2\n"), (5, " 3", " 3")];
        let expected = expected.map(|(number, content, verbatim)| (number, content.into(), verbatim.into()));
        assert_eq!(read("\u{feff}1\r\n\n \t\r\n2\n 3".as_bytes()), expected);
        assert!(read(b"").is_empty());
        assert!(read(b"\n\n").is_empty());
    }

    #[test]
    fn a_mark_alone_is_a_blank_line() {
        assert_eq!(read("\u{feff}\n1\n".as_bytes()), [(2, "1".into(), "1\n".into())]);
    }
}
