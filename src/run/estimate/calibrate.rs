//! Short runs of the real work, from which the times of a whole run follow. Each takes some tenths of a second.

use super::analysis::walk;
use crate::comm;
use crate::config::{RunFile, TrainSection};
use crate::error::Result;
use crate::lattice::SquareTorus;
use crate::random::{Purpose, Stream};
use crate::rbm::deep::{self, ActivationKind};
use crate::rbm::train::{ShardExchange, Trainer};
use crate::rbm::{Matrix, TrainingData, TrainingOptions};
use crate::record::{Ensemble, EpochRecord, LayerRecord, RunRecord, SamplingRecord, TrainingRecord};
use crate::run::learning;
use crate::run::sample::{self, Plan};
use crate::sampler::{self, Sampler};
use crate::spins::BitMatrix;
use crate::store;
use rayon::prelude::*;
use std::cell::Cell;
use std::ops::Range;
use std::time::{Duration, Instant};

/// How long chains run for each size and coupling.
const TRIAL: Duration = Duration::from_millis(300);
/// The largest side that is tried.
const LARGEST_TRIAL: usize = 16384;
/// Samples a trial of a layer sees at most, if they have more than [`FEW_UNITS`] units in all.
const MOST_SAMPLES: usize = 1000;
/// So many units are few: small layers see so many samples that what happens once is little beside the minibatches.
const FEW_UNITS: usize = 1 << 21;
/// Layers that are written to see how long one takes.
const LAYERS_WRITTEN: usize = 16;
/// The page, and a logical pixel of a figure, took so long on the machine this was written on, in seconds.
const PAGE: f64 = 0.1;
const SECONDS_A_PIXEL: f64 = 0.25e-6;

/// Spins a second of all threads on lattices of side `side`; where they do not fit into memory here, on the largest that do.
pub fn speed(plan: &Plan, side: usize, available: Option<u64>) -> Result<f64> {
    let mut trial = side;
    // Beyond this a lattice is far from every cache, and its speed does not change any more. About ten bytes a site are needed, see `config::memory`.
    trial = trial.min(LARGEST_TRIAL);
    let bytes = |side: usize| 10 * plan.sites(side).saturating_mul(rayon::current_num_threads() as u128);
    while available.is_some_and(|available| bytes(trial) > u128::from(available / 2)) && trial > 64 {
        trial /= 2;
    }
    let mut plan = plan.clone();
    plan.ensembles.iter_mut().filter(|ensemble| ensemble.0 == side).for_each(|ensemble| ensemble.0 = trial);
    sample::measure_speed(&plan, trial, TRIAL)
}

/// Square lattices for a trial, about as many as `rows` and not fewer than `least`, that fit into a quarter of a gigabyte: their side, which is `side` halved as often as it must be, and
/// their number.
pub fn affordable(side: usize, rows: usize, least: usize) -> (usize, usize) {
    const BYTES: usize = 1 << 28;
    let bytes = |side: usize| (side * side).div_ceil(8);
    let mut trial = side;
    while least * bytes(trial) > BYTES && trial.is_multiple_of(2) {
        trial /= 2;
    }
    (trial, rows.min(BYTES / bytes(trial)).max(least))
}

/// Seconds a byte that goes through compression, digest and disk.
pub struct Writing {
    /// Series of integers that vary little.
    pub series: f64,
    /// Bits and weights, which look random.
    pub kept: f64,
    /// What a layer takes besides, however small it is, in seconds.
    pub layer: f64,
}

impl Writing {
    /// Seconds for the files of so many layers, whose weights take so many bytes.
    pub fn layers(&self, layers: usize, bytes: u128) -> f64 {
        layers as f64 * self.layer + bytes as f64 * self.kept
    }
}

/// Writes a small file of each kind into the folder for temporary files. The series are like those of a lattice of so many sites: the more values they have, the longer compression takes.
pub fn seconds_per_byte_written(sites: u128) -> Result<Writing> {
    let folder = crate::store::directory::temporary("estimate")?;
    let measured = write_in(&folder, sites as f64);
    // What stays behind is small, and the folder is one that the system empties.
    let _ = std::fs::remove_dir_all(&folder);
    measured
}

