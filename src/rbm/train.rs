//! Contrastive divergence: the trainer of one layer. Read [`Trainer::epoch`], then `minibatch`, then `train/gradient.rs` (the sums) and `train/learn.rs` (the step).
//!
//! As in the code of Hinton and Salakhutdinov (Science 313, 504 (2006)): the statistics of the data take the hidden probabilities, drawn hidden states drive
//! the reconstruction, and the statistics of the model take the last hidden probabilities. Of the reconstruction the drawn states are taken by default
//! ([`super::Reconstruction`]), so that CD-k for large k is the exact gradient and the kernels for bits serve.
//!
//! A minibatch is cut into shards, contiguous and as even as can be. Each shard has its own random streams, new in every epoch, and its own sums, which
//! are added in the order of the shards. Ranks own shards, threads take panels of units: neither can be seen in the result. All ranks hold the whole
//! training data and the same machine, and call everything together.

mod gradient;
mod learn;

use super::gibbs::{self, Conditional};
use super::monitor::{self, Epoch};
use super::panels::{Machine, Units, lot};
use super::{Rbm, Reconstruction, TrainingData, TrainingOptions, VisibleBias};
use crate::error::{Error, Result};
use crate::kernels::float_vector::Vector;
use crate::kernels::statistics::Choices;
use crate::kernels::tables::ABREAST;
use crate::kernels::{InstructionSet, activation};
use crate::random::{LaneStream, Purpose, Stream};
use gradient::{Side, Statistics};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::ops::Range;

/// How the shards of a minibatch are divided over ranks, and how their sums come together.
pub trait ShardExchange {
    /// The shards of this rank: all ranks together own 0 .. shards, contiguously, in rank order.
    fn own_shards(&self, shards: usize) -> Range<usize>;

    /// Brings the sums of all shards to every rank: `own` holds those of this rank's shards one after the other, `all` takes those of all `shards` in order.
    ///
    /// # Errors
    /// Whatever keeps the ranks from talking.
    fn gather(&self, shards: usize, own: &[f32], all: &mut [f32]) -> Result<()>;
}

/// One rank that owns all shards.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

impl ShardExchange for Alone {
    fn own_shards(&self, shards: usize) -> Range<usize> {
        0..shards
    }

    fn gather(&self, _shards: usize, own: &[f32], all: &mut [f32]) -> Result<()> {
        all.copy_from_slice(own);
        Ok(())
    }
}

/// All that a trainer must remember between two minibatches. The numbers are, one after the other: W (row-major, visible by hidden), c, b in the
/// coordinates of the gradient ([`super::GradientKind`]), then the last steps of W, c, b.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Snapshot {
    /// Epochs done.
    pub epochs: u64,
    /// Parameters and their last steps, the same on every rank.
    pub numbers: Vec<f32>,
    /// The epoch that has begun, if one has.
    pub pass: Option<PassSnapshot>,
}

/// Where a trainer is inside an epoch.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct PassSnapshot {
    /// Minibatches done in this epoch.
    pub minibatches: u64,
    /// The squared error of these, summed.
    pub squared_error: f64,
    /// The sum of the squares of the last gradient.
    pub gradient_squares: f64,
    /// The random streams of each shard, by its number: the states of the hidden panels, then of the visible ones. A snapshot holds the shards of its rank; to go
    /// on, a rank needs its own, so that the shards of all ranks belong into a checkpoint.
    pub streams: BTreeMap<usize, Vec<u64>>,
}

/// A pass over the training data that has begun.
struct Pass {
    order: Vec<usize>,
    minibatches: usize,
    squared_error: f64,
    gradient_squares: f64,
    hidden_lanes: Vec<LaneStream>,
    visible_lanes: Vec<LaneStream>,
}

/// Trains one restricted Boltzmann machine.
pub struct Trainer<'a> {
    set: InstructionSet,
    data: &'a TrainingData,
    held_out: &'a TrainingData,
    options: TrainingOptions,
    exchange: &'a dyn ShardExchange,
    /// The machine as it is used.
    machine: Machine,
    /// Its biases in the coordinates of the gradient: c and b, or c' and b'.
    biases: [Vec<Vector>; 2],
    /// The last step, in the same coordinates.
    velocity: Machine,
    rbm: Rbm,
    epochs: u64,
    pass: Option<Pass>,
    choices: Vec<Choices>,
    pool: gradient::Pool,
}

