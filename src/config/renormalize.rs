//! `[renormalize]`: what the network is held against.

use super::companions;
use super::decimation::{self, DecimationSection};
use super::flow::{self, FlowSection};
use super::lattice::LatticeSection;
use super::reader::Section;
use super::sample::SampleSection;
use super::train::TrainSection;
use crate::rg::monte_carlo::SMALLEST_SIDE;
use crate::rg::standards::tensor::LARGEST_BOND;

/// The keys of the section.
pub(super) const KEYS: &[&str] = &[
    "mapping",
    "standards",
    "tensor_bonds",
    "couplings",
    "side_by_side",
    "monte_carlo",
    "monte_carlo_levels",
    "receptive_fields",
    "controls",
    "reconstructions",
    "block_spins",
    "examples",
    "decimation",
    "decimation_sites",
    "decimation_coupling",
    "decimation_layers",
    "decimation_samples",
    "decimation_epochs",
    "flow",
    "flow_steps",
    "flow_chains",
    "likelihood",
    "annealing_chains",
    "annealing_temperatures",
    "sampling_chains",
    "sampling_sweeps",
];

/// How the likelihood of the first machine is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct LikelihoodSection {
    /// `annealing_chains` of annealed importance sampling, in each direction; default 128. Of the reverse direction there are at most `sampling_chains`.
    pub annealing_chains: usize,
    /// `annealing_temperatures` between the base and the machine; default 1000.
    pub annealing_temperatures: usize,
    /// `sampling_chains` of the machine from data and as many from random spins; default 128, or fewer if fewer configurations are held out.
    pub sampling_chains: usize,
    /// `sampling_sweeps`: Gibbs sweeps of each of these chains; default 1000.
    pub sampling_sweeps: usize,
}

/// `[renormalize]`, understood. A part that needs a stage which the file does not have is off by default and refused when asked for.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct RenormalizeSection {
    /// `mapping`: the identities of arXiv:1410.3831, Eqs. 18 to 22, by enumeration of small systems; default true. Needs no other stage.
    pub mapping: bool,
    /// `standards`: what other schemes of renormalization find for the square lattice; default true. Needs no other stage. `tensor_bonds`, the numbers of states chi of
    /// the tensor renormalization group, are then not empty; default 2, 4, 8, 16.
    pub standards: Option<Vec<usize>>,
    /// `monte_carlo` renormalization of the configurations of every ensemble, `monte_carlo_levels` times; default off, and then as often as leaves a side of 4 at least.
    /// Needs `[sample]` with `configurations`.
    pub monte_carlo: Option<usize>,
    /// `decimation` of an Ising chain as a network, and a stack that learned the same chain beside it; default off. Needs no other stage.
    pub decimation: Option<DecimationSection>,
    /// `couplings` of the Hamiltonians of the machines, in the basis of spins +-1; default false. Needs `[train]`.
    pub couplings: bool,
    /// `side_by_side`: block spins by majority and by Kadanoff's kernel beside the layers of the stack; default true. Needs `[train]`.
    pub side_by_side: bool,
    /// `receptive_fields` of every layer; default true. Needs `[train]`.
    pub receptive_fields: bool,
    /// `controls` of the receptive fields: random weights, a network on shuffled sites and one without penalty, principal components, block spins; default false. Needs `[train]` on
    /// kept configurations.
    pub controls: bool,
    /// `reconstructions` of held-out configurations from every layer; default true. Needs `[train]`.
    pub reconstructions: bool,
    /// `block_spins`: the majority-rule control of the same compression; default true. Needs `[train]`, whose held-out configurations it blocks.
    pub block_spins: bool,
    /// `examples`: held-out configurations shown beside their reconstructions; default 3, or fewer if fewer are held out.
    pub examples: usize,
    /// `flow` of the first machine, v -> h -> v -> ..., from the configurations of every coupling of its size; default off. Needs `[train]`.
    pub flow: Option<FlowSection>,
    /// `likelihood` of the first machine: ln Z, divergence, and the thermodynamics of its chains; default true. Needs `[train]` with one coupling.
    pub likelihood: Option<LikelihoodSection>,
}

