//! [`Session`]: the state machine of one sequence of tries. It takes the time as an argument and never waits.
//!
//! Policy, budget and breaker meet only here, in this order: the breaker hears of a failure; the policy decides whether and
//! when to retry; then the budget pays, so a retry that the policy refuses takes no tokens. The runners and the tower
//! adapter share it.

use std::time::Duration;

use crate::breaker::{Breaker, BreakerPermit};
use crate::budget::{Budget, Withdrawal};
use crate::{Failure, GiveUp, Policy, Progress, Rng};

/// The rules of a session. Separate from it, so that a session borrows nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) budget: Option<&'a Budget>,
    pub(crate) breaker: Option<&'a Breaker>,
    pub(crate) within: Option<Duration>,
    /// Shorten a delay that would reach the deadline, once, so that a last try begins at it.
    pub(crate) last_try_at_deadline: bool,
    /// A try that lasts this long starts a new sequence.
    pub(crate) reset_after: Option<Duration>,
    /// The longest time of a single try.
    pub(crate) try_timeout: Option<Duration>,
    /// The deadline ends the running try.
    pub(crate) cut_at_deadline: bool,
}

impl<'a> Rules<'a> {
    pub(crate) const fn new(policy: &'a Policy) -> Self {
        Self {
            policy,
            budget: None,
            breaker: None,
            within: None,
            last_try_at_deadline: false,
            reset_after: None,
            try_timeout: None,
            cut_at_deadline: false,
        }
    }
}

/// The reason to end a running try, and the time until then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TryLimit {
    pub(crate) left: Duration,
    pub(crate) reason: GiveUp,
}

#[derive(Debug)]
pub(crate) struct Session {
    /// The beginning of the first try, whatever sequence it belongs to: the caller's deadline counts from it.
    run_started: Duration,
    /// The beginning of the current sequence of tries.
    started: Duration,
    try_started: Duration,
    /// The tries begun so far.
    pub(crate) tries: u32,
    previous: Option<Duration>,
    /// The tokens paid for the retry that is due.
    pub(crate) paid: Option<Withdrawal>,
    /// Between a failure and the try after it.
    waiting: bool,
    /// The try at the deadline is due or was made.
    last_try: bool,
    rng: Rng,
}

impl Session {
    pub(crate) const fn new(rng: Rng, now: Duration) -> Self {
        Self {
            run_started: now,
            started: now,
            try_started: now,
            tries: 0,
            previous: None,
            paid: None,
            waiting: false,
            last_try: false,
            rng,
        }
    }

