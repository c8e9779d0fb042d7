//! The bits of a run do not depend on the mathematical library of the system: whole runs with glibc's functions for processors that multiply and add in one step, and with those for processors
//! that do not, which differ in their last bits. Elsewhere than on glibc the runs are compared all the same, but nothing tells them apart.
#![allow(clippy::unwrap_used)]

#[path = "support/runs.rs"]
mod runs;

use kadanoff::measure::Series;
use kadanoff::record::LayerRecord;
use std::process::Command;

/// What makes glibc take its functions for older processors.
const OLDER: (&str, &str) = ("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-FMA,-FMA4,-AVX2,-AVX2_Usable,-FMA_Usable");
/// Says to [`bits_of_the_system`] that it is asked.
const ASKED: &str = "KADANOFF_TEST_BITS_OF_THE_SYSTEM";

const JOBS: [&str; 4] = [
    // The phases of the waves, from spins and from clusters, and the threshold of the bonds.
    "seed = 5
[lattice]
sizes = [30, 62, 100]
[sample]
couplings = [\"critical\", 0.3, 0.1]
replicas = 2
thermalization = 3
sweeps = 40
improved_estimators = true
configurations = 4
",
    // The phases across the bits, and the couplings of a window.
    "seed = 5
[lattice]
geometry = \"cubic\"
sizes = [6, 30]
[sample]
window = { width = 2.0, points = 3 }
algorithm = \"metropolis\"
layout = \"replicas\"
replicas = 4
thermalization = 3
sweeps = 40
configurations = 4
",
    // The law of the spins, the sums over the states of the machine, and a metric that makes much of their last bits.
    "seed = 14103831
[lattice]
sizes = [4]
[sample]
couplings = [0.408]
replicas = 8
thermalization = 200
sweeps = 5000
measure_every = 5
configurations = 4000
[train]
layers = [32]
method = \"natural\"
epochs = 3
held_out = 2000
learning_rate = 1.0
momentum = 0.0
initial_weight = 0.1
",
    // Log-odds, a geometric schedule, and the exchanges of tempered chains.
    "seed = 5
[lattice]
sizes = [8]
[sample]
couplings = [0.408]
replicas = 2
thermalization = 20
sweeps = 800
configurations = 800
[train]
layers = [16]
method = \"tempered\"
inverse_temperatures = 4
epochs = 7
minibatch = 50
last_learning_rate = 0.013
visible_bias = \"log-odds\"
",
];

/// What has to be the same bit for bit: series, configurations, layers. (Means and errors are made of these.)
fn bits(job: &str, name: &str, older: bool) -> (Vec<Series>, Vec<u8>, Vec<LayerRecord>) {
    let folder = tempfile::tempdir().unwrap();
    let path = runs::write_job(folder.path(), &format!("{job}[report]\nfigures = false\n"));
    let directory = folder.path().join(name);
    let mut command = runs::kadanoff();
    command.arg("run").arg(&path).arg("--out").arg(&directory);
    if older {
        command.env(OLDER.0, OLDER.1);
    }
    runs::succeed(&mut command);
    let (record, configurations) = runs::outcome(&directory);
    let series = record.sampling.unwrap().ensembles.into_iter().flat_map(|ensemble| ensemble.chains).collect();
    (series, configurations, record.training.map_or(Vec::new(), |training| training.layers))
}

/// Prints what the functions of `std` make of some numbers, if asked to.
#[test]
fn bits_of_the_system() {
    if std::env::var_os(ASKED).is_none() {
        return;
    }
    let fold = |function: fn(f64) -> f64| {
        (1..20_000).fold(0u64, |folded, step| folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ function(f64::from(step) * 0.00317).to_bits())
    };
    let functions: [fn(f64) -> f64; 6] = [f64::exp, f64::ln, f64::sin, f64::cos, f64::exp_m1, |x| x.powf(1.587)];
    println!("bits: {:?}", functions.map(fold));
}

/// Whether glibc has two sets of functions here, as most of its machines have, is looked at first. **Power.** When the program still used the functions of `std`, 13 % of the powers of waves of the
/// first two jobs at L = 30 differed, and all weights of the third from its third epoch on. In the fourth nothing did: a last bit is lost there in nearly every rounding to single
/// precision, and it is compared for the one time in a million that it is not.
#[test]
fn runs_with_other_functions_of_the_system_have_the_same_bits() {
    let system = |older: bool| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "bits_of_the_system", "--nocapture"]).env(ASKED, "1");
        if older {
            command.env(OLDER.0, OLDER.1);
        }
        let said = String::from_utf8(runs::succeed(&mut command).stdout).unwrap();
        said.lines().find_map(|line| line.split_once("bits: ")).map(|(_, bits)| bits.to_string()).unwrap()
    };
    if system(false) == system(true) {
        println!("the system has one set of functions here: these runs are merely repeated");
    }
    for (number, job) in JOBS.into_iter().enumerate() {
        let (one, other) = (bits(job, "one", false), bits(job, "other", true));
        assert!(one.0 == other.0, "job {number}: series");
        assert!(one.1 == other.1, "job {number}: configurations");
        assert!(one.2 == other.2, "job {number}: layers");
        assert!(!one.0.is_empty() && (number < 2 || !one.2.is_empty()));
    }
}
