//! [`RunState`]: the state of one run, without the waiting. Each runner is this loop:
//!
//! ```text
//!   loop { begin? ── operation(number) ── finished ──► return, or wait and repeat }
//! ```

use std::error::Error;
use std::ops::ControlFlow;
use std::time::Duration;

use super::session::Session;
use super::{Cancel, Classify, Ended, Inspect, Notify, OperationError, Retry, RetryError, Retrying};
use crate::breaker::BreakerPermit;
use crate::{Failure, GiveUp};

pub(super) struct RunState<'a, K, N, P, E> {
    retry: Retry<'a, K, N, P>,
    session: Session,
    permit: Option<BreakerPermit<'a>>,
    last: Option<E>,
    failure: Option<Failure>,
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
        Self { retry, session, permit: None, last: None, failure: None, source }
    }

    pub(super) const fn cancel(&self) -> Option<&'a Cancel> {
        self.retry.cancel
    }

    /// The time until the deadline.
    pub(super) fn time_left(&self, now: Duration) -> Option<Duration> {
        self.session.time_left(&self.retry.rules, now)
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
            Err(reason) => Err(self.end(reason, now)),
        }
    }

    /// Ends the run without a further try.
    pub(super) fn end(&mut self, reason: GiveUp, now: Duration) -> RetryError<E> {
        let (tries, elapsed) = (self.session.tries(), self.session.elapsed(now));
        let last = self.last.take();
        self.retry.notify.ended(&Ended { error: last.as_ref(), reason: Some(reason), tries, elapsed });
        let (kind, malformed) =
            (self.failure.map(|f| f.kind()), self.failure.and_then(|f| f.malformed_hint()));
        RetryError { last, kind, malformed, reason, tries, elapsed, source: self.source }
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
                    return self.succeeded(value, now);
                }
                // A value that asks for another try is no failure of the service.
                Some(failure) => match self.failed(&failure.with_answered(true), None, now) {
                    Ok((notified, delay)) => return ControlFlow::Continue((notified, delay)),
                    Err(_) => return self.succeeded(value, now),
                },
            },
            Err(error) => error,
        };
        let failure = self.retry.classify.classify(&error);
        self.failed_with(error, failure, now)
    }

    fn succeeded<T>(&mut self, value: T, now: Duration) -> Next<T, E, N::Done> {
        let (tries, elapsed) = (self.session.tries(), self.session.elapsed(now));
        self.retry.notify.ended(&Ended { error: None, reason: None, tries, elapsed });
        ControlFlow::Break(Ok(value))
    }

    /// Takes a failed try with its classification.
    pub(super) fn failed_with<T>(
        &mut self,
        error: E,
        failure: Failure,
        now: Duration,
    ) -> Next<T, E, N::Done> {
        self.failure = Some(failure);
        let next = self.failed(&failure, Some(&error), now);
        self.last = Some(error);
        match next {
            Ok((notified, delay)) => ControlFlow::Continue((notified, delay)),
            Err(reason) => ControlFlow::Break(Err(self.end(reason, now))),
        }
    }

    fn failed(
        &mut self,
        failure: &Failure,
        error: Option<&E>,
        now: Duration,
    ) -> Result<(N::Done, Duration), GiveUp> {
        let Self { retry, session, permit, .. } = self;
        let delay = session.failed(&retry.rules, permit.take(), failure, now)?;
        let (tries, elapsed) = (session.tries(), session.elapsed(now));
        Ok((retry.notify.notify(&Retrying { error, failure: *failure, tries, delay, elapsed }), delay))
    }
}

/// Returns the tokens for a retry that a dropped future never makes.
impl<K, N, P, E> Drop for RunState<'_, K, N, P, E> {
    fn drop(&mut self) {
        self.session.abandoned(&self.retry.rules);
    }
}
