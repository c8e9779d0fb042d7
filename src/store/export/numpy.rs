//! `.npz` of numpy: a zip archive, nothing compressed, of arrays in the format `.npy` 1.0. Arrays are made piece by piece, twice (once for the check sum, once for the
//! file), so that large ones are never in memory whole.
//!
//! Sources: numpy, `numpy/lib/format.py`; PKWARE, APPNOTE 6.3 (without ZIP64: an archive ends at 4 GiB).

use crate::error::{Error, Result};
use crate::store::durable;
use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::path::Path;

/// A zip archive without the extension for large files.
const LARGEST: u64 = u32::MAX as u64;
/// 1980-01-01, the first day that a zip archive knows: equal results give equal bytes.
const DATE: u16 = 0x21;

/// An array on its way into an archive.
pub struct Array<'a> {
    /// Its name in the archive, without `.npy`.
    pub name: String,
    /// The type as numpy writes it: `|u1`, `<f4`, `<u8`.
    pub kind: &'static str,
    /// Bytes of an element.
    pub width: usize,
    /// The extent of each dimension.
    pub shape: Vec<usize>,
    /// Hands the elements over in row-major order, little endian, in pieces.
    pub pieces: Pieces<'a>,
}

/// Hands pieces of an array, as bytes, to whoever takes them.
pub type Pieces<'a> = Box<dyn Fn(&mut dyn FnMut(&[u8])) + 'a>;

impl<'a> Array<'a> {
    /// Single-precision numbers.
    pub fn of_floats(name: String, shape: Vec<usize>, numbers: &'a [f32]) -> Self {
        let pieces = move |take: &mut dyn FnMut(&[u8])| numbers.iter().for_each(|number| take(&number.to_le_bytes()));
        Array { name, kind: "<f4", width: 4, shape, pieces: Box::new(pieces) }
    }

    /// 64-bit whole numbers.
    pub fn of_words(name: String, numbers: &'a [u64]) -> Self {
        let pieces = move |take: &mut dyn FnMut(&[u8])| numbers.iter().for_each(|number| take(&number.to_le_bytes()));
        Array { name, kind: "<u8", width: 8, shape: vec![numbers.len()], pieces: Box::new(pieces) }
    }

    /// The head of an `.npy` file, padded to a multiple of 64 bytes.
    fn head(&self) -> Vec<u8> {
        let extents: String = self.shape.iter().map(|extent| format!("{extent}, ")).collect();
        let mut about = format!("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", self.kind, extents.trim_end());
        let length = (10 + about.len() + 1).next_multiple_of(64) - 10;
        about.extend(std::iter::repeat_n(' ', length - about.len() - 1));
        about.push('\n');
        [b"\x93NUMPY\x01\x00", (length as u16).to_le_bytes().as_slice(), about.as_bytes()].concat()
    }

    fn bytes(&self) -> u64 {
        self.head().len() as u64 + self.shape.iter().fold(self.width as u64, |bytes, &extent| bytes.saturating_mul(extent as u64))
    }
}

/// Replaces `path` by an archive of these arrays.
///
/// # Errors
/// [`Error::Usage`] if it would be longer than 4 GiB or have more than 65,535 arrays; [`Error::InputOutput`], an old file is then intact.
pub fn write_npz(path: &Path, arrays: &[Array]) -> Result<()> {
    let total: u64 =
        arrays.iter().map(|array| array.bytes().saturating_add(200 + 2 * array.name.len() as u64)).fold(0, u64::saturating_add);
    if total > LARGEST {
        return Err(Error::Usage(format!(
            "{} would have {total} bytes, and an .npz without extensions ends at {LARGEST}: read the HDF5 files of the run instead (scripts/load.py shows how)",
            path.display()
        )));
    }
    if arrays.len() > usize::from(u16::MAX) {
        return Err(Error::Usage(format!(
            "{} would have {} arrays, and an .npz without extensions has at most {}: read the HDF5 files of the run instead (scripts/load.py shows how)",
            path.display(),
            arrays.len(),
            u16::MAX
        )));
    }
    durable::replace(path, total, |temporary| {
        let file = OpenOptions::new().write(true).open(temporary).map_err(|why| Error::file("open", temporary, why))?;
        archive(&mut BufWriter::new(file), arrays).map_err(|why| Error::file("write", path, why))
    })
}

fn archive(file: &mut impl Write, arrays: &[Array]) -> std::io::Result<()> {
    let (mut directory, mut place) = (Vec::new(), 0u32);
    for array in arrays {
        let (head, name) = (array.head(), format!("{}.npy", array.name));
        let mut sum = CheckSum::new();
        sum.add(&head);
        (array.pieces)(&mut |piece| sum.add(piece));
        let size = array.bytes() as u32;
        // What a local header and the entry of the directory share: version 2.0, no flags, stored, a fixed date, sum, two sizes, length of the name, no extra field.
        let mut about = Vec::new();
        [20u16, 0, 0, 0, DATE].iter().for_each(|number| about.extend(number.to_le_bytes()));
        [sum.value(), size, size].iter().for_each(|number| about.extend(number.to_le_bytes()));
        [name.len() as u16, 0].iter().for_each(|number| about.extend(number.to_le_bytes()));
        let local = [b"PK\x03\x04".as_slice(), &about, name.as_bytes()].concat();
        file.write_all(&local)?;
        file.write_all(&head)?;
        let mut written = Ok(());
        (array.pieces)(&mut |piece| {
            if written.is_ok() {
                written = file.write_all(piece);
            }
        });
        written?;
        directory.extend([b"PK\x01\x02\x14\x00".as_slice(), &about].concat());
        // No comment, disk 0, no attributes, the place of the local header.
        directory.extend([0; 10]);
        directory.extend(place.to_le_bytes());
        directory.extend(name.as_bytes());
        place += local.len() as u32 + size;
    }
    file.write_all(&directory)?;
    let count = (arrays.len() as u16).to_le_bytes();
    file.write_all(
        &[b"PK\x05\x06\0\0\0\0".as_slice(), &count, &count, &(directory.len() as u32).to_le_bytes(), &place.to_le_bytes(), &[0, 0]]
            .concat(),
    )?;
    file.flush()
}

/// CRC-32 of ISO 3309, the polynomial 0xEDB88320 (reflected), by a table of 256 entries.
struct CheckSum {
    table: [u32; 256],
    state: u32,
}

impl CheckSum {
    fn new() -> Self {
        let entry = |byte: usize| (0..8).fold(byte as u32, |value, _| if value & 1 == 1 { 0xEDB8_8320 ^ value >> 1 } else { value >> 1 });
        CheckSum { table: std::array::from_fn(entry), state: u32::MAX }
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.state = self.table[usize::from(self.state as u8 ^ byte)] ^ self.state >> 8;
        }
    }

    fn value(&self) -> u32 {
        !self.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_sum_is_the_one_that_zip_means() {
        let mut sum = CheckSum::new();
        sum.add(b"1234");
        sum.add(b"56789");
        assert_eq!(sum.value(), 0xCBF4_3926, "the published check value of CRC-32");
    }

    #[test]
    fn what_is_too_large_is_refused() {
        let array = Array { name: "x".to_string(), kind: "|u1", width: 1, shape: vec![1 << 20, 1 << 20], pieces: Box::new(|_| {}) };
        assert!(matches!(write_npz(Path::new("/nowhere/x.npz"), &[array]), Err(Error::Usage(sentence)) if sentence.contains("HDF5")));
    }
}
