//! One layer of the stage `[train]`, in rounds of minibatches: after any of them the job can stop, and go on elsewhere with the same bits.

use super::desk::Stage;
use super::exchange::OverRanks;
use super::fresh::FreshData;
use super::progress::Progress;
use super::session::Session;
use crate::comm;
use crate::config::{RunFile, TrainSection};
use crate::error::{Error, Result};
use crate::lattice::SquareTorus;
use crate::random::{Purpose, Stream};
use crate::rbm::train::{PassSnapshot, Snapshot, Trainer};
use crate::rbm::{Method, Rbm, TrainingData, TrainingOptions, deep};
use crate::record::{EpochRecord, LayerRecord};
use crate::rg::mapping::examples::torus_hamiltonian;
use crate::sampler::snapshot::Reader;
use crate::spins::BitMatrix;
use crate::store::checkpoint::Items;
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Instant;

/// Epochs in a row with too large a free-energy gap that end the training of a layer: a single one may be noise.
const EPOCHS_OF_GAP: usize = 3;
/// Numbers of an epoch in a checkpoint.
const NUMBERS: usize = 8;
/// In a checkpoint, the persistent chains of shard s are item CHAINS + s, the sampler of fresh chain c is item FRESH + c.
const CHAINS: u64 = 1 << 16;
const FRESH: u64 = 1 << 32;

/// What is to be learned.
pub struct Task<'a> {
    /// The run file.
    pub job: &'a RunFile,
    /// The section of the run file.
    pub section: &'a TrainSection,
    /// The layer, from 0.
    pub layer: usize,
    /// The layers below, which are trained.
    pub below: &'a [Rbm],
    /// The data of this layer; nothing if fresh data are drawn.
    pub training: &'a TrainingData,
    /// Data that is never trained on.
    pub held_out: &'a TrainingData,
}

/// A layer on its way, besides the trainer itself.
#[derive(Debug, Clone, Default, PartialEq)]
struct Progressed {
    epochs: Vec<EpochRecord>,
    /// Time spent in the epoch that has begun, in seconds.
    seconds: f64,
}

impl Progressed {
    fn gap_is_too_large(&self, task: &Task) -> bool {
        let last = &self.epochs[self.epochs.len().saturating_sub(EPOCHS_OF_GAP)..];
        last.len() == EPOCHS_OF_GAP && last.iter().all(|epoch| epoch.free_energy_gap > task.section.learning.largest_free_energy_gap)
    }

    fn is_done(&self, task: &Task) -> bool {
        self.epochs.len() >= task.section.epochs[task.layer] || self.gap_is_too_large(task)
    }
}

