//! The compiled program: the typed tree flattened into a few arrays.
//!
//! Parts refer to each other by index, parts of one run are adjacent, and each field name is stored once. Without boxes a walk
//! touches little memory, and because names have numbers an engine can prepare tables by name.
//!
//! ```text
//!  patterns ──► members ──► node ──► conditions ──► tests ──► leaf
//!     ▲            │          │                       │
//!     └─ junction ─┘          └── nested ── pattern   └── some, every, all, none: back to conditions or patterns
//! ```
//!
//! The root is a pattern, or conditions on the event itself.
//!
//! Invariant: an index or run refers to the same program, and a pattern or condition refers only to ones deeper in its tree.
//! So every walk ends, at most [`Limits::depth`] levels down.
//!
//! [`Limits::depth`]: crate::Limits::depth

use std::fmt;
use std::marker::PhantomData;
use std::ops::Index;

use smallvec::SmallVec;

use crate::ast::Junction;
use crate::ops::{Leaf, Reference};

/// A filter, compiled.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Program {
    pub(crate) names: Names,
    pub(crate) patterns: Arena<Pattern>,
    pub(crate) members: Arena<Member>,
    pub(crate) conditions: Arena<Condition>,
    pub(crate) tests: Arena<Test>,
    pub(crate) leaves: Arena<Leaf>,
    pub(crate) references: Arena<Reference>,
    /// The condition on the event.
    pub(crate) root: Judge,
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

/// The condition on a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Node {
    /// Any of the conditions holds for the value.
    Any(Run<Condition>),
    /// All of the conditions hold; an empty run always holds.
    All(Run<Condition>),
    /// Any condition holds for any scalar that the value is or has in arrays; `absent`: the answer without a scalar.
    Scalars { conditions: Run<Condition>, absent: bool },
    /// The pattern holds for the value, or for some element of an array.
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
    /// A comparison with another value of the event.
    Reference(Id<Reference>),
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

/// The condition on an element of an array, or on the event itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Judge {
    Pattern(Id<Pattern>),
    Any(Run<Condition>),
}

/// The number of a field name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NameId(pub(crate) u32);

/// The names of fields, concatenated.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Names {
    text: String,
    /// The end of each name.
    ends: SmallVec<[u32; 4]>,
}

impl Names {
    /// With room for the names of most filters.
    pub(crate) fn new() -> Self {
        Self { text: String::with_capacity(32), ends: SmallVec::new() }
    }

    pub(crate) fn add(&mut self, name: &str) -> NameId {
        let id = NameId(u32::try_from(self.ends.len()).expect("invariant: a filter's text is bounded"));
        self.text.push_str(name);
        self.ends.push(u32::try_from(self.text.len()).expect("invariant: a filter's text is bounded"));
        id
    }

    #[inline]
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

    /// The memory outside this struct, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let ends = if self.ends.spilled() { self.ends.capacity() * size_of::<u32>() } else { 0 };
        self.text.capacity() + ends
    }
}

/// The index of a `T` in its arena.
pub(crate) struct Id<T>(u32, PhantomData<fn() -> T>);

/// Adjacent `T`s in their arena.
pub(crate) struct Run<T>(u32, u32, PhantomData<fn() -> T>);

/// All `T`s of a program.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Arena<T: Part>(SmallVec<T::Few>);

/// An item of an arena.
pub(crate) trait Part: Sized {
    /// The items that an arena holds without an allocation: enough for a filter of two fields that are strings, the most
    /// frequent one in large sets.
    type Few: smallvec::Array<Item = Self>;
}

macro_rules! parts {
    ($($part:ident: $few:literal,)+) => {
        $(impl Part for $part {
            type Few = [Self; $few];
        })+
    };
}

parts! {
    Pattern: 2,
    Member: 3,
    Condition: 2,
    Test: 2,
    Leaf: 2,
    Reference: 0,
}

impl Program {
    /// A program without parts, to be filled and then [finished](Self::finish).
    pub(crate) fn empty() -> Self {
        Self {
            names: Names::new(),
            patterns: Arena::default(),
            members: Arena::default(),
            conditions: Arena::default(),
            tests: Arena::default(),
            leaves: Arena::default(),
            references: Arena::default(),
            root: Judge::Pattern(Id::new(0)),
        }
    }

