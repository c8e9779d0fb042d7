//! The methods of training as whole runs: interrupted anywhere they end with the same bits, a small machine learns its law, and a number that is not finite stops the run.
#![allow(clippy::unwrap_used)]

#[path = "support/runs.rs"]
mod runs;

use runs::{kadanoff, mpirun, outcome, succeed, write_job};

/// Two layers on fresh data of two couplings, with chains at four temperatures.
const TEMPERED: &str = r#"
seed = 11
[lattice]
sizes = [8]
[sample]
couplings = [0.3, 0.44]
replicas = 5
thermalization = 50
sweeps = 200
configurations = 100
[train]
couplings = "all"
layers = [40, 12]
epochs = [30, 20]
minibatch = 20
gradient = "centred"
activations = "states"
method = "tempered"
chains = 30
inverse_temperatures = 4
lowest_inverse_temperature = 0.4
data = "fresh"
samples = 991
sweeps_between = 3
last_learning_rate = 0.01
last_momentum = 0.7
l2 = 1e-3
[report]
figures = false
"#;

#[test]
fn tempered_chains_on_fresh_data_go_on_with_the_same_bits_wherever_they_were_stopped() {
    stopped_again_and_again(TEMPERED, 250);
}

/// Every job has time for a part of the thermalization alone, in both layers.
#[test]
fn fresh_data_are_drawn_in_many_short_jobs() {
    let slow = TEMPERED.replace("couplings = [0.3, 0.44]", "couplings = [0.3, 0.44]\nalgorithm = \"swendsen-wang\"");
    let slow = slow.replace("thermalization = 50", "thermalization = 150000").replace("epochs = [30, 20]", "epochs = 2");
    assert!(stopped_again_and_again(&slow, 100) > 4, "no job was stopped while it drew");
}

/// Runs a job at one go, in pieces of some time (twice as much after each fifty, so that a busy machine ends too), and on several ranks, which must not be seen. Returns the pieces.
fn stopped_again_and_again(job: &str, milliseconds: usize) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let job = write_job(folder.path(), job);
    let (whole, pieces) = (folder.path().join("whole"), folder.path().join("pieces"));
    succeed(kadanoff().arg("run").arg(&job).arg("--out").arg(&whole).args(["--threads", "1"]));
    let mut submissions = 0;
    loop {
        let mut command = kadanoff();
        let time = format!("{}ms", milliseconds << (submissions / 50));
        command.arg("run").arg(&job).arg("--out").arg(&pieces).args(["--threads", "2", "--stop-after", &time]);
        let sets = if cfg!(target_arch = "x86_64") { ["avx2", "portable"] } else { ["portable", "portable"] };
        let output = command.env("KADANOFF_INSTRUCTION_SET", sets[submissions % 2]).output().unwrap();
        submissions += 1;
        match output.status.code() {
            Some(0) => break,
            Some(75) if submissions < 500 => {}
            code => panic!("{code:?}: {}", String::from_utf8_lossy(&output.stderr)),
        }
    }
    assert!(submissions > 1, "the run was too short to be interrupted");
    let (expected, found) = (outcome(&whole), outcome(&pieces));
    assert!(expected == found, "after {submissions} submissions");
    if cfg!(feature = "mpi") {
        let many = folder.path().join("many");
        succeed(mpirun("3").arg("run").arg(&job).arg("--out").arg(&many).args(["--threads", "1"]));
        assert!(expected == outcome(&many), "three ranks, fresh configurations of two couplings");
    }
    let training = expected.0.training.unwrap();
    assert!(training.fresh && training.method == "tempered" && training.chains == 30);
    for layer in &training.layers {
        assert_eq!(layer.swap_rates.len(), 3);
        assert!(layer.swap_rates.iter().all(|rate| (0.05..=1.0).contains(rate)), "{:?}", layer.swap_rates);
    }
    println!("{submissions} submissions");
    submissions
}

