//! Look-up tables of partial sums: how a product with a binary matrix is made with a quarter of the additions.
//!
//! Of K rows all 2^K sums are made once; each sample then adds the one that its K bits choose ("four Russians", Arlazarov, Dinic, Kronrod and Faradzev 1970).
//! The order of the sums is part of the result. Entry m is the sum of the rows whose bit is set in m, lowest row first; it begins with the row itself, and
//! entry 0 is +0. A longer sum begins with its start value and adds one entry a group, groups ascending. K is a constant of the kernel, never of the machine.
//!
//! Tables of two panels lie together, so that what a choice costs to decode is paid once for two additions.

use super::float_vector::Vector;
use super::numbers::Numbers;

/// Panels of sixteen receiving units that a kernel works on together.
pub const ABREAST: usize = 2;

/// Units a group in products with binary units: four tables of 16 sums for a sending panel. Measured with 100, 256 and 500 samples at 1600 x 400 (2.5 GHz, 48 KiB of fastest
/// cache): groups of 5, 5 and 6 units add a quarter less, but their 32 KiB of tables and the fields together leave the fastest cache, and they are slower at each.
pub const UNITS_PER_GROUP: usize = 4;

/// Samples a group in gradient statistics, where one table serves all units of a layer.
pub const SAMPLES_PER_GROUP: usize = 5;

/// Fills the 2^rows entries of one table, whose entry 0 is zero already.
#[inline(always)]
pub fn fill<N: Numbers, const PANELS: usize, const ROWS: usize>(table: &mut [[Vector; PANELS]], panel: usize, rows: &[N; ROWS]) {
    let table = &mut table[..1 << ROWS];
    for (bit, &row) in rows.iter().enumerate() {
        row.store(&mut table[1 << bit][panel]);
        for entry in 1..1 << bit {
            N::load(&table[entry][panel]).plus(row).store(&mut table[(1 << bit) + entry][panel]);
        }
    }
}

/// The same sum made one addition at a time: the definition that the tables are tested against.
#[cfg(test)]
pub(crate) fn group_sum(rows: &[Vector], bits: usize) -> Vector {
    let mut chosen = rows.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, row)| *row);
    match chosen.next() {
        None => Vector::ZERO,
        Some(first) => chosen.fold(first, |sum, row| Vector(std::array::from_fn(|lane| sum.0[lane] + row.0[lane]))),
    }
}
