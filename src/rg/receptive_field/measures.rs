//! How local one receptive field is: centre, radius, participation ratio, shares of windows, sign.
//!
//! Radius and means are ruled by tails: judge by window shares and participation ratios.

use crate::lattice::SquareTorus;
use std::f64::consts::TAU;

/// Sides of the windows whose share is measured: the blocks of two, three and four halvings.
pub const WINDOW_SIDES: [usize; 3] = [4, 8, 16];

/// Locality of one unit's receptive field r on the torus. All are 0 for a field that is 0 everywhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct FieldMeasures {
    /// Circular centre of mass of r^2, in lattice units from 0 to L: the angle of sum r^2 e^(2 pi i x / L), and likewise for y.
    pub centre: [f64; 2],
    /// Root mean square distance from the centre on the torus, weighted with r^2.
    pub radius_of_gyration: f64,
    /// (sum r^2)^2 / sum r^4, in sites.
    pub participation_ratio: f64,
    /// Share of sum r^2 inside the best n x n window, n of [`WINDOW_SIDES`]; 1 where the lattice is not larger.
    pub window_share: [f64; 3],
    /// |sum r| / sum |r|: 1 if the field has one sign.
    pub sign_coherence: f64,
}

/// The measures of one field, given in site order.
///
/// # Panics
/// If the field has not one number a site.
pub fn measure_field(torus: SquareTorus, field: &[f32]) -> FieldMeasures {
    assert_eq!(field.len(), torus.sites(), "a receptive field has one number a site");
    let side = torus.side();
    // Scaled by a power of two (exact), so that neither squares nor fourth powers leave the range of numbers.
    let largest = field.iter().fold(0f32, |largest, value| largest.max(value.abs()));
    if largest == 0.0 {
        return FieldMeasures::default();
    }
    let scale = f64::from(largest).log2().floor().exp2();
    let values: Vec<f64> = field.iter().map(|&value| f64::from(value) / scale).collect();
    let squares: Vec<f64> = values.iter().map(|value| value * value).collect();
    let total: f64 = squares.iter().sum();
    let fourth: f64 = squares.iter().map(|square| square * square).sum();

    let (mut columns, mut rows) = (vec![0.0; side], vec![0.0; side]);
    for (site, square) in squares.iter().enumerate() {
        let (x, y) = torus.coordinates(site);
        columns[x] += square;
        rows[y] += square;
    }
    let centre = [circular_mean(&columns), circular_mean(&rows)];
    let spread = |weights: &[f64], centre: f64| -> f64 {
        weights.iter().enumerate().map(|(position, weight)| weight * torus_distance(position as f64, centre, side as f64).powi(2)).sum()
    };
    let (sum, absolute) = values.iter().fold((0.0, 0.0), |(sum, absolute), value| (sum + value, absolute + value.abs()));
    FieldMeasures {
        centre,
        radius_of_gyration: ((spread(&columns, centre[0]) + spread(&rows, centre[1])) / total).sqrt(),
        participation_ratio: total * total / fourth,
        window_share: WINDOW_SIDES.map(|window| if window >= side { 1.0 } else { (best_window(side, &squares, window) / total).min(1.0) }),
        sign_coherence: sum.abs() / absolute,
    }
}

/// The position of the centre of mass on a circle of as many sites as there are weights, from 0 to that number.
fn circular_mean(weights: &[f64]) -> f64 {
    let side = weights.len() as f64;
    let (mut cosine, mut sine) = (0.0, 0.0);
    for (position, weight) in weights.iter().enumerate() {
        let angle = TAU * position as f64 / side;
        cosine += weight * angle.cos();
        sine += weight * angle.sin();
    }
    let position = sine.atan2(cosine).rem_euclid(TAU) / TAU * side;
    // A tiny negative angle rounds up to the full circle.
    if position < side { position } else { 0.0 }
}

/// The distance of two positions on a circle of circumference `side`.
fn torus_distance(one: f64, other: f64, side: f64) -> f64 {
    let distance = (one - other).abs();
    distance.min(side - distance)
}

