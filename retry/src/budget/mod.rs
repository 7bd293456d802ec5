//! [`Budget`]: the limit of retries for all calls of a client together.
//!
//! A policy limits the tries of one call. When a service is down, every call fails, and policies alone multiply its load by
//! their number of tries; retries in several layers multiply each other. A budget shared by all calls to a service prevents
//! this: a retry takes tokens, a success returns some, and without tokens a call fails after its first try.
//!
//! Two published budgets are the same token bucket with different numbers:
//!
//! | | AWS SDKs, standard mode | the same since November 2026 | gRPC A6 |
//! | --- | --- | --- | --- |
//! | starts with | 500 | 500 | `maxTokens` |
//! | a failure | – | – | −1 |
//! | a retry | −5, after a timeout −10 | −14, after throttling −5 | allowed while more than half is left |
//! | a success without retry | +1 | +1 | +`tokenRatio` |
//! | a success after a retry | + the cost of the retry | + the cost of the retry | +`tokenRatio` |
//!
//! Both refill only by successes, so a client with little traffic cannot retry for a long time after an outage. Finagle's
//! budget therefore has a minimum of retries per second. [`Budget::default`] combines AWS's numbers with one retry per
//! second.
//!
//! # Concurrency
//! The tokens are one atomic number, in thousandths, and the time of the last refill another; operations are
//! compare-and-swap loops. Time is an argument: a [`Duration`] since a zero that all users of the budget share. Time that
//! runs backwards refills nothing.
//!
//! A first try takes no tokens, so the budget never refuses a call. A retry that was cancelled while running keeps its
//! tokens, because the server has seen it; a retry cancelled during its wait returns them, also if its future is dropped.

mod builder;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use builder::BudgetBuilder;

use crate::{FailureKind, PolicyError, nanos};

/// A token bucket that pays for retries, shared by all calls to one service. See the [module docs](self).
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
/// budget.succeeded(first, now);                                     // a successful retry returns its tokens
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
    throttled_cost: u64,
    failure_cost: u64,
    success_gain: u64,
    refunds: bool,
    reserve: u64,
    /// Thousandths per second.
    refill: u64,
}

/// The tokens that a retry took from a [`Budget`]; pass it to [`Budget::succeeded`] if the retry succeeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Withdrawal {
    amount: u64,
}

const THOUSANDTHS: f64 = 1e3;

impl Default for Budget {
    /// As [`Budget::aws_standard`], with 5 tokens per second, the cost of one retry.
    fn default() -> Self {
        Self::new(Rules { refill: 5_000, ..Rules::AWS_STANDARD })
    }
}

