//! The law of the Metropolis chain against exact results: the joint law of energy and magnetization on the 4 x 4 torus by enumeration of its 65,536
//! states, and energies of larger tori against Kaufman's partition function. Each comparison is also made with samplers that are slightly wrong, and
//! has to notice. Seeds are fixed, so that nothing here fails by chance later.

#[path = "support/enumeration.rs"]
mod enumeration;

use enumeration::enumerated;
use kadanoff::kernels::local_update::Rule;
use kadanoff::kernels::{InstructionSet, heat_bath, metropolis};
use kadanoff::lattice::SquareTorus;
use kadanoff::sampler::replicas::ReplicaGroup;
use kadanoff::sampler::{HeatBath, Metropolis, Sampler, Start, reference};
use statrs::distribution::{ChiSquared, ContinuousCDF};
use std::collections::BTreeMap;

const SEED: u64 = 14103831;
const CRITICAL_COUPLING: f64 = 0.440_686_793_509_771_5;

/// Which part of M is compared.
#[derive(Clone, Copy, PartialEq)]
enum Magnetization {
    Signed,
    /// |M|: where the chain keeps its sign longer than the samples lie apart.
    Absolute,
}

fn torus(side: usize) -> SquareTorus {
    SquareTorus::new(side).expect("a valid side")
}

fn key(magnetization: i64, kind: Magnetization) -> i64 {
    if kind == Magnetization::Signed { magnetization } else { magnetization.abs() }
}

/// What [`compare`] found.
struct Verdict {
    p: f64,
    correlation: f64,
}

/// The probability that a right sampler gives a worse chi-squared than this one: `samples` measurements, `apart` sweeps from one to the next, against
/// the law at `coupling`. Cells of fewer than ten expected samples are taken together. With it comes the larger correlation of successive samples in
/// energy or magnetization, in standard errors: large if `apart` is too short.
fn compare(mut chain: impl Sampler, coupling: f64, kind: Magnetization, samples: usize, apart: usize) -> Verdict {
    let mut histogram = BTreeMap::new();
    let mut series = [Vec::new(), Vec::new()];
    for _ in 0..samples {
        for _ in 0..apart {
            chain.sweep();
        }
        let measurement = chain.measure();
        let cell = (measurement.energy, key(measurement.magnetization, kind));
        *histogram.entry(cell).or_insert(0.0) += 1.0;
        series[0].push(cell.0 as f64);
        series[1].push(cell.1 as f64);
    }
    let correlation = series.iter().map(|values| correlation_of_successive(values).abs()).fold(0.0, f64::max);
    let (mut chi_squared, mut cells, mut rare_seen, mut rare_expected) = (0.0, 0, 0.0, 0.0);
    for (cell, probability) in enumerated(coupling, |magnetization| key(magnetization, kind)) {
        let (seen, expected) = (histogram.remove(&cell).unwrap_or(0.0), probability * samples as f64);
        if expected < 10.0 {
            rare_seen += seen;
            rare_expected += expected;
        } else {
            chi_squared += (seen - expected).powi(2) / expected;
            cells += 1;
        }
    }
    assert!(histogram.is_empty(), "the chain was in states that do not exist: {histogram:?}");
    chi_squared += (rare_seen - rare_expected).powi(2) / rare_expected;
    let p = ChiSquared::new(f64::from(cells)).expect("at least one cell").sf(chi_squared);
    Verdict { p, correlation: correlation * (samples as f64).sqrt() }
}

impl Verdict {
    fn accept(&self) {
        println!("p = {:.4}, correlation {:.1} standard errors", self.p, self.correlation);
        assert!((1e-4..1.0 - 1e-4).contains(&self.p), "p = {}", self.p);
        assert!(self.correlation < 4.0, "the samples lie too close together: correlation {} standard errors", self.correlation);
    }

    fn refuse(&self) {
        println!("p = {:e}", self.p);
        assert!(self.p < 1e-6, "p = {}", self.p);
    }
}

fn correlation_of_successive(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    values.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum::<f64>() / variance
}

fn chain(side: usize, coupling: f64, number: u64) -> Metropolis {
    let mut chain = Metropolis::new(torus(side), coupling, Start::Hot, SEED, number).expect("a fit lattice");
    (0..1000).for_each(|_| {
        chain.sweep();
    });
    chain
}

/// Autocorrelation times of E, M, |M| in sweeps: 0.6, 0.3, 0.8 at K = 0.2; 1.2, 19, 1.3 at K = 0.44; 0.7, 5800, 0.8 at K = 0.7 (two million sweeps).
#[test]
fn energy_and_magnetization_have_the_law_of_the_enumeration() {
    for (number, coupling, kind, samples, apart) in [
        (0, 0.2, Magnetization::Signed, 100_000, 20),
        (1, 0.44, Magnetization::Signed, 20_000, 200),
        (2, 0.44, Magnetization::Absolute, 200_000, 20),
        (3, 0.7, Magnetization::Absolute, 100_000, 20),
    ] {
        compare(chain(4, coupling, number), coupling, kind, samples, apart).accept();
    }
}

