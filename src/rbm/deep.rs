//! The stack: each layer is trained on what the layer below makes of the data. Up with probabilities, down with probabilities.

use super::gibbs::{self, Conditional};
use super::panels::{Machine, Units, bits_to_rows, numbers_to_rows};
use super::{Matrix, Rbm, TrainingData};
use crate::kernels::InstructionSet;
use crate::kernels::float_vector::Vector;
use crate::random::Purpose;
use crate::spins::BitMatrix;
use std::sync::Arc;

/// What of a layer is the data of the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActivationKind {
    /// p(h = 1 | v), numbers between 0 and 1, as in the code of Hinton and Salakhutdinov.
    Probabilities,
    /// Drawn 0/1 states.
    States,
}

impl ActivationKind {
    /// The name in run files and reports.
    pub fn name(self) -> &'static str {
        match self {
            ActivationKind::Probabilities => "probabilities",
            ActivationKind::States => "states",
        }
    }
}

/// Below this standard deviation of p(h = 1 | v) over the data a hidden unit is dead: it says nothing about them.
pub const DEAD: f64 = 0.02;

/// Samples worked on together; the streams of drawn activities belong to blocks of this many samples.
const BLOCK: usize = 256;

/// Does `work` on blocks of samples: (first sample, samples, units).
fn each_block(data: &TrainingData, mut work: impl FnMut(usize, usize, &Units)) {
    let mut units = Units::like(data);
    for start in (0..data.samples()).step_by(BLOCK) {
        let end = data.samples().min(start + BLOCK);
        units.load(data, start..end);
        work(start, end - start, &units);
    }
}

fn probabilities(layer: Conditional, panels: usize, samples: usize) -> Vec<Vector> {
    let mut numbers = vec![Vector::ZERO; panels * samples];
    gibbs::activate(InstructionSet::chosen(), layer, samples, &mut numbers);
    numbers
}

/// The hidden layer of every sample, the data of the next layer. Drawn states come from the streams (seed, Activations, layer 2^56 + block 2^24 + panel)
/// with blocks of 256 samples; `layer` is the place of `rbm` in its stack, from 0.
///
/// # Panics
/// If the samples have another number of units than the machine sees.
pub fn activations(rbm: &Rbm, data: &TrainingData, kind: ActivationKind, seed: u64, layer: u64) -> TrainingData {
    assert_eq!(rbm.visible(), data.units(), "a machine sees one number a visible unit");
    activations_of(&Machine::from(rbm), data, kind, seed, layer)
}

/// The most memory that the probabilities of one layer take in a run, in bytes.
pub const MOST_KEPT: usize = 1 << 28;

/// [`activations`] that are kept if they take at most `most` bytes, which is [`MOST_KEPT`] in a run: more of them are made anew for every minibatch from `data`, with the same numbers. Drawn
/// states, a bit a unit, are always kept.
///
/// # Panics
/// If the samples have another number of units than the machine sees.
pub fn activations_within(most: usize, rbm: &Rbm, data: TrainingData, kind: ActivationKind, seed: u64, layer: u64) -> TrainingData {
    let bytes = data.samples().saturating_mul(rbm.hidden()).saturating_mul(size_of::<f32>());
    if kind == ActivationKind::States || bytes <= most {
        return activations(rbm, &data, kind, seed, layer);
    }
    assert_eq!(rbm.visible(), data.units(), "a machine sees one number a visible unit");
    TrainingData::Above(Arc::new(Machine::from(rbm)), Arc::new(data))
}

/// [`activations`] of a machine in the layout of the kernels.
pub fn activations_of(machine: &Machine, data: &TrainingData, kind: ActivationKind, seed: u64, layer: u64) -> TrainingData {
    let panels = machine.hidden_panels();
    match kind {
        ActivationKind::Probabilities => {
            let mut matrix = Matrix::zero(data.samples(), machine.hidden);
            each_block(data, |start, samples, units| {
                let numbers = probabilities(Conditional::Hidden(machine, units), panels, samples);
                numbers_to_rows(&numbers, samples, &mut matrix, start);
            });
            TrainingData::Real(matrix)
        }
        ActivationKind::States => {
            let mut matrix = BitMatrix::new(data.samples(), machine.hidden);
            let width = matrix.words_per_row();
            each_block(data, |start, samples, units| {
                let block = (start / BLOCK) as u64;
                let index = |panel: usize, _: usize| layer << 56 | block << 24 | panel as u64;
                let mut lanes = gibbs::streams(seed, Purpose::Activations, panels, 0..1, index);
                let mut bits = vec![0; panels * samples];
                let whole = 0..samples;
                gibbs::sample(
                    InstructionSet::chosen(),
                    Conditional::Hidden(machine, units),
                    std::slice::from_ref(&whole),
                    &mut lanes,
                    &mut bits,
                );
                bits_to_rows(&bits, samples, &mut matrix.words_mut()[start * width..(start + samples) * width], width);
            });
            TrainingData::Binary(matrix)
        }
    }
}

