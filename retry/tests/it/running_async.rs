//! Runs in futures, on tokio's paused clock, and through tower.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use retry::budget::Budget;
use retry::run::{Cancel, Clock, Retry};
use retry::tokio::TokioTimer;
use retry::tower::TowerPolicy;
use retry::{Failure, GiveUp, Jitter, Policy};
use tower::{Service, ServiceExt, service_fn};

const SECOND: Duration = Duration::from_secs(1);

fn policy() -> Policy {
    Policy::exponential(SECOND, 2.0).jitter(Jitter::None).max_attempts(4).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn async_closures_may_borrow_mutably() {
    let (policy, mut log) = (policy(), Vec::new());
    let before = TokioTimer.now();
    let result = Retry::new(&policy)
        .run_tokio_mut(async |n| {
            log.push(n);
            tokio::task::yield_now().await;
            let number: u32 = if n < 3 { "x" } else { "7" }.parse()?;
            Ok::<_, std::num::ParseIntError>(number)
        })
        .await;
    assert_eq!((result, log), (Ok(7), vec![1, 2, 3]));
    assert_eq!((TokioTimer.now() - before).as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn closures_that_return_futures_run() {
    let tries = AtomicU32::new(0);
    let result = retry::tokio::retry(&policy(), || async {
        let made = tries.fetch_add(1, Ordering::Relaxed) + 1;
        if made < 4 { Err("down") } else { Ok(made) }
    })
    .await;
    assert_eq!(result, Ok(4));
}

#[tokio::test(start_paused = true)]
async fn a_run_can_be_spawned() {
    let (policy, budget, count) = (Arc::new(policy()), Arc::new(Budget::default()), AtomicU32::new(0));
    let run = tokio::spawn(async move {
        Retry::new(&policy)
            .budget(&budget)
            .classify(|err: &&str| *err == "down")
            .run_tokio(async |n| {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                if n < 2 { Err("down") } else { Ok(count.load(Ordering::Relaxed)) }
            })
            .await
    });
    assert_eq!(run.await.unwrap(), Ok(2));
}

#[tokio::test(start_paused = true)]
async fn cancelling_ends_a_wait_at_once() {
    let (cancel, policy) = (Cancel::new(), Policy::fixed(3600 * SECOND).build().unwrap());
    let before = TokioTimer.now();
    let run = Retry::new(&policy).cancel(&cancel).run_tokio(async |_| Err::<(), _>("down"));
    let (result, ()) = tokio::join!(run, async {
        tokio::task::yield_now().await;
        cancel.cancel();
    });
    let err = result.unwrap_err();
    assert_eq!((err.reason(), err.into_last()), (GiveUp::Cancelled, Some("down")));
    assert_eq!(TokioTimer.now(), before);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_run_leaves_nothing_behind() {
    let (cancel, policy) = (Cancel::new(), policy());
    let dropped = Arc::new(());
    {
        let held = Arc::clone(&dropped);
        let mut run = pin!(Retry::new(&policy).cancel(&cancel).run_tokio_mut(async move |_| {
            let _held = &held;
            Err::<(), _>("down")
        }));
        assert_eq!(run.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending);
        assert_eq!(Arc::strong_count(&dropped), 2);
    }
    assert_eq!(Arc::strong_count(&dropped), 1);
    cancel.cancel();
}

/// A service that returns the given answers in order, and counts the calls.
fn answers(
    answers: &'static [Result<u16, &'static str>],
) -> (impl Service<(), Response = u16, Error = &'static str, Future: Send> + Clone, Arc<AtomicU32>) {
    let count = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&count);
    let service = service_fn(move |()| {
        let i = counter.fetch_add(1, Ordering::Relaxed) as usize;
        std::future::ready(answers[i.min(answers.len() - 1)])
    });
    (service, count)
}

fn classify(result: &Result<u16, &'static str>) -> Option<Failure> {
    match result {
        Ok(status) if *status < 400 => None,
        Ok(status) => Some(Failure::from_response(*status, [], std::time::SystemTime::UNIX_EPOCH)),
        Err(_) => Some(Failure::transient()),
    }
}

#[tokio::test(start_paused = true)]
async fn tower_retries_classified_failures() {
    let before = TokioTimer.now();
    let (service, count) = answers(&[Err("reset"), Ok(503), Ok(200)]);
    let retries = TowerPolicy::new(policy(), TokioTimer, classify);
    assert_eq!(tower::retry::Retry::new(retries, service).oneshot(()).await, Ok(200));
    assert_eq!((count.load(Ordering::Relaxed), (TokioTimer.now() - before).as_secs()), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn tower_returns_the_last_result() {
    let (service, count) = answers(&[Ok(500)]);
    let mut service = tower::retry::Retry::new(TowerPolicy::new(policy(), TokioTimer, classify), service);
    // Each request has all its tries: what one has used up is not another's.
    for total in [4, 8] {
        assert_eq!(service.ready().await.unwrap().call(()).await, Ok(500));
        assert_eq!(count.load(Ordering::Relaxed), total);
    }
    let (service, count) = answers(&[Ok(404)]);
    let retries = TowerPolicy::new(policy(), TokioTimer, classify);
    assert_eq!(tower::retry::Retry::new(retries, service).oneshot(()).await, Ok(404));
    assert_eq!(count.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn tower_requests_share_a_budget() {
    let budget = Arc::new(Budget::builder().capacity(15.0).per_second(0.0).build().unwrap());
    let retries = TowerPolicy::new(policy(), TokioTimer, classify).budget(Arc::clone(&budget)).seed(1);
    let (service, count) = answers(&[Ok(500)]);
    let mut service = tower::retry::Retry::new(retries, service);
    for total in [4, 5, 6] {
        assert_eq!(service.ready().await.unwrap().call(()).await, Ok(500));
        assert_eq!(count.load(Ordering::Relaxed), total);
    }
}
