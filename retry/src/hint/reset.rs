//! [`ResetFormat`]: the formats of a rate-limit header's reset time.
//!
//! The names are those of `resetFormat` in Trigger.dev's `headers` strategy. Its parser reads `12abc` as 12 and an empty
//! duration as zero; here both are errors, because the caller's fallback is better than a wait read from half a number.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use super::durations::units;
use super::number::decimal;
use super::requested::{NANOS_PER_MILLI, NANOS_PER_SEC, Requested, since_epoch};
use super::{HintError, date};

/// How the value of a reset header is written.
///
/// | name | example | meaning |
/// | --- | --- | --- |
/// | `unix_timestamp` (default) | `1767225600` | seconds since 1970 |
/// | `unix_timestamp_in_ms` | `1767225600000` | milliseconds since 1970 |
/// | `iso_8601` | `2026-01-01T00:00:00Z` | a time; without an offset it is UTC |
/// | `seconds` | `30`, `1.5` | seconds from now |
/// | `iso_8601_duration_openai_variant` | `1h2m3.5s`, `6ms` | from now |
///
/// ```
/// use retry::hint::ResetFormat;
/// use std::time::{Duration, SystemTime};
///
/// let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_590);
/// let ten = Duration::from_secs(10);
/// assert_eq!(ResetFormat::UnixTimestamp.parse("1767225600", now)?, ten);
/// assert_eq!(ResetFormat::Iso8601.parse("2026-01-01T00:00:00Z", now)?, ten);
/// assert_eq!(ResetFormat::Iso8601DurationOpenaiVariant.parse("10s", now)?, ten);
/// # Ok::<(), retry::hint::HintError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(description = "How the value of a reset header is written."))]
pub enum ResetFormat {
    /// Seconds since 1970.
    #[default]
    UnixTimestamp,
    /// Milliseconds since 1970.
    UnixTimestampInMs,
    /// An ISO 8601 time: date, time, offset.
    #[cfg_attr(feature = "serde", serde(rename = "iso_8601"))]
    Iso8601,
    /// A duration like `1d2h3m4.5s` or `6ms`: numbers with units from days down, each unit at most once. This
    /// is how OpenAI's API (and Go's `time.Duration`, which adds `us` and `ns`) writes one.
    #[cfg_attr(feature = "serde", serde(rename = "iso_8601_duration_openai_variant"))]
    Iso8601DurationOpenaiVariant,
    /// Seconds from now.
    Seconds,
}

impl ResetFormat {
    /// Every format, in the order of the table.
    pub const ALL: [Self; 5] = [
        Self::UnixTimestamp,
        Self::UnixTimestampInMs,
        Self::Iso8601,
        Self::Iso8601DurationOpenaiVariant,
        Self::Seconds,
    ];

    /// The name in serialised form, and what an error expects.
    const fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::UnixTimestamp => ("unix_timestamp", "seconds since 1970 like 1767225600"),
            Self::UnixTimestampInMs => ("unix_timestamp_in_ms", "milliseconds since 1970 like 1767225600000"),
            Self::Iso8601 => ("iso_8601", "a moment like 2026-01-01T00:00:00Z"),
            Self::Iso8601DurationOpenaiVariant => {
                ("iso_8601_duration_openai_variant", "a duration like 1h2m3.5s or 6ms")
            }
            Self::Seconds => ("seconds", "seconds from now like 30 or 1.5"),
        }
    }

    /// The name in serialised form.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.texts().0
    }

    /// The wait from `now` until the reset: zero if it has passed, at most [`LONGEST`](super::LONGEST).
    ///
    /// Pass [`server_time`](super::server_time) as `now`, so that a wrong clock on either side cancels out.
    ///
    /// # Errors
    /// If `text`, apart from spaces around it, is not in this format.
    pub fn parse(&self, text: &str, now: SystemTime) -> Result<Duration, HintError> {
        self.read(text, now).map(Requested::clamped)
    }

    /// As [`parse`](Self::parse), before clamping. Linear in the length of `text`.
    ///
    /// # Errors
    /// The same.
    pub fn read(&self, text: &str, now: SystemTime) -> Result<Requested, HintError> {
        let trimmed = text.trim();
        let until = |at: i128| at.saturating_sub(since_epoch(now));
        let nanos = match self {
            Self::UnixTimestamp => decimal(trimmed, NANOS_PER_SEC).map(until),
            Self::UnixTimestampInMs => decimal(trimmed, NANOS_PER_MILLI).map(until),
            Self::Iso8601 => date::iso_8601(trimmed).map(until),
            Self::Iso8601DurationOpenaiVariant => units(trimmed),
            Self::Seconds => decimal(trimmed, NANOS_PER_SEC),
        };
        nanos.map(Requested::from_nanos).ok_or_else(|| HintError::new("reset time", trimmed, self.texts().1))
    }
}