/// Trains a layer, from the beginning or from the items of a checkpoint that is of this layer. Collective.
///
/// # Errors
/// [`Error::NotFinite`]; [`Error::Stopped`] if the job stops; [`Error::InputOutput`] if a checkpoint cannot be written.
pub fn train_layer(task: &Task, stored: &[u8], session: &mut Session) -> Result<(Rbm, LayerRecord)> {
    let comm = session.comm();
    let exchange = OverRanks(comm);
    let section = task.section;
    let stored = comm::agree(comm, Stored::parse(task, stored))?;
    let mut fresh = match section.fresh_sweeps {
        Some(sweeps) => {
            Some(comm::agree(comm, FreshData::new(task.job, section, sweeps, task.layer, &stored.items_from(FRESH..u64::MAX), comm))?)
        }
        None => None,
    };
    let started = Instant::now();
    let drawn = match &mut fresh {
        Some(fresh) => {
            let drawn = fresh.draw(session, |_| if comm.is_root() { stored.to_items() } else { Items::default() })?;
            Some(activities(task, drawn, stored.epochs_done()))
        }
        None => None,
    };
    let training = drawn.as_ref().unwrap_or(task.training);
    let begun = trainer(task, training, &exchange).and_then(|mut trainer| Ok((stored.restore(task, &mut trainer)?, trainer)));
    let (mut progressed, mut trainer) = comm::agree(comm, begun)?;
    drop(stored);
    progressed.seconds += started.elapsed().as_secs_f64();
    let epochs = section.epochs[task.layer];
    let title = format!("training layer {} of {}", task.layer + 1, section.layers.len());
    let left = (epochs - progressed.epochs.len()) * section.samples;
    let progress = Progress::new(&title, "samples", left as u64, comm.is_root());
    let mut minibatches = 1;
    while !progressed.is_done(task) {
        session.begin_round();
        let (before, started) = (trainer.minibatches_done(), Instant::now());
        let ended = comm::agree(comm, trainer.advance(minibatches))?;
        progressed.seconds += started.elapsed().as_secs_f64();
        let done = if ended.is_some() { trainer.minibatches_per_epoch() } else { trainer.minibatches_done() } - before;
        minibatches = session.pieces_in_round(started.elapsed() / u32::try_from(done).unwrap_or(u32::MAX).max(1));
        let (outcome, ended) = (ended, ended.is_some());
        if let Some(epoch) = outcome {
            progressed.epochs.push(EpochRecord {
                reconstruction_error: epoch.reconstruction_error,
                free_energy_gap: epoch.free_energy_gap,
                pseudo_likelihood: epoch.pseudo_likelihood,
                weight_norm: epoch.weight_norm,
                weight_maximum: epoch.weight_maximum,
                gradient_norm: epoch.gradient_norm,
                learning_rate: epoch.learning_rate,
                seconds: std::mem::take(&mut progressed.seconds),
            });
            progress.advance(section.samples as u64);
            if let Some(fresh) = &mut fresh {
                fresh.end_epoch();
            }
        }
        if !progressed.is_done(task) {
            session.end_round(Stage::Training, || encode(task, &trainer.snapshot(), &progressed, fresh.as_ref(), comm.is_root()))?;
            if let (Some(fresh), true) = (&mut fresh, ended) {
                let started = Instant::now();
                let snapshot = trainer.snapshot();
                let drawn = fresh.draw(session, |fresh| encode(task, &snapshot, &progressed, Some(fresh), comm.is_root()))?;
                trainer.set_data(activities(task, drawn, trainer.epochs()));
                progressed.seconds += started.elapsed().as_secs_f64();
            }
        }
    }
    progress.finish();
    let record = record(task, &trainer, progressed);
    Ok((trainer.rbm().clone(), record))
}

/// The data of the layer from configurations of the lattice, for the epoch number `epoch`.
fn activities(task: &Task, configurations: BitMatrix, epoch: u64) -> TrainingData {
    // Layers below draw states from streams of their own for every layer and epoch.
    let name = |below: usize| 1 << 55 | (below as u64) << 40 | epoch << 8 | task.layer as u64;
    let seed = Stream::new(task.job.seed, Purpose::FreshData, 1 << 32 | task.layer as u64).word();
    let kind = task.section.activations;
    task.below.iter().enumerate().fold(TrainingData::Binary(configurations), |data, (below, machine)| {
        let seed = Stream::new(seed, Purpose::Activations, name(below)).word();
        deep::activations(machine, &data, kind, seed, 0)
    })
}

fn trainer<'a>(task: &Task<'a>, training: &'a TrainingData, exchange: &'a OverRanks<'a>) -> Result<Trainer<'a>> {
    let trainer = Trainer::new(training, task.held_out, options(task), exchange)?;
    if task.section.learning.method != Method::Exact {
        return Ok(trainer);
    }
    trainer.with_law(ising_law(SquareTorus::new(task.section.size)?, task.section.coupling))
}

fn record(task: &Task, trainer: &Trainer, progressed: Progressed) -> LayerRecord {
    let machine = trainer.rbm();
    LayerRecord {
        visible: machine.visible(),
        hidden: machine.hidden(),
        weights: machine.weights.to_unpadded(),
        visible_bias: machine.visible_bias.clone(),
        hidden_bias: machine.hidden_bias.clone(),
        dead_units: deep::dead_units(machine, trainer.data()),
        swap_rates: trainer.swap_rates().to_vec(),
        stopped_early: progressed.epochs.len() < task.section.epochs[task.layer],
        epochs: progressed.epochs,
    }
}

