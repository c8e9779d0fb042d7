//! Energy, column and row magnetizations of the checkerboard layout in one pass over the packed words, without unpacking a spin.
//!
//! **Energy.** Every second plaquette of the square lattice, taken like the black fields of a chessboard, holds each bond once. A plaquette of two even spins s, s' and
//! two odd spins a, b has none, two or four unsatisfied bonds: "Two" is (s xor s') or (a xor b), "four" is s = s', a = b, s not a. In rows y and y + 1 with
//! even y, the four spins lie in one compact column; with odd y, a and s' lie in the next one.
//!
//! **Rows** are counted bit by bit in each word. **Columns** are counted vertically: bit planes of counters, one a column, to which rows are added by full adders
//! (Harley and Seal's scheme: sixteen rows give one carry into the fifth plane). Columns of even x are the even colour of even rows and the odd colour of odd rows.
//!
//! `Walk` goes down the lattice sixteen rows at a time, block of eight words by block; where a row is no whole number of blocks the last one is masked. Small lattices of which several
//! rows share a word go word by word through `narrow`. The layouts of the cluster samplers are in `layouts`.

use super::checkerboard::Rows;
#[cfg(target_arch = "x86_64")]
use super::vector::Register;
use super::vector::{BLOCK, Block, Halves, Vector};
use super::{Chosen, InstructionSet, dispatch};

mod folded;
mod layouts;
mod spread;

use folded::narrow_body;
pub use layouts::{count_packed, count_tiles, power};
use spread::spread;

/// The counters of all columns and rows of one lattice, to be used again and again.
#[derive(Debug, Clone)]
pub struct Counters {
    /// Up spins of each column x.
    pub columns: Vec<u32>,
    /// Up spins of each row y.
    pub rows: Vec<u32>,
    /// The planes that a count up to L needs.
    depth: usize,
    /// Bit planes of the columns, where a checkerboard wants them: block of a line, plane, x parity.
    planes: Vec<Plane>,
    /// What waits to be added to them, in the same order.
    waiting: Vec<Plane>,
}

/// One bit of the counters of 512 columns.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Plane(Block);

impl Counters {
    /// For a lattice of side `side`.
    pub fn new(side: usize) -> Self {
        let depth = (usize::BITS - side.leading_zeros()) as usize;
        Counters { columns: vec![0; side], rows: vec![0; side], depth: depth.max(CARRIED), planes: Vec::new(), waiting: Vec::new() }
    }
}

/// Planes of a counter that are kept in registers.
const CARRIED: usize = 4;
/// Rows that are taken together: they give one carry into the next plane.
const TOGETHER: usize = 1 << CARRIED;
/// Planes of a count of the rows of a strip, which are below 2^16.
const MOST_PLANES: usize = 16;
/// The lowest bit of each byte.
const LOW_BITS: u64 = u64::MAX / 0xFF;

