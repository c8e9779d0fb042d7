//! Energy, column and row magnetizations of the checkerboard layout in one pass over the packed words, without unpacking a spin.
//!
//! **Energy.** Every second plaquette of the square lattice, taken like the black fields of a chessboard, holds each bond once. A plaquette of two even spins s, s' and
//! two odd spins a, b has none, two or four unsatisfied bonds: "Two" is (s xor s') or (a xor b), "four" is s = s', a = b, s not a. In rows y and y + 1 with
//! even y, the four spins lie in one compact column; with odd y, a and s' lie in the next one.
//!
//! **Rows** are counted bit by bit in each word. **Columns** are counted vertically: bit planes of counters, one a column, to which rows are added by full adders
//! (Harley and Seal's scheme: sixteen rows give one carry into the fifth plane). Columns of even x are the even colour of even rows and the odd colour of odd rows.
//!
//! Lattices whose rows are whole blocks of eight words go through `Walk`; the others, which are small or odd, word by word through `narrow`. The layouts of the cluster samplers are in `layouts`.

use super::checkerboard::Rows;
#[cfg(target_arch = "x86_64")]
use super::vector::Register;
use super::vector::{BLOCK, Halves, Vector};
use super::{Chosen, InstructionSet, dispatch};

mod layouts;

pub use layouts::{count_packed, count_tiles, power};

/// The counters of all columns and rows of one lattice, to be used again and again.
#[derive(Debug, Clone)]
pub struct Counters {
    /// Up spins of each column x.
    pub columns: Vec<u32>,
    /// Up spins of each row y.
    pub rows: Vec<u32>,
    /// Bit planes of the columns: x parity, plane, word of a line.
    planes: Vec<u64>,
    /// The planes that a count up to L needs.
    depth: usize,
}

impl Counters {
    /// For a lattice of side `side`.
    pub fn new(side: usize) -> Self {
        let depth = (usize::BITS - side.leading_zeros()) as usize;
        let depth = depth.max(CARRIED);
        let width = (side / 2).div_ceil(64).max(1);
        Counters { columns: vec![0; side], rows: vec![0; side], planes: vec![0; 2 * depth * width], depth }
    }
}

/// Planes of a counter that are kept in registers.
const CARRIED: usize = 4;
/// Planes of the counters of the largest lattice: L < 2^18.
const MOST_PLANES: usize = 18;
/// The lowest bit of each byte.
const LOW_BITS: u64 = u64::MAX / 0xFF;

/// Counts up spins of all columns and rows of a checkerboard. `even` and `odd` are the colours, each from its top halo on, with a block to spare at the end. Returns the
/// number of unsatisfied bonds where rows are whole blocks of words; `None` for narrower ones, whose bonds [`super::checkerboard::count`] counts.
pub fn count_profile(set: InstructionSet, even: &[u64], odd: &[u64], rows: Rows, counters: &mut Counters) -> Option<u64> {
    counters.planes.fill(0);
    counters.rows.fill(0);
    if rows.folds > 1 || !rows.width.is_multiple_of(BLOCK) {
        narrow(set, even, odd, rows, counters);
        return None;
    }
    Some(match set.chosen_kind() {
        #[cfg(target_arch = "x86_64")]
        Chosen::Avx512 => wide_register(set, even, odd, rows, counters),
        _ => wide_halves(set, even, odd, rows, counters),
    })
}

#[cfg(target_arch = "x86_64")]
dispatch! {
    fn wide_register(even: &[u64], odd: &[u64], rows: Rows, counters: &mut Counters) -> u64 = wide::<Register>;
}
dispatch! {
    fn wide_halves(even: &[u64], odd: &[u64], rows: Rows, counters: &mut Counters) -> u64 = wide::<Halves>;
}
dispatch! {
    fn narrow(even: &[u64], odd: &[u64], rows: Rows, counters: &mut Counters) = narrow_body;
}

