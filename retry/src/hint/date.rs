//! Dates in header text: ISO 8601 and HTTP dates, as nanoseconds since the Unix epoch.
//!
//! The ISO 8601 parser is written here: the subset is one page, and a calendar crate would be the largest dependency. HTTP
//! dates have three historic forms and go to `httpdate`; what servers send near them is read here.

use super::requested::{NANOS_PER_SEC, since_epoch};

/// An HTTP date in any of its three forms (RFC 9110, section 5.6.7), or near them.
pub(super) fn http(text: &str) -> Option<i128> {
    httpdate::parse_http_date(text).ok().map(since_epoch).or_else(|| near_http(text))
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A date near the RFC's first form, as libraries for mail and cookies write it: `UTC` or an offset for `GMT`, a day of one
/// digit, a date joined with `-`, any letter case, a weekday that is missing. A wrong weekday is ignored: the date is what the
/// server computed, the name is often of another time zone.
fn near_http(text: &str) -> Option<i128> {
    let mut words = text.split_ascii_whitespace();
    let first = words.next()?;
    let date = match first.strip_suffix(',') {
        Some(weekday) if weekday.bytes().all(|byte| byte.is_ascii_alphabetic()) => words.next()?,
        Some(_) => return None,
        None => first,
    };
    let (day, month, year) = match date.split_once('-') {
        Some((day, rest)) => {
            let (month, year) = rest.split_once('-')?;
            (day, month, year)
        }
        None => (date, words.next()?, words.next()?),
    };
    let (time, zone) = (words.next()?, words.next()?);
    if words.next().is_some() || !(1..=2).contains(&day.len()) {
        return None;
    }
    let month = MONTHS.iter().zip(1..).find(|(name, _)| name.eq_ignore_ascii_case(month))?.1;
    let year = Some(year).filter(|year| year.len() == 4).and_then(whole)?;
    let midnight = midnight(year, month, whole(day)?)?;
    let mut rest = Cursor { rest: time.as_bytes() };
    let (seconds, nanos) = time_of_day(&mut rest)?;
    let gmt = ["GMT", "UTC", "UT", "Z"].iter().any(|name| name.eq_ignore_ascii_case(zone));
    let offset = match zone.as_bytes() {
        _ if gmt => 0,
        [b'+' | b'-', ..] => {
            let mut zone = Cursor { rest: zone.as_bytes() };
            offset(&mut zone).filter(|_| zone.is_empty())?
        }
        _ => return None,
    };
    rest.is_empty().then_some(i128::from(midnight + seconds - offset) * NANOS_PER_SEC + nanos)
}

/// A few digits, and nothing else.
fn whole(text: &str) -> Option<i64> {
    let mut digits = Cursor { rest: text.as_bytes() };
    digits.digits(text.len())
}

/// An ISO 8601 time: a calendar date, then optionally `T` or a space and a time with optional seconds,
/// fraction and offset (`Z`, `±hh`, `±hhmm`, `±hh:mm`). Without an offset it is UTC. 24:00 is the end of the
/// day; second 60, a leap second, is the first of the next minute.
pub(super) fn iso_8601(text: &str) -> Option<i128> {
    let mut rest = Cursor { rest: text.as_bytes() };
    let year = rest.digits(4)?;
    let extended = rest.eat(b'-');
    let month = rest.digits(2)?;
    if extended && !rest.eat(b'-') {
        return None;
    }
    let midnight = midnight(year, month, rest.digits(2)?)?;
    if rest.is_empty() {
        return Some(i128::from(midnight) * NANOS_PER_SEC);
    }
    if !(rest.eat(b'T') || rest.eat(b't') || rest.eat(b' ')) {
        return None;
    }
    let (seconds, nanos) = time_of_day(&mut rest)?;
    let offset = offset(&mut rest)?;
    rest.is_empty().then_some(i128::from(midnight + seconds - offset) * NANOS_PER_SEC + nanos)
}

/// The beginning of a day, if there is such a day, in seconds since the Unix epoch.
fn midnight(year: i64, month: i64, day: i64) -> Option<i64> {
    let exists = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
    exists.then(|| days_from_civil(year, month, day) * 86_400)
}

fn time_of_day(rest: &mut Cursor<'_>) -> Option<(i64, i128)> {
    let hour = rest.digits(2)?;
    let colon = rest.eat(b':');
    let minute = rest.digits(2)?;
    let has_seconds = if colon { rest.eat(b':') } else { rest.rest.first().is_some_and(u8::is_ascii_digit) };
    let (second, nanos) = if has_seconds { (rest.digits(2)?, rest.fraction()?) } else { (0, 0) };
    let in_day = hour < 24 && minute < 60 && second <= 60;
    let end_of_day = hour == 24 && minute == 0 && second == 0 && nanos == 0;
    (in_day || end_of_day).then_some((hour * 3600 + minute * 60 + second, nanos))
}

/// Seconds east of UTC.
fn offset(rest: &mut Cursor<'_>) -> Option<i64> {
    let sign = if rest.eat(b'+') {
        1
    } else if rest.eat(b'-') {
        -1
    } else {
        // `Z` and no offset both mean UTC.
        let _ = rest.eat(b'Z') || rest.eat(b'z');
        return Some(0);
    };
    let hours = rest.digits(2)?;
    let minutes = if rest.eat(b':') || !rest.is_empty() { rest.digits(2)? } else { 0 };
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

struct Cursor<'a> {
    rest: &'a [u8],
}

impl Cursor<'_> {
    fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.rest.first() == Some(&byte);
        if found {
            self.rest = &self.rest[1..];
        }
        found
    }

    /// Exactly `count` digits.
    fn digits(&mut self, count: usize) -> Option<i64> {
        let (digits, rest) = self.rest.split_at_checked(count)?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        self.rest = rest;
        Some(digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
    }

    /// A point or comma and digits, as nanoseconds; finer digits are dropped. Without a point, zero.
    fn fraction(&mut self) -> Option<i128> {
        if !(self.eat(b'.') || self.eat(b',')) {
            return Some(0);
        }
        let count = self.rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let (digits, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        if digits.is_empty() {
            return None;
        }
        let mut place = NANOS_PER_SEC;
        Some(digits.iter().fold(0, |nanos, digit| {
            place /= 10;
            nanos + i128::from(digit - b'0') * place
        }))
    }
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar, for years 0 to 9999. The year is taken
/// to start in March, so that the leap day is its last (Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms").
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(text: &str) -> Option<i128> {
        iso_8601(text).map(|nanos| nanos / NANOS_PER_SEC)
    }

    #[test]
    fn iso_times() {
        for (text, expected) in [
            ("1970-01-01", 0),
            ("1970-01-01T00:00:01Z", 1),
            ("2026-01-01T00:00:00.000Z", 1_767_225_600),
            ("2026-01-01 00:00:00", 1_767_225_600),
            ("20260101T000000Z", 1_767_225_600),
            ("20260101T0000", 1_767_225_600),
            ("2026-01-01T00:00Z", 1_767_225_600),
            ("2026-01-01t01:00:00+01:00", 1_767_225_600),
            ("2026-01-01T01:00:00+01", 1_767_225_600),
            ("2025-12-31T19:30:00-0430", 1_767_225_600),
            ("2025-12-31T24:00:00Z", 1_767_225_600),
            ("2025-12-31T23:59:60Z", 1_767_225_600),
            ("2024-02-29", 1_709_164_800),
            ("0000-03-01", -62_162_035_200),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
        ] {
            assert_eq!(secs(text), Some(expected), "{text}");
        }
        assert_eq!(iso_8601("1970-01-01T00:00:00,5Z"), Some(500_000_000));
        assert_eq!(iso_8601("1970-01-01T00:00:00.1234567891Z"), Some(123_456_789));
    }

    #[test]
    fn malformed_iso_times() {
        for text in [
            "",
            "2026",
            "2026-01",
            "2026-13-01",
            "2026-00-01",
            "2026-02-29",
            "1900-02-29",
            "2026-04-31",
            "2026-01-01T",
            "2026-01-01T25:00Z",
            "2026-01-01T24:00:01Z",
            "2026-01-01T00:60Z",
            "2026-01-01T00:00:61Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00Z ",
            "2026-01-01T00:00:00+",
            "2026-01-01T00:00:00+24:00",
            "2026-01-01T00:00:00+01:",
            "2026-01-01X00:00:00Z",
            "2026-0101",
            "not-a-date",
            "२०२६-01-01",
        ] {
            assert_eq!(iso_8601(text), None, "{text}");
        }
    }

    #[test]
    fn http_dates_in_three_forms() {
        for text in
            ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
        {
            assert_eq!(http(text), Some(784_111_777 * NANOS_PER_SEC), "{text}");
        }
        for text in ["soon", "Sun, x Nov 1994 08:49:37 GMT", "Sun,06 Nov 1994 08:49:37 GMT"] {
            assert_eq!(http(text), None, "{text}");
        }
    }

    #[test]
    fn dates_near_the_forms() {
        for text in [
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37 +0000",
            "Sun, 06 Nov 1994 08:49:37 -0000",
            "Sun, 06 Nov 1994 10:19:37 +0130",
            "Sat, 05 Nov 1994 20:49:37 -12:00",
            "sun, 06 nov 1994 08:49:37 gmt",
            "Mon, 06 Nov 1994 08:49:37 GMT",
            "06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-1994 08:49:37 GMT",
            "Sun,  06  Nov 1994 08:49:37 Z",
        ] {
            assert_eq!(http(text), Some(784_111_777 * NANOS_PER_SEC), "{text}");
        }
        for text in [
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 EST",
            "Sun, 06 Nov 1994 08:49:37 +",
            "Sun, 06 Nov 1994 08:49:37 +0000 x",
            "Sun, 31 Nov 1994 08:49:37 UTC",
            "Sun, 00 Nov 1994 08:49:37 UTC",
            "Sun, 006 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 94 08:49:37 UTC",
            "Sun, 06 Nov 1994 25:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37x UTC",
            "Sun, 06-Nov 1994 08:49:37 UTC",
            "12, 06 Nov 1994 08:49:37 UTC",
            "",
        ] {
            assert_eq!(http(text), None, "{text}");
        }
    }
}
