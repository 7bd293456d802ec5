//! A fast parser for short decimal numbers: up to 19 digits, perhaps with a point, no exponent.
//!
//! With more than 15 digits, the digits and the power of ten are not both exact in f64, so their quotient would be
//! rounded twice. Instead the digits are multiplied by the reciprocal of the power of ten, known to 63 bits; its error
//! almost never affects the 53 bits of the result (after Lemire, Number parsing at a gigabyte per second, 2021). If it
//! might, the general parser is used.
//!
//! This file and `number` refer to each other: the result is a [`Num`] in normal form, and [`Num::parse`] tries this parser
//! first.

use super::number::Num;

/// The most digits that always fit into 64 bits.
const MOST: usize = 19;

/// A number of up to [`MOST`] digits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decimal {
    negative: bool,
    digits: u64,
    /// The number of digits behind the point; `None` without a point.
    places: Option<usize>,
}

impl Decimal {
    /// Parses a text of this form.
    #[inline]
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let (negative, text) = match text {
            [b'-', digits @ ..] => (true, digits),
            digits => (false, digits),
        };
        if text.len() > MOST + 1 {
            return None;
        }
        let mut digits = 0;
        let rest = few_digits(text, &mut digits);
        let places = match rest {
            [] if !text.is_empty() && text.len() <= MOST => None,
            [b'.', fraction @ ..] if rest.len() < text.len() && !fraction.is_empty() => {
                if !many_digits(fraction, &mut digits).is_empty() {
                    return None;
                }
                Some(fraction.len())
            }
            _ => return None,
        };
        Some(Self { negative, digits, places })
    }

    /// The exact value, if it can be determined.
    #[inline]
    pub(super) fn number(self) -> Option<Num> {
        let Some(places) = self.places else {
            let int = i64::try_from(self.digits).ok()?;
            return Some(Num::Int(if self.negative { -int } else { int }));
        };
        let float = quotient(self.digits, places)?;
        Num::from_f64(if self.negative { -float } else { float })
    }
}

/// Appends the leading digits of a text to a number, and returns the rest of the text. More than 19 digits wrap around.
#[inline(always)]
fn few_digits<'t>(mut text: &'t [u8], number: &mut u64) -> &'t [u8] {
    while let [digit @ b'0'..=b'9', rest @ ..] = text {
        *number = number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        text = rest;
    }
    text
}

/// The same, faster for eight digits or more.
#[inline(always)]
fn many_digits<'t>(mut text: &'t [u8], number: &mut u64) -> &'t [u8] {
    while let Some((eight, rest)) = text.split_first_chunk() {
        let Some(value) = eight_digits(*eight) else { break };
        *number = number.wrapping_mul(100_000_000).wrapping_add(value);
        text = rest;
    }
    if let Some((&[a, b, c, d], rest)) = text.split_first_chunk()
        && let Some(value) = eight_digits([b'0', b'0', b'0', b'0', a, b, c, d])
    {
        *number = number.wrapping_mul(10_000).wrapping_add(value);
        text = rest;
    }
    few_digits(text, number)
}

/// Eight digits at once, as lanes of one word.
#[inline(always)]
fn eight_digits(bytes: [u8; 8]) -> Option<u64> {
    const ZEROS: u64 = 0x3030_3030_3030_3030;
    let word = u64::from_le_bytes(bytes);
    // The upper half of an ASCII digit is 3, and still is after adding 6.
    let upper = 0xF0F0_F0F0_F0F0_F0F0;
    if word & upper != ZEROS || word.wrapping_add(0x0606_0606_0606_0606) & upper != ZEROS {
        return None;
    }
    let word = word - ZEROS;
    // Combines pairs of digits in 16-bit lanes, then in 32-bit lanes, then in all 64 bits.
    let word = (word * 10 + (word >> 8)) & 0x00FF_00FF_00FF_00FF;
    let word = (word * 100 + (word >> 16)) & 0x0000_FFFF_0000_FFFF;
    Some((word * 10_000 + (word >> 32)) & 0xFFFF_FFFF)
}

/// The reciprocal `2^shift / 5^n`, rounded down, at least 2⁶² and less than 2⁶³, and the shift. `n` is not 0.
const RECIPROCALS: [(u64, i32); MOST + 1] = {
    let mut reciprocals = [(0, 0); MOST + 1];
    let mut power: u128 = 1;
    let mut n = 1;
    while n <= MOST {
        power *= 5;
        let shift = 62 + (128 - power.leading_zeros());
        reciprocals[n] = (((1 << shift) / power) as u64, shift as i32);
        n += 1;
    }
    reciprocals
};

/// `digits / 10^places`, rounded to the nearest f64; `None` if the nearest is uncertain.
#[inline]
fn quotient(digits: u64, places: usize) -> Option<f64> {
    if digits == 0 {
        return Some(0.0);
    }
    let &(reciprocal, shift) = RECIPROCALS.get(places).filter(|_| places > 0)?;
    let zeros = digits.leading_zeros();
    let product = u128::from(digits << zeros) * u128::from(reciprocal);
    // Below 2⁶³. The reciprocal's error times the digits is less than one, and so is the part cut off here.
    let least = (product >> 64) as i64;
    let float = least as f64;
    if float != (least + 2) as f64 {
        return None;
    }
    let exponent = 64 - zeros as i32 - shift - places as i32;
    // Far from the limits of f64, so multiplying by a power of two is exact.
    Some(float * f64::from_bits(((1023 + exponent) as u64) << 52))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Decimal, Num};

    fn read(text: &str) -> Option<Num> {
        Decimal::read(text.as_bytes()).and_then(Decimal::number)
    }

    #[test]
    fn other_forms_are_not_read() {
        for text in
            ["", "-", ".", "-.", "1.", ".5", "1e3", "1.5e3", "1.2.3", "12345678901234567890", "+1", "1 "]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn most_decimals_are_read() {
        let texts = (0..10_000_u64).map(|n| {
            let digits = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 10;
            format!("{}.{:014}", digits % 180, digits % 100_000_000_000_000)
        });
        let uncertain = texts.filter(|text| read(text).is_none()).count();
        assert!(uncertain < 200, "{uncertain} of 10000");
    }

    proptest! {
        #[test]
        fn agrees_with_the_standard_library(text in "-?(0|[1-9][0-9]{0,18})(\\.[0-9]{1,18})?") {
            if let Some(number) = read(&text) {
                let expected = match text.parse() {
                    Ok(int) => Num::Int(int),
                    Err(_) => Num::from_f64(text.parse().unwrap()).unwrap(),
                };
                prop_assert_eq!(number, expected);
            }
        }

        /// The hardest cases of rounding: halfway between two floats, and close to it.
        #[test]
        fn halfway_cases_are_rounded_correctly(whole in 1_u64 << 52..1 << 53, places in 1_usize..4, off in -1_i64..2) {
            let digits = (whole * 10 + 5) as i64 * 10_i64.pow(places as u32 - 1) + off;
            let text = digits.to_string();
            let (front, back) = text.split_at(text.len() - places);
            let text = format!("{front}.{back}");
            if let Some(number) = read(&text) {
                prop_assert_eq!(number, Num::from_f64(text.parse().unwrap()).unwrap());
            }
        }
    }
}
