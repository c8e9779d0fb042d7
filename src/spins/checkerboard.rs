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
//! The lines are cut into strips ([`strip`]) that depend on the side alone. Each has a random stream of its own, and threads take turns with them.
//! [`Checkerboard::sweep`] says in which order the colours and lines of the strips are updated.

mod strided;
pub mod strip;

use super::{Configuration, WORD_BITS};
use crate::kernels::InstructionSet;
use crate::kernels::checkerboard::{Counts, Masks, Rows};
use crate::kernels::local_update::Ahead;
use crate::kernels::profile::Counters;
use crate::lattice::SquareTorus;
use crate::measure::{Measurement, Observer};
use rayon::prelude::*;
use std::ops::Range;
use strided::{Bits, at_even_places, columns_of, set_line, to_even_places};
use strip::Strip;

/// A strip has at least this many words of a colour (256 KiB): it fits into the cache of a core, and what it needs besides its spins is small beside them.
const STRIP_WORDS: usize = 1 << 15;
/// And at least this many lines, because the lines above and below are copied.
const STRIP_LINES: usize = 128;

/// The spins of a square torus of even side, colour by colour.
#[derive(Debug, Clone)]
pub struct Checkerboard {
    torus: SquareTorus,
    rows: Rows,
    strips: Vec<Strip>,
    /// Of each colour: the first and the last line of every strip, as the strips beside it see them.
    edges: [Vec<u64>; 2],
    masks: Masks,
}

impl Checkerboard {
    /// All spins down.
    ///
    /// # Panics
    /// If the side of the lattice is odd: the caller has to refuse it in words.
    pub fn new(torus: SquareTorus) -> Self {
        assert!(torus.is_bipartite(), "a checkerboard needs an even side");
        let columns = torus.side() / 2;
        let width = columns.div_ceil(WORD_BITS);
        let folds = folds(torus.side());
        let rows = Rows { columns, width, folds, colour: 0, first: 0, origin: 0, count: torus.side() / folds };
        let strips: Vec<Strip> =
            (0..strips(torus.side())).map(|strip| Strip::new(strip, width, strip_lines(torus.side(), strip))).collect();
        Checkerboard { torus, rows, edges: [0, 1].map(|_| vec![0; 2 * width * strips.len()]), strips, masks: Masks::new(rows) }
    }

    /// Takes over the spins of `configuration`.
    ///
    /// # Panics
    /// As for [`Self::new`], and if the lattice is none of two dimensions.
    pub fn from_configuration(configuration: &Configuration) -> Self {
        let mut words = configuration.words().iter().copied();
        let torus = configuration.torus().square().expect("a configuration of a square lattice");
        Self::from_words(torus, || words.next().expect("a configuration has ceil(N / 64) words"))
    }

    /// Takes over spins in site order, 64 at a time, without the need for all of them at once. `next_word` is asked ceil(N / 64) times.
    ///
    /// # Panics
    /// As for [`Self::new`].
    pub fn from_words(torus: SquareTorus, mut next_word: impl FnMut() -> u64) -> Self {
        let mut board = Self::new(torus);
        let (side, width, count, columns) = (torus.side(), board.rows.width, board.rows.count, board.rows.columns);
        let (mut word, mut left) = (0, 0);
        // Of even and odd x, in their order.
        let mut halves = [Bits::new(columns), Bits::new(columns)];
        for row in 0..side {
            halves.iter_mut().for_each(Bits::clear);
            let mut missing = side;
            while missing > 0 {
                if left == 0 {
                    (word, left) = (next_word(), WORD_BITS);
                }
                // Both are even.
                let taken = left.min(missing);
                let sites = word & u64::MAX >> (WORD_BITS - taken);
                halves[0].push(at_even_places(sites), taken / 2);
                halves[1].push(at_even_places(sites >> 1), taken / 2);
                word = if taken == WORD_BITS { 0 } else { word >> taken };
                (left, missing) = (left - taken, missing - taken);
            }
            for (parity, half) in halves.iter().enumerate() {
                let line = board.line_mut((row + parity) % 2, row % count);
                if width == 1 {
                    line[0] |= half.get(0) << (row / count * columns);
                } else {
                    set_line(half, line);
                }
            }
        }
        board.refresh_halos();
        board
    }

