//! The meaning of operators, defined only here.
//!
//! A [`Leaf`] is one operator with its prepared argument. Engines hold values in different ways, but show each as a
//! [`View`] and ask the leaf, so they cannot disagree about an operator. Operators on the elements of an array are
//! expressed as a [`OnArray`], which an engine applies to its elements.

mod chars;
mod cidr;
#[cfg_attr(not(feature = "collation"), path = "no_collate.rs")]
mod collate;
mod compare;
mod decimal;
mod fold;
mod literal;
mod literals;
pub(crate) mod number;
mod pattern;
mod reference;
mod required;
mod spelling;
pub(crate) mod text;
mod time;
pub(crate) mod types;
mod wildcard;

use std::fmt;

use memchr::memmem;

pub(crate) use chars::{Chars, is_plain};
pub(crate) use cidr::{Cidr, CidrError, address};
pub(crate) use collate::IgnoreCase;
pub(crate) use fold::{Folded, FoldedSearch, fold_into};
pub(crate) use literal::Literal;
pub(crate) use literals::LiteralSet;
pub(crate) use number::{Num, Range};
pub(crate) use pattern::{Pattern, PatternError, regex_bytes_in_use};
pub(crate) use reference::{Comparison, Reference};
pub(crate) use required::Required;
pub(crate) use spelling::Spellings;
use text::Quoted;
pub(crate) use time::{Moment, TimeBound};
pub(crate) use wildcard::{Wildcard, WildcardError};

/// A value as operators see it: its type, and its content if it is a scalar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum View<'a> {
    /// The field is missing.
    Missing,
    Null,
    Bool(bool),
    Number(Num),
    String(Chars<'a>),
    Object,
    /// A number beyond f64. No JSON text that this crate accepts contains one; no operator on numbers holds for it.
    Unrepresentable,
}

/// One operator and its argument.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Leaf {
    Equals(Literal),
    /// Equal to one of many literals of an array of conditions, which are searched together.
    OneOf(LiteralSet),
    StartsWith(Box<str>),
    EndsWith(Box<str>),
    Contains(Substring),
    IgnoreCase(Box<IgnoreCase>),
    Regex(Box<Pattern>),
    Wildcard(Box<Wildcard>),
    Cidr(Cidr),
    Number(Box<Range>),
    Includes(Literal),
    Exists(bool),
    IsNull(bool),
    AnythingBut(LiteralSet),
    Not(Literal),
    FoldedEquals(Folded),
    FoldedPrefix(Folded),
    FoldedSuffix(Folded),
    FoldedSearch(Box<FoldedSearch>),
    Time(Box<TimeBound>),
}

