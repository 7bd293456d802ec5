//! [`Course`]: one run on its way. All of it but the waiting, so that each runner is the loop that it looks
//! like:
//!
//! ```text
//!   loop { leave = begin? ── operation(leave.number) ── done ──► finished, or wait and again }
//! ```

use std::ops::ControlFlow;
use std::time::Duration;

use super::session::{Leave, Session};
use super::{Cancel, Classify, Notify, Retry, RetryError, Retrying};
use crate::GiveUp;

pub(super) struct Course<'a, K, N, E> {
    retry: Retry<'a, K, N>,
    session: Session,
    last: Option<E>,
}

impl<'a, K: Classify<E>, N: Notify<E>, E> Course<'a, K, N, E> {
    pub(super) fn new(retry: Retry<'a, K, N>, now: Duration) -> Self {
        let session = Session::new(retry.rng.clone(), now);
        Self { retry, session, last: None }
    }

    pub(super) const fn cancel(&self) -> Option<&'a Cancel> {
        self.retry.cancel
    }

    /// Leave for the next try, or the end.
    pub(super) fn begin(&mut self, now: Duration) -> Result<Leave<'a>, RetryError<E>> {
        let leave = match self.retry.cancel {
            Some(cancel) if cancel.is_cancelled() => Err(GiveUp::Cancelled),
            _ => self.session.begin(&self.retry.rules, now),
        };
        leave.map_err(|reason| {
            self.session.abandoned(&self.retry.rules);
            self.session.error(self.last.take(), reason, now)
        })
    }

    /// What a try came to: the end, or the time to wait before the next.
    pub(super) fn done<T>(
        &mut self,
        leave: Leave<'a>,
        result: Result<T, E>,
        now: Duration,
    ) -> ControlFlow<Result<T, RetryError<E>>, Duration> {
        let Self { retry, session, last } = self;
        let error = match result {
            Ok(value) => {
                session.succeeded(&retry.rules, leave, now);
                return ControlFlow::Break(Ok(value));
            }
            Err(error) => error,
        };
        let tries = leave.number;
        match session.failed(&retry.rules, leave, &retry.classify.classify(&error), now) {
            Ok(delay) => {
                let elapsed = session.elapsed(now);
                retry.notify.notify(&Retrying { error: &error, tries, delay, elapsed });
                *last = Some(error);
                ControlFlow::Continue(delay)
            }
            Err(reason) => ControlFlow::Break(Err(session.error(Some(error), reason, now))),
        }
    }
}
