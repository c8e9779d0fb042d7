//! The scan of penalty and number of configurations: how local the first layer becomes, and whether the penalty that it takes falls as one over the square root of
//! the number of configurations. Rank 0 calls it.
//!
//! The hypothesis: a weight to a far site is driven by the noise of a data correlation, 0.25 / sqrt(samples) for 0/1 units, and stays at zero when the penalty is stronger.

use super::controls::Beside;
use super::renormalize::receptive_fields;
use crate::config::Role;
use crate::error::Result;
use crate::record::{Cell, TableRecord};
use crate::rg::receptive_field::WINDOW_SIDES;
use crate::statistics::confidence::{two_sided, variance_ratio};
use crate::statistics::least_squares::LeastSquares;

/// The mean share of the window that a layer must have to count as local.
const LOCAL: f64 = 0.5;

/// One network of the scan.
struct Point {
    seed: usize,
    l1: f64,
    samples: usize,
    share: f64,
    local: f64,
    participation_ratio: f64,
    dead: usize,
}

/// Which of the windows: the largest that is at most a fifth of the lattice along each side, 8 x 8 of 40 x 40 sites, 4 x 4 of 20 x 20.
fn window(side: usize) -> usize {
    WINDOW_SIDES.iter().rposition(|&window| 5 * window <= side).unwrap_or(0)
}

/// The tables `scan`, `scan_thresholds` and `scan_fit`; none without a scan.
///
/// # Errors
/// [`crate::error::Error::NotFinite`] if a network holds a number that is not finite.
pub fn tables(beside: &[Beside]) -> Result<Vec<TableRecord>> {
    let mut points = Vec::new();
    for one in beside.iter().filter(|one| one.companion.role == Role::Scan) {
        let subject = one.subject();
        let (fields, window) = (receptive_fields(&subject)?.swap_remove(0), window(subject.torus.side()));
        let live = fields.live.iter().filter(|&&live| live).count();
        // Where all units are dead there is nothing to measure.
        let of_live = |measure: f64| if live > 0 { measure } else { f64::NAN };
        let is_local = |unit: &usize| fields.live[*unit] && fields.measures[*unit].window_share[window] >= LOCAL;
        points.push(Point {
            seed: one.companion.seed_number,
            l1: as_written(one.companion.section.l1[0]),
            samples: one.companion.section.samples,
            share: of_live(fields.mean_window_share[window]),
            local: of_live((0..fields.units).filter(is_local).count() as f64 / live as f64),
            participation_ratio: of_live(fields.median_participation_ratio),
            dead: fields.dead(),
        });
    }
    let Some(side) = beside.iter().find(|one| one.companion.role == Role::Scan).map(|one| one.companion.section.size) else {
        return Ok(Vec::new());
    };
    let (thresholds, seeds) = (thresholds(&points), seeds(&points));
    Ok(vec![scan(&points, WINDOW_SIDES[window(side)]), threshold_table(&thresholds, seeds), fit(&thresholds, seeds)])
}

/// A number of single precision as people write it: 0.0001, not the nearest binary fraction.
fn as_written(number: f32) -> f64 {
    number.to_string().parse().unwrap_or(f64::from(number))
}

fn scan(points: &[Point], window: usize) -> TableRecord {
    let columns = [
        ("l1", "L1 penalty", "nat"),
        ("samples", "training configurations", "1"),
        ("seed_number", "which of the seeds", "1"),
        ("window", "side of the window in lattice units", "1"),
        ("share", "mean share of r^2 in the best window", "1"),
        ("local", "share of live units with half of their r^2 in the best window", "1"),
        ("participation_ratio", "median participation ratio in sites", "1"),
        ("dead", "dead units", "1"),
    ];
    let mut table =
        TableRecord::new("scan", "network", "locality of the first layer against penalty and number of configurations", &columns);
    for point in points {
        let numbers = [
            point.l1,
            point.samples as f64,
            point.seed as f64,
            window as f64,
            point.share,
            point.local,
            point.participation_ratio,
            point.dead as f64,
        ];
        table.push(format!("L1 {}, {} configurations, seed {}", point.l1, point.samples, point.seed), numbers.map(Cell::exact).to_vec());
    }
    table
}

/// ln of the threshold of each seed, by number of configurations in ascending order. Seeds whose curve does not cross inside the scan have none.
fn thresholds(points: &[Point]) -> Vec<(usize, Vec<f64>)> {
    let mut counts: Vec<usize> = points.iter().map(|point| point.samples).collect();
    counts.sort_unstable();
    counts.dedup();
    let of_seed = |samples: usize, seed: usize| {
        let mut curve: Vec<(f64, f64)> = points
            .iter()
            .filter(|point| (point.samples, point.seed) == (samples, seed) && point.l1 > 0.0)
            .map(|point| (point.l1.ln(), point.share))
            .collect();
        curve.sort_by(|one, other| one.0.total_cmp(&other.0));
        crossing(&curve)
    };
    counts.into_iter().map(|samples| (samples, (1..=seeds(points)).filter_map(|seed| of_seed(samples, seed)).collect())).collect()
}

