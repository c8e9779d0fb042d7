//! Tests of random bits in blocks of 512, in the manner of PractRand. Each gives the probability of a worse result of a perfect source.

use statrs::distribution::{Binomial, ChiSquared, ContinuousCDF, Discrete, DiscreteCDF, Poisson};
use std::collections::BTreeMap;

/// Eight words, as the lanes give them.
pub type Block = [u64; 8];

/// Blocks that are looked at together.
const CHUNK: usize = 1 << 16;
/// How far apart in time lanes are compared with each other.
const LAGS: usize = 16;

/// The probability of a larger chi-squared.
fn survival(chi_squared: f64, freedom: usize) -> f64 {
    ChiSquared::new(freedom as f64).expect("some freedom").sf(chi_squared)
}

/// Chi-squared of counts against probabilities; cells expected fewer than ten times are taken together.
fn fit(counts: impl IntoIterator<Item = (f64, f64)>) -> f64 {
    let counts: Vec<(f64, f64)> = counts.into_iter().collect();
    let total: f64 = counts.iter().map(|count| count.0).sum();
    let (mut sum, mut cells, mut rare) = (0.0, 0, (0.0, 0.0));
    for (seen, probability) in counts {
        let expected = probability * total;
        if expected < 10.0 {
            rare = (rare.0 + seen, rare.1 + expected);
        } else {
            sum += (seen - expected).powi(2) / expected;
            cells += 1;
        }
    }
    if rare.1 >= 1.0 {
        sum += (rare.0 - rare.1).powi(2) / rare.1;
        cells += 1;
    }
    // One cell alone says nothing.
    if cells > 1 { survival(sum, cells - 1) } else { 0.5 }
}

/// Sums whose squares, each divided by its variance, are chi-squared together.
#[derive(Default)]
struct Sums(Vec<f64>);

impl Sums {
    fn add(&mut self, values: impl Iterator<Item = f64>) {
        if self.0.is_empty() {
            self.0 = values.collect();
        } else {
            self.0.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        }
    }

    fn p(&self, variance: f64) -> f64 {
        survival(self.0.iter().map(|sum| sum * sum / variance).sum(), self.0.len())
    }
}

/// The covariance of two words of bits with probability p, summed over the bits; its variance is 64 p^2 (1 - p)^2.
fn covariance(one: u64, other: u64, probability: f64) -> f64 {
    f64::from((one & other).count_ones()) - probability * f64::from(one.count_ones() + other.count_ones())
        + 64.0 * probability * probability
}

/// The same sum over many words. The counts are integers until the end.
fn covariances(pairs: impl Iterator<Item = (u64, u64)>, probability: f64) -> f64 {
    let (mut both, mut either, mut words) = (0u64, 0u64, 0u64);
    for (one, other) in pairs {
        both += u64::from((one & other).count_ones());
        either += u64::from(one.count_ones() + other.count_ones());
        words += 1;
    }
    both as f64 - probability * either as f64 + 64.0 * probability * probability * words as f64
}

