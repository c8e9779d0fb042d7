//! Fresh data: the configurations of every epoch come from chains that run while the machine learns, spread over the ranks, so that no configuration is met twice.
//!
//! There are as many chains of each coupling as `[sample]` has replicas, with the same algorithm and thermalization, but with random streams of their own. A checkpoint holds their states wherever they are,
//! and what they have drawn of the epoch so far. Each rank moves its share of the chains, and all ranks get all configurations,
//! chain after chain, several couplings in turns: no number of ranks changes them.

use super::desk::Stage;
use super::session::Session;
use super::training_data::interleave;
use crate::comm::{self, Comm};
use crate::config::{RunFile, SampleSection, TrainSection};
use crate::error::{Error, Result};
use crate::lattice::SquareTorus;
use crate::random::{Purpose, Stream};
use crate::sampler::snapshot::Reader;
use crate::sampler::{self, Sampler};
use crate::spins::{BitMatrix, WORD_BITS};
use crate::store::checkpoint::Items;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// One chain on its way through an epoch, or at the end of it.
struct Chain {
    number: usize,
    sampler: Box<dyn Sampler>,
    /// Sweeps since the beginning of the epoch, thermalization included.
    sweeps: usize,
    /// Configurations of this epoch, as words.
    drawn: Vec<u64>,
}

/// The chains of this rank.
pub struct FreshData {
    sites: usize,
    samples: usize,
    couplings: usize,
    replicas: usize,
    sweeps_between: usize,
    /// Sweeps before the first configuration, in the first epoch alone.
    thermalization: usize,
    chains: Vec<Chain>,
}

impl FreshData {
    /// Chains at the beginning of the first epoch, or where those were that left `stored` (see [`Self::states`]).
    ///
    /// # Errors
    /// [`Error::Refused`] if the states do not fit; what the sampler refuses.
    pub fn new(
        job: &RunFile,
        section: &TrainSection,
        sweeps_between: usize,
        layer: usize,
        stored: &BTreeMap<u64, Vec<u64>>,
        comm: &dyn Comm,
    ) -> Result<Self> {
        let sample = job.sample.as_ref().ok_or_else(|| Error::Bug("fresh data without a section [sample].".to_string()))?;
        let torus = SquareTorus::new(section.size)?;
        // The streams of the stage `[sample]` belong to the seed of the run; these belong to another one.
        let seed = Stream::new(job.seed, Purpose::FreshData, layer as u64).word();
        // Where all chains are alike: whether they thermalize in this epoch.
        let thermalization = match stored.values().next().and_then(|words| words.first()) {
            Some(&sweeps) => usize::try_from(sweeps).unwrap_or(usize::MAX).min(sample.thermalization),
            None => sample.thermalization,
        };
        let build = |number: usize| -> Result<Chain> {
            let SampleSection { algorithm, start, .. } = *sample;
            let coupling = section.couplings[number / sample.replicas];
            let mut sampler = sampler::build(algorithm, torus, coupling, start.of(number % sample.replicas), seed, number as u64)?;
            if stored.is_empty() {
                if thermalization == 0 {
                    sampler.end_thermalization();
                }
                return Ok(Chain { number, sampler, sweeps: 0, drawn: Vec::new() });
            }
            let misfit = || Error::Refused(format!("the checkpoint lacks chain {number} of the fresh data: it belongs to another run"));
            let mut reader = Reader::new(stored.get(&(number as u64)).ok_or_else(misfit)?);
            let (_, sweeps) = (reader.word()?, reader.count(usize::MAX)?);
            let words = reader.count(section.samples.saturating_mul(torus.sites().div_ceil(WORD_BITS)))?;
            let drawn = reader.words(words)?.to_vec();
            sampler.restore(reader.rest())?;
            Ok(Chain { number, sampler, sweeps, drawn })
        };
        let chains = sample.replicas.checked_mul(section.couplings.len());
        let chains =
            chains.ok_or_else(|| Error::Usage("so many chains of fresh data cannot be counted: write fewer replicas".to_string()))?;
        let own = comm::share(chains, comm.rank(), comm.size());
        Ok(FreshData {
            sites: torus.sites(),
            samples: section.samples,
            couplings: section.couplings.len(),
            replicas: sample.replicas,
            sweeps_between,
            thermalization,
            chains: own.map(build).collect::<Result<_>>()?,
        })
    }

