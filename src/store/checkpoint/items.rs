//! What a stage puts into a checkpoint, and takes out of it.

use crate::error::{Error, Result};

/// What a rank puts into a checkpoint: items as bytes, number, count and words of each (see [`Items`]).
pub trait State {
    /// Hands the bytes over, in pieces: the same bytes every time until something moves.
    fn put(&self, take: &mut dyn FnMut(&[u8]));

    /// The number of these bytes.
    fn length(&self) -> u64 {
        let mut length = 0;
        self.put(&mut |piece| length += piece.len() as u64);
        length
    }
}

impl State for Items {
    fn put(&self, take: &mut dyn FnMut(&[u8])) {
        take(&self.bytes);
    }
}

/// Hands words over as bytes.
pub fn put_words(words: &[u64], take: &mut dyn FnMut(&[u8])) {
    // Few enough that a short piece does not pay for a long one.
    const AT_ONCE: usize = 128;
    let mut bytes = [0; 8 * AT_ONCE];
    for words in words.chunks(AT_ONCE) {
        let (bytes, _) = bytes.split_at_mut(8 * words.len());
        bytes.as_chunks_mut().0.iter_mut().zip(words).for_each(|(bytes, word)| *bytes = word.to_le_bytes());
        take(bytes);
    }
}

/// Numbered sequences of 64-bit words, one after the other as bytes: number, count, words. The items of several ranks, joined in the order of the ranks, are items.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Items {
    bytes: Vec<u8>,
}

impl Items {
    /// Adds an item.
    pub fn push(&mut self, number: u64, words: impl IntoIterator<Item = u64>) {
        self.bytes.extend(number.to_le_bytes());
        let place = self.bytes.len();
        self.bytes.extend([0; 8]);
        let words = words.into_iter();
        self.bytes.reserve(8 * words.size_hint().0);
        words.for_each(|word| self.bytes.extend_from_slice(&word.to_le_bytes()));
        let count = (self.bytes.len() - place) as u64 / 8 - 1;
        self.bytes[place..place + 8].copy_from_slice(&count.to_le_bytes());
    }

    /// Adds an item of other items, whose words are still bytes (see [`Self::parse`]).
    pub fn push_bytes(&mut self, number: u64, item: &[u8]) {
        let (words, _) = item.as_chunks::<8>();
        self.bytes.extend(number.to_le_bytes());
        self.bytes.extend((words.len() as u64).to_le_bytes());
        self.bytes.extend_from_slice(words.as_flattened());
    }

    /// Adds all of other items.
    pub fn append(&mut self, other: &Items) {
        self.bytes.extend_from_slice(&other.bytes);
    }

    /// The bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The items in such bytes, words still as bytes.
    ///
    /// # Errors
    /// [`crate::error::Error::Refused`] if they are none.
    pub fn parse(bytes: &[u8]) -> Result<Vec<(u64, &[u8])>> {
        let mut reader = Reader { rest: bytes };
        let mut items = Vec::new();
        while !reader.rest.is_empty() {
            let number = reader.word()?;
            let length = reader.word()?.checked_mul(8).ok_or_else(misfit)?;
            items.push((number, reader.take(length)?));
        }
        Ok(items)
    }

    /// The words of an item.
    pub fn words(item: &[u8]) -> Vec<u64> {
        item.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect()
    }
}

/// Bytes that have not been read yet.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: u64) -> Result<&'a [u8]> {
        let length = usize::try_from(length).map_err(|_| misfit())?;
        let (head, rest) = self.rest.split_at_checked(length).ok_or_else(misfit)?;
        self.rest = rest;
        Ok(head)
    }

    fn word(&mut self) -> Result<u64> {
        self.take(8)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes)).ok_or_else(misfit)
    }
}

pub(super) fn misfit() -> Error {
    Error::Refused("is no checkpoint of kadanoff, though its digest is right: it was not written by this program".to_string())
}
