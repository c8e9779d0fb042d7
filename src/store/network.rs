//! `network.h5`: the trained stack, its weights and biases with what was monitored of each epoch. The group `/training` of `results.h5` is the same without
//! weights and biases.
//!
//! Sign: p(v, h) = exp(sum c_i v_i + sum b_j h_j + sum v_i W_ij h_j) / Z; the parameters of arXiv:1410.3831, Eq. 10, are the negatives.

use super::hdf5::{FileWriter, GroupReader, GroupWriter, label};
use super::{companion, durable, provenance};
use crate::error::Result;
use crate::record::{EpochRecord, LayerRecord, Provenance, TrainingRecord};
use std::path::Path;

/// What `network.h5` says of itself.
const CONTENT: &str = "network";

/// The monitored numbers of an epoch: name, units, words.
const MONITORS: [(&str, &str, &str); 9] = [
    ("reconstruction_error", "1", "mean squared reconstruction error per visible unit"),
    ("free_energy_gap", "nat", "mean free energy of held-out minus training data"),
    ("weight_norm", "1", "root mean square weight"),
    ("weight_maximum", "1", "largest absolute weight"),
    ("gradient_norm", "1", "root mean square gradient of the weights in the last minibatch"),
    ("seconds", "s", "wall time"),
    ("pseudo_likelihood", "nat", "logarithm of p(v_i given the other units) over held-out data"),
    ("learning_rate", "1", "learning rate"),
    ("free_energy_gap_error", "nat", "standard error of the free-energy gap"),
];

fn monitors(epoch: &EpochRecord) -> [f64; 9] {
    [
        epoch.reconstruction_error,
        epoch.free_energy_gap,
        epoch.weight_norm,
        epoch.weight_maximum,
        epoch.gradient_norm,
        epoch.seconds,
        epoch.pseudo_likelihood.unwrap_or(f64::NAN),
        epoch.learning_rate,
        epoch.free_energy_gap_error,
    ]
}

/// Replaces `path` by a trained stack.
///
/// # Errors
/// [`crate::error::Error::InputOutput`]; the old file is then intact.
pub fn write_network(path: &Path, origin: &Provenance, training: &TrainingRecord) -> Result<()> {
    let companions = training.companions.iter().flat_map(|companion| &companion.layers);
    let weights: usize = training.layers.iter().chain(companions).map(|layer| layer.weights.len()).sum();
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
        .text("method", &training.method)?
        .number("chains", training.chains as u64)?
        .number("gibbs_steps", training.gibbs_steps as u64)?
        .number("fresh", u64::from(training.fresh))?
        .number("size", training.size as u64)?
        .number("samples", training.samples as u64)?
        .number("held_out", training.held_out as u64)?
        .number("peak_memory", training.peak_memory)?
        .number("layers", training.layers.len() as u64)?;
    group.dimension("coupling", &training.couplings, label("1", "couplings K of the training configurations, in equal shares"))?;
    if !training.layers.is_empty() {
        group.attributes().text("default", "layer1")?;
    }
    for (number, layer) in (1..).zip(&training.layers) {
        write_layer(&group.group(&format!("layer{number}"))?, layer, with_weights)?;
    }
    companion::write(group, &training.companions, with_weights)
}

/// Fills the group of a layer.
///
/// # Errors
/// [`crate::error::Error::InputOutput`].
pub(super) fn write_layer(group: &GroupWriter, layer: &LayerRecord, with_weights: bool) -> Result<()> {
    let attributes = group.attributes();
    attributes
        .text("NX_class", "NXdata")?
        .number("visible_units", layer.visible as u64)?
        .number("hidden_units", layer.hidden as u64)?
        .number("dead_units", layer.dead_units.len() as u64)?
        .number("stopped_early", u64::from(layer.stopped_early))?
        .number("epochs", layer.epochs.len() as u64)?;
    group.index("hidden", layer.hidden, "hidden unit")?;
    let mut dead = vec![0i64; layer.hidden];
    layer.dead_units.iter().for_each(|&unit| dead[unit] = 1);
    group.variable(
        "dead",
        &["hidden"],
        &dead,
        label("1", "1 for a unit that never moves: standard deviation of p(h = 1 | v) below 0.02"),
    )?;
    if !layer.swap_rates.is_empty() {
        group.index("temperature_pair", layer.swap_rates.len(), "pair of neighbouring inverse temperatures, from 1 down")?;
        group.variable(
            "swap_rates",
            &["temperature_pair"],
            &layer.swap_rates,
            label("1", "share of accepted exchanges in the last epoch"),
        )?;
    }
    if with_weights {
        attributes.text("signal", "weights")?.texts("axes", &["visible", "hidden"])?;
        group.index("visible", layer.visible, "visible unit (site y L + x in the first layer)")?;
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
        method: group.text("method")?,
        chains: group.count("chains")?,
        gibbs_steps: group.count("gibbs_steps")?,
        fresh: group.count("fresh")? == 1,
        couplings: group.array::<f64>("coupling", 1)?.values,
        size: group.count("size")?,
        samples: group.count("samples")?,
        held_out: group.count("held_out")?,
        peak_memory: group.number("peak_memory")?,
        layers: (1..=group.count("layers")?)
            .map(|number| read_layer(&group.group(&format!("layer{number}"))?, with_weights))
            .collect::<Result<_>>()?,
        companions: companion::read(group, with_weights)?,
    })
}

/// Reads a layer.
///
/// # Errors
/// [`crate::error::Error::Refused`].
pub(super) fn read_layer(group: &GroupReader, with_weights: bool) -> Result<LayerRecord> {
    let (visible, hidden) = (group.count("visible_units")?, group.count("hidden_units")?);
    let weights = |name: &str, shape: &[usize]| if with_weights { group.shaped::<f32>(name, shape) } else { Ok(Vec::new()) };
    let swap_rates = if group.has("swap_rates") { group.array::<f64>("swap_rates", 1)?.values } else { Vec::new() };
    let epochs = group.count("epochs")?;
    let mut curves: Vec<Vec<f64>> = Vec::new();
    if epochs > 0 {
        for (name, _, _) in MONITORS {
            // Files of earlier versions have no `free_energy_gap_error`.
            curves.push(if group.has(name) || name != "free_energy_gap_error" {
                group.shaped(name, &[epochs])?
            } else {
                vec![f64::NAN; epochs]
            });
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
                pseudo_likelihood: Some(curves[6][epoch]).filter(|value| !value.is_nan()),
                learning_rate: curves[7][epoch],
                free_energy_gap_error: curves[8][epoch],
            })
            .collect(),
        dead_units: group
            .shaped::<i64>("dead", &[hidden])?
            .iter()
            .enumerate()
            .filter_map(|(unit, &dead)| (dead == 1).then_some(unit))
            .collect(),
        swap_rates,
        stopped_early: group.count("stopped_early")? == 1,
    })
}
