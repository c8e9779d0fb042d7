//! Units and weights in the layout of the kernels. Here the rest of `rbm` meets `kernels`; read [`Units`] first, then [`Machine`].
//!
//! Sixteen units of a layer are a panel. A panel of states holds the samples one after the other, sixteen bits or sixteen numbers each; a panel of weights
//! belongs to sixteen hidden units and holds one vector a visible unit, padded with zeros to a multiple of 16. Threads work on panels.

use super::gibbs::{self, Conditional};
use super::{Matrix, Rbm, TrainingData};
use crate::kernels::float_vector::Vector;
use crate::kernels::tables::ABREAST;
use crate::kernels::{InstructionSet, forward};
use crate::spins::BitMatrix;
use std::ops::Range;

/// Units a panel.
pub const WIDTH: usize = Vector::WIDTH;

/// The lanes of a panel that hold units, for a layer of `units`.
pub fn mask(panel: usize, units: usize) -> u16 {
    let used = units.saturating_sub(panel * WIDTH).min(WIDTH);
    ((1u32 << used) - 1) as u16
}

/// The states of one layer for some samples: panel p of sample s is entry p * samples + s. Where there is no unit there is 0.
#[derive(Debug, Clone, PartialEq)]
pub enum Units {
    /// Bit l of an entry is unit 16 p + l.
    Bits(Vec<u16>),
    /// Lane l of an entry is unit 16 p + l.
    Numbers(Vec<Vector>),
}

impl Units {
    /// No samples yet, of the kind of `data`.
    pub fn like(data: &TrainingData) -> Units {
        match data {
            TrainingData::Binary(_) => Units::Bits(Vec::new()),
            TrainingData::Real(_) | TrainingData::Above(..) => Units::Numbers(Vec::new()),
        }
    }

    /// Takes the rows `rows` of `data`, one a sample.
    pub fn load(&mut self, data: &TrainingData, rows: impl ExactSizeIterator<Item = usize>) {
        let samples = rows.len();
        let panels = data.units().div_ceil(WIDTH);
        match data {
            TrainingData::Binary(matrix) => {
                let mut bits = std::mem::take(self).into_bits();
                bits.resize(panels * samples, 0);
                let rows: Vec<&[u64]> = rows.map(|row| matrix.row(row)).collect();
                // Word by word of all samples: each panel is then written from its beginning to its end.
                for (index, panels) in bits.chunks_mut(4 * samples.max(1)).enumerate() {
                    for (part, panel) in panels.chunks_exact_mut(samples).enumerate() {
                        panel.iter_mut().zip(&rows).for_each(|(bits, row)| *bits = (row[index] >> (16 * part)) as u16);
                    }
                }
                *self = Units::Bits(bits);
            }
            TrainingData::Real(matrix) => {
                let mut numbers = std::mem::take(self).into_numbers();
                numbers.clear();
                numbers.resize(panels * samples, Vector::ZERO);
                for (sample, row) in rows.enumerate() {
                    for (panel, values) in matrix.row(row).chunks(WIDTH).enumerate() {
                        numbers[panel * samples + sample].0[..values.len()].copy_from_slice(values);
                    }
                }
                *self = Units::Numbers(numbers);
            }
            TrainingData::Above(machine, below) => {
                let mut visible = Units::like(below);
                visible.load(below, rows);
                let mut numbers = std::mem::take(self).into_numbers();
                numbers.resize(panels * samples, Vector::ZERO);
                gibbs::activate(InstructionSet::chosen(), Conditional::Hidden(machine, &visible), samples, &mut numbers);
                *self = Units::Numbers(numbers);
            }
        }
    }

    fn into_bits(self) -> Vec<u16> {
        if let Units::Bits(bits) = self { bits } else { Vec::new() }
    }

    fn into_numbers(self) -> Vec<Vector> {
        if let Units::Numbers(numbers) = self { numbers } else { Vec::new() }
    }
}

