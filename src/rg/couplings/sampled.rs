//! The couplings of spins that are known by samples only, as block spins are: the maximum of the pseudo-likelihood (J. Besag 1975), the product over all spins of their
//! probability given their neighbours. It needs no partition function and is consistent: on samples of an Ising model it finds that model.
//!
//! A few couplings are followed: nearest and next-nearest neighbours, distance (2, 0), the four spins of a plaquette. What they leave out is what a renormalized Hamiltonian
//! has beyond them.

use crate::rg::block_spin::SpinGrid;
use crate::rg::linear::solve;
use rayon::prelude::*;

/// The couplings followed, in this order.
pub const NAMES: [&str; 4] = ["nearest", "next_nearest", "second", "plaquette"];
const COUNT: usize = NAMES.len();
/// Values of one feature: -4, -2, 0, 2, 4.
const VALUES: usize = 5;
const CELLS: usize = VALUES.pow(COUNT as u32);
/// Parts that the jackknife leaves out one at a time.
const BINS: usize = 20;

/// Couplings K_a of the Hamiltonian -sum K_a S_a, each with its jackknife error; `None` where the pseudo-likelihood has no maximum, as for spins that never change.
pub type Couplings = Option<[[f64; 2]; COUNT]>;

/// How often a spin times its fields had each of the possible values.
type Histogram = Vec<u64>;

/// Counts a grid in: for each spin, s times the sums of its neighbours, and of the products of the three other spins of its plaquettes.
fn count(grid: &SpinGrid, histogram: &mut Histogram) {
    let side = grid.side();
    for (x, y) in (0..side).flat_map(|y| (0..side).map(move |x| (x, y))) {
        let spin = |dx: usize, dy: usize| grid.spin(x + dx, y + dy);
        let (left, left2) = (side - 1, side - 2 % side);
        let (east, west, south, north) = (spin(1, 0), spin(left, 0), spin(0, 1), spin(0, left));
        let (south_east, south_west, north_east, north_west) = (spin(1, 1), spin(left, 1), spin(1, left), spin(left, left));
        let features = [
            east + west + south + north,
            south_east + south_west + north_east + north_west,
            spin(2, 0) + spin(left2, 0) + spin(0, 2) + spin(0, left2),
            east * south * south_east + west * south * south_west + east * north * north_east + west * north * north_west,
        ];
        let here = spin(0, 0);
        let cell = features.iter().fold(0, |cell, feature| cell * VALUES + ((here * feature + 4) / 2) as usize);
        histogram[cell] += 1;
    }
}

/// The fields of a cell of the histogram.
fn fields(mut cell: usize) -> [f64; COUNT] {
    let mut fields = [0.0; COUNT];
    for field in fields.iter_mut().rev() {
        *field = 2.0 * (cell % VALUES) as f64 - 4.0;
        cell /= VALUES;
    }
    fields
}

/// Newton's method on the sum of ln sigma(2 sum_a K_a f_a), which is concave.
fn maximum(histogram: &[u64]) -> Option<[f64; COUNT]> {
    let filled: Vec<([f64; COUNT], f64)> =
        (0..CELLS).filter(|&cell| histogram[cell] > 0).map(|cell| (fields(cell), histogram[cell] as f64)).collect();
    let mut couplings = [0.0; COUNT];
    for _ in 0..50 {
        let (mut gradient, mut curvature) = (vec![0.0; COUNT], vec![0.0; COUNT * COUNT]);
        for (field, number) in &filled {
            let argument: f64 = 2.0 * couplings.iter().zip(field).map(|(coupling, field)| coupling * field).sum::<f64>();
            let wrong = crate::rbm::exact::logistic(-argument);
            for a in 0..COUNT {
                gradient[a] += 2.0 * number * wrong * field[a];
                for b in 0..COUNT {
                    curvature[a * COUNT + b] += 4.0 * number * wrong * (1.0 - wrong) * field[a] * field[b];
                }
            }
        }
        let step = solve(&curvature, &gradient)?;
        // A long step of Newton's overshoots where the curvature is small.
        let longest = step.iter().fold(0f64, |longest, change| longest.max(change.abs()));
        let shorter = if longest > 0.5 { 0.5 / longest } else { 1.0 };
        couplings.iter_mut().zip(&step).for_each(|(coupling, change)| *coupling += shorter * change);
        if couplings.iter().any(|coupling| !coupling.is_finite() || coupling.abs() > 20.0) {
            return None;
        }
        if longest < 1e-12 {
            return Some(couplings);
        }
    }
    None
}

/// The couplings of a set of grids of one side from 3, taken in contiguous parts for the jackknife.
pub fn couplings(grids: &[SpinGrid]) -> Couplings {
    let bins = BINS.min(grids.len());
    if bins < 2 || grids[0].side() < 3 {
        return None;
    }
    let part = |bin: usize| {
        let mut histogram = vec![0; CELLS];
        grids[bin * grids.len() / bins..(bin + 1) * grids.len() / bins].iter().for_each(|grid| count(grid, &mut histogram));
        histogram
    };
    let parts: Vec<Histogram> = (0..bins).into_par_iter().map(part).collect();
    let all: Histogram = (0..CELLS).map(|cell| parts.iter().map(|part| part[cell]).sum()).collect();
    let best = maximum(&all)?;
    let without = |part: &Histogram| maximum(&all.iter().zip(part).map(|(all, part)| all - part).collect::<Vec<u64>>());
    let estimates: Vec<[f64; COUNT]> = parts.iter().map(without).collect::<Option<_>>()?;
    let error = |index: usize| {
        let count = estimates.len() as f64;
        let mean = estimates.iter().map(|estimate| estimate[index]).sum::<f64>() / count;
        (estimates.iter().map(|estimate| (estimate[index] - mean).powi(2)).sum::<f64>() * (count - 1.0) / count).sqrt()
    };
    Some(std::array::from_fn(|index| [best[index], error(index)]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lattice::SquareTorus;
    use crate::sampler::{Algorithm, Start, build};

    #[test]
    fn the_coupling_of_an_ising_model_is_found() {
        // 400 configurations of 16 x 16 spins at K = 0.35: errors of about 0.006; a coupling wrong by 10 % would be seen.
        let torus = SquareTorus::new(16).unwrap();
        let mut sampler = build(Algorithm::SwendsenWang, torus, 0.35, Start::Hot, 12, 0).unwrap();
        (0..50).for_each(|_| _ = sampler.sweep());
        let grids: Vec<SpinGrid> = (0..400)
            .map(|_| {
                (0..4).for_each(|_| _ = sampler.sweep());
                SpinGrid::from(&sampler.configuration())
            })
            .collect();
        let found = couplings(&grids).unwrap();
        for ([value, error], wanted) in found.iter().zip([0.35, 0.0, 0.0, 0.0]) {
            assert!((value - wanted).abs() < 4.0 * error && *error < 0.012, "{found:?}");
        }
        let frozen = vec![SpinGrid::new(8, vec![true; 64]).unwrap(); 10];
        assert!(couplings(&frozen).is_none());
    }
}
