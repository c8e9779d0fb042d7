//! One Markov chain on its way through the stage `[sample]`: it can stop after any sweep, become words in a checkpoint, and go on elsewhere.

use super::progress::Progress;
use super::sample::Plan;
use super::watch::{Pace, Round};
use crate::error::{Error, Result};
use crate::measure::{ClusterMoments, Observer, Series};
use crate::sampler::snapshot::{Reader, TakeWords, put_each};
use crate::sampler::{self, Sampler};
use crate::spins::{Configuration, WORD_BITS};
use std::time::Instant;

/// What one chain leaves.
#[derive(Debug, Clone, Default, PartialEq)]
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

/// A chain that may not have begun, may be on its way, or may be done.
pub struct Running {
    number: usize,
    sweeps: usize,
    chain: Chain,
    state: State,
}

/// Where the spins of a chain are. Only the chains that threads work on hold a whole sampler with its workspace.
enum State {
    Absent,
    Stored(Vec<u64>),
    Live(Box<dyn Sampler>),
}

impl Running {
    /// The chain `number` before its first sweep.
    pub fn new(number: usize) -> Self {
        Running { number, sweeps: 0, chain: Chain::default(), state: State::Absent }
    }

    /// The number of the chain in the whole problem.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Sweeps done.
    pub fn sweeps(&self) -> usize {
        self.sweeps
    }

    /// Whether it is on its way or done.
    pub fn has_begun(&self) -> bool {
        self.sweeps > 0 || !matches!(self.state, State::Absent)
    }

    /// What the chain has left so far.
    pub fn into_chain(self) -> Chain {
        self.chain
    }

    /// Sweeps until the chain or the round ends, at least once; a long sweep may be left before its end.
    ///
    /// # Errors
    /// What the sampler refuses.
    pub fn advance(&mut self, plan: &Plan, round: &Round, progress: &Progress) -> Result<()> {
        let (ensemble, replica) = plan.place(self.number);
        let coupling = plan.ensembles[ensemble].1;
        let section = &plan.section;
        let torus = plan.torus(ensemble)?;
        let started = Instant::now();
        let build = || sampler::build(section.algorithm, torus, coupling, section.start.of(replica), plan.seed, self.number as u64);
        let mut sampler = match std::mem::replace(&mut self.state, State::Absent) {
            State::Live(sampler) => sampler,
            State::Stored(words) => {
                let mut sampler = build()?;
                sampler.restore(&words)?;
                sampler
            }
            State::Absent => {
                let mut sampler = build()?;
                if section.thermalization == 0 {
                    sampler.end_thermalization();
                }
                sampler
            }
        };
        let mut observer = section.correlation_length.then(|| Observer::new(torus));
        let (sites, total) = (torus.sites() as u64, plan.sweeps());
        let mut next_kept = section.kept_draw(replica, self.chain.kept.len());
        let mut pace = Pace::new(round, progress);
        while self.sweeps < total {
            if section.improved_estimators && section.draw_after(self.sweeps + 1).is_some() {
                sampler.expect_clusters(section.correlation_length);
            }
            let Some(work) = sampler.sweep_unless(&mut || round.is_over()) else { break };
            self.chain.spin_updates += work;
            self.sweeps += 1;
            if self.sweeps == section.thermalization {
                sampler.end_thermalization();
            } else if let Some(draw) = section.draw_after(self.sweeps) {
                match &mut observer {
                    Some(observer) => {
                        let (measurement, wave_power) = sampler.observe(observer);
                        self.chain.series.push_all(measurement, wave_power);
                    }
                    None => self.chain.series.push(sampler.measure()),
                }
                if section.improved_estimators {
                    self.chain.series.improved.extend(sampler.cluster_moments());
                }
                if next_kept == Some(draw) {
                    self.chain.kept_draws.push(draw as u64);
                    self.chain.kept.push(sampler.configuration());
                    next_kept = section.kept_draw(replica, self.chain.kept.len());
                }
            }
            if pace.is_over_after(sites) {
                break;
            }
        }
        pace.finish();
        self.chain.seconds += started.elapsed().as_secs_f64();
        if self.sweeps < total {
            self.state = State::Live(sampler);
        }
        Ok(())
    }

