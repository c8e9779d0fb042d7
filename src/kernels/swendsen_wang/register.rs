//! The steps of a sweep on AVX-512: a tile is the 64 bytes of a register. Four tiles are labelled together, so that their latencies overlap.

use super::forest::Pairs;
use super::{Band, Engine, Head, Rim};
use crate::kernels::tiles::{Bytes, SITES, TILE, TileGrid, TileKind};
use crate::kernels::vector::Register;
use std::arch::x86_64::*;

/// Tiles that are labelled together.
const GROUP: usize = 4;
/// Rounds of spreading before the first look whether anything changes.
const ROUNDS: usize = 3;

/// The steps with 512-bit registers.
pub(super) struct Registers;

const COUNTING: Bytes = {
    let mut bytes = [0; SITES];
    let mut number = 0;
    while number < SITES {
        bytes[number] = number as u8;
        number += 1;
    }
    Bytes(bytes)
};

// SAFETY, of each `unsafe` in this module: the instructions exist, because this engine runs only behind `Chosen::Avx512`, which was made after the processor was asked for
// AVX-512 F, BW, DQ, VL, VBMI, VBMI2, BITALG and for BMI2. Those that touch memory are given references or slices whose length covers what they read or write; where a
// slice is longer than its type says, its length is asserted just before.

#[inline(always)]
#[allow(unsafe_code)]
fn load(bytes: &Bytes) -> __m512i {
    unsafe { _mm512_load_si512(std::ptr::from_ref(bytes).cast()) }
}

/// Spreads the smallest number through the open bonds of four tiles: the label of each number.
#[inline(always)]
#[allow(unsafe_code)]
fn settle(kinds: [&TileKind; GROUP], right: [u64; GROUP], down: [u64; GROUP]) -> [__m512i; GROUP] {
    let counting = load(&COUNTING);
    let mut labels = [counting; GROUP];
    // Where to look in each direction: at the neighbour if the bond is open, else at the site itself.
    let mut looks = [[counting; GROUP]; 4];
    for tile in 0..GROUP {
        let kind = kinds[tile];
        unsafe {
            let right = _mm512_set1_epi64((right[tile] & kind.inner_right()) as i64);
            let down = _mm512_set1_epi64((down[tile] & kind.inner_down()) as i64);
            let bits = load(&kind.bits);
            let open = [
                _mm512_bitshuffle_epi64_mask(right, bits),
                _mm512_bitshuffle_epi64_mask(right, load(&kind.left_bond)),
                _mm512_bitshuffle_epi64_mask(down, bits),
                _mm512_bitshuffle_epi64_mask(down, load(&kind.up_bond)),
            ];
            for direction in 0..4 {
                looks[direction][tile] = _mm512_mask_mov_epi8(counting, open[direction], load(&kind.neighbours[direction]));
            }
        }
    }
    let round = |labels: &mut [__m512i; GROUP]| unsafe {
        for look in &looks {
            for tile in 0..GROUP {
                labels[tile] = _mm512_min_epu8(labels[tile], _mm512_permutexvar_epi8(look[tile], labels[tile]));
            }
        }
        // A label is the number of a site of the same cluster, whose label may be smaller.
        for label in labels.iter_mut() {
            *label = _mm512_permutexvar_epi8(*label, *label);
        }
    };
    for _ in 0..ROUNDS {
        round(&mut labels);
    }
    loop {
        let before = labels;
        round(&mut labels);
        let changed = unsafe {
            let mut changed = _mm512_xor_si512(before[0], labels[0]);
            for tile in 1..GROUP {
                changed = _mm512_or_si512(changed, _mm512_xor_si512(before[tile], labels[tile]));
            }
            _mm512_test_epi64_mask(changed, changed)
        };
        if changed == 0 {
            return labels;
        }
    }
}

