//! From the bit planes in which columns are counted to the counts.

use super::{LOW_BITS, Plane};
use crate::kernels::checkerboard::Rows;
use crate::kernels::vector::{BLOCK, Vector};

/// From the bit planes of a block of words to the counts of their columns.
#[inline(always)]
pub(super) fn spread<V: Vector>(planes: &[Plane], rows: Rows, block: usize, columns: &mut [u32]) {
    const LOWER_BYTES: u64 = u64::MAX / 0x101;
    let width = rows.width;
    // Of even and odd x: the lower and the upper byte of a count, for each eighth column.
    let mut bytes = [[[V::splat(0); 8]; 2]; 2];
    for (plane, pair) in planes.chunks_exact(2).enumerate() {
        for (bytes, bits) in bytes.iter_mut().zip(pair) {
            bytes[plane / 8][plane % 8] = V::from_block(bits.0);
        }
    }
    for bytes in &mut bytes {
        turn(&mut bytes[0]);
        // Few rows have no upper byte.
        if planes.len() > 16 {
            turn(&mut bytes[1]);
        }
    }
    let lower = V::splat(LOWER_BYTES);
    let present = (width - block * BLOCK).min(BLOCK);
    let is_full = rows.are_full() && present == BLOCK;
    for low in 0..8 {
        // Four counts a word, of the columns of even and odd bytes.
        let mut counts = [[lower; 2]; 2];
        for (counts, bytes) in counts.iter_mut().zip(&bytes) {
            let (first, second) = (bytes[0][low], bytes[1][low]);
            *counts = [select(lower, first, second.shift_left::<8>()), select(lower, first.shift_right::<8>(), second)];
        }
        for byte in 0..2 {
            let pairs = pairs(counts[0][byte], counts[1][byte]);
            for (quarter, pairs) in pairs.iter().enumerate() {
                let first = (8 * (2 * quarter + byte) + low) * width + block * BLOCK;
                if is_full && let Some(columns) = columns[2 * first..].first_chunk_mut() {
                    pairs.store_halves(columns);
                } else {
                    let mut all = [0; 2 * BLOCK];
                    pairs.store_halves(&mut all);
                    let present = 2 * present.min(rows.columns.saturating_sub(first));
                    columns[2 * first.min(rows.columns)..][..present].copy_from_slice(&all[..present]);
                }
            }
        }
    }
}

/// The counts in the words of the lower bytes of even and of odd x, side by side: the first of each word, the second, and so on.
#[inline(always)]
fn pairs<V: Vector>(even: V, odd: V) -> [V; 4] {
    let (first, pair) = (V::splat(0xFFFF), V::splat(0xFFFF_0000_FFFF));
    [
        select(first, even, odd.shift_left::<32>()) & pair,
        select(first, even.shift_right::<16>(), odd.shift_left::<16>()) & pair,
        select(first, even.shift_right::<32>(), odd) & pair,
        select(first, even.shift_right::<48>(), odd.shift_right::<16>()) & pair,
    ]
}

/// Transposes 8 x 8 bits of each byte: bit i of vector j becomes bit j of vector i.
#[inline(always)]
fn turn<V: Vector>(bits: &mut [V; 8]) {
    for low in 0..4 {
        let (first, second, mask) = (bits[low], bits[low + 4], V::splat(LOW_BITS * 0x0F));
        (bits[low], bits[low + 4]) = (select(mask, first, second.shift_left::<4>()), select(mask, first.shift_right::<4>(), second));
    }
    for low in [0, 1, 4, 5] {
        let (first, second, mask) = (bits[low], bits[low + 2], V::splat(LOW_BITS * 0x33));
        (bits[low], bits[low + 2]) = (select(mask, first, second.shift_left::<2>()), select(mask, first.shift_right::<2>(), second));
    }
    for low in [0, 2, 4, 6] {
        let (first, second, mask) = (bits[low], bits[low + 1], V::splat(LOW_BITS * 0x55));
        (bits[low], bits[low + 1]) = (select(mask, first, second.shift_left::<1>()), select(mask, first.shift_right::<1>(), second));
    }
}

/// The bits of `yes` where the mask is set, else those of `no`.
#[inline(always)]
fn select<V: Vector>(mask: V, yes: V, no: V) -> V {
    no ^ ((yes ^ no) & mask)
}
