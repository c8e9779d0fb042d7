//! Neighbours on the checkerboard layout, and the observables. The layout is described at the top of [`crate::spins::checkerboard`].
//!
//! Everything works on blocks of eight words (512 slots) in flat order, whatever the width of a row. Read [`Sideways`] first, then [`count`].

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

/// Words that [`sideways_wide`] may write past the last one it was asked for.
pub const SPARE: usize = BLOCK - 1;
/// Lines of at most this many words find their sideways neighbours by masks, block by block; longer ones by moving whole lines.
const NARROW: usize = 16;

impl Rows {
    /// Whether [`Sideways`] gives the sideways neighbours. If not, [`sideways_wide`] does.
    #[inline(always)]
    pub fn is_narrow(self) -> bool {
        self.width <= NARROW
    }

    /// Whether the columns of a line are shifted back (to lower columns) or forth, where `line` counts from the start of the arrays.
    #[inline(always)]
    fn looks_back(self, line: usize) -> bool {
        (self.origin + line + self.colour).is_multiple_of(2)
    }
}

/// Masks over the words of a board, which repeat with its lines; a block more than a period, so that a block may start at any word.
#[derive(Debug, Clone)]
pub struct Masks {
    /// The existing slots, a line.
    pub valid: Vec<u64>,
    /// Narrow lines, of which a period is two, the first looking back: all words of the line that looks back.
    back: Vec<u64>,
    /// Those words that get theirs round the end of the line: the first of a line that looks back, the last of one that looks forth.
    ends: Vec<u64>,
    /// The bit of column 0 in lines that look back, and of the last column in those that look forth.
    back_seam: Vec<u64>,
    forth_seam: Vec<u64>,
}

impl Masks {
    /// The masks of a board with such lines.
    pub fn new(rows: Rows) -> Self {
        let Rows { columns, width, folds, .. } = rows;
        let seam = Seam::new(rows);
        // The word w of a row has bits b with b * width + w < columns.
        let valid = |word: usize| u64::MAX >> (64 - folds * (columns - word % width).div_ceil(width));
        let period = if rows.is_narrow() { 2 * width + BLOCK } else { 0 };
        let of = |mask: &dyn Fn(bool, usize) -> u64| (0..period).map(|word| mask(word / width % 2 == 0, word % width)).collect();
        let all = |condition: bool| if condition { u64::MAX } else { 0 };
        Masks {
            valid: (0..width + BLOCK).map(valid).collect(),
            back: of(&|back, _| all(back)),
            ends: of(&|back, word| all(word == if back { 0 } else { width - 1 })),
            back_seam: of(&|back, word| u64::from(back && word == 0)),
            forth_seam: of(&|back, word| u64::from(!back && word == seam.word) << seam.bit),
        }
    }
}

/// Where the last column of a row lies, L/2 - 1.
#[derive(Debug, Clone, Copy)]
struct Seam {
    word: usize,
    bit: u32,
}

impl Seam {
    #[inline(always)]
    fn new(rows: Rows) -> Self {
        Seam { word: (rows.columns - 1) % rows.width, bit: ((rows.columns - 1) / rows.width) as u32 }
    }
}

/// The sideways neighbours of narrow lines, block after block: the other colour shifted by one column, back in lines with (y + colour) even, forth in the
/// others.
#[derive(Debug, Clone, Copy)]
pub struct Sideways<'a> {
    masks: &'a Masks,
    rows: Rows,
    seam: Seam,
    /// All slots of a line exist: what goes out at one end comes in at the other by a rotation.
    full: bool,
    position: usize,
    step: usize,
    first_columns: u64,
}

impl<'a> Sideways<'a> {
    /// From the first word of `rows` on.
    #[inline(always)]
    pub fn new(masks: &'a Masks, rows: Rows) -> Self {
        let period = 2 * rows.width;
        Sideways {
            masks,
            rows,
            seam: Seam::new(rows),
            full: rows.columns == 64 * rows.width,
            position: if rows.looks_back(rows.first) { 0 } else { rows.width },
            step: BLOCK % period,
            first_columns: (0..rows.folds).fold(0u64, |mask, fold| mask | 1 << (fold * rows.columns)),
        }
    }

    /// The neighbours of the next block, whose same words of the other colour begin at `other[at]`. Slots that do not exist get anything.
    #[inline(always)]
    pub fn next_block<V: Vector>(&mut self, other: &[u64], at: usize) -> V {
        let width = self.rows.width;
        let back = V::load(&self.masks.back, self.position);
        if width == 1 {
            return self.in_words(V::load(other, at), back);
        }
        let ends = V::load(&self.masks.ends, self.position);
        let (before, after) = (V::load(other, at + width - 1), V::load(other, at + 1 - width));
        let inside = select(back, V::load(other, at - 1), V::load(other, at + 1));
        let found = if self.full {
            select(ends, select(back, before.rotate_left::<1>(), after.rotate_left::<63>()), inside)
        } else {
            let Seam { word, bit } = self.seam;
            let round = select(back, before.shift_left::<1>(), after.shift_right_by(1));
            let from_last = V::load(other, at + word).shift_right_by(bit) & V::load(&self.masks.back_seam, self.position);
            let from_first = V::load(other, at - word).shift_left_by(bit) & V::load(&self.masks.forth_seam, self.position);
            select(ends, round, inside) | from_last | from_first
        };
        self.position += self.step;
        if self.position >= 2 * width {
            self.position -= 2 * width;
        }
        found
    }

