//! Monte Carlo renormalization (R. H. Swendsen, Phys. Rev. Lett. 42, 859 (1979)): critical exponents from how the block spins of sampled configurations fluctuate.
//!
//! Each configuration is blocked by 2 x 2 majorities again and again. With the operators S_a on every level, the step from level n - 1 to n is linearized without knowing a
//! single coupling: T = B^-1 A, A_ab = <S_a^(n) S_b^(n-1)> connected, B_ab = <S_a^(n) S_b^(n)> connected. The largest eigenvalue of the even operators is 2^(y_T), of the odd
//! ones 2^(y_H). Operators are sums over the lattice, taken by logic on words of spins; all sums are integers, so that no order of the work changes a result. The
//! configurations pass by once; only the sums of each jackknife bin stay.

use super::block_rule::BlockRule;
use super::linear::{eigenvalues, product, solve};
use super::{Control, control_stream};
use crate::error::{Error, Result};
use crate::lattice::SquareTorus;
use crate::random::Stream;
use crate::spins::{BitMatrix, WORD_BITS};
use rayon::prelude::*;

/// Even operators in the order in which they are added: nearest neighbours, next-nearest neighbours, plaquettes, neighbours at distance (2, 0).
pub const EVEN: usize = 4;
/// Odd operators: the spin, three spins of a plaquette.
pub const ODD: usize = 2;
const OPERATORS: usize = EVEN + ODD;
/// Parts of the configurations that the jackknife leaves out one at a time.
pub const BINS: usize = 40;
/// The smallest side on which the operators are different things.
pub const SMALLEST_SIDE: usize = 4;

/// The sums over one lattice of all operators, the even ones first.
pub type Operators = [i64; OPERATORS];

/// Spins of a square torus, rows of whole words: bit x of row y is the spin at (x, y), 1 = up; bits beyond the side are 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedGrid {
    side: usize,
    words: usize,
    rows: Vec<u64>,
}

impl PackedGrid {
    /// A configuration as it is stored, bit y * side + x.
    fn from_configuration(side: usize, bits: &[u64]) -> PackedGrid {
        let words = side.div_ceil(WORD_BITS);
        let mut rows = vec![0; words * side];
        for y in 0..side {
            for word in 0..words {
                let first = y * side + word * WORD_BITS;
                let count = (side - word * WORD_BITS).min(WORD_BITS);
                let (place, shift) = (first / WORD_BITS, first % WORD_BITS);
                let mut value = bits[place] >> shift;
                if shift + count > WORD_BITS {
                    value |= bits[place + 1] << (WORD_BITS - shift);
                }
                rows[y * words + word] = value & (u64::MAX >> (WORD_BITS - count));
            }
        }
        PackedGrid { side, words, rows }
    }

    fn row(&self, y: usize) -> &[u64] {
        let y = if y >= self.side { y - self.side } else { y };
        &self.rows[y * self.words..(y + 1) * self.words]
    }

    /// The grid whose bit at (x, y) is the one at (x + by, y) here, 0 < by < 64.
    fn shifted(&self, by: usize) -> PackedGrid {
        let mut rows = Vec::with_capacity(self.rows.len());
        let mut longer = vec![0; self.words + 2];
        let last = (self.side - 1) % WORD_BITS + 1;
        for row in self.rows.chunks_exact(self.words) {
            longer[..self.words].copy_from_slice(row);
            longer[self.words..].fill(0);
            // The first bits once more behind the last ones.
            let again = row[0] & (u64::MAX >> (WORD_BITS - by));
            longer[(self.side) / WORD_BITS] |= again << (self.side % WORD_BITS);
            if self.side % WORD_BITS + by > WORD_BITS {
                longer[self.side / WORD_BITS + 1] |= again >> (WORD_BITS - self.side % WORD_BITS);
            }
            rows.extend((0..self.words).map(|word| longer[word] >> by | longer[word + 1] << (WORD_BITS - by)));
            if let Some(end) = rows.last_mut() {
                *end &= u64::MAX >> (WORD_BITS - last);
            }
        }
        PackedGrid { rows, ..*self }
    }

