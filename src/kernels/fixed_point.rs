//! Probabilities as integers in units of 2^-120, so that laws are built alike on every machine and add up exactly.
//!
//! Floating point would do neither: the exponential of a system's library may differ in its last bit, and sums of rounded numbers are not 1.

/// The binary digits behind the point.
pub const DIGITS: u32 = 120;
const ONE: u128 = 1 << DIGITS;
/// floor(2^120 ln 2).
const LN_2: u128 = 0x00b1_7217_f7d1_cf79_abc9_e3b3_9803_f2f6;

/// A probability, a multiple of 2^-120 in [0, 1].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Probability(u128);

impl Probability {
    /// 0.
    pub const ZERO: Probability = Probability(0);
    /// 1/2.
    pub const HALF: Probability = Probability(ONE / 2);
    /// 1.
    pub const ONE: Probability = Probability(ONE);

    /// e^(-x) to 2^-112; 0 for x >= 84, where it is below 2^-121.
    ///
    /// # Panics
    /// If x is negative or not a number.
    pub fn decay(x: f64) -> Self {
        assert!(x >= 0.0, "a decay has an exponent that is not negative");
        if x >= 84.0 {
            return Self::ZERO;
        }
        // x = n ln 2 + rest; the rounding of ln 2 makes an error of n 2^-120 in the exponent.
        let x = in_units(x);
        let (halvings, rest) = (x / LN_2, x % LN_2);
        // rest < ln 2: the term of order 33 is below 2^-140. All partial sums of Horner's rule lie in (0, 1].
        let series = (1..=32).rev().fold(ONE, |sum, order| ONE - product(rest, sum) / order);
        Probability(series >> halvings)
    }

    /// Of a number in [0, 1], cut off at 2^-120.
    ///
    /// # Panics
    /// If `value` is outside.
    pub fn new(value: f64) -> Self {
        assert!((0.0..=1.0).contains(&value), "a probability lies in [0, 1]");
        Probability(in_units(value))
    }

    /// In units of 2^-120.
    pub fn units(self) -> u128 {
        self.0
    }

    /// The nearest floating-point numbers, for people and tests.
    pub fn value(self) -> f64 {
        self.0 as f64 / ONE as f64
    }

    /// 1 - p, exactly.
    #[must_use]
    pub fn complement(self) -> Self {
        Probability(ONE - self.0)
    }

    /// p p', cut off at 2^-120.
    #[must_use]
    pub fn times(self, other: Self) -> Self {
        Probability(product(self.0, other.0))
    }

    /// (p - p') / (1 - p'), cut off at 2^-120: the probability that an event which holds with p holds where a part of it, which holds with p' <= p, does
    /// not. So an event of p' or else an independent one of this has probability p. 0 if p' = 1.
    ///
    /// # Panics
    /// If p' > p.
    #[must_use]
    pub fn given_not(self, part: Self) -> Self {
        assert!(part <= self, "a part is not more probable than the whole");
        if part == Self::ONE { Self::ZERO } else { Probability(ratio(self.0 - part.0, ONE - part.0, DIGITS)) }
    }

    /// p / (1 + p), cut off at 2^-120: the probability of the less likely of two states whose weights are as p : 1.
    #[must_use]
    pub fn share(self) -> Self {
        Probability(ratio(self.0, ONE + self.0, DIGITS))
    }
}

/// Any number from 0 to below 128 in units of 2^-120, cut off.
fn in_units(value: f64) -> u128 {
    if value == 0.0 {
        return 0;
    }
    // value = mantissa 2^exponent; subnormal numbers are far below the last digit.
    let bits = value.to_bits();
    let (mantissa, exponent) = (u128::from(bits & ((1 << 52) - 1) | 1 << 52), (bits >> 52) as i32 - 1075);
    let shift = exponent + DIGITS as i32;
    if shift >= 0 { mantissa << shift } else { mantissa.checked_shr(shift.unsigned_abs()).unwrap_or(0) }
}

/// floor(a b / 2^120) of a, b <= 2^120.
fn product(a: u128, b: u128) -> u128 {
    let (low, high) = (|x: u128| x & u128::from(u64::MAX), |x: u128| x >> 64);
    let middle = high(a) * low(b) + low(a) * high(b) + high(low(a) * low(b));
    ((high(a) * high(b)) << 8) + (middle >> 56)
}

/// floor(2^digits a / b) of a <= b < 2^127, by long division.
pub fn ratio(a: u128, b: u128, digits: u32) -> u128 {
    let (mut quotient, mut rest) = (a / b, a % b);
    for _ in 0..digits {
        (quotient, rest) = (quotient << 1, rest << 1);
        if rest >= b {
            quotient |= 1;
            rest -= b;
        }
    }
    quotient
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decay_is_the_exponential() {
        for step in 0..4000 {
            let x = f64::from(step) * 0.0207;
            assert!((Probability::decay(x).value() - (-x).exp()).abs() < 2e-15 * (-x).exp() + 2f64.powi(-112), "x = {x}");
        }
        assert_eq!(Probability::decay(0.0), Probability::ONE);
        assert_eq!((Probability::decay(84.0), Probability::decay(f64::INFINITY)), (Probability::ZERO, Probability::ZERO));
        // Digits of floor(2^120 / e) and floor(2^120 e^(-40)) from 80 decimal places; the last ones may be off by the rounding.
        for (x, digits) in EXPONENTIALS {
            assert!(Probability::decay(x).units().abs_diff(digits) < 1 << 8, "x = {x}");
        }
    }

    #[test]
    fn exponents_add() {
        // e^(-8K) = (e^(-4K))^2 to the rounding of both sides.
        for coupling in [1e-9, 0.1, 0.440_686_793_509_771_5, 2.0, 10.0] {
            let [four, eight] = [4.0, 8.0].map(|factor| Probability::decay(factor * coupling));
            assert!(four.times(four).units().abs_diff(eight.units()) < 1 << 8);
        }
    }

    #[test]
    fn small_arithmetic_is_exact() {
        let [half, quarter] = [0.5, 0.25].map(Probability::new);
        assert_eq!(half.times(half), quarter);
        assert_eq!(Probability::ONE.times(quarter), quarter);
        assert_eq!(quarter.complement(), Probability::new(0.75));
        // (1/2 - 1/4) / (3/4) = 1/3 and (1/2) / (3/2) = 1/3: 0.010101... in binary.
        let third = (0..60).fold(0u128, |sum, _| sum << 2 | 1);
        assert_eq!((half.given_not(quarter).units(), half.share().units()), (third, third));
        assert_eq!((half.given_not(half), Probability::ONE.given_not(Probability::ONE)), (Probability::ZERO, Probability::ZERO));
        assert_eq!(Probability::ONE.share(), half);
        assert_eq!(Probability::new(2f64.powi(-120)).units(), 1);
        assert_eq!(Probability::new(2f64.powi(-121)).units(), 0);
        assert_eq!(Probability::new(f64::MIN_POSITIVE).units(), 0);
    }

    const EXPONENTIALS: [(f64, u128); 3] = [
        (1.0, 488995652278791141083010649602151673),
        (40.0, 5647031412145557669),
        (1.762747174039086, 228059469104677115555102455606570612),
    ];
}
