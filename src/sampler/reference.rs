//! Samplers that move one spin at a time, written for the eye: slow, plain, and by another hand than the kernels. They share the definition of the
//! random numbers with the fast samplers, so that the tests ask for the same chain, not for a similar one.

pub mod domains;
pub mod local_update;
pub mod replicas;
pub mod swendsen_wang;
pub mod torus_swendsen_wang;
pub mod wolff;

pub use local_update::LocalUpdate;

/// The Metropolis chain.
pub type Metropolis = LocalUpdate<crate::kernels::metropolis::Metropolis>;
/// The heat-bath chain.
pub type HeatBath = LocalUpdate<crate::kernels::heat_bath::HeatBath>;

use crate::lattice::Torus;
use crate::measure::Measurement;
use crate::spins::Configuration;

/// The spins +1 and -1, one a site.
fn unpacked(configuration: &Configuration) -> Vec<i8> {
    (0..configuration.torus().sites()).map(|site| configuration.spin(site) as i8).collect()
}

/// The configuration of such spins.
fn packed(torus: impl Into<Torus>, spins: &[i8]) -> Configuration {
    let mut configuration = Configuration::all_down(torus);
    for (site, &spin) in spins.iter().enumerate() {
        configuration.set(site, spin > 0);
    }
    configuration
}

/// Energy and magnetization, bond by bond and spin by spin.
fn count(configuration: &Configuration) -> Measurement {
    Measurement { energy: configuration.energy(), magnetization: configuration.magnetization() }
}

/// The root of the tree of a place, in a forest where a root is its own parent.
fn root(parents: &[usize], mut place: usize) -> usize {
    while parents[place] != place {
        place = parents[place];
    }
    place
}
