//! Contrastive divergence: the trainer of one layer. Read [`Trainer::epoch`], then `minibatch`, then `train/gradient.rs` (the sums) and `learn` (the step).
//!
//! As in the code of Hinton and Salakhutdinov (Science 313, 504 (2006)): the statistics of the data take the hidden probabilities, drawn hidden states drive
//! the reconstruction, and the statistics of the model take the last hidden probabilities. Of the reconstruction the drawn states are taken by default
//! ([`super::Reconstruction`]), so that CD-k for large k is the exact gradient and the kernels for bits serve.
//!
//! A minibatch is cut into shards, contiguous and as even as can be. Each shard has its own random streams, new in every epoch, and its own sums, which
//! are added in the order of the shards. Ranks own shards, threads take panels of units: neither can be seen in the result. All ranks hold the whole
//! training data and the same machine, and call everything together.

mod gradient;

use super::gibbs::{self, Conditional};
use super::monitor::{self, Epoch};
use super::panels::{Machine, Units, WIDTH, mask};
use super::{GradientKind, Rbm, Reconstruction, TrainingData, TrainingOptions, VisibleBias};
use crate::error::{Error, Result};
use crate::kernels::float_vector::Vector;
use crate::kernels::statistics::Choices;
use crate::kernels::update::{self, Squares, Step};
use crate::kernels::{InstructionSet, activation};
use crate::random::{LaneStream, Purpose, Stream};
use gradient::{Scratch, Side, Statistics};
use rayon::prelude::*;
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

/// All that a trainer must remember between two epochs, the same on every rank. The numbers are, one after the other: W (row-major, visible by hidden), c, b in the
/// coordinates of the gradient ([`GradientKind`]), then the last steps of W, c, b.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Snapshot {
    /// Epochs done.
    pub epochs: u64,
    /// Parameters and their last steps.
    pub numbers: Vec<f32>,
}

