//! The typed tree of a filter, the same for all dialects, before compilation.
//!
//! Every dialect reads into this tree, so warnings, compilation and conversion exist once. Where dialects differ in
//! meaning the tree records the meaning ([`Reach`], [`Quantifier`]), never the dialect. Arguments are already prepared
//! ([`Leaf`]), since preparing them finds the invalid ones; keys and names borrow from the JSON nodes.

use crate::diagnostic::Span;
use crate::ops::{Leaf, Literal, Reference};

/// An object of members, all of which must hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pattern<'n> {
    pub(crate) members: Vec<Member<'n>>,
    /// Whether the pattern holds for an object without fields, under [`Reach::Scalars`]. Stored, since computing it on
    /// demand at each level of nesting would take quadratic time.
    pub(crate) holds_without_fields: bool,
}

impl<'n> Pattern<'n> {
    pub(crate) fn new(members: Vec<Member<'n>>) -> Self {
        let holds_without_fields = members.iter().all(|member| match &member.kind {
            MemberKind::Field { node: Node::Conditions(conditions), .. } => {
                hold_if_missing(&conditions.items)
            }
            MemberKind::Field { node: Node::Nested { pattern, .. }, .. } => pattern.holds_without_fields,
            MemberKind::Junction { kind, patterns } => {
                kind.holds(patterns.iter().map(|pattern| pattern.holds_without_fields))
            }
        });
        Self { members, holds_without_fields }
    }
}

/// One member of a pattern.
#[derive(Clone, Debug)]
pub(crate) struct Member<'n> {
    /// The key as it was written, escapes included.
    pub(crate) key: &'n str,
    pub(crate) span: Option<Span>,
    pub(crate) kind: MemberKind<'n>,
}

#[derive(Clone, Debug)]
pub(crate) enum MemberKind<'n> {
    Field { name: &'n str, node: Node<'n> },
    Junction { kind: Junction, patterns: Vec<Pattern<'n>> },
}

/// How several patterns on one object combine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Junction {
    Or,
    And,
    Nor,
}

impl Junction {
    /// Whether it holds, by whether each pattern does; no more are asked than needed.
    #[inline]
    pub(crate) fn holds(self, mut each: impl Iterator<Item = bool>) -> bool {
        match self {
            Self::Or => each.any(|holds| holds),
            Self::And => each.all(|holds| holds),
            Self::Nor => !each.any(|holds| holds),
        }
    }
}

/// The condition on a field.
#[derive(Clone, Debug)]
pub(crate) enum Node<'n> {
    Conditions(Conditions<'n>),
    Nested { reach: Reach, pattern: Pattern<'n> },
}

/// Conditions on one value.
#[derive(Clone, Debug)]
pub(crate) struct Conditions<'n> {
    pub(crate) quantifier: Quantifier,
    pub(crate) reach: Reach,
    /// Whether they were written as an array; a single condition need not be.
    pub(crate) listed: bool,
    pub(crate) items: Vec<Condition<'n>>,
}

/// Whether conditions hold for a missing field, under [`Reach::Scalars`]: only a test for absence does.
pub(crate) fn hold_if_missing(items: &[Condition<'_>]) -> bool {
    let absence = |test: &Test<'_>| matches!(test.kind, TestKind::Leaf(Leaf::Exists(false)));
    items.iter().any(|condition| condition.tests.iter().any(absence))
}

/// How many of several conditions must hold. An empty list satisfies `All`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quantifier {
    Any,
    All,
}

/// The part of a value that conditions are applied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The value itself.
    Value,
    /// Each scalar in the value, also in nested arrays: the rule of the event-bridge dialect.
    Scalars,
}

/// A literal, or tests that must all hold on the same value.
#[derive(Clone, Debug)]
pub(crate) struct Condition<'n> {
    pub(crate) span: Option<Span>,
    /// A literal is one test for equality, without a key.
    pub(crate) tests: Vec<Test<'n>>,
}

impl Condition<'_> {
    /// The literal that a value has to equal, if it is only that.
    pub(crate) fn literal(&self) -> Option<&Literal> {
        match self.tests.as_slice() {
            [Test { kind: TestKind::Leaf(Leaf::Equals(literal)), .. }] => Some(literal),
            _ => None,
        }
    }
}

impl<'n> Judge<'n> {
    /// The pattern; an empty one in place of conditions, which only the native dialect has on events.
    pub(crate) fn into_pattern(self) -> Pattern<'n> {
        match self {
            Self::Pattern(pattern) => pattern,
            Self::Conditions { .. } => Pattern::default(),
        }
    }
}

/// One operator with its argument.
#[derive(Clone, Debug)]
pub(crate) struct Test<'n> {
    /// The operator as it was written; empty for a literal.
    pub(crate) key: &'n str,
    pub(crate) span: Option<Span>,
    pub(crate) kind: TestKind<'n>,
}

#[derive(Clone, Debug)]
pub(crate) enum TestKind<'n> {
    Leaf(Leaf),
    /// A comparison with another value of the event.
    Reference(Reference),
    /// Operators that ignore case; all hold.
    IgnoreCase(Vec<Test<'n>>),
    /// The length of an array, as a number, passes all of these.
    Size(Vec<Test<'n>>),
    Some(Judge<'n>),
    Every(Judge<'n>),
    All(Vec<Condition<'n>>),
    None(Vec<Condition<'n>>),
    /// Not all of these hold.
    But(Vec<Test<'n>>),
    /// None of these holds for a scalar. Unlike `None`, applied to scalars only.
    NoneOf(Vec<Leaf>),
}

/// The condition on an element of an array, or on the event itself.
#[derive(Clone, Debug)]
pub(crate) enum Judge<'n> {
    Pattern(Pattern<'n>),
    /// Any of them.
    Conditions {
        listed: bool,
        items: Vec<Condition<'n>>,
    },
}
