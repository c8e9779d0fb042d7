//! The notes of the stage `[renormalize]`, and of the analysis before it: the results of its finished parts and the states of long calculations on their way, from which a later job goes on. Rank 0 has them;
//! the thread that calculates writes, and the one that talks to the other ranks puts them into checkpoints.

use super::progress::Progress;
use crate::error::{Error, Result};
use crate::ledger::{Calls, Ledger};
use crate::store::checkpoint::Items;
use serde::{Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a job that writes a checkpoint waits for the states it asked for.
const PATIENCE: Duration = Duration::from_secs(5);
/// Results of finished parts have names that begin so.
const PART: &str = "part ";
/// The item that holds the work done.
const WORK: &str = "work";

/// The notes.
pub struct Notes {
    kept: Mutex<BTreeMap<String, Vec<u64>>>,
    calls: Calls,
    work: AtomicU64,
    /// Whether this job has added anything.
    has_news: AtomicBool,
    /// Work that a part is said to be beside what it tells of itself.
    work_of_part: u64,
    progress: Progress,
}

impl Notes {
    /// The notes of an earlier job, or none. Every part counts for `work_of_part`.
    pub fn new(mut kept: BTreeMap<String, Vec<u64>>, work_of_part: u64, progress: Progress) -> Self {
        let work = AtomicU64::new(work_done(&kept));
        // From here on it is counted there.
        kept.remove(WORK);
        Notes { kept: Mutex::new(kept), calls: Calls::default(), work, has_news: AtomicBool::new(false), work_of_part, progress }
    }

    /// The result of a part, calculated now or by an earlier job. When it is there, the states that led to it are forgotten.
    ///
    /// # Errors
    /// What the calculation fails with.
    pub fn part<T: Serialize + DeserializeOwned>(&self, name: &str, calculate: impl FnOnce() -> Result<T>) -> Result<T> {
        let name = format!("{PART}{name}");
        if let Some(words) = self.found(&name) {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            // The bytes that fill the last word up come after the value.
            return ciborium::from_reader(bytes.as_slice()).map_err(|why| {
                Error::Refused(format!("the {name} in the checkpoint of this stage cannot be read ({why}): remove the folder checkpoint"))
            });
        }
        let result = calculate()?;
        let mut bytes = Vec::new();
        ciborium::into_writer(&result, &mut bytes).map_err(|why| Error::Bug(format!("the {name} cannot be kept: {why}.")))?;
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        let mut kept = self.lock();
        kept.retain(|other, _| other.starts_with(PART));
        kept.insert(name, bytes.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect());
        drop(kept);
        self.has_news.store(true, Ordering::Relaxed);
        self.advance(self.work_of_part);
        Ok(result)
    }

    /// Asks for the states of what is on its way, waits for them a little, and makes a checkpoint of all there is.
    pub fn items(&self) -> Items {
        // If the job stops now, this is the last that is heard of it.
        self.progress.note_now();
        self.calls.ask();
        let begun = Instant::now();
        while !self.calls.are_answered() && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(2));
        }
        let mut items = Items::default();
        let work = vec![self.work.load(Ordering::Relaxed)];
        let kept = self.lock();
        for (number, (name, words)) in
            std::iter::once((WORK, &work)).chain(kept.iter().map(|(name, words)| (name.as_str(), words))).enumerate()
        {
            let name = name.as_bytes();
            let packed = name.chunks(8).map(|bytes| bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)));
            items.push(number as u64, std::iter::once(name.len() as u64).chain(packed).chain(words.iter().copied()));
        }
        items
    }

    /// Whether this job has added anything.
    pub fn has_news(&self) -> bool {
        self.has_news.load(Ordering::Relaxed)
    }

    /// The work done, that of earlier jobs included.
    #[cfg(test)]
    pub fn work(&self) -> u64 {
        self.work.load(Ordering::Relaxed)
    }

    /// The stage is over.
    pub fn finish(&self) {
        self.progress.finish();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u64>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger for Notes {
    fn advance(&self, work: u64) {
        self.work.fetch_add(work, Ordering::Relaxed);
        self.progress.advance(work);
    }

    fn found(&self, name: &str) -> Option<Vec<u64>> {
        self.lock().get(name).cloned()
    }

    fn keep(&self, name: &str, words: Vec<u64>) {
        // The only faults that make sense here are those that end the process.
        let _ = crate::fault::point("answer");
        self.lock().insert(name.to_string(), words);
        self.has_news.store(true, Ordering::Relaxed);
    }

    fn calls(&self) -> Option<&Calls> {
        Some(&self.calls)
    }
}

/// The notes in the items of a checkpoint.
///
/// # Errors
/// [`Error::Refused`] if they are none.
pub fn read(stored: &[u8]) -> Result<BTreeMap<String, Vec<u64>>> {
    let misfit = || Error::Refused("the checkpoint of the renormalization is none of this program".to_string());
    let mut kept = BTreeMap::new();
    for (_, item) in Items::parse(stored)? {
        let words = Items::words(item);
        let (&length, rest) = words.split_first().ok_or_else(misfit)?;
        let length = usize::try_from(length).map_err(|_| misfit())?;
        let (name, words) = rest.split_at_checked(length.div_ceil(8)).ok_or_else(misfit)?;
        let mut name: Vec<u8> = name.iter().flat_map(|word| word.to_le_bytes()).collect();
        name.truncate(length);
        kept.insert(String::from_utf8(name).map_err(|_| misfit())?, words.to_vec());
    }
    Ok(kept)
}

/// The work that notes say is done.
pub fn work_done(kept: &BTreeMap<String, Vec<u64>>) -> u64 {
    kept.get(WORK).and_then(|words| words.first()).copied().unwrap_or(0)
}

/// What the items of a checkpoint of a stage hold, for people.
///
/// # Errors
/// [`Error::Refused`] if they are no notes.
pub fn fit(stored: &[u8], stage: &str) -> Result<String> {
    let kept = read(stored)?;
    Ok(format!("{} parts of the {stage} done", kept.keys().filter(|name| name.starts_with(PART)).count()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes(kept: BTreeMap<String, Vec<u64>>) -> Notes {
        Notes::new(kept, 10, Progress::new("", "steps", 1, false))
    }

    #[test]
    fn parts_and_states_survive_a_checkpoint_bit_for_bit() {
        type Value = (f64, f64, Vec<f64>, Option<f32>, String);
        let value: Value = (f64::NAN, f64::INFINITY, vec![0.1, -0.0], Some(1.0 / 3.0), "xi".to_string());
        let first = notes(BTreeMap::new());
        first.keep("a state", vec![7]);
        first.part("one", || Ok(value.clone())).unwrap();
        first.keep("another state", vec![1, u64::MAX]);
        first.advance(5);
        let again = notes(read(&first.items().into_bytes()).unwrap());
        assert_eq!(again.work.load(Ordering::Relaxed), 15);
        again.advance(4);
        assert_eq!(work_done(&read(&again.items().into_bytes()).unwrap()), 19);
        assert_eq!((again.found("a state"), again.found("another state")), (None, Some(vec![1, u64::MAX])));
        let found = again.part("one", || -> Result<Value> { panic!("it is there") }).unwrap();
        assert!(found.0.is_nan() && found.1 == value.1 && found.2[0].to_bits() == 0.1f64.to_bits() && found.2[1].is_sign_negative());
        assert_eq!((found.3, found.4), (value.3, value.4));
        assert_eq!(fit(&again.items().into_bytes(), "renormalization").unwrap(), "1 parts of the renormalization done");
        assert!(read(&[1, 2, 3]).is_err());
    }
}
