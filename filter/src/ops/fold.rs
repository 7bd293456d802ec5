//! `equals-ignore-case` of the event-bridge dialect and native `$ignoreCase`: Unicode simple case folding, character by
//! character.
//!
//! Simple folding maps each character to one character, so a prefix or suffix is compared without the rest of the text. A
//! search folds the whole text first, into memory of the thread that is reused.

use std::cell::RefCell;

use icu_casemap::CaseMapper;

use super::Substring;
use super::chars::Chars;
use super::wildcard::{Wildcard, WildcardError};

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

/// A search in a text whose case does not count.
#[derive(Clone, Debug)]
pub(crate) struct FoldedSearch {
    source: Box<str>,
    method: Method,
}

#[derive(Clone, Debug)]
enum Method {
    Contains(Substring),
    Wildcard(Wildcard),
}

impl FoldedSearch {
    pub(crate) fn contains(text: &str) -> Self {
        let folded: String = fold(text).collect();
        Self { source: text.into(), method: Method::Contains(Substring::new(&folded)) }
    }

    /// Folding leaves stars and backslashes as they are, and makes no new ones.
    pub(crate) fn wildcard(pattern: &str) -> Result<Self, WildcardError> {
        let folded: String = fold(pattern).collect();
        Ok(Self { source: pattern.into(), method: Method::Wildcard(Wildcard::new(&folded, true)?) })
    }

    /// Linear in the length of the text.
    pub(crate) fn matches(&self, text: Chars<'_>) -> bool {
        with_folded(text, |folded| match &self.method {
            Method::Contains(part) => part.is_in(folded),
            Method::Wildcard(pattern) => pattern.matches(folded),
        })
    }

    /// What the folded text has to contain, or the pattern that it has to match.
    pub(crate) fn searched(&self) -> Result<&str, &Wildcard> {
        match &self.method {
            Method::Contains(part) => Ok(part.text()),
            Method::Wildcard(pattern) => Err(pattern),
        }
    }

    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// Whether every text matches.
    pub(crate) fn is_any(&self) -> bool {
        match &self.method {
            Method::Contains(part) => part.text().is_empty(),
            Method::Wildcard(pattern) => pattern.is_any(),
        }
    }
}

impl PartialEq for FoldedSearch {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
            && std::mem::discriminant(&self.method) == std::mem::discriminant(&other.method)
    }
}

/// Lends a folded text, in memory that the thread reuses.
fn with_folded<R>(text: Chars<'_>, see: impl FnOnce(&[u8]) -> R) -> R {
    thread_local! {
        static FOLDED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    FOLDED.with_borrow_mut(|folded| {
        folded.clear();
        fold_into(text, folded);
        let result = see(folded);
        // The text of one huge event does not stay.
        folded.shrink_to(64 << 10);
        result
    })
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
