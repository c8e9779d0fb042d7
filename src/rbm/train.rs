//! The trainer of one layer. Read [`Trainer::epoch`], then `minibatch`, then `train/gradient.rs` (the sums) and `train/learn.rs` (the step); `train/epoch_end.rs` tells what an epoch
//! was like. [`chains`] are the chains that outlive a minibatch, [`exact`] are the sums without chains and [`natural`] makes more of them, [`snapshot`] is what a checkpoint holds.
//!
//! As in the code of Hinton and Salakhutdinov (Science 313, 504 (2006)): the statistics of the data take the hidden probabilities, drawn hidden states drive
//! the reconstruction, and the statistics of the model take the last hidden probabilities. Of the reconstruction the drawn states are taken by default
//! ([`super::Reconstruction`]), so that CD-k for large k is the exact gradient and the kernels for bits serve.
//!
//! A minibatch is cut into shards, contiguous and as even as can be. Each shard has its own random streams, new in every epoch, and its own sums, which
//! are added in the order of a tree over the shards (`train/tree.rs`). Ranks own shards (`train/together.rs`), threads take panels of units: neither can be seen in the result. All ranks hold the whole
//! training data and the same machine, and call everything together.

pub mod chains;
mod epoch_end;
pub mod exact;
mod exchange;
pub mod gap;
mod gradient;
mod learn;
pub mod natural;
mod reconstruct;
pub mod snapshot;
mod streamed;
mod together;
mod tree;

pub use exchange::{Alone, ShardExchange};
pub use snapshot::{PassSnapshot, Snapshot};
pub use streamed::order_of_samples;

