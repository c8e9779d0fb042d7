//! Where the numbers of a run came from, and whether two files are of one run.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Where the numbers came from. Every file carries it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The version of kadanoff.
    pub program_version: String,
    /// The git commit it was built from, or "unknown".
    pub git_commit: String,
    /// The run file, byte for byte.
    pub run_file: String,
    /// BLAKE3 of the run file, hexadecimal.
    pub run_file_hash: String,
    /// The seed of every random stream.
    pub seed: u64,
    /// One entry a submission (start or restart of the same run).
    pub submissions: Vec<Submission>,
}

impl Provenance {
    /// That of a run of this program before its first submission.
    pub fn new(run_file: &str, seed: u64) -> Self {
        Provenance {
            program_version: env!("CARGO_PKG_VERSION").to_string(),
            git_commit: env!("KADANOFF_GIT_COMMIT").to_string(),
            run_file: run_file.to_string(),
            run_file_hash: hash(run_file).to_hex().to_string(),
            seed,
            submissions: Vec::new(),
        }
    }

    /// Whether both are of one run, that is, of one run file and one seed, whatever the program and the submissions.
    pub fn is_of_the_run_of(&self, other: &Provenance) -> bool {
        (&self.run_file_hash, self.seed) == (&other.run_file_hash, other.seed)
    }

    /// Refuses this, found in `file`, which somebody has put in the place of ours, if it is of another run.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub fn must_be_of_the_run_of(&self, ours: &Provenance, file: &Path) -> Result<()> {
        if self.is_of_the_run_of(ours) {
            return Ok(());
        }
        Err(Error::Refused(format!(
            "{} belongs to another run: its run file has the BLAKE3 hash {} and seed {}, that of this directory {} and {}. Put back the file of this run, or move this one away to do its part of \
             the work anew",
            file.display(),
            self.run_file_hash,
            self.seed,
            ours.run_file_hash,
            ours.seed
        )))
    }
}

/// The hash of a run file, by which files and checkpoints know it again.
pub fn hash(run_file: &str) -> blake3::Hash {
    blake3::hash(run_file.as_bytes())
}

/// One start of the program on a run directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Submission {
    /// Start, as seconds since 1970 (UTC).
    pub started: u64,
    /// Host of rank 0.
    pub host: String,
    /// Instruction set of the kernels.
    pub instruction_set: String,
    /// MPI ranks.
    pub ranks: usize,
    /// Threads a rank.
    pub threads: usize,
    /// SLURM_JOB_ID, or empty.
    pub slurm_job: String,
    /// Ranks, threads, and the processors they may use.
    #[serde(default)]
    pub binding: String,
    /// The share of the time of sampling and training in which an average rank worked and did not wait for others, when the files were written; of several ranks only.
    #[serde(default)]
    pub worked: Option<f64>,
}
