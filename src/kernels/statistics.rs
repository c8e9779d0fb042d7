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
use super::tables::{ABREAST, SAMPLES_PER_GROUP, entry, fill};

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
        let (groups, rest) = rows.as_chunks::<SAMPLES_PER_GROUP>();
        let mut tables = tables.iter_mut();
        for (group, table) in groups.iter().zip(&mut tables) {
            fill_table::<N, PANELS>(group, negative, table, panel);
        }
        if !rest.is_empty()
            && let Some(table) = tables.next()
        {
            // What is missing nobody chooses.
            let mut group = [Vector::ZERO; SAMPLES_PER_GROUP];
            group[..rest.len()].copy_from_slice(rest);
            fill_table::<N, PANELS>(&group, negative, table, panel);
        }
    }
    rows.count.div_ceil(SAMPLES_PER_GROUP)
}

/// The table of one group.
#[inline(always)]
fn fill_table<N: Numbers, const PANELS: usize>(
    group: &[Vector; SAMPLES_PER_GROUP],
    negative: bool,
    table: &mut [[Vector; PANELS]; ENTRIES],
    panel: usize,
) {
    // No closures: they do not have the instructions.
    let mut rows = [N::zero(); SAMPLES_PER_GROUP];
    for (row, member) in rows.iter_mut().zip(group) {
        *row = if negative { N::load(member).negated() } else { N::load(member) };
    }
    fill::<N, PANELS, SAMPLES_PER_GROUP>(table, panel, &rows);
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
        _ => add_any_tables::<N, PANELS>(choices, tables, count, partial, total, begins, end),
    }
}

/// The entries that a unit chooses of a table.
#[inline(always)]
fn chosen<const PANELS: usize>(tables: &Tables<PANELS>, table: usize, word: f32) -> &[Vector; PANELS] {
    entry(tables, table, word.to_bits(), table % TABLES_PER_WORD * SAMPLES_PER_GROUP)
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
    // So many units at once: the sum of each is a chain of additions that wait for each other.
    const TOGETHER: usize = 2;
    let mut partial = partial.map(|partial| partial.as_chunks_mut::<{ Vector::WIDTH }>().0);
    let mut total = total.map(|total| total.as_chunks_mut::<{ Vector::WIDTH }>().0);
    for visible in 0..total[0].len() {
        let choices = &choices[visible];
        let partial: [&mut [Vector; Vector::WIDTH]; PANELS] = partial.each_mut().map(|partial| &mut partial[visible]);
        let total: [&mut [Vector; Vector::WIDTH]; PANELS] = total.each_mut().map(|total| &mut total[visible]);
        for lane in (0..Vector::WIDTH).step_by(TOGETHER) {
            let mut sums = [[N::zero(); PANELS]; TOGETHER];
            if !BEGINS {
                for unit in 0..TOGETHER {
                    for panel in 0..PANELS {
                        sums[unit][panel] = N::load(&partial[panel][lane + unit]);
                    }
                }
            }
            for word in 0..WORDS {
                for unit in 0..TOGETHER {
                    let choices = choices[word].0[lane + unit];
                    for table in 0..TABLES_PER_WORD {
                        let entry = chosen(tables, word * TABLES_PER_WORD + table, choices);
                        for panel in 0..PANELS {
                            sums[unit][panel] = sums[unit][panel].plus(N::load(&entry[panel]));
                        }
                    }
                }
            }
            for panel in 0..PANELS {
                for unit in 0..TOGETHER {
                    end.put(sums[unit][panel], &mut partial[panel][lane + unit], &mut total[panel][lane + unit]);
                }
            }
        }
    }
}

/// Any number of tables, in the first pass of a shard or in a later one.
#[inline(always)]
fn add_any_tables<N: Numbers, const PANELS: usize>(
    choices: &[Choices],
    tables: &Tables<PANELS>,
    count: usize,
    partial: [&mut [Vector]; PANELS],
    total: [&mut [Vector]; PANELS],
    begins: bool,
    end: End,
) {
    for row in 0..total[0].len() {
        let choices = &choices[row / Vector::WIDTH];
        let mut sums = [N::zero(); PANELS];
        if !begins {
            for panel in 0..PANELS {
                sums[panel] = N::load(&partial[panel][row]);
            }
        }
        for table in 0..count {
            let entry = chosen(tables, table, choices[table / TABLES_PER_WORD].0[row % Vector::WIDTH]);
            for panel in 0..PANELS {
                sums[panel] = sums[panel].plus(N::load(&entry[panel]));
            }
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
        let mut sums = [[N::zero(); PANELS]; UNITS];
        if !begins {
            for unit in 0..UNITS {
                for panel in 0..PANELS {
                    sums[unit][panel] = N::load(&partial[panel][start + unit]);
                }
            }
        }
        for (sample, values) in units.iter().enumerate() {
            let mut row = [N::zero(); PANELS];
            for panel in 0..PANELS {
                row[panel] = N::load(&hidden[panel][sample]).times(sign);
            }
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
mod tests;
