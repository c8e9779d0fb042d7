//! Replicas across the bits: their law, their independence of each other, and the exchange between couplings. Exact results: the enumeration of the 4 x 4 torus and Kaufman's
//! energies. Each kind of comparison is also made with a mutant, and has to notice. Seeds are fixed, so that nothing here fails by chance later.
#![allow(clippy::unwrap_used)]

#[path = "support/enumeration.rs"]
mod enumeration;

use enumeration::enumerated;
use kadanoff::exact;
use kadanoff::kernels::InstructionSet;
use kadanoff::lattice::SquareTorus;
use kadanoff::measure::Measurement;
use kadanoff::random::{LaneStream, Purpose};
use kadanoff::sampler::Start;
use kadanoff::sampler::reference::replicas::ReferenceReplicas;
use kadanoff::sampler::replicas::ReplicaGroup;
use kadanoff::sampler::tempering::Ladders;
use statrs::distribution::{ChiSquared, ContinuousCDF};
use std::collections::BTreeMap;

const SEED: u64 = 14103831;
const REPLICAS: usize = 512;
const CRITICAL_COUPLING: f64 = 0.440_686_793_509_771_5;

fn long() -> bool {
    std::env::var("KADANOFF_LONG").is_ok_and(|value| value == "1")
}

fn torus(side: usize) -> SquareTorus {
    SquareTorus::new(side).unwrap()
}

fn group(side: usize, coupling: f64, start: Start, number: u64) -> ReplicaGroup {
    ReplicaGroup::new(torus(side), coupling, start, SEED, number).unwrap()
}

/// The probability of a worse chi-squared. Cells of fewer than ten expected samples are taken together.
fn p_value(samples: &[Measurement], coupling: f64) -> f64 {
    let mut histogram = BTreeMap::new();
    samples.iter().for_each(|sample| *histogram.entry((sample.energy, sample.magnetization.abs())).or_insert(0.0) += 1.0);
    let (mut chi_squared, mut cells, mut rare) = (0.0, 0, [0.0; 2]);
    for (cell, probability) in enumerated(coupling, i64::abs) {
        let (seen, expected) = (histogram.remove(&cell).unwrap_or(0.0), probability * samples.len() as f64);
        if expected < 10.0 {
            rare = [rare[0] + seen, rare[1] + expected];
        } else {
            chi_squared += (seen - expected).powi(2) / expected;
            cells += 1;
        }
    }
    assert!(histogram.is_empty(), "states that do not exist: {histogram:?}");
    chi_squared += (rare[0] - rare[1]).powi(2) / rare[1].max(1e-9);
    ChiSquared::new(f64::from(cells)).unwrap().sf(chi_squared)
}

fn accept(p: f64, what: &str) {
    println!("{what}: p = {p:.4}");
    assert!((1e-4..1.0 - 1e-4).contains(&p), "{what}: p = {p}");
}

#[test]
fn energy_and_magnetization_have_the_law_of_the_enumeration_on_every_instruction_set() {
    for set in InstructionSet::available() {
        for (number, coupling) in [(0, 0.1), (1, 0.2), (2, 0.44), (3, 0.7)] {
            let mut group = group(4, coupling, Start::Hot, number).with_instruction_set(set);
            (0..200).for_each(|_| group.sweep());
            let mut samples = Vec::new();
            for _ in 0..400 {
                (0..20).for_each(|_| group.sweep());
                samples.extend(group.measurements());
            }
            accept(p_value(&samples, coupling), &format!("{set}, K {coupling}"));
        }
    }
    // An acceptance exp(-1.01 dE K) is the chain at 1.01 K.
    let mut wrong = group(4, 1.01 * 0.44, Start::Hot, 9);
    (0..200).for_each(|_| wrong.sweep());
    let mut samples = Vec::new();
    for _ in 0..400 {
        (0..20).for_each(|_| wrong.sweep());
        samples.extend(wrong.measurements());
    }
    assert!(p_value(&samples, 0.44) < 1e-6);
}

