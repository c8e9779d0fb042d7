//! Spins in tiles of 8 x 8 sites, 64 tiles side by side along the bits of a word: the layout of the Swendsen-Wang kernels.
//!
//! The torus is cut into tiles, row after row; 64 consecutive tiles are a batch. Word j of a batch holds site j = 8 y + x of each of its tiles: bit t is the
//! site in tile t. So a neighbour inside a tile is a neighbouring word, without shifts, and one logic operation serves 64 (with AVX-512: 512) tiles.
//! Only the rims of the tiles need shifts: along the string of tiles the tile on the right is the next bit, the tile below is `per_side` bits away.
//! Where the side is not a multiple of 8 the last tiles of a row and of a column are cut; the sites that they lack stay clear and have no bonds.

/// The side of a tile.
pub const TILE: usize = 8;
/// Sites of a tile, and tiles of a batch.
pub const BATCH: usize = 64;

/// One word for each site of a tile (bit t: tile t of the batch), or, transposed, one for each tile of a batch (bit j: site j).
pub type Words = [u64; BATCH];

/// How a square torus of any side is cut into tiles.
#[derive(Debug, Clone)]
pub struct TileGrid {
    side: usize,
    /// Tiles in a row of tiles.
    per_side: usize,
    /// Columns of the last tile of a row, 1 to 8.
    last: usize,
    /// For each batch: tiles at the right end of their row, tiles in the last row, tiles that exist.
    ends: Vec<u64>,
    bottoms: Vec<u64>,
    used: Vec<u64>,
}

impl TileGrid {
    /// The tiles of a torus of side `side`.
    pub fn new(side: usize) -> Self {
        let per_side = side.div_ceil(TILE);
        let tiles = per_side * per_side;
        let collect = |wanted: &dyn Fn(usize) -> bool| -> Vec<u64> {
            let batch = |start| (start..tiles.min(start + BATCH)).fold(0, |word, tile| word | u64::from(wanted(tile)) << (tile - start));
            (0..tiles).step_by(BATCH).map(batch).collect()
        };
        TileGrid {
            side,
            per_side,
            last: side - TILE * (per_side - 1),
            ends: collect(&|tile| tile % per_side == per_side - 1),
            bottoms: collect(&|tile| tile / per_side == per_side - 1),
            used: collect(&|_| true),
        }
    }

    /// The number of batches.
    pub fn batches(&self) -> usize {
        self.used.len()
    }

    /// Where site (x, y) is: batch, word, bit.
    pub fn address(&self, x: usize, y: usize) -> (usize, usize, usize) {
        let tile = y / TILE * self.per_side + x / TILE;
        (tile / BATCH, y % TILE * TILE + x % TILE, tile % BATCH)
    }

    /// Tiles in a row of tiles.
    pub fn per_side(&self) -> usize {
        self.per_side
    }

    /// Columns (rows) of the last tile of a row (column).
    pub fn last(&self) -> usize {
        self.last
    }

    /// Bits of the tiles of a batch that end their row of tiles.
    #[inline(always)]
    pub fn ends(&self, batch: usize) -> u64 {
        self.ends[batch]
    }

    /// Bits of the tiles of a batch that lie in the last row of tiles.
    #[inline(always)]
    pub fn bottoms(&self, batch: usize) -> u64 {
        self.bottoms[batch]
    }

    /// The sites of a batch that exist.
    #[inline(always)]
    pub fn existing(&self, batch: usize) -> Words {
        let mut words = [self.used[batch]; BATCH];
        for place in self.last..TILE {
            for other in 0..TILE {
                words[other * TILE + place] &= !self.ends[batch];
                words[place * TILE + other] &= !self.bottoms[batch];
            }
        }
        words
    }

    /// The tile on the right of tile `tile`.
    #[inline(always)]
    pub fn tile_right(&self, tile: usize, is_end: bool) -> usize {
        if is_end { tile + 1 - self.per_side } else { tile + 1 }
    }

    /// The tile below tile `tile`.
    #[inline(always)]
    pub fn tile_below(&self, tile: usize, is_bottom: bool) -> usize {
        if is_bottom { tile - self.per_side * (self.per_side - 1) } else { tile + self.per_side }
    }

    /// One bit for each tile of a batch, read from the tile on its right; `word` gives the bits of any batch.
    #[inline(always)]
    pub fn from_right(&self, batch: usize, word: impl Fn(usize) -> u64) -> u64 {
        let start = (batch * BATCH) as isize;
        let next = self.shifted(&word, start + 1);
        let ends = self.ends[batch];
        if ends == 0 {
            return next;
        }
        next & !ends | self.shifted(&word, start + 1 - self.per_side as isize) & ends
    }

    /// One bit for each tile of a batch, read from the tile below; `word` gives the bits of any batch.
    #[inline(always)]
    pub fn from_below(&self, batch: usize, word: impl Fn(usize) -> u64) -> u64 {
        let start = (batch * BATCH) as isize;
        let bottoms = self.bottoms[batch];
        let below = self.shifted(&word, start + self.per_side as isize);
        if bottoms == 0 {
            return below;
        }
        below & !bottoms | self.shifted(&word, start - (self.per_side * (self.per_side - 1)) as isize) & bottoms
    }

