//! The steps of a sweep in plain loops, which the compiler turns into vectors of any width. The clusters of 64 tiles are found together, one byte a tile: labels spread
//! by byte minima in raster order, forward and backward in turn, until nothing changes. No branch depends on a single site.

use super::forest::Pairs;
use super::{Band, Engine, Head, Rim};
use crate::kernels::tiles::{BOTTOM, Bytes, FIRST_COLUMN, LEFT, RIGHT, RIM, SITES, TILE, TOP, TileGrid, TileKind, transpose};
use crate::kernels::vector::Halves;

/// The steps in plain loops.
pub(super) struct Plain;

/// Tiles that are labelled together.
const BATCH: usize = 64;

/// One byte for each tile of a batch: tile t at [`lane`] (t).
type Row = [u8; BATCH];

/// Bit 8 k + i of a word is byte 8 i + k, so that eight shifts of one word give all bytes.
#[inline(always)]
fn lane(tile: usize) -> usize {
    tile % 8 * 8 + tile / 8
}

/// 0xFF for the tiles whose bit is clear.
#[inline(always)]
fn closed_bytes(word: u64, bytes: &mut Row) {
    for shift in 0..8 {
        let ones = !word >> shift & FIRST_COLUMN;
        bytes[8 * shift..8 * shift + 8].copy_from_slice(&(ones << 8).wrapping_sub(ones).to_le_bytes());
    }
}

/// A row of labels lowered to those of its neighbours `from`, except where the bond is `closed` (0xFF).
#[inline(always)]
fn lower(label: &mut Row, from: &Row, closed: &Row) {
    for lane in 0..BATCH {
        label[lane] = label[lane].min(from[lane] | closed[lane]);
    }
}

/// Labels by site and tile, and the bonds they spread along.
#[repr(align(64))]
struct Labelling {
    labels: [Row; SITES],
    closed_right: [Row; SITES],
    closed_down: [Row; SITES],
}

impl Labelling {
    /// Spreads labels to the right and downwards. Says whether one changed.
    #[inline(always)]
    fn forward(&mut self) -> bool {
        let mut changed = [0u8; BATCH];
        for site in 1..SITES {
            let mut label = self.labels[site];
            if site % TILE != 0 {
                lower(&mut label, &self.labels[site - 1], &self.closed_right[site - 1]);
            }
            if site >= TILE {
                lower(&mut label, &self.labels[site - TILE], &self.closed_down[site - TILE]);
            }
            for lane in 0..BATCH {
                changed[lane] |= label[lane] ^ self.labels[site][lane];
            }
            self.labels[site] = label;
        }
        changed.iter().fold(0, |any, byte| any | byte) != 0
    }

    /// Spreads labels to the left and upwards.
    #[inline(always)]
    fn backward(&mut self) {
        for site in (0..SITES - 1).rev() {
            let mut label = self.labels[site];
            if site % TILE != TILE - 1 {
                lower(&mut label, &self.labels[site + 1], &self.closed_right[site]);
            }
            if site < SITES - TILE {
                lower(&mut label, &self.labels[site + TILE], &self.closed_down[site]);
            }
            self.labels[site] = label;
        }
    }

    /// Finds the clusters along the bonds inside the tiles, given for each tile a word with the bonds to the right and one with those downwards. After a backward
    /// pass no backward step can change a label, so a forward pass that changes none ends the spreading.
    #[inline(always)]
    fn settle(&mut self, right: &mut [u64; BATCH], down: &mut [u64; BATCH], kinds: &[&TileKind]) {
        transpose(right);
        transpose(down);
        for site in 0..SITES {
            self.labels[site] = [kinds[0].numbers.0[site]; BATCH];
            closed_bytes(right[site], &mut self.closed_right[site]);
            closed_bytes(down[site], &mut self.closed_down[site]);
        }
        for (tile, kind) in kinds.iter().enumerate().filter(|(_, kind)| !std::ptr::eq(**kind, kinds[0])) {
            (0..SITES).for_each(|site| self.labels[site][lane(tile)] = kind.numbers.0[site]);
        }
        self.backward();
        while self.forward() {
            self.backward();
        }
    }

    /// The labels of the eight tiles of number `eighth` mod 8, by bit.
    #[inline(always)]
    fn turned(&self, eighth: usize) -> [[u8; SITES]; 8] {
        let mut turned = [[0; SITES]; 8];
        for row in 0..TILE {
            let mut words: [u64; 8] = std::array::from_fn(|column| {
                let labels = &self.labels[row * TILE + column];
                u64::from_le_bytes(std::array::from_fn(|byte| labels[8 * eighth + byte]))
            });
            swap_bytes::<4>(&mut words, 0x0000_0000_FFFF_FFFF);
            swap_bytes::<2>(&mut words, 0x0000_FFFF_0000_FFFF);
            swap_bytes::<1>(&mut words, 0x00FF_00FF_00FF_00FF);
            for (tile, word) in turned.iter_mut().zip(words) {
                tile[row * TILE..(row + 1) * TILE].copy_from_slice(&word.to_le_bytes());
            }
        }
        turned
    }
}

