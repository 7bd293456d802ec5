//! AVX2 and the other instructions of x86-64-v3: 32 bytes at once; bits counted, cleared and multiplied by one instruction.

#![expect(unsafe_code, reason = "instructions beyond the baseline of the target need it")]

use std::arch::is_x86_feature_detected as has;
use std::arch::x86_64::{
    __m256i, _mm_clmulepi64_si128, _mm_cvtsi64_si128, _mm_cvtsi128_si64, _mm_set1_epi8, _mm256_add_epi8,
    _mm256_cmpeq_epi8, _mm256_cmpgt_epi8, _mm256_loadu_si256, _mm256_min_epi8, _mm256_movemask_epi8,
    _mm256_or_si256, _mm256_set1_epi8, _mm256_slli_epi16,
};
use std::sync::LazyLock;

use super::{Machine, Task};
use crate::scan::lanes::BLOCK;

/// The proof that the processor has AVX2, BMI, LZCNT, POPCNT and PCLMULQDQ.
#[derive(Clone, Copy, Debug)]
pub(in crate::scan) struct Avx2(());

impl Avx2 {
    /// The proof, if this processor has all of them.
    #[inline]
    pub(in crate::scan) fn detected() -> Option<Self> {
        static DETECTED: LazyLock<bool> = LazyLock::new(|| {
            has!("avx2")
                && has!("bmi1")
                && has!("bmi2")
                && has!("lzcnt")
                && has!("popcnt")
                && has!("pclmulqdq")
        });
        DETECTED.then_some(Self(()))
    }

    /// Runs a task with these instructions: code inlined into a function is compiled for the features of that function.
    pub(super) fn run<T: Task>(self, task: T) -> T::Output {
        #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt,pclmulqdq")]
        fn run<T: Task>(machine: Avx2, task: T) -> T::Output {
            task.run(machine)
        }
        // SAFETY: `self` exists only where `detected` has found these features.
        unsafe { run(self, task) }
    }

    #[inline(always)]
    fn bits(self, [low, high]: [__m256i; 2]) -> u64 {
        // SAFETY: `self` proves AVX2.
        let (low, high) = unsafe { (_mm256_movemask_epi8(low) as u32, _mm256_movemask_epi8(high) as u32) };
        u64::from(low) | u64::from(high) << 32
    }

    #[inline(always)]
    fn all(self, byte: u8) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_set1_epi8(byte as i8) }
    }

    #[inline(always)]
    fn equal_lanes(self, lanes: __m256i, byte: u8) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_cmpeq_epi8(lanes, self.all(byte)) }
    }

    #[inline(always)]
    fn lanes_within(self, lanes: __m256i, low: u8, high: u8) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe {
            // Moves `low` to the least signed number.
            let above = _mm256_add_epi8(lanes, self.all(0x80_u8.wrapping_sub(low)));
            _mm256_cmpgt_epi8(self.all(0x81_u8.wrapping_add(high - low)), above)
        }
    }

    #[inline(always)]
    fn or_lanes(self, one: __m256i, other: __m256i) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_or_si256(one, other) }
    }
}

/// There are no closures here: a closure is not compiled for the features of the function around it unless it is inlined.
impl Machine for Avx2 {
    type Block = [__m256i; 2];

    #[inline(always)]
    fn block(self, bytes: &[u8; BLOCK]) -> Self::Block {
        let (halves, _) = bytes.as_chunks::<32>();
        // SAFETY: `self` proves AVX2, and each half has the 32 bytes that are read.
        unsafe {
            [_mm256_loadu_si256(halves[0].as_ptr().cast()), _mm256_loadu_si256(halves[1].as_ptr().cast())]
        }
    }

    #[inline(always)]
    fn equal(self, [low, high]: Self::Block, byte: u8) -> u64 {
        self.bits([self.equal_lanes(low, byte), self.equal_lanes(high, byte)])
    }

    #[inline(always)]
    fn within(self, [a, b]: Self::Block, low: u8, high: u8) -> u64 {
        self.bits([self.lanes_within(a, low, high), self.lanes_within(b, low, high)])
    }

    #[inline(always)]
    fn is_lower(self, [low, high]: Self::Block) -> u64 {
        // Bit 0x20 becomes the upper bit of its byte.
        // SAFETY: `self` proves AVX2.
        self.bits(unsafe { [_mm256_slli_epi16::<2>(low), _mm256_slli_epi16::<2>(high)] })
    }

    #[inline(always)]
    fn lower(self, [low, high]: Self::Block) -> Self::Block {
        [self.or_lanes(low, self.all(0x20)), self.or_lanes(high, self.all(0x20))]
    }

    #[inline(always)]
    fn or(self, one: Self::Block, other: Self::Block) -> Self::Block {
        [self.or_lanes(one[0], other[0]), self.or_lanes(one[1], other[1])]
    }

    #[inline(always)]
    fn has_non_ascii(self, block: Self::Block) -> bool {
        self.bits(block) != 0
    }

    #[inline(always)]
    fn has_rare(self, [low, high]: Self::Block) -> bool {
        let backslashes = self.or_lanes(self.equal_lanes(low, b'\\'), self.equal_lanes(high, b'\\'));
        // SAFETY: `self` proves AVX2.
        unsafe {
            // As signed numbers, the bytes above 127 are below zero.
            let beyond = _mm256_cmpgt_epi8(self.all(b' '), _mm256_min_epi8(low, high));
            _mm256_movemask_epi8(self.or_lanes(backslashes, beyond)) != 0
        }
    }

    #[inline(always)]
    fn parity(self, bits: u64) -> u64 {
        // The carry-less product with all ones has, at each bit, the exclusive or of the bits up to it.
        // SAFETY: `self` proves PCLMULQDQ; all of x86-64 has SSE2.
        unsafe {
            let product = _mm_clmulepi64_si128::<0>(_mm_cvtsi64_si128(bits as i64), _mm_set1_epi8(-1));
            _mm_cvtsi128_si64(product) as u64
        }
    }
}
