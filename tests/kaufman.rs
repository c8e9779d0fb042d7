//! Every sampler against the exact finite torus: energy and specific heat of `kadanoff exact`, autocorrelation included.
//!
//! For each algorithm twenty points: L = 8 ... 128, on both sides of the transition and at it. The squares of its twenty deviations of the energy, in standard errors, must add up to
//! what chance allows (p between 0.001 and 0.999), and so must those of all algorithms; no energy or specific heat is off by 4.5 standard errors (one false alarm in a thousand
//! seeds; the seed is fixed). The errors are small enough that a coupling wrong by 1 % would be seen (the mutant below). `KADANOFF_LONG=1` runs ten times the sweeps.
//! Replicas across the bits, alone and tempered, have theirs in `replicas.rs`.

use kadanoff::exact;
use kadanoff::lattice::SquareTorus;
use kadanoff::measure::Series;
use kadanoff::sampler::{Algorithm, Start, build};
use kadanoff::statistics::{self, NamedEstimate, chi_squared};
use rayon::prelude::*;

const SEED: u64 = 14103831;
const CHAINS: u64 = 8;

/// Observables of chains at `coupling`, and the sweeps it took.
fn simulate(algorithm: Algorithm, side: usize, coupling: f64) -> Vec<NamedEstimate> {
    let torus = SquareTorus::new(side).expect("a valid side");
    let longer = if std::env::var_os("KADANOFF_LONG").is_some() { 10 } else { 1 };
    // At the critical point local updates slow down as L^2.17; away from it they forget within some hundred sweeps.
    let is_critical = (coupling - exact::critical_coupling()).abs() < 0.01;
    let (thermalization, draws, between) = match algorithm {
        Algorithm::Metropolis | Algorithm::HeatBath if is_critical => (5 * side * side + 500, 1500 * longer, (side * side / 40).max(2)),
        Algorithm::Metropolis | Algorithm::HeatBath => (3000, 1500 * longer, 20),
        Algorithm::SwendsenWang | Algorithm::Wolff => (300, 1500 * longer, 1),
    };
    let chains: Vec<Series> = (0..CHAINS)
        .into_par_iter()
        .map(|chain| {
            let mut sampler = build(algorithm, torus, coupling, Start::Cold, SEED, chain).expect("a valid chain");
            for _ in 0..thermalization {
                sampler.sweep();
            }
            sampler.end_thermalization();
            let mut series = Series::default();
            for _ in 0..draws {
                for _ in 0..between {
                    sampler.sweep();
                }
                series.push(sampler.measure());
            }
            series
        })
        .collect();
    statistics::observables(side, coupling, &chains)
}

/// Deviations from `exact` at `reference_coupling`, in standard errors: energy, specific heat.
fn deviations(algorithm: Algorithm, side: usize, coupling: f64, reference_coupling: f64) -> [f64; 2] {
    let reference = exact::square(side, reference_coupling);
    let observables = simulate(algorithm, side, coupling);
    [("energy_per_site", reference.energy_per_site), ("specific_heat_per_site", reference.specific_heat_per_site)].map(
        |(name, expected)| {
            let estimate = observables.iter().find(|observable| observable.name == name).expect("it was measured").estimate;
            // An error bar that says nothing would make the test pass: 2 % of the value at most, 10 % for the specific heat.
            let share = if name == "energy_per_site" { 0.02 } else { 0.1 };
            assert!(
                estimate.error < share * expected.abs(),
                "{} L = {side} K = {coupling}: {name} = {} +- {}",
                algorithm.name(),
                estimate.mean,
                estimate.error
            );
            (estimate.mean - expected) / estimate.error
        },
    )
}

const ALGORITHMS: [Algorithm; 4] = [Algorithm::Metropolis, Algorithm::HeatBath, Algorithm::SwendsenWang, Algorithm::Wolff];

#[test]
fn energies_and_specific_heats_are_kaufmans() {
    let mut sum_of_all = 0.0;
    for algorithm in ALGORITHMS {
        let mut sum_of_squares = 0.0;
        for side in [8, 16, 32, 64, 128] {
            for coupling in [0.30, 0.408, exact::critical_coupling(), 0.48] {
                let found = deviations(algorithm, side, coupling, coupling);
                assert!(
                    found.iter().all(|off| off.abs() < 4.5),
                    "{} L = {side} K = {coupling}: {found:?} standard errors",
                    algorithm.name()
                );
                sum_of_squares += found[0] * found[0];
            }
        }
        let p = chi_squared::survival(sum_of_squares, 20.0);
        println!("{}: twenty energies, p = {p:.3}", algorithm.name());
        assert!((0.001..0.999).contains(&p), "{}: sum of squares {sum_of_squares} of twenty energies: p = {p}", algorithm.name());
        sum_of_all += sum_of_squares;
    }
    let p = chi_squared::survival(sum_of_all, 80.0);
    println!("eighty energies, p = {p:.3}");
    assert!((0.001..0.999).contains(&p), "sum of squares {sum_of_all} of eighty energies: p = {p}");
}

#[test]
fn a_coupling_wrong_by_one_percent_is_seen() {
    for algorithm in ALGORITHMS {
        let [energy, _] = deviations(algorithm, 32, 1.01 * 0.408, 0.408);
        assert!(energy.abs() > 6.0, "{}: {energy} standard errors", algorithm.name());
    }
}
