//! Gibbs steps: a whole layer is drawn given the other. The trainer takes them a minibatch at a time; [`GibbsChains`] are the chains of a trained machine.
//!
//! The samples are cut into strips, and each strip has a random stream for every panel of sixteen units; so neither threads, which take panels, nor ranks,
//! which own strips, can change what is drawn.

use super::panels::{Machine, Units, WIDTH, bits_to_matrix, least_lots, lot, mask};
use super::{Rbm, TrainingData};
use crate::error::Result;
use crate::kernels::float_vector::Vector;
use crate::kernels::tables::ABREAST;
use crate::kernels::{InstructionSet, activation};
use crate::random::{LaneStream, Purpose};
use crate::sampler::snapshot::Reader;
use crate::spins::BitMatrix;
use rayon::prelude::*;
use std::ops::Range;

/// The layer that receives, and what it is given.
#[derive(Clone, Copy)]
pub enum Conditional<'a> {
    /// The hidden units given the visible ones.
    Hidden(&'a Machine, &'a Units),
    /// The visible units given the hidden ones.
    Visible(&'a Machine, &'a Units),
}

impl Conditional<'_> {
    /// The fields of some panels, panel after panel.
    pub fn fields(&self, set: InstructionSet, panels: Range<usize>, fields: &mut [Vector]) {
        match self {
            Conditional::Hidden(machine, visible) => machine.hidden_fields(set, panels, visible, fields),
            Conditional::Visible(machine, hidden) => machine.visible_fields(set, panels, hidden, fields),
        }
    }

    /// How many lots of panels a thread takes at least.
    pub fn least_lots(&self, samples: usize) -> usize {
        let (Conditional::Hidden(machine, _) | Conditional::Visible(machine, _)) = self;
        least_lots(machine.visible, machine.hidden, samples)
    }

    /// The number of panels.
    pub fn panels(&self) -> usize {
        match self {
            Conditional::Hidden(machine, _) => machine.hidden_panels(),
            Conditional::Visible(machine, _) => machine.visible_panels(),
        }
    }

    /// The lanes of a panel that hold units.
    pub fn mask(&self, panel: usize) -> u16 {
        match self {
            Conditional::Hidden(machine, _) => mask(panel, machine.hidden),
            Conditional::Visible(machine, _) => mask(panel, machine.visible),
        }
    }
}

/// Draws all panels into `bits`. `lanes` holds the streams of panel p and strip t at p * strips + t; the strips cover the samples in order.
pub fn sample(set: InstructionSet, layer: Conditional, strips: &[Range<usize>], lanes: &mut [LaneStream], bits: &mut [u16]) {
    let samples = strips.last().map_or(0, |strip| strip.end);
    if samples == 0 {
        return;
    }
    let lots = bits.par_chunks_mut(ABREAST * samples).zip(lanes.par_chunks_mut(ABREAST * strips.len())).enumerate();
    lots.with_min_len(layer.least_lots(samples)).for_each_init(
        || vec![Vector::ZERO; ABREAST * samples],
        |fields, (index, (bits, lanes))| {
            let panels = lot(index, layer.panels());
            let fields = &mut fields[..bits.len()];
            layer.fields(set, panels.clone(), fields);
            let parts = fields.chunks_exact(samples).zip(bits.chunks_exact_mut(samples)).zip(lanes.chunks_exact_mut(strips.len()));
            for (panel, ((fields, bits), lanes)) in panels.zip(parts) {
                for (strip, stream) in strips.iter().zip(lanes) {
                    activation::sample(set, &fields[strip.clone()], layer.mask(panel), &mut stream.lanes, &mut bits[strip.clone()]);
                }
            }
        },
    );
}

/// Computes the fields of all panels for `samples` samples.
pub fn fields(set: InstructionSet, layer: Conditional, samples: usize, fields: &mut [Vector]) {
    if samples == 0 {
        return;
    }
    let lots = fields.par_chunks_mut(ABREAST * samples).enumerate();
    lots.with_min_len(layer.least_lots(samples)).for_each(|(index, fields)| layer.fields(set, lot(index, layer.panels()), fields));
}

/// Computes the probabilities of all panels for `samples` samples.
pub fn activate(set: InstructionSet, layer: Conditional, samples: usize, probabilities: &mut [Vector]) {
    if samples == 0 {
        return;
    }
    let lots = probabilities.par_chunks_mut(ABREAST * samples).enumerate();
    lots.with_min_len(layer.least_lots(samples)).for_each(|(index, fields)| {
        let panels = lot(index, layer.panels());
        layer.fields(set, panels.clone(), fields);
        for (panel, fields) in panels.zip(fields.chunks_exact_mut(samples)) {
            activation::activate(set, fields, layer.mask(panel));
        }
    });
}

