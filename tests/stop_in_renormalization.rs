//! The last stage stops as the others do: in the midst of annealing and of the machine's chains, on any number of ranks, for every reason, and goes on from there with the same bits.
#![allow(clippy::unwrap_used)]

#[path = "support/runs.rs"]
mod runs;

use runs::{kadanoff, mpirun, outcome, succeed, write_job};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A short training, and several seconds of annealing and chains behind it, which go on from where they were; the other parts would be done again.
const JOB: &str = r#"
seed = 5

[lattice]
sizes = [8, 16]

[sample]
couplings = [0.42, 0.44]
replicas = 2
thermalization = 100
sweeps = 2000
measure_every = 10
configurations = 200

[train]
size = 8
coupling = 0.44
layers = [64, 16]
epochs = 2
minibatch = 20

[renormalize]
standards = false
mapping = false
receptive_fields = false
reconstructions = false
block_spins = false
side_by_side = false
monte_carlo = true
monte_carlo_levels = 1
annealing_temperatures = 60000
sampling_sweeps = 8000

[report]
figures = false
"#;

struct Run {
    _folder: tempfile::TempDir,
    job: PathBuf,
    directory: PathBuf,
}

impl Run {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Run { job: write_job(folder.path(), JOB), directory: folder.path().join("run"), _folder: folder }
    }

    fn command(&self, mut program: Command) -> Command {
        program.arg("run").arg(&self.job).arg("--out").arg(&self.directory).env_remove("SLURM_JOB_END_TIME");
        program.stdout(Stdio::null()).stderr(Stdio::piped());
        program
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("log.txt")).unwrap_or_default()
    }

    /// Starts a job and waits until it has written `count` checkpoints of the last stage.
    fn start(&self, mut program: Command, count: usize) -> Child {
        let before = self.log().len();
        let mut child = program.args(["--checkpoint-every", "150ms"]).spawn().unwrap();
        let begun = Instant::now();
        let written = || {
            let log = self.log();
            let last = log[before..].rfind("layer 2 trained").map_or(before, |place| before + place);
            if log.contains("layer 2 trained") && log.len() > last { log[last..].matches("checkpoint of ").count() } else { 0 }
        };
        while written() < count {
            assert!(child.try_wait().unwrap().is_none(), "ended too early: {}", self.log());
            assert!(begun.elapsed() < Duration::from_secs(60), "{}", self.log());
            std::thread::sleep(Duration::from_millis(3));
        }
        child
    }

    fn expect_stop(&self, child: Child, reason: &str) {
        let begun = Instant::now();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(75), "{reason}: {said}");
        assert!(begun.elapsed() < Duration::from_secs(30), "{reason} took {:?}", begun.elapsed());
        assert!(said.contains(reason) && said.contains("a checkpoint of"), "{reason}: {said}");
        let checked = kadanoff().arg("check").arg(&self.directory).output().unwrap();
        let words = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert!(checked.status.success() && words.contains("of the renormalization done"), "{words}");
    }
}

fn signal(process: u32, name: &str) {
    assert!(Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status().unwrap().success());
}

/// The work of the last stage that was done when the last job began or later, as `status` says.
fn progress(directory: &Path) -> f64 {
    let output = succeed(kadanoff().arg("status").arg(directory).arg("--json"));
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let stages = status["stages"].as_array().unwrap();
    stages.iter().find(|stage| stage["name"] == "renormalization").unwrap()["progress"].as_f64().unwrap()
}

#[test]
fn every_way_to_stop_the_last_stage_ends_with_75_and_the_same_bits() {
    let whole = Run::new();
    succeed(&mut whole.command(kadanoff()));
    assert!(!whole.directory.join("checkpoint").exists());
    let run = Run::new();
    let single = |threads: &str| {
        let mut command = run.command(kadanoff());
        command.args(["--threads", threads]);
        command
    };
    let mut shares = Vec::new();
    for (name, reason) in [("TERM", "SIGTERM"), ("USR1", "SIGUSR1")] {
        let child = run.start(single("2"), 2);
        signal(child.id(), name);
        run.expect_stop(child, reason);
        shares.push(progress(&run.directory));
    }
    let child = run.start(single("1"), 2);
    std::fs::write(run.directory.join("stop"), "").unwrap();
    run.expect_stop(child, "`stop`");
    shares.push(progress(&run.directory));
    run.expect_stop(single("1").args(["--stop-after", "300ms"]).spawn().unwrap(), "--stop-after");
    shares.push(progress(&run.directory));
    if cfg!(feature = "mpi") {
        // A signal to a rank that only waits.
        let child = run.start(run.command(mpirun("3")), 2);
        let ranks = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id())).unwrap();
        signal(ranks.split_whitespace().nth(2).unwrap().parse().unwrap(), "USR1");
        run.expect_stop(child, "SIGUSR1");
        shares.push(progress(&run.directory));
    }
    // A kill loses what was done since the last checkpoint, and no more.
    let mut child = run.start(single("2"), 2);
    signal(child.id(), "KILL");
    assert!(!child.wait().unwrap().success());
    assert!(shares.windows(2).all(|pair| pair[0] < pair[1]) && shares[shares.len() - 1] < 1.0, "{shares:?}");
    succeed(&mut single("2"));
    assert!(outcome(&run.directory) == outcome(&whole.directory), "stops changed the result");
    assert!(!run.directory.join("checkpoint").exists() && !run.directory.join("stop").exists());
}
