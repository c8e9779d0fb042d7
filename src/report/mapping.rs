//! The exact mapping of arXiv:1410.3831 (Eqs. 18-22) checked by enumeration: the table, and in plain words what it claims and what it does not.

use super::html::{Section, Table, escape};
use super::number::{fixed, significant};
use crate::record::NamedMapping;

/// Differences that rounding explains.
const ROUNDING: f64 = 1e-9;
/// Divergences and variances below this are printed as 0.
const NOTHING: f64 = 1e-12;

/// Whether the numbers of one machine satisfy what must hold identically: Eq. 21, and the mean trace being Z_lambda / Z.
pub(super) fn holds(mapping: &NamedMapping) -> bool {
    mapping.summary.hamiltonian_difference.abs() <= ROUNDING && identity_difference(mapping).abs() <= ROUNDING
}

/// A number that is 0 where rounding explains it.
fn beyond_rounding(value: f64, digits: usize) -> String {
    if value.abs() < NOTHING { "0".to_string() } else { significant(value, digits) }
}

/// <Tr_h e^T> Z / Z_lambda - 1.
fn identity_difference(mapping: &NamedMapping) -> f64 {
    mapping.summary.mean_trace * mapping.summary.free_energy_difference.exp() - 1.0
}

/// The section of the mapping.
pub(super) fn section(mappings: &[NamedMapping]) -> Section {
    let mut section = Section::new("The exact mapping");
    section.paragraph(
        "With <i>T</i><sub>λ</sub>(<i>v</i>, <i>h</i>) = −<i>E</i><sub>λ</sub>(<i>v</i>, <i>h</i>) + <i>H</i>(<i>v</i>) (Eq. 18) the variational renormalization group assigns to the hidden spins \
         the Hamiltonian <i>H</i><sup>RG</sup><sub>λ</sub>[<i>h</i>] = −ln Tr<sub><i>v</i></sub> e<sup><i>T</i><sub>λ</sub>(<i>v</i>, <i>h</i>) − <i>H</i>(<i>v</i>)</sup>, and \
         <i>H</i><sup>RG</sup><sub>λ</sub>[<i>h</i>] = <i>H</i><sup>RBM</sup><sub>λ</sub>[<i>h</i>] (Eq. 21).",
    );
    section.paragraph(
        "<b>What this claims.</b> The identity holds for every value of the parameters, trained or not, and for any Boltzmann machine; the first column below is zero up to \
         rounding because of algebra, not because a network has learned anything. Likewise e<sup><i>T</i></sup> = <i>p</i><sub>λ</sub>(<i>h</i> | <i>v</i>) \
         e<sup><i>H</i>(<i>v</i>) − <i>H</i><sup>RBM</sup>(<i>v</i>)</sup> (Eq. 22), whence ⟨Tr<sub><i>h</i></sub> e<sup><i>T</i></sup>⟩ = <i>Z</i><sub>λ</sub> / <i>Z</i> and \
         Δ<i>F</i> = ln <i>Z</i> − ln <i>Z</i><sub>λ</sub>.",
    );
    section.paragraph(
        "<b>What it does not claim.</b> Δ<i>F</i> does not measure the quality of the machine: a constant added to <i>E</i> shifts it at will, and it can vanish for a machine that \
         knows nothing of its data. Quality is measured by the Kullback–Leibler divergence, and by the variance of \
         ln Tr<sub><i>h</i></sub> e<sup><i>T</i></sup> = <i>H</i> − <i>H</i><sup>RBM</sup> over the data, which is the violation of the trace condition: both vanish exactly when \
         the machine's law is that of the data.",
    );
    if !mappings.is_empty() {
        section.findings.push(finding(mappings));
        section.table(table(mappings));
    }
    section
}

fn finding(mappings: &[NamedMapping]) -> String {
    let largest = mappings.iter().map(|mapping| mapping.summary.hamiltonian_difference.abs()).fold(0.0, f64::max);
    let divergences: Vec<f64> =
        mappings.iter().map(|mapping| mapping.summary.divergence).filter(|divergence| divergence.is_finite()).collect();
    let range = match (divergences.iter().copied().reduce(f64::min), divergences.iter().copied().reduce(f64::max)) {
        (Some(low), Some(high)) => {
            format!(", while their divergence from the data runs from {} to {} nats", beyond_rounding(low, 3), beyond_rounding(high, 3))
        }
        _ => String::new(),
    };
    let all = if mappings.iter().all(holds) { "holds for" } else { "does not hold for all of" };
    format!(
        "The mapping <i>H</i><sup>RG</sup>[<i>h</i>] = <i>H</i><sup>RBM</sup>[<i>h</i>] {all} the {} machine{} tested, to {}{range}.",
        mappings.len(),
        if mappings.len() == 1 { "" } else { "s" },
        if largest > 0.0 { significant(largest, 2) } else { "the last bit".to_string() },
    )
}

fn table(mappings: &[NamedMapping]) -> Table {
    let mut table = Table::new(
        "The mapping by enumeration of small machines. Energies and Hamiltonians are in units of <i>k</i><sub>B</sub><i>T</i>; logarithms, Δ<i>F</i> and the divergence in nats; the \
         mean trace is a pure number, the variance in nats². A divergence or variance below 10<sup>−12</sup> is printed as 0.",
        &[
            "machine",
            "max |<i>H</i><sup>RG</sup> − <i>H</i><sup>RBM</sup>|",
            "ln <i>Z</i>",
            "ln <i>Z</i><sub>λ</sub>",
            "Δ<i>F</i>",
            "⟨Tr<sub><i>h</i></sub> e<sup><i>T</i></sup>⟩",
            "divergence",
            "var ln Tr<sub><i>h</i></sub> e<sup><i>T</i></sup>",
        ],
    );
    for mapping in mappings {
        let difference = significant(mapping.summary.hamiltonian_difference, 2);
        table.row(&[
            escape(&mapping.name),
            if holds(mapping) { difference } else { format!("<span class=\"bad\">{difference}</span>") },
            fixed(mapping.summary.log_partition_function, 6),
            fixed(mapping.summary.machine_log_partition_function, 6),
            fixed(mapping.summary.free_energy_difference, 6),
            significant(mapping.summary.mean_trace, 6),
            beyond_rounding(mapping.summary.divergence, 4),
            beyond_rounding(mapping.summary.trace_violation, 4),
        ]);
    }
    table
}
