//! The exact gradient: sums over all states of a small visible layer, for a law of the data that is known there. No samples, no chains.
//!
//! The states are the leaves of a binary tree. A node holds the odds e^field of every hidden unit, and setting a unit multiplies them by e^weight; on the way back the sums of
//! a subtree are added to the statistics of the unit that was set. The first units of the path name a block; threads work on blocks, whose sums are added in order.

use crate::elementary::{exponential, logarithm, logarithm_of_one_plus};
use crate::error::{Error, Result};
use crate::rbm::Rbm;
use rayon::prelude::*;

/// The most visible units: 2^20 states.
pub const MOST_VISIBLE: usize = 20;

/// Units whose states name a block.
pub(super) const BLOCK_UNITS: usize = 6;

/// Logarithms below this fit a double after all multiplications.
const LARGEST_LOGARITHM: f64 = 690.0;

/// The gradient of the mean log-likelihood, and what is left to gain.
#[derive(Debug, Clone, PartialEq)]
pub struct ExactGradient {
    /// <v_i h_j> over the law minus the same over the machine, row-major \[visible\]\[hidden\].
    pub weights: Vec<f64>,
    /// The same of v_i.
    pub visible: Vec<f64>,
    /// The same of h_j.
    pub hidden: Vec<f64>,
}

impl ExactGradient {
    fn zero(visible: usize, hidden: usize) -> Self {
        ExactGradient { weights: vec![0.0; visible * hidden], visible: vec![0.0; visible], hidden: vec![0.0; hidden] }
    }

    fn add(&mut self, other: &ExactGradient) {
        let parts = [(&mut self.weights, &other.weights), (&mut self.visible, &other.visible), (&mut self.hidden, &other.hidden)];
        for (sums, values) in parts {
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        }
    }
}

/// A machine as the tree needs it.
pub(super) struct Tree {
    visible_bias: Vec<f64>,
    /// e^W, one vector a visible unit.
    factors: Vec<Vec<f64>>,
    /// e^b.
    start: Vec<f64>,
    /// Whether the product of all 1 + odds fits a double.
    one_product: bool,
}

impl Tree {
    pub(super) fn new(rbm: &Rbm) -> Result<Tree> {
        let mut sizes: Vec<f64> = rbm.hidden_bias.iter().map(|&bias| f64::from(bias).abs()).collect();
        for unit in 0..rbm.visible() {
            sizes.iter_mut().zip(rbm.weights.row(unit)).for_each(|(size, &weight)| *size += f64::from(weight).abs());
        }
        // A NaN is not below the bound either.
        if !sizes.iter().all(|&size| size < LARGEST_LOGARITHM) {
            return Err(Error::NotFinite(
                "the weights have grown so large that the states of the machine cannot be summed: write a lower learning_rate".to_string(),
            ));
        }
        let exponentials = |values: &[f32]| values.iter().map(|&value| exponential(f64::from(value))).collect::<Vec<f64>>();
        Ok(Tree {
            visible_bias: rbm.visible_bias.iter().map(|&bias| f64::from(bias)).collect(),
            factors: (0..rbm.visible()).map(|unit| exponentials(rbm.weights.row(unit))).collect(),
            start: exponentials(&rbm.hidden_bias),
            one_product: sizes.iter().map(|size| size + std::f64::consts::LN_2).sum::<f64>() < LARGEST_LOGARITHM,
        })
    }

    /// Odds and c.v at the root of a block, whose number holds the states of the last units.
    pub(super) fn root(&self, block: usize, free: usize) -> (Vec<f64>, f64) {
        let (mut odds, mut linear) = (self.start.clone(), 0.0);
        for unit in (free..self.factors.len()).filter(|unit| block >> (unit - free) & 1 == 1) {
            odds.iter_mut().zip(&self.factors[unit]).for_each(|(odds, factor)| *odds *= factor);
            linear += self.visible_bias[unit];
        }
        (odds, linear)
    }