/// The colours of a lattice or strip, even and odd.
#[derive(Debug, Clone, Copy)]
pub struct Colours<'a> {
    /// Each from its top halo on, with a block to spare at the end.
    pub lines: [&'a [u64]; 2],
    /// The line below the last one, with a block to spare.
    pub below: [&'a [u64]; 2],
}

/// Counts up spins of all columns and rows of a checkerboard. Returns the number of unsatisfied bonds; `None` where several rows share a word, whose bonds
/// [`super::checkerboard::count`] counts.
pub fn count_profile(set: InstructionSet, colours: Colours, rows: Rows, counters: &mut Counters) -> Option<u64> {
    if rows.folds > 1 {
        narrow(set, colours.lines[0], colours.lines[1], rows, counters);
        return None;
    }
    Some(match set.chosen_kind() {
        #[cfg(target_arch = "x86_64")]
        Chosen::Avx512 => wide_register(set, colours, rows, counters),
        _ => wide_halves(set, colours, rows, counters),
    })
}

#[cfg(target_arch = "x86_64")]
dispatch! {
    fn wide_register(colours: Colours, rows: Rows, counters: &mut Counters) -> u64 = wide::<Register>;
}
dispatch! {
    fn wide_halves(colours: Colours, rows: Rows, counters: &mut Counters) -> u64 = wide::<Halves>;
}
dispatch! {
    fn narrow(even: &[u64], odd: &[u64], rows: Rows, counters: &mut Counters) = narrow_body;
}

#[inline(always)]
fn wide<V: Vector>(colours: Colours, rows: Rows, counters: &mut Counters) -> u64 {
    let (single, full) = (rows.width == BLOCK, rows.are_full());
    match (single, full, rows.width.is_multiple_of(BLOCK)) {
        (true, true, _) => walk::<V, true, true, true>(colours, rows, counters),
        (true, false, _) => walk::<V, true, false, true>(colours, rows, counters),
        (false, true, true) => walk::<V, false, true, true>(colours, rows, counters),
        // Others are either rare or have slots that do not exist.
        _ => walk::<V, false, false, false>(colours, rows, counters),
    }
}

/// The way down the rows. `SINGLE`: a row is one block; `FULL`: every slot of a row exists; `WHOLE`: a row is whole blocks.
struct Walk<'a, V, const SINGLE: bool, const FULL: bool, const WHOLE: bool> {
    colours: Colours<'a>,
    rows: Rows,
    /// Where the present row begins.
    line: usize,
    /// The first word of the block in a row.
    offset: usize,
    /// The block is the last of a row.
    is_last: bool,
    ends: Ends<V>,
    /// The present row of both colours.
    present: [V; 2],
    /// The lowest planes of the counters of even and odd x.
    planes: [[V; 2]; CARRIED],
    /// Plaquettes with two unsatisfied bonds, and with four, a word.
    two: V,
    four: V,
    /// Counts of the last rows, one byte a row, the latest on top.
    bytes: V,
}

/// The end of a row, if it is in a block.
#[derive(Clone, Copy)]
struct Ends<V> {
    /// The words of the block that belong to the row.
    inside: V,
    /// The last word of the row.
    word: V,
    /// The slot of the last column.
    seam: V,
}

impl<V: Vector> Ends<V> {
    #[inline(always)]
    fn new(rows: Rows, offset: usize) -> Self {
        let (width, last) = (rows.width, rows.columns - 1);
        let (mut inside, mut word, mut seam) = ([0; BLOCK], [0; BLOCK], [0; BLOCK]);
        for place in 0..BLOCK.min(width - offset) {
            inside[place] = u64::MAX;
        }
        if width - offset <= BLOCK {
            word[width - offset - 1] = u64::MAX;
        }
        if (offset..offset + BLOCK).contains(&(last % width)) {
            seam[last % width - offset] = 1 << (last / width);
        }
        Ends { inside: V::from_block(inside), word: V::from_block(word), seam: V::from_block(seam) }
    }
}

