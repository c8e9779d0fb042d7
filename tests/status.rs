//! `kadanoff status DIR` and `kadanoff check DIR` on the real binary: what they say of a run on its way, killed, stopped and done, and that every damage is found. 13, 31 and 32
//! are numbers of the table of faults (tests/README.md): flipped bit in results.h5, NaN among the weights, NaN in a checkpoint.
#![allow(clippy::unwrap_used)]

#[path = "support/runs.rs"]
mod runs;

use runs::{kadanoff, succeed, write_job};
use serde_json::Value;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// With 1500000 sweeps some ten seconds of sampling on two cores, so that it is met at work on machines far quicker than that; then a moment of training.
const JOB: &str = r#"
seed = 11

[lattice]
sizes = [32]

[sample]
couplings = [0.42, 0.44]
algorithm = "swendsen-wang"
replicas = 2
thermalization = 100
sweeps = SWEEPS
measure_every = 100
configurations = 100

[train]
coupling = 0.44
layers = [16, 4]
epochs = [200, 2000]
minibatch = 20
held_out = 20

[report]
figures = false
"#;

fn status(directory: &Path) -> Value {
    let output = succeed(kadanoff().arg("status").arg(directory).arg("--json"));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn check(directory: &Path) -> (Option<i32>, String) {
    let output = kadanoff().arg("check").arg(directory).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn status_follows_a_run_from_its_beginning_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("run");
    let job = write_job(folder.path(), &JOB.replace("SWEEPS", "1500000"));
    let run = || {
        let mut command = kadanoff();
        command.arg("run").arg(&job).arg("--out").arg(&directory).args(["--checkpoint-every", "200ms"]).stderr(Stdio::null());
        command
    };
    assert_eq!(kadanoff().arg("status").arg(folder.path()).output().unwrap().status.code(), Some(3), "no run directory");
    let mut child = run().spawn().unwrap();
    let begun = Instant::now();
    let running = loop {
        if directory.join("run.toml").exists() {
            let seen = status(&directory);
            if seen["now"]["per_second"].as_f64().is_some_and(|speed| speed > 0.0) && seen["checkpoint"].is_object() {
                break seen;
            }
        }
        assert!(child.try_wait().unwrap().is_none() && begun.elapsed() < Duration::from_secs(60), "never seen at work");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!((running["state"].as_str(), running["submissions"].as_u64()), (Some("running"), Some(1)), "{running}");
    assert!(running["owner"].as_str().unwrap().contains(&child.id().to_string()), "{running}");
    assert_eq!(running["stages"][0]["name"], "sampling");
    assert!(running["now"]["seconds_left"].as_f64().is_some_and(|left| left > 0.0 && left < 600.0), "{running}");
    let share = running["stages"][0]["progress"].as_f64().unwrap();
    assert!(share > 0.0 && share < 1.0, "{running}");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(status(&directory)["state"], "killed");
    assert_eq!(run().args(["--stop-after", "0s"]).status().unwrap().code(), Some(75));
    let stopped = status(&directory);
    assert_eq!((stopped["state"].as_str(), stopped["submissions"].as_u64()), (Some("stopped"), Some(2)), "{stopped}");
    // What was done before the kill counts: the share is that of the whole stage, not of the rest.
    assert!(stopped["stages"][0]["progress"].as_f64().unwrap() > 0.0, "{stopped}");
    let (code, words) = check(&directory);
    assert_eq!(code, Some(0), "{words}");
    assert!(words.contains("checkpoint/state (") && words.contains("chains"), "{words}");
    let before: Vec<_> = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    succeed(kadanoff().arg("status").arg(&directory));
    assert_eq!(
        before,
        std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>(),
        "nothing is left"
    );
    succeed(&mut run());
    let done = status(&directory);
    assert_eq!(done["state"], "done", "{done}");
    assert!(done["stages"].as_array().unwrap().iter().all(|stage| stage["done"] == true), "{done}");
    assert_eq!(done["stages"].as_array().unwrap().len(), 3, "{done}");
    let said = succeed(kadanoff().arg("status").arg(&directory));
    assert!(String::from_utf8_lossy(&said.stderr).contains("training layer 2 of 2"));
    std::fs::write(directory.join("lock"), "host elsewhere\nprocess 1\nslurm_job 7\n").unwrap();
    assert_eq!(status(&directory)["state"], "running", "heard of a moment ago, on another host");
    let log = std::fs::read_to_string(directory.join("log.txt")).unwrap();
    let old: String = log.lines().map(|line| format!("1000000000 {}\n", line.split_once(' ').unwrap().1)).collect();
    std::fs::write(directory.join("log.txt"), old).unwrap();
    std::fs::remove_file(directory.join("progress.json")).unwrap();
    assert_eq!(status(&directory)["state"], "silent");
}

#[test]
fn fault_13_31_32_check_finds_every_damage_and_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("run");
    let job = write_job(folder.path(), &JOB.replace("SWEEPS", "10000"));
    let mut child = kadanoff()
        .arg("run")
        .arg(&job)
        .arg("--out")
        .arg(&directory)
        .args(["--checkpoint-every", "5ms"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // In the middle of the training: all files and two generations are there.
    let state = directory.join("checkpoint/state");
    let begun = Instant::now();
    let in_second_layer = || {
        let log = std::fs::read_to_string(directory.join("log.txt")).unwrap_or_default();
        log.split_once("layer 1 trained").is_some_and(|(_, after)| after.matches("checkpoint of ").count() >= 2)
    };
    while !in_second_layer() {
        assert!(child.try_wait().unwrap().is_none() && begun.elapsed() < Duration::from_secs(60), "not met in the training");
        std::thread::sleep(Duration::from_micros(200));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let (code, words) = check(&directory);
    assert_eq!(code, Some(0), "{words}");
    assert_eq!(words.matches("good").count(), 8, "{words}");
    assert!(words.contains("layer 2 after"), "{words}");
    let damaged = |name: &str, damage: &dyn Fn(&Path), expected: &str| {
        let path = directory.join(name);
        let whole = std::fs::read(&path).unwrap();
        damage(&path);
        let (code, words) = check(&directory);
        std::fs::write(&path, whole).unwrap();
        assert_eq!(code, Some(3), "{name}: {words}");
        assert!(words.contains(&format!("DAMAGE  {name}")) && words.contains(expected), "{name}: {words}");
    };
    let flip = |place: fn(usize) -> usize| {
        move |path: &Path| {
            let mut bytes = std::fs::read(path).unwrap();
            let place = place(bytes.len());
            bytes[place] ^= 16;
            std::fs::write(path, bytes).unwrap();
        }
    };
    let middle = flip(|length| length / 2);
    let cut = |path: &Path| {
        let bytes = std::fs::read(path).unwrap();
        std::fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
    };
    for name in ["results.h5", "network.h5", "configurations.h5"] {
        damaged(name, &middle, "has changed since kadanoff wrote it");
        damaged(name, &cut, "is cut");
    }
    for name in ["checkpoint/state", "checkpoint/state.previous"] {
        damaged(name, &middle, "do not have the digest");
        damaged(name, &cut, "do not have the digest");
    }
    damaged("summary.json", &|path| std::fs::write(path, "{}").unwrap(), "kadanoff report");
    damaged(
        "network.h5",
        &|path| {
            let (origin, mut training) = kadanoff::store::read_network(path).unwrap();
            training.layers[0].weights[3] = f32::NAN;
            kadanoff::store::write_network(path, &origin, &training).unwrap();
        },
        "1 of the weights of layer 1 are not finite",
    );
    damaged(
        "configurations.h5",
        &|path| {
            let (origin, mut sets) = kadanoff::store::read_configurations(path).unwrap();
            sets[1].spins.row_mut(5)[0] ^= 1;
            kadanoff::store::write_configurations(path, &origin, &sets, &|| Ok(())).unwrap();
        },
        "another magnetization",
    );
    damaged(
        "results.h5",
        &|path| {
            let mut record = kadanoff::store::read_results(path).unwrap();
            record.sampling.as_mut().unwrap().ensembles[0].observables[0].estimate.mean = f64::NAN;
            kadanoff::store::write_results(path, &record).unwrap();
        },
        "energy_per_site is not a finite number",
    );
    // A state with a number that is not finite, under a digest that is right: refused by `check` and by the job itself.
    let poison = |path: &Path| {
        let whole = std::fs::read(path).unwrap();
        let mut content = whole[..whole.len() - 32].to_vec();
        // The parameters and last steps of 16 x 4 units follow their number.
        let count = (2 * (16 * 4 + 16 + 4) as u64).to_le_bytes();
        let place = content.windows(8).position(|bytes| bytes == count).unwrap() + 8;
        content[place..place + 4].copy_from_slice(&f32::NAN.to_le_bytes());
        let digest = *blake3::hash(&content).as_bytes();
        content.extend(digest);
        std::fs::write(path, content).unwrap();
    };
    damaged("checkpoint/state", &poison, "checkpoint of layer 2 holds numbers that are not finite");
    poison(&state);
    std::fs::remove_file(directory.join("checkpoint/state.previous")).unwrap();
    let output = kadanoff().arg("run").arg(&job).arg("--out").arg(&directory).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{words}");
    assert!(words.contains("not finite") && words.contains("remove the folder"), "{words}");
    assert_eq!(kadanoff().arg("check").arg(folder.path()).output().unwrap().status.code(), Some(3), "no run directory");
}
