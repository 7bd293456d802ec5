//! Budget and breaker against simple models.

use std::time::Duration;

use proptest::prelude::*;
use retry::FailureKind;
use retry::breaker::{Breaker, BreakerPermit, BreakerState};
use retry::budget::Budget;

use crate::cases;

#[derive(Clone, Debug)]
enum Act {
    Retry,
    Succeed,
    SucceedAfterRetry,
    Pass(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        Just(Act::Retry),
        Just(Act::Succeed),
        Just(Act::SucceedAfterRetry),
        (0..3_000_u64).prop_map(Act::Pass)
    ]
}

proptest! {
    #![proptest_config(cases())]

    /// The model counts tokens in whole thousandths, sequentially.
    #[test]
    fn a_budget_agrees_with_its_model(acts in prop::collection::vec(act(), 0..200), rate in 0..20_000_u64) {
        let per_second = rate as f64 / 1000.0;
        let budget = Budget::builder()
            .capacity(20.0).retry_cost(5.0).success_gain(1.5).per_second(per_second).build().unwrap();
        let (mut millis, mut tokens, mut ms) = (0_u64, 20_000_u64, 0_u64);
        let mut paid = Vec::new();
        for act in acts {
            let now = Duration::from_millis(ms);
            // The total refill by now, less the refill so far.
            let due = ms * rate / 1000;
            tokens = (tokens + due - millis).min(20_000);
            millis = due;
            match act {
                Act::Pass(passed) => ms += passed,
                Act::Retry => {
                    let allowed = budget.try_retry(FailureKind::Transient, now);
                    prop_assert_eq!(allowed.is_some(), tokens >= 5_000);
                    if let Some(withdrawal) = allowed {
                        tokens -= 5_000;
                        paid.push(withdrawal);
                    }
                }
                Act::Succeed => {
                    budget.succeeded(None, now);
                    tokens = (tokens + 1_500).min(20_000);
                }
                Act::SucceedAfterRetry => if let Some(withdrawal) = paid.pop() {
                    budget.succeeded(Some(withdrawal), now);
                    tokens = (tokens + 5_000).min(20_000);
                },
            }
            // Refilling by elapsed steps may be behind refilling from zero by less than one thousandth.
            let actual = budget.tokens(now) * 1000.0;
            prop_assert!((actual - tokens as f64).abs() <= 1.0, "{actual} {tokens}");
            tokens = actual.round() as u64;
        }
    }

    /// One try at a time.
    #[test]
    fn a_breaker_agrees_with_its_model(
        acts in prop::collection::vec((0..4_000_u64, prop::option::of(any::<bool>())), 0..100),
        limit in 1..4_u32, probes in 1..4_u32,
    ) {
        #[derive(Clone, Copy, Debug, PartialEq)]
        enum Model { Closed(u32), Open(u64), Half(u32) }
        let breaker = Breaker::builder()
            .consecutive_failures(limit).open_for(Duration::from_secs(5)).probes(probes).build().unwrap();
        let (mut model, mut ms) = (Model::Closed(0), 0);
        for (passed, answer) in acts {
            ms += passed;
            let now = Duration::from_millis(ms);
            if matches!(model, Model::Open(until) if ms >= until) { model = Model::Half(0); }
            let permit = breaker.try_acquire(now);
            prop_assert_eq!(permit.is_err(), matches!(model, Model::Open(_)));
            let Ok(permit) = permit else { continue };
            match answer {
                Some(true) => permit.succeeded(now),
                Some(false) => permit.failed(now),
                None => drop::<BreakerPermit<'_>>(permit),
            }
            model = match (model, answer) {
                (model, None) | (model @ Model::Open(_), _) => model,
                (Model::Closed(_), Some(true)) => Model::Closed(0),
                (Model::Closed(n), Some(false)) if n + 1 < limit => Model::Closed(n + 1),
                (Model::Closed(_) | Model::Half(_), Some(false)) => Model::Open(ms + 5_000),
                (Model::Half(n), Some(true)) if n + 1 < probes => Model::Half(n + 1),
                (Model::Half(_), Some(true)) => Model::Closed(0),
            };
            let state = breaker.state(now);
            prop_assert_eq!(matches!(state, BreakerState::Closed), matches!(model, Model::Closed(_)));
            prop_assert_eq!(matches!(state, BreakerState::Open { .. }), matches!(model, Model::Open(_)));
        }
    }
}
