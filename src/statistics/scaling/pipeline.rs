//! The whole way from series to exponents.

use super::bootstrap::{Power, Way};
use super::features::{Size, collapse, crossings, peak};
use super::fits::{Chosen, Datum, Term, Wanted, results, scan};
use super::{Curves, Scaling, ScalingFit, SizeData};
use crate::lattice::Geometry;
use crate::ledger::{Ledger, Nobody, kept_numbers};
use crate::measure::Series;
use crate::statistics::autocorrelation;
use crate::statistics::reweighting::{Averages, Histograms};
use rayon::prelude::*;

/// About so many blocks of the jackknife: its errors have an error of a tenth of themselves.
pub const BLOCKS: usize = 48;
/// With fewer blocks there are no results: weights and errors that come from a few numbers are wrong by more than they say.
pub const FEWEST_BLOCKS: usize = 24;
/// The length of a block in autocorrelation times, at least, unless it is a whole chain: the variance of its mean is then too small by a tenth at most.
pub const BLOCK_LENGTH: f64 = 10.0;
/// The draws of a block, at least.
const SHORTEST_BLOCK: usize = 25;
/// What is known beforehand of the corrections to scaling of a class.
#[derive(Debug, Clone, Copy)]
struct Corrections {
    /// The exponent of the leading correction. On the square lattice it is L^-7/4 of the analytic background of the susceptibility, next to L^-2 of the leading irrelevant
    /// operator; on the cubic lattice the leading irrelevant operator has omega = 0.8297 (conformal bootstrap: Simmons-Duffin, JHEP 03 (2017) 086).
    leading: f64,
    /// The correction of the place and of the height of peaks, relative to the leading term: they lie where t L is constant, and amplitudes are analytic in t. On the square lattice also of the specific heat and of the derivative of the magnetization.
    of_peaks: f64,
    /// Whether the specific heat is a logarithm of L; otherwise nothing is fitted to it.
    has_logarithm: bool,
}

impl Corrections {
    /// Those of a kind of lattice; none of a chain, which has no critical point.
    fn of(geometry: Geometry) -> Option<Corrections> {
        match geometry {
            Geometry::Chain => None,
            Geometry::Square => Some(Corrections { leading: 1.75, of_peaks: 1.0, has_logarithm: true }),
            Geometry::Cubic => Some(Corrections { leading: 0.8297, of_peaks: 0.8297, has_logarithm: false }),
        }
    }
}

/// A function of the averages, by name.
pub(super) type Function<'a> = &'a (dyn Fn(&Averages) -> f64 + Sync);

/// [`analyse_on`] the square lattice.
pub fn analyse(data: &[SizeData]) -> Option<Scaling> {
    analyse_on(Geometry::Square, data, &Nobody)
}

/// Carries out the analysis, whose steps are kept in `ledger`. `None` for chains, with fewer than three sizes, or with a size of fewer than two couplings or different numbers of chains. Draws too
/// few for [`FEWEST_BLOCKS`] give an analysis that says so and nothing else.
pub fn analyse_on(geometry: Geometry, data: &[SizeData], ledger: &dyn Ledger) -> Option<Scaling> {
    let corrections = Corrections::of(geometry)?;
    let chains = data.iter().flat_map(|size| &size.ensembles).map(|(_, chains)| chains.len());
    let (fewest, most) = (chains.clone().min()?, chains.max()?);
    if data.len() < 3 || data.iter().any(|size| size.ensembles.len() < 2) || fewest != most || fewest == 0 {
        return None;
    }
    let parts = kept_numbers(ledger, "independent parts", || independent_parts(data).into_iter().map(|parts| parts as f64).collect());
    let parts = BLOCKS.div_ceil(fewest).min(*parts.first()? as usize);
    let blocks = BLOCKS.min(parts * fewest);
    if blocks < FEWEST_BLOCKS {
        return Some(Scaling::without_results(geometry, corrections.leading, blocks));
    }
    let of_size = |size: &SizeData| Size::new(size.size, Histograms::on(geometry, size.size, &size.ensembles, parts, BLOCKS), ledger);
    let sizes: Vec<Size> = data.par_iter().map(of_size).collect();
    Pipeline { geometry, corrections, has_waves: sizes.iter().all(|size| size.histograms.has_waves()), sizes, fits: Vec::new() }.run()
}

