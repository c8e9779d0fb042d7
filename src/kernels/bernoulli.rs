//! Words of independent bits that are set with an exact probability.
//!
//! A bit is set when a uniform 64-bit number u lies below a threshold p 2^64. Eight words (512 bits) are compared at once, bit-serially: one step of the
//! generator gives one binary digit of 512 numbers u, most significant first. After [`DIGITS`] digits all but one bit in 2^DIGITS are decided; each that is
//! not takes its remaining digits from a word of its own. So u has 64 digits for every bit, and p is exact to 2^-64, at a cost of little more than
//! `DIGITS` random words a word.

use super::generator::Lanes;
pub use super::vector::BLOCK;
use super::vector::{Block, Generator, Halves, Vector};
#[cfg(target_arch = "x86_64")]
use super::{Chosen, vector::Register};
use super::{InstructionSet, dispatch};

/// Digits that are compared for a whole block before the undecided bits are looked at one by one. Part of the definition of every result.
pub const DIGITS: usize = 10;

/// The threshold p 2^64 of a probability in [0, 1]; p = 1 becomes 1 - 2^-64.
///
/// # Panics
/// If `probability` is not in [0, 1].
pub fn threshold(probability: f64) -> u64 {
    assert!((0.0..=1.0).contains(&probability), "a probability lies in [0, 1]");
    // Scaling by a power of two is exact, and the cast cuts what lies below 2^-64 and saturates at the top.
    (probability * 64f64.exp2()) as u64
}

/// The first digits of a threshold, each spread over a vector.
type Digits<V> = [V; DIGITS];

#[inline(always)]
fn digits_of<V: Vector>(threshold: u64) -> Digits<V> {
    std::array::from_fn(|place| V::splat((threshold >> (63 - place) & 1).wrapping_neg()))
}

/// The next block of words, of which every bit is set with probability `threshold` / 2^64: `DIGITS` calls of `random`, then one more for every eight undecided bits.
#[inline(always)]
fn block_from<V: Vector>(threshold: u64, digits: &Digits<V>, mut random: impl FnMut() -> V) -> V {
    let mut below = V::splat(0);
    let mut undecided = V::splat(u64::MAX);
    for digit in digits {
        // Where the digit of the threshold is 1, a random 0 decides for "below"; else a random 1 decides against it.
        let numbers = random();
        below |= undecided & !numbers & *digit;
        undecided &= !(numbers ^ *digit);
    }
    if undecided.any() { below | decide(threshold, undecided.to_block(), random) } else { below }
}

/// Those of the undecided bits that turn out to be below.
#[inline(always)]
fn decide<V: Vector>(threshold: u64, undecided: Block, mut random: impl FnMut() -> V) -> V {
    let rest = threshold & (u64::MAX >> DIGITS);
    let (mut below, mut numbers, mut used) = ([0; BLOCK], [0; BLOCK], BLOCK);
    for word in 0..BLOCK {
        let mut left = undecided[word];
        while left != 0 {
            if used == BLOCK {
                numbers = random().to_block();
                used = 0;
            }
            let bit = left & left.wrapping_neg();
            if numbers[used] >> DIGITS < rest {
                below[word] |= bit;
            }
            used += 1;
            left ^= bit;
        }
    }
    V::from_block(below)
}

/// [`fill`] with given vectors, for kernels that go on from there.
#[inline(always)]
pub(super) fn fill_body<V: Vector>(threshold: u64, lanes: &mut Lanes, words: &mut [u64]) {
    let digits = digits_of::<V>(threshold);
    let mut generator = Generator::<V>::new(lanes);
    for chunk in words.chunks_exact_mut(BLOCK) {
        block_from(threshold, &digits, || generator.step()).store(chunk, 0);
    }
    *lanes = generator.lanes();
}

/// [`fill_uniform`] with given vectors.
#[inline(always)]
pub(super) fn uniform_body<V: Vector>(lanes: &mut Lanes, words: &mut [u64]) {
    let mut generator = Generator::<V>::new(lanes);
    for chunk in words.chunks_exact_mut(BLOCK) {
        generator.step().store(chunk, 0);
    }
    *lanes = generator.lanes();
}