/// The activities of the top layer, going up with probabilities only: nothing is drawn.
///
/// # Panics
/// If a layer does not fit on the one below.
pub fn up(stack: &[Rbm], data: &BitMatrix) -> TrainingData {
    let visible = TrainingData::Binary(data.clone());
    stack.iter().fold(visible, |below, rbm| activations(rbm, &below, ActivationKind::Probabilities, 0, 0))
}

/// What comes back of each configuration after going up to the top of `stack` and down again, with probabilities all the way: p(v = 1) of each visible unit.
/// For a lower layer give the lower part of the stack, `&stack[..=layer]`.
///
/// # Panics
/// If the stack is empty or a layer does not fit on the one below.
pub fn reconstruct(stack: &[Rbm], data: &BitMatrix) -> Matrix {
    assert!(!stack.is_empty(), "only a layer can be gone up to");
    let top = up(stack, data);
    let down = stack.iter().rev().fold(top, |above, rbm| {
        let machine = Machine::from(rbm);
        let mut matrix = Matrix::zero(above.samples(), rbm.visible());
        each_block(&above, |start, samples, units| {
            let numbers = probabilities(Conditional::Visible(&machine, units), machine.visible_panels(), samples);
            numbers_to_rows(&numbers, samples, &mut matrix, start);
        });
        TrainingData::Real(matrix)
    });
    match down {
        TrainingData::Real(matrix) => matrix,
        TrainingData::Binary(_) | TrainingData::Above(..) => Matrix::zero(0, data.columns()),
    }
}

/// The hidden units that never move: standard deviation of p(h = 1 | v) over the data below [`DEAD`]. Sums in f64 in the order of the samples.
///
/// # Panics
/// If the samples have another number of units than the machine sees.
pub fn dead_units(rbm: &Rbm, data: &TrainingData) -> Vec<usize> {
    assert_eq!(rbm.visible(), data.units(), "a machine sees one number a visible unit");
    let machine = Machine::from(rbm);
    let mut movement = Movement::new(rbm.hidden());
    each_block(data, |_, samples, units| {
        movement.add(&probabilities(Conditional::Hidden(&machine, units), machine.hidden_panels(), samples), samples);
    });
    movement.dead()
}

/// The same of every layer of a stack, going up with probabilities: of the activities only a block of samples is in memory.
///
/// # Panics
/// If a layer does not fit on the one below.
pub fn dead_units_of_stack(stack: &[Rbm], data: &BitMatrix) -> Vec<Vec<usize>> {
    let machines: Vec<Machine> = stack.iter().map(Machine::from).collect();
    let mut movements: Vec<Movement> = stack.iter().map(|rbm| Movement::new(rbm.hidden())).collect();
    for start in (0..data.rows()).step_by(BLOCK) {
        let block = TrainingData::Binary(data.slice_rows(start..data.rows().min(start + BLOCK)));
        let samples = block.samples();
        let mut units = Units::like(&block);
        units.load(&block, 0..samples);
        for (machine, movement) in machines.iter().zip(&mut movements) {
            let numbers = probabilities(Conditional::Hidden(machine, &units), machine.hidden_panels(), samples);
            movement.add(&numbers, samples);
            units = Units::Numbers(numbers);
        }
    }
    movements.iter().map(Movement::dead).collect()
}

/// Sums of p(h = 1 | v) and its square over samples.
struct Movement {
    sums: Vec<[f64; 2]>,
    samples: usize,
}

impl Movement {
    fn new(hidden: usize) -> Self {
        Movement { sums: vec![[0.0; 2]; hidden], samples: 0 }
    }

    fn add(&mut self, numbers: &[Vector], samples: usize) {
        self.samples += samples;
        for (unit, [sum, squares]) in self.sums.iter_mut().enumerate() {
            for vector in &numbers[unit / Vector::WIDTH * samples..][..samples] {
                let p = f64::from(vector.0[unit % Vector::WIDTH]);
                *sum += p;
                *squares += p * p;
            }
        }
    }

