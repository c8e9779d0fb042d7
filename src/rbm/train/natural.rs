//! The natural gradient of the exact sums (S. Amari, Neural Comput. 10, 251 (1998)): the gradient in the metric of Fisher, in which a step is as long as what it changes in the law of the
//! machine. Where the gradient needs ever more steps along directions that the law hardly feels, this one takes them all at once: near a machine that can be exact, its steps are those of Gauss
//! and Newton for the variance of ln Tr_h e^T, and the digits double from step to step.
//!
//! With J_a(v) the derivative of -H^RBM\[v\] by parameter a, the metric is F_ab = `<J_a J_b> - <J_a><J_b>` over the law of the data, and the direction d solves (F + lambda 1) d = gradient. The
//! damping (K. Levenberg 1944, D. Marquardt 1963) goes with the divergence from the law, so that it is strong far away and gone at the end.

use super::exact::{self, BLOCK_UNITS, ExactGradient, Tree};
use crate::elementary;
use crate::error::{Error, Result};
use crate::rbm::Rbm;
use crate::statistics::least_squares;
use rayon::prelude::*;

/// The most parameters, (visible + 1)(hidden + 1): the metric is a matrix over them.
pub const MOST_PARAMETERS: usize = 2048;

/// The damping over the divergence in nats. With 0.03 some machines of 4 x 4 spins went astray on their way, with 0.3 they took twice as many steps.
const DAMPING: f64 = 0.1;
/// The damping that is always there: weights of single precision make the metric no better known than this.
const LEAST_DAMPING: f64 = 1e-9;

/// Blocks of states whose sums are in memory at once.
const AT_ONCE: usize = 16;

/// The direction of the natural gradient of sum_v P(v) ln p(v), in the place of the gradient.
///
/// # Errors
/// As for [`exact::log_weights`]; [`Error::NotFinite`] if the metric cannot be inverted.
///
/// # Panics
/// If there is not one probability a state.
pub fn direction(rbm: &Rbm, law: &[f64]) -> Result<ExactGradient> {
    let (visible, hidden) = (rbm.visible(), rbm.hidden());
    let logarithms = exact::log_weights(rbm)?;
    let log_z = exact::log_sum(&logarithms);
    let gradient = exact::gradient_with(rbm, law, &logarithms, log_z)?;
    let terms = law.iter().zip(&logarithms).filter(|(probability, _)| **probability > 0.0);
    let divergence: f64 =
        terms.map(|(probability, logarithm)| probability * (elementary::logarithm(*probability) - (logarithm - log_z))).sum();

    let mut metric = metric(rbm, law)?;
    for (row, numbers) in metric.iter_mut().enumerate() {
        numbers[row] += DAMPING * divergence.max(0.0) + LEAST_DAMPING;
    }
    // A row of hidden units and 1 for each visible unit and 1.
    let mut right = Vec::with_capacity(metric.len());
    for (weights, bias) in gradient.weights.chunks_exact(hidden).zip(&gradient.visible) {
        right.extend(weights.iter().chain([bias]));
    }
    right.extend(&gradient.hidden);
    let solution = least_squares::solve(&metric, &right).filter(|solution| solution.iter().all(|number| number.is_finite()));
    let solution = solution.ok_or_else(|| {
        Error::NotFinite("the metric of the machine cannot be inverted: write a lower learning_rate, or method = \"exact\"".to_string())
    })?;
    let (rows, last) = solution.split_at(visible * (hidden + 1));
    Ok(ExactGradient {
        weights: rows.chunks_exact(hidden + 1).flat_map(|row| &row[..hidden]).copied().collect(),
        visible: rows.chunks_exact(hidden + 1).map(|row| row[hidden]).collect(),
        hidden: last.to_vec(),
    })
}

/// Where the entry (row, column) of a symmetric matrix stands when its lower triangle is packed.
fn packed(row: usize, column: usize) -> usize {
    let (row, column) = (row.max(column), row.min(column));
    row * (row + 1) / 2 + column
}

/// F over the parameters W_i1 ... W_in c_i of each visible unit i, then b_1 ... b_n: with v' = (v, 1) and h' = (p(h = 1 | v), 1), J is the outer product of the two, all but its last entry.
fn metric(rbm: &Rbm, law: &[f64]) -> Result<Vec<Vec<f64>>> {
    let (visible, wide) = (rbm.visible(), rbm.hidden() + 1);
    let tree = Tree::new(rbm)?;
    let free = visible - BLOCK_UNITS.min(visible);
    let blocks = 1usize << (visible - free);
    let (pairs, all) = (wide * (wide + 1) / 2, (visible + 1) * wide);
    let mut metric = vec![vec![0.0; all]; all];
    for first in (0..blocks).step_by(AT_ONCE) {
        let sums: Vec<Vec<f64>> =
            (first..blocks.min(first + AT_ONCE)).into_par_iter().map(|block| sums_of(&tree, block, free, law)).collect();
        for (block, sums) in (first..).zip(&sums) {
            // A unit that names the block is always set in it, like the 1 of v', or never.
            let place =
                |unit: usize| if unit < free { Some(unit) } else { (unit == visible || block >> (unit - free) & 1 == 1).then_some(free) };
            for (unit, other) in (0..=visible).flat_map(|unit| (0..=unit).map(move |other| (unit, other))) {
                let (Some(one), Some(two)) = (place(unit), place(other)) else { continue };
                let sums = &sums[packed(one, two) * pairs..][..pairs];
                for (row, numbers) in metric[unit * wide..(unit + 1) * wide].iter_mut().enumerate() {
                    let numbers = &mut numbers[other * wide..(other + 1) * wide];
                    numbers.iter_mut().enumerate().for_each(|(column, number)| *number += sums[packed(row, column)]);
                }
            }
        }
    }
    // What stands below the diagonal is complete; the last row is that of the 1: the means.
    for row in 0..all {
        let (above, below) = metric.split_at_mut(row + 1);
        below.iter().enumerate().for_each(|(offset, lower)| above[row][row + 1 + offset] = lower[row]);
    }
    let means = metric.pop().unwrap_or_default();
    for (row, numbers) in metric.iter_mut().enumerate() {
        numbers.pop();
        numbers.iter_mut().zip(&means).for_each(|(number, mean)| *number -= means[row] * mean);
    }
    Ok(metric)
}

