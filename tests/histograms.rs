//! `series = "histograms"`: the run finds what it would have found, and its files hold the same draws without their order, from which averages at other couplings follow.
#![allow(clippy::unwrap_used)]

#[path = "support/runs.rs"]
mod runs;

use kadanoff::error::Error;
use kadanoff::exact;
use kadanoff::measure::Histogram;
use kadanoff::measure::histogram::MOST_GROUPS;
use kadanoff::store;
use std::path::{Path, PathBuf};

const JOB: &str = r#"
seed = 20

[lattice]
sizes = [8, 12, 16]

[sample]
window = { center = "critical", width = 1.6, points = 5 }
start = "both"
replicas = 4
thermalization = 50
sweeps = 1500
configurations = 6
"#;

fn run(folder: &Path, name: &str, text: &str, fault: Option<&str>) -> PathBuf {
    let job = folder.join(format!("{name}.toml"));
    std::fs::write(&job, text).unwrap();
    let directory = folder.join(name);
    let mut command = runs::kadanoff();
    command.arg("run").arg(&job).arg("--out").arg(&directory);
    match fault {
        None => drop(runs::succeed(&mut command)),
        Some(fault) => assert!(!command.env("KADANOFF_FAULT", fault).output().unwrap().status.success(), "{fault} did nothing"),
    }
    directory
}

#[test]
fn a_run_finds_the_same_and_forgets_nothing_but_the_order() {
    let folder = tempfile::tempdir().unwrap();
    let short = JOB.replace("sweeps = 1500", "series = \"histograms\"\nsweeps = 1500");
    let raw = run(folder.path(), "raw", JOB, None);
    let found = run(folder.path(), "short", &short, None);
    let ((raw_record, spins), (record, same_spins)) = (runs::outcome(&raw), runs::outcome(&found));
    assert!(spins == same_spins && raw_record.scaling.is_some());
    assert!(raw_record.scaling == record.scaling && raw_record.analyses == record.analyses);
    let (of_series, of_histograms) = (raw_record.sampling.unwrap(), record.sampling.clone().unwrap());
    assert!(!of_series.is_of_histograms() && of_histograms.is_of_histograms());
    for (raw, short) in of_series.ensembles.iter().zip(&of_histograms.ensembles) {
        assert!(raw.observables == short.observables && raw.draws() == short.draws() && short.chains.is_empty());
        assert!(short.histograms == Histogram::groups(&raw.chains), "L = {}, K = {}", raw.size, raw.coupling);
        // One by one, by another way than that of the program.
        for (chain, histogram) in raw.chains.iter().zip(&short.histograms) {
            for bin in &histogram.energies {
                let draws: Vec<usize> = (0..chain.len()).filter(|&draw| chain.energy[draw] == bin.energy).collect();
                let sum = |power: u32| draws.iter().map(|&draw| chain.magnetization[draw].abs().pow(power)).sum::<i64>() as f64;
                let waves: f64 = draws.iter().map(|&draw| chain.wave_power[draw]).sum();
                assert_eq!(bin.count, draws.len() as u64);
                assert_eq!([bin.absolute_magnetization, bin.magnetization_squared, bin.magnetization_fourth_power], [1, 2, 4].map(sum));
                assert_eq!(bin.wave_power, Some(waves));
            }
            assert_eq!(
                histogram.magnetizations.iter().map(|&(value, count)| value * count as i64).sum::<i64>(),
                chain.magnetization.iter().sum::<i64>()
            );
        }
    }
    // All is well with the directory, the report shows histograms, and to make it again changes nothing.
    runs::succeed(runs::kadanoff().arg("check").arg(&found));
    let page = std::fs::read_to_string(found.join("report.html")).unwrap();
    assert!(
        page.contains("The figures show the histograms of 6 of them") && page.contains("Equilibration") && !page.contains("thinned to")
    );
    assert!(found.join("figures/histogram-L8-K0.489652.png").exists());
    let bytes = std::fs::read(found.join(store::RESULTS_FILE)).unwrap();
    runs::succeed(runs::kadanoff().arg("report").arg(&found));
    assert!(std::fs::read(found.join(store::RESULTS_FILE)).unwrap() == bytes);
    // Killed between sampling and analysis, while the series are still needed; and in the midst of the analysis.
    for fault in ["kill@answer:1", "kill@answer:9"] {
        let name = fault.replace([':', '@'], "-");
        let killed = run(folder.path(), &name, &short, Some(fault));
        let left = store::read_run(&killed).unwrap().sampling.unwrap();
        assert!(left.ensembles.iter().zip(&of_series.ensembles).all(|(left, whole)| left.chains == whole.chains), "{fault}");
        assert!(runs::outcome(&run(folder.path(), &name, &short, None)).0 == record, "{fault}");
    }
}