/// [`sample`] and [`activate`] at once.
pub fn activate_and_sample(
    set: InstructionSet,
    layer: Conditional,
    strips: &[Range<usize>],
    lanes: &mut [LaneStream],
    probabilities: &mut [Vector],
    bits: &mut [u16],
) {
    let samples = strips.last().map_or(0, |strip| strip.end);
    if samples == 0 {
        return;
    }
    let width = ABREAST * samples;
    let lots = probabilities.par_chunks_mut(width).zip(bits.par_chunks_mut(width)).zip(lanes.par_chunks_mut(ABREAST * strips.len()));
    lots.enumerate().with_min_len(layer.least_lots(samples)).for_each(|(index, ((fields, bits), lanes))| {
        let panels = lot(index, layer.panels());
        layer.fields(set, panels.clone(), fields);
        activate_lot(set, layer, panels, strips, lanes, fields, bits);
    });
}

/// Makes probabilities and states of the fields of some panels.
pub fn activate_lot(
    set: InstructionSet,
    layer: Conditional,
    panels: Range<usize>,
    strips: &[Range<usize>],
    lanes: &mut [LaneStream],
    fields: &mut [Vector],
    bits: &mut [u16],
) {
    let samples = fields.len() / panels.len();
    let parts = fields.chunks_exact_mut(samples).zip(bits.chunks_exact_mut(samples)).zip(lanes.chunks_exact_mut(strips.len()));
    for (panel, ((fields, bits), lanes)) in panels.zip(parts) {
        for (strip, stream) in strips.iter().zip(lanes) {
            let (fields, bits) = (&mut fields[strip.clone()], &mut bits[strip.clone()]);
            activation::activate_and_sample(set, fields, layer.mask(panel), &mut stream.lanes, bits);
        }
    }
}

/// The streams of a layer, panel-major: panel p and strip t from `index(p, t)`.
pub fn streams(
    seed: u64,
    purpose: Purpose,
    panels: usize,
    strips: Range<usize>,
    index: impl Fn(usize, usize) -> u64 + Sync,
) -> Vec<LaneStream> {
    let width = strips.len();
    let make = |place: usize| LaneStream::new(seed, purpose, index(place / width, strips.start + place % width));
    (0..panels * width).into_par_iter().map(make).collect()
}

/// Strips of `length` samples, the last one shorter.
pub fn strips(samples: usize, length: usize) -> Vec<Range<usize>> {
    (0..samples).step_by(length).map(|start| start..samples.min(start + length)).collect()
}

/// Chains of a strip.
const CHAINS_PER_STRIP: usize = 128;

/// Independent Markov chains of a machine, advanced together.
#[derive(Debug, Clone)]
pub struct GibbsChains {
    machine: Machine,
    strips: Vec<Range<usize>>,
    visible: Units,
    hidden: Units,
    visible_lanes: Vec<LaneStream>,
    hidden_lanes: Vec<LaneStream>,
}

impl GibbsChains {
    /// One chain a row of `start`, at these visible states. The streams are (seed, NetworkSampling, index 2^40 + strip 2^20 + panel) with strips of 128 chains
    /// and the visible panels counted from 2^19; `index` below 2^24 tells several sets of chains apart.
    ///
    /// # Panics
    /// If the states have another number of units than the machine sees.
    pub fn new(rbm: &Rbm, start: &BitMatrix, seed: u64, index: u64) -> Self {
        assert_eq!(rbm.visible(), start.columns(), "a chain starts from one bit a visible unit");
        let machine = Machine::from(rbm);
        let strips = strips(start.rows(), CHAINS_PER_STRIP);
        let data = TrainingData::Binary(start.clone());
        let mut visible = Units::like(&data);
        visible.load(&data, 0..start.rows());
        let hidden = Units::Bits(vec![0; machine.hidden_panels() * start.rows()]);
        let lanes = |panels: usize, first: u64| {
            streams(seed, Purpose::NetworkSampling, panels, 0..strips.len(), |panel, strip| {
                index << 40 | (strip as u64) << 20 | (panel as u64 + first)
            })
        };
        let (hidden_lanes, visible_lanes) = (lanes(machine.hidden_panels(), 0), lanes(machine.visible_panels(), 1 << 19));
        GibbsChains { machine, strips, visible, hidden, visible_lanes, hidden_lanes }
    }

    /// The number of chains.
    pub fn chains(&self) -> usize {
        self.strips.last().map_or(0, |strip| strip.end)
    }

    /// Draws the hidden layer given the visible one, then the visible one given the hidden one.
    pub fn sweep(&mut self) {
        self.sweep_on(InstructionSet::chosen());
    }

