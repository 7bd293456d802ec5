//! Prefilters: cheap tests by which most predicates of a field are known not to hold.
//!
//! Loading and evaluating a predicate costs more than anything else that is done with a value. The first or last eight bytes
//! of a text exclude most predicates on texts, and the nearest f64 decides most predicates on numbers. Both are computed once
//! per value.

use super::predicate::{Predicate, Tag, Test, number_of};
use crate::ops::{Leaf, Num, Range};

/// A predicate that is evaluated one by one, behind its prefilter.
#[derive(Clone, Copy, Debug)]
pub(in crate::set) struct Candidate {
    pub(in crate::set) predicate: u32,
    prefilter: Prefilter,
}

/// A necessary condition on a value.
#[derive(Clone, Copy, Debug)]
enum Prefilter {
    None,
    Text(TextFilter),
    /// A number from `low` to `high`. Strictly between them, the predicate holds.
    Number {
        low: f64,
        high: f64,
    },
}

/// The beginning or end that a text must have.
#[derive(Clone, Copy, Debug)]
struct TextFilter {
    /// Whether it is the last eight bytes that count, not the first.
    last: bool,
    mask: u64,
    bits: u64,
    /// Bits that are set before comparing. If case is ignored, this is the bit that differs between upper and lower case.
    fold: u64,
    /// Bits that are set in non-ASCII bytes, if case is ignored: these may equal ASCII letters under case folding.
    non_ascii: u64,
}

impl Candidate {
    pub(in crate::set) fn new(number: u32, predicate: &Predicate) -> Self {
        Self { predicate: number, prefilter: Prefilter::of(predicate).unwrap_or(Prefilter::None) }
    }

    /// Whether the predicate may hold for a text.
    #[inline]
    pub(in crate::set) fn may_hold_for_text(&self, text: TextEnds) -> bool {
        match self.prefilter {
            Prefilter::None => true,
            Prefilter::Text(filter) => filter.admits(text),
            Prefilter::Number { .. } => false,
        }
    }

    /// Whether the predicate holds for a number, if its nearest f64 decides that.
    #[inline]
    pub(in crate::set) fn decide_number(&self, nearest: f64) -> Option<bool> {
        match self.prefilter {
            Prefilter::None => None,
            Prefilter::Text(_) => Some(false),
            // Rounding is monotonic: the nearest f64 of a greater number is not less.
            Prefilter::Number { low, high } if low < nearest && nearest < high => Some(true),
            Prefilter::Number { low, high } if nearest < low || nearest > high => Some(false),
            Prefilter::Number { .. } => None,
        }
    }

    /// Whether the predicate may hold for a value other than a text or number.
    #[inline]
    pub(in crate::set) fn may_hold_for_others(&self) -> bool {
        matches!(self.prefilter, Prefilter::None)
    }
}

impl Prefilter {
    fn of(predicate: &Predicate) -> Option<Self> {
        match &predicate.test {
            Test::Key(_) => {
                let (tag, payload) = predicate.test.key()?;
                match tag.kind() {
                    Tag::TEXT => Some(Self::Text(TextFilter::whole(payload))),
                    Tag::PREFIX => Some(Self::Text(TextFilter::first(payload))),
                    Tag::SUFFIX => Some(Self::Text(TextFilter::last(payload))),
                    Tag::NUMBER => number_of(payload).map(|number| Self::range(Some(number), Some(number))),
                    _ => None,
                }
            }
            Test::Leaf(leaf) => Self::of_leaf(leaf),
            Test::Node(_) => None,
        }
    }