/// Energies of all replicas at some times.
type Energies = Vec<Vec<f64>>;

/// The F test of the variance of the energy between groups (means of 512 replicas at one time) against that inside them: the probability of a larger F, and of a smaller one.
fn between_and_inside(energies: &Energies) -> (f64, f64) {
    let count = energies.len() as f64;
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let means: Vec<f64> = energies.iter().map(|energies| mean(energies)).collect();
    let all = mean(&means);
    let between = REPLICAS as f64 * means.iter().map(|mean| (mean - all).powi(2)).sum::<f64>() / (count - 1.0);
    let inside =
        energies.iter().zip(&means).map(|(energies, mean)| energies.iter().map(|energy| (energy - mean).powi(2)).sum::<f64>()).sum::<f64>()
            / (count * (REPLICAS - 1) as f64);
    // The variance inside has so many degrees of freedom that F times those of the other is chi-squared.
    let law = ChiSquared::new(count - 1.0).unwrap();
    println!("F = {:.4} with {} degrees of freedom", between / inside, count - 1.0);
    (law.sf((count - 1.0) * between / inside), law.cdf((count - 1.0) * between / inside))
}

/// The largest correlation of the energies of replicas r and r ^ offset, in standard errors, over offsets 1, 2, 4 ... 256.
fn largest_correlation(energies: &Energies) -> f64 {
    let samples: Vec<f64> = energies.iter().flatten().copied().collect();
    let mean = samples.iter().sum::<f64>() / samples.len() as f64;
    let variance = samples.iter().map(|energy| (energy - mean).powi(2)).sum::<f64>() / samples.len() as f64;
    (0..9)
        .map(|bit| {
            let pairs = energies.iter().flat_map(|energies| {
                (0..REPLICAS).filter(|replica| replica >> bit & 1 == 0).map(|r| (energies[r], energies[r ^ (1 << bit)]))
            });
            let (mut sum, mut count) = (0.0, 0.0);
            pairs.for_each(|(one, other)| {
                sum += (one - mean) * (other - mean);
                count += 1.0;
            });
            (sum / variance / f64::sqrt(count)).abs()
        })
        .fold(0.0, f64::max)
}

/// All 130,816 pairs of replicas: the largest correlation of their energies, in standard errors, and by how many standard errors the sum of the squares of all deviates.
/// With n times the square of a sample correlation r has the mean 1 / (n - 1), whatever the law of the energies, if the two are independent.
fn all_pairs(energies: &Energies) -> (f64, f64) {
    let of = |replica: usize| energies.iter().map(|energies| energies[replica]).collect();
    pairs_of((0..REPLICAS).map(of).collect())
}

/// The same of any series of one length.
fn pairs_of(series: Vec<Vec<f64>>) -> (f64, f64) {
    let (number, count) = (series.len(), series[0].len() as f64);
    let series: Vec<Vec<f64>> = series
        .into_iter()
        .map(|values| {
            let mean = values.iter().sum::<f64>() / count;
            let size = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>().sqrt();
            values.into_iter().map(|value| (value - mean) / size).collect()
        })
        .collect();
    let (mut largest, mut sum) = (0f64, 0.0);
    for (replica, one) in series.iter().enumerate() {
        for other in &series[..replica] {
            let square = (count - 1.0) * one.iter().zip(other).map(|(one, other)| one * other).sum::<f64>().powi(2);
            largest = largest.max(square.sqrt());
            sum += square - 1.0;
        }
    }
    (largest, sum / ((number * (number - 1)) as f64).sqrt())
}

