//! The infinite square lattice: Onsager's free energy, energy and specific heat, the correlation length, Yang's magnetization, and the constants of Ferdinand
//! and Fisher that lead from the infinite lattice to a finite one at the critical point.
//!
//! Notation of the formulas: S = sinh 2K, phi = an angle of the transfer matrix, K(k) and E(k) the complete elliptic integrals of modulus k.
//! Sources: L. Onsager, Phys. Rev. 65, 117 (1944); C. N. Yang, Phys. Rev. 85, 808 (1952); A. E. Ferdinand and M. E. Fisher, Phys. Rev. 185, 832 (1969).

use super::kaufman;
use std::f64::consts::{LN_2, PI};

/// The critical coupling K_c = ln(1 + sqrt 2)/2 = 0.44068679350977151...
pub fn critical_coupling() -> f64 {
    crate::lattice::CRITICAL_COUPLING
}

/// The infinite lattice at one coupling.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct BulkReference {
    /// ln Z / N.
    pub log_partition_function_per_site: f64,
    /// In units of J.
    pub energy_per_site: f64,
    /// In units of k_B; none at the critical point, where it diverges.
    pub specific_heat_per_site: Option<f64>,
    /// Along an axis, in lattice units: of `<s s'>` above the critical temperature, of `<s s'> - <s>^2` below; none at the critical point, where it diverges.
    pub correlation_length: Option<f64>,
    /// `<s>` in a vanishing field: 0 up to and at the critical coupling.
    pub spontaneous_magnetization: f64,
}

/// Everything known of the infinite lattice at K = `coupling`, finite and not negative.
pub fn bulk(coupling: f64) -> BulkReference {
    let critical = coupling == critical_coupling();
    if coupling == 0.0 {
        return BulkReference {
            log_partition_function_per_site: LN_2,
            energy_per_site: 0.0,
            specific_heat_per_site: Some(0.0),
            correlation_length: Some(0.0),
            spontaneous_magnetization: 0.0,
        };
    }
    let (energy_per_site, specific_heat_per_site) = energy_and_specific_heat(coupling);
    BulkReference {
        log_partition_function_per_site: log_partition_function_per_site(coupling),
        energy_per_site,
        specific_heat_per_site: (!critical).then_some(specific_heat_per_site),
        correlation_length: (!critical).then(|| correlation_length(coupling)),
        spontaneous_magnetization: spontaneous_magnetization(coupling),
    }
}

/// ln Z / N = (1 / 2 pi) times the integral over phi from 0 to pi of `ln [P + sqrt(P^2 - 4 S^2)]`, P = 2 cosh^2 2K - 2 S cos phi (Onsager's Eq. (109b), with one of
/// the two integrals done). The trapezoidal rule in t, phi = pi / (1 + exp(-pi sinh t)), absorbs the kink that the integrand has at phi = 0 near K_c.
pub fn log_partition_function_per_site(coupling: f64) -> f64 {
    if coupling > kaufman::LOW_TEMPERATURE {
        return kaufman::low_temperature(coupling).value;
    }
    let step = 1.0 / 64.0;
    let integrand = |t: f64| {
        let (near, far) = (1.0 / (1.0 + (-PI * t.sinh()).exp()), 1.0 / (1.0 + (PI * t.sinh()).exp()));
        kaufman::bulk_exponent(coupling, (0.5 * PI * near).sin()) * near * far * PI * t.cosh()
    };
    let sum: f64 = (-230..=230).map(|point| integrand(f64::from(point) * step)).sum();
    0.5 * step * sum
}

/// Energy per site in units of J and specific heat per site in units of k_B (Onsager's Eqs. (115) and (117)); the latter is infinite at K_c.
fn energy_and_specific_heat(coupling: f64) -> (f64, f64) {
    // Far from K_c the closed forms subtract nearly equal numbers; there a torus of side 128 is the infinite lattice, to less than a rounding.
    if !(0.2..=1.0).contains(&coupling) {
        let torus = kaufman::torus(128, 128, coupling);
        return (torus.energy_per_site, torus.specific_heat_per_site);
    }
    let (tanh, coth) = ((2.0 * coupling).tanh(), 1.0 / (2.0 * coupling).tanh());
    let complementary = 2.0 * tanh * tanh - 1.0;
    if complementary == 0.0 {
        return (-coth, f64::INFINITY);
    }
    let (first, second) = elliptic_integrals(complementary.abs());
    let energy = -coth * (1.0 + complementary * first * 2.0 / PI);
    let bracket = 2.0 * (first - second) - (1.0 - complementary) * (0.5 * PI + complementary * first);
    (energy, 2.0 / PI * (coupling * coth).powi(2) * bracket)
}

