//! `kadanoff estimate` against what runs then take: memory within 10 %, time within 30 % (the best of some attempts: other programs share the machine), bytes between ranks
//! against the arithmetic of the shards.
#![allow(clippy::unwrap_used)]

#[path = "support/runs.rs"]
mod runs;

use runs::{kadanoff, mpirun, write_job};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn estimate(job: &Path, further: &[&str]) -> Value {
    let output = runs::succeed(kadanoff().arg("estimate").arg(job).arg("--json").args(further));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The peak memory in bytes in what the kernel says of a process; 0 if it says nothing any more.
fn high_water_mark(status: &str) -> f64 {
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    kibibytes.unwrap_or(0.0) * 1024.0
}

/// Seconds and peak memory in bytes of a whole run.
fn measure(job: &Path, further: &[&str]) -> (f64, f64) {
    let directory = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let out = directory.path().join("run");
    let mut child = kadanoff().arg("run").arg(job).arg("--out").arg(out).args(further).stderr(Stdio::null()).spawn().unwrap();
    let mut peak = 0.0f64;
    let status = loop {
        // The kernel's own high-water mark, looked at until the end.
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        peak = peak.max(high_water_mark(&status));
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    assert!(status.success());
    (began.elapsed().as_secs_f64(), peak)
}

const SERIES: &str = "seed = 1\n[lattice]\nsizes = [4]\n[sample]\ncouplings = [0.4]\nalgorithm = \"metropolis\"\nreplicas = 4\nthermalization = 1\nsweeps = 600000\n[report]\nfigures = false\n";
/// Some seconds: to start and to end MPI takes half a second alone.
const NETWORK: &str = "seed = 1\n[lattice]\nsizes = [32]\n[sample]\ncouplings = [0.4, 0.42]\nreplicas = 4\nthermalization = 100\nsweeps = 8000\nmeasure_every = 10\nconfigurations = 3200\n\
    [train]\ncoupling = 0.4\nlayers = [512, 64]\nepochs = 60\nminibatch = 100\n[report]\nfigures = false\n";

/// Series of several sizes, their analysis, and figures, which are the largest part of its memory; some seconds again.
const SCALING: &str = "seed = 1\n[lattice]\nsizes = [8, 12, 16, 24]\n[sample]\nwindow = { center = \"critical\", width = 2.0, points = 5 }\nalgorithm = \"swendsen-wang\"\n\
    replicas = 8\nthermalization = 20000\nsweeps = 6000\n";

const LARGE: &str = "seed = 1\n[lattice]\nsizes = [32768]\n[sample]\ncouplings = [\"critical\"]\nalgorithm = \"metropolis\"\nstart = \"cold\"\nreplicas = 1\nthermalization = 0\nsweeps = 10\n[report]\nfigures = false\n";

/// 10^9 spins: 128 MiB of packed spins and a tenth more beside the program, as stated before the run.
#[test]
fn a_lattice_of_a_thousand_million_spins_takes_the_memory_stated() {
    let folder = tempfile::tempdir().unwrap();
    let job = write_job(folder.path(), LARGE);
    let stated = estimate(&job, &["--threads", "2"])["memory_of_rank_0"].as_f64().unwrap();
    let (seconds, bytes) = measure(&job, &["--threads", "2"]);
    println!("L = 32768, 10 sweeps: {:.1} MiB, stated {:.1} MiB, {seconds:.1} s", bytes / 1048576.0, stated / 1048576.0);
    assert!(bytes < 1.02 * stated && stated < 1.15 * bytes, "{bytes} bytes, stated were {stated}");
    assert!(bytes < 1.1 * 128.0 * 1048576.0 + 30.0 * 1048576.0, "{bytes} bytes");
}

/// Exit code of a command, and the peak memory in bytes of the largest process that had this directory in its command line.
fn watch(command: &mut Command, directory: &Path) -> (Option<i32>, f64) {
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let place = directory.display().to_string();
    let mut peak = 0.0f64;
    loop {
        for process in std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path()) {
            let read = |name: &str| std::fs::read_to_string(process.join(name)).unwrap_or_default();
            if read("cmdline").contains(&place) {
                peak = peak.max(high_water_mark(&read("status")));
            }
        }
        if let Some(status) = child.try_wait().unwrap() {
            return (status.code(), peak);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Two ranks with 128 MiB of spins each: into a checkpoint they go piece by piece, and out of it once more, on rank 0 no more than elsewhere. A second copy, or the lattice of the other rank, would be seen.
#[test]
fn a_checkpoint_needs_no_second_lattice_and_no_lattice_of_another_rank() {
    const LATTICE: f64 = 128.0 * 1048576.0;
    // The program, MPI, and pieces on their way.
    const BESIDE: f64 = 64.0 * 1048576.0;
    let folder = tempfile::tempdir().unwrap();
    let job = write_job(folder.path(), &LARGE.replace("replicas = 1", "replicas = 2").replace("sweeps = 10\n", "sweeps = 100000\n"));
    let out = folder.path().join("run");
    for (lattices, what) in [(1.1, "into"), (2.1, "out of")] {
        let mut command = if cfg!(feature = "mpi") { mpirun("2") } else { kadanoff() };
        command.arg("run").arg(&job).arg("--out").arg(&out).args(["--threads", "1", "--stop-after", "2s"]);
        let (code, peak) = watch(&mut command, &out);
        let state = std::fs::metadata(out.join("checkpoint/state")).unwrap().len();
        println!("{what} a checkpoint of {:.1} MiB: {:.1} MiB", state as f64 / 1048576.0, peak / 1048576.0);
        assert_eq!(code, Some(75));
        let ranks = if cfg!(feature = "mpi") { 2.0 } else { 1.0 };
        assert!(
            state as f64 > ranks * LATTICE && peak > LATTICE && peak < lattices * LATTICE + BESIDE,
            "{what} a checkpoint: {peak} bytes"
        );
    }
}

/// Jobs of half a minute or less that between them have every kind of stage.
const JOBS: [&str; 5] = ["quickstart", "monte-carlo-renormalization", "decimation", "persistent", "stacks"];

/// Memory always, on one thread and on two; time, and the jobs that are delivered, only with KADANOFF_LONG on a machine that has nothing else to do: no other test depends on the clock.
#[test]
fn time_and_memory_are_foretold() {
    let with_time = std::env::var_os("KADANOFF_LONG").is_some();
    let folder = tempfile::tempdir().unwrap();
    let delivered = |name: &str| std::fs::read_to_string(format!("{}/jobs/{name}.toml", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let small = [("series", SERIES), ("network", NETWORK), ("scaling", SCALING)];
    let small = small.into_iter().flat_map(|(name, text)| ["1", "2"].map(|threads| (name, text.to_string(), threads)));
    for (name, text, threads) in small.chain(JOBS.iter().filter(|_| with_time).map(|&name| (name, delivered(name), "1"))) {
        let (job, further) = (write_job(folder.path(), &text), ["--threads", threads]);
        let mut closest = f64::INFINITY;
        let mut seen = Vec::new();
        for _ in 0..5 {
            let (foretold, (seconds, bytes)) = (estimate(&job, &further), measure(&job, &further));
            let memory = foretold["memory_of_rank_0"].as_f64().unwrap() / bytes;
            assert!((0.9..1.1).contains(&memory), "{name}: {memory} times the {bytes} bytes that were used");
            let time = foretold["time"]["total"].as_f64().unwrap() / seconds;
            seen.push((time, seconds));
            closest = closest.min((time.ln()).abs());
            println!(
                "{name}, {threads} threads: {:.1} s foretold, {seconds:.1} s taken; {:.1} MiB taken, {memory:.3} times as many foretold",
                time * seconds,
                bytes / 1048576.0
            );
            if closest < 1.3f64.ln() || !with_time {
                break;
            }
        }
        assert!(!with_time || closest < 1.3f64.ln(), "{name}: times foretold over times taken, and these in seconds: {seen:?}");
    }
}

#[test]
fn ranks_receive_the_samples_and_the_weights_of_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let job = write_job(folder.path(), &NETWORK.replace("minibatch = 100", "minibatch = 100\nshards = 8"));
    let bytes = |ranks: &str| {
        let found = estimate(&job, &["--ranks", ranks, "--threads", "1"]);
        assert_eq!(found["communication"]["bytes_per_sweep"], 0);
        found["communication"]["bytes_per_minibatch"][0].as_u64().unwrap() as f64
    };
    assert_eq!(bytes("1"), 0.0);
    // Data and reconstruction of the samples of the other ranks, a bit a visible unit, and their probabilities of the hidden units of the panels of the rank, four bytes each; the new weights of all
    // other panels; the biases of the shards that the rank does not have.
    let (of_sample, of_panel, of_shard) = (2.0 * 1024.0 / 8.0, 4.0 * 1024.0 * 16.0, 4.0 * (1024.0 + 512.0));
    for (ranks, panels, samples, shards) in [("2", 16.0, 50.0, 4.0), ("4", 8.0, 75.0, 6.0), ("8", 4.0, 87.0, 7.0), ("256", 1.0, 87.0, 7.0)]
    {
        let of_hidden = 2.0 * 4.0 * 16.0 * panels;
        let ratio = bytes(ranks) / (samples * (of_sample + of_hidden) + (32.0 - panels) * of_panel + shards * of_shard);
        assert!((0.98..1.02).contains(&ratio), "{ranks} ranks: {ratio}");
    }
    // A job that goes on after a stop needs more.
    let found = estimate(&write_job(folder.path(), LARGE), &["--threads", "1"]);
    let [plain, stopped] = ["memory_of_rank_0", "memory_with_checkpoint"].map(|key| found[key].as_f64().unwrap());
    assert!((0.9..1.1).contains(&((stopped - plain) / (128.0 * 1048576.0))), "{stopped} and {plain} bytes");
    let job = write_job(folder.path(), &NETWORK.replace("minibatch = 100", "minibatch = 100\nshards = 8"));
    let words = runs::succeed(kadanoff().arg("estimate").arg(&job).args(["--ranks", "16", "--threads", "2"]));
    let words = String::from_utf8_lossy(&words.stderr).into_owned();
    for part in
        ["[train] momentum = 0.5", "Memory of every other rank", "16 ranks with 2 threads each", "bytes to each rank for a minibatch"]
    {
        assert!(words.contains(part), "{words}");
    }
}

#[test]
fn a_run_too_large_for_this_machine_is_still_foretold() {
    let folder = tempfile::tempdir().unwrap();
    let text = SERIES.replace("sizes = [4]", "sizes = [131072]").replace("sweeps = 600000", "sweeps = 1000000000000");
    let found = estimate(&write_job(folder.path(), &text), &["--threads", "1"]);
    assert!(found["memory_of_rank_0"].as_f64().unwrap() > 1e13, "{found}");
    assert!(found["time"]["sampling"].as_f64().unwrap() > 1e9, "{found}");
    assert_eq!(kadanoff().arg("estimate").arg(folder.path().join("absent.toml")).output().unwrap().status.code(), Some(2));
}
