//! How a machine learns.

use super::TrainingData;
use crate::error::{Error, Result};

/// In which coordinates the gradient is taken.
///
/// Plain: the energy is -v.W.h - c.v - b.h, and a step follows the gradient with respect to W, c, b.
///
/// Centred: the same machine is written -(v - 1/2).W.(h - 1/2) - c'.v - b'.h, so c = c' - W 1/2 and b = b' - W^T 1/2, and a step follows the gradient with
/// respect to W, c', b'. With < > the mean over the data minus that over the model, the gradient of c'_i is <v_i>, of b'_j is <h_j> and of W_ij
/// <(v_i - 1/2)(h_j - 1/2)> = <v_i h_j> - <v_i>/2 - <h_j>/2: the machine of +-1 units with weights W/4. Nothing one-sided drives its weights, so
/// few units die (K. Cho, T. Raiko and A. Ilin 2011; J. Melchior, A. Fischer and L. Wiskott 2016).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GradientKind {
    /// In W, c, b of 0/1 units, as in the paper.
    Plain,
    /// In W, c', b' of (v - 1/2) and (h - 1/2).
    Centred,
}

impl GradientKind {
    /// The name in run files and reports.
    pub fn name(self) -> &'static str {
        match self {
            GradientKind::Plain => "plain",
            GradientKind::Centred => "centred",
        }
    }
}

/// What the visible layer passes on in a Gibbs step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reconstruction {
    /// Drawn 0/1 states: a true Markov chain, and binary kernels all the way.
    States,
    /// Probabilities, as in the code of Hinton and Salakhutdinov (Science 313, 504 (2006)); about three times slower.
    Probabilities,
}

/// The visible biases before the first step. Hidden biases start at 0. With the centred gradient both are c' and b'.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VisibleBias {
    /// All zero, as in the code of Hinton and Salakhutdinov.
    Zero,
    /// ln(p / (1 - p)) with p the mean of the unit over the data, kept between 1e-3 and 1 - 1e-3 (Hinton 2010).
    LogOdds,
}

/// The settings of one layer's training. Change what differs from [`TrainingOptions::new`].
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct TrainingOptions {
    /// Hidden units.
    pub hidden: usize,
    /// Passes over the data that are planned. The trainer does not stop by itself; the number stands in its messages.
    pub epochs: u64,
    /// Samples a step. The last minibatch of an epoch is as short as it happens to be; its gradient is the mean over the samples it has.
    pub minibatch: usize,
    /// Learning rate for the gradient of the mean over the minibatch.
    pub learning_rate: f32,
    /// The share of the last step that is added to the next, 0 to below 1.
    pub momentum: f32,
    /// Strength of the penalty l1 sum |W|: l1 sign(W) is subtracted from the gradient, 0 at W = 0. Biases are free.
    pub l1: f32,
    /// k of contrastive divergence: returns to the visible layer before the model's statistics are taken.
    pub gibbs_steps: usize,
    /// Coordinates of the gradient.
    pub gradient: GradientKind,
    /// What the visible layer passes on.
    pub reconstruction: Reconstruction,
    /// First visible biases.
    pub visible_bias: VisibleBias,
    /// Parts of a minibatch with random numbers and sums of their own, so that ranks may share them: part of the definition of the result.
    pub shards: usize,
    /// Standard deviation of the first weights.
    pub initial_weight: f32,
    /// Seed of all random streams.
    pub seed: u64,
    /// The place of the layer in the stack, from 0; part of the names of the streams.
    pub layer: u64,
}

impl TrainingOptions {
    /// The settings of the paper for one layer: 200 epochs of CD-1 in minibatches of 100, learning rate 0.1, momentum 0.5, no L1, plain gradient, drawn
    /// states, zero biases, weights 0.01 N(0, 1), 4 shards.
    pub fn new(hidden: usize, seed: u64, layer: u64) -> Self {
        TrainingOptions {
            hidden,
            epochs: 200,
            minibatch: 100,
            learning_rate: 0.1,
            momentum: 0.5,
            l1: 0.0,
            gibbs_steps: 1,
            gradient: GradientKind::Plain,
            reconstruction: Reconstruction::States,
            visible_bias: VisibleBias::Zero,
            shards: 4,
            initial_weight: 0.01,
            seed,
            layer,
        }
    }

    /// Looks for settings that cannot be meant.
    ///
    /// # Errors
    /// [`Error::Usage`] naming the first such setting.
    pub fn validate(&self, data: &TrainingData, held_out: &TrainingData) -> Result<()> {
        let refuse = |sentence: String| Err(Error::Usage(format!("layer {}: {sentence}", self.layer + 1)));
        let within = |value: f32, range: std::ops::Range<f32>| range.contains(&value);
        if data.samples() == 0 || data.units() == 0 {
            return refuse("there is nothing to train on: give at least one sample of at least one unit".to_string());
        }
        if held_out.samples() > 0 && held_out.units() != data.units() {
            return refuse(format!("held-out samples have {} units, training samples {}", held_out.units(), data.units()));
        }
        if self.hidden == 0 || self.hidden.max(data.units()) > 1 << 22 {
            return refuse(format!("{} units seen and {} hidden: write 1 to {}", data.units(), self.hidden, 1 << 22));
        }
        if self.minibatch == 0 || self.gibbs_steps == 0 {
            return refuse("minibatch and gibbs_steps are at least 1".to_string());
        }
        if !(1..=4096).contains(&self.shards) || self.layer >= 256 || self.epochs >= 1 << 24 {
            return refuse("shards are 1 to 4096, layers fewer than 257, epochs fewer than 2^24".to_string());
        }
        if !within(self.momentum, 0.0..1.0) {
            return refuse(format!("momentum = {} is not from 0 to below 1", self.momentum));
        }
        for (name, value) in [("learning_rate", self.learning_rate), ("l1", self.l1), ("initial_weight", self.initial_weight)] {
            if !within(value, 0.0..f32::INFINITY) {
                return refuse(format!("{name} = {value} is not a finite number of at least 0"));
            }
        }
        Ok(())
    }
}
