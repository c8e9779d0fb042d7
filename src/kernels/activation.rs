//! From fields to units: the logistic function, the free-energy terms, and binary states drawn from the lanes of a generator.
//!
//! There is one exponential, made of named operations on single-precision numbers, so that every instruction set gives the same bits; the library of the
//! machine is not asked. A NaN stays a NaN everywhere except in a drawn bit, which becomes 0: whoever draws must look at the parameters too.

use super::dispatch;
use super::float_vector::Vector;
use super::generator::Lanes;
use super::numbers::Numbers;
use super::vector::Generator;

/// The largest argument of `exponential`; its value 1.65e38 may be added to 1 and multiplied by a number below 1 without overflow.
pub const LARGEST_EXPONENT: f32 = 88.0;

/// The smallest argument of `exponential`, where it is still a normal number.
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
pub(super) fn exponential<N: Numbers>(x: N) -> N {
    let x = x.at_most(LARGEST_EXPONENT).at_least(SMALLEST_EXPONENT);
    let shifted = x.fused(N::splat(std::f32::consts::LOG2_E), N::splat(ROUNDER));
    let count = shifted.minus(N::splat(ROUNDER));
    let rest = count.fused(N::splat(-LN_2_HIGH), x);
    let rest = count.fused(N::splat(-LN_2_LOW), rest);
    let mut sum = rest.fused(N::splat(1.987_569_1e-4), N::splat(1.398_199_9e-3));
    for coefficient in [8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        sum = sum.fused(rest, N::splat(coefficient));
    }
    let power = sum.fused(rest.times(rest), rest.plus(N::splat(1.0)));
    // The integer n stands in the low bits of `shifted`.
    power.times_power(shifted)
}

/// 1 / (1 + odds_against) in each lane.
#[inline(always)]
fn probability<N: Numbers>(odds_against: N) -> N {
    let one = N::splat(1.0);
    one.over(one.plus(odds_against))
}

/// ln(1 + e^x) in each lane, = max(x, 0) + ln(1 + y) with y = e^-|x|; absolute error below 2e-7 + 1e-7 |x|. NaN gives NaN.
///
/// ln(1 + y) = 2 artanh(z) with z = y / (2 + y) <= 1/3, whose series in z^2 falls by nine a term.
#[inline(always)]
pub(super) fn softplus<N: Numbers>(x: N) -> N {
    let y = exponential(x.magnitude().negated());
    let z = y.over(N::splat(2.0).plus(y));
    let square = z.times(z);
    let mut sum = square.fused(N::splat(2.0 / 15.0), N::splat(2.0 / 13.0));
    for coefficient in [2.0 / 11.0, 2.0 / 9.0, 2.0 / 7.0, 2.0 / 5.0, 2.0 / 3.0, 2.0] {
        sum = sum.fused(square, N::splat(coefficient));
    }
    sum.fused(z, x.at_least(0.0))
}

/// One bit a lane: u (1 + odds_against) < 1, which is u < p without a division. p is met to the nearest multiple of 2^-23.
///
/// The next sixteen uniform numbers u are odd multiples of 2^-24 between 0 and 1, so that u and 1 - u have the same law. Lane 2 l is made of the low half of the word of
/// generator l and lane 2 l + 1 of its high half, the upper 23 bits of each.
#[inline(always)]
pub(super) fn draw<N: Numbers>(odds_against: N, generator: &mut Generator<N::Words>) -> u16 {
    // 1 + r 2^-23, made r 2^-23 + 2^-24: exact.
    let uniform = N::above_one(generator.step()).minus(N::splat(1.0 - f32::EPSILON / 2.0));
    uniform.times(N::splat(1.0).plus(odds_against)).below(1.0)
}

dispatch! {
    /// Replaces fields by p = 1 / (1 + e^-field), in the lanes of `mask`; the others become 0.
    pub fn activate(fields: &mut [Vector], mask: u16) = activate_body over Numbers;
}

