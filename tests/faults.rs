//! Faults injected into the real binary. The numbers in the names are those of the table of faults in tests/README.md, which also says where the other rows are tested.
#![allow(clippy::unwrap_used)]

#[path = "support/runs.rs"]
mod runs;

use kadanoff::record::RunRecord;
use runs::{kadanoff, mpirun, outcome, succeed, write_job};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// A short sampling and half a second of training.
const JOB: &str = r#"
seed = 11

[lattice]
sizes = [16]

[sample]
couplings = [0.42, 0.44]
algorithm = "swendsen-wang"
replicas = 4
thermalization = 100
sweeps = 4000
measure_every = 4
configurations = 400

[train]
coupling = 0.44
layers = [32, 8]
epochs = 20
minibatch = 20
held_out = 40

[report]
figures = false
"#;

/// The same with a sampling that lasts for dozens of checkpoints.
fn long_job() -> String {
    JOB.replace("sweeps = 4000", "sweeps = 120000").replace("measure_every = 4", "measure_every = 120")
}

fn undisturbed() -> &'static (RunRecord, Vec<u8>) {
    static OUTCOME: OnceLock<(RunRecord, Vec<u8>)> = OnceLock::new();
    OUTCOME.get_or_init(|| undisturbed_outcome(JOB))
}

fn undisturbed_outcome(job: &str) -> (RunRecord, Vec<u8>) {
    let run = Run::new(job);
    succeed(&mut run.command(kadanoff()));
    outcome(&run.directory)
}

struct Run {
    folder: tempfile::TempDir,
    job: PathBuf,
    directory: PathBuf,
}

impl Run {
    fn new(job: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Run { job: write_job(folder.path(), job), directory: folder.path().join("run"), folder }
    }

    fn command(&self, mut program: Command) -> Command {
        program.arg("run").arg(&self.job).arg("--out").arg(&self.directory).args(["--checkpoint-every", "15ms"]);
        program.stdout(Stdio::null()).stderr(Stdio::piped());
        program
    }

    /// With a fault, see `src/fault.rs`.
    fn with_fault(&self, fault: &str) -> Output {
        self.command(kadanoff()).env("KADANOFF_FAULT", fault).output().unwrap()
    }

    /// All files tell of the same run, and nothing is left to do.
    fn is_whole(&self, what: &str) {
        let record = kadanoff::store::read_run(&self.directory).unwrap();
        let layers = record.training.as_ref().map(|training| training.layers.len());
        assert!(layers == Some(2) && !self.directory.join("checkpoint").exists(), "{what}: {layers:?} layers");
        assert!(
            kadanoff::store::is_summary_of(&self.directory.join("summary.json"), &record).unwrap(),
            "{what}: a summary of something else"
        );
        succeed(kadanoff().arg("check").arg(&self.directory));
    }