    /// Begins a try, with the breaker's permit. Checks the time limits again, since a wait may take longer than asked.
    pub(crate) fn begin<'a>(
        &mut self,
        rules: &Rules<'a>,
        now: Duration,
    ) -> Result<Option<BreakerPermit<'a>>, GiveUp> {
        if self.tries > 0 && !self.last_try {
            self.in_time(rules, now)?;
        }
        let permit = rules.breaker.map(|breaker| breaker.try_acquire(now)).transpose();
        let permit = permit.map_err(|open| GiveUp::BreakerOpen { retry_in: open.retry_in() })?;
        self.count_try(now);
        Ok(permit)
    }

    /// Counts a try. For callers that begin tries themselves.
    pub(crate) const fn count_try(&mut self, now: Duration) {
        self.tries = self.tries.saturating_add(1);
        self.try_started = now;
        self.waiting = false;
    }

    /// Returns the tokens for a retry that was paid for and will not be made.
    pub(crate) fn abandoned(&mut self, rules: &Rules<'_>) {
        if let (true, Some(budget), Some(paid)) = (self.waiting, rules.budget, self.paid.take()) {
            budget.give_back(paid);
        }
    }

    fn in_time(&self, rules: &Rules<'_>, now: Duration) -> Result<(), GiveUp> {
        let (elapsed, delay) = (self.elapsed(now), Duration::ZERO);
        if let Some(limit) = rules.policy.max_elapsed().filter(|limit| elapsed >= *limit) {
            return Err(GiveUp::Elapsed { elapsed, delay, limit });
        }
        match self.until_deadline(rules, now) {
            Some(Duration::ZERO) => Err(GiveUp::Deadline { left: Duration::ZERO, delay }),
            _ => Ok(()),
        }
    }

    /// The time until the caller's deadline. It counts from the first try of the run: a new sequence does not move it.
    fn until_deadline(&self, rules: &Rules<'_>, now: Duration) -> Option<Duration> {
        rules.within.map(|within| within.saturating_sub(now.saturating_sub(self.run_started)))
    }

    /// The time until the nearer of the two time limits.
    fn time_left(&self, rules: &Rules<'_>, now: Duration) -> Option<Duration> {
        let of_policy = rules.policy.max_elapsed().map(|limit| limit.saturating_sub(self.elapsed(now)));
        of_policy.into_iter().chain(self.until_deadline(rules, now)).min()
    }

    /// The limit of the try that begins now. A last try at the deadline would be cut before it began, so only its timeout
    /// limits it.
    pub(crate) fn try_limit(&self, rules: &Rules<'_>, now: Duration) -> Option<TryLimit> {
        let cut = rules.cut_at_deadline && !self.last_try;
        let deadline = self.time_left(rules, now).filter(|_| cut);
        let deadline = deadline.map(|left| TryLimit { left, reason: GiveUp::CutAtDeadline { after: left } });
        let timeout =
            rules.try_timeout.map(|left| TryLimit { left, reason: GiveUp::TryTimeout { after: left } });
        deadline.into_iter().chain(timeout).min_by_key(|limit| limit.left)
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
        if let Some(permit) = permit {
            permit.report(Some(failure), now);
        }
        let lasted = now.saturating_sub(self.try_started);
        if rules.reset_after.is_some_and(|stable| lasted >= stable) {
            (self.tries, self.started, self.previous, self.last_try) = (1, self.try_started, None, false);
        }
        let decided = self.next_delay(rules, failure, now);
        if let Some(budget) = rules.budget {
            match decided {
                Ok(_) => self.paid = Some(budget.try_retry(failure.kind(), now).ok_or(GiveUp::Budget)?),
                Err(_) => budget.failed(failure.kind(), now),
            }
        }
        decided.inspect(|delay| self.wait(*delay))
    }

    /// The delay before the next look at a value that is not there yet. The service has answered, so the budget is not
    /// asked: a hundred looks at a job that still runs are no sign of an overload.
    pub(crate) fn pending(
        &mut self,
        rules: &Rules<'_>,
        permit: Option<BreakerPermit<'_>>,
        failure: &Failure,
        now: Duration,
    ) -> Result<Duration, GiveUp> {
        self.succeeded(rules, permit, now);
        self.next_delay(rules, failure, now).inspect(|delay| self.wait(*delay))
    }

    const fn wait(&mut self, delay: Duration) {
        self.previous = Some(delay);
        self.waiting = true;
    }

    fn next_delay(
        &mut self,
        rules: &Rules<'_>,
        failure: &Failure,
        now: Duration,
    ) -> Result<Duration, GiveUp> {
        let elapsed = self.elapsed(now);
        let time_left = self.until_deadline(rules, now);
        let progress = Progress { tries: self.tries, elapsed, previous: self.previous, time_left };
        let decided = rules.policy.delay_or_give_up(failure, &progress, &mut self.rng);
        match (decided, self.time_left(rules, now)) {
            (Err(GiveUp::Deadline { .. } | GiveUp::Elapsed { .. }), Some(left))
                if rules.last_try_at_deadline && !self.last_try && !left.is_zero() =>
            {
                self.last_try = true;
                Ok(left)
            }
            (decided, _) => decided,
        }
    }

    /// The time since the current sequence began.
    pub(crate) fn elapsed(&self, now: Duration) -> Duration {
        now.saturating_sub(self.started)
    }
}
