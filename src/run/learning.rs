//! One layer of the stage `[train]`, in rounds of minibatches: after any of them the job can stop, and go on elsewhere with the same bits.

use super::desk::Stage;
use super::exchange::OverRanks;
use super::session::Session;
use crate::comm;
use crate::config::TrainSection;
use crate::error::{Error, Result};
use crate::rbm::train::{PassSnapshot, Snapshot, Trainer};
use crate::rbm::{Rbm, TrainingData, TrainingOptions};
use crate::record::EpochRecord;
use crate::sampler::snapshot::Reader;
use crate::store::checkpoint::Items;
use std::collections::BTreeMap;
use std::time::Instant;

/// What is to be learned.
pub struct Task<'a> {
    /// The seed of the run.
    pub seed: u64,
    /// The section of the run file.
    pub section: &'a TrainSection,
    /// The layer, from 0.
    pub layer: usize,
    /// The data of this layer.
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

/// Trains a layer, from the beginning or from the items of a checkpoint that is of this layer. Collective.
///
/// # Errors
/// [`Error::NotFinite`]; [`Error::Stopped`] if the job stops; [`Error::InputOutput`] if a checkpoint cannot be written.
pub fn train_layer(task: &Task, stored: &[u8], session: &mut Session) -> Result<(Rbm, Vec<EpochRecord>)> {
    let comm = session.comm();
    let exchange = OverRanks(comm);
    let section = task.section;
    let begun = Trainer::new(task.training, task.held_out, options(task.seed, task.section, task.layer), &exchange)
        .and_then(|mut trainer| Ok((decode(task, stored, &mut trainer)?, trainer)));
    let (mut progressed, mut trainer) = comm::agree(comm, begun)?;
    let epochs = section.epochs[task.layer];
    let title = format!("training layer {} of {}", task.layer + 1, section.layers.len());
    let samples = |minibatches: usize| (minibatches * section.minibatch) as u64;
    let before = progressed.epochs.len() * trainer.minibatches_per_epoch() + trainer.minibatches_done();
    let progress = session.progress(&title, "samples", samples(before), samples(epochs * trainer.minibatches_per_epoch()));
    let mut minibatches = 1;
    while progressed.epochs.len() < epochs {
        session.begin_round();
        let (first, started) = (trainer.minibatches_done(), Instant::now());
        let ended = comm::agree(comm, trainer.advance(minibatches))?;
        progressed.seconds += started.elapsed().as_secs_f64();
        let done = if ended.is_some() { trainer.minibatches_per_epoch() } else { trainer.minibatches_done() } - first;
        minibatches = session.pieces_in_round(started.elapsed() / u32::try_from(done).unwrap_or(u32::MAX).max(1));
        if let Some(epoch) = ended {
            progressed.epochs.push(EpochRecord {
                reconstruction_error: epoch.reconstruction_error,
                free_energy_gap: epoch.free_energy_gap,
                weight_norm: epoch.weight_norm,
                weight_maximum: epoch.weight_maximum,
                gradient_norm: epoch.gradient_norm,
                seconds: std::mem::take(&mut progressed.seconds),
            });
        }
        progress.advance(samples(done));
        if progressed.epochs.len() < epochs {
            session.end_round(Stage::Training, || encode(task, &trainer.snapshot(), &progressed, comm.is_root()))?;
        }
    }
    progress.finish();
    Ok((trainer.rbm().clone(), progressed.epochs))
}

/// The settings of a layer.
pub fn options(seed: u64, section: &TrainSection, layer: usize) -> TrainingOptions {
    TrainingOptions {
        epochs: section.epochs[layer] as u64,
        minibatch: section.minibatch,
        learning_rate: section.learning_rate[layer],
        momentum: section.momentum,
        l1: section.l1[layer],
        gibbs_steps: section.gibbs_steps,
        gradient: section.gradient,
        reconstruction: section.reconstruction,
        visible_bias: section.visible_bias,
        shards: section.shards,
        initial_weight: section.initial_weight,
        ..TrainingOptions::new(section.layers[layer], seed, layer as u64)
    }
}

