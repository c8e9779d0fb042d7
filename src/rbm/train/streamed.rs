//! A trainer that is given its data minibatch by minibatch, and never holds them whole: what a layer needs that learns while the layers below it learn.

use super::{ShardExchange, Trainer};
use crate::error::Result;
use crate::random::{Purpose, Stream};
use crate::rbm::deep::{self, ActivationKind};
use crate::rbm::{TrainingData, TrainingOptions};
use std::borrow::Cow;

/// The order in which a layer meets its samples in an epoch, from 0.
pub fn order_of_samples(seed: u64, layer: u64, epoch: u64, samples: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..samples).collect();
    Stream::new(seed, Purpose::Shuffle, layer << 32 | epoch).shuffle(&mut order);
    order
}

impl Trainer<'static> {
    /// A trainer that owns its data.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn of_own(
        training: TrainingData,
        held_out: TrainingData,
        options: TrainingOptions,
        exchange: &'static dyn ShardExchange,
    ) -> Result<Self> {
        Trainer::of(Cow::Owned(training), Cow::Owned(held_out), options, exchange)
    }

    /// Its data: trained on, and held out.
    pub fn into_data(self) -> (TrainingData, TrainingData) {
        (self.data.into_owned(), self.held_out.into_owned())
    }
}

impl<'a> Trainer<'a> {
    /// A trainer of epochs of `samples` samples that come by [`Self::learn_from`]. It takes the number of its visible units, and the means for its first visible biases, from `first`.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn streamed(first: TrainingData, samples: usize, options: TrainingOptions, exchange: &'a dyn ShardExchange) -> Result<Self> {
        let nothing = TrainingData::Binary(crate::spins::BitMatrix::new(0, first.units()));
        let mut trainer = Trainer::of(Cow::Owned(first), Cow::Owned(nothing), options, exchange)?;
        trainer.streamed = Some(samples);
        Ok(trainer)
    }

    /// One step of learning from the next minibatch, whose samples are in the order of their shards.
    ///
    /// # Errors
    /// As for [`Self::epoch`].
    pub fn learn_from(&mut self, minibatch: TrainingData) -> Result<()> {
        let rows: Vec<usize> = (0..minibatch.samples()).collect();
        let mut pass = self.pass.take().unwrap_or_else(|| self.new_pass());
        let kept = std::mem::replace(&mut self.data, Cow::Owned(minibatch));
        let outcome = self.step(&mut pass, &rows);
        (self.data, self.pass) = (kept, Some(pass));
        outcome
    }

    /// Ends the epoch after its last minibatch. `training` are the first samples, `held_out` those that are never trained on, as this machine sees them now: what is
    /// watched of an epoch is about them, the reconstruction error of other methods than contrastive divergence as well.
    ///
    /// # Errors
    /// As for [`Self::epoch`].
    pub fn close_epoch(&mut self, training: TrainingData, held_out: TrainingData) -> Result<super::Epoch> {
        let pass = self.pass.take().unwrap_or_else(|| self.new_pass());
        (self.data, self.held_out) = (Cow::Owned(training), Cow::Owned(held_out));
        self.energies.forget_training();
        self.end_epoch(&pass)
    }

    /// What the layer above is given of some samples, by the machine as it is after the last step. Drawn states come from streams of `seed`.
    ///
    /// # Panics
    /// If the samples have another number of units than the machine sees.
    pub fn activities(&self, data: &TrainingData, kind: ActivationKind, seed: u64) -> TrainingData {
        assert_eq!(self.machine.visible, data.units(), "a machine sees one number a visible unit");
        deep::activations_of(&self.machine, data, kind, seed, 0)
    }
}
