//! A run that is stopped or killed, again and again, on other threads, ranks and instruction sets, ends with the bits of an undisturbed one; and damaged checkpoints are never
//! used. The numbers in the names are those of the table of faults that the design promises to survive: 1 killed while writing, 3 one rank killed, 6 SIGTERM, 7 a
//! second SIGTERM, 8 SIGUSR1, 9 end of the SLURM job, 10 stop file, 11 cut checkpoint, 12 flipped bit, 14 both generations bad, 15 disk full, 19 directory vanished,
//! 20 foreign lock, 28 other ranks, 29 other threads and instruction sets, 36 no regular file.
#![allow(clippy::unwrap_used)]

#[path = "support/runs.rs"]
mod runs;

use kadanoff::record::RunRecord;
use runs::{kadanoff, mpirun, outcome, succeed, write_job};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// About a second of sampling and a second of training.
const JOB: &str = r#"
seed = 11

[lattice]
sizes = [16, 24]

[sample]
couplings = [0.42, 0.44]
algorithm = "swendsen-wang"
replicas = 4
thermalization = 500
sweeps = 8000
measure_every = 4
configurations = 1500

[train]
size = 16
coupling = 0.44
layers = [64, 16]
epochs = [30, 10]
minibatch = 20
momentum = 0.5
held_out = 100

[report]
figures = false
"#;
/// Three groups of ladders of replicas that exchange, on as many ranks, and persistent chains behind them.
const TEMPERED: &str = r#"
seed = 12

[lattice]
sizes = [16]

[sample]
couplings = [0.41, 0.42, 0.43, 0.44]
algorithm = "metropolis"
tempering = true
exchange_every = 2
replicas = 1030
thermalization = 500
sweeps = 12000
measure_every = 60
configurations = 1500

[train]
coupling = 0.44
layers = [64, 16]
epochs = [20, 10]
minibatch = 25
method = "pcd"
held_out = 100

[report]
figures = false
"#;
/// Rounds and checkpoints so often that there is always one on the way.
const OFTEN: [&str; 2] = ["--checkpoint-every", "15ms"];
const PATIENCE: Duration = Duration::from_secs(60);

fn rounds(short: usize, long: usize) -> usize {
    if std::env::var("KADANOFF_LONG").is_ok_and(|value| value == "1") { long } else { short }
}

/// What the undisturbed run leaves.
fn undisturbed() -> &'static (RunRecord, Vec<u8>) {
    static OUTCOME: OnceLock<(RunRecord, Vec<u8>)> = OnceLock::new();
    OUTCOME.get_or_init(|| {
        let run = Run::new(JOB);
        succeed(&mut run.command(kadanoff()));
        assert!(!run.directory.join("checkpoint").exists(), "a run that is done needs no checkpoint");
        run.outcome()
    })
}

/// A run directory of its own.
struct Run {
    _folder: tempfile::TempDir,
    job: PathBuf,
    directory: PathBuf,
}

impl Run {
    fn new(job: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Run { job: write_job(folder.path(), job), directory: folder.path().join("run"), _folder: folder }
    }

