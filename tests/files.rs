//! The files of a run: what is written comes back bit by bit, other programs read it, and damaged or hostile files are refused.

// Helpers of tests may unwrap, too.
#![allow(clippy::unwrap_used)]

#[path = "files/fabricated.rs"]
mod fabricated;

use fabricated::{configurations, record};
use kadanoff::error::Error;
use kadanoff::measure::{ClusterMoments, Series};
use kadanoff::record::{RunRecord, SamplingRecord, TrainingRecord};
use kadanoff::spins::BitMatrix;
use kadanoff::store::{self, ConfigurationSet};
use std::path::{Path, PathBuf};
use std::process::Command;

fn written() -> (tempfile::TempDir, RunRecord, Vec<ConfigurationSet>) {
    let folder = tempfile::tempdir().unwrap();
    let mut record = record();
    let sets = configurations(&mut record);
    store::write_run(folder.path(), &record).unwrap();
    store::write_configurations(&folder.path().join(store::CONFIGURATIONS_FILE), &record.provenance, &sets, &|| Ok(())).unwrap();
    store::write_links(folder.path(), &record.provenance).unwrap();
    (folder, record, sets)
}

/// What `results.h5` says of a training: everything but the parameters of the layers, of the networks beside the main one too.
fn forget_weights(training: &mut TrainingRecord) {
    let beside = training.companions.iter_mut().flat_map(|companion| &mut companion.layers);
    for layer in training.layers.iter_mut().chain(beside) {
        (layer.weights, layer.visible_bias, layer.hidden_bias) = Default::default();
    }
}

fn refusal<T: std::fmt::Debug>(result: kadanoff::error::Result<T>) -> String {
    match result {
        Err(Error::Refused(sentence)) => sentence,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn everything_comes_back_as_it_was() {
    let (folder, record, sets) = written();
    assert_eq!(store::read_run(folder.path()).unwrap(), record);
    let (origin, read) = store::read_configurations(&folder.path().join(store::CONFIGURATIONS_FILE)).unwrap();
    assert_eq!((origin, read), (record.provenance.clone(), sets));
    let mut without_weights = record.clone();
    forget_weights(without_weights.training.as_mut().unwrap());
    assert_eq!(store::read_results(&folder.path().join(store::RESULTS_FILE)).unwrap(), without_weights);
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 5, "no temporary file is left: {names:?}");
    let first = std::fs::read(folder.path().join(store::RESULTS_FILE)).unwrap();
    // HDF5's time stamps, were there any, count seconds.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    store::write_run(folder.path(), &record).unwrap();
    assert!(first == std::fs::read(folder.path().join(store::RESULTS_FILE)).unwrap(), "equal records give equal bytes");
}

#[test]
fn unfinished_runs_come_back_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(store::RESULTS_FILE);
    let full = record();
    let round_trip = |change: &dyn Fn(&mut RunRecord)| {
        let mut record = full.clone();
        (record.training, record.renormalization) = (None, None);
        change(&mut record);
        store::write_results(&path, &record).unwrap();
        assert_eq!(store::read_results(&path).unwrap(), record);
    };
    let sampling: fn(&mut RunRecord) -> &mut SamplingRecord = |record| record.sampling.as_mut().unwrap();
    round_trip(&|record| record.sampling = None);
    round_trip(&|record| record.provenance.submissions.clear());
    round_trip(&|record| sampling(record).ensembles.truncate(3));
    round_trip(&|record| sampling(record).ensembles.clear());
    round_trip(&|record| sampling(record).ensembles[1].observables.clear());
    round_trip(&|record| drop(sampling(record).ensembles[2].observables.remove(1)));
    round_trip(&|record| drop(sampling(record).ensembles[0].chains.pop()));
    round_trip(&|record| sampling(record).ensembles[1].chains.clear());
    round_trip(&|record| sampling(record).ensembles[3].chains[0] = Series::default());
    round_trip(&|record| sampling(record).ensembles.iter_mut().for_each(|ensemble| ensemble.chains = vec![Series::default(); 2]));
    round_trip(&|record| sampling(record).ensembles.iter_mut().for_each(|ensemble| ensemble.chains.clear()));
    round_trip(&|record| sampling(record).ensembles[0].observables[0].estimate.error = f64::INFINITY);
    round_trip(&|record| {
        record.renormalization = full.renormalization.clone();
        let part = record.renormalization.as_mut().unwrap();
        part.receptive_fields.clear();
        part.examples.iter_mut().for_each(|example| (example.reconstructions, example.blocks) = Default::default());
        let likelihood = part.likelihood.as_mut().unwrap();
        (likelihood.relaxation, likelihood.observables) = Default::default();
        likelihood.exact_log_partition_function = Some(0.1);
        likelihood.forward.error = f64::INFINITY;
    });
    round_trip(&|record| {
        record.renormalization = full.renormalization.clone();
        record.renormalization.as_mut().unwrap().likelihood = None;
    });
    round_trip(&|record| {
        record.training = full.training.clone();
        let training = record.training.as_mut().unwrap();
        forget_weights(training);
        training.layers[1].epochs.clear();
    });
    // Histograms in the place of series: of all chains, with a chain too few, without waves, without draws, and of the first sizes only.
    let into_histograms = |record: &mut RunRecord| record.sampling = record.sampling.take().map(SamplingRecord::into_histograms);
    for change in [
        (|_| {}) as fn(&mut SamplingRecord),
        |sampling| drop(sampling.ensembles[0].chains.pop()),
        |sampling| sampling.ensembles.iter_mut().flat_map(|ensemble| &mut ensemble.chains).for_each(|series| series.wave_power.clear()),
        |sampling| sampling.ensembles[2].chains[1] = Series::default(),
        |sampling| sampling.ensembles.truncate(3),
    ] {
        let mut record = full.clone();
        (record.training, record.renormalization) = (None, None);
        change(sampling(&mut record));
        into_histograms(&mut record);
        store::write_results(&path, &record).unwrap();
        assert_eq!(store::read_results(&path).unwrap(), record);
    }
    let mut record = full.clone();
    sampling(&mut record).ensembles[1].observables[0].estimate.error = f64::from_bits(0x7ff8_0000_0000_002a);
    store::write_results(&path, &record).unwrap();
    let read = store::read_results(&path).unwrap();
    assert_eq!(read.sampling.unwrap().ensembles[1].observables[0].estimate.error.to_bits(), 0x7ff8_0000_0000_002a);
}