/// All tests for `steps` blocks (a multiple of 2^16) of bits that are set with `probability`: the name and the p-value of each. Those after the first seven are for fair bits only.
pub fn examine(steps: usize, probability: f64, mut source: impl FnMut() -> Block) -> Vec<(&'static str, f64)> {
    let (mut ones, mut lanes, mut bits, mut times) = (vec![0.0; 512], Sums::default(), Sums::default(), Sums::default());
    let (mut in_time, mut in_space) = (vec![0.0; 81], vec![0.0; 81]);
    let mut fair = FairBits::default();
    let chunks = steps / CHUNK;
    let mut chunk = Vec::with_capacity(CHUNK);
    for _ in 0..chunks {
        chunk.clear();
        chunk.extend((0..CHUNK).map(|_| source()));
        balance(&chunk, &mut ones);
        lanes.add(between_lanes(&chunk, probability).into_iter());
        bits.add(between_bits(&chunk[..CHUNK / 4], probability).into_iter());
        times.add(across_time(&chunk, probability).into_iter());
        weights(&chunk, probability, &mut in_time, &mut in_space);
        if probability == 0.5 {
            fair.look(&chunk);
        }
    }
    let blocks = (chunks * CHUNK) as f64;
    let product = (probability * (1.0 - probability)).powi(2);
    let deviations: Vec<f64> =
        ones.iter().map(|ones| (ones - blocks * probability).powi(2) / (blocks * probability * (1.0 - probability))).collect();
    // One minus the probability that none of 512 lies further off.
    let worst = deviations.iter().copied().fold(0.0, f64::max);
    let worst = -(512.0 * (-survival(worst, 1)).ln_1p()).exp_m1();
    let classes = class_probabilities(probability);
    let of_four = |counts: &[f64]| {
        fit(counts.iter().enumerate().map(|(cell, &seen)| (seen, [1, 3, 9, 27].iter().map(|place| classes[cell / place % 3]).product())))
    };
    let mut results = vec![
        ("balance of 512 bits", survival(deviations.iter().sum(), 512)),
        ("balance of the worst bit", worst),
        ("correlations between lanes up to 16 steps apart", lanes.p(64.0 * product * (chunks * (CHUNK - LAGS)) as f64)),
        ("correlations between bits of a lane and of the next", bits.p(64.0 * product * blocks / 4.0)),
        ("correlations across time", times.p(64.0 * product * blocks / 2.0)),
        ("numbers of set bits of four successive words of a lane", of_four(&in_time)),
        ("numbers of set bits of four lanes", of_four(&in_space)),
    ];
    if probability == 0.5 {
        results.extend(fair.results());
    }
    results
}

/// Counts the set bits of each place. Sixteen digits of vertical counters, one a place.
fn balance(chunk: &[Block], ones: &mut [f64]) {
    for part in chunk.chunks((1 << 16) - 1) {
        let mut digits = [[0u64; 8]; 16];
        for block in part {
            let mut carry = *block;
            for digit in &mut digits {
                if carry == [0; 8] {
                    break;
                }
                for word in 0..8 {
                    let both = digit[word] & carry[word];
                    digit[word] ^= carry[word];
                    carry[word] = both;
                }
            }
        }
        for (place, ones) in ones.iter_mut().enumerate() {
            *ones += digits
                .iter()
                .enumerate()
                .map(|(power, digit)| f64::from((digit[place / 64] >> (place % 64) & 1) as u32) * f64::from(1u32 << power))
                .sum::<f64>();
        }
    }
}

/// The covariance of each pair of lanes at the same step, and of each ordered pair, a lane with itself included, up to [`LAGS`] steps apart.
fn between_lanes(chunk: &[Block], probability: f64) -> Vec<f64> {
    let (early, mut found) = (&chunk[..chunk.len() - LAGS], Vec::new());
    for lag in 0..=LAGS {
        let late = &chunk[lag..lag + early.len()];
        for one in 0..8 {
            for other in 0..8 {
                if lag > 0 || other > one {
                    found.push(covariances(early.iter().zip(late).map(|(early, late)| (early[one], late[other])), probability));
                }
            }
        }
    }
    found
}

/// The covariance of each bit of a lane with the bit 1 to 31 places further, in its own word and, 0 to 63 places further, in that of the next lane.
/// (Half a turn would pair the bits of a word twice; 32 to 63 places say what 1 to 31 said.)
fn between_bits(chunk: &[Block], probability: f64) -> Vec<f64> {
    let mut found = Vec::new();
    for lane in 0..8 {
        for distance in 1..32 {
            found.push(covariances(chunk.iter().map(|block| (block[lane], block[lane].rotate_left(distance))), probability));
        }
        // Distance 0 is the business of `between_lanes`.
        for distance in 1..64 {
            found.push(covariances(chunk.iter().map(|block| (block[lane], block[(lane + 1) % 8].rotate_left(distance))), probability));
        }
    }
    found
}

