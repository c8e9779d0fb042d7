//! A file is replaced whole or not at all: written under a temporary name in the same folder, synchronized, renamed, and the folder synchronized. Readers
//! that have the old file open keep it; nobody ever sees half a file under its real name.

use crate::error::{Error, Result};
use crate::fault;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

const TEMPORARY_PREFIX: &str = ".kadanoff-";
const TEMPORARY_SUFFIX: &str = ".tmp";

/// Whether a file name is one of our temporary names: what a killed job leaves behind.
pub fn is_temporary(name: &str) -> bool {
    name.starts_with(TEMPORARY_PREFIX) && name.ends_with(TEMPORARY_SUFFIX)
}

/// Removes what killed jobs left half written in a folder; one sentence for each file.
///
/// # Errors
/// [`Error::InputOutput`].
pub fn remove_temporaries(folder: &Path) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|why| Error::file("list", folder, why))? {
        let name = entry.map_err(|why| Error::file("list", folder, why))?.file_name().to_string_lossy().into_owned();
        if is_temporary(&name) {
            let stray = folder.join(&name);
            std::fs::remove_file(&stray).map_err(|why| Error::file("remove", &stray, why))?;
            notes.push(format!("removed {name}, half written by a job that was killed"));
        }
    }
    Ok(notes)
}

/// Replaces `path` by these bytes.
///
/// # Errors
/// [`Error::InputOutput`]; the old file is intact and the temporary one removed.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    replace(path, bytes.len() as u64, |temporary| {
        let mut file = OpenOptions::new().write(true).open(temporary).map_err(|why| Error::file("open", temporary, why))?;
        file.write_all(bytes).map_err(|why| Error::file("write", path, why))
    })
}

/// Adds to the end of a file, which is made if it is not there.
///
/// # Errors
/// [`Error::InputOutput`]: also where something else has its name, which might never take a byte (a pipe).
pub fn append(path: &Path, text: &str) -> Result<()> {
    refuse_irregular(path)?;
    let mut file = OpenOptions::new().create(true).append(true).open(path).map_err(|why| Error::file("open", path, why))?;
    file.write_all(text.as_bytes()).map_err(|why| Error::file("write to", path, why))
}

fn refuse_irregular(path: &Path) -> Result<()> {
    if std::fs::metadata(path).is_ok_and(|about| !about.is_file()) {
        return Err(Error::InputOutput(format!(
            "{} is there and is no regular file: it was left as it is; give another name",
            path.display()
        )));
    }
    Ok(())
}

/// Replaces `path` by what `fill` writes into the (empty, ours alone) temporary file whose name it gets. `needed` is about how many bytes that will be: it
/// is named when the disk turns out to be full.
///
/// # Errors
/// What `fill` returned, or [`Error::InputOutput`]; the old file is intact and the temporary one removed.
pub fn replace(path: &Path, needed: u64, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    replace_keeping(path, None, needed, fill)
}

/// [`replace`], where the old file goes on under the name `kept`. Both renames come after the new file is whole on the disk.
///
/// # Errors
/// As for [`replace`]; the old file is intact under one of its two names.
pub fn replace_keeping(path: &Path, kept: Option<&Path>, needed: u64, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let folder = folder_of(path);
    refuse_irregular(path)?;
    let temporary = Temporary::create(path, folder)?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let passing = |step: &str, doing: &str| fault::point(&format!("{step}-{name}")).map_err(|why| Error::file(doing, path, why));
    let written = fill(&temporary.0)
        .and_then(|()| passing("filled", "synchronize"))
        .and_then(|()| {
            let file = File::open(&temporary.0).map_err(|why| Error::file("open", &temporary.0, why))?;
            // An fsync that fails is a failed write: the pages may be gone and a second try would report success.
            file.sync_all().map_err(|why| Error::file("synchronize", path, why))
        })
        .and_then(|()| passing("synchronized", "replace"))
        .and_then(|()| kept.map_or(Ok(()), |kept| std::fs::rename(path, kept).map_err(|why| Error::file("keep", kept, why))))
        .and_then(|()| passing("kept", "replace"))
        .and_then(|()| std::fs::rename(&temporary.0, path).map_err(|why| Error::file("replace", path, why)))
        .and_then(|()| passing("renamed", "synchronize the folder of"));
    if let Err(error) = written {
        // Free space is looked up before the temporary file gives its share back; people know the file by its own name.
        return Err(match with_space(error, folder, needed) {
            Error::InputOutput(sentence) => {
                Error::InputOutput(sentence.replace(&temporary.0.display().to_string(), &path.display().to_string()))
            }
            other => other,
        });
    }
    synchronize_folder(folder)
}

