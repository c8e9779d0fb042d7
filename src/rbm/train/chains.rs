//! Chains that outlive the minibatch: the negative phase of the persistent and of the tempered method. Read [`PersistentChains::sweep`].
//!
//! Each shard owns its chains, at all temperatures, with their random streams; so neither threads nor ranks can change what is drawn. At the inverse temperature beta the
//! machine has the law e^(-beta E) / Z(beta). After the fields of the hidden units are known, neighbours in temperature exchange their visible states with the probability
//! min(1, p_a(v_b) p_b(v_a) / (p_a(v_a) p_b(v_b))), in which the hidden units are summed out; then the hidden and the visible layer are drawn.

use super::gradient::bound;
use super::{Method, TrainingOptions};
use crate::elementary::exponential;
use crate::error::{Error, Result};
use crate::kernels::InstructionSet;
use crate::kernels::annealing::{self, Tempered};
use crate::kernels::float_vector::Vector;
use crate::random::{LaneStream, Purpose, Stream};
use crate::rbm::gibbs::{self, Conditional};
use crate::rbm::panels::{Machine, Units, WIDTH, bits_to_matrix, mask};
use crate::sampler::snapshot::Reader;
use crate::spins::BitMatrix;
use rayon::prelude::*;
use std::ops::Range;

/// Attempted and accepted exchanges of one pair of neighbouring temperatures.
pub type Swaps = [u64; 2];

/// The chains of the shards of one rank.
#[derive(Debug, Clone)]
pub struct PersistentChains {
    /// Units of both layers.
    shape: [usize; 2],
    /// Inverse temperatures, 1 first.
    temperatures: Vec<f32>,
    /// The shards of this rank.
    shards: Range<usize>,
    /// Samples of each strip: temperature after temperature, the shards in order.
    strips: Vec<Range<usize>>,
    /// Visible states: panel after panel, all samples.
    visible: Vec<u16>,
    hidden_lanes: Vec<LaneStream>,
    visible_lanes: Vec<LaneStream>,
    /// One stream a shard decides on exchanges.
    exchanges: Vec<Stream>,
    /// For each shard and pair of temperatures, since the beginning of the epoch.
    swaps: Vec<Vec<Swaps>>,
    /// Sweeps done.
    sweeps: u64,
}

impl PersistentChains {
    /// Chains at random states. The streams are (seed, PersistentChains, layer 2^56 + temperature 2^48 + shard 2^32 + panel), with the visible panels counted from 2^31, and
    /// 2^30 in the place of the panel for exchanges and first states.
    pub fn new(options: &TrainingOptions, visible: usize, hidden: usize, shards: Range<usize>) -> Self {
        let temperatures = options.inverse_temperatures();
        let chains = |shard: usize| bound(options.chains, options.shards, shard + 1) - bound(options.chains, options.shards, shard);
        let mut strips: Vec<Range<usize>> = Vec::new();
        for _ in &temperatures {
            for shard in shards.clone() {
                let start = strips.last().map_or(0, |strip| strip.end);
                strips.push(start..start + chains(shard));
            }
        }
        let own = shards.len();
        let name = |strip: usize, place: u64| {
            options.layer << 56 | ((strip / own) as u64) << 48 | ((shards.start + strip % own) as u64) << 32 | place
        };
        let stream = |panels: usize, first: u64| {
            gibbs::streams(options.seed, Purpose::PersistentChains, panels, 0..strips.len(), |panel, strip| {
                name(strip, panel as u64 + first)
            })
        };
        let (visible_panels, hidden_panels) = (visible.div_ceil(WIDTH), hidden.div_ceil(WIDTH));
        let (hidden_lanes, visible_lanes) = (stream(hidden_panels, 0), stream(visible_panels, 1 << 31));
        let mut exchanges: Vec<Stream> =
            (0..own).map(|shard| Stream::new(options.seed, Purpose::PersistentChains, name(shard, 1 << 30))).collect();
        let samples = strips.last().map_or(0, |strip| strip.end);
        let mut states = vec![0; visible_panels * samples];
        for (strip, range) in strips.iter().enumerate() {
            for sample in range.clone() {
                for panel in 0..visible_panels {
                    states[panel * samples + sample] = exchanges[strip % own].word() as u16 & mask(panel, visible);
                }
            }
        }
        let swaps = vec![vec![[0; 2]; temperatures.len() - 1]; own];
        PersistentChains {
            shape: [visible, hidden],
            temperatures,
            shards,
            strips,
            visible: states,
            hidden_lanes,
            visible_lanes,
            exchanges,
            swaps,
            sweeps: 0,
        }
    }

    fn samples(&self) -> usize {
        self.strips.last().map_or(0, |strip| strip.end)
    }

