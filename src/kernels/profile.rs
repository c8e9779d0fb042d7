//! Energy, column and row magnetizations of the checkerboard layout in one pass over the packed words, without unpacking a spin.
//!
//! **Energy.** Every second plaquette of the square lattice, taken like the black fields of a chessboard, holds each bond once. A plaquette of two even spins s, s' and
//! two odd spins a, b has none, two or four unsatisfied bonds: "Two" is (s xor s') or (a xor b), "four" is s = s', a = b, s not a. In rows y and y + 1 with
//! even y, the four spins lie in one compact column; with odd y, a and s' lie in the next one.
//!
//! **Rows** are counted bit by bit in each word. **Columns** are counted vertically: bit planes of counters, one a column, to which rows are added by full adders
//! (Harley and Seal's scheme: sixteen rows give one carry into the fifth plane). Columns of even x are the even colour of even rows and the odd colour of odd rows.
//!
//! Lattices whose rows are whole blocks of eight words go through [`Walk`]; the others, which are small or odd, word by word through [`narrow`].

use super::checkerboard::Rows;
use super::tiles::{BATCH, TILE, Words};
#[cfg(target_arch = "x86_64")]
use super::vector::Register;
use super::vector::{BLOCK, Block, Halves, Vector};
use super::{Chosen, InstructionSet, dispatch};

/// The counters of all columns and rows of one lattice, to be used again and again.
#[derive(Debug, Clone)]
pub struct Counters {
    /// Up spins of each column x.
    pub columns: Vec<u32>,
    /// Up spins of each row y.
    pub rows: Vec<u32>,
    /// Bit planes of the columns: x parity, plane, word of a line.
    planes: Vec<u64>,
    /// Counts of the columns of one x parity.
    flat: Vec<u64>,
    /// The planes that a count up to L needs.
    depth: usize,
}

impl Counters {
    /// For a lattice of side `side`.
    pub fn new(side: usize) -> Self {
        let depth = (usize::BITS - side.leading_zeros()) as usize;
        let depth = depth.max(CARRIED);
        let width = (side / 2).div_ceil(64).max(1);
        Counters { columns: vec![0; side], rows: vec![0; side], planes: vec![0; 2 * depth * width], flat: vec![0; 64 * width], depth }
    }
}

/// Planes of a counter that are kept in registers.
const CARRIED: usize = 4;
/// The lowest bit of each byte.
const LOW_BITS: u64 = u64::MAX / 0xFF;
/// The lower half of each 16 bits.
const LOW_BYTES: u64 = u64::MAX / 0x101;

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
    /// Counts of the last rows, one byte a row, the latest lowest.
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
        let first = spins[line];
        let next = if SINGLE { present.next_words() } else { V::load(spins, at + 1) };
        let closed = |next: V| if FULL { next } else { next | (V::splat((first & 1).wrapping_neg()) & self.seam) };
        if !is_last {
            return closed(next);
        }
        // The last word holds the first one of the row, one bit higher; after the last column comes column 0.
        let end: Block = [0, 0, 0, 0, 0, 0, 0, if FULL { first.rotate_right(1) } else { first >> 1 }];
        let rest: Block = [u64::MAX, u64::MAX, u64::MAX, u64::MAX, u64::MAX, u64::MAX, u64::MAX, 0];
        closed((next & V::from_block(rest)) | V::from_block(end))
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
        self.bytes = self.bytes.shift_left::<8>() | even.ones().add(odd.ones());
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

    /// Adds the bytes of the last two or eight rows over the words of the block.
    #[inline(always)]
    fn give_rows(&mut self, rows: &mut [u32]) {
        let words = self.bytes.to_block();
        let lower: u64 = words.iter().map(|word| word & LOW_BYTES).sum();
        let upper: u64 = words.iter().map(|word| word >> 8 & LOW_BYTES).sum();
        for (back, row) in rows.iter_mut().rev().enumerate() {
            let pair = if back % 2 == 0 { lower } else { upper };
            *row += (pair >> (16 * (back / 2)) & 0xFFFF) as u32;
        }
        self.bytes = V::splat(0);
    }
}