/// One stage of the transposition of 8 x 8 bytes.
#[inline(always)]
fn swap_bytes<const SIZE: usize>(words: &mut [u64; 8], mask: u64) {
    for start in (0..8).step_by(2 * SIZE) {
        for word in start..start + SIZE {
            let swap = (words[word] >> (8 * SIZE) ^ words[word + SIZE]) & mask;
            words[word] ^= swap << (8 * SIZE);
            words[word + SIZE] ^= swap;
        }
    }
}

/// What follows from the labels of one tile.
#[inline(always)]
fn finish(band: &mut Band, tile: usize, kind: &TileKind, place: usize) {
    let labels = &band.labels[tile].0;
    let sign_word = band.sign_words[place];
    let own = (band.next - band.base) as usize;
    let (parents, signs) = (&mut band.parents[own..own + 32], &mut band.signs[own..own + 32]);
    let mut roots = 0u32;
    let mut node_of = [0u8; SITES];
    let mut nodes = 0;
    for number in 0..RIM {
        let is_root = labels[usize::from(kind.bits.0[number] % SITES as u8)] == number as u8 && number < kind.rim as usize;
        node_of[number] = nodes as u8;
        parents[nodes] = band.next + nodes as u32;
        signs[nodes] = ((sign_word >> number & 1) as u8).wrapping_neg();
        roots |= u32::from(is_root) << number;
        nodes += usize::from(is_root);
    }
    let rim = &mut band.rims[tile];
    for edge in [TOP, LEFT, BOTTOM, RIGHT] {
        for along in 0..TILE {
            let bit = kind.bits.0[usize::from(kind.edges.0[edge * TILE + along]) % SITES];
            rim.nodes[edge][along] = node_of[usize::from(labels[usize::from(bit) % SITES]) % SITES];
        }
    }
    band.heads[tile] = Head { signs: sign_word, rim_roots: roots, first_node: band.next };
    rim.first_node = band.next;
    rim.open_right = kind.leaving_right(band.right[place]);
    rim.open_down = kind.leaving_down(band.down[place]);
    band.next += nodes as u32;
}

/// The pairs of an edge: bit k of `open` for the nodes at place k. A bond is superfluous if the one before it joins the same nodes.
#[inline(always)]
pub(super) fn push(open: u8, older: [u32; TILE], newer: [u32; TILE], pairs: &mut Pairs) {
    let mut left = open;
    for place in 1..TILE {
        let repeats = older[place] == older[place - 1] && newer[place] == newer[place - 1];
        left &= !(u8::from(repeats) << place & open << 1);
    }
    while left != 0 {
        let place = left.trailing_zeros() as usize;
        left &= left - 1;
        pairs.push(older[place], newer[place]);
    }
}

impl Engine for Plain {
    type Random = Halves;

    #[inline(always)]
    fn label(band: &mut Band) {
        let mut labelling = Labelling { labels: [[0; BATCH]; SITES], closed_right: [[0; BATCH]; SITES], closed_down: [[0; BATCH]; SITES] };
        let (grid, tiles) = (band.grid, band.rows * band.grid.per_side());
        for first in (0..tiles).step_by(BATCH) {
            let count = BATCH.min(tiles - first);
            let mut kinds = [grid.kind(0, 0); BATCH];
            let (mut right, mut down) = ([0; BATCH], [0; BATCH]);
            for tile in 0..count {
                let (row, column, word) = band.place(first + tile);
                kinds[tile] = grid.kind(column, row);
                right[tile] = band.right[word] & kinds[tile].inner_right();
                down[tile] = band.down[word] & kinds[tile].inner_down();
            }
            labelling.settle(&mut right, &mut down, &kinds[..count]);
            for eighth in 0..8 {
                for (part, labels) in labelling.turned(eighth).into_iter().enumerate() {
                    let tile = 8 * part + eighth;
                    if tile < count {
                        band.labels[first + tile] = Bytes(labels);
                    }
                }
            }
            for tile in first..first + count {
                finish(band, tile, kinds[tile - first], band.place(tile).2);
            }
        }
    }

    #[inline(always)]
    fn pairs(rims: &[Rim], above: Option<&[Rim]>, pairs: &mut Pairs) {
        for (column, rim) in rims.iter().enumerate() {
            if let Some(above) = above {
                push(above[column].open_down, above[column].edge(BOTTOM), rim.edge(TOP), pairs);
            }
            if column > 0 {
                let left = &rims[column - 1];
                push(left.open_right, left.edge(RIGHT), rim.edge(LEFT), pairs);
            }
        }
    }

    #[inline(always)]
    fn flip(grid: &TileGrid, row: usize, spins: &mut [u64], labels: &[Bytes], heads: &[Head], signs: &[u8], base: u32) {
        for (column, ((own, labels), head)) in spins.iter_mut().zip(labels).zip(heads).enumerate() {
            let kind = grid.kind(column, row);
            let signs = &signs[(head.first_node - base) as usize..];
            let mut by_label = head.signs & !kind.rim_numbers();
            let mut roots = head.rim_roots;
            for sign in signs.iter().take(head.rim_roots.count_ones() as usize) {
                by_label |= u64::from(sign & 1) << roots.trailing_zeros();
                roots &= roots - 1;
            }
            let flips = (0..SITES).fold(0, |flips, bit| flips | (by_label >> (labels.0[bit] % SITES as u8) & 1) << bit);
            *own ^= flips & kind.existing;
        }
    }
}
