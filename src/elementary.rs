//! Elementary functions with the same bits on every machine.
//!
//! The functions of `std` are those of the system's mathematical library, whose last bit depends on its version and, in glibc, on the processor it meets: the exponential with
//! fused multiplication is another one than that without. So whatever decides a sampled spin, a trained weight or a number of a series uses these, which are plain Rust (the
//! crate `libm`, from musl): additions and multiplications that IEEE 754 defines to the bit. Means, errors and exact values, which are made from results and make none, may stay with `std`.

/// e^x.
pub fn exponential(x: f64) -> f64 {
    libm::exp(x)
}

/// ln x.
pub fn logarithm(x: f64) -> f64 {
    libm::log(x)
}

/// ln(1 + x), with all digits at small x.
pub fn logarithm_of_one_plus(x: f64) -> f64 {
    libm::log1p(x)
}

/// e^x - 1, with all digits at small x.
pub fn exponential_less_one(x: f64) -> f64 {
    libm::expm1(x)
}

/// `base` to the power of `exponent`.
pub fn power(base: f64, exponent: f64) -> f64 {
    libm::pow(base, exponent)
}

/// sin x and cos x.
pub fn sine_and_cosine(x: f64) -> (f64, f64) {
    libm::sincos(x)
}

/// tanh x.
pub fn hyperbolic_tangent(x: f64) -> f64 {
    libm::tanh(x)
}

/// The number whose hyperbolic sine is x.
pub fn inverse_hyperbolic_sine(x: f64) -> f64 {
    libm::asinh(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against those of the system, to some units in the last place: it is the same functions that stand here.
    #[test]
    fn they_are_the_functions_they_are_named_after() {
        let near = |one: f64, other: f64, name: &str| assert!((one - other).abs() <= 2e-15 * other.abs(), "{name}: {one} and {other}");
        for step in 1..4000 {
            let x = f64::from(step) * 0.0123;
            near(exponential(-x), (-x).exp(), "exponential");
            near(logarithm(x), x.ln(), "logarithm");
            near(logarithm_of_one_plus(x), x.ln_1p(), "logarithm of one plus");
            near(exponential_less_one(x), x.exp_m1(), "exponential less one");
            near(power(x, 1.587), x.powf(1.587), "power");
            near(hyperbolic_tangent(x), x.tanh(), "hyperbolic tangent");
            near(inverse_hyperbolic_sine(x), x.asinh(), "inverse hyperbolic sine");
            let ((sine, cosine), (other_sine, other_cosine)) = (sine_and_cosine(x), x.sin_cos());
            assert!((sine - other_sine).abs() < 2e-16 && (cosine - other_cosine).abs() < 2e-16, "sine and cosine of {x}");
        }
    }

    /// The bits themselves, found on an Intel processor with AVX-512 and fixed here for every other machine.
    #[test]
    fn the_bits_are_fixed() {
        let mut folded = [0u64; 8];
        for step in 1..2000 {
            let x = f64::from(step) * 0.0317;
            let (sine, cosine) = sine_and_cosine(x);
            let values = [
                exponential(-x),
                logarithm(x),
                logarithm_of_one_plus(x),
                exponential_less_one(x),
                power(x, 1.587),
                sine + 2.0 * cosine,
                hyperbolic_tangent(x),
                inverse_hyperbolic_sine(x),
            ];
            for (folded, value) in folded.iter_mut().zip(values) {
                *folded = folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ value.to_bits();
            }
        }
        assert_eq!(folded, BITS);
    }

    const BITS: [u64; 8] = [
        0x455e_b04a_42ac_a7ba,
        0xe0ad_ed3d_71ab_8d5f,
        0x463c_538b_239c_5b8e,
        0x7558_e7de_062b_cedc,
        0xc8cb_d43d_d2d5_9d77,
        0x9ac7_bc01_1af1_83b2,
        0xf718_55f7_307b_98be,
        0xbbfd_05e4_0944_2cd9,
    ];
}
