//! ln Z by annealed importance sampling: R. M. Neal, Stat. Comput. 11, 125 (2001); R. Salakhutdinov and I. Murray, ICML 2008.
//!
//! Read [`Path`] first. A base machine without weights, whose partition function is known, is turned into the machine in equal steps of beta: all parameters are interpolated
//! linearly. A chain takes one Gibbs step at each beta and carries the weight product of p*_new(v) / p*_old(v), whose mean is the ratio of the partition functions.
//!
//! Forward, from the base, the mean weight rarely contains the rare large ones: ln Z comes out too low rather than too high. Backward, from states of the machine, it comes
//! out too high, *if* those states are distributed as the machine says. So the two bracket ln Z for chains that mix; where they differ, neither is to be believed.

use crate::elementary::logarithm;
use crate::error::Result;
use crate::kernels::annealing::{self, Tempered};
use crate::kernels::float_vector::Vector;
use crate::kernels::tables::ABREAST;
use crate::kernels::{InstructionSet, activation};
use crate::ledger::{Entry, Ledger};
use crate::random::{LaneStream, Purpose};
use crate::rbm::exact::softplus;
use crate::rbm::gibbs::strips;
use crate::rbm::panels::{Machine, Units, WIDTH, lot, mask};
use crate::rbm::{Rbm, TrainingData};
use crate::sampler::snapshot::Reader;
use crate::spins::BitMatrix;
use crate::statistics::confidence;
use rayon::prelude::*;
use std::ops::Range;

/// Chains of a strip; part of the definition of the result.
const CHAINS_PER_STRIP: usize = 64;

/// The least effective number of chains with which an estimate is used: where one chain has nearly all the weight, nothing is known of the scatter, and ln Z may be off by any amount.
pub const LEAST_EFFECTIVE: f64 = 2.0;

/// An estimate of ln Z.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Annealed {
    /// ln Z, the logarithm of the mean weight.
    pub log_partition_function: f64,
    /// Its standard error, by the jackknife over chains; infinite for a single chain. It knows only of weights that were met: with few effective samples it is too small.
    pub error: f64,
    /// (sum w)^2 / sum w^2, from 1 (one chain has all the weight) to the number of chains.
    pub effective_samples: f64,
    /// The number of chains.
    pub chains: usize,
}

impl Annealed {
    /// Whether enough chains count for the estimate and its error to mean anything ([`LEAST_EFFECTIVE`]).
    pub fn is_usable(&self) -> bool {
        self.effective_samples >= LEAST_EFFECTIVE && self.error.is_finite()
    }

    /// Where ln Z lies with 95 %: Student's interval for the effective chains.
    pub fn interval(&self) -> [f64; 2] {
        confidence::interval(self.log_partition_function, self.error, self.effective_samples)
    }
}

/// The direction of a walk, and the random numbers that belong to it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Direction {
    Forward,
    Reverse,
}

/// The way from a base machine to the machine in question.
#[derive(Debug, Clone)]
pub struct Path {
    /// The weights, without biases.
    machine: Machine,
    /// Visible biases of the base: the log-odds of the mean of each unit.
    base: Vec<Vector>,
    /// Visible biases of the machine minus those of the base.
    difference: Vec<Vector>,
    /// Hidden biases of the machine; the base has none.
    hidden_bias: Vec<Vector>,
    /// ln Z of the base.
    base_log_partition_function: f64,
}

impl Path {
    /// The path to `rbm` from independent visible units with the given means (of the data, say; they are kept from 0 and 1 by 1/1000).
    ///
    /// # Panics
    /// If there is not one mean a visible unit.
    pub fn new(rbm: &Rbm, means: &[f64]) -> Path {
        assert_eq!(rbm.visible(), means.len(), "the base has one mean a visible unit");
        let mut machine = Machine::from(rbm);
        let log_odds = |mean: &f64| {
            let mean = mean.clamp(1e-3, 1.0 - 1e-3);
            logarithm(mean / (1.0 - mean)) as f32
        };
        let biases: Vec<f32> = means.iter().map(log_odds).collect();
        let base: Vec<Vector> = biases.chunks(WIDTH).map(vector).collect();
        let difference = machine.visible_bias.iter().zip(&base).map(|(end, base)| end.plus(&base.negated())).collect();
        machine.visible_bias.fill(Vector::ZERO);
        let hidden_bias = std::mem::replace(&mut machine.hidden_bias, vec![Vector::ZERO; rbm.hidden().div_ceil(WIDTH)]);
        let base_log_partition_function =
            biases.iter().map(|&bias| softplus(f64::from(bias))).sum::<f64>() + rbm.hidden() as f64 * std::f64::consts::LN_2;
        Path { machine, base, difference, hidden_bias, base_log_partition_function }
    }

