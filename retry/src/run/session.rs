//! [`Session`]: the state machine of one sequence of tries. It takes the time as an argument and never waits.
//!
//! Policy, budget and breaker meet only here, in this order: the breaker hears of a failure; the policy decides whether and
//! when to retry; then the budget pays, so a retry that the policy refuses takes no tokens. The runners and the tower
//! adapter share it.

use std::time::Duration;

use super::RetryError;
use crate::breaker::{Breaker, BreakerPermit};
use crate::budget::{Budget, Withdrawal};
use crate::{Failure, FailureKind, GiveUp, Policy, Progress, Rng};

/// The rules of a session. Separate from it, so that a session borrows nothing.
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

impl Session {
    pub(crate) const fn new(rng: Rng, now: Duration) -> Self {
        Self { started: now, tries: 0, previous: None, paid: None, rng }
    }

    /// The tries begun so far.
    pub(crate) const fn tries(&self) -> u32 {
        self.tries
    }

    /// Begins a try, with the breaker's permit. Checks the time limits again, since a wait may take longer than asked.
    pub(crate) fn begin<'a>(
        &mut self,
        rules: &Rules<'a>,
        now: Duration,
    ) -> Result<Option<BreakerPermit<'a>>, GiveUp> {
        if self.tries > 0 {
            self.in_time(rules, now)?;
        }
        let permit = rules.breaker.map(|breaker| breaker.try_acquire(now)).transpose();
        let permit = permit.map_err(|open| GiveUp::BreakerOpen { retry_in: open.retry_in() })?;
        self.count_try();
        Ok(permit)
    }

    /// Counts a try. For callers that begin tries themselves.
    pub(crate) const fn count_try(&mut self) {
        self.tries = self.tries.saturating_add(1);
    }

    /// Returns the tokens for a retry that will not be made.
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

    pub(crate) fn succeeded(&mut self, rules: &Rules<'_>, permit: Option<BreakerPermit<'_>>, now: Duration) {
        if let Some(permit) = permit {
            permit.succeeded(now);
        }
        if let Some(budget) = rules.budget {
            budget.succeeded(self.paid.take(), now);
        }
    }

    /// The delay before the next try, or the reason to give up.
    pub(crate) fn failed(
        &mut self,
        rules: &Rules<'_>,
        permit: Option<BreakerPermit<'_>>,
        failure: &Failure,
        now: Duration,
    ) -> Result<Duration, GiveUp> {
        // A dropped permit does not count: a permanent failure says nothing about the service.
        if let Some(permit) = permit
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
        let time_left = rules.within.map(|within| within.saturating_sub(elapsed));
        let progress = Progress { tries: self.tries, elapsed, previous: self.previous, time_left };
        rules.policy.delay_or_give_up(failure, &progress, &mut self.rng)
    }

    pub(crate) fn elapsed(&self, now: Duration) -> Duration {
        now.saturating_sub(self.started)
    }

    pub(crate) fn error<E>(&self, last: Option<E>, reason: GiveUp, now: Duration) -> RetryError<E> {
        RetryError::new(last, reason, self.tries, self.elapsed(now))
    }
}
