//! The types of values for which an operator can hold, and those for all of whose values it does.

use super::{Leaf, Literal};

/// A set of types of values, `true` and `false` being types of their own.
pub(crate) type Types = u8;

pub(crate) const MISSING: Types = 1;
pub(crate) const NULL: Types = 2;
pub(crate) const FALSE: Types = 4;
pub(crate) const TRUE: Types = 8;
pub(crate) const NUMBER: Types = 16;
pub(crate) const STRING: Types = 32;
pub(crate) const ARRAY: Types = 64;
/// Includes objects, which no operator distinguishes.
pub(crate) const EVERYTHING: Types = 255;

/// The cases of the event-bridge dialect: a scalar, or none.
pub(crate) const SCALARS: Types = MISSING | NULL | FALSE | TRUE | NUMBER | STRING;

impl Literal {
    pub(crate) fn of_type(&self) -> Types {
        match self {
            Self::Null => NULL,
            Self::Bool(false) => FALSE,
            Self::Bool(true) => TRUE,
            Self::Number(_) => NUMBER,
            Self::String(_) => STRING,
        }
    }
}

impl Leaf {
    /// A superset of the types of the values for which it holds.
    pub(crate) fn possible_types(&self) -> Types {
        match self {
            Self::Equals(literal) => literal.of_type(),
            Self::OneOf(_) => SCALARS & !MISSING,
            Self::Number(range) if range.is_empty() => 0,
            Self::Number(_) => NUMBER,
            Self::Includes(_) => ARRAY,
            Self::Exists(true) => !MISSING,
            Self::Exists(false) => MISSING,
            Self::IsNull(true) => NULL,
            Self::IsNull(false) => !NULL,
            Self::AnythingBut(literals) => {
                // A literal of another type excludes only one of many values.
                !(literals.iter().fold(0, |types, literal| types | literal.of_type()) & (NULL | TRUE | FALSE))
            }
            Self::Not(literal) => {
                (FALSE | TRUE | NUMBER | STRING | ARRAY) & !(literal.of_type() & (TRUE | FALSE))
            }
            _ => STRING,
        }
    }

    /// A subset of the types for all of whose values it holds.
    pub(crate) fn certain_types(&self) -> Types {
        match self {
            Self::Equals(literal) => literal.of_type() & (NULL | TRUE | FALSE),
            Self::Exists(true) => !MISSING,
            Self::Exists(false) => MISSING,
            Self::IsNull(true) => NULL,
            Self::IsNull(false) => !NULL,
            Self::AnythingBut(literals) => {
                !literals.iter().fold(0, |types, literal| types | literal.of_type())
            }
            Self::Not(literal) => (FALSE | TRUE | NUMBER | STRING) & !literal.of_type(),
            Self::StartsWith(text) | Self::EndsWith(text) if text.is_empty() => STRING,
            Self::Contains(part) if part.text().is_empty() => STRING,
            Self::Wildcard(wildcard) if wildcard.is_any() => STRING,
            Self::FoldedPrefix(text) | Self::FoldedSuffix(text) if text.source().is_empty() => STRING,
            Self::FoldedSearch(search) if search.is_any() => STRING,
            _ => 0,
        }
    }
}