    /// The sums of all operators over the torus.
    pub fn operators(&self) -> Operators {
        let (right, second) = (self.shifted(1), self.shifted(2));
        // Numbers of unequal pairs, of plaquettes with an odd number of ups, of ups, and of triples with an odd number of ups.
        let mut counts = [0u32; OPERATORS];
        for y in 0..self.side {
            let rows = [self.row(y), right.row(y), self.row(y + 1), right.row(y + 1), second.row(y), self.row((y + 2) % self.side)];
            for word in 0..self.words {
                let [here, east, south, diagonal, far_east, far_south] = rows.map(|row| row[word]);
                let plaquette = here ^ east ^ south ^ diagonal;
                counts[0] += (here ^ east).count_ones() + (here ^ south).count_ones();
                counts[1] += (here ^ diagonal).count_ones() + (east ^ south).count_ones();
                counts[2] += plaquette.count_ones();
                counts[3] += (here ^ far_east).count_ones() + (here ^ far_south).count_ones();
                counts[4] += here.count_ones();
                counts[5] += [here, east, south, diagonal].map(|fourth| (plaquette ^ fourth).count_ones()).iter().sum::<u32>();
            }
        }
        let sites = (self.side * self.side) as i64;
        let [nearest, next, plaquettes, second, ups, triples] = counts.map(i64::from);
        // A product of two or four spins is +1 where an even number of them is up; of one or three, where an odd number is.
        [
            2 * sites - 2 * nearest,
            2 * sites - 2 * next,
            sites - 2 * plaquettes,
            2 * sites - 2 * second,
            2 * ups - sites,
            2 * triples - 4 * sites,
        ]
    }

    /// The block spins of a rule.
    fn blocked(&self, rule: BlockRule, stream: &mut Stream) -> PackedGrid {
        if rule == BlockRule::Majority {
            return self.majority(stream);
        }
        let side = self.side / 2;
        let words = side.div_ceil(WORD_BITS);
        let mut rows = vec![0; words * side];
        let up = |row: &[u64], x: usize| (row[x / WORD_BITS] >> (x % WORD_BITS) & 1) as usize;
        for y in 0..side {
            let (above, below) = (self.row(2 * y), self.row(2 * y + 1));
            for x in 0..side {
                let ups = up(above, 2 * x) + up(above, 2 * x + 1) + up(below, 2 * x) + up(below, 2 * x + 1);
                rows[y * words + x / WORD_BITS] |= u64::from(stream.uniform() < rule.probability_up(ups)) << (x % WORD_BITS);
            }
        }
        PackedGrid { side, words, rows }
    }

    /// The majorities of the 2 x 2 blocks; a tie takes a bit of the word that its two words of spins draw from `ties`. The side must be even.
    pub fn majority(&self, ties: &mut Stream) -> PackedGrid {
        const EVEN_BITS: u64 = 0x5555_5555_5555_5555;
        let side = self.side / 2;
        let words = side.div_ceil(WORD_BITS);
        let mut rows = vec![0; words * side];
        for y in 0..side {
            let (above, below) = (self.row(2 * y), self.row(2 * y + 1));
            for word in 0..self.words {
                let [a, b, c, d] = [above[word], above[word] >> 1, below[word], below[word] >> 1].map(|bits| bits & EVEN_BITS);
                let most = (a & b & (c | d)) | (c & d & (a | b));
                let tie = !(a ^ b ^ c ^ d) & (a | b | c | d) & !(a & b & c & d);
                let up = compressed(most | (tie & ties.word()));
                rows[y * words + word / 2] |= up << (32 * (word % 2));
            }
        }
        PackedGrid { side, words, rows }
    }
}

