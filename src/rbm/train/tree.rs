//! The order in which the sums of shards are added: a binary tree over their numbers, left before right. It is fixed by the number of shards alone, and ranks that own neighbouring shards
//! can add up whole branches before they send anything.

use super::gradient::Scratch;
use crate::kernels::float_vector::Vector;
use std::ops::Range;

/// Where a branch of two shards or more divides: behind the largest power of two that leaves a rest.
fn middle(branch: &Range<usize>) -> usize {
    branch.start + branch.len().next_power_of_two() / 2
}

/// The largest branches of the tree over `all` shards that have no others than `own`, ascending.
pub fn branches(all: Range<usize>, own: &Range<usize>) -> Vec<Range<usize>> {
    if own.end <= all.start || all.end <= own.start {
        return Vec::new();
    }
    if all.is_empty() || own.start <= all.start && all.end <= own.end {
        return vec![all];
    }
    let middle = middle(&all);
    [branches(all.start..middle, own), branches(middle..all.end, own)].concat()
}

/// How the sums of one branch come to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// There are none: what stands in `scratch.total` is of no account and is overwritten.
    First,
    /// They are added to `scratch.total`.
    Next,
}

/// Puts the sum of all shards of a branch into `scratch.total`, whatever stands there. `add` adds that of a smaller branch, if it has it in one piece, and says whether it does; single
/// shards it must have.
pub fn add_up(branch: Range<usize>, scratch: &mut Scratch, add: &dyn Fn(&Range<usize>, Place, &mut Scratch) -> bool) {
    if branch.is_empty() {
        scratch.total.fill(Vector::ZERO);
    }
    if branch.is_empty() || add(&branch, Place::First, scratch) || branch.len() == 1 {
        return;
    }
    let middle = middle(&branch);
    add_up(branch.start..middle, scratch, add);
    let right = middle..branch.end;
    if add(&right, Place::Next, scratch) || right.len() == 1 {
        return;
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
    fn every_division_into_parts_has_the_sum_of_the_whole_tree() {
        // Sums of such numbers depend on their order.
        let shard = |number: usize| Vector::splat(1.0 / (3.0 + number as f32));
        let sum = |shards: usize, parts: &[Range<usize>]| {
            let mut scratch = Scratch::new(1);
            let put = |place: Place, scratch: &mut Scratch, sum: &Vector| {
                scratch.total[0] = if place == Place::First { *sum } else { scratch.total[0].plus(sum) };
            };
            let single = |branch: &Range<usize>, place: Place, scratch: &mut Scratch| {
                if branch.len() == 1 {
                    put(place, scratch, &shard(branch.start));
                }
                branch.len() == 1
            };
            // Memory that was used before.
            let used = Vector::splat(f32::NAN);
            scratch.spare = vec![vec![used; ABREAST]; 3];
            let sent: Vec<(Range<usize>, Vector)> = parts
                .iter()
                .flat_map(|own| branches(0..shards, own))
                .map(|branch| {
                    scratch.total.fill(used);
                    add_up(branch.clone(), &mut scratch, &single);
                    (branch, scratch.total[0])
                })
                .collect();
            assert_eq!(sent.iter().flat_map(|(branch, _)| branch.clone()).collect::<Vec<_>>(), (0..shards).collect::<Vec<_>>());
            scratch.total.fill(used);
            add_up(0..shards, &mut scratch, &|branch, place, scratch| {
                let found = sent.iter().find(|(sent, _)| sent == branch);
                found.iter().for_each(|(_, sums)| put(place, scratch, sums));
                found.is_some()
            });
            scratch.total[0].0[0].to_bits()
        };
        for shards in [1, 2, 3, 4, 5, 7, 8, 13, 64] {
            let whole = sum(shards, std::slice::from_ref(&(0..shards)));
            for ranks in 1..10 {
                let parts: Vec<Range<usize>> = (0..ranks).map(|rank| shards * rank / ranks..shards * (rank + 1) / ranks).collect();
                assert_eq!(sum(shards, &parts), whole, "{shards} shards on {ranks} ranks");
            }
        }
        assert_eq!(branches(0..6, &(0..3)), [0..2, 2..3]);
        assert_eq!(branches(0..6, &(3..6)), [3..4, 4..6]);
        // The mutant: from left to right is another sum.
        let in_a_row = (0..13).fold(0f32, |sum, number| sum + shard(number).0[0]);
        assert_ne!(in_a_row.to_bits(), sum(13, std::slice::from_ref(&(0..13))));
    }
}
