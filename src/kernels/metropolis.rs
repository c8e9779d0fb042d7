//! Checkerboard Metropolis, 512 spins at a time, each with random bits of its own. What follows is the definition of the results: the reference
//! sampler (`sampler/reference/metropolis.rs`) says the same one spin at a time, and the tests hold the two together spin by spin and word by word.
//!
//! **Acceptance.** A spin with n unsatisfied bonds flips if n >= 2. With n = 1 (dE = 4J) or n = 0 (dE = 8J) it flips if u < t_n, where u is a 64-bit
//! uniform number of its own and t_1 = floor(2^64 e^(-4K)), t_0 = floor(2^64 e^(-8K)) (at most 2^64 - 1): see [`Thresholds`]. So probabilities are low by
//! less than 2^-64, beside the rounding of the exponential in f64.
//!
//! **Random bits.** u is read bit by bit from the top, and only as far as u < t is open: while the bits read equal the leading bits of t. Half of the
//! open comparisons end with each bit, whatever the temperature. The bits come in planes: one step of the lane stream is 512 bits, one for each slot
//! of a block.
//! 1. The words of one colour in flat order ([`crate::spins::checkerboard`] says which spin is where) are taken eight a block, [`GROUP`] blocks a group
//!    (the last group may be shorter, its last block partial).
//! 2. In block order, each block takes [`FIRST_PLANES`] planes, which its spins with n < 2 compare. About 512 / 2^FIRST_PLANES comparisons remain open.
//! 3. The open spins of the group that lie at the same slot of different blocks queue up in block order. All heads of the queues step forward
//!    together. Planes are taken, one bit for each slot and so for each head, until no head is open (or all 64 bits are read, and u = t rejects). Then
//!    the next heads step forward, until the queues are empty.
//!
//! So every random bit decides at most one spin, and a group of 8192 spins takes about 6.2 planes a block where block by block it would take 11 to 12.
//! Colour 0 is updated first, then colour 1. A stream belongs to the rows it is given.

use super::checkerboard::{Existing, Rows, sideways, unsatisfied};
use super::generator::Lanes;
#[cfg(target_arch = "x86_64")]
use super::vector::Register;
use super::vector::{BLOCK, Generator, Halves, Vector};
use super::{Chosen, InstructionSet, dispatch};
use crate::spins::WORD_BITS;

/// The blocks of a group.
pub const GROUP: usize = 16;
/// The planes that every block takes.
pub const FIRST_PLANES: usize = 5;

/// The probabilities of the two costly flips, as 64-bit integers: a uniform u accepts if u < t.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// For no unsatisfied bond, e^(-8K).
    pub none: u64,
    /// For one unsatisfied bond, e^(-4K).
    pub single: u64,
}

impl Thresholds {
    /// The thresholds of a coupling K >= 0.
    pub fn new(coupling: f64) -> Self {
        // The conversion of a float to an integer cuts off the fraction and saturates: K = 0 gives 2^64 - 1.
        let fixed = |exponent: f64| (decay(exponent) * 64f64.exp2()) as u64;
        Thresholds { none: fixed(8.0 * coupling), single: fixed(4.0 * coupling) }
    }
}

/// e^(-x) for x >= 0, to about 2 units in the last place. Written out, because the exponential of the system's library may differ between machines in
/// its last bit: only operations that IEEE 754 rounds exactly.
fn decay(x: f64) -> f64 {
    if x > 700.0 {
        return 0.0;
    }
    // ln 2 in two parts, of which the first has trailing zeros (as in fdlibm): n * LN2_HIGH is exact.
    const LN2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
    const LN2_LOW: f64 = f64::from_bits(0x3dea_39ef_3579_3c76);
    let halvings = (x / std::f64::consts::LN_2).round();
    let rest = (halvings * LN2_HIGH - x) + halvings * LN2_LOW;
    // |rest| < 0.35: the term of order 16 is below 2^-66.
    let series = (1..=16).rev().fold(1.0, |sum, order| 1.0 + sum * rest / f64::from(order));
    series * f64::from_bits((1023 - halvings as u64) << 52)
}

