//! Exact Bernoulli bits, 512 at a time, from the tables of [`super::byte_law`]. What follows is the definition of the results on every instruction set.
//!
//! **A block** is the 64 bytes of a vector of eight words in memory order, 512 bits. [`ByteQueue::fill`] draws up to [`GROUP`] of them:
//! 1. First the queue is topped up: if it holds fewer than [`LOW`] bytes, 64 more at a time are added to its end until it holds [`FULL`] or more.
//! 2. Then each block takes one step of the lane stream (columns) or two (alias; the first chooses the columns). Byte i of a step chooses for byte i of
//!    the block. The bytes that come out as the marker take the next bytes of the queue, in order.
//!
//! So the loop over blocks has no branch that depends on random numbers: [`LOW`] bytes are enough for a group whatever comes out.
//!
//! **64 bytes of the queue** take two steps of the lane stream, of which the first chooses the columns of level 2. When all that are added at a time are drawn,
//! those that are the marker of level 2 take the words of further steps, in order of bytes and lanes, for level 3; words that are left over are dropped.
//!
//! **Use.** One [`ByteLaw`] for each probability; one [`ByteQueue`] for each law and stream, which belongs to the state of that stream (it is saved with
//! [`ByteQueue::words`]). Inside a kernel over `V: Bytes`, with a `Generator<V>` in a local variable:
//! ```text
//! let mut bits = [V::splat(0); GROUP];
//! queue.fill(&law, &mut generator, &mut bits[..blocks]);      // blocks <= GROUP; each of the 512 bits of bits[i] is set with the probability of the law
//! ```
//! Everything is inlined; the generator stays in registers.

use super::byte_law::{ByteLaw, First};
use super::byte_look_up::{BYTES, Bytes};
use super::vector::{BLOCK, Generator};
use std::mem::MaybeUninit;

/// The most blocks that are drawn at a time.
pub const GROUP: usize = 16;
/// What the queue holds at least when a group is drawn.
pub const LOW: usize = GROUP * BYTES;
/// What it holds at least after it was topped up.
pub const FULL: usize = 2 * LOW;
/// The most it ever holds is FULL + 63; a read of 64 bytes from its last place ends below this.
const CAPACITY: usize = FULL + 2 * BYTES;

/// The bytes of level 2 of one law that wait to be used. Which law it is, the caller knows.
#[derive(Clone)]
pub struct ByteQueue {
    bytes: Box<[u8; CAPACITY]>,
    /// bytes[first..end] wait.
    first: usize,
    end: usize,
}