/// From the bit planes of a block of words to the counts of their columns.
#[inline(always)]
fn spread<V: Vector>(counters: &mut Counters, rows: Rows, block: usize) {
    let (width, depth) = (rows.width, counters.depth);
    for parity in 0..2 {
        let mut bits = [V::splat(0); 18];
        for (plane, bits) in bits.iter_mut().enumerate().take(depth) {
            *bits = V::load(&counters.planes, (parity * depth + plane) * width + block * BLOCK);
        }
        for low in 0..8 {
            let mut parts = [V::splat(0); 3];
            for (part, planes) in parts.iter_mut().zip(bits[..depth].chunks_mut(8)) {
                for bits in planes.iter_mut().rev() {
                    *part = part.shift_left::<1>() | (*bits & V::splat(LOW_BITS));
                    *bits = bits.shift_right::<1>();
                }
            }
            for byte in 0..8 {
                let mut counts = V::splat(0);
                for part in parts.iter_mut().rev() {
                    counts = counts.shift_left::<8>() | (*part & V::splat(0xFF));
                    *part = part.shift_right::<8>();
                }
                counts.store(&mut counters.flat, (8 * byte + low) * width + block * BLOCK);
            }
        }
        // Slots past the last column hold nothing.
        for line in 0..64 {
            let first = line * width + block * BLOCK;
            let count = rows.columns.saturating_sub(first).min(BLOCK);
            let (flat, columns) = (&counters.flat[first..first + count], &mut counters.columns[2 * first.min(rows.columns)..]);
            for (count, pair) in flat.iter().zip(columns.chunks_exact_mut(2)) {
                pair[parity] = *count as u32;
            }
        }
    }
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
        for column in 0..columns {
            let count = (0..rows.folds).map(|fold| {
                let bit = if rows.folds > 1 { fold * columns + column } else { column / width };
                let word = column % width;
                (0..depth).map(|plane| ((planes[plane * width + word] >> bit & 1) as u32) << plane).sum::<u32>()
            });
            counters.columns[2 * column + parity] = count.sum();
        }
    }
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

/// Adds the up spins of rows of packed sites to the counts of columns and rows: row y begins at word `y * stride`, its site x is bit x mod 64 of word x / 64, and the bits
/// past the end of a row are clear. There are as many rows as there are counters of them.
#[inline(always)]
fn count_packed_body(spins: &[u64], stride: usize, counters: &mut Counters) {
    let side = counters.rows.len();
    let used = side.div_ceil(64);
    for (y, count) in counters.rows.iter_mut().enumerate() {
        *count = spins[y * stride..][..used].iter().map(|word| word.count_ones()).sum();
    }
    let mut planes = [0u64; 18];
    for word in 0..used {
        planes.fill(0);
        let at = |row: usize| spins[row * stride + word];
        let mut row = 0;
        while row + 8 <= side {
            let [ones, twos, fours, ..] = &mut planes;
            let pairs: [u64; 4] = std::array::from_fn(|index| full_adder(ones, at(row + 2 * index), at(row + 2 * index + 1)));
            let quads = [full_adder(twos, pairs[0], pairs[1]), full_adder(twos, pairs[2], pairs[3])];
            let carry = full_adder(fours, quads[0], quads[1]);
            ripple(&mut planes, 1, 0, 3, carry);
            row += 8;
        }
        for row in row..side {
            ripple(&mut planes, 1, 0, 0, at(row));
        }
        let columns = &mut counters.columns[word * 64..side.min(word * 64 + 64)];
        for (bit, column) in columns.iter_mut().enumerate() {
            *column = planes[..counters.depth].iter().enumerate().map(|(plane, bits)| ((bits >> bit & 1) as u32) << plane).sum();
        }
    }
}

dispatch! {
    /// Counts the up spins of columns and rows of packed sites: row y begins at word `y * stride`, its site x is bit x mod 64 of word x / 64, and the bits past the end
    /// of a row are clear. There are as many rows as `counters` has.
    pub fn count_packed(spins: &[u64], stride: usize, counters: &mut Counters) = count_packed_body;
}

/// Sums eight words bit by bit: four planes of counts.
#[inline(always)]
fn sum_of_eight(words: [u64; 8]) -> [u64; 4] {
    let [mut ones, mut twos, mut fours] = [words[0], 0, 0];
    let pairs =
        [full_adder(&mut ones, words[1], words[2]), full_adder(&mut ones, words[3], words[4]), full_adder(&mut ones, words[5], words[6])];
    let last = ones & words[7];
    ones ^= words[7];
    let quads = [full_adder(&mut twos, pairs[0], pairs[1]), full_adder(&mut twos, pairs[2], last)];
    let eights = full_adder(&mut fours, quads[0], quads[1]);
    [ones, twos, fours, eights]
}