/// A duration as text: numbers with units, from days down.
#[cfg(feature = "serde")]
pub(crate) fn duration(text: &str) -> Option<Duration> {
    Some(Requested::from_nanos(units(text.trim())?).clamped_to(Duration::MAX))
}

impl fmt::Display for ResetFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ResetFormat {
    type Err = HintError;

    fn from_str(text: &str) -> Result<Self, HintError> {
        Self::ALL.into_iter().find(|format| format.name() == text).ok_or_else(|| {
            HintError::new(
                "reset format",
                text,
                "unix_timestamp, unix_timestamp_in_ms, iso_8601, iso_8601_duration_openai_variant or seconds",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hint::LONGEST;

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600)
    }

    #[test]
    fn durations_as_openai_writes_them() {
        for (text, millis) in [
            ("1s", 1_000),
            ("6m0s", 360_000),
            ("6m59s", 419_000),
            ("1h6m18s", 3_978_000),
            ("1h2m3.5s", 3_723_500),
            ("6ms", 6),
            ("500ms", 500),
            ("4s5ms", 4_005),
            ("1.5h", 5_400_000),
            ("20h3m4s5ms", 72_184_005),
            ("0s", 0),
        ] {
            let wait = ResetFormat::Iso8601DurationOpenaiVariant.parse(text, now());
            assert_eq!(wait, Ok(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(ResetFormat::Seconds.parse("1.5", now()), Ok(Duration::from_millis(1500)));
        let micros = ResetFormat::Iso8601DurationOpenaiVariant.parse("859.5µs", now());
        assert_eq!(micros, Ok(Duration::from_nanos(859_500)));
    }

    #[test]
    fn other_formats_are_errors() {
        let duration = ResetFormat::Iso8601DurationOpenaiVariant;
        for text in ["", "5", "s", "1x", "d1", "1 d", "1dd", "1s1s", "1s1m", "1ms1s", "-1s", "PT1S", "1..5s"]
        {
            assert!(duration.parse(text, now()).is_err(), "{text:?}");
        }
        assert!(duration.parse(" 1s ", now()).is_ok());
        for text in ["", "12abc", "1e9", "soon", "2026-01-01"] {
            assert!(ResetFormat::UnixTimestamp.parse(text, now()).is_err(), "{text}");
            assert!(ResetFormat::UnixTimestampInMs.parse(text, now()).is_err(), "{text}");
        }
        assert!(ResetFormat::Iso8601.parse("1767225600", now()).is_err());
    }

    #[test]
    fn past_times_are_zero_and_long_waits_are_cut() {
        for (format, past, absurd) in [
            (ResetFormat::UnixTimestamp, "1767225599", "99999999999999999999999999"),
            (ResetFormat::UnixTimestampInMs, "-1", "99999999999999999999999999"),
            (ResetFormat::Iso8601, "1999-12-31", "9999-12-31"),
            (ResetFormat::Seconds, "-1", "99999999999999999999999999"),
        ] {
            assert_eq!(format.parse(past, now()), Ok(Duration::ZERO));
            assert!(matches!(format.read(past, now()), Ok(Requested::Past(_))));
            assert_eq!(format.parse(absurd, now()), Ok(LONGEST));
        }
        let years = ResetFormat::Iso8601DurationOpenaiVariant;
        assert_eq!(years.parse("99999999999999999999d", now()), Ok(LONGEST));
        assert_eq!(years.read("400d", now()), Ok(Requested::Wait(Duration::from_secs(400 * 86_400))));
    }

    #[test]
    fn names_round_trip() {
        for format in ResetFormat::ALL {
            assert_eq!(format.name().parse(), Ok(format));
        }
        assert!("unix".parse::<ResetFormat>().is_err());
    }

    #[cfg(feature = "serde")]
    #[test]
    fn wire_names_are_the_names() {
        for format in ResetFormat::ALL {
            let json = format!("\"{}\"", format.name());
            assert_eq!(serde_json::to_string(&format).unwrap(), json);
            assert_eq!(serde_json::from_str::<ResetFormat>(&json).unwrap(), format);
        }
    }
}
