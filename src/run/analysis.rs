//! The analysis across the sizes of a run, from the series in its record: made at the end of `[sample]`, and again by `kadanoff report`. Rank 0 does it.

use crate::exact;
use crate::record::SamplingRecord;
use crate::statistics::scaling::{self, Scaling, SizeData};

/// The exact universal numbers of the square torus: U* = 1 - V/3 with V = 1.16792294 (Salas and Sokal, J. Stat. Phys. 98, 551 (2000)), xi/L* from the same source.
const BINDER_CUMULANT: f64 = 0.610_690;
const CORRELATION_LENGTH: f64 = 0.905_048_829_2;

/// Finite-size scaling of all sizes, with the exact values beside the results; `None` where the run has too few sizes or couplings for it.
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
    let mut analysis = scaling::analyse(&data)?;
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
