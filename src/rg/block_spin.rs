//! Kadanoff's block spins by majority: the transformation that a layer of the network is compared with.
//!
//! The spins of each b x b block become one spin, the sign of their sum, and a fair coin where the sum is 0. Blocks of side 2^n come directly or by n
//! blockings of side 2; the two differ, because a majority of majorities is not the majority. Going down again, each spin takes the sign of its block.

use super::{Control, Tally, control_stream};
use crate::error::{Error, Result};
use crate::lattice::SquareTorus;
use crate::random::Stream;
use crate::spins::{BitMatrix, Configuration};
use bitvec::{order::Lsb0, slice::BitSlice};
use rayon::prelude::*;

/// Spins on a square torus of any side from 1: coarse lattices become smaller than a [`SquareTorus`] may be. Site (x, y) has the index y * side + x.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpinGrid {
    side: usize,
    up: Vec<bool>,
}

impl SpinGrid {
    /// A grid from its spins in site order, true for +1.
    ///
    /// # Errors
    /// [`Error::Usage`] unless there are side * side spins, at least one.
    pub fn new(side: usize, up: Vec<bool>) -> Result<Self> {
        if side == 0 || side.checked_mul(side) != Some(up.len()) {
            return Err(Error::Usage(format!("{} spins do not fill a square grid of side {side}: give side * side of them", up.len())));
        }
        Ok(SpinGrid { side, up })
    }

    fn from_bits(side: usize, bits: &BitSlice<u64, Lsb0>) -> Self {
        SpinGrid { side, up: bits.iter().by_vals().collect() }
    }

    /// The side of the grid.
    pub fn side(&self) -> usize {
        self.side
    }

    /// The spins in site order, true for +1.
    pub fn up(&self) -> &[bool] {
        &self.up
    }

    /// The spin at (x, y), both modulo the side: +1 or -1.
    pub fn spin(&self, x: usize, y: usize) -> i64 {
        if self.up[(y % self.side) * self.side + x % self.side] { 1 } else { -1 }
    }

    /// The packed configuration.
    ///
    /// # Errors
    /// [`Error::Usage`] if the side is below [`SquareTorus::SMALLEST_SIDE`].
    pub fn to_configuration(&self) -> Result<Configuration> {
        let mut configuration = Configuration::all_down(SquareTorus::new(self.side)?);
        for (site, &up) in self.up.iter().enumerate() {
            configuration.set(site, up);
        }
        Ok(configuration)
    }

    /// The majority spins of the b x b blocks, b = `block_side`. Each tie takes one word of `ties` (its top bit), in site order of the blocks.
    ///
    /// # Errors
    /// [`Error::Usage`] if the block side does not divide the side of the grid.
    pub fn majority(&self, block_side: usize, ties: &mut Stream) -> Result<SpinGrid> {
        check_block_side(self.side, block_side)?;
        Ok(self.majority_of(&self.ups_in_blocks(block_side), block_side, ties))
    }

    /// The number of up spins in each block, in site order of the blocks.
    fn ups_in_blocks(&self, block_side: usize) -> Vec<usize> {
        let side = self.side / block_side;
        let mut ups = vec![0; side * side];
        for (y, row) in self.up.chunks_exact(self.side).enumerate() {
            let blocks = &mut ups[y / block_side * side..][..side];
            for (ups, spins) in blocks.iter_mut().zip(row.chunks_exact(block_side)) {
                *ups += spins.iter().map(|&up| usize::from(up)).sum::<usize>();
            }
        }
        ups
    }

    fn majority_of(&self, ups_in_blocks: &[usize], block_side: usize, ties: &mut Stream) -> SpinGrid {
        let spin = |&ups: &usize| match (2 * ups).cmp(&(block_side * block_side)) {
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Equal => ties.word() >> 63 == 1,
        };
        SpinGrid { side: self.side / block_side, up: ups_in_blocks.iter().map(spin).collect() }
    }

    /// The majority spins of 2 x 2 blocks, `levels` times: one grid a level, sides L/2, L/4 and so on.
    ///
    /// # Errors
    /// [`Error::Usage`] if 2^levels does not divide the side of the grid.
    pub fn iterated_majority(&self, levels: usize, ties: &mut Stream) -> Result<Vec<SpinGrid>> {
        let mut grids: Vec<SpinGrid> = Vec::with_capacity(levels);
        for _ in 0..levels {
            let next = grids.last().unwrap_or(self).majority(2, ties)?;
            grids.push(next);
        }
        Ok(grids)
    }

    /// Every spin repeated over a block b x b, b = `block_side`: the way down.
    pub fn expanded(&self, block_side: usize) -> SpinGrid {
        let mut up = Vec::with_capacity(self.up.len() * block_side * block_side);
        for row in self.up.chunks_exact(self.side) {
            let wide: Vec<bool> = row.iter().flat_map(|&up| std::iter::repeat_n(up, block_side)).collect();
            (0..block_side).for_each(|_| up.extend_from_slice(&wide));
        }
        SpinGrid { side: self.side * block_side, up }
    }

