//! Neighbours on the checkerboard layout, and the observables. The layout is described at the top of [`crate::spins::checkerboard`].
//!
//! Everything works on blocks of eight words (512 slots) in flat order, whatever the width of a row. Read [`sideways`] first, then [`count`].

use super::dispatch;

/// The words of a block.
pub const BLOCK: usize = 8;

/// Eight words, a vector of 512 slots.
pub type Block = [u64; BLOCK];

/// Consecutive rows of one colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rows {
    /// The side L of the torus.
    pub side: usize,
    /// The compact columns of a row, L/2.
    pub columns: usize,
    /// The words of a row, ceil(columns / 64).
    pub width: usize,
    /// The colour, 0 or 1.
    pub colour: usize,
    /// The first row.
    pub first: usize,
    /// The number of rows.
    pub count: usize,
}

/// Eight words from `at` on.
#[inline(always)]
pub fn load(words: &[u64], at: usize) -> Block {
    let mut block = [0; BLOCK];
    block.copy_from_slice(&words[at..at + BLOCK]);
    block
}

/// Fills `out` with the sideways neighbours of the words `start..start + out.len()` of `rows`: the other colour shifted by one column, back in rows with
/// (y + colour) even, forth in the others. `other` begins with its top halo. Words past the last row, and slots that do not exist, get anything.
#[inline(always)]
pub fn sideways(other: &[u64], rows: Rows, start: usize, out: &mut [u64]) {
    let width = rows.width;
    let (last_word, last_bit) = ((rows.columns - 1) % width, (rows.columns - 1) / width);
    let end = (rows.count * width).min(start + out.len()) - start;
    let (mut row, mut word, mut filled) = (rows.first + start / width, start % width, 0);
    while filled < end {
        let source = &other[(row + 1) * width..(row + 2) * width];
        let part = (width - word).min(end - filled);
        let target = &mut out[filled..filled + part];
        if (row + rows.colour) % 2 == 0 {
            if word == 0 {
                // Column 0 has column L/2 - 1 before it; the other columns of word 0 have the last word, one bit lower.
                target[0] = source[width - 1] << 1 | (source[last_word] >> last_bit & 1);
                target[1..].copy_from_slice(&source[..part - 1]);
            } else {
                target.copy_from_slice(&source[word - 1..word - 1 + part]);
            }
        } else {
            if word + part == width {
                target[..part - 1].copy_from_slice(&source[word + 1..]);
                target[part - 1] = source[0] >> 1;
            } else {
                target.copy_from_slice(&source[word + 1..word + 1 + part]);
            }
            if (word..word + part).contains(&last_word) {
                // After column L/2 - 1 comes column 0. The shift left a clear bit there: either from a slot that does not exist or from the end of the word.
                target[last_word - word] |= (source[0] & 1) << last_bit;
            }
        }
        filled += part;
        word = 0;
        row += 1;
    }
}

/// The number of unsatisfied bonds of each of 512 spins, as bit planes: `sum + fourth + 2 carry`, where the first three neighbours gave sum and carry.
#[derive(Debug, Clone, Copy)]
pub struct Unsatisfied {
    /// The lower bit of the count over three neighbours.
    pub sum: Block,
    /// Its upper bit.
    pub carry: Block,
    /// The bond to the fourth neighbour.
    pub fourth: Block,
}

/// Counts unsatisfied bonds. The sum and the majority of three bits change sign with all of them, so the spin enters after the adder.
#[inline(always)]
pub fn unsatisfied(spins: &Block, neighbours: [&Block; 4]) -> Unsatisfied {
    let [first, second, third, fourth] = neighbours;
    let mut count = Unsatisfied { sum: [0; BLOCK], carry: [0; BLOCK], fourth: [0; BLOCK] };
    for lane in 0..BLOCK {
        let (a, b, c, spin) = (first[lane], second[lane], third[lane], spins[lane]);
        count.sum[lane] = a ^ b ^ c ^ spin;
        count.carry[lane] = ((a & b) | (c & (a ^ b))) ^ spin;
        count.fourth[lane] = fourth[lane] ^ spin;
    }
    count
}

/// The mask of existing slots of the block at word `start` of `rows`; clear past the last row.
#[inline(always)]
pub fn existing(valid: &[u64], rows: Rows, start: usize) -> Block {
    let mut mask = load(valid, start % rows.width);
    if start + BLOCK > rows.count * rows.width {
        mask[rows.count * rows.width - start..].fill(0);
    }
    mask
}

/// What [`count`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Bonds between opposite spins.
    pub unsatisfied: u64,
    /// Spins up, of both colours.
    pub up: u64,
}

dispatch! {
    /// Counts unsatisfied bonds and spins up. `even` and `odd` are the two colours, each from its top halo on; `rows` are rows of colour 0. Every bond
    /// has one end of colour 0.
    pub fn count(even: &[u64], odd: &[u64], rows: Rows, valid: &[u64]) -> Counts = count_body;
}

#[inline(always)]
fn count_body(even: &[u64], odd: &[u64], rows: Rows, valid: &[u64]) -> Counts {
    let width = rows.width;
    let mut counts = Counts { unsatisfied: 0, up: 0 };
    let mut side = [0; BLOCK];
    for start in (0..rows.count * width).step_by(BLOCK) {
        sideways(odd, rows, start, &mut side);
        let at = rows.first * width + start;
        let (spins, same) = (load(even, at + width), load(odd, at + width));
        let mask = existing(valid, rows, start);
        let bonds = unsatisfied(&spins, [&load(odd, at), &same, &load(odd, at + 2 * width), &side]);
        for lane in 0..BLOCK {
            let ones = |word: u64| u64::from((word & mask[lane]).count_ones());
            counts.unsatisfied += ones(bonds.sum[lane]) + ones(bonds.fourth[lane]) + 2 * ones(bonds.carry[lane]);
            counts.up += ones(spins[lane]) + ones(same[lane]);
        }
    }
    counts
}