/// At each coupling, from random spins and from one common start. **Power.** F has 299 degrees of freedom above: a mean correlation of 0.0013 between replicas makes F 1.67 and is refused
/// with probability 0.995. Among the offsets (76,800 pairs each) a correlation of 0.03 is. One pair alone of all is seen from a correlation of 0.55 on, and a correlation of
/// 0.03 between all pairs, of any sign, by the sum of squares. A false alarm of the eight cases together has probability 2e-3; the seeds are fixed.
#[test]
fn replicas_are_as_independent_as_groups() {
    for (number, coupling) in [0.30, 0.40, CRITICAL_COUPLING, 0.48].into_iter().enumerate() {
        for start in [Start::Hot, Start::Cold] {
            // The cold start is one common start: after equilibration nothing of it is left. Times lie several autocorrelation times apart.
            let mut group = group(16, coupling, start, 20 + number as u64);
            (0..3000).for_each(|_| group.sweep());
            let energies: Energies = (0..300)
                .map(|_| {
                    (0..200).for_each(|_| group.sweep());
                    group.measurements().iter().map(|measurement| measurement.energy as f64).collect()
                })
                .collect();
            let (larger, smaller) = between_and_inside(&energies);
            assert!(larger > 1e-4 && smaller > 1e-4, "K = {coupling}, {start:?}: {larger}, {smaller}");
            let correlation = largest_correlation(&energies);
            let (largest, squares) = all_pairs(&energies);
            println!(
                "K = {coupling}, {start:?}: pairs by offset {correlation:.2}, the largest of all pairs {largest:.2}, their squares {squares:.2} standard errors"
            );
            assert!(correlation < 4.5, "K = {coupling}, {start:?}: {correlation} standard errors");
            assert!(largest < 6.5 && squares.abs() < 5.0, "K = {coupling}, {start:?}: {largest}, {squares} standard errors");
        }
    }
}

/// Many groups at one time, each of another number: their means scatter as much as 512 independent replicas let them, and no two groups have anything in common. **Power.** F has 119 degrees of
/// freedom: a mean correlation of 0.002 between the replicas of a group makes it 2.0 and is refused with probability 0.97. Two groups that coincide are 22 standard errors away, and every
/// second one that does (the mutant) hundreds in the sum of squares. Lanes that coincide by eights (the other mutant) make F eight.
#[test]
fn groups_of_other_numbers_are_independent() {
    const GROUPS: u64 = 120;
    for (place, coupling) in [0.30, 0.40, CRITICAL_COUPLING, 0.48].into_iter().enumerate() {
        let energies = |number: u64| -> Vec<f64> {
            let mut group = group(16, coupling, Start::Hot, 1000 * (place as u64 + 1) + number);
            (0..1500).for_each(|_| group.sweep());
            group.measurements().iter().map(|measurement| measurement.energy as f64).collect()
        };
        let right: Energies = (0..GROUPS).map(energies).collect();
        let (larger, smaller) = between_and_inside(&right);
        let (largest, squares) = pairs_of(right.clone());
        println!("K = {coupling}: F p = {larger:.4}, the largest pair of groups {largest:.2}, squares {squares:.2} standard errors");
        assert!(larger > 1e-4 && smaller > 1e-4, "K = {coupling}: {larger}, {smaller}");
        assert!(largest < 6.0 && squares.abs() < 5.0, "K = {coupling}: {largest}, {squares} standard errors");

        let coinciding: Energies = (0..GROUPS as usize).map(|number| right[number & !1].clone()).collect();
        let (largest, squares) = pairs_of(coinciding);
        assert!(largest > 20.0 && squares > 100.0, "K = {coupling}: coinciding numbers go unnoticed, {largest}, {squares}");
        let by_eights: Energies = right.iter().map(|energies| (0..REPLICAS).map(|replica| energies[replica & !7]).collect()).collect();
        assert!(between_and_inside(&by_eights).0 < 1e-9, "K = {coupling}: lanes that coincide go unnoticed");
    }
}

