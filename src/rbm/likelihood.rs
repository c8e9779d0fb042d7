//! How probable a trained machine finds its data, and what it believes about the spins: the numbers that a small reconstruction error says nothing about.
//!
//! Read [`assess`] here first; then [`exact`] (ln Z by enumeration of a small layer), [`annealed`] (ln Z of any machine, from both sides), [`thermodynamics`] (chains of the
//! machine), [`stack`] (a whole stack), [`verdict`] (whether such chains have the right thermodynamics). The data are Ising spins at a known coupling, so that not only the machine's probability of a configuration is known, but also the true one: the difference
//! of the two logarithms, averaged over data, is the Kullback-Leibler divergence with nothing left to estimate but ln Z.

pub mod annealed;
pub mod exact;
pub mod stack;
pub mod thermodynamics;
pub mod verdict;

use super::monitor::free_energies;
use super::panels::Machine;
use super::{Rbm, TrainingData};
use crate::exact::square;
use crate::kernels::InstructionSet;
use crate::lattice::SquareTorus;
use crate::ledger::Ledger;
use crate::spins::{BitMatrix, Configuration};
use annealed::{Annealed, Path};
use thermodynamics::{Thermodynamics, over_chains};

/// The largest difference between the forward and the reverse estimate of ln Z, in nats, for which a divergence is given.
pub const LARGEST_DISAGREEMENT: f64 = 5.0;

/// How much work [`assess`] does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Chains of each direction of annealing.
    pub annealing_chains: usize,
    /// Temperatures between the base and the machine.
    pub annealing_temperatures: usize,
    /// Chains from each of the two starts.
    pub sampling_chains: usize,
    /// Gibbs sweeps of each of these chains.
    pub sampling_sweeps: usize,
    /// The seed of all random numbers.
    pub seed: u64,
}

/// What is known of a machine of Ising spins.
#[derive(Debug, Clone, PartialEq)]
pub struct Likelihood {
    /// ln Z by enumeration, if one of the layers is small enough.
    pub exact: Option<f64>,
    /// ln Z by annealing from the base to the machine: rather too low.
    pub forward: Annealed,
    /// ln Z by annealing from the machine to the base, started from the last states of the chains that began at data: rather too high, if these are in equilibrium.
    pub reverse: Annealed,
    /// Mean free energy of the held-out configurations, with its standard error over them.
    pub free_energy: [f64; 2],
    /// Mean of H^RBM\[v\] - H(v) - ln Z_Ising over the held-out configurations, with its error: the divergence without ln Z of the machine.
    pub residual: [f64; 2],
    /// Variance of ln Tr_h e^T = H(v) - H^RBM\[v\] over the held-out configurations, with its standard error: the violation of the trace condition (Eq. 9), in nats squared.
    pub trace_violation: [f64; 2],
    /// The exact entropy of the spins in nats: the least negative log-likelihood that any machine can have.
    pub entropy: f64,
    /// Chains of the machine beside the exact values.
    pub thermodynamics: Thermodynamics,
}

impl Options {
    /// The steps that [`assess`] tells a ledger of.
    pub fn steps(&self) -> u64 {
        self.annealing_steps() + 2 * self.sampling_chains as u64 * self.sampling_sweeps as u64
    }

    /// Those of annealing alone, which [`stack::assess`] tells of.
    pub fn annealing_steps(&self) -> u64 {
        let walks = self.annealing_chains + self.annealing_chains.min(self.sampling_chains);
        walks as u64 * self.annealing_temperatures as u64
    }
}

impl Likelihood {
    /// ln Z with its uncertainty: by enumeration, or the middle of the two estimates if they agree within [`LARGEST_DISAGREEMENT`] and both are of enough effective chains. Half their
    /// difference is the least uncertainty.
    pub fn log_partition_function(&self) -> Option<[f64; 2]> {
        accepted(self.exact, &self.forward, &self.reverse)
    }

