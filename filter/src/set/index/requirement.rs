//! Rules, patterns and junctions, and the requirements that they consist of.

use std::num::NonZeroU8;
use std::sync::Arc;

use crate::set::store::List;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::set) enum RequirementKind {
    Predicate,
    Pattern,
    Junction,
}

/// The entry that is checked when a requirement holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::set) enum Dependent {
    Predicate,
    Pattern,
    Junction,
    Rule,
    /// A rule with no other requirement: it matches without a look at it.
    SingleRule,
}

/// A kind in the upper three bits of a word, an index in the rest.
const INDEX_BITS: u32 = 29;

fn pack(kind: u32, index: u32) -> u32 {
    assert!(index < 1 << INDEX_BITS, "invariant: fewer than 2²⁹ entries of a kind fit into memory");
    kind << INDEX_BITS | index
}

fn index(packed: u32) -> u32 {
    packed & ((1 << INDEX_BITS) - 1)
}

/// A dependent of a predicate or pattern, with one more of its requirements.
///
/// That requirement is checked first. It spares most dependents from being read in vain: in a large set hardly any
/// dependent is in the cache, while a requirement that many share is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::set) struct Posting {
    dependent: u32,
    other: Requirement,
}

/// The dependents of one predicate or pattern, or of every object at a node.
pub(in crate::set) type Postings = List<Posting, 2>;

impl Posting {
    pub(in crate::set) fn new(dependent: Dependent, index: u32, other: Option<Requirement>) -> Self {
        Self { dependent: pack(dependent as u32, index), other: other.unwrap_or(Requirement::NONE) }
    }

    #[inline]
    pub(in crate::set) fn dependent(self) -> (Dependent, u32) {
        let dependent = match self.dependent >> INDEX_BITS {
            0 => Dependent::Predicate,
            1 => Dependent::Pattern,
            2 => Dependent::Junction,
            3 => Dependent::Rule,
            _ => Dependent::SingleRule,
        };
        (dependent, index(self.dependent))
    }

    #[inline]
    pub(in crate::set) fn other(self) -> Option<Requirement> {
        (self.other != Requirement::NONE).then_some(self.other)
    }

    pub(in crate::set) fn has_dependent_of(self, other: Self) -> bool {
        self.dependent == other.dependent
    }
}

impl Default for Posting {
    fn default() -> Self {
        Self { dependent: 0, other: Requirement::NONE }
    }
}

/// A reference to a predicate, pattern or junction that must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::set) struct Requirement(u32);

impl Requirement {
    const NONE: Self = Self(u32::MAX);

    pub(in crate::set) fn new(kind: RequirementKind, index: u32) -> Self {
        Self(pack(kind as u32, index))
    }

    #[inline]
    pub(in crate::set) fn kind(self) -> RequirementKind {
        match self.0 >> INDEX_BITS {
            0 => RequirementKind::Predicate,
            1 => RequirementKind::Pattern,
            _ => RequirementKind::Junction,
        }
    }

    #[inline]
    pub(in crate::set) fn index(self) -> u32 {
        index(self.0)
    }

    pub(in crate::set) fn packed(self) -> u32 {
        self.0
    }
}

/// A position among the first 255 requirements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::set) struct Position(NonZeroU8);

impl Position {
    pub(in crate::set) fn new(index: usize) -> Option<Self> {
        u8::try_from(index + 1).ok().and_then(NonZeroU8::new).map(Self)
    }

    pub(in crate::set) fn index(self) -> usize {
        usize::from(self.0.get()) - 1
    }
}

/// Requirements in ascending order. Most patterns have few, so up to three are stored in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::set) enum Requirements {
    Few { len: u8, items: [Requirement; 3] },
    Many(Arc<Box<[Requirement]>>),
}

impl Default for Requirements {
    fn default() -> Self {
        Self::new(&[])
    }
}

impl Requirements {
    pub(in crate::set) fn new(requirements: &[Requirement]) -> Self {
        let mut items = [Requirement::NONE; 3];
        match (items.get_mut(..requirements.len()), u8::try_from(requirements.len())) {
            (Some(few), Ok(len)) => {
                few.copy_from_slice(requirements);
                Self::Few { len, items }
            }
            _ => Self::Many(Arc::new(requirements.into())),
        }
    }

    #[inline]
    fn as_slice(&self) -> &[Requirement] {
        match self {
            Self::Few { len, items } => items.get(..usize::from(*len)).unwrap_or_default(),
            Self::Many(items) => items,
        }
    }

    #[inline]
    pub(in crate::set) fn iter(&self) -> impl Iterator<Item = Requirement> {
        self.as_slice().iter().copied()
    }

