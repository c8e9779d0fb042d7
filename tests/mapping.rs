//! The exact mapping of arXiv:1410.3831 against independently computed numbers, and its identities for arbitrary machines.

use kadanoff::lattice::SquareTorus;
use kadanoff::random::{Purpose, Stream};
use kadanoff::rbm::ExactRbm;
use kadanoff::rg::couplings::{lattice_gas_couplings, spin_couplings};
use kadanoff::rg::mapping::examples::{
    bond_hamiltonian, bond_machine, bond_machine_constant, bond_weight, patch_bonds, ring_bonds, ring_hamiltonian, tiny_machine,
    torus_bonds, torus_hamiltonian,
};
use kadanoff::rg::mapping::{VariationalStep, standard_mappings, summarize, summarize_shifted};

const CRITICAL_COUPLING: f64 = 0.440_686_793_509_771_5;

#[track_caller]
fn close(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance * expected.abs().max(1.0), "{found} instead of {expected}");
}

fn random_machine(visible: usize, hidden: usize, scale: f64, index: u64) -> ExactRbm {
    let mut stream = Stream::new(1410, Purpose::Check, index);
    let mut draw = |count: usize| (0..count).map(|_| scale * stream.normal()).collect::<Vec<f64>>();
    ExactRbm::new(visible, hidden, draw(visible * hidden), draw(visible), draw(hidden)).expect("the shapes fit")
}

/// ln p(v) of all v.
fn log_law(machine: &ExactRbm) -> Vec<f64> {
    let log_partition_function = machine.log_partition_function();
    (0..1 << machine.visible).map(|v| -machine.visible_hamiltonian(v) - log_partition_function).collect()
}

#[test]
fn the_tiny_machine_has_the_published_numbers() {
    let machine = tiny_machine().unwrap();
    let ring = ring_hamiltonian(4, 0.4);
    let summary = summarize(&machine, &ring).unwrap();
    assert!(summary.hamiltonian_difference < 1e-13, "{summary:?}");
    close(summary.log_partition_function, 3.105028638400824, 1e-12);
    close(summary.machine_log_partition_function, 4.361971334200909, 1e-12);
    close(summary.free_energy_difference, -1.256942695800085, 1e-12);
    close(summary.divergence, 0.35907445961743, 1e-12);
    close(summary.mean_trace, 3.5146596609169, 1e-12);
    let step = VariationalStep::from_machine(&machine, &ring).unwrap();
    // v0 v1 v2 v3 = 0000, 0101, 1111, with v0 the lowest bit.
    for (v, trace) in [(0b0000, 0.8543071661374), (0b1010, 25.1340592188477), (0b1111, 1.1294622536585)] {
        close(step.log_trace(v).exp(), trace, 1e-12);
    }
    for (h, hamiltonian) in [(0b00, -2.7244631367), (0b10, -3.4270165536), (0b01, -2.3929920260), (0b11, -3.0649072724)] {
        close(step.renormalized_hamiltonian(h), hamiltonian, 1e-10);
    }
}

#[test]
fn the_tiny_machine_has_the_published_couplings() {
    let table = log_law(&tiny_machine().unwrap());
    let spin = spin_couplings(&table);
    let gas = lattice_gas_couplings(&table);
    for (subset, expected) in [(0b1, -0.083889533494763), (0b11, 0.009873647988191), (0b111, 3.91264545e-5), (0b1111, 4.16520232e-5)] {
        close(spin[subset], expected, if expected.abs() < 1e-3 { 1e-13 } else { 1e-12 });
    }
    for (subset, expected) in [(0b1, -0.16627654487393), (0b11, 0.03779304692122), (0b111, -2.02045e-5), (0b1111, 6.664324e-4)] {
        // The last two are printed to 10 decimals.
        close(gas[subset], expected, if expected.abs() < 1e-3 { 1e-10 } else { 1e-12 });
    }
}

