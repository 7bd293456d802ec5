//! Exact decimal numbers in header text.
//!
//! Parsing as `f64` was the alternative: it accepts `inf`, `nan` and `1e9`, and loses nanoseconds of a Unix time. Here a
//! number is digits with at most one point and a sign; it saturates, because huge values are to be clamped and not refused.

use super::requested::NANOS_PER_SEC;

/// A number times `unit` nanoseconds; `None` if `text` is no number. Digits finer than a nanosecond are dropped.
pub(super) fn decimal(text: &str, unit: i128) -> Option<i128> {
    let (negative, unsigned) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let (whole, rest) = digits(unsigned);
    let (fraction, rest) = match rest {
        [b'.', rest @ ..] => digits(rest),
        _ => (&[][..], rest),
    };
    if !rest.is_empty() || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let mut nanos = match whole.len() {
        // Most numbers fit, and 64 bits are much faster than 128 that saturate.
        0..=18 => {
            i128::from(whole.iter().fold(0, |number: i64, digit| number * 10 + i64::from(digit - b'0')))
                .saturating_mul(unit)
        }
        _ => whole.iter().fold(0, |number: i128, digit| {
            number.saturating_mul(10).saturating_add(i128::from(digit - b'0').saturating_mul(unit))
        }),
    };
    let mut place = unit;
    for digit in fraction {
        place /= 10;
        nanos = nanos.saturating_add(i128::from(digit - b'0') * place);
    }
    Some(if negative { -nanos } else { nanos })
}

/// The digits at the beginning of `text`, and what follows them.
fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

/// Numbers from here on are Unix times: as a wait it would be 31 years, as a time it is 2001.
const UNIX_SECONDS: i128 = 1_000_000_000 * NANOS_PER_SEC;
const THOUSAND: i128 = 1000;
const UNIX_MILLIS: i128 = THOUSAND * UNIX_SECONDS;
const UNIX_MICROS: i128 = THOUSAND * UNIX_MILLIS;
const UNIX_NANOS: i128 = THOUSAND * UNIX_MICROS;

/// The wait that a number of seconds states: from now, or, for a large number, until that Unix time in seconds, milliseconds,
/// microseconds or nanoseconds.
pub(super) fn unix_time_or_wait(nanos: i128, now: impl FnOnce() -> i128) -> i128 {
    match nanos {
        UNIX_NANOS.. => (nanos / THOUSAND.pow(3)).saturating_sub(now()),
        UNIX_MICROS.. => (nanos / THOUSAND.pow(2)).saturating_sub(now()),
        UNIX_MILLIS.. => (nanos / THOUSAND).saturating_sub(now()),
        UNIX_SECONDS.. => nanos.saturating_sub(now()),
        _ => nanos,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hint::requested::NANOS_PER_MILLI;

    #[test]
    fn reads_exactly() {
        for (text, nanos) in [
            ("0", 0),
            ("007", 7 * NANOS_PER_SEC),
            ("+3", 3 * NANOS_PER_SEC),
            ("-3", -3 * NANOS_PER_SEC),
            ("1.5", 1_500_000_000),
            (".5", 500_000_000),
            ("5.", 5 * NANOS_PER_SEC),
            ("0.1234567899", 123_456_789),
            ("1700000000.123456789", 1_700_000_000_123_456_789),
        ] {
            assert_eq!(decimal(text, NANOS_PER_SEC), Some(nanos), "{text}");
        }
        assert_eq!(decimal("1.25", NANOS_PER_MILLI), Some(1_250_000));
    }

    #[test]
    fn saturates() {
        let digits = "9".repeat(500);
        assert_eq!(decimal(&digits, NANOS_PER_SEC), Some(i128::MAX));
        assert_eq!(decimal(&format!("-{digits}"), NANOS_PER_SEC), Some(-i128::MAX));
        assert_eq!(decimal(&format!("0.{digits}"), NANOS_PER_SEC), Some(999_999_999));
    }

    #[test]
    fn nothing_else_is_a_number() {
        for text in
            ["", "-", "+", ".", "1e3", "inf", "nan", "0x10", "1,5", "1 2", "--1", "1.2.3", "5s", "٣", "1_000"]
        {
            assert_eq!(decimal(text, NANOS_PER_SEC), None, "{text}");
        }
    }
}
