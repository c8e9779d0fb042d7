//! Intervals in which a value lies in 95 of 100 experiments.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// The probability of the interval.
pub const CONFIDENCE: f64 = 0.95;

/// Half the width of the interval of probability [`CONFIDENCE`] around a mean of so many effective samples with this standard error, by Student's law: for many samples twice the error, for two
/// of them thirteen times. Infinite where less than about two samples count, of whose scatter nothing is known.
pub fn half_width(error: f64, effective_samples: f64) -> f64 {
    match StudentsT::new(0.0, 1.0, effective_samples - 1.0) {
        Ok(law) if effective_samples >= 1.5 => error * law.inverse_cdf(0.5 + 0.5 * CONFIDENCE),
        _ => f64::INFINITY,
    }
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
        assert_eq!(half_width(0.1, 1.0), f64::INFINITY);
        assert_eq!(half_width(0.1, f64::NAN), f64::INFINITY);
    }
}
