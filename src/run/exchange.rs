//! Minibatch shards over the ranks: what a trainer asks of them, answered by a [`Comm`].

use crate::comm::{self, Comm};
use crate::rbm::train::ShardExchange;
use std::ops::Range;

/// Each rank owns a contiguous part of the shards of every minibatch, and of the weights.
pub struct OverRanks<'a>(pub &'a dyn Comm);

impl ShardExchange for OverRanks<'_> {
    fn rank(&self) -> usize {
        self.0.rank()
    }

    fn ranks(&self) -> usize {
        self.0.size()
    }

    fn part_of(&self, rank: usize, items: usize) -> Range<usize> {
        comm::share(items, rank, self.0.size())
    }

    fn gather_parts(&self, counts: &[usize], all: &mut [f32]) {
        self.0.all_gather(counts, all);
    }

    fn scatter(&self, own: &[f32], sent: &[usize], all: &mut [f32], received: &[usize], longest: usize) {
        self.0.all_to_all(own, sent, all, received, longest);
    }
}