#[inline(always)]
fn wide<V: Vector>(even: &[u64], odd: &[u64], rows: Rows, counters: &mut Counters) -> u64 {
    let full = rows.columns == 64 * rows.width;
    let unsatisfied = match (rows.width == BLOCK, full) {
        (true, true) => walk::<V, true, true>(even, odd, rows, counters),
        (true, false) => walk::<V, true, false>(even, odd, rows, counters),
        (false, true) => walk::<V, false, true>(even, odd, rows, counters),
        (false, false) => walk::<V, false, false>(even, odd, rows, counters),
    };
    for block in 0..rows.width / BLOCK {
        spread::<V>(counters, rows, block);
    }
    unsatisfied
}

/// The way down one block of words of all rows. `SINGLE`: a row is one block; `FULL`: every slot of a row exists.
struct Walk<'a, V, const SINGLE: bool, const FULL: bool> {
    even: &'a [u64],
    odd: &'a [u64],
    width: usize,
    /// Where the present row begins.
    line: usize,
    /// The block of the row.
    block: usize,
    /// The slot of the last column, and 1 in the last word.
    seam: V,
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

#[inline(always)]
fn walk<V: Vector, const SINGLE: bool, const FULL: bool>(even: &[u64], odd: &[u64], rows: Rows, counters: &mut Counters) -> u64 {
    let (width, count, depth) = (rows.width, rows.count, counters.depth);
    let mut seam = [0; 16];
    let last = rows.columns - 1;
    let mut pairs = 0;
    for block in 0..width / BLOCK {
        seam[..BLOCK].fill(0);
        if last % width / BLOCK == block {
            seam[last % width % BLOCK] = 1 << (last / width);
        }
        let nothing = V::splat(0);
        let mut walk = Walk::<V, SINGLE, FULL> {
            even,
            odd,
            width,
            line: width,
            block,
            seam: V::load(&seam, 0),
            present: [V::load(even, width + block * BLOCK), V::load(odd, width + block * BLOCK)],
            planes: [[nothing; 2]; CARRIED],
            two: nothing,
            four: nothing,
            bytes: nothing,
        };
        let mut row = 0;
        while row + 16 <= count {
            let first = walk.eight_rows();
            walk.give_rows(&mut counters.rows[row..row + 8]);
            let second = walk.eight_rows();
            walk.give_rows(&mut counters.rows[row + 8..row + 16]);
            let carry = walk.add::<3>(first, second);
            raise(&mut counters.planes, depth, width, block, carry);
            row += 16;
        }
        while row < count {
            let mut carry = walk.two_rows();
            walk.give_rows(&mut counters.rows[row..row + 2]);
            for plane in 1..CARRIED {
                for parity in 0..2 {
                    let sum = walk.planes[plane][parity];
                    (walk.planes[plane][parity], carry[parity]) = (sum ^ carry[parity], sum & carry[parity]);
                }
            }
            raise(&mut counters.planes, depth, width, block, carry);
            row += 2;
        }
        for (plane, pair) in walk.planes.into_iter().enumerate() {
            for (parity, bits) in pair.into_iter().enumerate() {
                bits.store(&mut counters.planes, (parity * depth + plane) * width + block * BLOCK);
            }
        }
        let sum = |counts: V| counts.to_block().iter().sum::<u64>();
        pairs += sum(walk.two) + 2 * sum(walk.four);
    }
    2 * pairs
}

/// Adds a carry of even and odd x to the planes in memory.
#[inline(always)]
fn raise<V: Vector>(planes: &mut [u64], depth: usize, width: usize, block: usize, carry: [V; 2]) {
    for (parity, mut carry) in carry.into_iter().enumerate() {
        for plane in CARRIED..depth {
            let at = (parity * depth + plane) * width + block * BLOCK;
            let sum = V::load(planes, at);
            (sum ^ carry).store(planes, at);
            carry &= sum;
        }
    }
}

