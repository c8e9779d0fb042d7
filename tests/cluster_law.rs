//! Swendsen-Wang and Wolff, packed and plain, sample exp(-K E) / Z: the joint law of energy and magnetization on the 4 x 4 torus against all 65,536 states.
//!
//! Power: with n independent draws a coupling wrong by dK shifts chi-squared by about n dK^2 Var(E). At K = 0.44, 1 % wrong, n = 100,000 that is 125 over some
//! 50 cells: p is below 1e-6 almost surely. Every other mutant below is further off. Set KADANOFF_LONG=1 for as many draws of the packed Swendsen-Wang;
//! by default its 7,000 show 4 % of the coupling.

use kadanoff::kernels::InstructionSet;
use kadanoff::lattice::SquareTorus;
use kadanoff::measure::Measurement;
use kadanoff::random::{Purpose, Stream};
use kadanoff::sampler::reference::{swendsen_wang::ReferenceSwendsenWang, wolff::ReferenceWolff};
use kadanoff::sampler::snapshot::TakeWords;
use kadanoff::sampler::{Sampler, Start, SwendsenWang, Wolff};
use statrs::distribution::{ChiSquared, ContinuousCDF};
use std::collections::BTreeMap;

const SIDE: usize = 4;
const SITES: usize = SIDE * SIDE;

fn torus() -> SquareTorus {
    SquareTorus::new(SIDE).expect("a valid side")
}

/// (E, M) and its probability at coupling K, from all states; independent of the bit tricks of the library.
fn exact_law(coupling: f64) -> BTreeMap<(i64, i64), f64> {
    let mut law = BTreeMap::new();
    for state in 0u32..1 << SITES {
        let spin = |x: usize, y: usize| if state >> (y % SIDE * SIDE + x % SIDE) & 1 == 1 { 1 } else { -1 };
        let (mut energy, mut magnetization) = (0, 0);
        for y in 0..SIDE {
            for x in 0..SIDE {
                magnetization += spin(x, y);
                energy -= spin(x, y) * (spin(x + 1, y) + spin(x, y + 1));
            }
        }
        *law.entry((energy, magnetization)).or_insert(0.0) += (-coupling * energy as f64).exp();
    }
    let sum: f64 = law.values().sum();
    law.values_mut().for_each(|weight| *weight /= sum);
    law
}

/// The p-value of draws under the exact law; cells with fewer than ten expected draws are thrown together.
fn p_value(draws: &[Measurement], coupling: f64) -> f64 {
    let mut counts: BTreeMap<(i64, i64), f64> = BTreeMap::new();
    for draw in draws {
        *counts.entry((draw.energy, draw.magnetization)).or_insert(0.0) += 1.0;
    }
    let (mut chi_squared, mut cells) = (0.0, 0);
    let (mut rare_expected, mut rare_seen) = (0.0, 0.0);
    for (cell, probability) in exact_law(coupling) {
        let (expected, seen) = (probability * draws.len() as f64, counts.remove(&cell).unwrap_or(0.0));
        if expected < 10.0 {
            rare_expected += expected;
            rare_seen += seen;
        } else {
            chi_squared += (seen - expected) * (seen - expected) / expected;
            cells += 1;
        }
    }
    assert!(counts.is_empty(), "impossible energies or magnetizations were drawn");
    if rare_expected >= 10.0 {
        chi_squared += (rare_seen - rare_expected) * (rare_seen - rare_expected) / rare_expected;
        cells += 1;
    }
    ChiSquared::new(f64::from(cells - 1)).expect("more than one cell").sf(chi_squared)
}

/// The integrated autocorrelation time of a series, summed to a window of eight times itself.
fn autocorrelation_time(series: &[f64]) -> f64 {
    let count = series.len() as f64;
    let mean = series.iter().sum::<f64>() / count;
    let covariance = |lag: usize| {
        let pairs = series.iter().zip(&series[lag..]);
        pairs.map(|(first, second)| (first - mean) * (second - mean)).sum::<f64>() / (count - lag as f64)
    };
    let variance = covariance(0);
    let (mut time, mut lag) = (0.5, 1);
    while (lag as f64) <= 8.0 * time {
        time += covariance(lag) / variance;
        lag += 1;
    }
    time
}

/// Draws `thinning` sweeps apart, after a check that this is at least ten autocorrelation times of E and |M|.
fn draw(sampler: &mut dyn Sampler, draws: usize, thinning: usize) -> Vec<Measurement> {
    let trial = draw_unchecked(sampler, 5000, 1);
    let energy: Vec<f64> = trial.iter().map(|measurement| measurement.energy as f64).collect();
    let magnetization: Vec<f64> = trial.iter().map(|measurement| measurement.magnetization.abs() as f64).collect();
    let time = autocorrelation_time(&energy).max(autocorrelation_time(&magnetization));
    assert!(thinning as f64 >= 10.0 * time, "{thinning} sweeps are less than ten autocorrelation times of {time}");
    draw_unchecked(sampler, draws, thinning)
}