#[inline(always)]
fn walk<V: Vector, const SINGLE: bool, const FULL: bool, const WHOLE: bool>(colours: Colours, rows: Rows, counters: &mut Counters) -> u64 {
    let (count, blocks) = (rows.count, rows.width.div_ceil(BLOCK));
    let depth = ((usize::BITS - count.leading_zeros()) as usize).max(CARRIED);
    assert!(depth <= MOST_PLANES, "a strip has fewer than 2^{MOST_PLANES} rows");
    counters.planes.clear();
    counters.planes.resize(2 * depth * blocks, Plane([0; BLOCK]));
    counters.waiting.resize(2 * depth * blocks, Plane([0; BLOCK]));
    let nothing = V::splat(0);
    let mut walk = Walk::<V, SINGLE, FULL, WHOLE> {
        colours,
        rows,
        line: 0,
        offset: 0,
        is_last: true,
        ends: Ends::new(rows, 0),
        present: [nothing; 2],
        planes: [[nothing; 2]; CARRIED],
        two: nothing,
        four: nothing,
        bytes: nothing,
    };
    let groups = count / TOGETHER;
    for group in 0..groups {
        let row = group * TOGETHER;
        let mut sums = [nothing; 2];
        for block in 0..blocks {
            let own = block * 2 * depth..(block + 1) * 2 * depth;
            let (planes, waiting) = (&mut counters.planes[own.clone()], &mut counters.waiting[own]);
            walk.enter(row, block, planes);
            let first = walk.eight_rows();
            sums[0] = sums[0].add(walk.row_sums());
            let second = walk.eight_rows();
            sums[1] = sums[1].add(walk.row_sums());
            let carry = walk.add::<3>(first, second);
            walk.leave(planes);
            raise(planes, waiting, group, carry);
        }
        for (rows, sums) in counters.rows[row..row + TOGETHER].as_chunks_mut::<BLOCK>().0.iter_mut().zip(sums) {
            *rows = sums.to_block().map(|sum| sum as u32);
        }
    }
    for row in (groups * TOGETHER..count).step_by(2) {
        let mut sums = nothing;
        for block in 0..blocks {
            let planes = &mut counters.planes[block * 2 * depth..(block + 1) * 2 * depth];
            walk.enter(row, block, planes);
            let mut carry = walk.two_rows();
            for plane in 1..CARRIED {
                for parity in 0..2 {
                    let sum = walk.planes[plane][parity];
                    (walk.planes[plane][parity], carry[parity]) = (sum ^ carry[parity], sum & carry[parity]);
                }
            }
            sums = sums.add(walk.row_sums());
            walk.leave(planes);
            ripple_planes(planes, CARRIED, carry);
        }
        // The latest are on top.
        let sums = sums.to_block();
        counters.rows[row..row + 2].iter_mut().zip(&sums[BLOCK - 2..]).for_each(|(row, sum)| *row = *sum as u32);
    }
    for block in 0..blocks {
        let own = block * 2 * depth..(block + 1) * 2 * depth;
        let (planes, waiting) = (&mut counters.planes[own.clone()], &counters.waiting[own]);
        // Groups are counted by what waits, as in a binary number.
        for plane in (CARRIED..depth).filter(|plane| groups >> (plane - CARRIED) & 1 == 1) {
            ripple_planes(planes, plane, [V::from_block(waiting[2 * plane].0), V::from_block(waiting[2 * plane + 1].0)]);
        }
        spread::<V>(planes, rows, block, &mut counters.columns);
    }
    let sum = |counts: V| counts.to_block().iter().sum::<u64>();
    2 * (sum(walk.two) + 2 * sum(walk.four))
}

/// Adds the carry of a group of rows to what was carried before: two carries of the same weight and a plane make a plane and a carry of twice the weight, and one
/// alone waits.
#[inline(always)]
fn raise<V: Vector>(planes: &mut [Plane], waiting: &mut [Plane], group: usize, mut carry: [V; 2]) {
    let mut plane = CARRIED;
    while group >> (plane - CARRIED) & 1 == 1 {
        for parity in 0..2 {
            let at = 2 * plane + parity;
            let (sum, other) = (V::from_block(planes[at].0), V::from_block(waiting[at].0));
            planes[at].0 = sum.parity(other, carry[parity]).to_block();
            carry[parity] = sum.majority(other, carry[parity]);
        }
        plane += 1;
    }
    for parity in 0..2 {
        waiting[2 * plane + parity].0 = carry[parity].to_block();
    }
}

/// Adds a carry of even and odd x to the planes from `plane` on.
#[inline(always)]
fn ripple_planes<V: Vector>(planes: &mut [Plane], plane: usize, mut carry: [V; 2]) {
    for pair in planes.chunks_exact_mut(2).skip(plane) {
        for (plane, carry) in pair.iter_mut().zip(&mut carry) {
            let sum = V::from_block(plane.0);
            plane.0 = (sum ^ *carry).to_block();
            *carry &= sum;
        }
    }
}

impl<'a, V: Vector, const SINGLE: bool, const FULL: bool, const WHOLE: bool> Walk<'a, V, SINGLE, FULL, WHOLE> {
    /// Goes to a block of a row, of which `planes` are the counters.
    #[inline(always)]
    fn enter(&mut self, row: usize, block: usize, planes: &[Plane]) {
        let width = self.rows.width;
        (self.line, self.offset) = ((row + 1) * width, block * BLOCK);
        self.is_last = SINGLE || self.offset + BLOCK >= width;
        if !SINGLE {
            self.ends = Ends::new(self.rows, self.offset);
        }
        self.present = self.load(self.lines(self.line));
        for (plane, pair) in self.planes.iter_mut().zip(planes.chunks_exact(2)) {
            *plane = [V::from_block(pair[0].0), V::from_block(pair[1].0)];
        }
    }

