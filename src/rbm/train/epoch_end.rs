//! The end of an epoch: what it was like, and what is said where its numbers are lost.

use super::chains::{PersistentChains, Swaps};
use super::{Pass, Trainer};
use crate::error::{Error, Result};
use crate::rbm::Method;
use crate::rbm::monitor::{self, Epoch};

impl Trainer<'_> {
    /// What the epoch was like that ends here; the next one begins.
    ///
    /// # Errors
    /// [`Error::NotFinite`] if a number of the machine or of its monitors is none; what the exchange fails with.
    pub(super) fn end_epoch(&mut self, pass: &Pass) -> Result<Epoch> {
        self.rbm = self.machine.to_rbm();
        let (weight_norm, weight_maximum) = monitor::weight_size(&self.rbm);
        let squared_error = match self.options.method {
            Method::ContrastiveDivergence => pass.squared_error / (self.samples() * self.machine.visible) as f64,
            _ => monitor::reconstruction_error(self.set, &self.machine, &self.data),
        };
        // Two of the monitors begin with the free energies of the held-out data.
        let held_out = monitor::free_energies(self.set, &self.machine, &self.held_out, self.held_out.samples());
        let [free_energy_gap, free_energy_gap_error] = self.free_energy_gap(&held_out);
        let record = Epoch {
            reconstruction_error: squared_error,
            free_energy_gap,
            free_energy_gap_error,
            pseudo_likelihood: monitor::pseudo_likelihood(self.set, &self.machine, &self.held_out, &held_out),
            weight_norm,
            weight_maximum,
            gradient_norm: (pass.gradient_squares / (self.machine.visible * self.machine.hidden) as f64).sqrt(),
            learning_rate: f64::from(self.options.learning_rate_in(self.epochs)),
        };
        let watched = [record.reconstruction_error, record.free_energy_gap, weight_norm, weight_maximum, record.gradient_norm];
        if !self.rbm.is_finite() || watched.iter().any(|number| !number.is_finite()) {
            return Err(self.not_finite("the end of the epoch"));
        }
        self.swap_rates = self.gather_swap_rates();
        self.epochs += 1;
        Ok(record)
    }

    /// The machine is lost at this place of the epoch.
    pub(super) fn not_finite(&self, place: &str) -> Error {
        let options = &self.options;
        Error::NotFinite(format!(
            "layer {}, epoch {} of {}, {place}: the weights or their gradient are no longer finite numbers of single precision. The learning rate of this epoch is {:e} (learning_rate = {:e}, \
             last_learning_rate = {:e}), and the first weights have the standard deviation {:e} (initial_weight): write smaller ones for this layer",
            options.layer + 1,
            self.epochs + 1,
            options.epochs,
            options.learning_rate_in(self.epochs),
            options.learning_rate,
            options.last_learning_rate.unwrap_or(options.learning_rate),
            options.initial_weight
        ))
    }

    /// The share of accepted exchanges of each pair of temperatures, over all shards; the counts begin anew.
    fn gather_swap_rates(&mut self) -> Vec<f64> {
        let Some(counts) = self.chains.as_mut().map(PersistentChains::take_swaps) else { return Vec::new() };
        let shards = self.options.shards;
        let pairs = self.options.inverse_temperatures().len() - 1;
        if pairs == 0 {
            return Vec::new();
        }
        // Counts travel in two parts that single precision holds exactly.
        let parts = |&count: &u64| [(count >> 20) as f32, (count & 0xF_FFFF) as f32];
        let own: Vec<f32> = counts.iter().flatten().flatten().flat_map(parts).collect();
        let mut all = vec![0.0; shards * pairs * 4];
        self.exchange.gather(shards, &own, &mut all);
        let mut total: Vec<Swaps> = vec![[0; 2]; pairs];
        for (place, parts) in all.chunks_exact(2).enumerate() {
            total[place / 2 % pairs][place % 2] += ((parts[0] as u64) << 20) + parts[1] as u64;
        }
        total.iter().map(|&[attempts, successes]| successes as f64 / attempts.max(1) as f64).collect()
    }
}
