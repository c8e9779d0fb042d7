//! Decimation of the Ising chain: the renormalization step that is exact, and the network it is (arXiv:1410.3831, Sec. IV.A and Fig. 2).
//!
//! Summing over every other spin of a chain of coupling J leaves a chain of coupling J' with tanh J' = tanh^2 J (Eq. 24). Here that is a layer of a network:
//! the visible spins are the ones traced, each joined to its two hidden neighbours, E = -J sum v_i (h_i + h_(i+1)); the marginal of the hidden spins is the
//! chain of J', and each traced spin leaves a constant in the free energy. The couplings of the layers are the flow, their constants add up to ln Z. [`trained`] sets a
//! stack beside it that has learned the same chain from samples.

pub mod trained;

use super::couplings::machine::{Neighbourhood, TracedMachine};
use super::mapping::VariationalStep;
use crate::error::{Error, Result};
use crate::rbm::ExactRbm;

/// J' = 1/2 ln cosh 2J after one decimation, the same as tanh J' = tanh^2 J (Eq. 24). Keeps its digits for weak and for strong couplings.
///
/// ```
/// let decimated = kadanoff::rg::decimation::decimated_coupling(1.0);
/// assert!((decimated.tanh() - 1f64.tanh().powi(2)).abs() < 1e-15);
/// ```
pub fn decimated_coupling(coupling: f64) -> f64 {
    log_cosh(2.0 * coupling) / 2.0
}

/// The couplings J^(0), J^(1), ..., J^(steps): towards the stable fixed point 0 from any finite J.
pub fn flow(coupling: f64, steps: usize) -> Vec<f64> {
    std::iter::successors(Some(coupling), |&coupling| Some(decimated_coupling(coupling))).take(steps + 1).collect()
}

/// What a traced spin adds to ln Z: ln 2 + 1/2 ln cosh 2J.
pub fn traced_spin_constant(coupling: f64) -> f64 {
    std::f64::consts::LN_2 + decimated_coupling(coupling)
}

/// ln cosh x; for small x from cosh^2 = 1 + sinh^2, which does not subtract numbers near each other.
fn log_cosh(x: f64) -> f64 {
    let x = x.abs();
    if x < 1.0 { x.sinh().powi(2).ln_1p() / 2.0 } else { x + (-2.0 * x).exp().ln_1p() - std::f64::consts::LN_2 }
}

/// One layer of Fig. 2: a ring of spins, half of them traced.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DecimationLayer {
    /// Spins of the ring before the step, an even number.
    pub sites: usize,
    /// J^(n), the coupling before the step: between a traced (visible) and a kept (hidden) spin.
    pub coupling: f64,
    /// J^(n+1), the coupling between the kept spins.
    pub decimated_coupling: f64,
    /// What the traced spins add to ln Z: sites / 2 times [`traced_spin_constant`].
    pub log_constant: f64,
}

impl DecimationLayer {
    /// The layer that decimates a ring of `sites` spins of coupling J.
    ///
    /// # Errors
    /// [`Error::Usage`] if the number of spins is odd or 0 or the coupling is not finite.
    pub fn new(sites: usize, coupling: f64) -> Result<Self> {
        if sites == 0 || !sites.is_multiple_of(2) {
            return Err(Error::Usage(format!("a ring of {sites} spins cannot lose every other one: give an even number")));
        }
        if !coupling.is_finite() {
            return Err(Error::Usage(format!("the coupling of a ring must be a finite number, not {coupling}")));
        }
        let log_constant = (sites / 2) as f64 * traced_spin_constant(coupling);
        Ok(DecimationLayer { sites, coupling, decimated_coupling: decimated_coupling(coupling), log_constant })
    }

    /// The number of spins kept.
    pub fn kept(&self) -> usize {
        self.sites / 2
    }

    /// Weights (row-major \[visible\]\[hidden\]), visible and hidden biases of the layer, for 0/1 units: see [`Self::machine`].
    pub fn parameters(&self) -> [Vec<f64>; 3] {
        let units = self.kept();
        let mut weights = vec![0.0; units * units];
        for traced in 0..units {
            weights[traced * units + traced] += 4.0 * self.coupling;
            weights[traced * units + (traced + 1) % units] += 4.0 * self.coupling;
        }
        [weights, vec![-4.0 * self.coupling; units], vec![-4.0 * self.coupling; units]]
    }

    /// How far the Hamiltonian of the kept spins, with the traced ones summed out of the weights as they are written down, is from the decimated chain: the largest difference of a
    /// field, a pair coupling at distance 1, 2 or 3, or a coupling of three or four neighbours. Exact for any number of spins, because a traced spin sees two others only.
    /// Rings of fewer than 3 kept spins have their bonds on top of each other: then the pair carries both.
    ///
    /// # Errors
    /// None in practice: two spins are summed over.
    pub fn marginal_difference(&self) -> Result<f64> {
        let kept = self.kept();
        let [weights, visible, hidden] = self.parameters();
        let traced = TracedMachine::of_hidden(kept, &weights, &visible, &hidden);
        let mut largest = 0f64;
        let groups: [&[usize]; 6] = [&[0], &[0, 1], &[0, 2], &[0, 3], &[0, 1, 2], &[0, 1, 2, 3]];
        for group in groups.into_iter().filter(|group| group.iter().all(|&spin| spin < kept)) {
            let bonds = match group {
                [0, other] => usize::from(*other == 1) + usize::from(*other + 1 == kept),
                _ => 0,
            };
            let found = traced.coupling(group, Neighbourhood::Exact, 0.0)?;
            largest = largest.max((found - bonds as f64 * self.decimated_coupling).abs());
        }
        Ok(largest)
    }

