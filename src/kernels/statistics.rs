//! The sums of a gradient: for some panels of sixteen hidden units, sum over the samples of v_i p_j, data minus model.
//!
//! It is the look-up product of `tables` turned round: the samples are what is grouped, the probabilities p are the rows, and the bits of one visible unit
//! choose among the sums of [`SAMPLES_PER_GROUP`] of them. One table serves all visible units.
//!
//! Order of the sums, for each (i, j) by itself: a shard starts at +0, takes the samples of the data ascending (bits: one table entry a group; numbers: one
//! fused v * p a sample), then those of the model with the sign changed. The finished shard is added to the total, or is it. How many groups share
//! one pass over memory, and how many panels, changes nothing.

use super::dispatch;
use super::float_vector::Vector;
use super::numbers::Numbers;
use super::tables::{ABREAST, SAMPLES_PER_GROUP, fill};

/// Entries of one table.
pub const ENTRIES: usize = 1 << SAMPLES_PER_GROUP;

/// Tables in one pass: 20 KiB a panel, so that they and a strip of sums stay in the fastest cache. Two panels together share the decoding of choices, where that cache has
/// 48 KiB.
pub const TABLES_PER_PASS: usize = 10;

/// Of these, so many stand in one word of [`Choices`].
const TABLES_PER_WORD: usize = TABLES_PER_PASS / 2;

/// The tables of one pass, for one or two panels.
pub type Tables<const PANELS: usize> = [[[Vector; PANELS]; ENTRIES]; TABLES_PER_PASS];

/// For the sixteen units of a visible panel, as bit patterns, the table entries that they choose in one pass: bits 5 g ... 5 g + 4 of the first word for table g = 0 ... 4,
/// the same of the second word for tables 5 to 9.
pub type Choices = [Vector; 2];

/// The memory in which the sums of one or two hidden panels are made.
#[derive(Debug, Clone)]
pub struct Scratch {
    single: Box<Tables<1>>,
    double: Box<Tables<ABREAST>>,
}

impl Default for Scratch {
    fn default() -> Self {
        Scratch {
            single: Box::new([[[Vector::ZERO]; ENTRIES]; TABLES_PER_PASS]),
            double: Box::new([[[Vector::ZERO; ABREAST]; ENTRIES]; TABLES_PER_PASS]),
        }
    }
}

/// The sums of some hidden panels while a shard is worked on in several passes; panel after panel, a vector a visible unit.
pub struct Sums<'a> {
    /// Hidden panels: 1 or [`ABREAST`].
    pub panels: usize,
    /// The unfinished shard.
    pub partial: &'a mut [Vector],
    /// The sum of the finished shards.
    pub total: &'a mut [Vector],
    /// This pass is the first of its shard: it starts at zero.
    pub begins: bool,
    /// Where this pass ends.
    pub end: End,
}

/// Where the sums of a pass go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The shard is unfinished.
    Partial,
    /// Into `total`, where nothing is that counts. A finished sum is never -0, so that this is what adding it to +0 gives.
    Set,
    /// They are added to `total`.
    Add,
}

impl End {
    /// Puts a sum in its place.
    #[inline(always)]
    fn put<N: Numbers>(self, sum: N, partial: &mut Vector, total: &mut Vector) {
        match self {
            End::Partial => sum.store(partial),
            End::Set => sum.store(total),
            End::Add => N::load(total).plus(sum).store(total),
        }
    }
}

/// Probabilities of the hidden units: those of hidden panel p are `all[p * stride..]`, a vector a sample.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    /// All of them.
    pub all: &'a [Vector],
    /// Samples a panel.
    pub stride: usize,
    /// Those of one panel that are meant, counted within the panel; at most one pass.
    pub first: usize,
    /// Their number.
    pub count: usize,
}

dispatch! {
    /// The choices of one visible panel in one pass for the samples `bits`, whose first group has table number `table`.
    pub fn choose(bits: &[u16], table: usize, choices: &mut Choices) = choose_body over Numbers;
}

