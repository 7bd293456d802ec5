//! [`ResponseClassifier`]: which HTTP responses to retry.
//!
//! The defaults follow what servers send: Cloudflare's 520 to 530 and Anthropic's 529 are as transient as 503, and a 403 or
//! 413 with `Retry-After` is throttling. A list of single statuses was the alternative; it misses every new one.

use std::time::SystemTime;

use crate::hint::{self, HintError, Reading, Requested};
use crate::status::StatusSet;
use crate::{Failure, FailureKind};

/// Classifies HTTP responses and transport errors.
///
/// | response | kind |
/// | --- | --- |
/// | `x-should-retry: false`, a negative gRPC pushback | permanent |
/// | 429; a 4xx or 5xx whose hint asks for a wait | throttled |
/// | 408 Request Timeout, 504 Gateway Timeout | timeout |
/// | 425 Too Early; 5xx but 501, 505 and 511; `x-should-retry: true` | transient |
/// | any other | permanent |
///
/// A spent quota (`RateLimit`, `X-RateLimit-Remaining: 0`) throttles only on 403, 429 and 5xx: servers state quotas with
/// every response, also with a 404. A failure below 500 counts as an answer of a working service, except 408 and 429.
///
/// A request that is not idempotent is retried only if the server has refused it unprocessed: after a 429, a 503 with a
/// hint, and a failure to connect.
///
/// ```
/// use retry::{FailureKind, ResponseClassifier};
/// use std::time::SystemTime;
///
/// let now = SystemTime::UNIX_EPOCH;
/// let classifier = ResponseClassifier::new().transient("409, 5xx".parse()?).permanent("507".parse()?);
/// assert_eq!(classifier.classify(409, [], now).kind(), FailureKind::Transient);
/// assert_eq!(classifier.classify(507, [], now).kind(), FailureKind::Permanent);
///
/// let post = ResponseClassifier::new().method("POST");
/// assert_eq!(post.classify(502, [], now).kind(), FailureKind::Permanent);
/// assert_eq!(post.classify(503, [("retry-after", "1")], now).kind(), FailureKind::Throttled);
/// # Ok::<(), retry::status::StatusError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct ResponseClassifier {
    transient: Option<StatusSet>,
    permanent: Option<StatusSet>,
    not_idempotent: bool,
}

impl ResponseClassifier {
    /// The defaults of the table, for an idempotent request.
    pub const fn new() -> Self {
        Self { transient: None, permanent: None, not_idempotent: false }
    }

    /// Replaces the transient statuses. Throttling, timeouts and should-retry headers stay.
    pub fn transient(mut self, statuses: StatusSet) -> Self {
        self.transient = Some(statuses);
        self
    }

    /// Statuses that are never retried, whatever their headers.
    pub fn permanent(mut self, statuses: StatusSet) -> Self {
        self.permanent = Some(statuses);
        self
    }

    /// Whether the request may be repeated after the server may have processed it. True by default.
    pub const fn idempotent(mut self, idempotent: bool) -> Self {
        self.not_idempotent = !idempotent;
        self
    }

    /// Sets [`idempotent`](Self::idempotent) by the method: GET, HEAD, OPTIONS, TRACE, PUT and DELETE are (RFC 9110, section
    /// 9.2.2), and QUERY, in any letter case. A POST with an idempotency key is too; set `idempotent(true)` for it.
    pub fn method(self, method: &str) -> Self {
        let known = ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"];
        self.idempotent(known.iter().any(|name| name.eq_ignore_ascii_case(method)))
    }

    /// Classifies a response that is a failure. Allocates only for malformed headers.
    pub fn classify<'a>(
        &self,
        status: u16,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
        now: SystemTime,
    ) -> Failure {
        let Reading { hint, should_retry, problems } = hint::read(Some(status), headers, now);
        let waits = hint.is_some_and(|hint| {
            matches!(hint.raw, Requested::Wait(wait) if !wait.is_zero())
                && (400..600).contains(&status)
                && (!hint.source.is_quota() || matches!(status, 403 | 429 | 500..))
        });
        let kind = if should_retry == Some(false) || covers(&self.permanent, status) == Some(true) {
            FailureKind::Permanent
        } else if self.not_idempotent {
            let refused = status == 429 || (status == 503 && waits);
            if refused { FailureKind::Throttled } else { FailureKind::Permanent }
        } else if status == 429 || waits {
            FailureKind::Throttled
        } else if let 408 | 504 = status {
            FailureKind::Timeout
        } else if should_retry == Some(true)
            || covers(&self.transient, status).unwrap_or(matches!(status, 425 | 500..600))
                && (self.transient.is_some() || !matches!(status, 501 | 505 | 511))
        {
            FailureKind::Transient
        } else {
            FailureKind::Permanent
        };
        Failure::new(kind)
            .with_hint(hint)
            .with_answered(status < 500 && !matches!(status, 408 | 429))
            .with_malformed(problems.first().map(HintError::what))
    }

    /// As [`classify`](Self::classify), for the types of the `http` crate. Feature `http`.
    #[cfg(feature = "http")]
    pub fn classify_parts(
        &self,
        status: &http::StatusCode,
        headers: &http::HeaderMap,
        now: SystemTime,
    ) -> Failure {
        let text = headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        self.classify(status.as_u16(), text, now)
    }

    /// A failure to connect. Always transient: the server has not seen the request.
    pub const fn connect_error(&self) -> Failure {
        Failure::transient()
    }

    /// Any other transport error: transient for an idempotent request.
    pub const fn transport_error(&self) -> Failure {
        if self.not_idempotent { Failure::permanent() } else { Failure::transient() }
    }

    /// A request that took too long: a timeout for an idempotent request.
    pub const fn timeout(&self) -> Failure {
        if self.not_idempotent { Failure::permanent() } else { Failure::timeout() }
    }
}

