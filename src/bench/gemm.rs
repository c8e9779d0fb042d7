//! Contrastive divergence and Gibbs sampling by matrix products: the same estimator as the trainer's, as well as it can be built on the fastest crate for such products. Data,
//! states and probabilities are single-precision matrices, one row a sample; states are drawn and weights moved by the kernels of the trainer, so that the two differ in the
//! products alone.

use crate::kernels::float_vector::Vector;
use crate::kernels::rival::{View, multiply};
use crate::kernels::update::{self, Step};
use crate::kernels::{InstructionSet, activation};
use crate::random::{LaneStream, Purpose, Stream};
use crate::spins::BitMatrix;

/// A row-major matrix whose rows are whole vectors.
struct Numbers {
    columns: usize,
    vectors: Vec<Vector>,
}

impl Numbers {
    fn zero(rows: usize, columns: usize) -> Self {
        Numbers { columns, vectors: vec![Vector::ZERO; rows * columns.div_ceil(Vector::WIDTH)] }
    }

    fn stride(&self) -> usize {
        self.columns.next_multiple_of(Vector::WIDTH)
    }

    fn view(&self) -> View<'_> {
        View { numbers: &self.vectors, row: self.stride(), column: 1 }
    }

    fn transposed(&self) -> View<'_> {
        View { row: 1, column: self.stride(), ..self.view() }
    }

    /// The rows `first ..`.
    fn rows_from(&self, first: usize) -> View<'_> {
        View { numbers: &self.vectors[first * self.stride() / Vector::WIDTH..], ..self.view() }
    }

    fn set_rows(&mut self, row: &[Vector]) {
        self.vectors.chunks_exact_mut(row.len()).for_each(|to| to.copy_from_slice(row));
    }

    fn set_bits(&mut self, bits: &[u16]) {
        for (vector, &bits) in self.vectors.iter_mut().zip(bits) {
            for lane in 0..Vector::WIDTH {
                vector.0[lane] = f32::from(bits >> lane & 1);
            }
        }
    }

    fn column_sums(&self, first: usize, rows: usize) -> Vec<Vector> {
        let width = self.stride() / Vector::WIDTH;
        let mut sums = vec![Vector::ZERO; width];
        for row in self.vectors[first * width..(first + rows) * width].chunks_exact(width) {
            sums.iter_mut().zip(row).for_each(|(sum, vector)| *sum = sum.plus(vector));
        }
        sums
    }
}

/// Momentum, penalty and rate of the timed training.
const STEP: Step = Step { scale: 1.0, learning_rate: 0.1, momentum: 0.5, l1: 2e-4, l2: 0.0, limit: f32::INFINITY };

/// A machine and its minibatch.
pub(super) struct GemmTrainer {
    set: InstructionSet,
    threads: usize,
    minibatch: usize,
    gibbs_steps: usize,
    /// All samples.
    data: Numbers,
    weights: Numbers,
    gradient: Numbers,
    velocity: Vec<Vector>,
    /// Visible, hidden.
    biases: [Vec<Vector>; 2],
    lanes: LaneStream,
    next: usize,
    visible: Numbers,
    hidden: Numbers,
    probabilities: [Numbers; 2],
    bits: Vec<u16>,
}

impl GemmTrainer {
    /// A trainer of `hidden` units on `data`, of which each minibatch takes the next rows.
    pub(super) fn new(data: &BitMatrix, hidden: usize, minibatch: usize, gibbs_steps: usize, threads: usize) -> Self {
        let visible = data.columns();
        let mut numbers = Numbers::zero(data.rows(), visible);
        let stride = numbers.stride();
        for row in 0..data.rows() {
            for unit in data.bits(row).iter_ones() {
                let place = row * stride + unit;
                numbers.vectors[place / Vector::WIDTH].0[place % Vector::WIDTH] = 1.0;
            }
        }
        let mut weights = Numbers::zero(visible, hidden);
        let mut stream = Stream::new(super::network::SEED, Purpose::Check, 4);
        weights.vectors.iter_mut().for_each(|vector| vector.0.iter_mut().for_each(|weight| *weight = 0.01 * stream.normal() as f32));
        let bias = |units: usize| vec![Vector::ZERO; units.div_ceil(Vector::WIDTH)];
        GemmTrainer {
            set: InstructionSet::available()[0],
            threads,
            minibatch,
            gibbs_steps,
            data: numbers,
            velocity: weights.vectors.iter().map(|_| Vector::ZERO).collect(),
            gradient: Numbers::zero(visible, hidden),
            weights,
            biases: [bias(visible), bias(hidden)],
            lanes: LaneStream::new(super::network::SEED, Purpose::Check, 5),
            next: 0,
            visible: Numbers::zero(minibatch, visible),
            hidden: Numbers::zero(minibatch, hidden),
            probabilities: [Numbers::zero(minibatch, hidden), Numbers::zero(minibatch, hidden)],
            bits: Vec::new(),
        }
    }

