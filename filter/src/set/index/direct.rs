//! Facts that are asked one by one, and what tells at a glance that they do not hold.
//!
//! Going to a fact and asking it costs more than everything else that is done with a value. Most facts about texts can be
//! told not to hold from the first or last eight bytes, and those about numbers from the nearest f64, which are looked at
//! once for all of them.

use super::fact::{Fact, Tag, Test, number_of};
use crate::ops::{Leaf, Num, Range};

/// A fact that is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Direct {
    pub(super) fact: u32,
    sieve: Sieve,
}

/// What values have that a fact may hold for.
#[derive(Clone, Copy, Debug)]
enum Sieve {
    /// Anything.
    Open,
    Text(Part),
    /// A number from one to the other; between them it does hold.
    Number {
        low: f64,
        high: f64,
    },
}

/// How a text must begin or end.
#[derive(Clone, Copy, Debug)]
struct Part {
    last: bool,
    /// Which bits count.
    mask: u64,
    bits: u64,
    /// The bit that letters of either case have, if case does not count.
    fold: u64,
    /// What is not ASCII, where it may be equal to what is.
    wide: u64,
}

impl Direct {
    pub(super) fn new(number: u32, fact: &Fact) -> Self {
        Self { fact: number, sieve: Sieve::of(fact).unwrap_or(Sieve::Open) }
    }

    /// Whether it may hold for a text.
    #[inline]
    pub(super) fn admits(&self, text: Ends) -> bool {
        match self.sieve {
            Sieve::Open => true,
            Sieve::Text(part) => part.admits(text),
            Sieve::Number { .. } => false,
        }
    }

    /// Whether it holds for a number of which this is the nearest f64, if that is known.
    #[inline]
    pub(super) fn verdict(&self, nearest: f64) -> Option<bool> {
        match self.sieve {
            Sieve::Open => None,
            Sieve::Text(_) => Some(false),
            // Of two numbers the nearest of the greater is not less than that of the other.
            Sieve::Number { low, high } if low < nearest && nearest < high => Some(true),
            Sieve::Number { low, high } => {
                if nearest < low || nearest > high {
                    Some(false)
                } else {
                    None
                }
            }
        }
    }

    /// Whether it may hold for what is neither.
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        matches!(self.sieve, Sieve::Open)
    }
}

impl Sieve {
    /// `None` if nothing is known.
    fn of(fact: &Fact) -> Option<Self> {
        match &fact.test {
            Test::Key(_) => {
                let (tag, payload) = fact.test.key()?;
                match tag.kind() {
                    Tag::TEXT => Some(Self::Text(Part::whole(payload))),
                    Tag::PREFIX => Some(Self::Text(Part::first(payload))),
                    Tag::SUFFIX => Some(Self::Text(Part::last(payload))),
                    Tag::NUMBER => number_of(payload).map(|number| Self::range(Some(number), Some(number))),
                    _ => None,
                }
            }
            Test::Leaf(leaf) => Self::of_leaf(leaf),
            Test::Node(_) => None,
        }
    }

    fn of_leaf(leaf: &Leaf) -> Option<Self> {
        match leaf {
            Leaf::Number(range) => {
                let Range { low, high } = **range;
                Some(Self::range(low.map(|bound| bound.at), high.map(|bound| bound.at)))
            }
            Leaf::Wildcard(pattern) => {
                Some(Self::Text(match (pattern.whole(), pattern.prefix_and_suffix()) {
                    (Some(whole), _) => Part::whole(whole.as_bytes()),
                    (None, Some((prefix, _))) if !prefix.is_empty() => Part::first(prefix.as_bytes()),
                    (None, Some((_, suffix))) => Part::last(suffix.as_bytes()),
                    (None, None) => return None,
                }))
            }
            Leaf::FoldedEquals(text) => Part::whole(text.folded().as_bytes()).in_any_case().map(Self::Text),
            Leaf::FoldedPrefix(text) => Part::first(text.folded().as_bytes()).in_any_case().map(Self::Text),
            Leaf::FoldedSuffix(text) => Part::last(text.folded().as_bytes()).in_any_case().map(Self::Text),
            _ => None,
        }
    }

