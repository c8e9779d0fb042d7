//! Look-up tables of partial sums: how a product with a binary matrix is made with a quarter of the additions.
//!
//! Of K rows all 2^K sums are made once; each sample then adds the one that its K bits choose ("four Russians", Arlazarov, Dinic, Kronrod and Faradzev 1970).
//! The order of the sums is part of the result. Entry m is the sum of the rows whose bit is set in m, lowest row first; it begins with the row itself, and
//! entry 0 is +0. A longer sum begins with its start value and adds one entry a group, groups ascending. K is a constant of the kernel, never of the machine.
//!
//! In the statistics, tables of two panels lie together, so that what a choice costs to decode is paid once for two additions.
//! The sum of a sample is a chain of additions that wait for each other, so a few of them are made at once.

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

/// The entry of a table that the bits of `word` from `first_bit` on choose.
#[inline(always)]
pub fn entry<T, const ENTRIES: usize>(tables: &[[T; ENTRIES]], table: usize, word: u32, first_bit: usize) -> &T {
    const {
        assert!(
            ENTRIES.is_power_of_two() && size_of::<T>().is_power_of_two(),
            "a choice is some bits, and an offset the same bits elsewhere"
        )
    };
    assert!(table < tables.len(), "one of the tables");
    let size = size_of::<T>();
    // Turned so that the offset in bytes comes to lie in place.
    let turned = word.rotate_right((32 + first_bit) as u32 - size.ilog2()) as usize;
    let place = table * size_of::<[T; ENTRIES]>() + (turned & ((ENTRIES - 1) * size));
    // SAFETY: entries lie one after the other, and place is a multiple of their size: that of the beginning of a table, which exists, and less than a table behind it. With
    // an index instead the compiler (1.95) takes a register for each table, which it has not, and the loops are a tenth slower.
    unsafe { &*tables.as_ptr().cast::<T>().byte_add(place) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_finds_its_entry() {
        let tables: Vec<[[u64; 2]; 8]> = (0..3).map(|table| std::array::from_fn(|entry| [table, entry as u64])).collect();
        for table in 0..3 {
            for first_bit in [0, 3, 7, 13, 29] {
                for choice in 0..8u32 {
                    // With all other bits clear, and set.
                    for others in [0, !(7 << first_bit)] {
                        assert_eq!(*entry(&tables, table, choice << first_bit | others, first_bit), [table as u64, u64::from(choice)]);
                    }
                }
            }
        }
    }
}
