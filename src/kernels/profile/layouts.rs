//! Up spins of columns and rows in the layouts of the cluster samplers, packed rows and tiles, and the waves that come of columns and rows in any layout.

use super::Counters;
use super::words::{counts_of_bits, full_adder, ripple};
use crate::kernels::dispatch;
use crate::kernels::tiles::{TILE, TileGrid};
use wide::{f64x8, i32x8};

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
            ripple(&mut planes[3..], carry);
            row += 8;
        }
        for row in row..side {
            ripple(&mut planes, at(row));
        }
        let columns = &mut counters.columns[word * 64..side.min(word * 64 + 64)];
        columns.copy_from_slice(&counts_of_bits(&planes[..counters.depth])[..columns.len()]);
    }
}

dispatch! {
    /// Counts the up spins of columns and rows of packed sites: row y begins at word `y * stride`, its site x is bit x mod 64 of word x / 64, and the bits past the end
    /// of a row are clear. There are as many rows as `counters` has.
    pub fn count_packed(spins: &[u64], stride: usize, counters: &mut Counters) = count_packed_body;
}

/// The lower half of each 16 bits.
const LOW_BYTES: u64 = u64::MAX / 0x101;

/// The number of set bits of each byte.
#[inline(always)]
fn ones_of_bytes(word: u64) -> u64 {
    let pairs = word - (word >> 1 & 0x5555_5555_5555_5555);
    let quads = (pairs & 0x3333_3333_3333_3333) + (pairs >> 2 & 0x3333_3333_3333_3333);
    (quads + (quads >> 4)) & 0x0F0F_0F0F_0F0F_0F0F
}

/// Transposes 8 x 8 bits.
#[inline(always)]
fn turned(mut tile: u64) -> u64 {
    for (step, mask) in [(7, 0x00AA_00AA_00AA_00AA), (14, 0x0000_CCCC_0000_CCCC), (28, 0x0000_0000_F0F0_F0F0)] {
        let swap = (tile ^ tile >> step) & mask;
        tile ^= swap ^ swap << step;
    }
    tile
}

/// The counts at even and odd places, 16 bits each, in their order.
#[inline(always)]
fn counts_of_halves(even: u64, odd: u64) -> [u32; TILE] {
    std::array::from_fn(|place| (if place % 2 == 0 { even } else { odd } >> (16 * (place / 2)) & 0xFFFF) as u32)
}

#[inline(always)]
fn count_tiles_body(grid: &TileGrid, spins: &[u64], counters: &mut Counters) {
    let per_side = grid.per_side();
    // No count is above the side, which fits into 16 bits.
    let (mut even, mut odd) = (vec![0u64; per_side], vec![0u64; per_side]);
    for (row, counts) in counters.rows.chunks_mut(TILE).enumerate() {
        let tiles = &spins[row * grid.stride()..][..per_side];
        let (mut row_even, mut row_odd) = (0, 0);
        for ((tile, even), odd) in tiles.iter().zip(&mut even).zip(&mut odd) {
            let (rows, columns) = (ones_of_bytes(*tile), ones_of_bytes(turned(*tile)));
            row_even += rows & LOW_BYTES;
            row_odd += rows >> 8 & LOW_BYTES;
            *even += columns & LOW_BYTES;
            *odd += columns >> 8 & LOW_BYTES;
        }
        let all = counts_of_halves(row_even, row_odd);
        counts.copy_from_slice(&all[..counts.len()]);
    }
    for ((counts, even), odd) in counters.columns.chunks_mut(TILE).zip(even).zip(odd) {
        counts.copy_from_slice(&counts_of_halves(even, odd)[..counts.len()]);
    }
}

dispatch! {
    /// Counts the up spins of columns and rows of tiles.
    pub fn count_tiles(grid: &TileGrid, spins: &[u64], counters: &mut Counters) = count_tiles_body;
}

/// Numbers that are summed side by side: part of the definition of the result.
const SIDE_BY_SIDE: usize = 8;

