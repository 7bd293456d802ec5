//! Spans and events for subscribers of the crate `tracing`, all with the target `poller`.
//!
//! | level | content |
//! | --- | --- |
//! | `WARN` | the first failure of the store in a row; a poll whose secrets are sealed with another key; a webhook that was given up; the system's clock was set; the machine slept |
//! | `INFO` | a poll was accepted, has ended; open polls were restored; a shutdown; the store works again |
//! | `DEBUG` | each request, as a span with one event at its end; holds; each webhook |
//!
//! Fields have the names of OpenTelemetry's semantic conventions where there is one (`http.response.status_code`,
//! `server.address`, `error.type`); durations are in seconds. There is no span per poll: a subscriber keeps every open
//! span, and a poller may have a million open polls. `poll.scope` and `poll.key` correlate the events of one poll.
//!
//! No text of a response is included, nor the path and query of a URL: they may contain the token of a webhook, and logs
//! are widely shared. Mismatches are described in the events and the history of the poll.

use tracing::{Level, Span, debug, debug_span, info, warn};

use super::operation::Operation;
use crate::clock::Timestamp;
use crate::event::PollerEvent;
use crate::history::Record;
use crate::job::PollSpec;
use crate::key::PollKey;
use crate::outbox::{Delivery, DeliveryState};
use crate::outcome::{AttemptResult, NextReason, Outcome};
use crate::shutdown::ShutdownReport;
use crate::store::StoreError;

const TARGET: &str = "poller";

/// A poll that is not run, because its secrets are sealed with a key that was not given.
pub(crate) fn sealed(key: &PollKey, seal_key: &str) {
    let (scope, key) = (key.scope(), key.key());
    warn!(target: TARGET, { poll.scope = scope, poll.key = key, seal.key = seal_key }, "sealed with another key");
}

/// An attempt to deliver a webhook has ended.
pub(crate) fn webhook(delivery: &Delivery) {
    let Some(attempt) = delivery.attempts.last() else { return };
    let (scope, key) = (delivery.key.scope(), delivery.key.key());
    let (state, status) = (delivery.state.as_str(), attempt.status);
    let seconds = attempt.duration_ms as f64 / 1e3;
    macro_rules! ended {
        ($log:ident, $message:literal) => {
            $log!(
                target: TARGET,
                {
                    poll.scope = scope, poll.key = key, webhook.state = state, webhook.receiver = &*delivery.receiver,
                    webhook.tries = delivery.tries, http.response.status_code = status, duration = seconds
                },
                $message
            )
        };
    }
    match delivery.state {
        DeliveryState::Dead => ended!(warn, "webhook given up"),
        _ => ended!(debug, "webhook sent"),
    }
}

/// The outbox cannot be read or written.
pub(crate) fn webhooks_unread(error: &StoreError) {
    warn!(target: TARGET, error = %error, "webhooks wait for the store");
}

/// The span of one request.
pub(crate) fn request(key: Option<&PollKey>, attempt: u32, spec: &PollSpec) -> Span {
    // Parsing the URL has a cost, and mostly there is no subscriber.
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

/// The result of a request.
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
        "the server asked to wait; polls of this origin and these credentials are held back"
    );
}

/// As many requests are in flight as may be while due polls wait.
pub(crate) fn saturated(in_flight: usize, waiting: usize) {
    warn!(
        target: TARGET,
        in_flight, waiting, "as many requests are in flight as may be, and due polls wait; servers are slow or silent, or the limit is too low"
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

/// Open polls of the store are run again.
pub(crate) fn restored(polls: usize) {
    if polls > 0 {
        info!(target: TARGET, polls, "going on with the polls that the store has open");
    }
}

/// The poller stops.
pub(crate) fn shutting_down(open: usize, in_flight: usize) {
    info!(target: TARGET, open, in_flight, "shutting down");
}

/// The system's or the database's clock was set, or the machine slept.
pub(crate) fn clock(event: &PollerEvent) {
    match event {
        PollerEvent::ClockSet { forward, duration } => {
            warn!(target: TARGET, forward, ?duration, "the clock of the system was set; polls follow the monotonic clock");
        }
        PollerEvent::StoreClockSet { forward, duration } => {
            warn!(target: TARGET, forward, ?duration, "the clock of the database was set; polls go on evenly");
        }
        PollerEvent::Slept { duration } => warn!(target: TARGET, ?duration, "the machine slept"),
        _ => {}
    }
}

/// The poller has stopped.
pub(crate) fn stopped(report: &ShutdownReport) {
    let ShutdownReport { left_open: open, unsaved, ended, abandoned, .. } = *report;
    info!(target: TARGET, open, unsaved, ended, abandoned, "stopped; open polls stay in the store");
}

/// A call to the store failed. A full disk fails many times a second, so only the `first` failure in a row is a warning.
pub(crate) fn store_failed(operation: Operation, error: &StoreError, first: bool) {
    let operation = operation.as_str();
    if first {
        warn!(target: TARGET, operation, %error, "the store failed");
    } else {
        debug!(target: TARGET, operation, %error, "the store failed again");
    }
}

/// The first success after a failure.
pub(crate) fn store_recovered(operation: Operation) {
    info!(target: TARGET, operation = operation.as_str(), "the store works again");
}