#[test]
fn the_job_of_the_converged_machine_converges() {
    let folder = tempfile::tempdir().unwrap();
    let text = include_str!("../jobs/converged.toml");
    let job = write_job(folder.path(), text);
    let directory = folder.path().join("run");
    succeed(kadanoff().arg("run").arg(&job).arg("--out").arg(&directory));
    let record = kadanoff::store::read_run(&directory).unwrap();
    let renormalization = record.renormalization.unwrap();
    // By sums over all 65,536 configurations: the divergence in nats, and the standard deviation of ln Tr_h e^T. The plain gradient with sixty times as many steps leaves 5e-5 and 0.010.
    let mapping = renormalization.mappings.iter().find(|mapping| mapping.name.starts_with("the trained machine")).unwrap().summary;
    assert!(mapping.divergence.abs() < 1e-10, "{mapping:?}");
    assert!(mapping.trace_violation.sqrt() < 1e-5 && mapping.hamiltonian_difference < 1e-10, "{mapping:?}");
    let likelihood = renormalization.likelihood.unwrap();
    // What the estimates over 2,000 configurations in single precision tell from zero.
    let divergence = likelihood.divergence.unwrap();
    assert!(likelihood.exact_log_partition_function.is_some());
    assert!(divergence[0].abs() < 4.0 * divergence[1] && divergence[1] < 1e-4, "{divergence:?}");
    let [variance, error] = likelihood.trace_violation;
    assert!(variance + 4.0 * error < 1e-9 && error > 0.0, "{variance} +- {error}");
}

#[test]
fn a_learning_rate_beyond_all_reason_stops_at_the_first_number_that_is_not_finite() {
    let folder = tempfile::tempdir().unwrap();
    for method in ["cd", "pcd", "tempered", "exact", "natural"] {
        let text = format!(
            "seed = 1\n[lattice]\nsizes = [4]\n[sample]\ncouplings = [0.4]\nthermalization = 10\nsweeps = 100\nconfigurations = 400\n[train]\nlayers = [8]\nepochs = 5\nminibatch = 20\nmethod = \"{method}\"\nlearning_rate = 1e30\n"
        );
        let job = write_job(folder.path(), &text);
        let output = kadanoff().arg("run").arg(&job).arg("--out").arg(folder.path().join(method)).output().unwrap();
        let sentence = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(5), "{method}: {sentence}");
        assert!(
            ["layer 1", "epoch 1 of 5", "minibatch", "learning_rate"].iter().all(|words| sentence.contains(words)),
            "{method}: {sentence}"
        );
    }
}

/// Two layers with a second seed, controls and a scan: seven networks beside the main one.
const BESIDE: &str = r#"
seed = 12
[lattice]
sizes = [8]
[sample]
couplings = [0.4]
replicas = 4
thermalization = 50
sweeps = 400
configurations = 440
[train]
layers = [16, 4]
epochs = [12, 6]
minibatch = 20
held_out = 40
gradient = "centred"
l1 = [2e-3, 0]
seeds = 2
scan = { l1 = [1e-3, 4e-3], samples = [100] }
[renormalize]
mapping = false
standards = false
side_by_side = false
likelihood = false
controls = true
[report]
figures = false
"#;

