//! From one layer to the other: fields = bias + units . weights, for some panels of sixteen receiving units and all samples.
//!
//! Weights lie in panels: the sixteen columns of one hidden panel together, a vector a visible unit, padded with zero vectors to whole tiles of 16 x 16.
//! Units travel in panels too: sixteen of them for one sample after the other, as bits (`u16`) or as numbers ([`Vector`]). So a tile serves both directions,
//! upwards as it stands and downwards transposed, and threads that take some panels each write to memory of their own.
//!
//! Order of the sums, for each sample and unit by itself: bits start with the bias and add one table entry for every [`UNITS_PER_GROUP`] sending
//! units, ascending (see `tables`); numbers start with the bias and add w * x with one rounding each, sending units ascending. How many panels are worked on together changes
//! nothing.

mod from_bits;

use super::dispatch;
use super::float_vector::Vector;
use super::numbers::Numbers;
use super::tables::{ABREAST, UNITS_PER_GROUP};
use from_bits::from_bits;

/// Units of a panel, and rows of a tile of weights.
const TILE: usize = Vector::WIDTH;

/// Groups of sending units in a tile.
const GROUPS: usize = TILE / UNITS_PER_GROUP;

dispatch! {
    /// Upwards from bits: `fields[p * samples + s] = bias[p] + sum_i v_i W_i` for the receiving panels that `bias` counts. `weights` holds their panels, one vector a
    /// sending unit (a multiple of 16 each); `bits[q * samples + s]` holds the sending units 16 q ... 16 q + 15 of sample s, with clear bits where there is no unit.
    pub fn up_from_bits(weights: &[Vector], bias: &[Vector], bits: &[u16], fields: &mut [Vector]) = up_from_bits_body over Numbers;
}

dispatch! {
    /// Downwards from bits: the same with the weights transposed. `weights` holds all hidden panels of `visible` vectors each, `panel` is the first receiving
    /// visible panel, `bits` holds the hidden units.
    pub fn down_from_bits(weights: &[Vector], visible: usize, panel: usize, bias: &[Vector], bits: &[u16], fields: &mut [Vector])
        = down_from_bits_body over Numbers;
}

dispatch! {
    /// Upwards from numbers: as [`up_from_bits`] with `units[q * samples + s]`, zero where there is no unit.
    pub fn up_from_numbers(weights: &[Vector], bias: &[Vector], units: &[Vector], fields: &mut [Vector]) = up_from_numbers_body over Numbers;
}

dispatch! {
    /// Downwards from numbers: as [`down_from_bits`] with `units[q * samples + s]`, zero where there is no unit.
    pub fn down_from_numbers(weights: &[Vector], visible: usize, panel: usize, bias: &[Vector], units: &[Vector], fields: &mut [Vector])
        = down_from_numbers_body over Numbers;
}

#[inline(always)]
fn up_from_bits_body<N: Numbers>(weights: &[Vector], bias: &[Vector], bits: &[u16], fields: &mut [Vector]) {
    let rows = weights.len() / bias.len();
    from_bits::<N, false>(Source { weights, stride: TILE, first: 0, next: rows, tiles: rows / TILE }, bias, bits, fields);
}

#[inline(always)]
fn down_from_bits_body<N: Numbers>(weights: &[Vector], visible: usize, panel: usize, bias: &[Vector], bits: &[u16], fields: &mut [Vector]) {
    let source = Source { weights, stride: visible, first: panel * TILE, next: TILE, tiles: weights.len() / visible };
    from_bits::<N, true>(source, bias, bits, fields);
}

#[inline(always)]
fn up_from_numbers_body<N: Numbers>(weights: &[Vector], bias: &[Vector], units: &[Vector], fields: &mut [Vector]) {
    let rows = weights.len() / bias.len();
    from_numbers::<N, false>(Source { weights, stride: TILE, first: 0, next: rows, tiles: rows / TILE }, bias, units, fields);
}

#[inline(always)]
fn down_from_numbers_body<N: Numbers>(
    weights: &[Vector],
    visible: usize,
    panel: usize,
    bias: &[Vector],
    units: &[Vector],
    fields: &mut [Vector],
) {
    let source = Source { weights, stride: visible, first: panel * TILE, next: TILE, tiles: weights.len() / visible };
    from_numbers::<N, true>(source, bias, units, fields);
}

/// Where the tiles of weights are: tile t of receiving panel p begins at vector first + p * next + t * stride.
#[derive(Clone, Copy)]
struct Source<'a> {
    weights: &'a [Vector],
    stride: usize,
    first: usize,
    next: usize,
    tiles: usize,
}