    /// The number of sites where two grids agree.
    ///
    /// # Panics
    /// If the sides differ.
    pub fn agreeing_spins(&self, other: &SpinGrid) -> usize {
        assert_eq!(self.side, other.side, "two grids of one side are compared");
        self.up.iter().zip(&other.up).filter(|(one, two)| one == two).count()
    }

    /// The sum of s_i s_j over the 2 side^2 nearest-neighbour bonds of the periodic grid.
    pub fn bond_sum(&self) -> i64 {
        (0..self.side * self.side)
            .map(|site| {
                let (x, y) = (site % self.side, site / self.side);
                self.spin(x, y) * (self.spin(x + 1, y) + self.spin(x, y + 1))
            })
            .sum()
    }
}

impl From<&Configuration> for SpinGrid {
    fn from(configuration: &Configuration) -> Self {
        SpinGrid::from_bits(configuration.torus().side(), configuration.bits())
    }
}

fn check_block_side(side: usize, block_side: usize) -> Result<()> {
    if block_side == 0 || !side.is_multiple_of(block_side) {
        return Err(Error::Usage(format!("blocks of side {block_side} do not tile a lattice of side {side}: choose a divisor of {side}")));
    }
    Ok(())
}

/// How well b x b block spins keep a set of configurations. The pairs are a mean and its standard error, configurations taken for independent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BlockSummary {
    /// Side b of the blocks.
    pub block_side: usize,
    /// Share of spins that equal the majority of their b x b block.
    pub block_agreement: [f64; 2],
    /// Share of spins that equal their block spin after iterated 2 x 2 majorities; for b a power of two from 2.
    pub iterated_block_agreement: Option<[f64; 2]>,
    /// Nearest-neighbour correlation per bond of the iterated block spins; where the above exists and the block lattice has a side of at least 2.
    pub block_correlation: Option<[f64; 2]>,
}

/// What b x b block spins keep of each of a set of configurations.
#[derive(Debug, Clone)]
pub struct Blocks {
    sites: usize,
    block_side: usize,
    coarse_side: usize,
    /// Of each configuration: the spins that agree with their direct majority, those that agree with the iterated one, the bond sum of the iterated block spins.
    rows: Vec<[i64; 3]>,
}

impl Blocks {
    /// Blocks every configuration (one a row, in site order) with b x b majorities, directly and iterated. Ties of row i come from the [`control_stream`]s of
    /// index i, so that the result does not depend on threads.
    ///
    /// # Errors
    /// [`Error::Usage`] if the rows are not configurations of the torus or the blocks do not tile it.
    pub fn of(torus: SquareTorus, configurations: &BitMatrix, block_side: usize, seed: u64) -> Result<Self> {
        let (side, sites) = (torus.side(), torus.sites());
        check_block_side(side, block_side)?;
        if configurations.columns() != sites {
            return Err(Error::Usage(format!(
                "rows of {} spins are no configurations of a {side} x {side} lattice: give rows of {sites}",
                configurations.columns()
            )));
        }
        let levels = if iterates(block_side) { block_side.trailing_zeros() as usize } else { 0 };
        let of_row = |row: usize| -> Result<[i64; 3]> {
            let grid = SpinGrid::from_bits(side, configurations.bits(row));
            let ups = grid.ups_in_blocks(block_side);
            // What agrees after going down again, without going down: the ups of a block that is up, the downs of one that is down.
            let agreeing = |coarse: &SpinGrid| -> usize {
                let of_block = |(&up, &ups): (&bool, &usize)| if up { ups } else { block_side * block_side - ups };
                coarse.up.iter().zip(&ups).map(of_block).sum()
            };
            let mut ties = control_stream(seed, Control::DirectTies, row as u64);
            let direct = agreeing(&grid.majority_of(&ups, block_side, &mut ties));
            let mut ties = control_stream(seed, Control::IteratedTies, row as u64);
            let (iterated, bonds) = match grid.iterated_majority(levels, &mut ties)?.last() {
                Some(coarse) => (agreeing(coarse), coarse.bond_sum()),
                None => (0, 0),
            };
            Ok([direct as i64, iterated as i64, bonds])
        };
        let rows = (0..configurations.rows()).into_par_iter().map(of_row).collect::<Result<_>>()?;
        Ok(Blocks { sites, block_side, coarse_side: side / block_side, rows })
    }

