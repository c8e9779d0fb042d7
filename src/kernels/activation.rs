//! From fields to units: the logistic function, the free-energy terms, and binary states drawn from the lanes of a generator.
//!
//! There is one exponential, made of named operations on single-precision numbers, so that every instruction set gives the same bits; the library of the
//! machine is not asked. A NaN stays a NaN everywhere except in a drawn bit, which becomes 0: whoever draws must look at the parameters too.

use super::dispatch;
use super::float_vector::Vector;
use super::generator::Lanes;
use wide::f32x8;

/// `lanes!(lane => expression)`: the vector of the expression's values. Loops this small become vector instructions, which closures do not promise.
macro_rules! lanes {
    ($lane:ident => $value:expr) => {{
        let mut result = Vector::ZERO;
        for $lane in 0..Vector::WIDTH {
            result.0[$lane] = $value;
        }
        result
    }};
}

/// The largest argument of [`exponential`]; its value 1.65e38 may be added to 1 and multiplied by a number below 1 without overflow.
pub const LARGEST_EXPONENT: f32 = 88.0;

/// The smallest argument of [`exponential`], where it is still a normal number.
pub const SMALLEST_EXPONENT: f32 = -87.0;

/// Adding this to a number below 2^22 rounds it to the nearest integer, which then stands in the low bits.
const ROUNDER: f32 = 12_582_912.0;

/// ln 2 as a short number, exact when multiplied by integers up to 2^9, and what is missing (Cody and Waite).
const LN_2_HIGH: f32 = 355.0 / 512.0;
const LN_2_LOW: f32 = -2.121_944_4e-4;

/// e^x in each lane, with x clamped to -87 ... 88; relative error below 2e-7. NaN gives NaN.
///
/// e^x = 2^n e^r with n the nearest integer to x / ln 2 and |r| <= ln 2 / 2; e^r by the polynomial of the Cephes library (Moshier 1992), Horner by
/// fused multiply-adds.
#[inline(always)]
pub fn exponential(x: &Vector) -> Vector {
    let x = lanes!(l => if x.0[l] > LARGEST_EXPONENT { LARGEST_EXPONENT } else { x.0[l] });
    let x = lanes!(l => if x.0[l] < SMALLEST_EXPONENT { SMALLEST_EXPONENT } else { x.0[l] });
    let shifted = lanes!(l => x.0[l].mul_add(std::f32::consts::LOG2_E, ROUNDER));
    let count = lanes!(l => shifted.0[l] - ROUNDER);
    let rest = lanes!(l => count.0[l].mul_add(-LN_2_HIGH, x.0[l]));
    let rest = lanes!(l => count.0[l].mul_add(-LN_2_LOW, rest.0[l]));
    let mut sum = lanes!(l => rest.0[l].mul_add(1.987_569_1e-4, 1.398_199_9e-3));
    for coefficient in [8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        sum = lanes!(l => sum.0[l].mul_add(rest.0[l], coefficient));
    }
    let square = rest.times(&rest);
    let tail = lanes!(l => rest.0[l] + 1.0);
    let power = tail.plus_products(&sum, &square);
    // The integer n stands in the low bits of `shifted`; the bits above it leave on the left.
    lanes!(l => power.0[l] * f32::from_bits((shifted.0[l].to_bits() << 23).wrapping_add(0x3F80_0000)))
}

/// 1 / (1 + e^-x) in each lane.
#[inline(always)]
pub fn logistic(x: &Vector) -> Vector {
    probability(&exponential(&x.negated()))
}

/// 1 / (1 + odds_against) in each lane.
#[inline(always)]
fn probability(odds_against: &Vector) -> Vector {
    lanes!(l => 1.0 / (1.0 + odds_against.0[l]))
}

