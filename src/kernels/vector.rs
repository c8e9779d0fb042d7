//! Eight words as one value, so that a kernel is written once and still keeps its values in registers.
//!
//! There are three kinds. `Register` is one 512-bit register, for AVX-512, by name of its instructions; `Pair` (`pair`) is two of 256 bits, where a
//! kernel wants AVX2 by name. [`Halves`] is two `wide::u64x4`, for everything else: `wide` chooses its instructions for the baseline of the build, which has AVX2 wherever there is x86. Loops over `[u64; 8]` would be shorter, but
//! where such values live across a loop the compiler (1.95) takes them apart into eight scalars for AVX2, at half the speed, and shuffles pieces of
//! registers for AVX-512.

use super::generator::Lanes;
use std::ops::{BitAnd, BitAndAssign, BitOr, BitOrAssign, BitXor, BitXorAssign, Not};
use wide::u64x4;

/// The words of a block.
pub const BLOCK: usize = 8;

/// Eight words, a vector of 512 slots.
pub type Block = [u64; BLOCK];

/// Operations on eight words at once.
pub trait Vector:
    Copy + BitAnd<Output = Self> + BitOr<Output = Self> + BitXor<Output = Self> + Not<Output = Self> + BitAndAssign + BitOrAssign + BitXorAssign
{
    /// The same word eight times.
    fn splat(word: u64) -> Self;
    /// From memory order.
    fn from_block(block: Block) -> Self;
    /// To memory order.
    fn to_block(self) -> Block;
    /// Sums modulo 2^64.
    fn add(self, other: Self) -> Self;
    /// Each word shifted left.
    fn shift_left<const BITS: u32>(self) -> Self;
    /// Each word shifted left, by less than 64.
    fn shift_left_by(self, bits: u32) -> Self;
    /// Each word shifted right, by less than 64.
    fn shift_right_by(self, bits: u32) -> Self;
    /// Each word rotated left, 0 < BITS < 64.
    fn rotate_left<const BITS: u32>(self) -> Self;
    /// Whether any bit is set.
    fn any(self) -> bool;
    /// Each word shifted right.
    fn shift_right<const BITS: u32>(self) -> Self;
    /// The sum modulo 2 of three bits.
    #[inline(always)]
    fn parity(self, second: Self, third: Self) -> Self {
        // In this order xoshiro's s2 ^ s0 is found once.
        self ^ (second ^ third)
    }
    /// The majority of three bits: the carry of their sum.
    #[inline(always)]
    fn majority(self, second: Self, third: Self) -> Self {
        (self & second) | (third & (self ^ second))
    }
    /// The sum of three bits: their parity, and the carry, which is their majority.
    #[inline(always)]
    fn full_adder(self, second: Self, third: Self) -> (Self, Self) {
        (self.parity(second, third), self.majority(second, third))
    }
    /// The number of set bits of each word.
    #[inline(always)]
    fn ones(self) -> Self {
        Self::from_block(self.to_block().map(|word| u64::from(word.count_ones())))
    }
    /// The last word replaced.
    #[inline(always)]
    fn with_last(self, word: u64) -> Self {
        let mut words = self.to_block();
        words[BLOCK - 1] = word;
        Self::from_block(words)
    }

    /// Word i becomes word `places[i]`, which is in the same half of the block.
    #[inline(always)]
    fn permuted(self, places: Self) -> Self {
        let words = self.to_block();
        Self::from_block(places.to_block().map(|place| words[place as usize % BLOCK]))
    }
    /// Each word shifted left by bits of its own, less than 64.
    #[inline(always)]
    fn shift_left_each(self, bits: Self) -> Self {
        let (words, bits) = (self.to_block(), bits.to_block());
        Self::from_block(std::array::from_fn(|word| words[word] << (bits[word] % 64)))
    }
    /// Each word shifted right by bits of its own, less than 64.
    #[inline(always)]
    fn shift_right_each(self, bits: Self) -> Self {
        let (words, bits) = (self.to_block(), bits.to_block());
        Self::from_block(std::array::from_fn(|word| words[word] >> (bits[word] % 64)))
    }

    /// Each word shifted right by a byte, and the lowest byte of the word of `byte` on top.
    #[inline(always)]
    fn push_byte(self, byte: Self) -> Self {
        self.shift_right::<8>() | byte.shift_left::<56>()
    }
    /// For each of the eight bytes of a word, from the lowest on: the sum over the words.
    #[inline(always)]
    fn byte_sums(self) -> Block {
        // The lower byte of each 16 bits, and the upper one: eight bytes stay below 2^16.
        const LOW_BYTES: u64 = u64::MAX / 0x101;
        let words = self.to_block();
        let lower: u64 = words.iter().map(|word| word & LOW_BYTES).sum();
        let upper: u64 = words.iter().map(|word| word >> 8 & LOW_BYTES).sum();
        std::array::from_fn(|byte| (if byte % 2 == 0 { lower } else { upper }) >> (16 * (byte / 2)) & 0xFFFF)
    }

    /// Eight words of a slice, from `at` on.
    #[inline(always)]
    fn load(words: &[u64], at: usize) -> Self {
        let mut block = [0; BLOCK];
        block.copy_from_slice(&words[at..at + BLOCK]);
        Self::from_block(block)
    }

    /// Eight words of a slice, from `at` on, where it was seen before that there are so many. For loops in which the check of every load would keep the compiler from mixing the
    /// instructions of one step with those of the next.
    ///
    /// # Safety
    /// `at + BLOCK <= words.len()`.
    #[inline(always)]
    unsafe fn load_known(words: &[u64], at: usize) -> Self {
        debug_assert!(at + BLOCK <= words.len());
        // SAFETY: the caller vouches for the words; a Block may lie wherever a word may.
        Self::from_block(unsafe { words.as_ptr().add(at).cast::<Block>().read() })
    }

    /// Writes the lower and the upper half of each word.
    #[inline(always)]
    fn store_halves(self, numbers: &mut [u32; 2 * BLOCK]) {
        for (numbers, word) in numbers.as_chunks_mut::<2>().0.iter_mut().zip(self.to_block()) {
            *numbers = [word as u32, (word >> 32) as u32];
        }
    }

    /// Writes eight words of a slice, from `at` on.
    #[inline(always)]
    fn store(self, words: &mut [u64], at: usize) {
        words[at..at + BLOCK].copy_from_slice(&self.to_block());
    }
}