/// The closed form of the lattice-gas couplings of a machine (Cossu et al., PRB 100, 064304 (2019)), in the sign of machine learning.
#[test]
fn lattice_gas_couplings_have_their_closed_form() {
    let machine = random_machine(6, 3, 0.8, 0);
    let gas = lattice_gas_couplings(&log_law(&machine));
    let softplus = |x: f64| x.exp().ln_1p();
    for (subset, coupling) in gas.into_iter().enumerate().skip(1) {
        let mut expected = if subset.is_power_of_two() { machine.visible_bias[subset.trailing_zeros() as usize] } else { 0.0 };
        for unit in 0..machine.hidden {
            for part in (0..=subset).filter(|part| part & !subset == 0) {
                let field: f64 = (0..6).filter(|i| part >> i & 1 == 1).map(|i| machine.weights[i * machine.hidden + unit]).sum();
                let sign = if (subset ^ part).count_ones() % 2 == 0 { 1.0 } else { -1.0 };
                expected += sign * softplus(machine.hidden_bias[unit] + field);
            }
        }
        close(coupling, expected, 1e-12);
    }
}

/// Identities (a) and (b): Eqs. 21 and 22 and the consequences of Eq. 18, for machines that were never trained, small and large parameters.
#[test]
fn the_identities_hold_for_any_machine() {
    for (index, (visible, hidden, scale)) in [(4, 2, 0.5), (6, 6, 1.0), (8, 3, 3.0), (2, 7, 10.0), (9, 5, 0.01)].into_iter().enumerate() {
        let machine = random_machine(visible, hidden, scale, index as u64 + 1);
        let other = random_machine(visible, 3, scale, index as u64 + 100);
        // Any data Hamiltonian will do: here that of another machine, with couplings of all orders.
        let hamiltonian = |v: u64| other.visible_hamiltonian(v);
        let step = VariationalStep::from_machine(&machine, hamiltonian).unwrap();
        let summary = summarize(&machine, &hamiltonian).unwrap();
        let size = (0..1 << hidden).map(|h| machine.hidden_hamiltonian(h).abs()).fold(1.0, f64::max);
        assert!(summary.hamiltonian_difference <= 1e-12 * size, "{summary:?}");
        for v in 0..1 << visible {
            close(step.log_trace(v), hamiltonian(v) - machine.visible_hamiltonian(v), 1e-12);
            let fields = machine.hidden_fields(v);
            for h in 0..1 << hidden {
                // ln p(h | v), unit by unit.
                let softplus = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
                let log_conditional: f64 = fields
                    .iter()
                    .enumerate()
                    .map(|(unit, &field)| if h >> unit & 1 == 1 { -softplus(-field) } else { -softplus(field) })
                    .sum();
                close(step.operator(v, h), log_conditional + hamiltonian(v) - machine.visible_hamiltonian(v), 1e-12);
            }
        }
        let (data, model) = (summary.log_partition_function, summary.machine_log_partition_function);
        close(summary.free_energy_difference, data - model, 1e-12);
        close(summary.mean_trace.ln(), model - data, 1e-11);
        let kl: f64 = (0..1 << visible)
            .map(|v| (-hamiltonian(v) - data).exp() * (machine.visible_hamiltonian(v) - hamiltonian(v) + model - data))
            .sum();
        close(summary.divergence, kl, 1e-12);
        assert!(summary.divergence > 0.0 && summary.trace_violation > 0.0);
        // The closed forms of the machine and plain enumeration of its energy are one.
        let enumerated = step.summary();
        close(enumerated.divergence, summary.divergence, 1e-11);
        close(enumerated.machine_log_partition_function, model, 1e-12);
    }
}

/// Identity (f): the mapping does not use the form of E. Here with bonds within the layers and a three-body term.
#[test]
fn the_mapping_holds_for_any_boltzmann_machine() {
    let machine = random_machine(5, 4, 1.0, 20);
    let (within, data) = (ring_hamiltonian(4, -0.7), ring_hamiltonian(5, 0.5));
    let energy = |v: u64, h: u64| machine.energy(v, h) + within(h) + if v & 0b101 == 0b101 && h & 1 == 1 { 1.5 } else { 0.0 };
    let step = VariationalStep::from_energy(5, 4, energy, &data).unwrap();
    let summary = step.summary();
    assert!(summary.hamiltonian_difference < 1e-12);
    close(summary.mean_trace.ln(), -summary.free_energy_difference, 1e-12);
    // A mutant of Eq. 18, T = -E without H, breaks Eq. 21.
    let mutant = VariationalStep::from_operator(5, 4, |v, h| -energy(v, h), &data).unwrap();
    assert!((0..16).any(|h| (mutant.renormalized_hamiltonian(h) - step.hidden_hamiltonian(h)).abs() > 0.1));
}

