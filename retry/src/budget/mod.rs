//! [`Budget`]: how much retrying a client as a whole may do.
//!
//! A policy limits the tries of one call. When a service is down, every call fails, and policies alone
//! multiply the load on it by their number of tries exactly when it can bear least; if callers of callers
//! retry too, by a power of that. A budget shared by all calls to a service stops this: retries take tokens
//! out, successes put some back, and when there are none, calls fail after their first try.
//!
//! Two published budgets are the same bucket with different numbers:
//!
//! | | AWS SDKs, standard mode | gRPC A6 |
//! | --- | --- | --- |
//! | starts with | 500 | `maxTokens` |
//! | a failure | – | −1 |
//! | a retry | −5, after a timeout −10 | allowed while more than half is left |
//! | a success without retry | +1 | +`tokenRatio` |
//! | a success after a retry | + what that retry took | +`tokenRatio` |
//!
//! Neither comes back but by successes, so a client with little traffic that once ran dry stays unable to
//! retry for a long time. Finagle's budget therefore has a minimum of retries per second; [`Budget::default`]
//! does too: AWS's numbers and one retry's worth per second.
//!
//! # Concurrency
//! Tokens are one atomic number, in thousandths, and the time of the last refill another; every operation is
//! a compare-and-swap loop on them without a lock. Time is an argument: [`Duration`] since any moment, as
//! long as all who share a budget mean the same one (a clock that starts with the process will do). Time that
//! runs backwards refills nothing.
//!
//! A first try never asks the budget, so no call is refused because of it. A retry that is abandoned half-way
//! keeps what it took, because the server has seen it; one that is given up before it began gives it back,
//! unless its future was simply dropped.

mod builder;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use builder::BudgetBuilder;

use crate::{FailureKind, PolicyError, nanos};

/// A bucket of tokens that retries are paid from, shared by all calls to one service. See the [module
/// docs](self).
///
/// ```
/// use retry::{FailureKind, budget::Budget};
/// use std::time::Duration;
///
/// let budget = Budget::builder().capacity(10.0).retry_cost(5.0).build()?;
/// let now = Duration::ZERO;
/// let first = budget.try_retry(FailureKind::Transient, now);
/// assert!(first.is_some());
/// assert!(budget.try_retry(FailureKind::Transient, now).is_some());
/// assert!(budget.try_retry(FailureKind::Transient, now).is_none()); // spent
/// budget.succeeded(first, now);                                     // the retry was worth it: its tokens come back
/// assert!(budget.try_retry(FailureKind::Transient, now).is_some());
/// # Ok::<(), retry::PolicyError>(())
/// ```
pub struct Budget {
    rules: Rules,
    tokens: AtomicU64,
    refilled: AtomicU64,
}

/// All amounts in thousandths of a token.
#[derive(Clone, Copy, Debug)]
struct Rules {
    capacity: u64,
    retry_cost: u64,
    timeout_cost: u64,
    failure_cost: u64,
    success_gain: u64,
    refunds: bool,
    reserve: u64,
    /// Thousandths per second.
    refill: u64,
}

/// What a retry took out of a [`Budget`]; hand it back to [`Budget::succeeded`] if the retry works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Withdrawal {
    amount: u64,
}

const THOUSANDTHS: f64 = 1e3;

impl Default for Budget {
    /// As [`Budget::aws_standard`], and 5 tokens a second, which is one retry's worth.
    fn default() -> Self {
        Self::new(Rules { refill: 5_000, ..Rules::AWS_STANDARD })
    }
}

impl Rules {
    const AWS_STANDARD: Self = Self {
        capacity: 500_000,
        retry_cost: 5_000,
        timeout_cost: 10_000,
        failure_cost: 0,
        success_gain: 1_000,
        refunds: true,
        reserve: 0,
        refill: 0,
    };
}

impl Budget {
    const fn new(rules: Rules) -> Self {
        Self { rules, tokens: AtomicU64::new(rules.capacity), refilled: AtomicU64::new(0) }
    }

    /// The retry quota of the AWS SDKs' standard mode: 500 tokens; 5 a retry, 10 after a timeout; a retry
    /// that works gives back what it took, a success without retry 1.
    #[must_use]
    pub const fn aws_standard() -> Self {
        Self::new(Rules::AWS_STANDARD)
    }

