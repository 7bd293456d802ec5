//! The randomness behind jitter: small, seedable, the same on every platform and in every version.
//!
//! Jitter needs uniform, cheap draws, and no secrecy. SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom
//! Number Generators", OOPSLA 2014) has eight bytes of state, passes BigCrush, and has no bad seeds. It is written out here,
//! because this crate promises the same delays for the same seed in every version; a dependency's next release could change
//! them.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// From [`Rng::add_entropy`].
static ADDED: AtomicU64 = AtomicU64::new(0);

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
    /// On `wasm32-unknown-unknown` that randomness is a constant: all instances of a program would draw the same jitter and
    /// return to a recovering server together. The crate therefore compiles there only with one of two features: `wasm-js`
    /// takes the randomness of the JavaScript host, `wasm-host` that which the program passes to
    /// [`add_entropy`](Self::add_entropy).
    #[must_use]
    pub fn from_entropy() -> Self {
        let seed = RandomState::new().build_hasher().finish() ^ ADDED.load(Ordering::Relaxed);
        #[cfg(all(target_family = "wasm", target_os = "unknown", feature = "wasm-js"))]
        let seed = seed ^ of_js();
        Self::seeded(seed)
    }

    /// Changes the seeds of all generators that [`from_entropy`](Self::from_entropy) makes from now on in this process. For
    /// programs on `wasm32-unknown-unknown` without a JavaScript host: call it once at the start with a number that differs
    /// between instances.
    ///
    /// ```
    /// retry::Rng::add_entropy(0x5bd1_e995_9d4a_7c15); // from the host
    /// ```
    pub fn add_entropy(entropy: u64) {
        // One step of the generator, so that small numbers differ in all bits and equal ones do not cancel out.
        let add = |before: u64| Self::seeded(before ^ entropy).next_u64();
        ADDED.update(Ordering::Relaxed, Ordering::Relaxed, add);
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

/// Randomness of the JavaScript host; a host without any leaves what [`Rng::add_entropy`] got.
#[cfg(any(test, all(target_family = "wasm", target_os = "unknown", feature = "wasm-js")))]
fn of_js() -> u64 {
    getrandom::u64().unwrap_or_default()
}

#[cfg(all(
    target_family = "wasm",
    target_os = "unknown",
    not(any(feature = "wasm-js", feature = "wasm-host"))
))]
compile_error!(
    "on wasm32-unknown-unknown all instances would draw the same jitter; enable the feature `wasm-js` of `retry` for a \
     JavaScript host, or `wasm-host` and call `retry::Rng::add_entropy` at the start"
);

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
        assert_ne!(of_js(), of_js());
    }

    #[test]
    fn added_entropy_separates_instances() {
        let added = |entropy| {
            Rng::add_entropy(entropy);
            ADDED.load(Ordering::Relaxed)
        };
        let seen = [0, 1, 1, 1, 2].map(added);
        for (i, a) in seen.iter().enumerate() {
            assert!(seen[..i].iter().all(|b| (a ^ b).count_ones() > 8), "{seen:x?}");
        }
    }
}
