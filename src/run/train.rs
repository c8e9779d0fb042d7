//! The stage `[train]`: a stack of machines, layer by layer, on the configurations that the sampling stage kept. All ranks share the minibatches.

use super::desk::Stage;
use super::learning;
use super::memory::peak_resident_bytes;
use super::renormalize::Subject;
use super::session::Session;
use crate::comm::Comm;
use crate::config::TrainSection;
use crate::error::{Error, Result};
use crate::lattice::SquareTorus;
use crate::rbm::deep::{self, ActivationKind};
use crate::rbm::{Matrix, Rbm, TrainingData};
use crate::record::{EpochRecord, LayerRecord, TrainingRecord};
use crate::spins::{BitMatrix, WORD_BITS};
use crate::store::ConfigurationSet;

/// The configurations of the stage and the layers that are trained already.
pub struct Prior {
    training: BitMatrix,
    held_out: BitMatrix,
    layers: Vec<LayerRecord>,
}

/// Finds the configurations that the section names, and splits them: the last `held_out` ones are never trained on. They come chain after chain, so that they are
/// the last chains where there are several.
fn split(section: &TrainSection, sets: &[ConfigurationSet]) -> Result<(BitMatrix, BitMatrix)> {
    let set = sets.iter().find(|set| set.size == section.size && set.coupling == section.coupling).ok_or_else(|| {
        Error::Refused(format!(
            "configurations.h5 holds no configurations of size {} at coupling {}: remove results.h5 to sample again",
            section.size, section.coupling
        ))
    })?;
    let rows = set.spins.rows();
    if rows != section.samples + section.held_out {
        return Err(Error::Refused(format!(
            "configurations.h5 holds {rows} configurations of size {} at coupling {}, the run file asks for {}: remove results.h5 to sample again",
            section.size,
            section.coupling,
            section.samples + section.held_out
        )));
    }
    Ok((set.spins.slice_rows(0..section.samples), set.spins.slice_rows(section.samples..rows)))
}

/// What rank 0 has at the beginning of the stage.
///
/// # Errors
/// [`Error::Refused`] if the configurations are not those of the run file.
pub fn prior(section: &TrainSection, done: Option<&TrainingRecord>, sets: &[ConfigurationSet]) -> Result<Prior> {
    let (training, held_out) = split(section, sets)?;
    Ok(Prior { training, held_out, layers: done.map(|record| record.layers.clone()).unwrap_or_default() })
}

/// The same on every rank.
///
/// # Errors
/// [`Error::Bug`] if a message arrived incomplete.
pub fn share(section: &TrainSection, prior: Option<Prior>, comm: &dyn Comm) -> Result<Prior> {
    let mut message = Vec::new();
    if let Some(prior) = &prior {
        message.extend(prior.training.words().iter().chain(prior.held_out.words()).flat_map(|word| word.to_le_bytes()));
        message.extend(serde_json::to_vec(&prior.layers).map_err(|why| Error::Bug(format!("trained layers cannot be sent: {why}.")))?);
    }
    let message = comm.broadcast(message);
    if let Some(prior) = prior {
        return Ok(prior);
    }
    let sites = section.size * section.size;
    let words = sites.div_ceil(WORD_BITS);
    let bytes = 8 * words * (section.samples + section.held_out);
    let (spins, layers) = message.split_at_checked(bytes).ok_or_else(|| Error::Bug("the training data arrived incomplete.".to_string()))?;
    let words: Vec<u64> = spins.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
    let mut all = BitMatrix::new(section.samples + section.held_out, sites);
    all.words_mut().copy_from_slice(&words);
    Ok(Prior {
        training: all.slice_rows(0..section.samples),
        held_out: all.slice_rows(section.samples..all.rows()),
        layers: serde_json::from_slice(layers).map_err(|why| Error::Bug(format!("the trained layers arrived damaged: {why}.")))?,
    })
}

