//! The formulas: a [`Backoff`] compiled to nanoseconds.

use std::sync::Arc;
use std::time::Duration;

use super::Backoff;
use crate::{Jitter, Rng, nanos};

#[derive(Clone, Debug)]
pub(crate) enum Shape {
    Fixed(u64),
    Linear { initial: u64, step: u64 },
    Exponential { initial: u64, factor: f64 },
    Fibonacci(u64),
    Decorrelated { base: u64, factor: f64 },
    List(Arc<[Duration]>),
}

impl From<&Backoff> for Shape {
    fn from(backoff: &Backoff) -> Self {
        match backoff {
            Backoff::Fixed { delay } => Self::Fixed(nanos::of(*delay)),
            Backoff::Linear { initial, step } => {
                Self::Linear { initial: nanos::of(*initial), step: nanos::of(*step) }
            }
            Backoff::Exponential { initial, factor } => {
                Self::Exponential { initial: nanos::of(*initial), factor: *factor }
            }
            Backoff::Fibonacci { unit } => Self::Fibonacci(nanos::of(*unit)),
            Backoff::Decorrelated { base, factor } => {
                Self::Decorrelated { base: nanos::of(*base), factor: *factor }
            }
            Backoff::List { delays } => Self::List(Arc::clone(delays)),
        }
    }
}

impl Shape {
    /// Delay `k`, from 1, before jitter and cap; for decorrelated backoff the base.
    #[inline]
    pub(super) fn plain(&self, k: u32) -> u64 {
        let steps = k.saturating_sub(1);
        match self {
            Self::Fixed(delay) => *delay,
            Self::Linear { initial, step } => initial.saturating_add(step.saturating_mul(u64::from(steps))),
            Self::Exponential { initial, factor } => nanos::grow(*initial, *factor, steps),
            Self::Fibonacci(unit) => unit.saturating_mul(fibonacci(steps)),
            Self::Decorrelated { base, .. } => *base,
            Self::List(delays) => {
                let index = usize::try_from(steps).unwrap_or(usize::MAX);
                delays.get(index).or(delays.last()).copied().map_or(0, nanos::of)
            }
        }
    }

    /// Delay `k`, from 1, after jitter: at most `cap`. `previous` is the delay before it, if there was one.
    #[inline]
    pub(crate) fn draw(&self, k: u32, previous: Option<u64>, jitter: Jitter, cap: u64, rng: &mut Rng) -> u64 {
        if let Self::Decorrelated { base, factor } = self {
            let high = decorrelated_end(*base, *factor, previous);
            return base.saturating_add(rng.up_to(high - base)).min(cap);
        }
        jitter.apply(self.plain(k).min(cap), cap, rng)
    }

    /// The least and the most that delay `k` can be, if the delay before it was at most `previous`.
    pub(crate) fn bounds(&self, k: u32, previous: Option<u64>, jitter: Jitter, cap: u64) -> (u64, u64) {
        if let Self::Decorrelated { base, factor } = self {
            return ((*base).min(cap), decorrelated_end(*base, *factor, previous).min(cap));
        }
        jitter.bounds(self.plain(k).min(cap), cap)
    }

    /// The least delay of the backoff, against which the cap is checked.
    pub(crate) fn least(&self) -> u64 {
        match self {
            Self::List(delays) => delays.iter().copied().map(nanos::of).min().unwrap_or(0),
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
    use super::*;

    const MS: u64 = 1_000_000;

    fn first(shape: &Shape) -> Vec<u64> {
        (1..=6).map(|k| shape.plain(k)).collect()
    }

    #[test]
    fn the_formulas() {
        assert_eq!(first(&Shape::Fixed(7)), [7; 6]);
        assert_eq!(first(&Shape::Linear { initial: 5, step: 2 }), [5, 7, 9, 11, 13, 15]);
        assert_eq!(first(&Shape::Exponential { initial: 5, factor: 2.0 }), [5, 10, 20, 40, 80, 160]);
        assert_eq!(first(&Shape::Fibonacci(10)), [10, 10, 20, 30, 50, 80]);
        assert_eq!(first(&Shape::Decorrelated { base: 1, factor: 3.0 }), [1; 6]);
        let list = Shape::List([1, 2, 3].map(Duration::from_nanos).into());
        assert_eq!(first(&list), [1, 2, 3, 3, 3, 3]);
    }

    #[test]
    fn far_attempts_saturate() {
        for shape in [
            Shape::Linear { initial: 1, step: u64::MAX / 2 },
            Shape::Exponential { initial: MS, factor: 1.1 },
            Shape::Fibonacci(MS),
        ] {
            assert_eq!(shape.plain(u32::MAX), u64::MAX, "{shape:?}");
        }
        assert_eq!(FIBONACCI[92], 12_200_160_415_121_876_738);
        assert_eq!(fibonacci(93), u64::MAX);
    }

    #[test]
    fn decorrelated_follows_the_delay_before() {
        let shape = Shape::Decorrelated { base: 10, factor: 3.0 };
        let mut rng = Rng::seeded(5);
        for _ in 0..500 {
            assert!((10..=30).contains(&shape.draw(1, None, Jitter::None, 1000, &mut rng)));
            assert!((10..=300).contains(&shape.draw(9, Some(100), Jitter::None, 1000, &mut rng)));
            assert!((10..=50).contains(&shape.draw(9, Some(100), Jitter::None, 50, &mut rng)));
        }
        assert_eq!(shape.draw(1, None, Jitter::None, 3, &mut rng), 3);
    }
}
