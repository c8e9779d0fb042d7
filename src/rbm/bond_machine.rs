//! The machine that is the Ising model: one hidden unit a bond. It is the oracle of everything that samples or weighs a machine, because Kaufman's solution gives its
//! energies and its partition function on lattices where nothing can be enumerated.
//!
//! A hidden spin with the coupling a to both ends of a bond gives Tr_h e^(a h (s + s')) = 2 cosh(a (s + s')) = 2 e^K e^(K s s') if cosh 2a = e^(2K). In 0/1 units
//! (s = 2v - 1) a h (s + s') becomes the weight 4a on both ends, the hidden bias -4a, the visible bias -2a for each bond at the spin, and 2a that no parameter
//! holds.

use super::Rbm;
use crate::elementary::{exponential_less_one, inverse_hyperbolic_sine};
use crate::error::{Error, Result};
use crate::lattice::SquareTorus;

/// The weight a(K) of a hidden spin that carries one Ising bond: cosh 2a = e^(2K). Written as sinh^2 a = (e^(2K) - 1) / 2, which keeps its digits at small K.
pub fn bond_weight(coupling: f64) -> f64 {
    inverse_hyperbolic_sine((exponential_less_one(2.0 * coupling) / 2.0).sqrt())
}

/// ln Z_machine - ln Z_Ising = H(v) - H^RBM\[v\] of the bond machine in 0/1 units: ln 2 + K a bond for spins +-1, less the 2a that the units leave out.
pub fn bond_machine_constant(bonds: usize, coupling: f64) -> f64 {
    bonds as f64 * (std::f64::consts::LN_2 + coupling - 2.0 * bond_weight(coupling))
}

/// The bond machine of a square torus at the coupling K, N visible and 2N hidden units: hidden unit 2 i carries the bond from site i to the right, 2 i + 1 the one down.
/// Its weight is rounded to single precision and all biases are multiples of it by powers of two, so that it is exactly an Ising model at a coupling within 1e-7 of K.
///
/// # Errors
/// [`Error::Usage`] if the coupling is negative, not finite, or too large for single precision.
pub fn torus_machine(torus: SquareTorus, coupling: f64) -> Result<Rbm> {
    let weight = bond_weight(coupling) as f32;
    if !(weight.is_finite() && coupling >= 0.0) {
        return Err(Error::Usage(format!("a bond machine carries ferromagnetic couplings, not {coupling}: give a number from 0 to 100")));
    }
    let mut rbm = Rbm::zero(torus.sites(), torus.bonds());
    for site in 0..torus.sites() {
        let [right, _, down, _] = torus.neighbours(site);
        for (bond, other) in [(2 * site, right), (2 * site + 1, down)] {
            for end in [site, other] {
                rbm.weights.row_mut(end)[bond] = 4.0 * weight;
            }
        }
    }
    rbm.hidden_bias.fill(-4.0 * weight);
    rbm.visible_bias.fill(-8.0 * weight);
    Ok(rbm)
}