impl<V: Vector, const SINGLE: bool, const FULL: bool> Walk<'_, V, SINGLE, FULL> {
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

    /// The next column of each slot of the row that begins at `line`, of which `present` is the block.
    #[inline(always)]
    fn forth(&self, spins: &[u64], line: usize, present: V) -> V {
        let is_last = SINGLE || (self.block + 1) * BLOCK == self.width;
        let at = line + self.block * BLOCK;
        let next = if SINGLE { present.next_words() } else { V::load(spins, at + 1) };
        let closed = |next: V| if FULL { next } else { next | (V::splat((spins[line] & 1).wrapping_neg()) & self.seam) };
        if !is_last {
            return closed(next);
        }
        // The last word holds the first one of the row, one bit higher; after the last column comes column 0.
        let first = if SINGLE { next } else { V::splat(spins[line]) };
        let end = if FULL { first.rotate_left::<63>() } else { first.shift_right::<1>() };
        let last = V::from_block([0, 0, 0, 0, 0, 0, 0, u64::MAX]);
        closed(next ^ ((next ^ end) & last))
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
        let (offset, width) = (self.block * BLOCK, self.width);
        let [even, odd] = self.present;
        self.count_row();
        self.line += width;
        let below = [V::load(self.even, self.line + offset), V::load(self.odd, self.line + offset)];
        self.plaquettes([even, below[0], odd, below[1]]);
        let carry = self.add::<0>([even, odd], [below[1], below[0]]);
        self.present = below;
        self.count_row();
        let line = self.line;
        self.line += width;
        self.present = [V::load(self.even, self.line + offset), V::load(self.odd, self.line + offset)];
        let (a, other) = (self.forth(self.odd, line, below[1]), self.forth(self.even, self.line, self.present[0]));
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

    /// Adds the bytes of the last rows, eight at most, over the words of the block.
    #[inline(always)]
    fn give_rows(&mut self, rows: &mut [u32]) {
        let sums = self.bytes.byte_sums();
        for (row, sum) in rows.iter_mut().rev().zip(sums.iter().rev()) {
            *row += *sum as u32;
        }
        self.bytes = V::splat(0);
    }
}

/// From the bit planes of a block of words to the counts of their columns.
#[inline(always)]
fn spread<V: Vector>(counters: &mut Counters, rows: Rows, block: usize) {
    let (width, depth) = (rows.width, counters.depth);
    let mut bits = [[V::splat(0); MOST_PLANES]; 2];
    for (parity, bits) in bits.iter_mut().enumerate() {
        for (plane, bits) in bits.iter_mut().enumerate().take(depth) {
            *bits = V::load(&counters.planes, (parity * depth + plane) * width + block * BLOCK);
        }
    }
    for low in 0..8 {
        // Eight planes give a byte of the counts of eight columns.
        let mut parts = [[V::splat(0); MOST_PLANES.div_ceil(8)]; 2];
        for (parts, bits) in parts.iter_mut().zip(&mut bits) {
            for (part, planes) in parts.iter_mut().zip(bits[..depth].chunks_mut(8)) {
                for bits in planes.iter_mut().rev() {
                    *part = part.shift_left::<1>() | (*bits & V::splat(LOW_BITS));
                    *bits = bits.shift_right::<1>();
                }
            }
        }
        for byte in 0..8 {
            let (even, odd) = (lowest_bytes(&mut parts[0]), lowest_bytes(&mut parts[1]));
            // Even and odd x of eight columns. Slots past the last column hold nothing.
            let pairs = (even | odd.shift_left::<32>()).to_block();
            let first = (8 * byte + low) * width + block * BLOCK;
            let columns = &mut counters.columns[2 * first.min(rows.columns)..];
            for (pair, columns) in pairs.iter().zip(columns.as_chunks_mut::<2>().0) {
                *columns = [*pair as u32, (*pair >> 32) as u32];
            }
        }
    }
}

/// Takes the lowest byte of each word of the parts, which are the lower and higher bytes of one number.
#[inline(always)]
fn lowest_bytes<V: Vector>(parts: &mut [V]) -> V {
    let mut number = V::splat(0);
    for part in parts.iter_mut().rev() {
        number = number.shift_left::<8>() | (*part & V::splat(0xFF));
        *part = part.shift_right::<8>();
    }
    number
}

