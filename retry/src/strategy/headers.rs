//! [`HeadersStrategy`]: waiting until the moment that a response's own headers name.

use std::time::SystemTime;

use crate::hint::{Hint, HintError, HintSource, ResetFormat, server_time};

/// Which headers say that a quota is used up, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase", deny_unknown_fields))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HeadersStrategy {
    /// The header with the quota's size. Kept for those who show it; no decision needs it.
    pub limit_header: String,
    /// The header with what remains of it.
    pub remaining_header: String,
    /// The header with the moment it is full again.
    pub reset_header: String,
    /// How that is written.
    #[cfg_attr(feature = "serde", serde(default))]
    pub reset_format: ResetFormat,
}

impl HeadersStrategy {
    /// When to come back, if the headers say that nothing remains. By the server's clock, where it sends its
    /// `Date`.
    ///
    /// As in Trigger.dev, both headers have to be there and the one has to be zero: with room left, waiting
    /// is not what the response was about.
    ///
    /// # Errors
    /// If one of the two is there and cannot be read.
    pub fn hint<'a>(
        &self,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
        now: SystemTime,
    ) -> Result<Option<Hint>, HintError> {
        let (mut remaining, mut reset, mut clock) = (None, None, Vec::new());
        for (name, value) in headers {
            if name.eq_ignore_ascii_case(&self.remaining_header) {
                remaining.get_or_insert(value);
            }
            if name.eq_ignore_ascii_case(&self.reset_header) {
                reset.get_or_insert(value);
            }
            if name.eq_ignore_ascii_case("date") || name.eq_ignore_ascii_case("age") {
                clock.push((name, value));
            }
        }
        let (Some(remaining), Some(reset)) = (remaining, reset) else { return Ok(None) };
        if !is_zero(remaining)? {
            return Ok(None);
        }
        let asked = self.reset_format.read(reset, server_time(clock, now))?;
        Ok(Some(Hint::new(asked, HintSource::Strategy)))
    }
}

fn is_zero(remaining: &str) -> Result<bool, HintError> {
    let remaining = remaining.trim();
    match remaining.parse::<f64>() {
        Ok(left) if left.is_finite() => Ok(left <= 0.0),
        _ => Err(HintError::new("remaining count", remaining, "a number like 0 or 42")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn headers() -> HeadersStrategy {
        HeadersStrategy {
            limit_header: "x-limit".into(),
            remaining_header: "x-remaining".into(),
            reset_header: "x-reset".into(),
            reset_format: ResetFormat::UnixTimestamp,
        }
    }

    fn hint(pairs: &[(&str, &str)]) -> Result<Option<Duration>, HintError> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
        headers().hint(pairs.iter().copied(), now).map(|hint| hint.map(|hint| hint.delay))
    }

    #[test]
    fn headers_count_only_when_nothing_remains() {
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
    fn the_servers_clock_counts() {
        let pairs =
            [("x-remaining", "0"), ("x-reset", "784111787"), ("date", "Sun, 06 Nov 1994 08:49:37 GMT")];
        assert_eq!(hint(&pairs), Ok(Some(Duration::from_secs(10))));
    }
}
