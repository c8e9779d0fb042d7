//! Improved cluster estimators: the clusters of every sampler against a flood of what the spins may be, their averages against enumeration and transfer matrices, their errors against
//! those of plain estimators, and whole runs that ask for them.
//!
//! Power: 40,000 draws give the susceptibilities below to about half a percent or better, so that a coupling 2 % off is many errors away.

#![allow(clippy::unwrap_used)]

#[path = "support/runs.rs"]
mod runs;

use kadanoff::exact;
use kadanoff::kernels::InstructionSet;
use kadanoff::lattice::{Geometry, SquareTorus, Torus};
use kadanoff::measure::{ClusterMoments, Observer, Series};
use kadanoff::sampler::{Algorithm, Sampler, SiteClusters, Start, SwendsenWang, build};
use kadanoff::statistics::{self, improved};
use rayon::prelude::*;

const SEED: u64 = 14103831;

/// Chains that are looked at in every draw.
fn chains(algorithm: Algorithm, torus: Torus, coupling: f64, draws: usize) -> Vec<Series> {
    let one = |chain: u64| {
        let mut sampler = build(algorithm, torus, coupling, Start::Hot, SEED, chain).unwrap();
        (0..200).for_each(|_| _ = sampler.sweep());
        sampler.end_thermalization();
        let (mut observer, mut series) = (Observer::new(torus), Series::default());
        for _ in 0..draws {
            sampler.sweep();
            sampler.expect_clusters(true);
            sampler.sweep();
            let (measurement, power) = sampler.observe(&mut observer);
            series.push_all(measurement, power);
            series.improved.extend(sampler.cluster_moments());
            // Nothing is told twice, and nothing of a sweep that was not looked at.
            assert!(algorithm == Algorithm::Wolff || sampler.cluster_moments().is_none());
        }
        series
    };
    (0..8).into_par_iter().map(one).collect()
}

/// Exact susceptibility, Binder cumulant and xi / L, which is not known of the cube of side 3.
fn known(torus: Torus, coupling: f64) -> [f64; 3] {
    let reference = exact::reference(torus.geometry(), torus.side(), coupling);
    [reference.susceptibility, reference.binder_cumulant, reference.correlation_length_over_side].map(|value| value.unwrap_or(f64::NAN))
}

#[test]
fn averages_over_clusters_are_exact_and_better_than_plain_ones() {
    for (geometry, side, coupling) in [
        (Geometry::Square, 4, 0.408),
        (Geometry::Square, 8, 0.408),
        (Geometry::Square, 8, exact::critical_coupling()),
        (Geometry::Square, 10, 0.25),
        (Geometry::Cubic, 3, 0.221_654_626),
        (Geometry::Cubic, 4, 0.221_654_626),
        (Geometry::Cubic, 4, 0.15),
    ] {
        let torus = Torus::new(geometry, side).unwrap();
        for algorithm in [Algorithm::SwendsenWang, Algorithm::Wolff] {
            let series = chains(algorithm, torus, coupling, 5000);
            let found = improved::observables(geometry, side, &series);
            let plain = statistics::observables_on(geometry, side, coupling, &series);
            assert_eq!(found.len(), if algorithm == Algorithm::Wolff { 1 } else { 3 });
            let (right, wrong) = (known(torus, coupling), known(torus, 1.04 * coupling));
            for ((one, right), wrong) in found.iter().zip(right).zip(wrong) {
                let (mean, error) = (one.estimate.mean, one.estimate.error);
                let name = format!("{}, {geometry} {side}, K = {coupling}, {}", algorithm.name(), one.name);
                assert!(right.is_nan() || (mean - right).abs() < 4.0 * error, "{name}: {mean} +- {error}, exact {right}");
                if one.name == "susceptibility" {
                    assert!((mean - wrong).abs() > 5.0 * error, "{name}: a coupling 4 % off goes unnoticed");
                }
                let of_spins = plain.iter().find(|plain| plain.name == one.name).unwrap().estimate.error;
                println!("{name}: {mean:.5}({error:.5}), plain error {of_spins:.5}");
                // The mean over all signs can only lower the variance of a Swendsen-Wang draw; the error of an error is a few percent.
                assert!(algorithm == Algorithm::Wolff || error < 1.06 * of_spins, "{name}: {error} and plain {of_spins}");
            }
        }
    }
}

#[test]
fn far_from_the_critical_point_clusters_are_worth_many_draws() {
    // At K = 0.3 the clusters are small against the lattice: the susceptibility of M^2 itself has a relative variance of 2 a draw, that of the clusters hardly any.
    let torus = Torus::new(Geometry::Square, 32).unwrap();
    let series = chains(Algorithm::SwendsenWang, torus, 0.3, 500);
    let plain = statistics::observables(32, 0.3, &series);
    let found = improved::observables(Geometry::Square, 32, &series);
    for (name, least) in [("susceptibility", 20.0), ("binder_cumulant", 20.0), ("correlation_length_over_side", 5.0)] {
        let error = |list: &[statistics::NamedEstimate]| list.iter().find(|one| one.name == name).unwrap().estimate.error;
        let gain = (error(&plain) / error(&found)).powi(2);
        println!("{name}: {gain}");
        assert!(gain > least, "{name}: {gain}");
    }
}