/// The items of a checkpoint. Item 0, from rank 0: the layer; the epochs done, and six numbers of each; seconds, minibatches, squared error and squared gradient of the
/// epoch that has begun; the number of parameters and steps, and they themselves, two to a word. Item 1 + s, from the rank that has shard s: the random streams of that shard,
/// if an epoch has begun.
fn encode(task: &Task, snapshot: &Snapshot, progressed: &Progressed, is_root: bool) -> Items {
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
    items
}

/// Restores the trainer from such items, if they are of this layer.
fn decode(task: &Task, stored: &[u8], trainer: &mut Trainer) -> Result<Progressed> {
    let Some((_, snapshot, progressed)) = read(task.section, stored)?.filter(|(layer, _, _)| *layer == task.layer) else {
        return Ok(Progressed::default());
    };
    trainer.restore(&snapshot)?;
    Ok(progressed)
}

/// Whether the items of a checkpoint are a layer of this section, and which.
///
/// # Errors
/// [`Error::Refused`] if they are not, or hold a number that is not finite.
pub fn fit(section: &TrainSection, stored: &[u8]) -> Result<String> {
    let Some((layer, snapshot, progressed)) = read(section, stored)? else { return Ok("no layer has begun".to_string()) };
    let visible = if layer == 0 { section.size * section.size } else { section.layers[layer - 1] };
    let hidden = section.layers[layer];
    if snapshot.numbers.len() != 2 * (visible * hidden + visible + hidden) {
        return Err(Error::Refused(format!(
            "{} numbers are not those of layer {} of {visible} x {hidden} units",
            snapshot.numbers.len(),
            layer + 1
        )));
    }
    Ok(format!("layer {} after {} of {} epochs", layer + 1, progressed.epochs.len(), section.epochs[layer]))
}

/// The layer that such items are of, and its state.
fn read(section: &TrainSection, stored: &[u8]) -> Result<Option<(usize, Snapshot, Progressed)>> {
    let items: BTreeMap<u64, &[u8]> = Items::parse(stored)?.into_iter().collect();
    let Some(words) = items.get(&0).map(|item| Items::words(item)) else { return Ok(None) };
    let mut reader = Reader::new(&words);
    let layer = reader.count(section.layers.len() - 1)?;
    let refuse = |what: &str| Error::Refused(format!("the checkpoint of layer {} {what}", layer + 1));
    let count = reader.count(section.epochs[layer])?;
    let (epochs, _) = reader.words(6 * count)?.as_chunks();
    let epochs: Vec<EpochRecord> = epochs.iter().map(|words| epoch_of(words.map(f64::from_bits))).collect();
    let seconds = f64::from_bits(reader.word()?);
    let minibatches = reader.word()?;
    let [squared_error, gradient_squares] = [f64::from_bits(reader.word()?), f64::from_bits(reader.word()?)];
    let length = reader.count(2 * words.len())?;
    let pairs = reader.words(length.div_ceil(2))?;
    reader.end()?;
    let numbers: Vec<f32> = pairs.iter().flat_map(|&word| [word as u32, (word >> 32) as u32]).take(length).map(f32::from_bits).collect();
    if !(numbers.iter().all(|number| number.is_finite()) && squared_error.is_finite() && gradient_squares.is_finite()) {
        return Err(refuse(
            "holds numbers that are not finite: it was not written by this program; remove the folder it is in to begin the layer anew",
        ));
    }
    let streams = |(number, item): (&u64, &&[u8])| Some((usize::try_from(number.checked_sub(1)?).ok()?, Items::words(item)));
    let pass = (minibatches > 0).then(|| PassSnapshot {
        minibatches,
        squared_error,
        gradient_squares,
        streams: items.iter().filter_map(streams).collect(),
    });
    Ok(Some((layer, Snapshot { epochs: count as u64, numbers, pass }, Progressed { epochs, seconds })))
}

fn numbers_of(epoch: &EpochRecord) -> [f64; 6] {
    [epoch.reconstruction_error, epoch.free_energy_gap, epoch.weight_norm, epoch.weight_maximum, epoch.gradient_norm, epoch.seconds]
}

fn epoch_of([reconstruction_error, free_energy_gap, weight_norm, weight_maximum, gradient_norm, seconds]: [f64; 6]) -> EpochRecord {
    EpochRecord { reconstruction_error, free_energy_gap, weight_norm, weight_maximum, gradient_norm, seconds }
}
