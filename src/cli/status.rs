//! `kadanoff status DIR`: how far a run is.

use crate::error::Result;
use crate::run::status::{self, State, Status};
use indicatif::HumanDuration;
use std::path::PathBuf;
use std::time::Duration;

/// Say how far a run is, without disturbing its job
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Only the small files of DIR are read (log.txt, progress.json, summary.json, lock), and no lock is taken. The time left is that of the stage under way.\n\
    States: running, silent (another host's job of which nothing was heard for a minute), stopped, failed, killed, done, not-begun.\n\n\
    Examples:\n  kadanoff status runs/quickstart\n  kadanoff status runs/quickstart --json\n  watch -n 10 kadanoff status runs/quickstart"
)]
pub struct StatusArguments {
    /// The run directory
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,

    /// One JSON object on stdout
    #[arg(long)]
    pub json: bool,
}

/// Looks and prints.
///
/// # Errors
/// A folder that is no run directory, or that cannot be read.
pub fn run(arguments: &StatusArguments) -> Result<()> {
    let found = status::look(&arguments.directory)?;
    if arguments.json {
        return super::write_stdout(&format!("{}\n", serde_json::json!(found)));
    }
    crate::console::say(format_args!("{}", words(&arguments.directory.display().to_string(), &found).trim_end()));
    Ok(())
}

fn words(directory: &str, found: &Status) -> String {
    let owner = found.owner.as_deref().unwrap_or("a job");
    let state = match found.state {
        State::Running => format!("running, {owner}"),
        State::Silent => format!("held by {owner}, of which nothing was heard for a minute or more: it may be gone"),
        State::Stopped => "stopped with work left; the same command goes on".to_string(),
        State::Failed => "a job ended with an error".to_string(),
        State::Killed => "a job ended without a word: it was killed; the same command goes on".to_string(),
        State::Done => "done".to_string(),
        State::NotBegun => "no job has begun".to_string(),
    };
    let mut lines = vec![format!("{directory}: {state}")];
    for stage in &found.stages {
        let share = if stage.done { "done".to_string() } else { format!("{:.1} %", 100.0 * stage.progress) };
        let speed = found.now.as_ref().filter(|now| now.stage == stage.name).map(|now| {
            let left = now.seconds_left.map_or_else(String::new, |left| format!(", {} left", span(left)));
            let swaps = now.swap_acceptance.map_or_else(String::new, |[mean, smallest]| {
                format!(", swaps made {:.0} % (the rarest {:.0} %)", 100.0 * mean, 100.0 * smallest)
            });
            format!(", {:.3e} {} a second on rank 0{left}{swaps}", now.per_second, now.unit)
        });
        lines.push(format!("  {:<24} {share}{}", stage.name, speed.unwrap_or_default()));
    }
    if let Some(checkpoint) = found.checkpoint {
        let mebibytes = checkpoint.bytes as f64 / f64::from(1 << 20);
        lines.push(format!("  checkpoint of {mebibytes:.1} MiB, {} ago", span(status::now().saturating_sub(checkpoint.written) as f64)));
    }
    if let (Some(heard), Some(event)) = (found.last_sign_of_life, &found.last_event) {
        lines.push(format!(
            "  submission {}; last sign of life {} ago; last event: {event}",
            found.submissions,
            span(status::now().saturating_sub(heard) as f64)
        ));
    }
    lines.join("\n") + "\n"
}

fn span(seconds: f64) -> String {
    HumanDuration(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)).to_string()
}
