//! The flow of a machine: v -> h -> v -> ..., again and again, from configurations of several temperatures (Iso, Shiba, Yokoo, Phys. Rev. E 97, 053304 (2018),
//! arXiv:1801.07172).
//!
//! Read [`flow`] (what becomes of an ensemble step by step), then [`crossings`] (couplings at which the first step leaves the energy as it is). Their temperature is read off their energy by inverting Kaufman's
//! e(K), not by a classifier: a network that has learned what configurations of a temperature look like can be fooled by what is none (arXiv:2006.10176). One step is one sweep of
//! Gibbs sampling, so that the flow ends at the machine's own law, whatever it began with; what can be learned from it is where that is, and which way the first steps lead.

use crate::exact::thermometer;
use crate::kernels::InstructionSet;
use crate::lattice::SquareTorus;
use crate::measure::{Measurement, Observer, Series};
use crate::rbm::Rbm;
use crate::rbm::gibbs::GibbsChains;
use crate::spins::BitMatrix;
use crate::statistics;
use crate::statistics::jackknife::{self, Moments};
use rayon::prelude::*;

/// Chains are put into so many parts, neighbours together, for the errors: starts from the same Markov chain may know of each other.
pub const PARTS: usize = 20;
/// The chains of a flow among those of the machine (see [`GibbsChains::new`]).
const STREAMS: u64 = 2;

/// Configurations at one coupling, from which the flow starts.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    /// K of the Ising model that they come from.
    pub coupling: f64,
    /// One configuration a row.
    pub states: BitMatrix,
}

/// The ensemble after some steps. Values and their standard errors, by the jackknife over [`PARTS`] parts of the chains.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Steps v -> h -> v since the start.
    pub step: usize,
    /// `<E>/N` in J.
    pub energy: [f64; 2],
    /// `(<E^2> - <E>^2)/N` in J^2.
    pub energy_variance: [f64; 2],
    /// `<|M|>/N`.
    pub absolute_magnetization: [f64; 2],
    /// `<M^2>/N^2`.
    pub magnetization_squared: [f64; 2],
    /// Second-moment correlation length in lattice units; not a number where no configuration has a wave.
    pub correlation_length: [f64; 2],
    /// The coupling at which the Ising model has this energy, with the error that the energy has; none where no coupling has it.
    pub coupling: Option<[f64; 2]>,
    /// K^2 times the variance of the energy at that coupling: the specific heat, if the ensemble were thermal. In k_B.
    pub specific_heat: Option<[f64; 2]>,
    /// Kaufman's specific heat at that coupling: what it is if the ensemble is thermal.
    pub ising_specific_heat: Option<f64>,
}

/// What became of the configurations of one start.
#[derive(Debug, Clone, PartialEq)]
pub struct Trajectory {
    /// K of the start.
    pub start: f64,
    /// The ensemble at the start and after steps that grow by about a fifth, the last one included.
    pub points: Vec<Point>,
    /// Change of the energy per site in the first step, with the error of the difference between the same chains.
    pub first_change: [f64; 2],
}

/// Lets all starts flow through `steps` steps of the machine, all chains at once.
///
/// # Panics
/// If the machine does not see the sites of the torus, or a start has other configurations.
pub fn flow(rbm: &Rbm, torus: SquareTorus, starts: &[Start], steps: usize, seed: u64) -> Vec<Trajectory> {
    assert!(rbm.visible() == torus.sites(), "the machine sees the spins of the lattice");
    let mut all = BitMatrix::new(starts.iter().map(|start| start.states.rows()).sum(), torus.sites());
    let width = all.words_per_row();
    let mut ends = Vec::with_capacity(starts.len());
    let mut row = 0;
    for start in starts {
        let words = start.states.words();
        all.words_mut()[row * width..row * width + words.len()].copy_from_slice(words);
        row += start.states.rows();
        ends.push(row);
    }
    let mut chains = GibbsChains::new(rbm, &all, seed, STREAMS);
    let ranges: Vec<_> = std::iter::once(0).chain(ends.iter().copied()).zip(ends.iter().copied()).map(|(first, end)| first..end).collect();
    let measure = |states: &BitMatrix| -> Vec<Vec<Series>> { ranges.iter().map(|rows| parts(states, rows.clone(), torus)).collect() };
    let first = measure(&all);
    let mut trajectories: Vec<Trajectory> = starts
        .iter()
        .zip(&first)
        .map(|(start, parts)| Trajectory { start: start.coupling, points: vec![point(0, parts, torus)], first_change: [0.0; 2] })
        .collect();
    let mut shown = steps_shown(steps).skip(1).peekable();
    for step in 1..=steps {
        chains.sweep();
        if shown.next_if_eq(&step).is_none() {
            continue;
        }
        let found = measure(&chains.visible());
        for ((trajectory, parts), before) in trajectories.iter_mut().zip(&found).zip(&first) {
            trajectory.points.push(point(step, parts, torus));
            if step == 1 {
                trajectory.first_change = change(before, parts, torus);
            }
        }
    }
    trajectories
}