#[test]
fn couplings_may_differ_from_size_to_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(store::RESULTS_FILE);
    let mut windowed = record();
    let sampling = windowed.sampling.as_mut().unwrap();
    for (index, ensemble) in sampling.ensembles.iter_mut().enumerate().skip(sampling.couplings.len()) {
        ensemble.coupling += 0.001 * index as f64;
    }
    windowed.training = None;
    store::write_results(&path, &windowed).unwrap();
    assert_eq!(store::read_results(&path).unwrap(), windowed);
    let asked = "import sys, xarray; table = xarray.open_dataset(sys.argv[1], engine='h5netcdf', group='sampling'); \
                 print(table.energy_per_site.dims, table.coupling.dims, table.sizes['point'])";
    let output = Command::new(python()).args(["-c", asked]).arg(&path).output().unwrap();
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(words.contains("('size', 'point') ('size', 'point') 2"), "{words} {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn large_arrays_are_written_in_chunks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(store::CONFIGURATIONS_FILE);
    let mut spins = BitMatrix::new(4000, 70 * 70);
    let mut word = 1u64;
    for bit in spins.words_mut() {
        word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *bit = word ^ word >> 32;
    }
    let past = spins.columns() % 64;
    for row in 0..spins.rows() {
        *spins.row_mut(row).last_mut().unwrap() &= (1 << past) - 1;
    }
    let sets = [ConfigurationSet {
        geometry: kadanoff::lattice::Geometry::Square,
        size: 70,
        coupling: 0.4,
        spins,
        chains: (0..4000).collect(),
        draws: (0..4000).rev().collect(),
    }];
    store::write_configurations(&path, &record().provenance, &sets, &|| Ok(())).unwrap();
    assert_eq!(store::read_configurations(&path).unwrap().1, sets);
    let mut record = record();
    let draws = 100_000;
    for ensemble in &mut record.sampling.as_mut().unwrap().ensembles {
        for (number, chain) in ensemble.chains.iter_mut().enumerate() {
            chain.energy = (0..draws).map(|draw| draw * 3 + number as i64).collect();
            chain.wave_power = (0..draws).map(|draw| (draw + 2) as f64).map(f64::sqrt).collect();
            chain.magnetization = (0..draws).map(|draw| draw * draw - number as i64).collect();
            let moments = |draw: i64| ClusterMoments { square: draw as f64, fourth_power: Some((draw + 1) as f64), wave_power: None };
            chain.improved = (0..draws).map(moments).collect();
        }
    }
    let path = folder.path().join(store::RESULTS_FILE);
    store::write_results(&path, &record).unwrap();
    assert_eq!(store::read_results(&path).unwrap().sampling, record.sampling);
}

