//! The outcome of a poll and the results of its attempts.
//!
//! A poll has exactly one [`Outcome`], ever. It is plain data that a store keeps and a tool reads: `Serialize` and
//! `Deserialize` are each other's inverse.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::clock::Timestamp;
use crate::fetch::FetchErrorKind;
use crate::response::RecordedResponse;

/// How a poll ended, with its counts and last attempts.
///
/// ```
/// use poller::{OutcomeKind, Outcome, TimeoutReason};
///
/// let outcome: Outcome = serde_json::from_str(
///     r#"{"outcome": "timed out", "reason": "deadline", "explanation": "status is \"RUNNING\", expected \"SUCCESS\"",
///         "attempts": 30, "restarts": 0, "startedAt": "2026-01-01T00:00:00Z", "endedAt": "2026-01-01T00:05:00Z",
///         "counts": {"200": 29, "timeout": 1}, "history": []}"#,
/// )?;
/// assert!(matches!(outcome.kind, OutcomeKind::TimedOut { reason: TimeoutReason::Deadline, .. }));
/// assert_eq!((outcome.name(), outcome.elapsed().as_secs()), ("timed out", 300));
/// assert_eq!(outcome.counts.to_string(), "29 × 200, 1 × timeout");
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// In JSON it is one flat object: `outcome` is the [name](Self::name); `reason`, `response` and `explanation` are present if
/// the [`OutcomeKind`] has them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Outcome {
    /// Matched, failed, timed out or cancelled, with the details of each.
    pub kind: OutcomeKind,
    /// The number of requests made, over all known restarts.
    pub attempts: u32,
    /// How often a process continued the poll after another had run it.
    pub restarts: u32,
    /// When the poll was accepted.
    pub started_at: Timestamp,
    /// When the outcome was decided.
    pub ended_at: Timestamp,
    /// The number of attempts per status and per error.
    pub counts: Counts,
    /// The last attempts, oldest first.
    pub history: Vec<Attempt>,
}

impl Outcome {
    /// The time from acceptance to decision.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.ended_at.since(self.started_at)
    }

    /// The name of the outcome: `matched`, `failed`, `timed out` or `cancelled`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self.kind {
            OutcomeKind::Matched { .. } => "matched",
            OutcomeKind::Failed { .. } => "failed",
            OutcomeKind::TimedOut { .. } => "timed out",
            OutcomeKind::Cancelled => "cancelled",
        }
    }

    /// The response that decided the outcome; for a timeout, the last response.
    #[must_use]
    pub const fn response(&self) -> Option<&RecordedResponse> {
        match &self.kind {
            OutcomeKind::Matched { response } => Some(response),
            OutcomeKind::Failed { response, .. } | OutcomeKind::TimedOut { response, .. } => {
                response.as_ref()
            }
            OutcomeKind::Cancelled => None,
        }
    }

    /// The reason of a failure or timeout in words; `None` for the other outcomes.
    #[must_use]
    pub fn explanation(&self) -> Option<&str> {
        match &self.kind {
            OutcomeKind::Failed { explanation, .. } | OutcomeKind::TimedOut { explanation, .. } => {
                Some(explanation)
            }
            OutcomeKind::Matched { .. } | OutcomeKind::Cancelled => None,
        }
    }
}

/// The four ways a poll can end.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum OutcomeKind {
    /// A response matched the response filter.
    Matched {
        /// That response.
        response: RecordedResponse,
    },
    /// The job failed, or no request can succeed.
    Failed {
        /// The cause.
        reason: FailureReason,
        /// The response that decided it, if there was one.
        response: Option<RecordedResponse>,
        /// The cause in words: the conditions of the failure filter that held, or the error that repeats.
        explanation: String,
    },
    /// The deadline came first.
    TimedOut {
        /// The cause.
        reason: TimeoutReason,
        /// The last response, if there was one.
        response: Option<RecordedResponse>,
        /// The unmet conditions of the last attempt in words.
        explanation: String,
    },
    /// The poll was cancelled.
    Cancelled,
}

