//! Configurations that another program wrote: a data set of an HDF5 file, or a `.npy` file of numpy. One row a configuration, in site order (y L + x), as (configurations, sites) or as
//! (configurations, L, L); whole numbers, booleans or floats of 32 or 64 bits that are 0 and 1 or -1 and +1, or bytes of eight spins each in the bit order of `configurations.h5`.
//!
//! Nothing of such a file is believed: shapes are held against its length before memory is taken, and every number is looked at. Rank 0 reads it, once: the run keeps what it took in
//! `configurations.h5`, and goes on from there.

use super::hdf5::{Rows, read_numbers};
use crate::error::{Error, Result};
use crate::spins::BitMatrix;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

/// The longest head of a `.npy` file that is read.
const LONGEST_HEAD: u32 = 1 << 16;

/// What a refusal says last.
const REMEDY: &str = "correct the file, or `data` of [train]";

/// Reads the first `wanted` configurations of `sites` spins, which may take minutes; `path` names the data set of an HDF5 file, without it the file is `.npy`. `go_on` is asked now and then.
///
/// # Errors
/// [`Error::Refused`] saying what of the file does not fit, and where; [`Error::InputOutput`] if it cannot be read; what `go_on` fails with.
pub fn read_foreign(file: &Path, path: Option<&str>, sites: usize, wanted: usize, go_on: &dyn Fn() -> Result<()>) -> Result<BitMatrix> {
    if !file.is_file() {
        return Err(Error::Refused(format!("{} is not there, or is no file: {REMEDY}", file.display())));
    }
    let name = path.map_or_else(|| file.display().to_string(), |path| format!("{path} of {}", file.display()));
    let mut taker = Taker::new(name, sites, wanted, go_on);
    match path {
        Some(path) => read_numbers(file, path, &mut taker)?,
        None => read_npy(file, &mut taker)?,
    }
    taker.finish()
}

/// Takes numbers, row after row, and makes spins of them.
struct Taker<'a> {
    name: String,
    sites: usize,
    wanted: usize,
    /// Numbers of a row: the sites, or the bytes that hold them.
    width: usize,
    is_packed: bool,
    spins: BitMatrix,
    taken: usize,
    /// The number that means down, when one was met: 0 or -1.
    down: Option<f64>,
    go_on: &'a dyn Fn() -> Result<()>,
}

impl<'a> Taker<'a> {
    fn new(name: String, sites: usize, wanted: usize, go_on: &'a dyn Fn() -> Result<()>) -> Self {
        Taker { name, sites, wanted, width: sites, is_packed: false, spins: BitMatrix::new(0, sites), taken: 0, down: None, go_on }
    }

    fn refuse(&self, why: impl std::fmt::Display) -> Error {
        Error::Refused(format!("{} cannot be trained on: {why}; {REMEDY}", self.name))
    }

    fn spins_of(&mut self, row: &[f64]) -> Result<()> {
        for (site, &number) in row.iter().enumerate() {
            let place = |taker: &Self| format!("site {site} of configuration {} (both from 0) holds {number}", taker.taken);
            if number == 1.0 {
                self.spins.set(self.taken, site, true);
            } else if number == 0.0 || number == -1.0 {
                if self.down.is_some_and(|down| down != number) {
                    return Err(self.refuse(format!(
                        "{}, and elsewhere it holds {}: either 0 or -1 means down",
                        place(self),
                        -1.0 - number
                    )));
                }
                self.down = Some(number);
            } else {
                return Err(self.refuse(format!("{}: spins are 0 and 1, or -1 and +1", place(self))));
            }
        }
        Ok(())
    }

