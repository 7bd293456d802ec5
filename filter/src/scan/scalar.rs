//! Strings, numbers and words: where they end, and, when checked, whether they are what JSON allows.
//!
//! Each is looked at in chunks of lanes while the document has as many bytes; the last ones are looked at one by one.

use super::lanes::{Lanes, WIDTH};
use super::{Invalid, Scan};

/// The end of a string, its closing quote, and whether there is a backslash before it. `at` is after the opening quote.
#[inline(always)]
pub(super) fn string<const CHECKED: bool>(bytes: &[u8], at: usize) -> Scan<(usize, bool)> {
    // Most keys and strings end in the first chunk, without an escape.
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
                at += if CHECKED { escape_length(&bytes[at..]).ok_or(Invalid)? } else { 2 };
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

/// The bytes at which a run of plain characters ends.
#[inline(always)]
fn special<const CHECKED: bool>(lanes: Lanes) -> u16 {
    let special = lanes.equal(b'"').or(lanes.equal(b'\\'));
    if CHECKED { special.or(lanes.within(0, 0x1F)).bits() } else { special.bits() }
}

/// How many bytes [`plain_ends`] looks at: more than most members of an object take.
pub(super) const SHORT: usize = 2 * WIDTH;

/// One bit for each byte that is a quote, or anything that strings of plain characters do not have.
#[inline(always)]
pub(super) fn plain_ends<const CHECKED: bool>(chunk: &[u8; SHORT]) -> u32 {
    bits(chunk, |lanes| {
        let ends = lanes.equal(b'"').or(lanes.equal(b'\\'));
        if CHECKED { ends.or(lanes.beyond_printable()) } else { ends }
    })
}

/// One bit for each byte that can stand after a number.
#[inline(always)]
pub(super) fn number_ends(chunk: &[u8; SHORT]) -> u32 {
    bits(chunk, after_number)
}

#[inline(always)]
fn bits(chunk: &[u8; SHORT], ask: impl Fn(Lanes) -> Lanes) -> u32 {
    let ([low, high], _) = chunk.as_chunks::<WIDTH>() else { return 0 };
    u32::from(ask(Lanes::new(low)).bits()) | u32::from(ask(Lanes::new(high)).bits()) << WIDTH
}

/// Commas, closing brackets and blanks.
#[inline(always)]
fn after_number(lanes: Lanes) -> Lanes {
    // A brace differs from its bracket in one bit.
    lanes.equal(b',').or(lanes.lower().equal(b'}')).or(lanes.within(0, b' '))
}

/// The end of a number.
#[inline(always)]
pub(super) fn number<const CHECKED: bool>(bytes: &[u8], at: usize) -> Scan<usize> {
    if CHECKED { checked_number(bytes, at) } else { Ok(trusted_number(bytes, at)) }
}

/// The next byte that can stand after a number.
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

#[inline(always)]
fn checked_number(bytes: &[u8], at: usize) -> Scan<usize> {
    const REACH: usize = 2 * WIDTH;
    let Some(chunk) = chunk::<REACH>(bytes, at) else { return any_number(bytes, at) };
    let (halves, _) = chunk.as_chunks::<WIDTH>();
    let [low, high] = [0, 1].map(|half| u32::from(Lanes::new(&halves[half]).within(b'0', b'9').bits()));
    let digits = low | high << WIDTH;
    let sign = usize::from(chunk[0] == b'-');
    let whole = (digits >> sign).trailing_ones() as usize;
    if whole == 0 || whole > 1 && chunk[sign] == b'0' {
        return Err(Invalid);
    }
    let mut end = sign + whole;
    if end < REACH && chunk[end] == b'.' {
        let fraction = digits.checked_shr(end as u32 + 1).unwrap_or(0).trailing_ones() as usize;
        if fraction == 0 && end + 1 < REACH {
            return Err(Invalid);
        }
        end += 1 + fraction;
    }
    if end >= REACH || matches!(chunk[end], b'e' | b'E') {
        return any_number(bytes, at);
    }
    Ok(at + end)
}

/// The end of a number, byte by byte.
#[inline(never)]
pub(super) fn any_number(bytes: &[u8], start: usize) -> Scan<usize> {
    let mut at = start;
    if bytes.get(at) == Some(&b'-') {
        at += 1;
    }
    match bytes.get(at) {
        Some(b'0') => at += 1,
        _ => at = digits(bytes, at)?,
    }
    if bytes.get(at) == Some(&b'.') {
        at = digits(bytes, at + 1)?;
    }
    let mut exponent = false;
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        exponent = true;
        at += 1;
        if matches!(bytes.get(at), Some(b'+' | b'-')) {
            at += 1;
        }
        at = digits(bytes, at)?;
    }
    // f64 ends at 1.8e308, which takes an exponent or this many digits.
    if exponent || at - start > 308 {
        let text = std::str::from_utf8(&bytes[start..at]).map_err(|_| Invalid)?;
        if !text.parse::<f64>().is_ok_and(f64::is_finite) {
            return Err(Invalid);
        }
    }
    Ok(at)
}

fn digits(bytes: &[u8], at: usize) -> Scan<usize> {
    let rest = bytes.get(at..).unwrap_or_default();
    match rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len()) {
        0 => Err(Invalid),
        length => Ok(at + length),
    }
}

/// The end of `true`, `false` or `null`.
#[inline(always)]
pub(super) fn word(bytes: &[u8], at: usize, word: &[u8]) -> Scan<usize> {
    let end = at + word.len();
    if bytes.get(at..end) == Some(word) { Ok(end) } else { Err(Invalid) }
}

/// The next byte that is no whitespace.
#[inline(always)]
pub(super) fn whitespace(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

#[inline(always)]
fn chunk<const N: usize>(bytes: &[u8], at: usize) -> Option<&[u8; N]> {
    bytes.get(at..)?.first_chunk()
}

/// How many bytes the escape takes that these begin with, both halves of a surrogate pair together; `None` if it is
/// none.
pub(super) fn escape_length(bytes: &[u8]) -> Option<usize> {
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
#[inline]
pub(super) fn hex4(bytes: &[u8], at: usize) -> Option<u32> {
    let digits: &[u8; 4] = bytes.get(at..)?.first_chunk()?;
    let [a, b, c, d] = digits.map(|digit| u32::from(HEX[usize::from(digit)]));
    // What is no digit has bits above the lowest four.
    if (a | b | c | d) > 0xF { None } else { Some(a << 12 | b << 8 | c << 4 | d) }
}

/// The value of each hexadecimal digit; of every other byte one that no digit has.
const HEX: [u8; 256] = {
    let mut values = [0xFF; 256];
    let mut digit = 0;
    while digit < 16 {
        values[b"0123456789abcdef"[digit] as usize] = digit as u8;
        values[b"0123456789ABCDEF"[digit] as usize] = digit as u8;
        digit += 1;
    }
    values
};
