//! The analysis across the sizes of a run, from the series in its record: made at the end of `[sample]`, and again by `kadanoff report`. Rank 0 does it.

use super::equilibration;
use super::notes::Notes;
use crate::error::Result;
use crate::exact;
use crate::lattice::{Geometry, SquareTorus};
use crate::ledger::Ledger;
use crate::measure::two_point::{self, PairCounter};
use crate::record::{Cell, Ensemble, SamplingRecord, TableRecord};
use crate::statistics::autocorrelation;
use crate::statistics::relaxation::{self, FOLLOWED};
use crate::statistics::scaling::{self, Scaling, SizeData};
use crate::store::ConfigurationSet;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// The exact universal numbers of the square torus: U* = 1 - V/3 with V = 1.16792294 (Salas and Sokal, J. Stat. Phys. 98, 551 (2000)), xi/L* from the same source.
const BINDER_CUMULANT: f64 = 0.610_690;
const CORRELATION_LENGTH: f64 = 0.905_048_829_2;

/// The most precise published numbers of the class of the cubic lattice, on the periodic cube: Delta_sigma = beta / nu = 0.5181489 and eta = 0.036298 from the conformal bootstrap (Kos,
/// Poland, Simmons-Duffin and Vichi, JHEP 08 (2016) 036), U* = 1 - V/3 with V = 1.6036 and xi/L* (Hasenbusch, PRB 82, 174433 (2010)). K_c and nu: [`Geometry::critical_coupling`].
const CUBIC_BETA_OVER_NU: f64 = 0.518_148_9;
const CUBIC_ETA: f64 = 0.036_298;
const CUBIC_BINDER_CUMULANT: f64 = 0.465_47;
const CUBIC_CORRELATION_LENGTH: f64 = 0.643_1;

/// All of the analysis, in parts that `notes` keep: finite-size scaling, if it is wanted and possible, and the tables.
///
/// # Errors
/// [`crate::error::Error::Usage`] if a set of configurations has an impossible side.
pub fn all(
    sampling: &SamplingRecord,
    configurations: &[ConfigurationSet],
    with_scaling: bool,
    notes: &Notes,
) -> Result<(Option<Scaling>, Vec<TableRecord>)> {
    let scaling = if with_scaling { notes.part("scaling", || Ok(scaling(sampling, notes)))? } else { None };
    Ok((scaling, tables(sampling, configurations, notes)?))
}

/// How many parts there are.
pub fn parts(sampling: &SamplingRecord, configurations: &[ConfigurationSet]) -> u64 {
    1 + critical_ensembles(sampling).len() as u64 + in_pairs(configurations).count() as u64
}

