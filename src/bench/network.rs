//! The speeds of the network kernels on the first layer of the paper's stack, 1600 x 400 with minibatches of 100, on random bits.

use super::{Contender, Row, Subject, Unit, row_against};
use crate::error::{Error, Result};
use crate::kernels::InstructionSet;
use crate::random::{Purpose, Stream};
use crate::rbm::gibbs::GibbsChains;
use crate::rbm::train::{Alone, Trainer};
use crate::rbm::{Matrix, Rbm, TrainingData, TrainingOptions};
use crate::spins::BitMatrix;

const SEED: u64 = 14103831;
const VISIBLE: usize = 1600;
const HIDDEN: usize = 400;
const MINIBATCH: usize = 100;
/// The epoch of the table has this many samples; a turn takes a tenth of it.
const EPOCH: usize = 20_000;
const SAMPLES: usize = EPOCH / 10;
const CHAINS: usize = 500;

/// Seconds an epoch of CD-1 on 20,000 samples.
pub fn contrastive_divergence(threads: usize) -> Result<Vec<Row>> {
    let data = TrainingData::Binary(random_bits(SAMPLES, VISIBLE, 0));
    let none = TrainingData::Binary(BitMatrix::new(0, VISIBLE));
    let options = TrainingOptions { minibatch: MINIBATCH, l1: 2e-4, ..TrainingOptions::new(HIDDEN, SEED, 0) };
    let mut trainer = Trainer::new(&data, &none, options.clone(), &Alone)?;
    let mut failure = None;
    let turn = || {
        if let Err(error) = trainer.epoch() {
            failure = Some(error);
        }
        SAMPLES as f64 / EPOCH as f64
    };
    let mut plain = PlainTrainer::new(random_bits(MINIBATCH, VISIBLE, 1));
    let subject = Subject { name: "cd1", size: format!("{VISIBLE}x{HIDDEN}").into(), threads, unit: Unit::SecondsPerWork("s/epoch") };
    let contender = Contender { name: "cd1".to_string(), turn: Box::new(turn) };
    let rival = Contender {
        name: "plain loops, one thread".to_string(),
        turn: Box::new(move || {
            plain.minibatch();
            MINIBATCH as f64 / EPOCH as f64
        }),
    };
    let row = row_against(subject, contender, rival);
    if let Some(error) = failure {
        return Err(error);
    }
    // What was timed must be what the portable kernels give, bit by bit.
    let mut fresh = Trainer::new(&data, &none, options.clone(), &Alone)?;
    let mut portable = Trainer::new(&data, &none, options, &Alone)?.on(InstructionSet::PORTABLE);
    fresh.epoch()?;
    portable.epoch()?;
    if fresh.rbm() != portable.rbm() {
        return Err(Error::Bug("the network kernels of this instruction set train another machine than the portable ones.".to_string()));
    }
    Ok(vec![row])
}

/// Nanoseconds a unit of block Gibbs sampling, 500 chains.
pub fn gibbs(threads: usize) -> Result<Vec<Row>> {
    let mut stream = Stream::new(SEED, Purpose::Check, 2);
    let weights: Vec<f32> = (0..VISIBLE * HIDDEN).map(|_| 0.1 * stream.normal() as f32).collect();
    let machine = Rbm { weights: Matrix::from_unpadded(VISIBLE, HIDDEN, &weights), ..Rbm::zero(VISIBLE, HIDDEN) };
    let start = random_bits(CHAINS, VISIBLE, 3);
    let mut chains = GibbsChains::new(&machine, &start, SEED, 0);
    let (mut sweeps, units) = (0, chains.units_per_sweep() as f64);
    let mut plain = PlainTrainer::new(random_bits(MINIBATCH, VISIBLE, 1));
    let subject = Subject { name: "gibbs", size: format!("{VISIBLE}x{HIDDEN}").into(), threads, unit: Unit::NanosecondsPerWork("ns/unit") };
    let turn = || {
        chains.sweep();
        sweeps += 1;
        units
    };
    let contender = Contender { name: "gibbs".to_string(), turn: Box::new(turn) };
    let rival = Contender {
        name: "plain loops, one thread".to_string(),
        turn: Box::new(move || {
            plain.gibbs_sweep();
            (MINIBATCH * (VISIBLE + HIDDEN)) as f64
        }),
    };
    let row = row_against(subject, contender, rival);
    let mut again = GibbsChains::new(&machine, &start, SEED, 0);
    (0..sweeps).for_each(|_| again.sweep_on(InstructionSet::PORTABLE));
    if again.visible() != chains.visible() {
        return Err(Error::Bug("the Gibbs kernels of this instruction set draw other states than the portable ones.".to_string()));
    }
    Ok(vec![row])
}

