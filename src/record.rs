//! What a run leaves, as plain data: the stages fill it, `store` writes it to HDF5 and JSON and reads it back, `report` draws it. No science and no files here.

pub mod companion;
pub mod provenance;
pub mod table;

use crate::lattice::Geometry;
use crate::measure::{Histogram, Series};
use crate::rbm::likelihood::annealed::LEAST_EFFECTIVE;
pub use crate::rg::mapping::{MappingSummary, NamedMapping};
pub use crate::rg::receptive_field::{FieldMeasures, ReceptiveFieldSummary};
use crate::statistics::confidence;
pub use crate::statistics::scaling::Scaling;
pub use companion::CompanionRecord;
pub use provenance::{Provenance, Submission};
use serde::{Deserialize, Serialize};
pub use table::{Cell, Column, TableRecord};

pub use crate::statistics::Estimate;

/// One observable of one ensemble, with the exact value beside it where one is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observable {
    /// `energy_per_site`, `specific_heat_per_site`, `absolute_magnetization`, `magnetization_squared`, `susceptibility`, `binder_cumulant`,
    /// `correlation_length_over_side`.
    pub name: String,
    /// The words of a figure's axis, for example "energy per site".
    pub long_name: String,
    /// "J", "k_B" or "1".
    pub units: String,
    /// The estimate.
    pub estimate: Estimate,
    /// The exact value for this size and coupling.
    pub exact: Option<f64>,
}

/// All chains of one size and coupling.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ensemble {
    /// Side L.
    pub size: usize,
    /// K = J / k_B T.
    pub coupling: f64,
    /// One series a chain (replica); none where histograms have taken their place.
    pub chains: Vec<Series>,
    /// The draws of groups of chains without their order, where the run file asks for that; else none.
    pub histograms: Vec<Histogram>,
    /// The observables of all chains together.
    pub observables: Vec<Observable>,
    /// Work done in spins, thermalization included (N a sweep; flipped spins for Wolff).
    pub spin_updates: u64,
    /// Time spent in sweeps, summed over chains, in seconds.
    pub seconds: f64,
}

impl Ensemble {
    /// The number of draws of each chain.
    pub fn draws(&self) -> Vec<usize> {
        let of_groups = self.histograms.iter().flat_map(|group| group.draws.iter().copied());
        self.chains.iter().map(Series::len).chain(of_groups).collect()
    }
}

/// The sampling stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SamplingRecord {
    /// The kind of lattice.
    pub geometry: Geometry,
    /// Algorithm by name.
    pub algorithm: String,
    /// Sides, ascending as in the run file.
    pub sizes: Vec<usize>,
    /// Couplings in the order of the run file; where they differ from size to size (a window), those of the first size.
    pub couplings: Vec<f64>,
    /// Independent chains per ensemble.
    pub replicas: usize,
    /// How the chains began: "hot", "cold", or "both" in turn, the first one hot.
    pub start: String,
    /// Sweeps before the first measurement.
    pub thermalization: usize,
    /// Sweeps between two measurements.
    pub measure_every: usize,
    /// Measurements a chain.
    pub draws: usize,
    /// Ensembles, size-major: index = size index * couplings + coupling index.
    pub ensembles: Vec<Ensemble>,
    /// The exchange between the couplings of each size; empty without tempering.
    pub tempering: Vec<TemperingRecord>,
}

impl SamplingRecord {
    /// Whether histograms have taken the place of the series.
    pub fn is_of_histograms(&self) -> bool {
        self.ensembles.iter().any(|ensemble| !ensemble.histograms.is_empty())
    }

    /// The same without the order of the draws.
    #[must_use]
    pub fn into_histograms(mut self) -> Self {
        for ensemble in &mut self.ensembles {
            ensemble.histograms = Histogram::groups(&std::mem::take(&mut ensemble.chains));
        }
        self
    }
}

