//! What the report says about one ensemble in several places: its name, its deviations, the length of its chains.

use super::number;
use crate::record::{Ensemble, Observable};

/// (mean - exact) / error; infinite if they differ without an error, `None` without an exact value or with numbers that are not finite.
pub(super) fn deviation(observable: &Observable) -> Option<f64> {
    let exact = observable.exact?;
    let (mean, error) = (observable.estimate.mean, observable.estimate.error);
    if !(exact.is_finite() && mean.is_finite() && error.is_finite()) {
        return None;
    }
    if error > 0.0 {
        Some((mean - exact) / error)
    } else if (mean - exact).abs() <= 1e-9 * exact.abs().max(1.0) {
        Some(0.0)
    } else {
        Some((mean - exact).signum() * f64::INFINITY)
    }
}

/// Deviations beyond this many standard errors are warned of.
pub(super) const LARGE_DEVIATION: f64 = 4.0;

/// Chains shorter than this many autocorrelation times are warned of.
pub(super) const SHORT_CHAIN: f64 = 100.0;

/// A coupling without trailing zeros and with at most seven digits.
pub(super) fn coupling(value: f64) -> String {
    if value.is_finite() { format!("{}", (value * 1e7).round() / 1e7).replace('-', "−") } else { number::DASH.to_string() }
}

/// "L = 40, K = 0.408", plain text.
pub(super) fn name(ensemble: &Ensemble) -> String {
    format!("L = {}, K = {}", ensemble.size, coupling(ensemble.coupling))
}

/// The observable of a name.
pub(super) fn observable<'a>(ensemble: &'a Ensemble, name: &str) -> Option<&'a Observable> {
    ensemble.observables.iter().find(|observable| observable.name == name)
}

/// Measurements of the shortest chain.
pub(super) fn shortest_chain(ensemble: &Ensemble) -> usize {
    ensemble.draws().into_iter().min().unwrap_or(0)
}

/// The observable with the longest autocorrelation time, and that time in draws.
pub(super) fn slowest(ensemble: &Ensemble) -> Option<(&Observable, f64)> {
    ensemble
        .observables
        .iter()
        .map(|observable| (observable, observable.estimate.autocorrelation_time))
        .filter(|(_, time)| time.is_finite())
        .max_by(|(_, one), (_, other)| one.total_cmp(other))
}

/// An algorithm of the run file by its proper name, as it starts a sentence: HTML.
pub(super) fn algorithm(name: &str) -> String {
    match name {
        "swendsen-wang" => "Swendsen–Wang".to_string(),
        "wolff" => "Wolff".to_string(),
        "metropolis" => "Metropolis".to_string(),
        "heat-bath" => "Heat-bath".to_string(),
        other => super::html::escape(other),
    }
}