/// What one minibatch leaves behind, the same on every rank.
struct Outcome {
    squared_error: f64,
    gradient_squares: f64,
    weight_squares: f64,
}

impl<'a> Trainer<'a> {
    /// A trainer before its first epoch. `held_out` may be empty.
    ///
    /// # Errors
    /// [`Error::Usage`] for settings that cannot be meant.
    pub fn new(
        data: &'a TrainingData,
        held_out: &'a TrainingData,
        options: TrainingOptions,
        exchange: &'a dyn ShardExchange,
    ) -> Result<Self> {
        options.validate(data, held_out)?;
        let mut rbm = Rbm::zero(data.units(), options.hidden);
        let mut stream = Stream::new(options.seed, Purpose::InitialWeights, options.layer);
        for row in 0..rbm.visible() {
            for weight in rbm.weights.row_mut(row) {
                *weight = (f64::from(options.initial_weight) * stream.normal()) as f32;
            }
        }
        if options.visible_bias == VisibleBias::LogOdds {
            let log_odds = |mean: f64| (mean / (1.0 - mean)).ln() as f32;
            rbm.visible_bias = data.means().into_iter().map(|mean| log_odds(mean.clamp(1e-3, 1.0 - 1e-3))).collect();
        }
        let machine = Machine::from(&rbm);
        let biases = [machine.visible_bias.clone(), machine.hidden_bias.clone()];
        let velocity = Machine::zero(rbm.visible(), rbm.hidden());
        let set = InstructionSet::chosen();
        let mut trainer = Trainer {
            set,
            data,
            held_out,
            options,
            exchange,
            machine,
            biases,
            velocity,
            rbm,
            epochs: 0,
            pass: None,
            choices: Vec::new(),
            pool: gradient::Pool::default(),
        };
        trainer.set_biases();
        trainer.rbm = trainer.machine.to_rbm();
        Ok(trainer)
    }

    /// The same trainer with the kernels of another instruction set; the result does not depend on it.
    pub fn on(mut self, set: InstructionSet) -> Self {
        self.set = set;
        self
    }

    /// The machine after the epochs done so far.
    pub fn rbm(&self) -> &Rbm {
        &self.rbm
    }

    /// The number of epochs done.
    pub fn epochs(&self) -> u64 {
        self.epochs
    }

    /// Changes the learning rate from the next epoch on.
    pub fn set_learning_rate(&mut self, learning_rate: f32) {
        self.options.learning_rate = learning_rate;
    }

    /// What [`Self::restore`] needs to go on with the same bits.
    pub fn snapshot(&self) -> Snapshot {
        let mut parameters = self.machine.clone();
        let mut numbers = Vec::new();
        [parameters.visible_bias, parameters.hidden_bias] = self.biases.clone();
        for part in [parameters.to_rbm(), self.velocity.to_rbm()] {
            numbers.extend(part.weights.to_unpadded());
            numbers.extend(part.visible_bias);
            numbers.extend(part.hidden_bias);
        }
        Snapshot { epochs: self.epochs, numbers, pass: self.pass.as_ref().map(|pass| self.pass_snapshot(pass)) }
    }

    fn pass_snapshot(&self, pass: &Pass) -> PassSnapshot {
        let own = self.exchange.own_shards(self.options.shards);
        let lanes_of = |strip: usize| {
            let every = |lanes: &[LaneStream]| lanes.iter().skip(strip).step_by(own.len()).flat_map(LaneStream::state).collect::<Vec<_>>();
            [every(&pass.hidden_lanes), every(&pass.visible_lanes)].concat()
        };
        PassSnapshot {
            minibatches: pass.minibatches as u64,
            squared_error: pass.squared_error,
            gradient_squares: pass.gradient_squares,
            streams: own.clone().map(|shard| (shard, lanes_of(shard - own.start))).collect(),
        }
    }

