//! `distribute = "layers"`: all layers of a network learn at once, each on its rank. Every minibatch goes up the stack as the machines are before it, and then every layer takes its step. Rank l
//! gives what its layer makes of the minibatch to rank l + 1 before it learns from it, so that the ranks work on different minibatches at one time, and the result is that of one rank that does
//! one layer after the other. No rank ever holds the activities of more than a minibatch, but for the samples that are watched.
//!
//! The first layer learns as it would alone, bit for bit. The others meet activities of machines that are still learning, and every minibatch in the order of the first layer: their weights
//! are others than those of a stack trained from the bottom up.

use super::desk::Stage;
use super::fresh::FreshData;
use super::layer_state::{self, Progressed, Stored};
use super::learning;
use super::progress::Progress;
use super::session::Session;
use crate::comm::{self, Comm};
use crate::config::{RunFile, TrainSection};
use crate::error::{Error, Result};
use crate::random::{Purpose, Stream};
use crate::rbm::deep::{self, ActivationKind};
use crate::rbm::monitor::{MOST_TRAINING_SAMPLES, watched_samples};
use crate::rbm::train::{Alone, Trainer, order_of_samples};
use crate::rbm::{Matrix, TrainingData, VisibleBias};
use crate::record::LayerRecord;
use crate::spins::BitMatrix;
use crate::store::checkpoint::Items;
use std::borrow::Cow;
use std::ops::Range;
use std::time::Instant;

/// What is to be learned.
pub struct Task<'a> {
    /// The run file.
    pub job: &'a RunFile,
    /// The section of the run file.
    pub section: &'a TrainSection,
    /// The number of the network: 0 for the main one.
    pub network: usize,
    /// The configurations; none if fresh ones are drawn.
    pub training: &'a BitMatrix,
    /// Configurations that are never trained on.
    pub held_out: &'a BitMatrix,
}

/// Which samples go up the stack: names the random streams of drawn states.
#[derive(Clone, Copy)]
enum Flow {
    /// Those that the machines see before their first step.
    First,
    /// A minibatch of an epoch.
    Minibatch(u64, usize),
    /// The first samples at the end of an epoch.
    Watched(u64),
    /// Those that are held out, at the end of an epoch.
    HeldOut(u64),
}

/// What a stage of this kind is called.
pub fn title(layers: usize) -> String {
    format!("training {layers} layers at once")
}

/// Trains all layers of a network, from the beginning or from the items of a checkpoint that is of this network. Collective.
///
/// # Errors
/// [`Error::NotFinite`]; [`Error::Stopped`] if the job stops; [`Error::InputOutput`] if a checkpoint cannot be written.
pub fn train(task: &Task, stored: &[u8], session: &mut Session, shared: Option<&Progress>) -> Result<Vec<LayerRecord>> {
    let comm = session.comm();
    let section = task.section;
    let layers = section.layers.len();
    let found = (0..layers).map(|layer| Stored::parse_one(section, layer, (task.network, layer), stored)).collect::<Result<Vec<Stored>>>();
    let found = comm::agree(comm, found.and_then(in_step))?;
    let (mut epoch, mut done) = (found[0].epochs_done(), found[0].minibatches_done() as usize);
    let mut fresh = match section.fresh_sweeps {
        Some(sweeps) => Some(comm::agree(comm, FreshData::new(task.job, section, sweeps, 0, &found[0].fresh_chains(), comm))?),
        None => None,
    };
    let configurations = match &mut fresh {
        Some(fresh) => {
            let state = |fresh: &FreshData| layer_state::before_first_step((task.network, 0), &found, fresh, comm.is_root());
            Cow::Owned(fresh.draw(session, state)?)
        }
        None => Cow::Borrowed(task.training),
    };
    let mut line = comm::agree(comm, Line::new(task, comm, configurations, &found))?;
    drop(found);
    let minibatches = section.samples.div_ceil(section.minibatch);
    let work = |count: usize| (count * section.minibatch * layers) as u64;
    let total = section.epochs[0] * minibatches;
    let begun = epoch as usize * minibatches + done;
    let own = shared.is_none().then(|| session.progress(&title(layers), "samples", work(begun), work(total)));
    let advance = |count: usize| shared.into_iter().chain(&own).for_each(|progress| progress.advance(work(count)));
    shared.into_iter().for_each(|shared| shared.advance(work(begun)));
    let mut at_once = 1;
    // The state at the end of the last epoch in which every number was finite.
    let mut last_good: Option<Items> = None;
    while epoch < section.epochs[0] as u64 {
        session.begin_round();
        let started = Instant::now();
        let count = at_once.min(minibatches - done);
        let learned = line.learn(epoch, done..done + count);
        comm::agree(comm, learned).inspect_err(|error| keep(session, error, &mut last_good, fresh.as_ref()))?;
        let elapsed = started.elapsed();
        done += count;
        let ends = done == minibatches;
        if ends {
            let closed = line.close(epoch);
            comm::agree(comm, closed).inspect_err(|error| keep(session, error, &mut last_good, fresh.as_ref()))?;
            (epoch, done) = (epoch + 1, 0);
            if section.keeps_last_good() {
                last_good = Some(line.items(None));
            }
        }
        line.took(started.elapsed().as_secs_f64(), ends);
        at_once = session.pieces_in_round(elapsed / u32::try_from(count).unwrap_or(u32::MAX).max(1));
        advance(count);
        if epoch == section.epochs[0] as u64 {
            break;
        }
        if let (Some(fresh), true) = (&mut fresh, ends) {
            fresh.end_epoch();
        }
        session.end_round(Stage::Training, || line.items(fresh.as_ref()))?;
        if let (Some(fresh), true) = (&mut fresh, ends) {
            line.configurations = Cow::Owned(fresh.draw(session, |fresh| line.items(Some(fresh)))?);
        }
    }
    own.iter().for_each(Progress::finish);
    line.records()
}

