//! The analysis across the sizes of a run, from the series in its record: made at the end of `[sample]`, and again by `kadanoff report`. Rank 0 does it.

use crate::exact;
use crate::lattice::Geometry;
use crate::record::SamplingRecord;
use crate::statistics::scaling::{self, Scaling, SizeData};

/// The exact universal numbers of the square torus: U* = 1 - V/3 with V = 1.16792294 (Salas and Sokal, J. Stat. Phys. 98, 551 (2000)), xi/L* from the same source.
const BINDER_CUMULANT: f64 = 0.610_690;
const CORRELATION_LENGTH: f64 = 0.905_048_829_2;

/// The most precise published numbers of the class of the cubic lattice, on the periodic cube: Delta_sigma = beta / nu = 0.5181489 and eta = 0.036298 from the conformal bootstrap (Kos,
/// Poland, Simmons-Duffin and Vichi, JHEP 08 (2016) 036), U* = 1 - V/3 with V = 1.6036 and xi/L* (Hasenbusch, PRB 82, 174433 (2010)). K_c and nu: [`Geometry::critical_coupling`].
const CUBIC_BETA_OVER_NU: f64 = 0.518_148_9;
const CUBIC_ETA: f64 = 0.036_298;
const CUBIC_BINDER_CUMULANT: f64 = 0.465_47;
const CUBIC_CORRELATION_LENGTH: f64 = 0.643_1;

/// Finite-size scaling of all sizes, with the exact values beside the results (on the cubic lattice the published ones); `None` where the run has too few sizes or couplings for it.
pub fn scaling(sampling: &SamplingRecord) -> Option<Scaling> {
    let data: Vec<SizeData> = sampling
        .sizes
        .iter()
        .map(|&size| SizeData {
            size,
            ensembles: sampling
                .ensembles
                .iter()
                .filter(|ensemble| ensemble.size == size)
                .map(|ensemble| (ensemble.coupling, ensemble.chains.as_slice()))
                .collect(),
        })
        .collect();
    let mut analysis = scaling::analyse_on(sampling.geometry, &data)?;
    if sampling.geometry == Geometry::Cubic {
        for result in &mut analysis.results {
            result.exact = match result.name.as_str() {
                "critical_coupling" => sampling.geometry.critical_coupling(),
                "nu" => sampling.geometry.correlation_exponent(),
                "beta_over_nu" => Some(CUBIC_BETA_OVER_NU),
                "gamma_over_nu" => Some(2.0 - CUBIC_ETA),
                "binder_cumulant_at_criticality" => Some(CUBIC_BINDER_CUMULANT),
                "correlation_length_at_criticality" => Some(CUBIC_CORRELATION_LENGTH),
                _ => None,
            };
        }
        return Some(analysis);
    }
    let critical = exact::critical_coupling();
    for result in &mut analysis.results {
        result.exact = match result.name.as_str() {
            "critical_coupling" => Some(critical),
            "nu" => Some(1.0),
            "beta_over_nu" => Some(0.125),
            "gamma_over_nu" => Some(1.75),
            "binder_cumulant_at_criticality" => Some(BINDER_CUMULANT),
            "correlation_length_at_criticality" => Some(CORRELATION_LENGTH),
            "specific_heat_amplitude" => Some(8.0 * critical * critical / std::f64::consts::PI),
            _ => None,
        };
    }
    for peak in analysis.peaks.iter_mut().filter(|peak| peak.observable == "specific_heat") {
        let near = 20.0 * peak.coupling[1] + 0.1 * critical / peak.size as f64;
        peak.exact = Some(exact_peak(peak.size, peak.coupling[0] - near, peak.coupling[0] + near));
    }
    Some(analysis)
}

/// Place and height of the peak of Kaufman's specific heat between two couplings: parabolas through three points, each time closer.
fn exact_peak(size: usize, low: f64, high: f64) -> [f64; 2] {
    let heat = |coupling: f64| exact::square(size, coupling).specific_heat_per_site;
    let (mut middle, mut step) = (0.5 * (low + high), 0.25 * (high - low));
    for _ in 0..12 {
        let [before, at, after] = [middle - step, middle, middle + step].map(heat);
        let bend = before - 2.0 * at + after;
        let shift = if bend < 0.0 { 0.5 * step * (before - after) / bend } else { step * (after - before).signum() };
        middle = (middle + shift.clamp(-step, step)).clamp(low, high);
        step *= 0.4;
    }
    [middle, heat(middle)]
}
