//! The number of configurations of every energy, g(E), in exact integers (P. D. Beale, Phys. Rev. Lett. 76, 78 (1996) gives the same from Kaufman's solution; here
//! it comes from the transfer matrix, which needs no multiple precision up to side 10).

use super::kaufman::Torus;
use super::transfer_matrix::{LARGEST_SIDE, row_classes, shift, torus_polynomial, unequal_neighbours};
use std::collections::BTreeMap;

/// g(E) of the torus of side 3 to 10, E in units of J; energies without a configuration are left out. The sum is 2^N. Side 8 takes a fraction of a second.
///
/// # Panics
/// If the side is outside 3..=10.
pub fn density_of_states(side: usize) -> BTreeMap<i64, u128> {
    assert!((3..=LARGEST_SIDE).contains(&side), "no density of states of side {side}");
    let bonds = 2 * side * side;
    // Coefficient u counts the configurations with u unequal pairs of neighbours: E = -2N + 2u.
    let bond = |one: &mut [u128], other: &mut [u128]| {
        for power in (1..one.len()).rev() {
            (one[power], other[power]) = (one[power] + other[power - 1], other[power] + one[power - 1]);
        }
    };
    let along = |row: usize, polynomial: &mut [u128]| shift(polynomial, unequal_neighbours(side, row));
    let mut counts = vec![0u128; bonds + 1];
    for (first, class) in row_classes(side) {
        let polynomial = torus_polynomial(side, first, bonds + 1, 1, bond, along);
        counts.iter_mut().zip(polynomial).for_each(|(count, coefficient)| *count += u128::from(class) * coefficient);
    }
    let energies = counts.into_iter().enumerate().filter(|&(_, count)| count > 0);
    energies.map(|(unequal, count)| (2 * unequal as i64 - bonds as i64, count)).collect()
}

/// ln Z / N, energy and specific heat of a torus of side `side` from its density of states. All terms are positive and energies are counted from the ground state, so
/// that the specific heat keeps its digits at any temperature.
pub fn torus(side: usize, density: &BTreeMap<i64, u128>, coupling: f64) -> Torus {
    let sites = (side * side) as f64;
    let sum = |value: &dyn Fn(f64) -> f64| {
        let term = |(&energy, &count): (&i64, &u128)| {
            let excess = energy as f64 + 2.0 * sites;
            count as f64 * (-coupling * excess).exp() * value(excess)
        };
        density.iter().map(term).sum::<f64>()
    };
    let total = sum(&|_| 1.0);
    let mean = sum(&|excess| excess) / total;
    let variance = sum(&|excess| (excess - mean).powi(2)) / total;
    Torus {
        log_partition_function_per_site: total.ln() / sites + 2.0 * coupling,
        energy_per_site: mean / sites - 2.0,
        // Far in the cold nothing fluctuates; K^2 alone might exceed the largest number.
        specific_heat_per_site: if variance > 0.0 { coupling * coupling * variance / sites } else { 0.0 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exact::enumeration::Census;
    use crate::exact::kaufman;
    use crate::lattice::SquareTorus;

    #[test]
    fn small_tori_count_like_enumeration() {
        for side in [3, 4] {
            let census = Census::of(SquareTorus::new(side).expect("a valid side"));
            assert_eq!(density_of_states(side), census.density_of_states(), "side {side}");
        }
    }

    #[test]
    fn the_sum_over_states_is_kaufmans() {
        for side in [3, 4, 5, 6] {
            let density = density_of_states(side);
            assert_eq!(density.values().sum::<u128>(), 1 << (side * side));
            for coupling in [1e-12, 1e-6, 1e-3, 0.1, 0.3, 0.4, 0.4406867935097715, 0.45, 0.6, 1.0, 1.5, 2.0, 2.9, 3.5, 5.1, 9.0] {
                let (formula, counted) = (kaufman::torus(side, side, coupling), torus(side, &density, coupling));
                let close = |value: f64, expected: f64, tolerance: f64| {
                    assert!((value - expected).abs() <= tolerance, "side {side}, K = {coupling}: {formula:?} {counted:?}");
                };
                close(formula.log_partition_function_per_site, counted.log_partition_function_per_site, 2e-15 * (1.0 + coupling));
                close(formula.energy_per_site, counted.energy_per_site, 1e-14);
                close(formula.specific_heat_per_site, counted.specific_heat_per_site, 1e-14 + 1e-14 * coupling * coupling);
                if coupling > 3.2 {
                    close(formula.specific_heat_per_site / counted.specific_heat_per_site, 1.0, 10.0 * (-4.0 * coupling).exp());
                }
            }
        }
    }
}
