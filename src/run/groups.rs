//! A group of replicas across the bits on its way through the stage `[sample]`: it can stop after any sweep, become words in a checkpoint, and go on elsewhere.

use super::chains::Chain;
use super::progress::Progress;
use super::sample::Plan;
use super::units::{Finished, Group};
use super::watch::{Pace, Round};
use crate::error::{Error, Result};
use crate::kernels::replicas::REPLICAS;
use crate::measure::{Measurement, Series};
use crate::sampler::snapshot::{Reader, TakeWords, put_each};
use crate::sampler::tempering::{ExchangeCounts, Ladders};
use crate::spins::{Configuration, WORD_BITS};
use std::time::Instant;

/// Measurements and kept configurations of the replicas of one ensemble.
#[derive(Debug, Clone, Default)]
struct Records {
    /// Energy and magnetization, draw after draw, replica after replica.
    measurements: Vec<[i32; 2]>,
    /// The power of the longest waves in the same order, where it is measured.
    wave_powers: Vec<f64>,
    /// Kept configurations of each replica.
    kept: Vec<Vec<Configuration>>,
}

/// A group that may not have begun, may be on its way, or may be done.
pub struct RunningGroup {
    group: Group,
    sweeps: usize,
    seconds: f64,
    /// In the order of the couplings, ascending.
    records: Vec<Records>,
    state: State,
}

/// Where the spins are. Those of a group that is done are gone, all but what its exchanges counted.
enum State {
    Absent,
    Stored(Vec<u64>),
    Live(Box<Ladders>),
}

/// Whether the longest waves of a group are measured.
fn has_waves(plan: &Plan, group: &Group) -> bool {
    plan.section.measures_waves(plan.geometry, plan.ensembles[group.ensembles.start].0)
}

/// The ensembles of a group in the order of their couplings, ascending.
fn ascending(plan: &Plan, group: &Group) -> Vec<usize> {
    let mut ensembles: Vec<usize> = group.ensembles.clone().collect();
    ensembles.sort_by(|&one, &other| plan.ensembles[one].1.total_cmp(&plan.ensembles[other].1));
    ensembles
}

fn ladders(plan: &Plan, group: &Group) -> Result<Ladders> {
    let groups = plan.section.replicas.div_ceil(REPLICAS);
    let number = |first: usize| (first * groups + group.number) as u64;
    let couplings: Vec<(f64, u64)> =
        ascending(plan, group).into_iter().map(|ensemble| (plan.ensembles[ensemble].1, number(ensemble))).collect();
    let torus = plan.torus(group.ensembles.start)?;
    let (section, every) = (&plan.section, plan.section.exchange_every as u64);
    let mut ladders =
        Ladders::new(torus, &couplings, section.start.of(0), plan.seed, number(group.ensembles.start), group.replicas.len(), every)?;
    if section.thermalization == 0 {
        ladders.end_thermalization();
    }
    Ok(ladders)
}

impl RunningGroup {
    /// A group before its first sweep.
    pub fn new(group: Group) -> Self {
        let records = Records { measurements: Vec::new(), wave_powers: Vec::new(), kept: vec![Vec::new(); group.replicas.len()] };
        RunningGroup { sweeps: 0, seconds: 0.0, records: vec![records; group.ensembles.len()], state: State::Absent, group }
    }

    /// Sweeps done.
    pub fn sweeps(&self) -> usize {
        self.sweeps
    }