impl Rules {
    const AWS_STANDARD: Self = Self {
        capacity: 500_000,
        retry_cost: 5_000,
        timeout_cost: 10_000,
        throttled_cost: 5_000,
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

    /// The retry quota of the AWS SDKs' standard mode: 500 tokens; a retry costs 5, after a timeout 10; a successful retry
    /// returns its cost, a success without retry 1.
    #[must_use]
    pub const fn aws_standard() -> Self {
        Self::new(Rules::AWS_STANDARD)
    }

    /// The retry quota of the AWS SDKs since November 2026: as [`aws_standard`](Self::aws_standard), but a retry costs 14
    /// tokens, also after a timeout, and 5 after throttling: fewer retries in an outage, as many for a service that asks to
    /// be tried later. Source: AWS Developer Tools Blog, "Announcing updated retry behavior for AWS SDKs and Tools", May 2026;
    /// aws-sdk-go-v2 pull request 3400. [`Policy::aws_standard_2026`](crate::Policy::aws_standard_2026) has the delays.
    #[must_use]
    pub const fn aws_standard_2026() -> Self {
        Self::new(Rules { retry_cost: 14_000, timeout_cost: 14_000, ..Rules::AWS_STANDARD })
    }

    /// gRPC's retry throttling (proposal A6): it starts with `max_tokens`; a failure costs 1, a success returns
    /// `token_ratio`, and retries are allowed while more than half is left. As in the proposal, `token_ratio` has three
    /// decimals.
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
            throttled_cost: 0,
            failure_cost: 1_000,
            success_gain: thousandths(token_ratio),
            refunds: false,
            reserve: capacity / 2,
            refill: 0,
        }))
    }

    /// The settings of [`Budget::default`].
    pub fn builder() -> BudgetBuilder {
        BudgetBuilder::default()
    }

    /// Records a failed try and pays for a retry; `None` if the budget does not allow it. A permanent failure costs nothing
    /// and gets no retry.
    pub fn try_retry(&self, failure: FailureKind, now: Duration) -> Option<Withdrawal> {
        let amount = match failure {
            FailureKind::Permanent => return None,
            FailureKind::Timeout => self.rules.timeout_cost,
            FailureKind::Throttled => self.rules.throttled_cost,
            FailureKind::Transient => self.rules.retry_cost,
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

    /// Records a failed try without a retry, for a reason other than the budget. Only gRPC's rules charge for it; a
    /// permanent failure costs nothing.
    pub fn failed(&self, failure: FailureKind, now: Duration) {
        if failure == FailureKind::Permanent || self.rules.failure_cost == 0 {
            return;
        }
        self.refill(now);
        self.change(|tokens| tokens.saturating_sub(self.rules.failure_cost));
    }

    /// Records the success of a first try, or of the retry that `withdrawal` paid for.
    pub fn succeeded(&self, withdrawal: Option<Withdrawal>, now: Duration) {
        self.refill(now);
        self.add(match withdrawal {
            Some(Withdrawal { amount }) if self.rules.refunds => amount,
            _ => self.rules.success_gain,
        });
    }

    /// Returns the tokens of a retry that was not made: cancelled, or out of time, during its wait.
    pub fn give_back(&self, withdrawal: Withdrawal) {
        self.add(withdrawal.amount);
    }

    /// The tokens at `now`, for metrics.
    #[must_use]
    pub fn tokens(&self, now: Duration) -> f64 {
        self.refill(now);
        self.tokens.load(Ordering::Relaxed) as f64 / THOUSANDTHS
    }

    /// Adds the tokens gained since the last refill. The thread that moves the refill time adds the tokens for it, so none is
    /// added twice. The time moves by whole thousandths, so rounding loses none.
    fn refill(&self, now: Duration) {
        if self.rules.refill == 0 {
            return;
        }
        let (now, rate) = (nanos::of(now), u128::from(self.rules.refill));
        let mut gained = 0;
        let moved = self.refilled.try_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
            gained = u128::from(now.checked_sub(last)?) * rate / NANOS_PER_SEC;
            // At most the time since the last refill, which a u64 holds.
            (gained > 0).then(|| last + (gained * NANOS_PER_SEC / rate) as u64)
        });
        if moved.is_ok() {
            self.add(u64::try_from(gained).unwrap_or(u64::MAX));
        }
    }

    fn add(&self, tokens: u64) {
        self.change(|held| held.saturating_add(tokens).min(self.rules.capacity));
    }

    /// Relaxed suffices: the number guards no other memory.
    fn change(&self, with: impl FnMut(u64) -> u64) {
        self.tokens.update(Ordering::Relaxed, Ordering::Relaxed, with);
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
    fn aws_standard_2026_numbers() {
        for (kind, allowed) in
            [(FailureKind::Transient, 35), (FailureKind::Timeout, 35), (FailureKind::Throttled, 100)]
        {
            assert_eq!(retries(&Budget::aws_standard_2026(), kind, T0), allowed, "{kind:?}");
        }
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
    fn refills_are_exact_and_stop_at_the_capacity() {
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
    fn huge_rates_do_not_overflow() {
        let budget = Budget::builder().capacity(1e300).retry_cost(1e299).per_second(1e300).build().unwrap();
        assert!(budget.try_retry(FailureKind::Timeout, Duration::MAX).is_some());
        budget.succeeded(None, Duration::MAX);
    }

    #[test]
    fn threads_share_it_exactly() {
        let budget = Budget::aws_standard();
        let total: usize = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| retries(&budget, FailureKind::Transient, T0))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(total, 100);
    }
}
