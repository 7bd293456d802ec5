//! Streams any sequence of JSON values, one per line or spread over several lines.
//!
//! Lines are read until they contain a whole value, so an event on one line is returned as soon as that line is
//! complete. After an incomplete value, the buffer at least doubles before the next attempt to parse it, which keeps
//! the total work linear. After an error, reading resumes at the next line that starts with `{` or `[`: the next line in
//! JSON Lines, the next value in indented input. Resuming anywhere else would report parts of a broken value as
//! events.

use std::io::{self, BufRead, Read as _};

use filter::Document;
use memchr::memchr_iter;
use serde::de::IgnoredAny;

use crate::render::humanize;

pub(crate) struct JsonSequence<R> {
    reader: R,
    buffer: Vec<u8>,
    /// The bytes before this offset have been consumed.
    at: usize,
    /// The start of the line that contains `at`.
    line_start: usize,
    /// The number of that line, from 1.
    line: u64,
    max_line: usize,
    begun: bool,
    ended: bool,
}

/// An item of the sequence.
#[derive(Debug)]
pub(crate) enum Item<'a> {
    Value {
        /// The line on which it starts, from 1.
        line: u64,
        document: Document<'a>,
    },
    /// Text that is not JSON.
    Invalid {
        /// The line of the error, from 1.
        line: u64,
        /// The column of the error, in bytes from 1.
        column: usize,
        message: String,
    },
}

impl<R: BufRead> JsonSequence<R> {
    /// Lines longer than `max_line` bytes are an error of reading.
    pub(crate) fn new(reader: R, max_line: usize) -> Self {
        Self {
            reader,
            buffer: Vec::new(),
            at: 0,
            line_start: 0,
            line: 1,
            max_line,
            begun: false,
            ended: false,
        }
    }