    /// Means and errors over all configurations.
    pub fn summary(&self) -> BlockSummary {
        let Blocks { sites, block_side, coarse_side, .. } = *self;
        let summary = |which: usize, unit: usize| self.rows.iter().map(|row| row[which]).collect::<Tally>().mean_and_error(unit as f64);
        BlockSummary {
            block_side,
            block_agreement: summary(0, sites),
            iterated_block_agreement: iterates(block_side).then(|| summary(1, sites)),
            block_correlation: (iterates(block_side) && coarse_side >= 2).then(|| summary(2, 2 * coarse_side * coarse_side)),
        }
    }

    /// What a reconstruction of the same configurations agrees more than the better of the two kinds of blocks, as a share of the spins; `halves` are those of
    /// [`super::reconstruction::halves`]. The error is that of the mean difference: whatever makes a configuration easy for both is not in it.
    ///
    /// # Panics
    /// If there are not as many of them.
    pub fn advantage(&self, halves: &[i64]) -> [f64; 2] {
        assert_eq!(halves.len(), self.rows.len(), "a reconstruction of each configuration");
        let sum = |kind: usize| self.rows.iter().map(|row| row[kind]).sum::<i64>();
        let better = usize::from(iterates(self.block_side) && sum(1) > sum(0));
        let differences = halves.iter().zip(&self.rows).map(|(halves, row)| halves - 2 * row[better]);
        differences.collect::<Tally>().mean_and_error(2.0 * self.sites as f64)
    }
}

/// Whether blocks come by blockings of side 2 as well.
fn iterates(block_side: usize) -> bool {
    block_side.is_power_of_two() && block_side > 1
}

/// [`Blocks::of`] in numbers.
///
/// # Errors
/// Those of [`Blocks::of`].
pub fn summarize_blocks(torus: SquareTorus, configurations: &BitMatrix, block_side: usize, seed: u64) -> Result<BlockSummary> {
    Ok(Blocks::of(torus, configurations, block_side, seed)?.summary())
}

