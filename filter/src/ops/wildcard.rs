//! `$wildcard`: `*` matches any run of characters, any other character itself.
//!
//! A pattern consists of the literal pieces between its stars. The first must begin the string, the last must end it,
//! and each of the others is searched for behind the one before. The leftmost occurrence is always right, since it
//! leaves the most room, so matching is linear and never backtracks.

use memchr::memmem;

use super::compare;

/// A compiled wildcard pattern.
#[derive(Clone, Debug)]
pub(crate) struct Wildcard {
    source: Box<str>,
    pieces: Pieces,
}

#[derive(Clone, Debug)]
enum Pieces {
    /// No star.
    Whole(Box<str>),
    Starred {
        prefix: Box<str>,
        middle: Box<[memmem::Finder<'static>]>,
        suffix: Box<str>,
    },
}

/// The reason why a wildcard pattern is invalid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum WildcardError {
    /// A backslash that escapes neither `*` nor `\`.
    Escape,
    /// `**`, where a dialect forbids it.
    DoubleStar,
}

impl Wildcard {
    pub(crate) fn new(source: &str, allow_double_star: bool) -> Result<Self, WildcardError> {
        let mut literals = vec![String::new()];
        let mut characters = source.chars();
        let mut after_star = false;
        while let Some(character) = characters.next() {
            let star = character == '*';
            match character {
                '*' if after_star && !allow_double_star => return Err(WildcardError::DoubleStar),
                '*' => literals.push(String::new()),
                '\\' => match characters.next() {
                    Some(escaped @ ('*' | '\\')) => push(&mut literals, escaped),
                    _ => return Err(WildcardError::Escape),
                },
                other => push(&mut literals, other),
            }
            after_star = star;
        }
        let pieces = match literals.as_mut_slice() {
            [prefix, middle @ .., suffix] => Pieces::Starred {
                prefix: std::mem::take(prefix).into(),
                middle: middle
                    .iter()
                    .filter(|piece| !piece.is_empty())
                    .map(|piece| memmem::Finder::new(piece.as_bytes()).into_owned())
                    .collect(),
                suffix: std::mem::take(suffix).into(),
            },
            [whole] => Pieces::Whole(std::mem::take(whole).into()),
            [] => Pieces::Whole("".into()),
        };
        Ok(Self { source: source.into(), pieces })
    }

    /// Whether the whole text matches; linear in the length of both.
    pub(crate) fn matches(&self, text: &[u8]) -> bool {
        match &self.pieces {
            Pieces::Whole(whole) => compare::equal(whole, text),
            Pieces::Starred { prefix, middle, suffix } => {
                // Pieces are whole characters of valid UTF-8, so a match of bytes is a match of characters.
                let Some(rest) = compare::strip_prefix(text, prefix) else { return false };
                let Some(mut rest) = compare::strip_suffix(rest, suffix) else { return false };
                for piece in middle {
                    let Some(at) = piece.find(rest) else { return false };
                    rest = &rest[at + piece.needle().len()..];
                }
                true
            }
        }
    }

    /// Whether the pattern matches every string.
    pub(crate) fn is_any(&self) -> bool {
        matches!(&self.pieces, Pieces::Starred { prefix, middle, suffix }
            if prefix.is_empty() && middle.is_empty() && suffix.is_empty())
    }

    /// The only matching text of a pattern without stars.
    pub(crate) fn whole(&self) -> Option<&str> {
        match &self.pieces {
            Pieces::Whole(whole) => Some(whole),
            Pieces::Starred { .. } => None,
        }
    }

    /// The prefix and the suffix of a pattern with stars.
    pub(crate) fn prefix_and_suffix(&self) -> Option<(&str, &str)> {
        match &self.pieces {
            Pieces::Whole(_) => None,
            Pieces::Starred { prefix, suffix, .. } => Some((prefix, suffix)),
        }
    }

    /// The pieces between stars, none of them empty.
    pub(crate) fn middle(&self) -> impl Iterator<Item = &[u8]> {
        let middle: &[memmem::Finder<'static>] = match &self.pieces {
            Pieces::Whole(_) => &[],
            Pieces::Starred { middle, .. } => middle,
        };
        middle.iter().map(memmem::Finder::needle)
    }

    pub(crate) fn source(&self) -> &str {
        &self.source
    }
}

fn push(literals: &mut [String], character: char) {
    if let Some(last) = literals.last_mut() {
        last.push(character);
    }
}

impl PartialEq for Wildcard {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

#[cfg(test)]
mod tests {
    use super::{Wildcard, WildcardError};

    #[test]
    fn table() {
        let cases = [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "anything", true),
            ("a*", "a", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "abc", true),
            ("a*b*c", "abbcbc", true),
            ("a*b*c", "acb", false),
            ("*ab*ab*", "xabyabz", true),
            ("*ab*ab*", "xaby", false),
            ("a**b", "axb", true),
            (r"a\*b", "a*b", true),
            (r"a\*b", "axb", false),
            (r"a\\*", r"a\b", true),
            ("é*", "éa", true),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(
                Wildcard::new(pattern, true).unwrap().matches(text.as_bytes()),
                expected,
                "{pattern} on {text}"
            );
        }
    }

    #[test]
    fn a_backslash_escapes_a_star_or_a_backslash() {
        for pattern in [r"a\b", r"a\"] {
            assert_eq!(Wildcard::new(pattern, true), Err(WildcardError::Escape));
        }
        assert_eq!(Wildcard::new("a**", false), Err(WildcardError::DoubleStar));
        assert!(Wildcard::new(r"*\**", false).is_ok());
    }
}
