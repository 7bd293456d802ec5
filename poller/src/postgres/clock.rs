//! The clock of a fleet: one time for all its processes, as this process knows it.
//!
//! Machines disagree, and the creation and the deadline of a poll are read by whichever process runs it. So all times of
//! polls are the fleet's: the database's clock, plus a shift that the database keeps (`poll.clock`). A process maps its own
//! clock to them by an offset, which it measures whenever it asks the database for the time: the reading lies between the
//! moments before and after the question. Within these bounds the offset is kept, so that the clock runs evenly, and equal
//! clocks have the offset zero exactly.
//!
//! A database's clock may be set, and after a fail-over it is another one. Followed back by an hour, all polls would wait for
//! that hour, because time never goes back here; followed forward, all would time out that had an hour left. So a worker,
//! whose own clock counts the time since its machine was started and cannot be set, takes such a [step](step) out of the
//! fleet's time: it moves the shift by as much ([`lease`](super::lease)). The rejected alternative is to follow the step and
//! move the times of all polls: millions of rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use super::{micros, signed};
use crate::clock::{BoxFuture, Clock, SystemClock, Timestamp};

/// How often a sleeper looks whether the offset has changed.
const LOOK: Duration = Duration::from_secs(1);

/// The fleet's time by the clock of the transaction, for the columns of `worker`.
pub(super) const NOW: &str = "(SELECT now() + shift * interval '1 microsecond' FROM poll.clock)";

/// The fleet's time at this moment in microseconds, from `poll.clock c`.
pub(super) const READING: &str = "(extract(epoch FROM clock_timestamp()) * 1000000)::int8 + c.shift";

/// A smaller step back is followed: the clock stands still for as long.
pub(super) const BACK: Duration = Duration::from_secs(1);

/// A smaller step forward, in leases, is followed. A machine that was frozen without noticing sees one too; after two leases,
/// others have taken its polls over, and it measures anew.
const FORWARD: u32 = 2;

/// What the database said about the time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    /// The fleet's time in microseconds.
    pub(super) time: i64,
    pub(super) shift: i64,
    /// How many steps were taken out so far.
    pub(super) steps: i64,
    /// By the own clock, before the question was sent and after it was answered.
    pub(super) before: Timestamp,
    pub(super) after: Timestamp,
}

impl Reading {
    /// The least and the most that the fleet may be ahead of the own clock.
    fn bounds(&self) -> (i64, i64) {
        let [before, after] = [self.before, self.after].map(micros);
        (self.time.saturating_sub(after), self.time.saturating_sub(before))
    }
}

/// By how much the fleet is ahead of a worker's own clock, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Offset {
    pub(super) value: i64,
    /// By how much it may be wrong: an answer that took long says little.
    slack: i64,
}

impl Offset {
    /// After a measurement between these bounds.
    pub(super) fn follow(self, (least, most): (i64, i64)) -> Self {
        let Self { value, slack } = self;
        if value < least || value > most {
            return Self { value: least / 2 + most / 2, slack: most.saturating_sub(least) / 2 };
        }
        Self { value, slack: slack.min(most.saturating_sub(value).max(value.saturating_sub(least))) }
    }

    /// The step of the database's clock, in microseconds and positive if it was set forward, if a worker that knew this
    /// offset now finds it between these bounds.
    pub(super) fn step(self, (least, most): (i64, i64), lease: Duration) -> Option<i64> {
        let Self { value, slack } = self;
        let limit = |limit: Duration| signed(limit).saturating_add(slack);
        let back = value.saturating_sub(most) > limit(BACK);
        let forward = least.saturating_sub(value) > limit(lease * FORWARD);
        (back || forward).then(|| (least / 2 + most / 2).saturating_sub(value))
    }
}

/// What of a step forward is to be taken out, if another worker that has kept the time since before `expected` has `noted` its
/// time last. Time has really passed until then, while the own clock stood still; the rest may be a step of the database's clock
/// all the same. `None` if a living worker's period explains it.
pub(super) fn unexplained(step: i64, expected: i64, noted: Option<i64>, lease: Duration) -> Option<i64> {
    let lease = signed(lease);
    let passed = noted.map_or(0, |noted| noted.saturating_sub(expected));
    if step <= 0 || passed <= lease {
        return Some(step);
    }
    Some(step.saturating_sub(passed)).filter(|rest| *rest > lease)
}

/// Whether another worker has taken a step out since this one knew their number. A smaller number says that a fail-over has lost
/// what was decided.
pub(super) fn is_decided(steps: i64, known: i64) -> bool {
    steps > known
}

/// Whether a clock that is ahead of the fleet's by this is of no use: what it is late for would wait for as long.
pub(super) fn is_too_far_ahead(ahead: Duration, lease: Duration) -> bool {
    ahead > lease * FORWARD
}

/// The fleet's time. Clones share the offset.
#[derive(Clone, Debug)]
pub(super) struct DatabaseClock {
    own: SystemClock,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Microseconds to add to the own clock, and by how much that may be wrong.
    offset: AtomicI64,
    slack: AtomicI64,
    /// The latest time that was read: the clock never goes back.
    latest: AtomicU64,
    shift: AtomicI64,
    steps: AtomicI64,
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
    pub(super) fn database_offset(&self) -> i64 {
        self.offset().saturating_sub(self.shared.shift.load(Ordering::Relaxed))
    }

    fn offset(&self) -> i64 {
        self.shared.offset.load(Ordering::Relaxed)
    }

