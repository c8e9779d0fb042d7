//! The bootstrap beside the jackknife: the blocks of every size are drawn anew with replacement, each size by itself, and the whole way from the joined ensembles to the results is gone
//! again, slopes and weights included; only the smallest sizes of the fits stay. The spread of the results is their error, and its quantiles show what an error alone does not: a skew law.
//!
//! A block is much longer than the memory of the chains, so that blocks are independent draws. The random numbers are those of one fixed stream: the same data give the same errors.

use super::features::Size;
use super::fits::Chosen;
use super::pipeline::Function;
use crate::ledger::kept_numbers;
use crate::random::{Purpose, Stream};
use crate::statistics::reweighting::{Averages, Begin, Reweighting};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Resamples: an error of 5 % of the error.
pub const RESAMPLES: u64 = 200;
/// The seed of the stream.
const SEED: u64 = 0;

/// What the bootstrap says of a result.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// The standard error.
    pub error: f64,
    /// The quantiles at 16 % and 84 %.
    pub interval: [f64; 2],
}

/// A fit at the critical coupling: its data of each size, the fit, and what is made of the first parameter.
pub(super) type Power<'a> = (&'a [Function<'static>], &'a Chosen, fn(f64) -> f64);

/// The fits that were chosen, and where the curves were expanded.
pub(super) struct Way<'a> {
    /// The sizes.
    pub sizes: &'a [Size<'a>],
    /// The coupling at which the curves were expanded for the critical coupling.
    pub start: f64,
    /// The curves whose crossing it is.
    pub curves: &'a [Function<'static>],
    /// Their slopes.
    pub slopes: &'a [Function<'static>],
    /// The fit of critical coupling and amplitudes.
    pub critical: &'a Chosen,
    /// The fits at the critical coupling.
    pub powers: Vec<Power<'a>>,
}

impl Way<'_> {
    /// From one ensemble a size, whose blocks are there so many times, to the results: critical coupling, amplitudes, then one number for each of the powers.
    fn go(&self, ensembles: &[(Vec<f64>, Reweighting)]) -> Option<Vec<f64>> {
        let parameters = |chosen: &Chosen, coupling: f64, functions: &[Function<'static>], measured: &[Function<'static>]| {
            let kept = self.sizes.iter().zip(ensembles).filter(|(size, _)| size.size >= chosen.smallest_size);
            let (times, averages): (Vec<&[f64]>, Vec<Averages>) = kept.map(|(_, (times, one))| (&times[..], one.at(coupling))).unzip();
            let times: Vec<&[f64]> = times.into_iter().flat_map(|times| vec![times; functions.len()]).collect();
            let all =
                |of: &[Function<'static>]| -> Vec<f64> { averages.iter().flat_map(|averages| of.iter().map(|of| of(averages))).collect() };
            chosen.model.fit(&times, &all(functions), all(measured).into_iter().map(|slope| -slope))
        };
        let found = parameters(self.critical, self.start, self.curves, self.slopes)?;
        let critical = self.start + found[0];
        let mut results = vec![critical];
        results.extend(&found[1..=self.curves.len()]);
        for (functions, chosen, quantity) in &self.powers {
            results.push(quantity(parameters(chosen, critical, functions, &[])?[0]));
        }
        Some(results)
    }

    /// The bootstrap of all results, in their order. Finished resamples are kept, so that a job that is interrupted goes on from there.
    pub fn bootstrap(&self) -> Vec<Bootstrap> {
        let ledger = self.sizes[0].ledger;
        let blocks = self.sizes[0].histograms.blocks();
        let one = |number: u64| {
            let mut stream = Stream::new(SEED, Purpose::Resampling, number);
            let ensembles: Vec<(Vec<f64>, Reweighting)> = self
                .sizes
                .iter()
                .map(|size| {
                    let mut times = vec![0.0; blocks];
                    (0..blocks).for_each(|_| times[stream.below(blocks as u64) as usize] += 1.0);
                    let ensemble = size.histograms.combine_times(&times, Begin::Near(size.replicates[0].free_energies()));
                    (times, ensemble)
                })
                .collect();
            // Blocks that fix no weights fix no result.
            self.go(&ensembles).unwrap_or_else(|| vec![f64::NAN; 1 + self.curves.len() + self.powers.len()])
        };
        let kept = |number: u64| kept_numbers(ledger, &format!("resample {number} of {blocks} blocks"), || one(number));
        let all: Vec<Vec<f64>> = (0..RESAMPLES).into_par_iter().map(kept).collect();
        let of_all = |result: usize| all.iter().map(|values| values[result]).filter(|value| value.is_finite()).collect();
        (0..all[0].len()).map(|result| spread(of_all(result), blocks)).collect()
    }
}

/// Error and quantiles. The variance of a mean over n blocks comes out too small by (n - 1) / n.
fn spread(mut values: Vec<f64>, blocks: usize) -> Bootstrap {
    if values.len() < 2 {
        return Bootstrap { error: f64::NAN, interval: [f64::NAN; 2] };
    }
    values.sort_unstable_by(f64::total_cmp);
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let quantile = |share: f64| values[((count - 1.0) * share).round() as usize];
    Bootstrap { error: (variance * blocks as f64 / (blocks as f64 - 1.0)).sqrt(), interval: [quantile(0.1587), quantile(0.8413)] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_of_means_over_resampled_blocks_is_the_error_of_the_mean() {
        // 4000 resamples of 16 numbers: the error of the mean to 2 %, its quantiles one error away.
        let mut stream = Stream::new(11, Purpose::Check, 0);
        let numbers: Vec<f64> = (0..16).map(|_| stream.normal()).collect();
        let mean = numbers.iter().sum::<f64>() / 16.0;
        let error = (numbers.iter().map(|number| (number - mean).powi(2)).sum::<f64>() / 15.0 / 16.0).sqrt();
        let means: Vec<f64> = (0..4000).map(|_| (0..16).map(|_| numbers[stream.below(16) as usize]).sum::<f64>() / 16.0).collect();
        let found = spread(means, 16);
        assert!((found.error / error - 1.0).abs() < 0.05, "{found:?} {error}");
        assert!((found.interval[0] - (mean - error)).abs() < 0.12 * error && (found.interval[1] - (mean + error)).abs() < 0.12 * error);
    }
}
