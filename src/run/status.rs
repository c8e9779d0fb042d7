//! `kadanoff status DIR`: how far a run is, from the small files that its job writes anyway. No lock is taken, no large file is opened, so that the job notices nothing.

use super::desk::{DONE, DONE_IN_PART, FAILED, REPORT_FILE, STOPPED, SUBMITTED};
use super::{layers, networks, train};
use crate::config::{Distribute, RunFile};
use crate::error::Result;
use crate::store::checkpoint::{CHECKPOINT_FOLDER, NEWEST};
use crate::store::progress::{ProgressNote, read_progress};
use crate::store::{RESULTS_FILE, SUMMARY_FILE, directory, lock};
use serde::Serialize;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// A job on another host that has been silent for so many seconds is not said to run. Progress is noted every two seconds.
const SILENCE: u64 = 60;

/// What is going on in a run directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// A job works here.
    Running,
    /// Another host's job holds the directory, but nothing was heard of it for a minute.
    Silent,
    /// Stopped with work left: the same command goes on.
    Stopped,
    /// A job ended with an error.
    Failed,
    /// A job ended without a word: it was killed, or its machine was. The same command goes on.
    Killed,
    /// Nothing is left to do.
    Done,
    /// No job has begun.
    NotBegun,
}

/// One stage of the run file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StageStatus {
    /// "sampling", "training layer 1 of 3", "renormalization".
    pub name: String,
    /// Whether its results are in the files.
    pub done: bool,
    /// The share that is done, from 0 to 1.
    pub progress: f64,
}

/// The newest checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CheckpointStatus {
    /// Its size in bytes.
    pub bytes: u64,
    /// When it was written, in seconds since 1970 (UTC).
    pub written: u64,
}

/// All that `kadanoff status` says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// What is going on.
    pub state: State,
    /// Who works or worked here, if that is written down.
    pub owner: Option<String>,
    /// The stages of the run file in their order.
    pub stages: Vec<StageStatus>,
    /// What the job said last of the stage it works on.
    pub now: Option<ProgressNote>,
    /// The newest checkpoint.
    pub checkpoint: Option<CheckpointStatus>,
    /// How often the run was started.
    pub submissions: usize,
    /// The last line of `log.txt`, without its time.
    pub last_event: Option<String>,
    /// When the job last wrote any of these, in seconds since 1970 (UTC).
    pub last_sign_of_life: Option<u64>,
}

/// Looks at a run directory.
///
/// # Errors
/// [`crate::error::Error::Refused`] if it is none; [`crate::error::Error::InputOutput`] if it cannot be read.
pub fn look(path: &Path) -> Result<Status> {
    let job = super::accepted_run_file(path)?;
    let log = directory::small_text(&path.join("log.txt")).ok().flatten().unwrap_or_default();
    let events: Vec<(u64, &str)> =
        log.lines().filter_map(|line| line.split_once(' ').and_then(|(time, event)| Some((time.parse().ok()?, event)))).collect();
    let begun = events.iter().rposition(|(_, event)| event.starts_with(SUBMITTED));
    let note = read_progress(path);
    let heard = events.iter().map(|(time, _)| *time).chain(note.iter().map(|note| note.updated)).max();
    let holder = lock::holder(path);
    let state = match (&holder, begun) {
        (Some((_, Some(true))), _) => State::Running,
        (Some((_, None)), _) if heard.is_some_and(|heard| now().saturating_sub(heard) < SILENCE) => State::Running,
        (Some((_, None)), _) => State::Silent,
        (_, None) => State::NotBegun,
        (_, Some(begun)) => how_it_ended(&events[begun..]),
    };
    // What was done is not there any more: the same command does it again.
    let state = if state == State::Done && !path.join(RESULTS_FILE).exists() { State::Stopped } else { state };
    let stages = stages(&job, path, note.as_ref());
    // A job that was to do some stages of a run that was done already leaves nothing to be done.
    let has_report = !job.report.figures || path.join(REPORT_FILE).exists();
    let is_whole = has_report && stages.iter().all(|stage| stage.done) && begun.is_some_and(|begun| ended_in_part(&events[begun..]));
    let state = if state == State::Stopped && is_whole { State::Done } else { state };
    // A note of a stage that is in the files by now, or of a job that has ended, says nothing.
    let current = stages.iter().find(|stage| !stage.done).map(|stage| stage.name.clone());
    let now = note.filter(|note| state == State::Running && current == Some(note.stage.clone()));
    Ok(Status {
        state,
        owner: holder.map(|(owner, _)| owner.to_string()),
        stages,
        now,
        checkpoint: checkpoint(path),
        submissions: events.iter().filter(|(_, event)| event.starts_with(SUBMITTED)).count(),
        last_event: events.last().map(|(_, event)| (*event).to_string()),
        last_sign_of_life: heard,
    })
}

