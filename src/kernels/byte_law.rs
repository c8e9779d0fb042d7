//! The law of a byte of eight independent bits, each set with probability p, as tables of integers.
//!
//! P(k) = p^ones(k) (1 - p)^(8 - ones(k)) for the 256 values k, in units of 2^-120 (`weights`). One random number chooses a column of a table; a column
//! holds one value (level 1) or two. What the integers of a level cannot express goes to the next level, so that the law is exact:
//!
//! 1. Level 1 is one of two. *Columns*: 128 of them, chosen by 7 random bits; k stands in floor(128 P(k)) of them. *Alias*: 256 columns of capacity 256,
//!    chosen by one random byte, another of which decides between the two values of a column; k gets floor(2^16 P(k)) of the 2^16 pairs of bytes. In
//!    either the least likely byte, the marker, gets nothing of its own: the columns that are left hold it, and it means "ask level 2".
//! 2. Level 2 is an alias table of 16 random bits for what level 1 left: 2^16 times the residual law, rounded down. It has a marker of its own, the least
//!    likely byte of the residual law.
//! 3. Level 3, which one byte in some thousand reaches, is an alias table of 64 random bits for what is left then.
//!
//! So P(k) = n1(k)/N1 + e1/N1 (n2(k)/2^16 + e2/2^16 n3(k)/2^64) with integers that sum to N1 - e1, 2^16 - e2 and 2^64. The rounding of the last ones, below
//! 2^-64 of e1/N1 e2/2^16 < 2^-8, is all that is not exact. Columns cost half the random bits of the alias table but leave more to level 2: they are
//! used where e1/N1 <= `MOST_ESCAPES` / 128.
//!
//! How the tables are asked is in [`super::byte_queue`].

use super::fixed_point::{Probability, ratio};

/// The values of a byte.
const BYTES: usize = 256;
/// The columns of level 1 that may be left to level 2 before the alias table is faster (break-even on AVX-512).
const MOST_ESCAPES: usize = 64;

/// 256 columns of capacity 256, each shared by two values: column c with the random byte r gives c if r < `chances[c]`, else `others[c]`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Alias {
    /// The share of c in its own column. A column that is all its own has `others[c]` = c.
    pub chances: [u8; BYTES],
    /// The second value of each column.
    pub others: [u8; BYTES],
}

/// As [`Alias`], with capacity 2^56: a random word w gives c = w mod 256 if w / 256 < `chances[c]`, else `others[c]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FineAlias {
    chances: [u64; BYTES],
    others: [u8; BYTES],
}

impl FineAlias {
    /// The value of a random word.
    #[inline(always)]
    pub fn look_up(&self, word: u64) -> u8 {
        let column = word as u8;
        if word >> 8 < self.chances[usize::from(column)] { column } else { self.others[usize::from(column)] }
    }
}

/// The values of 128 columns, on a cache line of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Columns(pub [u8; 128]);

/// Level 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum First {
    /// 7 random bits a byte.
    Columns(Box<Columns>),
    /// 16 random bits a byte.
    Alias(Box<Alias>),
}

/// The law of eight independent bits. Build it once for each probability; it never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByteLaw {
    /// Level 1.
    pub first: First,
    /// The byte of level 1 that means level 2.
    pub marker: u8,
    /// Level 2.
    pub second: Box<Alias>,
    /// The byte of level 2 that means level 3.
    pub second_marker: u8,
    /// Level 3.
    pub third: Box<FineAlias>,
}

impl ByteLaw {
    /// The law of bits that are set with this probability, 0 and 1 included.
    pub fn new(probability: Probability) -> Self {
        let weights = weights(probability);
        let marker = least(&weights);
        let columns = Split::new(&weights, marker, 128);
        let (first, split) = if columns.left <= MOST_ESCAPES {
            (First::Columns(Box::new(Columns(columns.listed()))), columns)
        } else {
            let split = Split::new(&weights, marker, 1 << 16);
            (First::Alias(Box::new(split.alias())), split)
        };
        let second_marker = least(&split.residual);
        let second = Split::new(&split.residual, second_marker, 1 << 16);
        let law = ByteLaw { first, marker, second: Box::new(second.alias()), second_marker, third: Box::new(fine_alias(&second.residual)) };
        assert_eq!(law.first_counts(), split.counts(), "the tables of level 1 hold what they were built from");
        assert_eq!(alias_counts(&law.second), second.counts(), "the tables of level 2 hold what they were built from");
        law
    }

    /// In how many of the equally likely cases of level 1 each byte comes out: 128 or 2^16 altogether. The marker stands for level 2.
    pub fn first_counts(&self) -> [usize; BYTES] {
        match &self.first {
            First::Columns(columns) => {
                let mut counts = [0; BYTES];
                columns.0.iter().for_each(|&byte| counts[usize::from(byte)] += 1);
                counts
            }
            First::Alias(alias) => alias_counts(alias),
        }
    }
}

