//! Neighbours on the checkerboard layout, and the observables. The layout is described at the top of [`crate::spins::checkerboard`].
//!
//! Everything works on blocks of eight words (512 slots) in flat order, whatever the width of a row. Read [`Sideways`] first, then [`count`].

use super::vector::{BLOCK, Block, Halves, Vector};
#[cfg(target_arch = "x86_64")]
use super::{Chosen, vector::Register};
use super::{InstructionSet, dispatch};

mod masks;
mod sideways;

pub use masks::{Masks, SteadyLines};
pub use sideways::{Around, Sideways, TakeNeighbours, sideways_long};

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

    /// Whether all slots of a line exist.
    #[inline(always)]
    pub fn are_full(self) -> bool {
        self.folds * self.columns == 64 * self.width
    }

    /// Whether the columns of a line are shifted back (to lower columns) or forth, where `line` counts from the start of the arrays.
    #[inline(always)]
    fn looks_back(self, line: usize) -> bool {
        (self.origin + line + self.colour).is_multiple_of(2)
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
    let (sum, carry) = first.full_adder(second, third);
    Unsatisfied { sum: sum ^ spins, carry: carry ^ spins, fourth: fourth ^ spins }
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

/// Keeps the last ones.
struct Last<V>(V);

impl<V: Copy> TakeNeighbours<V> for Last<V> {
    #[inline(always)]
    fn take(&mut self, _: usize, neighbours: V, _: V) {
        self.0 = neighbours;
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

impl std::iter::Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Counts { unsatisfied: 0, up: 0 }, |sum, part| Counts {
            unsatisfied: sum.unsatisfied + part.unsatisfied,
            up: sum.up + part.up,
        })
    }
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
    let steady = sideways.steady_lines::<V>();
    let mut side = [0; BLOCK + SPARE];
    for start in (0..rows.count * width).step_by(BLOCK) {
        let at = rows.first * width + start;
        let around = sideways.around(other, at + width, BLOCK);
        let side = match (rows.shape(), &steady) {
            (Shape::Whole, _) => {
                let mut last = Last(V::splat(0));
                sideways.in_whole_lines::<V, false>(&around, &mut last);
                last.0
            }
            (Shape::Short, Some(steady)) => steady.neighbours(V::load(other, at + width)),
            (Shape::Short, None) => sideways.in_short_lines(&around, 0),
            (Shape::Long, _) => {
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
