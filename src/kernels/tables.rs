//! Look-up tables of partial sums: how a product with a binary matrix is made with a quarter of the additions.
//!
//! Of K rows all 2^K sums are made once; each sample then adds the one that its K bits choose ("four Russians", Arlazarov, Dinic, Kronrod and Faradzev 1970).
//! The order of the sums is part of the result. Entry m is the sum of the rows whose bit is set in m, lowest row first; it begins with the row itself, and
//! entry 0 is +0. A longer sum begins with its start value and adds one entry a group, groups ascending. K is a constant of the kernel, never of the machine.

use super::float_vector::Vector;

/// Units a group where the samples are many and the tables made anew for each block of units.
pub const UNITS_PER_GROUP: usize = 4;

/// Samples a group in gradient statistics, where one table serves all units of a layer.
pub const SAMPLES_PER_GROUP: usize = 5;

/// Fills the 2^rows entries of one table.
#[inline(always)]
pub fn fill(table: &mut [Vector], rows: &[Vector]) {
    table[0] = Vector::ZERO;
    for (bit, row) in rows.iter().enumerate() {
        let (done, fresh) = table.split_at_mut(1 << bit);
        let [low, high] = row.halves();
        fresh[0].set_halves(low, high);
        for (entry, sum) in fresh[1..1 << bit].iter_mut().zip(&done[1..]) {
            let [sum_low, sum_high] = sum.halves();
            entry.set_halves(sum_low + low, sum_high + high);
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
