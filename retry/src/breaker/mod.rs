//! [`Breaker`]: stops calls to a service that is down.
//!
//! ```text
//!            failures reach the threshold              open_for has passed
//!   Closed ──────────────────────────────► Open ──────────────────────────► Half-open
//!     ▲                                      ▲          any probe fails        │
//!     │                                      └──────────────────────────────── ┤
//!     └─────────────────────────────────────────────── all probes succeed ─────┘
//! ```
//!
//! A [budget](crate::budget) limits retries; a breaker limits all tries. An open breaker refuses at once, which saves the
//! service load and the caller time. Later it admits a few tries as probes, and their results close or reopen it (Nygard,
//! "Release It!", 2007; the half-open rule is that of Polly and Failsafe).
//!
//! # Invariants
//! - A permit reports at most one result. A permit dropped without a result (a cancelled call) frees its place.
//! - A result counts only in the period of its permit: a slow try from before the opening neither closes nor reopens the
//!   breaker.
//! - While half-open, at most `probes` tries run at once. Probes that hang lose their places `open_for` after the last of them
//!   began.
//! - An answer of a working service, such as a 404, counts as a success.
//! - The hook for changes runs outside the lock.
//!
//! # Concurrency
//! While closed, a permit costs one atomic load; with a threshold of consecutive failures, so does a success. All else takes
//! a mutex for a few instructions, without waiting or allocation under it. Time is an argument, as for the budget.

mod builder;
mod permit;
mod window;

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub use builder::BreakerBuilder;
pub use permit::{BreakerOpen, BreakerPermit};
use window::Window;

use crate::lock::lock;
use crate::{Failure, FailureKind, nanos};

/// A circuit breaker, shared by all calls to one service. See the [module docs](self).
///
/// ```
/// use retry::breaker::{Breaker, BreakerState};
/// use std::time::Duration;
///
/// let second = Duration::from_secs(1);
/// let breaker = Breaker::builder().consecutive_failures(2).open_for(30 * second).build()?;
/// breaker.try_acquire(0 * second).unwrap().failed(0 * second);
/// breaker.try_acquire(1 * second).unwrap().failed(1 * second);
/// assert_eq!(breaker.try_acquire(2 * second).unwrap_err().retry_in(), 29 * second);
///
/// breaker.try_acquire(31 * second).unwrap().succeeded(31 * second); // the probe
/// assert_eq!(breaker.state(31 * second), BreakerState::Closed);
/// # Ok::<(), retry::PolicyError>(())
/// ```
#[derive(Debug)]
pub struct Breaker {
    rules: Rules,
    /// Twice the period number, plus one unless closed: a closed breaker issues permits from it without the lock.
    period: AtomicU64,
    /// Consecutive failures while closed.
    consecutive_failures: AtomicU32,
    inner: Mutex<Inner>,
}

#[derive(Clone, Debug)]
struct Rules {
    trip: Trip,
    open_for: u64,
    /// Each reopening doubles `open_for`, up to this.
    open_at_most: u64,
    probes: u32,
    on_change: Option<Hook>,
}

#[derive(Clone, Copy, Debug)]
enum Trip {
    Consecutive(u32),
    Rate { ratio: f64, at_least: u32, window: u64 },
}

#[derive(Clone)]
struct Hook(Arc<dyn Fn(&BreakerChange) + Send + Sync>);

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}

#[derive(Debug)]
struct Inner {
    state: State,
    window: Window,
    /// Openings since the breaker was last closed.
    openings: u32,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed,
    Open {
        until: u64,
    },
    /// Opened by hand.
    Held,
    HalfOpen {
        under_way: u32,
        succeeded: u32,
        last_probe: u64,
    },
}

