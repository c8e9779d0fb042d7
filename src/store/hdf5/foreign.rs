//! A data set of a file that another program wrote, as numbers.

use super::library::filters::Filter;
use super::library::types::TypeDescriptor;
use super::library::{self, Dataset, LinkType};
use super::{block_ranges, explain, first_dimension, reader};
use crate::error::{Error, Result};
use std::path::Path;

/// What can be read.
const KINDS: &str = "write a data set of whole numbers of up to 64 bits, booleans, or floats of 32 or 64 bits";

/// Who takes the numbers of a data set.
pub trait Rows {
    /// Gets the shape, and whether the numbers are unsigned bytes; says how many rows are wanted, and how many numbers one of them has.
    ///
    /// # Errors
    /// What is wrong with them.
    fn begin(&mut self, shape: &[usize], is_byte: bool) -> Result<(usize, usize)>;

    /// Gets some whole rows.
    ///
    /// # Errors
    /// What is wrong with them.
    fn take(&mut self, numbers: &[f64]) -> Result<()>;
}

/// Reads the first rows of a data set.
///
/// # Errors
/// [`Error::Refused`] if there is no such data set, or it cannot be read; what `taker` returns.
pub fn read_numbers(path: &Path, name: &str, taker: &mut dyn Rows) -> Result<()> {
    let refuse =
        |why: String| Error::Refused(format!("{name} of {} cannot be read: {why}; correct the file, or `data` of [train]", path.display()));
    let failed = |why: library::Error| refuse(explain(&why));
    let file = library::File::open(path).map_err(failed)?;
    let (folders, last) = name.trim_matches('/').rsplit_once('/').unwrap_or(("", name.trim_matches('/')));
    let mut group = file.group("/").map_err(failed)?;
    for folder in folders.split('/').filter(|folder| !folder.is_empty()) {
        own_member(&group, folder).map_err(refuse)?;
        group = group.group(folder).map_err(failed)?;
    }
    if !last.is_empty() {
        own_member(&group, last).map_err(refuse)?;
    }
    if last.is_empty() || group.group(last).is_ok() {
        return Err(refuse("it is a group, not a data set: write the path of one in it that holds numbers".to_string()));
    }
    let dataset = group.dataset(last).map_err(failed)?;
    // Floats of 16 bits are among the kinds that the library has no name for.
    let unknown = |why: library::Error| refuse(format!("{KINDS}, and HDF5 says of its own: {}", explain(&why)));
    let kind = dataset.dtype().map_err(failed)?.to_descriptor().map_err(unknown)?;
    let is_number =
        matches!(kind, TypeDescriptor::Boolean | TypeDescriptor::Integer(_) | TypeDescriptor::Unsigned(_) | TypeDescriptor::Float(_));
    if !is_number {
        return Err(refuse(format!("it holds {kind}, which is no number: {KINDS}")));
    }
    let shape = dataset.get_shape().map_err(failed)?;
    let creation = dataset.create_plist().map_err(failed)?;
    if matches!(creation.layout(), library::dataset::Layout::Virtual) || creation.get_external().map_or(true, |files| !files.is_empty()) {
        return Err(refuse("its values lie in another file, which is never opened".to_string()));
    }
    if !dataset.filters().iter().all(|filter| matches!(filter, Filter::Deflate(_) | Filter::Shuffle | Filter::Fletcher32)) {
        return Err(refuse("it is compressed by another filter than deflate (gzip)".to_string()));
    }
    if reader::claims_too_much(&dataset, &shape, kind.size(), false) {
        let stored = dataset.storage_size();
        return Err(refuse(format!(
            "its shape {shape:?}, or the chunks in which it is stored, are more than the {stored} bytes stored can hold"
        )));
    }
    let (rows, width) = taker.begin(&shape, kind == TypeDescriptor::Unsigned(library::types::IntSize::U1))?;
    let mut part = shape.clone();
    part[0] = rows;
    for range in block_ranges(&part, size_of::<f64>()) {
        let selection = first_dimension(range.clone(), shape.len());
        let numbers = match kind {
            TypeDescriptor::Boolean => {
                let block = dataset.read_slice::<bool, _, ndarray::IxDyn>(selection).map_err(failed)?;
                block.iter().map(|&spin| f64::from(u8::from(spin))).collect()
            }
            _ => numbers(&dataset, selection).map_err(failed)?,
        };
        if numbers.len() != range.len() * width {
            return Err(refuse("a part of it has another length than its shape says".to_string()));
        }
        taker.take(&numbers)?;
    }
    Ok(())
}

fn numbers(dataset: &Dataset, selection: library::Hyperslab) -> library::Result<Vec<f64>> {
    Ok(dataset.read_slice::<f64, _, ndarray::IxDyn>(selection)?.iter().copied().collect())
}

/// Whether a member is there, in this file.
fn own_member(group: &library::Group, name: &str) -> std::result::Result<(), String> {
    let links = group.links(library::IndexType::Name, library::IterationOrder::Native).map_err(|why| explain(&why))?;
    match links.into_iter().find(|(found, _)| found == name) {
        Some((_, about)) if about.link_type == LinkType::Hard => Ok(()),
        Some(_) => Err(format!("{name} is a link to elsewhere, which is never followed")),
        None => Err(format!("there is no {name} in it")),
    }
}
