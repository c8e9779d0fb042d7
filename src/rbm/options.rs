//! How a machine learns.

use super::TrainingData;
use super::train::natural::MOST_PARAMETERS;
use crate::elementary::power;
use crate::error::{Error, Result};

/// A layer has fewer epochs: their number goes into its random streams.
pub const EPOCHS_END: u64 = 1 << 24;

/// The most inverse temperatures of the tempered method.
pub const MOST_TEMPERATURES: usize = 128;

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

/// Where the statistics of the model come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Contrastive divergence: chains that start at the data of the minibatch and take `gibbs_steps` steps (Hinton 2002).
    #[serde(rename = "cd")]
    ContrastiveDivergence,
    /// Persistent chains, which go on from one minibatch to the next (T. Tieleman, ICML 2008).
    #[serde(rename = "pcd")]
    Persistent,
    /// Persistent chains at several inverse temperatures beta of the machine, p ~ e^(-beta E), which exchange their states (G. Desjardins et al., AISTATS 2010).
    Tempered,
    /// No chains: sums over all states of a small machine and over the exact law of the data.
    Exact,
    /// The same sums, and the natural gradient of them ([`super::train::natural`]).
    Natural,
}

impl Method {
    /// The name in run files and reports.
    pub fn name(self) -> &'static str {
        match self {
            Method::ContrastiveDivergence => "cd",
            Method::Persistent => "pcd",
            Method::Tempered => "tempered",
            Method::Exact => "exact",
            Method::Natural => "natural",
        }
    }

    /// Whether all states are summed.
    pub fn is_exact(self) -> bool {
        matches!(self, Method::Exact | Method::Natural)
    }

    /// Whether chains go on from one minibatch to the next.
    pub fn is_persistent(self) -> bool {
        matches!(self, Method::Persistent | Method::Tempered)
    }
}

/// First weights that see a window of the lattice only, each hidden unit one of its own. It says that couplings are local, not which they are; the weights outside are zero at first and free
/// to grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct InitialWindow {
    /// The side L of the lattice: visible unit y L + x is site (x, y).
    pub side: usize,
    /// The window is 2 range + 1 sites wide and high.
    pub range: usize,
}

impl InitialWindow {
    /// Whether the hidden unit begins with a weight at the site. The centres are points of an additive sequence with the powers of the plastic number 1.3247 (M. Roberts 2018), which cover the
    /// torus evenly for any number of units.
    pub fn holds(&self, site: usize, unit: usize) -> bool {
        let centre = |step: f64| ((0.5 + step * unit as f64).fract() * self.side as f64) as usize;
        let away = |place: usize, centre: usize| place.abs_diff(centre).min(self.side - place.abs_diff(centre));
        let [x, y] = [site % self.side, site / self.side];
        away(x, centre(0.754_877_666_246_692_8)).max(away(y, centre(0.569_840_290_998_053_3))) <= self.range
    }
}

