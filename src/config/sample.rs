//! `[sample]`: at which couplings, by which Markov chains, for how long, and which configurations are kept.

use super::couplings::{self, Couplings};
use super::lattice::{Geometry, LatticeSection};
use super::reader::Section;
use crate::kernels::replicas::REPLICAS;
use crate::lattice::Torus;
use crate::sampler::{self, Algorithm, Start, domains, lanes, local_update};

/// The keys of the section.
pub(super) const KEYS: &[&str] = &[
    "couplings",
    "temperatures",
    "window",
    "algorithm",
    "tempering",
    "exchange_every",
    "layout",
    "start",
    "replicas",
    "thermalization",
    "sweeps",
    "measure_every",
    "correlation_length",
    "improved_estimators",
    "series",
    "configurations",
];

const ALGORITHMS: &[(&str, Algorithm)] = &[
    ("metropolis", Algorithm::Metropolis),
    ("heat-bath", Algorithm::HeatBath),
    ("swendsen-wang", Algorithm::SwendsenWang),
    ("wolff", Algorithm::Wolff),
];

/// Longer runs than this would take centuries.
const MOST_SWEEPS: u64 = 1_000_000_000_000;
/// The chains of a run file, at most: each has an entry in lists of every rank.
const MOST_CHAINS: usize = 10_000_000;

/// How the spins of several chains lie in memory: `layout`. It changes which random numbers they get, and so the results, but not their law.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// `"auto"`: across the bits for tempering, and for Metropolis with at least 256 replicas of a side of at most 64.
    Auto,
    /// `"lattice"`: each chain by itself.
    Lattice,
    /// `"replicas"`: 512 chains of a coupling across the bits.
    Replicas,
}

/// How the chains of an ensemble begin: `start`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Starts {
    /// `"hot"`: random spins.
    Hot,
    /// `"cold"`: all spins up.
    Cold,
    /// `"both"`: replicas 0, 2, 4 ... hot, the others cold, so that they can be held against each other.
    Both,
}

impl Starts {
    /// The start of a replica.
    pub fn of(self, replica: usize) -> Start {
        match self {
            Starts::Hot => Start::Hot,
            Starts::Cold => Start::Cold,
            Starts::Both if replica.is_multiple_of(2) => Start::Hot,
            Starts::Both => Start::Cold,
        }
    }

    /// The name in run files.
    pub fn name(self) -> &'static str {
        match self {
            Starts::Hot => "hot",
            Starts::Cold => "cold",
            Starts::Both => "both",
        }
    }
}

/// What the files keep of the measurements of each chain: `series`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kept {
    /// `"raw"`: all of them, in their order.
    Raw,
    /// `"histograms"`: how often each energy and magnetization was seen, once the run has analysed the series.
    Histograms,
}

/// `[sample]`, understood.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct SampleSection {
    /// Exactly one of `couplings`, `temperatures` and `window`. Required.
    pub couplings: Couplings,
    /// `algorithm`; default `"swendsen-wang"`.
    pub algorithm: Algorithm,
    /// `tempering`: exchange of replicas between neighbouring couplings; default false.
    pub tempering: bool,
    /// `exchange_every`: sweeps from one exchange to the next; default 1.
    pub exchange_every: usize,
    /// `layout`; default `"auto"`.
    pub layout: Layout,
    /// `start`; default `"hot"`.
    pub start: Starts,
    /// `replicas`: independent chains for each size and coupling; default 8.
    pub replicas: usize,
    /// `thermalization`: sweeps before the first measurement. Required; 0 is allowed.
    pub thermalization: usize,
    /// `sweeps`: sweeps of each chain after thermalization. Required.
    pub sweeps: usize,
    /// `measure_every`: sweeps from one measurement to the next; default 1.
    pub measure_every: usize,
    /// `correlation_length`: whether the waves k = 2 pi / L are measured, from which the correlation length comes; default true.
    pub correlation_length: bool,
    /// `improved_estimators`: whether the clusters of the cluster algorithms are looked at in every measurement; default false.
    pub improved_estimators: bool,
    /// `series`; default `"raw"`.
    pub series: Kept,
    /// `configurations`: kept for each size and coupling, all replicas together; default 0.
    pub configurations: usize,
}

