//! The compiled program: the typed tree flattened into a few arrays.
//!
//! Everything an engine follows is an index, what belongs together lies together, and each field name is there once. The
//! program has no boxes to chase and nothing of the text, so a walk over it touches little memory; and because names
//! have numbers, an engine can prepare tables by name.
//!
//! ```text
//!  patterns ──► members ──► node ──► conditions ──► tests ──► leaf
//!     ▲            │          │                       │
//!     └─ junction ─┘          └── nested ── pattern   └── some, every, all, none: back to conditions or patterns
//! ```
//!
//! Invariant: whatever an index or range points to comes from the same program, and a pattern or condition only refers to
//! ones that lie deeper in the tree it was made from; so every walk ends, at most [`Limits::depth`] levels down.
//!
//! [`Limits::depth`]: crate::Limits::depth

use std::marker::PhantomData;
use std::ops::Index;

use smallvec::SmallVec;

use crate::ast::Junction;
use crate::ops::Leaf;

/// A filter, compiled.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Program {
    pub(crate) names: Names,
    pub(crate) patterns: Arena<Pattern>,
    pub(crate) members: Arena<Member>,
    pub(crate) conditions: Arena<Condition>,
    pub(crate) tests: Arena<Test>,
    pub(crate) leaves: Arena<Leaf>,
    pub(crate) root: Id<Pattern>,
}

/// All members must hold.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pattern {
    pub(crate) members: Run<Member>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Member {
    Field { name: NameId, node: Node },
    Junction { kind: Junction, patterns: Run<Pattern> },
}

/// What a field must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Node {
    /// Any of the conditions holds for the value.
    Any(Run<Condition>),
    /// All do; none at all always hold.
    All(Run<Condition>),
    /// Any condition holds for any scalar that the value is or holds in arrays; `absent`: the answer if there is none.
    Scalars { conditions: Run<Condition>, absent: bool },
    /// The pattern holds for the value, or for some element.
    Nested(Id<Pattern>),
    /// The same by the event-bridge dialect's rule; `absent`: the answer for an object without fields.
    NestedScalars { pattern: Id<Pattern>, absent: bool },
}

/// All tests hold for the same value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Condition {
    pub(crate) tests: Run<Test>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Test {
    Leaf(Id<Leaf>),
    /// The length of an array passes all tests.
    Size(Run<Test>),
    Some(Judge),
    Every(Judge),
    All(Run<Condition>),
    None(Run<Condition>),
    /// Not all tests hold.
    But(Run<Test>),
    /// None of the leaves holds for a scalar.
    NoneOf(Run<Leaf>),
}

/// What elements of an array are held against.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Judge {
    Pattern(Id<Pattern>),
    Any(Run<Condition>),
}

/// The number of a field name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NameId(pub(crate) u32);

/// The names of fields, one after the other in one text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Names {
    text: String,
    /// Where each ends.
    ends: SmallVec<[u32; 4]>,
}

impl Names {
    /// With room for what most filters name.
    pub(crate) fn new() -> Self {
        Self { text: String::with_capacity(32), ends: SmallVec::new() }
    }

    pub(crate) fn add(&mut self, name: &str) -> NameId {
        let id = NameId(u32::try_from(self.ends.len()).expect("invariant: a filter's text is bounded"));
        self.text.push_str(name);
        self.ends.push(u32::try_from(self.text.len()).expect("invariant: a filter's text is bounded"));
        id
    }

    pub(crate) fn get(&self, NameId(number): NameId) -> &str {
        let ends = self.ends.as_slice();
        let start = number.checked_sub(1).map_or(0, |before| ends[before as usize]);
        &self.text[start as usize..ends[number as usize] as usize]
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (NameId, &str)> {
        (0..).take(self.len()).map(|number| (NameId(number), self.get(NameId(number))))
    }

    /// The memory that they take, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let ends = if self.ends.spilled() { self.ends.capacity() * size_of::<u32>() } else { 0 };
        self.text.capacity() + ends
    }
}

/// The place of a `T` in its arena.
pub(crate) struct Id<T>(u32, PhantomData<fn() -> T>);

/// Neighbouring `T`s in their arena.
pub(crate) struct Run<T>(u32, u32, PhantomData<fn() -> T>);

/// All `T`s of a program.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Arena<T: Part>(SmallVec<T::Few>);

/// What a program has arenas of.
pub(crate) trait Part: Sized {
    /// So many take no memory of their own: what a filter of two fields that are strings has, the commonest in large sets.
    type Few: smallvec::Array<Item = Self>;
}

impl Part for Pattern {
    type Few = [Self; 2];
}

impl Part for Member {
    type Few = [Self; 3];
}

impl Part for Condition {
    type Few = [Self; 2];
}

impl Part for Test {
    type Few = [Self; 2];
}

impl Part for Leaf {
    type Few = [Self; 2];
}

impl Program {
    pub(crate) fn name(&self, id: NameId) -> &str {
        self.names.get(id)
    }
}

impl<T: Part> Arena<T> {
    pub(crate) fn new(mut items: SmallVec<T::Few>) -> Self {
        // A few items too many are cheaper than moving those there are.
        if items.capacity() > 4 * items.len().max(1) {
            items.shrink_to_fit();
        }
        Self(items)
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }

    /// The memory that the items take beside the arena, in bytes, without what they own.
    pub(crate) fn bytes(&self) -> usize {
        if self.0.spilled() { self.0.capacity() * size_of::<T>() } else { 0 }
    }
}

impl<T: Part> Index<Id<T>> for Arena<T> {
    type Output = T;

    fn index(&self, id: Id<T>) -> &T {
        &self.0[id.0 as usize]
    }
}

impl<T: Part> Index<Run<T>> for Arena<T> {
    type Output = [T];

    fn index(&self, run: Run<T>) -> &[T] {
        &self.0[run.0 as usize..run.1 as usize]
    }
}

impl<T> Id<T> {
    pub(crate) fn new(index: u32) -> Self {
        Self(index, PhantomData)
    }
}

impl<T> Run<T> {
    pub(crate) fn new(start: u32, end: u32) -> Self {
        Self(start, end, PhantomData)
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == self.1
    }
}

// Derived, these would ask the same of `T`.

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Id<T> {}

impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> std::fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{}", self.0)
    }
}

impl<T> Clone for Run<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Run<T> {}

impl<T> PartialEq for Run<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}

impl<T> std::fmt::Debug for Run<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{}..#{}", self.0, self.1)
    }
}
