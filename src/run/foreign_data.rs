//! `data = { file, ... }` of `[train]`: the configurations of another program are read once, and kept in `configurations.h5` as if they had been sampled. Rank 0 calls it.

use super::desk::Desk;
use crate::config::{ForeignSection, RunFile, TrainSection};
use crate::error::Result;
use crate::lattice::Geometry;
use crate::store::{ConfigurationSet, read_foreign};
use std::path::{Path, PathBuf};

/// Takes them in, and says so with their magnetization.
///
/// # Errors
/// [`crate::error::Error::Refused`] if the file does not hold them; [`crate::error::Error::InputOutput`].
pub fn take_in(job: &RunFile, section: &TrainSection, foreign: &ForeignSection, desk: &mut Desk) -> Result<()> {
    let file = beside(&job.name, &foreign.file);
    let sites = section.size * section.size;
    let spins = read_foreign(&file, foreign.path.as_deref(), sites, foreign.configurations)?;
    let up: u64 = spins.words().iter().map(|word| u64::from(word.count_ones())).sum();
    let what = format!(
        "took {} configurations of {sites} spins from {}, {:.4} of them up",
        foreign.configurations,
        file.display(),
        up as f64 / (foreign.configurations * sites) as f64
    );
    let numbers = 0..foreign.configurations as u64;
    let set = ConfigurationSet {
        geometry: Geometry::Square,
        size: section.size,
        coupling: foreign.coupling,
        spins,
        // Which chains they come from is not known: one, as far as the file says.
        chains: vec![0; foreign.configurations],
        draws: numbers.collect(),
    };
    desk.keep_foreign(set, &what)
}

/// A file that the run file names: relative names begin at the folder of the run file.
fn beside(run_file: &str, name: &str) -> PathBuf {
    Path::new(run_file).parent().unwrap_or(Path::new("")).join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_names_begin_at_the_run_file() {
        assert_eq!(beside("jobs/mine.toml", "data/x.h5"), Path::new("jobs/data/x.h5"));
        assert_eq!(beside("mine.toml", "x.npy"), Path::new("x.npy"));
        assert_eq!(beside("jobs/mine.toml", "/data/x.npy"), Path::new("/data/x.npy"));
    }
}