/// The flat form of an [`Outcome`]. Written out by hand, because an internally tagged enum would read its content into a
/// buffer first, which cannot hold a body verbatim.
mod wire {
    use super::{
        Attempt, Counts, Deserialize, Deserializer, FailureReason, Outcome, OutcomeKind, RecordedResponse,
        Serialize, Serializer, TimeoutReason, Timestamp,
    };
    use serde::de::{DeserializeOwned, Error, IntoDeserializer as _};
    use serde::ser::SerializeStruct as _;

    impl Serialize for Outcome {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut map = serializer.serialize_struct("Outcome", 10)?;
            map.serialize_field("outcome", self.name())?;
            match &self.kind {
                OutcomeKind::Failed { reason, .. } => map.serialize_field("reason", reason)?,
                OutcomeKind::TimedOut { reason, .. } => map.serialize_field("reason", reason)?,
                OutcomeKind::Matched { .. } | OutcomeKind::Cancelled => {}
            }
            if let Some(explanation) = self.explanation() {
                map.serialize_field("explanation", explanation)?;
            }
            map.serialize_field("attempts", &self.attempts)?;
            map.serialize_field("restarts", &self.restarts)?;
            map.serialize_field("startedAt", &self.started_at)?;
            map.serialize_field("endedAt", &self.ended_at)?;
            map.serialize_field("counts", &self.counts)?;
            if let Some(response) = self.response() {
                map.serialize_field("response", response)?;
            }
            map.serialize_field("history", &self.history)?;
            map.end()
        }
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Flat {
        outcome: String,
        reason: Option<String>,
        explanation: Option<String>,
        attempts: u32,
        restarts: u32,
        started_at: Timestamp,
        ended_at: Timestamp,
        counts: Counts,
        response: Option<RecordedResponse>,
        history: Vec<Attempt>,
    }

    impl<'de> Deserialize<'de> for Outcome {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let flat = Flat::deserialize(deserializer)?;
            let explanation = flat.explanation.unwrap_or_default();
            let kind = match flat.outcome.as_str() {
                "matched" => {
                    let response = flat.response.ok_or_else(|| D::Error::missing_field("response"))?;
                    OutcomeKind::Matched { response }
                }
                "failed" => {
                    let reason = reason::<FailureReason, D::Error>(flat.reason)?;
                    OutcomeKind::Failed { reason, response: flat.response, explanation }
                }
                "timed out" => {
                    let reason = reason::<TimeoutReason, D::Error>(flat.reason)?;
                    OutcomeKind::TimedOut { reason, response: flat.response, explanation }
                }
                "cancelled" => OutcomeKind::Cancelled,
                other => {
                    return Err(D::Error::unknown_variant(
                        other,
                        &["matched", "failed", "timed out", "cancelled"],
                    ));
                }
            };
            Ok(Self {
                kind,
                attempts: flat.attempts,
                restarts: flat.restarts,
                started_at: flat.started_at,
                ended_at: flat.ended_at,
                counts: flat.counts,
                history: flat.history,
            })
        }
    }

    fn reason<T: DeserializeOwned, E: Error>(text: Option<String>) -> Result<T, E> {
        let text = text.ok_or_else(|| E::missing_field("reason"))?;
        T::deserialize(text.into_deserializer())
    }
}

/// The cause of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FailureReason {
    /// A response matched the failure filter.
    FailureFilter,
    /// Too many attempts in a row that could not get better (`giveUp`).
    GaveUp,
    /// The stored poll could not be read back.
    Unreadable,
}

/// The cause of a timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TimeoutReason {
    /// The deadline passed.
    Deadline,
    /// The server asked not to be called again before the deadline.
    HintPastDeadline,
    /// The deadline passed while no process ran the poll, or while it was stopped; the one request made since did not match.
    WhileAway,
}