#[test]
fn damaged_files_are_refused_by_name() {
    let (folder, record, _) = written();
    let path = folder.path().join(store::RESULTS_FILE);
    let whole = std::fs::read(&path).unwrap();
    for length in [0, 1, whole.len() / 4, whole.len() / 2, whole.len() * 99 / 100, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).unwrap();
        assert!(refusal(store::read_results(&path)).contains("results.h5"), "cut to {length} bytes");
    }
    let mut named = 0;
    for position in (8..whole.len()).step_by(53) {
        let mut changed = whole.clone();
        changed[position] ^= 4;
        std::fs::write(&path, &changed).unwrap();
        let sentence = refusal(store::read_results(&path));
        assert!(sentence.contains("results.h5"), "byte {position}: {sentence}");
        named += usize::from(sentence.contains("damaged: /sampling/L4/energy"));
    }
    assert!(named > 0, "no flipped byte of a chunk was traced to its dataset");
    std::fs::write(&path, &whole).unwrap();
    assert!(store::read_results(&path).is_ok());
    // The whole file of another run, and a file of another kind.
    let mut other = record.clone();
    other.provenance.seed = 1;
    store::write_results(&path, &other).unwrap();
    assert!(refusal(store::read_run(folder.path())).contains("different run files"));
    assert!(refusal(store::read_network(&path)).contains("a file of results, not of network"));
}

#[test]
fn fault_36_what_is_no_file_of_ours_is_refused_unopened() {
    let (folder, _, _) = written();
    let place = |name: &str| folder.path().join(name);
    std::fs::write(place("text.h5"), b"not HDF5 at all").unwrap();
    std::fs::create_dir(place("folder.h5")).unwrap();
    std::os::unix::fs::symlink(place(store::RESULTS_FILE), place("link.h5")).unwrap();
    assert!(Command::new("mkfifo").arg(place("pipe.h5")).status().unwrap().success());
    for (name, words) in [("text.h5", "not an HDF5 file"), ("folder.h5", "a folder"), ("link.h5", "a symbolic link"), ("pipe.h5", "a pipe")]
    {
        let sentence = refusal(store::read_results(&place(name)));
        assert!(sentence.contains(words) && sentence.contains(name), "{sentence}");
    }
    assert!(matches!(store::read_results(&place("absent.h5")), Err(Error::InputOutput(_))));
}

#[test]
fn fault_35_files_that_lie_are_refused_behind_the_seal_too() {
    let (folder, _, _) = written();
    run_python("tests/python/hostile_files.py", &[folder.path()]);
    let expected = [
        ("type", "it holds float64, not int64"),
        ("rank", "it has 2 dimensions, not 3"),
        ("shape", "its shape is not [2, 3, 5]"),
        ("huge", "claims more than"),
        ("overflow", "claims more than"),
        ("bomb", "too long for a list"),
        ("chunk", "claims more than"),
        ("filter", "a filter that kadanoff never writes"),
        ("lengths", "submissions/host"),
        ("external-storage", "in another file, which is never opened"),
        ("external-link", "a link to elsewhere"),
        ("loop", "a link to elsewhere"),
        ("virtual", "in another file, which is never opened"),
        ("missing", "sampling/L4 of"),
        ("draws", "cannot be among 5"),
        ("attribute", "the attribute holds"),
        ("version", "format version 3"),
    ];
    for (name, words) in expected {
        let path = folder.path().join(format!("hostile-{name}.h5"));
        assert!(refusal(store::read_results(&path)).contains("seal at its end is missing"), "{name}");
        store::seal::seal(&path, Vec::new()).unwrap();
        let sentence = refusal(store::read_results(&path));
        assert!(sentence.contains(words) && sentence.contains(&format!("hostile-{name}.h5")), "{name}: {sentence}");
        // The program itself, with no more than 100 MB for all it may want to hold.
        let directory = folder.path().join(format!("run-{name}"));
        std::fs::create_dir(&directory).unwrap();
        std::fs::copy(&path, directory.join(store::RESULTS_FILE)).unwrap();
        let begun = std::time::Instant::now();
        let limited = ["--data=100000000", env!("CARGO_BIN_EXE_kadanoff"), "report"];
        let output = Command::new("prlimit").args(limited).arg(&directory).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{name}: {said}");
        assert!(said.contains(words) && begun.elapsed() < std::time::Duration::from_secs(5), "{name}: {said}");
    }
}

