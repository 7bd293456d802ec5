//! What is seen of the core from outside: of each poll, and how often each thing happened.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::script::Reply;
use crate::clock::Timestamp;
use crate::job::PollSpec;
use crate::outcome::{Attempt, Next, NextReason, Outcome};
use crate::schedule::Grid;
use crate::store::StoredPoll;

/// The observations of one poll from outside of the core.
#[derive(Debug, Default)]
pub(super) struct Observed {
    pub(super) acknowledged: bool,
    pub(super) reported: Option<Arc<Outcome>>,
    /// The request in flight, in this life of the process.
    pub(super) in_flight: Option<u64>,
    /// The next attempt that the last one of this life announced.
    pub(super) next: Option<Option<Next>>,
    /// When the core learned, in this life, that the poll is stored.
    pub(super) begun: Option<Timestamp>,
    /// The start of the poll by the clock of this life, and how long after it its grid begins.
    pub(super) start: Timestamp,
    pub(super) first_after: Duration,
    /// The time in this life from which its first request may begin.
    pub(super) first: Option<Timestamp>,
    /// Whether its outcome is decided, in this life.
    pub(super) ending: bool,
    /// When the store failed to save its outcome, if it was not asked again since, in this life.
    pub(super) unsaved: Option<Timestamp>,
    /// The reply to the request in flight.
    pub(super) reply: Option<Reply>,
    /// The end of the last reported hold of this life.
    pub(super) held_until: Timestamp,
    /// The life in which a request began after the deadline.
    pub(super) looked: Option<u32>,
    /// Whether the URL to ask is being stored, in this life.
    pub(super) linking: bool,
    /// The last attempts of this life that the poll keeps, as they were reported.
    pub(super) attempts: VecDeque<Attempt>,
    /// When a caller said that there is something new, after the last request of this life began.
    pub(super) called: Option<Timestamp>,
    /// The poll, if a look found it while it was being created here, in this life.
    pub(super) found: Option<StoredPoll>,
}

/// Counts of events, which show that the simulation covers them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) sent: u32,
    pub(super) joined: u32,
    pub(super) hung: u32,
    pub(super) crashes: u32,
    /// The crashes between two effects of one step.
    pub(super) torn: u32,
    pub(super) shutdowns: u32,
    pub(super) outages: u32,
    pub(super) looks: u32,
    pub(super) links: u32,
    /// Starts of a process whose clock was behind that of the process before.
    pub(super) set_back: u32,
    /// Sleeps during which the clock stood still.
    pub(super) stood_still: u32,
    /// Polls of other processes, by their clocks: earlier than the runner's look before, later than the runner's clock.
    pub(super) stale: u32,
    pub(super) ahead: u32,
    /// Requests before their announced time, after a callback.
    pub(super) hastened: u32,
}

impl Observed {
    /// Forgets what was seen of the process that has ended.
    pub(super) fn end_life(&mut self) {
        let Self { acknowledged, reported, start, first_after, looked, .. } = std::mem::take(self);
        *self = Self { acknowledged, reported, start, first_after, looked, ..Self::default() };
    }

    /// The core learned that the poll is stored, which it accepted itself: the first request is due.
    pub(super) fn create(&mut self, now: Timestamp, poll: &StoredPoll) {
        self.begun = Some(now);
        (self.start, self.first_after) = (poll.created_at, poll.first_after);
        self.first = Some(now.max(poll.created_at + poll.first_after));
    }

    /// The core continues a poll that the store had. A start in the future counts as now.
    pub(super) fn adopt(&mut self, poll: &StoredPoll, now: Timestamp) {
        self.begun = Some(now);
        (self.start, self.first_after) = (poll.created_at.min(now), poll.first_after);
        let grid = self.grid(&poll.spec);
        let young = now.since(grid.start()) < grid.interval().first();
        let tick = if young { now.max(grid.start()) } else { grid.first_after(now).unwrap_or(now) };
        self.first = Some(tick);
    }

    pub(super) fn grid(&self, spec: &PollSpec) -> Grid {
        Grid::new(self.start + self.first_after, spec.interval(), spec.timeout() - self.first_after)
    }

    /// The time from which a callback lets the next request begin, if one came: a second after the last attempt, and not
    /// before the time that the server asked for.
    pub(super) fn hastened(&self) -> Option<Timestamp> {
        let called = self.called?;
        match (self.attempts.back(), self.next) {
            (Some(Attempt { next: Some(Next { why: NextReason::Hint, .. }), .. }), _) => None,
            (Some(last), _) => Some(called.max(last.at + last.duration + Duration::from_secs(1))),
            // Attempts were made, and none is kept.
            (None, Some(_)) => None,
            (None, None) => Some(called),
        }
    }
}