/// Reads the section. `trains` says whether `[train]` is written at all: if it is written but wrong, its absence is not reported a second time.
pub(super) fn read(
    section: &Section,
    lattice: Option<&LatticeSection>,
    sample: Option<&SampleSection>,
    train: Option<&TrainSection>,
    trains: bool,
) -> Option<RenormalizeSection> {
    let standards = read_standards(section);
    let monte_carlo = read_monte_carlo(section, lattice, sample);
    let decimation = decimation::read(section);
    let mapping = section.optional("mapping", true, |field| field.boolean());
    let with_network = |key: &str, default: bool| {
        section.optional(key, default && trains, |field| {
            let wanted = field.boolean()?;
            if wanted && !trains {
                return field.refuse("there is no network without a section [train]: write that section, or leave this key out");
            }
            Some(wanted)
        })
    };
    let couplings = with_network("couplings", false);
    let side_by_side = with_network("side_by_side", true);
    let receptive_fields = with_network("receptive_fields", true);
    let controls = companions::read_controls(section, train, trains);
    let reconstructions = with_network("reconstructions", true);
    let block_spins = with_network("block_spins", true);
    let most = train.map(|train| train.held_out as u64);
    let default = if reconstructions == Some(true) { most.unwrap_or(3).min(3) as usize } else { 0 };
    let examples = section.optional("examples", default, |field| {
        let examples = field.count("from 0 to 1000", 0..=1000)?;
        if examples > 0 && reconstructions == Some(false) {
            return field.refuse("examples are shown with their reconstructions, which are off here: write 0, or leave this key out");
        }
        match most {
            Some(most) if examples as u64 > most => field.refuse(&format!("only {most} configurations are held out: write at most {most}")),
            _ => Some(examples),
        }
    });
    // With several couplings the law of the data is none of the Ising model, whose entropy is known.
    let several = train.is_some_and(|train| train.couplings.len() > 1);
    let likelihood = match with_network("likelihood", !several) {
        Some(true) if several => {
            section.refuse(
                "likelihood",
                "it is that of the Ising law of one coupling, and [train] has several: write likelihood = false, or leave the key out",
            );
            None
        }
        wanted => read_likelihood(section, wanted, most),
    };
    let flow = flow::read(section, with_network("flow", false), sample);
    let section_value = RenormalizeSection {
        mapping: mapping?,
        standards: standards?,
        monte_carlo: monte_carlo?,
        decimation: decimation?,
        couplings: couplings?,
        side_by_side: side_by_side?,
        receptive_fields: receptive_fields?,
        controls: controls?,
        reconstructions: reconstructions?,
        block_spins: block_spins?,
        examples: examples?,
        flow: flow?,
        likelihood: likelihood?,
    };
    let without_network = [section_value.standards.is_some(), section_value.monte_carlo.is_some(), section_value.decimation.is_some()];
    if !trains && !section_value.mapping && !without_network.contains(&true) {
        section.refuse(
            "mapping",
            "nothing is left to do in [renormalize]: write mapping = true or standards = true, or leave the section out",
        );
        return None;
    }
    Some(section_value)
}

/// The schemes that need no samples. The outer `None` is a mistake, the inner one that they are not wanted; likewise below.
fn read_standards(section: &Section) -> Option<Option<Vec<usize>>> {
    let wanted = section.optional("standards", true, |field| field.boolean());
    let bonds = section.optional("tensor_bonds", vec![2, 4, 8, 16], |field| {
        if wanted == Some(false) {
            return field.refuse("it belongs to the standards, which are off here: write standards = true, or leave this key out");
        }
        field.distinct("numbers of states of a bond", |field| field.count(&format!("from 2 to {LARGEST_BOND}"), 2..=LARGEST_BOND as u64))
    })?;
    wanted.map(|wanted| wanted.then_some(bonds))
}

/// How often configurations can be blocked until a side of [`SMALLEST_SIDE`] is left.
fn most_levels(side: usize) -> usize {
    (0..).take_while(|&level| side.is_multiple_of(2 << level) && side >> (level + 1) >= SMALLEST_SIDE).count()
}

fn read_monte_carlo(section: &Section, lattice: Option<&LatticeSection>, sample: Option<&SampleSection>) -> Option<Option<usize>> {
    let most = lattice.map(|lattice| lattice.sizes.iter().map(|&side| most_levels(side)).min().unwrap_or(0));
    let wanted = section.optional("monte_carlo", false, |field| {
        let wanted = field.boolean()?;
        match (sample, most) {
            (None, _) if wanted => field.refuse("it needs configurations: write a section [sample] with configurations = 20000"),
            (Some(sample), _) if wanted && sample.configurations < 4 => {
                field.refuse("it needs configurations: write configurations = 20000 (at least 4) in [sample]")
            }
            (_, Some(0)) if wanted => field.refuse(&format!(
                "not every size of [lattice] can be halved to a side of {SMALLEST_SIDE} or more: write even sizes from 8"
            )),
            _ => Some(wanted),
        }
    });
    let most = most.unwrap_or(16).max(1);
    let levels = section.optional("monte_carlo_levels", most, |field| {
        if wanted == Some(false) {
            return field.refuse(
                "it belongs to the Monte Carlo renormalization, which is off here: write monte_carlo = true, or leave this key out",
            );
        }
        field.count(&format!("from 1 to {most}, because the smallest lattice must keep a side of {SMALLEST_SIDE}"), 1..=most as u64)
    })?;
    wanted.map(|wanted| wanted.then_some(levels))
}

/// The keys of the likelihood, which mean nothing without it. The outer `None` is a mistake, the inner one a likelihood that is not wanted.
fn read_likelihood(section: &Section, wanted: Option<bool>, held_out: Option<u64>) -> Option<Option<LikelihoodSection>> {
    let count = |key: &str, default: usize, range_in_words: &str, least: u64, most: u64| {
        section.optional(key, default, |field| {
            if wanted == Some(false) {
                return field.refuse("it belongs to the likelihood, which is off here: write likelihood = true, or leave this key out");
            }
            field.count(range_in_words, least..=most)
        })
    };
    let annealing_chains = count("annealing_chains", 128, "from 2 to 100000", 2, 100_000);
    let annealing_temperatures = count("annealing_temperatures", 1000, "from 1 to 10^7", 1, 10_000_000);
    let most = held_out.unwrap_or(100_000).min(100_000);
    let words = format!("from 1 to {most}, because a chain starts from a held-out configuration");
    let sampling_chains = count("sampling_chains", most.min(128) as usize, &words, 1, most);
    let sampling_sweeps = count("sampling_sweeps", 1000, "from 1 to 10^7", 1, 10_000_000);
    let values = LikelihoodSection {
        annealing_chains: annealing_chains?,
        annealing_temperatures: annealing_temperatures?,
        sampling_chains: sampling_chains?,
        sampling_sweeps: sampling_sweeps?,
    };
    wanted.map(|wanted| wanted.then_some(values))
}
