//! How much more several ranks do than one, or several threads where there is one rank: all together and one alone take turns. Every rank calls this, in step.
//!
//! Sampling has a lattice a thread, so that more workers do more work: all of them the same chain, since the clusters of different chains are not equal work; training has one minibatch of 500 for all of them.

use super::Row;
use crate::comm::{self, Comm};
use crate::error::{Error, Result};
use crate::exact::critical_coupling;
use crate::kernels::InstructionSet;
use crate::lattice::SquareTorus;
use crate::random::{Purpose, Stream};
use crate::rbm::train::{Alone, Trainer};
use crate::rbm::{TrainingData, TrainingOptions};
use crate::run::exchange::OverRanks;
use crate::sampler::{self, Algorithm, Sampler, Start};
use crate::spins::BitMatrix;
use rayon::prelude::*;
use std::time::{Duration, Instant};

const SEED: u64 = 14103831;
/// Turns of each kind that count.
const TURNS: usize = 9;
/// Samples of a training turn, an epoch in minibatches of 500: as many as those of `cd1`.
const SAMPLES: usize = 20_000;
const MINIBATCH: usize = 500;

/// Those who work: all ranks with all their threads, or one.
struct Team<'a> {
    comm: &'a dyn Comm,
    threads: usize,
    one: rayon::ThreadPool,
    all: rayon::ThreadPool,
}

impl Team<'_> {
    /// How many work when all do: ranks, or threads of the only rank.
    fn size(&self) -> usize {
        if self.comm.size() > 1 { self.comm.size() } else { self.threads }
    }

    fn words(&self) -> String {
        if self.comm.size() > 1 { format!("{} ranks", self.comm.size()) } else { format!("{} threads", self.threads) }
    }

    /// The pool of a rank when all work, or when one does: one rank with its threads, or one thread of the only rank.
    fn pool(&self, together: bool) -> &rayon::ThreadPool {
        if together || self.comm.size() > 1 { &self.all } else { &self.one }
    }

    /// Whether this rank works.
    fn works(&self, together: bool) -> bool {
        together || self.comm.is_root()
    }

    /// Seconds of each turn of one alone and of all together, taken in turns. A turn says how long it took; that of several ranks takes as long as that of the last. Collective.
    fn take_turns(&self, mut turn: impl FnMut(bool) -> Result<Duration>) -> Result<[Vec<f64>; 2]> {
        let mut seconds = [Vec::new(), Vec::new()];
        for round in 0..=TURNS {
            for together in [false, true] {
                self.comm.maximum(0);
                let own = comm::agree(self.comm, if self.works(together) { turn(together) } else { Ok(Duration::ZERO) })?;
                let last = self.comm.maximum(own.as_nanos() as u64) as f64 * 1e-9;
                if round > 0 {
                    seconds[usize::from(together)].push(last);
                }
            }
        }
        seconds.iter_mut().for_each(|turns| turns.sort_by(f64::total_cmp));
        Ok(seconds)
    }

    /// A row from such times, where a turn of all together is `work` times as much work as one of one alone.
    fn row(&self, what: &str, work: f64, [alone, together]: &[Vec<f64>; 2]) -> Row {
        let speed_up = |one: f64, all: f64| work * one / all;
        let median = speed_up(alone[TURNS / 2], together[TURNS / 2]);
        Row {
            name: "scaling".to_string(),
            size: format!("{what}, {}", self.words()).into(),
            threads: self.threads,
            instruction_set: InstructionSet::chosen().name().to_string(),
            unit: "times one".to_string(),
            median,
            best: speed_up(alone[0], together[0]),
            rival: Some(
                if self.comm.size() > 1 { "one rank: the ratio is the efficiency" } else { "one thread: the ratio is the efficiency" }
                    .to_string(),
            ),
            ratio: Some(median / self.size() as f64),
            // The turns of one alone are a fixed piece of work.
            machine: alone[0] / alone[TURNS / 2],
        }
    }
}

