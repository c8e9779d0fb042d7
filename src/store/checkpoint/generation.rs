//! Reading one generation. The digest is verified first, in one pass over the file; then the head is parsed and the places of the items are looked up. The items stay in the file until they are asked for.

use super::items::misfit;
use super::{CHECKPOINT_VERSION, DIGEST, MAGIC, PIECE};
use crate::error::{Error, Result};
use crate::record::Submission;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// What one generation holds.
#[derive(Debug)]
pub struct Checkpoint {
    /// BLAKE3 of the run file.
    pub run_file_hash: [u8; DIGEST],
    /// The number of the stage.
    pub stage: u64,
    /// All submissions of the run so far.
    pub submissions: Vec<Submission>,
    /// The state of the stage.
    pub items: StoredItems,
}

/// What was found under the name of a generation.
pub(super) enum Found {
    Intact(Checkpoint),
    Missing,
    Damaged(String),
}

/// One generation by itself, for those who only look.
///
/// # Errors
/// [`Error::Refused`] if it is missing, damaged, of another run file or version; [`Error::InputOutput`].
pub fn read_generation(path: &Path, run_file_hash: [u8; DIGEST]) -> Result<Checkpoint> {
    match find(path, run_file_hash)? {
        Found::Intact(checkpoint) => Ok(checkpoint),
        Found::Missing => Err(Error::Refused(format!("{} is missing", path.display()))),
        Found::Damaged(sentence) => Err(Error::Refused(sentence)),
    }
}

pub(super) fn find(path: &Path, run_file_hash: [u8; DIGEST]) -> Result<Found> {
    let damaged = |what: &str| Ok(Found::Damaged(format!("{} {what}", path.display())));
    match std::fs::symlink_metadata(path) {
        Err(why) if why.kind() == ErrorKind::NotFound => return Ok(Found::Missing),
        Err(why) => return Err(Error::file("read", path, why)),
        Ok(about) if !about.is_file() => return damaged("is no regular file and was not opened"),
        Ok(_) => {}
    }
    let cannot_read = |why| Error::file("read", path, why);
    let mut file = File::open(path).map_err(cannot_read)?;
    let Verified { length, intact } = verify(&mut file).map_err(cannot_read)?;
    let Some(content) = length.checked_sub(DIGEST as u64) else { return damaged(&format!("is cut: it has {length} bytes")) };
    if !intact {
        return damaged(&format!("is damaged: its {length} bytes do not have the digest at its end"));
    }
    let checkpoint = parse(file, path, content).map_err(|error| match error {
        Error::Refused(sentence) => Error::Refused(format!("{} {sentence}", path.display())),
        other => other,
    })?;
    if checkpoint.run_file_hash != run_file_hash {
        return Err(Error::Refused(format!(
            "{} belongs to another run file: move the folder it is in away, it was not used and not changed",
            path.display()
        )));
    }
    Ok(Found::Intact(checkpoint))
}

/// What a look at all bytes of a file says.
struct Verified {
    /// Their number.
    length: u64,
    /// Whether the last of them are the digest of the others.
    intact: bool,
}

/// Reads a whole file, whatever its size, in little memory.
fn verify(file: &mut File) -> std::io::Result<Verified> {
    let (mut hasher, mut length) = (blake3::Hasher::new(), 0);
    // The last bytes that were read, which are the digest if nothing follows.
    let mut held = Vec::with_capacity(PIECE + DIGEST);
    let mut piece = vec![0; PIECE];
    loop {
        let count = match file.read(&mut piece) {
            Err(why) if why.kind() == ErrorKind::Interrupted => continue,
            result => result?,
        };
        if count == 0 {
            break;
        }
        length += count as u64;
        held.extend_from_slice(&piece[..count]);
        let content = held.len().saturating_sub(DIGEST);
        hasher.update(&held[..content]);
        held.drain(..content);
    }
    Ok(Verified { length, intact: hasher.finalize().as_bytes().as_slice() == held })
}

/// The items of a checkpoint, still in its file: numbered sequences of 64-bit words.
#[derive(Debug)]
pub struct StoredItems {
    file: BufReader<File>,
    path: PathBuf,
    /// Where the first one begins, and their length in bytes.
    place: (u64, u64),
    /// Where the words of each begin, and their number.
    places: BTreeMap<u64, (u64, usize)>,
}