impl Default for Units {
    fn default() -> Self {
        Units::Bits(Vec::new())
    }
}

/// Writes bits in panels to rows of packed words, `rows` being whole rows of `words_per_row` words.
pub fn bits_to_rows(bits: &[u16], samples: usize, rows: &mut [u64], words_per_row: usize) {
    rows.fill(0);
    if samples == 0 {
        return;
    }
    for (panel, bits) in bits.chunks_exact(samples).enumerate() {
        for (sample, &bits) in bits.iter().enumerate() {
            rows[sample * words_per_row + panel / 4] |= u64::from(bits) << (16 * (panel % 4));
        }
    }
}

/// All samples of bits in panels as a matrix.
pub fn bits_to_matrix(bits: &[u16], samples: usize, units: usize) -> BitMatrix {
    let mut matrix = BitMatrix::new(samples, units);
    let width = matrix.words_per_row();
    bits_to_rows(bits, samples, matrix.words_mut(), width);
    matrix
}

/// A restricted Boltzmann machine in panels.
#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    /// Visible units.
    pub visible: usize,
    /// Hidden units.
    pub hidden: usize,
    /// Hidden panels of [`Self::rows`] vectors each.
    pub weights: Vec<Vector>,
    /// One vector a visible panel.
    pub visible_bias: Vec<Vector>,
    /// One vector a hidden panel.
    pub hidden_bias: Vec<Vector>,
}

impl Machine {
    /// A machine whose parameters are all zero.
    pub fn zero(visible: usize, hidden: usize) -> Self {
        let (visible_panels, hidden_panels) = (visible.div_ceil(WIDTH), hidden.div_ceil(WIDTH));
        Machine {
            visible,
            hidden,
            weights: vec![Vector::ZERO; hidden_panels * visible_panels * WIDTH],
            visible_bias: vec![Vector::ZERO; visible_panels],
            hidden_bias: vec![Vector::ZERO; hidden_panels],
        }
    }

    /// Vectors in a panel of weights: the visible units and their padding.
    pub fn rows(&self) -> usize {
        self.visible_panels() * WIDTH
    }

    /// The number of visible panels.
    pub fn visible_panels(&self) -> usize {
        self.visible.div_ceil(WIDTH)
    }

    /// The number of hidden panels.
    pub fn hidden_panels(&self) -> usize {
        self.hidden.div_ceil(WIDTH)
    }

    /// Copies the parameters of `rbm`, of the same shape.
    pub fn set(&mut self, rbm: &Rbm) {
        let rows = self.rows();
        for unit in 0..self.visible {
            for (panel, values) in rbm.weights.row(unit).chunks(WIDTH).enumerate() {
                self.weights[panel * rows + unit].0[..values.len()].copy_from_slice(values);
            }
        }
        for (biases, values) in [(&mut self.visible_bias, &rbm.visible_bias), (&mut self.hidden_bias, &rbm.hidden_bias)] {
            for (bias, values) in biases.iter_mut().zip(values.chunks(WIDTH)) {
                bias.0[..values.len()].copy_from_slice(values);
            }
        }
    }

    /// The machine in the layout of the rest of the program.
    pub fn to_rbm(&self) -> Rbm {
        let mut rbm = Rbm::zero(self.visible, self.hidden);
        let rows = self.rows();
        for unit in 0..self.visible {
            for (panel, values) in rbm.weights.row_mut(unit).chunks_mut(WIDTH).enumerate() {
                values.copy_from_slice(&self.weights[panel * rows + unit].0[..values.len()]);
            }
        }
        rbm.visible_bias = self.visible_bias.iter().flat_map(|bias| bias.0).take(self.visible).collect();
        rbm.hidden_bias = self.hidden_bias.iter().flat_map(|bias| bias.0).take(self.hidden).collect();
        rbm
    }

