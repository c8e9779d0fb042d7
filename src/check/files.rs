//! The file library: what is written comes back bit by bit, what is damaged is refused.

use super::{Check, sentence};
use crate::record::RunRecord;
use crate::store;
use std::path::Path;

pub(super) const CHECKS: &[Check] = &[Check { question: "HDF5 files come back as written, and damage is found", answer: round_trip }];

fn round_trip() -> Result<String, String> {
    let folder = store::directory::temporary("check").map_err(sentence)?;
    let outcome = in_folder(&folder);
    let removed = std::fs::remove_dir_all(&folder);
    outcome?;
    removed.map_err(|why| format!("cannot remove {}: {why}", folder.display()))?;
    Ok("results.h5 in the folder for temporary files".to_string())
}

fn in_folder(folder: &Path) -> Result<(), String> {
    let provenance = store::provenance::of_no_run();
    let record = RunRecord { provenance, sampling: None, scaling: None, analyses: Vec::new(), training: None, renormalization: None };
    let path = folder.join(store::RESULTS_FILE);
    store::write_results(&path, &record).map_err(sentence)?;
    if store::read_results(&path).map_err(sentence)? != record {
        return Err("a record does not come back as it was written".to_string());
    }
    let mut bytes = std::fs::read(&path).map_err(sentence)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, &bytes).map_err(sentence)?;
    match store::read_results(&path) {
        Ok(_) => Err("a file with a flipped bit was read as if nothing had happened".to_string()),
        Err(_) => Ok(()),
    }
}