    /// The number of strips.
    pub fn strips(&self) -> usize {
        self.strips.len()
    }

    /// The lattice.
    pub fn torus(&self) -> SquareTorus {
        self.torus
    }

    /// The spins in site order.
    pub fn configuration(&self) -> Configuration {
        let Rows { columns, width, count, .. } = self.rows;
        let mut words = Vec::with_capacity(self.torus.sites().div_ceil(WORD_BITS));
        let (mut word, mut filled) = (0, 0);
        // Of even and odd x, in their order.
        let mut halves = [Bits::new(columns), Bits::new(columns)];
        for row in 0..self.torus.side() {
            for (parity, half) in halves.iter_mut().enumerate() {
                let line = self.line((row + parity) % 2, row % count);
                if width == 1 {
                    half.clear();
                    let bits = line[0] >> (row / count * columns);
                    half.push(bits & u64::MAX >> (WORD_BITS - columns), columns);
                } else {
                    columns_of(line, columns, half);
                }
            }
            for first in (0..columns).step_by(WORD_BITS / 2) {
                let [even, odd] = [0, 1].map(|parity: usize| to_even_places(halves[parity].get(first) & u64::MAX >> (WORD_BITS / 2)));
                let (sites, count) = (even | odd << 1, 2 * (columns - first).min(WORD_BITS / 2));
                word |= sites << filled;
                filled += count;
                if filled >= WORD_BITS {
                    words.push(word);
                    filled -= WORD_BITS;
                    // What did not fit any more.
                    word = if filled == 0 { 0 } else { sites >> (count - filled) };
                }
            }
        }
        if filled > 0 {
            words.push(word);
        }
        Configuration::from_words(self.torus, words)
    }

    /// Energy and magnetization, counted on the packed words.
    pub fn measure(&self, set: InstructionSet) -> Measurement {
        self.measurement(self.strips.par_iter().map(|strip| strip.count(set, self.rows, &self.masks)).sum())
    }

    fn measurement(&self, counts: Counts) -> Measurement {
        Measurement {
            energy: 2 * counts.unsatisfied as i64 - self.torus.bonds() as i64,
            magnetization: 2 * counts.up as i64 - self.torus.sites() as i64,
        }
    }

    /// The same, and the up spins of every column and row.
    pub fn observe(&self, set: InstructionSet, observer: &mut Observer) -> Measurement {
        let counters = &mut observer.counters;
        let counts = if let [strip] = self.strips.as_slice() {
            strip.profile(set, self.rows, &self.masks, None, counters)
        } else {
            // Strips are counted apart, each with the line below it, which is in the next strip.
            let below = |strip: usize| self.strips[(strip + 1) % self.strips.len()].first_lines();
            let side = self.torus.side();
            let count = |strips: &[Strip]| {
                let (mut sum, mut own, mut counts) = (Counters::new(side), Counters::new(side), Vec::new());
                for strip in strips {
                    counts.push(strip.profile(set, self.rows, &self.masks, Some(below(strip.number())), &mut own));
                    sum.rows[strip.first_line()..][..strip.count_lines()].copy_from_slice(&own.rows[..strip.count_lines()]);
                    sum.columns.iter_mut().zip(&own.columns).for_each(|(sum, up)| *sum += up);
                }
                (counts, sum)
            };
            let share = self.strips.len().div_ceil(rayon::current_num_threads());
            let parts: Vec<(Vec<Counts>, Counters)> = self.strips.par_chunks(share).map(count).collect();
            counters.columns.fill(0);
            counters.rows.fill(0);
            for (_, part) in &parts {
                counters.columns.iter_mut().zip(&part.columns).for_each(|(sum, up)| *sum += up);
                counters.rows.iter_mut().zip(&part.rows).for_each(|(sum, up)| *sum += up);
            }
            parts.into_iter().flat_map(|(counts, _)| counts).sum()
        };
        self.measurement(counts)
    }