impl StoredItems {
    /// The numbers of the items, ascending.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.places.keys().copied()
    }

    /// All items, as the bytes they were written in.
    ///
    /// # Errors
    /// [`Error::InputOutput`].
    pub fn bytes(&mut self) -> Result<Vec<u8>> {
        let (start, length) = self.place;
        self.read(start, usize::try_from(length).map_err(|_| misfit())?)
    }

    /// The words of an item, as bytes; `None` if there is no such item.
    ///
    /// # Errors
    /// [`Error::InputOutput`].
    pub fn item(&mut self, number: u64) -> Result<Option<Vec<u8>>> {
        self.beginning(number, usize::MAX)
    }

    /// At most so many of its first words, as bytes.
    ///
    /// # Errors
    /// [`Error::InputOutput`].
    pub fn beginning(&mut self, number: u64, most: usize) -> Result<Option<Vec<u8>>> {
        let Some(&(start, words)) = self.places.get(&number) else { return Ok(None) };
        self.read(start, 8 * words.min(most)).map(Some)
    }

    fn read(&mut self, start: u64, length: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let read = self.file.seek(SeekFrom::Start(start)).and_then(|_| self.file.read_exact(&mut bytes));
        read.map(|()| bytes).map_err(|why| Error::file("read", &self.path, why))
    }
}

/// The content of a file that has been verified, its first `content` bytes.
fn parse(mut file: File, path: &Path, content: u64) -> Result<Checkpoint> {
    file.rewind().map_err(|why| Error::file("read", path, why))?;
    let mut reader = Reader { file: BufReader::new(file), path, place: 0, end: content };
    if reader.take(MAGIC.len() as u64)? != MAGIC {
        return Err(misfit());
    }
    let version = reader.word()?;
    if version != CHECKPOINT_VERSION {
        return Err(Error::Refused(format!(
            "was written by another version of kadanoff (format {version}, here {CHECKPOINT_VERSION}): go on with that version, or remove the folder it is in to \
             begin this stage of the run anew"
        )));
    }
    let run_file_hash = *reader.take(DIGEST as u64)?.first_chunk().ok_or_else(misfit)?;
    let stage = reader.word()?;
    let length = reader.word()?;
    let submissions = serde_json::from_slice(&reader.take(length)?).map_err(|_| misfit())?;
    let length = reader.word()?;
    let start = reader.place;
    if length != content - start {
        return Err(misfit());
    }
    let mut places = BTreeMap::new();
    while reader.place < content {
        let (number, words) = (reader.word()?, reader.word()?);
        places.insert(number, (reader.place, usize::try_from(words).map_err(|_| misfit())?));
        reader.skip(words.checked_mul(8).ok_or_else(misfit)?)?;
    }
    let items = StoredItems { file: reader.file, path: path.to_path_buf(), place: (start, length), places };
    Ok(Checkpoint { run_file_hash, stage, submissions, items })
}

/// The way through a file up to its digest.
struct Reader<'a> {
    file: BufReader<File>,
    path: &'a Path,
    place: u64,
    end: u64,
}

impl Reader<'_> {
    fn take(&mut self, length: u64) -> Result<Vec<u8>> {
        self.pass(length)?;
        let mut bytes = vec![0; usize::try_from(length).map_err(|_| misfit())?];
        self.file.read_exact(&mut bytes).map_err(|why| Error::file("read", self.path, why))?;
        Ok(bytes)
    }

    fn word(&mut self) -> Result<u64> {
        self.take(8)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes)).ok_or_else(misfit)
    }

    fn skip(&mut self, length: u64) -> Result<()> {
        self.pass(length)?;
        let offset = i64::try_from(length).map_err(|_| misfit())?;
        self.file.seek_relative(offset).map_err(|why| Error::file("read", self.path, why))
    }

    /// Goes on by so many bytes, if there are so many.
    fn pass(&mut self, length: u64) -> Result<()> {
        if length > self.end - self.place {
            return Err(misfit());
        }
        self.place += length;
        Ok(())
    }
}