/// Into how many stretches every chain can be cut that know nothing of each other: each has [`SHORTEST_BLOCK`] draws and [`BLOCK_LENGTH`] autocorrelation times of the observable with the longest
/// memory. Chains too short for two are whole. `None` where there is a chain without draws.
fn independent_parts(data: &[SizeData]) -> Option<usize> {
    let ensembles: Vec<&[Series]> = data.iter().flat_map(|size| size.ensembles.iter().map(|(_, chains)| *chains)).collect();
    let of_ensemble = |chains: &&[Series]| -> Option<usize> {
        let shortest = chains.iter().map(Series::len).min().filter(|draws| *draws > 0)?;
        let parts = |value: &dyn Fn(&Series, usize) -> f64| {
            let of_chain = |chain: &Series| (0..chain.len()).map(|draw| value(chain, draw)).collect();
            let memory = autocorrelation::analyse(chains.iter().map(of_chain).collect()).filter(|memory| memory.window_closed);
            memory.map_or(1, |memory| (shortest as f64 / (BLOCK_LENGTH * memory.autocorrelation_time).max(SHORTEST_BLOCK as f64)) as usize)
        };
        let [energy, magnetization, square] = [
            parts(&|chain, draw| chain.energy[draw] as f64),
            parts(&|chain, draw| chain.magnetization[draw].abs() as f64),
            parts(&|chain, draw| (chain.magnetization[draw] as f64).powi(2)),
        ];
        Some(energy.min(magnetization).min(square).max(1))
    };
    ensembles.par_iter().map(of_ensemble).collect::<Option<Vec<usize>>>()?.into_iter().min()
}

struct Pipeline<'a> {
    geometry: Geometry,
    corrections: Corrections,
    sizes: Vec<Size<'a>>,
    has_waves: bool,
    fits: Vec<ScalingFit>,
}

