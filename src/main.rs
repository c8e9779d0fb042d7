//! The program: parse, dispatch, exit code.

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(complaint) = kadanoff::kernels::baseline_complaint() {
        kadanoff::console::say(format_args!("kadanoff: {complaint}"));
        return ExitCode::from(2);
    }
    let arguments = kadanoff::cli::Arguments::parse();
    // A panic has said what it is by now; with MPI it has ended all ranks already.
    let Ok(result) = std::panic::catch_unwind(|| kadanoff::cli::dispatch(&arguments)) else {
        kadanoff::console::say(format_args!("This is a bug of kadanoff: please report it with the run file."));
        return ExitCode::from(70);
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !error.to_string().is_empty() {
                kadanoff::console::say(format_args!("kadanoff: {error}"));
            }
            if let kadanoff::error::Error::Bug(_) = error {
                kadanoff::console::say(format_args!("This is a bug of kadanoff: please report it with the run file."));
            }
            ExitCode::from(error.exit_code())
        }
    }
}
