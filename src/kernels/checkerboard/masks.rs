//! What the words of a board have in common, line after line: which slots exist, and by which masks the sideways neighbours are found. Made once for a board.

use super::sideways::select;
use super::{Rows, Shape};
use crate::kernels::vector::{BLOCK, Block, Vector};

/// Masks over the words of a board, which repeat with its lines.
#[derive(Debug, Clone)]
pub struct Masks {
    /// The existing slots: one line and a block more, so that a block may start at any word.
    pub valid: Vec<u64>,
    /// For short lines: the masks of the block that starts at each word of two lines, the first of which looks back.
    pub(super) sideways: Vec<SidewaysMasks>,
    /// For short lines of which blocks hold whole pairs, if their ends are simple: of blocks that begin with a line that looks forth, and back.
    pub(super) steady: Option<Box<[Turn; 2]>>,
    /// The same of blocks that begin with an even line: these stay, odd lines look forth.
    odd_forth: Option<Box<Turn>>,
    /// For whole lines: in the block with the last column, the bit of that column.
    pub(super) forth_seam: Block,
}

/// How the sideways neighbours come out of the same words of the other colour, where all blocks are alike: the words change places inside a line, and those at its
/// ends are turned by a bit.
#[derive(Debug, Clone)]
#[repr(C, align(64))]
pub(super) struct Turn {
    /// From which word of the block each comes.
    pub(super) places: Block,
    /// By how many bits it is shifted left, and right.
    pub(super) left: Block,
    pub(super) right: Block,
    /// The bits that come from the shift to the right.
    pub(super) from_right: Block,
}

/// Where the lines of a block look for their neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Back,
    Stay,
    Forth,
}

impl Turn {
    /// Lines are 1, 2 or 4 words; the first of the block and the next look so. Of several words all slots exist.
    fn new(rows: Rows, looks: [Look; 2]) -> Self {
        let Rows { columns, width, folds, .. } = rows;
        let mut turn = Turn { places: [0; BLOCK], left: [0; BLOCK], right: [0; BLOCK], from_right: [0; BLOCK] };
        // A word is `folds` rows of `length` columns. (Where a line is several words, bit 63 of the last one is the last column.)
        let length = if width == 1 { columns } else { 64 };
        let first_columns = (0..folds).fold(0, |mask, fold| mask | 1u64 << (fold * length));
        let around = length as u64 - 1;
        for word in 0..BLOCK {
            let (start, place) = (word / width * width, word % width);
            let look = looks[word / width % 2];
            let (from, end) = match look {
                Look::Back => (place + width - 1, place == 0),
                Look::Stay => (place, false),
                Look::Forth => (place + 1, place == width - 1),
            };
            turn.places[word] = (start + from % width) as u64;
            if end {
                (turn.left[word], turn.right[word], turn.from_right[word]) =
                    if look == Look::Back { (1, around, first_columns) } else { (around, 1, !(first_columns << around)) };
            }
        }
        turn
    }
}

/// A `Turn` in registers.
#[derive(Debug, Clone, Copy)]
pub struct SteadyLines<V> {
    turn: [V; 4],
}

impl<V: Vector> SteadyLines<V> {
    #[inline(always)]
    pub(super) fn new(Turn { places, left, right, from_right }: &Turn) -> Self {
        SteadyLines { turn: [V::from_block(*places), V::from_block(*left), V::from_block(*right), V::from_block(*from_right)] }
    }

    /// The neighbours of a block of short lines from the same words of the other colour. Slots that do not exist get anything.
    #[inline(always)]
    pub fn neighbours(&self, same: V) -> V {
        let [places, left, right, from_right] = self.turn;
        let words = same.permuted(places);
        select(from_right, words.shift_right_each(right), words.shift_left_each(left))
    }
}

/// The masks by which a block of short lines finds its sideways neighbours.
#[derive(Debug, Clone)]
#[repr(C, align(64))]
pub(super) struct SidewaysMasks {
    /// All words of a line that looks back.
    pub(super) back: Block,
    /// The words that get theirs round the end of the line: the first of a line that looks back, the last of one that looks forth.
    pub(super) ends: Block,
    /// The bit of column 0 in lines that look back.
    pub(super) back_seam: Block,
    /// The bit of the last column in lines that look forth.
    pub(super) forth_seam: Block,
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
        let simple = rows.shape() == Shape::Short && BLOCK.is_multiple_of(2 * width) && (width == 1 || rows.are_full());
        Masks {
            valid: (0..width + BLOCK).map(valid).collect(),
            sideways: (0..period).map(masks).collect(),
            forth_seam: std::array::from_fn(|word| if word == seam.word % BLOCK { 1 << seam.bit } else { 0 }),
            steady: simple.then(|| Box::new([[Look::Forth, Look::Back], [Look::Back, Look::Forth]].map(|looks| Turn::new(rows, looks)))),
            odd_forth: simple.then(|| Box::new(Turn::new(rows, [Look::Stay, Look::Forth]))),
        }
    }

    /// Whether blocks hold whole pairs of lines, all alike.
    pub fn has_short_pairs(&self) -> bool {
        self.odd_forth.is_some()
    }

    /// For blocks of such pairs, of which the first line is even: the odd lines with what is one column forth, the even ones as they are.
    ///
    /// # Panics
    /// Where lines are no short pairs.
    #[inline(always)]
    pub fn odd_lines_forth<V: Vector>(&self) -> SteadyLines<V> {
        SteadyLines::new(self.odd_forth.as_deref().expect("short pairs of lines"))
    }
}

/// Where the last column of a row lies, L/2 - 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seam {
    pub(super) word: usize,
    pub(super) bit: u32,
}

impl Seam {
    #[inline(always)]
    pub(super) fn new(rows: Rows) -> Self {
        Seam { word: (rows.columns - 1) % rows.width, bit: ((rows.columns - 1) / rows.width) as u32 }
    }
}