    fn dead(&self) -> Vec<usize> {
        let count = self.samples.max(1) as f64;
        let moves = |&[sum, squares]: &[f64; 2]| {
            let mean = sum / count;
            // A variance that rounding made negative is zero.
            (squares / count - mean * mean).max(0.0).sqrt() >= DEAD
        };
        self.sums.iter().enumerate().filter(|(_, sums)| !moves(sums)).map(|(unit, _)| unit).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;
    use crate::rbm::exact::{ExactRbm, logistic};
    use crate::rbm::train::{Alone, Trainer};
    use crate::rbm::{TrainingOptions, VisibleBias};

    fn random_rbm(visible: usize, hidden: usize, index: u64) -> Rbm {
        let mut stream = Stream::new(7, Purpose::Check, index);
        let mut rbm = Rbm::zero(visible, hidden);
        (0..visible).for_each(|row| rbm.weights.row_mut(row).iter_mut().for_each(|weight| *weight = 0.4 * stream.normal() as f32));
        rbm.visible_bias.iter_mut().chain(&mut rbm.hidden_bias).for_each(|bias| *bias = stream.normal() as f32);
        rbm
    }

    fn random_bits(rows: usize, columns: usize) -> BitMatrix {
        let mut stream = Stream::new(8, Purpose::Check, 0);
        let mut matrix = BitMatrix::new(rows, columns);
        (0..rows).for_each(|row| (0..columns).for_each(|column| matrix.set(row, column, stream.word() & 1 == 1)));
        matrix
    }

    /// One layer up or down in f64, one unit at a time.
    fn pass(rbm: &ExactRbm, upwards: bool, given: &[f64]) -> Vec<f64> {
        let weight = |i: usize, j: usize| rbm.weights[i * rbm.hidden + j];
        if upwards {
            (0..rbm.hidden).map(|j| logistic(rbm.hidden_bias[j] + (0..rbm.visible).map(|i| given[i] * weight(i, j)).sum::<f64>())).collect()
        } else {
            (0..rbm.visible)
                .map(|i| logistic(rbm.visible_bias[i] + (0..rbm.hidden).map(|j| given[j] * weight(i, j)).sum::<f64>()))
                .collect()
        }
    }

    /// What a layer learns and what is watched of it, from probabilities that are kept and from some that are made anew, two layers deep.
    #[test]
    fn probabilities_made_anew_are_those_that_are_kept() {
        let stack = [random_rbm(37, 21, 0), random_rbm(21, 18, 1)];
        let [training, held_out] = [random_bits(300, 37), random_bits(300, 37).slice_rows(3..50)].map(TrainingData::Binary);
        let above = |most: usize, data: &TrainingData| {
            stack.iter().fold(data.clone(), |data, rbm| activations_within(most, rbm, data, ActivationKind::Probabilities, 1, 0))
        };
        let learned = |most: usize| {
            let data = [&training, &held_out].map(|data| above(most, data));
            let options = TrainingOptions { minibatch: 70, shards: 3, visible_bias: VisibleBias::LogOdds, ..TrainingOptions::new(5, 6, 2) };
            let mut trainer = Trainer::new(&data[0], &data[1], options, &Alone).expect("data that fit");
            let epochs = [(); 3].map(|()| trainer.epoch().expect("finite numbers"));
            (matches!(data[0], TrainingData::Above(..)), data[0].means(), trainer.rbm().clone(), epochs)
        };
        // 300 samples of 18 units take 21,600 bytes, of 21 units 25,200.
        let [kept, second, both] = [25_200, 21_600, 21_599].map(learned);
        assert_eq!([kept.0, second.0, both.0], [false, false, true]);
        assert!((&kept.1, &kept.2, &kept.3) == (&second.1, &second.2, &second.3));
        assert!((&kept.1, &kept.2, &kept.3) == (&both.1, &both.2, &both.3));
    }

    #[test]
    fn up_and_down_equal_the_sums_written_out() {
        let stack = [random_rbm(37, 21, 0), random_rbm(21, 18, 1), random_rbm(18, 5, 2)];
        let exact: Vec<ExactRbm> = stack.iter().map(ExactRbm::from).collect();
        let data = random_bits(300, 37);
        for depth in 1..=3 {
            let found = reconstruct(&stack[..depth], &data);
            let TrainingData::Real(top) = up(&stack[..depth], &data) else { panic!("probabilities are numbers") };
            for row in 0..300 {
                let start: Vec<f64> = data.bits(row).iter().by_vals().map(|bit| f64::from(u8::from(bit))).collect();
                let code = exact[..depth].iter().fold(start, |below, rbm| pass(rbm, true, &below));
                let back = exact[..depth].iter().rev().fold(code.clone(), |above, rbm| pass(rbm, false, &above));
                assert!(top.row(row).iter().zip(&code).all(|(&found, expected)| (f64::from(found) - expected).abs() < 1e-5));
                assert!(found.row(row).iter().zip(&back).all(|(&found, expected)| (f64::from(found) - expected).abs() < 1e-5));
            }
        }
    }

    #[test]
    fn drawn_activities_have_the_right_means_and_dead_units_are_found() {
        let mut rbm = random_rbm(30, 20, 3);
        // Unit 4 is always on, unit 11 never: neither says anything.
        (rbm.hidden_bias[4], rbm.hidden_bias[11]) = (60.0, -60.0);
        let data = TrainingData::Binary(random_bits(20_000, 30));
        let mean = |kind: ActivationKind| activations(&rbm, &data, kind, 3, 1).means();
        let (states, probabilities) = (mean(ActivationKind::States), mean(ActivationKind::Probabilities));
        // Five standard errors of 20,000 draws.
        assert!(states.iter().zip(&probabilities).all(|(state, probability)| (state - probability).abs() < 5.0 * 0.5 / 20_000f64.sqrt()));
        assert!(activations(&rbm, &data, ActivationKind::States, 3, 1) != activations(&rbm, &data, ActivationKind::States, 3, 2));
        assert_eq!(dead_units(&rbm, &data), vec![4, 11]);
    }
}
