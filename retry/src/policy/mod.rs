//! [`Policy`]: when to retry and when to stop, as data.
//!
//! ```text
//!   Policy::exponential(…) ─► PolicyBuilder ──build──► Policy ──► delays()   an iterator
//!                 JSON ─► wire ──────┘ (same checks)     ├──────► preview()  bounds and totals
//!                                                        ├──────► decide()   one decision
//!                                                        └──────► Display    for people
//! ```
//!
//! Every policy has passed the builder's checks, so no function that takes one can fail because of it. A policy has no state
//! and reads no clock; each call gets the progress as an argument.

mod builder;
mod display;
mod limits;
mod preview;
#[cfg(feature = "serde")]
mod wire;

use std::num::NonZeroU32;
use std::time::Duration;

pub use builder::PolicyBuilder;
pub use limits::{Attempts, FirstRetry, Hints};
pub use preview::{Preview, Step};

use crate::members::getters;
use crate::{Backoff, Delays, FailureKind, Jitter, RetryOptions, Rng, nanos};

/// When to retry, and when to stop.
///
/// Made by a builder that checks it, or read from JSON (feature `serde`; feature `schema` adds a JSON Schema):
///
/// ```json
/// {
///   "backoff": {"exponential": {"initialInMs": 100, "factor": 2}},
///   "jitter": "full",
///   "maxAttempts": 5,
///   "maxDelayInMs": 20000,
///   "maxElapsedInMs": 60000,
///   "firstRetry": "afterDelay",
///   "hints": "obey",
///   "maxHintInMs": 60000
/// }
/// ```
///
/// Only `backoff` is required. [`PolicyBuilder`] lists the defaults of the others.
///
/// ```
/// use retry::Policy;
/// use std::time::Duration;
///
/// let policy = Policy::exponential(Duration::from_millis(100), 2.0)
///     .max_attempts(5)
///     .max_delay(Duration::from_secs(20))
///     .build()?;
/// assert_eq!(
///     policy.to_string(),
///     "100 ms, then 2 times longer each time, up to 20 s, each a random part of it; at most 5 tries",
/// );
/// assert_eq!(policy.delays().seeded(1).count(), 4); // between 5 tries there are 4 delays
/// # Ok::<(), retry::PolicyError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "wire::Form", into = "wire::Form"))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Policy {
    backoff: Backoff,
    jitter: Jitter,
    attempts: Attempts,
    max_delay: Option<Duration>,
    max_elapsed: Option<Duration>,
    first_retry: FirstRetry,
    hints: Hints,
    max_hint: Duration,
    timeout_backoff: Option<Backoff>,
    throttled_backoff: Option<Backoff>,
}

impl Policy {
    /// A policy without jitter or any limit, and with the defaults of the other settings.
    const fn with_defaults(backoff: Backoff) -> Self {
        Self {
            backoff,
            jitter: Jitter::None,
            attempts: Attempts::Unlimited,
            max_delay: None,
            max_elapsed: None,
            first_retry: FirstRetry::AfterDelay,
            hints: Hints::Obey,
            max_hint: builder::DEFAULT_MAX_HINT,
            timeout_backoff: None,
            throttled_backoff: None,
        }
    }

    /// Starts from a backoff.
    pub fn builder(backoff: Backoff) -> PolicyBuilder {
        PolicyBuilder { policy: Self::with_defaults(backoff), jitter: None, attempts: None }
    }

    /// The same delay each time.
    pub fn fixed(delay: Duration) -> PolicyBuilder {
        Self::builder(Backoff::Fixed { delay })
    }

    /// Delays that grow by `step` each time.
    pub fn linear(initial: Duration, step: Duration) -> PolicyBuilder {
        Self::builder(Backoff::Linear { initial, step })
    }

    /// Delays that grow by `factor` each time.
    pub fn exponential(initial: Duration, factor: f64) -> PolicyBuilder {
        Self::builder(Backoff::Exponential { initial, factor })
    }

    /// Delays that grow as the Fibonacci numbers do.
    pub fn fibonacci(unit: Duration) -> PolicyBuilder {
        Self::builder(Backoff::Fibonacci { unit })
    }

    /// Delays each drawn from `base` to three times the one before, as AWS's decorrelated jitter.
    pub fn decorrelated(base: Duration) -> PolicyBuilder {
        Self::builder(Backoff::Decorrelated { base, factor: 3.0 })
    }

    /// Delays as listed. By default there are as many retries as delays.
    pub fn list(delays: impl IntoIterator<Item = Duration>) -> PolicyBuilder {
        Self::builder(Backoff::List { delays: delays.into_iter().collect() })
    }

    /// How the delay grows.
    #[must_use]
    pub const fn backoff(&self) -> &Backoff {
        &self.backoff
    }

    getters! {
        /// How each delay is spread. Always [`Jitter::None`] for decorrelated backoff, which is random itself.
        pub const fn jitter() -> Jitter;
        /// The limit of tries.
        pub const fn attempts() -> Attempts;
        /// The longest delay, jitter included. `None` only if all backoffs are fixed or lists, whose delays are explicit.
        pub const fn max_delay() -> Option<Duration>;
        /// The limit, exclusive, from the beginning of the first try to the beginning of the last.
        pub const fn max_elapsed() -> Option<Duration>;
        /// When the first retry comes.
        pub const fn first_retry() -> FirstRetry;
        /// How server hints are used.
        pub const fn hints() -> Hints;
        /// The longest wait that a server hint can ask for.
        pub const fn max_hint() -> Duration;
    }

