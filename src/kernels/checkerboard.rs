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

/// Words that [`sideways_long`] may write past the last one it was asked for.
pub const SPARE: usize = BLOCK - 1;
/// Lines of up to this many words are short.
const SHORT: usize = 16;

/// How lines lie in blocks of eight words, which decides how their sideways neighbours are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A line is so many whole blocks: [`Sideways::in_whole_lines`].
    Whole,
    /// Several lines in a block, or few blocks a line: [`Sideways::in_short_lines`], by masks.
    Short,
    /// Any other: [`sideways_long`] moves the lines to where the blocks find them.
    Long,
}

impl Rows {
    /// The shape of the lines.
    #[inline(always)]
    pub fn shape(self) -> Shape {
        if self.width.is_multiple_of(BLOCK) {
            Shape::Whole
        } else if self.width <= SHORT {
            Shape::Short
        } else {
            Shape::Long
        }
    }

    /// Whether the columns of a line are shifted back (to lower columns) or forth, where `line` counts from the start of the arrays.
    #[inline(always)]
    fn looks_back(self, line: usize) -> bool {
        (self.origin + line + self.colour).is_multiple_of(2)
    }
}

/// Masks over the words of a board, which repeat with its lines.
#[derive(Debug, Clone)]
pub struct Masks {
    /// The existing slots: one line and a block more, so that a block may start at any word.
    pub valid: Vec<u64>,
    /// For short lines: the masks of the block that starts at each word of two lines, the first of which looks back.
    sideways: Vec<SidewaysMasks>,
}

/// The masks by which a block of short lines finds its sideways neighbours.
#[derive(Debug, Clone)]
#[repr(C, align(64))]
struct SidewaysMasks {
    /// All words of a line that looks back.
    back: Block,
    /// The words that get theirs round the end of the line: the first of a line that looks back, the last of one that looks forth.
    ends: Block,
    /// The bit of column 0 in lines that look back.
    back_seam: Block,
    /// The bit of the last column in lines that look forth.
    forth_seam: Block,
}