/// The exchange of replicas between the couplings of one size, after thermalization.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TemperingRecord {
    /// Side L.
    pub size: usize,
    /// The ladder, ascending.
    pub couplings: Vec<f64>,
    /// Sweeps from one exchange to the next.
    pub exchange_every: usize,
    /// Swaps tried between each coupling and the next one, all ladders together.
    pub swaps_tried: Vec<u64>,
    /// Swaps made.
    pub swaps_made: Vec<u64>,
    /// Round trips of each ladder (replica number of the chains).
    pub round_trips: Vec<u64>,
    /// At each coupling, after each exchange: replicas that were last at the lowest coupling.
    pub from_lowest: Vec<u64>,
    /// The same, last at the highest.
    pub from_highest: Vec<u64>,
}

impl TemperingRecord {
    /// The share of swaps made, of each pair.
    pub fn acceptance(&self) -> Vec<f64> {
        self.swaps_made.iter().zip(&self.swaps_tried).map(|(&made, &tried)| made as f64 / tried as f64).collect()
    }

    /// The flow: the share of replicas that were last at the lowest coupling among those that have been at either end, at each coupling.
    pub fn flow(&self) -> Vec<f64> {
        self.from_lowest.iter().zip(&self.from_highest).map(|(&low, &high)| low as f64 / (low + high) as f64).collect()
    }
}

/// What is monitored of one epoch of training.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Mean squared difference between a visible unit and its reconstruction probability, per unit.
    pub reconstruction_error: f64,
    /// Mean free energy of held-out data minus that of training data, in nats, the energies of Ising spins taken out; grows when the machine learns its data by heart.
    pub free_energy_gap: f64,
    /// Its standard error; not a number in files of versions that did not know it, infinite with one held-out sample.
    pub free_energy_gap_error: f64,
    /// Estimated ln p(v_i given all other units) a visible unit over held-out data, in nats; none for data that are not binary.
    pub pseudo_likelihood: Option<f64>,
    /// Root mean square of the weights.
    pub weight_norm: f64,
    /// Largest absolute weight.
    pub weight_maximum: f64,
    /// Root mean square of the last minibatch's gradient of the weights.
    pub gradient_norm: f64,
    /// The learning rate.
    pub learning_rate: f64,
    /// Wall time in seconds.
    pub seconds: f64,
}

/// One trained layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerRecord {
    /// Number of visible units.
    pub visible: usize,
    /// Number of hidden units.
    pub hidden: usize,
    /// W_ij, row-major `[visible][hidden]`.
    pub weights: Vec<f32>,
    /// c_i.
    pub visible_bias: Vec<f32>,
    /// b_j.
    pub hidden_bias: Vec<f32>,
    /// One entry an epoch.
    pub epochs: Vec<EpochRecord>,
    /// Hidden units that never move: standard deviation of p(h = 1 | v) over the data below 0.02.
    pub dead_units: Vec<usize>,
    /// The share of accepted exchanges of each pair of neighbouring temperatures in the last epoch, from beta = 1 down; for the tempered method only.
    pub swap_rates: Vec<f64>,
    /// Whether training ended before its planned epochs because the free-energy gap was too large.
    pub stopped_early: bool,
}

/// The training stage.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingRecord {
    /// "plain" or "centred".
    pub gradient: String,
    /// "probabilities" or "states": what feeds the next layer.
    pub activations: String,
    /// "cd", "pcd", "tempered", "exact" or "natural".
    pub method: String,
    /// Persistent chains, at each temperature; 0 for methods without.
    pub chains: usize,
    /// Gibbs steps a minibatch.
    pub gibbs_steps: usize,
    /// Whether every epoch had configurations of its own.
    pub fresh: bool,
    /// Couplings of the training configurations, which are there in equal shares.
    pub couplings: Vec<f64>,
    /// Side of the lattice.
    pub size: usize,
    /// Training configurations (of each epoch, if they were fresh).
    pub samples: usize,
    /// Held-out configurations.
    pub held_out: usize,
    /// The stack, from the lattice up.
    pub layers: Vec<LayerRecord>,
    /// The networks that were trained beside it, in the order of the run file.
    pub companions: Vec<CompanionRecord>,
    /// Peak resident memory of rank 0 at the end of the stage, in bytes.
    pub peak_memory: u64,
}

