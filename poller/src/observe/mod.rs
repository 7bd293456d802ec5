//! What a poller tells about itself: to whoever asks ([`Stats`]), to a recorder of metrics, to a subscriber of tracing.
//!
//! ```text
//!  driver ─► Observer ─┬─► tallies ─► Poller::stats
//!                      ├─► metrics  (the facade of the crate `metrics`; nothing where no recorder is installed)
//!                      └─► trace    (spans and events of target `poller`; nothing where nobody listens)
//! ```
//!
//! The engine calls one observer at the places where something happens; the three outlets are here, so that what they say
//! agrees and none of them is known elsewhere. No outlet is handed a URL beyond its host and port, a header, a body or a
//! secret: what is not passed in cannot leak.

mod metrics;
mod stats;
pub(crate) mod trace;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use self::metrics::Metrics;
use self::stats::Tallies;
pub use self::stats::{AttemptCounts, OutcomeCounts, Stats, Timings};
use crate::history::Record;
use crate::outcome::Outcome;
use crate::store::StoreError;

/// A call of the engine to its store, by the name that metrics and logs give it.
///
/// ```
/// assert_eq!(poller::StoreOperation::Finish.as_str(), "finish");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Keep a new poll.
    Create,
    /// Keep an outcome.
    Finish,
    /// What other processes did.
    Changes,
    /// The polls that were open at the start.
    LoadOpen,
    /// One poll, as it is now.
    Get,
    /// Keep the last attempts of open polls.
    NoteAttempts,
    /// Remove finished polls that need not be kept.
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

/// How much there is now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Levels {
    /// Polls without an outcome.
    pub(crate) open: usize,
    /// Requests sent and not answered.
    pub(crate) in_flight: usize,
    /// Origins, each with the credentials used there, that a hint holds back.
    pub(crate) held_back: usize,
}

/// Takes note of what happens; every method takes constant time and none waits.
#[derive(Debug)]
pub(crate) struct Observer {
    tallies: Tallies,
    metrics: Metrics,
    /// Which operations of the store failed when they were last tried, in the order of [`Operation::ALL`].
    failing: [AtomicBool; Operation::ALL.len()],
}

impl Observer {
    /// An observer that counts from zero and reports to the recorder that is installed now.
    pub(crate) fn new() -> Self {
        Self { tallies: Tallies::default(), metrics: Metrics::new(), failing: Default::default() }
    }

    pub(crate) fn stats(&self) -> Stats {
        self.tallies.read()
    }

    /// How much there is of everything, after something has changed.
    pub(crate) fn levels(&self, levels: Levels) {
        self.tallies.levels(levels);
        self.metrics.levels(levels);
    }

    /// A poll is new and stored.
    pub(crate) fn created(&self) {
        self.tallies.created();
        self.metrics.created();
    }

    /// A request begins; `None` for one that no schedule was kept for.
    pub(crate) fn began(&self, lateness: Option<Duration>, held: Duration) {
        if let Some(lateness) = lateness {
            self.tallies.lateness(lateness);
            self.metrics.lateness(lateness);
        }
        self.metrics.held(held);
    }

    /// A request has ended.
    pub(crate) fn attempted(&self, attempt: &Record) {
        self.tallies.attempted(attempt);
        self.metrics.attempted(attempt);
    }

    /// A hint holds an origin back.
    pub(crate) fn hold_back(&self) {
        self.tallies.hold_back();
        self.metrics.hold_back();
    }

    /// An outcome is stored.
    pub(crate) fn finished(&self, outcome: &Outcome) {
        self.tallies.finished(outcome);
        self.metrics.finished(outcome);
    }

    /// The store has answered. Returns whether this operation succeeded after it had failed.
    pub(crate) fn store(&self, operation: Operation, took: Duration, error: Option<&StoreError>) -> bool {
        if matches!(operation, Operation::Create | Operation::Finish) {
            self.tallies.store(took);
        }
        self.metrics.store(operation, took);
        let failing = &self.failing[operation as usize];
        if let Some(error) = error {
            self.tallies.store_error();
            self.metrics.store_error(operation);
            trace::store_failed(operation, error, !failing.swap(true, Ordering::Relaxed));
            return false;
        }
        let recovered = failing.load(Ordering::Relaxed) && failing.swap(false, Ordering::Relaxed);
        if recovered {
            trace::store_works(operation);
        }
        recovered
    }
}
