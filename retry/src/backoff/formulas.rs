//! The formulas of a [`Backoff`], in nanoseconds.

use super::Backoff;
use crate::{Jitter, Rng, nanos};

impl Backoff {
    /// Delay `k`, from 1, before jitter and cap; for decorrelated backoff the base.
    #[inline]
    pub(super) fn plain(&self, k: u32) -> u64 {
        let steps = k.saturating_sub(1);
        match self {
            Self::Fixed { delay } => nanos::of(*delay),
            Self::Linear { initial, step } => {
                nanos::of(*initial).saturating_add(nanos::of(*step).saturating_mul(u64::from(steps)))
            }
            Self::Exponential { initial, factor } => nanos::grow(nanos::of(*initial), *factor, steps),
            Self::Fibonacci { unit } => nanos::of(*unit).saturating_mul(fibonacci(steps)),
            Self::Decorrelated { base, .. } => nanos::of(*base),
            Self::List { delays } => {
                let index = usize::try_from(steps).unwrap_or(usize::MAX);
                delays.get(index).or(delays.last()).copied().map_or(0, nanos::of)
            }
        }
    }

    /// Delay `k`, from 1, after jitter: at most `cap`. `previous` is the delay before it, if there was one.
    #[inline]
    pub(crate) fn draw(&self, k: u32, previous: Option<u64>, jitter: Jitter, cap: u64, rng: &mut Rng) -> u64 {
        let plain = self.plain(k);
        if let Self::Decorrelated { factor, .. } = self {
            let high = decorrelated_end(plain, *factor, previous);
            return plain.saturating_add(rng.up_to(high - plain)).min(cap);
        }
        jitter.apply(plain.min(cap), cap, rng)
    }

    /// The least and the most that delay `k` can be, if the delay before it was at most `previous`.
    pub(crate) fn bounds(&self, k: u32, previous: Option<u64>, jitter: Jitter, cap: u64) -> (u64, u64) {
        let plain = self.plain(k);
        if let Self::Decorrelated { factor, .. } = self {
            return (plain.min(cap), decorrelated_end(plain, *factor, previous).min(cap));
        }
        jitter.bounds(plain.min(cap), cap)
    }

    /// The least delay of the backoff, against which the cap is checked.
    pub(crate) fn least(&self) -> u64 {
        match self {
            Self::List { delays } => delays.iter().copied().map(nanos::of).min().unwrap_or(0),
            _ => self.plain(1),
        }
    }
}

/// The upper end of the interval for a decorrelated delay. At least the base, which rounding could miss.
fn decorrelated_end(base: u64, factor: f64, previous: Option<u64>) -> u64 {
    nanos::scale(previous.unwrap_or(base), factor).max(base)
}

/// F(1) to F(93): the Fibonacci numbers that fit a `u64`.
const FIBONACCI: [u64; 93] = {
    let mut numbers = [1; 93];
    let mut i = 2;
    while i < numbers.len() {
        numbers[i] = numbers[i - 1] + numbers[i - 2];
        i += 1;
    }
    numbers
};

fn fibonacci(steps: u32) -> u64 {
    usize::try_from(steps).ok().and_then(|i| FIBONACCI.get(i)).copied().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MS: u64 = 1_000_000;

    const fn ns(nanos: u64) -> Duration {
        Duration::from_nanos(nanos)
    }

    fn first(backoff: &Backoff) -> Vec<u64> {
        (1..=6).map(|k| backoff.plain(k)).collect()
    }

    #[test]
    fn the_formulas() {
        assert_eq!(first(&Backoff::Fixed { delay: ns(7) }), [7; 6]);
        assert_eq!(first(&Backoff::Linear { initial: ns(5), step: ns(2) }), [5, 7, 9, 11, 13, 15]);
        assert_eq!(first(&Backoff::Exponential { initial: ns(5), factor: 2.0 }), [5, 10, 20, 40, 80, 160]);
        assert_eq!(first(&Backoff::Fibonacci { unit: ns(10) }), [10, 10, 20, 30, 50, 80]);
        assert_eq!(first(&Backoff::Decorrelated { base: ns(1), factor: 3.0 }), [1; 6]);
        assert_eq!(first(&Backoff::List { delays: [1, 2, 3].map(ns).into() }), [1, 2, 3, 3, 3, 3]);
    }

    #[test]
    fn far_attempts_saturate() {
        for backoff in [
            Backoff::Linear { initial: ns(1), step: ns(u64::MAX / 2) },
            Backoff::Exponential { initial: ns(MS), factor: 1.1 },
            Backoff::Fibonacci { unit: ns(MS) },
        ] {
            assert_eq!(backoff.plain(u32::MAX), u64::MAX, "{backoff:?}");
        }
        assert_eq!(FIBONACCI[92], 12_200_160_415_121_876_738);
        assert_eq!(fibonacci(93), u64::MAX);
    }

    #[test]
    fn decorrelated_follows_the_delay_before() {
        let backoff = Backoff::Decorrelated { base: ns(10), factor: 3.0 };
        let mut rng = Rng::seeded(5);
        for _ in 0..500 {
            assert!((10..=30).contains(&backoff.draw(1, None, Jitter::None, 1000, &mut rng)));
            assert!((10..=300).contains(&backoff.draw(9, Some(100), Jitter::None, 1000, &mut rng)));
            assert!((10..=50).contains(&backoff.draw(9, Some(100), Jitter::None, 50, &mut rng)));
        }
        assert_eq!(backoff.draw(1, None, Jitter::None, 3, &mut rng), 3);
    }
}
