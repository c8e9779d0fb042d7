//! Reweighting and finite-size scaling on real chains: Kaufman's curves between the couplings that were sampled, the peak of the specific heat, error bars of unit variance, and
//! exponents of small lattices.

use kadanoff::exact;
use kadanoff::lattice::{Geometry, SquareTorus};
use kadanoff::ledger::Ledger;
use kadanoff::measure::{Observer, Series};
use kadanoff::sampler::{Algorithm, Start, build};
use kadanoff::statistics::reweighting::{Begin, Histograms};
use kadanoff::statistics::scaling::{FEWEST_BLOCKS, SizeData, analyse, analyse_on};
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
    let all = histograms.combine(None, Begin::Nowhere);
    let others: Vec<f64> = (0..histograms.blocks())
        .into_par_iter()
        .map(|block| of(&histograms.combine(Some(block), Begin::Near(all.free_energies()))))
        .collect();
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
        assert!(histograms.combine(None, Begin::Nowhere).overlaps().iter().all(|&overlap| overlap > 0.5));
        // Between the couplings: within four errors, and the errors small enough to mean something.
        for pair in couplings.windows(2) {
            let middle = 0.5 * (pair[0] + pair[1]);
            let expected = exact::square(side, middle);
            let [energy, error] = jackknife(&histograms, &|ensemble| ensemble.at(middle).energy);
            assert!((energy - expected.energy_per_site).abs() < 4.0 * error && error < 1e-3, "L {side} K {middle}: {energy} +- {error}");
            let [heat, error] = jackknife(&histograms, &|ensemble| ensemble.at(middle).specific_heat);
            assert!((heat - expected.specific_heat_per_site).abs() < 4.0 * error && error < 0.03, "L {side} K {middle}: {heat} +- {error}");
            // The mutant: the weights of another coupling.
            let wrong = histograms.combine(None, Begin::Nowhere).at(1.005 * middle).energy;
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
    // 200 independent ensembles with seven exact observables each: 1400 comparisons. The observables of an ensemble are correlated, so each is tested by itself over the ensembles: the
    // variance of 200 pulls has an error of 10 %. An error bar a fifth too small is found out with probability 0.93, one three tenths too large with 0.98.
    const COUPLINGS: [f64; 10] = [0.22, 0.27, 0.31, 0.34, 0.37, 0.39, 0.408, 0.42, 0.44, 0.47];
    let places: Vec<(usize, f64, u64)> =
        (0..200).map(|index| ([4, 6, 8, 10][index % 4], COUPLINGS[index / 4 % 10], 1000 + index as u64)).collect();
    let pulls_of = |&(side, coupling, ensemble): &(usize, f64, u64)| -> Vec<f64> {
        let series = chains(side, coupling, 1200, ensemble);
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
        let pull = |(one, exact): (&statistics::NamedEstimate, Option<f64>)| Some((one.estimate.mean - exact?) / one.estimate.error);
        let pulls: Vec<f64> = observables.iter().zip(expected).map(|pair| pull(pair).unwrap_or(f64::NAN)).collect();
        assert!(pulls.iter().all(|pull| pull.is_nan() || pull.abs() < 4.5), "L {side} K {coupling}: {pulls:?}");
        pulls
    };
    let all: Vec<Vec<f64>> = places.par_iter().map(pulls_of).collect();
    let mut count = 0;
    for observable in 0..7 {
        let of_one: Vec<f64> = all.iter().map(|pulls| pulls[observable]).filter(|pull| !pull.is_nan()).collect();
        let sum: f64 = of_one.iter().map(|pull| pull * pull).sum();
        let p = chi_squared::survival(sum, of_one.len() as f64);
        println!("observable {observable}: chi^2 {sum:.1} over {}, p = {p:.4}", of_one.len());
        assert!((0.001..0.999).contains(&p), "observable {observable}: {sum} over {}, p {p}", of_one.len());
        // The mutant: errors a third too small.
        assert!(chi_squared::survival(2.25 * sum, of_one.len() as f64) < 1e-6);
        count += of_one.len();
    }
    assert!(count >= 1200, "{count} comparisons");
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
                .map(|(place, &coupling)| chains(side, coupling, 16_000, (200 + 10 * index + place) as u64))
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
        println!("{name}: {} +- {}, exact {exact}, bootstrap {:?}", result.value, result.error, result.bootstrap);
        assert!(off < 4.0 * result.error && result.error < largest, "{name}: {} +- {}, exact {exact}", result.value, result.error);
        // Errors of 48 blocks have an error of a tenth of themselves, those of 200 resamples of the same blocks one of a twentieth besides.
        let bootstrap = result.bootstrap.expect("it is made with the jackknife");
        assert!(
            (0.7..1.4).contains(&(bootstrap.error / result.error)),
            "{name}: bootstrap {}, jackknife {}",
            bootstrap.error,
            result.error
        );
        assert!(bootstrap.interval[0] < result.value && result.value < bootstrap.interval[1], "{name}: {bootstrap:?}, {}", result.value);
    };
    within("critical_coupling", exact::critical_coupling(), 2.5e-4);
    within("nu", 1.0, 0.012);
    within("beta_over_nu", 0.125, 0.0016);
    within("gamma_over_nu", 1.75, 0.0035);
    within("binder_cumulant_at_criticality", 0.610_69, 0.0013);
    within("correlation_length_at_criticality", 0.905_05, 0.01);
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
    // Thirty draws a chain, each fifty times: 1500 that know no more than thirty, and so no 48 blocks.
    let repeated = |chain: &Series| -> Series {
        let places = || (0..1500).map(|draw| draw / 50);
        Series {
            energy: places().map(|draw| chain.energy[draw]).collect(),
            magnetization: places().map(|draw| chain.magnetization[draw]).collect(),
            wave_power: places().map(|draw| chain.wave_power[draw]).collect(),
            ..Series::default()
        }
    };
    let sticky: Vec<Vec<Vec<Series>>> =
        series.iter().map(|(_, _, all)| all.iter().map(|chains| chains.iter().map(repeated).collect()).collect()).collect();
    let of_sticky = series.iter().zip(&sticky).map(|((size, couplings, _), all)| SizeData {
        size: *size,
        ensembles: couplings.iter().copied().zip(all.iter().map(Vec::as_slice)).collect(),
    });
    let found = analyse(&of_sticky.collect::<Vec<_>>()).expect("it says that it has no results");
    assert!(found.blocks < FEWEST_BLOCKS && found.results.is_empty() && found.curves.is_empty(), "{} blocks", found.blocks);
}