#[test]
fn averages_at_other_couplings_follow() {
    let folder = tempfile::tempdir().unwrap();
    let text = "seed = 21\n[lattice]\nsizes = [16]\n[sample]\ncouplings = [0.43, 0.2]\nseries = \"histograms\"\nreplicas = 40\nthermalization = 100\nsweeps = 2500\n";
    let directory = run(folder.path(), "run", text, None);
    let record = store::read_run(&directory).unwrap();
    let ensemble = &record.sampling.as_ref().unwrap().ensembles[0];
    assert_eq!((ensemble.coupling, ensemble.histograms.len(), ensemble.draws().len()), (0.43, MOST_GROUPS, 40));
    let python = |coupling: f64| -> [f64; 3] {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/reweight.py");
        let mut command = std::process::Command::new(runs::python());
        command.arg(script).arg(&directory).args(["16", "0.43", &coupling.to_string()]);
        let words = String::from_utf8(runs::succeed(&mut command).stdout).unwrap();
        let numbers: Vec<f64> = words.split_whitespace().map(|word| word.parse().unwrap()).collect();
        numbers.try_into().unwrap()
    };
    for coupling in [0.42, 0.425, 0.43, 0.435, 0.44] {
        // The numbers of the README's lines, and Kaufman's. With the wrong sign of the weight the energies beside 0.43 would be 20 errors off.
        let [energy, error, square] = python(coupling);
        let exact = exact::square(16, coupling).energy_per_site;
        let wrong = exact::square(16, 0.86 - coupling).energy_per_site;
        assert!(((energy - exact) / error).abs() < 4.0, "K = {coupling}: {energy} +- {error}, exact {exact}");
        assert!(coupling == 0.43 || ((energy - wrong) / error).abs() > 20.0, "K = {coupling}: an error of {error} tells nothing");
        if coupling == 0.43 {
            let of_series = |name: &str| ensemble.observables.iter().find(|one| one.name == name).unwrap().estimate;
            assert!((energy - of_series("energy_per_site").mean).abs() < 1e-12);
            assert!((square - of_series("magnetization_squared").mean).abs() < 1e-12);
            // Forty chains in thirty-two groups, and the Gamma method: two errors of one number.
            let ratio = error / of_series("energy_per_site").error;
            assert!((0.6..1.6).contains(&ratio), "{ratio}");
        }
    }
}

#[test]
fn histograms_that_contradict_themselves_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let text = "seed = 22\n[lattice]\nsizes = [4]\n[sample]\ncouplings = [0.3, 0.4]\nseries = \"histograms\"\nreplicas = 2\nthermalization = 10\nsweeps = 50\n";
    let record = store::read_run(&run(folder.path(), "run", text, None)).unwrap();
    let path = folder.path().join(store::RESULTS_FILE);
    let reading = |change: &dyn Fn(&mut Vec<Histogram>)| {
        let mut changed = record.clone();
        change(&mut changed.sampling.as_mut().unwrap().ensembles[1].histograms);
        store::write_results(&path, &changed).unwrap();
        store::read_results(&path).map(|read| assert!(read == changed))
    };
    reading(&|_| {}).unwrap();
    let refused = |change: &dyn Fn(&mut Vec<Histogram>), words: &str| match reading(change) {
        Err(Error::Refused(sentence)) => assert!(sentence.contains(words), "{sentence}"),
        other => panic!("not refused: {other:?}"),
    };
    refused(&|groups| groups[1].energies[0].count += 1, "cannot be those of 50 draws");
    refused(&|groups| groups[0].magnetizations[1].1 = u64::MAX, "cannot be those of 50 draws");
    refused(&|groups| groups[0].energies.swap(0, 1), "is out of order");
    refused(&|groups| groups[1].magnetizations.reverse(), "is out of order");
    refused(&|groups| groups[0].energies.truncate(1), "cannot be those of 50 draws");
}