/// The real and the imaginary part of the sum over one axis on their way. By name of the registers: in loops over arrays the compiler (1.95) moves pieces of them about.
#[derive(Clone, Copy)]
struct Wave {
    real: f64x8,
    imaginary: f64x8,
}

impl Wave {
    const NOTHING: Wave = Wave { real: f64x8::ZERO, imaginary: f64x8::ZERO };

    /// Adds the terms of places side by side; opposite phases have opposite signs.
    #[inline(always)]
    fn add(&mut self, up: &[u32; SIDE_BY_SIDE], opposite: &[u32; SIDE_BY_SIDE], cosine: f64x8, sine: f64x8) {
        let [up, opposite] = [up, opposite].map(|counts| i32x8::new(bytemuck::cast(*counts)));
        let differences = f64x8::from_i32x8(up - opposite);
        self.real += differences * cosine;
        self.imaginary += differences * sine;
    }

    /// Spins are twice the up spins, less a constant that has no part in the wave.
    #[inline(always)]
    fn power(self) -> f64 {
        let [real, imaginary] = [self.real, self.imaginary].map(|lanes| lanes.to_array().iter().sum::<f64>());
        4.0 * (real * real + imaginary * imaginary)
    }
}

#[inline(always)]
fn powers_body<const AXES: usize>(up: [&[u32]; AXES], cosine: &[f64], sine: &[f64]) -> [f64; AXES] {
    let terms = cosine.len();
    // Half a period is enough, where it is whole; elsewhere there is no other half.
    let halves = up.map(|up| up.split_at(terms));
    let mut waves = [Wave::NOTHING; AXES];
    let (cosines, sines) = (cosine.as_chunks().0, sine.as_chunks().0);
    let whole = cosines.len();
    let chunks = halves.map(|(up, opposite)| (&up.as_chunks().0[..whole], opposite.as_chunks().0));
    for (place, (&cosine, &sine)) in cosines.iter().zip(sines).enumerate() {
        let (cosine, sine) = (f64x8::new(cosine), f64x8::new(sine));
        for (wave, (up, opposite)) in waves.iter_mut().zip(&chunks) {
            wave.add(&up[place], opposite.get(place).unwrap_or(&[0; SIDE_BY_SIDE]), cosine, sine);
        }
    }
    let rest = whole * SIDE_BY_SIDE..terms;
    for (wave, (up, opposite)) in waves.iter_mut().zip(halves).filter(|_| !rest.is_empty()) {
        let padded = |words: &[u32]| std::array::from_fn(|lane| words.get(rest.start + lane).copied().unwrap_or(0));
        let phases = |numbers: &[f64]| f64x8::new(std::array::from_fn(|lane| numbers.get(rest.start + lane).copied().unwrap_or(0.0)));
        wave.add(&padded(up), &padded(opposite), phases(cosine), phases(sine));
    }
    waves.map(Wave::power)
}

#[inline(always)]
fn power_body(up: &[u32], cosine: &[f64], sine: &[f64]) -> f64 {
    powers_body([up], cosine, sine)[0]
}

#[inline(always)]
fn power_of_both_body(columns: &[u32], rows: &[u32], cosine: &[f64], sine: &[f64]) -> [f64; 2] {
    powers_body([columns, rows], cosine, sine)
}

dispatch! {
    /// The squared modulus of `sum over j of m_j e^(2 pi i j / L)`, where m_j = 2 `up[j]` - L are the magnetizations of the L columns or rows. `cosine` and `sine` hold the
    /// phases of j = 0, 1, ...: L / 2 of them where L is even, else L. The order of the sums is fixed.
    pub fn power(up: &[u32], cosine: &[f64], sine: &[f64]) -> f64 = power_body;
}

dispatch! {
    /// [`power`] of columns and of rows, in one go.
    pub fn power_of_both(columns: &[u32], rows: &[u32], cosine: &[f64], sine: &[f64]) -> [f64; 2] = power_of_both_body;
}