/// Replicas that use the random bits of their neighbour, or of the first of their word, at each coupling: the tests above see them.
#[test]
fn shared_random_bits_are_noticed() {
    let lies: [fn(usize) -> usize; 2] = [|replica| replica & !1, |replica| replica & !63];
    for (place, coupling) in [0.30, 0.40, CRITICAL_COUPLING, 0.48].into_iter().enumerate() {
        for (number, lie) in lies.into_iter().enumerate() {
            let mut wrong =
                ReferenceReplicas::new(torus(6), coupling, Start::Hot, SEED, (2 * place + number) as u64).unwrap().with_shared_bits(lie);
            (0..60).for_each(|_| wrong.sweep());
            let energies: Energies = (0..60)
                .map(|_| {
                    (0..10).for_each(|_| wrong.sweep());
                    (0..REPLICAS).map(|replica| wrong.measure(replica).energy as f64).collect()
                })
                .collect();
            let (larger, _) = between_and_inside(&energies);
            let correlation = largest_correlation(&energies);
            let (_, squares) = all_pairs(&energies);
            println!("K = {coupling}, mutant {number}: p = {larger:e}, correlation {correlation:.1}, squares {squares:.1} standard errors");
            assert!(correlation > 10.0, "K = {coupling}, mutant {number}: {correlation}");
            assert!(number == 0 || (larger < 1e-6 && squares > 10.0), "K = {coupling}: {larger}, {squares}");
        }
    }
}

/// The ladders of the fast sampler, exchange by exchange, from the reference and plain floating point.
#[test]
fn exchanges_are_those_of_the_reference() {
    let couplings = [0.2, 0.3, 0.44];
    let numbered: Vec<(f64, u64)> = couplings.iter().copied().zip([4, 5, 6]).collect();
    let mut fast = Ladders::new(torus(6), &numbered, Start::Hot, SEED, 8, REPLICAS, 2).unwrap();
    fast.end_thermalization();
    let mut plain: Vec<ReferenceReplicas> =
        numbered.iter().map(|&(coupling, group)| ReferenceReplicas::new(torus(6), coupling, Start::Hot, SEED, group).unwrap()).collect();
    let mut stream = LaneStream::new(SEED, Purpose::Exchange, 8);
    let mut made = [0; 2];
    for sweep in 0..12 {
        if sweep > 0 && sweep % 2 == 0 {
            let lower = (sweep / 2 - 1) % 2;
            let words: Vec<u64> = (0..64).flat_map(|_| stream.words()).collect();
            let (head, tail) = plain.split_at_mut(lower + 1);
            for (replica, word) in words.into_iter().enumerate() {
                let difference = (head[lower].measure(replica).energy - tail[0].measure(replica).energy) as f64;
                if (word as f64) < 64f64.exp2() * ((couplings[lower] - couplings[lower + 1]) * difference).exp() {
                    head[lower].exchange(&mut tail[0], replica);
                    made[lower] += 1;
                }
            }
        }
        plain.iter_mut().for_each(ReferenceReplicas::sweep);
        fast.sweep();
        for (plain, fast) in plain.iter().zip(fast.groups()) {
            assert!((0..REPLICAS).all(|replica| plain.configuration(replica) == fast.configuration(replica)), "sweep {sweep}");
        }
    }
    assert_eq!(fast.counts().made, made);
    assert_eq!(fast.counts().tried, [3 * 512, 2 * 512]);
}

