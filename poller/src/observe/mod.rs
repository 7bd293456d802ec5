//! Observability of a poller: statistics ([`Stats`]), metrics and traces.
//!
//! ```text
//!  driver ─► Observer ─┬─► stats ─► Poller::stats
//!                      ├─► metrics  (the facade of the crate `metrics`; no cost without a recorder)
//!                      └─► trace    (spans and events of target `poller`; no cost without a subscriber)
//! ```
//!
//! The engine calls one observer; only this module knows the three outputs, so that they agree. No output receives a header,
//! a body, a secret, or more of a URL than its host and port: a value that is not passed in cannot leak.

mod metrics;
mod operation;
mod stats;
pub(crate) mod trace;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

pub(crate) use self::metrics::Levels;
use self::metrics::Metrics;
pub(crate) use self::operation::Operation;
pub use self::stats::{AttemptCounts, OutcomeCounts, Stats, Timings};
use crate::history::Record;
use crate::lock::lock;
use crate::outbox::DeliveryState;
use crate::outcome::{NextReason, Outcome};
use crate::store::StoreError;

/// Records events of the engine; every method takes constant time and none waits.
pub(crate) struct Observer {
    /// Locked for nanoseconds, nearly always by the engine alone.
    stats: Mutex<Stats>,
    metrics: Metrics,
    /// Whether the last call of each operation failed, in the order of [`Operation::ALL`].
    failing: [AtomicBool; Operation::ALL.len()],
}

impl Observer {
    /// An observer that counts from zero and reports to the metrics recorder installed at this moment.
    pub(crate) fn new() -> Self {
        Self { stats: Mutex::default(), metrics: Metrics::new(), failing: Default::default() }
    }

    pub(crate) fn stats(&self) -> Stats {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Stats> {
        lock(&self.stats)
    }

    /// The numbers after a change.
    pub(crate) fn levels(&self, levels: Levels) {
        {
            let mut stats = self.lock();
            (stats.open, stats.in_flight, stats.held_back) =
                (levels.open, levels.in_flight, levels.held_back);
            (stats.queued, stats.kept_bytes) = (levels.queued, levels.kept_bytes);
        }
        self.metrics.levels(levels);
    }

    /// A new poll was stored.
    pub(crate) fn created(&self) {
        self.lock().created += 1;
        self.metrics.created.increment(1);
    }

    /// A request begins; `lateness` is `None` for a first request, which waits for the store and not for the schedule.
    pub(crate) fn began(&self, lateness: Option<Duration>, held: Duration) {
        if let Some(lateness) = lateness {
            self.lock().lateness.record(lateness);
            self.metrics.lateness.record(lateness);
        }
        self.metrics.held.record(held);
    }

    /// A request ended.
    pub(crate) fn attempted(&self, attempt: &Record) {
        let retried = attempt.next.is_some_and(|next| matches!(next.why, NextReason::Retry { .. }));
        {
            let mut stats = self.lock();
            *stats.attempts.of(attempt.result) += 1;
            stats.request_time.record(attempt.duration);
            stats.retries += u64::from(retried);
            stats.resent += u64::from(attempt.resent);
        }
        self.metrics.attempted(attempt, retried);
    }

    /// As many requests are in flight as may be while due polls wait.
    pub(crate) fn saturated(&self) {
        self.lock().saturations += 1;
        self.metrics.saturations.increment(1);
    }

    /// A hint holds an origin back.
    pub(crate) fn hold_back(&self) {
        self.lock().hold_backs += 1;
        self.metrics.hold_backs.increment(1);
    }

    /// An attempt to deliver a webhook has ended.
    pub(crate) fn webhook(&self, state: DeliveryState) {
        self.metrics.webhooks[state as usize].increment(1);
    }

    /// An outcome was stored.
    pub(crate) fn finished(&self, outcome: &Outcome) {
        *self.lock().outcomes.of(&outcome.kind) += 1;
        self.metrics.finished(outcome);
    }

    /// A call to the store ended. Returns whether the operation succeeded after a failure.
    pub(crate) fn store(&self, operation: Operation, took: Duration, error: Option<&StoreError>) -> bool {
        if matches!(operation, Operation::Create | Operation::Finish) {
            self.lock().store_time.record(took);
        }
        let (durations, errors) = &self.metrics.store[operation as usize];
        durations.record(took);
        let failing = &self.failing[operation as usize];
        if let Some(error) = error {
            self.lock().store_errors += 1;
            errors.increment(1);
            trace::store_failed(operation, error, !failing.swap(true, Ordering::Relaxed));
            return false;
        }
        let recovered = failing.load(Ordering::Relaxed) && failing.swap(false, Ordering::Relaxed);
        if recovered {
            trace::store_recovered(operation);
        }
        recovered
    }
}