    /// From the base to the machine with `chains` independent chains in `steps` steps. The streams are (seed, Annealing, index 2^41 + strip 2^20 + panel) with strips of
    /// 64 chains and visible panels counted from 2^19; `index` below 2^22 tells several estimates apart.
    pub fn forward(&self, chains: usize, steps: usize, seed: u64, index: u64, ledger: &dyn Ledger) -> Annealed {
        self.forward_on(InstructionSet::chosen(), chains, steps, seed, index, ledger)
    }

    fn forward_on(&self, set: InstructionSet, chains: usize, steps: usize, seed: u64, index: u64, ledger: &dyn Ledger) -> Annealed {
        let panels = self.machine.visible_panels();
        let walk = |(strip, rows): (usize, Range<usize>)| {
            let mut lanes = self.streams(Direction::Forward, strip, seed, index);
            let mut visible = vec![0u16; panels * rows.len()];
            for (panel, bits) in visible.chunks_exact_mut(rows.len()).enumerate() {
                let fields = vec![self.base[panel]; rows.len()];
                activation::sample(set, &fields, mask(panel, self.machine.visible), &mut lanes.visible[panel].lanes, bits);
            }
            let entry = Entry::new(ledger, format!("annealing {index} forward, strip {strip}"));
            self.walk(set, (visible, rows.len()), &mut lanes, &betas(steps).collect::<Vec<f32>>(), entry)
        };
        let weights: Vec<Vec<f64>> = strips(chains, CHAINS_PER_STRIP).into_par_iter().enumerate().map(walk).collect();
        let mut estimate = mean_weight(&weights.concat());
        estimate.log_partition_function += self.base_log_partition_function;
        estimate
    }

    /// From the machine to the base, one chain a row of `states`, which should be distributed as the machine says. The streams are those of [`Self::forward`] plus 2^40.
    ///
    /// # Panics
    /// If the states have another number of units than the machine sees.
    pub fn reverse(&self, states: &BitMatrix, steps: usize, seed: u64, index: u64, ledger: &dyn Ledger) -> Annealed {
        self.reverse_on(InstructionSet::chosen(), states, steps, seed, index, ledger)
    }

    fn reverse_on(&self, set: InstructionSet, states: &BitMatrix, steps: usize, seed: u64, index: u64, ledger: &dyn Ledger) -> Annealed {
        assert_eq!(self.machine.visible, states.columns(), "a chain starts from one bit a visible unit");
        let data = TrainingData::Binary(states.clone());
        let betas: Vec<f32> = betas(steps).collect::<Vec<f32>>().into_iter().rev().collect();
        let walk = |(strip, rows): (usize, Range<usize>)| {
            let samples = rows.len();
            let mut units = Units::like(&data);
            units.load(&data, rows);
            let mut lanes = self.streams(Direction::Reverse, strip, seed, index);
            let entry = Entry::new(ledger, format!("annealing {index} reverse, strip {strip}"));
            self.walk(set, (bits_of(units), samples), &mut lanes, &betas, entry)
        };
        let weights: Vec<Vec<f64>> = strips(states.rows(), CHAINS_PER_STRIP).into_par_iter().enumerate().map(walk).collect();
        let mut estimate = mean_weight(&weights.concat());
        estimate.log_partition_function = self.base_log_partition_function - estimate.log_partition_function;
        estimate
    }

