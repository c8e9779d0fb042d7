//! Small tori by counting every configuration, in the order of a Gray code (one spin turns from one configuration to the next).
//!
//! The counts are integers and hold for every coupling; a law at one coupling is the counts weighted with exp(-K E). This is what samplers are tested against:
//! not only means, but the whole joint law of energy and magnetization.

use super::MagneticMoments;
use crate::lattice::Torus;
use std::collections::BTreeMap;

/// 2^27 configurations, those of the cubic torus of side 3, take about a second.
const MOST_SITES: usize = 27;

/// The number of configurations of every energy and magnetization, and their structure at the smallest wave vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Census {
    torus: Torus,
    /// How many configurations have (E, M).
    pub counts: BTreeMap<(i64, i64), u64>,
    /// For each E: over its configurations, the sums of sum_x c(x) c(x + d), d = 0 .. L, where c(x) is the magnetization of column x (of the plane x of a cubic torus).
    column_correlations: BTreeMap<i64, Vec<i64>>,
}

/// The exact means of a small torus at one coupling.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Moments {
    /// ln Z.
    pub log_partition_function: f64,
    /// `<E>`, in units of J.
    pub energy: f64,
    /// `<E^2> - <E>^2`.
    pub energy_variance: f64,
    /// The moments of the magnetization.
    pub magnetic: MagneticMoments,
}

impl Census {
    /// Counts the configurations of a chain, a square or a cubic torus of at most 27 sites.
    ///
    /// # Panics
    /// If the torus has more sites.
    pub fn of(torus: impl Into<Torus>) -> Census {
        let torus = torus.into();
        assert!(torus.sites() <= MOST_SITES, "a torus of {} sites has too many configurations to count one by one", torus.sites());
        let (side, sites) = (torus.side(), torus.sites());
        let neighbours: Vec<Vec<usize>> = (0..sites).map(|site| torus.neighbours(site).collect()).collect();
        let mut spins = vec![-1i64; sites];
        let mut columns = vec![-((sites / side) as i64); side];
        let (mut energy, mut magnetization) = (-(torus.bonds() as i64), -(sites as i64));

        // Every configuration with the last spin down; turning all spins gives the other half with the same energy, -M and the same correlations.
        // Indices: E + bonds in steps of 2, M + N in steps of 2.
        let bonds = torus.bonds();
        let mut counts = vec![0u64; (bonds + 1) * (sites + 1)];
        let mut correlations = vec![0i64; (bonds + 1) * side];
        let level = |energy: i64| ((energy + bonds as i64) / 2) as usize;
        for step in 1u64..=1 << (sites - 1) {
            counts[level(energy) * (sites + 1) + ((magnetization + sites as i64) / 2) as usize] += 1;
            for distance in 0..side {
                correlations[level(energy) * side + distance] +=
                    (0..side).map(|x| columns[x] * columns[(x + distance) % side]).sum::<i64>();
            }
            let turned = step.trailing_zeros() as usize;
            if turned == sites - 1 {
                break;
            }
            let field: i64 = neighbours[turned].iter().map(|&neighbour| spins[neighbour]).sum();
            energy += 2 * spins[turned] * field;
            spins[turned] = -spins[turned];
            magnetization += 2 * spins[turned];
            columns[turned % side] += 2 * spins[turned];
        }

        let mut census = Census { torus, counts: BTreeMap::new(), column_correlations: BTreeMap::new() };
        for (index, &count) in counts.iter().enumerate().filter(|&(_, &count)| count > 0) {
            let energy = 2 * (index / (sites + 1)) as i64 - bonds as i64;
            let magnetization = 2 * (index % (sites + 1)) as i64 - sites as i64;
            *census.counts.entry((energy, magnetization)).or_default() += count;
            *census.counts.entry((energy, -magnetization)).or_default() += count;
            let sums = correlations[level(energy) * side..][..side].iter().map(|sum| 2 * sum).collect();
            census.column_correlations.insert(energy, sums);
        }
        census
    }

    /// The number of configurations of every energy.
    pub fn density_of_states(&self) -> BTreeMap<i64, u128> {
        let mut density = BTreeMap::new();
        for (&(energy, _), &count) in &self.counts {
            *density.entry(energy).or_default() += u128::from(count);
        }
        density
    }

    /// The probability of every (E, M) at coupling K.
    pub fn joint_law(&self, coupling: f64) -> BTreeMap<(i64, i64), f64> {
        let ground = -(self.torus.bonds() as i64);
        let weight = |energy: i64| (-coupling * (energy - ground) as f64).exp();
        let total: f64 = self.counts.iter().map(|(&(energy, _), &count)| count as f64 * weight(energy)).sum();
        self.counts.iter().map(|(&key, &count)| (key, count as f64 * weight(key.0) / total)).collect()
    }