/// The number of attempts per status and per kind of error.
///
/// ```
/// use poller::Counts;
///
/// let counts: Counts = serde_json::from_str(r#"{"200":3,"timeout":1}"#)?;
/// assert_eq!(counts.to_string(), "3 × 200, 1 × timeout");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Counts(BTreeMap<String, u32>);

impl Counts {
    /// Each status (`"200"`) or error kind (`"timeout"`) with its count, in order of the name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u32)> {
        self.0.iter().map(|(name, count)| (name.as_str(), *count))
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(String, u32)> for Counts {
    fn from_iter<I: IntoIterator<Item = (String, u32)>>(counts: I) -> Self {
        Self(counts.into_iter().collect())
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (name, count)) in self.iter().enumerate() {
            let separator = if position == 0 { "" } else { ", " };
            write!(f, "{separator}{count} × {name}")?;
        }
        Ok(())
    }
}

/// One request and its result.
///
/// ```
/// use poller::{Attempt, AttemptResult, NextReason, JudgementKind};
///
/// let attempt: Attempt = serde_json::from_str(
///     r#"{"number": 3, "at": "2026-01-01T00:00:20Z", "durationInMicros": 12000, "result": {"status": 503},
///         "verdict": "unmatched", "note": "HTTP status is 503, expected 200",
///         "next": {"at": "2026-01-01T00:00:21Z", "why": {"retry": {"try": 2, "limit": 5}}}}"#,
/// )?;
/// assert_eq!((attempt.result, attempt.judgement), (AttemptResult::Status(503), JudgementKind::Unmatched));
/// assert!(matches!(attempt.next.unwrap().why, NextReason::Retry { r#try: 2, limit: 5 }));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Attempt {
    /// The number of the attempt, from 1.
    pub number: u32,
    /// The time at which the request began.
    pub at: Timestamp,
    /// The time to the last byte of the response or to the error; microseconds in JSON.
    #[serde(rename = "durationInMicros", with = "micros")]
    pub duration: Duration,
    /// The status or error.
    pub result: AttemptResult,
    /// Whether the request was sent once more within this attempt; see [`Journey::resent`](crate::fetch::Journey::resent).
    /// Absent from JSON if not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resent: bool,
    /// The judgement of the response; `verdict` in JSON.
    #[serde(rename = "verdict")]
    pub judgement: JudgementKind,
    /// The unmet conditions or the error on one line, and what was unusual on the way (redirects, a request sent twice); never
    /// a body.
    pub note: Option<Box<str>>,
    /// The due time of the next request and its reason; `None` if there is no next request.
    pub next: Option<Next>,
}

/// The result of a request: a status, or an error without a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AttemptResult {
    /// A complete response with this status.
    Status(u16),
    /// No complete response.
    Error(FetchErrorKind),
}

impl fmt::Display for AttemptResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => status.fmt(f),
            Self::Error(kind) => kind.fmt(f),
        }
    }
}

/// The judgement of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum JudgementKind {
    /// The response filter matched: the poll is done.
    Matched,
    /// The failure filter matched: the poll has failed.
    Failed,
    /// A complete response that neither filter matched.
    Unmatched,
    /// No complete response.
    Error,
}

/// The due time of the next request and its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Next {
    /// The due time.
    pub at: Timestamp,
    /// The reason.
    pub why: NextReason,
}

/// The reason for the due time of the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum NextReason {
    /// The next tick of the poll's grid.
    Grid,
    /// A retry strategy repeats the attempt.
    Retry {
        /// The number of the next request within its retry sequence; the first request counts as 1.
        r#try: u32,
        /// The maximum number of tries of the sequence.
        limit: u32,
    },
    /// A hint of the server, such as `Retry-After`.
    Hint,
}

mod micros {
    //! Durations as whole microseconds.
    use super::{Deserialize, Deserializer, Duration, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(crate::clock::micros(*duration))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_micros)
    }
}
