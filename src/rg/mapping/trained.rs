//! The mapping of a machine that was trained: too many units to enumerate both layers together, yet with a visible layer of which all states can be visited.

use super::{MappingSummary, Sum, log_sum};
use crate::error::{Error, Result};
use crate::rbm::ExactRbm;

/// The most visible units whose states are visited: 2^16 of them.
pub const MOST_VISIBLE: usize = 16;

/// The numbers of the mapping for a machine with few visible and any number of hidden units, for data of the Hamiltonian H(v). All sums over v are complete; H^RG is held against H^RBM at the
/// hidden states `coarse` (bit j is unit j) instead of all: it comes from T and H by Eq. 6, the other from its closed form.
///
/// # Errors
/// [`Error::Usage`] if the machine has more than [`MOST_VISIBLE`] visible or 64 hidden units.
pub fn summarize_trained(machine: &ExactRbm, hamiltonian: &dyn Fn(u64) -> f64, coarse: &[u64]) -> Result<MappingSummary> {
    if machine.visible > MOST_VISIBLE || machine.hidden > 64 {
        return Err(Error::Usage(format!(
            "a machine of {} x {} units has too many states to visit: use at most {MOST_VISIBLE} visible and 64 hidden units",
            machine.visible, machine.hidden
        )));
    }
    let states = 0..1u64 << machine.visible;
    let data: Vec<f64> = states.clone().map(hamiltonian).collect();
    let visible: Vec<f64> = states.clone().map(|v| machine.visible_hamiltonian(v)).collect();
    let log_partition_function = log_sum(data.iter().map(|value| -value));
    let machine_log_partition_function = log_sum(visible.iter().map(|value| -value));

    let mut exponents = vec![Vec::new(); coarse.len()];
    for (v, data) in states.zip(&data) {
        let fields = machine.hidden_fields(v);
        let linear: f64 = machine.visible_bias.iter().enumerate().filter(|(unit, _)| v >> unit & 1 == 1).map(|(_, bias)| bias).sum();
        for (exponents, h) in exponents.iter_mut().zip(coarse) {
            let energy = -linear - fields.iter().enumerate().filter(|(unit, _)| h >> unit & 1 == 1).map(|(_, field)| field).sum::<f64>();
            let operator = data - energy;
            exponents.push(operator - data);
        }
    }
    let differences = exponents.iter().zip(coarse).map(|(exponents, &h)| {
        let renormalized = -log_sum(exponents.iter().copied());
        (renormalized - machine.hidden_hamiltonian(h)).abs()
    });
    let hamiltonian_difference = differences.fold(0.0, f64::max);

    let (mut divergence, mut mean_trace, mut mean_log_trace) = (Sum::default(), Sum::default(), Sum::default());
    let of_state = |(data, visible): (&f64, &f64)| (-data - log_partition_function, data - visible);
    for (log_probability, log_trace) in data.iter().zip(&visible).map(of_state) {
        divergence.add(log_probability.exp() * (machine_log_partition_function - log_partition_function - log_trace));
        mean_trace.add((log_probability + log_trace).exp());
        mean_log_trace.add(log_probability.exp() * log_trace);
    }
    let mut trace_violation = Sum::default();
    for (log_probability, log_trace) in data.iter().zip(&visible).map(of_state) {
        trace_violation.add(log_probability.exp() * (log_trace - mean_log_trace.value()).powi(2));
    }
    Ok(MappingSummary {
        hamiltonian_difference,
        log_partition_function,
        machine_log_partition_function,
        free_energy_difference: log_partition_function - machine_log_partition_function,
        divergence: divergence.value(),
        mean_trace: mean_trace.value(),
        trace_violation: trace_violation.value(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::examples::{ring_hamiltonian, tiny_machine};
    use super::super::summarize;
    use super::*;

    #[test]
    fn it_agrees_with_the_enumeration_of_both_layers() {
        let (machine, ring) = (tiny_machine().unwrap(), ring_hamiltonian(4, 0.4));
        let (found, expected) = (summarize_trained(&machine, &ring, &[0, 1, 2, 3]).unwrap(), summarize(&machine, &ring).unwrap());
        let numbers = |summary: &MappingSummary| {
            [
                summary.log_partition_function,
                summary.machine_log_partition_function,
                summary.free_energy_difference,
                summary.divergence,
                summary.mean_trace,
                summary.trace_violation,
            ]
        };
        assert!(found.hamiltonian_difference < 1e-13);
        for (found, expected) in numbers(&found).into_iter().zip(numbers(&expected)) {
            assert!((found - expected).abs() < 1e-12 * expected.abs().max(1.0), "{found} and {expected}");
        }
        let wide = ExactRbm::new(17, 2, vec![0.0; 34], vec![0.0; 17], vec![0.0; 2]).unwrap();
        assert!(summarize_trained(&wide, &ring, &[]).is_err());
    }
}
