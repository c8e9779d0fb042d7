//! Averages and dynamics of the cluster algorithms on larger lattices: exact energies (Kaufman), autocorrelation times, the identity of Wolff's cluster size
//! with the magnetization; and the packed layouts against conversions and counts of one spin at a time.

use kadanoff::kernels::InstructionSet;
use kadanoff::lattice::SquareTorus;
use kadanoff::sampler::{Algorithm, Sampler, Start, SwendsenWang, Wolff, build, initial_configuration};

const SIDES: [usize; 12] = [3, 4, 5, 8, 31, 40, 63, 64, 65, 100, 128, 130];

fn critical_coupling() -> f64 {
    0.5 * 2f64.sqrt().ln_1p()
}

fn torus(side: usize) -> SquareTorus {
    SquareTorus::new(side).expect("a valid side")
}

fn run(sampler: &mut dyn Sampler, sweeps: usize) {
    for _ in 0..sweeps {
        sampler.sweep();
    }
}

/// Mean and standard error from 64 bins.
fn mean_and_error(series: &[f64]) -> (f64, f64) {
    let bins: Vec<f64> = series.chunks_exact(series.len() / 64).map(|bin| bin.iter().sum::<f64>() / bin.len() as f64).collect();
    let mean = bins.iter().sum::<f64>() / bins.len() as f64;
    let squares: f64 = bins.iter().map(|bin| (bin - mean) * (bin - mean)).sum();
    (mean, (squares / (bins.len() * (bins.len() - 1)) as f64).sqrt())
}

/// The integrated autocorrelation time and its error, summed to a window of eight times itself.
fn autocorrelation_time(series: &[f64]) -> (f64, f64) {
    let count = series.len() as f64;
    let mean = series.iter().sum::<f64>() / count;
    let covariance = |lag: usize| {
        series.iter().zip(&series[lag..]).map(|(first, second)| (first - mean) * (second - mean)).sum::<f64>() / (count - lag as f64)
    };
    let variance = covariance(0);
    let (mut time, mut lag) = (0.5, 1);
    while (lag as f64) <= 8.0 * time {
        time += covariance(lag) / variance;
        lag += 1;
    }
    (time, time * (2.0 * (2 * lag + 1) as f64 / count).sqrt())
}

#[test]
fn energies_agree_with_kaufman() {
    // -e of the finite torus. The errors are a few 1e-3; sixteen numbers within four standard errors, and the sum of squares below 40
    // (chi-squared with 16 degrees of freedom: p = 8e-4).
    let exact = [
        (critical_coupling(), [1.4915891074397, 1.4530648528135, 1.4336584661462, 1.4239383898330]),
        (0.408, [1.2775829757512, 1.1875977517988, 1.1540702857170, 1.1508842671745]),
    ];
    let mut sum = 0.0;
    for (coupling, energies) in exact {
        for (side, exact) in [8, 16, 32, 64].into_iter().zip(energies) {
            for algorithm in [Algorithm::SwendsenWang, Algorithm::Wolff] {
                let mut sampler = build(algorithm, torus(side), coupling, Start::Hot, 71, side as u64).expect("valid");
                run(sampler.as_mut(), 200);
                sampler.end_thermalization();
                let sites = (side * side) as f64;
                let sweeps = [19_200, 12_800, 9_600, 6_400][side.ilog2() as usize - 3];
                let series: Vec<f64> = (0..sweeps)
                    .map(|_| {
                        sampler.sweep();
                        sampler.measure().energy as f64 / sites
                    })
                    .collect();
                let (mean, error) = mean_and_error(&series);
                let deviation = (mean + exact) / error;
                println!("{} L = {side}, K = {coupling:.4}: e = {mean:.5}({error:.5}), {deviation:+.2}", algorithm.name());
                assert!(deviation.abs() < 4.0, "{} at L = {side}, K = {coupling}: {mean} +- {error}, exact {}", algorithm.name(), -exact);
                sum += deviation * deviation;
            }
        }
    }
    assert!(sum < 40.0, "the sum of the squared deviations is {sum}");
}

#[test]
fn swendsen_wang_relaxes_as_it_should() {
    // Energy, in sweeps, at K_c: 3.34(11) at L = 16, 3.96(14) at L = 32, 5.44(30) at L = 64 (an independent program; window 8 tau).
    for (side, sweeps, expected, expected_error) in [(16, 120_000, 3.34, 0.11), (32, 120_000, 3.96, 0.14), (64, 50_000, 5.44, 0.30)] {
        let mut sampler = SwendsenWang::new(torus(side), critical_coupling(), Start::Hot, 72, side as u64).expect("valid");
        run(&mut sampler, 500);
        let series: Vec<f64> = (0..sweeps)
            .map(|_| {
                sampler.sweep();
                sampler.measure().energy as f64
            })
            .collect();
        let (time, error) = autocorrelation_time(&series);
        println!("Swendsen-Wang L = {side}: tau = {time:.2}({error:.2})");
        assert!((time - expected).abs() < 4.0 * error.hypot(expected_error), "L = {side}: tau = {time} +- {error}, expected {expected}");
    }
}

