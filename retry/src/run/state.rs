//! [`RunState`]: the state of one run, without the waiting. Each runner is this loop:
//!
//! ```text
//!   loop { begin? ── operation(number) ── finished ──► return, or wait and repeat }
//! ```

use std::error::Error;
use std::ops::ControlFlow;
use std::time::Duration;

use super::error::Rare;
use super::session::{Session, TryLimit};
use super::{Cancel, Classify, Ended, Inspect, Notify, OperationError, Retry, RetryError, Retrying, Try};
use crate::breaker::BreakerPermit;
use crate::{Failure, GiveUp};

pub(super) struct RunState<'a, K, N, P, E> {
    retry: Retry<'a, K, N, P>,
    session: Session,
    permit: Option<BreakerPermit<'a>>,
    last: Option<E>,
    failure: Option<Failure>,
    /// Why the last try was ended, if it was.
    cut_by: Option<GiveUp>,
    source: fn(&E) -> Option<&(dyn Error + 'static)>,
}

/// The run ends with a result, or continues after the notification and a delay.
pub(super) type Next<T, E, D> = ControlFlow<Result<T, RetryError<E>>, (D, Duration)>;

impl<'a, K: Classify<E>, N: Notify<E>, P, E> RunState<'a, K, N, P, E> {
    pub(super) fn new<M>(retry: Retry<'a, K, N, P>, now: Duration) -> Self
    where
        E: OperationError<M>,
    {
        Self::without_source(retry, now, E::source)
    }

    pub(super) fn without_source(
        retry: Retry<'a, K, N, P>,
        now: Duration,
        source: fn(&E) -> Option<&(dyn Error + 'static)>,
    ) -> Self {
        let session = Session::new(retry.rng.clone(), now);
        Self { retry, session, permit: None, last: None, failure: None, cut_by: None, source }
    }

    pub(super) const fn cancel(&self) -> Option<&'a Cancel> {
        self.retry.cancel
    }

    /// The next try with its limit, or the error that ends the run.
    pub(super) fn begin(&mut self, now: Duration) -> Result<(Try, Option<TryLimit>), RetryError<E>> {
        let permit = match self.retry.cancel {
            Some(cancel) if cancel.is_cancelled() => Err(GiveUp::Cancelled),
            _ => self.session.begin(&self.retry.rules, now),
        };
        self.permit = permit.map_err(|reason| self.end(reason, now))?;
        let limit = self.session.try_limit(&self.retry.rules, now);
        Ok((Try::new(self.session.tries, limit), limit))
    }

    /// Ends the run without a further try.
    pub(super) fn end(&mut self, reason: GiveUp, now: Duration) -> RetryError<E> {
        let (tries, elapsed) = (self.session.tries, self.session.elapsed(now));
        let (last, failure, cut_by) = (self.last.take(), self.failure, self.cut_by);
        let (error, ended) = (last.as_ref(), Some(reason));
        self.retry.notify.ended(&Ended { error, failure, cut_by, reason: ended, tries, elapsed });
        let kind = failure.map(|failure| failure.kind());
        let rare = Rare::new(failure.and_then(|failure| failure.malformed_hint()), cut_by);
        RetryError { last, kind, rare, reason, tries, elapsed, source: self.source }
    }

    /// Takes the result of a try.
    pub(super) fn finished<T>(&mut self, result: Result<T, E>, now: Duration) -> Next<T, E, N::Done>
    where
        P: Inspect<T>,
    {
        let error = match result {
            Ok(value) => match self.retry.inspect.inspect(&value) {
                None => {
                    self.session.succeeded(&self.retry.rules, self.permit.take(), now);
                    return self.returned(value, None, now);
                }
                Some(failure) => return self.pending(value, failure.with_answered(true), now),
            },
            Err(error) => error,
        };
        let failure = self.retry.classify.classify(&error);
        self.failed(Some(error), None, failure, now)
    }

    /// Takes a try that a limit ended.
    pub(super) fn timed_out<T>(&mut self, cut_by: GiveUp, now: Duration) -> Next<T, E, N::Done> {
        self.failed(None, Some(cut_by), Failure::timeout(), now)
    }

    /// Ends the run while a try is running.
    pub(super) fn cancelled(&mut self, now: Duration) -> RetryError<E> {
        self.permit = None;
        (self.last, self.cut_by) = (None, Some(GiveUp::Cancelled));
        self.end(GiveUp::Cancelled, now)
    }

    fn returned<T>(&mut self, value: T, reason: Option<GiveUp>, now: Duration) -> Next<T, E, N::Done> {
        let (tries, elapsed) = (self.session.tries, self.session.elapsed(now));
        self.retry.notify.ended(&Ended { error: None, failure: None, cut_by: None, reason, tries, elapsed });
        ControlFlow::Break(Ok(value))
    }

    fn pending<T>(&mut self, value: T, failure: Failure, now: Duration) -> Next<T, E, N::Done> {
        let Self { retry, session, permit, .. } = self;
        (self.last, self.failure, self.cut_by) = (None, None, None);
        match session.pending(&retry.rules, permit.take(), &failure, now) {
            Ok(delay) => self.again(failure, delay, now),
            Err(reason) => self.returned(value, Some(reason), now),
        }
    }

    fn failed<T>(
        &mut self,
        error: Option<E>,
        cut_by: Option<GiveUp>,
        failure: Failure,
        now: Duration,
    ) -> Next<T, E, N::Done> {
        let Self { retry, session, permit, .. } = self;
        (self.last, self.failure, self.cut_by) = (error, Some(failure), cut_by);
        match session.failed(&retry.rules, permit.take(), &failure, now) {
            Ok(delay) => self.again(failure, delay, now),
            Err(reason) => ControlFlow::Break(Err(self.end(reason, now))),
        }
    }

    fn again<T>(&mut self, failure: Failure, delay: Duration, now: Duration) -> Next<T, E, N::Done> {
        let Self { retry, session, last, cut_by, .. } = self;
        let (error, tries, elapsed) = (last.as_ref(), session.tries, session.elapsed(now));
        let retrying = Retrying { error, failure, cut_by: *cut_by, tries, delay, elapsed };
        ControlFlow::Continue((retry.notify.notify(&retrying), delay))
    }
}

/// Returns the tokens for a retry that a dropped future never makes.
impl<K, N, P, E> Drop for RunState<'_, K, N, P, E> {
    fn drop(&mut self) {
        self.session.abandoned(&self.retry.rules);
    }
}