    fn range(low: Option<Num>, high: Option<Num>) -> Self {
        Self::Number {
            low: low.map_or(f64::NEG_INFINITY, Num::nearest),
            high: high.map_or(f64::INFINITY, Num::nearest),
        }
    }
}

impl Part {
    fn whole(text: &[u8]) -> Self {
        // What is behind a short text counts too, so that longer ones differ.
        Self { last: false, mask: !0, bits: Ends::of(text).first, fold: 0, wide: 0 }
    }

    fn first(text: &[u8]) -> Self {
        let mask = (!0_u64).checked_shr(unused(text)).unwrap_or(0);
        Self { mask, ..Self::whole(text) }
    }

    fn last(text: &[u8]) -> Self {
        let mask = (!0_u64).checked_shl(unused(text)).unwrap_or(0);
        Self { last: true, mask, bits: Ends::of(text).last, fold: 0, wide: 0 }
    }

    /// The same for a text that has been folded; `None` if what it looks at is not all ASCII.
    fn in_any_case(self) -> Option<Self> {
        const HIGHEST: u64 = 0x8080_8080_8080_8080;
        const LOWER: u64 = 0x2020_2020_2020_2020;
        let ascii = self.bits & HIGHEST == 0;
        ascii.then_some(Self { bits: self.bits | LOWER, fold: LOWER, wide: HIGHEST & self.mask, ..self })
    }

    #[inline]
    fn admits(self, text: Ends) -> bool {
        let part = if self.last { text.last } else { text.first };
        ((part | self.fold) ^ self.bits) & self.mask == 0 || part & self.wide != 0
    }
}

/// How many of 64 bits a text does not need.
fn unused(text: &[u8]) -> u32 {
    64 - 8 * u32::try_from(text.len()).unwrap_or(8).min(8)
}

/// The first and the last eight bytes of a text. Those of a short one are the lowest and the highest of a word; the rest is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    first: u64,
    last: u64,
}

impl Ends {
    #[inline]
    pub(super) fn of(text: &[u8]) -> Self {
        if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
            return Self { first: u64::from_le_bytes(*first), last: u64::from_le_bytes(*last) };
        }
        // Loads that overlap, rather than a loop.
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
    fn ends_are_the_bytes_of_a_text() {
        for text in TEXTS {
            let (mut first, mut last) = ([0; 8], [0; 8]);
            for (place, byte) in text.bytes().take(8).enumerate() {
                first[place] = byte;
            }
            for (place, byte) in text.bytes().rev().take(8).enumerate() {
                last[7 - place] = byte;
            }
            let ends = Ends { first: u64::from_le_bytes(first), last: u64::from_le_bytes(last) };
            assert_eq!(Ends::of(text.as_bytes()), ends, "{text}");
        }
    }

    /// What holds is always admitted, and hardly anything else is.
    #[test]
    fn nothing_that_holds_is_sifted_out() {
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
            let mut facts: Vec<Fact> = leaves
                .into_iter()
                .map(|leaf| Fact { test: Test::Leaf(Box::new(leaf)), ..Fact::default() })
                .collect();
            for tag in [Tag::TEXT, Tag::PREFIX, Tag::SUFFIX] {
                let test = Test::of_key(tag, expected.as_bytes());
                facts.push(Fact { test, ..Fact::default() });
            }
            for fact in facts {
                let direct = Direct::new(0, &fact);
                for text in TEXTS {
                    let view = View::String(text.into());
                    let holds = super::super::judge::holds_for_scalar(&fact, view);
                    let admits = direct.admits(Ends::of(text.as_bytes()));
                    assert!(admits || !holds, "{:?} {expected:?} {text:?}", fact.test);
                    admitted += usize::from(admits);
                    all += 1;
                }
            }
        }
        assert!(admitted < all / 4, "{admitted} of {all}");
    }

    #[test]
    fn numbers_are_judged_as_they_are_by_themselves() {
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
                    let direct = Direct::new(0, &Fact { test, ..Fact::default() });
                    for number in numbers {
                        if let Some(verdict) = direct.verdict(number.nearest()) {
                            assert_eq!(verdict, range.contains(number), "{number} in {range}");
                            known += 1;
                        }
                    }
                }
            }
        }
        assert!(known > 2000, "only {known} were known");
    }
}