fn write_in(folder: &std::path::Path, sites: f64) -> Result<Writing> {
    let (origin, path) = (store::provenance::of_no_run(), folder.join("trial.h5"));
    let set = |rows: usize| store::ConfigurationSet {
        geometry: crate::lattice::Geometry::Square,
        size: 64,
        coupling: 0.4,
        spins: random_bits(rows, 4096),
        chains: vec![0; rows],
        draws: (0..rows as u64).collect(),
    };
    let took = |rows: usize| {
        let set = set(rows);
        let began = Instant::now();
        store::write_configurations(&path, &origin, std::slice::from_ref(&set), &|| Ok(())).map(|()| began.elapsed().as_secs_f64())
    };
    let (small, large) = (took(64)?, took(8192 + 64)?);
    let kept = (large - small).max(1e-6) / (8192.0 * 512.0);
    let results = |sampling: Option<SamplingRecord>, training: Option<TrainingRecord>| {
        let provenance = origin.clone();
        RunRecord { provenance, sampling, scaling: None, analyses: Vec::new(), training, renormalization: None }
    };
    let series = |draws: usize| {
        // Energies four apart with a specific heat of two near the critical point, magnetizations two apart over a good part of the lattice.
        let chains = vec![walk(1, 0, draws, [0.5 * sites.sqrt(), 0.1 * sites])];
        let ensemble =
            Ensemble { size: 16, coupling: 0.4, chains, histograms: Vec::new(), observables: Vec::new(), spin_updates: 0, seconds: 0.0 };
        let sampling = SamplingRecord {
            geometry: crate::lattice::Geometry::Square,
            tempering: Vec::new(),
            algorithm: "trial".to_string(),
            sizes: vec![16],
            couplings: vec![0.4],
            start: "hot".to_string(),
            replicas: 1,
            thermalization: 0,
            measure_every: 1,
            draws,
            ensembles: vec![ensemble],
        };
        let record = results(Some(sampling), None);
        let began = Instant::now();
        store::write_results(&path, &record).map(|()| began.elapsed().as_secs_f64())
    };
    let (small, large) = (series(1000)?, series(201_000)?);
    let series = (large - small).max(1e-6) / (16.0 * 200_000.0);
    let layers = |count: usize| {
        let training = small_layers(count);
        let began = Instant::now();
        store::write_network(&path, &origin, &training)?;
        store::write_results(&path, &results(None, Some(training))).map(|()| began.elapsed().as_secs_f64())
    };
    let (few, many) = (layers(1)?, layers(1 + LAYERS_WRITTEN)?);
    Ok(Writing { series, kept, layer: (many - few).max(1e-6) / LAYERS_WRITTEN as f64 })
}

/// A record of layers of one weight.
fn small_layers(count: usize) -> TrainingRecord {
    let layer = LayerRecord {
        visible: 1,
        hidden: 1,
        weights: vec![0.5],
        visible_bias: vec![0.5],
        hidden_bias: vec![0.5],
        epochs: vec![EpochRecord::default()],
        dead_units: Vec::new(),
        swap_rates: Vec::new(),
        stopped_early: false,
    };
    TrainingRecord { layers: vec![layer; count], ..TrainingRecord::default() }
}

/// Random configurations, one a row.
pub fn random_bits(rows: usize, columns: usize) -> BitMatrix {
    let mut stream = Stream::new(1, Purpose::Check, 5);
    BitMatrix::from_words(rows, columns, || stream.word())
}

fn random_matrix(rows: usize, columns: usize) -> Matrix {
    let mut stream = Stream::new(1, Purpose::Check, 6);
    let numbers: Vec<f32> = (0..rows * columns).map(|_| stream.uniform() as f32).collect();
    Matrix::from_unpadded(rows, columns, &numbers)
}

/// The data of a layer as the trainer meets it, in content random.
fn random_data(section: &TrainSection, layer: usize, rows: usize) -> TrainingData {
    match (layer, section.activations) {
        (0, _) => TrainingData::Binary(random_bits(rows, section.size * section.size)),
        (_, ActivationKind::States) => TrainingData::Binary(random_bits(rows, section.layers[layer - 1])),
        (_, ActivationKind::Probabilities) => TrainingData::Real(random_matrix(rows, section.layers[layer - 1])),
    }
}

/// The last rank of several, whose share is the largest: does its own part and receives zeros from the others. Counts what it would receive.
struct LastRank {
    ranks: usize,
    received: Cell<u64>,
}

impl ShardExchange for LastRank {
    fn rank(&self) -> usize {
        self.ranks - 1
    }

    fn ranks(&self) -> usize {
        self.ranks
    }

    fn part_of(&self, rank: usize, items: usize) -> Range<usize> {
        comm::share(items, rank, self.ranks)
    }

    fn gather_parts(&self, counts: &[usize], all: &mut [f32]) {
        let others = &mut all[..counts[..self.ranks - 1].iter().sum()];
        others.fill(0.0);
        self.received.set(self.received.get() + 4 * others.len() as u64);
    }

    fn scatter(&self, _own: &[f32], _sent: &[usize], all: &mut [f32], _received: &[usize], _longest: usize) {
        all.fill(0.0);
        self.received.set(self.received.get() + 4 * all.len() as u64);
    }
}

/// The times of a layer in seconds, and the bytes that a minibatch brings from other ranks.
pub struct LayerCost {
    /// One minibatch.
    pub minibatch: f64,
    /// What is monitored at the end of an epoch.
    pub end_of_epoch: f64,
    /// The activities of this layer for all configurations, and the units that never move.
    pub activities: f64,
    /// Bytes from other ranks.
    pub received: u64,
}

