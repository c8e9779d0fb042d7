//! The exact mapping between variational renormalization and Boltzmann machines (P. Mehta and D. J. Schwab, arXiv:1410.3831), by enumeration.
//!
//! One step takes visible spins v with the Hamiltonian H(v) to hidden spins h. Kadanoff writes it with an operator T(v, h), the learner with an energy
//! E(v, h); they are two names of one thing, T = -E + H (Eq. 18), and so [`VariationalStep`] is one type: give it either, ask it for both. What follows:
//!
//! * H^RG\[h\] = -ln Tr_v e^(T - H) (Eq. 6) is H^RBM\[h\] = -ln Tr_v e^(-E), for any parameters, trained or not (Eq. 21);
//! * e^T = p(h | v) e^(H(v) - H^RBM\[v\]) (Eq. 22), so that Tr_h e^T = 1 for every v, the trace condition (Eq. 9), says that the machine has learned H exactly;
//! * Delta F = ln Z - ln Z_lambda and <Tr_h e^T>_P = Z_lambda / Z: the free energy alone is blind to the quality of the fit. The paper prints
//!   "Delta F = 0 if and only if Tr_h e^T = 1" (Eq. 8); only "if" is true. [`MappingSummary::trace_violation`] is what to look at.
//!
//! A state is a number: bit i is unit i. As spins, a set bit is +1 and a clear bit -1. Hamiltonians contain the temperature. [`examples`] has machines with
//! known answers, among them counterexamples to what one might read into the mapping.

pub mod examples;
pub mod trained;

pub use examples::{NamedMapping, standard_mappings};

use crate::error::{Error, Result};
use crate::rbm::ExactRbm;

/// The most units of both layers together: 2^26 pairs of states.
pub const ENUMERABLE_UNITS: usize = 26;

type Joint<'a> = Box<dyn Fn(u64, u64) -> f64 + 'a>;

/// The one function of (v, h) that defines the step; the other follows from Eq. 18.
enum Given<'a> {
    Energy(Joint<'a>),
    Operator(Joint<'a>),
}

/// A renormalization step in Kadanoff's sense, which is a Boltzmann machine and the law it was meant for.
///
/// One hidden spin that copies the first of two visible spins satisfies the trace condition, and the machine it is fits the data perfectly:
///
/// ```
/// use kadanoff::rg::mapping::{VariationalStep, examples::ring_hamiltonian};
/// let copies = |v: u64, h: u64| if v & 1 == h { 0.0 } else { f64::NEG_INFINITY };
/// let step = VariationalStep::from_operator(2, 1, copies, ring_hamiltonian(2, 0.5))?;
/// assert_eq!(step.log_trace(0b01), 0.0);
/// assert!(step.summary().divergence.abs() < 1e-15);
/// # Ok::<(), kadanoff::error::Error>(())
/// ```
pub struct VariationalStep<'a> {
    visible: usize,
    hidden: usize,
    hamiltonian: Box<dyn Fn(u64) -> f64 + 'a>,
    given: Given<'a>,
}

/// What enumeration says about one step. All logarithms are natural.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct MappingSummary {
    /// Largest |H^RG\[h\] - H^RBM\[h\]| over all h.
    pub hamiltonian_difference: f64,
    /// ln Z of the data Hamiltonian.
    pub log_partition_function: f64,
    /// ln Z_lambda of the machine.
    pub machine_log_partition_function: f64,
    /// Delta F = F^h - F^v, from H^RG and H; it is ln Z - ln Z_lambda.
    pub free_energy_difference: f64,
    /// Kullback-Leibler divergence of the machine from the data law, in nats.
    pub divergence: f64,
    /// Mean of Tr_h e^T over the data law; it is Z_lambda / Z.
    pub mean_trace: f64,
    /// Variance of ln Tr_h e^T = H - H^RBM\[v\] over the data law: the honest violation of the trace condition, 0 only for a perfect machine.
    pub trace_violation: f64,
}

