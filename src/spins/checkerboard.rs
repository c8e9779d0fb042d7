//! One large lattice in the form that suits checkerboard updates: one bit a spin, the two colours apart, neighbours at neighbouring words.
//!
//! Colour p holds the sites with (x + y) mod 2 = p. Its part of row y is L/2 compact columns, column c being the site x = 2c + (y + p) mod 2, in
//! `width` = ceil(L/2 / 64) words. The columns are strided over the words: bit b of word w is column `b * width + w`. So column c - 1 is bit b of word
//! w - 1, and only the first word of a row needs a shift by one bit; there is no shifting inside a row. The slots of columns L/2 and above do not exist
//! on the lattice and stay clear.
//!
//! Where several rows fit into a word they are folded into it, so that small lattices waste less: `folds` is the largest number k of rows that fit,
//! k L/2 <= 64, and that leaves an even number of lines L/k. Line i then holds the rows i, i + L/k, i + 2 L/k, ..., one after the other from bit 0 on.
//!
//! The neighbours of column c of row y lie in the other colour: column c of rows y - 1, y and y + 1, and in row y also column c - 1 if (y + p) is even
//! or c + 1 if it is odd.
//!
//! All lines of a colour are one flat array, line after line, between two halos: a copy of the last line before the first, and of the first line
//! after the last (turned by one row, if they are folded). So the vertical neighbours of any word are `width` words before and after it, and a vector of words may span several rows.

use super::{Configuration, WORD_BITS};
use crate::kernels::InstructionSet;
use crate::kernels::checkerboard::{Rows, count};
use crate::kernels::profile::count_profile;
use crate::kernels::vector::BLOCK;
use crate::lattice::SquareTorus;
use crate::measure::{Measurement, Observer};

/// The spins of a square torus of even side, colour by colour.
#[derive(Debug, Clone)]
pub struct Checkerboard {
    torus: SquareTorus,
    rows: Rows,
    colours: [Vec<u64>; 2],
    starts: [usize; 2],
    valid: Vec<u64>,
}

impl Checkerboard {
    /// Takes over the spins of `configuration`.
    ///
    /// # Panics
    /// If the side of its lattice is odd: the caller has to refuse it in words.
    pub fn new(configuration: &Configuration) -> Self {
        let torus = configuration.torus();
        assert!(torus.is_bipartite(), "a checkerboard needs an even side");
        let columns = torus.side() / 2;
        let width = columns.div_ceil(WORD_BITS);
        let folds = folds(torus.side());
        let rows = Rows { columns, width, folds, colour: 0, first: 0, count: torus.side() / folds };
        // Top halo, lines, bottom halo, one block that the last vectors may touch, and room to bring the first row to a cache line.
        let length = width.next_multiple_of(BLOCK) + (rows.count + 1) * width + 2 * BLOCK;
        let colours = [vec![0; length], vec![0; length]];
        let starts = [0, 1].map(|colour| line_start(&colours[colour]) + width.next_multiple_of(BLOCK));
        // The word w of a row has bits b with b * width + w < columns. One period of the mask, and a block more, so that a block may start at any word.
        let valid = (0..width + BLOCK)
            .map(|word| {
                let bits = folds * (columns - word % width).div_ceil(width);
                u64::MAX >> (WORD_BITS - bits)
            })
            .collect();
        let mut board = Checkerboard { torus, rows, colours, starts, valid };
        for colour in 0..2 {
            for row in 0..torus.side() {
                for column in 0..columns {
                    let (word, bit) = board.slot(colour, row, column);
                    let up = configuration.bits()[torus.site(board.x(colour, row, column), row)];
                    board.colours[colour][word] |= u64::from(up) << bit;
                }
            }
            board.refresh_halos(colour);
        }
        board
    }

    /// The lattice.
    pub fn torus(&self) -> SquareTorus {
        self.torus
    }

    /// The spins in site order.
    pub fn configuration(&self) -> Configuration {
        let mut words = vec![0; self.torus.sites().div_ceil(WORD_BITS)];
        for colour in 0..2 {
            for row in 0..self.torus.side() {
                for column in 0..self.rows.columns {
                    let (word, bit) = self.slot(colour, row, column);
                    let site = self.torus.site(self.x(colour, row, column), row);
                    words[site / WORD_BITS] |= (self.colours[colour][word] >> bit & 1) << (site % WORD_BITS);
                }
            }
        }
        Configuration::from_words(self.torus, words)
    }

    /// Energy and magnetization, counted on the packed words.
    pub fn measure(&self, set: InstructionSet) -> Measurement {
        let [even, odd] = [0, 1].map(|colour| &self.colours[colour][self.starts[colour] - self.rows.width..]);
        let counts = count(set, even, odd, self.rows, &self.valid);
        Measurement {
            energy: 2 * counts.unsatisfied as i64 - self.torus.bonds() as i64,
            magnetization: 2 * counts.up as i64 - self.torus.sites() as i64,
        }
    }

