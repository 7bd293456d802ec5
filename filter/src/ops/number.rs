//! Numbers by mathematical value: `1`, `1.0` and `1e0` are equal, and no comparison rounds.
//!
//! Comparing by f64 alone would be simpler and wrong: 9007199254740993 would equal 9007199254740992.0.

use std::cmp::Ordering;
use std::fmt;

use serde_json::Number;

use super::Spellings;
use super::decimal::Decimal;

/// 2⁶³ and 2⁶⁴: the first floats beyond i64 and u64. Both are exact.
const TWO_63: f64 = 9_223_372_036_854_775_808.0;
const TWO_64: f64 = 18_446_744_073_709_551_616.0;

/// A JSON number in normal form, so that equal numbers have equal representations and hashes.
///
/// `Int` holds every integer within i64, `Big` the other integers within u64, `Float` only the rest: fractions and
/// larger integers. It is never NaN or infinite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Num {
    Int(i64),
    Big(u64),
    Float(f64),
}

impl Num {
    /// `None` for a number beyond f64, which serde_json only produces with its `arbitrary_precision` feature.
    pub(crate) fn new(number: &Number) -> Option<Self> {
        if let Some(int) = number.as_i64() {
            Some(Self::Int(int))
        } else if let Some(big) = number.as_u64() {
            Some(Self::Big(big))
        } else {
            number.as_f64().and_then(Self::from_f64)
        }
    }

    /// The value of a JSON number's text; `None` if it is beyond f64.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        if let Some(number) = Decimal::read(text).and_then(Decimal::number) {
            return Some(number);
        }
        if text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'-')) {
            let text = std::str::from_utf8(text).ok()?;
            if let Ok(int) = text.parse() {
                return Some(Self::Int(int));
            }
            if let Ok(big) = text.parse() {
                return Some(Self::Big(big));
            }
        }
        fast_float2::parse(text).ok().and_then(Self::from_f64)
    }

    /// The nearest f64.
    #[inline]
    pub(crate) fn nearest(self) -> f64 {
        match self {
            Self::Int(int) => int as f64,
            Self::Big(big) => big as f64,
            Self::Float(float) => float,
        }
    }

    pub(crate) fn from_usize(length: usize) -> Self {
        match i64::try_from(length) {
            Ok(int) => Self::Int(int),
            Err(_) => Self::Big(length as u64),
        }
    }

    /// `None` for NaN and the infinities.
    pub(crate) fn from_f64(float: f64) -> Option<Self> {
        if !float.is_finite() {
            return None;
        }
        let int = float as i64;
        Some(match float {
            // The cast truncates, and saturates.
            _ if int as f64 == float && float < TWO_63 => Self::Int(int),
            // All floats of this size are integers.
            TWO_63..TWO_64 => Self::Big(float as u64),
            _ => Self::Float(float),
        })
    }

    pub(crate) fn to_number(self) -> Option<Number> {
        match self {
            Self::Int(int) => Some(int.into()),
            Self::Big(big) => Some(big.into()),
            Self::Float(float) => Number::from_f64(float),
        }
    }

    /// Exact and total, since no number is NaN.
    #[inline]
    pub(crate) fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Float(a), Self::Float(b)) if a < b => Ordering::Less,
            (Self::Float(a), Self::Float(b)) if a > b => Ordering::Greater,
            (Self::Float(_), Self::Float(_)) => Ordering::Equal,
            (Self::Int(a), Self::Int(b)) => a.cmp(&b),
            (Self::Big(a), Self::Big(b)) => a.cmp(&b),
            (Self::Int(_), Self::Big(_)) => Ordering::Less,
            (Self::Big(_), Self::Int(_)) => Ordering::Greater,
            (Self::Float(a), Self::Int(b)) => float_against(a, i128::from(b)),
            (Self::Float(a), Self::Big(b)) => float_against(a, i128::from(b)),
            (Self::Int(a), Self::Float(b)) => float_against(b, i128::from(a)).reverse(),
            (Self::Big(a), Self::Float(b)) => float_against(b, i128::from(a)).reverse(),
        }
    }
}

