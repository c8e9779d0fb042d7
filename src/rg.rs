//! The renormalization group, and what a network learned held against it.
//!
//! Reading order: [`mapping`] is the exact statement of arXiv:1410.3831 (one type for Kadanoff's variational operator and for a Boltzmann machine), proved
//! by enumeration on small systems; [`couplings`] reads the couplings of any Hamiltonian given as a table; [`decimation`] is the example that can be solved
//! by hand. For the network trained on the square lattice: [`receptive_field`] asks what each unit sees, [`block_spin`] is the transformation of Kadanoff
//! that it is compared with, [`controls`] has what else its fields are held against, [`block_rule`] sets its rules side by side, [`reconstruction`] says how much of a configuration survives going up
//! and down, and [`flow`] where it leads to do so again and again.
//! [`standards`] and [`monte_carlo`] are the renormalization that needs no network; [`linear`] is the algebra below them.
//!
//! Every random choice of the analysis comes from a [`control_stream`], so that no result depends on threads or on the order of the work.

pub mod block_rule;
pub mod block_spin;
pub mod controls;
pub mod couplings;
pub mod decimation;
pub mod flow;
pub mod linear;
pub mod mapping;
pub mod monte_carlo;
pub mod receptive_field;
pub mod reconstruction;
pub mod standards;

use crate::random::{Purpose, Stream};

/// The random choices of the analysis. The numbers are part of the definition of every result: never change one, only add.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Control {
    /// Random weights, the null of the receptive fields; the index is the layer.
    RandomWeights = 0,
    /// Ties of direct b x b majority blocks; the index is the configuration.
    DirectTies = 1,
    /// Ties of iterated 2 x 2 majority blocks; the index is the configuration.
    IteratedTies = 2,
    /// Ties of the 2 x 2 majority blocks of Monte Carlo renormalization; the index is ensemble * 2^32 + configuration.
    MonteCarloTies = 3,
    /// Block spins by majority, level by level; the index is the configuration.
    RuleMajority = 4,
    /// Block spins by Kadanoff's kernel, level by level; the index is the configuration.
    RuleKernel = 5,
    /// The seeds of networks beside the main one; the index is the number of the seed.
    CompanionSeed = 20,
    /// The order of shuffled sites.
    ShuffledSites = 21,
    /// The order of the weights of a layer in the control of random weights; the index is the layer.
    PermutedWeights = 22,
    /// Hidden states at which the two coarse Hamiltonians of a trained machine are compared.
    HiddenStates = 23,
    /// Exact samples of an Ising chain; the index is the configuration.
    RingSamples = 16,
    /// The seeds of the stack that is trained on them.
    RingTraining = 17,
}

/// The stream of one random choice of the analysis: (seed, [`Purpose::Renormalization`], control * 2^48 + index).
pub fn control_stream(seed: u64, control: Control, index: u64) -> Stream {
    debug_assert!(index < 1 << 48, "an index of the analysis has at most 48 bits");
    Stream::new(seed, Purpose::Renormalization, ((control as u64) << 48) | index)
}

/// An integer observable summed over independent configurations: exact, so that the order and the grouping of the sums do not matter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    count: u64,
    sum: i128,
    sum_of_squares: i128,
}

impl Tally {
    /// Counts one value in.
    pub fn add(&mut self, value: i64) {
        self.count += 1;
        self.sum += i128::from(value);
        self.sum_of_squares += i128::from(value) * i128::from(value);
    }

    /// Counts in all values of another tally.
    pub fn merge(&mut self, other: &Tally) {
        self.count += other.count;
        self.sum += other.sum;
        self.sum_of_squares += other.sum_of_squares;
    }

    /// The number of values.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The mean and its standard error, both divided by `unit`. The error takes the values for independent; a single value does not tell it, so that it is infinite. Both are 0 for none.
    pub fn mean_and_error(&self, unit: f64) -> [f64; 2] {
        if self.count == 0 {
            return [0.0, 0.0];
        }
        let count = i128::from(self.count);
        // n * sum of squares - square of sum is an exact integer: no cancellation however small the spread.
        let spread = count * self.sum_of_squares - self.sum * self.sum;
        let number = self.count as f64;
        let error = if self.count > 1 { (spread as f64 / (number * number * (number - 1.0))).sqrt() } else { f64::INFINITY };
        [self.sum as f64 / number / unit, error / unit]
    }
}

impl FromIterator<i64> for Tally {
    fn from_iter<I: IntoIterator<Item = i64>>(values: I) -> Self {
        let mut tally = Tally::default();
        for value in values {
            tally.add(value);
        }
        tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_has_the_textbook_mean_and_error() {
        let tally: Tally = [1, 2, 3, 6].into_iter().collect();
        let [mean, error] = tally.mean_and_error(2.0);
        // Mean 3, sample variance 14 / 3, standard error sqrt(14 / 12); all in units of 2.
        assert!((mean - 1.5).abs() < 1e-15 && (error - (14.0f64 / 12.0).sqrt() / 2.0).abs() < 1e-15);
        let (mut left, right): (Tally, Tally) = ([1, 2].into_iter().collect(), [6, 3].into_iter().collect());
        left.merge(&right);
        assert_eq!(left, tally);
        assert_eq!([7].into_iter().collect::<Tally>().mean_and_error(2.0), [3.5, f64::INFINITY]);
    }

    #[test]
    fn controls_never_share_a_stream() {
        let mut words = std::collections::HashSet::new();
        for control in [
            Control::RandomWeights,
            Control::DirectTies,
            Control::IteratedTies,
            Control::MonteCarloTies,
            Control::RuleMajority,
            Control::RuleKernel,
            Control::CompanionSeed,
            Control::ShuffledSites,
            Control::PermutedWeights,
            Control::RingSamples,
            Control::RingTraining,
        ] {
            for index in 0..100 {
                assert!(words.insert(control_stream(1, control, index).word()));
            }
        }
    }
}
