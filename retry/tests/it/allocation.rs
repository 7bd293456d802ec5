//! Delays, decisions, hints, budgets and breakers allocate nothing per failed try.

use std::hint::black_box;
use std::time::{Duration, SystemTime};

use retry::breaker::Breaker;
use retry::budget::Budget;
use retry::run::Retry;
use retry::{Failure, FailureKind, Policy, Progress, RetryOptions, Rng};

use crate::virtual_clock::VirtualClock;

fn allocations(run: impl FnOnce()) -> u64 {
    allocation_counter::measure(run).count_total
}

#[test]
fn nothing_is_allocated_per_try() {
    let second = Duration::from_secs(1);
    let policies = [
        Policy::exponential(second, 2.0),
        Policy::fibonacci(second),
        Policy::decorrelated(second),
        Policy::list([second, 2 * second]),
    ]
    .map(|builder| builder.max_attempts(50).build().unwrap());
    let (options, mut rng) = (RetryOptions::default(), Rng::seeded(1));
    let headers = [
        ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("retry-after", "Sun, 06 Nov 1994 08:49:47 GMT"),
        ("ratelimit", "\"minute\";r=0;t=12"),
    ];
    let (budget, breaker) = (Budget::default(), Breaker::builder().build().unwrap());
    let count = allocations(|| {
        for policy in &policies {
            assert_eq!(black_box(policy).delays().seeded(1).count(), 49);
            let failure = Failure::from_response(503, headers, SystemTime::UNIX_EPOCH);
            let _ = black_box(policy.decide(&failure, &Progress::new(3, second), &mut rng));
        }
        let _ = black_box(options.delay(3, &mut rng));
        let paid = budget.try_retry(FailureKind::Transient, second);
        budget.succeeded(paid, second);
        for _ in 0..10 {
            if let Ok(permit) = breaker.try_acquire(second) {
                permit.failed(second);
            }
        }
    });
    assert_eq!(count, 0);
}

#[test]
fn a_run_that_succeeds_at_once_allocates_nothing() {
    let (policy, budget, clock) = (Policy::default(), Budget::default(), VirtualClock::default());
    let count = allocations(|| {
        let run = Retry::new(&policy).seed(1).budget(&budget).classify(|_: &()| true);
        assert_eq!(run.run_with(&clock, |attempt| Ok(attempt.number)), Ok(1));
    });
    assert_eq!(count, 0);
}
