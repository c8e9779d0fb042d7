//! The stage `[sample]`: all chains of all ensembles, spread over ranks and threads.
//!
//! A chain has a number in the whole problem, (size index * couplings + coupling index) * replicas + replica, which names its random streams. Each rank takes a
//! contiguous part of the chains, so that a rank holds whole couplings where it can, of about equal cost; inside a rank the chains spread over the threads.
//! Chains never speak to each other, so none of this can change a result, nor can it matter after which sweep a job is interrupted. Chains that share the bits of words, or exchange
//! replicas, are one unit of work ([`super::units`]).

pub use super::chains::Chain;
use super::desk::Stage;
use super::progress::Progress;
use super::session::Session;
use super::travel::{self, Begun};
use super::units::{Group, Unit, Work};
use super::watch::Round;
use crate::comm;
use crate::config::{LatticeSection, SampleSection};
use crate::error::Result;
use crate::exact;
use crate::kernels::replicas::REPLICAS;
use crate::lattice::{Geometry, Torus};
use crate::measure::Series;
use crate::record::{Ensemble, Observable, SamplingRecord, TemperingRecord};
use crate::sampler::tempering::ExchangeCounts;
use crate::spins::{BitMatrix, Configuration};
use crate::statistics;
use crate::store::ConfigurationSet;
use rayon::prelude::*;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Sweeps of thermalization when speed is measured: enough for Wolff to know the size of its clusters.
const SWEEPS_BEFORE_TRIAL: usize = 20;

/// To write so many bytes of configurations takes several seconds, much longer than to write them into a checkpoint.
const LONG_TO_WRITE: u128 = 32 << 20;

/// What the stage has to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The seed of the run.
    pub seed: u64,
    /// The kind of lattice.
    pub geometry: Geometry,
    /// (side, coupling) of each ensemble, size-major.
    pub ensembles: Vec<(usize, f64)>,
    /// The section of the run file.
    pub section: SampleSection,
    pub(super) units: Vec<Unit>,
    /// What a spin of each size costs, in picoseconds of this machine; nothing where it was not measured, and spins of all sizes count the same.
    pub(super) picoseconds: BTreeMap<usize, u64>,
}

/// What the stage leaves.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// All chains in the order of their numbers.
    pub chains: Vec<Chain>,
    /// The exchanges of each size, if there are any; round trips in the order of the replicas.
    pub exchanges: Vec<ExchangeCounts>,
}

impl Plan {
    /// The plan of a run file with a section `[sample]`.
    pub fn new(seed: u64, lattice: &LatticeSection, section: &SampleSection) -> Self {
        let ensembles =
            lattice.sizes.iter().flat_map(|&size| section.couplings_of(size).into_iter().map(move |coupling| (size, coupling))).collect();
        let mut plan =
            Plan { seed, geometry: lattice.geometry, ensembles, section: section.clone(), units: Vec::new(), picoseconds: BTreeMap::new() };
        plan.units = Unit::all(&plan);
        plan
    }

    /// The pieces of work.
    pub fn units(&self) -> &[Unit] {
        &self.units
    }

    /// The number of chains of the whole problem.
    pub fn chains(&self) -> usize {
        self.ensembles.len() * self.section.replicas
    }

    /// The ensemble of a chain and its number inside it.
    pub fn place(&self, chain: usize) -> (usize, usize) {
        (chain / self.section.replicas, chain % self.section.replicas)
    }

    /// The lattice of an ensemble.
    ///
    /// # Errors
    /// [`crate::error::Error::Usage`] for a side that no lattice has.
    pub fn torus(&self, ensemble: usize) -> Result<Torus> {
        Torus::new(self.geometry, self.ensembles[ensemble].0)
    }

    /// The sites of a lattice of a side.
    pub fn sites(&self, side: usize) -> u128 {
        (side as u128).pow(self.geometry.dimension() as u32)
    }

