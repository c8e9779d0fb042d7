//! The only file that names the crate of the HDF5 library: what our files need of it, no more.
//!
//! Writing (`writer.rs`): [`FileWriter`] opens, [`GroupWriter`] makes groups, dimensions (netCDF-4 coordinate variables, that is HDF5 dimension scales), variables over
//! them and attributes. Numbers are chunked, shuffled, deflated and carry a Fletcher 32 sum. Reading (`reader.rs`): [`FileReader`] opens only what the seal vouches for,
//! and even then [`GroupReader`] looks at link, kind, type, shape and storage before it allocates anything: no link out of the file is followed, no
//! virtual or external storage and no filter plugin is used, and nothing larger than the file could hold is believed.
//!
//! The library has one global lock and is called from one thread.

mod foreign;
mod reader;
mod writer;

pub use foreign::{Rows, read_numbers};
pub use reader::{Array, FileReader, GroupReader};
pub use writer::{Attributes, FileWriter, GroupWriter};

use ::hdf5 as library;
use hdf5_metno_sys::h5i::hid_t;
use library::{Dataset, H5Type};
use std::ffi::{CStr, c_char, c_int, c_uint};
use std::ops::Range;

/// Chunks are at most this large: one fits a processor's cache, and HDF5's own chunk cache holds it.
const CHUNK_BYTES: usize = 1 << 20;
// Dimension scales have no binding in the crate. SAFETY of the declarations: they repeat H5DSpublic.h of HDF5 1.8 to 2.x.
#[allow(unsafe_code)]
unsafe extern "C" {
    fn H5DSset_scale(scale: hid_t, name: *const c_char) -> c_int;
    fn H5DSattach_scale(dataset: hid_t, scale: hid_t, axis: c_uint) -> c_int;
    fn H5DSset_label(dataset: hid_t, axis: c_uint, label: *const c_char) -> c_int;
}

fn set_scale(scale: &Dataset, name: &CStr) -> c_int {
    // SAFETY: `scale` is an open dataset for the length of the call, `name` is a C string, and `sync` holds the library's global lock.
    #[allow(unsafe_code)]
    library::sync::sync(|| unsafe { H5DSset_scale(scale.id(), name.as_ptr()) })
}

fn attach_scale(dataset: &Dataset, scale: &Dataset, axis: c_uint, label: &CStr) -> c_int {
    // SAFETY: both are open datasets for the length of the calls, `label` is a C string, and `sync` holds the library's global lock. An axis past
    // the rank is refused by the library.
    #[allow(unsafe_code)]
    library::sync::sync(|| unsafe {
        H5DSattach_scale(dataset.id(), scale.id(), axis).min(H5DSset_label(dataset.id(), axis, label.as_ptr()))
    })
}

/// A number that our files hold.
pub trait Number: H5Type + Copy + Default {}
impl Number for f64 {}
impl Number for f32 {}
impl Number for i64 {}
impl Number for u64 {}
impl Number for i8 {}
impl Number for u8 {}

/// What is said of a variable: its `units` (UDUNITS where there are any, "1" for pure numbers) and its `long_name`, the words of a figure's axis.
#[derive(Debug, Clone, Copy)]
pub struct Label<'a> {
    /// The units.
    pub units: &'a str,
    /// The words.
    pub long_name: &'a str,
}

/// Short for [`Label`].
pub fn label<'a>(units: &'a str, long_name: &'a str) -> Label<'a> {
    Label { units, long_name }
}

/// What went wrong inside the library: the system's own words ("No space left on device") where an inner frame has them, else the library's.
fn explain(why: &library::Error) -> String {
    const BEFORE: &str = "error message = '";
    let system = why.stack().and_then(|stack| {
        stack.iter().find_map(|frame| {
            let text = frame.desc();
            let start = text.find(BEFORE)? + BEFORE.len();
            text[start..].split('\'').next().map(str::to_string)
        })
    });
    system.unwrap_or_else(|| why.to_string())
}

/// The same words, and what helps where they are of locks that a file system does not have. The library locks every file that it opens; ours need no lock, since a file gets its name when it is
/// complete.
fn with_locking_hint(words: String) -> String {
    let is_of_locks = ["lock", "temporarily unavailable", "not implemented"].iter().any(|part| words.contains(part));
    if is_of_locks { format!("{words} (set HDF5_USE_FILE_LOCKING=FALSE, and the HDF5 library asks for no locks)") } else { words }
}

/// The shape, its first dimensions halved until a chunk is small enough.
fn chunk_shape(shape: &[usize], bytes: usize) -> Vec<usize> {
    let mut chunk = shape.to_vec();
    while chunk.iter().product::<usize>() * bytes > CHUNK_BYTES {
        let Some(first) = chunk.iter_mut().find(|extent| **extent > 1) else { break };
        *first = first.div_ceil(2);
    }
    chunk
}

/// The ranges of the first dimension in which a variable is written and read, one chunk each.
fn block_ranges(shape: &[usize], bytes: usize) -> Vec<Range<usize>> {
    if shape.is_empty() || shape.contains(&0) {
        return Vec::new();
    }
    let step = chunk_shape(shape, bytes)[0];
    (0..shape[0]).step_by(step).map(|start| start..shape[0].min(start + step)).collect()
}

/// The selection of some indices of the first dimension and all of the others.
fn first_dimension(range: Range<usize>, rank: usize) -> library::Hyperslab {
    let mut slices = vec![library::SliceOrIndex::from(range)];
    slices.resize(rank, library::SliceOrIndex::from(..));
    slices.into()
}