/// Identities (c) and (d): the trace condition gives H^RBM = H, no divergence and Delta F = 0, with hidden spins that know nothing of the visible ones.
#[test]
fn the_trace_condition_does_not_choose_a_coarse_graining() {
    let (data, unrelated) = (ring_hamiltonian(6, 0.4), ring_hamiltonian(3, 1.1));
    let constant = (0..8).map(|h| (-unrelated(h)).exp()).sum::<f64>().ln();
    let step = VariationalStep::from_energy(6, 3, |v, h| data(v) + unrelated(h) + constant, &data).unwrap();
    for v in 0..64 {
        close(step.log_trace(v), 0.0, 1e-12);
        close(step.visible_hamiltonian(v), data(v), 1e-12);
    }
    let summary = step.summary();
    close(summary.free_energy_difference, 0.0, 1e-12);
    close(summary.divergence, 0.0, 1e-12);
    assert!(summary.trace_violation < 1e-24);
    // The coarse Hamiltonian is the unrelated one, whatever the data.
    let table: Vec<f64> = (0..8).map(|h| -step.renormalized_hamiltonian(h)).collect();
    close(spin_couplings(&table)[0b011], 1.1, 1e-12);
}

#[test]
fn no_free_energy_difference_does_not_mean_a_good_fit() {
    let machine = tiny_machine().unwrap();
    let ring = ring_hamiltonian(4, 0.4);
    let before = summarize(&machine, &ring).unwrap();
    let constant = before.machine_log_partition_function - before.log_partition_function;
    let after = VariationalStep::from_energy(4, 2, |v, h| machine.energy(v, h) + constant, &ring).unwrap().summary();
    let in_closed_form = summarize_shifted(&machine, constant, &ring).unwrap();
    close(in_closed_form.free_energy_difference, 0.0, 1e-12);
    close(in_closed_form.divergence, after.divergence, 1e-12);
    close(after.free_energy_difference, 0.0, 1e-12);
    close(after.mean_trace, 1.0, 1e-12);
    close(after.divergence, before.divergence, 1e-12);
    close(after.trace_violation, before.trace_violation, 1e-12);
    assert!(after.trace_violation > 0.1);
}

#[test]
fn a_hidden_unit_a_bond_is_the_ising_model() {
    close(bond_weight(0.408), 0.7281152311571448, 1e-14);
    close(bond_weight(CRITICAL_COUPLING), 0.764285459740499, 1e-14);
    // At small K, a^2 = K + K^2 (1 - 1/3) + O(K^3): the digits survive.
    close(bond_weight(1e-12) / 1e-6, 1.0, 1e-12);
    let torus = SquareTorus::new(3).unwrap();
    for (sites, bonds, coupling) in [
        (9, torus_bonds(torus), 0.408),
        (9, torus_bonds(torus), CRITICAL_COUPLING),
        (8, ring_bonds(8), 1.0),
        (9, patch_bonds(3), 0.05),
        (4, ring_bonds(4), 0.0),
    ] {
        let machine = bond_machine(sites, &bonds, coupling).unwrap();
        let hamiltonian = bond_hamiltonian(bonds.clone(), coupling);
        let constant = bond_machine_constant(bonds.len(), coupling);
        let mut weights = Vec::new();
        for v in 0..1u64 << sites {
            // The trace condition, with the constant that the parameters cannot hold put back into E.
            close(hamiltonian(v) - machine.visible_hamiltonian(v) - constant, 0.0, 1e-12);
            weights.push(-hamiltonian(v));
        }
        let largest = weights.iter().copied().fold(f64::MIN, f64::max);
        let ising = largest + weights.iter().map(|weight| (weight - largest).exp()).sum::<f64>().ln();
        close(machine.log_partition_function(), ising + constant, 1e-12);
        // In +-1 units ln Z = ln Z_Ising + bonds (ln 2 + K); the units leave out 2a a bond.
        let in_spins = machine.log_partition_function() + 2.0 * bond_weight(coupling) * bonds.len() as f64;
        close(in_spins, ising + bonds.len() as f64 * (2f64.ln() + coupling), 1e-12);
        // The coarse Hamiltonian: enumerated from T and H, and in closed form (every 97th of 2^18 states on the torus).
        if sites + bonds.len() <= 26 {
            let summary = summarize_shifted(&machine, constant, &hamiltonian).unwrap();
            close(summary.divergence, 0.0, 1e-12);
            close(summary.free_energy_difference, 0.0, 1e-12);
            assert!(summary.trace_violation < 1e-24 && summary.hamiltonian_difference < 1e-12);
        } else {
            for h in (0..1u64 << bonds.len()).step_by(97) {
                let terms = (0..1 << sites).map(|v| (hamiltonian(v) - machine.energy(v, h) - hamiltonian(v)).exp());
                close(-terms.sum::<f64>().ln(), machine.hidden_hamiltonian(h), 1e-12);
            }
        }
        // A weight one per cent off is caught.
        if coupling > 0.0 {
            let mut mutant = machine.clone();
            mutant.weights.iter_mut().chain(&mut mutant.visible_bias).chain(&mut mutant.hidden_bias).for_each(|value| *value *= 1.01);
            let residual = |v: u64| hamiltonian(v) - mutant.visible_hamiltonian(v);
            assert!((residual(0) - residual(1)).abs() > 1e-4);
        }
    }
    assert!(bond_machine(4, &ring_bonds(4), -0.1).is_err() && bond_machine(3, &ring_bonds(4), 0.1).is_err());
}

