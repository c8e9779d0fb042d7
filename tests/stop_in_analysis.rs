//! The analysis between sampling and training stops as the stages do, and every job gets on with it, however short it is: its answers are kept one by one.
#![allow(clippy::unwrap_used)]

#[path = "support/runs.rs"]
mod runs;

use runs::{kadanoff, mpirun, outcome, succeed, write_job};
use std::path::Path;
use std::process::{Command, Stdio};

/// A short sampling, and behind it finite-size scaling, relaxation times and two-point functions: enough for more than a dozen of the shortest jobs, which last a round of ten
/// milliseconds or a part of the analysis, whichever is longer.
const JOB: &str = r#"
seed = 8

[lattice]
sizes = [8, 12, 16, 20, 24, 32]

[sample]
window = { center = "critical", width = 1.6, points = 9 }
algorithm = "swendsen-wang"
replicas = 2
thermalization = 50
sweeps = 1500
configurations = 40

[report]
figures = false
"#;

fn run(job: &Path, directory: &Path, mut program: Command) -> Command {
    program.arg("run").arg(job).arg("--out").arg(directory).env_remove("SLURM_JOB_END_TIME").stdout(Stdio::null());
    program
}

#[test]
fn jobs_shorter_than_the_analysis_come_to_its_end_with_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let job = write_job(folder.path(), JOB);
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    succeed(&mut run(&job, &whole, kadanoff()));
    let (record, _) = outcome(&whole);
    assert!(record.scaling.is_some() && record.analyses.iter().any(|table| table.name == "two_point_function"));
    let log = |text: &str| std::fs::read_to_string(parts.join("log.txt")).unwrap_or_default().matches(text).count();
    let mut jobs = 0;
    let mut sizes = Vec::new();
    loop {
        let program = if cfg!(feature = "mpi") && jobs % 5 == 1 { mpirun("2") } else { kadanoff() };
        let mut command = run(&job, &parts, program);
        // As short as can be in the analysis; longer in the sampling, and when all that is left is to say that it is done.
        let limit = match (log("sampling done"), log("analysis done")) {
            (0, _) => "60ms",
            (_, 0) if sizes.len() < 40 => "1ms",
            _ => "1h",
        };
        command.args(["--stop-after", limit]).env("RAYON_NUM_THREADS", ["1", "2"][jobs % 2]);
        let output = command.output().unwrap();
        jobs += 1;
        match output.status.code() {
            Some(0) => break,
            Some(75) => {}
            _ => panic!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr)),
        }
        assert!(jobs < 600, "no end");
        if log("sampling done") == 1 && log("analysis done") == 0 {
            let checked = kadanoff().arg("check").arg(&parts).output().unwrap();
            let words = String::from_utf8_lossy(&checked.stderr).into_owned();
            assert!(checked.status.success() && words.contains("of the analysis done"), "{words}");
            sizes.push(std::fs::metadata(parts.join("checkpoint/state")).unwrap().len());
        }
    }
    println!("{} jobs in the analysis", sizes.len());
    assert!(sizes.len() > 3, "the analysis was never stopped");
    assert!(outcome(&parts) == outcome(&whole), "stops in the analysis changed its result");
    assert!(!parts.join("checkpoint").exists());
    // Killed in the midst of it, with a checkpoint whenever there is something new.
    let killed = folder.path().join("killed");
    for pass in [1, 3, 2] {
        let mut command = run(&job, &killed, kadanoff());
        command.args(["--checkpoint-every", "10ms"]).env("KADANOFF_FAULT", format!("kill@answer:{}", 5 * pass));
        assert!(!command.output().unwrap().status.success());
    }
    // A report between two jobs leaves to the next one what is still to be found.
    succeed(kadanoff().arg("report").arg(&killed).stdout(Stdio::null()));
    succeed(&mut run(&job, &killed, kadanoff()));
    assert!(outcome(&killed) == outcome(&whole), "kills in the analysis changed its result");
    // Nor does one where the configurations are elsewhere change what was found.
    std::fs::rename(killed.join("configurations.h5"), folder.path().join("configurations.h5")).unwrap();
    succeed(kadanoff().arg("report").arg(&killed).stdout(Stdio::null()));
    std::fs::rename(folder.path().join("configurations.h5"), killed.join("configurations.h5")).unwrap();
    assert!(outcome(&killed) == outcome(&whole), "a report without configurations changed the analysis");
}
