//! Running on a thread.

use std::ops::ControlFlow;

use super::course::Course;
use super::{Classify, Notify, Retry, RetryError, Wait};

impl<K, N> Retry<'_, K, N> {
    /// Calls `operation` until it succeeds or there is a reason to stop, waiting on `clock` in between.
    ///
    /// # Errors
    /// With the last error, and the reason why there was no further try.
    pub fn run_with<T, E>(
        self,
        clock: &impl Wait,
        mut operation: impl FnMut(u32) -> Result<T, E>,
    ) -> Result<T, RetryError<E>>
    where
        K: Classify<E>,
        N: Notify<E>,
    {
        let mut course = Course::new(self, clock.now());
        loop {
            let leave = course.begin(clock.now())?;
            let result = operation(leave.number);
            match course.done(leave, result, clock.now()) {
                ControlFlow::Break(result) => return result,
                ControlFlow::Continue(delay) if delay.is_zero() => {}
                ControlFlow::Continue(delay) => clock.wait(delay, course.cancel()),
            }
        }
    }
}