/// How well configurations come back from one layer of the stack, beside block spins of the same compression.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReconstructionRecord {
    /// Units of the layer.
    pub units: usize,
    /// Share of spins that agree after going up to the layer and down again, with its standard error over configurations.
    pub agreement: [f64; 2],
    /// Side b of the blocks b x b with as many block spins, where there is one.
    pub block_side: Option<usize>,
    /// Agreement of direct b x b majority blocks with the spins, with its error.
    pub block_agreement: Option<[f64; 2]>,
    /// Agreement of iterated 2 x 2 majority blocks (b a power of two), with its error.
    pub iterated_block_agreement: Option<[f64; 2]>,
    /// Agreement of the layer minus that of the better kind of blocks, with the error of the mean difference over configurations.
    pub advantage: Option<[f64; 2]>,
    /// Nearest-neighbour correlation of the block spins (iterated), with its error.
    pub block_correlation: Option<[f64; 2]>,
}

/// ln Z of a machine by annealed importance sampling in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AnnealingRecord {
    /// ln Z.
    pub log_partition_function: f64,
    /// Its standard error over chains.
    pub error: f64,
    /// (sum w)^2 / sum w^2 of the weights of the chains.
    pub effective_samples: f64,
    /// Chains.
    pub chains: usize,
    /// The Kullback-Leibler divergence in nats, with its error, if this ln Z were right.
    pub divergence: [f64; 2],
}

impl AnnealingRecord {
    /// Whether enough chains count for the estimate and its error to mean anything. Not a number, as where nothing was met, is not enough.
    pub fn is_usable(&self) -> bool {
        self.effective_samples >= LEAST_EFFECTIVE && self.error.is_finite()
    }

    /// Where ln Z lies with 95 %, if the weights that were met are all that count.
    pub fn interval(&self) -> [f64; 2] {
        confidence::interval(self.log_partition_function, self.error, self.effective_samples)
    }
}

/// The energy per site of chains of a machine on their way; mean and standard error over chains.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RelaxationRecord {
    /// Gibbs sweeps since the start.
    pub sweep: usize,
    /// Chains that started from held-out configurations.
    pub from_data: [f64; 2],
    /// Chains that started from random spins.
    pub from_random: [f64; 2],
}

/// One observable of a machine, over the second half of the sweeps of its chains; mean and standard error over chains.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ThermodynamicRecord {
    /// `energy_per_site`, `specific_heat_per_site`, `absolute_magnetization`, `magnetization_squared`.
    pub name: String,
    /// The words of a table.
    pub long_name: String,
    /// "J", "k_B" or "1".
    pub units: String,
    /// Chains that started from held-out configurations.
    pub from_data: [f64; 2],
    /// Chains that started from random spins.
    pub from_random: [f64; 2],
    /// The Ising model at the coupling of the data.
    pub exact: Option<f64>,
}

/// The two-point function along the axes that chains of a machine have at one distance, over the second half of their sweeps; mean and standard error over chains.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PairRecord {
    /// r, in lattice units.
    pub distance: usize,
    /// Chains that started from held-out configurations.
    pub from_data: [f64; 2],
    /// Chains that started from random spins.
    pub from_random: [f64; 2],
    /// The Ising model on the same torus at the coupling of the data.
    pub exact: f64,
}

