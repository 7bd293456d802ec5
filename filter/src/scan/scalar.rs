//! Finding the ends of strings, numbers and words, and checking them.
//!
//! Bytes are compared in chunks of 16 or 32; the last bytes of a document are compared one by one.

use super::lanes::{Lanes, WIDTH};
use super::{Invalid, Scan};
use crate::json::lex::{self, Numeral, numeral};

/// The offset of the closing quote of a string, and whether it has a backslash. `at` is after the opening quote.
#[inline(always)]
pub(super) fn string<const CHECKED: bool>(bytes: &[u8], at: usize) -> Scan<(usize, bool)> {
    // Most keys and strings end in the first chunk and have no escape.
    if let Some(chunk) = chunk::<WIDTH>(bytes, at) {
        let lanes = Lanes::new(chunk);
        let special = special::<CHECKED>(lanes);
        let length = special.trailing_zeros() as usize;
        if special != 0 && chunk[length % WIDTH] == b'"' && !(CHECKED && lanes.has_non_ascii()) {
            return Ok((at + length, false));
        }
    }
    long_string::<CHECKED>(bytes, at)
}

#[inline(never)]
fn long_string<const CHECKED: bool>(bytes: &[u8], start: usize) -> Scan<(usize, bool)> {
    let mut at = start;
    let mut escaped = false;
    let mut ascii = true;
    loop {
        if let Some(chunk) = chunk::<WIDTH>(bytes, at) {
            let lanes = Lanes::new(chunk);
            ascii &= !lanes.has_non_ascii();
            let special = special::<CHECKED>(lanes);
            if special == 0 {
                at += WIDTH;
                continue;
            }
            at += special.trailing_zeros() as usize;
        }
        match bytes.get(at) {
            Some(b'"') if CHECKED && !ascii && std::str::from_utf8(&bytes[start..at]).is_err() => {
                return Err(Invalid);
            }
            Some(b'"') => return Ok((at, escaped)),
            Some(b'\\') => {
                escaped = true;
                at += if CHECKED { lex::escape(&bytes[at..]).ok_or(Invalid)?.1 } else { 2 };
            }
            Some(..0x20) if CHECKED => return Err(Invalid),
            Some(byte) => {
                ascii &= byte.is_ascii();
                at += 1;
            }
            None => return Err(Invalid),
        }
    }
}

/// The bytes that end a run of plain characters, one bit each.
#[inline(always)]
fn special<const CHECKED: bool>(lanes: Lanes) -> u16 {
    let special = lanes.equal(b'"').or(lanes.equal(b'\\'));
    if CHECKED { special.or(lanes.within(0, 0x1F)).bits() } else { special.bits() }
}

/// The bytes of up to 64 that end a run of plain characters, or are not plain themselves, one bit each.
#[inline(always)]
pub(super) fn plain_ends<const CHECKED: bool, const N: usize>(chunk: &[u8; N]) -> u64 {
    bits(chunk, |lanes| {
        let ends = lanes.equal(b'"').or(lanes.equal(b'\\'));
        if CHECKED { ends.or(lanes.beyond_printable()) } else { ends }
    })
}

/// The bytes of up to 64 that can follow a number, one bit each.
#[inline(always)]
pub(super) fn number_ends<const N: usize>(chunk: &[u8; N]) -> u64 {
    bits(chunk, after_number)
}

#[inline(always)]
fn bits<const N: usize>(chunk: &[u8; N], ask: impl Fn(Lanes) -> Lanes) -> u64 {
    let (chunks, _) = chunk.as_chunks::<WIDTH>();
    (0..N / WIDTH).fold(0, |bits, at| bits | u64::from(ask(Lanes::new(&chunks[at])).bits()) << (at * WIDTH))
}

/// Commas, closing brackets and blanks.
#[inline(always)]
fn after_number(lanes: Lanes) -> Lanes {
    // A brace and the bracket of the same direction differ in one bit.
    lanes.equal(b',').or(lanes.lower().equal(b'}')).or(lanes.within(0, b' '))
}

/// The end of a number.
#[inline(always)]
pub(super) fn number<const CHECKED: bool>(bytes: &[u8], at: usize) -> Scan<usize> {
    if CHECKED { checked_number(bytes, at) } else { Ok(trusted_number(bytes, at)) }
}