    /// The same command again ends with the bits of an undisturbed run.
    fn goes_on(&self, what: &str) -> String {
        let output = succeed(&mut self.command(kadanoff()));
        assert!(outcome(&self.directory) == *undisturbed(), "{what} changed the result");
        self.is_whole(what);
        assert!(
            std::fs::read_dir(&self.directory).unwrap().all(|entry| !entry.unwrap().file_name().to_string_lossy().ends_with(".tmp")),
            "{what}"
        );
        words(&output)
    }
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn code(output: &Output, expected: i32) -> String {
    let words = words(output);
    assert_eq!(output.status.code(), Some(expected), "{words}");
    words
}

#[test]
fn fault_01_02_killed_at_every_point_of_a_write() {
    let steps = ["filled", "synchronized", "kept", "renamed"];
    let files = ["state", "configurations.h5", "results.h5", "network.h5", "summary.json", "run.toml"];
    let points = files.iter().flat_map(|file| steps.iter().map(move |step| format!("{step}-{file}")));
    for point in points.chain(["writing-state".to_string()]) {
        let passes = match point.rsplit('-').next() {
            // The second and the third checkpoint: two generations are there, and series were measured since the last one.
            Some("state") => 2..=3,
            // After the sampling, after the analysis, and after each of two layers.
            Some("results.h5" | "summary.json") => 1..=4,
            Some("network.h5") => 1..=2,
            _ => 1..=1,
        };
        for pass in passes {
            let run = Run::new(JOB);
            let output = run.with_fault(&format!("kill@{point}:{pass}"));
            assert_eq!(output.status.signal(), Some(9), "{point}: was not met: {}", words(&output));
            let said = run.goes_on(&format!("a kill at {point}, number {pass}"));
            if point == "filled-state" || point == "writing-state" {
                assert!(said.contains("half written"), "{point}: {said}");
            }
        }
    }
}

#[test]
fn fault_04_a_panic_ends_everything_at_once_with_70() {
    let run = Run::new(JOB);
    let said = code(&run.with_fault("panic@round:2"), 70);
    assert!(said.contains("a fault was asked for at round") && said.contains("please report it"), "{said}");
    run.goes_on("a panic");
    if cfg!(feature = "mpi") {
        let run = Run::new(JOB);
        let begun = Instant::now();
        let output = run.command(mpirun("4")).env("KADANOFF_FAULT", "panic@round:2:2").output().unwrap();
        assert!(begun.elapsed() < Duration::from_secs(20), "it hung for {:?}", begun.elapsed());
        let said = words(&output);
        assert_eq!(output.status.code(), Some(70), "{said}");
        assert_eq!(said.matches("rank 2 failed; ending all ranks").count(), 1, "{said}");
        run.goes_on("a panic on one rank");
    }
}

#[test]
fn fault_05_an_error_on_one_rank_is_one_message_and_one_exit_code() {
    let run = Run::new(JOB);
    assert!(code(&run.with_fault("EIO@open"), 4).contains("rank 0 cannot begin: Input/output error"));
    if cfg!(feature = "mpi") {
        let output = run.command(mpirun("4")).env("KADANOFF_FAULT", "EIO@open:1:2").output().unwrap();
        let said = words(&output);
        assert_eq!(output.status.code(), Some(4), "{said}");
        assert_eq!(said.matches("rank 2 cannot begin").count(), 1, "{said}");
        assert!(!run.directory.exists());
        // Threads that cannot be started on one node alone: no rank waits for that one.
        let begun = Instant::now();
        let output = run.command(mpirun("4")).env("KADANOFF_FAULT", "EAGAIN@threads:1:2").output().unwrap();
        assert!(begun.elapsed() < Duration::from_secs(20), "it hung for {:?}", begun.elapsed());
        let said = words(&output);
        assert_eq!((output.status.code(), said.matches("cannot start threads").count()), (Some(2), 1), "{said}");
    }
}

#[test]
fn files_of_another_run_are_refused_and_left_alone() {
    let (run, other) = (Run::new(JOB), Run::new(&JOB.replace("seed = 11", "seed = 12")));
    succeed(&mut other.command(kadanoff()));
    succeed(run.command(kadanoff()).args(["--until", "sampling"]));
    let own = |name: &str| std::fs::read(run.directory.join(name)).unwrap();
    let before = ["configurations.h5", "results.h5"].map(own);
    for (place, names) in [["configurations.h5"].as_slice(), &["results.h5", "network.h5"]].into_iter().enumerate() {
        for name in names {
            std::fs::copy(other.directory.join(name), run.directory.join(name)).unwrap();
        }
        let said = code(&run.command(kadanoff()).output().unwrap(), 3);
        assert!(said.contains(names[0]) && said.contains("belongs to another run") && said.contains("seed 12"), "{said}");
        let mut others = vec![vec!["export", "--to", "numpy"]];
        if names[0] == "configurations.h5" {
            others.push(vec!["report"]);
        }
        for other in others {
            let said = code(&kadanoff().args(&other).arg(&run.directory).stdout(Stdio::null()).stderr(Stdio::piped()).output().unwrap(), 3);
            assert!(said.contains("belongs to another run") && said.contains("seed 12"), "{other:?}: {said}");
        }
        assert!(!run.directory.join("run.npz").exists());
        assert_eq!(own(names[0]), std::fs::read(other.directory.join(names[0])).unwrap());
        std::fs::write(run.directory.join(names[0]), &before[place]).unwrap();
    }
    run.goes_on("files of another run");
}

#[test]
fn a_signal_while_figures_are_drawn_is_a_stop_like_any_other() {
    let run = Run::new(&JOB.replace("figures = false", "figures = true"));
    let said = code(&run.with_fault("SIGTERM@figure:1"), 75);
    assert!(said.contains("SIGTERM came") && said.contains("the same command goes on"), "{said}");
    let text = |name: &str| std::fs::read_to_string(run.directory.join(name)).unwrap();
    assert!(text("log.txt").lines().last().unwrap().contains("stopped because SIGTERM came") && text("lock").is_empty());
    assert!(!run.directory.join("report.html").exists());
    succeed(&mut run.command(kadanoff()));
    assert!(run.directory.join("report.html").exists());
}

#[test]
fn a_signal_while_a_few_configurations_are_written_waits_for_them() {
    let run = Run::new(JOB);
    let said = code(&run.with_fault("SIGTERM@block:1"), 75);
    assert!(said.contains("SIGTERM came") && said.contains("the same command goes on"), "{said}");
    assert!(run.directory.join("configurations.h5").exists());
    run.goes_on("a signal while configurations were written");
}

/// 36 MiB of configurations, and no checkpoint is due for minutes.
#[test]
fn a_signal_while_many_configurations_are_written_is_a_stop_like_any_other() {
    let run = Run::new(
        "seed = 11\n[lattice]\nsizes = [1024]\n[sample]\ncouplings = [0.3]\nalgorithm = \"metropolis\"\nreplicas = 2\nthermalization = 0\nsweeps = 144\nconfigurations = 288\n[report]\nfigures = false\n",
    );
    let job = |directory: &Path, fault: &str| {
        let mut command = kadanoff();
        command.arg("run").arg(&run.job).arg("--out").arg(directory).args(["--until", "sampling"]);
        command.env("KADANOFF_FAULT", fault).stdout(Stdio::null()).stderr(Stdio::piped()).output().unwrap()
    };
    let said = code(&job(&run.directory, "SIGTERM@block:1"), 75);
    assert!(said.contains("SIGTERM came; a checkpoint of"), "{said}");
    let said = code(&job(&run.directory, "SIGTERM@block:3"), 75);
    assert!(said.contains("going on from the checkpoint") && !run.directory.join("configurations.h5").exists(), "{said}");
    // A checkpoint that cannot be written is no reason to give up what was sampled.
    let full = run.folder.path().join("full");
    let said = code(&job(&full, "ENOSPC@filled-state:1"), 0);
    assert!(said.contains("going on without") && full.join("configurations.h5").exists(), "{said}");
    code(&job(&run.directory, ""), 0);
    let whole = run.folder.path().join("whole");
    code(&job(&whole, ""), 0);
    let configurations = |directory: &Path| kadanoff::store::read_configurations(&directory.join("configurations.h5")).unwrap().1;
    assert!(configurations(&run.directory) == configurations(&whole) && configurations(&full) == configurations(&whole));
}

#[test]
fn a_report_is_not_made_beside_a_job_at_work() {
    let run = Run::new(JOB);
    succeed(run.command(kadanoff()).args(["--until", "sampling"]));
    let report = || kadanoff().arg("report").arg(&run.directory).stdout(Stdio::null()).stderr(Stdio::piped()).output().unwrap();
    let results = std::fs::read(run.directory.join("results.h5")).unwrap();
    let lock = kadanoff::store::lock::DirectoryLock::acquire(&run.directory, false).unwrap();
    let said = code(&report(), 3);
    assert!(said.contains("is in use by process") && said.contains("wait for it to end"), "{said}");
    assert_eq!(std::fs::read(run.directory.join("results.h5")).unwrap(), results);
    drop(lock);
    assert!(report().status.success());
    run.goes_on("a report between two jobs");
}

#[test]
fn fault_16_a_disk_that_is_full_for_the_log_is_exit_4_and_loses_nothing() {
    for pass in [2, 4] {
        let run = Run::new(JOB);
        let said = code(&run.with_fault(&format!("ENOSPC@log:{pass}")), 4);
        assert!(said.contains("log.txt") && said.contains("No space left"), "{said}");
        run.goes_on("a log that could not be written");
    }
}

#[test]
fn fault_17_an_fsync_that_fails_is_a_failed_write() {
    // Of a checkpoint: a warning, since an older one is intact, and the run goes on to the same end.
    // The first three are all of the sampling.
    let long = long_job();
    let run = Run::new(&long);
    let output = run.with_fault("EIO@filled-state:3");
    assert!(output.status.success(), "{}", words(&output));
    assert!(words(&output).contains("warning") && words(&output).contains("Input/output error"), "{}", words(&output));
    assert!(outcome(&run.directory) == undisturbed_outcome(&long));
    // Of a result: exit 4, the old file stands, and the same command goes on.
    for file in ["results.h5", "network.h5", "configurations.h5"] {
        let run = Run::new(JOB);
        let said = code(&run.with_fault(&format!("EIO@filled-{file}")), 4);
        assert!(said.contains("cannot synchronize") && said.contains(file), "{said}");
        run.goes_on("an fsync that failed");
    }
}

#[test]
fn fault_18_a_directory_that_cannot_be_written_stops_the_run_before_it_begins() {
    let run = Run::new(JOB);
    std::fs::create_dir(&run.directory).unwrap();
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    let chmod = |mode: &str, path: &Path| assert!(Command::new("chmod").arg(mode).arg(path).status().unwrap().success());
    chmod("555", &run.directory);
    // Root may write anywhere: as nobody, with a binary and a folder that nobody may reach.
    let program = run.folder.path().join("kadanoff");
    let mut command = if is_root {
        std::fs::copy(env!("CARGO_BIN_EXE_kadanoff"), &program).unwrap();
        chmod("755", run.folder.path());
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program);
        command
    } else {
        kadanoff()
    };
    let begun = Instant::now();
    let output = command.arg("run").arg(&run.job).arg("--out").arg(&run.directory).output().unwrap();
    let said = code(&output, 4);
    assert!(said.contains("Permission denied") && begun.elapsed() < Duration::from_secs(2), "{said}");
    chmod("755", &run.directory);
}