/// Finite-size scaling of all sizes, with the exact values beside the results (on the cubic lattice the published ones); `None` where the run has too few sizes or couplings for it.
fn scaling(sampling: &SamplingRecord, ledger: &dyn Ledger) -> Option<Scaling> {
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
    let mut analysis = scaling::analyse_on(sampling.geometry, &data, ledger)?;
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
    let heat = |coupling: f64| exact::kaufman::torus(size, size, coupling).specific_heat_per_site;
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

/// What else the samples say, as tables: `equilibration` of every ensemble, `relaxation_times` and `dynamic_exponent` where there are several sizes near the critical point, `improved_estimators` where clusters were looked at, `two_point_function` where
/// configurations were kept.
fn tables(sampling: &SamplingRecord, configurations: &[ConfigurationSet], notes: &Notes) -> Result<Vec<TableRecord>> {
    let mut tables = vec![equilibration::table(sampling)];
    tables.extend(relaxation_tables(sampling, notes)?);
    tables.extend(super::improved::table(sampling));
    tables.extend(two_point_table(configurations, notes)?);
    Ok(tables)
}

/// How near to the critical point the ensemble of a size must be, in the scaling variable (K / K_c - 1) L^(1/nu), to count as critical.
const CRITICAL_WINDOW: f64 = 0.05;
/// Sizes that a power law needs.
const FEWEST_SIZES: usize = 3;
/// The dynamic exponent of local updates without conservation laws in two dimensions: 2.1667(5), M. P. Nightingale and H. W. J. Blöte, Phys. Rev. B 62, 1089 (2000).
const LOCAL_DYNAMIC_EXPONENT: [f64; 2] = [2.1667, 0.0005];

/// The ensemble of each size that is nearest to the critical point, if it is near enough; none if these are too few.
fn critical_ensembles(sampling: &SamplingRecord) -> Vec<&Ensemble> {
    let geometry = sampling.geometry;
    let (Some(critical), Some(nu)) = (geometry.critical_coupling(), geometry.correlation_exponent()) else { return Vec::new() };
    let distance = |ensemble: &Ensemble| (ensemble.coupling / critical - 1.0).abs() * (ensemble.size as f64).powf(1.0 / nu);
    let nearest = |&size: &usize| {
        let of_size = sampling.ensembles.iter().filter(|ensemble| ensemble.size == size && distance(ensemble) < CRITICAL_WINDOW);
        of_size.min_by(|one, other| distance(one).total_cmp(&distance(other)))
    };
    Some(sampling.sizes.iter().filter_map(nearest).collect::<Vec<&Ensemble>>())
        .filter(|found| found.len() >= FEWEST_SIZES)
        .unwrap_or_default()
}

/// Autocorrelation times at the critical point against the size, and the power of the size that they follow.
fn relaxation_tables(sampling: &SamplingRecord, notes: &Notes) -> Result<Vec<TableRecord>> {
    let geometry = sampling.geometry;
    let mut measured = Vec::new();
    for ensemble in critical_ensembles(sampling) {
        let times = || Ok(relaxation::times(&ensemble.chains, sampling.measure_every));
        measured.push((ensemble.size, ensemble.coupling, notes.part(&format!("times of L = {}", ensemble.size), times)?));
    }
    if measured.is_empty() {
        return Ok(Vec::new());
    }
    let mut columns = vec![("size", "side of the lattice", "1"), ("coupling", "coupling K", "1")];
    columns.extend(FOLLOWED.map(|(name, words, _)| (name, words, "sweeps")));
    let mut times =
        TableRecord::new("relaxation_times", "ensemble", "integrated autocorrelation times at the critical point, in sweeps", &columns);
    for (size, coupling, found) in &measured {
        let known = [Cell::exact(*size as f64), Cell::exact(*coupling)];
        times.push(format!("L = {size}"), known.into_iter().chain(found.map(Cell::maybe_estimate)).collect());
    }
    let columns = [
        ("smallest_size", "smallest side of the fit", "1"),
        ("exponent", "dynamic exponent z of tau ~ L^z", "1"),
        ("chi_squared", "chi^2 of the fit", "1"),
        ("degrees_of_freedom", "degrees of freedom", "1"),
        ("p_value", "probability of a chi^2 at least as large", "1"),
        ("chosen", "1 for the fit that counts: the first whose probability is at least 0.1", "1"),
        ("published", "published exponent of this dynamics", "1"),
    ];
    let mut powers = TableRecord::new("dynamic_exponent", "fit", "power of the size that the autocorrelation times follow", &columns);
    let is_local =
        geometry == Geometry::Square && ["metropolis", "heat-bath"].contains(&sampling.algorithm.as_str()) && sampling.tempering.is_empty();
    for (index, (_, words, _)) in FOLLOWED.into_iter().enumerate() {
        let of_one: Vec<(usize, [f64; 2])> = measured.iter().filter_map(|(size, _, found)| Some((*size, found[index]?))).collect();
        for fit in relaxation::exponents(&of_one) {
            powers.push(
                format!("{words}, L >= {}", fit.smallest_size),
                vec![
                    Cell::exact(fit.smallest_size as f64),
                    Cell::estimate(fit.exponent),
                    Cell::exact(fit.goodness.chi_squared),
                    Cell::exact(fit.goodness.degrees_of_freedom as f64),
                    Cell::exact(fit.goodness.p_value),
                    Cell::exact(f64::from(u8::from(fit.chosen))),
                    Cell::maybe_estimate((fit.chosen && is_local).then_some(LOCAL_DYNAMIC_EXPONENT)),
                ],
            );
        }
    }
    Ok([times, powers].into_iter().filter(|table| !table.rows.is_empty()).collect())
}

/// Beyond this distance the determinants of the infinite lattice cost more than they tell.
const LONGEST_EXACT_DISTANCE: usize = 512;

/// `<s(x) s(x + r)>` along the axes of square lattices from the kept configurations, with the exact values of the torus and of the infinite lattice beside it.
fn two_point_table(configurations: &[ConfigurationSet], notes: &Notes) -> Result<Option<TableRecord>> {
    let columns = [
        ("size", "side of the lattice", "1"),
        ("coupling", "coupling K", "1"),
        ("distance", "distance along an axis, in lattice units", "1"),
        ("correlation", "two-point function <s(x) s(x + r)>, over both axes", "1"),
        ("exact", "exact value of the torus", "1"),
        ("infinite_lattice", "exact value of the infinite lattice", "1"),
    ];
    let mut table = TableRecord::new("two_point_function", "pair", "two-point function of the kept configurations", &columns);
    for set in in_pairs(configurations) {
        let rows = notes.part(&format!("pairs of L = {}, K = {}", set.size, set.coupling), || two_point_rows(set))?;
        rows.into_iter().for_each(|(label, cells)| table.push(label, cells));
    }
    Ok(Some(table).filter(|table| !table.rows.is_empty()))
}

/// The sets whose two-point function is told.
fn in_pairs(configurations: &[ConfigurationSet]) -> impl Iterator<Item = &ConfigurationSet> {
    configurations.iter().filter(|set| set.geometry == Geometry::Square && set.spins.rows() > 1)
}

/// The rows of one set.
///
/// # Errors
/// [`crate::error::Error::Usage`] if it has an impossible side.
pub fn two_point_rows(set: &ConfigurationSet) -> Result<Vec<(String, Vec<Cell>)>> {
    let torus = SquareTorus::new(set.size)?;
    let mut rows = Vec::new();
    let distances = two_point::distances(set.size);
    let longest = distances.iter().copied().take_while(|&distance| distance <= LONGEST_EXACT_DISTANCE).last().unwrap_or(0);
    let infinite = if set.coupling > 0.0 { exact::row_correlations(set.coupling, longest) } else { vec![0.0; longest] };
    let exact = exact::torus_correlations(set.size, set.coupling, &distances[..distances.partition_point(|&distance| distance <= longest)]);
    let sums: Vec<Vec<i64>> = (0..set.spins.rows())
        .into_par_iter()
        .map_init(|| PairCounter::new(torus), |counter, row| counter.sums(set.spins.row(row), &distances))
        .collect();
    for (index, &distance) in distances.iter().enumerate() {
        // The configurations of a chain remember each other: the error comes from each chain's own series.
        let mut chains: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
        for (chain, sum) in set.chains.iter().zip(&sums) {
            chains.entry(*chain).or_default().push(sum[index] as f64 / (2 * torus.sites()) as f64);
        }
        let Some(found) = autocorrelation::analyse(chains.into_values().collect()) else { continue };
        rows.push((
            format!("L = {}, K = {}, r = {distance}", set.size, set.coupling),
            vec![
                Cell::exact(set.size as f64),
                Cell::exact(set.coupling),
                Cell::exact(distance as f64),
                Cell::estimate([found.mean, found.error]),
                Cell::maybe(exact.get(index).copied()),
                Cell::maybe(infinite.get(distance - 1).copied()),
            ],
        ));
    }
    Ok(rows)
}
