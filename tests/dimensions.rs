//! The chain and the cubic lattice: the law of energy and magnetization against the exact one, moments of the cube of side 4 against the transfer matrix, two layouts and two
//! algorithms against each other where nothing is known, whole runs with their files, and what a run file may not ask for.
//!
//! Power: n independent draws of a coupling wrong by dK shift chi-squared by about n dK^2 Var(E); for the cube of side 3 at its critical coupling Var(E) = 430, so that 1 % and
//! 40,000 draws are 85 over some 200 cells: p is below 1e-4 almost surely.

#![allow(clippy::unwrap_used)]

#[path = "support/runs.rs"]
mod runs;

use kadanoff::config::RunFile;
use kadanoff::exact::{self, enumeration::Census, ring};
use kadanoff::lattice::{Geometry, Torus};
use kadanoff::measure::{Measurement, Observer};
use kadanoff::sampler::lanes::LaneGroup;
use kadanoff::sampler::tempering::Ladders;
use kadanoff::sampler::{Algorithm, Start, build};
use kadanoff::statistics::chi_squared;
use rayon::prelude::*;
use std::collections::BTreeMap;

const SEED: u64 = 14103831;
const ALGORITHMS: [Algorithm; 4] = [Algorithm::Metropolis, Algorithm::HeatBath, Algorithm::SwendsenWang, Algorithm::Wolff];

fn torus(geometry: Geometry, side: usize) -> Torus {
    Torus::new(geometry, side).unwrap()
}

/// The p-value of draws under a law; cells with fewer than ten expected draws are thrown together.
fn p_value(draws: &[Measurement], law: &BTreeMap<(i64, i64), f64>) -> f64 {
    let mut counts: BTreeMap<(i64, i64), u64> = BTreeMap::new();
    for draw in draws {
        assert!(law.contains_key(&(draw.energy, draw.magnetization)), "{draw:?} is impossible");
        *counts.entry((draw.energy, draw.magnetization)).or_default() += 1;
    }
    let (mut observed, mut expected) = (vec![0], vec![0.0]);
    for (cell, probability) in law {
        let (count, mean) = (counts.get(cell).copied().unwrap_or(0), probability * draws.len() as f64);
        if mean < 10.0 {
            observed[0] += count;
            expected[0] += mean;
        } else {
            observed.push(count);
            expected.push(mean);
        }
    }
    chi_squared::test(&observed, &expected).p_value
}

fn draws(algorithm: Algorithm, torus: Torus, coupling: f64, count: usize, apart: usize) -> Vec<Measurement> {
    let chain = |chain: u64| {
        let mut sampler = build(algorithm, torus, coupling, Start::Hot, SEED, chain).unwrap();
        (0..200).for_each(|_| _ = sampler.sweep());
        sampler.end_thermalization();
        let draw = |_| {
            (0..apart).for_each(|_| _ = sampler.sweep());
            sampler.measure()
        };
        (0..count / 4).map(draw).collect::<Vec<_>>()
    };
    (0..4).into_par_iter().flat_map(chain).collect()
}

#[test]
fn chains_of_all_algorithms_have_the_exact_law() {
    for (algorithm, sites, coupling, apart) in
        ALGORITHMS.into_iter().flat_map(|algorithm| [(algorithm, 8, 0.5, 12), (algorithm, 12, 0.8, 25), (algorithm, 34, 0.3, 12)])
    {
        let law = |coupling: f64| ring::joint_law(sites, coupling).into_iter().collect::<BTreeMap<_, _>>();
        let drawn = draws(algorithm, torus(Geometry::Chain, sites), coupling, 40_000, apart);
        let p = p_value(&drawn, &law(coupling));
        assert!(p > 1e-4, "{} on {sites} spins: p = {p}", algorithm.name());
        // The mutant: a coupling 5 % off.
        assert!(p_value(&drawn, &law(1.05 * coupling)) < 1e-6);
    }
}

