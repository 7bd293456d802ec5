//! How 64 bytes are looked at together, by the instructions that there are.
//!
//! A value of a [`Machine`] is the proof that its instructions are there, and each of its answers is one bit for each byte,
//! the first byte lowest. [`Baseline`] is what the target is sure to have, and always right; wider ones are found at run time.
//!
//! AVX2 and the bit instructions of its time make checking a container take a quarter less. Much of the rest is arithmetic on the
//! bits: AVX-512, with a third of AVX2's instructions for each answer, was faster by less than the noise, and is not here.

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2;

use std::fmt::Debug;

use super::lanes::{BLOCK, Block, Lanes};

/// Instructions for blocks of 64 bytes.
pub(super) trait Machine: Copy + Debug {
    /// As many bytes as a word has bits.
    type Block: Copy + Debug;

    fn block(self, bytes: &[u8; BLOCK]) -> Self::Block;

    /// Which bytes are this one.
    fn equal(self, block: Self::Block, byte: u8) -> u64;

    /// Which bytes lie from `low` to `high`, both included.
    fn within(self, block: Self::Block, low: u8, high: u8) -> u64;

    /// The bytes with the bit set that makes letters lower case.
    fn lower(self, block: Self::Block) -> Self::Block;

    /// The bytes of two blocks, put together by "or".
    fn or(self, one: Self::Block, other: Self::Block) -> Self::Block;

    /// Whether any byte is above 127.
    fn has_non_ascii(self, block: Self::Block) -> bool;

    /// Whether any byte is a control character, a blank or a backslash.
    fn has_rare(self, block: Self::Block) -> bool;

    /// For each bit whether an odd number of bits is set up to it, itself included.
    fn parity(self, bits: u64) -> u64;
}

/// What every processor of the target has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Baseline;

impl Machine for Baseline {
    type Block = Block;

    #[inline(always)]
    fn block(self, bytes: &[u8; BLOCK]) -> Block {
        Block::new(bytes)
    }

    #[inline(always)]
    fn equal(self, block: Block, byte: u8) -> u64 {
        block.map(|lanes| lanes.equal(byte)).bits()
    }

    #[inline(always)]
    fn within(self, block: Block, low: u8, high: u8) -> u64 {
        block.map(|lanes| lanes.within(low, high)).bits()
    }

    #[inline(always)]
    fn lower(self, block: Block) -> Block {
        block.map(Lanes::lower)
    }

    #[inline(always)]
    fn or(self, one: Block, other: Block) -> Block {
        one.or(other)
    }

    #[inline(always)]
    fn has_non_ascii(self, block: Block) -> bool {
        block.fold(Lanes::or).has_non_ascii()
    }

    #[inline(always)]
    fn has_rare(self, block: Block) -> bool {
        block.map(|lanes| lanes.within(0, b' ').or(lanes.equal(b'\\'))).fold(Lanes::or).bits() != 0
    }

    #[inline(always)]
    fn parity(self, bits: u64) -> u64 {
        let mut parity = bits;
        for shift in [1, 2, 4, 8, 16, 32] {
            parity ^= parity << shift;
        }
        parity
    }
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, Baseline, Machine};

    fn check(machine: impl Machine) {
        for byte in 0..=u8::MAX {
            for place in 0..BLOCK {
                let mut bytes = [byte.wrapping_add(1); BLOCK];
                bytes[place] = byte;
                let block = machine.block(&bytes);
                assert_eq!(machine.equal(block, byte), 1 << place);
                assert_eq!(machine.equal(block, byte.wrapping_add(1)), !(1 << place));
            }
            for place in [0, 15, 16, 31, 32, 63] {
                let mut bytes = [b'a'; BLOCK];
                bytes[place] = byte;
                let block = machine.block(&bytes);
                assert_eq!(machine.has_non_ascii(block), !byte.is_ascii(), "{byte}");
                assert_eq!(machine.has_rare(block), byte <= b' ' || byte == b'\\', "{byte}");
                let other = machine.block(&[byte | 0x20; BLOCK]);
                assert_eq!(machine.equal(machine.lower(block), byte | 0x20) >> place & 1, 1);
                let or = machine.or(block, other);
                assert_eq!(machine.equal(or, b'a' | byte | 0x20) | 1 << place, !0);
                for (low, high) in [(0, 0x1F), (b'0', b'9'), (0x80, 0xFF), (7, 7)] {
                    let within = machine.within(block, low, high);
                    assert_eq!(within >> place & 1 == 1, (low..=high).contains(&byte), "{byte}");
                }
            }
        }
        for bits in [0_u64, 1, 0b1010, !0, 1 << 63, 0x8000_0000_0100_8001] {
            let parity = (0..64).filter(|place| (bits & (!0 >> (63 - place))).count_ones() % 2 == 1);
            assert_eq!(machine.parity(bits), parity.fold(0, |parity, place| parity | 1 << place), "{bits:x}");
        }
    }

    #[test]
    fn bytes_are_told_apart() {
        check(Baseline);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn bytes_are_told_apart_by_wider_instructions() {
        match super::avx2::Avx2::detected() {
            Some(machine) => check(machine),
            None => eprintln!("not on this processor"),
        }
    }
}
