//! The HDF5 layout that the Python package `rbms` (version 0.6) loads: a Bernoulli-Bernoulli machine, one update, chains of the visible units to go on from.
//! Parameters are those of this program: p(v, h) = exp(sum c_i v_i + sum b_j h_j + sum v_i W_ij h_j) / Z with 0/1 units is the convention there as well.

use crate::error::Result;
use crate::record::LayerRecord;
use crate::spins::BitMatrix;
use crate::store::durable;
use crate::store::hdf5::FileWriter;
use std::path::Path;

/// What stands in `/hyperparameters` besides the shapes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HyperParameters {
    /// Epochs of the layer, the number of the one update.
    pub epochs: usize,
    /// Configurations a step.
    pub minibatch: usize,
    /// k of contrastive divergence.
    pub gibbs_steps: usize,
    /// Learning rate.
    pub learning_rate: f32,
    /// Seed of the run.
    pub seed: u64,
    /// Wall time of the training in seconds.
    pub seconds: f64,
}

/// Replaces `path` by one layer. `chains` are states of its visible units, one a row.
///
/// # Errors
/// [`crate::error::Error::InputOutput`]; an old file is then intact.
pub fn write_rbms(path: &Path, layer: &LayerRecord, chains: &BitMatrix, about: HyperParameters) -> Result<()> {
    let (visible, hidden, rows) = (layer.visible, layer.hidden, chains.rows());
    let bytes = 4 * (layer.weights.len() + rows * visible) + (1 << 20);
    durable::replace(path, bytes as u64, |temporary| {
        let file = FileWriter::create(temporary)?;
        let root = file.root()?;
        root.plain_text("model_type", "BBRBM")?;
        let states: Vec<f32> =
            (0..rows).flat_map(|row| chains.bits(row).iter().map(|bit| f32::from(u8::from(*bit))).collect::<Vec<_>>()).collect();
        root.plain("parallel_chains", &[rows, visible], &states)?;
        let parameters = root.group("hyperparameters")?;
        let numbers = [
            ("num_visibles", visible as i64),
            ("num_hiddens", hidden as i64),
            ("batch_size", about.minibatch as i64),
            ("gibbs_steps", about.gibbs_steps as i64),
            ("num_chains", rows as i64),
            ("seed", i64::try_from(about.seed).unwrap_or(i64::MAX)),
        ];
        numbers.iter().try_for_each(|(name, number)| parameters.plain(name, &[], &[*number]))?;
        parameters.plain("learning_rate", &[], &[f64::from(about.learning_rate)])?;
        let update = root.group(&format!("update_{}", about.epochs.max(1)))?;
        update.plain("time", &[], &[about.seconds])?;
        update.plain("learning_rate", &[], &[f64::from(about.learning_rate)])?;
        let group = update.group("params")?;
        group.plain("weight_matrix", &[visible, hidden], &layer.weights)?;
        group.plain("vbias", &[visible], &layer.visible_bias)?;
        group.plain("hbias", &[hidden], &layer.hidden_bias)?;
        file.finish_unsealed()
    })
}
