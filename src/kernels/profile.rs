//! Energy, column and row magnetizations of the checkerboard layout in one pass over the packed words, without unpacking a spin.
//!
//! **Energy.** Every second plaquette of the square lattice, taken like the black fields of a chessboard, holds each bond once. A plaquette of two even spins s, s' and
//! two odd spins a, b has none, two or four unsatisfied bonds: "Two" is (s xor s') or (a xor b), "four" is s = s', a = b, s not a. In rows y and y + 1 with
//! even y, the four spins lie in one compact column; with odd y, a and s' lie in the next one.
//!
//! **Rows** are counted bit by bit in each word. **Columns** are counted vertically: bit planes of counters, one a column, to which rows are added by full adders
//! (Harley and Seal's scheme: sixteen rows give one carry into the fifth plane). Columns of even x are the even colour of even rows and the odd colour of odd rows.
//!
//! `Walk` goes down the lattice sixteen rows at a time, block of eight words by block; where a row is no whole number of blocks the last one is masked. Small lattices, of which a block
//! holds several rows, are in `short`, the layouts of the cluster samplers in `layouts`.

use super::checkerboard::{Counts, Masks, Rows};
use super::vector::{BLOCK, Block, Halves, Vector};
#[cfg(target_arch = "x86_64")]
use super::{Chosen, vector::Register};
use super::{InstructionSet, dispatch};

mod layouts;
mod short;
mod spread;
mod words;

pub use layouts::{count_packed, count_tiles, power, power_of_both};
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

/// Counts up spins of all columns and rows of a checkerboard. Returns the unsatisfied bonds and all up spins.
pub fn count_profile(set: InstructionSet, colours: Colours, rows: Rows, masks: &Masks, counters: &mut Counters) -> Counts {
    let short = masks.has_short_pairs();
    match set.chosen_kind() {
        #[cfg(target_arch = "x86_64")]
        Chosen::Avx512 if short => short_register(set, colours, rows, masks, counters),
        #[cfg(target_arch = "x86_64")]
        Chosen::Avx512 => wide_register(set, colours, rows, counters),
        _ if short => short_halves(set, colours, rows, masks, counters),
        _ => wide_halves(set, colours, rows, counters),
    }
}

// Apart, because in one function the compiler (1.95) keeps more of the rows of `wide` in memory.
#[cfg(target_arch = "x86_64")]
dispatch! {
    fn short_register(colours: Colours, rows: Rows, masks: &Masks, counters: &mut Counters) -> Counts = short::count::<Register>;
}
dispatch! {
    fn short_halves(colours: Colours, rows: Rows, masks: &Masks, counters: &mut Counters) -> Counts = short::count::<Halves>;
}
#[cfg(target_arch = "x86_64")]
dispatch! {
    fn wide_register(colours: Colours, rows: Rows, counters: &mut Counters) -> Counts = wide::<Register>;
}
dispatch! {
    fn wide_halves(colours: Colours, rows: Rows, counters: &mut Counters) -> Counts = wide::<Halves>;
}

#[inline(always)]
fn wide<V: Vector>(colours: Colours, rows: Rows, counters: &mut Counters) -> Counts {
    let (single, full) = (rows.width == BLOCK, rows.are_full());
    match (single, full, rows.width.is_multiple_of(BLOCK)) {
        (true, true, _) => walk::<V, true, true, true>(colours, rows, counters),
        (true, false, _) => walk::<V, true, false, true>(colours, rows, counters),
        (false, true, true) => walk::<V, false, true, true>(colours, rows, counters),
        // Others are either rare or have slots that do not exist.
        _ => walk::<V, false, false, false>(colours, rows, counters),
    }
}

/// Which plaquettes of two even and two odd spins have two unsatisfied bonds, and which have four.
#[inline(always)]
fn plaquettes<V: Vector>([s, other, a, b]: [V; 4]) -> [V; 2] {
    let two = (s ^ other) | (a ^ b);
    [two, (s ^ a) & !two]
}

