//! Tokio's clock, and retrying on it. Feature `tokio`.
//!
//! Tokio's clock can be paused, so tests of retrying code take no time.

use std::future::Future;
use std::time::Duration;

use ::tokio::time::{self, Instant};

use crate::run::{Classify, Clock, Inspect, Notify, OperationError, Retry, RetryError, Sleep, Try};
use crate::{Policy, zero};

/// Tokio's monotonic clock. All timers, and all clocks of feature `blocking`, have the same zero.
///
/// ```
/// use retry::{run::{Clock, Sleep}, tokio_time::TokioTimer};
/// use std::time::Duration;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// let before = TokioTimer.now();
/// TokioTimer.sleep(Duration::from_secs(60)).await; // no time at all on a paused clock
/// assert!(TokioTimer.now() >= before + Duration::from_secs(60));
/// # });
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioTimer;

impl Clock for TokioTimer {
    #[expect(clippy::disallowed_methods, reason = "this is the clock module of the crate for tokio")]
    fn now(&self) -> Duration {
        // Converted to the standard library's clock: tokio's own is paused in tests, each of which may start its own.
        Instant::now().into_std().saturating_duration_since(zero::zero())
    }
}

impl Sleep for TokioTimer {
    type Sleep = time::Sleep;

    #[expect(clippy::disallowed_methods, reason = "this is the clock module of the crate for tokio")]
    fn sleep(&self, delay: Duration) -> time::Sleep {
        time::sleep(delay)
    }
}

impl<K, N, P, C: Future<Output = ()>> Retry<'_, K, N, P, C> {
    /// [`run_async_with`](Self::run_async_with) tokio's clock. Needs a runtime with time enabled.
    ///
    /// # Errors
    /// With the last error and the reason to give up.
    pub async fn run_tokio<T, E, F, M>(self, operation: impl FnMut(Try) -> F) -> Result<T, RetryError<E>>
    where
        F: Future<Output = Result<T, E>>,
        E: OperationError<M>,
        K: Classify<E>,
        N: Notify<E>,
        P: Inspect<T>,
    {
        self.run_async_with(&TokioTimer, operation).await
    }

    /// [`run_async_mut_with`](Self::run_async_mut_with) tokio's clock, for async closures that change what they borrow.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// let policy = retry::Policy::default();
    /// let mut tried = Vec::new();
    /// let result = retry::run::Retry::new(&policy)
    ///     .run_tokio_mut(async |attempt| {
    ///         tried.push(attempt.number);
    ///         if attempt.number < 3 { Err("busy") } else { Ok(7) }
    ///     })
    ///     .await;
    /// assert_eq!((result, tried), (Ok(7), vec![1, 2, 3]));
    /// # });
    /// ```
    ///
    /// # Errors
    /// With the last error and the reason to give up.
    pub async fn run_tokio_mut<T, E, M>(
        self,
        operation: impl AsyncFnMut(Try) -> Result<T, E>,
    ) -> Result<T, RetryError<E>>
    where
        E: OperationError<M>,
        K: Classify<E>,
        N: Notify<E>,
        P: Inspect<T>,
    {
        self.run_async_mut_with(&TokioTimer, operation).await
    }
}

/// Calls and awaits `operation` until it succeeds or `policy` gives up. Every error is retried.
///
/// ```
/// use retry::Policy;
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use std::time::Duration;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// let policy = Policy::fixed(Duration::from_secs(60)).build().unwrap();
/// let tries = AtomicU32::new(0);
/// let result = retry::tokio_time::retry(&policy, async || match tries.fetch_add(1, Ordering::Relaxed) {
///     0 | 1 => Err("busy"),
///     _ => Ok(7),
/// });
/// assert_eq!(result.await, Ok(7));
/// # });
/// ```
///
/// # Errors
/// With the last error and the reason to give up.
pub async fn retry<T, E, F, M>(policy: &Policy, mut operation: impl FnMut() -> F) -> Result<T, RetryError<E>>
where
    F: Future<Output = Result<T, E>>,
    E: OperationError<M>,
{
    Retry::new(policy).run_tokio(|_| operation()).await
}
