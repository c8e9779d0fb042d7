//! `DIR/checkpoint`: what a job needs to go on inside a stage, in two generations. `state` is the newest, `state.previous` the one before it, and a new one is
//! whole on the disk before either is touched.
//!
//! States can be as large as the memory of a node, and those of all ranks together larger. So they are written piece by piece as they come, never copied whole, and read item by item (`generation`).
//!
//! Layout of a generation, all numbers 64 bits, little endian: the magic word (16 bytes); the format version; the BLAKE3 digest of the run file (32 bytes); the
//! number of the stage; the length of the submissions and they themselves, in JSON; the length of the items and they themselves ([`Items`]); at last the BLAKE3 digest (32
//! bytes) of every byte before it. The digest is verified before anything is parsed. Numbers of chains and shards are those of the problem, never of ranks, so
//! that any number of ranks and threads goes on from it.

use super::durable;
use crate::error::{Error, Result};
use crate::record::Submission;
use generation::Found;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

mod generation;
mod items;
pub use generation::{Checkpoint, StoredItems, read_generation};
pub use items::{Items, State, put_words};

/// The folder in DIR.
pub const CHECKPOINT_FOLDER: &str = "checkpoint";
/// The newest generation.
pub const NEWEST: &str = "state";
/// The generation before it.
pub const PREVIOUS: &str = "state.previous";
/// The version of the layout, and of the words of every stage and sampler in it.
pub const CHECKPOINT_VERSION: u64 = 5;

const MAGIC: &[u8; 16] = b"kadanoff state\r\n";
const DIGEST: usize = blake3::OUT_LEN;

/// Bytes that are hashed and written at once.
const PIECE: usize = 1 << 20;

/// The two generations of a run directory.
#[derive(Debug)]
pub struct CheckpointFolder {
    path: PathBuf,
    /// Whether the newest generation may become the previous one: not if it was found damaged.
    newest_is_intact: bool,
}

impl CheckpointFolder {
    /// The checkpoints of a run directory, and what the user should know: half-written files of killed jobs are removed.
    ///
    /// # Errors
    /// [`Error::InputOutput`].
    pub fn open(directory: &Path) -> Result<(Self, Vec<String>)> {
        let path = directory.join(CHECKPOINT_FOLDER);
        let notes = if path.is_dir() { durable::remove_temporaries(&path)? } else { Vec::new() };
        Ok((CheckpointFolder { path, newest_is_intact: true }, notes))
    }

    /// Where the newest generation is.
    pub fn newest(&self) -> PathBuf {
        self.path.join(NEWEST)
    }

    /// The newest intact generation, with a warning if it is not the newest one; `None` if there is none at all. Nothing is changed.
    ///
    /// # Errors
    /// [`Error::Refused`] if there are only damaged ones, or one of another run file or version; [`Error::InputOutput`].
    pub fn read(&mut self, run_file_hash: [u8; DIGEST]) -> Result<(Option<Checkpoint>, Option<String>)> {
        let (newest, previous) = (self.newest(), self.path.join(PREVIOUS));
        let damage = match generation::find(&newest, run_file_hash)? {
            Found::Intact(checkpoint) => return Ok((Some(checkpoint), None)),
            Found::Missing => None,
            Found::Damaged(why) => Some(why),
        };
        self.newest_is_intact = damage.is_none();
        match (generation::find(&previous, run_file_hash)?, damage) {
            (Found::Missing, None) => Ok((None, None)),
            (Found::Intact(checkpoint), why) => {
                let why = why.unwrap_or_else(|| format!("{} is missing", newest.display()));
                Ok((Some(checkpoint), Some(format!("{why}; going on from the checkpoint before it, {}", previous.display()))))
            }
            (found, why) => {
                let older = if let Found::Damaged(older) = found { older } else { format!("there is no {}", previous.display()) };
                let sentences: Vec<String> = why.into_iter().chain([older]).collect();
                Err(Error::Refused(format!(
                    "{}. Nothing was changed: put an intact checkpoint there, or remove the folder {} to begin this stage of the run anew",
                    sentences.join("; "),
                    self.path.display()
                )))
            }
        }
    }

