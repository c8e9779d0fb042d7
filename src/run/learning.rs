//! One layer of the stage `[train]`, in rounds of minibatches: after any of them the job can stop, and go on elsewhere with the same bits.

use super::desk::Stage;
use super::exchange::OverRanks;
use super::fresh::FreshData;
use super::layer_state::{Progressed, Stored, before_first_step, encode, with_fresh};
use super::progress::Progress;
use super::session::Session;
use crate::comm;
use crate::config::{RunFile, TrainSection};
use crate::elementary::exponential;
use crate::error::Result;
use crate::lattice::SquareTorus;
use crate::random::{Purpose, Stream};
use crate::rbm::monitor::Epoch;
use crate::rbm::train::Trainer;
use crate::rbm::{InitialWindow, Rbm, TrainingData, TrainingOptions, deep};
use crate::record::{EpochRecord, LayerRecord};
use crate::rg::mapping::examples::torus_hamiltonian;
use crate::spins::BitMatrix;
use crate::store::checkpoint::Items;
use std::borrow::Cow;
use std::time::Instant;

/// Epochs in a row with too large a free-energy gap that end the training of a layer.
const EPOCHS_OF_GAP: usize = 3;
/// By how many of its standard errors a gap must exceed the limit. The gaps of successive epochs are those of the same samples, so that what chance made of one it makes of all.
const ERRORS_OF_GAP: f64 = 2.0;

/// What is to be learned.
pub struct Task<'a> {
    /// The run file.
    pub job: &'a RunFile,
    /// The section of the run file.
    pub section: &'a TrainSection,
    /// The number of the network: 0 for the main one.
    pub network: usize,
    /// The layer, from 0.
    pub layer: usize,
    /// The layers below, which are trained.
    pub below: &'a [Rbm],
    /// The data of this layer; nothing if fresh data are drawn.
    pub training: &'a TrainingData,
    /// Data that is never trained on.
    pub held_out: &'a TrainingData,
}

/// Trains a layer, from the beginning or from the items of a checkpoint that is of this layer. Its work is counted in samples, in the progress that it shares with others or in one of
/// its own. Collective.
///
/// # Errors
/// [`crate::error::Error::NotFinite`]; [`crate::error::Error::Stopped`] if the job stops; [`crate::error::Error::InputOutput`] if a checkpoint cannot be written.
pub fn train_layer(task: &Task, stored: &[u8], session: &mut Session, shared: Option<&Progress>) -> Result<(Rbm, LayerRecord)> {
    let comm = session.comm();
    let exchange = OverRanks(comm);
    let section = task.section;
    let stored = comm::agree(comm, Stored::parse(section, (task.network, task.layer), stored))?;
    let mut fresh = match section.fresh_sweeps {
        Some(sweeps) => Some(comm::agree(comm, FreshData::new(task.job, section, sweeps, task.layer, &stored.fresh_chains(), comm))?),
        None => None,
    };
    let started = Instant::now();
    let drawn = match &mut fresh {
        Some(fresh) => {
            let place = (task.network, task.layer);
            let drawn = fresh.draw(session, |fresh| before_first_step(place, std::slice::from_ref(&stored), fresh, comm.is_root()))?;
            Some(activities(task, drawn, stored.epochs_done()))
        }
        None => None,
    };
    // Fresh data belong to the trainer, so that those of the first epoch go when others come.
    let training = drawn.map_or(Cow::Borrowed(task.training), Cow::Owned);
    let begun = trainer(task, training, &exchange).and_then(|mut trainer| Ok((stored.restore(&mut trainer)?, trainer)));
    let (mut progressed, mut trainer) = comm::agree(comm, begun)?;
    drop(stored);
    progressed.seconds += started.elapsed().as_secs_f64();
    let epochs = section.epochs[task.layer];
    let title = format!("training layer {} of {}", task.layer + 1, section.layers.len());
    let samples = |minibatches: usize| (minibatches * section.minibatch) as u64;
    let before = progressed.epochs.len() * trainer.minibatches_per_epoch() + trainer.minibatches_done();
    let own =
        shared.is_none().then(|| session.progress(&title, "samples", samples(before), samples(epochs * trainer.minibatches_per_epoch())));
    shared.into_iter().for_each(|shared| shared.advance(samples(before)));
    let advance = |done: usize| shared.into_iter().chain(&own).for_each(|progress| progress.advance(samples(done)));
    let mut minibatches = 1;
    // The state at the end of the last epoch in which every number was finite.
    let mut last_good: Option<Items> = None;
    while !is_done(section, task.layer, &progressed) {
        session.begin_round();
        let (first, started) = (trainer.minibatches_done(), Instant::now());
        let ended = comm::agree(comm, trainer.advance(minibatches)).inspect_err(|error| {
            session.keep_last_good(Stage::Training, error, || with_fresh(last_good.take(), fresh.as_ref()));
        })?;
        progressed.seconds += started.elapsed().as_secs_f64();
        let done = if ended.is_some() { trainer.minibatches_per_epoch() } else { trainer.minibatches_done() } - first;
        minibatches = session.pieces_in_round(started.elapsed() / u32::try_from(done).unwrap_or(u32::MAX).max(1));
        let (outcome, ended) = (ended, ended.is_some());
        if let Some(epoch) = outcome {
            progressed.epochs.push(epoch_record(&epoch, std::mem::take(&mut progressed.seconds)));
            shared.into_iter().chain(&own).for_each(|progress| progress.exchanged(trainer.swap_rates()));
            if let Some(fresh) = &mut fresh {
                fresh.end_epoch();
            }
            if section.keeps_last_good() {
                last_good = Some(encode((task.network, task.layer), &trainer.snapshot(), &progressed, None, comm.is_root()));
            }
        }
        advance(done);
        if !is_done(section, task.layer, &progressed) {
            session.end_round(Stage::Training, || {
                encode((task.network, task.layer), &trainer.snapshot(), &progressed, fresh.as_ref(), comm.is_root())
            })?;
            if let (Some(fresh), true) = (&mut fresh, ended) {
                let started = Instant::now();
                let snapshot = trainer.snapshot();
                let drawn =
                    fresh.draw(session, |fresh| encode((task.network, task.layer), &snapshot, &progressed, Some(fresh), comm.is_root()))?;
                trainer.set_data(activities(task, drawn, trainer.epochs()));
                progressed.seconds += started.elapsed().as_secs_f64();
            }
        }
    }
    own.iter().for_each(Progress::finish);
    let record = record(section, task.layer, &trainer, progressed);
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
        deep::activations_within(deep::MOST_KEPT, machine, data, kind, seed, 0)
    })
}

