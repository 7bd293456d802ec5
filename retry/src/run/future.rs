//! The runners for futures, on any executor.
//!
//! There are two, with one body. The first takes a closure that returns futures of one type, so the compiler can prove the
//! run `Send` and the run can be spawned. The second takes an async closure, whose futures borrow from it and have a type
//! per call; for those the compiler cannot prove `Send` yet (rust-lang/rust#110338). Without that bug the second would do.
//!
//! A future that cancels the run is polled before each try and while the run awaits anything: a try, a notification, a delay.

use std::future::{Future, poll_fn};
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use super::session::TryLimit;
use super::state::RunState;
use super::{Cancel, Classify, Inspect, Notify, OperationError, Retry, RetryError, Sleep, Try};
use crate::GiveUp;

/// The run was cancelled while it awaited something.
struct RunCancelled;

/// Awaits `future` unless `cancel` is ready sooner. If both are, the result of `future` counts: it may have cost a request.
async fn unless_cancelled<T>(
    mut cancel: Pin<&mut impl Future<Output = ()>>,
    future: impl Future<Output = T>,
) -> Result<T, RunCancelled> {
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(result) => Poll::Ready(Ok(result)),
        Poll::Pending => cancel.as_mut().poll(cx).map(|()| Err(RunCancelled)),
    })
    .await
}

/// Whether `cancel` is ready now.
async fn is_ready(mut cancel: Pin<&mut impl Future<Output = ()>>) -> bool {
    poll_fn(|cx| Poll::Ready(cancel.as_mut().poll(cx).is_ready())).await
}

/// Runs one try: its result, or the limit that ended it.
async fn run_try<T>(
    timer: &impl Sleep,
    limit: Option<TryLimit>,
    operation: impl Future<Output = T>,
) -> Result<T, GiveUp> {
    let Some(TryLimit { left, reason }) = limit else { return Ok(operation.await) };
    let (mut operation, mut sleep) = (pin!(operation), pin!(timer.sleep(left)));
    poll_fn(|cx| match operation.as_mut().poll(cx) {
        Poll::Ready(result) => Poll::Ready(Ok(result)),
        Poll::Pending => sleep.as_mut().poll(cx).map(|()| Err(reason)),
    })
    .await
}

/// Sleeps until `delay` has passed or the signal comes. A zero delay never reaches the timer, which might yield for it.
async fn sleep(timer: &impl Sleep, delay: Duration, cancel: Option<&Cancel>) {
    if delay.is_zero() {
        return;
    }
    let (mut sleep, mut cancelled) = (pin!(timer.sleep(delay)), pin!(cancel.map(Cancel::cancelled)));
    poll_fn(|cx: &mut Context<'_>| match cancelled.as_mut().as_pin_mut().map(|signal| signal.poll(cx)) {
        Some(Poll::Ready(())) => Poll::Ready(()),
        Some(Poll::Pending) | None => sleep.as_mut().poll(cx),
    })
    .await;
}

/// The body of the runners. A macro, because no trait bound covers both kinds of closure.
macro_rules! drive {
    ($state:expr, $timer:expr, $cancel:expr, $operation:expr) => {{
        let (mut state, timer) = ($state, $timer);
        let mut cancel = pin!($cancel);
        loop {
            // Before the try counts, so that a retry that is not sent costs no tokens.
            if is_ready(cancel.as_mut()).await {
                return Err(state.end(GiveUp::Cancelled, timer.now()));
            }
            let (attempt, limit) = state.begin(timer.now())?;
            let result = unless_cancelled(cancel.as_mut(), run_try(timer, limit, $operation(attempt))).await;
            let next = match result {
                Ok(Ok(result)) => state.finished(result, timer.now()),
                Ok(Err(reason)) => state.timed_out(reason, timer.now()),
                Err(RunCancelled) => return Err(state.cancelled(timer.now())),
            };
            match next {
                ControlFlow::Break(result) => return result,
                ControlFlow::Continue((notified, delay)) => {
                    let signal = state.cancel();
                    let wait = async {
                        notified.await;
                        sleep(timer, delay, signal).await;
                    };
                    if unless_cancelled(cancel.as_mut(), wait).await.is_err() {
                        return Err(state.end(GiveUp::Cancelled, timer.now()));
                    }
                }
            }
        }
    }};
}

impl<K, N, P, C: Future<Output = ()>> Retry<'_, K, N, P, C> {
    /// Calls and awaits `operation` until it succeeds or the run gives up, and sleeps on `timer` between the tries.
    ///
    /// `operation` is any closure that returns a future, or an async closure that neither changes what it borrows nor owns
    /// (`async move`) what its futures borrow; for such closures use [`run_async_mut_with`](Self::run_async_mut_with). The
    /// run is `Send` if its parts are.
    ///
    /// Dropping the future ends the run at once, with the current try. A retry that was paid for and not yet sent returns
    /// its tokens to the budget.
    ///
    /// # Errors
    /// With the last error and the reason to give up.
    pub async fn run_async_with<T, E, F, M>(
        self,
        timer: &impl Sleep,
        mut operation: impl FnMut(Try) -> F,
    ) -> Result<T, RetryError<E>>
    where
        F: Future<Output = Result<T, E>>,
        E: OperationError<M>,
        K: Classify<E>,
        N: Notify<E>,
        P: Inspect<T>,
    {
        let (retry, cancel) = self.split();
        drive!(RunState::new(retry, timer.now()), timer, cancel, operation)
    }

    /// As [`run_async_with`](Self::run_async_with), for an async closure that changes what it borrows. Such a run can be
    /// awaited, but not spawned on a runtime that wants `Send`.
    ///
    /// # Errors
    /// With the last error and the reason to give up.
    pub async fn run_async_mut_with<T, E, M>(
        self,
        timer: &impl Sleep,
        mut operation: impl AsyncFnMut(Try) -> Result<T, E>,
    ) -> Result<T, RetryError<E>>
    where
        E: OperationError<M>,
        K: Classify<E>,
        N: Notify<E>,
        P: Inspect<T>,
    {
        let (retry, cancel) = self.split();
        drive!(RunState::new(retry, timer.now()), timer, cancel, operation)
    }
}

/// The runner of [`Call`](super::Call).
pub(super) async fn drive<T, E, F, K, N, P>(
    state: RunState<'_, K, N, P, E>,
    timer: &impl Sleep,
    cancel: impl Future<Output = ()>,
    mut operation: impl FnMut(Try) -> F,
) -> Result<T, RetryError<E>>
where
    F: Future<Output = Result<T, E>>,
    K: Classify<E>,
    N: Notify<E>,
    P: Inspect<T>,
{
    drive!(state, timer, cancel, operation)
}
