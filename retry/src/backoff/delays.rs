//! [`Delays`]: the delays of a policy as an iterator.

use std::iter::FusedIterator;
use std::time::Duration;

use super::Shape;
use crate::policy::{Attempts, FirstRetry, Policy};
use crate::{Jitter, Rng, nanos};

/// The delays between the tries of one sequence, from [`Policy::delays`]: one fewer than the tries.
///
/// It ends when the attempts are used up, or before the sum of the delays would reach the policy's maximum elapsed time. It
/// borrows and allocates nothing; a step takes constant time (logarithmic in the attempt for exponential backoffs).
///
/// ```
/// use retry::{Jitter, Policy};
/// use std::time::Duration;
///
/// let policy = Policy::exponential(Duration::from_millis(100), 2.0).jitter(Jitter::None).max_attempts(4).build()?;
/// let delays: Vec<Duration> = policy.delays().collect();
/// assert_eq!(delays, [100, 200, 400].map(Duration::from_millis));
/// # Ok::<(), retry::PolicyError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Delays {
    shape: Shape,
    jitter: Jitter,
    cap: u64,
    /// Retries still allowed; `None` without a limit.
    left: Option<u32>,
    /// The next retry's index in the backoff; 0 for a first retry at once.
    k: u32,
    previous: Option<u64>,
    /// The sum of the further delays stays below this.
    budget: Option<u64>,
    rng: Rng,
}

impl Delays {
    pub(crate) fn new(policy: &Policy, rng: Rng) -> Self {
        Self {
            shape: Shape::from(policy.backoff()),
            jitter: policy.jitter(),
            cap: policy.cap(),
            left: match policy.attempts() {
                Attempts::AtMost(attempts) => Some(attempts.get() - 1),
                Attempts::Unlimited => None,
            },
            k: match policy.first_retry() {
                FirstRetry::AtOnce => 0,
                FirstRetry::AfterDelay => 1,
            },
            previous: None,
            budget: policy.max_elapsed().map(nanos::of),
            rng,
        }
    }

    /// Draws jitter from `seed` from here on. The same seed gives the same delays on every platform and in every version.
    ///
    /// ```
    /// use retry::Policy;
    ///
    /// let policy = Policy::default();
    /// assert!(policy.delays().seeded(7).eq(policy.delays().seeded(7)));
    /// ```
    #[must_use]
    pub const fn seeded(mut self, seed: u64) -> Self {
        self.rng = Rng::seeded(seed);
        self
    }
}

impl Iterator for Delays {
    type Item = Duration;

    #[inline]
    fn next(&mut self) -> Option<Duration> {
        if let Some(left) = self.left {
            self.left = Some(left.checked_sub(1)?);
        }
        let delay = if self.k == 0 {
            0
        } else {
            let drawn = self.shape.draw(self.k, self.previous, self.jitter, self.cap, &mut self.rng);
            self.previous = Some(drawn);
            drawn
        };
        self.k = self.k.saturating_add(1);
        if let Some(budget) = self.budget {
            if delay >= budget {
                self.left = Some(0);
                return None;
            }
            self.budget = Some(budget - delay);
        }
        Some(Duration::from_nanos(delay))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let most = self.left.map(|left| usize::try_from(left).unwrap_or(usize::MAX));
        match self.budget {
            None => (most.unwrap_or(usize::MAX), most),
            Some(_) => (0, most),
        }
    }
}

impl FusedIterator for Delays {}