#[cfg(target_arch = "x86_64")]
dispatch! {
    fn fill_register(threshold: u64, lanes: &mut Lanes, words: &mut [u64]) = fill_body::<Register>;
}
dispatch! {
    fn fill_halves(threshold: u64, lanes: &mut Lanes, words: &mut [u64]) = fill_body::<Halves>;
}
#[cfg(target_arch = "x86_64")]
dispatch! {
    fn uniform_register(lanes: &mut Lanes, words: &mut [u64]) = uniform_body::<Register>;
}
dispatch! {
    fn uniform_halves(lanes: &mut Lanes, words: &mut [u64]) = uniform_body::<Halves>;
}

/// Fills `words` (a multiple of [`BLOCK`] of them; a remainder is left alone) with bits of probability `threshold` / 2^64.
pub fn fill(set: InstructionSet, threshold: u64, lanes: &mut Lanes, words: &mut [u64]) {
    match set.chosen_kind() {
        #[cfg(target_arch = "x86_64")]
        Chosen::Avx512 => fill_register(set, threshold, lanes, words),
        _ => fill_halves(set, threshold, lanes, words),
    }
}

/// Fills `words` (a multiple of [`BLOCK`] of them; a remainder is left alone) with bits of probability 1/2.
pub fn fill_uniform(set: InstructionSet, lanes: &mut Lanes, words: &mut [u64]) {
    match set.chosen_kind() {
        #[cfg(target_arch = "x86_64")]
        Chosen::Avx512 => uniform_register(set, lanes, words),
        _ => uniform_halves(set, lanes, words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{LaneStream, Purpose};

    /// All 2^DIGITS values of the leading digits, once each over the 1024 bits of two blocks; an undecided bit gets `rest` as its remaining digits.
    fn set_bits(threshold: u64, rest: u64) -> u64 {
        let mut count = 0;
        for half in 0..2u64 {
            let mut call = 0;
            let words = block_from(threshold, &digits_of(threshold), || {
                let place = call;
                call += 1;
                if place >= DIGITS {
                    return Halves::splat(rest << DIGITS);
                }
                Halves::from_block(std::array::from_fn(|word| {
                    (0..64).fold(0, |digits, bit| {
                        let value = half * 512 + word as u64 * 64 + bit;
                        digits | (value >> (DIGITS - 1 - place) & 1) << bit
                    })
                }))
            });
            count += words.to_block().iter().map(|word| u64::from(word.count_ones())).sum::<u64>();
        }
        count
    }

    #[test]
    fn the_probability_is_the_threshold_exactly() {
        for lead in (0..1024u64).step_by(31).chain([0, 1, 1023]) {
            let tail = 0x2A_5A5A_5A5A_5A5A;
            let threshold = lead << 54 | tail;
            // Of 2^10 leading digits `lead` lie below, one is equal: there the 54 remaining digits decide.
            assert_eq!(set_bits(threshold, tail), lead, "u = p is not below");
            assert_eq!(set_bits(threshold, tail - 1), lead + 1, "u = p - 2^-64 is below");
        }
        assert_eq!((threshold(0.0), threshold(0.5), threshold(1.0)), (0, 1 << 63, u64::MAX));
    }

    #[test]
    fn frequencies_agree_with_the_probability() {
        // 4e6 bits: a bias of 1e-3 in p would be four standard deviations.
        for probability in [0.0, 1e-4, 0.1, 0.585_786_437_626_905, 0.999] {
            let mut stream = LaneStream::new(3, Purpose::Check, 1);
            let mut words = vec![0; 62_500];
            fill(InstructionSet::chosen(), threshold(probability), &mut stream.lanes, &mut words[..62_496]);
            let bits = 62_496.0 * 64.0;
            let ones: u32 = words.iter().map(|word| word.count_ones()).sum();
            let deviation = (f64::from(ones) - bits * probability) / (bits * probability * (1.0 - probability)).sqrt().max(1e-9);
            assert!(deviation.abs() < 4.0, "p = {probability}: {deviation} standard deviations");
        }
    }

    #[test]
    fn every_instruction_set_gives_the_same_words() {
        let run = |set| {
            let mut stream = LaneStream::new(9, Purpose::Check, 2);
            let mut words = vec![0; 8 * 100];
            fill(set, threshold(0.3), &mut stream.lanes, &mut words);
            (words, stream)
        };
        for set in InstructionSet::available() {
            assert!(run(set) == run(InstructionSet::PORTABLE), "{set}");
        }
    }
}