    /// Goes on from a snapshot of a trainer with the same options and data.
    ///
    /// # Errors
    /// [`Error::Refused`] if it belongs to a machine of another shape, or lacks the streams of a shard of this rank.
    pub fn restore(&mut self, snapshot: &Snapshot) -> Result<()> {
        let (visible, hidden) = (self.machine.visible, self.machine.hidden);
        let length = visible * hidden + visible + hidden;
        if snapshot.numbers.len() != 2 * length {
            return Err(Error::Refused(format!(
                "a snapshot of {} numbers does not fit layer {} of {visible} x {hidden} units, which has {}: it belongs to another network",
                snapshot.numbers.len(),
                self.options.layer + 1,
                2 * length
            )));
        }
        let part = |numbers: &[f32]| {
            let (weights, biases) = numbers.split_at(visible * hidden);
            let mut rbm = Rbm::zero(visible, hidden);
            rbm.weights = super::Matrix::from_unpadded(visible, hidden, weights);
            rbm.visible_bias = biases[..visible].to_vec();
            rbm.hidden_bias = biases[visible..].to_vec();
            Machine::from(&rbm)
        };
        let (parameters, velocity) = snapshot.numbers.split_at(length);
        self.machine = part(parameters);
        self.velocity = part(velocity);
        self.biases = [self.machine.visible_bias.clone(), self.machine.hidden_bias.clone()];
        self.epochs = snapshot.epochs;
        self.set_biases();
        self.rbm = self.machine.to_rbm();
        self.pass = snapshot.pass.as_ref().map(|stored| self.restored_pass(stored)).transpose()?;
        Ok(())
    }

    fn restored_pass(&self, stored: &PassSnapshot) -> Result<Pass> {
        let mut pass = self.new_pass();
        let misfit = || {
            Error::Refused(format!("a snapshot inside an epoch does not fit layer {}: it belongs to another run", self.options.layer + 1))
        };
        pass.minibatches = usize::try_from(stored.minibatches).map_err(|_| misfit())?;
        if pass.minibatches > self.minibatches_per_epoch() {
            return Err(misfit());
        }
        (pass.squared_error, pass.gradient_squares) = (stored.squared_error, stored.gradient_squares);
        let own = self.exchange.own_shards(self.options.shards);
        let panels = self.machine.hidden_panels() + self.machine.visible_panels();
        for (strip, shard) in own.clone().enumerate() {
            let (states, rest) = stored.streams.get(&shard).ok_or_else(misfit)?.as_chunks();
            if states.len() != panels || !rest.is_empty() {
                return Err(misfit());
            }
            let places = pass.hidden_lanes.iter_mut().skip(strip).step_by(own.len());
            let places = places.chain(pass.visible_lanes.iter_mut().skip(strip).step_by(own.len()));
            places.zip(states).for_each(|(lanes, state)| *lanes = LaneStream::from_state(state));
        }
        Ok(pass)
    }

    /// The beginning of an epoch: a new order, new random streams.
    fn new_pass(&self) -> Pass {
        let TrainingOptions { seed, layer, shards, .. } = self.options;
        let mut order: Vec<usize> = (0..self.data.samples()).collect();
        Stream::new(seed, Purpose::Shuffle, layer << 32 | self.epochs).shuffle(&mut order);
        let own = self.exchange.own_shards(shards);
        // Streams: layer, epoch, shard, panel; the visible panels are counted from 2^19.
        let epoch = self.epochs;
        let name = |first: u64| move |panel: usize, shard: usize| layer << 56 | epoch << 32 | (shard as u64) << 20 | (panel as u64 + first);
        let hidden_lanes = gibbs::streams(seed, Purpose::TrainingGibbs, self.machine.hidden_panels(), own.clone(), name(0));
        let visible_lanes = gibbs::streams(seed, Purpose::TrainingGibbs, self.machine.visible_panels(), own, name(1 << 19));
        Pass { order, minibatches: 0, squared_error: 0.0, gradient_squares: 0.0, hidden_lanes, visible_lanes }
    }

    /// One pass over the training data in a new order, or the rest of the one that has begun.
    ///
    /// # Errors
    /// [`Error::NotFinite`] naming layer, epoch and minibatch if a parameter, a gradient or the reconstruction error stops being a finite number, or a
    /// parameter is so large that its square is not one; what the exchange fails with.
    pub fn epoch(&mut self) -> Result<Epoch> {
        loop {
            if let Some(epoch) = self.advance(usize::MAX)? {
                return Ok(epoch);
            }
        }
    }

