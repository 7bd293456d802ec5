//! `equals-ignore-case` of the event-bridge dialect: Unicode simple case folding, character by character.
//!
//! Simple folding maps each character to one character, so a prefix or suffix is compared without the rest of the text.

use std::fmt;

use icu_casemap::CaseMapper;

use super::chars::Chars;
use super::text::Quoted;

/// A text, folded once; values are folded during comparison.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Folded {
    source: Box<str>,
    folded: Box<str>,
    ascii: bool,
}

impl Folded {
    pub(crate) fn new(text: &str) -> Self {
        let folded: String = fold(text).collect();
        Self { source: text.into(), ascii: folded.is_ascii(), folded: folded.into() }
    }

    pub(crate) fn equals(&self, text: Chars<'_>) -> bool {
        let bytes = text.bytes();
        if let Some(equal) = self.equals_ascii(bytes) {
            return equal;
        }
        fold(&text.text()).eq(self.folded.chars())
    }

    pub(crate) fn is_prefix_of(&self, text: Chars<'_>) -> bool {
        let bytes = text.bytes();
        if let Some(equal) = self.equals_ascii(&bytes[..bytes.len().min(self.folded.len())]) {
            return equal;
        }
        let text = text.text();
        let mut characters = fold(&text);
        self.folded.chars().all(|expected| characters.next() == Some(expected))
    }

    pub(crate) fn is_suffix_of(&self, text: Chars<'_>) -> bool {
        let bytes = text.bytes();
        if let Some(equal) = self.equals_ascii(&bytes[bytes.len().saturating_sub(self.folded.len())..]) {
            return equal;
        }
        let text = text.text();
        let mut characters = fold(&text).rev();
        self.folded.chars().rev().all(|expected| characters.next() == Some(expected))
    }

    /// The result if both texts are ASCII, where characters are bytes. Other characters may fold to ASCII.
    #[inline]
    fn equals_ascii(&self, bytes: &[u8]) -> Option<bool> {
        let both = self.ascii && bytes.is_ascii();
        both.then(|| bytes.eq_ignore_ascii_case(self.folded.as_bytes()))
    }

    /// The folded text.
    pub(crate) fn folded(&self) -> &str {
        &self.folded
    }

    pub(crate) fn source(&self) -> &str {
        &self.source
    }
}

fn fold(text: &str) -> impl DoubleEndedIterator<Item = char> {
    let mapper = CaseMapper::new();
    text.chars().map(move |character| mapper.simple_fold(character))
}

/// Appends the folded text of a value. Two texts have equal results exactly if they are equal in any case.
pub(crate) fn fold_into(text: Chars<'_>, folded: &mut Vec<u8>) {
    let bytes = text.bytes();
    if bytes.is_ascii() {
        folded.extend(bytes.iter().map(u8::to_ascii_lowercase));
        return;
    }
    for character in fold(&text.text()) {
        folded.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

impl fmt::Display for Folded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in any case", Quoted(&self.source))
    }
}

#[cfg(test)]
mod tests {
    use super::Folded;

    #[test]
    fn folds_characters_one_by_one() {
        assert!(Folded::new("ÀB").equals("àb".into()));
        assert!(Folded::new("σ").equals("ς".into()));
        assert!(Folded::new("K").equals("\u{212A}".into()));
        assert!(!Folded::new("ß").equals("ss".into()));
        assert!(!Folded::new("é").equals("e\u{301}".into()));
        assert!(Folded::new("AB").is_prefix_of("abc".into()));
        assert!(Folded::new("BC").is_suffix_of("abc".into()));
        assert!(!Folded::new("abcd").is_prefix_of("abc".into()));
        assert!(!Folded::new("abcd").is_suffix_of("bcd".into()));
    }

    /// Character by character, without the short way.
    #[test]
    fn the_ascii_comparison_agrees() {
        let texts = [
            "",
            "K",
            "k",
            "\u{212A}",
            "Kk",
            "k\u{212A}",
            "\u{212A}k",
            "ab",
            "AB",
            "aé",
            "éa",
            "s",
            "ſ",
            "as",
            "aſ",
        ];
        for expected in texts {
            for text in texts {
                let folded: Vec<char> = super::fold(text).collect();
                let wanted: Vec<char> = super::fold(expected).collect();
                let filter = Folded::new(expected);
                assert_eq!(filter.equals(text.into()), folded == wanted, "{expected} {text}");
                assert_eq!(
                    filter.is_prefix_of(text.into()),
                    folded.starts_with(&wanted),
                    "{expected} {text}"
                );
                assert_eq!(filter.is_suffix_of(text.into()), folded.ends_with(&wanted), "{expected} {text}");
            }
        }
    }
}
