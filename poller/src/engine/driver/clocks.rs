//! Clocks that disagree: those of other processes, and this machine's after a step or a sleep.
//!
//! A process that submits a poll stamps it with its own UTC, and the runner follows a clock that it read once. The runner
//! knows better: a poll that it finds at a look was not there at the look before. So the start of such a poll is moved
//! between the two, and its deadline with it; a clock that is wrong delays no first request and ends no poll unasked.

use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::event::PollerEvent;
use crate::store::StoredPoll;

/// Smaller changes are slewing or noise.
const NOTABLE: Duration = Duration::from_secs(1);

/// How long before its creation is committed a poll may be stamped: as long as a store may take.
const COMMIT: Duration = Duration::from_secs(5);

/// What was seen of the clocks at the last look.
#[derive(Debug, Default)]
pub(in super::super) struct Clocks {
    wall_step: i64,
    slept: Duration,
    /// `None` before the first look: an earlier run may have seen the steps in it.
    shift: Option<i64>,
    /// All polls that were committed before this time have been read.
    read_until: Option<Timestamp>,
    /// When the read under way began.
    reading_since: Option<Timestamp>,
}

impl Clocks {
    /// Notices steps of the system's clock and of the store's, and sleep of the machine, since the last look.
    pub(super) fn look(&mut self, clock: &dyn Clock) -> Vec<PollerEvent> {
        let mut events = Vec::new();
        let (wall_step, slept) = (clock.wall_step(), clock.slept());
        let asleep = slept.saturating_sub(self.slept);
        if asleep > NOTABLE {
            events.push(PollerEvent::Slept { duration: asleep });
            self.slept = slept;
        }
        let shift = clock.shift();
        let set = i128::from(self.shift.replace(shift).unwrap_or(shift)) - i128::from(shift);
        if set != 0 {
            events.push(PollerEvent::StoreClockSet { forward: set > 0, duration: magnitude(set) });
        }
        let by = i128::from(wall_step) - i128::from(self.wall_step);
        let duration = magnitude(by);
        if duration > NOTABLE {
            events.push(PollerEvent::ClockSet { forward: by > 0, duration });
            self.wall_step = wall_step;
        }
        events
    }

    /// A read of polls begins.
    pub(in super::super) fn begin_read(&mut self, now: Timestamp) {
        self.reading_since = Some(now);
    }

    /// The read has returned the last page.
    pub(in super::super) fn end_read(&mut self) {
        self.read_until = self.reading_since.take().or(self.read_until);
    }

    /// Moves the start of a poll that no run had before this one: another process has created it since the last look.
    pub(in super::super) fn place(&self, poll: &mut StoredPoll, now: Timestamp) {
        if poll.restarts == 0 && poll.outcome.is_none() {
            poll.created_at = self.start_of_new(poll.created_at, now);
        }
    }

    fn start_of_new(&self, created_at: Timestamp, now: Timestamp) -> Timestamp {
        let earliest = self.read_until.unwrap_or_default();
        if created_at + COMMIT < earliest { earliest } else { created_at.min(now) }
    }
}

fn magnitude(micros: i128) -> Duration {
    Duration::from_micros(u64::try_from(micros.unsigned_abs()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::BoxFuture;
    use std::sync::Mutex;

    struct Played(Mutex<(i64, Duration, i64)>);

    impl Clock for Played {
        fn now(&self) -> Timestamp {
            Timestamp::default()
        }

        fn sleep_until(&self, _at: Timestamp) -> BoxFuture<'static, ()> {
            Box::pin(std::future::pending())
        }

        fn wall_step(&self) -> i64 {
            self.0.lock().unwrap().0
        }

        fn slept(&self) -> Duration {
            self.0.lock().unwrap().1
        }

        fn shift(&self) -> i64 {
            self.0.lock().unwrap().2
        }
    }

    #[test]
    fn steps_and_sleep_are_noticed_once() {
        let clock = Played(Mutex::new((0, Duration::ZERO, 0)));
        let mut clocks = Clocks::default();
        let mut look = |step: i64, slept: u64| {
            *clock.0.lock().unwrap() = (step * 100_000, Duration::from_secs(slept), 0);
            format!("{:?}", clocks.look(&clock))
        };
        assert_eq!(look(0, 0), "[]");
        // Slewing adds up.
        assert_eq!(look(6, 0), "[]");
        assert_eq!(look(12, 0), "[ClockSet { forward: true, duration: 1.2s }]");
        assert_eq!(look(12, 0), "[]");
        assert_eq!(look(-388, 0), "[ClockSet { forward: false, duration: 40s }]");
        assert_eq!(look(-388, 3600), "[Slept { duration: 3600s }]");
        assert_eq!(look(-388, 3600), "[]");
    }

    #[test]
    fn steps_of_the_clock_of_the_store_are_what_was_taken_out_since_the_first_look() {
        let clock = Played(Mutex::new((0, Duration::ZERO, 0)));
        let mut clocks = Clocks::default();
        let mut look = |shift: i64| {
            clock.0.lock().unwrap().2 = shift * 1_000_000;
            format!("{:?}", clocks.look(&clock))
        };
        assert_eq!(look(3600), "[]", "taken out before");
        assert_eq!(look(3605), "[StoreClockSet { forward: false, duration: 5s }]");
        assert_eq!(look(5), "[StoreClockSet { forward: true, duration: 3600s }]");
        assert_eq!(look(5), "[]");
    }

    #[test]
    fn the_start_of_a_poll_that_was_just_found_is_after_the_look_before() {
        let at = |second: u64| Timestamp::from_micros(second * 1_000_000);
        let mut clocks = Clocks::default();
        // Found at the start, where it may have waited for days.
        assert_eq!(clocks.start_of_new(at(3), at(1000)), at(3));
        clocks.begin_read(at(1000));
        clocks.end_read();
        for (stamped, start) in [
            (1001, 1001),
            // A slow commit.
            (997, 997),
            // Its clock is ahead of ours, or ours behind.
            (1020, 1002),
            // The reverse.
            (960, 1000),
            (0, 1000),
        ] {
            assert_eq!(clocks.start_of_new(at(stamped), at(1002)), at(start), "stamped {stamped}");
        }
        // A read that fails moves nothing.
        clocks.begin_read(at(1010));
        assert_eq!(clocks.start_of_new(at(960), at(1011)), at(1000));
    }
}
