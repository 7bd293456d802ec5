//! Literals and equality with them.

use std::fmt;

use super::compare;
use super::number::Num;
use super::text::Quoted;
use super::{Chars, View};

/// A scalar written in a filter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    Null,
    Bool(bool),
    Number(Num),
    String(Box<str>),
}

impl Literal {
    /// Same type and same value. An array or object equals no literal: literals do not look inside.
    pub(crate) fn equals(&self, value: View<'_>) -> bool {
        match (self, value) {
            (Self::Null, View::Null) => true,
            (Self::Bool(a), View::Bool(b)) => *a == b,
            (Self::Number(a), View::Number(b)) => *a == b,
            (Self::String(a), View::String(b)) => compare::equal(a, b.bytes()),
            _ => false,
        }
    }

    /// The literal as a value.
    pub(crate) fn view(&self) -> View<'_> {
        match self {
            Self::Null => View::Null,
            Self::Bool(bool) => View::Bool(*bool),
            Self::Number(number) => View::Number(*number),
            Self::String(text) => View::String(Chars::Str(text)),
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(bool) => write!(f, "{bool}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::String(text) => write!(f, "{}", Quoted(text)),
        }
    }
}