    /// The same, and the up spins of every column and row.
    pub fn observe(&self, set: InstructionSet, observer: &mut Observer) -> Measurement {
        let [even, odd] = [0, 1].map(|colour| &self.colours[colour][self.starts[colour] - self.rows.width..]);
        let unsatisfied = count_profile(set, even, odd, self.rows, &mut observer.counters)
            .unwrap_or_else(|| count(set, even, odd, self.rows, &self.valid).unsatisfied);
        Measurement { energy: 2 * unsatisfied as i64 - self.torus.bonds() as i64, magnetization: observer.magnetization() }
    }

    /// Calls `update` with all rows of one colour, to be changed, and the other colour, to be read; then renews the halos. The arguments are those of
    /// [`crate::kernels::metropolis::update_rows`]: own rows, other colour from its top halo on, which rows, mask of existing slots.
    pub fn update_colour(&mut self, colour: usize, update: impl FnOnce(&mut [u64], &[u64], Rows, &[u64])) {
        let [even, odd] = &mut self.colours;
        let (own, other) = if colour == 0 { (even, odd) } else { (odd, even) };
        let rows = Rows { colour, ..self.rows };
        update(&mut own[self.starts[colour]..], &other[self.starts[1 - colour] - rows.width..], rows, &self.valid);
        self.refresh_halos(colour);
    }

    /// The number of words that hold the spins.
    pub fn word_count(&self) -> usize {
        2 * self.rows.count * self.rows.width
    }

    /// The words that hold the spins: all lines of the even colour, then of the odd one. Their layout depends on the side alone.
    pub fn words(&self) -> Vec<u64> {
        let lines = |colour: usize| &self.colours[colour][self.starts[colour]..][..self.word_count() / 2];
        [lines(0), lines(1)].concat()
    }

    /// Takes over what [`Self::words`] gave of a board of the same side.
    ///
    /// # Panics
    /// If there are not [`Self::word_count`] words.
    pub fn set_words(&mut self, words: &[u64]) {
        assert_eq!(words.len(), self.word_count(), "the words of a board of this side");
        let width = self.rows.width;
        for (colour, lines) in words.chunks_exact(words.len() / 2).enumerate() {
            let own = &mut self.colours[colour][self.starts[colour]..][..lines.len()];
            // Slots that do not exist stay clear whatever is said of them.
            own.iter_mut().zip(lines).enumerate().for_each(|(place, (own, word))| *own = word & self.valid[place % width]);
            self.refresh_halos(colour);
        }
    }

    fn refresh_halos(&mut self, colour: usize) {
        let (start, width, words) = (self.starts[colour], self.rows.width, self.rows.count * self.rows.width);
        let array = &mut self.colours[colour];
        array.copy_within(start + words - width..start + words, start - width);
        array.copy_within(start..start + width, start + words);
        if self.rows.folds > 1 {
            // Above the first line lies the last one, but of the rows before; below the last line the first one, of the rows after.
            let (row, rest) = (self.rows.columns, (self.rows.folds - 1) * self.rows.columns);
            let (above, below) = (array[start - 1], array[start + words]);
            array[start - 1] = (above << row | above >> rest) & self.valid[0];
            array[start + words] = (below >> row | below << rest) & self.valid[0];
        }
    }

    fn x(&self, colour: usize, row: usize, column: usize) -> usize {
        2 * column + (row + colour) % 2
    }

    fn slot(&self, colour: usize, row: usize, column: usize) -> (usize, usize) {
        let Rows { columns, width, count, .. } = self.rows;
        (self.starts[colour] + row % count * width + column % width, row / count * columns + column / width)
    }
}

/// The number of rows that share a word on a torus of this side. Part of the definition of the results, because each slot has its own random bits.
pub fn folds(side: usize) -> usize {
    let fit = 2 * WORD_BITS / side;
    (1..=fit.max(1)).rev().find(|&folds| side.is_multiple_of(2 * folds)).unwrap_or(1)
}

/// The first word of an array that lies at the start of a cache line. Only speed depends on it.
fn line_start(words: &[u64]) -> usize {
    words.as_ptr().align_offset(64).min(BLOCK - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::{Start, start::initial_configuration};

    #[test]
    fn spins_survive_the_round_trip_and_are_counted_where_they_lie() {
        for side in [4, 6, 8, 10, 12, 14, 30, 32, 36, 40, 62, 64, 66, 100, 126, 128, 130, 250, 1022, 1026] {
            let torus = SquareTorus::new(side).expect("a valid side");
            for start in [Start::Hot, Start::Cold] {
                let configuration = initial_configuration(torus, start, 14103831, side as u64);
                let board = Checkerboard::new(&configuration);
                assert_eq!(board.configuration(), configuration, "side {side}");
                for set in InstructionSet::available() {
                    let expected = Measurement { energy: configuration.energy(), magnetization: configuration.magnetization() };
                    assert_eq!(board.measure(set), expected, "side {side}, {set}");
                }
            }
        }
    }
}