    /// Updates every spin once, with one source of random numbers for each strip. `update` is given own rows, the other colour from the line above the first
    /// row on, which rows, the masks of the board, and which words will be wanted next; it has to be able to read, and leave as it was, up to a block after the last own row.
    ///
    /// A board of one strip updates colour 0, then colour 1. With several strips, each of them updates colour 0, then the lines of colour 1 that have both
    /// neighbours in the strip; when all have done so, each updates the first line of colour 1, then the last one. So a strip passes through the cache once.
    ///
    /// # Panics
    /// If there is not one source a strip.
    pub fn sweep<S: Send>(&mut self, sources: &mut [S], update: impl Fn(&mut S, &mut [u64], &[u64], Rows, &Masks, Ahead) + Sync) {
        assert_eq!(sources.len(), self.strips.len(), "one source of random numbers a strip");
        let (rows, masks) = (self.rows, &self.masks);
        if let ([strip], [source]) = (self.strips.as_mut_slice(), &mut *sources) {
            for colour in 0..2 {
                strip.update(colour, 0..rows.count, rows, |own, other, rows| update(source, own, other, rows, masks, Ahead::NOTHING));
                strip.close(colour, rows, masks);
            }
            return;
        }
        let edge = 2 * rows.width;
        let following: Vec<Ahead> = (1..=self.strips.len()).map(|next| self.strips[next % self.strips.len()].ahead()).collect();
        let [first, second] = &mut self.edges;
        let seen = &*second;
        let work = self.strips.par_iter_mut().zip(&mut *sources).zip(first.par_chunks_mut(edge)).zip(following);
        work.for_each(|(((strip, source), edges), following)| {
            strip.take_edges(1, seen, rows, masks);
            strip.update(0, 0..strip.count_lines(), rows, |own, other, rows| update(source, own, other, rows, masks, Ahead::NOTHING));
            strip.write_edges(0, edges);
            // The second colour finds all it needs in the cache.
            strip.update(1, 1..strip.count_lines() - 1, rows, |own, other, rows| update(source, own, other, rows, masks, following));
        });
        let seen = &*first;
        self.strips.par_iter_mut().zip(sources).zip(second.par_chunks_mut(edge)).for_each(|((strip, source), edges)| {
            strip.take_edges(0, seen, rows, masks);
            for line in [0, strip.count_lines() - 1] {
                strip.update(1, line..line + 1, rows, |own, other, rows| update(source, own, other, rows, masks, Ahead::NOTHING));
            }
            strip.write_edges(1, edges);
        });
    }

    /// The number of words that hold the spins.
    pub fn word_count(&self) -> usize {
        2 * self.rows.count * self.rows.width
    }

    /// Hands over the words that hold the spins, piece by piece: all lines of the even colour, then of the odd one. Their layout depends on the side alone.
    pub fn put_words(&self, take: &mut dyn FnMut(&[u64])) {
        for colour in 0..2 {
            self.strips.iter().for_each(|strip| take(strip.lines(colour)));
        }
    }

    /// Takes over what [`Self::put_words`] gave of a board of the same side.
    ///
    /// # Panics
    /// If there are not [`Self::word_count`] words.
    pub fn set_words(&mut self, words: &[u64]) {
        assert_eq!(words.len(), self.word_count(), "the words of a board of this side");
        let width = self.rows.width;
        for (colour, mut lines) in words.chunks_exact(words.len() / 2).enumerate() {
            for strip in &mut self.strips {
                let own = strip.lines_mut(colour);
                let (taken, rest) = lines.split_at(own.len());
                // Slots that do not exist stay clear whatever is said of them.
                own.iter_mut().zip(taken).enumerate().for_each(|(place, (own, word))| *own = word & self.masks.valid[place % width]);
                lines = rest;
            }
        }
        self.refresh_halos();
    }