/// Sums of P(v) h'_j h'_l over the states of a block in which two of its units are both set, for every two of its free units and 1.
fn sums_of(tree: &Tree, block: usize, free: usize, law: &[f64]) -> Vec<f64> {
    let (odds, _) = tree.root(block, free);
    let wide = odds.len() + 1;
    let pairs = wide * (wide + 1) / 2;
    let mut levels = vec![odds];
    levels.resize(free + 1, vec![0.0; wide - 1]);
    let mut sums = vec![0.0; packed(free, free) * pairs + pairs];
    let (mut products, mut means) = (vec![0.0; pairs], vec![1.0; wide]);
    tree.leaves(free, 0, &mut levels, &mut |state, odds| {
        means.iter_mut().zip(odds).for_each(|(mean, odds)| *mean = odds / (1.0 + odds));
        let mut rest = products.as_mut_slice();
        for (row, mean) in means.iter().enumerate() {
            let (products, after) = std::mem::take(&mut rest).split_at_mut(row + 1);
            let factor = law[block << free | state] * mean;
            products.iter_mut().zip(&means).for_each(|(product, mean)| *product = factor * mean);
            rest = after;
        }
        let is_set = |unit: &usize| *unit == free || state >> unit & 1 == 1;
        for unit in (0..=free).filter(is_set) {
            for other in (0..=unit).filter(is_set) {
                let sums = &mut sums[packed(unit, other) * pairs..][..pairs];
                sums.iter_mut().zip(&products).for_each(|(sum, product)| *sum += product);
            }
        }
    });
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rbm::exact::ExactRbm;
    use crate::rbm::exact::tests::{random_machine, ring_law, single};

    /// J of a state, in the order of the metric.
    fn derivatives(machine: &ExactRbm, state: u64) -> Vec<f64> {
        let mut means: Vec<f64> = machine.hidden_fields(state).into_iter().map(crate::rbm::exact::logistic).collect();
        means.push(1.0);
        let of_unit =
            |unit: usize| means.iter().map(move |mean| if unit == machine.visible || state >> unit & 1 == 1 { *mean } else { 0.0 });
        let mut all: Vec<f64> = (0..=machine.visible).flat_map(of_unit).collect();
        all.pop();
        all
    }

    #[test]
    fn the_metric_is_the_covariance_of_the_derivatives() {
        for (visible, hidden) in [(4, 2), (8, 3), (9, 5)] {
            let rbm = single(&random_machine(visible, hidden, 0.8, 71));
            let machine = ExactRbm::from(&rbm);
            let law = ring_law(visible, 0.4);
            let mean = |of: &dyn Fn(&[f64]) -> f64| law.iter().map(|&(state, p)| p * of(&derivatives(&machine, state))).sum::<f64>();
            let probabilities: Vec<f64> = law.iter().map(|&(_, p)| p).collect();
            let found = metric(&rbm, &probabilities).unwrap();
            assert_eq!(found.len(), (visible + 1) * (hidden + 1) - 1);
            for (row, numbers) in found.iter().enumerate() {
                for (column, number) in numbers.iter().enumerate() {
                    let covariance = mean(&|j| j[row] * j[column]) - mean(&|j| j[row]) * mean(&|j| j[column]);
                    assert!((number - covariance).abs() < 1e-12, "{visible} x {hidden}, {row}, {column}: {number} and {covariance}");
                }
            }
        }
    }

    #[test]
    fn a_machine_that_can_be_exact_becomes_exact() {
        // Eight spins on a ring with a hidden unit a bond. As many steps along the gradient leave more than a thousandth of a nat.
        let law = ring_law(8, 0.408);
        let probabilities: Vec<f64> = law.iter().map(|&(_, p)| p).collect();
        let divergence = |rbm: &Rbm| law.iter().map(|(_, p)| p * p.ln()).sum::<f64>() - ExactRbm::from(rbm).log_likelihood(&law);
        let learn = |direction: &dyn Fn(&Rbm) -> ExactGradient, rate: f64| {
            let mut rbm = single(&random_machine(8, 8, 0.1, 72));
            for _ in 0..60 {
                let step = direction(&rbm);
                for unit in 0..8 {
                    let moves = step.weights[unit * 8..].iter();
                    rbm.weights.row_mut(unit).iter_mut().zip(moves).for_each(|(weight, by)| *weight += (rate * by) as f32);
                }
                let biases = rbm.visible_bias.iter_mut().chain(&mut rbm.hidden_bias);
                biases.zip(step.visible.iter().chain(&step.hidden)).for_each(|(bias, by)| *bias += (rate * by) as f32);
            }
            divergence(&rbm)
        };
        let natural = learn(&|rbm| direction(rbm, &probabilities).unwrap(), 1.0);
        let plain = learn(&|rbm| exact::gradient(rbm, &probabilities).unwrap(), 0.5);
        assert!(natural < 1e-10 && plain > 1e-3, "{natural} and {plain}");
    }
}
