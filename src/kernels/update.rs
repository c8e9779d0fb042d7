//! One step of learning for the weights of a hidden panel: gradient, momentum, L1 and the new weights in one pass over memory.

use super::dispatch;
use super::float_vector::Vector;
use super::numbers::Numbers;

/// What a step of learning is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// 1 / samples of the minibatch: sums become means.
    pub scale: f32,
    /// Learning rate for the mean gradient.
    pub learning_rate: f32,
    /// The share of the last step that is kept.
    pub momentum: f32,
    /// The strength of the L1 penalty: l1 * sign(w) is subtracted from the gradient. At w = 0 the sign is 0, so a weight that is exactly zero is free.
    pub l1: f32,
    /// The strength of the L2 penalty: l2 * w is subtracted from the gradient.
    pub l2: f32,
    /// The gradient without penalties is kept between plus and minus this; infinite for no limit.
    pub limit: f32,
}

/// The sums of squares of one panel, lane by lane in f32 over the visible units. A number that is not finite, or whose square is not, shows in them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Squares {
    /// Of the gradient, without the penalty.
    pub gradient: Vector,
    /// Of the new weights.
    pub weights: Vector,
}

dispatch! {
    /// gradient = sums * scale - visible_shift_i - hidden_shift_j, kept within the limit; velocity = learning_rate * (gradient - l1 sign(w) - l2 w) + momentum * velocity (the
    /// first product and the sum rounded once); w += velocity. Vectors past `visible_shift.len()` and lanes outside `mask` are left alone.
    pub fn learn(sums: &[Vector], visible_shift: &[f32], hidden_shift: &Vector, mask: u16, step: &Step, velocity: &mut [Vector], weights: &mut [Vector]) -> Squares = learn_body over Numbers;
}

dispatch! {
    /// The sum of all vectors, ascending from +0: the column sums of a panel of weights.
    pub fn total(rows: &[Vector]) -> Vector = total_body over Numbers;
}

dispatch! {
    /// Adds `rows` to `sums`, one by one: the row sums of the weights, panel after panel.
    pub fn accumulate(rows: &[Vector], sums: &mut [Vector]) = accumulate_body over Numbers;
}

#[inline(always)]
fn learn_body<N: Numbers>(
    sums: &[Vector],
    visible_shift: &[f32],
    hidden_shift: &Vector,
    mask: u16,
    step: &Step,
    velocity: &mut [Vector],
    weights: &mut [Vector],
) -> Squares {
    // What would change nothing is left out: half of the time of a step is arithmetic.
    let is_plain = mask == u16::MAX && step.limit == f32::INFINITY && step.l2 == 0.0;
    let Step { scale, learning_rate, momentum, .. } = *step;
    let (scale, learning_rate, momentum) = (N::splat(scale), N::splat(learning_rate), N::splat(momentum));
    let (hidden_shift, inside) = (N::load(hidden_shift), N::splat(1.0).masked(mask));
    let mut squares = [N::zero(); 2];
    for (((sums, &shift), velocity), weights) in sums.iter().zip(visible_shift).zip(velocity).zip(weights) {
        let mut gradient = N::load(sums).fused(scale, N::splat(-shift)).minus(hidden_shift);
        let weight = N::load(weights);
        let penalized = if is_plain {
            gradient.minus(weight.signed(step.l1))
        } else {
            gradient = gradient.times(inside);
            let limited = gradient.at_most(step.limit).at_least(-step.limit);
            weight.fused(N::splat(-step.l2), limited.minus(weight.signed(step.l1)))
        };
        let new = learning_rate.fused(penalized, momentum.times(N::load(velocity)));
        let moved = weight.plus(new);
        new.store(velocity);
        moved.store(weights);
        squares = [gradient.fused(gradient, squares[0]), moved.fused(moved, squares[1])];
    }
    Squares { gradient: squares[0].to_vector(), weights: squares[1].to_vector() }
}

#[inline(always)]
fn total_body<N: Numbers>(rows: &[Vector]) -> Vector {
    rows.iter().fold(N::zero(), |sum, row| sum.plus(N::load(row))).to_vector()
}

#[inline(always)]
fn accumulate_body<N: Numbers>(rows: &[Vector], sums: &mut [Vector]) {
    for (sum, row) in sums.iter_mut().zip(rows) {
        N::load(sum).plus(N::load(row)).store(sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::InstructionSet;
    use crate::random::{Purpose, Stream};

    #[test]
    fn every_instruction_set_learns_the_same_as_one_weight_at_a_time() {
        let mut stream = Stream::new(3, Purpose::Check, 33);
        let general = (Step { scale: 0.01, learning_rate: 0.1, momentum: 0.5, l1: 0.3, l2: 0.2, limit: 0.11 }, 0x0FFF);
        let plain = (Step { l2: 0.0, limit: f32::INFINITY, ..general.0 }, u16::MAX);
        for (rows, (step, mask)) in [1, 7, 63, 65, 1000].into_iter().flat_map(|rows| [(rows, general), (rows, plain)]) {
            let mut draw = || (0..rows).map(|_| Vector(std::array::from_fn(|_| stream.normal() as f32))).collect::<Vec<Vector>>();
            let (sums, velocity, mut weights) = (draw(), draw(), draw());
            weights[0] = Vector::ZERO;
            let shift: Vec<f32> = (0..rows).map(|row| row as f32 * 1e-3).collect();
            let hidden_shift = Vector(std::array::from_fn(|lane| lane as f32 * 0.1));
            let (mut naive_velocity, mut naive_weights) = (velocity.clone(), weights.clone());
            for row in 0..rows {
                for lane in 0..16 {
                    let inside = if mask >> lane & 1 == 1 { 1.0 } else { 0.0 };
                    let gradient = (sums[row].0[lane].mul_add(step.scale, -shift[row]) - hidden_shift.0[lane]) * inside;
                    let weight = weights[row].0[lane];
                    let sign = if weight == 0.0 { 0.0 } else { weight.signum() };
                    let cut = gradient.clamp(-step.limit, step.limit) - step.l1 * sign;
                    let new = step.learning_rate.mul_add((-step.l2).mul_add(weight, cut), step.momentum * velocity[row].0[lane]);
                    naive_velocity[row].0[lane] = new;
                    naive_weights[row].0[lane] += new;
                }
            }
            let mut squares = None;
            for set in InstructionSet::available() {
                let (mut new_velocity, mut new_weights) = (velocity.clone(), weights.clone());
                let found = learn(set, &sums, &shift, &hidden_shift, mask, &step, &mut new_velocity, &mut new_weights);
                assert!(new_velocity == naive_velocity && new_weights == naive_weights, "{set}: {rows} rows, {step:?}");
                assert_eq!(*squares.get_or_insert(found), found, "{set}");
                let (mut row_sums, mut portable) = (weights.clone(), weights.clone());
                accumulate(set, &sums, &mut row_sums);
                accumulate(InstructionSet::PORTABLE, &sums, &mut portable);
                assert_eq!(row_sums, portable);
                assert_eq!(total(set, &sums), total(InstructionSet::PORTABLE, &sums));
            }
        }
    }
}
