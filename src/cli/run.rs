//! `kadanoff run RUN.toml`: all stages of the run file, in order. Called by every rank.

use crate::comm::timed::Timed;
use crate::comm::{self, Comm};
use crate::error::{Error, Result};
use crate::run::Options;
use crate::run::desk::Stage;
use crate::run::watch::{Limits, Signals, parse_duration};
use std::path::PathBuf;
use std::time::Duration;

/// Run all stages of a run file; the same command goes on where a run ended
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  kadanoff run jobs/quickstart.toml\n  kadanoff run RUN.toml --out /scratch/me/run-7 --threads 16\n  mpirun -n 4 kadanoff run RUN.toml --threads 8\n\n\
    The results do not depend on the number of ranks or threads, nor on the instruction set, bit for bit.\n\
    A job that is stopped (SIGTERM, SIGUSR1, SIGINT, --stop-after, 10 s or more before the end of its SLURM job, or because the file DIR/stop appeared) writes a\n\
    checkpoint and ends with exit code 75; the same command goes on from there, on any number of ranks and threads, and so it does after a kill. A second SIGTERM or\n\
    SIGINT ends it at once.\n\
    The run directory holds run.toml (a copy), results.h5, configurations.h5, network.h5, summary.json, report.html and figures/."
)]
pub struct RunArguments {
    /// The run file (see `kadanoff template`)
    #[arg(value_name = "RUN.toml")]
    pub run_file: PathBuf,

    /// The run directory; by default runs/ and the name of the run file
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Threads of each rank; by default as many as the rank may use
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub threads: Option<u16>,

    /// Stop with a checkpoint after this time, for example 90s, 55m, 2h
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub stop_after: Option<Duration>,

    /// Time between two checkpoints, for example 90s, 10m
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "10m")]
    pub checkpoint_every: Duration,

    /// The last stage this job does; the same command without it goes on
    #[arg(long, value_name = "STAGE", default_value = "renormalization")]
    pub until: Stage,

    /// Take the run directory from a job on another host that ended without saying so; make sure that it is gone
    #[arg(long)]
    pub force_lock: bool,
}

/// Runs the job on all ranks.
///
/// # Errors
/// Everything that can go wrong with a run. Of several ranks all carry the exit code, and rank 0 has said the sentence.
pub fn run(arguments: &RunArguments) -> Result<()> {
    let directory = arguments.out.clone().unwrap_or_else(|| default_directory(arguments));
    if directory.to_str().is_none() {
        return Err(Error::Usage(format!(
            "{} is not UTF-8, as the names of HDF5 files must be: give another directory with --out",
            directory.display()
        )));
    }
    let signals = Signals::listen()?;
    let ranks = comm::start()?;
    crate::fault::on_rank(ranks.rank());
    let comm = Timed::new(ranks.as_ref());
    // Threads may be missing on one node alone.
    let result = comm::agree(&comm, start_threads(arguments.threads)).and_then(|()| {
        let limits = Limits { stop_after: arguments.stop_after, checkpoint_every: arguments.checkpoint_every };
        crate::run::run(
            &arguments.run_file,
            &directory,
            &Options { force_lock: arguments.force_lock, limits, signals, until: arguments.until },
            &comm,
        )
    });
    match comm::agree(&comm, result) {
        Err(error) if comm.size() > 1 => {
            // Said before any rank ends: a launcher that sees one of them end with an error kills the others, whatever they were about to say.
            if comm.is_root() {
                crate::console::say(format_args!("kadanoff: {error}"));
            }
            comm.maximum(0);
            Err(Error::from_exit_code(error.exit_code(), String::new()))
        }
        result => result,
    }
}

fn default_directory(arguments: &RunArguments) -> PathBuf {
    PathBuf::from("runs").join(arguments.run_file.file_stem().unwrap_or(arguments.run_file.as_os_str()))
}

/// Starts the threads of this process: so many, or as many as it may use.
pub(super) fn start_threads(threads: Option<u16>) -> Result<()> {
    let threads = threads.map_or(0, usize::from);
    crate::fault::point("threads").map_err(|why| Error::Usage(format!("cannot start threads: {why}; ask for fewer with --threads")))?;
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        // The main thread, which alone speaks to other ranks, works with them: one thread never waits for another to wake.
        .use_current_thread()
        .build_global()
        .map_err(|error| Error::Usage(format!("cannot start {threads} threads: {error}; ask for fewer with --threads")))
}