    /// The fields b_j + sum_i v_i W_ij of some hidden panels, panel after panel, for as many samples as `fields` holds.
    pub fn hidden_fields(&self, set: InstructionSet, panels: Range<usize>, visible: &Units, fields: &mut [Vector]) {
        let (weights, bias) = (&self.weights[panels.start * self.rows()..panels.end * self.rows()], &self.hidden_bias[panels]);
        match visible {
            Units::Bits(bits) => forward::up_from_bits(set, weights, bias, bits, fields),
            Units::Numbers(numbers) => forward::up_from_numbers(set, weights, bias, numbers, fields),
        }
    }

    /// The fields c_i + sum_j W_ij h_j of some visible panels.
    pub fn visible_fields(&self, set: InstructionSet, panels: Range<usize>, hidden: &Units, fields: &mut [Vector]) {
        let (first, bias) = (panels.start, &self.visible_bias[panels]);
        match hidden {
            Units::Bits(bits) => forward::down_from_bits(set, &self.weights, self.rows(), first, bias, bits, fields),
            Units::Numbers(numbers) => forward::down_from_numbers(set, &self.weights, self.rows(), first, bias, numbers, fields),
        }
    }
}

/// How many lots of panels a thread takes at least: all of them where the work is too small to be worth waking another thread for. Changes nothing but time.
pub fn least_lots(visible: usize, hidden: usize, samples: usize) -> usize {
    // A product of two panels and a sample takes about a nanosecond, and a thread that is awake some microseconds to take its part.
    const WORTH_SHARING: usize = 10_000;
    let work = (visible.div_ceil(WIDTH) * hidden.div_ceil(WIDTH)).saturating_mul(samples);
    if work < WORTH_SHARING { usize::MAX } else { 1 }
}

/// The panels that a kernel works on together, of `panels`: the `index`-th lot of them.
pub fn lot(index: usize, panels: usize) -> Range<usize> {
    index * ABREAST..panels.min((index + 1) * ABREAST)
}

impl From<&Rbm> for Machine {
    fn from(rbm: &Rbm) -> Machine {
        let mut machine = Machine::zero(rbm.visible(), rbm.hidden());
        machine.set(rbm);
        machine
    }
}

/// Copies numbers in panels to the rows of a matrix that begin at `first`.
pub fn numbers_to_rows(numbers: &[Vector], samples: usize, matrix: &mut Matrix, first: usize) {
    for sample in 0..samples {
        for (panel, values) in matrix.row_mut(first + sample).chunks_mut(WIDTH).enumerate() {
            values.copy_from_slice(&numbers[panel * samples + sample].0[..values.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Stream};

    #[test]
    fn nothing_is_lost_on_the_way_to_panels_and_back() {
        let mut stream = Stream::new(4, Purpose::Check, 34);
        for (visible, hidden) in [(1, 1), (7, 65), (65, 7), (100, 33)] {
            let mut rbm = Rbm::zero(visible, hidden);
            for unit in 0..visible {
                rbm.weights.row_mut(unit).iter_mut().for_each(|weight| *weight = stream.normal() as f32);
            }
            rbm.visible_bias.iter_mut().chain(&mut rbm.hidden_bias).for_each(|bias| *bias = stream.normal() as f32);
            assert_eq!(Machine::from(&rbm).to_rbm(), rbm);

            let mut matrix = BitMatrix::new(9, visible);
            (0..9).for_each(|row| (0..visible).for_each(|column| matrix.set(row, column, stream.word() & 1 == 1)));
            let data = TrainingData::Binary(matrix.clone());
            let mut units = Units::like(&data);
            units.load(&data, 0..9);
            let Units::Bits(bits) = units else { panic!("bits stay bits") };
            assert_eq!(bits_to_matrix(&bits, 9, visible), matrix);
        }
        assert_eq!((mask(0, 16), mask(1, 17), mask(1, 16), mask(0, 3)), (u16::MAX, 1, 0, 7));
    }
}