/// Replaces `path` by these bytes without waiting for the disk: after a loss of power the old file, the new one or none may be there, but never half of one that
/// a reader could meet while the machine runs.
///
/// # Errors
/// [`Error::InputOutput`]; the old file is intact and the temporary one removed.
pub fn replace_quickly(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = Temporary::create(path, folder_of(path))?;
    std::fs::write(&temporary.0, bytes).and_then(|()| std::fs::rename(&temporary.0, path)).map_err(|why| Error::file("write", path, why))
}

/// Tries whether a file can be made, written and removed in a folder, so that a run that could not keep its results never begins.
///
/// # Errors
/// [`Error::InputOutput`].
pub fn probe(folder: &Path) -> Result<()> {
    let temporary = Temporary::create(&folder.join("probe"), folder)?;
    std::fs::write(&temporary.0, b"kadanoff was here").map_err(|why| with_space(Error::file("write into", folder, why), folder, 1 << 16))
}

/// Makes the names in a folder durable.
///
/// # Errors
/// [`Error::InputOutput`].
pub fn synchronize_folder(folder: &Path) -> Result<()> {
    let synchronized = File::open(folder).and_then(|file| file.sync_all());
    match synchronized {
        // Some network file systems cannot synchronize a folder and say EINVAL; their rename is durable on the server.
        Err(why) if why.kind() != ErrorKind::InvalidInput => Err(Error::file("synchronize the folder", folder, why)),
        _ => Ok(()),
    }
}

/// The free bytes of the file system that holds `folder`, for this user.
pub fn free_space(folder: &Path) -> Option<u64> {
    let space = rustix::fs::statvfs(folder).ok()?;
    space.f_bavail.checked_mul(space.f_frsize)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Adds bytes needed and bytes free to a failure that a full disk explains.
fn with_space(error: Error, folder: &Path, needed: u64) -> Error {
    let Error::InputOutput(sentence) = error else { return error };
    let free = free_space(folder);
    let full = ["No space left", "quota exceeded"].iter().any(|words| sentence.contains(words))
        || free.is_some_and(|free| free < needed.min(1 << 16));
    match free {
        Some(free) if full => Error::InputOutput(format!(
            "{sentence}. The disk of {} is full: up to {needed} bytes were needed, {free} are free; make room and run the same command again \
             (the old file is intact)",
            folder.display()
        )),
        _ => Error::InputOutput(sentence),
    }
}

/// A temporary file, removed when dropped (after a successful rename there is nothing left to remove).
struct Temporary(PathBuf);

impl Temporary {
    fn create(path: &Path, folder: &Path) -> Result<Self> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        loop {
            let count = COUNTER.fetch_add(1, Ordering::Relaxed);
            let temporary = folder.join(format!("{TEMPORARY_PREFIX}{name}-{}-{count}{TEMPORARY_SUFFIX}", std::process::id()));
            match OpenOptions::new().write(true).create_new(true).open(&temporary) {
                Ok(_) => return Ok(Temporary(temporary)),
                // Left by a dead process that had our number; the next name is free.
                Err(why) if why.kind() == ErrorKind::AlreadyExists && count < 10_000 => {}
                Err(why) => return Err(with_space(Error::file("write", path, why), folder, 1 << 16)),
            }
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Emptied first: a library that failed to close the file must not keep its blocks. Both may fail because the file is no more.
        if let Ok(file) = OpenOptions::new().write(true).open(&self.0) {
            let _ = file.set_len(0);
            let _ = std::fs::remove_file(&self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("summary.json");
        write(&path, b"first").unwrap();
        let failed = replace(&path, 5, |temporary| {
            std::fs::write(temporary, b"half").unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), b"first", "the old file stands while the new one is written");
            Err(Error::file("write", temporary, "No space left on device (os error 28)"))
        });
        let Err(Error::InputOutput(sentence)) = failed else { panic!("{failed:?}") };
        assert!(sentence.contains("up to 5 bytes were needed") && sentence.contains("are free"), "{sentence}");
        assert_eq!(std::fs::read(&path).unwrap(), b"first");
        let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["summary.json"]);
        write(&path, b"second").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"second");
    }

    #[test]
    fn a_vanished_folder_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gone").join("results.h5");
        let failed = write(&path, b"1");
        assert!(matches!(&failed, Err(Error::InputOutput(sentence)) if sentence.contains("results.h5")), "{failed:?}");
    }
}
