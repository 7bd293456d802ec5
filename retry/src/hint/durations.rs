//! Durations in header text: numbers with units, ISO 8601 durations, and a number with a word.
//!
//! Each form is one table of units, the largest first, which is also their order in text. A unit is read at most once.

use super::number::decimal;
use super::requested::{NANOS_PER_MILLI, NANOS_PER_SEC};

const MINUTE: i128 = 60 * NANOS_PER_SEC;
const HOUR: i128 = 60 * MINUTE;
const DAY: i128 = 24 * HOUR;

/// Go's units, and days.
const UNITS: [(&str, i128); 8] = [
    ("d", DAY),
    ("h", HOUR),
    ("m", MINUTE),
    ("s", NANOS_PER_SEC),
    ("ms", NANOS_PER_MILLI),
    ("us", 1_000),
    ("µs", 1_000),
    ("ns", 1),
];

/// Months and years are left out: their length depends on the date.
const ISO_DATE: [(&str, i128); 2] = [("W", 7 * DAY), ("D", DAY)];
const ISO_TIME: [(&str, i128); 3] = [("H", HOUR), ("M", MINUTE), ("S", NANOS_PER_SEC)];

/// The singular; a plural adds `s`.
const WORDS: [(&str, i128); 12] = [
    ("day", DAY),
    ("d", DAY),
    ("hour", HOUR),
    ("h", HOUR),
    ("minute", MINUTE),
    ("min", MINUTE),
    ("m", MINUTE),
    ("second", NANOS_PER_SEC),
    ("sec", NANOS_PER_SEC),
    ("s", NANOS_PER_SEC),
    ("millisecond", NANOS_PER_MILLI),
    ("ms", NANOS_PER_MILLI),
];

/// `1h2m3.5s`, in nanoseconds.
pub(super) fn units(text: &str) -> Option<i128> {
    if text.is_empty() { None } else { sum(text, &UNITS, |name, unit| name == unit) }
}

/// An ISO 8601 duration without months and years: `PT30S`, `P1DT12H`, `pt1.5s`.
pub(super) fn iso_8601(text: &str) -> Option<i128> {
    let rest = text.strip_prefix(['P', 'p'])?;
    if rest.is_empty() || rest.ends_with(['T', 't']) {
        return None;
    }
    let (date, time) = rest.split_once(['T', 't']).unwrap_or((rest, ""));
    let days = sum(date, &ISO_DATE, str::eq_ignore_ascii_case)?;
    Some(days.saturating_add(sum(time, &ISO_TIME, str::eq_ignore_ascii_case)?))
}

/// A number and a word: `30 seconds`, `2 min`.
pub(super) fn words(text: &str) -> Option<i128> {
    let (number, word) = text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.')?);
    let word = word.trim_start();
    // `ms` is not the plural of `m`.
    let singular = word.strip_suffix(['s', 'S']).filter(|singular| singular.len() > 1).unwrap_or(word);
    let known = |name: &str| name.eq_ignore_ascii_case(word) || name.eq_ignore_ascii_case(singular);
    let (_, unit) = WORDS.iter().find(|(name, _)| known(name))?;
    decimal(number, *unit)
}

/// The sum of numbers with units of the table; `same` compares their names.
fn sum(text: &str, units: &[(&str, i128)], same: fn(&str, &str) -> bool) -> Option<i128> {
    let (mut rest, mut total, mut allowed) = (text, 0_i128, units);
    while !rest.is_empty() {
        let (number, tail) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let (unit, tail) =
            tail.split_at(tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len()));
        let index = allowed.iter().position(|(name, _)| same(name, unit))?;
        total = total.saturating_add(decimal(number, allowed[index].1)?);
        allowed = &allowed[index + 1..];
        rest = tail;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_8601_durations() {
        for (text, millis) in [
            ("PT30S", 30_000),
            ("PT1M30.5S", 90_500),
            ("pt2m", 120_000),
            ("P1D", 86_400_000),
            ("P1W", 604_800_000),
            ("P1DT12H", 129_600_000),
            ("PT0S", 0),
        ] {
            assert_eq!(iso_8601(text), Some(millis * NANOS_PER_MILLI), "{text}");
        }
        for text in
            ["", "P", "PT", "P1DT", "P1M", "P1Y", "PT30", "PT1S1M", "P1H", "PT1D", "30S", "-PT30S", "PT1S "]
        {
            assert_eq!(iso_8601(text), None, "{text}");
        }
        assert!(iso_8601("P99999999999999999999999999999999999999999W").is_some_and(|nanos| nanos > 0));
    }

    #[test]
    fn numbers_with_words() {
        for (text, millis) in [
            ("30 seconds", 30_000),
            ("30 s", 30_000),
            ("1 Second", 1_000),
            ("1.5 minutes", 90_000),
            ("2 mins", 120_000),
            ("1 hour", 3_600_000),
            ("250 ms", 250),
            ("5 DAYS", 432_000_000),
        ] {
            assert_eq!(words(text), Some(millis * NANOS_PER_MILLI), "{text}");
        }
        for text in
            ["", "30", "seconds", "30 apples", "30 seconds or so", "1 hour 5 minutes", "x 5 s", "5 month"]
        {
            assert_eq!(words(text), None, "{text}");
        }
    }
}
