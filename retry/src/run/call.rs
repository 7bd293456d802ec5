//! [`Retryable`]: retrying as a method of the closure or function to retry.
//!
//! [`Call`] is [`Retry`] with an operation. It knows the types of value and error, so closures need no type annotations, and
//! it returns the operation's own error instead of a [`RetryError`](super::RetryError).

use std::future::Future;
use std::marker::PhantomData;
use std::time::Duration;

use super::state::RunState;
use super::{
    Accept, All, By, Cancel, Classify, Ended, Inspect, Notify, OnEnd, Pending, Retry, RetryError, Retrying,
    Silent, Sleep, Tell, TellAsync, Try, Uncancelled, Wait, blocking, future,
};
use crate::breaker::Breaker;
use crate::budget::Budget;
use crate::{Failure, GiveUp, Policy};

/// The marker of operations that return a `Result`.
#[derive(Debug)]
pub enum Blocking {}

/// The marker of operations that take the [`Try`] and return a `Result`.
#[derive(Debug)]
pub enum BlockingTry {}

/// The marker of operations that return a future.
#[derive(Debug)]
pub enum Async {}

/// The marker of operations that take the [`Try`] and return a future.
#[derive(Debug)]
pub enum AsyncTry {}

/// Functions and closures that can be retried: they return a `Result` or a future of one, without
/// arguments or with the [`Try`]. The compiler infers the marker `M`.
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
        Call { retry: Retry::new(policy), operation: self, own: None, types: PhantomData }
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

impl<F: FnMut(Try) -> Result<T, E>, T, E> Retryable<BlockingTry> for F {
    type Value = T;
    type Error = E;
}

impl<F: FnMut(Try) -> Fut, Fut: Future<Output = Result<T, E>>, T, E> Retryable<AsyncTry> for F {
    type Value = T;
    type Error = E;
}

/// Settings of a [`Call`] that are those of its [`Retry`].
macro_rules! as_retry {
    ($(pub fn $name:ident($($value:ident: $type:ty)?);)+) => {$(
        #[doc = concat!("As [`Retry::", stringify!($name), "`].")]
        pub fn $name(self, $($value: $type)?) -> Self {
            self.map(|retry| retry.$name($($value)?))
        }
    )+};
}

/// An operation with its retries, made by [`Retryable::retry`]. The settings are those of [`Retry`].
#[must_use = "a call starts with `await`, `call` or `run_with`"]
pub struct Call<'a, O, M, T, E, K = All, N = Silent, P = Accept, C = Uncancelled> {
    retry: Retry<'a, K, N, P, C>,
    operation: O,
    /// Makes the operation's error when there is none: no try was made, or the last one was ended. Set with every setting that
    /// can lead to this.
    own: Option<fn(GiveUp) -> E>,
    types: PhantomData<fn() -> (M, T)>,
}

impl<'a, O, M, T, E, K, N, P, C> Call<'a, O, M, T, E, K, N, P, C> {
    fn map<K2, N2, P2, C2>(
        self,
        change: impl FnOnce(Retry<'a, K, N, P, C>) -> Retry<'a, K2, N2, P2, C2>,
    ) -> Call<'a, O, M, T, E, K2, N2, P2, C2> {
        let Self { retry, operation, own, types } = self;
        Call { retry: change(retry), operation, own, types }
    }

