//! All that a trainer must remember: between two minibatches it can become a snapshot, and another trainer goes on from there with the same bits.

use super::{Pass, Trainer};
use crate::error::{Error, Result};
use crate::random::LaneStream;
use crate::rbm::panels::Machine;
use crate::rbm::{Matrix, Rbm};
use std::collections::BTreeMap;

/// All that a trainer must remember between two minibatches. The numbers are, one after the other: W (row-major, visible by hidden), c, b in the
/// coordinates of the gradient (`gradient` of the options), then the last steps of W, c, b.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Snapshot {
    /// Epochs done.
    pub epochs: u64,
    /// Parameters and their last steps, the same on every rank.
    pub numbers: Vec<f32>,
    /// The epoch that has begun, if one has.
    pub pass: Option<PassSnapshot>,
    /// The persistent chains of each shard, by its number, as words; none for methods without. As with the streams, those of all ranks belong into a checkpoint.
    pub chains: BTreeMap<usize, Vec<u64>>,
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

impl Trainer<'_> {
    /// What [`Self::restore`] needs to go on with the same bits. All ranks call it together.
    pub fn snapshot(&mut self) -> Snapshot {
        self.gather_velocity();
        let mut parameters = self.machine.clone();
        let mut numbers = Vec::new();
        [parameters.visible_bias, parameters.hidden_bias] = self.biases.clone();
        for part in [parameters.to_rbm(), self.velocity.to_rbm()] {
            numbers.extend(part.weights.to_unpadded());
            numbers.extend(part.visible_bias);
            numbers.extend(part.hidden_bias);
        }
        let own = self.exchange.own_shards(self.options.shards);
        let chains = self.chains.iter().flat_map(|chains| own.clone().map(|shard| (shard, chains.words(shard)))).collect();
        Snapshot { epochs: self.epochs, numbers, pass: self.pass.as_ref().map(|pass| self.pass_snapshot(pass)), chains }
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
            rbm.weights = Matrix::from_unpadded(visible, hidden, weights);
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
        if let Some(chains) = &mut self.chains {
            for shard in self.exchange.own_shards(self.options.shards) {
                let words = snapshot.chains.get(&shard).ok_or_else(|| {
                    Error::Refused(format!(
                        "a snapshot lacks the persistent chains of layer {}: it belongs to another run",
                        self.options.layer + 1
                    ))
                })?;
                chains.restore(shard, words)?;
            }
        }
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
}
