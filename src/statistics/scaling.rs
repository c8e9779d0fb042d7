//! Finite-size scaling: from the series of several sizes and couplings to the critical coupling, exponents and universal amplitudes.
//!
//! Reading order: this file (what is asked and what comes out), `features` (crossings, peaks, curves of the reweighted ensembles), `fits` (least squares with a correction to
//! scaling, from every smallest size on), `pipeline` (the whole way, done once for all draws and once for each block of draws left out: every error is that
//! of a jackknife over the whole pipeline, measured slopes and weights of the fits included, so that errors of intermediate numbers and their correlations are in it; the choice of the smallest
//! size alone is made once), `bootstrap` (the errors once more, from blocks drawn with replacement).
//!
//! Everything is told by the data: no exact value enters, except the exponent of the leading correction, which is stated in [`Scaling::correction_exponent`].

mod bootstrap;
mod features;
mod fits;
mod pipeline;

use super::least_squares::Goodness;
use crate::lattice::Geometry;
use crate::measure::Series;
use serde::{Deserialize, Serialize};

pub use bootstrap::{Bootstrap, RESAMPLES};
pub use fits::ACCEPTED;
pub use pipeline::{BLOCK_LENGTH, BLOCKS, FEWEST_BLOCKS, analyse, analyse_on};

/// All ensembles of one size.
#[derive(Debug, Clone)]
pub struct SizeData<'a> {
    /// L.
    pub size: usize,
    /// Couplings K with their chains.
    pub ensembles: Vec<(f64, &'a [Series])>,
}

/// A number with its standard error.
pub type WithError = [f64; 2];

/// A quantity that scaling determines, from the fit that was chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScalingResult {
    /// `critical_coupling`, `nu`, `beta_over_nu`, `gamma_over_nu`, `binder_cumulant_at_criticality`, `correlation_length_at_criticality`, `specific_heat_amplitude`.
    pub name: String,
    /// The words of a table.
    pub long_name: String,
    /// The value.
    pub value: f64,
    /// Its standard error, of the jackknife over the whole pipeline.
    pub error: f64,
    /// The smallest size of the fit.
    pub smallest_size: usize,
    /// The exact value, where one is known; on the cubic lattice, where none is, the most precise published one.
    pub exact: Option<f64>,
    /// The bootstrap of the same pipeline; `None` in files of older versions.
    pub bootstrap: Option<Bootstrap>,
}

/// One fit of a scan over the smallest size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScalingFit {
    /// What was fitted, as in [`ScalingResult::name`] or with how it was found (`nu_from_magnetization`).
    pub name: String,
    /// The words of a table.
    pub long_name: String,
    /// The smallest size that took part.
    pub smallest_size: usize,
    /// Whether the leading correction was a parameter.
    pub corrected: bool,
    /// Value and error.
    pub value: WithError,
    /// chi^2 of the best description by the full covariance, whose parameters are others than those of the fit, which gives each datum the weight of its own variance.
    pub goodness: Goodness,
    /// Whether it is the one that counts: the first with correction whose probability is at least [`ACCEPTED`].
    pub chosen: bool,
}

/// Where the curves of two sizes cross.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Crossing {
    /// `binder_cumulant` or `correlation_length`.
    pub observable: String,
    /// The two sizes.
    pub sizes: [usize; 2],
    /// The coupling.
    pub coupling: WithError,
    /// The common value.
    pub value: WithError,
}

/// The peak of an observable of one size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Peak {
    /// `specific_heat`, `connected_susceptibility` or `binder_slope`.
    pub observable: String,
    /// L.
    pub size: usize,
    /// Where.
    pub coupling: WithError,
    /// How high.
    pub height: WithError,
    /// Exact place and height, where they are known.
    pub exact: Option<[f64; 2]>,
}

/// The reweighted curves of one size over the couplings that were sampled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curves {
    /// L.
    pub size: usize,
    /// K of each node.
    pub coupling: Vec<f64>,
    /// U.
    pub binder_cumulant: Vec<WithError>,
    /// xi / L; empty where the waves were not measured.
    pub correlation_length: Vec<WithError>,
    /// `<|m|>`.
    pub magnetization: Vec<WithError>,
    /// `N (<m^2> - <|m|>^2)`.
    pub connected_susceptibility: Vec<WithError>,
    /// C.
    pub specific_heat: Vec<WithError>,
    /// `<E>/N`.
    pub energy: Vec<WithError>,
    /// Draws of equal weight that are worth as much.
    pub effective_draws: Vec<f64>,
    /// The smallest overlap of neighbouring couplings.
    pub smallest_overlap: f64,
}

/// How well curves of different sizes fall on one (Houdayer and Hartmann, PRB 70, 014418 (2004)): the mean squared distance in errors, 1 for a perfect collapse.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Collapse {
    /// `binder_cumulant`, `correlation_length`, `magnetization`.
    pub observable: String,
    /// S.
    pub quality: f64,
    /// The smallest size that took part.
    pub smallest_size: usize,
}

/// The analysis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scaling {
    /// The kind of lattice.
    pub geometry: Geometry,
    /// omega of the correction L^-omega that the fits allow.
    pub correction_exponent: f64,
    /// Blocks of the jackknife. Fewer than [`FEWEST_BLOCKS`] give no results, and everything below is empty.
    pub blocks: usize,
    /// The results.
    pub results: Vec<ScalingResult>,
    /// Their covariance, row-major.
    pub covariance: Vec<f64>,
    /// All fits.
    pub fits: Vec<ScalingFit>,
    /// Crossings of U and xi / L.
    pub crossings: Vec<Crossing>,
    /// Peaks.
    pub peaks: Vec<Peak>,
    /// Reweighted curves, one entry a size.
    pub curves: Vec<Curves>,
    /// Collapses.
    pub collapses: Vec<Collapse>,
}

impl Scaling {
    /// What is said of draws too few for results.
    fn without_results(geometry: Geometry, correction_exponent: f64, blocks: usize) -> Scaling {
        Scaling {
            geometry,
            correction_exponent,
            blocks,
            results: Vec::new(),
            covariance: Vec::new(),
            fits: Vec::new(),
            crossings: Vec::new(),
            peaks: Vec::new(),
            curves: Vec::new(),
            collapses: Vec::new(),
        }
    }
}

/// The standard error of a jackknife whose replicates leave out equal blocks.
fn jackknife_error(replicates: impl Iterator<Item = f64> + Clone) -> f64 {
    jackknife_covariance(replicates.clone().zip(replicates)).sqrt()
}

/// The covariance of two numbers from their replicates.
fn jackknife_covariance(replicates: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let count = replicates.clone().count() as f64;
    let mean = |pick: fn((f64, f64)) -> f64| replicates.clone().map(pick).sum::<f64>() / count;
    let (first, second) = (mean(|pair| pair.0), mean(|pair| pair.1));
    (count - 1.0) / count * replicates.map(|(one, other)| (one - first) * (other - second)).sum::<f64>()
}

/// The first value with the error of the others.
fn with_error(values: &[f64]) -> WithError {
    [values[0], jackknife_error(values[1..].iter().copied())]
}
