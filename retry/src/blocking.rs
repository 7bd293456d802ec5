//! The standard library's clock, and retrying on it. Feature `blocking`.
//!
//! All [`StdClock`]s, and all timers of feature `tokio`, have the same zero, so that runs on both can share budgets and
//! breakers.
//!
//! A thread cannot end a call that runs. An operation with limits therefore gets the [`Try`], whose
//! [`time_left`](Try::time_left) it passes on; see [`Retry`].
//!
//! On `wasm32-unknown-unknown` the standard library has no clock and no sleep: [`StdClock`] panics there.

use std::future::Ready;
use std::time::Duration;

use crate::run::{Cancel, Classify, Clock, Inspect, Notify, OperationError, Retry, RetryError, Try, Wait};
use crate::{Policy, zero};

/// The standard library's monotonic clock.
///
/// ```
/// use retry::{blocking::StdClock, run::Clock};
///
/// let before = StdClock.now();
/// assert!(StdClock.now() >= before);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct StdClock;

impl Clock for StdClock {
    fn now(&self) -> Duration {
        zero::zero().elapsed()
    }
}

impl Wait for StdClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock module of the crate")]
    fn wait(&self, delay: Duration, cancel: Option<&Cancel>) {
        match cancel {
            Some(cancel) => cancel.wait_timeout(delay),
            None => std::thread::sleep(delay),
        }
    }
}

impl<K, N, P> Retry<'_, K, N, P> {
    /// [`run_with`](Self::run_with) the standard library's clock.
    ///
    /// # Errors
    /// With the last error and the reason to give up.
    pub fn run<T, E, M>(self, operation: impl FnMut(Try) -> Result<T, E>) -> Result<T, RetryError<E>>
    where
        E: OperationError<M>,
        K: Classify<E>,
        N: Notify<E, Done = Ready<()>>,
        P: Inspect<T>,
    {
        self.run_with(&StdClock, operation)
    }
}

/// Calls `operation` until it succeeds or `policy` gives up. Every error is retried.
///
/// ```
/// use retry::Policy;
/// use std::time::Duration;
///
/// let policy = Policy::fixed(Duration::from_millis(1)).build()?;
/// let mut answers = [Err("busy"), Err("busy"), Ok(7)].into_iter();
/// assert_eq!(retry::blocking::retry(&policy, || answers.next().unwrap()), Ok(7));
/// # Ok::<(), retry::PolicyError>(())
/// ```
///
/// # Errors
/// With the last error and the reason to give up.
pub fn retry<T, E: OperationError<M>, M>(
    policy: &Policy,
    mut operation: impl FnMut() -> Result<T, E>,
) -> Result<T, RetryError<E>> {
    Retry::new(policy).run(|_| operation())
}
