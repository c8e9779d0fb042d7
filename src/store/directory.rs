//! DIR: what may be in it, and that it belongs to one run file. Everything is looked at before anything is written, and everything that can refuse a run does
//! so here, before the first sweep.

use super::durable;
use super::lock::{self, DirectoryLock};
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The exact copy of the run file.
pub const RUN_FILE: &str = "run.toml";
/// What may lie in a directory that no run has begun in: our own traces.
const TRACES: [&str; 4] = ["log.txt", lock::LOCK_FILE, lock::OWNER_FILE, "stop"];
/// No run file and no log is longer.
const LONGEST_TEXT: u64 = 1 << 28;
/// How many differing keys a refusal names.
const NAMED_DIFFERENCES: usize = 8;

/// The directory of a run, held by this job alone.
#[derive(Debug)]
pub struct RunDirectory {
    path: PathBuf,
    /// Whether the directory held this run already.
    pub resumed: bool,
    /// What the user should know, one sentence each: a dead job taken over from, half-written files removed.
    pub notes: Vec<String>,
    _lock: DirectoryLock,
}

impl RunDirectory {
    /// Makes DIR for a run file, or opens it again for the same one, and locks it. `force_lock`: see [`DirectoryLock::acquire`].
    ///
    /// # Errors
    /// [`Error::Refused`] if DIR belongs to another run file (the sentence names the keys that differ), holds foreign files or is in use;
    /// [`Error::InputOutput`] if it cannot be made or written. Nothing that was there is changed.
    pub fn open_or_create(path: &Path, run_file: &str, force_lock: bool) -> Result<Self> {
        std::fs::create_dir_all(path).map_err(|why| Error::file("make the run directory", path, why))?;
        inspect(path, run_file)?;
        durable::probe(path)?;
        let lock = DirectoryLock::acquire(path, force_lock)?;
        // Another job may have begun between the first look and the lock.
        let resumed = inspect(path, run_file)?;
        let mut notes = lock.notes.clone();
        notes.extend(durable::remove_temporaries(path)?);
        let figures = path.join("figures");
        if figures.is_dir() {
            notes.extend(durable::remove_temporaries(&figures)?);
        }
        if !resumed {
            durable::write(&path.join(RUN_FILE), run_file.as_bytes())?;
        }
        Ok(RunDirectory { path: path.to_path_buf(), resumed, notes, _lock: lock })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// A new folder among the temporary ones, for a trial. A process of the same number, killed earlier, may have left its own.
///
/// # Errors
/// [`Error::InputOutput`] if it cannot be made.
pub fn temporary(purpose: &str) -> Result<PathBuf> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let folder = std::env::temp_dir().join(format!("kadanoff-{purpose}-{}-{now}", std::process::id()));
    std::fs::create_dir(&folder).map_err(|why| Error::file("make the folder", &folder, why))?;
    Ok(folder)
}

/// The run file of a directory, for those who only read it (`status`, `report`, `check`).
///
/// # Errors
/// [`Error::Refused`] if this is no run directory; [`Error::InputOutput`] if it cannot be read.
pub fn run_file(path: &Path) -> Result<String> {
    let file = path.join(RUN_FILE);
    match small_text(&file)? {
        Some(text) => Ok(text),
        None if path.is_dir() => Err(Error::Refused(format!("{} is not the directory of a run: it holds no {RUN_FILE}", path.display()))),
        None => Err(Error::InputOutput(format!("there is no {}", file.display()))),
    }
}

/// The bytes of a file of ours, which may be long. What is no regular file is not opened.
///
/// # Errors
/// Those of the system.
pub fn regular_bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    if std::fs::metadata(path)?.is_file() {
        std::fs::read(path)
    } else {
        Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "it is no regular file"))
    }
}

/// The text of a small file of ours, or none where there is no file. Pipes and devices under its name are not opened: to read them may take for ever.
///
/// # Errors
/// [`Error::Refused`] if it is no regular file, far too long, or no text; [`Error::InputOutput`] if it cannot be read.
pub fn small_text(path: &Path) -> Result<Option<String>> {
    let unfit = |what: &str| Error::Refused(format!("{} is {what}: put back what was there, or give another directory", path.display()));
    let about = match std::fs::metadata(path) {
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        about => about.map_err(|why| Error::file("read", path, why))?,
    };
    if !about.is_file() {
        return Err(unfit("no regular file"));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|why| Error::file("read", path, why))?;
    file.take(LONGEST_TEXT + 1).read_to_end(&mut bytes).map_err(|why| Error::file("read", path, why))?;
    if bytes.len() as u64 > LONGEST_TEXT {
        return Err(unfit("far longer than kadanoff makes it"));
    }
    String::from_utf8(bytes).map(Some).map_err(|_| unfit("no text"))
}

fn names(path: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(path).and_then(|entries| entries.collect::<std::io::Result<Vec<_>>>());
    let mut names: Vec<String> = entries
        .map_err(|why| Error::file("list", path, why))?
        .into_iter()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort_unstable();
    Ok(names)
}