#[inline(always)]
fn count_tiles_body(per_side: usize, spins: &[Words], counters: &mut Counters) {
    counters.columns.fill(0);
    counters.rows.fill(0);
    let side = counters.rows.len();
    // The last tile of a row may be cut: what it lacks is clear, but has no counter.
    let mut columns = vec![0u32; per_side * TILE];
    for (batch, words) in spins.iter().enumerate() {
        let first = batch * BATCH;
        for x in 0..TILE {
            let planes = sum_of_eight(std::array::from_fn(|y| words[y * TILE + x]));
            let mut counts = [0u8; BATCH];
            for low in 0..8 {
                let bytes = planes.iter().rev().fold(0u64, |bytes, plane| bytes << 1 | (plane >> low & LOW_BITS)).to_le_bytes();
                for (high, byte) in bytes.into_iter().enumerate() {
                    counts[8 * high + low] = byte;
                }
            }
            let mut place = first % per_side;
            for count in counts {
                columns[place * TILE + x] += u32::from(count);
                place = if place + 1 == per_side { 0 } else { place + 1 };
            }
        }
        for y in 0..TILE {
            let planes = sum_of_eight(std::array::from_fn(|x| words[y * TILE + x]));
            let mut tile = first;
            while tile < first + BATCH {
                let row = tile / per_side;
                let end = (first + BATCH).min((row + 1) * per_side);
                let mask = (u64::MAX >> (BATCH - (end - tile))) << (tile - first);
                let ones: u32 = planes.iter().enumerate().map(|(plane, bits)| (bits & mask).count_ones() << plane).sum();
                if row * TILE + y < side {
                    counters.rows[row * TILE + y] += ones;
                }
                tile = end;
            }
        }
    }
    counters.columns.copy_from_slice(&columns[..side]);
}

dispatch! {
    /// Counts the up spins of columns and rows of tiles, `per_side` in a row of tiles (see [`super::tiles`]).
    pub fn count_tiles(per_side: usize, spins: &[Words], counters: &mut Counters) = count_tiles_body;
}

/// Numbers that are summed side by side: part of the definition of the result.
const SIDE_BY_SIDE: usize = 8;

#[inline(always)]
fn power_body(up: &[u32], cosine: &[f64], sine: &[f64]) -> f64 {
    let terms = cosine.len();
    // Opposite phases have opposite signs: half a period is enough, where it is whole.
    let opposite = if up.len() == terms { &[][..] } else { &up[terms..] };
    let (mut real, mut imaginary) = ([0.0; SIDE_BY_SIDE], [0.0; SIDE_BY_SIDE]);
    let mut differences = [0.0; SIDE_BY_SIDE];
    for start in (0..terms).step_by(SIDE_BY_SIDE) {
        let count = SIDE_BY_SIDE.min(terms - start);
        if count == SIDE_BY_SIDE && !opposite.is_empty() {
            let (up, opposite) = (&up[start..start + SIDE_BY_SIDE], &opposite[start..start + SIDE_BY_SIDE]);
            for lane in 0..SIDE_BY_SIDE {
                differences[lane] = f64::from(up[lane] as i32 - opposite[lane] as i32);
            }
        } else {
            differences.fill(0.0);
            for lane in 0..count {
                let other = opposite.get(start + lane).copied().unwrap_or(0);
                differences[lane] = f64::from(up[start + lane] as i32 - other as i32);
            }
        }
        let (cosine, sine) = (&cosine[start..start + count], &sine[start..start + count]);
        for lane in 0..count {
            real[lane] += differences[lane] * cosine[lane];
            imaginary[lane] += differences[lane] * sine[lane];
        }
    }
    let (real, imaginary) = (real.iter().sum::<f64>(), imaginary.iter().sum::<f64>());
    // Spins are twice the up spins, less a constant that has no part in the wave.
    4.0 * (real * real + imaginary * imaginary)
}

dispatch! {
    /// The squared modulus of `sum over j of m_j e^(2 pi i j / L)`, where m_j = 2 `up[j]` - L are the magnetizations of the L columns or rows. `cosine` and `sine` hold the
    /// phases of j = 0, 1, ...: L / 2 of them where L is even, else L. The order of the sums is fixed.
    pub fn power(up: &[u32], cosine: &[f64], sine: &[f64]) -> f64 = power_body;
}
