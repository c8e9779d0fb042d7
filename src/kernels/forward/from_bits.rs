//! Fields from bits by look-up tables.
//!
//! What bounds it, measured on a core with one load of 64 bytes a cycle and half a store: the loads of the table entries. So a few samples are worked on at once, because
//! the sum of each of them is a chain of additions that wait for each other; and the tables of the next tiles are made between the samples, a quarter of a
//! table at a time, because their stores are free beside loads. (At 1600 x 400 that is 13 % of the time with 100 samples and 8 % with 500.)

use super::{GROUPS, Source};
use crate::kernels::float_vector::Vector;
use crate::kernels::numbers::Numbers;
use crate::kernels::tables::{UNITS_PER_GROUP, entry};
use std::cell::Cell;

/// Entries of one table.
pub const ENTRIES: usize = 1 << UNITS_PER_GROUP;

/// The table of one group of sending units for one receiving panel.
type Table = [Vector; ENTRIES];

/// The tables of some tiles.
type Tables<const TILES: usize> = [[Table; GROUPS]; TILES];

/// Memory for the tables of two blocks. Entry 0 of each stays zero.
type Memory = [[Table; GROUPS]; 2 * LARGEST_BLOCK];

/// Tiles of a block, at most.
const LARGEST_BLOCK: usize = 4;

thread_local! {
    /// Kept from call to call: to clear it anew would take some hundredths of the time of a call.
    static MEMORY: Cell<Option<Box<Memory>>> = const { Cell::new(None) };
}

/// From so many samples on their fields leave the fastest cache, and each load and store of a field shall serve more additions.
const MANY_SAMPLES: usize = 256;

/// The fields of all receiving panels that `bias` counts.
#[inline(always)]
pub fn from_bits<N: Numbers, const TRANSPOSED: bool>(source: Source, bias: &[Vector], bits: &[u16], fields: &mut [Vector]) {
    let samples = fields.len() / bias.len();
    assert!(source.tiles > 0, "a layer has units");
    assert!(fields.len() == samples * bias.len() && bits.len() >= source.tiles * samples, "one panel of bits a tile of weights");
    if samples == 0 {
        return;
    }
    let mut memory = MEMORY.take().unwrap_or_else(|| Box::new([[[Vector::ZERO; ENTRIES]; GROUPS]; 2 * LARGEST_BLOCK]));
    if N::WIDE && samples >= MANY_SAMPLES {
        all_panels::<N, 4, 4, TRANSPOSED>(source, bias, bits, samples, fields, &mut memory);
    } else {
        all_panels::<N, 2, 2, TRANSPOSED>(source, bias, bits, samples, fields, &mut memory);
    }
    MEMORY.set(Some(memory));
}

/// Some tiles of a receiving panel that are worked on together: `BLOCK` of them, or one where fewer are left.
#[derive(Clone, Copy)]
struct Block {
    panel: usize,
    tile: usize,
    tiles: usize,
}

impl Block {
    #[inline(always)]
    fn new<const BLOCK: usize>(panel: usize, tile: usize, of: usize) -> Block {
        Block { panel, tile, tiles: if tile + BLOCK <= of { BLOCK } else { 1 } }
    }

    /// The block after this one, of panels of `of` tiles.
    #[inline(always)]
    fn next<const BLOCK: usize>(self, of: usize) -> Block {
        let tile = self.tile + self.tiles;
        if tile < of { Block::new::<BLOCK>(self.panel, tile, of) } else { Block::new::<BLOCK>(self.panel + 1, 0, of) }
    }
}

#[inline(always)]
fn all_panels<N: Numbers, const BLOCK: usize, const TOGETHER: usize, const TRANSPOSED: bool>(
    source: Source,
    bias: &[Vector],
    bits: &[u16],
    samples: usize,
    fields: &mut [Vector],
    memory: &mut Memory,
) {
    let (memory, _): (&mut [Tables<BLOCK>], _) = memory.as_chunks_mut();
    let [mut current, mut next] = memory.first_chunk_mut().expect("memory for two of the largest blocks").each_mut();
    let mut block = Block::new::<BLOCK>(0, 0, source.tiles);
    for index in 0..block.tiles * GROUPS {
        Making::<N>::begin::<TRANSPOSED>(source, block, index).finish(&mut current.as_flattened_mut()[index]);
    }
    while block.panel < bias.len() {
        let following = block.next::<BLOCK>(source.tiles);
        let making = if following.panel < bias.len() { following.tiles * GROUPS } else { 0 };
        let fields = &mut fields[block.panel * samples..][..samples];
        let bits = &bits[block.tile * samples..][..block.tiles * samples];
        let start = N::load(&bias[block.panel]);
        let made = &mut next.as_flattened_mut()[..making];
        let first: &Tables<1> = current.first_chunk().expect("a block has tiles");
        match (block.tiles == BLOCK, block.tile == 0) {
            (true, true) => one_block::<N, BLOCK, TOGETHER, true, TRANSPOSED>(current, bits, start, fields, source, following, made),
            (true, false) => one_block::<N, BLOCK, TOGETHER, false, TRANSPOSED>(current, bits, start, fields, source, following, made),
            (false, true) => one_block::<N, 1, TOGETHER, true, TRANSPOSED>(first, bits, start, fields, source, following, made),
            (false, false) => one_block::<N, 1, TOGETHER, false, TRANSPOSED>(first, bits, start, fields, source, following, made),
        }
        std::mem::swap(&mut current, &mut next);
        block = following;
    }
}