/// P(k) in units of 2^-120. They sum to 1 exactly: the most likely byte takes the rounding of the others.
fn weights(probability: Probability) -> [u128; BYTES] {
    let powers = |base: Probability| {
        let mut powers = [Probability::ONE; 9];
        for exponent in 1..9 {
            powers[exponent] = powers[exponent - 1].times(base);
        }
        powers
    };
    let (set, clear) = (powers(probability), powers(probability.complement()));
    let mut weights: [u128; BYTES] = std::array::from_fn(|byte| {
        let ones = byte.count_ones() as usize;
        set[ones].times(clear[8 - ones]).units()
    });
    let most_likely = if probability > Probability::HALF { BYTES - 1 } else { 0 };
    weights[most_likely] = 0;
    weights[most_likely] = Probability::ONE.units() - weights.iter().sum::<u128>();
    weights
}

/// The byte of the smallest weight; of several the last.
fn least(weights: &[u128; BYTES]) -> u8 {
    (0..=u8::MAX).rev().min_by_key(|&byte| weights[usize::from(byte)]).unwrap_or(u8::MAX)
}

/// A law, cut into what `cases` equally likely cases can express and the rest.
struct Split {
    cases: usize,
    marker: u8,
    /// How many cases each byte has; the marker none.
    whole: [usize; BYTES],
    /// The cases of the marker.
    left: usize,
    /// The law of the rest: weights that sum to `left` cases.
    residual: [u128; BYTES],
}

impl Split {
    /// `weights` sum to a multiple of `cases`. (If all of them are 0 the law is never asked for.)
    fn new(weights: &[u128; BYTES], marker: u8, cases: usize) -> Self {
        let case = weights.iter().sum::<u128>() / cases as u128;
        let (mut whole, mut residual) = ([0; BYTES], *weights);
        for byte in (0..BYTES).filter(|&byte| byte != usize::from(marker)) {
            if let (Some(quotient), Some(rest)) = (weights[byte].checked_div(case), weights[byte].checked_rem(case)) {
                (whole[byte], residual[byte]) = (quotient as usize, rest);
            }
        }
        Split { cases, marker, whole, left: cases - whole.iter().sum::<usize>(), residual }
    }

    fn counts(&self) -> [usize; BYTES] {
        let mut counts = self.whole;
        counts[usize::from(self.marker)] = self.left;
        counts
    }

    /// The cases as columns in the order of their bytes, the marker last.
    fn listed(&self) -> [u8; 128] {
        let mut columns = [self.marker; 128];
        let bytes = (0..=u8::MAX).flat_map(|byte| std::iter::repeat_n(byte, self.whole[usize::from(byte)]));
        columns.iter_mut().zip(bytes).for_each(|(column, byte)| *column = byte);
        columns
    }

    fn alias(&self) -> Alias {
        let capacity = (self.cases / BYTES) as u128;
        let (chances, others) = shared_columns(self.counts().map(|count| count as u128), capacity);
        // A column that is all its own: whatever the chance, the value is the same.
        Alias { chances: chances.map(|chance| chance.min(capacity - 1) as u8), others }
    }
}

fn alias_counts(alias: &Alias) -> [usize; BYTES] {
    let mut counts = [0; BYTES];
    for (column, (&chance, &other)) in alias.chances.iter().zip(&alias.others).enumerate() {
        counts[column] += usize::from(chance);
        counts[usize::from(other)] += BYTES - usize::from(chance);
    }
    counts
}

/// Level 3: the weights as integers that sum to 2^64, the largest of which takes the rounding.
fn fine_alias(weights: &[u128; BYTES]) -> FineAlias {
    let total: u128 = weights.iter().sum();
    let mut counts = if total == 0 { [0; BYTES] } else { weights.map(|weight| ratio(weight, total, 64)) };
    let largest = (0..BYTES).max_by_key(|&byte| counts[byte]).unwrap_or(0);
    counts[largest] += (1 << 64) - counts.iter().sum::<u128>();
    let (chances, others) = shared_columns(counts, 1 << 56);
    FineAlias { chances: chances.map(|chance| chance as u64), others }
}