    /// All means at coupling K.
    pub fn moments(&self, coupling: f64) -> Moments {
        let sites = self.torus.sites() as f64;
        let ground = -(self.torus.bonds() as i64);
        let weight = |energy: i64| (-coupling * (energy - ground) as f64).exp();
        let total: f64 = self.counts.iter().map(|(&(energy, _), &count)| count as f64 * weight(energy)).sum();
        let law = self.joint_law(coupling);
        let mean = |value: &dyn Fn(f64, f64) -> f64| law.iter().map(|(&(e, m), &p)| p * value(e as f64, m as f64)).sum::<f64>();

        // The energy is measured from the ground state: the variance is then relatively exact even where nearly every spin is aligned.
        let excess = mean(&|energy, _| energy - ground as f64);
        let squared = mean(&|_, magnetization| (magnetization / sites).powi(2));
        let fourth = mean(&|_, magnetization| (magnetization / sites).powi(4));
        // The cosines add to zero, so that c(x)^2 may be subtracted: what is left vanishes where all columns are equal, without rounding.
        let wave = 2.0 * std::f64::consts::PI / self.torus.side() as f64;
        let structure = self.column_correlations.iter().map(|(&energy, sums)| {
            let terms = sums.iter().enumerate().map(|(distance, &sum)| (sum - sums[0]) as f64 * (wave * distance as f64).cos());
            weight(energy) / total * terms.sum::<f64>()
        });
        Moments {
            log_partition_function: total.ln() - coupling * ground as f64,
            energy: ground as f64 + excess,
            energy_variance: mean(&|energy, _| (energy - ground as f64 - excess).powi(2)),
            magnetic: MagneticMoments {
                absolute_magnetization: mean(&|_, magnetization| (magnetization / sites).abs()),
                magnetization_squared: squared,
                binder_cumulant: 1.0 - fourth / (3.0 * squared * squared),
                structure_factor: structure.sum::<f64>() / sites,
            },
        }
    }
}

/// The probability of every (E, M) of a torus of at most 27 sites at coupling K: what a correct sampler must draw from.
///
/// # Panics
/// If the torus has more than 27 sites.
pub fn joint_law(torus: impl Into<Torus>, coupling: f64) -> BTreeMap<(i64, i64), f64> {
    Census::of(torus).joint_law(coupling)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lattice::{Geometry, SquareTorus};

    /// 2^27 states, against numbers that were found by another program (a plain loop in C).
    #[test]
    fn the_cubic_torus_of_side_three() {
        let census = Census::of(Torus::new(Geometry::Cubic, 3).expect("a valid side"));
        let density = census.density_of_states();
        for (energy, count) in [(-81, 2), (-69, 54), (-61, 162), (-57, 594), (-53, 648), (-49, 3402)] {
            assert_eq!(density[&energy], count);
        }
        assert_eq!(density.values().sum::<u128>(), 1 << 27);
        for (coupling, energy, heat, absolute, squared, binder) in [
            (0.2, -1.113672542712, 0.534832191458, 0.483297682277, 0.305221930962, 0.411834135416),
            (0.221654626, -1.434444011468, 0.785430922107, 0.590826099993, 0.423002115744, 0.501322950249),
        ] {
            let found = census.moments(coupling);
            let close = |one: f64, other: f64| assert!((one - other).abs() < 2e-12, "K = {coupling}: {one} {other}");
            close(found.energy / 27.0, energy);
            close(coupling * coupling * found.energy_variance / 27.0, heat);
            close(found.magnetic.absolute_magnetization, absolute);
            close(found.magnetic.magnetization_squared, squared);
            close(found.magnetic.binder_cumulant, binder);
        }
        assert!((census.moments(0.221654626).log_partition_function / 27.0 - 0.802821976550).abs() < 2e-12);
    }

    #[test]
    fn rings_are_counted_too() {
        for sides in 3..=12 {
            let census = Census::of(Torus::new(Geometry::Chain, sides).expect("a valid side"));
            for coupling in [0.0, 0.3, 1.0] {
                let (found, known) = (census.moments(coupling), super::super::chain(Some(sides), coupling));
                let sites = sides as f64;
                assert!((found.log_partition_function / sites - known.log_partition_function_per_site).abs() < 1e-13);
                assert!((found.energy / sites - known.energy_per_site).abs() < 1e-13);
                assert!((found.magnetic.magnetization_squared * sites - known.susceptibility.expect("finite")).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn the_gray_code_counts_what_a_plain_loop_counts() {
        let torus = SquareTorus::new(3).expect("a valid side");
        let mut counts = BTreeMap::new();
        for configuration in 0u32..1 << 9 {
            let spin = |site: usize| if configuration >> site & 1 == 1 { 1i64 } else { -1 };
            let magnetization: i64 = (0..9).map(spin).sum();
            let energy: i64 = (0..9).map(|site| -spin(site) * (spin(torus.neighbours(site)[0]) + spin(torus.neighbours(site)[2]))).sum();
            *counts.entry((energy, magnetization)).or_insert(0u64) += 1;
        }
        assert_eq!(Census::of(torus).counts, counts);
    }

    #[test]
    fn the_law_is_normalized_and_symmetric() {
        let law = joint_law(SquareTorus::new(4).expect("a valid side"), 0.3);
        assert!((law.values().sum::<f64>() - 1.0).abs() < 1e-14);
        for (&(energy, magnetization), &probability) in &law {
            assert_eq!(law[&(energy, -magnetization)], probability);
        }
    }
}
