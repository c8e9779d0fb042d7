//! Words of independent bits that are set with an exact probability.
//!
//! A bit is set when a uniform 64-bit number u lies below a threshold p 2^64. Eight words (512 bits) are compared at once, bit-serially: one step of the
//! generator gives one binary digit of 512 numbers u, most significant first. After [`DIGITS`] digits all but one bit in 2^DIGITS are decided; each that is
//! not takes its remaining digits from a word of its own. So u has 64 digits for every bit, and p is exact to 2^-64, at a cost of little more than
//! `DIGITS` random words a word.

use crate::kernels::dispatch;
use crate::kernels::generator::Lanes;

/// The number of words made at once.
pub const BLOCK: usize = Lanes::COUNT;

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

/// The next block of words; every bit is set with probability `threshold` / 2^64.
#[inline(always)]
pub fn block(threshold: u64, lanes: &mut Lanes) -> [u64; BLOCK] {
    block_from(threshold, || lanes.step())
}

/// [`block`] with the random words from anywhere: `DIGITS` calls of `random`, then one more for every eight undecided bits.
#[inline(always)]
fn block_from(threshold: u64, mut random: impl FnMut() -> [u64; BLOCK]) -> [u64; BLOCK] {
    let mut below = [0; BLOCK];
    let mut undecided = [u64::MAX; BLOCK];
    for place in 0..DIGITS {
        let digits = random();
        // All ones where the digit of the threshold is 1: there a random 0 decides for "below"; else a random 1 decides against it.
        let digit = (threshold >> (63 - place) & 1).wrapping_neg();
        for word in 0..BLOCK {
            below[word] |= undecided[word] & !digits[word] & digit;
            undecided[word] &= !(digits[word] ^ digit);
        }
    }
    if undecided.iter().fold(0, |all, word| all | word) != 0 {
        let rest = threshold & (u64::MAX >> DIGITS);
        let mut numbers = [0; BLOCK];
        let mut used = BLOCK;
        for word in 0..BLOCK {
            let mut left = undecided[word];
            while left != 0 {
                if used == BLOCK {
                    numbers = random();
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
    }
    below
}

#[inline(always)]
fn fill_body(threshold: u64, lanes: &mut Lanes, words: &mut [u64]) {
    let mut local = *lanes;
    for chunk in words.chunks_exact_mut(BLOCK) {
        chunk.copy_from_slice(&block(threshold, &mut local));
    }
    *lanes = local;
}

#[inline(always)]
fn uniform_body(lanes: &mut Lanes, words: &mut [u64]) {
    let mut local = *lanes;
    for chunk in words.chunks_exact_mut(BLOCK) {
        chunk.copy_from_slice(&local.step());
    }
    *lanes = local;
}

dispatch! {
    /// Fills `words` (a multiple of [`BLOCK`] of them; a remainder is left alone) with bits of probability `threshold` / 2^64.
    pub fn fill(threshold: u64, lanes: &mut Lanes, words: &mut [u64]) = fill_body;
}

dispatch! {
    /// Fills `words` (a multiple of [`BLOCK`] of them; a remainder is left alone) with bits of probability 1/2.
    pub fn fill_uniform(lanes: &mut Lanes, words: &mut [u64]) = uniform_body;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::InstructionSet;
    use crate::random::{LaneStream, Purpose};

    /// All 2^DIGITS values of the leading digits, once each over the 1024 bits of two blocks; an undecided bit gets `rest` as its remaining digits.
    fn set_bits(threshold: u64, rest: u64) -> u64 {
        let mut count = 0;
        for half in 0..2u64 {
            let mut call = 0;
            let words = block_from(threshold, || {
                let place = call;
                call += 1;
                if place >= DIGITS {
                    return [rest << DIGITS; BLOCK];
                }
                std::array::from_fn(|word| {
                    (0..64).fold(0, |digits, bit| {
                        let value = half * 512 + word as u64 * 64 + bit;
                        digits | (value >> (DIGITS - 1 - place) & 1) << bit
                    })
                })
            });
            count += words.iter().map(|word| u64::from(word.count_ones())).sum::<u64>();
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
