//! The rules by which a 2 x 2 block becomes one spin: the majority, or Kadanoff's kernel, which draws the block spin h with the probability
//! e^(p h sum v) / 2 cosh(p sum v). The majority is the limit of large p. What the rules make of sampled configurations, level by level, stands side by side with what a
//! trained stack makes of them.

use super::block_spin::SpinGrid;
use super::couplings::sampled::{self, Couplings};
use super::{Control, Tally, control_stream};
use crate::error::Result;
use crate::lattice::SquareTorus;
use crate::random::Stream;
use crate::spins::{BitMatrix, Configuration};
use rayon::prelude::*;

/// How a block of four spins becomes one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum BlockRule {
    /// The sign of their sum, a fair coin where it is 0.
    Majority,
    /// Kadanoff's kernel with this parameter p.
    Kernel(f64),
}

impl BlockRule {
    /// The probability of a block spin up, by the number of spins up in the block.
    pub fn probability_up(self, ups: usize) -> f64 {
        match self {
            BlockRule::Majority => [0.0, 0.0, 0.5, 1.0, 1.0][ups],
            BlockRule::Kernel(parameter) => crate::rbm::exact::logistic(2.0 * parameter * (2.0 * ups as f64 - 4.0)),
        }
    }

    /// The block spins of a grid of even side, one uniform number each, in site order.
    fn blocked(self, grid: &SpinGrid, stream: &mut Stream) -> Result<SpinGrid> {
        let side = grid.side() / 2;
        let up = |site: usize| {
            let (x, y) = (2 * (site % side), 2 * (site / side));
            let ups = [(0, 0), (1, 0), (0, 1), (1, 1)].iter().filter(|(dx, dy)| grid.spin(x + dx, y + dy) > 0).count();
            stream.uniform() < self.probability_up(ups)
        };
        SpinGrid::new(side, (0..side * side).map(up).collect())
    }
}

/// The block spins of one level. Pairs are a mean and its standard error.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockLevel {
    /// Side of the block lattice.
    pub side: usize,
    /// Nearest-neighbour correlation.
    pub correlation: [f64; 2],
    /// Share of spins of the configuration that equal their block spin.
    pub agreement: [f64; 2],
    /// Their couplings.
    pub couplings: Couplings,
}

/// Blocks all configurations (one a row) again and again while the side is even and the coarse side at least 3. The first level is the configurations themselves.
/// Row i draws from the [`control_stream`] of index i.
///
/// # Errors
/// [`crate::error::Error::Usage`] if the rows are no configurations of the torus.
pub fn block_levels(torus: SquareTorus, configurations: &BitMatrix, rule: BlockRule, seed: u64) -> Result<Vec<BlockLevel>> {
    let control = if rule == BlockRule::Majority { Control::RuleMajority } else { Control::RuleKernel };
    let ladder = |row: usize| -> Result<Vec<SpinGrid>> {
        let mut stream = control_stream(seed, control, row as u64);
        let mut grids = vec![SpinGrid::from(&Configuration::from_words(torus, configurations.row(row).to_vec()))];
        while let Some(last) = grids.last().filter(|last| last.side().is_multiple_of(2) && last.side() >= 6) {
            let next = rule.blocked(last, &mut stream)?;
            grids.push(next);
        }
        Ok(grids)
    };
    let ladders: Vec<Vec<SpinGrid>> = (0..configurations.rows()).into_par_iter().map(ladder).collect::<Result<_>>()?;
    let depth = ladders.first().map_or(0, Vec::len);
    let level = |level: usize| {
        let grids: Vec<SpinGrid> = ladders.iter().map(|ladder| ladder[level].clone()).collect();
        let side = torus.side() >> level;
        let bonds: Tally = grids.iter().map(SpinGrid::bond_sum).collect();
        let agreeing: Tally = ladders.iter().map(|ladder| ladder[level].expanded(1 << level).agreeing_spins(&ladder[0]) as i64).collect();
        BlockLevel {
            side,
            correlation: bonds.mean_and_error((2 * side * side) as f64),
            agreement: agreeing.mean_and_error(torus.sites() as f64),
            couplings: sampled::couplings(&grids),
        }
    };
    Ok((0..depth).map(level).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rg::standards::kadanoff::block_kernel;

    #[test]
    fn the_kernel_is_the_operator_of_the_variational_step() {
        let step = block_kernel(0.766, |_| 0.0).unwrap();
        for v in 0..16u64 {
            let probability = BlockRule::Kernel(0.766).probability_up(v.count_ones() as usize);
            assert!((step.operator(v, 1).exp() - probability).abs() < 1e-14);
        }
        for ups in 0..=4 {
            assert!((BlockRule::Kernel(50.0).probability_up(ups) - BlockRule::Majority.probability_up(ups)).abs() < 1e-12);
        }
    }

    #[test]
    fn levels_end_where_neighbours_do() {
        let torus = SquareTorus::new(12).unwrap();
        let matrix = BitMatrix::new(5, 144);
        let levels = block_levels(torus, &matrix, BlockRule::Majority, 1).unwrap();
        assert_eq!(levels.iter().map(|level| level.side).collect::<Vec<_>>(), [12, 6, 3]);
        // All spins down: nothing is lost, and no coupling can be found.
        assert!(levels.iter().all(|level| level.correlation == [1.0, 0.0] && level.agreement == [1.0, 0.0] && level.couplings.is_none()));
    }
}
