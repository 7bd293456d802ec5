//! [`RunState`]: the state of one run, without the waiting. Each runner is this loop:
//!
//! ```text
//!   loop { begin? ── operation(number) ── finished ──► return, or wait and repeat }
//! ```

use std::ops::ControlFlow;
use std::time::Duration;

use super::session::Session;
use super::{Cancel, Classify, Notify, Retry, RetryError, Retrying};
use crate::GiveUp;
use crate::breaker::BreakerPermit;

pub(super) struct RunState<'a, K, N, E> {
    retry: Retry<'a, K, N>,
    session: Session,
    permit: Option<BreakerPermit<'a>>,
    last: Option<E>,
}

impl<'a, K: Classify<E>, N: Notify<E>, E> RunState<'a, K, N, E> {
    pub(super) fn new(retry: Retry<'a, K, N>, now: Duration) -> Self {
        let session = Session::new(retry.rng.clone(), now);
        Self { retry, session, permit: None, last: None }
    }

    pub(super) const fn cancel(&self) -> Option<&'a Cancel> {
        self.retry.cancel
    }

    /// The number of the next try, or the error that ends the run.
    pub(super) fn begin(&mut self, now: Duration) -> Result<u32, RetryError<E>> {
        let permit = match self.retry.cancel {
            Some(cancel) if cancel.is_cancelled() => Err(GiveUp::Cancelled),
            _ => self.session.begin(&self.retry.rules, now),
        };
        match permit {
            Ok(permit) => {
                self.permit = permit;
                Ok(self.session.tries())
            }
            Err(reason) => {
                self.session.abandoned(&self.retry.rules);
                Err(self.session.error(self.last.take(), reason, now))
            }
        }
    }

    /// Takes the result of a try: the run ends with a result, or continues after a delay.
    pub(super) fn finished<T>(
        &mut self,
        result: Result<T, E>,
        now: Duration,
    ) -> ControlFlow<Result<T, RetryError<E>>, Duration> {
        let Self { retry, session, permit, last } = self;
        let error = match result {
            Ok(value) => {
                session.succeeded(&retry.rules, permit.take(), now);
                return ControlFlow::Break(Ok(value));
            }
            Err(error) => error,
        };
        match session.failed(&retry.rules, permit.take(), &retry.classify.classify(&error), now) {
            Ok(delay) => {
                let (tries, elapsed) = (session.tries(), session.elapsed(now));
                retry.notify.notify(&Retrying { error: &error, tries, delay, elapsed });
                *last = Some(error);
                ControlFlow::Continue(delay)
            }
            Err(reason) => ControlFlow::Break(Err(session.error(Some(error), reason, now))),
        }
    }
}
