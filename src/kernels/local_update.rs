//! Updates of single spins on the checkerboard, 512 at a time, each with random bits of its own. What follows is the definition of the results: the
//! reference sampler (`sampler/reference/local_update.rs`) says the same one spin at a time, and the tests hold the two together spin by spin and word by word.
//!
//! A rule ([`Metropolis`](super::metropolis::Metropolis), [`HeatBath`](super::heat_bath::HeatBath)) makes the new spin from the old one, its four
//! neighbours, and two independent bits whose laws it gives ([`super::byte_law`] and [`super::byte_queue`] define how they are drawn), and, if it wants one,
//! a fair bit.
//!
//! The words of the rows to be updated, in flat order ([`crate::spins::checkerboard`] says which spin is where), are taken eight a block and [`GROUP`] blocks
//! a group (the last group may be shorter, its last block partial). For each group: the first bits of all its blocks, then the second bits of all its
//! blocks, then one step of the lane stream for the fair bits of each block. Slots that do not exist get their bits too.
//!
//! A [`Source`] belongs to a strip of a board; [`crate::spins::checkerboard::Checkerboard::sweep`] says which rows follow on which.

use super::InstructionSet;
use super::byte_law::ByteLaw;
use super::byte_look_up::Bytes;
use super::byte_queue::{ByteQueue, Drawn, GROUP};
use super::checkerboard::{Around, Existing, Masks, Rows, SPARE, Shape, Sideways, SteadyLines, TakeNeighbours, sideways_long};
use super::generator::Lanes;
use super::vector::{BLOCK, Block, Generator, Vector};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::Range;

/// The laws of the two bits of a rule at one coupling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Laws(pub [ByteLaw; 2]);

/// Where a strip takes its random bits from: a lane stream, and what was drawn from it ahead for each law.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The stream.
    pub lanes: Lanes,
    /// One queue for each law.
    pub queues: [ByteQueue; 2],
}

impl Source {
    /// From the beginning of a stream.
    pub fn new(lanes: Lanes) -> Self {
        Source { lanes, queues: [ByteQueue::new(), ByteQueue::new()] }
    }
}

/// The words that will be wanted after those in work: they are called into the second cache meanwhile. Where they are not in it a core otherwise waits for the
/// memory in one colour and not at all in the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ahead([usize; 2]);

impl Ahead {
    /// Nothing is known of what comes next.
    pub const NOTHING: Ahead = Ahead([0; 2]);

    /// Both colours of the lines that come next.
    pub fn new(colours: [&[u64]; 2]) -> Self {
        Ahead(colours.map(|words| words.as_ptr() as usize))
    }

    /// Calls some words of either colour.
    #[inline(always)]
    fn call(self, words: Range<usize>) {
        if self != Self::NOTHING {
            for word in words.step_by(BLOCK) {
                for colour in self.0 {
                    prefetch(colour + word * size_of::<u64>());
                }
            }
        }
    }
}

/// Calls the cache line of an address into the second cache.
#[inline(always)]
fn prefetch(address: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing and never faults, whatever the address; the instruction is as old as the target.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(address as *const i8);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// How a spin moves.
pub trait Rule: Copy + Send + Sync + std::fmt::Debug + 'static {
    /// Whether it wants fair bits.
    const FAIR: bool;

    /// The laws of its bits at the coupling K >= 0.
    fn laws(coupling: f64) -> Laws;

    /// 512 new spins (set bits are spins up) from the old ones, their neighbours and the bits. `fair` is clear unless [`Self::FAIR`].
    fn new_spins<V: Vector>(spins: V, neighbours: [V; 4], bits: [V; 2], fair: V) -> V;

    /// Updates `rows` of one colour once. `own` begins with the first of them and has a block to spare after the last; `other` is the other colour from its
    /// top halo on, with two blocks to spare; `masks` are those of the board; what comes `ahead` is called into the cache meanwhile.
    #[allow(clippy::too_many_arguments)]
    fn update_rows(
        set: InstructionSet,
        own: &mut [u64],
        other: &[u64],
        rows: Rows,
        masks: &Masks,
        laws: &Laws,
        source: &mut Source,
        ahead: Ahead,
    );
}