/// Compares a `Num::Float` with a 64-bit integer. They are never equal: the float is a fraction, or beyond 64 bits.
fn float_against(float: f64, integer: i128) -> Ordering {
    // The cast saturates beyond any 64-bit integer; a fraction is rounded down, so equality means greater.
    if float.floor() as i128 >= integer { Ordering::Greater } else { Ordering::Less }
}

impl fmt::Display for Num {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_number() {
            Some(number) => write!(f, "{number}"),
            None => f.write_str("a number out of range"),
        }
    }
}

/// A range of numbers, each bound inclusive or not: the meaning of every numeric operator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Range {
    pub(crate) low: Option<Bound>,
    pub(crate) high: Option<Bound>,
}

/// One end of a [`Range`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bound {
    pub(crate) at: Num,
    pub(crate) inclusive: bool,
}

impl Range {
    pub(crate) fn above(at: Num, inclusive: bool) -> Self {
        Self { low: Some(Bound { at, inclusive }), high: None }
    }

    pub(crate) fn below(at: Num, inclusive: bool) -> Self {
        Self { low: None, high: Some(Bound { at, inclusive }) }
    }

    pub(crate) fn closed(low: Num, high: Num) -> Self {
        Self {
            low: Some(Bound { at: low, inclusive: true }),
            high: Some(Bound { at: high, inclusive: true }),
        }
    }

    #[inline]
    pub(crate) fn contains(&self, number: Num) -> bool {
        let within = |bound: &Option<Bound>, inside: Ordering| match bound {
            None => true,
            Some(bound) => match number.compare(bound.at) {
                Ordering::Equal => bound.inclusive,
                other => other == inside,
            },
        };
        within(&self.low, Ordering::Greater) && within(&self.high, Ordering::Less)
    }

    /// Whether the range contains no number.
    pub(crate) fn is_empty(&self) -> bool {
        let (Some(low), Some(high)) = (self.low, self.high) else { return false };
        match low.at.compare(high.at) {
            Ordering::Less => false,
            Ordering::Equal => !(low.inclusive && high.inclusive),
            Ordering::Greater => true,
        }
    }

    /// The intersection.
    pub(crate) fn intersection(&self, other: &Self) -> Self {
        let tighter = |a: Option<Bound>, b: Option<Bound>, wins: Ordering| match (a, b) {
            (Some(a), Some(b)) => Some(match a.at.compare(b.at) {
                Ordering::Equal => Bound { at: a.at, inclusive: a.inclusive && b.inclusive },
                order if order == wins => a,
                _ => b,
            }),
            (one, other) => one.or(other),
        };
        Self {
            low: tighter(self.low, other.low, Ordering::Greater),
            high: tighter(self.high, other.high, Ordering::Less),
        }
    }