/// Writes down what was learned up to the last epoch that was good, where there is one.
fn keep(session: &mut Session, error: &Error, last_good: &mut Option<Items>, fresh: Option<&FreshData>) {
    session.keep_last_good(Stage::Training, error, || layer_state::with_fresh(last_good.take(), fresh));
}

/// The same states, if all layers have done as much.
fn in_step(found: Vec<Stored>) -> Result<Vec<Stored>> {
    let place = |stored: &Stored| (stored.is_something(), stored.epochs_done(), stored.minibatches_done());
    if found.iter().any(|stored| place(stored) != place(&found[0])) {
        return Err(Error::Refused(
            "the layers in the checkpoint have not learned from as many minibatches: it was not written by this program".to_string(),
        ));
    }
    Ok(found)
}

/// The layers of this rank, between the rank below and the rank above.
struct Line<'a> {
    task: &'a Task<'a>,
    comm: &'a dyn Comm,
    own: Range<usize>,
    trainers: Vec<Trainer<'a>>,
    progressed: Vec<Progressed>,
    /// What the first layer sees in this epoch.
    configurations: Cow<'a, BitMatrix>,
    /// The epoch that `order` is of.
    epoch: Option<u64>,
    order: Vec<usize>,
}

impl<'a> Line<'a> {
    fn new(task: &'a Task<'a>, comm: &'a dyn Comm, configurations: Cow<'a, BitMatrix>, found: &[Stored]) -> Result<Self> {
        let section = task.section;
        let own = comm::share(section.layers.len(), comm.rank(), comm.size());
        let (mut trainers, mut progressed) = (Vec::new(), Vec::new());
        // What the first machines make of the first samples follows from the seed: every rank knows it up to its own layers.
        let mut data = TrainingData::Binary(first_rows(&configurations, MOST_TRAINING_SAMPLES));
        for (layer, stored) in found.iter().enumerate().take(own.end) {
            let options = learning::options(task.job.seed, section, layer);
            // The biases of the lowest layer are those of all samples, as if it learned alone.
            let sees_all = layer == 0 && section.visible_bias == VisibleBias::LogOdds;
            let first = if sees_all { TrainingData::Binary(configurations.as_ref().clone()) } else { data.clone() };
            let mut trainer = learning::with_law(Trainer::streamed(first, section.samples, options, &Alone)?, section, layer)?;
            data = trainer.activities(&data, section.activations, stream_seed(task.job.seed, layer, Flow::First));
            if own.contains(&layer) {
                progressed.push(stored.restore(&mut trainer)?);
                trainers.push(trainer);
            }
        }
        Ok(Line { task, comm, own, trainers, progressed, configurations, epoch: None, order: Vec::new() })
    }

    fn owner(&self, layer: usize) -> usize {
        let (layers, ranks) = (self.task.section.layers.len(), self.comm.size());
        (0..ranks).find(|&rank| comm::share(layers, rank, ranks).contains(&layer)).unwrap_or(0)
    }

