//! From one layer to the other: fields = bias + units . weights, for sixteen units of the receiving layer ("a panel") and all samples.
//!
//! Weights lie in panels: the sixteen columns of one hidden panel together, a vector a visible unit, padded with zero vectors to whole tiles of 16 x 16.
//! Units travel in panels too: sixteen of them for one sample after the other, as bits (`u16`) or as numbers ([`Vector`]). So a tile serves both directions,
//! upwards as it stands and downwards transposed, and threads that take a panel each write to memory of their own.
//!
//! Order of the sums, for each sample and unit by itself: bits start with the bias and add one table entry for every [`UNITS_PER_GROUP`] sending units,
//! ascending (see `tables`); numbers start with the bias and add w * x with one rounding each, sending units ascending.

use super::dispatch;
use super::float_vector::{Vector, transpose};
use super::tables::{UNITS_PER_GROUP, fill};

const TILE: usize = Vector::WIDTH;
const ENTRIES: usize = 1 << UNITS_PER_GROUP;
const GROUPS: usize = TILE / UNITS_PER_GROUP;

dispatch! {
    /// Upwards from bits: `fields[s] = bias + sum_i v_i W_i`. `weights` is the panel of the receiving units, one vector a sending unit (a multiple of 16);
    /// `bits[p * samples + s]` holds the sending units 16 p ... 16 p + 15 of sample s, with clear bits where there is no unit.
    pub fn up_from_bits(weights: &[Vector], bias: &Vector, bits: &[u16], fields: &mut [Vector]) = up_from_bits_body;
}

dispatch! {
    /// Downwards from bits: the same with the weights transposed. `weights` holds all hidden panels of `visible` vectors each, `panel` names the receiving
    /// visible panel, `bits` holds the hidden units.
    pub fn down_from_bits(weights: &[Vector], visible: usize, panel: usize, bias: &Vector, bits: &[u16], fields: &mut [Vector]) = down_from_bits_body;
}

dispatch! {
    /// Upwards from numbers: as [`up_from_bits`] with `units[p * samples + s]`, zero where there is no unit.
    pub fn up_from_numbers(weights: &[Vector], bias: &Vector, units: &[Vector], fields: &mut [Vector]) = up_from_numbers_body;
}

dispatch! {
    /// Downwards from numbers: as [`down_from_bits`] with `units[p * samples + s]`, zero where there is no unit.
    pub fn down_from_numbers(weights: &[Vector], visible: usize, panel: usize, bias: &Vector, units: &[Vector], fields: &mut [Vector]) = down_from_numbers_body;
}

#[inline(always)]
fn up_from_bits_body(weights: &[Vector], bias: &Vector, bits: &[u16], fields: &mut [Vector]) {
    from_bits::<false>(Source { weights, stride: TILE, first: 0 }, bias, bits, fields);
}

#[inline(always)]
fn down_from_bits_body(weights: &[Vector], visible: usize, panel: usize, bias: &Vector, bits: &[u16], fields: &mut [Vector]) {
    from_bits::<true>(Source { weights, stride: visible, first: panel * TILE }, bias, bits, fields);
}

#[inline(always)]
fn up_from_numbers_body(weights: &[Vector], bias: &Vector, units: &[Vector], fields: &mut [Vector]) {
    from_numbers::<false>(Source { weights, stride: TILE, first: 0 }, bias, units, fields);
}

#[inline(always)]
fn down_from_numbers_body(weights: &[Vector], visible: usize, panel: usize, bias: &Vector, units: &[Vector], fields: &mut [Vector]) {
    from_numbers::<true>(Source { weights, stride: visible, first: panel * TILE }, bias, units, fields);
}

/// Where the tiles of weights are: tile t begins at vector first + t * stride.
#[derive(Clone, Copy)]
struct Source<'a> {
    weights: &'a [Vector],
    stride: usize,
    first: usize,
}

impl<'a> Source<'a> {
    #[inline(always)]
    fn tiles(self) -> usize {
        self.weights.len() / self.stride
    }

    /// The sixteen vectors of a tile, turned over in `memory` if they are to be used downwards.
    #[inline(always)]
    fn tile<'b, const TRANSPOSED: bool>(self, tile: usize, memory: &'b mut [Vector; TILE]) -> &'b [Vector]
    where
        'a: 'b,
    {
        let rows = &self.weights[self.first + tile * self.stride..][..TILE];
        if TRANSPOSED {
            transpose(rows, memory);
            memory
        } else {
            rows
        }
    }
}

/// The tables of one tile.
type Tables = [[Vector; ENTRIES]; GROUPS];

#[inline(always)]
fn from_bits<const TRANSPOSED: bool>(source: Source, bias: &Vector, bits: &[u16], fields: &mut [Vector]) {
    let samples = fields.len();
    let tiles = source.tiles();
    assert!(bits.len() >= tiles * samples, "one panel of bits a tile of weights");
    fields.fill(*bias);
    // Four tiles of tables are 16 KiB: half the fastest cache, and sixteen additions for each load and store of a field.
    let mut tables = [[[Vector::ZERO; ENTRIES]; GROUPS]; 4];
    let mut first = 0;
    while first + 4 <= tiles {
        fill_tiles::<TRANSPOSED>(source, first, &mut tables);
        let panels = &bits[first * samples..][..4 * samples];
        let (one, rest) = panels.split_at(samples);
        let (two, rest) = rest.split_at(samples);
        let (three, four) = rest.split_at(samples);
        for ((((field, &one), &two), &three), &four) in fields.iter_mut().zip(one).zip(two).zip(three).zip(four) {
            let sum = add_tile(*field, &tables[0], one);
            let sum = add_tile(sum, &tables[1], two);
            let sum = add_tile(sum, &tables[2], three);
            *field = add_tile(sum, &tables[3], four);
        }
        first += 4;
    }
    while first < tiles {
        fill_tiles::<TRANSPOSED>(source, first, &mut tables[..1]);
        for (field, &bits) in fields.iter_mut().zip(&bits[first * samples..]) {
            *field = add_tile(*field, &tables[0], bits);
        }
        first += 1;
    }
}

