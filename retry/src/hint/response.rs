//! From a response's headers to at most one [`Hint`]. The rules it follows are in the [module's docs](super).

use std::time::SystemTime;

use super::number::decimal;
use super::rate_limit::{Quotas, quotas};
use super::requested::{NANOS_PER_MILLI, NANOS_PER_SEC, Requested, since_epoch};
use super::{Hint, HintError, HintSource, Reading, date};

/// The hint in a response's headers, if there is one. Names may be of any case; `now` is this side's clock.
///
/// Prefer [`from_response`] where the status is known: it does not take the `RateLimit-Reset` of a successful
/// response for a request to wait.
///
/// ```
/// use retry::hint::{HintSource, from_headers};
/// use std::time::{Duration, SystemTime};
///
/// let headers = [("Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT"), ("Date", "Sun, 06 Nov 1994 08:49:07 GMT")];
/// let hint = from_headers(headers, SystemTime::UNIX_EPOCH).unwrap();
/// assert_eq!(hint.delay, Duration::from_secs(30)); // by the server's clock, whatever this side's says
/// assert_eq!(hint.source, HintSource::RetryAfterDate);
/// ```
pub fn from_headers<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    now: SystemTime,
) -> Option<Hint> {
    read(None, headers, now).hint
}

/// As [`from_headers`], for a response with `status`: a `RateLimit-Reset` that does not say how much remains
/// counts only on 429 and 503.
pub fn from_response<'a>(
    status: u16,
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    now: SystemTime,
) -> Option<Hint> {
    read(Some(status), headers, now).hint
}

/// The server's clock at the moment `now` on this side: its `Date`, plus `Age` if a cache kept the response;
/// without a usable `Date`, `now` itself. For use with [`ResetFormat`](super::ResetFormat).
pub fn server_time<'a>(headers: impl IntoIterator<Item = (&'a str, &'a str)>, now: SystemTime) -> SystemTime {
    let ahead =
        HintHeaders::collect(headers).server_now(now, &mut Vec::new()).saturating_sub(since_epoch(now));
    match Requested::from_nanos(ahead) {
        Requested::Wait(ahead) => now.checked_add(ahead),
        Requested::Past(behind) => now.checked_sub(behind),
    }
    .unwrap_or(now)
}

/// As [`from_response`], with the malformed headers. `status` may be unknown. Linear in the length of the headers;
/// allocates only for malformed headers.
pub fn read<'a>(
    status: Option<u16>,
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    now: SystemTime,
) -> Reading {
    let seen = HintHeaders::collect(headers);
    let mut problems = Vec::new();
    let hint = seen.find(status, now, &mut problems).map(|(asked, source)| Hint::new(asked, source));
    Reading { hint, problems }
}

/// The hint headers, as text.
#[derive(Default)]
struct HintHeaders<'a> {
    retry_after_ms: Option<&'a str>,
    x_ms_retry_after_ms: Option<&'a str>,
    retry_after: Option<&'a str>,
    rate_limit: Option<(Quotas, &'a str)>,
    reset: Option<&'a str>,
    remaining: Option<&'a str>,
    date: Option<&'a str>,
    age: Option<&'a str>,
}

const MILLIS_EXPECTED: &str = "a number of milliseconds";
const SECONDS_EXPECTED: &str = "a number of seconds";

impl<'a> HintHeaders<'a> {
    fn collect(headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut seen = Self::default();
        for (name, value) in headers {
            let slot = match name.len() {
                3 if name.eq_ignore_ascii_case("age") => &mut seen.age,
                4 if name.eq_ignore_ascii_case("date") => &mut seen.date,
                11 if name.eq_ignore_ascii_case("retry-after") => &mut seen.retry_after,
                14 if name.eq_ignore_ascii_case("retry-after-ms") => &mut seen.retry_after_ms,
                15 if name.eq_ignore_ascii_case("ratelimit-reset") => &mut seen.reset,
                19 if name.eq_ignore_ascii_case("ratelimit-remaining") => &mut seen.remaining,
                19 if name.eq_ignore_ascii_case("x-ms-retry-after-ms") => &mut seen.x_ms_retry_after_ms,
                9 if name.eq_ignore_ascii_case("ratelimit") => {
                    seen.add_quotas(value.trim());
                    continue;
                }
                _ => continue,
            };
            slot.get_or_insert_with(|| value.trim());
        }
        seen
    }

    /// A list field may come as several lines, which mean the same as one.
    fn add_quotas(&mut self, line: &'a str) {
        let new = quotas(line);
        let keep = match (self.rate_limit.map(|(old, _)| old), new) {
            (Some(Quotas::Exhausted(old)), Quotas::Exhausted(new)) => new > old,
            (Some(Quotas::Exhausted(_)), _) | (Some(Quotas::Room), Quotas::Unreadable | Quotas::Room) => {
                false
            }
            _ => true,
        };
        if keep {
            self.rate_limit = Some((new, line));
        }
    }

