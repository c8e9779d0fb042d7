//! A whole stack as a model of the spins: the deep belief network of G. E. Hinton, S. Osindero and Y.-W. Teh, Neural Comput. 18, 1527 (2006). The top machine is sampled by Gibbs
//! steps; its visible states go down through the layers below, one draw a layer.
//!
//! Its p(v) has no closed form, but a lower bound of ln p(v) is the mean over drawn activities h_1, h_2, ... of the configuration (R. Salakhutdinov and I. Murray, ICML 2008)
//! of ln p(v|h_1) - ln p(h_1|v) + ... + ln p*_top - ln Z_top. For a machine ln p(v|h) - ln p(h|v) = H^RBM\[h\] - H^RBM\[v\]: only free energies are needed, and ln Z of the
//! top machine alone. So the divergence that is given is an upper bound. Read [`assess`].

use super::annealed::{Annealed, Path};
use super::thermodynamics::{self, Thermodynamics, Watch, over_chains};
use super::{Options, exact};
use crate::exact::square;
use crate::kernels::InstructionSet;
use crate::lattice::SquareTorus;
use crate::ledger::Ledger;
use crate::random::{LaneStream, Purpose, Stream};
use crate::rbm::deep::{self, ActivationKind};
use crate::rbm::gibbs::{self, Conditional, GibbsChains};
use crate::rbm::monitor::free_energies;
use crate::rbm::panels::{Machine, Units, bits_to_matrix};
use crate::rbm::{Rbm, TrainingData};
use crate::spins::{BitMatrix, Configuration};
use std::ops::Range;

/// Chains of a strip; part of the definition of the result.
const CHAINS_PER_STRIP: usize = 128;

/// What is known of a stack of machines as a model of Ising spins.
#[derive(Debug, Clone, PartialEq)]
pub struct StackLikelihood {
    /// ln Z of the top machine by enumeration, if one of its layers is small enough.
    pub exact: Option<f64>,
    /// ln Z of the top machine by annealing from the base: rather too low.
    pub forward: Annealed,
    /// The same from states of the top machine: rather too high, if these are in equilibrium.
    pub reverse: Annealed,
    /// Upper bound of the mean of -ln p(v) over the held-out configurations, less ln Z of the top machine; with its error.
    pub free_energy: [f64; 2],
    /// Upper bound of the divergence, less ln Z of the top machine; with its error.
    pub residual: [f64; 2],
    /// The stack sampled from its top, beside the exact values. The states are those of the top machine's visible layer.
    pub thermodynamics: Thermodynamics,
}

impl StackLikelihood {
    /// ln Z of the top machine with its uncertainty, by the rule for a single machine.
    pub fn log_partition_function(&self) -> Option<[f64; 2]> {
        super::accepted(self.exact, &self.forward, &self.reverse)
    }

    /// An upper bound of the mean of -ln p(v) over the held-out configurations in nats, if ln Z is known.
    pub fn negative_log_likelihood(&self) -> Option<[f64; 2]> {
        self.log_partition_function().map(|log_z| super::sum(self.free_energy, log_z))
    }

    /// An upper bound of the divergence of the stack from the Ising law in nats, if ln Z is known.
    pub fn divergence(&self) -> Option<[f64; 2]> {
        self.log_partition_function().map(|log_z| super::sum(self.residual, log_z))
    }
}

/// Weighs `stack`, from the lattice up, against the Ising model on `torus` at K = `coupling`, of which `held_out` are configurations.
///
/// # Panics
/// If the stack is empty or does not fit on the torus, or there are no configurations.
pub fn assess(
    stack: &[Rbm],
    held_out: &BitMatrix,
    torus: SquareTorus,
    coupling: f64,
    options: &Options,
    ledger: &dyn Ledger,
) -> StackLikelihood {
    let (top, lower) = stack.split_last().expect("a stack has layers");
    assert!(stack[0].visible() == torus.sites() && held_out.columns() == torus.sites() && held_out.rows() > 0, "the stack sees the spins");
    let (free_energies, states) = bound(top, lower, held_out, options.seed);
    let reference = square(torus.side(), coupling);
    let residual = |(row, free_energy): (usize, &f64)| {
        free_energy - coupling * Configuration::from_words(torus, held_out.row(row).to_vec()).energy() as f64
    };
    let [mean, error] = over_chains(free_energies.iter().enumerate().map(residual));
    let thermodynamics = sample(top, lower, &states, torus, coupling, options);
    let path = Path::new(top, &states.column_means());
    let (steps, seed, ends) = (options.annealing_temperatures, options.seed, &thermodynamics.states);
    let (forward, reverse) = rayon::join(
        || path.forward(options.annealing_chains, steps, seed, 1, ledger),
        || path.reverse(&ends.slice_rows(0..options.annealing_chains.min(ends.rows())), steps, seed, 1, ledger),
    );
    StackLikelihood {
        exact: exact::log_partition_function(top),
        forward,
        reverse,
        free_energy: over_chains(free_energies.iter().copied()),
        residual: [mean - reference.log_partition_function_per_site * torus.sites() as f64, error],
        thermodynamics,
    }
}