#[test]
fn the_clusters_are_the_same_on_every_instruction_set_and_any_threads() {
    for side in [3, 4, 7, 8, 9, 17, 31, 64, 65, 130, 263] {
        let torus = SquareTorus::new(side).unwrap();
        let run = |set: InstructionSet| -> Vec<ClusterMoments> {
            let mut chain = SwendsenWang::with_instruction_set(set, torus, 0.43, Start::Hot, SEED, 5).unwrap();
            let draw = |_| {
                chain.expect_clusters(true);
                chain.sweep();
                chain.cluster_moments().unwrap()
            };
            (0..12).map(draw).collect()
        };
        let expected = run(InstructionSet::PORTABLE);
        for set in InstructionSet::available() {
            assert_eq!(run(set), expected, "side {side}, {set}");
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        assert_eq!(pool.install(|| run(InstructionSet::chosen())), expected, "side {side}");
    }
}

#[test]
fn a_frozen_lattice_is_one_cluster_and_a_free_one_has_none() {
    for side in [5, 8, 65, 130] {
        let torus = SquareTorus::new(side).unwrap();
        let looked_at = |sampler: &mut dyn Sampler| {
            sampler.expect_clusters(false);
            sampler.sweep();
            sampler.cluster_moments().unwrap()
        };
        let sites = (side * side) as f64;
        type Build = Box<dyn Fn(f64) -> Box<dyn Sampler>>;
        let mut both: [Build; 2] = [
            Box::new(move |coupling| Box::new(SwendsenWang::new(torus, coupling, Start::Cold, SEED, 1).unwrap())),
            Box::new(move |coupling| Box::new(SiteClusters::new(torus, coupling, Start::Cold, SEED, 1).unwrap())),
        ];
        for make in &mut both {
            let frozen = looked_at(make(40.0).as_mut());
            assert_eq!((frozen.square, frozen.fourth_power, frozen.wave_power), (1.0, Some(1.0), None));
            let free = looked_at(make(0.0).as_mut());
            assert_eq!(free.square, 1.0 / sites);
            assert!((free.fourth_power.unwrap() - (3.0 - 2.0 / sites) / (sites * sites)).abs() < 1e-15);
        }
    }
}

const JOB: &str = "seed = 5\n[lattice]\ngeometry = \"GEOMETRY\"\nsizes = [4, 6, 8]\n[sample]\ncouplings = [0.2, 0.25]\nalgorithm = \"ALGORITHM\"\nimproved_estimators = true\nreplicas = 4\nthermalization = 50\nsweeps = 600\nmeasure_every = 3\nconfigurations = 4\n";

#[test]
fn runs_leave_the_estimators_of_every_draw_and_a_table() {
    for (geometry, algorithm) in [("square", "swendsen-wang"), ("square", "wolff"), ("cubic", "swendsen-wang"), ("cubic", "wolff")] {
        let folder = tempfile::tempdir().unwrap();
        let job = runs::write_job(folder.path(), &JOB.replace("GEOMETRY", geometry).replace("ALGORITHM", algorithm));
        let run = |name: &str, extra: &[&str]| {
            let directory = folder.path().join(name);
            let mut command = runs::kadanoff();
            command.env("RAYON_NUM_THREADS", "2").arg("run").arg(&job).arg("--out").arg(&directory).args(extra);
            // A job that was stopped goes on with the same command.
            for _ in 0..2000 {
                let output = command.output().unwrap();
                match output.status.code() {
                    Some(0) => return directory,
                    Some(75) => {}
                    code => panic!("{code:?}: {}", String::from_utf8_lossy(&output.stderr)),
                }
            }
            panic!("no end");
        };
        let whole = run("whole", &[]);
        let (record, _) = runs::outcome(&whole);
        assert!(runs::outcome(&run("stopped", &["--stop-after", "30ms", "--until", "sampling"])).0.sampling == record.sampling);
        let sampling = record.sampling.as_ref().unwrap();
        for chain in sampling.ensembles.iter().flat_map(|ensemble| &ensemble.chains) {
            assert_eq!((chain.len(), chain.improved.len()), (200, 200));
            assert!(chain.improved.iter().all(|draw| draw.square > 0.0 && draw.fourth_power.is_some() == (algorithm == "swendsen-wang")));
        }
        let table = record.analysis("improved_estimators").unwrap();
        assert_eq!(table.rows.len(), 6 * if algorithm == "wolff" { 1 } else { 3 });
        for row in 0..table.rows.len() {
            let [value, error] = table.get(row, "improved").unwrap();
            let [plain, its] = table.get(row, "plain").unwrap();
            assert!((value - plain).abs() < 5.0 * error.hypot(its), "{algorithm}: {:?}", table.rows[row]);
        }
        let page = std::fs::read_to_string(whole.join("report.html")).unwrap();
        assert!(page.contains("Improved estimators") && page.contains("from clusters"));
        // The table is made again from the series in the files.
        runs::succeed(runs::kadanoff().arg("report").arg(&whole));
        assert!(runs::outcome(&whole).0.analysis("improved_estimators") == Some(table));
    }
}
