//! ASCII replacements for the program's own symbols where the locale has no UTF-8.
//!
//! The program prints a few symbols outside ASCII (`·`, `…`, `×`, `✓`, `✗`, the spinner). Each has an ASCII replacement of
//! one character, so that aligned text stays aligned. Foreign text is left as it is: a user who names a poll in
//! Cyrillic has a terminal that shows Cyrillic.
//!
//! An unset locale counts as UTF-8: most containers set none and run in terminals that support UTF-8.

use std::borrow::Cow;
use std::ffi::OsString;
use std::sync::OnceLock;

static ASCII_ONLY: OnceLock<bool> = OnceLock::new();

/// Reads the locale through `variable` and decides for the whole process; later calls change nothing.
pub(super) fn decide(variable: impl Fn(&str) -> Option<OsString>) {
    ASCII_ONLY.get_or_init(|| !has_utf8(variable));
}

/// Whether text for people has to be ASCII; false until [`decide`] has run.
pub(super) fn ascii_only() -> bool {
    ASCII_ONLY.get().copied().unwrap_or(false)
}

/// `text` in the character set of the locale.
pub(crate) fn for_locale(text: &str) -> Cow<'_, str> {
    if ascii_only() { in_ascii(text) } else { Cow::Borrowed(text) }
}

/// POSIX: the first of the three variables that is set and not empty names the character set.
fn has_utf8(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let set = ["LC_ALL", "LC_CTYPE", "LANG"].iter().filter_map(|name| variable(name));
    set.filter(|value| !value.is_empty()).take(1).all(|locale| {
        let locale = locale.to_string_lossy().to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

fn in_ascii(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(ascii).collect())
}

const fn ascii(c: char) -> char {
    match c {
        '·' => '-',
        '…' => '~',
        '×' | '✗' => 'x',
        '✓' => '+',
        // The replacements that `sanitize` uses.
        '\u{2400}'..='\u{2421}' | char::REPLACEMENT_CHARACTER => '?',
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_decides_about_utf8() {
        let utf8 = |set: &[(&str, &str)]| {
            has_utf8(|name| set.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).into()))
        };
        assert!(utf8(&[]), "most containers set none");
        assert!(utf8(&[("LANG", "de_DE.UTF-8")]) && utf8(&[("LANG", "C.utf8")]));
        assert!(!utf8(&[("LANG", "de_DE.ISO-8859-1")]) && !utf8(&[("LANG", "C")]));
        assert!(!utf8(&[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")]), "the first variable that is set decides");
        assert!(utf8(&[("LC_ALL", ""), ("LANG", "de_DE.UTF-8")]));
    }

    #[test]
    fn own_symbols_are_replaced_one_for_one_and_foreign_text_stays() {
        assert_eq!(in_ascii("attempt 1: 200 · 2 × ✗ ✓ a… ␛"), "attempt 1: 200 - 2 x x + a~ ?");
        assert_eq!(in_ascii("ключ"), "ключ");
        assert!(matches!(in_ascii("plain"), Cow::Borrowed(_)));
    }
}
