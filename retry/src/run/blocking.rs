//! The runner for threads.

use std::ops::ControlFlow;

use super::state::RunState;
use super::{Classify, Notify, Retry, RetryError, Wait};

impl<K, N> Retry<'_, K, N> {
    /// Calls `operation` until it succeeds or the run gives up, and waits on `clock` between the tries.
    ///
    /// # Errors
    /// With the last error and the reason to give up.
    pub fn run_with<T, E>(
        self,
        clock: &impl Wait,
        mut operation: impl FnMut(u32) -> Result<T, E>,
    ) -> Result<T, RetryError<E>>
    where
        K: Classify<E>,
        N: Notify<E>,
    {
        let mut state = RunState::new(self, clock.now());
        loop {
            let result = operation(state.begin(clock.now())?);
            match state.finished(result, clock.now()) {
                ControlFlow::Break(result) => return result,
                ControlFlow::Continue(delay) if delay.is_zero() => {}
                ControlFlow::Continue(delay) => clock.wait(delay, state.cancel()),
            }
        }
    }
}
