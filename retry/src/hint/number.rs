//! Exact decimal numbers in header text.
//!
//! Parsing as `f64` was the alternative: it accepts `inf`, `nan` and `1e9`, and loses nanoseconds of a Unix time. Here a
//! number is digits with at most one point and a sign; it saturates, because huge values are to be clamped and not refused.

use super::requested::NANOS_PER_SEC;

/// A number times `unit` nanoseconds; `None` if `text` is no number. Digits finer than a nanosecond are dropped.
pub(super) fn decimal(text: &str, unit: i128) -> Option<i128> {
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let is_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let mut nanos: i128 = 0;
    for digit in whole.bytes() {
        nanos = nanos.saturating_mul(10).saturating_add(i128::from(digit - b'0').saturating_mul(unit));
    }
    let mut place = unit;
    for digit in fraction.bytes() {
        place /= 10;
        nanos = nanos.saturating_add(i128::from(digit - b'0') * place);
    }
    Some(if negative { -nanos } else { nanos })
}

/// Numbers from here on are Unix times: as a wait it would be 31 years, as a time it is 2001.
const UNIX_SECONDS: i128 = 1_000_000_000 * NANOS_PER_SEC;
const UNIX_MILLIS: i128 = 1000 * UNIX_SECONDS;

/// The wait that a number of seconds states: from now, or, for a large number, until that Unix time in seconds or
/// milliseconds.
pub(super) fn unix_time_or_wait(nanos: i128, now: impl FnOnce() -> i128) -> i128 {
    match nanos {
        UNIX_MILLIS.. => (nanos / 1000).saturating_sub(now()),
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
