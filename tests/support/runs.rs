//! Whole runs of the real binary, and what they leave, for the tests that start it.

// Each test takes what it needs.
#![allow(dead_code)]

use kadanoff::record::RunRecord;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The program of this build.
pub fn kadanoff() -> Command {
    Command::new(env!("CARGO_BIN_EXE_kadanoff"))
}

/// The launcher, told that this machine has few cores and may be root's.
pub fn mpirun(ranks: &str) -> Command {
    let mut command = Command::new("mpirun");
    command.args(["--oversubscribe", "-n", ranks, env!("CARGO_BIN_EXE_kadanoff")]);
    command.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1").env("OMPI_MCA_mpi_yield_when_idle", "1");
    command.env("OMPI_MCA_pml", "ob1").env("OMPI_MCA_btl", "self,vader");
    command
}

/// Puts a run file into a folder.
pub fn write_job(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("job.toml");
    std::fs::write(&path, text).unwrap();
    path
}

/// Runs a command that must succeed.
pub fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    output
}

/// What a run left, without what may differ between machines: times, hosts, memory. Its configurations as bytes.
pub fn outcome(directory: &Path) -> (RunRecord, Vec<u8>) {
    let mut record = kadanoff::store::read_run(directory).unwrap();
    record.provenance.submissions.clear();
    for ensemble in record.sampling.iter_mut().flat_map(|sampling| &mut sampling.ensembles) {
        ensemble.seconds = 0.0;
    }
    if let Some(training) = &mut record.training {
        training.peak_memory = 0;
        let companions = training.companions.iter_mut().flat_map(|companion| &mut companion.layers);
        training.layers.iter_mut().chain(companions).flat_map(|layer| &mut layer.epochs).for_each(|epoch| epoch.seconds = 0.0);
    }
    let kept = kadanoff::store::read_configurations(&directory.join("configurations.h5")).unwrap().1;
    let bytes = kept.iter().flat_map(|group| group.spins.words()).flat_map(|word| word.to_le_bytes()).collect();
    (record, bytes)
}

/// The interpreter with h5py and numpy.
pub fn python() -> PathBuf {
    if let Some(named) = std::env::var_os("KADANOFF_PYTHON") {
        return named.into();
    }
    let local = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/venv/bin/python");
    assert!(local.exists(), "no Python with h5py and numpy: run scripts/test, which makes one, or name one in KADANOFF_PYTHON");
    local
}
