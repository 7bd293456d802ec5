//! Spans and events for subscribers of the crate `tracing`, all with the target `poller`.
//!
//! | level | what |
//! | --- | --- |
//! | `WARN` | the store failed, the first time in a row |
//! | `INFO` | the life of a poll: accepted, ended; of a poller: polls taken over, shutdown; that the store works again |
//! | `DEBUG` | each request, a span with one event at its end; hold-backs |
//!
//! Fields are named after OpenTelemetry's semantic conventions where those have a name (`http.response.status_code`,
//! `server.address`, `error.type`), durations are in seconds. There is no span per poll: a subscriber keeps every open
//! span, and a poller may have a million polls open. `poll.scope` and `poll.key` connect what belongs together.
//!
//! No response text is in any of them, nor a URL's path and query: a webhook's token often stands there, and logs travel
//! far. What did not match is told by the poll's own events and history.

use tracing::{Level, Span, debug, debug_span, info, warn};

use super::Operation;
use crate::clock::Timestamp;
use crate::history::Record;
use crate::job::PollSpec;
use crate::key::PollKey;
use crate::outcome::{AttemptResult, NextReason, Outcome};
use crate::shutdown::ShutdownReport;
use crate::store::StoreError;

const TARGET: &str = "poller";

/// The span of one request.
pub(crate) fn request(key: Option<&PollKey>, attempt: u32, spec: &PollSpec) -> Span {
    // Parsing the URL is not for free, and mostly nobody listens.
    if !tracing::enabled!(target: TARGET, Level::DEBUG) {
        return Span::none();
    }
    let url = spec.url();
    debug_span!(
        target: TARGET,
        "request",
        poll.scope = key.map(PollKey::scope),
        poll.key = key.map(PollKey::key),
        poll.attempt = attempt,
        http.request.method = spec.request().method.as_str(),
        url.scheme = url.scheme(),
        server.address = url.host_str(),
        server.port = url.port_or_known_default(),
    )
}

/// What a request brought.
pub(crate) fn attempted(key: Option<&PollKey>, number: u32, attempt: &Record) {
    if !tracing::enabled!(target: TARGET, Level::DEBUG) {
        return;
    }
    let (status, error) = match attempt.result {
        AttemptResult::Status(status) => (Some(status), None),
        AttemptResult::Error(kind) => (None, Some(kind.as_str())),
    };
    debug!(
        target: TARGET,
        {
            poll.scope = key.map(PollKey::scope),
            poll.key = key.map(PollKey::key),
            poll.attempt = number,
            http.response.status_code = status,
            "error.type" = error,
            duration = attempt.duration.as_secs_f64(),
            judgement = ?attempt.judgement,
            next.at = attempt.next.map(|next| tracing::field::display(next.at)),
            next.why = attempt.next.map(|next| why(next.why))
        },
        "attempt ended"
    );
}

const fn why(reason: NextReason) -> &'static str {
    match reason {
        NextReason::Grid => "grid",
        NextReason::Retry { .. } => "retry",
        NextReason::Hint => "hint",
    }
}

/// A 429 or 503 holds back an origin.
pub(crate) fn hold_back(key: Option<&PollKey>, until: Timestamp) {
    debug!(
        target: TARGET,
        {
            poll.scope = key.map(PollKey::scope),
            poll.key = key.map(PollKey::key),
            %until
        },
        "the server asked for patience; polls of this origin and these credentials are held back"
    );
}

/// A poll is new and stored.
pub(crate) fn created(key: Option<&PollKey>, deadline: Option<Timestamp>) {
    info!(
        target: TARGET,
        {
            poll.scope = key.map(PollKey::scope),
            poll.key = key.map(PollKey::key),
            deadline = deadline.map(tracing::field::display)
        },
        "poll accepted"
    );
}

/// An outcome is stored.
pub(crate) fn finished(key: Option<&PollKey>, outcome: &Outcome) {
    info!(
        target: TARGET,
        {
            poll.scope = key.map(PollKey::scope),
            poll.key = key.map(PollKey::key),
            poll.outcome = outcome.name(),
            poll.attempts = outcome.attempts,
            poll.restarts = outcome.restarts,
            http.response.status_code = outcome.response().map(crate::RecordedResponse::status),
            duration = outcome.elapsed().as_secs_f64()
        },
        "poll ended"
    );
}

/// Polls that the store had open run again.
pub(crate) fn restored(polls: usize) {
    if polls > 0 {
        info!(target: TARGET, polls, "going on with the polls that the store has open");
    }
}

/// The poller stops.
pub(crate) fn shutting_down(open: usize, in_flight: usize) {
    info!(target: TARGET, open, in_flight, "shutting down");
}

/// The poller has stopped.
pub(crate) fn stopped(report: &ShutdownReport) {
    let ShutdownReport { left_open: open, unsaved, ended, abandoned, .. } = *report;
    info!(target: TARGET, open, unsaved, ended, abandoned, "stopped; open polls stay in the store");
}

/// The store failed; the engine tries again, or says so to whoever asked. A full disk fails many times a second, so only
/// the `first` failure of a kind in a row is a warning.
pub(crate) fn store_failed(operation: Operation, error: &StoreError, first: bool) {
    let operation = operation.as_str();
    if first {
        warn!(target: TARGET, operation, %error, "the store failed");
    } else {
        debug!(target: TARGET, operation, %error, "the store failed again");
    }
}

/// The store does again what it had failed to do.
pub(crate) fn store_works(operation: Operation) {
    info!(target: TARGET, operation = operation.as_str(), "the store works again");
}