#[test]
fn tempered_chains_have_the_law_of_each_coupling() {
    let couplings = [0.25, 0.35, 0.44, 0.55, 0.7];
    let numbered: Vec<(f64, u64)> = couplings.iter().copied().zip(30..).collect();
    let mut ladders = Ladders::new(torus(4), &numbered, Start::Hot, SEED, 9, REPLICAS, 1).unwrap();
    let mut samples = vec![Vec::new(); couplings.len()];
    (0..300).for_each(|_| {
        ladders.sweep();
    });
    ladders.end_thermalization();
    for _ in 0..400 {
        (0..20).for_each(|_| {
            ladders.sweep();
        });
        samples.iter_mut().zip(ladders.measurements()).for_each(|(samples, measurements)| samples.extend(measurements));
    }
    for (samples, coupling) in samples.iter().zip(couplings) {
        accept(p_value(samples, coupling), &format!("tempered, K {coupling}"));
    }
    let counts = ladders.counts();
    assert!(counts.made.iter().zip(&counts.tried).all(|(&made, &tried)| made > tried / 10 && made < tried), "{counts:?}");
    assert!(counts.round_trips.iter().all(|&trips| trips > 50), "every replica travels");
    let flow: Vec<f64> =
        counts.from_lowest.iter().zip(&counts.from_highest).map(|(&low, &high)| low as f64 / (low + high) as f64).collect();
    assert!(flow[0] == 1.0 && flow[4] == 0.0 && flow.windows(2).all(|pair| pair[0] > pair[1]), "{flow:?}");
}

/// Energies of 512 chains at each coupling, `draws` times, 250 sweeps apart: many autocorrelation times at L = 16.
fn energies_of(mut chains: Ladders, draws: usize) -> Vec<Vec<i64>> {
    (0..2000).for_each(|_| {
        chains.sweep();
    });
    let mut found = vec![Vec::new(); chains.groups().len()];
    for _ in 0..draws {
        (0..250).for_each(|_| {
            chains.sweep();
        });
        found
            .iter_mut()
            .zip(chains.measurements())
            .for_each(|(found, measured)| found.extend(measured.iter().map(|measured| measured.energy)));
    }
    found
}

/// The probability of a worse chi-squared of two samples of the same size if both have one law. Energies that came up fewer than twenty times are taken together.
fn same_law(one: &[i64], other: &[i64]) -> f64 {
    let mut cells: BTreeMap<i64, [f64; 2]> = BTreeMap::new();
    for (which, sample) in [one, other].into_iter().enumerate() {
        sample.iter().for_each(|&energy| cells.entry(energy).or_default()[which] += 1.0);
    }
    let (mut chi_squared, mut count, mut rare) = (0.0, 0, [0.0; 2]);
    let mut add = |[a, b]: [f64; 2]| {
        chi_squared += (a - b).powi(2) / (a + b);
        count += 1;
    };
    for &[a, b] in cells.values() {
        if a + b < 20.0 {
            rare = [rare[0] + a, rare[1] + b];
        } else {
            add([a, b]);
        }
    }
    if rare[0] + rare[1] > 0.0 {
        add(rare);
    }
    ChiSquared::new(f64::from(count - 1)).unwrap().sf(chi_squared)
}

/// A ladder gives each coupling the histogram of energies that chains without exchange give it. Power: 51,200 energies a coupling and side, Var(E) some 2000: one percent more of the coupling
/// gives chi-squared a noncentrality of 1000 over some 150 cells (the mutant).
#[test]
fn tempered_energies_have_the_law_of_independent_runs() {
    let couplings = [0.38, 0.40, 0.42, CRITICAL_COUPLING, 0.46];
    let draws = if long() { 1000 } else { 100 };
    let make = |couplings: &[f64], first: u64| {
        let numbered: Vec<(f64, u64)> = couplings.iter().copied().zip(first..).collect();
        Ladders::new(torus(16), &numbered, Start::Hot, SEED, first, REPLICAS, 1).unwrap()
    };
    let tempered = energies_of(make(&couplings, 50), draws);
    for (place, coupling) in couplings.into_iter().enumerate() {
        let alone = energies_of(make(&[coupling], 60 + place as u64), draws);
        accept(same_law(&tempered[place], &alone[0]), &format!("tempered and alone, K {coupling:.4}"));
        let wrong = energies_of(make(&[1.01 * coupling], 70 + place as u64), draws);
        let p = same_law(&tempered[place], &wrong[0]);
        assert!(p < 1e-9, "one percent more than K = {coupling} goes unnoticed: p = {p}");
    }
}

