//! Does a model sample the right thermodynamics? Its energy and specific heat, from random starts, must be near the exact ones, and an estimate is only as good as its error.

/// The thermodynamics are right if energy and specific heat are within these shares of the exact values.
pub const LARGEST_DEVIATIONS: [f64; 2] = [0.01, 0.05];

/// So many standard errors a deviation may be off what was measured.
pub const ERRORS: f64 = 2.0;

/// What is said of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Both are within their shares of the exact values, with [`ERRORS`] errors to spare.
    Right,
    /// One of them is outside, by more than its errors.
    Wrong,
    /// The errors are too large to tell.
    Undecided,
}

impl Verdict {
    /// From what energy and specific heat are off, as shares of the exact values, each with its standard error.
    pub fn of(deviations: [[f64; 2]; 2]) -> Self {
        let judged = deviations.iter().zip(LARGEST_DEVIATIONS).map(|([off, error], most)| {
            let spare = ERRORS * error;
            // What is not a number is neither.
            if off.abs() + spare <= most {
                Verdict::Right
            } else if off.abs() - spare > most {
                Verdict::Wrong
            } else {
                Verdict::Undecided
            }
        });
        judged
            .reduce(|one, other| match (one, other) {
                (Verdict::Wrong, _) | (_, Verdict::Wrong) => Verdict::Wrong,
                (Verdict::Right, Verdict::Right) => Verdict::Right,
                _ => Verdict::Undecided,
            })
            .unwrap_or(Verdict::Undecided)
    }

    /// As a number in a table: 1, 0 and one half.
    pub fn number(self) -> f64 {
        match self {
            Verdict::Right => 1.0,
            Verdict::Wrong => 0.0,
            Verdict::Undecided => 0.5,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_decide_whether_there_is_a_verdict() {
        for (energy, heat, expected) in [
            ([0.004, 0.001], [0.02, 0.01], Verdict::Right),
            ([-0.004, 0.001], [-0.02, 0.01], Verdict::Right),
            // Within the shares, but two errors more would not be.
            ([0.004, 0.004], [0.02, 0.01], Verdict::Undecided),
            ([0.004, 0.001], [0.024, 0.029], Verdict::Undecided),
            // Outside by less than two errors, and by more.
            ([0.011, 0.001], [0.02, 0.01], Verdict::Undecided),
            ([0.016, 0.002], [0.02, 0.01], Verdict::Wrong),
            // One that is wrong is enough, whatever is known of the other.
            ([-0.033, 0.002], [0.023, 0.2], Verdict::Wrong),
            ([0.0, 0.0], [-0.2, 0.01], Verdict::Wrong),
            ([f64::NAN, 0.1], [0.0, 0.0], Verdict::Undecided),
            ([0.0, f64::INFINITY], [0.0, 0.0], Verdict::Undecided),
        ] {
            assert_eq!(Verdict::of([energy, heat]), expected, "{energy:?} {heat:?}");
        }
    }
}