    /// The mean of -ln p(v) over the held-out configurations in nats, if ln Z is known.
    pub fn negative_log_likelihood(&self) -> Option<[f64; 2]> {
        self.log_partition_function().map(|log_z| sum(self.free_energy, log_z))
    }

    /// The Kullback-Leibler divergence of the machine from the Ising law in nats, if ln Z is known: the mean of ln P(v) - ln p(v) over the held-out configurations.
    pub fn divergence(&self) -> Option<[f64; 2]> {
        self.log_partition_function().map(|log_z| sum(self.residual, log_z))
    }

    /// The divergence that one estimate of ln Z implies.
    pub fn divergence_by(&self, estimate: &Annealed) -> [f64; 2] {
        sum(self.residual, [estimate.log_partition_function, estimate.error])
    }
}

/// ln Z with its uncertainty from enumeration or from both directions of annealing.
fn accepted(exact: Option<f64>, low: &Annealed, high: &Annealed) -> Option<[f64; 2]> {
    if let Some(exact) = exact {
        return Some([exact, 0.0]);
    }
    let difference = (high.log_partition_function - low.log_partition_function).abs();
    (difference <= LARGEST_DISAGREEMENT && low.is_usable() && high.is_usable()).then(|| {
        let middle = (high.log_partition_function + low.log_partition_function) / 2.0;
        [middle, (difference / 2.0).max(low.error.hypot(high.error) / 2.0)]
    })
}

/// A mean over configurations and ln Z: values add, independent errors add in squares. The mean is of sums in single precision, which know no more than their last digit.
fn sum(mean: [f64; 2], log_z: [f64; 2]) -> [f64; 2] {
    let rounding = f64::from(f32::EPSILON) * log_z[0].abs();
    [mean[0] + log_z[0], mean[1].hypot(log_z[1]).hypot(rounding)]
}

/// Weighs `rbm` against the Ising model on `torus` at K = `coupling`, of which `held_out` are configurations. `means` are those of the visible units over the training
/// data: where annealing begins. `ledger` takes the notes.
///
/// # Panics
/// If the machine does not see the sites of the torus, or there are no configurations.
pub fn assess(
    rbm: &Rbm,
    means: &[f64],
    held_out: &BitMatrix,
    torus: SquareTorus,
    coupling: f64,
    options: &Options,
    ledger: &dyn Ledger,
) -> Likelihood {
    let reference = square(torus.side(), coupling);
    let sites = torus.sites() as f64;
    let data = TrainingData::Binary(held_out.clone());
    let free_energies = free_energies(InstructionSet::chosen(), &Machine::from(rbm), &data, held_out.rows());
    let residual = |(row, free_energy): (usize, &f64)| {
        let energy = Configuration::from_words(torus, held_out.row(row).to_vec()).energy() as f64;
        free_energy - coupling * energy
    };
    let residuals: Vec<f64> = free_energies.iter().enumerate().map(residual).collect();
    let [mean, error] = over_chains(residuals.iter().copied());
    let lengths = [options.sampling_chains, options.sampling_sweeps];
    let thermodynamics = thermodynamics::sample(rbm, held_out, torus, coupling, lengths, options.seed, ledger);
    let path = Path::new(rbm, means);
    let (steps, seed) = (options.annealing_temperatures, options.seed);
    let states = &thermodynamics.states;
    let (forward, reverse) = rayon::join(
        || path.forward(options.annealing_chains, steps, seed, 0, ledger),
        || path.reverse(&states.slice_rows(0..options.annealing_chains.min(states.rows())), steps, seed, 0, ledger),
    );
    Likelihood {
        exact: exact::log_partition_function(rbm),
        forward,
        reverse,
        free_energy: over_chains(free_energies.iter().copied()),
        residual: [mean - reference.log_partition_function_per_site * sites, error],
        // With the error of a mean of squares; that the mean is estimated as well changes both by one part in their number.
        trace_violation: over_chains(residuals.iter().map(|value| (value - mean).powi(2))),
        entropy: reference.entropy_per_site * sites,
        thermodynamics,
    }
}

#[cfg(test)]
mod tests;