impl SampleSection {
    /// The couplings of the lattice of side `size`: in the order of the file, or of a window from low to high temperature.
    pub fn couplings_of(&self, size: usize) -> Vec<f64> {
        self.couplings.of(size)
    }

    /// How many couplings each size has.
    pub fn coupling_count(&self) -> usize {
        match &self.couplings {
            Couplings::Listed(values) => values.len(),
            Couplings::Window { points, .. } => *points,
        }
    }

    /// Whether the chains of a size lie across the bits of words, 512 a group.
    pub fn across_the_bits(&self, size: usize) -> bool {
        let fits = self.algorithm == Algorithm::Metropolis;
        let pays = size <= 64 && self.replicas >= REPLICAS / 2;
        self.tempering || self.layout == Layout::Replicas || (self.layout == Layout::Auto && fits && pays)
    }

    /// Whether the longest waves of the chains of a size are measured: not on the square lattice across the bits.
    pub fn measures_waves(&self, geometry: Geometry, size: usize) -> bool {
        self.correlation_length && !(geometry == Geometry::Square && self.across_the_bits(size))
    }

    /// Measurements of one chain: sweeps / measure_every, rounded down.
    pub fn draws(&self) -> usize {
        self.sweeps / self.measure_every
    }

    /// Measurements of a chain that has done so many sweeps, thermalization included.
    pub fn draws_after(&self, sweeps: usize) -> usize {
        sweeps.saturating_sub(self.thermalization) / self.measure_every
    }

    /// The measurement (0 to draws - 1) that is due after so many sweeps, if one is.
    pub fn draw_after(&self, sweeps: usize) -> Option<usize> {
        let due = sweeps > self.thermalization && (sweeps - self.thermalization).is_multiple_of(self.measure_every);
        due.then(|| self.draws_after(sweeps) - 1)
    }

    /// How many configurations one replica keeps: an equal share, the first replicas one more where it does not divide.
    pub fn configurations_of(&self, replica: usize) -> usize {
        self.configurations / self.replicas + usize::from(replica < self.configurations % self.replicas)
    }

    /// After which measurements (0 to draws - 1) a replica keeps its configuration: spread evenly, the last measurement among them.
    pub fn kept_draws(&self, replica: usize) -> impl Iterator<Item = usize> {
        (0..self.configurations_of(replica)).filter_map(move |index| self.kept_draw(replica, index))
    }

    /// The element `index` of [`Self::kept_draws`], if it has as many.
    pub fn kept_draw(&self, replica: usize, index: usize) -> Option<usize> {
        let (draws, kept) = (self.draws() as u128, self.configurations_of(replica) as u128);
        // (k + 1) draws / kept rises by at least one with k because kept <= draws, and ends at draws.
        ((index as u128) < kept).then(|| ((index as u128 + 1) * draws / kept - 1) as usize)
    }
}

/// Whether the section asks for the checkerboard algorithm, which odd sides cannot have.
pub(super) fn needs_checkerboard(section: &Section) -> bool {
    matches!(section.text_of("algorithm"), Some("metropolis" | "heat-bath"))
}