    fn of_leaf(leaf: &Leaf) -> Option<Self> {
        let filter = match leaf {
            Leaf::Number(range) => {
                let Range { low, high } = **range;
                return Some(Self::range(low.map(|bound| bound.at), high.map(|bound| bound.at)));
            }
            Leaf::Wildcard(pattern) => match (pattern.whole(), pattern.prefix_and_suffix()) {
                (Some(whole), _) => TextFilter::whole(whole.as_bytes()),
                (None, Some((prefix, _))) if !prefix.is_empty() => TextFilter::first(prefix.as_bytes()),
                (None, Some((_, suffix))) => TextFilter::last(suffix.as_bytes()),
                (None, None) => return None,
            },
            Leaf::FoldedEquals(text) => TextFilter::whole(text.folded().as_bytes()).ignoring_case()?,
            Leaf::FoldedPrefix(text) => TextFilter::first(text.folded().as_bytes()).ignoring_case()?,
            Leaf::FoldedSuffix(text) => TextFilter::last(text.folded().as_bytes()).ignoring_case()?,
            _ => return None,
        };
        Some(Self::Text(filter))
    }

    fn range(low: Option<Num>, high: Option<Num>) -> Self {
        Self::Number {
            low: low.map_or(f64::NEG_INFINITY, Num::nearest),
            high: high.map_or(f64::INFINITY, Num::nearest),
        }
    }
}

impl TextFilter {
    fn whole(text: &[u8]) -> Self {
        // The zeros behind a short text count too, so that longer texts differ.
        Self { last: false, mask: !0, bits: TextEnds::of(text).first, fold: 0, non_ascii: 0 }
    }

    fn first(text: &[u8]) -> Self {
        let mask = (!0_u64).checked_shr(unused_bits(text)).unwrap_or(0);
        Self { mask, ..Self::whole(text) }
    }

    fn last(text: &[u8]) -> Self {
        let mask = (!0_u64).checked_shl(unused_bits(text)).unwrap_or(0);
        Self { last: true, mask, bits: TextEnds::of(text).last, fold: 0, non_ascii: 0 }
    }

    /// The filter of a case-folded text, for texts in any case; `None` unless all bytes that it compares are ASCII.
    fn ignoring_case(self) -> Option<Self> {
        const HIGHEST: u64 = 0x8080_8080_8080_8080;
        const LOWER: u64 = 0x2020_2020_2020_2020;
        let ascii = self.bits & HIGHEST == 0;
        ascii.then_some(Self { bits: self.bits | LOWER, fold: LOWER, non_ascii: HIGHEST & self.mask, ..self })
    }

    #[inline]
    fn admits(self, text: TextEnds) -> bool {
        let part = if self.last { text.last } else { text.first };
        ((part | self.fold) ^ self.bits) & self.mask == 0 || part & self.non_ascii != 0
    }
}

/// How many of 64 bits the bytes of a text leave unused.
fn unused_bits(text: &[u8]) -> u32 {
    64 - 8 * u32::try_from(text.len()).unwrap_or(8).min(8)
}

/// The first and the last eight bytes of a text. A shorter text occupies the lowest bytes of `first` and the highest of
/// `last`; the rest is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::set) struct TextEnds {
    first: u64,
    last: u64,
}

impl TextEnds {
    /// Up to this many bytes, the length and the ends determine the text.
    pub(in crate::set) const WHOLE: usize = 2 * size_of::<u64>();

