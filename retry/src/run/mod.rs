//! Runners: they call an operation until it succeeds or the policy gives up.
//!
//! ```text
//!   Retry (the settings) ──► RunState ──► Session (the state machine) ◄── now
//!      │                                    begin     ─► the next try, or give up
//!      ├─ run_with(clock, op)               failed    ─► wait this long, or give up
//!      └─ run_async_with(timer, op)         succeeded
//! ```
//!
//! The runners differ only in how they wait. None depends on a runtime: time comes through [`Clock`] and one of two traits
//! on top of it, [`Wait`] for threads and [`Sleep`] for futures. Feature `blocking` has a [`Wait`] for the standard
//! library's clock, feature `tokio` a [`Sleep`] for tokio's.
//!
//! An operation is called at least once, unless the breaker is open or the run is cancelled. Nothing waits after the last
//! try. The last error is returned with the reason to give up.

mod attempt;
mod blocking;
mod call;
mod cancel;
mod classify;
mod clock;
mod error;
mod future;
pub(crate) mod session;
mod state;

use std::future::Future;
use std::time::Duration;

pub use attempt::Try;
pub use call::{Async, AsyncTry, Blocking, BlockingTry, Call, Retryable};
pub use cancel::{Cancel, Cancelled, Uncancelled};
pub use classify::{
    Accept, All, By, Classify, Ended, Inspect, Notify, OnEnd, Pending, Retrying, Silent, Tell, TellAsync,
};
pub use clock::{Clock, Sleep, Wait};
pub use error::{OperationError, RetryError, marker};
use session::Rules;

use crate::breaker::Breaker;
use crate::budget::Budget;
use crate::members::setters;
use crate::{Failure, Policy, Rng};

/// The settings of a run.
///
/// | | |
/// | --- | --- |
/// | [`classify`](Self::classify) | which errors to retry; all by default |
/// | [`pending`](Self::pending) | which values to retry; none by default |
/// | [`notify`](Self::notify), [`on_end`](Self::on_end) | callbacks for each retry, before the wait, and for the end |
/// | [`within`](Self::within) | a deadline for this run, besides the policy's |
/// | [`try_timeout`](Self::try_timeout) | a limit for each try |
/// | [`cut_at_deadline`](Self::cut_at_deadline), [`last_try_at_deadline`](Self::last_try_at_deadline) | the deadline ends the running try; a last try begins at it |
/// | [`reset_after`](Self::reset_after) | a long try starts a new sequence |
/// | [`budget`](Self::budget), [`breaker`](Self::breaker) | limits shared with other runs |
/// | [`cancel`](Self::cancel) | a signal that ends a wait at once, of a thread or a future |
/// | [`cancel_on`](Self::cancel_on) | any future that ends the run, the running try included |
/// | [`seed`](Self::seed) | makes the jitter repeatable |
///
/// The runners [`run_with`](Self::run_with) and [`run_async_with`](Self::run_async_with) take a clock; `run` (feature
/// `blocking`) and `run_tokio` (feature `tokio`) bring their own. `run_async_mut_with` and `run_tokio_mut` are for async
/// closures that change what they borrow. The operation gets the [`Try`], its number and the time it may take, and may
/// borrow its surroundings, also mutably:
///
/// ```
/// # #[cfg(feature = "blocking")] {
/// use retry::{Policy, run::Retry};
/// use std::num::ParseIntError;
/// use std::time::Duration;
///
/// let policy = Policy::exponential(Duration::from_millis(1), 2.0).build().unwrap();
/// let mut seen = Vec::new();
/// let number = Retry::new(&policy)
///     .classify(|err: &ParseIntError| err.to_string().contains("invalid digit"))
///     .run(|attempt| {
///         seen.push(attempt.number);
///         let number: i32 = if attempt.number < 3 { "x" } else { "42" }.parse()?;
///         Ok::<_, ParseIntError>(number)
///     });
/// assert_eq!((number.unwrap(), seen), (42, vec![1, 2, 3]));
/// # }
/// ```
///
/// # What a thread cannot do
///
/// A running call of a thread cannot be ended from outside. On a thread, `try_timeout` and `cut_at_deadline` set the
/// [`Try::time_left`] that the operation must pass on (to a socket's timeout, a client's request, a condition variable), `cancel`
/// is seen between the tries, and `cancel_on` does not compile.
#[derive(Clone, Debug)]
#[must_use = "a run starts with one of the `run` methods"]
pub struct Retry<'a, K = All, N = Silent, P = Accept, C = Uncancelled> {
    rules: Rules<'a>,
    classify: K,
    notify: N,
    inspect: P,
    cancel: Option<&'a Cancel>,
    cancel_on: C,
    rng: Rng,
}

impl<'a> Retry<'a> {
    /// Retries every error by `policy`, with jitter from entropy.
    pub fn new(policy: &'a Policy) -> Self {
        Self {
            rules: Rules::new(policy),
            classify: All,
            notify: Silent,
            inspect: Accept,
            cancel: None,
            cancel_on: Uncancelled,
            rng: Rng::from_entropy(),
        }
    }
}