/// For each configuration one draw of the bound of -ln p(v), less ln Z of the top machine; and the states drawn for the visible layer of the top machine.
fn bound(top: &Rbm, lower: &[Rbm], held_out: &BitMatrix, seed: u64) -> (Vec<f64>, BitMatrix) {
    let set = InstructionSet::chosen();
    let rows = held_out.rows();
    // Other streams than those of the activations that trained the stack.
    let seed = Stream::new(seed, Purpose::NetworkSampling, 1 << 62).word();
    let mut sums = vec![0.0; rows];
    let mut add = |factor: f64, energies: Vec<f64>| sums.iter_mut().zip(energies).for_each(|(sum, energy)| *sum += factor * energy);
    let mut below = TrainingData::Binary(held_out.clone());
    for (layer, machine) in lower.iter().enumerate() {
        let above = deep::activations(machine, &below, ActivationKind::States, seed, layer as u64);
        add(1.0, free_energies(set, &Machine::from(machine), &below, rows));
        add(-1.0, free_energies(set, &Machine::from(&turned(machine)), &above, rows));
        below = above;
    }
    add(1.0, free_energies(set, &Machine::from(top), &below, rows));
    let states = if let TrainingData::Binary(states) = below { states } else { BitMatrix::new(0, top.visible()) };
    (sums, states)
}

/// The same machine with its layers exchanged.
fn turned(rbm: &Rbm) -> Rbm {
    let mut turned = Rbm::zero(rbm.hidden(), rbm.visible());
    for visible in 0..rbm.visible() {
        for (hidden, &weight) in rbm.weights.row(visible).iter().enumerate() {
            turned.weights.row_mut(hidden)[visible] = weight;
        }
    }
    turned.visible_bias.clone_from(&rbm.hidden_bias);
    turned.hidden_bias.clone_from(&rbm.visible_bias);
    turned
}

/// Chains of the top machine, from the states that data leave in its visible layer and from random ones, measured on the lattice after every sweep.
fn sample(top: &Rbm, lower: &[Rbm], states: &BitMatrix, torus: SquareTorus, coupling: f64, options: &Options) -> Thermodynamics {
    let (chains, sweeps, seed) = (options.sampling_chains, options.sampling_sweeps, options.seed);
    let mut from_data = BitMatrix::new(chains, top.visible());
    (0..chains).for_each(|chain| from_data.row_mut(chain).copy_from_slice(states.row(chain % states.rows())));
    let mut stream = Stream::new(seed, Purpose::NetworkSampling, 1 << 61);
    let from_random = BitMatrix::from_words(chains, top.visible(), || stream.word());
    let run = |start: &BitMatrix, index: u64| {
        let mut stack = StackChains::new(top, lower, start, seed, index);
        let mut watch = Watch::new(torus, chains, sweeps);
        watch.record(&stack.spins());
        for _ in 0..sweeps {
            stack.top.sweep();
            watch.record(&stack.spins());
        }
        (watch, stack.top.visible())
    };
    let (data, states) = run(&from_data, 0);
    let (random, _) = run(&from_random, 1);
    thermodynamics::summarize(coupling, &data, &random, states)
}

/// Gibbs chains of the top machine with the layers below.
struct StackChains {
    top: GibbsChains,
    /// From the lattice up.
    lower: Vec<Machine>,
    strips: Vec<Range<usize>>,
    lanes: Vec<Vec<LaneStream>>,
}

impl StackChains {
    /// The streams of the top machine are those of [`GibbsChains`] with the index 8 + `index`; those of layer l below (seed, NetworkSampling, (256 + 2 l + index) 2^40 + strip 2^20 +
    /// panel), with strips of 128 chains. `index` is 0 or 1.
    fn new(top: &Rbm, lower: &[Rbm], start: &BitMatrix, seed: u64, index: u64) -> Self {
        let strips = gibbs::strips(start.rows(), CHAINS_PER_STRIP);
        let lanes = |(layer, machine): (usize, &Rbm)| {
            let first = (256 + 2 * layer as u64 + index) << 40;
            gibbs::streams(seed, Purpose::NetworkSampling, gibbs::panels(machine.visible()), 0..strips.len(), |panel, strip| {
                first | (strip as u64) << 20 | panel as u64
            })
        };
        let lanes = lower.iter().enumerate().map(lanes).collect();
        StackChains { top: GibbsChains::new(top, start, seed, 8 + index), lower: lower.iter().map(Machine::from).collect(), strips, lanes }
    }

