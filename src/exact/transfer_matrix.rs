//! Tori up to side 10 by adding one site at a time. A polynomial belongs to each configuration of the last row; the first row is held fixed and summed over at
//! the end, one representative of each class of rows that translations, reflections and the turning of all spins make equal.
//!
//! Used twice: with polynomials in exp(-4K) of exact integers it counts the states of every energy ([`mod@super::density_of_states`]); with polynomials in the
//! magnetization at a given K it gives the moments of the magnetization ([`magnetic_moments`]). Every term is positive, so rounding stays at 1e-15.

use super::MagneticMoments;
use std::collections::BTreeMap;
use std::f64::consts::PI;

/// The largest side: 2^10 rows.
pub const LARGEST_SIDE: usize = 10;

/// The classes of rows: a representative (bit x = spin x up) and the size of its class.
pub(super) fn row_classes(side: usize) -> BTreeMap<usize, u64> {
    let mask = (1usize << side) - 1;
    let rotated = |row: usize, by: usize| ((row << by) | (row >> (side - by))) & mask;
    let reversed = |row: usize| (0..side).filter(|x| row >> x & 1 == 1).map(|x| 1 << (side - 1 - x)).sum::<usize>();
    let mut classes = BTreeMap::new();
    for row in 0..=mask {
        let images = [row, reversed(row), !row & mask, reversed(!row & mask)];
        let smallest = images.into_iter().flat_map(|image| (0..side).map(move |by| rotated(image, by))).min().unwrap_or(row);
        *classes.entry(smallest).or_insert(0) += 1;
    }
    classes
}

/// The number of unequal neighbours along a periodic row.
pub(super) fn unequal_neighbours(side: usize, row: usize) -> usize {
    let next = (row >> 1) | ((row & 1) << (side - 1));
    (row ^ next).count_ones() as usize
}

/// The polynomial, of `width` coefficients, of all tori whose first row is `first`. `bond(equal, unequal)` adds a vertical bond to the polynomials of two rows that
/// differ in one spin; `along(row, polynomial)` multiplies with what lies within a row.
pub(super) fn torus_polynomial<T: Copy + Default>(
    side: usize,
    first: usize,
    width: usize,
    one: T,
    bond: impl Fn(&mut [T], &mut [T]),
    along: impl Fn(usize, &mut [T]),
) -> Vec<T> {
    let rows = 1 << side;
    let mut polynomials = vec![T::default(); rows * width];
    polynomials[first * width] = one;
    along(first, &mut polynomials[first * width..][..width]);
    for added in 1..=side {
        for x in 0..side {
            for row in (0..rows).filter(|row| row >> x & 1 == 0) {
                let (lower, upper) = polynomials.split_at_mut((row | 1 << x) * width);
                bond(&mut lower[row * width..][..width], &mut upper[..width]);
            }
        }
        // The last row added is the first one again: its inner bonds are counted already.
        if added < side {
            polynomials.chunks_exact_mut(width).enumerate().for_each(|(row, polynomial)| along(row, polynomial));
        }
    }
    polynomials[first * width..][..width].to_vec()
}

/// Multiplies a polynomial with its variable to the given power. What would leave at the top is zero in a torus.
pub(super) fn shift<T: Copy + Default>(polynomial: &mut [T], power: usize) {
    let width = polynomial.len();
    let kept = width.saturating_sub(power);
    polynomial.copy_within(0..kept, width - kept);
    polynomial[..width - kept].fill(T::default());
}