/// Two couplings that swap whatever their energies: not the law of either.
#[test]
fn swaps_without_their_condition_are_noticed() {
    let make = |coupling, number| ReferenceReplicas::new(torus(4), coupling, Start::Hot, SEED, number).unwrap();
    let (mut lower, mut upper, mut samples) = (make(0.35, 40), make(0.44, 41), Vec::new());
    for sweep in 0..600 {
        (0..REPLICAS).for_each(|replica| lower.exchange(&mut upper, replica));
        lower.sweep();
        upper.sweep();
        if sweep % 20 == 19 {
            samples.extend((0..REPLICAS).map(|replica| upper.measure(replica)));
        }
    }
    assert!(p_value(&samples, 0.44) < 1e-6);
}

/// Mean energies per site and their errors from independent replicas, after `ahead` sweeps, over as many again.
fn energies(ladders: &mut Ladders, ahead: usize) -> Vec<(f64, f64)> {
    (0..ahead).for_each(|_| {
        ladders.sweep();
    });
    let (couplings, sites) = (ladders.groups().len(), ladders.groups()[0].torus().sites() as f64);
    let mut sums = vec![vec![0.0; REPLICAS]; couplings];
    let (every, mut draws) = (5, 0.0);
    for _ in 0..ahead / every {
        (0..every).for_each(|_| {
            ladders.sweep();
        });
        draws += 1.0;
        for (sums, measurements) in sums.iter_mut().zip(ladders.measurements()) {
            sums.iter_mut().zip(measurements).for_each(|(sum, measurement)| *sum += measurement.energy as f64 / sites);
        }
    }
    let of = |sums: &Vec<f64>| {
        let mean = sums.iter().sum::<f64>() / REPLICAS as f64;
        let variance = sums.iter().map(|sum| (sum - mean).powi(2)).sum::<f64>() / (REPLICAS - 1) as f64;
        (mean / draws, (variance / REPLICAS as f64).sqrt() / draws)
    };
    sums.iter().map(of).collect()
}

/// Twenty energies of Kaufman, alone; and those of a ladder, tempered. Chi-squared of all deviations together.
#[test]
fn energies_are_those_of_kaufman() {
    let sides = if long() { [8, 16, 32, 64, 128] } else { [6, 8, 12, 16, 24] };
    let couplings = [0.30, 0.40, CRITICAL_COUPLING, 0.48];
    let mut alone = Vec::new();
    for side in sides {
        for (number, coupling) in couplings.into_iter().enumerate() {
            let ahead = if number == 2 { 4 * side * side } else { 40 * side } + 400;
            let mut chains =
                Ladders::new(torus(side), &[(coupling, (100 * side + number) as u64)], Start::Cold, SEED, 0, REPLICAS, 1).unwrap();
            let (mean, error) = energies(&mut chains, ahead)[0];
            alone.push((mean - exact::square(side, coupling).energy_per_site) / error);
        }
    }
    let ladder: Vec<(f64, u64)> = (0..10).map(|place| (0.36 + 0.015 * place as f64, 3000 + place)).collect();
    let mut ladders = Ladders::new(torus(16), &ladder, Start::Hot, SEED, 77, REPLICAS, 1).unwrap();
    let found = energies(&mut ladders, 1500);
    // Energies of neighbouring couplings share replicas, so that these ten deviations are not quite independent: each is held to four errors.
    let tempered: Vec<f64> = found
        .iter()
        .zip(&ladder)
        .map(|((mean, error), (coupling, _))| (mean - exact::square(16, *coupling).energy_per_site) / error)
        .collect();
    println!("alone {alone:.2?}\ntempered {tempered:.2?}");
    let p = ChiSquared::new(20.0).unwrap().sf(alone.iter().map(|deviation| deviation * deviation).sum());
    println!("twenty energies: p = {p:.4}");
    assert!((0.001..=0.999).contains(&p), "twenty energies: p = {p}");
    assert!(tempered.iter().all(|deviation| deviation.abs() < 4.0), "{tempered:?}");
}