#[test]
fn networks_beside_the_main_one_change_nothing_of_it_and_go_on_wherever_they_were_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let job = write_job(folder.path(), BESIDE);
    let (whole, pieces) = (folder.path().join("whole"), folder.path().join("pieces"));
    succeed(kadanoff().arg("run").arg(&job).arg("--out").arg(&whole).args(["--threads", "1"]));
    let mut submissions = 0;
    loop {
        let output =
            kadanoff().arg("run").arg(&job).arg("--out").arg(&pieces).args(["--threads", "2", "--stop-after", "60ms"]).output().unwrap();
        submissions += 1;
        match output.status.code() {
            Some(0) => break,
            Some(75) if submissions < 300 => succeed(kadanoff().arg("check").arg(&pieces)),
            code => panic!("{code:?}: {}", String::from_utf8_lossy(&output.stderr)),
        };
    }
    assert!(submissions > 1, "the run was too short to be interrupted");
    let (expected, found) = (outcome(&whole), outcome(&pieces));
    assert!(expected == found, "after {submissions} submissions");
    let training = expected.0.training.unwrap();
    let names: Vec<&str> = training.companions.iter().map(|companion| companion.name.as_str()).collect();
    assert_eq!(names[..3], ["seed 2", "sites shuffled", "no L1 penalty"]);
    assert_eq!(training.companions.len(), 7);
    assert!(training.companions[0].layers[0].weights != training.layers[0].weights);
    // The main network is what it would be without the others.
    let alone = BESIDE.lines().filter(|line| !["seeds", "scan", "controls"].iter().any(|key| line.starts_with(key)));
    let job = write_job(folder.path(), &alone.collect::<Vec<_>>().join("\n"));
    let lonely = folder.path().join("lonely");
    succeed(kadanoff().arg("run").arg(&job).arg("--out").arg(&lonely));
    let lonely = outcome(&lonely).0;
    assert!(lonely.training.unwrap().layers == training.layers);
    let renormalization = expected.0.renormalization.unwrap();
    assert_eq!(renormalization.receptive_fields, lonely.renormalization.unwrap().receptive_fields);
    // Main, second seed, shuffled and put back, no penalty, random places, waves, blocks (4 x 4 of 2 x 2 and 2 x 2 of 4 x 4): two layers each.
    let controls = renormalization.table("controls").unwrap();
    assert_eq!(controls.rows.len(), 16);
    assert_eq!(renormalization.table("seeds").unwrap().rows.len(), 2);
    assert_eq!(renormalization.table("scan").unwrap().rows.len(), 4);
    // A shuffled lattice is the same problem: what comes back is the same up to noise.
    let agreement =
        |label: &str| controls.rows.iter().position(|(name, _)| name == label).and_then(|row| controls.get(row, "agreement")).unwrap()[0];
    assert!((agreement("sites shuffled") - agreement("trained")).abs() < 0.03);
}

#[test]
fn networks_that_are_done_but_not_yet_in_the_files_outlive_an_error_and_are_trained_again_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let job = write_job(folder.path(), BESIDE);
    let whole = folder.path().join("whole");
    succeed(kadanoff().arg("run").arg(&job).arg("--out").arg(&whole));
    let expected = outcome(&whole);
    // The log has two lines at the beginning, two of the samples, four of the main network, and one or two of each of the other 14 layers.
    for fault in ["EIO@log:15", "EIO@log:20", "kill@log:15", "kill@log:20"] {
        let directory = folder.path().join(fault.replace('@', "-"));
        let run = |fault: &str| kadanoff().arg("run").arg(&job).arg("--out").arg(&directory).env("KADANOFF_FAULT", fault).output().unwrap();
        assert!(!run(fault).status.success(), "{fault} did nothing");
        let log = std::fs::read_to_string(directory.join("log.txt")).unwrap();
        let trained = log.matches(" trained\n").count();
        let kept = kadanoff::store::read_run(&directory).unwrap().training.unwrap().trained_layers();
        assert!((3..15).contains(&trained), "{log}");
        assert!(
            if fault.starts_with("EIO") { kept == trained } else { (2..=trained).contains(&kept) },
            "{fault}: {kept} are kept of\n{log}"
        );
        assert!(run("").status.success());
        assert!(expected == outcome(&directory), "after {fault}");
    }
}

/// A stack whose first machine the tempered method trains, in seconds.
const STACK: &str = r#"
seed = 5
[lattice]
sizes = [4]
[sample]
couplings = [0.3]
replicas = 8
thermalization = 50
sweeps = 2000
configurations = 400
[train]
layers = [24, 6]
epochs = [40, 20]
minibatch = 20
gradient = "centred"
activations = "states"
method = "tempered"
inverse_temperatures = 3
learning_rate = 0.2
last_learning_rate = 0.01
data = "fresh"
samples = 1000
last_l1 = 1e-4
initial_range = 1
[renormalize]
mapping = false
standards = false
annealing_temperatures = 200
sampling_chains = 200
sampling_sweeps = 200
"#;