/// Word by word: lines of any width, several rows a line.
#[inline(always)]
fn narrow_body(even: &[u64], odd: &[u64], rows: Rows, counters: &mut Counters) {
    let (width, depth, columns) = (rows.width, counters.depth, rows.columns);
    let field = if rows.folds > 1 { u64::MAX >> (64 - columns) } else { u64::MAX };
    for line in 0..rows.count {
        let at = (line + 1) * width;
        let both = [&even[at..at + width], &odd[at..at + width]];
        for fold in 0..rows.folds {
            let ones = |word: &u64| (word >> (fold * columns) & field).count_ones();
            counters.rows[line + fold * rows.count] = both.iter().flat_map(|words| words.iter()).map(ones).sum();
        }
    }
    for parity in 0..2 {
        let planes = &mut counters.planes[parity * depth * width..][..depth * width];
        // Even columns: the even colour of line i and the odd colour of line i + 1, for even i; the lines number an even count.
        let (first, second) = if parity == 0 { (even, odd) } else { (odd, even) };
        for word in 0..width {
            let at = |line: usize| (line + 1) * width + word;
            let pair = |line: usize| (first[at(line)], second[at(line + 1)]);
            let mut low = [0u64; 3];
            let mut line = 0;
            while line + 8 <= rows.count {
                let twos: [u64; 4] = std::array::from_fn(|index| {
                    let (a, b) = pair(line + 2 * index);
                    full_adder(&mut low[0], a, b)
                });
                let fours = [full_adder(&mut low[1], twos[0], twos[1]), full_adder(&mut low[1], twos[2], twos[3])];
                let carry = full_adder(&mut low[2], fours[0], fours[1]);
                ripple(planes, width, word, 3, carry);
                line += 8;
            }
            while line < rows.count {
                let (a, b) = pair(line);
                let mut carry = full_adder(&mut low[0], a, b);
                for sum in &mut low[1..] {
                    (*sum, carry) = (*sum ^ carry, *sum & carry);
                }
                ripple(planes, width, word, 3, carry);
                line += 2;
            }
            for (plane, bits) in low.into_iter().enumerate() {
                planes[plane * width + word] = bits;
            }
        }
        if rows.folds > 1 {
            let counts = counts_of_bits(planes, 1, 0);
            for column in 0..columns {
                counters.columns[2 * column + parity] = (0..rows.folds).map(|fold| counts[fold * columns + column]).sum();
            }
            continue;
        }
        for word in 0..width {
            let counts = counts_of_bits(planes, width, word);
            for column in (word..columns).step_by(width) {
                counters.columns[2 * column + parity] = counts[column / width];
            }
        }
    }
}

/// The 64 numbers whose bit planes are every `stride`-th word from `word` on.
#[inline(always)]
fn counts_of_bits(planes: &[u64], stride: usize, word: usize) -> [u32; 64] {
    let mut counts = [0; 64];
    for (group, first) in (word..planes.len()).step_by(8 * stride).enumerate() {
        for low in 0..8 {
            let mut bytes = 0;
            for (plane, at) in (first..planes.len()).step_by(stride).take(8).enumerate() {
                bytes |= (planes[at] >> low & LOW_BITS) << plane;
            }
            for high in 0..8 {
                counts[8 * high + low] |= ((bytes >> (8 * high)) as u32 & 0xFF) << (8 * group);
            }
        }
    }
    counts
}

#[inline(always)]
fn full_adder(sum: &mut u64, first: u64, second: u64) -> u64 {
    let odd = *sum ^ first;
    let carry = (*sum & first) | (odd & second);
    *sum = odd ^ second;
    carry
}

/// Adds a carry to the planes from `plane` on.
#[inline(always)]
fn ripple(planes: &mut [u64], width: usize, word: usize, plane: usize, mut carry: u64) {
    for bits in planes.iter_mut().skip(plane * width + word).step_by(width) {
        if carry == 0 {
            break;
        }
        (*bits, carry) = (*bits ^ carry, *bits & carry);
    }
}
