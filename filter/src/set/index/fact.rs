//! Facts: what one field's value can be found to be, whoever asks.
//!
//! Equal conditions on the same field are one fact, however many filters have them, and are judged once. Simple ones are
//! [keys](Key): whether they hold is found by looking up the value rather than by asking each. The others lead from keys
//! that must hold if they do; those are in `plan`.

use std::sync::Arc;

use super::member::Wakes;
use crate::compile::copy::Fragment;
use crate::ops::{Cidr, Leaf, Literal, Num, View};
use crate::set::store::Text;

/// Something that can be true of the value of a field. In one line of the cache: in a large set hardly any is in it already.
#[derive(Clone, Debug, Default)]
#[repr(align(64))]
pub(super) struct Fact {
    pub(super) slot: u32,
    /// By how many patterns, and facts that it is a key of, it is held.
    pub(super) uses: u32,
    /// How rarely it is expected to hold; see `plan`.
    pub(super) cost: u8,
    /// Whether it looks at each scalar in an array: the reach of the event-bridge dialect.
    pub(super) deep: bool,
    /// Whether it holds for a missing field.
    pub(super) on_missing: bool,
    pub(super) test: Test,
    /// Whom to tell where it holds.
    pub(super) wakes: Wakes,
}

const _: () = assert!(size_of::<Fact>() == 64);

#[derive(Clone, Debug)]
pub(super) enum Test {
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
    pub(super) fn of_key(tag: Tag, payload: &[u8]) -> Self {
        Self::Key(Text::of_both(&[tag.0], payload))
    }

    pub(super) fn key(&self) -> Option<(Tag, &[u8])> {
        match self {
            Self::Key(text) => text.as_bytes().split_first().map(|(&tag, payload)| (Tag(tag), payload)),
            Self::Leaf(_) | Self::Node(_) => None,
        }
    }

    /// The memory that it owns, in bytes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Key(text) => text.bytes(),
            Self::Leaf(_) => size_of::<Leaf>(),
            Self::Node(fragment) => fragment.bytes(),
        }
    }
}

/// What kind of key it is, and on what it is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tag(pub(super) u8);

impl Tag {
    // What decides by itself.
    pub(super) const TEXT: Self = Self(0);
    pub(super) const NUMBER: Self = Self(1);
    pub(super) const TRUE: Self = Self(2);
    pub(super) const FALSE: Self = Self(3);
    pub(super) const NULL: Self = Self(4);
    pub(super) const PREFIX: Self = Self(5);
    pub(super) const SUFFIX: Self = Self(6);
    // What only leads to facts.
    /// The text under simple case folding.
    pub(super) const FOLDED: Self = Self(7);
    /// Up to four bytes that the text contains.
    pub(super) const GRAM: Self = Self(8);
    /// Printable ASCII in lower case.
    pub(super) const LOWER: Self = Self(9);
    /// A text that is not all printable ASCII.
    pub(super) const EXOTIC: Self = Self(10);
    pub(super) const ANY_TEXT: Self = Self(11);
    pub(super) const CIDR_V4: Self = Self(12);
    pub(super) const CIDR_V6: Self = Self(13);
    /// Numbers between two that part at one bit; see `ranges`.
    pub(super) const RANGE: Self = Self(14);
    pub(super) const ANY_ARRAY: Self = Self(15);
    pub(super) const PRESENT: Self = Self(16);

    const DEEP: u8 = 0x40;
    const ELEMENT: u8 = 0x80;

    /// Looked up for each scalar in an array too.
    pub(super) fn deep(self, deep: bool) -> Self {
        if deep { Self(self.0 | Self::DEEP) } else { self }
    }

    /// Looked up for the elements of an array only.
    pub(super) fn element(self) -> Self {
        Self(self.0 | Self::ELEMENT)
    }

    pub(super) fn is_deep(self) -> bool {
        self.0 & Self::DEEP != 0
    }

