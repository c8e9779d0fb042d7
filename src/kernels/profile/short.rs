//! Lines of one, two or four words, of which a block of eight words holds whole pairs: small lattices, and those of side 256 and 512. Where a line is one word, several rows may
//! share it.
//!
//! Blocks follow each other in memory. The plaquettes between an even line and the next lie in the same slots of both; for those between an odd line and the next, two of the four
//! spins are moved up from the next column first. The slots of a block are counted vertically, by eight blocks at a time, and added up to columns in the end.

use super::spread::spread;
use super::words::{counts_of_bits, full_adder};
use super::{Colours, Counters, Plane, plaquettes};
use crate::kernels::checkerboard::{Counts, Masks, Rows, SteadyLines};
use crate::kernels::vector::{BLOCK, Vector};

/// Blocks that are taken together: they give one carry into the digit of eights.
const TOGETHER: usize = 8;
/// Binary digits of the number of blocks of a lattice, at most 256 at side 512.
const MOST_DIGITS: usize = 9;
/// Binary digits of the number of its lines.
const MOST_PLANES: usize = 10;

/// Counts all lines of a lattice, which are one strip: the halo lies below them.
#[inline(always)]
pub(super) fn count<V: Vector>(colours: Colours, rows: Rows, masks: &Masks, counters: &mut Counters) -> Counts {
    let forth = masks.odd_lines_forth();
    match rows.width {
        1 => Walk::<V, 1>::new(colours, rows, forth).count(masks, counters),
        2 => Walk::<V, 2>::new(colours, rows, forth).count(masks, counters),
        _ => Walk::<V, 4>::new(colours, rows, forth).count(masks, counters),
    }
}

/// The way through the blocks, whose lines are `WIDTH` words.
struct Walk<'a, V, const WIDTH: usize> {
    /// Both colours from their first line on.
    lines: [&'a [u64]; 2],
    rows: Rows,
    forth: SteadyLines<V>,
    /// Plaquettes with two unsatisfied bonds, and with four, a word.
    two: V,
    four: V,
    /// Up spins of each slot of a block, digit by digit, of both colours.
    slots: [[V; MOST_DIGITS]; 2],
}

impl<'a, V: Vector, const WIDTH: usize> Walk<'a, V, WIDTH> {
    /// Binary digits of the number of blocks: there are at most 128 `WIDTH` lines, which is 16 `WIDTH`^2 blocks.
    const DIGITS: usize = 5 + 2 * WIDTH.ilog2() as usize;
    /// Binary digits of the number of lines.
    const PLANES: usize = 8 + WIDTH.ilog2() as usize;

    #[inline(always)]
    fn new(colours: Colours<'a>, rows: Rows, forth: SteadyLines<V>) -> Self {
        let nothing = V::splat(0);
        let lines = [&colours.lines[0][WIDTH..], &colours.lines[1][WIDTH..]];
        for (lines, below) in lines.iter().zip(colours.below) {
            debug_assert_eq!(lines[rows.count * WIDTH..][..WIDTH], below[..WIDTH], "short lines are one strip, whose halo lies below");
        }
        Walk { lines, rows, forth, two: nothing, four: nothing, slots: [[nothing; MOST_DIGITS]; 2] }
    }

    #[inline(always)]
    fn count(mut self, masks: &Masks, counters: &mut Counters) -> Counts {
        let words = self.rows.count * WIDTH;
        // The same for all blocks, because each begins with a line.
        let all = V::load(&masks.valid, 0);
        let mut at = 0;
        // Folded lattices, of at most 32 lines, have no eight blocks.
        while self.rows.folds == 1 && at + TOGETHER * BLOCK <= words {
            self.eight_blocks(at, all, &mut counters.rows[at / WIDTH..][..TOGETHER * BLOCK / WIDTH]);
            at += TOGETHER * BLOCK;
        }
        while at < words {
            let inside = std::array::from_fn(|word| if at + word < words { u64::MAX } else { 0 });
            let spins = self.block(at, all & V::from_block(inside));
            self.rows(at, spins, &mut counters.rows);
            for colour in 0..2 {
                self.ripple(colour, 0, spins[colour]);
            }
            at += BLOCK;
        }
        self.columns(counters);
        let sum = |counts: V| counts.to_block().iter().sum::<u64>();
        let up = counters.rows.iter().map(|&up| u64::from(up)).sum();
        Counts { unsatisfied: 2 * (sum(self.two) + 2 * sum(self.four)), up }
    }

    /// Adds bits of the weight of digit `digit` to the counts of the slots.
    #[inline(always)]
    fn ripple(&mut self, colour: usize, digit: usize, mut carry: V) {
        for sum in &mut self.slots[colour][digit..Self::DIGITS] {
            (*sum, carry) = (*sum ^ carry, *sum & carry);
        }
    }

