//! The step of learning of several ranks. Each has the samples of its shards, and takes the step for its part of the hidden panels: it gets the sums of the other ranks for these, and
//! gives them the new weights. So a rank sends and receives about twice the weights, however many ranks there are, if they have whole branches of the tree of shards.

use super::Trainer;
use super::gradient::{Scratch, Statistics};
use super::learn::StepOf;
use super::tree::{self, Place};
use crate::kernels::float_vector::Vector;
use crate::kernels::tables::ABREAST;
use crate::kernels::update::Squares;
use crate::rbm::panels::{WIDTH, lot};
use rayon::prelude::*;
use std::ops::Range;

/// Numbers that a rank sends at once, about: 4 MiB, whatever the number of shards and units.
const SENT_AT_ONCE: usize = 1 << 20;

/// What ranks send each other, kept from one minibatch to the next.
#[derive(Default)]
pub struct Messages {
    sent: Vec<f32>,
    received: Vec<f32>,
}

/// Makes room for so many numbers; what stands there is of no account.
fn room(numbers: &mut Vec<f32>, length: usize) -> &mut [f32] {
    if numbers.len() < length {
        numbers.resize(length, 0.0);
    }
    &mut numbers[..length]
}

/// The hidden panels of a block, and what of them belongs to a rank.
struct Block {
    first: usize,
    count: usize,
}

