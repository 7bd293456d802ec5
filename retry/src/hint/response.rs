//! From a response's headers to at most one [`Hint`]. The [module's docs](super) have the rules.

use std::time::SystemTime;

use super::number::{decimal, unix_time_or_wait};
use super::quota::{Quotas, XQuotas};
use super::requested::{NANOS_PER_MILLI, NANOS_PER_SEC, Requested, since_epoch};
use super::{Hint, HintError, HintSource, Reading, date, durations};

/// The hint in a response's headers, if there is one. Names may be of any case; `now` is the local clock.
///
/// Prefer [`from_response`] where the status is known: it ignores the `RateLimit-Reset` of a successful response.
///
/// ```
/// use retry::hint::{HintSource, from_headers};
/// use std::time::{Duration, SystemTime};
///
/// let headers = [("Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT"), ("Date", "Sun, 06 Nov 1994 08:49:07 GMT")];
/// let hint = from_headers(headers, SystemTime::UNIX_EPOCH).unwrap();
/// assert_eq!(hint.delay, Duration::from_secs(30)); // by the server's clock; the local clock is 24 years behind
/// assert_eq!(hint.source, HintSource::RetryAfterDate);
/// ```
pub fn from_headers<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    now: SystemTime,
) -> Option<Hint> {
    read(None, headers, now).hint
}

/// As [`from_headers`], for a response with `status`: a `RateLimit-Reset` without `RateLimit-Remaining` counts only on 429
/// and 503.
pub fn from_response<'a>(
    status: u16,
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    now: SystemTime,
) -> Option<Hint> {
    read(Some(status), headers, now).hint
}

/// The server's clock when the local clock shows `now`: the response's `Date`, plus `Age` for a cached response; without a
/// valid `Date`, `now` itself. For use with [`ResetFormat`](super::ResetFormat).
pub fn server_time<'a>(headers: impl IntoIterator<Item = (&'a str, &'a str)>, now: SystemTime) -> SystemTime {
    let ahead = Reader::new(headers, now).server_now().saturating_sub(since_epoch(now));
    match Requested::from_nanos(ahead) {
        Requested::Wait(ahead) => now.checked_add(ahead),
        Requested::Past(behind) => now.checked_sub(behind),
    }
    .unwrap_or(now)
}

/// As [`from_response`], with `should_retry` and the malformed headers. `status` may be unknown. Linear in
/// the length of the headers; allocates only for malformed headers.
pub fn read<'a>(
    status: Option<u16>,
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    now: SystemTime,
) -> Reading {
    let mut reader = Reader::new(headers, now);
    let hint = reader.find(status).map(|(nanos, source)| Hint::new(Requested::from_nanos(nanos), source));
    Reading { hint, should_retry: reader.should_retry, problems: reader.problems }
}

/// Lines of `Retry-After` that are considered.
const LINES: usize = 4;

/// Lines of `RateLimit` that are considered; each may state several quotas.
const QUOTA_LINES: usize = 8;

/// The text of a header, and its value unless malformed.
type MillisValue<'a> = (&'a str, Option<i128>);

