//! `data` of `[train]`: the kept configurations, fresh ones, or those of a file that another program wrote.

use super::lattice::LatticeSection;
use super::reader::{Field, Section};

/// `data = { file = "spins.h5", path = "/spins", coupling = 0.44, configurations = 20000 }`: configurations of another program, in the place of those that `[sample]` would keep.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct ForeignSection {
    /// `file`: an HDF5 file or a `.npy` file; a relative name begins at the folder of the run file.
    pub file: String,
    /// `path` of the data set in an HDF5 file; none for `.npy`.
    pub path: Option<String>,
    /// `coupling` K that they are samples of: what was learned is held against the Ising model there.
    pub coupling: f64,
    /// `configurations` that are taken, the first ones of the file.
    pub configurations: usize,
}

/// Where the configurations of the training come from.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Data {
    Kept,
    Fresh,
    Foreign(ForeignSection),
}

/// Reads the key.
pub(super) fn read(section: &Section) -> Option<Data> {
    section.optional("data", Data::Kept, |field| {
        if field.is_table() {
            foreign(field).map(Data::Foreign)
        } else {
            field.choice(&[("kept", false), ("fresh", true)]).map(kept_or_fresh)
        }
    })
}

fn kept_or_fresh(fresh: bool) -> Data {
    if fresh { Data::Fresh } else { Data::Kept }
}

fn foreign(field: &Field) -> Option<ForeignSection> {
    const KEYS: &[&str] = &["file", "path", "coupling", "configurations"];
    const EXAMPLE: &str = "{ file = \"spins.h5\", path = \"/spins\", coupling = 0.44, configurations = 20000 }";
    let table = field.table("train.data", KEYS, EXAMPLE)?;
    let text = |field: &Field, what: &str| match field.text() {
        Some(text) if !text.is_empty() => Some(text.to_string()),
        _ => field.refuse(&format!("must be {what} in quotes")),
    };
    let file = table.required("file", "file = \"spins.h5\"", |field| text(field, "the name of a file"));
    let path = table.optional("path", None, |field| text(field, "the path of a data set, as \"/spins\",").map(Some));
    let coupling =
        table.required("coupling", "coupling = 0.44 (that of the model the configurations are samples of)", super::couplings::coupling);
    let configurations = table.required("configurations", "configurations = 20000 (so many are taken from the file)", |field| {
        field.count("from 2 to 10^9", 2..=1_000_000_000)
    });
    let (file, path) = (file?, path?);
    let numpy = file.to_lowercase().ends_with(".npy");
    if numpy && path.is_some() {
        table.refuse("path", "an .npy file holds one array and no paths: leave this key out");
        return None;
    }
    if !numpy && path.is_none() {
        table.refuse(
            "file",
            "anything but an .npy file is read as HDF5, and there the data set needs a name: write path = \"/spins\" as well",
        );
        return None;
    }
    Some(ForeignSection { file, path, coupling: coupling?, configurations: configurations? })
}

/// Size and couplings of foreign configurations.
pub(super) fn source(section: &Section, lattice: &LatticeSection, data: &ForeignSection) -> Option<(usize, Vec<f64>)> {
    for key in ["coupling", "couplings"].into_iter().filter(|key| section.has(key)) {
        section.refuse(key, "the coupling of configurations from a file stands in data: leave this key out");
    }
    super::train::size_of(section, lattice).map(|size| (size, vec![data.coupling]))
}