    fn command(&self, mut program: Command) -> Command {
        program.arg("run").arg(&self.job).arg("--out").arg(&self.directory);
        program.env("OMPI_MCA_pml", "ob1").env("OMPI_MCA_btl", "self,vader").env_remove("SLURM_JOB_END_TIME");
        program.stdout(Stdio::null()).stderr(Stdio::piped());
        program
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("log.txt")).unwrap_or_default()
    }

    fn checkpoints(&self) -> usize {
        self.log().matches("checkpoint of ").count()
    }

    fn state(&self) -> PathBuf {
        self.directory.join("checkpoint/state")
    }

    fn outcome(&self) -> (RunRecord, Vec<u8>) {
        outcome(&self.directory)
    }

    /// Starts the run and waits until it has written `further` checkpoints, the last of them after the line `after`.
    fn start_until(&self, command: &mut Command, further: usize, after: &str) -> Child {
        let before = self.checkpoints();
        let mut child = command.spawn().unwrap();
        let begun = Instant::now();
        loop {
            let log = self.log();
            let reached = log.find(after).is_some_and(|place| log[place..].contains("checkpoint of "));
            if reached && self.checkpoints() >= before + further {
                return child;
            }
            if let Some(status) = child.try_wait().unwrap() {
                panic!("ended too early with {status}: {}\n{log}", words(&child.wait_with_output().unwrap()));
            }
            assert!(begun.elapsed() < PATIENCE, "no checkpoint: {log}");
            std::thread::sleep(Duration::from_millis(3));
        }
    }

    /// Stops a running job: exit code 75 and a sentence.
    fn expect_stop(&self, child: Child, reason: &str) {
        let begun = Instant::now();
        let output = child.wait_with_output().unwrap();
        let said = words(&output);
        assert_eq!(output.status.code(), Some(75), "{reason}: {said}");
        assert!(begun.elapsed() < Duration::from_secs(30), "{reason} took {:?}", begun.elapsed());
        assert!(said.contains(reason) && said.contains("the same command goes on"), "{reason}: {said}");
        assert_eq!(said.matches("stopped because").count(), 1, "{said}");
        // A stop that falls on the end of a stage, or of a layer, finds all work in the files of the run.
        let strays = std::fs::read_dir(self.directory.join("checkpoint")).map_or(0, Iterator::count);
        assert!(self.state().is_file() || (said.contains("all work done is in") && strays == 0), "{reason}: {said}");
        assert!(strays <= 2, "two generations, no strays");
    }
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn signal(process: u32, name: &str) {
    // The process may have ended by itself.
    let _ = Command::new("kill").args([&format!("-{name}"), &process.to_string()]).stderr(Stdio::null()).status().unwrap();
}

/// Waits until something is so; whether it came to be.
fn wait_for(patience: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while !is_so() {
        if begun.elapsed() > patience {
            return false;
        }
        std::thread::sleep(Duration::from_millis(3));
    }
    true
}

/// Whether a process runs: not when it has ended and only its parent does not know yet.
fn is_alive(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    status.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X']))
}

/// The ranks below a launcher, once there are any.
fn ranks_of(launcher: u32) -> Vec<u32> {
    let children = || std::fs::read_to_string(format!("/proc/{launcher}/task/{launcher}/children")).unwrap_or_default();
    wait_for(Duration::from_secs(10), || !children().trim().is_empty() || !is_alive(launcher));
    children().split_whitespace().filter_map(|number| number.parse().ok()).collect()
}

#[test]
fn fault_06_08_09_10_every_way_to_stop_ends_with_75_and_the_same_result() {
    let run = Run::new(JOB);
    let program = |threads: &str| {
        let mut command = run.command(kadanoff());
        command.args(OFTEN).args(["--threads", threads]);
        command
    };
    let in_five_seconds = (SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 5).to_string();
    run.expect_stop(program("2").env("SLURM_JOB_END_TIME", in_five_seconds).spawn().unwrap(), "the end of the SLURM job");
    run.expect_stop(program("1").args(["--stop-after", "60ms"]).spawn().unwrap(), "--stop-after");
    for (name, reason) in [("TERM", "SIGTERM"), ("USR1", "SIGUSR1"), ("INT", "SIGINT")] {
        let child = run.start_until(&mut program("2"), 2, "");
        signal(child.id(), name);
        run.expect_stop(child, reason);
    }
    let child = run.start_until(&mut program("1"), 2, "");
    std::fs::write(run.directory.join("stop"), "").unwrap();
    run.expect_stop(child, "`stop`");
    assert!(!run.directory.join("stop").exists());
    for (name, reason) in [("TERM", "SIGTERM"), ("USR1", "SIGUSR1")] {
        let child = run.start_until(&mut program("2"), 2, "sampling done");
        signal(child.id(), name);
        run.expect_stop(child, reason);
    }
    // A stop file for a job that had ended already stops nobody.
    std::fs::write(run.directory.join("stop"), "").unwrap();
    let output = succeed(&mut run.command(kadanoff()));
    assert!(words(&output).contains("going on from the checkpoint"), "{}", words(&output));
    assert!(run.outcome() == *undisturbed(), "stops changed the result");
    assert!(!run.directory.join("checkpoint").exists() && !run.directory.join("stop").exists());
    let submissions = kadanoff::store::read_run(&run.directory).unwrap().provenance.submissions;
    assert_eq!(submissions.len(), 9, "every submission is recorded");
}

