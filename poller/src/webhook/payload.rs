//! The body of a webhook.

use serde::Serialize;

use crate::clock::Timestamp;
use crate::job::Include;
use crate::key::PollKey;
use crate::outcome::{FailureReason, Outcome, OutcomeKind, TimeoutReason};

/// What Standard Webhooks recommends: type, time, data.
#[derive(Serialize)]
struct Payload<T> {
    r#type: String,
    timestamp: Timestamp,
    data: T,
}

/// The whole outcome, as the service shows it.
#[derive(Serialize)]
struct Whole<'a> {
    key: &'a str,
    scope: &'a str,
    #[serde(flatten)]
    outcome: &'a Outcome,
}

/// The outcome without its response and attempts.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary<'a> {
    key: &'a str,
    scope: &'a str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<&'a str>,
    attempts: u32,
    restarts: u32,
    started_at: Timestamp,
    ended_at: Timestamp,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Reason {
    Failed(FailureReason),
    TimedOut(TimeoutReason),
}

/// The body that tells of this outcome.
pub(super) fn body(key: &PollKey, outcome: &Outcome, include: Include) -> serde_json::Result<Vec<u8>> {
    let (scope, key) = (key.scope(), key.key());
    let r#type = format!("poll.{}", outcome.name().replace(' ', "-"));
    let timestamp = outcome.ended_at;
    match include {
        Include::Outcome => {
            serde_json::to_vec(&Payload { r#type, timestamp, data: Whole { key, scope, outcome } })
        }
        Include::Summary => {
            let data = Summary {
                key,
                scope,
                outcome: outcome.name(),
                reason: match outcome.kind {
                    OutcomeKind::Failed { reason, .. } => Some(Reason::Failed(reason)),
                    OutcomeKind::TimedOut { reason, .. } => Some(Reason::TimedOut(reason)),
                    OutcomeKind::Matched { .. } | OutcomeKind::Cancelled => None,
                },
                explanation: outcome.explanation(),
                attempts: outcome.attempts,
                restarts: outcome.restarts,
                started_at: outcome.started_at,
                ended_at: outcome.ended_at,
            };
            serde_json::to_vec(&Payload { r#type, timestamp, data })
        }
    }
}