    /// Shows the odds of every state below a node, with the states of its free units; the levels are those of [`Self::weigh`].
    pub(super) fn leaves(&self, free: usize, state: usize, levels: &mut [Vec<f64>], show: &mut dyn FnMut(usize, &[f64])) {
        let Some(unit) = free.checked_sub(1) else { return show(state, &levels[0]) };
        let (here, below) = levels.split_at_mut(1);
        below[0].copy_from_slice(&here[0]);
        self.leaves(unit, state, below, show);
        for ((child, odds), factor) in below[0].iter_mut().zip(&here[0]).zip(&self.factors[unit]) {
            *child = odds * factor;
        }
        self.leaves(unit, state | 1 << unit, below, show);
    }

    /// -H^RBM\[v\] of all states below a node, in the order of their numbers. `levels[0]` are the node's odds, the others room for the nodes below it.
    fn weigh(&self, free: usize, linear: f64, levels: &mut [Vec<f64>], logarithms: &mut [f64]) {
        let Some(unit) = free.checked_sub(1) else {
            let odds = &levels[0];
            let sum = if self.one_product {
                logarithm(odds.iter().fold(1.0, |product, odds| product * (1.0 + odds)))
            } else {
                odds.iter().map(|&odds| logarithm_of_one_plus(odds)).sum()
            };
            logarithms[0] = linear + sum;
            return;
        };
        let (clear, set) = logarithms.split_at_mut(1 << unit);
        let (here, below) = levels.split_at_mut(1);
        below[0].copy_from_slice(&here[0]);
        self.weigh(unit, linear, below, clear);
        for ((child, odds), factor) in below[0].iter_mut().zip(&here[0]).zip(&self.factors[unit]) {
            *child = odds * factor;
        }
        self.weigh(unit, linear + self.visible_bias[unit], below, set);
    }

    /// The sums over all states below a node, each with its factor; what belongs to set units goes into `gradient`. `sums[0]` takes the sum of factor p(h = 1 | v); the return
    /// value is the sum of the factors.
    fn collect(&self, free: usize, levels: &mut [Vec<f64>], sums: &mut [Vec<f64>], factors: &[f64], gradient: &mut ExactGradient) -> f64 {
        let Some(unit) = free.checked_sub(1) else {
            let factor = factors[0];
            sums[0].iter_mut().zip(&levels[0]).for_each(|(sum, odds)| *sum = factor * (odds / (1.0 + odds)));
            return factor;
        };
        let (clear, set) = factors.split_at(1 << unit);
        let (here, below) = levels.split_at_mut(1);
        let (sum, rest) = sums.split_at_mut(1);
        below[0].copy_from_slice(&here[0]);
        let without = self.collect(unit, below, rest, clear, gradient);
        sum[0].copy_from_slice(&rest[0]);
        for ((child, odds), factor) in below[0].iter_mut().zip(&here[0]).zip(&self.factors[unit]) {
            *child = odds * factor;
        }
        let with = self.collect(unit, below, rest, set, gradient);
        gradient.visible[unit] += with;
        let row = &mut gradient.weights[unit * rest[0].len()..];
        for ((sum, value), weight) in sum[0].iter_mut().zip(&rest[0]).zip(row) {
            *sum += value;
            *weight += value;
        }
        without + with
    }
}

/// -H^RBM\[v\] of every visible state, in the order of their numbers (bit i is unit i).
///
/// # Errors
/// [`Error::NotFinite`] if a parameter is not finite or a sum would overflow.
///
/// # Panics
/// If there are more than [`MOST_VISIBLE`] visible units.
pub fn log_weights(rbm: &Rbm) -> Result<Vec<f64>> {
    assert!(rbm.visible() <= MOST_VISIBLE, "the states of the visible layer are enumerated");
    let tree = Tree::new(rbm)?;
    let free = rbm.visible() - BLOCK_UNITS.min(rbm.visible());
    let mut logarithms = vec![0.0; 1 << rbm.visible()];
    logarithms.par_chunks_mut(1 << free).enumerate().for_each(|(block, logarithms)| {
        let (odds, linear) = tree.root(block, free);
        let mut levels = vec![odds];
        levels.resize(free + 1, vec![0.0; rbm.hidden()]);
        tree.weigh(free, linear, &mut levels, logarithms);
    });
    Ok(logarithms)
}

