//! The gold standards of the renormalization group that need no samples: what other schemes find for the square lattice, beside what is exact.
//!
//! [`migdal`] and [`triangular`] are recursions of one coupling; [`kadanoff`] is the variational scheme that arXiv:1410.3831 maps onto Boltzmann machines, on the
//! same type as they; [`tensor`] gives ln Z to many digits.

pub mod kadanoff;
pub mod migdal;
pub mod tensor;
pub mod triangular;

use crate::error::Result;

/// What a scheme finds for the critical point.
#[derive(Debug, Clone, PartialEq)]
pub struct Scheme {
    /// Its name, for people.
    pub name: String,
    /// The fixed point, for schemes of one coupling.
    pub coupling: Option<f64>,
    /// The exact critical coupling of its lattice.
    pub exact_coupling: Option<f64>,
    /// y_T = 1 / nu; exactly 1.
    pub thermal: f64,
    /// y_H; exactly 15/8.
    pub magnetic: Option<f64>,
}

/// All schemes, and the fixed points of the variational one.
///
/// # Errors
/// [`crate::error::Error::Bug`] if a fixed point is not found.
pub fn schemes() -> Result<(Vec<Scheme>, Vec<kadanoff::FixedPoint>)> {
    let fixed_points = vec![kadanoff::fixed_point(kadanoff::Branch::Symmetric)?, kadanoff::fixed_point(kadanoff::Branch::Asymmetric)?];
    let mut schemes: Vec<Scheme> = (2..=4).map(migdal::fixed_point).collect();
    schemes.push(migdal::infinitesimal());
    schemes.push(triangular::fixed_point()?);
    schemes.extend(fixed_points.iter().map(kadanoff::FixedPoint::scheme));
    Ok((schemes, fixed_points))
}

/// The zero of a function that is negative at `low` and positive at `high`, to the last bit.
fn bisect(mut low: f64, mut high: f64, function: impl Fn(f64) -> f64) -> f64 {
    for _ in 0..200 {
        let middle = (low + high) / 2.0;
        if function(middle) < 0.0 { low = middle } else { high = middle }
    }
    (low + high) / 2.0
}
