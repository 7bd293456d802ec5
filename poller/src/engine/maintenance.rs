//! What the driver does for the store now and then: remove finished polls that need not be kept, and write down the last
//! attempts of open ones.
//!
//! Neither is urgent and neither may get in the way: a removal takes a few hundred polls and then lets others write, and
//! attempts are written in one batch, not one by one. Nothing is lost where one of them fails; it is tried again the next
//! time.

use std::collections::HashSet;
use std::time::Duration;

use super::entry::PollId;
use crate::clock::Timestamp;
use crate::limits::Limits;
use crate::store::Retention;

/// How often it is looked whether something need not be kept any more.
const PURGE: Duration = Duration::from_secs(60);
/// The pause between two removals where there is more to remove.
const BREATH: Duration = Duration::from_millis(50);
/// With more open polls than this, their attempts are written with their outcomes only.
const MANY: usize = 10_000;

/// What is to be done when.
#[derive(Debug)]
pub(super) struct Maintenance {
    age: Duration,
    most: usize,
    purge_at: Option<Timestamp>,
    /// How often attempts are written; `None` where they are not.
    every: Option<Duration>,
    flush_at: Option<Timestamp>,
    /// Polls with attempts that have not been written.
    attempted: HashSet<PollId>,
}

impl Maintenance {
    /// `keeps_attempts`: whether the store has a place for the attempts of open polls.
    pub(super) fn new(limits: &Limits, keeps_attempts: bool, now: Timestamp) -> Self {
        let keeps_all = limits.keep_finished == Duration::MAX && limits.finished_polls == usize::MAX;
        Self {
            age: limits.keep_finished,
            most: limits.finished_polls,
            purge_at: (!keeps_all).then_some(now),
            every: limits.history_every.filter(|_| keeps_attempts && limits.history > 0),
            flush_at: None,
            attempted: HashSet::new(),
        }
    }

    /// When there is something to do.
    pub(super) fn next(&self) -> Option<Timestamp> {
        [self.purge_at, self.flush_at].into_iter().flatten().min()
    }

    /// Which finished polls are to be kept, if the others are to be removed now; [`purged`](Self::purged) follows.
    pub(super) fn purge(&mut self, now: Timestamp) -> Option<Retention> {
        self.purge_at.take_if(|at| *at <= now)?;
        Some(Retention::new(now.before(self.age), self.most))
    }

    /// So many were removed.
    pub(super) fn purged(&mut self, removed: usize, now: Timestamp) {
        self.purge_at = Some(now + if removed > 0 { BREATH } else { PURGE });
    }

    /// A poll has one attempt more.
    pub(super) fn attempted(&mut self, id: PollId, now: Timestamp) {
        let Some(every) = self.every else { return };
        if self.attempted.len() <= MANY {
            self.attempted.insert(id);
        }
        self.flush_at.get_or_insert(now + every);
    }

    /// The polls whose attempts are to be written now; none where too many are open.
    pub(super) fn flush(&mut self, open: usize, now: Timestamp) -> Option<HashSet<PollId>> {
        self.flush_at.take_if(|at| *at <= now)?;
        let attempted = std::mem::take(&mut self.attempted);
        (open <= MANY).then_some(attempted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(100_000_000_000_000);

    fn limits() -> Limits {
        Limits::default()
    }

    #[test]
    fn what_need_not_be_kept_is_removed_bit_by_bit_and_then_looked_for_each_minute() {
        let mut maintenance = Maintenance::new(&limits(), false, NOW);
        let retention = maintenance.purge(NOW).unwrap();
        assert_eq!(NOW.since(retention.since), Duration::from_secs(30 * 24 * 3600));
        assert_eq!(maintenance.next(), None, "one removal at a time");
        maintenance.purged(500, NOW);
        assert_eq!(maintenance.next(), Some(NOW + BREATH));
        assert!(maintenance.purge(NOW).is_none());
        assert!(maintenance.purge(NOW + BREATH).is_some());
        maintenance.purged(0, NOW);
        assert_eq!(maintenance.next(), Some(NOW + PURGE));
    }

    #[test]
    fn where_everything_is_kept_there_is_nothing_to_do() {
        let mut limits = limits();
        limits.keep_finished = Duration::MAX;
        assert_eq!(Maintenance::new(&limits, true, NOW).next(), None);
        limits.finished_polls = 5;
        assert!(Maintenance::new(&limits, true, NOW).next().is_some());
    }

    #[test]
    fn attempts_are_written_together_and_not_of_too_many_polls() {
        let id = PollId::default();
        let mut maintenance = Maintenance::new(&limits(), true, NOW);
        maintenance.purge(NOW).unwrap();
        maintenance.attempted(id, NOW);
        maintenance.attempted(id, NOW + Duration::from_secs(1));
        let due = NOW + limits().history_every.unwrap();
        assert_eq!(maintenance.next(), Some(due));
        assert_eq!(maintenance.flush(1, due), Some(HashSet::from([id])));
        assert_eq!((maintenance.next(), maintenance.flush(1, due)), (None, None));
        maintenance.attempted(id, due);
        assert_eq!(maintenance.flush(MANY + 1, due + Duration::from_secs(60)), None);
        for (mut limits, keeps) in [(limits(), false), (limits(), true)] {
            if keeps {
                limits.history_every = None;
            }
            let mut maintenance = Maintenance::new(&limits, keeps, NOW);
            maintenance.purge(NOW).unwrap();
            maintenance.attempted(id, NOW);
            assert_eq!(maintenance.next(), None, "nobody asked for it");
        }
    }
}