/// The rows of sampling and training. Collective.
///
/// # Errors
/// What a sampler or trainer refuses; [`Error::InputOutput`] if threads cannot be started.
pub fn scaling(threads: usize, comm: &dyn Comm) -> Result<Vec<Row>> {
    let pool = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.map_err(|why| Error::InputOutput(format!("cannot start {threads} threads: {why}")))
    };
    let team = comm::agree(comm, pool(1).and_then(|one| Ok(Team { comm, threads, one, all: pool(threads)? })))?;
    let mut rows = Vec::new();
    for (algorithm, side, sweeps) in [(Algorithm::Metropolis, 1024, 1000), (Algorithm::SwendsenWang, 512, 100), (Algorithm::Wolff, 512, 50)]
    {
        rows.push(sampling(&team, algorithm, side, sweeps)?);
    }
    rows.push(training(&team)?);
    Ok(rows)
}

fn sampling(team: &Team, algorithm: Algorithm, side: usize, sweeps: usize) -> Result<Row> {
    let threads = team.threads;
    let torus = SquareTorus::new(side)?;
    let build = |_| sampler::build(algorithm, torus, critical_coupling(), Start::Cold, SEED, 0);
    let mut chains = comm::agree(team.comm, (0..threads).map(build).collect::<Result<Vec<Box<dyn Sampler>>>>())?;
    team.all.install(|| {
        chains.par_iter_mut().for_each(|chain| {
            for _ in 0..100 {
                chain.sweep();
            }
            chain.end_thermalization();
        });
    });
    let seconds = team.take_turns(|together| {
        let pool = team.pool(together);
        let own = pool.current_num_threads();
        let sweep = |chain: &mut Box<dyn Sampler>| {
            for _ in 0..sweeps {
                chain.sweep();
            }
        };
        let begun = Instant::now();
        pool.install(|| chains[..own].par_iter_mut().for_each(sweep));
        Ok(begun.elapsed())
    })?;
    Ok(team.row(&format!("{} {side}", algorithm.name()), team.size() as f64, &seconds))
}

fn training(team: &Team) -> Result<Row> {
    const VISIBLE: usize = 1600;
    const HIDDEN: usize = 400;
    let mut stream = Stream::new(SEED, Purpose::Check, 9);
    let data = TrainingData::Binary(BitMatrix::from_words(SAMPLES, VISIBLE, || stream.word()));
    let none = TrainingData::Binary(BitMatrix::new(0, VISIBLE));
    let options = TrainingOptions { minibatch: MINIBATCH, l1: 2e-4, ..TrainingOptions::new(HIDDEN, SEED, 0) };
    let epoch = |trainer: &mut Trainer| {
        let begun = Instant::now();
        trainer.epoch().map(|_| begun.elapsed())
    };
    let seconds = if team.comm.size() == 1 {
        team.take_turns(|together| team.pool(together).install(|| epoch(&mut Trainer::new(&data, &none, options.clone(), &Alone)?)))?
    } else {
        // Messages come from the main thread alone, which works with the threads that all of the program share.
        let over_ranks = OverRanks(team.comm);
        let mut trainers = comm::agree(team.comm, both(&data, &none, &options, &over_ranks))?;
        let seconds = team.take_turns(|together| epoch(&mut trainers[usize::from(together)]))?;
        // Rank 0 has trained both as often: alone and together they must have become the same machine.
        let same = !team.comm.is_root() || trainers[0].rbm() == trainers[1].rbm();
        let differ = || Error::Bug("one rank alone trains another machine than all together.".to_string());
        comm::agree(team.comm, same.then_some(()).ok_or_else(differ))?;
        seconds
    };
    Ok(team.row(&format!("cd1 {VISIBLE}x{HIDDEN} minibatch {MINIBATCH}"), 1.0, &seconds))
}

/// The trainer of one rank alone, and that of all together.
fn both<'a>(
    data: &'a TrainingData,
    none: &'a TrainingData,
    options: &TrainingOptions,
    ranks: &'a OverRanks<'a>,
) -> Result<[Trainer<'a>; 2]> {
    Ok([Trainer::new(data, none, options.clone(), &Alone)?, Trainer::new(data, none, options.clone(), ranks)?])
}