    fn find(
        &self,
        status: Option<u16>,
        now: SystemTime,
        problems: &mut Vec<HintError>,
    ) -> Option<(Requested, HintSource)> {
        let millis = [
            (self.retry_after_ms, HintSource::RetryAfterMs),
            (self.x_ms_retry_after_ms, HintSource::XMsRetryAfterMs),
        ];
        for (text, source) in millis {
            let Some(text) = text else { continue };
            match decimal(text, NANOS_PER_MILLI) {
                Some(nanos) => return Some((Requested::from_nanos(nanos), source)),
                None => problems.push(HintError::new(source.name(), text, MILLIS_EXPECTED)),
            }
        }
        if let Some(text) = self.retry_after {
            if let Some(nanos) = decimal(text, NANOS_PER_SEC) {
                return Some((Requested::from_nanos(nanos), HintSource::RetryAfterSeconds));
            }
            if let Some(at) = date::http(text) {
                let wait = at.saturating_sub(self.server_now(now, problems));
                return Some((Requested::from_nanos(wait), HintSource::RetryAfterDate));
            }
            problems.push(HintError::new("Retry-After", text, "a number of seconds or an HTTP date"));
        }
        if self.is_cached() {
            return None;
        }
        match self.rate_limit {
            Some((Quotas::Exhausted(wait), _)) => {
                return Some((Requested::from_nanos(wait), HintSource::RateLimit));
            }
            Some((Quotas::Unreadable, line)) => {
                problems.push(HintError::new("RateLimit", line, "members like \"name\";r=0;t=30"));
            }
            Some((Quotas::Room, _)) | None => {}
        }
        self.reset(status, now, problems).map(|asked| (asked, HintSource::RateLimitReset))
    }

    /// Whether the response comes from a cache, so that its quotas are out of date.
    fn is_cached(&self) -> bool {
        self.age.and_then(|text| decimal(text, 1)).is_some_and(|secs| secs > 0)
    }

    fn reset(
        &self,
        status: Option<u16>,
        now: SystemTime,
        problems: &mut Vec<HintError>,
    ) -> Option<Requested> {
        let text = self.reset?;
        let remaining = self.remaining.and_then(|text| {
            let number = decimal(text, 1);
            if number.is_none() {
                problems.push(HintError::new("RateLimit-Remaining", text, "a number"));
            }
            number
        });
        let exhausted = match remaining {
            Some(left) => left <= 0,
            None => matches!(status, None | Some(429 | 503)),
        };
        if !exhausted {
            return None;
        }
        let Some(nanos) = decimal(text, NANOS_PER_SEC) else {
            problems.push(HintError::new("RateLimit-Reset", text, SECONDS_EXPECTED));
            return None;
        };
        // A number of 31 years or more is a Unix time, in seconds or, a thousand times larger, in milliseconds.
        const UNIX_SECONDS: i128 = 1_000_000_000 * NANOS_PER_SEC;
        const UNIX_MILLIS: i128 = 1000 * UNIX_SECONDS;
        let at = match nanos {
            UNIX_MILLIS.. => nanos / 1000,
            UNIX_SECONDS.. => nanos,
            _ => return Some(Requested::from_nanos(nanos)),
        };
        Some(Requested::from_nanos(at.saturating_sub(self.server_now(now, problems))))
    }