#[test]
fn cluster_algorithms_have_the_exact_law_of_the_cube_of_side_three() {
    let (cube, coupling) = (torus(Geometry::Cubic, 3), 0.221_654_626);
    let census = Census::of(cube);
    for algorithm in [Algorithm::SwendsenWang, Algorithm::Wolff] {
        let drawn = draws(algorithm, cube, coupling, 40_000, 8);
        let p = p_value(&drawn, &census.joint_law(coupling));
        assert!(p > 1e-4, "{}: p = {p}", algorithm.name());
        assert!(p_value(&drawn, &census.joint_law(1.02 * coupling)) < 1e-6, "{}: a coupling 2 % off goes unnoticed", algorithm.name());
    }
}

/// Means and standard errors of e, m^2 and the structure factor, from blocks.
fn means(algorithm: Algorithm, torus: Torus, coupling: f64, chain: u64, count: usize, apart: usize) -> [[f64; 2]; 3] {
    const BLOCKS: usize = 40;
    let mut sampler = build(algorithm, torus, coupling, Start::Cold, SEED, chain).unwrap();
    (0..500).for_each(|_| _ = sampler.sweep());
    sampler.end_thermalization();
    let (sites, mut observer) = (torus.sites() as f64, Observer::new(torus));
    let mut sums = vec![[0.0; 3]; BLOCKS];
    for sum in &mut sums {
        for _ in 0..count / BLOCKS {
            (0..apart).for_each(|_| _ = sampler.sweep());
            let (measurement, power) = sampler.observe(&mut observer);
            assert_eq!(measurement, sampler.measure());
            let values = [measurement.energy as f64 / sites, (measurement.magnetization as f64 / sites).powi(2), power / sites];
            sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value / (count / BLOCKS) as f64);
        }
    }
    std::array::from_fn(|value| {
        let mean = sums.iter().map(|sum| sum[value]).sum::<f64>() / BLOCKS as f64;
        let variance = sums.iter().map(|sum| (sum[value] - mean).powi(2)).sum::<f64>() / (BLOCKS - 1) as f64;
        [mean, (variance / BLOCKS as f64).sqrt()]
    })
}

#[test]
fn local_updates_have_the_moments_of_the_cube_of_side_four() {
    for coupling in [0.15, 0.221_654_626] {
        let known = exact::cubic::four(coupling);
        let expected = [known.energy_per_site, known.magnetization_squared, known.structure_factor];
        for algorithm in ALGORITHMS {
            let found = means(algorithm, torus(Geometry::Cubic, 4), coupling, 3, 40_000, 3);
            for ([mean, error], expected) in found.into_iter().zip(expected) {
                assert!((mean - expected).abs() < 4.5 * error, "{}, K = {coupling}: {mean} +- {error}, exact {expected}", algorithm.name());
                assert!(error < 0.012 * expected.abs());
            }
        }
    }
}

#[test]
fn replicas_have_the_moments_of_the_cube_of_side_four_and_are_independent() {
    let coupling = 0.221_654_626;
    let known = exact::cubic::four(coupling);
    let mut group = LaneGroup::new(torus(Geometry::Cubic, 4), coupling, Start::Hot, SEED, 1).unwrap();
    (0..300).for_each(|_| group.sweep());
    let (mut energies, mut squares, mut powers, mut between, mut within) = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..400 {
        (0..20).for_each(|_| group.sweep());
        let (measured, waves) = (group.measurements(), group.wave_powers().unwrap());
        let own: Vec<f64> = measured.iter().map(|one| one.energy as f64 / 64.0).collect();
        let mean = own.iter().sum::<f64>() / 512.0;
        within.push(own.iter().map(|energy| (energy - mean).powi(2)).sum::<f64>() / 511.0);
        between.push(mean);
        energies.push(mean);
        squares.push(measured.iter().map(|one| (one.magnetization as f64 / 64.0).powi(2)).sum::<f64>() / 512.0);
        powers.push(waves.iter().sum::<f64>() / 64.0 / 512.0);
    }
    for (values, expected, largest) in
        [(&energies, known.energy_per_site, 2e-3), (&squares, known.magnetization_squared, 2e-3), (&powers, known.structure_factor, 3e-3)]
    {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let error = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0) / count).sqrt();
        // Sets of draws 20 sweeps apart remember each other a little: twice the naive error is allowed for.
        assert!((mean - expected).abs() < 7.0 * error && error < largest, "{mean} +- {error}, exact {expected}");
    }
    // Were the replicas to share a random number, the mean over them would vary more than 1/512 of what one of them does. 400 draws tell a factor of 1.35 with five errors.
    let mean = between.iter().sum::<f64>() / 400.0;
    let variance = between.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 399.0;
    let expected = within.iter().sum::<f64>() / 400.0 / 512.0;
    assert!((0.7..1.35).contains(&(variance / expected)), "{}", variance / expected);
}

