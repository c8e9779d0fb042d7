//! Looking up 64 bytes at once: the operations of [`super::byte_queue`], for each instruction set with its own instructions and the same result.
//!
//! AVX-512 VBMI permutes the bytes of two registers by an index each (128 columns in one instruction) and spreads the next bytes of a queue over the marked
//! places. AVX2 has a look-up in 16 bytes, and spreads by a table of 256 shuffles of 8 bytes. So has `wide`, whose own choice of instructions is the portable way.

use super::byte_law::{Alias, Columns};
use super::vector::Vector;

mod halves;

/// The bytes of a vector.
pub const BYTES: usize = 64;

/// Vectors whose 64 bytes can index tables. Byte i of a vector is byte i mod 8 (from the low end) of word i / 8.
///
/// # Safety
/// [`Self::fill_marked`] returns the number of bytes that equal the marker, which `byte_queue` moves on by without a look.
pub unsafe trait Bytes: Vector {
    /// Columns, made ready for many look-ups.
    type Prepared: Copy;

    /// Makes columns ready.
    fn prepare(columns: &Columns) -> Self::Prepared;

    /// Whether all columns are looked up by one instruction. Otherwise [`Self::in_columns_after`] is faster the more of them are known to be zero.
    const AT_ONCE: bool = false;

    /// How many parts of sixteen columns, from the first on, are all zero, as far as it matters: in twos and at most six.
    #[inline(always)]
    fn zero_parts(columns: &Columns) -> usize {
        if Self::AT_ONCE {
            return 0;
        }
        2 * columns.0.as_chunks::<32>().0.iter().take(3).take_while(|&parts| *parts == [0; 32]).count()
    }

    /// Each byte becomes the column that its low seven bits choose. So many parts of sixteen columns, from the first on, are known to be zero.
    fn in_columns_after<const ZERO_PARTS: usize>(self, columns: &Self::Prepared) -> Self;

    /// Each byte chooses a column of the alias table, and the byte of `chances` in its place decides between the two values there.
    fn in_alias(self, chances: Self, alias: &Alias) -> Self;

    /// The bytes that equal `marker`, as bit i for byte i.
    fn marked(self, marker: u8) -> u64;

    /// Bytes that equal `marker` become the next bytes of `queue`, in order. Returns how many there were.
    fn fill_marked(self, marker: u8, queue: &[u8; BYTES]) -> (Self, usize);
}

/// For each set of marked bytes among eight: the place in the queue of each marked byte; others get none (the top bit makes the shuffle write 0).
static SPREAD: [u64; 256] = spread();

const fn spread() -> [u64; 256] {
    let mut table = [0; 256];
    let mut marked = 0;
    while marked < 256 {
        let (mut byte, mut used) = (0, 0);
        while byte < 8 {
            let place = if marked >> byte & 1 == 1 { used } else { 0x80 };
            used += (marked >> byte & 1) as u64;
            table[marked] |= place << (8 * byte);
            byte += 1;
        }
        marked += 1;
    }
    table
}

#[cfg(target_arch = "x86_64")]
mod register {
    use super::super::vector::Register;
    use super::*;
    use std::arch::x86_64::*;

    // SAFETY, of each `unsafe` in this module: the instructions exist, because code over `Register` runs only behind `Chosen::Avx512`, which was made after the
    // processor was asked for AVX-512 BW, VBMI and VBMI2. They touch no memory; transmutations are between 64 bytes and 64 bytes, of which any bits are a value.
    #[inline(always)]
    #[allow(unsafe_code)]
    fn quarters(table: &[u8; 256]) -> [__m512i; 4] {
        let parts = table.as_chunks::<64>().0;
        std::array::from_fn(|quarter| unsafe { std::mem::transmute::<[u8; 64], __m512i>(parts[quarter]) })
    }

    /// 256 entries: two look-ups by the low seven bits, and the top bit chooses.
    #[inline(always)]
    #[allow(unsafe_code)]
    fn in_table(index: __m512i, upper: __mmask64, table: &[u8; 256]) -> __m512i {
        let [a, b, c, d] = quarters(table);
        unsafe { _mm512_mask_blend_epi8(upper, _mm512_permutex2var_epi8(a, index, b), _mm512_permutex2var_epi8(c, index, d)) }
    }

    #[allow(unsafe_code)]
    // SAFETY: `fill_marked` counts the marked bytes; the tests hold it against a naive loop.
    unsafe impl Bytes for Register {
        type Prepared = [Register; 2];

