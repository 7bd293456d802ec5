//! `$before` and `$after`: moments written as RFC 3339 says, compared to the nanosecond.
//!
//! The text is read by this crate, not by a library for dates: the grammar is short, and a library would accept other
//! forms too (a space for the `T`, a missing offset), so that the meaning of a filter would depend on its version.

/// A moment: nanoseconds since 0000-01-01T00:00:00Z. Digits after the ninth of a fraction are ignored. A leap second is the
/// moment of the second after it, as in Unix time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(i128);

impl Moment {
    /// Reads a date and time with an offset; in time linear in the length of the text.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let mut rest = Digits(text);
        let (year, month, day) = (rest.number(4)?, rest.after(b"-", 2)?, rest.after(b"-", 2)?);
        let (hour, minute, second) = (rest.after(b"Tt", 2)?, rest.after(b":", 2)?, rest.after(b":", 2)?);
        let nanoseconds = rest.fraction()?;
        let offset = rest.offset()?;
        let days_of_month = days(month, is_leap_year(year))?;
        if !(1..=days_of_month).contains(&day)
            || hour > 23
            || minute > 59
            || second > 60
            || !rest.0.is_empty()
        {
            return None;
        }
        let minutes = (day_number(year, month, day) * 24 + hour) * 60 + minute - offset;
        // Leap seconds are inserted at the end of a day in UTC.
        if second == 60 && minutes.rem_euclid(24 * 60) != 24 * 60 - 1 {
            return None;
        }
        Some(Self(i128::from(minutes * 60 + second) * 1_000_000_000 + i128::from(nanoseconds)))
    }

    /// Nanoseconds since 0000-01-01T00:00:00Z, a 68-bit number and perhaps negative.
    pub(crate) fn nanoseconds(self) -> i128 {
        self.0
    }
}

/// A bound: a moment, and whether values must be after or before it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TimeBound {
    pub(crate) at: Moment,
    pub(crate) after: bool,
    source: Box<str>,
}

impl TimeBound {
    pub(crate) fn new(text: &str, after: bool) -> Option<Self> {
        Some(Self { at: Moment::parse(text.as_bytes())?, after, source: text.into() })
    }

    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// Whether a text is a moment on the right side of the bound.
    pub(crate) fn holds(&self, text: &[u8]) -> bool {
        Moment::parse(text).is_some_and(|moment| if self.after { moment > self.at } else { moment < self.at })
    }
}

/// The rest of a text.
struct Digits<'t>(&'t [u8]);

impl Digits<'_> {
    /// Exactly `count` digits.
    fn number(&mut self, count: usize) -> Option<i64> {
        let digits = self.0.get(..count)?;
        self.0 = &self.0[count..];
        digits.iter().try_fold(0, |number, digit| {
            digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0'))
        })
    }

    /// One of these bytes.
    fn byte(&mut self, allowed: &[u8]) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        allowed.contains(&first).then_some(first)
    }

    fn after(&mut self, separators: &[u8], count: usize) -> Option<i64> {
        self.byte(separators)?;
        self.number(count)
    }

    /// Nanoseconds; 0 without a fraction.
    fn fraction(&mut self) -> Option<i64> {
        let Some(rest) = self.0.strip_prefix(b".") else { return Some(0) };
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.0 = &rest[count..];
        let digits = rest[..count].iter().map(|digit| i64::from(digit - b'0'));
        let nine = digits.chain(std::iter::repeat(0)).take(9);
        (count > 0).then(|| nine.fold(0, |number, digit| number * 10 + digit))
    }

    /// Minutes east of UTC.
    fn offset(&mut self) -> Option<i64> {
        let sign = match self.byte(b"Zz+-")? {
            b'+' => 1,
            b'-' => -1,
            _ => return Some(0),
        };
        let (hours, minutes) = (self.number(2)?, self.after(b":", 2)?);
        (hours <= 23 && minutes <= 59).then_some(sign * (hours * 60 + minutes))
    }
}

