//! [`Retryable`]: retrying as a method of the closure or function to retry.
//!
//! [`Call`] is [`Retry`] with an operation. It knows the types of value and error, so closures need no type annotations, and
//! it returns the operation's own error instead of a [`RetryError`](super::RetryError).

use std::future::Future;
use std::marker::PhantomData;
use std::time::Duration;

use super::future::TryLimits;
use super::state::RunState;
use super::{
    Accept, All, By, Cancel, Classify, Ended, Inspect, Notify, OnEnd, Pending, Retry, RetryError, Retrying,
    Silent, Sleep, Tell, TellAsync, Wait, blocking, future,
};
use crate::breaker::Breaker;
use crate::budget::Budget;
use crate::{Failure, GiveUp, Policy};

/// The marker of operations that return a `Result`.
#[derive(Debug)]
pub enum Blocking {}

/// The marker of operations that return a future.
#[derive(Debug)]
pub enum Async {}

/// Functions and closures without arguments that can be retried: those that return a `Result`, and those that return a
/// future of one. The compiler infers the marker `M`.
///
/// ```
/// # #[cfg(feature = "tokio")]
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// use retry::{Policy, Retryable as _};
/// use std::time::Duration;
///
/// async fn fetch() -> anyhow::Result<String> {
///     Ok("hello".to_owned())
/// }
///
/// let policy = Policy::default();
/// let text = fetch.retry(&policy).await?;
/// let text = fetch
///     .retry(&policy)
///     .when(|err| !err.is::<std::num::ParseIntError>())
///     .notify(|r| eprintln!("{r}"))
///     .try_timeout(Duration::from_secs(5))
///     .await?;
/// # Ok::<(), anyhow::Error>(())
/// # }).unwrap();
/// # #[cfg(feature = "blocking")] {
/// # use retry::{Policy, Retryable as _};
/// # let policy = Policy::default();
/// // On a thread: `call` instead of `await`.
/// let number: i32 = (|| "42".parse()).retry(&policy).call()?;
/// # assert_eq!(number, 42);
/// # }
/// # Ok::<(), std::num::ParseIntError>(())
/// ```
pub trait Retryable<M>: Sized {
    /// The operation's value.
    type Value;
    /// The operation's error.
    type Error;

    /// Retries by `policy`: for futures await the [`Call`], on a thread end it with [`call`](Call::call).
    fn retry(self, policy: &Policy) -> Call<'_, Self, M, Self::Value, Self::Error> {
        Call {
            retry: Retry::new(policy),
            operation: self,
            limits: TryLimits::none(),
            refused: None,
            types: PhantomData,
        }
    }
}

impl<F: FnMut() -> Result<T, E>, T, E> Retryable<Blocking> for F {
    type Value = T;
    type Error = E;
}

impl<F: FnMut() -> Fut, Fut: Future<Output = Result<T, E>>, T, E> Retryable<Async> for F {
    type Value = T;
    type Error = E;
}

/// An operation with its retries, made by [`Retryable::retry`]. The settings are those of [`Retry`].
#[must_use = "a call starts with `await`, `call` or `run_with`"]
pub struct Call<'a, O, M, T, E, K = All, N = Silent, P = Accept> {
    retry: Retry<'a, K, N, P>,
    operation: O,
    limits: TryLimits<'a, E>,
    refused: Option<fn(GiveUp) -> E>,
    types: PhantomData<fn() -> (M, T)>,
}

impl<'a, O, M, T, E, K, N, P> Call<'a, O, M, T, E, K, N, P> {
    fn map<K2, N2, P2>(
        self,
        change: impl FnOnce(Retry<'a, K, N, P>) -> Retry<'a, K2, N2, P2>,
    ) -> Call<'a, O, M, T, E, K2, N2, P2> {
        let Self { retry, operation, limits, refused, types } = self;
        Call { retry: change(retry), operation, limits, refused, types }
    }

