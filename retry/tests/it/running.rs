//! Runs on a thread, on a clock moved by hand.

use std::time::Duration;

use retry::breaker::{Breaker, BreakerState};
use retry::budget::Budget;
use retry::run::{Cancel, Clock, Ended, Retry, Retrying, Try};
use retry::{Failure, FailureKind, FirstRetry, GiveUp, Jitter, Policy, Retryable as _};

use crate::virtual_clock::VirtualClock;

const SECOND: Duration = Duration::from_secs(1);

/// An error with an HTTP status.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Status(u16);

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "status {}", self.0)
    }
}

impl std::error::Error for Status {}

fn policy() -> Policy {
    Policy::exponential(SECOND, 2.0).jitter(Jitter::None).max_attempts(4).build().unwrap()
}

#[test]
fn closures_may_borrow_and_use_the_question_mark() {
    let clock = VirtualClock::default();
    let (policy, mut log) = (policy(), String::new());
    let input = ["x", "y", "3"].map(String::from);
    let parsed = Retry::new(&policy).run_with(&clock, |attempt| {
        let text = &input[attempt.number as usize - 1];
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
        .classify(|status: &Status| Failure::from_response(status.0, [], std::time::SystemTime::UNIX_EPOCH))
        .notify(|r: &Retrying<'_, Status>| {
            seen.push((r.error.unwrap().0, r.failure.kind(), r.tries, r.delay));
        })
        .run_with(&clock, |t| Err::<(), _>(Status([500, 429, 404][t.number as usize - 1])))
        .unwrap_err();
    assert_eq!((err.reason(), err.last(), err.tries()), (GiveUp::Permanent, Some(&Status(404)), 3));
    assert_eq!(err.elapsed(), 3 * SECOND);
    let (transient, throttled) = (FailureKind::Transient, FailureKind::Throttled);
    assert_eq!(seen, [(500, transient, 1, SECOND), (429, throttled, 2, 2 * SECOND)]);
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
        let op = |t: Try| if t.number >= works_at { Ok(t.number) } else { Err(()) };
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

#[test]
fn pending_values_are_retried_and_the_last_is_returned() {
    let (clock, policy) = (VirtualClock::default(), policy());
    let states = ["queued", "running", "done"];
    let run = |count: usize| {
        let mut log = Vec::new();
        let retry = Retry::new(&policy).pending(|state: &&str| *state != "done");
        let retry = retry.notify(|r: &Retrying<'_, Status>| log.push(r.to_string()));
        let value = retry.run_with(&clock, |t| Ok(states[(t.number as usize - 1).min(count)]));
        (value, log)
    };
    let (value, log) = run(2);
    assert_eq!(value, Ok("done"));
    assert_eq!(log, ["try 1: pending; the next in 1 s", "try 2: pending; the next in 2 s"]);
    assert_eq!(run(1).0, Ok("running"));
}

/// A job that runs for long is neither a failure of the service nor a reason to take tokens.
#[test]
fn pending_values_cost_no_tokens_and_close_a_breaker() {
    let clock = VirtualClock::default();
    let policy = Policy::fixed(SECOND).jitter(Jitter::None).max_attempts(100).build().unwrap();
    let budget = Budget::builder().capacity(10.0).per_second(0.0).success_gain(0.0).build().unwrap();
    let breaker = Breaker::builder().consecutive_failures(2).build().unwrap();
    let (mut ends, mut tries) = (Vec::new(), 0);
    let value = Retry::new(&policy)
        .pending(|done: &bool| !done)
        .budget(&budget)
        .breaker(&breaker)
        .on_end(|end: &Ended<'_, Status>| ends.push((end.reason, end.tries)))
        .run_with(&clock, |_| {
            tries += 1;
            if tries % 10 == 5 { Err(Status(500)) } else { Ok(false) }
        });
    // A failed try pays for the next, whose pending value returns the tokens.
    assert_eq!((value, tries), (Ok(false), 100));
    assert_eq!(budget.tokens(clock.now()), 10.0);
    assert_eq!(ends, [(Some(GiveUp::Attempts { made: 100 }), 100)]);
}

#[test]
fn one_last_try_can_be_made_at_the_deadline() {
    for (limited, last) in [
        (Policy::fixed(10 * SECOND).max_elapsed(25 * SECOND), 25),
        (Policy::fixed(10 * SECOND).max_elapsed(600 * SECOND), 7),
    ] {
        let clock = VirtualClock::default();
        let policy = limited.jitter(Jitter::None).unlimited_attempts().build().unwrap();
        let within = Duration::from_secs(last);
        let mut begun = Vec::new();
        let retry = Retry::new(&policy).within(within).last_try_at_deadline();
        let err = retry.run_with(&clock, |_| {
            begun.push(clock.now());
            Err::<(), _>("down")
        });
        assert_eq!((begun.last(), clock.now()), (Some(&within), within));
        assert!(err.is_err());
    }
}

#[test]
fn a_long_try_starts_a_new_sequence() {
    let (clock, policy) = (VirtualClock::default(), policy());
    let mut tries = 0;
    let err = Retry::new(&policy).reset_after(60 * SECOND).run_with(&clock, |_| {
        tries += 1;
        clock.advance(if tries == 3 { 60 * SECOND } else { SECOND });
        Err::<(), _>("disconnected")
    });
    // Two tries, then the long one, which counts as the first of four.
    assert_eq!((tries, err.unwrap_err().tries()), (6, 4));
    assert_eq!(clock.waits(), [SECOND, 2 * SECOND, SECOND, 2 * SECOND, 4 * SECOND]);
}

/// The caller waits for the whole run, so a new sequence does not give it a new deadline.
#[test]
fn a_new_sequence_does_not_move_the_deadline() {
    let (clock, policy) = (VirtualClock::default(), policy());
    let run = Retry::new(&policy).reset_after(10 * SECOND).within(60 * SECOND);
    let err = run.run_with(&clock, |_| {
        clock.advance(10 * SECOND);
        Err::<(), _>("disconnected")
    });
    assert_eq!(err.unwrap_err().reason(), GiveUp::Deadline { left: Duration::ZERO, delay: SECOND });
    assert_eq!(clock.now(), 65 * SECOND);
}

/// A thread cannot be stopped, so an operation on a thread gets the time that it may take.
#[test]
fn an_operation_on_a_thread_gets_the_time_it_may_take() {
    let policy = Policy::fixed(SECOND).jitter(Jitter::None).max_elapsed(20 * SECOND).build().unwrap();
    let times = |retry: Retry<'_>| {
        let (clock, mut times) = (VirtualClock::default(), Vec::new());
        let _ = retry.run_with(&clock, |attempt| {
            times.push(attempt.time_left.map(|left| left.as_secs()));
            clock.advance(2 * SECOND);
            Err::<(), _>("slow")
        });
        times
    };
    let retry = || Retry::new(&policy);
    assert_eq!(times(retry()), [None; 5]);
    assert_eq!(times(retry().try_timeout(7 * SECOND)), [Some(7); 5]);
    assert_eq!(times(retry().cut_at_deadline()), [20, 17, 14, 11, 8].map(Some));
    assert_eq!(times(retry().cut_at_deadline().within(10 * SECOND)), [10, 7, 4, 1].map(Some));
    let both = retry().cut_at_deadline().try_timeout(9 * SECOND).within(14 * SECOND);
    assert_eq!(times(both), [9, 9, 8, 5, 2].map(Some));
    // The last try begins at the deadline; only its own limit holds.
    let last = retry().cut_at_deadline().within(6 * SECOND).last_try_at_deadline();
    assert_eq!(times(last.clone()), [Some(6), Some(3), None]);
    assert_eq!(times(last.try_timeout(SECOND)), [Some(1); 3]);
}

#[test]
fn a_call_on_a_thread_can_take_its_try() {
    let (clock, policy) = (VirtualClock::default(), policy());
    let mut seen = Vec::new();
    let read = |attempt: Try| {
        seen.push((attempt.number, attempt.time_left));
        Err::<(), _>("slow")
    };
    assert_eq!(read.retry(&policy).try_timeout(SECOND).call_with(&clock), Err("slow"));
    assert_eq!(seen, [1, 2, 3, 4].map(|number| (number, Some(SECOND))));
}

#[test]
fn the_end_is_notified() {
    let (clock, policy) = (VirtualClock::default(), policy());
    let mut ends = Vec::new();
    let mut run = |works_at: u32| {
        let end = |end: &Ended<'_, &'static str>| {
            ends.push((end.error.copied(), end.failure.map(|f| f.kind()), end.reason, end.tries));
        };
        let op = |t: Try| if t.number < works_at { Err("down") } else { Ok(()) };
        let _ =
            Retry::new(&policy).notify(|_: &Retrying<'_, &'static str>| ()).on_end(end).run_with(&clock, op);
    };
    run(2);
    run(9);
    let gave_up = (Some("down"), Some(FailureKind::Transient), Some(GiveUp::Attempts { made: 4 }), 4);
    assert_eq!(ends, [(None, None, None, 2), gave_up]);
}

#[test]
fn calls_return_the_operations_own_error() {
    let (clock, policy) = (VirtualClock::default(), policy());
    let mut tries = 0;
    let mut log = Vec::new();
    let result: Result<(), Status> = (|| {
        tries += 1;
        Err(Status(499 + tries))
    })
    .retry(&policy)
    .when(|status| status.0 < 502)
    .notify(|r| log.push(r.to_string()))
    .call_with(&clock);
    assert_eq!(result, Err(Status(502)));
    assert_eq!(log, ["try 1: status 500; the next in 1 s", "try 2: status 501; the next in 2 s"]);
}

#[test]
fn a_call_refused_by_its_breaker_makes_its_error() {
    let (clock, policy) = (VirtualClock::default(), policy());
    let breaker = Breaker::builder().build().unwrap();
    breaker.hold_open(SECOND);
    let op = || -> anyhow::Result<()> { panic!("not called") };
    let err = op.retry(&policy).breaker(&breaker).call_with(&clock).unwrap_err();
    assert!(matches!(err.downcast_ref(), Some(GiveUp::BreakerOpen { .. })), "{err:?}");
}

#[test]
fn answered_failures_close_a_breaker() {
    let (clock, policy) = (VirtualClock::default(), policy());
    let breaker = Breaker::builder().consecutive_failures(1).open_for(SECOND).build().unwrap();
    let run = |status: u16| {
        let classify = |err: &Status| Failure::from_response(err.0, [], std::time::SystemTime::UNIX_EPOCH);
        let retry = Retry::new(&policy).breaker(&breaker).classify(classify);
        let _ = retry.run_with(&clock, |_| Err::<(), _>(Status(status)));
    };
    run(500);
    assert!(matches!(breaker.state(clock.now()), BreakerState::Open { .. } | BreakerState::HalfOpen));
    clock.advance(SECOND);
    run(404);
    assert_eq!(breaker.state(clock.now()), BreakerState::Closed);
}
