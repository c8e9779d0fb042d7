//! Byte look-ups through `wide`: two halves of 32 bytes each, by whatever instructions the build may use.

use super::super::byte_law::{Alias, Columns};
use super::super::vector::Halves;
use super::{BYTES, Bytes, SPREAD};
use bytemuck::cast;
use wide::{i8x32, u8x32, u64x4};

/// A table of 128 bytes in parts of sixteen, each of them twice: `wide` looks up in sixteen bytes at a time, for either half of a vector by itself.
type Parts = [u8x32; 8];

#[inline(always)]
fn parts(table: &[u8]) -> Parts {
    let parts = table.as_chunks::<16>().0;
    std::array::from_fn(|part| cast([parts[part]; 2]))
}

/// The bytes at places of a table; 0 where the place is not one of the first sixteen.
#[inline(always)]
fn found(part: u8x32, places: u8x32) -> u8x32 {
    cast(part.swizzle_half(cast::<u8x32, i8x32>(places)))
}

/// Entries of 128, by an index below that; the first parts of sixteen may be known to be zero. In the part where an index belongs its upper bits are taken away, in all others
/// some are left, and nothing is found there.
#[inline(always)]
fn in_parts<const ZERO_PARTS: usize>(index: u8x32, parts: &Parts) -> u8x32 {
    let mut entry = u8x32::splat(0);
    for (number, &part) in parts.iter().enumerate().skip(ZERO_PARTS) {
        entry |= found(part, index ^ u8x32::splat(16 * number as u8));
    }
    entry
}

#[inline(always)]
fn low_bits(index: u8x32) -> u8x32 {
    index & u8x32::splat(127)
}

/// Entries of 256.
#[inline(always)]
fn in_table(index: u8x32, table: &[u8; 256]) -> u8x32 {
    let (low, lower) = (low_bits(index), index.max(u8x32::splat(127)).simd_eq(u8x32::splat(127)));
    lower.select(in_parts::<0>(low, &parts(&table[..128])), in_parts::<0>(low, &parts(&table[128..])))
}

#[inline(always)]
fn shared(index: u8x32, chance: u8x32, alias: &Alias) -> u8x32 {
    // chance >= limit: the larger of the two is `chance`.
    let other = chance.max(in_table(index, &alias.chances)).simd_eq(chance);
    other.select(in_table(index, &alias.others), index)
}

/// The marked bytes become those of the queue from `used` on. Returns how many of the queue are used then.
#[inline(always)]
fn filled(bytes: u8x32, marker: u8, queue: &[u8; BYTES], mut used: usize) -> (u8x32, usize) {
    let marked = bytes.simd_eq(u8x32::splat(marker));
    let (mut next, mut spread) = ([0u64; 4], [0u64; 4]);
    for (place, marked) in marked.to_bitmask().to_le_bytes().into_iter().enumerate() {
        // `used` is at most 8 for each eight bytes before these, of at most 64; the bound spares a check.
        next[place] = u64::from_le_bytes(*queue[used.min(BYTES - 8)..].first_chunk().expect("eight bytes and more are left"));
        // A look-up stays inside 16 bytes: the places of the upper eight begin at 8 (and what is to be 0 keeps its top bit).
        spread[place] = SPREAD[usize::from(marked)] | if place % 2 == 1 { 0x0808_0808_0808_0808 } else { 0 };
        used += marked.count_ones() as usize;
    }
    let next: i8x32 = cast::<[u64; 4], i8x32>(next).swizzle_half_relaxed(cast::<[u64; 4], i8x32>(spread));
    (cast::<i8x32, u8x32>(next) | (bytes & !marked), used)
}

impl Halves {
    #[inline(always)]
    fn bytes(self) -> [u8x32; 2] {
        self.parts().map(cast::<u64x4, u8x32>)
    }

    #[inline(always)]
    fn from_bytes([first, second]: [u8x32; 2]) -> Self {
        Self::from_parts([cast(first), cast(second)])
    }
}

// SAFETY: `fill_marked` counts the marked bytes; the tests hold it against a naive loop.
unsafe impl Bytes for Halves {
    type Prepared = Parts;

    #[inline(always)]
    fn prepare(columns: &Columns) -> Self::Prepared {
        parts(&columns.0)
    }
    #[inline(always)]
    fn in_columns_after<const ZERO_PARTS: usize>(self, columns: &Self::Prepared) -> Self {
        let [first, second] = self.bytes();
        Self::from_bytes([in_parts::<ZERO_PARTS>(low_bits(first), columns), in_parts::<ZERO_PARTS>(low_bits(second), columns)])
    }
    #[inline(always)]
    fn in_alias(self, chances: Self, alias: &Alias) -> Self {
        let ([first, second], [one, other]) = (self.bytes(), chances.bytes());
        Self::from_bytes([shared(first, one, alias), shared(second, other, alias)])
    }
    #[inline(always)]
    fn marked(self, marker: u8) -> u64 {
        let [first, second] = self.bytes().map(|bytes| u64::from(bytes.simd_eq(u8x32::splat(marker)).to_bitmask()));
        first | second << 32
    }
    #[inline(always)]
    fn fill_marked(self, marker: u8, queue: &[u8; BYTES]) -> (Self, usize) {
        let [first, second] = self.bytes();
        let (first, used) = filled(first, marker, queue, 0);
        let (second, used) = filled(second, marker, queue, used);
        (Self::from_bytes([first, second]), used)
    }
}
