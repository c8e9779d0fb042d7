//! The step of learning of several ranks. Each has made the samples of its shards, and takes the step for its part of the hidden panels: it gets what the samples of the other ranks have there,
//! all visible units of a sample and those hidden ones, sums over all of them as a rank alone would, and gives the others the new weights. That is less to send than sums over samples are,
//! unless a rank has more than half as many samples as there are visible units.

use super::gradient::{Side, Statistics, strips};
use super::learn::StepOf;
use super::{Trainer, tree};
use crate::kernels::float_vector::Vector;
use crate::kernels::statistics::Choices;
use crate::kernels::tables::ABREAST;
use crate::kernels::update::Squares;
use crate::rbm::panels::{Units, WIDTH, lot};
use rayon::prelude::*;
use std::ops::Range;

/// Memory that is kept from one minibatch to the next.
#[derive(Default)]
pub struct Messages {
    /// Numbers of visible units of all ranks.
    visible: Vec<f32>,
    /// Probabilities of hidden units of the other ranks' samples, of the data and of the model.
    hidden: [Vec<Vector>; 2],
    /// Table entries chosen by the samples of each rank.
    choices: Vec<Vec<Choices>>,
}

/// Makes room for so many; what stands there is of no account.
fn room<T: Copy>(numbers: &mut Vec<T>, length: usize, fill: T) -> &mut [T] {
    if numbers.len() < length {
        numbers.resize(length, fill);
    }
    &mut numbers[..length]
}

/// The numbers in which the units of some samples travel: bits two panels a number, in the bits of the number.
fn travelling(units: &Units, panels: usize, samples: usize) -> usize {
    match units {
        Units::Bits(_) => (panels * samples).div_ceil(2),
        Units::Numbers(_) => panels * samples * WIDTH,
    }
}

fn put(units: &Units, numbers: &mut [f32]) {
    match units {
        Units::Bits(bits) => {
            for (number, pair) in numbers.iter_mut().zip(bits.chunks(2)) {
                *number = f32::from_bits(u32::from(pair[0]) | u32::from(*pair.get(1).unwrap_or(&0)) << 16);
            }
        }
        Units::Numbers(vectors) => {
            numbers.chunks_exact_mut(WIDTH).zip(vectors).for_each(|(numbers, vector)| numbers.copy_from_slice(&vector.0));
        }
    }
}

/// The reverse of [`put`] for as many units as `length`, of the kind of `like`.
fn take(like: &Units, length: usize, numbers: &[f32]) -> Units {
    match like {
        Units::Bits(_) => {
            let mut bits: Vec<u16> = numbers.iter().flat_map(|number| [number.to_bits() as u16, (number.to_bits() >> 16) as u16]).collect();
            bits.truncate(length);
            Units::Bits(bits)
        }
        Units::Numbers(_) => {
            Units::Numbers(numbers.chunks_exact(WIDTH).map(|numbers| Vector(std::array::from_fn(|lane| numbers[lane]))).collect())
        }
    }
}

/// What all ranks know of the samples of the others before a step.
struct Others {
    /// The strips of each rank's samples, of the data and of the model.
    strips: Vec<[Vec<Range<usize>>; 2]>,
    /// Their visible units.
    visible: Vec<[Units; 2]>,
    /// Where the hidden units of each rank's samples begin among those that came.
    starts: Vec<[usize; 2]>,
}