impl<'a, K, N, P, C> Retry<'a, K, N, P, C> {
    /// Classifies each error: as a [`Failure`], a [`FailureKind`](crate::FailureKind), or a `bool` that is `true` if
    /// another try may help. The closure's argument needs an explicit type: `|err: &MyError| …`. With
    /// [`Retryable`] it does not.
    pub fn classify<E, R: Into<Failure>, F: FnMut(&E) -> R>(self, classify: F) -> Retry<'a, By<F>, N, P, C> {
        let Self { rules, notify, inspect, cancel, cancel_on, rng, .. } = self;
        Retry { rules, classify: By(classify), notify, inspect, cancel, cancel_on, rng }
    }

    /// Retries values that `pending` returns `true` for, such as a job that still runs. When the policy gives up, the run
    /// returns the last value. Such a value is no failure: the budget does not pay for the next try, and a breaker counts
    /// a success.
    pub fn pending<F>(self, pending: F) -> Retry<'a, K, N, Pending<F>, C> {
        let Self { rules, classify, notify, cancel, cancel_on, rng, .. } = self;
        Retry { rules, classify, notify, inspect: Pending(pending), cancel, cancel_on, rng }
    }

    fn with_notify<N2>(self, change: impl FnOnce(N) -> N2) -> Retry<'a, K, N2, P, C> {
        let Self { rules, classify, notify, inspect, cancel, cancel_on, rng } = self;
        Retry { rules, classify, notify: change(notify), inspect, cancel, cancel_on, rng }
    }

    /// Calls `notify` before each wait, with the error, its classification and the delay: for logs and metrics.
    pub fn notify<E, F: FnMut(&Retrying<'_, E>)>(self, notify: F) -> Retry<'a, K, Tell<F>, P, C> {
        self.with_notify(|_| Tell(notify))
    }

    /// As [`notify`](Self::notify), and awaits the returned future before the wait. Only for the runners of futures.
    pub fn notify_async<E, D: Future<Output = ()>, F: FnMut(&Retrying<'_, E>) -> D>(
        self,
        notify: F,
    ) -> Retry<'a, K, TellAsync<F>, P, C> {
        self.with_notify(|_| TellAsync(notify))
    }

    /// Calls `on_end` at the end of the run, besides the other notifications. Set it after them.
    pub fn on_end<E, F: FnMut(&Ended<'_, E>)>(self, on_end: F) -> Retry<'a, K, OnEnd<N, F>, P, C> {
        self.with_notify(|notify| OnEnd(notify, on_end))
    }

    setters! {
        /// Every try begins sooner than this after the first. The policy's own limit stays in force. A call on a thread or in a
        /// future that serves a request gives the time that is left for that request.
        pub const fn within(time: Duration) => rules.within = Some(time);
        /// Ends a try after this time; it counts as a [timeout](Failure::timeout). On a thread, which cannot end it, the limit is
        /// the operation's to keep: [`Try::time_left`].
        pub const fn try_timeout(limit: Duration) => rules.try_timeout = Some(limit);
        /// Ends the running try at the deadline, as [`try_timeout`](Self::try_timeout) does: at that of [`within`](Self::within)
        /// or the policy's maximum elapsed time, whichever is sooner. By default they only bound when tries begin.
        pub const fn cut_at_deadline() => rules.cut_at_deadline = true;
        /// Makes one last try at the time limit when the next delay would reach it. By default the run gives up at once. The
        /// deadline does not cut this try; [`try_timeout`](Self::try_timeout) does.
        pub const fn last_try_at_deadline() => rules.last_try_at_deadline = true;
        /// Starts a new sequence of tries after a try that lasted this long before it failed. For connections and streams that
        /// are expected to break now and then. The number of tries, the elapsed time and the policy's limits start anew, the
        /// deadline of [`within`](Self::within) does not.
        pub const fn reset_after(stable: Duration) => rules.reset_after = Some(stable);
        /// Pays each retry from this budget; a spent budget ends the run.
        pub const fn budget(budget: &'a Budget) => rules.budget = Some(budget);
        /// Asks this breaker before each try, the first included, and reports the result to it. An answer of a working service
        /// ([`Failure::is_answered`]) counts as a success; other permanent failures are not reported, since they are about the
        /// request and not about the service.
        pub const fn breaker(breaker: &'a Breaker) => rules.breaker = Some(breaker);
        /// Ends the run when cancelled: a wait at once, a running try when it finishes. To end a running try of a future, use
        /// [`cancel_on(cancel.cancelled())`](Self::cancel_on).
        pub const fn cancel(cancel: &'a Cancel) => cancel = Some(cancel);
    }

    /// Ends the run when `cancel` is ready, the running try included: a signal, a cancellation token, a closed channel. Only for
    /// the runners of futures.
    pub fn cancel_on<F: Future<Output = ()>>(self, cancel: F) -> Retry<'a, K, N, P, F> {
        let Self { rules, classify, notify, inspect, cancel: signal, rng, .. } = self;
        Retry { rules, classify, notify, inspect, cancel: signal, cancel_on: cancel, rng }
    }

    /// Draws jitter with this seed.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.rng = Rng::seeded(seed);
        self
    }

    /// Separates the future that cancels the run from the other settings.
    fn split(self) -> (Retry<'a, K, N, P>, C) {
        let Self { rules, classify, notify, inspect, cancel, cancel_on, rng } = self;
        (Retry { rules, classify, notify, inspect, cancel, cancel_on: Uncancelled, rng }, cancel_on)
    }
}
