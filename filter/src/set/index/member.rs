//! What must hold together: rules, patterns, junctions, and their members.

use std::sync::Arc;

use crate::set::store::List;

/// What can be a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Fact,
    Pattern,
    Junction,
}

/// Who waits for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiter {
    Fact,
    Pattern,
    Rule,
    /// A rule that requires nothing else, and needs not be looked at.
    WholeRule,
}

const KIND: u32 = 30;

fn code(kind: u32, number: u32) -> u32 {
    assert!(number < 1 << KIND, "invariant: fewer than 2³⁰ parts of a kind fit into memory");
    kind << KIND | number
}

fn number(code: u32) -> u32 {
    code & ((1 << KIND) - 1)
}

impl Waiter {
    /// Kind and number in one, as lists of whom to wake have them.
    pub(super) fn wake(self, number: u32) -> u32 {
        code(self as u32, number)
    }

    #[inline]
    pub(super) fn of(wake: u32) -> (Self, u32) {
        let waiter = match wake >> KIND {
            0 => Self::Fact,
            1 => Self::Pattern,
            2 => Self::Rule,
            _ => Self::WholeRule,
        };
        (waiter, number(wake))
    }
}

/// One thing that must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Member(u32);

impl Member {
    pub(super) fn new(kind: Kind, number: u32) -> Self {
        Self(code(kind as u32, number))
    }

    #[inline]
    pub(super) fn kind(self) -> Kind {
        match self.0 >> KIND {
            0 => Kind::Fact,
            1 => Kind::Pattern,
            _ => Kind::Junction,
        }
    }

    #[inline]
    pub(super) fn number(self) -> u32 {
        number(self.0)
    }

    pub(super) fn code(self) -> u32 {
        self.0
    }
}

/// Members, in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Members(List);

impl Members {
    pub(super) fn new(members: &[Member]) -> Self {
        Self(members.iter().map(|member| member.0).collect())
    }

    #[inline]
    pub(super) fn iter(&self) -> impl Iterator<Item = Member> {
        self.0.as_slice().iter().map(|&code| Member(code))
    }

    /// The only one, if there is one and no more.
    pub(super) fn only(&self) -> Option<Member> {
        match self.0.as_slice() {
            &[only] => Some(Member(only)),
            _ => None,
        }
    }

    pub(super) fn get(&self, place: u8) -> Member {
        Member(
            *self.0.as_slice().get(usize::from(place)).expect("invariant: an access is one of its members"),
        )
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.bytes()
    }
}

/// What one object must be. In one line of the cache: in a large set hardly any is in it already.
#[derive(Clone, Debug, Default)]
#[repr(align(64))]
pub(super) struct Pattern {
    pub(super) members: Members,
    pub(super) wakes: List,
    pub(super) level: u32,
    /// By how many members and junctions it is held.
    pub(super) uses: u32,
    /// By how many members: then it is found, and told to those who wait for it.
    pub(super) listed: u32,
    pub(super) access: Option<u8>,
    pub(super) cost: u8,
    /// Whether it looks into arrays in arrays: the reach of the event-bridge dialect.
    pub(super) deep: bool,
    /// Whether it holds for an object without fields.
    pub(super) on_empty: bool,
}

/// Patterns on one object of which any must hold, or none.
#[derive(Clone, Debug, Default)]
pub(super) struct Junction {
    pub(super) patterns: Arc<[u32]>,
    pub(super) uses: u32,
    pub(super) any: bool,
}

/// What an event must be.
#[derive(Clone, Debug, Default)]
pub(super) struct Rule {
    pub(super) members: Members,
    pub(super) order: u64,
    pub(super) access: Option<u8>,
    /// Whether it holds for an event without fields.
    pub(super) on_empty: bool,
    /// Whether it is `{}`, which holds for null too.
    pub(super) blank: bool,
}

impl Rule {
    /// How it waits.
    pub(super) fn wake(&self, number: u32) -> u32 {
        // What one of its patterns waits for does not say that a junction holds.
        let whole = self.members.only().is_some_and(|only| only.kind() != Kind::Junction);
        if whole && self.access.is_some() { Waiter::WholeRule } else { Waiter::Rule }.wake(number)
    }
}
