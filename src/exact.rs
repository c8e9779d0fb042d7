//! What is known exactly of the Ising model, to hold every other number of the program against.
//!
//! Read in this order: [`mod@chain`] (one dimension, and its decimation), [`ring`] (the whole law of a finite chain), [`enumeration`] (small tori, every configuration), [`transfer_matrix`] and
//! [`mod@density_of_states`] (tori up to side 10), [`kaufman`] and [`torus_correlation`] (tori of any side), [`onsager`] and [`row_correlation`] (the infinite lattice), [`thermometer`] (energies turned into couplings), [`cubic`] (the cubic
//! torus of side 4). [`square`] puts them together for the square lattice, [`reference`](mod@reference) for any lattice as a report wants it.
//!
//! Units: K = J / k_B T is the `coupling`, E = -sum s_i s_j over bonds in units of J, specific heat K^2 (`<E^2>` - `<E>^2`)/N in units of k_B.

pub mod chain;
pub mod cubic;
pub mod density_of_states;
pub mod enumeration;
pub mod kaufman;
pub mod onsager;
pub mod reference;
pub mod ring;
pub mod row_correlation;
pub mod thermometer;
pub mod torus_correlation;
pub mod transfer_matrix;

pub use chain::{ChainReference, chain};
pub use cubic::CubicReference;
pub use density_of_states::density_of_states;
pub use kaufman::{Peak, specific_heat_peak};
pub use onsager::{BulkReference, bulk, critical_coupling};
pub use reference::{Reference, reference};
pub use row_correlation::row_correlations;
pub use torus_correlation::torus_correlations;

use serde::Serialize;

/// Moments of the magnetization per site of a torus at one coupling.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MagneticMoments {
    /// `<abs(M)>/N`.
    pub absolute_magnetization: f64,
    /// `<M^2>/N^2`.
    pub magnetization_squared: f64,
    /// `1 - <M^4>/(3 <M^2>^2)`.
    pub binder_cumulant: f64,
    /// F = `<|sum_x s_x exp(i k x)|^2>/N` at k = 2 pi / L along an axis.
    pub structure_factor: f64,
}

impl MagneticMoments {
    /// The second-moment correlation length over L: sqrt(chi / F - 1) / (2 L sin(pi / L)) for side L, where chi = `<M^2>/N`. Infinite where F is too small a number.
    pub fn correlation_length_over_side(&self, side: usize) -> f64 {
        let side = side as f64;
        let susceptibility = self.magnetization_squared * side * side;
        (susceptibility / self.structure_factor - 1.0).max(0.0).sqrt() / (2.0 * side * (std::f64::consts::PI / side).sin())
    }
}

/// The exact values of an L x L torus at one coupling. What no method here reaches is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SquareReference {
    /// Side L.
    pub size: usize,
    /// K = J / k_B T.
    pub coupling: f64,
    /// ln Z / N.
    pub log_partition_function_per_site: f64,
    /// `<E>/N`, in units of J.
    pub energy_per_site: f64,
    /// `K^2 (<E^2> - <E>^2)/N`, in units of k_B.
    pub specific_heat_per_site: f64,
    /// (ln Z + K `<E>`)/N in nats: the least mean of -ln q(s) per site that any model q of the configurations can reach.
    pub entropy_per_site: f64,
    /// `<abs(M)>/N`; known up to L = 10, like all that follows.
    pub absolute_magnetization: Option<f64>,
    /// `<M^2>/N^2`.
    pub magnetization_squared: Option<f64>,
    /// `<M^2>/N`.
    pub susceptibility: Option<f64>,
    /// `1 - <M^4>/(3 <M^2>^2)`.
    pub binder_cumulant: Option<f64>,
    /// Second-moment correlation length over L; none where it exceeds the largest number.
    pub correlation_length_over_side: Option<f64>,
    /// The infinite lattice at the same coupling.
    pub bulk: BulkReference,
}

/// The exact values of the torus of side `side` >= 3 at K = `coupling`, finite and not negative. Sides 9 and 10 take up to seconds, all others much less.
pub fn square(side: usize, coupling: f64) -> SquareReference {
    let torus = if side < transfer_matrix::LARGEST_SIDE && coupling > kaufman::LOW_TEMPERATURE {
        density_of_states::torus(side, &density_of_states(side), coupling)
    } else {
        kaufman::torus(side, side, coupling)
    };
    let sites = (side * side) as f64;
    let magnetic = (side <= transfer_matrix::LARGEST_SIDE).then(|| transfer_matrix::magnetic_moments(side, coupling));
    SquareReference {
        size: side,
        coupling,
        log_partition_function_per_site: torus.log_partition_function_per_site,
        energy_per_site: torus.energy_per_site,
        specific_heat_per_site: torus.specific_heat_per_site,
        // ln Z / N and K e nearly cancel in the cold, where the entropy is that of the two ground states.
        entropy_per_site: (torus.log_partition_function_per_site + coupling * torus.energy_per_site).max(std::f64::consts::LN_2 / sites),
        absolute_magnetization: magnetic.map(|moments| moments.absolute_magnetization),
        magnetization_squared: magnetic.map(|moments| moments.magnetization_squared),
        susceptibility: magnetic.map(|moments| moments.magnetization_squared * sites),
        binder_cumulant: magnetic.map(|moments| moments.binder_cumulant),
        correlation_length_over_side: magnetic
            .map(|moments| moments.correlation_length_over_side(side))
            .filter(|length| length.is_finite()),
        bulk: bulk(coupling),
    }
}
