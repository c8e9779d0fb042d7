//! What each unit of a stack sees of the lattice, and how local that is (arXiv:1410.3831, Appendix B and Fig. 3).
//!
//! The effective receptive field of the units of layer l is the plain product of the weight matrices below, r^(l) = W^(1) ... W^(l): one image of the lattice a
//! unit. [`receptive_fields`] multiplies, [`measures`] puts numbers on one image, [`layout`] on how the images of a layer share the lattice, and [`summarize_layer`] on a layer,
//! beside the null of random weights: the best of all windows holds a share well above its area even for noise, so a share means nothing without it.
//!
//! Means are ruled by tails and by dead units: judge by window shares, participation ratios and medians. No number depends on threads.

pub mod layout;
pub mod measures;

pub use measures::{FieldMeasures, WINDOW_SIDES, measure_field};

use super::{Control, control_stream};
use crate::error::{Error, Result};
use crate::lattice::SquareTorus;
use crate::rbm::Matrix;
use rayon::prelude::*;

/// The receptive fields of one layer in numbers. It is also what the files and the report hold.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
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
    /// Median radius of gyration over live units.
    pub median_radius_of_gyration: f64,
    /// Mean sign coherence over live units.
    pub mean_sign_coherence: f64,
    /// Share of the cells of the ideal tiling that hold the centre of a live unit; see [`layout::tiling`].
    pub tiling: f64,
    /// Mean over live units of the largest overlap with another one; see [`layout::repetition`].
    pub overlap: f64,
    /// Live units that repeat an earlier one.
    pub duplicates: usize,
}

impl ReceptiveFieldSummary {
    /// Units that do not count.
    pub fn dead(&self) -> usize {
        self.live.iter().filter(|&&live| !live).count()
    }

    /// r of one unit, in site order.
    pub fn field(&self, unit: usize) -> &[f32] {
        let sites = self.fields.len() / self.units.max(1);
        &self.fields[unit * sites..(unit + 1) * sites]
    }
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
    let repetition = layout::repetition(&transposed, &live);
    let counted: Vec<FieldMeasures> = measures.iter().zip(&live).filter(|&(_, &live)| live).map(|(&measures, _)| measures).collect();
    Ok(ReceptiveFieldSummary {
        units,
        fields: transposed.to_unpadded(),
        mean_window_share: mean_window_share(&counted),
        median_window_share: [0, 1, 2].map(|window| median(counted.iter().map(|measures| measures.window_share[window]).collect())),
        median_participation_ratio: median(counted.iter().map(|measures| measures.participation_ratio).collect()),
        random_window_share: mean_window_share(&random_measures(torus, units, seed, layer)),
        median_radius_of_gyration: median(counted.iter().map(|measures| measures.radius_of_gyration).collect()),
        mean_sign_coherence: counted.iter().map(|measures| measures.sign_coherence).sum::<f64>() / counted.len().max(1) as f64,
        tiling: layout::tiling(torus, units, counted.iter().map(|measures| measures.centre)),
        overlap: repetition.overlap,
        duplicates: repetition.duplicates,
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
    use super::measures::tests::{blob, torus};
    use super::*;
    use crate::random::{Purpose, Stream};

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
        let filled = layout::tiling(torus(40), 400, measures.iter().map(|measures| measures.centre));
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
}