    /// The sweeps of each chain, thermalization included.
    pub fn sweeps(&self) -> usize {
        self.section.thermalization + self.section.draws() * self.section.measure_every
    }

    /// Small plans to measure speeds with, of units like those of the size `side`, as many as there are threads.
    fn trials(&self, side: usize, threads: usize) -> Vec<Plan> {
        let ensembles: Vec<(usize, f64)> = self.ensembles.iter().copied().filter(|ensemble| ensemble.0 == side).collect();
        let replicas = if self.section.across_the_bits(side) { self.section.replicas.min(REPLICAS) } else { 1 };
        let mut section = self.section.clone();
        section.configurations = section.configurations.div_ceil(section.replicas).saturating_mul(replicas);
        section.thermalization = section.thermalization.min(SWEEPS_BEFORE_TRIAL);
        section.replicas = replicas;
        let group = |ensembles: Range<usize>, number| Unit::Group(Group { ensembles, number, replicas: 0..replicas });
        let trial = |ensembles: Vec<(usize, f64)>, units| Plan {
            seed: self.seed,
            geometry: self.geometry,
            ensembles,
            section: section.clone(),
            units,
            picoseconds: BTreeMap::new(),
        };
        if self.section.tempering {
            let all = 0..ensembles.len();
            return vec![trial(ensembles, (0..threads).map(|number| group(all.clone(), number)).collect())];
        }
        let mut places: Vec<usize> = [0, ensembles.len() / 2, ensembles.len().saturating_sub(1)].to_vec();
        places.dedup();
        let unit = |number: usize| if self.section.across_the_bits(side) { group(number..number + 1, 0) } else { Unit::Chain(number) };
        let at = |place: usize| ensembles.get(place).map(|&ensemble| trial(vec![ensemble; threads], (0..threads).map(unit).collect()));
        places.into_iter().filter_map(at).collect()
    }

    /// The configurations that are kept, in bytes.
    fn bytes_kept(&self) -> u128 {
        self.ensembles.iter().map(|&(side, _)| self.section.configurations as u128 * self.sites(side) / 8).sum()
    }

    /// What is left to do of a unit after so many sweeps, in spins.
    pub fn cost(&self, unit: usize, done: usize) -> u128 {
        self.units[unit].sweep_cost(self) * (self.sweeps() - done) as u128
    }
}

/// Runs all chains from where an earlier submission left them. Collective; the result, in the order of the chains, is on rank 0 and empty elsewhere. With it whether a job that writes it into the files
/// can be stopped meanwhile: that takes long, and the checkpoint holds all of it.
///
/// # Errors
/// Whatever a sampler refuses, agreed on by all ranks; [`crate::error::Error::Stopped`] if the job stops before the end.
pub fn run(plan: &Plan, session: &mut Session) -> Result<(Outcome, bool)> {
    let comm = session.comm();
    let stored = session.resume_on_root(Stage::Sampling)?;
    let plan = &comm::agree(comm, plan.with_measured_costs(comm))?;
    let mut own = travel::own_units(plan, comm, stored)?;
    let work: u128 = own.iter().map(|chain| plan.cost(chain.number(), 0)).sum();
    let left: u128 = own.iter().map(|chain| chain.work_left(plan)).sum();
    let words = |work: u128| u64::try_from(work).unwrap_or(u64::MAX);
    let progress = session.progress("sampling", "spins", words(work - left), words(work));
    loop {
        comm::agree(comm, advance(plan, &mut own, &session.begin_round(), &progress))?;
        let is_over = comm.maximum(u64::from(own.iter().any(|chain| !chain.is_done(plan)))) == 0;
        // Also after the last round: to bring the chains together and into the files takes a while, and who is asked to stop by then stops here.
        session.end_round(Stage::Sampling, || Begun(&own))?;
        if is_over {
            break;
        }
    }
    let has_new_work = comm.maximum(u64::from(left > 0)) == 1;
    let can_be_stopped = plan.bytes_kept() > LONG_TO_WRITE && (!has_new_work || session.keep(Stage::Sampling, &Begun(&own))?);
    progress.finish();
    Ok((travel::all_chains(plan, comm, own)?, can_be_stopped))
}

