//! Up spins of columns and rows in the layouts of the cluster samplers, packed rows and tiles, and the waves that come of columns and rows in any layout.

use super::{Counters, LOW_BITS, counts_of_bits, full_adder, ripple};
use crate::kernels::dispatch;
use crate::kernels::tiles::{BATCH, TILE, Words};

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
        columns.copy_from_slice(&counts_of_bits(&planes[..counters.depth], 1, 0)[..columns.len()]);
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
    /// Counts the up spins of columns and rows of tiles, `per_side` in a row of tiles (see [`crate::kernels::tiles`]).
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