/// Whether DIR holds this run already (or no run at all).
fn inspect(path: &Path, run_file: &str) -> Result<bool> {
    let file = path.join(RUN_FILE);
    let before = match small_text(&file)? {
        Some(text) => text,
        None => {
            let names = names(path)?;
            return match names.iter().find(|name| !TRACES.contains(&name.as_str()) && !durable::is_temporary(name)) {
                None => Ok(false),
                Some(foreign) => Err(Error::Refused(format!(
                    "{} holds {foreign} but no {RUN_FILE}: it is not the directory of a run. Give an empty or new one with --out",
                    path.display()
                ))),
            };
        }
    };
    if before == run_file {
        return Ok(true);
    }
    Err(Error::Refused(format!(
        "{} belongs to another run: {}. Give this run another directory with --out, or take the run file back to what it was",
        path.display(),
        differences(&before, run_file)
    )))
}

/// The keys in which two run files differ, as one sentence.
fn differences(before: &str, after: &str) -> String {
    let (Ok(before), Ok(after)) = (before.parse::<toml::Table>(), after.parse::<toml::Table>()) else {
        return format!("the text of {RUN_FILE} is another");
    };
    let (before, after) = (flattened(before), flattened(after));
    let mut keys: Vec<&String> = before.keys().chain(after.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    let mut sentences: Vec<String> = keys
        .into_iter()
        .filter_map(|key| match (before.get(key), after.get(key)) {
            (Some(was), Some(is)) if was == is => None,
            (Some(was), Some(is)) => Some(format!("{key} was {was}, is {is}")),
            (Some(was), None) => Some(format!("{key} was {was}, is absent")),
            (None, Some(is)) => Some(format!("{key} was absent, is {is}")),
            (None, None) => None,
        })
        .collect();
    if sentences.is_empty() {
        return "every value is the same, but comments or layout of the run file have changed, and DIR holds its exact copy".to_string();
    }
    if sentences.len() > NAMED_DIFFERENCES {
        let more = sentences.len() - NAMED_DIFFERENCES;
        sentences.truncate(NAMED_DIFFERENCES);
        sentences.push(format!("and {more} more"));
    }
    sentences.join("; ")
}

/// Every value by its dotted key; arrays whole.
fn flattened(table: toml::Table) -> BTreeMap<String, String> {
    let mut flat = BTreeMap::new();
    for (key, value) in table {
        match value {
            toml::Value::Table(inner) => flat.extend(flattened(inner).into_iter().map(|(below, value)| (format!("{key}.{below}"), value))),
            value => drop(flat.insert(key, value.to_string())),
        }
    }
    flat
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "seed = 1\n[lattice]\nsizes = [40]\n[sample]\nsweeps = 100\n";

    fn refusal(path: &Path, run_file: &str) -> String {
        match RunDirectory::open_or_create(path, run_file, false) {
            Err(Error::Refused(sentence)) => sentence,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_same_run_file_opens_it_again_and_another_is_refused_by_its_keys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runs").join("one");
        let first = RunDirectory::open_or_create(&path, RUN, false).unwrap();
        assert!(!first.resumed && first.notes.is_empty());
        assert_eq!(std::fs::read_to_string(first.file(RUN_FILE)).unwrap(), RUN);
        assert!(refusal(&path, RUN).contains("in use by"));
        drop(first);
        let stray = path.join(".kadanoff-results.h5-1-0.tmp");
        std::fs::write(&stray, b"half").unwrap();
        let again = RunDirectory::open_or_create(&path, RUN, false).unwrap();
        assert!(again.resumed && again.notes[0].contains("removed .kadanoff-results.h5") && !stray.exists());
        drop(again);
        let sentence = refusal(&path, "seed = 2\n[lattice]\nsizes = [40, 80]\n[sample]\nsweeps = 100\nreplicas = 3\n");
        for part in ["seed was 1, is 2", "lattice.sizes was [40], is [40, 80]", "sample.replicas was absent, is 3"] {
            assert!(sentence.contains(part), "{sentence}");
        }
        assert!(!sentence.contains("sweeps"), "{sentence}");
        assert!(refusal(&path, &format!("# a comment\n{RUN}")).contains("comments"));
        assert_eq!(run_file(&path).unwrap(), RUN);
    }

    #[test]
    fn foreign_directories_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("log.txt"), b"").unwrap();
        drop(RunDirectory::open_or_create(folder.path(), RUN, false).unwrap());
        let other = folder.path().join("other");
        std::fs::create_dir(&other).unwrap();
        std::fs::write(other.join("thesis.tex"), b"years of work").unwrap();
        assert!(refusal(&other, RUN).contains("thesis.tex"));
        assert_eq!(names(&other).unwrap(), ["thesis.tex"], "nothing was added");
        assert!(matches!(run_file(&other), Err(Error::Refused(_))));
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_an_input_output_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, b"").unwrap();
        assert!(matches!(RunDirectory::open_or_create(&file.join("run"), RUN, false), Err(Error::InputOutput(_))));
    }
}
