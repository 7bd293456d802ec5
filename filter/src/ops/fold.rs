//! `equals-ignore-case` of the event-bridge dialect: Unicode simple case folding, character by character.
//!
//! Simple folding maps one character to one, so a prefix or suffix compares without looking at the rest.

use std::fmt;

use icu_casemap::CaseMapper;

use super::text::Quoted;

/// A text, folded once; values are folded while they are compared.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Folded {
    source: Box<str>,
    folded: Box<[char]>,
}

impl Folded {
    pub(crate) fn new(text: &str) -> Self {
        let mapper = CaseMapper::new();
        Self { source: text.into(), folded: text.chars().map(|c| mapper.simple_fold(c)).collect() }
    }

    pub(crate) fn equals(&self, text: &str) -> bool {
        let mapper = CaseMapper::new();
        text.chars().map(|c| mapper.simple_fold(c)).eq(self.folded.iter().copied())
    }

    pub(crate) fn is_prefix_of(&self, text: &str) -> bool {
        let mapper = CaseMapper::new();
        let mut characters = text.chars();
        self.folded
            .iter()
            .all(|&expected| characters.next().is_some_and(|c| mapper.simple_fold(c) == expected))
    }

    pub(crate) fn is_suffix_of(&self, text: &str) -> bool {
        let mapper = CaseMapper::new();
        let mut characters = text.chars().rev();
        let mut expected = self.folded.iter().rev();
        expected.all(|&expected| characters.next().is_some_and(|c| mapper.simple_fold(c) == expected))
    }

    /// The text, folded.
    pub(crate) fn folded(&self) -> String {
        self.folded.iter().collect()
    }

    pub(crate) fn source(&self) -> &str {
        &self.source
    }
}

/// Appends the folded text of a value: equal for two texts where, and only where, one equals the other in any case.
pub(crate) fn fold_into(text: &str, folded: &mut Vec<u8>) {
    let mapper = CaseMapper::new();
    for character in text.chars() {
        let character =
            if character.is_ascii() { character.to_ascii_lowercase() } else { mapper.simple_fold(character) };
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
    fn folds_simply() {
        assert!(Folded::new("ÀB").equals("àb"));
        assert!(Folded::new("σ").equals("ς"));
        assert!(Folded::new("K").equals("\u{212A}"));
        assert!(!Folded::new("ß").equals("ss"));
        assert!(!Folded::new("é").equals("e\u{301}"));
        assert!(Folded::new("AB").is_prefix_of("abc"));
        assert!(Folded::new("BC").is_suffix_of("abc"));
        assert!(!Folded::new("abcd").is_prefix_of("abc"));
        assert!(!Folded::new("abcd").is_suffix_of("bcd"));
    }
}
