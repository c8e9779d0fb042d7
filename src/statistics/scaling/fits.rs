//! Least squares over the sizes, from every smallest size on, with and without the leading correction, for all replicates at once.

use super::{ScalingFit, ScalingResult, jackknife_error, with_error};
use crate::statistics::least_squares::LeastSquares;

/// The fit that counts has at least this probability, and this many more data than parameters.
const ACCEPTED: f64 = 0.1;
const FEWEST_FREEDOMS: usize = 2;

/// One datum: of which size, its row of the design without and with the correction, its values in all replicates.
pub(super) struct Datum {
    pub size: usize,
    pub plain: Vec<f64>,
    pub corrected: Vec<f64>,
    pub values: Vec<f64>,
    /// Values at a fixed coupling, from which the weights come.
    pub fixed: Vec<f64>,
}

/// A parameter that is wanted of a fit.
pub(super) struct Wanted<'a> {
    pub name: &'a str,
    pub long_name: &'a str,
    pub parameter: usize,
    /// From the parameter to the quantity.
    pub quantity: &'a dyn Fn(f64) -> f64,
}

/// The chosen fit: for each wanted quantity its replicates.
pub(super) struct Chosen {
    pub smallest_size: usize,
    pub replicates: Vec<Vec<f64>>,
    /// The fit itself, for other values of its data.
    pub squares: LeastSquares,
}

/// Fits from every smallest size on; appends the scans of all wanted quantities to `fits`.
pub(super) fn scan(data: &[Datum], wanted: &[Wanted], fits: &mut Vec<ScalingFit>) -> Option<Chosen> {
    let mut sizes: Vec<usize> = data.iter().map(|datum| datum.size).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let mut candidates = Vec::new();
    let first_fit = fits.len();
    for corrected in [true, false] {
        for &smallest in &sizes {
            let kept: Vec<&Datum> = data.iter().filter(|datum| datum.size >= smallest).collect();
            let design: Vec<Vec<f64>> =
                kept.iter().map(|datum| if corrected { datum.corrected.clone() } else { datum.plain.clone() }).collect();
            let covariance = covariance(&kept);
            let Some(fit) = LeastSquares::new(&design, &covariance) else { continue };
            let replicates = kept[0].values.len();
            let mut values = vec![Vec::with_capacity(replicates); wanted.len()];
            let mut goodness = None;
            for replicate in 0..replicates {
                let data: Vec<f64> = kept.iter().map(|datum| datum.values[replicate]).collect();
                let (parameters, quality) = fit.fit(&data);
                goodness.get_or_insert(quality);
                for (values, wanted) in values.iter_mut().zip(wanted) {
                    values.push((wanted.quantity)(parameters[wanted.parameter]));
                }
            }
            let Some(goodness) = goodness.filter(|goodness| goodness.degrees_of_freedom > 0) else { continue };
            for (values, wanted) in values.iter().zip(wanted) {
                fits.push(ScalingFit {
                    name: wanted.name.to_string(),
                    long_name: wanted.long_name.to_string(),
                    smallest_size: smallest,
                    corrected,
                    value: with_error(values),
                    goodness,
                    chosen: false,
                });
            }
            candidates.push((corrected, smallest, goodness, values, fit));
        }
    }
    let index = choose(&candidates.iter().map(|(corrected, _, goodness, _, _)| (*corrected, *goodness)).collect::<Vec<_>>())?;
    for offset in 0..wanted.len() {
        fits[first_fit + index * wanted.len() + offset].chosen = true;
    }
    // One scan after the other, not fit by fit.
    fits[first_fit..].sort_by_key(|fit| wanted.iter().position(|wanted| wanted.name == fit.name));
    let (_, smallest_size, _, replicates, squares) = candidates.swap_remove(index);
    Some(Chosen { smallest_size, replicates, squares })
}

/// The first acceptable fit with correction; else the most probable with correction; else the most probable of all.
fn choose(candidates: &[(bool, super::Goodness)]) -> Option<usize> {
    let fit = |index: &usize| candidates[*index];
    let firm = |index: &usize| fit(index).0 && fit(index).1.degrees_of_freedom >= FEWEST_FREEDOMS;
    let best = |indices: &mut dyn Iterator<Item = usize>| indices.max_by(|one, other| fit(one).1.p_value.total_cmp(&fit(other).1.p_value));
    let all = 0..candidates.len();
    let first = all.clone().find(|index| firm(index) && fit(index).1.p_value >= ACCEPTED);
    first.or_else(|| best(&mut all.clone().filter(firm))).or_else(|| best(&mut all.clone()))
}

/// The covariance of the data at a fixed coupling: data of different sizes are independent.
fn covariance(data: &[&Datum]) -> Vec<Vec<f64>> {
    let entry = |one: &Datum, other: &Datum| {
        if one.size != other.size {
            return 0.0;
        }
        super::jackknife_covariance(one.fixed[1..].iter().copied().zip(other.fixed[1..].iter().copied()))
    };
    data.iter().map(|one| data.iter().map(|other| entry(one, other)).collect()).collect()
}

/// Results and their covariance from the replicates.
pub(super) fn results(quantities: &[(&str, &str, usize, &Vec<f64>)]) -> (Vec<ScalingResult>, Vec<f64>) {
    let results = quantities.iter().map(|(name, long_name, smallest_size, values)| ScalingResult {
        name: (*name).to_string(),
        long_name: (*long_name).to_string(),
        value: values[0],
        error: jackknife_error(values[1..].iter().copied()),
        smallest_size: *smallest_size,
        exact: None,
        bootstrap: None,
    });
    let covariance = quantities.iter().flat_map(|one| {
        quantities.iter().map(|other| super::jackknife_covariance(one.3[1..].iter().copied().zip(other.3[1..].iter().copied())))
    });
    (results.collect(), covariance.collect())
}
