//! The stage `[train]`: a stack of machines, layer by layer, on the configurations that the sampling stage kept. All ranks share the minibatches.

use super::desk::Stage;
use super::learning;
use super::memory::peak_resident_bytes;
use super::renormalize::Subject;
use super::session::Session;
use super::training_data::{kept_samples, split};
use crate::comm::Comm;
use crate::config::{RunFile, TrainSection};
use crate::error::{Error, Result};
use crate::lattice::SquareTorus;
use crate::rbm::deep;
use crate::rbm::{Matrix, Rbm, TrainingData};
use crate::record::{LayerRecord, TrainingRecord};
use crate::spins::{BitMatrix, WORD_BITS};
use crate::store::ConfigurationSet;

/// The configurations of the stage and the layers that are trained already.
pub struct Prior {
    training: BitMatrix,
    held_out: BitMatrix,
    layers: Vec<LayerRecord>,
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
    let kept = kept_samples(section);
    let bytes = 8 * words * (kept + section.held_out);
    let (spins, layers) = message.split_at_checked(bytes).ok_or_else(|| Error::Bug("the training data arrived incomplete.".to_string()))?;
    let words: Vec<u64> = spins.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
    let mut all = BitMatrix::new(kept + section.held_out, sites);
    all.words_mut().copy_from_slice(&words);
    Ok(Prior {
        training: all.slice_rows(0..kept),
        held_out: all.slice_rows(kept..all.rows()),
        layers: serde_json::from_slice(layers).map_err(|why| Error::Bug(format!("the trained layers arrived damaged: {why}.")))?,
    })
}

/// Trains the layers that are missing; puts each into the files when it is done. Collective.
///
/// # Errors
/// [`Error::NotFinite`] naming layer and epoch when a number stops being finite; [`Error::Stopped`] if the job stops; what cannot be written.
pub fn run(job: &RunFile, section: &TrainSection, prior: Prior, session: &mut Session) -> Result<()> {
    let seed = job.seed;
    let mut stored = session.resume(Stage::Training)?;
    let mut record = empty_record(section, &prior);
    let mut training = TrainingData::Binary(prior.training);
    let mut held_out = TrainingData::Binary(prior.held_out);
    let mut below: Vec<Rbm> = Vec::new();
    for layer in 0..section.layers.len() {
        let machine = match prior.layers.get(layer) {
            Some(done) => machine(done),
            None => {
                let task = learning::Task { job, section, layer, below: &below, training: &training, held_out: &held_out };
                let (machine, layer) = learning::train_layer(&task, &std::mem::take(&mut stored), session)?;
                record.layers.push(layer);
                record.peak_memory = peak_resident_bytes();
                session.note_work();
                session.on_root(|desk| desk.keep_training(record.clone()))?;
                machine
            }
        };
        if layer + 1 < section.layers.len() {
            let kind = section.activations;
            if section.fresh_sweeps.is_none() {
                training = deep::activations(&machine, &training, kind, seed, 2 * layer as u64);
            }
            held_out = deep::activations(&machine, &held_out, kind, seed, 2 * layer as u64 + 1);
        }
        below.push(machine);
    }
    Ok(())
}

fn empty_record(section: &TrainSection, prior: &Prior) -> TrainingRecord {
    TrainingRecord {
        gradient: section.gradient.name().to_string(),
        activations: section.activations.name().to_string(),
        method: section.learning.method.name().to_string(),
        chains: if section.learning.method.is_persistent() { section.learning.chains } else { 0 },
        gibbs_steps: section.gibbs_steps,
        fresh: section.fresh_sweeps.is_some(),
        couplings: section.couplings.clone(),
        size: section.size,
        samples: section.samples,
        held_out: section.held_out,
        layers: prior.layers.clone(),
        peak_memory: peak_resident_bytes(),
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
    couplings: Vec<f64>,
}

impl TrainedStack {
    /// The stack as the renormalization stage looks at it.
    pub fn subject(&self, seed: u64) -> Subject<'_> {
        Subject {
            torus: self.torus,
            couplings: &self.couplings,
            stack: &self.machines,
            dead_units: &self.dead_units,
            held_out: &self.held_out,
            means: &self.means,
            seed,
        }
    }
}

/// The stack of a finished training stage. Annealing begins at the means of the training data; where these were fresh, at those of the held-out ones.
///
/// # Errors
/// [`Error::Refused`] if the configurations are not those of the run file.
pub fn stack(section: &TrainSection, record: &TrainingRecord, sets: &[ConfigurationSet]) -> Result<TrainedStack> {
    let (training, held_out) = split(section, sets)?;
    let machines: Vec<Rbm> = record.layers.iter().map(machine).collect();
    let means = if section.fresh_sweeps.is_some() { held_out.column_means() } else { training.column_means() };
    let dead_units = record.layers.iter().map(|layer| layer.dead_units.clone()).collect();
    Ok(TrainedStack { torus: SquareTorus::new(section.size)?, machines, dead_units, held_out, means, couplings: section.couplings.clone() })
}
