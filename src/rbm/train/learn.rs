//! The step of learning: the sums of all shards come together, then weights and biases move.

use super::exact::ExactGradient;
use super::gradient::{Scratch, Statistics};
use super::together::add_numbers;
use super::{Outcome, ShardExchange, Trainer, tree};
use crate::error::Result;
use crate::kernels::InstructionSet;
use crate::kernels::float_vector::Vector;
use crate::kernels::tables::ABREAST;
use crate::kernels::update::{self, Squares, Step};
use crate::rbm::GradientKind;
use crate::rbm::panels::{Machine, WIDTH, lot, mask};
use rayon::prelude::*;
use std::ops::Range;

/// Where the sums of a step come from.
#[derive(Clone, Copy)]
pub enum Sums<'a> {
    /// The samples of a minibatch, shard by shard.
    Samples(&'a Statistics<'a>),
    /// All states; every rank has summed them.
    Exact(&'a ExactGradient),
}

impl Sums<'_> {
    /// The sums over visible and over hidden units in panels, and the squared error: all shards together.
    fn of_biases(self, machine: &Machine, errors: &[f64], shards: usize, exchange: &dyn ShardExchange) -> (Vec<Vector>, Vec<Vector>, f64) {
        let (visible_panels, panels) = (machine.visible_panels(), machine.visible_panels() + machine.hidden_panels());
        let statistics = match self {
            Sums::Samples(statistics) => statistics,
            Sums::Exact(gradient) => return (in_panels(&gradient.visible), in_panels(&gradient.hidden), 0.0),
        };
        let sum = |index: usize| match (index / panels, index % panels) {
            (strip, panel) if panel < visible_panels => statistics.visible_sums(panel, strip),
            (strip, panel) => statistics.hidden_sums(panel - visible_panels, strip),
        };
        let sums: Vec<Vector> = (0..statistics.strips() * panels).into_par_iter().with_min_len(statistics.least_lots).map(sum).collect();
        let length = panels * WIDTH + 1;
        let mut own = Vec::with_capacity(statistics.strips() * length);
        for (sums, &error) in sums.chunks_exact(panels).zip(errors) {
            sums.iter().for_each(|sum| own.extend_from_slice(&sum.0));
            own.push(error as f32);
        }
        let mut all = vec![0.0; shards * length];
        exchange.gather(shards, &own, &mut all);
        let mut visible_sums = vec![Vector::ZERO; panels];
        let mut squared_error = 0.0;
        for shard in all.chunks_exact(length) {
            visible_sums.iter_mut().zip(shard.chunks_exact(WIDTH)).for_each(|(sum, numbers)| add_numbers(sum, numbers));
            squared_error += f64::from(shard[length - 1]);
        }
        let hidden_sums = visible_sums.split_off(visible_panels);
        (visible_sums, hidden_sums, squared_error)
    }

    /// Puts the sums of the products v_i p_j of a lot of hidden panels into `scratch.total`, panels of `rows` vectors, for a rank that has all shards.
    fn put_products(self, panels: Range<usize>, rows: usize, scratch: &mut Scratch) {
        match self {
            Sums::Samples(statistics) => tree::add_up(0..statistics.strips(), scratch, &|strip, place, scratch| {
                statistics.add_products(panels.clone(), strip, place, scratch);
            }),
            Sums::Exact(gradient) => {
                for (panel, total) in panels.zip(scratch.total.chunks_exact_mut(rows)) {
                    for (total, row) in total.iter_mut().zip(gradient.weights.chunks_exact(gradient.hidden.len())) {
                        let numbers = row[panel * WIDTH..].iter().take(WIDTH);
                        *total = Vector::ZERO;
                        total.0.iter_mut().zip(numbers).for_each(|(sum, &number)| *sum = number as f32);
                    }
                }
            }
        }
    }

    /// Lots of panels that a thread takes at least.
    fn least_lots(self) -> usize {
        match self {
            Sums::Samples(statistics) => statistics.least_lots,
            Sums::Exact(_) => usize::MAX,
        }
    }
}

fn in_panels(numbers: &[f64]) -> Vec<Vector> {
    let mut panels = vec![Vector::ZERO; numbers.len().div_ceil(WIDTH)];
    for (panel, numbers) in panels.iter_mut().zip(numbers.chunks(WIDTH)) {
        panel.0.iter_mut().zip(numbers).for_each(|(lane, &number)| *lane = number as f32);
    }
    panels
}

/// A step of learning, the same for all weights.
pub struct StepOf<'a> {
    set: InstructionSet,
    step: Step,
    half: f32,
    visible_shift: Vec<f32>,
    hidden_sums: &'a [Vector],
    hidden: usize,
}

impl StepOf<'_> {
    /// Moves the weights of some hidden panels, whose sums are `sums`; the squares of each.
    pub fn of_panels(&self, panels: Range<usize>, sums: &[Vector], weights: &mut [Vector], velocity: &mut [Vector]) -> Vec<Squares> {
        let rows = weights.len() / panels.len();
        let parts = sums.chunks_exact(rows).zip(weights.chunks_exact_mut(rows)).zip(velocity.chunks_exact_mut(rows));
        panels
            .zip(parts)
            .map(|(panel, ((sums, weights), velocity))| {
                let hidden_shift = Vector(self.hidden_sums[panel].0.map(|sum| self.half * sum));
                update::learn(self.set, sums, &self.visible_shift, &hidden_shift, mask(panel, self.hidden), &self.step, velocity, weights)
            })
            .collect()
    }
}