fn options(task: &Task) -> TrainingOptions {
    let Task { section, layer, .. } = *task;
    let learning = &section.learning;
    TrainingOptions {
        epochs: section.epochs[layer] as u64,
        minibatch: section.minibatch,
        learning_rate: section.learning_rate[layer],
        last_learning_rate: Some(learning.last_learning_rate[layer]),
        schedule: learning.schedule,
        momentum: section.momentum,
        last_momentum: Some(learning.last_momentum),
        momentum_epochs: learning.momentum_epochs,
        l1: section.l1[layer],
        l2: learning.l2[layer],
        gradient_limit: learning.gradient_limit,
        method: learning.method,
        chains: learning.chains,
        temperatures: learning.inverse_temperatures,
        lowest_inverse_temperature: learning.lowest_inverse_temperature,
        gibbs_steps: section.gibbs_steps,
        gradient: section.gradient,
        reconstruction: section.reconstruction,
        visible_bias: section.visible_bias,
        shards: section.shards,
        initial_weight: section.initial_weight,
        ..TrainingOptions::new(section.layers[layer], task.job.seed, layer as u64)
    }
}

/// The items of a checkpoint. Item 0, from rank 0: the layer; the epochs done, and eight numbers of each; seconds, minibatches, squared error and squared gradient of the
/// epoch that has begun; the number of parameters and steps, and they themselves, two to a word. Item 1 + s, from the rank that has shard s: the random streams of that shard,
/// if an epoch has begun. Item [`CHAINS`] + s: its persistent chains. Item [`FRESH`] + c, from the rank that moves chain c of the fresh data: its state at the beginning of the epoch.
fn encode(task: &Task, snapshot: &Snapshot, progressed: &Progressed, fresh: Option<&FreshData>, is_root: bool) -> Items {
    let mut items = Items::default();
    if is_root {
        let pass = snapshot.pass.as_ref();
        let mut words = vec![task.layer as u64, snapshot.epochs];
        words.extend(progressed.epochs.iter().flat_map(numbers_of).map(f64::to_bits));
        words.extend([progressed.seconds.to_bits(), pass.map_or(0, |pass| pass.minibatches)]);
        words.extend(pass.map_or([0.0; 2], |pass| [pass.squared_error, pass.gradient_squares]).map(f64::to_bits));
        words.push(snapshot.numbers.len() as u64);
        let pairs = snapshot.numbers.chunks(2);
        words.extend(pairs.map(|pair| pair.iter().rev().fold(0, |word, number| word << 32 | u64::from(number.to_bits()))));
        items.push(0, words);
    }
    for (&shard, streams) in snapshot.pass.iter().flat_map(|pass| &pass.streams) {
        items.push(1 + shard as u64, streams.iter().copied());
    }
    for (&shard, chains) in &snapshot.chains {
        items.push(CHAINS + shard as u64, chains.iter().copied());
    }
    for (chain, words) in fresh.iter().flat_map(|fresh| fresh.states()) {
        items.push(FRESH + chain, words.iter().copied());
    }
    items
}

/// The items of a checkpoint that is of this layer; none otherwise.
struct Stored(BTreeMap<u64, Vec<u64>>);

impl Stored {
    fn parse(task: &Task, bytes: &[u8]) -> Result<Self> {
        let items: BTreeMap<u64, &[u8]> = Items::parse(bytes)?.into_iter().collect();
        let layer = items.get(&0).and_then(|item| item.first_chunk()).map(|bytes| u64::from_le_bytes(*bytes));
        if layer != Some(task.layer as u64) {
            return Ok(Stored(BTreeMap::new()));
        }
        Ok(Stored(items.into_iter().map(|(number, item)| (number, Items::words(item))).collect()))
    }

