//! `kadanoff check [DIR]`: whether this machine and build compute correctly, or whether the files of a run are whole.

use crate::check::directory;
use crate::error::Result;
use crate::kernels::InstructionSet;
use std::path::{Path, PathBuf};

/// Check that this machine and build compute correctly (under a minute); with DIR, that the files of a run are whole
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without DIR: every kernel on every instruction set of this processor, exact identities, known answers. Run it on the node where the job will run.\n\
    Exit code 0 if all is well, 70 if not.\n\
    With DIR: every byte of results.h5, network.h5, configurations.h5 and of both checkpoints is held against its digest, every length against the run file, and weights,\n\
    series and estimates must be finite. Exit code 0 if all is well, 3 if not, with one sentence for each damage. Nothing is changed; a job may be at work meanwhile.\n\n\
    Examples:\n  kadanoff check\n  srun -n 1 kadanoff check\n  kadanoff check runs/quickstart"
)]
pub struct CheckArguments {
    /// A run directory
    #[arg(value_name = "DIR")]
    pub directory: Option<PathBuf>,
}

/// Asks all questions and prints the answers.
///
/// # Errors
/// One, if any check failed.
pub fn run(arguments: &CheckArguments) -> Result<()> {
    if let Some(directory) = &arguments.directory {
        return files_of(directory);
    }
    let sets: Vec<&str> = InstructionSet::available().iter().map(|set| set.name()).collect();
    crate::console::say(format_args!(
        "kadanoff {}; this processor has {}; in use: {}",
        env!("CARGO_PKG_VERSION"),
        sets.join(", "),
        InstructionSet::chosen()
    ));
    crate::check::run(&mut |question, answer| match answer {
        Ok(words) => crate::console::say(format_args!("  good    {question} ({words})")),
        Err(words) => crate::console::say(format_args!("  FAILED  {question}: {words}")),
    })
}

fn files_of(directory: &Path) -> Result<()> {
    directory::check(directory, &mut |finding| match &finding.found {
        Ok(words) => crate::console::say(format_args!("  good    {} ({words})", finding.file)),
        Err(damages) => damages.iter().for_each(|damage| crate::console::say(format_args!("  DAMAGE  {}: {damage}", finding.file))),
    })
}
