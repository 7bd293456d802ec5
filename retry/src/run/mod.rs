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

pub use call::{Async, Blocking, Call, Retryable};
pub use cancel::{Cancel, Cancelled};
pub use classify::{
    Accept, All, By, Classify, Ended, Inspect, Notify, OnEnd, Pending, Retrying, Silent, Tell, TellAsync,
};
pub use clock::{Clock, Sleep, Wait};
pub use error::{OperationError, RetryError, marker};
use session::Rules;

use crate::breaker::Breaker;
use crate::budget::Budget;
use crate::{Failure, Policy, Rng};

/// The settings of a run.
///
/// | | |
/// | --- | --- |
/// | [`classify`](Self::classify) | which errors to retry; all by default |
/// | [`pending`](Self::pending) | which values to retry; none by default |
/// | [`notify`](Self::notify), [`on_end`](Self::on_end) | callbacks for each retry, before the wait, and for the end |
/// | [`within`](Self::within) | a deadline for this run, besides the policy's |
/// | [`reset_after`](Self::reset_after) | a long try starts a new sequence |
/// | [`budget`](Self::budget), [`breaker`](Self::breaker) | limits shared with other runs |
/// | [`cancel`](Self::cancel) | ends a wait at once |
/// | [`seed`](Self::seed) | makes the jitter repeatable |
///
/// The runners [`run_with`](Self::run_with) and [`run_async_with`](Self::run_async_with) take a clock; `run` (feature
/// `blocking`) and `run_tokio` (feature `tokio`) bring their own. `run_async_mut_with` and `run_tokio_mut` are for async
/// closures that change what they borrow. The operation gets the number of the try, from 1, and may borrow its
/// surroundings, also mutably:
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
///     .run(|n| {
///         seen.push(n);
///         let number: i32 = if n < 3 { "x" } else { "42" }.parse()?;
///         Ok::<_, ParseIntError>(number)
///     });
/// assert_eq!((number.unwrap(), seen), (42, vec![1, 2, 3]));
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a run starts with one of the `run` methods"]
pub struct Retry<'a, K = All, N = Silent, P = Accept> {
    rules: Rules<'a>,
    classify: K,
    notify: N,
    inspect: P,
    cancel: Option<&'a Cancel>,
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
            rng: Rng::from_entropy(),
        }
    }
}

impl<'a, K, N, P> Retry<'a, K, N, P> {
    /// Classifies each error: as a [`Failure`], a [`FailureKind`](crate::FailureKind), or a `bool` that is `true` if
    /// another try may help. The closure's argument needs an explicit type: `|err: &MyError| …`. With
    /// [`Retryable`] it does not.
    pub fn classify<E, R: Into<Failure>, F: FnMut(&E) -> R>(self, classify: F) -> Retry<'a, By<F>, N, P> {
        let Self { rules, notify, inspect, cancel, rng, .. } = self;
        Retry { rules, classify: By(classify), notify, inspect, cancel, rng }
    }

    /// Retries values that `pending` returns `true` for, such as a job that still runs. When the policy gives up, the run
    /// returns the last value.
    pub fn pending<F>(self, pending: F) -> Retry<'a, K, N, Pending<F>> {
        let Self { rules, classify, notify, cancel, rng, .. } = self;
        Retry { rules, classify, notify, inspect: Pending(pending), cancel, rng }
    }

    fn with_notify<N2>(self, change: impl FnOnce(N) -> N2) -> Retry<'a, K, N2, P> {
        let Self { rules, classify, notify, inspect, cancel, rng } = self;
        Retry { rules, classify, notify: change(notify), inspect, cancel, rng }
    }

    /// Calls `notify` before each wait, with the error, its classification and the delay: for logs and metrics.
    pub fn notify<E, F: FnMut(&Retrying<'_, E>)>(self, notify: F) -> Retry<'a, K, Tell<F>, P> {
        self.with_notify(|_| Tell(notify))
    }

    /// As [`notify`](Self::notify), and awaits the returned future before the wait. Only for the runners of futures.
    pub fn notify_async<E, D: Future<Output = ()>, F: FnMut(&Retrying<'_, E>) -> D>(
        self,
        notify: F,
    ) -> Retry<'a, K, TellAsync<F>, P> {
        self.with_notify(|_| TellAsync(notify))
    }

    /// Calls `on_end` at the end of the run, besides the other notifications. Set it after them.
    pub fn on_end<E, F: FnMut(&Ended<'_, E>)>(self, on_end: F) -> Retry<'a, K, OnEnd<N, F>, P> {
        self.with_notify(|notify| OnEnd(notify, on_end))
    }

    /// Every try begins sooner than this after the first. The policy's own limit stays in force.
    pub const fn within(mut self, time: Duration) -> Self {
        self.rules.within = Some(time);
        self
    }

    /// Makes one last try at the time limit when the next delay would reach it. By default the run gives up at once.
    pub const fn last_try_at_deadline(mut self) -> Self {
        self.rules.last_try_at_deadline = true;
        self
    }

    /// Starts a new sequence of tries after a try that lasted this long before it failed. For connections and streams that
    /// are expected to break now and then.
    pub const fn reset_after(mut self, stable: Duration) -> Self {
        self.rules.reset_after = Some(stable);
        self
    }

    /// Pays each retry from this budget; a spent budget ends the run.
    pub const fn budget(mut self, budget: &'a Budget) -> Self {
        self.rules.budget = Some(budget);
        self
    }

    /// Asks this breaker before each try, the first included, and reports the result to it. An answer of a working service
    /// ([`Failure::is_answered`]) counts as a success; other permanent failures are not reported, since they are about the
    /// request and not about the service.
    pub const fn breaker(mut self, breaker: &'a Breaker) -> Self {
        self.rules.breaker = Some(breaker);
        self
    }

    /// Ends the run when cancelled: a wait at once, a running try when it finishes.
    pub const fn cancel(mut self, cancel: &'a Cancel) -> Self {
        self.cancel = Some(cancel);
        self
    }

    /// Draws jitter with this seed.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.rng = Rng::seeded(seed);
        self
    }
}
