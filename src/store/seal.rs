//! The seal at the end of our HDF5 files: the BLAKE3 digest of every byte before it. It is verified before the HDF5 library, which was not written for hostile
//! files (a flipped bit can send it into an endless loop), parses anything. HDF5 ignores bytes after its end of file, so every reader opens a sealed file as
//! usual; a program that writes into one breaks the seal, as it should.
//!
//! Layout after the HDF5 file: a table of [`Region`]s in JSON, by which a broken seal can name the damaged dataset; the magic word (16 bytes); the length of the
//! HDF5 file and that of the table (8 each, little endian); the digest of file and table (32).

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

const MAGIC: &[u8; 16] = b"kadanoff seal 1\n";
const TRAILER: u64 = 64;
const HDF5_SIGNATURE: &[u8; 8] = b"\x89HDF\r\n\x1a\n";

/// Where the values of a dataset lie in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Region {
    /// The path of the dataset.
    pub name: String,
    /// Offset and length of each of its chunks, in bytes.
    pub chunks: Vec<(u64, u64)>,
    /// BLAKE3 of the chunks, hexadecimal; filled in by [`seal`].
    #[serde(default)]
    pub digest: String,
}

/// What is wrong with the seal of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Breach {
    /// The file is whole in length, but bytes have changed: of these datasets, or of its structure if there are none.
    Changed(Vec<String>),
    /// The file carries no seal, or has another length than the seal says: foreign, cut, or written to by another program.
    Missing,
}

/// Seals a closed file whose datasets lie in these regions.
///
/// # Errors
/// [`Error::InputOutput`].
pub fn seal(path: &Path, mut regions: Vec<Region>) -> Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(|why| Error::file("open", path, why))?;
    for region in &mut regions {
        region.digest = digest_of(&mut file, &region.chunks).map_err(|why| Error::file("read", path, why))?;
    }
    let table = serde_json::to_vec(&regions).map_err(|why| Error::Bug(format!("the table of a seal is not JSON: {why}.")))?;
    append(&mut file, &table).map_err(|why| Error::file("write", path, why))
}

fn append(file: &mut File, table: &[u8]) -> std::io::Result<()> {
    let length = file.seek(SeekFrom::End(0))?;
    file.write_all(table)?;
    let digest = digest(file, length + table.len() as u64)?;
    let mut trailer = Vec::from(MAGIC);
    trailer.extend(length.to_le_bytes());
    trailer.extend((table.len() as u64).to_le_bytes());
    trailer.extend(digest.as_bytes());
    file.write_all(&trailer)
}

/// Verifies that a path is a regular file (no link, pipe or folder) with the HDF5 signature and an unbroken seal.
///
/// # Errors
/// [`Error::InputOutput`] if it cannot be read; [`Error::Refused`] if it is no such file. A breach of the seal is the inner value, for the caller to word.
pub fn verify(path: &Path) -> Result<std::result::Result<(), Breach>> {
    let kind = std::fs::symlink_metadata(path).map_err(|why| Error::file("read", path, why))?.file_type();
    if !kind.is_file() {
        let what = if kind.is_symlink() {
            "a symbolic link"
        } else if kind.is_dir() {
            "a folder"
        } else {
            "a pipe or device"
        };
        return Err(Error::Refused(format!(
            "{} is {what}, not a regular file, and was not opened: put the file itself there or move it away",
            path.display()
        )));
    }
    let mut file = File::open(path).map_err(|why| Error::file("read", path, why))?;
    let mut signature = [0; 8];
    if file.read_exact(&mut signature).is_err() || &signature != HDF5_SIGNATURE {
        return Err(Error::Refused(format!(
            "{} is not an HDF5 file (it does not begin with the HDF5 signature): move it away and run the same command again",
            path.display()
        )));
    }
    inspect(&mut file).map_err(|why| Error::file("read", path, why))
}

fn inspect(file: &mut File) -> std::io::Result<std::result::Result<(), Breach>> {
    let Some(end) = file.metadata()?.len().checked_sub(TRAILER) else { return Ok(Err(Breach::Missing)) };
    file.seek(SeekFrom::Start(end))?;
    let mut trailer = [0; TRAILER as usize];
    file.read_exact(&mut trailer)?;
    let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| trailer[at + byte]));
    let (length, table) = (word(16), word(24));
    if &trailer[..16] != MAGIC || length.checked_add(table) != Some(end) {
        return Ok(Err(Breach::Missing));
    }
    if trailer[32..] == *digest(file, end)?.as_bytes() {
        return Ok(Ok(()));
    }
    file.seek(SeekFrom::Start(length))?;
    let regions: Vec<Region> = serde_json::from_reader(std::io::BufReader::new(Read::take(&mut *file, table))).unwrap_or_default();
    let mut damaged = Vec::new();
    let mut budget = end;
    for region in regions {
        // The table may be what was damaged: chunks that overlap or leave the file prove it.
        let bytes = region
            .chunks
            .iter()
            .try_fold(0u64, |sum, &(start, bytes)| start.checked_add(bytes).filter(|&stop| stop <= end).and(sum.checked_add(bytes)));
        let Some(left) = bytes.and_then(|bytes| budget.checked_sub(bytes)) else { break };
        budget = left;
        if digest_of(file, &region.chunks)? != region.digest {
            damaged.push(region.name);
        }
    }
    Ok(Err(Breach::Changed(damaged)))
}

/// The digest of the first `length` bytes; leaves the file positioned after them.
fn digest(file: &mut File, length: u64) -> std::io::Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    file.seek(SeekFrom::Start(0))?;
    hasher.update_reader(Read::take(&mut *file, length))?;
    file.seek(SeekFrom::Start(length))?;
    Ok(hasher.finalize())
}

fn digest_of(file: &mut File, chunks: &[(u64, u64)]) -> std::io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    for &(start, bytes) in chunks {
        file.seek(SeekFrom::Start(start))?;
        hasher.update_reader(Read::take(&mut *file, bytes))?;
    }
    Ok(hasher.finalize().to_hex().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_byte_and_every_cut_breaks_the_seal() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sealed.h5");
        let mut content = Vec::from(HDF5_SIGNATURE);
        content.extend(0..200u8);
        std::fs::write(&path, &content).unwrap();
        let region = |name: &str, chunks: &[(u64, u64)]| Region { name: name.to_string(), chunks: chunks.to_vec(), digest: String::new() };
        seal(&path, vec![region("/energy", &[(20, 30), (100, 8)]), region("/weights", &[(60, 40)])]).unwrap();
        assert_eq!(verify(&path), Ok(Ok(())));
        let sealed = std::fs::read(&path).unwrap();
        for position in 8..sealed.len() {
            let mut changed = sealed.clone();
            changed[position] ^= 1;
            std::fs::write(&path, &changed).unwrap();
            let name = match position {
                20..50 | 100..108 => Some("/energy".to_string()),
                60..100 => Some("/weights".to_string()),
                _ => None,
            };
            match verify(&path) {
                Ok(Err(Breach::Changed(names))) if position < content.len() => assert_eq!(names, Vec::from_iter(name), "byte {position}"),
                Ok(Err(_)) => assert!(position >= content.len()),
                other => panic!("byte {position} was flipped unnoticed: {other:?}"),
            }
            std::fs::write(&path, &sealed[..position]).unwrap();
            assert_eq!(verify(&path), Ok(Err(Breach::Missing)), "cut to {position} bytes");
        }
    }
}