/// The result of an operator for an array.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum OnArray<'l> {
    /// The same for every array.
    Fixed(bool),
    /// Some element must equal the literal.
    Includes(&'l Literal),
    /// No element may equal the literal.
    Lacks(&'l Literal),
}

impl Leaf {
    /// What a byte of text costs this operator, in the units of [`Effort`](crate::Effort).
    pub(crate) fn weight(&self) -> u64 {
        match self {
            Self::IgnoreCase(_)
            | Self::FoldedEquals(_)
            | Self::FoldedPrefix(_)
            | Self::FoldedSuffix(_)
            | Self::FoldedSearch(_) => 3,
            Self::Regex(pattern) => pattern.weight(),
            _ => 1,
        }
    }

    /// Whether the operator holds for a value that is no array.
    pub(crate) fn holds(&self, value: View<'_>) -> bool {
        match self {
            Self::Equals(literal) => literal.equals(value),
            Self::OneOf(literals) => literals.contains(value),
            Self::Number(range) => matches!(value, View::Number(number) if range.contains(number)),
            Self::Exists(expected) => (value != View::Missing) == *expected,
            Self::IsNull(expected) => (value == View::Null) == *expected,
            Self::AnythingBut(literals) => !literals.contains(value),
            Self::Not(literal) => match value {
                View::Missing | View::Null | View::Object => false,
                View::Bool(_) | View::Number(_) | View::String(_) | View::Unrepresentable => {
                    !literal.equals(value)
                }
            },
            Self::Includes(_) => false,
            on_text => matches!(value, View::String(text) if on_text.holds_for_text(text)),
        }
    }

    fn holds_for_text(&self, text: Chars<'_>) -> bool {
        let bytes = text.bytes();
        match self {
            Self::StartsWith(prefix) => compare::strip_prefix(bytes, prefix).is_some(),
            Self::EndsWith(suffix) => compare::strip_suffix(bytes, suffix).is_some(),
            Self::Contains(part) => part.is_in(bytes),
            Self::IgnoreCase(expected) => expected.equals(text),
            Self::Regex(pattern) => pattern.is_match(&text.text()),
            Self::Wildcard(pattern) => pattern.matches(bytes),
            Self::Cidr(block) => block.contains(&text.text()),
            Self::FoldedEquals(expected) => expected.equals(text),
            Self::FoldedPrefix(prefix) => prefix.is_prefix_of(text),
            Self::FoldedSuffix(suffix) => suffix.is_suffix_of(text),
            Self::FoldedSearch(search) => search.matches(text),
            Self::Time(bound) => bound.holds(bytes),
            Self::Equals(_)
            | Self::OneOf(_)
            | Self::Number(_)
            | Self::Includes(_)
            | Self::Exists(_)
            | Self::IsNull(_)
            | Self::AnythingBut(_)
            | Self::Not(_) => false,
        }
    }

    /// The operator's result for an array.
    pub(crate) fn on_array(&self) -> OnArray<'_> {
        match self {
            Self::Includes(literal) => OnArray::Includes(literal),
            Self::Not(literal) => OnArray::Lacks(literal),
            Self::Exists(expected) => OnArray::Fixed(*expected),
            Self::IsNull(expected) => OnArray::Fixed(!expected),
            // Literals do not look inside arrays, so an array differs from all of them.
            Self::AnythingBut(_) => OnArray::Fixed(true),
            _ => OnArray::Fixed(false),
        }
    }

    /// The description that follows the word "expected", with numbers as the filter has them.
    pub(crate) fn describe(&self, f: &mut dyn fmt::Write, numbers: &Spellings) -> fmt::Result {
        match self {
            Self::Equals(literal) => write!(f, "{}", numbers.literal(literal)),
            Self::OneOf(literals) => numbers.literals(f, literals),
            Self::StartsWith(prefix) => write!(f, "starting with {}", Quoted(prefix)),
            Self::EndsWith(suffix) => write!(f, "ending with {}", Quoted(suffix)),
            Self::Contains(part) => write!(f, "containing {}", Quoted(part.text())),
            Self::IgnoreCase(text) => write!(f, "{} in any case", Quoted(text.text())),
            Self::Regex(pattern) => write!(f, "matching the pattern {}", Quoted(pattern.source())),
            Self::Wildcard(pattern) => write!(f, "like {}", Quoted(pattern.source())),
            Self::Cidr(block) => write!(f, "an address in {block}"),
            Self::Number(range) => range.describe(f, numbers),
            Self::Includes(literal) => write!(f, "an array that includes {}", numbers.literal(literal)),
            Self::Exists(true) => f.write_str("present"),
            Self::Exists(false) => f.write_str("absent"),
            Self::IsNull(true) => f.write_str("null"),
            Self::IsNull(false) => f.write_str("not null"),
            Self::AnythingBut(literals) if literals.is_empty() => f.write_str("anything"),
            Self::AnythingBut(literals) => {
                f.write_str("anything but ")?;
                numbers.literals(f, literals)
            }
            Self::Not(literal) => write!(f, "not {}", numbers.literal(literal)),
            Self::FoldedEquals(text) => write!(f, "{} in any case", Quoted(text.source())),
            Self::FoldedPrefix(text) => write!(f, "starting with {} in any case", Quoted(text.source())),
            Self::FoldedSuffix(text) => write!(f, "ending with {} in any case", Quoted(text.source())),
            Self::FoldedSearch(search) => {
                let verb = if search.searched().is_ok() { "containing" } else { "like" };
                write!(f, "{verb} {} in any case", Quoted(search.source()))
            }
            Self::Time(bound) => {
                let side = if bound.after { "after" } else { "before" };
                write!(f, "a time {side} {}", Quoted(bound.source()))
            }
        }
    }
}

impl fmt::Display for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe(f, &Spellings::default())
    }
}

/// A text to search for in others.
#[derive(Clone, Debug)]
pub(crate) struct Substring(Box<(Box<str>, memmem::Finder<'static>)>);

impl Substring {
    pub(crate) fn new(text: &str) -> Self {
        Self(Box::new((text.into(), memmem::Finder::new(text.as_bytes()).into_owned())))
    }

    pub(crate) fn is_in(&self, text: &[u8]) -> bool {
        self.0.1.find(text).is_some()
    }

    pub(crate) fn text(&self) -> &str {
        &self.0.0
    }
}

impl PartialEq for Substring {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}