    /// Sweeps until the group or the round ends, at least once.
    ///
    /// # Errors
    /// What the sampler refuses.
    pub fn advance(&mut self, plan: &Plan, round: &Round, progress: &Progress) -> Result<()> {
        let section = &plan.section;
        let started = Instant::now();
        let mut ladders = match std::mem::replace(&mut self.state, State::Absent) {
            State::Live(ladders) => ladders,
            State::Stored(words) => {
                let mut ladders = Box::new(ladders(plan, &self.group)?);
                ladders.restore(&words)?;
                ladders
            }
            State::Absent => Box::new(ladders(plan, &self.group)?),
        };
        let next_kept =
            |records: &Records, replica: usize| section.kept_draw(self.group.replicas.start + replica, records.kept[replica].len());
        let spins = plan.sites(plan.ensembles[self.group.ensembles.start].0) as u64 * (REPLICAS * self.group.ensembles.len()) as u64;
        let (total, mut pace) = (plan.sweeps(), Pace::new(round, progress));
        while self.sweeps < total {
            self.sweeps += 1;
            let draw = section.draw_after(self.sweeps);
            if draw.is_some() {
                ladders.sweep_counted();
            } else {
                ladders.sweep();
            }
            if self.sweeps == section.thermalization {
                ladders.end_thermalization();
            } else if let Some(draw) = draw {
                if let Some(powers) = has_waves(plan, &self.group).then(|| ladders.wave_powers()).flatten() {
                    for (records, powers) in self.records.iter_mut().zip(powers) {
                        records.wave_powers.extend(&powers[..self.group.replicas.len()]);
                    }
                }
                for ((records, measurements), group) in self.records.iter_mut().zip(ladders.measurements()).zip(ladders.groups()) {
                    let pair = |measurement: &Measurement| [measurement.energy as i32, measurement.magnetization as i32];
                    records.measurements.extend(measurements[..self.group.replicas.len()].iter().map(pair));
                    if section.configurations > 0 {
                        for replica in 0..self.group.replicas.len() {
                            if next_kept(records, replica) == Some(draw) {
                                records.kept[replica].push(group.configuration(replica));
                            }
                        }
                    }
                }
            }
            if pace.is_over_after(spins) {
                break;
            }
        }
        pace.finish();
        progress.exchanged(&ladders.counts().rates());
        self.seconds += started.elapsed().as_secs_f64();
        self.state = if self.sweeps < total { State::Live(ladders) } else { State::Stored(exchanges(ladders.counts())) };
        Ok(())
    }

    /// Hands the group over as words: sweeps done, seconds, draws; for each coupling, ascending, the measurements (two numbers of 32 bits a word), the powers of the longest waves (if they are measured) and the kept configurations, replica by
    /// replica; the snapshot of its sampler if it is on its way, or what its exchanges counted if it is done.
    pub fn put_words(&self, take: &mut TakeWords) {
        let draws = self.records[0].measurements.len() / self.group.replicas.len();
        take(&[self.sweeps as u64, self.seconds.to_bits(), draws as u64]);
        for records in &self.records {
            let packed = |&[energy, magnetization]: &[i32; 2]| u64::from(energy as u32) | u64::from(magnetization as u32) << 32;
            put_each(records.measurements.iter().map(packed), take);
            put_each(records.wave_powers.iter().map(|power| power.to_bits()), take);
            records.kept.iter().flatten().for_each(|configuration| take(configuration.words()));
        }
        match &self.state {
            State::Absent => {}
            State::Stored(stored) => take(stored),
            State::Live(ladders) => ladders.put_snapshot(take),
        }
    }

