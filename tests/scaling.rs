//! Reweighting and finite-size scaling on real chains: Kaufman's curves between the couplings that were sampled, the peak of the specific heat, error bars of unit variance, and
//! exponents of small lattices.

use kadanoff::exact;
use kadanoff::lattice::{Geometry, SquareTorus};
use kadanoff::ledger::Ledger;
use kadanoff::measure::{Observer, Series};
use kadanoff::sampler::{Algorithm, Start, build};
use kadanoff::statistics::reweighting::Histograms;
use kadanoff::statistics::scaling::{SizeData, analyse, analyse_on};
use kadanoff::statistics::{self, chi_squared};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const SEED: u64 = 14103831;
const CHAINS: u64 = 8;

/// Chains of one ensemble, thinned a little.
fn chains(side: usize, coupling: f64, draws: usize, ensemble: u64) -> Vec<Series> {
    let torus = SquareTorus::new(side).expect("a valid side");
    (0..CHAINS)
        .into_par_iter()
        .map(|chain| {
            let mut sampler =
                build(Algorithm::SwendsenWang, torus, coupling, Start::Hot, SEED, ensemble * CHAINS + chain).expect("a valid chain");
            for _ in 0..200 {
                sampler.sweep();
            }
            sampler.end_thermalization();
            let (mut observer, mut series) = (Observer::new(torus), Series::default());
            for _ in 0..draws {
                sampler.sweep();
                sampler.sweep();
                let (measurement, power) = sampler.observe(&mut observer);
                series.push_all(measurement, power);
            }
            series
        })
        .collect()
}

fn window(side: usize) -> Vec<f64> {
    (-2..=2).map(|step| exact::critical_coupling() / (1.0 + 0.6 * f64::from(step) / side as f64)).collect()
}

/// The mean and the jackknife error of a function of a reweighted ensemble, of a number of places at once.
fn jackknife(histograms: &Histograms, of: &(dyn Fn(&kadanoff::statistics::reweighting::Reweighting) -> f64 + Sync)) -> [f64; 2] {
    let all = histograms.combine(None, None);
    let others: Vec<f64> =
        (0..histograms.blocks()).into_par_iter().map(|block| of(&histograms.combine(Some(block), Some(all.free_energies())))).collect();
    let (count, mean) = (others.len() as f64, others.iter().sum::<f64>() / others.len() as f64);
    let variance = (count - 1.0) / count * others.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    [of(&all), variance.sqrt()]
}

/// What an analysis kept, and how often it had to calculate.
#[derive(Default)]
struct Memory {
    kept: Mutex<BTreeMap<String, Vec<u64>>>,
    calculated: AtomicUsize,
}

impl Ledger for Memory {
    fn advance(&self, _work: u64) {}

    fn found(&self, name: &str) -> Option<Vec<u64>> {
        self.kept.lock().expect("nobody panics").get(name).cloned()
    }

    fn keep(&self, name: &str, words: Vec<u64>) {
        self.calculated.fetch_add(1, Ordering::Relaxed);
        self.kept.lock().expect("nobody panics").insert(name.to_string(), words);
    }
}

#[test]
fn reweighted_curves_are_kaufmans_and_the_peak_is_found() {
    let longer = if std::env::var_os("KADANOFF_LONG").is_some() { 8 } else { 1 };
    for (side, draws, place, height) in [(32, 6000, 0.435_933_16, 1.904_506_078), (64, 3000 * longer, 0.438_263_56, 2.252_392_889)] {
        let couplings = window(side);
        let series: Vec<Vec<Series>> =
            couplings.iter().enumerate().map(|(index, &coupling)| chains(side, coupling, draws, index as u64)).collect();
        let ensembles: Vec<(f64, &[Series])> = couplings.iter().copied().zip(series.iter().map(Vec::as_slice)).collect();
        let histograms = Histograms::new(side, &ensembles, 5, 40);
        assert!(histograms.combine(None, None).overlaps().iter().all(|&overlap| overlap > 0.5));
        // Between the couplings: within four errors, and the errors small enough to mean something.
        for pair in couplings.windows(2) {
            let middle = 0.5 * (pair[0] + pair[1]);
            let expected = exact::square(side, middle);
            let [energy, error] = jackknife(&histograms, &|ensemble| ensemble.at(middle).energy);
            assert!((energy - expected.energy_per_site).abs() < 4.0 * error && error < 1e-3, "L {side} K {middle}: {energy} +- {error}");
            let [heat, error] = jackknife(&histograms, &|ensemble| ensemble.at(middle).specific_heat);
            assert!((heat - expected.specific_heat_per_site).abs() < 4.0 * error && error < 0.03, "L {side} K {middle}: {heat} +- {error}");
            // The mutant: the weights of another coupling.
            let wrong = histograms.combine(None, None).at(1.005 * middle).energy;
            assert!((wrong - expected.energy_per_site).abs() > 10.0 * 1e-3 * 0.5);
        }
        // The top of a parabola through three points near it.
        let top = |ensemble: &kadanoff::statistics::reweighting::Reweighting| {
            let step = 0.25 / (side * side) as f64 * 16.0;
            let [before, at, after] = [place - step, place, place + step].map(|coupling| ensemble.at(coupling).specific_heat);
            place + 0.5 * step * (before - after) / (before - 2.0 * at + after)
        };
        let [found, error] = jackknife(&histograms, &top);
        assert!((found - place).abs() < 4.0 * error && error < 1e-3, "L {side}: peak at {found} +- {error}, not {place}");
        let [found, error] = jackknife(&histograms, &|ensemble| ensemble.at(place).specific_heat);
        assert!((found - height).abs() < 4.0 * error, "L {side}: peak {found} +- {error}, not {height}");
    }
}

