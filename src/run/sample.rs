//! The stage `[sample]`: all chains of all ensembles, spread over ranks and threads.
//!
//! A chain has a number in the whole problem, (size index * couplings + coupling index) * replicas + replica, which names its random streams. Each rank takes a
//! contiguous part of the chains, so that a rank holds whole couplings where it can, of about equal cost; inside a rank the chains spread over the threads.
//! Chains never speak to each other, so none of this can change a result.

use super::progress::Progress;
use crate::comm::Comm;
use crate::config::{LatticeSection, SampleSection};
use crate::error::{Error, Result};
use crate::exact;
use crate::lattice::SquareTorus;
use crate::measure::Series;
use crate::record::{Ensemble, Observable, SamplingRecord};
use crate::sampler;
use crate::spins::{BitMatrix, Configuration};
use crate::statistics;
use crate::store::ConfigurationSet;
use rayon::prelude::*;
use std::ops::Range;
use std::time::Instant;

/// What the stage has to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The seed of the run.
    pub seed: u64,
    /// (side, coupling) of each ensemble, size-major.
    pub ensembles: Vec<(usize, f64)>,
    /// The section of the run file.
    pub section: SampleSection,
}

/// What one chain leaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Chain {
    /// The measurements.
    pub series: Series,
    /// The draws at which configurations were kept.
    pub kept_draws: Vec<u64>,
    /// The kept configurations.
    pub kept: Vec<Configuration>,
    /// Work in spins.
    pub spin_updates: u64,
    /// Time in sweeps, in seconds.
    pub seconds: f64,
}

impl Plan {
    /// The plan of a run file with a section `[sample]`.
    pub fn new(seed: u64, lattice: &LatticeSection, section: &SampleSection) -> Self {
        let ensembles =
            lattice.sizes.iter().flat_map(|&size| section.couplings_of(size).into_iter().map(move |coupling| (size, coupling))).collect();
        Plan { seed, ensembles, section: section.clone() }
    }

    /// The number of chains of the whole problem.
    fn chains(&self) -> usize {
        self.ensembles.len() * self.section.replicas
    }

    /// The ensemble of a chain and its number inside it.
    fn place(&self, chain: usize) -> (usize, usize) {
        (chain / self.section.replicas, chain % self.section.replicas)
    }

    /// The cost of a chain, in spins.
    fn cost(&self, chain: usize) -> u128 {
        let side = self.ensembles[self.place(chain).0].0 as u128;
        side * side * (self.section.thermalization as u128 + self.section.sweeps as u128)
    }

    /// The chains of a rank: contiguous, with about the same cost on each. A chain belongs to the rank in whose equal part of the total cost its middle lies.
    pub fn chains_of(&self, rank: usize, size: usize) -> Range<usize> {
        let total: u128 = (0..self.chains()).map(|chain| self.cost(chain)).sum();
        let mut before = 0;
        let owners: Vec<usize> = (0..self.chains())
            .map(|chain| {
                let middle = 2 * before + self.cost(chain);
                before += self.cost(chain);
                (middle * size as u128 / (2 * total)) as usize
            })
            .collect();
        owners.partition_point(|&owner| owner < rank)..owners.partition_point(|&owner| owner <= rank)
    }
}

/// Runs all chains. Collective; the result, in the order of the chains, is on rank 0 and empty elsewhere.
///
/// # Errors
/// Whatever a sampler refuses, agreed on by all ranks.
pub fn run(plan: &Plan, comm: &dyn Comm) -> Result<Vec<Chain>> {
    let own = plan.chains_of(comm.rank(), comm.size());
    let work: u128 = own.clone().map(|chain| plan.cost(chain)).sum();
    let progress = Progress::new("sampling", "spins", u64::try_from(work).unwrap_or(u64::MAX), comm.is_root());
    let chains: Result<Vec<Chain>> = own.into_par_iter().with_max_len(1).map(|chain| run_chain(plan, chain, &progress)).collect();
    let chains = crate::comm::agree(comm, chains)?;
    progress.finish();
    let bytes: Vec<u8> = chains.iter().flat_map(encode).flat_map(u64::to_le_bytes).collect();
    let gathered = comm.gather(&bytes).unwrap_or_default();
    crate::comm::agree(comm, decode_all(plan, &gathered))
}

