//! `DIR/progress.json`: how far the job is, written anew every few seconds by rank 0 and read by `kadanoff status`. Nothing depends on it: it is not synchronized to
//! the disk, and where it cannot be written the job goes on.

use super::durable;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The file in DIR.
pub const PROGRESS_FILE: &str = "progress.json";

/// What rank 0 says of the stage it works on. Work is that of rank 0, whose share costs about as much as that of any other rank.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProgressNote {
    /// The stage in words: "sampling", "training layer 2 of 3".
    pub stage: String,
    /// What is counted: "spins", "samples".
    pub unit: String,
    /// Units of work done, those of earlier submissions included.
    pub done: u64,
    /// Units of work of the whole stage.
    pub total: u64,
    /// Units of work a second, since this submission began the stage.
    pub per_second: f64,
    /// Time left in this stage, in seconds; none before anything is done.
    pub seconds_left: Option<f64>,
    /// Where replicas are exchanged: the share of swaps made of those tried so far, the mean over the pairs of neighbouring temperatures and the smallest.
    #[serde(default)]
    pub swap_acceptance: Option<[f64; 2]>,
    /// When this was written, in seconds since 1970 (UTC).
    pub updated: u64,
}

/// Replaces the note of a run directory.
///
/// # Errors
/// [`Error::InputOutput`]; the caller may well go on.
pub fn write_progress(directory: &Path, note: &ProgressNote) -> Result<()> {
    let text = serde_json::to_vec_pretty(note).map_err(|why| Error::Bug(format!("the progress of a run is not JSON: {why}.")))?;
    durable::replace_quickly(&directory.join(PROGRESS_FILE), &text)
}

/// The last note of a run directory; none where there is none, or where it makes no sense.
pub fn read_progress(directory: &Path) -> Option<ProgressNote> {
    let text = super::directory::small_text(&directory.join(PROGRESS_FILE)).ok()??;
    let note: ProgressNote = serde_json::from_str(&text).ok()?;
    (note.done <= note.total && note.per_second.is_finite()).then_some(note)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_come_back_and_rubbish_is_no_note() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read_progress(folder.path()), None);
        let note = ProgressNote {
            stage: "sampling".to_string(),
            unit: "spins".to_string(),
            done: 5,
            total: 10,
            per_second: 2.5,
            seconds_left: Some(2.0),
            swap_acceptance: Some([0.4, 0.25]),
            updated: 1_700_000_000,
        };
        write_progress(folder.path(), &note).unwrap();
        assert_eq!(read_progress(folder.path()), Some(note.clone()));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
        write_progress(folder.path(), &ProgressNote { done: 11, ..note }).unwrap();
        assert_eq!(read_progress(folder.path()), None);
        std::fs::write(folder.path().join(PROGRESS_FILE), b"{").unwrap();
        assert_eq!(read_progress(folder.path()), None);
        assert!(matches!(
            write_progress(
                &folder.path().join("gone"),
                &read_progress(folder.path()).unwrap_or(ProgressNote {
                    stage: String::new(),
                    unit: String::new(),
                    done: 0,
                    total: 0,
                    per_second: 0.0,
                    seconds_left: None,
                    swap_acceptance: None,
                    updated: 0,
                })
            ),
            Err(Error::InputOutput(_))
        ));
    }
}