#[test]
fn fault_21_where_locks_are_unknown_an_owner_file_stands_for_one() {
    let run = Run::new(JOB);
    let output = run.with_fault("ENOLCK@lock");
    assert!(output.status.success() && words(&output).contains("knows no locks"), "{}", words(&output));
    assert!(!run.directory.join("lock.owner").exists(), "given back");
    assert!(outcome(&run.directory) == *undisturbed());
    std::fs::write(run.directory.join("lock.owner"), format!("host elsewhere\nprocess {}\nslurm_job \n", std::process::id())).unwrap();
    assert!(code(&run.with_fault("ENOLCK@lock"), 3).contains("--force-lock"));
}

#[test]
fn fault_22_copies_that_do_not_know_of_each_other_are_refused() {
    let run = Run::new(JOB);
    for variables in
        [vec![("SLURM_STEP_ID", "0"), ("SLURM_STEP_NUM_TASKS", "4")], vec![("PMI_SIZE", "4")], vec![("OMPI_COMM_WORLD_SIZE", "4")]]
    {
        // A build with MPI would take the variables of its own launcher at their word.
        if cfg!(feature = "mpi") && variables[0].0 != "SLURM_STEP_ID" {
            continue;
        }
        let said = code(&run.command(kadanoff()).envs(variables).output().unwrap(), 2);
        assert!(
            said.contains("4 copies of kadanoff were started") && (said.contains("--mpi=pmix") || said.contains("--features mpi")),
            "{said}"
        );
        assert!(!run.directory.exists());
    }
    // A batch step with one task on a node of many is no reason.
    let lone =
        run.command(kadanoff()).envs([("SLURM_STEP_ID", "0"), ("SLURM_STEP_NUM_TASKS", "1"), ("SLURM_NTASKS", "4")]).output().unwrap();
    assert!(lone.status.success(), "{}", words(&lone));
}

