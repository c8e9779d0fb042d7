//! Bit-packed spins. A set bit is the spin +1, a clear bit the spin -1; as units of a network, 1 and 0.
//!
//! [`Configuration`] is one lattice in site order, the form in which spins leave a sampler, enter a file and train a network. [`BitMatrix`] is many of them,
//! one a row. The samplers keep layouts of their own that suit their kernels and convert at the door.

mod bit_matrix;
pub mod checkerboard;
pub mod domains;
pub mod replicas;
pub mod rows;

pub use bit_matrix::BitMatrix;

use crate::lattice::Torus;
use bitvec::{order::Lsb0, slice::BitSlice};

/// The number of spins in one word.
pub const WORD_BITS: usize = u64::BITS as usize;

/// One spin configuration of a lattice: site i is bit i mod 64 of word i / 64; the bits past the last site are clear.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Configuration {
    torus: Torus,
    words: Vec<u64>,
}

impl Configuration {
    /// All spins -1.
    pub fn all_down(torus: impl Into<Torus>) -> Self {
        let torus = torus.into();
        Configuration { torus, words: vec![0; torus.sites().div_ceil(WORD_BITS)] }
    }

    /// All spins +1.
    pub fn all_up(torus: impl Into<Torus>) -> Self {
        let torus = torus.into();
        Self::from_words(torus, vec![u64::MAX; torus.sites().div_ceil(WORD_BITS)])
    }

    /// A configuration from packed words in site order. Bits past the last site are cleared.
    ///
    /// # Panics
    /// If the number of words is not ceil(N / 64).
    pub fn from_words(torus: impl Into<Torus>, mut words: Vec<u64>) -> Self {
        let torus = torus.into();
        assert_eq!(words.len(), torus.sites().div_ceil(WORD_BITS), "a configuration has ceil(N / 64) words");
        let used = torus.sites() % WORD_BITS;
        if used != 0
            && let Some(last) = words.last_mut()
        {
            *last &= (1 << used) - 1;
        }
        Configuration { torus, words }
    }

    /// The lattice.
    pub fn torus(&self) -> Torus {
        self.torus
    }

    /// The packed words.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// The sites as a slice of bits, addressed one by one.
    pub fn bits(&self) -> &BitSlice<u64, Lsb0> {
        &BitSlice::from_slice(&self.words)[..self.torus.sites()]
    }

    /// The spin of a site, +1 or -1.
    pub fn spin(&self, site: usize) -> i64 {
        if self.bits()[site] { 1 } else { -1 }
    }

    /// Sets the spin of a site: +1 if `up`.
    pub fn set(&mut self, site: usize, up: bool) {
        let sites = self.torus.sites();
        BitSlice::<u64, Lsb0>::from_slice_mut(&mut self.words)[..sites].set(site, up);
    }

    /// The total magnetization, the sum of all spins.
    pub fn magnetization(&self) -> i64 {
        let up: i64 = self.words.iter().map(|word| i64::from(word.count_ones())).sum();
        2 * up - self.torus.sites() as i64
    }

    /// The energy in units of J, minus the sum of s_i s_j over the bonds. Written for the eye: one bond at a time.
    pub fn energy(&self) -> i64 {
        let of_site = |site: usize| -> i64 {
            (0..self.torus.dimension()).map(|axis| -self.spin(site) * self.spin(self.torus.next(site, axis))).sum()
        };
        (0..self.torus.sites()).map(of_site).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lattice::SquareTorus;

    #[test]
    fn ordered_configurations_have_the_ground_state_energy() {
        for side in [3, 4, 8, 9, 40] {
            let torus = SquareTorus::new(side).expect("a valid side");
            let sites = torus.sites() as i64;
            assert_eq!((Configuration::all_up(torus).energy(), Configuration::all_up(torus).magnetization()), (-2 * sites, sites));
            assert_eq!((Configuration::all_down(torus).energy(), Configuration::all_down(torus).magnetization()), (-2 * sites, -sites));
        }
    }

    #[test]
    fn one_flipped_spin_costs_eight() {
        let torus = SquareTorus::new(6).expect("a valid side");
        let mut configuration = Configuration::all_down(torus);
        configuration.set(35, true);
        assert_eq!((configuration.energy(), configuration.magnetization()), (-72 + 8, -36 + 2));
    }
}
