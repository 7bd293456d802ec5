//! Escapes in JSON strings, and the extent of numbers: the one place that knows them, for the parser and for the scanner.

/// The character of the escape at the beginning of these bytes and the length of the escape. A surrogate pair counts as one
/// escape. `None` if the escape is not valid.
pub(crate) fn escape(bytes: &[u8]) -> Option<(char, usize)> {
    let character = match bytes.get(1)? {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        &byte @ (b'"' | b'\\' | b'/') => char::from(byte),
        b'u' => return unicode_escape(bytes),
        _ => return None,
    };
    Some((character, 2))
}

fn unicode_escape(bytes: &[u8]) -> Option<(char, usize)> {
    match hex4(bytes, 2)? {
        high @ 0xD800..=0xDBFF => {
            let low = (bytes.get(6..8)? == b"\\u").then(|| hex4(bytes, 8))??;
            let low = (0xDC00..=0xDFFF).contains(&low).then(|| low - 0xDC00)?;
            Some((char::from_u32(0x10000 + ((high - 0xD800) << 10) + low)?, 12))
        }
        code => Some((char::from_u32(code)?, 6)),
    }
}

/// The value of four hexadecimal digits.
pub(crate) fn hex4(bytes: &[u8], at: usize) -> Option<u32> {
    let digits: &[u8; 4] = bytes.get(at..)?.first_chunk()?;
    let [a, b, c, d] = digits.map(|digit| u32::from(HEX[usize::from(digit)]));
    // Other bytes map to a value with bits above the lowest four.
    if (a | b | c | d) > 0xF { None } else { Some(a << 12 | b << 8 | c << 4 | d) }
}

/// The value of each hexadecimal digit, and 0xFF for every other byte.
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

/// The length of the string at the beginning of a JSON text, quotes included.
pub(crate) fn string_length(text: &str) -> usize {
    let mut escaped = false;
    let close = text.bytes().skip(1).position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    });
    close.map_or(text.len(), |place| place + 2)
}

/// The extent of a number by the grammar of RFC 8259.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numeral {
    /// The offset behind it. A digit there means that the number begins with a zero too many.
    pub(crate) end: usize,
    /// Whether it has neither a fraction nor an exponent.
    pub(crate) is_integer: bool,
    pub(crate) has_exponent: bool,
}

/// The number at `start`; otherwise the offset at which a digit is missing.
pub(crate) fn numeral(bytes: &[u8], start: usize) -> Result<Numeral, usize> {
    let mut end = start + usize::from(bytes.get(start) == Some(&b'-'));
    end = if bytes.get(end) == Some(&b'0') { end + 1 } else { digits(bytes, end)? };
    let whole = end;
    if bytes.get(end) == Some(&b'.') {
        end = digits(bytes, end + 1)?;
    }
    let has_exponent = matches!(bytes.get(end), Some(b'e' | b'E'));
    if has_exponent {
        let sign = matches!(bytes.get(end + 1), Some(b'+' | b'-'));
        end = digits(bytes, end + 1 + usize::from(sign))?;
    }
    Ok(Numeral { end, is_integer: end == whole, has_exponent })
}

/// The offset behind one digit or more; otherwise `at`.
fn digits(bytes: &[u8], at: usize) -> Result<usize, usize> {
    let rest = bytes.get(at..).unwrap_or_default();
    match rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len()) {
        0 => Err(at),
        length => Ok(at + length),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_numeral_ends_where_the_grammar_ends_it() {
        for text in ["0", "-0", "7", "-12", "1.5", "-0.25", "1e5", "1E+5", "2.50e-07"] {
            for tail in ["", ",", " 1", "]", "x", ".", "-"] {
                // What would go on by the grammar is not the end.
                if tail == "." && !text.contains(['.', 'e', 'E']) {
                    continue;
                }
                let numeral = numeral(format!("{text}{tail}").as_bytes(), 0).unwrap();
                assert_eq!(numeral.end, text.len(), "{text}{tail}");
                assert_eq!(numeral.is_integer, !text.contains(['.', 'e', 'E']), "{text}");
                assert_eq!(numeral.has_exponent, text.contains(['e', 'E']), "{text}");
            }
        }
        assert_eq!(numeral(b"012", 0).map(|numeral| numeral.end), Ok(1), "a digit stands behind the zero");
    }

    #[test]
    fn a_missing_digit_has_its_place() {
        for (text, at) in [
            ("", 0),
            ("-", 1),
            ("-x", 1),
            (".5", 0),
            ("1.", 2),
            ("1.e5", 2),
            ("1e", 2),
            ("1e+", 3),
            ("1e--5", 3),
        ] {
            assert_eq!(numeral(text.as_bytes(), 0), Err(at), "{text:?}");
        }
    }
}