/// Both rules on every instruction set, with columns (K = 0.44) and with alias tables (K = 0.06) as level 1 of the byte laws. (Where it is hot Metropolis flips nearly all spins
/// at every sweep, so that M keeps its size for long.)
#[test]
fn every_instruction_set_has_the_law() {
    for set in InstructionSet::available() {
        for (number, coupling, kind, apart) in [(40, 0.44, Magnetization::Absolute, 20), (41, 0.06, Magnetization::Signed, 60)] {
            let start = Start::Hot;
            let metropolis = Metropolis::new(torus(4), coupling, start, SEED, number).expect("a fit lattice").with_instruction_set(set);
            compare(metropolis, coupling, kind, 50_000, apart).accept();
            let heat_bath = HeatBath::new(torus(4), coupling, start, SEED, number + 2).expect("a fit lattice").with_instruction_set(set);
            compare(heat_bath, coupling, kind, 50_000, apart).accept();
        }
    }
}

/// The tables of another coupling, K = 0.42 for 0.44, for one of the two bits.
#[test]
fn a_wrong_table_is_noticed() {
    for wrong in 0..2 {
        let mut laws = metropolis::Metropolis::laws(0.44);
        laws.0[wrong] = metropolis::Metropolis::laws(0.42).0[wrong].clone();
        let chain = reference::Metropolis::new(torus(4), 0.44, Start::Hot, SEED, 44).expect("a fit lattice").with_laws(laws);
        compare(chain, 0.44, Magnetization::Absolute, 20_000, 20).refuse();
    }
}

/// The same of the heat bath: one of its two tables of another coupling; and all of it at 1.01 K, with the power that is told below.
#[test]
fn a_wrong_heat_bath_is_noticed() {
    for wrong in 0..2 {
        let mut laws = heat_bath::HeatBath::laws(0.44);
        laws.0[wrong] = heat_bath::HeatBath::laws(0.42).0[wrong].clone();
        let chain = || reference::LocalUpdate::<heat_bath::HeatBath>::new(torus(4), 0.44, Start::Hot, SEED, 45).expect("a fit lattice");
        compare(chain().with_laws(laws), 0.44, Magnetization::Absolute, 20_000, 20).refuse();
        compare(chain(), 0.44, Magnetization::Absolute, 20_000, 20).accept();
    }
    let wrong = HeatBath::new(torus(4), 1.01 * 0.44, Start::Hot, SEED, 46).expect("a fit lattice");
    compare(wrong, 0.44, Magnetization::Absolute, 200_000, 20).refuse();
}

/// An acceptance exp(-1.01 dE K) is exactly the chain at 1.01 K. Power: 200,000 samples, times (0.0044)^2 Var(E) = 1.25e-3, give chi-squared a
/// noncentrality of 250 at some 40 degrees of freedom; it misses p < 1e-6 with probability 1e-7.
#[test]
fn one_percent_more_in_the_exponent_is_noticed() {
    compare(chain(4, 1.01 * 0.44, 4), 0.44, Magnetization::Absolute, 200_000, 20).refuse();
}

/// Site 5 sees its left neighbour twice and its right neighbour not at all. Without detailed balance the chain even locks into states it should leave.
#[test]
fn one_wrong_neighbour_is_noticed() {
    let torus = torus(4);
    let wrong = reference::Metropolis::new(torus, 0.44, Start::Hot, SEED, 5).expect("a fit lattice").with_neighbours(|site| {
        let [right, left, down, up] = torus.neighbours(site);
        if site == 5 { [left, left, down, up] } else { [right, left, down, up] }
    });
    compare(wrong, 0.44, Magnetization::Absolute, 20_000, 30).refuse();
}

/// Bit 6 of the words of lane 1 is always set: the bytes that choose for the sites of every second line see only the upper half of their 128 columns, which hold few of the
/// bytes without a set bit, so these sites flip against the odds far too often. (Bit 0 would be seen by none: it only chooses between neighbouring columns, which are mostly alike.)
#[test]
fn one_stuck_random_bit_is_noticed() {
    let wrong = reference::Metropolis::new(torus(4), 0.44, Start::Hot, SEED, 6)
        .expect("a fit lattice")
        .with_random_filter(|lane, word| if lane == 1 { word | 0x40 } else { word });
    compare(wrong, 0.44, Magnetization::Absolute, 10_000, 30).refuse();
}

/// The samplers of the mutants, unharmed: so it is the harm that is noticed.
#[test]
fn the_reference_has_the_law_of_the_enumeration() {
    let right = reference::Metropolis::new(torus(4), 0.44, Start::Hot, SEED, 5).expect("a fit lattice");
    compare(right, 0.44, Magnetization::Absolute, 10_000, 30).accept();
}

