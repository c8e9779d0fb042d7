//! The command line: one file a subcommand, each with its arguments and what it does. Words for people go to stderr, `--json` to stdout.

pub mod bench;
pub mod check;
pub mod estimate;
pub mod exact;
pub mod export;
pub mod report;
pub mod run;
pub mod status;
pub mod template;

use crate::error::{Error, Result};
use clap::{Parser, Subcommand};
use std::io::Write;

/// Simulates Ising models, trains deep Boltzmann machines on the samples, and holds what the networks learn against the renormalization group.
#[derive(Debug, Parser)]
#[command(name = "kadanoff", version, max_term_width = 110)]
#[command(
    after_help = "A first job:\n  kadanoff template quickstart > quickstart.toml\n  kadanoff run quickstart.toml\n\nExit codes: 0 done; 75 stopped with work left, resubmit; 2 usage or run file; \
    3 data refused; 4 input or output failed; 5 a number stopped being finite; 70 a bug."
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::RunArguments),
    Status(status::StatusArguments),
    Estimate(estimate::EstimateArguments),
    Report(report::ReportArguments),
    Export(export::ExportArguments),
    Exact(exact::ExactArguments),
    Template(template::TemplateArguments),
    Check(check::CheckArguments),
    Bench(bench::BenchArguments),
}

/// Does what the arguments ask for.
///
/// # Errors
/// What the subcommand could not do; the exit code of the process is [`crate::error::Error::exit_code`].
pub fn dispatch(arguments: &Arguments) -> Result<()> {
    crate::kernels::InstructionSet::requested()?;
    match &arguments.command {
        Command::Run(arguments) => run::run(arguments),
        Command::Status(arguments) => status::run(arguments),
        Command::Estimate(arguments) => estimate::run(arguments),
        Command::Report(arguments) => report::run(arguments),
        Command::Export(arguments) => export::run(arguments),
        Command::Exact(arguments) => exact::run(arguments),
        Command::Template(arguments) => template::run(arguments),
        Command::Check(arguments) => check::run(arguments),
        Command::Bench(arguments) => bench::run(arguments),
    }
}

/// Writes to stdout. A reader that has seen enough and closed the pipe is no failure.
fn write_stdout(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(why) if why.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::InputOutput(format!("cannot write to stdout: {why}"))),
        _ => Ok(()),
    }
}
