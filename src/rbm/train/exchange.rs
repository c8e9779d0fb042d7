//! What ranks say to each other while they train one machine: who owns which shards, and how the sums of shards get to those who need them.

use std::ops::Range;

/// How the shards of a minibatch are divided over ranks, and how their sums come together. Ranks call everything together.
pub trait ShardExchange {
    /// The number of this rank, from 0.
    fn rank(&self) -> usize {
        0
    }

    /// The number of ranks.
    fn ranks(&self) -> usize {
        1
    }

    /// The part of a rank of so many shards or panels: all ranks together own all of them, contiguously, in rank order.
    fn part_of(&self, rank: usize, items: usize) -> Range<usize>;

    /// The shards of this rank.
    fn own_shards(&self, shards: usize) -> Range<usize> {
        self.part_of(self.rank(), shards)
    }

    /// Brings the numbers of all ranks to every rank: `counts` are those of each, and this one's stand in their place in `all` already.
    fn gather_parts(&self, counts: &[usize], all: &mut [f32]);

    /// Sends each other rank numbers of its own: `sent[r]` of `own` go to rank r, `received[r]` of `all` come from it. What `own` has for this rank itself stays there: `received` is 0 there. No
    /// rank sends or receives more than `longest`, which is the same on all.
    fn scatter(&self, own: &[f32], sent: &[usize], all: &mut [f32], received: &[usize], longest: usize);

    /// Brings the sums of all shards to every rank: `own` holds those of this rank's shards one after the other, `all` takes those of all `shards` in order.
    fn gather(&self, shards: usize, own: &[f32], all: &mut [f32]) {
        let length = all.len() / shards;
        let counts: Vec<usize> = (0..self.ranks()).map(|rank| self.part_of(rank, shards).len() * length).collect();
        let start = counts[..self.rank()].iter().sum::<usize>();
        all[start..start + own.len()].copy_from_slice(own);
        self.gather_parts(&counts, all);
    }
}

/// One rank that owns all shards.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

impl ShardExchange for Alone {
    fn part_of(&self, _rank: usize, items: usize) -> Range<usize> {
        0..items
    }

    fn gather_parts(&self, _counts: &[usize], _all: &mut [f32]) {}

    fn scatter(&self, _own: &[f32], _sent: &[usize], _all: &mut [f32], _received: &[usize], _longest: usize) {}
}
