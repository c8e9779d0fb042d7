//! Neighbours on the checkerboard layout, and the observables. The layout is described at the top of [`crate::spins::checkerboard`].
//!
//! Everything works on blocks of eight words (512 slots) in flat order, whatever the width of a row. Read [`sideways`] first, then [`count`].

#[cfg(target_arch = "x86_64")]
use super::vector::Register;
use super::vector::{BLOCK, Block, Halves, Vector};
use super::{Chosen, InstructionSet, dispatch};

/// Consecutive lines of one colour: rows, or several rows folded into one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rows {
    /// The compact columns of a row, L/2.
    pub columns: usize,
    /// The words of a line, ceil(columns / 64).
    pub width: usize,
    /// The rows that share a line; more than one only if `width` is 1.
    pub folds: usize,
    /// The colour, 0 or 1.
    pub colour: usize,
    /// The first line, counted from the start of the arrays.
    pub first: usize,
    /// The line of the whole lattice at which the arrays start: where a line lies decides to which side its columns are shifted.
    pub origin: usize,
    /// The number of lines.
    pub count: usize,
}

/// Words that [`sideways`] may write past the last one it was asked for.
pub const SPARE: usize = BLOCK - 1;

/// Fills `out[..length]` with the sideways neighbours of the words `start..start + length` of `rows`: the other colour shifted by one column, back in
/// lines with (y + colour) even, forth in the others. `other` begins with its top halo and has [`BLOCK`] words to spare at its end, `out` [`SPARE`]. Words
/// past the last row, and slots that do not exist, get anything.
#[inline(always)]
pub fn sideways(other: &[u64], rows: Rows, start: usize, length: usize, out: &mut [u64]) {
    let length = length.min(rows.count * rows.width - start);
    if rows.width == 1 {
        sideways_words(other, rows, start, &mut out[..length]);
    } else {
        sideways_rows(other, rows, start, length, out);
    }
}

/// [`sideways`] where a line is a word: each row in it is shifted by itself.
#[inline(always)]
fn sideways_words(other: &[u64], rows: Rows, start: usize, out: &mut [u64]) {
    let first_columns = (0..rows.folds).fold(0u64, |mask, fold| mask | 1 << (fold * rows.columns));
    let last = rows.columns as u32 - 1;
    let last_columns = first_columns << last;
    let line = rows.first + start;
    let source = &other[line + 1..line + 1 + out.len()];
    for (index, (target, &word)) in out.iter_mut().zip(source).enumerate() {
        let back = (word << 1 & !first_columns) | (word >> last & first_columns);
        let forth = (word >> 1 & !last_columns) | (word << last & last_columns);
        *target = if (rows.origin + line + rows.colour + index).is_multiple_of(2) { back } else { forth };
    }
}

/// [`sideways`] in lines of several words: the line moved by one word, eight words at a time, and then what comes round its ends.
#[inline(always)]
fn sideways_rows(other: &[u64], rows: Rows, start: usize, length: usize, out: &mut [u64]) {
    let (width, last) = (rows.width, rows.columns - 1);
    let (seam_word, seam_bit) = (last % width, last / width);
    let (mut line, mut word, mut filled) = (rows.first + start / width, start % width, 0);
    while filled < length {
        let row = (line + 1) * width;
        let part = (width - word).min(length - filled);
        let back = (rows.origin + line + rows.colour).is_multiple_of(2);
        let mut from = if back { row + word - 1 } else { row + word + 1 };
        for target in (filled..filled + part).step_by(BLOCK) {
            out[target..target + BLOCK].copy_from_slice(&other[from..from + BLOCK]);
            from += BLOCK;
        }
        if back {
            if word == 0 {
                // Column 0 has the last column before it; the other columns of word 0 have the last word, one bit lower.
                out[filled] = other[row + width - 1] << 1 | (other[row + seam_word] >> seam_bit & 1);
            }
        } else {
            if word + part == width {
                // The last word has the first one after it, one bit higher.
                out[filled + part - 1] = other[row] >> 1;
            }
            if (word..word + part).contains(&seam_word) {
                // After the last column comes column 0. There is a clear bit so far, from a slot that does not exist or from the end of the word.
                out[filled + seam_word - word] |= (other[row] & 1) << seam_bit;
            }
        }
        filled += part;
        word = 0;
        line += 1;
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
    /// By how much the first column of a block moves from one to the next.
    step: usize,
    words_left: usize,
    column: usize,
}

impl<'a> Existing<'a> {
    /// From the first word of `rows` on; `valid` is one period of the mask and a block more.
    #[inline(always)]
    pub fn new(valid: &'a [u64], rows: Rows) -> Self {
        Existing { valid, width: rows.width, step: BLOCK % rows.width, words_left: rows.count * rows.width, column: 0 }
    }

    /// The mask of the next block; clear past the last row.
    #[inline(always)]
    pub fn next_block<V: Vector>(&mut self) -> V {
        let mask = V::load(self.valid, self.column);
        self.column += self.step;
        if self.column >= self.width {
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

/// Counts unsatisfied bonds and spins up. `own` is the colour of `rows` and `other` the other one, each from its top halo on. Every bond has one end of
/// either colour.
pub fn count(set: InstructionSet, own: &[u64], other: &[u64], rows: Rows, valid: &[u64]) -> Counts {
    match set.chosen_kind() {
        #[cfg(target_arch = "x86_64")]
        Chosen::Avx512 => count_register(set, own, other, rows, valid),
        _ => count_halves(set, own, other, rows, valid),
    }
}

#[cfg(target_arch = "x86_64")]
dispatch! {
    fn count_register(own: &[u64], other: &[u64], rows: Rows, valid: &[u64]) -> Counts = count_body::<Register>;
}
dispatch! {
    fn count_halves(own: &[u64], other: &[u64], rows: Rows, valid: &[u64]) -> Counts = count_body::<Halves>;
}

#[inline(always)]
fn count_body<V: Vector>(own: &[u64], other: &[u64], rows: Rows, valid: &[u64]) -> Counts {
    let width = rows.width;
    let mut counts = Counts { unsatisfied: 0, up: 0 };
    let mut existing = Existing::new(valid, rows);
    let mut side = [0; BLOCK + SPARE];
    for start in (0..rows.count * width).step_by(BLOCK) {
        sideways(other, rows, start, BLOCK, &mut side);
        let at = rows.first * width + start;
        let (spins, same) = (V::load(own, at + width), V::load(other, at + width));
        let mask = existing.next_block::<V>();
        let bonds = unsatisfied(spins, [V::load(other, at), same, V::load(other, at + 2 * width), V::load(&side, 0)]);
        let ones = |bits: V| (bits & mask).to_block().iter().map(|word| u64::from(word.count_ones())).sum::<u64>();
        counts.unsatisfied += ones(bonds.sum) + ones(bonds.fourth) + 2 * ones(bonds.carry);
        counts.up += ones(spins) + ones(same);
    }
    counts
}