    /// One strip along the path: ln of the weight of each chain.
    fn walk(
        &self,
        set: InstructionSet,
        (mut visible, samples): (Vec<u16>, usize),
        lanes: &mut Lanes,
        betas: &[f32],
        mut entry: Entry,
    ) -> Vec<f64> {
        let machine = &self.machine;
        let (mut weights, mut steps) = (vec![0.0; samples], 0);
        // What does not fit is not used: the same bits come out from the beginning.
        if let Some(found) = entry.found().and_then(|words| WalkState::from_words(&words, samples, &visible, lanes).ok()) {
            (steps, weights, visible) = (found.steps.min(betas.len()), found.weights, found.visible);
            *lanes = found.lanes;
        }
        let mut hidden = vec![0u16; machine.hidden_panels() * samples];
        let mut sums = vec![Vector::ZERO; ABREAST * samples];
        for pair in betas.windows(2).skip(steps) {
            let (from, to) = (pair[0], pair[1]);
            for (values, bits) in self.difference.iter().zip(visible.chunks_exact(samples)) {
                annealing::add_products(set, values, f64::from(to) - f64::from(from), bits, &mut weights);
            }
            let given = Units::Bits(visible);
            for (index, bits) in hidden.chunks_mut(ABREAST * samples).enumerate() {
                let (panels, sums) = (lot(index, machine.hidden_panels()), &mut sums[..bits.len()]);
                machine.hidden_fields(set, panels.clone(), &given, sums);
                for (panel, (sums, bits)) in panels.zip(sums.chunks_exact(samples).zip(bits.chunks_exact_mut(samples))) {
                    let at = |beta: f32| Tempered { factor: beta, bias: Vector::ZERO.plus_product(beta, &self.hidden_bias[panel]) };
                    let stream = &mut lanes.hidden[panel].lanes;
                    annealing::weigh_and_sample(set, sums, &at(from), &at(to), mask(panel, machine.hidden), stream, &mut weights, bits);
                }
            }
            visible = bits_of(given);
            let given = Units::Bits(hidden);
            for (index, bits) in visible.chunks_mut(ABREAST * samples).enumerate() {
                let (panels, sums) = (lot(index, machine.visible_panels()), &mut sums[..bits.len()]);
                machine.visible_fields(set, panels.clone(), &given, sums);
                for (panel, (sums, bits)) in panels.zip(sums.chunks_exact(samples).zip(bits.chunks_exact_mut(samples))) {
                    let at = Tempered { factor: to, bias: self.base[panel].plus_product(to, &self.difference[panel]) };
                    annealing::sample(set, sums, &at, mask(panel, machine.visible), &mut lanes.visible[panel].lanes, bits);
                }
            }
            hidden = bits_of(given);
            steps += 1;
            entry.step(samples as u64, || WalkState::words(steps, &weights, &visible, lanes));
        }
        entry.finish(|| WalkState::words(steps, &weights, &visible, lanes));
        weights
    }

    fn streams(&self, direction: Direction, strip: usize, seed: u64, index: u64) -> Lanes {
        let first = index << 41 | u64::from(direction == Direction::Reverse) << 40 | (strip as u64) << 20;
        let of = |panels: usize, offset: u64| {
            (0..panels).map(|panel| LaneStream::new(seed, Purpose::Annealing, first | (panel as u64 + offset))).collect()
        };
        Lanes { hidden: of(self.machine.hidden_panels(), 0), visible: of(self.machine.visible_panels(), 1 << 19) }
    }
}

/// The streams of one strip, one a panel.
struct Lanes {
    hidden: Vec<LaneStream>,
    visible: Vec<LaneStream>,
}

/// A strip on its way: steps done, ln of the weights, visible states of all panels, streams.
struct WalkState {
    steps: usize,
    weights: Vec<f64>,
    visible: Vec<u16>,
    lanes: Lanes,
}

impl WalkState {
    fn words(steps: usize, weights: &[f64], visible: &[u16], lanes: &Lanes) -> Vec<u64> {
        let packed = visible.chunks(4).map(|bits| bits.iter().rev().fold(0, |word, &bits| word << 16 | u64::from(bits)));
        let streams = lanes.hidden.iter().chain(&lanes.visible).flat_map(LaneStream::state);
        std::iter::once(steps as u64).chain(weights.iter().map(|weight| weight.to_bits())).chain(packed).chain(streams).collect()
    }

    /// From such words; `visible` and `lanes` are what a walk of the same shape begins with.
    fn from_words(words: &[u64], samples: usize, visible: &[u16], lanes: &Lanes) -> Result<WalkState> {
        let mut reader = Reader::new(words);
        let steps = reader.count(usize::MAX)?;
        let weights = reader.words(samples)?.iter().map(|&word| f64::from_bits(word)).collect();
        let packed = reader.words(visible.len().div_ceil(4))?;
        let bits = packed.iter().flat_map(|&word| (0..4).map(move |place| (word >> (16 * place)) as u16)).take(visible.len()).collect();
        let mut streams = |count: usize| (0..count).map(|_| reader.lanes()).collect::<Result<Vec<LaneStream>>>();
        let lanes = Lanes { hidden: streams(lanes.hidden.len())?, visible: streams(lanes.visible.len())? };
        reader.end()?;
        Ok(WalkState { steps, weights, visible: bits, lanes })
    }
}

/// 0 = beta_0 < ... < beta_steps = 1.
fn betas(steps: usize) -> impl Iterator<Item = f32> {
    (0..=steps.max(1)).map(move |step| (step as f64 / steps.max(1) as f64) as f32)
}

fn vector(values: &[f32]) -> Vector {
    let mut vector = Vector::ZERO;
    vector.0[..values.len()].copy_from_slice(values);
    vector
}

fn bits_of(units: Units) -> Vec<u16> {
    if let Units::Bits(bits) = units { bits } else { Vec::new() }
}

/// The logarithm of the mean of e^w over chains.
fn mean_weight(logarithms: &[f64]) -> Annealed {
    let chains = logarithms.len();
    let largest = logarithms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logarithms.iter().map(|logarithm| (logarithm - largest).exp()).collect();
    let total: f64 = weights.iter().sum();
    let squares: f64 = weights.iter().map(|weight| weight * weight).sum();
    Annealed {
        log_partition_function: largest + (total / chains as f64).ln(),
        error: jackknife(&weights),
        effective_samples: total * total / squares,
        chains,
    }
}

