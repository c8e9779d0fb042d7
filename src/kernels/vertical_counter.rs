//! 512 counters side by side, one a bit lane: binary digit k of all of them is one vector of 512 bits. Adding a vector of bits costs about two logical
//! operations, because three vectors of the same weight become two by a full adder (Harley and Seal; Warren, Hacker's Delight, 2nd ed., section 5-1).
//!
//! A vector of some weight waits until a second one of its weight comes; the two and the digit become a new digit and a carry, which goes on to the next weight. So n
//! vectors added make n/2 carries of weight 2, n/4 of weight 4 and so on, and nothing is taken apart before [`Counter::finish`].

use super::dispatch;
use super::vector::{BLOCK, Block, Vector};

/// The digits of a counter: counts below 2^DIGITS.
pub const DIGITS: usize = 22;
/// The number of counters.
pub const COUNTERS: usize = 64 * BLOCK;

/// Counters on their way.
pub struct Counter<V> {
    digits: [V; DIGITS],
    waiting: [V; DIGITS],
    /// At which digits a vector waits, bit by bit.
    occupied: usize,
}

impl<V: Vector> Counter<V> {
    /// All counters at zero.
    #[inline(always)]
    pub fn zero() -> Self {
        Counter { digits: [V::splat(0); DIGITS], waiting: [V::splat(0); DIGITS], occupied: 0 }
    }

    /// The two lowest digits, which the caller may keep in registers and give back with [`Self::set_lowest`].
    #[inline(always)]
    pub fn lowest(&self) -> [V; 2] {
        [self.digits[0], self.digits[1]]
    }

    /// Sets the two lowest digits.
    #[inline(always)]
    pub fn set_lowest(&mut self, lowest: [V; 2]) {
        [self.digits[0], self.digits[1]] = lowest;
    }

    /// Adds vectors of weight 2^digit. They are used up.
    #[inline(always)]
    pub fn add(&mut self, mut digit: usize, carries: &mut [V]) {
        let mut count = carries.len();
        while count > 1 {
            let mut sum = self.digits[digit];
            for pair in 0..count / 2 {
                (sum, carries[pair]) = sum.full_adder(carries[2 * pair], carries[2 * pair + 1]);
            }
            self.digits[digit] = sum;
            if count % 2 == 1 {
                self.carry(digit, carries[count - 1]);
            }
            count /= 2;
            digit += 1;
        }
        if count == 1 {
            self.carry(digit, carries[0]);
        }
    }

    /// Adds one vector of weight 2^digit.
    #[inline(always)]
    fn carry(&mut self, mut digit: usize, mut carry: V) {
        while digit < DIGITS && self.occupied >> digit & 1 == 1 {
            (self.digits[digit], carry) = self.digits[digit].full_adder(self.waiting[digit], carry);
            self.waiting[digit] = V::splat(0);
            self.occupied ^= 1 << digit;
            digit += 1;
        }
        if digit < DIGITS {
            self.waiting[digit] = carry;
            self.occupied |= 1 << digit;
        }
    }

    /// The binary digits of all counters, lowest first: bit b of word w belongs to counter 64 w + b.
    #[inline(always)]
    pub fn finish(mut self) -> [Block; DIGITS] {
        let mut carry = V::splat(0);
        for (digit, waiting) in self.digits.iter_mut().zip(self.waiting) {
            (*digit, carry) = digit.full_adder(waiting, carry);
        }
        self.digits.map(V::to_block)
    }
}

dispatch! {
    /// The value of each counter from its binary digits.
    pub fn values(digits: &[Block; DIGITS], values: &mut [u32; COUNTERS]) = values_body;
}

#[inline(always)]
fn values_body(digits: &[Block; DIGITS], values: &mut [u32; COUNTERS]) {
    // Digits that no counter has are at the top.
    let used = digits.iter().rposition(|digit| digit.iter().any(|&word| word != 0)).map_or(0, |last| last + 1);
    for (word, values) in values.as_chunks_mut::<64>().0.iter_mut().enumerate() {
        let mut sums = [0u64; 64];
        for (place, digit) in digits[..used].iter().enumerate() {
            let bits = digit[word];
            for (lane, sum) in sums.iter_mut().enumerate() {
                *sum += (bits >> lane & 1) << place;
            }
        }
        for (value, sum) in values.iter_mut().zip(sums) {
            *value = sum as u32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::InstructionSet;
    use super::super::vector::Halves;
    use super::*;
    use crate::random::{LaneStream, Purpose};

    #[test]
    fn counters_count() {
        let mut stream = LaneStream::new(14103831, Purpose::Check, 40);
        for times in [0, 1, 2, 3, 7, 64, 1000] {
            let mut counter = Counter::<Halves>::zero();
            let mut expected = [0u32; COUNTERS];
            for time in 0..times {
                // Groups of one to sixteen vectors at a digit from 0 to 3.
                let (digit, words) = (time % 4, (0..1 + time % 16).map(|_| stream.words()).collect::<Vec<_>>());
                let mut vectors: Vec<Halves> = words.iter().map(|&words| Halves::from_block(words)).collect();
                counter.add(digit, &mut vectors);
                for (lane, expected) in expected.iter_mut().enumerate() {
                    *expected += words.iter().map(|words| (words[lane / 64] >> (lane % 64) & 1) as u32).sum::<u32>() << digit;
                }
            }
            let digits = counter.finish();
            for set in InstructionSet::available() {
                let mut found = [7; COUNTERS];
                values(set, &digits, &mut found);
                assert_eq!(found, expected, "{set}: {times} times");
            }
        }
    }
}
