//! [`Jitter`]: random spread of delays, so that clients that fail together do not retry together.
//!
//! Each kind is a uniform draw from an interval around the backoff's delay. [`Jitter::apply`] draws from the interval and
//! [`Jitter::bounds`] reports it, so the two cannot differ. No result exceeds the cap.

use crate::{Rng, nanos};

/// How each delay is spread around the backoff's delay.
///
/// With `d` for the backoff's delay, already cut to the maximum delay `cap`:
///
/// | kind | drawn evenly from | then | source |
/// | --- | --- | --- | --- |
/// | `None` | `d` | | |
/// | `Full` | 0 … d | | AWS: `random(0, min(cap, base·2ⁿ))` |
/// | `Equal` | d/2 … d | | AWS: `v/2 + random(0, v/2)` |
/// | `Plus` | d … 2d | cut to `cap` | Trigger.dev's `randomize`; backon |
/// | `Around { ratio }` | d·(1−ratio) … d·(1+ratio), its upper end cut to `cap` | | gRPC's connection backoff (0.2) |
///
/// AWS's three are from Marc Brooker, "Exponential Backoff and Jitter" (AWS Architecture Blog, 2015), which
/// also finds that `Full` makes clients do the least work in total; it is the default. `Plus` never retries sooner than the
/// backoff's delay but, once `d` reaches the cap, always gives the cap: clients in a long outage retry together.
///
/// ```
/// use retry::{Jitter, Policy};
/// use std::time::Duration;
///
/// let policy = Policy::fixed(Duration::from_secs(10)).jitter(Jitter::Around { ratio: 0.2 }).build()?;
/// assert!(policy.delays().seeded(7).all(|d| d >= Duration::from_secs(8) && d <= Duration::from_secs(12)));
/// # Ok::<(), retry::PolicyError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schema",
    schemars(description = "How each delay is spread around the backoff's delay.")
)]
pub enum Jitter {
    /// The delay unchanged. Only for a single client.
    None,
    /// From zero to the delay.
    #[default]
    Full,
    /// From half the delay to the delay.
    Equal,
    /// From the delay to twice the delay.
    Plus,
    /// From a share below the delay to the same share above it.
    Around {
        /// The share, from 0 to 1.
        #[cfg_attr(feature = "schema", schemars(range(min = 0.0, max = 1.0)))]
        ratio: f64,
    },
}

#[cfg(feature = "serde")]
crate::choice::choice!(
    Jitter,
    "one of none, full, equal, plus, or an object with around as its only member",
    ["none", "full", "equal", "plus"]
);

impl Jitter {
    /// Draws a delay in nanoseconds, for a backoff's delay that is at most `cap`.
    #[inline]
    pub(crate) fn apply(self, delay: u64, cap: u64, rng: &mut Rng) -> u64 {
        // Each kind by itself, as most need neither saturation nor the cap; the draws are those from `interval`.
        match self {
            Self::None => delay,
            Self::Full => rng.up_to(delay),
            Self::Equal => delay / 2 + rng.up_to(delay - delay / 2),
            Self::Plus => delay.saturating_add(rng.up_to(delay.saturating_mul(2) - delay)).min(cap),
            Self::Around { .. } => {
                let (low, high) = self.interval(delay, cap);
                low.saturating_add(rng.up_to(high.saturating_sub(low))).min(cap)
            }
        }
    }

    /// The least and the most that [`apply`](Self::apply) can return.
    pub(crate) fn bounds(self, delay: u64, cap: u64) -> (u64, u64) {
        let (low, high) = self.interval(delay, cap);
        (low, high.min(cap))
    }

    /// The interval to draw from. Only `Plus` exceeds the cap: Trigger.dev's formula draws first and caps then, so its
    /// delays pile up at the cap. For `Around` the interval is capped, and the draw stays uniform.
    #[inline]
    fn interval(self, delay: u64, cap: u64) -> (u64, u64) {
        match self {
            Self::None => (delay, delay),
            Self::Full => (0, delay),
            Self::Equal => (delay / 2, delay),
            Self::Plus => (delay, delay.saturating_mul(2)),
            Self::Around { ratio } => {
                let spread = nanos::scale(delay, ratio);
                (delay.saturating_sub(spread), delay.saturating_add(spread).min(cap))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Jitter; 6] = [
        Jitter::None,
        Jitter::Full,
        Jitter::Equal,
        Jitter::Plus,
        Jitter::Around { ratio: 0.2 },
        Jitter::Around { ratio: 1.0 },
    ];

    #[test]
    fn bounds_match_the_table() {
        for (jitter, bounds) in
            ALL.into_iter().zip([(100, 100), (0, 100), (50, 100), (100, 150), (80, 120), (0, 150)])
        {
            assert_eq!(jitter.bounds(100, 150), bounds, "{jitter:?}");
        }
        assert_eq!(Jitter::Plus.bounds(150, 150), (150, 150));
        assert_eq!(Jitter::Around { ratio: 0.2 }.bounds(150, 150), (120, 150));
    }

    #[test]
    fn draws_stay_within_bounds_and_reach_them() {
        let mut rng = Rng::seeded(3);
        for jitter in ALL {
            let (low, high) = jitter.bounds(10, 15);
            let drawn: Vec<u64> = (0..2000).map(|_| jitter.apply(10, 15, &mut rng)).collect();
            assert_eq!(drawn.iter().min(), Some(&low), "{jitter:?}");
            assert_eq!(drawn.iter().max(), Some(&high), "{jitter:?}");
        }
    }

    #[test]
    fn nothing_overflows() {
        let mut rng = Rng::seeded(3);
        for jitter in ALL {
            for delay in [0, 1, u64::MAX / 2 + 1, u64::MAX] {
                for cap in [delay, u64::MAX] {
                    assert!(jitter.apply(delay, cap, &mut rng) <= cap);
                }
            }
        }
    }
}