/// Kadanoff's block operator in the same type: T = p mu sum s - ln 2 cosh(p sum s) for each 2 x 2 block satisfies the trace condition for every p, so as a machine
/// it has learned the lattice perfectly; what p changes is the coarse Hamiltonian alone.
#[test]
fn kadanoffs_block_operator_is_a_perfect_machine() {
    let torus = SquareTorus::new(4).unwrap();
    let block_sum = |v: u64, block: usize| -> f64 {
        let (left, top) = (2 * (block % 2), 2 * (block / 2));
        let sites = [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(x, y)| torus.site(left + x, top + y));
        sites.iter().map(|site| 2.0 * (v >> site & 1) as f64 - 1.0).sum()
    };
    let mut pair_couplings = Vec::new();
    for p in [0.2, 0.76598304] {
        let operator = |v: u64, h: u64| -> f64 {
            (0..4)
                .map(|block| {
                    let (mu, sum) = (2.0 * (h >> block & 1) as f64 - 1.0, block_sum(v, block));
                    p * mu * sum - (2.0 * (p * sum).cosh()).ln()
                })
                .sum()
        };
        let step = VariationalStep::from_operator(16, 4, operator, torus_hamiltonian(torus, 0.408)).unwrap();
        let summary = step.summary();
        // ln Z / N = 0.92126194546054 by Kaufman's formula.
        close(summary.log_partition_function / 16.0, 0.92126194546054, 1e-12);
        close(summary.machine_log_partition_function / 16.0, 0.92126194546054, 1e-12);
        close(summary.free_energy_difference, 0.0, 1e-12);
        close(summary.divergence, 0.0, 1e-12);
        close(summary.mean_trace, 1.0, 1e-12);
        assert!(summary.trace_violation < 1e-24 && summary.hamiltonian_difference < 1e-12);
        let table: Vec<f64> = (0..16).map(|h| -step.renormalized_hamiltonian(h)).collect();
        pair_couplings.push(spin_couplings(&table)[0b0011]);
    }
    assert!(pair_couplings[0] < 0.5 * pair_couplings[1], "{pair_couplings:?}");
}

#[test]
fn the_standard_mappings_say_what_they_should() {
    let mappings = standard_mappings().unwrap();
    assert_eq!(mappings.len(), 5);
    for mapping in &mappings {
        let summary = mapping.summary;
        assert!(summary.hamiltonian_difference < 1e-12, "{mapping:?}");
        close(summary.free_energy_difference, summary.log_partition_function - summary.machine_log_partition_function, 1e-12);
        close(summary.mean_trace.ln(), -summary.free_energy_difference, 1e-12);
    }
    let fits: Vec<bool> = mappings.iter().map(|mapping| mapping.summary.divergence.abs() < 1e-12).collect();
    assert_eq!(fits, [false, true, false, true, true]);
    let balanced: Vec<bool> = mappings.iter().map(|mapping| mapping.summary.free_energy_difference.abs() < 1e-12).collect();
    assert_eq!(balanced, [false, true, true, true, true]);
}