/// The moments of the magnetization of the torus of side 3 to 10 at K = `coupling`. Side 8 takes hundredths of a second, side 10 about one.
///
/// # Panics
/// If the side is outside 3..=10.
pub fn magnetic_moments(side: usize, coupling: f64) -> MagneticMoments {
    assert!((3..=LARGEST_SIDE).contains(&side), "no transfer matrix of side {side}");
    let sites = side * side;
    let unequal = (-2.0 * coupling).exp();
    let bond = |one: &mut [f64], other: &mut [f64]| {
        for (one, other) in one.iter_mut().zip(other) {
            (*one, *other) = (*one + unequal * *other, *other + unequal * *one);
        }
    };
    let row_weights: Vec<f64> = (0..1 << side).map(|row| unequal.powi(unequal_neighbours(side, row) as i32)).collect();
    let along = |row: usize, polynomial: &mut [f64]| {
        shift(polynomial, row.count_ones() as usize);
        polynomial.iter_mut().for_each(|coefficient| *coefficient *= row_weights[row]);
    };

    let [mut total, mut absolute, mut square, mut fourth, mut structure] = [0.0; 5];
    for (first, class) in row_classes(side) {
        let class = class as f64;
        for (up, weight) in torus_polynomial(side, first, sites + 1, 1.0, bond, along).into_iter().enumerate() {
            let magnetization = (2.0 * up as f64 - sites as f64) / sites as f64;
            total += class * weight;
            absolute += class * weight * magnetization.abs();
            square += class * weight * magnetization.powi(2);
            fourth += class * weight * magnetization.powi(4);
        }
        structure += class * row_structure(side, first, unequal, &row_weights);
    }
    MagneticMoments {
        absolute_magnetization: absolute / total,
        magnetization_squared: square / total,
        binder_cumulant: 1.0 - fourth * total / (3.0 * square * square),
        // Only the pairs with the first row were summed, of which each of the L rows has as many: F = (L / N) times that.
        structure_factor: structure / total / side as f64,
    }
}

/// The sum over all tori with this first row, weighted, of -(1/2) sum_y (M_0 - M_y)^2 cos(2 pi y / L), where M_y is the magnetization of row y. Summed over all first
/// rows this is the Fourier transform of M_0 M_y (the cosines add to zero, and M_y^2 has the mean of M_0^2), but nothing cancels at low temperature. With T the
/// symmetric transfer matrix between rows, the weight of row b at height y is (T^y)_ab (T^(L-y))_ba.
fn row_structure(side: usize, first: usize, unequal: f64, row_weights: &[f64]) -> f64 {
    let rows = 1 << side;
    let mut powers = vec![vec![0.0; rows]];
    powers[0][first] = 1.0;
    for height in 0..side {
        let mut vector: Vec<f64> = powers[height].iter().zip(row_weights).map(|(value, weight)| value * weight.sqrt()).collect();
        for x in 0..side {
            for row in (0..rows).filter(|row| row >> x & 1 == 0) {
                let (one, other) = (vector[row], vector[row | 1 << x]);
                vector[row] = one + unequal * other;
                vector[row | 1 << x] = other + unequal * one;
            }
        }
        vector.iter_mut().zip(row_weights).for_each(|(value, weight)| *value *= weight.sqrt());
        powers.push(vector);
    }
    let magnetization = |row: usize| 2.0 * f64::from(row.count_ones()) - side as f64;
    let at_height = |height: usize| -> f64 {
        let weight = |row: usize| powers[height][row] * powers[side - height][row];
        let squares: f64 = (0..rows).map(|row| weight(row) * (magnetization(row) - magnetization(first)).powi(2)).sum();
        -0.5 * squares * (2.0 * PI * height as f64 / side as f64).cos()
    };
    (1..side).map(at_height).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exact::enumeration::Census;
    use crate::lattice::SquareTorus;

    #[test]
    fn classes_cover_all_rows() {
        for side in 3..=LARGEST_SIDE {
            assert_eq!(row_classes(side).values().sum::<u64>(), 1 << side);
        }
        assert_eq!(row_classes(4).len(), 4);
    }

    #[test]
    fn small_tori_have_the_moments_of_enumeration() {
        for side in [3, 4] {
            let census = Census::of(SquareTorus::new(side).expect("a valid side"));
            for coupling in [0.0, 0.1, 0.408, 0.4406867935097715, 0.7, 4.0] {
                let (matrix, counted) = (magnetic_moments(side, coupling), census.moments(coupling).magnetic);
                for (one, other) in [
                    (matrix.absolute_magnetization, counted.absolute_magnetization),
                    (matrix.magnetization_squared, counted.magnetization_squared),
                    (matrix.binder_cumulant, counted.binder_cumulant),
                    (matrix.structure_factor, counted.structure_factor),
                    (matrix.correlation_length_over_side(side), counted.correlation_length_over_side(side)),
                ] {
                    assert!((one - other).abs() < 1e-12 * other.abs().max(1.0), "side {side}, K = {coupling}: {one} {other}");
                }
            }
        }
    }
}
