//! [`Failure`]: the classification of an error.
//!
//! Decisions here distinguish four kinds; only the caller knows the kind of its errors. For HTTP responses there is
//! [`ResponseClassifier`](crate::ResponseClassifier).

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::ResponseClassifier;
use crate::hint::Hint;
use crate::humanize::Humanized;
use crate::members::{getters, setters};

/// A failed try: its kind, and the server's hint.
///
/// A classifier may also return a `bool`: `true` for a transient failure, `false` for a permanent one.
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
    answered: bool,
    malformed: Option<&'static str>,
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
        Self { kind, hint: None, answered: false, malformed: None }
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

    setters! {
        /// Adds the server's hint.
        pub const fn with_hint(hint: Option<Hint>) => hint = hint;
        /// Marks the failure as an answer of a working service, such as a 404. A [breaker](crate::breaker) counts it as a
        /// success.
        pub const fn with_answered(answered: bool) => answered = answered;
    }

    pub(crate) const fn with_malformed(mut self, header: Option<&'static str>) -> Self {
        self.malformed = header;
        self
    }

    /// Classifies an HTTP response that is a failure, with the defaults of [`ResponseClassifier`].
    pub fn from_response<'a>(
        status: u16,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
        now: SystemTime,
    ) -> Self {
        ResponseClassifier::new().classify(status, headers, now)
    }

    /// As [`from_response`](Self::from_response), for the types of the `http` crate, which reqwest, hyper and axum use.
    /// Feature `http`.
    #[cfg(feature = "http")]
    pub fn from_parts(status: &http::StatusCode, headers: &http::HeaderMap, now: SystemTime) -> Self {
        ResponseClassifier::new().classify_parts(status, headers, now)
    }

    getters! {
        /// The kind of failure.
        pub const fn kind() -> FailureKind;
        /// The server's hint.
        pub const fn hint() -> Option<Hint>;
    }

    /// Whether the failure is an answer of a working service.
    #[must_use]
    pub const fn is_answered(&self) -> bool {
        self.answered
    }

    /// The first hint header of the response that was malformed. [`hint::read`](crate::hint::read) has all of them, with
    /// their text.
    #[must_use]
    pub const fn malformed_hint(&self) -> Option<&'static str> {
        self.malformed
    }
}

impl From<FailureKind> for Failure {
    fn from(kind: FailureKind) -> Self {
        Self::new(kind)
    }
}

/// A fragment for messages. As the context of an `anyhow::Error`, a failure shows this text and can be found again with
/// `downcast_ref`.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            FailureKind::Transient => "transient failure",
            FailureKind::Timeout => "timeout",
            FailureKind::Throttled => "throttled",
            FailureKind::Permanent => "permanent failure",
        })?;
        match (self.hint, self.malformed) {
            (Some(hint), _) => {
                let wait = Humanized(hint.raw.clamped_to(Duration::MAX));
                write!(f, "; {} asks to wait {wait}", hint.source.name())
            }
            (None, Some(header)) => write!(f, "; {header} is malformed"),
            (None, None) => Ok(()),
        }
    }
}

/// `true`: transient; `false`: permanent.
impl From<bool> for Failure {
    fn from(is_transient: bool) -> Self {
        if is_transient { Self::transient() } else { Self::permanent() }
    }
}