    fn known(&self) -> Offset {
        Offset { value: self.offset(), slack: self.shared.slack.load(Ordering::Relaxed) }
    }

    /// The step that this reading shows.
    pub(super) fn step(&self, reading: &Reading, lease: Duration) -> Option<i64> {
        self.known().step(reading.bounds(), lease)
    }

    /// Whether another worker has taken a step out since this one last followed a reading.
    pub(super) fn is_decided(&self, reading: &Reading) -> bool {
        is_decided(reading.steps, self.shared.steps.load(Ordering::Relaxed))
    }

    /// Follows a reading.
    pub(super) fn follow(&self, reading: &Reading) {
        let Offset { value, slack } = self.known().follow(reading.bounds());
        self.shared.offset.store(value, Ordering::Relaxed);
        self.shared.slack.store(slack, Ordering::Relaxed);
        self.shared.shift.store(reading.shift, Ordering::Relaxed);
        self.shared.steps.store(reading.steps, Ordering::Relaxed);
    }

    /// How far what this clock has said is ahead of the fleet's time.
    pub(super) fn ahead(&self) -> Duration {
        self.now().since(self.fleet_time())
    }

    fn fleet_time(&self) -> Timestamp {
        Timestamp::from_micros(self.own.now().as_micros().saturating_add_signed(self.offset()))
    }
}

impl Clock for DatabaseClock {
    fn now(&self) -> Timestamp {
        let time = self.fleet_time().as_micros();
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

    fn shift(&self) -> i64 {
        self.shared.shift.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    fn reading(before: u64, time: i64, after: u64) -> Reading {
        Reading { time, shift: 0, steps: 0, before: at(before), after: at(after) }
    }

    #[test]
    fn an_offset_is_kept_while_it_is_possible() {
        let clock = DatabaseClock::new();
        clock.follow(&reading(1_000, 1_050, 1_100));
        assert_eq!(clock.offset(), 0, "equal clocks");
        clock.follow(&reading(1_000, 3_600_001_050, 1_100));
        assert_eq!(clock.offset(), 3_600_000_000, "an hour behind the database");
        clock.follow(&reading(2_000, 3_600_002_020, 2_100));
        assert_eq!(clock.offset(), 3_600_000_000, "within the bounds");
        clock.follow(&reading(1_000, i64::MAX, u64::MAX));
        clock.follow(&reading(0, i64::MIN, u64::MAX));
    }

    #[test]
    fn it_never_goes_back_and_says_how_far_it_is_ahead() {
        let clock = DatabaseClock::new();
        let own = clock.own().now();
        let time = i64::try_from(own.as_micros()).unwrap();
        clock.follow(&Reading { time: time + 5_000_000, shift: 7, steps: 1, before: own, after: own });
        let before = clock.now();
        assert_eq!((clock.database_offset(), clock.shift()), (4_999_993, 7));
        clock.follow(&Reading { time: time - 5_000_000, shift: 0, steps: 1, before: own, after: own });
        assert!(clock.now() >= before);
        assert!((9..=10).contains(&clock.ahead().as_secs()), "{:?}", clock.ahead());
    }

    #[test]
    fn a_step_is_more_than_a_second_back_or_two_leases_forward() {
        let lease = Duration::from_secs(10);
        let exact = Offset::default();
        let found = |seconds: i64| exact.step((seconds * 1_000_000 - 100, seconds * 1_000_000 + 100), lease);
        assert_eq!([-1, 0, 1, 19, 20].map(found), [None; 5]);
        assert_eq!(found(-2), Some(-2_000_000));
        assert_eq!(found(21), Some(21_000_000));
        assert_eq!(exact.step((-60_000_000, 100), lease), None, "an answer that took a minute");
        let slow = Offset { value: 5_000_000, slack: 0 }.follow((0, 4_000_000));
        assert_eq!(slow, Offset { value: 2_000_000, slack: 2_000_000 });
        assert_eq!(slow.step((0, 100), lease), None, "it was measured by an answer that took four seconds");
        assert!(slow.follow((1_900_000, 2_100_000)).step((0, 100), lease).is_some(), "measured again");
    }

    #[test]
    fn what_others_have_noted_explains_a_step() {
        let lease = Duration::from_secs(10);
        let rest = |step: i64, noted: Option<i64>| {
            unexplained(step * 1_000_000, 0, noted.map(|at| at * 1_000_000), lease)
                .map(|rest| rest / 1_000_000)
        };
        assert_eq!(rest(-3_600, Some(30)), Some(-3_600));
        assert_eq!(rest(3_600, None), Some(3_600));
        assert_eq!(rest(3_600, Some(3)), Some(3_600), "it ran on for as long as the others know");
        assert_eq!(rest(33, Some(30)), None, "it stood still");
        assert_eq!(rest(3_633, Some(30)), Some(3_603), "both at once");
    }

    #[test]
    fn a_step_that_another_worker_took_out_is_decided() {
        let clock = DatabaseClock::new();
        let lease = Duration::from_secs(10);
        let back = Reading { time: -3_600_000_000, ..reading(0, 0, 0) };
        assert_eq!((clock.step(&back, lease), clock.is_decided(&back)), (Some(-3_600_000_000), false));
        assert!(clock.is_decided(&Reading { steps: 1, ..back }));
        assert!(!clock.is_decided(&Reading { steps: -1, ..back }), "a fail-over has lost it");
    }
}
