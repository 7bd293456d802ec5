//! The operators of the native and the trigger-dev dialect, one entry each: name, description, argument.
//!
//! The readers of both dialects, the JSON Schemas and the suggestions of misspelt names use this table, so a new operator is one
//! entry here, besides its meaning in `ops`. trigger-dev has a subset, listed in its own file in the order that matters there.

use crate::ops::{Comparison, Leaf, Literal, Num, Range, Substring};

/// An operator whose name begins with `$`.
pub(crate) struct Operator {
    pub(crate) name: &'static str,
    /// The values for which it holds, as the schema describes them.
    pub(crate) about: &'static str,
    pub(crate) argument: Argument,
    /// Whether it can apply to a number. For the length of an array all others never hold, or always.
    pub(crate) on_numbers: bool,
}

/// The type of an operator's argument and, where one leaf results, how it is made.
#[derive(Clone, Copy)]
pub(crate) enum Argument {
    Text(fn(&str) -> Leaf),
    /// A string for collation.
    IgnoreCase,
    Regex,
    Wildcard,
    Cidr,
    /// A number, or a reference to compare with.
    Number(fn(Num) -> Range, Comparison),
    /// A literal, or a reference, to equal.
    Equal,
    /// A matcher of operators on text, whose case does not count.
    AnyCase,
    /// A moment; whether values must be after it, or before.
    Time(bool),
    /// Two numbers, `[low, high]`.
    Bounds,
    Literal(fn(Literal) -> Leaf),
    Boolean(fn(bool) -> Leaf),
    /// A number, or a matcher of numbers.
    Length,
    /// The condition on some element of an array.
    Some,
    /// The condition on every element of an array.
    Every,
    /// A literal, several, or a matcher, none of which may hold.
    Excluded,
    /// Conditions that must all hold.
    All,
    /// Conditions of which none may hold.
    None,
}

const fn entry(name: &'static str, about: &'static str, argument: Argument) -> Operator {
    Operator { name, about, argument, on_numbers: false }
}

const fn on_numbers(name: &'static str, about: &'static str, argument: Argument) -> Operator {
    Operator { name, about, argument, on_numbers: true }
}

/// Every operator, in the order of the documentation.
pub(crate) const OPERATORS: [Operator; 26] = [
    entry(
        "$startsWith",
        "a string that starts with this",
        Argument::Text(|text| Leaf::StartsWith(text.into())),
    ),
    entry("$endsWith", "a string that ends with this", Argument::Text(|text| Leaf::EndsWith(text.into()))),
    entry(
        "$contains",
        "a string that contains this",
        Argument::Text(|text| Leaf::Contains(Substring::new(text))),
    ),
    entry("$ignoreCaseEquals", "a string equal to this but for case", Argument::IgnoreCase),
    entry("$regex", "a string in which this regular expression finds a match", Argument::Regex),
    entry("$wildcard", "a string like this, * being any run of characters", Argument::Wildcard),
    entry("$cidr", "a string holding an IP address inside this block", Argument::Cidr),
    entry("$ignoreCase", "a string that satisfies these operators in any case", Argument::AnyCase),
    entry("$before", "a string holding an RFC 3339 time before this one", Argument::Time(false)),
    entry("$after", "a string holding an RFC 3339 time after this one", Argument::Time(true)),
    on_numbers("$eq", "a value equal to this, or to the value that this refers to", Argument::Equal),
    on_numbers(
        "$gt",
        "a number greater than this, or a value greater than the one that this refers to",
        Argument::Number(|at| Range::above(at, false), Comparison::Greater),
    ),
    on_numbers(
        "$gte",
        "a number greater than or equal to this, or such a value, compared with the one that this refers to",
        Argument::Number(|at| Range::above(at, true), Comparison::GreaterOrEqual),
    ),
    on_numbers(
        "$lt",
        "a number less than this, or a value less than the one that this refers to",
        Argument::Number(|at| Range::below(at, false), Comparison::Less),
    ),
    on_numbers(
        "$lte",
        "a number less than or equal to this, or such a value, compared with the one that this refers to",
        Argument::Number(|at| Range::below(at, true), Comparison::LessOrEqual),
    ),
    on_numbers("$between", "a number in this closed range, [low, high]", Argument::Bounds),
    entry("$includes", "an array with an element equal to this", Argument::Literal(Leaf::Includes)),
    entry("$size", "an array of this length", Argument::Length),
    entry("$some", "an array of which some element matches this", Argument::Some),
    entry("$every", "an array of which every element matches this", Argument::Every),
    entry("$exists", "whether the field is there, null counting as there", Argument::Boolean(Leaf::Exists)),
    entry("$isNull", "whether the field is null", Argument::Boolean(Leaf::IsNull)),
    on_numbers("$anythingBut", "anything that does not equal this, a missing field too", Argument::Excluded),
    on_numbers(
        "$not",
        "a scalar that differs from this, or an array without it",
        Argument::Literal(Leaf::Not),
    ),
    on_numbers("$all", "all of these conditions hold", Argument::All),
    on_numbers("$none", "none of these conditions holds", Argument::None),
];

/// The operator of this name.
pub(crate) fn find(name: &str) -> Option<&'static Operator> {
    const TABLE: &[Operator] = &OPERATORS;
    TABLE.iter().find(|operator| operator.name == name)
}
