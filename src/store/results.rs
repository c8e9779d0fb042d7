//! `results.h5`: everything people read. `/sampling`, `/scaling`, `/analyses` and `/renormalization` in full, `/training` without the weights, which live in `network.h5`.

use super::hdf5::FileWriter;
use super::{durable, network, provenance, renormalization, sampling, scaling, table};
use crate::error::Result;
use crate::record::RunRecord;
use std::path::Path;

/// What `results.h5` says of itself.
const CONTENT: &str = "results";

/// Replaces `path` by the results of a run.
///
/// # Errors
/// [`crate::error::Error::InputOutput`]; the old file is then intact.
pub fn write_results(path: &Path, record: &RunRecord) -> Result<()> {
    durable::replace(path, bytes(record), |temporary| {
        let file = FileWriter::create(temporary)?;
        let root = file.root()?;
        provenance::write(&root, CONTENT, &record.provenance)?;
        if let Some(part) = &record.sampling {
            root.attributes().text("default", "sampling")?;
            sampling::write(&root.group("sampling")?, part)?;
        } else if record.training.is_some() {
            root.attributes().text("default", "training")?;
        }
        if let Some(part) = &record.scaling {
            scaling::write(&root.group("scaling")?, part)?;
        }
        if !record.analyses.is_empty() {
            table::write_all(&root.group("analyses")?, &record.analyses)?;
        }
        if let Some(part) = &record.training {
            network::write_training(&root.group("training")?, part, false)?;
        }
        if let Some(part) = &record.renormalization {
            renormalization::write(&root.group("renormalization")?, part)?;
        }
        file.finish()
    })
}

/// Reads the results of a run. The layers of the training record come without weights and biases (these vectors are empty): [`super::read_run`] adds them
/// from `network.h5`. Everything else is as it was written, every bit.
///
/// # Errors
/// [`crate::error::Error::InputOutput`] if the file cannot be read; [`crate::error::Error::Refused`] if it is damaged or foreign.
pub fn read_results(path: &Path) -> Result<RunRecord> {
    let (_file, root, provenance) = provenance::open(path, CONTENT)?;
    let sampling = root.has("sampling").then(|| sampling::read(&root.group("sampling")?)).transpose()?;
    let training = root.has("training").then(|| network::read_training(&root.group("training")?, false)).transpose()?;
    let renormalization = root.has("renormalization").then(|| renormalization::read(&root.group("renormalization")?)).transpose()?;
    let scaling = root.has("scaling").then(|| scaling::read(&root.group("scaling")?)).transpose()?;
    let analyses = if root.has("analyses") { table::read_all(&root.group("analyses")?)? } else { Vec::new() };
    Ok(RunRecord { provenance, sampling, scaling, analyses, training, renormalization })
}

/// About how many bytes the file takes at most, uncompressed.
fn bytes(record: &RunRecord) -> u64 {
    let series: usize = record
        .sampling
        .iter()
        .flat_map(|part| &part.ensembles)
        .flat_map(|ensemble| &ensemble.chains)
        .map(|chain| 8 * (chain.energy.len() + chain.magnetization.len() + chain.wave_power.len() + 3 * chain.improved.len()))
        .sum();
    let fields: usize = record.renormalization.iter().flat_map(|part| &part.receptive_fields).map(|layer| 4 * layer.fields.len()).sum();
    (series + fields + (1 << 20)) as u64
}
