//! Running in a future, whatever polls it.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::session::Session;
use super::{Cancel, Classify, Notify, Retry, RetryError, Retrying, Sleep};
use crate::GiveUp;

impl<K, N> Retry<'_, K, N> {
    /// Calls `operation` and awaits it until it succeeds or there is a reason to stop, sleeping on `timer` in between.
    ///
    /// The operation is an async closure, which may borrow mutably from around it, or a closure that returns a future.
    /// The run is `Send` when what it is made of is, so it can be spawned; except that the compiler cannot yet prove it for an async
    /// closure that borrows mutably from around it (rust-lang/rust#110338). Such state goes into a mutex, or the run is
    /// awaited where it is.
    ///
    /// Dropping the future ends the run at once, the try under way included; nothing is left behind.
    ///
    /// # Errors
    /// With the last error, and the reason why there was no further try.
    pub async fn run_async_with<T, E>(
        mut self,
        timer: &impl Sleep,
        mut operation: impl AsyncFnMut(u32) -> Result<T, E>,
    ) -> Result<T, RetryError<E>>
    where
        K: Classify<E>,
        N: Notify<E>,
    {
        let mut session = Session::new(self.rng.clone(), timer.now());
        let mut last = None;
        loop {
            let now = timer.now();
            let leave =
                if self.is_cancelled() { Err(GiveUp::Cancelled) } else { session.begin(&self.rules, now) };
            let leave = match leave {
                Ok(leave) => leave,
                Err(reason) => return Err(session.error(last, reason, now)),
            };
            let error = match operation(leave.number).await {
                Ok(value) => {
                    session.succeeded(&self.rules, leave, timer.now());
                    return Ok(value);
                }
                Err(error) => error,
            };
            let (tries, now) = (leave.number, timer.now());
            let delay = match session.failed(&self.rules, leave, &self.classify.classify(&error), now) {
                Ok(delay) => delay,
                Err(reason) => return Err(session.error(Some(error), reason, now)),
            };
            let elapsed = session.elapsed(now);
            self.notify.notify(&Retrying { error: &error, tries, delay, elapsed });
            last = Some(error);
            if !delay.is_zero() {
                sleep(timer, delay, self.cancel).await;
            }
        }
    }
}

/// Ready when `delay` has passed or `cancel` is given.
async fn sleep(timer: &impl Sleep, delay: Duration, cancel: Option<&Cancel>) {
    let mut sleep = pin!(timer.sleep(delay));
    let Some(cancel) = cancel else { return sleep.await };
    let mut cancelled = pin!(cancel.cancelled());
    poll_fn(|cx| match cancelled.as_mut().poll(cx) {
        Poll::Ready(()) => Poll::Ready(()),
        Poll::Pending => sleep.as_mut().poll(cx),
    })
    .await;
}