/// 0, 1, 2, ... and then steps of about a fifth, with the last one.
pub fn steps_shown(steps: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(0usize), move |&step| (step < steps).then(|| (step + 1 + step / 5).min(steps)))
}

/// Measures the configurations of some rows: a series for each of the [`PARTS`] parts.
fn parts(states: &BitMatrix, rows: std::ops::Range<usize>, torus: SquareTorus) -> Vec<Series> {
    let count = PARTS.min(rows.len()).max(1);
    let edge = |part: usize| rows.start + part * rows.len() / count;
    let of_part = |part: usize| {
        let mut observer = Observer::new(torus);
        let mut series = Series::default();
        for row in edge(part)..edge(part + 1) {
            let (measurement, power) = measure(states.bits(row), torus, &mut observer);
            series.push_all(measurement, power);
        }
        series
    };
    (0..count).into_par_iter().map(of_part).collect()
}

/// Energy, magnetization and the power of the longest waves of one configuration.
fn measure(bits: &bitvec::slice::BitSlice<u64>, torus: SquareTorus, observer: &mut Observer) -> (Measurement, f64) {
    let side = torus.side();
    let spins: Vec<u8> = bits.iter().by_vals().map(u8::from).collect();
    observer.counters.columns.fill(0);
    let mut unsatisfied = 0i64;
    for y in 0..side {
        let row = &spins[y * side..(y + 1) * side];
        let below = &spins[(y + 1) % side * side..][..side];
        observer.counters.rows[y] = row.iter().map(|&up| u32::from(up)).sum();
        observer.counters.columns.iter_mut().zip(row).for_each(|(count, &up)| *count += u32::from(up));
        unsatisfied += row.iter().zip(below).map(|(one, other)| i64::from(one ^ other)).sum::<i64>();
        unsatisfied += row.windows(2).map(|pair| i64::from(pair[0] ^ pair[1])).sum::<i64>() + i64::from(row[0] ^ row[side - 1]);
    }
    let energy = 2 * unsatisfied - torus.bonds() as i64;
    let measurement = Measurement { energy, magnetization: observer.magnetization() };
    (measurement, observer.wave_power(InstructionSet::chosen()))
}

fn point(step: usize, parts: &[Series], torus: SquareTorus) -> Point {
    let sites = torus.sites() as f64;
    let blocks = jackknife::blocks(parts, f64::INFINITY);
    let estimate = |quantity: &dyn Fn(&Moments) -> f64| jackknife::estimate(&blocks, quantity).pair();
    let energy = estimate(&|moments| moments.mean_energy() / sites);
    let energy_variance = estimate(&|moments| moments.energy_variance() / sites);
    let absolute: Vec<(f64, f64)> = parts
        .iter()
        .map(|part| (part.magnetization.iter().map(|&value| value.abs() as f64).sum::<f64>() / sites, part.len() as f64))
        .collect();
    let reading = thermometer::coupling_of(torus.side(), energy[0]);
    Point {
        step,
        energy,
        energy_variance,
        absolute_magnetization: mean_of_parts(&absolute),
        magnetization_squared: estimate(&|moments| moments.mean_square() / (sites * sites)),
        correlation_length: statistics::correlation_length_of_blocks(torus.side(), &blocks).map(|part| part * torus.side() as f64),
        coupling: reading.map(|reading| [reading.coupling, energy[1] * reading.slope.abs()]),
        specific_heat: reading.map(|reading| {
            // The coupling is read off the same energies: what its error adds to that of the variance is in the differences of the parts.
            estimate(&|moments| {
                let coupling = reading.coupling + reading.slope * (moments.mean_energy() / sites - energy[0]);
                coupling * coupling * moments.energy_variance() / sites
            })
        }),
        ising_specific_heat: reading.map(|reading| reading.specific_heat),
    }
}

