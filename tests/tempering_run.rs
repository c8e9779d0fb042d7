//! Runs with tempering and with replicas across the bits: what they leave, and that stops, threads, ranks and instruction sets change nothing of it.
#![allow(clippy::unwrap_used)]

#[path = "support/runs.rs"]
mod runs;

use runs::{kadanoff, mpirun, outcome, succeed, write_job};
use std::path::Path;
use std::process::Command;

const JOB: &str = r#"
seed = 5

[lattice]
sizes = [8, 12]

[sample]
couplings = [0.46, 0.40, 0.43]
algorithm = "metropolis"
tempering = true
exchange_every = 2
replicas = 700
thermalization = 20
sweeps = 600
measure_every = 60
configurations = 1500

[report]
figures = false
"#;

fn run(job: &Path, directory: &Path, program: Command) -> Command {
    let mut program = program;
    program.arg("run").arg(job).arg("--out").arg(directory).env_remove("SLURM_JOB_END_TIME");
    program
}

/// Stops after a few milliseconds, again and again, on changing machines, until it is done.
fn disturbed(job: &Path, directory: &Path) -> usize {
    for round in 0..400 {
        let program = match round % 3 {
            0 if cfg!(feature = "mpi") => mpirun(["2", "4"][round / 3 % 2]),
            _ => kadanoff(),
        };
        let mut command = run(job, directory, program);
        command.env("RAYON_NUM_THREADS", ["1", "2"][round % 2]);
        if round % 4 == 1 {
            command.env("KADANOFF_INSTRUCTION_SET", "portable");
        }
        // When all is in the files, what is left is to say so: that takes as long as it takes.
        let log = std::fs::read_to_string(directory.join("log.txt")).unwrap_or_default();
        let limit = if log.contains("analysis done") { "1h" } else { "25ms" };
        let status = command.args(["--stop-after", limit]).output().unwrap().status;
        match status.code() {
            Some(0) => return round,
            Some(75) => {}
            _ => panic!("{status}"),
        }
    }
    panic!("not done after 400 rounds");
}

#[test]
fn stops_threads_ranks_and_instruction_sets_change_nothing() {
    let replicas = JOB.replace("tempering = true\nexchange_every = 2\n", "layout = \"replicas\"\n");
    for job in [JOB, &replicas] {
        let folder = tempfile::tempdir().unwrap();
        let file = write_job(folder.path(), job);
        let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
        succeed(&mut run(&file, &whole, kadanoff()));
        let rounds = disturbed(&file, &parts);
        println!("{rounds} stops");
        assert!(rounds > 0, "the run was never stopped");
        assert!(outcome(&parts) == outcome(&whole));
        succeed(kadanoff().arg("check").arg(&whole));
    }
}

/// While it runs, `kadanoff status` says what share of the swaps is made.
#[test]
fn status_tells_of_the_swaps() {
    let folder = tempfile::tempdir().unwrap();
    let file = write_job(
        folder.path(),
        &JOB.replace("sweeps = 600", "sweeps = 60000000").replace("measure_every = 60", "measure_every = 6000000"),
    );
    let directory = folder.path().join("run");
    let mut child = run(&file, &directory, kadanoff()).stderr(std::process::Stdio::null()).spawn().unwrap();
    let found = loop {
        assert!(child.try_wait().unwrap().is_none(), "the run is over");
        // At first there is no directory.
        let output = kadanoff().arg("status").arg(&directory).arg("--json").output().unwrap().stdout;
        let found: serde_json::Value = serde_json::from_slice(&output).unwrap_or_default();
        if found["now"]["swap_acceptance"].is_array() {
            break found;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    let words = String::from_utf8(succeed(kadanoff().arg("status").arg(&directory)).stderr).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let swaps = [0, 1].map(|place| found["now"]["swap_acceptance"][place].as_f64().unwrap());
    assert!(0.3 < swaps[1] && swaps[1] <= swaps[0] && swaps[0] < 1.0, "{found}");
    assert!(words.contains(", swaps made "), "{words}");
}

#[test]
fn what_tempering_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let file = write_job(folder.path(), &JOB.replace("figures = false", "figures = true"));
    let directory = folder.path().join("run");
    succeed(&mut run(&file, &directory, kadanoff()));
    let (record, _) = outcome(&directory);
    let sampling = record.sampling.unwrap();
    assert_eq!(sampling.tempering.len(), 2);
    for (ladders, size) in sampling.tempering.iter().zip([8, 12]) {
        assert_eq!((ladders.size, ladders.exchange_every, &ladders.couplings[..]), (size, 2, &[0.40, 0.43, 0.46][..]));
        // Only the 700 lanes that are asked for; exchanges after every second sweep, the pairs in turn.
        assert_eq!(ladders.round_trips.len(), 700);
        assert_eq!(ladders.swaps_tried, [150 * 700; 2]);
        assert!(ladders.acceptance().iter().all(|&share| share > 0.3 && share < 1.0), "{:?}", ladders.acceptance());
        assert!(ladders.flow()[0] == 1.0 && ladders.flow()[2] == 0.0);
    }
    for ensemble in &sampling.ensembles {
        assert_eq!((ensemble.chains.len(), ensemble.chains[699].energy.len()), (700, 10));
        let energy = &ensemble.observables[0];
        assert!((energy.estimate.mean - energy.exact.unwrap()).abs() < 5.0 * energy.estimate.error, "{ensemble:?}");
    }
    let page = std::fs::read_to_string(directory.join("report.html")).unwrap();
    assert!(page.contains("Exchange of replicas") && directory.join("figures/tempering.svg").is_file());
    let summary = std::fs::read_to_string(directory.join("summary.json")).unwrap();
    assert!(summary.contains("swap_acceptance") && summary.contains("round_trips"));
}

#[test]
fn what_cannot_be_tempered_is_refused_with_the_key() {
    let refused = |change: &dyn Fn(String) -> String, words: &str| {
        let folder = tempfile::tempdir().unwrap();
        let file = write_job(folder.path(), &change(JOB.to_string()));
        let output = run(&file, &folder.path().join("run"), kadanoff()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(words), "{said}");
    };
    refused(&|job| job.replace("\"metropolis\"", "\"wolff\""), "tempering");
    refused(&|job| job.replace("[0.46, 0.40, 0.43]", "[0.46]"), "two couplings");
    refused(&|job| job.replace("[8, 12]", "[8, 1024]"), "too large");
    refused(&|job| job.replace("tempering = true", "tempering = false"), "exchange_every");
    refused(&|job| job.replace("tempering = true", "tempering = true\nlayout = \"lattice\""), "layout");
}
