//! Neighbours on the checkerboard layout, and the observables. The layout is described at the top of [`crate::spins::checkerboard`].
//!
//! Everything works on blocks of eight words (512 slots) in flat order, whatever the width of a row. Read [`sideways`] first, then [`count`].

use super::vector::{BLOCK, Block, Halves, Vector, Words};
use super::{Chosen, InstructionSet, dispatch};

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
pub struct Unsatisfied<V> {
    /// The lower bit of the count over three neighbours.
    pub sum: V,
    /// Its upper bit.
    pub carry: V,
    /// The bond to the fourth neighbour.
    pub fourth: V,
}

/// Counts unsatisfied bonds. The sum and the majority of three bits change sign with all of them, so the spin enters after the adder.
#[inline(always)]
pub fn unsatisfied<V: Vector>(spins: V, [first, second, third, fourth]: [V; 4]) -> Unsatisfied<V> {
    let odd = first ^ second;
    Unsatisfied { sum: odd ^ third ^ spins, carry: ((first & second) | (third & odd)) ^ spins, fourth: fourth ^ spins }
}

/// The masks of existing slots, block after block.
#[derive(Debug, Clone, Copy)]
pub struct Existing<'a> {
    valid: &'a [u64],
    width: usize,
    words_left: usize,
    column: usize,
}

impl<'a> Existing<'a> {
    /// From the first word of `rows` on; `valid` is one period of the mask and a block more.
    #[inline(always)]
    pub fn new(valid: &'a [u64], rows: Rows) -> Self {
        Existing { valid, width: rows.width, words_left: rows.count * rows.width, column: 0 }
    }

    /// The mask of the next block; clear past the last row.
    #[inline(always)]
    pub fn next_block<V: Vector>(&mut self) -> V {
        let mask = V::load(self.valid, self.column);
        self.column += BLOCK;
        while self.column >= self.width {
            self.column -= self.width;
        }
        if self.words_left >= BLOCK {
            self.words_left -= BLOCK;
            return mask;
        }
        let inside: Block = std::array::from_fn(|word| if word < self.words_left { u64::MAX } else { 0 });
        self.words_left = 0;
        mask & V::from_block(inside)
    }
}

/// What [`count`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Bonds between opposite spins.
    pub unsatisfied: u64,
    /// Spins up, of both colours.
    pub up: u64,
}

/// Counts unsatisfied bonds and spins up. `even` and `odd` are the two colours, each from its top halo on; `rows` are rows of colour 0. Every bond
/// has one end of colour 0.
pub fn count(set: InstructionSet, even: &[u64], odd: &[u64], rows: Rows, valid: &[u64]) -> Counts {
    match set.chosen_kind() {
        Chosen::Avx512 => count_words(set, even, odd, rows, valid),
        _ => count_halves(set, even, odd, rows, valid),
    }
}

dispatch! {
    fn count_words(even: &[u64], odd: &[u64], rows: Rows, valid: &[u64]) -> Counts = count_body::<Words>;
}
dispatch! {
    fn count_halves(even: &[u64], odd: &[u64], rows: Rows, valid: &[u64]) -> Counts = count_body::<Halves>;
}

#[inline(always)]
fn count_body<V: Vector>(even: &[u64], odd: &[u64], rows: Rows, valid: &[u64]) -> Counts {
    let width = rows.width;
    let mut counts = Counts { unsatisfied: 0, up: 0 };
    let mut existing = Existing::new(valid, rows);
    let mut side = [0; BLOCK];
    for start in (0..rows.count * width).step_by(BLOCK) {
        sideways(odd, rows, start, &mut side);
        let at = rows.first * width + start;
        let (spins, same) = (V::load(even, at + width), V::load(odd, at + width));
        let mask = existing.next_block::<V>();
        let bonds = unsatisfied(spins, [V::load(odd, at), same, V::load(odd, at + 2 * width), V::from_block(side)]);
        let ones = |bits: V| (bits & mask).to_block().iter().map(|word| u64::from(word.count_ones())).sum::<u64>();
        counts.unsatisfied += ones(bonds.sum) + ones(bonds.fourth) + 2 * ones(bonds.carry);
        counts.up += ones(spins) + ones(same);
    }
    counts
}