    /// The configurations of an epoch that come from a coupling.
    fn samples_of(&self, coupling: usize) -> usize {
        comm::share(self.samples, coupling, self.couplings).len()
    }

    /// The chains of this rank by their numbers: the sweeps of the thermalization that belong to this epoch, the sweeps done, the words drawn, these words, and the state.
    pub fn states(&self) -> impl Iterator<Item = (u64, Vec<u64>)> {
        self.chains.iter().map(|chain| {
            let mut words = vec![self.thermalization as u64, chain.sweeps as u64, chain.drawn.len() as u64];
            words.extend_from_slice(&chain.drawn);
            words.extend(chain.sampler.snapshot());
            (chain.number as u64, words)
        })
    }

    /// The configurations of the epoch, on every rank. Collective. `state` makes the items of a checkpoint, if the job is to stop on the way.
    ///
    /// # Errors
    /// [`Error::Stopped`] if the job stops; what cannot be written.
    pub fn draw(&mut self, session: &mut Session, mut state: impl FnMut(&FreshData) -> Items) -> Result<BitMatrix> {
        let comm = session.comm();
        loop {
            let round = session.begin_round();
            let samples: Vec<usize> = (0..self.couplings).map(|coupling| self.samples_of(coupling)).collect();
            let (replicas, between, thermalization) = (self.replicas, self.sweeps_between, self.thermalization);
            let unfinished = self.chains.par_iter_mut().map(|chain| {
                let share = comm::share(samples[chain.number / replicas], chain.number % replicas, replicas).len();
                let sweeps = thermalization + share * between;
                while chain.sweeps < sweeps {
                    if chain.sampler.sweep_unless(&mut || round.is_over()).is_none() {
                        break;
                    }
                    chain.sweeps += 1;
                    if chain.sweeps == thermalization {
                        chain.sampler.end_thermalization();
                    } else if chain.sweeps > thermalization && (chain.sweeps - thermalization).is_multiple_of(between) {
                        chain.drawn.extend(chain.sampler.configuration().words());
                    }
                    if round.is_over() {
                        break;
                    }
                }
                u64::from(chain.sweeps < sweeps)
            });
            let unfinished = unfinished.max().unwrap_or(0);
            if comm.maximum(unfinished) == 0 {
                break;
            }
            session.end_round(Stage::Training, || state(self))?;
        }
        let own: Vec<u8> = self.chains.iter().flat_map(|chain| &chain.drawn).flat_map(|word| word.to_le_bytes()).collect();
        let all = comm.broadcast(comm.gather(own).map(|parts| parts.concat()).unwrap_or_default());
        let mut words = all.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
        let mut parts: Vec<BitMatrix> = (0..self.couplings).map(|coupling| BitMatrix::new(self.samples_of(coupling), self.sites)).collect();
        if all.len() != parts.iter().map(|part| 8 * part.words().len()).sum::<usize>() {
            return Err(Error::Bug("the fresh configurations of a rank arrived incomplete.".to_string()));
        }
        parts.iter_mut().flat_map(BitMatrix::words_mut).zip(&mut words).for_each(|(word, drawn)| *word = drawn);
        drop(all);
        Ok(if let [only] = &mut parts[..] { std::mem::replace(only, BitMatrix::new(0, 0)) } else { interleave(&parts) })
    }

    /// The next epoch begins where the chains are now.
    pub fn end_epoch(&mut self) {
        self.thermalization = 0;
        for chain in &mut self.chains {
            chain.sweeps = 0;
            chain.drawn.clear();
        }
    }
}