    /// gRPC's retry throttling (proposal A6): `max_tokens` to start with, a failure costs 1, a success gives
    /// `token_ratio`, and there are retries while more than half is left. Like the proposal, it takes
    /// `token_ratio` to three decimals.
    ///
    /// # Errors
    /// If `max_tokens` is not above 0 and at most 1000, or `token_ratio` not above 0: the bounds of the
    /// proposal.
    pub fn grpc(max_tokens: f64, token_ratio: f64) -> Result<Self, PolicyError> {
        if !(max_tokens > 0.0 && max_tokens <= 1000.0) {
            return Err(PolicyError::new("maxTokens", max_tokens, "more than 0 and at most 1000"));
        }
        if !(token_ratio > 0.0 && token_ratio.is_finite()) {
            return Err(PolicyError::new("tokenRatio", token_ratio, "a finite number above 0"));
        }
        let capacity = thousandths(max_tokens);
        Ok(Self::new(Rules {
            capacity,
            retry_cost: 0,
            timeout_cost: 0,
            failure_cost: 1_000,
            success_gain: thousandths(token_ratio),
            refunds: false,
            reserve: capacity / 2,
            refill: 0,
        }))
    }

    /// Starts from the default's numbers.
    pub fn builder() -> BudgetBuilder {
        BudgetBuilder::default()
    }

    /// Records a failed try and asks to pay for another; nothing, if the budget does not allow it. A
    /// permanent failure is not to be retried and gets nothing, at no cost.
    pub fn try_retry(&self, failure: FailureKind, now: Duration) -> Option<Withdrawal> {
        let amount = match failure {
            FailureKind::Permanent => return None,
            FailureKind::Timeout => self.rules.timeout_cost,
            FailureKind::Transient | FailureKind::Throttled => self.rules.retry_cost,
        };
        self.refill(now);
        let mut allowed = false;
        let Rules { failure_cost, reserve, .. } = self.rules;
        self.change(|tokens| {
            let left = tokens.saturating_sub(failure_cost);
            allowed = left >= amount && (reserve == 0 || left > reserve);
            if allowed { left - amount } else { left }
        });
        allowed.then_some(Withdrawal { amount })
    }

    /// Records a failed try that will not be retried, for a reason other than the budget. Only gRPC's rules
    /// charge for it; a permanent failure costs nothing.
    pub fn failed(&self, failure: FailureKind, now: Duration) {
        if failure == FailureKind::Permanent || self.rules.failure_cost == 0 {
            return;
        }
        self.refill(now);
        self.change(|tokens| tokens.saturating_sub(self.rules.failure_cost));
    }

    /// Records a success: of a first try, or of the retry that `withdrawal` paid for.
    pub fn succeeded(&self, withdrawal: Option<Withdrawal>, now: Duration) {
        self.refill(now);
        let gain = match withdrawal {
            Some(Withdrawal { amount }) if self.rules.refunds => amount,
            _ => self.rules.success_gain,
        };
        self.change(|tokens| tokens.saturating_add(gain).min(self.rules.capacity));
    }

    /// Undoes a withdrawal for a retry that was not made after all: cancelled, or out of time, during the
    /// wait for it.
    pub fn give_back(&self, withdrawal: Withdrawal) {
        self.change(|tokens| tokens.saturating_add(withdrawal.amount).min(self.rules.capacity));
    }

    /// The tokens there are at `now`, for metrics.
    #[must_use]
    pub fn tokens(&self, now: Duration) -> f64 {
        self.refill(now);
        self.tokens.load(Ordering::Relaxed) as f64 / THOUSANDTHS
    }

    /// Adds what has come in since the last refill. Whoever moves the time forward adds the tokens for it, so
    /// none is added twice; the time moves by whole thousandths, so none is lost to rounding.
    fn refill(&self, now: Duration) {
        if self.rules.refill == 0 {
            return;
        }
        let (now, rate) = (nanos::of(now), u128::from(self.rules.refill));
        let mut last = self.refilled.load(Ordering::Relaxed);
        while now > last {
            let gained = u128::from(now - last) * rate / NANOS_PER_SEC;
            let used = gained * NANOS_PER_SEC / rate;
            let (Ok(gained), Ok(used)) = (u64::try_from(gained), u64::try_from(used)) else {
                // More than a bucket can hold, after an idle age: full, as of now.
                self.refilled.store(now, Ordering::Relaxed);
                return self.change(|_| self.rules.capacity);
            };
            if gained == 0 {
                return;
            }
            match self.refilled.compare_exchange_weak(last, last + used, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return self.change(|tokens| tokens.saturating_add(gained).min(self.rules.capacity)),
                Err(moved) => last = moved,
            }
        }
    }