    /// The strips of the chains at beta = 1.
    pub fn strips(&self) -> &[Range<usize>] {
        &self.strips[..self.shards.len()]
    }

    /// The visible states of the chains at beta = 1, in panels.
    pub fn states(&self) -> Units {
        let (all, wanted) = (self.samples(), self.strips().last().map_or(0, |strip| strip.end));
        Units::Bits(self.visible.chunks_exact(all.max(1)).flat_map(|panel| panel[..wanted].iter().copied()).collect())
    }

    /// One exchange between neighbouring temperatures, if there are several, then the hidden and the visible layer anew.
    pub fn sweep(&mut self, set: InstructionSet, machine: &Machine) {
        let samples = self.samples();
        if samples == 0 {
            return;
        }
        let given = Units::Bits(std::mem::take(&mut self.visible));
        let mut hidden = vec![0u16; machine.hidden_panels() * samples];
        if self.temperatures.len() == 1 {
            gibbs::sample(set, Conditional::Hidden(machine, &given), &self.strips, &mut self.hidden_lanes, &mut hidden);
        } else {
            let mut fields = vec![Vector::ZERO; machine.hidden_panels() * samples];
            gibbs::fields(set, Conditional::Hidden(machine, &given), samples, &mut fields);
            self.exchange(set, machine, &given, &mut fields);
            self.draw(set, &fields, machine.hidden, true, &mut hidden);
        }
        let (hidden, mut visible) = (Units::Bits(hidden), vec![0u16; machine.visible_panels() * samples]);
        if self.temperatures.len() == 1 {
            gibbs::sample(set, Conditional::Visible(machine, &hidden), &self.strips, &mut self.visible_lanes, &mut visible);
        } else {
            let mut fields = vec![Vector::ZERO; machine.visible_panels() * samples];
            gibbs::fields(set, Conditional::Visible(machine, &hidden), samples, &mut fields);
            self.draw(set, &fields, machine.visible, false, &mut visible);
        }
        self.visible = visible;
        self.sweeps += 1;
    }

    /// Draws a layer from its fields at beta = 1, each strip at its temperature.
    fn draw(&mut self, set: InstructionSet, fields: &[Vector], units: usize, hidden: bool, bits: &mut [u16]) {
        let (samples, own) = (self.samples(), self.shards.len());
        let (strips, temperatures) = (&self.strips, &self.temperatures);
        let lanes = if hidden { &mut self.hidden_lanes } else { &mut self.visible_lanes };
        let panels = bits.par_chunks_mut(samples).zip(fields.par_chunks(samples)).zip(lanes.par_chunks_mut(strips.len())).enumerate();
        panels.for_each(|(panel, ((bits, fields), lanes))| {
            for (strip, (range, stream)) in strips.iter().zip(lanes).enumerate() {
                let at = Tempered { factor: temperatures[strip / own], bias: Vector::ZERO };
                annealing::sample(set, &fields[range.clone()], &at, mask(panel, units), &mut stream.lanes, &mut bits[range.clone()]);
            }
        });
    }

    /// Exchanges states, that is columns of `fields`, between the temperatures 0 and 1, 2 and 3, ... or, every other time, 1 and 2, 3 and 4, ...
    fn exchange(&mut self, set: InstructionSet, machine: &Machine, visible: &Units, fields: &mut [Vector]) {
        let (samples, own) = (self.samples(), self.shards.len());
        let first = (self.sweeps % 2) as usize;
        let pairs: Vec<usize> = (first..self.temperatures.len() - 1).step_by(2).collect();
        let Units::Bits(bits) = visible else { return };
        // ln of p(v) at the partner's temperature over p(v) at its own, without the partition functions, which cancel.
        let gain = |strip: usize, partner: usize| -> Vec<f64> {
            let (range, betas) = (self.strips[strip].clone(), [strip, partner].map(|strip| self.temperatures[strip / own]));
            let mut weights = vec![0.0; range.len()];
            for (values, bits) in machine.visible_bias.iter().zip(bits.chunks_exact(samples)) {
                annealing::add_products(set, values, f64::from(betas[1]) - f64::from(betas[0]), &bits[range.clone()], &mut weights);
            }
            let [from, to] = betas.map(|factor| Tempered { factor, bias: Vector::ZERO });
            for (panel, fields) in fields.chunks_exact(samples).enumerate() {
                annealing::weigh(set, &fields[range.clone()], &from, &to, mask(panel, machine.hidden), &mut weights);
            }
            weights
        };
        let places: Vec<(usize, usize)> = pairs.iter().flat_map(|&pair| (0..own).map(move |shard| (pair, shard))).collect();
        let gains: Vec<(Vec<f64>, Vec<f64>)> = places
            .par_iter()
            .map(|&(pair, shard)| (pair * own + shard, (pair + 1) * own + shard))
            .map(|(warm, cold)| (gain(warm, cold), gain(cold, warm)))
            .collect();
        for (&(pair, shard), (one, other)) in places.iter().zip(&gains) {
            let starts = [pair, pair + 1].map(|temperature| self.strips[temperature * own + shard].start);
            for (chain, (one, other)) in one.iter().zip(other).enumerate() {
                let accepted = 1.0 - self.exchanges[shard].uniform() <= exponential(one + other);
                self.swaps[shard][pair][0] += 1;
                if accepted {
                    self.swaps[shard][pair][1] += 1;
                    fields.chunks_exact_mut(samples).for_each(|panel| panel.swap(starts[0] + chain, starts[1] + chain));
                }
            }
        }
    }