/// How the learning rate moves from its first to its last value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// By equal factors from epoch to epoch.
    Geometric,
    /// By equal differences.
    Linear,
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
    /// Learning rate for the gradient of the mean over the minibatch, in the first epoch.
    pub learning_rate: f32,
    /// The learning rate of the last planned epoch; `None`: it stays what it is.
    pub last_learning_rate: Option<f32>,
    /// How it gets there.
    pub schedule: Schedule,
    /// The share of the last step that is added to the next, 0 to below 1, in the first epoch.
    pub momentum: f32,
    /// The same from epoch `momentum_epochs` on, it changes linearly until then; `None`: it stays what it is.
    pub last_momentum: Option<f32>,
    /// Epochs until the momentum has its last value.
    pub momentum_epochs: u64,
    /// Strength of the penalty l1 sum |W| in the first epoch: l1 sign(W) is subtracted from the gradient, 0 at W = 0. Biases are free.
    pub l1: f32,
    /// The same in the last planned epoch, by the schedule of the learning rate; `None`: it stays what it is.
    pub last_l1: Option<f32>,
    /// Strength of the penalty l2 / 2 sum W^2: l2 W is subtracted from the gradient.
    pub l2: f32,
    /// The largest absolute value that the mean gradient of a weight may have, penalties not counted; larger ones are cut. Infinite: none is.
    pub gradient_limit: f32,
    /// Where the statistics of the model come from.
    pub method: Method,
    /// Persistent chains (at each temperature).
    pub chains: usize,
    /// Inverse temperatures of the tempered method, in equal steps from 1 down to `lowest_inverse_temperature`.
    pub temperatures: usize,
    /// The lowest of them.
    pub lowest_inverse_temperature: f32,
    /// k of contrastive divergence: returns to the visible layer before the model's statistics are taken; for persistent chains, sweeps a minibatch.
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
    /// Where they are not zero; `None`: everywhere.
    pub initial_window: Option<InitialWindow>,
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
            last_learning_rate: None,
            schedule: Schedule::Geometric,
            momentum: 0.5,
            last_momentum: None,
            momentum_epochs: 5,
            l1: 0.0,
            last_l1: None,
            l2: 0.0,
            gradient_limit: f32::INFINITY,
            method: Method::ContrastiveDivergence,
            chains: 100,
            temperatures: 1,
            lowest_inverse_temperature: 0.0,
            gibbs_steps: 1,
            gradient: GradientKind::Plain,
            reconstruction: Reconstruction::States,
            visible_bias: VisibleBias::Zero,
            shards: 4,
            initial_weight: 0.01,
            initial_window: None,
            seed,
            layer,
        }
    }

    /// The learning rate of epoch number `epoch`, from 0.
    pub fn learning_rate_in(&self, epoch: u64) -> f32 {
        self.between(self.learning_rate, self.last_learning_rate, epoch)
    }

    /// The strength of the penalty l1 sum |W| in epoch number `epoch`, from 0.
    pub fn l1_in(&self, epoch: u64) -> f32 {
        self.between(self.l1, self.last_l1, epoch)
    }

    /// What the schedule makes of a number that is `first` in the first epoch and `last` in the last planned one. A way from or to zero has equal differences: there are no equal factors.
    fn between(&self, first: f32, last: Option<f32>, epoch: u64) -> f32 {
        let (start, end) = (f64::from(first), f64::from(last.unwrap_or(first)));
        let share = epoch.min(self.epochs.saturating_sub(1)) as f64 / self.epochs.saturating_sub(1).max(1) as f64;
        match self.schedule {
            _ if start == end => first,
            Schedule::Geometric if start > 0.0 && end > 0.0 => (start * power(end / start, share)) as f32,
            Schedule::Linear | Schedule::Geometric => (start + (end - start) * share) as f32,
        }
    }

    /// The momentum of epoch number `epoch`, from 0.
    pub fn momentum_in(&self, epoch: u64) -> f32 {
        let share = epoch.min(self.momentum_epochs) as f32 / self.momentum_epochs.max(1) as f32;
        match self.last_momentum {
            None => self.momentum,
            Some(last) if epoch >= self.momentum_epochs => last,
            Some(last) => self.momentum + (last - self.momentum) * share,
        }
    }

    /// The inverse temperatures of the persistent chains: 1 first.
    pub fn inverse_temperatures(&self) -> Vec<f32> {
        let count = if self.method == Method::Tempered { self.temperatures } else { 1 };
        let step = (1.0 - self.lowest_inverse_temperature) / count.saturating_sub(1).max(1) as f32;
        (0..count).map(|place| 1.0 - place as f32 * step).collect()
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
        if !(1..=4096).contains(&self.shards) || self.layer >= 256 || self.epochs >= EPOCHS_END {
            return refuse("shards are 1 to 4096, layers fewer than 257, epochs fewer than 2^24".to_string());
        }
        if self.method.is_persistent() && !(self.shards..1 << 24).contains(&self.chains) {
            return refuse(format!("{} chains: write from {} (one a shard) to 2^24", self.chains, self.shards));
        }
        if self.method == Method::Tempered && !(2..=MOST_TEMPERATURES).contains(&self.temperatures) {
            return refuse(format!("{} temperatures: write from 2 to {MOST_TEMPERATURES}", self.temperatures));
        }
        if self.method == Method::Natural && self.gradient != GradientKind::Plain {
            return refuse("the natural gradient is the same in all coordinates: write gradient = \"plain\"".to_string());
        }
        if self.method == Method::Natural && (data.units() + 1) * (self.hidden + 1) > MOST_PARAMETERS {
            return refuse(format!("{} x {} units have too many parameters for the natural gradient", data.units(), self.hidden));
        }
        if !within(self.lowest_inverse_temperature, 0.0..1.0) {
            return refuse(format!("lowest_inverse_temperature = {} is not from 0 to below 1", self.lowest_inverse_temperature));
        }
        for momentum in [self.momentum, self.last_momentum.unwrap_or(0.0)] {
            if !within(momentum, 0.0..1.0) {
                return refuse(format!("momentum = {momentum} is not from 0 to below 1"));
            }
        }
        if let Some(window) = self.initial_window
            && window.side.checked_mul(window.side) != Some(data.units())
        {
            return refuse(format!("a window of first weights needs the {} units of a lattice of side {}", data.units(), window.side));
        }
        if self.gradient_limit.is_nan() || self.gradient_limit <= 0.0 {
            return refuse(format!("gradient_limit = {} is not above 0", self.gradient_limit));
        }
        for (name, value) in [
            ("learning_rate", self.learning_rate),
            ("last_learning_rate", self.last_learning_rate.unwrap_or(0.0)),
            ("l1", self.l1),
            ("last_l1", self.last_l1.unwrap_or(0.0)),
            ("l2", self.l2),
            ("initial_weight", self.initial_weight),
        ] {
            if !within(value, 0.0..f32::INFINITY) {
                return refuse(format!("{name} = {value} is not a finite number of at least 0"));
            }
        }
        Ok(())
    }
}