#[test]
fn fault_07_a_second_sigterm_ends_the_job_at_once_and_the_last_checkpoint_stands() {
    // Sweeps of this lattice take a good part of a second, so that the second signal comes before the first is answered.
    let job = "seed = 1\n[lattice]\nsizes = [12288]\n[sample]\ncouplings = [0.44]\nreplicas = 1\nthermalization = 0\nsweeps = 10000\n";
    let run = Run::new(job);
    let mut command = run.command(kadanoff());
    command.args(OFTEN).env("KADANOFF_INSTRUCTION_SET", "portable");
    let child = run.start_until(&mut command, 1, "");
    let before = std::fs::read(run.state()).unwrap();
    signal(child.id(), "TERM");
    // What comes sooner is an echo of the first: SLURM sends SIGTERM by two ways at its time limit.
    std::thread::sleep(Duration::from_millis(5));
    signal(child.id(), "TERM");
    std::thread::sleep(Duration::from_millis(300));
    signal(child.id(), "TERM");
    let begun = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(128 + 15), "{}", words(&output));
    assert!(begun.elapsed() < Duration::from_secs(1));
    let newest = std::fs::read(run.state()).unwrap();
    assert!(newest == before || std::fs::read(run.directory.join("checkpoint/state.previous")).unwrap() == before);
    run.expect_stop(run.command(kadanoff()).args(["--stop-after", "0s"]).spawn().unwrap(), "--stop-after");
}

#[test]
fn fault_01_03_28_29_killed_at_random_on_changing_threads_ranks_and_instruction_sets() {
    let kills = rounds(8, 100);
    // A longer run, so that all of a hundred kills meet it.
    let job = if kills > 20 { JOB.replace("sweeps = 8000", "sweeps = 96000").replace("[30, 10]", "[500, 200]") } else { JOB.to_string() };
    killed_at_random(&job, kills);
}

#[test]
fn fault_01_03_28_29_tempering_killed_at_random_on_changing_threads_ranks_and_instruction_sets() {
    let kills = rounds(6, 100);
    let job = if kills > 20 {
        TEMPERED.replace("sweeps = 12000", "sweeps = 72000").replace("[20, 10]", "[140, 70]")
    } else {
        TEMPERED.to_string()
    };
    killed_at_random(&job, kills);
}

