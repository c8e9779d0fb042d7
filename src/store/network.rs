//! `network.h5`: the trained stack, its weights and biases with what was monitored of each epoch. The group `/training` of `results.h5` is the same without
//! weights and biases.
//!
//! Sign: p(v, h) = exp(sum c_i v_i + sum b_j h_j + sum v_i W_ij h_j) / Z; the parameters of arXiv:1410.3831, Eq. 10, are the negatives.

use super::hdf5::{FileWriter, GroupReader, GroupWriter, label};
use super::{durable, provenance};
use crate::error::Result;
use crate::record::{EpochRecord, LayerRecord, Provenance, TrainingRecord};
use std::path::Path;

/// What `network.h5` says of itself.
const CONTENT: &str = "network";

/// The monitored numbers of an epoch: name, units, words.
const MONITORS: [(&str, &str, &str); 6] = [
    ("reconstruction_error", "1", "mean squared reconstruction error per visible unit"),
    ("free_energy_gap", "nat", "mean free energy of held-out minus training data"),
    ("weight_norm", "1", "root mean square weight"),
    ("weight_maximum", "1", "largest absolute weight"),
    ("gradient_norm", "1", "root mean square gradient of the weights in the last minibatch"),
    ("seconds", "s", "wall time"),
];

fn monitors(epoch: &EpochRecord) -> [f64; 6] {
    [epoch.reconstruction_error, epoch.free_energy_gap, epoch.weight_norm, epoch.weight_maximum, epoch.gradient_norm, epoch.seconds]
}

/// Replaces `path` by a trained stack.
///
/// # Errors
/// [`crate::error::Error::InputOutput`]; the old file is then intact.
pub fn write_network(path: &Path, origin: &Provenance, training: &TrainingRecord) -> Result<()> {
    let weights: usize = training.layers.iter().map(|layer| layer.weights.len()).sum();
    durable::replace(path, (4 * weights + (1 << 20)) as u64, |temporary| {
        let file = FileWriter::create(temporary)?;
        let root = file.root()?;
        provenance::write(&root, CONTENT, origin)?;
        root.attributes().text("default", "training")?;
        write_training(&root.group("training")?, training, true)?;
        file.finish()
    })
}

/// Reads a trained stack and where it came from.
///
/// # Errors
/// [`crate::error::Error::InputOutput`] if the file cannot be read; [`crate::error::Error::Refused`] if it is damaged or foreign.
pub fn read_network(path: &Path) -> Result<(Provenance, TrainingRecord)> {
    let (_file, root, origin) = provenance::open(path, CONTENT)?;
    Ok((origin, read_training(&root.group("training")?, true)?))
}

/// Fills the group `training`, with or without weights and biases.
///
/// # Errors
/// [`crate::error::Error::InputOutput`].
pub fn write_training(group: &GroupWriter, training: &TrainingRecord, with_weights: bool) -> Result<()> {
    group
        .attributes()
        .text("NX_class", "NXentry")?
        .text("gradient", &training.gradient)?
        .text("activations", &training.activations)?
        .number("coupling", training.coupling)?
        .number("size", training.size as u64)?
        .number("samples", training.samples as u64)?
        .number("held_out", training.held_out as u64)?
        .number("peak_memory", training.peak_memory)?
        .number("layers", training.layers.len() as u64)?;
    if !training.layers.is_empty() {
        group.attributes().text("default", "layer1")?;
    }
    for (number, layer) in (1..).zip(&training.layers) {
        write_layer(&group.group(&format!("layer{number}"))?, layer, with_weights)?;
    }
    Ok(())
}

fn write_layer(group: &GroupWriter, layer: &LayerRecord, with_weights: bool) -> Result<()> {
    let attributes = group.attributes();
    attributes
        .text("NX_class", "NXdata")?
        .number("visible_units", layer.visible as u64)?
        .number("hidden_units", layer.hidden as u64)?
        .number("dead_units", layer.dead_units as u64)?
        .number("epochs", layer.epochs.len() as u64)?;
    if with_weights {
        attributes.text("signal", "weights")?.texts("axes", &["visible", "hidden"])?;
        group.index("visible", layer.visible, "visible unit (site y L + x in the first layer)")?;
        group.index("hidden", layer.hidden, "hidden unit")?;
        group.variable("weights", &["visible", "hidden"], &layer.weights, label("1", "weight W_ij"))?;
        group.variable("visible_bias", &["visible"], &layer.visible_bias, label("1", "visible bias c_i"))?;
        group.variable("hidden_bias", &["hidden"], &layer.hidden_bias, label("1", "hidden bias b_j"))?;
    } else if !layer.epochs.is_empty() {
        attributes.text("signal", MONITORS[0].0)?.texts("axes", &["epoch"])?;
    }
    if layer.epochs.is_empty() {
        return Ok(());
    }
    group.dimension("epoch", &(1..=layer.epochs.len() as i64).collect::<Vec<_>>(), label("1", "epoch"))?;
    for (which, (name, units, long_name)) in MONITORS.into_iter().enumerate() {
        let values: Vec<f64> = layer.epochs.iter().map(|epoch| monitors(epoch)[which]).collect();
        group.variable(name, &["epoch"], &values, label(units, long_name))?;
    }
    Ok(())
}

/// Reads the group `training`.
///
/// # Errors
/// [`crate::error::Error::Refused`].
pub fn read_training(group: &GroupReader, with_weights: bool) -> Result<TrainingRecord> {
    Ok(TrainingRecord {
        gradient: group.text("gradient")?,
        activations: group.text("activations")?,
        coupling: group.number("coupling")?,
        size: group.count("size")?,
        samples: group.count("samples")?,
        held_out: group.count("held_out")?,
        peak_memory: group.number("peak_memory")?,
        layers: (1..=group.count("layers")?)
            .map(|number| read_layer(&group.group(&format!("layer{number}"))?, with_weights))
            .collect::<Result<_>>()?,
    })
}

fn read_layer(group: &GroupReader, with_weights: bool) -> Result<LayerRecord> {
    let (visible, hidden) = (group.count("visible_units")?, group.count("hidden_units")?);
    let weights = |name: &str, shape: &[usize]| if with_weights { group.shaped::<f32>(name, shape) } else { Ok(Vec::new()) };
    let epochs = group.count("epochs")?;
    let mut curves: Vec<Vec<f64>> = Vec::new();
    if epochs > 0 {
        for (name, _, _) in MONITORS {
            curves.push(group.shaped(name, &[epochs])?);
        }
    }
    Ok(LayerRecord {
        visible,
        hidden,
        weights: weights("weights", &[visible, hidden])?,
        visible_bias: weights("visible_bias", &[visible])?,
        hidden_bias: weights("hidden_bias", &[hidden])?,
        epochs: (0..epochs)
            .map(|epoch| EpochRecord {
                reconstruction_error: curves[0][epoch],
                free_energy_gap: curves[1][epoch],
                weight_norm: curves[2][epoch],
                weight_maximum: curves[3][epoch],
                gradient_norm: curves[4][epoch],
                seconds: curves[5][epoch],
            })
            .collect(),
        dead_units: group.count("dead_units")?,
    })
}
