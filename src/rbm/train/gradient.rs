//! The sums of a minibatch's gradient, shard by shard: statistics of the data minus statistics of the model.

use super::tree::Place;
use crate::kernels::InstructionSet;
use crate::kernels::float_vector::Vector;
use crate::kernels::statistics::{self, Choices, End, Rows, Sums, TABLES_PER_PASS};
use crate::kernels::tables::{ABREAST, SAMPLES_PER_GROUP};
use crate::rbm::panels::{Machine, Units, least_lots};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Mutex;

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

/// The strips of the samples of some shards, of so many samples of all shards together: contiguous, in order, as even as can be, and counted from the first of these shards.
pub fn strips(samples: usize, shards: usize, own: Range<usize>) -> Vec<Range<usize>> {
    let first = bound(samples, shards, own.start);
    own.map(|shard| bound(samples, shards, shard) - first..bound(samples, shards, shard + 1) - first).collect()
}

/// The first sample of a shard.
pub fn bound(samples: usize, shards: usize, shard: usize) -> usize {
    (samples as u128 * shard as u128 / shards as u128) as usize
}

impl Side<'_> {
    fn samples(&self) -> usize {
        self.strips.last().map_or(0, |strip| strip.end)
    }
}

/// Memory of one thread while it sums a lot of hidden panels.
pub struct Scratch {
    partial: Vec<Vector>,
    /// The sums, panel after panel, a vector a visible unit.
    pub total: Vec<Vector>,
    /// Memory for branches of the tree of shards.
    pub spare: Vec<Vec<Vector>>,
    tables: statistics::Scratch,
}

impl Scratch {
    /// For panels of weights of `rows` vectors.
    pub fn new(rows: usize) -> Self {
        Scratch {
            partial: vec![Vector::ZERO; ABREAST * rows],
            total: vec![Vector::ZERO; ABREAST * rows],
            spare: Vec::new(),
            tables: statistics::Scratch::default(),
        }
    }
}

/// The memory of all threads, kept from one minibatch to the next.
#[derive(Default)]
pub struct Pool(Mutex<Vec<Scratch>>);

/// Memory on loan from a [`Pool`].
pub struct Loan<'a>(Option<Scratch>, &'a Pool);

impl Pool {
    /// Memory for panels of weights of `rows` vectors, always the same number. What stands in it is left from its last use.
    pub fn lend(&self, rows: usize) -> Loan<'_> {
        let kept = self.0.lock().map_or(None, |mut kept| kept.pop());
        Loan(Some(kept.unwrap_or_else(|| Scratch::new(rows))), self)
    }
}

impl Loan<'_> {
    /// The memory itself.
    pub fn scratch(&mut self) -> &mut Scratch {
        self.0.as_mut().expect("memory on loan is there until it goes back")
    }
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        if let (Some(scratch), Ok(mut kept)) = (self.0.take(), self.1.0.lock()) {
            kept.push(scratch);
        }
    }
}

/// What the samples of one minibatch say about the parameters.
pub struct Statistics<'a> {
    set: InstructionSet,
    /// Data, then model.
    sides: [Side<'a>; 2],
    /// The first hidden panel that the sides have.
    first_panel: usize,
    /// Lots of panels that a thread takes at least.
    pub least_lots: usize,
    /// The table entries chosen by the binary sides: pass after pass of all strips, those of a pass in the order in which it reads them, visible panel after visible panel.
    choices: Vec<Choices>,
    /// Visible panels.
    panels: usize,
    /// The order of work in each strip: data before model.
    passes: Vec<Vec<Pass>>,
}

/// A part of the work on one strip.
enum Pass {
    /// Tables of some samples of both sides, counted in the strip; and where their choices stand.
    Tables([Range<usize>; 2], usize),
    /// One side whose visible units are numbers.
    Numbers(usize),
}