#[test]
fn wolff_relaxes_and_its_clusters_measure_the_magnetization() {
    // Energy, in clusters, at K_c: 2.67(6) at L = 16, 3.91(12) at L = 32, 5.62(24) at L = 64 (an independent program). Cluster size / N - m^2 has mean zero exactly.
    for (side, clusters, expected, expected_error) in [(16, 64 * 2400, 2.67, 0.06), (32, 64 * 1800, 3.91, 0.12), (64, 64 * 900, 5.62, 0.24)]
    {
        let mut sampler = Wolff::new(torus(side), critical_coupling(), Start::Hot, 73, side as u64).expect("valid");
        run(&mut sampler, 500);
        sampler.end_thermalization();
        let sites = (side * side) as f64;
        let (mut energies, mut differences) = (Vec::new(), Vec::new());
        let mut squared = 0.0;
        for _ in 0..clusters {
            let before = sampler.measure();
            let size = sampler.flip_cluster() as f64;
            let square = (before.magnetization as f64 / sites).powi(2);
            energies.push(before.energy as f64);
            differences.push(size / sites - square);
            squared += square;
        }
        let (time, error) = autocorrelation_time(&energies);
        println!("Wolff L = {side}: tau = {time:.2}({error:.2}) clusters");
        assert!((time - expected).abs() < 4.0 * error.hypot(expected_error), "L = {side}: tau = {time} +- {error}, expected {expected}");
        let (mean, error) = mean_and_error(&differences);
        println!("Wolff L = {side}: <size>/N - <m^2> = {mean:.5}({error:.5}), <m^2> = {:.5}", squared / clusters as f64);
        assert!(mean.abs() < 4.0 * error && error < 2e-3, "L = {side}: <size>/N - <m^2> = {mean} +- {error}");
        assert_eq!(sampler.clusters(), clusters as u64);
        assert!((sampler.mean_cluster_size() / sites - squared / clusters as f64 - mean).abs() < 1e-9);
    }
}

#[test]
fn counts_and_conversions_agree_with_one_spin_at_a_time() {
    for side in SIDES {
        for algorithm in [Algorithm::SwendsenWang, Algorithm::Wolff] {
            let mut sampler = build(algorithm, torus(side), 0.3, Start::Hot, 74, 5).expect("valid");
            assert_eq!(sampler.configuration(), initial_configuration(torus(side), Start::Hot, 74, 5), "{} L = {side}", algorithm.name());
            for _ in 0..3 {
                sampler.sweep();
                let (configuration, measured) = (sampler.configuration(), sampler.measure());
                assert_eq!(measured.energy, configuration.energy(), "{} L = {side}", algorithm.name());
                assert_eq!(measured.magnetization, configuration.magnetization(), "{} L = {side}", algorithm.name());
            }
        }
    }
}

#[test]
fn every_instruction_set_gives_the_same_chain() {
    for side in SIDES {
        let states: Vec<_> = InstructionSet::available()
            .into_iter()
            .map(|set| {
                let mut first = SwendsenWang::with_instruction_set(set, torus(side), 0.43, Start::Hot, 75, 1).expect("valid");
                let mut second = Wolff::with_instruction_set(set, torus(side), 0.43, Start::Hot, 75, 1).expect("valid");
                let work: u64 = (0..10).map(|_| first.sweep() + second.sweep()).sum();
                (first.configuration(), second.configuration(), work)
            })
            .collect();
        assert!(states.windows(2).all(|pair| pair[0] == pair[1]), "L = {side}");
    }
}

#[test]
fn limits_of_the_coupling() {
    for side in [3, 8, 65] {
        // Without coupling every spin is its own cluster; at a very strong coupling an ordered lattice is one.
        let mut free = Wolff::new(torus(side), 0.0, Start::Cold, 76, 0).expect("valid");
        assert_eq!(free.flip_cluster(), 1);
        let mut frozen = Wolff::new(torus(side), 40.0, Start::Cold, 76, 0).expect("valid");
        assert_eq!(frozen.flip_cluster(), (side * side) as u64);
        let mut frozen = SwendsenWang::new(torus(side), 40.0, Start::Cold, 76, 0).expect("valid");
        for _ in 0..20 {
            frozen.sweep();
            assert_eq!(frozen.measure().magnetization.unsigned_abs(), (side * side) as u64);
        }
    }
    for coupling in [-0.1, f64::NAN, f64::INFINITY] {
        for algorithm in [Algorithm::SwendsenWang, Algorithm::Wolff] {
            assert!(build(algorithm, torus(8), coupling, Start::Hot, 0, 0).is_err(), "{coupling}");
        }
    }
    let huge = SquareTorus::new(1 << 17).expect("a valid side");
    for algorithm in [Algorithm::SwendsenWang, Algorithm::Wolff] {
        assert_eq!(build(algorithm, huge, 0.4, Start::Hot, 0, 0).err().map(|error| error.exit_code()), Some(2));
    }
}

#[test]
fn a_wolff_sweep_is_a_fixed_number_of_clusters() {
    let mut sampler = Wolff::new(torus(16), 0.3, Start::Hot, 77, 0).expect("valid");
    let thermalization: u64 = (0..50).map(|_| sampler.sweep()).sum();
    assert!(thermalization >= 50 * 256, "a thermalization sweep flips at least N spins");
    sampler.end_thermalization();
    let clusters = sampler.clusters_per_sweep();
    let flipped: u64 = (0..50).map(|_| sampler.sweep()).sum();
    assert_eq!((sampler.clusters(), sampler.flipped_spins()), (50 * clusters, flipped));
    // About N a sweep: the mean of 50 sweeps lies within a quarter of it.
    assert!((flipped as f64 / 50.0 / 256.0 - 1.0).abs() < 0.25, "{} spins a sweep", flipped as f64 / 50.0);
    let mut cold = Wolff::new(torus(16), 0.3, Start::Hot, 77, 0).expect("valid");
    cold.end_thermalization();
    assert_eq!(cold.clusters_per_sweep(), 1);
}
