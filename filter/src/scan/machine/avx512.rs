//! AVX-512 with its byte instructions: 64 bytes at once, and one instruction for the bits of an answer.

#![expect(unsafe_code, reason = "instructions beyond the baseline of the target need it")]

use std::arch::is_x86_feature_detected as has;
use std::arch::x86_64::{
    __m512i, _mm512_cmpeq_epi8_mask, _mm512_cmple_epu8_mask, _mm512_cmplt_epi8_mask, _mm512_loadu_si512,
    _mm512_movepi8_mask, _mm512_or_si512, _mm512_permutexvar_epi8, _mm512_set1_epi8, _mm512_sub_epi8,
    _mm512_ternarylogic_epi64, _mm512_test_epi8_mask,
};
use std::sync::LazyLock;

use super::avx2::Avx2;
use super::{Machine, Task};
use crate::scan::adjacent::{Adjacent, BEFORE, FIRST, SECOND, SEVENTH};
use crate::scan::lanes::BLOCK;

/// The proof that the processor has AVX-512 F, BW and VBMI, and what [`Avx2`] proves.
#[derive(Clone, Copy, Debug)]
pub(in crate::scan) struct Avx512(Avx2);

impl Avx512 {
    /// The proof, if this processor has all of them.
    #[inline]
    pub(in crate::scan) fn detected() -> Option<Self> {
        static DETECTED: LazyLock<Option<Avx512>> = LazyLock::new(|| {
            let avx2 = Avx2::detected()?;
            (has!("avx512f") && has!("avx512bw") && has!("avx512vbmi")).then_some(Avx512(avx2))
        });
        *DETECTED
    }

    /// Runs a task with these instructions: code inlined into a function is compiled for the features of that function.
    pub(super) fn run<T: Task>(self, task: T) -> T::Output {
        #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx2,bmi1,bmi2,lzcnt,popcnt,pclmulqdq")]
        fn run<T: Task>(machine: Avx512, task: T) -> T::Output {
            task.run(machine)
        }
        // SAFETY: `self` exists only where `detected` has found these features.
        unsafe { run(self, task) }
    }

    #[inline(always)]
    fn all(self, byte: u8) -> __m512i {
        // SAFETY: `self` proves AVX-512 F.
        unsafe { _mm512_set1_epi8(byte as i8) }
    }
}

/// For each byte, the index of the byte `by` places before it, or zero.
const fn earlier(by: u8) -> [u8; BLOCK] {
    let mut indices = [0; BLOCK];
    let mut at = by;
    while (at as usize) < BLOCK {
        indices[at as usize] = at - by;
        at += 1;
    }
    indices
}

impl Machine for Avx512 {
    type Block = __m512i;

    #[inline(always)]
    fn block(self, bytes: &[u8; BLOCK]) -> Self::Block {
        // SAFETY: `self` proves AVX-512 F, and there are the 64 bytes that are read.
        unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
    }

    #[inline(always)]
    fn equal(self, block: Self::Block, byte: u8) -> u64 {
        // SAFETY: `self` proves AVX-512 BW.
        unsafe { _mm512_cmpeq_epi8_mask(block, self.all(byte)) }
    }

    #[inline(always)]
    fn within(self, block: Self::Block, low: u8, high: u8) -> u64 {
        // SAFETY: `self` proves AVX-512 BW.
        unsafe { _mm512_cmple_epu8_mask(_mm512_sub_epi8(block, self.all(low)), self.all(high - low)) }
    }

    #[inline(always)]
    fn is_lower(self, block: Self::Block) -> u64 {
        // SAFETY: `self` proves AVX-512 BW.
        unsafe { _mm512_test_epi8_mask(block, self.all(0x20)) }
    }

    #[inline(always)]
    fn lower(self, block: Self::Block) -> Self::Block {
        self.or(block, self.all(0x20))
    }

    #[inline(always)]
    fn or(self, one: Self::Block, other: Self::Block) -> Self::Block {
        // SAFETY: `self` proves AVX-512 F.
        unsafe { _mm512_or_si512(one, other) }
    }

    #[inline(always)]
    fn has_non_ascii(self, block: Self::Block) -> bool {
        // SAFETY: `self` proves AVX-512 BW.
        unsafe { _mm512_movepi8_mask(block) != 0 }
    }

    #[inline(always)]
    fn has_rare(self, block: Self::Block) -> bool {
        // As signed numbers, the bytes above 127 are below zero.
        // SAFETY: `self` proves AVX-512 BW.
        let beyond = unsafe { _mm512_cmplt_epi8_mask(block, self.all(b' ')) };
        beyond | self.equal(block, b'\\') != 0
    }

    #[inline(always)]
    fn parity(self, bits: u64) -> u64 {
        self.0.parity(bits)
    }

    #[inline(always)]
    fn adjacent(self, block: Self::Block) -> Option<Adjacent> {
        /// The truth tables of `a & b & c` and `a ^ b & c`, of which the inputs are these.
        const A: i32 = 0b1111_0000;
        const B: i32 = 0b1100_1100;
        const C: i32 = 0b1010_1010;
        let seventh = self.all(SEVENTH);
        // SAFETY: `self` proves AVX-512 F, BW and VBMI.
        unsafe {
            let first = _mm512_permutexvar_epi8(self.block(&const { earlier(1) }), block);
            let before = _mm512_permutexvar_epi8(self.block(&const { earlier(2) }), block);
            // An index is the lower six bits of a byte.
            let before = _mm512_permutexvar_epi8(before, self.block(&BEFORE));
            let first = _mm512_permutexvar_epi8(first, self.block(&FIRST));
            let second = _mm512_permutexvar_epi8(block, self.block(&SECOND));
            let common = _mm512_ternarylogic_epi64::<{ A & B & C }>(before, first, second);
            let wrong = _mm512_ternarylogic_epi64::<{ A ^ B & C }>(common, block, seventh);
            Some(Adjacent {
                irregular: _mm512_test_epi8_mask(wrong, wrong),
                begins: _mm512_movepi8_mask(second),
            })
        }
    }
}