/// Trains the layers that are missing; puts each into the files when it is done. Collective.
///
/// # Errors
/// [`Error::NotFinite`] naming layer and epoch when a number stops being finite; [`Error::Stopped`] if the job stops; what cannot be written.
pub fn run(seed: u64, section: &TrainSection, prior: Prior, session: &mut Session) -> Result<()> {
    let mut stored = session.resume(Stage::Training)?;
    let mut record = empty_record(section, &prior);
    let mut training = TrainingData::Binary(prior.training);
    let mut held_out = TrainingData::Binary(prior.held_out);
    for layer in 0..section.layers.len() {
        let machine = match prior.layers.get(layer) {
            Some(done) => machine(done),
            None => {
                let task = learning::Task { seed, section, layer, training: &training, held_out: &held_out };
                let (machine, epochs) = learning::train_layer(&task, &std::mem::take(&mut stored), session)?;
                let dead_units = deep::dead_units(&machine, &training).len();
                record.layers.push(layer_record(&machine, epochs, dead_units));
                record.peak_memory = peak_resident_bytes();
                session.on_root(|desk| desk.keep_training(record.clone()))?;
                machine
            }
        };
        if layer + 1 < section.layers.len() {
            let kind = section.activations;
            training = deep::activations(&machine, &training, kind, seed, 2 * layer as u64);
            held_out = deep::activations(&machine, &held_out, kind, seed, 2 * layer as u64 + 1);
        }
    }
    Ok(())
}

fn empty_record(section: &TrainSection, prior: &Prior) -> TrainingRecord {
    TrainingRecord {
        gradient: section.gradient.name().to_string(),
        activations: section.activations.name().to_string(),
        coupling: section.coupling,
        size: section.size,
        samples: section.samples,
        held_out: section.held_out,
        layers: prior.layers.clone(),
        peak_memory: peak_resident_bytes(),
    }
}

fn layer_record(machine: &Rbm, epochs: Vec<EpochRecord>, dead_units: usize) -> LayerRecord {
    LayerRecord {
        visible: machine.visible(),
        hidden: machine.hidden(),
        weights: machine.weights.to_unpadded(),
        visible_bias: machine.visible_bias.clone(),
        hidden_bias: machine.hidden_bias.clone(),
        epochs,
        dead_units,
    }
}

fn machine(layer: &LayerRecord) -> Rbm {
    Rbm {
        weights: Matrix::from_unpadded(layer.visible, layer.hidden, &layer.weights),
        visible_bias: layer.visible_bias.clone(),
        hidden_bias: layer.hidden_bias.clone(),
    }
}

/// A trained stack with what it takes to judge it.
pub struct TrainedStack {
    torus: SquareTorus,
    machines: Vec<Rbm>,
    dead_units: Vec<Vec<usize>>,
    held_out: BitMatrix,
    means: Vec<f64>,
    coupling: f64,
}

impl TrainedStack {
    /// The stack as the renormalization stage looks at it.
    pub fn subject(&self, seed: u64) -> Subject<'_> {
        Subject {
            torus: self.torus,
            coupling: self.coupling,
            stack: &self.machines,
            dead_units: &self.dead_units,
            held_out: &self.held_out,
            means: &self.means,
            seed,
        }
    }
}

/// The stack of a finished training stage. Its dead units are found again from the training data.
///
/// # Errors
/// [`Error::Refused`] if the configurations are not those of the run file.
pub fn stack(section: &TrainSection, record: &TrainingRecord, sets: &[ConfigurationSet]) -> Result<TrainedStack> {
    let (training, held_out) = split(section, sets)?;
    let machines: Vec<Rbm> = record.layers.iter().map(machine).collect();
    let means = training.column_means();
    let mut data = TrainingData::Binary(training);
    let mut dead_units = Vec::with_capacity(machines.len());
    for (layer, machine) in machines.iter().enumerate() {
        // Nothing stands above the last layer that would need its activations.
        if layer > 0 {
            data = deep::activations(&machines[layer - 1], &data, ActivationKind::Probabilities, 0, 0);
        }
        dead_units.push(deep::dead_units(machine, &data));
    }
    Ok(TrainedStack { torus: SquareTorus::new(section.size)?, machines, dead_units, held_out, means, coupling: section.coupling })
}