    /// The range in words, with numbers as the filter has them.
    pub(crate) fn describe(&self, f: &mut dyn fmt::Write, numbers: &Spellings) -> fmt::Result {
        if let (Some(low), Some(high)) = (self.low, self.high)
            && low.inclusive
            && high.inclusive
        {
            return write!(f, "between {} and {}", numbers.number(low.at), numbers.number(high.at));
        }
        let mut separator = "";
        if let Some(low) = self.low {
            write!(f, "{} {}", if low.inclusive { ">=" } else { ">" }, numbers.number(low.at))?;
            separator = " and ";
        }
        if let Some(high) = self.high {
            write!(f, "{separator}{} {}", if high.inclusive { "<=" } else { "<" }, numbers.number(high.at))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering::{Equal, Greater, Less};

    use proptest::prelude::*;

    use super::{Num, Range};
    use crate::json;
    use crate::limits::Limits;

    fn num(text: &str) -> Num {
        match json::parse(text, &Limits::new()).unwrap().kind {
            json::Kind::Number(number) => Num::new(&number).unwrap(),
            other => panic!("{other:?} is no number"),
        }
    }

    #[test]
    fn equal_numbers_have_one_form() {
        for (a, b) in
            [("1", "1.0"), ("1", "1e0"), ("0", "-0"), ("0", "-0.0"), ("-5", "-5.0"), ("1e3", "1000")]
        {
            assert_eq!(num(a), num(b));
            assert_eq!(num(a).compare(num(b)), Equal);
        }
        assert_eq!(num("9223372036854775808"), num("9223372036854775808.0"));
        assert_eq!(num("18446744073709551616"), num("18446744073709551616.0"));
    }

    /// The reference: the standard library, which rounds correctly.
    fn parsed(text: &str) -> Option<Num> {
        let integer = !text.contains(['.', 'e', 'E']);
        if integer && let Ok(int) = text.parse() {
            return Some(Num::Int(int));
        }
        if integer && let Ok(big) = text.parse() {
            return Some(Num::Big(big));
        }
        text.parse().ok().and_then(Num::from_f64)
    }

    #[test]
    fn texts_are_read_as_by_the_standard_library() {
        let digits = "98765432109876543210987654321";
        let mut texts: Vec<String> =
            ["0", "-0", "-0.0", "1e400", "-1e400", "1e-400", "5e-324", "2.2250738585072014e-308"]
                .map(str::to_owned)
                .to_vec();
        for length in 1..=digits.len() {
            for point in 1..=length {
                for exponent in ["", "e0", "E-7", "e+20"] {
                    let (whole, fraction) = digits[..length].split_at(point);
                    let separator = if fraction.is_empty() { "" } else { "." };
                    texts.push(format!("{whole}{separator}{fraction}{exponent}"));
                    texts.push(format!("-{whole}{separator}{fraction}{exponent}"));
                    texts.push(format!("0.{}{fraction}1{exponent}", "0".repeat(point)));
                }
            }
        }
        for bound in [
            u64::MAX.to_string(),
            i64::MAX.to_string(),
            i64::MIN.to_string(),
            "9223372036854775808".to_owned(),
        ] {
            texts.extend([format!("{bound}.0"), format!("{bound}0"), bound]);
        }
        for text in texts {
            let (ours, theirs) = (Num::parse(text.as_bytes()), parsed(&text));
            assert_eq!(ours, theirs, "{text}");
            assert_eq!(ours.is_none(), text.ends_with("1e400"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_number_is_read_as_the_standard_library_reads_it(
            text in "-?(0|[1-9][0-9]{0,19})(\\.[0-9]{1,17})?([eE][+-]?[0-9]{1,2})?"
        ) {
            prop_assert_eq!(Num::parse(text.as_bytes()), parsed(&text));
        }
    }

    #[test]
    fn comparisons_do_not_round() {
        let cases = [
            ("9007199254740993", "9007199254740992.0", Greater),
            ("9007199254740992", "9007199254740992.0", Equal),
            ("9223372036854775807", "9223372036854775808.0", Less),
            ("18446744073709551615", "18446744073709551616.0", Less),
            ("-9223372036854775808", "-9223372036854775808.0", Equal),
            ("-9223372036854775808", "-1e19", Greater),
            ("0", "0.5", Less),
            ("0", "-0.5", Greater),
            ("-1", "-0.5", Less),
            ("1", "0.5", Greater),
            ("9223372036854775808", "1", Greater),
            ("1e300", "18446744073709551615", Greater),
            ("-1e300", "18446744073709551615", Less),
        ];
        for (a, b, expected) in cases {
            assert_eq!(num(a).compare(num(b)), expected, "{a} against {b}");
            assert_eq!(num(b).compare(num(a)), expected.reverse(), "{b} against {a}");
        }
    }

    #[test]
    fn empty_ranges() {
        assert!(Range::closed(num("2"), num("1")).is_empty());
        assert!(!Range::closed(num("1"), num("1")).is_empty());
        let narrow = Range::above(num("1"), false).intersection(&Range::below(num("1"), true));
        assert!(narrow.is_empty());
        assert!(!narrow.contains(num("1")));
    }
}
