//! The sums of a gradient: for a panel of sixteen hidden units, sum over the samples of v_i p_j, data minus model.
//!
//! It is the look-up product of `tables` turned round: the samples are what is grouped, the probabilities p are the rows, and the bits of one visible unit
//! choose among the sums of [`SAMPLES_PER_GROUP`] of them. One table serves all visible units.
//!
//! Order of the sums, for each (i, j) by itself: a shard starts at +0, takes the samples of the data ascending (bits: one table entry a group; numbers: one
//! fused v * p a sample), then those of the model with the sign changed. The finished shard is added to the total, shards ascending. How many groups share
//! one pass over memory changes nothing.

use super::dispatch;
use super::float_vector::Vector;
use super::tables::{SAMPLES_PER_GROUP, fill};

/// Entries of one table.
pub const ENTRIES: usize = 1 << SAMPLES_PER_GROUP;

/// Tables in one pass: 20 KiB, so that they and a strip of sums stay in the fastest cache.
pub const TABLES_PER_PASS: usize = 10;

/// For the sixteen units of a visible panel, the table entry that the samples of one group choose: unit 4 q + r has byte r of word q.
pub type Choices = [u32; Vector::WIDTH / ABREAST];

/// The sums of one hidden panel while a shard is worked on in several passes.
pub struct Sums<'a> {
    /// The unfinished shard, a vector a visible unit.
    pub partial: &'a mut [Vector],
    /// The sum of the finished shards.
    pub total: &'a mut [Vector],
    /// This pass is the first of its shard: it starts at zero.
    pub begins: bool,
    /// This pass is the last of its shard: it ends in `total`.
    pub ends: bool,
}

dispatch! {
    /// The choices of one visible panel for one shard: `bits` are its samples, one entry of `choices` a group of [`SAMPLES_PER_GROUP`].
    pub fn choose(bits: &[u16], choices: &mut [Choices]) = choose_body;
}

dispatch! {
    /// The tables of all groups of `rows` (the last one may be shorter), with the sign changed if `negative`.
    pub fn fill_tables(rows: &[Vector], negative: bool, tables: &mut [[Vector; ENTRIES]]) = fill_tables_body;
}