/// The half of the next test that runs in a process of its own, whose files may not grow past 16 KiB.
#[test]
fn child_with_little_room() {
    let Some(folder) = std::env::var_os("KADANOFF_TEST_LITTLE_ROOM").map(PathBuf::from) else { return };
    for attempt in 0..3 {
        let failed = store::write_results(&folder.join(store::RESULTS_FILE), &record());
        assert!(
            matches!(&failed, Err(Error::InputOutput(sentence)) if sentence.contains("File too large")),
            "attempt {attempt}: {failed:?}"
        );
    }
    std::fs::write(folder.join("done"), b"").unwrap();
}

#[test]
fn a_file_that_does_not_fit_leaves_the_old_one() {
    let (folder, record, _) = written();
    let status = Command::new("bash")
        .args(["-c", "trap '' XFSZ; ulimit -f 16; exec \"$0\" --exact child_with_little_room"])
        .arg(std::env::current_exe().unwrap())
        .env("KADANOFF_TEST_LITTLE_ROOM", folder.path())
        .output()
        .unwrap();
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stdout));
    assert!(folder.path().join("done").exists(), "the child did not run");
    assert_eq!(store::read_run(folder.path()).unwrap(), record);
    let hidden =
        std::fs::read_dir(folder.path()).unwrap().filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with('.'));
    assert_eq!(hidden.count(), 0, "no temporary file is left");
}

/// The interpreter with h5py, h5netcdf, xarray and netCDF4.
fn python() -> PathBuf {
    if let Some(named) = std::env::var_os("KADANOFF_PYTHON") {
        return named.into();
    }
    let local = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/venv/bin/python");
    assert!(
        local.exists(),
        "no Python with h5py, h5netcdf, xarray and netCDF4: run scripts/test, which makes one, or name one in KADANOFF_PYTHON"
    );
    local
}

fn run_python(script: &str, arguments: &[&Path]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(script);
    let output = Command::new(python()).arg(&script).args(arguments).output().unwrap();
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}: {words}{}", script.display(), String::from_utf8_lossy(&output.stderr));
    words
}

/// The lines of Python in the README that unpack configurations, as they stand there.
#[test]
fn the_readme_unpacks_configurations() {
    let (folder, _, sets) = written();
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let code = readme.split("```python\n").find(|block| block.contains("unpackbits")).and_then(|block| block.split("```").next()).unwrap();
    let script = folder.path().join("readme.py");
    std::fs::write(&script, format!("{code}        print(spins.shape, spins.sum())\n")).unwrap();
    let output = Command::new(python()).arg(&script).current_dir(folder.path()).output().unwrap();
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{words}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(words.lines().count(), sets.len());
    for set in sets {
        let up: usize = (0..set.spins.rows()).map(|row| set.spins.bits(row).iter().filter(|bit| **bit).count()).sum();
        let line = format!("({}, {}) {up}", set.spins.rows(), set.spins.columns());
        assert!(words.lines().any(|found| found == line), "{line} is not in {words}");
    }
}

#[test]
fn other_programs_read_the_files() {
    let (folder, record, sets) = written();
    std::fs::write(folder.path().join("record.json"), serde_json::to_string(&record).unwrap()).unwrap();
    let spins: serde_json::Map<String, serde_json::Value> = sets
        .iter()
        .map(|set| {
            let rows: Vec<Vec<u8>> =
                (0..set.spins.rows()).map(|row| set.spins.bits(row).iter().map(|bit| u8::from(*bit)).collect()).collect();
            (format!("L{}_K{}", set.size, set.coupling), rows.into())
        })
        .collect();
    std::fs::write(folder.path().join("spins.json"), serde_json::to_string(&spins).unwrap()).unwrap();
    let words = run_python("tests/python/check_files.py", &[folder.path()]);
    assert!(words.contains("a_flipped_byte: as it should be"), "{words}");
    let words = run_python("scripts/load.py", &[folder.path()]);
    assert!(words.contains("3 configurations agree") && words.contains("1 configurations agree"), "{words}");
    let picture = folder.path().join("observables.png");
    let words = run_python("scripts/plot.py", &[folder.path(), &picture]);
    assert!(words.contains("energy_per_site") && std::fs::read(&picture).unwrap().starts_with(b"\x89PNG"), "{words}");
    octave_reads_the_files(folder.path());
    h5dump_reads_the_files(folder.path(), &record);
    // The same run with histograms in the place of its series.
    let mut record = record;
    record.sampling = record.sampling.map(SamplingRecord::into_histograms);
    store::write_run(folder.path(), &record).unwrap();
    std::fs::write(folder.path().join("record.json"), serde_json::to_string(&record).unwrap()).unwrap();
    let words = run_python("tests/python/check_files.py", &[folder.path()]);
    assert!(words.contains("every_variable: as it should be") && words.contains("sampling: as it should be"), "{words}");
    let words = run_python("scripts/load.py", &[folder.path()]);
    assert!(words.contains("3 configurations, first row"), "{words}");
    // And as of a window, where every size has couplings of its own.
    let mut of_window = record.clone();
    let ensembles = of_window.sampling.iter_mut().flat_map(|sampling| &mut sampling.ensembles).filter(|ensemble| ensemble.size == 6);
    ensembles.for_each(|ensemble| ensemble.coupling += 0.001);
    store::write_run(folder.path(), &of_window).unwrap();
    let words = run_python("scripts/load.py", &[folder.path()]);
    assert!(
        words.contains("L = 4, K = 0.250000") && words.contains("L = 6, K = 0.251000") && words.contains("3 configurations, first row"),
        "{words}"
    );
    store::write_run(folder.path(), &record).unwrap();
    h5dump_reads_the_files(folder.path(), &record);
}