/// The mean change of the energy per site of the same chains.
fn change(before: &[Series], after: &[Series], torus: SquareTorus) -> [f64; 2] {
    let of_part = |(before, after): (&Series, &Series)| {
        let change: i64 = after.energy.iter().zip(&before.energy).map(|(after, before)| after - before).sum();
        (change as f64 / torus.sites() as f64, after.len() as f64)
    };
    mean_of_parts(&before.iter().zip(after).map(of_part).collect::<Vec<_>>())
}

/// The mean and its standard error from (sum, count) of independent parts of about the same size.
fn mean_of_parts(parts: &[(f64, f64)]) -> [f64; 2] {
    let (sum, count) = parts.iter().fold((0.0, 0.0), |total, part| (total.0 + part.0, total.1 + part.1));
    let mean = sum / count;
    let number = parts.len() as f64;
    let squares: f64 = parts.iter().map(|(sum, count)| (sum / count - mean).powi(2)).sum();
    [mean, if parts.len() < 2 { f64::INFINITY } else { (squares / (number * (number - 1.0))).sqrt() }]
}

/// A coupling at which the first step of the flow leaves the energy as it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Crossing {
    /// The coupling, between two starts, with its error.
    pub coupling: [f64; 2],
    /// Whether the first step leads towards it from both sides.
    pub attracts: bool,
}