/// The direct b x b majority reconstruction of configuration number `index`: the block spins expanded again, in site order. The same ties as
/// [`summarize_blocks`] takes for row `index`.
///
/// # Errors
/// [`Error::Usage`] if the blocks do not tile the lattice.
pub fn block_reconstruction(configuration: &Configuration, block_side: usize, seed: u64, index: u64) -> Result<Vec<bool>> {
    let mut ties = control_stream(seed, Control::DirectTies, index);
    Ok(SpinGrid::from(configuration).majority(block_side, &mut ties)?.expanded(block_side).up)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    fn stream() -> Stream {
        Stream::new(3, Purpose::Check, 0)
    }

    #[test]
    fn blocks_follow_their_majority() {
        // 4 x 4: three up in block (0, 0), one up in (1, 0), all up in (0, 1), none in (1, 1): no ties.
        let rows = ["11.1", "1...", "11..", "11.."];
        let grid = SpinGrid::new(4, rows.iter().flat_map(|row| row.bytes().map(|byte| byte == b'1')).collect()).unwrap();
        let coarse = grid.majority(2, &mut stream()).unwrap();
        assert_eq!(coarse.up(), [true, false, true, false]);
        let back = coarse.expanded(2);
        assert_eq!(back.agreeing_spins(&grid), 14);
        assert!(back.up()[5] && !grid.up()[5] && !back.up()[3] && grid.up()[3]);
        // Bonds of the 2 x 2 torus: the columns differ (4 bonds at -1), the rows agree (4 bonds at +1).
        assert_eq!(coarse.bond_sum(), 0);
    }

    #[test]
    fn ties_are_fair_coins_and_each_takes_one_word() {
        // Columns alternate: every 2 x 2 block of a 40 x 40 lattice is a tie, 400 coins; a fair coin leaves 200 +- 50 with 5 standard deviations.
        let grid = SpinGrid::new(40, (0..1600).map(|site| site % 2 == 0).collect()).unwrap();
        let mut ties = stream();
        let coarse = grid.majority(2, &mut ties).unwrap();
        let ups = coarse.up().iter().filter(|&&up| up).count();
        assert!((150..=250).contains(&ups), "{ups} of 400 ties went up");
        let mut again = stream();
        for _ in 0..400 {
            again.word();
        }
        assert_eq!(ties, again);
    }

    #[test]
    fn a_majority_of_majorities_is_not_the_majority() {
        // 8 x 8: in three of the four quarters, three of the four 2 x 2 blocks have three spins up; all others are down. 27 of 64 are up, a minority that
        // wins every iterated vote.
        let up = (0..64).map(|site| {
            let (x, y) = (site % 8, site / 8);
            let last = |of: usize| (x / of) % 2 == 1 && (y / of) % 2 == 1;
            !last(1) && !last(2) && !last(4)
        });
        let grid = SpinGrid::new(8, up.collect()).unwrap();
        assert_eq!(grid.up().iter().filter(|&&up| up).count(), 27);
        let untouched = stream();
        let mut ties = stream();
        assert_eq!(grid.majority(8, &mut ties).unwrap().up(), [false]);
        assert_eq!(grid.iterated_majority(3, &mut ties).unwrap()[2].up(), [true]);
        assert_eq!(ties, untouched);
    }

    #[test]
    fn the_summary_goes_up_and_down_as_the_grids_do() {
        let torus = SquareTorus::new(16).unwrap();
        let mut random = stream();
        let configurations: Vec<Configuration> =
            (0..9).map(|_| Configuration::from_words(torus, vec![random.word(), 3, random.word(), 7])).collect();
        let matrix = BitMatrix::from_configurations(configurations.iter(), 256);
        let summary = summarize_blocks(torus, &matrix, 4, 8).unwrap();
        let (mut direct, mut iterated, mut bonds) = (Tally::default(), Tally::default(), Tally::default());
        for (index, configuration) in configurations.iter().enumerate() {
            let grid = SpinGrid::from(configuration);
            assert_eq!(&grid.to_configuration().unwrap(), configuration);
            assert_eq!(grid.bond_sum(), -configuration.energy());
            let down = SpinGrid::new(16, block_reconstruction(configuration, 4, 8, index as u64).unwrap()).unwrap();
            direct.add(down.agreeing_spins(&grid) as i64);
            let coarse = grid.iterated_majority(2, &mut control_stream(8, Control::IteratedTies, index as u64)).unwrap().remove(1);
            iterated.add(coarse.expanded(4).agreeing_spins(&grid) as i64);
            bonds.add(coarse.bond_sum());
        }
        assert_eq!(summary.block_agreement, direct.mean_and_error(256.0));
        assert_eq!(summary.iterated_block_agreement, Some(iterated.mean_and_error(256.0)));
        assert_eq!(summary.block_correlation, Some(bonds.mean_and_error(32.0)));
    }

    #[test]
    fn what_is_as_hard_for_both_is_no_error_of_their_difference() {
        // Configurations of very different order; the other one knows exactly one spin in 256 more than the better blocks do, whatever the configuration.
        let torus = SquareTorus::new(16).unwrap();
        let mut random = stream();
        let mut some = |ups: u32| (0..ups).fold(u64::MAX, |word, _| word & random.word());
        let configurations: Vec<Configuration> =
            (0..20).map(|row| Configuration::from_words(torus, (0..4).map(|_| some(row % 5)).collect())).collect();
        let blocks = Blocks::of(torus, &BitMatrix::from_configurations(configurations.iter(), 256), 4, 8).unwrap();
        let summary = blocks.summary();
        let better = if summary.iterated_block_agreement.unwrap()[0] > summary.block_agreement[0] { 1 } else { 0 };
        let halves: Vec<i64> = blocks.rows.iter().map(|row| 2 * row[better] + 2).collect();
        let [mean, error] = blocks.advantage(&halves);
        assert!((mean - 1.0 / 256.0).abs() < 1e-15 && error < 1e-15, "{mean} {error}");
        // The mutant: errors of both as if they were independent.
        assert!(summary.block_agreement[1] > 0.01, "{summary:?}");
    }

    #[test]
    fn absurd_blocks_are_refused() {
        let grid = SpinGrid::new(4, vec![true; 16]).unwrap();
        assert!(grid.majority(3, &mut stream()).is_err() && grid.majority(0, &mut stream()).is_err());
        assert!(grid.iterated_majority(3, &mut stream()).is_err());
        assert!(SpinGrid::new(4, vec![true; 15]).is_err() && SpinGrid::new(0, Vec::new()).is_err());
        assert!(grid.majority(2, &mut stream()).unwrap().to_configuration().is_err());
        let torus = SquareTorus::new(4).unwrap();
        assert!(summarize_blocks(torus, &BitMatrix::new(2, 15), 2, 1).is_err());
    }

    #[test]
    fn ordered_configurations_lose_nothing() {
        let torus = SquareTorus::new(12).unwrap();
        let configurations = [Configuration::all_up(torus), Configuration::all_down(torus)];
        let matrix = BitMatrix::from_configurations(configurations.iter(), torus.sites());
        let summary = summarize_blocks(torus, &matrix, 4, 1).unwrap();
        assert_eq!(summary.block_agreement, [1.0, 0.0]);
        assert_eq!((summary.iterated_block_agreement, summary.block_correlation), (Some([1.0, 0.0]), Some([1.0, 0.0])));
        assert_eq!(summarize_blocks(torus, &matrix, 3, 1).unwrap().iterated_block_agreement, None);
        assert_eq!(summarize_blocks(torus, &matrix, 1, 1).unwrap().block_agreement, [1.0, 0.0]);
        assert_eq!(block_reconstruction(&configurations[0], 6, 1, 0).unwrap(), vec![true; 144]);
    }
}
