//! The time between sampling and training: error bars and exact values of every ensemble, and the analysis across sizes, from parts of it that are timed on made-up series.

use super::calibrate::{affordable, random_bits};
use crate::config::RunFile;
use crate::error::Result;
use crate::exact;
use crate::lattice::Geometry;
use crate::measure::Series;
use crate::random::{Purpose, Stream};
use crate::run::analysis;
use crate::run::sample::Plan;
use crate::statistics::reweighting::{Begin, Histograms};
use crate::statistics::scaling::{BLOCKS, RESAMPLES};
use crate::statistics::{self, relaxation};
use crate::store::ConfigurationSet;
use std::hint::black_box;
use std::time::Instant;

/// Draws and chains of the made-up series, at most.
const MOST_DRAWS: usize = 20_000;
const MOST_CHAINS: usize = 8;
/// Configurations whose pairs are counted, at most.
const MOST_CONFIGURATIONS: usize = 400;
/// The replicates of the jackknife over the analysis, and how often each of them is asked for its averages at a coupling: for values, curves and peaks of a size, and to find where two sizes
/// cross, which each size does twice or so for each of two observables.
const REPLICATES: f64 = (BLOCKS + 1) as f64;
const ANSWERS: f64 = 162.0;
const ANSWERS_OF_CROSSINGS: f64 = 228.0;
/// Averages that a resample of the bootstrap asks of a size: about the first look, and at the critical coupling for each of the powers.
const ANSWERS_OF_RESAMPLE: f64 = 5.0;
/// The specific heat of a site near a critical point, about, where it is not known exactly.
const SPECIFIC_HEAT: f64 = 2.5;

fn seconds<T>(work: impl FnOnce() -> T) -> f64 {
    let began = Instant::now();
    black_box(work());
    began.elapsed().as_secs_f64()
}

/// Seconds of all of it.
///
/// # Errors
/// [`crate::error::Error::Usage`] for an impossible side.
pub fn analysis(job: &RunFile, plan: &Plan) -> Result<f64> {
    let (section, threads) = (&plan.section, rayon::current_num_threads() as f64);
    let (draws, replicas) = (section.draws().min(MOST_DRAWS), section.replicas.min(MOST_CHAINS));
    let chains: Vec<Series> = (0..replicas).map(|chain| walk(plan.seed, chain, draws, [10.0; 2])).collect();
    let whole = section.draws() as f64 * section.replicas as f64 / (draws * replicas) as f64;
    let ensembles = plan.ensembles.len() as f64;
    let mut each = seconds(|| statistics::observables(16, 0.4, &chains)) * whole * ensembles;
    let mut sizes: Vec<usize> = plan.ensembles.iter().map(|ensemble| ensemble.0).collect();
    sizes.dedup();
    for &side in &sizes {
        each += seconds(|| exact::reference(plan.geometry, side, plan.ensembles[0].1)) * ensembles / sizes.len() as f64;
    }
    let mut total = each / threads.min(ensembles);
    if sizes.len() >= 3 && plan.geometry != Geometry::Chain {
        // One critical ensemble a size, if there is any.
        total += seconds(|| relaxation::times(&chains, 1)) * whole * sizes.len() as f64 / threads.min(4.0);
        if job.report.scaling && section.coupling_count() >= 2 {
            total += scaling(plan, &sizes, &chains) / threads;
        }
    }
    if section.configurations > 1 && plan.geometry == Geometry::Square {
        for &side in &sizes {
            // The time goes with the spins, wherever there are many.
            let (trial, rows) = affordable(side, section.configurations.min(MOST_CONFIGURATIONS), 2);
            let scale = plan.sites(side) as f64 / plan.sites(trial) as f64;
            let set = |rows: usize| ConfigurationSet {
                geometry: plan.geometry,
                size: trial,
                coupling: 0.4,
                spins: random_bits(rows, trial * trial),
                chains: (0..rows as u64).map(|row| row % 8).collect(),
                draws: (0..rows as u64).collect(),
            };
            let (few, many) = (set(2), set(rows));
            analysis::two_point_rows(&few)?;
            // The exact values are the same for any number of configurations.
            let once = seconds(|| analysis::two_point_rows(&few));
            let growth = (seconds(|| analysis::two_point_rows(&many)) - once).max(0.0) * section.configurations as f64 / rows as f64;
            total += (once + growth) * scale * section.coupling_count() as f64;
        }
    }
    Ok(total)
}

/// Seconds of one thread for finite-size scaling: all its time goes into sums over the energies that occurred.
fn scaling(plan: &Plan, sizes: &[usize], chains: &[Series]) -> f64 {
    let couplings = plan.section.coupling_count();
    let ensembles: Vec<(f64, &[Series])> = (0..couplings).map(|index| (0.4 + 1e-3 * index as f64, chains)).collect();
    let made_up = || Histograms::new(16, &ensembles, 6, BLOCKS);
    let draws = chains.iter().map(Series::len).sum::<usize>() as f64;
    let of_draw = seconds(made_up) / (draws * couplings as f64);
    let histograms = made_up();
    let all = histograms.combine(None, Begin::Nowhere);
    let levels = histograms.levels().max(1) as f64;
    let of_level = seconds(|| (0..20).map(|step| all.at(0.4 + 1e-4 * f64::from(step)).energy).sum::<f64>()) / (20.0 * levels);
    let combined = seconds(|| histograms.combine(Some(0), Begin::Near(all.free_energies()))) / levels;
    let all_draws = plan.section.draws() as f64 * plan.section.replicas as f64 * couplings as f64;
    sizes
        .iter()
        .map(|&side| {
            let sites = plan.sites(side) as f64;
            let couplings = plan.section.couplings_of(side);
            let (low, high) =
                couplings.iter().fold((f64::INFINITY, 0f64), |(low, high), &coupling| (low.min(coupling), high.max(coupling)));
            let middle = 0.5 * (low + high);
            let heat = exact::reference(plan.geometry, side, middle).specific_heat_per_site.unwrap_or(SPECIFIC_HEAT);
            // Energies are four apart.
            let width = sites * heat / (middle * middle) * (high - low) + 8.0 * (sites * heat).sqrt() / middle;
            let levels = (0.25 * width).min(all_draws);
            let resamples = RESAMPLES as f64 * (ANSWERS_OF_RESAMPLE * of_level + combined);
            levels * (REPLICATES * ((ANSWERS + ANSWERS_OF_CROSSINGS) * of_level + combined) + resamples) + of_draw * all_draws
        })
        .sum()
}

/// A series that remembers a little, as those of chains do. `spread` says over how many values energy and magnetization go: each about seven times as many.
pub fn walk(seed: u64, chain: usize, draws: usize, spread: [f64; 2]) -> Series {
    let mut stream = Stream::new(seed, Purpose::Check, chain as u64);
    let mut series = Series::default();
    let (mut energy, mut magnetization) = (0.0, 0.0);
    for _ in 0..draws {
        (energy, magnetization) = (0.8 * energy + stream.normal(), 0.8 * magnetization + stream.normal());
        // Whole numbers two apart, as energies are.
        series.energy.push(2 * (spread[0] * energy) as i64);
        series.magnetization.push((spread[1] * magnetization) as i64);
    }
    series
}