use super::awake::with_all_awake;
use super::gibbs::{self, Conditional};
use super::monitor::Epoch;
use super::panels::{Machine, Units, least_lots};
use super::{Method, Rbm, TrainingData, TrainingOptions, VisibleBias};
use crate::elementary::logarithm;
use crate::error::{Error, Result};
use crate::kernels::InstructionSet;
use crate::kernels::float_vector::Vector;
use crate::kernels::statistics::Choices;
use crate::random::{LaneStream, Purpose, Stream};
use chains::PersistentChains;
use gradient::{Side, Statistics};
use learn::Sums;
use std::borrow::Cow;
use std::ops::Range;

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
    data: Cow<'a, TrainingData>,
    held_out: Cow<'a, TrainingData>,
    /// The samples of an epoch, if they are given minibatch by minibatch.
    streamed: Option<usize>,
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
    messages: together::Messages,
    chains: Option<PersistentChains>,
    /// The probability of every visible state, for the exact method.
    law: Vec<f64>,
    /// The share of accepted exchanges of each pair of temperatures in the last epoch.
    swap_rates: Vec<f64>,
    energies: gap::Energies,
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
        Self::of(Cow::Borrowed(data), Cow::Borrowed(held_out), options, exchange)
    }

    /// The same with data that may be its own.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn of(
        data: Cow<'a, TrainingData>,
        held_out: Cow<'a, TrainingData>,
        options: TrainingOptions,
        exchange: &'a dyn ShardExchange,
    ) -> Result<Self> {
        options.validate(&data, &held_out)?;
        let mut rbm = Rbm::zero(data.units(), options.hidden);
        let mut stream = Stream::new(options.seed, Purpose::InitialWeights, options.layer);
        for row in 0..rbm.visible() {
            for (unit, weight) in rbm.weights.row_mut(row).iter_mut().enumerate() {
                let number = (f64::from(options.initial_weight) * stream.normal()) as f32;
                if options.initial_window.is_none_or(|window| window.holds(row, unit)) {
                    *weight = number;
                }
            }
        }
        if options.visible_bias == VisibleBias::LogOdds {
            let log_odds = |mean: f64| logarithm(mean / (1.0 - mean)) as f32;
            rbm.visible_bias = data.means().into_iter().map(|mean| log_odds(mean.clamp(1e-3, 1.0 - 1e-3))).collect();
        }
        let machine = Machine::from(&rbm);
        let biases = [machine.visible_bias.clone(), machine.hidden_bias.clone()];
        let velocity = Machine::zero(rbm.visible(), rbm.hidden());
        let set = InstructionSet::chosen();
        let chains = chains::of_method(&options, rbm.visible(), rbm.hidden(), exchange.own_shards(options.shards));
        let mut trainer = Trainer {
            set,
            data,
            held_out,
            streamed: None,
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
            messages: together::Messages::default(),
            chains,
            law: Vec::new(),
            swap_rates: Vec::new(),
            energies: gap::Energies::default(),
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

    /// The same trainer for data whose law is known: the probability of every visible state, in the order of their numbers (bit i is unit i). The exact method learns it.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is not one probability a state, or the states are too many.
    pub fn with_law(mut self, law: Vec<f64>) -> Result<Self> {
        let visible = self.machine.visible;
        if visible > exact::MOST_VISIBLE || law.len() != 1 << visible {
            return Err(Error::Usage(format!(
                "the exact method sums over the states of at most {} visible units, each with its probability; here are {visible} units and {} probabilities",
                exact::MOST_VISIBLE,
                law.len()
            )));
        }
        self.law = law;
        Ok(self)
    }

    /// Other data of the same shape, from the next epoch on or, inside an epoch, from the next minibatch on.
    ///
    /// # Panics
    /// If the shape differs.
    pub fn set_data(&mut self, data: TrainingData) {
        assert_eq!((data.samples(), data.units()), (self.data.samples(), self.data.units()), "fresh data have the shape of the old ones");
        self.data = Cow::Owned(data);
        self.energies.forget_training();
    }

    /// The training data, those of the present epoch if they are fresh.
    pub fn data(&self) -> &TrainingData {
        &self.data
    }

    /// The share of accepted exchanges of each pair of neighbouring temperatures in the last epoch; empty for other methods than the tempered one.
    pub fn swap_rates(&self) -> &[f64] {
        &self.swap_rates
    }

    /// The machine after the epochs done so far.
    pub fn rbm(&self) -> &Rbm {
        &self.rbm
    }

    /// The number of epochs done.
    pub fn epochs(&self) -> u64 {
        self.epochs
    }

    /// Changes the learning rate from the next epoch on, to a constant one.
    pub fn set_learning_rate(&mut self, learning_rate: f32) {
        (self.options.learning_rate, self.options.last_learning_rate) = (learning_rate, None);
    }

    /// The beginning of an epoch: a new order, new random streams.
    fn new_pass(&self) -> Pass {
        let TrainingOptions { seed, layer, shards, .. } = self.options;
        let order = if self.streamed.is_some() { Vec::new() } else { order_of_samples(seed, layer, self.epochs, self.data.samples()) };
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
        let is_worth_sharing = self.is_worth_sharing();
        let rows = order.chunks(self.options.minibatch).skip(pass.minibatches).take(minibatches);
        let steps = || rows.into_iter().try_for_each(|rows| self.step(&mut pass, rows));
        if is_worth_sharing {
            with_all_awake(steps)?
        } else {
            steps()?
        }
        pass.order = order;
        if pass.minibatches < self.minibatches_per_epoch() {
            self.pass = Some(pass);
            return Ok(None);
        }
        self.end_epoch(&pass).map(Some)
    }

    /// Whether a minibatch is work for several threads, all the time: not where they wait for data of others.
    fn is_worth_sharing(&self) -> bool {
        self.streamed.is_none() && least_lots(self.machine.visible, self.machine.hidden, self.options.minibatch) == 1
    }

    /// One minibatch of a pass.
    fn step(&mut self, pass: &mut Pass, rows: &[usize]) -> Result<()> {
        let outcome = self.minibatch(rows, &mut pass.hidden_lanes, &mut pass.visible_lanes).map_err(|error| match error {
            // The exact sums find it before a step is taken.
            Error::NotFinite(_) => self.not_finite(&format!("minibatch {}", pass.minibatches + 1)),
            other => other,
        })?;
        pass.minibatches += 1;
        if !(outcome.squared_error.is_finite() && outcome.gradient_squares.is_finite() && outcome.weight_squares.is_finite()) {
            return Err(self.not_finite(&format!("minibatch {}", pass.minibatches)));
        }
        pass.squared_error += outcome.squared_error;
        pass.gradient_squares = outcome.gradient_squares;
        Ok(())
    }

    /// How many minibatches are done of the epoch that has begun; 0 between epochs.
    pub fn minibatches_done(&self) -> usize {
        self.pass.as_ref().map_or(0, |pass| pass.minibatches)
    }

    /// How many minibatches make an epoch.
    pub fn minibatches_per_epoch(&self) -> usize {
        self.samples().div_ceil(self.options.minibatch)
    }

    /// The samples of an epoch.
    fn samples(&self) -> usize {
        self.streamed.unwrap_or(self.data.samples())
    }

    /// One step of learning from the samples `rows`.
    fn minibatch(&mut self, rows: &[usize], hidden_lanes: &mut [LaneStream], visible_lanes: &mut [LaneStream]) -> Result<Outcome> {
        match self.options.method {
            Method::ContrastiveDivergence => self.diverge(rows, hidden_lanes, visible_lanes),
            Method::Persistent | Method::Tempered => self.persist(rows),
            Method::Exact | Method::Natural => {
                let of = if self.options.method == Method::Natural { natural::direction } else { exact::gradient };
                let gradient = of(&self.machine.to_rbm(), &self.law)?;
                self.learn(&Sums::Exact(&gradient), &[], 1)
            }
        }
    }

    /// The samples of this rank's shards in a minibatch of the rows `rows`: the rows, and the strip of each shard among them.
    fn own_samples<'b>(&self, rows: &'b [usize]) -> (&'b [usize], Vec<Range<usize>>) {
        let shards = self.options.shards;
        let own = self.exchange.own_shards(shards);
        let bound = |shard: usize| gradient::bound(rows.len(), shards, shard);
        (&rows[bound(own.start)..bound(own.end)], gradient::strips(rows.len(), shards, own))
    }

    /// Data against the chains that go on from minibatch to minibatch.
    fn persist(&mut self, rows: &[usize]) -> Result<Outcome> {
        let set = self.set;
        let (own_rows, strips) = self.own_samples(rows);
        let mut data = Units::like(&self.data);
        data.load(&self.data, own_rows.iter().copied());
        let mut data_hidden = vec![Vector::ZERO; self.machine.hidden_panels() * own_rows.len()];
        gibbs::activate(set, Conditional::Hidden(&self.machine, &data), own_rows.len(), &mut data_hidden);

        let mut chains = self.chains.take().ok_or_else(|| Error::Bug("the persistent chains are lost.".to_string()))?;
        (0..self.options.gibbs_steps).for_each(|_| chains.sweep(set, &self.machine));
        let states = chains.states();
        // Both sides are divided by the samples of the minibatch.
        let weight = rows.len() as f32 / self.options.chains as f32;
        let model_hidden = chains.hidden_probabilities(set, &self.machine, &states, weight);
        let data_side = Side { visible: &data, hidden: &data_hidden, strips: &strips, weight: 1.0 };
        let model_side = Side { visible: &states, hidden: &model_hidden, strips: chains.strips(), weight };
        let choices = std::mem::take(&mut self.choices);
        let statistics = Statistics::new(set, [data_side, model_side], &self.machine, choices);
        let outcome = self.learn(&Sums::Samples(&statistics), &vec![0.0; strips.len()], rows.len());
        self.choices = statistics.into_memory();
        self.chains = Some(chains);
        outcome
    }

    /// Data against the chains that begin at them.
    fn diverge(&mut self, rows: &[usize], hidden_lanes: &mut [LaneStream], visible_lanes: &mut [LaneStream]) -> Result<Outcome> {
        let set = self.set;
        let (own_rows, strips) = self.own_samples(rows);
        let samples = own_rows.len();

        let mut data = Units::like(&self.data);
        data.load(&self.data, own_rows.iter().copied());
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

        let side = |visible, hidden| Side { visible, hidden, strips: &strips, weight: 1.0 };
        let sides = [side(&data, &data_hidden), side(&model, &model_hidden)];
        let choices = std::mem::take(&mut self.choices);
        let statistics = Statistics::new(set, sides, &self.machine, choices);
        let outcome = self.learn(&Sums::Samples(&statistics), &errors, rows.len());
        self.choices = statistics.into_memory();
        outcome
    }
}

#[cfg(test)]
mod tests;