fn is_leap_year(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

/// The days of a month; `None` if there is no such month.
fn days(month: i64, leap: bool) -> Option<i64> {
    Some(match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    })
}

/// The number of days from 0000-01-01.
fn day_number(year: i64, month: i64, day: i64) -> i64 {
    // Leap days before this year; the year 0 has one.
    let leap_days = (year + 3) / 4 - (year + 99) / 100 + (year + 399) / 400;
    let months: i64 = (1..month).filter_map(|month| days(month, is_leap_year(year))).sum();
    year * 365 + leap_days + months + day - 1
}

#[cfg(test)]
mod tests {
    use super::Moment;

    fn moment(text: &str) -> Option<Moment> {
        Moment::parse(text.as_bytes())
    }

    #[test]
    fn equal_moments() {
        for (a, b) in [
            ("2024-02-29T12:00:00Z", "2024-02-29T13:30:00+01:30"),
            ("2024-01-01T00:00:00Z", "2023-12-31T23:00:00-01:00"),
            ("2024-01-01t00:00:00.000000000z", "2024-01-01T00:00:00-00:00"),
            ("2024-01-01T00:00:00.1234567891Z", "2024-01-01T00:00:00.123456789Z"),
            ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
            ("2016-12-31T15:59:60.5-08:00", "2017-01-01T00:00:00.500Z"),
            ("0000-01-01T00:00:00+01:00", "0000-01-01T00:00:00+01:00"),
        ] {
            assert!(moment(a).is_some(), "{a}");
            assert_eq!(moment(a), moment(b), "{a} and {b}");
        }
    }

    #[test]
    fn moments_in_order() {
        let ascending = [
            "0000-01-01T00:00:00+23:59",
            "0000-01-01T00:00:00Z",
            "0000-02-29T00:00:00Z",
            "0000-03-01T00:00:00Z",
            "1899-12-31T23:59:59.999999999Z",
            "1900-02-28T23:59:59Z",
            "1900-03-01T00:00:00Z",
            "1999-12-31T23:59:59Z",
            "2000-02-29T00:00:00Z",
            "2024-01-01T00:00:00.000000001Z",
            "2024-01-01T00:00:00.00000001Z",
            "2024-01-01T00:00:00.9Z",
            "9999-12-31T23:59:59.999999999Z",
            "9999-12-31T23:59:59-23:59",
        ];
        for pair in ascending.windows(2) {
            assert!(moment(pair[0]).unwrap() < moment(pair[1]).unwrap(), "{pair:?}");
        }
    }

    #[test]
    fn other_texts_are_no_moments() {
        for text in [
            "",
            "2024-01-01",
            "2024-01-01T00:00:00",
            "2024-01-01 00:00:00Z",
            "2024-01-01T00:00Z",
            "2024-1-01T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-00-01T00:00:00Z",
            "2024-01-00T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:60:00Z",
            "2024-01-01T00:00:60Z",
            "2024-01-01T00:00:61Z",
            "2024-01-01T00:00:00.Z",
            "2024-01-01T00:00:00,5Z",
            "2024-01-01T00:00:00+24:00",
            "2024-01-01T00:00:00+0100",
            "2024-01-01T00:00:00+01",
            "2024-01-01T00:00:00Z ",
            " 2024-01-01T00:00:00Z",
            "+024-01-01T00:00:00Z",
            "20240101T000000Z",
            "2024-01-01T00:00:00é",
        ] {
            assert_eq!(moment(text), None, "{text}");
        }
    }

    #[test]
    fn each_day_follows_the_day_before() {
        let mut before = None;
        for year in 1896..=2104_i64 {
            for month in 1..=12 {
                for day in 1..=31 {
                    let Some(Moment(this)) = moment(&format!("{year}-{month:02}-{day:02}T00:00:00Z")) else {
                        continue;
                    };
                    assert!(
                        before.is_none_or(|before| this - before == 86_400_000_000_000),
                        "{year}-{month}-{day}"
                    );
                    before = Some(this);
                }
            }
        }
    }
}