fn covers(statuses: &Option<StatusSet>, status: u16) -> Option<bool> {
    statuses.as_ref().map(|statuses| statuses.matches(status))
}

#[cfg(test)]
mod tests {
    use super::*;
    use FailureKind::{Permanent, Throttled, Timeout, Transient};

    fn kind(status: u16, headers: &[(&str, &str)]) -> FailureKind {
        Failure::from_response(status, headers.iter().copied(), SystemTime::UNIX_EPOCH).kind()
    }

    #[test]
    fn statuses_without_hints() {
        for (statuses, expected) in [
            (&[408, 504][..], Timeout),
            (&[429], Throttled),
            (
                &[425, 500, 502, 503, 506, 507, 508, 509, 510, 520, 521, 522, 523, 524, 525, 526, 527],
                Transient,
            ),
            (&[529, 530, 598, 599], Transient),
            (&[200, 301, 400, 401, 403, 404, 409, 410, 413, 501, 505, 511, 600, 999, 0], Permanent),
        ] {
            for status in statuses {
                assert_eq!(kind(*status, &[]), expected, "{status}");
            }
        }
    }

    #[test]
    fn a_hint_to_wait_is_throttling() {
        for status in [403, 404, 413, 429, 500, 501, 503, 529] {
            assert_eq!(kind(status, &[("Retry-After", "5")]), Throttled, "{status}");
        }
        for (status, expected) in [(403, Permanent), (503, Transient), (504, Timeout), (429, Throttled)] {
            assert_eq!(kind(status, &[("Retry-After", "0")]), expected, "{status}");
            assert_eq!(kind(status, &[("Retry-After", "soon")]), expected, "{status}");
        }
        assert_eq!(kind(301, &[("Retry-After", "5")]), Permanent);
        let spent = [("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset-After", "5")];
        for (status, expected) in [(403, Throttled), (404, Permanent), (422, Permanent), (500, Throttled)] {
            assert_eq!(kind(status, &spent), expected, "{status}");
        }
    }

    #[test]
    fn should_retry_headers_decide() {
        assert_eq!(kind(503, &[("x-should-retry", "false"), ("retry-after", "5")]), Permanent);
        assert_eq!(kind(409, &[("x-should-retry", "true")]), Transient);
        assert_eq!(kind(503, &[("grpc-retry-pushback-ms", "-1")]), Permanent);
        assert_eq!(kind(503, &[("grpc-retry-pushback-ms", "20")]), Throttled);
    }

    #[test]
    fn requests_that_are_not_idempotent() {
        let post = ResponseClassifier::new().method("POST");
        let kind = |status, headers: &[(&str, &str)]| {
            post.classify(status, headers.iter().copied(), SystemTime::UNIX_EPOCH).kind()
        };
        for (status, expected) in [(429, Throttled), (500, Permanent), (503, Permanent), (408, Permanent)] {
            assert_eq!(kind(status, &[]), expected, "{status}");
        }
        assert_eq!(kind(503, &[("Retry-After", "1")]), Throttled);
        assert_eq!(kind(500, &[("Retry-After", "1")]), Permanent);
        assert_eq!((post.connect_error(), post.timeout()), (Failure::transient(), Failure::permanent()));
        assert_eq!(post.transport_error(), Failure::permanent());
        let put = ResponseClassifier::new().method("put");
        assert_eq!((put.transport_error(), put.timeout()), (Failure::transient(), Failure::timeout()));
    }

    #[test]
    fn answers_of_a_working_service() {
        let answered = |status| Failure::from_response(status, [], SystemTime::UNIX_EPOCH).is_answered();
        assert!([400, 403, 404, 422, 425].into_iter().all(answered));
        assert!(![408, 429, 500, 503, 529].into_iter().any(answered));
    }

    #[test]
    fn malformed_hints_are_reported() {
        let failure = Failure::from_response(503, [("Retry-After", "soon")], SystemTime::UNIX_EPOCH);
        assert_eq!((failure.hint(), failure.malformed_hint()), (None, Some("Retry-After")));
    }

    #[cfg(feature = "http")]
    #[test]
    fn http_types() {
        let mut headers = http::HeaderMap::new();
        headers.insert("retry-after", http::HeaderValue::from_static("7"));
        headers.insert("x-binary", http::HeaderValue::from_bytes(b"\xff").unwrap());
        let status = http::StatusCode::SERVICE_UNAVAILABLE;
        let failure = Failure::from_parts(&status, &headers, SystemTime::UNIX_EPOCH);
        assert_eq!(failure, Failure::from_response(503, [("retry-after", "7")], SystemTime::UNIX_EPOCH));
    }
}
