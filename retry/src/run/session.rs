//! [`Session`]: what has happened in one sequence of tries. A state machine that is told the time and never
//! waits.
//!
//! The policy, the budget and the breaker meet here and nowhere else, in this order: a failure is told to the
//! breaker; the policy says whether there may be another try, and when; only then is the budget asked, so
//! that a retry which would not happen anyway takes no tokens. The runners and the tower adapter all go
//! through it.

use std::time::Duration;

use super::RetryError;
use crate::breaker::{Breaker, BreakerPermit};
use crate::budget::{Budget, Withdrawal};
use crate::{Failure, FailureKind, GiveUp, Policy, Progress, Rng};

/// What a session goes by. Not part of it, so that a session borrows nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) budget: Option<&'a Budget>,
    pub(crate) breaker: Option<&'a Breaker>,
    pub(crate) within: Option<Duration>,
}

#[derive(Debug)]
pub(crate) struct Session {
    started: Duration,
    tries: u32,
    previous: Option<Duration>,
    paid: Option<Withdrawal>,
    rng: Rng,
}

/// Leave for one try.
#[derive(Debug)]
pub(crate) struct Leave<'a> {
    pub(crate) number: u32,
    permit: Option<BreakerPermit<'a>>,
}

impl Session {
    pub(crate) const fn new(rng: Rng, now: Duration) -> Self {
        Self { started: now, tries: 0, previous: None, paid: None, rng }
    }

    /// Asks for leave to try. Limits of time are checked again, since a wait may have taken longer than it
    /// should have.
    pub(crate) fn begin<'a>(&mut self, rules: &Rules<'a>, now: Duration) -> Result<Leave<'a>, GiveUp> {
        if self.tries > 0 {
            self.in_time(rules, now)?;
        }
        let permit = match rules.breaker.map(|breaker| breaker.try_acquire(now)).transpose() {
            Ok(permit) => permit,
            Err(open) => return Err(GiveUp::BreakerOpen { retry_in: open.retry_in() }),
        };
        self.tries = self.tries.saturating_add(1);
        Ok(Leave { number: self.tries, permit })
    }

    /// Counts a try that someone else has made.
    #[cfg(feature = "tower")]
    pub(crate) const fn made(&mut self) -> Leave<'static> {
        self.tries = self.tries.saturating_add(1);
        Leave { number: self.tries, permit: None }
    }

    /// The try that was waited for will not be made.
    pub(crate) fn abandoned(&mut self, rules: &Rules<'_>) {
        if let (Some(budget), Some(paid)) = (rules.budget, self.paid.take()) {
            budget.give_back(paid);
        }
    }

    fn in_time(&self, rules: &Rules<'_>, now: Duration) -> Result<(), GiveUp> {
        let (elapsed, delay) = (self.elapsed(now), Duration::ZERO);
        if let Some(limit) = rules.policy.max_elapsed().filter(|limit| elapsed >= *limit) {
            return Err(GiveUp::Elapsed { elapsed, delay, limit });
        }
        match rules.within {
            Some(within) if elapsed >= within => Err(GiveUp::Deadline { left: Duration::ZERO, delay }),
            _ => Ok(()),
        }
    }

    pub(crate) fn succeeded(&mut self, rules: &Rules<'_>, leave: Leave<'_>, now: Duration) {
        if let Some(permit) = leave.permit {
            permit.succeeded(now);
        }
        if let Some(budget) = rules.budget {
            budget.succeeded(self.paid.take(), now);
        }
    }

    /// How long to wait before the next try, or why there is none.
    pub(crate) fn failed(
        &mut self,
        rules: &Rules<'_>,
        leave: Leave<'_>,
        failure: &Failure,
        now: Duration,
    ) -> Result<Duration, GiveUp> {
        // A permit that is dropped counts as never asked for: a permanent failure is no news of the service.
        if let Some(permit) = leave.permit
            && failure.kind() != FailureKind::Permanent
        {
            permit.failed(now);
        }
        let delay = match (self.next_delay(rules, failure, now), rules.budget) {
            (Ok(delay), None) => delay,
            (Ok(delay), Some(budget)) => {
                self.paid = Some(budget.try_retry(failure.kind(), now).ok_or(GiveUp::Budget)?);
                delay
            }
            (Err(reason), budget) => {
                if let Some(budget) = budget {
                    budget.failed(failure.kind(), now);
                }
                return Err(reason);
            }
        };
        self.previous = Some(delay);
        Ok(delay)
    }

    fn next_delay(
        &mut self,
        rules: &Rules<'_>,
        failure: &Failure,
        now: Duration,
    ) -> Result<Duration, GiveUp> {
        let elapsed = self.elapsed(now);
        let mut progress = Progress::new(self.tries, elapsed);
        if let Some(previous) = self.previous {
            progress = progress.previous_delay(previous);
        }
        if let Some(within) = rules.within {
            progress = progress.time_left(within.saturating_sub(elapsed));
        }
        rules.policy.delay_or_give_up(failure, &progress, &mut self.rng)
    }

    pub(crate) fn elapsed(&self, now: Duration) -> Duration {
        now.saturating_sub(self.started)
    }

    pub(crate) fn error<E>(&self, last: Option<E>, reason: GiveUp, now: Duration) -> RetryError<E> {
        RetryError::new(last, reason, self.tries, self.elapsed(now))
    }
}
