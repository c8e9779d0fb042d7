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
    /// The first line.
    pub first: usize,
    /// The number of lines.
    pub count: usize,
}

/// Fills `out` with the sideways neighbours of the words `start..start + out.len()` of `rows`: the other colour shifted by one column, back in rows with
/// (y + colour) even, forth in the others. `other` begins with its top halo. Words past the last row, and slots that do not exist, get anything.
#[inline(always)]
pub fn sideways(other: &[u64], rows: Rows, start: usize, out: &mut [u64]) {
    let width = rows.width;
    let end = (rows.count * width).min(start + out.len()) - start;
    let out = &mut out[..end];
    let seam = Seam { word: (rows.columns - 1) % width, bit: (rows.columns - 1) / width };
    // Short rows come by the dozen in each group: their widths are constants, so that the loops over them are unrolled.
    match width {
        1 => sideways_words(other, rows, start, out),
        2 => sideways_rows::<2>(other, rows, start, out, seam),
        3 => sideways_rows::<3>(other, rows, start, out, seam),
        4 => sideways_rows::<4>(other, rows, start, out, seam),
        _ => sideways_rows::<0>(other, rows, start, out, seam),
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
        *target = if (line + rows.colour + index).is_multiple_of(2) { back } else { forth };
    }
}

/// The rows of [`sideways`] in lines of several words; `WIDTH` is their width or 0 for any.
#[inline(always)]
fn sideways_rows<const WIDTH: usize>(other: &[u64], rows: Rows, start: usize, out: &mut [u64], seam: Seam) {
    let width = if WIDTH == 0 { rows.width } else { WIDTH };
    let (mut row, mut word, mut filled) = (rows.first + start / width, start % width, 0);
    while filled < out.len() {
        let source = &other[(row + 1) * width..(row + 2) * width];
        let part = (width - word).min(out.len() - filled);
        let target = &mut out[filled..filled + part];
        let back = (row + rows.colour).is_multiple_of(2);
        if WIDTH != 0 && part == WIDTH {
            whole_row::<WIDTH>(source, seam, back, target);
        } else if back {
            shift_back(source, seam, word, target);
        } else {
            shift_forth(source, seam, word, target);
        }
        filled += part;
        word = 0;
        row += 1;
    }
}

/// A whole row of constant width.
#[inline(always)]
fn whole_row<const WIDTH: usize>(source: &[u64], seam: Seam, back: bool, target: &mut [u64]) {
    let (source, target) = (&source[..WIDTH], &mut target[..WIDTH]);
    if back {
        target[1..].copy_from_slice(&source[..WIDTH - 1]);
        target[0] = source[WIDTH - 1] << 1 | (source[seam.word % WIDTH] >> seam.bit & 1);
    } else {
        target[..WIDTH - 1].copy_from_slice(&source[1..]);
        target[WIDTH - 1] = source[0] >> 1;
        target[seam.word % WIDTH] |= (source[0] & 1) << seam.bit;
    }
}

/// Where the last column of a row lies, L/2 - 1.
#[derive(Debug, Clone, Copy)]
struct Seam {
    word: usize,
    bit: usize,
}

/// Each column gets the one before it, from word `from` of the row on.
#[inline(always)]
fn shift_back(source: &[u64], seam: Seam, from: usize, target: &mut [u64]) {
    let width = source.len();
    // Column 0 has the last column before it; the other columns of word 0 have the last word, one bit lower.
    let before = if from == 0 { source[width - 1] << 1 | (source[seam.word] >> seam.bit & 1) } else { source[from - 1] };
    let rest = target.len() - 1;
    target[0] = before;
    target[1..].copy_from_slice(&source[from..from + rest]);
}

/// Each column gets the one after it, from word `from` of the row on.
#[inline(always)]
fn shift_forth(source: &[u64], seam: Seam, from: usize, target: &mut [u64]) {
    let width = source.len();
    let to = from + target.len();
    // Whole words from the next word; the last word of the row from the first one, one bit higher.
    let inside = to.min(width - 1) - from;
    target[..inside].copy_from_slice(&source[from + 1..from + 1 + inside]);
    if to == width {
        target[inside] = source[0] >> 1;
    }
    if (from..to).contains(&seam.word) {
        // After the last column comes column 0. The shift left a clear bit there, from a slot that does not exist or from the end of the word.
        target[seam.word - from] |= (source[0] & 1) << seam.bit;
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
        #[cfg(target_arch = "x86_64")]
        Chosen::Avx512 => count_register(set, even, odd, rows, valid),
        _ => count_halves(set, even, odd, rows, valid),
    }
}

#[cfg(target_arch = "x86_64")]
dispatch! {
    fn count_register(even: &[u64], odd: &[u64], rows: Rows, valid: &[u64]) -> Counts = count_body::<Register>;
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
