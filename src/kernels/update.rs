//! One step of learning for the weights of a hidden panel: gradient, momentum, L1 and the new weights in one pass over memory.

use super::dispatch;
use super::float_vector::Vector;

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
    pub fn learn(sums: &[Vector], visible_shift: &[f32], hidden_shift: &Vector, mask: u16, step: &Step, velocity: &mut [Vector], weights: &mut [Vector]) -> Squares = learn_body;
}

dispatch! {
    /// The sum of all vectors, ascending from +0: the column sums of a panel of weights.
    pub fn total(rows: &[Vector]) -> Vector = total_body;
}

dispatch! {
    /// Adds `rows` to `sums`, one by one: the row sums of the weights, panel after panel.
    pub fn accumulate(rows: &[Vector], sums: &mut [Vector]) = accumulate_body;
}

#[inline(always)]
fn learn_body(
    sums: &[Vector],
    visible_shift: &[f32],
    hidden_shift: &Vector,
    mask: u16,
    step: &Step,
    velocity: &mut [Vector],
    weights: &mut [Vector],
) -> Squares {
    let step = *step;
    let factors = super::activation::bits_to_vector(mask);
    let mut squares = Squares { gradient: Vector::ZERO, weights: Vector::ZERO };
    for (((sums, &shift), velocity), weights) in sums.iter().zip(visible_shift).zip(velocity).zip(weights) {
        let (mut gradient, mut new, mut moved) = (Vector::ZERO, Vector::ZERO, Vector::ZERO);
        for lane in 0..Vector::WIDTH {
            gradient.0[lane] = (sums.0[lane].mul_add(step.scale, -shift) - hidden_shift.0[lane]) * factors.0[lane];
        }
        for lane in 0..Vector::WIDTH {
            let weight = weights.0[lane];
            let shrink = if weight > 0.0 { step.l1 } else { 0.0 };
            let grow = if weight < 0.0 { step.l1 } else { 0.0 };
            // Both comparisons are false for a NaN, which stays one.
            let cut = if gradient.0[lane] > step.limit { step.limit } else { gradient.0[lane] };
            let cut = if cut < -step.limit { -step.limit } else { cut };
            let pulled = (-step.l2).mul_add(weight, cut - shrink + grow);
            new.0[lane] = step.learning_rate.mul_add(pulled, step.momentum * velocity.0[lane]);
        }
        for lane in 0..Vector::WIDTH {
            moved.0[lane] = weights.0[lane] + new.0[lane];
        }
        *velocity = new;
        *weights = moved;
        squares.gradient = squares.gradient.plus_products(&gradient, &gradient);
        squares.weights = squares.weights.plus_products(&moved, &moved);
    }
    squares
}

#[inline(always)]
fn total_body(rows: &[Vector]) -> Vector {
    let mut sum = Vector::ZERO;
    for row in rows {
        sum = sum.plus(row);
    }
    sum
}

#[inline(always)]
fn accumulate_body(rows: &[Vector], sums: &mut [Vector]) {
    for (sum, row) in sums.iter_mut().zip(rows) {
        *sum = sum.plus(row);
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
        for rows in [1, 7, 63, 65, 1000] {
            let mut draw = || (0..rows).map(|_| Vector(std::array::from_fn(|_| stream.normal() as f32))).collect::<Vec<Vector>>();
            let (sums, velocity, mut weights) = (draw(), draw(), draw());
            weights[0] = Vector::ZERO;
            let shift: Vec<f32> = (0..rows).map(|row| row as f32 * 1e-3).collect();
            let hidden_shift = Vector(std::array::from_fn(|lane| lane as f32 * 0.1));
            let step = Step { scale: 0.01, learning_rate: 0.1, momentum: 0.5, l1: 0.3, l2: 0.2, limit: 0.11 };
            let mask = 0x0FFF;
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
                assert!(new_velocity == naive_velocity && new_weights == naive_weights, "{set}: {rows} rows");
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