/// The covariance of each lane with itself 32, 64 ... 2^15 steps later.
fn across_time(chunk: &[Block], probability: f64) -> Vec<f64> {
    let half = chunk.len() / 2;
    let mut found = Vec::new();
    for lane in 0..8 {
        for lag in (5..16).map(|power| 1 << power) {
            found.push(covariances((0..half).map(|step| (chunk[step][lane], chunk[step + lag][lane])), probability));
        }
    }
    found
}

/// Few, usual and many set bits of a word: a third of the cases each, or nearly. The most bits of the first two.
fn class_bounds(probability: f64) -> [u64; 2] {
    let law = Binomial::new(probability, 64).expect("a probability");
    let reached = |share: f64| (0..64).find(|&bits| law.cdf(bits) >= share).unwrap_or(63);
    [reached(1.0 / 3.0), reached(2.0 / 3.0).max(reached(1.0 / 3.0) + 1)]
}

fn class_probabilities(probability: f64) -> [f64; 3] {
    let law = Binomial::new(probability, 64).expect("a probability");
    let [few, usual] = class_bounds(probability).map(|bound| law.cdf(bound));
    [few, usual - few, 1.0 - usual]
}

/// Counts of the 81 patterns of four words that belong together: of one lane in time, of lanes 0 to 3 and 4 to 7.
fn weights(chunk: &[Block], probability: f64, in_time: &mut [f64], in_space: &mut [f64]) {
    let bounds = class_bounds(probability);
    let class = |word: u64| bounds.iter().filter(|bound| u64::from(word.count_ones()) > **bound).count();
    let pattern = |words: [u64; 4]| words.into_iter().fold(0, |pattern, word| 3 * pattern + class(word));
    for four in chunk.as_chunks::<4>().0 {
        (0..8).for_each(|lane| in_time[pattern(four.map(|block| block[lane]))] += 1.0);
        for block in four {
            in_space[pattern([block[0], block[1], block[2], block[3]])] += 1.0;
            in_space[pattern([block[4], block[5], block[6], block[7]])] += 1.0;
        }
    }
}

/// Tests of bits that are set with probability 1/2.
#[derive(Default)]
struct FairBits {
    neighbours: Vec<f64>,
    columns: Vec<f64>,
    /// How often each number of equal spacings was found: by the upper and the lower halves of the words, in the order of lanes, and of one lane.
    birthdays: [BTreeMap<u64, f64>; 3],
    /// Ranks 64, 63 and less of matrices of eight blocks; 512, 511 and less of 512 blocks.
    ranks: [[f64; 3]; 2],
}

/// Birthdays of a year of 2^32 days. The number of spacings that are equal to an earlier one is nearly Poisson with mean 2^36 / 2^34.
const BIRTHDAYS: usize = 1 << 12;

impl FairBits {
    fn look(&mut self, chunk: &[Block]) {
        self.neighbours.resize(1 << 16, 0.0);
        self.columns.resize(1 << 16, 0.0);
        for (block, next) in chunk.iter().zip(&chunk[1..]).step_by(2) {
            for lane in 0..8 {
                let (one, other) = (block[lane].to_le_bytes(), next[lane].to_le_bytes());
                for byte in (0..8).step_by(2) {
                    self.neighbours[usize::from(u16::from_le_bytes([one[byte], one[byte + 1]]))] += 1.0;
                    self.columns[usize::from(u16::from_le_bytes([one[byte], other[byte]]))] += 1.0;
                }
            }
        }
        for blocks in chunk.chunks_exact(BIRTHDAYS / 8) {
            let words = || blocks.iter().flatten();
            self.celebrate(0, words().map(|word| (word >> 32) as u32).collect());
            self.celebrate(1, words().map(|word| *word as u32).collect());
        }
        for blocks in chunk.chunks_exact(BIRTHDAYS) {
            self.celebrate(2, blocks.iter().map(|block| (block[3] >> 20) as u32).collect());
        }
        for eight in chunk.as_chunks::<8>().0.iter().step_by(4) {
            let rank = rank(eight.iter().flatten().map(|&word| [word]).collect());
            self.ranks[0][(64 - rank).min(2)] += 1.0;
        }
        for many in chunk.chunks_exact(512).step_by(4) {
            self.ranks[1][(512 - rank(many.to_vec())).min(2)] += 1.0;
        }
    }