    /// Sends samples up through the layers of this rank, and what comes out of the last to the rank above. `meet` gets each layer's trainer, by its place on this rank, and what it sees. What it
    /// fails with is the error of this rank; the samples go up all the same, so that no rank waits for ever.
    fn rise(
        &mut self,
        flow: Flow,
        samples: usize,
        first: impl FnOnce(&Self) -> BitMatrix,
        mut meet: impl FnMut(usize, &mut Trainer, TrainingData) -> Result<()>,
    ) -> Result<()> {
        let (section, seed, own) = (self.task.section, self.task.job.seed, self.own.clone());
        let mut data = match own.start {
            _ if own.is_empty() => return Ok(()),
            0 => TrainingData::Binary(first(self)),
            layer => self.receive(layer, samples)?,
        };
        let mut outcome = Ok(());
        for (place, layer) in own.clone().enumerate() {
            let above = (layer + 1 < section.layers.len())
                .then(|| self.trainers[place].activities(&data, section.activations, stream_seed(seed, layer, flow)));
            if let (Some(above), true) = (&above, layer + 1 == own.end) {
                self.comm.send(self.owner(layer + 1), &bytes_of(above));
            }
            if outcome.is_ok() {
                outcome = meet(place, &mut self.trainers[place], data);
            }
            match above {
                Some(above) => data = above,
                None => break,
            }
        }
        outcome
    }

    /// The samples that this layer sees, from the rank below.
    fn receive(&self, layer: usize, samples: usize) -> Result<TrainingData> {
        let bytes = self.comm.receive(self.owner(layer - 1));
        let units = self.task.section.layers[layer - 1];
        data_of(self.task.section.activations, samples, units, &bytes)
            .ok_or_else(|| Error::Bug(format!("the activities of layer {layer} arrived incomplete.")))
    }

    /// All layers learn from the minibatches `range` of an epoch.
    fn learn(&mut self, epoch: u64, range: Range<usize>) -> Result<()> {
        let section = self.task.section;
        if self.epoch != Some(epoch) && self.own.start == 0 {
            self.order = order_of_samples(self.task.job.seed, 0, epoch, section.samples);
            self.epoch = Some(epoch);
        }
        let mut outcome = Ok(());
        for number in range {
            let rows = number * section.minibatch..section.samples.min((number + 1) * section.minibatch);
            let first = |line: &Self| rows_of(&line.configurations, &line.order[rows.clone()]);
            let failed = outcome.is_err();
            let risen =
                self.rise(
                    Flow::Minibatch(epoch, number),
                    rows.len(),
                    first,
                    |_, trainer, data| {
                        if failed { Ok(()) } else { trainer.learn_from(data) }
                    },
                );
            outcome = outcome.and(risen);
        }
        outcome
    }

    /// The end of an epoch: what is watched goes up, and every layer is looked at.
    fn close(&mut self, epoch: u64) -> Result<()> {
        let mut watched = Vec::new();
        let samples = watched_samples(self.task.section.samples, self.task.held_out.rows());
        let first = |line: &Self| first_rows(&line.configurations, samples);
        let mut outcome = self.rise(Flow::Watched(epoch), samples, first, |_, _, data| {
            watched.push(data);
            Ok(())
        });
        let (mut watched, mut ended) = (watched.into_iter(), Vec::new());
        let held_out = self.task.held_out;
        let closed = self.rise(
            Flow::HeldOut(epoch),
            held_out.rows(),
            |_| held_out.clone(),
            |_, trainer, data| {
                let training = watched.next().ok_or_else(|| Error::Bug("the watched samples are lost.".to_string()))?;
                ended.push(trainer.close_epoch(training, data)?);
                Ok(())
            },
        );
        outcome = outcome.and(closed);
        for (progressed, epoch) in self.progressed.iter_mut().zip(ended) {
            progressed.epochs.push(learning::epoch_record(&epoch, 0.0));
        }
        outcome
    }

    /// Puts the time of a round down, for the epoch that it ended or did not end.
    fn took(&mut self, seconds: f64, ended: bool) {
        for progressed in &mut self.progressed {
            progressed.seconds += seconds;
            if let (Some(epoch), true) = (progressed.epochs.last_mut(), ended) {
                epoch.seconds = std::mem::take(&mut progressed.seconds);
            }
        }
    }

    /// The items of a checkpoint.
    fn items(&mut self, fresh: Option<&FreshData>) -> Items {
        let mut items = Items::default();
        for ((layer, trainer), progressed) in self.own.clone().zip(&mut self.trainers).zip(&self.progressed) {
            layer_state::push(&mut items, layer, (self.task.network, layer), &trainer.snapshot(), progressed, true);
        }
        layer_state::push_fresh(&mut items, fresh);
        items
    }