/// Where a curve first rises through [`LOCAL`], by linear interpolation; `None` if it begins above or stays below.
fn crossing(curve: &[(f64, f64)]) -> Option<f64> {
    let ((x, below), (next_x, above)) =
        curve.windows(2).map(|pair| (pair[0], pair[1])).find(|((_, one), (_, other))| *one < LOCAL && *other >= LOCAL)?;
    (curve[0].1 < LOCAL).then(|| x + (next_x - x) * (LOCAL - below) / (above - below))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Variance of one seed around the mean of its number of configurations, all numbers together: three seeds alone know their own spread badly. With its degrees of freedom, which are few all the same.
fn pooled_variance(thresholds: &[(usize, Vec<f64>)]) -> (f64, f64) {
    let squares: f64 = thresholds.iter().flat_map(|(_, found)| found.iter().map(move |value| (value - mean(found)).powi(2))).sum();
    let freedoms = thresholds.iter().map(|(_, found)| found.len().saturating_sub(1)).sum::<usize>() as f64;
    (squares / freedoms, freedoms)
}

/// Whether the curves of all seeds cross. The mean of those that do would be that of the highest thresholds, or of the lowest, where the scan ends among them.
fn is_whole(found: &[f64], seeds: usize) -> bool {
    !found.is_empty() && found.len() == seeds
}

/// The seeds of a scan.
fn seeds(points: &[Point]) -> usize {
    points.iter().map(|point| point.seed).max().unwrap_or(0)
}

fn threshold_table(thresholds: &[(usize, Vec<f64>)], seeds: usize) -> TableRecord {
    let columns = [
        ("samples", "training configurations", "1"),
        (
            "threshold",
            "L1 penalty at which the mean share of the window crosses 1/2; geometric mean over seeds, where all of them cross inside the scan",
            "nat",
        ),
        ("seeds", "seeds whose curve crosses inside the scan", "1"),
        ("noise", "0.25 / sqrt(samples), the standard error of a correlation of two independent 0/1 units", "nat"),
    ];
    let mut table = TableRecord::new("scan_thresholds", "number", "the penalty that makes the first layer local", &columns);
    let (variance, _) = pooled_variance(thresholds);
    for (samples, found) in thresholds {
        let threshold = mean(found).exp();
        let error = threshold * (variance / found.len() as f64).sqrt();
        let noise = 0.25 / (*samples as f64).sqrt();
        let cells = vec![
            Cell::exact(*samples as f64),
            if is_whole(found, seeds) { Cell::estimate([threshold, error]) } else { Cell::NONE },
            Cell::exact(found.len() as f64),
            Cell::exact(noise),
        ];
        table.push(format!("{samples} configurations"), cells);
    }
    table
}

/// ln threshold = ln c + exponent ln samples; and the same with the exponent of the hypothesis, -1/2.
fn fit(thresholds: &[(usize, Vec<f64>)], seeds: usize) -> TableRecord {
    let columns = [
        (
            "exponent",
            "exponent of the number of configurations; the error is stretched by sqrt(chi^2 / degrees of freedom) where that is above 1",
            "1",
        ),
        ("deviation", "exponent + 1/2, in units of its error", "1"),
        ("probability", "probability of a deviation at least as large by Student's law, if the exponent is -1/2", "1"),
        ("prefactor", "threshold times samples^(-exponent)", "nat"),
        ("chi_squared", "chi^2 of the fit, with the spread over seeds as errors", "1"),
        ("degrees_of_freedom", "degrees of freedom of the fit", "1"),
        ("p_value", "probability of a chi^2 at least as large, by Fisher's law, since the errors come from a few seeds", "1"),
    ];
    let mut table = TableRecord::new("scan_fit", "model", "threshold = prefactor samples^exponent", &columns);
    let (variance, freedoms) = pooled_variance(thresholds);
    let used: Vec<&(usize, Vec<f64>)> = thresholds.iter().filter(|(_, found)| is_whole(found, seeds)).collect();
    if used.len() < 3 || !variance.is_finite() {
        return table;
    }
    // In units of the middle of the data, so that prefactor and exponent hardly know of each other.
    let logarithms: Vec<f64> = used.iter().map(|(samples, _)| (*samples as f64).ln()).collect();
    let middle = mean(&logarithms);
    let values: Vec<f64> = used.iter().map(|(_, found)| mean(found)).collect();
    let covariance: Vec<Vec<f64>> = (0..used.len())
        .map(|row| (0..used.len()).map(|column| if row == column { variance / used[row].1.len() as f64 } else { 0.0 }).collect())
        .collect();
    for (label, fixed) in [("free exponent", None), ("exponent −1/2", Some(-0.5))] {
        let design: Vec<Vec<f64>> = logarithms.iter().map(|x| if fixed.is_none() { vec![1.0, x - middle] } else { vec![1.0] }).collect();
        let targets: Vec<f64> = values.iter().zip(&logarithms).map(|(value, x)| value - fixed.unwrap_or(0.0) * (x - middle)).collect();
        let Some(prepared) = LeastSquares::new(&design, &covariance) else { continue };
        let (solution, goodness) = prepared.fit(&targets);
        let left = goodness.degrees_of_freedom as f64;
        let ratio = goodness.chi_squared / left;
        // The error comes from the seeds, or from what the fit leaves where that is more.
        let (stretch, known_from) = if ratio > 1.0 { (ratio.sqrt(), left) } else { (1.0, freedoms) };
        let spread: f64 = logarithms.iter().map(|x| (x - middle).powi(2)).sum();
        let error = (variance / seeds as f64 / spread).sqrt() * stretch;
        let exponent = fixed.unwrap_or_else(|| solution[1]);
        let cells = vec![
            if fixed.is_none() { Cell::estimate([exponent, error]) } else { Cell::exact(exponent) },
            if fixed.is_none() { Cell::exact((exponent + 0.5) / error) } else { Cell::NONE },
            if fixed.is_none() { Cell::exact(two_sided((exponent + 0.5) / error, known_from)) } else { Cell::NONE },
            Cell::exact((solution[0] - exponent * middle).exp()),
            Cell::exact(goodness.chi_squared),
            Cell::exact(left),
            Cell::exact(variance_ratio(ratio, left, freedoms)),
        ];
        table.push(label, cells);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_where_the_curve_first_rises_through_a_half() {
        assert!((crossing(&[(0.0, 0.1), (1.0, 0.3), (2.0, 0.7), (3.0, 0.4), (4.0, 0.9)]).unwrap() - 1.5).abs() < 1e-12);
        assert_eq!(crossing(&[(0.0, 0.6), (1.0, 0.4), (2.0, 0.7)]), None);
        assert_eq!(crossing(&[(0.0, 0.1), (1.0, 0.4)]), None);
        assert_eq!(crossing(&[]), None);
        assert_eq!([8, 20, 40, 80, 200].map(window), [0, 0, 1, 2, 2]);
    }

    #[test]
    fn the_fit_finds_the_exponent_that_was_put_in() {
        for exponent in [-0.5, -0.3] {
            let spread = [-0.03, 0.01, 0.02];
            let of = |samples: usize| (samples, spread.iter().map(|shift| 0.7 + exponent * (samples as f64).ln() + shift).collect());
            let mut thresholds: Vec<(usize, Vec<f64>)> = [1000, 2000, 8000, 16000].into_iter().map(of).collect();
            let table = fit(&thresholds, 3);
            let [found, error] = table.get(0, "exponent").unwrap();
            // Standard error of the slope: 0.0265 / sqrt(3) over the spread of ln samples, sqrt(sum (x - mean)^2) = 2.23.
            assert!((found - exponent).abs() < 1e-9 && (error - 0.00685).abs() < 2e-4, "{found} {error}");
            assert!((table.get(0, "prefactor").unwrap()[0] - 0.7f64.exp()).abs() < 1e-6);
            let p = table.get(1, "p_value").unwrap()[0];
            assert_eq!(p > 0.1, exponent == -0.5, "{p}");
            if exponent == -0.3 {
                // (0.2 / 0.00685)^2 over the 3 degrees of freedom that are left, by F of 3 and 8 degrees: 1.6e-7 and not the 1e-184 of a chi^2 of 852.
                assert!((1e-8..1e-6).contains(&p), "{p}");
                let [t, probability] = ["deviation", "probability"].map(|column| table.get(0, column).unwrap()[0]);
                assert!((probability / two_sided(t, 8.0) - 1.0).abs() < 1e-12 && probability < 1e-7, "{t} {probability}");
            }
            // The scan ends among the seeds of the largest number: what crosses inside it are the highest of them, and tell nothing.
            thresholds[3].1 = vec![thresholds[3].1[2] + 0.5];
            assert_eq!(
                (threshold_table(&thresholds, 3).get(3, "threshold"), threshold_table(&thresholds, 3).get(3, "seeds")),
                (None, Some([1.0, 0.0]))
            );
            let [without, _] = fit(&thresholds, 3).get(0, "exponent").unwrap();
            assert!((without - exponent).abs() < 1e-9);
        }
    }
}
