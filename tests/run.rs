//! The program as a user meets it: whole runs of the real binary, equal bits on any machine, refusals that lose nothing.

#![allow(clippy::unwrap_used)]

#[path = "support/runs.rs"]
mod runs;

use runs::{kadanoff, mpirun, outcome, succeed, write_job};
use std::process::Command;

const JOB: &str = r#"
seed = 5

[lattice]
sizes = [8]

[sample]
couplings = [0.3, 0.44]
algorithm = "ALGORITHM"
replicas = 3
thermalization = 20
sweeps = 60
configurations = 75

[train]
coupling = 0.44
layers = [16, 4]
epochs = 3
minibatch = 10
momentum = 0.5
l1 = 1e-3
held_out = 15

[renormalize]
"#;

#[test]
fn threads_instruction_sets_and_ranks_do_not_change_a_bit() {
    for algorithm in ["metropolis", "swendsen-wang", "wolff"] {
        let folder = tempfile::tempdir().unwrap();
        let job = write_job(folder.path(), &JOB.replace("ALGORITHM", algorithm));
        let run = |name: &str, command: &mut Command| {
            let directory = folder.path().join(name);
            succeed(command.arg("run").arg(&job).arg("--out").arg(&directory));
            outcome(&directory)
        };
        let one = run("one", kadanoff().env("RAYON_NUM_THREADS", "1"));
        assert!(one.0.training.as_ref().unwrap().layers[0].weights.iter().any(|&weight| weight.abs() > 0.01), "something was learned");
        let two = run("two", kadanoff().env("RAYON_NUM_THREADS", "2"));
        assert!(one == two, "{algorithm}: two threads changed the result");
        let portable = run("portable", kadanoff().env("KADANOFF_INSTRUCTION_SET", "portable"));
        assert!(one == portable, "{algorithm}: the portable kernels changed the result");
        if cfg!(feature = "mpi") {
            for ranks in ["2", "4"] {
                let many = run(ranks, mpirun(ranks).env("RAYON_NUM_THREADS", "1"));
                assert!(one == many, "{algorithm}: {ranks} ranks changed the result");
            }
        }
    }
}

#[test]
fn fault_30_more_ranks_than_work_give_the_same_result() {
    if !cfg!(feature = "mpi") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let text = JOB
        .replace("ALGORITHM", "wolff")
        .replace("couplings = [0.3, 0.44]", "couplings = [0.44]")
        .replace("replicas = 3", "replicas = 1")
        .replace("sweeps = 60", "sweeps = 80");
    let job = write_job(folder.path(), &text);
    let (one, many) = (folder.path().join("one"), folder.path().join("many"));
    succeed(kadanoff().arg("run").arg(&job).arg("--out").arg(&one));
    succeed(mpirun("6").arg("run").arg(&job).arg("--out").arg(&many));
    assert!(outcome(&one) == outcome(&many));
    // Many more than anything could keep busy: for them the table of faults asks for 64.
    let crowd = folder.path().join("crowd");
    let ranks = if std::env::var("KADANOFF_LONG").is_ok_and(|value| value == "1") { "64" } else { "12" };
    succeed(mpirun(ranks).env("RAYON_NUM_THREADS", "1").arg("run").arg(&job).arg("--out").arg(&crowd));
    assert!(outcome(&one) == outcome(&crowd));
}

#[test]
fn a_mistake_on_many_ranks_is_one_sentence_and_one_exit_code() {
    if !cfg!(feature = "mpi") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let job = write_job(folder.path(), &JOB.replace("ALGORITHM", "metropolis").replace("epochs", "epoks"));
    let output = mpirun("3").arg("run").arg(&job).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{words}");
    assert_eq!(words.matches("epoks").count(), 1, "{words}");
}

