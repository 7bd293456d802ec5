//! Delays as whole nanoseconds in a `u64`, with saturating operations.
//!
//! A `u64` of nanoseconds reaches 584 years. With it, four short functions guarantee that no input overflows, and no formula
//! has to. `Duration` arithmetic was the alternative: its operators panic, its checked forms are several times slower, and
//! its `mul_f64` panics on infinities and NaN, which high attempt numbers produce.

use std::time::Duration;

/// The nanoseconds of `duration`, at most `u64::MAX` (584 years).
pub(crate) const fn of(duration: Duration) -> u64 {
    let nanos = duration.as_nanos();
    if nanos > u64::MAX as u128 { u64::MAX } else { nanos as u64 }
}

/// `nanos × by`, rounded to nearest. `by` is never negative here; a product past the range, or `0 × ∞`,
/// saturates.
pub(crate) fn scale(nanos: u64, by: f64) -> u64 {
    if nanos == 0 {
        return 0; // 0 × ∞ is NaN, and zero is the answer wanted.
    }
    // A cast from f64 saturates at both ends and never panics.
    (nanos as f64 * by + 0.5) as u64
}

/// `initial × factor^steps`: the growth of an exponential backoff. Time logarithmic in `steps`.
pub(crate) fn grow(initial: u64, factor: f64, steps: u32) -> u64 {
    if steps == 0 {
        return initial; // exact even beyond 2^53, where f64 would round
    }
    scale(initial, power(factor, steps))
}

/// `base^exponent` by repeated squaring. `f64::powi` may round differently from platform to platform and
/// release to release; seeded delays must not, and plain multiplications do not.
fn power(base: f64, exponent: u32) -> f64 {
    let (mut square, mut left, mut product) = (base, exponent, 1.0);
    loop {
        if left & 1 == 1 {
            product *= square;
        }
        left >>= 1;
        if left == 0 {
            return product;
        }
        square *= square;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_saturates() {
        assert_eq!(of(Duration::MAX), u64::MAX);
        assert_eq!(of(Duration::from_secs(2)), 2_000_000_000);
        assert_eq!(scale(u64::MAX, f64::MAX), u64::MAX);
        assert_eq!(scale(0, f64::INFINITY), 0);
        assert_eq!(grow(1, 2.0, u32::MAX), u64::MAX);
        assert_eq!(grow(0, 2.0, u32::MAX), 0);
        assert_eq!(grow(5, 1.0, u32::MAX), 5);
        assert_eq!(grow(u64::MAX, 1.0, 0), u64::MAX);
    }

    #[test]
    fn powers() {
        assert_eq!(grow(1_000, 1.8, 2), 3_240);
        for exponent in 0..64 {
            assert_eq!(power(2.0, exponent), f64::from(exponent).exp2());
        }
    }
}