/// ln(1 + e^x) in each lane, = max(x, 0) + ln(1 + y) with y = e^-|x|; absolute error below 2e-7 + 1e-7 |x|. NaN gives NaN.
///
/// ln(1 + y) = 2 artanh(z) with z = y / (2 + y) <= 1/3, whose series in z^2 falls by nine a term.
#[inline(always)]
pub fn softplus(x: &Vector) -> Vector {
    let y = exponential(&lanes!(l => -x.0[l].abs()));
    let z = lanes!(l => y.0[l] / (2.0 + y.0[l]));
    let square = z.times(&z);
    let mut sum = lanes!(l => square.0[l].mul_add(2.0 / 15.0, 2.0 / 13.0));
    for coefficient in [2.0 / 11.0, 2.0 / 9.0, 2.0 / 7.0, 2.0 / 5.0, 2.0 / 3.0, 2.0] {
        sum = lanes!(l => sum.0[l].mul_add(square.0[l], coefficient));
    }
    let positive = lanes!(l => if x.0[l] < 0.0 { 0.0 } else { x.0[l] });
    positive.plus_products(&sum, &z)
}

/// The next sixteen uniform numbers, odd multiples of 2^-24 between 0 and 1, so that u and 1 - u have the same law. Lane 2 l is the low half of the word of
/// generator l and lane 2 l + 1 its high half, the upper 23 bits of each.
#[inline(always)]
fn uniforms(lanes: &mut Lanes) -> Vector {
    let words = lanes.step();
    let mut halves = [0u32; Vector::WIDTH];
    for (pair, &word) in halves.chunks_exact_mut(2).zip(&words) {
        pair[0] = word as u32;
        pair[1] = (word >> 32) as u32;
    }
    // 1 + r 2^-23 with the bits of r as mantissa; then r 2^-23 + 2^-24, exact.
    lanes!(l => f32::from_bits(halves[l] >> 9 | 0x3F80_0000) - (1.0 - f32::EPSILON / 2.0))
}

/// One bit a lane: u (1 + odds_against) < 1, which is u < p without a division. p is met to the nearest multiple of 2^-23.
#[inline(always)]
pub(super) fn draw(odds_against: &Vector, lanes: &mut Lanes) -> u16 {
    let uniforms = uniforms(lanes);
    let [low, high] = lanes!(l => uniforms.0[l] * (1.0 + odds_against.0[l])).halves();
    let one = f32x8::splat(1.0);
    (low.simd_lt(one).to_bitmask() | high.simd_lt(one).to_bitmask() << 8) as u16
}

dispatch! {
    /// Replaces fields by p = 1 / (1 + e^-field), in the lanes of `mask`; the others become 0.
    pub fn activate(fields: &mut [Vector], mask: u16) = activate_body;
}

dispatch! {
    /// Draws a state for each field: bit l of `bits[s]` is 1 with probability 1 / (1 + e^-field) to within 2^-24. Lanes outside `mask` are 0. One step of the
    /// generator a sample, samples ascending.
    pub fn sample(fields: &[Vector], mask: u16, lanes: &mut Lanes, bits: &mut [u16]) = sample_body;
}

dispatch! {
    /// [`sample`] and then [`activate`], with one exponential for both.
    pub fn activate_and_sample(fields: &mut [Vector], mask: u16, lanes: &mut Lanes, bits: &mut [u16]) = activate_and_sample_body;
}

dispatch! {
    /// Adds ln(1 + e^field) of all lanes in `mask` to the sum of each sample, in f64, lanes ascending.
    pub fn add_softplus(fields: &[Vector], mask: u16, sums: &mut [f64]) = add_softplus_body;
}

dispatch! {
    /// The sum over samples and lanes of (unit - probability)^2 for units given as bits: each lane in f32 over the samples, then the lanes in f64. Lanes
    /// outside a mask must be 0 on both sides.
    pub fn squared_distance_to_bits(bits: &[u16], probabilities: &[Vector]) -> f64 = squared_distance_to_bits_body;
}

dispatch! {
    /// The same for units given as numbers.
    pub fn squared_distance(units: &[Vector], probabilities: &[Vector]) -> f64 = squared_distance_body;
}

/// The bits of a mask as factors 0 and 1.
#[inline(always)]
pub fn bits_to_vector(bits: u16) -> Vector {
    lanes!(l => (u32::from(bits) >> l & 1) as f32)
}