const BINDER: Function<'static> = &|averages| averages.binder_cumulant()[0];
const BINDER_SLOPE: Function<'static> = &|averages| averages.binder_cumulant()[1];
const LENGTH: Function<'static> = &|averages| averages.correlation_length()[0];
const LENGTH_SLOPE: Function<'static> = &|averages| averages.correlation_length()[1];
/// The curves that cross, with their slopes, and what nu comes from; without the waves only the first of each.
const CURVES: [Function<'static>; 2] = [BINDER, LENGTH];
const SLOPES: [Function<'static>; 2] = [BINDER_SLOPE, LENGTH_SLOPE];
const LOGARITHMS_OF_SLOPES: [Function<'static>; 2] =
    [&|averages| averages.binder_cumulant()[1].ln(), &|averages| averages.correlation_length()[1].ln()];
const LOGARITHM_OF_MAGNETIZATION: Function<'static> = &|averages| averages.moments[0].ln();
const LOGARITHM_OF_SUSCEPTIBILITY: Function<'static> = &|averages| (averages.sites * averages.moments[1]).ln();
const HEAT: Function<'static> = &|averages| averages.specific_heat;

impl Pipeline<'_> {
    fn run(mut self) -> Option<Scaling> {
        let replicates = self.sizes[0].replicates.len();
        // The first look: where the two largest sizes cross.
        let mut crossing = crossings(&self.sizes, "binder_cumulant", BINDER);
        if self.has_waves {
            crossing.extend(crossings(&self.sizes, "correlation_length", LENGTH));
        }
        let [low, high] = self.sizes.last()?.histograms.range();
        let mut start = crossing.last().map_or(0.5 * (low + high), |crossing| crossing.coupling[0]).clamp(low, high);
        // Twice: the second time the curves are expanded about the critical coupling itself.
        let (mut critical, mut expanded_at) = (None, start);
        for _ in 0..2 {
            self.fits.clear();
            expanded_at = start;
            critical = self.critical_coupling(start);
            start = critical.as_ref().map_or(start, |chosen| chosen.replicates[0][0]).clamp(low, high);
        }
        let critical = critical?;
        let couplings = critical.replicates[0].clone();
        let nu = self.exponent_of_slopes(&couplings)?;
        let beta = self.power(
            "beta_over_nu",
            "beta / nu, from the magnetization",
            &couplings,
            LOGARITHM_OF_MAGNETIZATION,
            -1.0,
            self.corrections.leading,
        )?;
        let gamma = self.power(
            "gamma_over_nu",
            "gamma / nu, from the susceptibility",
            &couplings,
            LOGARITHM_OF_SUSCEPTIBILITY,
            1.0,
            self.corrections.leading,
        )?;
        self.power(
            "inverse_nu_from_magnetization",
            "1 / nu, from d ln m^2 / dK",
            &couplings,
            &|averages| (averages.derivatives[1] / averages.moments[1]).ln(),
            1.0,
            // On the square lattice the amplitude of m^2 itself depends on K: its derivative is a constant beside L^(1/nu).
            self.corrections.of_peaks,
        );
        let heat = if self.corrections.has_logarithm { self.specific_heat(&couplings) } else { None };
        let peaks = self.peaks(&nu.replicates[0]);
        let curves: Vec<Curves> = self.sizes.iter().map(Size::curves).collect();

        let mut quantities = vec![
            ("critical_coupling", "critical coupling K_c", critical.smallest_size, &critical.replicates[0]),
            ("nu", "exponent nu of the correlation length", nu.smallest_size, &nu.replicates[0]),
            ("beta_over_nu", "beta / nu", beta.smallest_size, &beta.replicates[0]),
            ("gamma_over_nu", "gamma / nu", gamma.smallest_size, &gamma.replicates[0]),
            ("binder_cumulant_at_criticality", "Binder cumulant U* of the torus", critical.smallest_size, &critical.replicates[1]),
        ];
        if self.has_waves {
            let name = "correlation length over L at criticality";
            quantities.push(("correlation_length_at_criticality", name, critical.smallest_size, &critical.replicates[2]));
        }
        if let Some(heat) = &heat {
            let name = "amplitude A of C = A ln L + ...";
            quantities.push(("specific_heat_amplitude", name, heat.smallest_size, &heat.replicates[0]));
        }
        let (mut results, covariance) = results(&quantities);
        let curves_used = self.curve_count();
        let mut powers: Vec<Power> = vec![
            (&LOGARITHMS_OF_SLOPES[..curves_used], &nu, |slope| 1.0 / slope),
            (&[LOGARITHM_OF_MAGNETIZATION], &beta, |slope| -slope),
            (&[LOGARITHM_OF_SUSCEPTIBILITY], &gamma, |slope| slope),
        ];
        powers.extend(heat.as_ref().map(|heat| (&[HEAT][..], heat, (|slope| slope) as fn(f64) -> f64)));
        let way = Way {
            sizes: &self.sizes,
            start: expanded_at,
            curves: &CURVES[..curves_used],
            slopes: &SLOPES[..curves_used],
            critical: &critical,
            powers,
        };
        let amplitudes = &["binder_cumulant_at_criticality", "correlation_length_at_criticality"][..curves_used];
        let exponents = ["nu", "beta_over_nu", "gamma_over_nu", "specific_heat_amplitude"];
        let names = std::iter::once(&"critical_coupling").chain(amplitudes).chain(&exponents);
        for (name, bootstrap) in names.zip(way.bootstrap()) {
            results.iter_mut().filter(|result| result.name == *name).for_each(|result| result.bootstrap = Some(bootstrap));
        }
        let (coupling, nu, beta) = (results[0].value, results[1].value, results[2].value);
        let all: Vec<&Curves> = curves.iter().collect();
        let scaled = |curves: &Curves| {
            let scale = (curves.size as f64).powf(beta);
            curves.magnetization.iter().map(|value| value.map(|part| part * scale)).collect()
        };
        let smallest = critical.smallest_size;
        let mut collapses = Vec::new();
        collapses.extend(collapse("binder_cumulant", &all, coupling, nu, &|curves| curves.binder_cumulant.clone(), smallest));
        if self.has_waves {
            collapses.extend(collapse("correlation_length", &all, coupling, nu, &|curves| curves.correlation_length.clone(), smallest));
        }
        collapses.extend(collapse("magnetization", &all, coupling, nu, &scaled, smallest));
        Some(Scaling {
            geometry: self.geometry,
            correction_exponent: self.corrections.leading,
            blocks: replicates - 1,
            results,
            covariance,
            fits: self.fits,
            crossings: crossing,
            peaks,
            curves,
            collapses,
        })
    }

    /// How many of [`CURVES`] were measured.
    fn curve_count(&self) -> usize {
        if self.has_waves { 2 } else { 1 }
    }

    /// The terms of the leading corrections of the curves, of which each has its own amplitude, in a datum of one of them.
    fn correction_of(&self, which: usize, side: usize) -> Vec<Term> {
        let mut terms = vec![Term::Known(0.0); self.curve_count()];
        terms[which] = Term::Known((side as f64).powf(-self.corrections.leading));
        terms
    }

    /// K_c, U* and xi/L* together: each curve passes R_L(K) = R* + R'_L (K - K_c) + b L^-omega near K_c, with its own measured slope R'_L.
    fn critical_coupling(&mut self, start: f64) -> Option<Chosen> {
        let curves: Vec<(Function, Function)> = CURVES.into_iter().zip(SLOPES).take(self.curve_count()).collect();
        let at = |_: usize| start;
        let mut data = Vec::new();
        for size in &self.sizes {
            for (which, (value, slope)) in curves.iter().enumerate() {
                // Parameters: K_c - start, the amplitudes, their corrections.
                let mut plain = vec![Term::Known(0.0); 1 + curves.len()];
                plain[0] = Term::Measured(size.values(&at, slope).into_iter().map(|slope| -slope).collect());
                plain[1 + which] = Term::Known(1.0);
                let correction = self.correction_of(which, size.size);
                let values = size.values(&at, value);
                data.push(Datum { size: size.size, plain, correction, fixed: values.clone(), values });
            }
        }
        let shift = |change: f64| start + change;
        let same = |value: f64| value;
        let mut wanted = vec![
            Wanted { name: "critical_coupling", long_name: "critical coupling K_c", parameter: 0, quantity: &shift },
            Wanted { name: "binder_cumulant_at_criticality", long_name: "Binder cumulant U*", parameter: 1, quantity: &same },
        ];
        if self.has_waves {
            let (name, long_name) = ("correlation_length_at_criticality", "correlation length over L");
            wanted.push(Wanted { name, long_name, parameter: 2, quantity: &same });
        }
        scan(&data, &wanted, &mut self.fits)
    }

    /// nu from the slopes of U and xi/L at K_c, which grow like L^(1/nu).
    fn exponent_of_slopes(&mut self, couplings: &[f64]) -> Option<Chosen> {
        let slopes = &LOGARITHMS_OF_SLOPES[..self.curve_count()];
        let mut data = Vec::new();
        for size in &self.sizes {
            for (which, slope) in slopes.iter().enumerate() {
                let side = size.size as f64;
                let mut plain = vec![Term::Known(0.0); 1 + slopes.len()];
                (plain[0], plain[1 + which]) = (Term::Known(side.ln()), Term::Known(1.0));
                let correction = self.correction_of(which, size.size);
                let values = size.values(&|replicate| couplings[replicate], slope);
                let fixed = size.values(&|_| couplings[0], slope);
                data.push(Datum { size: size.size, plain, correction, values, fixed });
            }
        }
        let inverse = |value: f64| 1.0 / value;
        let wanted = [Wanted { name: "nu", long_name: "nu, from the slopes of U and xi / L", parameter: 0, quantity: &inverse }];
        scan(&data, &wanted, &mut self.fits)
    }

    /// A power of L at K_c: the logarithm of something against ln L, with a relative correction.
    fn power(&mut self, name: &str, long_name: &str, couplings: &[f64], logarithm: Function, sign: f64, correction: f64) -> Option<Chosen> {
        let data: Vec<Datum> = self
            .sizes
            .iter()
            .map(|size| {
                let values = size.values(&|replicate| couplings[replicate], logarithm);
                let fixed = size.values(&|_| couplings[0], logarithm);
                logarithmic(size.size, values, fixed, correction)
            })
            .collect();
        scan(&data, &[Wanted { name, long_name, parameter: 0, quantity: &|value| sign * value }], &mut self.fits)
    }

    /// C at K_c is A ln L + c + d / L: a logarithm, no power.
    fn specific_heat(&mut self, couplings: &[f64]) -> Option<Chosen> {
        let data: Vec<Datum> = self
            .sizes
            .iter()
            .map(|size| {
                let values = size.values(&|replicate| couplings[replicate], HEAT);
                logarithmic(size.size, values, size.values(&|_| couplings[0], HEAT), self.corrections.of_peaks)
            })
            .collect();
        let (name, long_name) = ("specific_heat_amplitude", "A of C = A ln L + c at K_c");
        scan(&data, &[Wanted { name, long_name, parameter: 0, quantity: &|value| value }], &mut self.fits)
    }

    /// Peaks of C, of the connected susceptibility and of dU/dK, and what their places and heights say.
    fn peaks(&mut self, nu: &[f64]) -> Vec<super::Peak> {
        let susceptibility: Function = &|averages| averages.connected_susceptibility();
        let kinds = [("specific_heat", HEAT), ("connected_susceptibility", susceptibility), ("binder_slope", BINDER_SLOPE)];
        let mut peaks = Vec::new();
        for (observable, of) in kinds {
            let found: Vec<(usize, [Vec<f64>; 2])> = self.sizes.iter().filter_map(|size| Some((size.size, size.peak(of)?))).collect();
            peaks.extend(found.iter().map(|(size, replicates)| peak(*size, observable, replicates)));
            let places: Vec<Datum> = found
                .iter()
                .map(|(size, [places, _])| {
                    let power = |more: f64| Term::Measured(nu.iter().map(|nu| (*size as f64).powf(-1.0 / nu - more)).collect());
                    let (plain, correction) = (vec![Term::Known(1.0), power(0.0)], vec![power(self.corrections.of_peaks)]);
                    Datum { size: *size, plain, correction, values: places.clone(), fixed: places.clone() }
                })
                .collect();
            let (name, long_name) = match observable {
                "specific_heat" => ("critical_coupling_from_specific_heat", "K_c, from the peaks of C"),
                "connected_susceptibility" => {
                    ("critical_coupling_from_susceptibility", "K_c, from the peaks of the connected susceptibility")
                }
                _ => ("critical_coupling_from_binder_slope", "K_c, from the peaks of dU/dK"),
            };
            scan(&places, &[Wanted { name, long_name, parameter: 0, quantity: &|value| value }], &mut self.fits);
            let heights: Vec<Datum> = found
                .into_iter()
                .map(|(size, [_, heights])| {
                    if observable == "specific_heat" {
                        return logarithmic(size, heights.clone(), heights, self.corrections.of_peaks);
                    }
                    let logarithms: Vec<f64> = heights.iter().map(|height| height.ln()).collect();
                    logarithmic(size, logarithms.clone(), logarithms, self.corrections.of_peaks)
                })
                .collect();
            if observable == "specific_heat" && !self.corrections.has_logarithm {
                continue;
            }
            let (name, long_name) = match observable {
                "specific_heat" => ("specific_heat_amplitude_from_peaks", "A, from the peaks of C"),
                "connected_susceptibility" => ("gamma_over_nu_from_peaks", "gamma / nu, from the peaks of the connected susceptibility"),
                _ => ("inverse_nu_from_peaks", "1 / nu, from the peaks of dU/dK"),
            };
            scan(&heights, &[Wanted { name, long_name, parameter: 0, quantity: &|value| value }], &mut self.fits);
        }
        peaks
    }
}

/// A datum that is linear in ln L, with a correction.
fn logarithmic(size: usize, values: Vec<f64>, fixed: Vec<f64>, correction: f64) -> Datum {
    let side = size as f64;
    let plain = vec![Term::Known(side.ln()), Term::Known(1.0)];
    Datum { size, plain, correction: vec![Term::Known(side.powf(-correction))], values, fixed }
}
