//! What is watched of a training machine: cheap, exact in its meaning, the same on every rank.

use super::gibbs::{self, Conditional};
use super::panels::{Machine, Units, WIDTH, lot, mask};
use super::{Rbm, TrainingData};
use crate::kernels::float_vector::Vector;
use crate::kernels::tables::ABREAST;
use crate::kernels::{InstructionSet, activation};
use crate::spins::BitMatrix;
use rayon::prelude::*;

/// Training samples that are compared with the held-out ones, at most, unless more are held out.
pub const MOST_TRAINING_SAMPLES: usize = 2000;

/// How many of the first training samples are watched for the free-energy gap where so many are held out: as many as these, but at least [`MOST_TRAINING_SAMPLES`], if there are so many.
pub fn watched_samples(samples: usize, held_out: usize) -> usize {
    samples.min(held_out.max(MOST_TRAINING_SAMPLES))
}

/// Samples that are worked on together; it changes no result.
pub const SAMPLES_AT_ONCE: usize = 256;

/// One epoch in numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Epoch {
    /// Mean squared difference between a visible unit and its probability after one Gibbs step, per unit, over the samples as they were trained on; for other methods than contrastive
    /// divergence that of [`reconstruction_error`] at the end of the epoch.
    pub reconstruction_error: f64,
    /// Mean free energy of the held-out data minus that of the first training data, at most 2000 or as many as are held out, in nats; the energies of Ising spins are taken out
    /// ([`super::train::gap`]). 0 without held-out data.
    pub free_energy_gap: f64,
    /// Its standard error; infinite with a single held-out sample.
    pub free_energy_gap_error: f64,
    /// Estimated mean logarithm of p(v_i given all other units) a visible unit over the held-out data, in nats ([`pseudo_likelihood`]).
    pub pseudo_likelihood: Option<f64>,
    /// Root mean square of the weights.
    pub weight_norm: f64,
    /// Largest absolute weight.
    pub weight_maximum: f64,
    /// Root mean square of the last minibatch's gradient of the weights, penalty not counted.
    pub gradient_norm: f64,
    /// The learning rate of this epoch.
    pub learning_rate: f64,
}

/// The free energies F(v) = -c.v - sum_j ln(1 + e^(b_j + v.W_j)) = H^RBM\[v\] of the first `samples` samples, in nats: fields in f32, sums in f64 in the order of the units.
pub fn free_energies(set: InstructionSet, machine: &Machine, data: &TrainingData, samples: usize) -> Vec<f64> {
    let blocks: Vec<usize> = (0..samples).step_by(SAMPLES_AT_ONCE).collect();
    let visible_part = VisiblePart::of(machine, data);
    let of_block = |start: usize| {
        let rows = start..samples.min(start + SAMPLES_AT_ONCE);
        let count = rows.len();
        let mut units = Units::like(data);
        units.load(data, rows.clone());
        let mut sums: Vec<f64> = rows.enumerate().map(|(sample, row)| visible_part.of_row(row, &units, sample, count)).collect();
        let mut fields = vec![Vector::ZERO; ABREAST * count];
        for index in 0..machine.hidden_panels().div_ceil(ABREAST) {
            let panels = lot(index, machine.hidden_panels());
            let fields = &mut fields[..panels.len() * count];
            machine.hidden_fields(set, panels.clone(), &units, fields);
            for (panel, fields) in panels.zip(fields.chunks_exact(count)) {
                activation::add_softplus(set, fields, mask(panel, machine.hidden), &mut sums);
            }
        }
        sums.into_iter().map(|sum| -sum).collect::<Vec<f64>>()
    };
    let blocks: Vec<Vec<f64>> = blocks.into_par_iter().map(of_block).collect();
    blocks.concat()
}

/// c.v of a sample. The units are added eight at a time.
enum VisiblePart<'a> {
    /// For binary units, the sum for every state of eight of them: 256 numbers for each eight.
    Tables(Vec<f64>, &'a BitMatrix),
    /// The biases.
    Numbers(Vec<f64>),
}

impl<'a> VisiblePart<'a> {
    fn of(machine: &Machine, data: &'a TrainingData) -> Self {
        let biases: Vec<f64> = machine.visible_bias.iter().flat_map(|panel| panel.0).map(f64::from).collect();
        let matrix = match data {
            TrainingData::Binary(matrix) => matrix,
            TrainingData::Real(_) | TrainingData::Above(..) => return VisiblePart::Numbers(biases),
        };
        let mut tables = Vec::with_capacity(256 * biases.len().div_ceil(8));
        for biases in biases.chunks(8) {
            let start = tables.len();
            tables.push(0.0);
            for bias in biases {
                for state in start..tables.len() {
                    tables.push(tables[state] + bias);
                }
            }
        }
        VisiblePart::Tables(tables, matrix)
    }

    /// Of a row of the data, which is sample number `sample` of the `count` in `units`.
    fn of_row(&self, row: usize, units: &Units, sample: usize, count: usize) -> f64 {
        match self {
            VisiblePart::Tables(tables, matrix) => {
                let bytes = matrix.row(row).iter().flat_map(|word| word.to_le_bytes());
                tables.chunks_exact(256).zip(bytes).map(|(table, byte)| table[usize::from(byte)]).sum()
            }
            VisiblePart::Numbers(biases) => {
                let Units::Numbers(numbers) = units else { return 0.0 };
                let mut sums = [0.0; 8];
                for (panel, biases) in biases.chunks(WIDTH).enumerate() {
                    for (biases, values) in biases.chunks(8).zip(numbers[panel * count + sample].0.chunks(8)) {
                        sums.iter_mut().zip(biases).zip(values).for_each(|((sum, bias), &value)| *sum += bias * f64::from(value));
                    }
                }
                sums.iter().sum()
            }
        }
    }
}

