//! When the leases of other workers end, as this worker has seen them: by its own clock.
//!
//! The database says how much of a lease is left, by the fleet's time. That time leaps when the database's clock is set
//! forward, until a worker has noticed, and is hastened by steps that are too small to be noticed. So a lease has ended only
//! if it has ended by the database *and* as much time has passed here as was left of it when it was first seen. A lease that
//! was renewed since the last look has begun since then: if less is left of it, the clock was set meanwhile, and it counts in
//! full from now on. So it does if nothing is left, when the look before was long ago because the database was away. That ends no
//! lease early, and none late while clocks run evenly and the database is there.
//!
//! A worker that has just started has seen nothing yet. If others have shards, and none has renewed its lease for longer than
//! one that lives does, then either all have died or the clock was set forward; if one has renewed it in the future, the clock
//! was set back. It cannot tell, and so [waits](is_doubtful), for a lease at most: a worker that lives takes the step out of
//! the fleet's time before that. With the wrong time, it would take the shards of living workers, and end polls early.

use std::collections::HashMap;
use std::time::Duration;

use super::clock::BACK;
use super::signed;
use crate::clock::Timestamp;

/// The lease of another worker, as the database says it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Other {
    pub(super) id: i64,
    /// When it was renewed, in microseconds: what tells one renewal from the next.
    pub(super) renewed: i64,
    /// What is left of it; zero if it has ended.
    pub(super) left: Duration,
}

/// What was seen of the leases of others.
#[derive(Debug, Default)]
pub(super) struct Sightings {
    /// When the look before began, by the own clock.
    looked: Option<Timestamp>,
    /// By worker, the renewal that was seen, and until when the lease lasts.
    leases: HashMap<i64, (i64, Timestamp)>,
}

impl Sightings {
    /// A look at all other workers, which began at `now` by the own clock: what is left of the lease of each, in their order.
    pub(super) fn look(&mut self, others: &[Other], now: Timestamp, lease: Duration) -> Vec<Duration> {
        let began = self.looked.replace(now).map(|looked| looked + lease);
        let before = std::mem::take(&mut self.leases);
        let mut left = Vec::with_capacity(others.len());
        for other in others {
            let until = match before.get(&other.id) {
                Some((renewed, until)) if *renewed == other.renewed => *until,
                _ => {
                    let until = now + other.left.min(lease);
                    let is_wrong = |least| until < least || until <= now;
                    if began.is_some_and(is_wrong) { now + lease } else { until }
                }
            };
            self.leases.insert(other.id, (other.renewed, until));
            left.push(other.left.max(until.since(now)));
        }
        left
    }
}

/// Whether a worker that starts cannot trust the fleet's `time`, in microseconds: others that have shards have last `noted` a
/// later one, or none for longer than those do that live, which renew their leases in each third.
pub(super) fn is_doubtful(time: i64, noted: i64, lease: Duration) -> bool {
    noted.saturating_sub(time) > signed(BACK) || time.saturating_sub(noted) > signed(lease / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(10);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    /// What is left of the lease of one other worker, in seconds.
    fn look(sightings: &mut Sightings, now: u64, renewed: i64, left: u64) -> u64 {
        let other = Other { id: 1, renewed, left: Duration::from_secs(left) };
        sightings.look(&[other], at(now), LEASE)[0].as_secs()
    }

    #[test]
    fn a_lease_ends_when_the_database_says_so() {
        let mut seen = Sightings::default();
        assert_eq!(look(&mut seen, 100, 7, 6), 6);
        assert_eq!(look(&mut seen, 103, 8, 9), 9);
        assert_eq!(look(&mut seen, 106, 8, 6), 6);
        assert_eq!(look(&mut seen, 112, 8, 0), 0);
        // Seen for the first time, after it ended.
        assert_eq!(look(&mut Sightings::default(), 100, 7, 0), 0);
    }

    #[test]
    fn a_clock_that_is_set_forward_ends_none_early() {
        let mut seen = Sightings::default();
        assert_eq!(look(&mut seen, 100, 7, 9), 9);
        assert_eq!(look(&mut seen, 103, 7, 0), 6, "seen before");
        assert_eq!(look(&mut seen, 106, 8, 0), 10, "renewed since then");
        assert_eq!(look(&mut seen, 109, 3_600, 9), 9, "renewed by the new time");
        assert_eq!(look(&mut seen, 118, 3_600, 0), 0);
        assert_eq!(look(&mut seen, 218, 3_700, 0), 10, "renewed at some time while the database was away");
        assert_eq!(look(&mut seen, 228, 3_700, 0), 0);
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_lengthen_what_was_seen() {
        let mut seen = Sightings::default();
        assert_eq!(look(&mut seen, 100, 7, 3_600), 3_600);
        // The step was taken out.
        assert_eq!(look(&mut seen, 103, 7, 5), 7);
        assert_eq!(look(&mut seen, 110, 7, 0), 0);
    }

    #[test]
    fn a_worker_that_starts_doubts_a_time_that_nobody_has_noted() {
        let doubts = |seconds: i64| is_doubtful(seconds * 1_000_000, 100_000_000, LEASE);
        assert_eq!([99, 100, 105].map(doubts), [false; 3]);
        assert_eq!([98, 106].map(doubts), [true; 2]);
    }
}
