//! `kadanoff export DIR`: what a run has left, handed to other programs.

use super::training_data;
use crate::config::{RunFile, TrainSection};
use crate::error::{Error, Result};
use crate::rbm::deep::{self, ActivationKind};
use crate::rbm::{Matrix, Rbm, TrainingData};
use crate::record::provenance::Provenance;
use crate::record::{LayerRecord, TrainingRecord};
use crate::spins::BitMatrix;
use crate::store::export::{Array, HyperParameters, write_npz, write_rbms};
use crate::store::{self, ConfigurationSet};
use std::path::{Path, PathBuf};

/// Chains that go along with a machine, at most.
const MOST_CHAINS: usize = 1000;

/// Writes layer `layer` (from 1) of a run as the package `rbms` reads it; returns the file and its update number. Its chains start from the held-out configurations, drawn up through the layers below.
///
/// # Errors
/// [`Error::Usage`] if there is no such layer yet; [`Error::Refused`] for damaged files; [`Error::InputOutput`].
pub fn to_rbms(path: &Path, layer: usize, out: Option<&Path>) -> Result<(PathBuf, usize)> {
    let job = super::accepted_run_file(path)?;
    let section =
        job.train.as_ref().ok_or_else(|| Error::Usage(format!("{} has no section [train]: there is no network to export", job.name)))?;
    let trained = own_network(path, &job)?.map_or_else(Vec::new, |trained| trained.layers);
    let Some(record) = layer.checked_sub(1).and_then(|index| trained.get(index)) else {
        return Err(Error::Usage(format!(
            "layer {layer} of {} is not there: {} of {} layers are trained so far",
            path.display(),
            trained.len(),
            section.layers.len()
        )));
    };
    let sets = own_configurations(path, &job)?;
    let chains = chains(&job, section, &trained[..layer - 1], &sets)?;
    let about = HyperParameters {
        epochs: record.epochs.len(),
        minibatch: section.minibatch,
        gibbs_steps: section.gibbs_steps,
        learning_rate: section.learning_rate[layer - 1],
        seed: job.seed,
        seconds: record.epochs.iter().map(|epoch| epoch.seconds).sum(),
    };
    let file = out.map_or_else(|| path.join(format!("rbms-layer{layer}.h5")), Path::to_path_buf);
    write_rbms(&file, record, &chains, about)?;
    Ok((file, about.epochs.max(1)))
}

/// The networks of this run, if there are any yet.
fn own_network(path: &Path, job: &RunFile) -> Result<Option<TrainingRecord>> {
    let file = path.join(store::NETWORK_FILE);
    if !file.exists() {
        return Ok(None);
    }
    let (provenance, trained) = store::read_network(&file)?;
    provenance.must_be_of_the_run_of(&Provenance::new(&job.text, job.seed), &file)?;
    Ok(Some(trained))
}

/// The configurations of this run.
fn own_configurations(path: &Path, job: &RunFile) -> Result<Vec<ConfigurationSet>> {
    let file = path.join(store::CONFIGURATIONS_FILE);
    let (provenance, sets) = store::read_configurations(&file)?;
    provenance.must_be_of_the_run_of(&Provenance::new(&job.text, job.seed), &file)?;
    Ok(sets)
}

/// The held-out configurations as states of the visible units of the layer above `below`.
fn chains(job: &RunFile, section: &TrainSection, below: &[LayerRecord], sets: &[ConfigurationSet]) -> Result<BitMatrix> {
    let (_, held_out) = training_data::split(section, sets)?;
    let mut data = TrainingData::Binary(held_out.slice_rows(0..held_out.rows().min(MOST_CHAINS)));
    for (index, layer) in below.iter().enumerate() {
        let machine = Rbm {
            weights: Matrix::from_unpadded(layer.visible, layer.hidden, &layer.weights),
            visible_bias: layer.visible_bias.clone(),
            hidden_bias: layer.hidden_bias.clone(),
        };
        data = deep::activations(&machine, &data, ActivationKind::States, job.seed, index as u64);
    }
    match data {
        TrainingData::Binary(states) => Ok(states),
        TrainingData::Real(_) | TrainingData::Above(..) => Err(Error::Bug("drawn states came as probabilities.".to_string())),
    }
}

/// Writes all configurations (one byte a spin, 1 = up) and all layers of a run as an `.npz`, those of networks beside the main one with the prefixes `network1_`, `network2_`, ...; returns the file, and
/// what these networks are.
///
/// # Errors
/// [`Error::Usage`] if there is nothing yet, or too much for the format; [`Error::Refused`] for damaged files; [`Error::InputOutput`].
pub fn to_numpy(path: &Path, out: Option<&Path>) -> Result<(PathBuf, Vec<String>)> {
    let job = super::accepted_run_file(path)?;
    let kept = path.join(store::CONFIGURATIONS_FILE);
    let sets = if kept.exists() { own_configurations(path, &job)? } else { Vec::new() };
    let (layers, companions) = own_network(path, &job)?.map_or_else(Default::default, |trained| (trained.layers, trained.companions));
    let mut arrays = Vec::new();
    for set in &sets {
        let name = |what: &str| format!("{what}_L{}_K{}", set.size, set.coupling);
        let (rows, sites) = (set.spins.rows(), set.spins.columns());
        let unpacked = move |take: &mut dyn FnMut(&[u8])| {
            let mut bytes = vec![0; sites];
            for row in 0..rows {
                bytes.iter_mut().zip(set.spins.bits(row)).for_each(|(byte, bit)| *byte = u8::from(*bit));
                take(&bytes);
            }
        };
        arrays.push(Array { name: name("configurations"), kind: "|u1", width: 1, shape: vec![rows, sites], pieces: Box::new(unpacked) });
        arrays.push(Array::of_words(name("chain"), &set.chains));
        arrays.push(Array::of_words(name("draw"), &set.draws));
    }
    // Names as in network.h5, where the group `companions` holds `network1`, `network2`, ...
    let beside = (1..).zip(&companions).map(|(number, companion)| (format!("network{number}_"), &companion.layers));
    for (prefix, layers) in std::iter::once((String::new(), &layers)).chain(beside) {
        for (number, layer) in (1..).zip(layers) {
            let name = |what: &str| format!("{prefix}layer{number}_{what}");
            arrays.push(Array::of_floats(name("weights"), vec![layer.visible, layer.hidden], &layer.weights));
            arrays.push(Array::of_floats(name("visible_bias"), vec![layer.visible], &layer.visible_bias));
            arrays.push(Array::of_floats(name("hidden_bias"), vec![layer.hidden], &layer.hidden_bias));
        }
    }
    if arrays.is_empty() {
        return Err(Error::Usage(format!("{} holds neither configurations nor a network yet: there is nothing to export", path.display())));
    }
    let file = out.map_or_else(|| path.join("run.npz"), Path::to_path_buf);
    write_npz(&file, &arrays)?;
    Ok((file, (1..).zip(&companions).map(|(number, companion)| format!("network{number}_... is {}", companion.name)).collect()))
}