/// Spins a second of all threads of this machine together, by short runs of units of the plan's size `side`: with tempering all couplings at once, otherwise the lowest,
/// middle and highest.
///
/// # Errors
/// Whatever a sampler refuses.
pub fn measure_speed(plan: &Plan, side: usize, time: Duration) -> Result<f64> {
    let trials = plan.trials(side, rayon::current_num_threads());
    let mut rates = Vec::new();
    for trial in &trials {
        let silent = Progress::new("", "spins", 1, false);
        let begin = || -> Vec<Work> { (0..trial.units.len()).map(|unit| Work::new(trial, unit)).collect() };
        let mut units = begin();
        let done = |units: &[Work]| -> u128 { units.iter().map(|unit| trial.cost(unit.number(), 0) - unit.work_left(trial)).sum() };
        // The first sweeps fill caches and leave the first configuration behind; they do not count, unless they are all there are.
        advance(trial, &mut units, &Round::lasting(time / 4), &silent)?;
        let (mut before, mut began) = (done(&units), Instant::now());
        if units.iter().all(|unit| unit.is_done(trial)) {
            (before, began) = (0, Instant::now());
            units = begin();
        }
        advance(trial, &mut units, &Round::lasting(time), &silent)?;
        // A sweep that is longer than the trial counts when it is done.
        while done(&units) == before && !units.iter().all(|unit| unit.is_done(trial)) {
            advance(trial, &mut units, &Round::lasting(time), &silent)?;
        }
        rates.push((done(&units) - before) as f64 / began.elapsed().as_secs_f64());
    }
    // All couplings have equal shares of the work.
    Ok(rates.len() as f64 / rates.iter().map(|rate| 1.0 / rate).sum::<f64>())
}

/// One round: every thread takes a chain, those that have begun first, then the longest, and moves it until it or the round ends. So there are never more chains on their way than
/// threads, and the rest needs no memory.
fn advance(plan: &Plan, chains: &mut [Work], round: &Round, progress: &Progress) -> Result<()> {
    let unfinished = chains.iter_mut().filter(|chain| !chain.is_done(plan));
    let (begun, mut new): (Vec<_>, Vec<_>) = unfinished.partition(|chain| chain.has_begun());
    new.sort_by_key(|chain| Reverse(chain.work_left(plan)));
    let queue = Mutex::new(begun.into_iter().chain(new));
    let next = || queue.lock().ok().and_then(|mut queue| queue.next());
    let worker = |_| {
        while let Some(chain) = next() {
            chain.advance(plan, round, progress)?;
            if round.is_over() {
                break;
            }
        }
        Ok(())
    };
    (0..rayon::current_num_threads()).into_par_iter().with_max_len(1).map(worker).collect()
}

/// The stage as people read it: observables with errors, exact values beside them. The series of the chains move into it.
pub fn record(plan: &Plan, Outcome { chains, exchanges }: &mut Outcome) -> SamplingRecord {
    let section = &plan.section;
    let ensembles = plan.ensembles.iter().zip(chains.chunks_mut(section.replicas));
    let mut sizes: Vec<usize> = plan.ensembles.iter().map(|&(size, _)| size).collect();
    sizes.dedup();
    SamplingRecord {
        geometry: plan.geometry,
        algorithm: section.algorithm.name().to_string(),
        couplings: plan.ensembles.iter().take(section.coupling_count()).map(|&(_, coupling)| coupling).collect(),
        sizes,
        replicas: section.replicas,
        start: section.start.name().to_string(),
        thermalization: section.thermalization,
        measure_every: section.measure_every,
        draws: section.draws(),
        ensembles: ensembles
            .collect::<Vec<_>>()
            .into_par_iter()
            .map(|(&(size, coupling), chains)| ensemble(plan.geometry, size, coupling, chains))
            .collect(),
        tempering: plan
            .ensembles
            .chunks(section.coupling_count())
            .zip(exchanges)
            .map(|(ensembles, counts)| tempering(plan, ensembles, counts))
            .collect(),
    }
}

