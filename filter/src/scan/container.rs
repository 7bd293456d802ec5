//! Over an array or object, checking everything in it.

use super::scalar::{number, string, whitespace, word};
use super::{Invalid, Scan};
use crate::limits::Limits;

/// The containers that are open, innermost last: one bit for each, set for objects.
struct Open {
    outer: [u64; Limits::MAX_DEPTH / 64],
    depth: usize,
    room: usize,
}

impl Open {
    #[inline(always)]
    fn push(&mut self, object: bool) -> Scan<()> {
        if self.depth == self.room {
            return Err(Invalid);
        }
        let word = &mut self.outer[self.depth / 64 % 4];
        let bit = 1 << (self.depth % 64);
        *word = if object { *word | bit } else { *word & !bit };
        self.depth += 1;
        Ok(())
    }

    /// Closes the innermost; whether the one around it is an object, if there is one.
    #[inline(always)]
    fn pop(&mut self) -> Option<bool> {
        self.depth -= 1;
        let around = self.depth.checked_sub(1)?;
        Some(self.outer[around / 64 % 4] & 1 << (around % 64) != 0)
    }
}

/// The place after a container that begins at `at`; `room` is how deep it may be, itself counted.
pub(super) fn checked(bytes: &[u8], mut at: usize, room: usize) -> Scan<usize> {
    let mut open = Open { outer: [0; Limits::MAX_DEPTH / 64], depth: 0, room: room.min(Limits::MAX_DEPTH) };
    let mut object = false;
    'value: loop {
        // Before a value.
        let mut closed = false;
        match bytes.get(at) {
            Some(b'"') => at = string::<true>(bytes, at + 1)?.0 + 1,
            Some(b'-' | b'0'..=b'9') => at = number::<true>(bytes, at)?,
            Some(b'{') => {
                open.push(true)?;
                object = true;
                at += 1;
                if bytes.get(at) != Some(&b'"') {
                    at = whitespace(bytes, at);
                }
                if bytes.get(at) != Some(&b'}') {
                    at = key(bytes, at)?;
                    continue;
                }
                closed = true;
            }
            Some(b'[') => {
                open.push(false)?;
                object = false;
                at = whitespace(bytes, at + 1);
                if bytes.get(at) != Some(&b']') {
                    continue;
                }
                closed = true;
            }
            Some(b'n') => at = word(bytes, at, b"null")?,
            Some(b't') => at = word(bytes, at, b"true")?,
            Some(b'f') => at = word(bytes, at, b"false")?,
            Some(b' ' | b'\t' | b'\n' | b'\r') => {
                at = whitespace(bytes, at);
                continue;
            }
            _ => return Err(Invalid),
        }
        // After a value, or at the end of an empty container.
        loop {
            match bytes.get(at) {
                Some(b',') if !closed => {
                    at += 1;
                    if object {
                        at = key(bytes, at)?;
                    }
                    continue 'value;
                }
                Some(&byte @ (b'}' | b']')) => {
                    if (byte == b'}') != object {
                        return Err(Invalid);
                    }
                    at += 1;
                    closed = false;
                    match open.pop() {
                        Some(around) => object = around,
                        None => return Ok(at),
                    }
                }
                Some(b' ' | b'\t' | b'\n' | b'\r') => at = whitespace(bytes, at),
                _ => return Err(Invalid),
            }
        }
    }
}

/// The place after a key and its colon.
#[inline(always)]
fn key(bytes: &[u8], mut at: usize) -> Scan<usize> {
    if bytes.get(at) != Some(&b'"') {
        at = whitespace(bytes, at);
        if bytes.get(at) != Some(&b'"') {
            return Err(Invalid);
        }
    }
    at = string::<true>(bytes, at + 1)?.0 + 1;
    if bytes.get(at) != Some(&b':') {
        at = whitespace(bytes, at);
        if bytes.get(at) != Some(&b':') {
            return Err(Invalid);
        }
    }
    Ok(at + 1)
}
