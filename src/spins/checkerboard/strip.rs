//! Some successive lines of a checkerboard, both colours.
//!
//! The lines of a colour are one flat array, line after line, between two halos: a copy of the line above the first, and of the line below the last (turned
//! by one row, where rows are folded and the lattice closes). So the vertical neighbours of any word are `width` words before and after it, and a vector of
//! words may span several lines.

use crate::kernels::InstructionSet;
use crate::kernels::checkerboard::{Counts, Masks, Rows, count};
use crate::kernels::local_update::Ahead;
use crate::kernels::profile::{Colours, Counters, count_profile};
use crate::kernels::vector::BLOCK;
use std::ops::Range;

/// The lines `first..first + count` of a board.
#[derive(Debug, Clone)]
pub struct Strip {
    /// The words of a line.
    width: usize,
    /// Its number from the top.
    number: usize,
    first: usize,
    count: usize,
    colours: [Vec<u64>; 2],
    /// Where the first line of each colour begins; a cache line begins there too. Only speed depends on it.
    starts: [usize; 2],
}

impl Strip {
    /// Strip number `number`, which has the lines `lines` of a board whose lines have `width` words, all clear.
    pub fn new(number: usize, width: usize, lines: Range<usize>) -> Self {
        // Top halo, lines, bottom halo, one block that the last vectors may touch, and room to bring the first row to a cache line.
        let length = width.next_multiple_of(BLOCK) + (lines.len() + 1) * width + 3 * BLOCK;
        let colours = [0, 1].map(|_| vec![0; length]);
        let starts = [0, 1].map(|colour: usize| {
            let aligned: usize = colours[colour].as_ptr().align_offset(64).min(BLOCK - 1);
            aligned + width.next_multiple_of(BLOCK)
        });
        Strip { width, number, first: lines.start, count: lines.len(), colours, starts }
    }

    /// Its number from the top.
    pub fn number(&self) -> usize {
        self.number
    }

    /// The first line, counted on the whole board.
    pub fn first_line(&self) -> usize {
        self.first
    }

    /// The number of lines.
    pub fn count_lines(&self) -> usize {
        self.count
    }

    /// The lines of a colour.
    pub fn lines(&self, colour: usize) -> &[u64] {
        &self.colours[colour][self.starts[colour]..][..self.count * self.width]
    }

    /// The lines of a colour, to be changed. The halos beside them are then old.
    pub fn lines_mut(&mut self, colour: usize) -> &mut [u64] {
        &mut self.colours[colour][self.starts[colour]..][..self.count * self.width]
    }

    /// The lines of both colours, to be called into the cache.
    pub fn ahead(&self) -> Ahead {
        Ahead::new([0, 1].map(|colour| self.lines(colour)))
    }

    /// A colour from its top halo on.
    fn with_halo(&self, colour: usize) -> &[u64] {
        &self.colours[colour][self.starts[colour] - self.width..]
    }

    /// Calls `update` with the lines `lines` of one colour (counted in the strip) and the other colour from its top halo on. `rows` describes a line.
    pub fn update(&mut self, colour: usize, lines: Range<usize>, rows: Rows, update: impl FnOnce(&mut [u64], &[u64], Rows)) {
        let (width, starts) = (self.width, self.starts);
        let [even, odd] = &mut self.colours;
        let (own, other) = if colour == 0 { (even, odd) } else { (odd, even) };
        let rows = Rows { colour, first: lines.start, origin: self.first, count: lines.len(), ..rows };
        update(&mut own[starts[colour] + lines.start * width..], &other[starts[1 - colour] - width..], rows);
    }

    /// Unsatisfied bonds with an end of colour 1 in this strip, and spins up. The halos of colour 0 must be new.
    pub fn count(&self, set: InstructionSet, rows: Rows, masks: &Masks) -> Counts {
        let rows = Rows { colour: 1, first: 0, origin: self.first, count: self.count, ..rows };
        count(set, self.with_halo(1), self.with_halo(0), rows, masks)
    }

    /// The first line of both colours, with a block to spare.
    pub fn first_lines(&self) -> [&[u64]; 2] {
        [0, 1].map(|colour| &self.lines(colour)[..self.width + BLOCK])
    }

    /// Counts up spins of columns and rows, and unsatisfied bonds and all up spins. `below` are the lines below the last one, with a block to spare; without them
    /// the halos count, which must then be new.
    pub fn profile(&self, set: InstructionSet, rows: Rows, masks: &Masks, below: Option<[&[u64]; 2]>, counters: &mut Counters) -> Counts {
        let rows = Rows { colour: 0, first: 0, origin: 0, count: self.count, ..rows };
        let lines = [self.with_halo(0), self.with_halo(1)];
        let below = below.unwrap_or(lines.map(|words| &words[(self.count + 1) * self.width..]));
        count_profile(set, Colours { lines, below }, rows, masks, counters)
    }

    /// Copies the first and the last line to where other strips see them.
    pub fn write_edges(&self, colour: usize, edges: &mut [u64]) {
        let lines = self.lines(colour);
        edges[..self.width].copy_from_slice(&lines[..self.width]);
        edges[self.width..].copy_from_slice(&lines[lines.len() - self.width..]);
    }

    /// Renews the halos of a colour from the edges of all strips.
    pub fn take_edges(&mut self, colour: usize, edges: &[u64], rows: Rows, masks: &Masks) {
        let (start, width, words) = (self.starts[colour], self.width, self.count * self.width);
        let lines = edges.len() / width;
        // Two edges a strip, in the order of the strips: the last line of the strip before this one, the first line of the one after it.
        let (above, below) = ((2 * self.number + lines - 1) % lines, (2 * self.number + 2) % lines);
        let array = &mut self.colours[colour];
        array[start - width..start].copy_from_slice(&edges[above * width..][..width]);
        array[start + words..start + words + width].copy_from_slice(&edges[below * width..][..width]);
        self.turn_halos(colour, rows, masks);
    }

    /// Renews the halos of a colour of a strip that is the whole board.
    pub fn close(&mut self, colour: usize, rows: Rows, masks: &Masks) {
        let (start, width, words) = (self.starts[colour], self.width, self.count * self.width);
        let array = &mut self.colours[colour];
        for word in 0..width {
            array[start - width + word] = array[start + words - width + word];
            array[start + words + word] = array[start + word];
        }
        self.turn_halos(colour, rows, masks);
    }

    /// Where rows are folded: above the first line lies the last one, but of the rows before; below the last line the first one, of the rows after.
    fn turn_halos(&mut self, colour: usize, rows: Rows, masks: &Masks) {
        if rows.folds > 1 {
            let (start, words, valid) = (self.starts[colour], self.count * self.width, masks.valid[0]);
            let array = &mut self.colours[colour];
            let (row, rest) = (rows.columns, (rows.folds - 1) * rows.columns);
            let (above, below) = (array[start - 1], array[start + words]);
            array[start - 1] = (above << row | above >> rest) & valid;
            array[start + words] = (below >> row | below << rest) & valid;
        }
    }
}