#[test]
fn fault_23_24_33_every_mistake_of_a_run_file_is_named_at_once() {
    let refused = |change: &[(&str, &str)]| {
        let text = change.iter().fold(JOB.to_string(), |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replace(from, to)
        });
        let run = Run::new(&text);
        let begun = Instant::now();
        let said = code(&run.command(kadanoff()).output().unwrap(), 2);
        assert!(begun.elapsed() < Duration::from_secs(5) && !run.directory.exists(), "{said}");
        said
    };
    let said = refused(&[
        ("replicas", "replicass"),
        ("minibatch = 20", "minibatch = \"many\""),
        ("couplings = [0.42, 0.44]", "couplings = [nan, -1.0]"),
    ]);
    assert!(said.contains("did you mean `replicas`?") && said.contains("job.toml:10"), "{said}");
    assert!(said.lines().count() >= 4 && said.contains("minibatch") && said.contains("nan") && said.contains("-1.0"), "{said}");
    for (from, to) in [
        ("sizes = [16]", "sizes = []"),
        ("sizes = [16]", "sizes = [16, 16]"),
        ("sizes = [16]", "sizes = [0]"),
        ("sizes = [16]", "sizes = [1]"),
        ("sizes = [16]", "sizes = [1048576]"),
        ("sizes = [16]", "sizes = [9223372036854775808]"),
        ("couplings = [0.42, 0.44]", "couplings = [inf]"),
        ("couplings = [0.42, 0.44]", "couplings = [0.44, 0.44]"),
        ("layers = [32, 8]", "layers = [1000000000000]"),
        ("sweeps = 4000", "sweeps = 4000.5"),
        ("epochs = 20", "epochs = -20"),
    ] {
        let said = refused(&[(from, to)]);
        assert!(said.contains("job.toml:"), "{to}: {said}");
    }
    // What is allowed one by one but not together: refused for its memory, in a sentence, before anything is allocated.
    let said = refused(&[
        ("layers = [32, 8]", "layers = [4194304, 4194304]"),
        ("sweeps = 4000", "sweeps = 1000000000000"),
        ("measure_every = 4", "measure_every = 1"),
    ]);
    assert!(said.contains("the run needs") && said.contains("available are"), "{said}");
    // Odd and small sizes work.
    for side in ["3", "63", "65"] {
        let text = JOB
            .replace("sizes = [16]", &format!("sizes = [{side}]"))
            .replace("sweeps = 4000", "sweeps = 400")
            .replace("epochs = 20", "epochs = 1");
        succeed(&mut Run::new(&text).command(kadanoff()));
    }
}