/// Mean squared difference between a visible unit and its probability after going up and down with probabilities, per unit, over the first samples (at most
/// [`MOST_TRAINING_SAMPLES`]). Sums in f64 in a fixed order.
pub fn reconstruction_error(set: InstructionSet, machine: &Machine, data: &TrainingData) -> f64 {
    let samples = data.samples().min(MOST_TRAINING_SAMPLES);
    let blocks: Vec<usize> = (0..samples).step_by(SAMPLES_AT_ONCE).collect();
    let of_block = |start: usize| {
        let rows = start..samples.min(start + SAMPLES_AT_ONCE);
        let count = rows.len();
        let mut units = Units::like(data);
        units.load(data, rows);
        let mut hidden = vec![Vector::ZERO; machine.hidden_panels() * count];
        gibbs::activate(set, Conditional::Hidden(machine, &units), count, &mut hidden);
        let mut back = vec![Vector::ZERO; machine.visible_panels() * count];
        gibbs::activate(set, Conditional::Visible(machine, &Units::Numbers(hidden)), count, &mut back);
        let distance = |(panel, probabilities): (usize, &[Vector])| match &units {
            Units::Bits(bits) => activation::squared_distance_to_bits(set, &bits[panel * count..(panel + 1) * count], probabilities),
            Units::Numbers(numbers) => activation::squared_distance(set, &numbers[panel * count..(panel + 1) * count], probabilities),
        };
        back.chunks_exact(count).enumerate().map(distance).sum::<f64>()
    };
    let errors: Vec<f64> = blocks.into_par_iter().map(of_block).collect();
    errors.iter().sum::<f64>() / (samples * machine.visible) as f64
}

/// Samples of which the pseudo-likelihood is estimated, at most.
const MOST_PSEUDO_SAMPLES: usize = 1000;

/// The mean of ln p(v_i given the other units) over one unit i of each of the first samples (at most 1000), in nats: ln p = -ln(1 + e^(F(v) - F(v with unit i flipped))). The unit
/// walks through the layer from sample to sample, so that nothing is drawn. `energies` are F(v) of the samples. `None` for data that are not binary, or none.
///
/// J. Besag, The Statistician 24, 179 (1975). It is cheap and falls short: a machine may know its neighbours and still be wrong at large.
pub fn pseudo_likelihood(set: InstructionSet, machine: &Machine, data: &TrainingData, energies: &[f64]) -> Option<f64> {
    let TrainingData::Binary(matrix) = data else { return None };
    let samples = matrix.rows().min(MOST_PSEUDO_SAMPLES);
    if samples == 0 {
        return None;
    }
    let mut flipped = matrix.slice_rows(0..samples);
    for row in 0..samples {
        // 0.618 of the layer a step: no two of the first samples look at the same unit where there are enough.
        let unit = (row as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let unit = (u128::from(unit) * machine.visible as u128) >> 64;
        let value = flipped.get(row, unit as usize);
        flipped.set(row, unit as usize, !value);
    }
    let there = free_energies(set, machine, &TrainingData::Binary(flipped), samples);
    let logarithm = |(here, there): (&f64, &f64)| -crate::rbm::exact::softplus(here - there);
    Some(energies.iter().zip(&there).map(logarithm).sum::<f64>() / samples as f64)
}

/// Root mean square and largest absolute value of the weights.
pub fn weight_size(rbm: &Rbm) -> (f64, f64) {
    // Eight sums side by side: one after the other, each addition would wait for the last.
    let (mut squares, mut maxima) = ([0f64; 8], [0f32; 8]);
    for row in 0..rbm.visible() {
        for weights in rbm.weights.row(row).chunks(squares.len()) {
            for ((square, maximum), &weight) in squares.iter_mut().zip(&mut maxima).zip(weights) {
                *square += f64::from(weight) * f64::from(weight);
                *maximum = maximum.max(weight.abs());
            }
        }
    }
    let (squares, maximum) = (squares.iter().sum::<f64>(), maxima.into_iter().fold(0.0, f32::max));
    ((squares / (rbm.visible() * rbm.hidden()) as f64).sqrt(), f64::from(maximum))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Stream};
    use crate::rbm::exact::ExactRbm;

    #[test]
    fn free_energies_are_the_exact_hamiltonian() {
        let mut stream = Stream::new(6, Purpose::Check, 0);
        let mut rbm = Rbm::zero(50, 20);
        (0..50).for_each(|row| rbm.weights.row_mut(row).iter_mut().for_each(|weight| *weight = 0.5 * stream.normal() as f32));
        rbm.visible_bias.iter_mut().chain(&mut rbm.hidden_bias).for_each(|bias| *bias = stream.normal() as f32);
        let mut matrix = BitMatrix::new(300, 50);
        (0..300).for_each(|row| matrix.row_mut(row)[0] = stream.word() >> 14);
        let exact = ExactRbm::from(&rbm);
        let numbers: Vec<f32> =
            (0..300).flat_map(|row| matrix.bits(row).iter().by_vals().map(|bit| f32::from(u8::from(bit))).collect::<Vec<f32>>()).collect();
        let data = [TrainingData::Binary(matrix.clone()), TrainingData::Real(crate::rbm::Matrix::from_unpadded(300, 50, &numbers))];
        for data in data {
            for (row, found) in free_energies(InstructionSet::chosen(), &Machine::from(&rbm), &data, 300).into_iter().enumerate() {
                let expected = exact.visible_hamiltonian(matrix.row(row)[0]);
                assert!((found - expected).abs() < 1e-5 * expected.abs().max(1.0), "{found} and {expected}");
            }
        }
    }
}