/// GNU Octave compares observables, series, configurations and weights with the record, where it is installed.
fn octave_reads_the_files(folder: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/octave/check_files.m");
    let Ok(output) = Command::new("octave-cli").args(["--quiet", "--no-init-file"]).arg(&script).arg(folder).output() else {
        eprintln!("skipped: there is no octave-cli here; scripts/test installs it where it may");
        return;
    };
    let words = String::from_utf8_lossy(&output.stdout);
    assert!(words.contains("as it should be"), "{words}{}", String::from_utf8_lossy(&output.stderr));
}

/// h5dump prints the energies of the file, and they are those of the record, where it is installed.
fn h5dump_reads_the_files(folder: &Path, record: &RunRecord) {
    let file = folder.join(store::RESULTS_FILE);
    let arguments = ["--noindex", "--width=1", "-m", "%.17g", "-d", "/sampling/energy_per_site"];
    let Ok(output) = Command::new("h5dump").args(arguments).arg(&file).output() else {
        eprintln!("skipped: there is no h5dump here; scripts/test installs it where it may");
        return;
    };
    let words = String::from_utf8_lossy(&output.stdout);
    let data = words.split_once("DATA {").map(|(_, rest)| rest.split_once('}').map_or(rest, |(data, _)| data)).unwrap_or_default();
    let found: Vec<f64> = data.split([',', '\n']).filter_map(|number| number.trim().parse().ok()).collect();
    let ensembles = &record.sampling.as_ref().unwrap().ensembles;
    let energy = |observables: &[kadanoff::record::Observable]| {
        observables.iter().find(|one| one.name == "energy_per_site").map(|one| one.estimate.mean)
    };
    let expected: Vec<f64> = ensembles.iter().filter_map(|ensemble| energy(&ensemble.observables)).collect();
    assert_eq!(found.iter().copied().filter(|value| !value.is_nan()).collect::<Vec<f64>>(), expected, "{words}");
    let whole = Command::new("h5dump").arg("-H").arg(&file).output().unwrap();
    assert!(whole.status.success(), "{}", String::from_utf8_lossy(&whole.stderr));
}

#[test]
fn the_summary_says_what_the_record_says() {
    let (folder, record, _) = written();
    let summary: serde_json::Value = serde_json::from_slice(&std::fs::read(folder.path().join(store::SUMMARY_FILE)).unwrap()).unwrap();
    let sampling = record.sampling.unwrap();
    let observable = &sampling.ensembles[1].observables[0];
    let found = &summary["sampling"]["ensembles"][1]["observables"]["energy_per_site"];
    assert_eq!(found["mean"], observable.estimate.mean);
    assert_eq!(found["effective_samples"], observable.estimate.effective_samples);
    let deviation = (observable.estimate.mean - observable.exact.unwrap()) / observable.estimate.error;
    assert_eq!(found["deviation_in_standard_errors"], deviation);
    assert!(summary["sampling"]["ensembles"][3]["observables"]["binder_cumulant"]["exact"].is_null());
    assert_eq!(summary["training"]["layers"][1]["last_epoch"]["seconds"], record.training.unwrap().layers[1].epochs[2].seconds);
    let text = summary.to_string();
    assert!(!text.contains("weights") && !text.contains("\"fields\""));
}
