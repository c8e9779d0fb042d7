//! The program: parse, dispatch, exit code.

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(complaint) = kadanoff::kernels::baseline_complaint() {
        eprintln!("kadanoff: {complaint}");
        return ExitCode::from(2);
    }
    match kadanoff::cli::dispatch(&kadanoff::cli::Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !error.to_string().is_empty() {
                eprintln!("kadanoff: {error}");
            }
            if let kadanoff::error::Error::Bug(_) = error {
                eprintln!("This is a bug of kadanoff: please report it with the run file.");
            }
            ExitCode::from(error.exit_code())
        }
    }
}