/// The couplings at which the change of the energy in the first step has a zero, by the straight line between neighbouring starts on both sides of it. Neighbours both of which are
/// within two standard errors of no change tell of no crossing.
pub fn crossings(trajectories: &[Trajectory]) -> Vec<Crossing> {
    let mut sorted: Vec<&Trajectory> = trajectories.iter().collect();
    sorted.sort_by(|one, other| one.start.total_cmp(&other.start));
    let decided = |trajectory: &Trajectory| trajectory.first_change[0].abs() > 2.0 * trajectory.first_change[1];
    let between = |pair: &[&Trajectory]| {
        let ([low, high], [[one, one_error], [other, other_error]]) =
            ([pair[0].start, pair[1].start], [pair[0].first_change, pair[1].first_change]);
        let changes_sign = (one < 0.0) != (other < 0.0) && one != 0.0;
        (changes_sign && (decided(pair[0]) || decided(pair[1]))).then(|| {
            let (width, rise) = (high - low, other - one);
            let error = width * (other * one_error).hypot(one * other_error) / (rise * rise);
            // The colder start must warm up (its energy rise) and the warmer one cool down.
            Crossing { coupling: [low - one * width / rise, error], attracts: one < 0.0 }
        })
    };
    sorted.windows(2).filter_map(between).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Stream};
    use crate::rbm::bond_machine::torus_machine;
    use crate::sampler::{self, Algorithm};
    use crate::spins::Configuration;

    fn starts(torus: SquareTorus, couplings: &[f64], chains: usize) -> Vec<Start> {
        let draw = |(index, &coupling): (usize, &f64)| {
            let mut chain = sampler::build(Algorithm::SwendsenWang, torus, coupling, sampler::Start::Hot, 5, index as u64).unwrap();
            for _ in 0..50 {
                chain.sweep();
            }
            let mut states = BitMatrix::new(chains, torus.sites());
            for row in 0..chains {
                for _ in 0..5 {
                    chain.sweep();
                }
                states.row_mut(row).copy_from_slice(chain.configuration().words());
            }
            Start { coupling, states }
        };
        couplings.iter().enumerate().map(draw).collect()
    }

    #[test]
    fn measurements_are_those_of_the_definitions() {
        for side in [3, 4, 9, 10] {
            let torus = SquareTorus::new(side).unwrap();
            let mut stream = Stream::new(4, Purpose::Check, side as u64);
            let configuration = Configuration::from_words(torus, (0..torus.sites().div_ceil(64)).map(|_| stream.word()).collect());
            let (found, power) = measure(configuration.bits(), torus, &mut Observer::new(torus));
            assert_eq!(found, Measurement { energy: configuration.energy(), magnetization: configuration.magnetization() });
            let wave = |along_x: bool| {
                let of_site = |site: usize| {
                    let place = if along_x { site % side } else { site / side };
                    let (sine, cosine) = (std::f64::consts::TAU * place as f64 / side as f64).sin_cos();
                    let spin = configuration.spin(site) as f64;
                    [spin * cosine, spin * sine]
                };
                let sums = (0..torus.sites()).map(of_site).fold([0.0; 2], |sums, part| [sums[0] + part[0], sums[1] + part[1]]);
                sums[0] * sums[0] + sums[1] * sums[1]
            };
            assert!((power - (wave(true) + wave(false)) / 2.0).abs() < 1e-9);
            // Where all columns and rows are alike there is no wave at all, not one of rounding errors.
            let alike = Configuration::from_words(torus, vec![u64::MAX; torus.sites().div_ceil(64)]);
            assert_eq!(measure(alike.bits(), torus, &mut Observer::new(torus)).1, 0.0, "side {side}");
        }
    }

    #[test]
    fn the_exact_machine_leaves_its_own_ensemble_where_it_is_and_draws_the_others_to_it() {
        // The bond machine of K = 0.408 on 8 x 8 is the Ising model: its flow has e = -1.27758, from any start, within a memory of about 30 steps; 4,000 chains know that to 0.006.
        let torus = SquareTorus::new(8).unwrap();
        let machine = torus_machine(torus, 0.408).unwrap();
        let found = flow(&machine, torus, &starts(torus, &[0.37, 0.408, 0.45], 4000), 300, 3);
        let exact = crate::exact::square(8, 0.408);
        for trajectory in &found {
            let (first, last) = (&trajectory.points[0], trajectory.points.last().unwrap());
            assert_eq!((first.step, last.step), (0, 300));
            let start = crate::exact::square(8, trajectory.start);
            assert!((first.energy[0] - start.energy_per_site).abs() < 5.0 * first.energy[1] && first.energy[1] < 0.012, "{first:?}");
            assert!((last.energy[0] - exact.energy_per_site).abs() < 4.0 * last.energy[1] && last.energy[1] < 0.008, "{last:?}");
            let [coupling, error] = last.coupling.unwrap();
            assert!((coupling - 0.408).abs() < 4.0 * error && error < 0.0025, "{last:?}");
            let [heat, error] = last.specific_heat.unwrap();
            assert!((heat - exact.specific_heat_per_site).abs() < 4.0 * error && error < 0.05, "{last:?}");
            let [length, error] = last.correlation_length;
            assert!((length / 8.0 - exact.correlation_length_over_side.unwrap()).abs() < 4.0 * error / 8.0 && error < 0.15, "{last:?}");
            let [absolute, error] = last.absolute_magnetization;
            assert!((absolute - exact.absolute_magnetization.unwrap()).abs() < 4.0 * error && error < 0.01, "{last:?}");
        }
        // From the warmer start the energy falls, from the colder one it rises, and in between it stays.
        assert!(found[0].first_change[0] < -4.0 * found[0].first_change[1] && found[2].first_change[0] > 4.0 * found[2].first_change[1]);
        assert!(found[1].first_change[0].abs() < 4.0 * found[1].first_change[1]);
        let zero = crossings(&[found[0].clone(), found[2].clone()]);
        assert!(matches!(zero.as_slice(), [Crossing { attracts: true, .. }]), "{zero:?}");
        let [coupling, error] = zero[0].coupling;
        assert!((coupling - 0.408).abs() < 4.0 * error && error < 0.01, "{zero:?}");
        // A machine of 10 % stronger weights is a mutant that must be seen.
        let mut mutant = machine.clone();
        for row in 0..mutant.visible() {
            mutant.weights.row_mut(row).iter_mut().for_each(|weight| *weight *= 1.1);
        }
        mutant.visible_bias.iter_mut().chain(&mut mutant.hidden_bias).for_each(|bias| *bias *= 1.1);
        let seen = flow(&mutant, torus, &starts(torus, &[0.408], 1000), 300, 3);
        let last = seen[0].points.last().unwrap();
        assert!((last.energy[0] - exact.energy_per_site).abs() > 6.0 * last.energy[1], "{last:?}");
    }

    #[test]
    fn a_crossing_needs_a_change_of_sign_that_is_seen() {
        let trajectory = |start: f64, first_change: [f64; 2]| Trajectory { start, points: Vec::new(), first_change };
        let found = crossings(&[
            trajectory(0.6, [0.2, 0.01]),
            trajectory(0.4, [-0.1, 0.02]),
            trajectory(0.2, [0.01, 0.02]),
            trajectory(0.1, [-0.01, 0.02]),
        ]);
        assert_eq!(found.len(), 2, "{found:?}");
        let close = |found: f64, expected: f64| (found - expected).abs() < 1e-12;
        assert!(!found[0].attracts && found[1].attracts && close(found[1].coupling[0], 0.4 + 0.2 / 3.0));
        let error = 0.2 * (0.2f64 * 0.02).hypot(0.1 * 0.01) / 0.09;
        assert!(close(found[1].coupling[1], error));
    }
}