#[test]
fn algorithms_and_layouts_agree_on_a_larger_cube() {
    let (cube, coupling) = (torus(Geometry::Cubic, 16), 0.21);
    let found: Vec<_> = ALGORITHMS.into_par_iter().map(|algorithm| means(algorithm, cube, coupling, 9, 3000, 2)).collect();
    for (index, one) in found.iter().enumerate() {
        for other in &found[..index] {
            for ([mean, error], [reference, its_error]) in one.iter().zip(other) {
                let sigma = error.hypot(*its_error);
                assert!((mean - reference).abs() < 4.5 * sigma, "{}: {mean} and {reference} +- {sigma}", ALGORITHMS[index].name());
            }
        }
    }
}

#[test]
fn ladders_of_cubes_go_on_after_every_split_and_have_the_right_energies() {
    let couplings = [(0.2, 1), (0.221_654_626, 2), (0.24, 3)];
    let make = || Ladders::new(torus(Geometry::Cubic, 4), &couplings, Start::Hot, SEED, 7, 512, 1).unwrap();
    let mut undisturbed = make();
    let (mut snapshots, mut steps) = (Vec::new(), Vec::new());
    for _ in 0..12 {
        snapshots.push(undisturbed.snapshot());
        undisturbed.sweep_counted();
        steps.push((undisturbed.measurements(), undisturbed.wave_powers()));
    }
    for (split, snapshot) in snapshots.iter().enumerate() {
        let mut ladders = make();
        ladders.sweep();
        ladders.restore(snapshot).unwrap();
        for step in &steps[split..] {
            ladders.sweep_counted();
            assert!(&(ladders.measurements(), ladders.wave_powers()) == step, "split {split}");
        }
    }
    let mut sums = [[0.0; 2]; 3];
    (0..200).for_each(|_| _ = undisturbed.sweep());
    for _ in 0..400 {
        (0..20).for_each(|_| _ = undisturbed.sweep_counted());
        for (sum, measured) in sums.iter_mut().zip(undisturbed.measurements()) {
            let mean = measured.iter().map(|one| one.energy as f64 / 64.0).sum::<f64>() / 512.0;
            *sum = [sum[0] + mean / 400.0, sum[1] + mean * mean / 400.0];
        }
    }
    for ([mean, square], (coupling, _)) in sums.into_iter().zip(couplings) {
        let error = ((square - mean * mean) / 399.0).sqrt();
        let known = exact::cubic::four(coupling).energy_per_site;
        assert!((mean - known).abs() < 4.5 * error && error < 1.5e-3, "K = {coupling}: {mean} +- {error}, exact {known}");
    }
    assert!(undisturbed.counts().made.iter().all(|&made| made == 0), "exchanges are counted after thermalization alone");
}

const JOB: &str = "seed = 5\n[lattice]\ngeometry = \"GEOMETRY\"\nsizes = [SIZES]\n[sample]\ncouplings = [0.2, 0.25]\nalgorithm = \"ALGORITHM\"\nreplicas = 3\nthermalization = 50\nsweeps = 400\nconfigurations = 9\n";

