//! Running in a future, whatever polls it.
//!
//! Two runners with one body. The first takes a closure that returns a future, of one type, so the compiler
//! can see that the run is `Send` and lets it be spawned. The second takes an async closure that lends what
//! it has borrowed to each of its futures; these are of a type per call, and for those the compiler cannot
//! yet prove it (rust-lang/rust#110338). Only the second would do for everything, if it were not for that.

use std::future::{Future, poll_fn};
use std::ops::ControlFlow;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::course::Course;
use super::{Cancel, Classify, Notify, Retry, RetryError, Sleep};

impl<K, N> Retry<'_, K, N> {
    /// Calls `operation` and awaits it until it succeeds or there is a reason to stop, sleeping on `timer` in
    /// between.
    ///
    /// Any closure that returns a future will do, async ones too, as long as they neither change what they
    /// borrow nor own (`async move`) what their futures borrow; for those that do, there is
    /// [`run_async_mut_with`](Self::run_async_mut_with). The run is `Send` if its parts are.
    ///
    /// Dropping the future ends the run at once, the try under way included; nothing is left behind.
    ///
    /// # Errors
    /// With the last error, and the reason why there was no further try.
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
        let mut course = Course::new(self, timer.now());
        loop {
            let leave = course.begin(timer.now())?;
            let result = operation(leave.number).await;
            match course.done(leave, result, timer.now()) {
                ControlFlow::Break(result) => return result,
                ControlFlow::Continue(delay) => sleep(timer, delay, course.cancel()).await,
            }
        }
    }

    /// As [`run_async_with`](Self::run_async_with), for an async closure that changes what it has borrowed
    /// from around it. Such a run can be awaited, but not spawned on a runtime that wants `Send`.
    ///
    /// # Errors
    /// With the last error, and the reason why there was no further try.
    pub async fn run_async_mut_with<T, E>(
        self,
        timer: &impl Sleep,
        mut operation: impl AsyncFnMut(u32) -> Result<T, E>,
    ) -> Result<T, RetryError<E>>
    where
        K: Classify<E>,
        N: Notify<E>,
    {
        let mut course = Course::new(self, timer.now());
        loop {
            let leave = course.begin(timer.now())?;
            let result = operation(leave.number).await;
            match course.done(leave, result, timer.now()) {
                ControlFlow::Break(result) => return result,
                ControlFlow::Continue(delay) => sleep(timer, delay, course.cancel()).await,
            }
        }
    }
}

/// Ready when `delay` has passed or `cancel` is given; without a delay, at once, whatever the timer makes of
/// zero.
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
