//! Periodic maintenance of the store: removing ended polls past their retention, and writing the last attempts of open
//! polls.
//!
//! Both yield to other writes: a removal covers a few hundred polls, and attempts are written in one batch. A failure
//! loses nothing; the next period tries again.

use std::collections::HashSet;
use std::time::Duration;

use super::entry::PollId;
use crate::clock::Timestamp;
use crate::limits::Limits;
use crate::store::Retention;

/// The period of removals when the last one found nothing.
const PURGE_PERIOD: Duration = Duration::from_secs(60);
/// The pause before the next removal when there may be more to remove.
const PURGE_PAUSE: Duration = Duration::from_millis(50);
/// With more open polls than this, attempts are written only with outcomes.
const MAX_POLLS: usize = 10_000;

/// The schedule of maintenance.
#[derive(Debug)]
pub(super) struct Maintenance {
    age: Duration,
    most: usize,
    purge_at: Option<Timestamp>,
    /// The period of writing attempts; `None` if they are not written.
    every: Option<Duration>,
    flush_at: Option<Timestamp>,
    /// The polls with unwritten attempts.
    attempted: HashSet<PollId>,
}

impl Maintenance {
    pub(super) fn new(limits: &Limits, now: Timestamp) -> Self {
        let keeps_all = limits.keep_finished == Duration::MAX && limits.finished_polls == usize::MAX;
        Self {
            age: limits.keep_finished,
            most: limits.finished_polls,
            purge_at: (!keeps_all).then_some(now),
            every: limits.history_every.filter(|_| limits.history > 0),
            flush_at: None,
            attempted: HashSet::new(),
        }
    }

    /// The time of the next task.
    pub(super) fn next(&self) -> Option<Timestamp> {
        [self.purge_at, self.flush_at].into_iter().flatten().min()
    }

    /// The retention for a removal, if one is due; a call of [`purged`](Self::purged) follows.
    pub(super) fn purge(&mut self, now: Timestamp) -> Option<Retention> {
        self.purge_at.take_if(|at| *at <= now)?;
        Some(Retention::new(now.before(self.age), self.most))
    }

    /// Schedules the next removal, after one of `removed` polls.
    pub(super) fn purged(&mut self, removed: usize, now: Timestamp) {
        self.purge_at = Some(now + if removed > 0 { PURGE_PAUSE } else { PURGE_PERIOD });
    }

    /// Notes that a poll has made an attempt.
    pub(super) fn attempted(&mut self, id: PollId, now: Timestamp) {
        let Some(every) = self.every else { return };
        if self.attempted.len() <= MAX_POLLS {
            self.attempted.insert(id);
        }
        self.flush_at.get_or_insert(now + every);
    }

    /// The polls whose attempts are due to be written; `None` if too many polls are open.
    pub(super) fn flush(&mut self, open: usize, now: Timestamp) -> Option<HashSet<PollId>> {
        self.flush_at.take_if(|at| *at <= now)?;
        let attempted = std::mem::take(&mut self.attempted);
        (open <= MAX_POLLS).then_some(attempted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(100_000_000_000_000);

    #[test]
    fn removals_follow_each_other_until_one_finds_nothing() {
        let mut maintenance = Maintenance::new(&Limits::default(), NOW);
        let retention = maintenance.purge(NOW).unwrap();
        assert_eq!(NOW.since(retention.since), Duration::from_secs(30 * 24 * 3600));
        assert_eq!(maintenance.next(), None, "one removal at a time");
        maintenance.purged(500, NOW);
        assert_eq!(maintenance.next(), Some(NOW + PURGE_PAUSE));
        assert!(maintenance.purge(NOW).is_none());
        assert!(maintenance.purge(NOW + PURGE_PAUSE).is_some());
        maintenance.purged(0, NOW);
        assert_eq!(maintenance.next(), Some(NOW + PURGE_PERIOD));
    }

    #[test]
    fn unlimited_retention_schedules_no_removal() {
        let mut limits = Limits { keep_finished: Duration::MAX, ..Limits::default() };
        assert_eq!(Maintenance::new(&limits, NOW).next(), None);
        limits.finished_polls = 5;
        assert!(Maintenance::new(&limits, NOW).next().is_some());
    }

    #[test]
    fn attempts_are_written_in_batches_and_not_for_too_many_polls() {
        let id = PollId::default();
        let mut maintenance = Maintenance::new(&Limits::default(), NOW);
        maintenance.purge(NOW).unwrap();
        maintenance.attempted(id, NOW);
        maintenance.attempted(id, NOW + Duration::from_secs(1));
        let due = NOW + Limits::default().history_every.unwrap();
        assert_eq!(maintenance.next(), Some(due));
        assert_eq!(maintenance.flush(1, due), Some(HashSet::from([id])));
        assert_eq!((maintenance.next(), maintenance.flush(1, due)), (None, None));
        maintenance.attempted(id, due);
        assert_eq!(maintenance.flush(MAX_POLLS + 1, due + Duration::from_secs(60)), None);
        for (history, every) in [(0, Limits::default().history_every), (20, None)] {
            let mut limits = Limits::default();
            (limits.history, limits.history_every) = (history, every);
            let mut maintenance = Maintenance::new(&limits, NOW);
            maintenance.purge(NOW).unwrap();
            maintenance.attempted(id, NOW);
            assert_eq!(maintenance.next(), None, "writing attempts is off");
        }
    }
}