#[inline(always)]
fn fill_tiles<const TRANSPOSED: bool>(source: Source, first: usize, tables: &mut [Tables]) {
    let mut memory = [Vector::ZERO; TILE];
    for (index, tables) in tables.iter_mut().enumerate() {
        let rows = source.tile::<TRANSPOSED>(first + index, &mut memory);
        for (group, table) in tables.iter_mut().enumerate() {
            fill(table, &rows[group * UNITS_PER_GROUP..][..UNITS_PER_GROUP]);
        }
    }
}

#[inline(always)]
fn add_tile(mut sum: Vector, tables: &Tables, bits: u16) -> Vector {
    for group in 0..GROUPS {
        sum = sum.plus(&tables[group][usize::from(bits) >> (group * UNITS_PER_GROUP) & (ENTRIES - 1)]);
    }
    sum
}

/// Samples whose sums stay in registers together.
const ABREAST: usize = 4;

#[inline(always)]
fn from_numbers<const TRANSPOSED: bool>(source: Source, bias: &Vector, units: &[Vector], fields: &mut [Vector]) {
    let samples = fields.len();
    let tiles = source.tiles();
    assert!(units.len() >= tiles * samples, "one panel of units a tile of weights");
    fields.fill(*bias);
    let mut memory = [Vector::ZERO; TILE];
    for index in 0..tiles {
        let rows = source.tile::<TRANSPOSED>(index, &mut memory);
        let panel = &units[index * samples..][..samples];
        let mut blocks = fields.chunks_exact_mut(ABREAST);
        let mut sources = panel.chunks_exact(ABREAST);
        for (block, source) in blocks.by_ref().zip(sources.by_ref()) {
            let mut sums = [block[0], block[1], block[2], block[3]];
            for unit in 0..TILE {
                for sample in 0..ABREAST {
                    sums[sample] = sums[sample].plus_product(source[sample].0[unit], &rows[unit]);
                }
            }
            block.copy_from_slice(&sums);
        }
        for (field, source) in blocks.into_remainder().iter_mut().zip(sources.remainder()) {
            for unit in 0..TILE {
                *field = field.plus_product(source.0[unit], &rows[unit]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn every_instruction_set_equals_the_naive_loop_bit_by_bit() {
        let mut stream = Stream::new(1, Purpose::Check, 31);
        for (visible, hidden) in [(1, 1), (7, 65), (63, 7), (65, 63), (1000, 65), (65, 1000)] {
            let case = case(visible, hidden, &mut stream);
            let bias = Vector(std::array::from_fn(|_| stream.normal() as f32));
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
                    // The last panel has the padding, the first one is whole; between them nothing is new.
                    for panel in [0, panels - 1] {
                        let rows: Vec<Vector> = (0..senders.next_multiple_of(16)).map(|unit| row(&case, upwards, panel, unit)).collect();
                        let mut naive = vec![bias; samples];
                        let mut naive_numbers = vec![bias; samples];
                        for sample in 0..samples {
                            for (group, rows) in rows.chunks(UNITS_PER_GROUP).enumerate() {
                                let first = group * UNITS_PER_GROUP;
                                let chosen = usize::from(bits[first / 16 * samples + sample]) >> (first % 16) & (ENTRIES - 1);
                                let entry = group_sum(rows, chosen);
                                (0..16).for_each(|lane| naive[sample].0[lane] += entry.0[lane]);
                            }
                            for (unit, row) in rows.iter().enumerate() {
                                let value = numbers[unit / 16 * samples + sample].0[unit % 16];
                                (0..16).for_each(|lane| {
                                    naive_numbers[sample].0[lane] = value.mul_add(row.0[lane], naive_numbers[sample].0[lane])
                                });
                            }
                        }
                        for set in InstructionSet::available() {
                            let mut fields = vec![Vector::ZERO; samples];
                            let mut number_fields = vec![Vector::ZERO; samples];
                            if upwards {
                                let weights = &case.weights[panel * case.visible..(panel + 1) * case.visible];
                                up_from_bits(set, weights, &bias, &bits, &mut fields);
                                up_from_numbers(set, weights, &bias, &numbers, &mut number_fields);
                            } else {
                                down_from_bits(set, &case.weights, case.visible, panel, &bias, &bits, &mut fields);
                                down_from_numbers(set, &case.weights, case.visible, panel, &bias, &numbers, &mut number_fields);
                            }
                            assert!(fields == naive, "{set}: {visible} x {hidden}, {samples} samples, bits, upwards {upwards}");
                            assert!(
                                number_fields == naive_numbers,
                                "{set}: {visible} x {hidden}, {samples} samples, numbers, upwards {upwards}"
                            );
                        }
                    }
                }
            }
        }
    }
}