/// The 32 bits at even places, side by side.
fn compressed(bits: u64) -> u64 {
    let mut bits = bits & 0x5555_5555_5555_5555;
    for (shift, mask) in [
        (1, 0x3333_3333_3333_3333u64),
        (2, 0x0f0f_0f0f_0f0f_0f0f),
        (4, 0x00ff_00ff_00ff_00ff),
        (8, 0x0000_ffff_0000_ffff),
        (16, 0x0000_0000_ffff_ffff),
    ] {
        bits = (bits | bits >> shift) & mask;
    }
    bits
}

/// The sums of one bin of configurations: of each operator on each level, of the products on one level, and of those of a level with the one before.
#[derive(Debug, Clone, Default, PartialEq)]
struct Sums {
    count: i128,
    single: Vec<[i128; OPERATORS]>,
    same: Vec<[[i128; OPERATORS]; OPERATORS]>,
    before: Vec<[[i128; OPERATORS]; OPERATORS]>,
}

impl Sums {
    fn new(levels: usize) -> Sums {
        let zero = [[0; OPERATORS]; OPERATORS];
        Sums { count: 0, single: vec![[0; OPERATORS]; levels + 1], same: vec![zero; levels + 1], before: vec![zero; levels + 1] }
    }

    fn add(&mut self, values: &[Operators]) {
        self.count += 1;
        for (level, here) in values.iter().enumerate() {
            for a in 0..OPERATORS {
                self.single[level][a] += i128::from(here[a]);
                for b in 0..OPERATORS {
                    self.same[level][a][b] += i128::from(here[a]) * i128::from(here[b]);
                    if level > 0 {
                        self.before[level][a][b] += i128::from(here[a]) * i128::from(values[level - 1][b]);
                    }
                }
            }
        }
    }

    /// Adds `sign` times another set of sums.
    fn combine(&mut self, other: &Sums, sign: i128) {
        self.count += sign * other.count;
        for level in 0..self.single.len() {
            for a in 0..OPERATORS {
                self.single[level][a] += sign * other.single[level][a];
                for b in 0..OPERATORS {
                    self.same[level][a][b] += sign * other.same[level][a][b];
                    self.before[level][a][b] += sign * other.before[level][a][b];
                }
            }
        }
    }

    /// log2 of the largest eigenvalue of T = B^-1 A for some of the operators, on the step to `level`. Of odd operators no mean is subtracted: without a field it is 0.
    fn exponent(&self, level: usize, operators: std::ops::Range<usize>) -> f64 {
        let size = operators.len();
        let connected = |products: &[[i128; OPERATORS]; OPERATORS], other: usize| -> Vec<f64> {
            let entry = |a: usize, b: usize| {
                let means = if operators.start < EVEN { self.single[level][a] * self.single[other][b] } else { 0 };
                // An exact integer before it is rounded.
                (self.count * products[a][b] - means) as f64 / (self.count * self.count) as f64
            };
            operators.clone().flat_map(|a| operators.clone().map(move |b| (a, b))).map(|(a, b)| entry(a, b)).collect()
        };
        let (a, b) = (connected(&self.before[level], level - 1), connected(&self.same[level], level));
        let columns = (0..size).map(|column| {
            let right: Vec<f64> = (0..size).map(|row| a[row * size + column]).collect();
            solve(&b, &right)
        });
        let Some(columns) = columns.collect::<Option<Vec<Vec<f64>>>>() else { return f64::NAN };
        let matrix: Vec<f64> = (0..size * size).map(|index| columns[index % size][index / size]).collect();
        debug_assert!(
            product(&b, &matrix, size).iter().zip(&a).all(|(found, wanted)| (found - wanted).abs() <= 1e-6 * wanted.abs().max(1.0))
        );
        let leading = eigenvalues(&matrix, size)[0];
        if leading[1] == 0.0 { leading[0].log2() } else { f64::NAN }
    }