    /// Finishes the program with a root pattern. In place, since moving a program takes as long as reading a small filter.
    pub(crate) fn finish(&mut self, root: Pattern) {
        let root = self.patterns.add(root);
        self.finish_with(Judge::Pattern(root));
    }

    /// Finishes the program with its root.
    pub(crate) fn finish_with(&mut self, root: Judge) {
        self.root = root;
        self.patterns.shrink();
        self.members.shrink();
        self.conditions.shrink();
        self.tests.shrink();
        self.leaves.shrink();
    }

    pub(crate) fn name(&self, id: NameId) -> &str {
        self.names.get(id)
    }

    /// The operator of a test that is nothing else.
    pub(crate) fn leaf(&self, test: &Test) -> Option<&Leaf> {
        match *test {
            Test::Leaf(id) => Some(&self.leaves[id]),
            _ => None,
        }
    }

    /// The operator of tests that are nothing else.
    pub(crate) fn only_leaf(&self, tests: Run<Test>) -> Option<&Leaf> {
        match &self.tests[tests] {
            [only] => self.leaf(only),
            _ => None,
        }
    }

    /// The memory of the parts outside this struct, in bytes, without what they own.
    pub(crate) fn bytes(&self) -> usize {
        self.names.bytes()
            + self.patterns.bytes()
            + self.members.bytes()
            + self.conditions.bytes()
            + self.tests.bytes()
            + self.leaves.bytes()
            + self.references.bytes()
    }
}

impl<T: Part> Default for Arena<T> {
    fn default() -> Self {
        Self(SmallVec::new())
    }
}

impl<T: Part> Arena<T> {
    pub(crate) fn add(&mut self, item: T) -> Id<T> {
        let id = Id::new(index(self.0.len()));
        self.0.push(item);
        id
    }

    /// A run of one.
    pub(crate) fn one(&mut self, item: T) -> Run<T> {
        let start = index(self.0.len());
        self.0.push(item);
        Run::new(start, start + 1)
    }

    pub(crate) fn extend_from_slice(&mut self, items: &[T]) -> Run<T>
    where
        T: Copy,
    {
        let start = index(self.0.len());
        self.0.extend_from_slice(items);
        Run::new(start, index(self.0.len()))
    }

    pub(crate) fn extend(&mut self, items: impl IntoIterator<Item = T>) -> Run<T> {
        let start = index(self.0.len());
        self.0.extend(items);
        Run::new(start, index(self.0.len()))
    }

    /// Gives back unused memory, unless it is little: moving the items costs more then.
    fn shrink(&mut self) {
        if self.0.capacity() > 4 * self.0.len().max(1) {
            self.0.shrink_to_fit();
        }
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The memory of the items outside this struct, in bytes, without what they own.
    fn bytes(&self) -> usize {
        if self.0.spilled() { self.0.capacity() * size_of::<T>() } else { 0 }
    }
}

fn index(length: usize) -> u32 {
    u32::try_from(length).expect("invariant: a filter's nodes were counted before it was compiled")
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

    /// The position in the arena.
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

impl<T> Run<T> {
    pub(crate) fn new(start: u32, end: u32) -> Self {
        Self(start, end, PhantomData)
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == self.1
    }

    /// A run for each of the parts.
    pub(crate) fn each(self) -> impl Iterator<Item = Self> {
        (self.0..self.1).map(|start| Self::new(start, start + 1))
    }
}

// Derived implementations would require the same of `T`.
macro_rules! of_any_part {
    ($($name:ident { $($number:tt),+ } $form:literal,)+) => {
        $(impl<T> Clone for $name<T> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<T> Copy for $name<T> {}

        impl<T> PartialEq for $name<T> {
            fn eq(&self, other: &Self) -> bool {
                ($(self.$number,)+) == ($(other.$number,)+)
            }
        }

        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, $form, $(self.$number),+)
            }
        })+
    };
}

of_any_part! {
    Id { 0 } "#{}",
    Run { 0, 1 } "#{}..#{}",
}
