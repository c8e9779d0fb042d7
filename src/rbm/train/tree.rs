//! The order in which the sums of shards are added: a binary tree over their numbers, left before right. It is fixed by the number of shards alone.

use super::gradient::Scratch;
use crate::kernels::float_vector::Vector;
use std::ops::Range;

/// Where a branch of two shards or more divides: behind the largest power of two that leaves a rest.
fn middle(branch: &Range<usize>) -> usize {
    branch.start + branch.len().next_power_of_two() / 2
}

/// How the sums of one branch come to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// There are none: what stands in `scratch.total` is of no account and is overwritten.
    First,
    /// They are added to `scratch.total`.
    Next,
}

/// Puts the sum of all shards of a branch into `scratch.total`, whatever stands there. `add` adds that of one shard, or puts it there.
pub fn add_up(branch: Range<usize>, scratch: &mut Scratch, add: &dyn Fn(usize, Place, &mut Scratch)) {
    match branch.len() {
        0 => return scratch.total.fill(Vector::ZERO),
        1 => return add(branch.start, Place::First, scratch),
        _ => {}
    }
    let middle = middle(&branch);
    add_up(branch.start..middle, scratch, add);
    let right = middle..branch.end;
    if right.len() == 1 {
        return add(right.start, Place::Next, scratch);
    }
    let mut other = scratch.spare.pop().unwrap_or_default();
    other.resize(scratch.total.len(), Vector::ZERO);
    std::mem::swap(&mut scratch.total, &mut other);
    add_up(right, scratch, add);
    std::mem::swap(&mut scratch.total, &mut other);
    scratch.total.iter_mut().zip(&other).for_each(|(sum, right)| *sum = sum.plus(right));
    scratch.spare.push(other);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::tables::ABREAST;

    #[test]
    fn the_sum_is_that_of_a_balanced_tree() {
        // Sums of such numbers depend on their order.
        let shard = |number: usize| 1.0 / (3.0 + number as f32);
        fn expected(shards: std::ops::Range<usize>, shard: &dyn Fn(usize) -> f32) -> f32 {
            let half = shards.len().next_power_of_two() / 2;
            let parts = [shards.start..shards.start + half, shards.start + half..shards.end];
            if shards.len() == 1 { shard(shards.start) } else { parts.map(|part| expected(part, shard)).iter().sum() }
        }
        for shards in [1, 2, 3, 4, 5, 7, 8, 13, 64] {
            let mut scratch = Scratch::new(1);
            // Memory that was used before.
            let used = Vector::splat(f32::NAN);
            scratch.spare = vec![vec![used; ABREAST]; 3];
            scratch.total.fill(used);
            add_up(0..shards, &mut scratch, &|number, place, scratch| {
                let sum = Vector::splat(shard(number));
                scratch.total[0] = if place == Place::First { sum } else { scratch.total[0].plus(&sum) };
            });
            assert_eq!(scratch.total[0].0[0].to_bits(), expected(0..shards, &shard).to_bits(), "{shards} shards");
        }
        // The mutant: from left to right is another sum.
        let in_a_row = (0..13).fold(0f32, |sum, number| sum + shard(number));
        assert_ne!(in_a_row.to_bits(), expected(0..13, &shard).to_bits());
        let mut scratch = Scratch::new(1);
        scratch.total.fill(Vector::splat(1.0));
        add_up(0..0, &mut scratch, &|_, _, _| panic!("there is no shard"));
        assert!(scratch.total.iter().all(|sum| *sum == Vector::ZERO));
    }
}