impl Trainer<'_> {
    /// The hidden panels of each block that is worked on at once; the same on all ranks.
    fn blocks(&self) -> Vec<Block> {
        let panels = self.machine.hidden_panels();
        let shards = self.options.shards;
        let (exchange, length) = (self.exchange, self.machine.rows() * WIDTH);
        let most = (0..exchange.ranks()).map(|rank| tree::branches(0..shards, &exchange.part_of(rank, shards)).len()).max().unwrap_or(1);
        let at_once = (SENT_AT_ONCE / (most.max(1) * length)).clamp(1, panels.max(1));
        (0..panels).step_by(at_once).map(|first| Block { first, count: at_once.min(panels - first) }).collect()
    }

    /// Takes the step for all weights, together with the other ranks. Returns the squares of every panel.
    pub(super) fn step_together(&mut self, statistics: &Statistics, step: &StepOf) -> Vec<Squares> {
        let (exchange, shards) = (self.exchange, self.options.shards);
        let (rank, ranks, rows) = (exchange.rank(), exchange.ranks(), self.machine.rows());
        let length = rows * WIDTH;
        let own_shards = exchange.own_shards(shards);
        let branches: Vec<Vec<Range<usize>>> = (0..ranks).map(|rank| tree::branches(0..shards, &exchange.part_of(rank, shards))).collect();
        let total: usize = branches.iter().map(Vec::len).sum();
        let most = branches.iter().map(Vec::len).max().unwrap_or(0);
        // The sums of one of this rank's shards.
        let of_shard = |panels: &Range<usize>, branch: &Range<usize>, place: Place, scratch: &mut Scratch| {
            let is_own = branch.len() == 1 && own_shards.contains(&branch.start);
            if is_own {
                statistics.add_products(panels.clone(), branch.start - own_shards.start, place, scratch);
            }
            is_own
        };
        let mut squares: Vec<f32> = Vec::new();
        for Block { first, count } in self.blocks() {
            let part = |rank: usize| exchange.part_of(rank, count);
            let (own, pool) = (part(rank), &self.pool);

            // What this rank has for the others: for each of them, for each of its branches, the panels.
            let others = |of: usize| if of == rank { 0 } else { length };
            let sent: Vec<usize> = (0..ranks).map(|to| branches[rank].len() * part(to).len() * others(to)).collect();
            let received: Vec<usize> = (0..ranks).map(|from| branches[from].len() * own.len() * others(from)).collect();
            let numbers = room(&mut self.messages.sent, sent.iter().sum());
            let mut pieces = Vec::new();
            let mut rest = &mut *numbers;
            for to in (0..ranks).filter(|&to| to != rank) {
                for branch in &branches[rank] {
                    let (of_branch, after) = rest.split_at_mut(part(to).len() * length);
                    rest = after;
                    let lots = of_branch.chunks_mut(ABREAST * length).enumerate();
                    pieces.extend(lots.map(|(index, numbers)| {
                        let lot = lot(index, part(to).len());
                        (first + part(to).start + lot.start..first + part(to).start + lot.end, branch, numbers)
                    }));
                }
            }
            pieces.into_par_iter().with_min_len(statistics.least_lots).for_each_init(
                || pool.lend(rows),
                |loan, (panels, branch, numbers)| {
                    let scratch = loan.scratch();
                    tree::add_up(branch.clone(), scratch, &|branch, place, scratch| of_shard(&panels, branch, place, scratch));
                    numbers.chunks_exact_mut(WIDTH).zip(&scratch.total).for_each(|(numbers, sum)| numbers.copy_from_slice(&sum.0));
                },
            );
            let others = room(&mut self.messages.received, received.iter().sum());
            let longest = (most * count).max(total * count.div_ceil(ranks)) * length;
            exchange.scatter(numbers, &sent, others, &received, longest);

            // Where the branches of the other ranks stand among what came.
            let mut places = Vec::new();
            let mut place = 0;
            for branch in (0..ranks).filter(|&from| from != rank).flat_map(|from| &branches[from]) {
                places.push((branch.clone(), place));
                place += own.len() * length;
            }
            let others = &*others;
            let range = (first + own.start) * rows..(first + own.end) * rows;
            let weights = self.machine.weights[range.clone()].par_chunks_mut(ABREAST * rows);
            let velocity = self.velocity.weights[range.clone()].par_chunks_mut(ABREAST * rows);
            let found: Vec<Vec<Squares>> = weights
                .zip(velocity)
                .enumerate()
                .with_min_len(statistics.least_lots)
                .map_init(
                    || pool.lend(rows),
                    |loan, (index, (weights, velocity))| {
                        let scratch = loan.scratch();
                        let lot = lot(index, own.len());
                        let panels = first + own.start + lot.start..first + own.start + lot.end;
                        tree::add_up(0..shards, scratch, &|branch, order, scratch| {
                            let Ok(found) = places.binary_search_by_key(&branch.start, |(branch, _)| branch.start) else {
                                return of_shard(&panels, branch, order, scratch);
                            };
                            let (sent, place) = &places[found];
                            if sent == branch {
                                let numbers = others[place + lot.start * length..place + lot.end * length].chunks_exact(WIDTH);
                                scratch.total.iter_mut().zip(numbers).for_each(|(sum, numbers)| match order {
                                    Place::First => sum.0.copy_from_slice(numbers),
                                    Place::Next => add_numbers(sum, numbers),
                                });
                            }
                            sent == branch
                        });
                        step.of_panels(panels, &scratch.total, weights, velocity)
                    },
                )
                .collect();

            // Everyone gets the new weights.
            let counts: Vec<usize> = (0..ranks).map(|rank| part(rank).len() * length).collect();
            let block = &mut self.machine.weights[first * rows..(first + count) * rows];
            exchange.gather_parts(&counts, Vector::numbers_mut(block));
            squares.extend(found.iter().flatten().flat_map(|squares| squares.gradient.0.into_iter().chain(squares.weights.0)));
        }
        self.gather_squares(&squares)
    }

    /// The squares of every panel from those of this rank's, which tell whether all weights are finite.
    fn gather_squares(&self, own: &[f32]) -> Vec<Squares> {
        let (exchange, blocks) = (self.exchange, self.blocks());
        let (each, ranks) = (2 * WIDTH, exchange.ranks());
        let counts: Vec<usize> =
            (0..ranks).map(|rank| each * blocks.iter().map(|block| exchange.part_of(rank, block.count).len()).sum::<usize>()).collect();
        let mut starts: Vec<usize> = (0..ranks).map(|rank| counts[..rank].iter().sum()).collect();
        let mut all = vec![0.0; counts.iter().sum()];
        all[starts[exchange.rank()]..][..own.len()].copy_from_slice(own);
        exchange.gather_parts(&counts, &mut all);
        let mut squares = Vec::with_capacity(self.machine.hidden_panels());
        for (block, rank) in blocks.iter().flat_map(|block| (0..ranks).map(move |rank| (block, rank))) {
            for _ in exchange.part_of(rank, block.count) {
                let vector = |part: usize| Vector(std::array::from_fn(|lane| all[starts[rank] + part * WIDTH + lane]));
                squares.push(Squares { gradient: vector(0), weights: vector(1) });
                starts[rank] += each;
            }
        }
        squares
    }

    /// The last steps of all weights, of which each rank knows those of its panels. Collective, if there are several ranks.
    pub(super) fn gather_velocity(&mut self) {
        let exchange = self.exchange;
        let (ranks, rows) = (exchange.ranks(), self.machine.rows());
        if ranks == 1 || self.options.method.is_exact() {
            return;
        }
        for Block { first, count } in self.blocks() {
            let counts: Vec<usize> = (0..ranks).map(|rank| exchange.part_of(rank, count).len() * rows * WIDTH).collect();
            let block = &mut self.velocity.weights[first * rows..(first + count) * rows];
            exchange.gather_parts(&counts, Vector::numbers_mut(block));
        }
    }
}

pub(super) fn add_numbers(sum: &mut Vector, numbers: &[f32]) {
    sum.0.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
}
