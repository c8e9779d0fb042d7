//! The whole experiment of the paper: the job that is delivered, from the first sweep to the report, by this very program.

use super::local::judge;
use super::machine::Machine;
use super::{Row, WHOLE};
use crate::error::{Error, Result};
use crate::kernels::InstructionSet;
use crate::store::{RESULTS_FILE, directory::temporary, read_results};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

const JOB: &str = include_str!("../../jobs/mehta-schwab.toml");

/// Seconds of `jobs/mehta-schwab.toml`. Its energies are held against Kaufman's.
pub fn row(threads: usize) -> Result<Row> {
    let folder = temporary("bench")?;
    let measured = in_folder(&folder, threads);
    // What stays behind lies in a folder that the system empties.
    let _ = std::fs::remove_dir_all(&folder);
    measured
}

fn in_folder(folder: &Path, threads: usize) -> Result<Row> {
    let (job, out) = (folder.join("mehta-schwab.toml"), folder.join("run"));
    std::fs::write(&job, JOB).map_err(|why| Error::file("write", &job, why))?;
    let program = std::env::current_exe().map_err(|why| Error::InputOutput(format!("cannot find this program itself: {why}")))?;
    let mut command = Command::new(&program);
    command.arg("run").arg(&job).arg("--out").arg(&out).args(["--threads", &threads.to_string()]);
    // A rank of its own, whatever this process is one of.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PMIX_")) {
        command.env_remove(name);
    }
    let mut machine = Machine::new();
    machine.look();
    let started = Instant::now();
    let status = command.status().map_err(|why| Error::file("start", &program, why))?;
    let seconds = started.elapsed().as_secs_f64();
    machine.look();
    if !status.success() {
        return Err(Error::Bug(format!("the benchmark {WHOLE} ended with {status}.")));
    }
    verify(&out)?;
    Ok(Row {
        name: WHOLE.to_string(),
        size: "whole job".into(),
        threads,
        instruction_set: InstructionSet::chosen().name().to_string(),
        unit: "s".to_string(),
        median: seconds,
        best: seconds,
        rival: None,
        ratio: None,
        machine: machine.share(),
    })
}

/// Holds the energies against the exact ones.
fn verify(out: &Path) -> Result<()> {
    let nothing = || Error::Bug(format!("the benchmark {WHOLE} measured nothing."));
    let sampling = read_results(&out.join(RESULTS_FILE))?.sampling.filter(|sampling| !sampling.ensembles.is_empty()).ok_or_else(nothing)?;
    for ensemble in &sampling.ensembles {
        let energy = ensemble.observables.first().ok_or_else(nothing)?;
        let (estimate, exact) = (energy.estimate, energy.exact.unwrap_or(f64::NAN));
        judge(WHOLE, ensemble.size, ensemble.coupling, estimate.mean, estimate.error, exact)?;
    }
    Ok(())
}