impl Source<'_> {
    /// The same from a later receiving panel on.
    #[inline(always)]
    fn skip(self, panels: usize) -> Self {
        Source { first: self.first + panels * self.next, ..self }
    }

    /// One vector for each of the four sending units of a group of a tile: its rows, or its columns if it is used downwards.
    #[inline(always)]
    fn group<N: Numbers, const TRANSPOSED: bool>(self, panel: usize, tile: usize, group: usize) -> [N; UNITS_PER_GROUP] {
        let rows: &[Vector; TILE] =
            self.weights[self.first + panel * self.next + tile * self.stride..].first_chunk().expect("weights are whole tiles");
        if TRANSPOSED {
            return N::four_columns(rows, group);
        }
        let [a, b, c, d] = rows.as_chunks::<UNITS_PER_GROUP>().0[group].each_ref();
        [N::load(a), N::load(b), N::load(c), N::load(d)]
    }
}

#[inline(always)]
fn from_numbers<N: Numbers, const TRANSPOSED: bool>(source: Source, bias: &[Vector], units: &[Vector], fields: &mut [Vector]) {
    let samples = fields.len() / bias.len();
    assert!(fields.len() == samples * bias.len() && units.len() >= source.tiles * samples, "one panel of units a tile of weights");
    if samples == 0 {
        return;
    }
    let mut receivers = fields.chunks_exact_mut(ABREAST * samples);
    let mut panel = 0;
    for fields in receivers.by_ref() {
        let (low, high) = fields.split_at_mut(samples);
        multiply::<N, ABREAST, TRANSPOSED>(source.skip(panel), &bias[panel..], units, [low, high]);
        panel += ABREAST;
    }
    if panel < bias.len() {
        multiply::<N, 1, TRANSPOSED>(source.skip(panel), &bias[panel..], units, [receivers.into_remainder()]);
    }
}

#[inline(always)]
fn multiply<N: Numbers, const PANELS: usize, const TRANSPOSED: bool>(
    source: Source,
    bias: &[Vector],
    units: &[Vector],
    mut fields: [&mut [Vector]; PANELS],
) {
    let samples = fields[0].len();
    for (fields, bias) in fields.iter_mut().zip(bias) {
        fields.fill(*bias);
    }
    let mut rows = [[Vector::ZERO; PANELS]; TILE];
    for tile in 0..source.tiles {
        for panel in 0..PANELS {
            for group in 0..GROUPS {
                let four = source.group::<N, TRANSPOSED>(panel, tile, group);
                for unit in 0..UNITS_PER_GROUP {
                    four[unit].store(&mut rows[group * UNITS_PER_GROUP + unit][panel]);
                }
            }
        }
        let units = &units[tile * samples..][..samples];
        let mut sample = 0;
        while N::WIDE && sample + 8 <= samples {
            multiply_samples::<N, PANELS, 8>(&rows, units, sample, &mut fields);
            sample += 8;
        }
        if N::WIDE && sample + 4 <= samples {
            multiply_samples::<N, PANELS, 4>(&rows, units, sample, &mut fields);
            sample += 4;
        }
        while !N::WIDE && sample + 3 <= samples {
            multiply_samples::<N, PANELS, 3>(&rows, units, sample, &mut fields);
            sample += 3;
        }
        while sample < samples {
            multiply_samples::<N, PANELS, 1>(&rows, units, sample, &mut fields);
            sample += 1;
        }
    }
}

