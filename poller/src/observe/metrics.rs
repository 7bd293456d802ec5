//! The metrics of a poller, recorded through the crate `metrics`.
//!
//! Names, units and labels are an interface: the table in `docs/observability.md` lists them, and a test compares both.
//! Labels have few values, all known in advance: a status from 100 to 599, the kind of an error, the kind of an outcome, an
//! operation of the store. A URL, an origin or a key is never a label, because a poller may have a million of them.
//!
//! Handles are created with the poller, those of statuses on first use, so the engine looks up nothing while it runs.
//! Without an installed recorder they do nothing.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Unit};

use super::operation::Operation;
use crate::history::Record;
use crate::outbox::DeliveryState;
use crate::outcome::{AttemptResult, NextReason, Outcome};

const OPEN: &str = "poller_polls_open";
const WAITING: &str = "poller_polls_waiting";
const CREATED: &str = "poller_polls_created_total";
const OUTCOMES: &str = "poller_outcomes_total";
const IN_FLIGHT: &str = "poller_requests_in_flight";
const ATTEMPTS: &str = "poller_attempts_total";
const RETRIES: &str = "poller_retries_total";
const RESENT: &str = "poller_resent_total";
const REQUEST: &str = "poller_request_duration_seconds";
const LATENESS: &str = "poller_lateness_seconds";
const HELD: &str = "poller_held_seconds";
const QUEUED: &str = "poller_requests_queued";
const SATURATIONS: &str = "poller_in_flight_exhausted_total";
const KEPT: &str = "poller_kept_bytes";
const HELD_BACK: &str = "poller_origins_held_back";
const HOLD_BACKS: &str = "poller_hold_backs_total";
const WEBHOOKS: &str = "poller_webhooks_total";
const STORE: &str = "poller_store_duration_seconds";
const STORE_ERRORS: &str = "poller_store_errors_total";

const STATUS: &str = "http_response_status_code";
const OPERATION: &str = "operation";
const OUTCOME: &str = "outcome";
const RESULT: &str = "result";

const FIRST_STATUS: u16 = 100;
const STATUSES: usize = 500;

/// The current number of polls and requests by state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Levels {
    /// Polls without an outcome.
    pub(crate) open: usize,
    /// Requests sent and not answered.
    pub(crate) in_flight: usize,
    /// Due polls that wait for a cap or a hold.
    pub(crate) queued: usize,
    /// The bytes that open polls keep of responses.
    pub(crate) kept_bytes: usize,
    /// Pairs of origin and credentials that a hint holds back.
    pub(crate) held_back: usize,
}