/// The body of [`Rule::update_rows`] for a rule, which each rule compiles for every instruction set.
#[allow(clippy::too_many_arguments)]
#[inline(always)]
pub(super) fn update<R: Rule, V: Bytes>(
    own: &mut [u64],
    other: &[u64],
    rows: Rows,
    masks: &Masks,
    laws: &Laws,
    source: &mut Source,
    ahead: Ahead,
) {
    let (words, width) = (rows.count * rows.width, rows.width);
    // The state stays in registers or on the stack of this function for all rows.
    let mut generator = Generator::<V>::new(&source.lanes);
    let mut existing = Existing::new(&masks.valid, rows);
    let mut sideways = Sideways::new(masks, rows);
    let steady = sideways.steady_lines::<V>();
    // No slot is to be left alone: all exist, and the last block ends with the last row.
    let full = rows.are_full() && words.is_multiple_of(BLOCK);
    let mut side = if rows.shape() == Shape::Long { vec![0; GROUP * BLOCK + SPARE] } else { Vec::new() };
    let [mut first_bits, mut second_bits] = [[MaybeUninit::<V>::uninit(); GROUP]; 2];
    for start in (0..words).step_by(GROUP * BLOCK) {
        let blocks = (words - start).div_ceil(BLOCK).min(GROUP);
        let length = blocks * BLOCK;
        // Long before they are read, so that what was written word by word is in the cache by then.
        if rows.shape() == Shape::Long {
            sideways_long(other, rows, start, length, &mut side);
        }
        ahead.call(start..start + length);
        let ([first_queue, second_queue], [first_law, second_law]) = (&mut source.queues, &laws.0);
        let at = rows.first * width + start;
        let group = Group {
            own: own[start..start + length].as_chunks_mut().0,
            vertical: [at, at + width, at + 2 * width].map(|from| other[from..from + length].as_chunks().0),
            first_bits: first_queue.fill_new(first_law, &mut generator, &mut first_bits[..blocks]),
        };
        let beside = Beside { around: sideways.around(other, at + width, length), steady: &steady, side: &side, full };
        // Fair bits come after all second bits, so that with them there is nothing to do between those.
        if !R::FAIR
            && let Some(second_bits) = second_queue.begin(second_law, &mut generator)
        {
            let mut blocks = Blocks::<R, V, _> { group, second_bits, generator, rule: PhantomData };
            take_group(&beside, &mut sideways, &mut existing, &mut blocks);
            generator = blocks.generator;
            blocks.second_bits.finish();
        } else {
            let second_bits = second_queue.fill_new(second_law, &mut generator, &mut second_bits[..blocks]);
            let mut blocks = Blocks::<R, V, _> { group, second_bits, generator, rule: PhantomData };
            take_group(&beside, &mut sideways, &mut existing, &mut blocks);
            generator = blocks.generator;
        }
    }
    source.lanes = generator.lanes();
}

/// What the sideways neighbours of a group are found from.
struct Beside<'a, V> {
    around: Around<'a>,
    /// Of short lines.
    steady: &'a Option<SteadyLines<V>>,
    /// Of long lines: the neighbours themselves.
    side: &'a [u64],
    /// No slot is to be left alone.
    full: bool,
}