/// Kills the run so many times, then lets it end, and compares.
fn killed_at_random(job: &str, kills: usize) {
    let run = Run::new(job);
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut inside = 0;
    for kill in 0..kills {
        // One, two, three, four ranks, in turn.
        let launched = cfg!(feature = "mpi") && kill % 4 > 0;
        let mut command = if launched { mpirun(&(kill % 4 + 1).to_string()) } else { kadanoff() };
        command.env("RAYON_NUM_THREADS", ["1", "2"][kill / 2 % 2]);
        if kill % 3 == 2 {
            command.env("KADANOFF_INSTRUCTION_SET", "portable");
        }
        let mut command = run.command(command);
        let mut child = command.args(OFTEN).spawn().unwrap();
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (delay, checkpoints) = (Duration::from_millis((random >> 33) % 250), run.checkpoints());
        if random >> 60 & 1 == 1 {
            // At work, after a checkpoint of this job; otherwise anywhere, the start included.
            wait_for(PATIENCE, || run.checkpoints() > checkpoints || child.try_wait().unwrap().is_some());
        }
        std::thread::sleep(delay);
        let ranks = if launched { ranks_of(child.id()) } else { vec![child.id()] };
        if child.try_wait().unwrap().is_none() && !ranks.is_empty() {
            inside += 1;
            signal(ranks[kill / 4 % ranks.len()], "KILL");
        }
        assert!(wait_for(PATIENCE, || !ranks.iter().any(|&rank| is_alive(rank))), "one killed rank ends all");
        // Open MPI's launcher can lock itself up when a rank dies while it starts; all that matters here is that its ranks are gone.
        if !wait_for(Duration::from_secs(10), || child.try_wait().unwrap().is_some()) {
            assert!(launched);
            signal(child.id(), "KILL");
        }
        let output = child.wait_with_output().unwrap();
        let ended = output.status.success()
            || output.status.signal() == Some(9)
            || output.status.code().is_some_and(|code| code > 128 || code == 1);
        assert!(ended, "{}: {}", output.status, words(&output));
        assert!(!words(&output).contains("warning") || words(&output).contains("missing"), "{}", words(&output));
    }
    println!("{inside} of {kills} kills met a running job");
    assert!(inside > kills / 4, "{inside} of {kills} kills met a running job");
    succeed(&mut run.command(kadanoff()));
    let whole = Run::new(job);
    succeed(&mut whole.command(kadanoff()));
    assert!(run.outcome() == whole.outcome(), "{inside} kills changed the result");
}

