//! Comparing 16 or 64 bytes at once, as SIMD lanes. Answers have one bit per byte, the first byte in the lowest bit.
//!
//! `wide` compiles this to the baseline of the target: SSE2 on x86-64, NEON on 64-bit Arm, integer arithmetic elsewhere. Wider
//! instructions have to be detected at run time and need `unsafe`; only checking containers uses them (see
//! [`machine`](super::machine)), since most strings and members are shorter than 16 bytes.

use wide::u8x16;

/// The number of bytes in [`Lanes`].
pub(super) const WIDTH: usize = 16;

/// The number of bytes in a [`Block`].
pub(super) const BLOCK: usize = 64;

/// 16 bytes, or a mask for them: all ones for yes, zero for no.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lanes(u8x16);

impl Lanes {
    pub(super) const NONE: Self = Self(u8x16::ZERO);

    #[inline(always)]
    pub(super) fn new(bytes: &[u8; WIDTH]) -> Self {
        Self(u8x16::from(*bytes))
    }

    /// The mask of bytes that equal this one.
    #[inline(always)]
    pub(super) fn equal(self, byte: u8) -> Self {
        Self(self.0.simd_eq(u8x16::splat(byte)))
    }

    /// The mask of bytes from `low` to `high`, both included.
    #[inline(always)]
    pub(super) fn within(self, low: u8, high: u8) -> Self {
        let above = self.0 - u8x16::splat(low);
        Self(above.min(u8x16::splat(high - low)).simd_eq(above))
    }

    /// Each byte minus `low`, with wraparound.
    #[inline(always)]
    pub(super) fn above(self, low: u8) -> Self {
        Self(self.0 - u8x16::splat(low))
    }

    /// The lesser of each two bytes.
    #[inline(always)]
    pub(super) fn least(self, other: Self) -> Self {
        Self(self.0.min(other.0))
    }

    /// Whether any byte is at most `high`.
    #[inline(always)]
    pub(super) fn is_within(self, high: u8) -> bool {
        self.least(Self(u8x16::splat(high))).0.simd_eq(self.0).to_bitmask() != 0
    }

    /// The mask of bytes that are control characters or not ASCII.
    #[inline(always)]
    pub(super) fn beyond_printable(self) -> Self {
        // With the upper bit flipped, these are exactly the bytes below the flipped space.
        let flipped = self.0 ^ u8x16::splat(0x80);
        Self(flipped.min(u8x16::splat(0x9F)).simd_eq(flipped))
    }

    /// The bytes with bit 0x20 set, which makes ASCII letters lower case.
    #[inline(always)]
    pub(super) fn lower(self) -> Self {
        Self(self.0 | u8x16::splat(0x20))
    }

    /// The mask of bytes that have bit 0x20.
    #[inline(always)]
    pub(super) fn is_lower(self) -> Self {
        let bit = u8x16::splat(0x20);
        Self((self.0 & bit).simd_eq(bit))
    }

    #[inline(always)]
    pub(super) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[inline(always)]
    pub(super) fn xor(self, other: Self) -> Self {
        Self(self.0 ^ other.0)
    }

    /// Whether any of the bytes is above 127.
    #[inline(always)]
    pub(super) fn has_non_ascii(self) -> bool {
        self.0.to_bitmask() != 0
    }

    /// The mask as one bit per byte.
    #[inline(always)]
    pub(super) fn bits(self) -> u16 {
        self.0.to_bitmask() as u16
    }
}

/// 64 bytes, as many as a word has bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block([Lanes; 4]);

impl Block {
    #[inline(always)]
    pub(super) fn new(bytes: &[u8; BLOCK]) -> Self {
        let (chunks, _) = bytes.as_chunks::<WIDTH>();
        Self([0, 1, 2, 3].map(|chunk| Lanes::new(&chunks[chunk])))
    }

    /// Applies a function to each of its four parts.
    #[inline(always)]
    pub(super) fn map(self, ask: impl Fn(Lanes) -> Lanes) -> Self {
        Self(self.0.map(ask))
    }

    /// Combines its four parts.
    #[inline(always)]
    pub(super) fn fold(self, join: impl Fn(Lanes, Lanes) -> Lanes) -> Lanes {
        let [a, b, c, d] = self.0;
        join(join(a, b), join(c, d))
    }

    /// The bitwise "or" of both.
    #[inline(always)]
    pub(super) fn or(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Self([a.or(e), b.or(f), c.or(g), d.or(h)])
    }

    /// The mask as one bit per byte.
    #[inline(always)]
    pub(super) fn bits(self) -> u64 {
        let [a, b, c, d] = self.0.map(|lanes| u64::from(lanes.bits()));
        a | b << 16 | c << 32 | d << 48
    }
}

#[cfg(test)]
mod tests {
    use super::{Lanes, WIDTH};

    #[test]
    fn only_printable_ascii_is_printable() {
        for byte in 0..=u8::MAX {
            let bits = Lanes::new(&[byte; WIDTH]).beyond_printable().bits();
            assert_eq!(bits, if (b' '..=0x7F).contains(&byte) { 0 } else { u16::MAX }, "{byte}");
        }
    }
}
