//! References: comparisons with the value at another place of the event.

use std::cmp::Ordering;
use std::fmt;

use super::View;

/// An operator whose argument may be a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Comparison {
    /// Whether it holds for a value and the value that the reference leads to. Numbers are compared by value, texts by code
    /// point, others only for equality. It never holds for values of two types, or for a missing one.
    pub(crate) fn holds(self, value: View<'_>, other: View<'_>) -> bool {
        let order = match (value, other) {
            (View::Number(a), View::Number(b)) => a.compare(b),
            // The order of UTF-8 is that of code points.
            (View::String(a), View::String(b)) => a.bytes().cmp(b.bytes()),
            (View::Bool(a), View::Bool(b)) => return self == Self::Equal && a == b,
            (View::Null, View::Null) => return self == Self::Equal,
            _ => return false,
        };
        match self {
            Self::Equal => order == Ordering::Equal,
            Self::Greater => order == Ordering::Greater,
            Self::GreaterOrEqual => order != Ordering::Less,
            Self::Less => order == Ordering::Less,
            Self::LessOrEqual => order != Ordering::Greater,
        }
    }

    /// As it is written before a bound in an explanation; equality is not written.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Self::Equal => "",
            Self::Greater => "> ",
            Self::GreaterOrEqual => ">= ",
            Self::Less => "< ",
            Self::LessOrEqual => "<= ",
        }
    }
}

/// A comparison with the value at a JSON pointer into the event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reference {
    pub(crate) comparison: Comparison,
    /// The names on the way from the event to the value, unescaped.
    pub(crate) names: Box<[Box<str>]>,
    source: Box<str>,
}

impl Reference {
    /// `None` if the text is no JSON pointer ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)).
    pub(crate) fn new(comparison: Comparison, pointer: &str) -> Option<Self> {
        let names = match pointer.strip_prefix('/') {
            Some(rest) => rest.split('/').map(unescape).collect::<Option<_>>()?,
            None if pointer.is_empty() => Box::default(),
            None => return None,
        };
        Some(Self { comparison, names, source: pointer.into() })
    }
}

/// A step of a pointer as a name: `~0` is `~`, `~1` is `/`, and a `~` before anything else is an error.
fn unescape(step: &str) -> Option<Box<str>> {
    let mut parts = step.split('~');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let (character, rest) = match (part.strip_prefix('0'), part.strip_prefix('1')) {
            (Some(rest), _) => ('~', rest),
            (_, Some(rest)) => ('/', rest),
            _ => return None,
        };
        name.push(character);
        name.push_str(rest);
    }
    Some(name.into())
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.names.is_empty() {
            true => f.write_str("the event"),
            false => f.write_str(&self.source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Comparison, Reference};

    #[test]
    fn pointers() {
        let names = |pointer: &str| {
            let reference = Reference::new(Comparison::Equal, pointer)?;
            Some(reference.names.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(names(""), Some(vec![]));
        assert_eq!(names("/"), Some(vec![String::new()]));
        assert_eq!(names("/a~1b/~0~01/é"), Some(vec!["a/b".to_owned(), "~~1".to_owned(), "é".to_owned()]));
        assert_eq!(names("a"), None);
        assert_eq!(names("/a~"), None);
        assert_eq!(names("/a~2"), None);
    }
}
