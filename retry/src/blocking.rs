//! The standard library's clock, and retrying on it. Feature `blocking`.
//!
//! Only this module reads the standard clock and puts threads to sleep; the others take the time as an argument. All
//! [`StdClock`]s have the same zero, so that runs can share budgets and breakers.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::Policy;
use crate::run::{Cancel, Classify, Clock, Notify, Retry, RetryError, Wait};

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
    #[expect(clippy::disallowed_methods, reason = "this is the clock module of the crate")]
    fn now(&self) -> Duration {
        static ZERO: OnceLock<Instant> = OnceLock::new();
        ZERO.get_or_init(Instant::now).elapsed()
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

impl<K, N> Retry<'_, K, N> {
    /// [`run_with`](Self::run_with) the standard library's clock.
    ///
    /// # Errors
    /// With the last error and the reason to give up.
    pub fn run<T, E>(self, operation: impl FnMut(u32) -> Result<T, E>) -> Result<T, RetryError<E>>
    where
        K: Classify<E>,
        N: Notify<E>,
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
pub fn retry<T, E>(policy: &Policy, mut operation: impl FnMut() -> Result<T, E>) -> Result<T, RetryError<E>> {
    Retry::new(policy).run(|_| operation())
}