impl<'a> VariationalStep<'a> {
    /// The step of a Boltzmann machine with the energy E(v, h), p = e^(-E) / Z_lambda, for data of the Hamiltonian H(v), P = e^(-H) / Z.
    ///
    /// # Errors
    /// [`Error::Usage`] if `visible + hidden` is above [`ENUMERABLE_UNITS`].
    pub fn from_energy(
        visible: usize,
        hidden: usize,
        energy: impl Fn(u64, u64) -> f64 + 'a,
        hamiltonian: impl Fn(u64) -> f64 + 'a,
    ) -> Result<Self> {
        Self::new(visible, hidden, Given::Energy(Box::new(energy)), Box::new(hamiltonian))
    }

    /// The step of a variational operator T(v, h) of Kadanoff's. T may be minus infinity where h excludes v.
    ///
    /// # Errors
    /// [`Error::Usage`] if `visible + hidden` is above [`ENUMERABLE_UNITS`].
    pub fn from_operator(
        visible: usize,
        hidden: usize,
        operator: impl Fn(u64, u64) -> f64 + 'a,
        hamiltonian: impl Fn(u64) -> f64 + 'a,
    ) -> Result<Self> {
        Self::new(visible, hidden, Given::Operator(Box::new(operator)), Box::new(hamiltonian))
    }

    /// The step of a restricted Boltzmann machine.
    ///
    /// # Errors
    /// [`Error::Usage`] if it has more than [`ENUMERABLE_UNITS`] units.
    pub fn from_machine(machine: &'a ExactRbm, hamiltonian: impl Fn(u64) -> f64 + 'a) -> Result<Self> {
        Self::from_energy(machine.visible, machine.hidden, |v, h| machine.energy(v, h), hamiltonian)
    }

    fn new(visible: usize, hidden: usize, given: Given<'a>, hamiltonian: Box<dyn Fn(u64) -> f64 + 'a>) -> Result<Self> {
        if visible.saturating_add(hidden) > ENUMERABLE_UNITS {
            return Err(Error::Usage(format!(
                "a step from {visible} to {hidden} units has too many states to enumerate: use at most {ENUMERABLE_UNITS} units in both layers together"
            )));
        }
        Ok(VariationalStep { visible, hidden, hamiltonian, given })
    }

    /// The number of visible units.
    pub fn visible(&self) -> usize {
        self.visible
    }

    /// The number of hidden units.
    pub fn hidden(&self) -> usize {
        self.hidden
    }

    /// H(v), the Hamiltonian of the data.
    pub fn hamiltonian(&self, v: u64) -> f64 {
        (self.hamiltonian)(v)
    }

    /// E(v, h), the energy of the Boltzmann machine.
    pub fn energy(&self, v: u64, h: u64) -> f64 {
        match &self.given {
            Given::Energy(energy) => energy(v, h),
            Given::Operator(operator) => self.hamiltonian(v) - operator(v, h),
        }
    }

    /// T(v, h), the variational operator (Eq. 18).
    pub fn operator(&self, v: u64, h: u64) -> f64 {
        match &self.given {
            Given::Energy(energy) => self.hamiltonian(v) - energy(v, h),
            Given::Operator(operator) => operator(v, h),
        }
    }

    /// H^RG\[h\] = -ln Tr_v e^(T(v, h) - H(v)), the coarse Hamiltonian of the renormalization step (Eq. 6).
    pub fn renormalized_hamiltonian(&self, h: u64) -> f64 {
        -log_sum(self.visible_states().map(|v| self.operator(v, h) - self.hamiltonian(v)))
    }

    /// H^RBM\[h\] = -ln Tr_v e^(-E(v, h)): the hidden marginal of the machine is e^(-H^RBM) / Z_lambda.
    pub fn hidden_hamiltonian(&self, h: u64) -> f64 {
        -log_sum(self.visible_states().map(|v| -self.energy(v, h)))
    }

