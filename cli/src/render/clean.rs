//! Makes foreign text safe to show on a terminal.
//!
//! A terminal obeys escape sequences whoever sent them: they move the cursor, rewrite what was printed before, set
//! the clipboard or the window title. So no control character of a response body, a header, a file or a file's name
//! is printed. They are made visible rather than dropped, so that a person sees that something was there.
//! Bidirectional overrides count as control characters: they make text read differently from what it is.

use std::borrow::Cow;

/// `text` on one line, nothing in it that a terminal would act on.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    replace(text, |c| match c {
        '\t' | '\n' | '\r' => Some(' '),
        _ => symbol(c),
    })
}

/// `text` with its line ends and tabs, and nothing else that a terminal would act on.
pub(crate) fn block(text: &str) -> Cow<'_, str> {
    replace(text, |c| match c {
        '\t' | '\n' => None,
        _ => symbol(c),
    })
}

/// [`line()`], cut to at most `max` characters, the last an ellipsis if it was cut.
pub(crate) fn excerpt(text: &str, max: usize) -> String {
    let mut shown: String = line(text).chars().take(max + 1).collect();
    if shown.chars().nth(max).is_some() {
        shown = shown.chars().take(max.saturating_sub(1)).chain(['…']).collect();
    }
    shown
}

/// What stands for a character that must not be printed; `None` for those that may.
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

fn replace(text: &str, stand_in: impl Fn(char) -> Option<char>) -> Cow<'_, str> {
    if text.chars().all(|c| stand_in(c).is_none()) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| stand_in(c).unwrap_or(c)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_gets_through() {
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
    fn an_excerpt_says_that_it_is_one() {
        assert_eq!(excerpt("short", 5), "short");
        assert_eq!(excerpt("longer", 5), "long…");
        assert_eq!(excerpt("ääää", 3), "ää…");
    }
}
