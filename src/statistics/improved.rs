//! Susceptibility, Binder cumulant and correlation length from the improved estimators of the draws ([`crate::measure::clusters`]), beside those of [`super::observables_on`].

use super::autocorrelation;
use super::{Estimate, NamedEstimate, with_length};
use crate::lattice::Geometry;
use crate::measure::Series;

/// What the improved estimators of the chains of one ensemble give, under the names of [`super::observables_on`]: of `susceptibility`, `binder_cumulant` and
/// `correlation_length_over_side` those for which there are numbers in every draw. A function of means has the error of its influence function (linear propagation), by the Gamma method.
pub fn observables(geometry: Geometry, side: usize, chains: &[Series]) -> Vec<NamedEstimate> {
    let draws: usize = chains.iter().map(Series::len).sum();
    if draws < 2 || chains.iter().any(|chain| chain.improved.len() != chain.len()) {
        return Vec::new();
    }
    let mean = |part: usize| -> f64 {
        let of_chain = |chain: &Series| chain.improved.iter().map(|moments| moments.numbers()[part]).sum::<f64>();
        chains.iter().map(of_chain).sum::<f64>() / draws as f64
    };
    let [square, fourth, wave] = [mean(0), mean(1), mean(2)];
    // The value at the means, with the error of the mean of `gradient` times the draws.
    let linear = |value: f64, gradient: [f64; 3]| -> Estimate {
        let influence = |chain: &Series| {
            let of_draw = |numbers: [f64; 3]| -> f64 {
                gradient.iter().zip(numbers).filter(|(slope, _)| **slope != 0.0).map(|(slope, number)| slope * number).sum()
            };
            chain.improved.iter().map(|moments| of_draw(moments.numbers())).collect::<Vec<f64>>()
        };
        let estimate = autocorrelation::analyse(chains.iter().map(influence).collect()).expect("at least two draws").estimate();
        Estimate { mean: value, ..estimate }
    };
    let sites = side.pow(geometry.dimension() as u32) as f64;
    let mut found = vec![("susceptibility", "susceptibility <M^2>/N", linear(sites * square, [sites, 0.0, 0.0]))];
    if !fourth.is_nan() {
        let (value, slope) = (fourth / (3.0 * square * square), 1.0 / (3.0 * square * square));
        found.push(("binder_cumulant", "Binder cumulant", linear(1.0 - value, [2.0 * value / square, -slope, 0.0])));
    }
    if !wave.is_nan() && wave > 0.0 {
        let excess = linear(square / wave - 1.0, [1.0 / wave, 0.0, -square / (wave * wave)]);
        found.push(("correlation_length_over_side", "second-moment correlation length over L", with_length(side, excess)));
    }
    let named = |(name, long_name, estimate): (&str, &str, Estimate)| NamedEstimate {
        name: name.to_string(),
        long_name: long_name.to_string(),
        units: "1".to_string(),
        estimate,
    };
    found.into_iter().map(named).collect()
}