    /// <s s'> of nearest neighbours on a level.
    fn correlation(&self, level: usize, side: usize) -> f64 {
        self.single[level][0] as f64 / (self.count as f64 * 2.0 * (side * side) as f64)
    }
}

/// What one step tells. Pairs are a value and its jackknife error.
#[derive(Debug, Clone, PartialEq)]
pub struct Level {
    /// Side before the step.
    pub side: usize,
    /// y_T from the first 1, 2, ... even operators.
    pub thermal: Vec<[f64; 2]>,
    /// y_H from the first 1, 2, ... odd operators.
    pub magnetic: Vec<[f64; 2]>,
    /// Nearest-neighbour correlation of the block spins after the step.
    pub correlation: [f64; 2],
}

/// What the configurations of one ensemble tell.
#[derive(Debug, Clone, PartialEq)]
pub struct Renormalized {
    /// Nearest-neighbour correlation of the configurations.
    pub correlation: [f64; 2],
    /// One entry a step.
    pub levels: Vec<Level>,
}

/// Blocks all configurations (one a row) `levels` times by a rule and finds the exponents of every step. Ties of row i come from the [`control_stream`] of `first_index` + i.
///
/// # Errors
/// [`Error::Usage`] if the rows are no configurations of the torus, fewer than two a bin, or the side is not a multiple of 2^levels that leaves [`SMALLEST_SIDE`] at least.
pub fn renormalize(
    torus: SquareTorus,
    configurations: &BitMatrix,
    rule: BlockRule,
    levels: usize,
    seed: u64,
    first_index: u64,
) -> Result<Renormalized> {
    let side = torus.side();
    let tiles = u32::try_from(levels)
        .ok()
        .and_then(|levels| 2usize.checked_pow(levels))
        .is_some_and(|factor| side.is_multiple_of(factor) && side / factor >= SMALLEST_SIDE);
    let bins = BINS.min(configurations.rows() / 2);
    if configurations.columns() != torus.sites() || !tiles || bins < 2 {
        return Err(Error::Usage(format!(
            "{} rows of {} spins cannot be blocked {levels} times as a {side} x {side} lattice: give 4 configurations at least, and a side that leaves {SMALLEST_SIDE} at least",
            configurations.rows(),
            configurations.columns()
        )));
    }
    let sum_bin = |bin: usize| {
        let mut sums = Sums::new(levels);
        let mut values = Vec::with_capacity(levels + 1);
        for row in bin * configurations.rows() / bins..(bin + 1) * configurations.rows() / bins {
            let mut ties = control_stream(seed, Control::MonteCarloTies, first_index + row as u64);
            let mut grid = PackedGrid::from_configuration(side, configurations.row(row));
            values.clear();
            values.push(grid.operators());
            for _ in 0..levels {
                grid = grid.blocked(rule, &mut ties);
                values.push(grid.operators());
            }
            sums.add(&values);
        }
        sums
    };
    let parts: Vec<Sums> = (0..bins).into_par_iter().map(sum_bin).collect();
    let mut all = Sums::new(levels);
    parts.iter().for_each(|part| all.combine(part, 1));
    let without: Vec<Sums> = parts
        .iter()
        .map(|part| {
            let mut rest = all.clone();
            rest.combine(part, -1);
            rest
        })
        .collect();
    let estimate = |quantity: &dyn Fn(&Sums) -> f64| -> [f64; 2] {
        let values: Vec<f64> = without.iter().map(quantity).collect();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let spread: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        [quantity(&all), (spread * (count - 1.0) / count).sqrt()]
    };
    let level = |level: usize| Level {
        side: side >> (level - 1),
        thermal: (1..=EVEN).map(|count| estimate(&|sums| sums.exponent(level, 0..count))).collect(),
        magnetic: (1..=ODD).map(|count| estimate(&|sums| sums.exponent(level, EVEN..EVEN + count))).collect(),
        correlation: estimate(&|sums| sums.correlation(level, side >> level)),
    };
    Ok(Renormalized { correlation: estimate(&|sums| sums.correlation(0, side)), levels: (1..=levels).map(level).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;
    use crate::rg::block_spin::SpinGrid;

    fn random_grid(side: usize, index: u64) -> (PackedGrid, SpinGrid) {
        let mut stream = Stream::new(5, Purpose::Check, index);
        let up: Vec<bool> = (0..side * side).map(|_| stream.uniform() < 0.6).collect();
        let mut matrix = BitMatrix::new(1, side * side);
        up.iter().enumerate().for_each(|(site, &up)| matrix.set(0, site, up));
        (PackedGrid::from_configuration(side, matrix.row(0)), SpinGrid::new(side, up).unwrap())
    }

    #[test]
    fn operators_by_logic_are_sums_over_sites() {
        for side in [4, 6, 10, 63, 64, 65, 66, 130] {
            let (packed, grid) = random_grid(side, side as u64);
            let mut wanted = [0i64; OPERATORS];
            for (x, y) in (0..side).flat_map(|y| (0..side).map(move |x| (x, y))) {
                let spin = |dx: usize, dy: usize| grid.spin(x + dx, y + dy);
                let square = [spin(0, 0), spin(1, 0), spin(0, 1), spin(1, 1)];
                let all: i64 = square.iter().product();
                wanted[0] += spin(0, 0) * (spin(1, 0) + spin(0, 1));
                wanted[1] += spin(0, 0) * spin(1, 1) + spin(1, 0) * spin(0, 1);
                wanted[2] += all;
                wanted[3] += spin(0, 0) * (spin(2, 0) + spin(0, 2));
                wanted[4] += spin(0, 0);
                wanted[5] += square.iter().map(|fourth| all * fourth).sum::<i64>();
            }
            assert_eq!(packed.operators(), wanted, "side {side}");
        }
    }

    #[test]
    fn majorities_by_logic_are_majorities() {
        for side in [8, 64, 66, 130, 256] {
            let (packed, grid) = random_grid(side, 1000 + side as u64);
            let mut ties = Stream::new(1, Purpose::Check, 1);
            let coarse = packed.majority(&mut ties);
            let (mut up, mut tied) = (0, 0);
            for (x, y) in (0..side / 2).flat_map(|y| (0..side / 2).map(move |x| (x, y))) {
                let sum: i64 = [(0, 0), (1, 0), (0, 1), (1, 1)].iter().map(|(dx, dy)| grid.spin(2 * x + dx, 2 * y + dy)).sum();
                let bit = coarse.row(y)[x / WORD_BITS] >> (x % WORD_BITS) & 1 == 1;
                match sum.signum() {
                    0 => (tied, up) = (tied + 1, up + i32::from(bit)),
                    sign => assert_eq!(bit, sign > 0),
                }
            }
            // A fair coin, within 5 standard deviations.
            assert!(f64::from(2 * up - tied).abs() <= 5.0 * f64::from(tied).sqrt(), "{up} of {tied} ties went up");
            assert_eq!(coarse.rows.len(), (side / 2) * (side / 2).div_ceil(WORD_BITS));
        }
    }

    #[test]
    fn what_cannot_be_blocked_is_refused() {
        let torus = SquareTorus::new(24).unwrap();
        let matrix = BitMatrix::new(8, 576);
        assert!(renormalize(torus, &matrix, BlockRule::Majority, 2, 1, 0).is_ok());
        assert!(
            renormalize(torus, &matrix, BlockRule::Majority, 3, 1, 0).is_err()
                && renormalize(torus, &matrix, BlockRule::Majority, 4, 1, 0).is_err()
        );
        assert!(renormalize(torus, &BitMatrix::new(3, 576), BlockRule::Majority, 2, 1, 0).is_err());
        assert!(renormalize(torus, &BitMatrix::new(8, 575), BlockRule::Kernel(0.7), 2, 1, 0).is_err());
    }
}
