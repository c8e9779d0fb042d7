//! What errors that were themselves estimated from a few numbers say: Student's and Fisher's laws, and intervals in which a value lies in 95 of 100 experiments.

use statrs::function::beta::beta_reg;

/// The probability of the interval.
pub const CONFIDENCE: f64 = 0.95;
/// With more degrees of freedom Student's law is the normal one to six digits.
const MOST_FREEDOMS: f64 = 1e6;

/// The probability that Student's t with so many degrees of freedom is as far from zero as this, or farther.
pub fn two_sided(t: f64, freedoms: f64) -> f64 {
    beta_reg(0.5 * freedoms, 0.5, freedoms / (freedoms + t * t))
}

/// The probability that the ratio of two estimates of one variance is at least this, of so many degrees of freedom `above` and `below` (Fisher's F).
pub fn variance_ratio(ratio: f64, above: f64, below: f64) -> f64 {
    if ratio <= 0.0 { 1.0 } else { beta_reg(0.5 * below, 0.5 * above, below / (below + above * ratio)) }
}

/// Half the width of the interval of probability [`CONFIDENCE`] around a mean of so many effective samples with this standard error, by Student's law: for many samples twice the error, for two
/// of them thirteen times. Infinite where less than two samples count, of whose scatter nothing is known.
fn half_width(error: f64, effective_samples: f64) -> f64 {
    if effective_samples.is_nan() || effective_samples < 2.0 {
        return f64::INFINITY;
    }
    let freedoms = (effective_samples - 1.0).min(MOST_FREEDOMS);
    // The probability falls with t, from 1 at 0; at one degree of freedom it is as small as wanted at 12.7.
    let (mut low, mut high) = (0.0, 16.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        *(if two_sided(middle, freedoms) > 1.0 - CONFIDENCE { &mut low } else { &mut high }) = middle;
    }
    error * high
}

/// Where a value lies with [`CONFIDENCE`] that is the mean of so many effective samples and has this standard error.
pub fn interval(value: f64, error: f64, effective_samples: f64) -> [f64; 2] {
    let half = half_width(error, effective_samples);
    [value - half, value + half]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_those_of_the_tables() {
        // Student's t at 97.5 %: 12.706 (1 degree of freedom), 2.776 (4), 2.042 (30), 1.960 (many).
        for (samples, expected) in [(2.0, 12.706), (5.0, 2.776), (31.0, 2.042), (1e9, 1.960)] {
            assert!((half_width(0.1, samples) - 0.1 * expected).abs() < 1e-4, "{samples}");
        }
        // Fisher's F: 10.128 at 5 % for (1, 3) degrees of freedom, 3.326 at 5 % and 5.636 at 1 % for (5, 10); with one above it is the square of t.
        for (ratio, above, below, expected) in [(10.128, 1.0, 3.0, 0.05), (3.3258, 5.0, 10.0, 0.05), (5.6363, 5.0, 10.0, 0.01)] {
            assert!((variance_ratio(ratio, above, below) - expected).abs() < 1e-5, "{ratio}");
        }
        assert!((variance_ratio(2.5f64.powi(2), 1.0, 7.0) - two_sided(2.5, 7.0)).abs() < 1e-14);
        assert_eq!(half_width(0.1, 1.0), f64::INFINITY);
        assert_eq!(half_width(0.1, f64::NAN), f64::INFINITY);
    }
}
