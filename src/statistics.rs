//! From time series to numbers with error bars.
//!
//! Read in this order: [`autocorrelation`] (how much a chain remembers, and the error of a mean), [`jackknife`] (errors of functions of means: specific
//! heat, Binder cumulant), [`chi_squared`] (do counts follow a law), [`confidence`] (where a value lies), [`drift`] (are chains in equilibrium), then [`observables`] here, which puts them together for an ensemble of chains;
//! [`reweighting`] joins the couplings of a size, [`least_squares`] fits, [`scaling`] goes across the sizes, and [`relaxation`] follows how fast chains forget; [`improved`] reads clusters.
//!
//! The measured numbers are integers and are summed as integers; floating sums run chain by chain in the order of the draws, whatever the number of
//! threads, so that an analysis gives the same bits everywhere.

pub mod autocorrelation;
pub mod chi_squared;
pub mod confidence;
pub mod drift;
pub mod improved;
pub mod jackknife;
pub mod least_squares;
pub mod relaxation;
pub mod reweighting;
pub mod scaling;

use crate::lattice::Geometry;
use crate::measure::Series;
use jackknife::Moments;
use serde::{Deserialize, Serialize};

/// A mean with its error: the number people read.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The mean over all chains and draws.
    pub mean: f64,
    /// Its standard error, autocorrelation included.
    pub error: f64,
    /// Integrated autocorrelation time in draws (1/2 for independent draws).
    pub autocorrelation_time: f64,
    /// The number of independent draws worth as much: draws / (2 tau).
    pub effective_samples: f64,
}

impl Estimate {
    /// The estimate of `factor` times the quantity.
    pub fn scaled(self, factor: f64) -> Estimate {
        Estimate { mean: self.mean * factor, error: self.error * factor.abs(), ..self }
    }
}

/// An estimate with the words that belong to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NamedEstimate {
    /// The name in files, for example `energy_per_site`.
    pub name: String,
    /// The words of a figure's axis, for example "energy per site".
    pub long_name: String,
    /// "J", "k_B" or "1".
    pub units: String,
    /// The estimate.
    pub estimate: Estimate,
}

/// The jackknife needs at least this many blocks before its own error is small enough to be preferred to linear error propagation.
const FEWEST_BLOCKS: usize = 16;

/// [`observables_on`] the square torus.
pub fn observables(side: usize, coupling: f64, chains: &[Series]) -> Vec<NamedEstimate> {
    observables_on(Geometry::Square, side, coupling, chains)
}

/// All observables of the chains of one ensemble on the lattice of side L in d dimensions, N = L^d sites, at K = `coupling`:
///
/// | name | definition | units |
/// |---|---|---|
/// | `energy_per_site` | `<E>/N` | J |
/// | `specific_heat_per_site` | `K^2 (<E^2> - <E>^2)/N` | k_B |
/// | `absolute_magnetization` | `<abs(M)>/N` | 1 |
/// | `magnetization_squared` | `<M^2>/N^2` | 1 |
/// | `susceptibility` | `<M^2>/N` | 1 |
/// | `binder_cumulant` | `1 - <M^4>/(3 <M^2>^2)` | 1 |
/// | `correlation_length_over_side` | `xi/L = sqrt(<M^2>/<P> - 1)/(2 L sin(pi/L))`, P the power of the longest waves | 1 |
///
/// Means carry the error of the Gamma method; specific heat and Binder cumulant are corrected for bias and get their error from a jackknife over blocks of
/// at least ten autocorrelation times (linear propagation where the chains are too short for sixteen blocks). Of a
/// correlation length that is hardly above its noise there is the plain value with the error bar of its square. Fewer than two draws in all give an empty list.
pub fn observables_on(geometry: Geometry, side: usize, coupling: f64, chains: &[Series]) -> Vec<NamedEstimate> {
    if chains.iter().map(Series::len).sum::<usize>() < 2 {
        return Vec::new();
    }
    let sites = side.pow(geometry.dimension() as u32) as f64;
    let mean_of =
        |value: &dyn Fn(i64, i64) -> f64| autocorrelation::analyse(series_of(chains, value)).expect("at least two draws").estimate();

    let energy = mean_of(&|energy, _| energy as f64);
    let absolute = mean_of(&|_, magnetization| magnetization.abs() as f64 / sites);
    let squared = mean_of(&|_, magnetization| (magnetization as f64 / sites).powi(2));

    // A function of means fluctuates, to first order, like the mean of its influence function: that series tells how much it remembers.
    let energy_fluctuation = mean_of(&|value, _| coupling * coupling * (value as f64 - energy.mean).powi(2) / sites);
    let total = Moments::of(chains);
    let fourth = total.mean_fourth_power() / sites.powi(4);
    let binder_influence = mean_of(&|_, magnetization| {
        let square = (magnetization as f64 / sites).powi(2);
        if squared.mean > 0.0 {
            (2.0 * fourth * square / squared.mean - square * square) / (3.0 * squared.mean * squared.mean)
        } else {
            0.0
        }
    });

    let has_waves = chains.iter().all(|chain| chain.wave_power.len() == chain.len()) && total.mean_wave_power() > 0.0;
    let ratio_influence = has_waves.then(|| {
        let (square, power, ratio) = (total.mean_square(), total.mean_wave_power(), total.mean_square() / total.mean_wave_power());
        let of_chain = |chain: &Series| {
            let draws = chain.magnetization.iter().zip(&chain.wave_power);
            draws.map(|(&magnetization, wave)| ratio * ((magnetization as f64).powi(2) / square - wave / power)).collect()
        };
        autocorrelation::analyse(chains.iter().map(of_chain).collect()).expect("at least two draws").estimate()
    });

    let memories = [energy, squared, energy_fluctuation, binder_influence].into_iter().chain(ratio_influence);
    let slowest = memories.map(|estimate| estimate.autocorrelation_time).fold(0.5, f64::max);
    let blocks = jackknife::blocks(chains, 10.0 * slowest);
    let secondary = |influence: Estimate, quantity: &dyn Fn(&Moments) -> f64| {
        if influence.error == 0.0 {
            // Every draw is the same; a jackknife would only show rounding.
            return Estimate { mean: quantity(&total), ..influence };
        }
        let jackknife = jackknife::estimate(&blocks, quantity);
        let error = if blocks.len() >= FEWEST_BLOCKS { jackknife.error } else { influence.error };
        Estimate { mean: jackknife.mean, error, ..influence }
    };
    // Two draws are equally far from their mean, whatever they are: that says nothing of the error of their variance.
    let nothing_known = energy_fluctuation.error == 0.0 && energy.error > 0.0;
    let fluctuation = if nothing_known { Estimate { error: f64::INFINITY, ..energy_fluctuation } } else { energy_fluctuation };
    let specific_heat = secondary(fluctuation, &|moments| coupling * coupling * moments.energy_variance() / sites);
    let binder = secondary(binder_influence, &Moments::binder_cumulant);

    // In the cold a single block may have all the waves there are: without it nothing is known of the length, and so with it.
    let is_finite = |estimate: &Estimate| estimate.mean.is_finite() && estimate.error.is_finite();
    let excess = ratio_influence.map(|influence| secondary(influence, &|moments| moments.mean_square() / moments.mean_wave_power() - 1.0));
    let length = excess.filter(is_finite).map(|excess| {
        let length = with_length(side, excess);
        let is_sure = excess.error > 0.0 && is_sure([excess.mean, excess.error]);
        if is_sure { secondary(length, &|moments| moments.correlation_length_over_side(side)) } else { length }
    });
    let length = length.filter(is_finite);

    let observables = [
        ("energy_per_site", "energy per site", "J", energy.scaled(1.0 / sites)),
        ("specific_heat_per_site", "specific heat per site", "k_B", specific_heat),
        ("absolute_magnetization", "absolute magnetization per site", "1", absolute),
        ("magnetization_squared", "squared magnetization per site", "1", squared),
        ("susceptibility", "susceptibility <M^2>/N", "1", squared.scaled(sites)),
        ("binder_cumulant", "Binder cumulant", "1", binder),
    ];
    let length = length.map(|length| ("correlation_length_over_side", "second-moment correlation length over L", "1", length));
    let named = observables.into_iter().chain(length).map(|(name, long_name, units, estimate)| NamedEstimate {
        name: name.to_string(),
        long_name: long_name.to_string(),
        units: units.to_string(),
        estimate,
    });
    named.collect()
}