    /// The group from such words.
    ///
    /// # Errors
    /// [`Error::Refused`] if they do not fit the plan.
    pub fn from_words(plan: &Plan, group: Group, words: &[u64]) -> Result<Self> {
        let misfit = || {
            Error::Refused(format!(
                "the state of a group of replicas (number {}) does not fit the run file: it belongs to another run",
                group.number
            ))
        };
        let section = &plan.section;
        let torus = plan.torus(group.ensembles.start)?;
        let mut reader = Reader::new(words);
        let (sweeps, seconds) = (reader.count(plan.sweeps())?, f64::from_bits(reader.word()?));
        let draws = reader.count(section.draws())?;
        if draws != section.draws_after(sweeps) {
            return Err(misfit());
        }
        let words_each = torus.sites().div_ceil(WORD_BITS);
        let mut records = Vec::with_capacity(group.ensembles.len());
        for _ in group.ensembles.clone() {
            let unpacked = |&word: &u64| [word as u32 as i32, (word >> 32) as i32];
            let measurements = reader.words(draws * group.replicas.len())?.iter().map(unpacked).collect();
            let powers = if has_waves(plan, &group) { draws * group.replicas.len() } else { 0 };
            let wave_powers = reader.words(powers)?.iter().map(|&bits| f64::from_bits(bits)).collect();
            let kept = |replica: usize| {
                let count = section.kept_draws(replica).take_while(|&draw| draw < draws).count();
                let each = reader.words(count * words_each)?.chunks_exact(words_each);
                Ok(each.map(|words| Configuration::from_words(torus, words.to_vec())).collect())
            };
            let kept = group.replicas.clone().map(kept).collect::<Result<Vec<Vec<Configuration>>>>()?;
            records.push(Records { measurements, wave_powers, kept });
        }
        let rest = reader.rest();
        if rest.is_empty() != (sweeps == 0) {
            return Err(misfit());
        }
        let state = if rest.is_empty() { State::Absent } else { State::Stored(rest.to_vec()) };
        if sweeps == plan.sweeps() {
            counted(rest, &group)?;
        }
        Ok(RunningGroup { group, sweeps, seconds, records, state })
    }

    /// The chains of a group that is done, by their numbers, and its exchanges if there are several couplings.
    ///
    /// # Errors
    /// [`Error::Refused`] if its words are damaged.
    pub fn into_chains(self, plan: &Plan) -> Result<Finished> {
        let section = &plan.section;
        let sites = plan.sites(plan.ensembles[self.group.ensembles.start].0) as u64;
        let count = self.group.replicas.len();
        let mut chains = Vec::with_capacity(count * self.group.ensembles.len());
        let seconds = self.seconds / (count * self.group.ensembles.len()) as f64;
        for (ensemble, records) in ascending(plan, &self.group).into_iter().zip(self.records) {
            for (lane, kept) in records.kept.into_iter().enumerate() {
                let replica = self.group.replicas.start + lane;
                let column = |which: usize| {
                    records.measurements.iter().skip(lane).step_by(count).map(|pair| i64::from(pair[which])).collect::<Vec<i64>>()
                };
                let wave_power = records.wave_powers.iter().skip(lane).step_by(count).copied().collect();
                let series = Series { energy: column(0), magnetization: column(1), wave_power, ..Series::default() };
                let kept_draws = section.kept_draws(replica).take(kept.len()).map(|draw| draw as u64).collect();
                let chain = Chain { series, kept_draws, kept, spin_updates: sites * self.sweeps as u64, seconds };
                chains.push((ensemble * section.replicas + replica, chain));
            }
        }
        let exchanges = match &self.state {
            State::Stored(words) if self.group.ensembles.len() > 1 => Some((self.group.ensembles.start, counted(words, &self.group)?)),
            _ => None,
        };
        Ok((chains, exchanges))
    }
}

/// Counts of exchanges as words.
fn exchanges(counts: &ExchangeCounts) -> Vec<u64> {
    [&counts.tried, &counts.made, &counts.round_trips, &counts.from_lowest, &counts.from_highest].into_iter().flatten().copied().collect()
}

/// The counts of such words.
fn counted(words: &[u64], group: &Group) -> Result<ExchangeCounts> {
    let (couplings, mut reader) = (group.ensembles.len(), Reader::new(words));
    let mut next = |count: usize| reader.words(count).map(<[u64]>::to_vec);
    let (tried, made) = (next(couplings - 1)?, next(couplings - 1)?);
    let counts = ExchangeCounts {
        tried,
        made,
        round_trips: next(group.replicas.len())?,
        from_lowest: next(couplings)?,
        from_highest: next(couplings)?,
    };
    reader.end()?;
    Ok(counts)
}