#[test]
fn the_report_says_whether_the_stack_samples_the_right_thermodynamics() {
    let folder = tempfile::tempdir().unwrap();
    let job = write_job(folder.path(), STACK);
    let directory = folder.path().join("run");
    succeed(kadanoff().arg("run").arg(&job).arg("--out").arg(&directory));
    let record = kadanoff::store::read_run(&directory).unwrap();
    let renormalization = record.renormalization.unwrap();
    let likelihood = renormalization.likelihood.as_ref().unwrap();
    let models = renormalization.table("models").unwrap();
    assert_eq!(models.rows.iter().map(|(name, _)| name.as_str()).collect::<Vec<&str>>(), ["first machine", "stack"]);
    assert_eq!(models.get(0, "divergence"), likelihood.divergence);
    // The bound of the stack is a bound: with the first machine well trained it is a small positive number of nats, and both annealings agree with the enumerated ln Z.
    let (divergence, exact) = (models.get(1, "divergence").unwrap(), models.get(1, "enumerated").unwrap()[0]);
    assert!(divergence[0] > -4.0 * divergence[1] && divergence[0] < 2.0, "{divergence:?}");
    for direction in ["forward", "reverse"] {
        let [value, error] = models.get(1, direction).unwrap();
        assert!((value - exact).abs() < 5.0 * error + 1e-3, "{direction}: {value} +- {error}, {exact}");
    }
    let thermodynamics = renormalization.table("stack_thermodynamics").unwrap();
    assert_eq!(thermodynamics.rows.len(), likelihood.observables.len() + likelihood.correlations.len());
    assert_eq!(likelihood.correlations.iter().map(|row| row.distance).collect::<Vec<usize>>(), [1, 2]);
    let page = std::fs::read_to_string(directory.join("report.html")).unwrap();
    assert!(
        page.contains("The stack (trained by tempered)")
            && page.contains("the right thermodynamics")
            && page.contains("judged with two standard errors")
    );
    let summary = std::fs::read_to_string(directory.join("summary.json")).unwrap();
    assert!(summary.contains("specific_heat_deviation") && summary.contains("is_right"));
}

#[test]
fn a_layer_stops_early_only_where_it_learns_its_data_by_heart() {
    let folder = tempfile::tempdir().unwrap();
    let train = |name: &str, configurations: usize, held_out: usize, epochs: usize| {
        let text = format!(
            "seed = 4\n[lattice]\nsizes = [8]\n[sample]\ncouplings = [0.4]\nreplicas = 50\nthermalization = 50\nsweeps = 4000\nmeasure_every = 20\nconfigurations = {configurations}\n\
             [train]\nlayers = [64]\nepochs = {epochs}\nminibatch = 20\nheld_out = {held_out}\nlearning_rate = 0.2\nlargest_free_energy_gap = 2\n[report]\nfigures = false\n"
        );
        let job = write_job(folder.path(), &text);
        let directory = folder.path().join(name);
        succeed(kadanoff().arg("run").arg(&job).arg("--out").arg(&directory));
        kadanoff::store::read_run(&directory).unwrap().training.unwrap().layers.remove(0)
    };
    // A hundred configurations are learned by heart.
    let few = train("few", 150, 50, 400);
    let exceeds = |epoch: &kadanoff::record::EpochRecord| epoch.free_energy_gap - 2.0 * epoch.free_energy_gap_error > 2.0;
    let count = few.epochs.len();
    assert!(few.stopped_early && (4..400).contains(&count), "{count} epochs");
    assert!(few.epochs[count - 3..].iter().all(exceeds) && !exceeds(&few.epochs[count - 4]), "{:?}", &few.epochs[count - 4..]);
    // The error is that of a hundred and fifty configurations: neither nothing nor all.
    assert!(few.epochs.iter().all(|epoch| epoch.free_energy_gap_error > 0.01 && epoch.free_energy_gap_error < 10.0));
    // Five thousand are not, with as many steps as that.
    let epochs = (count * 100).div_ceil(5000).max(4);
    let many = train("many", 6000, 1000, epochs);
    assert!(!many.stopped_early && many.epochs.len() == epochs && !many.epochs.iter().any(exceeds), "{:?}", many.epochs.last());
}
