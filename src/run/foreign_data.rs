//! `data = { file, ... }` of `[train]`: the configurations of another program are read once, and kept in `configurations.h5` as if they had been sampled. Their energy is held against the law
//! that the run file says they follow. Rank 0 calls it.

use super::desk::Desk;
use crate::config::{ForeignSection, RunFile, TrainSection};
use crate::error::Result;
use crate::exact;
use crate::lattice::{Geometry, SquareTorus};
use crate::measure::two_point::PairCounter;
use crate::record::{Cell, TableRecord};
use crate::statistics::autocorrelation;
use crate::store::{ConfigurationSet, read_foreign};
use std::path::{Path, PathBuf};

/// Takes them in, and says so with their magnetization. `go_on` is asked now and then.
///
/// # Errors
/// [`crate::error::Error::Refused`] if the file does not hold them; [`crate::error::Error::InputOutput`]; what `go_on` fails with.
pub fn take_in(
    job: &RunFile,
    section: &TrainSection,
    foreign: &ForeignSection,
    desk: &mut Desk,
    go_on: &dyn Fn() -> Result<()>,
) -> Result<()> {
    let file = beside(&job.name, &foreign.file);
    let sites = section.size * section.size;
    let spins = read_foreign(&file, foreign.path.as_deref(), sites, foreign.configurations, go_on)?;
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
    desk.keep_foreign(set, &what, go_on)
}

/// The table of the group `/analyses`.
pub const TABLE: &str = "imported_configurations";

/// Holds the mean energy of what was taken in against the exact value at the coupling that the run file states: the table [`TABLE`].
///
/// # Errors
/// [`crate::error::Error::Usage`] if there is no such lattice.
pub fn judge(foreign: &ForeignSection, set: &ConfigurationSet) -> Result<TableRecord> {
    let torus = SquareTorus::new(set.size)?;
    let mut counter = PairCounter::new(torus);
    // Of neighbours, one bond a pair: the energy with the sign turned.
    let mut energy = |row: usize| -counter.sums(set.spins.row(row), &[1])[0] as f64 / torus.sites() as f64;
    let analysis = autocorrelation::analyse(vec![(0..set.spins.rows()).map(&mut energy).collect()]);
    let exact = exact::square(set.size, set.coupling).energy_per_site;
    let deviation = analysis.filter(|found| found.error > 0.0).map(|found| (found.mean - exact) / found.error);
    let columns = [
        ("configurations", "configurations that were taken in", "1"),
        ("coupling", "coupling that the run file says they have", "1"),
        ("energy_per_site", "mean energy per site, with its error in the order of the file", "J"),
        ("exact", "energy per site of the Ising model on the torus at this coupling", "J"),
        ("deviation", "difference of the two in standard errors", "1"),
        ("autocorrelation_time", "integrated autocorrelation time of the energy in the order of the file", "1"),
    ];
    let mut table =
        TableRecord::new(TABLE, "file", "configurations of another program beside the law that they are said to follow", &columns);
    table.push(
        foreign.file.as_str(),
        vec![
            Cell::exact(set.spins.rows() as f64),
            Cell::exact(set.coupling),
            Cell::maybe_estimate(analysis.map(|found| [found.mean, found.error])),
            Cell::exact(exact),
            Cell::maybe(deviation),
            Cell::maybe(analysis.map(|found| found.autocorrelation_time)),
        ],
    );
    Ok(table)
}

/// A file that the run file names: relative names begin at the folder of the run file.
fn beside(run_file: &str, name: &str) -> PathBuf {
    Path::new(run_file).parent().unwrap_or(Path::new("")).join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_energy_is_held_against_the_coupling_that_is_stated() {
        // 4000 independent configurations of free spins: the law at K = 0, which that at K = 0.1 is not.
        let words = |row: usize| crate::random::Stream::new(3, crate::random::Purpose::Check, row as u64).word();
        let mut spins = crate::spins::BitMatrix::new(4000, 64);
        (0..4000).for_each(|row| spins.row_mut(row)[0] = words(row));
        let mut set = ConfigurationSet {
            geometry: Geometry::Square,
            size: 8,
            coupling: 0.0,
            spins,
            chains: vec![0; 4000],
            draws: (0..4000).collect(),
        };
        let foreign = ForeignSection { file: "x.npy".to_string(), path: None, coupling: 0.0, configurations: 4000 };
        let deviation = |set: &ConfigurationSet| judge(&foreign, set).expect("a table").get(0, "deviation").expect("errors")[0];
        assert!(deviation(&set).abs() < 4.0);
        set.coupling = 0.1;
        assert!(deviation(&set) > 20.0);
        // All up: no error, so no number of errors.
        (0..4000).for_each(|row| set.spins.row_mut(row)[0] = u64::MAX);
        let table = judge(&foreign, &set).expect("a table");
        assert_eq!((table.get(0, "energy_per_site").map(|energy| energy[0]), table.get(0, "deviation")), (Some(-2.0), None));
    }

    #[test]
    fn relative_names_begin_at_the_run_file() {
        assert_eq!(beside("jobs/mine.toml", "data/x.h5"), Path::new("jobs/data/x.h5"));
        assert_eq!(beside("mine.toml", "x.npy"), Path::new("x.npy"));
        assert_eq!(beside("jobs/mine.toml", "/data/x.npy"), Path::new("/data/x.npy"));
    }
}
