//! Running on a thread.

use super::session::Session;
use super::{Classify, Notify, Retry, RetryError, Retrying, Wait};
use crate::GiveUp;

impl<K, N> Retry<'_, K, N> {
    /// Calls `operation` until it succeeds or there is a reason to stop, waiting on `clock` in between.
    ///
    /// # Errors
    /// With the last error, and the reason why there was no further try.
    pub fn run_with<T, E>(
        mut self,
        clock: &impl Wait,
        mut operation: impl FnMut(u32) -> Result<T, E>,
    ) -> Result<T, RetryError<E>>
    where
        K: Classify<E>,
        N: Notify<E>,
    {
        let mut session = Session::new(self.rng.clone(), clock.now());
        let mut last = None;
        loop {
            let now = clock.now();
            let leave =
                if self.is_cancelled() { Err(GiveUp::Cancelled) } else { session.begin(&self.rules, now) };
            let leave = match leave {
                Ok(leave) => leave,
                Err(reason) => return Err(session.error(last, reason, now)),
            };
            let error = match operation(leave.number) {
                Ok(value) => {
                    session.succeeded(&self.rules, leave, clock.now());
                    return Ok(value);
                }
                Err(error) => error,
            };
            let (tries, now) = (leave.number, clock.now());
            let delay = match session.failed(&self.rules, leave, &self.classify.classify(&error), now) {
                Ok(delay) => delay,
                Err(reason) => return Err(session.error(Some(error), reason, now)),
            };
            let elapsed = session.elapsed(now);
            self.notify.notify(&Retrying { error: &error, tries, delay, elapsed });
            last = Some(error);
            if !delay.is_zero() {
                clock.wait(delay, self.cancel);
            }
        }
    }
}