    /// As [`Retry::classify`]: retries only the errors that `when` returns `true` or a retryable [`Failure`] for.
    pub fn when<R: Into<Failure>, F: FnMut(&E) -> R>(self, when: F) -> Call<'a, O, M, T, E, By<F>, N, P, C> {
        self.map(|retry| retry.classify(when))
    }

    /// As [`Retry::pending`].
    pub fn pending<F: FnMut(&T) -> bool>(self, pending: F) -> Call<'a, O, M, T, E, K, N, Pending<F>, C> {
        self.map(|retry| retry.pending(pending))
    }

    /// As [`Retry::notify`].
    pub fn notify<F: FnMut(&Retrying<'_, E>)>(self, notify: F) -> Call<'a, O, M, T, E, K, Tell<F>, P, C> {
        self.map(|retry| retry.notify(notify))
    }

    /// As [`Retry::notify_async`].
    pub fn notify_async<D: Future<Output = ()>, F: FnMut(&Retrying<'_, E>) -> D>(
        self,
        notify: F,
    ) -> Call<'a, O, M, T, E, K, TellAsync<F>, P, C> {
        self.map(|retry| retry.notify_async(notify))
    }

    /// As [`Retry::on_end`].
    pub fn on_end<F: FnMut(&Ended<'_, E>)>(self, on_end: F) -> Call<'a, O, M, T, E, K, OnEnd<N, F>, P, C> {
        self.map(|retry| retry.on_end(on_end))
    }

    as_retry! {
        pub fn within(time: Duration);
        pub fn last_try_at_deadline();
        pub fn reset_after(stable: Duration);
        pub fn budget(budget: &'a Budget);
        pub fn seed(seed: u64);
    }

    /// As [`Retry::breaker`]. The error must be convertible from [`GiveUp`], for a breaker that is open before the first try.
    pub fn breaker(mut self, breaker: &'a Breaker) -> Self
    where
        E: From<GiveUp>,
    {
        self.own = Some(E::from);
        self.map(|retry| retry.breaker(breaker))
    }

    /// As [`Retry::cancel`]. The error must be convertible from [`GiveUp`], for a call that is already cancelled.
    pub fn cancel(mut self, cancel: &'a Cancel) -> Self
    where
        E: From<GiveUp>,
    {
        self.own = Some(E::from);
        self.map(|retry| retry.cancel(cancel))
    }

    fn with_try_timeout(mut self, limit: Duration, own: Option<fn(GiveUp) -> E>) -> Self {
        self.own = self.own.or(own);
        self.map(|retry| retry.try_timeout(limit))
    }

    fn with_cut_at_deadline(mut self, own: Option<fn(GiveUp) -> E>) -> Self {
        self.own = self.own.or(own);
        self.map(Retry::cut_at_deadline)
    }

    /// The operation's own error. Whatever can prevent it sets `own`.
    fn own_error(result: Result<T, RetryError<E>>, own: Option<fn(GiveUp) -> E>) -> Result<T, E> {
        result.map_err(|error| {
            error.into_result().unwrap_or_else(|reason| {
                own.expect("invariant: whatever can leave a call without an error sets `own`")(reason)
            })
        })
    }
}

/// Ends for operations that return a `Result`; `$call` adapts one to the argument that the runner passes.
macro_rules! on_a_thread {
    ($marker:ty, ($($argument:ty)?), $call:expr) => {
        impl<O, T, E, K, N, P> Call<'_, O, $marker, T, E, K, N, P>
        where
            O: FnMut($($argument)?) -> Result<T, E>,
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
            pub fn call_with(self, clock: &impl Wait) -> Result<T, E> {
                let state = RunState::without_source(self.retry, clock.now(), |_| None);
                Self::own_error(blocking::drive(state, clock, $call(self.operation)), self.own)
            }
        }
    };
}

on_a_thread!(Blocking, (), |mut operation: O| move |_: Try| operation());
on_a_thread!(BlockingTry, (Try), |operation: O| operation);

/// Limits that the operation keeps itself.
impl<O, T, E, K, N, P> Call<'_, O, BlockingTry, T, E, K, N, P> {
    /// As [`Retry::try_timeout`]: sets [`Try::time_left`], which the operation must keep.
    pub fn try_timeout(self, limit: Duration) -> Self {
        self.with_try_timeout(limit, None)
    }

    /// As [`Retry::cut_at_deadline`]: sets [`Try::time_left`], which the operation must keep.
    pub fn cut_at_deadline(self) -> Self {
        self.with_cut_at_deadline(None)
    }
}

/// Limits and ends for operations that return a future, as [`on_a_thread`].
macro_rules! in_a_future {
    ($marker:ty, ($($argument:ty)?), $call:expr) => {
        impl<'a, O, T, E, K, N, P, C> Call<'a, O, $marker, T, E, K, N, P, C> {
            /// As [`Retry::try_timeout`]. If the last try is ended, its error is made from [`GiveUp::TryTimeout`].
            pub fn try_timeout(self, limit: Duration) -> Self
            where
                E: From<GiveUp>,
            {
                self.with_try_timeout(limit, Some(E::from))
            }

            /// As [`Retry::cut_at_deadline`]. If the last try is ended, its error is made from [`GiveUp::CutAtDeadline`].
            pub fn cut_at_deadline(self) -> Self
            where
                E: From<GiveUp>,
            {
                self.with_cut_at_deadline(Some(E::from))
            }

            /// As [`Retry::cancel_on`]. The error of a try that is ended is made from [`GiveUp::Cancelled`].
            pub fn cancel_on<F>(mut self, cancel: F) -> Call<'a, O, $marker, T, E, K, N, P, F>
            where
                F: Future<Output = ()>,
                E: From<GiveUp>,
            {
                self.own = Some(E::from);
                self.map(|retry| retry.cancel_on(cancel))
            }

            /// Runs the call, with `timer` for the delays. Needs no `Send`.
            ///
            /// # Errors
            /// The operation's last error.
            pub async fn run_with<F>(self, timer: &impl Sleep) -> Result<T, E>
            where
                O: FnMut($($argument)?) -> F,
                F: Future<Output = Result<T, E>>,
                K: Classify<E>,
                N: Notify<E>,
                P: Inspect<T>,
                C: Future<Output = ()>,
            {
                let (retry, cancel) = self.retry.split();
                let state = RunState::without_source(retry, timer.now(), |_| None);
                let result = future::drive(state, timer, cancel, $call(self.operation)).await;
                Self::own_error(result, self.own)
            }
        }

        /// Runs on tokio's clock. Boxed: a named future would have to be a state machine written by hand. For calls that are
        /// not `Send`, use [`run_with`](Call::run_with).
        #[cfg(feature = "tokio")]
        impl<'a, O, F, T, E, K, N, P, C> std::future::IntoFuture for Call<'a, O, $marker, T, E, K, N, P, C>
        where
            O: FnMut($($argument)?) -> F + Send + 'a,
            F: Future<Output = Result<T, E>> + Send + 'a,
            T: Send + 'a,
            E: Send + Sync + 'a,
            K: Classify<E> + Send + 'a,
            N: Notify<E, Done: Send + 'a> + Send + 'a,
            P: Inspect<T> + Send + 'a,
            C: Future<Output = ()> + Send + 'a,
        {
            type Output = Result<T, E>;
            type IntoFuture = std::pin::Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'a>>;

            fn into_future(self) -> Self::IntoFuture {
                Box::pin(self.run_with(&crate::tokio_time::TokioTimer))
            }
        }
    };
}

in_a_future!(Async, (), |mut operation: O| move |_: Try| operation());
in_a_future!(AsyncTry, (Try), |operation: O| operation);

impl<O, M, T, E, K, N, P, C> std::fmt::Debug for Call<'_, O, M, T, E, K, N, P, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call").field("policy", self.retry.rules.policy).finish_non_exhaustive()
    }
}
