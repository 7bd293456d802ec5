//! `$ignoreCaseEquals`: equality under Unicode's root collation at secondary strength.
//!
//! This is what JavaScript's `localeCompare(…, {sensitivity: "accent"})` answers 0 for: case and width do not count,
//! accents do, and characters that the collation ignores (U+0000, the soft hyphen) are as if absent. Lower-casing both
//! sides would be simpler and would miss `ﬁ` = `fi`, `σ` = `ς`, and composed against decomposed accents.

use std::cmp::Ordering;
use std::fmt;
use std::sync::OnceLock;

use icu_collator::options::{AlternateHandling, CollatorOptions, Strength};
use icu_collator::{CollatorBorrowed, CollatorPreferences};

use super::text::Quoted;

/// A text to compare with, and whether the short way of comparing may be taken.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct IgnoreCase {
    text: Box<str>,
    plain: bool,
}

impl IgnoreCase {
    pub(crate) fn new(text: &str) -> Self {
        Self { text: text.into(), plain: is_plain(text) }
    }

    pub(crate) fn equals(&self, other: &str) -> bool {
        if self.plain && is_plain(other) {
            self.text.eq_ignore_ascii_case(other)
        } else {
            *self.text == *other
                || collator().is_some_and(|c| c.compare(&self.text, other) == Ordering::Equal)
        }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

/// Whether every character is printable ASCII. Those differ from each other at the primary level but for case, and none
/// is ignored or contracts with another, so that comparing bytes without case is the collation's own answer.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

fn collator() -> Option<&'static CollatorBorrowed<'static>> {
    static COLLATOR: OnceLock<Option<CollatorBorrowed<'static>>> = OnceLock::new();
    let built = COLLATOR.get_or_init(|| {
        let mut options = CollatorOptions::default();
        options.strength = Some(Strength::Secondary);
        options.alternate_handling = Some(AlternateHandling::NonIgnorable);
        // The root's data is compiled in; a test sees to it that this is never an error.
        CollatorBorrowed::try_new(CollatorPreferences::default(), options).ok()
    });
    built.as_ref()
}

impl fmt::Display for IgnoreCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in any case", Quoted(&self.text))
    }
}

#[cfg(test)]
mod tests {
    use super::{IgnoreCase, collator};

    #[test]
    fn the_root_collation_is_there() {
        assert!(collator().is_some());
    }

    #[test]
    fn table() {
        let cases = [
            ("abc", "ABC", true),
            ("a", "ａ", true),
            ("σ", "ς", true),
            ("é", "e\u{301}", true),
            ("ﬁ", "fi", true),
            ("a", "á", false),
            ("ß", "ss", false),
            ("a\u{0}b", "A\u{AD}B", true),
            ("", "\u{0}", true),
            ("a b", "ab", false),
            ("a-b", "ab", false),
        ];
        for (a, b, expected) in cases {
            assert_eq!(IgnoreCase::new(a).equals(b), expected, "{a:?} and {b:?}");
            assert_eq!(IgnoreCase::new(b).equals(a), expected, "{b:?} and {a:?}");
        }
    }

    #[test]
    fn the_short_way_agrees_with_the_collation() {
        let collator = collator().unwrap();
        let printable: Vec<String> = (b' '..=b'~').map(|byte| char::from(byte).to_string()).collect();
        for a in &printable {
            for b in &printable {
                let long = collator.compare(a, b) == std::cmp::Ordering::Equal;
                assert_eq!(IgnoreCase::new(a).equals(b), long, "{a:?} and {b:?}");
            }
        }
    }
}
