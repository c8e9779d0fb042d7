//! The whole law of energy and magnetization of a finite ring, by counting: how many configurations have u spins up in k runs.
//!
//! On a ring of N spins, u of them up, k >= 1 runs of spins up (and as many of spins down) are made in (N / k) C(u - 1, k - 1) C(N - u - 1, k - 1) ways; all spins alike in two.
//! Such a configuration has 2k unsatisfied bonds, E = 4k - N, and M = 2u - N.

use super::MagneticMoments;

/// The longest ring whose law is summed: its four million terms take hundredths of a second.
pub const LONGEST: usize = 4096;

/// Calls `each` with (E, M, ln of the number of configurations) for every kind of configuration of a ring of `sites` >= 3 spins.
fn kinds(sites: usize, mut each: impl FnMut(i64, i64, f64)) {
    let mut factorial = vec![0.0; sites + 1];
    for number in 1..=sites {
        factorial[number] = factorial[number - 1] + (number as f64).ln();
    }
    let choose = |from: usize, of: usize| factorial[from] - factorial[of] - factorial[from - of];
    let count = sites as i64;
    each(-count, -count, 0.0);
    each(-count, count, 0.0);
    for up in 1..sites {
        for runs in 1..=up.min(sites - up) {
            let ways = (sites as f64 / runs as f64).ln() + choose(up - 1, runs - 1) + choose(sites - up - 1, runs - 1);
            each(4 * runs as i64 - count, 2 * up as i64 - count, ways);
        }
    }
}

/// ((E, M), probability) for every pair that occurs on the ring of `sites` >= 3 spins at K = `coupling`.
pub fn joint_law(sites: usize, coupling: f64) -> Vec<((i64, i64), f64)> {
    let mut law = Vec::new();
    let ground = -(sites as i64);
    kinds(sites, |energy, magnetization, ways| law.push(((energy, magnetization), (ways - coupling * (energy - ground) as f64).exp())));
    let total: f64 = law.iter().map(|(_, weight)| weight).sum();
    law.iter_mut().for_each(|(_, weight)| *weight /= total);
    law
}

/// The moments of the magnetization of a ring of 3 to [`LONGEST`] spins.
pub fn magnetic_moments(sites: usize, coupling: f64) -> MagneticMoments {
    let count = sites as f64;
    let (mut absolute, mut squared, mut fourth, mut total, mut largest) = (0.0, 0.0, 0.0, 0.0, f64::NEG_INFINITY);
    kinds(sites, |energy, _, ways| largest = largest.max(ways - coupling * energy as f64));
    kinds(sites, |energy, magnetization, ways| {
        let weight = (ways - coupling * energy as f64 - largest).exp();
        let m = magnetization as f64 / count;
        total += weight;
        absolute += weight * m.abs();
        squared += weight * m * m;
        fourth += weight * m.powi(4);
    });
    let squared = squared / total;
    MagneticMoments {
        absolute_magnetization: absolute / total,
        magnetization_squared: squared,
        binder_cumulant: 1.0 - fourth / total / (3.0 * squared * squared),
        structure_factor: structure_factor(sites, coupling),
    }
}

/// F = `<|sum_x s_x exp(i k x)|^2>/N` at k = 2 pi / N: with t = tanh K the geometric sums over both ways round the ring give
/// (1 - t^2) (1 - t^N) / ((1 + t^N) (1 - 2 t cos k + t^2)).
fn structure_factor(sites: usize, coupling: f64) -> f64 {
    let tanh = coupling.tanh();
    let log_tanh = if tanh > 0.0 { (-2.0 * (-2.0 * coupling).exp() / (1.0 + (-2.0 * coupling).exp())).ln_1p() } else { f64::NEG_INFINITY };
    let around = (sites as f64 * log_tanh).exp();
    let wave = 2.0 * std::f64::consts::PI / sites as f64;
    // 1 - 2 t cos k + t^2 without the difference of equals.
    let denominator = (1.0 - tanh).powi(2) + 4.0 * tanh * (0.5 * wave).sin().powi(2);
    coupling.cosh().powi(-2) * -(sites as f64 * log_tanh).exp_m1() / ((1.0 + around) * denominator)
}

#[cfg(test)]
mod tests {
    use super::super::enumeration::Census;
    use super::*;
    use crate::lattice::{Geometry, Torus};

    #[test]
    fn the_law_is_that_of_enumeration() {
        for sites in [3, 4, 9, 12] {
            let census = Census::of(Torus::new(Geometry::Chain, sites).expect("a valid side"));
            for coupling in [0.0, 0.2, 0.7, 2.0] {
                let (law, counted) = (joint_law(sites, coupling), census.joint_law(coupling));
                assert_eq!(law.len(), counted.len());
                for (key, probability) in law {
                    assert!((counted[&key] - probability).abs() < 1e-13, "{sites} {coupling} {key:?}");
                }
                let (found, counted) = (magnetic_moments(sites, coupling), census.moments(coupling).magnetic);
                for (one, other) in [
                    (found.absolute_magnetization, counted.absolute_magnetization),
                    (found.magnetization_squared, counted.magnetization_squared),
                    (found.binder_cumulant, counted.binder_cumulant),
                    (found.structure_factor, counted.structure_factor),
                ] {
                    assert!((one - other).abs() < 1e-12, "{sites} {coupling}: {one} {other}");
                }
            }
        }
    }

    #[test]
    fn long_rings_have_the_susceptibility_of_the_chain() {
        for coupling in [0.3, 1.0, 1.5] {
            let (moments, chain) = (magnetic_moments(1000, coupling), super::super::chain(Some(1000), coupling));
            let susceptibility = moments.magnetization_squared * 1000.0;
            assert!((susceptibility / chain.susceptibility.expect("finite") - 1.0).abs() < 1e-9);
        }
    }
}
