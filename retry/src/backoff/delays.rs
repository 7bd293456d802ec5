//! [`Delays`]: the delays of a policy as an iterator.

use std::iter::FusedIterator;
use std::time::Duration;

use super::Backoff;
use crate::policy::{FirstRetry, Policy};
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
    growth: Growth,
    jitter: Jitter,
    cap: u64,
    /// Retries still allowed; [`UNLIMITED`] without a limit.
    left: u64,
    /// Whether the next retry comes at once.
    at_once: bool,
    /// The sum of the further delays stays below this.
    budget: Option<u64>,
    rng: Rng,
}

/// More retries than anything counts.
const UNLIMITED: u64 = u64::MAX;

/// A backoff and its place: what each step needs, and no more. A policy computes the delay of any retry by
/// its formula; in a row, most backoffs need an addition only. The delays are equal to the last bit.
#[derive(Clone, Debug)]
enum Growth {
    Fixed(u64),
    Linear {
        next: u64,
        step: u64,
    },
    /// By its index: a running product would round differently.
    Exponential {
        initial: u64,
        factor: f64,
        steps: u32,
    },
    Fibonacci {
        next: u64,
        after: u64,
    },
    ByFormula(ByFormula),
}

/// A backoff whose delays have no shorter way than its formula.
#[derive(Clone, Debug)]
struct ByFormula {
    backoff: Backoff,
    k: u32,
    previous: Option<u64>,
}

impl ByFormula {
    /// Called, not inlined: the loops over the other backoffs stay short.
    #[inline(never)]
    fn next(&mut self, jitter: Jitter, cap: u64, rng: &mut Rng) -> u64 {
        let drawn = self.backoff.draw(self.k, self.previous, jitter, cap, rng);
        self.k = self.k.saturating_add(1);
        self.previous = Some(drawn);
        drawn
    }
}

impl Growth {
    fn of(backoff: &Backoff) -> Self {
        let first = backoff.plain(1);
        match backoff {
            Backoff::Fixed { .. } => Self::Fixed(first),
            Backoff::Linear { step, .. } => Self::Linear { next: first, step: nanos::of(*step) },
            Backoff::Fibonacci { .. } => Self::Fibonacci { next: first, after: first },
            Backoff::Exponential { factor, .. } => {
                Self::Exponential { initial: first, factor: *factor, steps: 0 }
            }
            Backoff::Decorrelated { .. } | Backoff::List { .. } => {
                Self::ByFormula(ByFormula { backoff: backoff.clone(), k: 1, previous: None })
            }
        }
    }

    /// The next delay, after jitter: at most `cap`.
    #[inline]
    fn next(&mut self, jitter: Jitter, cap: u64, rng: &mut Rng) -> u64 {
        let plain = match self {
            Self::Fixed(delay) => *delay,
            Self::Linear { next, step } => {
                let delay = *next;
                *next = delay.saturating_add(*step);
                delay
            }
            Self::Fibonacci { next, after } => {
                let delay = *next;
                *next = *after;
                *after = delay.saturating_add(*after);
                delay
            }
            Self::Exponential { initial, factor, steps } => {
                let delay = nanos::grow(*initial, *factor, *steps);
                *steps = steps.saturating_add(1);
                delay
            }
            Self::ByFormula(backoff) => return backoff.next(jitter, cap, rng),
        };
        jitter.apply(plain.min(cap), cap, rng)
    }
}

impl Delays {
    pub(crate) fn new(policy: &Policy, rng: Rng) -> Self {
        Self {
            growth: Growth::of(policy.backoff()),
            jitter: policy.jitter(),
            cap: policy.cap(),
            left: policy.attempts().retries().map_or(UNLIMITED, u64::from),
            at_once: policy.first_retry() == FirstRetry::AtOnce,
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
        // Without a limit it would be used up after millennia.
        self.left = self.left.checked_sub(1)?;
        let delay = match std::mem::take(&mut self.at_once) {
            true => 0,
            false => self.growth.next(self.jitter, self.cap, &mut self.rng),
        };
        if let Some(budget) = self.budget {
            if delay >= budget {
                self.left = 0;
                return None;
            }
            self.budget = Some(budget - delay);
        }
        Some(Duration::from_nanos(delay))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // A limit has 32 bits.
        let is_limited = u32::try_from(self.left).is_ok();
        let most = is_limited.then(|| usize::try_from(self.left).unwrap_or(usize::MAX));
        match self.budget {
            None => (most.unwrap_or(usize::MAX), most),
            Some(_) => (0, most),
        }
    }
}

impl FusedIterator for Delays {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Delays in a row equal the delays that a policy computes for each retry alone.
    #[test]
    fn a_row_of_delays_is_that_of_the_formulas() {
        let ns = Duration::from_nanos;
        let backoffs = [
            Backoff::Fixed { delay: ns(7) },
            Backoff::Linear { initial: ns(5), step: ns(u64::MAX / 50) },
            Backoff::Exponential { initial: ns(3), factor: 1.7 },
            Backoff::Fibonacci { unit: ns(1_000_000_007) },
            Backoff::Decorrelated { base: ns(10), factor: 3.0 },
            Backoff::List { delays: [ns(1), ns(9), ns(4)].into() },
        ];
        for backoff in backoffs {
            let jitters = match backoff {
                Backoff::Decorrelated { .. } => &[Jitter::None][..],
                _ => {
                    &[Jitter::None, Jitter::Full, Jitter::Equal, Jitter::Plus, Jitter::Around { ratio: 0.3 }]
                }
            };
            for (jitter, cap) in
                jitters.iter().flat_map(|jitter| [(jitter, ns(1 << 40)), (jitter, Duration::MAX)])
            {
                let policy =
                    Policy::builder(backoff.clone()).jitter(*jitter).max_delay(cap).max_attempts(150);
                let policy = policy.build().unwrap();
                let (mut rng, mut previous) = (Rng::seeded(5), None);
                for (k, delay) in (1..).zip(policy.delays().seeded(5)) {
                    let alone = policy.delay(k, previous, &mut rng);
                    assert_eq!(delay, alone, "{backoff:?} {jitter:?}, retry {k}");
                    previous = Some(alone);
                }
            }
        }
    }
}