/// Numbers sent at once between ranks, about: 4 MiB, whatever the number of shards and units.
const GATHERED: usize = 1 << 20;

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
    choices: Vec<Choices>,
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
        let mut trainer =
            Trainer { set, data, held_out, options, exchange, machine, biases, velocity, rbm, epochs: 0, choices: Vec::new() };
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
        Snapshot { epochs: self.epochs, numbers }
    }

    /// Goes on from a snapshot of a trainer with the same options and data.
    ///
    /// # Errors
    /// [`Error::Refused`] if it belongs to a machine of another shape.
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
        Ok(())
    }

    /// One pass over the training data in a new order.
    ///
    /// # Errors
    /// [`Error::NotFinite`] naming layer, epoch and minibatch if a parameter, a gradient or the reconstruction error stops being a finite number, or a
    /// parameter is so large that its square is not one; what the exchange fails with.
    pub fn epoch(&mut self) -> Result<Epoch> {
        let TrainingOptions { seed, layer, shards, minibatch, .. } = self.options;
        let mut order: Vec<usize> = (0..self.data.samples()).collect();
        Stream::new(seed, Purpose::Shuffle, layer << 32 | self.epochs).shuffle(&mut order);
        let own = self.exchange.own_shards(shards);
        // Streams: layer, epoch, shard, panel; the visible panels are counted from 2^19.
        let epoch = self.epochs;
        let name = |first: u64| move |panel: usize, shard: usize| layer << 56 | epoch << 32 | (shard as u64) << 20 | (panel as u64 + first);
        let mut hidden_lanes = gibbs::streams(seed, Purpose::TrainingGibbs, self.machine.hidden_panels(), own.clone(), name(0));
        let mut visible_lanes = gibbs::streams(seed, Purpose::TrainingGibbs, self.machine.visible_panels(), own, name(1 << 19));

        let (mut squared_error, mut gradient_squares) = (0.0, 0.0);
        for (index, rows) in order.chunks(minibatch).enumerate() {
            let outcome = self.minibatch(rows, &mut hidden_lanes, &mut visible_lanes)?;
            if !(outcome.squared_error.is_finite() && outcome.gradient_squares.is_finite() && outcome.weight_squares.is_finite()) {
                return Err(self.not_finite(&format!("minibatch {}", index + 1)));
            }
            squared_error += outcome.squared_error;
            gradient_squares = outcome.gradient_squares;
        }
        self.rbm = self.machine.to_rbm();
        let (weight_norm, weight_maximum) = monitor::weight_size(&self.rbm);
        let record = Epoch {
            reconstruction_error: squared_error / (order.len() * self.machine.visible) as f64,
            free_energy_gap: monitor::free_energy_gap(self.set, &self.machine, self.data, self.held_out),
            weight_norm,
            weight_maximum,
            gradient_norm: (gradient_squares / (self.machine.visible * self.machine.hidden) as f64).sqrt(),
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
        let statistics = Statistics::new(set, sides, &strips, self.machine.visible_panels(), choices);
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
            let panels = bits.par_chunks_mut(samples).zip(lanes.par_chunks_mut(strips.len())).enumerate();
            distances = panels
                .map_init(
                    || vec![Vector::ZERO; samples],
                    |fields, (panel, (bits, lanes))| {
                        layer.fields(set, panel, fields);
                        let mut distances = Vec::with_capacity(strips.len());
                        for (strip, stream) in strips.iter().zip(lanes) {
                            let fields = &mut fields[strip.clone()];
                            activation::activate_and_sample(set, fields, layer.mask(panel), &mut stream.lanes, &mut bits[strip.clone()]);
                            distances.push(distance(panel, strip, fields));
                        }
                        distances
                    },
                )
                .collect();
            units = Units::Bits(bits);
        }
        for of_panel in distances {
            errors.iter_mut().zip(of_panel).for_each(|(error, distance)| *error += distance);
        }
        units
    }

    /// Brings the sums of all shards together, panel by panel, and takes the step.
    fn learn(&mut self, statistics: &Statistics, errors: &[f64], samples: usize) -> Result<Outcome> {
        let (set, shards, exchange) = (self.set, self.options.shards, self.exchange);
        let (rows, visible_panels, hidden_panels) = (self.machine.rows(), self.machine.visible_panels(), self.machine.hidden_panels());
        let alone = exchange.own_shards(shards) == (0..shards);

        // What is small comes first, all panels at once: sums over visible units, over hidden units, and the reconstruction error.
        let panels = visible_panels + hidden_panels;
        let small = |strip: usize| {
            let sums = (0..panels).into_par_iter().map(|panel| {
                if panel < visible_panels {
                    statistics.visible_sums(panel, strip)
                } else {
                    statistics.hidden_sums(panel - visible_panels, strip)
                }
            });
            let mut numbers: Vec<f32> = sums.collect::<Vec<Vector>>().into_iter().flat_map(|sum| sum.0).collect();
            numbers.push(errors[strip] as f32);
            numbers
        };
        let own: Vec<f32> = (0..statistics.strips()).flat_map(small).collect();
        let length = panels * WIDTH + 1;
        let mut all = vec![0.0; shards * length];
        exchange.gather(shards, &own, &mut all)?;
        let mut bias_sums = vec![Vector::ZERO; panels];
        let mut squared_error = 0.0;
        for shard in all.chunks_exact(length) {
            bias_sums.iter_mut().zip(shard.chunks_exact(WIDTH)).for_each(|(sum, numbers)| add_numbers(sum, numbers));
            squared_error += f64::from(shard[length - 1]);
        }
        let (visible_sums, hidden_sums) = bias_sums.split_at(visible_panels);

        let options = &self.options;
        let step = Step { scale: 1.0 / samples as f32, learning_rate: options.learning_rate, momentum: options.momentum, l1: options.l1 };
        // The centred gradient is <v h> - <v>/2 - <h>/2.
        let half = if options.gradient == GradientKind::Centred { 0.5 * step.scale } else { 0.0 };
        let (visible, hidden) = (self.machine.visible, self.machine.hidden);
        let visible_shift: Vec<f32> = visible_sums.iter().flat_map(|sum| sum.0).take(visible).map(|sum| half * sum).collect();
        let take_step = |panel: usize, sums: &[Vector], weights: &mut [Vector], velocity: &mut [Vector]| {
            let hidden_shift = Vector(hidden_sums[panel].0.map(|sum| half * sum));
            update::learn(set, sums, &visible_shift, &hidden_shift, mask(panel, hidden), &step, velocity, weights)
        };

        let mut squares: Vec<Squares> = Vec::with_capacity(hidden_panels);
        let at_once = if alone { hidden_panels } else { (GATHERED / (shards * rows * WIDTH)).clamp(1, hidden_panels) };
        let blocks = self.machine.weights.chunks_mut(at_once * rows).zip(self.velocity.weights.chunks_mut(at_once * rows));
        for (block, (weights, velocity)) in blocks.enumerate() {
            let first = block * at_once;
            let count = weights.len() / rows;
            let gathered = if alone { Vec::new() } else { gather_products(statistics, exchange, shards, first..first + count, rows)? };
            let panels = weights.par_chunks_mut(rows).zip(velocity.par_chunks_mut(rows)).enumerate();
            let found: Vec<Squares> = panels
                .map_init(
                    || Scratch::new(rows),
                    |scratch, (index, (weights, velocity))| {
                        scratch.total.fill(Vector::ZERO);
                        if alone {
                            (0..statistics.strips()).for_each(|strip| statistics.add_products(first + index, strip, scratch));
                        } else {
                            for shard in gathered.chunks_exact(count * rows * WIDTH) {
                                let numbers = shard[index * rows * WIDTH..].chunks_exact(WIDTH);
                                scratch.total.iter_mut().zip(numbers).for_each(|(sum, numbers)| add_numbers(sum, numbers));
                            }
                        }
                        take_step(first + index, &scratch.total, weights, velocity)
                    },
                )
                .collect();
            squares.extend(found);
        }

        let velocities = [&mut self.velocity.visible_bias, &mut self.velocity.hidden_bias];
        let mut bias_squares = 0.0;
        for ((biases, velocities), sums) in self.biases.iter_mut().zip(velocities).zip([visible_sums, hidden_sums]) {
            for ((bias, velocity), sum) in biases.iter_mut().zip(velocities).zip(sums) {
                let kept = Vector(velocity.0.map(|velocity| step.momentum * velocity));
                *velocity = kept.plus_product(step.learning_rate, &Vector(sum.0.map(|sum| step.scale * sum)));
                *bias = bias.plus(velocity);
                bias_squares += Vector(bias.0.map(|bias| bias * bias)).sum();
            }
        }
        self.set_biases();
        Ok(Outcome {
            squared_error,
            gradient_squares: squares.iter().map(|squares| squares.gradient.sum()).sum(),
            weight_squares: squares.iter().map(|squares| squares.weights.sum()).sum::<f64>() + bias_squares,
        })
    }

    /// The biases of the machine from those in the coordinates of the gradient: c = c' - W 1/2 and b = b' - W^T 1/2 if it is centred.
    fn set_biases(&mut self) {
        let [visible, hidden] = &self.biases;
        let Machine { weights, visible_bias, hidden_bias, .. } = &mut self.machine;
        visible_bias.clone_from(visible);
        hidden_bias.clone_from(hidden);
        let rows = visible_bias.len() * WIDTH;
        if self.options.gradient == GradientKind::Plain {
            return;
        }
        let set = self.set;
        visible_bias.par_iter_mut().enumerate().for_each(|(panel, bias)| {
            let mut sums = [Vector::ZERO; WIDTH];
            weights.chunks_exact(rows).for_each(|weights| update::accumulate(set, &weights[panel * WIDTH..(panel + 1) * WIDTH], &mut sums));
            bias.0.iter_mut().zip(&sums).for_each(|(bias, sum)| *bias -= (0.5 * sum.sum()) as f32);
        });
        hidden_bias.par_iter_mut().zip(weights.par_chunks_exact(rows)).for_each(|(bias, weights)| {
            let half = Vector(update::total(set, weights).0.map(|sum| -0.5 * sum));
            *bias = bias.plus(&half);
        });
    }
}

/// The sums of v_i p_j of every shard for some hidden panels, shard after shard.
fn gather_products(
    statistics: &Statistics,
    exchange: &dyn ShardExchange,
    shards: usize,
    panels: Range<usize>,
    rows: usize,
) -> Result<Vec<f32>> {
    let length = rows * WIDTH;
    let mut own = vec![0f32; statistics.strips() * panels.len() * length];
    own.par_chunks_mut(length).enumerate().for_each_init(
        || Scratch::new(rows),
        |scratch, (place, numbers)| {
            scratch.total.fill(Vector::ZERO);
            statistics.add_products(panels.start + place % panels.len(), place / panels.len(), scratch);
            numbers.chunks_exact_mut(WIDTH).zip(&scratch.total).for_each(|(numbers, sum)| numbers.copy_from_slice(&sum.0));
        },
    );
    let mut all = vec![0f32; shards * panels.len() * length];
    exchange.gather(shards, &own, &mut all)?;
    Ok(all)
}

fn add_numbers(sum: &mut Vector, numbers: &[f32]) {
    sum.0.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
}

#[cfg(test)]
mod tests;
