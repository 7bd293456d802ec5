//! `$ignoreCaseEquals`: equality under Unicode's root collation at secondary strength.
//!
//! Two strings are equal if JavaScript's `localeCompare(…, {sensitivity: "accent"})` returns 0: case and width do not count,
//! accents do, and ignorable characters (U+0000, the soft hyphen) are skipped. Lower-casing both sides would be simpler, but
//! would miss `ﬁ` = `fi`, `σ` = `ς`, and composed against decomposed accents.

use std::cmp::Ordering;
use std::sync::LazyLock;

use icu_collator::options::{AlternateHandling, CollatorOptions, Strength};
use icu_collator::{CollatorBorrowed, CollatorPreferences};
use icu_properties::CodePointMapData;
use icu_properties::props::{GeneralCategory, GeneralCategoryGroup};

use super::chars::{Chars, is_plain};

/// The longest run of combining marks that is collated. Collation looks for contractions across a run, which takes time
/// quadratic in its length. Unicode's Stream-Safe Text Format ends runs at 30; no language comes near that.
const LONGEST_RUN: usize = 128;

/// A string to compare with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct IgnoreCase {
    text: Box<str>,
    class: Class,
}

/// The comparison that a text allows.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Class {
    /// Printable ASCII only. Except for case, these characters differ at the primary level, and none is ignorable or forms a
    /// contraction, so comparing bytes without case gives the collation's answer.
    Plain,
    Collated,
    /// Contains a run of marks that is too long to collate; equals only itself.
    Marked,
}

impl IgnoreCase {
    /// Always `Some`; `None` says that this crate was built without the feature `collation`.
    pub(crate) fn new(text: &str) -> Option<Self> {
        Some(Self { text: text.into(), class: Class::of(text) })
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

    /// The text, if it is printable ASCII: another such text equals it if both are equal in lower case.
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
        // A mark has at least two bytes.
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

fn collator() -> Option<&'static CollatorBorrowed<'static>> {
    static COLLATOR: LazyLock<Option<CollatorBorrowed<'static>>> = LazyLock::new(|| {
        let mut options = CollatorOptions::default();
        options.strength = Some(Strength::Secondary);
        options.alternate_handling = Some(AlternateHandling::NonIgnorable);
        // The root's data is compiled in; a test checks that this never fails.
        CollatorBorrowed::try_new(CollatorPreferences::default(), options).ok()
    });
    COLLATOR.as_ref()
}

#[cfg(test)]
mod tests {
    use super::{Chars, IgnoreCase, collator};

    fn ignore_case(text: &str) -> IgnoreCase {
        IgnoreCase::new(text).unwrap()
    }

    fn text(text: &(impl AsRef<str> + ?Sized)) -> Chars<'_> {
        Chars::Str(text.as_ref())
    }

    #[test]
    fn the_root_collation_is_available() {
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
            assert_eq!(ignore_case(a).equals(text(b)), expected, "{a:?} and {b:?}");
            assert_eq!(ignore_case(b).equals(text(a)), expected, "{b:?} and {a:?}");
        }
    }

    #[test]
    fn a_long_run_of_marks_equals_only_itself() {
        let run = |length: usize| format!("a{}", "\u{301}".repeat(length));
        assert!(ignore_case(&run(128)).equals(text(&run(128).to_uppercase())));
        assert!(ignore_case(&run(129)).equals(text(&run(129))));
        assert!(!ignore_case(&run(129)).equals(text(&run(129).to_uppercase())));
        assert!(!ignore_case("a").equals(text(&run(100_000))));
    }

    #[test]
    fn the_ascii_comparison_agrees_with_the_collation() {
        let collator = collator().unwrap();
        let printable: Vec<String> = (b' '..=b'~').map(|byte| char::from(byte).to_string()).collect();
        for a in &printable {
            for b in &printable {
                let long = collator.compare(a, b) == std::cmp::Ordering::Equal;
                assert_eq!(ignore_case(a).equals(text(b)), long, "{a:?} and {b:?}");
            }
        }
    }
}