impl ByteQueue {
    /// An empty queue.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        ByteQueue { bytes: Box::new([0; CAPACITY]), first: 0, end: 0 }
    }

    /// Draws a group of blocks, at most [`GROUP`].
    ///
    /// # Panics
    /// If there are more.
    #[inline(always)]
    pub fn fill<V: Bytes>(&mut self, law: &ByteLaw, generator: &mut Generator<V>, blocks: &mut [V]) {
        // SAFETY: what may be unset lies in memory like what is set, and `fill_new` writes nothing but set blocks.
        self.fill_new(law, generator, unsafe { &mut *(std::ptr::from_mut(blocks) as *mut [MaybeUninit<V>]) });
    }

    /// The same into blocks that may be unset before, which spares a small lattice the time to clear them. All are set afterwards, and given back.
    ///
    /// # Panics
    /// If there are more than [`GROUP`].
    #[inline(always)]
    pub fn fill_new<'a, V: Bytes>(&mut self, law: &ByteLaw, generator: &mut Generator<V>, blocks: &'a mut [MaybeUninit<V>]) -> &'a [V] {
        assert!(blocks.len() <= GROUP, "a group has at most {GROUP} blocks");
        self.top_up(law, generator);
        // The state stays in registers.
        let (mut state, mut first) = (*generator, self.first);
        let (marker, bytes) = (law.marker, &*self.bytes);
        match &law.first {
            First::Columns(columns) => {
                let (queue, zero_parts, columns) = ((bytes, marker), V::zero_parts(columns), V::prepare(columns));
                first = match zero_parts {
                    6 => by_columns::<V, 6>(&mut state, &columns, queue, first, blocks),
                    4 => by_columns::<V, 4>(&mut state, &columns, queue, first, blocks),
                    2 => by_columns::<V, 2>(&mut state, &columns, queue, first, blocks),
                    _ => by_columns::<V, 0>(&mut state, &columns, queue, first, blocks),
                };
            }
            First::Alias(alias) => {
                for block in &mut *blocks {
                    let (columns, chances) = (state.step(), state.step());
                    let (filled, used) = columns.in_alias(chances, alias).fill_marked(marker, ahead(bytes, first));
                    block.write(filled);
                    first += used;
                }
            }
        }
        (*generator, self.first) = (state, first);
        // SAFETY: either loop has written all of them.
        unsafe { blocks.assume_init_ref() }
    }

    /// Begins a group whose blocks are drawn one by one, for whoever has other work for the processor between them: it does both in less time than one after the other.
    /// `None`, and nothing is done, where there is no such gain: where columns take many instructions, or the law has none.
    #[inline(always)]
    pub fn begin<V: Bytes>(&mut self, law: &ByteLaw, generator: &mut Generator<V>) -> Option<OneByOne<'_, V>> {
        self.one_by_one::<V>(law)?;
        self.top_up(law, generator);
        self.one_by_one(law)
    }

    /// The next blocks of a group that was begun, after [`OneByOne::finish`].
    #[inline(always)]
    pub fn one_by_one<V: Bytes>(&mut self, law: &ByteLaw) -> Option<OneByOne<'_, V>> {
        let (at, first) = (self.first, &mut self.first);
        match &law.first {
            First::Columns(columns) if V::AT_ONCE => {
                Some(OneByOne { columns: V::prepare(columns), marker: law.marker, bytes: &self.bytes, at, first })
            }
            _ => None,
        }
    }

    /// Step 1 of a group.
    #[inline(always)]
    fn top_up<V: Bytes>(&mut self, law: &ByteLaw, generator: &mut Generator<V>) {
        if self.end - self.first >= LOW {
            return;
        }
        let mut state = *generator;
        self.bytes.copy_within(self.first..self.end, 0);
        let end = self.end - self.first;
        (self.first, self.end) = (0, end);
        // The marked bytes of each 64 that are added, and which of these have any. (Asking each 64 at once would be a branch that is often mistaken.)
        let mut marked = [0u64; FULL / BYTES];
        let (mut with, mut pieces) = (0u64, 0);
        while self.end < FULL {
            let (columns, chances) = (state.step(), state.step());
            let drawn = columns.in_alias(chances, &law.second);
            let place = &mut self.bytes[self.end..self.end + BYTES];
            place.as_chunks_mut().0.iter_mut().zip(drawn.to_block()).for_each(|(bytes, word)| *bytes = word.to_le_bytes());
            marked[pieces] = drawn.marked(law.second_marker);
            with |= u64::from(marked[pieces] != 0) << pieces;
            self.end += BYTES;
            pieces += 1;
        }
        let (mut words, mut used) = ([0; BLOCK], BLOCK);
        while with != 0 {
            let piece = with.trailing_zeros() as usize;
            let mut rest = marked[piece];
            while rest != 0 {
                if used == BLOCK {
                    (words, used) = (state.step().to_block(), 0);
                }
                self.bytes[end + piece * BYTES + rest.trailing_zeros() as usize] = law.third.look_up(words[used]);
                used += 1;
                rest &= rest - 1;
            }
            with &= with - 1;
        }
        *generator = state;
    }

    /// The bytes that wait.
    pub fn waiting(&self) -> &[u8] {
        &self.bytes[self.first..self.end]
    }

    /// A queue of these bytes.
    ///
    /// # Panics
    /// If there are more than a queue ever holds.
    pub fn from_bytes(bytes: impl Iterator<Item = u8>) -> Self {
        let mut queue = Self::new();
        for byte in bytes {
            assert!(queue.end < FULL + BYTES, "a queue holds at most {} bytes", FULL + BYTES - 1);
            queue.bytes[queue.end] = byte;
            queue.end += 1;
        }
        queue
    }

    /// The most words of [`Self::words`].
    pub const MOST_WORDS: usize = 1 + (FULL + BYTES) / 8;

    /// The waiting bytes for a snapshot: their number, then they themselves, eight a word, filled up with zeros.
    pub fn words(&self) -> Vec<u64> {
        let waiting = self.waiting();
        let packed = waiting.chunks(8).map(|bytes| bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)));
        std::iter::once(waiting.len() as u64).chain(packed).collect()
    }

    /// The queue of such words, and how many of them it took. `None` if they are no queue.
    pub fn from_words(words: &[u64]) -> Option<(Self, usize)> {
        let (&length, rest) = words.split_first()?;
        let length = usize::try_from(length).ok().filter(|&length| length < FULL + BYTES)?;
        let packed = rest.get(..length.div_ceil(8))?;
        let mut queue = ByteQueue { end: length, ..Self::new() };
        queue.bytes.as_chunks_mut().0.iter_mut().zip(packed).for_each(|(bytes, word)| *bytes = word.to_le_bytes());
        queue.bytes[length..].fill(0);
        Some((queue, 1 + packed.len()))
    }
}