#[test]
fn the_same_command_again_finds_everything_done() {
    let folder = tempfile::tempdir().unwrap();
    let job = write_job(folder.path(), &JOB.replace("ALGORITHM", "swendsen-wang"));
    let directory = folder.path().join("run");
    succeed(kadanoff().arg("run").arg(&job).arg("--out").arg(&directory));
    let before = outcome(&directory);
    let weights = std::fs::read(directory.join("network.h5")).unwrap();
    let again = succeed(kadanoff().arg("run").arg(&job).arg("--out").arg(&directory));
    assert!(String::from_utf8_lossy(&again.stderr).contains("already"), "{}", String::from_utf8_lossy(&again.stderr));
    assert!(before == outcome(&directory));
    assert!(weights == std::fs::read(directory.join("network.h5")).unwrap());
    for file in ["run.toml", "results.h5", "configurations.h5", "network.h5", "summary.json", "report.html", "log.txt"] {
        assert!(directory.join(file).is_file(), "{file}");
    }
    std::fs::remove_file(directory.join("report.html")).unwrap();
    succeed(kadanoff().arg("report").arg(&directory));
    assert!(std::fs::read_to_string(directory.join("report.html")).unwrap().contains("<svg"));
}

#[test]
fn a_directory_of_another_run_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let job = write_job(folder.path(), &JOB.replace("ALGORITHM", "wolff"));
    let directory = folder.path().join("run");
    succeed(kadanoff().arg("run").arg(&job).arg("--out").arg(&directory));
    let before: Vec<Vec<u8>> = ["run.toml", "results.h5", "network.h5"].map(|file| std::fs::read(directory.join(file)).unwrap()).to_vec();
    let other = write_job(folder.path(), &JOB.replace("ALGORITHM", "wolff").replace("seed = 5", "seed = 6"));
    let output = kadanoff().arg("run").arg(&other).arg("--out").arg(&directory).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{words}");
    assert!(words.contains("seed") && words.contains('5') && words.contains('6'), "{words}");
    let after: Vec<Vec<u8>> = ["run.toml", "results.h5", "network.h5"].map(|file| std::fs::read(directory.join(file)).unwrap()).to_vec();
    assert!(before == after);
}

#[test]
fn a_training_that_diverges_stops_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let job =
        write_job(folder.path(), &JOB.replace("ALGORITHM", "wolff").replace("momentum = 0.5", "momentum = 0.5\nlearning_rate = 1e30"));
    let output = kadanoff().arg("run").arg(&job).arg("--out").arg(folder.path().join("run")).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(5), "{words}");
    assert!(words.contains("layer 1") && words.contains("learning_rate"), "{words}");
    assert!(!folder.path().join("run/network.h5").exists());
}

#[test]
fn bad_commands_are_refused_with_exit_code_two() {
    for arguments in [
        &["run", "no-such-file.toml"][..],
        &["run"],
        &["template", "no-such-template"],
        &["bench", "no-such-benchmark"],
        &["exact", "--geometry", "square", "--size", "8", "--coupling", "nan"],
        &["exact", "--geometry", "square", "--size", "8", "--coupling", "-1"],
        &["exact", "--geometry", "square", "--size", "0", "--coupling", "0.4"],
        &["exact", "--geometry", "square", "--size", "1099511627776", "--coupling", "0.4"],
        &["frobnicate"],
    ] {
        let output = kadanoff().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(!output.stderr.is_empty(), "{arguments:?} says nothing");
    }
    let output = kadanoff().args(["exact", "--size", "8", "--coupling", "0.4"]).env("KADANOFF_INSTRUCTION_SET", "mmx").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn exact_values_come_as_one_json_object() {
    let output = succeed(kadanoff().args(["exact", "--geometry", "square", "--size", "40", "--coupling", "0.408", "--json"]));
    let object: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let close = |key: &str, value: f64| assert!((object[key].as_f64().unwrap() - value).abs() < 1e-12 * value.abs(), "{key}: {object}");
    close("log_partition_function_per_site", 0.888395358418808);
    assert!((object["energy_per_site"].as_f64().unwrap() + 1.1518211507677).abs() < 1e-12);
    assert!((object["specific_heat_per_site"].as_f64().unwrap() - 0.99467047467741).abs() < 1e-11);
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let output =
        Command::new("sh").arg("-c").arg(format!("{} template mehta-schwab | head -n 1", env!("CARGO_BIN_EXE_kadanoff"))).output().unwrap();
    assert!(output.status.success() && !String::from_utf8_lossy(&output.stderr).contains("panicked"));
}

/// A name that is no text is refused like one that is none of the instruction sets.
#[test]
fn an_instruction_set_that_is_no_text_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    let name = std::ffi::OsStr::from_bytes(b"avx\xff2");
    let output = kadanoff().args(["exact", "--size", "8", "--coupling", "0.4"]).env("KADANOFF_INSTRUCTION_SET", name).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("names no instruction set of this processor"));
}