    fn refresh_halos(&mut self) {
        for (colour, edges) in self.edges.iter_mut().enumerate() {
            self.strips.iter().zip(edges.chunks_exact_mut(2 * self.rows.width)).for_each(|(strip, edges)| strip.write_edges(colour, edges));
            self.strips.iter_mut().for_each(|strip| strip.take_edges(colour, edges, self.rows, &self.masks));
        }
    }

    fn strip_of(&self, line: usize) -> usize {
        self.strips.partition_point(|strip| strip.first_line() <= line) - 1
    }

    fn line(&self, colour: usize, line: usize) -> &[u64] {
        let strip = &self.strips[self.strip_of(line)];
        &strip.lines(colour)[(line - strip.first_line()) * self.rows.width..][..self.rows.width]
    }

    fn line_mut(&mut self, colour: usize, line: usize) -> &mut [u64] {
        let (strip, width) = (self.strip_of(line), self.rows.width);
        let strip = &mut self.strips[strip];
        let first = strip.first_line();
        &mut strip.lines_mut(colour)[(line - first) * width..][..width]
    }
}

/// The number of rows that share a word on a torus of this side. Part of the definition of the results, because each slot has its own random bits.
pub fn folds(side: usize) -> usize {
    let fit = 2 * WORD_BITS / side;
    (1..=fit.max(1)).rev().find(|&folds| side.is_multiple_of(2 * folds)).unwrap_or(1)
}

/// The number of strips of a torus of this side, each with its own stream: part of the definition of the results. See [`strip_lines`].
pub fn strips(side: usize) -> usize {
    let width = (side / 2).div_ceil(WORD_BITS);
    (side / STRIP_LINES.max(STRIP_WORDS.div_ceil(width))).max(1)
}

/// The lines of a strip of a torus of this side: of H pairs of lines, strip i of n has the pairs from floor(i H / n) to floor((i + 1) H / n) - 1. So strips begin
/// with a line of the same parity, and need not be told apart when columns are counted.
pub fn strip_lines(side: usize, strip: usize) -> Range<usize> {
    let (pairs, number) = (side / folds(side) / 2, strips(side));
    2 * (strip * pairs / number)..2 * ((strip + 1) * pairs / number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::{Start, start::initial_configuration};

    #[test]
    fn spins_survive_the_round_trip_and_are_counted_where_they_lie() {
        for side in [4, 6, 8, 10, 12, 14, 30, 32, 36, 40, 62, 64, 66, 100, 126, 128, 130, 250, 256, 512, 1022, 1026, 2902] {
            let torus = SquareTorus::new(side).expect("a valid side");
            for start in [Start::Hot, Start::Cold] {
                let configuration = initial_configuration(torus, start, 14103831, side as u64);
                let board = Checkerboard::from_configuration(&configuration);
                assert_eq!(board.configuration(), configuration, "side {side}");
                for set in InstructionSet::available() {
                    let expected = Measurement { energy: configuration.energy(), magnetization: configuration.magnetization() };
                    assert_eq!(board.measure(set), expected, "side {side}, {set}");
                    let mut observer = Observer::new(torus);
                    assert_eq!(board.observe(set, &mut observer), expected, "side {side}, {set}");
                    let up = |site: usize| u32::from(configuration.bits()[site]);
                    let columns: Vec<u32> = (0..side).map(|x| (0..side).map(|y| up(torus.site(x, y))).sum()).collect();
                    let rows: Vec<u32> = (0..side).map(|y| (0..side).map(|x| up(torus.site(x, y))).sum()).collect();
                    assert_eq!((&observer.counters.columns, &observer.counters.rows), (&columns, &rows), "side {side}, {set}");
                }
            }
        }
    }
}
