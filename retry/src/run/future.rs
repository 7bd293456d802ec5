//! The runners for futures, on any executor.
//!
//! There are two, with one body. The first takes a closure that returns futures of one type, so the compiler can prove the
//! run `Send` and the run can be spawned. The second takes an async closure, whose futures borrow from it and have a type
//! per call; for those the compiler cannot prove `Send` yet (rust-lang/rust#110338). Without that bug the second would do.

use std::future::{Future, poll_fn};
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use super::state::RunState;
use super::{Cancel, Classify, Inspect, Notify, OperationError, Retry, RetryError, Sleep};
use crate::{Failure, GiveUp};

/// Limits of single tries, which need an error to report them with.
pub(super) struct TryLimits<'a, E> {
    pub(super) timeout: Option<Duration>,
    /// Whether the deadline ends a running try.
    pub(super) cut_at_deadline: bool,
    /// A future that ends the run, the current try included.
    pub(super) cancel: Option<Pin<Box<dyn Future<Output = ()> + Send + 'a>>>,
    /// Makes the operation's error when a limit ends a try; set with any limit.
    pub(super) error: Option<fn(GiveUp) -> E>,
}

impl<E> TryLimits<'_, E> {
    pub(super) const fn none() -> Self {
        Self { timeout: None, cut_at_deadline: false, cancel: None, error: None }
    }

    /// Runs one try: its result, or the reason why it was ended.
    async fn run<T>(
        &mut self,
        timer: &impl Sleep,
        time_left: Option<Duration>,
        operation: impl Future<Output = Result<T, E>>,
    ) -> Result<Result<T, E>, GiveUp> {
        let deadline = time_left.filter(|_| self.cut_at_deadline);
        let limit = self.timeout.into_iter().chain(deadline).min();
        if limit.is_none() && self.cancel.is_none() {
            return Ok(operation.await);
        }
        let (mut operation, mut sleep) = (pin!(operation), pin!(limit.map(|limit| timer.sleep(limit))));
        poll_fn(|cx| {
            if let Poll::Ready(result) = operation.as_mut().poll(cx) {
                return Poll::Ready(Ok(result));
            }
            if let (Some(limit), Some(sleep)) = (limit, sleep.as_mut().as_pin_mut())
                && sleep.poll(cx).is_ready()
            {
                return Poll::Ready(Err(GiveUp::TryTimeout { after: limit }));
            }
            match self.cancel.as_mut().map(|cancel| cancel.as_mut().poll(cx)) {
                Some(Poll::Ready(())) => Poll::Ready(Err(GiveUp::Cancelled)),
                Some(Poll::Pending) | None => Poll::Pending,
            }
        })
        .await
    }

    /// Sleeps until `delay` has passed or a cancellation comes, and returns whether the future of `cancel_on` was ready. A
    /// zero delay never reaches the timer, which might yield for it.
    async fn sleep(&mut self, timer: &impl Sleep, delay: Duration, cancel: Option<&Cancel>) -> bool {
        if delay.is_zero() {
            return false;
        }
        let mut sleep = pin!(timer.sleep(delay));
        let mut cancelled = pin!(cancel.map(Cancel::cancelled));
        poll_fn(|cx| {
            if let Some(Poll::Ready(())) = self.cancel.as_mut().map(|cancel| cancel.as_mut().poll(cx)) {
                return Poll::Ready(true);
            }
            if let Some(Poll::Ready(())) = cancelled.as_mut().as_pin_mut().map(|signal| signal.poll(cx)) {
                return Poll::Ready(false);
            }
            sleep.as_mut().poll(cx).map(|()| false)
        })
        .await
    }
}

/// The body of the runners. A macro, because no trait bound covers both kinds of closure.
macro_rules! drive {
    ($state:expr, $timer:expr, $limits:expr, $operation:expr) => {{
        let (mut state, timer, mut limits) = ($state, $timer, $limits);
        loop {
            let number = state.begin(timer.now())?;
            let left = state.time_left(timer.now());
            let next = match (limits.run(timer, left, $operation(number)).await, limits.error) {
                (Ok(result), _) => state.finished(result, timer.now()),
                (Err(GiveUp::Cancelled), _) => return Err(state.end(GiveUp::Cancelled, timer.now())),
                (Err(reason), Some(error)) => {
                    state.failed_with(error(reason), Failure::timeout(), timer.now())
                }
                (Err(reason), None) => return Err(state.end(reason, timer.now())),
            };
            match next {
                ControlFlow::Break(result) => return result,
                ControlFlow::Continue((notified, delay)) => {
                    notified.await;
                    if limits.sleep(timer, delay, state.cancel()).await {
                        return Err(state.end(GiveUp::Cancelled, timer.now()));
                    }
                }
            }
        }
    }};
}

impl<K, N, P> Retry<'_, K, N, P> {
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
        mut operation: impl FnMut(u32) -> F,
    ) -> Result<T, RetryError<E>>
    where
        F: Future<Output = Result<T, E>>,
        E: OperationError<M>,
        K: Classify<E>,
        N: Notify<E>,
        P: Inspect<T>,
    {
        drive!(RunState::new(self, timer.now()), timer, TryLimits::none(), operation)
    }

    /// As [`run_async_with`](Self::run_async_with), for an async closure that changes what it borrows. Such a run can be
    /// awaited, but not spawned on a runtime that wants `Send`.
    ///
    /// # Errors
    /// With the last error and the reason to give up.
    pub async fn run_async_mut_with<T, E, M>(
        self,
        timer: &impl Sleep,
        mut operation: impl AsyncFnMut(u32) -> Result<T, E>,
    ) -> Result<T, RetryError<E>>
    where
        E: OperationError<M>,
        K: Classify<E>,
        N: Notify<E>,
        P: Inspect<T>,
    {
        drive!(RunState::new(self, timer.now()), timer, TryLimits::none(), operation)
    }
}

/// The runner of [`Call`](super::Call).
pub(super) async fn drive<T, E, F, K, N, P>(
    state: RunState<'_, K, N, P, E>,
    timer: &impl Sleep,
    limits: TryLimits<'_, E>,
    mut operation: impl FnMut() -> F,
) -> Result<T, RetryError<E>>
where
    F: Future<Output = Result<T, E>>,
    K: Classify<E>,
    N: Notify<E>,
    P: Inspect<T>,
{
    drive!(state, timer, limits, |_| operation())
}