    /// Writes a new generation, with items of `length` bytes, which `put` hands over piece by piece; the newest becomes the previous one. Returns its size in bytes.
    ///
    /// # Errors
    /// [`Error::InputOutput`]; what was there is then still there ([`Self::has_intact`]). `put` may not have been called.
    pub fn write(
        &mut self,
        run_file_hash: [u8; DIGEST],
        stage: u64,
        submissions: &[Submission],
        length: u64,
        put: impl FnOnce(&mut dyn FnMut(&[u8])),
    ) -> Result<u64> {
        // Only this folder: if DIR itself has vanished, that is an error.
        match std::fs::create_dir(&self.path) {
            Err(why) if why.kind() == ErrorKind::AlreadyExists => {}
            Err(why) => return Err(Error::file("make the folder", &self.path, why)),
            Ok(()) => self.path.parent().map_or(Ok(()), durable::synchronize_folder)?,
        }
        let submissions =
            serde_json::to_vec(submissions).map_err(|why| Error::Bug(format!("the submissions of a run are not JSON: {why}.")))?;
        let mut head = Vec::from(MAGIC);
        head.extend(CHECKPOINT_VERSION.to_le_bytes());
        head.extend(run_file_hash);
        head.extend(stage.to_le_bytes());
        head.extend((submissions.len() as u64).to_le_bytes());
        head.extend(submissions);
        head.extend(length.to_le_bytes());
        let size = head.len() as u64 + length + DIGEST as u64;
        let newest = self.newest();
        if let Some(free) = durable::free_space(&self.path).filter(|&free| free < size) {
            return Err(Error::InputOutput(format!(
                "cannot write {}: {size} bytes are needed, {free} are free; make room on the disk of {}",
                newest.display(),
                self.path.display()
            )));
        }
        let previous = self.path.join(PREVIOUS);
        let keep = (self.newest_is_intact && newest.is_file()).then_some(previous.as_path());
        durable::replace_keeping(&newest, keep, size, |temporary| {
            let file = OpenOptions::new().write(true).open(temporary).map_err(|why| Error::file("open", temporary, why))?;
            let mut sealed = Sealed { file, hasher: blake3::Hasher::new(), waiting: head, written: Ok(0) };
            put(&mut |part| sealed.take(part));
            sealed.finish(size).map_err(|why| Error::file("write", &newest, why))
        })?;
        self.newest_is_intact = true;
        Ok(size)
    }

    /// Whether a generation stands on the disk that was not found damaged.
    pub fn has_intact(&self) -> bool {
        (self.newest_is_intact && self.newest().is_file()) || self.path.join(PREVIOUS).is_file()
    }

    /// Removes both generations: what they held is in the files of the run now.
    ///
    /// # Errors
    /// [`Error::InputOutput`].
    pub fn clear(&mut self) -> Result<()> {
        // The newest goes last: a job that is killed here leaves no older state than it had.
        for path in [self.path.join(PREVIOUS), self.newest()] {
            match std::fs::remove_file(&path) {
                Err(why) if why.kind() != ErrorKind::NotFound => return Err(Error::file("remove", &path, why)),
                _ => {}
            }
        }
        // Files of others keep the folder.
        let _ = std::fs::remove_dir(&self.path);
        self.newest_is_intact = true;
        Ok(())
    }
}

/// A file on its way that gets the digest of what is in it at its end.
struct Sealed {
    file: File,
    hasher: blake3::Hasher,
    /// What is to be written next.
    waiting: Vec<u8>,
    /// The bytes written so far, or what went wrong: whoever hands the pieces over is not to be bothered with it.
    written: std::io::Result<u64>,
}

impl Sealed {
    fn take(&mut self, part: &[u8]) {
        self.waiting.extend_from_slice(part);
        if self.waiting.len() >= PIECE {
            self.write_waiting();
        }
    }

    fn write_waiting(&mut self) {
        if let Ok(written) = self.written {
            self.hasher.update(&self.waiting);
            let result = self.file.write_all(&self.waiting).and_then(|()| crate::fault::point("writing-state"));
            self.written = result.map(|()| written + self.waiting.len() as u64);
        }
        self.waiting.clear();
    }

