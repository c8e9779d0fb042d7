//! What is known exactly of a finite lattice of any kind, in the words of a report: one option for each observable.

use super::enumeration::Census;
use super::{chain, cubic, ring, square};
use crate::lattice::{Geometry, Torus};
use std::f64::consts::PI;
use std::sync::OnceLock;

/// The exact values of one lattice at one coupling. What no method here reaches is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize)]
pub struct Reference {
    /// ln Z / N.
    pub log_partition_function_per_site: Option<f64>,
    /// `<E>/N`, in units of J.
    pub energy_per_site: Option<f64>,
    /// `K^2 (<E^2> - <E>^2)/N`, in units of k_B.
    pub specific_heat_per_site: Option<f64>,
    /// `<abs(M)>/N`.
    pub absolute_magnetization: Option<f64>,
    /// `<M^2>/N^2`.
    pub magnetization_squared: Option<f64>,
    /// `<M^2>/N`.
    pub susceptibility: Option<f64>,
    /// `1 - <M^4>/(3 <M^2>^2)`.
    pub binder_cumulant: Option<f64>,
    /// Second-moment correlation length over L.
    pub correlation_length_over_side: Option<f64>,
}

/// xi / L = sqrt(chi / F - 1) / (2 L sin(pi / L)), where that is a number.
fn length(side: usize, susceptibility: f64, structure_factor: f64) -> Option<f64> {
    let side = side as f64;
    let ratio = (susceptibility / structure_factor - 1.0).max(0.0).sqrt() / (2.0 * side * (PI / side).sin());
    ratio.is_finite().then_some(ratio)
}

/// The exact values of the lattice of side `side` at K = `coupling`, finite and not negative. Chains are known whole up to [`ring::LONGEST`] spins, in energy and susceptibility beyond; square tori
/// as [`square`] says; the cubic torus of side 3 by enumeration (a second, once), that of side 4 but for what needs more than two layers (a second or two), larger ones not at all.
pub fn reference(geometry: Geometry, side: usize, coupling: f64) -> Reference {
    match geometry {
        Geometry::Square => {
            let known = square(side, coupling);
            Reference {
                log_partition_function_per_site: Some(known.log_partition_function_per_site),
                energy_per_site: Some(known.energy_per_site),
                specific_heat_per_site: Some(known.specific_heat_per_site),
                absolute_magnetization: known.absolute_magnetization,
                magnetization_squared: known.magnetization_squared,
                susceptibility: known.susceptibility,
                binder_cumulant: known.binder_cumulant,
                correlation_length_over_side: known.correlation_length_over_side,
            }
        }
        Geometry::Chain => of_chain(side, coupling),
        Geometry::Cubic => of_cube(side, coupling),
    }
}

fn of_chain(side: usize, coupling: f64) -> Reference {
    let known = chain(Some(side), coupling);
    let magnetic = (side <= ring::LONGEST).then(|| ring::magnetic_moments(side, coupling));
    Reference {
        log_partition_function_per_site: Some(known.log_partition_function_per_site),
        energy_per_site: Some(known.energy_per_site),
        specific_heat_per_site: Some(known.specific_heat_per_site),
        absolute_magnetization: magnetic.map(|moments| moments.absolute_magnetization),
        magnetization_squared: known.susceptibility.map(|susceptibility| susceptibility / side as f64),
        susceptibility: known.susceptibility,
        binder_cumulant: magnetic.map(|moments| moments.binder_cumulant),
        correlation_length_over_side: known.susceptibility.and_then(|chi| length(side, chi, magnetic?.structure_factor)),
    }
}

fn of_cube(side: usize, coupling: f64) -> Reference {
    static THREE: OnceLock<Option<Census>> = OnceLock::new();
    let sites = side.pow(3) as f64;
    match side {
        3 => THREE.get_or_init(|| Torus::new(Geometry::Cubic, 3).ok().map(Census::of)).as_ref().map_or_else(Reference::default, |census| {
            let moments = census.moments(coupling);
            let magnetic = moments.magnetic;
            let susceptibility = magnetic.magnetization_squared * sites;
            Reference {
                log_partition_function_per_site: Some(moments.log_partition_function / sites),
                energy_per_site: Some(moments.energy / sites),
                specific_heat_per_site: Some(coupling * coupling * moments.energy_variance / sites),
                absolute_magnetization: Some(magnetic.absolute_magnetization),
                magnetization_squared: Some(magnetic.magnetization_squared),
                susceptibility: Some(susceptibility),
                binder_cumulant: Some(magnetic.binder_cumulant),
                correlation_length_over_side: length(side, susceptibility, magnetic.structure_factor),
            }
        }),
        cubic::SIDE => {
            let known = cubic::four(coupling);
            let susceptibility = known.magnetization_squared * sites;
            Reference {
                log_partition_function_per_site: Some(known.log_partition_function_per_site),
                energy_per_site: Some(known.energy_per_site),
                magnetization_squared: Some(known.magnetization_squared),
                susceptibility: Some(susceptibility),
                correlation_length_over_side: length(side, susceptibility, known.structure_factor),
                ..Reference::default()
            }
        }
        _ => Reference::default(),
    }
}
