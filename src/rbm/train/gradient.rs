//! The sums of a minibatch's gradient, shard by shard: statistics of the data minus statistics of the model.

use crate::kernels::InstructionSet;
use crate::kernels::float_vector::Vector;
use crate::kernels::statistics::{self, Choices, ENTRIES, Sums, TABLES_PER_PASS};
use crate::kernels::tables::SAMPLES_PER_GROUP;
use crate::rbm::panels::Units;
use rayon::prelude::*;
use std::ops::Range;

/// One side of the gradient: visible units of all samples and the probabilities of the hidden units that go with them, panel-major.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    /// Visible states.
    pub visible: &'a Units,
    /// p(h = 1 | v), times [`Self::weight`].
    pub hidden: &'a [Vector],
    /// The samples of each shard, in order: as many strips on both sides.
    pub strips: &'a [Range<usize>],
    /// How much a sample of this side counts.
    pub weight: f32,
}

impl Side<'_> {
    fn samples(&self) -> usize {
        self.strips.last().map_or(0, |strip| strip.end)
    }
}

/// Memory of one thread while it sums a hidden panel.
pub struct Scratch {
    partial: Vec<Vector>,
    /// The sums of the panel, a vector a visible unit.
    pub total: Vec<Vector>,
    tables: Vec<[Vector; ENTRIES]>,
}

impl Scratch {
    /// For panels of weights of `rows` vectors.
    pub fn new(rows: usize) -> Self {
        Scratch {
            partial: vec![Vector::ZERO; rows],
            total: vec![Vector::ZERO; rows],
            tables: vec![[Vector::ZERO; ENTRIES]; TABLES_PER_PASS],
        }
    }
}

/// What the samples of one minibatch say about the parameters.
pub struct Statistics<'a> {
    set: InstructionSet,
    /// Data, then model.
    sides: [Side<'a>; 2],
    /// The table entries chosen by the binary sides: visible panel, strip, data before model, group.
    choices: Vec<Choices>,
    /// Entries of `choices` a visible panel.
    stride: usize,
    /// Where the choices of each strip begin, and how many belong to each side (none if its visible units are numbers).
    offsets: Vec<(usize, [usize; 2])>,
}

enum Pass {
    /// Some of the strip's tables.
    Tables(Range<usize>),
    /// One side whose visible units are numbers.
    Numbers(usize),
}

impl<'a> Statistics<'a> {
    /// Prepares the choices; `memory` is reused if it is large enough.
    pub fn new(set: InstructionSet, sides: [Side<'a>; 2], visible_panels: usize, memory: Vec<Choices>) -> Self {
        let mut stride = 0;
        let offsets: Vec<(usize, [usize; 2])> = (0..sides[0].strips.len())
            .map(|strip| {
                let of_side = |side: Side| side.strips[strip].len().div_ceil(SAMPLES_PER_GROUP);
                let groups = sides.map(|side| if matches!(side.visible, Units::Bits(_)) { of_side(side) } else { 0 });
                let start = stride;
                stride += groups[0] + groups[1];
                (start, groups)
            })
            .collect();
        let mut choices = memory;
        choices.resize(stride * visible_panels, Choices::default());
        if stride > 0 {
            choices.par_chunks_mut(stride).enumerate().for_each(|(panel, choices)| {
                for (strip, &(start, groups)) in offsets.iter().enumerate() {
                    let (data, model) = choices[start..start + groups[0] + groups[1]].split_at_mut(groups[0]);
                    for (side, choices) in sides.iter().zip([data, model]) {
                        if let Units::Bits(bits) = side.visible {
                            statistics::choose(set, &bits[panel * side.samples()..][side.strips[strip].clone()], choices);
                        }
                    }
                }
            });
        }
        Statistics { set, sides, choices, stride, offsets }
    }

    /// Gives the memory of the choices back.
    pub fn into_memory(self) -> Vec<Choices> {
        self.choices
    }

    /// The number of strips.
    pub fn strips(&self) -> usize {
        self.offsets.len()
    }

    /// The order of work in one strip: data before model, tables in passes that may hold both.
    fn passes(&self, strip: usize) -> Vec<Pass> {
        let (_, groups) = self.offsets[strip];
        let numbers = |side: usize| matches!(self.sides[side].visible, Units::Numbers(_)).then_some(Pass::Numbers(side));
        let all = groups[0] + groups[1];
        let tables = (0..all).step_by(TABLES_PER_PASS).map(|first| Pass::Tables(first..all.min(first + TABLES_PER_PASS)));
        numbers(0).into_iter().chain(tables).chain(numbers(1)).collect()
    }

    /// Adds sum_s v_i p_j of the data minus that of the model, over one strip, to `scratch.total` for the units j of hidden panel `panel`.
    pub fn add_products(&self, panel: usize, strip: usize, scratch: &mut Scratch) {
        if self.sides.iter().all(|side| side.strips[strip].is_empty()) {
            return;
        }
        let rows = self.sides.map(|side| &side.hidden[panel * side.samples()..][side.strips[strip].clone()]);
        let (start, groups) = self.offsets[strip];
        let passes = self.passes(strip);
        let count = passes.len();
        for (index, pass) in passes.into_iter().enumerate() {
            let Scratch { partial, total, tables } = &mut *scratch;
            let sums = Sums { partial, total, begins: index == 0, ends: index + 1 == count };
            match pass {
                Pass::Tables(which) => {
                    let tables = &mut tables[..which.len()];
                    let of_data = which.start.min(groups[0])..which.end.min(groups[0]);
                    let of_model = which.start.max(groups[0]) - groups[0]..which.end.max(groups[0]) - groups[0];
                    let (data, model) = tables.split_at_mut(of_data.len());
                    statistics::fill_tables(self.set, in_groups(rows[0], of_data), false, data);
                    statistics::fill_tables(self.set, in_groups(rows[1], of_model), true, model);
                    statistics::add_bits(self.set, &self.choices, self.stride, start + which.start, tables, sums);
                }
                Pass::Numbers(side) => {
                    let Side { visible, strips, .. } = self.sides[side];
                    if let Units::Numbers(units) = visible {
                        let (samples, first) = (self.sides[side].samples(), strips[strip].start);
                        statistics::add_numbers(self.set, units, samples, first, rows[side], side == 1, sums);
                    }
                }
            }
        }
    }

    /// sum_s v_i of the data minus that of the model over one strip, for a visible panel.
    pub fn visible_sums(&self, panel: usize, strip: usize) -> Vector {
        let [data, model] = self.sides.map(|side| {
            let (place, range) = (panel * side.samples(), side.strips[strip].clone());
            let sums = match side.visible {
                Units::Bits(bits) => statistics::column_counts(self.set, &bits[place..][range]),
                Units::Numbers(numbers) => statistics::column_sums(self.set, &numbers[place..][range]),
            };
            Vector(sums.0.map(|sum| side.weight * sum))
        });
        data.plus(&model.negated())
    }

    /// sum_s p_j of the data minus that of the model over one strip, for a hidden panel.
    pub fn hidden_sums(&self, panel: usize, strip: usize) -> Vector {
        let sum = |side: &Side| statistics::column_sums(self.set, &side.hidden[panel * side.samples()..][side.strips[strip].clone()]);
        sum(&self.sides[0]).plus(&sum(&self.sides[1]).negated())
    }
}

/// The samples of some groups.
fn in_groups(rows: &[Vector], groups: Range<usize>) -> &[Vector] {
    &rows[rows.len().min(groups.start * SAMPLES_PER_GROUP)..rows.len().min(groups.end * SAMPLES_PER_GROUP)]
}