/// A trainer of the section's method on a little data.
fn small_trainer<'a>(
    section: &TrainSection,
    options: &TrainingOptions,
    data: &'a TrainingData,
    held_out: &'a TrainingData,
    exchange: &'a LastRank,
) -> Result<Trainer<'a>> {
    learning::with_law(Trainer::new(data, held_out, options.clone(), exchange)?, section, options.layer as usize)
}

/// Trains a layer for a moment on random data.
pub fn layer(seed: u64, section: &TrainSection, layer: usize, ranks: usize) -> Result<LayerCost> {
    let exchange = LastRank { ranks: ranks.max(1), received: Cell::new(0) };
    let options = learning::options(seed, section, layer);
    let below = if layer == 0 { section.size * section.size } else { section.layers[layer - 1] };
    let rows = section.samples.min(MOST_SAMPLES.max(2 * section.minibatch).max(FEW_UNITS / below));
    let data = random_data(section, layer, rows);
    let none = TrainingData::Binary(BitMatrix::new(0, data.units()));
    let mut trainer = small_trainer(section, &options, &data, &none, &exchange)?;
    trainer.advance(1)?;
    let (mut received, mut times) = (0, Vec::new());
    let whole = section.minibatch.min(rows);
    let began = Instant::now();
    while began.elapsed() < 2 * TRIAL || times.is_empty() {
        // Only minibatches that are whole and do not end an epoch count, and not the first one, which makes room for what all others use; unless there are no others.
        if (trainer.minibatches_done() + 1) * whole > rows.saturating_sub(whole) {
            trainer = small_trainer(section, &options, &data, &none, &exchange)?;
            if trainer.minibatches_per_epoch() >= 3 {
                trainer.advance(1)?;
            }
        }
        let (started, before) = (Instant::now(), exchange.received.get());
        trainer.advance(1)?;
        times.push(started.elapsed().as_secs_f64());
        received += exchange.received.get() - before;
    }
    let received = received / times.len() as u64;
    let minibatch = times.iter().sum::<f64>() / times.len() as f64;

    let held = section.held_out.min(rows);
    let held_out = random_data(section, layer, held);
    let mut trainer = small_trainer(section, &options, &data, &held_out, &exchange)?;
    let last = trainer.minibatches_per_epoch() - 1;
    if last > 0 {
        trainer.advance(last)?;
    }
    let started = Instant::now();
    trainer.advance(1)?;
    let end_of_epoch = (started.elapsed().as_secs_f64() - minibatch).max(0.0) * section.held_out as f64 / held as f64;

    let started = Instant::now();
    std::hint::black_box(deep::activations(trainer.rbm(), &data, section.activations, seed, 0));
    std::hint::black_box(deep::dead_units(trainer.rbm(), &data));
    let activities = started.elapsed().as_secs_f64() * (section.samples + section.held_out) as f64 / rows as f64;
    // Once while training, once more when the stack is judged.
    Ok(LayerCost { minibatch, end_of_epoch, activities: 2.0 * activities, received })
}

/// Seconds of one rank for the fresh configurations of a layer: those of its thermalization, and those of each epoch. Chains of the run's sampler are moved for a moment.
pub fn fresh(job: &RunFile, section: &TrainSection, sweeps_between: usize, ranks: usize) -> Result<[f64; 2]> {
    let Some(sample) = &job.sample else { return Ok([0.0; 2]) };
    let torus = SquareTorus::new(section.size)?;
    let all = sample.replicas * section.couplings.len();
    let own = comm::share(all, 0, ranks).len().max(1);
    let coupling = |chain: usize| section.couplings[chain / sample.replicas];
    let build = |chain: usize| sampler::build(sample.algorithm, torus, coupling(chain), sample.start.of(chain), job.seed, chain as u64);
    let mut chains = (0..own).map(build).collect::<Result<Vec<Box<dyn Sampler>>>>()?;
    // The first sweeps are those of another law.
    let mut sweeps = |least: usize, time: Duration| {
        let (began, mut done) = (Instant::now(), 0);
        while done < least || began.elapsed() < time {
            chains.par_iter_mut().for_each(|chain| {
                chain.sweep();
            });
            done += 1;
        }
        began.elapsed().as_secs_f64() / done as f64
    };
    sweeps(20, Duration::ZERO);
    let seconds = sweeps(20, TRIAL);
    let in_epoch = section.samples.div_ceil(all) * sweeps_between;
    Ok([sample.thermalization as f64 * seconds, in_epoch as f64 * seconds])
}

/// Seconds for figures and page.
pub fn figures(job: &RunFile) -> f64 {
    PAGE + SECONDS_A_PIXEL * job.pixels_drawn_by_a_thread(rayon::current_num_threads())
}
