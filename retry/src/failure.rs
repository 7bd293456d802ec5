//! [`Failure`]: the classification of an error.
//!
//! Decisions here distinguish four kinds; only the caller knows the kind of its errors. For HTTP statuses there is a table,
//! because every client needs one and many have 408 or 425 wrong.

use std::time::SystemTime;

use crate::hint::{self, Hint};

/// A failed try: its kind, and the server's hint.
///
/// A classifier may also give a `bool`: `true` for a transient failure, `false` for a permanent one.
///
/// ```
/// use retry::{Failure, FailureKind};
/// use std::time::{Duration, SystemTime};
///
/// let failure = Failure::from_response(429, [("retry-after", "7")], SystemTime::UNIX_EPOCH);
/// assert_eq!(failure.kind(), FailureKind::Throttled);
/// assert_eq!(failure.hint().map(|hint| hint.delay), Some(Duration::from_secs(7)));
/// assert_eq!(Failure::from(false), Failure::permanent());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Failure {
    kind: FailureKind,
    hint: Option<Hint>,
}

/// The kinds of failure that decisions distinguish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// May succeed next time: a reset connection, a 503.
    Transient,
    /// The try took too long. As transient, but it costs a [budget](crate::budget::Budget) more: the server may still be
    /// working on it.
    Timeout,
    /// The server asked for fewer requests: a 429.
    Throttled,
    /// Will fail again: a 404, a malformed request.
    Permanent,
}

impl Failure {
    /// A failure of `kind`, without a hint.
    pub const fn new(kind: FailureKind) -> Self {
        Self { kind, hint: None }
    }

    /// A failure that may succeed next time.
    pub const fn transient() -> Self {
        Self::new(FailureKind::Transient)
    }

    /// A try that took too long.
    pub const fn timeout() -> Self {
        Self::new(FailureKind::Timeout)
    }

    /// The server asked for fewer requests.
    pub const fn throttled() -> Self {
        Self::new(FailureKind::Throttled)
    }

    /// A failure that will occur again.
    pub const fn permanent() -> Self {
        Self::new(FailureKind::Permanent)
    }

    /// Adds the server's hint.
    pub const fn with_hint(mut self, hint: Option<Hint>) -> Self {
        self.hint = hint;
        self
    }

    /// Classifies an HTTP response that is a failure:
    ///
    /// | status | kind |
    /// | --- | --- |
    /// | 408 Request Timeout, 504 Gateway Timeout | timeout |
    /// | 429 Too Many Requests, 503 with a hint | throttled |
    /// | 425 Too Early, 500, 502, 503 | transient |
    /// | anything else | permanent |
    ///
    /// The statuses are those of AWS's standard mode (500, 502, 503, 504) and of Google's guidance (408, 429,
    /// 5xx), with 425 as RFC 8470 asks; the other 5xx persist. Hints are read from the headers of every response.
    pub fn from_response<'a>(
        status: u16,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
        now: SystemTime,
    ) -> Self {
        let hint = hint::from_response(status, headers, now);
        let kind = match (status, hint) {
            (408 | 504, _) => FailureKind::Timeout,
            (429, _) | (503, Some(_)) => FailureKind::Throttled,
            (425 | 500 | 502 | 503, _) => FailureKind::Transient,
            _ => FailureKind::Permanent,
        };
        Self { kind, hint }
    }

    /// The kind of failure.
    #[must_use]
    pub const fn kind(&self) -> FailureKind {
        self.kind
    }

    /// The server's hint.
    #[must_use]
    pub const fn hint(&self) -> Option<Hint> {
        self.hint
    }
}

impl From<FailureKind> for Failure {
    fn from(kind: FailureKind) -> Self {
        Self::new(kind)
    }
}

/// `true`: transient; `false`: permanent.
impl From<bool> for Failure {
    fn from(is_transient: bool) -> Self {
        if is_transient { Self::transient() } else { Self::permanent() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses() {
        let kind = |status| Failure::from_response(status, [], SystemTime::UNIX_EPOCH).kind();
        for (statuses, expected) in [
            (&[408, 504][..], FailureKind::Timeout),
            (&[429], FailureKind::Throttled),
            (&[425, 500, 502, 503], FailureKind::Transient),
            (&[200, 301, 400, 401, 403, 404, 409, 410, 501, 505, 511, 999, 0], FailureKind::Permanent),
        ] {
            assert!(statuses.iter().all(|status| kind(*status) == expected), "{expected:?}");
        }
        let hinted = Failure::from_response(503, [("Retry-After", "1")], SystemTime::UNIX_EPOCH);
        assert_eq!(hinted.kind(), FailureKind::Throttled);
    }
}