    /// Nanoseconds since the epoch by the server's clock.
    fn server_now(&self, now: SystemTime, problems: &mut Vec<HintError>) -> i128 {
        let Some(text) = self.date else { return since_epoch(now) };
        let Some(sent) = date::http(text) else {
            problems.push(HintError::new("Date", text, "an HTTP date"));
            return since_epoch(now);
        };
        let age = self.age.and_then(|text| {
            let age = decimal(text, NANOS_PER_SEC);
            if age.is_none() {
                problems.push(HintError::new("Age", text, SECONDS_EXPECTED));
            }
            age
        });
        sent.saturating_add(age.unwrap_or(0).max(0))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::hint::LONGEST;

    const SECOND: Duration = Duration::from_secs(1);

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)
    }

    fn delay(headers: &[(&str, &str)]) -> Option<Duration> {
        from_headers(headers.iter().copied(), now()).map(|hint| hint.delay)
    }

    #[test]
    fn each_header_is_read() {
        for (name, value, millis, source) in [
            ("retry-after-ms", "1250", 1250, HintSource::RetryAfterMs),
            ("X-MS-Retry-After-Ms", "75.5", 75, HintSource::XMsRetryAfterMs),
            ("Retry-After", "120", 120_000, HintSource::RetryAfterSeconds),
            ("retry-after", " 1.5 ", 1_500, HintSource::RetryAfterSeconds),
            ("RETRY-AFTER", "Sun, 06 Nov 1994 08:49:47 GMT", 10_000, HintSource::RetryAfterDate),
            ("RateLimit", "\"a\";r=0;t=9", 9_000, HintSource::RateLimit),
            ("RateLimit-Reset", "8", 8_000, HintSource::RateLimitReset),
        ] {
            let hint = from_headers([(name, value)], now()).unwrap();
            assert_eq!((hint.delay.as_millis(), hint.source), (millis, source), "{name}");
            assert_eq!(hint.raw, Requested::Wait(hint.delay), "{name}");
        }
    }

    #[test]
    fn the_most_precise_valid_header_counts() {
        let all = [
            ("ratelimit-reset", "6"),
            ("ratelimit", "\"a\";r=0;t=5"),
            ("retry-after", "4"),
            ("x-ms-retry-after-ms", "3000"),
            ("retry-after-ms", "2000"),
        ];
        for (skip, secs) in [(0, 2), (1, 3), (2, 4), (3, 5), (4, 6)] {
            assert_eq!(delay(&all[..all.len() - skip]), Some(secs * SECOND));
        }
        assert_eq!(delay(&[("retry-after-ms", "soon"), ("retry-after", "4")]), Some(4 * SECOND));
        assert_eq!(delay(&[("retry-after", "4"), ("retry-after", "9")]), Some(4 * SECOND));
        assert_eq!(delay(&[]), None);
    }

    #[test]
    fn a_wrong_clock_cancels_out() {
        let date = ("Date", "Sun, 06 Nov 2044 08:49:37 GMT");
        let after = ("Retry-After", "Sun, 06 Nov 2044 08:50:37 GMT");
        assert_eq!(delay(&[date, after]), Some(60 * SECOND));
        assert_eq!(delay(&[date, after, ("Age", "20")]), Some(40 * SECOND));
        assert_eq!(delay(&[("Date", "today"), after]), Some(LONGEST));
        let server = server_time([date], now());
        assert_eq!(server, SystemTime::UNIX_EPOCH + Duration::from_secs(2_362_034_977));
        assert_eq!(server_time([], now()), now());
    }

    #[test]
    fn past_times_are_zero_and_long_waits_are_cut() {
        let hint = from_headers([("Retry-After", "-5")], now()).unwrap();
        assert_eq!((hint.raw, hint.delay), (Requested::Past(5 * SECOND), Duration::ZERO));
        let hint = from_headers([("Retry-After", "Sun, 06 Nov 1994 08:49:36 GMT")], now()).unwrap();
        assert_eq!((hint.raw, hint.delay), (Requested::Past(SECOND), Duration::ZERO));
        let year = Duration::from_secs(31_536_000);
        let hint = from_headers([("Retry-After", "31536000")], now()).unwrap();
        assert_eq!((hint.raw, hint.delay), (Requested::Wait(year), LONGEST));
        let hint = from_headers([("Retry-After", "9".repeat(300).as_str())], now()).unwrap();
        assert_eq!((hint.raw, hint.delay), (Requested::Wait(Duration::MAX), LONGEST));
    }

    #[test]
    fn only_spent_quotas_ask_for_a_wait() {
        assert_eq!(delay(&[("RateLimit", "\"day\";r=5;t=3600")]), None);
        assert_eq!(delay(&[("RateLimit-Reset", "60"), ("RateLimit-Remaining", "3")]), None);
        assert_eq!(delay(&[("RateLimit-Reset", "60"), ("RateLimit-Remaining", "0")]), Some(60 * SECOND));
        let lines = [
            ("RateLimit", "\"a\";r=0;t=9"),
            ("RateLimit", "\"b\";r=0;t=20"),
            ("RateLimit", "\"c\";r=1;t=99"),
        ];
        assert_eq!(delay(&lines), Some(20 * SECOND));

        for quota in [("RateLimit", "\"a\";r=0;t=9"), ("RateLimit-Reset", "60")] {
            assert!(delay(&[quota, ("Age", "0")]).is_some());
            assert_eq!(delay(&[quota, ("Age", "1")]), None);
        }

        let silent = [("RateLimit-Reset", "60")];
        assert_eq!(from_response(200, silent, now()), None);
        assert!(from_response(429, silent, now()).is_some() && from_response(503, silent, now()).is_some());
    }

    #[test]
    fn a_large_reset_is_a_unix_time() {
        assert_eq!(delay(&[("RateLimit-Reset", "1000000007")]), Some(LONGEST));
        let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        for text in ["1000000007", "1000000007000"] {
            assert_eq!(from_headers([("RateLimit-Reset", text)], then).unwrap().delay, 7 * SECOND, "{text}");
        }
    }

    #[test]
    fn malformed_headers_are_reported() {
        let headers = [
            ("retry-after-ms", "1s"),
            ("x-ms-retry-after-ms", ""),
            ("retry-after", "tomorrow"),
            ("ratelimit", "nonsense"),
            ("ratelimit-remaining", "none"),
            ("ratelimit-reset", "never"),
        ];
        let reading = read(Some(429), headers, now());
        assert_eq!(reading.hint, None);
        let names: Vec<&str> = reading.problems.iter().map(HintError::what).collect();
        let expected = [
            "retry-after-ms",
            "x-ms-retry-after-ms",
            "Retry-After",
            "RateLimit",
            "RateLimit-Remaining",
            "RateLimit-Reset",
        ];
        assert_eq!(names, expected);
    }
}