/// The way down the rows. `SINGLE`: a row is one block; `FULL`: every slot of a row exists; `WHOLE`: a row is whole blocks.
struct Walk<'a, V, const SINGLE: bool, const FULL: bool, const WHOLE: bool> {
    colours: Colours<'a>,
    rows: Rows,
    /// The lines of the rows that are taken together, from the first of them on; and the line after them.
    group: [&'a [u64]; 2],
    after: [&'a [u64]; 2],
    /// The first word of the block in a row.
    offset: usize,
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
fn walk<V: Vector, const SINGLE: bool, const FULL: bool, const WHOLE: bool>(
    colours: Colours,
    rows: Rows,
    counters: &mut Counters,
) -> Counts {
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
        group: colours.lines,
        after: colours.below,
        offset: 0,
        ends: Ends::new(rows, 0),
        present: [nothing; 2],
        planes: [[nothing; 2]; CARRIED],
        two: nothing,
        four: nothing,
        bytes: nothing,
    };
    let groups = count / TOGETHER;
    let mut up = nothing;
    let mut carries = vec![[nothing; 2]; blocks];
    for (group, rows) in counters.rows[..count].as_chunks_mut::<TOGETHER>().0.iter_mut().enumerate() {
        let mut sums = [nothing; 2];
        let planes = counters.planes.chunks_exact_mut(2 * depth).zip(counters.waiting.chunks_exact_mut(2 * depth));
        for ((block, carry), (planes, waiting)) in carries.iter_mut().enumerate().zip(planes) {
            let (lower, upper) = planes.split_at_mut(2 * CARRIED);
            let lower = lower.first_chunk_mut().expect("planes that are carried");
            // That of the group before: what has branches or can fail comes first, so that nothing keeps the compiler from mixing the instructions of all rows.
            if group > 0 {
                raise(upper, waiting, group - 1, *carry);
            }
            walk.enter(group * TOGETHER, TOGETHER, block, lower);
            let rows = if SINGLE || block + 1 == blocks { walk.sixteen_rows::<true>(carry) } else { walk.sixteen_rows::<false>(carry) };
            sums = [sums[0].add(rows[0]), sums[1].add(rows[1])];
            walk.leave(lower);
        }
        for (rows, sums) in rows.as_chunks_mut::<BLOCK>().0.iter_mut().zip(sums) {
            up = up.add(sums);
            *rows = sums.to_block().map(|sum| sum as u32);
        }
    }
    for row in (groups * TOGETHER..count).step_by(2) {
        let mut sums = nothing;
        for block in 0..blocks {
            let planes = &mut counters.planes[block * 2 * depth..(block + 1) * 2 * depth];
            let (lower, upper) = planes.split_at_mut(2 * CARRIED);
            let lower = lower.first_chunk_mut().expect("planes that are carried");
            walk.enter(row, 2, block, lower);
            let mut carry = if block + 1 == blocks { walk.two_rows::<true>(0, 2) } else { walk.two_rows::<false>(0, 2) };
            for plane in 1..CARRIED {
                for parity in 0..2 {
                    let sum = walk.planes[plane][parity];
                    (walk.planes[plane][parity], carry[parity]) = (sum ^ carry[parity], sum & carry[parity]);
                }
            }
            sums = sums.add(walk.row_sums());
            walk.leave(lower);
            ripple_planes(upper, 0, carry);
        }
        // The latest are on top, and there are no others.
        up = up.add(sums);
        let sums = sums.to_block();
        counters.rows[row..row + 2].iter_mut().zip(&sums[BLOCK - 2..]).for_each(|(row, sum)| *row = *sum as u32);
    }
    for block in 0..blocks {
        let own = block * 2 * depth..(block + 1) * 2 * depth;
        let (planes, waiting) = (&mut counters.planes[own.clone()], &mut counters.waiting[own]);
        if groups > 0 {
            raise(&mut planes[2 * CARRIED..], waiting, groups - 1, carries[block]);
        }
        // Groups are counted by what waits, as in a binary number.
        for plane in (0..depth - CARRIED).filter(|plane| groups >> plane & 1 == 1) {
            ripple_planes(planes, CARRIED + plane, [V::from_block(waiting[2 * plane].0), V::from_block(waiting[2 * plane + 1].0)]);
        }
        spread::<V>(planes, rows, block, &mut counters.columns);
    }
    let sum = |counts: V| counts.to_block().iter().sum::<u64>();
    Counts { unsatisfied: 2 * (sum(walk.two) + 2 * sum(walk.four)), up: sum(up) }
}

/// Adds the carry of a group of rows to what was carried before: two carries of the same weight and a plane make a plane and a carry of twice the weight, and one
/// alone waits.
#[inline(always)]
fn raise<V: Vector>(planes: &mut [Plane], waiting: &mut [Plane], group: usize, mut carry: [V; 2]) {
    let mut plane = 0;
    while group >> plane & 1 == 1 {
        for parity in 0..2 {
            let at = 2 * plane + parity;
            let sum;
            (sum, carry[parity]) = V::from_block(planes[at].0).full_adder(carry[parity], V::from_block(waiting[at].0));
            planes[at].0 = sum.to_block();
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
    /// Goes to a block of the rows from `row` on, `count` of which will be taken together; `planes` are the counters of the block.
    #[inline(always)]
    fn enter(&mut self, row: usize, count: usize, block: usize, planes: &[Plane; 2 * CARRIED]) {
        let width = self.rows.width;
        self.offset = block * BLOCK;
        if !SINGLE {
            self.ends = Ends::new(self.rows, self.offset);
        }
        let (first, after) = ((row + 1) * width, (row + 1 + count) * width);
        self.group = self.colours.lines.map(|words| &words[first..]);
        self.after = if row + count == self.rows.count { self.colours.below } else { self.colours.lines.map(|words| &words[after..]) };
        // One look for all loads of the group, the last of which begin at the second word of the last block.
        let enough = |words: &[u64], rows: usize| words.len() > (rows - 1) * width + self.offset + BLOCK;
        assert!(self.group.iter().all(|words| enough(words, count)) && self.after.iter().all(|words| words.len() > self.offset + BLOCK));
        self.present = self.load(self.group, 0);
        for (plane, pair) in self.planes.iter_mut().zip(planes.chunks_exact(2)) {
            *plane = [V::from_block(pair[0].0), V::from_block(pair[1].0)];
        }
    }

    /// Puts the counters back.
    #[inline(always)]
    fn leave(&self, planes: &mut [Plane; 2 * CARRIED]) {
        for (plane, pair) in self.planes.iter().zip(planes.chunks_exact_mut(2)) {
            (pair[0].0, pair[1].0) = (plane[0].to_block(), plane[1].to_block());
        }
    }

    /// The block of the line that begins at word `line`.
    #[inline(always)]
    fn load(&self, lines: [&[u64]; 2], line: usize) -> [V; 2] {
        // SAFETY: `enter` has looked.
        let [even, odd] = lines.map(|words| unsafe { V::load_known(words, line + self.offset) });
        if WHOLE { [even, odd] } else { [even & self.ends.inside, odd & self.ends.inside] }
    }

    /// Adds two numbers of the weight of plane `PLANE` to the counters of even and odd x; the carries have twice the weight.
    #[inline(always)]
    fn add<const PLANE: usize>(&mut self, first: [V; 2], second: [V; 2]) -> [V; 2] {
        let mut carry = first;
        for parity in 0..2 {
            let sum = self.planes[PLANE][parity];
            (self.planes[PLANE][parity], carry[parity]) = sum.full_adder(first[parity], second[parity]);
        }
        carry
    }

    /// The next column of each slot of the row whose line begins at word `line` of `words`.
    #[inline(always)]
    fn forth<const LAST: bool>(&self, words: &[u64], line: usize) -> V {
        // SAFETY: `enter` has looked. Volatile, so that the word is read again: the compiler would take it out of the register that has it, which costs more.
        let first = || unsafe { words.as_ptr().add(line).read_volatile() };
        // SAFETY: as above.
        let next = unsafe { V::load_known(words, line + self.offset + 1) };
        // The last word has the first one of the row after it, one bit higher.
        let next = if SINGLE {
            next.with_last(if FULL { first().rotate_left(63) } else { first() >> 1 })
        } else if LAST {
            let round = V::splat(if FULL { first().rotate_left(63) } else { first() >> 1 });
            let next = next ^ ((next ^ round) & self.ends.word);
            if WHOLE { next } else { next & self.ends.inside }
        } else {
            next
        };
        // After the last column comes column 0, where a clear bit is so far.
        if FULL { next } else { next | (V::splat((first() & 1).wrapping_neg()) & self.ends.seam) }
    }

    /// Counts the plaquettes between this row and the next.
    #[inline(always)]
    fn plaquettes(&mut self, spins: [V; 4]) {
        let [two, four] = plaquettes(spins);
        self.two = self.two.add(two.ones());
        self.four = self.four.add(four.ones());
    }

    #[inline(always)]
    fn count_row(&mut self) {
        let [even, odd] = self.present;
        self.bytes = self.bytes.push_byte(even.ones().add(odd.ones()));
    }

    /// An even row and the odd one below it, the first of which is number `row` of `count` that are taken together.
    #[inline(always)]
    fn two_rows<const LAST: bool>(&mut self, row: usize, count: usize) -> [V; 2] {
        let [even, odd] = self.present;
        self.count_row();
        let line = (row + 1) * self.rows.width;
        let below = self.load(self.group, line);
        self.plaquettes([even, below[0], odd, below[1]]);
        let carry = self.add::<0>([even, odd], [below[1], below[0]]);
        self.present = below;
        self.count_row();
        let a = self.forth::<LAST>(self.group[1], line);
        let (lines, line) = if row + 2 == count { (self.after, 0) } else { (self.group, (row + 2) * self.rows.width) };
        self.present = self.load(lines, line);
        let other = self.forth::<LAST>(lines[0], line);
        self.plaquettes([below[0], other, a, self.present[1]]);
        carry
    }

    #[inline(always)]
    fn four_rows<const LAST: bool>(&mut self, row: usize) -> [V; 2] {
        let (first, second) = (self.two_rows::<LAST>(row, TOGETHER), self.two_rows::<LAST>(row + 2, TOGETHER));
        self.add::<1>(first, second)
    }

    #[inline(always)]
    fn eight_rows<const LAST: bool>(&mut self, row: usize) -> [V; 2] {
        let (first, second) = (self.four_rows::<LAST>(row), self.four_rows::<LAST>(row + 4));
        self.add::<2>(first, second)
    }

    /// All rows that are taken together, in one block, which is the last of a row or not. Leaves the carries of the columns, and returns the counts of the rows.
    #[inline(always)]
    fn sixteen_rows<const LAST: bool>(&mut self, carry: &mut [V; 2]) -> [V; 2] {
        let first = self.eight_rows::<LAST>(0);
        let upper = self.row_sums();
        let second = self.eight_rows::<LAST>(BLOCK);
        let lower = self.row_sums();
        *carry = self.add::<3>(first, second);
        [upper, lower]
    }

    /// The counts of the last rows in this block, eight at most, the latest on top.
    #[inline(always)]
    fn row_sums(&mut self) -> V {
        let sums = V::from_block(self.bytes.byte_sums());
        self.bytes = V::splat(0);
        sums
    }
}
