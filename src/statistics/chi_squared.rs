//! Do counts follow a law? Pearson's chi-squared test, with rare outcomes pooled so that the chi-squared distribution applies.

use serde::{Deserialize, Serialize};
use statrs::function::gamma::gamma_ur;

/// Outcomes expected less often than this are pooled (Cochran's rule).
const SMALLEST_EXPECTATION: f64 = 5.0;

/// The result of a chi-squared test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ChiSquared {
    /// The sum of (observed - expected)^2 / expected over the pooled bins.
    pub statistic: f64,
    /// The number of pooled bins less one.
    pub degrees_of_freedom: usize,
    /// Probability of a statistic at least as large if the law holds; 0 when something impossible was observed.
    pub p_value: f64,
}

/// Tests counts against a law. `expected` are the probabilities of the same outcomes, or any multiple of them: they are scaled to the number of observations.
///
/// # Panics
/// If the two slices differ in length, or an expectation is negative or not finite.
pub fn test(observed: &[u64], expected: &[f64]) -> ChiSquared {
    assert_eq!(observed.len(), expected.len(), "one expectation for each count");
    assert!(expected.iter().all(|&value| value >= 0.0 && value.is_finite()), "expectations are finite and not negative");
    let total: u64 = observed.iter().sum();
    let scale = total as f64 / expected.iter().sum::<f64>();

    if observed.iter().zip(expected).any(|(&count, &expectation)| count > 0 && expectation == 0.0) {
        return ChiSquared { statistic: f64::INFINITY, degrees_of_freedom: observed.len().saturating_sub(1), p_value: 0.0 };
    }
    let bins = pool(observed, expected, scale);
    let statistic = bins.iter().map(|(count, expectation)| (count - expectation).powi(2) / expectation).sum();
    let degrees_of_freedom = bins.len().saturating_sub(1);
    ChiSquared { statistic, degrees_of_freedom, p_value: survival(statistic, degrees_of_freedom as f64) }
}

/// (count, expectation) of bins that each expect enough. Pooling goes from the rarest outcome upwards, which depends on the law alone and not on the counts.
fn pool(observed: &[u64], expected: &[f64], scale: f64) -> Vec<(f64, f64)> {
    let mut order: Vec<usize> = (0..expected.len()).filter(|&bin| expected[bin] > 0.0).collect();
    order.sort_by(|&a, &b| expected[a].total_cmp(&expected[b]));
    let mut bins: Vec<(f64, f64)> = Vec::new();
    let mut open = (0.0, 0.0);
    for bin in order {
        open = (open.0 + observed[bin] as f64, open.1 + expected[bin] * scale);
        if open.1 >= SMALLEST_EXPECTATION {
            bins.push(std::mem::take(&mut open));
        }
    }
    // What is left over expects less than the rule asks, which happens only when all observations together are too few.
    match bins.last_mut() {
        Some(last) => *last = (last.0 + open.0, last.1 + open.1),
        None if open.1 > 0.0 => bins.push(open),
        None => {}
    }
    bins
}

/// Probability that a chi-squared variable exceeds `statistic`. 1 for no degrees of freedom.
pub fn survival(statistic: f64, degrees_of_freedom: f64) -> f64 {
    if degrees_of_freedom <= 0.0 || statistic <= 0.0 {
        return 1.0;
    }
    if statistic.is_infinite() {
        return 0.0;
    }
    gamma_ur(0.5 * degrees_of_freedom, 0.5 * statistic)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Stream};

    #[test]
    fn known_quantiles() {
        for (statistic, degrees, probability) in [
            (3.841458820694124, 1.0, 0.05),
            (18.307038053275146, 10.0, 0.05),
            (135.80672317102676, 100.0, 0.01),
            (1.386294361119891, 2.0, 0.5),
        ] {
            assert!((survival(statistic, degrees) - probability).abs() < 1e-9, "{statistic} {degrees}");
        }
        assert_eq!(survival(f64::INFINITY, 3.0), 0.0);
        assert_eq!(survival(3.0, 0.0), 1.0);
    }

    #[test]
    fn p_values_are_uniform_for_the_right_law_and_small_for_a_wrong_one() {
        // A geometric law with a long rare tail, 2000 draws, 500 repeats: the shares below 1/4 and 3/4 have standard error 0.019.
        let weights: Vec<f64> = (0..40).map(|k| 0.7f64.powi(k)).collect();
        let wrong: Vec<f64> = (0..40).map(|k| 0.67f64.powi(k)).collect();
        let total: f64 = weights.iter().sum();
        let repeats = 500;
        let mut stream = Stream::new(9, Purpose::Check, 0);
        let (mut below, mut above, mut caught) = (0, 0, 0);
        for _ in 0..repeats {
            let mut counts = vec![0u64; weights.len()];
            for _ in 0..2000 {
                let mut target = stream.uniform() * total;
                let bin = weights.iter().position(|weight| {
                    target -= weight;
                    target < 0.0
                });
                counts[bin.unwrap_or(weights.len() - 1)] += 1;
            }
            let p_value = test(&counts, &weights).p_value;
            below += usize::from(p_value < 0.25);
            above += usize::from(p_value < 0.75);
            caught += usize::from(test(&counts, &wrong).p_value < 0.01);
        }
        let share = |count: usize| count as f64 / repeats as f64;
        assert!((share(below) - 0.25).abs() < 0.08 && (share(above) - 0.75).abs() < 0.08, "{} {}", share(below), share(above));
        assert!(share(caught) > 0.9, "a wrong law is caught in {} of the repeats", share(caught));
    }

    #[test]
    fn the_impossible_and_the_certain() {
        assert_eq!(test(&[5, 1], &[1.0, 0.0]).p_value, 0.0);
        let certain = test(&[7, 0], &[1.0, 0.0]);
        assert_eq!((certain.statistic, certain.degrees_of_freedom, certain.p_value), (0.0, 0, 1.0));
        assert_eq!(test(&[50, 50, 0], &[50.0, 50.0, 1e-9]).degrees_of_freedom, 1);
    }
}
