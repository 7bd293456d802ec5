//! Predicates: conditions on the value of one field.
//!
//! Equal conditions on the same field share one predicate, however many filters contain them, and are evaluated once per
//! object. A simple predicate is a [key](Key): a hash lookup of the value finds it. Each other predicate is found through
//! keys that hold whenever it holds; module `plan` chooses them.

use std::sync::Arc;

use super::requirement::Postings;
use crate::compile::copy::Fragment;
use crate::matcher::evaluate::{holds, scalars};
use crate::matcher::{Shape, Subject};
use crate::ops::{Cidr, Leaf, Literal, Num, View};
use crate::set::store::Text;

/// A condition on the value of a field. It fills one cache line: in a large set nearly every access is a cache miss.
#[derive(Clone, Debug, Default)]
#[repr(align(64))]
pub(in crate::set) struct Predicate {
    pub(in crate::set) field: u32,
    /// References from patterns, rules and predicates that are found through this one.
    pub(in crate::set) uses: u32,
    /// The expected frequency with which it holds; see `plan`.
    pub(in crate::set) cost: u8,
    /// Whether it applies to every scalar in an array, nested arrays included, as in the event-bridge dialect.
    pub(in crate::set) deep: bool,
    /// Whether it holds for a missing field.
    pub(in crate::set) on_missing: bool,
    /// Whether it is an access with a [scope](super::scopes).
    pub(in crate::set) has_scope: bool,
    pub(in crate::set) leads: LeadsOf,
    pub(in crate::set) test: Test,
    /// The dependents to check when it holds.
    pub(in crate::set) postings: Postings,
}

const _: () = assert!(size_of::<Predicate>() == 64);

/// The number of a predicate's [leads](super::leads), if it is found by keys of others, and whether each of them is enough.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::set) struct LeadsOf(u32);

impl LeadsOf {
    pub(super) fn new(number: u32, exact: bool) -> Self {
        Self((number + 1) << 1 | u32::from(exact))
    }

    pub(super) fn number(self) -> Option<u32> {
        (self.0 >> 1).checked_sub(1)
    }