/// Whether one of the events begins so.
fn has(events: &[(u64, &str)], starts: &[&str]) -> bool {
    events.iter().any(|(_, event)| starts.iter().any(|start| event.starts_with(start)))
}

/// Whether the last job was to do some stages only, and has.
fn ended_in_part(events: &[(u64, &str)]) -> bool {
    has(events, &DONE_IN_PART)
}

/// How the last job ended, by what it wrote down after it had begun.
fn how_it_ended(events: &[(u64, &str)]) -> State {
    if has(events, &DONE) {
        State::Done
    } else if has(events, &[STOPPED]) || ended_in_part(events) {
        State::Stopped
    } else if has(events, &[FAILED]) {
        State::Failed
    } else {
        State::Killed
    }
}

fn stages(job: &RunFile, path: &Path, note: Option<&ProgressNote>) -> Vec<StageStatus> {
    // The summary is replaced whole after every stage and every layer, and says which of them are in the files.
    let summary: serde_json::Value =
        directory::regular_bytes(&path.join(SUMMARY_FILE)).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
    let stage = |name: String, done: bool| {
        let share = note.filter(|note| note.stage == name && note.total > 0).map_or(0.0, |note| note.done as f64 / note.total as f64);
        StageStatus { name, done, progress: if done { 1.0 } else { share } }
    };
    let mut stages = Vec::new();
    if job.sample.is_some() {
        stages.push(stage("sampling".to_string(), summary["sampling"].is_object()));
    }
    if let Some(train) = &job.train {
        let trained = summary["training"]["layers"].as_array().map_or(0, Vec::len);
        let layers = train.layers.len();
        let companions = job.companions();
        if train.distribute == Distribute::Temperatures {
            stages.push(stage(networks::title(1 + companions.len()), trained == layers));
        } else if train.distribute == Distribute::Layers {
            stages.push(stage(layers::title(layers), trained == layers));
        } else {
            stages.extend((1..=layers).map(|layer| stage(format!("training layer {layer} of {layers}"), layer <= trained)));
        }
        if let (Some(last), true) = (companions.last(), train.distribute != Distribute::Temperatures) {
            let trained = summary["training"]["companions"].as_array().map_or(&[][..], Vec::as_slice);
            let done = trained.len() == companions.len()
                && trained.last().is_some_and(|found| found["layers"].as_array().map_or(0, Vec::len) == last.section.layers.len());
            stages.push(stage(train::companions_title(companions.len()), done));
        }
    }
    if job.renormalize.is_some() {
        stages.push(stage("renormalization".to_string(), summary["renormalization"].is_object()));
    }
    stages
}

fn checkpoint(path: &Path) -> Option<CheckpointStatus> {
    let about = std::fs::symlink_metadata(path.join(CHECKPOINT_FOLDER).join(NEWEST)).ok().filter(std::fs::Metadata::is_file)?;
    let written = about.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_secs();
    Some(CheckpointStatus { bytes: about.len(), written })
}

/// Seconds since 1970, UTC.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