/// xi / L with its error from independent blocks of draws; not a number where nothing is known of it.
pub fn correlation_length_of_blocks(side: usize, blocks: &[Moments]) -> [f64; 2] {
    let jackknife = |quantity: &dyn Fn(&Moments) -> f64| jackknife::estimate(blocks, quantity).pair();
    let excess = jackknife(&|moments| moments.mean_square() / moments.mean_wave_power() - 1.0);
    let length =
        if is_sure(excess) { jackknife(&|moments| moments.correlation_length_over_side(side)) } else { length_of_excess(side, excess) };
    if length.iter().all(|number| number.is_finite()) { length } else { [f64::NAN; 2] }
}

/// [`length_of_excess`] with the memory of the excess.
fn with_length(side: usize, excess: Estimate) -> Estimate {
    let [mean, error] = length_of_excess(side, [excess.mean, excess.error]);
    Estimate { mean, error, ..excess }
}

/// Whether an excess of `<M^2>/<P>` over 1 is so far above zero, four standard errors, that its root is as good as normally distributed. Below, the bias of the root, of the order
/// error^2 / excess^(3/2), is not to be corrected.
fn is_sure([excess, error]: [f64; 2]) -> bool {
    excess > 4.0 * error
}

/// xi / L of an excess: the plain root. Its error is that of linear propagation where the excess is [sure](is_sure), else so large that no true value is more errors away than its square is:
/// |sqrt x - sqrt y| is at most |x - y| / sqrt x. An excess that is not above its error gives the root of that error, which says how much there may be.
fn length_of_excess(side: usize, [excess, error]: [f64; 2]) -> [f64; 2] {
    if !(excess.is_finite() && error.is_finite()) {
        return [f64::NAN; 2];
    }
    let scale = 0.5 / (side as f64 * (std::f64::consts::PI / side as f64).sin());
    let length = scale * excess.max(0.0).sqrt();
    if is_sure([excess, error]) {
        [length, error * length / (2.0 * excess)]
    } else if error > 0.0 {
        [length, scale * error / excess.max(error).sqrt()]
    } else {
        [length, 0.0]
    }
}

/// One floating number a draw, chain by chain.
fn series_of(chains: &[Series], value: &dyn Fn(i64, i64) -> f64) -> Vec<Vec<f64>> {
    let one = |chain: &Series| {
        chain.energy.iter().zip(&chain.magnetization).map(|(&energy, &magnetization)| value(energy, magnetization)).collect()
    };
    chains.iter().map(one).collect()
}
