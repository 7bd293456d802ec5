//! What must hold together: rules, patterns, junctions, and their members.

use std::num::NonZeroU8;
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

/// Somebody who waits, with another thing that must hold for it.
///
/// Asking that first spares most who are woken in vain from being looked at: in a large set hardly any of them is in the
/// cache, while what many require is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wake {
    waiter: u32,
    other: Member,
}

/// Those who wait for one thing.
pub(super) type Wakes = List<Wake, 2>;

impl Wake {
    pub(super) fn new(waiter: Waiter, number: u32, other: Option<Member>) -> Self {
        Self { waiter: code(waiter as u32, number), other: other.unwrap_or(Member::NONE) }
    }

    #[inline]
    pub(super) fn waiter(self) -> (Waiter, u32) {
        let waiter = match self.waiter >> KIND {
            0 => Waiter::Fact,
            1 => Waiter::Pattern,
            2 => Waiter::Rule,
            _ => Waiter::WholeRule,
        };
        (waiter, number(self.waiter))
    }

    #[inline]
    pub(super) fn other(self) -> Option<Member> {
        (self.other != Member::NONE).then_some(self.other)
    }

    /// Whether the same waits.
    pub(super) fn is_of(self, other: Self) -> bool {
        self.waiter == other.waiter
    }
}

impl Default for Wake {
    fn default() -> Self {
        Self { waiter: 0, other: Member::NONE }
    }
}

/// One thing that must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Member(u32);

impl Member {
    /// What is no member.
    const NONE: Self = Self(u32::MAX);

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

/// Which of the members of something; of the first 255.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(NonZeroU8);

impl Place {
    pub(super) fn new(index: usize) -> Option<Self> {
        u8::try_from(index + 1).ok().and_then(NonZeroU8::new).map(Self)
    }

    pub(super) fn index(self) -> usize {
        usize::from(self.0.get()) - 1
    }
}

/// Members, in ascending order, in 16 bytes: most have few.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Members {
    Few { len: u8, members: [Member; 3] },
    Many(Arc<Box<[Member]>>),
}

impl Default for Members {
    fn default() -> Self {
        Self::new(&[])
    }
}

impl Members {
    pub(super) fn new(members: &[Member]) -> Self {
        let mut few = [Member::NONE; 3];
        match (few.get_mut(..members.len()), u8::try_from(members.len())) {
            (Some(place), Ok(len)) => {
                place.copy_from_slice(members);
                Self::Few { len, members: few }
            }
            _ => Self::Many(Arc::new(members.into())),
        }
    }

    #[inline]
    fn as_slice(&self) -> &[Member] {
        match self {
            Self::Few { len, members } => members.get(..usize::from(*len)).unwrap_or_default(),
            Self::Many(members) => members,
        }
    }

    #[inline]
    pub(super) fn iter(&self) -> impl Iterator<Item = Member> {
        self.as_slice().iter().copied()
    }

    /// The only one, if there is one and no more.
    pub(super) fn only(&self) -> Option<Member> {
        match *self.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    pub(super) fn get(&self, place: Place) -> Member {
        *self.as_slice().get(place.index()).expect("invariant: an access is one of its members")
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Few { .. } => 0,
            Self::Many(members) => size_of_val(&***members) + 4 * size_of::<usize>(),
        }
    }
}

/// What one object must be. In one line of the cache: in a large set hardly any is in it already.
#[derive(Clone, Debug, Default)]
#[repr(align(64))]
pub(super) struct Pattern {
    pub(super) members: Members,
    pub(super) wakes: Wakes,
    pub(super) level: u32,
    /// By how many members and junctions it is held.
    pub(super) uses: u32,
    /// By how many members: then it is found, and told to those who wait for it.
    pub(super) listed: u32,
    pub(super) access: Option<Place>,
    pub(super) cost: u8,
    /// Whether it looks into arrays in arrays: the reach of the event-bridge dialect.
    pub(super) deep: bool,
    /// Whether it holds for an object without fields.
    pub(super) on_empty: bool,
}

const _: () = assert!(size_of::<Pattern>() == 64);

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
    pub(super) access: Option<Place>,
    /// Whether it holds for an event without fields.
    pub(super) on_empty: bool,
    /// Whether it is `{}`, which holds for null too.
    pub(super) blank: bool,
}

impl Rule {
    /// How it waits.
    pub(super) fn waiter(&self) -> Waiter {
        // What one of its patterns waits for does not say that a junction holds.
        let whole = self.members.only().is_some_and(|only| only.kind() != Kind::Junction);
        if whole && self.access.is_some() { Waiter::WholeRule } else { Waiter::Rule }
    }
}