/// What follows from the labels of one tile.
#[inline(always)]
#[allow(unsafe_code)]
fn finish(band: &mut Band, tile: usize, kind: &TileKind, place: usize, labels: __m512i) {
    let counting = load(&COUNTING);
    let own = (band.next - band.base) as usize;
    let (parents, signs) = (&mut band.parents[own..own + 32], &mut band.signs[own..own + 32]);
    let rim = &mut band.rims[tile];
    let sign_word = band.sign_words[place];
    unsafe {
        _mm512_store_si512(std::ptr::from_mut(&mut band.labels[tile]).cast(), _mm512_permutexvar_epi8(load(&kind.numbers), labels));
        let roots = _mm512_cmpeq_epi8_mask(labels, counting) & kind.rim_numbers();
        let node_of = _mm512_maskz_expand_epi8(roots, counting);
        let edges = _mm512_permutexvar_epi8(_mm512_permutexvar_epi8(load(&kind.edges), labels), node_of);
        _mm256_storeu_si256(rim.nodes.as_mut_ptr().cast(), _mm512_castsi512_si256(edges));
        let first = _mm512_add_epi32(_mm512_set1_epi32(band.next as i32), _mm512_cvtepu8_epi32(_mm512_castsi512_si128(counting)));
        _mm512_storeu_si512(parents.as_mut_ptr().cast(), first);
        _mm512_storeu_si512(parents[16..].as_mut_ptr().cast(), _mm512_add_epi32(first, _mm512_set1_epi32(16)));
        _mm256_storeu_si256(signs.as_mut_ptr().cast(), _mm256_movm_epi8(_pext_u64(sign_word, roots) as u32));
        band.heads[tile] = Head { signs: sign_word, rim_roots: roots as u32, first_node: band.next };
        rim.first_node = band.next;
        rim.open_right = kind.leaving_right(band.right[place]);
        rim.open_down = kind.leaving_down(band.down[place]);
        band.next += roots.count_ones();
    }
}

impl Engine for Registers {
    type Random = Register;

    #[inline(always)]
    fn label(band: &mut Band) {
        let tiles = band.rows * band.grid.per_side();
        let grid = band.grid;
        for first in (0..tiles).step_by(GROUP) {
            // The last group may hold its last tile several times.
            let places: [(usize, usize, usize); GROUP] = std::array::from_fn(|lane| band.place((first + lane).min(tiles - 1)));
            let kinds = places.map(|(row, column, _)| grid.kind(column, row));
            let labels = settle(kinds, places.map(|(_, _, word)| band.right[word]), places.map(|(_, _, word)| band.down[word]));
            for lane in 0..GROUP.min(tiles - first) {
                finish(band, first + lane, kinds[lane], places[lane].2, labels[lane]);
            }
        }
    }

    #[inline(always)]
    #[allow(unsafe_code)]
    fn pairs(rims: &[Rim], above: Option<&[Rim]>, pairs: &mut Pairs) {
        let nothing = Rim::default();
        let mut left = &nothing;
        for (column, rim) in rims.iter().enumerate() {
            let up = above.map_or(&nothing, |above| &above[column]);
            let open = u16::from(up.open_down) | u16::from(left.open_right) << TILE;
            let (older, newer, count) = pairs.end();
            let (older, newer) = (&mut older[..Pairs::SPARE], &mut newer[..Pairs::SPARE]);
            unsafe {
                // Top edge in the low half, left edge in the high half, of either side.
                let word = |nodes: [u8; TILE]| i64::from_le_bytes(nodes);
                let new = _mm_set_epi64x(word(rim.nodes[1]), word(rim.nodes[0]));
                let old = _mm_set_epi64x(word(left.nodes[3]), word(up.nodes[2]));
                // A bond is superfluous if the one before it on the edge joins the same nodes.
                let repeats = _mm_cmpeq_epi8_mask(new, _mm_slli_epi64::<8>(new)) & _mm_cmpeq_epi8_mask(old, _mm_slli_epi64::<8>(old));
                let keep = open & !(open << 1 & repeats & 0xFEFE);
                let old_base = _mm512_mask_set1_epi32(_mm512_set1_epi32(up.first_node as i32), 0xFF00, left.first_node as i32);
                let old = _mm512_add_epi32(_mm512_cvtepu8_epi32(old), old_base);
                let new = _mm512_add_epi32(_mm512_cvtepu8_epi32(new), _mm512_set1_epi32(rim.first_node as i32));
                _mm512_storeu_si512(older.as_mut_ptr().cast(), _mm512_maskz_compress_epi32(keep, old));
                _mm512_storeu_si512(newer.as_mut_ptr().cast(), _mm512_maskz_compress_epi32(keep, new));
                *count += keep.count_ones() as usize;
            }
            left = rim;
        }
    }

    #[inline(always)]
    #[allow(unsafe_code)]
    fn flip(grid: &TileGrid, row: usize, spins: &mut [u64], labels: &[Bytes], heads: &[Head], signs: &[u8], base: u32) {
        for (column, ((own, labels), head)) in spins.iter_mut().zip(labels).zip(heads).enumerate() {
            let kind = grid.kind(column, row);
            let signs = &signs[(head.first_node - base) as usize..][..32];
            unsafe {
                let nodes = u64::from(_mm256_movepi8_mask(_mm256_loadu_si256(signs.as_ptr().cast())));
                let by_label = _pdep_u64(nodes, head.rim_roots.into()) | head.signs & !kind.rim_numbers();
                *own ^= _mm512_bitshuffle_epi64_mask(_mm512_set1_epi64(by_label as i64), load(labels)) & kind.existing;
            }
        }
    }
}