        #[inline(always)]
        fn prepare(columns: &Columns) -> Self::Prepared {
            let halves = columns.0.as_chunks::<64>().0;
            [0, 1].map(|half| Register(unsafe { std::mem::transmute::<[u8; 64], __m512i>(halves[half]) }))
        }
        const AT_ONCE: bool = true;
        #[inline(always)]
        fn in_columns_after<const ZERO_PARTS: usize>(self, [low, high]: &Self::Prepared) -> Self {
            Register(unsafe { _mm512_permutex2var_epi8(low.0, self.0, high.0) })
        }
        #[inline(always)]
        fn in_alias(self, chances: Self, alias: &Alias) -> Self {
            let upper = unsafe { _mm512_movepi8_mask(self.0) };
            let own = unsafe { _mm512_cmplt_epu8_mask(chances.0, in_table(self.0, upper, &alias.chances)) };
            Register(unsafe { _mm512_mask_blend_epi8(own, in_table(self.0, upper, &alias.others), self.0) })
        }
        #[inline(always)]
        fn marked(self, marker: u8) -> u64 {
            unsafe { _mm512_cmpeq_epi8_mask(self.0, _mm512_set1_epi8(marker as i8)) }
        }
        #[inline(always)]
        fn fill_marked(self, marker: u8, queue: &[u8; BYTES]) -> (Self, usize) {
            let marked = self.marked(marker);
            let queue = unsafe { std::mem::transmute::<[u8; 64], __m512i>(*queue) };
            (Register(unsafe { _mm512_mask_expand_epi8(self.0, marked, queue) }), marked.count_ones() as usize)
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod pair {
    use super::super::pair::Pair;
    use super::*;
    use std::arch::x86_64::*;

    // SAFETY, of each `unsafe` in this module: the instructions exist, because code over `Pair` runs only behind `Chosen::Avx2`, which was made after the
    // processor was asked. They touch no memory; transmutations are between arrays and registers of the same size, of which any bits are a value.

    /// Sixteen bytes, twice.
    #[inline(always)]
    #[allow(unsafe_code)]
    fn twice(bytes: [u8; 16]) -> __m256i {
        unsafe { _mm256_broadcastsi128_si256(std::mem::transmute::<[u8; 16], __m128i>(bytes)) }
    }

    /// The xor of each sixteenth byte of a table with the one before it. A shuffle writes 0 where the index has its top bit set, so with index - 16 t the first
    /// t differences up to the right sixteenth are what is left, and their xor is the entry.
    #[inline(always)]
    #[allow(unsafe_code)]
    fn differences(table: &[u8]) -> [__m256i; 8] {
        let parts = table.as_chunks::<16>().0;
        let mut differences = [twice(parts[0]); 8];
        for index in 1..8 {
            differences[index] = unsafe { _mm256_xor_si256(twice(parts[index]), twice(parts[index - 1])) };
        }
        differences
    }

    /// Entries of 128, by an index whose top bit is clear. Where it is set the result is 0 or wrong. The first parts of sixteen may be known to be zero, and so are their differences.
    #[inline(always)]
    #[allow(unsafe_code)]
    fn in_differences<const ZERO_PARTS: usize>(mut index: __m256i, differences: &[__m256i; 8]) -> __m256i {
        if ZERO_PARTS > 0 {
            index = unsafe { _mm256_sub_epi8(index, _mm256_set1_epi8(16 * ZERO_PARTS as i8)) };
        }
        let mut entry = unsafe { _mm256_shuffle_epi8(differences[ZERO_PARTS], index) };
        for difference in &differences[ZERO_PARTS + 1..] {
            index = unsafe { _mm256_sub_epi8(index, _mm256_set1_epi8(16)) };
            entry = unsafe { _mm256_xor_si256(entry, _mm256_shuffle_epi8(*difference, index)) };
        }
        entry
    }

    #[inline(always)]
    #[allow(unsafe_code)]
    fn low_bits(index: __m256i) -> __m256i {
        unsafe { _mm256_and_si256(index, _mm256_set1_epi8(127)) }
    }

    #[inline(always)]
    #[allow(unsafe_code)]
    fn in_table(index: __m256i, table: &[u8; 256]) -> __m256i {
        let low = low_bits(index);
        let (first, second) =
            (in_differences::<0>(low, &differences(&table[..128])), in_differences::<0>(low, &differences(&table[128..])));
        unsafe { _mm256_blendv_epi8(first, second, index) }
    }

    #[allow(unsafe_code)]
    // SAFETY: `fill_marked` counts the marked bytes; the tests hold it against a naive loop.
    unsafe impl Bytes for Pair {
        type Prepared = [__m256i; 8];

        #[inline(always)]
        fn prepare(columns: &Columns) -> Self::Prepared {
            differences(&columns.0)
        }
        #[inline(always)]
        fn in_columns_after<const ZERO_PARTS: usize>(self, columns: &Self::Prepared) -> Self {
            let found = |index: __m256i| in_differences::<ZERO_PARTS>(low_bits(index), columns);
            Pair([found(self.0[0]), found(self.0[1])])
        }
        #[inline(always)]
        fn in_alias(self, chances: Self, alias: &Alias) -> Self {
            Pair([shared(self.0[0], chances.0[0], alias), shared(self.0[1], chances.0[1], alias)])
        }
        #[inline(always)]
        fn marked(self, marker: u8) -> u64 {
            u64::from(bits(equal(self.0[0], marker))) | u64::from(bits(equal(self.0[1], marker))) << 32
        }
        #[inline(always)]
        fn fill_marked(self, marker: u8, queue: &[u8; BYTES]) -> (Self, usize) {
            let (first, used) = filled(self.0[0], marker, queue, 0);
            let (second, used) = filled(self.0[1], marker, queue, used);
            (Pair([first, second]), used)
        }
    }

    // What follows is called one by one instead of by closures over both registers: the compiler does not inline a closure that it maps over an array.

    #[inline(always)]
    #[allow(unsafe_code)]
    fn shared(index: __m256i, chance: __m256i, alias: &Alias) -> __m256i {
        let (limit, other) = (in_table(index, &alias.chances), in_table(index, &alias.others));
        // chance >= limit, without sign: the larger of the two is `chance`.
        unsafe { _mm256_blendv_epi8(index, other, _mm256_cmpeq_epi8(_mm256_max_epu8(chance, limit), chance)) }
    }

    #[inline(always)]
    #[allow(unsafe_code)]
    fn equal(bytes: __m256i, marker: u8) -> __m256i {
        unsafe { _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(marker as i8)) }
    }

    #[inline(always)]
    #[allow(unsafe_code)]
    fn bits(mask: __m256i) -> u32 {
        unsafe { _mm256_movemask_epi8(mask) as u32 }
    }

    /// For eight bytes, of which those in `marked` are: the next eight of the queue, how they spread, and how many of the queue are used then.
    #[inline(always)]
    #[allow(unsafe_code)]
    fn eight(marked: u8, queue: &[u8; BYTES], used: usize) -> (i64, i64, usize) {
        // SAFETY: `used` is at most 8 for each eight bytes before these, of at most 64, so these eight bytes end at 64 or before.
        let next = unsafe { queue.as_ptr().add(used).cast::<u64>().read_unaligned() };
        (next as i64, SPREAD[usize::from(marked)] as i64, used + marked.count_ones() as usize)
    }

    /// The marked bytes of one register become those of the queue from `used` on. Returns how many of the queue are used then.
    #[inline(always)]
    #[allow(unsafe_code)]
    fn filled(bytes: __m256i, marker: u8, queue: &[u8; BYTES], used: usize) -> (__m256i, usize) {
        let marked = equal(bytes, marker);
        let [a, b, c, d] = bits(marked).to_le_bytes();
        let (next_a, spread_a, used) = eight(a, queue, used);
        let (next_b, spread_b, used) = eight(b, queue, used);
        let (next_c, spread_c, used) = eight(c, queue, used);
        let (next_d, spread_d, used) = eight(d, queue, used);
        // A shuffle stays inside 16 bytes: the places of the upper eight begin at 8 (and what is to be 0 keeps its top bit).
        let filled = unsafe {
            let spread = _mm256_or_si256(
                _mm256_set_epi64x(spread_d, spread_c, spread_b, spread_a),
                _mm256_set_epi64x(0x0808_0808_0808_0808, 0, 0x0808_0808_0808_0808, 0),
            );
            let next = _mm256_shuffle_epi8(_mm256_set_epi64x(next_d, next_c, next_b, next_a), spread);
            _mm256_or_si256(next, _mm256_andnot_si256(marked, bytes))
        };
        (filled, used)
    }
}

#[cfg(test)]
mod tests {
    use super::super::byte_law::{ByteLaw, First};
    use super::super::fixed_point::Probability;
    use super::super::vector::{Block, Halves};
    use super::super::{InstructionSet, dispatch};
    use super::*;
    use crate::random::{LaneStream, Purpose};