dispatch! {
    /// Draws a state for each field: bit l of `bits[s]` is 1 with probability 1 / (1 + e^-field) to within 2^-24. Lanes outside `mask` are 0. One step of the
    /// generator a sample, samples ascending.
    pub fn sample(fields: &[Vector], mask: u16, lanes: &mut Lanes, bits: &mut [u16]) = sample_body over Numbers;
}

dispatch! {
    /// [`sample`] and then [`activate`], with one exponential for both.
    pub fn activate_and_sample(fields: &mut [Vector], mask: u16, lanes: &mut Lanes, bits: &mut [u16]) = activate_and_sample_body over Numbers;
}

dispatch! {
    /// Adds ln(1 + e^field) of all lanes in `mask` to the sum of each sample, in f64, lanes ascending.
    pub fn add_softplus(fields: &[Vector], mask: u16, sums: &mut [f64]) = add_softplus_body over Numbers;
}

dispatch! {
    /// The sum over samples and lanes of (unit - probability)^2 for units given as bits: each lane in f32 over the samples, then the lanes in f64. Lanes
    /// outside a mask must be 0 on both sides.
    pub fn squared_distance_to_bits(bits: &[u16], probabilities: &[Vector]) -> f64 = squared_distance_to_bits_body over Numbers;
}

dispatch! {
    /// The same for units given as numbers.
    pub fn squared_distance(units: &[Vector], probabilities: &[Vector]) -> f64 = squared_distance_body over Numbers;
}

#[inline(always)]
fn activate_body<N: Numbers>(fields: &mut [Vector], mask: u16) {
    for field in fields {
        probability(exponential(N::load(field).negated())).masked(mask).store(field);
    }
}

#[inline(always)]
fn sample_body<N: Numbers>(fields: &[Vector], mask: u16, lanes: &mut Lanes, bits: &mut [u16]) {
    let mut generator = Generator::new(lanes);
    for (field, bits) in fields.iter().zip(bits) {
        *bits = draw(exponential(N::load(field).negated()), &mut generator) & mask;
    }
    *lanes = generator.lanes();
}

#[inline(always)]
fn activate_and_sample_body<N: Numbers>(fields: &mut [Vector], mask: u16, lanes: &mut Lanes, bits: &mut [u16]) {
    let mut generator = Generator::new(lanes);
    for (field, bits) in fields.iter_mut().zip(bits) {
        let odds_against = exponential(N::load(field).negated());
        *bits = draw(odds_against, &mut generator) & mask;
        probability(odds_against).masked(mask).store(field);
    }
    *lanes = generator.lanes();
}

#[inline(always)]
fn add_softplus_body<N: Numbers>(fields: &[Vector], mask: u16, sums: &mut [f64]) {
    for (field, sum) in fields.iter().zip(sums) {
        *sum += softplus(N::load(field)).masked(mask).to_vector().sum();
    }
}

#[inline(always)]
fn squared_distance_to_bits_body<N: Numbers>(bits: &[u16], probabilities: &[Vector]) -> f64 {
    let one = N::splat(1.0);
    let add = |sums: N, (&bits, probability): (&u16, &Vector)| {
        let difference = one.masked(bits).minus(N::load(probability));
        difference.fused(difference, sums)
    };
    bits.iter().zip(probabilities).fold(N::zero(), add).to_vector().sum()
}

#[inline(always)]
fn squared_distance_body<N: Numbers>(units: &[Vector], probabilities: &[Vector]) -> f64 {
    let add = |sums: N, (unit, probability): (&Vector, &Vector)| {
        let difference = N::load(unit).minus(N::load(probability));
        difference.fused(difference, sums)
    };
    units.iter().zip(probabilities).fold(N::zero(), add).to_vector().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::InstructionSet;
    use crate::kernels::numbers::Halves;
    use crate::random::{LaneStream, Purpose};

    fn one(function: impl Fn(Halves) -> Halves, x: f32) -> f32 {
        function(Halves::splat(x)).to_vector().0[3]
    }

    fn logistic(x: Halves) -> Halves {
        probability(exponential(x.negated()))
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
                    let units: Vec<Vector> = naive.iter().map(|&bits| Halves::splat(1.0).masked(bits).to_vector()).collect();
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
