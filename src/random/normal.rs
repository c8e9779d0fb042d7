//! The quantiles of the normal law by arithmetic of our own: additions, products, quotients and square roots, which IEEE 754 rounds exactly. The logarithm and cosine of a
//! C library may differ in the last bit between machines, and with them the first weights of a network.

/// x with Phi(x) = 1/2 + centre, |centre| < 1/2: algorithm AS 241, PPND16 (M. J. Wichura, Appl. Stat. 37, 477 (1988)); relative error about 1e-15.
pub(super) fn quantile(centre: f64) -> f64 {
    if centre.abs() <= 0.425 {
        return centre * ratio(&A, &B, 0.180625 - centre * centre);
    }
    // The probability of the nearer tail, exact.
    let root = (-logarithm(0.5 - centre.abs())).sqrt();
    let size = if root <= 5.0 { ratio(&C, &D, root - 1.6) } else { ratio(&E, &F, root - 5.0) };
    if centre < 0.0 { -size } else { size }
}

fn polynomial(coefficients: &[f64; 8], x: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, coefficient| sum * x + coefficient)
}

fn ratio(above: &[f64; 8], below: &[f64; 8], x: f64) -> f64 {
    polynomial(above, x) / polynomial(below, x)
}

/// ln x of a normal number x > 0: x = 2^n m with m around 1, and ln m = 2 artanh((m - 1) / (m + 1)) by its series, whose terms fall by 34.
fn logarithm(x: f64) -> f64 {
    // ln 2 in two parts, of which the first has trailing zeros (as in fdlibm): n * LN2_HIGH is exact.
    const LN2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
    const LN2_LOW: f64 = f64::from_bits(0x3dea_39ef_3579_3c76);
    const MANTISSA: u64 = (1 << 52) - 1;
    let above_one = f64::from_bits(x.to_bits() & MANTISSA | 1023 << 52);
    let exponent = (x.to_bits() >> 52) as i32 - 1023;
    let (mantissa, exponent) = if above_one > std::f64::consts::SQRT_2 { (above_one / 2.0, exponent + 1) } else { (above_one, exponent) };
    let ratio = (mantissa - 1.0) / (mantissa + 1.0);
    let square = ratio * ratio;
    let series = (0..=11).rev().fold(0.0, |sum, order| sum * square + 2.0 / f64::from(2 * order + 1));
    f64::from(exponent) * LN2_HIGH + (f64::from(exponent) * LN2_LOW + ratio * series)
}

// The coefficients as printed, lowest order first.
#[rustfmt::skip]
const A: [f64; 8] = [
    3.387_132_872_796_366_5, 1.331_416_678_917_843_8e2, 1.971_590_950_306_551_3e3, 1.373_169_376_550_946_2e4,
    4.592_195_393_154_987e4, 6.726_577_092_700_87e4, 3.343_057_558_358_813e4, 2.509_080_928_730_122_6e3,
];
#[rustfmt::skip]
const B: [f64; 8] = [
    1.0, 4.231_333_070_160_091e1, 6.871_870_074_920_579e2, 5.394_196_021_424_751e3,
    2.121_379_430_158_659_7e4, 3.930_789_580_009_271e4, 2.872_908_573_572_194_3e4, 5.226_495_278_852_854e3,
];
#[rustfmt::skip]
const C: [f64; 8] = [
    1.423_437_110_749_683_5, 4.630_337_846_156_546, 5.769_497_221_460_691, 3.647_848_324_763_204_5,
    1.270_458_252_452_368_4, 2.417_807_251_774_506e-1, 2.272_384_498_926_918_4e-2, 7.745_450_142_783_414e-4,
];
#[rustfmt::skip]
const D: [f64; 8] = [
    1.0, 2.053_191_626_637_759, 1.676_384_830_183_803_8, 6.897_673_349_851e-1,
    1.481_039_764_274_800_8e-1, 1.519_866_656_361_645_7e-2, 5.475_938_084_995_345e-4, 1.050_750_071_644_416_9e-9,
];
#[rustfmt::skip]
const E: [f64; 8] = [
    6.657_904_643_501_103, 5.463_784_911_164_114, 1.784_826_539_917_291_3, 2.965_605_718_285_049e-1,
    2.653_218_952_657_612_4e-2, 1.242_660_947_388_078_4e-3, 2.711_555_568_743_487_6e-5, 2.010_334_399_292_288_1e-7,
];
#[rustfmt::skip]
const F: [f64; 8] = [
    1.0, 5.998_322_065_558_88e-1, 1.369_298_809_227_358e-1, 1.487_536_129_085_061_5e-2,
    7.868_691_311_456_133e-4, 1.846_318_317_510_054_7e-5, 1.421_511_758_316_446e-7, 2.044_263_103_389_939_8e-15,
];

