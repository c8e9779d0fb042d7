//! What a run directory may have become, and signals at the wrong moment: a sentence and an exit code, never a wait without end.
#![allow(clippy::unwrap_used)]

#[path = "support/runs.rs"]
mod runs;

use runs::{kadanoff, succeed, write_job};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const JOB: &str = "seed = 3\n[lattice]\nsizes = [4]\n[sample]\ncouplings = [0.4]\nthermalization = 10\nsweeps = 200\nconfigurations = 40\n\
    [train]\nlayers = [4]\nepochs = 2\nminibatch = 10\n[report]\nfigures = false\n";

/// Exit code and what was said. A program that waits without end is ended after a minute.
fn said(command: &mut Command) -> (i32, String) {
    let output = Command::new("timeout").arg("60").arg(command.get_program()).args(command.get_args()).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn run(job: &Path, directory: &Path) -> Command {
    let mut command = kadanoff();
    command.arg("run").arg(job).arg("--out").arg(directory);
    command
}

fn pipe(path: &Path) {
    let _ = std::fs::remove_file(path);
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn what_is_missing_or_damaged_is_said_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let (job, directory) = (write_job(folder.path(), JOB), folder.path().join("run"));
    let of = |command: &str, path: &Path| said(kadanoff().arg(command).arg(path));
    let (code, words) = of("report", folder.path());
    assert!(code == 3 && words.contains("is not the directory of a run"), "{code}: {words}");
    succeed(&mut run(&job, &directory));
    succeed(kadanoff().arg("check").arg(&directory));

    // Links are no numbers, but they are missed, and made again.
    let links = std::fs::read(directory.join("all.h5")).unwrap();
    let words = String::from_utf8_lossy(&links);
    assert!(words.contains("\"/submissions/") && !words.contains("\"/results/"), "the seal is of its own datasets");
    let mut changed = links.clone();
    changed[links.len() / 2] ^= 1;
    for damaged in [&[][..], &links[..links.len() - 1], &changed] {
        std::fs::write(directory.join("all.h5"), damaged).unwrap();
        let (code, words) = of("check", &directory);
        assert!(code == 3 && words.contains("all.h5") && words.contains("kadanoff report"), "{code}: {words}");
        succeed(kadanoff().arg("report").arg(&directory));
        succeed(kadanoff().arg("check").arg(&directory));
    }

    // The remedy that is printed leads out.
    let network = directory.join("network.h5");
    let weights = std::fs::read(&network).unwrap();
    std::fs::remove_file(&network).unwrap();
    let (code, words) = said(&mut run(&job, &directory));
    assert!(code == 3 && words.contains("network.h5 is missing") && words.contains("move results.h5 away too"), "{code}: {words}");
    std::fs::remove_file(directory.join("results.h5")).unwrap();
    let (code, words) = of("status", &directory);
    assert!(code == 0 && words.contains("stopped with work left"), "{code}: {words}");
    let (code, words) = of("report", &directory);
    assert!(code == 3 && words.contains("results.h5 does not exist yet"), "{code}: {words}");
    succeed(&mut run(&job, &directory));
    assert_eq!(std::fs::read(&network).unwrap().len(), weights.len());
    succeed(kadanoff().arg("check").arg(&directory));

    // Pipes and rubbish in the place of small files.
    for name in ["log.txt", "progress.json"] {
        pipe(&directory.join(name));
        assert_eq!(of("status", &directory).0, 0, "{name}");
        if name == "log.txt" {
            // Whoever writes into a pipe waits for somebody who reads.
            let (code, words) = said(&mut run(&job, &directory));
            assert!(code == 4 && words.contains("log.txt is there and is no regular file"), "{code}: {words}");
        }
        std::fs::remove_file(directory.join(name)).unwrap();
    }
    let copy = directory.join("run.toml");
    std::fs::write(&copy, b"seed = \xFF\n").unwrap();
    for (command, words) in [("status", "no text"), ("check", "no text")] {
        let (code, said) = of(command, &directory);
        assert!(code == 3 && said.contains(words), "{command}, {code}: {said}");
    }
    std::fs::write(&copy, b"seed = 1\nside = 3\n").unwrap();
    assert_eq!((of("status", &directory).0, of("check", &directory).0), (3, 3));
    pipe(&copy);
    for command in ["status", "check"] {
        let (code, said) = of(command, &directory);
        assert!(code == 3 && said.contains("no regular file"), "{command}, {code}: {said}");
    }
    let (code, words) = said(&mut run(&job, &directory));
    assert!(code == 3 && words.contains("no regular file"), "{code}: {words}");
}

#[test]
fn a_directory_that_hdf5_cannot_name_is_refused_before_any_sweep() {
    let folder = tempfile::tempdir().unwrap();
    let job = write_job(folder.path(), JOB);
    let directory = folder.path().join(std::ffi::OsString::from_vec(b"bad\xFFname".to_vec()));
    let (code, words) = said(&mut run(&job, &directory));
    assert!(code == 2 && words.contains("is not UTF-8") && !directory.exists(), "{code}: {words}");
}

/// As soon as the process listens for it, a signal is a wish to stop, whatever the process is about to do.
#[test]
fn a_signal_at_the_very_start_stops_the_job_with_its_code() {
    let folder = tempfile::tempdir().unwrap();
    let job = write_job(
        folder.path(),
        &JOB.replace("sweeps = 200", "sweeps = 200000000\nmeasure_every = 10000").replace("configurations = 40", "configurations = 400"),
    );
    for (name, number) in [("USR1", 10), ("TERM", 15), ("INT", 2)] {
        let mut child = run(&job, &folder.path().join(name)).stderr(Stdio::null()).spawn().unwrap();
        let listens = || {
            let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
            let caught = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigCgt:")?.trim(), 16).ok());
            caught.is_some_and(|caught| caught >> (number - 1) & 1 == 1)
        };
        while !listens() {
            std::thread::sleep(Duration::from_micros(200));
        }
        assert!(Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(75), "{name}");
    }
}