    /// The next value or error; `None` at the end.
    pub(crate) fn next_item(&mut self) -> io::Result<Option<Item<'_>>> {
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
            let mut values = serde_json::Deserializer::from_slice(text).into_iter::<IgnoredAny>();
            match values.next() {
                Some(Ok(_)) => {
                    let (start, end) = (self.at, self.at + values.byte_offset());
                    let (line, before) = (self.line, self.at - self.line_start);
                    self.advance(end);
                    return Ok(Some(match Document::from_slice(&self.buffer[start..end]) {
                        Ok(document) => Item::Value { line, document },
                        Err(error) => {
                            let (line, column) = place(line, before, error.line(), error.column());
                            Item::Invalid { line, column, message: message_of(&error) }
                        }
                    }));
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

    fn invalid(&mut self, error: &serde_json::Error) -> io::Result<Item<'static>> {
        let (mut line, mut column, mut message) = (error.line(), error.column(), error.to_string());
        if error.is_eof() {
            message = format!("the value that begins on line {} is not finished", self.line);
        } else if let Some(better) = reason(&self.buffer[self.at..]) {
            (line, column, message) = (better.line(), better.column(), message_of(&better));
        }
        let (line, column) = place(self.line, self.at - self.line_start, line, column);
        self.skip_to_next_item()?;
        Ok(Item::Invalid { line, column, message })
    }

    fn skip_to_next_item(&mut self) -> io::Result<()> {
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

    /// Moves to the offset `to` and counts lines.
    fn advance(&mut self, to: usize) {
        for (offset, byte) in self.buffer[self.at..to].iter().enumerate() {
            if *byte == b'\n' {
                self.line += 1;
                self.line_start = self.at + offset + 1;
            }
        }
        self.at = to;
    }

    /// Drops the consumed lines and appends the next one.
    fn read_line(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.line_start);
        self.at -= self.line_start;
        self.line_start = 0;
        let before = self.buffer.len();
        // The line end is one byte or two.
        let most = self.max_line.saturating_add(2);
        let read = self.reader.by_ref().take(most as u64).read_until(b'\n', &mut self.buffer)?;
        self.ended = read == 0;
        if read == most && !self.buffer.ends_with(b"\n") {
            let line = self.line + memchr_iter(b'\n', &self.buffer[self.at..before]).count() as u64;
            let limit = humanize::bytes(self.max_line as u64);
            let message = format!("line {line} is longer than the limit of {limit}; --max-line raises it");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        if !std::mem::replace(&mut self.begun, true) && self.buffer.starts_with(super::BOM.as_bytes()) {
            self.buffer.drain(..super::BOM.len());
        }
        Ok(())
    }
}

/// The position in the input of an error at `line` and `column` of a value that starts on line `start`, after `before`
/// bytes.
fn place(start: u64, before: usize, line: usize, column: usize) -> (u64, usize) {
    let before = if line <= 1 { before } else { 0 };
    (start + (line as u64).saturating_sub(1), (before + column).max(1))
}

/// The message of an error; for compressed input and other encodings, with the remedy.
pub(crate) fn message_of(error: &filter::JsonError) -> String {
    let diagnostic = error.diagnostic();
    match diagnostic.help().filter(|help| help.starts_with("this is ")) {
        Some(help) => format!("{}; {help}", diagnostic.message()),
        None => diagnostic.message().to_owned(),
    }
}

/// The error as reported for filters and specs.
fn reason(text: &[u8]) -> Option<filter::JsonError> {
    match std::str::from_utf8(text) {
        Ok(text) => {
            let limits = filter::Limits::default().with_text_bytes(usize::MAX);
            filter::json::parse(text, &limits).err()
        }
        Err(_) => Document::from_slice(text).err(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// A value with its line, or an error with its line, column and message.
    type Read = Result<(u64, Value), (u64, usize, String)>;

    fn read(text: &str) -> Vec<Read> {
        let mut items = JsonSequence::new(text.as_bytes(), 1 << 20);
        std::iter::from_fn(|| {
            Some(match items.next_item().unwrap()? {
                Item::Value { line, document } => Ok((line, document.into_value())),
                Item::Invalid { line, column, message } => Err((line, column, message)),
            })
        })
        .collect()
    }

    fn places(text: &str) -> Vec<(char, u64)> {
        let place = |item: Read| match item {
            Ok((line, _)) => ('v', line),
            Err((line, ..)) => ('x', line),
        };
        read(text).into_iter().map(place).collect()
    }

    #[test]
    fn values_carry_the_line_on_which_they_start() {
        assert_eq!(
            read("\u{feff}{\"a\":1}\r\n\n {\n  \"b\": [\n2\n]} 3\n\"four\""),
            [Ok((1, json!({"a": 1}))), Ok((3, json!({"b": [2]}))), Ok((6, json!(3))), Ok((7, json!("four")))]
        );
        assert_eq!(read(" \n\t\n"), []);
    }

    #[test]
    fn an_invalid_line_affects_no_other_line() {
        assert_eq!(
            places("{\"a\":1}\n{\"a\":\n{\"a\":2}\n{\"a\" 3}\n{\"a\":4}\n"),
            [('v', 1), ('x', 4), ('v', 3), ('x', 4), ('v', 5)]
        );
        assert_eq!(places("not json\n{\"a\":1}\n"), [('x', 1), ('v', 2)]);
    }

    #[test]
    fn parts_of_an_invalid_value_are_not_events() {
        assert_eq!(places("{\n  \"a\": 1\n  \"b\": 2\n}\n{\n  \"c\": 3\n}\n"), [('x', 3), ('v', 5)]);
    }

    #[test]
    fn an_unfinished_value_is_reported_as_such() {
        let items = read("{\"a\": [1,\n2");
        assert_eq!(items.len(), 1);
        assert!(format!("{items:?}").contains("begins on line 1 is not finished"), "{items:?}");
    }

    #[test]
    fn columns_count_from_the_start_of_the_line() {
        let items = read("{} {\"a\" 1}");
        assert!(matches!(items[1], Err((1, 9, _))), "{items:?}");
    }

    #[test]
    fn a_line_past_the_limit_ends_reading() {
        let mut items = JsonSequence::new("{}\n{\"a\":\n1234567890123}\n".as_bytes(), 10);
        assert!(items.next_item().unwrap().is_some());
        let error = items.next_item().unwrap_err().to_string();
        assert!(error.starts_with("line 3 is longer than the limit of 10 B"), "{error}");
    }

    #[test]
    fn deep_nesting_is_an_error_and_no_crash() {
        assert!(matches!(read(&"[".repeat(100_000))[..], [Err(_)]));
        assert!(!read(&"[1,\n".repeat(2_000)).is_empty());
    }
}
