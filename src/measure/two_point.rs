//! The two-point function `<s(x) s(x + r)>` of square tori along the axes, counted on packed spins.

use crate::lattice::SquareTorus;

/// Distances up to here are all counted; longer ones in steps that grow with them.
const ALL_UP_TO: usize = 16;

/// The distances at which the two-point function is counted: 1 to 16, then about five to each doubling, and L / 2 last.
pub fn distances(side: usize) -> Vec<usize> {
    let longest = side / 2;
    let mut chosen: Vec<usize> = (1..=longest.min(ALL_UP_TO)).collect();
    let steps = (1..).map(|step| (ALL_UP_TO as f64 * 2f64.powf(f64::from(step) / 5.0)).round() as usize);
    chosen.extend(steps.take_while(|&distance| distance < longest));
    if longest > ALL_UP_TO {
        chosen.push(longest);
    }
    chosen
}

/// Counts pairs of equal spins on one torus; holds its buffers.
#[derive(Debug, Clone)]
pub struct PairCounter {
    torus: SquareTorus,
    transposed: Vec<u64>,
    /// The spins twice, end to end, so that a rotation is a shift.
    twice: Vec<u64>,
}

impl PairCounter {
    /// For configurations of a torus.
    pub fn new(torus: SquareTorus) -> Self {
        let words = torus.sites().div_ceil(64);
        PairCounter { torus, transposed: vec![0; words], twice: vec![0; 2 * words + 2] }
    }

    /// For each distance r, the sum over all sites and both axes of s(x) s(x + r): 2N terms. `spins` are packed in site order, one bit a site, clear past the last.
    pub fn sums(&mut self, spins: &[u64], distances: &[usize]) -> Vec<i64> {
        let side = self.torus.side();
        self.transposed.fill(0);
        for (index, &word) in spins.iter().enumerate() {
            let mut rest = word;
            while rest != 0 {
                let site = 64 * index + rest.trailing_zeros() as usize;
                let place = (site % side) * side + site / side;
                self.transposed[place / 64] |= 1 << (place % 64);
                rest &= rest - 1;
            }
        }
        let transposed = std::mem::take(&mut self.transposed);
        let mut sums = vec![0; distances.len()];
        for direction in [spins, &transposed] {
            // In site order a step along the column is L sites on, and the torus closes onto itself.
            self.double(direction);
            for (sum, &distance) in sums.iter_mut().zip(distances) {
                *sum += self.pairs(distance * side);
            }
        }
        self.transposed = transposed;
        sums
    }

    fn double(&mut self, spins: &[u64]) {
        let sites = self.torus.sites();
        self.twice.fill(0);
        self.twice[..spins.len()].copy_from_slice(spins);
        let (word, shift) = (sites / 64, sites % 64);
        for (index, &bits) in spins.iter().enumerate() {
            self.twice[word + index] |= bits << shift;
            if shift > 0 {
                self.twice[word + index + 1] |= bits >> (64 - shift);
            }
        }
    }

    /// The sum over all sites of the product of the spins `offset` sites apart in site order.
    fn pairs(&self, offset: usize) -> i64 {
        let sites = self.torus.sites();
        let (word, shift) = (offset / 64, offset % 64);
        let whole = sites / 64;
        let differing = |index: usize| {
            let low = self.twice[index + word] >> shift;
            let high = if shift > 0 { self.twice[index + word + 1] << (64 - shift) } else { 0 };
            self.twice[index] ^ (low | high)
        };
        let mut unequal: u64 = (0..whole).map(|index| u64::from(differing(index).count_ones())).sum();
        if !sites.is_multiple_of(64) {
            unequal += u64::from((differing(whole) & ((1 << (sites % 64)) - 1)).count_ones());
        }
        sites as i64 - 2 * unequal as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Stream};
    use crate::spins::Configuration;

    #[test]
    fn counts_are_those_of_one_pair_at_a_time() {
        let mut stream = Stream::new(5, Purpose::Check, 1);
        for side in [3usize, 4, 7, 8, 12, 40, 64] {
            let torus = SquareTorus::new(side).expect("valid");
            let words = (0..torus.sites().div_ceil(64)).map(|_| stream.word()).collect();
            let configuration = Configuration::from_words(torus, words);
            let distances = distances(side);
            let slow: Vec<i64> = distances
                .iter()
                .map(|&r| {
                    let sites = (0..side).flat_map(|y| (0..side).map(move |x| (x, y)));
                    sites
                        .map(|(x, y)| {
                            let beside = configuration.spin(torus.site(x + r, y)) + configuration.spin(torus.site(x, y + r));
                            configuration.spin(torus.site(x, y)) * beside
                        })
                        .sum()
                })
                .collect();
            assert_eq!(PairCounter::new(torus).sums(configuration.words(), &distances), slow, "side {side}");
            assert_eq!(slow[0], -configuration.energy(), "side {side}");
        }
    }

    #[test]
    fn distances_end_at_half_the_side() {
        assert_eq!(distances(9), [1, 2, 3, 4]);
        let long = distances(1024);
        assert_eq!((long[15], long[16], *long.last().expect("some")), (16, 18, 512));
        assert!(long.windows(2).all(|pair| pair[0] < pair[1]) && long.len() < 50);
    }
}