    type Answers = [Block; 3];

    #[inline(always)]
    fn ask<V: Bytes>(index: &Block, chances: &Block, queue: &[u8; BYTES], law: &ByteLaw, marker: u8) -> (Answers, u64, usize) {
        let (index, chances) = (V::from_block(*index), V::from_block(*chances));
        let columns = match &law.first {
            First::Columns(columns) => {
                let prepared = V::prepare(columns);
                let found = match V::zero_parts(columns) {
                    0 => index.in_columns_after::<0>(&prepared),
                    2 => index.in_columns_after::<2>(&prepared),
                    4 => index.in_columns_after::<4>(&prepared),
                    _ => index.in_columns_after::<6>(&prepared),
                };
                assert_eq!(found.to_block(), index.in_columns_after::<0>(&prepared).to_block());
                found
            }
            First::Alias(_) => index,
        };
        let (filled, used) = index.fill_marked(marker, queue);
        ([columns.to_block(), index.in_alias(chances, &law.second).to_block(), filled.to_block()], index.marked(marker), used)
    }

    #[cfg(target_arch = "x86_64")]
    dispatch! {
        fn ask_register(index: &Block, chances: &Block, queue: &[u8; BYTES], law: &ByteLaw, marker: u8) -> (Answers, u64, usize) = ask::<super::super::vector::Register>;
    }
    #[cfg(target_arch = "x86_64")]
    dispatch! {
        fn ask_pair(index: &Block, chances: &Block, queue: &[u8; BYTES], law: &ByteLaw, marker: u8) -> (Answers, u64, usize) = ask::<super::super::pair::Pair>;
    }

