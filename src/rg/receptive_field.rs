//! What each unit of a stack sees of the lattice, and how local that is (arXiv:1410.3831, Appendix B and Fig. 3).
//!
//! The effective receptive field of the units of layer l is the plain product of the weight matrices below, r^(l) = W^(1) ... W^(l): one image of the lattice a
//! unit. [`receptive_fields`] multiplies, [`measure_field`] puts numbers on one image, [`summarize_layer`] on a layer, beside the null of random weights: the
//! best of all windows holds a share well above its area even for noise, so a share means nothing without it.
//!
//! Radius and means are ruled by tails and by dead units: judge by window shares, participation ratio and medians. No number depends on threads.

use super::{Control, control_stream};
use crate::error::{Error, Result};
use crate::lattice::SquareTorus;
use crate::rbm::Matrix;
use rayon::prelude::*;
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

/// The receptive fields of one layer in numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct ReceptiveFieldSummary {
    /// Number of units.
    pub units: usize,
    /// r, row-major \[unit\]\[site\].
    pub fields: Vec<f32>,
    /// One entry a unit.
    pub measures: Vec<FieldMeasures>,
    /// Whether a unit counts: it was not flagged as dead and its field is not 0 everywhere.
    pub live: Vec<bool>,
    /// Means over live units: window shares.
    pub mean_window_share: [f64; 3],
    /// Medians over live units: window shares.
    pub median_window_share: [f64; 3],
    /// Median participation ratio over live units.
    pub median_participation_ratio: f64,
    /// The same three means for random weights of the same shape: the null.
    pub random_window_share: [f64; 3],
    /// Share of the cells of the ideal tiling that hold the centre of a live unit; see [`tiling`].
    pub tiling: f64,
}

/// The receptive fields of every layer of a stack, from the lattice up: r^(1) = W^(1), r^(l) = r^(l-1) W^(l), each a matrix \[site\]\[unit\]. Sums run in double
/// precision over the units below in their order.
///
/// # Errors
/// [`Error::Usage`] if the shapes do not follow on each other.
pub fn receptive_fields(weights: &[&Matrix]) -> Result<Vec<Matrix>> {
    let mut fields: Vec<Matrix> = Vec::with_capacity(weights.len());
    for (layer, &matrix) in weights.iter().enumerate() {
        let next = match fields.last() {
            None => matrix.clone(),
            Some(below) if below.columns() == matrix.rows() => product(below, matrix),
            Some(below) => {
                return Err(Error::Usage(format!(
                    "layer {} has {} visible units but stands on a layer of {} hidden units: give the weights from the lattice up",
                    layer + 1,
                    matrix.rows(),
                    below.columns()
                )));
            }
        };
        fields.push(next);
    }
    Ok(fields)
}