    /// The layer as a machine of 0/1 units: visible unit i is the spin between the hidden units i and i + 1. J v (h + h') for spins +-1 becomes W = 4J on
    /// both, visible and hidden biases -4J, and 2J a visible unit that no parameter holds: ln Z_machine = ln Z_ring - 2J sites / 2.
    ///
    /// # Errors
    /// [`Error::Usage`] beyond 48 spins, which no one enumerates.
    pub fn machine(&self) -> Result<ExactRbm> {
        let [weights, visible, hidden] = self.parameters();
        ExactRbm::new(self.kept(), self.kept(), weights, visible, hidden)
    }

    /// The same step as an operator of Kadanoff's on the whole ring: h_j is the spin 2j of the ring, e^T = 1 where that is so for every j and 0 otherwise. It
    /// satisfies the trace condition (Eq. 9), and its coarse Hamiltonian is the chain of J' less the constant.
    ///
    /// # Errors
    /// [`Error::Usage`] if ring and kept spins together are too many to enumerate.
    pub fn projection(&self) -> Result<VariationalStep<'static>> {
        let kept = self.kept();
        let keeps = move |v: u64, h: u64| (0..kept).all(|j| v >> (2 * j) & 1 == h >> j & 1);
        let hamiltonian = super::mapping::examples::ring_hamiltonian(self.sites, self.coupling);
        VariationalStep::from_operator(self.sites, kept, move |v, h| if keeps(v, h) { 0.0 } else { f64::NEG_INFINITY }, hamiltonian)
    }
}

/// Fig. 2: the layers that decimate a ring of coupling J as long as its number of spins is even. A ring of 2 has two bonds between its spins, and of 1 one bond
/// of the spin with itself.
///
/// # Errors
/// [`Error::Usage`] if there are no spins or the coupling is not finite.
pub fn decimation_network(sites: usize, coupling: f64) -> Result<Vec<DecimationLayer>> {
    if sites == 0 || !coupling.is_finite() {
        return Err(Error::Usage(format!(
            "a ring of {sites} spins of coupling {coupling} cannot be decimated: give spins and a finite coupling"
        )));
    }
    let mut layers: Vec<DecimationLayer> = Vec::new();
    let (mut sites, mut coupling) = (sites, coupling);
    while sites.is_multiple_of(2) {
        let layer = DecimationLayer::new(sites, coupling)?;
        (sites, coupling) = (layer.kept(), layer.decimated_coupling);
        layers.push(layer);
    }
    Ok(layers)
}