    /// At most `minibatches` further minibatches of this epoch, or of the next if none has begun. Returns what the epoch was like when it ends; before that,
    /// [`Self::rbm`] is still the machine of the last epoch.
    ///
    /// # Errors
    /// As for [`Self::epoch`].
    pub fn advance(&mut self, minibatches: usize) -> Result<Option<Epoch>> {
        let mut pass = self.pass.take().unwrap_or_else(|| self.new_pass());
        let order = std::mem::take(&mut pass.order);
        for rows in order.chunks(self.options.minibatch).skip(pass.minibatches).take(minibatches) {
            let outcome = self.minibatch(rows, &mut pass.hidden_lanes, &mut pass.visible_lanes)?;
            pass.minibatches += 1;
            if !(outcome.squared_error.is_finite() && outcome.gradient_squares.is_finite() && outcome.weight_squares.is_finite()) {
                return Err(self.not_finite(&format!("minibatch {}", pass.minibatches)));
            }
            pass.squared_error += outcome.squared_error;
            pass.gradient_squares = outcome.gradient_squares;
        }
        pass.order = order;
        if pass.minibatches < self.minibatches_per_epoch() {
            self.pass = Some(pass);
            return Ok(None);
        }
        self.end_epoch(&pass).map(Some)
    }

    /// How many minibatches are done of the epoch that has begun; 0 between epochs.
    pub fn minibatches_done(&self) -> usize {
        self.pass.as_ref().map_or(0, |pass| pass.minibatches)
    }

    /// How many minibatches make an epoch.
    pub fn minibatches_per_epoch(&self) -> usize {
        self.data.samples().div_ceil(self.options.minibatch)
    }

    fn end_epoch(&mut self, pass: &Pass) -> Result<Epoch> {
        self.rbm = self.machine.to_rbm();
        let (weight_norm, weight_maximum) = monitor::weight_size(&self.rbm);
        let record = Epoch {
            reconstruction_error: pass.squared_error / (pass.order.len() * self.machine.visible) as f64,
            free_energy_gap: monitor::free_energy_gap(self.set, &self.machine, self.data, self.held_out),
            weight_norm,
            weight_maximum,
            gradient_norm: (pass.gradient_squares / (self.machine.visible * self.machine.hidden) as f64).sqrt(),
        };
        let watched = [record.reconstruction_error, record.free_energy_gap, weight_norm, weight_maximum, record.gradient_norm];
        if !self.rbm.is_finite() || watched.iter().any(|number| !number.is_finite()) {
            return Err(self.not_finite("the end of the epoch"));
        }
        self.epochs += 1;
        Ok(record)
    }

    fn not_finite(&self, place: &str) -> Error {
        Error::NotFinite(format!(
            "layer {}, epoch {} of {}, {place}: the weights or their gradient are no longer finite numbers of single precision; write a lower learning_rate for this layer than {:e}",
            self.options.layer + 1,
            self.epochs + 1,
            self.options.epochs,
            self.options.learning_rate
        ))
    }