fn product(left: &Matrix, right: &Matrix) -> Matrix {
    let mut result = Matrix::zero(left.rows(), right.columns());
    let stride = result.stride().max(1);
    result.data_mut().par_chunks_mut(stride).enumerate().for_each(|(row, output)| {
        let mut sums = vec![0f64; right.columns()];
        for (inner, &factor) in left.row(row).iter().enumerate() {
            for (sum, &value) in sums.iter_mut().zip(right.row(inner)) {
                *sum += f64::from(factor) * f64::from(value);
            }
        }
        for (target, sum) in output.iter_mut().zip(sums) {
            *target = sum as f32;
        }
    });
    result
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

/// The share of cells that hold at least one centre, when the torus is cut into g x g equal cells with g^2 as near to the number of units as a square can be: 2 x 2
/// sites for 400 units on a lattice of side 40, 4 x 4 for 100, 8 x 8 for 25. The cut is fixed (the first cell begins at site (0, 0)), so that centres at
/// random fill 1 - (1 - 1/n)^n, about 0.63, of n cells.
pub fn tiling(torus: SquareTorus, units: usize, centres: impl Iterator<Item = [f64; 2]>) -> f64 {
    if units == 0 {
        return 0.0;
    }
    let lower = units.isqrt().max(1);
    let grid = if units - lower * lower <= ((lower + 1) * (lower + 1)).saturating_sub(units) { lower } else { lower + 1 };
    let mut holds_a_centre = vec![false; grid * grid];
    let cell = |position: f64| ((position / torus.side() as f64 * grid as f64) as usize).min(grid - 1);
    for [x, y] in centres {
        holds_a_centre[cell(y) * grid + cell(x)] = true;
    }
    holds_a_centre.iter().filter(|&&held| held).count() as f64 / (grid * grid) as f64
}

/// The summary of one layer: `fields` is \[site\]\[unit\] from [`receptive_fields`], `dead_units` lists units that do not respond to the data, `layer` counts from
/// 0 and picks the random null.
///
/// # Errors
/// [`Error::Usage`] if the fields are not on the torus or a dead unit does not exist, [`Error::NotFinite`] if a field has a number that is not finite.
pub fn summarize_layer(
    torus: SquareTorus,
    fields: &Matrix,
    dead_units: &[usize],
    seed: u64,
    layer: usize,
) -> Result<ReceptiveFieldSummary> {
    let (sites, units) = (torus.sites(), fields.columns());
    if fields.rows() != sites {
        return Err(Error::Usage(format!(
            "receptive fields of {} sites do not lie on a lattice of {} x {}: train on configurations of that lattice",
            fields.rows(),
            torus.side(),
            torus.side()
        )));
    }
    if let Some(unit) = dead_units.iter().find(|&&unit| unit >= units) {
        return Err(Error::Usage(format!("unit {unit} cannot be dead: layer {} has {units} units, numbered from 0", layer + 1)));
    }
    if !fields.is_finite() {
        return Err(Error::NotFinite(format!(
            "the receptive fields of layer {} contain a number that is not finite: training diverged, lower `learning_rate` and train again",
            layer + 1
        )));
    }
    let transposed = fields.transposed();
    let measures: Vec<FieldMeasures> = (0..units).into_par_iter().map(|unit| measure_field(torus, transposed.row(unit))).collect();
    let mut live: Vec<bool> = measures.iter().map(|measures| measures.participation_ratio > 0.0).collect();
    for &unit in dead_units {
        live[unit] = false;
    }
    let counted: Vec<FieldMeasures> = measures.iter().zip(&live).filter(|&(_, &live)| live).map(|(&measures, _)| measures).collect();
    Ok(ReceptiveFieldSummary {
        units,
        fields: transposed.to_unpadded(),
        mean_window_share: mean_window_share(&counted),
        median_window_share: [0, 1, 2].map(|window| median(counted.iter().map(|measures| measures.window_share[window]).collect())),
        median_participation_ratio: median(counted.iter().map(|measures| measures.participation_ratio).collect()),
        random_window_share: mean_window_share(&random_measures(torus, units, seed, layer)),
        tiling: tiling(torus, units, counted.iter().map(|measures| measures.centre)),
        measures,
        live,
    })
}

/// The summaries of all layers of a stack; `dead_units` has one list a layer.
///
/// # Errors
/// Those of [`receptive_fields`] and [`summarize_layer`]; [`Error::Usage`] unless there is one list of dead units a layer.
pub fn summarize(torus: SquareTorus, weights: &[&Matrix], dead_units: &[Vec<usize>], seed: u64) -> Result<Vec<ReceptiveFieldSummary>> {
    if weights.len() != dead_units.len() {
        return Err(Error::Usage(format!("{} layers need as many lists of dead units, not {}", weights.len(), dead_units.len())));
    }
    let layers = receptive_fields(weights)?;
    layers.iter().zip(dead_units).enumerate().map(|(layer, (fields, dead))| summarize_layer(torus, fields, dead, seed, layer)).collect()
}

/// The measures of `units` fields of a stack of random weights. Given all weights but the lowest, a column of W^(1) ... W^(l) is a sum of independent normal numbers
/// at each site, independent from site to site: one field of any layer has the law of plain normal noise, and that is what is drawn.
pub fn random_measures(torus: SquareTorus, units: usize, seed: u64, layer: usize) -> Vec<FieldMeasures> {
    let mut stream = control_stream(seed, Control::RandomWeights, layer as u64);
    // A few fields at a time: a large lattice never has all of its noise in memory.
    let mut measures = Vec::with_capacity(units);
    while measures.len() < units {
        let batch = (units - measures.len()).min(32);
        let noise: Vec<Vec<f32>> = (0..batch).map(|_| (0..torus.sites()).map(|_| stream.normal() as f32).collect()).collect();
        measures.par_extend(noise.par_iter().map(|field| measure_field(torus, field)));
    }
    measures
}

/// The mean share inside the windows, 0 for no fields.
fn mean_window_share(measures: &[FieldMeasures]) -> [f64; 3] {
    [0, 1, 2].map(|window| measures.iter().map(|measures| measures.window_share[window]).sum::<f64>() / measures.len().max(1) as f64)
}

/// The median, the mean of the middle two for an even number, 0 for none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        count if count.is_multiple_of(2) => (values[middle - 1] + values[middle]) / 2.0,
        _ => values[middle],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Stream};

    fn torus(side: usize) -> SquareTorus {
        SquareTorus::new(side).unwrap()
    }

    /// A field of `value` on the width x height rectangle whose first site is (left, top).
    fn blob(torus: SquareTorus, left: usize, top: usize, width: usize, height: usize, value: f32) -> Vec<f32> {
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

    #[test]
    fn random_weights_have_the_measured_null() {
        // Means over 4000 fields of 40 x 40 by an independent program in numpy: .02481, .06345, .19672 and a median of 534.9 sites. The spread of one field is .0025, .0040,
        // .0070 and 22 sites, so that four standard errors of the mean of 400 are .0014 at most.
        let measures = random_measures(torus(40), 400, 14103831, 0);
        let shares = mean_window_share(&measures);
        for (share, expected) in shares.into_iter().zip([0.02481, 0.06345, 0.19672]) {
            assert!((share - expected).abs() < 0.0014, "{share} and {expected}");
        }
        let ratio = median(measures.iter().map(|measures| measures.participation_ratio).collect());
        assert!((ratio - 535.0).abs() < 5.0, "{ratio}");
        let filled = tiling(torus(40), 400, measures.iter().map(|measures| measures.centre));
        assert!((filled - 0.632).abs() < 0.08, "{filled}");
    }

    #[test]
    fn random_stacks_look_like_noise() {
        let torus = torus(40);
        let mut stream = Stream::new(4, Purpose::Check, 2);
        let mut noise = |count: usize| -> Vec<f32> { (0..count).map(|_| stream.normal() as f32).collect() };
        let first = Matrix::from_unpadded(1600, 60, &noise(1600 * 60));
        let second = Matrix::from_unpadded(60, 40, &noise(60 * 40));
        for summary in summarize(torus, &[&first, &second], &[vec![], vec![]], 9).unwrap() {
            for window in 0..3 {
                assert!((summary.mean_window_share[window] - summary.random_window_share[window]).abs() < 0.006, "window {window}");
            }
        }
    }

    #[test]
    fn fields_are_the_products_of_the_weights() {
        let first = Matrix::from_unpadded(3, 2, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let second = Matrix::from_unpadded(2, 2, &[1.0, -1.0, 10.0, 0.5]);
        let fields = receptive_fields(&[&first, &second]).unwrap();
        assert_eq!(fields[0], first);
        assert_eq!(fields[1].to_unpadded(), [21.0, 0.0, 43.0, -1.0, 65.0, -2.0]);
        assert!(receptive_fields(&[&first, &first]).is_err());
    }

    #[test]
    fn dead_units_are_not_counted() {
        let torus = torus(20);
        let blobs = [blob(torus, 0, 0, 4, 4, 1.0), blob(torus, 10, 0, 4, 8, 1.0), vec![0.0; 400], blob(torus, 0, 0, 20, 20, 0.1)];
        let fields = Matrix::from_unpadded(4, 400, &blobs.concat()).transposed();
        let summary = summarize_layer(torus, &fields, &[3], 1, 0).unwrap();
        assert_eq!(summary.live, [true, true, false, false]);
        assert_eq!(summary.mean_window_share, [0.75, 1.0, 1.0]);
        assert_eq!(summary.median_window_share, [0.75, 1.0, 1.0]);
        assert!((summary.median_participation_ratio - 24.0).abs() < 1e-12);
        // Centres (1.5, 1.5) and (11.5, 3.5): two of the 2 x 2 cells of 10 x 10 sites.
        assert_eq!(summary.tiling, 0.5);
        assert_eq!(summary.measures[2], FieldMeasures::default());
        assert_eq!(summary.fields[400..800], blobs[1][..]);
        let all_dead = summarize_layer(torus, &fields, &[0, 1, 2, 3], 1, 0).unwrap();
        assert_eq!((all_dead.mean_window_share, all_dead.median_participation_ratio, all_dead.tiling), ([0.0; 3], 0.0, 0.0));
        assert!(summarize_layer(torus, &fields, &[4], 1, 0).is_err());
        assert!(summarize_layer(self::torus(10), &fields, &[], 1, 0).is_err());
    }

    #[test]
    fn the_ideal_tiling_is_full() {
        let torus = torus(40);
        for (units, width) in [(400, 2), (100, 4), (25, 8)] {
            let per_side = 40 / width;
            let centre = |unit: usize| [unit % per_side, unit / per_side].map(|cell| (cell * width) as f64 + width as f64 / 2.0);
            assert_eq!(tiling(torus, units, (0..units).map(centre)), 1.0);
            assert_eq!(tiling(torus, units, (0..units).map(|_| centre(0))), 1.0 / units as f64);
        }
        // 8 units are nearest to 3 x 3 cells, 5 units to 2 x 2.
        assert_eq!(tiling(torus, 8, std::iter::once([39.9, 39.9])), 1.0 / 9.0);
        assert_eq!(tiling(torus, 5, std::iter::once([0.0, 0.0])), 0.25);
    }
}