/// ln Z of a ring of 2^n spins, gathered from the layers of its network: the constants of all traced spins, and ln 2 + J^(n) for the last spin alone.
///
/// # Errors
/// [`Error::Usage`] if the number of spins is not a power of two or the coupling is not finite.
pub fn log_partition_function(sites: usize, coupling: f64) -> Result<f64> {
    if !sites.is_power_of_two() {
        return Err(Error::Usage(format!("a ring of {sites} spins does not decimate to a single spin: give a power of two")));
    }
    let layers = decimation_network(sites, coupling)?;
    let last = layers.last().map_or(coupling, |layer| layer.decimated_coupling);
    Ok(layers.iter().map(|layer| layer.log_constant).sum::<f64>() + std::f64::consts::LN_2 + last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rg::couplings::spin_couplings;
    use crate::rg::mapping::examples::ring_hamiltonian;
    use crate::rg::mapping::log_sum;

    /// The transfer matrix: Z = (2 cosh J)^N + (2 sinh J)^N.
    fn transfer_matrix(sites: usize, coupling: f64) -> f64 {
        let sites = sites as f64;
        sites * (2.0 * coupling.cosh()).ln() + coupling.tanh().powf(sites).ln_1p()
    }

    #[test]
    fn the_flow_is_the_one_of_the_literature() {
        for (start, values) in [
            (1.0, vec![0.6625013737, 0.3500611389, 0.1136720675, 0.0128115420]),
            (2.0, vec![1.653594113, 1.307690549, 0.963784553, 0.6276858086, 0.3201516211]),
            (0.5, vec![0.2168904152, 0.04563622604]),
        ] {
            let flow = flow(start, values.len());
            assert_eq!(flow[0], start);
            for (found, expected) in flow[1..].iter().zip(values) {
                assert!((found - expected).abs() < 1e-9, "{found} and {expected}");
            }
        }
        let four = flow(1.0, 4);
        for (found, expected) in four[1..].iter().zip([0.6625013737, 0.3500611389, 0.1136720675, 0.0128115420]) {
            assert!((found - expected).abs() < 1e-10);
        }
    }

    #[test]
    fn the_coupling_keeps_its_digits_everywhere() {
        // tanh J' = tanh^2 J; for J = 10^-8 that is 10^-16 to the last digit, for J = 300 it is J - ln 2 / 2. Fixed points 0 and infinity.
        for coupling in [1e-8, 1e-3, 0.1, 0.4999, 0.5001, 1.0, 3.0] {
            let (found, expected) = (decimated_coupling(coupling).tanh(), coupling.tanh().powi(2));
            assert!((found / expected - 1.0).abs() < 1e-14, "J = {coupling}: {found} and {expected}");
        }
        assert!((decimated_coupling(300.0) - (300.0 - std::f64::consts::LN_2 / 2.0)).abs() < 1e-13);
        assert_eq!((decimated_coupling(0.0), decimated_coupling(f64::INFINITY)), (0.0, f64::INFINITY));
        assert_eq!(decimated_coupling(-0.7), decimated_coupling(0.7));
    }

    #[test]
    fn the_free_energy_is_kept_layer_by_layer() {
        let total = log_partition_function(64, 1.0).unwrap();
        assert!((total - 72.1233927336848).abs() < 1e-12 * 72.0, "{total}");
        for sites in [2, 8, 64, 1024] {
            for coupling in [0.01, 0.408, 1.0, 2.5] {
                let layer = DecimationLayer::new(sites, coupling).unwrap();
                let (before, after) = (transfer_matrix(sites, coupling), transfer_matrix(sites / 2, layer.decimated_coupling));
                assert!((before - after - layer.log_constant).abs() < 1e-12 * before);
                assert!((log_partition_function(sites, coupling).unwrap() - before).abs() < 1e-12 * before);
            }
        }
        assert!(
            log_partition_function(12, 1.0).is_err() && decimation_network(0, 1.0).is_err() && DecimationLayer::new(6, f64::NAN).is_err()
        );
        assert_eq!(decimation_network(12, 1.0).unwrap().iter().map(|layer| layer.sites).collect::<Vec<_>>(), [12, 6]);
    }

    #[test]
    fn the_machine_of_a_layer_has_the_decimated_chain_as_its_marginal() {
        for (sites, coupling) in [(8, 1.0), (10, 0.408), (6, 0.01)] {
            let layer = DecimationLayer::new(sites, coupling).unwrap();
            let machine = layer.machine().unwrap();
            let dropped = 2.0 * coupling * layer.kept() as f64;
            let coarse = ring_hamiltonian(layer.kept(), layer.decimated_coupling);
            for h in 0..1 << layer.kept() {
                let difference = machine.hidden_hamiltonian(h) - dropped - (coarse(h) - layer.log_constant);
                assert!(difference.abs() < 1e-12, "N = {sites}, J = {coupling}, h = {h:b}: {difference}");
            }
            assert!((machine.log_partition_function() + dropped - transfer_matrix(sites, coupling)).abs() < 1e-12);
        }
    }

    #[test]
    fn the_weights_of_every_layer_of_a_ring_of_64_leave_the_decimated_chain() {
        let layers = decimation_network(64, 1.0).unwrap();
        assert_eq!(layers.iter().map(|layer| layer.sites).collect::<Vec<_>>(), [64, 32, 16, 8, 4, 2]);
        for layer in &layers {
            assert!(layer.marginal_difference().unwrap() < 1e-12, "{layer:?}");
            // A layer whose weights are 1 % too large is seen.
            let mutant = DecimationLayer { coupling: 1.01 * layer.coupling, ..*layer };
            assert!(layer.kept() == 1 || mutant.marginal_difference().unwrap() > 1e-4 * layer.decimated_coupling, "{layer:?}");
        }
    }

    #[test]
    fn decimation_is_a_variational_operator() {
        let layer = DecimationLayer::new(10, 0.8).unwrap();
        let step = layer.projection().unwrap();
        for v in 0..1 << 10 {
            assert_eq!(step.log_trace(v), 0.0);
        }
        let table: Vec<f64> = (0..32).map(|h| -step.renormalized_hamiltonian(h)).collect();
        for (subset, coupling) in spin_couplings(&table).into_iter().enumerate() {
            let is_bond = (0..5).any(|site| subset == 1 << site | 1 << ((site + 1) % 5));
            let expected = if subset == 0 {
                layer.log_constant
            } else if is_bond {
                layer.decimated_coupling
            } else {
                0.0
            };
            assert!((coupling - expected).abs() < 1e-13, "subset {subset:05b}: {coupling} and {expected}");
        }
        let summary = step.summary();
        assert!(summary.hamiltonian_difference < 1e-13 && summary.free_energy_difference.abs() < 1e-12);
        assert!(summary.divergence.abs() < 1e-12 && summary.trace_violation < 1e-24);
        assert!((log_sum(table.into_iter()) - transfer_matrix(10, 0.8)).abs() < 1e-12);
    }
}