    /// Site i is bit i mod 8 of byte i / 8.
    fn unpack(&mut self, row: &[f64]) -> Result<()> {
        for (byte, &number) in row.iter().enumerate() {
            let bits = number as u8;
            for bit in (0..8).filter(|bit| bits >> bit & 1 == 1) {
                let site = 8 * byte + bit;
                if site >= self.sites {
                    return Err(self.refuse(format!("configuration {} (from 0) has spins past its last site", self.taken)));
                }
                self.spins.set(self.taken, site, true);
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<BitMatrix> {
        if self.taken < self.wanted {
            return Err(self.refuse(format!("it ends after {} configurations of {}", self.taken, self.wanted)));
        }
        Ok(self.spins)
    }
}

impl Rows for Taker<'_> {
    fn begin(&mut self, shape: &[usize], is_byte: bool) -> Result<(usize, usize)> {
        let (sites, bytes) = (self.sites, self.sites.div_ceil(8));
        let (&rows, rest) = shape.split_first().ok_or_else(|| self.refuse("it is a single number"))?;
        let width = rest.iter().try_fold(1usize, |width, &extent| width.checked_mul(extent)).unwrap_or(usize::MAX);
        if rest.is_empty() || rest.len() > 2 {
            return Err(self.refuse(format!("its shape is {shape:?}, and (configurations, sites) or (configurations, L, L) is needed")));
        }
        if rows == 0 || width == 0 {
            return Err(self.refuse(format!("its shape is {shape:?}: it is empty")));
        }
        self.is_packed = is_byte && width == bytes && width != sites;
        // Other factors of the same number are another lattice, or its sites in another order.
        if let [height, breadth] = *rest
            && (height != breadth || width != sites)
        {
            let side = sites.isqrt();
            return Err(self.refuse(format!(
                "its shape is {shape:?}, and a configuration of the run file is ({side}, {side}), or {sites} numbers in site order in one dimension"
            )));
        }
        if width != sites && !self.is_packed {
            return Err(self.refuse(format!("a row has {width} numbers, and the lattice of the run file has {sites} sites")));
        }
        if rows < self.wanted {
            return Err(self.refuse(format!("it has {rows} configurations, and the run file asks for {}", self.wanted)));
        }
        self.width = width;
        self.spins = BitMatrix::new(self.wanted, sites);
        Ok((self.wanted, width))
    }

    fn take(&mut self, numbers: &[f64]) -> Result<()> {
        (self.go_on)()?;
        for row in numbers.chunks_exact(self.width) {
            if self.is_packed {
                self.unpack(row)?
            } else {
                self.spins_of(row)?
            }
            self.taken += 1;
        }
        Ok(())
    }
}

/// What the head of a `.npy` file says: the kind of number (`b`, `u`, `i` or `f`), its bytes, whether they come in the other order, and the shape.
#[derive(Debug, Clone, PartialEq)]
struct Head {
    kind: char,
    width: usize,
    swapped: bool,
    shape: Vec<usize>,
}

/// Understands the head (numpy, `numpy/lib/format.py`): the text of a Python dictionary.
fn head_of(text: &str) -> std::result::Result<Head, String> {
    let value = |key: &str| {
        let place = text.find(&format!("'{key}':")).ok_or_else(|| format!("its head has no {key}"))?;
        Ok::<&str, String>(text[place + key.len() + 3..].trim_start())
    };
    let descr = value("descr")?;
    let descr = descr.strip_prefix('\'').and_then(|rest| rest.split('\'').next()).ok_or("it holds records, not numbers")?;
    let mut letters = descr.chars();
    let (order, kind) = (letters.next().unwrap_or(' '), letters.next().unwrap_or(' '));
    let width: usize = letters.as_str().parse().map_err(|_| format!("its numbers are of the kind {descr}, which is none of spins"))?;
    let known = match kind {
        'b' => width == 1,
        'u' | 'i' => [1, 2, 4, 8].contains(&width),
        'f' => [4, 8].contains(&width),
        _ => false,
    };
    if !known || !['<', '>', '|'].contains(&order) {
        return Err(format!("its numbers are of the kind {descr}: write it with numpy.int8"));
    }
    if !value("fortran_order")?.starts_with("False") {
        return Err("its numbers lie column after column: write numpy.ascontiguousarray of it".to_string());
    }
    let shape = value("shape")?.strip_prefix('(').and_then(|rest| rest.split(')').next()).ok_or("its head has no shape")?;
    let extents = shape.split(',').map(str::trim).filter(|extent| !extent.is_empty());
    let shape = extents.map(|extent| extent.parse().map_err(|_| format!("its head says the shape ({shape})")));
    Ok(Head { kind, width, swapped: order == '>', shape: shape.collect::<std::result::Result<_, String>>()? })
}

impl Head {
    fn number(&self, bytes: &[u8]) -> f64 {
        let mut wide = [0u8; 8];
        wide[..bytes.len()].copy_from_slice(bytes);
        if self.swapped {
            wide[..bytes.len()].reverse();
        }
        let word = u64::from_le_bytes(wide);
        match (self.kind, self.width) {
            ('f', 4) => f64::from(f32::from_bits(word as u32)),
            ('f', _) => f64::from_bits(word),
            ('i', 1) => f64::from(word as i8),
            ('i', 2) => f64::from(word as i16),
            ('i', 4) => f64::from(word as i32),
            ('i', _) => word as i64 as f64,
            _ => word as f64,
        }
    }
}

fn read_npy(path: &Path, taker: &mut Taker) -> Result<()> {
    let unread = |why| Error::file("read", path, why);
    let file = File::open(path).map_err(unread)?;
    let length = file.metadata().map_err(unread)?.len();
    let mut file = BufReader::new(file);
    let mut start = [0u8; 8];
    let is_npy = file.read_exact(&mut start).is_ok() && start.starts_with(b"\x93NUMPY");
    if !is_npy {
        return Err(taker.refuse("it does not begin as a file of numpy does"));
    }
    let size = if start[6] == 1 { 2 } else { 4 };
    let mut bytes = [0u8; 4];
    let cut = |taker: &Taker| taker.refuse("it is cut in its head");
    file.read_exact(&mut bytes[..size]).map_err(|_| cut(taker))?;
    let head_length = u32::from_le_bytes(bytes);
    if head_length > LONGEST_HEAD {
        return Err(taker.refuse(format!("its head claims {head_length} bytes")));
    }
    let mut text = vec![0u8; head_length as usize];
    file.read_exact(&mut text).map_err(|_| cut(taker))?;
    let head = head_of(&String::from_utf8_lossy(&text)).map_err(|why| taker.refuse(why))?;
    let claimed = head.shape.iter().try_fold(head.width as u64, |bytes, &extent| bytes.checked_mul(extent as u64));
    let there = length.saturating_sub(8 + size as u64 + u64::from(head_length));
    if claimed.is_none_or(|claimed| claimed > there) {
        return Err(taker.refuse(format!("it is cut: its shape {:?} needs more than the {there} bytes that follow its head", head.shape)));
    }
    let (rows, width) = taker.begin(&head.shape, head.kind == 'u' && head.width == 1)?;
    let mut row = vec![0u8; width * head.width];
    for _ in 0..rows {
        file.read_exact(&mut row).map_err(unread)?;
        let numbers: Vec<f64> = row.chunks_exact(head.width).map(|bytes| head.number(bytes)).collect();
        taker.take(&numbers)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_numpy_are_understood() {
        let head = head_of("{'descr': '<f4', 'fortran_order': False, 'shape': (20, 16), }   \n").expect("a head");
        assert_eq!(head, Head { kind: 'f', width: 4, swapped: false, shape: vec![20, 16] });
        assert_eq!(head.number(&1f32.to_le_bytes()), 1.0);
        let head = head_of("{'descr': '>i2', 'fortran_order': False, 'shape': (3,), }").expect("a head");
        assert_eq!((head.number(&(-1i16).to_be_bytes()), head.shape), (-1.0, vec![3]));
        for wrong in [
            "{'descr': '<c8', 'fortran_order': False, 'shape': (3,)}",
            "{'descr': '<f4', 'fortran_order': True, 'shape': (3, 3)}",
            "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3, x)}",
            "{'descr': '<f4', 'fortran_order': False}",
        ] {
            assert!(head_of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_the_lattice_itself_has_two_dimensions() {
        let begin = |shape: &[usize], is_byte: bool| Taker::new("x".to_string(), 16, 400, &|| Ok(())).begin(shape, is_byte);
        assert_eq!(begin(&[400, 4, 4], false).expect("a lattice"), (400, 16));
        assert_eq!(begin(&[400, 16], false).expect("a lattice"), (400, 16));
        assert_eq!(begin(&[400, 2], true).expect("bytes of eight spins"), (400, 2));
        for shape in [[400, 2, 8], [400, 1, 16], [400, 16, 1], [400, 8, 2], [400, 1, 2], [400, 2, 2]] {
            for is_byte in [false, true] {
                let sentence = begin(&shape, is_byte).expect_err("no lattice").to_string();
                assert!(sentence.contains("a configuration of the run file is (4, 4), or 16 numbers"), "{shape:?}: {sentence}");
            }
        }
    }

    #[test]
    fn every_number_is_looked_at() {
        let taken = |rows: &[&[f64]]| {
            let mut taker = Taker::new("x".to_string(), 3, rows.len(), &|| Ok(()));
            taker.begin(&[rows.len(), 3], false)?;
            rows.iter().try_for_each(|row| taker.take(row))?;
            taker.finish()
        };
        let spins = taken(&[&[1.0, -1.0, 1.0], &[-1.0, -1.0, 1.0]]).expect("spins");
        assert_eq!((spins.row(0)[0], spins.row(1)[0]), (0b101, 0b100));
        for (rows, words) in [
            ([1.0, 0.0, -1.0], "site 2 of configuration 0"),
            ([1.0, f64::NAN, 0.0], "site 1 of configuration 0"),
            ([0.5, 1.0, 0.0], "holds 0.5"),
        ] {
            let sentence = taken(&[&rows]).expect_err("no spins").to_string();
            assert!(sentence.contains(words), "{sentence}");
        }
    }
}
