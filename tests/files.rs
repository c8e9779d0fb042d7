//! The files of a run: what is written comes back bit by bit, other programs read it, and damaged or hostile files are refused.

use kadanoff::error::Error;
use kadanoff::measure::Series;
use kadanoff::record::*;
use kadanoff::spins::BitMatrix;
use kadanoff::store::{self, ConfigurationSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Hands out distinct primes, so that no two numbers of a record can be exchanged unnoticed.
struct Primes(u64);

impl Primes {
    fn next(&mut self) -> u64 {
        loop {
            self.0 += 1;
            if (2..).take_while(|divisor| divisor * divisor <= self.0).all(|divisor| !self.0.is_multiple_of(divisor)) {
                return self.0;
            }
        }
    }

    fn integer(&mut self) -> i64 {
        self.next() as i64 * if self.0.is_multiple_of(4) { 1 } else { -1 }
    }

    /// Not a short decimal, so that any detour over text or f32 would show.
    fn real(&mut self) -> f64 {
        (self.next() as f64).sqrt()
    }

    fn single(&mut self) -> f32 {
        self.real() as f32
    }

    fn reals<const N: usize>(&mut self) -> [f64; N] {
        std::array::from_fn(|_| self.real())
    }
}

const CHAINS: usize = 3;
const DRAWS: usize = 5;

fn ensemble(primes: &mut Primes, size: usize, coupling: f64) -> Ensemble {
    let observable = |primes: &mut Primes, name: &str, units: &str, exact: bool| Observable {
        name: name.to_string(),
        long_name: format!("{} ({units})", name.replace('_', " ")),
        units: units.to_string(),
        estimate: Estimate {
            mean: primes.real(),
            error: primes.real(),
            autocorrelation_time: primes.real(),
            effective_samples: primes.real(),
        },
        exact: exact.then(|| primes.real()),
    };
    Ensemble {
        size,
        coupling,
        chains: (0..CHAINS)
            .map(|_| Series {
                energy: (0..DRAWS).map(|_| primes.integer()).collect(),
                magnetization: (0..DRAWS).map(|_| primes.integer()).collect(),
            })
            .collect(),
        observables: vec![
            observable(primes, "energy_per_site", "J", true),
            observable(primes, "binder_cumulant", "1", size == 4),
            observable(primes, "susceptibility", "1", false),
        ],
        spin_updates: primes.next(),
        seconds: primes.real(),
    }
}

fn layer(primes: &mut Primes, visible: usize, hidden: usize) -> LayerRecord {
    let mut singles = |count: usize| (0..count).map(|_| primes.single()).collect::<Vec<f32>>();
    let (weights, visible_bias, hidden_bias) = (singles(visible * hidden), singles(visible), singles(hidden));
    LayerRecord {
        visible,
        hidden,
        weights,
        visible_bias,
        hidden_bias,
        epochs: (0..3)
            .map(|_| EpochRecord {
                reconstruction_error: primes.real(),
                free_energy_gap: primes.real(),
                weight_norm: primes.real(),
                weight_maximum: primes.real(),
                gradient_norm: primes.real(),
                seconds: primes.real(),
            })
            .collect(),
        dead_units: primes.next() as usize,
    }
}

fn renormalization(primes: &mut Primes) -> RenormalizationRecord {
    let fields = |primes: &mut Primes, units: usize| ReceptiveFieldRecord {
        units,
        fields: (0..units * 16).map(|_| primes.single()).collect(),
        measures: (0..units)
            .map(|_| FieldMeasures {
                centre: primes.reals(),
                radius_of_gyration: primes.real(),
                participation_ratio: primes.real(),
                window_share: primes.reals(),
                sign_coherence: primes.real(),
            })
            .collect(),
        mean_window_share: primes.reals(),
        median_window_share: primes.reals(),
        median_participation_ratio: primes.real(),
        random_window_share: primes.reals(),
        tiling: primes.real(),
    };
    let reconstruction = |primes: &mut Primes, block: bool| ReconstructionRecord {
        units: primes.next() as usize,
        agreement: primes.reals(),
        block_side: block.then(|| primes.next() as usize),
        block_agreement: block.then(|| primes.reals()),
        iterated_block_agreement: None,
        block_correlation: block.then(|| primes.reals()),
    };
    let mapping = |primes: &mut Primes, name: &str| MappingRecord {
        name: name.to_string(),
        hamiltonian_difference: primes.real(),
        log_partition_function: primes.real(),
        machine_log_partition_function: primes.real(),
        free_energy_difference: primes.real(),
        divergence: primes.real(),
        mean_trace: primes.real(),
        trace_violation: primes.real(),
    };
    let example = |primes: &mut Primes| Example {
        spins: (0..16).map(|_| primes.next() % 4 == 1).collect(),
        reconstructions: (0..2).map(|_| (0..16).map(|_| primes.single()).collect()).collect(),
        blocks: vec![(0..16).map(|_| primes.next() % 4 == 1).collect(), Vec::new()],
    };
    RenormalizationRecord {
        mappings: vec![mapping(primes, "2 x 2 with 1 hidden unit, λ = 0"), mapping(primes, "chain")],
        receptive_fields: vec![fields(primes, 5), fields(primes, 3)],
        reconstructions: vec![reconstruction(primes, true), reconstruction(primes, false)],
        examples: vec![example(primes), example(primes)],
    }
}

fn record() -> RunRecord {
    let mut primes = Primes(10);
    let run_file = "# Größe\nseed = 14103831\n".to_string();
    let submission = |primes: &mut Primes, host: &str, slurm_job: &str| Submission {
        started: 1_700_000_000 + primes.next(),
        host: host.to_string(),
        instruction_set: "avx2".to_string(),
        ranks: primes.next() as usize,
        threads: primes.next() as usize,
        slurm_job: slurm_job.to_string(),
    };
    let (sizes, couplings) = (vec![4, 6], vec![0.25, 0.440_686_793_509_771_5]);
    let places = sizes.iter().flat_map(|&size| couplings.iter().map(move |&coupling| (size, coupling)));
    let ensembles = places.map(|(size, coupling)| ensemble(&mut primes, size, coupling)).collect();
    let submissions = vec![submission(&mut primes, "node1", "17"), submission(&mut primes, "", "")];
    RunRecord {
        provenance: Provenance {
            program_version: "0.1.0".to_string(),
            git_commit: "unknown".to_string(),
            run_file_hash: blake_of(&run_file),
            run_file,
            seed: u64::MAX - 58,
            submissions,
        },
        sampling: Some(SamplingRecord {
            algorithm: "swendsen-wang".to_string(),
            sizes,
            couplings,
            replicas: CHAINS,
            thermalization: primes.next() as usize,
            measure_every: primes.next() as usize,
            draws: DRAWS,
            ensembles,
        }),
        training: Some(TrainingRecord {
            gradient: "centred".to_string(),
            activations: "states".to_string(),
            coupling: primes.real(),
            size: 4,
            samples: primes.next() as usize,
            held_out: primes.next() as usize,
            layers: vec![layer(&mut primes, 16, 5), layer(&mut primes, 5, 3)],
            peak_memory: primes.next(),
        }),
        renormalization: Some(renormalization(&mut primes)),
    }
}

fn blake_of(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

/// Configurations of L = 6 (36 sites: five bytes, the last one half used) and L = 4, whose magnetizations are entered into the series.
fn configurations(record: &mut RunRecord) -> Vec<ConfigurationSet> {
    let sampling = record.sampling.as_mut().unwrap();
    let mut sets = Vec::new();
    for (index, chains, draws) in [(3, vec![2, 0, 1], vec![4, 0, 2]), (0, vec![1], vec![3])] {
        let ensemble: &mut Ensemble = &mut sampling.ensembles[index];
        let sites = ensemble.size * ensemble.size;
        let mut spins = BitMatrix::new(chains.len(), sites);
        for row in 0..chains.len() {
            for site in 0..sites {
                spins.set(row, site, (site * site + row + index).is_multiple_of(7) || site == sites - 1);
            }
            let up = spins.bits(row).count_ones() as i64;
            ensemble.chains[chains[row] as usize].magnetization[draws[row] as usize] = 2 * up - sites as i64;
        }
        sets.push(ConfigurationSet { size: ensemble.size, coupling: ensemble.coupling, spins, chains, draws });
    }
    sets
}

fn written() -> (tempfile::TempDir, RunRecord, Vec<ConfigurationSet>) {
    let folder = tempfile::tempdir().unwrap();
    let mut record = record();
    let sets = configurations(&mut record);
    store::write_run(folder.path(), &record).unwrap();
    store::write_configurations(&folder.path().join(store::CONFIGURATIONS_FILE), &record.provenance, &sets).unwrap();
    (folder, record, sets)
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
    for layer in &mut without_weights.training.as_mut().unwrap().layers {
        (layer.weights, layer.visible_bias, layer.hidden_bias) = Default::default();
    }
    assert_eq!(store::read_results(&folder.path().join(store::RESULTS_FILE)).unwrap(), without_weights);
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 4, "no temporary file is left: {names:?}");
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
    round_trip(&|record| sampling(record).ensembles[2].observables.swap(0, 2));
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
    });
    round_trip(&|record| {
        record.training = full.training.clone();
        let training = record.training.as_mut().unwrap();
        for layer in &mut training.layers {
            (layer.weights, layer.visible_bias, layer.hidden_bias) = Default::default();
        }
        training.layers[1].epochs.clear();
    });
    let mut record = full.clone();
    sampling(&mut record).ensembles[1].observables[0].estimate.error = f64::from_bits(0x7ff8_0000_0000_002a);
    store::write_results(&path, &record).unwrap();
    let read = store::read_results(&path).unwrap();
    assert_eq!(read.sampling.unwrap().ensembles[1].observables[0].estimate.error.to_bits(), 0x7ff8_0000_0000_002a);
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
    let sets = [ConfigurationSet { size: 70, coupling: 0.4, spins, chains: (0..4000).collect(), draws: (0..4000).rev().collect() }];
    store::write_configurations(&path, &record().provenance, &sets).unwrap();
    assert_eq!(store::read_configurations(&path).unwrap().1, sets);
    let mut record = record();
    let draws = 100_000;
    for ensemble in &mut record.sampling.as_mut().unwrap().ensembles {
        for (number, chain) in ensemble.chains.iter_mut().enumerate() {
            chain.energy = (0..draws).map(|draw| draw * 3 + number as i64).collect();
            chain.magnetization = (0..draws).map(|draw| draw * draw - number as i64).collect();
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
    for position in (8..whole.len()).step_by(101) {
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
fn what_is_no_file_of_ours_is_refused_unopened() {
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
fn files_that_lie_are_refused_behind_the_seal_too() {
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
        ("lengths", "sampling/observables"),
        ("external-storage", "in another file, which is never opened"),
        ("external-link", "a link to elsewhere"),
        ("loop", "a link to elsewhere"),
        ("virtual", "in another file, which is never opened"),
        ("missing", "sampling/L4 of"),
        ("draws", "cannot be among 5"),
        ("attribute", "the attribute holds"),
        ("version", "format version 2"),
    ];
    for (name, words) in expected {
        let path = folder.path().join(format!("hostile-{name}.h5"));
        assert!(refusal(store::read_results(&path)).contains("seal at its end is missing"), "{name}");
        store::seal::seal(&path, Vec::new()).unwrap();
        let sentence = refusal(store::read_results(&path));
        assert!(sentence.contains(words) && sentence.contains(&format!("hostile-{name}.h5")), "{name}: {sentence}");
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