/// The bits of both thresholds at one plane, spread over words. A spin without unsatisfied bonds reads `none`, one with a single such bond
/// `none ^ difference`.
#[derive(Debug, Clone, Copy)]
struct Plane {
    none: u64,
    difference: u64,
}

impl Plane {
    #[inline(always)]
    fn new(thresholds: Thresholds, index: usize) -> Self {
        let spread = |threshold: u64| (threshold >> (WORD_BITS - 1 - index) & 1).wrapping_neg();
        Plane { none: spread(thresholds.none), difference: spread(thresholds.none ^ thresholds.single) }
    }
}

/// 512 comparisons u < t under way.
#[derive(Debug, Clone, Copy)]
struct Comparison<V> {
    /// The bits of u and t agree so far.
    open: V,
    /// The spin has a single unsatisfied bond; read only where open.
    single: V,
    /// The spin flips.
    flip: V,
}

impl<V: Vector> Comparison<V> {
    #[inline(always)]
    fn none() -> Self {
        Comparison { open: V::splat(0), single: V::splat(0), flip: V::splat(0) }
    }

    /// Which spins of a block flip at once, and which have to compare.
    #[inline(always)]
    fn new(spins: V, neighbours: [V; 4], exists: V) -> Self {
        let count = unsatisfied(spins, neighbours);
        let two_or_more = count.carry | (count.sum & count.fourth);
        Comparison { open: !two_or_more & exists, single: count.sum | count.fourth, flip: two_or_more & exists }
    }

    /// One more bit of each u.
    #[inline(always)]
    fn step(&mut self, random: V, plane: Plane) {
        let bit = V::splat(plane.none) ^ (self.single & V::splat(plane.difference));
        let differs = self.open & (random ^ bit);
        self.flip |= differs & bit;
        self.open ^= differs;
    }
}

/// Updates `rows` of one colour once. `own` begins with the first of them and has up to seven words to spare after the last; `other` is the other
/// colour from its top halo on; `valid` is the mask of existing slots. `lanes` is the stream of these rows.
pub fn update_rows(
    set: InstructionSet,
    own: &mut [u64],
    other: &[u64],
    rows: Rows,
    valid: &[u64],
    thresholds: Thresholds,
    lanes: &mut Lanes,
) {
    match set.chosen_kind() {
        #[cfg(target_arch = "x86_64")]
        Chosen::Avx512 => update_register(set, own, other, rows, valid, thresholds, lanes),
        _ => update_halves(set, own, other, rows, valid, thresholds, lanes),
    }
}

#[cfg(target_arch = "x86_64")]
dispatch! {
    fn update_register(own: &mut [u64], other: &[u64], rows: Rows, valid: &[u64], thresholds: Thresholds, lanes: &mut Lanes) = update::<Register>;
}
dispatch! {
    fn update_halves(own: &mut [u64], other: &[u64], rows: Rows, valid: &[u64], thresholds: Thresholds, lanes: &mut Lanes) = update::<Halves>;
}