    pub(super) fn is_element(self) -> bool {
        self.0 & Self::ELEMENT != 0
    }

    /// Without regard to reach.
    pub(super) fn kind(self) -> Self {
        Self(self.0 & !(Self::DEEP | Self::ELEMENT))
    }

    pub(super) fn name(self) -> &'static str {
        match self.kind() {
            Self::TEXT | Self::NUMBER | Self::TRUE | Self::FALSE | Self::NULL => "exact value",
            Self::PREFIX => "prefix",
            Self::SUFFIX => "suffix",
            Self::FOLDED | Self::LOWER | Self::EXOTIC => "text in any case",
            Self::GRAM => "part of a text",
            Self::CIDR_V4 | Self::CIDR_V6 => "address block",
            Self::RANGE => "number range",
            Self::ANY_TEXT => "any text",
            Self::ANY_ARRAY => "any array",
            _ => "any value",
        }
    }
}

/// A key, as it is looked for or stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) tag: Tag,
    pub(super) payload: Vec<u8>,
}

impl Key {
    pub(super) fn new(tag: Tag, payload: &[u8]) -> Self {
        Self { tag, payload: payload.to_vec() }
    }

    /// The key of the values that equal a literal.
    pub(super) fn literal(literal: &Literal) -> Self {
        match literal {
            Literal::Null => Self::new(Tag::NULL, &[]),
            Literal::Bool(true) => Self::new(Tag::TRUE, &[]),
            Literal::Bool(false) => Self::new(Tag::FALSE, &[]),
            Literal::Number(number) => Self::new(Tag::NUMBER, &number_bytes(*number)),
            Literal::String(text) => Self::new(Tag::TEXT, text.as_bytes()),
        }
    }
}

/// Equal numbers, and only those, have equal bytes.
#[inline]
pub(super) fn number_bytes(number: Num) -> [u8; 9] {
    let (kind, bits) = match number {
        Num::Int(int) => (0, int.to_le_bytes()),
        Num::Big(big) => (1, big.to_le_bytes()),
        Num::Float(float) => (2, float.to_bits().to_le_bytes()),
    };
    let mut bytes = [kind; 9];
    bytes[1..].copy_from_slice(&bits);
    bytes
}

/// The number that has these bytes.
pub(super) fn number_of(bytes: &[u8]) -> Option<Num> {
    let (&kind, bits) = bytes.split_first()?;
    let bits = u64::from_le_bytes(bits.try_into().ok()?);
    match kind {
        0 => Some(Num::Int(bits as i64)),
        1 => Some(Num::Big(bits)),
        _ => Some(Num::Float(f64::from_bits(bits))),
    }
}

/// Equal blocks, and only those, have equal bytes; the first is the number of bits.
pub(super) fn block_bytes(block: &Cidr) -> [u8; 17] {
    let mut bytes = [0; 17];
    bytes[0] = block.prefix();
    match *block {
        Cidr::V4 { network, .. } => bytes[1..5].copy_from_slice(&network.to_be_bytes()),
        Cidr::V6 { network, .. } => bytes[1..].copy_from_slice(&network.to_be_bytes()),
    }
    bytes
}

/// Whether a key that decides by itself holds for a scalar, without looking it up.
pub(super) fn key_holds(tag: Tag, payload: &[u8], view: View<'_>) -> bool {
    match (tag.kind(), view) {
        (Tag::TEXT, View::String(text)) => text.bytes() == payload,
        (Tag::PREFIX, View::String(text)) => text.bytes().starts_with(payload),
        (Tag::SUFFIX, View::String(text)) => text.bytes().ends_with(payload),
        (Tag::NUMBER, View::Number(number)) => number_bytes(number) == *payload,
        (Tag::TRUE, View::Bool(true)) | (Tag::FALSE, View::Bool(false)) | (Tag::NULL, View::Null) => true,
        _ => false,
    }
}