/// Zero outside the mask, whatever stood there.
#[inline(always)]
pub(super) fn masked(x: &Vector, mask: u16) -> Vector {
    if mask == u16::MAX { *x } else { lanes!(l => if mask >> l & 1 == 1 { x.0[l] } else { 0.0 }) }
}

#[inline(always)]
fn activate_body(fields: &mut [Vector], mask: u16) {
    for field in fields {
        *field = masked(&logistic(field), mask);
    }
}

#[inline(always)]
fn sample_body(fields: &[Vector], mask: u16, lanes: &mut Lanes, bits: &mut [u16]) {
    let mut state = *lanes;
    for (field, bits) in fields.iter().zip(bits) {
        *bits = draw(&exponential(&field.negated()), &mut state) & mask;
    }
    *lanes = state;
}

#[inline(always)]
fn activate_and_sample_body(fields: &mut [Vector], mask: u16, lanes: &mut Lanes, bits: &mut [u16]) {
    let mut state = *lanes;
    for (field, bits) in fields.iter_mut().zip(bits) {
        let odds_against = exponential(&field.negated());
        *bits = draw(&odds_against, &mut state) & mask;
        *field = masked(&probability(&odds_against), mask);
    }
    *lanes = state;
}

#[inline(always)]
fn add_softplus_body(fields: &[Vector], mask: u16, sums: &mut [f64]) {
    for (field, sum) in fields.iter().zip(sums) {
        *sum += masked(&softplus(field), mask).sum();
    }
}

#[inline(always)]
fn squared_distance_to_bits_body(bits: &[u16], probabilities: &[Vector]) -> f64 {
    let mut sums = Vector::ZERO;
    for (&bits, probability) in bits.iter().zip(probabilities) {
        let difference = bits_to_vector(bits).plus(&probability.negated());
        sums = sums.plus_products(&difference, &difference);
    }
    sums.sum()
}

