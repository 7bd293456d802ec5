//! Running an operation until it works, by a policy.
//!
//! ```text
//!   Retry (what was asked for) ──► Course ──► Session (what has happened) ◄── now
//!      │                                         begin ──► leave for a try, or give up
//!      ├─ run_with(clock, op)                    failed ─► wait this long, or give up
//!      └─ run_async_with(timer, op)              succeeded
//! ```
//!
//! Both runners are the same few lines around one session; all that differs is how they wait. Neither knows a
//! runtime: time comes through [`Clock`] and one of two traits beneath it, [`Wait`] for threads and [`Sleep`]
//! for futures. Feature `blocking` has a [`Wait`] for the standard library's clock, feature `tokio` a
//! [`Sleep`] for tokio's.
//!
//! What always holds: an operation is called at least once unless the breaker or a cancellation came first;
//! nothing waits after the last try; the error of the last try is handed back, with the reason why there was
//! no other.

mod blocking;
mod cancel;
mod classify;
mod clock;
mod course;
mod error;
mod future;
pub(crate) mod session;

use std::time::Duration;

pub use cancel::{Cancel, Cancelled};
pub use classify::{All, By, Classify, Notify, Retrying, Silent, Tell};
pub use clock::{Clock, Sleep, Wait};
pub use error::RetryError;
use session::Rules;

use crate::breaker::Breaker;
use crate::budget::Budget;
use crate::{Failure, Policy, Rng};

/// An operation's retries, ready to run.
///
/// | | |
/// | --- | --- |
/// | [`classify`](Self::classify) | which errors are worth another try; without it, all are |
/// | [`notify`](Self::notify) | is told of each retry, before the wait |
/// | [`within`](Self::within) | a deadline for this run, besides the policy's |
/// | [`budget`](Self::budget), [`breaker`](Self::breaker) | shared with other runs |
/// | [`cancel`](Self::cancel) | ends a wait at once |
/// | [`seed`](Self::seed) | makes the jitter repeatable |
///
/// Then one of the runners: [`run_with`](Self::run_with) and [`run_async_with`](Self::run_async_with) take a
/// clock, `run` (feature `blocking`) and `run_tokio` (feature `tokio`) bring one; `run_async_mut_with` and
/// `run_tokio_mut` are for async closures that change what they borrow. The operation gets the number of the
/// try, from 1, and may borrow whatever is around it, mutably too:
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
#[must_use = "nothing happens until it is run"]
pub struct Retry<'a, K = All, N = Silent> {
    rules: Rules<'a>,
    classify: K,
    notify: N,
    cancel: Option<&'a Cancel>,
    rng: Rng,
}

impl<'a> Retry<'a> {
    /// Retries by `policy`, after every error, with jitter from entropy.
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
    /// Says of each error what kind of failure it is: a [`Failure`], a [`FailureKind`](crate::FailureKind),
    /// or a `bool` that is `true` if another try may help. The closure's argument needs its type written out:
    /// `|err: &MyError| …`.
    pub fn classify<E, R: Into<Failure>>(
        self,
        mut classify: impl FnMut(&E) -> R,
    ) -> Retry<'a, By<impl FnMut(&E) -> Failure>, N> {
        let classify = By(move |error: &E| classify(error).into());
        Retry { rules: self.rules, classify, notify: self.notify, cancel: self.cancel, rng: self.rng }
    }

    /// Is called before each wait, with what failed and how long the wait is: for logs and metrics.
    pub fn notify<E>(
        self,
        notify: impl FnMut(&Retrying<'_, E>),
    ) -> Retry<'a, K, Tell<impl FnMut(&Retrying<'_, E>)>> {
        let Self { rules, classify, cancel, rng, .. } = self;
        Retry { rules, classify, notify: Tell(notify), cancel, rng }
    }

    /// Every try begins sooner than this after the first. The policy's own limit stays; the nearer one
    /// counts.
    pub const fn within(mut self, time: Duration) -> Self {
        self.rules.within = Some(time);
        self
    }

    /// Pays each retry from this budget; when that is spent, there is none.
    pub const fn budget(mut self, budget: &'a Budget) -> Self {
        self.rules.budget = Some(budget);
        self
    }

    /// Asks this breaker before each try, the first included, and tells it how the try went. Permanent
    /// failures are not told: they are about the request and not about the service.
    pub const fn breaker(mut self, breaker: &'a Breaker) -> Self {
        self.rules.breaker = Some(breaker);
        self
    }

    /// Ends the run when cancelled: a wait at once, a try that is under way when it is done.
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