    /// As [`Retry::classify`]: retries only the errors that `when` returns `true` or a retryable [`Failure`] for.
    pub fn when<R: Into<Failure>, F: FnMut(&E) -> R>(self, when: F) -> Call<'a, O, M, T, E, By<F>, N, P> {
        self.map(|retry| retry.classify(when))
    }

    /// As [`Retry::pending`].
    pub fn pending<F: FnMut(&T) -> bool>(self, pending: F) -> Call<'a, O, M, T, E, K, N, Pending<F>> {
        self.map(|retry| retry.pending(pending))
    }

    /// As [`Retry::notify`].
    pub fn notify<F: FnMut(&Retrying<'_, E>)>(self, notify: F) -> Call<'a, O, M, T, E, K, Tell<F>, P> {
        self.map(|retry| retry.notify(notify))
    }

    /// As [`Retry::notify_async`].
    pub fn notify_async<D: Future<Output = ()>, F: FnMut(&Retrying<'_, E>) -> D>(
        self,
        notify: F,
    ) -> Call<'a, O, M, T, E, K, TellAsync<F>, P> {
        self.map(|retry| retry.notify_async(notify))
    }

    /// As [`Retry::on_end`].
    pub fn on_end<F: FnMut(&Ended<'_, E>)>(self, on_end: F) -> Call<'a, O, M, T, E, K, OnEnd<N, F>, P> {
        self.map(|retry| retry.on_end(on_end))
    }

    /// As [`Retry::within`].
    pub fn within(self, time: Duration) -> Self {
        self.map(|retry| retry.within(time))
    }

    /// As [`Retry::last_try_at_deadline`].
    pub fn last_try_at_deadline(self) -> Self {
        self.map(Retry::last_try_at_deadline)
    }

    /// As [`Retry::reset_after`].
    pub fn reset_after(self, stable: Duration) -> Self {
        self.map(|retry| retry.reset_after(stable))
    }

    /// As [`Retry::budget`].
    pub fn budget(self, budget: &'a Budget) -> Self {
        self.map(|retry| retry.budget(budget))
    }

    /// As [`Retry::seed`].
    pub fn seed(self, seed: u64) -> Self {
        self.map(|retry| retry.seed(seed))
    }

    /// As [`Retry::breaker`]. The error must be convertible from [`GiveUp`], for a breaker that is open before the first try.
    pub fn breaker(mut self, breaker: &'a Breaker) -> Self
    where
        E: From<GiveUp>,
    {
        self.refused = Some(E::from);
        self.map(|retry| retry.breaker(breaker))
    }

    /// As [`Retry::cancel`]. The error must be convertible from [`GiveUp`], for a call that is already cancelled.
    pub fn cancel(mut self, cancel: &'a Cancel) -> Self
    where
        E: From<GiveUp>,
    {
        self.refused = Some(E::from);
        self.map(|retry| retry.cancel(cancel))
    }

    /// The operation's own error. Without a breaker and a cancellation there is always a try, and so an error.
    fn own_error(result: Result<T, RetryError<E>>, refused: Option<fn(GiveUp) -> E>) -> Result<T, E> {
        result.map_err(|error| {
            error.into_result().unwrap_or_else(|reason| {
                refused.expect("invariant: whatever can prevent the first try sets `refused`")(reason)
            })
        })
    }
}

impl<O, T, E, K, N, P> Call<'_, O, Blocking, T, E, K, N, P>
where
    O: FnMut() -> Result<T, E>,
    K: Classify<E>,
    N: Notify<E, Done = std::future::Ready<()>>,
    P: Inspect<T>,
{
    /// Runs the call on this thread, with the standard library's clock. Feature `blocking`.
    ///
    /// # Errors
    /// The operation's last error.
    #[cfg(feature = "blocking")]
    pub fn call(self) -> Result<T, E> {
        self.call_with(&crate::blocking::StdClock)
    }

    /// Runs the call on this thread.
    ///
    /// # Errors
    /// The operation's last error.
    pub fn call_with(mut self, clock: &impl Wait) -> Result<T, E> {
        let state = RunState::without_source(self.retry, clock.now(), |_| None);
        Self::own_error(blocking::drive(state, clock, |_| (self.operation)()), self.refused)
    }
}

impl<'a, O, T, E, K, N, P> Call<'a, O, Async, T, E, K, N, P> {
    /// Ends a try after this time. Ended tries count as timeouts, and their error is made from [`GiveUp::TryTimeout`].
    pub const fn try_timeout(mut self, limit: Duration) -> Self
    where
        E: From<GiveUp>,
    {
        self.limits.timeout = Some(limit);
        self.limits.error = Some(E::from);
        self
    }

    /// Ends the running try at the deadline. By default the deadline only bounds when tries begin.
    pub const fn cut_at_deadline(mut self) -> Self
    where
        E: From<GiveUp>,
    {
        self.limits.cut_at_deadline = true;
        self.limits.error = Some(E::from);
        self
    }

    /// Ends the call when `cancel` is ready, the running try included: a signal, a cancellation token, a closed channel.
    pub fn cancel_on(mut self, cancel: impl Future<Output = ()> + Send + 'a) -> Self
    where
        E: From<GiveUp>,
    {
        self.limits.cancel = Some(Box::pin(cancel));
        self.refused = Some(E::from);
        self
    }

    /// Runs the call, with `timer` for the delays. Needs no `Send`.
    ///
    /// # Errors
    /// The operation's last error.
    pub async fn run_with<F>(self, timer: &impl Sleep) -> Result<T, E>
    where
        O: FnMut() -> F,
        F: Future<Output = Result<T, E>>,
        K: Classify<E>,
        N: Notify<E>,
        P: Inspect<T>,
    {
        let state = RunState::without_source(self.retry, timer.now(), |_| None);
        Self::own_error(future::drive(state, timer, self.limits, self.operation).await, self.refused)
    }
}

#[cfg(feature = "tokio")]
mod tokio {
    //! Awaiting a [`Call`] on tokio.

    use std::future::IntoFuture;
    use std::pin::Pin;

    use super::{Async, Call, Classify, Future, Inspect, Notify};
    use crate::tokio_time::TokioTimer;

    /// Runs on tokio's clock. Boxed: a named future would have to be a state machine written by hand. For calls that are not
    /// `Send`, use [`run_with`](Call::run_with).
    impl<'a, O, F, T, E, K, N, P> IntoFuture for Call<'a, O, Async, T, E, K, N, P>
    where
        O: FnMut() -> F + Send + 'a,
        F: Future<Output = Result<T, E>> + Send + 'a,
        T: Send + 'a,
        E: Send + Sync + 'a,
        K: Classify<E> + Send + 'a,
        N: Notify<E, Done: Send + 'a> + Send + 'a,
        P: Inspect<T> + Send + 'a,
    {
        type Output = Result<T, E>;
        type IntoFuture = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'a>>;

        fn into_future(self) -> Self::IntoFuture {
            Box::pin(self.run_with(&TokioTimer))
        }
    }
}

impl<O, M, T, E, K, N, P> std::fmt::Debug for Call<'_, O, M, T, E, K, N, P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call").field("policy", self.retry.rules.policy).finish_non_exhaustive()
    }
}
