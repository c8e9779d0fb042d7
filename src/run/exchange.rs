//! Minibatch shards over the ranks: what a trainer asks of them, answered by a [`Comm`].

use crate::comm::{self, Comm};
use crate::error::Result;
use crate::rbm::train::ShardExchange;
use std::ops::Range;

/// Each rank owns a contiguous part of the shards of every minibatch; all ranks see all partial sums, in the order of the shards.
pub struct OverRanks<'a>(pub &'a dyn Comm);

impl ShardExchange for OverRanks<'_> {
    fn own_shards(&self, shards: usize) -> Range<usize> {
        comm::share(shards, self.0.rank(), self.0.size())
    }

    fn gather(&self, shards: usize, own: &[f32], all: &mut [f32]) -> Result<()> {
        let length = all.len() / shards;
        let counts: Vec<usize> = (0..self.0.size()).map(|rank| comm::share(shards, rank, self.0.size()).len() * length).collect();
        self.0.all_gather(own, &counts, all);
        Ok(())
    }
}
