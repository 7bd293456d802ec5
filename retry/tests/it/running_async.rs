//! Runs in futures, on tokio's paused clock, and through tower.

use std::error::Error as _;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use retry::blocking::StdClock;
use retry::breaker::{Breaker, BreakerState};
use retry::budget::Budget;
use retry::run::{Cancel, Clock, Ended, Retry, Retrying, Sleep, Try};
use retry::tokio_time::TokioTimer;
use retry::tower_retry::{BreakerLayer, TowerPolicy};
use retry::{Failure, FailureKind, GiveUp, Jitter, Policy, Retryable as _};
use tower::{Service, ServiceExt, service_fn};

use crate::virtual_clock::VirtualClock;

const SECOND: Duration = Duration::from_secs(1);

fn policy() -> Policy {
    Policy::exponential(SECOND, 2.0).jitter(Jitter::None).max_attempts(4).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn async_closures_may_borrow_mutably() {
    let (policy, mut log) = (policy(), Vec::new());
    let before = TokioTimer.now();
    let result = Retry::new(&policy)
        .run_tokio_mut(async |attempt| {
            log.push(attempt.number);
            tokio::task::yield_now().await;
            let number: u32 = if attempt.number < 3 { "x" } else { "7" }.parse()?;
            Ok::<_, std::num::ParseIntError>(number)
        })
        .await;
    assert_eq!((result, log), (Ok(7), vec![1, 2, 3]));
    assert_eq!((TokioTimer.now() - before).as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn closures_that_return_futures_run() {
    let tries = AtomicU32::new(0);
    let result = retry::tokio_time::retry(&policy(), || async {
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
            .run_tokio(async |attempt| {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                if attempt.number < 2 { Err("down") } else { Ok(count.load(Ordering::Relaxed)) }
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

#[tokio::test(start_paused = true)]
async fn a_dropped_wait_returns_its_tokens_and_a_dropped_try_does_not() {
    let (policy, budget) = (policy(), Budget::aws_standard());
    for (tries_that_finish, tokens) in [(1, 500.0), (0, 495.0)] {
        let count = AtomicU32::new(0);
        let run = Retry::new(&policy).budget(&budget).run_tokio(|_| {
            let hangs = count.fetch_add(1, Ordering::Relaxed) > tries_that_finish;
            async move { if hangs { std::future::pending().await } else { Err::<(), _>("down") } }
        });
        // Dropped during the first wait, or the second; or during the second try.
        let limit = if tries_that_finish == 1 { SECOND / 2 } else { 2 * SECOND };
        assert!(tokio::time::timeout(limit, run).await.is_err());
        assert_eq!(budget.tokens(Duration::ZERO), tokens);
    }
}

#[tokio::test(start_paused = true)]
async fn a_try_can_have_a_timeout() {
    let (policy, before) = (policy(), TokioTimer.now());
    let tries = AtomicU32::new(0);
    let fetch = async || match tries.fetch_add(1, Ordering::Relaxed) {
        0 => std::future::pending().await,
        1 => Err(anyhow::anyhow!("down")),
        _ => Ok(7),
    };
    let mut log = Vec::new();
    let fetched = fetch.retry(&policy).try_timeout(5 * SECOND).notify(|r| log.push(r.to_string())).await;
    assert_eq!(fetched.unwrap(), 7);
    assert_eq!(log, ["try 1: the try took longer than 5 s; the next in 1 s", "try 2: down; the next in 2 s"]);
    assert_eq!((TokioTimer.now() - before).as_secs(), 5 + 1 + 2);

    let hang = async || -> anyhow::Result<()> { std::future::pending().await };
    let err = hang.retry(&policy).try_timeout(SECOND).await.unwrap_err();
    assert_eq!(err.downcast_ref(), Some(&GiveUp::TryTimeout { after: SECOND }));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_can_cut_the_running_try() {
    let (policy, before) = (policy(), TokioTimer.now());
    let hang = async || -> anyhow::Result<()> { std::future::pending().await };
    let err = hang.retry(&policy).within(3 * SECOND).cut_at_deadline().await.unwrap_err();
    assert_eq!(err.downcast_ref(), Some(&GiveUp::CutAtDeadline { after: 3 * SECOND }));
    assert_eq!((TokioTimer.now() - before).as_secs(), 3);
}

/// The limits of tries need no error of the caller's: a run reports them itself.
#[tokio::test(start_paused = true)]
async fn a_run_reports_the_limits_of_its_tries() {
    let (policy, before) = (policy(), TokioTimer.now());
    let (mut log, mut ends) = (Vec::new(), Vec::new());
    let result = Retry::new(&policy)
        .try_timeout(5 * SECOND)
        .notify(|r: &Retrying<'_, &str>| log.push((r.to_string(), r.failure.kind(), r.cut_by)))
        .on_end(|end: &Ended<'_, &str>| ends.push((end.error.copied(), end.cut_by, end.tries)))
        .run_tokio(async |attempt| match attempt.number {
            1 | 4 => std::future::pending().await,
            _ => Err::<(), _>("down"),
        })
        .await;
    let (err, cut) = (result.unwrap_err(), GiveUp::TryTimeout { after: 5 * SECOND });
    let first = "try 1: the try took longer than 5 s; the next in 1 s".to_owned();
    assert_eq!(log[0], (first, FailureKind::Timeout, Some(cut)));
    assert_eq!(log[1], ("try 2: down; the next in 2 s".to_owned(), FailureKind::Transient, None));
    assert_eq!(ends, [(None, Some(cut), 4)]);
    assert_eq!((TokioTimer.now() - before).as_secs(), 5 + 1 + 2 + 4 + 5);
    assert_eq!((err.reason(), err.cut_by()), (GiveUp::Attempts { made: 4 }, Some(cut)));
    assert_eq!((err.last(), err.kind()), (None, Some(FailureKind::Timeout)));
    assert_eq!(err.source().unwrap().to_string(), "the try took longer than 5 s");
    assert_eq!(err.into_result(), Err(cut));

    let result = Retry::new(&policy).within(3 * SECOND).cut_at_deadline();
    let err = result.run_tokio(async |_| std::future::pending::<Result<(), &str>>().await).await.unwrap_err();
    assert_eq!(err.to_string(), "gave up after 1 try in 3 s: the deadline has passed");
    assert_eq!(err.source().unwrap().to_string(), "the deadline came 3 s after the try began");
}

/// A try begun at the deadline would be cut before its first step.
#[tokio::test(start_paused = true)]
async fn the_last_try_at_the_deadline_is_not_cut_by_it() {
    let (policy, before) = (policy(), TokioTimer.now());
    let retry = Retry::new(&policy).within(2 * SECOND).cut_at_deadline().last_try_at_deadline();
    let result = retry.run_tokio(async |attempt| {
        TokioTimer.sleep(SECOND).await;
        if attempt.number < 2 { Err("down") } else { Ok(attempt.time_left) }
    });
    assert_eq!(result.await, Ok(None));
    assert_eq!((TokioTimer.now() - before).as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_call_can_take_its_try() {
    let (policy, last) = (policy(), AtomicU32::new(0));
    let fetch = async |attempt: Try| {
        last.store(attempt.number, Ordering::Relaxed);
        if attempt.number < 3 { Err(anyhow::anyhow!("down")) } else { Ok(attempt.time_left) }
    };
    assert_eq!(fetch.retry(&policy).try_timeout(SECOND).await.unwrap(), Some(SECOND));
    assert_eq!(last.into_inner(), 3);
}

#[tokio::test(start_paused = true)]
async fn any_future_can_cancel_a_call() {
    let (policy, before) = (Policy::fixed(3600 * SECOND).build().unwrap(), TokioTimer.now());
    let fail = async || Err::<(), _>(anyhow::anyhow!("down"));
    let err = fail.retry(&policy).cancel_on(TokioTimer.sleep(SECOND)).await.unwrap_err();
    assert_eq!(err.to_string(), "down");
    let hang = async || -> anyhow::Result<()> { std::future::pending().await };
    let err = hang.retry(&policy).cancel_on(TokioTimer.sleep(SECOND)).await.unwrap_err();
    assert_eq!(err.downcast_ref(), Some(&GiveUp::Cancelled));
    assert_eq!((TokioTimer.now() - before).as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn any_future_can_cancel_a_run() {
    let (policy, before) = (Policy::fixed(3600 * SECOND).build().unwrap(), TokioTimer.now());
    let budget = Budget::aws_standard();
    let retry = || Retry::new(&policy).budget(&budget);
    // In a wait: the paid retry was not sent. Without a bound on `Send`: the signal may belong to this thread.
    let signal = Rc::new(Cancel::new());
    let run = retry().cancel_on(signal.cancelled()).run_tokio(async |_| Err::<(), _>("down"));
    let (result, ()) = tokio::join!(run, async {
        tokio::task::yield_now().await;
        signal.cancel();
    });
    let err = result.unwrap_err();
    assert_eq!((err.reason(), err.last(), err.cut_by()), (GiveUp::Cancelled, Some(&"down"), None));
    assert_eq!(budget.tokens(Duration::ZERO), 500.0);

    // In a running try.
    let hang = async |_| std::future::pending::<Result<(), &str>>().await;
    let err = retry().cancel_on(TokioTimer.sleep(SECOND)).run_tokio(hang).await.unwrap_err();
    assert_eq!((err.cut_by(), err.tries()), (Some(GiveUp::Cancelled), 1));
    assert!(err.source().is_none());
    assert_eq!(err.to_string(), "gave up after 1 try in 1 s: cancelled");

    // In an awaited notification.
    let notify = |_: &Retrying<'_, &str>| std::future::pending();
    let run = retry().notify_async(notify).cancel_on(TokioTimer.sleep(SECOND));
    assert_eq!(run.run_tokio(async |_| Err::<(), _>("down")).await.unwrap_err().reason(), GiveUp::Cancelled);

    // Before the first try, and after a try that ended in the same moment.
    let err = retry().cancel_on(std::future::ready(())).run_tokio(hang).await.unwrap_err();
    assert_eq!(err.to_string(), "not tried: cancelled");
    let finished = retry().cancel_on(TokioTimer.sleep(SECOND)).run_tokio(async |_| {
        TokioTimer.sleep(SECOND).await;
        Ok::<_, &str>(7)
    });
    assert_eq!(finished.await, Ok(7));
    assert_eq!((TokioTimer.now() - before).as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_run_with_limits_can_be_spawned() {
    let policy = policy();
    let run = tokio::spawn(async move {
        let retry = Retry::new(&policy).try_timeout(SECOND).cancel_on(TokioTimer.sleep(2 * SECOND));
        retry.run_tokio(async |_| std::future::pending::<Result<(), &str>>().await).await
    });
    assert_eq!(run.await.unwrap().unwrap_err().reason(), GiveUp::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn a_notification_can_be_awaited() {
    let (policy, before) = (policy(), TokioTimer.now());
    let (log, entries) = std::sync::mpsc::channel();
    let fail = async || Err::<(), _>("down");
    let notify = |r: &Retrying<'_, &str>| {
        let (tries, log) = (r.tries, log.clone());
        async move {
            TokioTimer.sleep(10 * SECOND).await;
            log.send(tries).unwrap();
        }
    };
    assert_eq!(fail.retry(&policy).notify_async(notify).await, Err("down"));
    assert_eq!(entries.try_iter().collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!((TokioTimer.now() - before).as_secs(), 30 + 1 + 2 + 4);
}

#[tokio::test(start_paused = true)]
async fn a_call_can_be_spawned() {
    let policy = policy();
    let call = tokio::spawn(async move { (async || Ok::<_, &str>(7)).retry(&policy).await });
    assert_eq!(call.await.unwrap(), Ok(7));
}

/// As on wasm, where the standard library's clocks panic: the timer is the host's, and neither it nor its futures are `Send`.
#[test]
fn a_run_needs_no_clock_but_the_hosts() {
    struct HostTimer(Rc<VirtualClock>);

    impl Clock for HostTimer {
        fn now(&self) -> Duration {
            self.0.now()
        }
    }

    impl Sleep for HostTimer {
        type Sleep = Pin<Box<dyn Future<Output = ()>>>;

        fn sleep(&self, delay: Duration) -> Self::Sleep {
            let clock = Rc::clone(&self.0);
            Box::pin(async move { clock.advance(delay) })
        }
    }

    let (clock, policy) = (Rc::new(VirtualClock::default()), policy());
    let timer = HostTimer(Rc::clone(&clock));
    let fetch = async || if clock.now() < 3 * SECOND { Err("down") } else { Ok(clock.now()) };
    let mut call = pin!(fetch.retry(&policy).run_with(&timer));
    let done = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(done, Poll::Ready(Ok(3 * SECOND)));
    let hang = async |_| std::future::pending::<Result<(), &str>>().await;
    let mut run = pin!(Retry::new(&policy).try_timeout(SECOND).run_async_with(&timer, hang));
    let Poll::Ready(Err(err)) = run.as_mut().poll(&mut Context::from_waker(Waker::noop())) else { panic!() };
    assert_eq!((err.tries(), clock.now()), (4, (3 + 1 + 1 + 1 + 2 + 1 + 4 + 1) * SECOND));
}

/// Both clocks have one zero, and a paused clock neither stops nor moves the time of the process.
#[test]
fn std_and_tokio_clocks_agree() {
    let paused = |ahead| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let before = TokioTimer.now();
            TokioTimer.sleep(ahead).await;
            assert_eq!(TokioTimer.now() - before, ahead);
        });
    };
    paused(SECOND * 86_400 * 365);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (first, timer, last) = runtime.block_on(async { (StdClock.now(), TokioTimer.now(), StdClock.now()) });
    assert!(first <= timer && timer <= last, "{first:?} {timer:?} {last:?}");
    paused(SECOND);
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

fn classify(_: &(), result: &Result<u16, &'static str>) -> Option<Failure> {
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

/// A request that is not `Clone`.
#[derive(Debug, PartialEq)]
struct Upload {
    body: String,
    idempotent: bool,
}

#[tokio::test(start_paused = true)]
async fn tower_takes_requests_that_are_not_clone() {
    let copy = |upload: &Upload| {
        (!upload.body.is_empty()).then(|| Upload { body: upload.body.clone(), idempotent: upload.idempotent })
    };
    let classify = |upload: &Upload, result: &Result<u16, &str>| {
        (*result != Ok(200)).then_some(Failure::from(upload.idempotent))
    };
    for (body, idempotent, expected) in [("text", true, 4), ("text", false, 1), ("", true, 1)] {
        let retries = TowerPolicy::new(policy(), TokioTimer, classify).clone_with(copy);
        let count = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&count);
        let service = service_fn(move |_: Upload| {
            counter.fetch_add(1, Ordering::Relaxed);
            std::future::ready(Ok::<u16, &str>(500))
        });
        let upload = Upload { body: body.to_owned(), idempotent };
        assert_eq!(tower::retry::Retry::new(retries, service).oneshot(upload).await, Ok(500));
        assert_eq!(count.load(Ordering::Relaxed), expected, "{body:?} {idempotent}");
    }
}

#[tokio::test(start_paused = true)]
async fn tower_returns_the_tokens_of_a_dropped_wait() {
    let budget = Arc::new(Budget::aws_standard());
    let retries = TowerPolicy::new(policy(), TokioTimer, classify).budget(Arc::clone(&budget));
    let (service, count) = answers(&[Ok(500)]);
    let request = tower::retry::Retry::new(retries, service).oneshot(());
    assert!(tokio::time::timeout(SECOND / 2, request).await.is_err());
    assert_eq!((count.load(Ordering::Relaxed), budget.tokens(Duration::ZERO)), (1, 500.0));
}

#[tokio::test(start_paused = true)]
async fn a_breaker_layer_counts_answers_and_refuses() {
    let breaker = Arc::new(Breaker::builder().consecutive_failures(2).open_for(10 * SECOND).build().unwrap());
    let classify = |result: &Result<u16, tower::BoxError>| match result {
        Ok(status) if *status < 400 => None,
        Ok(status) => Some(Failure::from_response(*status, [], std::time::SystemTime::UNIX_EPOCH)),
        Err(_) => Some(Failure::transient()),
    };
    let service = service_fn(|status: u16| std::future::ready(Ok::<u16, tower::BoxError>(status)));
    let layer = BreakerLayer::new(Arc::clone(&breaker), TokioTimer, classify);
    let mut service = tower::Layer::layer(&layer, service);
    for status in [404, 500, 404, 500, 500] {
        assert_eq!(service.ready().await.unwrap().call(status).await.unwrap(), status);
    }
    let refused = service.ready().await.unwrap().call(200).await.unwrap_err();
    assert!(matches!(refused.downcast_ref(), Some(GiveUp::BreakerOpen { .. })));
    TokioTimer.sleep(10 * SECOND).await;
    drop(service.ready().await.unwrap().call(500)); // a dropped call frees the probe's place
    assert_eq!(service.ready().await.unwrap().call(200).await.unwrap(), 200);
    assert_eq!(breaker.state(TokioTimer.now()), BreakerState::Closed);
}
