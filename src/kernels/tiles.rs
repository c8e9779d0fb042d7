//! Spins in tiles of 8 x 8 sites, one word a tile: the layout of the Swendsen-Wang kernels.
//!
//! The torus is cut into tiles, row after row; bit 8 y + x of a word is the site (x, y) of its tile, set for spin up. A row of tiles begins at a multiple of
//! [`BLOCK`] words, so that its random words come in whole blocks. Where the side is not a multiple of 8 the last tiles of a row and of a column are cut:
//! the sites that they lack stay clear and have no bonds.
//!
//! **Order of the sites.** Inside a tile the sites are *numbered* with the rim first (the first and last row and column that exist), in raster order, then the
//! inner sites in raster order. Tiles follow each other in raster order. So the clusters of a tile that can reach other tiles are those whose first site has
//! one of the lowest numbers, and these alone have to be joined to others.

use super::vector::BLOCK;

/// The side of a tile.
pub const TILE: usize = 8;
/// Sites of a tile.
pub const SITES: usize = TILE * TILE;
/// The most sites on the rim of a tile, and so the most clusters of a tile that can reach another one.
pub const RIM: usize = 4 * TILE - 4;

/// The bits of column 0.
pub const FIRST_COLUMN: u64 = 0x0101_0101_0101_0101;
/// The bits of column 7.
const LAST_COLUMN: u64 = FIRST_COLUMN << (TILE - 1);

/// The sides of a tile, as [`TileKind::edges`] lists them.
pub const TOP: usize = 0;
/// See [`TOP`].
pub const LEFT: usize = 1;
/// See [`TOP`].
pub const BOTTOM: usize = 2;
/// See [`TOP`].
pub const RIGHT: usize = 3;

/// One byte a site, by bit or by number; or the four edges of a tile, in the first half.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Bytes(pub [u8; SITES]);

/// What is the same for all tiles with the same number of columns and rows.
#[derive(Debug, Clone)]
pub struct TileKind {
    columns: usize,
    rows: usize,
    /// The bits of the sites that exist.
    pub existing: u64,
    /// How many sites are on the rim: they have the numbers below.
    pub rim: u32,
    /// The number of each bit.
    pub numbers: Bytes,
    /// The bit of each number.
    pub bits: Bytes,
    /// For the site of each number, the bit that holds its bond to the left (the bit of its neighbour), and upwards.
    pub left_bond: Bytes,
    /// See `left_bond`.
    pub up_bond: Bytes,
    /// For the site of each number, the number of its neighbour to the right, left, below and above. Where the neighbour is in another tile this means nothing.
    pub neighbours: [Bytes; 4],
    /// The numbers of the sites along the four edges, [`TOP`] first, eight each. Places that do not exist repeat number 0.
    pub edges: Bytes,
}

impl TileKind {
    fn new(columns: usize, rows: usize) -> Self {
        let exists = |bit: usize| bit % TILE < columns && bit / TILE < rows;
        let on_rim = |bit: usize| bit.is_multiple_of(TILE) || bit / TILE == 0 || bit % TILE == columns - 1 || bit / TILE == rows - 1;
        // A stable sort keeps the raster order within each group.
        let mut order: Vec<usize> = (0..SITES).collect();
        order.sort_by_key(|&bit| if exists(bit) { usize::from(!on_rim(bit)) } else { 2 });
        let mut numbers = [0; SITES];
        order.iter().enumerate().for_each(|(number, &bit)| numbers[bit] = number as u8);
        let by_number = |value: &dyn Fn(usize) -> usize| Bytes(std::array::from_fn(|number| (value(order[number]) % SITES) as u8));
        let neighbour = |step: usize| by_number(&|bit| usize::from(numbers[(bit + step) % SITES]));
        let mut edges = [0; SITES];
        for along in 0..TILE {
            for (edge, bit) in
                [(TOP, along), (LEFT, along * TILE), (BOTTOM, (rows - 1) * TILE + along), (RIGHT, along * TILE + columns - 1)]
            {
                edges[edge * TILE + along] = if exists(bit) { numbers[bit] } else { 0 };
            }
        }
        TileKind {
            columns,
            rows,
            existing: (0..SITES).filter(|&bit| exists(bit)).fold(0, |word, bit| word | 1 << bit),
            rim: (0..SITES).filter(|&bit| exists(bit) && on_rim(bit)).count() as u32,
            numbers: Bytes(numbers),
            bits: by_number(&|bit| bit),
            left_bond: by_number(&|bit| bit + SITES - 1),
            up_bond: by_number(&|bit| bit + SITES - TILE),
            neighbours: [neighbour(1), neighbour(SITES - 1), neighbour(TILE), neighbour(SITES - TILE)],
            edges: Bytes(edges),
        }
    }

    /// The set of the numbers on the rim.
    #[inline(always)]
    pub fn rim_numbers(&self) -> u64 {
        (1 << self.rim) - 1
    }

    /// The bits whose right neighbour is in the same tile.
    #[inline(always)]
    pub fn inner_right(&self) -> u64 {
        self.existing & !(FIRST_COLUMN << (self.columns - 1))
    }