    #[inline]
    pub(in crate::set) fn of(text: &[u8]) -> Self {
        if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
            return Self { first: u64::from_le_bytes(*first), last: u64::from_le_bytes(*last) };
        }
        // Overlapping loads are faster than a loop over the bytes.
        let missing = 64 - 8 * text.len() as u32;
        let first = if let (Some(front), Some(back)) = (text.first_chunk(), text.last_chunk()) {
            u64::from(u32::from_le_bytes(*front)) | u64::from(u32::from_le_bytes(*back)) << (32 - missing)
        } else {
            match *text {
                [a, b, c] => u64::from_le_bytes([a, b, c, 0, 0, 0, 0, 0]),
                [a, b] => u64::from_le_bytes([a, b, 0, 0, 0, 0, 0, 0]),
                [a] => a.into(),
                _ => return Self { first: 0, last: 0 },
            }
        };
        Self { first, last: first << missing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{Folded, Wildcard};

    const TEXTS: [&str; 24] = [
        "",
        "a",
        "A",
        "ab",
        "aB",
        "abc",
        "abcd",
        "abcde",
        "abcdef",
        "ABCDEF",
        "abcdefg",
        "abcdefgh",
        "abcdefghi",
        "Abcdefgh",
        "bcdefgh",
        "xabcdefgh",
        "é",
        "éa",
        "aé",
        "k",
        "\u{212A}",
        "abcdef\u{212A}",
        "\0",
        "a ",
    ];

    #[test]
    fn ends_are_the_first_and_last_bytes() {
        for text in TEXTS {
            let (mut first, mut last) = ([0; 8], [0; 8]);
            for (place, byte) in text.bytes().take(8).enumerate() {
                first[place] = byte;
            }
            for (place, byte) in text.bytes().rev().take(8).enumerate() {
                last[7 - place] = byte;
            }
            let ends = TextEnds { first: u64::from_le_bytes(first), last: u64::from_le_bytes(last) };
            assert_eq!(TextEnds::of(text.as_bytes()), ends, "{text}");
        }
    }

    #[test]
    fn prefilters_admit_all_texts_that_match_and_few_others() {
        use crate::ops::View;
        let (mut admitted, mut all) = (0, 0);
        for expected in TEXTS {
            let wildcard = |pattern: &str| Leaf::Wildcard(Box::new(Wildcard::new(pattern, true).unwrap()));
            let leaves = [
                Leaf::FoldedEquals(Folded::new(expected)),
                Leaf::FoldedPrefix(Folded::new(expected)),
                Leaf::FoldedSuffix(Folded::new(expected)),
                wildcard(expected),
                wildcard(&format!("{expected}*")),
                wildcard(&format!("*{expected}")),
            ];
            let mut predicates: Vec<Predicate> = leaves
                .into_iter()
                .map(|leaf| Predicate { test: Test::Leaf(Box::new(leaf)), ..Predicate::default() })
                .collect();
            for tag in [Tag::TEXT, Tag::PREFIX, Tag::SUFFIX] {
                let test = Test::of_key(tag, expected.as_bytes());
                predicates.push(Predicate { test, ..Predicate::default() });
            }
            for predicate in predicates {
                let candidate = Candidate::new(0, &predicate);
                for text in TEXTS {
                    let view = View::String(text.into());
                    let holds = predicate.holds_for_scalar(view);
                    let admits = candidate.may_hold_for_text(TextEnds::of(text.as_bytes()));
                    assert!(admits || !holds, "{:?} {expected:?} {text:?}", predicate.test);
                    admitted += usize::from(admits);
                    all += 1;
                }
            }
        }
        assert!(admitted < all / 4, "{admitted} of {all}");
    }

    #[test]
    fn prefilters_decide_numbers_as_ranges_do() {
        let numbers = [
            Num::Int(0),
            Num::Int(1),
            Num::Int(9_007_199_254_740_992),
            Num::Int(9_007_199_254_740_993),
            Num::Int(i64::MAX),
            Num::Int(i64::MIN),
            Num::Big(9_223_372_036_854_775_808),
            Num::Big(u64::MAX),
            Num::Float(0.5),
            Num::Float(1e300),
            Num::Float(-1e300),
        ];
        let mut known = 0;
        for low in numbers {
            for high in numbers {
                for range in [Range::closed(low, high), Range::above(low, false), Range::below(high, true)] {
                    let test = Test::Leaf(Box::new(Leaf::Number(Box::new(range))));
                    let candidate = Candidate::new(0, &Predicate { test, ..Predicate::default() });
                    for number in numbers {
                        if let Some(verdict) = candidate.decide_number(number.nearest()) {
                            assert_eq!(verdict, range.contains(number), "{number} in {range:?}");
                            known += 1;
                        }
                    }
                }
            }
        }
        assert!(known > 2000, "only {known} were known");
    }
}
