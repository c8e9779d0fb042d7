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
    for low in 0..8 {
        // Four counts a word, of the columns of even and odd bytes.
        let mut counts = [[lower; 2]; 2];
        for (counts, bytes) in counts.iter_mut().zip(&bytes) {
            let (first, second) = (bytes[0][low], bytes[1][low]);
            *counts = [select(lower, first, second.shift_left::<8>()), select(lower, first.shift_right::<8>(), second)];
        }
        for byte in 0..8 {
            let (even, odd) =
                (counts[0][byte % 2].shift_right_by(8 * (byte & 6) as u32), counts[1][byte % 2].shift_right_by(8 * (byte & 6) as u32));
            let pairs = (even & V::splat(0xFFFF)) | (odd & V::splat(0xFFFF)).shift_left::<32>();
            let first = (8 * byte + low) * width + block * BLOCK;
            let present = (width - block * BLOCK).min(rows.columns.saturating_sub(first));
            let pairs = pairs.to_block();
            if present >= BLOCK {
                let columns = &mut columns[2 * first..2 * (first + BLOCK)];
                for (columns, pair) in columns.as_chunks_mut::<2>().0.iter_mut().zip(pairs) {
                    *columns = [pair as u32, (pair >> 32) as u32];
                }
            } else {
                for (place, pair) in pairs.iter().enumerate().take(present) {
                    columns[2 * (first + place)] = *pair as u32;
                    columns[2 * (first + place) + 1] = (*pair >> 32) as u32;
                }
            }
        }
    }
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