    /// The definition, byte by byte.
    fn naive(index: &Block, chances: &Block, queue: &[u8; BYTES], law: &ByteLaw, marker: u8) -> (Answers, u64, usize) {
        let bytes = |block: &Block| block.map(u64::to_le_bytes).into_iter().flatten().collect::<Vec<u8>>();
        let block = |bytes: Vec<u8>| -> Block {
            std::array::from_fn(|word| u64::from_le_bytes(bytes[8 * word..][..8].try_into().expect("eight bytes")))
        };
        let (index, chances) = (bytes(index), bytes(chances));
        let columns = match &law.first {
            First::Columns(columns) => index.iter().map(|&byte| columns.0[usize::from(byte % 128)]).collect(),
            First::Alias(_) => index.clone(),
        };
        let alias = &law.second;
        let shared = |(&column, &chance): (&u8, &u8)| {
            if chance < alias.chances[usize::from(column)] { column } else { alias.others[usize::from(column)] }
        };
        let in_alias = index.iter().zip(&chances).map(shared).collect();
        let (mut marked, mut used) = (0, 0);
        let mut filled = index.clone();
        for (place, byte) in filled.iter_mut().enumerate().filter(|(_, byte)| **byte == marker) {
            (*byte, used) = (queue[used], used + 1);
            marked |= 1 << place;
        }
        ([block(columns), block(in_alias), block(filled)], marked, used)
    }

    /// Random bytes, and bytes of which half equal the marker or all do.
    #[test]
    fn every_instruction_set_finds_the_same_bytes() {
        let mut stream = LaneStream::new(3, Purpose::Check, 60);
        for round in 0..2000 {
            let law = ByteLaw::new(Probability::new(f64::from(round) / 4000.0));
            let (mut index, chances, queue) = (stream.words(), stream.words(), stream.words());
            if round % 3 > 0 {
                let rare = stream.words();
                index =
                    std::array::from_fn(
                        |word| if round % 3 == 2 { 0 } else { index[word] & ((rare[word] >> 7 & 0x0101_0101_0101_0101) * 255) },
                    );
            }
            let queue: [u8; BYTES] = std::array::from_fn(|byte| queue[byte / 8].to_le_bytes()[byte % 8]);
            let marker = if round % 3 > 0 { 0 } else { law.marker };
            let expected = naive(&index, &chances, &queue, &law, marker);
            assert_eq!(ask::<Halves>(&index, &chances, &queue, &law, marker), expected, "portable, round {round}");
            #[cfg(target_arch = "x86_64")]
            for set in InstructionSet::available() {
                let found = match set.name() {
                    "avx512" => ask_register(set, &index, &chances, &queue, &law, marker),
                    "avx2" => ask_pair(set, &index, &chances, &queue, &law, marker),
                    _ => continue,
                };
                assert_eq!(found, expected, "{set}, round {round}");
            }
        }
    }
}