#[inline(always)]
fn update<V: Vector>(own: &mut [u64], other: &[u64], rows: Rows, valid: &[u64], thresholds: Thresholds, lanes: &mut Lanes) {
    let words = rows.count * rows.width;
    // The state stays in registers or on the stack of this function for all rows.
    let mut generator = Generator::<V>::new(lanes);
    let first_planes: [Plane; FIRST_PLANES] = std::array::from_fn(|index| Plane::new(thresholds, index));
    let mut existing = Existing::new(valid, rows);
    let mut side = [0; GROUP * BLOCK];
    let mut comparisons = [Comparison::<V>::none(); GROUP];
    for group in (0..words).step_by(GROUP * BLOCK) {
        let blocks = (words - group).div_ceil(BLOCK).min(GROUP);
        sideways(other, rows, group, &mut side[..blocks * BLOCK]);
        let mut open = V::splat(0);
        for block in 0..blocks {
            let start = group + block * BLOCK;
            let at = rows.first * rows.width + start;
            let neighbours =
                [V::load(other, at), V::load(other, at + rows.width), V::load(other, at + 2 * rows.width), V::load(&side, block * BLOCK)];
            let mut comparison = Comparison::new(V::load(own, start), neighbours, existing.next_block());
            for plane in &first_planes {
                comparison.step(generator.step(), *plane);
            }
            open |= comparison.open;
            comparisons[block] = comparison;
        }
        while open.any() {
            open = decide_heads(&mut comparisons[..blocks], thresholds, &mut generator);
        }
        for block in 0..blocks {
            let start = group + block * BLOCK;
            (V::load(own, start) ^ comparisons[block].flip).store(own, start);
        }
    }
    *lanes = generator.lanes();
}

/// Decides the head of each slot's queue. Returns the slots where spins are still open.
#[inline(always)]
fn decide_heads<V: Vector>(comparisons: &mut [Comparison<V>], thresholds: Thresholds, generator: &mut Generator<V>) -> V {
    let mut heads = Comparison::<V>::none();
    for comparison in comparisons.iter() {
        let head = comparison.open & !heads.open;
        heads.open |= head;
        heads.single |= head & comparison.single;
    }
    let mut unclaimed = heads.open;
    for index in FIRST_PLANES..WORD_BITS {
        heads.step(generator.step(), Plane::new(thresholds, index));
        if !heads.open.any() {
            break;
        }
    }
    let mut open = V::splat(0);
    for comparison in comparisons.iter_mut() {
        let head = comparison.open & unclaimed;
        unclaimed ^= head;
        comparison.open ^= head;
        comparison.flip |= head & heads.flip;
        open |= comparison.open;
    }
    open
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decay_is_the_exponential() {
        for step in 0..4000 {
            let x = f64::from(step) * 0.0237;
            assert!((decay(x) / (-x).exp() - 1.0).abs() < 1e-15, "x = {x}: {} {}", decay(x), (-x).exp());
        }
        assert_eq!(decay(0.0), 1.0);
        assert_eq!((decay(710.0), decay(f64::INFINITY)), (0.0, 0.0));
    }

    #[test]
    fn thresholds_span_all_couplings() {
        assert_eq!(Thresholds::new(0.0), Thresholds { none: u64::MAX, single: u64::MAX });
        assert_eq!(Thresholds::new(1e3), Thresholds { none: 0, single: 0 });
        let half = Thresholds::new(std::f64::consts::LN_2 / 4.0);
        assert!(half.single.abs_diff(1 << 63) < 1 << 12 && half.none.abs_diff(1 << 62) < 1 << 12, "{half:?}");
    }

    /// Counts over all words of a short precision: exactly t of 2^6 values of u are below t, for either class and however the planes fall.
    #[test]
    fn comparisons_accept_exactly_the_values_below_the_threshold() {
        for (none, single) in [(0, 0), (1, 63), (13, 40), (32, 7), (63, 1)] {
            let thresholds = Thresholds { none: none << 58, single: single << 58 };
            let mut accepted = [0; 2];
            for u in 0..64u64 {
                // Lane 0 has no unsatisfied bond, lane 1 a single one.
                let lanes = |words: [u64; 2]| Halves::from_block([words[0], words[1], 0, 0, 0, 0, 0, 0]);
                let mut comparison = Comparison { open: lanes([1, 1]), single: lanes([0, 1]), flip: lanes([0, 0]) };
                for index in 0..6 {
                    comparison.step(Halves::splat(u >> (5 - index) & 1), Plane::new(thresholds, index));
                }
                let flip = comparison.flip.to_block();
                accepted[0] += flip[0];
                accepted[1] += flip[1];
            }
            assert_eq!(accepted, [none, single]);
        }
    }
}