    /// The bits whose lower neighbour is in the same tile.
    #[inline(always)]
    pub fn inner_down(&self) -> u64 {
        self.existing & !(0xFF << (TILE * (self.rows - 1)))
    }

    /// The bonds that leave the tile to the right, bit y for row y.
    #[inline(always)]
    pub fn leaving_right(&self, right: u64) -> u8 {
        // The product brings bit 8 y to bit 56 + y.
        ((right >> (self.columns - 1) & FIRST_COLUMN).wrapping_mul(0x0102_0408_1020_4080) >> (SITES - TILE)) as u8
    }

    /// The bonds that leave the tile downwards, bit x for column x.
    #[inline(always)]
    pub fn leaving_down(&self, down: u64) -> u8 {
        (down >> (TILE * (self.rows - 1))) as u8
    }

    /// The spins to the right of those of a tile, where `next` is the tile to the right.
    #[inline(always)]
    fn right_of(&self, own: u64, next: u64) -> u64 {
        own >> 1 & self.inner_right() | (next & FIRST_COLUMN) << (self.columns - 1)
    }

    /// The spins below those of a tile.
    #[inline(always)]
    fn below(&self, own: u64, below: u64) -> u64 {
        own >> TILE | (below & 0xFF) << (TILE * (self.rows - 1))
    }
}

/// How a square torus of any side is cut into tiles.
#[derive(Debug, Clone)]
pub struct TileGrid {
    side: usize,
    per_side: usize,
    /// Whole tiles; cut on the right; cut below; both. Where the side is a multiple of 8 all are whole.
    kinds: Box<[TileKind; 4]>,
}

impl TileGrid {
    /// The tiles of a torus of side `side`.
    pub fn new(side: usize) -> Self {
        let per_side = side.div_ceil(TILE);
        let last = side - TILE * (per_side - 1);
        let kinds = [(TILE, TILE), (last, TILE), (TILE, last), (last, last)].map(|(columns, rows)| TileKind::new(columns, rows));
        TileGrid { side, per_side, kinds: Box::new(kinds) }
    }

    /// Tiles in a row of tiles, and rows of tiles.
    #[inline(always)]
    pub fn per_side(&self) -> usize {
        self.per_side
    }

    /// Words from one row of tiles to the next: a multiple of [`BLOCK`].
    #[inline(always)]
    pub fn stride(&self) -> usize {
        self.per_side.next_multiple_of(BLOCK)
    }

    /// The words of the whole torus.
    pub fn words(&self) -> usize {
        self.per_side * self.stride()
    }

    /// Where site (x, y) is: word and bit.
    pub fn address(&self, x: usize, y: usize) -> (usize, usize) {
        (y / TILE * self.stride() + x / TILE, y % TILE * TILE + x % TILE)
    }

    /// The kind of the tile at column `column` of row `row`.
    #[inline(always)]
    pub fn kind(&self, column: usize, row: usize) -> &TileKind {
        &self.kinds[usize::from(column + 1 == self.per_side) + 2 * usize::from(row + 1 == self.per_side)]
    }

    /// The sites of a word that exist.
    pub fn existing(&self, word: usize) -> u64 {
        let (row, column) = (word / self.stride(), word % self.stride());
        if column < self.per_side { self.kind(column, row).existing } else { 0 }
    }

    /// Clears in `right` and `down`, which hold a word for each tile of row `row`, the bits of the sites whose neighbour to the right (below) differs, and
    /// those of sites that do not exist.
    #[inline(always)]
    pub fn keep_equal(&self, spins: &[u64], row: usize, right: &mut [u64], down: &mut [u64]) {
        let (stride, per_side) = (self.stride(), self.per_side);
        let own = &spins[row * stride..][..per_side];
        let below = &spins[if row + 1 == per_side { 0 } else { row + 1 } * stride..][..per_side];
        let (whole, end) = (self.kind(0, row), self.kind(per_side - 1, row));
        let end_right = right[per_side - 1] & !(own[per_side - 1] ^ end.right_of(own[per_side - 1], own[0])) & end.existing;
        if per_side > 1 {
            let existing = whole.existing;
            for ((right, own), next) in right[..per_side - 1].iter_mut().zip(own).zip(&own[1..]) {
                *right &= !(own ^ (own >> 1 & !LAST_COLUMN | next << (TILE - 1) & LAST_COLUMN)) & existing;
            }
        }
        right[per_side - 1] = end_right;
        let existing = whole.existing;
        for ((down, own), below) in down[..per_side].iter_mut().zip(own).zip(below) {
            *down &= !(own ^ whole.below(*own, *below)) & existing;
        }
        down[per_side - 1] &= end.existing;
    }