impl State {
    fn shown(self, now: u64) -> BreakerState {
        match self {
            Self::Closed => BreakerState::Closed,
            Self::Held => BreakerState::Open { retry_in: Duration::MAX },
            Self::Open { until } if until > now => {
                BreakerState::Open { retry_in: Duration::from_nanos(until - now) }
            }
            Self::Open { .. } | Self::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }
}

/// The state of a [`Breaker`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BreakerState {
    /// Admits every try.
    Closed,
    /// Admits no try.
    Open {
        /// The time until it admits probes; [`Duration::MAX`] if it was opened by hand.
        retry_in: Duration,
    },
    /// Admits a few tries as probes.
    HalfOpen,
}

/// A change of state, for [`BreakerBuilder::on_change`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakerChange {
    /// The state before.
    pub from: BreakerState,
    /// The state after.
    pub to: BreakerState,
}

/// The result of a try, as the breaker sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Succeeded,
    /// The request failed, and the service works.
    Answered,
    Failed,
}

impl Verdict {
    /// The verdict on a result; `None` for a failure that says nothing about the service.
    pub(crate) fn of(failure: Option<&Failure>) -> Option<Self> {
        match failure {
            None => Some(Self::Succeeded),
            Some(failure) if failure.is_answered() => Some(Self::Answered),
            Some(failure) => (failure.kind() != FailureKind::Permanent).then_some(Self::Failed),
        }
    }
}

impl Breaker {
    /// The defaults: 5 consecutive failures, open for 30 s, 1 probe.
    pub fn builder() -> BreakerBuilder {
        BreakerBuilder::default()
    }

    fn new(rules: Rules) -> Self {
        Self {
            rules,
            period: AtomicU64::new(0),
            consecutive_failures: AtomicU32::new(0),
            inner: Mutex::new(Inner { state: State::Closed, window: Window::default(), openings: 0 }),
        }
    }