/// Draws `thinning` sweeps apart, the first after thermalization. A mutant may be stuck, and then has no autocorrelation time.
fn draw_unchecked(sampler: &mut dyn Sampler, draws: usize, thinning: usize) -> Vec<Measurement> {
    for _ in 0..1000 {
        sampler.sweep();
    }
    sampler.end_thermalization();
    (0..draws)
        .map(|_| {
            for _ in 0..thinning {
                sampler.sweep();
            }
            sampler.measure()
        })
        .collect()
}

fn assert_fair(name: &str, coupling: f64, draws: &[Measurement]) {
    let p = p_value(draws, coupling);
    println!("{name}, K = {coupling}: p = {p:.4}");
    assert!((1e-4..=1.0 - 1e-4).contains(&p), "{name} at K = {coupling}: p = {p}");
}

fn assert_caught(name: &str, coupling: f64, draws: &[Measurement]) {
    let p = p_value(draws, coupling);
    println!("mutant {name}, K = {coupling}: p = {p:.2e}");
    assert!(p < 1e-6, "the mutant \"{name}\" passes at K = {coupling}: p = {p}");
}

const COUPLINGS: [f64; 3] = [0.2, 0.44, 0.7];

fn long() -> bool {
    std::env::var("KADANOFF_LONG").is_ok_and(|value| value == "1")
}

#[test]
fn packed_swendsen_wang_samples_the_law() {
    let draws = if long() { 100_000 } else { 7_000 };
    for coupling in COUPLINGS {
        let mut sampler = SwendsenWang::new(torus(), coupling, Start::Hot, 41, 0).expect("valid");
        assert_fair("packed Swendsen-Wang", coupling, &draw(&mut sampler, draws, 25));
    }
    if long() {
        let mut mutant = SwendsenWang::new(torus(), 1.01 * 0.44, Start::Hot, 41, 1).expect("valid");
        assert_caught("packed Swendsen-Wang at 1.01 K", 0.44, &draw(&mut mutant, draws, 25));
    }
}

/// Clusters of one kind as the unit of a sweep, whatever the thermalization.
struct SingleClusters(Wolff);

impl Sampler for SingleClusters {
    fn sweep(&mut self) -> u64 {
        self.0.flip_cluster()
    }

    fn measure(&self) -> Measurement {
        self.0.measure()
    }

    fn configuration(&self) -> kadanoff::spins::Configuration {
        self.0.configuration()
    }

    fn put_snapshot(&self, take: &mut TakeWords) {
        self.0.put_snapshot(take);
    }

    fn restore(&mut self, words: &[u64]) -> kadanoff::error::Result<()> {
        self.0.restore(words)
    }
}

#[test]
fn packed_wolff_samples_the_law() {
    for (coupling, thinning) in COUPLINGS.into_iter().zip([80, 40, 40]) {
        let wolff = |coupling, chain| SingleClusters(Wolff::new(torus(), coupling, Start::Hot, 42, chain).expect("valid"));
        assert_fair("packed Wolff", coupling, &draw(&mut wolff(coupling, 0), 40_000, thinning));
        if coupling == 0.44 {
            assert_caught("packed Wolff at 1.01 K", coupling, &draw(&mut wolff(1.01 * coupling, 1), 100_000, thinning));
        }
    }
    // A sweep of a fixed number of clusters after thermalization is as good as single clusters.
    let mut sweeps = Wolff::new(torus(), 0.2, Start::Hot, 42, 2).expect("valid");
    assert_fair("packed Wolff by sweeps", 0.2, &draw(&mut sweeps, 20_000, 25));
    assert!(sweeps.clusters_per_sweep() > 3, "clusters of a fifth of the sites make several a sweep");
    // Without a coupling every cluster is one site: an even number of them keeps the parity of the spins up, and sees only half of the law.
    let mut sweeps = Wolff::new(torus(), 0.0, Start::Hot, 42, 3).expect("valid");
    assert_fair("packed Wolff by sweeps", 0.0, &draw(&mut sweeps, 20_000, 10));
    let mut single = SingleClusters(Wolff::new(torus(), 0.0, Start::Hot, 42, 4).expect("valid"));
    assert_caught("a fixed even number of clusters", 0.0, &draw(&mut single, 20_000, 40));
}

/// The chains on each set of instructions (`tests/agreement.rs` shows that they are the same chains).
#[test]
fn every_instruction_set_samples_the_law() {
    let (draws, coupling) = (if long() { 50_000 } else { 5_000 }, 0.44);
    for set in InstructionSet::available() {
        let mut clusters = SwendsenWang::with_instruction_set(set, torus(), coupling, Start::Hot, 46, 0).expect("valid");
        assert_fair(&format!("Swendsen-Wang on {set}"), coupling, &draw(&mut clusters, draws, 25));
        let mut single = SingleClusters(Wolff::with_instruction_set(set, torus(), coupling, Start::Hot, 47, 0).expect("valid"));
        assert_fair(&format!("Wolff on {set}"), coupling, &draw(&mut single, 2 * draws, 40));
    }
}

