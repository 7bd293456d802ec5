//! Many bytes compared at once: the bytes of a chunk as lanes, and the answers as one bit for each, the first byte lowest.
//!
//! `wide` makes of this the instructions that the target is sure to have: SSE2 on x86-64, NEON on 64-bit Arm, words
//! elsewhere. Wider ones, which have to be found at run time and called through `unsafe`, are for checking containers only
//! (see [`machine`](super::machine)): strings and members are mostly shorter than what is here.

use wide::u8x16;

/// How many bytes there are in [`Lanes`].
pub(super) const WIDTH: usize = 16;

/// How many bytes there are in a [`Block`].
pub(super) const BLOCK: usize = 64;

/// Bytes, or which of them are meant: all ones for yes, zero for no.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lanes(u8x16);

impl Lanes {
    pub(super) const NONE: Self = Self(u8x16::ZERO);

    #[inline(always)]
    pub(super) fn new(bytes: &[u8; WIDTH]) -> Self {
        Self(u8x16::from(*bytes))
    }

    /// Which bytes are this one.
    #[inline(always)]
    pub(super) fn equal(self, byte: u8) -> Self {
        Self(self.0.simd_eq(u8x16::splat(byte)))
    }

    /// Which bytes lie from `low` to `high`, both included.
    #[inline(always)]
    pub(super) fn within(self, low: u8, high: u8) -> Self {
        let above = self.0 - u8x16::splat(low);
        Self(above.min(u8x16::splat(high - low)).simd_eq(above))
    }

    /// How far each byte is above one, around the end.
    #[inline(always)]
    pub(super) fn above(self, low: u8) -> Self {
        Self(self.0 - u8x16::splat(low))
    }

    /// The lesser of each two bytes.
    #[inline(always)]
    pub(super) fn least(self, other: Self) -> Self {
        Self(self.0.min(other.0))
    }

    /// Whether any byte is not greater than one.
    #[inline(always)]
    pub(super) fn is_within(self, high: u8) -> bool {
        self.least(Self(u8x16::splat(high))).0.simd_eq(self.0).to_bitmask() != 0
    }

    /// Which bytes are no ASCII, or control characters.
    #[inline(always)]
    pub(super) fn beyond_printable(self) -> Self {
        // With the upper bit flipped, these are the bytes below what a space becomes.
        let flipped = self.0 ^ u8x16::splat(0x80);
        Self(flipped.min(u8x16::splat(0x9F)).simd_eq(flipped))
    }

    /// The bytes with the bit set that makes letters lower case.
    #[inline(always)]
    pub(super) fn lower(self) -> Self {
        Self(self.0 | u8x16::splat(0x20))
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

    /// One bit for each byte that is meant.
    #[inline(always)]
    pub(super) fn bits(self) -> u16 {
        self.0.to_bitmask() as u16
    }
}

/// As many bytes as a word has bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block([Lanes; 4]);

impl Block {
    #[inline(always)]
    pub(super) fn new(bytes: &[u8; BLOCK]) -> Self {
        let (chunks, _) = bytes.as_chunks::<WIDTH>();
        Self([0, 1, 2, 3].map(|chunk| Lanes::new(&chunks[chunk])))
    }

    /// What is asked of each of its parts.
    #[inline(always)]
    pub(super) fn map(self, ask: impl Fn(Lanes) -> Lanes) -> Self {
        Self(self.0.map(ask))
    }

    /// Its four parts, put together one with the other.
    #[inline(always)]
    pub(super) fn fold(self, join: impl Fn(Lanes, Lanes) -> Lanes) -> Lanes {
        let [a, b, c, d] = self.0;
        join(join(a, b), join(c, d))
    }

    /// The bytes of both, put together by "or".
    #[inline(always)]
    pub(super) fn or(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Self([a.or(e), b.or(f), c.or(g), d.or(h)])
    }

    /// One bit for each byte that is meant.
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
    fn printable_is_told_from_all_else() {
        for byte in 0..=u8::MAX {
            let bits = Lanes::new(&[byte; WIDTH]).beyond_printable().bits();
            assert_eq!(bits, if (b' '..=0x7F).contains(&byte) { 0 } else { u16::MAX }, "{byte}");
        }
    }
}