    /// M and E of the spins, by counting bits: twice the up spins minus the sites, and minus the sum of s_i s_j over the bonds.
    #[inline(always)]
    pub fn magnetization_and_energy(&self, spins: &[u64], right: &mut [u64], down: &mut [u64]) -> (i64, i64) {
        let (mut up, mut equal) = (0u64, 0u64);
        for row in 0..self.per_side {
            right.fill(u64::MAX);
            down.fill(u64::MAX);
            self.keep_equal(spins, row, right, down);
            let own = &spins[row * self.stride()..][..self.per_side];
            for ((own, right), down) in own.iter().zip(&*right).zip(&*down) {
                up += u64::from(own.count_ones());
                equal += u64::from(right.count_ones()) + u64::from(down.count_ones());
            }
        }
        let sites = (self.side * self.side) as i64;
        (2 * up as i64 - sites, 2 * (sites - equal as i64))
    }

    /// Calls `visit(first site in site order, how many, word, first bit)` for each piece of a row of the torus that lies in one tile, in site order.
    pub fn pieces(&self, mut visit: impl FnMut(usize, usize, usize, usize)) {
        for y in 0..self.side {
            for x in (0..self.side).step_by(TILE) {
                let (word, bit) = self.address(x, y);
                visit(y * self.side + x, TILE.min(self.side - x), word, bit);
            }
        }
    }
}

/// Transposes a square of 64 x 64 bits: bit t of word j becomes bit j of word t.
#[inline(always)]
pub fn transpose(words: &mut [u64; SITES]) {
    stage::<32>(words, 0x0000_0000_FFFF_FFFF);
    stage::<16>(words, 0x0000_FFFF_0000_FFFF);
    stage::<8>(words, 0x00FF_00FF_00FF_00FF);
    stage::<4>(words, 0x0F0F_0F0F_0F0F_0F0F);
    stage::<2>(words, 0x3333_3333_3333_3333);
    stage::<1>(words, 0x5555_5555_5555_5555);
}

/// Swaps the off-diagonal squares of side `SIZE`.
#[inline(always)]
fn stage<const SIZE: usize>(words: &mut [u64; SITES], mask: u64) {
    for start in (0..SITES).step_by(2 * SIZE) {
        for word in start..start + SIZE {
            let swap = (words[word] >> SIZE ^ words[word + SIZE]) & mask;
            words[word] ^= swap << SIZE;
            words[word + SIZE] ^= swap;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Stream};

    #[test]
    fn transposing_moves_every_bit() {
        let mut stream = Stream::new(1, Purpose::Check, 0);
        let words: [u64; SITES] = std::array::from_fn(|_| stream.word());
        let mut turned = words;
        transpose(&mut turned);
        for row in 0..SITES {
            for column in 0..SITES {
                assert_eq!(turned[column] >> row & 1, words[row] >> column & 1);
            }
        }
    }

    #[test]
    fn the_rim_comes_first() {
        for columns in 1..=TILE {
            for rows in 1..=TILE {
                let kind = TileKind::new(columns, rows);
                let rim = if columns < 3 || rows < 3 { columns * rows } else { 2 * (columns + rows) - 4 };
                assert_eq!((kind.rim as usize, kind.existing.count_ones() as usize), (rim, columns * rows));
                for number in 0..SITES {
                    let bit = usize::from(kind.bits.0[number]);
                    assert_eq!(usize::from(kind.numbers.0[bit]), number);
                    let (x, y) = (bit % TILE, bit / TILE);
                    let exists = x < columns && y < rows;
                    assert_eq!(exists, number < columns * rows);
                    assert_eq!(exists && (x == 0 || y == 0 || x == columns - 1 || y == rows - 1), number < rim);
                }
            }
        }
    }

    #[test]
    fn equal_neighbours_are_those_of_the_torus() {
        for side in [3, 4, 7, 8, 9, 31, 40, 63, 64, 65, 100, 130, 520] {
            let grid = TileGrid::new(side);
            let mut stream = Stream::new(2, Purpose::Check, side as u64);
            let spins: Vec<u64> = (0..grid.words()).map(|word| grid.existing(word) & stream.word()).collect();
            let get = |x: usize, y: usize| {
                let (word, bit) = grid.address(x % side, y % side);
                spins[word] >> bit & 1
            };
            assert_eq!((0..grid.words()).map(|word| grid.existing(word).count_ones() as usize).sum::<usize>(), side * side);
            for row in 0..grid.per_side() {
                let (mut right, mut down) = (vec![u64::MAX; grid.stride()], vec![u64::MAX; grid.stride()]);
                grid.keep_equal(&spins, row, &mut right, &mut down);
                let mut seen = 0;
                for y in row * TILE..side.min(row * TILE + TILE) {
                    for x in 0..side {
                        let (word, bit) = grid.address(x, y);
                        let equal = |words: &[u64]| words[word % grid.stride()] >> bit & 1 == 1;
                        assert_eq!(equal(&right), get(x, y) == get(x + 1, y), "side {side}, right of ({x}, {y})");
                        assert_eq!(equal(&down), get(x, y) == get(x, y + 1), "side {side}, below ({x}, {y})");
                        seen += u32::from(equal(&right)) + u32::from(equal(&down));
                    }
                }
                let counted: u32 = right[..grid.per_side()].iter().chain(&down[..grid.per_side()]).map(|word| word.count_ones()).sum();
                assert_eq!(seen, counted, "side {side}: no bonds where there is no site");
            }
        }
    }
}