/// The hint headers, and the clocks to read them by.
struct Reader<'a> {
    now: SystemTime,
    server_now: Option<i128>,
    problems: Vec<HintError>,
    /// Headers in milliseconds, the most precise first.
    millis: [(HintSource, Option<MillisValue<'a>>); 4],
    retry_after: [Option<&'a str>; LINES],
    rate_limit: [Option<&'a str>; QUOTA_LINES],
    x_quotas: XQuotas<'a>,
    should_retry: Option<bool>,
    date: Option<&'a str>,
    age: Option<&'a str>,
}

impl<'a> Reader<'a> {
    fn new(headers: impl IntoIterator<Item = (&'a str, &'a str)>, now: SystemTime) -> Self {
        let mut reader = Self {
            now,
            server_now: None,
            problems: Vec::new(),
            millis: [
                (HintSource::RetryAfterMs, None),
                (HintSource::XMsRetryAfterMs, None),
                (HintSource::XAmzRetryAfter, None),
                (HintSource::GrpcRetryPushbackMs, None),
            ],
            retry_after: [None; LINES],
            rate_limit: [None; QUOTA_LINES],
            x_quotas: XQuotas::default(),
            should_retry: None,
            date: None,
            age: None,
        };
        for (name, value) in headers {
            reader.add(name, value.trim());
        }
        reader
    }

    fn add(&mut self, name: &'a str, value: &'a str) {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        match name.len() {
            3 if is("age") => _ = self.age.get_or_insert(value),
            4 if is("date") => _ = self.date.get_or_insert(value),
            9 if is("ratelimit") => add_line(&mut self.rate_limit, value),
            11 if is("retry-after") => add_line(&mut self.retry_after, value),
            14 if is("x-should-retry") => self.add_should_retry(value),
            19 if is("stripe-should-retry") => self.add_should_retry(value),
            14 | 17 | 19 | 22 => match self.millis.iter_mut().find(|(source, _)| is(source.name())) {
                // A repeated header counts only after a malformed one.
                Some((_, slot)) if !matches!(slot, Some((_, Some(_)))) => {
                    *slot = Some((value, decimal(value, NANOS_PER_MILLI)));
                }
                Some(_) => {}
                None => self.x_quotas.add(name, value),
            },
            _ => self.x_quotas.add(name, value),
        }
    }

    fn add_should_retry(&mut self, value: &str) {
        match value {
            _ if value.eq_ignore_ascii_case("true") => self.should_retry = Some(true),
            _ if value.eq_ignore_ascii_case("false") => self.should_retry = Some(false),
            _ => self.problems.push(HintError::new("should-retry", value, "true or false")),
        }
    }

    /// The requested wait in nanoseconds, and the header that asks for it.
    fn find(&mut self, status: Option<u16>) -> Option<(i128, HintSource)> {
        for (source, value) in self.millis {
            match value {
                // gRPC A6: a negative or malformed pushback asks for no retry at all.
                Some((_, None | Some(..0))) if source == HintSource::GrpcRetryPushbackMs => {
                    self.should_retry = Some(false);
                }
                Some((_, Some(nanos))) => return Some((nanos, source)),
                Some((text, None)) => {
                    self.problems.push(HintError::new(source.name(), text, "a number of milliseconds"));
                }
                None => {}
            }
        }
        for line in self.retry_after.into_iter().flatten() {
            let found = self.retry_after(line);
            let expected = "a number of seconds or an HTTP date";
            if let Some(found) = self.or_problem(found, "Retry-After", line, expected) {
                return Some(found);
            }
        }
        if self.is_cached() {
            return None;
        }
        match self.rate_limit() {
            Some((Quotas::Exhausted(wait), _)) => return Some((wait, HintSource::RateLimit)),
            Some((Quotas::Unreadable, line)) => {
                self.problems.push(HintError::new("RateLimit", line, "members like \"name\";r=0;t=30"));
            }
            Some((Quotas::Room, _)) | None => {}
        }
        self.x_quotas(status)
    }

    /// The quotas of all lines, which mean the same as one line: the longest wait, or else what any line says. Read only
    /// when no other header asks for a wait, since most of these lines have room.
    fn rate_limit(&self) -> Option<(Quotas, &'a str)> {
        let lines = self.rate_limit.into_iter().flatten().map(|line| (Quotas::read(line), line));
        lines.max_by_key(|(quotas, _)| *quotas)
    }

    /// The wait in one line of `Retry-After`: its first valid item, since proxies join lines with commas. An item may contain a
    /// comma itself, as dates do.
    fn retry_after(&mut self, line: &str) -> Option<(i128, HintSource)> {
        let starts = std::iter::once(0).chain(line.match_indices(',').map(|(comma, _)| comma + 1));
        starts.map(|start| &line[start..]).find_map(|rest| {
            let mut ends = rest.match_indices(',').map(|(comma, _)| comma).chain(std::iter::once(rest.len()));
            let first = ends.next()?;
            let longer = ends.next().and_then(|second| self.retry_after_item(&rest[..second]));
            longer.or_else(|| self.retry_after_item(&rest[..first]))
        })
    }

    fn retry_after_item(&mut self, item: &str) -> Option<(i128, HintSource)> {
        let item = item.trim().trim_matches('"').trim();
        if let Some(nanos) = decimal(item, NANOS_PER_SEC) {
            return Some((unix_time_or_wait(nanos, || self.server_now()), HintSource::RetryAfterSeconds));
        }
        let duration = durations::units(item).or_else(|| durations::iso_8601(item));
        if let Some(nanos) = duration.or_else(|| durations::words(item)) {
            return Some((nanos, HintSource::RetryAfterSeconds));
        }
        let at = date::http(item).or_else(|| date::iso_8601(item))?;
        Some((at.saturating_sub(self.server_now()), HintSource::RetryAfterDate))
    }

    /// Whether the response comes from a cache, so that its quotas are out of date.
    fn is_cached(&self) -> bool {
        self.age.and_then(|text| decimal(text, 1)).is_some_and(|secs| secs > 0)
    }

    /// The longest wait of the spent quotas.
    fn x_quotas(&mut self, status: Option<u16>) -> Option<(i128, HintSource)> {
        let mut longest: Option<(i128, HintSource)> = None;
        let quotas = self.x_quotas;
        for quota in quotas.iter() {
            let remaining = quota
                .remaining
                .and_then(|text| self.or_problem(decimal(text, 1), quota.remaining_name(), text, "a number"));
            let spent = match remaining {
                Some(left) => left <= 0,
                // Of the other headers, servers send the reset with every response.
                None => {
                    quota.source == HintSource::RateLimitReset && matches!(status, None | Some(429 | 503))
                }
            };
            if !spent {
                continue;
            }
            let (reset_after, reset) = match (quota.reset_after, quota.reset) {
                // One reset for several counts.
                (None, None) => quotas.resets_like(quota),
                own => own,
            };
            let Some(text) = reset_after.or(reset) else { continue };
            let wait = match decimal(text, NANOS_PER_SEC) {
                Some(nanos) if reset_after.is_some() => Some(nanos),
                Some(nanos) => Some(unix_time_or_wait(nanos, || self.server_now())),
                None => durations::units(text).or_else(|| {
                    let at = date::iso_8601(text).or_else(|| date::http(text))?;
                    Some(at.saturating_sub(self.server_now()))
                }),
            };
            let wait = self.or_problem(wait, quota.source.name(), text, "a number of seconds");
            if let Some(wait) = wait.filter(|wait| longest.is_none_or(|(nanos, _)| *wait > nanos)) {
                longest = Some((wait, quota.source));
            }
        }
        longest
    }

    /// Nanoseconds since the epoch by the server's clock.
    fn server_now(&mut self) -> i128 {
        if let Some(known) = self.server_now {
            return known;
        }
        let sent = self.date.and_then(|text| self.or_problem(date::http(text), "Date", text, "an HTTP date"));
        let age = self.age.filter(|_| sent.is_some()).and_then(|text| {
            self.or_problem(decimal(text, NANOS_PER_SEC), "Age", text, "a number of seconds")
        });
        let now = match sent {
            Some(sent) => sent.saturating_add(age.unwrap_or(0).max(0)),
            None => since_epoch(self.now),
        };
        *self.server_now.insert(now)
    }

    /// Notes a header without a value as malformed.
    fn or_problem<T>(
        &mut self,
        value: Option<T>,
        what: &'static str,
        text: &str,
        expected: &'static str,
    ) -> Option<T> {
        if value.is_none() {
            self.problems.push(HintError::new(what, text, expected));
        }
        value
    }
}

/// Adds a line in the first free place. Further lines are ignored.
fn add_line<'a>(lines: &mut [Option<&'a str>], value: &'a str) {
    if let Some(free) = lines.iter_mut().find(|line| line.is_none()) {
        *free = Some(value);
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
        for (text, raw, delay) in [
            ("-5", Requested::Past(5 * SECOND), Duration::ZERO),
            ("Sun, 06 Nov 1994 08:49:36 GMT", Requested::Past(SECOND), Duration::ZERO),
            ("31536000", Requested::Wait(Duration::from_secs(31_536_000)), LONGEST),
            (&"9".repeat(300), Requested::Wait(Duration::MAX), LONGEST),
        ] {
            let hint = from_headers([("Retry-After", text)], now()).unwrap();
            assert_eq!((hint.raw, hint.delay), (raw, delay), "{text}");
        }
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
    fn should_retry_headers() {
        for (name, value, expected) in [
            ("x-should-retry", "true", Some(true)),
            ("X-Should-Retry", "False", Some(false)),
            ("stripe-should-retry", "false", Some(false)),
            ("grpc-retry-pushback-ms", "-1", Some(false)),
            ("grpc-retry-pushback-ms", "soon", Some(false)),
            ("grpc-retry-pushback-ms", "5", None),
            ("x-should-retry", "maybe", None),
        ] {
            assert_eq!(read(None, [(name, value)], now()).should_retry, expected, "{name}: {value}");
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
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "later"),
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
            "X-RateLimit-Reset",
        ];
        assert_eq!(names, expected);
    }
}
