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
mod stats;
pub(crate) mod trace;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::metrics::Metrics;
pub use self::stats::{AttemptCounts, OutcomeCounts, Stats, Timings};
use crate::history::Record;
use crate::outcome::{NextReason, Outcome};
use crate::store::StoreError;

/// A call of the engine to its store, by the name that metrics and logs give it.
///
/// ```
/// assert_eq!(poller::StoreOperation::Finish.as_str(), "finish");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Stores new polls.
    Create,
    /// Stores an outcome.
    Finish,
    /// Reads the changes of other processes.
    Changes,
    /// Loads the polls that were open at the start.
    LoadOpen,
    /// Reads one poll.
    Get,
    /// Stores the last attempts of open polls.
    NoteAttempts,
    /// Removes finished polls by the limits of retention.
    Purge,
}

impl Operation {
    pub(crate) const ALL: [Self; 7] = [
        Self::Create,
        Self::Finish,
        Self::Changes,
        Self::LoadOpen,
        Self::Get,
        Self::NoteAttempts,
        Self::Purge,
    ];

    /// The name in metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Finish => "finish",
            Self::Changes => "changes",
            Self::LoadOpen => "load_open",
            Self::Get => "get",
            Self::NoteAttempts => "note_attempts",
            Self::Purge => "purge",
        }
    }
}

/// The current number of polls and requests by state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Levels {
    /// Polls without an outcome.
    pub(crate) open: usize,
    /// Requests sent and not answered.
    pub(crate) in_flight: usize,
    /// Pairs of origin and credentials that a hint holds back.
    pub(crate) held_back: usize,
}

/// Records events of the engine; every method takes constant time and none waits.
#[derive(Debug)]
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
        self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The numbers after a change.
    pub(crate) fn levels(&self, levels: Levels) {
        {
            let mut stats = self.lock();
            (stats.open, stats.in_flight, stats.held_back) =
                (levels.open, levels.in_flight, levels.held_back);
        }
        self.metrics.levels(levels);
    }

    /// A new poll was stored.
    pub(crate) fn created(&self) {
        self.lock().created += 1;
        self.metrics.created();
    }

    /// A request begins; `lateness` is `None` for a first request, which waits for the store and not for the schedule.
    pub(crate) fn began(&self, lateness: Option<Duration>, held: Duration) {
        if let Some(lateness) = lateness {
            self.lock().lateness.record(lateness);
            self.metrics.lateness(lateness);
        }
        self.metrics.held(held);
    }

    /// A request ended.
    pub(crate) fn attempted(&self, attempt: &Record) {
        let retried = attempt.next.is_some_and(|next| matches!(next.why, NextReason::Retry { .. }));
        {
            let mut stats = self.lock();
            *stats.attempts.of(attempt.result) += 1;
            stats.request_time.record(attempt.duration);
            stats.retries += u64::from(retried);
        }
        self.metrics.attempted(attempt);
    }

    /// A hint holds an origin back.
    pub(crate) fn hold_back(&self) {
        self.lock().hold_backs += 1;
        self.metrics.hold_back();
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
        self.metrics.store(operation, took);
        let failing = &self.failing[operation as usize];
        if let Some(error) = error {
            self.lock().store_errors += 1;
            self.metrics.store_error(operation);
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