/// Reads the section.
pub(super) fn read(section: &Section, lattice: Option<&LatticeSection>) -> Option<SampleSection> {
    let couplings = couplings::read(section, lattice);
    let algorithm = section.optional("algorithm", Algorithm::SwendsenWang, |field| field.choice(ALGORITHMS));
    let tempering = section.optional("tempering", false, |field| field.boolean());
    let exchange_every = section.optional("exchange_every", 1, |field| field.count("from 1 to 10^12", 1..=MOST_SWEEPS));
    let layouts = [("auto", Layout::Auto), ("lattice", Layout::Lattice), ("replicas", Layout::Replicas)];
    let layout = section.optional("layout", Layout::Auto, |field| field.choice(&layouts));
    let starts = [Starts::Hot, Starts::Cold, Starts::Both].map(|start| (start.name(), start));
    let start = section.optional("start", Starts::Hot, |field| field.choice(&starts));
    let replicas = section.optional("replicas", 8, |field| field.count("from 1 to 1000000", 1..=1_000_000));
    let thermalization =
        section.required("thermalization", "thermalization = 1000", |field| field.count("from 0 to 10^12", 0..=MOST_SWEEPS));
    let sweeps = section.required("sweeps", "sweeps = 20000", |field| field.count("from 1 to 10^12", 1..=MOST_SWEEPS));
    let measure_every = section.optional("measure_every", 1, |field| field.count("from 1 to 10^12", 1..=MOST_SWEEPS));
    let correlation_length = section.optional("correlation_length", true, |field| field.boolean());
    let improved_estimators = section.optional("improved_estimators", false, |field| field.boolean());
    let series = section.optional("series", Kept::Raw, |field| field.choice(&[("raw", Kept::Raw), ("histograms", Kept::Histograms)]));
    let configurations = section.optional("configurations", 0, |field| field.count("from 0 to 10^12", 0..=MOST_SWEEPS));

    if let (Some(sweeps), Some(every)) = (sweeps, measure_every) {
        if every > sweeps {
            section.refuse(
                "measure_every",
                &format!("{every} sweeps from one measurement to the next leave none in {sweeps} sweeps: write at most {sweeps}"),
            );
        } else if let (Some(replicas), Some(kept)) = (replicas, configurations) {
            let most = replicas as u128 * (sweeps / every) as u128;
            if kept as u128 > most {
                section.refuse(
                    "configurations",
                    &format!(
                        "{kept} cannot be kept of {replicas} replicas with {} measurements each: write at most {most} (replicas * sweeps / measure_every), or more sweeps",
                        sweeps / every
                    ),
                );
            }
        }
    }
    let section_read = SampleSection {
        couplings: couplings?,
        algorithm: algorithm?,
        tempering: tempering?,
        exchange_every: exchange_every?,
        layout: layout?,
        start: start?,
        replicas: replicas?,
        thermalization: thermalization?,
        sweeps: sweeps?,
        measure_every: measure_every?,
        correlation_length: correlation_length?,
        improved_estimators: improved_estimators?,
        series: series?,
        configurations: configurations?,
    };
    let across_the_bits = |lattice: &LatticeSection| lattice.sizes.iter().any(|&size| section_read.across_the_bits(size));
    if section_read.start == Starts::Both && lattice.is_some_and(across_the_bits) {
        section.refuse("start", "replicas across the bits all begin alike: write \"hot\" or \"cold\", or layout = \"lattice\"");
    }
    if section_read.improved_estimators && !matches!(section_read.algorithm, Algorithm::SwendsenWang | Algorithm::Wolff) {
        section.refuse(
            "improved_estimators",
            "there are no clusters to look at: write algorithm = \"swendsen-wang\" or \"wolff\", or leave this key out",
        );
    }
    if section.has("correlation_length") && correlation_length == Some(true) {
        refuse_waves_across_bits(section, &section_read, lattice);
    }
    refuse_unfit_for_bits(section, &section_read, lattice);
    refuse_too_large(section, &section_read, lattice);
    refuse_too_many(section, &section_read, lattice);
    refuse_frozen(section, &section_read, lattice);
    Some(section_read)
}

/// Says where the correlation length is asked for by name and will not be measured. (By default it is left out there without a word, since the table of keys says so.)
fn refuse_waves_across_bits(section: &Section, sample: &SampleSection, lattice: Option<&LatticeSection>) {
    let Some(lattice) = lattice.filter(|lattice| lattice.geometry == Geometry::Square) else { return };
    if let Some(&size) = lattice.sizes.iter().find(|&&size| sample.across_the_bits(size)) {
        let cure = if sample.tempering { "tempering = false" } else { "layout = \"lattice\"" };
        section.refuse(
            "correlation_length",
            &format!("it is not measured on square lattices across the bits, as those of side {size} would be: write {cure}, or leave this key out"),
        );
    }
}