    /// Hands the chain over as words: sweeps done, work, seconds; the number of draws, energies, magnetizations, powers of the longest waves and improved estimators (if they are measured); the number of kept configurations and they themselves; the
    /// snapshot of its sampler, if it is on its way.
    pub fn put_words(&self, take: &mut TakeWords) {
        let chain = &self.chain;
        take(&[self.sweeps as u64, chain.spin_updates, chain.seconds.to_bits(), chain.series.energy.len() as u64]);
        put_each(chain.series.energy.iter().chain(&chain.series.magnetization).map(|&value| value as u64), take);
        put_each(chain.series.wave_power.iter().map(|power| power.to_bits()), take);
        put_each(chain.series.improved.iter().flat_map(|draw| draw.numbers()).map(f64::to_bits), take);
        take(&[chain.kept.len() as u64]);
        chain.kept.iter().for_each(|configuration| take(configuration.words()));
        match &self.state {
            State::Absent => {}
            State::Stored(snapshot) => take(snapshot),
            State::Live(sampler) => sampler.put_snapshot(take),
        }
    }

    /// The chain `number` from such words.
    ///
    /// # Errors
    /// [`Error::Refused`] if they do not fit the plan.
    pub fn from_words(plan: &Plan, number: usize, words: &[u64]) -> Result<Self> {
        let misfit = || Error::Refused(format!("the state of chain {number} does not fit the run file: it belongs to another run"));
        if number >= plan.chains() {
            return Err(misfit());
        }
        let (ensemble, replica) = plan.place(number);
        let torus = plan.torus(ensemble)?;
        let section = &plan.section;
        let mut reader = Reader::new(words);
        let sweeps = reader.count(plan.sweeps())?;
        let (spin_updates, seconds) = (reader.word()?, f64::from_bits(reader.word()?));
        let draws = reader.count(section.draws())?;
        let signed = |words: &[u64]| words.iter().map(|&word| word as i64).collect();
        let (energy, magnetization) = (signed(reader.words(draws)?), signed(reader.words(draws)?));
        let powers = reader.words(if section.correlation_length { draws } else { 0 })?;
        let wave_power = powers.iter().map(|&bits| f64::from_bits(bits)).collect();
        let improved = reader.words(if section.improved_estimators { 3 * draws } else { 0 })?;
        let moments = |numbers: &[u64; 3]| ClusterMoments::of_numbers(numbers.map(f64::from_bits));
        let improved = improved.as_chunks().0.iter().map(moments).collect();
        let series = Series { energy, magnetization, wave_power, improved };
        let kept_draws: Vec<u64> = section.kept_draws(replica).take_while(|&draw| draw < draws).map(|draw| draw as u64).collect();
        let kept = reader.count(kept_draws.len())?;
        if draws != section.draws_after(sweeps) || kept != kept_draws.len() {
            return Err(misfit());
        }
        let words_each = torus.sites().div_ceil(WORD_BITS);
        let kept = reader.words(kept * words_each)?.chunks_exact(words_each);
        let kept = kept.map(|words| Configuration::from_words(torus, words.to_vec())).collect();
        let snapshot = reader.rest();
        // A chain that is done has no sampler any more; one in its first sweep has one or not.
        if sweeps > 0 && snapshot.is_empty() != (sweeps == plan.sweeps()) {
            return Err(misfit());
        }
        let state = if snapshot.is_empty() { State::Absent } else { State::Stored(snapshot.to_vec()) };
        Ok(Running { number, sweeps, chain: Chain { series, kept_draws, kept, spin_updates, seconds }, state })
    }
}
