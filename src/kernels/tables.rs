//! Look-up tables of partial sums: how a product with a binary matrix is made with a quarter of the additions.
//!
//! Of K rows all 2^K sums are made once; each sample then adds the one that its K bits choose ("four Russians", Arlazarov, Dinic, Kronrod and Faradzev 1970).
//! The order of the sums is part of the result. Entry m is the sum of the rows whose bit is set in m, lowest row first; it begins with the row itself, and
//! entry 0 is +0. A longer sum begins with its start value and adds one entry a group, groups ascending. K belongs to the problem, never to the machine.
//!
//! Tables of two panels lie together, so that what a choice costs to decode is paid once for two additions.

use super::float_vector::Vector;
use super::numbers::Numbers;

/// Panels of sixteen receiving units that a kernel works on together.
pub const ABREAST: usize = 2;

/// How the sixteen units of a sending panel are cut into groups of one table each. The fewer, the less to add for each sample and the more to prepare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grouping {
    /// Four groups of 4, 64 sums to prepare: for few samples.
    Quarters,
    /// Groups of 5, 5 and 6, 128 sums to prepare: for many samples.
    Thirds,
}

impl Grouping {
    /// From this number of samples on that use the same tables, thirds are faster.
    pub const MANY: usize = 160;

    /// The faster one for `samples` samples that use the same tables. The number must be one of the problem: not that of the samples that this rank or thread happens to
    /// have.
    pub fn for_samples(samples: usize) -> Self {
        if samples < Self::MANY { Grouping::Quarters } else { Grouping::Thirds }
    }

    /// Where the groups begin, and the end.
    pub fn bounds(self) -> &'static [usize] {
        match self {
            Grouping::Quarters => &QUARTERS,
            Grouping::Thirds => &THIRDS,
        }
    }
}

pub(super) const QUARTERS: [usize; 5] = [0, 4, 8, 12, 16];
pub(super) const THIRDS: [usize; 4] = [0, 5, 10, 16];

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
