//! [`HeadersStrategy`]: waiting until the time that response headers state.

use std::time::SystemTime;

use crate::hint::{Hint, HintError, HintSource, ResetFormat, server_time};

/// The names of the headers with a quota and its reset.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase", deny_unknown_fields))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HeadersStrategy {
    /// The header with the quota's size. For display; no decision uses it.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub limit_header: Option<String>,
    /// The header with the remaining units; without it, the reset alone counts.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub remaining_header: Option<String>,
    /// The header with the reset time.
    pub reset_header: String,
    /// The format of the reset time.
    #[cfg_attr(feature = "serde", serde(default))]
    pub reset_format: ResetFormat,
    /// The tries of one [`Sequence`](super::Sequence), the first included. For [`Strategy::decide`](super::Strategy::decide).
    #[cfg_attr(
        feature = "serde",
        serde(default = "default_limit", skip_serializing_if = "is_default_limit")
    )]
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub limit: u32,
}

/// As [`RetryOptions`](crate::RetryOptions) by default.
const fn default_limit() -> u32 {
    5
}

#[cfg(feature = "serde")]
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_default_limit(limit: &u32) -> bool {
    *limit == default_limit()
}

impl HeadersStrategy {
    /// Waits until the time in `reset_header`, a Unix time in seconds. The other settings are fields.
    #[must_use]
    pub fn new(reset_header: impl Into<String>) -> Self {
        Self {
            limit_header: None,
            remaining_header: None,
            reset_header: reset_header.into(),
            reset_format: ResetFormat::default(),
            limit: default_limit(),
        }
    }

    /// The wait until the reset, if nothing remains. By the server's clock, if the response has a `Date`.
    ///
    /// As in Trigger.dev, both named headers must be present and the remaining units must be zero. For other rules use
    /// [`remaining`](Self::remaining) and [`reset`](Self::reset).
    ///
    /// # Errors
    /// If one of the two headers is malformed.
    pub fn hint<'a>(
        &self,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
        now: SystemTime,
    ) -> Result<Option<Hint>, HintError> {
        let seen = self.seen(headers);
        if self.remaining_header.is_some() && seen.reset.is_some() {
            let Some(remaining) = seen.remaining()? else { return Ok(None) };
            if remaining > 0.0 {
                return Ok(None);
            }
        }
        seen.reset(self.reset_format, now)
    }

    /// The remaining units, if the response states them.
    ///
    /// # Errors
    /// If the header is not a number.
    pub fn remaining<'a>(
        &self,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Option<f64>, HintError> {
        self.seen(headers).remaining()
    }

    /// The wait until the reset, if the response states it, whatever remains. By the server's clock, if the response has a
    /// `Date`.
    ///
    /// # Errors
    /// If the header is not in the format.
    pub fn reset<'a>(
        &self,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
        now: SystemTime,
    ) -> Result<Option<Hint>, HintError> {
        self.seen(headers).reset(self.reset_format, now)
    }

    fn seen<'a>(&self, headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> QuotaHeaders<'a> {
        let mut seen = QuotaHeaders::default();
        for (name, value) in headers {
            if self.remaining_header.as_ref().is_some_and(|remaining| name.eq_ignore_ascii_case(remaining)) {
                seen.remaining.get_or_insert(value);
            }
            if name.eq_ignore_ascii_case(&self.reset_header) {
                seen.reset.get_or_insert(value);
            }
            if name.eq_ignore_ascii_case("date") || name.eq_ignore_ascii_case("age") {
                seen.clock.push((name, value));
            }
        }
        seen
    }
}

/// The values of the named headers.
#[derive(Default)]
struct QuotaHeaders<'a> {
    remaining: Option<&'a str>,
    reset: Option<&'a str>,
    /// The headers of the server's clock.
    clock: Vec<(&'a str, &'a str)>,
}

impl QuotaHeaders<'_> {
    fn remaining(&self) -> Result<Option<f64>, HintError> {
        let Some(remaining) = self.remaining.map(str::trim) else { return Ok(None) };
        match remaining.parse::<f64>() {
            Ok(left) if left.is_finite() => Ok(Some(left)),
            _ => Err(HintError::new("remaining count", remaining, "a number like 0 or 42")),
        }
    }

    fn reset(self, format: ResetFormat, now: SystemTime) -> Result<Option<Hint>, HintError> {
        let Some(reset) = self.reset else { return Ok(None) };
        let asked = format.read(reset, server_time(self.clock, now))?;
        Ok(Some(Hint::new(asked, HintSource::Strategy)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn headers() -> HeadersStrategy {
        HeadersStrategy {
            limit_header: Some("x-limit".into()),
            remaining_header: Some("x-remaining".into()),
            ..HeadersStrategy::new("x-reset")
        }
    }

    fn hint(pairs: &[(&str, &str)]) -> Result<Option<Duration>, HintError> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
        headers().hint(pairs.iter().copied(), now).map(|hint| hint.map(|hint| hint.delay))
    }

    #[test]
    fn a_reset_counts_only_if_nothing_remains() {
        let wait = Ok(Some(Duration::from_secs(7)));
        assert_eq!(hint(&[("X-Remaining", " 0 "), ("x-reset", "107")]), wait);
        assert_eq!(hint(&[("x-remaining", "0.0"), ("x-reset", "107")]), wait);
        for pairs in [
            &[][..],
            &[("x-remaining", "0")],
            &[("x-reset", "107")],
            &[("x-remaining", "1"), ("x-reset", "107")],
        ] {
            assert_eq!(hint(pairs), Ok(None), "{pairs:?}");
        }
        assert!(hint(&[("x-remaining", "none"), ("x-reset", "107")]).is_err());
        assert!(hint(&[("x-remaining", "0"), ("x-reset", "soon")]).is_err());
    }

    #[test]
    fn without_a_remaining_header_the_reset_alone_counts() {
        let strategy = HeadersStrategy { remaining_header: None, ..headers() };
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
        for pairs in [&[("x-reset", "107")][..], &[("x-remaining", "1"), ("x-reset", "107")]] {
            let hint = strategy.hint(pairs.iter().copied(), now).unwrap();
            assert_eq!(hint.map(|hint| hint.delay), Some(Duration::from_secs(7)), "{pairs:?}");
        }
        assert_eq!(strategy.hint([], now), Ok(None));
    }

    #[test]
    fn both_headers_can_be_read_separately() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
        let pairs = [("x-remaining", "3"), ("x-reset", "107")];
        assert_eq!(headers().remaining(pairs), Ok(Some(3.0)));
        assert_eq!(headers().reset(pairs, now).unwrap().unwrap().delay, Duration::from_secs(7));
        assert_eq!((headers().remaining([]), headers().reset([], now)), (Ok(None), Ok(None)));
        assert!(headers().remaining([("x-remaining", "few")]).is_err());
    }

    #[test]
    fn the_servers_clock_counts() {
        let pairs =
            [("x-remaining", "0"), ("x-reset", "784111787"), ("date", "Sun, 06 Nov 1994 08:49:37 GMT")];
        assert_eq!(hint(&pairs), Ok(Some(Duration::from_secs(10))));
    }
}