    fn celebrate(&mut self, kind: usize, mut days: Vec<u32>) {
        days.sort_unstable();
        let mut spacings: Vec<u32> = days.windows(2).map(|pair| pair[1] - pair[0]).collect();
        spacings.sort_unstable();
        let equal = spacings.windows(2).filter(|pair| pair[0] == pair[1]).count() as u64;
        *self.birthdays[kind].entry(equal).or_default() += 1.0;
    }

    fn results(&self) -> Vec<(&'static str, f64)> {
        let bytes = |counts: &[f64]| fit(counts.iter().map(|&seen| (seen, 1.0 / 65536.0)));
        let law = Poisson::new(4.0).expect("a mean");
        let birthdays = |counts: &BTreeMap<u64, f64>| {
            // More than 39 have probability 1e-24.
            if counts.keys().any(|&equal| equal > 39) {
                return 0.0;
            }
            fit((0..40).map(|equal| (counts.get(&equal).copied().unwrap_or(0.0), law.pmf(equal))))
        };
        // The limits of large matrices, which these are to 1e-9.
        let ranks = |counts: &[f64; 3]| fit(counts.iter().copied().zip([0.288_788_095_087, 0.577_576_190_173, 0.133_635_714_740]));
        vec![
            ("pairs of neighbouring bytes", bytes(&self.neighbours)),
            ("pairs of bytes of successive words of a lane", bytes(&self.columns)),
            ("birthday spacings of the upper halves", birthdays(&self.birthdays[0])),
            ("birthday spacings of the lower halves", birthdays(&self.birthdays[1])),
            ("birthday spacings of one lane", birthdays(&self.birthdays[2])),
            ("ranks of 64 by 64 bits", ranks(&self.ranks[0])),
            ("ranks of 512 by 512 bits", ranks(&self.ranks[1])),
        ]
    }
}

/// The rank over the two-element field of a matrix whose rows are words.
fn rank<const WORDS: usize>(mut rows: Vec<[u64; WORDS]>) -> usize {
    let mut rank = 0;
    for column in 0..64 * WORDS {
        let (word, bit) = (column / 64, column % 64);
        let Some(pivot) = (rank..rows.len()).find(|&row| rows[row][word] >> bit & 1 == 1) else { continue };
        rows.swap(rank, pivot);
        let leading = rows[rank];
        for row in &mut rows[rank + 1..] {
            let chosen = (row[word] >> bit & 1).wrapping_neg();
            row.iter_mut().zip(leading).for_each(|(word, leading)| *word ^= leading & chosen);
        }
        rank += 1;
    }
    rank
}

/// The rank of 1024 rows of 512 successive values of one bit.
pub fn ranks_of_one_bit(mut bit: impl FnMut() -> bool) -> usize {
    let mut word = || (0..64).fold(0, |word, place| word | u64::from(bit()) << place);
    rank((0..1024).map(|_| std::array::from_fn::<u64, 8, _>(|_| word())).collect())
}

/// The tools, against numbers one can check by hand.
#[test]
fn the_battery_counts_rightly() {
    assert_eq!(rank(vec![[0b011u64], [0b110], [0b101]]), 2);
    assert_eq!(rank((0..64).map(|row| [u64::MAX << row]).collect()), 64);
    assert_eq!(covariance(0b1111, 0b0011, 0.5), 2.0 - 0.5 * 6.0 + 16.0);
    assert_eq!(covariances([(0b1111, 0b0011), (0, 0)].into_iter(), 0.5), covariance(0b1111, 0b0011, 0.5) + 16.0);
    let mut ones = vec![0.0; 512];
    balance(&[[0b101; 8]; 3], &mut ones);
    assert!(ones[0] == 3.0 && ones[1] == 0.0 && ones[2] == 3.0 && ones[64] == 3.0);
    assert!((class_probabilities(0.5).iter().sum::<f64>() - 1.0).abs() < 1e-12);
}