    /// Puts the counters back.
    #[inline(always)]
    fn leave(&self, planes: &mut [Plane]) {
        for (plane, pair) in self.planes.iter().zip(planes.chunks_exact_mut(2)) {
            (pair[0].0, pair[1].0) = (plane[0].to_block(), plane[1].to_block());
        }
    }

    /// Both colours from a line on.
    #[inline(always)]
    fn lines(&self, line: usize) -> [&'a [u64]; 2] {
        if line == (self.rows.count + 1) * self.rows.width { self.colours.below } else { self.colours.lines.map(|words| &words[line..]) }
    }

    /// The block of a line.
    #[inline(always)]
    fn load(&self, lines: [&[u64]; 2]) -> [V; 2] {
        let (even, odd) = (V::load(lines[0], self.offset), V::load(lines[1], self.offset));
        if WHOLE { [even, odd] } else { [even & self.ends.inside, odd & self.ends.inside] }
    }

    /// Adds two numbers of the weight of plane `PLANE` to the counters of even and odd x; the carries have twice the weight.
    #[inline(always)]
    fn add<const PLANE: usize>(&mut self, first: [V; 2], second: [V; 2]) -> [V; 2] {
        let mut carry = first;
        for parity in 0..2 {
            let sum = self.planes[PLANE][parity];
            carry[parity] = sum.majority(first[parity], second[parity]);
            self.planes[PLANE][parity] = sum.parity(first[parity], second[parity]);
        }
        carry
    }

    /// The next column of each slot of a row that begins with `line`, of which `present` is the block.
    #[inline(always)]
    fn forth(&self, line: &[u64], present: V) -> V {
        // The last word has the first one of the row after it, one bit higher.
        let next = if SINGLE {
            let next = present.next_words();
            if FULL {
                next.rotate_left_each(V::from_block([0, 0, 0, 0, 0, 0, 0, 63]))
            } else {
                next.shift_right_each(V::from_block([0, 0, 0, 0, 0, 0, 0, 1]))
            }
        } else {
            let next = V::load(line, self.offset + 1);
            if self.is_last {
                let round = V::splat(if FULL { line[0].rotate_left(63) } else { line[0] >> 1 });
                let next = next ^ ((next ^ round) & self.ends.word);
                if WHOLE { next } else { next & self.ends.inside }
            } else {
                next
            }
        };
        // After the last column comes column 0, where a clear bit is so far.
        if FULL { next } else { next | (V::splat((line[0] & 1).wrapping_neg()) & self.ends.seam) }
    }

    /// Counts the plaquettes between this row and the next.
    #[inline(always)]
    fn plaquettes(&mut self, [s, other, a, b]: [V; 4]) {
        let two = (s ^ other) | (a ^ b);
        let four = (s ^ a) & !two;
        self.two = self.two.add(two.ones());
        self.four = self.four.add(four.ones());
    }

    #[inline(always)]
    fn count_row(&mut self) {
        let [even, odd] = self.present;
        self.bytes = self.bytes.push_byte(even.ones().add(odd.ones()));
    }

    /// An even row and the odd one below it.
    #[inline(always)]
    fn two_rows(&mut self) -> [V; 2] {
        let [even, odd] = self.present;
        self.count_row();
        let line = self.lines(self.line + self.rows.width);
        let below = self.load(line);
        self.plaquettes([even, below[0], odd, below[1]]);
        let carry = self.add::<0>([even, odd], [below[1], below[0]]);
        self.present = below;
        self.count_row();
        self.line += 2 * self.rows.width;
        let next = self.lines(self.line);
        self.present = self.load(next);
        let (a, other) = (self.forth(line[1], below[1]), self.forth(next[0], self.present[0]));
        self.plaquettes([below[0], other, a, self.present[1]]);
        carry
    }

    #[inline(always)]
    fn four_rows(&mut self) -> [V; 2] {
        let (first, second) = (self.two_rows(), self.two_rows());
        self.add::<1>(first, second)
    }

    #[inline(always)]
    fn eight_rows(&mut self) -> [V; 2] {
        let (first, second) = (self.four_rows(), self.four_rows());
        self.add::<2>(first, second)
    }

    /// The counts of the last rows in this block, eight at most, the latest on top.
    #[inline(always)]
    fn row_sums(&mut self) -> V {
        let sums = V::from_block(self.bytes.byte_sums());
        self.bytes = V::splat(0);
        sums
    }
}
