//! The clock of a fleet: the database's time, as this process knows it.
//!
//! Machines disagree, and the creation and the deadline of a poll are read by whichever process runs it. So all times of
//! polls are the database's. A process maps its own clock to them by an offset, which it measures whenever it asks the
//! database for the time: the reading lies between the moments before and after the question. Within these bounds the
//! offset is kept, so that the clock runs evenly, and equal clocks have the offset zero exactly.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::{BoxFuture, Clock, SystemClock, Timestamp};

/// How often a sleeper looks whether the offset has changed.
const LOOK: Duration = Duration::from_secs(1);

/// The database's time. Clones share the offset.
#[derive(Clone, Debug)]
pub(super) struct DatabaseClock {
    own: SystemClock,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Microseconds to add to the own clock.
    offset: AtomicI64,
    /// The latest time that was read: the clock never goes back.
    latest: AtomicU64,
}

impl DatabaseClock {
    pub(super) fn new() -> Self {
        Self { own: SystemClock::new(), shared: Arc::default() }
    }

    /// The clock of this process, for waiting.
    pub(super) fn own(&self) -> SystemClock {
        self.own
    }

    /// Microseconds by which the database is ahead of this machine.
    pub(super) fn offset(&self) -> i64 {
        self.shared.offset.load(Ordering::Relaxed)
    }

    /// The database said `database` to a question that was sent at `before` and answered at `after` by the own clock.
    pub(super) fn measured(&self, before: Timestamp, database: i64, after: Timestamp) {
        let [before, after] = [before, after].map(|at| i64::try_from(at.as_micros()).unwrap_or(i64::MAX));
        let (least, most) = (database.saturating_sub(after), database.saturating_sub(before));
        let offset = self.offset();
        if offset < least || offset > most {
            let middle = least / 2 + most / 2;
            self.shared.offset.store(middle, Ordering::Relaxed);
        }
    }
}

impl Clock for DatabaseClock {
    fn now(&self) -> Timestamp {
        let own = self.own.now().as_micros();
        let time = own.saturating_add_signed(self.offset());
        let latest = self.shared.latest.fetch_max(time, Ordering::Relaxed);
        Timestamp::from_micros(time.max(latest))
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        let clock = self.clone();
        Box::pin(async move {
            loop {
                let left = at.since(clock.now());
                if left.is_zero() {
                    return;
                }
                clock.own.sleep_until(clock.own.now() + left.min(LOOK)).await;
            }
        })
    }

    fn wall_step(&self) -> i64 {
        self.own.wall_step()
    }

    fn slept(&self) -> Duration {
        self.own.slept()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    #[test]
    fn an_offset_is_kept_while_it_is_possible() {
        let clock = DatabaseClock::new();
        clock.measured(at(1_000), 1_050, at(1_100));
        assert_eq!(clock.offset(), 0, "equal clocks");
        clock.measured(at(1_000), 3_600_001_050, at(1_100));
        assert_eq!(clock.offset(), 3_600_000_000, "an hour behind the database");
        clock.measured(at(2_000), 3_600_002_020, at(2_100));
        assert_eq!(clock.offset(), 3_600_000_000, "within the bounds");
        clock.measured(at(1_000), i64::MAX, at(u64::MAX));
        clock.measured(at(0), i64::MIN, at(u64::MAX));
    }

    #[test]
    fn it_never_goes_back() {
        let clock = DatabaseClock::new();
        let own = clock.own().now();
        clock.measured(own, i64::try_from(own.as_micros()).unwrap() + 5_000_000, own);
        let before = clock.now();
        clock.measured(own, i64::try_from(own.as_micros()).unwrap() - 5_000_000, own);
        assert!(clock.now() >= before);
    }
}