/// Whether all epochs are done, or the free-energy gap has been too large for some, by more than chance makes it.
pub fn is_done(section: &TrainSection, layer: usize, progressed: &Progressed) -> bool {
    let epochs = &progressed.epochs;
    let last = &epochs[epochs.len().saturating_sub(EPOCHS_OF_GAP)..];
    let too_large = |epoch: &EpochRecord| {
        epoch.free_energy_gap - ERRORS_OF_GAP * epoch.free_energy_gap_error > section.learning.largest_free_energy_gap
    };
    epochs.len() >= section.epochs[layer] || last.len() == EPOCHS_OF_GAP && last.iter().all(too_large)
}

fn trainer<'a>(task: &Task<'a>, training: Cow<'a, TrainingData>, exchange: &'a OverRanks<'a>) -> Result<Trainer<'a>> {
    let options = options(task.job.seed, task.section, task.layer);
    let trainer = Trainer::of(training, Cow::Borrowed(task.held_out), options, exchange)?;
    with_law(trainer, task.section, task.layer)
}

/// The trainer with what is known of its data: the energies of the spins that the first layer sees, if they are of one coupling, and their law if the method asks for it.
///
/// # Errors
/// [`crate::error::Error::Usage`] for too large a lattice.
pub fn with_law<'a>(trainer: Trainer<'a>, section: &TrainSection, layer: usize) -> Result<Trainer<'a>> {
    let trainer = match section.coupling().filter(|_| layer == 0) {
        Some(coupling) => trainer.with_energies(SquareTorus::new(section.size)?, coupling),
        None => trainer,
    };
    if !section.learning.method.is_exact() {
        return Ok(trainer);
    }
    trainer.with_law(ising_law(SquareTorus::new(section.size)?, &section.couplings))
}

/// An epoch in numbers, and the seconds it took.
pub fn epoch_record(epoch: &Epoch, seconds: f64) -> EpochRecord {
    EpochRecord {
        reconstruction_error: epoch.reconstruction_error,
        free_energy_gap: epoch.free_energy_gap,
        free_energy_gap_error: epoch.free_energy_gap_error,
        pseudo_likelihood: epoch.pseudo_likelihood,
        weight_norm: epoch.weight_norm,
        weight_maximum: epoch.weight_maximum,
        gradient_norm: epoch.gradient_norm,
        learning_rate: epoch.learning_rate,
        seconds,
    }
}

/// A layer that is done. Its dead units are those over the data that the trainer has.
pub fn record(section: &TrainSection, layer: usize, trainer: &Trainer, progressed: Progressed) -> LayerRecord {
    let machine = trainer.rbm();
    LayerRecord {
        visible: machine.visible(),
        hidden: machine.hidden(),
        weights: machine.weights.to_unpadded(),
        visible_bias: machine.visible_bias.clone(),
        hidden_bias: machine.hidden_bias.clone(),
        dead_units: deep::dead_units(machine, trainer.data()),
        swap_rates: trainer.swap_rates().to_vec(),
        stopped_early: progressed.epochs.len() < section.epochs[layer],
        epochs: progressed.epochs,
    }
}

/// The settings of a layer.
pub fn options(seed: u64, section: &TrainSection, layer: usize) -> TrainingOptions {
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
        last_l1: Some(section.last_l1[layer]),
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
        // Only the visible units of the first layer have places.
        initial_window: section.initial_range.filter(|_| layer == 0).map(|range| InitialWindow { side: section.size, range }),
        ..TrainingOptions::new(section.layers[layer], seed, layer as u64)
    }
}

/// The probability of every configuration of a torus of at most 20 Ising spins, the mean over the couplings: bit i of its number is spin i.
fn ising_law(torus: SquareTorus, couplings: &[f64]) -> Vec<f64> {
    let mut law = vec![0.0; 1 << torus.sites()];
    for &coupling in couplings {
        let hamiltonian = torus_hamiltonian(torus, coupling);
        let weights: Vec<f64> = (0..1u64 << torus.sites()).map(|state| exponential(-hamiltonian(state))).collect();
        let total = weights.iter().sum::<f64>() * couplings.len() as f64;
        law.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += weight / total);
    }
    law
}
