//! The coupling at which the finite torus has a given energy: how the temperature of an ensemble is read off when nothing else is known of it.

use super::kaufman;

/// Beyond this coupling the energy of a torus differs from that of its ground state by less than a spin in 10^30 configurations.
const LARGEST_COUPLING: f64 = 10.0;
/// Steps of the bisection: the interval of couplings shrinks to a rounding.
const HALVINGS: usize = 60;

/// A coupling read off an energy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// The coupling K at which Kaufman's energy per site is the given one; negative for a positive energy (an antiferromagnet).
    pub coupling: f64,
    /// dK / de, at most 0: what an error of the energy per site makes of the coupling.
    pub slope: f64,
    /// Kaufman's specific heat per site at that coupling, in k_B.
    pub specific_heat: f64,
}

/// Inverts Kaufman's energy per site (in J) of the L x L torus. `None` where no coupling between -10 and 10 has that energy, and, for odd L, for positive energies:
/// turning over every other spin turns K into -K only on a torus of even side.
///
/// ```
/// let exact = kadanoff::exact::square(16, 0.408).energy_per_site;
/// let reading = kadanoff::exact::thermometer::coupling_of(16, exact).expect("an energy of the torus");
/// assert!((reading.coupling - 0.408).abs() < 1e-12);
/// ```
pub fn coupling_of(side: usize, energy_per_site: f64) -> Option<Reading> {
    let below = -energy_per_site.abs();
    let energy = |coupling: f64| kaufman::torus(side, side, coupling).energy_per_site;
    if !energy_per_site.is_finite() || below <= energy(LARGEST_COUPLING) || (energy_per_site > 0.0 && !side.is_multiple_of(2)) {
        return None;
    }
    let (mut low, mut high) = (0.0, LARGEST_COUPLING);
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if energy(middle) > below {
            low = middle;
        } else {
            high = middle;
        }
    }
    let coupling = 0.5 * (low + high);
    // de / dK = -C / K^2; a step upwards where both vanish.
    let slope_at = |coupling: f64| -kaufman::torus(side, side, coupling).specific_heat_per_site / (coupling * coupling);
    let slope = 1.0 / slope_at(coupling.max(1e-4));
    let specific_heat = kaufman::torus(side, side, coupling).specific_heat_per_site;
    Some(Reading { coupling: if energy_per_site > 0.0 { -coupling } else { coupling }, slope, specific_heat })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_energy_gives_the_coupling_back() {
        for side in [4, 9, 10, 40] {
            for coupling in [0.0, 0.01, 0.3, 0.408, 0.440_686_793_509_771_5, 0.6, 1.0] {
                let exact = kaufman::torus(side, side, coupling);
                let found = coupling_of(side, exact.energy_per_site).unwrap();
                assert!((found.coupling - coupling).abs() < 1e-10, "L = {side}, K = {coupling}: {found:?}");
                assert!((found.specific_heat - exact.specific_heat_per_site).abs() < 1e-8);
                let step = 1e-5;
                let difference = kaufman::torus(side, side, coupling + step).energy_per_site - exact.energy_per_site;
                assert!(
                    (found.slope * difference / step - 1.0).abs() < 1e-2,
                    "L = {side}, K = {coupling}: {}",
                    found.slope * difference / step
                );
            }
        }
    }

    #[test]
    fn there_is_no_coupling_for_an_energy_that_no_torus_has() {
        assert_eq!((coupling_of(8, -2.0), coupling_of(8, -2.5), coupling_of(8, f64::NAN), coupling_of(9, 0.3)), (None, None, None, None));
        let [minus, plus] = [-0.7, 0.7].map(|energy| coupling_of(8, energy).unwrap().coupling);
        assert_eq!(minus, -plus);
    }
}
