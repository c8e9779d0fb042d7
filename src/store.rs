//! The files of a run directory: what a run leaves, how it gets there whole, and how it is read back without trusting it.
//!
//! Read in this order: [`directory`] (what may be in DIR), [`lock`] (one job at a time), [`durable`] (a file is replaced whole or not at all), [`seal`] (no
//! byte has changed since), [`hdf5`] (the only file that names the HDF5 library), [`provenance`], then the files themselves: [`results`] with [`sampling`] (and `histogram`), [`scaling`] and
//! [`renormalization`], [`receptive_field`], [`likelihood`] and [`table`], [`network`] and [`companion`], [`configurations`], [`summary`]; [`foreign`], configurations of other programs; [`checkpoint`], by which a job goes on inside a stage; [`progress`], how far it is; and [`export`], files for other programs. Rank 0 alone calls all of this, from one thread.

pub mod checkpoint;
pub mod companion;
pub mod configurations;
pub mod directory;
pub mod durable;
pub mod export;
pub mod foreign;
pub mod hdf5;
mod histogram;
mod improved;
pub mod likelihood;
pub mod lock;
pub mod network;
pub mod progress;
pub mod provenance;
pub mod receptive_field;
pub mod renormalization;
pub mod results;
pub mod sampling;
pub mod scaling;
pub mod seal;
pub mod summary;
pub mod table;
pub mod tempering;

pub use configurations::{ConfigurationSet, read_configurations, write_configurations};
pub use directory::RunDirectory;
pub use foreign::read_foreign;
pub use network::{read_network, write_network};
pub use results::{read_results, write_results};
pub use summary::{is_summary_of, write_summary};

use crate::error::{Error, Result};
use crate::lattice::Geometry;
use crate::record::{Provenance, RunRecord};
use std::path::Path;

/// The version of the layout of all files. A reader refuses any other: 1 had the names of observables as texts, which GNU Octave cannot open.
pub const FORMAT_VERSION: u64 = 2;
/// Everything people read: sampling, training curves, renormalization.
pub const RESULTS_FILE: &str = "results.h5";
/// The trained stack.
pub const NETWORK_FILE: &str = "network.h5";
/// Bit-packed spin configurations.
pub const CONFIGURATIONS_FILE: &str = "configurations.h5";
/// Links to the three files above.
pub const LINKS_FILE: &str = "all.h5";
/// The numbers of `results.h5` without the long arrays.
pub const SUMMARY_FILE: &str = "summary.json";

/// The kind of lattice that a group names.
fn geometry(group: &hdf5::GroupReader) -> Result<Geometry> {
    let name = group.text("geometry")?;
    Geometry::of_name(&name).ok_or_else(|| group.wrong("geometry", format!("no lattice is called {name}")))
}

/// Writes `network.h5` (where something was trained), `results.h5`, `all.h5` and `summary.json` of a run directory, each replaced whole.
///
/// # Errors
/// [`Error::InputOutput`] if a file cannot be written; the old one is then intact.
pub fn write_run(directory: &Path, record: &RunRecord) -> Result<()> {
    if let Some(training) = &record.training {
        write_network(&directory.join(NETWORK_FILE), &record.provenance, training)?;
    }
    write_results(&directory.join(RESULTS_FILE), record)?;
    write_links(directory, &record.provenance)?;
    write_summary(&directory.join(SUMMARY_FILE), record)
}

/// Writes `all.h5`, whose groups `results`, `network` and `configurations` are external links to the files that are there: one file to open in a viewer. The links have a
/// file of their own because the netCDF library refuses any file with an external link that leads nowhere, and `results.h5` must open wherever it is copied to.
///
/// # Errors
/// [`Error::InputOutput`].
pub fn write_links(directory: &Path, origin: &Provenance) -> Result<()> {
    durable::replace(&directory.join(LINKS_FILE), (1 << 16) + 2 * origin.run_file.len() as u64, |temporary| {
        let file = hdf5::FileWriter::create(temporary)?;
        let root = file.root()?;
        provenance::write(&root, "links", origin)?;
        root.attributes().text("default", "results")?;
        for (name, target) in [("results", RESULTS_FILE), ("network", NETWORK_FILE), ("configurations", CONFIGURATIONS_FILE)] {
            if directory.join(target).exists() {
                root.link(name, target)?;
            }
        }
        file.finish()
    })
}

/// Whether the file of links of a run directory is there, as it was written.
pub fn has_links(directory: &Path) -> bool {
    seal::verify(&directory.join(LINKS_FILE)) == Ok(Ok(()))
}

/// Reads what [`write_run`] wrote, weights included.
///
/// # Errors
/// [`Error::Refused`] if a file is damaged, foreign, or belongs to another run; [`Error::InputOutput`] if it cannot be read.
pub fn read_run(directory: &Path) -> Result<RunRecord> {
    let mut record = read_results(&directory.join(RESULTS_FILE))?;
    if let Some(known) = &record.training {
        let path = directory.join(NETWORK_FILE);
        if !path.exists() {
            return Err(Error::Refused(format!(
                "{} is missing, and {RESULTS_FILE} beside it belongs to a network: put it back, or move {RESULTS_FILE} away too and run the same command again",
                path.display()
            )));
        }
        let (provenance, mut training) = read_network(&path)?;
        if !provenance.is_of_the_run_of(&record.provenance) {
            return Err(Error::Refused(format!(
                "{} and {RESULTS_FILE} beside it come from different run files (BLAKE3 {} and {}): remove the one that does not belong here",
                path.display(),
                provenance.run_file_hash,
                record.provenance.run_file_hash
            )));
        }
        // It is written first: of a job that was killed before it wrote the others it may have layers that they do not have. Those are trained again, from the checkpoint that is then still
        // there, so that all files come to the same end.
        training.layers.truncate(known.layers.len());
        training.companions.truncate(known.companions.len());
        for (companion, known) in training.companions.iter_mut().zip(&known.companions) {
            companion.layers.truncate(known.layers.len());
        }
        record.training = Some(training);
    }
    Ok(record)
}
