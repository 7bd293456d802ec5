//! The runner for threads.

use std::future::Ready;
use std::ops::ControlFlow;

use super::state::RunState;
use super::{Classify, Inspect, Notify, OperationError, Retry, RetryError, Try, Wait};

impl<K, N, P> Retry<'_, K, N, P> {
    /// Calls `operation` until it succeeds or the run gives up, and waits on `clock` between the tries.
    ///
    /// # Errors
    /// With the last error and the reason to give up.
    pub fn run_with<T, E, M>(
        self,
        clock: &impl Wait,
        operation: impl FnMut(Try) -> Result<T, E>,
    ) -> Result<T, RetryError<E>>
    where
        E: OperationError<M>,
        K: Classify<E>,
        N: Notify<E, Done = Ready<()>>,
        P: Inspect<T>,
    {
        let state = RunState::new(self, clock.now());
        drive(state, clock, operation)
    }
}

pub(super) fn drive<T, E, K, N, P>(
    mut state: RunState<'_, K, N, P, E>,
    clock: &impl Wait,
    mut operation: impl FnMut(Try) -> Result<T, E>,
) -> Result<T, RetryError<E>>
where
    K: Classify<E>,
    N: Notify<E, Done = Ready<()>>,
    P: Inspect<T>,
{
    loop {
        // The operation keeps the limit of its try, which a thread cannot enforce.
        let (attempt, _) = state.begin(clock.now())?;
        let result = operation(attempt);
        match state.finished(result, clock.now()) {
            ControlFlow::Break(result) => return result,
            ControlFlow::Continue((_, delay)) if delay.is_zero() => {}
            ControlFlow::Continue((_, delay)) => clock.wait(delay, state.cancel()),
        }
    }
}
