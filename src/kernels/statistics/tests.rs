//! The sums against the naive loop, at awkward sizes.

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
                        let bit =
                            |place: usize| usize::from(bits[unit / 16 * samples + group * SAMPLES_PER_GROUP + place] >> (unit % 16) & 1);
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