#[test]
fn fault_25_26_another_run_file_is_refused_by_its_keys_and_a_done_run_says_so() {
    let run = Run::new(JOB);
    assert_eq!(run.command(kadanoff()).args(["--stop-after", "0s"]).output().unwrap().status.code(), Some(75));
    let state = std::fs::read(run.directory.join("checkpoint/state")).unwrap();
    for (from, to, key) in [
        ("[0.42, 0.44]", "[0.42, 0.44, 0.45]", "sample.couplings"),
        ("sizes = [16]", "sizes = [18]", "lattice.sizes"),
        ("seed = 11", "seed = 12", "seed was 11, is 12"),
        ("layers = [32, 8]", "layers = [32, 9]", "train.layers"),
        ("sweeps = 4000", "sweeps = 8000", "sample.sweeps"),
    ] {
        write_job(run.folder.path(), &JOB.replace(from, to));
        let said = code(&run.command(kadanoff()).output().unwrap(), 3);
        assert!(said.contains(key) && said.contains("--out"), "{said}");
        assert!(state == std::fs::read(run.directory.join("checkpoint/state")).unwrap());
    }
    write_job(run.folder.path(), JOB);
    run.goes_on("refusals");
    assert!(words(&succeed(&mut run.command(kadanoff()))).contains("done already"));
}