    /// Eight blocks of the same slots, and all their rows.
    #[inline(always)]
    fn eight_blocks(&mut self, at: usize, existing: V, rows: &mut [u32]) {
        let mut spins = [[V::splat(0); TOGETHER]; 2];
        let mut up = [[0; BLOCK]; TOGETHER];
        for block in 0..TOGETHER {
            let [even, odd] = self.block(at + block * BLOCK, existing);
            (spins[0][block], spins[1][block]) = (even, odd);
            up[block] = Self::of_lines(even.ones().add(odd.ones())).to_block();
        }
        rows.iter_mut().zip(up.as_flattened().iter().step_by(WIDTH)).for_each(|(row, up)| *row = *up as u32);
        for colour in 0..2 {
            let mut carries = spins[colour];
            let mut count = TOGETHER;
            for digit in 0..TOGETHER.ilog2() as usize {
                count /= 2;
                for pair in 0..count {
                    (self.slots[colour][digit], carries[pair]) =
                        self.slots[colour][digit].full_adder(carries[2 * pair], carries[2 * pair + 1]);
                }
            }
            self.ripple(colour, TOGETHER.ilog2() as usize, carries[0]);
        }
    }

    /// The bonds of one block, of which so many slots exist. Returns its spins.
    #[inline(always)]
    fn block(&mut self, at: usize, existing: V) -> [V; 2] {
        // No closures: they do not have the instructions.
        let [even, odd] = [V::load(self.lines[0], at) & existing, V::load(self.lines[1], at) & existing];
        let below = [V::load(self.lines[0], at + WIDTH), V::load(self.lines[1], at + WIDTH)];
        let [two, four] = plaquettes([even, self.forth.neighbours(below[0]), self.forth.neighbours(odd), below[1]]);
        self.two = self.two.add((two & existing).ones());
        self.four = self.four.add((four & existing).ones());
        [even, odd]
    }

    /// The rows of a block, as many as there are.
    #[inline(always)]
    fn rows(&self, at: usize, [even, odd]: [V; 2], rows: &mut [u32]) {
        let Rows { columns, folds, count, .. } = self.rows;
        for fold in 0..folds {
            let field = if folds == 1 { V::splat(u64::MAX) } else { V::splat(u64::MAX >> (64 - columns) << (fold * columns)) };
            let up = Self::of_lines((even & field).ones().add((odd & field).ones())).to_block();
            let rows = &mut rows[fold * count..][..count][at / WIDTH..];
            rows.iter_mut().zip(up.iter().step_by(WIDTH)).for_each(|(row, up)| *row = *up as u32);
        }
    }

    /// The sums over the words of each line, in its first word.
    #[inline(always)]
    fn of_lines(mut up: V) -> V {
        let mut step = 1;
        while step < WIDTH {
            up = up.add(up.permuted(V::from_block(std::array::from_fn(|word| (word ^ step) as u64))));
            step *= 2;
        }
        up
    }

    /// From the counts of the slots to those of the columns.
    #[inline(always)]
    fn columns(&self, counters: &mut Counters) {
        let Rows { columns, folds, .. } = self.rows;
        let mut planes = [Plane([0; BLOCK]); 2 * MOST_PLANES];
        let mut slots = [[[0; BLOCK]; MOST_DIGITS]; 2];
        for colour in 0..2 {
            for digit in 0..Self::DIGITS {
                slots[colour][digit] = self.slots[colour][digit].to_block();
            }
        }
        for parity in 0..2 {
            for word in 0..WIDTH {
                for line in 0..BLOCK / WIDTH {
                    // Columns of even x are the even colour of even lines and the odd colour of odd ones.
                    let colour = usize::from(line % 2 != parity);
                    let mut carry = 0;
                    for plane in 0..Self::PLANES {
                        let digit = if plane < Self::DIGITS { slots[colour][plane][line * WIDTH + word] } else { 0 };
                        carry = full_adder(&mut planes[2 * plane + parity].0[word], digit, carry);
                    }
                }
            }
        }
        if WIDTH > 1 {
            spread::<V>(&planes[..2 * Self::PLANES], self.rows, 0, &mut counters.columns);
            return;
        }
        for parity in 0..2 {
            let planes: [u64; MOST_PLANES] = std::array::from_fn(|plane| planes[2 * plane + parity].0[0]);
            let counts = counts_of_bits(&planes[..Self::PLANES]);
            for (column, pair) in counters.columns.as_chunks_mut::<2>().0.iter_mut().enumerate() {
                pair[parity] = counts[column];
                for fold in 1..folds {
                    pair[parity] += counts[fold * columns + column];
                }
            }
        }
    }
}