/// The largest sum over a window x window square of the torus: first along rows, then along columns. Each window is summed afresh from its first site, so that
/// rounding does not depend on where the window lies, as it would for sliding sums.
fn best_window(side: usize, squares: &[f64], window: usize) -> f64 {
    let sums_along = |values: &[f64], index: &dyn Fn(usize, usize) -> usize| -> Vec<f64> {
        (0..side * side)
            .map(|site| {
                let (position, line) = (site % side, site / side);
                (0..window).map(|step| values[index((position + step) % side, line)]).sum()
            })
            .collect()
    };
    let along_rows = sums_along(squares, &|position, line| line * side + position);
    let windows = sums_along(&along_rows, &|position, line| position * side + line);
    windows.into_iter().fold(0.0, f64::max)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::random::{Purpose, Stream};

    pub(in crate::rg::receptive_field) fn torus(side: usize) -> SquareTorus {
        SquareTorus::new(side).unwrap()
    }

    /// A field of `value` on the width x height rectangle whose first site is (left, top).
    pub(in crate::rg::receptive_field) fn blob(
        torus: SquareTorus,
        left: usize,
        top: usize,
        width: usize,
        height: usize,
        value: f32,
    ) -> Vec<f32> {
        let mut field = vec![0.0; torus.sites()];
        for y in top..top + height {
            for x in left..left + width {
                field[torus.site(x, y)] = value;
            }
        }
        field
    }

    #[test]
    fn a_square_blob_has_known_measures_wherever_it_lies() {
        let torus = torus(40);
        for (left, top) in [(0, 0), (10, 20), (38, 37), (39, 0), (1, 36)] {
            let measures = measure_field(torus, &blob(torus, left, top, 5, 5, -0.25));
            let centre = [left + 2, top + 2].map(|position| (position % 40) as f64);
            for axis in 0..2 {
                assert!(torus_distance(measures.centre[axis], centre[axis], 40.0) < 1e-12, "{:?} and {centre:?}", measures.centre);
                assert!((0.0..40.0).contains(&measures.centre[axis]));
            }
            // Mean square distance from the middle of 5 sites is 2 along each axis.
            assert!((measures.radius_of_gyration - 2.0).abs() < 1e-12);
            assert!((measures.participation_ratio - 25.0).abs() < 1e-12);
            assert_eq!(measures.window_share, [16.0 / 25.0, 1.0, 1.0]);
            assert!((measures.sign_coherence - 1.0).abs() < 1e-15);
        }
    }

    #[test]
    fn long_blobs_mixed_signs_and_small_lattices() {
        let torus = torus(20);
        let mut field = blob(torus, 18, 3, 10, 2, 1.0);
        let measures = measure_field(torus, &field);
        // 10 x 2 across the seam: 4 x 2, 8 x 2, 10 x 2 of 20 sites fit; centre (2.5, 3.5) = 18 + 4.5 - 20.
        assert_eq!(measures.window_share, [0.4, 0.8, 1.0]);
        assert!((measures.centre[0] - 2.5).abs() < 1e-12 && (measures.centre[1] - 3.5).abs() < 1e-12);
        assert!((measures.radius_of_gyration.powi(2) - (99.0 / 12.0 + 0.25)).abs() < 1e-12);
        // One site turned over and doubled: sum 17, absolute sum 21; squares 23, fourth powers 35.
        field[torus.site(19, 3)] = -2.0;
        let measures = measure_field(torus, &field);
        assert!((measures.sign_coherence - 17.0 / 21.0).abs() < 1e-15);
        assert!((measures.participation_ratio - 23.0 * 23.0 / 35.0).abs() < 1e-12);
        // A lattice no larger than a window lies inside it.
        assert_eq!(measure_field(self::torus(8), &[3.0; 64]).window_share, [0.25, 1.0, 1.0]);
    }

    #[test]
    fn shifts_and_scales_change_nothing_but_the_centre() {
        let torus = torus(12);
        let mut stream = Stream::new(4, Purpose::Check, 0);
        let field: Vec<f32> = (0..torus.sites()).map(|_| stream.normal().powi(3) as f32).collect();
        let original = measure_field(torus, &field);
        for (right, down, scale) in [(1, 0, 1.0), (5, 7, 1e-30), (11, 11, -1e30)] {
            let mut shifted = vec![0.0; torus.sites()];
            for site in 0..torus.sites() {
                let (x, y) = torus.coordinates(site);
                shifted[torus.site(x + right, y + down)] = field[site] * scale;
            }
            let measures = measure_field(torus, &shifted);
            for axis in 0..2 {
                let moved = original.centre[axis] + [right, down][axis] as f64;
                assert!(torus_distance(measures.centre[axis], moved.rem_euclid(12.0), 12.0) < 1e-5);
            }
            let close = |one: f64, other: f64| assert!((one / other - 1.0).abs() < 1e-6, "{one} and {other}");
            close(measures.radius_of_gyration, original.radius_of_gyration);
            close(measures.participation_ratio, original.participation_ratio);
            close(measures.sign_coherence, original.sign_coherence);
            (0..3).for_each(|window| close(measures.window_share[window], original.window_share[window]));
        }
    }

    #[test]
    fn the_best_window_is_the_best_of_all() {
        let torus = torus(9);
        let mut stream = Stream::new(4, Purpose::Check, 1);
        let squares: Vec<f64> = (0..81).map(|_| stream.uniform()).collect();
        for window in 1..9 {
            let mut best = 0f64;
            for corner in 0..81 {
                let (left, top) = torus.coordinates(corner);
                let inside = (0..window * window).map(|step| squares[torus.site(left + step % window, top + step / window)]);
                best = best.max(inside.sum());
            }
            assert!((best_window(9, &squares, window) - best).abs() < 1e-12);
        }
    }
}