    /// Whether the predicate holds for each value that one of its keys has led to it.
    #[inline]
    pub(in crate::set) fn are_exact(self) -> bool {
        self.0 & 1 == 1
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(in crate::set) enum Test {
    /// A key's [tag](Tag) and its payload.
    Key(Text),
    Leaf(Box<Leaf>),
    Node(Arc<Fragment>),
}

impl Default for Test {
    fn default() -> Self {
        Self::Key(Text::default())
    }
}

impl Test {
    pub(in crate::set) fn of_key(tag: Tag, payload: &[u8]) -> Self {
        Self::Key(Text::of_both(&[tag.0], payload))
    }

    pub(in crate::set) fn key(&self) -> Option<(Tag, &[u8])> {
        match self {
            Self::Key(text) => text.as_bytes().split_first().map(|(&tag, payload)| (Tag(tag), payload)),
            Self::Leaf(_) | Self::Node(_) => None,
        }
    }

    /// Heap memory in bytes.
    pub(in crate::set) fn bytes(&self) -> usize {
        match self {
            Self::Key(text) => text.bytes(),
            Self::Leaf(_) => size_of::<Leaf>(),
            Self::Node(fragment) => fragment.bytes(),
        }
    }
}

impl Predicate {
    pub(in crate::set) fn holds_for_missing(&self) -> bool {
        match &self.test {
            Test::Key(_) => false,
            Test::Leaf(leaf) => !self.deep && leaf.holds(View::Missing),
            Test::Node(fragment) => fragment.holds::<&serde_json::Value>(None),
        }
    }

    pub(in crate::set) fn holds_for<V: Subject>(&self, value: V) -> bool {
        match value.shape() {
            Shape::Null | Shape::Scalar => value.with_view(|view| self.holds_for_scalar(view)),
            Shape::Object | Shape::Array(_) => match &self.test {
                Test::Node(fragment) => fragment.holds(Some(value)),
                _ if self.deep => {
                    scalars(Some(value)).any(|scalar| scalar.with_view(|view| self.holds_for_scalar(view)))
                }
                Test::Leaf(leaf) => holds(leaf, Some(value)),
                Test::Key(_) => match value.shape() {
                    Shape::Array(items) => self.key_holds_for_array::<V>(items),
                    _ => false,
                },
            },
        }
    }

    /// The keys that are conditions on an array as a whole: that it is one, or its length.
    fn key_holds_for_array<V: Subject>(&self, items: V::Elements) -> bool {
        self.test.key().is_some_and(|(tag, payload)| match tag {
            Tag::ANY_ARRAY => true,
            tag if tag == Tag::NUMBER.length() => number_bytes(Num::from_usize(items.count())) == *payload,
            _ => false,
        })
    }

    #[inline]
    pub(in crate::set) fn holds_for_scalar(&self, view: View<'_>) -> bool {
        match &self.test {
            Test::Key(_) => self.test.key().is_some_and(|(tag, payload)| key_holds(tag, payload, view)),
            Test::Leaf(leaf) => leaf.holds(view),
            Test::Node(fragment) => fragment.holds_for_scalar(view),
        }
    }
}

/// The kind of a key and the kind of values that are looked up by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::set) struct Tag(pub(in crate::set) u8);

impl Tag {
    // The key is the whole condition.
    pub(in crate::set) const TEXT: Self = Self(0);
    pub(in crate::set) const NUMBER: Self = Self(1);
    pub(in crate::set) const TRUE: Self = Self(2);
    pub(in crate::set) const FALSE: Self = Self(3);
    pub(in crate::set) const NULL: Self = Self(4);
    pub(in crate::set) const PREFIX: Self = Self(5);
    pub(in crate::set) const SUFFIX: Self = Self(6);
    // The key only leads to predicates that have to be evaluated.
    /// The text under simple case folding.
    pub(in crate::set) const FOLDED: Self = Self(7);
    /// Up to four consecutive bytes of the text.
    pub(in crate::set) const GRAM: Self = Self(8);
    /// Printable ASCII in lower case.
    pub(in crate::set) const LOWER: Self = Self(9);
    /// A text with a character other than printable ASCII.
    pub(in crate::set) const EXOTIC: Self = Self(10);
    pub(in crate::set) const ANY_TEXT: Self = Self(11);
    pub(in crate::set) const CIDR_V4: Self = Self(12);
    pub(in crate::set) const CIDR_V6: Self = Self(13);
    /// A range of numbers; see `ranges`.
    pub(in crate::set) const RANGE: Self = Self(14);
    pub(in crate::set) const ANY_ARRAY: Self = Self(15);
    pub(in crate::set) const PRESENT: Self = Self(16);
    // Parts of the text under simple case folding.
    pub(in crate::set) const FOLDED_PREFIX: Self = Self(17);
    pub(in crate::set) const FOLDED_SUFFIX: Self = Self(18);
    pub(in crate::set) const FOLDED_GRAM: Self = Self(19);
    /// A range of moments; see `ranges`.
    pub(in crate::set) const TIME: Self = Self(20);

    const LENGTH: u8 = 0x20;
    const DEEP: u8 = 0x40;
    const ELEMENT: u8 = 0x80;

    /// The same key, looked up for every scalar in an array too.
    pub(in crate::set) fn deep(self, deep: bool) -> Self {
        if deep { Self(self.0 | Self::DEEP) } else { self }
    }

    /// The same key, looked up for the elements of an array only.
    pub(in crate::set) fn element(self) -> Self {
        Self(self.0 | Self::ELEMENT)
    }

    /// The same key, looked up for the length of an array only.
    pub(in crate::set) fn length(self) -> Self {
        Self(self.0 | Self::LENGTH)
    }

    pub(in crate::set) fn is_length(self) -> bool {
        self.0 & Self::LENGTH != 0
    }

    pub(in crate::set) fn is_deep(self) -> bool {
        self.0 & Self::DEEP != 0
    }

    pub(in crate::set) fn is_element(self) -> bool {
        self.0 & Self::ELEMENT != 0
    }

    /// Whether it is looked up for the value itself, not only for what an array contains.
    pub(in crate::set) fn is_own(self) -> bool {
        self.0 & (Self::ELEMENT | Self::LENGTH) == 0
    }

    /// Whether the key is a range, found by the values in it.
    pub(in crate::set) fn is_range(self) -> bool {
        matches!(self.kind(), Self::RANGE | Self::TIME)
    }

    /// Whether a value has many keys of this kind.
    pub(in crate::set) fn is_gram(self) -> bool {
        matches!(self.kind(), Self::GRAM | Self::FOLDED_GRAM)
    }

    /// Whether texts are looked up under case folding.
    pub(in crate::set) fn is_folded(self) -> bool {
        matches!(self.kind(), Self::FOLDED | Self::FOLDED_PREFIX | Self::FOLDED_SUFFIX | Self::FOLDED_GRAM)
    }

    /// The tag without the flags for arrays.
    pub(in crate::set) fn kind(self) -> Self {
        Self(self.0 & !(Self::DEEP | Self::ELEMENT | Self::LENGTH))
    }

    pub(in crate::set) fn name(self) -> &'static str {
        match self.kind() {
            _ if self.is_length() => "length of an array",
            Self::TEXT | Self::NUMBER | Self::TRUE | Self::FALSE | Self::NULL => "exact value",
            Self::PREFIX => "prefix",
            Self::SUFFIX => "suffix",
            Self::FOLDED | Self::LOWER => "text in any case",
            Self::EXOTIC => "text beyond ASCII",
            Self::FOLDED_PREFIX | Self::FOLDED_SUFFIX | Self::FOLDED_GRAM => "part of a text in any case",
            Self::TIME => "time range",
            Self::GRAM => "part of a text",
            Self::CIDR_V4 | Self::CIDR_V6 => "address block",
            Self::RANGE => "number range",
            Self::ANY_TEXT => "any text",
            Self::ANY_ARRAY => "any array",
            _ => "any value",
        }
    }
}

/// A value, or a part of one, by which predicates are looked up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::set) struct Key {
    pub(in crate::set) tag: Tag,
    pub(in crate::set) payload: Vec<u8>,
}