    /// H^RBM\[v\] = -ln Tr_h e^(-E(v, h)): the visible marginal of the machine is e^(-H^RBM) / Z_lambda.
    pub fn visible_hamiltonian(&self, v: u64) -> f64 {
        -log_sum(self.hidden_states().map(|h| -self.energy(v, h)))
    }

    /// ln Tr_h e^(T(v, h)); the trace condition (Eq. 9) is that this is 0 for every v.
    pub fn log_trace(&self, v: u64) -> f64 {
        log_sum(self.hidden_states().map(|h| self.operator(v, h)))
    }

    /// The mean of f(v) at a given h under the weights e^(T - H): for a Boltzmann machine `<f>_p(v | h)`. Derivatives of H^RG with its parameters are such means.
    pub fn conditional_mean(&self, h: u64, f: impl Fn(u64) -> f64) -> f64 {
        let coarse = self.renormalized_hamiltonian(h);
        let mut sum = Sum::default();
        self.visible_states().for_each(|v| sum.add(f(v) * (self.operator(v, h) - self.hamiltonian(v) + coarse).exp()));
        sum.value()
    }

    /// ln Z of the data Hamiltonian: minus the free energy F^v (Eq. 4).
    pub fn log_partition_function(&self) -> f64 {
        log_sum(self.visible_states().map(|v| -self.hamiltonian(v)))
    }

    /// ln Z_lambda of the machine.
    pub fn machine_log_partition_function(&self) -> f64 {
        log_sum(self.visible_states().map(|v| -self.visible_hamiltonian(v)))
    }

    /// The numbers of the mapping, each from its own definition by enumeration: four passes over all pairs of states.
    pub fn summary(&self) -> MappingSummary {
        let visible: Vec<f64> = self.visible_states().map(|v| self.visible_hamiltonian(v)).collect();
        let machine_log_partition_function = log_sum(visible.iter().map(|hamiltonian| -hamiltonian));
        self.summary_against(&|v| visible[v as usize], &|h| self.hidden_hamiltonian(h), machine_log_partition_function)
    }

    /// The summary with the marginals of the machine as given: for an RBM they have closed forms, which makes the comparison independent.
    fn summary_against(
        &self,
        visible_hamiltonian: &dyn Fn(u64) -> f64,
        hidden_hamiltonian: &dyn Fn(u64) -> f64,
        machine_log_partition_function: f64,
    ) -> MappingSummary {
        let log_partition_function = self.log_partition_function();
        let mut hamiltonian_difference = 0f64;
        let coarse: Vec<f64> = self.hidden_states().map(|h| self.renormalized_hamiltonian(h)).collect();
        for (h, renormalized) in coarse.iter().enumerate() {
            hamiltonian_difference = hamiltonian_difference.max((renormalized - hidden_hamiltonian(h as u64)).abs());
        }
        let coarse_free_energy = -log_sum(coarse.iter().map(|hamiltonian| -hamiltonian));

        let (mut divergence, mut mean_trace, mut mean_log_trace) = (Sum::default(), Sum::default(), Sum::default());
        let mut log_traces = Vec::with_capacity(1 << self.visible);
        for v in self.visible_states() {
            let log_probability = -self.hamiltonian(v) - log_partition_function;
            let log_trace = self.log_trace(v);
            divergence.add(log_probability.exp() * (log_probability + visible_hamiltonian(v) + machine_log_partition_function));
            mean_trace.add((log_probability + log_trace).exp());
            mean_log_trace.add(log_probability.exp() * log_trace);
            log_traces.push((log_probability.exp(), log_trace));
        }
        let mut trace_violation = Sum::default();
        for (probability, log_trace) in log_traces {
            trace_violation.add(probability * (log_trace - mean_log_trace.value()).powi(2));
        }
        MappingSummary {
            hamiltonian_difference,
            log_partition_function,
            machine_log_partition_function,
            free_energy_difference: coarse_free_energy + log_partition_function,
            divergence: divergence.value(),
            mean_trace: mean_trace.value(),
            trace_violation: trace_violation.value(),
        }
    }