    /// Where a line is a word, each row in it is shifted by itself.
    #[inline(always)]
    fn in_words<V: Vector>(&self, words: V, back: V) -> V {
        let (first, last) = (V::splat(self.first_columns), V::splat(self.first_columns << self.seam.bit));
        let to_back = select(first, words.shift_right_by(self.seam.bit), words.shift_left::<1>());
        let to_forth = select(last, words.shift_left_by(self.seam.bit), words.shift_right_by(1));
        select(back, to_back, to_forth)
    }
}

/// The bits of `yes` where the mask is set, else those of `no`.
#[inline(always)]
fn select<V: Vector>(mask: V, yes: V, no: V) -> V {
    no ^ ((yes ^ no) & mask)
}

/// Fills `out[..length]` with the sideways neighbours of the words `start..start + length` of long lines, as [`Sideways`] does of narrow ones: the line
/// moved by one word, eight words at a time, and then what comes round its ends. `other` begins with its top halo and has [`BLOCK`] words to spare at its
/// end, `out` [`SPARE`]. Words past the last row, and slots that do not exist, get anything.
#[inline(always)]
pub fn sideways_wide(other: &[u64], rows: Rows, start: usize, length: usize, out: &mut [u64]) {
    let width = rows.width;
    let length = length.min(rows.count * width - start);
    let seam = Seam::new(rows);
    let (mut line, mut word, mut filled) = (rows.first + start / width, start % width, 0);
    while filled < length {
        let row = (line + 1) * width;
        let part = (width - word).min(length - filled);
        let back = rows.looks_back(line);
        let mut from = if back { row + word - 1 } else { row + word + 1 };
        for target in (filled..filled + part).step_by(BLOCK) {
            out[target..target + BLOCK].copy_from_slice(&other[from..from + BLOCK]);
            from += BLOCK;
        }
        if back {
            if word == 0 {
                // Column 0 has the last column before it; the other columns of word 0 have the last word, one bit lower.
                out[filled] = other[row + width - 1] << 1 | (other[row + seam.word] >> seam.bit & 1);
            }
        } else {
            if word + part == width {
                // The last word has the first one after it, one bit higher.
                out[filled + part - 1] = other[row] >> 1;
            }
            if (word..word + part).contains(&seam.word) {
                // After the last column comes column 0. There is a clear bit so far, from a slot that does not exist or from the end of the word.
                out[filled + seam.word - word] |= (other[row] & 1) << seam.bit;
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
pub fn count(set: InstructionSet, own: &[u64], other: &[u64], rows: Rows, masks: &Masks) -> Counts {
    match set.chosen_kind() {
        #[cfg(target_arch = "x86_64")]
        Chosen::Avx512 => count_register(set, own, other, rows, masks),
        _ => count_halves(set, own, other, rows, masks),
    }
}

#[cfg(target_arch = "x86_64")]
dispatch! {
    fn count_register(own: &[u64], other: &[u64], rows: Rows, masks: &Masks) -> Counts = count_body::<Register>;
}
dispatch! {
    fn count_halves(own: &[u64], other: &[u64], rows: Rows, masks: &Masks) -> Counts = count_body::<Halves>;
}

#[inline(always)]
fn count_body<V: Vector>(own: &[u64], other: &[u64], rows: Rows, masks: &Masks) -> Counts {
    let width = rows.width;
    let mut counts = Counts { unsatisfied: 0, up: 0 };
    let mut existing = Existing::new(&masks.valid, rows);
    let mut sideways = Sideways::new(masks, rows);
    let mut side = [0; BLOCK + SPARE];
    for start in (0..rows.count * width).step_by(BLOCK) {
        let at = rows.first * width + start;
        let side = if rows.is_narrow() {
            sideways.next_block(other, at + width)
        } else {
            sideways_wide(other, rows, start, BLOCK, &mut side);
            V::load(&side, 0)
        };
        let (spins, same) = (V::load(own, at + width), V::load(other, at + width));
        let mask = existing.next_block::<V>();
        let bonds = unsatisfied(spins, [V::load(other, at), same, V::load(other, at + 2 * width), side]);
        let ones = |bits: V| (bits & mask).to_block().iter().map(|word| u64::from(word.count_ones())).sum::<u64>();
        counts.unsatisfied += ones(bonds.sum) + ones(bonds.fourth) + 2 * ones(bonds.carry);
        counts.up += ones(spins) + ones(same);
    }
    counts
}