    /// One step of learning from the samples `rows`.
    fn minibatch(&mut self, rows: &[usize], hidden_lanes: &mut [LaneStream], visible_lanes: &mut [LaneStream]) -> Result<Outcome> {
        let (set, shards) = (self.set, self.options.shards);
        let own = self.exchange.own_shards(shards);
        let bound = |shard: usize| (rows.len() as u128 * shard as u128 / shards as u128) as usize;
        let first = bound(own.start);
        let strips: Vec<Range<usize>> = own.clone().map(|shard| bound(shard) - first..bound(shard + 1) - first).collect();
        let own_rows = &rows[first..bound(own.end)];
        let samples = own_rows.len();

        let mut data = Units::like(self.data);
        data.load(self.data, own_rows.iter().copied());
        let mut hidden = vec![0u16; self.machine.hidden_panels() * samples];
        let mut data_hidden = vec![Vector::ZERO; self.machine.hidden_panels() * samples];
        gibbs::activate_and_sample(set, Conditional::Hidden(&self.machine, &data), &strips, hidden_lanes, &mut data_hidden, &mut hidden);

        let (mut model, mut errors) = (Units::default(), vec![0.0; strips.len()]);
        let mut model_hidden = vec![Vector::ZERO; data_hidden.len()];
        for step in 1..=self.options.gibbs_steps {
            let given = Units::Bits(std::mem::take(&mut hidden));
            let compared = (step == 1).then_some(&data);
            model = self.reconstruct(&given, compared, &strips, visible_lanes, &mut errors);
            let layer = Conditional::Hidden(&self.machine, &model);
            if let (true, Units::Bits(mut states)) = (step < self.options.gibbs_steps, given) {
                gibbs::sample(set, layer, &strips, hidden_lanes, &mut states);
                hidden = states;
            } else {
                gibbs::activate(set, layer, samples, &mut model_hidden);
            }
        }

        let sides = [Side { visible: &data, hidden: &data_hidden }, Side { visible: &model, hidden: &model_hidden }];
        let choices = std::mem::take(&mut self.choices);
        let statistics = Statistics::new(set, sides, &strips, &self.machine, choices);
        let outcome = self.learn(&statistics, &errors, rows.len());
        self.choices = statistics.into_memory();
        outcome
    }

    /// Draws the visible layer given the hidden one. With `compared`, adds the squared distance of its probabilities from these units to the strips' `errors`.
    fn reconstruct(
        &self,
        hidden: &Units,
        compared: Option<&Units>,
        strips: &[Range<usize>],
        lanes: &mut [LaneStream],
        errors: &mut [f64],
    ) -> Units {
        let (set, machine) = (self.set, &self.machine);
        let samples = strips.last().map_or(0, |strip| strip.end);
        let layer = Conditional::Visible(machine, hidden);
        let distance = |panel: usize, strip: &Range<usize>, probabilities: &[Vector]| match compared {
            None => 0.0,
            Some(Units::Bits(bits)) => activation::squared_distance_to_bits(set, &bits[panel * samples..][strip.clone()], probabilities),
            Some(Units::Numbers(units)) => activation::squared_distance(set, &units[panel * samples..][strip.clone()], probabilities),
        };
        let distances: Vec<Vec<f64>>;
        let units;
        if self.options.reconstruction == Reconstruction::Probabilities {
            let mut probabilities = vec![Vector::ZERO; machine.visible_panels() * samples];
            gibbs::activate(set, layer, samples, &mut probabilities);
            let of_panel =
                |(panel, all): (usize, &[Vector])| strips.iter().map(|strip| distance(panel, strip, &all[strip.clone()])).collect();
            distances = probabilities.par_chunks(samples.max(1)).enumerate().map(of_panel).collect();
            units = Units::Numbers(probabilities);
        } else {
            let mut bits = vec![0u16; machine.visible_panels() * samples];
            if compared.is_none() || samples == 0 {
                gibbs::sample(set, layer, strips, lanes, &mut bits);
                return Units::Bits(bits);
            }
            let lots = bits.par_chunks_mut(ABREAST * samples).zip(lanes.par_chunks_mut(ABREAST * strips.len())).enumerate();
            let of_lots: Vec<Vec<Vec<f64>>> = lots
                .with_min_len(layer.least_lots(samples))
                .map_init(
                    || vec![Vector::ZERO; ABREAST * samples],
                    |fields, (index, (bits, lanes))| {
                        let (panels, fields) = (lot(index, layer.panels()), &mut fields[..bits.len()]);
                        layer.fields(set, panels.clone(), fields);
                        gibbs::activate_lot(set, layer, panels.clone(), strips, lanes, fields, bits);
                        let of_panel = |(panel, fields): (usize, &[Vector])| {
                            strips.iter().map(|strip| distance(panel, strip, &fields[strip.clone()])).collect()
                        };
                        panels.zip(fields.chunks_exact(samples)).map(of_panel).collect()
                    },
                )
                .collect();
            distances = of_lots.concat();
            units = Units::Bits(bits);
        }
        for of_panel in distances {
            errors.iter_mut().zip(of_panel).for_each(|(error, distance)| *error += distance);
        }
        units
    }
}

#[cfg(test)]
mod tests;