/// A table that is being made, a quarter of its entries at a time; the sums as `tables` has them.
struct Making<N> {
    rows: [N; UNITS_PER_GROUP],
    low: [N; 3],
}

impl<N: Numbers> Making<N> {
    #[inline(always)]
    fn begin<const TRANSPOSED: bool>(source: Source, block: Block, index: usize) -> Self {
        let rows = source.group::<N, TRANSPOSED>(block.panel, block.tile + index / GROUPS, index % GROUPS);
        Making { rows, low: [rows[0], rows[1], rows[0].plus(rows[1])] }
    }

    /// Entries 1 to 3. Entry 0 is zero already.
    #[inline(always)]
    fn first(&self, table: &mut Table) {
        for index in 0..3 {
            self.low[index].store(&mut table[1 + index]);
        }
    }

    /// The entries with one of the last two units and none of the other: 4 to 7, or 8 to 11.
    #[inline(always)]
    fn with(&self, unit: usize, table: &mut Table) {
        self.rows[unit].store(&mut table[1 << unit]);
        for index in 0..3 {
            self.low[index].plus(self.rows[unit]).store(&mut table[(1 << unit) + 1 + index]);
        }
    }

    /// The entries with both.
    #[inline(always)]
    fn last(&self, table: &mut Table) {
        self.rows[2].plus(self.rows[3]).store(&mut table[12]);
        for index in 0..3 {
            self.low[index].plus(self.rows[2]).plus(self.rows[3]).store(&mut table[13 + index]);
        }
    }

    #[inline(always)]
    fn finish(&self, table: &mut Table) {
        self.first(table);
        self.with(2, table);
        self.with(3, table);
        self.last(table);
    }
}

/// Adds what the samples choose of the tables of a block, to the start if it `BEGINS`, and makes those of the block that follows meanwhile.
#[inline(always)]
fn one_block<N: Numbers, const TILES: usize, const TOGETHER: usize, const BEGINS: bool, const TRANSPOSED: bool>(
    tables: &Tables<TILES>,
    bits: &[u16],
    start: N,
    fields: &mut [Vector],
    source: Source,
    following: Block,
    made: &mut [Table],
) {
    let samples = fields.len();
    let mut panels: [&[u16]; TILES] = [&[]; TILES];
    for tile in 0..TILES {
        panels[tile] = &bits[tile * samples..][..samples];
    }
    let mut walk = Walk { tables, bits: panels, start, fields, sample: 0 };
    for (index, table) in made.iter_mut().enumerate() {
        let making = Making::<N>::begin::<TRANSPOSED>(source, following, index);
        walk.step::<TOGETHER, BEGINS>();
        making.first(table);
        walk.step::<TOGETHER, BEGINS>();
        making.with(2, table);
        walk.step::<TOGETHER, BEGINS>();
        making.with(3, table);
        walk.step::<TOGETHER, BEGINS>();
        making.last(table);
    }
    while walk.step::<TOGETHER, BEGINS>() {}
    while walk.step::<1, BEGINS>() {}
}

/// The way of a block through the samples.
struct Walk<'a, N, const TILES: usize> {
    tables: &'a Tables<TILES>,
    bits: [&'a [u16]; TILES],
    start: N,
    fields: &'a mut [Vector],
    sample: usize,
}

impl<N: Numbers, const TILES: usize> Walk<'_, N, TILES> {
    /// Takes the next samples, if as many as are taken `TOGETHER` are left.
    #[inline(always)]
    fn step<const TOGETHER: usize, const BEGINS: bool>(&mut self) -> bool {
        let Some(fields) = self.fields[self.sample..].first_chunk_mut::<TOGETHER>() else { return false };
        let mut sums = [self.start; TOGETHER];
        if !BEGINS {
            for index in 0..TOGETHER {
                sums[index] = N::load(&fields[index]);
            }
        }
        let tables = self.tables.as_flattened();
        for tile in 0..TILES {
            let bits: &[u16; TOGETHER] = self.bits[tile][self.sample..].first_chunk().expect("as many bits as fields");
            for index in 0..TOGETHER {
                for group in 0..GROUPS {
                    let entry = entry(tables, tile * GROUPS + group, u32::from(bits[index]), group * UNITS_PER_GROUP);
                    sums[index] = sums[index].plus(N::load(entry));
                }
            }
        }
        for index in 0..TOGETHER {
            sums[index].store(&mut fields[index]);
        }
        self.sample += TOGETHER;
        true
    }
}