    /// The backoff after tries that took too long, if it is a separate one.
    #[must_use]
    pub const fn timeout_backoff(&self) -> Option<&Backoff> {
        self.timeout_backoff.as_ref()
    }

    /// The backoff after throttled tries, if it is a separate one.
    #[must_use]
    pub const fn throttled_backoff(&self) -> Option<&Backoff> {
        self.throttled_backoff.as_ref()
    }

    /// The policy of the AWS SDKs' standard mode since November 2026: 3 tries; from 50 ms, after throttling from 1 s, doubled
    /// each time, up to 20 s, with full jitter. [`Budget::aws_standard_2026`](crate::budget::Budget::aws_standard_2026) goes
    /// with it. Source: AWS Developer Tools Blog, "Announcing updated retry behavior for AWS SDKs and Tools", May 2026.
    #[must_use]
    pub const fn aws_standard_2026() -> Self {
        const fn doubling(initial: Duration) -> Backoff {
            Backoff::Exponential { initial, factor: 2.0 }
        }
        Self {
            backoff: doubling(Duration::from_millis(50)),
            jitter: Jitter::Full,
            attempts: Attempts::AtMost(NonZeroU32::MIN.saturating_add(2)),
            max_delay: Some(Duration::from_secs(20)),
            max_elapsed: None,
            first_retry: FirstRetry::AfterDelay,
            hints: Hints::Obey,
            max_hint: builder::DEFAULT_MAX_HINT,
            timeout_backoff: None,
            throttled_backoff: Some(doubling(Duration::from_secs(1))),
        }
    }

    /// The delays of one sequence, with jitter from entropy or, with [`Delays::seeded`], from a seed.
    #[must_use]
    pub fn delays(&self) -> Delays {
        Delays::new(self, Rng::from_entropy())
    }

    /// The delays of one sequence, with jitter from `rng`.
    #[must_use]
    pub fn delays_with(&self, rng: Rng) -> Delays {
        Delays::new(self, rng)
    }

    /// The delay before retry number `retry`, from 1 (0 counts as 1), whether or not the limits allow that retry.
    /// `previous` is the delay before it; only decorrelated backoff uses it, and takes its base without it.
    pub fn delay(&self, retry: u32, previous: Option<Duration>, rng: &mut Rng) -> Duration {
        self.delay_after(FailureKind::Transient, retry, previous, rng)
    }

    /// As [`delay`](Self::delay), after a failure of `kind`: timeouts and throttled tries may have backoffs of their own.
    pub fn delay_after(
        &self,
        kind: FailureKind,
        retry: u32,
        previous: Option<Duration>,
        rng: &mut Rng,
    ) -> Duration {
        let Some(k) = self.place(retry) else { return Duration::ZERO };
        let of_kind = match kind {
            FailureKind::Throttled => self.throttled_backoff.as_ref(),
            FailureKind::Timeout => self.timeout_backoff.as_ref(),
            FailureKind::Transient | FailureKind::Permanent => None,
        };
        let backoff = of_kind.unwrap_or(&self.backoff);
        // After a first retry at once, growth starts from the base.
        let previous = if k == 1 { None } else { previous.map(nanos::of) };
        Duration::from_nanos(backoff.draw(k, previous, self.jitter, self.cap(), rng))
    }

    /// The bounds of each delay, and the totals.
    #[must_use]
    pub const fn preview(&self) -> Preview<'_> {
        Preview { policy: self }
    }

    /// The index of a retry in the backoff, from 1; `None` for a first retry at once.
    fn place(&self, retry: u32) -> Option<u32> {
        match self.first_retry {
            FirstRetry::AfterDelay => Some(retry.max(1)),
            FirstRetry::AtOnce => retry.checked_sub(1).filter(|k| *k > 0),
        }
    }

    /// The backoffs after failures of any kind.
    fn backoffs(&self) -> impl Iterator<Item = &Backoff> {
        [&self.backoff].into_iter().chain(&self.timeout_backoff).chain(&self.throttled_backoff)
    }

    /// The maximum delay in nanoseconds; `u64::MAX` without one.
    pub(crate) fn cap(&self) -> u64 {
        self.max_delay.map_or(u64::MAX, nanos::of)
    }
}

/// The defaults of [`RetryOptions`]: five tries, from one second, 1.8 times longer each time, up to a minute, with "plus"
/// jitter.
impl Default for Policy {
    fn default() -> Self {
        Self::from(&RetryOptions::default())
    }
}

/// The policy with the same behaviour as the options: the same generator gives the same delays.
///
/// ```
/// use retry::{Policy, RetryOptions, Rng};
///
/// let options = RetryOptions::default();
/// let policy = Policy::from(&options);
/// let mut rng = Rng::seeded(1);
/// assert!(policy.delays().seeded(1).eq((1..5).map(|k| options.delay(k, &mut rng))));
/// ```
impl From<&RetryOptions> for Policy {
    fn from(options: &RetryOptions) -> Self {
        let least = options.min_timeout().min(options.max_timeout());
        let backoff = if least.is_zero() {
            // Options may start from zero; every retry then comes at once. An exponential policy may not, a list may.
            Backoff::List { delays: [Duration::ZERO].into() }
        } else {
            Backoff::Exponential { initial: least, factor: options.factor() }
        };
        Self {
            jitter: if options.randomize() { Jitter::Plus } else { Jitter::None },
            // The limit of valid options is at least 1.
            attempts: Attempts::at_most(options.limit()).unwrap_or(Attempts::Unlimited),
            max_delay: Some(options.max_timeout()),
            ..Self::with_defaults(backoff)
        }
    }
}