impl<'a> Statistics<'a> {
    /// Prepares the choices; `memory` is reused if it is large enough.
    pub fn new(set: InstructionSet, sides: [Side<'a>; 2], machine: &Machine, memory: Vec<Choices>) -> Self {
        let least_lots = least_lots(machine.visible, machine.hidden, sides[0].samples().max(sides[1].samples()));
        let is_binary = sides.map(|side| matches!(side.visible, Units::Bits(_)));
        let (mut places, panels) = (0, machine.visible_panels());
        let passes: Vec<Vec<Pass>> =
            (0..sides[0].strips.len()).map(|strip| passes(sides.map(|side| side.strips[strip].len()), is_binary, &mut places)).collect();
        let of_tables = passes.iter().enumerate().flat_map(|(strip, passes)| passes.iter().map(move |pass| (strip, pass)));
        let of_tables: Vec<(usize, &[Range<usize>; 2])> =
            of_tables.filter_map(|(strip, pass)| if let Pass::Tables(ranges, _) = pass { Some((strip, ranges)) } else { None }).collect();
        let mut choices = memory;
        choices.clear();
        choices.resize(places * panels, [Vector::ZERO; 2]);
        choices.par_iter_mut().enumerate().with_min_len(least_lots.saturating_mul(places.max(1))).for_each(|(index, choices)| {
            let ((strip, ranges), panel) = (of_tables[index / panels], index % panels);
            let mut table = 0;
            for (side, range) in sides.iter().zip(ranges) {
                if let Units::Bits(bits) = side.visible {
                    let bits = &bits[panel * side.samples()..][side.strips[strip].clone()][range.clone()];
                    statistics::choose(set, bits, table, choices);
                    table += range.len().div_ceil(SAMPLES_PER_GROUP);
                }
            }
        });
        Statistics { set, sides, first_panel: 0, least_lots, choices, panels, passes }
    }

    /// The same where the hidden units of the sides are those of some panels only, from this one on.
    pub fn of_panels_from(self, first_panel: usize) -> Self {
        Statistics { first_panel, ..self }
    }

    /// Data, then model.
    pub fn sides(&self) -> &[Side<'a>; 2] {
        &self.sides
    }

    /// Gives the memory of the choices back.
    pub fn into_memory(self) -> Vec<Choices> {
        self.choices
    }

    /// The number of strips.
    pub fn strips(&self) -> usize {
        self.passes.len()
    }

    /// Adds sum_s v_i p_j of the data minus that of the model, over one strip, to `scratch.total` for the units j of a lot of hidden panels, or puts it there.
    pub fn add_products(&self, panels: Range<usize>, strip: usize, place: Place, scratch: &mut Scratch) {
        let rows = |side: usize, range: &Range<usize>| {
            let (side, samples) = (&self.sides[side], self.sides[side].samples());
            let all = &side.hidden[(panels.start - self.first_panel) * samples..(panels.end - self.first_panel) * samples];
            Rows { all, stride: samples, first: side.strips[strip].start + range.start, count: range.len() }
        };
        let passes = &self.passes[strip];
        let length = scratch.total.len() / ABREAST * panels.len();
        if passes.is_empty() && place == Place::First {
            scratch.total.fill(Vector::ZERO);
        }
        for (index, pass) in passes.iter().enumerate() {
            let Scratch { partial, total, tables, .. } = &mut *scratch;
            let (partial, total) = (&mut partial[..length], &mut total[..length]);
            let end = match place {
                _ if index + 1 < passes.len() => End::Partial,
                Place::First => End::Set,
                Place::Next => End::Add,
            };
            let sums = Sums { panels: panels.len(), partial, total, begins: index == 0, end };
            match pass {
                Pass::Tables([data, model], place) => {
                    let choices = &self.choices[place * self.panels..][..self.panels];
                    statistics::add_bits(self.set, choices, rows(0, data), rows(1, model), tables, sums);
                }
                &Pass::Numbers(side) => {
                    let Side { visible, strips, .. } = self.sides[side];
                    if let Units::Numbers(units) = visible {
                        let (samples, range) = (self.sides[side].samples(), &strips[strip]);
                        statistics::add_numbers(self.set, units, samples, range.start, rows(side, &(0..range.len())), side == 1, sums);
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

/// The passes over a strip of some samples on each side, data before model; `place` counts those that make choices.
fn passes(samples: [usize; 2], is_binary: [bool; 2], place: &mut usize) -> Vec<Pass> {
    if samples == [0; 2] {
        return Vec::new();
    }
    let groups = [0, 1].map(|side| if is_binary[side] { samples[side].div_ceil(SAMPLES_PER_GROUP) } else { 0 });
    let all = groups[0] + groups[1];
    // As even as can be: 5 and 5 rather than 6 and 4.
    let count = all.div_ceil(TABLES_PER_PASS);
    let tables = (0..count).map(|pass| {
        let (first, end) = (all * pass / count, all * (pass + 1) / count);
        let in_samples = |most: usize, first: usize, end: usize| most.min(first * SAMPLES_PER_GROUP)..most.min(end * SAMPLES_PER_GROUP);
        let data = in_samples(samples[0], first.min(groups[0]), end.min(groups[0]));
        let model = in_samples(samples[1], first.max(groups[0]) - groups[0], end.max(groups[0]) - groups[0]);
        *place += 1;
        Pass::Tables([data, model], *place - 1)
    });
    let numbers = |side: usize| (!is_binary[side]).then_some(Pass::Numbers(side));
    numbers(0).into_iter().chain(tables.collect::<Vec<Pass>>()).chain(numbers(1)).collect()
}