/// Walker's alias table in integers (Vose, IEEE Trans. Softw. Eng. 17, 972 (1991)): each column is filled up by a value that has too much. `counts` sum to
/// 256 `capacity`.
fn shared_columns(mut counts: [u128; BYTES], capacity: u128) -> ([u128; BYTES], [u8; BYTES]) {
    let mut others: [u8; BYTES] = std::array::from_fn(|column| column as u8);
    let mut chances = [capacity; BYTES];
    let (mut small, mut large): (Vec<usize>, Vec<usize>) = (0..BYTES).partition(|&byte| counts[byte] < capacity);
    while let Some(column) = small.pop() {
        let giver = *large.last().expect("where a column is short, another has too much");
        chances[column] = counts[column];
        others[column] = giver as u8;
        counts[giver] -= capacity - counts[column];
        if counts[giver] < capacity {
            large.pop();
            small.push(giver);
        }
    }
    (chances, others)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probabilities() -> Vec<Probability> {
        let couplings = [0.03, 0.1, 0.2, 0.3, 0.408, 0.440_686_793_509_771_5, 0.5, 1.0, 2.0, 5.0, 20.0];
        let decays = couplings.into_iter().flat_map(|coupling| [4.0, 8.0].map(|factor| Probability::decay(factor * coupling)));
        let listed = [0.0, 1e-30, 1e-9, 0.01, 0.25, 0.3, 0.499, 0.5, 0.501, 0.7, 0.999, 1.0 - 1e-12, 1.0].map(Probability::new);
        let conditional = couplings.map(|coupling| Probability::decay(4.0 * coupling).given_not(Probability::decay(8.0 * coupling)));
        decays.chain(listed).chain(conditional).collect()
    }

    fn third_counts(alias: &FineAlias) -> [u128; BYTES] {
        let mut counts = [0; BYTES];
        for column in 0..BYTES {
            counts[column] += u128::from(alias.chances[column]);
            counts[usize::from(alias.others[column])] += (1 << 56) - u128::from(alias.chances[column]);
        }
        counts
    }

    /// Sums the three levels up again, in units of 2^-120.
    #[test]
    fn the_levels_add_up_to_the_law() {
        for probability in probabilities() {
            let law = ByteLaw::new(probability);
            let (first, second, third) = (law.first_counts(), alias_counts(&law.second), third_counts(&law.third));
            let cases: usize = first.iter().sum();
            assert_eq!(cases, if matches!(law.first, First::Columns(_)) { 128 } else { 1 << 16 });
            assert_eq!(second.iter().sum::<usize>(), 1 << 16);
            assert_eq!(third.iter().sum::<u128>(), 1 << 64);
            let case = Probability::ONE.units() / cases as u128;
            let (left, second_left) = (first[usize::from(law.marker)] as u128, second[usize::from(law.second_marker)] as u128);
            for byte in 0..=u8::MAX {
                let at = usize::from(byte);
                let own = |counts: &[usize; BYTES], marker: u8| if byte == marker { 0 } else { counts[at] as u128 };
                let second_case = (left * case) >> 16;
                let exact = own(&first, law.marker) * case + own(&second, law.second_marker) * second_case;
                // A multiple of 2^64, so that nothing but the rounding of level 3 is cut off: less than 256 units of 2^-64 of it, all for one byte.
                let rest = second_left * second_case;
                assert_eq!(rest % (1 << 64), 0);
                let (sum, weight) = (exact + (rest >> 64) * third[at], weights(probability)[at]);
                assert!(sum.abs_diff(weight) <= (rest >> 64) << 8, "p = {}, byte {byte}", probability.value());
                assert!((rest >> 64) << 8 <= 1 << 56, "p = {}: all that is rounded is below 2^-64", probability.value());
            }
        }
    }

    /// The law of one bit of the byte, and of a pair of bits, from the weights: p and p^2.
    #[test]
    fn bits_are_set_with_the_probability_and_independent() {
        for probability in probabilities() {
            let weights = weights(probability);
            let of = |mask: usize| (0..BYTES).filter(|byte| byte & mask == mask).map(|byte| weights[byte]).sum::<u128>();
            for bit in 0..8 {
                assert!(of(1 << bit).abs_diff(probability.units()) < 1 << 12);
                assert!(of(1 << bit | 1 << ((bit + 3) % 8)).abs_diff(probability.times(probability).units()) < 1 << 12);
            }
        }
    }

    #[test]
    fn certain_bits_need_no_second_level() {
        for (probability, byte) in [(Probability::ZERO, 0), (Probability::ONE, 255)] {
            let law = ByteLaw::new(probability);
            assert_eq!(law.first_counts()[byte], 128);
        }
    }

    #[test]
    fn few_escapes_are_drawn_by_columns_and_many_by_the_alias_table() {
        let law = |temperature: f64| {
            let [single, none] = [4.0, 8.0].map(|factor| Probability::decay(factor / temperature));
            [none, single.given_not(none)].map(ByteLaw::new)
        };
        let columns = |law: &ByteLaw| matches!(law.first, First::Columns(_));
        let [none, other] = law(2.269_185_314_213_022);
        assert!(columns(&none) && columns(&other));
        assert_eq!((none.first_counts()[255], other.first_counts()[255]), (4, 16));
        assert!(law(10.0).iter().all(|law| !columns(law)));
    }
}