    /// p(h = 1 | v) of the chains at beta = 1, times `weight`.
    pub fn hidden_probabilities(&self, set: InstructionSet, machine: &Machine, states: &Units, weight: f32) -> Vec<Vector> {
        let samples = self.strips().last().map_or(0, |strip| strip.end);
        let mut all = vec![Vector::ZERO; machine.hidden_panels() * samples];
        gibbs::activate(set, Conditional::Hidden(machine, states), samples, &mut all);
        all.par_chunks_mut(samples.max(1)).for_each(|panel| {
            panel.iter_mut().for_each(|lanes| *lanes = Vector(lanes.0.map(|probability| weight * probability)));
        });
        all
    }

    /// The exchanges of each shard and pair of temperatures; they begin at zero again.
    pub fn take_swaps(&mut self) -> Vec<Vec<Swaps>> {
        let cleared = vec![vec![[0; 2]; self.temperatures.len() - 1]; self.shards.len()];
        std::mem::replace(&mut self.swaps, cleared)
    }

    /// The chains of one shard as words: sweeps; attempts and successes of each pair of temperatures; the exchange stream; then, temperature after temperature, packed visible states,
    /// chain after chain, and the streams of the hidden and the visible panels.
    ///
    /// # Panics
    /// If the shard is not of this rank.
    pub fn words(&self, shard: usize) -> Vec<u64> {
        let (own, place) = (self.shards.len(), shard - self.shards.start);
        let mut words = vec![self.sweeps];
        words.extend(self.swaps[place].iter().flatten());
        words.extend(self.exchanges[place].state());
        let all = bits_to_matrix(&self.visible, self.samples(), self.shape[0]);
        for temperature in 0..self.temperatures.len() {
            let strip = temperature * own + place;
            words.extend(self.strips[strip].clone().flat_map(|row| all.row(row)));
            for lanes in [&self.hidden_lanes, &self.visible_lanes] {
                words.extend(lanes.iter().skip(strip).step_by(self.strips.len()).flat_map(LaneStream::state));
            }
        }
        words
    }

    /// Goes on from such words.
    ///
    /// # Errors
    /// [`Error::Refused`] if they do not fit.
    ///
    /// # Panics
    /// If the shard is not of this rank.
    pub fn restore(&mut self, shard: usize, words: &[u64]) -> Result<()> {
        let (own, place, samples) = (self.shards.len(), shard - self.shards.start, self.samples());
        let mut reader = Reader::new(words);
        self.sweeps = reader.word()?;
        for pair in &mut self.swaps[place] {
            *pair = [reader.word()?, reader.word()?];
        }
        self.exchanges[place] = reader.stream()?;
        let all_strips = self.strips.len();
        for temperature in 0..self.temperatures.len() {
            let strip = temperature * own + place;
            for sample in self.strips[strip].clone() {
                let mut row = BitMatrix::new(1, self.shape[0]);
                let width = row.words_per_row();
                row.row_mut(0).copy_from_slice(reader.words(width)?);
                for (panel, states) in self.visible.chunks_exact_mut(samples).enumerate() {
                    states[sample] = (row.row(0)[panel / 4] >> (16 * (panel % 4))) as u16;
                    if states[sample] & !mask(panel, self.shape[0]) != 0 {
                        return Err(Error::Refused(
                            "the chains of a checkpoint have more units than the machine: it belongs to another run".to_string(),
                        ));
                    }
                }
            }
            for lanes in [&mut self.hidden_lanes, &mut self.visible_lanes] {
                for stream in lanes.iter_mut().skip(strip).step_by(all_strips) {
                    *stream = reader.lanes()?;
                }
            }
        }
        reader.end()
    }
}

/// The chains that a method keeps, if it keeps any.
pub fn of_method(options: &TrainingOptions, visible: usize, hidden: usize, shards: Range<usize>) -> Option<PersistentChains> {
    matches!(options.method, Method::Persistent | Method::Tempered).then(|| PersistentChains::new(options, visible, hidden, shards))
}
