//! The runners for futures, on any executor.
//!
//! There are two, with one body. The first takes a closure that returns futures of one type, so the compiler can prove the
//! run `Send` and the run can be spawned. The second takes an async closure, whose futures borrow from it and have a type
//! per call; for those the compiler cannot prove `Send` yet (rust-lang/rust#110338). Without that bug the second would do.

use std::future::{Future, poll_fn};
use std::ops::ControlFlow;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::state::RunState;
use super::{Cancel, Classify, Notify, Retry, RetryError, Sleep};

/// The body of both runners. A macro, because no trait bound covers both kinds of closure.
macro_rules! run {
    ($retry:ident, $timer:ident, $operation:ident) => {{
        let mut state = RunState::new($retry, $timer.now());
        loop {
            let result = $operation(state.begin($timer.now())?).await;
            match state.finished(result, $timer.now()) {
                ControlFlow::Break(result) => return result,
                ControlFlow::Continue(delay) => sleep($timer, delay, state.cancel()).await,
            }
        }
    }};
}

impl<K, N> Retry<'_, K, N> {
    /// Calls and awaits `operation` until it succeeds or the run gives up, and sleeps on `timer` between the tries.
    ///
    /// `operation` is any closure that returns a future, or an async closure that neither changes what it borrows nor owns
    /// (`async move`) what its futures borrow; for such closures use [`run_async_mut_with`](Self::run_async_mut_with). The
    /// run is `Send` if its parts are.
    ///
    /// Dropping the future ends the run at once, with the current try.
    ///
    /// # Errors
    /// With the last error and the reason to give up.
    pub async fn run_async_with<T, E, F>(
        self,
        timer: &impl Sleep,
        mut operation: impl FnMut(u32) -> F,
    ) -> Result<T, RetryError<E>>
    where
        F: Future<Output = Result<T, E>>,
        K: Classify<E>,
        N: Notify<E>,
    {
        run!(self, timer, operation)
    }

    /// As [`run_async_with`](Self::run_async_with), for an async closure that changes what it borrows. Such a run can be
    /// awaited, but not spawned on a runtime that wants `Send`.
    ///
    /// # Errors
    /// With the last error and the reason to give up.
    pub async fn run_async_mut_with<T, E>(
        self,
        timer: &impl Sleep,
        mut operation: impl AsyncFnMut(u32) -> Result<T, E>,
    ) -> Result<T, RetryError<E>>
    where
        K: Classify<E>,
        N: Notify<E>,
    {
        run!(self, timer, operation)
    }
}

/// Sleeps until `delay` has passed or `cancel` is set. A zero delay never reaches the timer, which might yield for it.
async fn sleep(timer: &impl Sleep, delay: Duration, cancel: Option<&Cancel>) {
    if delay.is_zero() {
        return;
    }
    let mut sleep = pin!(timer.sleep(delay));
    let Some(cancel) = cancel else { return sleep.await };
    let mut cancelled = pin!(cancel.cancelled());
    poll_fn(|cx| match cancelled.as_mut().poll(cx) {
        Poll::Ready(()) => Poll::Ready(()),
        Poll::Pending => sleep.as_mut().poll(cx),
    })
    .await;
}