impl Key {
    pub(in crate::set) fn new(tag: Tag, payload: &[u8]) -> Self {
        Self { tag, payload: payload.to_vec() }
    }

    /// The key of all values that equal a literal.
    pub(in crate::set) fn literal(literal: &Literal) -> Self {
        match literal {
            Literal::Null => Self::new(Tag::NULL, &[]),
            Literal::Bool(true) => Self::new(Tag::TRUE, &[]),
            Literal::Bool(false) => Self::new(Tag::FALSE, &[]),
            Literal::Number(number) => Self::new(Tag::NUMBER, &number_bytes(*number)),
            Literal::String(text) => Self::new(Tag::TEXT, text.as_bytes()),
        }
    }
}

/// An encoding in which two numbers have the same bytes if and only if they are equal.
#[inline]
pub(in crate::set) fn number_bytes(number: Num) -> [u8; 9] {
    let (kind, bits) = match number {
        Num::Int(int) => (0, int.to_le_bytes()),
        Num::Big(big) => (1, big.to_le_bytes()),
        Num::Float(float) => (2, float.to_bits().to_le_bytes()),
    };
    let mut bytes = [kind; 9];
    bytes[1..].copy_from_slice(&bits);
    bytes
}

/// The inverse of [`number_bytes`].
pub(in crate::set) fn number_of(bytes: &[u8]) -> Option<Num> {
    let (&kind, bits) = bytes.split_first()?;
    let bits = u64::from_le_bytes(bits.try_into().ok()?);
    match kind {
        0 => Some(Num::Int(bits as i64)),
        1 => Some(Num::Big(bits)),
        _ => Some(Num::Float(f64::from_bits(bits))),
    }
}

/// An encoding in which two blocks have the same bytes if and only if they are equal; the first byte is the prefix length.
pub(in crate::set) fn block_bytes(block: &Cidr) -> [u8; 17] {
    let mut bytes = [0; 17];
    bytes[0] = block.prefix();
    match *block {
        Cidr::V4 { network, .. } => bytes[1..5].copy_from_slice(&network.to_be_bytes()),
        Cidr::V6 { network, .. } => bytes[1..].copy_from_slice(&network.to_be_bytes()),
    }
    bytes
}

/// Compares a scalar with a key that is a whole condition, without a lookup.
fn key_holds(tag: Tag, payload: &[u8], view: View<'_>) -> bool {
    match (tag.kind(), view) {
        (Tag::TEXT, View::String(text)) => text.bytes() == payload,
        (Tag::PREFIX, View::String(text)) => text.bytes().starts_with(payload),
        (Tag::SUFFIX, View::String(text)) => text.bytes().ends_with(payload),
        (Tag::NUMBER, View::Number(number)) => number_bytes(number) == *payload,
        (Tag::TRUE, View::Bool(true)) | (Tag::FALSE, View::Bool(false)) | (Tag::NULL, View::Null) => true,
        _ => false,
    }
}