    /// All items again.
    fn to_items(&self) -> Items {
        let mut items = Items::default();
        self.0.iter().for_each(|(&number, words)| items.push(number, words.iter().copied()));
        items
    }

    /// The items of some numbers, counted from the first of them.
    fn items_from(&self, numbers: Range<u64>) -> BTreeMap<u64, Vec<u64>> {
        self.0.range(numbers.clone()).map(|(number, words)| (number - numbers.start, words.clone())).collect()
    }

    fn epochs_done(&self) -> u64 {
        self.0.get(&0).and_then(|words| words.get(1)).copied().unwrap_or(0)
    }

    /// Restores the trainer, if there are items.
    fn restore(&self, task: &Task, trainer: &mut Trainer) -> Result<Progressed> {
        let Some(words) = self.0.get(&0) else { return Ok(Progressed::default()) };
        let refuse = |what: &str| Error::Refused(format!("the checkpoint of layer {} {what}", task.layer + 1));
        let mut reader = Reader::new(&words[1..]);
        let count = reader.count(task.section.epochs[task.layer])?;
        let (epochs, _) = reader.words(NUMBERS * count)?.as_chunks();
        let epochs: Vec<EpochRecord> = epochs.iter().map(|words| epoch_of(words.map(f64::from_bits))).collect();
        let seconds = f64::from_bits(reader.word()?);
        let minibatches = reader.word()?;
        let [squared_error, gradient_squares] = [f64::from_bits(reader.word()?), f64::from_bits(reader.word()?)];
        let length = reader.count(2 * words.len())?;
        let pairs = reader.words(length.div_ceil(2))?;
        reader.end()?;
        let numbers: Vec<f32> =
            pairs.iter().flat_map(|&word| [word as u32, (word >> 32) as u32]).take(length).map(f32::from_bits).collect();
        if !(numbers.iter().all(|number| number.is_finite()) && squared_error.is_finite() && gradient_squares.is_finite()) {
            return Err(refuse(
                "holds numbers that are not finite: it was not written by this program; remove the folder it is in to begin the layer anew",
            ));
        }
        let by_shard = |numbers: Range<u64>| {
            let items = self.items_from(numbers).into_iter();
            items.filter_map(|(shard, words)| Some((usize::try_from(shard).ok()?, words))).collect::<BTreeMap<usize, Vec<u64>>>()
        };
        let pass = (minibatches > 0).then(|| PassSnapshot { minibatches, squared_error, gradient_squares, streams: by_shard(1..CHAINS) });
        trainer.restore(&Snapshot { epochs: count as u64, numbers, pass, chains: by_shard(CHAINS..FRESH) })?;
        Ok(Progressed { epochs, seconds })
    }
}

fn numbers_of(epoch: &EpochRecord) -> [f64; NUMBERS] {
    [
        epoch.reconstruction_error,
        epoch.free_energy_gap,
        epoch.pseudo_likelihood.unwrap_or(f64::NAN),
        epoch.weight_norm,
        epoch.weight_maximum,
        epoch.gradient_norm,
        epoch.learning_rate,
        epoch.seconds,
    ]
}

fn epoch_of(numbers: [f64; NUMBERS]) -> EpochRecord {
    let [reconstruction_error, free_energy_gap, pseudo, weight_norm, weight_maximum, gradient_norm, learning_rate, seconds] = numbers;
    let pseudo_likelihood = Some(pseudo).filter(|value| !value.is_nan());
    EpochRecord {
        reconstruction_error,
        free_energy_gap,
        pseudo_likelihood,
        weight_norm,
        weight_maximum,
        gradient_norm,
        learning_rate,
        seconds,
    }
}

/// The probability of every configuration of a torus of at most 20 Ising spins: bit i of its number is spin i.
fn ising_law(torus: SquareTorus, coupling: f64) -> Vec<f64> {
    let hamiltonian = torus_hamiltonian(torus, coupling);
    let weights: Vec<f64> = (0..1u64 << torus.sites()).map(|state| (-hamiltonian(state)).exp()).collect();
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / total).collect()
}