#[cfg(test)]
mod tests {
    use super::super::{Purpose, Stream};
    use super::*;
    use statrs::distribution::{ContinuousCDF, Normal};

    #[test]
    fn quantiles_are_those_of_the_normal_law() {
        let law = Normal::new(0.0, 1.0).expect("the standard normal law");
        for step in 1..=4000 {
            let centre = f64::from(step) / 8001.0;
            let (found, expected) = (quantile(centre), law.inverse_cdf(0.5 + centre));
            assert!((found - expected).abs() < 1e-9 * expected.abs(), "{centre}: {found} and {expected}");
            assert_eq!(quantile(-centre), -found);
        }
        // The far tail, where 1 - p loses its digits: Phi(-x) by the asymptotic series, and the known quantile of 2^-53.
        assert!((quantile(2f64.powi(-53) - 0.5) + 8.209_536_151_601_387).abs() < 1e-13);
        for exponent in 1..=53 {
            let tail = 2f64.powi(-exponent);
            assert!((logarithm(tail * 1.3) - (tail * 1.3).ln()).abs() <= 2.0 * f64::EPSILON * (tail * 1.3).ln().abs());
        }
    }

    #[test]
    fn normal_numbers_have_the_moments_and_the_law() {
        // 10^6 draws. The standard errors of the moments 1 to 4 are sqrt(1, 2, 15, 96) / 1000; four of them are allowed. Twenty cells of equal probability: chi-squared with
        // 19 degrees of freedom is below 51 with probability 0.9999. A standard deviation of 1.01 would miss the second moment by 14 errors.
        let mut stream = Stream::new(6, Purpose::Check, 0);
        let law = Normal::new(0.0, 1.0).expect("the standard normal law");
        let (mut moments, mut cells) = ([0f64; 4], [0f64; 20]);
        for _ in 0..1_000_000 {
            let x = stream.normal();
            (0..4).for_each(|order| moments[order as usize] += x.powi(order + 1) / 1e6);
            cells[((law.cdf(x) * 20.0) as usize).min(19)] += 1.0;
        }
        for (moment, (expected, variance)) in moments.into_iter().zip([(0.0, 1.0), (1.0, 2.0), (0.0, 15.0), (3.0, 96.0f64)]) {
            assert!((moment - expected).abs() < 4.0 * variance.sqrt() / 1000.0, "moments {moments:?}");
        }
        let chi_squared: f64 = cells.iter().map(|count| (count - 5e4).powi(2) / 5e4).sum();
        assert!(chi_squared < 51.0, "chi squared {chi_squared}");
        // The definition, for any machine.
        let mut stream = Stream::new(14103831, Purpose::Check, 7);
        let bits: Vec<u64> = (0..3).map(|_| stream.normal().to_bits()).collect();
        let mut words = Stream::new(14103831, Purpose::Check, 7);
        let expected: Vec<u64> = (0..3).map(|_| quantile(((words.word() >> 12) as f64 + 0.5) * 2f64.powi(-52) - 0.5).to_bits()).collect();
        assert_eq!(bits, expected);
    }
}
