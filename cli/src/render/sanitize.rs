//! Makes foreign text safe to show on a terminal.
//!
//! A terminal executes escape sequences from any source: they move the cursor, overwrite earlier output, set the
//! clipboard or the window title. Therefore no control character of a response body, a header, a file or a file name
//! is printed. Each is replaced by a visible symbol rather than dropped, so that a person sees that it was there.
//! Bidirectional overrides count as control characters, because they change the order in which text is displayed.

use std::borrow::Cow;

/// `text` on one line, without control characters.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    replace(text, |c| match c {
        '\t' | '\n' | '\r' => Some(' '),
        _ => symbol(c),
    })
}

/// `text` without control characters other than line ends and tabs.
pub(crate) fn block(text: &str) -> Cow<'_, str> {
    replace(text, |c| match c {
        '\t' | '\n' => None,
        _ => symbol(c),
    })
}

/// What a renderer has left of the control characters in a text, with the escape sequences that are its own.
pub(crate) fn rendered(text: &str) -> Cow<'_, str> {
    replace(text, |c| if c < ' ' { None } else { symbol(c) })
}

/// [`line()`], truncated to `max` characters; the last is an ellipsis if text was cut off.
pub(crate) fn excerpt(text: &str, max: usize) -> String {
    let mut shown: String = line(text).chars().take(max + 1).collect();
    if shown.chars().nth(max).is_some() {
        shown = shown.chars().take(max.saturating_sub(1)).chain(['…']).collect();
    }
    shown
}

/// The replacement of a character that must not be printed; `None` if it may be printed.
fn symbol(c: char) -> Option<char> {
    match c {
        // The Control Pictures block mirrors C0: ESC is shown as ␛.
        '\0'..='\x1f' => char::from_u32(0x2400 + u32::from(c)),
        '\x7f' => Some('␡'),
        '\u{80}'..='\u{9f}'
        | '\u{61c}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
        | '\u{feff}' => Some(char::REPLACEMENT_CHARACTER),
        _ => None,
    }
}

fn replace(text: &str, replacement: impl Fn(char) -> Option<char>) -> Cow<'_, str> {
    if text.chars().all(|c| replacement(c).is_none()) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| replacement(c).unwrap_or(c)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_replaced() {
        let hostile = "a\x1b[2J\x1b]0;owned\x07\u{9b}31mb\r\nc\u{202e}d\x7f";
        for shown in [line(hostile), block(hostile)] {
            assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
            assert!(!shown.contains('\u{202e}'));
        }
        assert_eq!(line("a\x1b[2J\nb"), "a␛[2J b");
        assert_eq!(block("a\tb\nc"), "a\tb\nc");
    }

    #[test]
    fn harmless_text_is_not_copied() {
        assert!(matches!(line("grün ✓"), Cow::Borrowed(_)));
    }

    #[test]
    fn an_excerpt_ends_in_an_ellipsis() {
        assert_eq!(excerpt("short", 5), "short");
        assert_eq!(excerpt("longer", 5), "long…");
        assert_eq!(excerpt("ääää", 3), "ää…");
    }
}