impl Masks {
    /// The masks of a board with such lines.
    pub fn new(rows: Rows) -> Self {
        let Rows { columns, width, folds, .. } = rows;
        let seam = Seam::new(rows);
        // The word w of a row has bits b with b * width + w < columns.
        let valid = |word: usize| u64::MAX >> (64 - folds * (columns - word % width).div_ceil(width));
        let all = |condition: bool| if condition { u64::MAX } else { 0 };
        let masks = |start: usize| {
            let of = |mask: &dyn Fn(bool, usize) -> u64| {
                std::array::from_fn(|word| mask(((start + word) / width).is_multiple_of(2), (start + word) % width))
            };
            SidewaysMasks {
                back: of(&|back, _| all(back)),
                ends: of(&|back, word| all(word == if back { 0 } else { width - 1 })),
                back_seam: of(&|back, word| u64::from(back && word == 0)),
                forth_seam: of(&|back, word| u64::from(!back && word == seam.word) << seam.bit),
            }
        };
        let period = if rows.shape() == Shape::Short { 2 * width } else { 0 };
        Masks { valid: (0..width + BLOCK).map(valid).collect(), sideways: (0..period).map(masks).collect() }
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

/// The sideways neighbours, block after block: the other colour shifted by one column, back in lines with (y + colour) even, forth in the
/// others.
#[derive(Debug, Clone, Copy)]
pub struct Sideways<'a> {
    masks: &'a Masks,
    rows: Rows,
    seam: Seam,
    /// All slots of a line exist: what goes out at one end comes in at the other by a rotation.
    full: bool,
    /// Short lines: of the next block in two lines. Whole lines: of the next block in its line.
    position: usize,
    step: usize,
    /// Whole lines: the next block is in a line that looks back.
    back: bool,
    /// Short lines of one word: the first column of each row in it.
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
            position: if rows.looks_back(rows.first) || rows.shape() == Shape::Whole { 0 } else { rows.width },
            back: rows.looks_back(rows.first),
            step: BLOCK % period,
            first_columns: (0..rows.folds).fold(0u64, |mask, fold| mask | 1 << (fold * rows.columns)),
        }
    }

    /// Whether all slots of a line exist.
    #[inline(always)]
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// Looks at `length` words (whole blocks) of the other colour from `other[at]` on, the same words as those whose neighbours are wanted.
    #[inline(always)]
    pub fn around<'b>(&self, other: &'b [u64], at: usize, length: usize) -> Around<'b> {
        let from = |start: usize| other[start..start + length].as_chunks().0;
        let round = self.rows.width - 1;
        // Where a line is one word, or all its slots exist, what is not needed is looked at all the same.
        Around {
            same: from(at),
            next: [from(at - 1), from(at + 1)],
            ends: [from(at + round), from(at - round)],
            seams: [from(at + self.seam.word), from(at - self.seam.word)],
        }
    }

    /// The neighbours of the next block where lines are whole blocks, number `block` of `around`, and the existing slots of the block. The others get anything.
    /// `FULL` says that there are none: that the lines are [`Self::is_full`].
    #[inline(always)]
    pub fn in_whole_lines<V: Vector, const FULL: bool>(&mut self, around: &Around, block: usize) -> (V, V) {
        let Seam { word, bit } = self.seam;
        let (start, end) = (self.position, self.position + BLOCK);
        let direction = usize::from(!self.back);
        let mut found = V::from_block(around.next[direction][block]);
        let exists = if FULL { V::splat(u64::MAX) } else { V::load(&self.masks.valid, start) };
        if self.back {
            if start == 0 {
                // Column 0 has the last column before it; the other columns of word 0 have the last word, one bit lower.
                let last = V::from_block(around.ends[0][block]);
                let round = if FULL { last.rotate_left::<1>() } else { last.shift_left::<1>() };
                found = select(V::from_block([u64::MAX, 0, 0, 0, 0, 0, 0, 0]), round, found);
                if !FULL {
                    found |= V::from_block(around.seams[0][block]).shift_right_by(bit) & V::from_block([1, 0, 0, 0, 0, 0, 0, 0]);
                }
            }
        } else {
            if end == self.rows.width {
                // The last word has the first one after it, one bit higher.
                let first = V::from_block(around.ends[1][block]);
                let round = if FULL { first.rotate_left::<63>() } else { first.shift_right_by(1) };
                found = select(V::from_block([0, 0, 0, 0, 0, 0, 0, u64::MAX]), round, found);
            }
            if !FULL && (start..end).contains(&word) {
                // After the last column comes column 0. There is a clear bit so far, from a slot that does not exist.
                let mut seam = [0; BLOCK];
                seam[word % BLOCK] = 1 << bit;
                found |= V::from_block(around.seams[1][block]).shift_left_by(bit) & V::from_block(seam);
            }
        }
        self.position = end;
        if end == self.rows.width {
            (self.position, self.back) = (0, !self.back);
        }
        (found, exists)
    }

    /// The neighbours of the next block of short lines, number `block` of `around`. Slots that do not exist get anything.
    #[inline(always)]
    pub fn in_short_lines<V: Vector>(&mut self, around: &Around, block: usize) -> V {
        let masks = &self.masks.sideways[self.position];
        let back = V::from_block(masks.back);
        if self.rows.width == 1 {
            return self.in_words(V::from_block(around.same[block]), back);
        }
        let ([next_back, next_forth], [end_back, end_forth]) = (around.next, around.ends);
        let (before, after) = (V::from_block(end_back[block]), V::from_block(end_forth[block]));
        let (ends, inside) = (V::from_block(masks.ends), select(back, V::from_block(next_back[block]), V::from_block(next_forth[block])));
        self.position += self.step;
        if self.position >= 2 * self.rows.width {
            self.position -= 2 * self.rows.width;
        }
        if self.full {
            return select(ends, select(back, before.rotate_left::<1>(), after.rotate_left::<63>()), inside);
        }
        let round = select(back, before.shift_left::<1>(), after.shift_right_by(1));
        let [last, first] = around.seams.map(|seam| V::from_block(seam[block]));
        let last = last.shift_right_by(self.seam.bit) & V::from_block(masks.back_seam);
        let first = first.shift_left_by(self.seam.bit) & V::from_block(masks.forth_seam);
        select(ends, round, inside) | last | first
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

/// What [`Sideways`] looks at: blocks of the other colour, all equally many.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    /// The same words.
    same: &'a [Block],
    /// The words before and after them.
    next: [&'a [Block]; 2],
    /// From the first word of a line, its last one; from the last word, the first one.
    ends: [&'a [Block]; 2],
    /// From the first word of a line, the one with the last column; from that one, the first.
    seams: [&'a [Block]; 2],
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
pub fn sideways_long(other: &[u64], rows: Rows, start: usize, length: usize, out: &mut [u64]) {
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
        let around = sideways.around(other, at + width, BLOCK);
        let side = match rows.shape() {
            Shape::Whole => sideways.in_whole_lines::<V, false>(&around, 0).0,
            Shape::Short => sideways.in_short_lines(&around, 0),
            Shape::Long => {
                sideways_long(other, rows, start, BLOCK, &mut side);
                V::load(&side, 0)
            }
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
