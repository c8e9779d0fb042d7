//! `kadanoff report DIR`: analysis, figures and `report.html` made again from the files of a run.

use crate::error::Result;
use std::path::PathBuf;

/// Make the analysis, the figures and report.html again from the files of a run
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  kadanoff report runs/quickstart")]
pub struct ReportArguments {
    /// The run directory
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}

/// Reads the files, verifies them, and writes summary.json, figures/ and report.html.
///
/// # Errors
/// Files that are missing, corrupt or foreign; a directory that cannot be written.
pub fn run(arguments: &ReportArguments) -> Result<()> {
    let page = crate::run::report_again(&arguments.directory)?;
    crate::console::say(format_args!("the report is at {}", page.display()));
    Ok(())
}
