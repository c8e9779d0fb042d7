//! Small data laws, and machines whose mapping is known exactly: one that fits badly, two that warn, and one that is perfect.

use super::{MappingSummary, VariationalStep, log_sum, summarize, summarize_shifted};
use crate::error::{Error, Result};
use crate::lattice::SquareTorus;
use crate::rbm::ExactRbm;
pub use crate::rbm::bond_machine::{bond_machine_constant, bond_weight};

/// The numbers of the mapping and what they belong to.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct NamedMapping {
    /// The machine in words.
    pub name: String,
    /// Its numbers.
    #[serde(flatten)]
    pub summary: MappingSummary,
}

/// The bonds of a ring of spins: (i, i + 1 mod n).
pub fn ring_bonds(sites: usize) -> Vec<(usize, usize)> {
    (0..sites).map(|site| (site, (site + 1) % sites)).collect()
}

/// The bonds of the square torus, two a site: to the right and down.
pub fn torus_bonds(torus: SquareTorus) -> Vec<(usize, usize)> {
    (0..torus.sites())
        .flat_map(|site| {
            let [right, _, down, _] = torus.neighbours(site);
            [(site, right), (site, down)]
        })
        .collect()
}

/// The bonds of a square patch with open edges.
pub fn patch_bonds(side: usize) -> Vec<(usize, usize)> {
    let right = (0..side * side).filter(|site| site % side + 1 < side).map(|site| (site, site + 1));
    let down = (0..side * side).filter(|site| site / side + 1 < side).map(|site| (site, site + side));
    right.chain(down).collect()
}

/// H(v) = -K sum s_i s_j over the bonds (Eq. 3 with pair couplings only), on states of at most 64 spins.
pub fn bond_hamiltonian(bonds: Vec<(usize, usize)>, coupling: f64) -> impl Fn(u64) -> f64 {
    move |v| {
        let broken = bonds.iter().filter(|&&(one, other)| (v >> one ^ v >> other) & 1 == 1).count();
        -coupling * (bonds.len() as f64 - 2.0 * broken as f64)
    }
}

/// H(v) of a ring of `sites` Ising spins at the coupling K.
pub fn ring_hamiltonian(sites: usize, coupling: f64) -> impl Fn(u64) -> f64 {
    bond_hamiltonian(ring_bonds(sites), coupling)
}

/// H(v) of a small torus (side up to 8) of Ising spins at the coupling K.
pub fn torus_hamiltonian(torus: SquareTorus, coupling: f64) -> impl Fn(u64) -> f64 {
    bond_hamiltonian(torus_bonds(torus), coupling)
}

/// A machine of 4 visible and 2 hidden units with the paper's parameters w_ij = sin(1 + i + 2j) / 2, b = (0.1, -0.2), c_i = 0.05 (i - 1); it was never trained.
///
/// # Errors
/// None in practice: the shapes fit.
pub fn tiny_machine() -> Result<ExactRbm> {
    // The paper's parameters are the negatives of those of ExactRbm.
    let weights = (0..4).flat_map(|i| (0..2).map(move |j| -0.5 * f64::from(1 + i + 2 * j).sin())).collect();
    ExactRbm::new(4, 2, weights, (0..4).map(|i| -0.05 * (f64::from(i) - 1.0)).collect(), vec![-0.1, 0.2])
}

/// The machine that is the Ising model: one hidden unit a bond. In 0/1 units a h (s + s') becomes W = 4a on both ends, hidden bias -4a, visible bias -2a for
/// each bond at the spin, and 2a that no parameter holds (see [`bond_machine_constant`]).
///
/// # Errors
/// [`Error::Usage`] if the coupling is negative or not finite, or a bond leaves the lattice.
pub fn bond_machine(sites: usize, bonds: &[(usize, usize)], coupling: f64) -> Result<ExactRbm> {
    if !(coupling.is_finite() && coupling >= 0.0) {
        return Err(Error::Usage(format!("a bond machine carries ferromagnetic couplings, not {coupling}: give a number from 0")));
    }
    let weight = bond_weight(coupling);
    let mut weights = vec![0.0; sites * bonds.len()];
    let mut visible_bias = vec![0.0; sites];
    for (hidden, &(one, other)) in bonds.iter().enumerate() {
        for site in [one, other] {
            if site >= sites {
                return Err(Error::Usage(format!("the bond ({one}, {other}) leaves a lattice of {sites} sites: number the sites from 0")));
            }
            weights[site * bonds.len() + hidden] += 4.0 * weight;
            visible_bias[site] -= 2.0 * weight;
        }
    }
    ExactRbm::new(sites, bonds.len(), weights, visible_bias, vec![-4.0 * weight; bonds.len()])
}

/// The mapping of machines that can be enumerated in no time, for the report: an untrained machine, the two counterexamples, and the perfect machine of a
/// ring and of a patch of the square lattice at the paper's coupling 0.408.
///
/// # Errors
/// None in practice: every machine is small enough.
pub fn standard_mappings() -> Result<Vec<NamedMapping>> {
    let named = |name: &str, summary: MappingSummary| NamedMapping { name: name.to_string(), summary };
    let machine = tiny_machine()?;
    let ring = ring_hamiltonian(4, 0.4);
    let mut mappings = vec![named("untrained machine, 4 x 2 units, on a ring of 4 spins", summarize(&machine, &ring)?)];

    // Lin, Tegmark and Rolnick, arXiv:1608.08225: h has a law of its own and nothing to do with v, and yet Tr_h e^T = 1.
    let unrelated = ring_hamiltonian(4, 0.9);
    let constant = log_sum((0..16).map(|h| -unrelated(h)));
    let step = VariationalStep::from_energy(4, 4, |v, h| ring(v) + unrelated(h) + constant, &ring)?;
    mappings.push(named("hidden spins that ignore the visible ones: the trace condition holds, nothing is coarse-grained", step.summary()));

    // A constant in E changes no probability but sets Delta F to 0.
    let untrained = mappings[0].summary;
    let constant = untrained.machine_log_partition_function - untrained.log_partition_function;
    mappings.push(named(
        "untrained machine with a constant added to its energy: no free-energy difference, as bad a fit",
        summarize_shifted(&machine, constant, &ring)?,
    ));

    let coupling = 0.408;
    for (name, sites, bonds) in [
        ("one hidden unit a bond, ring of 8 spins: the exact machine", 8, ring_bonds(8)),
        ("one hidden unit a bond, open patch of 3 x 3 spins: the exact machine", 9, patch_bonds(3)),
    ] {
        let machine = bond_machine(sites, &bonds, coupling)?;
        let constant = bond_machine_constant(bonds.len(), coupling);
        mappings.push(named(name, summarize_shifted(&machine, constant, &bond_hamiltonian(bonds, coupling))?));
    }
    Ok(mappings)
}