dispatch! {
    /// One pass over all visible units: adds the entry of each table. Visible panel p makes the choices `choices[p * stride + first ..]`.
    pub fn add_bits(choices: &[Choices], stride: usize, first: usize, tables: &[[Vector; ENTRIES]], sums: Sums<'_>) = add_bits_body;
}

dispatch! {
    /// One pass over all visible units that are numbers: `units[p * stride + first + s]` is visible panel p in sample s of the shard, `rows[s]` the probabilities.
    pub fn add_numbers(units: &[Vector], stride: usize, first: usize, rows: &[Vector], negative: bool, sums: Sums<'_>) = add_numbers_body;
}

dispatch! {
    /// The sum over the samples of each lane, samples ascending from +0.
    pub fn column_sums(rows: &[Vector]) -> Vector = column_sums_body;
}

dispatch! {
    /// The number of set bits of each lane, exact.
    pub fn column_counts(bits: &[u16]) -> Vector = column_counts_body;
}

#[inline(always)]
fn choose_body(bits: &[u16], choices: &mut [Choices]) {
    for (group, choices) in bits.chunks(SAMPLES_PER_GROUP).zip(choices) {
        let mut chosen = [0u16; Vector::WIDTH];
        for (place, &bits) in group.iter().enumerate() {
            for (lane, chosen) in chosen.iter_mut().enumerate() {
                *chosen |= (bits >> lane & 1) << place;
            }
        }
        for (word, four) in choices.iter_mut().zip(chosen.chunks_exact(ABREAST)) {
            *word = u32::from(four[0]) | u32::from(four[1]) << 8 | u32::from(four[2]) << 16 | u32::from(four[3]) << 24;
        }
    }
}

#[inline(always)]
fn fill_tables_body(rows: &[Vector], negative: bool, tables: &mut [[Vector; ENTRIES]]) {
    for (group, table) in rows.chunks(SAMPLES_PER_GROUP).zip(tables) {
        let mut signed = [Vector::ZERO; SAMPLES_PER_GROUP];
        for (signed, row) in signed.iter_mut().zip(group) {
            *signed = if negative { row.negated() } else { *row };
        }
        fill(table, &signed);
    }
}

/// Visible units whose sums stay in registers together.
const ABREAST: usize = 4;

/// Four visible units in their panel: where their choices or states begin, and their first lane.
#[inline(always)]
fn place_of(index: usize, stride: usize, first: usize) -> (usize, usize) {
    const FOURS: usize = Vector::WIDTH / ABREAST;
    (index / FOURS * stride + first, index % FOURS * ABREAST)
}

#[inline(always)]
fn begin(partial: &[Vector], begins: bool) -> [Vector; ABREAST] {
    if begins { [Vector::ZERO; ABREAST] } else { [partial[0], partial[1], partial[2], partial[3]] }
}

#[inline(always)]
fn end(four: &[Vector; ABREAST], ends: bool, partial: &mut [Vector], total: &mut [Vector]) {
    if ends {
        for row in 0..ABREAST {
            total[row] = total[row].plus(&four[row]);
        }
    } else {
        partial.copy_from_slice(four);
    }
}

#[inline(always)]
fn add_bits_body(choices: &[Choices], stride: usize, first: usize, tables: &[[Vector; ENTRIES]], sums: Sums<'_>) {
    let Sums { partial, total, begins, ends } = sums;
    assert_eq!(partial.len(), total.len(), "partial and total sums have one shape");
    for (index, (partial, total)) in partial.chunks_exact_mut(ABREAST).zip(total.chunks_exact_mut(ABREAST)).enumerate() {
        let mut four = begin(partial, begins);
        let (start, lane) = place_of(index, stride, first);
        for (table, choices) in tables.iter().zip(&choices[start..][..tables.len()]) {
            let chosen = choices[lane / ABREAST] as usize;
            for row in 0..ABREAST {
                four[row] = four[row].plus(&table[chosen >> (8 * row) & (ENTRIES - 1)]);
            }
        }
        end(&four, ends, partial, total);
    }
}

#[inline(always)]
fn add_numbers_body(units: &[Vector], stride: usize, first: usize, rows: &[Vector], negative: bool, sums: Sums<'_>) {
    let Sums { partial, total, begins, ends } = sums;
    assert_eq!(partial.len(), total.len(), "partial and total sums have one shape");
    let sign = if negative { -1.0 } else { 1.0 };
    for (index, (partial, total)) in partial.chunks_exact_mut(ABREAST).zip(total.chunks_exact_mut(ABREAST)).enumerate() {
        let mut four = begin(partial, begins);
        let (start, lane) = place_of(index, stride, first);
        for (units, row) in units[start..][..rows.len()].iter().zip(rows) {
            let values = &units.0[lane..][..ABREAST];
            for offset in 0..ABREAST {
                four[offset] = four[offset].plus_product(sign * values[offset], row);
            }
        }
        end(&four, ends, partial, total);
    }
}

#[inline(always)]
fn column_sums_body(rows: &[Vector]) -> Vector {
    let mut sum = Vector::ZERO;
    for row in rows {
        sum = sum.plus(row);
    }
    sum
}

#[inline(always)]
fn column_counts_body(bits: &[u16]) -> Vector {
    let mut counts = [0u32; Vector::WIDTH];
    for &bits in bits {
        for (lane, count) in counts.iter_mut().enumerate() {
            *count += u32::from(bits >> lane & 1);
        }
    }
    let mut result = Vector::ZERO;
    for (number, &count) in result.0.iter_mut().zip(&counts) {
        *number = count as f32;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::InstructionSet;
    use crate::kernels::tables::group_sum;
    use crate::random::{Purpose, Stream};

    #[test]
    fn every_instruction_set_equals_the_naive_loop_bit_by_bit() {
        let mut stream = Stream::new(2, Purpose::Check, 32);
        for visible in [1usize, 7, 63, 65, 1000] {
            let panels = visible.div_ceil(16);
            for samples in [1usize, 3, 100, 257] {
                let groups = samples.div_ceil(SAMPLES_PER_GROUP);
                let mut bits = vec![0u16; panels * samples];
                let mut numbers = vec![Vector::ZERO; panels * samples];
                for unit in 0..visible {
                    for sample in 0..samples {
                        let place = unit / 16 * samples + sample;
                        bits[place] |= ((stream.word() & 1) as u16) << (unit % 16);
                        numbers[place].0[unit % 16] = stream.uniform() as f32;
                    }
                }
                let mut draw = || (0..samples).map(|_| Vector(std::array::from_fn(|_| stream.uniform() as f32))).collect::<Vec<_>>();
                let (data, model) = (draw(), draw());
                let negated: Vec<Vector> = model.iter().map(|row| row.negated()).collect();
                let start = Vector::splat(0.25);

                let mut naive = vec![start; panels * 16];
                for unit in 0..panels * 16 {
                    let mut shard = Vector::ZERO;
                    let mut add = |entry: Vector| (0..16).for_each(|lane| shard.0[lane] += entry.0[lane]);
                    for rows in [&data, &negated] {
                        for (group, rows) in rows.chunks(SAMPLES_PER_GROUP).enumerate() {
                            let bit = |place: usize| {
                                usize::from(bits[unit / 16 * samples + group * SAMPLES_PER_GROUP + place] >> (unit % 16) & 1)
                            };
                            add(group_sum(rows, (0..rows.len()).map(|place| bit(place) << place).sum()));
                        }
                    }
                    (0..16).for_each(|lane| naive[unit].0[lane] += shard.0[lane]);
                }
                let mut naive_numbers = vec![start; panels * 16];
                for unit in 0..panels * 16 {
                    let mut shard = Vector::ZERO;
                    for (sign, rows) in [(1.0, &data), (-1.0, &model)] {
                        for (sample, row) in rows.iter().enumerate() {
                            let value = sign * numbers[unit / 16 * samples + sample].0[unit % 16];
                            (0..16).for_each(|lane| shard.0[lane] = value.mul_add(row.0[lane], shard.0[lane]));
                        }
                    }
                    (0..16).for_each(|lane| naive_numbers[unit].0[lane] += shard.0[lane]);
                }

                for set in InstructionSet::available() {
                    let mut choices = vec![[0; 4]; panels * groups];
                    for panel in 0..panels {
                        choose(set, &bits[panel * samples..(panel + 1) * samples], &mut choices[panel * groups..(panel + 1) * groups]);
                    }
                    // Passes of 10 tables and of 3: the bits may not depend on it.
                    for most in [TABLES_PER_PASS, 3] {
                        let (mut partial, mut total) = (vec![Vector::ZERO; panels * 16], vec![start; panels * 16]);
                        for (negative, rows) in [(false, &data), (true, &model)] {
                            let mut tables = vec![[Vector::ZERO; ENTRIES]; groups];
                            fill_tables(set, rows, negative, &mut tables);
                            for (pass, tables) in tables.chunks(most).enumerate() {
                                let (begins, ends) = (!negative && pass == 0, negative && (pass + 1) * most >= groups);
                                let sums = Sums { partial: &mut partial, total: &mut total, begins, ends };
                                add_bits(set, &choices, groups, pass * most, tables, sums);
                            }
                        }
                        assert!(total == naive, "{set}: {visible} units, {samples} samples, bits, {most} tables a pass");
                    }
                    let (mut partial, mut total) = (vec![Vector::ZERO; panels * 16], vec![start; panels * 16]);
                    for (negative, rows) in [(false, &data), (true, &model)] {
                        let sums = Sums { partial: &mut partial, total: &mut total, begins: !negative, ends: negative };
                        add_numbers(set, &numbers, samples, 0, rows, negative, sums);
                    }
                    assert!(total == naive_numbers, "{set}: {visible} units, {samples} samples, numbers");
                    let counts = column_counts(set, &bits[..samples]);
                    assert_eq!(counts.0[0] as usize, bits[..samples].iter().filter(|&&bits| bits & 1 == 1).count());
                    assert_eq!(column_sums(set, &data), column_sums(InstructionSet::PORTABLE, &data));
                }
            }
        }
    }
}
