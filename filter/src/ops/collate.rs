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
use icu_properties::CodePointMapData;
use icu_properties::props::{GeneralCategory, GeneralCategoryGroup};

use super::chars::Chars;
use super::text::Quoted;

/// How many combining marks in a row are still collated. Collation looks for contractions across a run of them, which takes
/// time quadratic in its length. Unicode's Stream-Safe Text Format ends runs at 30; no language comes near that.
const LONGEST_RUN: usize = 128;

/// A text to compare with, and how it may be compared.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct IgnoreCase {
    text: Box<str>,
    class: Class,
}

/// What is known of a text before it is compared.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Class {
    /// Every character is printable ASCII. Those differ from each other at the primary level but for case, and none is
    /// ignored or contracts with another, so that comparing bytes without case is the collation's own answer.
    Plain,
    Collated,
    /// Has a longer run of marks than is collated; it equals only itself.
    Marked,
}

impl IgnoreCase {
    pub(crate) fn new(text: &str) -> Self {
        Self { text: text.into(), class: Class::of(text) }
    }

    pub(crate) fn equals(&self, other: Chars<'_>) -> bool {
        if self.class == Class::Plain && is_plain(other.bytes()) {
            return self.text.as_bytes().eq_ignore_ascii_case(other.bytes());
        }
        let other = &*other.text();
        match (self.class, Class::of(other)) {
            (Class::Marked, _) | (_, Class::Marked) => *self.text == *other,
            _ => {
                *self.text == *other
                    || collator().is_some_and(|c| c.compare(&self.text, other) == Ordering::Equal)
            }
        }
    }

    /// The text, if it is all printable ASCII: then those of printable ASCII equal it that do in lower case.
    pub(crate) fn plain(&self) -> Option<&str> {
        (self.class == Class::Plain).then_some(&*self.text)
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

impl Class {
    fn of(text: &str) -> Self {
        if is_plain(text.as_bytes()) {
            return Self::Plain;
        }
        // A mark takes two bytes at least.
        if text.len() <= 2 * LONGEST_RUN {
            return Self::Collated;
        }
        let categories = CodePointMapData::<GeneralCategory>::new();
        let mut run = 0;
        for character in text.chars() {
            let mark =
                !character.is_ascii() && GeneralCategoryGroup::Mark.contains(categories.get(character));
            run = if mark { run + 1 } else { 0 };
            if run > LONGEST_RUN {
                return Self::Marked;
            }
        }
        Self::Collated
    }
}

/// Whether a text is all printable ASCII.
pub(crate) fn is_plain(text: &[u8]) -> bool {
    text.iter().all(|byte| matches!(byte, b' '..=b'~'))
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
    use super::{Chars, IgnoreCase, collator};

    fn text(text: &(impl AsRef<str> + ?Sized)) -> Chars<'_> {
        Chars::Str(text.as_ref())
    }

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
            assert_eq!(IgnoreCase::new(a).equals(text(b)), expected, "{a:?} and {b:?}");
            assert_eq!(IgnoreCase::new(b).equals(text(a)), expected, "{b:?} and {a:?}");
        }
    }

    #[test]
    fn a_long_run_of_marks_equals_only_itself() {
        let run = |length: usize| format!("a{}", "\u{301}".repeat(length));
        assert!(IgnoreCase::new(&run(128)).equals(text(&run(128).to_uppercase())));
        assert!(IgnoreCase::new(&run(129)).equals(text(&run(129))));
        assert!(!IgnoreCase::new(&run(129)).equals(text(&run(129).to_uppercase())));
        assert!(!IgnoreCase::new("a").equals(text(&run(100_000))));
    }

    #[test]
    fn the_short_way_agrees_with_the_collation() {
        let collator = collator().unwrap();
        let printable: Vec<String> = (b' '..=b'~').map(|byte| char::from(byte).to_string()).collect();
        for a in &printable {
            for b in &printable {
                let long = collator.compare(a, b) == std::cmp::Ordering::Equal;
                assert_eq!(IgnoreCase::new(a).equals(text(b)), long, "{a:?} and {b:?}");
            }
        }
    }
}