/// Draws blocks whose level 1 are columns, of which so many parts of sixteen are zero. The queue is used from `first` on; returns where it goes on.
#[inline(always)]
fn by_columns<V: Bytes, const ZERO_PARTS: usize>(
    state: &mut Generator<V>,
    columns: &V::Prepared,
    (bytes, marker): (&[u8; CAPACITY], u8),
    mut first: usize,
    blocks: &mut [MaybeUninit<V>],
) -> usize {
    // Two at a time, so that the state goes round without being copied.
    let (pairs, last) = blocks.as_chunks_mut();
    for [one, other] in pairs {
        first += one_by_columns::<V, ZERO_PARTS>(state, columns, marker, ahead(bytes, first), one);
        first += one_by_columns::<V, ZERO_PARTS>(state, columns, marker, ahead(bytes, first), other);
    }
    if let [one] = last {
        first += one_by_columns::<V, ZERO_PARTS>(state, columns, marker, ahead(bytes, first), one);
    }
    first
}

/// The blocks of a group, which were drawn or are drawn when they are wanted.
pub trait Drawn<V> {
    /// A block of them. They are asked for in order.
    ///
    /// # Safety
    /// `block` is one of those that there are, and a group that was begun has at most [`GROUP`]. (Checks would cost as much as an instruction of the generator.)
    unsafe fn block(&mut self, block: usize, generator: &mut Generator<V>) -> V;
}

impl<V: Bytes> Drawn<V> for &[V] {
    #[inline(always)]
    unsafe fn block(&mut self, block: usize, _: &mut Generator<V>) -> V {
        debug_assert!(block < self.len());
        // SAFETY: the caller vouches for it.
        unsafe { *self.get_unchecked(block) }
    }
}

/// Blocks that are drawn when they are wanted.
pub struct OneByOne<'a, V: Bytes> {
    columns: V::Prepared,
    marker: u8,
    bytes: &'a [u8; CAPACITY],
    /// Where the queue goes on, and its own account of that, which is brought up to date at the end.
    at: usize,
    first: &'a mut usize,
}

impl<V: Bytes> OneByOne<'_, V> {
    /// The queue goes on after the blocks that were drawn.
    #[inline(always)]
    pub fn finish(self) {
        *self.first = self.at;
    }
}

impl<V: Bytes> Drawn<V> for OneByOne<'_, V> {
    #[inline(always)]
    unsafe fn block(&mut self, _: usize, generator: &mut Generator<V>) -> V {
        let mut block = MaybeUninit::uninit();
        self.at += one_by_columns::<V, 0>(generator, &self.columns, self.marker, ahead(self.bytes, self.at), &mut block);
        // SAFETY: it was written.
        unsafe { block.assume_init() }
    }
}

/// Draws one of them. Returns how many bytes of the queue it used.
#[inline(always)]
fn one_by_columns<V: Bytes, const ZERO_PARTS: usize>(
    state: &mut Generator<V>,
    columns: &V::Prepared,
    marker: u8,
    queue: &[u8; BYTES],
    block: &mut MaybeUninit<V>,
) -> usize {
    let drawn = state.step();
    let (filled, used) = drawn.in_columns_after::<ZERO_PARTS>(columns).fill_marked(marker, queue);
    block.write(filled);
    used
}

/// The 64 bytes from a place on. Those past the end of the queue are never used.
#[inline(always)]
fn ahead(bytes: &[u8; CAPACITY], first: usize) -> &[u8; BYTES] {
    debug_assert!(first < FULL + BYTES);
    // SAFETY: `first` is at most the end of the queue, because a group uses no more than the LOW bytes there are when it begins; and that end is at most
    // FULL + 63, which leaves 65 bytes to the end of the array. (A check here costs as much as an instruction of the generator.)
    unsafe { &*bytes.as_ptr().add(first).cast::<[u8; BYTES]>() }
}

/// Queues are equal if the same bytes wait.
impl PartialEq for ByteQueue {
    fn eq(&self, other: &Self) -> bool {
        self.waiting() == other.waiting()
    }
}

impl Eq for ByteQueue {}

impl std::fmt::Debug for ByteQueue {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "ByteQueue of {} bytes", self.end - self.first)
    }
}

#[cfg(test)]
mod tests;