/// Eight words in two registers of 256 bits, or whatever the baseline of the build has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Halves(u64x4, u64x4);

impl Halves {
    /// The first four words and the last four.
    #[inline(always)]
    pub fn parts(self) -> [u64x4; 2] {
        [self.0, self.1]
    }

    /// Of the first four words and the last four.
    #[inline(always)]
    pub fn from_parts([first, last]: [u64x4; 2]) -> Self {
        Halves(first, last)
    }
}

macro_rules! operators {
    ($vector:ident: $($trait:ident $method:ident $assign_trait:ident $assign_method:ident = |$a:ident, $b:ident| $value:expr;)*) => {$(
        impl $trait for $vector {
            type Output = Self;
            #[inline(always)]
            #[allow(unsafe_code)]
            fn $method(self, other: Self) -> Self {
                let ($a, $b) = (self, other);
                $value
            }
        }
        impl $assign_trait for $vector {
            #[inline(always)]
            fn $assign_method(&mut self, other: Self) {
                *self = $trait::$method(*self, other);
            }
        }
    )*};
}
#[cfg(target_arch = "x86_64")]
pub(super) use operators;

operators! { Halves:
    BitAnd bitand BitAndAssign bitand_assign = |a, b| Halves(a.0 & b.0, a.1 & b.1);
    BitOr bitor BitOrAssign bitor_assign = |a, b| Halves(a.0 | b.0, a.1 | b.1);
    BitXor bitxor BitXorAssign bitxor_assign = |a, b| Halves(a.0 ^ b.0, a.1 ^ b.1);
}

impl Not for Halves {
    type Output = Self;
    #[inline(always)]
    fn not(self) -> Self {
        Halves(!self.0, !self.1)
    }
}