#[test]
fn the_references_sample_the_law() {
    for coupling in COUPLINGS {
        let mut plain = ReferenceSwendsenWang::new(torus(), coupling, Start::Hot, 43, 0).expect("valid");
        assert_fair("reference Swendsen-Wang", coupling, &draw(&mut plain, 10_000, 25));
        let mut plain = ReferenceWolff::new(torus(), coupling, Start::Hot, 44, 0).expect("valid");
        assert_fair("reference Wolff", coupling, &draw(&mut plain, 10_000, if coupling < 0.3 { 80 } else { 40 }));
    }
}

/// What is wrong with a [`Mutant`].
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Nothing,
    /// Bonds open as at 1.01 K.
    Coupling,
    /// One bond joins a site to the site after its neighbour.
    Neighbour,
    /// The random bit of one bond is always set.
    StuckBit,
    /// The sign of a cluster is the parity of its label, up to one random sign for all.
    LabelParity,
}

/// A Swendsen-Wang chain that is plain, fast on 16 sites, and wrong in one way.
struct Mutant {
    fault: Fault,
    probability: f64,
    spins: [i8; SITES],
    bonds: Vec<(usize, usize)>,
    stream: Stream,
}

impl Mutant {
    fn new(fault: Fault, coupling: f64) -> Self {
        let coupling = if fault == Fault::Coupling { 1.01 * coupling } else { coupling };
        let bonds_of = |site| torus().neighbours(site).into_iter().step_by(2).map(move |neighbour| (site, neighbour));
        let bonds = (0..SITES).flat_map(bonds_of).collect();
        Mutant { fault, probability: -(-2.0 * coupling).exp_m1(), spins: [1; SITES], bonds, stream: Stream::new(45, Purpose::Check, 0) }
    }
}

impl Sampler for Mutant {
    fn sweep(&mut self) -> u64 {
        let mut labels: [usize; SITES] = std::array::from_fn(|site| site);
        for (number, &(site, mut neighbour)) in self.bonds.iter().enumerate() {
            if self.fault == Fault::Neighbour && number == 10 {
                neighbour += 1;
            }
            let stuck = self.fault == Fault::StuckBit && number == 10;
            let open = self.stream.uniform() < self.probability || stuck;
            if open && self.spins[site] == self.spins[neighbour] {
                let (old, new) = (labels[site].max(labels[neighbour]), labels[site].min(labels[neighbour]));
                labels.iter_mut().filter(|label| **label == old).for_each(|label| *label = new);
            }
        }
        let random = self.stream.word();
        let bits = if self.fault == Fault::LabelParity { 0xAAAA ^ (random & 1).wrapping_neg() } else { random };
        for site in 0..SITES {
            self.spins[site] = 1 - 2 * (bits >> labels[site] & 1) as i8;
        }
        SITES as u64
    }

    fn measure(&self) -> Measurement {
        let energy = -self.bonds.iter().map(|&(site, neighbour)| i64::from(self.spins[site] * self.spins[neighbour])).sum::<i64>();
        Measurement { energy, magnetization: self.spins.iter().map(|&spin| i64::from(spin)).sum() }
    }

    fn configuration(&self) -> kadanoff::spins::Configuration {
        let mut configuration = kadanoff::spins::Configuration::all_down(torus());
        (0..SITES).for_each(|site| configuration.set(site, self.spins[site] > 0));
        configuration
    }

    fn put_snapshot(&self, take: &mut TakeWords) {
        take(&self.stream.state());
        take(self.configuration().words());
    }

    fn restore(&mut self, words: &[u64]) -> kadanoff::error::Result<()> {
        let mut reader = kadanoff::sampler::snapshot::Reader::new(words);
        self.stream = reader.stream()?;
        let configuration = reader.configuration(torus())?;
        self.spins = std::array::from_fn(|site| configuration.spin(site) as i8);
        reader.end()
    }
}

#[test]
fn mutants_are_caught() {
    let coupling = 0.44;
    assert_fair("plain chain without a fault", coupling, &draw(&mut Mutant::new(Fault::Nothing, coupling), 30_000, 25));
    for fault in [Fault::Coupling, Fault::Neighbour, Fault::StuckBit, Fault::LabelParity] {
        // The first two are subtle: 1 % of the coupling, one bond of 32.
        let draws = if matches!(fault, Fault::Coupling | Fault::Neighbour) { 100_000 } else { 10_000 };
        assert_caught(&format!("{fault:?}"), coupling, &draw_unchecked(&mut Mutant::new(fault, coupling), draws, 25));
    }
}