    /// The requirement, if there is exactly one.
    pub(in crate::set) fn only(&self) -> Option<Requirement> {
        match *self.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    pub(in crate::set) fn get(&self, position: Position) -> Requirement {
        *self.as_slice().get(position.index()).expect("invariant: the access is one of the requirements")
    }

    pub(in crate::set) fn bytes(&self) -> usize {
        match self {
            Self::Few { .. } => 0,
            Self::Many(items) => size_of_val(&***items) + 4 * size_of::<usize>(),
        }
    }
}

/// The purpose of a pattern.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::set) enum PatternKind {
    /// It is a requirement on an object in the value of a field.
    #[default]
    Nested,
    /// The same, and it looks into arrays nested in arrays, as in the event-bridge dialect.
    Deep,
    /// It belongs to junctions on the same object.
    Alternative,
}

/// The requirements on one object. It fills one cache line: in a large set nearly every access is a cache miss.
#[derive(Clone, Debug, Default)]
#[repr(align(64))]
pub(in crate::set) struct Pattern {
    pub(in crate::set) requirements: Requirements,
    pub(in crate::set) postings: Postings,
    pub(in crate::set) object: u32,
    /// References from requirements and junctions.
    pub(in crate::set) uses: u32,
    /// References from requirements and from junctions with dependents: while there are any, the pattern is looked for and
    /// checks its dependents.
    pub(in crate::set) requirement_uses: u32,
    /// The requirement whose postings contain the pattern; see [`Index`](super::Index).
    pub(in crate::set) access: Option<Position>,
    pub(in crate::set) cost: u8,
    pub(in crate::set) kind: PatternKind,
    /// Whether it is an access with a [scope](super::scopes).
    pub(in crate::set) has_scope: bool,
    /// The number of the scoped predicate in place of the access, plus one.
    pub(in crate::set) scoped: u32,
    /// Whether it holds for an object without fields.
    pub(in crate::set) on_empty: bool,
}

const _: () = assert!(size_of::<Pattern>() == 64);

/// Patterns on one object of which any must hold, or none.
#[derive(Clone, Debug, Default)]
pub(in crate::set) struct Junction {
    pub(in crate::set) patterns: Arc<[u32]>,
    pub(in crate::set) uses: u32,
    /// `$or` if true, `$nor` if false.
    pub(in crate::set) any: bool,
    /// The dependents of which it is the access. While there are any, its patterns are looked for.
    pub(in crate::set) postings: Postings,
}

/// The requirements of one filter on an event. Two fill a cache line, and a set may have millions.
#[derive(Clone, Debug, Default)]
pub(in crate::set) struct Rule {
    pub(in crate::set) requirements: Requirements,
    order: PackedOrder,
    /// The number of the scoped predicate in place of the access, plus one.
    pub(in crate::set) scoped: u32,
    /// Its probable place in the postings of its access: many rules may have the same one. For a rule elsewhere, its number
    /// there.
    pub(in crate::set) place: u32,
}

const _: () = assert!(size_of::<Rule>() == 32);

/// A property of a rule.
#[derive(Clone, Copy)]
pub(in crate::set) enum Trait {
    /// It is posted nowhere, because another index finds it.
    Elsewhere = 1,
    /// It holds for an event without fields.
    OnEmpty = 2,
    /// It is `{}`, which holds for null too.
    Always = 4,
}

/// The order of insertion above the position of the access and three [traits](Trait).
#[derive(Clone, Copy, Debug, Default)]
struct PackedOrder(u64);

/// The bits of the traits, and those of traits and position.
const TRAITS: u32 = 3;
const LOW: u32 = TRAITS + u8::BITS;

impl PackedOrder {
    fn new(order: u64, access: Option<Position>) -> Self {
        assert!(order >> (u64::BITS - LOW) == 0, "invariant: no set lives for 2⁵³ insertions");
        let position = access.map_or(0, |Position(position)| position.get());
        Self(order << LOW | u64::from(position) << TRAITS)
    }

    fn access(self) -> Option<Position> {
        NonZeroU8::new((self.0 >> TRAITS) as u8).map(Position)
    }
}

impl Rule {
    pub(in crate::set) fn new(order: u64, requirements: Requirements, access: Option<Position>) -> Self {
        Self { requirements, order: PackedOrder::new(order, access), scoped: 0, place: 0 }
    }

    /// The same rule, with a trait if `has`.
    pub(in crate::set) fn with(mut self, one: Trait, has: bool) -> Self {
        self.order.0 |= if has { one as u64 } else { 0 };
        self
    }

    pub(in crate::set) fn is(&self, one: Trait) -> bool {
        self.order.0 & one as u64 != 0
    }

    /// A number that increases with the order of insertion.
    #[inline]
    pub(in crate::set) fn order(&self) -> u64 {
        self.order.0 >> LOW
    }

    /// The requirement whose postings contain the rule, if there is one.
    pub(in crate::set) fn access(&self) -> Option<Requirement> {
        Some(self.requirements.get(self.order.access()?))
    }

    pub(in crate::set) fn dependent(&self) -> Dependent {
        if self.requirements.only().is_some() && self.order.access().is_some() {
            Dependent::SingleRule
        } else {
            Dependent::Rule
        }
    }
}