#[test]
fn whole_runs_leave_the_same_files_on_any_threads_and_instruction_set() {
    for (geometry, sizes) in [("chain", "6, 70"), ("cubic", "4, 6")] {
        for algorithm in ["metropolis", "heat-bath", "swendsen-wang", "wolff"] {
            let folder = tempfile::tempdir().unwrap();
            let text = JOB.replace("GEOMETRY", geometry).replace("SIZES", sizes).replace("ALGORITHM", algorithm);
            let job = runs::write_job(folder.path(), &text);
            let run = |name: &str, threads: &str, set: Option<&str>| {
                let directory = folder.path().join(name);
                let mut command = runs::kadanoff();
                command.env("RAYON_NUM_THREADS", threads).arg("run").arg(&job).arg("--out").arg(&directory);
                set.map(|set| command.env("KADANOFF_INSTRUCTION_SET", set));
                runs::succeed(&mut command);
                runs::succeed(runs::kadanoff().arg("check").arg(&directory));
                runs::outcome(&directory)
            };
            let one = run("one", "1", None);
            assert!(one == run("two", "2", Some("portable")), "{geometry} {algorithm}");
            let sampling = one.0.sampling.unwrap();
            assert_eq!(sampling.geometry.name(), geometry);
            for ensemble in &sampling.ensembles {
                let energy = &ensemble.observables[0];
                assert_eq!(energy.exact.is_some(), geometry == "chain" || ensemble.size == 4);
                if let Some(exact) = energy.exact {
                    assert!((energy.estimate.mean - exact).abs() < 6.0 * energy.estimate.error, "{geometry} {algorithm}: {energy:?}");
                }
            }
            let sets = kadanoff::store::read_configurations(&folder.path().join("one/configurations.h5")).unwrap().1;
            for set in sets {
                let torus = Torus::new(set.geometry, set.size).unwrap();
                let ensemble = sampling.ensembles.iter().find(|one| one.size == set.size && one.coupling == set.coupling).unwrap();
                for row in 0..set.spins.rows() {
                    let configuration = kadanoff::spins::Configuration::from_words(torus, set.spins.row(row).to_vec());
                    let (series, draw) = (&ensemble.chains[set.chains[row] as usize], set.draws[row] as usize);
                    assert_eq!((configuration.energy(), configuration.magnetization()), (series.energy[draw], series.magnetization[draw]));
                }
            }
        }
    }
}

#[test]
fn run_files_say_what_is_not_built() {
    let refused = |text: &str| match RunFile::parse_for(text, "job.toml", None) {
        Ok(_) => panic!("accepted: {text}"),
        Err(error) => error.to_string(),
    };
    let sample = "[sample]\nthermalization = 1\nsweeps = 10\n";
    let chain = format!("seed = 1\n[lattice]\ngeometry = \"chain\"\nsizes = [8]\n{sample}");
    assert!(refused(&format!("{chain}window = {{ width = 1.0, points = 3 }}\n")).contains("no critical point"));
    let cubic = |size: usize| format!("seed = 1\n[lattice]\ngeometry = \"cubic\"\nsizes = [{size}]\n{sample}");
    assert!(refused(&format!("{}couplings = [0.2]\n[renormalize]\n", cubic(8))).contains("square lattice alone"));
    assert!(refused(&format!("{}couplings = [0.2]\nalgorithm = \"heat-bath\"\n", cubic(514))).contains("multiple of 16"));
    assert!(refused(&format!("{}couplings = [0.2]\nalgorithm = \"metropolis\"\nlayout = \"replicas\"\n", cubic(112))).contains("up to 96"));
    assert!(refused(&format!("{}couplings = [0.2]\nalgorithm = \"metropolis\"\n", cubic(9))).contains("even"));
    let window = RunFile::parse_for(&format!("{}window = {{ width = 1.0, points = 3 }}\n", cubic(8)), "job.toml", None).unwrap();
    let couplings = window.sample.unwrap().couplings_of(8);
    assert!(
        (couplings[1] - 0.221_654_626).abs() < 1e-12
            && (couplings[0] / couplings[1] - 1.0 / (1.0 - 0.5 / 8f64.powf(1.0 / 0.629_971))).abs() < 1e-12
    );
}