/// What the first machine of a stack believes about the spins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LikelihoodRecord {
    /// Visible units.
    pub visible: usize,
    /// Hidden units.
    pub hidden: usize,
    /// Held-out configurations it was judged by.
    pub held_out: usize,
    /// Temperatures of the annealing.
    pub temperatures: usize,
    /// ln Z by enumeration, where a layer has at most 24 units.
    pub exact_log_partition_function: Option<f64>,
    /// From the base to the machine: ln Z rather too low.
    pub forward: AnnealingRecord,
    /// From the machine to the base: ln Z rather too high, if its chains were in equilibrium.
    pub reverse: AnnealingRecord,
    /// ln Z with its uncertainty: exact, or the middle of the two; none if they differ by more than 5 nats, or less than two effective chains made one of them.
    pub log_partition_function: Option<[f64; 2]>,
    /// Mean free energy of the held-out configurations, with its error.
    pub free_energy: [f64; 2],
    /// Mean of -ln p(v) over the held-out configurations in nats, with its uncertainty; none without ln Z.
    pub negative_log_likelihood: Option<[f64; 2]>,
    /// The exact entropy of a configuration in nats: the least negative log-likelihood of any machine.
    pub entropy: f64,
    /// Kullback-Leibler divergence of the machine from the Ising law in nats, with its uncertainty; none without ln Z.
    pub divergence: Option<[f64; 2]>,
    /// Variance of ln Tr_h e^T over the held-out configurations, with its standard error: the violation of the trace condition, in nats squared.
    pub trace_violation: [f64; 2],
    /// Chains from each start.
    pub chains: usize,
    /// Gibbs sweeps of each chain.
    pub sweeps: usize,
    /// The energy of the chains on their way.
    pub relaxation: Vec<RelaxationRecord>,
    /// The chains beside exact values.
    pub observables: Vec<ThermodynamicRecord>,
    /// Their two-point function up to half the side, beside the exact one. Versions before it was measured left none.
    #[serde(default)]
    pub correlations: Vec<PairRecord>,
}

/// The renormalization stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RenormalizationRecord {
    /// The mapping on small systems.
    pub mappings: Vec<NamedMapping>,
    /// One entry a layer.
    pub receptive_fields: Vec<ReceptiveFieldSummary>,
    /// One entry a layer.
    pub reconstructions: Vec<ReconstructionRecord>,
    /// The likelihood of the first machine, if it was asked for.
    pub likelihood: Option<LikelihoodRecord>,
    /// The parts that compare one thing with another, each as one or more tables: gold standards, Monte Carlo renormalization and so on.
    pub tables: Vec<TableRecord>,
    /// Some held-out configurations (packed words in site order) and, for each layer, their reconstruction probabilities.
    pub examples: Vec<Example>,
}

/// A configuration beside what comes back of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// Spins in site order, true = up.
    pub spins: Vec<bool>,
    /// For each layer, p(v = 1) of each site after going up and down.
    pub reconstructions: Vec<Vec<f32>>,
    /// For each layer, the direct block-majority reconstruction, where the compression is a block's; empty otherwise.
    pub blocks: Vec<Vec<bool>>,
}

impl RenormalizationRecord {
    /// The table of a name, if that part was asked for.
    pub fn table(&self, name: &str) -> Option<&TableRecord> {
        self.tables.iter().find(|table| table.name == name && !table.rows.is_empty())
    }
}

/// Everything a run has produced so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Where it came from.
    pub provenance: Provenance,
    /// `[sample]`
    pub sampling: Option<SamplingRecord>,
    /// The analysis across the sizes of `[sample]`.
    pub scaling: Option<Scaling>,
    /// What else is worked out from the samples: relaxation times, dynamic exponents, two-point functions.
    pub analyses: Vec<TableRecord>,
    /// `[train]`
    pub training: Option<TrainingRecord>,
    /// `[renormalize]`
    pub renormalization: Option<RenormalizationRecord>,
}

impl RunRecord {
    /// The analysis of this name, if there is one with rows.
    pub fn analysis(&self, name: &str) -> Option<&TableRecord> {
        self.analyses.iter().find(|table| table.name == name && !table.rows.is_empty())
    }
}