fn run_chain(plan: &Plan, number: usize, progress: &Progress) -> Result<Chain> {
    let (ensemble, replica) = plan.place(number);
    let (side, coupling) = plan.ensembles[ensemble];
    let section = &plan.section;
    let torus = SquareTorus::new(side)?;
    let mut sampler = sampler::build(section.algorithm, torus, coupling, section.start, plan.seed, number as u64)?;
    let mut to_keep = section.kept_draws(replica).peekable();
    let mut chain = Chain { series: Series::default(), kept_draws: Vec::new(), kept: Vec::new(), spin_updates: 0, seconds: 0.0 };
    let sites = torus.sites() as u64;
    let started = Instant::now();
    for _ in 0..section.thermalization {
        chain.spin_updates += sampler.sweep();
        progress.advance(sites);
    }
    sampler.end_thermalization();
    for draw in 0..section.draws() {
        for _ in 0..section.measure_every {
            chain.spin_updates += sampler.sweep();
        }
        chain.series.push(sampler.measure());
        if to_keep.next_if_eq(&draw).is_some() {
            chain.kept_draws.push(draw as u64);
            chain.kept.push(sampler.configuration());
        }
        progress.advance(sites * section.measure_every as u64);
    }
    chain.seconds = started.elapsed().as_secs_f64();
    Ok(chain)
}

/// The stage as people read it: observables with errors, exact values beside them.
pub fn record(plan: &Plan, chains: &[Chain]) -> SamplingRecord {
    let section = &plan.section;
    let ensembles = plan.ensembles.iter().zip(chains.chunks(section.replicas));
    let mut sizes: Vec<usize> = plan.ensembles.iter().map(|&(size, _)| size).collect();
    sizes.dedup();
    SamplingRecord {
        algorithm: section.algorithm.name().to_string(),
        couplings: plan.ensembles.iter().take(section.coupling_count()).map(|&(_, coupling)| coupling).collect(),
        sizes,
        replicas: section.replicas,
        thermalization: section.thermalization,
        measure_every: section.measure_every,
        draws: section.draws(),
        ensembles: ensembles
            .collect::<Vec<_>>()
            .into_par_iter()
            .map(|(&(size, coupling), chains)| ensemble(size, coupling, chains))
            .collect(),
    }
}

