//! Eight words in two registers of 256 bits, by name of their AVX2 instructions: for kernels that look up bytes ([`super::byte_look_up`]).
#![cfg(target_arch = "x86_64")]

use super::vector::{Block, Vector, operators};
use std::arch::x86_64::*;
use std::ops::{BitAnd, BitAndAssign, BitOr, BitOrAssign, BitXor, BitXorAssign, Not};

/// Two registers of 256 bits. Hidden from all but the kernels: every function here asks the processor for AVX2, and only bodies that run behind
/// `Chosen::Avx2` may use it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair(pub(super) [__m256i; 2]);

// SAFETY, of each `unsafe` in this module: the instruction exists, because code over `Pair` runs only behind `Chosen::Avx2`, which was made after the
// processor was asked. The instructions touch no memory.
operators! { Pair:
    BitAnd bitand BitAndAssign bitand_assign = |a, b| a.with(b, |a, b| unsafe { _mm256_and_si256(a, b) });
    BitOr bitor BitOrAssign bitor_assign = |a, b| a.with(b, |a, b| unsafe { _mm256_or_si256(a, b) });
    BitXor bitxor BitXorAssign bitxor_assign = |a, b| a.with(b, |a, b| unsafe { _mm256_xor_si256(a, b) });
}

impl Not for Pair {
    type Output = Self;
    #[inline(always)]
    fn not(self) -> Self {
        self ^ Self::splat(u64::MAX)
    }
}

impl Pair {
    /// An operation on each register.
    #[inline(always)]
    pub(super) fn with(self, other: Self, operation: impl Fn(__m256i, __m256i) -> __m256i) -> Self {
        Pair([operation(self.0[0], other.0[0]), operation(self.0[1], other.0[1])])
    }

    #[inline(always)]
    fn each(self, operation: impl Fn(__m256i) -> __m256i) -> Self {
        Pair(self.0.map(operation))
    }
}

#[allow(unsafe_code)]
impl Vector for Pair {
    #[inline(always)]
    fn splat(word: u64) -> Self {
        Pair([unsafe { _mm256_set1_epi64x(word as i64) }; 2])
    }
    #[inline(always)]
    fn from_block(block: Block) -> Self {
        // SAFETY: both are 64 bytes, and any bits are a value of either.
        Pair(unsafe { std::mem::transmute::<Block, [__m256i; 2]>(block) })
    }
    #[inline(always)]
    fn to_block(self) -> Block {
        // SAFETY: as above.
        unsafe { std::mem::transmute::<[__m256i; 2], Block>(self.0) }
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.with(other, |a, b| unsafe { _mm256_add_epi64(a, b) })
    }
    #[inline(always)]
    fn shift_left<const BITS: u32>(self) -> Self {
        self.each(|a| unsafe { _mm256_sll_epi64(a, _mm_cvtsi32_si128(BITS as i32)) })
    }
    #[inline(always)]
    fn shift_left_by(self, bits: u32) -> Self {
        self.each(|a| unsafe { _mm256_sll_epi64(a, _mm_cvtsi32_si128(bits as i32)) })
    }
    #[inline(always)]
    fn shift_right_by(self, bits: u32) -> Self {
        self.each(|a| unsafe { _mm256_srl_epi64(a, _mm_cvtsi32_si128(bits as i32)) })
    }
    #[inline(always)]
    fn rotate_left<const BITS: u32>(self) -> Self {
        // The two shifts share no bit.
        self.shift_left::<BITS>() | self.each(|a| unsafe { _mm256_srl_epi64(a, _mm_cvtsi32_si128(64 - BITS as i32)) })
    }
    #[inline(always)]
    fn any(self) -> bool {
        let all = unsafe { _mm256_or_si256(self.0[0], self.0[1]) };
        unsafe { _mm256_testz_si256(all, all) == 0 }
    }
    #[inline(always)]
    fn shift_right<const BITS: u32>(self) -> Self {
        self.each(|a| unsafe { _mm256_srl_epi64(a, _mm_cvtsi32_si128(BITS as i32)) })
    }
    #[inline(always)]
    fn permuted(self, places: Self) -> Self {
        // There is only a permutation of half words: word p is the halves 2p and 2p + 1.
        let low = places.add(places);
        let halves = low | low.add(Self::splat(1)).shift_left::<32>();
        self.with(halves, |words, halves| unsafe { _mm256_permutevar8x32_epi32(words, halves) })
    }
    #[inline(always)]
    fn shift_left_each(self, bits: Self) -> Self {
        self.with(bits, |words, bits| unsafe { _mm256_sllv_epi64(words, bits) })
    }
    #[inline(always)]
    fn shift_right_each(self, bits: Self) -> Self {
        self.with(bits, |words, bits| unsafe { _mm256_srlv_epi64(words, bits) })
    }
}