    /// Draws the layers below the top machine anew: spins, one row a chain.
    fn spins(&mut self) -> BitMatrix {
        let mut states = self.top.visible();
        let chains = states.rows();
        for (machine, lanes) in self.lower.iter().zip(&mut self.lanes).rev() {
            let given = TrainingData::Binary(states);
            let mut units = Units::like(&given);
            units.load(&given, 0..chains);
            let mut bits = vec![0u16; machine.visible_panels() * chains];
            gibbs::sample(InstructionSet::chosen(), Conditional::Visible(machine, &units), &self.strips, lanes, &mut bits);
            states = bits_to_matrix(&bits, chains, machine.visible);
        }
        states
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rbm::exact::ExactRbm;
    use crate::rbm::exact::tests::{random_machine, single};

    fn states(number: u64, units: usize) -> BitMatrix {
        let mut matrix = BitMatrix::new(1, units);
        matrix.row_mut(0)[0] = number;
        matrix
    }

    /// The exact law of a stack of two machines with nine spins, by enumeration of all states.
    fn law(below: &Rbm, top: &Rbm) -> Vec<f64> {
        let (low, high) = (ExactRbm::from(below), ExactRbm::from(top));
        let log_z = high.log_partition_function();
        let mut law = vec![0.0; 1 << below.visible()];
        for middle in 0..1u64 << below.hidden() {
            let p = (-high.visible_hamiltonian(middle) - log_z).exp();
            // p(v | h) from the energy of both and the hidden free energy.
            let free = low.hidden_hamiltonian(middle);
            for (number, sum) in law.iter_mut().enumerate() {
                *sum += p * (free - low.energy(number as u64, middle)).exp();
            }
        }
        law
    }

    #[test]
    fn the_bound_is_below_the_enumerated_likelihood_and_tight_where_the_layers_fit() {
        let below = single(&random_machine(9, 6, 0.6, 70));
        // With the lower machine upside down on top, the stack is the lower machine, and the bound is its likelihood for every draw. A top machine of its own lies above its bound.
        let fitting = turned(&below);
        for (top, is_tight) in [(fitting, true), (single(&random_machine(6, 5, 0.8, 71)), false)] {
            let law = law(&below, &top);
            assert!((law.iter().sum::<f64>() - 1.0).abs() < 1e-6);
            let log_z = ExactRbm::from(&top).log_partition_function();
            let mut looseness = 0.0;
            for number in [0u64, 5, 77, 300, 511] {
                let mut rows = BitMatrix::new(4000, 9);
                (0..4000).for_each(|row| rows.row_mut(row).copy_from_slice(states(number, 9).row(0)));
                let (sums, _) = bound(&top, std::slice::from_ref(&below), &rows, 3);
                let [mean, error] = over_chains(sums.iter().copied());
                let loose = mean + log_z + law[number as usize].ln();
                assert!(loose > -4.0 * error - 1e-4, "state {number}: {loose} +- {error}");
                assert!(!is_tight || loose.abs() < 1e-4 && error < 1e-4, "state {number}: {loose} +- {error}");
                looseness += loose;
            }
            assert!(is_tight || looseness > 0.1, "a top that does not fit has a loose bound: {looseness}");
        }
        assert_eq!(turned(&turned(&below)), below);
    }

    #[test]
    fn a_stack_is_sampled_with_its_own_law() {
        // 400 chains of 300 sweeps: counts of 64 cells with errors of about 0.0005 each; a top machine with weights 1.5 times as large is a mutant.
        let (below, top) = (single(&random_machine(6, 5, 0.8, 72)), single(&random_machine(5, 4, 1.0, 73)));
        let law = law(&below, &top);
        let distance = |top: &Rbm| {
            let mut chains = StackChains::new(top, std::slice::from_ref(&below), &BitMatrix::new(400, 5), 9, 0);
            let mut counts = vec![0.0; 64];
            for sweep in 0..320 {
                chains.top.sweep();
                let spins = chains.spins();
                if sweep >= 20 {
                    (0..400).for_each(|row| counts[spins.row(row)[0] as usize] += 1.0 / 120_000.0);
                }
            }
            counts.iter().zip(&law).map(|(count, p)| (count - p).abs()).sum::<f64>() / 2.0
        };
        let mut mutant = top.clone();
        mutant.weights.data_mut().iter_mut().for_each(|weight| *weight *= 1.5);
        let (right, wrong) = (distance(&top), distance(&mutant));
        assert!(right < 0.02, "total variation {right}");
        assert!(wrong > 0.03, "the mutant is only {wrong} away");
    }
}
