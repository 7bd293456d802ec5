//! Strings and numbers: where they end, and, when checked, whether they are what JSON allows.

use super::cursor::{Cursor, Key};
use super::{Invalid, Scan};

impl<'d, const CHECKED: bool> Cursor<'d, CHECKED> {
    /// Passes a string, from its opening quote to its closing one.
    pub(crate) fn string(&mut self) -> Scan<Key<'d>> {
        let bytes = self.bytes;
        let start = self.at + 1;
        let mut escaped = false;
        let mut at = start;
        loop {
            match bytes.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return Ok(Key { raw: &bytes[start..at], escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    at += if CHECKED { escape_length(&bytes[at..]).ok_or(Invalid)? } else { 2 };
                }
                Some(..0x20) if CHECKED => return Err(Invalid),
                Some(_) => at += 1,
                None => return Err(Invalid),
            }
        }
    }

    /// Passes a number.
    pub(crate) fn number(&mut self) -> Scan<()> {
        let start = self.at;
        if !CHECKED {
            while matches!(self.peek(), Some(b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')) {
                self.at += 1;
            }
            return Ok(());
        }
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        let mut exponent = false;
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            exponent = true;
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        // f64 ends at 1.8e308, which takes an exponent or this many digits.
        if exponent || self.at - start > 308 {
            let text = std::str::from_utf8(&self.bytes[start..self.at]).map_err(|_| Invalid)?;
            if !text.parse::<f64>().is_ok_and(f64::is_finite) {
                return Err(Invalid);
            }
        }
        Ok(())
    }

    fn digits(&mut self) -> Scan<()> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(Invalid) }
    }
}

/// How many bytes the escape takes that these begin with, both halves of a surrogate pair together; `None` if it is
/// none.
fn escape_length(bytes: &[u8]) -> Option<usize> {
    match bytes.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => match hex4(bytes, 2)? {
            0xD800..=0xDBFF => {
                let low = (bytes.get(6..8)? == b"\\u").then(|| hex4(bytes, 8))??;
                (0xDC00..=0xDFFF).contains(&low).then_some(12)
            }
            0xDC00..=0xDFFF => None,
            _ => Some(6),
        },
        _ => None,
    }
}

/// The number that four hexadecimal digits give.
pub(super) fn hex4(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.iter().try_fold(0, |code, &byte| Some(code * 16 + char::from(byte).to_digit(16)?))
}