/// ln of the sum of the exponentials, ascending.
pub fn log_sum(logarithms: &[f64]) -> f64 {
    let largest = logarithms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    largest + logarithm(logarithms.iter().map(|logarithm| exponential(logarithm - largest)).sum::<f64>())
}

/// The gradient of sum_v P(v) ln p(v) for a law P over all visible states.
///
/// # Errors
/// As for [`log_weights`].
///
/// # Panics
/// If there is not one probability a state.
pub fn gradient(rbm: &Rbm, law: &[f64]) -> Result<ExactGradient> {
    let logarithms = log_weights(rbm)?;
    let log_z = log_sum(&logarithms);
    gradient_with(rbm, law, &logarithms, log_z)
}

/// The same where [`log_weights`] and their [`log_sum`] are known.
///
/// # Errors
/// As for [`gradient`].
///
/// # Panics
/// As there.
pub fn gradient_with(rbm: &Rbm, law: &[f64], logarithms: &[f64], log_z: f64) -> Result<ExactGradient> {
    let (visible, hidden) = (rbm.visible(), rbm.hidden());
    assert_eq!(law.len(), 1 << visible, "a law has one probability a state");
    let differences: Vec<f64> =
        logarithms.iter().zip(law).map(|(logarithm, probability)| probability - exponential(logarithm - log_z)).collect();
    let tree = Tree::new(rbm)?;
    let free = visible - BLOCK_UNITS.min(visible);
    let of_block = |(block, factors): (usize, &[f64])| {
        let mut gradient = ExactGradient::zero(visible, hidden);
        let (odds, _) = tree.root(block, free);
        let mut levels = vec![odds];
        levels.resize(free + 1, vec![0.0; hidden]);
        let mut sums = vec![vec![0.0; hidden]; free + 1];
        let total = tree.collect(free, &mut levels, &mut sums, factors, &mut gradient);
        gradient.hidden.copy_from_slice(&sums[0]);
        for unit in (free..visible).filter(|unit| block >> (unit - free) & 1 == 1) {
            gradient.visible[unit] += total;
            gradient.weights[unit * hidden..(unit + 1) * hidden].iter_mut().zip(&sums[0]).for_each(|(weight, value)| *weight += value);
        }
        gradient
    };
    let blocks: Vec<ExactGradient> = differences.par_chunks(1 << free).enumerate().map(of_block).collect();
    let mut total = ExactGradient::zero(visible, hidden);
    blocks.iter().for_each(|block| total.add(block));
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rbm::exact::ExactRbm;
    use crate::rbm::exact::tests::{random_machine, ring_law, single};

    #[test]
    fn the_tree_gives_the_gradient_of_the_oracle() {
        for (visible, hidden, scale) in [(3, 2, 1.0), (8, 5, 0.8), (9, 40, 0.5), (7, 100, 12.0)] {
            let rbm = single(&random_machine(visible, hidden, scale, 70));
            let oracle = ExactRbm::from(&rbm);
            let law = ring_law(visible, 0.5);
            let probabilities: Vec<f64> = law.iter().map(|&(_, probability)| probability).collect();
            let (found, expected) = (gradient(&rbm, &probabilities).unwrap(), oracle.gradient(&law));
            let pairs = [(found.weights, expected.weights), (found.visible, expected.visible_bias), (found.hidden, expected.hidden_bias)];
            for (found, expected) in pairs {
                assert!(found.iter().zip(&expected).all(|(found, expected)| (found - expected).abs() < 1e-12), "{visible} x {hidden}");
            }
            let log_z = log_sum(&log_weights(&rbm).unwrap());
            assert!((log_z - oracle.log_partition_function()).abs() < 1e-11 * log_z.abs().max(1.0));
        }
        let mut rbm = Rbm::zero(5, 3);
        rbm.weights.row_mut(2)[1] = 1e30;
        assert!(matches!(log_weights(&rbm), Err(Error::NotFinite(_))));
    }
}
