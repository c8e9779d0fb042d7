//! Small lattices of which several rows share a word, word by word; and the arithmetic of single words for all layouts.

use super::{Counters, LOW_BITS, MOST_PLANES};
use crate::kernels::checkerboard::Rows;

/// Word by word: several rows a line, which is one word.
#[inline(always)]
pub(super) fn narrow_body(even: &[u64], odd: &[u64], rows: Rows, counters: &mut Counters) {
    let columns = rows.columns;
    let field = u64::MAX >> (64 - columns);
    for line in 0..rows.count {
        let both = [even[line + 1], odd[line + 1]];
        for fold in 0..rows.folds {
            counters.rows[line + fold * rows.count] = both.map(|word| (word >> (fold * columns) & field).count_ones()).iter().sum();
        }
    }
    let mut planes = [0u64; MOST_PLANES];
    for parity in 0..2 {
        let planes = &mut planes[..counters.depth];
        planes.fill(0);
        // Even columns: the even colour of line i and the odd colour of line i + 1, for even i; the lines number an even count.
        let (first, second) = if parity == 0 { (even, odd) } else { (odd, even) };
        let pair = |line: usize| (first[line + 1], second[line + 2]);
        let mut line = 0;
        while line + 8 <= rows.count {
            let [ones, twos, fours, ..] = planes else { return };
            let pairs: [u64; 4] = std::array::from_fn(|index| {
                let (a, b) = pair(line + 2 * index);
                full_adder(ones, a, b)
            });
            let quads = [full_adder(twos, pairs[0], pairs[1]), full_adder(twos, pairs[2], pairs[3])];
            let carry = full_adder(fours, quads[0], quads[1]);
            ripple(planes, 1, 0, 3, carry);
            line += 8;
        }
        while line < rows.count {
            let (a, b) = pair(line);
            ripple(planes, 1, 0, 0, a);
            ripple(planes, 1, 0, 0, b);
            line += 2;
        }
        let counts = counts_of_bits(planes, 1, 0);
        for column in 0..columns {
            counters.columns[2 * column + parity] = (0..rows.folds).map(|fold| counts[fold * columns + column]).sum();
        }
    }
}

/// The 64 numbers whose bit planes are every `stride`-th word from `word` on.
#[inline(always)]
pub(super) fn counts_of_bits(planes: &[u64], stride: usize, word: usize) -> [u32; 64] {
    let mut counts = [0; 64];
    for (group, first) in (word..planes.len()).step_by(8 * stride).enumerate() {
        for low in 0..8 {
            let mut bytes = 0;
            for (plane, at) in (first..planes.len()).step_by(stride).take(8).enumerate() {
                bytes |= (planes[at] >> low & LOW_BITS) << plane;
            }
            for high in 0..8 {
                counts[8 * high + low] |= ((bytes >> (8 * high)) as u32 & 0xFF) << (8 * group);
            }
        }
    }
    counts
}

#[inline(always)]
pub(super) fn full_adder(sum: &mut u64, first: u64, second: u64) -> u64 {
    let odd = *sum ^ first;
    let carry = (*sum & first) | (odd & second);
    *sum = odd ^ second;
    carry
}

/// Adds a carry to the planes from `plane` on.
#[inline(always)]
pub(super) fn ripple(planes: &mut [u64], width: usize, word: usize, plane: usize, mut carry: u64) {
    for bits in planes.iter_mut().skip(plane * width + word).step_by(width) {
        if carry == 0 {
            break;
        }
        (*bits, carry) = (*bits ^ carry, *bits & carry);
    }
}