    /// 64 bits of the string of tiles from bit `offset` on; clear outside the string.
    #[inline(always)]
    fn shifted(&self, word: &impl Fn(usize) -> u64, offset: isize) -> u64 {
        let batch = offset.div_euclid(BATCH as isize);
        let shift = offset.rem_euclid(BATCH as isize) as u32;
        let get = |index: isize| if (0..self.batches() as isize).contains(&index) { word(index as usize) } else { 0 };
        get(batch) >> shift | (get(batch + 1) << 1) << (63 - shift)
    }

    /// The right and the lower neighbours of all sites of a batch. Values at sites that do not exist have no meaning.
    #[inline(always)]
    pub fn neighbours(&self, spins: &[Words], batch: usize) -> (Words, Words) {
        let own = &spins[batch];
        let (mut right, mut down) = ([0; BATCH], [0; BATCH]);
        right[..BATCH - 1].copy_from_slice(&own[1..]);
        down[..BATCH - TILE].copy_from_slice(&own[TILE..]);
        let (ends, bottoms) = (self.ends[batch], self.bottoms[batch]);
        for place in 0..TILE {
            let (first, last) = (place * TILE, place * TILE + TILE - 1);
            let other = self.from_right(batch, |index| spins[index][first]);
            right[last] = other;
            let (top, bottom) = (place, (TILE - 1) * TILE + place);
            let below = self.from_below(batch, |index| spins[index][top]);
            down[bottom] = below;
            if self.last < TILE {
                let cut = first + self.last - 1;
                right[cut] = right[cut] & !ends | other & ends;
                let cut = (self.last - 1) * TILE + place;
                down[cut] = down[cut] & !bottoms | below & bottoms;
            }
        }
        (right, down)
    }

    /// Twice the number of up spins minus the number of sites, and minus the sum of s_i s_j over the bonds: M and E of the spins, by counting bits.
    #[inline(always)]
    pub fn magnetization_and_energy(&self, spins: &[Words]) -> (i64, i64) {
        let (mut up, mut equal) = (0u64, 0u64);
        for batch in 0..self.batches() {
            let existing = self.existing(batch);
            let (right, down) = self.neighbours(spins, batch);
            for site in 0..BATCH {
                let spin = spins[batch][site];
                up += u64::from(spin.count_ones());
                equal += u64::from((!(spin ^ right[site]) & existing[site]).count_ones());
                equal += u64::from((!(spin ^ down[site]) & existing[site]).count_ones());
            }
        }
        let sites = (self.side * self.side) as i64;
        (2 * up as i64 - sites, 2 * (sites - equal as i64))
    }

    /// Calls `visit(first site in site order, how many, batch, first word, bit)` for each piece of a row of the torus that lies in one tile, in site order.
    pub fn pieces(&self, mut visit: impl FnMut(usize, usize, usize, usize, usize)) {
        for y in 0..self.side {
            for x in (0..self.side).step_by(TILE) {
                let (batch, word, bit) = self.address(x, y);
                visit(y * self.side + x, TILE.min(self.side - x), batch, word, bit);
            }
        }
    }
}

/// Transposes a square of 64 x 64 bits: bit t of word j becomes bit j of word t.
#[inline(always)]
pub fn transpose(words: &mut Words) {
    stage::<32>(words, 0x0000_0000_FFFF_FFFF);
    stage::<16>(words, 0x0000_FFFF_0000_FFFF);
    stage::<8>(words, 0x00FF_00FF_00FF_00FF);
    stage::<4>(words, 0x0F0F_0F0F_0F0F_0F0F);
    stage::<2>(words, 0x3333_3333_3333_3333);
    stage::<1>(words, 0x5555_5555_5555_5555);
}

/// Swaps the off-diagonal squares of side `SIZE`.
#[inline(always)]
fn stage<const SIZE: usize>(words: &mut Words, mask: u64) {
    for start in (0..BATCH).step_by(2 * SIZE) {
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
        let words: Words = std::array::from_fn(|_| stream.word());
        let mut turned = words;
        transpose(&mut turned);
        for row in 0..BATCH {
            for column in 0..BATCH {
                assert_eq!(turned[column] >> row & 1, words[row] >> column & 1);
            }
        }
    }

    #[test]
    fn neighbours_are_those_of_the_torus() {
        for side in [3, 4, 7, 8, 9, 31, 40, 63, 64, 65, 100, 130, 520] {
            let grid = TileGrid::new(side);
            let mut stream = Stream::new(2, Purpose::Check, side as u64);
            let mut spins = vec![[0; BATCH]; grid.batches()];
            for (batch, words) in spins.iter_mut().enumerate() {
                *words = grid.existing(batch).map(|existing| existing & stream.word());
            }
            let get = |words: &[Words], x: usize, y: usize| {
                let (batch, word, bit) = grid.address(x % side, y % side);
                words[batch][word] >> bit & 1
            };
            let (right, down): (Vec<Words>, Vec<Words>) = (0..grid.batches()).map(|batch| grid.neighbours(&spins, batch)).unzip();
            let existing: u32 = (0..grid.batches()).flat_map(|batch| grid.existing(batch)).map(u64::count_ones).sum();
            assert_eq!(existing as usize, side * side);
            for y in 0..side {
                for x in 0..side {
                    assert_eq!(get(&right, x, y), get(&spins, x + 1, y), "side {side}, right of ({x}, {y})");
                    assert_eq!(get(&down, x, y), get(&spins, x, y + 1), "side {side}, below ({x}, {y})");
                }
            }
        }
    }
}