    /// Puts the digest behind all that was taken; it is an error if the file has not `size` bytes then.
    fn finish(mut self, size: u64) -> std::io::Result<()> {
        self.write_waiting();
        self.file.write_all(self.hasher.finalize().as_bytes())?;
        match self.written? + DIGEST as u64 {
            whole if whole == size => Ok(()),
            whole => Err(std::io::Error::other(format!("the state has {whole} bytes instead of {size}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: [u8; DIGEST] = [7; DIGEST];

    fn items(generation: u64) -> Vec<Vec<u8>> {
        let mut items = Items::default();
        items.push(3, [generation, 2, u64::MAX]);
        let mut more = Items::default();
        more.push(4, []);
        more.push(9, 0..50);
        vec![items.into_bytes(), more.into_bytes()]
    }

    fn open(directory: &Path) -> CheckpointFolder {
        CheckpointFolder::open(directory).unwrap().0
    }

    fn generation(checkpoint: Option<Checkpoint>) -> Option<u64> {
        checkpoint.map(|mut checkpoint| Items::words(&checkpoint.items.item(3).unwrap().unwrap())[0])
    }

    fn try_to_write(folder: &mut CheckpointFolder, generation: u64) -> Result<u64> {
        let parts = items(generation);
        let length = parts.iter().map(|part| part.len() as u64).sum();
        folder.write(HASH, 1, &[], length, |take| parts.iter().for_each(|part| take(part)))
    }

    fn write(folder: &mut CheckpointFolder, generation: u64) {
        try_to_write(folder, generation).unwrap();
    }

    #[test]
    fn what_is_written_is_read_and_two_generations_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let mut folder = open(directory.path());
        assert!(matches!(folder.read(HASH).unwrap(), (None, None)));
        assert!(!folder.has_intact());
        for number in 1..=3 {
            write(&mut folder, number);
            assert!(folder.has_intact());
        }
        let (checkpoint, warning) = open(directory.path()).read(HASH).unwrap();
        assert_eq!(warning, None);
        let mut checkpoint = checkpoint.unwrap();
        let bytes = checkpoint.items.bytes().unwrap();
        assert_eq!((checkpoint.stage, &bytes), (1, &items(3).concat()));
        let parsed = Items::parse(&bytes).unwrap();
        assert_eq!(parsed.iter().map(|item| item.0).collect::<Vec<_>>(), [3, 4, 9]);
        assert_eq!(checkpoint.items.numbers().collect::<Vec<_>>(), [3, 4, 9]);
        assert_eq!(Items::words(parsed[2].1), (0..50).collect::<Vec<u64>>());
        for (number, item) in &parsed {
            assert_eq!(checkpoint.items.item(*number).unwrap().as_deref(), Some(*item));
            assert_eq!(checkpoint.items.beginning(*number, 2).unwrap().unwrap(), item[..item.len().min(16)]);
        }
        assert_eq!(checkpoint.items.item(5).unwrap(), None);
        let mut again = Items::default();
        parsed.iter().for_each(|(number, item)| again.push_bytes(*number, item));
        assert_eq!(again.into_bytes(), bytes);
        std::fs::remove_file(folder.newest()).unwrap();
        // As after a kill between the two renames.
        let (checkpoint, warning) = open(directory.path()).read(HASH).unwrap();
        assert_eq!(generation(checkpoint), Some(2));
        assert!(warning.unwrap().contains("missing"));
        folder.clear().unwrap();
        assert!(!directory.path().join(CHECKPOINT_FOLDER).exists());
        folder.clear().unwrap();
    }

    #[test]
    fn fault_01_a_half_written_generation_is_removed_and_the_newest_used() {
        let directory = tempfile::tempdir().unwrap();
        let mut folder = open(directory.path());
        write(&mut folder, 1);
        let whole = std::fs::read(folder.newest()).unwrap();
        let stray = directory.path().join(CHECKPOINT_FOLDER).join(".kadanoff-state-1-0.tmp");
        for cut in [0, 1, whole.len() / 2, whole.len()] {
            std::fs::write(&stray, &whole[..cut]).unwrap();
            let (mut folder, notes) = CheckpointFolder::open(directory.path()).unwrap();
            assert!(notes[0].contains("half written") && !stray.exists());
            assert_eq!(generation(folder.read(HASH).unwrap().0), Some(1));
        }
    }

    #[test]
    fn fault_11_and_12_every_cut_and_every_flipped_bit_is_detected_and_the_previous_generation_used() {
        let directory = tempfile::tempdir().unwrap();
        let mut folder = open(directory.path());
        write(&mut folder, 1);
        write(&mut folder, 2);
        let whole = std::fs::read(folder.newest()).unwrap();
        let mut damaged: Vec<Vec<u8>> = (0..whole.len()).map(|length| whole[..length].to_vec()).collect();
        damaged.extend((0..whole.len()).map(|place| {
            let mut flipped = whole.clone();
            flipped[place] ^= 1 << (place % 8);
            flipped
        }));
        damaged.push([whole.as_slice(), &[0]].concat());
        for bytes in damaged {
            std::fs::write(folder.newest(), bytes).unwrap();
            let (checkpoint, warning) = open(directory.path()).read(HASH).unwrap();
            assert_eq!(generation(checkpoint), Some(1));
            assert!(warning.unwrap().contains("state.previous"));
        }
        // The damaged generation never takes the place of the intact one.
        let mut folder = open(directory.path());
        folder.read(HASH).unwrap();
        write(&mut folder, 3);
        std::fs::remove_file(folder.newest()).unwrap();
        assert_eq!(generation(open(directory.path()).read(HASH).unwrap().0), Some(1));
    }

    #[test]
    fn fault_14_27_and_36_what_cannot_be_used_is_refused_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let mut folder = open(directory.path());
        write(&mut folder, 1);
        let refusal = |folder: &mut CheckpointFolder, hash| match folder.read(hash) {
            Err(Error::Refused(sentence)) => sentence,
            other => panic!("{other:?}"),
        };
        assert!(refusal(&mut folder, [8; DIGEST]).contains("another run file"));
        let whole = std::fs::read(folder.newest()).unwrap();
        let mut newer = whole[..whole.len() - DIGEST].to_vec();
        newer[MAGIC.len()..][..8].copy_from_slice(&(CHECKPOINT_VERSION + 1).to_le_bytes());
        let digest = *blake3::hash(&newer).as_bytes();
        newer.extend(digest);
        std::fs::write(folder.newest(), &newer).unwrap();
        assert!(refusal(&mut folder, HASH).contains("another version"));
        for previous in [None, Some(&b"rubbish"[..])] {
            std::fs::write(folder.newest(), b"damaged").unwrap();
            previous.iter().for_each(|bytes| std::fs::write(directory.path().join("checkpoint/state.previous"), bytes).unwrap());
            let sentence = refusal(&mut open(directory.path()), HASH);
            assert!(sentence.contains("Nothing was changed") && sentence.contains("remove the folder"), "{sentence}");
            assert_eq!(std::fs::read(folder.newest()).unwrap(), b"damaged");
        }
        std::fs::remove_file(folder.newest()).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.newest()).unwrap();
        assert!(refusal(&mut open(directory.path()), HASH).contains("no regular file"));
    }

    #[test]
    fn fault_19_a_vanished_run_directory_is_not_made_again() {
        let directory = tempfile::tempdir().unwrap();
        let run = directory.path().join("run");
        std::fs::create_dir(&run).unwrap();
        let mut folder = open(&run);
        write(&mut folder, 1);
        std::fs::remove_dir_all(&run).unwrap();
        assert!(matches!(try_to_write(&mut folder, 2), Err(Error::InputOutput(_))));
        assert!(!folder.has_intact() && !run.exists());
    }
    /// Larger than the pieces in which it is written, hashed and read, and handed over in pieces of other sizes.
    #[test]
    fn a_state_of_many_pieces_is_read_as_it_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let mut folder = open(directory.path());
        let words: Vec<u64> = (0..3 * PIECE as u64 / 8 + 5).map(|word| word * 0x9E37_79B9_7F4A_7C15).collect();
        let mut state = Items::default();
        state.push(7, words.iter().copied());
        for pieces in [1, 4097, PIECE, 2 * PIECE, 4 * PIECE] {
            let bytes = state.clone().into_bytes();
            folder.write(HASH, 2, &[], state.length(), |take| bytes.chunks(pieces).for_each(take)).unwrap();
            let mut checkpoint = read_generation(&folder.newest(), HASH).unwrap();
            assert!(checkpoint.items.bytes().unwrap() == bytes && Items::words(&checkpoint.items.item(7).unwrap().unwrap()) == words);
        }
        // One bit in the middle of a piece, and a state that is not as long as was said.
        let mut whole = std::fs::read(folder.newest()).unwrap();
        let middle = whole.len() / 2;
        whole[middle] ^= 16;
        std::fs::write(folder.newest(), &whole).unwrap();
        assert!(matches!(read_generation(&folder.newest(), HASH), Err(Error::Refused(sentence)) if sentence.contains("digest")));
        let before = std::fs::read(folder.newest()).unwrap();
        let short = folder.write(HASH, 2, &[], 80, |take| take(&[0; 72]));
        assert!(matches!(short, Err(Error::InputOutput(sentence)) if sentence.contains("instead of")));
        assert!(std::fs::read(folder.newest()).unwrap() == before);
    }
}