    fn visible_states(&self) -> std::ops::Range<u64> {
        0..1 << self.visible
    }

    fn hidden_states(&self) -> std::ops::Range<u64> {
        0..1 << self.hidden
    }
}

/// The numbers of the mapping for a restricted Boltzmann machine and data of the Hamiltonian H(v). The side of the renormalization group is enumerated from
/// T and H, the side of the machine comes from its closed forms: two computations that meet.
///
/// # Errors
/// [`Error::Usage`] if the machine has more than [`ENUMERABLE_UNITS`] units.
pub fn summarize(machine: &ExactRbm, hamiltonian: &dyn Fn(u64) -> f64) -> Result<MappingSummary> {
    summarize_shifted(machine, 0.0, hamiltonian)
}

/// The same for the energy E(v, h) + `constant`: the parameters of a machine hold no constant, yet Delta F and the trace condition depend on it.
///
/// # Errors
/// [`Error::Usage`] if the machine has more than [`ENUMERABLE_UNITS`] units.
pub fn summarize_shifted(machine: &ExactRbm, constant: f64, hamiltonian: &dyn Fn(u64) -> f64) -> Result<MappingSummary> {
    let step = VariationalStep::from_energy(machine.visible, machine.hidden, |v, h| machine.energy(v, h) + constant, hamiltonian)?;
    Ok(step.summary_against(
        &|v| machine.visible_hamiltonian(v) + constant,
        &|h| machine.hidden_hamiltonian(h) + constant,
        machine.log_partition_function() - constant,
    ))
}

/// ln of the sum of e^x over the values, in one pass; minus infinity for none. Terms e^(-infinity) are nothing.
pub(crate) fn log_sum(values: impl Iterator<Item = f64>) -> f64 {
    let mut largest = f64::NEG_INFINITY;
    let mut sum = Sum::default();
    for value in values {
        if value > largest {
            sum = sum.scaled((largest - value).exp());
            largest = value;
        }
        if value > f64::NEG_INFINITY {
            sum.add((value - largest).exp());
        }
    }
    if largest == f64::NEG_INFINITY { largest } else { largest + sum.value().ln() }
}

/// A sum that keeps what rounding drops (Neumaier, ZAMM 54, 39 (1974)): millions of terms are as good as one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sum {
    sum: f64,
    dropped: f64,
}

impl Sum {
    pub(crate) fn add(&mut self, value: f64) {
        let total = self.sum + value;
        self.dropped += if self.sum.abs() >= value.abs() { (self.sum - total) + value } else { (value - total) + self.sum };
        self.sum = total;
    }

    fn scaled(self, factor: f64) -> Self {
        Sum { sum: self.sum * factor, dropped: self.dropped * factor }
    }

    pub(crate) fn value(self) -> f64 {
        self.sum + self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_summed_without_overflow() {
        assert_eq!(log_sum([].into_iter()), f64::NEG_INFINITY);
        assert_eq!(log_sum([f64::NEG_INFINITY, 2.0, f64::NEG_INFINITY].into_iter()), 2.0);
        assert!((log_sum([-1000.0, 1000.0, 1000.0].into_iter()) - (1000.0 + 2f64.ln())).abs() < 1e-12);
        // 10^6 equal terms, and as many that grow by e^(10^-4) each: the geometric series.
        assert!((log_sum((0..1_000_000).map(|_| 0.3)) - (0.3 + 1e6f64.ln())).abs() < 1e-14);
        let series = log_sum((0..1_000_000).map(|n| 1e-4 * f64::from(n)));
        assert!((series - (100.0 - 1e-4f64.exp_m1().ln())).abs() < 1e-12);
    }

    #[test]
    fn too_many_states_are_refused() {
        assert!(VariationalStep::from_energy(20, 7, |_, _| 0.0, |_| 0.0).is_err());
        assert!(VariationalStep::from_operator(usize::MAX, 7, |_, _| 0.0, |_| 0.0).is_err());
    }
}
