//! The periodic chain of N spins, and its decimation: the one renormalization step that is exact in closed form (arXiv:1410.3831, Section IV.A).
//!
//! With t = tanh K and the eigenvalues 2 cosh K and 2 sinh K of the transfer matrix, Z = (2 cosh K)^N (1 + t^N).

use std::f64::consts::LN_2;

/// A ring at one coupling.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct ChainReference {
    /// Number of spins; none for the infinite chain.
    pub size: Option<usize>,
    /// K = J / k_B T.
    pub coupling: f64,
    /// ln Z / N.
    pub log_partition_function_per_site: f64,
    /// In units of J.
    pub energy_per_site: f64,
    /// In units of k_B.
    pub specific_heat_per_site: f64,
    /// (ln Z + K `<E>`)/N in nats.
    pub entropy_per_site: f64,
    /// `<M^2>/N`; none where that of the infinite chain exceeds the largest number.
    pub susceptibility: Option<f64>,
    /// 1/xi = -ln tanh K, in lattice units, of the infinite chain; none where it exceeds the largest number.
    pub correlation_length: Option<f64>,
}

/// The ring of `sites` >= 3 spins, or the infinite chain (`None`), at K = `coupling`, finite and not negative.
pub fn chain(sites: Option<usize>, coupling: f64) -> ChainReference {
    let log_tanh = log_tanh(coupling);
    let tanh = coupling.tanh();
    let squared_secant = coupling.cosh().powi(-2);
    // t^k for this ring, 0 for the infinite chain; t^0 is 1 even at K = 0.
    let power = |exponent: f64| if exponent == 0.0 { 1.0 } else { (exponent * log_tanh).exp() };
    let (around, count) = match sites {
        Some(sites) => (power(sites as f64), sites as f64),
        None => (0.0, f64::INFINITY),
    };
    let log_largest = coupling + (-2.0 * coupling).exp().ln_1p();
    let (log_partition_function_per_site, energy_per_site, slope) = if sites.is_some() {
        let energy = -(tanh + power(count - 1.0)) / (1.0 + around);
        // d/dt of (t + t^(N-1))/(1 + t^N), its numerator without subtractions of equals.
        let numerator = one_less_power(2.0 * count - 2.0, log_tanh) + (count - 1.0) * power(count - 2.0) * squared_secant;
        (log_largest + around.ln_1p() / count, energy, numerator / (1.0 + around).powi(2))
    } else {
        (log_largest, -tanh, 1.0)
    };
    let one_less_around = if sites.is_some() { one_less_power(count, log_tanh) } else { 1.0 };
    let length = -1.0 / log_tanh;
    // exp(2K) (1 - t^N)/(1 + t^N); at large K the two extremes meet in N.
    let largest = (2.0 * coupling).exp();
    let susceptibility = if largest.is_finite() && one_less_around > 0.0 { largest * one_less_around / (1.0 + around) } else { count };
    // (ln Z + K E)/N without the two K that cancel: 1 - (t + t^(N-1))/(1 + t^N) = (1 - t)(1 - t^(N-1))/(1 + t^N).
    let rare = (-2.0 * coupling).exp();
    let without_last = if sites.is_some() { one_less_power(count - 1.0, log_tanh) } else { 1.0 };
    let entropy = rare.ln_1p() + around.ln_1p() / count + coupling * 2.0 * rare / (1.0 + rare) * without_last / (1.0 + around);
    ChainReference {
        size: sites,
        coupling,
        log_partition_function_per_site,
        energy_per_site,
        specific_heat_per_site: if squared_secant > 0.0 { coupling * coupling * squared_secant * slope } else { 0.0 },
        entropy_per_site: entropy,
        susceptibility: Some(susceptibility).filter(|value| value.is_finite()),
        correlation_length: length.is_finite().then_some(length),
    }
}

/// `<s_0 s_r>` on the ring of `sites` spins: (t^r + t^(N-r))/(1 + t^N), 0 <= r <= N.
pub fn correlation(sites: usize, distance: usize, coupling: f64) -> f64 {
    let tanh = coupling.tanh();
    let power = |exponent: usize| tanh.powf(exponent as f64);
    (power(distance) + power(sites - distance)) / (1.0 + power(sites))
}