    /// Fields of the hidden layer: of the data or of the reconstruction.
    fn hidden_fields(&mut self, of_data: bool) {
        let given = if of_data { self.data.rows_from(self.next) } else { self.visible.view() };
        let fields = &mut self.probabilities[usize::from(!of_data)];
        fields.set_rows(&self.biases[1]);
        let (shape, stride) = ([self.minibatch, self.weights.columns, self.data.columns], fields.stride());
        multiply(shape, 1.0, given, self.weights.view(), true, &mut fields.vectors, stride, self.threads);
    }

    /// Draws the visible layer given the hidden one.
    fn reconstruct(&mut self) {
        self.visible.set_rows(&self.biases[0]);
        let (shape, stride) = ([self.minibatch, self.data.columns, self.weights.columns], self.visible.stride());
        multiply(shape, 1.0, self.hidden.view(), self.weights.transposed(), true, &mut self.visible.vectors, stride, self.threads);
        self.bits.resize(self.visible.vectors.len(), 0);
        activation::sample(self.set, &self.visible.vectors, u16::MAX, &mut self.lanes.lanes, &mut self.bits);
        self.visible.set_bits(&self.bits);
    }

    /// Draws the hidden layer of which `probabilities` holds the fields, and makes these probabilities.
    fn draw_hidden(&mut self, side: usize) {
        let fields = &mut self.probabilities[side].vectors;
        self.bits.resize(fields.len(), 0);
        activation::activate_and_sample(self.set, fields, u16::MAX, &mut self.lanes.lanes, &mut self.bits);
        self.hidden.set_bits(&self.bits);
    }

    /// One step of contrastive divergence. Returns the samples it took.
    pub(super) fn step(&mut self) -> usize {
        self.hidden_fields(true);
        self.draw_hidden(0);
        for step in 1..=self.gibbs_steps {
            self.reconstruct();
            self.hidden_fields(false);
            if step < self.gibbs_steps {
                self.draw_hidden(1);
            } else {
                activation::activate(self.set, &mut self.probabilities[1].vectors, u16::MAX);
            }
        }
        let (samples, visible, hidden) = (self.minibatch, self.data.columns, self.weights.columns);
        let scale = 1.0 / samples as f32;
        let data = self.data.rows_from(self.next);
        let data = View { row: 1, column: data.row, ..data };
        let (shape, stride) = ([visible, hidden, samples], self.gradient.stride());
        let gradient = &mut self.gradient.vectors;
        multiply(shape, scale, data, self.probabilities[0].view(), false, gradient, stride, self.threads);
        multiply(shape, -scale, self.visible.transposed(), self.probabilities[1].view(), true, gradient, stride, self.threads);
        let shift = vec![0.0; gradient.len()];
        update::learn(self.set, gradient, &shift, &Vector::ZERO, u16::MAX, &STEP, &mut self.velocity, &mut self.weights.vectors);
        let sums = [
            (self.data.column_sums(self.next, samples), self.visible.column_sums(0, samples)),
            (self.probabilities[0].column_sums(0, samples), self.probabilities[1].column_sums(0, samples)),
        ];
        for (bias, (data, model)) in self.biases.iter_mut().zip(sums) {
            for ((bias, data), model) in bias.iter_mut().zip(data).zip(model) {
                *bias = bias.plus_product(STEP.learning_rate * scale, &data.plus(&model.negated()));
            }
        }
        self.next = (self.next + samples) % self.data.vectors.len().div_euclid(self.data.stride() / Vector::WIDTH);
        samples
    }

    /// One sweep of block Gibbs sampling of as many chains as a minibatch has samples. Returns the units drawn.
    pub(super) fn sweep(&mut self) -> usize {
        self.hidden_fields(false);
        self.draw_hidden(1);
        self.reconstruct();
        self.minibatch * (self.data.columns + self.weights.columns)
    }

    /// Whether what was timed are still numbers.
    pub(super) fn is_finite(&self) -> bool {
        self.weights.vectors.iter().all(|vector| vector.sum().is_finite())
    }
}