    /// All layers when they are done, on every rank.
    fn records(self) -> Result<Vec<LayerRecord>> {
        let section = self.task.section;
        let places = self.own.clone().zip(&self.trainers).zip(self.progressed);
        let own: Vec<LayerRecord> = places.map(|((layer, trainer), done)| learning::record(section, layer, trainer, done)).collect();
        let own = comm::agree(self.comm, layer_state::to_bytes(&own))?;
        let parts = self.comm.gather(own).unwrap_or_default();
        let lengths: Vec<u8> = parts.iter().flat_map(|part| (part.len() as u64).to_le_bytes()).collect();
        let (lengths, all) = (self.comm.broadcast(lengths), self.comm.broadcast(parts.concat()));
        let (mut layers, mut rest) = (Vec::new(), all.as_slice());
        for length in lengths.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes) as usize) {
            let (part, after) =
                rest.split_at_checked(length).ok_or_else(|| Error::Bug("trained layers arrived incomplete.".to_string()))?;
            layers.extend(layer_state::from_bytes::<Vec<LayerRecord>>(part)?);
            rest = after;
        }
        let stack: Vec<_> = layers.iter().map(super::train::machine).collect();
        let dead = deep::dead_units_of_stack(&stack, &self.configurations);
        layers.iter_mut().zip(dead).for_each(|(layer, dead)| layer.dead_units = dead);
        Ok(layers)
    }
}

/// The seed of the streams from which a layer draws the states that go up.
fn stream_seed(seed: u64, layer: usize, flow: Flow) -> u64 {
    let name = match flow {
        Flow::First => 1 << 62,
        Flow::Minibatch(epoch, number) => epoch << 32 | number as u64,
        Flow::Watched(epoch) => 2 << 60 | epoch,
        Flow::HeldOut(epoch) => 3 << 60 | epoch,
    };
    let layers = Stream::new(seed, Purpose::FreshData, 2 << 32 | layer as u64).word();
    Stream::new(layers, Purpose::Activations, name).word()
}

fn first_rows(matrix: &BitMatrix, most: usize) -> BitMatrix {
    matrix.slice_rows(0..matrix.rows().min(most))
}

fn rows_of(matrix: &BitMatrix, rows: &[usize]) -> BitMatrix {
    let mut taken = BitMatrix::new(rows.len(), matrix.columns());
    rows.iter().enumerate().for_each(|(place, &row)| taken.row_mut(place).copy_from_slice(matrix.row(row)));
    taken
}

/// Samples on their way to another rank: numbers or words, sample after sample.
fn bytes_of(data: &TrainingData) -> Vec<u8> {
    match data {
        TrainingData::Binary(matrix) => matrix.words().iter().flat_map(|word| word.to_le_bytes()).collect(),
        TrainingData::Real(matrix) => (0..matrix.rows()).flat_map(|row| matrix.row(row)).flat_map(|number| number.to_le_bytes()).collect(),
        // What is sent was made for the purpose, and is kept.
        TrainingData::Above(..) => Vec::new(),
    }
}

/// The samples again, if all of them are there.
fn data_of(kind: ActivationKind, samples: usize, units: usize, bytes: &[u8]) -> Option<TrainingData> {
    match kind {
        ActivationKind::Probabilities => {
            let numbers: Vec<f32> = bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            (bytes.len() == 4 * samples * units).then(|| TrainingData::Real(Matrix::from_unpadded(samples, units, &numbers)))
        }
        ActivationKind::States => {
            let mut matrix = BitMatrix::new(samples, units);
            let fits = bytes.len() == 8 * matrix.words().len();
            matrix.words_mut().iter_mut().zip(bytes.as_chunks().0).for_each(|(word, bytes)| *word = u64::from_le_bytes(*bytes));
            fits.then_some(TrainingData::Binary(matrix))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_travel_whole_or_are_refused() {
        let numbers: Vec<f32> = (0..21).map(|number| number as f32 / 7.0).collect();
        let real = TrainingData::Real(Matrix::from_unpadded(3, 7, &numbers));
        let mut state = 5u64;
        let bits = TrainingData::Binary(BitMatrix::from_words(3, 70, || {
            state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
            state
        }));
        for (kind, units, data) in [(ActivationKind::Probabilities, 7, real), (ActivationKind::States, 70, bits)] {
            let bytes = bytes_of(&data);
            assert!(data_of(kind, 3, units, &bytes) == Some(data));
            assert_eq!(data_of(kind, 3, units, &bytes[..bytes.len() - 4]), None);
        }
    }
}
