//! The randomness behind jitter: small, seedable, the same on every platform and in every version.
//!
//! Jitter needs uniform, cheap draws, and no secrecy. SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom
//! Number Generators", OOPSLA 2014) has eight bytes of state, passes BigCrush, and has no bad seeds. It is written out here,
//! because this crate promises the same delays for the same seed in every version; a dependency's next release could change
//! them.

use std::hash::{BuildHasher, Hasher, RandomState};

/// A generator of random numbers for jitter. Not for secrets.
///
/// The same seed gives the same numbers in every version, so a test can pin every delay of a policy.
///
/// ```
/// use retry::Rng;
///
/// let (mut a, mut b) = (Rng::seeded(7), Rng::seeded(7));
/// assert_eq!(a.next_u64(), b.next_u64());
/// assert!(a.up_to(10) <= 10);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// A generator whose numbers depend on `seed` alone. No seed is worse than another.
    #[must_use]
    pub const fn seeded(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A generator seeded from the randomness of the standard library's hash maps: different in each call and each process.
    ///
    /// On `wasm32-unknown-unknown` that randomness is a constant, and all instances would draw the same jitter. There,
    /// feature `wasm-js` seeds from the JavaScript host; without it, use [`seeded`](Self::seeded) with the host's randomness.
    #[must_use]
    pub fn from_entropy() -> Self {
        let seed = RandomState::new().build_hasher().finish();
        #[cfg(all(target_family = "wasm", target_os = "unknown", feature = "wasm-js"))]
        let seed = seed ^ getrandom::u64().unwrap_or_default();
        Self::seeded(seed)
    }

    /// The next number, each of the 2^64 equally likely.
    #[inline]
    pub const fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from 0 to `max`, both included.
    ///
    /// Multiplies and keeps the high half (Lemire, "Fast Random Integer Generation in an Interval", 2019) without the
    /// rejection step: the bias is below `max`/2^64, which jitter cannot show.
    #[inline]
    pub const fn up_to(&mut self, max: u64) -> u64 {
        // (2^64 − 1) · (max + 1) < 2^128, so the product cannot overflow, and its high half is at most `max`.
        ((self.next_u64() as u128 * (max as u128 + 1)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first outputs for seed 1234567 as published with the reference implementation (prng.di.unimi.it).
    #[test]
    fn is_splitmix64() {
        let mut rng = Rng::seeded(1_234_567);
        let drawn = [rng.next_u64(), rng.next_u64(), rng.next_u64()];
        assert_eq!(drawn, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn up_to_includes_both_ends() {
        let mut rng = Rng::seeded(1);
        let mut seen = [false; 4];
        for _ in 0..200 {
            seen[rng.up_to(3) as usize] = true;
        }
        assert_eq!(seen, [true; 4]);
        assert_eq!(rng.up_to(0), 0);
        let _ = rng.up_to(u64::MAX);
    }

    #[test]
    fn entropy_differs_between_calls() {
        assert_ne!(Rng::from_entropy(), Rng::from_entropy());
    }
}