fn random_bits(rows: usize, columns: usize, index: u64) -> BitMatrix {
    let mut matrix = BitMatrix::new(rows, columns);
    let mut stream = Stream::new(SEED, Purpose::Check, index);
    let last = u64::MAX >> (matrix.words_per_row() * 64 - columns);
    for row in 0..rows {
        let words = matrix.row_mut(row);
        words.iter_mut().for_each(|word| *word = stream.word());
        if let Some(word) = words.last_mut() {
            *word &= last;
        }
    }
    matrix
}

/// Contrastive divergence as one writes it first: loops over samples and units in plain arrays, which the compiler may vectorise. The denominator of the ratios.
struct PlainTrainer {
    data: BitMatrix,
    weights: Vec<f32>,
    velocity: Vec<f32>,
    visible: Vec<bool>,
    hidden: Vec<bool>,
    stream: Stream,
}

impl PlainTrainer {
    fn new(data: BitMatrix) -> Self {
        let mut stream = Stream::new(SEED, Purpose::Check, 4);
        let weights = (0..VISIBLE * HIDDEN).map(|_| 0.01 * stream.normal() as f32).collect();
        let visible = (0..data.rows()).flat_map(|row| data.bits(row).iter().by_vals().collect::<Vec<_>>()).collect();
        PlainTrainer { hidden: vec![false; data.rows() * HIDDEN], data, weights, velocity: vec![0.0; VISIBLE * HIDDEN], visible, stream }
    }

    fn hidden_probabilities(&self, visible: &[bool]) -> Vec<f32> {
        let mut fields = vec![0f32; HIDDEN];
        for (row, _) in self.weights.chunks_exact(HIDDEN).zip(visible).filter(|(_, up)| **up) {
            fields.iter_mut().zip(row).for_each(|(field, weight)| *field += weight);
        }
        fields.iter_mut().for_each(|field| *field = 1.0 / (1.0 + (-*field).exp()));
        fields
    }

    fn visible_probabilities(&self, hidden: &[bool]) -> Vec<f32> {
        let field = |row: &[f32]| row.iter().zip(hidden).map(|(weight, up)| if *up { *weight } else { 0.0 }).sum::<f32>();
        self.weights.chunks_exact(HIDDEN).map(|row| 1.0 / (1.0 + (-field(row)).exp())).collect()
    }

    fn draw(stream: &mut Stream, probabilities: &[f32]) -> Vec<bool> {
        probabilities.iter().map(|probability| (stream.uniform() as f32) < *probability).collect()
    }

    fn gibbs_sweep(&mut self) {
        for sample in 0..self.data.rows() {
            let probabilities = self.hidden_probabilities(&self.visible[sample * VISIBLE..][..VISIBLE]);
            let hidden = Self::draw(&mut self.stream, &probabilities);
            let probabilities = self.visible_probabilities(&hidden);
            let visible = Self::draw(&mut self.stream, &probabilities);
            self.visible[sample * VISIBLE..][..VISIBLE].copy_from_slice(&visible);
            self.hidden[sample * HIDDEN..][..HIDDEN].copy_from_slice(&hidden);
        }
    }

    fn minibatch(&mut self) {
        let mut gradient = vec![0f32; VISIBLE * HIDDEN];
        for sample in 0..self.data.rows() {
            let visible: Vec<bool> = self.data.bits(sample).iter().by_vals().collect();
            let positive = self.hidden_probabilities(&visible);
            let hidden = Self::draw(&mut self.stream, &positive);
            let probabilities = self.visible_probabilities(&hidden);
            let returned = Self::draw(&mut self.stream, &probabilities);
            let negative = self.hidden_probabilities(&returned);
            for (unit, row) in gradient.chunks_exact_mut(HIDDEN).enumerate() {
                if visible[unit] {
                    row.iter_mut().zip(&positive).for_each(|(sum, value)| *sum += value);
                }
                if returned[unit] {
                    row.iter_mut().zip(&negative).for_each(|(sum, value)| *sum -= value);
                }
            }
        }
        let rate = 0.1 / self.data.rows() as f32;
        for ((weight, velocity), gradient) in self.weights.iter_mut().zip(&mut self.velocity).zip(&gradient) {
            *velocity = 0.5 * *velocity + rate * gradient - 2e-5 * weight.signum();
            *weight += *velocity;
        }
    }
}
