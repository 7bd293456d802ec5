//! Finding the bytes of a block that are in strings.

use super::{Invalid, Scan};
use crate::json::lex;

/// The state of strings before a block, which shares this many bytes with the one before it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Strings<const OVERLAP: u32> {
    /// All ones inside a string.
    inside: u64,
    /// One if the byte before it was a backslash that escapes the next byte.
    pub(super) escaped: u64,
    /// The offset of the second half of the last surrogate pair.
    low: usize,
}

/// The roles of backslashes and the bytes after them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Escapes {
    /// The backslashes that begin an escape.
    pub(super) escaping: u64,
    /// The bytes directly after these.
    pub(super) escaped: u64,
}

impl<const OVERLAP: u32> Strings<OVERLAP> {
    /// The bytes in strings, from the opening quote to before the closing one. `parity` has for each byte the parity of quotes
    /// in the block up to and including it.
    #[inline(always)]
    pub(super) fn inside(&mut self, parity: u64) -> u64 {
        let inside = parity ^ self.inside;
        self.inside = ((inside << OVERLAP) as i64 >> 63) as u64;
        inside
    }

    /// Records that an odd number of quotes has been passed.
    #[inline(always)]
    pub(super) fn flip(&mut self) {
        self.inside = !self.inside;
    }

    #[inline(always)]
    pub(super) fn escapes(&mut self, backslashes: u64) -> Escapes {
        const ODD: u64 = 0xAAAA_AAAA_AAAA_AAAA;
        if backslashes == 0 {
            return Escapes { escaping: 0, escaped: std::mem::take(&mut self.escaped) };
        }
        // In a run of backslashes that begins at an even offset, those at even offsets escape; likewise for odd offsets. A
        // subtraction borrows through the run and flips every second bit of it (as in simdjson).
        let unescaped = backslashes & !self.escaped;
        let flipped = ((unescaped << 1 | ODD).wrapping_sub(unescaped)) ^ ODD;
        let escaped = flipped ^ (backslashes | self.escaped);
        let escaping = flipped & backslashes;
        self.escaped = escaping << OVERLAP >> 63;
        Escapes { escaping, escaped }
    }

    /// Checks the escape that begins with the backslash at this offset.
    #[inline(always)]
    pub(super) fn escape(&mut self, bytes: &[u8], place: usize) -> Scan<()> {
        match bytes.get(place + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(()),
            Some(b'u') => {
                self.low = unicode_escape(bytes, place, self.low)?;
                Ok(())
            }
            _ => Err(Invalid),
        }
    }
}

/// Checks the escape at this offset, unless it is the second half of the last surrogate pair, which is at `low`. Returns where that is
/// from here on.
#[inline(never)]
fn unicode_escape(bytes: &[u8], place: usize, low: usize) -> Scan<usize> {
    if low == place && place > 0 {
        return Ok(low);
    }
    Ok(if lex::escape(&bytes[place..]).ok_or(Invalid)?.1 == 12 { place + 6 } else { low })
}
