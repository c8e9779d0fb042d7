//! The arithmetic of counters in single words.

use super::LOW_BITS;

/// The 64 numbers with these bit planes.
#[inline(always)]
pub(super) fn counts_of_bits(planes: &[u64]) -> [u32; 64] {
    let mut counts = [0; 64];
    for (group, planes) in planes.chunks(8).enumerate() {
        for low in 0..8 {
            let bytes = planes.iter().enumerate().fold(0, |bytes, (plane, bits)| bytes | (bits >> low & LOW_BITS) << plane);
            for high in 0..8 {
                counts[8 * high + low] |= ((bytes >> (8 * high)) as u32 & 0xFF) << (8 * group);
            }
        }
    }
    counts
}

/// Adds two numbers of one bit to `sum` and returns the carry.
#[inline(always)]
pub(super) fn full_adder(sum: &mut u64, first: u64, second: u64) -> u64 {
    let odd = *sum ^ first;
    let carry = (*sum & first) | (odd & second);
    *sum = odd ^ second;
    carry
}

/// Adds a carry to planes, of which the first has its weight.
#[inline(always)]
pub(super) fn ripple(planes: &mut [u64], mut carry: u64) {
    for bits in planes {
        if carry == 0 {
            break;
        }
        (*bits, carry) = (*bits ^ carry, *bits & carry);
    }
}
