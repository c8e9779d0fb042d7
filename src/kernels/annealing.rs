//! The steps of annealed importance sampling: one matrix product serves a machine at two temperatures.
//!
//! A machine on the way from a base to its end has the fields bias + factor x, where x = units . weights carries no bias; so x is computed once by `forward`, and what is
//! done with it here costs no further product. Orders and generators are those of `activation`.

use super::activation::{draw, exponential, softplus};
use super::dispatch;
use super::float_vector::Vector;
use super::generator::Lanes;
use super::numbers::Numbers;
use super::vector::Generator;

/// One panel of a layer at one temperature: fields are `bias + factor * x`, rounded once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tempered {
    /// Multiplies the sums over the other layer.
    pub factor: f32,
    /// The biases at this temperature.
    pub bias: Vector,
}

impl Tempered {
    #[inline(always)]
    fn field<N: Numbers>(&self, sums: &Vector) -> N {
        N::splat(self.factor).fused(N::load(sums), N::load(&self.bias))
    }
}

dispatch! {
    /// Draws a state for each sample at the temperature `at`; see `activation::sample`.
    pub fn sample(sums: &[Vector], at: &Tempered, mask: u16, lanes: &mut Lanes, bits: &mut [u16]) = sample_body over Numbers;
}

dispatch! {
    /// Adds ln(1 + e^field) at the temperature `to` minus the same at `from`, over the lanes of `mask`, to the weight of each sample; then draws its states at `to`.
    pub fn weigh_and_sample(sums: &[Vector], from: &Tempered, to: &Tempered, mask: u16, lanes: &mut Lanes, weights: &mut [f64], bits: &mut [u16])
        = weigh_and_sample_body over Numbers;
}

dispatch! {
    /// The weighing of [`weigh_and_sample`] alone.
    pub fn weigh(sums: &[Vector], from: &Tempered, to: &Tempered, mask: u16, weights: &mut [f64]) = weigh_body over Numbers;
}

dispatch! {
    /// Adds the sum of `values` over the set bits of each sample, times `factor`, to its weight: in f64, lanes ascending.
    pub fn add_products(values: &Vector, factor: f64, bits: &[u16], weights: &mut [f64]) = add_products_body over Numbers;
}

#[inline(always)]
fn sample_body<N: Numbers>(sums: &[Vector], at: &Tempered, mask: u16, lanes: &mut Lanes, bits: &mut [u16]) {
    let mut generator = Generator::new(lanes);
    for (sum, bits) in sums.iter().zip(bits) {
        *bits = draw(exponential(at.field::<N>(sum).negated()), &mut generator) & mask;
    }
    *lanes = generator.lanes();
}

#[inline(always)]
fn weigh_body<N: Numbers>(sums: &[Vector], from: &Tempered, to: &Tempered, mask: u16, weights: &mut [f64]) {
    for (sum, weight) in sums.iter().zip(weights) {
        *weight += gain::<N>(from.field(sum), to.field(sum), mask);
    }
}

/// ln(1 + e^field) of the new fields minus that of the old ones, over the lanes of `mask`. The two are close, so that their difference in single precision loses nothing
/// that the single logarithms had.
#[inline(always)]
fn gain<N: Numbers>(old: N, new: N, mask: u16) -> f64 {
    softplus(new).minus(softplus(old)).masked(mask).to_vector().sum()
}

#[inline(always)]
fn weigh_and_sample_body<N: Numbers>(
    sums: &[Vector],
    from: &Tempered,
    to: &Tempered,
    mask: u16,
    lanes: &mut Lanes,
    weights: &mut [f64],
    bits: &mut [u16],
) {
    let mut generator = Generator::new(lanes);
    for ((sum, weight), bits) in sums.iter().zip(weights).zip(bits) {
        let new: N = to.field(sum);
        *weight += gain(from.field(sum), new, mask);
        *bits = draw(exponential(new.negated()), &mut generator) & mask;
    }
    *lanes = generator.lanes();
}

#[inline(always)]
fn add_products_body<N: Numbers>(values: &Vector, factor: f64, bits: &[u16], weights: &mut [f64]) {
    for (&bits, weight) in bits.iter().zip(weights) {
        *weight += factor * N::splat(1.0).masked(bits).times(N::load(values)).to_vector().sum();
    }
}

#[cfg(test)]
mod tests {
    use super::super::numbers::Halves;
    use super::super::{InstructionSet, activation};
    use super::*;
    use crate::random::{LaneStream, Purpose};

    #[test]
    fn every_instruction_set_gives_what_activation_gives() {
        let samples = 101;
        let sums: Vec<Vector> =
            (0..samples).map(|sample| Vector(std::array::from_fn(|lane| ((sample * 16 + lane) as f32 * 0.37).sin() * 6.0))).collect();
        let at = |factor: f32| Tempered { factor, bias: Vector::splat(factor * -1.5) };
        let fields = |factor: f32| sums.iter().map(|sum| at(factor).field::<Halves>(sum).to_vector()).collect::<Vec<Vector>>();
        let (portable, start) = (InstructionSet::PORTABLE, LaneStream::new(9, Purpose::Check, 60).lanes);
        for mask in [u16::MAX, 0x01FF] {
            let (mut lanes, mut expected) = (start, vec![0u16; samples]);
            activation::sample(portable, &fields(0.6), mask, &mut lanes, &mut expected);
            let softplus = |factor: f32| {
                let mut sums = vec![0.0; samples];
                activation::add_softplus(portable, &fields(factor), mask, &mut sums);
                sums
            };
            let differences: Vec<f64> = softplus(0.6).iter().zip(softplus(0.5)).map(|(new, old)| new - old).collect();
            let mut reference: Option<Vec<f64>> = None;
            for set in InstructionSet::available() {
                let (mut drawn, mut bits) = (start, vec![0u16; samples]);
                sample(set, &sums, &at(0.6), mask, &mut drawn, &mut bits);
                assert!(bits == expected && drawn == lanes, "{set}");
                let (mut drawn, mut bits, mut weights) = (start, vec![0u16; samples], vec![0.0; samples]);
                weigh_and_sample(set, &sums, &at(0.5), &at(0.6), mask, &mut drawn, &mut weights, &mut bits);
                assert!(bits == expected && drawn == lanes, "{set}");
                let mut alone = vec![0.0; samples];
                weigh(set, &sums, &at(0.5), &at(0.6), mask, &mut alone);
                assert!(alone == weights, "{set}");
                assert!(weights.iter().zip(&differences).all(|(found, exact)| (found - exact).abs() < 2e-5), "{set}");
                add_products(set, &Vector::splat(0.25), 3.0, &bits, &mut weights);
                let last = weights[samples - 1] - differences[samples - 1];
                assert!((last - 0.75 * f64::from(bits[samples - 1].count_ones())).abs() < 2e-5, "{set}");
                assert!(reference.get_or_insert(weights.clone()) == &weights, "{set}");
            }
        }
    }
}
