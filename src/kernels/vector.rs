//! Eight words as one value, so that a kernel is written once and still keeps its values in registers.
//!
//! The compiler turns loops over `[u64; 8]` into one 512-bit register, but not into two of 256 bits: where such values live across a loop it takes them
//! apart into eight scalars. So there are two kinds: [`Words`] for AVX-512, and [`Halves`], two `wide::u64x4`, for AVX2 and everything else (`wide`
//! chooses its instructions for the baseline of the build, and the baseline has AVX2 wherever there is x86).

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
    /// Each word rotated left, 0 < BITS < 64.
    fn rotate_left<const BITS: u32>(self) -> Self;
    /// Whether any bit is set.
    fn any(self) -> bool;

    /// Eight words of a slice, from `at` on.
    #[inline(always)]
    fn load(words: &[u64], at: usize) -> Self {
        let mut block = [0; BLOCK];
        block.copy_from_slice(&words[at..at + BLOCK]);
        Self::from_block(block)
    }

    /// Writes eight words of a slice, from `at` on.
    #[inline(always)]
    fn store(self, words: &mut [u64], at: usize) {
        words[at..at + BLOCK].copy_from_slice(&self.to_block());
    }
}

/// Eight words in one register of 512 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Words(Block);

/// Eight words in two registers of 256 bits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Halves(u64x4, u64x4);

macro_rules! operators {
    ($($trait:ident $method:ident $assign_trait:ident $assign_method:ident $operator:tt;)*) => {$(
        impl $trait for Words {
            type Output = Self;
            #[inline(always)]
            fn $method(mut self, other: Self) -> Self {
                for lane in 0..BLOCK {
                    self.0[lane] = self.0[lane] $operator other.0[lane];
                }
                self
            }
        }
        impl $trait for Halves {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Halves(self.0 $operator other.0, self.1 $operator other.1)
            }
        }
        impl $assign_trait for Words {
            #[inline(always)]
            fn $assign_method(&mut self, other: Self) {
                *self = *self $operator other;
            }
        }
        impl $assign_trait for Halves {
            #[inline(always)]
            fn $assign_method(&mut self, other: Self) {
                *self = *self $operator other;
            }
        }
    )*};
}
operators! {
    BitAnd bitand BitAndAssign bitand_assign &;
    BitOr bitor BitOrAssign bitor_assign |;
    BitXor bitxor BitXorAssign bitxor_assign ^;
}

impl Not for Words {
    type Output = Self;
    #[inline(always)]
    fn not(self) -> Self {
        Words(self.0.map(|word| !word))
    }
}

impl Not for Halves {
    type Output = Self;
    #[inline(always)]
    fn not(self) -> Self {
        Halves(!self.0, !self.1)
    }
}

impl Vector for Words {
    #[inline(always)]
    fn splat(word: u64) -> Self {
        Words([word; BLOCK])
    }
    #[inline(always)]
    fn from_block(block: Block) -> Self {
        Words(block)
    }
    #[inline(always)]
    fn to_block(self) -> Block {
        self.0
    }
    #[inline(always)]
    fn add(mut self, other: Self) -> Self {
        for lane in 0..BLOCK {
            self.0[lane] = self.0[lane].wrapping_add(other.0[lane]);
        }
        self
    }
    #[inline(always)]
    fn shift_left<const BITS: u32>(self) -> Self {
        Words(self.0.map(|word| word << BITS))
    }
    #[inline(always)]
    fn rotate_left<const BITS: u32>(self) -> Self {
        Words(self.0.map(|word| word.rotate_left(BITS)))
    }
    #[inline(always)]
    fn any(self) -> bool {
        self.0.iter().fold(0, |all, word| all | word) != 0
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
    fn rotate_left<const BITS: u32>(self) -> Self {
        // The two shifts share no bit.
        self.shift_left::<BITS>() | Halves(self.0 >> (64 - BITS), self.1 >> (64 - BITS))
    }
    #[inline(always)]
    fn any(self) -> bool {
        (self.0 | self.1).to_array().iter().fold(0, |all, word| all | word) != 0
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
        let (s2_new, s3_new) = (s2 ^ s0, s3 ^ s1);
        self.state = [s0 ^ s3_new, s1 ^ s2_new, s2_new ^ s1.shift_left::<17>(), s3_new.rotate_left::<45>()];
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
    fn both_kinds_of_vector_follow_the_lanes() {
        follows_the_lanes::<Words>();
        follows_the_lanes::<Halves>();
    }
}
