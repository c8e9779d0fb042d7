//! The free-energy gap: how much less probable a machine finds data that it has never learned from than those that it learns. It grows when the training data are learned by heart, whatever Z is.
//!
//! The gap is a difference of two means over configurations, and scatters as these do. Where the configurations are Ising spins at one coupling, their energies H = -K sum s s are known, and have the same mean over
//! training and held-out data but for chance: F - H is then averaged in the place of F. A machine that has learned the law has F - H nearly the same everywhere, so that hardly any scatter is left.

use super::Trainer;
use crate::lattice::SquareTorus;
use crate::measure::two_point::PairCounter;
use crate::rbm::TrainingData;
use crate::rbm::monitor::{free_energies, watched_samples};
use rayon::prelude::*;

/// What is known of the energies of the data.
#[derive(Debug, Default)]
pub(super) struct Energies {
    /// The lattice and the coupling, if the data are Ising spins.
    law: Option<(SquareTorus, f64)>,
    /// H of the first training samples, and of the held-out ones; empty until they are needed.
    training: Vec<f64>,
    held_out: Vec<f64>,
}

impl Energies {
    /// The training data have changed.
    pub fn forget_training(&mut self) {
        self.training.clear();
    }
}

impl Trainer<'_> {
    /// The same trainer for Ising spins on a torus, one visible unit a site, at K = `coupling`: their energies are taken out of the free-energy gap.
    pub fn with_energies(mut self, torus: SquareTorus, coupling: f64) -> Self {
        self.energies.law = Some((torus, coupling)).filter(|(torus, _)| torus.sites() == self.machine.visible);
        self
    }

    /// Mean of F, or of F - H, over the held-out data, whose free energies are given, minus that over the first training data, of which there are at most 2000 or as many as are held out; with its
    /// standard error, from the scatter of both. Zero without held-out data.
    pub(super) fn free_energy_gap(&mut self, held_out: &[f64]) -> [f64; 2] {
        if held_out.is_empty() {
            return [0.0; 2];
        }
        let samples = watched_samples(self.data.samples(), held_out.len());
        let training = free_energies(self.set, &self.machine, &self.data, samples);
        if let Some((torus, coupling)) = self.energies.law {
            if self.energies.training.len() != samples {
                self.energies.training = energies(&self.data, torus, coupling, samples);
            }
            if self.energies.held_out.len() != held_out.len() {
                self.energies.held_out = energies(&self.held_out, torus, coupling, held_out.len());
            }
        }
        gap([&training, &self.energies.training], [held_out, &self.energies.held_out])
    }
}

/// H of the first samples; nothing of samples that are not spins.
fn energies(data: &TrainingData, torus: SquareTorus, coupling: f64, samples: usize) -> Vec<f64> {
    let TrainingData::Binary(matrix) = data else { return Vec::new() };
    let of_row = |counter: &mut PairCounter, row: usize| -coupling * counter.sums(matrix.row(row), &[1])[0] as f64;
    (0..samples).into_par_iter().map_init(|| PairCounter::new(torus), of_row).collect()
}

/// The difference of the means of F - H, held-out minus training, and its standard error: that of independent samples. The energies may be missing.
fn gap(training: [&[f64]; 2], held_out: [&[f64]; 2]) -> [f64; 2] {
    let knows_energies = [training, held_out].iter().all(|[free, energies]| free.len() == energies.len());
    let mean_and_variance = |[free, energies]: [&[f64]; 2]| {
        let value = |row: usize| free[row] - if knows_energies { energies[row] } else { 0.0 };
        let count = free.len() as f64;
        let mean = (0..free.len()).map(value).sum::<f64>() / count;
        // Of one sample nothing is known of the scatter.
        let variance = if free.len() < 2 {
            f64::INFINITY
        } else {
            (0..free.len()).map(|row| (value(row) - mean).powi(2)).sum::<f64>() / (count * (count - 1.0))
        };
        [mean, variance]
    };
    let ([one, one_variance], [other, other_variance]) = (mean_and_variance(held_out), mean_and_variance(training));
    [one - other, (one_variance + other_variance).sqrt()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rbm::bond_machine::torus_machine;
    use crate::rbm::train::Alone;
    use crate::rbm::{Rbm, TrainingOptions};
    use crate::sampler::{Sampler, Start, swendsen_wang::SwendsenWang};
    use crate::spins::BitMatrix;

    #[test]
    fn the_error_is_that_of_two_means() {
        let (training, held_out) = ([1.0, 3.0, 5.0, 7.0], [4.0, 6.0]);
        // Variances 20/3 and 2, of 4 and of 2 samples.
        let expected = (20.0f64 / 3.0 / 4.0 + 1.0).sqrt();
        let [value, error] = gap([&training, &[]], [&held_out, &[]]);
        assert!((value - 1.0).abs() < 1e-15 && (error - expected).abs() < 1e-15, "{value} {error}");
        // What is said by energies alone is taken out altogether.
        assert_eq!(gap([&training, &training], [&held_out, &held_out]), [0.0, 0.0]);
        assert_eq!(gap([&training, &[]], [&[1.0], &[]])[1], f64::INFINITY);
    }

    #[test]
    fn the_exact_machine_has_no_gap_once_the_energies_are_taken_out() {
        let torus = SquareTorus::new(8).unwrap();
        let mut chain = SwendsenWang::new(torus, 0.408, Start::Hot, 3, 0).unwrap();
        let mut drawn = |count: usize| {
            let configurations: Vec<_> = (0..count)
                .map(|_| {
                    (0..10).for_each(|_| {
                        chain.sweep();
                    });
                    chain.configuration()
                })
                .collect();
            TrainingData::Binary(BitMatrix::from_configurations(configurations.iter(), 64))
        };
        let (training, held_out) = (drawn(300), drawn(100));
        let machine: Rbm = torus_machine(torus, 0.408).unwrap();
        let gap = |coupling: Option<f64>| {
            let trainer = Trainer::new(&training, &held_out, TrainingOptions::new(machine.hidden(), 1, 0), &Alone).unwrap();
            let mut trainer = coupling.into_iter().fold(trainer, |trainer, coupling| trainer.with_energies(torus, coupling));
            trainer.machine = (&machine).into();
            let free = free_energies(trainer.set, &trainer.machine, &trainer.held_out, 100);
            trainer.free_energy_gap(&free)
        };
        // Without the energies the gap is that of their means, as much as chance makes it: its error is about sqrt(C / K^2 N (1/300 + 1/100)) K = 0.9.
        let [plain, error] = gap(None);
        assert!(error > 0.5 && error < 1.5 && plain.abs() < 4.0 * error, "{plain} {error}");
        let [value, error] = gap(Some(0.408));
        assert!(value.abs() < 1e-3 && error < 1e-3, "{value} {error}");
        // Another coupling leaves a part of the scatter.
        assert!(gap(Some(0.2))[1] > 0.2);
    }
}
