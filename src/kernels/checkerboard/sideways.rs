//! The sideways neighbours of blocks of eight words: the other colour shifted by one column. How they are found depends on the [`Shape`] of the lines.

use super::masks::{Masks, Seam, SteadyLines};
use super::{Rows, Shape};
use crate::kernels::vector::{BLOCK, Block, Vector};

/// The sideways neighbours, block after block: the other colour shifted by one column, back in lines with (y + colour) even, forth in the
/// others.
#[derive(Debug, Clone, Copy)]
pub struct Sideways<'a> {
    masks: &'a Masks,
    rows: Rows,
    seam: Seam,
    /// All slots of a line exist: what goes out at one end comes in at the other by a rotation.
    full: bool,
    /// Short lines: of the word with which the next block begins, in two lines. Whole lines: of the next block, in its line.
    position: usize,
    step: usize,
    /// Whole lines: the next block is in a line that looks back. Short lines: the first block is.
    back: bool,
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
            full: rows.are_full(),
            position: if rows.looks_back(rows.first) || rows.shape() == Shape::Whole { 0 } else { rows.width },
            back: rows.looks_back(rows.first),
            step: BLOCK % period,
        }
    }

    /// The shape of the lines.
    #[inline(always)]
    pub fn shape(&self) -> Shape {
        self.rows.shape()
    }

    /// What all blocks of short lines have in common, if they do.
    #[allow(clippy::manual_map)]
    #[inline(always)]
    pub fn steady_lines<V: Vector>(&self) -> Option<SteadyLines<V>> {
        match &self.masks.steady {
            Some(turns) => Some(SteadyLines::new(&turns[usize::from(self.back)])),
            None => None,
        }
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

    /// Hands over the neighbours of all blocks of `around`, the next ones, where lines are whole blocks, with their numbers in `around` and their existing slots. The other slots
    /// get anything. `FULL` says that there are none: that the lines are [`Rows::are_full`].
    #[inline(always)]
    pub fn in_whole_lines<V: Vector, const FULL: bool>(&mut self, around: &Around, to: &mut impl TakeNeighbours<V>) {
        let count = around.count();
        let line = self.rows.width / BLOCK;
        let seam_block = self.seam.word / BLOCK;
        if line == 1 {
            // Every block has both ends.
            let valid = if FULL { V::splat(u64::MAX) } else { V::load(&self.masks.valid, 0) };
            let mut block = 0;
            if !self.back {
                to.take(0, self.round_forth::<V, FULL>(around, 0, true), valid);
                block = 1;
            }
            while block + 1 < count {
                to.take(block, self.round_back::<V, FULL>(around, block), valid);
                to.take(block + 1, self.round_forth::<V, FULL>(around, block + 1, true), valid);
                block += 2;
            }
            if block < count {
                to.take(block, self.round_back::<V, FULL>(around, block), valid);
            }
            self.back ^= !count.is_multiple_of(2);
            return;
        }
        let mut block = 0;
        while block < count {
            let (start, end) = (self.position, line.min(self.position + count - block));
            let valid = |place: usize| if FULL { V::splat(u64::MAX) } else { V::load(&self.masks.valid, place * BLOCK) };
            let before = block;
            if self.back {
                for place in start..end {
                    let block = before + place - start;
                    if place == 0 {
                        to.take(block, self.round_back::<V, FULL>(around, block), valid(place));
                    } else {
                        to.take(block, around.get(around.next[0], block), valid(place));
                    }
                }
            } else {
                for place in start..end {
                    let block = before + place - start;
                    if place == line - 1 {
                        to.take(block, self.round_forth::<V, FULL>(around, block, place == seam_block), valid(place));
                    } else if !FULL && place == seam_block {
                        to.take(block, around.get::<V>(around.next[1], block) | self.seam_forth(around, block), valid(place));
                    } else {
                        to.take(block, around.get(around.next[1], block), valid(place));
                    }
                }
            }
            block += end - start;
            self.position = end;
            if end == line {
                (self.position, self.back) = (0, !self.back);
            }
        }
    }

    /// Of the first block of a line that looks back.
    #[inline(always)]
    fn round_back<V: Vector, const FULL: bool>(&self, around: &Around, block: usize) -> V {
        // Column 0 has the last column before it; the other columns of word 0 have the last word, one bit lower.
        let last: V = around.get(around.ends[0], block);
        let round = if FULL { last.rotate_left::<1>() } else { last.shift_left::<1>() };
        let found = select(V::from_block([u64::MAX, 0, 0, 0, 0, 0, 0, 0]), round, around.get(around.next[0], block));
        if FULL {
            return found;
        }
        found | (around.get::<V>(around.seams[0], block).shift_right_by(self.seam.bit) & V::from_block([1, 0, 0, 0, 0, 0, 0, 0]))
    }

    /// Of the last block of a line that looks forth.
    #[inline(always)]
    fn round_forth<V: Vector, const FULL: bool>(&self, around: &Around, block: usize, seam: bool) -> V {
        // The last word has the first one after it, one bit higher.
        let first: V = around.get(around.ends[1], block);
        let round = if FULL { first.rotate_left::<63>() } else { first.shift_right_by(1) };
        let found = select(V::from_block([0, 0, 0, 0, 0, 0, 0, u64::MAX]), round, around.get(around.next[1], block));
        if FULL || !seam { found } else { found | self.seam_forth(around, block) }
    }

    /// After the last column comes column 0. There is a clear bit so far, from a slot that does not exist.
    #[inline(always)]
    fn seam_forth<V: Vector>(&self, around: &Around, block: usize) -> V {
        around.get::<V>(around.seams[1], block).shift_left_by(self.seam.bit) & V::from_block(self.masks.forth_seam)
    }

    /// The neighbours of the next block of short lines, number `block` of `around`. Slots that do not exist get anything.
    #[inline(always)]
    pub fn in_short_lines<V: Vector>(&mut self, around: &Around, block: usize) -> V {
        let masks = &self.masks.sideways[self.position];
        let back = V::from_block(masks.back);
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
}

/// Who is handed sideways neighbours, block by block. (A closure would not be compiled for the instruction set of its caller where it is called more than once.)
pub trait TakeNeighbours<V> {
    /// Takes those of a block, and its slots that exist.
    fn take(&mut self, block: usize, neighbours: V, exists: V);
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

impl<'a> Around<'a> {
    /// The number of blocks.
    #[inline(always)]
    pub fn count(&self) -> usize {
        self.same.len()
    }

    /// The same words of the other colour.
    #[inline(always)]
    pub fn same(&self) -> &'a [Block] {
        self.same
    }

    #[inline(always)]
    fn get<V: Vector>(&self, blocks: &[Block], block: usize) -> V {
        debug_assert!(block < blocks.len());
        // SAFETY: all slices are equally long, and `in_whole_lines` goes through the blocks from 0 to less than that.
        V::from_block(unsafe { *blocks.get_unchecked(block) })
    }
}

/// The bits of `yes` where the mask is set, else those of `no`.
#[inline(always)]
pub(super) fn select<V: Vector>(mask: V, yes: V, no: V) -> V {
    no ^ ((yes ^ no) & mask)
}

/// Fills `out[..length]` with the sideways neighbours of the words `start..start + length` of long lines, as [`Sideways`] does of narrow ones: the line
/// moved by one word, eight words at a time, and then what comes round its ends. `other` begins with its top halo and has [`BLOCK`] words to spare at its
/// end, `out` [`super::SPARE`]. Words past the last row, and slots that do not exist, get anything.
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
        let (from, blocks) = (if back { row + word - 1 } else { row + word + 1 }, part.next_multiple_of(BLOCK));
        let (from, to) = (other[from..from + blocks].as_chunks::<BLOCK>().0, out[filled..filled + blocks].as_chunks_mut::<BLOCK>().0);
        for (to, from) in to.iter_mut().zip(from) {
            *to = *from;
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