dispatch! {
    /// One pass over all visible units: adds what they choose of the tables of `data`, then of those of `model` with the sign changed. Visible panel p makes the choices
    /// `choices[p]`.
    pub fn add_bits(choices: &[Choices], data: Rows<'_>, model: Rows<'_>, scratch: &mut Scratch, sums: Sums<'_>)
        = add_bits_body over Numbers;
}

dispatch! {
    /// One pass over all visible units that are numbers: `units[p * stride + first + s]` is visible panel p in sample s of `rows`.
    pub fn add_numbers(units: &[Vector], stride: usize, first: usize, rows: Rows<'_>, negative: bool, sums: Sums<'_>) = add_numbers_body over Numbers;
}

dispatch! {
    /// The sum over the samples of each lane, samples ascending from +0.
    pub fn column_sums(rows: &[Vector]) -> Vector = column_sums_body over Numbers;
}

dispatch! {
    /// The number of set bits of each lane, exact.
    pub fn column_counts(bits: &[u16]) -> Vector = column_counts_body over Numbers;
}

#[inline(always)]
fn choose_body<N: Numbers>(bits: &[u16], table: usize, choices: &mut Choices) {
    for (group, bits) in bits.chunks(SAMPLES_PER_GROUP).enumerate() {
        let word = &mut choices[(table + group) / TABLES_PER_WORD];
        let first = (table + group) % TABLES_PER_WORD * SAMPLES_PER_GROUP;
        let chosen = bits.iter().enumerate().fold(N::load(word), |chosen, (sample, &bits)| chosen.with_bit(bits, 1 << (first + sample)));
        chosen.store(word);
    }
}

/// The tables of all groups of `rows` (the last one may be shorter), with the sign changed if `negative`. Returns their number.
#[inline(always)]
fn fill_tables<N: Numbers, const PANELS: usize>(rows: Rows, negative: bool, tables: &mut [[[Vector; PANELS]; ENTRIES]]) -> usize {
    for panel in 0..PANELS {
        let rows = &rows.all[panel * rows.stride + rows.first..][..rows.count];
        for (group, table) in rows.chunks(SAMPLES_PER_GROUP).zip(tables.iter_mut()) {
            let row = |index: usize| match group.get(index) {
                None => N::zero(),
                Some(row) if negative => N::load(row).negated(),
                Some(row) => N::load(row),
            };
            fill::<N, PANELS, SAMPLES_PER_GROUP>(table, panel, &std::array::from_fn(row));
        }
    }
    rows.count.div_ceil(SAMPLES_PER_GROUP)
}

#[inline(always)]
fn add_bits_body<N: Numbers>(choices: &[Choices], data: Rows<'_>, model: Rows<'_>, scratch: &mut Scratch, sums: Sums<'_>) {
    if sums.panels == ABREAST {
        add_pass::<N, ABREAST>(choices, data, model, &mut scratch.double, sums);
    } else {
        add_pass::<N, 1>(choices, data, model, &mut scratch.single, sums);
    }
}

#[inline(always)]
fn add_pass<N: Numbers, const PANELS: usize>(
    choices: &[Choices],
    data: Rows<'_>,
    model: Rows<'_>,
    tables: &mut Tables<PANELS>,
    sums: Sums<'_>,
) {
    let count = fill_tables::<N, PANELS>(data, false, tables);
    let count = count + fill_tables::<N, PANELS>(model, true, &mut tables[count..]);
    let Sums { partial, total, begins, end, .. } = sums;
    let rows = total.len() / PANELS;
    let (partial, total) = (split::<PANELS>(partial, rows), split::<PANELS>(total, rows));
    // The common cases by themselves, so that the compiler unrolls their loops.
    match (count, begins) {
        (10, true) => add_tables::<N, PANELS, 2, true>(choices, tables, partial, total, end),
        (10, false) => add_tables::<N, PANELS, 2, false>(choices, tables, partial, total, end),
        (5, true) => add_tables::<N, PANELS, 1, true>(choices, tables, partial, total, end),
        (5, false) => add_tables::<N, PANELS, 1, false>(choices, tables, partial, total, end),
        _ => add_any_tables::<N, PANELS>(choices, &tables[..count], partial, total, begins, end),
    }
}

/// Adds what one unit chooses of the tables whose choices stand in one word.
#[inline(always)]
fn add_word<N: Numbers, const PANELS: usize>(sums: &mut [N; PANELS], tables: &[[[Vector; PANELS]; ENTRIES]], chosen: usize) {
    for (place, table) in tables.iter().enumerate() {
        let entry = &table[chosen >> (SAMPLES_PER_GROUP * place) & (ENTRIES - 1)];
        for panel in 0..PANELS {
            sums[panel] = sums[panel].plus(N::load(&entry[panel]));
        }
    }
}

/// As many tables as there are in whole words of choices, in the first pass of a shard or in a later one.
#[inline(always)]
fn add_tables<N: Numbers, const PANELS: usize, const WORDS: usize, const BEGINS: bool>(
    choices: &[Choices],
    tables: &Tables<PANELS>,
    partial: [&mut [Vector]; PANELS],
    total: [&mut [Vector]; PANELS],
    end: End,
) {
    let tables: &[[[[Vector; PANELS]; ENTRIES]; TABLES_PER_WORD]] = tables.as_chunks().0;
    let tables: &[_; WORDS] = tables.first_chunk().expect("one or two words of tables");
    let mut partial = partial.map(|partial| partial.as_chunks_mut::<{ Vector::WIDTH }>().0);
    let mut total = total.map(|total| total.as_chunks_mut::<{ Vector::WIDTH }>().0);
    for visible in 0..total[0].len() {
        let choices = &choices[visible];
        let partial: [&mut [Vector; Vector::WIDTH]; PANELS] = partial.each_mut().map(|partial| &mut partial[visible]);
        let total: [&mut [Vector; Vector::WIDTH]; PANELS] = total.each_mut().map(|total| &mut total[visible]);
        for lane in 0..Vector::WIDTH {
            let mut sums = [N::zero(); PANELS];
            if !BEGINS {
                for panel in 0..PANELS {
                    sums[panel] = N::load(&partial[panel][lane]);
                }
            }
            for word in 0..WORDS {
                // An array of known length: the compiler unrolls the loop.
                add_word::<N, PANELS>(&mut sums, &tables[word], choices[word].0[lane].to_bits() as usize);
            }
            for panel in 0..PANELS {
                end.put(sums[panel], &mut partial[panel][lane], &mut total[panel][lane]);
            }
        }
    }
}

/// Any number of tables, in the first pass of a shard or in a later one.
#[inline(always)]
fn add_any_tables<N: Numbers, const PANELS: usize>(
    choices: &[Choices],
    tables: &[[[Vector; PANELS]; ENTRIES]],
    partial: [&mut [Vector]; PANELS],
    total: [&mut [Vector]; PANELS],
    begins: bool,
    end: End,
) {
    for row in 0..total[0].len() {
        let choices = &choices[row / Vector::WIDTH];
        let mut sums: [N; PANELS] = std::array::from_fn(|panel| if begins { N::zero() } else { N::load(&partial[panel][row]) });
        for (word, tables) in choices.iter().zip(tables.chunks(TABLES_PER_WORD)) {
            add_word::<N, PANELS>(&mut sums, tables, word.0[row % Vector::WIDTH].to_bits() as usize);
        }
        for panel in 0..PANELS {
            end.put(sums[panel], &mut partial[panel][row], &mut total[panel][row]);
        }
    }
}

/// The rows of each panel.
#[inline(always)]
fn split<const PANELS: usize>(sums: &mut [Vector], rows: usize) -> [&mut [Vector]; PANELS] {
    let mut parts = sums.chunks_exact_mut(rows);
    std::array::from_fn(|_| parts.next().expect("as many panels as are meant"))
}

#[inline(always)]
fn add_numbers_body<N: Numbers>(units: &[Vector], stride: usize, first: usize, rows: Rows<'_>, negative: bool, sums: Sums<'_>) {
    if sums.panels == ABREAST {
        multiply::<N, ABREAST>(units, stride, first, rows, negative, sums);
    } else {
        multiply::<N, 1>(units, stride, first, rows, negative, sums);
    }
}

#[inline(always)]
fn multiply<N: Numbers, const PANELS: usize>(
    units: &[Vector],
    stride: usize,
    first: usize,
    rows: Rows<'_>,
    negative: bool,
    sums: Sums<'_>,
) {
    if N::WIDE {
        multiply_units::<N, PANELS, 8>(units, stride, first, rows, negative, sums);
    } else {
        multiply_units::<N, PANELS, 2>(units, stride, first, rows, negative, sums);
    }
}

/// `UNITS` visible units whose sums stay in registers together.
#[inline(always)]
fn multiply_units<N: Numbers, const PANELS: usize, const UNITS: usize>(
    units: &[Vector],
    stride: usize,
    first: usize,
    rows: Rows<'_>,
    negative: bool,
    sums: Sums<'_>,
) {
    let Sums { partial, total, begins, end, .. } = sums;
    let length = total.len() / PANELS;
    let (partial, total) = (split::<PANELS>(partial, length), split::<PANELS>(total, length));
    let hidden: [&[Vector]; PANELS] = std::array::from_fn(|panel| &rows.all[panel * rows.stride + rows.first..][..rows.count]);
    let sign = N::splat(if negative { -1.0 } else { 1.0 });
    for start in (0..length).step_by(UNITS) {
        let units = &units[start / Vector::WIDTH * stride + first..][..rows.count];
        let lane = start % Vector::WIDTH;
        let mut sums: [[N; PANELS]; UNITS] = std::array::from_fn(|unit| {
            std::array::from_fn(|panel| if begins { N::zero() } else { N::load(&partial[panel][start + unit]) })
        });
        for (sample, values) in units.iter().enumerate() {
            let row: [N; PANELS] = std::array::from_fn(|panel| N::load(&hidden[panel][sample]).times(sign));
            let values: &[f32; UNITS] = values.0[lane..].first_chunk().expect("a part of a panel of units");
            for unit in 0..UNITS {
                let value = N::splat(values[unit]);
                for panel in 0..PANELS {
                    sums[unit][panel] = value.fused(row[panel], sums[unit][panel]);
                }
            }
        }
        for panel in 0..PANELS {
            for unit in 0..UNITS {
                let row = start + unit;
                end.put(sums[unit][panel], &mut partial[panel][row], &mut total[panel][row]);
            }
        }
    }
}

#[inline(always)]
fn column_sums_body<N: Numbers>(rows: &[Vector]) -> Vector {
    rows.iter().fold(N::zero(), |sum, row| sum.plus(N::load(row))).to_vector()
}

#[inline(always)]
fn column_counts_body<N: Numbers>(bits: &[u16]) -> Vector {
    // Whole numbers far below 2^24.
    bits.iter().fold(N::zero(), |sum, &bits| sum.plus(N::splat(1.0).masked(bits))).to_vector()
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
            for (samples, last) in [1usize, 3, 100, 257].into_iter().flat_map(|samples| [(samples, End::Add), (samples, End::Set)]) {
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
                // What stands in the total before, and what it counts.
                let (before, start) = if last == End::Add { (0.25, 0.25) } else { (f32::NAN, 0.0) };
                let (before, start) = (Vector::splat(before), Vector::splat(start));

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

                // The same two panels of hidden units, or one alone.
                let both = |rows: &[Vector]| [rows, rows].concat();
                let (data_rows, model_rows) = (both(&data), both(&model));
                for set in InstructionSet::available() {
                    for hidden_panels in [1, ABREAST] {
                        let rows = |all, first: usize, count| Rows { all, stride: samples, first, count };
                        let expected = |naive: &[Vector]| naive.repeat(hidden_panels);
                        // Passes of ten tables and of two: the bits may not depend on it.
                        for most in [TABLES_PER_PASS, 2] {
                            let (mut partial, mut total) =
                                (vec![Vector::ZERO; hidden_panels * panels * 16], vec![before; hidden_panels * panels * 16]);
                            let mut scratch = Scratch::default();
                            let passes = (2 * groups).div_ceil(most);
                            let in_samples = |group: usize| samples.min(group * SAMPLES_PER_GROUP);
                            for pass in 0..passes {
                                let (first, end) = (pass * most, (2 * groups).min((pass + 1) * most));
                                let of_data = in_samples(first.min(groups))..in_samples(end.min(groups));
                                let of_model = in_samples(first.max(groups) - groups)..in_samples(end.max(groups) - groups);
                                let mut choices = vec![[Vector::ZERO; 2]; panels];
                                for (panel, choices) in choices.iter_mut().enumerate() {
                                    let bits = &bits[panel * samples..(panel + 1) * samples];
                                    choose(set, &bits[of_data.clone()], 0, choices);
                                    choose(set, &bits[of_model.clone()], of_data.len().div_ceil(SAMPLES_PER_GROUP), choices);
                                }
                                let data = rows(&data_rows, of_data.start, of_data.len());
                                let model = rows(&model_rows, of_model.start, of_model.len());
                                let (begins, end) = (pass == 0, if pass + 1 == passes { last } else { End::Partial });
                                let sums = Sums { panels: hidden_panels, partial: &mut partial, total: &mut total, begins, end };
                                add_bits(set, &choices, data, model, &mut scratch, sums);
                            }
                            assert!(total == expected(&naive), "{set}: {visible} units, {samples} samples, bits, {most} tables a pass");
                        }
                        let (mut partial, mut total) =
                            (vec![Vector::ZERO; hidden_panels * panels * 16], vec![before; hidden_panels * panels * 16]);
                        for (negative, all) in [(false, &data_rows), (true, &model_rows)] {
                            let end = if negative { last } else { End::Partial };
                            let sums = Sums { panels: hidden_panels, partial: &mut partial, total: &mut total, begins: !negative, end };
                            add_numbers(set, &numbers, samples, 0, rows(all, 0, samples), negative, sums);
                        }
                        assert!(total == expected(&naive_numbers), "{set}: {visible} units, {samples} samples, numbers");
                    }
                    let counts = column_counts(set, &bits[..samples]);
                    assert_eq!(counts.0[0] as usize, bits[..samples].iter().filter(|&&bits| bits & 1 == 1).count());
                    assert_eq!(column_sums(set, &data), column_sums(InstructionSet::PORTABLE, &data));
                }
            }
        }
    }
}
