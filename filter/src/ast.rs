//! The typed tree: what a filter says, in any dialect, before it is flattened.
//!
//! Every dialect reads into this one tree, so everything behind it (warnings, compilation, conversion) exists once. Where
//! dialects differ in meaning the tree says which meaning is meant ([`Reach`], [`Quantifier`]); it never says which
//! dialect. Arguments are already prepared ([`Leaf`]), since preparing is what finds invalid ones.

use crate::diagnostic::Span;
use crate::ops::Leaf;

/// An object of members, all of which must hold.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    pub(crate) members: Vec<Member>,
}

/// One member of a pattern.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// The key as it was written, escapes included.
    pub(crate) key: String,
    pub(crate) span: Option<Span>,
    pub(crate) kind: MemberKind,
}

#[derive(Clone, Debug)]
pub(crate) enum MemberKind {
    Field { name: String, node: Node },
    Junction { kind: Junction, patterns: Vec<Pattern> },
}

/// How several patterns on one object combine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Junction {
    Or,
    And,
    Nor,
}

/// What a field must be.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    Conditions(Conditions),
    Nested { reach: Reach, pattern: Pattern },
}

/// Conditions on one value.
#[derive(Clone, Debug)]
pub(crate) struct Conditions {
    pub(crate) quantifier: Quantifier,
    pub(crate) reach: Reach,
    /// Whether they were written as an array; a single one need not be.
    pub(crate) listed: bool,
    pub(crate) items: Vec<Condition>,
}

/// How many of several conditions must hold. None at all satisfy `All`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quantifier {
    Any,
    All,
}

/// What of a value is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The value itself.
    Value,
    /// Each scalar that it is or holds in arrays: the rule of the event-bridge dialect.
    Scalars,
}

/// A literal, or tests that must all hold on the same value.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    pub(crate) span: Option<Span>,
    /// A literal is one test for equality, without a key.
    pub(crate) tests: Vec<Test>,
}

/// One operator with its argument.
#[derive(Clone, Debug)]
pub(crate) struct Test {
    /// The operator as it was written; empty for a literal.
    pub(crate) key: String,
    pub(crate) span: Option<Span>,
    pub(crate) kind: TestKind,
}

#[derive(Clone, Debug)]
pub(crate) enum TestKind {
    Leaf(Leaf),
    /// The length of an array, as a number, passes all of these.
    Size(Vec<Test>),
    Some(Judge),
    Every(Judge),
    All(Vec<Condition>),
    None(Vec<Condition>),
    /// Not all of these hold.
    But(Vec<Test>),
    /// None of these holds for a scalar. Unlike `None` it is only ever asked about scalars.
    NoneOf(Vec<Leaf>),
}

/// What elements of an array are held against.
#[derive(Clone, Debug)]
pub(crate) enum Judge {
    Pattern(Pattern),
    /// Any of them.
    Conditions {
        listed: bool,
        items: Vec<Condition>,
    },
}