/// The complete elliptic integrals K(k) and E(k), by the arithmetic-geometric mean, from the complementary modulus k' = sqrt(1 - k^2) in (0, 1].
fn elliptic_integrals(complementary: f64) -> (f64, f64) {
    let (mut arithmetic, mut geometric) = (1.0, complementary);
    let mut square = (1.0 - complementary) * (1.0 + complementary);
    let (mut power, mut sum) = (0.5, 0.0);
    loop {
        sum += power * square;
        if square < 1e-30 {
            break;
        }
        let difference: f64 = 0.5 * (arithmetic - geometric);
        (arithmetic, geometric) = (0.5 * (arithmetic + geometric), (arithmetic * geometric).sqrt());
        square = difference * difference;
        power *= 2.0;
    }
    let first = 0.5 * PI / arithmetic;
    (first, first * (1.0 - sum))
}

/// The correlation length along an axis, in lattice units: 1/xi = ln coth K - 2K above the critical temperature, 2 (2K + ln tanh K) below. Infinite at K_c.
pub fn correlation_length(coupling: f64) -> f64 {
    let critical = critical_coupling();
    if coupling == critical {
        return f64::INFINITY;
    }
    let gamma = kaufman::smallest_exponent(coupling);
    if coupling < critical { -1.0 / gamma } else { 0.5 / gamma }
}

/// Yang's spontaneous magnetization (1 - S^-4)^(1/8); 0 up to K_c.
pub fn spontaneous_magnetization(coupling: f64) -> f64 {
    if coupling <= critical_coupling() {
        return 0.0;
    }
    (1.0 - (2.0 * coupling).sinh().powi(-4)).max(0.0).powf(0.125)
}

/// The leading corrections of an L x L torus at K_c (Ferdinand and Fisher, Eqs. (3.36) ff.).
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct FerdinandFisher {
    /// lim ln Z - N f, f = ln Z / N of the infinite lattice: ln[(theta_2 + theta_3 + theta_4) / (2 eta)].
    pub log_partition_function: f64,
    /// lim (-e - sqrt 2) L = 2 theta_2 theta_3 theta_4 / (theta_2 + theta_3 + theta_4).
    pub energy: f64,
    /// A_0 = 8 K_c^2 / pi, in C = A_0 ln L + constant.
    pub specific_heat_logarithm: f64,
}

/// The constants of the square torus.
pub fn ferdinand_fisher() -> FerdinandFisher {
    // Theta functions at argument 0 and nome q = exp(-pi); the series are over after a few terms.
    let nome = (-PI).exp();
    let series = |sign: f64| 1.0 + 2.0 * (1..=6).map(|n: i32| sign.powi(n) * nome.powi(n * n)).sum::<f64>();
    let theta_2 = 2.0 * (0..=5).map(|n: i32| nome.powf((f64::from(n) + 0.5).powi(2))).sum::<f64>();
    let (theta_3, theta_4) = (series(1.0), series(-1.0));
    let sum = theta_2 + theta_3 + theta_4;
    let product = theta_2 * theta_3 * theta_4;
    FerdinandFisher {
        log_partition_function: (sum / (2.0 * (0.5 * product).cbrt())).ln(),
        energy: 2.0 * product / sum,
        specific_heat_logarithm: 8.0 * critical_coupling().powi(2) / PI,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elliptic_integrals_at_known_moduli() {
        // k = 1/sqrt 2: K = Gamma(1/4)^2 / (4 sqrt pi), and Legendre's relation gives E = K/2 + pi/(4K).
        let (first, second) = elliptic_integrals(0.5f64.sqrt());
        assert!((first - 1.854_074_677_301_371_9).abs() < 1e-15);
        assert!((second - (0.5 * first + PI / (4.0 * first))).abs() < 1e-15);
        assert_eq!(elliptic_integrals(1.0), (0.5 * PI, 0.5 * PI));
    }

    #[test]
    fn energy_and_specific_heat_are_derivatives_of_the_free_energy() {
        for coupling in [0.05, 0.199, 0.201, 0.3, 0.42, 0.46, 0.7, 0.99, 1.01, 1.4] {
            let value = |shift: f64| log_partition_function_per_site(coupling + shift);
            let step = 1e-4;
            let slope = (8.0 * (value(step) - value(-step)) - (value(2.0 * step) - value(-2.0 * step))) / (12.0 * step);
            let step = 5e-4;
            let outer = value(2.0 * step) + value(-2.0 * step);
            let curvature = (16.0 * (value(step) + value(-step)) - outer - 30.0 * value(0.0)) / (12.0 * step * step);
            let (energy, specific_heat) = energy_and_specific_heat(coupling);
            assert!((energy + slope).abs() < 3e-11, "K = {coupling}: {energy} {slope}");
            assert!((specific_heat - coupling * coupling * curvature).abs() < 3e-6, "K = {coupling}: {specific_heat}");
        }
    }
}
