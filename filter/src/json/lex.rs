//! Escapes in JSON strings: the one place that decodes them, for the parser and for the scanner.

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
