//! Runs on a thread, on a clock moved by hand.

use std::time::Duration;

use retry::breaker::{Breaker, BreakerState};
use retry::budget::Budget;
use retry::run::{Cancel, Clock, Retry, Retrying};
use retry::{Failure, FailureKind, FirstRetry, GiveUp, Jitter, Policy};

use crate::virtual_clock::VirtualClock;

const SECOND: Duration = Duration::from_secs(1);

fn policy() -> Policy {
    Policy::exponential(SECOND, 2.0).jitter(Jitter::None).max_attempts(4).build().unwrap()
}

#[test]
fn closures_may_borrow_and_use_the_question_mark() {
    let clock = VirtualClock::default();
    let (policy, mut log) = (policy(), String::new());
    let input = ["x", "y", "3"].map(String::from);
    let parsed = Retry::new(&policy).run_with(&clock, |n| {
        let text = &input[n as usize - 1];
        log.push_str(text);
        let number: u32 = text.parse()?;
        Ok::<_, std::num::ParseIntError>((number, text))
    });
    assert_eq!(parsed, Ok((3, &input[2])));
    assert_eq!(log, "xy3");
    assert_eq!(clock.waits(), [SECOND, 2 * SECOND]);
}

#[test]
fn errors_are_classified_and_notified() {
    let clock = VirtualClock::default();
    let (policy, mut seen) = (policy(), Vec::new());
    let err = Retry::new(&policy)
        .classify(|status: &u16| Failure::from_response(*status, [], std::time::SystemTime::UNIX_EPOCH))
        .notify(|retrying: &Retrying<'_, u16>| seen.push((*retrying.error, retrying.tries, retrying.delay)))
        .run_with(&clock, |n| Err::<(), _>([500, 429, 404][n as usize - 1]))
        .unwrap_err();
    assert_eq!((err.reason(), err.last(), err.tries()), (GiveUp::Permanent, Some(&404), 3));
    assert_eq!(err.elapsed(), 3 * SECOND);
    assert_eq!(seen, [(500, 1, SECOND), (429, 2, 2 * SECOND)]);
}

#[test]
fn a_first_retry_at_once_does_not_wait() {
    let clock = VirtualClock::default();
    let policy =
        Policy::fixed(SECOND).jitter(Jitter::None).first_retry(FirstRetry::AtOnce).max_attempts(3).build();
    let _ = Retry::new(&policy.unwrap()).run_with(&clock, |_| Err::<(), _>(())).unwrap_err();
    assert_eq!(clock.waits(), [SECOND]);
}

#[test]
fn a_deadline_of_the_run_applies_besides_the_policys() {
    let clock = VirtualClock::default();
    let policy = policy();
    let err = Retry::new(&policy).within(3 * SECOND).run_with(&clock, |_| Err::<(), _>(())).unwrap_err();
    assert_eq!(err.reason(), GiveUp::Deadline { left: 2 * SECOND, delay: 2 * SECOND });
}

#[test]
fn no_try_follows_a_wait_past_the_deadline() {
    let clock = VirtualClock::oversleeping(60 * SECOND);
    let policy = policy();
    let err = Retry::new(&policy).within(10 * SECOND).run_with(&clock, |_| Err::<(), _>("down")).unwrap_err();
    assert_eq!((err.tries(), err.last()), (1, Some(&"down")));
    assert!(matches!(err.reason(), GiveUp::Deadline { .. }));
}

#[test]
fn cancelling_ends_it_before_the_next_try() {
    let (clock, cancel, policy) = (VirtualClock::default(), Cancel::new(), policy());
    let err = Retry::new(&policy)
        .cancel(&cancel)
        .notify(|_: &Retrying<'_, ()>| cancel.cancel())
        .run_with(&clock, |_| Err::<(), _>(()))
        .unwrap_err();
    assert_eq!((err.reason(), err.tries()), (GiveUp::Cancelled, 1));
    let untried = Retry::new(&policy).cancel(&cancel).run_with(&clock, |_| Err::<(), _>(())).unwrap_err();
    assert_eq!((untried.last(), untried.tries()), (None, 0));
    assert_eq!(untried.to_string(), "not tried: cancelled");
}

#[test]
fn cancelling_from_another_thread_ends_a_real_wait_at_once() {
    let (cancel, policy) = (Cancel::new(), Policy::fixed(Duration::MAX).build().unwrap());
    let (begun, wait_for) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            Retry::new(&policy).cancel(&cancel).run(|_| {
                begun.send(()).unwrap();
                Err::<(), _>("down")
            })
        });
        wait_for.recv().unwrap();
        cancel.cancel();
        assert_eq!(run.join().unwrap().unwrap_err().reason(), GiveUp::Cancelled);
    });
}