#[test]
fn fault_27_a_checkpoint_of_another_version_is_refused() {
    let run = Run::new(JOB);
    assert_eq!(run.command(kadanoff()).args(["--stop-after", "0s"]).output().unwrap().status.code(), Some(75));
    let state = run.directory.join("checkpoint/state");
    let whole = std::fs::read(&state).unwrap();
    for version in [0u64, 2, u64::MAX] {
        let mut content = whole[..whole.len() - 32].to_vec();
        let known = u64::from_le_bytes(content[16..24].try_into().unwrap());
        content[16..24].copy_from_slice(&(if version == known { known + 1 } else { version }).to_le_bytes());
        let digest = *blake3::hash(&content).as_bytes();
        content.extend(digest);
        std::fs::write(&state, &content).unwrap();
        let said = code(&run.command(kadanoff()).output().unwrap(), 3);
        assert!(said.contains("another version of kadanoff"), "{said}");
        assert!(std::fs::read(&state).unwrap() == content, "left alone");
    }
    std::fs::write(&state, whole).unwrap();
    run.goes_on("a checkpoint of another version");
}

#[test]
fn fault_31_numbers_that_stop_being_finite_leave_the_last_good_checkpoint() {
    // The first layer learns, the second cannot.
    let text = JOB.replace("epochs = 20", "epochs = 20\nlearning_rate = [0.1, 1e30]");
    let run = Run::new(&text);
    let said = code(&run.command(kadanoff()).output().unwrap(), 5);
    assert!(said.contains("layer 2") && said.contains("learning_rate"), "{said}");
    let said = words(&succeed(kadanoff().arg("check").arg(&run.directory)));
    assert!(said.contains("network.h5 (1 layer)"), "{said}");
    let status = succeed(kadanoff().arg("status").arg(&run.directory).arg("--json"));
    assert!(String::from_utf8_lossy(&status.stdout).contains("\"failed\""));
}

#[test]
fn fault_31_the_last_good_epoch_is_on_disk_though_no_checkpoint_was_due() {
    // Rates that grow by equal factors: some epochs are good before single precision overflows. The sentence names the rate of that epoch, not the first one.
    let grows = |more: &str| JOB.replace("epochs = 20", &format!("epochs = 20\nlearning_rate = 0.1\nlast_learning_rate = 1e38\n{more}"));
    for more in ["", "distribute = \"layers\"", "other_methods = [\"pcd\"]"] {
        let run = Run::new(&grows(more));
        let said = code(&run.command(kadanoff()).output().unwrap(), 5);
        assert!(said.contains("last_learning_rate = 1e38") && said.contains("initial_weight"), "{said}");
        let rate = said.split("The learning rate of this epoch is ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
        assert!(rate.parse::<f64>().unwrap() > 1.0, "{said}");
        let epoch: u64 = said.split(", epoch ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap().parse().unwrap();
        assert!(epoch > 1, "{said}");
        let checked = words(&succeed(kadanoff().arg("check").arg(&run.directory)));
        assert!(checked.contains(&format!("after {} of 20 epochs", epoch - 1)), "{more}: {checked}");
        // A later job goes on from there, and ends with the same sentence.
        let again = code(&run.command(kadanoff()).output().unwrap(), 5);
        assert!(again.contains("going on from the checkpoint") && again.contains(&format!("epoch {epoch} of 20")), "{again}");
    }
}

#[test]
fn fault_34_messages_in_pieces_arrive_whole() {
    if !cfg!(feature = "mpi") {
        return;
    }
    // Ninety-seven elements at a time instead of a billion: every message of the run is cut.
    let run = Run::new(JOB);
    let output = run.command(mpirun("3")).env("KADANOFF_LONGEST_MESSAGE", "97").output().unwrap();
    assert!(output.status.success(), "{}", words(&output));
    assert!(outcome(&run.directory) == *undisturbed(), "messages in pieces changed the result");
}

/// A library that stands before that of C and lets every look at the clock on the wall be an hour earlier than the one before.
const CLOCK: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    static long looks;
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, now);
    if (clock == CLOCK_REALTIME) now->tv_sec -= 3600 * __sync_fetch_and_add(&looks, 1);
    return result;
}
"#;