impl Trainer<'_> {
    /// Brings the sums of all shards together, panel by panel, and takes the step.
    pub(super) fn learn(&mut self, sums: &Sums, errors: &[f64], samples: usize) -> Result<Outcome> {
        let (set, shards, exchange) = (self.set, self.options.shards, self.exchange);
        // The samples of other ranks, if there are any.
        let shared = match *sums {
            Sums::Samples(statistics) if exchange.own_shards(shards) != (0..shards) => Some(statistics),
            _ => None,
        };

        // What is small comes first, all panels at once: sums over visible units, over hidden units, and the reconstruction error.
        let (visible_sums, hidden_sums, squared_error) = sums.of_biases(&self.machine, errors, shards, exchange);

        let options = &self.options;
        let step = Step {
            scale: 1.0 / samples as f32,
            learning_rate: options.learning_rate_in(self.epochs),
            momentum: options.momentum_in(self.epochs),
            l1: options.l1_in(self.epochs),
            l2: options.l2,
            limit: options.gradient_limit,
        };
        // The centred gradient is <v h> - <v>/2 - <h>/2.
        let half = if options.gradient == GradientKind::Centred { 0.5 * step.scale } else { 0.0 };
        let (visible, hidden) = (self.machine.visible, self.machine.hidden);
        let visible_shift: Vec<f32> = visible_sums.iter().flat_map(|sum| sum.0).take(visible).map(|sum| half * sum).collect();
        let step_of = StepOf { set, step, half, visible_shift, hidden_sums: &hidden_sums, hidden };
        let squares = match shared {
            Some(statistics) => {
                let of_model = if self.options.method.is_persistent() { self.options.chains } else { samples };
                self.step_together(statistics, [samples, of_model], &step_of)
            }
            None => self.step_alone(sums, &step_of),
        };

        let velocities = [&mut self.velocity.visible_bias, &mut self.velocity.hidden_bias];
        let mut bias_squares = 0.0;
        for ((biases, velocities), sums) in self.biases.iter_mut().zip(velocities).zip([&visible_sums, &hidden_sums]) {
            for ((bias, velocity), sum) in biases.iter_mut().zip(velocities).zip(sums) {
                let kept = Vector(velocity.0.map(|velocity| step.momentum * velocity));
                *velocity = kept.plus_product(step.learning_rate, &Vector(sum.0.map(|sum| step.scale * sum)));
                *bias = bias.plus(velocity);
                bias_squares += Vector(bias.0.map(|bias| bias * bias)).sum();
            }
        }
        self.set_biases();
        Ok(Outcome {
            squared_error,
            gradient_squares: squares.iter().map(|squares| squares.gradient.sum()).sum(),
            weight_squares: squares.iter().map(|squares| squares.weights.sum()).sum::<f64>() + bias_squares,
        })
    }

    /// Takes the step for all weights on a rank that has all shards. Returns the squares of every panel.
    fn step_alone(&mut self, sums: &Sums, step: &StepOf) -> Vec<Squares> {
        let (rows, hidden_panels) = (self.machine.rows(), self.machine.hidden_panels());
        let pool = &self.pool;
        let lots = self.machine.weights.par_chunks_mut(ABREAST * rows).zip(self.velocity.weights.par_chunks_mut(ABREAST * rows));
        let found: Vec<Vec<Squares>> = lots
            .enumerate()
            .with_min_len(sums.least_lots())
            .map_init(
                || pool.lend(rows),
                |loan, (index, (weights, velocity))| {
                    let scratch = loan.scratch();
                    let panels = lot(index, hidden_panels);
                    sums.put_products(panels.clone(), rows, scratch);
                    step.of_panels(panels, &scratch.total, weights, velocity)
                },
            )
            .collect();
        found.into_iter().flatten().collect()
    }

    /// The biases of the machine from those in the coordinates of the gradient: c = c' - W 1/2 and b = b' - W^T 1/2 if it is centred.
    pub(super) fn set_biases(&mut self) {
        let [visible, hidden] = &self.biases;
        let Machine { weights, visible_bias, hidden_bias, .. } = &mut self.machine;
        visible_bias.clone_from(visible);
        hidden_bias.clone_from(hidden);
        let rows = visible_bias.len() * WIDTH;
        if self.options.gradient == GradientKind::Plain {
            return;
        }
        let set = self.set;
        visible_bias.par_iter_mut().enumerate().for_each(|(panel, bias)| {
            let mut sums = [Vector::ZERO; WIDTH];
            weights.chunks_exact(rows).for_each(|weights| update::accumulate(set, &weights[panel * WIDTH..(panel + 1) * WIDTH], &mut sums));
            bias.0.iter_mut().zip(&sums).for_each(|(bias, sum)| *bias -= (0.5 * sum.sum()) as f32);
        });
        hidden_bias.par_iter_mut().zip(weights.par_chunks_exact(rows)).for_each(|(bias, weights)| {
            let half = Vector(update::total(set, weights).0.map(|sum| -0.5 * sum));
            *bias = bias.plus(&half);
        });
    }
}