    /// [`Self::sweep`] with the kernels of one instruction set; the result does not depend on it.
    pub fn sweep_on(&mut self, set: InstructionSet) {
        let (Units::Bits(visible), Units::Bits(hidden)) = (&mut self.visible, &mut self.hidden) else { return };
        let given = Units::Bits(std::mem::take(visible));
        sample(set, Conditional::Hidden(&self.machine, &given), &self.strips, &mut self.hidden_lanes, hidden);
        let Units::Bits(mut states) = given else { return };
        sample(set, Conditional::Visible(&self.machine, &self.hidden), &self.strips, &mut self.visible_lanes, &mut states);
        self.visible = Units::Bits(states);
    }

    /// The visible states, one row a chain.
    pub fn visible(&self) -> BitMatrix {
        match &self.visible {
            Units::Bits(bits) => bits_to_matrix(bits, self.chains(), self.machine.visible),
            Units::Numbers(_) => BitMatrix::new(0, self.machine.visible),
        }
    }

    /// What the rest of the chains depends on: the visible states, chain after chain, and the streams of the hidden and the visible panels.
    pub fn words(&self) -> Vec<u64> {
        let mut words = self.visible().words().to_vec();
        words.extend(self.hidden_lanes.iter().chain(&self.visible_lanes).flat_map(LaneStream::state));
        words
    }

    /// Goes on from such words of chains of the same machine, as many.
    ///
    /// # Errors
    /// [`crate::error::Error::Refused`] if they do not fit.
    pub fn restore(&mut self, words: &[u64]) -> Result<()> {
        let mut reader = Reader::new(words);
        let mut states = BitMatrix::new(self.chains(), self.machine.visible);
        let count = states.words().len();
        states.words_mut().copy_from_slice(reader.words(count)?);
        self.visible.load(&TrainingData::Binary(states), 0..self.chains());
        for stream in self.hidden_lanes.iter_mut().chain(&mut self.visible_lanes) {
            *stream = reader.lanes()?;
        }
        reader.end()
    }

    /// Units drawn in one sweep of all chains, padding not counted.
    pub fn units_per_sweep(&self) -> usize {
        self.chains() * (self.machine.visible + self.machine.hidden)
    }
}

/// The number of panels that hold `units` units.
pub fn panels(units: usize) -> usize {
    units.div_ceil(WIDTH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rbm::exact::tests::random_machine;

    #[test]
    fn chains_reach_the_law_of_the_machine() {
        // 2,000 chains, 200 sweeps after 20: with correlations of a few sweeps the standard error of a mean is below 0.002; 0.01 allows five of them.
        // A machine with weights 20 % larger is a mutant that must be seen.
        let machine = random_machine(6, 9, 0.8, 50);
        let f32s = |values: &[f64]| values.iter().map(|&value| value as f32).collect::<Vec<f32>>();
        let chains_of = |scale: f64| {
            let weights = crate::rbm::Matrix::from_unpadded(6, 9, &f32s(&machine.weights.iter().map(|w| w * scale).collect::<Vec<f64>>()));
            let rbm = Rbm { weights, visible_bias: f32s(&machine.visible_bias), hidden_bias: f32s(&machine.hidden_bias) };
            let mut chains = GibbsChains::new(&rbm, &BitMatrix::new(2000, 6), 1, 0);
            (0..20).for_each(|_| chains.sweep());
            let mut counts = vec![0f64; 64];
            for _ in 0..200 {
                chains.sweep();
                let states = chains.visible();
                (0..2000).for_each(|row| counts[states.row(row)[0] as usize] += 1.0 / 400_000.0);
            }
            counts
        };
        let log_z = machine.log_partition_function();
        let distance = |counts: &[f64]| {
            let exact = |state: usize| (-machine.visible_hamiltonian(state as u64) - log_z).exp();
            counts.iter().enumerate().map(|(state, count)| (count - exact(state)).abs()).sum::<f64>() / 2.0
        };
        let (right, mutant) = (distance(&chains_of(1.0)), distance(&chains_of(1.2)));
        assert!(right < 0.01, "total variation {right}");
        assert!(mutant > 0.02, "the mutant is only {mutant} away");
    }

    #[test]
    fn instruction_sets_and_threads_leave_no_trace() {
        let machine = random_machine(40, 20, 0.3, 51);
        let weights = machine.weights.iter().map(|&weight| weight as f32).collect::<Vec<f32>>();
        let rbm = Rbm { weights: crate::rbm::Matrix::from_unpadded(40, 20, &weights), ..Rbm::zero(40, 20) };
        let run = |set: InstructionSet, threads: usize| {
            rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| {
                let mut chains = GibbsChains::new(&rbm, &BitMatrix::new(300, 40), 1, 7);
                (0..5).for_each(|_| chains.sweep_on(set));
                chains.visible()
            })
        };
        let expected = run(InstructionSet::PORTABLE, 1);
        for set in InstructionSet::available() {
            assert!(run(set, 1) == expected && run(set, 2) == expected, "{set}");
        }
    }
}