#[test]
fn error_bars_of_all_observables_have_unit_variance() {
    // 15 ensembles with seven exact observables each, correlated inside an ensemble: the sum of squared pulls of each observable is tested over the ensembles, and over all of them.
    let mut all = Vec::new();
    for (index, side) in [4, 6, 8].into_iter().enumerate() {
        for (place, coupling) in [0.30, 0.36, 0.408, exact::critical_coupling(), 0.46].into_iter().enumerate() {
            let series = chains(side, coupling, 4000, (100 + 10 * index + place) as u64);
            let reference = exact::square(side, coupling);
            let expected = [
                Some(reference.energy_per_site),
                Some(reference.specific_heat_per_site),
                reference.absolute_magnetization,
                reference.magnetization_squared,
                reference.susceptibility,
                reference.binder_cumulant,
                reference.correlation_length_over_side,
            ];
            let observables = statistics::observables(side, coupling, &series);
            assert_eq!(observables.len(), expected.len());
            let pulls: Vec<f64> =
                observables.iter().zip(expected).map(|(one, exact)| (one.estimate.mean - exact.unwrap()) / one.estimate.error).collect();
            assert!(pulls.iter().all(|pull| pull.abs() < 4.0), "L {side} K {coupling}: {pulls:?}");
            all.push(pulls);
        }
    }
    for observable in 0..7 {
        let sum: f64 = all.iter().map(|pulls| pulls[observable].powi(2)).sum();
        let p = chi_squared::survival(sum, all.len() as f64);
        assert!((0.001..0.999).contains(&p), "observable {observable}: {sum} over {}, p {p}", all.len());
    }
}

#[test]
fn small_lattices_give_the_critical_point_within_errors() {
    let sizes = [8, 12, 16, 24, 32];
    let series: Vec<(usize, Vec<f64>, Vec<Vec<Series>>)> = sizes
        .into_iter()
        .enumerate()
        .map(|(index, side)| {
            let couplings = window(side);
            let all = couplings
                .iter()
                .enumerate()
                .map(|(place, &coupling)| chains(side, coupling, 4000, (200 + 10 * index + place) as u64))
                .collect();
            (side, couplings, all)
        })
        .collect();
    let data: Vec<SizeData> = series
        .iter()
        .map(|(size, couplings, all)| SizeData {
            size: *size,
            ensembles: couplings.iter().copied().zip(all.iter().map(Vec::as_slice)).collect(),
        })
        .collect();
    let scaling = analyse(&data).expect("five sizes");
    let within = |name: &str, exact: f64, largest: f64| {
        let result = scaling.results.iter().find(|result| result.name == name).expect("it was found");
        let off = (result.value - exact).abs();
        // Sizes from 8 on have corrections beyond the one that is fitted: a quarter of a percent beside the noise.
        assert!(
            off < 4.0 * result.error + 0.0025 * exact && result.error < largest,
            "{name}: {} +- {}, exact {exact}",
            result.value,
            result.error
        );
    };
    within("critical_coupling", exact::critical_coupling(), 5e-4);
    within("nu", 1.0, 0.04);
    within("beta_over_nu", 0.125, 0.01);
    within("gamma_over_nu", 1.75, 0.02);
    within("binder_cumulant_at_criticality", 0.610_69, 0.004);
    within("correlation_length_at_criticality", 0.905_05, 0.03);
    assert_eq!(scaling.covariance.len(), scaling.results.len().pow(2));
    for (index, result) in scaling.results.iter().enumerate() {
        assert!((scaling.covariance[index * (scaling.results.len() + 1)].sqrt() / result.error - 1.0).abs() < 1e-9);
    }
    // The same bits on one thread.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(pool.install(|| analyse(&data)).as_ref(), Some(&scaling));
    // Interrupted after any number of answers, it goes on from there and ends with the same bits.
    let whole = Memory::default();
    assert_eq!(analyse_on(Geometry::Square, &data, &whole).as_ref(), Some(&scaling));
    let all = whole.kept.into_inner().unwrap();
    for count in [1, all.len() / 3, all.len() - 1, all.len()] {
        let memory = Memory { kept: Mutex::new(all.clone().into_iter().take(count).collect()), ..Memory::default() };
        assert_eq!(analyse_on(Geometry::Square, &data, &memory).as_ref(), Some(&scaling));
        assert_eq!(memory.calculated.into_inner(), all.len() - count, "an answer was asked for twice");
    }
    // Too little for scaling, in every way.
    assert!(analyse(&data[..2]).is_none());
    let lone: Vec<SizeData> = data.iter().map(|size| SizeData { size: size.size, ensembles: size.ensembles[..1].to_vec() }).collect();
    assert!(analyse(&lone).is_none());
}