pub(super) struct Metrics {
    open: Gauge,
    waiting: Gauge,
    created: Counter,
    /// In the order matched, failed, timed out, cancelled.
    outcomes: [(&'static str, Counter); 4],
    in_flight: Gauge,
    /// By status, from 100.
    statuses: Box<[OnceLock<Counter>]>,
    retries: Counter,
    resent: Counter,
    request: Histogram,
    lateness: Histogram,
    held: Histogram,
    queued: Gauge,
    saturations: Counter,
    kept: Gauge,
    held_back: Gauge,
    hold_backs: Counter,
    /// In the order of [`DeliveryState::ALL`].
    webhooks: [Counter; DeliveryState::ALL.len()],
    /// In the order of [`Operation::ALL`].
    store: [(Histogram, Counter); Operation::ALL.len()],
}

impl Metrics {
    pub(super) fn new() -> Self {
        describe();
        Self {
            open: metrics::gauge!(OPEN),
            waiting: metrics::gauge!(WAITING),
            created: metrics::counter!(CREATED),
            outcomes: ["matched", "failed", "timed out", "cancelled"]
                .map(|name| (name, metrics::counter!(OUTCOMES, OUTCOME => name.replace(' ', "_")))),
            in_flight: metrics::gauge!(IN_FLIGHT),
            statuses: (0..STATUSES).map(|_| OnceLock::new()).collect(),
            retries: metrics::counter!(RETRIES),
            resent: metrics::counter!(RESENT),
            request: metrics::histogram!(REQUEST),
            lateness: metrics::histogram!(LATENESS),
            held: metrics::histogram!(HELD),
            queued: metrics::gauge!(QUEUED),
            saturations: metrics::counter!(SATURATIONS),
            kept: metrics::gauge!(KEPT),
            held_back: metrics::gauge!(HELD_BACK),
            hold_backs: metrics::counter!(HOLD_BACKS),
            webhooks: DeliveryState::ALL.map(|state| {
                let result = match state {
                    DeliveryState::Pending => "failed",
                    other => other.as_str(),
                };
                metrics::counter!(WEBHOOKS, RESULT => result)
            }),
            store: Operation::ALL.map(|operation| {
                let name = operation.as_str();
                (
                    metrics::histogram!(STORE, OPERATION => name),
                    metrics::counter!(STORE_ERRORS, OPERATION => name),
                )
            }),
        }
    }

    pub(super) fn levels(&self, Levels { open, in_flight, queued, kept_bytes, held_back }: Levels) {
        self.open.set(open as f64);
        self.in_flight.set(in_flight as f64);
        self.waiting.set(open.saturating_sub(in_flight) as f64);
        self.queued.set(queued as f64);
        self.kept.set(kept_bytes as f64);
        self.held_back.set(held_back as f64);
    }

    pub(super) fn created(&self) {
        self.created.increment(1);
    }

    pub(super) fn lateness(&self, lateness: Duration) {
        self.lateness.record(lateness);
    }

    pub(super) fn held(&self, held: Duration) {
        self.held.record(held);
    }

    pub(super) fn attempted(&self, attempt: &Record) {
        match attempt.result {
            AttemptResult::Status(status) => self.status(status),
            // Errors are rare, so the handle is looked up each time.
            AttemptResult::Error(kind) => {
                metrics::counter!(ATTEMPTS, STATUS => "none", "error_type" => kind.as_str()).increment(1);
            }
        }
        self.request.record(attempt.duration);
        if attempt.resent {
            self.resent.increment(1);
        }
        if attempt.next.is_some_and(|next| matches!(next.why, NextReason::Retry { .. })) {
            self.retries.increment(1);
        }
    }

    fn status(&self, status: u16) {
        let known = usize::from(status.wrapping_sub(FIRST_STATUS));
        let counter = |label: String| metrics::counter!(ATTEMPTS, STATUS => label, "error_type" => "");
        match self.statuses.get(known) {
            Some(handle) => handle.get_or_init(|| counter(status.to_string())).increment(1),
            // Other numbers are not HTTP statuses and share one label.
            None => counter("other".to_owned()).increment(1),
        }
    }

    pub(super) fn saturated(&self) {
        self.saturations.increment(1);
    }

    pub(super) fn hold_back(&self) {
        self.hold_backs.increment(1);
    }

    pub(super) fn webhook(&self, state: DeliveryState) {
        self.webhooks[state as usize].increment(1);
    }

    pub(super) fn finished(&self, outcome: &Outcome) {
        if let Some((_, counter)) = self.outcomes.iter().find(|(name, _)| *name == outcome.name()) {
            counter.increment(1);
        }
    }

    pub(super) fn store(&self, operation: Operation, took: Duration) {
        self.store[operation as usize].0.record(took);
    }

    pub(super) fn store_error(&self, operation: Operation) {
        self.store[operation as usize].1.increment(1);
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

fn describe() {
    metrics::describe_gauge!(OPEN, Unit::Count, "polls without an outcome");
    metrics::describe_gauge!(WAITING, Unit::Count, "open polls that have no request in flight");
    metrics::describe_counter!(CREATED, Unit::Count, "polls accepted as new");
    metrics::describe_counter!(OUTCOMES, Unit::Count, "outcomes stored, by their kind");
    metrics::describe_gauge!(IN_FLIGHT, Unit::Count, "requests that have been sent and not answered");
    metrics::describe_counter!(ATTEMPTS, Unit::Count, "requests that ended, by what they brought");
    metrics::describe_counter!(RETRIES, Unit::Count, "requests that a retry rule repeats");
    metrics::describe_counter!(
        RESENT,
        Unit::Count,
        "requests sent once more after a kept connection had closed"
    );
    metrics::describe_histogram!(REQUEST, Unit::Seconds, "requests, to the last byte or the error");
    metrics::describe_histogram!(
        LATENESS,
        Unit::Seconds,
        "from when a request was due to when the engine came to it; first requests left out"
    );
    metrics::describe_histogram!(HELD, Unit::Seconds, "how long caps and hints then held a request");
    metrics::describe_gauge!(QUEUED, Unit::Count, "due polls that wait for a cap or the end of a hold");
    metrics::describe_counter!(
        SATURATIONS,
        Unit::Count,
        "minutes in which all requests in flight were in use while due polls waited"
    );
    metrics::describe_gauge!(KEPT, Unit::Bytes, "what open polls keep of responses that did not match");
    metrics::describe_gauge!(HELD_BACK, Unit::Count, "origins that a 429 or 503 holds back");
    metrics::describe_counter!(HOLD_BACKS, Unit::Count, "times a 429 or 503 held back an origin");
    metrics::describe_counter!(WEBHOOKS, Unit::Count, "attempts to deliver a webhook, by their result");
    metrics::describe_histogram!(STORE, Unit::Seconds, "calls to the store, by operation");
    metrics::describe_counter!(STORE_ERRORS, Unit::Count, "calls to the store that failed, by operation");
}
