//! `kadanoff check`: whether this machine and build compute correctly.

use crate::error::Result;
use crate::kernels::InstructionSet;

/// Check that this machine and build compute correctly (under a minute)
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Every kernel on every instruction set of this processor, exact identities, known answers. Run it on the node where the job will run.\n\
    Exit code 0 if all is well, 70 if not.\n\nExamples:\n  kadanoff check\n  srun -n 1 kadanoff check"
)]
pub struct CheckArguments {}

/// Asks all questions and prints the answers.
///
/// # Errors
/// One, if any check failed.
pub fn run(_arguments: &CheckArguments) -> Result<()> {
    let sets: Vec<&str> = InstructionSet::available().iter().map(|set| set.name()).collect();
    eprintln!("kadanoff {}; this processor has {}; in use: {}", env!("CARGO_PKG_VERSION"), sets.join(", "), InstructionSet::chosen());
    crate::check::run(&mut |question, answer| match answer {
        Ok(words) => eprintln!("  good    {question} ({words})"),
        Err(words) => eprintln!("  FAILED  {question}: {words}"),
    })
}