#[test]
fn an_open_breaker_refuses_at_once_and_admits_a_probe_later() {
    let (clock, policy) = (VirtualClock::default(), policy());
    let breaker = Breaker::builder().consecutive_failures(2).open_for(60 * SECOND).build().unwrap();
    let run = |ok: bool| {
        Retry::new(&policy).breaker(&breaker).run_with(&clock, |_| if ok { Ok(()) } else { Err("down") })
    };
    let err = run(false).unwrap_err();
    assert_eq!((err.tries(), err.last()), (2, Some(&"down")));
    assert!(matches!(err.reason(), GiveUp::BreakerOpen { .. }));
    let err = run(true).unwrap_err();
    assert_eq!((err.tries(), err.last()), (0, None));
    clock.advance(60 * SECOND);
    assert_eq!(run(true), Ok(()));
    assert_eq!(breaker.state(clock.now()), BreakerState::Closed);
}

#[test]
fn permanent_failures_do_not_open_a_breaker() {
    let (clock, policy) = (VirtualClock::default(), policy());
    let breaker = Breaker::builder().consecutive_failures(1).build().unwrap();
    for _ in 0..10 {
        let run = Retry::new(&policy).breaker(&breaker).classify(|_: &()| FailureKind::Permanent);
        assert_eq!(run.run_with(&clock, |_| Err::<(), _>(())).unwrap_err().reason(), GiveUp::Permanent);
    }
    assert_eq!(breaker.state(clock.now()), BreakerState::Closed);
}

#[test]
fn a_spent_budget_ends_a_run_and_a_success_returns_tokens() {
    let (clock, policy) = (VirtualClock::default(), policy());
    let budget = Budget::builder().capacity(10.0).per_second(0.0).build().unwrap();
    let run = |works_at: u32| {
        let op = |n| if n >= works_at { Ok(n) } else { Err(()) };
        Retry::new(&policy).budget(&budget).run_with(&clock, op)
    };
    assert_eq!(run(3), Ok(3)); // took 10, the last retry's 5 come back
    assert_eq!(budget.tokens(clock.now()), 5.0);
    let err = run(9).unwrap_err();
    assert_eq!((err.reason(), err.tries()), (GiveUp::Budget, 2));
    assert_eq!(run(1), Ok(1));
    assert_eq!(budget.tokens(clock.now()), 1.0);
}

#[test]
fn a_cancelled_wait_returns_its_tokens() {
    let (clock, policy, cancel) = (VirtualClock::default(), policy(), Cancel::new());
    let budget = Budget::aws_standard();
    let run = Retry::new(&policy).budget(&budget).cancel(&cancel);
    let run = run.notify(|_: &Retrying<'_, ()>| {
        assert_eq!(budget.tokens(Duration::ZERO), 495.0);
        cancel.cancel();
    });
    assert_eq!(run.run_with(&clock, |_| Err::<(), _>(())).unwrap_err().reason(), GiveUp::Cancelled);
    assert_eq!(budget.tokens(clock.now()), 500.0);
}

#[test]
fn a_retry_that_will_not_happen_takes_no_tokens() {
    let (clock, policy) = (VirtualClock::default(), Policy::fixed(SECOND).max_attempts(1).build().unwrap());
    let budget = Budget::aws_standard();
    let _ = Retry::new(&policy).budget(&budget).run_with(&clock, |_| Err::<(), _>(())).unwrap_err();
    assert_eq!(budget.tokens(clock.now()), 500.0);
    let grpc = Budget::grpc(10.0, 0.1).unwrap();
    let _ = Retry::new(&policy).budget(&grpc).run_with(&clock, |_| Err::<(), _>(())).unwrap_err();
    assert_eq!(grpc.tokens(clock.now()), 9.0);
}
