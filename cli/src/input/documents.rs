//! Any sequence of JSON values, on one line each or spread over several, read as they come.
//!
//! Lines are read until they hold a whole value, so that one event per line is seen as soon as its line is there. An
//! unfinished value makes the text at hand grow to at least twice its size before it is tried again, which keeps the
//! work linear in the input. After a mistake reading goes on at the next line that begins with `{` or `[` in the first
//! column: in JSON Lines that is the next line, in indented documents the next document. Resuming anywhere else would
//! take the inside of a broken document for events.

use std::io::{self, BufRead};

use serde_json::Value;

/// Reads values.
pub(crate) struct Documents<R> {
    reader: R,
    buffer: Vec<u8>,
    /// Everything before this has been handed out.
    at: usize,
    /// Where the line that holds `at` begins.
    line_start: usize,
    /// That line's number, from 1.
    line: u64,
    begun: bool,
    ended: bool,
}

/// What comes next in the input.
#[derive(Debug, PartialEq)]
pub(crate) enum Document {
    /// A value.
    Value {
        /// The line it begins on, from 1.
        line: u64,
        /// The value.
        value: Value,
    },
    /// Something that is no JSON value.
    Invalid {
        /// Where, from 1.
        line: u64,
        /// Where, in bytes from 1.
        column: usize,
        /// What is wrong.
        message: String,
    },
}

impl<R: BufRead> Documents<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, buffer: Vec::new(), at: 0, line_start: 0, line: 1, begun: false, ended: false }
    }

    /// The next value or mistake; `None` at the end.
    pub(crate) fn next_document(&mut self) -> io::Result<Option<Document>> {
        loop {
            self.skip_white_space();
            if self.at < self.buffer.len() {
                break;
            }
            if self.ended {
                return Ok(None);
            }
            self.read_line()?;
        }
        loop {
            let text = &self.buffer[self.at..];
            let mut values = serde_json::Deserializer::from_slice(text).into_iter::<Value>();
            match values.next() {
                Some(Ok(value)) => {
                    let end = self.at + values.byte_offset();
                    let line = self.line;
                    self.advance(end);
                    return Ok(Some(Document::Value { line, value }));
                }
                Some(Err(error)) if error.is_eof() && !self.ended => {
                    let enough = text.len().saturating_mul(2);
                    while !self.ended && self.buffer.len() - self.at < enough {
                        self.read_line()?;
                    }
                }
                Some(Err(error)) => return self.invalid(&error).map(Some),
                None => return Ok(None),
            }
        }
    }

    fn invalid(&mut self, error: &serde_json::Error) -> io::Result<Document> {
        let (mut line, mut column, mut message) = (error.line(), error.column(), error.to_string());
        if error.is_eof() {
            message = format!("the value that begins on line {} is not finished", self.line);
        } else if let Some(better) = reason(&self.buffer[self.at..]) {
            (line, column, message) =
                (better.line(), better.column(), better.diagnostic().message().to_owned());
        }
        // Both count from the start of the value.
        let before = if line <= 1 { self.at - self.line_start } else { 0 };
        let (line, column) = (self.line + (line as u64).saturating_sub(1), (before + column).max(1));
        self.skip_to_next_document()?;
        Ok(Document::Invalid { line, column, message })
    }

    fn skip_to_next_document(&mut self) -> io::Result<()> {
        loop {
            match self.buffer[self.at..].iter().position(|byte| *byte == b'\n') {
                Some(end) => self.advance(self.at + end + 1),
                None => self.advance(self.buffer.len()),
            }
            if self.at == self.buffer.len() {
                if self.ended {
                    return Ok(());
                }
                self.read_line()?;
            }
            if matches!(self.buffer.get(self.at), Some(b'{' | b'[')) {
                return Ok(());
            }
        }
    }

    fn skip_white_space(&mut self) {
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        let text = &self.buffer[self.at..];
        self.advance(self.at + text.iter().position(|byte| !blank(byte)).unwrap_or(text.len()));
    }

    /// Moves on to `to`, counting lines.
    fn advance(&mut self, to: usize) {
        for (offset, byte) in self.buffer[self.at..to].iter().enumerate() {
            if *byte == b'\n' {
                self.line += 1;
                self.line_start = self.at + offset + 1;
            }
        }
        self.at = to;
    }

    /// Appends a line of the input, first dropping what is done with.
    fn read_line(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.line_start);
        self.at -= self.line_start;
        self.line_start = 0;
        if self.reader.read_until(b'\n', &mut self.buffer)? == 0 {
            self.ended = true;
        }
        if !std::mem::replace(&mut self.begun, true) && self.buffer.starts_with(super::BOM.as_bytes()) {
            self.buffer.drain(..super::BOM.len());
        }
        Ok(())
    }
}

/// What is wrong with the text, in the words that filters and specs are refused with.
fn reason(text: &[u8]) -> Option<filter::JsonError> {
    let limits = filter::Limits::default().with_text_bytes(usize::MAX);
    filter::json::parse(std::str::from_utf8(text).ok()?, &limits).err()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str) -> Vec<Document> {
        let mut documents = Documents::new(text.as_bytes());
        std::iter::from_fn(|| documents.next_document().unwrap()).collect()
    }

    fn value(line: u64, value: Value) -> Document {
        Document::Value { line, value }
    }

    fn places(text: &str) -> Vec<(char, u64)> {
        let place = |document| match document {
            Document::Value { line, .. } => ('v', line),
            Document::Invalid { line, .. } => ('x', line),
        };
        read(text).into_iter().map(place).collect()
    }

    #[test]
    fn values_come_with_the_line_they_begin_on() {
        assert_eq!(
            read("\u{feff}{\"a\":1}\r\n\n {\n  \"b\": [\n2\n]} 3\n\"four\""),
            [
                value(1, json!({"a": 1})),
                value(3, json!({"b": [2]})),
                value(6, json!(3)),
                value(7, json!("four"))
            ]
        );
        assert_eq!(read(" \n\t\n"), []);
    }

    #[test]
    fn a_broken_line_costs_that_line_only() {
        assert_eq!(
            places("{\"a\":1}\n{\"a\":\n{\"a\":2}\n{\"a\" 3}\n{\"a\":4}\n"),
            [('v', 1), ('x', 4), ('v', 3), ('x', 4), ('v', 5)]
        );
        assert_eq!(places("not json\n{\"a\":1}\n"), [('x', 1), ('v', 2)]);
    }

    #[test]
    fn a_broken_document_is_not_taken_for_events() {
        assert_eq!(places("{\n  \"a\": 1\n  \"b\": 2\n}\n{\n  \"c\": 3\n}\n"), [('x', 3), ('v', 5)]);
    }

    #[test]
    fn an_unfinished_value_is_said_to_be_one() {
        let documents = read("{\"a\": [1,\n2");
        assert_eq!(documents.len(), 1);
        assert!(format!("{documents:?}").contains("begins on line 1 is not finished"), "{documents:?}");
    }

    #[test]
    fn columns_count_from_the_start_of_the_line() {
        let documents = read("{} {\"a\" 1}");
        assert!(matches!(documents[1], Document::Invalid { line: 1, column: 9, .. }), "{documents:?}");
    }

    #[test]
    fn hostile_nesting_is_an_error_not_a_crash() {
        assert!(matches!(read(&"[".repeat(100_000))[..], [Document::Invalid { .. }]));
        assert!(!read(&"[1,\n".repeat(2_000)).is_empty());
    }
}