#[test]
fn fault_37_a_clock_that_jumps_back_stops_nothing_and_makes_no_time_negative() {
    let long = long_job();
    let run = Run::new(&long);
    let (source, library) = (run.folder.path().join("clock.c"), run.folder.path().join("clock.so"));
    std::fs::write(&source, CLOCK).unwrap();
    succeed(Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl"));
    let end = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 60;
    let command = |further: &[&str]| {
        let mut command = run.command(kadanoff());
        command.args(further).env("LD_PRELOAD", &library).env("SLURM_JOB_END_TIME", end.to_string());
        command
    };
    // The time of --stop-after is that of the other clock.
    let begun = Instant::now();
    let output = command(&["--stop-after", "250ms"]).output().unwrap();
    assert!(code(&output, 75).contains("--stop-after"));
    assert!((0.25..10.0).contains(&begun.elapsed().as_secs_f64()), "{:?}", begun.elapsed());
    let status = succeed(kadanoff().arg("status").arg(&run.directory).arg("--json").env("LD_PRELOAD", &library));
    assert!(!String::from_utf8_lossy(&status.stdout).contains(":-"), "{}", String::from_utf8_lossy(&status.stdout));
    succeed(&mut command(&[]));
    assert!(outcome(&run.directory) == undisturbed_outcome(&long), "a clock that jumps changed the result");
    let log = std::fs::read_to_string(run.directory.join("log.txt")).unwrap();
    let times: Vec<i64> = log.lines().filter_map(|line| line.split(' ').next()?.parse().ok()).collect();
    assert!(times.windows(2).filter(|pair| pair[1] < pair[0] - 3000).count() > 5, "the clock did not jump: {log}");
    assert!(log.matches("checkpoint of ").count() > 5 && !log.contains(" in -"), "{log}");
}

#[test]
fn fault_38_a_closed_pipe_and_a_rotated_log_do_not_stop_a_run() {
    let run = Run::new(JOB);
    let mut child = run.command(kadanoff()).spawn().unwrap();
    // Nobody reads what it says; and its log is moved away.
    drop(child.stderr.take());
    let log = run.directory.join("log.txt");
    let begun = Instant::now();
    while !log.exists() && begun.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::fs::rename(&log, run.directory.join("log.1")).unwrap();
    assert!(child.wait().unwrap().success(), "a closed pipe ended the run");
    assert!(outcome(&run.directory) == *undisturbed());
    assert!(std::fs::read_to_string(&log).unwrap().contains("done; results are in"));
    let again = Run::new(JOB);
    let line = format!(
        "'{}' run '{}' --out '{}' 2>&1 | head -n 1",
        env!("CARGO_BIN_EXE_kadanoff"),
        again.job.display(),
        again.directory.display()
    );
    succeed(Command::new("bash").args(["-o", "pipefail", "-c", &line]));
    assert!(outcome(&again.directory) == *undisturbed());
}