/// Hands their sideways neighbours to all blocks of a group.
#[inline(always)]
fn take_group<V: Bytes>(beside: &Beside<V>, sideways: &mut Sideways, existing: &mut Existing, blocks: &mut impl TakeNeighbours<V>) {
    let around = &beside.around;
    let count = around.count();
    match (sideways.shape(), beside.steady) {
        (Shape::Whole, _) if beside.full => sideways.in_whole_lines::<V, true>(around, blocks),
        (Shape::Whole, _) => sideways.in_whole_lines::<V, false>(around, blocks),
        (Shape::Short, Some(steady)) if beside.full => {
            let all = V::splat(u64::MAX);
            for block in 0..count {
                blocks.take(block, steady.neighbours(V::from_block(around.same()[block])), all);
            }
        }
        (Shape::Short, Some(steady)) => {
            for block in 0..count {
                blocks.take(block, steady.neighbours(V::from_block(around.same()[block])), existing.next_block());
            }
        }
        (Shape::Short, None) => {
            for block in 0..count {
                blocks.take(block, sideways.in_short_lines(around, block), existing.next_block());
            }
        }
        (Shape::Long, _) => {
            for block in 0..count {
                blocks.take(block, V::load(beside.side, block * BLOCK), existing.next_block());
            }
        }
    }
}

/// A group on its way: all slices are equally long, at most [`GROUP`].
struct Group<'a, V> {
    own: &'a mut [Block],
    /// The other colour above, at the same words, and below.
    vertical: [&'a [Block]; 3],
    first_bits: &'a [V],
}

/// With what its update takes from the stream.
struct Blocks<'a, R, V, S> {
    group: Group<'a, V>,
    second_bits: S,
    generator: Generator<V>,
    rule: PhantomData<R>,
}

impl<R: Rule, V: Bytes, S: Drawn<V>> TakeNeighbours<V> for Blocks<'_, R, V, S> {
    /// Moves the spins of a block.
    #[inline(always)]
    fn take(&mut self, block: usize, side: V, exists: V) {
        let Group { own, vertical, first_bits } = &mut self.group;
        debug_assert!(block < own.len() && vertical.iter().all(|blocks| blocks.len() == own.len()) && first_bits.len() == own.len());
        // SAFETY: all slices were cut to the same number of blocks, and every caller goes once through the blocks from 0 to less than that. (A check of each slice
        // costs as much as the update itself.)
        unsafe {
            let own = own.get_unchecked_mut(block);
            let spins = V::from_block(*own);
            let [above, same, below] = vertical.map(|blocks| V::from_block(*blocks.get_unchecked(block)));
            let bits = [*first_bits.get_unchecked(block), self.second_bits.block(block, &mut self.generator)];
            let fair = if R::FAIR { self.generator.step() } else { V::splat(0) };
            let new = R::new_spins(spins, [above, same, below, side], bits, fair);
            *own = (spins ^ ((spins ^ new) & exists)).to_block();
        }
    }
}

/// [`Rule::update_rows`] of a rule: [`update`] for each instruction set.
macro_rules! on_every_instruction_set {
    ($rule:ident) => {
        fn update_rows(set: InstructionSet, own: &mut [u64], other: &[u64], rows: Rows, masks: &Masks, laws: &Laws, source: &mut Source, ahead: Ahead) {
            #[cfg(target_arch = "x86_64")]
            dispatch! {
                fn register(own: &mut [u64], other: &[u64], rows: Rows, masks: &Masks, laws: &Laws, source: &mut Source, ahead: Ahead) = update::<$rule, Register>;
            }
            #[cfg(target_arch = "x86_64")]
            dispatch! {
                fn pair(own: &mut [u64], other: &[u64], rows: Rows, masks: &Masks, laws: &Laws, source: &mut Source, ahead: Ahead) = update::<$rule, Pair>;
            }
            match set.chosen_kind() {
                #[cfg(target_arch = "x86_64")]
                Chosen::Avx512 => register(set, own, other, rows, masks, laws, source, ahead),
                #[cfg(target_arch = "x86_64")]
                Chosen::Avx2 => pair(set, own, other, rows, masks, laws, source, ahead),
                _ => update::<$rule, Halves>(own, other, rows, masks, laws, source, ahead),
            }
        }
    };
}
pub(super) use on_every_instruction_set;