impl Trainer<'_> {
    /// Takes the step for all weights, together with the other ranks; `samples` are those of the data and of the model, all ranks together. Returns the squares of every panel.
    pub(super) fn step_together(&mut self, statistics: &Statistics, samples: [usize; 2], step: &StepOf) -> Vec<Squares> {
        let (exchange, shards, set) = (self.exchange, self.options.shards, self.set);
        let (rank, ranks, rows, panels) = (exchange.rank(), exchange.ranks(), self.machine.rows(), self.machine.hidden_panels());
        let own = exchange.part_of(rank, panels);
        let others = self.meet(statistics.sides(), samples);

        let mut choices = std::mem::take(&mut self.messages.choices);
        choices.resize_with(ranks, Vec::new);
        let of_ranks: Vec<Option<Statistics>> = (0..ranks)
            .zip(&mut choices)
            .map(|(from, memory)| {
                let side = |side: usize| {
                    let strips = &others.strips[from][side];
                    let start = others.starts[from][side];
                    let length = own.len() * strips.last().map_or(0, |strip| strip.end);
                    let hidden = &self.messages.hidden[side][start..start + length];
                    Side { visible: &others.visible[from][side], hidden, strips, weight: statistics.sides()[side].weight }
                };
                (from != rank)
                    .then(|| Statistics::new(set, [0, 1].map(side), &self.machine, std::mem::take(memory)).of_panels_from(own.start))
            })
            .collect();
        let owners: Vec<(usize, usize)> =
            (0..ranks).flat_map(|rank| exchange.part_of(rank, shards).enumerate().map(move |(strip, _)| (rank, strip))).collect();

        let range = own.start * rows..own.end * rows;
        let weights = self.machine.weights[range.clone()].par_chunks_mut(ABREAST * rows);
        let velocity = self.velocity.weights[range].par_chunks_mut(ABREAST * rows);
        let pool = &self.pool;
        let found: Vec<Vec<Squares>> = weights
            .zip(velocity)
            .enumerate()
            .with_min_len(statistics.least_lots)
            .map_init(
                || pool.lend(rows),
                |loan, (index, (weights, velocity))| {
                    let scratch = loan.scratch();
                    let lot = lot(index, own.len());
                    let panels = own.start + lot.start..own.start + lot.end;
                    tree::add_up(0..shards, scratch, &|shard, place, scratch| {
                        let (rank, strip) = owners[shard];
                        of_ranks[rank].as_ref().unwrap_or(statistics).add_products(panels.clone(), strip, place, scratch);
                    });
                    step.of_panels(panels, &scratch.total, weights, velocity)
                },
            )
            .collect();
        let memory = of_ranks.into_iter().map(|of_rank| of_rank.map_or_else(Vec::new, Statistics::into_memory));
        self.messages.choices = memory.collect();

        // Everyone gets the new weights, and the squares that tell whether they are finite.
        let counts = |each: usize| (0..ranks).map(|rank| exchange.part_of(rank, panels).len() * each).collect::<Vec<usize>>();
        exchange.gather_parts(&counts(rows * WIDTH), Vector::numbers_mut(&mut self.machine.weights));
        let mut all = vec![0.0; panels * 2 * WIDTH];
        let places = all[own.start * 2 * WIDTH..].chunks_exact_mut(2 * WIDTH);
        for (place, squares) in places.zip(found.iter().flatten()) {
            place[..WIDTH].copy_from_slice(&squares.gradient.0);
            place[WIDTH..].copy_from_slice(&squares.weights.0);
        }
        exchange.gather_parts(&counts(2 * WIDTH), &mut all);
        let squares = all.chunks_exact(2 * WIDTH).map(|numbers| {
            let [gradient, weights] = [0, WIDTH].map(|place| Vector(std::array::from_fn(|lane| numbers[place + lane])));
            Squares { gradient, weights }
        });
        squares.collect()
    }

    /// Brings the samples of all ranks together: their visible units to all, and of their hidden ones to each rank those of its panels.
    fn meet(&mut self, sides: &[Side; 2], samples: [usize; 2]) -> Others {
        let (exchange, shards) = (self.exchange, self.options.shards);
        let (rank, ranks, panels) = (exchange.rank(), exchange.ranks(), self.machine.hidden_panels());
        let visible_panels = self.machine.visible_panels();
        let strips: Vec<[Vec<Range<usize>>; 2]> =
            (0..ranks).map(|rank| samples.map(|samples| strips(samples, shards, exchange.part_of(rank, shards)))).collect();
        let of_rank = |rank: usize, side: usize| strips[rank][side].last().map_or(0, |strip| strip.end);

        let length = |rank: usize, side: usize| travelling(sides[side].visible, visible_panels, of_rank(rank, side));
        let counts: Vec<usize> = (0..ranks).map(|rank| length(rank, 0) + length(rank, 1)).collect();
        let numbers = room(&mut self.messages.visible, counts.iter().sum(), 0.0);
        let (data, model) = numbers[counts[..rank].iter().sum::<usize>()..][..counts[rank]].split_at_mut(length(rank, 0));
        put(sides[0].visible, data);
        put(sides[1].visible, model);
        exchange.gather_parts(&counts, numbers);
        let mut rest = &*numbers;
        let mut visible = Vec::with_capacity(ranks);
        for from in 0..ranks {
            visible.push([0, 1].map(|side| {
                let (part, after) = rest.split_at(length(from, side));
                rest = after;
                // This rank has its own.
                let units = if from == rank { 0 } else { visible_panels * of_rank(from, side) };
                take(sides[side].visible, units, &part[..travelling(sides[side].visible, units, 1)])
            }));
        }

        let own = exchange.part_of(rank, panels);
        let mut starts = vec![[0; 2]; ranks];
        for side in [0, 1] {
            let sent: Vec<usize> = (0..ranks).map(|to| exchange.part_of(to, panels).len() * of_rank(rank, side) * WIDTH).collect();
            let vectors = |from: usize| if from == rank { 0 } else { own.len() * of_rank(from, side) };
            let received: Vec<usize> = (0..ranks).map(|from| vectors(from) * WIDTH).collect();
            for (from, start) in starts.iter_mut().enumerate() {
                start[side] = (0..from).map(vectors).sum();
            }
            let into = room(&mut self.messages.hidden[side], (0..ranks).map(vectors).sum(), Vector::ZERO);
            let longest = panels.div_ceil(ranks).max(1) * samples[side].max(1) * WIDTH;
            let most = (0..ranks).map(|rank| of_rank(rank, side)).max().unwrap_or(0) * panels * WIDTH;
            exchange.scatter(Vector::numbers(sides[side].hidden), &sent, Vector::numbers_mut(into), &received, longest.max(most));
        }
        Others { strips, visible, starts }
    }

    /// The last steps of all weights, of which each rank knows those of its panels. Collective, if there are several ranks.
    pub(super) fn gather_velocity(&mut self) {
        let (exchange, panels, rows) = (self.exchange, self.machine.hidden_panels(), self.machine.rows());
        if exchange.ranks() == 1 || self.options.method.is_exact() {
            return;
        }
        let counts: Vec<usize> = (0..exchange.ranks()).map(|rank| exchange.part_of(rank, panels).len() * rows * WIDTH).collect();
        exchange.gather_parts(&counts, Vector::numbers_mut(&mut self.velocity.weights));
    }
}

pub(super) fn add_numbers(sum: &mut Vector, numbers: &[f32]) {
    sum.0.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_travel_bit_by_bit() {
        // Patterns that are no numbers among them.
        for bits in [vec![], vec![0xffff], vec![0x7fc0, 0xffff, 1], vec![0xffff, 0xff80, 0, 0x7f80]] {
            let units = Units::Bits(bits.clone());
            let mut numbers = vec![0.0; travelling(&units, bits.len(), 1)];
            put(&units, &mut numbers);
            assert!(matches!(take(&units, bits.len(), &numbers), Units::Bits(found) if found == bits));
        }
        let vectors: Vec<Vector> = (0..3).map(|number| Vector::splat(number as f32 - 0.5)).collect();
        let units = Units::Numbers(vectors.clone());
        let mut numbers = vec![0.0; travelling(&units, 3, 1)];
        put(&units, &mut numbers);
        assert!(matches!(take(&units, 3, &numbers), Units::Numbers(found) if found == vectors));
    }
}
