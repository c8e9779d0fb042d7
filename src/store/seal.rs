//! The seal at the end of our HDF5 files: the BLAKE3 digest of every byte before it. It is verified before the HDF5 library, which was not written for hostile
//! files, parses anything. HDF5 ignores bytes after its end of file, so every reader opens a sealed file as usual; a program that writes into one breaks
//! the seal, as it should.
//!
//! Layout of the last 56 bytes: the magic word (16), the length of the sealed part (8, little endian), its digest (32).

use crate::error::{Error, Result};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

const MAGIC: &[u8; 16] = b"kadanoff seal 1\n";
const LENGTH: u64 = 56;
const HDF5_SIGNATURE: &[u8; 8] = b"\x89HDF\r\n\x1a\n";

/// What is wrong with the seal of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breach {
    /// The file is whole in length, but bytes have changed.
    Changed,
    /// The file carries no seal, or has another length than the seal says: foreign, cut, or written to by another program.
    Missing,
}

/// Seals a closed file: appends the digest of all its bytes.
///
/// # Errors
/// [`Error::InputOutput`].
pub fn seal(path: &Path) -> Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(|why| Error::file("open", path, why))?;
    let length = file.metadata().map_err(|why| Error::file("read", path, why))?.len();
    let digest = digest(&mut file, length).map_err(|why| Error::file("read", path, why))?;
    let mut trailer = Vec::from(MAGIC);
    trailer.extend(length.to_le_bytes());
    trailer.extend(digest.as_bytes());
    file.write_all(&trailer).map_err(|why| Error::file("write", path, why))
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
    let length = file.metadata()?.len();
    let Some(sealed) = length.checked_sub(LENGTH) else { return Ok(Err(Breach::Missing)) };
    file.seek(SeekFrom::Start(sealed))?;
    let mut trailer = [0; LENGTH as usize];
    file.read_exact(&mut trailer)?;
    if &trailer[..16] != MAGIC || trailer[16..24] != sealed.to_le_bytes() {
        return Ok(Err(Breach::Missing));
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(if trailer[24..] == *digest(file, sealed)?.as_bytes() { Ok(()) } else { Err(Breach::Changed) })
}

fn digest(file: &mut File, length: u64) -> std::io::Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file.take(length))?;
    Ok(hasher.finalize())
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
        seal(&path).unwrap();
        assert_eq!(verify(&path), Ok(Ok(())));
        let sealed = std::fs::read(&path).unwrap();
        for position in 8..sealed.len() {
            let mut changed = sealed.clone();
            changed[position] ^= 1;
            std::fs::write(&path, &changed).unwrap();
            assert!(matches!(verify(&path), Ok(Err(_))), "byte {position} was flipped unnoticed");
            std::fs::write(&path, &sealed[..position]).unwrap();
            assert_eq!(verify(&path), Ok(Err(Breach::Missing)), "cut to {position} bytes");
        }
    }
}