#[test]
fn fault_06_sigterm_to_one_rank_stops_all_ranks() {
    if !cfg!(feature = "mpi") {
        return;
    }
    let run = Run::new(JOB);
    for (after, rank) in [("", 2), ("sampling done", 1)] {
        let mut command = run.command(mpirun("3"));
        let child = run.start_until(command.args(OFTEN).env("RAYON_NUM_THREADS", "1"), 2, after);
        signal(ranks_of(child.id())[rank], "TERM");
        run.expect_stop(child, "SIGTERM");
    }
    let mut command = run.command(mpirun("2"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", words(&output));
    assert!(run.outcome() == *undisturbed(), "two stops on three ranks changed the result");
}

/// A run that was stopped in a stage, with two generations of checkpoints.
fn stopped(after: &str) -> Run {
    // A stop near the end of a stage, or of a layer, may find fewer than two.
    for _ in 0..5 {
        let run = Run::new(JOB);
        let child = run.start_until(run.command(kadanoff()).args(OFTEN), 3, after);
        signal(child.id(), "TERM");
        run.expect_stop(child, "SIGTERM");
        if run.directory.join("checkpoint/state.previous").is_file() {
            return run;
        }
    }
    panic!("five stops in a row fell on the end of a stage");
}

#[test]
fn fault_11_12_14_36_damaged_checkpoints_are_never_used() {
    for (stage, after) in ["", "sampling done"].into_iter().enumerate() {
        let run = stopped(after);
        let previous = run.directory.join("checkpoint/state.previous");
        let (whole, older) = (std::fs::read(run.state()).unwrap(), std::fs::read(&previous).unwrap());
        let length = whole.len();
        let cuts = [0, 1, length / 4, length / 2, length * 99 / 100, length - 1].map(|length| whole[..length].to_vec());
        // Every byte and every length is tried in the test of `store::checkpoint`; here, that a run then does the right thing.
        let mut detected = 0;
        let flips = (0..rounds(2, 200)).map(|flip| {
            let mut flipped = whole.clone();
            let place = (flip * 2_654_435_761) % length;
            flipped[place] ^= 1 << (flip % 8);
            flipped
        });
        for damaged in cuts.into_iter().chain(flips) {
            std::fs::write(run.state(), damaged).unwrap();
            std::fs::write(&previous, &older).unwrap();
            let output = run.command(kadanoff()).args(["--stop-after", "0s"]).output().unwrap();
            assert_eq!(output.status.code(), Some(75), "{}", words(&output));
            assert!(words(&output).contains("warning") && words(&output).contains("state.previous"), "{}", words(&output));
            assert!(std::fs::read(&previous).unwrap() == older, "the intact generation is kept beside the new one");
            detected += 1;
        }
        println!("{detected} damaged checkpoints of stage {} were detected, none was used", stage + 1);
        // Both bad: refused, and nothing touched.
        std::fs::write(run.state(), &whole[1..]).unwrap();
        if stage == 0 {
            std::fs::write(&previous, b"").unwrap();
        } else {
            std::fs::remove_file(&previous).unwrap();
            std::fs::remove_file(run.state()).unwrap();
            assert!(Command::new("mkfifo").arg(run.state()).status().unwrap().success());
        }
        let output = run.command(kadanoff()).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{}", words(&output));
        assert!(words(&output).contains("remove the folder"), "{}", words(&output));
        assert!(stage == 1 || std::fs::read(run.state()).unwrap() == whole[1..]);
        // The older one alone is as good.
        std::fs::remove_file(run.state()).unwrap();
        std::fs::write(&previous, &older).unwrap();
        succeed(&mut run.command(kadanoff()));
        assert!(run.outcome() == *undisturbed(), "a damaged checkpoint left its trace");
    }
}

#[test]
fn fault_15_a_disk_that_fills_costs_warnings_then_exit_4_and_nothing_else() {
    let run = Run::new(JOB);
    let child = run.start_until(run.command(kadanoff()).args(OFTEN), 2, "");
    // Files end at 256 KiB from here on: the series of this run grow beyond that.
    let limited = Command::new("prlimit").args(["--fsize=262144", "--pid", &child.id().to_string()]).status().unwrap();
    assert!(limited.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", words(&output));
    assert_eq!(words(&output).matches("going on").count(), 2, "{}", words(&output));
    assert!(words(&output).contains("3 failed checkpoints") && words(&output).contains("File too large"), "{}", words(&output));
    assert!(run.state().is_file() && run.state().metadata().unwrap().len() > 10_000);
    assert!(std::fs::read_dir(run.directory.join("checkpoint")).unwrap().count() <= 2, "no stray files");
    let output = succeed(&mut run.command(kadanoff()));
    assert!(words(&output).contains("going on from the checkpoint"), "{}", words(&output));
    assert!(run.outcome() == *undisturbed(), "failed checkpoints changed the result");
}

#[test]
fn fault_19_20_a_vanished_directory_and_a_foreign_lock() {
    let run = Run::new(JOB);
    let child = run.start_until(run.command(kadanoff()).args(OFTEN), 1, "");
    // A checkpoint may be written into the folder while it is being removed.
    while std::fs::remove_dir_all(&run.directory).is_err() {}
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", words(&output));
    assert!(words(&output).contains("checkpoint"), "{}", words(&output));
    std::fs::create_dir(&run.directory).unwrap();
    std::fs::write(run.directory.join("lock"), "host elsewhere\nprocess 1\nslurm_job 7\n").unwrap();
    let output = run.command(kadanoff()).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", words(&output));
    assert!(words(&output).contains("elsewhere") && words(&output).contains("--force-lock"), "{}", words(&output));
    let output = run.command(kadanoff()).args(["--force-lock", "--stop-after", "0s"]).output().unwrap();
    assert_eq!(output.status.code(), Some(75), "{}", words(&output));
}

/// The options are checked before anything is computed.
#[test]
fn spans_of_time_that_are_none_are_refused() {
    for text in ["55", "soon", "-1s"] {
        let run = Run::new(JOB);
        let output = run.command(kadanoff()).arg(format!("--stop-after={text}")).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", words(&output));
        assert!(words(&output).contains("55m") && !Path::exists(&run.directory), "{}", words(&output));
    }
}
