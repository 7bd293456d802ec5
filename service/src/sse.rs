//! Server-sent events: the names and data of what happens to polls.
//!
//! One poll's stream and the stream of all polls carry the same events; in the latter, each names its poll.

use poller::{Attempt, Event, HoldSource, Outcome, OutcomeKind, PollKey, PollerEvent, Timestamp};
use serde::Serialize;

/// The data of an event.
#[derive(Debug, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub(crate) enum Data<'a> {
    Opened { url: &'a str, origin: &'a str, created_at: Timestamp, deadline: Timestamp, restarts: u32 },
    Requesting { attempt: u32, at: Timestamp },
    Attempted(&'a Attempt),
    Retry { at: Timestamp, r#try: u32, limit: u32 },
    Held { until: Timestamp, by: &'static str },
    Lagged { missed: Option<u64> },
    Outcome(Ended<'a>),
    Forgotten {},
}

/// An outcome without its response and its attempts, which may be long: a call fetches them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ended<'a> {
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

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(untagged)]
enum Reason {
    Failed(poller::FailureReason),
    TimedOut(poller::TimeoutReason),
}

impl<'a> From<&'a Outcome> for Ended<'a> {
    fn from(outcome: &'a Outcome) -> Self {
        Self {
            outcome: outcome.name(),
            reason: match outcome.kind {
                OutcomeKind::Failed { reason, .. } => Some(Reason::Failed(reason)),
                OutcomeKind::TimedOut { reason, .. } => Some(Reason::TimedOut(reason)),
                _ => None,
            },
            explanation: outcome.explanation(),
            attempts: outcome.attempts,
            restarts: outcome.restarts,
            started_at: outcome.started_at,
            ended_at: outcome.ended_at,
        }
    }
}

/// The name and data of an event of one poll.
pub(crate) fn of_poll(event: &Event) -> Option<(&'static str, Data<'_>)> {
    Some(match event {
        Event::Requesting { attempt, at } => ("requesting", Data::Requesting { attempt: *attempt, at: *at }),
        Event::Attempted(attempt) => ("attempted", Data::Attempted(attempt)),
        Event::RetryScheduled { at, r#try, limit } => {
            ("retry", Data::Retry { at: *at, r#try: *r#try, limit: *limit })
        }
        // The neighbour may belong to a scope that the reader may not see.
        Event::HeldBack { until, by } => {
            let by = if *by == HoldSource::Own { "own" } else { "neighbour" };
            ("held", Data::Held { until: *until, by })
        }
        Event::Lagged { missed } => ("lagged", Data::Lagged { missed: Some(*missed) }),
        Event::Outcome(outcome) => ("outcome", Data::Outcome((&**outcome).into())),
        _ => return None,
    })
}

/// The data as one line of JSON.
pub(crate) fn line(data: &impl Serialize) -> String {
    serde_json::to_string(data).unwrap_or_default()
}

/// An event of the stream of all polls: its poll, its name, its data. `None` for what is no event of a poll.
pub(crate) fn of_poller(event: &PollerEvent) -> Option<(PollKey, &'static str, String)> {
    let (key, (name, data)) = match event {
        PollerEvent::Opened { key, spec, started_at, deadline, restarts } => {
            let (created_at, deadline, restarts) = (*started_at, *deadline, *restarts);
            let (url, origin) = (spec.url_text(), spec.origin());
            (key, ("opened", Data::Opened { url, origin, created_at, deadline, restarts }))
        }
        PollerEvent::Poll { key, event } => (key, of_poll(event)?),
        _ => return None,
    };
    Some((key.clone(), name, line(&crate::views::Named::new(key, data))))
}

/// The event that a finished poll was removed.
pub(crate) fn forgotten(key: &PollKey) -> (&'static str, String) {
    ("forgotten", line(&crate::views::Named::new(key, Data::Forgotten {})))
}