/// What is left of a chain when every other spin is summed over.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Decimation {
    /// K' = (1/2) ln cosh 2K between the spins that are kept; equivalently tanh K' = tanh^2 K (Eq. (24)).
    pub coupling: f64,
    /// ln 2 + K': what each spin that was summed over leaves in ln Z.
    pub constant: f64,
}

/// One step of decimation: ln Z_N(K) = ln Z_{N/2}(K') + (N/2) constant.
pub fn decimate(coupling: f64) -> Decimation {
    let renormalized = if coupling < 1.0 {
        0.5 * (2.0 * coupling.sinh().powi(2)).ln_1p()
    } else {
        coupling - 0.5 * LN_2 + 0.5 * (-4.0 * coupling).exp().ln_1p()
    };
    Decimation { coupling: renormalized, constant: LN_2 + renormalized }
}

/// ln tanh K, exact where tanh K is nearly 1; minus infinity at K = 0.
fn log_tanh(coupling: f64) -> f64 {
    if coupling < 0.5 {
        return coupling.tanh().ln();
    }
    let small = (-2.0 * coupling).exp();
    (-small).ln_1p() - small.ln_1p()
}

/// 1 - t^k.
fn one_less_power(exponent: f64, log_tanh: f64) -> f64 {
    -(exponent * log_tanh).exp_m1()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_of_ten_spins_is_what_counting_gives() {
        let sites = 10;
        for coupling in [0.0, 1e-6, 0.3, 1.0, 3.0] {
            let (mut total, mut energy, mut energy_squared, mut square) = (0.0, 0.0, 0.0, 0.0);
            for configuration in 0u32..1 << sites {
                let unequal = (configuration ^ (configuration >> 1 | (configuration & 1) << (sites - 1))).count_ones();
                let excess = 2.0 * f64::from(unequal);
                let magnetization = 2.0 * f64::from(configuration.count_ones()) - f64::from(sites);
                let weight = (-coupling * excess).exp();
                total += weight;
                energy += weight * excess;
                energy_squared += weight * excess * excess;
                square += weight * magnetization * magnetization;
            }
            let (energy, energy_squared, square, count) = (energy / total, energy_squared / total, square / total, f64::from(sites));
            let ring = chain(Some(sites as usize), coupling);
            let close =
                |value: f64, counted: f64| assert!((value - counted).abs() < 1e-13 * counted.abs().max(1.0), "{value} {counted}: {ring:?}");
            close(ring.log_partition_function_per_site, total.ln() / count + coupling);
            close(ring.energy_per_site, energy / count - 1.0);
            close(ring.specific_heat_per_site, coupling * coupling * (energy_squared - energy * energy) / count);
            close(ring.susceptibility.expect("a finite ring"), square / count);
            let sum: f64 = (0..sites as usize).map(|distance| correlation(sites as usize, distance, coupling)).sum();
            close(sum, square / count);
        }
    }

    #[test]
    fn a_long_ring_is_the_infinite_chain() {
        let (ring, infinite) = (chain(Some(10_000), 0.7), chain(None, 0.7));
        assert!((ring.energy_per_site - infinite.energy_per_site).abs() < 1e-15);
        assert!((ring.specific_heat_per_site - infinite.specific_heat_per_site).abs() < 1e-15);
        assert!((ring.susceptibility.expect("finite") - infinite.susceptibility.expect("finite")).abs() < 1e-13);
    }

    #[test]
    fn extreme_couplings_stay_finite() {
        for coupling in [0.0, 1e-300, 20.0, 400.0, 1e6] {
            let ring = chain(Some(64), coupling);
            for value in [
                ring.log_partition_function_per_site,
                ring.energy_per_site,
                ring.specific_heat_per_site,
                ring.susceptibility.expect("a finite ring"),
            ] {
                assert!(value.is_finite(), "{ring:?}");
            }
            assert!(chain(None, coupling).energy_per_site.is_finite());
            assert!(decimate(coupling).coupling <= coupling);
        }
        assert!((chain(Some(64), 20.0).susceptibility.expect("a finite ring") - 64.0).abs() < 1e-9);
    }

    #[test]
    fn decimation_squares_the_hyperbolic_tangent() {
        for coupling in [1e-4, 0.1, 0.5, 0.999, 1.001, 2.0, 5.0] {
            let squared = f64::tanh(coupling).powi(2);
            assert!((decimate(coupling).coupling.tanh() / squared - 1.0).abs() < 1e-14);
        }
    }
}
