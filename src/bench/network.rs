//! The speeds of the network kernels at the shapes of the paper's stack, on random bits, against the same estimator on the best matrix products.

use super::gemm::GemmTrainer;
use super::{Contender, Row, Subject, Unit, row_against};
use crate::error::{Error, Result};
use crate::kernels::InstructionSet;
use crate::random::{Purpose, Stream};
use crate::rbm::gibbs::GibbsChains;
use crate::rbm::train::{Alone, Trainer};
use crate::rbm::{Matrix, Rbm, TrainingData, TrainingOptions};
use crate::spins::BitMatrix;

pub(super) const SEED: u64 = 14103831;
const VISIBLE: usize = 1600;
const HIDDEN: usize = 400;
/// Samples an epoch.
const EPOCH: usize = 20_000;
/// What is checked bit by bit has fewer.
const CHECKED: usize = 500;
const CHAINS: usize = 500;

/// Visible units, hidden units, minibatch, Gibbs steps.
const SHAPES: [[usize; 4]; 5] = [[1600, 400, 100, 1], [1600, 400, 500, 1], [1600, 400, 100, 10], [400, 100, 100, 1], [100, 25, 100, 1]];

/// One thread, and `threads` if that is more.
fn teams(threads: usize) -> Vec<usize> {
    if threads > 1 { vec![1, threads] } else { vec![1] }
}

/// Seconds an epoch of CD-k on 20,000 samples.
pub fn contrastive_divergence(threads: usize) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for shape in SHAPES {
        for threads in teams(threads) {
            rows.push(super::pool(threads)?.install(|| one_shape(shape, threads))?);
        }
    }
    Ok(rows)
}

fn one_shape([visible, hidden, minibatch, gibbs_steps]: [usize; 4], threads: usize) -> Result<Row> {
    let bits = random_bits(EPOCH, visible, 0);
    let mut rival = GemmTrainer::new(&bits.slice_rows(0..EPOCH / 10), hidden, minibatch, gibbs_steps, threads);
    let data = TrainingData::Binary(bits);
    let none = TrainingData::Binary(BitMatrix::new(0, visible));
    let options = TrainingOptions { minibatch, gibbs_steps, l1: 2e-4, ..TrainingOptions::new(hidden, SEED, 0) };
    let mut trainer = Trainer::new(&data, &none, options.clone(), &Alone)?;
    let mut failure = None;
    // A fifth of an epoch; what stands at its end (monitoring, new streams) is timed as often as it comes.
    let part = trainer.minibatches_per_epoch() / 5;
    let turn = || {
        if let Err(error) = trainer.advance(part) {
            failure = Some(error);
        }
        (part * minibatch) as f64 / EPOCH as f64
    };
    let mut size = format!("{visible}x{hidden}");
    if minibatch != 100 {
        size += &format!(" minibatch {minibatch}");
    }
    if gibbs_steps != 1 {
        size += &format!(" CD-{gibbs_steps}");
    }
    let subject = Subject { name: "cd1", size: size.into(), threads, unit: Unit::SecondsPerWork("s/epoch") };
    let contender = Contender { name: "cd1".to_string(), turn: Box::new(turn) };
    let rival_turn = Contender { name: "gemm 0.19".to_string(), turn: Box::new(|| rival.step() as f64 / EPOCH as f64) };
    let row = row_against(subject, contender, rival_turn);
    if let Some(error) = failure {
        return Err(error);
    }
    // What was timed must be what the portable kernels give, bit by bit.
    let TrainingData::Binary(bits) = &data else { return Err(Error::Bug("bits are no longer bits.".to_string())) };
    let data = TrainingData::Binary(bits.slice_rows(0..CHECKED));
    let mut fresh = Trainer::new(&data, &none, options.clone(), &Alone)?;
    let mut portable = Trainer::new(&data, &none, options, &Alone)?.on(InstructionSet::PORTABLE);
    fresh.epoch()?;
    portable.epoch()?;
    if fresh.rbm() != portable.rbm() || !rival.is_finite() {
        return Err(Error::Bug("the network kernels of this instruction set train another machine than the portable ones.".to_string()));
    }
    Ok(row)
}

/// Nanoseconds a unit of block Gibbs sampling, 500 chains.
pub fn gibbs(threads: usize) -> Result<Vec<Row>> {
    teams(threads).into_iter().map(|threads| super::pool(threads)?.install(|| gibbs_with(threads))).collect()
}

fn gibbs_with(threads: usize) -> Result<Row> {
    let mut stream = Stream::new(SEED, Purpose::Check, 2);
    let weights: Vec<f32> = (0..VISIBLE * HIDDEN).map(|_| 0.1 * stream.normal() as f32).collect();
    let machine = Rbm { weights: Matrix::from_unpadded(VISIBLE, HIDDEN, &weights), ..Rbm::zero(VISIBLE, HIDDEN) };
    let start = random_bits(CHAINS, VISIBLE, 3);
    let mut rival = GemmTrainer::new(&start, HIDDEN, CHAINS, 1, threads);
    let mut chains = GibbsChains::new(&machine, &start, SEED, 0);
    let (mut sweeps, units) = (0, chains.units_per_sweep() as f64);
    let subject = Subject { name: "gibbs", size: format!("{VISIBLE}x{HIDDEN}").into(), threads, unit: Unit::NanosecondsPerWork("ns/unit") };
    let turn = || {
        chains.sweep();
        sweeps += 1;
        units
    };
    let contender = Contender { name: "gibbs".to_string(), turn: Box::new(turn) };
    let rival = Contender { name: "gemm 0.19".to_string(), turn: Box::new(move || rival.sweep() as f64) };
    let row = row_against(subject, contender, rival);
    let mut again = GibbsChains::new(&machine, &start, SEED, 0);
    (0..sweeps).for_each(|_| again.sweep_on(InstructionSet::PORTABLE));
    if again.visible() != chains.visible() {
        return Err(Error::Bug("the Gibbs kernels of this instruction set draw other states than the portable ones.".to_string()));
    }
    Ok(row)
}

fn random_bits(rows: usize, columns: usize, index: u64) -> BitMatrix {
    let mut stream = Stream::new(SEED, Purpose::Check, index);
    BitMatrix::from_words(rows, columns, || stream.word())
}