#[inline(always)]
fn squared_distance_body(units: &[Vector], probabilities: &[Vector]) -> f64 {
    let mut sums = Vector::ZERO;
    for (unit, probability) in units.iter().zip(probabilities) {
        let difference = unit.plus(&probability.negated());
        sums = sums.plus_products(&difference, &difference);
    }
    sums.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::InstructionSet;
    use crate::random::{LaneStream, Purpose};

    fn one(function: impl Fn(&Vector) -> Vector, x: f32) -> f32 {
        function(&Vector::splat(x)).0[3]
    }

    #[test]
    fn the_exponential_is_accurate_and_clamped() {
        let mut worst = 0f64;
        for step in -87_000..=88_000 {
            let x = (step as f32 * 1e-3).clamp(SMALLEST_EXPONENT, LARGEST_EXPONENT);
            worst = worst.max((f64::from(one(exponential, x)) / f64::from(x).exp() - 1.0).abs());
        }
        assert!(worst < 2e-7, "relative error {worst}");
        assert_eq!(one(exponential, 0.0), 1.0);
        let (largest, smallest) = (one(exponential, LARGEST_EXPONENT), one(exponential, SMALLEST_EXPONENT));
        for x in [200.0, 1e30, f32::INFINITY] {
            assert_eq!((one(exponential, x), one(exponential, -x)), (largest, smallest));
            assert_eq!(one(logistic, x), 1.0);
            assert!(one(logistic, -x) >= 0.0 && one(logistic, -x) < 1e-37);
        }
        assert!(one(exponential, f32::NAN).is_nan() && one(logistic, f32::NAN).is_nan() && one(softplus, f32::NAN).is_nan());
    }

    #[test]
    fn the_softplus_is_accurate() {
        for step in -20_000..=20_000 {
            let x = step as f32 * 1e-2;
            let exact = crate::rbm::exact::softplus(f64::from(x));
            let error = (f64::from(one(softplus, x)) - exact).abs();
            assert!(error < 2e-7 + 1e-7 * exact, "softplus({x}) is off by {error}");
        }
        assert_eq!(one(softplus, f32::INFINITY), f32::INFINITY);
    }

    /// The scalar definition, one lane and one operation at a time.
    fn naive_odds(x: f32) -> f32 {
        one(exponential, -x)
    }

    #[test]
    fn every_instruction_set_draws_the_same_bits() {
        for samples in [1, 3, 100, 257] {
            let fields: Vec<Vector> =
                (0..samples).map(|sample| Vector(std::array::from_fn(|lane| ((sample * 16 + lane) as f32 * 0.37).sin() * 6.0))).collect();
            for mask in [u16::MAX, 0x01FF, 1] {
                let mut stream = LaneStream::new(9, Purpose::Check, samples as u64);
                let start = stream.lanes;
                let mut naive = vec![0u16; samples];
                for (bits, field) in naive.iter_mut().zip(&fields) {
                    let words = stream.words();
                    for lane in 0..16 {
                        let half = (words[lane / 2] >> (32 * (lane % 2))) as u32;
                        let u = (f64::from(half >> 9) + 0.5) * 2f64.powi(-23);
                        let accepted = (u as f32) * (1.0 + naive_odds(field.0[lane])) < 1.0;
                        *bits |= u16::from(accepted && mask >> lane & 1 == 1) << lane;
                    }
                }
                for set in InstructionSet::available() {
                    let (mut lanes, mut bits) = (start, vec![0; samples]);
                    sample(set, &fields, mask, &mut lanes, &mut bits);
                    assert!(bits == naive && lanes == stream.lanes, "{set}");
                    let (mut lanes, mut bits, mut probabilities) = (start, vec![0; samples], fields.clone());
                    activate_and_sample(set, &mut probabilities, mask, &mut lanes, &mut bits);
                    assert!(bits == naive && lanes == stream.lanes, "{set}");
                    let mut activated = fields.clone();
                    activate(set, &mut activated, mask);
                    assert!(activated == probabilities, "{set}");
                    let mut sums = vec![0.0; samples];
                    add_softplus(set, &fields, mask, &mut sums);
                    let mut portable = vec![0.0; samples];
                    add_softplus(InstructionSet::PORTABLE, &fields, mask, &mut portable);
                    assert!(sums == portable, "{set}");
                    let distance = squared_distance_to_bits(set, &naive, &probabilities);
                    let units: Vec<Vector> = naive.iter().map(|&bits| bits_to_vector(bits)).collect();
                    assert_eq!(distance, squared_distance(InstructionSet::PORTABLE, &units, &activated), "{set}");
                }
            }
        }
    }

    #[test]
    fn states_have_the_probability_of_the_logistic_function() {
        // 2^20 draws a lane: five standard deviations are 0.0024 at p = 1/2; a generator lane stuck or an offset of 0.003 is caught.
        let fields = Vector(std::array::from_fn(|lane| lane as f32 * 0.8 - 6.0));
        let mut stream = LaneStream::new(10, Purpose::Check, 0);
        let mut bits = vec![0u16; 1 << 20];
        sample(InstructionSet::chosen(), &vec![fields; 1 << 20], u16::MAX, &mut stream.lanes, &mut bits);
        for lane in 0..16 {
            let count = bits.iter().filter(|&&bits| bits >> lane & 1 == 1).count() as f64;
            let p = 1.0 / (1.0 + (-f64::from(fields.0[lane])).exp());
            let draws = bits.len() as f64;
            assert!((count / draws - p).abs() < 5.0 * (p * (1.0 - p) / draws).sqrt(), "lane {lane}: {count} of {draws}, p = {p}");
        }
        // Certain states are certain, also from infinite fields.
        for (field, expected) in [(200.0, u16::MAX), (f32::INFINITY, u16::MAX), (-200.0, 0), (f32::NEG_INFINITY, 0), (f32::NAN, 0)] {
            let mut bits = vec![0u16; 1000];
            sample(InstructionSet::chosen(), &vec![Vector::splat(field); 1000], u16::MAX, &mut stream.lanes, &mut bits);
            assert!(bits.iter().all(|&bits| bits == expected), "field {field}");
        }
    }
}