/// Says which lattices an algorithm has not numbers enough for.
fn refuse_too_large(section: &Section, sample: &SampleSection, lattice: Option<&LatticeSection>) {
    let Some(lattice) = lattice else { return };
    let tori = lattice.sizes.iter().filter_map(|&size| Torus::new(lattice.geometry, size).ok());
    if let Some(sentence) = tori.filter_map(|torus| sampler::refuse_too_large(sample.algorithm, torus)).next() {
        section.refuse("algorithm", &sentence);
    }
}

/// Says that there are more chains than anybody can list.
fn refuse_too_many(section: &Section, sample: &SampleSection, lattice: Option<&LatticeSection>) {
    let ensembles = lattice.map_or(0, |lattice| lattice.sizes.iter().map(|&size| sample.couplings_of(size).len()).sum());
    if ensembles.saturating_mul(sample.replicas) > MOST_CHAINS {
        section.refuse(
            "replicas",
            &format!(
                "{} of each of {ensembles} ensembles (sizes and couplings) are more than {MOST_CHAINS} chains: write at most {}, or several run files",
                sample.replicas,
                MOST_CHAINS / ensembles
            ),
        );
    }
}

/// Says at which couplings Metropolis's rule would flip all spins at every sweep.
fn refuse_frozen(section: &Section, sample: &SampleSection, lattice: Option<&LatticeSection>) {
    let Some(lattice) = lattice.filter(|_| sample.algorithm == Algorithm::Metropolis) else { return };
    let mut couplings = lattice.sizes.iter().flat_map(|&size| sample.couplings_of(size));
    if let Some(sentence) = couplings.find_map(local_update::refuse_too_hot) {
        let key = couplings::KEYS.into_iter().find(|key| section.has(key)).unwrap_or("algorithm");
        section.refuse(key, &sentence);
    }
}

/// Says why chains cannot exchange replicas, or lie across the bits.
fn refuse_unfit_for_bits(section: &Section, sample: &SampleSection, lattice: Option<&LatticeSection>) {
    let key = if sample.tempering { "tempering" } else { "layout" };
    if sample.tempering && sample.coupling_count() < 2 {
        section
            .refuse("tempering", "one coupling has nothing to exchange replicas with: write two couplings or more, or tempering = false");
    }
    if sample.tempering && sample.layout == Layout::Lattice {
        section.refuse("layout", "tempering has its replicas across the bits: write layout = \"replicas\", or leave the key out");
    }
    if sample.exchange_every > 1 && !sample.tempering {
        section.refuse("exchange_every", "there is no exchange without tempering: write tempering = true, or leave the key out");
    }
    if !(sample.tempering || sample.layout == Layout::Replicas) {
        refuse_unfit_for_domains(section, sample, lattice);
        return;
    }
    if sample.algorithm != Algorithm::Metropolis {
        section.refuse(key, "replicas across the bits are moved by algorithm = \"metropolis\" alone: write it, or leave this key out");
    }
    let Some(lattice) = lattice else { return };
    let largest = lanes::largest_side(lattice.geometry);
    if let Some(&size) = lattice.sizes.iter().find(|&&size| size > largest) {
        section.refuse(
            key,
            &format!("a lattice of side {size} is too large to have 512 of them across the bits: write sizes up to {largest}"),
        );
    }
}

/// Says why a chain or a cubic lattice cannot be cut into domains, as one large lattice of them is by local updates.
fn refuse_unfit_for_domains(section: &Section, sample: &SampleSection, lattice: Option<&LatticeSection>) {
    let is_local = matches!(sample.algorithm, Algorithm::Metropolis | Algorithm::HeatBath);
    let Some(lattice) = lattice.filter(|lattice| is_local && lattice.geometry != Geometry::Square) else { return };
    let sizes = lattice.sizes.iter().filter(|&&size| !sample.across_the_bits(size));
    let mut reasons = sizes.filter_map(|&size| domains::refuse_too_large(Torus::new(lattice.geometry, size).ok()?));
    if let Some(sentence) = reasons.next() {
        section.refuse("algorithm", &sentence);
    }
}
