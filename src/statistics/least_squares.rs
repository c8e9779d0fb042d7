//! Linear least squares with a full covariance of the data (Aitken 1935): parameters, their covariance, chi^2 and its probability.

use super::chi_squared::survival;
use serde::{Deserialize, Serialize};

/// How well a fit describes its data.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Goodness {
    /// The sum of squared deviations in units of the covariance.
    pub chi_squared: f64,
    /// Data less parameters.
    pub degrees_of_freedom: usize,
    /// The probability of a chi^2 at least as large, if the model is right.
    pub p_value: f64,
}

/// A fit that has been prepared for its data points: the same weights serve many sets of values.
#[derive(Debug, Clone)]
pub struct LeastSquares {
    /// The design in units of the errors, one row a datum.
    design: Vec<Vec<f64>>,
    /// Lower triangle L of the covariance L L^T of the data.
    root: Vec<Vec<f64>>,
    /// Lower triangle of the normal matrix.
    normal: Vec<Vec<f64>>,
}

impl LeastSquares {
    /// `design[datum][parameter]` and `covariance[datum][datum]`. `None` if the data do not fix the parameters, or the covariance is not positive.
    pub fn new(design: &[Vec<f64>], covariance: &[Vec<f64>]) -> Option<Self> {
        let parameters = design.first()?.len();
        if design.len() < parameters {
            return None;
        }
        let root = cholesky(covariance)?;
        let mut whitened = vec![vec![0.0; parameters]; design.len()];
        for parameter in 0..parameters {
            let column: Vec<f64> = design.iter().map(|row| row[parameter]).collect();
            for (row, value) in whitened.iter_mut().zip(forward(&root, &column)) {
                row[parameter] = value;
            }
        }
        let product = |one: usize, other: usize| whitened.iter().map(|row| row[one] * row[other]).sum::<f64>();
        let matrix: Vec<Vec<f64>> = (0..parameters).map(|one| (0..parameters).map(|other| product(one, other)).collect()).collect();
        let normal = cholesky(&matrix)?;
        Some(LeastSquares { design: whitened, root, normal })
    }

    /// The best parameters for these values, and how well they do.
    pub fn fit(&self, values: &[f64]) -> (Vec<f64>, Goodness) {
        let whitened = forward(&self.root, values);
        let parameters = self.normal.len();
        let right: Vec<f64> =
            (0..parameters).map(|parameter| self.design.iter().zip(&whitened).map(|(row, value)| row[parameter] * value).sum()).collect();
        let solution = backward(&self.normal, &forward(&self.normal, &right));
        let residual =
            |(row, value): (&Vec<f64>, &f64)| (value - row.iter().zip(&solution).map(|(term, best)| term * best).sum::<f64>()).powi(2);
        let chi_squared = self.design.iter().zip(&whitened).map(residual).sum();
        let degrees_of_freedom = self.design.len() - parameters;
        (solution, Goodness { chi_squared, degrees_of_freedom, p_value: survival(chi_squared, degrees_of_freedom as f64) })
    }
}

/// Solves a symmetric positive system; `None` if it is not positive.
pub fn solve(matrix: &[Vec<f64>], right: &[f64]) -> Option<Vec<f64>> {
    let root = cholesky(matrix)?;
    Some(backward(&root, &forward(&root, right)))
}

/// The lower triangle L with L L^T = `matrix`.
fn cholesky(matrix: &[Vec<f64>]) -> Option<Vec<Vec<f64>>> {
    let size = matrix.len();
    let mut root = vec![vec![0.0; size]; size];
    for row in 0..size {
        for column in 0..=row {
            let sum: f64 = (0..column).map(|inner| root[row][inner] * root[column][inner]).sum();
            let rest = matrix[row][column] - sum;
            if row == column {
                // What is left of a diagonal element must stand clear of rounding.
                if !(rest > 1e-13 * matrix[row][row] && rest.is_finite()) {
                    return None;
                }
                root[row][row] = rest.sqrt();
            } else {
                root[row][column] = rest / root[column][column];
            }
        }
    }
    Some(root)
}

/// Solves L x = right.
fn forward(root: &[Vec<f64>], right: &[f64]) -> Vec<f64> {
    let mut solution = Vec::with_capacity(right.len());
    for (row, value) in root.iter().zip(right) {
        let known: f64 = row.iter().zip(&solution).map(|(term, known)| term * known).sum();
        solution.push((value - known) / row[solution.len()]);
    }
    solution
}

/// Solves L^T x = right.
fn backward(root: &[Vec<f64>], right: &[f64]) -> Vec<f64> {
    let size = right.len();
    let mut solution = vec![0.0; size];
    for row in (0..size).rev() {
        let known: f64 = (row + 1..size).map(|below| root[below][row] * solution[below]).sum();
        solution[row] = (right[row] - known) / root[row][row];
    }
    solution
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Stream};

    #[test]
    fn a_line_through_correlated_points_has_the_right_errors() {
        // Neighbours are correlated by 0.6; slopes of 2000 fits scatter as the jackknife-free theory says, and chi^2 has its mean.
        let points = 6;
        let covariance: Vec<Vec<f64>> =
            (0..points).map(|one: i32| (0..points).map(|other| 0.04 * 0.6f64.powi((one - other).abs())).collect()).collect();
        let design: Vec<Vec<f64>> = (0..points).map(|place| vec![1.0, f64::from(place)]).collect();
        let fit = LeastSquares::new(&design, &covariance).expect("a fit");
        let root = cholesky(&covariance).expect("positive");
        let mut stream = Stream::new(3, Purpose::Check, 0);
        let (mut slopes, mut chi_squared) = (Vec::new(), 0.0);
        let repeats = 2000;
        for _ in 0..repeats {
            let noise: Vec<f64> = (0..points).map(|_| stream.normal()).collect();
            let values: Vec<f64> = (0..points as usize)
                .map(|place| 2.0 - 0.5 * place as f64 + root[place].iter().zip(&noise).map(|(term, noise)| term * noise).sum::<f64>())
                .collect();
            let (best, goodness) = fit.fit(&values);
            slopes.push(best[1]);
            chi_squared += goodness.chi_squared / f64::from(repeats);
            assert_eq!(goodness.degrees_of_freedom, 4);
        }
        let mean = slopes.iter().sum::<f64>() / f64::from(repeats);
        let variance = slopes.iter().map(|slope| (slope - mean).powi(2)).sum::<f64>() / f64::from(repeats - 1);
        // The inverse of the normal matrix.
        let expected =
            solve(&[vec![1.0, 0.0], vec![0.0, 1.0]], &[0.0, 1.0]).map(|unit| backward(&fit.normal, &forward(&fit.normal, &unit))[1]);
        let expected = expected.expect("a number");
        assert!((mean + 0.5).abs() < 4.0 * (expected / f64::from(repeats)).sqrt(), "{mean}");
        assert!((variance / expected - 1.0).abs() < 0.13, "{variance} {expected}");
        assert!((chi_squared - 4.0).abs() < 4.0 * (8.0 / f64::from(repeats)).sqrt(), "{chi_squared}");
        assert!(LeastSquares::new(&[vec![1.0, 1.0], vec![2.0, 2.0]], &[vec![1.0, 0.0], vec![0.0, 1.0]]).is_none());
        assert!(LeastSquares::new(&[vec![1.0]], &[vec![-1.0]]).is_none());
    }
}