    /// Relaxed is enough: the number guards no other memory.
    fn change(&self, mut with: impl FnMut(u64) -> u64) {
        let mut tokens = self.tokens.load(Ordering::Relaxed);
        loop {
            match self.tokens.compare_exchange_weak(
                tokens,
                with(tokens),
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(changed) => tokens = changed,
            }
        }
    }
}

const NANOS_PER_SEC: u128 = 1_000_000_000;

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("tokens", &(self.tokens.load(Ordering::Relaxed) as f64 / THOUSANDTHS))
            .field("capacity", &(self.rules.capacity as f64 / THOUSANDTHS))
            .finish_non_exhaustive()
    }
}

fn thousandths(tokens: f64) -> u64 {
    (tokens * THOUSANDTHS).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Duration = Duration::from_secs(1_000);

    fn retries(budget: &Budget, kind: FailureKind, now: Duration) -> usize {
        std::iter::repeat_with(|| budget.try_retry(kind, now))
            .take(10_000)
            .take_while(Option::is_some)
            .count()
    }

    #[test]
    fn aws_standard_numbers() {
        assert_eq!(retries(&Budget::aws_standard(), FailureKind::Transient, T0), 100);
        assert_eq!(retries(&Budget::aws_standard(), FailureKind::Timeout, T0), 50);
        let budget = Budget::aws_standard();
        while budget.try_retry(FailureKind::Throttled, T0).is_some() {}
        (0..4).for_each(|_| budget.succeeded(None, T0));
        assert!(budget.try_retry(FailureKind::Transient, T0).is_none());
        budget.succeeded(None, T0);
        let paid = budget.try_retry(FailureKind::Transient, T0);
        assert!(paid.is_some());
        budget.succeeded(paid, T0);
        assert_eq!(budget.tokens(T0), 5.0);
    }

    #[test]
    fn grpc_numbers() {
        let budget = Budget::grpc(10.0, 0.1).unwrap();
        // Failures 1 to 4 leave more than 5; the fifth leaves 5, which is not more than half.
        assert_eq!(retries(&budget, FailureKind::Transient, T0), 4);
        (0..10).for_each(|_| budget.succeeded(None, T0));
        assert_eq!(budget.tokens(T0), 6.0);
        assert!(budget.try_retry(FailureKind::Transient, T0).is_none());
        for (max, ratio) in [(0.0, 1.0), (1000.1, 1.0), (f64::NAN, 1.0), (10.0, 0.0), (10.0, f64::INFINITY)] {
            assert!(Budget::grpc(max, ratio).is_err());
        }
    }

    #[test]
    fn permanent_failures_cost_nothing() {
        let budget = Budget::grpc(10.0, 0.1).unwrap();
        assert!(budget.try_retry(FailureKind::Permanent, T0).is_none());
        budget.failed(FailureKind::Permanent, T0);
        assert_eq!(budget.tokens(T0), 10.0);
        budget.failed(FailureKind::Transient, T0);
        assert_eq!(budget.tokens(T0), 9.0);
    }

    #[test]
    fn refills_to_the_thousandth_and_no_further_than_full() {
        let budget = Budget::builder().capacity(10.0).retry_cost(5.0).per_second(3.0).build().unwrap();
        assert_eq!(retries(&budget, FailureKind::Transient, T0), 2);
        // A thousand steps of a millisecond give as much as one step of a second.
        for step in 1..=1000 {
            let _ = budget.tokens(T0 + Duration::from_millis(step));
        }
        assert_eq!(budget.tokens(T0 + Duration::from_secs(1)), 3.0);
        assert_eq!(budget.tokens(Duration::ZERO), 3.0);
        assert_eq!(budget.tokens(T0 + Duration::from_secs(100)), 10.0);
        assert_eq!(budget.tokens(Duration::MAX), 10.0);
    }

    #[test]
    fn absurd_rates_do_not_overflow() {
        let budget = Budget::builder().capacity(1e300).retry_cost(1e299).per_second(1e300).build().unwrap();
        assert!(budget.try_retry(FailureKind::Timeout, Duration::MAX).is_some());
        budget.succeeded(None, Duration::MAX);
    }

    #[test]
    fn threads_share_it_to_the_token() {
        let budget = Budget::aws_standard();
        let total: usize = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| retries(&budget, FailureKind::Transient, T0))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(total, 100);
    }
}