/// `SAMPLES` samples whose sums stay in registers together.
#[inline(always)]
fn multiply_samples<N: Numbers, const PANELS: usize, const SAMPLES: usize>(
    rows: &[[Vector; PANELS]; TILE],
    units: &[Vector],
    first: usize,
    fields: &mut [&mut [Vector]; PANELS],
) {
    let units: &[Vector; SAMPLES] = units[first..].first_chunk().expect("as many samples as were asked for");
    let mut sums = [[N::zero(); PANELS]; SAMPLES];
    for sample in 0..SAMPLES {
        for panel in 0..PANELS {
            sums[sample][panel] = N::load(&fields[panel][first + sample]);
        }
    }
    for (unit, row) in rows.iter().enumerate() {
        let mut numbers = [N::zero(); PANELS];
        for panel in 0..PANELS {
            numbers[panel] = N::load(&row[panel]);
        }
        for sample in 0..SAMPLES {
            let value = N::splat(units[sample].0[unit]);
            for panel in 0..PANELS {
                sums[sample][panel] = value.fused(numbers[panel], sums[sample][panel]);
            }
        }
    }
    for panel in 0..PANELS {
        let fields = &mut fields[panel][first..first + SAMPLES];
        for sample in 0..SAMPLES {
            sums[sample][panel].store(&mut fields[sample]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::from_bits::ENTRIES;
    use super::*;
    use crate::kernels::InstructionSet;
    use crate::kernels::tables::group_sum;
    use crate::random::{Purpose, Stream};

    struct Case {
        visible: usize,
        hidden_panels: usize,
        weights: Vec<Vector>,
    }

    /// Weights with zero padding, as the trainer keeps them.
    fn case(visible: usize, hidden: usize, stream: &mut Stream) -> Case {
        let (rows, hidden_panels) = (visible.next_multiple_of(16), hidden.div_ceil(16));
        let mut weights = vec![Vector::ZERO; rows * hidden_panels];
        for panel in 0..hidden_panels {
            for row in 0..visible {
                for lane in 0..16.min(hidden - panel * 16) {
                    weights[panel * rows + row].0[lane] = stream.normal() as f32;
                }
            }
        }
        Case { visible: rows, hidden_panels, weights }
    }

    /// The row of weights that a sending unit adds to a receiving panel.
    fn row(case: &Case, upwards: bool, panel: usize, unit: usize) -> Vector {
        if upwards {
            case.weights[panel * case.visible + unit]
        } else {
            let tile = unit / 16 * case.visible + panel * 16;
            Vector(std::array::from_fn(|lane| case.weights[tile + lane].0[unit % 16]))
        }
    }

    /// The fields of one receiving panel, one addition at a time: from bits, and from numbers.
    fn naive(rows: &[Vector], bias: Vector, bits: &[u16], numbers: &[Vector], samples: usize) -> (Vec<Vector>, Vec<Vector>) {
        let (mut from_bits, mut from_numbers) = (vec![bias; samples], vec![bias; samples]);
        for sample in 0..samples {
            for (panel, rows) in rows.chunks(16).enumerate() {
                let place = panel * samples + sample;
                for (group, rows) in rows.chunks(UNITS_PER_GROUP).enumerate() {
                    let chosen = usize::from(bits[place]) >> (group * UNITS_PER_GROUP) & (ENTRIES - 1);
                    let entry = group_sum(rows, chosen);
                    (0..16).for_each(|lane| from_bits[sample].0[lane] += entry.0[lane]);
                }
                for (unit, row) in rows.iter().enumerate() {
                    let (value, sum) = (numbers[place].0[unit], &mut from_numbers[sample]);
                    (0..16).for_each(|lane| sum.0[lane] = value.mul_add(row.0[lane], sum.0[lane]));
                }
            }
        }
        (from_bits, from_numbers)
    }

    #[test]
    fn every_instruction_set_equals_the_naive_loop_bit_by_bit() {
        let mut stream = Stream::new(1, Purpose::Check, 31);
        for (visible, hidden) in [(1, 1), (7, 65), (63, 7), (65, 63), (1000, 65), (65, 1000)] {
            let case = case(visible, hidden, &mut stream);
            for samples in [1, 3, 100, 257] {
                for upwards in [true, false] {
                    let (senders, panels) = if upwards { (visible, case.hidden_panels) } else { (hidden, case.visible / 16) };
                    let mut bits = vec![0u16; senders.div_ceil(16) * samples];
                    let mut numbers = vec![Vector::ZERO; bits.len()];
                    for unit in 0..senders {
                        for sample in 0..samples {
                            let place = unit / 16 * samples + sample;
                            bits[place] |= ((stream.word() & 1) as u16) << (unit % 16);
                            numbers[place].0[unit % 16] = stream.uniform() as f32;
                        }
                    }
                    // The last panels have the padding, and they are two, one, or a pair and one; the panels before them are nothing new.
                    for first in (panels.saturating_sub(3)..panels).rev() {
                        let bias: Vec<Vector> = (first..panels).map(|_| Vector(std::array::from_fn(|_| stream.normal() as f32))).collect();
                        {
                            let expected: Vec<(Vec<Vector>, Vec<Vector>)> = (first..panels)
                                .map(|panel| {
                                    let rows: Vec<Vector> =
                                        (0..senders.next_multiple_of(16)).map(|unit| row(&case, upwards, panel, unit)).collect();
                                    naive(&rows, bias[panel - first], &bits, &numbers, samples)
                                })
                                .collect();
                            for set in InstructionSet::available() {
                                let mut fields = vec![Vector::ZERO; bias.len() * samples];
                                let mut number_fields = fields.clone();
                                if upwards {
                                    let weights = &case.weights[first * case.visible..];
                                    up_from_bits(set, weights, &bias, &bits, &mut fields);
                                    up_from_numbers(set, weights, &bias, &numbers, &mut number_fields);
                                } else {
                                    down_from_bits(set, &case.weights, case.visible, first, &bias, &bits, &mut fields);
                                    down_from_numbers(set, &case.weights, case.visible, first, &bias, &numbers, &mut number_fields);
                                }
                                for (index, (naive, naive_numbers)) in expected.iter().enumerate() {
                                    let place = index * samples..(index + 1) * samples;
                                    assert!(
                                        fields[place.clone()] == naive[..] && number_fields[place] == naive_numbers[..],
                                        "{set}: {visible} x {hidden}, {samples} samples, upwards {upwards}, panel {index} of {}",
                                        bias.len()
                                    );
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