/// The offset of the next byte that can follow a number.
#[inline(always)]
fn trusted_number(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = chunk::<WIDTH>(bytes, at) {
        let ends = after_number(Lanes::new(chunk)).bits();
        if ends != 0 {
            return at + ends.trailing_zeros() as usize;
        }
        at += WIDTH;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(|byte| matches!(byte, b',' | b'}' | b']' | ..=b' ')).unwrap_or(rest.len())
}

/// The number of bytes of which the digits are found at once: most numbers are shorter.
const REACH: usize = 2 * WIDTH;

#[inline(always)]
fn checked_number(bytes: &[u8], at: usize) -> Scan<usize> {
    match chunk::<REACH>(bytes, at) {
        Some(chunk) => match number_in(chunk, 0)? {
            Some(length) => Ok(at + length),
            None => any_number(bytes, at),
        },
        None => last_number(bytes, at),
    }
}

/// A number so near to the end of the document that it is looked for in the last bytes.
#[inline(never)]
fn last_number(bytes: &[u8], at: usize) -> Scan<usize> {
    if let Some((chunk, from)) = last_chunk::<REACH>(bytes, at)
        && let Some(length) = number_in(chunk, from)?
    {
        return Ok(at + length);
    }
    any_number(bytes, at)
}

/// The length of a number that begins at a place of a chunk; `None` if it has an exponent or reaches the end of the chunk.
#[inline(always)]
fn number_in(chunk: &[u8; REACH], from: usize) -> Scan<Option<usize>> {
    let (halves, _) = chunk.as_chunks::<WIDTH>();
    let [low, high] = [0, 1].map(|half| u32::from(Lanes::new(&halves[half]).within(b'0', b'9').bits()));
    let digits = (low | high << WIDTH) >> from;
    let sign = usize::from(chunk[from] == b'-');
    let whole = (digits >> sign).trailing_ones() as usize;
    if whole == 0 || whole > 1 && chunk[from + sign] == b'0' {
        return Err(Invalid);
    }
    let mut end = sign + whole;
    let room = REACH - from;
    if end < room && chunk[from + end] == b'.' {
        let fraction = digits.checked_shr(end as u32 + 1).unwrap_or(0).trailing_ones() as usize;
        if fraction == 0 && end + 1 < room {
            return Err(Invalid);
        }
        end += 1 + fraction;
    }
    let ends = end < room && !matches!(chunk[from + end], b'e' | b'E');
    Ok(ends.then_some(end))
}

/// The end of any number, byte by byte.
#[inline(never)]
pub(super) fn any_number(bytes: &[u8], start: usize) -> Scan<usize> {
    let Numeral { end: at, has_exponent, .. } = numeral(bytes, start).map_err(|_| Invalid)?;
    // The largest f64 is 1.8e308: only a number with an exponent or this many digits can be beyond it.
    if has_exponent || at - start > 308 {
        let text = std::str::from_utf8(&bytes[start..at]).map_err(|_| Invalid)?;
        if !text.parse::<f64>().is_ok_and(f64::is_finite) {
            return Err(Invalid);
        }
    }
    Ok(at)
}

/// The end of `true`, `false` or `null`.
#[inline(always)]
pub(super) fn word(bytes: &[u8], at: usize, word: &[u8]) -> Scan<usize> {
    let end = at + word.len();
    if bytes.get(at..end) == Some(word) { Ok(end) } else { Err(Invalid) }
}

/// The offset of the next byte that is not whitespace.
#[inline(always)]
pub(super) fn whitespace(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// The last bytes of a document, and the place of an offset among them.
#[inline(always)]
fn last_chunk<const N: usize>(bytes: &[u8], at: usize) -> Option<(&[u8; N], usize)> {
    let chunk = bytes.last_chunk()?;
    let from = at.checked_sub(bytes.len() - N)?;
    (from < N).then_some((chunk, from))
}

#[inline(always)]
fn chunk<const N: usize>(bytes: &[u8], at: usize) -> Option<&[u8; N]> {
    bytes.get(at..)?.first_chunk()
}