impl Vector for Halves {
    #[inline(always)]
    fn splat(word: u64) -> Self {
        Halves(u64x4::splat(word), u64x4::splat(word))
    }
    #[inline(always)]
    fn from_block([a, b, c, d, e, f, g, h]: Block) -> Self {
        Halves(u64x4::new([a, b, c, d]), u64x4::new([e, f, g, h]))
    }
    #[inline(always)]
    fn to_block(self) -> Block {
        let ([a, b, c, d], [e, f, g, h]) = (self.0.to_array(), self.1.to_array());
        [a, b, c, d, e, f, g, h]
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Halves(self.0 + other.0, self.1 + other.1)
    }
    #[inline(always)]
    fn shift_left<const BITS: u32>(self) -> Self {
        Halves(self.0 << BITS, self.1 << BITS)
    }
    #[inline(always)]
    fn shift_left_by(self, bits: u32) -> Self {
        Halves(self.0 << bits, self.1 << bits)
    }
    #[inline(always)]
    fn shift_right_by(self, bits: u32) -> Self {
        Halves(self.0 >> bits, self.1 >> bits)
    }
    #[inline(always)]
    fn rotate_left<const BITS: u32>(self) -> Self {
        // The two shifts share no bit.
        self.shift_left::<BITS>() | Halves(self.0 >> (64 - BITS), self.1 >> (64 - BITS))
    }
    #[inline(always)]
    fn any(self) -> bool {
        (self.0 | self.1).to_array().iter().fold(0, |all, word| all | word) != 0
    }
    #[inline(always)]
    fn shift_right<const BITS: u32>(self) -> Self {
        Halves(self.0 >> BITS, self.1 >> BITS)
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use register::Register;

#[cfg(target_arch = "x86_64")]
mod register {
    use super::*;
    use std::arch::x86_64::*;

    /// Eight words in one register of 512 bits. Hidden from all but the kernels: every function here asks the processor for AVX-512 F, and only bodies
    /// that `dispatch!` runs as `avx512` may use it.
    #[derive(Debug, Clone, Copy)]
    pub(in super::super) struct Register(pub(in super::super) __m512i);

    impl Register {
        /// The register itself, for `numbers`.
        #[inline(always)]
        pub(in super::super) fn bits(self) -> __m512i {
            self.0
        }
    }

    // SAFETY, of each `unsafe` in this module: the instruction exists, because code over `Register` runs only behind `Chosen::Avx512`, which was made
    // after the processor was asked. The instructions touch no memory.
    operators! { Register:
        BitAnd bitand BitAndAssign bitand_assign = |a, b| Register(unsafe { _mm512_and_si512(a.0, b.0) });
        BitOr bitor BitOrAssign bitor_assign = |a, b| Register(unsafe { _mm512_or_si512(a.0, b.0) });
        BitXor bitxor BitXorAssign bitxor_assign = |a, b| Register(unsafe { _mm512_xor_si512(a.0, b.0) });
    }

    impl Not for Register {
        type Output = Self;
        #[inline(always)]
        fn not(self) -> Self {
            self ^ Self::splat(u64::MAX)
        }
    }

    #[allow(unsafe_code)]
    impl Vector for Register {
        #[inline(always)]
        fn splat(word: u64) -> Self {
            Register(unsafe { _mm512_set1_epi64(word as i64) })
        }
        #[inline(always)]
        fn from_block(block: Block) -> Self {
            // SAFETY: both are 64 bytes, and any bits are a value of either.
            Register(unsafe { std::mem::transmute::<Block, __m512i>(block) })
        }
        #[inline(always)]
        fn to_block(self) -> Block {
            // SAFETY: as above.
            unsafe { std::mem::transmute::<__m512i, Block>(self.0) }
        }
        #[inline(always)]
        fn add(self, other: Self) -> Self {
            Register(unsafe { _mm512_add_epi64(self.0, other.0) })
        }
        #[inline(always)]
        fn shift_left<const BITS: u32>(self) -> Self {
            Register(unsafe { _mm512_slli_epi64::<BITS>(self.0) })
        }
        #[inline(always)]
        fn shift_left_by(self, bits: u32) -> Self {
            Register(unsafe { _mm512_sll_epi64(self.0, _mm_cvtsi32_si128(bits as i32)) })
        }
        #[inline(always)]
        fn shift_right_by(self, bits: u32) -> Self {
            Register(unsafe { _mm512_srl_epi64(self.0, _mm_cvtsi32_si128(bits as i32)) })
        }
        #[inline(always)]
        fn rotate_left<const BITS: u32>(self) -> Self {
            // The form with an immediate wants a signed constant, which a generic one cannot be turned into; the compiler finds the immediate itself.
            Register(unsafe { _mm512_rolv_epi64(self.0, _mm512_set1_epi64(i64::from(BITS))) })
        }
        #[inline(always)]
        fn any(self) -> bool {
            unsafe { _mm512_test_epi64_mask(self.0, self.0) != 0 }
        }
        #[inline(always)]
        fn shift_right<const BITS: u32>(self) -> Self {
            Register(unsafe { _mm512_srli_epi64::<BITS>(self.0) })
        }
        #[inline(always)]
        fn parity(self, second: Self, third: Self) -> Self {
            Register(unsafe { _mm512_ternarylogic_epi64::<0x96>(self.0, second.0, third.0) })
        }
        #[inline(always)]
        fn majority(self, second: Self, third: Self) -> Self {
            Register(unsafe { _mm512_ternarylogic_epi64::<0xE8>(self.0, second.0, third.0) })
        }
        #[inline(always)]
        fn full_adder(self, second: Self, third: Self) -> (Self, Self) {
            let sum = self.parity(second, third);
            // Where the other two are the same they are the carry, elsewhere it is the opposite of the sum. So each instruction overwrites what is no longer needed: a
            // copy of a register costs as much as an instruction where (Zen 4) 512 bits are two halves.
            (sum, Register(unsafe { _mm512_ternarylogic_epi64::<0xB2>(second.0, sum.0, third.0) }))
        }
        #[inline(always)]
        fn ones(self) -> Self {
            Register(unsafe { _mm512_popcnt_epi64(self.0) })
        }
        #[inline(always)]
        fn permuted(self, places: Self) -> Self {
            Register(unsafe { _mm512_permutexvar_epi64(places.0, self.0) })
        }
        #[inline(always)]
        fn shift_left_each(self, bits: Self) -> Self {
            Register(unsafe { _mm512_sllv_epi64(self.0, bits.0) })
        }
        #[inline(always)]
        fn shift_right_each(self, bits: Self) -> Self {
            Register(unsafe { _mm512_srlv_epi64(self.0, bits.0) })
        }
        #[inline(always)]
        fn push_byte(self, byte: Self) -> Self {
            Register(unsafe { _mm512_shrdi_epi64::<8>(self.0, byte.0) })
        }
        #[inline(always)]
        fn byte_sums(self) -> Block {
            // Byte i of all words into word i.
            const TURNED: Block = {
                let mut places = [0; BLOCK];
                let mut place = 0;
                while place < 64 {
                    places[place / 8] |= ((place % 8 * 8 + place / 8) as u64) << (place % 8 * 8);
                    place += 1;
                }
                places
            };
            let turned = unsafe { _mm512_permutexvar_epi8(Self::from_block(TURNED).0, self.0) };
            Register(unsafe { _mm512_sad_epu8(turned, _mm512_setzero_si512()) }).to_block()
        }
        #[inline(always)]
        fn store_halves(self, numbers: &mut [u32; 2 * BLOCK]) {
            // SAFETY: both are 64 bytes, and any bits are a value of either. The lower half of a word comes first on this processor.
            *numbers = unsafe { std::mem::transmute::<__m512i, [u32; 2 * BLOCK]>(self.0) };
        }
        #[inline(always)]
        fn with_last(self, word: u64) -> Self {
            Register(unsafe { _mm512_mask_set1_epi64(self.0, 1 << (BLOCK - 1), word as i64) })
        }
    }
}

/// [`Lanes`] as vectors: the state while a kernel runs.
#[derive(Debug, Clone, Copy)]
pub struct Generator<V> {
    state: [V; 4],
}

impl<V: Vector> Generator<V> {
    /// Takes up the stream where `lanes` stands.
    #[inline(always)]
    pub fn new(lanes: &Lanes) -> Self {
        Generator { state: lanes.state.map(V::from_block) }
    }

    /// Where the stream stands now.
    #[inline(always)]
    pub fn lanes(self) -> Lanes {
        Lanes { state: self.state.map(V::to_block) }
    }

    /// The next 512 random bits, the same as [`Lanes::step`].
    #[inline(always)]
    pub fn step(&mut self) -> V {
        let [s0, s1, s2, s3] = self.state;
        let output = s0.add(s3).rotate_left::<23>().add(s0);
        // Three at a time where there is an instruction for it, which overwrites its first operand: in this order nothing has to be copied.
        let (shifted, turned) = (s1.shift_left::<17>(), s3 ^ s1);
        self.state = [s0 ^ turned, s1.parity(s2, s0), shifted.parity(s2, s0), turned.rotate_left::<45>()];
        output
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{LaneStream, Purpose};

    fn follows_the_lanes<V: Vector>() {
        let mut stream = LaneStream::new(14103831, Purpose::Check, 3);
        let mut generator = Generator::<V>::new(&stream.lanes);
        for _ in 0..1000 {
            assert_eq!(generator.step().to_block(), stream.words());
        }
        assert_eq!(generator.lanes(), stream.lanes);
    }

    #[test]
    fn vectors_follow_the_lanes() {
        follows_the_lanes::<Halves>();
    }
}