    /// Acquires a permit for a try at `now`.
    ///
    /// # Errors
    /// If the breaker is open.
    pub fn try_acquire(&self, now: Duration) -> Result<BreakerPermit<'_>, BreakerOpen> {
        let seen = self.period.load(Ordering::Acquire);
        if seen & 1 == 0 {
            return Ok(self.permit(seen >> 1));
        }
        let now = nanos::of(now);
        self.locked(now, |inner| {
            if let BreakerState::Open { retry_in } = inner.state.shown(now) {
                return Err(BreakerOpen { retry_in });
            }
            match inner.state {
                State::Open { .. } => {
                    self.enter(inner, State::HalfOpen { under_way: 0, succeeded: 0, last_probe: now });
                }
                // All probes hang. A new period, so that their late results do not count.
                State::HalfOpen { under_way, succeeded, last_probe }
                    if under_way.saturating_add(succeeded) >= self.rules.probes
                        && now >= last_probe.saturating_add(self.rules.open_for) =>
                {
                    self.enter(inner, State::HalfOpen { under_way: 0, succeeded, last_probe: now });
                }
                // Closed by another thread since the load.
                State::HalfOpen { .. } | State::Closed | State::Held => {}
            }
            if let State::HalfOpen { under_way, succeeded, last_probe } = &mut inner.state {
                if under_way.saturating_add(*succeeded) >= self.rules.probes {
                    return Err(BreakerOpen { retry_in: Duration::ZERO });
                }
                *under_way += 1;
                *last_probe = (*last_probe).max(now);
            }
            Ok(self.permit(self.period.load(Ordering::Acquire) >> 1))
        })
    }

    /// The state at `now`, for metrics.
    #[must_use]
    pub fn state(&self, now: Duration) -> BreakerState {
        lock(&self.inner).state.shown(nanos::of(now))
    }

    /// Opens the breaker until [`close`](Self::close): for maintenance, or by an operator.
    pub fn hold_open(&self, now: Duration) {
        self.locked(nanos::of(now), |inner| self.enter(inner, State::Held));
    }

    /// Closes the breaker, whatever its state.
    pub fn close(&self, now: Duration) {
        self.locked(nanos::of(now), |inner| self.enter(inner, State::Closed));
    }

    const fn permit(&self, period: u64) -> BreakerPermit<'_> {
        BreakerPermit { breaker: self, period, reported: false }
    }

    /// Runs `change` under the lock, then the hook outside it.
    fn locked<T>(&self, now: u64, change: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = lock(&self.inner);
        let before = inner.state;
        let result = change(&mut inner);
        let after = inner.state;
        drop(inner);
        if let Some(Hook(hook)) = &self.rules.on_change
            && std::mem::discriminant(&before) != std::mem::discriminant(&after)
        {
            // An open state counts as open until a try finds it half-open.
            let from = match before {
                State::Open { .. } => BreakerState::Open { retry_in: Duration::ZERO },
                other => other.shown(now),
            };
            hook(&BreakerChange { from, to: after.shown(now) });
        }
        result
    }

    /// Enters a state, which begins a new period.
    fn enter(&self, inner: &mut Inner, state: State) {
        inner.state = state;
        match state {
            State::Closed => inner.openings = 0,
            State::Open { .. } => inner.openings = inner.openings.saturating_add(1),
            State::Held | State::HalfOpen { .. } => {}
        }
        let next = (self.period.load(Ordering::Relaxed) >> 1).wrapping_add(1);
        let open = u64::from(!matches!(state, State::Closed));
        self.consecutive_failures.store(0, Ordering::Relaxed);
        inner.window = Window::default();
        self.period.store(next << 1 | open, Ordering::Release);
    }

    fn report(&self, period: u64, verdict: Verdict, now: Duration) {
        let succeeded = verdict != Verdict::Failed;
        let consecutive = matches!(self.rules.trip, Trip::Consecutive(_));
        let current = self.period.load(Ordering::Acquire);
        let no_failures = self.consecutive_failures.load(Ordering::Relaxed) == 0;
        if succeeded && consecutive && current == period << 1 && no_failures {
            return;
        }
        let now = nanos::of(now);
        self.locked(now, |inner| {
            if self.period.load(Ordering::Relaxed) >> 1 != period {
                return;
            }
            let next = match &mut inner.state {
                State::Closed if succeeded && consecutive => {
                    self.consecutive_failures.store(0, Ordering::Relaxed);
                    None
                }
                State::Closed => self.trips(inner, succeeded, now).then(|| self.opened(inner, now)),
                State::HalfOpen { .. } if !succeeded => Some(self.opened(inner, now)),
                State::HalfOpen { under_way, succeeded, .. } => {
                    *under_way = under_way.saturating_sub(1);
                    *succeeded += 1;
                    (*succeeded >= self.rules.probes).then_some(State::Closed)
                }
                State::Open { .. } | State::Held => None,
            };
            if let Some(state) = next {
                self.enter(inner, state);
            }
        });
    }

    /// The open state, for twice as long with each opening since the breaker was closed.
    fn opened(&self, inner: &Inner, now: u64) -> State {
        let Rules { open_for, open_at_most, .. } = self.rules;
        let doubled = open_for.saturating_mul(1_u64.checked_shl(inner.openings).unwrap_or(u64::MAX));
        State::Open { until: now.saturating_add(doubled.min(open_at_most)) }
    }

    /// Whether this result opens the closed breaker.
    fn trips(&self, inner: &mut Inner, succeeded: bool, now: u64) -> bool {
        match self.rules.trip {
            Trip::Consecutive(limit) => {
                self.consecutive_failures.fetch_add(1, Ordering::Relaxed).saturating_add(1) >= limit
            }
            Trip::Rate { ratio, at_least, window } => {
                let (all, failed) = inner.window.count(succeeded, now, window);
                all >= at_least && f64::from(failed) >= f64::from(all) * ratio && failed > 0
            }
        }
    }

    /// Frees the place of a probe.
    fn abandon(&self, period: u64) {
        if self.period.load(Ordering::Acquire) == period << 1 {
            return; // a closed breaker has no places
        }
        let mut inner = lock(&self.inner);
        if self.period.load(Ordering::Relaxed) >> 1 == period
            && let State::HalfOpen { under_way, .. } = &mut inner.state
        {
            *under_way = under_way.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn breaker(failures: u32, probes: u32) -> Breaker {
        Breaker::builder().consecutive_failures(failures).open_for(at(10)).probes(probes).build().unwrap()
    }

    fn open(breaker: &Breaker, secs: u64) {
        while let Ok(permit) = breaker.try_acquire(at(secs)) {
            permit.failed(at(secs));
        }
    }

    #[test]
    fn only_consecutive_failures_open_it() {
        let breaker = breaker(3, 1);
        for _ in 0..10 {
            breaker.try_acquire(at(0)).unwrap().failed(at(0));
            breaker.try_acquire(at(0)).unwrap().failed(at(0));
            breaker.try_acquire(at(0)).unwrap().succeeded(at(0));
        }
        assert_eq!(breaker.state(at(0)), BreakerState::Closed);
        open(&breaker, 0);
        assert_eq!(breaker.state(at(4)), BreakerState::Open { retry_in: at(6) });
        assert_eq!(breaker.state(at(10)), BreakerState::HalfOpen);
    }

    #[test]
    fn a_failed_probe_reopens_it_in_full() {
        let breaker = breaker(1, 1);
        open(&breaker, 0);
        breaker.try_acquire(at(10)).unwrap().failed(at(12));
        assert_eq!(breaker.state(at(12)), BreakerState::Open { retry_in: at(10) });
    }

    #[test]
    fn all_probes_must_succeed() {
        let breaker = breaker(1, 2);
        open(&breaker, 0);
        let first = breaker.try_acquire(at(10)).unwrap();
        let second = breaker.try_acquire(at(10)).unwrap();
        assert_eq!(breaker.try_acquire(at(10)).unwrap_err().retry_in(), Duration::ZERO);
        first.succeeded(at(11));
        assert_eq!(breaker.state(at(11)), BreakerState::HalfOpen);
        second.succeeded(at(11));
        assert_eq!(breaker.state(at(11)), BreakerState::Closed);
    }

    #[test]
    fn a_dropped_probe_frees_its_place() {
        let breaker = breaker(1, 1);
        open(&breaker, 0);
        drop(breaker.try_acquire(at(10)).unwrap());
        breaker.try_acquire(at(10)).unwrap().succeeded(at(10));
        assert_eq!(breaker.state(at(10)), BreakerState::Closed);
    }

    #[test]
    fn results_from_another_period_do_not_count() {
        let breaker = breaker(1, 1);
        let slow_failure = breaker.try_acquire(at(0)).unwrap();
        let slow_success = breaker.try_acquire(at(0)).unwrap();
        open(&breaker, 0);
        slow_success.succeeded(at(1));
        assert!(matches!(breaker.state(at(1)), BreakerState::Open { .. }));
        breaker.try_acquire(at(10)).unwrap().succeeded(at(10));
        slow_failure.failed(at(11));
        assert_eq!(breaker.state(at(11)), BreakerState::Closed);
    }

    #[test]
    fn a_rate_opens_it_after_the_least_number_of_results() {
        let rate = Breaker::builder().failure_rate(0.5, 10, at(10)).open_for(at(10)).build().unwrap();
        let report = |ok: bool, secs| {
            let permit = rate.try_acquire(at(secs)).unwrap();
            if ok { permit.succeeded(at(secs)) } else { permit.failed(at(secs)) }
        };
        (0..4).for_each(|_| report(false, 0));
        (0..5).for_each(|_| report(true, 0));
        assert_eq!(rate.state(at(0)), BreakerState::Closed);
        report(false, 1);
        assert!(matches!(rate.state(at(1)), BreakerState::Open { .. }));
    }

    #[test]
    fn results_older_than_the_window_do_not_count() {
        let rate = Breaker::builder().failure_rate(0.5, 4, at(10)).build().unwrap();
        for secs in (0..200).step_by(5) {
            rate.try_acquire(at(secs)).unwrap().failed(at(secs));
        }
        assert_eq!(rate.state(at(200)), BreakerState::Closed);
    }

    #[test]
    fn threads_open_it_once() {
        let breaker = breaker(100, 1);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| open(&breaker, 0));
            }
        });
        assert_eq!(breaker.state(at(0)), BreakerState::Open { retry_in: at(10) });
    }

    #[test]
    fn an_answered_failure_closes_a_half_open_breaker() {
        let breaker = breaker(1, 1);
        open(&breaker, 0);
        breaker.try_acquire(at(10)).unwrap().answered(at(10));
        assert_eq!(breaker.state(at(10)), BreakerState::Closed);

        let rate = Breaker::builder().failure_rate(0.5, 4, at(10)).build().unwrap();
        (0..3).for_each(|_| rate.try_acquire(at(0)).unwrap().answered(at(0)));
        rate.try_acquire(at(0)).unwrap().failed(at(0));
        assert_eq!(rate.state(at(0)), BreakerState::Closed);
    }

    #[test]
    fn a_hanging_probe_loses_its_place() {
        let breaker = breaker(1, 1);
        open(&breaker, 0);
        let hanging = breaker.try_acquire(at(10)).unwrap();
        assert!(breaker.try_acquire(at(19)).is_err());
        let second = breaker.try_acquire(at(20)).unwrap();
        hanging.failed(at(21));
        assert_eq!(breaker.state(at(21)), BreakerState::HalfOpen);
        second.succeeded(at(21));
        assert_eq!(breaker.state(at(21)), BreakerState::Closed);
    }

    #[test]
    fn open_times_grow_until_it_closes() {
        let builder = Breaker::builder().consecutive_failures(1).open_for(at(10)).open_for_at_most(at(30));
        let breaker = builder.build().unwrap();
        let mut now = 0;
        for secs in [10, 20, 30, 30] {
            breaker.try_acquire(at(now)).unwrap().failed(at(now));
            assert_eq!(breaker.state(at(now)), BreakerState::Open { retry_in: at(secs) });
            now += secs;
        }
        breaker.try_acquire(at(now)).unwrap().succeeded(at(now));
        breaker.try_acquire(at(now)).unwrap().failed(at(now));
        assert_eq!(breaker.state(at(now)), BreakerState::Open { retry_in: at(10) });
    }

    #[test]
    fn it_can_be_held_open_and_closed_by_hand() {
        let breaker = breaker(1, 1);
        breaker.hold_open(at(0));
        let refused = breaker.try_acquire(at(1_000_000)).unwrap_err();
        assert_eq!(refused.to_string(), "the circuit breaker is held open");
        let given_up = crate::GiveUp::BreakerOpen { retry_in: refused.retry_in() };
        assert_eq!(given_up.to_string(), refused.to_string());
        breaker.close(at(0));
        breaker.try_acquire(at(0)).unwrap().succeeded(at(0));
        open(&breaker, 0);
        breaker.close(at(1));
        assert_eq!(breaker.state(at(1)), BreakerState::Closed);
    }

    #[test]
    fn changes_are_notified_outside_the_lock() {
        let changes = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&changes);
        let hook = move |change: &BreakerChange| lock(&seen).push((change.from, change.to));
        let breaker =
            Breaker::builder().consecutive_failures(1).open_for(at(10)).on_change(hook).build().unwrap();
        open(&breaker, 0);
        let probe = breaker.try_acquire(at(10)).unwrap();
        probe.succeeded(at(10));
        breaker.hold_open(at(11));
        let opened = |secs| BreakerState::Open { retry_in: at(secs) };
        assert_eq!(
            *lock(&changes),
            [
                (BreakerState::Closed, opened(10)),
                (opened(0), BreakerState::HalfOpen),
                (BreakerState::HalfOpen, BreakerState::Closed),
                (BreakerState::Closed, BreakerState::Open { retry_in: Duration::MAX }),
            ]
        );
    }
}