fn ensemble(size: usize, coupling: f64, chains: &[Chain]) -> Ensemble {
    let series: Vec<Series> = chains.iter().map(|chain| chain.series.clone()).collect();
    let reference = exact::square(size, coupling);
    let exact_value = |name: &str| match name {
        "energy_per_site" => Some(reference.energy_per_site),
        "specific_heat_per_site" => Some(reference.specific_heat_per_site),
        "absolute_magnetization" => reference.absolute_magnetization,
        "magnetization_squared" => reference.magnetization_squared,
        "susceptibility" => reference.susceptibility,
        "binder_cumulant" => reference.binder_cumulant,
        _ => None,
    };
    let observables = statistics::observables(size, coupling, &series).into_iter().map(|named| Observable {
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
        spin_updates: chains.iter().map(|chain| chain.spin_updates).sum(),
        seconds: chains.iter().map(|chain| chain.seconds).sum(),
    }
}

/// The kept configurations of each ensemble, chain after chain; none where the run file keeps none.
pub fn configurations(plan: &Plan, chains: &[Chain]) -> Vec<ConfigurationSet> {
    if plan.section.configurations == 0 {
        return Vec::new();
    }
    let sets = plan.ensembles.iter().zip(chains.chunks(plan.section.replicas)).map(|(&(size, coupling), chains)| {
        let kept: Vec<&Configuration> = chains.iter().flat_map(|chain| &chain.kept).collect();
        let origin = |replica: usize| vec![replica as u64; chains[replica].kept.len()];
        ConfigurationSet {
            size,
            coupling,
            spins: BitMatrix::from_configurations(kept.into_iter(), size * size),
            chains: (0..chains.len()).flat_map(origin).collect(),
            draws: chains.iter().flat_map(|chain| chain.kept_draws.clone()).collect(),
        }
    });
    sets.collect()
}

/// A chain as words, for the way to rank 0; the lengths follow from the plan.
fn encode(chain: &Chain) -> Vec<u64> {
    let mut words = vec![chain.spin_updates, chain.seconds.to_bits()];
    words.extend(chain.series.energy.iter().chain(&chain.series.magnetization).map(|&value| value as u64));
    words.extend(&chain.kept_draws);
    words.extend(chain.kept.iter().flat_map(|configuration| configuration.words()));
    words
}

fn decode_all(plan: &Plan, parts: &[Vec<u8>]) -> Result<Vec<Chain>> {
    let lost = || Error::Bug("the series of a rank arrived incomplete.".to_string());
    let mut chains = Vec::new();
    for bytes in parts {
        let words: Vec<u64> = bytes.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
        let mut rest = words.as_slice();
        while !rest.is_empty() {
            let number = chains.len();
            let (ensemble, replica) = plan.place(number);
            let torus = SquareTorus::new(plan.ensembles.get(ensemble).ok_or_else(lost)?.0)?;
            let (draws, keep) = (plan.section.draws(), plan.section.configurations_of(replica));
            let mut take = |count: usize| {
                let (head, tail) = rest.split_at_checked(count).ok_or_else(lost)?;
                rest = tail;
                Ok::<&[u64], Error>(head)
            };
            let head = take(2)?;
            let signed = |words: &[u64]| words.iter().map(|&word| word as i64).collect();
            let series = Series { energy: signed(take(draws)?), magnetization: signed(take(draws)?) };
            let kept_draws = take(keep)?.to_vec();
            let mut kept = Vec::with_capacity(keep);
            for _ in 0..keep {
                kept.push(Configuration::from_words(torus, take(torus.sites().div_ceil(crate::spins::WORD_BITS))?.to_vec()));
            }
            chains.push(Chain { series, kept_draws, kept, spin_updates: head[0], seconds: f64::from_bits(head[1]) });
        }
    }
    if parts.is_empty() || chains.len() == plan.chains() { Ok(chains) } else { Err(lost()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RunFile;

    fn plan(sides: &[usize], replicas: usize) -> Plan {
        let text = format!(
            "seed = 1\n[lattice]\nsizes = {sides:?}\n[sample]\ncouplings = [0.4]\nreplicas = {replicas}\nthermalization = 3\nsweeps = 20\nmeasure_every = 2\nconfigurations = 7\n"
        );
        let run_file = RunFile::parse(&text, "test").expect("a run file");
        Plan::new(run_file.seed, &run_file.lattice, &run_file.sample.expect("its section"))
    }

    #[test]
    fn every_chain_has_one_rank() {
        for (sides, replicas) in [(vec![8], 1), (vec![8, 10, 12], 4), (vec![4, 64, 16], 3), (vec![128, 4], 2)] {
            let plan = plan(&sides, replicas);
            for size in 1..=9 {
                let all: Vec<usize> = (0..size).flat_map(|rank| plan.chains_of(rank, size)).collect();
                assert_eq!(all, (0..plan.chains()).collect::<Vec<_>>(), "{sides:?} x {replicas} on {size}");
            }
        }
    }

    #[test]
    fn chains_survive_the_way_to_rank_zero() {
        let plan = plan(&[6, 9], 2);
        let progress = Progress::new("test", "spins", 1, false);
        let chains: Vec<Chain> = (0..4).map(|number| run_chain(&plan, number, &progress).expect("a chain")).collect();
        assert_eq!(chains.iter().map(|chain| chain.kept.len()).collect::<Vec<_>>(), [4, 3, 4, 3]);
        assert_eq!(chains[0].kept_draws.last(), Some(&9));
        let bytes: Vec<u8> = chains.iter().flat_map(encode).flat_map(u64::to_le_bytes).collect();
        assert_eq!(decode_all(&plan, std::slice::from_ref(&bytes)), Ok(chains));
        assert!(decode_all(&plan, &[bytes[8..].to_vec()]).is_err());
    }
}
