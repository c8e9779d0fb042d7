//! Which rank does which units of work of the stage `[sample]`: by cost, so that those who have the large lattices do not keep the others waiting. With several sizes and several ranks, a spin of
//! each size is timed first, in the sampler and on the machine of the run: caches and clusters make it dearer on one lattice than on another.

use super::sample::{Plan, measure_speed};
use crate::comm::{self, Comm};
use crate::error::Result;
use std::ops::Range;
use std::time::Duration;

/// Spins a rank must have to do before it is worth a tenth of a second to know what they cost.
const WORTH_MEASURING: u128 = 1 << 32;
/// How long each of the trials of a size takes, about.
const TRIAL: Duration = Duration::from_millis(20);
/// Beyond this side a lattice is far from the fast caches, and a spin costs the same.
const LARGEST_TRIAL: usize = 1024;

impl Plan {
    /// The plan with what a spin of each size costs, the same on all ranks, which share the trials. Collective.
    ///
    /// # Errors
    /// Whatever a sampler refuses.
    pub fn with_measured_costs(&self, comm: &dyn Comm) -> Result<Plan> {
        let mut plan = self.clone();
        let mut sizes: Vec<usize> = self.ensembles.iter().map(|ensemble| ensemble.0).collect();
        sizes.dedup();
        let work: u128 = (0..self.units().len()).map(|unit| self.cost(unit, 0)).sum();
        if comm.size() == 1 || sizes.len() == 1 || work < WORTH_MEASURING * comm.size() as u128 {
            return Ok(plan);
        }
        let own: Result<Vec<u64>> = sizes.iter().skip(comm.rank()).step_by(comm.size()).map(|&side| self.picoseconds_of(side)).collect();
        let bytes = comm::agree(comm, own)?.into_iter().flat_map(u64::to_le_bytes).collect();
        let parts = comm.gather(bytes).unwrap_or_default();
        let all = comm.broadcast(parts.concat());
        // In the order of the ranks, of which each has every n-th size.
        let order = (0..comm.size()).flat_map(|rank| sizes.iter().skip(rank).step_by(comm.size()));
        plan.picoseconds = order.copied().zip(all.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes).max(1))).collect();
        Ok(plan)
    }

    /// What a spin of a size costs one thread here.
    fn picoseconds_of(&self, side: usize) -> Result<u64> {
        let trial = side.min(LARGEST_TRIAL);
        let mut plan = self.clone();
        plan.ensembles.iter_mut().filter(|ensemble| ensemble.0 == side).for_each(|ensemble| ensemble.0 = trial);
        let speed = measure_speed(&plan, trial, TRIAL)? / rayon::current_num_threads() as f64;
        Ok((1e12 / speed) as u64)
    }

    /// What is left to do of a unit after so many sweeps, in picoseconds if they were measured, otherwise in spins.
    fn time(&self, unit: usize, done: usize) -> u128 {
        self.cost(unit, done) * u128::from(self.picoseconds.get(&self.units()[unit].side(self)).copied().unwrap_or(1))
    }

    /// The units of a rank: contiguous, with about the same cost left on each, where `done` are the sweeps done of every unit. A unit belongs to the rank in
    /// whose equal part of the total cost its middle lies.
    pub fn units_of(&self, rank: usize, size: usize, done: &[usize]) -> Range<usize> {
        let cost = |unit: usize| self.time(unit, done[unit]);
        let total: u128 = (0..self.units.len()).map(cost).sum();
        let mut before = 0;
        let owners: Vec<usize> = (0..self.units.len())
            .map(|unit| {
                let middle = 2 * before + cost(unit);
                before += cost(unit);
                // Finished units at the end have their middle at the end of all parts.
                ((middle * size as u128 / (2 * total).max(1)) as usize).min(size - 1)
            })
            .collect();
        owners.partition_point(|&owner| owner < rank)..owners.partition_point(|&owner| owner <= rank)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::sample::tests::plan;

    #[test]
    fn every_chain_has_one_rank() {
        for (sides, replicas) in [(vec![8], 1), (vec![8, 10, 12], 4), (vec![4, 64, 16], 3), (vec![128, 4], 2)] {
            let plan = plan(&sides, replicas);
            let half_done = (0..plan.chains()).map(|chain| if chain % 3 == 0 { plan.sweeps() } else { chain % plan.sweeps() }).collect();
            for done in [vec![0; plan.chains()], vec![plan.sweeps(); plan.chains()], half_done] {
                for size in 1..=9 {
                    let all: Vec<usize> = (0..size).flat_map(|rank| plan.units_of(rank, size, &done)).collect();
                    assert_eq!(all, (0..plan.chains()).collect::<Vec<_>>(), "{sides:?} x {replicas} on {size}, {done:?} done");
                }
            }
        }
    }

    /// Seven sizes on any number of ranks: no rank has more than its share and half a unit at either end, whatever a spin costs; and the mutant that counts spins alone is far off.
    #[test]
    fn large_lattices_do_not_wait_for_small_ones() {
        let mut plan = plan(&[8, 16, 24, 32, 48, 64, 96], 12);
        let done = vec![0; plan.chains()];
        let spins_alone = plan.clone();
        plan.picoseconds = [(8, 900), (16, 400), (24, 200), (32, 150), (48, 120), (64, 100), (96, 100)].into();
        let total: u128 = (0..plan.chains()).map(|unit| plan.time(unit, 0)).sum();
        let largest = (0..plan.chains()).map(|unit| plan.time(unit, 0)).max().expect("units");
        let slowest = |by: &Plan, ranks: usize| {
            let time = |rank: usize| by.units_of(rank, ranks, &done).map(|unit| plan.time(unit, 0)).sum::<u128>();
            (0..ranks).map(time).max().expect("ranks")
        };
        for ranks in 1..=16 {
            assert!(slowest(&plan, ranks) <= total / ranks as u128 + largest, "{ranks} ranks");
        }
        assert!(slowest(&plan, 4) * 100 < total / 4 * 110, "within a tenth of the ideal");
        assert!(slowest(&spins_alone, 4) * 100 > total / 4 * 115, "costs that are not measured cost time");
    }
}
