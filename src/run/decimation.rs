//! One dimension: decimation as a network written down by hand, and a stack that learned the same chain, put into tables. Rank 0 calls it.

use crate::config::DecimationSection;
use crate::error::Result;
use crate::exact::chain;
use crate::record::{Cell, TableRecord};
use crate::rg::decimation::{decimation_network, trained};

/// Both tables.
///
/// # Errors
/// [`crate::error::Error::NotFinite`] if a number stops being finite while the stack learns.
pub fn run(section: DecimationSection, seed: u64) -> Result<Vec<TableRecord>> {
    Ok(vec![by_hand(section)?, beside(section, seed)?])
}

/// The layers of Fig. 2 of the paper, with ln Z gathered from them.
fn by_hand(section: DecimationSection) -> Result<TableRecord> {
    let columns = [
        ("sites", "spins of the ring", "1"),
        ("coupling", "coupling J of neighbours", "1"),
        ("weight", "weight W of a traced and a kept spin, 0/1 units", "1"),
        ("visible_bias", "bias of a traced spin, 0/1 units", "1"),
        ("hidden_bias", "bias of a kept spin, 0/1 units", "1"),
        ("marginal_difference", "largest difference of a coupling of the kept spins from those of the decimated chain", "1"),
        ("log_constant", "what the traced spins add to ln Z", "1"),
        ("log_partition_function", "constants of the layers so far and ln Z of this ring", "1"),
        ("difference", "the same less ln Z of the ring at the beginning", "1"),
    ];
    let mut table = TableRecord::new("decimation", "layer", "decimation of the Ising chain as a network written down by hand", &columns);
    let log_z = |sites: usize, coupling: f64| ring_log_partition_function(sites, coupling);
    let exact = log_z(section.sites, section.coupling);
    let mut gathered = 0.0;
    let layers = decimation_network(section.sites, section.coupling)?;
    for (number, layer) in layers.iter().enumerate() {
        let total = gathered + log_z(layer.sites, layer.coupling);
        let [weights, visible, hidden] = layer.parameters();
        let cells = [
            Cell::exact(layer.sites as f64),
            Cell::exact(layer.coupling),
            Cell::exact(weights[0]),
            Cell::exact(visible[0]),
            Cell::exact(hidden[0]),
            Cell::exact(layer.marginal_difference()?),
            Cell::exact(layer.log_constant),
            Cell::exact(total),
            Cell::exact(total - exact),
        ];
        table.push(format!("{number}: {} spins, {} kept", layer.sites, layer.kept()), cells.to_vec());
        gathered += layer.log_constant;
    }
    if let Some(last) = layers.last() {
        let total = gathered + log_z(last.kept(), last.decimated_coupling);
        let mut cells = vec![Cell::exact(last.kept() as f64), Cell::exact(last.decimated_coupling)];
        cells.extend([Cell::NONE; 5]);
        cells.extend([Cell::exact(total), Cell::exact(total - exact)]);
        table.push(format!("{}: the last spin", layers.len()), cells);
    }
    Ok(table)
}

/// ln Z of a ring by the transfer matrix: Z = (2 cosh J)^n (1 + tanh^n J), for any number of spins from 1.
fn ring_log_partition_function(sites: usize, coupling: f64) -> f64 {
    let count = sites as f64;
    let log_largest = coupling + (-2.0 * coupling).exp().ln_1p();
    count * log_largest + (count * coupling.tanh().ln()).exp().ln_1p()
}

/// The decimated chain and the trained stack, level by level.
fn beside(section: DecimationSection, seed: u64) -> Result<TableRecord> {
    let columns = [
        ("spins", "spins or units", "1"),
        ("correlation", "nearest-neighbour correlation", "1"),
        ("nearest", "coupling of neighbours", "1"),
        ("next_nearest", "coupling of next-nearest neighbours", "1"),
        ("agreement", "share of the spins of the chain that come back", "1"),
        ("window_share", "share of r^2 in the best window of two blocks", "1"),
        ("divergence", "divergence of the law of the chain's spins from the Ising law", "nat"),
        ("trace_violation", "variance of ln Tr_h e^T", "nat^2"),
        ("dead_units", "units that never move", "1"),
    ];
    let mut table = TableRecord::new("decimation_stack", "level", "the decimated chain beside a stack trained on samples of it", &columns);
    let DecimationSection { sites, coupling, .. } = section;
    let settings = trained::Settings {
        sites,
        coupling,
        layers: section.layers,
        samples: section.samples,
        held_out: (section.samples / 10).max(2),
        epochs: section.epochs as u64,
        seed,
    };
    let (levels, law) = trained::train(&settings)?;
    let network = decimation_network(sites, coupling)?;
    let correlation = |spacing: usize| chain::correlation(sites, spacing, coupling);
    let mut first = vec![Cell::exact(sites as f64), Cell::exact(correlation(1)), Cell::exact(coupling), Cell::exact(0.0), Cell::exact(1.0)];
    first.extend([Cell::NONE; 4]);
    table.push("the chain", first);
    for (index, (level, layer)) in levels.iter().zip(&network).enumerate() {
        let spacing = 2 << index;
        let of_first = |cell: Cell| if index == 0 { cell } else { Cell::NONE };
        let by_hand = [
            Cell::exact(layer.kept() as f64),
            Cell::exact(correlation(spacing)),
            Cell::exact(layer.decimated_coupling),
            Cell::exact(0.0),
            Cell::exact(trained::decimated_agreement(sites, spacing, coupling)),
            Cell::exact(1.0),
            // Projection on the kept spins satisfies the trace condition.
            of_first(Cell::exact(0.0)),
            of_first(Cell::exact(0.0)),
            Cell::NONE,
        ];
        table.push(format!("level {}: decimation", index + 1), by_hand.to_vec());
        let learned = [
            Cell::exact(level.units as f64),
            Cell::maybe_estimate(level.correlation),
            Cell::maybe_estimate(level.nearest),
            Cell::maybe_estimate(level.next_nearest),
            Cell::estimate(level.agreement),
            Cell::exact(level.window_share),
            of_first(Cell::maybe_estimate(law.divergence)),
            of_first(Cell::estimate(law.trace_violation)),
            Cell::exact(level.dead as f64),
        ];
        table.push(format!("level {}: trained layer", index + 1), learned.to_vec());
    }
    Ok(table)
}