/// The standard error of ln mean: the sums without one chain come from the sums before and after it, so that a weight that outdoes all others leaves no rounding error.
fn jackknife(weights: &[f64]) -> f64 {
    if weights.len() < 2 {
        return f64::INFINITY;
    }
    let mut after: Vec<f64> = weights.to_vec();
    for index in (1..after.len()).rev() {
        after[index - 1] += after[index];
    }
    let mut before = 0.0;
    let mut without = Vec::with_capacity(weights.len());
    for (index, weight) in weights.iter().enumerate() {
        without.push((before + after.get(index + 1).copied().unwrap_or(0.0)).ln());
        before += weight;
    }
    let count = weights.len() as f64;
    let mean = without.iter().sum::<f64>() / count;
    ((count - 1.0) / count * without.iter().map(|value| (value - mean).powi(2)).sum::<f64>()).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Nobody;
    use crate::rbm::exact::{
        ExactRbm,
        tests::{random_machine, single},
    };
    use crate::rbm::gibbs::GibbsChains;

    #[test]
    fn forward_and_reverse_find_the_enumerated_partition_function() {
        // 300 chains, 200 temperatures: errors of about 0.02 nats. A machine with weights 3 % larger is a mutant that must be seen.
        for (visible, hidden, scale, seed) in [(20, 70, 0.3, 1), (37, 10, 0.5, 2), (3, 5, 2.0, 3)] {
            let rbm = single(&random_machine(visible, hidden, scale, 60 + seed));
            let exact = ExactRbm::from(&rbm).log_partition_function();
            let means: Vec<f64> = (0..visible).map(|unit| 0.3 + 0.4 * (unit as f64).sin().abs()).collect();
            let path = Path::new(&rbm, &means);
            let mut chains = GibbsChains::new(&rbm, &BitMatrix::new(300, visible), seed, 0);
            (0..300).for_each(|_| chains.sweep());
            for found in [path.forward(300, 200, seed, 0, &Nobody), path.reverse(&chains.visible(), 200, seed, 0, &Nobody)] {
                assert!(found.error < 0.1 && found.effective_samples > 100.0, "{found:?}");
                assert!((found.log_partition_function - exact).abs() < 4.0 * found.error + 1e-3, "{found:?}, exact {exact}");
            }
            let mut mutant = rbm.clone();
            mutant.weights.data_mut().iter_mut().for_each(|weight| *weight *= 1.03);
            let found = Path::new(&mutant, &means).forward(300, 200, seed, 0, &Nobody);
            let moved = (ExactRbm::from(&mutant).log_partition_function() - exact).abs();
            assert!(moved < 0.05 || (found.log_partition_function - exact).abs() > 4.0 * found.error, "{found:?} moved {moved}");
        }
    }

    #[test]
    fn one_step_is_plain_importance_sampling() {
        // No weights and the biases of the base: every weight is 1, and nothing fluctuates.
        let path = Path::new(&Rbm::zero(20, 7), &[0.5; 20]);
        let found = path.forward(100, 1, 1, 0, &Nobody);
        assert!((found.log_partition_function - 27.0 * std::f64::consts::LN_2).abs() < 1e-6, "{found:?}");
        assert!(found.error < 1e-6 && (found.effective_samples - 100.0).abs() < 1e-6, "{found:?}");
    }

    #[test]
    fn a_single_heavy_chain_is_seen() {
        let mut logarithms = vec![0.0; 100];
        logarithms[17] = 60.0;
        let found = mean_weight(&logarithms);
        assert!((found.effective_samples - 1.0).abs() < 1e-9 && found.error > 50.0, "{found:?}");
        assert!((found.log_partition_function - (60.0 - 100f64.ln())).abs() < 1e-9);
        assert_eq!(mean_weight(&[3.0]).error, f64::INFINITY);
    }

    #[test]
    fn instruction_sets_and_threads_leave_no_trace() {
        let rbm = single(&random_machine(40, 20, 0.3, 51));
        let path = Path::new(&rbm, &[0.4; 40]);
        let run = |set: InstructionSet, threads: usize| {
            rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| {
                (path.forward_on(set, 130, 20, 5, 1, &Nobody), path.reverse_on(set, &BitMatrix::new(70, 40), 20, 5, 1, &Nobody))
            })
        };
        let expected = run(InstructionSet::PORTABLE, 1);
        for set in InstructionSet::available() {
            assert!(run(set, 1) == expected && run(set, 2) == expected, "{set}");
        }
    }
}
