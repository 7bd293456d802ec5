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
mod cancel;
mod classify;
mod clock;
mod error;
mod future;
pub(crate) mod session;
mod state;

use std::time::Duration;

pub use cancel::{Cancel, Cancelled};
pub use classify::{All, By, Classify, Notify, Retrying, Silent, Tell};
pub use clock::{Clock, Sleep, Wait};
pub use error::RetryError;
use session::Rules;

use crate::breaker::Breaker;
use crate::budget::Budget;
use crate::{Failure, Policy, Rng};

/// The settings of a run.
///
/// | | |
/// | --- | --- |
/// | [`classify`](Self::classify) | which errors to retry; all by default |
/// | [`notify`](Self::notify) | a callback for each retry, before the wait |
/// | [`within`](Self::within) | a deadline for this run, besides the policy's |
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
pub struct Retry<'a, K = All, N = Silent> {
    rules: Rules<'a>,
    classify: K,
    notify: N,
    cancel: Option<&'a Cancel>,
    rng: Rng,
}

impl<'a> Retry<'a> {
    /// Retries every error by `policy`, with jitter from entropy.
    pub fn new(policy: &'a Policy) -> Self {
        Self {
            rules: Rules { policy, budget: None, breaker: None, within: None },
            classify: All,
            notify: Silent,
            cancel: None,
            rng: Rng::from_entropy(),
        }
    }
}

impl<'a, K, N> Retry<'a, K, N> {
    /// Classifies each error: as a [`Failure`], a [`FailureKind`](crate::FailureKind), or a `bool` that is `true` if
    /// another try may help. The closure's argument needs an explicit type: `|err: &MyError| …`.
    pub fn classify<E, R: Into<Failure>>(
        self,
        mut classify: impl FnMut(&E) -> R,
    ) -> Retry<'a, By<impl FnMut(&E) -> Failure>, N> {
        let classify = By(move |error: &E| classify(error).into());
        Retry { rules: self.rules, classify, notify: self.notify, cancel: self.cancel, rng: self.rng }
    }

    /// Calls `notify` before each wait, with the error and the delay: for logs and metrics.
    pub fn notify<E>(
        self,
        notify: impl FnMut(&Retrying<'_, E>),
    ) -> Retry<'a, K, Tell<impl FnMut(&Retrying<'_, E>)>> {
        let Self { rules, classify, cancel, rng, .. } = self;
        Retry { rules, classify, notify: Tell(notify), cancel, rng }
    }

    /// Every try begins sooner than this after the first. The policy's own limit stays in force.
    pub const fn within(mut self, time: Duration) -> Self {
        self.rules.within = Some(time);
        self
    }

    /// Pays each retry from this budget; a spent budget ends the run.
    pub const fn budget(mut self, budget: &'a Budget) -> Self {
        self.rules.budget = Some(budget);
        self
    }

    /// Asks this breaker before each try, the first included, and reports the result to it. Permanent failures are not
    /// reported: they are about the request and not about the service.
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