/// Mean and standard error of the energy per site, from 128 bins of successive sweeps, each much longer than the autocorrelation time.
fn energy_per_site(side: usize, coupling: f64, number: u64) -> (f64, f64) {
    const BINS: usize = 128;
    const SWEEPS: usize = 1024;
    let mut chain = chain(side, coupling, number);
    let bins: Vec<f64> = (0..BINS)
        .map(|_| {
            let total: i64 = (0..SWEEPS)
                .map(|_| {
                    chain.sweep();
                    chain.measure().energy
                })
                .sum();
            total as f64 / (SWEEPS * side * side) as f64
        })
        .collect();
    let mean = bins.iter().sum::<f64>() / BINS as f64;
    let variance = bins.iter().map(|bin| (bin - mean).powi(2)).sum::<f64>() / (BINS * (BINS - 1)) as f64;
    (mean, variance.sqrt())
}

/// Exact energies: Kaufman, Phys. Rev. 76, 1232 (1949), evaluated with the signed mode of zero wave number; at side 4 they equal the enumeration.
#[test]
fn energies_are_those_of_kaufman() {
    for (number, (side, coupling, exact)) in [
        (8, 0.408, -1.277_582_975_751_2),
        (16, 0.408, -1.187_597_751_798_8),
        (32, 0.408, -1.154_070_285_717_0),
        (8, CRITICAL_COUPLING, -1.491_589_107_439_7),
        (16, CRITICAL_COUPLING, -1.453_064_852_813_5),
        (32, CRITICAL_COUPLING, -1.433_658_466_146_2),
    ]
    .into_iter()
    .enumerate()
    {
        let (mean, error) = energy_per_site(side, coupling, 10 + number as u64);
        println!("L {side} K {coupling:.4}: {mean:.6} +- {error:.6}, exact {exact:.6}, z {:.2}", (mean - exact) / error);
        assert!((mean - exact).abs() < 4.0 * error, "L = {side}, K = {coupling}: {mean} +- {error}, exact {exact}");
        assert!(error < 0.004, "an error of {error} could hide a mistake");
        // The wrong acceptance exp(-1.01 dE K) must be far outside.
        let (wrong, error) = energy_per_site(side, 1.01 * coupling, 20 + number as u64);
        assert!((wrong - exact).abs() > 6.0 * error, "L = {side}, K = {coupling}: one percent more goes unnoticed, {wrong} +- {error}");
    }
}

/// Metropolis never visits the 36 states of the 4 x 4 torus in which every site has two unsatisfied bonds (E = 0, M = 0), and no chain begins there: its law is Boltzmann's without them.
/// **Power.** They have a share of 4.67e-4 at K = 0.1, which gives 5 10^7 draws a noncentrality of 182 over 45 cells if the law with them is the right one (the mutant); it misses
/// p < 1e-6 with probability below 1e-4. `KADANOFF_LONG=1` takes ten times as many.
#[test]
fn the_states_that_turn_over_for_ever_are_not_in_the_law() {
    const COUPLING: f64 = 0.1;
    let rounds = if std::env::var("KADANOFF_LONG").is_ok_and(|value| value == "1") { 1_000_000 } else { 100_000 };
    let mut group = ReplicaGroup::new(torus(4), COUPLING, Start::Hot, SEED, 12).expect("a fit lattice");
    (0..200).for_each(|_| group.sweep());
    // By (E + 32) / 4 and |M| / 2: a map of its own, because there are so many draws.
    let mut counts = [[0u64; 9]; 17];
    for _ in 0..rounds {
        (0..19).for_each(|_| group.sweep());
        group.sweep_counted();
        for measured in group.measurements() {
            counts[(measured.energy + 32) as usize / 4][measured.magnetization.unsigned_abs() as usize / 2] += 1;
        }
    }
    let draws = (rounds * kadanoff::kernels::replicas::REPLICAS) as f64;
    let all = enumerated(COUPLING, i64::abs);
    // E = 0 alone has the weight 1 / Z a state, and so have all spins up, times e^(32 K).
    let locked = 36.0 * all[&(-32, 16)] / (2.0 * (32.0 * COUPLING).exp());
    assert!((locked - 4.6705e-4).abs() < 1e-7, "{locked}");
    let p = |is_locked: &dyn Fn((i64, i64)) -> f64| {
        let (mut chi_squared, mut cells, mut rare) = (0.0, 0, [0.0; 2]);
        for (&(energy, magnetization), probability) in &all {
            let seen = counts[(energy + 32) as usize / 4][magnetization as usize / 2] as f64;
            let expected = draws * (probability - is_locked((energy, magnetization))) / (1.0 - is_locked((0, 0)));
            if expected < 10.0 {
                rare = [rare[0] + seen, rare[1] + expected];
            } else {
                chi_squared += (seen - expected).powi(2) / expected;
                cells += 1;
            }
        }
        chi_squared += (rare[0] - rare[1]).powi(2) / rare[1].max(1e-9);
        println!("chi-squared {chi_squared:.1} of {cells} cells and the rare ones");
        ChiSquared::new(f64::from(cells)).expect("at least one cell").sf(chi_squared)
    };
    let without_them = p(&|cell| if cell == (0, 0) { locked } else { 0.0 });
    println!("p = {without_them:.4}");
    assert!((1e-4..1.0 - 1e-4).contains(&without_them), "p = {without_them}");
    let with_them = p(&|_| 0.0);
    assert!(with_them < 1e-6, "{draws} draws do not tell the laws apart: p = {with_them}");
}
