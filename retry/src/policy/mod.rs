//! [`Policy`]: when to try again and when to stop, as data.
//!
//! ```text
//!   Policy::exponential(…) ─► PolicyBuilder ──build──► Policy ──► delays()   an iterator
//!                 JSON ─► wire ──────┘ (same checks)     ├──────► preview()  bounds and totals
//!                                                        ├──────► decide()   one decision
//!                                                        └──────► Display    in words
//! ```
//!
//! What always holds: a policy that exists has been checked, so nothing that takes one can fail because of
//! it. It holds no state and reads no clock; what happened so far comes in with each question.

mod builder;
mod display;
mod limits;
mod preview;
#[cfg(feature = "serde")]
mod wire;

use std::time::Duration;

pub use builder::PolicyBuilder;
pub use limits::{Attempts, FirstRetry, Hints};
pub use preview::{Preview, Step};

use crate::backoff::Shape;
use crate::{Backoff, Delays, Jitter, RetryOptions, Rng, nanos};

/// When to try again, and when to stop.
///
/// Made by a builder that checks it, or read from JSON (feature `serde`; feature `schema` has a JSON Schema
/// of it):
///
/// ```json
/// {
///   "backoff": {"exponential": {"initialInMs": 100, "factor": 2}},
///   "jitter": "full",
///   "maxAttempts": 5,
///   "maxDelayInMs": 20000,
///   "maxElapsedInMs": 60000,
///   "firstRetry": "afterDelay",
///   "hints": "obey"
/// }
/// ```
///
/// Only `backoff` has to be given. [`PolicyBuilder`] says what the others are if left out.
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
pub struct Policy {
    backoff: Backoff,
    jitter: Jitter,
    attempts: Attempts,
    max_delay: Option<Duration>,
    max_elapsed: Option<Duration>,
    first_retry: FirstRetry,
    hints: Hints,
}

impl Policy {
    /// Starts from a backoff.
    pub fn builder(backoff: Backoff) -> PolicyBuilder {
        PolicyBuilder::new(backoff)
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

    /// Delays as listed. Unless told otherwise, there are as many retries as delays.
    pub fn list(delays: impl IntoIterator<Item = Duration>) -> PolicyBuilder {
        Self::builder(Backoff::List { delays: delays.into_iter().collect() })
    }

    /// How the delay grows.
    #[must_use]
    pub const fn backoff(&self) -> &Backoff {
        &self.backoff
    }

    /// How each delay is spread. Always [`Jitter::None`] for decorrelated jitter, which spreads on its own.
    #[must_use]
    pub const fn jitter(&self) -> Jitter {
        self.jitter
    }

    /// How many tries a sequence may have.
    #[must_use]
    pub const fn attempts(&self) -> Attempts {
        self.attempts
    }

    /// The longest delay, jitter included; none only for fixed delays and lists, which say themselves how
    /// long.
    #[must_use]
    pub const fn max_delay(&self) -> Option<Duration> {
        self.max_delay
    }

    /// How long after the first try began the last one may begin, exclusive.
    #[must_use]
    pub const fn max_elapsed(&self) -> Option<Duration> {
        self.max_elapsed
    }

    /// When the first retry comes.
    #[must_use]
    pub const fn first_retry(&self) -> FirstRetry {
        self.first_retry
    }

    /// What is made of a server's hints.
    #[must_use]
    pub const fn hints(&self) -> Hints {
        self.hints
    }

    /// The delays of one sequence. Jitter is drawn from entropy, or, with [`Delays::seeded`], from a seed.
    #[must_use]
    pub fn delays(&self) -> Delays {
        Delays::new(self, Rng::from_entropy())
    }

    /// The delays of one sequence, drawn with a generator of your own.
    #[must_use]
    pub fn delays_with(&self, rng: Rng) -> Delays {
        Delays::new(self, rng)
    }

    /// The delay before retry `retry`, from 1 (0 is taken as 1), whether or not there may be one. `previous`
    /// is the delay before that; only decorrelated jitter looks at it, and without it takes its base.
    pub fn delay(&self, retry: u32, previous: Option<Duration>, rng: &mut Rng) -> Duration {
        let Some(k) = self.place(retry) else { return Duration::ZERO };
        let shape = Shape::from(&self.backoff);
        // A first retry at once is no delay that the next could grow from.
        let previous = if k == 1 { None } else { previous.map(nanos::of) };
        Duration::from_nanos(shape.draw(k, previous, self.jitter, self.cap(), rng))
    }

    /// What to expect: each delay's least and most, and the totals.
    #[must_use]
    pub const fn preview(&self) -> Preview<'_> {
        Preview::new(self)
    }

    /// The place of a retry in the backoff, from 1; none for a first retry that comes at once.
    fn place(&self, retry: u32) -> Option<u32> {
        match self.first_retry {
            FirstRetry::AfterDelay => Some(retry.max(1)),
            FirstRetry::AtOnce => retry.checked_sub(1).filter(|k| *k > 0),
        }
    }

    /// The maximum delay in nanoseconds; what a `u64` holds, if there is none.
    pub(crate) fn cap(&self) -> u64 {
        self.max_delay.map_or(u64::MAX, nanos::of)
    }
}

/// Five tries, from one second, 1.8 times longer each time, up to a minute, each times 1 to 2: as
/// [`RetryOptions`]' defaults.
impl Default for Policy {
    fn default() -> Self {
        Self::from(&RetryOptions::default())
    }
}

/// The policy that behaves as the options do: the same delays from the same generator.
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
            // Zero grows to nothing, and options may say zero: then every retry comes at once, which a policy
            // has no exponential for, but a list.
            Backoff::List { delays: [Duration::ZERO].into() }
        } else {
            Backoff::Exponential { initial: least, factor: options.factor() }
        };
        Self {
            backoff,
            jitter: if options.randomize() { Jitter::Plus } else { Jitter::None },
            // Options that exist have a limit of at least 1.
            attempts: Attempts::at_most(options.limit()).unwrap_or(Attempts::Unlimited),
            max_delay: Some(options.max_timeout()),
            max_elapsed: None,
            first_retry: FirstRetry::AfterDelay,
            hints: Hints::default(),
        }
    }
}
