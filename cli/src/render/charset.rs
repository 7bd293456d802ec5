//! The program's own signs where the locale has no UTF-8.
//!
//! The few signs that are not ASCII (`·`, `…`, `×`, `✓`, `✗`, the spinner) are there because they read well; where they
//! would come out as garbage, ASCII stands for each of them, one character for one, so that what is aligned stays
//! aligned. Text of others is left as it is: whoever named a poll in Cyrillic can read that where he works.
//!
//! A locale that is not set at all counts as one with UTF-8: that is how most containers run, on terminals that have it.

use std::borrow::Cow;
use std::ffi::OsString;
use std::sync::OnceLock;

static ASCII_ONLY: OnceLock<bool> = OnceLock::new();

/// Decides for the process, by the environment that `variable` reads; the first time counts.
pub(super) fn decide(variable: impl Fn(&str) -> Option<OsString>) {
    ASCII_ONLY.get_or_init(|| !has_utf8(variable));
}

/// Whether everything for people has to be ASCII. Until it is decided, it does not.
pub(super) fn ascii_only() -> bool {
    ASCII_ONLY.get().copied().unwrap_or(false)
}

/// `text` as it is to be written for people.
pub(crate) fn spelled(text: &str) -> Cow<'_, str> {
    if ascii_only() { in_ascii(text) } else { Cow::Borrowed(text) }
}

/// POSIX: the first of the three that is set and not empty says what characters are.
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
    Cow::Owned(text.chars().map(|c| sign(c).unwrap_or(c)).collect())
}

const fn sign(c: char) -> Option<char> {
    match c {
        '·' => Some('-'),
        '…' => Some('~'),
        '×' | '✗' => Some('x'),
        '✓' => Some('+'),
        // What `clean` shows in place of a control character.
        '\u{2400}'..='\u{2421}' | char::REPLACEMENT_CHARACTER => Some('?'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_says_whether_there_is_utf8() {
        let utf8 = |set: &[(&str, &str)]| {
            has_utf8(|name| set.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).into()))
        };
        assert!(utf8(&[]), "most containers");
        assert!(utf8(&[("LANG", "de_DE.UTF-8")]) && utf8(&[("LANG", "C.utf8")]));
        assert!(!utf8(&[("LANG", "de_DE.ISO-8859-1")]) && !utf8(&[("LANG", "C")]));
        assert!(!utf8(&[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")]), "the first that is set decides");
        assert!(utf8(&[("LC_ALL", ""), ("LANG", "de_DE.UTF-8")]));
    }

    #[test]
    fn our_signs_have_a_stand_in_of_one_character_and_the_text_of_others_stays() {
        assert_eq!(in_ascii("attempt 1: 200 · 2 × ✗ ✓ a… ␛"), "attempt 1: 200 - 2 x x + a~ ?");
        assert_eq!(in_ascii("ключ"), "ключ");
        assert!(matches!(in_ascii("plain"), Cow::Borrowed(_)));
    }
}