fn tempering(plan: &Plan, ensembles: &[(usize, f64)], counts: &ExchangeCounts) -> TemperingRecord {
    let mut couplings: Vec<f64> = ensembles.iter().map(|&(_, coupling)| coupling).collect();
    couplings.sort_by(f64::total_cmp);
    TemperingRecord {
        size: ensembles[0].0,
        couplings,
        exchange_every: plan.section.exchange_every,
        swaps_tried: counts.tried.clone(),
        swaps_made: counts.made.clone(),
        round_trips: counts.round_trips.clone(),
        from_lowest: counts.from_lowest.clone(),
        from_highest: counts.from_highest.clone(),
    }
}

fn ensemble(geometry: Geometry, size: usize, coupling: f64, chains: &mut [Chain]) -> Ensemble {
    let series: Vec<Series> = chains.iter_mut().map(|chain| std::mem::take(&mut chain.series)).collect();
    let reference = exact::reference(geometry, size, coupling);
    let exact_value = |name: &str| match name {
        "energy_per_site" => reference.energy_per_site,
        "specific_heat_per_site" => reference.specific_heat_per_site,
        "absolute_magnetization" => reference.absolute_magnetization,
        "magnetization_squared" => reference.magnetization_squared,
        "susceptibility" => reference.susceptibility,
        "binder_cumulant" => reference.binder_cumulant,
        "correlation_length_over_side" => reference.correlation_length_over_side,
        _ => None,
    };
    let observables = statistics::observables_on(geometry, size, coupling, &series).into_iter().map(|named| Observable {
        exact: exact_value(&named.name),
        name: named.name,
        long_name: named.long_name,
        units: named.units,
        estimate: named.estimate,
    });
    Ensemble {
        size,
        coupling,
        observables: observables.collect(),
        chains: series,
        histograms: Vec::new(),
        spin_updates: chains.iter().map(|chain| chain.spin_updates).sum(),
        seconds: chains.iter().map(|chain| chain.seconds).sum(),
    }
}

/// The kept configurations of each ensemble, chain after chain; none where the run file keeps none.
pub fn configurations(plan: &Plan, Outcome { chains, .. }: &Outcome) -> Vec<ConfigurationSet> {
    if plan.section.configurations == 0 {
        return Vec::new();
    }
    let sets = plan.ensembles.iter().zip(chains.chunks(plan.section.replicas)).map(|(&(size, coupling), chains)| {
        let kept: Vec<&Configuration> = chains.iter().flat_map(|chain| &chain.kept).collect();
        let origin = |replica: usize| vec![replica as u64; chains[replica].kept.len()];
        ConfigurationSet {
            geometry: plan.geometry,
            size,
            coupling,
            spins: BitMatrix::from_configurations(kept.into_iter(), plan.sites(size) as usize),
            chains: (0..chains.len()).flat_map(origin).collect(),
            draws: chains.iter().flat_map(|chain| chain.kept_draws.clone()).collect(),
        }
    });
    sets.collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::RunFile;

    pub(crate) fn plan(sides: &[usize], replicas: usize) -> Plan {
        let text = format!(
            "seed = 1\n[lattice]\nsizes = {sides:?}\n[sample]\ncouplings = [0.4]\nreplicas = {replicas}\nthermalization = 3\nsweeps = 20\nmeasure_every = 2\nconfigurations = 7\n"
        );
        let run_file = RunFile::parse(&text, "test").expect("a run file");
        Plan::new(run_file.seed, &run_file.lattice, &run_file.sample.expect("its section"))
    }
}
