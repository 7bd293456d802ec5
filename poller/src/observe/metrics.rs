//! The metrics of a poller, recorded through the crate `metrics`.
//!
//! Names, units and labels are an interface: the table in `docs/observability.md` lists them, and a test compares both.
//! Labels have few values, all known in advance: a status from 100 to 599, the kind of an error, the kind of an outcome, an
//! operation of the store. A URL, an origin or a key is never a label, because a poller may have a million of them.
//!
//! Handles are created with the poller, those of statuses on first use, so the engine looks up nothing while it runs.
//! Without an installed recorder they do nothing.

use std::sync::OnceLock;

use metrics::{Counter, Gauge, Histogram, Unit};

use super::operation::Operation;
use crate::history::Record;
use crate::outbox::DeliveryState;
use crate::outcome::{AttemptResult, Outcome};

const ATTEMPTS: &str = "poller_attempts_total";
const STATUS: &str = "http_response_status_code";
const OPERATION: &str = "operation";

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
    pub(super) created: Counter,
    /// In the order matched, failed, timed out, cancelled.
    outcomes: [(&'static str, Counter); 4],
    in_flight: Gauge,
    /// By status, from 100.
    statuses: Box<[OnceLock<Counter>]>,
    retries: Counter,
    resent: Counter,
    request: Histogram,
    pub(super) lateness: Histogram,
    pub(super) held: Histogram,
    queued: Gauge,
    pub(super) saturations: Counter,
    kept: Gauge,
    held_back: Gauge,
    pub(super) hold_backs: Counter,
    /// In the order of [`DeliveryState::ALL`].
    pub(super) webhooks: [Counter; DeliveryState::ALL.len()],
    /// The durations and the errors, in the order of [`Operation::ALL`].
    pub(super) store: [(Histogram, Counter); Operation::ALL.len()],
}

impl Metrics {
    pub(super) fn new() -> Self {
        let gauge = |name: &'static str, unit, about: &'static str| {
            metrics::describe_gauge!(name, unit, about);
            metrics::gauge!(name)
        };
        let count = |name: &'static str, about: &'static str| {
            metrics::describe_counter!(name, Unit::Count, about);
            name
        };
        let counter = |name, about| metrics::counter!(count(name, about));
        let time = |name: &'static str, about: &'static str| {
            metrics::describe_histogram!(name, Unit::Seconds, about);
            name
        };
        let histogram = |name, about| metrics::histogram!(time(name, about));
        count(ATTEMPTS, "requests that ended, by what they brought");
        let outcomes = count("poller_outcomes_total", "outcomes stored, by their kind");
        let webhooks = count("poller_webhooks_total", "attempts to deliver a webhook, by their result");
        let store = time("poller_store_duration_seconds", "calls to the store, by operation");
        let errors = count("poller_store_errors_total", "calls to the store that failed, by operation");
        Self {
            open: gauge("poller_polls_open", Unit::Count, "polls without an outcome"),
            waiting: gauge("poller_polls_waiting", Unit::Count, "open polls that have no request in flight"),
            created: counter("poller_polls_created_total", "polls accepted as new"),
            outcomes: ["matched", "failed", "timed out", "cancelled"]
                .map(|name| (name, metrics::counter!(outcomes, "outcome" => name.replace(' ', "_")))),
            in_flight: gauge(
                "poller_requests_in_flight",
                Unit::Count,
                "requests that have been sent and not answered",
            ),
            statuses: (0..STATUSES).map(|_| OnceLock::new()).collect(),
            retries: counter("poller_retries_total", "requests that a retry rule repeats"),
            resent: counter(
                "poller_resent_total",
                "requests sent once more after a kept connection had closed",
            ),
            request: histogram("poller_request_duration_seconds", "requests, to the last byte or the error"),
            lateness: histogram(
                "poller_lateness_seconds",
                "from when a request was due to when the engine came to it; first requests left out",
            ),
            held: histogram("poller_held_seconds", "how long caps and hints then held a request"),
            queued: gauge(
                "poller_requests_queued",
                Unit::Count,
                "due polls that wait for a cap or the end of a hold",
            ),
            saturations: counter(
                "poller_in_flight_exhausted_total",
                "minutes in which all requests in flight were in use while due polls waited",
            ),
            kept: gauge(
                "poller_kept_bytes",
                Unit::Bytes,
                "what open polls keep of responses that did not match",
            ),
            held_back: gauge("poller_origins_held_back", Unit::Count, "origins that a 429 or 503 holds back"),
            hold_backs: counter("poller_hold_backs_total", "times a 429 or 503 held back an origin"),
            webhooks: DeliveryState::ALL.map(|state| {
                let result = match state {
                    DeliveryState::Pending => "failed",
                    other => other.as_str(),
                };
                metrics::counter!(webhooks, "result" => result)
            }),
            store: Operation::ALL.map(|operation| {
                let name = operation.as_str();
                (metrics::histogram!(store, OPERATION => name), metrics::counter!(errors, OPERATION => name))
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

    pub(super) fn attempted(&self, attempt: &Record, is_retried: bool) {
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
        if is_retried {
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

    pub(super) fn finished(&self, outcome: &Outcome) {
        if let Some((_, counter)) = self.outcomes.iter().find(|(name, _)| *name == outcome.name()) {
            counter.increment(1);
        }
    }
}
