//! Text in messages: quoted as in JSON, and shortened if it is long.

use std::fmt;

/// The most characters of a string in a message.
const SHOWN: usize = 60;

/// A string in quotes, with control characters escaped and the end omitted if it is long.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for (index, character) in self.0.chars().take(SHOWN + 1).enumerate() {
            if index == SHOWN {
                return write!(f, "…\" ({} bytes)", self.0.len());
            }
            match character {
                // Control characters that JSON does not escape, which terminals may obey, and bidirectional overrides, which could
                // reorder the message around the value.
                '\u{7F}'..='\u{9F}'
                | '\u{200E}'
                | '\u{200F}'
                | '\u{202A}'..='\u{202E}'
                | '\u{2066}'..='\u{2069}' => write!(f, "\\u{:04x}", u32::from(character))?,
                other => write_escaped(f, other)?,
            }
        }
        f.write_str("\"")
    }
}

/// Writes a character of a JSON string, escaped where JSON asks for it.
pub(crate) fn write_escaped(out: &mut dyn fmt::Write, character: char) -> fmt::Result {
    match character {
        '"' => out.write_str("\\\""),
        '\\' => out.write_str("\\\\"),
        '\n' => out.write_str("\\n"),
        '\r' => out.write_str("\\r"),
        '\t' => out.write_str("\\t"),
        control @ ..'\u{20}' => write!(out, "\\u{:04x}", u32::from(control)),
        other => out.write_char(other),
    }
}

/// The most items of a list in a message.
const LISTED: usize = 8;

/// `a`, `a or b`, `a, b or c`; the end of a long list is replaced by a count.
pub(crate) fn list<T: fmt::Display>(
    f: &mut dyn fmt::Write,
    items: impl ExactSizeIterator<Item = T>,
) -> fmt::Result {
    let count = items.len();
    for (index, item) in items.take(LISTED).enumerate() {
        f.write_str(match index {
            0 => "",
            _ if index + 1 == count => " or ",
            _ => ", ",
        })?;
        write!(f, "{item}")?;
    }
    if count > LISTED { write!(f, " or {} more", count - LISTED) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::Quoted;

    #[test]
    fn quotes_escapes_and_elides() {
        assert_eq!(Quoted("a\"\\\n\u{0}é").to_string(), r#""a\"\\\n\u0000é""#);
        let long = Quoted(&"é".repeat(100)).to_string();
        assert_eq!(long, format!("\"{}…\" (200 bytes)", "é".repeat(60)));
    }
}
